/* cost_profile.c - llm-cost profile: a measured run into the ledger
 *
 * FLOPs, bytes, seconds, joules and dollars of each phase and of a token in it. Each row says where
 * its number comes from: measured (a clock, a counter, experts that were counted), modelled (from
 * the model's shape, or the roofline of a device), or listed (a price).
 */
#include "cmd/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_device.h"
#include "lib/cost/calibrate.h"
#include "lib/cost/ledger.h"

enum { OPT_MODEL = OPT_VERB, OPT_PRICE_HOUR, OPT_BY };

static const char *const usage[] = {
    "usage: llm-cost profile [OPTION]... [TRACE]...\n"
    "Adds up run traces (llm-run --trace): FLOPs, bytes, seconds, joules and dollars of each\n"
    "phase and of a token in it, each marked measured, modelled or listed.\n\n",
    COST_DEVICE_USAGE,
    "                         with one: shares of its limits, and time and joules it would take\n"
    "      --price-hour USD   of the machine for an hour (default with --device: the price book's\n"
    "                         for it, if any)\n"
    "      --model NAME       what the same tokens would cost as this model of the price book\n"
    "      --by step          a row for each pass in place of the sums\n",
    COST_BOOK_NOW_USAGE,
    FIELDS_USAGE,
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-run -m MODEL.gguf -p TEXT -n 64 --trace - | llm-cost profile\n"
    "  llm-cost profile --device ./here.device --price-hour 0.20 run.jsonl\n",
    NULL};

struct options {
    struct common common;
    struct cost_books books;
    struct cost_device device;
    const char *model;
    money hour;                 /* -1: not known */
    struct ledger ledger;
    double modelled_s[LEDGER_PHASES], modelled_j[LEDGER_PHASES];
    double least_s[LEDGER_PHASES];      /* that the FLOPs take at the peak of their arithmetic */
    int by_step;
    struct fields steps;        /* of the rows with --by step, once there is one */
};

/* ---- reading ------------------------------------------------------------------------------ */

/* FLOP/s of all devices, published or measured, whatever of it is to be expected. */
static double peak_of(const struct cost_device *d, const struct work_model *m) {
    const char *type = d->roof.type ? d->roof.type : roof_type(d->device, m);
    for (int i = 0; i < d->device->computes; i++)
        if (type && !strcmp(d->device->compute[i].type, type))
            return d->device->compute[i].flops_per_s * roof_devices(&d->roof);
    return 0;
}

/* What the roofline says of the same pass; its seconds. */
static double add_modelled(struct options *o, const struct trace_run *run,
                           const struct trace_step *step) {
    struct err e = {{0}};
    struct work_model m;
    struct work w;
    struct roof t;
    int phase = step->phase;
    calibrate_step_work(run, step, &m, &w);
    if (roof_time(&o->device.roof, &m, &w, &t, &e))
        die_err(&e);
    double least = shape_sum_flops(&step->flops) / peak_of(&o->device, &m);
    o->least_s[phase] += least;
    o->least_s[LEDGER_ALL] += least;
    o->modelled_s[phase] += t.seconds;
    o->modelled_s[LEDGER_ALL] += t.seconds;
    o->modelled_j[phase] += t.joules;
    o->modelled_j[LEDGER_ALL] += t.joules;
    return t.seconds;
}

static const struct field step_fields[] = {
    {"step", FIELD_COUNT, 0}, {"phase", FIELD_TEXT, 0}, {"tokens", FIELD_COUNT, 0},
    {"position", FIELD_COUNT, 0}, {"seconds", 9, 0}, {"modelled_seconds", 9, 0},
    {"flops", FIELD_WHOLE, 0}, {"bytes", FIELD_WHOLE, 0}, {"joules", 6, 0}};
enum { STEP_FIELDS = sizeof step_fields / sizeof *step_fields };

static void print_step(struct options *o, const struct trace_step *s, double modelled) {
    if (!o->steps.table)
        fields_open(&o->steps, step_fields, STEP_FIELDS, &o->common);
    fields_row(&o->steps, (struct value[STEP_FIELDS]){
        {.count = (int64_t)s->step}, {.text = ledger_phase_name(s->phase)},
        {.count = s->tokens}, {.count = s->position}, {.number = (double)s->ns / 1e9},
        {.number = modelled}, {.number = shape_sum_flops(&s->flops)},
        {.number = shape_sum_bytes(&s->bytes)}, {.number = s->joules}});
}

