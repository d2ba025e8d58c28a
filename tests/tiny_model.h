/* tiny_model.h - tiny random models of every architecture, deterministic to the bit
 *
 *     struct tiny_model m = {.arch = tiny_arch("qwen2moe"), .type = KERN_Q4_K};
 *     tiny_write(&m, "model.gguf", &err);          // m.hash is the FNV hash of its tensors
 *
 * Shared by make_models (writes files for people and for the reference script) and test_logits
 * (writes them as it goes). The weights are scaled so that attention looks around, experts are
 * chosen for good reasons and logits have a deviation near 2: an error anywhere shows in them.
 *
 * Experts: were the router random, some tokens would sit on the edge between two experts, and
 * which way rounding tips them would drown what is measured. So the first elements of a token's
 * embedding say which experts it likes, with a clear gap, the router reads those, and what layers
 * add to them is small.
 */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/format/gguf.h"
#include "tests/quantize_simple.h"

enum { TINY_SPM, TINY_BPE };
enum { TINY_QK_NONE, TINY_QK_HEAD, TINY_QK_FULL };

struct tiny_arch {
    const char *name;           /* of the case */
    const char *arch;           /* general.architecture */
    int vocab_kind;
    int layers, heads, kv_heads, dk;
    int d_ff;                   /* dense FFN; 0: experts only */
    int experts, top_k, d_expert, d_shared;
    int window;
    int qkv_bias, qk_norm;
    int post_norms, tied, rope_factors;
    int split_experts;          /* one tensor per expert, as files of 2023 have it */
    float embed_std;            /* of the embeddings; layers' outputs are scaled alike */
    float rope_base;
};

enum {
    TINY_D = 256,               /* d_model: K-quants need a multiple of 256 */
    TINY_VOCAB = 323,           /* no multiple of a panel's 16 rows */
    TINY_CONTEXT = 1024
};

static const struct tiny_arch tiny_archs[] = {
    {.name = "llama", .arch = "llama", .vocab_kind = TINY_SPM, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 64, .d_ff = 512, .rope_factors = 1, .embed_std = 1, .rope_base = 5e5f},
    {.name = "mixtral", .arch = "llama", .vocab_kind = TINY_SPM, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 64, .experts = 8, .top_k = 2, .d_expert = 256, .embed_std = 1,
     .rope_base = 1e4f},
    {.name = "mixtral-split", .arch = "llama", .vocab_kind = TINY_SPM, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 64, .experts = 8, .top_k = 2, .d_expert = 256, .split_experts = 1,
     .embed_std = 1, .rope_base = 1e4f},
    {.name = "qwen2", .arch = "qwen2", .vocab_kind = TINY_BPE, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 64, .d_ff = 512, .qkv_bias = 1, .embed_std = 1, .rope_base = 1e6f},
    {.name = "qwen3", .arch = "qwen3", .vocab_kind = TINY_BPE, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 128, .d_ff = 512, .qk_norm = TINY_QK_HEAD, .tied = 1,
     .embed_std = 0.125f, .rope_base = 1e6f},
    {.name = "qwen2moe", .arch = "qwen2moe", .vocab_kind = TINY_BPE, .layers = 2, .heads = 4,
     .kv_heads = 2, .dk = 64, .experts = 8, .top_k = 3, .d_expert = 256, .d_shared = 512,
     .qkv_bias = 1, .embed_std = 1, .rope_base = 1e6f},
    {.name = "qwen3moe", .arch = "qwen3moe", .vocab_kind = TINY_BPE, .layers = 2, .heads = 4,
     .kv_heads = 1, .dk = 128, .experts = 8, .top_k = 3, .d_expert = 256,
     .qk_norm = TINY_QK_HEAD, .embed_std = 1, .rope_base = 1e6f},
    {.name = "olmoe", .arch = "olmoe", .vocab_kind = TINY_BPE, .layers = 2, .heads = 4,
     .kv_heads = 4, .dk = 64, .experts = 16, .top_k = 4, .d_expert = 256,
     .qk_norm = TINY_QK_FULL, .embed_std = 1, .rope_base = 1e4f},
    {.name = "gemma3", .arch = "gemma3", .vocab_kind = TINY_SPM, .layers = 7, .heads = 4,
     .kv_heads = 1, .dk = 128, .d_ff = 512, .window = 48, .qk_norm = TINY_QK_HEAD,
     .post_norms = 1, .tied = 1, .embed_std = 1.0f / 16, .rope_base = 1e6f},
};
enum { TINY_ARCHS = sizeof tiny_archs / sizeof *tiny_archs };

