/* bench_serve.c - llm-bench serve: load on an OpenAI-compatible server
 *
 * The command line becomes a load (what is sent when, bench_serve_feed.c), which clients carry out,
 * one a thread (lib/bench/client); lib/bench/load turns what they saw into figures.
 */
#include "cmd/bench_serve.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/plot.h"
#include "cmd/progress.h"

enum {
    OPT_URL = OPT_FIRST_FREE, OPT_HTTP, OPT_KEY_ENV, OPT_INSECURE, OPT_WAIT, OPT_CONNECT_TIMEOUT,
    OPT_FIRST_TIMEOUT, OPT_STALL_TIMEOUT, OPT_TIMEOUT, OPT_API, OPT_MODEL, OPT_CONCURRENCY,
    OPT_RATE, OPT_ARRIVAL, OPT_RAMP, OPT_TRACE, OPT_SPEED, OPT_BLOCK_TOKENS, OPT_SKIP_BAD,
    OPT_MAX_CONCURRENCY, OPT_REQUESTS, OPT_DURATION, OPT_WARMUP, OPT_SEED, OPT_PROMPT_TOKENS,
    OPT_OUTPUT_TOKENS, OPT_SHARED_PREFIX, OPT_PREFIXES, OPT_NO_FORCE, OPT_EXTRA, OPT_SLO,
    OPT_GOODPUT, OPT_MAX_LAG, OPT_MAX_CPU, OPT_PRICE, OPT_SAVE, OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-bench serve --url URL [OPTION]...\n"
    "Puts load on an OpenAI-compatible server and says how it bore it.\n\n"
    "Server\n"
    "      --url URL          of the API, as in http://127.0.0.1:8080/v1\n"
    "      --api API          chat or completions (default chat)\n"
    "      --model NAME       (default: the first that the server names)\n"
    "      --key-env NAME     environment variable that holds the key (OPENAI_API_KEY)\n"
    "      --http VERSION     1, 2 or any (default any)\n"
    "      --insecure         do not check certificates\n"
    "      --wait TIME        for a server that refuses connections yet (default 5s)\n"
    "      --connect-timeout TIME\n"
    "                         to connect (default 10s)\n"
    "      --first-timeout TIME\n"
    "                         from sending to the first piece (default 5m)\n"
    "      --stall-timeout TIME\n"
    "                         between two pieces (default 1m)\n"
    "      --timeout TIME     of a whole request (default: no limit)\n",
    "Load\n"
    "      --concurrency N    closed loop: N requests are under way at any time (default 1)\n"
    "      --rate R           open loop: R requests a second, whatever the server does\n"
    "      --ramp FROM:TO     open loop: from one rate to another over --duration\n"
    "      --arrival KIND     of an open loop: poisson, gamma:CV or uniform (default poisson)\n"
    "      --trace FILE       replay requests of a trace at their times; with --rate, --ramp or\n"
    "                         --concurrency their lengths and prefixes only\n"
    "      --speed X          replay X times as fast; lengths stay (default 1)\n"
    "      --block-tokens N   tokens of a block of the trace (default: as it implies)\n"
    "      --skip-bad         count and pass broken lines of the trace\n"
    "      --max-concurrency N  requests under way at most; those that wait are late\n"
    "      --requests N       that count (default: all of a trace or file, else 100)\n"
    "      --duration TIME    schedule no request later than that\n"
    "      --warmup N         requests before these that do not count (default: --concurrency\n"
    "                         of a closed loop, else 0)\n"
    "      --seed N           of arrivals and prompts (default 1)\n"
    "  -t, --threads N        clients; each takes a core (default 1)\n",
    "Prompts\n"
    "      --prompt-tokens N  (default 256)\n"
    "      --output-tokens N  forced (default 64; of a trace: where it does not say)\n"
    "      --no-force         ask for max_tokens only: for servers that refuse min_tokens\n"
    "                         and ignore_eos\n"
    "      --shared-prefix N  the first N tokens of a prompt are a common beginning\n"
    "      --prefixes K       of which there are K (default 1)\n"
    "  -f, --file FILE        JSON Lines with \"prompt\" or \"messages\"\n"
    "      --extra JSON       members for each body, as in '{\"temperature\":0}'\n"
    "Judgement\n"
    "      --slo LIST         limits of a good request: ttft=500ms,tpot=50ms,e2e=10s\n"
    "      --goodput-at-least SHARE  exit status 3 below it (0.99 or 99%)\n"
    "      --max-lag TIME     of the client, p99 (default: 5ms or a tenth of the median TTFT,\n"
    "                         whichever is larger)\n"
    "      --max-cpu SHARE    of the time that a client runs or waits for a core (default 80%)\n"
    PRICES_USAGE,
    FIELDS_USAGE
    "      --save FILE        a record for each request, JSON Lines\n"
    "      --plot FILE        draw the distribution of TTFT and E2E, .svg or .png\n"
    "  -h, --help             -V, --version\n\n"
    "Exit status: 0 done; 1 failed; 2 bad command line; 3 --goodput-at-least does not hold;\n"
    "4 nothing can be concluded: no request succeeded, or the client was the bottleneck.\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG,
    {"url", required_argument, NULL, OPT_URL}, {"http", required_argument, NULL, OPT_HTTP},
    {"key-env", required_argument, NULL, OPT_KEY_ENV},
    {"insecure", no_argument, NULL, OPT_INSECURE}, {"wait", required_argument, NULL, OPT_WAIT},
    {"connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT},
    {"first-timeout", required_argument, NULL, OPT_FIRST_TIMEOUT},
    {"stall-timeout", required_argument, NULL, OPT_STALL_TIMEOUT},
    {"timeout", required_argument, NULL, OPT_TIMEOUT}, {"api", required_argument, NULL, OPT_API},
    {"model", required_argument, NULL, OPT_MODEL},
    {"concurrency", required_argument, NULL, OPT_CONCURRENCY},
    {"rate", required_argument, NULL, OPT_RATE}, {"arrival", required_argument, NULL, OPT_ARRIVAL},
    {"ramp", required_argument, NULL, OPT_RAMP}, {"trace", required_argument, NULL, OPT_TRACE},
    {"speed", required_argument, NULL, OPT_SPEED},
    {"block-tokens", required_argument, NULL, OPT_BLOCK_TOKENS},
    {"skip-bad", no_argument, NULL, OPT_SKIP_BAD},
    {"max-concurrency", required_argument, NULL, OPT_MAX_CONCURRENCY},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"duration", required_argument, NULL, OPT_DURATION},
    {"warmup", required_argument, NULL, OPT_WARMUP}, {"seed", required_argument, NULL, OPT_SEED},
    {"prompt-tokens", required_argument, NULL, OPT_PROMPT_TOKENS},
    {"output-tokens", required_argument, NULL, OPT_OUTPUT_TOKENS},
    {"shared-prefix", required_argument, NULL, OPT_SHARED_PREFIX},
    {"prefixes", required_argument, NULL, OPT_PREFIXES},
    {"no-force", no_argument, NULL, OPT_NO_FORCE}, {"extra", required_argument, NULL, OPT_EXTRA},
    {"file", required_argument, NULL, 'f'}, {"slo", required_argument, NULL, OPT_SLO},
    {"goodput-at-least", required_argument, NULL, OPT_GOODPUT},
    {"max-lag", required_argument, NULL, OPT_MAX_LAG},
    {"max-cpu", required_argument, NULL, OPT_MAX_CPU},
    {"price", required_argument, NULL, OPT_PRICE}, {"save", required_argument, NULL, OPT_SAVE},
    {"plot", required_argument, NULL, OPT_PLOT}, {NULL, 0, NULL, 0}};

