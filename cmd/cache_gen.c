/* cache_gen.c - llm-cache gen: synthetic traces, the same for a seed on every machine */
#include "cmd/cache.h"

#include "cmd/progress.h"
#include "lib/cache/gen.h"
#include "lib/format/zio.h"

static const char *const usage[] = {
    "usage: llm-cache gen [OPTION]...\n"
    "Writes a synthetic trace, JSON Lines in Mooncake's format: sessions that grow turn by turn.\n"
    "The same options give the same bytes on every machine.\n"
    "\n"
    "Sessions\n"
    "      --sessions N       sessions (default 100)\n"
    "      --seed N           random seed (default 1)\n"
    "      --turns X          mean requests of a session, geometric (default 5)\n"
    "      --rate X           sessions that begin in a second, Poisson (default 1)\n"
    "      --think TIME       mean time from a request to the session's next (default 30s)\n"
    "      --context N        most tokens of an input with its output (default 128Ki)\n"
    "\n"
    "Lengths, log-normal\n"
    "      --user-tokens N    mean of the text that a turn adds (default 200)\n"
    "      --output-tokens N  mean of a reply (default 300)\n"
    "      --system-tokens N  mean of a system prompt (default 1500)\n"
    "      --spread X         sigma of the logarithm of lengths and think times; 0 makes them\n"
    "                         all the same (default 1)\n"
    "\n"
    "Prefixes\n"
    "      --system N         system prompts that sessions share; 0 for none (default 20)\n"
    "      --zipf X           the k-th prompt is chosen in proportion to k^-X (default 1)\n"
    "      --block-tokens N   tokens of a block (default 512)\n"
    "\n"
    "  -o, --output FILE      write to FILE; .zst compresses (default: standard output)\n"
    "  -q, --quiet            no progress bar\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n",
    NULL
};

enum {
    OPT_SESSIONS = OPT_VERB, OPT_SEED, OPT_TURNS, OPT_RATE, OPT_THINK, OPT_SYSTEM,
    OPT_SYSTEM_TOKENS, OPT_ZIPF, OPT_USER_TOKENS, OPT_OUTPUT_TOKENS, OPT_SPREAD, OPT_CONTEXT
};

static const struct option longs[] = {
    {"sessions", required_argument, NULL, OPT_SESSIONS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"turns", required_argument, NULL, OPT_TURNS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"think", required_argument, NULL, OPT_THINK},
    {"system", required_argument, NULL, OPT_SYSTEM},
    {"system-tokens", required_argument, NULL, OPT_SYSTEM_TOKENS},
    {"zipf", required_argument, NULL, OPT_ZIPF},
    {"user-tokens", required_argument, NULL, OPT_USER_TOKENS},
    {"output-tokens", required_argument, NULL, OPT_OUTPUT_TOKENS},
    {"spread", required_argument, NULL, OPT_SPREAD},
    {"context", required_argument, NULL, OPT_CONTEXT},
    {"block-tokens", required_argument, NULL, OPT_BLOCK_TOKENS},
    {"output", required_argument, NULL, 'o'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0}
};

#define MOST_CONTEXT ((int64_t)1 << 30)

struct options {
    struct common common;
    struct gen_options gen;
    const char *output;
};

static double mean_tokens(const char *option, const char *arg) {
    return (double)arg_size(option, arg, 1, MOST_CONTEXT);
}

static void take_option(struct options *o, int c, const char *arg) {
    struct gen_options *g = &o->gen;
    switch (c) {
    case OPT_SESSIONS: g->sessions = arg_size("--sessions", arg, 1, (int64_t)1 << 40); break;
    case OPT_SEED: g->seed = arg_seed(arg); break;
    case OPT_TURNS: g->turns = arg_float("--turns", arg, 1, 1e9); break;
    case OPT_RATE: g->rate = arg_float("--rate", arg, 1e-9, 1e9); break;
    case OPT_THINK: g->think_s = (double)arg_duration("--think", arg) / 1e9; break;
    case OPT_SYSTEM: g->systems = arg_size("--system", arg, 0, 1 << 24); break;
    case OPT_SYSTEM_TOKENS: g->system_tokens = mean_tokens("--system-tokens", arg); break;
    case OPT_ZIPF: g->zipf = arg_float("--zipf", arg, 0, 20); break;
    case OPT_USER_TOKENS: g->user_tokens = mean_tokens("--user-tokens", arg); break;
    case OPT_OUTPUT_TOKENS: g->output_tokens = mean_tokens("--output-tokens", arg); break;
    case OPT_SPREAD: g->spread = arg_float("--spread", arg, 0, 4); break;
    case OPT_CONTEXT:
        g->context = arg_size("--context", arg, GEN_LEAST_CONTEXT, MOST_CONTEXT);
        break;
    case OPT_BLOCK_TOKENS: g->block_tokens = arg_size("--block-tokens", arg, 1, 1 << 24); break;
    case 'o': o->output = arg; break;
    default: break;
    }
}

/* Lines leave in pieces of this size. */
#define PIECE (1 << 18)

static int write_trace(struct gen *g, struct zio *z, const struct options *o, struct err *err) {
    struct progress bar;
    struct gen_request q;
    struct buf text = {0};
    int failed = 0;
    progress_start(&bar, "sessions", PROGRESS_COUNT, o->common.quiet);
    while (!failed && gen_next(g, &q)) {
        gen_print(&text, &q);
        if (text.len < PIECE)
            continue;
        failed = zio_write(z, text.data, text.len, err);
        text.len = 0;
        progress_update(&bar, q.session, o->gen.sessions);
    }
    if (!failed && text.len)
        failed = zio_write(z, text.data, text.len, err);
    progress_end(&bar);
    buf_free(&text);
    return failed;
}

int cache_gen(int argc, char **argv) {
    struct options o = {.gen = gen_defaults(), .output = "-"};
    struct err err;
    int c;
    while ((c = getopt_long(argc, argv, "o:qhV", longs, NULL)) != -1)
        if (!common_option(c, optarg, &o.common, usage))
            take_option(&o, c, optarg);
    if (optind < argc)
        usage_die("'%s': gen reads nothing; -o names its output", argv[optind]);

    struct zio *z = zio_open_write(o.output, &err);
    if (!z)
        die_err(&err);
    struct gen *g = gen_new(&o.gen);
    if (write_trace(g, z, &o, &err)) {
        zio_abort(z);
        die_err(&err);
    }
    if (zio_close(z, &err))
        die_err(&err);
    gen_free(g);
    return EXIT_DONE;
}