static const int tiny_types[] = {
    KERN_F32, KERN_F16, KERN_BF16, KERN_Q8_0, KERN_Q4_0, KERN_Q4_1, KERN_Q5_0, KERN_Q5_1,
    KERN_Q2_K, KERN_Q3_K, KERN_Q4_K, KERN_Q5_K, KERN_Q6_K, KERN_IQ4_NL, KERN_IQ4_XS, KERN_MXFP4,
    KERN_TQ2_0
};
enum { TINY_TYPES = sizeof tiny_types / sizeof *tiny_types };

struct tiny_model {
    const struct tiny_arch *arch;
    int type;                   /* of the matrices; norms, biases and routers are F32 */
    int dequantized;            /* write F32: the values that `type` makes of the weights */
    uint64_t hash;              /* out: FNV of names, types and bytes of all tensors */
};

static inline const struct tiny_arch *tiny_arch(const char *name) {
    for (int i = 0; i < TINY_ARCHS; i++)
        if (!strcmp(tiny_archs[i].name, name))
            return &tiny_archs[i];
    return NULL;
}

/* ---- values ------------------------------------------------------------------------------ */

enum tiny_fill {
    TINY_NORMAL,                /* near normal, deviation `a` */
    TINY_SCALES,                /* uniform in [a, b): weights of a norm, rope factors */
    TINY_SIGNED,                /* the same with random signs: with the embedding as head, it
                                 * keeps the logit of the token just read from winning always */
    TINY_EMBED,                 /* TINY_NORMAL, in front the experts that a token likes */
    TINY_ROUTER                 /* row e reads element (e + shift) of the input, see above */
};

struct tiny_tensor {
    char name[64];
    int type;
    int dims;
    int64_t ne[4];
    enum tiny_fill fill;
    float a, b;
    int shift;                  /* TINY_ROUTER: by layer, so that layers choose differently */
    int quiet;                  /* the first rows of a matrix, scaled down by 16 */
    int expert;                 /* split experts: which part of the tensor `source`; else -1 */
    char source[64];            /* name that seeds the numbers */
};

struct tiny_list {
    struct tiny_tensor t[256];
    int n;
    int type;
};

static inline int64_t tiny_count(const struct tiny_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2];
}

/* How much token `id` likes expert e: top_k of them clearly more than all others. */
static inline float tiny_liking(uint64_t seed, int64_t id, int e, const struct tiny_arch *a) {
    uint64_t own = random_bits(seed ^ 0x11, (uint64_t)(id * a->experts + e));
    int better = 0;

    for (int i = 0; i < a->experts; i++)
        better += random_bits(seed ^ 0x11, (uint64_t)(id * a->experts + i)) > own;
    return better < a->top_k ? random_uniform(seed ^ 0x22, own, 1.5f, 2.5f)
                             : random_uniform(seed ^ 0x22, own, -1.5f, -0.5f);
}

/* Element col of a row; i is its number in the tensor. */
static inline float tiny_value(const struct tiny_arch *a, const struct tiny_tensor *t,
                               uint64_t seed, int64_t row, int64_t col, uint64_t i) {
    float v;

    switch (t->fill) {
    case TINY_SCALES:
        return random_uniform(seed, i, t->a, t->b);
    case TINY_SIGNED:
        v = random_uniform(seed, i, t->a, t->b);
        return random_bits(seed ^ 0x33, i) & 1 ? v : -v;
    case TINY_EMBED:
        if (col < a->experts)
            return tiny_liking(seed, row, (int)col, a) * t->a;
        break;
    case TINY_ROUTER:
        if (col == (row + t->shift) % a->experts)
            return 1.5f;
        break;
    case TINY_NORMAL:
        break;
    }
    return random_normal(seed, i) * t->a;
}

