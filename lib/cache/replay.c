/* replay.c - runs the jobs and counts, see replay.h
 *
 * Simulators say of each request only how many blocks hit; everything else follows from the trace
 * and is counted here, a chunk of requests at a time.
 */
#include "lib/cache/replay.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define CHUNK 4096              /* requests */
#define POSITIONS 33            /* buckets of positions in a request */

struct run {
    struct blocks *b;
    struct replay_job *jobs;
    int n;
    const struct replay_options *opt;
    struct replay_result *results;
    double *cumulative;         /* [longest + 1] FLOPs of a request's first k blocks; or NULL */
    float *cost;                /* [unique] FLOPs of a block at its depth; or NULL */
    int64_t parts;
    atomic_int next;            /* job */
    atomic_llong done;          /* requests, over all jobs */
    atomic_int cancelled;
    struct err *errs;           /* [n]; the text is empty where the job was done */
};

/* ---- parts ------------------------------------------------------------------------------ */

void replay_bucket(int i, int64_t *from, int64_t *to) {
    *from = i ? (int64_t)1 << (i - 1) : 0;
    *to = (int64_t)1 << i;
}

static int64_t count_parts(const struct blocks *b, const struct replay_options *opt) {
    switch (opt->by) {
    case REPLAY_SESSION:
        return (int64_t)b->sessions + 1;        /* the last: requests of no session */
    case REPLAY_TIME:
        return b->requests ? b->time_ns[b->requests - 1] / opt->window_ns + 1 : 0;
    case REPLAY_POSITION:
        return POSITIONS;
    default:
        return 0;
    }
}

static struct replay_tally *part_of(const struct run *u, struct replay_result *res, int64_t r) {
    const struct blocks *b = u->b;
    if (u->opt->by == REPLAY_TIME)
        return &res->part[b->time_ns[r] / u->opt->window_ns];
    if (u->opt->by == REPLAY_SESSION)
        return &res->part[b->session && b->session[r] != REQS_NO_SESSION ? b->session[r]
                                                                         : b->sessions];
    return NULL;
}

/* ---- counting --------------------------------------------------------------------------- */

/* FLOPs of the first `tokens` tokens of a request: whole blocks from the table, and the share of
 * the block in which they end. */
static double flops_of(const struct run *u, int64_t tokens) {
    int64_t size = u->b->block_tokens;
    int64_t blocks = tokens / size;
    if (blocks >= u->b->longest)
        return shape_prefill_flops(u->opt->shape, 0, tokens);
    return u->cumulative[blocks] + (u->cumulative[blocks + 1] - u->cumulative[blocks]) *
           (double)(tokens % size) / (double)size;
}

static struct replay_tally tally_request(const struct run *u, int64_t r, uint32_t hit,
                                         uint32_t held) {
    const struct blocks *b = u->b;
    int64_t tokens = (int64_t)hit * b->block_tokens;
    struct replay_tally t = {
        .requests = 1, .accesses = b->first[r + 1] - b->first[r], .hit_blocks = hit,
        .held_blocks = held, .input_tokens = b->input[r],
        .hit_tokens = tokens < b->input[r] ? tokens : b->input[r]};
    if (u->cumulative) {
        t.flops = flops_of(u, t.input_tokens);
        t.saved_flops = flops_of(u, t.hit_tokens);
    }
    return t;
}

static void add_tally(struct replay_tally *sum, const struct replay_tally *t) {
    sum->requests += t->requests;
    sum->accesses += t->accesses;
    sum->hit_blocks += t->hit_blocks;
    sum->held_blocks += t->held_blocks;
    sum->input_tokens += t->input_tokens;
    sum->hit_tokens += t->hit_tokens;
    sum->flops += t->flops;
    sum->saved_flops += t->saved_flops;
}

/* Accesses and hits of a request by the buckets its positions fall into. */
static void add_positions(struct replay_result *res, int64_t accesses, int64_t hit) {
    for (int i = 0; i < POSITIONS; i++) {
        int64_t from, to;
        replay_bucket(i, &from, &to);
        if (from >= accesses)
            break;
        res->part[i].requests++;
        res->part[i].accesses += (accesses < to ? accesses : to) - from;
        res->part[i].hit_blocks += hit < from ? 0 : (hit < to ? hit : to) - from;
    }
}