/* ---- values of options --------------------------------------------------------------------- */

#define LEAST_SHARE 1e-9        /* above none */
#define RATE_MOST 1e6
#define TOKENS_MOST 10000000

struct said {                   /* which of the options that exclude each other were given */
    int concurrency, cap, rate, ramp, arrival, speed, warmup, prompt, prefixes;
};

static void parse_arrival(const char *text, struct arrivals_options *a) {
    if (!strcmp(text, "poisson"))
        a->kind = ARRIVALS_POISSON;
    else if (!strcmp(text, "uniform"))
        a->kind = ARRIVALS_UNIFORM;
    else if (!strncmp(text, "gamma:", 6)) {
        a->kind = ARRIVALS_GAMMA;
        a->cv = arg_float("--arrival gamma", text + 6, 0.01, 100);
    } else {
        usage_die("--arrival: '%s': expected poisson, gamma:CV or uniform", text);
    }
}

static void parse_ramp(const char *text, struct arrivals_options *a) {
    char *from = mem_strdup(text);
    char *to = strchr(from, ':');
    if (!to)
        usage_die("--ramp: '%s': expected FROM:TO, as in 1:50", text);
    *to++ = '\0';
    a->rate = arg_float("--ramp", from, 0, RATE_MOST);
    a->rate_end = arg_float("--ramp", to, 0, RATE_MOST);
    if (a->rate <= 0 && a->rate_end <= 0)
        usage_die("--ramp: '%s': no requests at all", text);
    free(from);
}

