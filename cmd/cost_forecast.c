/* cost_forecast.c - llm-cost forecast: the bill of a period to come, against a budget and caps
 *
 * Usage in, priced, and drawn again by lib/cost/forecast.h. Each row is a sum of money that is
 * limited: the bill, a plan's included amount, a rolling window; with its distribution, the chance
 * that the limit is passed, and the day.
 */
#include "cmd/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/cost/forecast.h"
#include "lib/cost/plan.h"

enum {
    OPT_MODEL = OPT_VERB, OPT_AS, OPT_SERVICE, OPT_PERIOD, OPT_AHEAD, OPT_GROWTH, OPT_BUDGET,
    OPT_CAP, OPT_BY, OPT_RESAMPLES, OPT_SEED, OPT_COVERS, OPT_START, OPT_PLOT
};

#define CAPS 16
#define METERS (CAPS * (1 + BOOK_WINDOWS) + 1)
#define AHEAD_MOST 120
#define FEW_SESSIONS 30
#define FEW_DAYS 14

static const char *const usage[] = {
    "usage: llm-cost forecast [OPTION]... [USAGE]...\n"
    "The bill of a period to come, as a distribution, by drawing the trace's sessions again; the\n"
    "chance that it passes a budget or a cap, and when.\n\n"
    "Forecast\n"
    "      --period TIME      as in 30d, or day, week, month, year (default month, 30 days)\n"
    "      --ahead N          so many periods, one after the other (default 1)\n"
    "      --growth P         sessions more a period, as in 5%, or less, as in -10%: once for the\n"
    "                         first period, twice for the second, ... (default 0)\n"
    "      --budget USD       of a period\n"
    "      --cap CAP          a plan of the book, USD/TIME for a rolling window, as in 12/5h, or\n"
    "                         USD of the period; repeat for more\n"
    "      --by WHAT          draw whole sessions, or days, which takes 14 of them\n"
    "                         (default session)\n"
    "      --resamples N      (default 10000)\n"
    "      --seed N           (default 1)\n"
    "      --covers TIME      what the usage covers, as in 7d (default: from first to last)\n"
    "      --plot FILE        draw the chance that the bill is larger; .svg or .png\n",
    COST_BOOK_USAGE
    "      --model NAME       model of records that name none\n"
    "      --as NAME          model of all records, whatever they name\n"
    "      --service NAME     service of all records: standard, batch, flex, priority\n",
    COST_INPUT_USAGE
    "      --start DATE       when the clock of a trace without a calendar stood at 0, UTC\n",
    FIELDS_USAGE,
    "\nExamples\n"
    "  llm-cost forecast --budget 500 usage.jsonl\n"
    "  llm-cost forecast --period 30d --ahead 3 --growth 5% --by day usage.jsonl\n"
    "  llm-cost forecast --cap 12/5h --cap 30/7d --plot bill.svg ~/.claude/projects/*/*.jsonl\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_INPUT_LONG,
    {"model", required_argument, NULL, OPT_MODEL}, {"as", required_argument, NULL, OPT_AS},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"period", required_argument, NULL, OPT_PERIOD}, {"ahead", required_argument, NULL, OPT_AHEAD},
    {"growth", required_argument, NULL, OPT_GROWTH},
    {"budget", required_argument, NULL, OPT_BUDGET}, {"cap", required_argument, NULL, OPT_CAP},
    {"by", required_argument, NULL, OPT_BY}, {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED}, {"covers", required_argument, NULL, OPT_COVERS},
    {"start", required_argument, NULL, OPT_START}, {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

struct options {
    struct common common;
    struct cost_books books;
    struct usage_options in;
    const char *model, *as, *service;
    struct forecast_options draw;
    int ahead;
    double growth;
    double budget;              /* NAN: none */
    const char *cap[CAPS];
    int caps;
    const char *plot;
};

struct meters {
    struct forecast_meter meter[METERS];
    char *name[METERS];
    int n;
};

/* ---- options ------------------------------------------------------------------------------ */

static int64_t arg_period(const char *value) {
    static const struct { const char *name; int64_t days; } names[] = {
        {"day", 1}, {"week", 7}, {"month", 30}, {"year", 365}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, value))
            return names[i].days * PLAN_DAY_NS;
    return arg_duration("--period", value);
}

