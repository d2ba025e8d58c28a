/* cost_curve.h - the pieces of llm-cost curve
 *
 *   cost_curve.c           options, rows, words, the picture
 *   cost_curve_point.c     what a request of so many tokens costs
 *   cost_curve_cliffs.c    where that stops being smooth
 */
#ifndef COST_CURVE_H
#define COST_CURVE_H

#include <stdint.h>

#include "cmd/cost.h"
#include "lib/cost/bill.h"
#include "lib/cost/roof.h"
#include "lib/cost/work.h"

/* What decides a curve, the length of the prompt apart. */
struct curve {
    struct work_model model;    /* shape NULL: not known, prices alone */
    const struct roof_setup *roof;      /* NULL: no device */
    const struct book *book;
    struct biller *bill, *flat; /* NULL: no prices; flat: as if there were no context tiers */
    int64_t at_ns;
    int64_t output;             /* tokens made, 1 or more */
    double cached;              /* share of the prompt */
};

enum curve_kind { CURVE_FLOPS, CURVE_SECONDS, CURVE_JOULES, CURVE_USD, CURVE_KINDS };

struct curve_point {
    int64_t prompt, cached;
    double cost[CURVE_KINDS];   /* NAN: not known */
    double next[CURVE_KINDS];   /* that one more token of the prompt adds, as many being cached */
    double slope[CURVE_KINDS];  /* what a token adds while the cached share stays as it is */
    double linear[CURVE_KINDS]; /* the linear assumption, NAN where there is none */
    double score_share;         /* of the FLOPs, in scores and values */
    double kv_bytes;            /* that the sequence holds in the end */
    money usd, next_usd, linear_usd;
};

/* Of a prompt of so many tokens; dies where the device cannot do it. */
void curve_point(const struct curve *c, int64_t prompt, struct curve_point *out);
/* BILL_PRICED, or not: out->why says so. */
int curve_bill(const struct curve *c, struct biller *with, int64_t prompt, int64_t cached,
               struct bill *out);
int64_t curve_cached(const struct curve *c, int64_t prompt);
/* Positions that are computed, the last token made not among them. */
int64_t curve_positions(const struct curve *c, int64_t prompt);

/* A length from which on something is different, the first one. */
struct curve_cliff {
    int64_t prompt;
    const char *event;          /* "context", "window", "memory", "tier", "scores", "double" */
    char *words;
};
/* All of them in (from, to], in the order of their lengths; the caller frees with
 * curve_cliffs_free. */
struct curve_cliff *curve_cliffs(const struct curve *c, int64_t from, int64_t to, int *n);
void curve_cliffs_free(struct curve_cliff *cliff, int n);

#endif
