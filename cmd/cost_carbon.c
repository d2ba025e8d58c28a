/* cost_carbon.c - llm-cost carbon: joules to CO2, measured, modelled and by EcoLogits' formula
 *
 * The same tokens by each way that there is: a run's own counters, the roofline of a device, the
 * formula that knows output tokens alone. Or, with --training, the number of tokens after which a
 * sparse model that took more energy to train has paid it back against a dense one.
 */
#include "cmd/cost.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/cost_device.h"
#include "lib/base/num.h"
#include "lib/cost/carbon.h"
#include "lib/cost/grid.h"
#include "lib/cost/ledger.h"

enum {
    OPT_RUN = OPT_VERB, OPT_JOULES, OPT_PARAMS, OPT_ACTIVE, OPT_GRID, OPT_GRIDS, OPT_PUE, OPT_BATCH,
    OPT_TRAINING, OPT_AGAINST, OPT_TOKEN
};

static const char *const usage[] = {
    "usage: llm-cost carbon [OPTION]... [USAGE]...\n"
    "       llm-cost carbon --run TRACE [OPTION]...\n"
    "       llm-cost carbon --training ENERGY --against ENERGY --token ENERGY,ENERGY\n"
    "Energy and emissions of requests: measured, by a device's roofline, by EcoLogits' formula.\n\n"
    "Requests\n"
    "      --run TRACE        a run trace (llm-run --trace): its joules, tokens and shape\n"
    "      --joules J         energy that was measured for the usage, machines alone\n"
    "      --params N         parameters of the model, and\n"
    "      --active N         those that a token uses (default: of --shape, else of each record's\n"
    "                         model in the price book)\n"
    "      --batch N          requests that a server answers at a time (default 64)\n"
    "      --skip-bad         count and pass broken lines\n"
    "Electricity\n"
    "      --grid GRID        grams of CO2 a kWh, or a country as in FRA, USA, WOR (default WOR)\n"
    "      --grids            list the countries and end\n"
    "      --pue N            energy of the data centre over its machines' (default 1.2)\n"
    "Training paid back\n"
    "      --training ENERGY  of the sparse model: J, Wh, kWh, MWh or GWh, as in 500MWh\n"
    "      --against ENERGY   of the dense one of the same quality\n"
    "      --token A,B        energy of a served token, sparse and dense, as in 0.4J,1.1J\n",
    COST_MODEL_USAGE, COST_DEVICE_USAGE,
    "      --book BOOK        price book that knows the models' parameters (default starter)\n",
    FIELDS_USAGE,
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-run -m MODEL.gguf -p TEXT -n 64 --trace - | llm-cost carbon --run - --grid FRA\n"
    "  llm-cost carbon --shape llama-3.1-70b --device h100-sxm --tp 2 usage.jsonl\n"
    "  llm-cost carbon --training 900MWh --against 600MWh --token 0.4J,1.1J\n",
    NULL};

struct options {
    struct common common;
    struct cost_books books;
    struct cost_shape shape;
    struct cost_device device;
    struct usage_options reader;
    const char *run;
    double joules;              /* -1: not given */
    double params, active, batch, pue;
    const char *grid;
    double g_per_kwh;
    double training, against, token[2];     /* joules; -1 */

    /* What was read: */
    double requests, input, cached, output;
    double ecologits_wh, ecologits_g;       /* NAN: some model's parameters are not known */
    double modelled_j;
    char unknown[128];          /* the first model whose parameters are not known */
};

/* ---- options ------------------------------------------------------------------------------ */

/* "500MWh", "0.4J": joules. Ends the program when it is none. */
static double arg_energy(const char *option, const char *value) {
    static const struct { const char *name; double joules; } units[] = {
        {"GWh", 3.6e12}, {"MWh", 3.6e9}, {"kWh", 3.6e6}, {"mJ", 1e-3}, {"kJ", 1e3}, {"MJ", 1e6},
        {"Wh", 3600}, {"J", 1}};
    char *text = mem_strdup(value);
    double v = -1;
    for (size_t i = 0; i < sizeof units / sizeof *units && v < 0; i++) {
        if (!arg_take_off(text, units[i].name))
            continue;
        if (num_float(text, 0, 1e18, &v))
            break;
        v *= units[i].joules;
    }
    free(text);
    if (v < 0)
        usage_die("%s: '%s': expected an energy of 0 or more with its unit, as in 500MWh or 0.4J",
                  option, value);
    return v;
}

static void take_tokens(struct options *o, const char *arg) {
    char *text = mem_strdup(arg);
    int n;
    char **part = arg_list(text, &n);
    if (n != 2)
        usage_die("--token: '%s': expected two energies, as in 0.4J,1.1J", arg);
    for (int i = 0; i < 2; i++)
        o->token[i] = arg_energy("--token", part[i]);
    free(part);
    free(text);
}

