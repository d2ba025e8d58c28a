/* cache_replay.c - llm-cache replay: every policy at every size
 *
 * The command line becomes a list of jobs (policies x sizes), lib/cache/replay runs them, and
 * here they become rows: one for each job, or with --by one for each of its parts.
 */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "cmd/progress.h"
#include "cmd/table.h"
#include "lib/base/num.h"
#include "lib/cache/replay.h"

enum {
    OPT_POLICY = OPT_VERB, OPT_SIZE, OPT_TTL, OPT_SEMANTICS, OPT_TAIL_FIRST, OPT_WARMUP, OPT_BY,
    OPT_WINDOW, OPT_PLOT, OPT_SEED
};

static const char *const usage[] = {
    "usage: llm-cache replay --policy LIST --size LIST [OPTION]... [TRACE]\n"
    "Replays a trace through every policy at every size; a row each.\n\n"
    "Caches\n"
    "      --policy LIST      policies, or all; parameters as in slru:protected=0.8\n"
    "      --size LIST        blocks (1000, 64Ki), share of the unique blocks (5%), tokens\n"
    "                         (2Mtok), bytes (64GiB, needs --shape), inf\n"
    "      --semantics NAME   plain, vllm or sglang (default plain)\n"
    "      --tail-first       lru touches a request's last block first: lru-tail\n"
    "      --ttl LIST         times to live for policy ttl (60s,5m,1h)\n"
    "      --seed N           of what policies choose at random (default 1)\n"
    "Report\n"
    "      --by WHAT          parts instead of the whole: session, time, position, lifetime\n"
    "      --window TIME      length of a part of --by time (default 5m)\n"
    "      --warmup N         leave a first part out: requests, share (10%) or time (5m)\n"
    "      --plot FILE        draw hit ratio against size, .svg or .png\n"
    "      --json             JSON Lines in place of a table\n"
    "  -v, --verbose          every column on a terminal too\n",
    CACHE_TRACE_USAGE,
    CACHE_MODEL_USAGE,
    "General\n"
    "  -t, --threads N        (default: one per core)\n"
    "  -q, --quiet            no progress, no warnings\n"
    "  -h, --help             -V, --version\n",
    NULL};

struct options {
    struct common common;
    struct cache_trace in;
    struct cache_model model;
    enum sim_semantics semantics;
    char *policies, *sizes, *ttls, *warmup;
    const char *plot;
    int tail_first;
    enum replay_by by;
    int64_t window_ns;
    uint64_t seed;
};

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, CACHE_TRACE_LONG, CACHE_MODEL_LONG,
        {"policy", required_argument, NULL, OPT_POLICY},
        {"size", required_argument, NULL, OPT_SIZE},
        {"ttl", required_argument, NULL, OPT_TTL},
        {"semantics", required_argument, NULL, OPT_SEMANTICS},
        {"tail-first", no_argument, NULL, OPT_TAIL_FIRST},
        {"warmup", required_argument, NULL, OPT_WARMUP},
        {"by", required_argument, NULL, OPT_BY},
        {"window", required_argument, NULL, OPT_WINDOW},
        {"plot", required_argument, NULL, OPT_PLOT},
        {"seed", required_argument, NULL, OPT_SEED},
        {NULL, 0, NULL, 0}};
    static const char *const by[] = {"all", "session", "time", "position", "lifetime", NULL};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || cache_trace_option(c, optarg, &o->in) ||
            cache_model_option(c, optarg, &o->model))
            continue;
        switch (c) {
        case OPT_POLICY: o->policies = optarg; break;
        case OPT_SIZE: o->sizes = optarg; break;
        case OPT_TTL: o->ttls = optarg; break;
        case OPT_SEMANTICS:
            o->semantics = (enum sim_semantics)arg_choice("--semantics", optarg,
                                                          sim_semantics_names());
            break;
        case OPT_TAIL_FIRST: o->tail_first = 1; break;
        case OPT_WARMUP: o->warmup = optarg; break;
        case OPT_BY: o->by = (enum replay_by)arg_choice("--by", optarg, by); break;
        case OPT_WINDOW: o->window_ns = arg_duration("--window", optarg); break;
        case OPT_PLOT: o->plot = optarg; break;
        case OPT_SEED: o->seed = (uint64_t)arg_int("--seed", optarg, 0, INT64_MAX); break;
        }
    }
    if (!o->policies)
        usage_die("no --policy: %s", "lru, for example, or all");
    if (o->plot)
        plot_check(o->plot);
    if (o->plot && o->by != REPLAY_ALL)
        usage_die("--plot draws the whole, not the parts of --by");
    cache_trace_operand(argc, argv, usage, &o->in);
    cache_model_ready(&o->model);
}

