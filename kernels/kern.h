/* kern.h - the compute operations of the engine, as one table per instruction set
 *
 * An operation is whole (a matrix product, the experts of a layer, attention), takes device
 * addresses, shapes and strides, and runs on a queue. It allocates nothing, starts no thread,
 * prints nothing and cannot fail: whoever calls it has checked shapes at load. The same table
 * serves a CPU variant and, later, a GPU.
 *
 *     const struct kern *k = kern_select(NULL);         // best this CPU has, or LLM_CPU
 *     struct kern_queue q = {.par = par, .scratch = mem, .scratch_bytes = bytes};
 *     k->rms_norm(&q, x, n, d, d, w, 1e-6f, y);
 *     k->matmul(&q, y, n, (struct kern_mm[]){{&wq, bq, out_q}, {&wk, bk, out_k}}, 2);
 *
 * Device addresses. A pointer passed for data is an address in the device's space: it may be
 * offset, never dereferenced by the caller (on the CPU the two spaces are one). Small shape
 * structs are read by the host when the call is made.
 *
 * Determinism. The result of one row depends on that row's inputs alone: not on the other rows
 * of the call, nor on the number of threads. Every sum runs in one fixed order, written down at
 * the operation. Quantized products are integer sums inside a block of 32 (16 in types that have
 * a scale for 16), then one fused multiply-add per block in order of k (two where there are
 * minima), so that all instruction sets give the same bits.
 *
 * Everything is row-major and dense unless a stride is given; float means IEEE binary32.
 */
#ifndef KERN_H
#define KERN_H

#include <stddef.h>
#include <stdint.h>

/* Element types. Values are those of the GGUF file format (ggml_type). */
enum kern_type {
    KERN_F32 = 0, KERN_F16 = 1, KERN_Q4_0 = 2, KERN_Q4_1 = 3, KERN_Q5_0 = 6, KERN_Q5_1 = 7,
    KERN_Q8_0 = 8, KERN_Q2_K = 10, KERN_Q3_K = 11, KERN_Q4_K = 12, KERN_Q5_K = 13,
    KERN_Q6_K = 14, KERN_IQ4_NL = 20, KERN_IQ4_XS = 23, KERN_BF16 = 30, KERN_TQ2_0 = 35,
    KERN_MXFP4 = 39,
    KERN_TYPES = 40
};

/* What a type is; name NULL where a number is no type of ours. */
struct kern_type_info {
    const char *name;       /* as llama.cpp spells it: "Q4_K" */
    int block;              /* elements in a block (1 for floats) */
    int bytes;              /* bytes of a block */
};

/* Information on type t, or NULL when t is no type of ours (any int is allowed). */
const struct kern_type_info *kern_type_info(int t);

/* Bytes of n elements of type t in the file's layout; n must be a multiple of the block. */
size_t kern_row_bytes(int t, int64_t n);

/* dst[n] = the values of n elements at src (file layout). The scalar specification of every
 * type; bit-exact with llama.cpp's dequantize_row_*. */
void kern_dequantize(int t, const void *src, float *dst, int64_t n);

/* ---- weights ---------------------------------------------------------------------------- */

enum kern_layout {
    KERN_FILE = 0,          /* rows one after another, as in the file */
    KERN_PACKED = 1         /* panels of 16 rows, see kern_pack */
};
#define KERN_PACK_VERSION 1
#define KERN_PANEL 16

/* mats matrices of [rows, cols]; y = W x has x of cols and y of rows elements. Borrowed data. */
struct kern_weight {
    int type;               /* enum kern_type */
    int layout;             /* enum kern_layout */
    int64_t rows, cols;
    int64_t mats;           /* 1, or the number of experts */
    size_t mat_bytes;       /* bytes from one matrix to the next */
    const void *data;       /* NULL: the weight is absent */
};

/* Packed layout, version 1. Rows are taken 16 at a time (the last panel is padded with zero
 * blocks). Inside a panel the blocks follow each other in order of k; a block of 16 rows holds
 * the fields of the file's block in file order, each cut into units (4 bytes; 2 for a lone f16
 * and for F16 weights; 1 for MXFP4's exponent), unit u of the 16 rows side by side:
 * [block][unit][16 rows]. Packing is therefore a permutation of the file's bytes: same size but
 * for the padding, exact, independent of threads and of instruction set. */
size_t kern_pack_bytes(int type, int64_t rows, int64_t cols);

/* Packs panels [panel0, panel1) of the matrix at src (file layout, `rows` by `cols`) to their
 * place in dst (start of the packed matrix). dst must not overlap src. */
void kern_pack(int type, int64_t rows, int64_t cols, const void *src, void *dst,
               int64_t panel0, int64_t panel1);

/* dst[cols] = row `row` of matrix `mat` of w, dequantized; either layout. Host only. */
void kern_weight_row(const struct kern_weight *w, int64_t mat, int64_t row, float *dst);

/* ---- queue ------------------------------------------------------------------------------ */

typedef void kern_task(void *arg, int ith, int nth);

/* How an operation spreads its work: run calls fn(arg, i, n) for i in 0..n-1, possibly at
 * once, and returns when all are done. */