static void set_grid(struct options *o, const char *arg) {
    const struct grid *g = grid_find(arg);
    o->grid = g ? g->name : "given";
    if (g)
        o->g_per_kwh = g->g_per_kwh;
    else if (num_float(arg, 0, 10000, &o->g_per_kwh))
        usage_die("--grid: '%s': expected grams a kWh, or a country of --grids, as in FRA", arg);
}

static int list_grids(const struct options *o) {
    static const struct field columns[] = {
        {"grid", FIELD_TEXT, 0}, {"country", FIELD_TEXT, 0}, {"g_per_kwh", 2, 0},
        {"date", FIELD_TEXT, 1}, {"source", FIELD_TEXT, 1}};
    struct fields f;
    fields_open(&f, columns, 5, &o->common);
    for (const struct grid *g = grid_all(); g->name; g++)
        fields_row(&f, (struct value[]){{.text = g->name}, {.text = g->country},
                                        {.number = g->g_per_kwh}, {.text = grid_date},
                                        {.text = grid_source}});
    fields_close(&f);
    return EXIT_DONE;
}

static void take(struct options *o, int c, const char *arg, int *grids) {
    switch (c) {
    case OPT_RUN: o->run = arg; break;
    case OPT_JOULES: o->joules = arg_float("--joules", arg, 0, 1e18); break;
    case OPT_PARAMS: o->params = (double)arg_size("--params", arg, 1, (int64_t)1 << 50); break;
    case OPT_ACTIVE: o->active = (double)arg_size("--active", arg, 1, (int64_t)1 << 50); break;
    case OPT_GRID: set_grid(o, arg); break;
    case OPT_GRIDS: *grids = 1; break;
    case OPT_PUE: o->pue = arg_float("--pue", arg, 1, 10); break;
    case OPT_BATCH: o->batch = (double)arg_int("--batch", arg, 1, 100000); break;
    case OPT_SKIP_BAD: o->reader.skip_bad = 1; break;
    case OPT_TRAINING: o->training = arg_energy("--training", arg); break;
    case OPT_AGAINST: o->against = arg_energy("--against", arg); break;
    case OPT_TOKEN: take_tokens(o, arg); break;
    }
}

static void check(const struct options *o) {
    int payback = (o->training >= 0) + (o->against >= 0) + (o->token[0] >= 0);
    if (payback && payback < 3)
        usage_die("--training, --against and --token go together");
    if (o->run && o->joules >= 0)
        usage_die("--run and --joules do not go together");
    if ((o->params > 0) != (o->active > 0))
        usage_die("--params and --active go together");
    if (o->active > o->params)
        usage_die("--active: more than --params");
    if (o->device.spec && !o->shape.shape && !o->run)
        usage_die("--device: expected --shape or --run beside it");
}

static int parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, COST_MODEL_LONG, COST_DEVICE_LONG, COST_INPUT_LONG,
        {"book", required_argument, NULL, OPT_BOOK},
        {"run", required_argument, NULL, OPT_RUN},
        {"joules", required_argument, NULL, OPT_JOULES},
        {"params", required_argument, NULL, OPT_PARAMS},
        {"active", required_argument, NULL, OPT_ACTIVE},
        {"grid", required_argument, NULL, OPT_GRID},
        {"grids", no_argument, NULL, OPT_GRIDS},
        {"pue", required_argument, NULL, OPT_PUE},
        {"batch", required_argument, NULL, OPT_BATCH},
        {"training", required_argument, NULL, OPT_TRAINING},
        {"against", required_argument, NULL, OPT_AGAINST},
        {"token", required_argument, NULL, OPT_TOKEN},
        {NULL, 0, NULL, 0}};
    int grids = 0;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_book_option(c, optarg, &o->books) &&
            !cost_shape_option(c, optarg, &o->shape) && !cost_device_option(c, optarg, &o->device))
            take(o, c, optarg, &grids);
    check(o);
    return grids;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Parameters of a record's model: as said, the shape's, the book's. shape may be NULL. */
static int parameters(const struct options *o, const struct shape *shape, const struct usage *u,
                      struct carbon_model *m) {
    *m = (struct carbon_model){.batch = o->batch, .pue = o->pue};
    if (o->params > 0) {
        m->params = o->params;
        m->active = o->active;
    } else if (shape) {
        m->params = (double)shape->params;
        m->active = (double)shape->params_active;
    } else {
        const struct book *b = o->books.book[0];
        int i = u->model.data ? book_model(b, u->model.data, u->model.len) : -1;
        m->params = i >= 0 ? b->model[i].params : 0;
        m->active = i >= 0 ? b->model[i].active : 0;
    }
    return m->params > 0 && m->active > 0;
}

