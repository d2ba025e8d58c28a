/* bench_null.c - llm-bench null: a server that answers at a given pace, with faults on demand */
#include "cmd/bench.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/bench/nullserver.h"

static const char *const usage[] = {
    "usage: llm-bench null [OPTION]...\n"
    "An OpenAI-compatible server without a model, to measure clients and to test them: streams\n"
    "words at a given pace, with faults on demand. Prints its address when it is ready; ends with\n"
    "a line of counts on stderr at Ctrl-C or SIGTERM.\n"
    "\n"
    "Address\n"
    "      --port N           port (default 0: the system chooses)\n"
    "      --host HOST        address or name (default 127.0.0.1: this machine alone)\n"
    "\n"
    "Pace\n"
    "      --rate X           tokens a second of the whole server, which its streams share\n"
    "                         (default: as fast as they can be sent)\n"
    "      --tpot TIME        between two tokens of a stream (default 0)\n"
    "      --ttft TIME[+TIME] before the first token; behind the + for each token of the input\n"
    "                         that no cache holds (default 0)\n"
    "      --jitter X         spreads these times evenly by up to this share, 0 to 1 (default 0)\n"
    "      --slots N          requests at work at once; others wait (default: no limit)\n"
    "      --stall AT:FOR[:EVERY]\n"
    "                         stands still for the time FOR, the time AT after the first request\n"
    "                         has come, and again EVERY time after a stall began\n"
    "\n"
    "Replies\n"
    "      --tokens N         of a reply, where the request sets no limit below (default 128)\n"
    "      --chunk N          tokens of an event (default 1)\n"
    "      --usage WHERE      last: where the request asks for it; every: in every event; none\n"
    "                         (default last)\n"
    "      --prompt-tokens N  of every input (default: its words)\n"
    "      --cache            reports prefixes that came before as cached_tokens\n"
    "      --requests N       ends after so many (default: never)\n"
    "\n"
    "Faults\n"
    "      --fault KIND[=ARG][:SHARE]\n"
    "                         of all requests, or of a share of them (0.1 or 10%), which gets no\n"
    "                         other fault that has a share; more than one may be given. A request\n"
    "                         whose model is null:KIND[=ARG][,KIND...] has those instead\n"
    "      --seed N           of jitter and faults (default 1)\n"
    "  reset[=N]       connection reset after N tokens (default: half of the reply)\n"
    "  close[=N]       connection closed after N tokens, the body unfinished\n"
    "  truncate[=N]    body ends in good order after N tokens, without a reason or [DONE]\n"
    "  error-event[=N] an error object after N tokens ends the stream\n"
    "  garbage[=N]     an event of broken JSON after N tokens\n"
    "  stall[=T]       the stream pauses for the time T in its middle (default 1s)\n"
    "  slow-headers[=T]  the head of the reply comes byte by byte in the time T (default 2s)\n"
    "  never           no answer at all\n"
    "  429[=T] 500 503 these statuses; 429 with Retry-After (default 1s)\n"
    "  empty-first     an event with a role and no text, before the wait for the first token\n"
    "  multi[=N]       N tokens in an event (default 4)\n"
    "  split           events cut at odd places\n"
    "  crlf            lines end in CR LF, comments stand between events\n"
    "  no-done         [DONE] is missing\n"
    "  no-usage        usage is missing, though asked for\n"
    "\n"
    "  -q, --quiet            no counts at the end\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n",
    NULL
};

enum {
    OPT_PORT = OPT_FIRST_FREE, OPT_HOST, OPT_RATE, OPT_TPOT, OPT_TTFT, OPT_JITTER, OPT_SLOTS,
    OPT_STALL, OPT_TOKENS, OPT_CHUNK, OPT_USAGE, OPT_PROMPT_TOKENS, OPT_CACHE, OPT_REQUESTS,
    OPT_FAULT, OPT_SEED
};

