/* cost_price.h - the pieces of llm-cost price
 *
 *   cost_price.c        the command line, the loop over records
 *   cost_price_rows.c   a row for each record
 *   cost_price_sums.c   sums by model, day, session, service
 *   cost_price_merge.c  sums of earlier runs, added
 */
#ifndef COST_PRICE_H
#define COST_PRICE_H

#include "cmd/cost.h"

/* What sums may be by. A text of each, or none where the record does not say. */
enum price_by { BY_MODEL, BY_DAY, BY_MONTH, BY_SESSION, BY_SERVICE, BYS };
extern const char *const price_by_names[BYS + 1];

/* Tokens and money of a record or of many; output holds the reasoning. */
struct price_counts {
    int64_t records, unpriced;
    int64_t fresh, cached, written, output, reasoning, searches, duration_ns;
    money usd;                  /* of those that have a price, each rounded */
};

/* What had no price: each reason once. */
struct price_missing;
struct price_missing *price_missing_new(void);
void price_missing_add(struct price_missing *m, const char *why);
/* Says them on stderr and frees them: 1 when there are any. */
int price_missing_end(struct price_missing *m);

struct price_options {
    struct common common;
    struct cost_books books;
    struct usage_options in;
    const char *model, *as, *service;
    int sums, merge;
    enum price_by by[BYS];
    int bys;
    int64_t zone_ns;            /* east of UTC, for days */
};

void price_count(const struct usage *u, struct price_counts *c);        /* but for usd, unpriced */
/* What the options make of a record's model and service. */
struct reqs_text price_model(const struct price_options *o, const struct usage *u);
struct reqs_text price_service(const struct price_options *o, const struct usage *u);

/* ---- rows ---------------------------------------------------------------------------- */

struct price_rows;
struct price_rows *price_rows_new(const struct price_options *o, const struct book *b,
                                  char *const *path);
/* priced 0: the bill has no sum. */
void price_rows_add(struct price_rows *r, const struct usage *u, const struct bill *bill,
                    int priced);
void price_rows_end(struct price_rows *r);              /* NULL is fine */

/* ---- sums ---------------------------------------------------------------------------- */

struct price_sums;
struct price_sums *price_sums_new(const struct price_options *o, const enum price_by *by,
                                  int bys);
void price_sums_add(struct price_sums *s, const struct usage *u, const struct bill *bill,
                    int priced);
/* Adds to the sum of these texts ([bys], data NULL: none). Dies beyond what can be counted. */
void price_sums_put(struct price_sums *s, const struct reqs_text *text,
                    const struct price_counts *c);
struct price_counts price_sums_all(const struct price_sums *s);
/* Sorted by their texts. */
void price_sums_print(struct price_sums *s, const char *book, const char *sha256);
void price_sums_free(struct price_sums *s);

/* Adds what earlier runs wrote with --by and --json; the exit status. */
int price_merge(struct price_options *o, char *const *path, int n);

#endif
