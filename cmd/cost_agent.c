/* cost_agent.c - llm-cost agent: a context that lives for hours or months, and what to do with it
 *
 * Between turns it can be thrown away and computed again, kept in a provider's cache or kept alive
 * there, stored for a fee, left in the device's memory, or written down as a snapshot and read
 * back. A row for each, at each interval; what they cost is cost_agent_ways.c's.
 */
#include "cmd/cost_agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_device.h"
#include "cmd/plot.h"

enum {
    OPT_TURNS = OPT_VERB, OPT_SPAN, OPT_INTERVAL, OPT_SYSTEM, OPT_INPUT, OPT_OUTPUT, OPT_LIMIT,
    OPT_SUMMARY, OPT_MODEL, OPT_TTL, OPT_PRICE_HOUR, OPT_STORAGE, OPT_PLOT
};

static const char *const usage[] = {
    "usage: llm-cost agent [OPTION]...\n"
    "What a persistent agent's context costs by what is done with it between turns: computed\n"
    "again, cached at a provider, kept alive, stored, left in memory, or kept as a snapshot.\n\n"
    "Agent\n"
    "      --turns N          turns (default 50)\n"
    "      --span TIME        in place of --turns: as many as --interval fits into, as in 30d\n"
    "      --interval LIST    times from one turn to the next (default 1m,10m,1h,1d)\n"
    "      --system N         tokens in front of every prompt (default 8000)\n"
    "      --input N          tokens that a turn adds (default 2000)\n"
    "      --output N         tokens that a turn makes (default 500)\n"
    "      --limit N          tokens of a context, which is compacted before; 0: none (default:\n"
    "                         what the model holds, where book or shape say so)\n"
    "      --summary N        tokens that compaction leaves (default 2000)\n"
    "At a provider\n"
    "      --model NAME       a model of the price book\n"
    "      --ttl LIST         lives of its cache (default 5m,1h; named where they have no price)\n",
    COST_BOOK_NOW_USAGE,
    "On a device, with --shape and --device\n"
    "      --price-hour USD   of one device for an hour (default: the price book's, the lowest)\n"
    "      --storage NAME=USD what 1e9 bytes cost for 30 days in the device's memory NAME:\n"
    "                         a way to keep snapshots; repeat for more (default disk=0.08)\n",
    COST_MODEL_USAGE, COST_DEVICE_USAGE,
    "Report\n"
    "      --plot FILE        dollars against the interval, a curve for each way: .svg or .png\n",
    FIELDS_USAGE,
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-cost agent --model claude-sonnet-4-5 --turns 20 --interval 1m,30m,2h\n"
    "  llm-cost agent --shape llama-3.1-8b --device h100-sxm --interval 10m,1d --span 30d\n",
    NULL};

struct options {
    struct common common;
    struct cost_books books;
    struct cost_shape shape;
    struct cost_device device;
    struct agent_setup setup;
    char *intervals, *ttls;
    int64_t span_ns;
    int turns_given;
    const char *plot;
};

/* ---- options ------------------------------------------------------------------------------ */

static void add_storage(struct options *o, const char *arg) {
    const char *is = strchr(arg, '=');
    struct agent_setup *s = &o->setup;
    if (!is || is == arg || (size_t)(is - arg) >= sizeof s->storage[0].name)
        usage_die("--storage: '%s': expected MEMORY=USD, as in disk=0.08", arg);
    if (s->storages == sizeof s->storage / sizeof *s->storage)
        usage_die("--storage: expected at most %d", s->storages);
    struct agent_storage *to = &s->storage[s->storages++];
    snprintf(to->name, sizeof to->name, "%.*s", (int)(is - arg), arg);
    to->gb_month = arg_money("--storage", is + 1) * MONEY_YOCTO;
}

static int64_t tokens(const char *option, const char *arg, int64_t least) {
    return arg_size(option, arg, least, (int64_t)1 << 30);
}

