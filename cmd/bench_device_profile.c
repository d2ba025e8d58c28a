/* bench_device_profile.c - what was measured as a device profile: see bench_device.h, llm-device(5)
 *
 * The lists that every reader knows get the best of each figure; all figures stand behind them in
 * the object "measured". Shares to expect: a stream of reads reaches what was measured, so memory
 * and disk say 1. Of arithmetic the peak was measured, and a whole matrix product beside it: its
 * share of the peak is what a prefill may expect.
 */
#include "cmd/bench_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/base/energy.h"
#include "lib/base/par.h"
#include "lib/format/jsonw.h"
#include "lib/shape/device.h"

static double best_of(const struct figure *f, double otherwise) {
    return f ? figure_best(f) : otherwise;
}

/* ---- what every reader knows -------------------------------------------------------------- */

static void add_compute(const struct probe *p, struct device *d, int type) {
    const struct par *all = p->team[p->teams - 1];
    const struct figure *peak = probe_find(p, FIGURE_PEAK, type, all, NULL);
    const struct figure *product = probe_find(p, FIGURE_PRODUCT, type, all, NULL);
    if (!peak)
        return;
    struct device_compute *c = &d->compute[d->computes++];
    snprintf(c->type, sizeof c->type, "%s", limits_type_name(type));
    c->flops_per_s = figure_best(peak);
    c->achieved = fmin(1, best_of(product, INFINITY) / c->flops_per_s);
}

static void add_host(const struct probe *p, struct device *d) {
    struct device_memory *m = &d->memory[d->memories++];
    snprintf(m->name, sizeof m->name, "host");
    m->capacity_bytes = limits_memory_bytes();
    m->read_bytes_per_s = best_of(probe_find(p, FIGURE_STREAM, LIMITS_READ, NULL, "memory"), 0);
    m->write_bytes_per_s = best_of(probe_find(p, FIGURE_STREAM, LIMITS_WRITE, NULL, "memory"), 0);
    m->latency_s = best_of(probe_find(p, FIGURE_LATENCY, 0, NULL, "memory"), 0);
    m->achieved = 1;
}

/* The usual latency, not the best: a drive's best answer comes out of a cache of its own. */
static void add_disk(const struct probe *p, struct device *d) {
    const struct figure *latency = probe_find(p, FIGURE_DISK_LATENCY, 0, NULL, NULL);
    struct device_memory *m = &d->memory[d->memories++];
    snprintf(m->name, sizeof m->name, "disk");
    m->capacity_bytes = limits_disk_capacity(p->disk);
    m->read_bytes_per_s = best_of(probe_find(p, FIGURE_DISK_READ, 0, NULL, NULL), 0);
    m->write_bytes_per_s = best_of(probe_find(p, FIGURE_DISK_WRITE, 0, NULL, NULL), 0);
    m->latency_s = latency ? figure_median(latency) : 0;
    m->achieved = 1;
}

/* ---- what was measured -------------------------------------------------------------------- */

static const char *unit_of(const struct figure *f) {
    return figure_is_time(f) ? "s"
         : f->kind == FIGURE_PEAK || f->kind == FIGURE_PRODUCT ? "FLOP/s" : "B/s";
}

static void put_figure(struct buf *b, const struct figure *f) {
    jsonw_open(b, '{');
    jsonw_str(b, "name", f->name);
    jsonw_float_digits(b, "best", figure_best(f), 6);
    jsonw_float_digits(b, "median", figure_median(f), 6);
    jsonw_float_digits(b, "spread", figure_spread(f), 3);
    jsonw_str(b, "unit", unit_of(f));
    jsonw_int(b, "windows", f->n);
    jsonw_int(b, "threads", figure_threads(f));
    if (f->bytes)
        jsonw_int(b, "bytes", (int64_t)f->bytes);
    if (f->level)
        jsonw_str(b, "level", f->level);
    if (f->method)
        jsonw_str(b, "method", f->method);
    jsonw_close(b, '}');
}

