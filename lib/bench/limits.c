/* limits.c - limits of memory and of handing out work, see limits.h
 *
 * Arithmetic is in limits_peak.c, threads on cores in limits_pin.c, the disk in limits_disk.c,
 * what the system says about the machine in limits_host.c.
 *
 * A thread looks at the clock once in some microseconds of work, so that none works alone for long
 * at the end of a window (limits_impl.h).
 */
#include "lib/bench/limits.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/bench/limits_impl.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PIECE ((size_t)64 << 10)        /* bytes between looks at the clock, from memory */
#define CACHED_PIECE (4 * PIECE)        /* from a cache */
#define LINE 64
#define MOST_WARM ((size_t)128 << 20)   /* no cache is larger, for one core */
#define LEAST_ARENA ((size_t)256 << 20)

/* ---- arena -------------------------------------------------------------------------------- */

struct limits_arena {
    char *data;
    size_t bytes;
    int threads;                /* places in `at` */
    size_t *at;                 /* where a thread goes on in its share */
};

static void touch(void *arg, int ith, int nth) {
    const struct limits_arena *a = arg;
    size_t share = a->bytes / (size_t)nth;
    memset(a->data + share * (size_t)ith, ith + 1, share);
}

size_t limits_arena_bytes(void) {
    struct limits_caches c;
    limits_caches(&c);
    size_t bytes = 0;
    for (int i = 0; i < c.n; i++)
        bytes += 4 * c.total[i];
    if (bytes < LEAST_ARENA)
        bytes = LEAST_ARENA;
    double most = limits_memory_free() / 2;
    return (double)bytes > most ? (size_t)most : bytes;
}

struct limits_arena *limits_arena_new(struct par *par, size_t bytes, struct err *err) {
    if (!bytes)
        bytes = limits_arena_bytes();
    struct limits_arena *a = mem_alloc(sizeof *a);
    a->bytes = bytes / PIECE * PIECE;
    a->data = a->bytes ? mem_map(a->bytes) : NULL;
    if (!a->data) {
        free(a);
        err_set(err, "no memory for a buffer of %zu MiB", bytes >> 20);
        return NULL;
    }
    a->threads = par_threads(par);
    a->at = mem_array((size_t)a->threads, sizeof *a->at);
    par_run(par, touch, a);
    return a;
}

void limits_arena_free(struct limits_arena *a) {
    if (!a)
        return;
    mem_unmap(a->data, a->bytes);
    free(a->at);
    free(a);
}

size_t limits_arena_size(const struct limits_arena *a) {
    return a->bytes;
}

/* ---- streams ------------------------------------------------------------------------------ */

/* Loads `bytes` (whole blocks of 512) and does nothing with them that would take a unit longer
 * than the load. One loop, compiled for each width of register, since only the widest loads get
 * all out of an L1 cache. */
#define READ(name, isa) \
    isa static int64_t name(const char *data, size_t bytes) { \
        typedef int64_t lanes __attribute__((vector_size(64), may_alias)); \
        const lanes *p = (const lanes *)(const void *)data; \
        const lanes *end = p + bytes / sizeof *p; \
        lanes a = {0}; \
        lanes b = {0}; \
        lanes c = {0}; \
        lanes d = {0}; \
        for (; p < end; p += 8) { \
            a ^= p[0]; \
            b ^= p[1]; \
            c ^= p[2]; \
            d ^= p[3]; \
            a ^= p[4]; \
            b ^= p[5]; \
            c ^= p[6]; \
            d ^= p[7]; \
        } \
        a ^= b ^ c ^ d; \
        return a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7]; \
    }

READ(read_plain, )
#if defined(__x86_64__)
READ(read_avx2, __attribute__((target("avx2"))))
READ(read_avx512, __attribute__((target("avx512f"))))

/* Stores of whole lines that go past the caches: the old content need not be fetched. */
static void put_line(char *to, __m128i a, __m128i b, __m128i c, __m128i d) {
    __m128i *p = (__m128i *)(void *)to;
    _mm_stream_si128(p, a);
    _mm_stream_si128(p + 1, b);
    _mm_stream_si128(p + 2, c);
    _mm_stream_si128(p + 3, d);
}

static void write_piece(char *to, size_t bytes) {
    const __m128i x = _mm_set1_epi8(1);
    for (size_t i = 0; i < bytes; i += LINE)
        put_line(to + i, x, x, x, x);
}

static void copy_piece(char *to, const char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += LINE) {
        const __m128i *p = (const __m128i *)(const void *)(from + i);
        put_line(to + i, p[0], p[1], p[2], p[3]);
    }
}
#else
static void write_piece(char *to, size_t bytes) {
    memset(to, 1, bytes);
}

static void copy_piece(char *to, const char *from, size_t bytes) {
    memcpy(to, from, bytes);
}
#endif

struct stream {
    struct limits_arena *arena;
    int traffic;
    size_t each;                /* bytes of a thread; 0: its share, from where it was */
    int64_t (*read)(const char *data, size_t bytes);
    struct window window;
};

/* The compiler must not drop what a value comes from. */
static void keep(int64_t x) {
    __asm__ volatile("" : : "r"(x));
}

/* Moves n bytes at place `at` of a thread's `size` bytes; a copy goes from the first half to the
 * second, n of each. Returns the bytes that went through the bus. */
static double move(const struct stream *s, char *own, size_t size, size_t at, size_t n) {
    if (s->traffic == LIMITS_READ)
        keep(s->read(own + at, n));
    else if (s->traffic == LIMITS_WRITE)
        write_piece(own + at, n);
    else
        copy_piece(own + size / 2 + at, own + at, n);
    return (double)n * (s->traffic == LIMITS_COPY ? 2 : 1);
}

