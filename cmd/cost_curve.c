/* cost_curve.c - llm-cost curve: what a request costs at every length, and one token more
 *
 * cost_curve_point.c has the costs, cost_curve_cliffs.c the lengths at which they change; here are
 * the options, the rows, the words about cliffs and growth, and the picture.
 */
#include "cmd/cost_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_device.h"
#include "cmd/plot.h"
#include "lib/stat/fit.h"

#define LONGEST ((int64_t)1 << 36)
#define POINTS_MOST 10000

enum { OPT_FROM = OPT_VERB, OPT_TO, OPT_POINTS, OPT_OUTPUT, OPT_CACHED, OPT_BATCH, OPT_MODEL,
       OPT_COST, OPT_PLOT };

static const char *const usage[] = {
    "usage: llm-cost curve [OPTION]...\n"
    "What a request costs by the length of its prompt: FLOPs beside the linear assumption, time\n"
    "and energy on a device, dollars, each with what one token more adds; and the lengths at\n"
    "which that changes: windows, memories, contexts, price tiers.\n\n"
    "Lengths\n"
    "      --from N           tokens of the shortest prompt (default 1Ki)\n"
    "      --to N             of the longest (default: the model's context, 128Ki without)\n"
    "      --points N         evenly spread by their logarithm (default 21); each change has a\n"
    "                         row of its own, named by event\n"
    "Request\n"
    "      --output N         tokens made (default 1, which the prompt's own pass makes)\n"
    "      --cached SHARE     of the prompt, at its front (default 0%)\n"
    "      --batch N          sequences decoded together (default 1)\n",
    COST_MODEL_USAGE,
    "Device (default: none, no times)\n"
    "      --device DEVICE    profile, llm-device(5): h100-sxm, h200, b200, mi300x, ..., or a\n"
    "                         file that llm-bench device wrote\n"
    "      --compute TYPE     arithmetic: bf16, f16, fp8, int8, ... (default: bf16 on GPUs, by\n"
    "                         the weights on processors)\n"
    "      --tp N             so many devices share every matrix (default 1)\n"
    "      --ep N             so many groups of them share out the experts (default 1)\n"
    "      --calibrate TRACE  run trace of llm-run on the device, of any model; repeat for more\n",
    COST_BOOK_NOW_USAGE
    "      --model NAME       the model whose prices count (default: none, no dollars)\n"
    "Report\n"
    "      --cost COST        what is fitted and drawn: flops, seconds, joules or usd (default:\n"
    "                         flops where there is a shape, else usd)\n"
    "      --plot FILE        draw its mean a token, and the next token's; .svg or .png\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n"
    "Examples\n"
    "  llm-cost curve --shape llama-3-8b --device h100-sxm --to 1Mi\n"
    "  llm-cost curve --model gpt-5.4 --from 100K --to 1M --output 2000 --cached 80%\n"
    "  llm-cost curve --shape gemma-3-27b --output 500 --batch 32 --format md\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_MODEL_LONG, COST_DEVICE_LONG, COST_BOOK_LONG,
    {"from", required_argument, NULL, OPT_FROM},
    {"to", required_argument, NULL, OPT_TO},
    {"points", required_argument, NULL, OPT_POINTS},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"cached", required_argument, NULL, OPT_CACHED},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"model", required_argument, NULL, OPT_MODEL},
    {"cost", required_argument, NULL, OPT_COST},
    {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

static const char *const kinds[] = {"flops", "seconds", "joules", "usd", NULL};

struct options {
    struct common common;
    struct cost_shape shape;
    struct cost_device device;
    struct cost_books books;
    int64_t from, to, output, batch;
    int points, kind;           /* kind -1: not said */
    double cached;
    const char *model, *plot;
};

/* A row: a point, and what begins there. */
struct row {
    struct curve_point point;
    char *events;               /* NULL: none */
    int on_grid;
};

struct rows {
    struct row *row;
    int n;
};

/* ---- options ------------------------------------------------------------------------------ */

static void take_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case OPT_FROM: o->from = arg_size("--from", arg, 1, LONGEST); break;
    case OPT_TO: o->to = arg_size("--to", arg, 1, LONGEST); break;
    case OPT_POINTS: o->points = (int)arg_size("--points", arg, 2, POINTS_MOST); break;
    case OPT_OUTPUT: o->output = arg_size("--output", arg, 1, LONGEST); break;
    case OPT_CACHED: o->cached = arg_share("--cached", arg, 0, 1); break;
    case OPT_BATCH: o->batch = arg_size("--batch", arg, 1, 1 << 20); break;
    case OPT_MODEL: o->model = arg; break;
    case OPT_COST: o->kind = arg_choice("--cost", arg, kinds); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    default: break;
    }
}

