/* bench_device_figures.c - what is measured, in which order: see bench_device.h
 *
 * Every figure gets many short windows, and the figures take turns: a round gives one window to
 * each. A neighbour who comes for a second then costs each figure a few windows, not one figure
 * all of them. A disk has its turn afterwards, since its interrupts would disturb the others.
 */
#include "cmd/bench_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "lib/base/clock.h"
#include "lib/base/par.h"
#include "lib/stat/order.h"

#define DISK_WINDOW_S 0.05
#define DISK_WRITE_S 4.0        /* at most for the file */
#define DISK_THREADS 8          /* blocks under way: sequential reads of a fast drive need some */
#define DISK_LATENCIES 300
#define DISK_READS 10           /* windows, at least */
#define LEAST_SET ((size_t)16 << 10)
#define MOST_RING ((size_t)512 << 20)
#define LEAST_ROUNDS 5
#define LATE 1.6                /* times the planned duration: then the rounds end early */

/* ---- the list ----------------------------------------------------------------------------- */

static struct figure *add(struct probe *p, enum figure_kind kind, int which, struct par *par,
                          int n) {
    p->figure = mem_grow(p->figure, (size_t)p->figures + 1, sizeof *p->figure);
    struct figure *f = &p->figure[p->figures++];
    *f = (struct figure){.kind = kind, .which = which, .par = par,
                         .sample = mem_array((size_t)n, sizeof *f->sample)};
    return f;
}

static struct par *all_threads(const struct probe *p) {
    return p->team[p->teams - 1];
}

/* The cache that holds so much of each thread of a team, by what the system says of its size.
 * NULL: none does, but a part may still be found in one; what no cache helps is the whole arena. */
static const char *level_of(const struct probe *p, size_t bytes, int threads) {
    static const char *const names[LIMITS_LEVELS] = {"L1", "L2", "L3", "L4"};
    for (int i = 0; i < p->caches.n; i++) {
        int sharing = threads < p->caches.sharers[i] ? threads : p->caches.sharers[i];
        if (bytes * (size_t)(sharing > 0 ? sharing : 1) <= p->caches.bytes[i])
            return names[i];
    }
    return NULL;
}

static void size_name(char *out, size_t size, size_t bytes) {
    snprintf(out, size, bytes < 1 << 20 ? "%zuKi" : "%zuMi", bytes >> (bytes < 1 << 20 ? 10 : 20));
}

static void plan_streams(struct probe *p) {
    static const char *const name[LIMITS_TRAFFICS] = {"read", "write", "copy"};
    for (int traffic = 0; traffic < LIMITS_TRAFFICS; traffic++)
        for (int t = 0; t < p->teams; t++) {
            if (traffic != LIMITS_READ && t && t < p->teams - 1)
                continue;
            struct figure *f = add(p, FIGURE_STREAM, traffic, p->team[t], p->windows);
            snprintf(f->name, sizeof f->name, "%s-t%d", name[traffic], par_threads(f->par));
            f->level = "memory";
            f->method = traffic == LIMITS_READ ? NULL : "stores past the caches";
        }
}

/* Reads of one working set by one thread, and by all of them, each with a set of its own. */
static void plan_set(struct probe *p, size_t bytes) {
    char size[16];
    size_name(size, sizeof size, bytes);
    for (int t = 0; t < p->teams; t += p->teams > 1 ? p->teams - 1 : 1) {
        int threads = par_threads(p->team[t]);
        if (bytes * (size_t)threads > limits_arena_size(p->arena))
            continue;
        struct figure *f = add(p, FIGURE_STREAM, LIMITS_READ, p->team[t], p->windows);
        snprintf(f->name, sizeof f->name, "read-%s-t%d", size, threads);
        f->bytes = bytes;
        f->level = level_of(p, bytes, threads);
    }
}

/* Powers of two until the whole arena is about used; quick: one inside each cache. */
static void plan_sets(struct probe *p) {
    size_t most = limits_arena_size(p->arena) / 2 / (size_t)par_threads(all_threads(p));
    const char *before = NULL;
    for (size_t bytes = LEAST_SET; bytes <= most; bytes *= 2) {
        const char *level = level_of(p, bytes, par_threads(all_threads(p)));
        if (!p->opt->quick || level != before)
            plan_set(p, bytes);
        before = level;
    }
}

static void plan_arithmetic(struct probe *p) {
    for (int type = 0; type < LIMITS_TYPES; type++) {
        if (!limits_unit(type))
            continue;
        for (int t = 0; t < p->teams; t++) {
            struct figure *f = add(p, FIGURE_PEAK, type, p->team[t], p->windows);
            snprintf(f->name, sizeof f->name, "%s-t%d", limits_type_name(type),
                     par_threads(f->par));
            f->method = limits_unit(type);
        }
        if (!product_method(p->product, type))
            continue;
        struct figure *f = add(p, FIGURE_PRODUCT, type, all_threads(p), p->windows);
        snprintf(f->name, sizeof f->name, "product-%s-t%d", limits_type_name(type),
                 par_threads(f->par));
        f->method = product_method(p->product, type);
    }
}