static void parse_slo(const char *text, struct load_slo *slo) {
    static const char *const names[] = {"ttft=", "tpot=", "e2e="};
    double *limit[] = {&slo->ttft_ms, &slo->tpot_ms, &slo->e2e_ms};
    char *copy = mem_strdup(text);
    int n;
    char **part = arg_list(copy, &n);
    for (int i = 0; i < n; i++) {
        size_t k = 0;
        while (k < 3 && strncmp(part[i], names[k], strlen(names[k])) != 0)
            k++;
        if (k == 3)
            usage_die("--slo: '%s': expected ttft=TIME, tpot=TIME or e2e=TIME", part[i]);
        *limit[k] = (double)arg_duration("--slo", part[i] + strlen(names[k])) / 1e6;
    }
    free(part);
    free(copy);
}

/* ---- the command line ---------------------------------------------------------------------- */

static int server_option(struct serve_options *o, int c, const char *arg) {
    static const char *const http[] = {"any", "1", "2", NULL};
    static const char *const api[] = {"chat", "completions", NULL};
    switch (c) {
    case OPT_URL: o->client.url = arg; return 1;
    case OPT_HTTP: o->client.http = arg_choice("--http", arg, http); return 1;
    case OPT_KEY_ENV: o->key_env = arg; return 1;
    case OPT_INSECURE: o->client.insecure = 1; return 1;
    case OPT_WAIT: o->wait_ns = arg_duration("--wait", arg); return 1;
    case OPT_CONNECT_TIMEOUT:
        o->client.connect_ns = arg_duration("--connect-timeout", arg);
        return 1;
    case OPT_FIRST_TIMEOUT: o->client.first_ns = arg_duration("--first-timeout", arg); return 1;
    case OPT_STALL_TIMEOUT: o->client.stall_ns = arg_duration("--stall-timeout", arg); return 1;
    case OPT_TIMEOUT: o->client.total_ns = arg_duration("--timeout", arg); return 1;
    case OPT_API:
        o->prompts.api = (enum prompts_api)arg_choice("--api", arg, api);
        return 1;
    case OPT_MODEL: o->prompts.model = arg; return 1;
    default: return 0;
    }
}