static void check(struct options *o) {
    const struct shape *s = o->shape.shape;
    int64_t context = s && s->context ? s->context : 131072;
    if (!s && !o->model)
        usage_die("expected --shape, or --model for prices alone");
    if (s && (s->params_active <= 0 || s->weight_bytes <= 0))
        die("%s: expected the parameters and the bytes of its weights, found none", s->name);
    if (!s && o->device.spec)
        usage_die("--device: expected --shape with what it computes");
    if (!o->model && (o->books.n || o->books.at_ns != USAGE_NO_TIME))
        usage_die("--book, --at: expected --model with whose prices count");
    if (!o->from)
        o->from = o->to && o->to < 1024 ? 1 : 1024;
    if (!o->to)
        o->to = context > o->from ? context : o->from + 1;
    if (o->to <= o->from)
        usage_die("--to: expected more than the %lld tokens of --from, found %lld",
                  (long long)o->from, (long long)o->to);
}

/* Whether this cost is known. */
static int has(const struct options *o, int kind) {
    return kind == CURVE_USD ? o->model != NULL
         : kind == CURVE_FLOPS ? o->shape.shape != NULL : o->device.spec != NULL;
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_shape_option(c, optarg, &o->shape) &&
            !cost_device_option(c, optarg, &o->device) && !cost_book_option(c, optarg, &o->books))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected options alone", argv[optind]);
    check(o);
    if (o->kind < 0)
        o->kind = o->shape.shape ? CURVE_FLOPS : CURVE_USD;
    if (!has(o, o->kind))
        usage_die("--cost: '%s' needs %s", kinds[o->kind],
                  o->kind == CURVE_USD     ? "--model"
                  : o->kind == CURVE_FLOPS ? "--shape" : "--device");
}

/* ---- points ------------------------------------------------------------------------------- */

static int64_t grid(const struct options *o, int i) {
    double from = (double)o->from;
    double share = (double)i / (o->points - 1);
    return i == o->points - 1 ? o->to : llround(from * pow((double)o->to / from, share));
}

static struct row *add_row(struct rows *all, const struct curve *c, int64_t prompt) {
    all->row = mem_grow(all->row, (size_t)all->n + 1, sizeof *all->row);
    struct row *r = &all->row[all->n++];
    r->events = NULL;
    r->on_grid = 0;
    curve_point(c, prompt, &r->point);
    return r;
}

static void add_event(struct row *r, const char *event) {
    char *both = mem_printf("%s%s%s", r->events ? r->events : "", r->events ? "," : "", event);
    free(r->events);
    r->events = both;
}

/* The grid and the cliffs, in one order; those of a length share a row. */
static struct rows make_rows(const struct options *o, const struct curve *c,
                             const struct curve_cliff *cliff, int cliffs) {
    struct rows all = {0};
    int next = 0;
    for (int i = 0; i < o->points; i++) {
        int64_t prompt = grid(o, i);
        for (; next < cliffs && cliff[next].prompt < prompt; next++) {
            struct row *last = all.n ? &all.row[all.n - 1] : NULL;
            if (!last || last->point.prompt != cliff[next].prompt)
                last = add_row(&all, c, cliff[next].prompt);
            add_event(last, cliff[next].event);
        }
        if (all.n && all.row[all.n - 1].point.prompt >= prompt)
            continue;
        struct row *r = add_row(&all, c, prompt);
        r->on_grid = 1;
        for (; next < cliffs && cliff[next].prompt == prompt; next++)
            add_event(r, cliff[next].event);
    }
    return all;
}

/* ---- growth ------------------------------------------------------------------------------- */

/* The slope in logarithms: 1 where cost is proportional. */
static double local_exponent(const struct options *o, const struct curve_point *p) {
    return (double)p->prompt * p->slope[o->kind] / p->cost[o->kind];
}

/* The straight line through the logarithms of the grid; NAN without two costs above 0. */
static double fit_exponent(const struct options *o, const struct rows *all) {
    double *x = mem_array((size_t)all->n, sizeof *x);
    double *y = mem_array((size_t)all->n, sizeof *y);
    struct fit f = {.exponent = NAN};
    size_t n = 0;
    for (int i = 0; i < all->n; i++) {
        x[n] = (double)all->row[i].point.prompt;
        y[n] = all->row[i].point.cost[o->kind];
        n += all->row[i].on_grid && y[n] > 0;
    }
    if (fit_growth(x, y, n, NULL, 0, &(struct boot){.resamples = 100, .seed = 1}, &f))
        f.exponent = NAN;
    free(x);
    free(y);
    return f.exponent;
}

