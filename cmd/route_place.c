/* route_place.c - llm-route place: which rank holds which experts, and what that does to traffic
 *
 * Plans come from route_place_plan.c; what was asked for decides what is printed: the plan itself
 * (--json), methods side by side (route_place_table.c), plans of one part run on another
 * (route_place_regret.c), or when planning again pays (route_place_replan.c).
 */
#include "cmd/route_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/placement_json.h"

enum {
    OPT_RANKS = OPT_VERB, OPT_NODES, OPT_GROUPS, OPT_REPLICAS, OPT_METHOD, OPT_EVAL, OPT_FOLDS,
    OPT_WINDOW, OPT_TRAFFIC, OPT_SEED, OPT_PARTS, OPT_BY_LAYER, OPT_LEVEL, OPT_REGRET,
    OPT_FORM, OPT_FROM, OPT_MAX_MOVES,
    OPT_REPLAN, OPT_THRESHOLD, OPT_WINDOW_MS, OPT_MOVE_MS, OPT_LINK
};

static const char *const usage[] = {
    "usage: llm-route place --ranks N [OPTION]... [ROUTES]...\n"
    "Places experts, with replicas, onto ranks, and says how even ranks are then; a row for each\n"
    "method: no plan (identity), the published balancer (eplb), ours (steady). 0 imbalance is\n"
    "best; vs_eplb -0.15 waits 15 % less than EPLB. Several inputs are one training traffic.\n\n"
    "Placement\n"
    "      --ranks N          devices\n"
    "      --nodes N          that they stand in (default 1)\n"
    "      --groups N         of experts, that EPLB keeps on nodes (default 1)\n"
    "      --replicas N       physical slots of a layer in all (default: one for each expert,\n"
    "                         made a multiple of the ranks)\n"
    "      --method LIST      current, identity, eplb, steady, step (default: all that can\n"
    "                         be); the plan that is written is the last of them\n"
    "      --traffic W        steady: what one node more for every token weighs, in squares of\n"
    "                         max/mean - 1 (default 0: nodes are not looked at)\n"
    "      --seed N           of what steady draws (default 1)\n"
    "      --from PLAN        the placement that there is, as -o writes it or an engine reads\n"
    "                         it: methods current, and moves that each takes\n"
    "      --max-moves N      from there, the best N changes of a slot: method step\n"
    "  -o, --output FILE      write the plan of the last method\n"
    "      --form FORM        of plans: full, sglang, vllm, vllm-ascend (default full)\n"
    "Traffic\n"
    "      --eval ROUTES      judge on this traffic, which no plan has seen\n"
    "      --folds N          judge on each of N pieces what was planned on the others\n"
    "      --window N         tokens that a pass handles (default 32)\n"
    "      --parts COL=VALUE,...  take these parts of the input\n"
    "      --regret           plan from each input or part, run on each\n",
    "When to plan again\n"
    "      --replan           walk through one trace, plan never, and again and again\n"
    "      --threshold X      plan also after each window whose imbalance is above X\n"
    "      --window-ms MS     a window's time with all ranks even\n"
    "      --move-ms MS       to fetch an expert; or\n"
    "      --link BYTES       a second into each rank, all at once (50G)\n",
    ROUTE_INPUT_USAGE,
    FIELDS_USAGE
    "      --by-layer         a row for each layer too\n"
    "      --level SHARE      of intervals (default 0.95)\n"
    "General\n"
    "  -t, --threads N        (default: one per core)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-route place --ranks 8 --replicas 144 --folds 2 routes.npy\n"
    "  llm-route place --ranks 8 --replicas 72 --eval heldout.npy train.npy\n"
    "  llm-route place --ranks 8 --replicas 72 --form sglang --json train.npy >plan.json\n",
    NULL};

static int take_methods(char *list) {
    int n;
    int bits = 0;
    char **part = arg_list(list, &n);
    for (int i = 0; i < n; i++)
        bits |= 1 << arg_choice("--method", part[i], place_names);
    free(part);
    return bits;
}

static void take_option(struct place_options *o, int c, char *arg) {
    switch (c) {
    case OPT_RANKS: o->grid.ranks = (int)arg_int("--ranks", arg, 1, 65536); break;
    case OPT_NODES: o->grid.nodes = (int)arg_int("--nodes", arg, 1, 65536); break;
    case OPT_GROUPS: o->groups = (int)arg_int("--groups", arg, 1, 32767); break;
    case OPT_REPLICAS: o->grid.slots = (int)arg_int("--replicas", arg, 1, 1 << 20); break;
    case OPT_METHOD: o->methods |= take_methods(arg); break;
    case OPT_EVAL:
        common_take_stdin(arg);
        o->eval = arg;
        break;
    case OPT_FOLDS: o->folds = (int)arg_int("--folds", arg, 2, 1000); break;
    case OPT_WINDOW: o->window = arg_int("--window", arg, 1, INT64_C(1) << 40); break;
    case OPT_TRAFFIC: o->pull = arg_float("--traffic", arg, 0, 1e6); break;
    case OPT_SEED: o->seed = arg_seed(arg); break;
    case OPT_PARTS:
        if (!strchr(arg, '=') || *arg == '=' || !strchr(arg, '=')[1])
            usage_die("--parts: '%s': expected COLUMN=VALUE,VALUE", arg);
        o->parts = arg;
        break;
    case OPT_BY_LAYER: o->by_layer = 1; break;
    case OPT_REPLAN: o->replan = 1; break;
    case OPT_THRESHOLD: o->threshold = arg_float("--threshold", arg, 0, 1e9); break;
    case OPT_WINDOW_MS: o->window_ms = arg_float("--window-ms", arg, 1e-9, 1e9); break;
    case OPT_MOVE_MS: o->move_ms = arg_float("--move-ms", arg, 0, 1e9); break;
    case OPT_LINK: o->link_bytes_per_s = (double)arg_size("--link", arg, 1, INT64_MAX); break;
    case OPT_FORM:
        o->form = arg_choice("--form", arg, placement_forms);
        o->form_given = 1;
        break;
    case OPT_FROM:
        common_take_stdin(arg);
        o->from = arg;
        break;
    case OPT_MAX_MOVES: o->most_moves = arg_int("--max-moves", arg, 1, INT64_MAX / 4); break;
    case 'o': o->output = arg; break;
    case OPT_REGRET: o->regret = 1; break;
    case OPT_LEVEL: o->level = arg_level(arg); break;
    default: break;
    }
}