static void count(const struct run *u, struct replay_result *res, int64_t from, int64_t to,
                  const uint32_t *hit, const uint32_t *held) {
    for (int64_t r = from; r < to; r++) {
        struct replay_tally t = tally_request(u, r, hit[r - from], held[r - from]);
        struct replay_tally *part = part_of(u, res, r);
        add_tally(&res->all, &t);
        if (part)
            add_tally(part, &t);
        if (u->opt->by == REPLAY_POSITION)
            add_positions(res, t.accesses, t.hit_blocks);
    }
}

static void subtract_counts(struct sim_counts *c, const struct sim_counts *before) {
    c->inserted -= before->inserted;
    c->evicted -= before->evicted;
    c->refused -= before->refused;
    for (int i = 0; i < SIM_LIVES; i++)
        c->life[i] -= before->life[i];
}

/* A block's parent has a lower number, so one pass in order knows whether it can be reached. */
static void count_orphans(const struct run *u, const struct sim_ops *ops, const void *sim,
                          struct replay_result *res) {
    const struct blocks *b = u->b;
    unsigned char *in = mem_array(b->unique, 1);        /* then: within reach */
    ops->mark(sim, in);
    for (uint32_t id = 0; id < b->unique; id++) {
        if (!in[id])
            continue;
        in[id] = b->parent[id] == BLOCKS_NONE || in[b->parent[id]];
        res->blocks_at_end++;
        res->orphans_at_end += !in[id];
    }
    free(in);
}

/* ---- running ---------------------------------------------------------------------------- */

static void report(struct run *u, int ith, int64_t requests) {
    int64_t done = atomic_fetch_add(&u->done, requests) + requests;
    if (ith == 0 && u->opt->progress &&
        u->opt->progress(u->opt->arg, done, u->b->requests * u->n))
        atomic_store(&u->cancelled, 1);
}

static void run_job(struct run *u, int k, int ith) {
    const struct sim_ops *ops = u->jobs[k].ops;
    struct replay_result *res = &u->results[k];
    struct sim_counts before = {0};
    uint32_t hit[CHUNK], held[CHUNK];
    int64_t warmup = u->opt->warmup < u->b->requests ? u->opt->warmup : u->b->requests;
    void *sim = ops->create(&u->jobs[k].setup, &u->errs[k]);
    if (!sim)
        return;
    if (u->errs[k].text[0]) {           /* a parameter that is no number */
        ops->free(sim);
        return;
    }
    res->parts = u->parts;
    res->part = mem_array((size_t)u->parts, sizeof *res->part);
    for (int64_t from = 0, to; from < u->b->requests && !u->cancelled; from = to) {
        int64_t end = from < warmup ? warmup : u->b->requests;
        to = end - from < CHUNK ? end : from + CHUNK;
        ops->run(sim, from, to, hit, held);
        if (from >= warmup)
            count(u, res, from, to, hit, held);
        if (to == warmup)
            before = *ops->counts(sim);
        report(u, ith, to - from);
    }
    res->counts = *ops->counts(sim);
    subtract_counts(&res->counts, &before);
    count_orphans(u, ops, sim, res);
    ops->free(sim);
}

/* From the last job on: those of MIN take longest, and what is short fills the gaps at the end. */
static void run_jobs(void *arg, int ith, int nth) {
    struct run *u = arg;
    int k;
    (void)nth;
    while (!u->cancelled && (k = u->n - 1 - atomic_fetch_add(&u->next, 1)) >= 0)
        run_job(u, k, ith);
}

/* ---- all -------------------------------------------------------------------------------- */

static void find_flops(struct run *u) {
    const struct blocks *b = u->b;
    int64_t size = b->block_tokens;
    if (!u->opt->shape)
        return;
    u->cumulative = mem_array((size_t)b->longest + 1, sizeof *u->cumulative);
    for (int64_t k = 0; k < b->longest; k++)
        u->cumulative[k + 1] = u->cumulative[k] +
                               shape_prefill_flops(u->opt->shape, k * size, (k + 1) * size);
    u->cost = mem_array(b->unique, sizeof *u->cost);
    for (uint32_t id = 0; id < b->unique; id++)
        u->cost[id] = (float)(u->cumulative[b->depth[id] + 1] - u->cumulative[b->depth[id]]);
}

