/* route_diff.c - llm-route diff: whether two traces, or two parts of one, are routed differently
 *
 * diverge_units.h cuts the sides into what may be shuffled, diverge.h compares and tests; this file
 * holds the options, the order of things and the checks.
 */
#include "cmd/route_diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"

enum {
    OPT_AGAINST = OPT_VERB, OPT_LABELS_B, OPT_CONTROL, OPT_BY, OPT_ALL, OPT_FDR, OPT_LEVEL,
    OPT_RESAMPLES, OPT_SEED, OPT_UNIT, OPT_BLOCK, OPT_PAIRED, OPT_TOP, OPT_FAIL_ABOVE, OPT_FAIL_P,
    OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-route diff [OPTION]... A B\n"
    "       llm-route diff [OPTION]... --where COL=VALUE --against COL=VALUE [FILE]\n"
    "How differently two traces, or two parts of one, are routed: a row a layer, and one of all.\n"
    "Jensen-Shannon divergence in bits beside what shuffled requests show, experts whose use\n"
    "differs, and what is left of it when topics are matched.\n\n"
    "Sides\n"
    "      --against COL=VALUE  of b, as --where, and in place of every --where of that column;\n"
    "                         repeat: all must hold\n"
    "      --labels-b FILE    labels of b, where b has its own\n"
    "      --control COLUMN   compare inside topics: a column of the labels, or phase\n"
    "Test\n"
    "      --unit UNIT        what is shuffled: request, or block of consecutive tokens (default:\n"
    "                         requests when each side has 6, else blocks)\n"
    "      --block N          blocks of N tokens (default: 10 times what routes remember)\n"
    "      --paired           request N of a and of b are the same prompt (those of one file that\n"
    "                         are on both sides always are)\n"
    "      --resamples N      shuffles (default 2000)\n"
    "      --seed N           of the shuffles (default 1)\n"
    "Report\n"
    "      --by WHAT          layer, or expert: rates and their difference (default layer)\n"
    "      --fdr Q            share of false ones among experts called different (default 5%)\n"
    "      --all              every expert, not only those\n"
    "      --level P          of the intervals (default 95%)\n"
    "      --top N            busiest experts, whose overlap is told (default: an eighth of all)\n"
    "      --plot FILE        draw the divergence by layer; .svg or .png\n"
    "Check\n"
    "      --fail-above BITS  exit 3 when the divergence of all layers (matched, with --control)\n"
    "                         is more\n"
    "      --fail-p P         exit 3 when its p is at most that\n",
    ROUTE_INPUT_USAGE,
    FIELDS_USAGE,
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "  -h, --help             -V, --version\n"
    "\nExamples: llm-route diff prose.npy code.npy\n"
    "          llm-route diff --where phase=prefill --against phase=decode routes.npy\n"
    "          llm-route diff --where domain=book --against domain=github counts.tsv\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
    {"against", required_argument, NULL, OPT_AGAINST},
    {"labels-b", required_argument, NULL, OPT_LABELS_B},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"by", required_argument, NULL, OPT_BY},
    {"all", no_argument, NULL, OPT_ALL},
    {"fdr", required_argument, NULL, OPT_FDR},
    {"level", required_argument, NULL, OPT_LEVEL},
    {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"unit", required_argument, NULL, OPT_UNIT},
    {"block", required_argument, NULL, OPT_BLOCK},
    {"paired", no_argument, NULL, OPT_PAIRED},
    {"top", required_argument, NULL, OPT_TOP},
    {"fail-above", required_argument, NULL, OPT_FAIL_ABOVE},
    {"fail-p", required_argument, NULL, OPT_FAIL_P},
    {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

/* ---- options ------------------------------------------------------------------------------ */

static void add_against(struct diff_options *o, const char *arg) {
    if (o->againsts == ROUTE_WHERES)
        usage_die("--against: at most %d of them", ROUTE_WHERES);
    if (!strchr(arg, '=') || *arg == '=')
        usage_die("--against: '%s': expected COLUMN=VALUE", arg);
    o->against[o->againsts++] = arg;
}

static void take_test_option(struct diff_options *o, int c, const char *arg) {
    static const char *const units[] = {"request", "block", NULL};
    switch (c) {
    case OPT_UNIT:
        o->cut.unit = arg_choice("--unit", arg, units) ? DIVERGE_BLOCKS : DIVERGE_REQUESTS;
        break;
    case OPT_BLOCK: o->cut.block = arg_int("--block", arg, 1, INT32_MAX); break;
    case OPT_PAIRED: o->paired = 1; break;
    case OPT_RESAMPLES:
        o->test.resamples = (int)arg_size("--resamples", arg, 100, 100000);
        break;
    case OPT_SEED: o->test.seed = arg_seed(arg); break;
    case OPT_FDR: o->test.fdr = arg_share("--fdr", arg, 1e-6, 1); break;
    case OPT_LEVEL: o->test.level = arg_level(arg); break;
    case OPT_TOP: o->test.top = (int)arg_int("--top", arg, 1, ROUTED_EXPERTS_MOST); break;
    default: break;
    }
}

static void take_option(struct diff_options *o, int c, const char *arg) {
    static const char *const by[] = {"layer", "expert", NULL};
    switch (c) {
    case OPT_AGAINST: add_against(o, arg); break;
    case OPT_LABELS_B:
        common_take_stdin(arg);
        o->labels_b = arg;
        break;
    case OPT_CONTROL:
        if (!*arg)
            usage_die("--control: expected the name of a column");
        o->control = arg;
        break;
    case OPT_BY: o->by_expert = arg_choice("--by", arg, by); break;
    case OPT_ALL: o->every = 1; break;
    case OPT_FAIL_ABOVE: o->fail_above = arg_float("--fail-above", arg, 0, 1); break;
    case OPT_FAIL_P: o->fail_p = arg_float("--fail-p", arg, 0, 1); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    default: take_test_option(o, c, arg); break;
    }
}

static char **parse(struct diff_options *o, int argc, char **argv, int *n) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !route_input_option(c, optarg, &o->in))
            take_option(o, c, optarg);
    if (argc - optind < 2 && !o->againsts)
        usage_die("expected A and B, or --against and one input, found %d input%s", argc - optind,
                  argc - optind == 1 ? "" : "s");
    if (o->cut.unit == DIVERGE_REQUESTS && o->cut.block)
        usage_die("--block is of --unit block");
    if (o->labels_b && argc - optind < 2)
        usage_die("--labels-b is of a second input");
    route_input_ready(&o->in);
    o->test.threads = o->common.threads;
    return common_inputs(argc, argv, usage, 2, n);
}