/* Options that need others, or go against them. */
static void check(const struct place_options *o) {
    int judged = o->eval || o->folds || o->regret || o->replan;
    int from = 1 << PLACE_CURRENT | 1 << PLACE_STEP;
    if (!o->grid.ranks && !o->from)
        usage_die("--ranks is needed: how many devices there are");
    if (o->most_moves && !o->from)
        usage_die("--max-moves: from which placement? It needs --from");
    if (o->methods & from && !o->from)
        usage_die("--method current, step: from which placement? They need --from");
    if (o->methods & 1 << PLACE_STEP && !o->most_moves)
        usage_die("--method step: how many moves? It needs --max-moves");
    if (o->regret && (o->eval || o->folds))
        usage_die("--regret runs plans on each other's parts: --eval and --folds are not for it");
    if (o->eval && o->folds)
        usage_die("--eval and --folds: either, not both");
    if (o->replan && (o->eval || o->folds || o->regret))
        usage_die("--replan: --eval, --folds and --regret are not for it");
    if (!o->replan && (o->threshold >= 0 || o->window_ms > 0 || o->move_ms >= 0 ||
                       o->link_bytes_per_s > 0))
        usage_die("--threshold, --window-ms, --move-ms and --link need --replan");
    if (o->move_ms >= 0 && o->link_bytes_per_s > 0)
        usage_die("--move-ms and --link: either, not both");
    if (o->output && (o->regret || o->replan))
        usage_die("--output writes one plan: --regret and --replan make many");
    if (o->output && !strcmp(o->output, "-"))
        usage_die("--output: '-': expected a file; --json alone prints the plan");
    if (o->form_given && !o->output && (judged || !o->common.json))
        usage_die("--form is that of a plan: it needs --output, or --json alone");
}

static void parse(struct place_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
        {"ranks", required_argument, NULL, OPT_RANKS},
        {"nodes", required_argument, NULL, OPT_NODES},
        {"groups", required_argument, NULL, OPT_GROUPS},
        {"replicas", required_argument, NULL, OPT_REPLICAS},
        {"method", required_argument, NULL, OPT_METHOD},
        {"eval", required_argument, NULL, OPT_EVAL},
        {"folds", required_argument, NULL, OPT_FOLDS},
        {"window", required_argument, NULL, OPT_WINDOW},
        {"traffic", required_argument, NULL, OPT_TRAFFIC},
        {"seed", required_argument, NULL, OPT_SEED},
        {"parts", required_argument, NULL, OPT_PARTS},
        {"by-layer", no_argument, NULL, OPT_BY_LAYER},
        {"replan", no_argument, NULL, OPT_REPLAN},
        {"threshold", required_argument, NULL, OPT_THRESHOLD},
        {"window-ms", required_argument, NULL, OPT_WINDOW_MS},
        {"move-ms", required_argument, NULL, OPT_MOVE_MS},
        {"link", required_argument, NULL, OPT_LINK},
        {"form", required_argument, NULL, OPT_FORM},
        {"from", required_argument, NULL, OPT_FROM},
        {"max-moves", required_argument, NULL, OPT_MAX_MOVES},
        {"output", required_argument, NULL, 'o'},
        {"regret", no_argument, NULL, OPT_REGRET},
        {"level", required_argument, NULL, OPT_LEVEL},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT "o:", longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !route_input_option(c, optarg, &o->in))
            take_option(o, c, optarg);
    check(o);
    route_input_ready(&o->in);
}

/* The plan alone, on stdout: --json where no judgement was asked for. */
static int write_plan(const struct place *p) {
    struct traffic_part *part = mem_array((size_t)p->inputs, sizeof *part);
    for (int i = 0; i < p->inputs; i++)
        part[i] = place_part(&p->input[i]);
    struct traffic train = place_traffic(p, part, p->inputs);
    struct placement *plan = place_plan(p, place_best(p), &train);
    place_write(p, plan, "-");
    if (p->o->output)
        place_write(p, plan, p->o->output);
    placement_free(plan);
    free(part);
    return EXIT_DONE;
}

static int run(const struct place *p) {
    const struct place_options *o = p->o;
    if (o->regret)
        return place_regret(p);
    if (o->replan)
        return place_replan(p);
    if (o->common.json && !o->eval && !o->folds)
        return write_plan(p);
    return place_table(p);
}

int route_place(int argc, char **argv) {
    struct place_options o = {.groups = 1, .window = 32, .seed = 1,
                              .level = 0.95, .threshold = -1, .move_ms = -1};
    struct place p;
    int paths;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, PLACE_INPUTS, &paths);
    int status = EXIT_NOTHING;
    if (place_read(&p, &o, path, paths) == 0)
        status = run(&p);
    place_free(&p);
    route_input_free(&o.in);
    return status;
}
