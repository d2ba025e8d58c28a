/* table.h - reports: an aligned table on a terminal, tab-separated in a pipe, JSON Lines and others
 *
 *     static const struct column columns[] = {{"tokens", 0}, {"ppl", 4}};
 *     struct table *t = table_new(stdout, columns, 2, table_format(stdout, json));
 *     table_int(t, 5100); table_float(t, 17.25);      // cells in the order of the columns
 *     table_free(t);                                  // prints what is not out yet
 *
 * Rows leave as soon as they are full, but those of the aligned table, which must know all of them
 * first. A cell without a value is "-": null in JSON, NULL in SQL, nothing in CSV.
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>
#include <stdio.h>

enum table_format {
    TABLE_ALIGNED,
    TABLE_TABS,
    TABLE_JSON,                 /* JSON Lines: an object a row */
    TABLE_CSV,                  /* RFC 4180: lines end in CR LF */
    TABLE_MD,                   /* of GitHub's Markdown */
    TABLE_SQL                   /* CREATE TABLE IF NOT EXISTS, and an INSERT a row */
};

struct column {
    const char *name;           /* with the unit: prefill_tps, kv_bytes */
    int decimals;               /* of table_float where people read (small numbers keep two
                                 * digits); elsewhere all that matter */
};

struct table;

/* JSON when asked for, else by what out is. */
enum table_format table_format(FILE *out, int json);
/* 1: made for people to read, so that columns with more than they need are better left out. */
int table_for_people(enum table_format format);
struct table *table_new(FILE *out, const struct column *columns, int n, enum table_format format);
/* What SQL calls the table, before the first row; characters other than letters and digits become
 * "_". Tables of one name must have the same columns to stand in one database. */
void table_set_name(struct table *t, const char *name);
/* 1: rows stay in out's buffer; a caller that writes very many flushes out before it waits. */
void table_hold(struct table *t, int hold);
void table_int(struct table *t, int64_t v);
void table_float(struct table *t, double v);        /* NaN: no value */
void table_str(struct table *t, const char *s);     /* NULL: no value */
/* Numbers: an array in JSON, elsewhere joined by commas. NULL: no value. */
void table_list(struct table *t, const double *x, int64_t n);
/* An aligned table of one row is written as one "name value" line per column. */
void table_free(struct table *t);

#endif
