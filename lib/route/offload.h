/* offload.h - caches of experts replayed over a trace: what each policy would have had to load
 *
 *     struct offload *o = offload_new(set, 0, &err);
 *     struct offload_job jobs[] = {{.policy = offload_policy("lru"), .budget = 2e9},
 *                                  {.policy = offload_policy("belady"), .budget = 2e9}};
 *     struct offload_result res[2];
 *     offload_run(o, jobs, res, 2, &options);
 *     double ratio = (double)res[0].hits / (double)res[0].lookups;
 *     offload_free(o);
 *
 * Experts lie in a slow memory, and a fast one holds as many bytes of them as the budget says. A
 * batch is one layer of one pass: what the rows of the pass chose in that layer, each expert once,
 * in the order of their last mention (rows one after the other, a row's experts as the trace has
 * them). Each is one lookup; those not there are loaded. When the batch is done experts are evicted
 * until the budget holds, but never one that the batch touched: so a batch larger than the budget
 * stays until the next one. This is the accounting of BigMoeOnEdge, whose published curves come out
 * to the last digit.
 *
 * A pass decodes unless it is a prefill: all its rows say so, and there are several. Rows that were
 * taken back (accepted 0) are looked up like others.
 */
#ifndef OFFLOAD_H
#define OFFLOAD_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/trace/routed.h"

#define OFFLOAD_NEVER UINT32_MAX

/* A trace made ready. Experts of all layers are numbered: layer * experts + expert. */
struct offload {
    int layers, experts, k;
    int64_t passes, batches, lookups;
    int64_t *bytes;             /* [layers] of one expert */
    int64_t all_bytes;          /* of all experts */
    int64_t cycle_bytes;        /* of one token: k experts of each layer */
    int64_t pass_bytes;         /* what a pass that decodes uses, the median; 0: none does */
    int64_t *first;             /* [batches + 1] its first lookup */
    int32_t *layer;             /* [batches] */
    uint32_t *pass;             /* [batches] */
    int16_t *expert;            /* [lookups] */
    uint8_t *decode;            /* [passes] 1: not a prefill */
    uint32_t *tokens;           /* [passes] rows that were not taken back */
    uint32_t *next;             /* [lookups] the batch that uses it next, OFFLOAD_NEVER: none */
    uint32_t *first_use;        /* [layers * experts] batch */
    const struct routed_set *set;       /* borrowed */
};

/* expert_bytes: of every expert, 0: as the trace says. NULL when it does not, or when a pass or
 * batch cannot be numbered by 32 bits. An empty trace has no batches. */
struct offload *offload_new(const struct routed_set *set, double expert_bytes, struct err *err);
void offload_free(struct offload *o);                   /* NULL is fine */

/* ---- policies --------------------------------------------------------------------------- */

struct offload_policy {
    const char *name, *words;
    const char *param;          /* the one it takes, NULL: none */
    double least, most, standard;       /* of the parameter */
    const struct offload_ops *ops;
    int variant;                /* of a file that does several */
};

/* All, ended by a NULL name. */
const struct offload_policy *offload_policies(void);
const struct offload_policy *offload_policy(const char *name);      /* NULL: not known */

/* ---- guesses ---------------------------------------------------------------------------- */

/* Which experts a batch will use, guessed some batches before it, for passes that decode. */
enum offload_guesser {
    OFFLOAD_PREVIOUS,           /* those of each request's last row in the pass before */
    OFFLOAD_STATIC,             /* the layer's most used so far */
    OFFLOAD_FOLLOW,             /* those that most often followed the ones just used (see below) */
    OFFLOAD_PERFECT             /* those that it will use: the bound */
};

struct offload_guess_options {
    enum offload_guesser how;
    int width;                  /* experts, 0: k. PREVIOUS: of each row */
    int ahead;                  /* batches before, 0: 1; at most the layers */
    const double *count;        /* [layers][experts] tokens seen before the trace; NULL: none */
};

struct offload_guess {
    int ahead;
    int64_t *first;             /* [batches + 1] */
    int16_t *expert;            /* no expert twice in a batch */
};

/* FOLLOW learns, as the trace goes by, how often expert j was used `ahead` batches after expert i
 * by the same row, and takes the largest sums over i of count(i, j) / count(i). NULL when there are
 * too many experts for such a table. */
struct offload_guess *offload_guess(const struct offload *o, const struct offload_guess_options *g,
                                    struct err *err);
void offload_guess_free(struct offload_guess *g);       /* NULL is fine */

/* ---- replays ---------------------------------------------------------------------------- */

struct offload_job {
    const struct offload_policy *policy;
    double param;               /* of the policy, 0: its standard */
    int per_layer;              /* 1: each layer has a cache of its own, budget / layers */
    double budget;              /* bytes; INFINITY: all */
    const struct offload_guess *guess;          /* what is loaded ahead; NULL: nothing. Borrowed */
};

struct offload_options {
    struct par *par;            /* NULL: this thread alone */
    uint64_t seed;              /* of random */
    int64_t warmup;             /* passes at the front that are replayed but not counted */
    const double *hot;          /* [layers][experts] uses in another trace, for the policy hot;
                                 * NULL: it learns from the first part of this one */
    /* Rates of the time. 0: no time. */
    double compute_bytes_per_s; /* weights into the arithmetic */
    double link_bytes_per_s;    /* an expert into the fast memory */
    double link_latency_s;      /* of each load */
    const double *dense_bytes;  /* [layers] weights beside the experts; NULL: none */
    double other_bytes;         /* of a pass, outside of these layers */
    int overlap;                /* 1: experts that are there are computed while others load */
};

/* Of what was counted. */
struct offload_result {
    int64_t lookups, hits;
    int64_t decode_lookups, decode_hits;
    int64_t decode_passes;
    int64_t decode_tokens;      /* not taken back */
    int64_t loads;              /* experts, missed or ahead */
    int64_t evictions;
    int64_t bytes_read, decode_bytes_read;      /* all loads */
    int64_t prefetched_bytes;   /* of those, loaded ahead */
    int64_t useful_bytes;       /* of those, used before they were evicted */
    int64_t peak_bytes;         /* the most that the cache held, what it had to keep included */
    double decode_s;            /* of the passes that decode */
    double decode_load_s;       /* the link was busy for them */
    double decode_stall_s;      /* the arithmetic waited for it */
};

/* How long a pass takes: each layer reads its dense bytes, then its batch's experts, at
 * compute_bytes_per_s. Loads go one after the other over the link, each latency + bytes / rate:
 * a batch's missing experts once its layer's dense part is done, then what is loaded ahead. A batch
 * waits for all of its experts; with overlap only those that are not there yet do. What a guess
 * loads ahead moves beside the arithmetic, and wins where that takes long enough. Neither the KV
 * cache nor the arithmetic itself is counted: decoding waits for weights.
 *
 * Results do not depend on the number of threads. */
void offload_run(const struct offload *o, const struct offload_job *jobs,
                 struct offload_result *results, int n, const struct offload_options *opt);

#endif
