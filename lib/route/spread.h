/* spread.h - over how many experts tokens spread: unique experts against draft length or batch
 *
 *     struct spread *s = spread_new(set, SPREAD_DECODE, SPREAD_BESIDE);
 *     struct spread_mean m = spread_mean(s, 8, NULL, &(struct boot){.seed = 1});
 *     double formula = spread_formula(128, 6, 8);
 *     spread_free(s);
 *
 * What a pass over B tokens reads is not B times what one token reads: experts that several of its
 * tokens use are read once. Unique experts of B tokens in a layer are counted here
 *
 *   of consecutive tokens of one request (what verifies a draft, or prefills a piece), and
 *   of tokens of B different requests (what a batch decodes);
 *
 * beside what is assumed where nobody counts: that every token draws its k of N experts by itself,
 * N (1 - (1 - k/N)^B), or with the load that each expert had, sum_i 1 - (1 - p_i)^B. Neighbours
 * choose alike, so that both overcount inside one request.
 *
 * Consecutive tokens: those of a request in the order of the trace while positions follow each
 * other; drafted tokens that were taken back are no part of it. A window with a token without a
 * recorded expert in a layer (positions that a prefill skips in the last one) does not count there.
 * Published figures (BigMoeOnEdge's trace of Qwen3-30B-A3B: 9.73 of 2 tokens, 23.78 of 8, 43.40 of
 * 32) are of windows side by side over the decoded tokens; sliding windows (9.72, 23.56, 42.47) are
 * the mean over all places where the first can begin, and waste nothing of a short trace.
 */
#ifndef SPREAD_H
#define SPREAD_H

#include <stdint.h>

#include "lib/stat/boot.h"
#include "lib/trace/routed.h"

enum spread_phase {
    SPREAD_ALL, SPREAD_PREFILL, SPREAD_DECODE,
    SPREAD_BEST                 /* decoding where the trace has any, else all */
};

enum spread_windows {
    SPREAD_BESIDE,              /* side by side from the start of each sequence; a rest is left */
    SPREAD_SLIDING,             /* one begins at every token */
    SPREAD_PASSES               /* what each pass had of a request, drafted tokens that were taken
                                 * back too; of b tokens are the passes with just b of them */
};

struct spread;

/* The sequences of a trace, which is borrowed until spread_free. */
struct spread *spread_new(const struct routed_set *set, enum spread_phase phase,
                          enum spread_windows windows);
void spread_free(struct spread *s);                     /* NULL is fine */
int64_t spread_tokens(const struct spread *s);          /* that are in a sequence */
int64_t spread_requests(const struct spread *s);        /* with such tokens */
int64_t spread_longest(const struct spread *s);         /* tokens of the longest sequence */

/* ---- consecutive tokens ------------------------------------------------------------------- */

struct spread_mean {
    int64_t windows;            /* 0: no so many tokens follow each other */
    double mean;                /* over windows and layers, in units of the weights; else NAN */
    struct interval interval;   /* {NAN, NAN}: too few windows, or not asked for */
};

/* Unique experts of b tokens (b >= 1): the mean over windows of the layers' weighted mean. weight
 * [layers] is NULL for the plain mean; with bytes of an expert, mean times the sum of weights are
 * the bytes that a pass over b tokens reads. boot NULL: no interval. The interval draws whole
 * requests where there are SPREAD_REQUESTS_DRAWN or more; else blocks of neighbouring windows, at
 * least b tokens and the cube root of all of them long (Hall, Horowitz, Jing, "On blocking rules
 * for the bootstrap with dependent data", 1995), and then speaks of these requests alone. */
struct spread_mean spread_mean(const struct spread *s, int64_t b, const double *weight,
                               const struct boot *boot);
#define SPREAD_REQUESTS_DRAWN 10
/* mean[layers] becomes the mean of each layer, NAN without a window. Returns the windows. */
int64_t spread_layers(const struct spread *s, int64_t b, double *mean);
/* Sliding windows of every length at once, whatever spread_new was told: mean[b - 1] for b from 1
 * to most is the mean over layers of a layer's mean, NAN without a window. In time of the uses and
 * of most: a use that comes g tokens after the one before of its expert (or the start) and h tokens
 * before the end is the first of its kind in min(g, b) - max(0, b - h) windows, a trapezoid in b,
 * so that histograms of g, h and g + h hold all lengths. */
void spread_curve(const struct spread *s, int64_t most, double *mean);

/* ---- what is assumed ---------------------------------------------------------------------- */

/* experts (1 - (1 - k / experts)^b) */
double spread_formula(int experts, double k, double b);
/* Mean over layers of sum_i 1 - (1 - p_i)^b, p_i being the share of the tokens above that used
 * expert i. mean_layer [layers] may be NULL. NAN without tokens. */
double spread_by_load(const struct spread *s, double b, double *mean_layer);

/* ---- batches ------------------------------------------------------------------------------ */

/* Unique experts of one token each of b different requests, any of the tokens above and any of the
 * requests as likely as another: exact, not drawn. mean[i] is for batch[i] (1 or more), the mean
 * over layers; NAN where there are fewer requests. In time of requests x largest batch x experts x
 * layers. */
void spread_batches(const struct spread *s, const int64_t *batch, int n, double *mean);
/* The same of windows of b consecutive tokens of each (sliding ones), as when every request of a
 * batch verifies a draft; weight as in spread_mean. Where fewer requests have such a window,
 * windows are drawn from all of the trace as if from different requests, which undercounts. NAN:
 * there is no such window. */
double spread_batch(const struct spread *s, int64_t b, int64_t batch, const double *weight);

#endif