/* Nothing is measured here, so there is no interval; what an exponent leaves out is how it changes,
 * which the two ends say. */
static void say_growth(const struct options *o, const struct rows *all, double exponent) {
    const struct curve_point *a = &all->row[0].point;
    const struct curve_point *b = &all->row[all->n - 1].point;
    if (isfinite(exponent))
        warn("%s grow as the prompt's length to the power of %.3f, from %lld to %lld tokens: %.3f "
             "at the beginning, %.3f in the end", kinds[o->kind], exponent, (long long)a->prompt,
             (long long)b->prompt, local_exponent(o, a), local_exponent(o, b));
}

/* ---- rows --------------------------------------------------------------------------------- */

enum { COL_SHAPE = 4, COL_DEVICE = 12, COL_USD = 16, COLUMNS = 21 };

static const struct field columns[COLUMNS] = {
    {"prompt", FIELD_COUNT, 0}, {"event", FIELD_TEXT, 0}, {"cached", FIELD_COUNT, 1},
    {"output", FIELD_COUNT, 1},
    {"flops", FIELD_WHOLE, 0}, {"linear_flops", FIELD_WHOLE, 1},
    {"next_flops", FIELD_WHOLE, 0},
    {"linear_ratio", 3, 0}, {"score_share", 4, 1}, {"kv_bytes", FIELD_WHOLE, 1},
    {"exponent", 3, 0}, {"fit_exponent", 3, 1},
    {"seconds", 6, 0}, {"next_seconds", 9, 1}, {"joules", 3, 0}, {"next_joules", 6, 1},
    {"usd", FIELD_TEXT, 0}, {"linear_usd", FIELD_TEXT, 1}, {"next_usd", FIELD_TEXT, 0},
    {"priced_model", FIELD_TEXT, 1}, {"book", FIELD_TEXT, 1}};

/* What is not known needs no room in a table. */
static void set_columns(const struct options *o, struct field field[COLUMNS]) {
    memcpy(field, columns, sizeof columns);
    for (int i = COL_SHAPE; i < COL_DEVICE; i++)
        field[i].wide |= !o->shape.shape && strcmp(field[i].name, "exponent");
    for (int i = COL_DEVICE; i < COL_USD; i++)
        field[i].wide |= !o->device.spec;
    for (int i = COL_USD; i < COLUMNS; i++)
        field[i].wide |= !o->model;
}

static void put_row(struct fields *f, const struct options *o, const struct row *r,
                    double exponent, const struct book *book) {
    const struct curve_point *p = &r->point;
    char usd[3][MONEY_TEXT];
    money_text(p->usd, usd[0]);
    money_text(p->linear_usd, usd[1]);
    money_text(p->next_usd, usd[2]);
    const struct value v[] = {
        {.count = p->prompt}, {.text = r->events}, {.count = p->cached}, {.count = o->output},
        {.number = p->cost[CURVE_FLOPS]}, {.number = p->linear[CURVE_FLOPS]},
        {.number = p->next[CURVE_FLOPS]}, {.number = p->cost[o->kind] / p->linear[o->kind]},
        {.number = p->score_share}, {.number = p->kv_bytes},
        {.number = local_exponent(o, p)}, {.number = exponent},
        {.number = p->cost[CURVE_SECONDS]}, {.number = p->next[CURVE_SECONDS]},
        {.number = p->cost[CURVE_JOULES]}, {.number = p->next[CURVE_JOULES]},
        {.text = book ? usd[0] : NULL}, {.text = book ? usd[1] : NULL},
        {.text = book ? usd[2] : NULL}, {.text = o->model}, {.text = book ? book->name : NULL}};
    _Static_assert(sizeof v / sizeof *v == COLUMNS, "a value each");
    fields_row(f, v);
}

static void print_rows(const struct options *o, const struct rows *all, double exponent,
                       const struct book *book) {
    struct fields f;
    struct field field[COLUMNS];
    set_columns(o, field);
    fields_open(&f, field, COLUMNS, &o->common);
    for (int i = 0; i < all->n; i++)
        put_row(&f, o, &all->row[i], exponent, book);
    fields_close(&f);
}

/* ---- the picture -------------------------------------------------------------------------- */

