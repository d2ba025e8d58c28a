/* test_attn.c - the KV cache and attention of every variant
 *
 * Attention is compared with a plain softmax over all positions in double precision, made from
 * the values as the cache holds them; every variant with the first bit by bit; and one call over
 * all rows with calls over some of them, in other orders and under other thread counts.
 */
#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "tests/check.h"

static const struct kern *variants[8];
static int variant_count;
static struct par *teams[3];        /* of 1, 2 and 5 threads */
static const int team_threads[] = {1, 2, 5};

static uint32_t seed = 1;
static float uniform(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1;
}

static float *random_floats(size_t n, float size) {
    float *x = mem_array(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = uniform() * size;
    return x;
}

/* ---- a cache as kern.h describes it ----------------------------------------------------- */

static double half_value(uint16_t h) {
    int exponent = h >> 10 & 31;
    double m = (double)(h & 1023);
    double v = exponent ? ldexp(1024 + m, exponent - 25) : ldexp(m, -24);
    return h & 0x8000 ? -v : v;
}

/* Element e of position t in the K (or V) of one head. */
static double stored(int type, const uint8_t *head, int d, int e, int t, int is_k) {
    size_t i = is_k ? (size_t)e * 64 + (size_t)t : (size_t)t * (size_t)d + (size_t)e;
    if (type == KERN_F32) {
        float f;
        memcpy(&f, head + 4 * i, 4);
        return (double)f;
    }
    uint16_t h;
    if (type == KERN_F16) {
        memcpy(&h, head + 2 * i, 2);
        return half_value(h);
    }
    size_t g = is_k ? (size_t)(e / 32) * 64 + (size_t)t : (size_t)(t * (d / 32) + e / 32);
    memcpy(&h, head + (size_t)d * 64 + 2 * g, 2);
    return (int8_t)head[i] * half_value(h);
}

/* Bytes of 64 positions of d elements. */
static size_t head_bytes(int type, int d) {
    if (type == KERN_Q8_0)
        return (size_t)d * 64 + (size_t)(d / 32) * 128;
    return (size_t)d * 64 * (type == KERN_F16 ? 2 : 4);
}

enum { SEQS = 2 };

/* A model's layer, a cache with SEQS sequences whose blocks are mixed, and rows to run. */
struct world {
    struct kern_attn at;
    int context;
    int32_t *tables[SEQS];
    size_t cache_bytes;
    float *k[SEQS], *v[SEQS];       /* [context][heads][d] as given to kv_store */
    void *scratch;
    size_t scratch_bytes;
};

/* Memory with an end that the address sanitizer watches. */
static void *aligned(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes);
    if (!p)
        abort();
    return memset(p, 0, bytes);
}

static struct world world_new(struct kern_attn at, int context, int max_rows) {
    struct world w = {.at = at, .context = context};
    struct kern_kv *kv = &w.at.kv;
    int blocks = (context + 63) / 64;
    kv->block_bytes = kern_kv_block_bytes(kv->type, kv->heads, kv->dk, kv->dv) + 64;
    w.cache_bytes = kv->block_bytes * (size_t)(blocks * SEQS);
    kv->base = aligned(w.cache_bytes);
    for (int s = 0; s < SEQS; s++) {
        w.tables[s] = mem_array((size_t)blocks, sizeof(int32_t));
        for (int b = 0; b < blocks; b++)
            w.tables[s][b] = (blocks % 7 == 0 ? b : b * 7 % blocks) * SEQS + s;
        w.k[s] = random_floats((size_t)(context * kv->heads * kv->dk), 1);
        w.v[s] = random_floats((size_t)(context * kv->heads * kv->dv), 1);
    }
    struct kern_limits lim = {.threads = 5, .rows = max_rows, .heads = at.heads,
                              .kv_heads = kv->heads, .dk = kv->dk, .dv = kv->dv,
                              .context = context};
    w.scratch_bytes = kern_scratch_bytes(&lim);
    w.scratch = aligned(w.scratch_bytes);
    return w;
}

