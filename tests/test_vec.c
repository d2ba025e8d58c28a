/* test_vec.c - norms, activations, rotary embedding, router and sums of every variant
 *
 * Each operation is compared with the formula of kern.h in double precision, and every variant
 * with the first one bit by bit, under one and several threads.
 */
#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/mem.h"
#include "lib/base/par.h"
#include "tests/check.h"

static const struct kern *variants[8];
static int variant_count;
static struct par *teams[3];        /* of 1, 2 and 3 threads */

static uint32_t seed = 1;
static float uniform(float lo, float hi) {
    seed = seed * 1664525u + 1013904223u;
    return lo + (hi - lo) * (float)(seed >> 8) / 16777216.0f;
}

static float *random_floats(size_t n, float lo, float hi) {
    float *x = mem_array(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = uniform(lo, hi);
    return x;
}

/* Operations on the same data under all variants and teams. */
struct run {
    const struct kern *k;
    struct kern_queue q;
};

static void *scratch;
static size_t scratch_bytes;

static struct run run_of(int variant, int team) {
    struct run r = {.k = variants[variant]};
    r.q.par = (struct kern_par){par_run, teams[team], par_threads(teams[team])};
    r.q.scratch = scratch;
    r.q.scratch_bytes = scratch_bytes;
    return r;
}

#define FOR_RUNS(r) \
    for (int var_ = 0; var_ < variant_count; var_++) \
        for (int team_ = 0; team_ < 3; team_++) \
            for (struct run r = run_of(var_, team_); r.k; r.k = NULL)

/* got[n] against want[n], relative to |want| + floor. */
static double worst(const float *got, const double *want, size_t n, double floor) {
    double w = 0;
    for (size_t i = 0; i < n; i++) {
        double e = fabs((double)got[i] - want[i]) / (fabs(want[i]) + floor);
        w = e > w || isnan(e) ? e : w;
    }
    return w;
}

/* Keeps the first result of a test and compares the others with it. */
struct same {
    void *first;
    int runs;
};

static void same_bits(struct same *s, const void *got, size_t bytes) {
    if (s->runs++ == 0) {
        s->first = mem_alloc(bytes);
        memcpy(s->first, got, bytes);
    }
    CHECK(memcmp(s->first, got, bytes) == 0);
}

/* ---- norm ------------------------------------------------------------------------------- */

static void norm_of(const float *x, int d, const float *w, double *y) {
    double sum = 0;
    for (int i = 0; i < d; i++)
        sum += (double)x[i] * (double)x[i];
    for (int i = 0; i < d; i++)
        y[i] = (double)x[i] / sqrt(sum / d + (double)1e-6f) * (w ? (double)w[i] : 1);
}

static void rms_norm(void) {
    static const int widths[] = {1, 7, 16, 33, 64, 640, 2048};
    for (size_t c = 0; c < sizeof widths / sizeof widths[0]; c++) {
        int d = widths[c];
        int n = 67;
        int ld = d + 3;
        size_t size = (size_t)(n * ld);
        float *x = random_floats(size, -3, 5);
        float *w = random_floats((size_t)d, -1, 2);
        float *y = mem_array(size, sizeof *y);
        double *want = mem_array((size_t)d, sizeof *want);
        struct same same = {0};
        FOR_RUNS(r) {
            memset(y, 0, size * sizeof *y);
            r.k->rms_norm(&r.q, x, ld, n, d, w, 1e-6f, y, ld);
            same_bits(&same, y, size * sizeof *y);
            for (int row = 0; row < n; row++) {
                norm_of(x + row * ld, d, w, want);
                CHECK(worst(y + row * ld, want, (size_t)d, 1e-9) < 3e-7);
            }
            /* In place, dense, without weights. */
            memcpy(y, x, size * sizeof *y);
            r.k->rms_norm(&r.q, y, 0, 2, d, NULL, 1e-6f, y, 0);
            norm_of(x + d, d, NULL, want);
            CHECK(worst(y + d, want, (size_t)d, 1e-9) < 3e-7);
        }
        free(same.first);
        free(want);
        free(y);
        free(w);
        free(x);
    }
}

/* ---- activations ------------------------------------------------------------------------ */

static double act_of(int act, double x) {
    if (act == KERN_SILU)
        return x / (1 + exp(-x));
    if (act == KERN_GELU_ERF)
        return x * 0.5 * erfc(-x / sqrt(2));
    double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
    return x / (1 + exp(-2 * u));           /* x (1 + tanh u) / 2 without cancellation */
}

/* Error bound relative to |value| + 1e-3: where the result is tiny only its absolute size
 * matters, as the argument of exp is itself rounded. */
#define GLU_TOLERANCE 1e-6
#define GLU_FLOOR 1e-3

static void glu(int act) {
    static const int64_t totals[] = {1, 15, 16, 100, 4099, 70001};
    for (size_t c = 0; c < sizeof totals / sizeof totals[0]; c++) {
        size_t n = (size_t)totals[c];
        float *gate = random_floats(n, -12, 12);
        float *up = random_floats(n, -1, 1);
        float *out = mem_array(n, sizeof *out);
        double *want = mem_array(n, sizeof *want);
        for (size_t i = 0; i < n; i++) {
            if (i % 5 == 0)
                gate[i] *= 1e-3f;
            if (i % 97 == 0)
                gate[i] *= 20;
            up[i] = i % 3 ? up[i] : 1;
            want[i] = act_of(act, (double)gate[i]) * (double)up[i];
        }
        struct same same = {0};
        FOR_RUNS(r) {
            r.k->glu(&r.q, act, gate, up, (int64_t)n, out);
            CHECK(worst(out, want, n, GLU_FLOOR) < GLU_TOLERANCE);
            same_bits(&same, out, n * sizeof *out);
            memcpy(out, gate, n * sizeof *out);
            r.k->glu(&r.q, act, out, up, (int64_t)n, out);
            same_bits(&same, out, n * sizeof *out);
            memcpy(out, up, n * sizeof *out);
            r.k->glu(&r.q, act, gate, out, (int64_t)n, out);
            same_bits(&same, out, n * sizeof *out);
        }
        free(same.first);
        free(want);
        free(out);
        free(up);
        free(gate);
    }
}

static void glu_extremes(void) {
    static const float in[] = {0, -0.0f, 100, -100, 3e38f, -3e38f, 1e-38f, -1e-30f, NAN};
    enum { N = sizeof in / sizeof in[0] };
    float one[N];
    float out[N];
    for (int i = 0; i < N; i++)
        one[i] = 1;
    for (int act = KERN_SILU; act <= KERN_GELU_ERF; act++) {
        FOR_RUNS(r) {
            r.k->glu(&r.q, act, in, one, N, out);
            CHECK(out[0] == 0 && out[1] == 0);
            CHECK(out[2] == 100 && fabsf(out[3]) < 1e-35f);
            CHECK(out[4] == 3e38f || isnan(out[4]));    /* x^2 overflows in GELU */
            CHECK(out[5] == 0 || isnan(out[5]));
            CHECK_NEAR(out[6], 5e-39, 1e-44);
            CHECK_NEAR(out[7], -5e-31, 1e-36);
            CHECK(isnan(out[8]));
        }
    }
}

static void softcap(void) {
    enum { N = 50001 };
    float *x = random_floats(N, -100, 100);
    float *y = mem_array(N, sizeof *y);
    double *want = mem_array(N, sizeof *want);
    for (int i = 0; i < N; i++) {
        x[i] *= i % 4 ? 1 : 1e-4f;
        want[i] = 30 * tanh((double)x[i] / 30);
    }
    x[7] = 1e30f;
    want[7] = 30;
    x[8] = -INFINITY;
    want[8] = -30;
    struct same same = {0};
    FOR_RUNS(r) {
        memcpy(y, x, N * sizeof *y);
        r.k->softcap(&r.q, y, N, 30);
        CHECK(worst(y, want, N, 1e-30) < 5e-7);
        same_bits(&same, y, N * sizeof *y);
    }
    free(same.first);
    free(want);
    free(y);
    free(x);
}

static void add_and_gate(void) {
    enum { ROWS = 37, D = 4001, N = ROWS * D };
    float *x = random_floats(N, -1, 1);
    float *y = random_floats(N, -1, 1);
    float *gate = random_floats(ROWS, -4, 4);
    float *got = mem_array(N, sizeof *got);
    double *want = mem_array(N, sizeof *want);
    struct same same[2] = {{0}};
    FOR_RUNS(r) {
        memcpy(got, y, N * sizeof *got);
        r.k->add(&r.q, got, x, 0.75f, N);
        for (int i = 0; i < N; i++)
            want[i] = (double)y[i] + 0.75 * (double)x[i];
        CHECK(worst(got, want, N, 1e-30) < 6e-8);
        same_bits(&same[0], got, N * sizeof *got);
        r.k->gate_rows(&r.q, got, ROWS, D, gate);
        for (int i = 0; i < N; i++)
            want[i] /= 1 + exp(-(double)gate[i / D]);
        CHECK(worst(got, want, N, 1e-30) < 5e-7);
        same_bits(&same[1], got, N * sizeof *got);
    }
    free(same[0].first);
    free(same[1].first);
    free(want);
    free(got);
    free(gate);
    free(y);
    free(x);
}

static void logsumexp(void) {
    static const int64_t widths[] = {1, 2, 17, 1000, 50257, 262144};
    for (size_t c = 0; c < sizeof widths / sizeof widths[0]; c++) {
        int64_t d = widths[c];
        int n = 3;
        float *x = random_floats((size_t)(n * d), -30, 20);
        double got[3];
        struct same same = {0};
        FOR_RUNS(r) {
            r.k->logsumexp(&r.q, x, n, d, got);
            for (int row = 0; row < n; row++) {
                double sum = 0;
                for (int64_t i = 0; i < d; i++)
                    sum += exp((double)x[row * d + i]);
                CHECK_NEAR(got[row], log(sum), 1e-7);
            }
            same_bits(&same, got, sizeof got);
        }
        free(same.first);
        free(x);
    }
    FOR_RUNS(r) {
        float x[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
        double got;
        r.k->logsumexp(&r.q, x, 1, 4, &got);
        CHECK(isinf(got) && got < 0);
        x[2] = -4;
        r.k->logsumexp(&r.q, x, 1, 4, &got);
        CHECK_NEAR(got, -4, 1e-12);
        x[1] = NAN;
        r.k->logsumexp(&r.q, x, 1, 4, &got);
        CHECK(isnan(got));
    }
}

/* ---- rotary embedding ------------------------------------------------------------------- */

struct rope_case {
    const char *name;
    struct kern_rope rope;
    int dim;
};

static const float factors32[16] = {1, 1, 1, 1.5f, 2, 2, 2, 3, 4, 4, 8, 8, 8, 8, 16, 32};

static const struct rope_case rope_cases[] = {
    {"plain", {.dims = 64, .base = 10000, .freq_scale = 1, .attn_factor = 1}, 64},
    {"neox, part of the head", {.dims = 24, .neox = 1, .base = 1e6f, .freq_scale = 1,
                                .attn_factor = 1}, 80},
    {"pairs, part of the head", {.dims = 18, .base = 500000, .freq_scale = 0.5f,
                                 .attn_factor = 1}, 40},
    {"factors", {.dims = 32, .neox = 1, .base = 10000, .freq_scale = 1, .attn_factor = 1.25f,
                 .factors = factors32}, 32},
    {"yarn", {.dims = 128, .neox = 1, .base = 10000, .freq_scale = 0.25f, .ext_factor = 1,
              .attn_factor = 1, .beta_fast = 32, .beta_slow = 1, .orig_context = 4096}, 128},
};

/* theta of pair i at position pos, and the factor of cos and sin, from the papers. */
static double theta_of(const struct kern_rope *r, int i, int pos, double *size) {
    double theta = pos / pow((double)r->base, 2.0 * i / r->dims) /
                   (r->factors ? (double)r->factors[i] : 1);
    *size = (double)r->attn_factor;
    double slow = theta * (double)r->freq_scale;
    if (r->ext_factor == 0)
        return slow;
    *size *= 1 + 0.1 * log(1 / (double)r->freq_scale);
    /* Pair i turns orig_context / wavelength times; the ramp is linear in the pair's index
     * between the ones that turn beta_fast and beta_slow times, rounded outwards. */
    double lo = floor(r->dims / 2.0 * log(r->orig_context / (2 * M_PI * (double)r->beta_fast)) /
                      log((double)r->base));
    double hi = ceil(r->dims / 2.0 * log(r->orig_context / (2 * M_PI * (double)r->beta_slow)) /
                     log((double)r->base));
    double keep = i <= lo ? 1 : i >= hi ? 0 : 1 - (i - lo) / (hi - lo);
    return theta * keep + slow * (1 - keep);
}

static void rope(const struct rope_case *c) {
    enum { ROWS = 70, HEADS = 3 };
    const struct kern_rope *rp = &c->rope;
    int half = rp->dims / 2;
    size_t size = (size_t)(ROWS * HEADS * c->dim);
    int32_t pos[ROWS];
    for (int i = 0; i < ROWS; i++)
        pos[i] = i < 60 ? i * 3 : 131071 - i;
    float *x = random_floats(size, -1, 1);
    float *y = mem_array(size, sizeof *y);
    float *angles = mem_array((size_t)(ROWS * rp->dims), sizeof *angles);
    struct same same[2] = {{0}};
    FOR_RUNS(r) {
        r.k->rope_angles(&r.q, rp, pos, ROWS, angles);
        same_bits(&same[0], angles, (size_t)(ROWS * rp->dims) * sizeof *angles);
        memcpy(y, x, size * sizeof *y);
        r.k->rope(&r.q, rp, angles, y, ROWS, HEADS, c->dim);
        same_bits(&same[1], y, size * sizeof *y);
    }
    for (int row = 0; row < ROWS; row++) {
        for (int i = 0; i < half; i++) {
            double scale;
            double theta = theta_of(rp, i, pos[row], &scale);
            double cosine = cos(theta) * scale;
            double sine = sin(theta) * scale;
            CHECK_NEAR(angles[(row * half + i) * 2], cosine, 2e-7);
            CHECK_NEAR(angles[(row * half + i) * 2 + 1], sine, 2e-7);
            for (int h = 0; h < HEADS; h++) {
                int a = (row * HEADS + h) * c->dim + (rp->neox ? i : 2 * i);
                int b = a + (rp->neox ? half : 1);
                double xa = (double)x[a];
                double xb = (double)x[b];
                CHECK_NEAR(y[a], xa * cosine - xb * sine, 4e-7);
                CHECK_NEAR(y[b], xa * sine + xb * cosine, 4e-7);
            }
        }
        for (int i = rp->dims; i < c->dim; i++)
            CHECK(y[row * HEADS * c->dim + i] == x[row * HEADS * c->dim + i]);
    }
    free(same[0].first);
    free(same[1].first);
    free(angles);
    free(y);
    free(x);
}

/* ---- router ----------------------------------------------------------------------------- */

struct route_case {
    const char *name;
    struct kern_route r;
    float logits[8];
    int32_t expert[4];
    double weight[4];
};

static const float bias8[8] = {0, 0.9f, 0, 0, 0, 0, 0.5f, 0};

/* Logits are logarithms of small integers, so that weights can be checked by hand. */
#define LN2 0.693147181f
#define LN3 1.09861229f
#define LN4 1.38629436f
#define LN9 2.19722458f

static const struct route_case route_cases[] = {
    /* exp: 1 2 4 1 1 3 2 2, sum 16 */
    {"softmax", {.experts = 8, .top_k = 3, .gate = KERN_GATE_SOFTMAX, .scale = 1},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN2}, {2, 5, 1}, {4.0 / 16, 3.0 / 16, 2.0 / 16}},
    {"softmax normalised and scaled",
     {.experts = 8, .top_k = 3, .gate = KERN_GATE_SOFTMAX, .normalise = 1, .scale = 2.5f},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN2}, {2, 5, 1}, {2.5 * 4 / 9, 2.5 * 3 / 9, 2.5 * 2 / 9}},
    {"softmax over the chosen",
     {.experts = 8, .top_k = 4, .gate = KERN_GATE_TOPK_SOFTMAX, .scale = 1},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN2}, {2, 5, 1, 6}, {4.0 / 11, 3.0 / 11, 2.0 / 11, 2.0 / 11}},
    /* sigmoid: 1/2 2/3 4/5 1/2 1/2 3/4 2/3 9/10 */
    {"sigmoid", {.experts = 8, .top_k = 2, .gate = KERN_GATE_SIGMOID, .scale = 1},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN9}, {7, 2}, {0.9, 0.8}},
    {"sigmoid with bias, normalised",
     {.experts = 8, .top_k = 3, .gate = KERN_GATE_SIGMOID, .normalise = 1, .scale = 1,
      .bias = bias8},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN9}, {1, 6, 7},
     {(2.0 / 3) / (4.0 / 3 + 0.9), (2.0 / 3) / (4.0 / 3 + 0.9), 0.9 / (4.0 / 3 + 0.9)}},
    /* Pairs score 7/6, 13/10, 5/4, 47/30: the last and the second are used. */
    {"groups", {.experts = 8, .top_k = 3, .gate = KERN_GATE_SIGMOID, .scale = 1, .groups = 4,
                .groups_used = 2},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN9}, {7, 2, 6}, {0.9, 0.8, 2.0 / 3}},
    /* Pairs score 7/6 + 0.9, 13/10, 5/4, 47/30 + 0.5: the first and, barely, the last. */
    {"groups with bias", {.experts = 8, .top_k = 4, .gate = KERN_GATE_SIGMOID, .scale = 1,
                          .groups = 4, .groups_used = 2, .bias = bias8},
     {0, LN2, LN4, 0, 0, LN3, LN2, LN9}, {1, 6, 7, 0}, {2.0 / 3, 2.0 / 3, 0.9, 0.5}},
    {"ties go to the lower number",
     {.experts = 8, .top_k = 4, .gate = KERN_GATE_SOFTMAX, .scale = 1},
     {1, 1, 1, 1, 1, 1, 1, 1}, {0, 1, 2, 3}, {0.125, 0.125, 0.125, 0.125}},
    /* Sigmoids below 2^-14: the sum is taken as 2^-14. */
    {"least sum", {.experts = 8, .top_k = 2, .gate = KERN_GATE_SIGMOID, .normalise = 1,
                   .scale = 1},
     {-20, -20, -21, -20, -22, -23, -24, -25}, {0, 1},
     {2.0611536e-9 / 6.103515625e-5, 2.0611536e-9 / 6.103515625e-5}},
};

