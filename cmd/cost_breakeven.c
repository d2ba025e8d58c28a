/* cost_breakeven.c - llm-cost breakeven: a trace paid in every way, and where the cheapest changes
 *
 * This file holds the command line and the order of the work; cost_breakeven.h names the others.
 */
#include "cmd/cost_breakeven.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/base/num.h"

enum {
    OPT_MODEL = OPT_VERB, OPT_WAYS, OPT_OWN, OPT_OWN_PRICE, OPT_THROUGHPUT, OPT_UTILISATION,
    OPT_DEVICES, OPT_BATCH, OPT_SLACK, OPT_COVERS, OPT_START, OPT_FROM, OPT_TO, OPT_CHANGES,
    OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-cost breakeven [OPTION]... [USAGE]...\n"
    "What a trace of usage costs per token, in batches, at other hours, in provisioned units, in\n"
    "plans and on devices of one's own; which is cheapest, and from which volume to which.\n\n"
    "Ways\n"
    "      --model NAME       model of all records (default: what each says)\n"
    "      --ways LIST        only these: api, batch, flex, priority, off-peak, provisioned,\n"
    "                         plan, own, or one of a kind as in plan:NAME (default: all).\n"
    "                         Plans win only where this names them: a plan is for its maker's\n"
    "                         programs, and may not be for yours\n"
    "      --slack TIME       how long a request may wait, as in 24h: off-peak moves it by so\n"
    "                         much at most; batch wins from 24h on, flex from 1s (default 0)\n",
    "Devices of one's own\n"
    "      --own DEVICE       rent these, as in h100-sxm (llm-cost device), or a profile; repeat\n"
    "                         for more\n"
    "      --own-price USD    of one for an hour (default: of each provider in the book)\n"
    "      --throughput P,D   prompt tokens and tokens made a second of one (default: modelled\n"
    "                         from the shape, by the roofline)\n"
    "      --devices N        so many work as one (default: as few as hold the model)\n"
    "      --batch N          requests decoded at once (default: as many as fit, to 64)\n"
    "      --compute TYPE     arithmetic: bf16, fp8, ... (default: the profile's first)\n"
    "      --utilisation P    devices are busy for this share of the time, and what comes in\n"
    "                         between waits (default: enough for the busiest minute)\n",
    COST_MODEL_USAGE
    "                         Default of --shape: the book's for the model\n",
    COST_BOOK_USAGE
    "                         Repeat --book for the ways of several books\n",
    COST_INPUT_USAGE
    "      --covers TIME      what the usage covers, as in 7d (default: from first to last)\n"
    "      --start DATE       when the clock of a trace without a calendar stood at 0, UTC\n"
    "Report\n"
    "      --changes          a row for each range of volumes with its cheapest way\n"
    "      --from X, --to X   multiples of the trace's volume to look at (default 0.001 to 1M)\n"
    "      --plot FILE        draw dollars per million tokens by volume; .svg or .png\n",
    FIELDS_USAGE,
    "\nExamples\n"
    "  llm-cost breakeven --model gpt-5.4 --slack 24h usage.jsonl\n"
    "  llm-cost breakeven --shape llama-3.1-70b --own h100-sxm --plot curve.svg usage.jsonl\n"
    "  llm-cost breakeven --own h200 --own-price 3.5 --throughput 20000,2500 usage.jsonl\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_INPUT_LONG, COST_MODEL_LONG,
    {"model", required_argument, NULL, OPT_MODEL}, {"ways", required_argument, NULL, OPT_WAYS},
    {"own", required_argument, NULL, OPT_OWN},
    {"own-price", required_argument, NULL, OPT_OWN_PRICE},
    {"throughput", required_argument, NULL, OPT_THROUGHPUT},
    {"utilisation", required_argument, NULL, OPT_UTILISATION},
    {"devices", required_argument, NULL, OPT_DEVICES},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"compute", required_argument, NULL, OPT_COMPUTE},
    {"slack", required_argument, NULL, OPT_SLACK},
    {"covers", required_argument, NULL, OPT_COVERS},
    {"start", required_argument, NULL, OPT_START},
    {"from", required_argument, NULL, OPT_FROM}, {"to", required_argument, NULL, OPT_TO},
    {"changes", no_argument, NULL, OPT_CHANGES}, {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

/* ---- options ------------------------------------------------------------------------------ */

static const char *const kinds[] = {"api", "batch", "flex", "priority", "off-peak", "provisioned",
                                    "plan", "own", NULL};

static void take_ways(struct breakeven_options *o, const char *arg) {
    free(o->ways);
    o->ways = arg_list(mem_strdup(arg), &o->n_ways);
    for (int i = 0; i < o->n_ways; i++) {
        const char *colon = strchr(o->ways[i], ':');
        char *kind = mem_strndup(o->ways[i], colon ? (size_t)(colon - o->ways[i])
                                                   : strlen(o->ways[i]));
        arg_choice("--ways", kind, kinds);
        free(kind);
    }
}

static void take_throughput(struct breakeven_options *o, const char *arg) {
    char *text = mem_strdup(arg);
    int n;
    char **part = arg_list(text, &n);
    if (n != 2 || num_float(part[0], 1e-3, 1e12, &o->prefill_tps) ||
        num_float(part[1], 1e-3, 1e12, &o->decode_tps))
        usage_die("--throughput: '%s': expected tokens a second of prompts and of output, as in "
                  "20000,2500", arg);
    free(part);
    free(text);
}

static void take_own(struct breakeven_options *o, const char *arg) {
    if (o->owns == BREAKEVEN_OWN)
        usage_die("--own: expected at most %d devices", BREAKEVEN_OWN);
    o->own[o->owns++] = arg;
}

static void take_option(struct breakeven_options *o, int c, const char *arg) {
    switch (c) {
    case OPT_MODEL: o->model = arg; break;
    case OPT_WAYS: take_ways(o, arg); break;
    case OPT_OWN: take_own(o, arg); break;
    case OPT_OWN_PRICE: o->own_price = arg_money("--own-price", arg); break;
    case OPT_THROUGHPUT: take_throughput(o, arg); break;
    case OPT_UTILISATION: o->utilisation = arg_share("--utilisation", arg, 0.001, 1); break;
    case OPT_DEVICES: o->devices = (int)arg_int("--devices", arg, 1, 1024); break;
    case OPT_BATCH: o->batch = (int)arg_int("--batch", arg, 1, 65536); break;
    case OPT_COMPUTE: o->compute = arg; break;
    case OPT_SLACK: o->slack_ns = arg_duration("--slack", arg); break;
    case OPT_COVERS: o->covers_ns = arg_duration("--covers", arg); break;
    case OPT_START: o->in.start_ns = arg_date("--start", arg); break;
    case OPT_FROM: o->from = arg_float("--from", arg, 1e-9, 1e9); break;
    case OPT_TO: o->to = arg_float("--to", arg, 1e-9, 1e9); break;
    case OPT_CHANGES: o->changes = 1; break;
    case OPT_SKIP_BAD: o->in.skip_bad = 1; break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    }
}

static void parse(struct breakeven_options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_book_option(c, optarg, &o->books) &&
            !cost_shape_option(c, optarg, &o->shape))
            take_option(o, c, optarg);
    if (o->from >= o->to)
        usage_die("--from %g: expected less than --to %g", o->from, o->to);
    if (!o->owns && (o->own_price >= 0 || o->prefill_tps > 0 || o->utilisation > 0))
        usage_die("--own-price, --throughput and --utilisation are of devices: expected --own");
}