/* The tensor's values as float into x[tiny_count]. */
static inline void tiny_values(const struct tiny_arch *a, const struct tiny_tensor *t, float *x) {
    uint64_t seed = fnv_bytes(fnv_bytes(FNV_START, a->arch, strlen(a->arch)), t->source,
                              strlen(t->source));
    int64_t cols = t->ne[0];
    uint64_t i = t->expert > 0 ? (uint64_t)(t->expert * tiny_count(t)) : 0;

    for (int64_t row = 0; row < t->ne[1] * t->ne[2]; row++, x += cols, i += (uint64_t)cols) {
        float std = row % t->ne[1] < t->quiet ? t->a / 16 : t->a;

        for (int64_t c = 0; c < cols; c++)
            x[c] = t->fill == TINY_NORMAL ? random_normal(seed, i + (uint64_t)c) * std
                                          : tiny_value(a, t, seed, row, c, i + (uint64_t)c);
    }
}

/* ---- which tensors ------------------------------------------------------------------------ */

static inline struct tiny_tensor *tiny_add(struct tiny_list *l, int layer, const char *name,
                                           int64_t ne0, int64_t ne1, int64_t ne2) {
    struct tiny_tensor *t = &l->t[l->n++];

    *t = (struct tiny_tensor){.type = ne1 ? l->type : KERN_F32, .ne = {ne0, 1, 1, 1}, .dims = 1,
                              .expert = -1};
    if (layer < 0)
        snprintf(t->name, sizeof t->name, "%s", name);
    else
        snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    memcpy(t->source, t->name, sizeof t->source);
    if (ne1) {
        t->ne[1] = ne1;
        t->dims = 2;
    }
    if (ne2) {
        t->ne[2] = ne2;
        t->dims = 3;
    }
    return t;
}

/* A vector of norm weights (or other scales) in [lo, hi). */
static inline void tiny_norm(struct tiny_list *l, int layer, const char *name, int n, float lo,
                             float hi) {
    struct tiny_tensor *t = tiny_add(l, layer, name, n, 0, 0);

    t->fill = TINY_SCALES;
    t->a = lo;
    t->b = hi;
}

/* A matrix [out, in]: inputs of deviation 1 give outputs of deviation `gain`. */
static inline struct tiny_tensor *tiny_matrix(struct tiny_list *l, int layer, const char *name,
                                              int in, int out, float gain) {
    struct tiny_tensor *t = tiny_add(l, layer, name, in, out, 0);

    t->a = gain / sqrtf((float)in);
    return t;
}

/* The experts' matrices of one kind ("ffn_up"): one tensor, or one for each expert. */
static inline void tiny_experts(struct tiny_list *l, int layer, const char *kind, int in, int out,
                                float gain, int quiet, const struct tiny_arch *a) {
    char name[40];

    for (int e = 0; e < (a->split_experts ? a->experts : 1); e++) {
        struct tiny_tensor *t;

        if (a->split_experts)
            snprintf(name, sizeof name, "%s.%d.weight", kind, e);
        else
            snprintf(name, sizeof name, "%s_exps.weight", kind);
        t = tiny_add(l, layer, name, in, out, a->split_experts ? 0 : a->experts);
        t->a = gain / sqrtf((float)in);
        t->quiet = quiet;
        if (a->split_experts) {
            t->expert = e;
            snprintf(t->source, sizeof t->source, "blk.%d.%s_exps.weight", layer, kind);
        }
    }
}

static inline void tiny_attention(struct tiny_list *l, int i, const struct tiny_arch *a) {
    int q = a->heads * a->dk;
    int kv = a->kv_heads * a->dk;
    float out = a->post_norms ? 1 : a->embed_std;

    tiny_norm(l, i, "attn_norm.weight", TINY_D, 0.75f, 1.25f);
    tiny_matrix(l, i, "attn_q.weight", TINY_D, q, 1.3f);
    tiny_matrix(l, i, "attn_k.weight", TINY_D, kv, 1.3f);
    tiny_matrix(l, i, "attn_v.weight", TINY_D, kv, 1.5f);
    tiny_matrix(l, i, "attn_output.weight", q, TINY_D, out)->quiet = a->experts;
    if (a->qkv_bias) {
        tiny_add(l, i, "attn_q.bias", q, 0, 0)->a = 0.3f;
        tiny_add(l, i, "attn_k.bias", kv, 0, 0)->a = 0.3f;
        tiny_add(l, i, "attn_v.bias", kv, 0, 0)->a = 0.3f;
    }
    if (a->qk_norm) {
        int full = a->qk_norm == TINY_QK_FULL;

        tiny_norm(l, i, "attn_q_norm.weight", full ? q : a->dk, 0.9f, 1.5f);
        tiny_norm(l, i, "attn_k_norm.weight", full ? kv : a->dk, 0.9f, 1.5f);
    }
    if (a->post_norms)
        tiny_norm(l, i, "post_attention_norm.weight", TINY_D, 0.3f, 0.7f);
}