struct routed {
    int32_t *expert, *start, *order;
    float *weight;
};

static struct routed routed_new(int n, int experts, int top_k) {
    size_t pairs = (size_t)(n * top_k);
    return (struct routed){mem_array(pairs, 4), mem_array((size_t)experts + 1, 4),
                           mem_array(pairs, 4), mem_array(pairs, 4)};
}

static void routed_free(struct routed *r) {
    free(r->expert);
    free(r->start);
    free(r->order);
    free(r->weight);
}

/* start and order list each pair once, by expert and ascending inside. */
static void check_sorted(const struct routed *r, int n, const struct kern_route *route) {
    int pairs = n * route->top_k;
    CHECK_INT(r->start[0], 0);
    CHECK_INT(r->start[route->experts], pairs);
    for (int e = 0; e < route->experts; e++) {
        for (int i = r->start[e]; i < r->start[e + 1]; i++) {
            CHECK(r->order[i] >= 0 && r->order[i] < pairs);
            CHECK_INT(r->expert[r->order[i]], e);
            CHECK(i == r->start[e] || r->order[i] > r->order[i - 1]);
        }
    }
}

static void route(const struct route_case *c) {
    FOR_RUNS(r) {
        struct routed o = routed_new(1, c->r.experts, c->r.top_k);
        struct kern_routes out = {o.expert, o.weight, o.start, o.order};
        r.k->route(&r.q, &c->r, c->logits, 1, &out);
        for (int i = 0; i < c->r.top_k; i++) {
            CHECK_INT(o.expert[i], c->expert[i]);
            CHECK_NEAR(o.weight[i], c->weight[i], 3e-7 * c->weight[i]);
        }
        check_sorted(&o, 1, &c->r);
        routed_free(&o);
    }
}