/* Means a token of the prompt, so that a cost that is proportional lies flat. */
static void draw(const struct options *o, const struct rows *all) {
    static const char *const axes[] = {"FLOPs a token", "microseconds a token",
                                       "millijoules a token", "dollars a million tokens"};
    static const double scale[] = {1, 1e6, 1e3, 1e6};
    size_t n = (size_t)all->n;
    double *x = mem_array(4 * n, sizeof *x);
    double *mean = x + n, *next = x + 2 * n, *linear = x + 3 * n;
    int known = 0;
    for (size_t i = 0; i < n; i++) {
        const struct curve_point *p = &all->row[i].point;
        double each = scale[o->kind] / (double)p->prompt;
        x[i] = (double)p->prompt;
        mean[i] = p->cost[o->kind] * each;
        next[i] = p->next[o->kind] * scale[o->kind];
        linear[i] = p->linear[o->kind] * each;
        known |= isfinite(linear[i]);
    }
    const struct plot_series s[] = {{"mean of the request", x, mean, n},
                                    {"the next token", x, next, n},
                                    {"linear assumption", x, linear, n}};
    char *title = mem_printf("%s by length of the prompt%s%s",
                             o->shape.shape ? o->shape.shape->name : o->model,
                             o->device.spec ? ", " : "", o->device.spec ? o->device.spec : "");
    plot_lines(o->plot, &(struct plot_labels){.title = title, .x = "tokens of the prompt",
                                              .y = axes[o->kind], .log_x = 1}, s, 2 + known);
    free(title);
    free(x);
}

/* ---- the verb ----------------------------------------------------------------------------- */

/* The shortest and the longest request have a price; else says what lacks one. */
static int is_priced(const struct options *o, const struct curve *c) {
    const int64_t lengths[2] = {o->from, o->to + 1};
    for (int i = 0; i < 2; i++) {
        struct bill bill;
        if (curve_bill(c, c->bill, lengths[i], curve_cached(c, lengths[i]), &bill) == BILL_PRICED)
            continue;
        warn("%s", bill.why);
        return 0;
    }
    return 1;
}

static void set_prices(struct options *o, struct curve *c) {
    static const struct bill_tiers none = {.cmp = -1, .mode = -1, .of = -1, .ignore = 1};
    cost_books_ready(&o->books, 1);
    struct bill_options b = {.at_ns = o->books.at_ns, .now_ns = o->books.now_ns,
                             .model = o->model, .force_model = 1};
    c->book = o->books.book[0];
    c->at_ns = o->books.at_ns == USAGE_NO_TIME ? o->books.now_ns : o->books.at_ns;
    c->bill = biller_new(c->book, &b);
    b.tiers = &none;
    c->flat = biller_new(c->book, &b);
}

static void report(const struct options *o, const struct curve *c) {
    int cliffs = 0;
    struct curve_cliff *cliff = curve_cliffs(c, o->from, o->to, &cliffs);
    struct rows all = make_rows(o, c, cliff, cliffs);
    double exponent = fit_exponent(o, &all);
    print_rows(o, &all, exponent, c->book);
    for (int i = 0; i < cliffs && !o->common.quiet; i++)
        warn("from %lld tokens on, %s", (long long)cliff[i].prompt, cliff[i].words);
    if (!o->common.quiet)
        say_growth(o, &all, exponent);
    draw(o, &all);
    for (int i = 0; i < all.n; i++)
        free(all.row[i].events);
    free(all.row);
    curve_cliffs_free(cliff, cliffs);
}

int cost_curve(int argc, char **argv) {
    struct options o = {.shape = COST_SHAPE, .device = COST_DEVICE, .books = COST_BOOKS,
                        .points = 21, .output = 1, .batch = 1, .kind = -1};
    parse(&o, argc, argv);
    struct curve c = {.model = {.shape = o.shape.shape, .kv_bits = o.shape.kv_bits,
                                .weight_bits = o.shape.weight_bits, .batch = o.batch},
                      .output = o.output, .cached = o.cached};
    cost_device_check(&o.device, o.shape.shape);
    if (o.device.spec) {
        cost_device_ready(&o.device, NULL);
        c.roof = &o.device.roof;
    }
    if (o.model)
        set_prices(&o, &c);
    int priced = !c.bill || is_priced(&o, &c);
    if (priced)
        report(&o, &c);
    biller_free(c.bill);
    biller_free(c.flat);
    cost_books_free(&o.books);
    cost_device_free(&o.device);
    shape_free(o.shape.shape);
    return priced ? EXIT_DONE : EXIT_NOTHING;
}
