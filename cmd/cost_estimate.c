/* cost_estimate.c - llm-cost estimate: time, energy and money of a request on a device
 *
 * The work of a request (lib/cost/work.h) on a roofline (lib/cost/roof.h); a row for each device,
 * or with --technique a row for each set of techniques.
 */
#include "cmd/cost_estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"

#define TOKENS_MOST ((int64_t)1 << 40)

enum {
    OPT_PROMPT = OPT_VERB, OPT_CACHED, OPT_OUTPUT, OPT_BATCH, OPT_BLOCK_TOKENS, OPT_RESERVE,
    OPT_DRAFT, OPT_ACCEPT, OPT_DRAFT_SHAPE, OPT_PRICE_HOUR, OPT_UTILISATION, OPT_TECHNIQUE, OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-cost estimate --shape SHAPE [OPTION]...\n"
    "What a request takes on a device, from FLOPs, bytes and the device's limits: time to the\n"
    "first token, time of the others, joules, dollars, and whether it fits. A row for each of the\n"
    "devices.\n\n",
    COST_MODEL_USAGE,
    COST_DEVICE_USAGE
    "                         (repeat --device for more rows)\n"
    "Request\n"
    "      --prompt N         tokens of the prompt (default 1024)\n"
    "      --cached N         of those, at the front, whose keys and values are there (default 0)\n"
    "      --output N         tokens made (default 128)\n"
    "      --batch N          requests like it that decode together (default 1)\n"
    "Engine\n"
    "      --block-tokens N   tokens of a block of paged KV memory (default: as much as is used)\n"
    "      --reserve N        tokens that each request holds memory for, without pages (default:\n"
    "                         its own; with --technique the context that the model is made for)\n"
    "      --draft N          tokens guessed in a speculative step (default: none; with\n"
    "                         --technique or --draft-shape 4)\n"
    "      --accept P         chance that a guess is taken, given those before it (default 80%)\n"
    "      --draft-shape SHAPE\n"
    "                         the model that guesses (default: guessing costs nothing)\n",
    "Techniques\n"
    "      --technique LIST   a table in place of the row: with none of them, with each alone,\n"
    "                         with all, and with all but each: moe, kv-cache, paged,\n"
    "                         prefix-cache, flash, speculation, weights, kv-type, or all of\n"
    "                         these that the request has a use for\n"
    "      --plot FILE        gains as bars (.svg, .png); needs gnuplot\n"
    "Money\n"
    "      --price-hour USD   of one device (default: the lowest in the book)\n"
    "      --utilisation P    share of the paid time that works (default 100%)\n"
    "      --book BOOK        a price book, llm-book(5) (default: $LLM_COST_BOOK, else starter)\n"
    "      --at DATE          its prices of that day (default: now)\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n"
    "Examples\n"
    "  llm-cost estimate --shape qwen3-30b-a3b --device h200 --prompt 8192 --output 512 --batch 16"
    "\n"
    "  llm-cost estimate --shape llama-3.1-70b --tp 4 --device h100-sxm --device h200\n"
    "  llm-cost estimate --shape qwen3-30b-a3b --prompt 200K --cached 180K --technique all\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_MODEL_LONG, COST_DEVICE_LONG,
    {"prompt", required_argument, NULL, OPT_PROMPT},
    {"cached", required_argument, NULL, OPT_CACHED},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"block-tokens", required_argument, NULL, OPT_BLOCK_TOKENS},
    {"reserve", required_argument, NULL, OPT_RESERVE},
    {"draft", required_argument, NULL, OPT_DRAFT},
    {"accept", required_argument, NULL, OPT_ACCEPT},
    {"draft-shape", required_argument, NULL, OPT_DRAFT_SHAPE},
    {"price-hour", required_argument, NULL, OPT_PRICE_HOUR},
    {"utilisation", required_argument, NULL, OPT_UTILISATION},
    {"technique", required_argument, NULL, OPT_TECHNIQUE},
    {"plot", required_argument, NULL, OPT_PLOT}, {NULL, 0, NULL, 0}};

/* ---- options ------------------------------------------------------------------------------ */

