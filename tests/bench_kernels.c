/* bench_kernels.c - speed of the matrix products, beside what the machine can do
 *
 *     bench_kernels [threads [variant [type]]]
 *
 * Inside the clock: one call of matmul (weights packed, activations as floats) or of experts.
 * Each row is the best of several calls, after one to warm up. Columns: variant, type, what, n,
 * GOP/s (a multiply-add counts two), its share of the peak of the unit that the type uses, GB/s
 * of weights and their share of the read bandwidth. Peaks are measured first.
 */
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/blocks.h"
#include "kernels/impl.h"
#include "kernels/kern.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/par.h"

#define COLS 2048
#define MANY 512
#define BIG ((size_t)192 << 20)     /* bytes of weights for n = 1: no cache holds them */

static struct kern_queue queue;
static double peak_int8, peak_bf16, peak_f32, bandwidth;

/* ---- peaks ------------------------------------------------------------------------------ */

#define PEAK_LOOPS 2000000

/* Twelve independent chains; the empty statement keeps the compiler from seeing through them. */
#define PEAK_TASK(name, isa, type, zero, op) \
    __attribute__((target(isa))) static void name(void *arg, int ith, int nth) { \
        type a[12]; \
        type x = zero; \
        (void)arg; \
        (void)ith; \
        (void)nth; \
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) a[i] = zero; \
        for (int loop = 0; loop < PEAK_LOOPS; loop++) { \
            _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) { \
                a[i] = op; \
                __asm__ volatile("" : "+v"(a[i])); \
            } \
        } \
    }

PEAK_TASK(int8_task, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(),
          _mm512_dpbusd_epi32(a[i], x, x))
PEAK_TASK(bf16_task, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(),
          _mm512_dpbf16_ps(a[i], (__m512bh)x, (__m512bh)x))
PEAK_TASK(f32_task, "avx512f", __m512, _mm512_setzero_ps(), _mm512_fmadd_ps(x, x, a[i]))
PEAK_TASK(f32_avx2_task, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_fmadd_ps(x, x, a[i]))

static double best_time(kern_task *task, void *arg, int repeats) {
    double best = INFINITY;
    for (int i = 0; i <= repeats; i++) {
        int64_t t0 = clock_ns();
        queue.par.run(queue.par.ctx, task, arg);
        double t = (double)(clock_ns() - t0) * 1e-9;
        if (i && t < best)
            best = t;
    }
    return best;
}

static double peak_of(kern_task *task, double ops) {
    return ops * 12 * PEAK_LOOPS * queue.par.n / best_time(task, NULL, 3) * 1e-9;
}

static void read_task(void *arg, int ith, int nth) {
    const uint64_t *p = (const uint64_t *)arg + BIG / 8 * (size_t)ith / (size_t)nth;
    const uint64_t *end = (const uint64_t *)arg + BIG / 8 * (size_t)(ith + 1) / (size_t)nth;
    uint64_t s[8] = {0};
    for (; p + 8 <= end; p += 8)
        for (int i = 0; i < 8; i++)
            s[i] += p[i];
    for (int i = 0; i < 8; i++)
        __asm__ volatile("" : : "r"(s[i]));
}

static void measure_peaks(void *memory) {
    if (__builtin_cpu_supports("avx512f"))
        peak_f32 = peak_of(f32_task, 32);
    else if (__builtin_cpu_supports("fma"))
        peak_f32 = peak_of(f32_avx2_task, 16);
    if (__builtin_cpu_supports("avx512vnni"))
        peak_int8 = peak_of(int8_task, 128);
    if (__builtin_cpu_supports("avx512bf16"))
        peak_bf16 = peak_of(bf16_task, 64);
    bandwidth = (double)BIG / best_time(read_task, memory, 4) * 1e-9;
    printf("# threads %d, peaks: int8 %.0f, bf16 %.0f, f32 %.0f GOP/s; read %.1f GB/s\n",
           queue.par.n, peak_int8, peak_bf16, peak_f32, bandwidth);
}

/* ---- weights ---------------------------------------------------------------------------- */

/* Small scales, any values: speed depends on neither, but NaN and subnormals might. */
static void fill_weights(uint8_t *p, size_t bytes) {
    uint32_t x = 1;
    for (size_t i = 0; i < bytes; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (uint8_t)(x >> 24) & 0x3f;
    }
}

struct product {
    const struct kern *k;
    struct kern_mm mm;
    const float *x;
    int n;
};

static double time_product(const struct product *p) {
    double best = INFINITY;
    double spent = 0;
    for (int i = 0; i < 4 || (spent < 0.3 && i < 200); i++) {
        int64_t t0 = clock_ns();
        p->k->matmul(&queue, p->x, p->n, &p->mm, 1);
        double t = (double)(clock_ns() - t0) * 1e-9;
        spent += t;
        if (i && t < best)
            best = t;
    }
    return best;
}

static void print_row(const char *variant, const char *type, const char *what, int n, double t,
                      double ops, double bytes, double peak) {
    printf("%s\t%s\t%s\t%d\t%.1f\t%.0f%%\t%.1f\t%.0f%%\n", variant, type, what, n, ops / t * 1e-9,
           peak > 0 ? 100 * ops / t * 1e-9 / peak : 0, bytes / t * 1e-9,
           100 * bytes / t * 1e-9 / bandwidth);
    fflush(stdout);
}

static double peak_for(int type) {
    return block_form(type) ? peak_int8 : type == KERN_BF16 ? peak_bf16 : peak_f32;
}

