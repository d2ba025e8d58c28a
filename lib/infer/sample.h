/* sample.h - choose the next token from logits
 *
 * Order: repetition penalty, temperature 0 = greedy (ties: lowest id), else top-k, softmax at
 * temperature, top-p (nucleus, Holtzman et al., arXiv 1904.09751), min-p (relative to the most
 * likely, arXiv 2407.01082), draw. The random stream depends on the seed alone and is the same
 * on every machine.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stdint.h>

struct sample_options {
    float temperature;          /* 0: greedy */
    int top_k;                  /* 0: all */
    float top_p;                /* 1: all */
    float min_p;                /* 0: all */
    float repeat_penalty;       /* 1: none (Keskar et al., arXiv 1909.05858) */
    int repeat_last;            /* tokens it looks back on */
    uint64_t seed;
    const int32_t *banned;      /* [n_banned] tokens that are never drawn; copied */
    int n_banned;
};

struct sampler;

struct sampler *sampler_new(const struct sample_options *opt, int vocab);
void sampler_free(struct sampler *s);
/* Tells the sampler of a token in the text (prompt or made), for the penalty. */
void sampler_accept(struct sampler *s, int32_t token);
/* The next token. logits[vocab] are not changed. One that is NaN or minus infinity is never drawn;
 * when all are, the answer is 0. */
int32_t sampler_draw(struct sampler *s, const float *logits);
/* Starts again with another seed. */
void sampler_reset(struct sampler *s, uint64_t seed);

struct sample_logprob {
    int32_t token;
    float logprob;              /* natural log of the model's own probability */
};
/* Log-probability of `token` under softmax(logits), and the n most likely into top (descending,
 * may be NULL when n is 0; token -1 where there are fewer). */
float sample_logprobs(const float *logits, int vocab, int32_t token, struct sample_logprob *top,
                      int n);

#endif