static void stream_some(void *arg, int ith, int nth) {
    struct stream *s = arg;
    size_t size = s->each ? s->each : s->arena->bytes / (size_t)nth / PIECE * PIECE;
    char *own = s->arena->data + size * (size_t)ith;
    size_t walk = (s->traffic == LIMITS_COPY ? size / 2 : size) / 512 * 512;
    size_t piece = s->each ? CACHED_PIECE : PIECE;
    size_t at = s->each ? 0 : s->arena->at[ith];
    double bytes = 0;
    if (s->each)
        move(s, own, size, 0, walk);
    int64_t until = window_begin(&s->window);
    do {
        for (size_t left = piece; left;) {
            if (at >= walk)
                at = 0;
            size_t n = walk - at < left ? walk - at : left;
            bytes += move(s, own, size, at, n);
            at += n;
            left -= n;
        }
    } while (clock_ns() < until);
    window_end(&s->window, ith, bytes);
    if (!s->each)
        s->arena->at[ith] = at;
}

static int64_t (*best_read(void))(const char *data, size_t bytes) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return read_avx512;
    if (__builtin_cpu_supports("avx2"))
        return read_avx2;
#endif
    return read_plain;
}

double limits_stream(struct par *par, struct limits_arena *a, int traffic, size_t bytes_each,
                     double seconds) {
    struct stream s = {.arena = a, .traffic = traffic, .each = bytes_each / 1024 * 1024,
                       .read = best_read()};
    window_open(&s.window, par, seconds);
    par_run(par, stream_some, &s);
    return window_close(&s.window);
}

/* ---- latencies ---------------------------------------------------------------------------- */

struct limits_ring {
    void **at;
    char *data;
    size_t bytes;
};

/* One cycle through all lines, uniformly among those cycles (Sattolo, "An algorithm to generate a
 * random cyclic permutation", 1986): no prefetcher knows what comes next. */
struct limits_ring *limits_ring_new(size_t bytes, struct err *err) {
    struct limits_ring *r = mem_alloc(sizeof *r);
    size_t n = bytes / LINE;
    r->bytes = n * LINE;
    r->data = n ? mem_map(r->bytes) : NULL;
    if (!r->data) {
        free(r);
        err_set(err, "no memory for a ring of %zu KiB", bytes >> 10);
        return NULL;
    }
    struct rng rng = {1};
    for (size_t i = 0; i < n; i++)
        *(void **)(void *)(r->data + i * LINE) = r->data + i * LINE;
    for (size_t i = n - 1; i > 0; i--) {
        void **a = (void **)(void *)(r->data + i * LINE);
        void **b = (void **)(void *)(r->data + rng_below(&rng, i) * LINE);
        void *next = *a;
        *a = *b;
        *b = next;
    }
    r->at = (void **)(void *)r->data;
    return r;
}

void limits_ring_free(struct limits_ring *r) {
    if (!r)
        return;
    mem_unmap(r->data, r->bytes);
    free(r);
}

static void **chase(void **at, size_t steps) {
    for (size_t i = 0; i < steps; i++)
        at = *at;
    return at;
}

/* What fits into a cache is brought there, in order, since that is fast. */
static void warm(const struct limits_ring *r) {
    int64_t sum = 0;
    for (size_t i = 0; r->bytes <= MOST_WARM && i < r->bytes; i += LINE)
        sum ^= r->data[i];
    keep(sum);
}

double limits_latency(struct limits_ring *r, double seconds) {
    enum { STEPS = 1024 };
    warm(r);
    void **at = r->at;
    double steps = 0;
    int64_t start = clock_ns();
    int64_t now = start;
    while (now < start + (int64_t)(seconds * 1e9)) {
        at = chase(at, STEPS);
        /* The next look at the clock waits for the last load. */
        __asm__ volatile("" : "+r"(at) : : "memory");
        steps += STEPS;
        now = clock_ns();
    }
    r->at = at;
    return (double)(now - start) * 1e-9 / steps;
}

static void nothing(void *arg, int ith, int nth) {
    (void)arg;
    (void)ith;
    (void)nth;
}

double limits_barrier(struct par *par, double seconds) {
    enum { CALLS = 64 };
    double calls = 0;
    int64_t start = clock_ns();
    int64_t now = start;
    while (now < start + (int64_t)(seconds * 1e9)) {
        for (int i = 0; i < CALLS; i++)
            par_run(par, nothing, NULL);
        calls += CALLS;
        now = clock_ns();
    }
    return (double)(now - start) * 1e-9 / calls;
}

/* ---- together ----------------------------------------------------------------------------- */

static double better(double a, double b) {
    return a > b ? a : b;
}

/* The figures take turns, so that a neighbour who comes and goes does not meet one of them only. */
int limits_measure(struct par *par, double seconds, struct limits *out, struct err *err) {
    struct limits_cpus *cpus = limits_cpus_new();
    *out = (struct limits){0};
    limits_pin(par, cpus);
    struct limits_arena *a = limits_arena_new(par, 0, err);
    int windows = seconds > 2 * LIMITS_WINDOW_S ? (int)(seconds / LIMITS_WINDOW_S) : 2;
    double each = seconds / windows;
    for (int i = 0; a && i < windows; i++) {
        out->read_bytes_per_s = better(out->read_bytes_per_s,
                                       limits_stream(par, a, LIMITS_READ, 0, each));
        out->f32 = better(out->f32, limits_flops(par, LIMITS_F32, each));
        out->bf16 = better(out->bf16, limits_flops(par, LIMITS_BF16, each));
        out->int8 = better(out->int8, limits_flops(par, LIMITS_INT8, each));
    }
    int status = a ? 0 : -1;
    limits_arena_free(a);
    limits_unpin(par, cpus);
    limits_cpus_free(cpus);
    return status;
}