static inline void tiny_ffn(struct tiny_list *l, int i, const struct tiny_arch *a) {
    float out = a->post_norms ? 1 : a->embed_std;

    tiny_norm(l, i, "ffn_norm.weight", TINY_D, 0.8f, 1.2f);
    if (a->d_ff) {
        tiny_matrix(l, i, "ffn_gate.weight", TINY_D, a->d_ff, 1.5f);
        tiny_matrix(l, i, "ffn_up.weight", TINY_D, a->d_ff, 1);
        tiny_matrix(l, i, "ffn_down.weight", a->d_ff, TINY_D, out);
    }
    if (a->experts) {
        struct tiny_tensor *t = tiny_add(l, i, "ffn_gate_inp.weight", TINY_D, a->experts, 0);

        t->type = KERN_F32;
        t->fill = TINY_ROUTER;
        t->a = 0.02f;
        t->shift = 3 * i;
        tiny_experts(l, i, "ffn_gate", TINY_D, a->d_expert, 1.5f, 0, a);
        tiny_experts(l, i, "ffn_up", TINY_D, a->d_expert, 1, 0, a);
        tiny_experts(l, i, "ffn_down", a->d_expert, TINY_D, out, a->experts, a);
    }
    if (a->d_shared) {
        tiny_matrix(l, i, "ffn_gate_shexp.weight", TINY_D, a->d_shared, 1.5f);
        tiny_matrix(l, i, "ffn_up_shexp.weight", TINY_D, a->d_shared, 1);
        tiny_matrix(l, i, "ffn_down_shexp.weight", a->d_shared, TINY_D, out)->quiet = a->experts;
        tiny_add(l, i, "ffn_gate_inp_shexp.weight", TINY_D, 0, 0)->a = 0.06f;
    }
    if (a->post_norms)
        tiny_norm(l, i, "post_ffw_norm.weight", TINY_D, 0.3f, 0.7f);
}

static inline void tiny_tensors(struct tiny_list *l, const struct tiny_arch *a, int type) {
    struct tiny_tensor *t;

    l->n = 0;
    l->type = type;
    t = tiny_add(l, -1, "token_embd.weight", TINY_D, TINY_VOCAB, 0);
    t->fill = TINY_EMBED;
    t->a = a->embed_std;
    if (a->rope_factors)
        tiny_norm(l, -1, "rope_freqs.weight", a->dk / 2, 1, 8);
    for (int i = 0; i < a->layers; i++) {
        tiny_attention(l, i, a);
        tiny_ffn(l, i, a);
    }
    tiny_norm(l, -1, "output_norm.weight", TINY_D, 0.5f, 1.5f);
    if (a->tied)
        l->t[l->n - 1].fill = TINY_SIGNED;
    else
        tiny_matrix(l, -1, "output.weight", TINY_D, TINY_VOCAB, 2);
    if (a->post_norms) {                /* embeddings are small there: louder at the end */
        l->t[l->n - 1].a *= 2;
        l->t[l->n - 1].b *= 2;
    }
}

/* ---- vocabulary ---------------------------------------------------------------------------- */

/* Writes cp (below 0x800) as UTF-8. */
static inline int tiny_utf8(int cp, char *out) {
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    out[0] = (char)(0xc0 | cp >> 6);
    out[1] = (char)(0x80 | (cp & 0x3f));
    return 2;
}

/* The character that stands for a byte in byte-level BPE (GPT-2): printable Latin-1 for
 * itself, the others from U+0100 on. */
static inline int tiny_byte_char(int byte, char *out) {
    int cp = 256;

    for (int b = 0; b <= byte; b++) {
        int plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        if (b == byte)
            return tiny_utf8(plain ? b : cp, out);
        cp += !plain;
    }
    return 0;
}