static void read_trace(struct options *o, const char *path) {
    struct err e = {{0}};
    struct steps_record r;
    int kind;
    struct steps *s = steps_open(path, &e);
    if (!s)
        die_err(&e);
    while ((kind = steps_next(s, &r, &e)) > 0) {
        ledger_add(&o->ledger, kind, &r);
        if (kind != STEPS_STEP)
            continue;
        double modelled = o->device.device ? add_modelled(o, steps_run(s), &r.step) : NAN;
        if (o->by_step)
            print_step(o, &r.step, modelled);
    }
    if (kind < 0)
        die_err(&e);
    steps_close(s);
}

/* ---- report ------------------------------------------------------------------------------- */

#define TOTAL 2                 /* columns that people read with a prefix, as in "39.7 M" */
#define PER_TOKEN 3
static const struct field fields[] = {
    {"phase", FIELD_TEXT, 0}, {"quantity", FIELD_TEXT, 0}, {"total", 6, 0}, {"per_token", 9, 0},
    {"marked", FIELD_TEXT, 0}, {"limit_share", 3, 0}, {"from", FIELD_TEXT, 0},
    {"steps", FIELD_COUNT, 1}, {"tokens", FIELD_COUNT, 1},
};
enum { FIELDS = sizeof fields / sizeof *fields };

struct row {
    const char *quantity, *marked, *from;
    double total;
    double share;               /* of the device's limit; NAN */
};

/* Four digits and a prefix of a thousand. */
static const char *short_text(double v, char out[32]) {
    static const char *const prefix[] = {" p", " n", " u", " m", "", " k", " M", " G", " T", " P"};
    int p = 4;
    if (isnan(v))
        return NULL;
    for (; fabs(v) >= 999.95 && p < 9; p++)
        v /= 1000;
    for (; v != 0 && fabs(v) < 1 && p > 0; p--)
        v *= 1000;
    snprintf(out, 32, "%.4g%s", v, prefix[p]);
    return out;
}

static void print_row(struct fields *f, const struct ledger_phase *p, const char *phase,
                      const struct row *r) {
    char total[32];
    char each[32];
    double per_token = p->tokens ? r->total / (double)p->tokens : NAN;
    if (isnan(r->total))
        return;
    fields_row(f, (struct value[FIELDS]){
        {.text = phase}, {.text = r->quantity},
        {.number = r->total, .text = short_text(r->total, total)},
        {.number = per_token, .text = short_text(per_token, each)}, {.text = r->marked},
        {.number = r->share}, {.text = r->from}, {.count = p->steps}, {.count = p->tokens}});
}

static double part(double a, double b) {
    return b > 0 ? a / b : NAN;
}

/* Of a limit of the device; NAN without one. */
static double share_of(double amount, double seconds, double rate) {
    return rate > 0 ? part(amount / rate, seconds) : NAN;
}