struct kern_par {
    void (*run)(void *ctx, kern_task *fn, void *arg);
    void *ctx;
    int n;
};

/* Where operations run. scratch is theirs during a call: 64-byte aligned, at least
 * kern_scratch_bytes of the limits in force. */
struct kern_queue {
    struct kern_par par;
    void *scratch;
    size_t scratch_bytes;
};

/* The largest operation that will be asked for. Zero fields are allowed where nothing of
 * the kind occurs. */
struct kern_limits {
    int threads;
    int rows;               /* rows of one call */
    int64_t cols;           /* widest input of a matrix product */
    int experts;            /* experts of a layer */
    int top_k;
    int64_t d_model;        /* width of the experts' input and output */
    int64_t d_expert;       /* experts' hidden width */
    int heads, kv_heads, dk, dv;
    int64_t context;        /* longest sequence */
};
size_t kern_scratch_bytes(const struct kern_limits *lim);

/* ---- operands --------------------------------------------------------------------------- */

/* One product of a matmul call: out[n][w->rows] (row stride ldo, 0 = w->rows) = x W^T + bias. */
struct kern_mm {
    const struct kern_weight *w;
    const float *bias;      /* [rows] or NULL */
    float *out;
    int64_t ldo;
};

enum kern_act { KERN_SILU, KERN_GELU_TANH, KERN_GELU_ERF };

enum kern_gate {
    KERN_GATE_SOFTMAX,          /* probabilities over all experts, then top-k */
    KERN_GATE_SIGMOID,          /* independent scores, then top-k */
    KERN_GATE_TOPK_SOFTMAX      /* top-k of the logits, then softmax over the k */
};

/* How a router's logits become k experts and weights (see DeepSeek-V3, arXiv 2412.19437, for
 * groups and the selection bias). */
struct kern_route {
    int experts, top_k;
    int gate;               /* enum kern_gate */
    int normalise;          /* divide the k weights by their sum (at least 6.103515625e-5) */
    float scale;            /* then multiply by this (1: nothing) */
    const float *bias;      /* [experts], added for selection only; or NULL */
    int groups, groups_used;    /* 0 or 1: no groups; groups score by the sum of their best 2 */
};

/* The routed rows of one layer, sorted by expert: what route writes and experts reads.
 * All arrays are device memory lent by the caller; pairs = rows * top_k. */
struct kern_routes {
    int32_t *expert;        /* [rows][top_k], best first */
    float *weight;          /* [rows][top_k] */
    int32_t *start;         /* [experts + 1]: expert e owns order[start[e] .. start[e+1]) */
    int32_t *order;         /* [pairs]: row * top_k + slot, ascending inside an expert */
};

/* The experts of one layer: out[row] += sum over its slots of weight * W_down(act(W_gate x) *
 * W_up x), slots in order of rank. */
struct kern_experts {
    const struct kern_weight *gate, *up, *down;     /* [experts] matrices each */
    const float *gate_bias, *up_bias, *down_bias;   /* [experts][width] or NULL */
    int act;                /* enum kern_act */
    int top_k;
    int first, count;       /* the experts to run; rows routed elsewhere get nothing from here */
};

/* Rotary embedding (Su et al., arXiv 2104.09864) with linear or YaRN (arXiv 2309.00071)
 * scaling. theta_i = pos * base^(-2i/dims) / factors[i] * freq_scale, i < dims/2. */
struct kern_rope {
    int dims;               /* rotated elements of a head, even */
    int neox;               /* pairs (i, i + dims/2) instead of (2i, 2i + 1) */
    float base;
    float freq_scale;       /* 1 / factor, 1 without scaling */
    float ext_factor;       /* YaRN mix: 0 none, 1 full */
    float attn_factor;      /* multiplies cos and sin, before YaRN's own 1 + 0.1 ln(1/scale) */
    float beta_fast, beta_slow;
    int orig_context;
    const float *factors;   /* [dims/2] or NULL */
};

#define KERN_KV_BLOCK 64

/* The KV cache of one layer. It consists of blocks of 64 positions, block_bytes apart from
 * base. In a block, for each KV head in turn, K then V (k_head_bytes, v_head_bytes):
 *   K [dk][64]   element-major, so that scores of 64 positions are computed side by side
 *   V [64][dv]
 * F32, F16: just these. Q8_0: int8 values in the same order, followed by the f16 scales: K's
 * [dk/32][64], V's [64][dv/32]; scale = max|x| / 127, value = round to nearest even. */
struct kern_kv {
    int type;               /* KERN_F32, KERN_F16 or KERN_Q8_0 */
    int heads, dk, dv;      /* Q8_0 needs dk and dv to be multiples of 32 */
    void *base;
    size_t block_bytes;     /* distance between blocks: at least kern_kv_block_bytes */
};
size_t kern_kv_block_bytes(int type, int heads, int dk, int dv);

/* Which place in the cache a row has. tables[seq][pos / 64] is the block of a position. */
struct kern_rows {
    int n;
    const int32_t *seq;     /* [n] */
    const int32_t *pos;     /* [n] */
    const int32_t *const *tables;
};

