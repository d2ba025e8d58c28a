/* limits_peak.c - the peak of the arithmetic units, see limits.h
 *
 * A multiply-add has a latency of a few cycles and starts once or twice in each, so a thread
 * keeps twelve chains going: enough for any unit there is, and few enough for sixteen registers.
 * The empty asm statement tells the compiler that a chain's value may have changed, so that it can
 * neither fold the loop nor drop it. Values are ordinary numbers: zeros would draw less power, and
 * a processor that lowers its clock under load would not.
 *
 * A unit is one row of the table; the first one of a type that the processor has is used.
 */
#include "lib/bench/limits.h"

#include "lib/base/clock.h"
#include "lib/bench/limits_impl.h"

#define CHAINS 12
#define ROUNDS 1024             /* between looks at the clock: some microseconds */

typedef void worker(void *arg, int ith, int nth);

struct unit {
    int type;
    const char *name;
    double ops;                 /* of one step of one chain */
    int (*present)(void);
    worker *run;
};

/* f32 by plain vector arithmetic, for processors without a row of their own: the product and the
 * sum are instructions of their own, and the compiler picks them. */
static void run_plain(void *arg, int ith, int nth) {
    typedef float four __attribute__((vector_size(16)));
    struct window *w = arg;
    double steps = 0;
    four a[CHAINS / 2];
    const four x = {0.5f, 0.5f, 0.5f, 0.5f};
    const four y = x + (float)nth;
    for (int i = 0; i < CHAINS / 2; i++)
        a[i] = x * (float)i;
    int64_t until = window_begin(w);
    do {
        for (int r = 0; r < ROUNDS; r++) {
            _Pragma("GCC unroll 6") for (int i = 0; i < CHAINS / 2; i++)
                a[i] = a[i] * x + y;
        }
        steps += (double)ROUNDS * CHAINS / 2;
    } while (clock_ns() < until);
    window_end(w, ith, steps);
    volatile float sink = 0;
    for (int i = 0; i < CHAINS / 2; i++)
        sink = sink + a[i][0];
}

static int always(void) {
    return 1;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* run_NAME: each chain a[i] goes through `step`, with x and y for constant operands. */
#define UNIT(name, isa, feature, vector, constant_x, constant_y, step) \
    __attribute__((target(isa))) static void run_##name(void *arg, int ith, int nth) { \
        struct window *w = arg; \
        double steps = 0; \
        const vector x = constant_x; \
        const vector y = constant_y; \
        vector a[CHAINS]; \
        (void)nth; \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) \
            a[i] = y; \
        int64_t until = window_begin(w); \
        do { \
            for (int r = 0; r < ROUNDS; r++) { \
                _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) { \
                    a[i] = step; \
                    __asm__ volatile("" : "+v"(a[i])); \
                } \
            } \
            steps += (double)ROUNDS * CHAINS; \
        } while (clock_ns() < until); \
        window_end(w, ith, steps); \
    } \
    static int has_##name(void) { \
        return __builtin_cpu_supports(feature) != 0; \
    }

UNIT(f32_avx512, "avx512f", "avx512f", __m512, _mm512_set1_ps(0.5f), _mm512_set1_ps(1.5f),
     _mm512_fmadd_ps(a[i], x, y))
UNIT(f32_avx2, "avx2,fma", "fma", __m256, _mm256_set1_ps(0.5f), _mm256_set1_ps(1.5f),
     _mm256_fmadd_ps(a[i], x, y))
UNIT(bf16_avx512, "avx512f,avx512bf16", "avx512bf16", __m512, _mm512_set1_ps(0.5f),
     _mm512_set1_ps(-0.25f), _mm512_dpbf16_ps(a[i], (__m512bh)x, (__m512bh)y))
/* The bits of 0.5 and 1.5. */
UNIT(f16_avx512, "avx512f,avx512fp16", "avx512fp16", __m512h, (__m512h)_mm512_set1_epi16(0x3800),
     (__m512h)_mm512_set1_epi16(0x3e00), _mm512_fmadd_ph(a[i], x, y))
UNIT(int8_avx512, "avx512f,avx512vnni", "avx512vnni", __m512i, _mm512_set1_epi8(93),
     _mm512_set1_epi8(-71), _mm512_dpbusd_epi32(a[i], x, y))
UNIT(int8_avxvnni, "avx2,avxvnni", "avxvnni", __m256i, _mm256_set1_epi8(93),
     _mm256_set1_epi8(-71), _mm256_dpbusd_avx_epi32(a[i], x, y))
/* The product is made anew in each step, since its left side changes. */
UNIT(int8_avx2, "avx2", "avx2", __m256i, _mm256_set1_epi8(93), _mm256_set1_epi16(1),
     _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x, a[i]), y)))
#define ROW(kind, text, each, name) {kind, text, each, has_##name, run_##name},
#endif

static const struct unit units[] = {
#if defined(__x86_64__)
    ROW(LIMITS_F32, "AVX-512 vfmadd", 32, f32_avx512)
    ROW(LIMITS_F32, "AVX2 vfmadd", 16, f32_avx2)
    ROW(LIMITS_BF16, "AVX-512 vdpbf16ps", 64, bf16_avx512)
    ROW(LIMITS_F16, "AVX-512 vfmaddph", 64, f16_avx512)
    ROW(LIMITS_INT8, "AVX-512 vpdpbusd", 128, int8_avx512)
    ROW(LIMITS_INT8, "AVX-VNNI vpdpbusd", 64, int8_avxvnni)
    ROW(LIMITS_INT8, "AVX2 vpmaddubsw", 64, int8_avx2)
#endif
    {LIMITS_F32, "multiply and add", 8, always, run_plain},
};

static const struct unit *find_unit(int type) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].type == type && units[i].present())
            return &units[i];
    return NULL;
}

const char *limits_type_name(int type) {
    static const char *const names[LIMITS_TYPES] = {"f32", "bf16", "f16", "int8"};
    return names[type];
}

const char *limits_unit(int type) {
    const struct unit *u = find_unit(type);
    return u ? u->name : NULL;
}

double limits_flops(struct par *par, int type, double seconds) {
    const struct unit *u = find_unit(type);
    if (!u)
        return 0;
    struct window w;
    window_open(&w, par, seconds);
    par_run(par, u->run, &w);
    return window_close(&w) * u->ops;
}
