/* cache_replay.c - llm-cache replay: every policy at every size
 *
 * The command line becomes a list of jobs, policies x sizes, and lib/cache/replay runs them.
 */
#include "cmd/cache_replay.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "cmd/progress.h"

enum {
    OPT_POLICY = OPT_VERB, OPT_SIZE, OPT_TTL, OPT_SEMANTICS, OPT_TAIL_FIRST, OPT_WARMUP, OPT_BY,
    OPT_WINDOW, OPT_PLOT, OPT_SEED
};

static const char *usage[] = {
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
    "  -t, --threads N        threads (default: one per core)\n"
    "  -q, --quiet            no progress bar, fewer warnings\n"
    "  -h, --help             -V, --version\n",
    NULL,                       /* the policies */
    NULL};

/* What the policies themselves say, semantics by semantics. */
static void describe_policies(void) {
    static struct buf text;
    for (int s = 0; sim_semantics_names()[s]; s++) {
        buf_printf(&text, "Policies, %s semantics\n", sim_semantics_names()[s]);
        for (const struct sim_ops *const *p = sim_list((enum sim_semantics)s); *p; p++)
            buf_printf(&text, "  %-11s %s\n", (*p)->name, (*p)->words);
    }
    usage[sizeof usage / sizeof *usage - 2] = text.data;
}

static void parse(struct replay_command *o, int argc, char **argv) {
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
    describe_policies();
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
        case OPT_WINDOW:
            o->window_ns = arg_duration("--window", optarg);
            o->window_said = 1;
            break;
        case OPT_PLOT: o->plot = optarg; break;
        case OPT_SEED: o->seed = arg_seed(optarg); break;
        }
    }
    if (!o->policies)
        usage_die("no --policy: lru, for example, or all");
    if (o->plot)
        plot_check(o->plot);
    if (o->plot && o->by != REPLAY_ALL)
        usage_die("--plot draws the whole, not the parts of --by");
    cache_trace_operand(argc, argv, usage, &o->in);
    cache_model_ready(&o->model);
}

/* ---- jobs ------------------------------------------------------------------------------- */