/* Half of each cache, so that nothing else in it matters, and the arena's size (of a huge arena a
 * part, since making the ring takes long). */
static void plan_latencies(struct probe *p) {
    struct err e;
    for (int i = 0; i <= p->caches.n; i++) {
        size_t arena = limits_arena_size(p->arena);
        size_t bytes = i < p->caches.n ? p->caches.bytes[i] / 2
                     : arena < MOST_RING ? arena : MOST_RING;
        char size[16];
        if (!bytes)
            continue;
        struct figure *f = add(p, FIGURE_LATENCY, 0, NULL, p->windows);
        size_name(size, sizeof size, bytes);
        snprintf(f->name, sizeof f->name, "latency-%s", size);
        f->bytes = bytes;
        f->level = i < p->caches.n ? level_of(p, bytes, 1) : "memory";
        f->method = "loads that wait for each other";
        f->ring = limits_ring_new(bytes, &e);
        if (!f->ring)
            die("%s", e.text);
    }
    if (p->teams > 1) {
        struct figure *f = add(p, FIGURE_BARRIER, 0, all_threads(p), p->windows);
        snprintf(f->name, sizeof f->name, "barrier-t%d", par_threads(f->par));
        f->method = "an empty piece of work, handed out and waited for";
    }
}

static void plan_disk(struct probe *p) {
    const char *method = limits_disk_direct(p->disk) ? "O_DIRECT" : "page cache dropped";
    int reads = (int)fmax(DISK_READS, p->opt->seconds / DISK_WINDOW_S);
    struct figure *f = add(p, FIGURE_DISK_WRITE, 0, NULL, limits_disk_writes(p->disk));
    snprintf(f->name, sizeof f->name, "disk-write");
    for (int many = 0; many < 2; many++) {
        f = add(p, FIGURE_DISK_READ, 0, many ? p->readers : p->team[0], reads);
        snprintf(f->name, sizeof f->name, "disk-read-q%d", par_threads(f->par));
    }
    f = add(p, FIGURE_DISK_LATENCY, 0, NULL, DISK_LATENCIES);
    snprintf(f->name, sizeof f->name, "disk-latency");
    f->bytes = 4096;
    for (int i = p->figures - 4; i < p->figures; i++) {
        p->figure[i].level = "disk";
        p->figure[i].method = method;
    }
}

/* ---- opening ------------------------------------------------------------------------------ */

/* All teams are made before any thread is pinned: a new one inherits its maker's processors. */
static void make_teams(struct probe *p) {
    p->cpus = limits_cpus_new();
    int most = p->opt->common.threads;
    if (!most)
        most = limits_cpus_count(p->cpus) > 0 ? limits_cpus_count(p->cpus) : 1;
    for (int n = 1; n < most; n *= 2)
        p->team[p->teams++] = par_new(n);
    p->team[p->teams++] = par_new(most);
    p->readers = par_new(DISK_THREADS);
    for (int t = 0; t < p->teams; t++)
        limits_pin(p->team[t], p->cpus);
}

static void open_disk(struct probe *p) {
    struct err e;
    if (!p->opt->disk)
        return;
    p->disk = limits_disk_new(p->opt->disk, p->opt->disk_bytes, DISK_WRITE_S, &e);
    if (!p->disk && p->opt->disk_named)
        die("%s", e.text);
    if (!p->disk && !p->opt->common.quiet)
        warn("no figures of a disk: %s (--disk names a folder)", e.text);
}

void probe_open(struct probe *p, const struct device_options *opt) {
    struct err e;
    *p = (struct probe){.opt = opt};
    p->windows = (int)fmin(fmax(opt->seconds / LIMITS_WINDOW_S, LEAST_ROUNDS), 1000);
    p->window_s = opt->seconds / p->windows;
    make_teams(p);
    open_disk(p);
    limits_caches(&p->caches);
    p->arena = limits_arena_new(all_threads(p), 0, &e);
    if (!p->arena)
        die("%s", e.text);
    p->product = product_new(opt->common.cpu, all_threads(p));
    plan_streams(p);
    plan_sets(p);
    plan_latencies(p);
    plan_arithmetic(p);
    if (p->disk)
        plan_disk(p);
}

void probe_close(struct probe *p) {
    for (int i = 0; i < p->figures; i++) {
        limits_ring_free(p->figure[i].ring);
        free(p->figure[i].sample);
    }
    free(p->figure);
    product_free(p->product);
    limits_arena_free(p->arena);
    limits_disk_free(p->disk);
    par_free(p->readers);
    for (int t = 0; t < p->teams; t++) {
        limits_unpin(p->team[t], p->cpus);
        par_free(p->team[t]);
    }
    limits_cpus_free(p->cpus);
}

