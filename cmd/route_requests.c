/* route_requests.c - llm-route requests: which model a request should go to; options are here */
#include "cmd/route_requests.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/fields.h"
#include "cmd/plot.h"
#include "cmd/route.h"
#include "lib/base/par.h"
#include "lib/route/nearest.h"

enum {
    OPT_BY = OPT_FIRST_FREE, OPT_CASCADE, OPT_WEAK, OPT_STRONG, OPT_MODELS, OPT_EXCLUDE,
    OPT_EMBEDDINGS, OPT_NEIGHBOURS, OPT_TIES, OPT_SPLIT, OPT_TRAIN, OPT_TRAIN_EMBEDDINGS, OPT_SHARE,
    OPT_QUALITY, OPT_PGR, OPT_USD, OPT_PRICE, OPT_PRICE_WEAK, OPT_PRICE_STRONG,
    OPT_CHARS_PER_TOKEN, OPT_CURVE, OPT_PARETO, OPT_STEPS, OPT_LEVEL, OPT_RESAMPLES, OPT_SEED,
    OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-route requests [OPTION]... [SCORES]\n"
    "       llm-route requests pick [OPTION]... [REQUESTS]\n"
    "How well routers choose between a weak and a strong model, from scores of both on the same\n"
    "requests, llm-scores(5): CSV of RouteLLM or RouterBench, plain CSV, or JSON Lines. Beside\n"
    "each router always: length, random, both models alone, the oracle, and nearest neighbours\n"
    "where there are embeddings. 'requests pick' sends a stream of requests to models.\n\n"
    "Routers\n"
    "      --by WHAT          what sends a request to the strong model: length (of the prompt,\n"
    "                         the longest first), knn (mean gain of the nearest neighbours),\n"
    "                         random, or a column (the highest first); -WHAT: the lowest first;\n"
    "                         repeat for more routers\n"
    "      --cascade WHAT     ask the weak model, then the strong one too where this confidence\n"
    "                         is lowest, and pay both: a column, or length (of the weak answer:\n"
    "                         the longest are the least sure); -WHAT: where it is highest;\n"
    "                         repeat for more\n"
    "      --ties TIES        of the same score: order (of the input), mean (of all orders),\n"
    "                         together (as a threshold sends them, RouteLLM's way)\n"
    "                         (default order)\n"
    "Models\n"
    "      --weak NAME        (default: the lowest mean score)\n"
    "      --strong NAME      (default: the highest)\n"
    "      --models LIST      which to read (default: all)\n"
    "Requests\n"
    "      --exclude FILE     prompts to leave out: JSON Lines (eval_prompt, prompt) or lines\n"
    "      --embeddings FILE  .npy, a row a request (default: the field embedding)\n"
    "      --neighbours N     of knn (default 10)\n"
    "Learning\n"
    "      --split WHICH      learn from a part, judge on the rest: a share (50%, drawn by\n"
    "                         prompt), or COLUMN=VALUE of those to learn from (default:\n"
    "                         thresholds are chosen on what they are judged on, knn leaves each\n"
    "                         request out)\n"
    "      --train FILE       learn from other scores; --train-embeddings FILE\n"
    "      --share P          choose each threshold for this share of strong calls,\n"
    "      --quality Q        for this mean score,\n"
    "      --pgr P            for this part of the gap between the models, or\n"
    "      --usd N            for this mean cost of a request\n"
    "Prices, of costs that the input does not say\n"
    "      --price-weak PRICE, --price-strong PRICE, --price MODEL=PRICE\n"
    "                         IN,OUT[,CACHED] dollars per million tokens; or MODEL of the price\n"
    "                         book starter, or BOOK:MODEL\n"
    "      --chars-per-token N  where tokens are not counted (default 4)\n",
    "Report\n"
    "      --curve            a row for each router and share of strong calls\n"
    "      --pareto           models and routers that no other beats in quality and cost\n"
    "      --steps N          of the share, for these and the picture (default 10)\n"
    "      --plot FILE        draw quality against cost, or share; .svg or .png\n"
    "      --level P          of the intervals (default 95%)\n"
    "      --resamples N      of the bootstrap (default 10000)\n"
    "      --seed N           of the bootstrap and of --split (default 1)\n",
    FIELDS_USAGE,
    "General\n"
    "  -t, --threads N        (default: all cores)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-route requests --by length scores.csv\n"
    "  llm-route requests --by win_rate --split 50% --share 30% scores.jsonl\n"
    "  llm-route requests --cascade sure --price-weak 0.2,0.6 --price-strong 3,15 scores.csv\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG,
    {"by", required_argument, NULL, OPT_BY},
    {"cascade", required_argument, NULL, OPT_CASCADE},
    {"ties", required_argument, NULL, OPT_TIES},
    {"weak", required_argument, NULL, OPT_WEAK},
    {"strong", required_argument, NULL, OPT_STRONG},
    {"models", required_argument, NULL, OPT_MODELS},
    {"exclude", required_argument, NULL, OPT_EXCLUDE},
    {"embeddings", required_argument, NULL, OPT_EMBEDDINGS},
    {"neighbours", required_argument, NULL, OPT_NEIGHBOURS},
    {"split", required_argument, NULL, OPT_SPLIT},
    {"train", required_argument, NULL, OPT_TRAIN},
    {"train-embeddings", required_argument, NULL, OPT_TRAIN_EMBEDDINGS},
    {"share", required_argument, NULL, OPT_SHARE},
    {"quality", required_argument, NULL, OPT_QUALITY},
    {"pgr", required_argument, NULL, OPT_PGR},
    {"usd", required_argument, NULL, OPT_USD},
    {"price", required_argument, NULL, OPT_PRICE},
    {"price-weak", required_argument, NULL, OPT_PRICE_WEAK},
    {"price-strong", required_argument, NULL, OPT_PRICE_STRONG},
    {"chars-per-token", required_argument, NULL, OPT_CHARS_PER_TOKEN},
    {"curve", no_argument, NULL, OPT_CURVE},
    {"pareto", no_argument, NULL, OPT_PARETO},
    {"steps", required_argument, NULL, OPT_STEPS},
    {"level", required_argument, NULL, OPT_LEVEL},
    {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

/* ---- options ---------------------------------------------------------------------------- */

static void ask_column(struct requests_options *o, const char *name) {
    for (int i = 0; i < o->read.columns; i++)
        if (!strcmp(o->column[i], name))
            return;
    o->column[o->read.columns++] = name;
}

static void ask(struct requests_options *o, const char *option, const char *what, int cascade) {
    static const char *const known[] = {"length", "knn", "random", NULL};
    static const enum requests_by by[] = {BY_LENGTH, BY_KNN, BY_RANDOM, BY_COLUMN};
    struct requests_asked *a = &o->asked[o->n_asked];
    int i = 0;
    if (o->n_asked == REQUESTS_ASKED)
        usage_die("%s: at most %d routers", option, REQUESTS_ASKED);
    *a = (struct requests_asked){.text = what, .cascade = cascade, .lowest = *what == '-'};
    what += a->lowest;
    if (!*what)
        usage_die("%s: '%s': expected length, knn, random or the name of a column", option,
                  a->text);
    while (known[i] && strcmp(what, known[i]))
        i++;
    a->by = by[i];
    a->column = what;
    if (cascade && (a->by == BY_KNN || a->by == BY_RANDOM))
        usage_die("--cascade: '%s': expected length or the name of a column", a->text);
    /* A cascade asks the strong model where confidence is low; long answers are the less sure. */
    if (cascade && a->by == BY_COLUMN)
        a->lowest = !a->lowest;
    if (a->by == BY_COLUMN)
        ask_column(o, what);
    o->n_asked++;
}

static void add_price(struct requests_options *o, const char *option, const char *arg, int pair) {
    struct requests_price *p = &o->price[o->prices];
    if (o->prices == REQUESTS_PRICES)
        usage_die("%s: at most %d prices", option, REQUESTS_PRICES);
    *p = (struct requests_price){.strong = pair == 1};
    if (pair < 0) {
        const char *equals = strrchr(arg, '=');
        if (!equals || equals == arg || !equals[1])
            usage_die("%s: '%s': expected MODEL=PRICE", option, arg);
        p->model = mem_strndup(arg, (size_t)(equals - arg));
        arg = equals + 1;
    }
    prices_parse(option, arg, &p->price);
    o->prices++;
}

static void set_target(struct requests_options *o, enum requests_target target, double value) {
    if (o->target != TARGET_NONE)
        usage_die("one target at most: --share, --quality, --pgr or --usd");
    o->target = target;
    o->target_value = value;
}

static void set_split(struct requests_options *o, const char *arg) {
    const char *equals = strchr(arg, '=');
    if (equals && equals != arg)
        o->read.part = arg;
    else
        o->split = arg_share("--split", arg, 0.001, 0.999);
}

static void set_models(struct requests_options *o, const char *arg) {
    o->models = arg_list(mem_strdup(arg), &o->read.models);
    o->read.model = (const char *const *)o->models;
}

static void take_option(struct requests_options *o, int c, const char *arg) {
    static const char *const ties[] = {"order", "mean", "together", NULL};
    switch (c) {
    case OPT_BY: ask(o, "--by", arg, 0); break;
    case OPT_CASCADE: ask(o, "--cascade", arg, 1); break;
    case OPT_TIES: o->ties = (enum judge_ties)arg_choice("--ties", arg, ties); break;
    case OPT_WEAK: o->weak = arg; break;
    case OPT_STRONG: o->strong = arg; break;
    case OPT_MODELS: set_models(o, arg); break;
    case OPT_EXCLUDE: o->read.exclude = arg; break;
    case OPT_EMBEDDINGS: o->embeddings = arg; break;
    case OPT_NEIGHBOURS: o->k = (int)arg_int("--neighbours", arg, 1, NEAREST_MOST); break;
    case OPT_SPLIT: set_split(o, arg); break;
    case OPT_TRAIN: o->train = arg; break;
    case OPT_TRAIN_EMBEDDINGS: o->train_embeddings = arg; break;
    case OPT_SHARE: set_target(o, TARGET_SHARE, arg_share("--share", arg, 0, 1)); break;
    case OPT_QUALITY: set_target(o, TARGET_QUALITY, arg_float("--quality", arg, -1e300, 1e300));
        break;
    case OPT_PGR: set_target(o, TARGET_PGR, arg_share("--pgr", arg, 0, 1)); break;
    case OPT_USD: set_target(o, TARGET_USD, arg_float("--usd", arg, 0, 1e9)); break;
    case OPT_PRICE: add_price(o, "--price", arg, -1); break;
    case OPT_PRICE_WEAK: add_price(o, "--price-weak", arg, 0); break;
    case OPT_PRICE_STRONG: add_price(o, "--price-strong", arg, 1); break;
    case OPT_CHARS_PER_TOKEN:
        o->chars_per_token = arg_float("--chars-per-token", arg, 0.1, 100);
        break;
    case OPT_CURVE: o->curve = 1; break;
    case OPT_PARETO: o->pareto = 1; break;
    case OPT_STEPS: o->steps = (int)arg_int("--steps", arg, 1, 1000); break;
    case OPT_LEVEL: o->boot.level = arg_level(arg); break;
    case OPT_RESAMPLES: o->boot.resamples = (int)arg_size("--resamples", arg, 100, 1000000); break;
    case OPT_SEED: o->boot.seed = arg_seed(arg); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    default: break;
    }
}

static void check_stdin(const struct requests_options *o) {
    const char *const from[] = {o->path, o->train, o->read.exclude, o->embeddings,
                                o->train_embeddings};
    int stdins = 0;
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        stdins += from[i] && !strcmp(from[i], "-");
    if (stdins > 1 || (o->train && o->read.exclude && !strcmp(o->read.exclude, "-")))
        usage_die("stdin can be read only once");
}

static void check(const struct requests_options *o) {
    if (o->train && (o->split > 0 || o->read.part))
        usage_die("either --split or --train");
    if (o->train_embeddings && !o->train)
        usage_die("--train-embeddings: expected --train too");
    if (o->curve && o->pareto)
        usage_die("either --curve or --pareto");
    if (o->weak && o->strong && !strcmp(o->weak, o->strong))
        usage_die("--weak, --strong: '%s': expected two models", o->weak);
    check_stdin(o);
}

static void parse(struct requests_options *o, int argc, char **argv) {
    int c;
    int n;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common))
            take_option(o, c, optarg);
    o->path = common_inputs(argc, argv, usage, 1, &n)[0];
    o->read.column = o->column;
    check(o);
}

/* ---- the verb --------------------------------------------------------------------------- */

static int pick(int argc, char **argv) {
    static char name[] = "llm-route requests pick";
    common_start(name);
    argv[0] = name;
    return route_requests_pick(argc, argv);
}

int route_requests(int argc, char **argv) {
    struct requests_options o = {.k = 10, .steps = JUDGE_STEPS, .chars_per_token = 4,
                                 .boot = {.resamples = 10000, .level = 0.95, .seed = 1}};
    struct requests_data d = {0};
    struct requests_routers all;
    if (argc > 1 && !strcmp(argv[1], "pick"))
        return pick(argc - 1, argv + 1);
    parse(&o, argc, argv);
    d.par = par_new(o.common.threads);
    requests_read(&o, &d);
    requests_routers_make(&o, &d, &all);
    if (o.curve)
        requests_curve(&o, &d, &all);
    else if (o.pareto)
        requests_pareto(&o, &d, &all);
    else
        requests_rows(&o, &d, &all);
    requests_plot(&o, &d, &all);
    int gap = all.r[0].judge->strong > all.r[0].judge->weak;
    requests_routers_free(&all);
    requests_free(&d);
    par_free(d.par);
    return gap ? EXIT_DONE : EXIT_NOTHING;
}