static double arg_growth(const char *value) {
    return arg_share("--growth", value, -0.99, 100);
}

static void take_option(struct options *o, int c, const char *arg) {
    static const char *const by[] = {"session", "day", NULL};
    switch (c) {
    case OPT_MODEL: o->model = arg; break;
    case OPT_AS: o->as = arg; break;
    case OPT_SERVICE: o->service = arg; break;
    case OPT_PERIOD: o->draw.period_ns = arg_period(arg); break;
    case OPT_AHEAD: o->ahead = (int)arg_int("--ahead", arg, 1, AHEAD_MOST); break;
    case OPT_GROWTH: o->growth = arg_growth(arg); break;
    case OPT_BUDGET: o->budget = money_dollars(arg_money("--budget", arg)); break;
    case OPT_CAP:
        if (o->caps == CAPS)
            usage_die("--cap: expected at most %d", CAPS);
        o->cap[o->caps++] = arg;
        break;
    case OPT_BY: o->draw.by_day = arg_choice("--by", arg, by); break;
    case OPT_RESAMPLES: o->draw.resamples = (int)arg_size("--resamples", arg, 100, 1000000); break;
    case OPT_SEED: o->draw.seed = arg_seed(arg); break;
    case OPT_COVERS: o->draw.length_ns = arg_duration("--covers", arg); break;
    case OPT_START: o->in.start_ns = arg_date("--start", arg); break;
    case OPT_SKIP_BAD: o->in.skip_bad = 1; break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    }
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !cost_book_option(c, optarg, &o->books))
            take_option(o, c, optarg);
    if (o->model && o->as)
        usage_die("--model and --as: choose one");
}

/* ---- caps --------------------------------------------------------------------------------- */

/* Takes name. */
static void add_meter(struct meters *m, char *name, money limit, int64_t window_ns, int fixed) {
    m->name[m->n] = name;
    m->meter[m->n++] = (struct forecast_meter){.limit = money_dollars(limit),
                                               .window_ns = window_ns, .fixed = fixed};
}

static int add_plan(struct meters *m, const struct book *b, const char *name, int64_t period_ns) {
    for (int i = 0; i < b->plans; i++) {
        const struct book_plan *p = &b->plan[i];
        if (strcmp(p->name, name))
            continue;
        if (p->included || !p->windows)
            add_meter(m, mem_printf("%s included", p->name), p->included,
                      p->period_ns < period_ns ? p->period_ns : 0, 1);
        for (int w = 0; w < p->windows; w++)
            add_meter(m, mem_printf("%s %gh", p->name,
                                    (double)p->window[w].period_ns / (double)PLAN_HOUR_NS),
                      p->window[w].limit, p->window[w].period_ns, 0);
        return 1;
    }
    return 0;
}

static void add_cap(struct meters *m, const struct options *o, const char *cap) {
    const struct book *b = o->books.book[0];
    const char *slash = strchr(cap, '/');
    money usd;
    if (add_plan(m, b, cap, o->draw.period_ns))
        return;
    size_t len = slash ? (size_t)(slash - cap) : strlen(cap);
    if (money_parse(cap, len, &usd) || usd < 0)
        usage_die("--cap: '%s': expected a plan of book %s, dollars, or dollars and a time as in "
                  "12/5h", cap, b->name);
    add_meter(m, mem_strdup(cap), usd, slash ? arg_duration("--cap", slash + 1) : 0, 0);
}

static void set_meters(struct meters *m, const struct options *o) {
    *m = (struct meters){.n = 1, .name = {mem_strdup("bill")}, .meter = {{.limit = o->budget}}};
    for (int i = 0; i < o->caps; i++)
        add_cap(m, o, o->cap[i]);
}

static void free_meters(struct meters *m) {
    for (int i = 0; i < m->n; i++) {
        free(m->name[i]);
        free(m->meter[i].peak);
    }
}

/* ---- usage -------------------------------------------------------------------------------- */

