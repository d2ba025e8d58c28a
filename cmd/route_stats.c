/* route_stats.c - llm-route stats: how evenly experts are used, and how soon they come back
 *
 * The trace is read once; what is counted on the way is what the report needs (lib/route/tally.h).
 */
#include "cmd/route_stats.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/plot.h"
#include "cmd/progress.h"

enum {
    OPT_BY = OPT_VERB, OPT_PAIRS, OPT_LEAST, OPT_UNIQUE, OPT_HEAT, OPT_PLOT, OPT_RESAMPLES,
    OPT_LEVEL, OPT_SEED
};

static const char *const usage[] = {
    "usage: llm-route stats [OPTION]... [TRACE]\n"
    "How evenly the experts of each layer are used, and how soon they are used again: a row for\n"
    "each layer, and one for all. A count table has what loads say alone.\n\n"
    "Report\n"
    "      --by expert        rows are the experts of each layer\n"
    "      --pairs N          rows are the N pairs of a layer that share the most tokens beside\n"
    "                         what chance has (lift)\n"
    "      --least N          tokens to expect of a pair by chance, fewer and it is left out\n"
    "                         (default 5)\n"
    "      --unique LIST      rows are numbers of tokens that follow each other in a request\n"
    "                         (2,8,32): how many experts of a layer they use together, beside\n"
    "                         N(1-(1-k/N)^B); of decoded tokens where there are any\n"
    "      --heat             a picture of layers by experts in characters\n"
    "      --plot FILE        the same in a file, .svg or .png, beside the rows\n"
    "Intervals\n"
    "      --resamples N      of blocks of the trace (default 1000; 0: no intervals)\n"
    "      --level SHARE      chance that an interval holds the truth (default 95%)\n"
    "      --seed N           of the resamples (default 1)\n",
    ROUTE_INPUT_USAGE,
    FIELDS_USAGE,
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-run -m MODEL.gguf -f prose.txt -n 0 --routes - | llm-route stats\n"
    "  llm-route stats --where phase=decode --json routes.npy\n"
    "  llm-route stats --pairs 5 routes.npy\n",
    NULL};

static void add_uniques(struct stats_options *o, char *list) {
    int n;
    char **part = arg_list(list, &n);
    o->unique = mem_grow(o->unique, (size_t)(n ? n : 1), sizeof *o->unique);
    o->uniques = n;
    for (int i = 0; i < n; i++)
        o->unique[i] = arg_int("--unique", part[i], 1, 1 << 20);
    free(part);
}

static void parse(struct stats_options *o, int argc, char **argv) {
    static const char *const bys[] = {"layer", "expert", NULL};
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
        {"by", required_argument, NULL, OPT_BY},
        {"pairs", required_argument, NULL, OPT_PAIRS},
        {"least", required_argument, NULL, OPT_LEAST},
        {"unique", required_argument, NULL, OPT_UNIQUE},
        {"heat", no_argument, NULL, OPT_HEAT},
        {"plot", required_argument, NULL, OPT_PLOT},
        {"resamples", required_argument, NULL, OPT_RESAMPLES},
        {"level", required_argument, NULL, OPT_LEVEL},
        {"seed", required_argument, NULL, OPT_SEED},
        {NULL, 0, NULL, 0}};
    int c, n;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || fields_option(c, optarg, &o->common) ||
            route_input_option(c, optarg, &o->in))
            continue;
        switch (c) {
        case OPT_BY: o->by_expert = arg_choice("--by", optarg, bys); break;
        case OPT_PAIRS: o->pairs = (int)arg_int("--pairs", optarg, 1, 1 << 20); break;
        case OPT_LEAST: o->least = arg_float("--least", optarg, 0, 1e18); break;
        case OPT_UNIQUE: add_uniques(o, optarg); break;
        case OPT_HEAT: o->heat = 1; break;
        case OPT_PLOT: o->plot = plot_check(optarg); break;
        case OPT_RESAMPLES:
            o->boot.resamples = (int)arg_int("--resamples", optarg, 0, 1000000);
            o->boot.resamples -= !o->boot.resamples;
            break;
        case OPT_LEVEL: o->boot.level = arg_level(optarg); break;
        case OPT_SEED: o->boot.seed = arg_seed(optarg); break;
        }
    }
    if (o->by_expert + (o->pairs > 0) + (o->uniques > 0) + o->heat > 1)
        usage_die("--by expert, --pairs, --unique and --heat are different reports: ask for one");
    if (o->uniques && o->plot)
        usage_die("--plot: no picture of --unique");
    route_input_ready(&o->in);
    o->path = common_inputs(argc, argv, usage, 1, &n)[0];
}