static void world_free(struct world *w) {
    free(w->at.kv.base);
    free(w->scratch);
    for (int s = 0; s < SEQS; s++) {
        free(w->tables[s]);
        free(w->k[s]);
        free(w->v[s]);
    }
}

static struct kern_queue queue_of(const struct world *w, int team) {
    return (struct kern_queue){.par = {par_run, teams[team], team_threads[team]},
                               .scratch = w->scratch, .scratch_bytes = w->scratch_bytes};
}

/* Stores positions [0, length) of sequence s in calls of `step` rows. */
static void fill(const struct world *w, const struct kern *k, int s, int length, int step,
                 int team) {
    const struct kern_kv *kv = &w->at.kv;
    const int32_t *tables[SEQS] = {w->tables[0], w->tables[1]};
    struct kern_queue q = queue_of(w, team);
    int32_t *seq = mem_array((size_t)step, sizeof *seq);
    int32_t *pos = mem_array((size_t)step, sizeof *pos);
    for (int p = 0; p < length; p += step) {
        int n = length - p < step ? length - p : step;
        for (int i = 0; i < n; i++) {
            seq[i] = s;
            pos[i] = p + i;
        }
        struct kern_rows rows = {n, seq, pos, tables};
        k->kv_store(&q, kv, &rows, w->k[s] + p * kv->heads * kv->dk,
                    w->v[s] + p * kv->heads * kv->dv);
    }
    free(seq);
    free(pos);
}

/* ---- store ------------------------------------------------------------------------------ */

struct store_case {
    const char *name;
    int type, heads, dk, dv;
};

static const struct store_case store_cases[] = {
    {"store f32", KERN_F32, 2, 20, 7},
    {"store f16", KERN_F16, 3, 64, 64},
    {"store f16, odd widths", KERN_F16, 1, 19, 33},
    {"store q8_0", KERN_Q8_0, 2, 64, 96},
};

/* Relative error that a value may have from its type; for Q8_0 relative to its group's largest. */
static double store_error(const struct world *w, int s, int p, int h) {
    const struct kern_kv *kv = &w->at.kv;
    const uint8_t *base = (const uint8_t *)kv->base +
                          (size_t)w->tables[s][p / 64] * kv->block_bytes +
                          (size_t)h * (head_bytes(kv->type, kv->dk) + head_bytes(kv->type, kv->dv));
    double bad = 0;
    for (int is_k = 0; is_k < 2; is_k++) {
        int d = is_k ? kv->dk : kv->dv;
        const float *x = (is_k ? w->k[s] : w->v[s]) + (p * kv->heads + h) * d;
        const uint8_t *head = is_k ? base : base + head_bytes(kv->type, kv->dk);
        for (int e = 0; e < d; e++) {
            double most = fabs((double)x[e]);
            for (int i = e / 32 * 32; kv->type == KERN_Q8_0 && i < e / 32 * 32 + 32; i++)
                most = fmax(most, fabs((double)x[i]));
            double err = fabs(stored(kv->type, head, d, e, p % 64, is_k) - (double)x[e]);
            bad = fmax(bad, err / (most + 1e-4));
        }
    }
    return bad;
}

static void store(const struct store_case *c) {
    enum { LENGTH = 150 };
    static const double tolerance[] = {[KERN_F32] = 0, [KERN_F16] = 1.0 / 2048,
                                       [KERN_Q8_0] = 0.5 / 127 + 1.0 / 2048};
    struct kern_attn at = {.heads = c->heads, .kv = {.type = c->type, .heads = c->heads,
                                                     .dk = c->dk, .dv = c->dv}};
    struct world w = world_new(at, LENGTH, 200);
    w.k[0][5] = 3e-8f;                  /* subnormal in F16 */
    w.k[0][6] = 0;
    for (int i = 0; i < 32 && i < c->dv; i++)
        w.v[0][i] = i % 2 ? 1e-35f : 0;     /* a group too small for a scale */
    CHECK_INT(kern_kv_block_bytes(c->type, c->heads, c->dk, c->dv),
              (size_t)c->heads * (head_bytes(c->type, c->dk) + head_bytes(c->type, c->dv)));
    uint8_t *first = NULL;
    for (int i = 0; i < variant_count; i++) {
        static const int steps[] = {200, 1, 37};
        for (int t = 0; t < 3; t++) {
            memset(w.at.kv.base, 0xa5, w.cache_bytes);
            for (int s = 0; s < SEQS; s++)
                fill(&w, variants[i], s, LENGTH, steps[t], t);
            for (int p = 0; p < LENGTH; p++)
                for (int h = 0; h < c->heads; h++)
                    CHECK(store_error(&w, p % SEQS, p, h) <= tolerance[c->type]);
            if (!first) {
                first = mem_alloc(w.cache_bytes);
                memcpy(first, w.at.kv.base, w.cache_bytes);
            }
            CHECK(memcmp(first, w.at.kv.base, w.cache_bytes) == 0);
        }
    }
    free(first);
    world_free(&w);
}