/* ---- jobs ------------------------------------------------------------------------------- */

struct job_list {
    struct replay_job *job;
    char **label;               /* what a row calls the policy, as given */
    int n;
};

static void add_job(struct job_list *l, const struct sim_ops *ops, const char *label,
                    struct sim_setup setup) {
    l->job = mem_grow(l->job, (size_t)l->n + 1, sizeof *l->job);
    l->label = mem_grow(l->label, (size_t)l->n + 1, sizeof *l->label);
    l->job[l->n] = (struct replay_job){ops, setup};
    l->label[l->n++] = mem_strdup(label);
}

struct axes {                   /* what a policy is combined with */
    int64_t *size, *ttl;
    int sizes, ttls;
};

static int is_ttl(const struct sim_ops *ops) {
    return !strcmp(ops->name, "ttl");
}

static void add_policy(struct job_list *l, const struct options *o, const struct axes *a,
                       const struct sim_ops *ops, const char *text) {
    const char *params = strchr(text, ':');
    struct sim_setup s = {.params = params ? params + 1 : NULL, .seed = o->seed};
    if (is_ttl(ops) && !a->ttls)
        usage_die("--policy ttl needs --ttl");
    if (!is_ttl(ops) && !a->sizes)
        usage_die("no --size: 1000 or 5%%, for example");
    for (int i = 0; i < (a->sizes ? a->sizes : 1); i++) {
        s.capacity = a->sizes ? a->size[i] : INT64_MAX;
        for (int k = 0; k < (is_ttl(ops) ? a->ttls : 1); k++) {
            s.ttl_ns = is_ttl(ops) ? a->ttl[k] : 0;
            add_job(l, ops, text, s);
        }
    }
}

static void add_all(struct job_list *l, const struct options *o, const struct axes *a) {
    for (const struct sim_ops *const *p = sim_list(o->semantics); *p; p++)
        if (!is_ttl(*p) || a->ttls)
            add_policy(l, o, a, *p, (*p)->name);
}

static void add_named(struct job_list *l, const struct options *o, const struct axes *a,
                      const char *text) {
    const struct sim_ops *ops = sim_find(o->semantics, text, strcspn(text, ":"));
    if (ops && o->tail_first && !strcmp(text, "lru") && o->semantics == SIM_PLAIN) {
        text = "lru-tail";
        ops = sim_find(o->semantics, text, strlen(text));
    }
    if (ops) {
        add_policy(l, o, a, ops, text);
        return;
    }
    struct buf list = {0};
    for (const struct sim_ops *const *p = sim_list(o->semantics); *p; p++)
        buf_printf(&list, "%s, ", (*p)->name);
    usage_die("--policy: '%s': with these semantics there are %sand all", text, list.data);
}

static struct axes find_axes(const struct options *o, const struct blocks *b) {
    struct axes a = {0};
    if (o->sizes)
        a.size = cache_sizes("--size", o->sizes, b, &o->model, &a.sizes);
    if (o->ttls) {
        char **part = arg_list(o->ttls, &a.ttls);
        a.ttl = mem_array((size_t)a.ttls, sizeof *a.ttl);
        for (int i = 0; i < a.ttls; i++)
            a.ttl[i] = arg_duration("--ttl", part[i]);
        free(part);
    }
    return a;
}

static struct job_list find_jobs(const struct options *o, const struct blocks *b) {
    struct job_list l = {0};
    struct axes a = find_axes(o, b);
    int n;
    char **part = arg_list(o->policies, &n);
    for (int i = 0; i < n; i++) {
        if (!strcmp(part[i], "all"))
            add_all(&l, o, &a);
        else
            add_named(&l, o, &a, part[i]);
    }
    free(part);
    free(a.size);
    free(a.ttl);
    return l;
}

/* "2000", "10%" or "5m": how many requests at the front do not count. */
static int64_t find_warmup(const char *text, const struct blocks *b) {
    size_t len = text ? strlen(text) : 0;
    double share;
    int64_t n;
    if (!text)
        return 0;
    if (text[len - (len > 0)] == '%') {
        char *number = mem_strndup(text, len - 1);
        int bad = num_float(number, 0, 100, &share);
        free(number);
        if (bad)
            usage_die("--warmup: '%s': expected a share from 0%% to 100%%", text);
        return (int64_t)(share / 100 * (double)b->requests);
    }
    if (!num_size(text, 0, INT64_MAX, &n))
        return n < b->requests ? n : b->requests;
    int64_t until = arg_duration("--warmup", text);
    if (!b->time_ns)
        usage_die("--warmup: '%s': the trace has no timestamps", text);
    for (n = 0; n < b->requests && b->time_ns[n] - b->time_ns[0] < until;)
        n++;
    return n;
}