static int load_option(struct serve_options *o, struct said *said, int c, const char *arg) {
    switch (c) {
    case OPT_CONCURRENCY:
        o->concurrency = arg_int("--concurrency", arg, 1, 100000);
        said->concurrency = 1;
        return 1;
    case OPT_MAX_CONCURRENCY:
        o->concurrency = arg_int("--max-concurrency", arg, 1, 100000);
        said->cap = 1;
        return 1;
    case OPT_RATE:
        o->arrivals.rate = arg_float("--rate", arg, 1e-6, RATE_MOST);
        said->rate = 1;
        return 1;
    case OPT_RAMP: parse_ramp(arg, &o->arrivals); said->ramp = 1; return 1;
    case OPT_ARRIVAL: parse_arrival(arg, &o->arrivals); said->arrival = 1; return 1;
    case OPT_TRACE: o->trace = arg; return 1;
    case OPT_SPEED: o->speed = arg_float("--speed", arg, 1e-6, 1e6); said->speed = 1; return 1;
    case OPT_BLOCK_TOKENS:
        o->reqs.block_tokens = (int)arg_int("--block-tokens", arg, 1, 1 << 20);
        return 1;
    case OPT_SKIP_BAD: o->reqs.skip_bad = 1; return 1;
    case OPT_REQUESTS: o->requests = arg_size("--requests", arg, 1, INT64_C(1) << 40); return 1;
    case OPT_DURATION: o->duration_ns = arg_duration("--duration", arg); return 1;
    case OPT_WARMUP:
        o->warmup = arg_size("--warmup", arg, 0, INT64_C(1) << 40);
        said->warmup = 1;
        return 1;
    case OPT_SEED: o->prompts.seed = arg_seed(arg); return 1;
    default: return 0;
    }
}

static int other_option(struct serve_options *o, struct said *said, int c, const char *arg) {
    struct prompts_options *p = &o->prompts;
    switch (c) {
    case OPT_PROMPT_TOKENS:
        p->prompt_tokens = arg_size("--prompt-tokens", arg, 1, TOKENS_MOST);
        said->prompt = 1;
        return 1;
    case OPT_OUTPUT_TOKENS:
        p->output_tokens = arg_size("--output-tokens", arg, 1, TOKENS_MOST);
        return 1;
    case OPT_SHARED_PREFIX:
        p->shared_prefix = arg_size("--shared-prefix", arg, 1, TOKENS_MOST);
        return 1;
    case OPT_PREFIXES:
        p->prefixes = arg_int("--prefixes", arg, 1, INT64_C(1) << 32);
        said->prefixes = 1;
        return 1;
    case OPT_NO_FORCE: p->no_force = 1; return 1;
    case OPT_EXTRA: p->extra = arg; return 1;
    case 'f': p->file = arg; return 1;
    case OPT_SLO: parse_slo(arg, &o->slo); return 1;
    case OPT_GOODPUT: o->at_least = arg_share("--goodput-at-least", arg, LEAST_SHARE, 1); return 1;
    case OPT_MAX_LAG: o->max_lag_ms = (double)arg_duration("--max-lag", arg) / 1e6; return 1;
    case OPT_MAX_CPU: o->max_busy = arg_share("--max-cpu", arg, LEAST_SHARE, 10); return 1;
    case OPT_PRICE: prices_parse("--price", arg, &o->price); return 1;
    case OPT_SAVE: o->save = arg; return 1;
    case OPT_PLOT: o->plot = plot_check(arg); return 1;
    default: return 0;
    }
}