/* ---- running ------------------------------------------------------------------------------ */

static int is_disk(const struct figure *f) {
    return f->kind >= FIGURE_DISK_WRITE;
}

static double window(struct probe *p, struct figure *f) {
    struct err e;
    double v = -1;
    switch (f->kind) {
    case FIGURE_STREAM:
        return limits_stream(f->par, p->arena, f->which, f->bytes, p->window_s);
    case FIGURE_PEAK: return limits_flops(f->par, f->which, p->window_s);
    case FIGURE_PRODUCT: return product_rate(p->product, f->which, p->window_s);
    case FIGURE_BARRIER: return limits_barrier(f->par, p->window_s);
    case FIGURE_LATENCY: return limits_latency(f->ring, p->window_s);
    case FIGURE_DISK_WRITE: return limits_disk_write(p->disk, f->n);
    case FIGURE_DISK_READ: v = limits_disk_read(p->disk, f->par, DISK_WINDOW_S, &e); break;
    case FIGURE_DISK_LATENCY: v = limits_disk_latency(p->disk, &e); break;
    }
    if (v < 0)
        die("%s", e.text);
    return v;
}

static void take(struct probe *p, struct figure *f) {
    double v = window(p, f);
    f->sample[f->n++] = v;
}

/* Beside busy neighbours a window takes longer than it counts. */
static int is_late(const struct probe *p, int64_t start_ns) {
    return (double)(clock_ns() - start_ns) * 1e-9 > LATE * p->figures * p->opt->seconds;
}

static void run_rounds(struct probe *p, struct progress *bar) {
    int64_t start = clock_ns();
    for (int round = 0; round < p->windows; round++) {
        if (round >= LEAST_ROUNDS && is_late(p, start))
            return;
        for (int i = 0; i < p->figures; i++) {
            struct figure *f = &p->figure[i];
            if (!is_disk(f))
                take(p, f);
            progress_update(bar, (int64_t)round * p->figures + i,
                            (int64_t)p->windows * p->figures);
        }
    }
}

static void run_disk(struct probe *p) {
    int reads = (int)fmax(DISK_READS, p->opt->seconds / DISK_WINDOW_S);
    for (int i = 0; i < p->figures; i++) {
        struct figure *f = &p->figure[i];
        int n = f->kind == FIGURE_DISK_WRITE ? limits_disk_writes(p->disk)
              : f->kind == FIGURE_DISK_READ ? reads
              : f->kind == FIGURE_DISK_LATENCY ? DISK_LATENCIES : 0;
        while (f->n < n)
            take(p, f);
    }
}

/* What others did is what the processors did beside this process. */
static void note_load(struct probe *p, struct limits_load a, struct limits_load b) {
    double all = (b.wall_s - a.wall_s) * fmax(1, (double)sysconf(_SC_NPROCESSORS_ONLN));
    p->others = fmax(0, (b.busy_s - a.busy_s) - (b.own_s - a.own_s)) / all;
    p->stolen = (b.stolen_s - a.stolen_s) / all;
}

void probe_run(struct probe *p) {
    struct progress bar;
    progress_start(&bar, "measuring", PROGRESS_COUNT, p->opt->common.quiet);
    struct limits_load before = limits_load_now();
    run_rounds(p, &bar);
    note_load(p, before, limits_load_now());
    run_disk(p);
    progress_end(&bar);
}

/* ---- what a figure says ------------------------------------------------------------------- */

int figure_is_time(const struct figure *f) {
    return f->kind == FIGURE_BARRIER || f->kind == FIGURE_LATENCY || f->kind == FIGURE_DISK_LATENCY;
}

double figure_best(const struct figure *f) {
    double best = f->sample[0];
    for (int i = 1; i < f->n; i++)
        best = figure_is_time(f) ? fmin(best, f->sample[i]) : fmax(best, f->sample[i]);
    return best;
}

double figure_median(const struct figure *f) {
    return order_median(f->sample, (size_t)f->n);
}

double figure_spread(const struct figure *f) {
    double share = figure_median(f) / figure_best(f);
    return 1 - (figure_is_time(f) ? 1 / share : share);
}

int figure_threads(const struct figure *f) {
    return f->par ? par_threads(f->par) : 1;
}

const struct figure *probe_find(const struct probe *p, enum figure_kind kind, int which,
                                const struct par *par, const char *level) {
    const struct figure *found = NULL;
    for (int i = 0; i < p->figures; i++) {
        const struct figure *f = &p->figure[i];
        if (f->kind != kind || f->which != which || (par && f->par != par) ||
            (level && (!f->level || strcmp(f->level, level))))
            continue;
        if (!found || (figure_best(f) > figure_best(found)) != figure_is_time(f))
            found = f;
    }
    return found;
}
