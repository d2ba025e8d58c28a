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
 * FLOPs: a multiply-add counts two. Active parameters, look-ups and the head: see shape.h. Every
 * pass of llm-run counts the same (llm-trace(5)): its decode steps to the last FLOP and byte, its
 * prompts with prune_last, but for experts, whose number it measures.
 */
#ifndef WORK_H
#define WORK_H

#include <stdint.h>

#include "lib/shape/shape.h"

#define WORK_DRAFT_MOST 1024

/* How a model is served. Zero is the plain way of today's engines: KV cache, flash attention,
 * sparse experts, weights as stored, no speculation. */
struct work_model {
    const struct shape *shape;
    double weight_bits;         /* of every element of a matrix, draft model included; 0: as stored.
                                 * Norms and biases count where they are kept, not where read */
    double kv_bits;             /* of a KV element; 0: 16 */
    int64_t batch;              /* sequences of a decode step; 0: 1 */

    int dense_experts;          /* 1: every expert runs for every token, as in a dense model */
    int no_kv_cache;            /* 1: every decode step computes its whole context again */
    int no_flash;               /* 1: scores and probabilities, 2 bytes each, are both written to
                                 * memory and read back (FlashAttention, arXiv 2205.14135,
                                 * algorithm 0), masked ones included */
    int prune_last;             /* 1: rows without logits leave the last layer once their keys and
                                 * values are there, as in llm-run */
    int64_t block_tokens;       /* paged KV memory: tokens of a block; 0: not paged */
    int64_t reserve_tokens;     /* held for each sequence without paging; 0: what it uses */

    int draft;                  /* speculation: guesses a step, to WORK_DRAFT_MOST; 0: none */
    double accept;              /* chance that a guess is taken, given those before it */
    const struct shape *draft_shape;    /* NULL: guessing costs nothing (n-grams) */
    const double *experts;      /* [experts_n] measured distinct experts of a pass of 1, 2, ...
                                 * tokens, mean over layers; NULL: independent choices */
    int experts_n;
};

struct work {
    struct shape_flops flops;
    struct shape_bytes bytes;   /* weights once a pass, KV of every sequence */
    double attention_bytes, head_bytes;     /* what of bytes.dense those two have read */
    double score_flops;         /* what of flops.attention are scores and values over positions */
    double score_bytes;         /* no_flash: written and read */
    double draft_flops, draft_bytes;    /* of the draft model, not in the above */
    double rows;                /* that were computed */
    double tokens;              /* the same (prefill), or tokens expected out of the step */
    double passes;              /* through the model */
};

/* The prompt's tokens at positions [from, to) of one sequence in one pass, earlier ones cached,
 * logits of the last alone; the draft model's prefill, too. Nothing when to <= from. */
void work_prefill(const struct work_model *m, int64_t from, int64_t to, struct work *out);
/* One decode step: every sequence has `context` tokens in its cache, and computes one row, or
 * draft + 1 with speculation; logits of all. */
void work_decode(const struct work_model *m, int64_t context, struct work *out);
/* One whole request that is decoded beside batch - 1 others like it: its prefill (cached tokens at
 * the front; the last token of the prompt is computed in any case), and its share of the decode
 * steps that its output takes. The prefill gives the first token, the last is not computed on:
 * output - 1 steps, fewer with speculation. In closed form, or from some thousand points (without
 * a KV cache, experts): never a loop over a million tokens. */
void work_request(const struct work_model *m, int64_t cached, int64_t prompt, int64_t output,
                  struct work *prefill, struct work *decode);
void work_add(struct work *into, const struct work *w, double times);

double work_flops(const struct work *w);                /* all of them, draft included */
double work_bytes(const struct work *w);

/* Distinct experts that a pass of so many tokens touches in a layer, E (1 - (1 - k / E)^n) unless
 * they were measured; beyond what was measured, further tokens choose independently. All of them
 * with dense_experts, 0 in a layer without. */
double work_experts(const struct work_model *m, int layer, double tokens);
/* The least context at which scores and values take no fewer FLOPs of a decode step's row than all
 * else, the head included: from there a token costs twice what its matrices do. -1: never, since
 * every layer has a window. */
int64_t work_crossover(const struct work_model *m);
/* FLOPs that one more token of the prompt adds to work_request's, prefill and decode: the exact
 * difference, which that of two large sums is not. */
double work_next_flops(const struct work_model *m, int64_t prompt, int64_t output);
/* Tokens expected out of a speculative step, (1 - a^(g+1)) / (1 - a) (Leviathan et al., arXiv
 * 2211.17192); 1 without. */
double work_step_tokens(const struct work_model *m);
double work_weight_bytes(const struct work_model *m);   /* resident, draft model included */
/* KV memory that a sequence of so many tokens holds, blocks rounded up or its reservation; the
 * draft model's, too. */
double work_kv_bytes(const struct work_model *m, int64_t tokens);

#endif
