/* bench_kernels_figure.c - the clock, limits, comparison with the reference: bench_kernels.h
 *
 * Inside the clock stand calls of the operation and nothing else. The time of a figure is cut
 * into windows of equal length; a sample is the mean time of a call in one window, so that the
 * clock's own cost (some 30 ns) does not count in calls that take less than a microsecond.
 */
#include "cmd/bench_kernels.h"

#include <math.h>

#include "lib/base/clock.h"

/* ---- time --------------------------------------------------------------------------------- */

/* Windows that a median's interval takes at least; and when they last too long, so few. */
#define ENOUGH 6
#define FEWEST 3
#define TOO_LONG 6              /* times the seconds of a figure */

static double time_calls(const struct operation *op, void *state, const struct runner *by,
                         const struct test *t, int rows, int64_t calls, int *turn) {
    int64_t start = clock_ns();
    for (int64_t i = 0; i < calls; i++)
        op->call(state, by, t, rows, (*turn)++ & 0x7fffffff);
    return (double)(clock_ns() - start) * 1e-9;
}

void figure_time(const struct operation *op, void *state, const struct runner *by,
                 const struct test *t, int rows, const struct clock_rules *rules,
                 struct figure *out) {
    double window = rules->seconds / rules->repeats;
    int turn = 0;
    int64_t calls = 1;
    double once = time_calls(op, state, by, t, rows, 1, &turn);
    while (once * (double)calls < window / 4 && calls < 1 << 24) {  /* until the clock can tell */
        calls *= 4;
        once = time_calls(op, state, by, t, rows, calls, &turn) / (double)calls;
    }
    calls = once < window ? (int64_t)(window / once) : 1;
    double all = once * (double)calls * rules->repeats;
    int n = all <= 2 * rules->seconds ? rules->repeats : (int)(rules->seconds / once);
    if (n < ENOUGH)
        n = once * ENOUGH < TOO_LONG * rules->seconds ? ENOUGH : FEWEST;
    if (n > rules->repeats)
        n = rules->repeats;
    out->n = 0;
    for (int i = 0; i < n; i++)
        out->us[out->n++] = time_calls(op, state, by, t, rows, calls, &turn) / (double)calls * 1e6;
}

/* ---- results ------------------------------------------------------------------------------ */

static double element(const struct result *r, size_t i) {
    switch (r->kind) {
    case RESULT_FLOATS: return (double)((const float *)r->data)[i];
    case RESULT_DOUBLES: return ((const double *)r->data)[i];
    default: return ((const uint8_t *)r->data)[i];
    }
}

double result_error(const struct result *got, const struct result *want) {
    double most = 0;
    for (size_t i = 0; i < want->count; i++) {
        double a = element(got, i);
        double b = element(want, i);
        if (a == b || (isnan(a) && isnan(b)))
            continue;
        double e = got->kind == RESULT_BYTES || isnan(a) || isnan(b) ? INFINITY : fabs(a - b);
        most = e > most ? e : most;
    }
    return most;
}

/* ---- limits ------------------------------------------------------------------------------- */

static const char *const unit_names[UNITS] = {"f32", "bf16", "int8"};

#define READ_WINDOWS 3
#define READ_SECONDS 0.004      /* of a window */
#define SMALLEST 12             /* log2 of the fewest bytes a thread goes round in */

/* Bytes of all caches of the last level. */
static size_t cached_bytes(void) {
    struct limits_caches caches;
    limits_caches(&caches);
    return caches.n ? caches.total[caches.n - 1] : (size_t)32 << 20;
}

int bounds_measure(struct bounds *b, struct par *par, double seconds, struct err *err) {
    *b = (struct bounds){.par = par, .cached = cached_bytes()};
    b->arena = limits_arena_new(par, b->cached, err);
    return b->arena ? limits_measure(par, seconds, &b->limits, err) : -1;
}

void bounds_of_device(struct bounds *b, const struct device *d) {
    *b = (struct bounds){.limits = {.f32 = device_flops(d, "f32"), .bf16 = device_flops(d, "bf16"),
                                    .int8 = device_flops(d, "int8")},
                         .cached = cached_bytes()};
    if (d->memories)
        b->limits.read_bytes_per_s = device_read_rate(&d->memory[0]);
}

void bounds_free(struct bounds *b) {
    limits_arena_free(b->arena);
}

int bounds_cached(const struct bounds *b, const struct work *w) {
    return w->set > 0 && w->set <= (double)b->cached;
}

/* Of four times their size, no cache keeps a part until it is its turn again. */
size_t ring_size(const struct bounds *b) {
    size_t least = (size_t)128 << 20;
    return 4 * b->cached > least ? 4 * b->cached : least;
}

/* Bytes a second when calls go round in so many bytes: what caches deliver to threads that read
 * their part of them again and again, else the memory's. 0: not known, for a profile does not say
 * what caches deliver. */
static double read_rate(struct bounds *b, const struct work *w) {
    double memory = b->limits.read_bytes_per_s;
    if (!bounds_cached(b, w))
        return memory;
    if (!b->arena)
        return 0;
    int class = SMALLEST;       /* no more bytes than the calls: the rate of fewer is higher */
    while (class < BOUNDS_CLASSES - 1 && ldexp(par_threads(b->par), class + 1) <= w->set)
        class++;
    for (int i = 0; i < READ_WINDOWS && !b->taken[class]; i++)
        b->rate[class] = fmax(b->rate[class], limits_stream(b->par, b->arena, LIMITS_READ,
                                                            (size_t)1 << class, READ_SECONDS));
    b->taken[class] = 1;
    return fmax(b->rate[class], memory);
}

/* Without a unit of its own a type is computed in f32. */
static double peak(const struct limits *l, int unit) {
    double of[UNITS] = {l->f32, l->bf16, l->int8};
    return of[unit] > 0 ? of[unit] : l->f32;
}

/* The roofline (Williams, Waterman, Patterson, "Roofline: an insightful visual performance
 * model", 2009): a call takes at least as long as its bytes, and as its arithmetic. */
struct share bounds_share(struct bounds *b, const struct work *w, double seconds) {
    struct share s = {NAN, NULL};
    double most = 0;
    double arithmetic = 0;
    double rate = read_rate(b, w);
    const char *unit = NULL;
    for (int u = 0; u < UNITS; u++) {
        double t = w->ops[u] > 0 && peak(&b->limits, u) > 0 ? w->ops[u] / peak(&b->limits, u) : 0;
        arithmetic += t;
        if (t > most) {
            most = t;
            unit = unit_names[u];
        }
    }
    if (rate > 0 && w->bytes / rate > arithmetic)
        s = (struct share){w->bytes / rate / seconds, "read"};
    else if (unit)
        s = (struct share){arithmetic / seconds, unit};
    return s;
}