/* Reads and prices all; a bill without some records would be one of something else. */
static int read_usage(const struct options *o, char **path, int n, struct forecast *f) {
    const struct bill_options opt = {.at_ns = o->books.at_ns, .now_ns = o->books.now_ns,
                                     .model = o->as ? o->as : o->model, .force_model = !!o->as,
                                     .service = o->service};
    struct biller *biller = biller_new(o->books.book[0], &opt);
    struct err e = {{0}};
    struct usage u;
    struct bill bill;
    char why[sizeof bill.why] = "";
    int64_t unpriced = 0;
    int rc;
    struct usages *in = usage_open_files(path, n, &o->in, &e);
    if (!in)
        die_err(&e);
    while ((rc = usage_next(in, &u, &e)) == 1) {
        if (bill_price(biller, &u, 0, &bill) != BILL_PRICED) {
            if (!unpriced++)
                memcpy(why, bill.why, sizeof why);
            continue;
        }
        int64_t time_ns = u.time_ns != USAGE_NO_TIME ? u.time_ns : u.offset_ns;
        forecast_add(f, u.session.data, u.session.len, time_ns, money_dollars(bill.usd));
    }
    if (rc < 0)
        die_err(&e);
    const struct usage_totals t = *usage_totals(in);
    if (t.bad && !o->common.quiet)
        warn("%lld broken line%s passed", (long long)t.bad, t.bad == 1 ? "" : "s");
    if (!t.records)
        warn("no usage in it");
    if (unpriced)
        warn("no price: %s (book %s; %lld of %lld records)", why, o->books.book[0]->name,
             (long long)unpriced, (long long)t.records);
    biller_free(biller);
    usage_close(in);
    return unpriced || !t.records ? EXIT_NOTHING : EXIT_DONE;
}

static void say_limits(const struct options *o, const struct forecast_facts *f) {
    const char *what = o->draw.by_day ? "day" : "session";
    if (o->common.quiet)
        return;
    if (f->alone == f->requests)
        warn("no sessions: every request is drawn alone, as if none depended on another, which "
             "makes the spread too small%s", o->draw.by_day ? "" : "; --by day keeps days whole");
    if (f->sessions < FEW_SESSIONS)
        warn("%lld %ss: about one in %lld to come is more expensive than all of them, which no "
             "quantile here knows", (long long)f->sessions, what, (long long)f->sessions + 1);
    if (f->left)
        warn("left out: %lld requests of the last part of a day", (long long)f->left);
    if (f->drawn_singly < f->sessions)
        warn("the %lld largest of %lld sessions are drawn one by one, the rest as a normal sum",
             (long long)f->drawn_singly, (long long)f->sessions);
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"what", FIELD_TEXT, 0}, {"period", FIELD_COUNT, 0}, {"mean_usd", 2, 0}, {"p5_usd", 2, 1},
    {"p50_usd", 2, 0}, {"p95_usd", 2, 0}, {"p99_usd", 2, 0}, {"limit_usd", 2, 0},
    {"over", 4, 0}, {"over_day_p10", 1, 1}, {"over_day_p50", 1, 0}, {"over_day_p90", 1, 1},
    {"window_h", 1, 1}, {"period_days", 1, 1}, {"trace_usd", 2, 1}, {"trace_days", 2, 1},
    {"sessions", FIELD_COUNT, 1}, {"requests", FIELD_COUNT, 1}, {"drawn", FIELD_TEXT, 1},
    {"book", FIELD_TEXT, 1}};

static void print_rows(struct fields *f, const struct options *o, const struct meters *m,
                       int period, const struct forecast_facts *facts) {
    for (int i = 0; i < m->n; i++) {
        const struct forecast_meter *x = &m->meter[i];
        const struct value v[] = {
            {.text = m->name[i]}, {.count = period}, {.number = x->mean}, {.number = x->p5},
            {.number = x->p50}, {.number = x->p95}, {.number = x->p99}, {.number = x->limit},
            {.number = x->over}, {.number = x->day_p10}, {.number = x->day_p50},
            {.number = x->day_p90},
            {.number = x->window_ns ? (double)x->window_ns / (double)PLAN_HOUR_NS : NAN},
            {.number = (double)o->draw.period_ns / (double)PLAN_DAY_NS}, {.number = facts->usd},
            {.number = (double)facts->length_ns / (double)PLAN_DAY_NS},
            {.count = facts->sessions}, {.count = facts->requests},
            {.text = o->draw.by_day ? "days" : "sessions"},
            {.text = o->books.book[0]->name}};
        _Static_assert(sizeof v / sizeof *v == sizeof columns / sizeof *columns, "a value each");
        fields_row(f, v);
    }
}