static void add_ecologits(struct options *o, const struct shape *shape, const struct usage *u,
                          double output) {
    struct carbon_model m;
    if (!parameters(o, shape, u, &m)) {
        if (!o->unknown[0])     /* only of a record: a run has its shape */
            snprintf(o->unknown, sizeof o->unknown, "%.*s",
                     u->model.data ? (int)u->model.len : 10,
                     u->model.data ? u->model.data : "(no model)");
        o->ecologits_wh = o->ecologits_g = NAN;
        return;
    }
    struct carbon c = carbon_ecologits(&m, output, INFINITY);
    o->ecologits_wh += c.wh;
    o->ecologits_g += c.embodied_g;
}

/* Prefill of what is not cached, and the share in decode steps of a batch, as large as asked for or
 * as the memory holds. */
static void add_modelled(struct options *o, const struct shape *shape, int64_t cached,
                         int64_t prompt, int64_t output) {
    struct err e = {{0}};
    struct work_model m = {.shape = shape, .kv_bits = o->shape.kv_bits,
                           .weight_bits = o->shape.weight_bits, .batch = (int64_t)o->batch};
    struct work w[2];
    struct roof t;
    while (m.batch > 1 && !roof_fits(&o->device.roof, &m, m.batch, prompt + output))
        m.batch /= 2;
    work_request(&m, cached, prompt, output, &w[0], &w[1]);
    for (int i = 0; i < 2; i++) {
        if (w[i].passes <= 0)
            continue;
        if (roof_time(&o->device.roof, &m, &w[i], &t, &e))
            die_err(&e);
        o->modelled_j += t.joules;
    }
}

static void read_usage(struct options *o, const char *path) {
    struct err e = {{0}};
    struct usage u;
    int rc;
    struct usages *in = usage_open(path, &o->reader, &e);
    if (!in)
        die_err(&e);
    while ((rc = usage_next(in, &u, &e)) == 1) {
        int64_t cached = usage_sum(&u, USAGE_READ);
        int64_t output = usage_sum(&u, USAGE_OUTPUT) + usage_sum(&u, USAGE_REASONING);
        o->requests++;
        o->input += (double)usage_prompt(&u);
        o->cached += (double)cached;
        o->output += (double)output;
        add_ecologits(o, o->shape.shape, &u, (double)output);
        if (o->device.device && usage_prompt(&u) > 0)
            add_modelled(o, o->shape.shape, cached, usage_prompt(&u), output);
    }
    if (rc < 0)
        die_err(&e);
    usage_close(in);
}

static void read_run(struct options *o) {
    struct err e = {{0}};
    struct ledger l = {0};
    struct steps_record r;
    int kind;
    struct steps *s = steps_open(o->run, &e);
    if (!s)
        die_err(&e);
    while ((kind = steps_next(s, &r, &e)) > 0) {
        ledger_add(&l, kind, &r);
        if (kind != STEPS_REQUEST)
            continue;
        const struct trace_request *q = &r.request;
        const struct shape *shape = o->shape.shape ? o->shape.shape : steps_shape(s);
        add_ecologits(o, shape, NULL, (double)q->output_length);
        if (o->device.device && q->input_length > 0)
            add_modelled(o, shape, q->cached_tokens, q->input_length, q->output_length);
    }
    if (kind < 0)
        die_err(&e);
    ledger_end(&l);
    o->requests = (double)l.requests;
    o->input = (double)l.input_tokens;
    o->cached = (double)l.cached_tokens;
    o->output = (double)l.output_tokens;
    o->joules = l.counted ? l.phase[LEDGER_ALL].joules : -1;
    steps_close(s);
}

