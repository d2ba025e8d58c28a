/* offload_run.c - runs jobs over the batches: looks up, loads, evicts, counts, keeps the time */
#include "lib/route/offload_impl.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

struct clock {
    double now, link;           /* seconds: of the arithmetic, and until when the link is busy */
    double *ready;              /* [ids] when what was loaded ahead is there; NULL: no guesses */
    double load_s, stall_s;     /* of this pass */
    double begin;
};

struct run {
    struct offload_cache c;
    const struct offload_ops *ops;
    void *policy;
    struct clock clock;
    struct offload_result *r;
    struct offload_result ignored;      /* of the warm-up */
    struct offload_result *counted;
    int64_t all_used;
    int decode;                         /* the pass that runs */
};

/* ---- cache ------------------------------------------------------------------------------ */

static void add_bytes(struct run *x, uint32_t id, int64_t bytes) {
    x->c.used[offload_part(&x->c, id)] += bytes;
    x->all_used += bytes;
    if (x->all_used > x->r->peak_bytes)
        x->r->peak_bytes = x->all_used;
}

static void load(struct run *x, uint32_t id, int64_t bytes, int used) {
    x->c.in[id] = used ? OFFLOAD_USED : OFFLOAD_AHEAD;
    x->ops->insert(x->policy, id, used);
    add_bytes(x, id, bytes);
    x->r->loads++;
    x->r->bytes_read += bytes;
    x->r->decode_bytes_read += x->decode ? bytes : 0;
    x->r->prefetched_bytes += used ? 0 : bytes;
}

/* Seconds until the link has carried so much that is asked for now. */
static double carry(struct run *x, int64_t bytes, int loads) {
    const struct offload_options *opt = x->c.opt;
    double s = (double)bytes / opt->link_bytes_per_s + loads * opt->link_latency_s;
    x->clock.link = fmax(x->clock.link, x->clock.now) + s;
    x->clock.load_s += s;
    return x->clock.link;
}

static void evict(struct run *x, int part) {
    struct offload_cache *c = &x->c;
    while (c->used[part] > c->budget) {
        uint32_t id = x->ops->victim(x->policy, part);
        if (id == OFFLOAD_NONE)
            break;
        c->in[id] = OFFLOAD_OUT;
        add_bytes(x, id, -offload_bytes(c, id));
        x->r->evictions++;
    }
}

/* ---- a batch ---------------------------------------------------------------------------- */

/* Loads what is guessed of a later batch. */
static void look_ahead(struct run *x, uint32_t batch) {
    const struct offload_guess *g = x->c.job->guess;
    const struct offload *o = x->c.o;
    if (!g || batch + (int64_t)g->ahead >= o->batches)
        return;
    batch += (uint32_t)g->ahead;
    int base = o->layer[batch] * o->experts;
    int64_t bytes = o->bytes[o->layer[batch]];
    for (int64_t i = g->first[batch]; i < g->first[batch + 1]; i++) {
        uint32_t id = (uint32_t)(base + g->expert[i]);
        if (x->c.in[id] == OFFLOAD_OUT) {
            x->c.keep[id] = batch;
            load(x, id, bytes, 0);
            if (x->clock.ready)
                x->clock.ready[id] = carry(x, bytes, 1);
        } else if (x->c.keep[id] < batch) {
            x->c.keep[id] = batch;
        }
    }
}

struct found {
    int64_t hits, late, misses; /* late: loaded ahead, but still on its way */
    double ready;               /* when the last of them is there */
};

static void look_up(struct run *x, uint32_t id, int64_t bytes, struct found *f) {
    struct offload_cache *c = &x->c;
    if (c->in[id] == OFFLOAD_OUT) {
        c->keep[id] = c->batch;
        load(x, id, bytes, 1);
        f->misses++;
        return;
    }
    if (c->in[id] == OFFLOAD_AHEAD) {
        c->in[id] = OFFLOAD_USED;
        x->r->useful_bytes += bytes;
        if (x->clock.ready && x->clock.ready[id] > x->clock.now) {
            f->ready = fmax(f->ready, x->clock.ready[id]);
            f->late++;
        }
    }
    if (c->keep[id] < c->batch)
        c->keep[id] = c->batch;
    x->ops->hit(x->policy, id);
    f->hits++;
}

static void compute(struct run *x, int64_t bytes, const struct found *f) {
    const struct offload_options *opt = x->c.opt;
    double each = (double)bytes / opt->compute_bytes_per_s;
    int64_t there = opt->overlap ? f->hits - f->late : 0;
    x->clock.now += (double)there * each;
    if (f->ready > x->clock.now) {
        x->clock.stall_s += f->ready - x->clock.now;
        x->clock.now = f->ready;
    }
    x->clock.now += (double)(f->hits + f->misses - there) * each;
}

