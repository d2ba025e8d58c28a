/* import.h - price catalogues of others as price books
 *
 *     struct buf book = {0};
 *     struct import_report rep;
 *     if (import_book("prices.json", text, len, &(struct import_options){0}, &book, &rep, &err))
 *         die_err(&err);
 *     fwrite(book.data, 1, book.len, stdout);          // llm-book(5)
 *     import_report_free(&rep);
 *
 * Prices are taken from the decimal text of the JSON, never through a floating-point number:
 * 1.3e-07 a token is 0.13 a million. How each catalogue is to be read (what a tier looks at, what
 * happens where two prices meet) is its own calculator's rule and stands in the rows themselves:
 * where the book's rules would choose another price than the catalogue's calculator does, a row is
 * added that says it. What a book cannot say, or what is not understood, is counted in the report.
 *
 *   litellm      model_prices_and_context_window.json
 *   models.dev   api.json
 *   llm-prices   current-v1.json, historical-v1.json and data/VENDOR.json of simonw/llm-prices
 *   genai-prices data.json of pydantic/genai-prices, v1 and v2
 */
#ifndef IMPORT_H
#define IMPORT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

#define IMPORT_NO_DATE INT64_MIN

struct import_options {
    const char *from;           /* one of import_formats, NULL: by what the text looks like */
    const char *const *providers;   /* glob patterns, ended by NULL; NULL: all. Where several
                                     * providers have a model of one name, the first here that has
                                     * it gives the plain name its price */
    const char *const *models;      /* glob patterns of names, ended by NULL; NULL: all */
    const char *name;           /* of the book; NULL: the format's */
    const char *url;            /* where the catalogue is from; NULL: where it is published */
    int64_t observed_ns;        /* when it was read; IMPORT_NO_DATE: the catalogue's own date */
    int64_t fallback_ns;        /* where it has none */
};

struct import_note {
    char *what;                 /* "input_cost_per_image: priced by the image" */
    char *example;              /* a model that has it; NULL */
    int64_t count;
    int lost;                   /* 1: something that costs money is not in the book */
};

struct import_report {
    const char *from;           /* of import_formats */
    char sha256[65];            /* of the text */
    int64_t entries;            /* models of the catalogue */
    int64_t models;             /* that went into the book */
    int64_t passed;             /* that --provider or --model leave out */
    int64_t unpriced;           /* that have no price at all */
    int64_t rows;               /* prices and factors written */
    struct import_note *note;   /* in the order in which they were met */
    int notes;
};

const char *const *import_formats(void);        /* "litellm", ...; NULL-terminated */
/* Appends the book to *out. 0, or -1 when the text is none of the formats; the report is filled
 * either way. */
int import_book(const char *path, const char *text, size_t len, const struct import_options *opt,
                struct buf *out, struct import_report *rep, struct err *err);
/* 1 when the text begins as a JSON document does: it is a catalogue rather than a book. */
int import_is_json(const char *text, size_t len);
int64_t import_lost(const struct import_report *rep);   /* sum of the counts that are lost */
void import_report_free(struct import_report *rep);     /* becomes {0} */

#endif
