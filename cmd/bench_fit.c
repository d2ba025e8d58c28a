/* bench_fit.c - llm-bench fit: what tokens cost at which length, as a polynomial and as a power
 *
 * growth.h turns files into points, fit.h points into numbers; this file holds the options, the
 * rows, the words about what is missing, and the picture.
 */
#include "cmd/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/plot.h"
#include "cmd/progress.h"
#include "lib/bench/growth.h"
#include "lib/stat/fit.h"

#define DOTS 12                 /* of a series in a picture: means of as many ranges */
#define CURVE 100               /* points of a drawn fit */
#define LENGTHS_SHOWN 4

enum { OPT_COST = OPT_FIRST_FREE, OPT_PHASE, OPT_BY, OPT_LEVEL, OPT_RESAMPLES, OPT_SEED, OPT_PLOT };

static const char *const usage[] = {
    "usage: llm-bench fit [OPTION]... FILE...\n"
    "How cost grows with length: fits a + b n + c n^2, and the exponent of n, to measurements.\n"
    "Reads run traces (llm-run --trace), request records of llm-bench serve, rows of llm-bench\n"
    "model and of llama-bench (-o jsonl), and two columns of numbers: length, cost.\n"
    "prefill: what a prompt of n tokens costs; decode: what a token costs behind n others.\n\n"
    "Fit\n"
    "      --cost LIST        of ns, flops, bytes, joules, y (default: all that the files have)\n"
    "      --phase LIST       of prefill, decode, data (default: all)\n"
    "      --by file          a fit for each file, not one over all\n"
    "      --level P          of the intervals (default 95%)\n"
    "      --resamples N      of the bootstrap (default 10000)\n"
    "      --seed N           of the bootstrap (default 1)\n"
    "      --plot FILE        draw the first cost, a token, with its fit; .svg or .png\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG,
    {"cost", required_argument, NULL, OPT_COST},
    {"phase", required_argument, NULL, OPT_PHASE},
    {"by", required_argument, NULL, OPT_BY},
    {"level", required_argument, NULL, OPT_LEVEL},
    {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"plot", required_argument, NULL, OPT_PLOT},
    {NULL, 0, NULL, 0}};

struct options {
    struct common common;
    unsigned costs, phases;     /* bits; 0: all */
    int by_file;
    struct boot boot;
    const char *plot;
};

/* One fit, or the attempt. */
struct result {
    const struct growth_points *points;
    const char *file;           /* NULL: all */
    struct fit fit;
    int failed;
};

/* ---- options ------------------------------------------------------------------------------ */

static unsigned bits_of(const char *option, const char *list, const char *const *names) {
    unsigned bits = 0;
    int n;
    char *text = mem_strdup(list);
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        bits |= 1u << arg_choice(option, part[i], names);
    free(part);
    free(text);
    return bits;
}

static void take_option(struct options *o, int c, const char *arg) {
    static const char *const costs[] = {"ns", "flops", "bytes", "joules", "y", NULL};
    static const char *const phases[] = {"prefill", "decode", "data", NULL};
    static const char *const by[] = {"file", NULL};
    switch (c) {
    case OPT_COST: o->costs |= bits_of("--cost", arg, costs); break;
    case OPT_PHASE: o->phases |= bits_of("--phase", arg, phases); break;
    case OPT_BY: o->by_file = arg_choice("--by", arg, by) == 0; break;
    case OPT_LEVEL: o->boot.level = arg_level(arg); break;
    case OPT_RESAMPLES:
        o->boot.resamples = (int)arg_size("--resamples", arg, 100, 10000000);
        break;
    case OPT_SEED: o->boot.seed = arg_seed(arg); break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    default: break;
    }
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common))
            take_option(o, c, optarg);
    if (optind == argc && isatty(STDIN_FILENO)) {
        print_usage(stderr, usage);
        exit(EXIT_USAGE);
    }
}

/* ---- fits --------------------------------------------------------------------------------- */

static int is_wanted(const struct options *o, const struct growth_points *p) {
    return (!o->costs || o->costs >> p->cost & 1) && (!o->phases || o->phases >> p->phase & 1);
}

