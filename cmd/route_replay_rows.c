/* route_replay_rows.c - what llm-route replay says: words about budgets, rows, a picture */
#include "cmd/route_replay.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/plot.h"

/* ---- words -------------------------------------------------------------------------------- */

static double dense_bytes(const struct routed_model *m) {
    double bytes = 0;
    for (int l = 0; l < m->layers; l++)
        bytes += m->dense_bytes[l];
    return bytes;
}

/* Least recently used is what the next layers need first: a cache that holds less than one pass
 * uses evicts each expert shortly before it is looked up again. */
static void warn_cliff(const struct replay_jobs *j, const struct offload *o) {
    int64_t cycle = o->pass_bytes > o->cycle_bytes ? o->pass_bytes : o->cycle_bytes;
    double least = INFINITY;
    int below = 0;
    int global = 0;
    for (int i = 0; i < j->budgets; i++) {
        below += j->budget[i] < (double)cycle;
        least = fmin(least, j->budget[i]);
    }
    for (int i = 0; i < j->policies; i++)
        global |= !j->policy[i].per_layer;
    if (!below || !global)
        return;
    char *what = cycle > o->cycle_bytes
        ? mem_printf("pass's cycle, %lld bytes (the median)", (long long)cycle)
        : mem_printf("token's cycle, %lld bytes (%d experts of each of %d layers)",
                     (long long)cycle, o->k, o->layers);
    warn("%d of %d budgets, from %.0f bytes, are below one %s: there lru evicts every expert "
         "before its next use and hits nothing", below, j->budgets, least, what);
    free(what);
}

/* A share that does not hold a layer's k experts is no limit: they are kept until its next pass. */
static void warn_shares(const struct replay_jobs *j, const struct offload *o) {
    int64_t bytes = 0;
    double share = INFINITY;
    for (int l = 0; l < o->layers; l++)
        if (o->bytes[l] > bytes)
            bytes = o->bytes[l];
    for (int i = 0; i < j->budgets; i++)
        share = fmin(share, j->budget[i] / o->layers);
    for (int i = 0; i < j->policies; i++) {
        if (!j->policy[i].per_layer || share >= (double)(bytes * o->k))
            continue;
        warn("%s: a layer's share, from %.0f bytes, is less than its %d experts of a token: they "
             "stay until its next pass all the same (peak_bytes)", j->policy[i].name, share, o->k);
        return;
    }
}

static void warn_room(const struct replay_report *p, double weights) {
    double room = p->device->memory[0].capacity_bytes;
    double most = 0;
    for (int i = 0; i < p->jobs->budgets; i++)
        most = fmax(most, fmin(p->jobs->budget[i], (double)p->trace->all_bytes));
    if (most + weights > room)
        warn("a budget of %.0f bytes beside %.0f of other weights is more than the %.0f of the "
             "device %s", most, weights, room, p->device->name);
}

void replay_say(const struct replay_report *p) {
    double dense = dense_bytes(&p->trace->set->model);
    warn_cliff(p->jobs, p->trace);
    warn_shares(p->jobs, p->trace);
    warn_room(p, dense + p->rest_bytes);
    if (!(dense > 0))
        warn("%s does not say what weights there are beside the experts: times leave them out "
             "(--shape)", input_name(p->path));
    if (!p->jobs->result[0].decode_tokens)
        warn("%s: nothing decodes: no times, no decode_hit_ratio", input_name(p->path));
}

/* ---- rows --------------------------------------------------------------------------------- */

static struct field fields[] = {
    {"policy", FIELD_TEXT, 0}, {"budget_bytes", FIELD_WHOLE, 0}, {"hit_ratio", 4, 0},
    {"decode_hit_ratio", 4, 0}, {"bytes_read", FIELD_COUNT, 0}, {"ms_per_token", 3, 0},
    {"prefetch", FIELD_TEXT, 1}, {"hidden_ratio", 4, 1}, {"tps", 2, 1},
    {"bytes_read_per_token", FIELD_WHOLE, 1}, {"lookups", FIELD_COUNT, 1},
    {"hits", FIELD_COUNT, 1}, {"decode_lookups", FIELD_COUNT, 1}, {"decode_hits", FIELD_COUNT, 1},
    {"decode_tokens", FIELD_COUNT, 1}, {"loads", FIELD_COUNT, 1}, {"evictions", FIELD_COUNT, 1},
    {"prefetched_bytes", FIELD_COUNT, 1}, {"useful_prefetch_bytes", FIELD_COUNT, 1},
    {"wasted_prefetch_bytes", FIELD_COUNT, 1}, {"load_ms_per_token", 3, 1},
    {"stall_ms_per_token", 3, 1}, {"peak_bytes", FIELD_COUNT, 1}, {"device", FIELD_TEXT, 1},
    {"source", FIELD_TEXT, 1}};
enum { FIELDS = sizeof fields / sizeof *fields, FIRST_OF_PREFETCH = 6, LAST_OF_PREFETCH = 7 };

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : NAN;
}

static double ms_per_token(const struct offload_result *r) {
    return ratio(1e3 * r->decode_s, (double)r->decode_tokens);
}

