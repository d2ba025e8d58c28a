/* fields.h - reports whose rows have more columns than a terminal is wide
 *
 *     static const struct field fields[] = {{"scheme", FIELD_TEXT, 0},
 *                                           {"requests", FIELD_WHOLE, 0}, {"mean", 2, 1}};
 *     struct fields f;
 *     fields_open(&f, fields, 3, &common);
 *     fields_row(&f, (struct value[]){{.text = "max"}, {.number = 10}, {.number = 2.5}});
 *     fields_close(&f);
 *
 * Wide ones are left out of what people read (an aligned table, Markdown) unless --verbose asks for
 * them, and lists always; pipes and JSON have all. NaN is no value.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include "cmd/common.h"
#include "cmd/table.h"

#define FIELDS_MOST 64

/* --format, for programs that take it beside the options of common.h. */
#define FIELDS_LONG {"format", required_argument, NULL, OPT_FORMAT}
#define FIELDS_USAGE \
    "Output\n" \
    "      --format FORMAT    table, tsv, csv, jsonl, md or sql (default: a table on a\n" \
    "                         terminal, tsv in a pipe); --json is jsonl\n" \
    "  -v, --verbose          every column in a table too\n" \
    "  -q, --quiet            fewer words on stderr\n"
/* 1 when c was OPT_FORMAT. */
int fields_option(int c, const char *arg, struct common *common);
/* What --format and --json ask for, else what suits the stream. */
enum table_format fields_format(const struct common *common, FILE *out);

/* In place of decimals. FIELD_COUNT: an integer; FIELD_WHOLE: a number that has none; FIELD_LIST:
 * numbers, an array in JSON, joined by commas elsewhere; FIELD_ID: an integer, or the text of a row
 * that has one (layers by number, and "all"). */
enum { FIELD_ID = -5, FIELD_LIST, FIELD_COUNT, FIELD_TEXT, FIELD_WHOLE };

struct field {
    const char *name;
    int decimals;
    int wide;
};

struct value {
    const char *text;           /* of a FIELD_TEXT; NULL: no value, of a FIELD_ID its count */
    int64_t count;              /* of a FIELD_COUNT or FIELD_ID; how long a list is */
    double number;              /* of the others */
    const double *list;         /* [count] of a FIELD_LIST; NULL: no value */
};

struct fields {
    const struct field *field;
    int n, wide, people, sql;
    struct column column[FIELDS_MOST];
    struct table *table;
};

/* To another stream, in this format. */
void fields_open_to(struct fields *f, FILE *out, enum table_format format,
                    const struct field *field, int n, int verbose);
/* To stdout. */
void fields_open(struct fields *f, const struct field *field, int n, const struct common *common);
void fields_row(struct fields *f, const struct value *value);   /* [n] */
void fields_close(struct fields *f);

#endif