static void bench_matmul(const struct kern *k, int type, uint8_t *memory, const float *x,
                         float *out) {
    static const int ns[] = {1, 2, 4, 8, MANY};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        int n = ns[i];
        int64_t rows = n < MANY ? (int64_t)(BIG / kern_row_bytes(type, COLS) / 32 * 32) : 2048;
        struct kern_weight w = {type, KERN_PACKED, rows, COLS, 1,
                                kern_pack_bytes(type, rows, COLS), memory};
        struct product p = {k, {&w, NULL, out, 0}, x, n};
        print_row(k->name, kern_type_info(type)->name, "matmul", n, time_product(&p),
                  2.0 * n * (double)rows * COLS, (double)w.mat_bytes, peak_for(type));
    }
}

/* ---- experts ---------------------------------------------------------------------------- */

enum { EXPERTS = 64, TOP_K = 8, HIDDEN = 1024 };

static void fill_routes(struct kern_routes *r, int n) {
    uint32_t x = 7;
    for (int i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        for (int s = 0; s < TOP_K; s++) {
            r->expert[i * TOP_K + s] = (int32_t)((x >> 16) + (uint32_t)s * 11) % EXPERTS;
            r->weight[i * TOP_K + s] = 0.125f;
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

static void bench_experts(const struct kern *k, int type, int down_type, uint8_t *memory,
                          const float *x, float *out) {
    static int32_t expert[MANY * TOP_K], start[EXPERTS + 1], order[MANY * TOP_K];
    static float weight[MANY * TOP_K];
    struct kern_routes routes = {expert, weight, start, order};
    size_t mat = kern_pack_bytes(type, HIDDEN, COLS);
    size_t down_mat = kern_pack_bytes(down_type, COLS, HIDDEN);
    struct kern_weight gate = {type, KERN_PACKED, HIDDEN, COLS, EXPERTS, mat, memory};
    struct kern_weight up = {type, KERN_PACKED, HIDDEN, COLS, EXPERTS, mat, memory + mat * EXPERTS};
    struct kern_weight down = {down_type, KERN_PACKED, COLS, HIDDEN, EXPERTS, down_mat,
                               memory + 2 * mat * EXPERTS};
    struct kern_experts e = {&gate, &up, &down, NULL, NULL, NULL, KERN_SILU, TOP_K, 0, EXPERTS};
    for (int n = 1; n <= MANY; n *= MANY) {
        double best = INFINITY;
        int calls = n == 1 ? 60 : 6;
        for (int i = 0; i < calls; i++) {
            fill_routes(&routes, n);
            for (int s = 0; n == 1 && s < EXPERTS + 1; s++)
                start[s] = 0;
            if (n == 1) {
                /* other experts each time, so that no cache has them */
                for (int s = 0; s < TOP_K; s++)
                    expert[s] = (i * TOP_K + s) % EXPERTS;
                for (int s = 0; s < TOP_K; s++)
                    order[s] = s;
                for (int s = 0; s <= EXPERTS; s++)
                    start[s] = s <= expert[0] ? 0 : s - expert[0] < TOP_K ? s - expert[0] : TOP_K;
            }
            int64_t t0 = clock_ns();
            k->experts(&queue, &e, &routes, x, n, out);
            double t = (double)(clock_ns() - t0) * 1e-9;
            if (i && t < best)
                best = t;
        }
        double touched = n == 1 ? TOP_K : EXPERTS;
        print_row(k->name, kern_type_info(type)->name, "experts", n, best,
                  2.0 * n * TOP_K * 3 * COLS * HIDDEN, touched * (double)(2 * mat + down_mat),
                  peak_for(type));
    }
}

int main(int argc, char **argv) {
    const struct kern *variants[8];
    int count = kern_variants(variants, 8);
    struct par *par = par_new(argc > 1 ? atoi(argv[1]) : 0);
    struct kern_limits limits = {.threads = par_threads(par), .rows = MANY, .cols = COLS,
                                 .experts = EXPERTS, .top_k = TOP_K, .d_model = COLS,
                                 .d_expert = HIDDEN};
    queue = (struct kern_queue){.par = {par_run, par, par_threads(par)},
                                .scratch_bytes = kern_qmm_scratch(&limits)};
    queue.scratch = mem_map(queue.scratch_bytes);
    uint8_t *memory = mem_map((size_t)900 << 20);
    size_t out_floats = (size_t)8 * (BIG / 600) + (size_t)MANY * 2048;
    float *out = mem_map(out_floats * sizeof *out);
    float *x = mem_array((size_t)MANY * COLS, sizeof *x);
    fill_weights(memory, (size_t)450 << 20);
    for (int i = 0; i < MANY * COLS; i++)
        x[i] = (float)(i % 2003 * 7919 % 2001 - 1000) * 1e-3f;
    measure_peaks(memory);
    printf("variant\ttype\twhat\tn\tgops\tpeak_share\tgb_s\tread_share\n");
    for (int i = 0; i < count; i++) {
        const struct kern *k = variants[i];
        if ((argc > 2 && strcmp(argv[2], k->name)) || (argc <= 2 && !strcmp(k->name, "ref")))
            continue;
        for (int t = 0; t < KERN_TYPES; t++)
            if (kern_type_info(t) && (argc <= 3 || !strcmp(argv[3], kern_type_info(t)->name)))
                bench_matmul(k, t, memory, x, out);
        if (argc <= 3 || !strcmp(argv[3], "experts")) {
            bench_experts(k, KERN_Q4_K, KERN_Q4_K, memory, x, out);
            bench_experts(k, KERN_Q4_K, KERN_Q6_K, memory, x, out);
            bench_experts(k, KERN_Q8_0, KERN_Q8_0, memory, x, out);
        }
    }
    free(x);
    mem_unmap(out, out_floats * sizeof *out);
    mem_unmap(memory, (size_t)900 << 20);
    mem_unmap(queue.scratch, queue.scratch_bytes);
    par_free(par);
    return 0;
}
