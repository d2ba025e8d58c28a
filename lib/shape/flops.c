/* flops.c - FLOPs and KV bytes of a pass, from the shape alone
 *
 * A [rows, cols] matrix times a vector is rows x cols multiply-adds: 2 FLOPs for each parameter
 * that takes part (Kaplan et al., arXiv 2001.08361, table 1). Attention over n positions costs
 * 2 n (dk + dv) for each head, scores and values; PaLM's 12 L H Q T a token (arXiv 2204.02311,
 * appendix B) is the same for dk = dv, with the backward pass, which is two thirds of it. Two
 * things are counted closer than there: of n tokens the i-th sees i, not n, and no more than
 * its window. A gated FFN has three matrices (Shazeer, arXiv 2002.05202). Norms, rotations,
 * activations, softmax and biases are left out, and the embedding is a look-up.
 *
 * Latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1) is counted as its equations stand:
 * every token's latent is expanded once into keys and values of all heads, and scores are taken
 * over those. An engine that keeps only latents may expand them again, or multiply queries into the
 * latent space instead (more work over positions, less over tokens); neither is counted.
 */
#include "lib/shape/shape.h"

static double product(int64_t rows, int64_t cols) {
    return 2.0 * (double)rows * (double)cols;
}

/* Positions that a row at pos attends to, itself included. */
static int64_t visible(const struct shape_layer *l, int64_t pos) {
    return l->window && pos >= l->window ? l->window : pos + 1;
}

/* ---- FLOPs ------------------------------------------------------------------------------ */

/* From a hidden vector to what attention needs of this token as one that others see. */
static double keys_and_values(const struct shape_layer *l, int64_t d) {
    if (!l->kv_latent)
        return product((int64_t)l->kv_heads * (l->dk + l->dv), d);
    int64_t expanded = (int64_t)l->heads * (l->dk - l->rope_dims + l->dv);
    return product(l->kv_latent + l->rope_dims, d) + product(expanded, l->kv_latent);
}

/* To this token's queries, and from the heads' results back. */
static double queries_and_output(const struct shape_layer *l, int64_t d) {
    int64_t heads = l->heads;
    double queries = l->q_latent ? product(l->q_latent, d) + product(heads * l->dk, l->q_latent)
                                 : product(heads * l->dk, d);
    return queries + product(d, heads * l->dv);
}

/* Scores and weighted values over one position that is seen. */
static double seen(const struct shape_layer *l) {
    return product(1, (int64_t)l->heads * (l->dk + l->dv));
}

static void add_attention(const struct shape *s, const struct shape_layer *l, int64_t pos,
                          unsigned parts, struct shape_flops *f) {
    if (parts & SHAPE_KV)
        f->attention += keys_and_values(l, s->d_model);
    if (parts & SHAPE_ATTENTION)
        f->attention += queries_and_output(l, s->d_model) + (double)visible(l, pos) * seen(l);
}

static void add_ffn(const struct shape *s, const struct shape_layer *l, struct shape_flops *f) {
    int64_t d = s->d_model;
    f->dense += 3 * product(l->d_ff, d) + 3 * product(l->d_shared, d) + product(l->experts, d);
    if (s->shared_gate && l->d_shared)
        f->dense += product(1, d);
    f->experts += l->top_k * 3 * product(l->d_expert, d);
}

void shape_add_layer_flops(const struct shape *s, int layer, int64_t pos, unsigned parts,
                           struct shape_flops *f) {
    add_attention(s, &s->layer[layer], pos, parts, f);
    if (parts & SHAPE_FFN)
        add_ffn(s, &s->layer[layer], f);
}

void shape_add_row_flops(const struct shape *s, int64_t pos, int head, struct shape_flops *f) {
    for (int i = 0; i < s->layers; i++)
        shape_add_layer_flops(s, i, pos, SHAPE_KV | SHAPE_ATTENTION | SHAPE_FFN, f);
    if (head)
        f->head += product(s->vocab, s->d_model);
}

/* Positions that the first n tokens of a sequence see, all together. */
static double visible_sum(const struct shape_layer *l, int64_t n) {
    int64_t rising = l->window && n > l->window ? l->window : n;
    return (double)rising * (double)(rising + 1) / 2 + (double)(n - rising) * (double)rising;
}

double shape_prefill_flops(const struct shape *s, int64_t from, int64_t to) {
    double sum = 0;
    if (to <= from)
        return 0;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        struct shape_flops token = {0};
        add_ffn(s, l, &token);
        sum += (double)(to - from) * (keys_and_values(l, s->d_model) +
                                      queries_and_output(l, s->d_model) + token.dense +
                                      token.experts) +
               (visible_sum(l, to) - visible_sum(l, from)) * seen(l);
    }
    return sum;
}

void shape_add_flops(struct shape_flops *into, const struct shape_flops *from, double times) {
    into->attention += from->attention * times;
    into->dense += from->dense * times;
    into->experts += from->experts * times;
    into->head += from->head * times;
}

void shape_add_bytes(struct shape_bytes *into, const struct shape_bytes *from, double times) {
    into->dense += from->dense * times;
    into->experts += from->experts * times;
    into->kv_read += from->kv_read * times;
    into->kv_write += from->kv_write * times;
}

double shape_sum_flops(const struct shape_flops *f) {
    return f->attention + f->dense + f->experts + f->head;
}

double shape_sum_bytes(const struct shape_bytes *b) {
    return b->dense + b->experts + b->kv_read + b->kv_write;
}

double shape_linear_flops(const struct shape *s) {
    return 2.0 * (double)s->params;
}

/* ---- KV --------------------------------------------------------------------------------- */

/* Of one token in one layer. */
static double kv_bytes(const struct shape_layer *l, double bits) {
    int64_t elements = l->kv_latent ? (int64_t)l->kv_latent + l->rope_dims
                                    : (int64_t)l->kv_heads * (l->dk + l->dv);
    return (double)elements * bits / 8;
}

double shape_kv_bytes(const struct shape *s, double bits) {
    double sum = 0;
    for (int i = 0; i < s->layers; i++)
        sum += kv_bytes(&s->layer[i], bits);
    return sum;
}

double shape_kv_read(const struct shape *s, int64_t first, int64_t last, double bits) {
    double sum = 0;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        sum += (double)(last - first + visible(l, first)) * kv_bytes(l, bits);
    }
    return sum;
}

double shape_sequence_kv_bytes(const struct shape *s, int64_t tokens, double bits) {
    double sum = 0;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        int64_t held = l->window && tokens > l->window ? l->window : tokens;
        sum += (double)held * kv_bytes(l, bits);
    }
    return sum;
}