/* ---- rows ------------------------------------------------------------------------------- */

enum field {
    POLICY, SIZE, TTL, REQUESTS, ACCESSES, HIT_BLOCKS, BLOCK_RATIO, TOKEN_RATIO, HELD_BLOCKS,
    HELD_RATIO, BELADY, INPUT_TOKENS, HIT_TOKENS, INSERTED, EVICTED, AT_END, ORPHANS, LIFE_HALF,
    LIFE_MOST, FLOPS, SAVED, SAVED_RATIO, READ_BYTES, WRITTEN_BYTES,
    SESSION, FROM, TO, LIVES, LIFE_SHARE
};

#define NEVER 0
#define WIDE 1                  /* in pipes, and on a terminal with -v */
#define ALWAYS 2

struct report {
    const struct options *o;
    const struct blocks *b;
    const struct job_list *jobs;
    const struct replay_result *res;
    struct table *table;
    struct column column[32];
    enum field field[32];
    int columns;
    /* the row being made */
    const struct replay_job *job;
    const struct replay_result *r;
    const struct replay_tally *tally;
    int at, part;
};

static void add_column(struct report *p, enum field f, const char *name, int decimals, int when) {
    int wide = p->o->common.verbose || table_format(stdout, p->o->common.json) != TABLE_ALIGNED;
    if (when < (wide ? WIDE : ALWAYS))
        return;
    p->column[p->columns] = (struct column){name, decimals};
    p->field[p->columns++] = f;
}

static double ratio(double a, double b) {
    return b > 0 ? a / b : NAN;
}

/* Lives are in milliseconds, or in requests where the trace has no times. */
static double life(const struct report *p, double x) {
    return p->b->time_ns ? x / 1000 : x;
}

static void put_size(struct table *t, int64_t blocks) {
    if (blocks == INT64_MAX)
        table_str(t, NULL);
    else
        table_int(t, blocks);
}

static void put_part(struct report *p, enum field f) {
    const struct blocks *b = p->b;
    int64_t from, to;
    replay_bucket(p->part, &from, &to);
    switch (f) {
    case SESSION:
        table_str(p->table, p->part < (int64_t)b->sessions ? b->session_name[p->part] : NULL);
        break;
    case FROM:
    case TO:
        if (p->o->by == REPLAY_TIME)
            table_float(p->table, (double)(p->part + (f == TO)) * (double)p->o->window_ns / 1e9);
        else if (p->o->by == REPLAY_LIFETIME)
            table_float(p->table, life(p, (double)(f == FROM ? from : to)));
        else
            table_int(p->table, f == FROM ? from : to - 1);
        break;
    case LIVES:
        table_int(p->table, p->r->counts.life[p->part]);
        break;
    default:
        table_float(p->table, ratio((double)p->r->counts.life[p->part],
                                    (double)p->r->counts.evicted));
    }
}

static void put(struct report *p, enum field f) {
    const struct replay_tally *a = p->tally;
    const struct sim_counts *c = &p->r->counts;
    struct table *t = p->table;
    double block_bytes = p->o->model.token_bytes * p->b->block_tokens;
    switch (f) {
    case POLICY: table_str(t, p->jobs->label[p->at]); break;
    case SIZE: put_size(t, p->job->setup.capacity); break;
    case TTL: table_float(t, p->job->setup.ttl_ns ? (double)p->job->setup.ttl_ns / 1e9 : NAN);
        break;
    case REQUESTS: table_int(t, a->requests); break;
    case ACCESSES: table_int(t, a->accesses); break;
    case HIT_BLOCKS: table_int(t, a->hit_blocks); break;
    case BLOCK_RATIO: table_float(t, ratio((double)a->hit_blocks, (double)a->accesses)); break;
    case TOKEN_RATIO: table_float(t, ratio((double)a->hit_tokens, (double)a->input_tokens)); break;
    case HELD_BLOCKS: table_int(t, a->held_blocks); break;
    case HELD_RATIO: table_float(t, ratio((double)a->held_blocks, (double)a->accesses)); break;
    case BELADY:
        table_float(t, 100 * ratio((double)a->held_blocks, (double)p->r->belady_blocks));
        break;
    case INPUT_TOKENS: table_int(t, a->input_tokens); break;
    case HIT_TOKENS: table_int(t, a->hit_tokens); break;
    case INSERTED: table_int(t, c->inserted); break;
    case EVICTED: table_int(t, c->evicted); break;
    case AT_END: table_int(t, p->r->blocks_at_end); break;
    case ORPHANS: table_int(t, p->r->orphans_at_end); break;
    case LIFE_HALF: table_float(t, life(p, replay_life_quantile(c, 0.5))); break;
    case LIFE_MOST: table_float(t, life(p, replay_life_quantile(c, 0.9))); break;
    case FLOPS: table_float(t, a->flops); break;
    case SAVED: table_float(t, a->saved_flops); break;
    case SAVED_RATIO: table_float(t, ratio(a->saved_flops, a->flops)); break;
    case READ_BYTES: table_float(t, (double)a->hit_tokens * p->o->model.token_bytes); break;
    case WRITTEN_BYTES: table_float(t, (double)c->inserted * block_bytes); break;
    default: put_part(p, f);
    }
}