/* Which load it is, and that the options for it go together. */
static void settle_load(struct serve_options *o, const struct said *said) {
    if (said->concurrency + said->rate + said->ramp > 1)
        usage_die("--concurrency, --rate and --ramp are loads: one of them");
    o->load = said->rate || said->ramp ? SERVE_OPEN
              : o->trace && !said->concurrency ? SERVE_REPLAY : SERVE_CLOSED;
    if (said->cap && o->load == SERVE_CLOSED)
        usage_die("--max-concurrency caps a load with times of its own: --rate, --ramp, --trace");
    if (said->arrival && o->load != SERVE_OPEN)
        usage_die("--arrival is of --rate and --ramp");
    if (said->speed && o->load != SERVE_REPLAY)
        usage_die("--speed is of the times of a --trace");
    if (said->ramp && !o->duration_ns)
        usage_die("--ramp needs --duration: how long it takes");
    if (said->ramp)
        o->arrivals.ramp_s = (double)o->duration_ns / 1e9;
    if (o->load == SERVE_CLOSED && !said->concurrency)
        o->concurrency = 1;
    if (!said->warmup)
        o->warmup = o->load == SERVE_CLOSED ? o->concurrency : 0;
    if (o->concurrency && o->threads > o->concurrency)
        usage_die("-t: %d threads for %lld requests at once", o->threads,
                  (long long)o->concurrency);
}

static void check_extra(const char *json) {
    struct err e = {{0}};
    struct prompts *p = prompts_new(&(struct prompts_options){.extra = json}, &e);
    if (!p)
        usage_die("--extra: %s", e.text);
    prompts_free(p);
}

static void settle_prompts(struct serve_options *o, const struct said *said) {
    struct prompts_options *p = &o->prompts;
    if (o->trace && p->file)
        usage_die("--trace and -f are both prompts: one of them");
    if ((o->trace || p->file) && (said->prompt || p->shared_prefix))
        usage_die("--prompt-tokens and --shared-prefix are of prompts made here, not of %s",
                  o->trace ? "a --trace" : "-f");
    if (p->extra)
        check_extra(p->extra);
    if (said->prefixes && !p->shared_prefix)
        usage_die("--prefixes needs --shared-prefix: how long they are");
    if (p->shared_prefix > p->prompt_tokens)
        usage_die("--shared-prefix: %lld tokens of a prompt of %lld", (long long)p->shared_prefix,
                  (long long)p->prompt_tokens);
}

static void settle_key(struct serve_options *o) {
    o->client.key = getenv(o->key_env ? o->key_env : "OPENAI_API_KEY");
    if (o->client.key && !*o->client.key)
        o->client.key = NULL;
    if (o->key_env && !o->client.key)
        usage_die("--key-env: %s is not set", o->key_env);
}

static void parse(struct serve_options *o, int argc, char **argv) {
    struct said said = {0};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT "f:", longs, NULL)) != -1) {
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !server_option(o, c, optarg) &&
            !load_option(o, &said, c, optarg))
            other_option(o, &said, c, optarg);
    }
    if (optind < argc)
        usage_die("'%s': serve takes options only", argv[optind]);
    if (!o->client.url)
        usage_die("no --url: http://127.0.0.1:8080/v1, for example");
    o->threads = o->common.threads ? o->common.threads : 1;
    if (o->at_least > 0 && o->slo.ttft_ms <= 0 && o->slo.tpot_ms <= 0 && o->slo.e2e_ms <= 0)
        usage_die("--goodput-at-least needs --slo: what is good");
    settle_load(o, &said);
    settle_prompts(o, &said);
    settle_key(o);
    o->arrivals.seed = o->prompts.seed;
}

/* ---- the load ------------------------------------------------------------------------------ */

struct worker {
    struct client *client;
    const struct client_source *source;
    struct err err;
    int failed;
    int64_t waited_ns;          /* for a core; -1: the system does not say */
    pthread_t thread;
    struct crew *crew;
};

struct crew {
    struct worker *worker;      /* [n] */
    int n;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int working;
};

/* How long this thread has been ready to run without a core: the second number that Linux keeps of
 * it. In a closed loop it alone shows a client that is starved, for there all times, also those at
 * which requests are due, are read by the client itself. */
static int64_t waited_for_core(void) {
    long long ran, waited;
    FILE *f = fopen("/proc/thread-self/schedstat", "r");
    int n = f ? fscanf(f, "%lld %lld", &ran, &waited) : 0;
    if (f)
        fclose(f);
    return n == 2 ? waited : -1;
}

