/* test_qmm.c - matrix products of every variant, type, layout, shape and thread count
 *
 * The reference is checked against double arithmetic on dequantized weights; everything else must
 * equal the reference bit for bit (BF16 alone only nearly, see qmm_ref.c).
 */
#include "check.h"

#include "kernels/blocks.h"
#include "kernels/impl.h"
#include "kernels/kern.h"
#include "lib/base/par.h"

#define MAX_COLUMNS 70
#define MAX_K 4608
#define MAX_THREADS 3
#define GUARD 64

static const struct kern *variants[8];
static int variant_count;
static struct par *teams[MAX_THREADS + 1];
static struct kern_queue queue;
static uint8_t *scratch_end;
static uint32_t random_state = 1;

static uint32_t random_u32(void) {
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8 ^ random_state << 16;
}

static float random_float(void) {
    return (float)(int32_t)random_u32() * 0x1p-31f;
}

static void set_threads(int n) {
    queue.par = (struct kern_par){par_run, teams[n], n};
}

static const struct kern_limits limits = {
    .threads = MAX_THREADS, .rows = MAX_COLUMNS, .cols = MAX_K, .experts = 6, .top_k = 3,
    .d_model = 512, .d_expert = 288,
};

static void open_queue(void) {
    size_t bytes = kern_qmm_scratch(&limits);
    uint8_t *scratch = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    memset(scratch, 0xff, bytes);
    memset(scratch + bytes, 0x5a, GUARD);
    scratch_end = scratch + bytes;
    queue = (struct kern_queue){.scratch = scratch, .scratch_bytes = bytes};
    for (int n = 1; n <= MAX_THREADS; n++)
        teams[n] = par_new(n);
}

/* ---- weights ---------------------------------------------------------------------------- */

/* Scales near 2^-10 so that sums stay near one; any other bits are good as they are. */
static void tame_half(uint8_t *half) {
    half[1] = (uint8_t)((half[1] & 0x80) | 0x14 | (half[1] & 3));
}

static void tame_block(int type, uint8_t *b) {
    float f;
    switch (type) {
    case KERN_F32:
        f = random_float();
        memcpy(b, &f, sizeof f);
        break;
    case KERN_BF16:
        b[1] = (uint8_t)((b[1] & 0x80) | 0x3e);
        break;
    case KERN_F16:
        b[1] = (uint8_t)((b[1] & 0x83) | 0x38);
        break;
    case KERN_Q2_K:
        tame_half(b + 80);
        tame_half(b + 82);
        break;
    case KERN_Q3_K:
        tame_half(b + 108);
        break;
    case KERN_Q6_K:
        tame_half(b + 208);
        break;
    case KERN_TQ2_0:
        tame_half(b + 64);
        break;
    case KERN_MXFP4:
        b[0] = (uint8_t)(118 + b[0] % 4);
        break;
    default:
        tame_half(b);
        tame_half(b + 2 * (type == KERN_Q4_1 || type == KERN_Q5_1 || type == KERN_Q4_K ||
                           type == KERN_Q5_K));
    }
}

/* A weight in both layouts. */
struct pair {
    struct kern_weight file, packed;
};

static struct pair make_pair(int type, int64_t rows, int64_t cols, int64_t mats) {
    const struct kern_type_info *info = kern_type_info(type);
    size_t bytes = kern_row_bytes(type, cols) * (size_t)rows;
    size_t packed_bytes = (kern_pack_bytes(type, rows, cols) + 63) / 64 * 64;
    uint8_t *src = malloc(bytes * (size_t)mats);
    uint8_t *dst = aligned_alloc(64, packed_bytes * (size_t)mats);
    for (size_t i = 0; i < bytes * (size_t)mats; i++)
        src[i] = (uint8_t)random_u32();
    for (size_t i = 0; i < bytes * (size_t)mats; i += (size_t)info->bytes)
        tame_block(type, src + i);
    for (int64_t m = 0; m < mats; m++)
        kern_pack(type, rows, cols, src + (size_t)m * bytes, dst + (size_t)m * packed_bytes, 0,
                  (rows + KERN_PANEL - 1) / KERN_PANEL);
    return (struct pair){{type, KERN_FILE, rows, cols, mats, bytes, src},
                         {type, KERN_PACKED, rows, cols, mats, packed_bytes, dst}};
}