static void add_part_columns(struct report *p) {
    switch (p->o->by) {
    case REPLAY_SESSION: add_column(p, SESSION, "session", 0, ALWAYS); break;
    case REPLAY_TIME:
        add_column(p, FROM, "from_s", 0, ALWAYS);
        add_column(p, TO, "to_s", 0, ALWAYS);
        break;
    case REPLAY_POSITION:
        add_column(p, FROM, "first_position", 0, ALWAYS);
        add_column(p, TO, "last_position", 0, ALWAYS);
        break;
    case REPLAY_LIFETIME:
        add_column(p, FROM, p->b->time_ns ? "from_s" : "from_requests", 3, ALWAYS);
        add_column(p, TO, p->b->time_ns ? "to_s" : "to_requests", 3, ALWAYS);
        add_column(p, LIVES, "evicted_blocks", 0, ALWAYS);
        add_column(p, LIFE_SHARE, "evicted_share", 4, ALWAYS);
        break;
    default: break;
    }
}

static void add_count_columns(struct report *p) {
    int tokens = p->o->by != REPLAY_POSITION;
    add_column(p, REQUESTS, "requests", 0, ALWAYS);
    add_column(p, ACCESSES, "accesses", 0, ALWAYS);
    add_column(p, HIT_BLOCKS, "hit_blocks", 0, ALWAYS);
    add_column(p, BLOCK_RATIO, "block_hit_ratio", 4, ALWAYS);
    if (tokens) {
        add_column(p, TOKEN_RATIO, "token_hit_ratio", 4, ALWAYS);
        add_column(p, HELD_BLOCKS, "flat_hit_blocks", 0, WIDE);
        add_column(p, HELD_RATIO, "flat_hit_ratio", 4, WIDE);
    }
    if (p->o->by == REPLAY_ALL)
        add_column(p, BELADY, "belady_pct", 1, ALWAYS);
    if (tokens) {
        add_column(p, INPUT_TOKENS, "input_tokens", 0, WIDE);
        add_column(p, HIT_TOKENS, "hit_tokens", 0, WIDE);
    }
}

static void add_whole_columns(struct report *p) {
    add_column(p, INSERTED, "inserted_blocks", 0, WIDE);
    add_column(p, EVICTED, "evicted_blocks", 0, ALWAYS);
    add_column(p, AT_END, "end_blocks", 0, WIDE);
    add_column(p, ORPHANS, "orphaned_blocks", 0, ALWAYS);
    add_column(p, LIFE_HALF, p->b->time_ns ? "lifetime_p50_s" : "lifetime_p50_requests", 1, WIDE);
    add_column(p, LIFE_MOST, p->b->time_ns ? "lifetime_p90_s" : "lifetime_p90_requests", 1, WIDE);
}