static void *work(void *arg) {
    struct worker *w = arg;
    int64_t before = waited_for_core();
    w->failed = client_run(w->client, w->source, &w->err) != 0;
    w->waited_ns = before >= 0 ? waited_for_core() - before : -1;
    pthread_mutex_lock(&w->crew->lock);
    w->crew->working--;
    pthread_cond_signal(&w->crew->change);
    pthread_mutex_unlock(&w->crew->lock);
    return NULL;
}

static void hire(struct crew *crew, const struct serve_options *o, struct feed *feed) {
    struct err e = {{0}};
    crew->n = crew->working = o->threads;
    crew->worker = mem_array((size_t)crew->n, sizeof *crew->worker);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->change, NULL);
    for (int i = 0; i < crew->n; i++) {
        struct worker *w = &crew->worker[i];
        *w = (struct worker){.source = feed_source(feed, i), .crew = crew};
        w->client = client_new(&o->client, &e);
        if (!w->client)
            die("%s", e.text);
    }
}

static void stop(struct crew *crew, struct feed *feed) {
    feed_stop(feed);
    for (int i = 0; i < crew->n; i++)
        client_stop(crew->worker[i].client);
}

/* Until all have ended; looks for Ctrl-C and draws the progress bar ten times a second. */
static void watch(struct crew *crew, struct feed *feed, int quiet,
                  const volatile sig_atomic_t *interrupted) {
    struct progress bar;
    int stopped = 0;
    progress_start(&bar, "requests", PROGRESS_COUNT, quiet);
    pthread_mutex_lock(&crew->lock);
    while (crew->working) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&crew->change, &crew->lock, &until);
        if (*interrupted && !stopped) {
            stop(crew, feed);
            stopped = 1;
        }
        progress_update(&bar, feed_ended(feed), feed_total(feed));
    }
    pthread_mutex_unlock(&crew->lock);
    progress_end(&bar);
}

/* Says how busy the busiest client was. */
static void dismiss(struct crew *crew, struct serve_run *run) {
    double most = -1;
    for (int i = 0; i < crew->n; i++) {
        struct worker *w = &crew->worker[i];
        const struct client_stats *s = client_stats(w->client);
        double wall = s->wall_ns > 0 ? (double)s->wall_ns : 1;
        double waited = w->waited_ns >= 0 ? (double)w->waited_ns : 0;
        double busy = ((double)s->cpu_ns + waited) / wall;
        if (w->failed)
            die("%s", w->err.text);
        if (busy > most) {
            most = busy;
            run->client_cpu = (double)s->cpu_ns / wall;
            run->client_wait = w->waited_ns >= 0 ? waited / wall : NAN;
        }
        client_free(w->client);
    }
    free(crew->worker);
    pthread_mutex_destroy(&crew->lock);
    pthread_cond_destroy(&crew->change);
}

static void carry_out(struct serve_run *run, struct feed *feed,
                      volatile sig_atomic_t *interrupted) {
    struct crew crew = {0};
    struct err e = {{0}};
    struct energy *energy = energy_open(NULL);
    hire(&crew, run->opt, feed);
    feed_start(feed, &run->start_ns);
    time_now(run->time, sizeof run->time);
    double before = energy_joules(energy);
    common_catch_interrupt(interrupted);
    for (int i = 0; i < crew.n; i++)
        if (pthread_create(&crew.worker[i].thread, NULL, work, &crew.worker[i]))
            die("no thread can be made");
    watch(&crew, feed, run->opt->common.quiet, interrupted);
    common_catch_interrupt(NULL);
    run->joules = energy_joules(energy) - before;
    for (int i = 0; i < crew.n; i++)
        pthread_join(crew.worker[i].thread, NULL);
    energy_close(energy);
    dismiss(&crew, run);
    if (feed_finish(feed, &e))
        die("%s", e.text);
    feed_samples(feed, &run->load);
}

