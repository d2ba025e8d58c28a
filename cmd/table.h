/* table.h - reports: an aligned table on a terminal, tab-separated in a pipe, or JSON Lines
 *
 *     static const struct column columns[] = {{"tokens", 0}, {"ppl", 4}};
 *     struct table *t = table_new(stdout, columns, 2, table_format(stdout, json));
 *     table_int(t, 5100); table_float(t, 17.25);      // cells in the order of the columns
 *     table_free(t);                                  // prints what is not out yet
 *
 * Tab-separated and JSON rows leave as soon as they are full; the aligned table must know all
 * its rows first. A cell without a value is "-" (null in JSON).
 */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>
#include <stdio.h>

enum table_format { TABLE_ALIGNED, TABLE_TABS, TABLE_JSON };

struct column {
    const char *name;           /* with the unit: prefill_tps, kv_bytes */
    int decimals;               /* of table_float in an aligned table; elsewhere all that matter */
};

struct table;

/* JSON when asked for, else by what out is. */
enum table_format table_format(FILE *out, int json);
struct table *table_new(FILE *out, const struct column *columns, int n, enum table_format format);
void table_int(struct table *t, int64_t v);
void table_float(struct table *t, double v);        /* NaN: no value */
void table_str(struct table *t, const char *s);     /* NULL: no value */
/* Numbers: an array in JSON, elsewhere joined by commas. NULL: no value. */
void table_list(struct table *t, const double *x, int64_t n);
/* An aligned table of one row is written as one "name value" line per column. */
void table_free(struct table *t);

#endif
