/* agreement.h - do two models choose the same experts, given the same tokens
 *
 *     struct agreement *a = agreement_new(shape_a, shape_b, chunk);
 *     agreement_add(a, expert_a, weight_a, expert_b, weight_b, rows);
 *     for (int i = 0; i < agreement_layers(a); i++)
 *         agreement_layer(a, i, &layer);
 *     agreement_free(a);
 *
 * Of each token's k experts in a layer: how many both chose, whether the first is the same, and how
 * far the weights are apart: sum over experts of |w_a - w_b|, one that is not chosen weighing 0.
 */
#ifndef AGREEMENT_H
#define AGREEMENT_H

#include <stdint.h>

#include "lib/quant/fidelity.h"
#include "lib/shape/shape.h"

struct agreement;

/* chunk: how many tokens are one sample where errors are estimated. NULL: the two have no
 * routed experts, or other ones in some layer (number, k). */
struct agreement *agreement_new(const struct shape *a, const struct shape *b, int64_t chunk);
void agreement_free(struct agreement *a);
/* n rows of both as a pass gives them, [n][moe layers][the largest k], -1 where a layer has
 * fewer. Rows come chunk by chunk. */
void agreement_add(struct agreement *a, const int32_t *expert, const float *weight,
                   const int32_t *expert_b, const float *weight_b, int n);

struct agreement_figures {
    int layer;                  /* of the model */
    int experts, top_k;
    int64_t rows;
    struct fidelity_mean same;  /* share of the chosen experts that both chose */
    struct fidelity_mean first; /* share of tokens with the same first expert */
    struct fidelity_mean all;   /* share of tokens with the same experts, in any order */
    struct fidelity_mean weights;   /* mean of the sum of |w_a - w_b| */
};
int agreement_layers(const struct agreement *a);        /* those with experts */
/* Errors over whole chunks; NAN below two of them. */
void agreement_layer(const struct agreement *a, int i, struct agreement_figures *out);
/* The mean over the layers of `same`; its error over chunks. */
struct fidelity_mean agreement_mean(const struct agreement *a);

#endif
