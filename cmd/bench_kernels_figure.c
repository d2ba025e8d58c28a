/* bench_kernels_figure.c - the clock, limits, comparison with the reference: bench_kernels.h
 *
 * Inside the clock stand calls of the operation and nothing else. A sample is the mean time of a
 * call in one window, so that the clock's own cost (some 30 ns) does not count in calls that take
 * less than a microsecond. The figures of one test take turns, a window each, so that a machine
 * that is busy for a while slows all of them.
 */
#include "cmd/bench_kernels.h"

#include <limits.h>
#include <math.h>

#include "lib/base/clock.h"

/* ---- time --------------------------------------------------------------------------------- */

/* Windows that a median's interval takes at least; and when they last too long, so few. */
#define ENOUGH 6
#define FEWEST 3
#define TOO_LONG 6              /* times the seconds of a figure */

static double time_calls(const struct operation *op, void *state, struct figure *f, int64_t calls) {
    int64_t start = clock_ns();
    for (int64_t i = 0; i < calls; i++)
        op->call(state, &f->by, f->test, f->rows, f->turn++ & INT_MAX);
    return (double)(clock_ns() - start) * 1e-9;
}

void figure_prepare(const struct operation *op, void *state, const struct clock_rules *rules,
                    struct figure *f) {
    double window = rules->seconds / rules->repeats;
    f->calls = 1;
    double once = time_calls(op, state, f, 1);
    while (once * (double)f->calls < window / 4 && f->calls < 1 << 24) {    /* too short to say */
        f->calls *= 4;
        once = time_calls(op, state, f, f->calls) / (double)f->calls;
    }
    f->calls = once < window ? (int64_t)(window / once) : 1;
    f->windows = rules->repeats;
    if (once > 2 * window) {
        int fits = (int)(rules->seconds / once);
        int least = once * ENOUGH < TOO_LONG * rules->seconds ? ENOUGH : FEWEST;
        fits = fits > least ? fits : least;
        f->windows = fits < f->windows ? fits : f->windows;
    }
    f->n = 0;
    if (f->calls == 1)
        f->us[f->n++] = once * 1e6;
}

int figure_window(const struct operation *op, void *state, struct figure *f) {
    if (f->n >= (size_t)f->windows)
        return 0;
    f->us[f->n++] = time_calls(op, state, f, f->calls) / (double)f->calls * 1e6;
    return 1;
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

static const struct {
    const char *name;
    int type;                   /* enum limits_type */
} units[UNITS] = {{"f32", LIMITS_F32}, {"bf16", LIMITS_BF16}, {"int8", LIMITS_INT8}};

#define WINDOW 0.003            /* seconds */
#define READ_WINDOWS 2
#define SMALLEST 12             /* log2 of the fewest bytes a thread goes round in */

/* Bytes of all caches of the last level. */
static size_t cached_bytes(void) {
    struct limits_caches caches;
    limits_caches(&caches);
    return caches.n ? caches.total[caches.n - 1] : (size_t)32 << 20;
}

int bounds_measure(struct bounds *b, struct par *par, double seconds, struct err *err) {
    *b = (struct bounds){.par = par, .cached = cached_bytes()};
    b->arena = limits_arena_new(par, 0, err);
    return b->arena ? limits_measure(par, seconds, &b->best, err) : -1;
}

void bounds_of_device(struct bounds *b, const struct device *d) {
    limits_of_device(d, &b->best);
    b->cached = cached_bytes();
}

void bounds_free(struct bounds *b) {
    limits_arena_free(b->arena);
}

int bounds_cached(const struct bounds *b, const struct work *w) {
    return w->set > 0 && w->set <= (double)b->cached;
}

static double *peak_of(struct limits *l, int unit) {
    return unit == UNIT_F32 ? &l->f32 : unit == UNIT_BF16 ? &l->bf16 : &l->int8;
}

/* Without a unit of its own a type is computed in f32. */
static int has_unit(struct bounds *b, int unit) {
    return *peak_of(&b->best, unit) > 0;
}

static void raise_to(double *to, double rate) {
    *to = rate > *to ? rate : *to;
}

/* log2 of a thread's bytes when calls go round in so many; no more than that, since fewer are
 * faster. */
static int set_class(const struct bounds *b, const struct work *w) {
    int c = SMALLEST;
    while (c < BOUNDS_CLASSES - 1 && ldexp(par_threads(b->par), c + 1) <= w->set)
        c++;
    return c;
}

void bounds_watch(struct bounds *b, const struct work *w) {
    if (!b->arena)
        return;
    int cached = bounds_cached(b, w);
    int c = set_class(b, w);
    for (int i = 0; i < READ_WINDOWS; i++)
        raise_to(cached ? &b->rate[c] : &b->best.read_bytes_per_s,
                 limits_stream(b->par, b->arena, LIMITS_READ, cached ? (size_t)1 << c : 0,
                               WINDOW));
    for (int u = 0; u < UNITS; u++)
        if (w->ops[u] > 0) {
            int unit = has_unit(b, u) ? u : UNIT_F32;
            raise_to(peak_of(&b->best, unit), limits_flops(b->par, units[unit].type, WINDOW));
        }
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
    if (!bounds_cached(b, w))
        return b->best.read_bytes_per_s;
    if (!b->arena)
        return 0;
    int c = set_class(b, w);
    if (!(b->rate[c] > 0))
        bounds_watch(b, w);
    return b->rate[c];
}

/* Seconds that the bytes take at least. Memory has one bus for both ways; in caches, loads and
 * stores have ports of their own. 0: not known. */
static double bytes_time(const struct bounds *b, const struct work *w, double rate) {
    if (!(rate > 0))
        return 0;
    return (bounds_cached(b, w) ? fmax(w->read, w->written) : w->read + w->written) / rate;
}

/* The roofline (Williams, Waterman, Patterson, "Roofline: an insightful visual performance
 * model", 2009): a call takes at least as long as its bytes, and as its arithmetic. */
struct share bounds_share(struct bounds *b, const struct work *w, double seconds) {
    struct share s = {NAN, NAN, NULL};
    double most = 0;
    double arithmetic = 0;
    double rate = read_rate(b, w);
    double bytes = bytes_time(b, w, rate);
    for (int u = 0; u < UNITS; u++) {
        double peak = *peak_of(&b->best, has_unit(b, u) ? u : UNIT_F32);
        double t = w->ops[u] > 0 && peak > 0 ? w->ops[u] / peak : 0;
        arithmetic += t;
        if (t > most) {
            most = t;
            s = (struct share){arithmetic / seconds, peak, units[has_unit(b, u) ? u : 0].name};
        }
    }
    if (bytes > arithmetic)
        s = (struct share){bytes / seconds, rate, "read"};
    else if (s.binds)
        s.share = arithmetic / seconds;
    return s;
}
