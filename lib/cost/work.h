/* work.h - what a pass of a model computes and moves, as a function of how it is served
 *
 *     struct work_model m = {.shape = s, .kv_bits = 16, .batch = 16, .accept = NAN};
 *     struct work w;
 *     work_prefill(&m, cached, prompt, &w);        // FLOPs and bytes of one prompt
 *     work_decode(&m, context, &w);                // of one step of 16 sequences
 *
 * lib/shape counts what one row needs; here stands what many rows together need under a design: how
 * many distinct experts a batch touches, what speculation adds to a step, what is read when scores
 * are written out, what paging wastes. Devices and time are roof.h's.
 *
 * FLOPs: a multiply-add counts two. Active parameters, look-ups and the head: see shape.h.
 */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

#include "lib/shape/shape.h"

/* How a model is served. Zero is the plain way of today's engines: KV cache, flash attention,
 * sparse experts, weights as stored, no speculation. */
struct work_model {
    const struct shape *shape;
    double weight_bits;         /* of all weights; 0: as stored */
    double kv_bits;             /* of a KV element; 0: 16 */
    int64_t batch;              /* sequences of a decode step; 0: 1 */

    int dense_experts;          /* 1: every expert runs for every token, as in a dense model */
    int no_kv_cache;            /* 1: every decode step computes its whole context again */
    int no_flash;               /* 1: scores and probabilities go to memory and come back */
    int64_t block_tokens;       /* paged KV memory: tokens of a block; 0: not paged */
    int64_t reserve_tokens;     /* held for each sequence without paging; 0: what it uses */

    int draft;                  /* speculation: tokens guessed a step; 0: none */
    double accept;              /* chance that a guess is taken, given those before it */
    const struct shape *draft_shape;    /* NULL: guessing costs nothing (n-grams) */
    const double *experts;      /* [experts_n] measured distinct experts of a pass of 1, 2, ...
                                 * tokens, mean over layers; NULL: independent choices */
    int experts_n;
};

struct work {
    struct shape_flops flops;
    struct shape_bytes bytes;   /* weights once a pass, KV of every sequence */
    double score_bytes;         /* no_flash: written and read */
    double draft_flops, draft_bytes;    /* of the draft model, not in the above */
    double tokens;              /* rows computed (prefill), or tokens expected out of the step */
    double passes;              /* through the model */
};

/* The prompt's tokens at positions [from, to) of one sequence in one pass, earlier ones cached,
 * logits of the last alone. */
void work_prefill(const struct work_model *m, int64_t from, int64_t to, struct work *out);
/* One decode step: every sequence has `context` tokens in its cache, and computes one row, or
 * draft + 1 with speculation. */
void work_decode(const struct work_model *m, int64_t context, struct work *out);
/* One whole request that is decoded beside batch - 1 others like it: its prefill (cached tokens at
 * the front), and its share of the decode steps that its output takes. Closed forms or sums over at
 * most some thousand points: never a loop over a million tokens. */
void work_request(const struct work_model *m, int64_t cached, int64_t prompt, int64_t output,
                  struct work *prefill, struct work *decode);
void work_add(struct work *into, const struct work *w, double times);

double work_flops(const struct work *w);                /* all of them, draft included */
double work_bytes(const struct work *w);

/* Distinct experts that a pass of so many tokens touches in a layer, E (1 - (1 - k / E)^n) unless
 * they were measured; experts run for all with dense_experts. */
double work_experts(const struct work_model *m, int layer, double tokens);
/* Tokens expected out of a speculative step, (1 - a^(g+1)) / (1 - a) (Leviathan et al., arXiv
 * 2211.17192); 1 without. */
double work_step_tokens(const struct work_model *m);
double work_weight_bytes(const struct work_model *m);   /* resident, draft model included */
/* KV memory that a sequence of so many tokens holds, blocks rounded up or its reservation. */
double work_kv_bytes(const struct work_model *m, int64_t tokens);

#endif
