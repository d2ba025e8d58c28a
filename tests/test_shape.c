/* test_shape.c - shapes against published models, closed forms, and headers that lie
 *
 * Models are headers only: the file behind a header is grown with ftruncate, so a file of
 * 26 GB takes one block of disk. The writer of this test is its own, not lib/format's.
 * Published counts are those of the safetensors files' metadata ("model size") and papers.
 */
#include "lib/shape/shape.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"
#include "tests/check.h"

/* ---- a GGUF writer for headers ---------------------------------------------------------- */

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q5_0 = 6, Q4_K = 12, BF16 = 30 };

struct head {
    const char *arch;
    struct buf keys, infos;
    uint64_t n_keys, n_tensors, bytes;
    const char *without;        /* a key that is left out, or NULL */
};

static void put(struct buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++)
        buf_addc(b, (char)(v >> (8 * i)));
}

static void put_text(struct buf *b, const char *s) {
    put(b, strlen(s), 8);
    buf_adds(b, s);
}

/* Starts a key's value: "general." keys are as they are, others get the architecture. */
static int key(struct head *h, const char *name, enum gguf_type type) {
    static char full[128];
    if (h->without && !strcmp(h->without, name))
        return 0;
    int plain = !strncmp(name, "general.", 8) || !strncmp(name, "tokenizer.", 10);
    snprintf(full, sizeof full, "%s%s%s", plain ? "" : h->arch, plain ? "" : ".", name);
    put_text(&h->keys, full);
    put(&h->keys, type, 4);
    h->n_keys++;
    return 1;
}

static void put_u32(struct head *h, const char *name, uint32_t v) {
    if (key(h, name, GGUF_U32))
        put(&h->keys, v, 4);
}

static void put_f32(struct head *h, const char *name, float v) {
    uint32_t bits;
    memcpy(&bits, &v, 4);
    if (key(h, name, GGUF_F32))
        put(&h->keys, bits, 4);
}

static void put_str(struct head *h, const char *name, const char *v) {
    if (key(h, name, GGUF_STRING))
        put_text(&h->keys, v);
}

static void put_u32s(struct head *h, const char *name, const uint32_t *v, int n) {
    if (!key(h, name, GGUF_ARRAY))
        return;
    put(&h->keys, GGUF_U32, 4);
    put(&h->keys, (uint64_t)n, 8);
    for (int i = 0; i < n; i++)
        put(&h->keys, v[i], 4);
}

