/* shape_build.c - layers from published numbers, and the weights that follow from them
 *
 * A model without a file of tensors at hand has its parameters computed: the matrices of attention
 * and of gated FFNs, norms and biases. For the models whose makers publish exact counts the result
 * is the same number (tests/test_shape_find.c).
 */
#include "lib/shape/shape_build.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"

/* ---- layers ----------------------------------------------------------------------------- */

static int in_range(const char *name, int64_t v, int64_t min, int64_t max, struct err *err) {
    if (v >= min && v <= max)
        return 1;
    err_set(err, "%s: expected %lld to %lld, found %lld", name, (long long)min, (long long)max,
            (long long)v);
    return 0;
}

static int check_attention(const struct shape_dims *d, const struct shape_layer *l,
                           struct err *err) {
    if (!d->dk && d->d_model % d->heads)
        return err_set(err, "heads: expected a divisor of d_model %d, or dk, found %d", d->d_model,
                       d->heads);
    if (d->heads % l->kv_heads)
        return err_set(err, "heads: expected a multiple of kv_heads %d, found %d", l->kv_heads,
                       d->heads);
    if (!in_range("dk", l->dk, 1, ARCH_MAX_HEAD, err) ||
        !in_range("dv", l->dv, 1, ARCH_MAX_HEAD, err) ||
        !in_range("kv_latent", l->kv_latent, 0, ARCH_MAX_WIDTH, err) ||
        !in_range("q_latent", l->q_latent, 0, ARCH_MAX_WIDTH, err) ||
        !in_range("rope_dims", l->rope_dims, 0, l->kv_latent ? l->dk : 0, err) ||
        !in_range("window", d->window, 0, INT32_MAX, err) ||
        !in_range("window_period", d->window_period, 0, ARCH_MAX_LAYERS, err))
        return -1;
    return 0;
}

static int check_ffn(const struct shape_dims *d, struct err *err) {
    int dense = d->experts ? d->dense_layers : d->layers;
    if (!in_range("experts", d->experts, 0, ARCH_MAX_EXPERTS, err) ||
        !in_range("dense_layers", d->dense_layers, 0, d->layers, err) ||
        !in_range("d_ff", d->d_ff, dense > 0, ARCH_MAX_FF, err) ||
        !in_range("d_shared", d->d_shared, 0, ARCH_MAX_FF, err))
        return -1;
    if (d->experts && (!in_range("top_k", d->top_k, 1, d->experts, err) ||
                       !in_range("d_expert", d->d_expert, 1, ARCH_MAX_FF, err)))
        return -1;
    return 0;
}

struct shape *shape_build(const struct shape_dims *d, struct err *err) {
    if (!in_range("layers", d->layers, 1, ARCH_MAX_LAYERS, err) ||
        !in_range("d_model", d->d_model, 1, ARCH_MAX_WIDTH, err) ||
        !in_range("vocab", d->vocab, 0, ARCH_MAX_FF, err) ||
        !in_range("context", d->context, 0, INT32_MAX, err) ||
        !in_range("heads", d->heads, 1, ARCH_MAX_HEADS, err) ||
        !in_range("kv_heads", d->kv_heads, 0, ARCH_MAX_HEADS, err))
        return NULL;
    struct shape_layer l = {
        .heads = d->heads, .kv_heads = d->kv_heads && !d->kv_latent ? d->kv_heads : d->heads,
        .dk = d->dk ? d->dk : d->d_model / d->heads,
        .kv_latent = d->kv_latent, .rope_dims = d->rope_dims, .q_latent = d->q_latent};
    l.dv = d->dv ? d->dv : l.dk;
    if (check_attention(d, &l, err) < 0 || check_ffn(d, err) < 0)
        return NULL;