static void free_pair(struct pair *p) {
    free((void *)(uintptr_t)p->file.data);
    free((void *)(uintptr_t)p->packed.data);
}

static float *random_floats(size_t n) {
    float *x = malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = random_float();
    return x;
}

/* The first place where bits differ (NaN equals NaN), or -1. */
static int64_t first_difference(const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i])))
            return i;
    return -1;
}

static double largest_difference(const float *a, const float *b, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* ---- the reference ---------------------------------------------------------------------- */

/* What int8 activations may cost: half a step of 1/127 of the block's largest, in every term. */
static void reference_is_a_product(int type) {
    const struct kern_type_info *info = kern_type_info(type);
    enum { ROWS = 19, N = 3 };
    int64_t cols = info->block == 1 ? 301 : 2 * info->block;
    struct pair w = make_pair(type, ROWS, cols, 1);
    float *x = random_floats((size_t)(N * cols));
    float *row = malloc((size_t)cols * sizeof *row);
    float y[N][ROWS];
    set_threads(1);
    kern_matmul_ref(&queue, x, N, (struct kern_mm[]){{&w.file, NULL, y[0], 0}}, 1);
    for (int r = 0; r < ROWS; r++) {
        kern_weight_row(&w.file, 0, r, row);
        for (int c = 0; c < N; c++) {
            double want = 0;
            double room = 1e-4;
            for (int64_t k = 0; k < cols; k++) {
                want += (double)row[k] * (double)x[c * cols + k];
                room += fabs((double)row[k]) *
                        (block_form(type) ? 0.5 / 127 : type == KERN_BF16 ? 0x1p-9 : 0);
            }
            CHECK_NEAR((double)y[c][r], want, room);
        }
    }
    free(row);
    free(x);
    free_pair(&w);
}

/* ---- products --------------------------------------------------------------------------- */

struct shape {
    int64_t rows, blocks;       /* k = blocks * 32 or 256; for floats as it is */
};

static const struct shape shapes[] = {{1, 1}, {16, 2}, {17, 3}, {33, 5}, {100, 9}, {70, 18}};
static const struct shape float_shapes[] = {{1, 1}, {16, 7}, {17, 33}, {35, 100}, {100, 515},
                                            {33, 4607}};

/* One product by variant k against want[MAX_COLUMNS][rows]; only columns [0, n). */
static void product_equals(const struct kern *k, const struct kern_weight *w, const float *x, int n,
                           int threads, const float *want) {
    float *y = malloc((size_t)n * (size_t)w->rows * sizeof *y);
    memset(y, 0xff, (size_t)n * (size_t)w->rows * sizeof *y);
    set_threads(threads);
    k->matmul(&queue, x, n, (struct kern_mm[]){{w, NULL, y, 0}}, 1);
    int64_t at = first_difference(y, want, n * w->rows);
    if (at >= 0)
        printf("# %s, layout %d, %lld x %lld, n %d, threads %d: column %lld row %lld: %a, "
               "expected %a\n", k->name, w->layout, (long long)w->rows, (long long)w->cols, n,
               threads, (long long)(at / w->rows), (long long)(at % w->rows), (double)y[at],
               (double)want[at]);
    CHECK(at < 0);
    free(y);
}

static void variant_products(const struct kern *k, int type, struct shape s, int all_n) {
    const struct kern_type_info *info = kern_type_info(type);
    struct pair w = make_pair(type, s.rows, s.blocks * info->block, 1);
    float *x = random_floats((size_t)(MAX_COLUMNS * w.file.cols));
    float *want = malloc((size_t)(MAX_COLUMNS * s.rows) * sizeof *want);
    set_threads(1);
    kern_matmul_ref(&queue, x, MAX_COLUMNS, (struct kern_mm[]){{&w.file, NULL, want, 0}}, 1);
    if (type == KERN_BF16) {
        /* within a variant exact, between variants nearly */
        float *ref = malloc((size_t)(MAX_COLUMNS * s.rows) * sizeof *ref);
        memcpy(ref, want, (size_t)(MAX_COLUMNS * s.rows) * sizeof *ref);
        k->matmul(&queue, x, MAX_COLUMNS, (struct kern_mm[]){{&w.packed, NULL, want, 0}}, 1);
        CHECK_NEAR(largest_difference(ref, want, MAX_COLUMNS * s.rows), 0,
                   1e-6 * (double)w.file.cols);
        free(ref);
    }
    static const int some_n[] = {1, 2, 3, 4, 5, 6, 7, 8, 13, 31, 48, 49, 70};
    int count = all_n ? MAX_COLUMNS : (int)(sizeof some_n / sizeof *some_n);
    for (int i = 0; i < count; i++) {
        int n = all_n ? i + 1 : some_n[i];
        product_equals(k, &w.packed, x, n, 1 + i % MAX_THREADS, want);
        if (!all_n || i % 8 == 0)
            product_equals(k, &w.file, x, n, 1 + (i + 1) % MAX_THREADS, want);
    }
    free(want);
    free(x);
    free_pair(&w);
}

static void equals_reference(const struct kern *k, int type) {
    int floats = kern_type_info(type)->block == 1;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        variant_products(k, type, floats ? float_shapes[i] : shapes[i], i == 3);
}

/* Several weights of one x: types mixed, a bias, a row stride, few rows and many columns. */
static void mixed_call(const struct kern *k) {
    enum { N = 61, COLS = 512, LDO = 120 };
    struct pair w[4] = {make_pair(KERN_Q4_K, 100, COLS, 1), make_pair(KERN_F32, 6, COLS, 1),
                        make_pair(KERN_Q8_0, 32, COLS, 1), make_pair(KERN_F16, 33, COLS, 1)};
    float *x = random_floats(N * COLS);
    float *bias = random_floats(100);
    for (int n = 1; n <= N; n += 12) {
        static float y[4][N * LDO];
        static float want[4][N * LDO];
        struct kern_mm mm[4];
        memset(y, 0, sizeof y);
        memset(want, 0, sizeof want);
        for (int i = 0; i < 4; i++)
            mm[i] = (struct kern_mm){&w[i].file, i % 2 ? NULL : bias, want[i], i < 2 ? LDO : 0};
        set_threads(1);
        kern_matmul_ref(&queue, x, n, mm, 4);
        for (int i = 0; i < 4; i++) {
            mm[i].w = i == 1 ? &w[i].file : &w[i].packed;
            mm[i].out = y[i];
        }
        set_threads(3);
        k->matmul(&queue, x, n, mm, 4);
        for (int i = 0; i < 4; i++)
            CHECK_INT(first_difference(y[i], want[i], N * LDO), -1);
    }
    free(bias);
    free(x);
    for (int i = 0; i < 4; i++)
        free_pair(&w[i]);
}

/* Zero, tiny, infinite and NaN activations, and weights of any bits at all. */
static void hostile_values(const struct kern *k) {
    enum { ROWS = 18, N = 9 };
    for (int t = 0; t < KERN_TYPES; t++) {
        const struct kern_type_info *info = kern_type_info(t);
        if (!info || t == KERN_BF16)
            continue;
        int64_t cols = info->block == 1 ? 40 : 2 * info->block;
        struct pair w = make_pair(t, ROWS, cols, 1);
        uint8_t *bytes = (uint8_t *)(uintptr_t)w.file.data;
        for (size_t i = 0; i < w.file.mat_bytes; i++)
            bytes[i] = (uint8_t)random_u32();
        kern_pack(t, ROWS, cols, bytes, (void *)(uintptr_t)w.packed.data, 0, 2);
        float *x = random_floats((size_t)(N * cols));
        x[0] = INFINITY;
        x[cols] = NAN;
        for (int64_t i = 2 * cols; i < 3 * cols; i++)
            x[i] = 0;
        for (int64_t i = 3 * cols; i < 4 * cols; i++)
            x[i] *= 1e-30f;
        for (int64_t i = 4 * cols; i < 5 * cols; i++)
            x[i] *= 3e38f;
        float want[N * ROWS];
        set_threads(1);
        kern_matmul_ref(&queue, x, N, (struct kern_mm[]){{&w.file, NULL, want, 0}}, 1);
        product_equals(k, &w.packed, x, 1, 1, want);
        product_equals(k, &w.packed, x, N, 2, want);
        free(x);
        free_pair(&w);
    }
}

static void embeds_rows(const struct kern *k) {
    enum { VOCAB = 40, D = 256 };
    static const int32_t ids[] = {39, 0, 17, 16, 0};
    struct pair w = make_pair(KERN_Q6_K, VOCAB, D, 1);
    float out[5 * D];
    float row[D];
    for (int threads = 1; threads <= MAX_THREADS; threads++) {
        set_threads(threads);
        k->embed(&queue, &w.packed, ids, 5, 1.5f, out);
        for (int i = 0; i < 5; i++) {
            kern_weight_row(&w.file, 0, ids[i], row);
            for (int c = 0; c < D; c++)
                CHECK(out[i * D + c] == 1.5f * row[c]);
        }
    }
    free_pair(&w);
}

/* ---- experts ---------------------------------------------------------------------------- */

enum { EXPERTS = 6, TOP_K = 3 };

struct routed {
    int32_t expert[MAX_COLUMNS * TOP_K], start[EXPERTS + 1], order[MAX_COLUMNS * TOP_K];
    float weight[MAX_COLUMNS * TOP_K];
    struct kern_routes routes;
};

/* n rows, each to TOP_K different experts; expert 4 gets none. */
static void fill_routes(struct routed *r, int n) {
    static const int32_t used[] = {0, 1, 2, 3, 5};
    r->routes = (struct kern_routes){r->expert, r->weight, r->start, r->order};
    for (int i = 0; i < n; i++) {
        uint32_t first = random_u32() % 5;
        for (uint32_t s = 0; s < TOP_K; s++) {
            r->expert[i * TOP_K + (int)s] = used[(first + s * (1 + first % 2)) % 5];
            r->weight[i * TOP_K + (int)s] = random_float();
        }
    }
    int at = 0;
    for (int e = 0; e < EXPERTS; e++) {
        r->start[e] = at;
        for (int i = 0; i < n * TOP_K; i++)
            if (r->expert[i] == e)
                r->order[at++] = i;
    }
    r->start[EXPERTS] = at;
}

static struct kern_weight matrix(const struct kern_weight *w, int e) {
    struct kern_weight m = *w;
    m.data = (const char *)w->data + (size_t)e * w->mat_bytes;
    m.mats = 1;
    return m;
}

/* The experts one row and slot at a time, by the variant's own matmul and glu. */
static void experts_by_hand(const struct kern *k, const struct kern_experts *e,
                            const struct kern_routes *routes, const float *x, int n, float *out) {
    int64_t d = e->gate->cols;
    int64_t hidden = e->gate->rows;
    float gate[512];
    float up[512];
    float y[512];
    for (int i = 0; i < n * e->top_k; i++) {
        int at = routes->expert[i];
        if (at < e->first || at >= e->first + e->count)
            continue;
        struct kern_weight g = matrix(e->gate, at);
        struct kern_weight u = matrix(e->up, at);
        struct kern_weight w = matrix(e->down, at);
        const float *bias = e->gate_bias ? e->gate_bias + at * hidden : NULL;
        k->matmul(&queue, x + i / e->top_k * d, 1, (struct kern_mm[]){{&g, bias, gate, 0}}, 1);
        bias = e->up_bias ? e->up_bias + at * hidden : NULL;
        k->matmul(&queue, x + i / e->top_k * d, 1, (struct kern_mm[]){{&u, bias, up, 0}}, 1);
        k->glu(&queue, e->act, gate, up, hidden, gate);
        bias = e->down_bias ? e->down_bias + at * d : NULL;
        k->matmul(&queue, gate, 1, (struct kern_mm[]){{&w, bias, y, 0}}, 1);
        for (int64_t c = 0; c < d; c++) {
            float *o = &out[i / e->top_k * d + c];
            *o = fmaf(routes->weight[i], y[c], *o);
        }
    }
}

static void experts_equal(const struct kern *k, int in_type, int down_type, int layout, int64_t d,
                          int64_t hidden, int bias) {
    struct pair gate = make_pair(in_type, hidden, d, EXPERTS);
    struct pair up = make_pair(in_type, hidden, d, EXPERTS);
    struct pair down = make_pair(down_type, d, hidden, EXPERTS);
    float *b = random_floats((size_t)(EXPERTS * (d > hidden ? d : hidden)));
    float *x = random_floats((size_t)(MAX_COLUMNS * d));
    float *out = malloc((size_t)(MAX_COLUMNS * d) * sizeof *out);
    float *want = malloc((size_t)(MAX_COLUMNS * d) * sizeof *want);
    static const int ns[] = {1, 2, 5, 40, MAX_COLUMNS};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        static struct routed r;
        int n = ns[i];
        fill_routes(&r, n);
        for (int first = 0; first < 3; first++) {
            struct kern_experts e = {&gate.file, &up.file, &down.file, bias ? b : NULL,
                                     bias ? b : NULL, bias ? b : NULL, KERN_SILU, TOP_K, first,
                                     first ? 3 : EXPERTS};
            for (int64_t c = 0; c < n * d; c++)
                out[c] = want[c] = (float)(c % 7);
            set_threads(1);
            experts_by_hand(k, &e, &r.routes, x, n, want);
            if (layout == KERN_PACKED) {
                e.gate = &gate.packed;
                e.up = &up.packed;
                e.down = &down.packed;
            }
            set_threads(1 + (int)(i + (size_t)first) % MAX_THREADS);
            k->experts(&queue, &e, &r.routes, x, n, out);
            CHECK_INT(first_difference(out, want, n * d), -1);
        }
    }
    free(want);
    free(out);
    free(x);
    free(b);
    free_pair(&down);
    free_pair(&up);
    free_pair(&gate);
}