/* ---- ways --------------------------------------------------------------------------------- */

int breakeven_wants(const struct breakeven_options *o, const char *name) {
    size_t kind = strcspn(name, ":");
    for (int i = 0; i < o->n_ways; i++)
        if (!strcmp(o->ways[i], name) ||
            (strlen(o->ways[i]) == kind && !strncmp(o->ways[i], name, kind)))
            return 1;
    return !o->ways;
}

void breakeven_left_out(const struct breakeven_options *o, const char *fmt, ...) {
    struct buf text = {0};
    char line[512];
    va_list ap;
    if (o->common.quiet)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    buf_adds(&text, line);
    warn("left out: %s", text.data);
    buf_free(&text);
}

struct breakeven_way *breakeven_add(struct breakeven *b, const struct breakeven_side *side,
                                    struct plan_way *way, int64_t waits_ns) {
    b->way = mem_grow(b->way, (size_t)b->n + 1, sizeof *b->way);
    struct breakeven_way *w = &b->way[b->n++];
    *w = (struct breakeven_way){.way = way, .side = side, .waits_ns = waits_ns,
                                .wins_from = NAN, .wins_to = NAN};
    plan_cost(way, &w->cost);
    return w;
}

/* Only those compete whose waiting --slack allows; plans, where they were asked for. */
static int may_win(const struct breakeven_options *o, const struct breakeven_way *w) {
    if (!strncmp(plan_name(w->way), "plan:", 5))
        return o->ways != NULL;
    return w->waits_ns <= o->slack_ns && (w->waits_ns >= 0 || o->slack_ns > 0);
}