static const struct option longs[] = {
    {"port", required_argument, NULL, OPT_PORT},
    {"host", required_argument, NULL, OPT_HOST},
    {"rate", required_argument, NULL, OPT_RATE},
    {"tpot", required_argument, NULL, OPT_TPOT},
    {"ttft", required_argument, NULL, OPT_TTFT},
    {"jitter", required_argument, NULL, OPT_JITTER},
    {"slots", required_argument, NULL, OPT_SLOTS},
    {"stall", required_argument, NULL, OPT_STALL},
    {"tokens", required_argument, NULL, OPT_TOKENS},
    {"chunk", required_argument, NULL, OPT_CHUNK},
    {"usage", required_argument, NULL, OPT_USAGE},
    {"prompt-tokens", required_argument, NULL, OPT_PROMPT_TOKENS},
    {"cache", no_argument, NULL, OPT_CACHE},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"seed", required_argument, NULL, OPT_SEED},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0}
};

struct options {
    struct common common;
    struct nullserver_options server;
    struct nullserver_fault *fault;     /* [server.faults] */
};

/* ---- options ------------------------------------------------------------------------------ */

static int64_t take_time(const char *option, const char *arg) {
    return strcmp(arg, "0") ? arg_duration(option, arg) : 0;
}

/* TIME[+TIME] */
static void take_ttft(struct nullserver_options *o, const char *arg) {
    char *copy = mem_strdup(arg);
    char *plus = strchr(copy, '+');
    if (plus)
        *plus++ = '\0';
    o->ttft_ns = take_time("--ttft", copy);
    o->ttft_token_ns = plus ? take_time("--ttft", plus) : 0;
    free(copy);
}

/* AT:FOR[:EVERY] */
static void take_stall(struct nullserver_options *o, const char *arg) {
    char *copy = mem_strdup(arg);
    char *length = strchr(copy, ':');
    if (!length)
        usage_die("--stall: '%s': expected AT:FOR or AT:FOR:EVERY, as in 5s:1s", arg);
    *length++ = '\0';
    char *every = strchr(length, ':');
    if (every)
        *every++ = '\0';
    o->stall_at_ns = take_time("--stall", copy);
    o->stall_for_ns = arg_duration("--stall", length);
    o->stall_every_ns = every ? arg_duration("--stall", every) : 0;
    free(copy);
}

static void take_fault(struct options *o, const char *arg) {
    struct err err;
    struct nullserver_fault f;
    if (nullserver_fault_parse(arg, &f, &err))
        usage_die("--fault: %s", err.text);
    o->fault = mem_grow(o->fault, o->server.faults + 1, sizeof *o->fault);
    o->fault[o->server.faults++] = f;
    o->server.fault = o->fault;
}

static void take_option(struct options *o, int c, const char *arg) {
    static const char *const places[] = {"last", "every", "none", NULL};
    struct nullserver_options *s = &o->server;
    switch (c) {
    case OPT_PORT: s->port = (int)arg_int("--port", arg, 0, 65535); break;
    case OPT_HOST: s->host = arg; break;
    case OPT_RATE: s->rate = arg_float("--rate", arg, 1e-3, 1e9); break;
    case OPT_TPOT: s->tpot_ns = take_time("--tpot", arg); break;
    case OPT_TTFT: take_ttft(s, arg); break;
    case OPT_JITTER: s->jitter = arg_float("--jitter", arg, 0, 1); break;
    case OPT_SLOTS: s->slots = (int)arg_int("--slots", arg, 1, 1 << 20); break;
    case OPT_STALL: take_stall(s, arg); break;
    case OPT_TOKENS: s->tokens = arg_size("--tokens", arg, 1, NULLSERVER_MOST_TOKENS); break;
    case OPT_CHUNK: s->chunk = (int)arg_int("--chunk", arg, 1, NULLSERVER_MOST_TOKENS); break;
    case OPT_USAGE: s->usage = arg_choice("--usage", arg, places); break;
    case OPT_PROMPT_TOKENS: s->prompt_tokens = arg_size("--prompt-tokens", arg, 0, 1 << 30); break;
    case OPT_CACHE: s->cache = 1; break;
    case OPT_REQUESTS: s->requests = arg_size("--requests", arg, 1, INT64_MAX); break;
    case OPT_FAULT: take_fault(o, arg); break;
    case OPT_SEED: s->seed = arg_seed(arg); break;
    default: break;
    }
}