static void add_device(struct estimate_options *o, const char *arg) {
    if (o->specs == ESTIMATE_DEVICES_MOST)
        usage_die("--device: expected at most %d of them", ESTIMATE_DEVICES_MOST);
    o->spec[o->specs++] = arg;
}

static void take_option(struct estimate_options *o, int c, const char *arg) {
    switch (c) {
    case OPT_DEVICE: add_device(o, arg); break;
    case OPT_PROMPT: o->prompt = arg_size("--prompt", arg, 1, TOKENS_MOST); break;
    case OPT_CACHED: o->cached = arg_size("--cached", arg, 0, TOKENS_MOST); break;
    case OPT_OUTPUT: o->output = arg_size("--output", arg, 1, TOKENS_MOST); break;
    case OPT_BATCH: o->batch = arg_size("--batch", arg, 1, 1 << 20); break;
    case OPT_BLOCK_TOKENS:
        o->block_tokens = arg_size("--block-tokens", arg, 1, 1 << 20);
        break;
    case OPT_RESERVE: o->reserve_tokens = arg_size("--reserve", arg, 1, TOKENS_MOST); break;
    case OPT_DRAFT: o->draft = (int)arg_int("--draft", arg, 0, WORK_DRAFT_MOST); break;
    case OPT_ACCEPT: o->accept = arg_share("--accept", arg, 0, 1); break;
    case OPT_DRAFT_SHAPE: cost_shape_option(OPT_SHAPE, arg, &o->draft_shape); break;
    case OPT_PRICE_HOUR:
        o->price_hour = money_dollars(arg_money("--price-hour", arg));
        break;
    case OPT_UTILISATION: o->utilisation = arg_share("--utilisation", arg, 0.001, 1); break;
    case OPT_TECHNIQUE:
        estimate_check_techniques(arg);
        o->techniques = arg;
        break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    }
}

static void check(const struct estimate_options *o) {
    if (!o->shape.shape)
        usage_die("--shape: expected a model (try --help)");
    if (o->cached > o->prompt)
        usage_die("--cached: expected at most the prompt's %lld tokens, found %lld",
                  (long long)o->prompt, (long long)o->cached);
    if (o->draft_shape.shape && o->draft == 0)
        usage_die("--draft-shape: expected --draft above 0 beside it");
    if (o->techniques && o->specs > 1)
        usage_die("--technique: expected one --device, found %d", o->specs);
    if (o->plot && !o->techniques)
        usage_die("--plot: expected --technique beside it");
}

static void parse(struct estimate_options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_book_option(c, optarg, &o->books) &&
            !cost_shape_option(c, optarg, &o->shape) &&
            (c == OPT_DEVICE || !cost_device_option(c, optarg, &o->device)))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected no operand", argv[optind]);
    check(o);
    if (o->draft_shape.shape && o->draft < 0)
        o->draft = 4;
    if (!o->specs)
        add_device(o, "h100-sxm");
    cost_books_ready(&o->books, 1);
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"device", FIELD_TEXT, 0}, {"devices", FIELD_COUNT, 0}, {"compute", FIELD_TEXT, 1},
    {"prompt", FIELD_COUNT, 1}, {"cached", FIELD_COUNT, 1}, {"output", FIELD_COUNT, 1},
    {"batch", FIELD_COUNT, 0}, {"ttft_s", 4, 0}, {"tpot_s", 5, 0}, {"seconds", 3, 0},
    {"out_tps", 1, 0}, {"prefill_bound", FIELD_TEXT, 0}, {"decode_bound", FIELD_TEXT, 0},
    {"device_s", 4, 1}, {"joules", 1, 0}, {"usd_hour", 2, 1}, {"usd", 6, 0},
    {"usd_per_mtok", 4, 0}, {"resident_bytes", FIELD_WHOLE, 1}, {"memory", FIELD_TEXT, 0},
    {"fits", FIELD_WHOLE, 0}};
#define COLUMNS ((int)(sizeof columns / sizeof *columns))

/* A device, and the request on it: all are there before the first row is written. */
struct place {
    struct cost_device device;
    double price_hour;          /* NAN: nobody says */
    struct estimate e;
};

