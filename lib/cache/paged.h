/* paged.h - what paging the KV cache buys over contiguous allocation, replayed from lengths
 *
 *     struct paged_setup s = {.scheme = PAGED_BLOCKS, .block_tokens = 16, .memory_tokens = 500000,
 *                             .decode_tps = 30, .prefill_tokens = 300};
 *     paged_run(&s, request, n, &result, &err);
 *
 * After Kwon et al. 2023, "Efficient Memory Management for Large Language Model Serving with
 * PagedAttention" (arXiv 2309.06180), section 3 and figure 2. Prefixes are not shared here.
 *
 * The engine works in passes of 1 / decode_tps seconds. Every running sequence whose prompt is
 * computed gets one token from each pass. Prompts are computed one after the other in the order
 * of admission, prefill_tokens of them a pass, beside the tokens; the pass that computes the last
 * token of a prompt gives the sequence its first token. A pass lasts as long whatever is in it.
 *
 * What happens before pass p, in this order:
 *   1. sequences that have all their tokens leave and free their memory;
 *   2. requests that have come (time <= p / decode_tps) join the queue;
 *   3. paging only: running sequences, in the order of arrival, that need one more block for the
 *      token of this pass get it. When none is free, the one that came last of those running is
 *      preempted, be it the one that asks: it frees its blocks, goes to the head of the queue and,
 *      once admitted again, computes its prompt and the tokens that it had as a prompt;
 *   4. unless step 3 preempted, the head of the queue is admitted as long as its memory is there
 *      and fewer than most_running run.
 *
 * A sequence holds its prompt from its admission on, and each token from the pass that makes it:
 * input + output tokens in the end. Paging admits with the blocks for the prompt and one token,
 * and takes a block more when they are full. Contiguous schemes take all they will ever need when
 * they admit, in one piece of an arena (lib/cache/arena.h).
 *
 * A token slot that was taken is, in each pass, one of
 *   used      holds a token
 *   reserved  will hold one of its sequence's tokens later
 *   internal  belongs to a sequence that will never use it: the rest of its last block, or what a
 *             scheme reserved beyond the true length
 *   external  was handed out on top of what was asked for: the buddy allocator's rounding
 */
#ifndef PAGED_H
#define PAGED_H

#include <stdint.h>

#include "lib/base/err.h"

enum paged_scheme {
    PAGED_MAX,                  /* contiguous: the longest sequence there may be, for everyone */
    PAGED_POW2,                 /* contiguous: the input and the next power of two of the output */
    PAGED_ORACLE,               /* contiguous: the input and the output, known in advance */
    PAGED_BLOCKS                /* blocks of block_tokens, taken when needed */
};

struct paged_request {
    int64_t time_ns;            /* not decreasing */
    int64_t input_tokens, output_tokens;    /* 0 to PAGED_MOST_TOKENS each */
};

#define PAGED_MOST_TOKENS ((int64_t)1 << 40)

struct paged_setup {
    enum paged_scheme scheme;
    int first_fit;              /* contiguous schemes: instead of the buddy allocator */
    int64_t block_tokens;       /* PAGED_BLOCKS */
    int64_t memory_tokens;      /* 1 to PAGED_MOST_TOKENS */
    int64_t max_tokens;         /* PAGED_MAX: what it reserves; longer sequences are refused */
    int64_t most_running;       /* 0: no limit */
    int64_t spare_blocks;       /* PAGED_BLOCKS: left free by an admission beside others */
    double decode_tps;          /* passes a second */
    int64_t prefill_tokens;     /* of a pass; 0: the pass after admission computes any prompt */
    int (*progress)(void *arg, int64_t done, int64_t total);    /* requests; not 0 cancels */
    void *arg;
};

struct paged_result {
    int64_t requests;           /* served */
    int64_t refused;            /* longer than the memory, or than max_tokens */
    int64_t output_tokens;      /* of those served */
    int64_t most_running;
    double mean_running;        /* over passes in which any sequence runs, as all means here */
    double mean_used, mean_reserved, mean_internal, mean_external;     /* tokens */
    int64_t most_taken;         /* tokens, all four kinds */
    double mean_stranded;       /* free tokens in passes that leave a request waiting; NaN: none */
    double queue_mean_s, queue_p50_s, queue_p99_s, queue_max_s;    /* arrival to first admission */
    int64_t preemptions;
    int64_t recomputed_tokens;  /* were computed, and thrown away by preemptions */
    double busy_s;              /* with any sequence running */
    double makespan_s;          /* from the first arrival to the end of the last sequence */
};

const char *const *paged_scheme_names(void);            /* "max", ..., NULL */
/* Replays n requests. 0, or -1 when progress cancelled or a request is out of bounds. */
int paged_run(const struct paged_setup *s, const struct paged_request *request, int64_t n,
              struct paged_result *out, struct err *err);

#endif
