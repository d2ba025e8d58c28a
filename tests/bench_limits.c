/* bench_limits.c - what this machine could do at most, for shares of it in the benchmarks
 *
 *     bench_limits [THREADS [SECONDS]]
 *
 * Prints one line "limit value unit" each, measured with THREADS threads (default: all):
 *   read    sequential read of memory, each thread its own stream, far beyond the caches
 *   int8    integer multiply-adds of 8-bit values (VNNI where there is, else pmaddubsw)
 *   f32     fused multiply-adds of 32-bit floats in the widest registers
 * A multiply-add counts two operations. The clock holds nothing but the loop; each limit is the
 * best of five windows, since a shared machine can only be slower than it is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/base/par.h"

#define BUFFER ((size_t)512 << 20)
#define WINDOWS 5

struct work {
    const char *data;
    int64_t until_ns;
    double units[256];          /* bytes or operations by thread */
    int64_t sink[256];
};

/* ---- memory ----------------------------------------------------------------------------- */

typedef int64_t lanes __attribute__((vector_size(64)));

static void read_stream(void *arg, int ith, int nth) {
    struct work *w = arg;
    size_t share = BUFFER / (size_t)nth / 4096 * 4096;
    const lanes *p = (const lanes *)(const void *)(w->data + share * (size_t)ith);
    lanes a = {0};
    lanes b = {0};
    do {
        for (size_t i = 0; i < share / sizeof *p; i += 2) {
            a ^= p[i];
            b ^= p[i + 1];
        }
        w->units[ith] += (double)share;
    } while (clock_ns() < w->until_ns);
    a ^= b;
    w->sink[ith] = a[0] ^ a[7];
}

/* ---- arithmetic: twelve independent chains hide the latency of any unit there is ----------- */

#define CHAINS 12
#define ROUNDS 4096

#define SPIN(per_round) \
    do { \
        for (int r = 0; r < ROUNDS; r++) \
            for (int i = 0; i < CHAINS; i++) \
                STEP(i); \
        w->units[ith] += 2.0 * (per_round) * ROUNDS * CHAINS; \
    } while (clock_ns() < w->until_ns)

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw,avx512vnni"), optimize("unroll-loops")))
static void int8_vnni(void *arg, int ith, int nth) {
    struct work *w = arg;
    __m512i acc[CHAINS];
    __m512i x = _mm512_set1_epi8((char)(ith + 1));
    __m512i y = _mm512_set1_epi8((char)nth);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_epi32(i);
#define STEP(i) acc[i] = _mm512_dpbusd_epi32(acc[i], x, y)
    SPIN(64);
#undef STEP
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm512_add_epi32(acc[0], acc[i]);
    w->sink[ith] = _mm512_reduce_add_epi32(acc[0]);
}

__attribute__((target("avx2"), optimize("unroll-loops")))
static void int8_avx2(void *arg, int ith, int nth) {
    struct work *w = arg;
    __m256i acc[CHAINS];
    __m256i x = _mm256_set1_epi8((char)(ith + 1));
    __m256i ones = _mm256_set1_epi16(1);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm256_set1_epi32(i + nth);
#define STEP(i) acc[i] = _mm256_add_epi32( \
        acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, acc[i]), ones))
    SPIN(32);
#undef STEP
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    w->sink[ith] = _mm256_extract_epi32(acc[0], 0);
}

__attribute__((target("avx512f"), optimize("unroll-loops")))
static void f32_avx512(void *arg, int ith, int nth) {
    struct work *w = arg;
    __m512 acc[CHAINS];
    __m512 x = _mm512_set1_ps(0.5f);
    __m512 y = _mm512_set1_ps((float)nth);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_ps((float)i);
#define STEP(i) acc[i] = _mm512_fmadd_ps(acc[i], x, y)
    SPIN(16);
#undef STEP
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm512_add_ps(acc[0], acc[i]);
    w->sink[ith] = (int64_t)_mm512_reduce_add_ps(acc[0]);
}

__attribute__((target("avx2,fma"), optimize("unroll-loops")))
static void f32_avx2(void *arg, int ith, int nth) {
    struct work *w = arg;
    __m256 acc[CHAINS];
    __m256 x = _mm256_set1_ps(0.5f);
    __m256 y = _mm256_set1_ps((float)nth);
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm256_set1_ps((float)i);
#define STEP(i) acc[i] = _mm256_fmadd_ps(acc[i], x, y)
    SPIN(8);
#undef STEP
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm256_add_ps(acc[0], acc[i]);
    w->sink[ith] = (int64_t)_mm256_cvtss_f32(acc[0]);
}
#endif

/* ---- measuring -------------------------------------------------------------------------- */

typedef void worker(void *arg, int ith, int nth);

static double rate(struct par *par, const char *data, worker *fn, double seconds) {
    double best = 0;
    for (int i = 0; i < WINDOWS; i++) {
        int64_t start = clock_ns();
        struct work w = {.data = data, .until_ns = start + (int64_t)(seconds * 1e9 / WINDOWS)};
        par_run(par, fn, &w);
        double done = 0;
        for (int t = 0; t < par_threads(par); t++)
            done += w.units[t];
        double per_ns = done / (double)(clock_ns() - start);
        best = per_ns > best ? per_ns : best;
    }
    return best;
}

static void touch(void *arg, int ith, int nth) {
    size_t share = BUFFER / (size_t)nth;
    char *p = (char *)arg + share * (size_t)ith;
    for (size_t i = 0; i < share; i++)
        p[i] = (char)i;
}

int main(int argc, char **argv) {
    int64_t threads = 0;
    double seconds = 1;
    if ((argc > 1 && num_int(argv[1], 0, 256, &threads)) ||
        (argc > 2 && num_float(argv[2], 0.01, 600, &seconds)) || argc > 3) {
        fprintf(stderr, "usage: bench_limits [THREADS [SECONDS]]\n");
        return 2;
    }
    char *data = mem_map(BUFFER);
    if (!data) {
        fprintf(stderr, "bench_limits: no memory\n");
        return 1;
    }
    struct par *par = par_new((int)threads);
    par_run(par, touch, data);
    printf("read\t%.1f\tGB/s\n", rate(par, data, read_stream, seconds));
#if defined(__x86_64__)
    worker *int8 = __builtin_cpu_supports("avx512vnni") ? int8_vnni :
                   __builtin_cpu_supports("avx2") ? int8_avx2 : NULL;
    worker *f32 = __builtin_cpu_supports("avx512f") ? f32_avx512 :
                  __builtin_cpu_supports("fma") ? f32_avx2 : NULL;
    if (int8)
        printf("int8\t%.0f\tGOP/s\n", rate(par, data, int8, seconds));
    if (f32)
        printf("f32\t%.0f\tGFLOP/s\n", rate(par, data, f32, seconds));
#endif
    par_free(par);
    mem_unmap(data, BUFFER);
    return 0;
}