/* Infinity and NaN must come back as something that is not finite, not as a number. */
static void store_not_finite(void) {
    struct kern_attn at = {.heads = 1, .kv = {.heads = 1, .dk = 32, .dv = 32}};
    static const int types[] = {KERN_F32, KERN_F16, KERN_Q8_0};
    for (int ty = 0; ty < 3; ty++) {
        at.kv.type = types[ty];
        struct world w = world_new(at, 64, 64);
        w.k[0][32 * 3 + 1] = INFINITY;
        w.v[0][32 * 4 + 2] = NAN;
        for (int i = 0; i < variant_count; i++) {
            float q[32] = {0};
            float out[32];
            q[1] = 1;
            fill(&w, variants[i], 0, 64, 64, 0);
            struct kern_queue queue = queue_of(&w, 0);
            const int32_t *tables[] = {w.tables[0]};
            int32_t pos = 2;
            struct kern_rows rows = {1, (int32_t[]){0}, &pos, tables};
            w.at.scale = 1;
            variants[i]->attention(&queue, &w.at, &rows, q, out);
            CHECK(isfinite(out[2]));
            pos = 5;
            variants[i]->attention(&queue, &w.at, &rows, q, out);
            CHECK(!isfinite(out[2]));
        }
        world_free(&w);
    }
}

/* ---- attention -------------------------------------------------------------------------- */

/* One query by definition, in double precision. */
static void plain(const struct world *w, int s, int pos, int head, const float *q, double *out) {
    const struct kern_attn *at = &w->at;
    const struct kern_kv *kv = &at->kv;
    int h = head / (at->heads / kv->heads);
    size_t per_head = head_bytes(kv->type, kv->dk) + head_bytes(kv->type, kv->dv);
    int first = at->window && pos >= at->window ? pos - at->window + 1 : 0;
    double *score = mem_array((size_t)pos + 1, sizeof *score);
    double max = at->sinks ? (double)at->sinks[head] : -INFINITY;
    for (int p = first; p <= pos; p++) {
        const uint8_t *k = (const uint8_t *)kv->base +
                           (size_t)w->tables[s][p / 64] * kv->block_bytes + (size_t)h * per_head;
        double sum = 0;
        for (int e = 0; e < kv->dk; e++)
            sum += (double)q[e] * stored(kv->type, k, kv->dk, e, p % 64, 1);
        sum *= (double)at->scale;
        score[p] = at->softcap > 0 ? (double)at->softcap * tanh(sum / (double)at->softcap) : sum;
        max = fmax(max, score[p]);
    }
    double total = at->sinks ? exp((double)at->sinks[head] - max) : 0;
    for (int e = 0; e < kv->dv; e++)
        out[e] = 0;
    for (int p = first; p <= pos; p++) {
        const uint8_t *v = (const uint8_t *)kv->base +
                           (size_t)w->tables[s][p / 64] * kv->block_bytes + (size_t)h * per_head +
                           head_bytes(kv->type, kv->dk);
        double weight = exp(score[p] - max);
        total += weight;
        for (int e = 0; e < kv->dv; e++)
            out[e] += weight * stored(kv->type, v, kv->dv, e, p % 64, 0);
    }
    for (int e = 0; e < kv->dv; e++)
        out[e] /= total;
    free(score);
}