static void run_batch(struct run *x, uint32_t b) {
    struct offload_cache *c = &x->c;
    const struct offload *o = c->o;
    const struct offload_options *opt = c->opt;
    int layer = o->layer[b];
    int64_t bytes = o->bytes[layer];
    struct found f = {0};
    c->batch = b;
    if (opt->dense_bytes && opt->compute_bytes_per_s > 0)
        x->clock.now += opt->dense_bytes[layer] / opt->compute_bytes_per_s;
    for (int64_t i = o->first[b]; i < o->first[b + 1]; i++) {
        c->next = o->next[i];
        look_up(x, (uint32_t)(layer * o->experts + o->expert[i]), bytes, &f);
    }
    x->r->lookups += f.hits + f.misses;
    x->r->hits += f.hits;
    if (x->decode) {
        x->r->decode_lookups += f.hits + f.misses;
        x->r->decode_hits += f.hits;
    }
    if (f.misses && opt->link_bytes_per_s > 0)
        f.ready = fmax(f.ready, carry(x, f.misses * bytes, (int)f.misses));
    look_ahead(x, b);
    if (opt->compute_bytes_per_s > 0)
        compute(x, bytes, &f);
    evict(x, c->parts == 1 ? 0 : layer);
    if (c->parts > 1 && c->job->guess && b + (int64_t)c->job->guess->ahead < o->batches)
        evict(x, o->layer[b + (uint32_t)c->job->guess->ahead]);
    if (x->ops->settle)
        x->ops->settle(x->policy);
}

/* ---- passes ----------------------------------------------------------------------------- */

static void begin_pass(struct run *x, uint32_t pass) {
    const struct offload_options *opt = x->c.opt;
    x->c.pass = pass;
    x->decode = x->c.o->decode[pass];
    x->r = pass < opt->warmup ? &x->ignored : x->counted;
    if (x->all_used > x->r->peak_bytes)
        x->r->peak_bytes = x->all_used;
    x->clock.begin = x->clock.now;
    x->clock.load_s = x->clock.stall_s = 0;
    if (opt->compute_bytes_per_s > 0)
        x->clock.now += opt->other_bytes / opt->compute_bytes_per_s;
}

static void end_pass(struct run *x, uint32_t pass) {
    if (!x->decode)
        return;
    x->r->decode_passes++;
    x->r->decode_tokens += x->c.o->tokens[pass];
    x->r->decode_s += x->clock.now - x->clock.begin;
    x->r->decode_load_s += x->clock.load_s;
    x->r->decode_stall_s += x->clock.stall_s;
}

static void open_run(struct run *x, const struct offload *o, const struct offload_job *job,
                     const struct offload_options *opt) {
    struct offload_cache *c = &x->c;
    double budget = fmin(job->budget, (double)o->all_bytes);
    c->o = o;
    c->job = job;
    c->opt = opt;
    c->ids = (uint32_t)(o->layers * o->experts);
    c->parts = job->per_layer ? o->layers : 1;
    c->part_ids = c->ids / (uint32_t)c->parts;
    c->budget = (int64_t)budget / c->parts;
    if (!(job->budget < (double)o->all_bytes))
        c->budget = o->all_bytes;
    c->param = job->param > 0 ? job->param : job->policy->standard;
    c->used = mem_array((size_t)c->parts, sizeof *c->used);
    c->in = mem_array(c->ids, sizeof *c->in);
    c->keep = mem_array(c->ids, sizeof *c->keep);
    if (job->guess && opt->link_bytes_per_s > 0)
        x->clock.ready = mem_array(c->ids, sizeof *x->clock.ready);
    x->ops = job->policy->ops;
    x->policy = x->ops->create(c, job->policy->variant);
}

static void close_run(struct run *x) {
    x->ops->destroy(x->policy);
    free(x->c.used);
    free(x->c.in);
    free(x->c.keep);
    free(x->clock.ready);
}

static void run_job(const struct offload *o, const struct offload_job *job,
                    struct offload_result *result, const struct offload_options *opt) {
    struct run x = {.counted = result};
    *result = (struct offload_result){0};
    x.r = result;
    open_run(&x, o, job, opt);
    for (int64_t b = 0; b < o->batches; b++) {
        uint32_t pass = o->pass[b];
        if (!b || pass != o->pass[b - 1])
            begin_pass(&x, pass);
        run_batch(&x, (uint32_t)b);
        if (b + 1 == o->batches || o->pass[b + 1] != pass)
            end_pass(&x, pass);
    }
    close_run(&x);
}

struct team {
    const struct offload *o;
    const struct offload_job *jobs;
    struct offload_result *results;
    const struct offload_options *opt;
    int n;
    atomic_int next;
};

static void take_jobs(void *arg, int ith, int nth) {
    struct team *t = arg;
    (void)ith;
    (void)nth;
    for (int i; (i = atomic_fetch_add(&t->next, 1)) < t->n;)
        run_job(t->o, t->jobs + i, t->results + i, t->opt);
}

void offload_run(const struct offload *o, const struct offload_job *jobs,
                 struct offload_result *results, int n, const struct offload_options *opt) {
    struct team t = {.o = o, .jobs = jobs, .results = results, .opt = opt, .n = n};
    if (opt->par)
        par_run(opt->par, take_jobs, &t);
    else
        take_jobs(&t, 0, 1);
}