static void put_caches(const struct probe *p, struct buf *b) {
    jsonw_open_key(b, "cache", '[');
    for (int i = 0; i < p->caches.n; i++) {
        char level[16];
        snprintf(level, sizeof level, "L%d", i + 1);
        const struct par *all = p->team[p->teams - 1];
        jsonw_open(b, '{');
        jsonw_str(b, "name", level);
        jsonw_int(b, "bytes", (int64_t)p->caches.bytes[i]);
        jsonw_int(b, "sharers", p->caches.sharers[i]);
        jsonw_int(b, "total_bytes", (int64_t)p->caches.total[i]);
        jsonw_float_digits(b, "read_bytes_per_s",
                           best_of(probe_find(p, FIGURE_STREAM, LIMITS_READ, all, level), NAN), 6);
        jsonw_float_digits(b, "latency_s",
                           best_of(probe_find(p, FIGURE_LATENCY, 0, NULL, level), NAN), 6);
        jsonw_close(b, '}');
    }
    jsonw_close(b, ']');
}

static void put_links(struct buf *b) {
    struct limits_link link[LINKS_MOST];
    int n = limits_links(NULL, link, LINKS_MOST);
    jsonw_open_key(b, "pcie", '[');
    for (int i = 0; i < n; i++) {
        jsonw_open(b, '{');
        jsonw_str(b, "address", link[i].address);
        jsonw_int(b, "lanes", link[i].lanes);
        jsonw_float(b, "transfers_per_s", link[i].transfers_per_s);
        jsonw_float_digits(b, "bytes_per_s", link[i].bytes_per_s, 6);
        jsonw_bool(b, "measured", 0);
        jsonw_close(b, '}');
    }
    jsonw_close(b, ']');
}

static void put_counters(struct buf *b) {
    struct energy *e = energy_open(NULL);
    jsonw_open_key(b, "energy_counters", '[');
    for (int i = 0; i < energy_domains(e); i++)
        jsonw_str(b, NULL, energy_domain(e, i));
    jsonw_close(b, ']');
    energy_close(e);
}

static void put_measured(const struct probe *p, struct buf *b, const char *args) {
    char text[256];
    struct utsname u;
    jsonw_open(b, '{');
    jsonw_str(b, "program", "llmutils " LLMUTILS_VERSION);
    jsonw_str(b, "args", args);
    jsonw_str(b, "time", time_now(text, sizeof text));
    jsonw_str(b, "processor", host_cpu(text, sizeof text));
    if (!uname(&u)) {
        jsonw_str(b, "host", u.nodename);
        jsonw_str(b, "kernel", u.release);
    }
    jsonw_int(b, "threads", par_threads(p->team[p->teams - 1]));
    jsonw_float(b, "seconds", p->opt->seconds);
    jsonw_int(b, "arena_bytes", (int64_t)limits_arena_size(p->arena));
    jsonw_float_digits(b, "others", p->others, 3);
    jsonw_float_digits(b, "stolen", p->stolen, 3);
    const struct figure *barrier = probe_find(p, FIGURE_BARRIER, 0, NULL, NULL);
    if (barrier)
        jsonw_float_digits(b, "barrier_s", figure_best(barrier), 6);
    put_caches(p, b);
    put_links(b);
    put_counters(b);
    jsonw_open_key(b, "figures", '[');
    for (int i = 0; i < p->figures; i++)
        put_figure(b, &p->figure[i]);
    jsonw_close(b, ']');
    jsonw_close(b, '}');
}

/* ---- together ----------------------------------------------------------------------------- */

void profile_write(const struct probe *p, const char *path, const char *args) {
    struct err e;
    struct utsname u;
    char cpu[128];
    char now[40];
    struct device d = {0};
    const char *host = uname(&u) || !*u.nodename ? "here" : u.nodename;
    snprintf(d.name, sizeof d.name, "%.63s", p->opt->name ? p->opt->name : host);
    snprintf(d.date, sizeof d.date, "%.10s", time_now(now, sizeof now));
    snprintf(d.source, sizeof d.source, "measured by llm-bench device, llmutils %s, on %.100s",
             LLMUTILS_VERSION, host_cpu(cpu, sizeof cpu));
    for (int type = 0; type < LIMITS_TYPES; type++)
        add_compute(p, &d, type);
    add_host(p, &d);
    if (p->disk)
        add_disk(p, &d);
    struct buf measured = {0};
    put_measured(p, &measured, args);
    if (device_write_with(&d, "measured", measured.data, path, &e))
        die_err(&e);
    buf_free(&measured);
}