/* Dollars of an hour of the device; NAN: nobody says. */
static double price_of(const struct estimate_options *o, const struct cost_device *d) {
    if (!isnan(o->price_hour))
        return o->price_hour;
    const struct book_gpu *g = cost_gpu(&o->books, d->device->name);
    if (g)
        return money_dollars(g->rate);
    if (!o->common.quiet)
        warn("%s: book %s has no price for it: expected --price-hour", d->device->name,
             o->books.book[0]->name);
    return NAN;
}

static void warn_room(const struct estimate_options *o, const struct cost_device *d,
                      const struct estimate *e) {
    const struct device_memory *m = &d->device->memory[0];
    int n = roof_devices(&d->roof);
    if (e->memory != 0)
        warn("%s: %.3g GB do not fit into %d x %.3g GB of %s: %s%s", d->device->name,
             e->resident_bytes * n / 1e9, n, m->capacity_bytes / 1e9, m->name,
             e->memory > 0 ? "the rest is read from slower memories"
                           : "times are as if they did in the last memory; see --tp, --weight-type",
             e->memory < 0 && cost_has_experts(o->shape.shape) ? ", --ep" : "");
}

static void add_row(const struct estimate_options *o, const struct place *p, struct fields *f) {
    const struct cost_device *d = &p->device;
    const struct estimate *e = &p->e;
    struct estimate_case c = estimate_case_of(o, d, p->price_hour);
    const char *type = d->roof.type ? d->roof.type : roof_type(d->device, &c.model);
    const struct value v[] = {
        {.text = d->device->name}, {.count = roof_devices(&d->roof)}, {.text = type},
        {.count = c.prompt}, {.count = c.cached}, {.count = c.output}, {.count = e->batch},
        {.number = e->ttft_s}, {.number = e->tpot_s}, {.number = e->seconds},
        {.number = e->out_tps}, {.text = roof_bound_name(e->prefill_bound)},
        {.text = e->decode_bound < 0 ? NULL : roof_bound_name(e->decode_bound)},
        {.number = e->device_s}, {.number = e->joules}, {.number = p->price_hour},
        {.number = e->usd}, {.number = e->usd / (double)(c.prompt + c.output) * 1e6},
        {.number = e->resident_bytes},
        {.text = e->memory < 0 ? "none" : d->device->memory[e->memory].name},
        {.number = isfinite(e->fits) ? e->fits : NAN}};
    _Static_assert(sizeof v / sizeof *v == sizeof columns / sizeof *columns, "a value each");
    fields_row(f, v);
}

static void print_rows(const struct estimate_options *o, const struct place *place) {
    struct fields f;
    fields_open(&f, columns, COLUMNS, &o->common);
    for (int i = 0; i < o->specs; i++)
        add_row(o, &place[i], &f);
    fields_close(&f);
    for (int i = 0; i < o->specs && !o->common.quiet; i++)
        warn_room(o, &place[i].device, &place[i].e);
}

static void estimate_all(const struct estimate_options *o) {
    struct place *place = mem_array((size_t)o->specs, sizeof *place);
    for (int i = 0; i < o->specs; i++) {
        struct place *p = &place[i];
        p->device = o->device;
        p->device.spec = o->spec[i];
        cost_device_ready(&p->device, NULL);
        p->price_hour = price_of(o, &p->device);
        struct estimate_case c = estimate_case_of(o, &p->device, p->price_hour);
        p->e = estimate_case(&c, 0);
    }
    if (o->techniques)
        estimate_techniques(o, &place->device, place->price_hour);
    else
        print_rows(o, place);
    for (int i = 0; i < o->specs; i++)
        cost_device_free(&place[i].device);
    free(place);
}

int cost_estimate(int argc, char **argv) {
    struct estimate_options o = {
        .shape = COST_SHAPE, .draft_shape = COST_SHAPE, .books = COST_BOOKS, .device = COST_DEVICE,
        .prompt = 1024, .output = 128, .batch = 1, .draft = -1, .accept = 0.8, .utilisation = 1,
        .price_hour = NAN};
    parse(&o, argc, argv);
    cost_device_check(&o.device, o.shape.shape);
    estimate_all(&o);
    cost_books_free(&o.books);
    shape_free(o.shape.shape);
    shape_free(o.draft_shape.shape);
    return EXIT_DONE;
}