/* Many rows, some of them with NaN and infinities. */
static void route_many(void) {
    enum { ROWS = 500, EXPERTS = 60, K = 7 };
    float *logits = random_floats(ROWS * EXPERTS, -5, 5);
    for (int i = 0; i < EXPERTS; i++) {
        logits[3 * EXPERTS + i] = NAN;
        logits[5 * EXPERTS + i] = i % 2 ? NAN : -INFINITY;
    }
    logits[9 * EXPERTS + 11] = INFINITY;
    for (int gate = KERN_GATE_SOFTMAX; gate <= KERN_GATE_TOPK_SOFTMAX; gate++) {
        for (int groups = 0; groups <= 6; groups += 6) {
            struct kern_route route = {.experts = EXPERTS, .top_k = K, .gate = gate,
                                       .normalise = 1, .scale = 1, .groups = groups,
                                       .groups_used = groups / 2};
            struct same same[2] = {{0}};
            FOR_RUNS(r) {
                struct routed o = routed_new(ROWS, EXPERTS, K);
                struct kern_routes out = {o.expert, o.weight, o.start, o.order};
                r.k->route(&r.q, &route, logits, ROWS, &out);
                check_sorted(&o, ROWS, &route);
                for (int row = 0; row < ROWS; row++) {
                    uint64_t seen = 0;
                    double sum = 0;
                    for (int i = 0; i < K; i++) {
                        int e = o.expert[row * K + i];
                        CHECK(e >= 0 && e < EXPERTS && !(seen >> e & 1));
                        seen |= (uint64_t)1 << e;
                        sum += (double)o.weight[row * K + i];
                    }
                    if (row > 9) {
                        CHECK_NEAR(sum, 1, 1e-6);
                        memset(o.weight, 0, 10 * K * sizeof *o.weight);
                    }
                }
                same_bits(&same[0], o.expert, ROWS * K * sizeof *o.expert);
                same_bits(&same[1], o.weight, ROWS * K * sizeof *o.weight);
                routed_free(&o);
            }
            free(same[0].first);
            free(same[1].first);
        }
    }
    free(logits);
}