static void take(struct options *o, int c, const char *arg) {
    struct agent *a = &o->setup.agent;
    switch (c) {
    case OPT_TURNS:
        a->turns = arg_size("--turns", arg, 1, AGENT_MOST_TURNS);
        o->turns_given = 1;
        break;
    case OPT_SPAN: o->span_ns = arg_duration("--span", arg); break;
    case OPT_INTERVAL: free(o->intervals); o->intervals = mem_strdup(arg); break;
    case OPT_SYSTEM: a->system = tokens("--system", arg, 0); break;
    case OPT_INPUT: a->input = tokens("--input", arg, 1); break;
    case OPT_OUTPUT: a->output = tokens("--output", arg, 0); break;
    case OPT_LIMIT: a->limit = tokens("--limit", arg, 0); break;
    case OPT_SUMMARY: a->summary = tokens("--summary", arg, 0); break;
    case OPT_MODEL: o->setup.model = arg; break;
    case OPT_TTL: free(o->ttls); o->ttls = mem_strdup(arg); break;
    case OPT_PRICE_HOUR: o->setup.hour = arg_money("--price-hour", arg) * MONEY_YOCTO; break;
    case OPT_STORAGE: add_storage(o, arg); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    }
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_MODEL_LONG, COST_DEVICE_LONG,
        {"turns", required_argument, NULL, OPT_TURNS},
        {"span", required_argument, NULL, OPT_SPAN},
        {"interval", required_argument, NULL, OPT_INTERVAL},
        {"system", required_argument, NULL, OPT_SYSTEM},
        {"input", required_argument, NULL, OPT_INPUT},
        {"output", required_argument, NULL, OPT_OUTPUT},
        {"limit", required_argument, NULL, OPT_LIMIT},
        {"summary", required_argument, NULL, OPT_SUMMARY},
        {"model", required_argument, NULL, OPT_MODEL},
        {"ttl", required_argument, NULL, OPT_TTL},
        {"price-hour", required_argument, NULL, OPT_PRICE_HOUR},
        {"storage", required_argument, NULL, OPT_STORAGE},
        {"plot", required_argument, NULL, OPT_PLOT},
        {NULL, 0, NULL, 0}};
    int c;
    o->setup.hour = -1;
    o->setup.agent.limit = -1;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_book_option(c, optarg, &o->books) &&
            !cost_shape_option(c, optarg, &o->shape) && !cost_device_option(c, optarg, &o->device))
            take(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected no operand", argv[optind]);
    if (o->span_ns && o->turns_given)
        usage_die("--span and --turns do not go together");
    if (!o->setup.model && !o->shape.shape)
        usage_die("expected --model NAME, or --shape SHAPE with --device DEVICE, or both");
    if (!o->shape.shape != !o->device.spec)
        usage_die("--shape and --device go together");
}

/* ---- setup -------------------------------------------------------------------------------- */

static void ready_provider(struct options *o) {
    struct agent_setup *s = &o->setup;
    char *list = mem_strdup(o->ttls ? o->ttls : "5m,1h");
    int n;
    char **part = arg_list(list, &n);
    if (n > (int)(sizeof s->ttl_ns / sizeof *s->ttl_ns))
        usage_die("--ttl: expected at most %zu", sizeof s->ttl_ns / sizeof *s->ttl_ns);
    for (s->ttls = 0; s->ttls < n; s->ttls++)
        s->ttl_ns[s->ttls] = arg_duration("--ttl", part[s->ttls]);
    s->biller = biller_new(o->books.book[0], &(struct bill_options){
        .at_ns = o->books.at_ns, .now_ns = o->books.now_ns});
    free(part);
    free(list);
}

static void ready_device(struct options *o) {
    struct agent_setup *s = &o->setup;
    cost_device_check(&o->device, o->shape.shape);
    cost_device_ready(&o->device, NULL);
    s->device = o->device.device;
    s->roof = o->device.roof;
    s->work = (struct work_model){.shape = o->shape.shape, .kv_bits = o->shape.kv_bits,
                                  .weight_bits = o->shape.weight_bits};
    if (s->hour < 0) {
        const struct book_gpu *g = cost_gpu(&o->books, s->device->name);
        if (!g)
            die("%s: the price book '%s' has no price for an hour of it: say --price-hour",
                s->device->name, o->books.book[0]->name);
        s->hour = g->rate * MONEY_YOCTO;
    }
    s->hour *= roof_devices(&s->roof);
    if (!s->storages && device_memory(s->device, "disk"))
        add_storage(o, "disk=0.08");
    for (int i = 0; i < s->storages; i++)
        if (!device_memory(s->device, s->storage[i].name))
            die("%s: it has no memory '%s' to keep a snapshot in", s->device->name,
                s->storage[i].name);
}

/* What the model holds; of several, the one with less. */
static int64_t context_of(const struct options *o) {
    int64_t limit = o->shape.shape ? o->shape.shape->context : 0;
    const struct book *b = o->books.book[0];
    int m = o->setup.model ? book_model(b, o->setup.model, strlen(o->setup.model)) : -1;
    if (m >= 0 && b->model[m].context && (!limit || b->model[m].context < limit))
        limit = b->model[m].context;
    return limit;
}

static void set_interval(struct options *o, int64_t ns) {
    struct agent *a = &o->setup.agent;
    a->interval_ns = ns;
    if (o->span_ns) {
        a->turns = 1 + (o->span_ns - 1) / ns;
        if (a->turns > AGENT_MOST_TURNS)
            usage_die("--span: %lld turns: expected at most %d", (long long)a->turns,
                      AGENT_MOST_TURNS);
    }
    if (agent_check(a))
        usage_die("--limit: %lld tokens do not hold system prompt, summary, input and output of "
                  "a turn", (long long)a->limit);
}