/* Room beyond the unique blocks makes no difference to MIN. */
static int64_t bound_capacity(const struct blocks *b, int64_t capacity) {
    return capacity < b->unique ? capacity : b->unique ? b->unique : 1;
}

/* Behind the jobs asked for: MIN at each of their capacities, once. Returns how many in all. */
static int add_bounds(struct run *u, struct replay_job *all) {
    int n = u->n;
    for (int i = 0; i < u->n; i++) {
        int64_t capacity = bound_capacity(u->b, all[i].setup.capacity);
        int k = u->n;
        while (k < n && all[k].setup.capacity != capacity)
            k++;
        if (k == n)
            all[n++] = (struct replay_job){sim_find(SIM_PLAIN, "belady", 6),
                                           {.capacity = capacity}};
    }
    return n;
}

static void take_bounds(struct run *u, int asked) {
    for (int i = 0; i < asked; i++) {
        int64_t capacity = bound_capacity(u->b, u->jobs[i].setup.capacity);
        for (int k = asked; k < u->n; k++)
            if (u->jobs[k].setup.capacity == capacity)
                u->results[i].belady_blocks = u->results[k].all.held_blocks;
    }
}

static int first_error(const struct run *u, struct err *err) {
    for (int i = 0; i < u->n; i++)
        if (u->errs[i].text[0])
            return err_set(err, "%s: %s", u->jobs[i].ops->name, u->errs[i].text);
    return u->cancelled ? err_set(err, "cancelled") : 0;
}

struct replay_result *replay_run(struct blocks *b, struct replay_job *jobs, int n,
                                 const struct replay_options *opt, struct err *err) {
    struct replay_job *all = mem_array(2 * (size_t)n, sizeof *all);
    struct run u = {.b = b, .jobs = all, .n = n, .opt = opt, .parts = count_parts(b, opt)};
    memcpy(all, jobs, (size_t)n * sizeof *all);
    blocks_find_next(b);
    find_flops(&u);
    u.n = add_bounds(&u, all);
    for (int i = 0; i < u.n; i++) {
        all[i].setup.blocks = b;
        all[i].setup.cost = u.cost;
    }
    u.results = mem_array((size_t)u.n, sizeof *u.results);
    u.errs = mem_array((size_t)u.n, sizeof *u.errs);
    par_run(opt->par, run_jobs, &u);
    take_bounds(&u, n);
    int rc = first_error(&u, err);
    for (int i = rc ? 0 : n; i < u.n; i++)
        free(u.results[i].part);
    free(all);
    free(u.errs);
    free(u.cumulative);
    free(u.cost);
    if (rc) {
        free(u.results);
        return NULL;
    }
    return u.results;
}

void replay_free(struct replay_result *results, int n) {
    for (int i = 0; results && i < n; i++)
        free(results[i].part);
    free(results);
}

/* The lives in bucket i are [life_from(i), life_from(i + 1)). */
static double life_from(int i) {
    if (i < SIM_LIFE_STEPS)
        return i;
    return ldexp(SIM_LIFE_STEPS + i % SIM_LIFE_STEPS, i / SIM_LIFE_STEPS - 1);
}

int64_t replay_lives(const struct sim_counts *c, int part) {
    int64_t from, to;
    int64_t sum = 0;
    replay_bucket(part, &from, &to);
    for (int i = 0; i < SIM_LIVES; i++)
        if (life_from(i) >= (double)from && life_from(i) < (double)to)
            sum += c->life[i];
    return sum;
}

double replay_life_quantile(const struct sim_counts *c, double q) {
    double want = q * (double)c->evicted;
    double seen = 0;
    int i = 0;
    if (!c->evicted)
        return NAN;
    while (i < SIM_LIVES - 1 && (!c->life[i] || seen + (double)c->life[i] < want))
        seen += (double)c->life[i++];
    return life_from(i) + (life_from(i + 1) - life_from(i)) * (want - seen) / (double)c->life[i];
}