    struct shape *s = mem_alloc(sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", d->name ? d->name : "");
    snprintf(s->arch, sizeof s->arch, "%s", d->arch ? d->arch : "");
    s->layers = d->layers;
    s->d_model = d->d_model;
    s->vocab = d->vocab;
    s->context = d->context;
    s->layer = mem_array((size_t)d->layers, sizeof *s->layer);
    for (int i = 0; i < d->layers; i++) {
        struct shape_layer *to = &s->layer[i];
        *to = l;
        if (d->window_period == 0 || i % d->window_period < d->window_period - 1)
            to->window = d->window;
        if (!d->experts || i < d->dense_layers) {
            to->d_ff = d->d_ff;
            continue;
        }
        to->experts = d->experts;
        to->top_k = d->top_k;
        to->d_expert = d->d_expert;
        to->d_shared = d->d_shared;
    }
    return s;
}

/* ---- weights ---------------------------------------------------------------------------- */

static int64_t times(int64_t a, int64_t b) {
    return a * b;
}

static int64_t attention_matrices(const struct shape_layer *l, int64_t d) {
    int64_t heads = l->heads;
    int64_t n = times(heads * l->dv, d);
    n += l->q_latent ? times(l->q_latent, d + heads * l->dk) : times(heads * l->dk, d);
    if (l->kv_latent)
        return n + times(l->kv_latent + l->rope_dims, d) +
               times(l->kv_latent, heads * (l->dk - l->rope_dims + l->dv));
    return n + times(l->kv_heads, l->dk + l->dv) * d;
}

/* Norms, biases, sinks: a layer's vectors, its routed experts' left out. */
static int64_t vectors(const struct shape_layer *l, const struct shape_dims *d) {
    int64_t q = times(l->heads, l->dk), k = times(l->kv_heads, l->dk);
    int64_t n = times(d->norms ? d->norms : 2, d->d_model);
    if (l->kv_latent)
        n += l->kv_latent + l->q_latent;
    if (d->qk_norm)
        n += d->qk_norm == SHAPE_QK_FULL ? q + k : 2 * l->dk;
    if (d->bias & BIAS_QKV)
        n += q + k + times(l->kv_heads, l->dv);
    if (d->bias & BIAS_OUT)
        n += d->d_model;
    if (d->bias & BIAS_ROUTER)
        n += l->experts;
    if (d->bias & BIAS_FFN && l->d_ff)
        n += 2 * l->d_ff + d->d_model;
    return n + (d->sinks ? l->heads : 0);
}

#define MOST_PARAMS 0x1p53      /* exact in every JSON reader, and far from 64 bits in bytes */

int shape_weigh(struct shape *s, const struct shape_dims *d, struct err *err) {
    double bits = d->bits ? d->bits : 16;
    double matrix_bits = d->matrix_bits ? d->matrix_bits : bits;
    double expert_bits = d->expert_bits ? d->expert_bits : matrix_bits;
    int64_t width = s->d_model, embed = times(s->vocab, width);
    int64_t other = embed + (d->tied ? 0 : embed) + width;
    double bytes = (double)other * bits / 8;
    int64_t idle = d->tied ? 0 : embed;     /* of the parameters, those that a token does not use */

    s->tied = d->tied;
    s->shared_gate = d->shared_gate;
    s->qk_norm = d->qk_norm;
    s->post_norms = d->norms > 2;
    snprintf(s->quant, sizeof s->quant, "%s", d->quant ? d->quant : "BF16");
    s->head_bytes = (int64_t)((double)(embed + width) * bits / 8);
    s->dense_bytes = mem_array((size_t)s->layers, sizeof *s->dense_bytes);
    s->expert_bytes = mem_array((size_t)s->layers, sizeof *s->expert_bytes);
    s->params = other;
    double sum = (double)other;     /* of what s->params has no room for, too */
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        int64_t matrices = attention_matrices(l, width) + 3 * times(l->d_ff + l->d_shared, width);
        int64_t small = vectors(l, d) + times(l->experts, width) +
                        (d->shared_gate && l->d_shared ? width : 0);
        int64_t expert = 3 * times(l->d_expert, width);
        int64_t expert_small = d->bias & BIAS_FFN && l->experts ? 2 * l->d_expert + width : 0;
        sum += (double)(matrices + small) + l->experts * (double)(expert + expert_small);
        if (sum > MOST_PARAMS)
            return err_set(err, "expected a model of at most 2^53 parameters, found more");
        double dense = ((double)matrices * matrix_bits + (double)small * bits) / 8;
        double one = ((double)expert * expert_bits + (double)expert_small * bits) / 8;
        s->dense_bytes[i] = (int64_t)dense;
        s->expert_bytes[i] = l->experts ? (int64_t)one : 0;
        s->params += matrices + small + l->experts * (expert + expert_small);
        idle += (l->experts - l->top_k) * (expert + expert_small);
        bytes += dense + l->experts * one;
    }
    s->params_active = s->params - idle;
    s->weight_bytes = (int64_t)bytes;
    return 0;
}