/* ---- reading ---------------------------------------------------------------------------- */

static void seen(void *arg, int64_t tokens) {
    progress_update(arg, tokens, -1);
}

static struct tally *read_tokens(const struct stats_options *o, struct routed *r) {
    struct progress bar;
    struct err e = {{0}};
    int layers = !o->by_expert && !o->pairs && !o->heat;
    struct tally_options opt = {.recur = layers, .together = o->pairs > 0,
                                .threads = o->common.threads, .seen = seen, .arg = &bar};
    progress_start(&bar, "reading", PROGRESS_COUNT, o->common.quiet);
    struct tally *t = tally_read(r, &opt, &e);
    progress_end(&bar);
    if (!t)
        die_err(&e);
    if (t->recur && recur_forgotten(t->recur) && !o->common.quiet)
        warn("%s: %lld requests came back after so many others that their tokens before are "
             "forgotten: overlap and reuse count them as new", routed_name(r),
             (long long)recur_forgotten(t->recur));
    return t;
}

double stats_tokens(const struct stats *s, int layer) {
    return s->tally ? (double)balance_blocks_tokens(s->tally->blocks, layer) : NAN;
}

static double pairs_of(const struct stats *s) {
    double sum = 0;
    for (size_t i = 0; i < (size_t)s->model->layers * (size_t)s->experts; i++)
        sum += s->count[i];
    return sum;
}

/* ---- the program ------------------------------------------------------------------------ */

static void report(const struct stats *s) {
    const struct stats_options *o = s->o;
    if (o->plot)
        stats_plot(s);
    if (o->heat)
        stats_heat(s);
    else if (o->pairs)
        stats_pairs(s);
    else if (o->by_expert)
        stats_experts(s);
    else
        stats_layers(s);
}

static void read_table(struct routed *r, struct stats *s, double **count) {
    struct err e = {{0}};
    if (s->o->pairs)
        die("%s: a count table does not say which experts go together", routed_name(r));
    *count = routed_counts(r, &e);
    if (!*count)
        die_err(&e);
    s->count = *count;
    s->experts = s->model->experts;
}

/* 1: nothing was counted. */
static int run(const struct stats_options *o) {
    struct err e = {{0}};
    struct tally *t = NULL;
    double *count = NULL;
    struct routed *r = routed_open(o->path, &o->in.routed, &e);
    if (!r)
        die_err(&e);
    struct stats s = {.o = o, .model = routed_model(r)};
    if (routed_kind(r) == ROUTED_COUNTS) {
        read_table(r, &s, &count);
    } else {
        s.tally = t = read_tokens(o, r);
        s.count = t->count;
        s.experts = t->experts;
    }
    int nothing = !(pairs_of(&s) > 0);
    if (!nothing)
        report(&s);
    tally_free(t);
    free(count);
    routed_close(r);
    return nothing;
}

int route_stats(int argc, char **argv) {
    struct stats_options o = {.least = 5, .boot = {.seed = 1, .level = 0.95}};
    parse(&o, argc, argv);
    int nothing = o.uniques ? stats_unique(&o) : run(&o);
    if (nothing)
        warn("%s: no routed tokens%s", input_name(o.path),
             o.in.wheres ? " that hold --where" : "");
    route_input_free(&o.in);
    free(o.unique);
    return nothing ? EXIT_NOTHING : EXIT_DONE;
}