static void tensor(struct head *h, int type, int64_t a, int64_t b, int64_t c, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* A tensor [a, b, c]; b or c 0: fewer dimensions. */
static void tensor(struct head *h, int type, int64_t a, int64_t b, int64_t c, const char *fmt,
                   ...) {
    char name[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    size_t block_bytes;
    int block = gguf_type_block(type, &block_bytes);
    uint64_t n = (uint64_t)(a * (b ? b : 1) * (c ? c : 1));
    put_text(&h->infos, name);
    put(&h->infos, c ? 3 : b ? 2 : 1, 4);
    put(&h->infos, (uint64_t)a, 8);
    if (b)
        put(&h->infos, (uint64_t)b, 8);
    if (c)
        put(&h->infos, (uint64_t)c, 8);
    put(&h->infos, (uint64_t)type, 4);
    put(&h->infos, h->bytes, 8);
    h->bytes += (n / (uint64_t)block * block_bytes + 31) / 32 * 32;
    h->n_tensors++;
}

/* The header as a file of its full size, opened. Frees what is in h. NULL: see e. */
static struct gguf *open_head(struct head *h, struct err *e) {
    char path[] = "/tmp/test_shape.XXXXXX";
    struct buf b = {0};
    buf_add(&b, "GGUF", 4);
    put(&b, 3, 4);
    put(&b, h->n_tensors, 8);
    put(&b, h->n_keys, 8);
    buf_add(&b, h->keys.data, h->keys.len);
    buf_add(&b, h->infos.data, h->infos.len);
    off_t size = (off_t)((b.len + 31) / 32 * 32 + h->bytes);
    int fd = mkstemp(path);
    struct gguf *g = NULL;
    if (fd < 0 || write(fd, b.data, b.len) != (ssize_t)b.len || ftruncate(fd, size))
        perror(path);
    else
        g = gguf_open(path, e);
    close(fd);
    unlink(path);
    buf_free(&b);
    buf_free(&h->keys);
    buf_free(&h->infos);
    return g;
}

/* ---- models ----------------------------------------------------------------------------- */

struct spec {
    const char *arch;
    int layers, d, vocab, heads, kv_heads, dk;
    int d_ff;                   /* feed_forward_length */
    int experts, top_k, d_expert, d_shared;
    int tied, qk_norm, bias, post_norms;
    int dense;                  /* so many first layers have no experts */
    int single;                 /* one tensor an expert */
    int type;                   /* of the matrices */
    int window;
};

static void put_block(struct head *h, const struct spec *m, int i) {
    int64_t d = m->d;
    int64_t nq = (int64_t)m->heads * m->dk;
    int64_t nk = (int64_t)m->kv_heads * m->dk;
    int whole = m->qk_norm == SHAPE_QK_FULL;
    tensor(h, F32, d, 0, 0, "blk.%d.attn_norm.weight", i);
    tensor(h, m->type, d, nq, 0, "blk.%d.attn_q.weight", i);
    tensor(h, m->type, d, nk, 0, "blk.%d.attn_k.weight", i);
    tensor(h, m->type, d, nk, 0, "blk.%d.attn_v.weight", i);
    tensor(h, m->type, nq, d, 0, "blk.%d.attn_output.weight", i);
    if (m->bias) {
        tensor(h, F32, nq, 0, 0, "blk.%d.attn_q.bias", i);
        tensor(h, F32, nk, 0, 0, "blk.%d.attn_k.bias", i);
        tensor(h, F32, nk, 0, 0, "blk.%d.attn_v.bias", i);
    }
    if (m->qk_norm) {
        tensor(h, F32, whole ? nq : m->dk, 0, 0, "blk.%d.attn_q_norm.weight", i);
        tensor(h, F32, whole ? nk : m->dk, 0, 0, "blk.%d.attn_k_norm.weight", i);
    }
    if (m->post_norms) {
        tensor(h, F32, d, 0, 0, "blk.%d.post_attention_norm.weight", i);
        tensor(h, F32, d, 0, 0, "blk.%d.post_ffw_norm.weight", i);
    }
    tensor(h, F32, d, 0, 0, "blk.%d.ffn_norm.weight", i);
    if (!m->experts || i < m->dense) {
        tensor(h, m->type, d, m->d_ff, 0, "blk.%d.ffn_gate.weight", i);
        tensor(h, m->type, d, m->d_ff, 0, "blk.%d.ffn_up.weight", i);
        tensor(h, m->type, m->d_ff, d, 0, "blk.%d.ffn_down.weight", i);
        return;
    }
    tensor(h, F32, d, m->experts, 0, "blk.%d.ffn_gate_inp.weight", i);
    for (int e = 0; m->single && e < m->experts; e++) {
        tensor(h, m->type, d, m->d_expert, 0, "blk.%d.ffn_gate.%d.weight", i, e);
        tensor(h, m->type, d, m->d_expert, 0, "blk.%d.ffn_up.%d.weight", i, e);
        tensor(h, m->type, m->d_expert, d, 0, "blk.%d.ffn_down.%d.weight", i, e);
    }
    if (!m->single) {
        tensor(h, m->type, d, m->d_expert, m->experts, "blk.%d.ffn_gate_exps.weight", i);
        tensor(h, m->type, d, m->d_expert, m->experts, "blk.%d.ffn_up_exps.weight", i);
        tensor(h, m->type, m->d_expert, d, m->experts, "blk.%d.ffn_down_exps.weight", i);
    }
    if (m->d_shared) {
        tensor(h, F32, d, 0, 0, "blk.%d.ffn_gate_inp_shexp.weight", i);
        tensor(h, m->type, d, m->d_shared, 0, "blk.%d.ffn_gate_shexp.weight", i);
        tensor(h, m->type, d, m->d_shared, 0, "blk.%d.ffn_up_shexp.weight", i);
        tensor(h, m->type, m->d_shared, d, 0, "blk.%d.ffn_down_shexp.weight", i);
    }
}

/* The keys and tensors of m, after those that h has already. */
static void put_model(struct head *h, const struct spec *m) {
    h->arch = m->arch;
    put_str(h, "general.architecture", m->arch);
    put_u32(h, "context_length", 4096);
    put_u32(h, "embedding_length", (uint32_t)m->d);
    put_u32(h, "block_count", (uint32_t)m->layers);
    put_u32(h, "feed_forward_length", (uint32_t)m->d_ff);
    put_u32(h, "attention.head_count", (uint32_t)m->heads);
    put_u32(h, "attention.head_count_kv", (uint32_t)m->kv_heads);
    put_f32(h, "attention.layer_norm_rms_epsilon", 1e-5f);
    if (m->dk != m->d / m->heads) {
        put_u32(h, "attention.key_length", (uint32_t)m->dk);
        put_u32(h, "attention.value_length", (uint32_t)m->dk);
    }
    if (m->experts) {
        put_u32(h, "expert_count", (uint32_t)m->experts);
        put_u32(h, "expert_used_count", (uint32_t)m->top_k);
        if (m->d_expert != m->d_ff)
            put_u32(h, "expert_feed_forward_length", (uint32_t)m->d_expert);
    }
    if (m->d_shared)
        put_u32(h, "expert_shared_feed_forward_length", (uint32_t)m->d_shared);
    if (m->dense)
        put_u32(h, "leading_dense_block_count", (uint32_t)m->dense);
    if (m->window)
        put_u32(h, "attention.sliding_window", (uint32_t)m->window);
    tensor(h, m->type, m->d, m->vocab, 0, "token_embd.weight");
    if (!m->tied)
        tensor(h, m->type, m->d, m->vocab, 0, "output.weight");
    tensor(h, F32, m->d, 0, 0, "output_norm.weight");
    for (int i = 0; i < m->layers; i++)
        put_block(h, m, i);
}

/* The shape of what was put; NULL: e says why. */
static struct shape *shape_of(struct head *h, struct err *e) {
    struct gguf *g = open_head(h, e);
    if (!g)
        return NULL;
    struct shape *s = shape_from_gguf(g, e);
    gguf_close(g);
    return s;
}

static struct shape *load(const struct spec *m) {
    struct head h = {0};
    struct err e = {{0}};
    put_model(&h, m);
    struct shape *s = shape_of(&h, &e);
    if (!s)
        printf("# %s\n", e.text);
    return s;
}

/* ---- published models ------------------------------------------------------------------- */

static const struct spec olmoe = {
    .arch = "olmoe", .layers = 16, .d = 2048, .vocab = 50304, .heads = 16, .kv_heads = 16,
    .dk = 128, .d_ff = 1024, .experts = 64, .top_k = 8, .d_expert = 1024,
    .qk_norm = SHAPE_QK_FULL, .type = Q4_0};
static const struct spec qwen3_30b = {
    .arch = "qwen3moe", .layers = 48, .d = 2048, .vocab = 151936, .heads = 32, .kv_heads = 4,
    .dk = 128, .d_ff = 6144, .experts = 128, .top_k = 8, .d_expert = 768,
    .qk_norm = SHAPE_QK_HEAD, .type = Q4_0};
static const struct spec mixtral = {
    .arch = "llama", .layers = 32, .d = 4096, .vocab = 32000, .heads = 32, .kv_heads = 8,
    .dk = 128, .d_ff = 14336, .experts = 8, .top_k = 2, .d_expert = 14336, .type = Q4_0};
static const struct spec qwen15_moe = {
    .arch = "qwen2moe", .layers = 24, .d = 2048, .vocab = 151936, .heads = 16, .kv_heads = 16,
    .dk = 128, .d_ff = 5632, .experts = 60, .top_k = 4, .d_expert = 1408, .d_shared = 5632,
    .bias = 1, .type = Q4_0};
static const struct spec gemma_270m = {
    .arch = "gemma3", .layers = 18, .d = 640, .vocab = 262144, .heads = 4, .kv_heads = 1,
    .dk = 256, .d_ff = 2048, .tied = 1, .qk_norm = SHAPE_QK_HEAD, .post_norms = 1,
    .window = 512, .type = F16};
static const struct spec qwen3_06b = {
    .arch = "qwen3", .layers = 28, .d = 1024, .vocab = 151936, .heads = 16, .kv_heads = 8,
    .dk = 128, .d_ff = 3072, .tied = 1, .qk_norm = SHAPE_QK_HEAD, .type = BF16};
static const struct spec qwen25_05b = {
    .arch = "qwen2", .layers = 24, .d = 896, .vocab = 151936, .heads = 14, .kv_heads = 2,
    .dk = 64, .d_ff = 4864, .tied = 1, .bias = 1, .type = Q4_0};
static const struct spec llama_8b = {
    .arch = "llama", .layers = 32, .d = 4096, .vocab = 128256, .heads = 32, .kv_heads = 8,
    .dk = 128, .d_ff = 14336, .type = Q4_0};

/* Exact parameters, and the active ones that the makers name, embeddings included, in units of
 * 1e8 (so 33 is 3.3 billion). */
static void published(const struct spec *m, int64_t params, double active_1e8, double tolerance) {
    struct shape *s = load(m);
    CHECK(s);
    if (!s)
        return;
    CHECK_INT(s->params, params);
    double embed = m->tied ? 0 : (double)m->vocab * m->d;
    CHECK_NEAR(((double)s->params_active + embed) / 1e8, active_1e8, tolerance);
    CHECK_INT(s->vocab, m->vocab);
    CHECK_INT(s->layers, m->layers);
    CHECK_INT(s->tied, m->tied);
    CHECK_INT(s->layer[m->layers - 1].dk, m->dk);
    shape_free(s);
}

static void linear_flops(void) {
    struct shape *s = load(&olmoe);
    struct shape_flops f = {0};
    CHECK_NEAR(shape_linear_flops(s), 2.0 * 6919161856.0, 0);
    /* At position 0 a row costs twice its active parameters, but for norms (not counted) and the
     * one position it attends to. */
    shape_add_row_flops(s, 0, 1, &f);
    double sum = f.attention + f.dense + f.experts + f.head;
    double norms = 16 * 4 * 2048 + 2048, scores = 16 * 2 * 2 * 2048.0;
    CHECK_NEAR(sum, 2 * ((double)s->params_active - norms) + scores, 0);
    shape_free(s);
}

/* ---- counts ----------------------------------------------------------------------------- */

static const struct spec small_moe = {
    .arch = "llama", .layers = 3, .d = 64, .vocab = 96, .heads = 4, .kv_heads = 2, .dk = 16,
    .d_ff = 96, .experts = 4, .top_k = 2, .d_expert = 96, .type = Q4_0};

static void single_expert_tensors(void) {
    struct spec old = small_moe;
    old.single = 1;
    struct shape *a = load(&small_moe);
    struct shape *b = load(&old);
    CHECK(a && b);
    CHECK_INT(a->params, b->params);
    CHECK_INT(a->params_active, b->params_active);
    CHECK_INT(a->expert_bytes[1], 3 * 64 * 96 / 32 * 18);
    CHECK_INT(b->expert_bytes[1], a->expert_bytes[1]);
    /* Q, K, V, output: 64 x (64 + 32 + 32 + 64) in blocks of 32; router and two norms in F32. */
    CHECK_INT(a->dense_bytes[2], 64 * 192 / 32 * 18 + (4 * 64 + 2 * 64) * 4);
    CHECK_INT(b->dense_bytes[2], a->dense_bytes[2]);
    CHECK_INT(a->head_bytes, 64 * 96 / 32 * 18 + 64 * 4);
    CHECK_INT(a->weight_bytes, 2 * a->head_bytes - 64 * 4 + 3 * a->dense_bytes[0] +
                                   3 * 4 * a->expert_bytes[0]);
    shape_free(a);
    shape_free(b);
}

static void tied_head(void) {
    struct spec m = small_moe;
    m.tied = 1;
    struct shape *a = load(&small_moe);
    struct shape *b = load(&m);
    CHECK(b && b->tied && !a->tied);
    CHECK_INT(b->head_bytes, a->head_bytes);
    CHECK_INT(b->params_active, a->params_active);
    CHECK_INT(a->params - b->params, 64 * 96);
    shape_free(a);
    shape_free(b);
}

static void quant_name(int type, int file_type, const char *want) {
    struct head h = {0};
    struct spec m = small_moe;
    m.d = 256;
    m.dk = 64;
    m.d_ff = m.d_expert = 256;
    m.type = type;
    h.arch = m.arch;
    if (file_type >= 0)
        put_u32(&h, "general.file_type", (uint32_t)file_type);
    put_model(&h, &m);
    struct shape *s = shape_of(&h, NULL);
    CHECK_STR(s->quant, want);
    shape_free(s);
}

static void quant_names(void) {
    quant_name(Q4_K, 15, "Q4_K_M");
    quant_name(Q4_K, 14, "Q4_K_S");
    quant_name(Q5_0, 15, "Q5_0");       /* widths that no K type fits: nothing of Q4_K in it */
    quant_name(F16, 1, "F16");
    quant_name(F32, 1, "F32");
    quant_name(F16, 0, "F16");          /* the router is F32, the rest is not */
    quant_name(BF16, -1, "BF16");
    quant_name(Q4_0, 4000, "Q4_0");
}

/* ---- keys ------------------------------------------------------------------------------- */

static const struct spec small = {
    .arch = "llama", .layers = 4, .d = 64, .vocab = 96, .heads = 4, .kv_heads = 2, .dk = 16,
    .d_ff = 96, .type = F32};

static void defaults(void) {
    struct head h = {.without = "attention.head_count_kv"};
    struct spec m = small;
    m.kv_heads = 4;
    put_model(&h, &m);
    struct shape *s = shape_of(&h, NULL);
    CHECK(s);
    CHECK_STR(s->arch, "llama");
    CHECK(!strncmp(s->name, "test_shape.", 11));
    CHECK_INT(s->layer[0].kv_heads, 4);
    CHECK_INT(s->layer[0].dk, 16);
    CHECK_INT(s->rope[0].dims, 16);
    CHECK_INT(s->rope[0].neox, 0);
    CHECK_NEAR(s->rope[0].base, 10000, 0);
    CHECK_NEAR(s->rope[0].freq_scale, 1, 0);
    CHECK_NEAR(s->rope[0].ext_factor, 0, 0);
    CHECK_NEAR(s->rope[0].attn_factor, 1, 0);
    CHECK_INT(s->rope[0].orig_context, 4096);
    CHECK_NEAR(s->attn_scale, 0.25, 0);
    CHECK_NEAR(s->embed_scale, 1, 0);
    CHECK_NEAR(s->final_softcap, 0, 0);
    CHECK_NEAR(s->norm_eps, 1e-5f, 0);
    CHECK_INT(s->act, SHAPE_SILU);
    shape_free(s);
}

static void architectures(void) {
    struct shape *s = load(&mixtral);
    CHECK_INT(s->gate_normalise, 1);
    CHECK_INT(s->qk_norm, SHAPE_QK_NONE);
    CHECK_INT(s->layer[0].d_ff, 0);
    shape_free(s);
    s = load(&qwen15_moe);
    CHECK_INT(s->gate_normalise, 0);
    CHECK_INT(s->layer[3].d_shared, 5632);
    CHECK_INT(s->shared_gate, 1);
    CHECK_INT(s->rope[0].neox, 1);
    shape_free(s);
    s = load(&qwen3_30b);
    CHECK_INT(s->gate_normalise, 1);
    CHECK_INT(s->qk_norm, SHAPE_QK_HEAD);
    CHECK_INT(s->gate, SHAPE_GATE_SOFTMAX);
    shape_free(s);
    s = load(&olmoe);
    CHECK_INT(s->gate_normalise, 0);
    CHECK_INT(s->qk_norm, SHAPE_QK_FULL);
    shape_free(s);
}

/* Where no width of an expert is given, the dense width is shared out among those used. */
static void expert_width(void) {
    struct spec m = small_moe;
    m.arch = "qwen3moe";
    m.d_ff = 192;
    m.d_expert = 96;
    struct head h = {.without = "expert_feed_forward_length"};
    put_model(&h, &m);
    struct shape *s = shape_of(&h, NULL);
    CHECK(s);
    CHECK_INT(s->layer[0].d_expert, 96);
    CHECK_INT(s->expert_bytes[0], 3 * 64 * 96 / 32 * 18);
    shape_free(s);
}

static void gemma3(void) {
    struct shape *s = load(&gemma_270m);
    for (int i = 0; i < 18; i++) {
        int global = (i + 1) % 6 == 0;
        CHECK_INT(s->layer[i].window, global ? 0 : 512);
        CHECK_INT(s->layer[i].rope, !global);
    }
    CHECK_NEAR(s->rope[1].base, 10000, 0);
    CHECK_INT(s->rope[1].dims, 256);
    CHECK_NEAR(s->embed_scale, sqrt(640), 1e-5);
    CHECK_NEAR(s->attn_scale, 1.0 / 16, 0);
    CHECK_INT(s->act, SHAPE_GELU_TANH);
    CHECK_INT(s->post_norms, 1);
    shape_free(s);

    struct spec big = gemma_270m;
    big.layers = 62;
    big.d = 5376;
    big.vocab = 64;
    big.heads = 32;
    big.kv_heads = 16;
    big.dk = 128;
    s = load(&big);
    CHECK_NEAR(s->attn_scale, 1 / sqrt(168), 1e-7);
    shape_free(s);
}

static void windows(void) {
    struct spec m = small;
    m.arch = "gemma3";
    m.window = 8;
    m.qk_norm = SHAPE_QK_HEAD;
    m.post_norms = 1;
    struct head h = {.arch = "gemma3"};
    put_u32s(&h, "attention.sliding_window_pattern", (uint32_t[]){0, 1, 1, 0}, 4);
    put_f32(&h, "rope.freq_base", 1e6f);
    put_f32(&h, "rope.freq_base_swa", 500);
    put_str(&h, "rope.scaling.type", "linear");
    put_f32(&h, "rope.scaling.factor", 8);
    put_f32(&h, "final_logit_softcapping", 30);
    put_model(&h, &m);
    struct shape *s = shape_of(&h, NULL);
    CHECK(s);
    CHECK_INT(s->layer[0].window, 0);
    CHECK_INT(s->layer[1].window, 8);
    CHECK_INT(s->layer[2].window, 8);
    CHECK_INT(s->layer[3].window, 0);
    CHECK_NEAR(s->rope[0].base, 1e6, 0);
    CHECK_NEAR(s->rope[0].freq_scale, 0.125, 0);
    CHECK_NEAR(s->rope[1].base, 500, 0);
    CHECK_NEAR(s->rope[1].freq_scale, 1, 0);
    CHECK_NEAR(s->final_softcap, 30, 0);
    shape_free(s);

    struct head every = {.arch = "gemma3"};
    put_u32(&every, "attention.sliding_window_pattern", 2);
    put_model(&every, &m);
    s = shape_of(&every, NULL);
    for (int i = 0; i < 4; i++)
        CHECK_INT(s->layer[i].window, i % 2 ? 0 : 8);
    shape_free(s);

    struct spec none = m;
    none.window = 0;
    s = load(&none);
    CHECK_INT(s->layer[0].window, 0);
    CHECK_INT(s->layer[0].rope, 0);
    shape_free(s);
}

static void scaling(const char *type, const char *factor_key, float factor, float freq_scale,
                    float ext, float attn) {
    struct head h = {.arch = "llama"};
    if (type)
        put_str(&h, "rope.scaling.type", type);
    put_f32(&h, factor_key, factor);
    put_f32(&h, "rope.scaling.attn_factor", 0.5f);
    put_u32(&h, "rope.scaling.original_context_length", 2048);
    put_model(&h, &small);
    struct shape *s = shape_of(&h, NULL);
    CHECK(s);
    CHECK_NEAR(s->rope[0].freq_scale, freq_scale, 1e-7);
    CHECK_NEAR(s->rope[0].ext_factor, ext, 0);
    CHECK_NEAR(s->rope[0].attn_factor, attn, 1e-7);
    CHECK_NEAR(s->rope[0].beta_fast, 32, 0);
    CHECK_NEAR(s->rope[0].beta_slow, 1, 0);
    CHECK_INT(s->rope[0].orig_context, 2048);
    shape_free(s);
}

static void rope_scaling(void) {
    scaling("linear", "rope.scaling.factor", 4, 0.25f, 0, 0.5f);
    scaling(NULL, "rope.scaling.factor", 4, 0.25f, 0, 0.5f);
    scaling(NULL, "rope.scale_linear", 4, 0.25f, 0, 0.5f);
    scaling("none", "rope.scaling.factor", 4, 1, 0, 0.5f);
    scaling("yarn", "rope.scaling.factor", 4, 0.25f, 1, 0.5f);
    scaling("linear", "rope.scaling.factor", 0, 1, 0, 0.5f);
    /* Below 1, YaRN's gain of 1 + 0.1 ln(factor) is none in training. */
    scaling("yarn", "rope.scaling.factor", 0.5f, 2, 1, (float)(0.5 / (1 + 0.1 * log(0.5))));
}

static void layer_arrays(void) {
    struct head h = {.arch = "llama"};
    h.without = "feed_forward_length";
    struct spec m = small;
    put_model(&h, &m);
    h.without = NULL;
    put_u32s(&h, "feed_forward_length", (uint32_t[]){96, 64, 32, 96}, 4);
    struct shape *s = shape_of(&h, NULL);
    CHECK(s);
    CHECK_INT(s->layer[0].d_ff, 96);
    CHECK_INT(s->layer[1].d_ff, 64);
    CHECK_INT(s->layer[2].d_ff, 32);
    shape_free(s);
}

/* Layers for drafting come after the model's own and are no part of it. */
static void draft_layers(void) {
    struct head h = {.arch = "llama"};
    put_u32(&h, "nextn_predict_layers", 1);
    put_model(&h, &small);
    struct shape *s = shape_of(&h, NULL);
    struct shape *whole = load(&small);
    CHECK(s && whole);
    CHECK_INT(s->layers, 3);
    CHECK_INT(s->params, whole->params);
    CHECK_INT(whole->params_active - s->params_active,
              64 * 192 + 3 * 64 * 96 + 2 * 64);
    shape_free(s);
    shape_free(whole);
}

/* ---- architectures that are counted only ------------------------------------------------ */

static const struct spec small_mixed = {
    .arch = "glm4moe", .layers = 3, .d = 64, .vocab = 96, .heads = 4, .kv_heads = 1, .dk = 24,
    .d_ff = 96, .experts = 4, .top_k = 2, .d_expert = 32, .dense = 1, .type = F16};

/* The same header for counting; running it is refused. */
static struct shape *counted(struct head *h, const struct spec *m) {
    struct err e = {{0}};
    put_model(h, m);
    struct gguf *g = open_head(h, &e);
    struct shape *s = g ? shape_count_gguf(g, &e) : NULL;
    CHECK(s);
    if (!s)
        printf("# %s\n", e.text);
    CHECK(g && !shape_from_gguf(g, &e) && strstr(e.text, "gemma3; found"));
    gguf_close(g);
    return s;
}

static void dense_then_experts(void) {
    struct head h = {.arch = "glm4moe"};
    put_u32(&h, "expert_shared_count", 2);
    struct shape *s = counted(&h, &small_mixed);
    CHECK_INT(s->layer[0].d_ff, 96);
    CHECK_INT(s->layer[0].experts, 0);
    CHECK_INT(s->layer[0].d_shared, 0);
    CHECK_INT(s->layer[2].d_ff, 0);
    CHECK_INT(s->layer[2].experts, 4);
    CHECK_INT(s->layer[2].d_expert, 32);
    CHECK_INT(s->layer[2].d_shared, 64);
    CHECK_NEAR(shape_kv_bytes(s, 16), 3 * 2 * 24 * 2, 0);
    shape_free(s);
}

/* One head of 24 in the file, which is the latent of 16 with the rotary key of 8; four heads of 12
 * and 10 when expanded. */
static void latent_header(void) {
    struct spec m = small_mixed;
    m.arch = "deepseek2";
    struct head h = {.arch = m.arch};
    put_u32(&h, "attention.kv_lora_rank", 16);
    put_u32(&h, "attention.q_lora_rank", 20);
    put_u32(&h, "attention.key_length_mla", 12);
    put_u32(&h, "attention.value_length_mla", 10);
    put_u32(&h, "rope.dimension_count", 8);
    struct shape *s = counted(&h, &m);
    CHECK_INT(s->layer[1].kv_heads, 4);
    CHECK_INT(s->layer[1].dk, 12);
    CHECK_INT(s->layer[1].dv, 10);
    CHECK_INT(s->layer[1].kv_latent, 16);
    CHECK_INT(s->layer[1].q_latent, 20);
    CHECK_INT(s->layer[1].rope_dims, 8);
    CHECK_NEAR(shape_kv_bytes(s, 16), 3 * (16 + 8) * 2, 0);
    shape_free(s);

    /* Older files: all heads, and no keys of their own. */
    struct head old = {.arch = m.arch};
    m.kv_heads = 4;
    put_u32(&old, "attention.kv_lora_rank", 16);
    put_u32(&old, "rope.dimension_count", 8);
    s = counted(&old, &m);
    CHECK_INT(s->layer[1].dk, 24);
    CHECK_INT(s->layer[1].q_latent, 0);
    CHECK_NEAR(shape_kv_bytes(s, 16), 3 * (16 + 8) * 2, 0);
    shape_free(s);
}

static void counted_windows(const char *arch, int experts, int first, int second) {
    struct spec m = small_moe;
    m.arch = arch;
    m.experts = experts;
    m.window = 8;
    m.d_expert = 32;
    struct head h = {.arch = arch};
    struct shape *s = counted(&h, &m);
    CHECK_INT(s->layer[0].window, first);
    CHECK_INT(s->layer[1].window, second);
    CHECK_INT(s->layer[2].window, first);
    CHECK_INT(s->layer[1].d_expert, experts ? 32 : 0);
    CHECK_INT(s->layer[1].d_ff, experts ? 0 : 96);
    shape_free(s);
}

/* Granite's experts are as wide as feed_forward_length says, however many are used. */
static void granite(void) {
    struct spec m = small_moe;
    m.arch = "granitemoe";
    m.d_shared = 64;
    struct head h = {.arch = m.arch};
    struct shape *s = counted(&h, &m);
    CHECK_INT(s->layer[0].d_expert, 96);
    CHECK_INT(s->layer[0].d_shared, 64);
    shape_free(s);
}

/* ---- arithmetic ------------------------------------------------------------------------- */

#define TINY "examples/models/tiny-moe-f16.gguf"

/* 6 layers of width 256: 4 heads on 2 KV heads of 64, 16 experts of 256, 2 used; 4096 tokens. */
static void tiny_flops(void) {
    struct err e = {{0}};
    struct gguf *g = gguf_open(TINY, &e);
    CHECK(g);
    if (!g)
        return;
    struct shape *s = shape_from_gguf(g, &e);
    CHECK(s);
    CHECK_STR(s->quant, "F16");
    CHECK_STR(s->name, "tiny-moe");
    struct shape_flops f = {0};
    shape_add_row_flops(s, 9, 1, &f);
    double projections = 2.0 * 256 * (256 + 128 + 128 + 256);
    double scores = 2.0 * 10 * 4 * (64 + 64);
    double router = 2.0 * 256 * 16;
    double experts = 2 * 3 * 2.0 * 256 * 256;
    CHECK_NEAR(f.attention, 6 * (projections + scores), 0);
    CHECK_NEAR(f.dense, 6 * router, 0);
    CHECK_NEAR(f.experts, 6 * experts, 0);
    CHECK_NEAR(f.head, 2.0 * 256 * 4096, 0);

    /* The first n rows together: scores of 1 + 2 + ... + n positions. */
    struct shape_flops sum = {0};
    for (int i = 0; i < 100; i++)
        shape_add_row_flops(s, i, 0, &sum);
    CHECK_NEAR(sum.attention, 6 * (100 * projections + 2.0 * 5050 * 4 * 128), 0);
    CHECK_NEAR(sum.head, 0, 0);

    /* A row that is not needed after the last layer leaves only its keys and values there. */
    struct shape_flops cut = {0};
    for (int i = 0; i < 5; i++)
        shape_add_layer_flops(s, i, 9, SHAPE_KV | SHAPE_ATTENTION | SHAPE_FFN, &cut);
    shape_add_layer_flops(s, 5, 9, SHAPE_KV, &cut);
    CHECK_NEAR(cut.attention, 5 * (projections + scores) + 2.0 * 256 * 256, 0);
    CHECK_NEAR(cut.dense, 5 * router, 0);
    CHECK_NEAR(cut.experts, 5 * experts, 0);

    CHECK_NEAR(shape_kv_bytes(s, 16), 6 * 2 * (64 + 64) * 2, 0);
    CHECK_NEAR(shape_kv_bytes(s, 8.5), 6 * 2 * (64 + 64) * 34 / 32, 0);
    CHECK_NEAR(shape_kv_read(s, 9, 9, 16), 10 * shape_kv_bytes(s, 16), 0);
    CHECK_NEAR(shape_kv_read(s, 0, 99, 16), 100 * shape_kv_bytes(s, 16), 0);
    shape_free(s);
    gguf_close(g);
}

static void windowed_cost(void) {
    struct shape *s = load(&gemma_270m);
    double token = 2.0 * 256 * 2;           /* K and V of one KV head in F16, one layer */
    CHECK_NEAR(shape_kv_bytes(s, 16), 18 * token, 0);
    CHECK_NEAR(shape_kv_read(s, 511, 511, 16), 18 * 512 * token, 0);
    CHECK_NEAR(shape_kv_read(s, 999, 999, 16), (15 * 512 + 3 * 1000) * token, 0);
    /* Rows 1000..1099 of one pass: together they see from 489 on, and everything. */
    CHECK_NEAR(shape_kv_read(s, 1000, 1099, 16), (15 * 611 + 3 * 1100) * token, 0);

    struct shape_flops a = {0}, b = {0};
    shape_add_row_flops(s, 511, 0, &a);
    shape_add_row_flops(s, 999, 0, &b);
    CHECK_NEAR(b.attention - a.attention, 3 * 488 * 2.0 * 4 * 512, 0);
    CHECK_NEAR(a.dense, 18 * 3 * 2.0 * 640 * 2048, 0);
    CHECK_NEAR(a.experts, 0, 0);
    shape_free(s);
}

static void shared_expert_cost(void) {
    struct shape *s = load(&qwen15_moe);
    struct shape_flops f = {0};
    shape_add_row_flops(s, 0, 0, &f);
    CHECK_NEAR(f.dense, 24 * 2.0 * 2048 * (60 + 3 * 5632 + 1), 0);
    CHECK_NEAR(f.experts, 24 * 2.0 * 2048 * 4 * 3 * 1408, 0);
    shape_free(s);
}

/* ---- headers that lie ------------------------------------------------------------------- */

enum lie_kind { NUMBER, REAL, TEXT, ABSENT };

static const struct lie {
    const char *arch;
    const char *key;
    enum lie_kind kind;
    double number;
    const char *text;
    const char *says;           /* in the message, which names file and key besides */
} lies[] = {
    {"llama", "attention.head_count", NUMBER, 0, "", "found 0"},
    {"llama", "attention.head_count", ABSENT, 0, "", "not found"},
    {"llama", "attention.head_count", NUMBER, 5, "", "divisor of embedding_length 64, found 5"},
    {"llama", "attention.head_count_kv", NUMBER, 0, "", "found 0"},
    {"llama", "attention.head_count_kv", TEXT, 0, "two", "whole number, found a string"},
    {"llama", "attention.head_count_kv", REAL, 2, "", "whole number, found a fraction"},
    {"llama", "embedding_length", NUMBER, 0, "", "found 0"},
    {"llama", "embedding_length", NUMBER, 4e9, "", "found 4000000000"},
    {"llama", "block_count", NUMBER, 1e6, "", "found 1000000"},
    {"llama", "block_count", NUMBER, 0, "", "found 0"},
    {"llama", "context_length", NUMBER, 0, "", "found 0"},
    {"llama", "feed_forward_length", ABSENT, 0, "", "not found"},
    {"llama", "feed_forward_length", NUMBER, 0, "", "found 0"},
    {"llama", "attention.layer_norm_rms_epsilon", REAL, NAN, "", "found nan"},
    {"llama", "attention.layer_norm_rms_epsilon", REAL, -1e-6, "", "found -1e-06"},
    {"llama", "attention.layer_norm_rms_epsilon", ABSENT, 0, "", "not found"},
    {"llama", "rope.freq_base", REAL, -1, "", "found -1"},
    {"llama", "rope.freq_base", REAL, NAN, "", "found nan"},
    {"llama", "rope.freq_base", REAL, INFINITY, "", "found inf"},
    {"llama", "rope.dimension_count", NUMBER, 15, "", "even number, found 15"},
    {"llama", "rope.dimension_count", NUMBER, 17, "", "found 17"},
    {"llama", "rope.dimension_count", NUMBER, 8, "", "16 elements, found 8"},
    {"llama", "rope.scaling.type", TEXT, 0, "longrope", "none, linear or yarn, found longrope"},
    {"llama", "rope.scaling.type", NUMBER, 1, "", "found a value that is no string"},
    {"llama", "rope.scaling.factor", REAL, -4, "", "found -4"},
    {"llama", "rope.scaling.attn_factor", REAL, NAN, "", "found nan"},
    {"llama", "attention.causal", NUMBER, 0, "", "expected 1, found 0"},
    {"llama", "nextn_predict_layers", NUMBER, 4, "", "found 4"},
    {"llama", "expert_count", NUMBER, 70000, "", "found 70000"},
    {"qwen3moe", "expert_used_count", NUMBER, 5, "", "expected 1 to 4, found 5"},
    {"qwen3moe", "expert_used_count", NUMBER, 0, "", "found 0"},
    {"qwen3moe", "expert_used_count", ABSENT, 0, "", "not found"},
    {"qwen3moe", "expert_count", NUMBER, 0, "", "found 0"},
    {"qwen3moe", "expert_count", NUMBER, 8, "", "expected 8 experts, found 4"},
    {"qwen3moe", "expert_count", ABSENT, 0, "", "not found"},
    {"qwen3moe", "expert_group_count", NUMBER, 3, "", "divisor of 4 experts, found 3"},
    {"gemma3", "attention.sliding_window_pattern", TEXT, 0, "6", "found a string"},
    {"gemma3", "final_logit_softcapping", REAL, -1, "", "found -1"},
};

/* The header of a small model in which one key has another value. */
static void lie(const struct lie *l) {
    struct spec m = !strcmp(l->arch, "qwen3moe") ? small_moe : small;
    m.arch = l->arch;
    m.window = !strcmp(l->arch, "gemma3") ? 8 : 0;
    struct head h = {.arch = l->arch};
    if (l->kind == NUMBER)
        put_u32(&h, l->key, (uint32_t)l->number);
    else if (l->kind == REAL)
        put_f32(&h, l->key, (float)l->number);
    else if (l->kind == TEXT)
        put_str(&h, l->key, l->text);
    h.without = l->key;
    put_model(&h, &m);
    struct err e = {{0}};
    struct shape *s = shape_of(&h, &e);
    CHECK(!s);
    int clear = strstr(e.text, "/tmp/test_shape.") && strstr(e.text, l->says) &&
                (strstr(e.text, l->key) || strstr(e.text, "tensor blk."));
    CHECK(clear);
    if (!clear)
        printf("# %s = %g: %s\n", l->key, l->number, e.text);
    shape_free(s);
}

static void one_fails(struct head *h, const char *says) {
    struct err e = {{0}};
    struct shape *s = shape_of(h, &e);
    CHECK(!s);
    CHECK(strstr(e.text, says));
    if (!strstr(e.text, says))
        printf("# expected \"%s\" in: %s\n", says, e.text);
    shape_free(s);
}

static void unknown_architecture(void) {
    struct spec m = small;
    m.arch = "mamba";
    struct head h = {0};
    put_model(&h, &m);
    one_fails(&h, "general.architecture: expected one of llama, qwen2, qwen3, qwen2moe, qwen3moe, "
                  "olmoe, gemma3; found mamba");
    struct head none = {.without = "general.architecture"};
    put_model(&none, &small);
    one_fails(&none, "found none");
}

static void unknown_to_count(void) {
    struct spec m = small;
    m.arch = "mamba";
    struct head h = {0};
    struct err e = {{0}};
    put_model(&h, &m);
    struct gguf *g = open_head(&h, &e);
    CHECK(g && !shape_count_gguf(g, &e) && strstr(e.text, "gemma3, deepseek2, ") &&
          strstr(e.text, "phi3; found mamba"));
    gguf_close(g);
}

static void heads_of_a_layer(void) {
    struct head h = {.arch = "llama", .without = "attention.head_count"};
    put_model(&h, &small);
    h.without = NULL;
    put_u32s(&h, "attention.head_count", (uint32_t[]){4, 4, 3, 4}, 4);
    one_fails(&h, "attention.head_count: expected a multiple of head_count_kv 2, found 3");

    struct head few = {.arch = "llama", .without = "attention.head_count"};
    put_model(&few, &small);
    few.without = NULL;
    put_u32s(&few, "attention.head_count", (uint32_t[]){4, 4}, 2);
    one_fails(&few, "attention.head_count: expected 4 numbers, one a layer, found 2");
}

static void tensors_that_disagree(void) {
    struct head h = {.arch = "llama"};
    put_model(&h, &small);
    tensor(&h, F32, 64, 0, 0, "blk.4.attn_norm.weight");
    one_fails(&h, "tensor blk.4.attn_norm.weight: expected 4 blocks");

    struct head experts = {.arch = "llama"};
    put_model(&experts, &small);
    tensor(&experts, F32, 64, 96, 2, "blk.0.ffn_up_exps.weight");
    one_fails(&experts, "tensor blk.0.ffn_up_exps.weight: expected 0 experts, found 2");

    struct head dense = {.arch = "llama"};
    put_u32(&dense, "expert_count", 4);
    put_u32(&dense, "expert_used_count", 2);
    put_model(&dense, &small);
    one_fails(&dense, "tensor blk.0.ffn_up_exps.weight: expected 4 experts, not found");

    struct spec m = small_moe;
    m.single = 1;
    struct head old = {.arch = "llama"};
    put_model(&old, &m);
    tensor(&old, Q4_0, 64, 96, 0, "blk.0.ffn_up.4.weight");
    one_fails(&old, "tensor blk.0.ffn_up.4.weight: expected 4 experts, found 5");

    struct head empty = {.arch = "llama"};
    put_str(&empty, "general.architecture", "llama");
    put_u32(&empty, "context_length", 1);
    put_u32(&empty, "embedding_length", 8);
    put_u32(&empty, "block_count", 1);
    put_f32(&empty, "attention.layer_norm_rms_epsilon", 0);
    one_fails(&empty, "tensor token_embd.weight: expected in a model of architecture llama");

    m = small_moe;
    m.arch = "olmoe";
    m.tied = 1;
    struct head headless = {.arch = "olmoe"};
    put_model(&headless, &m);
    one_fails(&headless, "tensor output.weight: expected in a model of architecture olmoe");
}

static void vocabulary_that_disagrees(void) {
    struct head h = {.arch = "llama"};
    put_u32s(&h, "tokenizer.ggml.tokens", (uint32_t[]){1, 2, 3}, 3);
    put_model(&h, &small);
    one_fails(&h, "tokenizer.ggml.tokens: expected 96 tokens as in token_embd.weight, found 3");
}

/* ---- all -------------------------------------------------------------------------------- */

/* Can a file be made that is large and empty? */
static int sparse_files(void) {
    char path[] = "/tmp/test_shape.XXXXXX";
    signal(SIGXFSZ, SIG_IGN);       /* ulimit -f */
    int fd = mkstemp(path);
    int ok = fd >= 0 && ftruncate(fd, (off_t)32 << 30) == 0;
    close(fd);
    unlink(path);
    return ok;
}

static void no_large_models(void) {
    SKIP("/tmp takes no sparse file of 32 GiB");
}

static void large_models(void) {
    RUN_NAMED("published OLMoE-1B-7B", published(&olmoe, 6919161856, 12.8, 0.1));
    RUN_NAMED("published Qwen3-30B-A3B", published(&qwen3_30b, 30532122624, 33, 0.6));
    RUN_NAMED("published Mixtral-8x7B", published(&mixtral, 46702792704, 129, 0.5));
    RUN_NAMED("published Qwen1.5-MoE-A2.7B", published(&qwen15_moe, 14315784192, 27, 0.5));
    RUN_NAMED("published Gemma-3-270M", published(&gemma_270m, 268098176, 2.68098176, 1e-9));
    RUN_NAMED("published Qwen3-0.6B", published(&qwen3_06b, 596049920, 5.9604992, 1e-9));
    RUN_NAMED("published Qwen2.5-0.5B", published(&qwen25_05b, 494032768, 4.94032768, 1e-9));
    RUN_NAMED("published Llama-3.1-8B", published(&llama_8b, 8030261248, 80.30261248, 1e-9));
    RUN(linear_flops);
    RUN(architectures);
    RUN(gemma3);
    RUN(windowed_cost);
    RUN(shared_expert_cost);
}

int main(void) {
    if (sparse_files())
        large_models();
    else
        RUN(no_large_models);
    RUN(single_expert_tensors);
    RUN(tied_head);
    RUN(quant_names);
    RUN(defaults);
    RUN(expert_width);
    RUN(windows);
    RUN(rope_scaling);
    RUN(layer_arrays);
    RUN(draft_layers);
    RUN(dense_then_experts);
    RUN(latent_header);
    RUN_NAMED("windows of gpt-oss", counted_windows("gpt-oss", 4, 8, 0));
    RUN_NAMED("windows of gemma2", counted_windows("gemma2", 0, 8, 0));
    RUN_NAMED("windows of phi3", counted_windows("phi3", 0, 8, 8));
    RUN(granite);
    RUN(tiny_flops);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        char name[128];
        snprintf(name, sizeof name, "lie %s.%s: %s", lies[i].arch, lies[i].key, lies[i].says);
        RUN_NAMED(name, lie(&lies[i]));
    }
    RUN(unknown_architecture);
    RUN(unknown_to_count);
    RUN(heads_of_a_layer);
    RUN(tensors_that_disagree);
    RUN(vocabulary_that_disagrees);
    return check_done();
}