/* Where the quadratic term is as large as the linear one; NAN where either may as well be 0. */
static double crossover(const struct fit *f) {
    return f->c_interval.low > 0 && f->b_interval.low > 0 ? f->b / f->c : NAN;
}

static double extreme(const struct growth_points *p, int most) {
    double x = p->x[0];
    for (size_t i = 1; i < p->n; i++)
        x = most ? fmax(x, p->x[i]) : fmin(x, p->x[i]);
    return x;
}

/* "512", "512 and 2048": why there is no fit, or no quadratic term. */
static void describe_lengths(const struct result *r, struct buf *out) {
    double seen[LENGTHS_SHOWN];
    int n = 0;
    for (size_t i = 0; i < r->points->n && n < LENGTHS_SHOWN; i++) {
        int known = 0;
        for (int k = 0; k < n; k++)
            known |= seen[k] == r->points->x[i];
        if (!known)
            seen[n++] = r->points->x[i];
    }
    for (int k = 0; k < n; k++)
        buf_printf(out, "%s%.10g", k ? " and " : "", seen[k]);
}

static void warn_lengths(const struct result *r) {
    struct buf lengths = {0};
    const char *phase = growth_phase_name(r->points->phase);
    const char *cost = growth_cost_name(r->points->cost);
    describe_lengths(r, &lengths);
    const char *file = r->file ? r->file : "";
    const char *colon = r->file ? ": " : "";
    if (r->fit.terms < 2)
        warn("%s%s%s %s: no fit to the one length of %s (%zu %s); two other lengths are needed, "
             "best four times as long each", file, colon, phase, cost, lengths.data, r->points->n,
             r->points->n == 1 ? "point" : "points");
    else if (r->failed)
        warn("%s%s%s %s: no fit: lengths or costs are too far apart for a double", file, colon,
             phase, cost);
    else
        warn("%s%s%s %s: only lengths %s: no quadratic term without a third, best far from both",
             file, colon, phase, cost, lengths.data);
    buf_free(&lengths);
}

static void warn_left(const struct growth *g) {
    const struct growth_left *l = growth_left(g);
    if (l->shared)
        warn("left out: %lld steps that several requests shared", (long long)l->shared);
    if (l->cached)
        warn("left out: %lld prompts that began behind cached tokens", (long long)l->cached);
    if (l->broken)
        warn("left out: %lld requests that failed or whose steps are not all there",
             (long long)l->broken);
    if (l->mixtures)
        warn("left out: %lld rows of both phases, or of parallel sequences",
             (long long)l->mixtures);
}

/* Says what the files have, where that is not what was asked for. */
static void warn_nothing(struct growth *const *g, int sets) {
    struct buf found = {0};
    for (int k = 0; k < sets; k++)
        for (size_t i = 0; i < growth_count(g[k]); i++) {
            const struct growth_points *p = growth_get(g[k], i);
            buf_printf(&found, "%s%s %s", found.len ? ", " : "", growth_phase_name(p->phase),
                       growth_cost_name(p->cost));
        }
    if (found.len)
        warn("nothing to fit: --cost and --phase leave nothing of %s", found.data);
    else
        warn("nothing to fit: no cost of a known length was measured");
    buf_free(&found);
}

