/* cache_replay_rows.c - what llm-cache replay prints and draws
 *
 * A row is told once, as a list of named cells; told for the first job it also declares the
 * columns. Which there are depends on the command line and the trace, not on the job.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "cmd/cache_replay.h"
#include "cmd/plot.h"

/* ---- rows ------------------------------------------------------------------------------- */

struct report {
    const struct replay_command *o;
    const struct blocks *b;
    const struct replay_list *jobs;
    int has_ttl;                /* some job has a time to live */
    struct fields fields;
    struct field field[FIELDS_MOST];
    struct value value[FIELDS_MOST];
    int cells;                  /* of the row being told */
    /* what the row is of */
    int at;                     /* job */
    int part;
    const struct replay_result *r;
    const struct replay_tally *tally;
};

enum { ALWAYS, WIDE };          /* WIDE: in pipes, and on a terminal with -v */

static void cell(struct report *p, const char *name, int decimals, int wide, double v) {
    p->field[p->cells] = (struct field){name, decimals, wide};
    p->value[p->cells++] = (struct value){.number = v};
}

static void count_cell(struct report *p, const char *name, int wide, int64_t v) {
    cell(p, name, FIELD_WHOLE, wide, (double)v);
}

static void text_cell(struct report *p, const char *name, const char *text) {
    p->field[p->cells] = (struct field){name, FIELD_TEXT, ALWAYS};
    p->value[p->cells++] = (struct value){.text = text};
}

static double share(int64_t a, int64_t b) {
    return cache_ratio((double)a, (double)b);
}

/* Lives are in milliseconds, or in requests where the trace has no times. */
static double life(const struct report *p, double x) {
    return p->b->time_ns ? x / 1000 : x;
}

static void tell_cache(struct report *p) {
    const struct sim_setup *s = &p->jobs->job[p->at].setup;
    text_cell(p, "policy", p->jobs->label[p->at]);
    cell(p, "size_blocks", FIELD_WHOLE, ALWAYS,
         s->capacity == INT64_MAX ? NAN : (double)s->capacity);
    if (p->has_ttl)
        cell(p, "ttl_s", 3, ALWAYS, s->ttl_ns ? (double)s->ttl_ns / 1e9 : NAN);
}

static void tell_part(struct report *p) {
    const struct sim_counts *c = &p->r->counts;
    double window = (double)p->o->window_ns / 1e9;
    int64_t from = 0, to = 0;
    if (p->o->by == REPLAY_POSITION || p->o->by == REPLAY_LIFETIME)
        replay_bucket(p->part, &from, &to);
    switch (p->o->by) {
    case REPLAY_SESSION:
        text_cell(p, "session",
                  p->part < (int)p->b->sessions ? p->b->session_name[p->part] : NULL);
        break;
    case REPLAY_TIME:
        cell(p, "from_s", window < 1 ? 3 : 0, ALWAYS, p->part * window);
        cell(p, "to_s", window < 1 ? 3 : 0, ALWAYS, (p->part + 1) * window);
        break;
    case REPLAY_POSITION:
        count_cell(p, "first_position", ALWAYS, from);
        count_cell(p, "last_position", ALWAYS, to - 1);
        break;
    case REPLAY_LIFETIME:
        cell(p, p->b->time_ns ? "from_s" : "from_requests", 3, ALWAYS, life(p, (double)from));
        cell(p, p->b->time_ns ? "to_s" : "to_requests", 3, ALWAYS, life(p, (double)to));
        count_cell(p, "evicted_blocks", ALWAYS, replay_lives(c, p->part));
        cell(p, "evicted_share", 4, ALWAYS, share(replay_lives(c, p->part), c->evicted));
        break;
    default:
        break;
    }
}

static void tell_hits(struct report *p) {
    const struct replay_tally *t = p->tally;
    count_cell(p, "requests", ALWAYS, t->requests);
    count_cell(p, "accesses", ALWAYS, t->accesses);
    count_cell(p, "hit_blocks", ALWAYS, t->hit_blocks);
    cell(p, "block_hit_ratio", 4, ALWAYS, share(t->hit_blocks, t->accesses));
    if (p->o->by == REPLAY_POSITION)
        return;                 /* a position has blocks, not tokens */
    cell(p, "token_hit_ratio", 4, ALWAYS, share(t->hit_tokens, t->input_tokens));
    count_cell(p, "flat_hit_blocks", WIDE, t->held_blocks);
    cell(p, "flat_hit_ratio", 4, WIDE, share(t->held_blocks, t->accesses));
    if (p->o->by == REPLAY_ALL)
        cell(p, "belady_pct", 1, ALWAYS, 100 * share(t->held_blocks, p->r->belady_blocks));
    count_cell(p, "input_tokens", WIDE, t->input_tokens);
    count_cell(p, "hit_tokens", WIDE, t->hit_tokens);
}

static void tell_blocks(struct report *p) {
    const struct sim_counts *c = &p->r->counts;
    int timed = p->b->time_ns != NULL;
    count_cell(p, "inserted_blocks", WIDE, c->inserted);
    count_cell(p, "evicted_blocks", ALWAYS, c->evicted);
    count_cell(p, "end_blocks", WIDE, p->r->blocks_at_end);
    count_cell(p, "orphaned_blocks", ALWAYS, p->r->orphans_at_end);
    cell(p, timed ? "lifetime_p50_s" : "lifetime_p50_requests", 1, WIDE,
         life(p, replay_life_quantile(c, 0.5)));
    cell(p, timed ? "lifetime_p90_s" : "lifetime_p90_requests", 1, WIDE,
         life(p, replay_life_quantile(c, 0.9)));
}