/* Waiting for what the pass before has asked for may exceed the pass's own loads a little. */
static double hidden_ratio(const struct offload_result *r) {
    double waited = ratio(r->decode_stall_s, r->decode_load_s);
    return isnan(waited) ? NAN : fmax(0, 1 - waited);
}

static double budget_bytes(const struct offload *o, double budget) {
    return isinf(budget) ? (double)o->all_bytes : budget;
}

static void put_row(struct fields *f, const struct replay_report *report, int i) {
    const struct replay_jobs *j = report->jobs;
    const struct offload_result *r = &j->result[i];
    const struct replay_prefetch *p = &j->prefetch[i / j->budgets % j->prefetches];
    double tokens = (double)r->decode_tokens;
    fields_row(f, (struct value[FIELDS]){
        {.text = j->policy[i / j->budgets / j->prefetches].name},
        {.number = budget_bytes(report->trace, j->job[i].budget)},
        {.number = ratio((double)r->hits, (double)r->lookups)},
        {.number = ratio((double)r->decode_hits, (double)r->decode_lookups)},
        {.count = r->bytes_read},
        {.number = ms_per_token(r)},
        {.text = p->name},
        {.number = p->none ? NAN : hidden_ratio(r)},
        {.number = ratio(tokens, r->decode_s)},
        {.number = round(ratio((double)r->decode_bytes_read, tokens))},
        {.count = r->lookups},
        {.count = r->hits},
        {.count = r->decode_lookups},
        {.count = r->decode_hits},
        {.count = r->decode_tokens},
        {.count = r->loads},
        {.count = r->evictions},
        {.count = r->prefetched_bytes},
        {.count = r->useful_bytes},
        {.count = r->prefetched_bytes - r->useful_bytes},
        {.number = ratio(1e3 * r->decode_load_s, tokens)},
        {.number = ratio(1e3 * r->decode_stall_s, tokens)},
        {.count = r->peak_bytes},
        {.text = report->device->name},
        {.text = report->source->name}});
}

void replay_rows(const struct replay_report *p, const struct common *common) {
    struct fields f;
    int plain = p->jobs->prefetches == 1 && p->jobs->prefetch[0].none;
    for (int i = FIRST_OF_PREFETCH; i <= LAST_OF_PREFETCH; i++)
        fields[i].wide = plain;
    fields_open(&f, fields, FIELDS, common);
    for (int i = 0; i < p->jobs->n; i++)
        put_row(&f, p, i);
    fields_close(&f);
}

/* ---- picture ------------------------------------------------------------------------------ */

const char *const replay_plot_columns[] = {"decode_hit_ratio", "hit_ratio", "bytes_read",
                                           "ms_per_token", NULL};

static double plotted(const struct offload_result *r, int column) {
    switch (column) {
    case 0: return ratio((double)r->decode_hits, (double)r->decode_lookups);
    case 1: return ratio((double)r->hits, (double)r->lookups);
    case 2: return (double)r->bytes_read / 1e9;
    default: return ms_per_token(r);
    }
}

struct point {
    double x, y;
};

static int by_x(const void *a, const void *b) {
    double x = ((const struct point *)a)->x;
    double y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

struct curve {
    char *name;
    double *x, *y;              /* [budgets] */
};

static void fill_curve(struct curve *c, const struct replay_jobs *j, int i,
                       const struct offload *of, int column) {
    size_t n = (size_t)j->budgets;
    struct point *p = mem_array(n, sizeof *p);
    *c = (struct curve){.x = mem_array(n, sizeof *c->x), .y = mem_array(n, sizeof *c->y)};
    for (int b = 0; b < j->budgets; b++)
        p[b] = (struct point){budget_bytes(of, j->budget[b]) / 1e9,
                              plotted(&j->result[i * j->budgets + b], column)};
    qsort(p, n, sizeof *p, by_x);
    for (size_t b = 0; b < n; b++) {
        c->x[b] = p[b].x;
        c->y[b] = p[b].y;
    }
    free(p);
    const char *policy = j->policy[i / j->prefetches].name;
    c->name = j->prefetches == 1
        ? mem_strdup(policy) : mem_printf("%s, %s", policy, j->prefetch[i % j->prefetches].name);
}

void replay_draw(const struct replay_report *p, const char *file, int column) {
    const struct replay_jobs *j = p->jobs;
    static const char *const axis[] = {"hit ratio while decoding", "hit ratio", "GB read",
                                       "ms per token"};
    int n = j->policies * j->prefetches;
    if (!file)
        return;
    struct curve *c = mem_array((size_t)n, sizeof *c);
    struct plot_series *s = mem_array((size_t)n, sizeof *s);
    for (int i = 0; i < n; i++) {
        fill_curve(&c[i], j, i, p->trace, column);
        s[i] = (struct plot_series){c[i].name, c[i].x, c[i].y, (size_t)j->budgets};
    }
    plot_lines(file, &(struct plot_labels){.title = "Caches of experts", .x = "budget, GB",
                                              .y = axis[column]}, s, n);
    for (int i = 0; i < n; i++) {
        free(c[i].name);
        free(c[i].x);
        free(c[i].y);
    }
    free(s);
    free(c);
}
