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

/* Loads `bytes` (whole blocks of 256) and does nothing with them. Volatile, since a compiler that
 * is free to choose starts some lines ahead and comes back, and the prefetcher of a Zen 5 then
 * gives a third less. One loop, compiled for each width of register: only the widest loads get all
 * out of an L1 cache. */
#define READ(name, isa, width) \
    isa static void name(const char *data, size_t bytes) { \
        typedef int64_t lanes __attribute__((vector_size(width), may_alias)); \
        const volatile lanes *p = (const volatile lanes *)(const void *)data; \
        const volatile lanes *end = p + bytes / sizeof *p; \
        for (; p < end; p += 4) { \
            (void)p[0]; \
            (void)p[1]; \
            (void)p[2]; \
            (void)p[3]; \
        } \
    }

READ(read_plain, , 16)
#if defined(__x86_64__)
READ(read_avx2, __attribute__((target("avx2"))), 32)
READ(read_avx512, __attribute__((target("avx512f"))), 64)

/* Stores that go past the caches: the old content of a line need not be fetched. A copy in narrow
 * registers is a fifth slower on a Zen 5. */
#define STORES(width, isa, vector, set, load, store) \
    isa static void write_##width(char *to, size_t bytes) { \
        const vector x = set(1); \
        for (size_t i = 0; i < bytes; i += sizeof x) \
            store((void *)(to + i), x); \
    } \
    isa static void copy_##width(char *to, const char *from, size_t bytes) { \
        for (size_t i = 0; i < bytes; i += sizeof(vector)) \
            store((void *)(to + i), load((const void *)(from + i))); \
    }

STORES(plain, , __m128i, _mm_set1_epi8, _mm_load_si128, _mm_stream_si128)
STORES(avx512, __attribute__((target("avx512f"))), __m512i, _mm512_set1_epi32, _mm512_load_si512,
       _mm512_stream_si512)
#else
static void write_plain(char *to, size_t bytes) {
    memset(to, 1, bytes);
}

static void copy_plain(char *to, const char *from, size_t bytes) {
    memcpy(to, from, bytes);
}
#endif

/* The widest of each kind that the processor has. */
struct loops {
    void (*read)(const char *data, size_t bytes);
    void (*write)(char *to, size_t bytes);
    void (*copy)(char *to, const char *from, size_t bytes);
};

static struct loops best_loops(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (struct loops){read_avx512, write_avx512, copy_avx512};
    if (__builtin_cpu_supports("avx2"))
        return (struct loops){read_avx2, write_plain, copy_plain};
#endif
    return (struct loops){read_plain, write_plain, copy_plain};
}

struct stream {
    struct limits_arena *arena;
    int traffic;
    size_t each;                /* bytes of a thread; 0: its share, from where it was */
    struct loops loops;
    struct window window;
};

/* Moves n bytes at place `at` of a thread's `size` bytes; a copy goes from the first half to the
 * second, n of each. Returns the bytes that went through the bus. */
static double move(const struct stream *s, char *own, size_t size, size_t at, size_t n) {
    if (s->traffic == LIMITS_READ)
        s->loops.read(own + at, n);
    else if (s->traffic == LIMITS_WRITE)
        s->loops.write(own + at, n);
    else
        s->loops.copy(own + size / 2 + at, own + at, n);
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

double limits_stream(struct par *par, struct limits_arena *a, int traffic, size_t bytes_each,
                     double seconds) {
    struct stream s = {.arena = a, .traffic = traffic, .each = bytes_each / 1024 * 1024,
                       .loops = best_loops()};
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
    for (size_t i = 0; r->bytes <= MOST_WARM && i < r->bytes; i += LINE)
        (void)*(const volatile char *)(r->data + i);
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

void limits_of_device(const struct device *d, struct limits *out) {
    *out = (struct limits){.read_bytes_per_s = d->memories ? d->memory[0].read_bytes_per_s : 0};
    for (int i = 0; i < d->computes; i++) {
        const struct device_compute *c = &d->compute[i];
        double *to = !strcmp(c->type, "f32") ? &out->f32 : !strcmp(c->type, "bf16") ? &out->bf16 :
                     !strcmp(c->type, "int8") ? &out->int8 : NULL;
        if (to)
            *to = c->flops_per_s;
    }
}