static void fit_all(const struct options *o, const struct growth *g, const char *file,
                    struct result **all, size_t *n) {
    for (size_t i = 0; i < growth_count(g); i++) {
        const struct growth_points *p = growth_get(g, i);
        if (!is_wanted(o, p))
            continue;
        *all = mem_grow(*all, *n + 1, sizeof **all);
        struct result *r = &(*all)[(*n)++];
        *r = (struct result){.points = p, .file = file};
        r->failed = fit_growth(p->x, p->y, p->n, p->group, p->groups, &o->boot, &r->fit) != 0;
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

enum { COL_A = 6, COL_LAST = 14 };          /* coefficients and their intervals */

static const struct field columns[] = {
    {"phase", FIELD_TEXT, 1}, {"cost", FIELD_TEXT, 1}, {"file", FIELD_TEXT, 1},
    {"groups", FIELD_COUNT, 1}, {"shortest", 0, 0}, {"longest", 0, 0},
    {"a", 0, 0}, {"a_low", 0, 1}, {"a_high", 0, 1},
    {"b", 0, 0}, {"b_low", 0, 1}, {"b_high", 0, 1},
    {"c", 0, 0}, {"c_low", 0, 1}, {"c_high", 0, 1},
    {"error", 4, 0}, {"crossover", FIELD_WHOLE, 0}};

#define COLUMNS ((int)(sizeof columns / sizeof *columns))

static void values_of(const struct result *r, struct value v[COLUMNS]) {
    const struct fit *f = &r->fit;
    int square = f->terms == 3;
    const struct value all[] = {
        {.text = growth_phase_name(r->points->phase)},
        {.text = growth_cost_name(r->points->cost)}, {.text = r->file},
        {.count = r->points->groups}, {.number = extreme(r->points, 0)},
        {.number = extreme(r->points, 1)}, {.number = f->a}, {.number = f->a_interval.low},
        {.number = f->a_interval.high}, {.number = f->b}, {.number = f->b_interval.low},
        {.number = f->b_interval.high}, {.number = square ? f->c : NAN},
        {.number = square ? f->c_interval.low : NAN},
        {.number = square ? f->c_interval.high : NAN}, {.number = f->error},
        {.number = crossover(f)}};
    _Static_assert(sizeof all / sizeof *all == sizeof columns / sizeof *columns, "a value each");
    memcpy(v, all, sizeof all);
}

/* Four digits of the smallest coefficient, in a table. */
static void set_decimals(const struct result *all, size_t n, struct field field[COLUMNS]) {
    for (int k = COL_A; k <= COL_LAST; k += 3) {
        double least = INFINITY;
        for (size_t i = 0; i < n; i++) {
            struct value v[COLUMNS];
            values_of(&all[i], v);
            if (!all[i].failed && v[k].number != 0)
                least = fmin(least, fabs(v[k].number));
        }
        double places = isfinite(least) ? 3 - floor(log10(least)) : 0;
        for (int i = 0; i < 3; i++)
            field[k + i].decimals = (int)fmin(fmax(places, 0), 12);
    }
}

static void print_rows(const struct options *o, const struct result *all, size_t n, int argc,
                         char **argv) {
    struct rows rows;
    struct field field[COLUMNS];
    memcpy(field, columns, sizeof columns);
    set_decimals(all, n, field);
    rows_open(&rows, field, COLUMNS, &o->common, argc, argv);
    for (int i = optind; i < argc; i++)
        if (strcmp(argv[i], "-"))
            rows_file(&rows, argv[i]);
    for (size_t i = 0; i < n; i++) {
        const struct result *r = &all[i];
        struct value v[COLUMNS];
        if (r->failed)
            continue;
        char *name = mem_printf("%s.%s", growth_phase_name(r->points->phase),
                                growth_cost_name(r->points->cost));
        const double exponent[3] = {r->fit.exponent, r->fit.exponent_interval.low,
                                    r->fit.exponent_interval.high};
        values_of(r, v);
        rows_row(&rows, &(struct measure){.name = name, .unit = "exponent",
                                          .better = SERIES_LOWER, .n = r->points->n,
                                          .value = exponent}, v);
        free(name);
    }
    rows_close(&rows);
}

/* ---- the picture -------------------------------------------------------------------------- */

/* What a token costs: a prompt's cost goes through its tokens. */
static double each(const struct result *r, double x, double y) {
    return r->points->phase == GROWTH_PREFILL ? y / x : y;
}

static int by_x(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Dots that stand alone, as gaps lie between: means, which is what a fit follows, over DOTS ranges
 * with equally many points. */
static size_t make_dots(const struct result *r, double *x, double *y) {
    const struct growth_points *p = r->points;
    double (*pair)[2] = mem_array(p->n, sizeof *pair);
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++) {
        pair[i][0] = p->x[i];
        pair[i][1] = each(r, p->x[i], p->y[i]);
    }
    qsort(pair, p->n, sizeof *pair, by_x);
    for (size_t d = 0, begin = 0; d < DOTS; d++) {
        size_t end = p->n * (d + 1) / DOTS;
        if (end == begin)
            continue;
        double sum[2] = {0, 0};
        for (size_t i = begin; i < end; i++) {
            sum[0] += pair[i][0];
            sum[1] += pair[i][1];
        }
        x[n] = x[n + 1] = sum[0] / (double)(end - begin);
        y[n] = sum[1] / (double)(end - begin);
        y[n + 1] = NAN;
        n += 2;
        begin = end;
    }
    free(pair);
    return n;
}

static size_t make_curve(const struct result *r, double *x, double *y) {
    const struct fit *f = &r->fit;
    double from = fmax(extreme(r->points, 0), 1);
    double to = extreme(r->points, 1);
    for (int i = 0; i < CURVE; i++) {
        x[i] = from * pow(to / from, i / (CURVE - 1.0));
        y[i] = each(r, x[i], f->a + x[i] * (f->b + x[i] * f->c));
    }
    return CURVE;
}

static void draw(const struct options *o, const struct result *all, size_t n) {
    struct plot_series *s = mem_array(2 * n, sizeof *s);
    double *room = mem_array(n * 4 * (CURVE + 2 * DOTS), sizeof *room);
    double *next = room;
    char *axis = NULL;
    int cost = -1;
    int drawn = 0;
    for (size_t i = 0; i < n; i++) {
        const struct result *r = &all[i];
        if (r->failed || (cost >= 0 && (int)r->points->cost != cost))
            continue;
        cost = (int)r->points->cost;
        const char *phase = growth_phase_name(r->points->phase);
        char *name = r->file ? mem_printf("%s %s", phase, r->file) : mem_strdup(phase);
        double *x = next;
        double *y = x + CURVE;
        s[drawn++] = (struct plot_series){mem_printf("%s, fit", name), x, y, make_curve(r, x, y)};
        x = y + CURVE;
        y = x + 2 * DOTS;
        s[drawn++] = (struct plot_series){name, x, y, make_dots(r, x, y)};
        next = y + 2 * DOTS;
    }
    axis = cost == GROWTH_Y ? mem_strdup("cost")
         : mem_printf("%s a token", growth_cost_name((enum growth_cost)(cost < 0 ? 0 : cost)));
    if (drawn)
        plot_lines(o->plot, &(struct plot_labels){.title = "Cost by length", .y = axis,
                                                  .x = "length, tokens", .log_x = 1}, s, drawn);
    for (int i = 0; i < drawn; i++)
        free((char *)(uintptr_t)s[i].name);
    free(axis);
    free(room);
    free(s);
}

/* ---- the verb ----------------------------------------------------------------------------- */

static struct growth *read_files(char **path, int n, const struct options *o) {
    struct growth *g = growth_new();
    struct progress bar;
    struct err err;
    progress_start(&bar, "reading", PROGRESS_COUNT, o->common.quiet);
    for (int i = 0; i < n; i++) {
        if (growth_read(g, path[i], &err))
            die_err(&err);
        progress_update(&bar, i + 1, n);
    }
    progress_end(&bar);
    growth_finish(g);
    return g;
}

int bench_fit(int argc, char **argv) {
    static char *standard_input[] = {"-"};
    struct options o = {.boot = {.resamples = 10000, .level = 0.95, .seed = 1}};
    parse(&o, argc, argv);
    int files = optind < argc ? argc - optind : 1;
    char **path = optind < argc ? argv + optind : standard_input;
    int sets = o.by_file ? files : 1;
    struct growth **g = mem_array((size_t)sets, sizeof *g);
    struct result *all = NULL;
    size_t n = 0;
    size_t fitted = 0;
    for (int i = 0; i < sets; i++) {
        g[i] = read_files(path + i, o.by_file ? 1 : files, &o);
        fit_all(&o, g[i], o.by_file ? path[i] : NULL, &all, &n);
        if (!o.common.quiet)
            warn_left(g[i]);
    }
    for (size_t i = 0; i < n; i++) {
        fitted += !all[i].failed;
        if (all[i].failed || (all[i].fit.terms < 3 && !o.common.quiet))
            warn_lengths(&all[i]);
    }
    if (fitted) {
        print_rows(&o, all, n, argc, argv);
        draw(&o, all, n);
    } else if (!n) {
        warn_nothing(g, sets);
    }
    for (int i = 0; i < sets; i++)
        growth_free(g[i]);
    free(g);
    free(all);
    return fitted ? EXIT_DONE : EXIT_NOTHING;
}