struct tiny_words {
    char text[TINY_VOCAB][16];
    struct gguf_string token[TINY_VOCAB];
    int64_t type[TINY_VOCAB];           /* 1 normal, 2 unknown, 3 control, 6 byte */
    float score[TINY_VOCAB];
    char merge_text[TINY_VOCAB][32];
    struct gguf_string merge[TINY_VOCAB];
    uint64_t merges;
    int n;
};

static inline void tiny_word(struct tiny_words *w, int type, const char *text) {
    snprintf(w->text[w->n], sizeof w->text[0], "%s", text);
    w->token[w->n] = (struct gguf_string){w->text[w->n], strlen(text)};
    w->type[w->n] = type;
    w->score[w->n] = type == 1 ? (float)-w->n : 0;
    w->n++;
}

static inline void tiny_spm_words(struct tiny_words *w) {
    char s[16];

    tiny_word(w, 2, "<unk>");
    tiny_word(w, 3, "<s>");
    tiny_word(w, 3, "</s>");
    for (int b = 0; b < 256; b++) {
        snprintf(s, sizeof s, "<0x%02X>", b);
        tiny_word(w, 6, s);
    }
    tiny_word(w, 1, "\xe2\x96\x81");                /* the mark that stands for a blank */
    for (int c = 'a'; c <= 'z'; c++) {
        snprintf(s, sizeof s, "%c", c);
        tiny_word(w, 1, s);
    }
    for (int i = 0; w->n < TINY_VOCAB; i++) {
        snprintf(s, sizeof s, "\xe2\x96\x81%c%c", 'a' + i % 26, 'a' + i * 7 % 25);
        tiny_word(w, 1, s);
    }
}

static inline void tiny_bpe_words(struct tiny_words *w) {
    char s[16];

    for (int b = 0; b < 256; b++) {
        s[tiny_byte_char(b, s)] = 0;
        tiny_word(w, 1, s);
    }
    for (int i = 0; w->n < TINY_VOCAB - 2; i++) {   /* pairs of lower-case letters, all unlike */
        snprintf(s, sizeof s, "%c%c", 'a' + i % 26, 'a' + (i * 7 + i / 26) % 26);
        snprintf(w->merge_text[w->merges], sizeof w->merge_text[0], "%c %c", s[0], s[1]);
        w->merge[w->merges].data = w->merge_text[w->merges];
        w->merge[w->merges++].len = 3;
        tiny_word(w, 1, s);
    }
    tiny_word(w, 3, "<|endoftext|>");
    tiny_word(w, 3, "<|im_end|>");
}

