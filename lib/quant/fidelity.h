/* fidelity.h - how far a model's predictions are from those of the model that it was made from
 *
 *     struct fidelity f;
 *     fidelity_open(&f, vocab, chunk);
 *     fidelity_add(&f, par, &(struct fidelity_rows){.base = a, .other = b, .token = next, .n = n});
 *     struct fidelity_summary s;
 *     fidelity_sum(&f, FIDELITY_BY_CHUNK, &boot, &s);
 *     fidelity_close(&f);
 *
 * Each prediction is a row of logits of both models after the same tokens, and the token that came:
 *
 *     p = softmax(base), q = softmax(other)
 *     nll = -log q[token], nll_base = -log p[token]
 *     kl  = sum over i of p[i] (log p[i] - log q[i])          (Kullback and Leibler 1951)
 *     dp  = q[token] - p[token]
 *     top = both have their largest logit at the same token (the first one of equal ones)
 *
 * all sums in double, in an order that depends on the vocabulary alone. Rows that are alike have a
 * kl of exactly 0. A log-probability further than 700 below the row's largest counts as that.
 */
#ifndef FIDELITY_H
#define FIDELITY_H

#include <stdint.h>

#include "lib/base/par.h"
#include "lib/stat/boot.h"

struct fidelity {
    int64_t vocab;
    int64_t chunk;              /* predictions of a chunk of the text */
    int64_t n, room;            /* predictions so far */
    int64_t broken;             /* of them with a NaN or an infinity in either row */
    double *nll, *nll_base, *kl, *dp;   /* [n] NAN where broken */
    uint8_t *top;               /* [n] */
};

/* Log-probabilities in 16 bits, as llama.cpp's files of base logits have them (lib/quant/klbase.h):
 * log p[i] = scale * code[i] + least. */
struct fidelity_coded {
    float scale, least;
    const uint16_t *code;       /* [vocab] */
};

struct fidelity_rows {
    const float *base;          /* [n][vocab] logits; NULL: */
    const struct fidelity_coded *coded;     /* [n] */
    const float *other;         /* [n][vocab] logits */
    const int32_t *token;       /* [n] the token that came, below vocab */
    int64_t n;
};

void fidelity_open(struct fidelity *f, int64_t vocab, int64_t chunk);
void fidelity_close(struct fidelity *f);
/* Adds n predictions behind those that are there; rows are shared out among the threads. Of coded
 * rows kl leaves out what has a log-probability of -16 or less, where llama.cpp cuts them off. */
void fidelity_add(struct fidelity *f, struct par *par, const struct fidelity_rows *rows);

/* What counts as one sample where errors are estimated. Predictions of one text are alike, so that
 * errors by token come out too small; llama-perplexity prints those. */
enum fidelity_unit { FIDELITY_BY_CHUNK, FIDELITY_BY_TOKEN };

/* A mean and its standard error, NAN with one sample. */
struct fidelity_mean {
    double mean, error;
};

#define FIDELITY_QUANTILES 10
/* 0, 0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1 */
extern const double fidelity_quantile[FIDELITY_QUANTILES];

struct fidelity_summary {
    int64_t tokens, chunks;
    struct fidelity_mean ppl, ppl_base;         /* exp of the mean nll */
    struct fidelity_mean ratio;                 /* ppl / ppl_base */
    struct fidelity_mean difference;            /* ppl - ppl_base */
    double correlation;                         /* of nll and nll_base, token by token */
    struct fidelity_mean kl;
    struct interval kl_interval, ratio_interval;    /* bootstrap over the samples */
    double kl_at[FIDELITY_QUANTILES];           /* quantiles of kl, between neighbours by a line */
    double dp_at[FIDELITY_QUANTILES];
    struct fidelity_mean top;                   /* share */
    struct fidelity_mean dp;
    struct fidelity_mean dp_rms;                /* root of the mean of dp squared */
};
/* Of all predictions; where any is broken all numbers but the counts are NAN. */
void fidelity_sum(const struct fidelity *f, enum fidelity_unit unit, const struct boot *boot,
                  struct fidelity_summary *out);
/* The mean of x[n] with the error that samples of `each` neighbours give. */
struct fidelity_mean fidelity_average(const double *x, int64_t n, int64_t each);

#endif