static void add_job(struct replay_list *l, const struct sim_ops *ops, const char *label,
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

static void add_policy(struct replay_list *l, const struct replay_command *o, const struct axes *a,
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

static void add_all(struct replay_list *l, const struct replay_command *o, const struct axes *a) {
    for (const struct sim_ops *const *p = sim_list(o->semantics); *p; p++)
        if (!is_ttl(*p) || a->ttls)
            add_policy(l, o, a, *p, (*p)->name);
}

static void add_named(struct replay_list *l, const struct replay_command *o, const struct axes *a,
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
    usage_die("--policy: '%s': expected one of %sall under %s semantics", text, list.data,
              sim_semantics_names()[o->semantics]);
}

/* Blocks in which an engine keeps all that the requests ever take: output and copies too. */
static int64_t engine_room(const struct blocks *b) {
    int64_t room = 0;
    for (int64_t r = 0; r < b->requests; r++)
        if (__builtin_add_overflow(room, (b->input[r] + b->output[r]) / b->block_tokens + 1, &room))
            return INT64_MAX - 1;
    return room;
}

/* What "inf" means to an engine. */
static void widen_sizes(const struct replay_command *o, const struct blocks *b, struct axes *a) {
    char *text = mem_strdup(o->sizes);
    char **part = arg_list(text, &a->sizes);
    for (int i = 0; i < a->sizes; i++)
        if (!strcmp(part[i], "inf"))
            a->size[i] = engine_room(b);
    free(part);
    free(text);
}

static struct axes find_axes(const struct replay_command *o, const struct blocks *b) {
    struct axes a = {0};
    if (o->sizes)
        a.size = cache_sizes("--size", o->sizes, b, &o->model, &a.sizes);
    if (o->sizes && o->semantics != SIM_PLAIN)
        widen_sizes(o, b, &a);
    if (o->ttls) {
        char **part = arg_list(o->ttls, &a.ttls);
        a.ttl = mem_array((size_t)a.ttls, sizeof *a.ttl);
        for (int i = 0; i < a.ttls; i++)
            a.ttl[i] = arg_duration("--ttl", part[i]);
        free(part);
    }
    return a;
}

static struct replay_list find_jobs(const struct replay_command *o, const struct blocks *b) {
    struct replay_list l = {0};
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

/* ---- all -------------------------------------------------------------------------------- */

static int show_progress(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

static void warn_refused(const struct replay_command *o, const struct replay_list *jobs,
                         const struct replay_result *res) {
    for (int i = 0; i < jobs->n && !o->common.quiet; i++)
        if (res[i].counts.refused)
            warn("%s with %lld blocks: %lld requests need more than that and were refused",
                 jobs->label[i], (long long)jobs->job[i].setup.capacity,
                 (long long)res[i].counts.refused);
}

static struct replay_result *run(const struct replay_command *o, struct blocks *b,
                                 const struct replay_list *jobs, int64_t warmup) {
    struct progress bar;
    struct err e = {{0}};
    struct replay_options opt = {
        .par = par_new(o->common.threads), .warmup = warmup, .by = o->by,
        .window_ns = o->window_ns, .shape = o->model.shape, .progress = show_progress,
        .arg = &bar};
    progress_start(&bar, "replaying", PROGRESS_COUNT, o->common.quiet);
    struct replay_result *res = replay_run(b, jobs->job, jobs->n, &opt, &e);
    progress_end(&bar);
    par_free(opt.par);
    if (!res)
        usage_die("--policy: %s", e.text);
    warn_refused(o, jobs, res);
    return res;
}

#define MOST_WINDOWS 10000000   /* of all replays: some 100 bytes each */

static void check_windows(const struct replay_command *o, const struct blocks *b, int jobs) {
    int64_t end = b->time_ns[b->requests - 1];
    if (end / o->window_ns >= MOST_WINDOWS / jobs)
        usage_die("--window: the trace ends after %.0f s: more than %d windows of %g s",
                  (double)end / 1e9, MOST_WINDOWS / jobs, (double)o->window_ns / 1e9);
}

/* What the trace must have for these jobs and parts. */
static void check_trace(const struct replay_command *o, const struct blocks *b,
                        const struct replay_list *jobs) {
    for (int i = 0; i < jobs->n; i++)
        if (is_ttl(jobs->job[i].ops))
            cache_need_times(&o->in, b, "policy ttl");
    if (o->by == REPLAY_TIME) {
        cache_need_times(&o->in, b, "--by time");
        check_windows(o, b, jobs->n);
    }
    if (o->by == REPLAY_SESSION)
        cache_need_sessions(&o->in, b);
}

/* Options that change nothing here are more likely a mistake than meant. */
static void warn_idle(const struct replay_command *o, const struct replay_list *jobs) {
    int ttl = 0;
    int tail = 0;
    for (int i = 0; i < jobs->n; i++) {
        ttl |= is_ttl(jobs->job[i].ops);
        tail |= !strcmp(jobs->label[i], "lru-tail");
    }
    if (o->ttls && !ttl)
        warn("--ttl changes nothing: it is for --policy ttl");
    if (o->tail_first && !tail)
        warn("--tail-first changes nothing: it is for --policy lru, plain semantics");
    if (o->window_said && o->by != REPLAY_TIME)
        warn("--window changes nothing: it is for --by time");
}

/* Each job takes some megabytes and gives them back. Kept by the process they are there for the
 * next one; given back to the system they cost a page fault for each page, and on every core a
 * flush of its address translations: a sixth of a short replay. */
static void keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
}

int cache_replay(int argc, char **argv) {
    struct replay_command o = {.model.kv_bits = 16, .window_ns = 300 * (int64_t)1000000000,
                               .seed = 1};
    parse(&o, argc, argv);
    keep_memory();
    struct blocks *b = cache_load(&o.in, &o.common);
    struct replay_list jobs = find_jobs(&o, b);
    int64_t warmup = cache_warmup(o.warmup, &o.in, b);
    int nothing = cache_nothing(&o.in, b, warmup);
    if (!nothing) {
        check_trace(&o, b, &jobs);
        if (!o.common.quiet)
            warn_idle(&o, &jobs);
        struct replay_result *res = run(&o, b, &jobs, warmup);
        replay_report(&o, b, &jobs, res);
        if (o.plot)
            replay_draw(&o, &jobs, res);
        replay_free(res, jobs.n);
    }
    for (int i = 0; i < jobs.n; i++)
        free(jobs.label[i]);
    free(jobs.label);
    free(jobs.job);
    blocks_free(b);
    shape_free(o.model.shape);
    return nothing ? EXIT_NOTHING : EXIT_DONE;
}
