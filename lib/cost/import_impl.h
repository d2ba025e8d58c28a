/* import_impl.h - what the importers of lib/cost/import share
 *
 *   import.c           a catalogue's text into a book: which format, what the readers tell
 *   import_write.c     names, provenance, the text
 *   import_json.c      JSON whose numbers keep their text, decimals
 *   import_rows.c      what a catalogue says of one model, made into rows
 *   import_week.c      hours of the week
 *   import_litellm.c, import_offpeak.c, import_modelsdev.c, import_simonw.c, import_genai.c
 */
#ifndef IMPORT_IMPL_H
#define IMPORT_IMPL_H

#include <cjson/cJSON.h>

#include "lib/cost/book.h"
#include "lib/cost/import.h"

/* ---- JSON whose numbers keep their text ----------------------------------------------------- */

/* A document in which each number is a string that import_number knows. NULL: err says where it
 * breaks. cJSON_Delete frees it. */
cJSON *import_json(const char *path, const char *text, size_t len, struct err *err);
/* The text of a number, or of a string that holds one; NULL: neither. */
const char *import_number(const cJSON *v);
const char *import_string(const cJSON *v);      /* NULL: no string */
/* NULL: absent or null. */
const cJSON *import_get(const cJSON *object, const char *key);
/* A whole number from 0 to most ("272000", "2.72e5"); -1: it is none. */
int import_whole(const cJSON *v, int64_t most, int64_t *out);

#define IMPORT_DECIMAL 48
/* The number times 10^shift as plain decimals without trailing zeros, exactly. -1: it is negative,
 * or has more than 30 digits or an exponent that no price has. */
int import_decimal(const char *number, int shift, char out[IMPORT_DECIMAL]);
int import_is_zero(const char *decimal);

/* ---- hours of the week ---------------------------------------------------------------------- */

struct import_week {
    uint8_t on[7 * 1440];       /* minutes from Monday 00:00 UTC */
    int any;
};
/* Adds [from, to) minutes of the day, past midnight where to <= from, on the days of the mask (bit
 * 0 Monday) as they are in a place so many minutes east. Hours are UTC. */
void import_week_add(struct import_week *w, int from, int to, unsigned days, int east);
/* The hours as selectors of rows ("days=mon,tue hours=01:00-04:00,06:00-10:00"): up to `most`
 * texts, no two of which have a time in common; the count, -1 when it takes more. */
#define IMPORT_WINDOW 128
int import_week_windows(const struct import_week *w, char (*text)[IMPORT_WINDOW], int most);
/* The windows of LiteLLM's off_peak_pricing. -1: hours, days or zone are not understood. */
int import_off_peak(const cJSON *v, char (*text)[IMPORT_WINDOW], int most);

/* ---- what a catalogue says of a model ------------------------------------------------------- */

struct import_price {
    int kind;                   /* enum usage_kind */
    int modality;               /* enum usage_modality; -1: not said */
    int per_1k;                 /* a thousand requests or searches */
    const char *service, *speed, *ttl;  /* borrowed; NULL: not said */
    const char *window;         /* of import_week_windows, borrowed */
    int64_t above;              /* -1: no tier */
    int ge;                     /* of the tier: at the threshold too */
    char amount[IMPORT_DECIMAL];
};
#define IMPORT_PRICE {.modality = -1, .above = -1}

/* What a price may depend on, in the order in which a catalogue's calculator looks: of two prices
 * that hold, the one that says more of the first of these counts. */
enum import_turn {
    IMPORT_WINDOW_FIRST = 1, IMPORT_MODALITY, IMPORT_TTL, IMPORT_BATCH, IMPORT_TIER, IMPORT_SERVICE,
    IMPORT_SPEED
};

struct import_model {
    char *id, *provider;        /* provider NULL: not said */
    char *comment;              /* NULL: none */
    int64_t context;            /* 0: not said */
    char **alias;
    int aliases;
    struct buf rows;            /* lines without "price NAME ": 'p' or 'f', then the rest */
    int64_t prices, factors;    /* of them */
    int paid;                   /* a price is not 0 */
    int place;                  /* who gets a name that several have: the lowest. 1: not said */
    double share, reach;        /* of what a unit may cost in a book; the factors above 1 */
};

/* The prices of a model that hold in one span of time, until they are written. */
struct import_span {
    struct import_price *price;
    int n;
    int64_t from_ns, to_ns;     /* BOOK_ALWAYS, BOOK_NEVER */
};

struct import {
    const char *path;
    const struct import_options *opt;
    struct import_report *rep;
    struct err *err;
    struct import_model *model;
    size_t models;
    int64_t own_date;           /* of the catalogue; IMPORT_NO_DATE */
    const int *turn;            /* enum import_turn, ended by 0 */
};

/* A note on the model that is being read (id may be NULL); what is copied. */
void import_note(struct import *im, int lost, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether --provider and --model want it; counts the entry. */
int import_wanted(struct import *im, const char *provider, const char *id);
struct import_model *import_model_add(struct import *im, const char *provider, const char *id);
void import_alias(struct import_model *m, const char *alias);
/* Ends a model: one without rows is taken back and counted; said: its entry has prices. */
void import_model_end(struct import *im, struct import_model *m, int said);

/* Adds what the catalogue says, `v` times 10^shift. -1: it is no price that a book can hold, which
 * is noted under `key`. */
int import_price_add(struct import *im, const struct import_model *m, struct import_span *s,
                     const struct import_price *p, const cJSON *v, int shift, const char *key);
/* The price of exactly these selectors; NULL: none. */
const struct import_price *import_price_find(const struct import_span *s,
                                             const struct import_price *like);
/* Writes the span's rows and those that they need beside them, and empties it. */
void import_span_end(struct import *im, struct import_model *m, struct import_span *s);
/* `v` on all that holds for selector=value (both become part of a row). */
void import_factor_add(struct import *im, struct import_model *m, const cJSON *v,
                       const char *selector, const char *value, int64_t to_ns, const char *key);
/* A word of a book's line, in quotes where it needs them. */
void import_put_word(struct buf *b, const char *s);
/* 1: UTF-8 without control characters, at most 200 bytes. */
int import_is_word(const char *s);

/* ---- the book ------------------------------------------------------------------------------- */

struct import_format {
    const char *name;
    const char *url;            /* where it is published */
    const char *title;
    int (*read)(struct import *im, const cJSON *doc);
    const int *turn;
};
/* Gives the models their names and appends the book. */
void import_write(struct import *im, const struct import_format *f, struct buf *out);

/* ---- the formats ---------------------------------------------------------------------------- */

int import_litellm(struct import *im, const cJSON *doc);
int import_modelsdev(struct import *im, const cJSON *doc);
int import_simonw(struct import *im, const cJSON *doc);
int import_genai(struct import *im, const cJSON *doc);

#endif