/* ---- the way ------------------------------------------------------------------------------ */

static struct diverge *compare_counts(const struct diff_options *o, const struct diff_side *s) {
    int layers = s[0].model.layers;
    int experts = s[0].model.experts;
    struct diverge *d = diverge_new(layers, experts);
    double *rate[2];
    for (int i = 0; i < 2; i++) {
        int k = s[0].model.k > 0 && s[1].model.k > 0 ? s[i].model.k : 0;
        rate[i] = mem_array((size_t)layers * (size_t)experts, sizeof *rate[i]);
        diverge_rates_of_counts(s[i].count, layers, experts, k, rate[i]);
    }
    diverge_compare(d, rate[0], rate[1], o->test.top);
    free(rate[1]);
    free(rate[0]);
    return d;
}

static struct diverge *compare_tokens(const struct diff_options *o, const struct diverge_units *u,
                                      int matched) {
    struct diverge_options test = o->test;
    struct diverge *d = diverge_new(u->layers, u->experts);
    test.matched = matched;
    diverge_test(d, u, &test);
    return d;
}

/* The checks that were asked for, of the row of all layers. */
static int judge(const struct diff_options *o, const struct diverge *d) {
    const struct diverge_row *all = &d->row[d->layers];
    int status = EXIT_DONE;
    if (!isnan(o->fail_p) && isnan(all->p)) {
        warn("--fail-p: there is no p to check");
        status = EXIT_NOTHING;
    }
    if (!isnan(o->fail_p) && all->p <= o->fail_p) {
        warn("check: p %.4g of all layers is at most %.4g", all->p, o->fail_p);
        status = EXIT_CHECK;
    }
    if (!isnan(o->fail_above) && all->js_bits > o->fail_above) {
        warn("check: %.4g bits over all layers are more than %.4g", all->js_bits, o->fail_above);
        status = EXIT_CHECK;
    }
    return status;
}

static int report(const struct diff_options *o, struct diff_result *r) {
    const struct diverge *judged = r->matched ? r->matched : r->raw;
    diff_words(o, r);
    if (r->matched && !r->matched->topics) {
        warn("--control %s: no topic is on both sides: nothing to compare", o->control);
        return EXIT_NOTHING;
    }
    if (isnan(judged->row[judged->layers].js_bits)) {
        warn("no layer has routed tokens on both sides: nothing to compare");
        return EXIT_NOTHING;
    }
    diff_rows(o, r);
    diff_plot(o, r);
    return judge(o, judged);
}

static int compare(const struct diff_options *o, const struct diff_side *side) {
    struct diff_result r = {.side = side};
    struct diverge *raw;
    struct diverge *matched = NULL;
    struct diverge_units *u = NULL;
    if (side[0].kind == ROUTED_COUNTS)
        raw = compare_counts(o, side);
    else {
        struct diverge_part part[2] = {{side[0].set, side[0].topic}, {side[1].set, side[1].topic}};
        u = diverge_units_cut(part, &o->cut);
        raw = compare_tokens(o, u, 0);
        matched = o->control ? compare_tokens(o, u, 1) : NULL;
    }
    r.units = u;
    r.raw = raw;
    r.matched = matched;
    int status = report(o, &r);
    diverge_units_free(u);
    diverge_free(matched);
    diverge_free(raw);
    return status;
}

int route_diff(int argc, char **argv) {
    struct diff_options o = {.fail_above = NAN, .fail_p = NAN, .test = {.seed = 1, .fdr = 0.05}};
    struct diff_side side[2];
    int n;
    int status = EXIT_NOTHING;
    char **path = parse(&o, argc, argv, &n);
    o.cut.paired = o.paired || n == 1;
    diff_read(&o, path, n, side);
    int empty_a = diff_side_empty(&side[0]);
    int empty_b = diff_side_empty(&side[1]);
    if (empty_a || empty_b)
        warn("%s: %s: nothing routed: nothing to compare", side[!empty_a].called,
             empty_a && empty_b ? "a and b" : empty_a ? "a" : "b");
    else
        status = compare(&o, side);
    diff_side_free(&side[1]);
    diff_side_free(&side[0]);
    route_input_free(&o.in);
    return status;
}