static void choose_columns(struct report *p) {
    int by = p->o->by;
    add_column(p, POLICY, "policy", 0, ALWAYS);
    add_column(p, SIZE, "size_blocks", 0, ALWAYS);
    for (int i = 0; i < p->jobs->n; i++) {
        if (p->jobs->job[i].setup.ttl_ns) {
            add_column(p, TTL, "ttl_s", 0, ALWAYS);
            break;
        }
    }
    add_part_columns(p);
    if (by != REPLAY_LIFETIME)
        add_count_columns(p);
    if (by == REPLAY_ALL)
        add_whole_columns(p);
    if (p->o->model.shape && by != REPLAY_LIFETIME && by != REPLAY_POSITION) {
        add_column(p, FLOPS, "prefill_flops", 0, WIDE);
        add_column(p, SAVED, "saved_flops", 0, WIDE);
        add_column(p, SAVED_RATIO, "saved_flops_ratio", 4, ALWAYS);
        add_column(p, READ_BYTES, "read_bytes", 0, WIDE);
    }
    if (p->o->model.shape && by == REPLAY_ALL)
        add_column(p, WRITTEN_BYTES, "written_bytes", 0, WIDE);
}

static void put_row(struct report *p) {
    for (int i = 0; i < p->columns; i++)
        put(p, p->field[i]);
}

static void put_job(struct report *p, int i) {
    int64_t parts = p->o->by == REPLAY_LIFETIME ? SIM_LIVES : p->res[i].parts;
    p->at = i;
    p->job = &p->jobs->job[i];
    p->r = &p->res[i];
    p->tally = &p->r->all;
    if (p->o->by == REPLAY_ALL)
        put_row(p);
    else
        for (p->part = 0; p->part < parts; p->part++) {
            p->tally = p->o->by == REPLAY_LIFETIME ? &p->r->all : &p->r->part[p->part];
            if (p->o->by == REPLAY_LIFETIME ? p->r->counts.life[p->part] : p->tally->requests)
                put_row(p);
        }
}

static void print_report(const struct options *o, const struct blocks *b,
                         const struct job_list *jobs, const struct replay_result *res) {
    struct report p = {.o = o, .b = b, .jobs = jobs, .res = res};
    choose_columns(&p);
    p.table = table_new(stdout, p.column, p.columns, table_format(stdout, o->common.json));
    for (int i = 0; i < jobs->n; i++)
        put_job(&p, i);
    table_free(p.table);
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

static char *curve_name(const struct job_list *jobs, int i) {
    const struct sim_setup *s = &jobs->job[i].setup;
    if (!s->ttl_ns || s->capacity == INT64_MAX)
        return mem_strdup(jobs->label[i]);
    return mem_printf("%s %g s", jobs->label[i], (double)s->ttl_ns / 1e9);
}

/* One curve for each policy, and where times to live meet sizes for each of these. */
static void draw(const struct options *o, const struct job_list *jobs,
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
                  ratio((double)res[i].all.hit_blocks, (double)res[i].all.accesses));
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

/* ---- all -------------------------------------------------------------------------------- */

static int show_progress(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

static struct replay_result *run(const struct options *o, struct blocks *b,
                                 const struct job_list *jobs) {
    struct progress bar;
    struct err e = {{0}};
    struct replay_options opt = {
        .par = par_new(o->common.threads), .warmup = find_warmup(o->warmup, b), .by = o->by,
        .window_ns = o->window_ns, .shape = o->model.shape, .progress = show_progress,
        .arg = &bar};
    progress_start(&bar, "replaying", PROGRESS_COUNT, o->common.quiet);
    struct replay_result *res = replay_run(b, jobs->job, jobs->n, &opt, &e);
    progress_end(&bar);
    par_free(opt.par);
    if (!res)
        die_err(&e);
    return res;
}

static void check_parts(const struct options *o, const struct blocks *b) {
    if (o->by == REPLAY_TIME && !b->time_ns)
        usage_die("--by time: the trace has no timestamps");
    if (o->by == REPLAY_SESSION && !b->session)
        usage_die("--by session: the trace has no session_id");
}

int cache_replay(int argc, char **argv) {
    struct options o = {.model.kv_bits = 16, .window_ns = 300 * (int64_t)1000000000, .seed = 1};
    int status = EXIT_DONE;
    parse(&o, argc, argv);
    struct blocks *b = cache_load(&o.in, &o.common);
    struct job_list jobs = find_jobs(&o, b);
    check_parts(&o, b);
    if (b->accesses) {
        struct replay_result *res = run(&o, b, &jobs);
        print_report(&o, b, &jobs, res);
        if (o.plot)
            draw(&o, &jobs, res);
        replay_free(res, jobs.n);
    } else {
        warn("%s: no blocks in %lld requests: nothing to replay", input_name(o.in.path),
             (long long)b->requests);
        status = EXIT_NOTHING;
    }
    for (int i = 0; i < jobs.n; i++)
        free(jobs.label[i]);
    free(jobs.label);
    free(jobs.job);
    blocks_free(b);
    shape_free(o.model.shape);
    return status;
}