static inline int tiny_put_vocab(struct gguf_writer *g, const struct tiny_arch *a) {
    struct tiny_words *w = calloc(1, sizeof *w);
    int bpe = a->vocab_kind == TINY_BPE;

    if (!w)
        return -1;
    if (bpe)
        tiny_bpe_words(w);
    else
        tiny_spm_words(w);
    gguf_put_str(g, "tokenizer.ggml.model", bpe ? "gpt2" : "llama");
    gguf_put_str(g, "tokenizer.ggml.pre", bpe ? "qwen2" : "default");
    gguf_put_strs(g, "tokenizer.ggml.tokens", w->token, TINY_VOCAB);
    gguf_put_ints(g, "tokenizer.ggml.token_type", GGUF_I32, w->type, TINY_VOCAB);
    if (bpe)
        gguf_put_strs(g, "tokenizer.ggml.merges", w->merge, w->merges);
    else
        gguf_put_floats(g, "tokenizer.ggml.scores", w->score, TINY_VOCAB);
    gguf_put_int(g, "tokenizer.ggml.bos_token_id", GGUF_U32, bpe ? TINY_VOCAB - 2 : 1);
    gguf_put_int(g, "tokenizer.ggml.eos_token_id", GGUF_U32, bpe ? TINY_VOCAB - 2 : 2);
    gguf_put_bool(g, "tokenizer.ggml.add_bos_token", !bpe);
    free(w);
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------ */

static inline void tiny_put_key(struct gguf_writer *g, const char *arch, const char *key,
                                int64_t v) {
    char name[128];

    snprintf(name, sizeof name, "%s.%s", arch, key);
    gguf_put_int(g, name, GGUF_U32, v);
}

static inline void tiny_put_key_float(struct gguf_writer *g, const char *arch, const char *key,
                                      float v) {
    char name[128];

    snprintf(name, sizeof name, "%s.%s", arch, key);
    gguf_put_float(g, name, v);
}

static inline void tiny_put_keys(struct gguf_writer *g, const struct tiny_arch *a) {
    const char *s = a->arch;

    gguf_put_str(g, "general.architecture", s);
    gguf_put_str(g, "general.name", a->name);
    tiny_put_key(g, s, "block_count", a->layers);
    tiny_put_key(g, s, "context_length", TINY_CONTEXT);
    tiny_put_key(g, s, "embedding_length", TINY_D);
    tiny_put_key(g, s, "feed_forward_length", a->d_ff ? a->d_ff : a->d_expert);
    tiny_put_key(g, s, "attention.head_count", a->heads);
    tiny_put_key(g, s, "attention.head_count_kv", a->kv_heads);
    if (a->heads * a->dk != TINY_D || a->window) {
        tiny_put_key(g, s, "attention.key_length", a->dk);
        tiny_put_key(g, s, "attention.value_length", a->dk);
    }
    if (!strcmp(s, "llama"))
        tiny_put_key(g, s, "rope.dimension_count", a->dk);
    tiny_put_key_float(g, s, "rope.freq_base", a->rope_base);
    tiny_put_key_float(g, s, "attention.layer_norm_rms_epsilon", 1e-6f);
    if (a->experts) {
        tiny_put_key(g, s, "expert_count", a->experts);
        tiny_put_key(g, s, "expert_used_count", a->top_k);
        if (!strncmp(s, "qwen", 4))
            tiny_put_key(g, s, "expert_feed_forward_length", a->d_expert);
    }
    if (a->d_shared)
        tiny_put_key(g, s, "expert_shared_feed_forward_length", a->d_shared);
    if (a->window)
        tiny_put_key(g, s, "attention.sliding_window", a->window);
}

/* Bytes of one tensor in the file: into out (room for its floats); x is scratch of that size. */
static inline size_t tiny_bytes(const struct tiny_model *m, const struct tiny_tensor *t, float *x,
                                void *out) {
    int64_t n = tiny_count(t);
    size_t bytes;

    tiny_values(m->arch, t, x);
    bytes = quantize(t->type, x, out, n);
    if (!m->dequantized || t->type == KERN_F32)
        return bytes;
    kern_dequantize(t->type, out, x, n);
    memcpy(out, x, (size_t)n * sizeof *x);
    return (size_t)n * sizeof *x;
}

/* Writes the model; 0 or -1. */
static inline int tiny_write(struct tiny_model *m, const char *path, struct err *err) {
    struct gguf_writer *g = gguf_writer_new(3, 32);
    struct tiny_list *l = calloc(1, sizeof *l);
    float *x = NULL;
    void *out = NULL;
    int64_t most = 0;
    int rc = -1;

    if (!g || !l)
        goto done;
    tiny_put_keys(g, m->arch);
    if (tiny_put_vocab(g, m->arch))
        goto done;
    tiny_tensors(l, m->arch, m->type);
    for (int i = 0; i < l->n; i++) {
        const struct tiny_tensor *t = &l->t[i];

        most = tiny_count(t) > most ? tiny_count(t) : most;
        gguf_put_tensor(g, t->name, m->dequantized ? KERN_F32 : t->type, t->dims, t->ne);
    }
    x = malloc((size_t)most * sizeof *x);
    out = malloc((size_t)most * sizeof *x);
    if (!x || !out || gguf_writer_begin(g, path, err))
        goto done;
    m->hash = FNV_START;
    for (int i = 0; i < l->n; i++) {
        const struct tiny_tensor *t = &l->t[i];
        size_t bytes = tiny_bytes(m, t, x, out);

        m->hash = fnv_bytes(m->hash, t->name, strlen(t->name));
        m->hash = fnv_words(m->hash, out, bytes);
        if (gguf_writer_data(g, out, bytes, err))
            goto done;
    }
    rc = gguf_writer_finish(g, err);
done:
    if (rc && (!l || !x || !out))
        err_set(err, "%s: no memory for the model", path);
    free(out);
    free(x);
    free(l);
    gguf_writer_free(g);
    return rc;
}

#endif