/* Options that are fine alone. */
static void check_together(const struct nullserver_options *o) {
    double shares = 0;
    for (size_t i = 0; i < o->faults; i++)
        shares += o->fault[i].share < 1 ? o->fault[i].share : 0;
    if (shares > 1 + 1e-9)
        usage_die("--fault: the shares sum to %g: expected at most 1", shares);
    if (o->cache && o->prompt_tokens >= 0)
        usage_die("--cache knows prefixes by their words, which --prompt-tokens ignores");
    if (o->stall_every_ns && o->stall_every_ns <= o->stall_for_ns)
        usage_die("--stall: a stall must be over before the next begins");
}

/* ---- running ------------------------------------------------------------------------------ */

static struct nullserver *volatile running;     /* for the signal handler; NULL: it is over */

static void stop(int sig) {
    (void)sig;
    if (running)
        nullserver_stop(running);
}

/* SIGINT and SIGTERM end the server, not the program; a shell's background job ignores SIGINT,
 * and that stays so. */
static void catch_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction act;
        if (sigaction(signals[i], NULL, &act) || act.sa_handler == SIG_IGN)
            continue;
        memset(&act, 0, sizeof act);
        act.sa_handler = stop;
        sigaction(signals[i], &act, NULL);
    }
}

/* Thousands of streams need as many descriptors; the usual limit of 1024 is a soft one. */
static void raise_limit(void) {
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_cur == l.rlim_max)
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

static void say_counts(const struct nullserver_counts *n) {
    struct buf faults = {0};
    for (int k = 0; k < NULLSERVER_FAULTS; k++)
        if (n->fault[k])
            buf_printf(&faults, "%s %s %lld", faults.len ? "," : "; faults:",
                       nullserver_fault_name(k), (long long)n->fault[k]);
    warn("%lld requests, %lld cancelled, %lld refused, %lld tokens, %lld connections, %lld stalls; "
         "processor %.2f s of %.2f s; %lld events over 1 ms late, at most %.1f ms%s",
         (long long)n->requests, (long long)n->cancelled, (long long)n->refused,
         (long long)n->tokens, (long long)n->connections, (long long)n->stalls,
         (double)n->cpu_ns / 1e9, (double)n->wall_ns / 1e9, (long long)n->late,
         (double)n->latest_ns / 1e6, faults.len ? faults.data : "");
    buf_free(&faults);
}

int bench_null(int argc, char **argv) {
    struct options o = {.server = nullserver_defaults()};
    struct err err;
    int c;
    while ((c = getopt_long(argc, argv, "qhV", longs, NULL)) != -1)
        if (!common_option(c, optarg, &o.common, usage))
            take_option(&o, c, optarg);
    if (optind < argc)
        usage_die("'%s': null reads nothing", argv[optind]);

    check_together(&o.server);
    raise_limit();
    struct nullserver *server = nullserver_new(&o.server, &err);
    if (!server)
        die("%s", err.text);
    running = server;
    catch_signals();
    printf("llm-bench null: listening on %s\n", nullserver_url(server));
    check_stream(stdout, "-");
    if (nullserver_run(server, &err))
        die("%s", err.text);
    if (!o.common.quiet)
        say_counts(nullserver_counts(server));
    running = NULL;
    nullserver_free(server);
    free(o.fault);
    return EXIT_DONE;
}