struct attn_case {
    const char *name;
    int type, heads, kv_heads, dk, dv;
    int length[SEQS];       /* positions of each sequence */
    int rows[SEQS];         /* the last of them that are queried */
    int window;
    float softcap;
    int sinks;
};

static const struct attn_case attn_cases[] = {
    {"one position", KERN_F16, 2, 1, 64, 64, {1, 2}, {1, 2}, 0, 0, 0},
    {"narrow values, q8_0", KERN_Q8_0, 4, 1, 32, 32, {90, 600}, {90, 1}, 0, 0, 0},
    {"short prefill", KERN_F16, 4, 2, 64, 64, {70, 5}, {70, 5}, 0, 0, 0},
    {"prefill of grouped heads", KERN_F16, 8, 1, 32, 48, {150, 64}, {150, 64}, 0, 0, 0},
    {"prefill at depth", KERN_F32, 2, 2, 64, 64, {1300, 700}, {40, 13}, 0, 0, 0},
    {"decode at depth", KERN_F16, 4, 1, 128, 128, {1300, 513}, {1, 1}, 0, 0, 0},
    {"decode at depth, q8_0", KERN_Q8_0, 4, 2, 96, 64, {1279, 1024}, {1, 1}, 0, 0, 0},
    {"decode with many heads", KERN_F16, 53, 1, 16, 16, {600, 40}, {1, 2}, 0, 0, 0},
    {"prefill, q8_0", KERN_Q8_0, 4, 2, 64, 128, {300, 130}, {60, 130}, 0, 0, 0},
    {"dk 192, dv 128", KERN_F16, 2, 2, 192, 128, {200, 100}, {30, 1}, 0, 0, 0},
    {"odd widths", KERN_F32, 3, 1, 7, 19, {200, 90}, {90, 1}, 0, 0, 0},
    {"odd widths, f16", KERN_F16, 3, 3, 80, 33, {200, 90}, {9, 1}, 0, 0, 0},
    {"window", KERN_F16, 4, 2, 64, 64, {900, 300}, {300, 300}, 130, 0, 0},
    {"window of one", KERN_F16, 2, 1, 32, 32, {600, 70}, {100, 70}, 1, 0, 0},
    {"window over a split", KERN_Q8_0, 4, 1, 64, 64, {1100, 520}, {90, 1}, 512, 0, 0},
    {"softcap", KERN_F16, 4, 2, 64, 64, {700, 20}, {20, 20}, 0, 2.5f, 0},
    {"sinks", KERN_F16, 4, 2, 64, 64, {700, 20}, {20, 20}, 0, 0, 1},
    {"sinks, softcap and window", KERN_F32, 6, 2, 40, 24, {700, 20}, {20, 20}, 33, 1.5f, 1},
};

/* Error relative to the largest value: the scores have an error of some 1e-7 x their size. */
#define ATTN_TOLERANCE 3e-6

/* The rows of a case: sequence 0's and 1's last ones. */
struct query_rows {
    int n;
    int32_t *seq, *pos;
    float *q, *out;
};

static struct query_rows rows_new(const struct attn_case *c) {
    struct query_rows r = {.n = c->rows[0] + c->rows[1]};
    r.seq = mem_array((size_t)r.n, sizeof *r.seq);
    r.pos = mem_array((size_t)r.n, sizeof *r.pos);
    r.q = random_floats((size_t)(r.n * c->heads * c->dk), 3);
    r.out = mem_array((size_t)(r.n * c->heads * c->dv), sizeof *r.out);
    for (int i = 0; i < r.n; i++) {
        r.seq[i] = i >= c->rows[0];
        int in = r.seq[i] ? i - c->rows[0] : i;
        r.pos[i] = c->length[r.seq[i]] - c->rows[r.seq[i]] + in;
    }
    return r;
}

static void rows_free(struct query_rows *r) {
    free(r->seq);
    free(r->pos);
    free(r->q);
    free(r->out);
}

