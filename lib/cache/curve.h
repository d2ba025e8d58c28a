/* curve.h - hit ratios of a prefix cache at every capacity, or every time to live, in one pass
 *
 *     struct curve *c = curve_new(&(struct curve_options){.order = CURVE_LRU});
 *     while (reqs_next(r, &q, &err) == 1)
 *         curve_add(c, &q, &err);
 *     curve_finish(c, reqs_block_tokens(r), &err);
 *     struct curve_walk w = curve_walk(c);
 *     while (curve_step(&w))
 *         use(w.key, w.hit_blocks, w.hit_tokens);
 *     curve_free(c);
 *
 * A request's hit is the longest prefix of its blocks all of which are in the cache when it comes.
 * LRU at capacity C holds the C blocks used latest, so a block is there exactly when fewer than C
 * others were used since (its stack distance: R. L. Mattson, J. Gecsei, D. R. Slutz, I. L. Traiger,
 * "Evaluation techniques for storage hierarchies", IBM Systems Journal 9, 1970), and it is hit
 * exactly when that holds for every block up to it: when the largest distance so far is below C.
 * All distances are those at the request's arrival; then its blocks are used first to last
 * (CURVE_LRU) or last to first (CURVE_TAIL, the order of vLLM's free queue). With a time to live
 * in place of a capacity (CURVE_TTL; unlimited cache, renewed on every use) idle gaps take the
 * place of distances; a block lives through the last nanosecond.
 *
 * Memory grows with unique blocks alone: some 22 bytes each, and with times to live 64 more for
 * each different idle gap.
 */
#ifndef CURVE_H
#define CURVE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/format/zio.h"
#include "lib/trace/reqs.h"

struct curve;

enum curve_order { CURVE_LRU, CURVE_TAIL, CURVE_TTL };

struct curve_options {
    enum curve_order order;
    int block_tokens;           /* as the user says; 0: what the trace implies, at curve_finish */
    struct zio *save;           /* borrowed; not NULL: curve_finish leaves a file for curve_merge */
};

struct curve *curve_new(const struct curve_options *opt);
void curve_free(struct curve *c);                       /* NULL is fine */
/* A record without block ids, or without a time where order asks for one, is an error, which does
 * not name file and line. */
int curve_add(struct curve *c, const struct req *q, struct err *err);
/* After the last one. block_tokens 0: unknown, an error when the trace has lengths. */
int curve_finish(struct curve *c, int block_tokens, struct err *err);

struct curve_totals {
    int64_t requests, accesses;
    int64_t unique;             /* blocks; of independent caches the most that one has */
    int64_t input_tokens;
    int block_tokens;
};
const struct curve_totals *curve_totals(const struct curve *c);        /* after curve_finish */

/* ---- reading it ------------------------------------------------------------------------- */

/* The hits at `key` (capacity in blocks, time to live in nanoseconds) and from there up to below
 * the next step's key. Keys rise; before the first one there are no hits. */
struct curve_walk {
    const struct curve *curve;
    uint64_t key;
    int64_t hit_blocks, hit_tokens;
    uint64_t next;              /* private */
};
struct curve_walk curve_walk(const struct curve *c);
int curve_step(struct curve_walk *w);                   /* 1 a step, 0 the end */

/* ---- pieces of one trace ---------------------------------------------------------------- */

/* Adds what a curve saved. The files of consecutive pieces of a trace, added in order to a curve
 * that nothing else was added to, make exactly the curve of the whole (the idea of Q. Niu,
 * J. Dinan, Q. Lu, P. Sadayappan, "PARDA", IPDPS 2012): a piece leaves the requests that met a
 * block for the first time, as only earlier pieces know whether those were hits, and its blocks in
 * the order of their latest use. The result can itself be saved. Then call curve_finish with 0. */
int curve_merge(struct curve *c, const char *path, struct err *err);
/* Adds the counts alone: the curve of independent caches of the same capacity each. */
int curve_merge_independent(struct curve *c, const char *path, struct err *err);

#endif