static void work_rows(const struct options *o, struct fields *f, int phase) {
    const struct ledger_phase *p = &o->ledger.phase[phase];
    const char *name = ledger_phase_name(phase);
    const struct device *d = o->device.device;
    double s = p->ns / 1e9;
    double rate = d && d->memories ? d->memory[0].read_bytes_per_s * roof_devices(&o->device.roof)
                                   : 0;
    double kv = p->bytes.kv_read + p->bytes.kv_write;
    const struct row rows[] = {
        {"flops", "modelled", "the model's shape", shape_sum_flops(&p->flops),
         d ? part(o->least_s[phase], s) : NAN},
        {"flops_attention", "modelled", "positions seen", p->flops.attention, NAN},
        {"flops_experts", "modelled", "experts chosen",
         p->flops.experts > 0 ? p->flops.experts : NAN, NAN},
        {"flops_linear", "modelled", "every parameter for each token", p->linear_flops, NAN},
        {"bytes", "modelled", "weights, experts and KV", shape_sum_bytes(&p->bytes),
         share_of(shape_sum_bytes(&p->bytes), s, rate)},
        {"bytes_dense", "modelled", "stored sizes, once a pass", p->bytes.dense, NAN},
        {"bytes_experts", "measured", "distinct experts of each pass",
         p->bytes.experts > 0 ? p->bytes.experts : NAN, NAN},
        {"bytes_kv", "modelled", "positions seen", kv, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        print_row(f, p, name, &rows[i]);
}

static void time_rows(const struct options *o, struct fields *f, int phase) {
    const struct ledger_phase *p = &o->ledger.phase[phase];
    const char *name = ledger_phase_name(phase);
    const char *device = o->device.device ? o->device.device->name : NULL;
    double s = p->ns / 1e9;
    const struct row rows[] = {
        {"seconds", "measured", "clock", s, NAN},
        {"seconds", "modelled", device, device ? o->modelled_s[phase] : NAN,
         device ? part(o->modelled_s[phase], s) : NAN},
        {"joules", "measured", "counters of the machine",
         o->ledger.counted ? p->joules : NAN, NAN},
        {"joules", "modelled", device, device ? o->modelled_j[phase] : NAN, NAN},
        {"usd_machine", "listed", "price of an hour",
         o->hour >= 0 ? money_dollars(o->hour) * s / 3600 : NAN, NAN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        print_row(f, p, name, &rows[i]);
}

/* The requests' tokens as another model's: what a provider would have charged. */
static int bill_rows(const struct options *o, struct fields *f) {
    const struct ledger *l = &o->ledger;
    struct usage u = {.time_ns = USAGE_NO_TIME, .offset_ns = USAGE_NO_TIME,
                      .model = {o->model, strlen(o->model)}};
    struct bill bill;
    struct biller *b = biller_new(o->books.book[0], &(struct bill_options){
        .at_ns = o->books.at_ns, .now_ns = o->books.now_ns});
    usage_add(&u, USAGE_INPUT, USAGE_TEXT, 0, l->input_tokens - l->cached_tokens);
    usage_add(&u, USAGE_READ, USAGE_TEXT, 0, l->cached_tokens);
    usage_add(&u, USAGE_OUTPUT, USAGE_TEXT, 0, l->output_tokens);
    int priced = bill_price(b, &u, 0, &bill) == BILL_PRICED;
    biller_free(b);
    if (!priced) {
        warn("%s", bill.why);
        return EXIT_NOTHING;
    }
    struct row r = {"usd_tokens", "listed", o->model, money_dollars(bill.usd), NAN};
    print_row(f, &l->phase[LEDGER_ALL], "all", &r);
    return EXIT_DONE;
}

static int report(const struct options *o) {
    struct fields f;
    int status = EXIT_DONE;
    struct field shown[FIELDS];
    memcpy(shown, fields, sizeof fields);
    if (table_for_people(fields_format(&o->common, stdout)))
        shown[TOTAL].decimals = shown[PER_TOKEN].decimals = FIELD_TEXT;
    fields_open(&f, shown, FIELDS, &o->common);
    for (int i = 0; i < LEDGER_PHASES; i++) {
        if (!o->ledger.phase[i].steps)
            continue;
        work_rows(o, &f, i);
        time_rows(o, &f, i);
    }
    if (o->model)
        status = bill_rows(o, &f);
    fields_close(&f);
    return status;
}

/* ---- the verb ----------------------------------------------------------------------------- */

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_DEVICE_LONG,
        {"model", required_argument, NULL, OPT_MODEL},
        {"by", required_argument, NULL, OPT_BY},
        {"price-hour", required_argument, NULL, OPT_PRICE_HOUR}, {NULL, 0, NULL, 0}};
    static const char *const parts[] = {"step", NULL};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || fields_option(c, optarg, &o->common) ||
            cost_book_option(c, optarg, &o->books) || cost_device_option(c, optarg, &o->device))
            continue;
        if (c == OPT_MODEL)
            o->model = optarg;
        else if (c == OPT_PRICE_HOUR)
            o->hour = arg_money("--price-hour", optarg);
        else if (c == OPT_BY)
            o->by_step = !arg_choice("--by", optarg, parts);
    }
    if (o->by_step && (o->model || o->hour >= 0))
        usage_die("--by: a step has no price: --model and --price-hour do not go with it");
}

static void ready(struct options *o) {
    if (o->model || (o->device.spec && o->hour < 0 && !o->by_step))
        cost_books_ready(&o->books, 1);
    if (!o->device.spec)
        return;
    cost_device_ready(&o->device, NULL);
    const struct book_gpu *g = o->hour < 0 && !o->by_step
                                   ? cost_gpu(&o->books, o->device.device->name) : NULL;
    if (g)
        o->hour = g->rate;
}

int cost_profile(int argc, char **argv) {
    struct options o = {.books = COST_BOOKS, .device = COST_DEVICE, .hour = -1};
    int n;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    ready(&o);
    for (int i = 0; i < n; i++)
        read_trace(&o, path[i]);
    ledger_end(&o.ledger);
    int status = EXIT_DONE;
    if (!o.ledger.phase[LEDGER_ALL].steps) {
        warn("no step was recorded");
        status = EXIT_NOTHING;
    } else if (o.by_step) {
        fields_close(&o.steps);
    } else {
        status = report(&o);
    }
    cost_device_free(&o.device);
    cost_books_free(&o.books);
    return status;
}