static void run_rows(const struct world *w, const struct kern *k, int team, int n,
                     const int32_t *seq, const int32_t *pos, const float *q, float *out) {
    const int32_t *tables[SEQS] = {w->tables[0], w->tables[1]};
    struct kern_rows rows = {n, seq, pos, tables};
    struct kern_queue queue = queue_of(w, team);
    k->attention(&queue, &w->at, &rows, q, out);
}

static void check_plain(const struct world *w, const struct query_rows *r) {
    int dk = w->at.kv.dk;
    int dv = w->at.kv.dv;
    int heads = w->at.heads;
    double *want = mem_array((size_t)dv, sizeof *want);
    for (int i = 0; i < r->n; i++) {
        for (int h = 0; h < heads; h++) {
            plain(w, r->seq[i], r->pos[i], h, r->q + (i * heads + h) * dk, want);
            double worst = 0;
            for (int e = 0; e < dv; e++) {
                double err = fabs((double)r->out[(i * heads + h) * dv + e] - want[e]);
                worst = err > worst || isnan(err) ? err : worst;
            }
            CHECK(worst < ATTN_TOLERANCE);
        }
    }
    free(want);
}

/* The same rows one by one, last first, and in calls of `step`: the same bits. */
static void check_pieces(const struct world *w, const struct kern *k, const struct query_rows *r,
                         int step, int team) {
    size_t in = (size_t)(w->at.heads * w->at.kv.dk);
    size_t out = (size_t)(w->at.heads * w->at.kv.dv);
    float *got = mem_array((size_t)r->n * out, sizeof *got);
    for (int last = r->n; last > 0; last -= step) {
        size_t first = last > step ? (size_t)(last - step) : 0;
        run_rows(w, k, team, last - (int)first, r->seq + first, r->pos + first, r->q + first * in,
                 got + first * out);
    }
    CHECK(memcmp(got, r->out, (size_t)r->n * out * sizeof *got) == 0);
    free(got);
}

/* The same rows shuffled. */
static void check_shuffled(const struct world *w, const struct kern *k,
                           const struct query_rows *r, int team) {
    size_t in = (size_t)(w->at.heads * w->at.kv.dk);
    size_t out = (size_t)(w->at.heads * w->at.kv.dv);
    int32_t *seq = mem_array((size_t)r->n, sizeof *seq);
    int32_t *pos = mem_array((size_t)r->n, sizeof *pos);
    int *from = mem_array((size_t)r->n, sizeof *from);
    float *q = mem_array((size_t)r->n * in, sizeof *q);
    float *got = mem_array((size_t)r->n * out, sizeof *got);
    for (int i = 0; i < r->n; i++)
        from[i] = i;
    for (int i = r->n - 1; i > 0; i--) {
        int j = (int)((uniform() + 1) / 2 * (float)i);
        int swap = from[i];
        from[i] = from[j];
        from[j] = swap;
    }
    for (int i = 0; i < r->n; i++) {
        seq[i] = r->seq[from[i]];
        pos[i] = r->pos[from[i]];
        memcpy(q + (size_t)i * in, r->q + (size_t)from[i] * in, in * sizeof *q);
    }
    run_rows(w, k, team, r->n, seq, pos, q, got);
    for (int i = 0; i < r->n; i++)
        CHECK(memcmp(got + (size_t)i * out, r->out + (size_t)from[i] * out,
                     out * sizeof *got) == 0);
    free(seq);
    free(pos);
    free(from);
    free(q);
    free(got);
}