static void tell_work(struct report *p) {
    const struct replay_tally *t = p->tally;
    double token_bytes = p->o->model.token_bytes;
    cell(p, "prefill_flops", FIELD_WHOLE, WIDE, t->flops);
    cell(p, "saved_flops", FIELD_WHOLE, WIDE, t->saved_flops);
    cell(p, "saved_flops_ratio", 4, ALWAYS, cache_ratio(t->saved_flops, t->flops));
    cell(p, "read_bytes", FIELD_WHOLE, WIDE, (double)t->hit_tokens * token_bytes);
    if (p->o->by == REPLAY_ALL)
        cell(p, "written_bytes", FIELD_WHOLE, WIDE,
             (double)(p->r->counts.inserted * p->b->block_tokens) * token_bytes);
}

static void tell_row(struct report *p) {
    enum replay_by by = p->o->by;
    p->cells = 0;
    tell_cache(p);
    tell_part(p);
    if (by != REPLAY_LIFETIME)
        tell_hits(p);
    if (by == REPLAY_ALL)
        tell_blocks(p);
    if (p->o->model.shape && by != REPLAY_LIFETIME && by != REPLAY_POSITION)
        tell_work(p);
}

static void report_part(struct report *p, int part) {
    int64_t any = 1;
    p->part = part;
    p->tally = p->r->parts ? &p->r->part[part] : &p->r->all;
    if (p->o->by == REPLAY_LIFETIME)
        any = replay_lives(&p->r->counts, part);
    else if (p->r->parts)
        any = p->tally->requests;
    if (!any)
        return;
    tell_row(p);
    fields_row(&p->fields, p->value);
}

void replay_report(const struct replay_command *o, const struct blocks *b,
                   const struct replay_list *jobs, const struct replay_result *res) {
    struct report p = {.o = o, .b = b, .jobs = jobs, .r = res, .tally = &res->all};
    for (int i = 0; i < jobs->n; i++)
        p.has_ttl |= jobs->job[i].setup.ttl_ns != 0;
    tell_row(&p);
    fields_open(&p.fields, p.field, p.cells, &o->common);
    for (p.at = 0; p.at < jobs->n; p.at++) {
        p.r = &res[p.at];
        int64_t parts = o->by == REPLAY_LIFETIME ? REPLAY_LIFE_PARTS : p.r->parts ? p.r->parts : 1;
        for (int64_t k = 0; k < parts; k++)
            report_part(&p, (int)k);
    }
    fields_close(&p.fields);
}

/* ---- picture ---------------------------------------------------------------------------- */

/* Blocks in the cache; seconds of life where the room is unlimited. */
static double across(const struct replay_job *j) {
    return j->setup.capacity == INT64_MAX ? (double)j->setup.ttl_ns / 1e9
                                          : (double)j->setup.capacity;
}

struct curve {
    double *x, *y;
    size_t n;
};

/* Adds a point where it belongs from left to right. */
static void add_point(struct curve *c, double x, double y) {
    size_t i = c->n++;
    for (; i > 0 && c->x[i - 1] > x; i--) {
        c->x[i] = c->x[i - 1];
        c->y[i] = c->y[i - 1];
    }
    c->x[i] = x;
    c->y[i] = y;
}

static char *curve_name(const struct replay_list *jobs, int i) {
    const struct sim_setup *s = &jobs->job[i].setup;
    if (!s->ttl_ns || s->capacity == INT64_MAX)
        return mem_strdup(jobs->label[i]);
    return mem_printf("%s %g s", jobs->label[i], (double)s->ttl_ns / 1e9);
}

void replay_draw(const struct replay_command *o, const struct replay_list *jobs,
                 const struct replay_result *res) {
    struct plot_series *s = mem_array((size_t)jobs->n, sizeof *s);
    struct curve *c = mem_array((size_t)jobs->n, sizeof *c);
    char **name = mem_array((size_t)jobs->n, sizeof *name);
    int n = 0;
    int lives = 0;
    for (int i = 0; i < jobs->n; i++) {
        char *own = curve_name(jobs, i);
        int k = 0;
        while (k < n && strcmp(name[k], own))
            k++;
        if (k == n) {
            c[n].x = mem_array((size_t)jobs->n, sizeof *c->x);
            c[n].y = mem_array((size_t)jobs->n, sizeof *c->y);
            name[n++] = mem_strdup(own);
        }
        add_point(&c[k], across(&jobs->job[i]),
                  cache_ratio((double)res[i].all.hit_blocks, (double)res[i].all.accesses));
        lives += jobs->job[i].setup.capacity == INT64_MAX;
        free(own);
    }
    for (int k = 0; k < n; k++)
        s[k] = (struct plot_series){name[k], c[k].x, c[k].y, c[k].n};
    plot_lines(o->plot, &(struct plot_labels){
        .title = "Prefix hits", .x = lives == jobs->n ? "time to live (s)" : "cache size (blocks)",
        .y = "block hit ratio", .log_x = 1}, s, n);
    for (int k = 0; k < n; k++) {
        free(name[k]);
        free(c[k].x);
        free(c[k].y);
    }
    free(name);
    free(c);
    free(s);
}