/* ---- words and status ---------------------------------------------------------------------- */

static void say_faults(const struct serve_run *run) {
    const struct load_figures *f = run->figures;
    if (f->faults & LOAD_EMPTY)
        warn("nothing can be concluded: of %lld requests none ended well",
             (long long)f->requests);
    if (f->faults & LOAD_BUSY)
        warn("nothing can be concluded: the client was the bottleneck, its busiest thread ran for "
             "%.0f %% of the time and waited for a core for %.0f %% (--max-cpu); use more threads "
             "(-t %d), a machine of its own, or less load", run->client_cpu * 100,
             isnan(run->client_wait) ? 0 : run->client_wait * 100, 2 * run->opt->threads);
    if (f->faults & LOAD_LAGS)
        warn("nothing can be concluded: the client sent late, p99 %.2f ms (limit %.2f ms, "
             "--max-lag); use more threads (-t %d), a machine of its own, or less load",
             f->lag.p[LOAD_P99], f->max_lag_ms, 2 * run->opt->threads);
}

static void say_notes(const struct serve_run *run) {
    const struct load_figures *f = run->figures;
    if (run->opt->common.quiet)
        return;
    for (int i = 0; i < CLIENT_ENDS; i++)
        if (f->errors[i] && i != CLIENT_CANCELLED)
            warn("%lld ended as %s: %s", (long long)f->errors[i], client_end_name(i),
                 feed_detail(run->feed, i));
    if (run->opt->warmup)
        warn("warm-up requests that do not count: %lld (--warmup)", (long long)run->opt->warmup);
    if (f->chunked)
        warn("the server gave no usage for %lld requests: tokens are counted as pieces, which may "
             "hold several", (long long)f->chunked);
    if (f->whole && f->ok > 1)
        warn("no steady state: rates are over the whole time, to the end of the last request; more "
             "requests would do");
}

static int judge(const struct serve_run *run, int interrupted) {
    const struct load_figures *f = run->figures;
    say_notes(run);
    say_faults(run);
    if (interrupted) {
        warn("interrupted: this is what was measured until then");
        return EXIT_FAILED;
    }
    if (f->faults)
        return EXIT_NOTHING;
    if (run->opt->at_least > 0 && f->good_share < run->opt->at_least) {
        warn("goodput: %.2f %% of the requests are good, %.2f %% were asked for",
             f->good_share * 100, run->opt->at_least * 100);
        return EXIT_CHECK;
    }
    return EXIT_DONE;
}

static struct serve_options defaults(void) {
    return (struct serve_options){
        .wait_ns = INT64_C(5000000000), .speed = 1,
        .prompts = {.seed = 1, .prompt_tokens = 256, .output_tokens = 64, .prefixes = 1}};
}

int bench_serve(int argc, char **argv) {
    static volatile sig_atomic_t interrupted;
    struct serve_options o = defaults();
    parse(&o, argc, argv);
    char *model = serve_probe(&o);
    struct feed *feed = feed_open(&o, model);
    struct serve_run run = {.opt = &o, .model = model, .feed = feed};
    serve_open_records(&run);
    carry_out(&run, feed, &interrupted);
    double busy = run.client_cpu + (isnan(run.client_wait) ? 0 : run.client_wait);
    struct load_figures *f = load_figures(
        &run.load, &(struct load_options){.slo = o.slo, .max_lag_ms = o.max_lag_ms,
                                          .max_busy = o.max_busy, .client_busy = busy});
    run.figures = f;
    serve_report(&run, argc, argv);
    serve_save(&run);
    serve_plot(&run);
    int status = judge(&run, interrupted);
    load_figures_free(f);
    load_free(&run.load);
    feed_close(feed);
    free(model);
    return status;
}