static void attention(const struct attn_case *c) {
    float sinks[64];
    for (int i = 0; i < 64; i++)
        sinks[i] = uniform() * 3;
    struct kern_attn at = {.heads = c->heads, .scale = 1 / sqrtf((float)c->dk),
                           .softcap = c->softcap, .sinks = c->sinks ? sinks : NULL,
                           .window = c->window,
                           .kv = {.type = c->type, .heads = c->kv_heads, .dk = c->dk,
                                  .dv = c->dv}};
    int context = c->length[0] > c->length[1] ? c->length[0] : c->length[1];
    struct world w = world_new(at, context, context);
    memset(w.at.kv.base, 0xff, w.cache_bytes);      /* NaN: whoever uses it is found out */
    for (int s = 0; s < SEQS; s++)
        fill(&w, variants[variant_count - 1], s, c->length[s], 100, 0);
    struct query_rows r = rows_new(c);
    size_t bytes = (size_t)(r.n * c->heads * c->dv) * sizeof(float);
    float *first = NULL;
    for (int i = 0; i < variant_count; i++) {
        for (int t = 0; t < 3; t++) {
            memset(r.out, 0xff, bytes);
            run_rows(&w, variants[i], t, r.n, r.seq, r.pos, r.q, r.out);
            if (!first) {
                check_plain(&w, &r);
                first = mem_alloc(bytes);
                memcpy(first, r.out, bytes);
            }
            CHECK(memcmp(first, r.out, bytes) == 0);
        }
        check_pieces(&w, variants[i], &r, 1, 1);
        check_pieces(&w, variants[i], &r, 7, 2);
        check_shuffled(&w, variants[i], &r, 1);
    }
    free(first);
    rows_free(&r);
    world_free(&w);
}

/* Rows of one sequence at every length, so that each edge of blocks and parts is met. */
static void ragged(void) {
    enum { LENGTH = 1300, STEP = 13, DK = 16, DV = 16 };
    struct kern_attn at = {.heads = 1, .scale = 0.25f,
                           .kv = {.type = KERN_F16, .heads = 1, .dk = DK, .dv = DV}};
    struct world w = world_new(at, LENGTH, 64);
    memset(w.at.kv.base, 0xff, w.cache_bytes);
    const struct kern *best = variants[variant_count - 1];
    float *q = random_floats((size_t)LENGTH * DK, 2);
    float *out = mem_array((size_t)LENGTH * DV, sizeof *out);
    for (int p = 0; p < LENGTH; p += STEP) {
        int n = LENGTH - p < STEP ? LENGTH - p : STEP;
        int32_t seq[STEP] = {0};
        int32_t pos[STEP];
        for (int i = 0; i < n; i++)
            pos[i] = p + i;
        const int32_t *tables[SEQS] = {w.tables[0], w.tables[1]};
        struct kern_rows rows = {n, seq, pos, tables};
        struct kern_queue queue = queue_of(&w, p / STEP % 3);
        best->kv_store(&queue, &w.at.kv, &rows, w.k[0] + p * DK, w.v[0] + p * DV);
        best->attention(&queue, &w.at, &rows, q + p * DK, out + p * DV);
    }
    double want[DV];
    for (int p = 0; p < LENGTH; p++) {
        plain(&w, 0, p, 0, q + p * DK, want);
        for (int e = 0; e < DV; e++)
            CHECK_NEAR(out[p * DV + e], want[e], ATTN_TOLERANCE);
    }
    free(q);
    free(out);
    world_free(&w);
}

/* Memory for the parts of a decoded row at a context of 131072 stays modest. */
static void scratch(void) {
    struct kern_limits lim = {.threads = 2, .rows = 1, .heads = 32, .kv_heads = 8, .dk = 128,
                              .dv = 128, .context = 131072};
    CHECK(kern_scratch_bytes(&lim) < 6 << 20);
    lim.rows = 512;
    CHECK(kern_scratch_bytes(&lim) < 20 << 20);
}

int main(void) {
    variant_count = kern_variants(variants, 8);
    for (int t = 0; t < 3; t++)
        teams[t] = par_new(team_threads[t]);
    for (size_t i = 0; i < sizeof store_cases / sizeof store_cases[0]; i++)
        RUN_NAMED(store_cases[i].name, store(&store_cases[i]));
    RUN(store_not_finite);
    for (size_t i = 0; i < sizeof attn_cases / sizeof attn_cases[0]; i++)
        RUN_NAMED(attn_cases[i].name, attention(&attn_cases[i]));
    RUN(ragged);
    RUN(scratch);
    for (int t = 0; t < 3; t++)
        par_free(teams[t]);
    return check_done();
}
