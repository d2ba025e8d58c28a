/* tally.h - reads a trace once and counts what was asked for
 *
 *     struct tally_options opt = {.recur = 1};
 *     struct tally *t = tally_read(routed, &opt, &err);
 *     balance_of(t->count + (size_t)layer * (size_t)t->experts, t->experts, &b);
 *     recur_result(t->recur, layer, &r);
 *     tally_free(t);
 *
 * Threads share the layers. Memory does not grow with the trace, but for what recur.h says of
 * requests.
 */
#ifndef TALLY_H
#define TALLY_H

#include "lib/route/balance_blocks.h"
#include "lib/route/recur.h"
#include "lib/route/together.h"
#include "lib/trace/routed.h"

struct tally_options {
    int recur, together;        /* 1: count these too */
    int threads;                /* 0: one per core this process may use */
    void (*seen)(void *arg, int64_t tokens);    /* called now and then; NULL: nobody is told */
    void *arg;
};

struct tally {
    int layers, experts;
    int64_t tokens, passes;
    double *count;              /* [layers][experts] tokens that used it */
    struct balance_blocks *blocks;
    struct recur *recur;        /* NULL: not asked for */
    struct together *together;  /* the same */
};

/* All that is left of a trace of tokens. NULL on error, also for more than 4 M experts in all
 * layers. Rows that are none: tokens is 0. */
struct tally *tally_read(struct routed *r, const struct tally_options *opt, struct err *err);
void tally_free(struct tally *t);                       /* NULL is fine */

#endif