/* ---- report ------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"way", FIELD_TEXT, 0}, {"marked", FIELD_TEXT, 0}, {"requests", FIELD_WHOLE, 0},
    {"input_tokens", FIELD_WHOLE, 1}, {"cached_tokens", FIELD_WHOLE, 1},
    {"output_tokens", FIELD_WHOLE, 0}, {"machine_wh", 6, 0}, {"wh", 6, 0}, {"use_g", 6, 0},
    {"embodied_g", 6, 0}, {"g", 6, 0}, {"g_per_mtok_output", 3, 0}, {"pue", 2, 1},
    {"g_per_kwh", 2, 0}, {"grid", FIELD_TEXT, 1}, {"source", FIELD_TEXT, 1},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void print_way(const struct options *o, struct fields *f, const char *way,
                      const char *marked, double machine_wh, double embodied_g,
                      const char *source) {
    double wh = machine_wh * o->pue;
    double use = carbon_grams(wh, o->g_per_kwh);
    double g = isnan(embodied_g) ? use : use + embodied_g;
    fields_row(f, (struct value[FIELDS]){
        {.text = way}, {.text = marked}, {.number = o->requests}, {.number = o->input},
        {.number = o->cached}, {.number = o->output}, {.number = machine_wh}, {.number = wh},
        {.number = use}, {.number = embodied_g}, {.number = g},
        {.number = o->output > 0 ? g / o->output * 1e6 : NAN}, {.number = o->pue},
        {.number = o->g_per_kwh}, {.text = o->grid}, {.text = source}});
}

static void say_unknown(const struct options *o) {
    if (isnan(o->ecologits_wh))
        warn("%s: its parameters are not known: say --shape, or --params and --active", o->unknown);
    if (o->run && o->joules < 0 && !o->common.quiet)
        warn("%s: no step has joules: nothing here is measured", input_name(o->run));
    if (o->device.device && isnan(o->modelled_j))
        warn("%s: the profile says no power", o->device.device->name);
}

static int report(const struct options *o) {
    struct fields f;
    int modelled = o->device.device && !isnan(o->modelled_j);
    if (o->joules < 0 && !modelled && isnan(o->ecologits_wh)) {
        say_unknown(o);
        return EXIT_NOTHING;
    }
    fields_open(&f, fields, FIELDS, &o->common);
    if (o->joules >= 0)
        print_way(o, &f, "counters", "measured", o->joules / CARBON_JOULES_PER_WH, NAN,
                  o->run ? "joules of the run's steps" : "--joules");
    if (modelled)
        print_way(o, &f, o->device.device->name, "modelled", o->modelled_j / CARBON_JOULES_PER_WH,
                  NAN, "roofline and power of the device");
    if (!isnan(o->ecologits_wh))
        print_way(o, &f, "ecologits", "modelled", o->ecologits_wh / o->pue, o->ecologits_g,
                  "EcoLogits 0.11.3, of output tokens alone");
    fields_close(&f);
    say_unknown(o);
    return o->unknown[0] ? EXIT_NOTHING : EXIT_DONE;
}

static int payback(const struct options *o) {
    static const struct field columns[] = {
        {"training_wh", 0, 0}, {"against_wh", 0, 0}, {"token_joules", 6, 0},
        {"against_token_joules", 6, 0}, {"tokens", FIELD_WHOLE, 0}, {"g_saved_per_mtok", 3, 0},
        {"pays", FIELD_TEXT, 0}};
    struct fields f;
    double tokens = carbon_payback(o->training, o->against, o->token[0], o->token[1]);
    double saved = (o->token[1] - o->token[0]) * 1e6 / CARBON_JOULES_PER_WH * o->pue;
    fields_open(&f, columns, 7, &o->common);
    fields_row(&f, (struct value[]){
        {.number = o->training / CARBON_JOULES_PER_WH},
        {.number = o->against / CARBON_JOULES_PER_WH}, {.number = o->token[0]},
        {.number = o->token[1]}, {.number = isfinite(tokens) ? ceil(tokens) : NAN},
        {.number = carbon_grams(saved, o->g_per_kwh)},
        {.text = isinf(tokens) ? "never" : tokens > 0 ? "after" : "at once"}});
    fields_close(&f);
    return EXIT_DONE;
}

int cost_carbon(int argc, char **argv) {
    struct options o = {.books = COST_BOOKS, .shape = COST_SHAPE, .device = COST_DEVICE,
                        .joules = -1, .batch = 64, .pue = 1.2, .training = -1, .against = -1,
                        .token = {-1, -1}};
    int n;
    set_grid(&o, "WOR");
    if (parse(&o, argc, argv))
        return list_grids(&o);
    if (o.training >= 0)
        return payback(&o);
    char **path = o.run ? NULL : common_inputs(argc, argv, usage, 0, &n);
    if (!o.run && !o.shape.shape && o.params <= 0)
        cost_books_ready(&o.books, 1);
    if (o.device.spec)
        cost_device_ready(&o.device, NULL);
    cost_device_check(&o.device, o.shape.shape);
    if (o.run)
        read_run(&o);
    else
        for (int i = 0; i < n; i++)
            read_usage(&o, path[i]);
    int status = EXIT_NOTHING;
    if (o.requests > 0)
        status = report(&o);
    else
        warn("no request was read");
    cost_device_free(&o.device);
    cost_books_free(&o.books);
    shape_free(o.shape.shape);
    return status;
}