/* ---- selection -------------------------------------------------------------------------- */

static void selection(void) {
    const char *why = NULL;
    CHECK(kern_select("ref", &why) == variants[0]);
    CHECK_STR(variants[0]->name, "ref");
    unsetenv("LLM_CPU");
    CHECK(kern_select(NULL, NULL) == variants[variant_count - 1]);
    setenv("LLM_CPU", "ref", 1);
    CHECK(kern_select(NULL, NULL) == variants[0]);
    setenv("LLM_CPU", "", 1);
    CHECK(kern_select(NULL, NULL) == variants[variant_count - 1]);
    unsetenv("LLM_CPU");
    CHECK(kern_select("avx1024", &why) == NULL);
    CHECK(why && *why);
}

int main(void) {
    variant_count = kern_variants(variants, 8);
    for (int t = 0; t < 3; t++)
        teams[t] = par_new(t + 1);
    struct kern_limits lim = {.threads = 3, .rows = 500, .cols = 64, .experts = 64, .top_k = 8,
                              .d_model = 64, .d_expert = 64, .heads = 1, .kv_heads = 1, .dk = 64,
                              .dv = 64, .context = 64};
    scratch_bytes = kern_scratch_bytes(&lim);
    scratch = mem_map(scratch_bytes);

    RUN(selection);
    RUN(rms_norm);
    RUN_NAMED("silu", glu(KERN_SILU));
    RUN_NAMED("gelu by tanh", glu(KERN_GELU_TANH));
    RUN_NAMED("gelu by erf", glu(KERN_GELU_ERF));
    RUN(glu_extremes);
    RUN(softcap);
    RUN(add_and_gate);
    RUN(logsumexp);
    for (size_t i = 0; i < sizeof rope_cases / sizeof rope_cases[0]; i++)
        RUN_NAMED(rope_cases[i].name, rope(&rope_cases[i]));
    for (size_t i = 0; i < sizeof route_cases / sizeof route_cases[0]; i++)
        RUN_NAMED(route_cases[i].name, route(&route_cases[i]));
    RUN(route_many);

    mem_unmap(scratch, scratch_bytes);
    for (int t = 0; t < 3; t++)
        par_free(teams[t]);
    return check_done();
}