/* softmax(softcap(q k * scale)) v over positions p <= pos (and > pos - window), by online
 * softmax over blocks in order (Milakov and Gimelshein, arXiv 1805.02867; FlashAttention-2,
 * arXiv 2307.08691). The positions are cut at fixed multiples of KERN_ATTN_SPLIT; the parts
 * are merged in order, so the threads never change a bit. */
struct kern_attn {
    int heads;              /* query heads; heads / kv.heads share a KV head */
    float scale;
    float softcap;          /* 0 none, else cap * tanh(s / cap) */
    const float *sinks;     /* [heads] logits that only enter the denominator; or NULL */
    int window;             /* 0 = all positions, else the last `window` including itself */
    struct kern_kv kv;
};
#define KERN_ATTN_SPLIT 512

/* ---- the table -------------------------------------------------------------------------- */

struct kern {
    const char *name;       /* "ref", "avx2", "avx512" */
    const char *describe;   /* instruction sets used, for people */

    /* out[n][w->cols] = scale * rows ids[n] of w (an embedding matrix [vocab, d]). */
    void (*embed)(struct kern_queue *, const struct kern_weight *w, const int32_t *ids, int n,
                  float scale, float *out);

    /* y[n][d] = x / sqrt(mean(x^2) + eps) * w; x and y have row strides ldx and ldy (0 = d);
     * w [d] or NULL. x == y is allowed. (Zhang and Sennrich, arXiv 1910.07467.) */
    void (*rms_norm)(struct kern_queue *, const float *x, int64_t ldx, int n, int d,
                     const float *w, float eps, float *y, int64_t ldy);

    /* count products of the same x[n][cols], which is converted once. Quantized weights: x
     * becomes int8 with one scale per 32; BF16: x is rounded to bf16; F32 and F16: x as is. */
    void (*matmul)(struct kern_queue *, const float *x, int n, const struct kern_mm *mm,
                   int count);

    /* out[n][d] = act(gate) * up; out may alias either. */
    void (*glu)(struct kern_queue *, int act, const float *gate, const float *up, int64_t total,
                float *out);

    /* y += x * scale, total elements. */
    void (*add)(struct kern_queue *, float *y, const float *x, float scale, int64_t total);

    /* x[n][d] *= sigmoid(gate[n]) : the gate of a shared expert. */
    void (*gate_rows)(struct kern_queue *, float *x, int n, int d, const float *gate);

    /* x = cap * tanh(x / cap). */
    void (*softcap)(struct kern_queue *, float *x, int64_t total, float cap);

    /* angles[n][dims/2][2] = cos, sin of each row's position. */
    void (*rope_angles)(struct kern_queue *, const struct kern_rope *, const int32_t *pos, int n,
                        float *angles);
    /* Rotates x[n][heads][dim] in place; elements from rope->dims on stay. */
    void (*rope)(struct kern_queue *, const struct kern_rope *, const float *angles, float *x,
                 int n, int heads, int dim);

    /* Writes k[n][kv.heads][dk], v[n][kv.heads][dv] to the rows' places. */
    void (*kv_store)(struct kern_queue *, const struct kern_kv *, const struct kern_rows *,
                     const float *k, const float *v);
    /* out[n][heads][dv] from q[n][heads][dk]. Rows of one sequence that follow each other in
     * the call are fastest. */
    void (*attention)(struct kern_queue *, const struct kern_attn *, const struct kern_rows *,
                      const float *q, float *out);

    /* Router logits[n][experts] to routes. Ties go to the lower expert number. */
    void (*route)(struct kern_queue *, const struct kern_route *, const float *logits, int n,
                  struct kern_routes *out);
    /* out[n][d] += the experts' outputs for x[n][d]. Only touched experts are read. */
    void (*experts)(struct kern_queue *, const struct kern_experts *, const struct kern_routes *,
                    const float *x, int n, float *out);

    /* out[n] = log(sum(exp(x[n][d]))). */
    void (*logsumexp)(struct kern_queue *, const float *x, int n, int64_t d, double *out);

    /* Between floats and the file's layout, on the host, by the caller's own thread (rows of a
     * matrix can be shared out). dst[rows][cols] as `type`; cols is a multiple of the block.
     * importance [cols] weighs the squared errors of a column (mean squares of its activations),
     * or NULL. To the bit what kernels/codes.h says. */
    void (*quantize)(int type, const float *src, void *dst, int64_t rows, int64_t cols,
                     const float *importance);
    /* kern_dequantize, as fast as the memory. */
    void (*dequantize)(int type, const void *src, float *dst, int64_t n);
};

/* The table named by `name` ("ref", "avx2", "avx512"), by LLM_CPU when name is NULL, else the
 * best that this CPU runs. NULL when the name is unknown or the CPU lacks it; then *why (if not
 * NULL) points to a static text that says which. */
const struct kern *kern_select(const char *name, const char **why);

/* All variants compiled in that this CPU can run, best last; returns their number. */
int kern_variants(const struct kern *out[], int max);

#endif