static void experts(const struct kern *k) {
    experts_equal(k, KERN_Q4_K, KERN_Q8_0, KERN_PACKED, 512, 96, 0);
    experts_equal(k, KERN_Q8_0, KERN_Q6_K, KERN_PACKED, 256, 256, 1);
    experts_equal(k, KERN_Q4_0, KERN_Q4_0, KERN_FILE, 160, 288, 1);
    experts_equal(k, KERN_F32, KERN_F32, KERN_PACKED, 100, 50, 1);
    experts_equal(k, KERN_F16, KERN_F16, KERN_PACKED, 128, 64, 0);
    experts_equal(k, KERN_BF16, KERN_BF16, KERN_PACKED, 101, 51, 1);
    experts_equal(k, KERN_F16, KERN_Q8_0, KERN_FILE, 90, 64, 0);
    experts_equal(k, KERN_Q5_0, KERN_F32, KERN_PACKED, 64, 41, 0);
}

static void scratch_is_kept_to(void) {
    for (int i = 0; i < GUARD; i++)
        CHECK_INT(scratch_end[i], 0x5a);
}

int main(void) {
    char name[96];
    variant_count = kern_variants(variants, 8);
    open_queue();
    for (int t = 0; t < KERN_TYPES; t++)
        if (kern_type_info(t)) {
            snprintf(name, sizeof name, "ref %s is a product", kern_type_info(t)->name);
            RUN_NAMED(name, reference_is_a_product(t));
        }
    for (int i = 0; i < variant_count; i++) {
        const struct kern *k = variants[i];
        for (int t = 0; t < KERN_TYPES; t++)
            if (kern_type_info(t)) {
                snprintf(name, sizeof name, "%s %s products", k->name, kern_type_info(t)->name);
                RUN_NAMED(name, equals_reference(k, t));
            }
        snprintf(name, sizeof name, "%s mixed call", k->name);
        RUN_NAMED(name, mixed_call(k));
        snprintf(name, sizeof name, "%s hostile values", k->name);
        RUN_NAMED(name, hostile_values(k));
        snprintf(name, sizeof name, "%s embeds rows", k->name);
        RUN_NAMED(name, embeds_rows(k));
        snprintf(name, sizeof name, "%s experts", k->name);
        RUN_NAMED(name, experts(k));
    }
    RUN(scratch_is_kept_to);
    for (int n = 1; n <= MAX_THREADS; n++)
        par_free(teams[n]);
    free(queue.scratch);
    return check_done();
}