/* ---- report ------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"interval_s", 3, 0}, {"where", FIELD_TEXT, 0}, {"way", FIELD_TEXT, 0},
    {"turns", FIELD_COUNT, 0}, {"computed_tokens", FIELD_COUNT, 0}, {"read_tokens", FIELD_COUNT, 0},
    {"usd", FIELD_TEXT, 0}, {"usd_turn", FIELD_TEXT, 1}, {"joules", 0, 0}, {"busy_s", 2, 0},
    {"stored_bytes", FIELD_WHOLE, 1}, {"pays_to_s", 1, 0}, {"pays", FIELD_TEXT, 0},
    {"renewals", FIELD_COUNT, 1}, {"marked", FIELD_TEXT, 1}, {"price", FIELD_TEXT, 1},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static const char *pays_word(const struct agent_cost *c) {
    if (isnan(c->pays_s))
        return NULL;
    return c->pays_s == 0 ? "never" : isinf(c->pays_s) ? "always" : "up to";
}

static void print_row(const struct options *o, struct fields *f, const struct agent_cost *c) {
    const struct agent *a = &o->setup.agent;
    char usd[MONEY_TEXT];
    char turn[MONEY_TEXT];
    money_text(c->usd, usd);
    money_text(money_round(money_charge(c->usd * MONEY_YOCTO, 1, a->turns)), turn);
    fields_row(f, (struct value[FIELDS]){
        {.number = (double)a->interval_ns / 1e9},
        {.text = c->own ? o->setup.device->name : o->setup.model}, {.text = c->way},
        {.count = a->turns}, {.count = c->computed}, {.count = c->read}, {.text = usd},
        {.text = turn}, {.number = c->joules}, {.number = c->busy_s}, {.number = c->stored_bytes},
        {.number = isfinite(c->pays_s) ? c->pays_s : NAN}, {.text = pays_word(c)},
        {.count = c->pings}, {.text = c->own ? "modelled" : "listed"},
        {.text = o->books.book[0]->name}});
}

/* Each reason once, whatever the interval; where even a fresh prompt has no price, that alone. */
static void say_unpriced(const struct options *o, const struct agent_cost *c,
                         const struct agent_cost *first) {
    if (c == first)
        warn("%s", c->why);
    else if (!o->common.quiet && (c->own || !first->why[0]))
        warn("%s left out: %s", c->way, c->why);
}

static int report(struct options *o, const int64_t *interval, int n) {
    struct fields f;
    int rows = 0;
    int unpriced = 0;
    double *x = mem_array((size_t)n, sizeof *x);
    double *y = mem_array((size_t)n * AGENT_WAYS, sizeof *y);
    char name[AGENT_WAYS][80];
    int ways = 0;
    for (int i = 0; i < n; i++)
        set_interval(o, interval[i]);
    for (int i = 0; i < n; i++) {
        struct agent_cost cost[AGENT_WAYS];
        set_interval(o, interval[i]);
        int found = agent_costs(&o->setup, cost);
        x[i] = (double)interval[i] / 1e9;
        ways = 0;
        for (int w = 0; w < found; w++) {
            if (cost[w].why[0]) {
                unpriced |= w == 0;
                if (i == 0)
                    say_unpriced(o, &cost[w], cost);
                continue;
            }
            if (!rows++)
                fields_open(&f, fields, FIELDS, &o->common);
            print_row(o, &f, &cost[w]);
            snprintf(name[ways], sizeof name[ways], "%s%.64s", cost[w].own ? "own: " : "",
                     cost[w].way);
            y[ways++ * n + i] = money_dollars(cost[w].usd);
        }
    }
    if (rows)
        fields_close(&f);
    struct plot_series series[AGENT_WAYS];
    for (int w = 0; w < ways; w++)
        series[w] = (struct plot_series){name[w], x, y + w * n, (size_t)n};
    plot_lines(o->plot, &(struct plot_labels){.title = "A context kept from turn to turn",
               .x = "seconds from one turn to the next", .y = "dollars of all turns", .log_x = 1},
               series, ways);
    free(x);
    free(y);
    return rows && !unpriced ? EXIT_DONE : EXIT_NOTHING;
}

static int compare_times(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int cost_agent(int argc, char **argv) {
    struct options o = {.books = COST_BOOKS, .shape = COST_SHAPE, .device = COST_DEVICE,
                        .setup.agent = {.turns = 50, .system = 8000, .input = 2000, .output = 500,
                                        .summary = 2000}};
    parse(&o, argc, argv);
    cost_books_ready(&o.books, 1);
    if (o.setup.agent.limit < 0)
        o.setup.agent.limit = context_of(&o);
    if (o.setup.model)
        ready_provider(&o);
    if (o.device.spec)
        ready_device(&o);
    char *list = mem_strdup(o.intervals ? o.intervals : "1m,10m,1h,1d");
    int n;
    char **part = arg_list(list, &n);
    int64_t *interval = mem_array((size_t)n, sizeof *interval);
    for (int i = 0; i < n; i++)
        interval[i] = arg_duration("--interval", part[i]);
    qsort(interval, (size_t)n, sizeof *interval, compare_times);
    int status = report(&o, interval, n);
    biller_free(o.setup.biller);
    cost_device_free(&o.device);
    cost_books_free(&o.books);
    shape_free(o.shape.shape);
    free(interval);
    free(part);
    free(list);
    free(o.intervals);
    free(o.ttls);
    return status;
}