static void find_winners(const struct breakeven_options *o, struct breakeven *b) {
    struct plan_way **way = mem_array((size_t)b->n, sizeof *way);
    int *index = mem_array((size_t)b->n, sizeof *index);
    int n = 0;
    for (int i = 0; i < b->n; i++) {
        struct breakeven_way *w = &b->way[i];
        w->competes = may_win(o, w);
        if (!w->competes)
            continue;
        index[n] = i;
        way[n++] = w->way;
    }
    b->span = plan_winners(way, n, o->from, o->to, &b->spans, &b->searched);
    for (size_t i = 0; i < b->spans; i++) {
        struct plan_span *s = &b->span[i];
        if (s->way < 0)
            continue;
        s->way = index[s->way];
        struct breakeven_way *w = &b->way[s->way];
        if (!w->wins++)
            w->wins_from = s->from;
        w->wins_to = s->to;
    }
    if (b->searched < o->to && !o->common.quiet)
        warn("too many steps: volumes are looked at to %.6g times the trace's", b->searched);
    free(way);
    free(index);
}

/* ---- the verb ----------------------------------------------------------------------------- */

void breakeven_free(struct breakeven *b) {
    for (int i = 0; i < b->n; i++)
        plan_way_free(b->way[i].way);
    for (int i = 0; i < b->sides; i++) {
        plan_free(&b->side[i].trace);
        for (size_t k = 0; k < sizeof b->side[i].out / sizeof *b->side[i].out; k++)
            free(b->side[i].out[k]);
    }
    free(b->way);
    free(b->span);
}

int cost_breakeven(int argc, char **argv) {
    struct breakeven_options o = {.books = COST_BOOKS, .shape = COST_SHAPE, .own_price = -1,
                                  .from = 1e-3, .to = 1e6};
    struct breakeven b = {0};
    int n;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    cost_books_ready(&o.books, COST_BOOKS_MOST);
    int status = breakeven_read(&o, path, n, &b);
    if (status == EXIT_DONE) {
        breakeven_tokens(&o, &b);
        breakeven_units(&o, &b);
        breakeven_plans(&o, &b);
        status = breakeven_own(&o, &b);
    }
    if (status == EXIT_DONE && !b.n) {
        warn("none of the ways that --ways names can be had");
        status = EXIT_NOTHING;
    }
    if (status == EXIT_DONE) {
        find_winners(&o, &b);
        breakeven_print(&o, &b);
        breakeven_draw(&o, &b);
    }
    breakeven_free(&b);
    shape_free(o.shape.shape);
    cost_books_free(&o.books);
    if (o.ways)
        free(o.ways[0]);
    free(o.ways);
    return status;
}