/* ---- the picture -------------------------------------------------------------------------- */

#define POINTS 400

/* The chance that the bill is larger, of each period. */
static void draw(const struct options *o, const struct meters *m) {
    struct plot_series *s = mem_array((size_t)o->ahead, sizeof *s);
    double *x = mem_array((size_t)o->ahead * POINTS, sizeof *x);
    double *y = mem_array((size_t)o->ahead * POINTS, sizeof *y);
    char **name = mem_array((size_t)o->ahead, sizeof *name);
    size_t n = (size_t)o->draw.resamples;
    for (int i = 0; i < o->ahead; i++) {
        name[i] = mem_printf("period %d", i + 1);
        for (size_t k = 0; k < POINTS; k++) {
            x[(size_t)i * POINTS + k] = m[i].meter[0].peak[k * (n - 1) / (POINTS - 1)];
            y[(size_t)i * POINTS + k] = 1 - (double)k / (POINTS - 1);
        }
        s[i] = (struct plot_series){o->ahead > 1 ? name[i] : NULL, x + (size_t)i * POINTS,
                                    y + (size_t)i * POINTS, POINTS};
    }
    plot_lines(o->plot, &(struct plot_labels){.title = "The bill to come", .x = "dollars a period",
                                              .y = "chance of a larger bill"}, s, o->ahead);
    for (int i = 0; i < o->ahead; i++)
        free(name[i]);
    free(name);
    free(y);
    free(x);
    free(s);
}

/* ---- the verb ----------------------------------------------------------------------------- */

/* The status to end with before there are rows. */
static int check(const struct options *o, const struct forecast_facts *f, const struct err *e) {
    if (f->untimed == f->requests && !o->draw.length_ns)
        usage_die("%s (--covers, as in 7d)", e->text);
    if (o->draw.by_day && f->length_ns && f->length_ns < FEW_DAYS * PLAN_DAY_NS)
        warn("--by day: the trace has %.3g days: expected at least %d",
             (double)f->length_ns / (double)PLAN_DAY_NS, FEW_DAYS);
    else if (f->sessions < 2)
        warn("%s", e->text);
    else
        return EXIT_DONE;
    return EXIT_NOTHING;
}

static int run(const struct options *o, struct forecast *f) {
    struct meters *m = mem_array((size_t)o->ahead, sizeof *m);
    struct fields out;
    struct err e = {{0}};
    int status = EXIT_DONE;
    int done = 0;
    while (done < o->ahead && status == EXIT_DONE) {
        set_meters(&m[done], o);
        int bad = forecast_run(f, pow(1 + o->growth, done + 1), m[done].meter, m[done].n, &e);
        status = check(o, forecast_facts(f), &e);
        if (bad && status == EXIT_DONE)
            die_err(&e);
        done++;
    }
    if (status == EXIT_DONE) {
        say_limits(o, forecast_facts(f));
        fields_open(&out, columns, (int)(sizeof columns / sizeof *columns), &o->common);
        for (int i = 0; i < o->ahead; i++)
            print_rows(&out, o, &m[i], i + 1, forecast_facts(f));
        fields_close(&out);
        if (o->plot)
            draw(o, m);
    }
    for (int i = 0; i < done; i++)
        free_meters(&m[i]);
    free(m);
    return status;
}

int cost_forecast(int argc, char **argv) {
    struct options o = {.books = COST_BOOKS, .ahead = 1, .budget = NAN,
                        .draw = {.period_ns = PLAN_MONTH_NS, .resamples = 10000, .seed = 1}};
    int n;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    cost_books_ready(&o.books, 1);
    struct forecast *f = forecast_new(&o.draw);
    int status = read_usage(&o, path, n, f);
    if (status == EXIT_DONE)
        status = run(&o, f);
    forecast_free(f);
    cost_books_free(&o.books);
    return status;
}
