/* bench_stat.c - llm-bench stat: two results, or two commands, compared
 *
 * Files of any program that series.h reads, or commands that are run here, become sets of series;
 * compare.h judges them. This file holds the options and the way from one to the other.
 */
#include "cmd/bench_stat.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPT_LEVEL = OPT_FIRST_FREE, OPT_MARGIN, OPT_FAIL_ON, OPT_FILTER, OPT_ONLY, OPT_BETTER, OPT_CMD,
    OPT_NAME, OPT_WARMUP, OPT_PRECISION, OPT_MAX_TIME, OPT_PREPARE, OPT_IGNORE_FAILURE, OPT_METRIC
};

static const char *const usage[] = {
    "usage: llm-bench stat [OPTION]... BASE HEAD...\n"
    "       llm-bench stat [OPTION]... FILE\n"
    "       llm-bench stat [OPTION]... --cmd COMMAND [--cmd COMMAND]...\n"
    "Compares measurements with the first file or command; one alone is summed up. Reads rows of\n"
    "llm-bench, request and step records, results of llama-bench and hyperfine, plain numbers.\n\n"
    "Comparison\n"
    "      --margin P         differences up to P (2%) do not count (default 0)\n"
    "      --level P          of the intervals (default 95%); p-values below 1 - P count\n"
    "      --fail-on LIST     exit 3 on: worse, inconclusive, missing (in a later file)\n"
    "      --better WAY       higher or lower, for series that do not say themselves\n"
    "      --filter LIST      only series with these names: decode*,ttft\n"
    "      --only WAY         only series of which higher (or lower) values are better\n"
    "Commands\n"
    "      --cmd COMMAND      run it, in turn with the others; wall and processor time, peak\n"
    "                         memory, joules where the machine counts them\n"
    "      --name NAME        of the commands, in their order\n"
    "  -r, --repeat N         runs of each (default 10; with --precision at most 1000)\n"
    "      --warmup N         runs that do not count, first (default 1)\n"
    "      --precision P      run on until the interval is within P (1%) of its middle\n"
    "      --max-time T       and no longer than this, 5m (default with --precision: 10m)\n"
    "      --prepare COMMAND  run before each run, outside the clock\n"
    "      --ignore-failure   a command that fails counts all the same\n"
    "      --metric[=NAME]    compare what the commands print, in any form that is read of files\n"
    "  -o, --save FILE        keep the samples: rows, JSON Lines\n",
    FIELDS_USAGE,
    "      --format junit     XML of JUnit: a case a series, a failure for what --fail-on and\n"
    "                         --margin ask about, skipped where nothing can be said\n"
    "      --format github-action-benchmark  its JSON; --only chooses the direction\n"
    "General\n"
    "  -h, --help             -V, --version\n",
    NULL};

static char **split(const char *list, int *n) {
    return arg_list(mem_strdup(list), n);
}

static void free_list(char **part) {
    free(part ? part[0] : NULL);        /* where the copy begins */
    free(part);
}

static unsigned fail_bits(const char *list) {
    static const char *const names[] = {"worse", "inconclusive", "missing", NULL};
    unsigned bits = 0;
    int n;
    char **part = split(list, &n);
    for (int i = 0; i < n; i++)
        bits |= 1u << arg_choice("--fail-on", part[i], names);
    free_list(part);
    return bits;
}

static int way(const char *option, const char *text) {
    static const char *const names[] = {"higher", "lower", NULL};
    return arg_choice(option, text, names) ? SERIES_LOWER : SERIES_HIGHER;
}

/* The table's formats are fields_option's. */
static void set_format(struct stat_options *o, const char *text) {
    static const char *const names[] = {"table", "tsv",   "csv",    "jsonl", "md",
                                        "sql",   "junit", "github-action-benchmark", NULL};
    int i = arg_choice("--format", text, names);
    o->format = i < 6 ? STAT_TABLE : i == 6 ? STAT_JUNIT : STAT_GITHUB;
    if (o->format == STAT_TABLE)
        fields_option(OPT_FORMAT, text, &o->common);
}

static void add_command(struct stat_side *side, int *n, char *text) {
    if (*n == STAT_SIDES)
        usage_die("--cmd: at most %d commands", STAT_SIDES);
    if (!text[strspn(text, " \t\n")])
        usage_die("--cmd: an empty command");
    side[(*n)++] = (struct stat_side){.command = text};
}

static void set_metric(struct stat_options *o, const char *name) {
    o->metric = 1;
    o->metric_name = name;
}

static void take_option(struct stat_options *o, int c, char *arg, struct stat_side *side, int *n) {
    switch (c) {
    case OPT_FORMAT: set_format(o, arg); break;
    case OPT_LEVEL: o->compare.level = arg_level(arg); break;
    case OPT_MARGIN: o->compare.margin = arg_share("--margin", arg, 0, 10); break;
    case OPT_FAIL_ON: o->fail = fail_bits(arg); break;
    case OPT_FILTER:
        free_list(o->filter);
        o->filter = split(arg, &o->filters);
        break;
    case OPT_ONLY: o->only = way("--only", arg); break;
    case OPT_BETTER: o->better = way("--better", arg); break;
    case OPT_CMD: add_command(side, n, arg); break;
    case OPT_NAME:
        if (o->names == STAT_SIDES)
            usage_die("--name: at most %d names", STAT_SIDES);
        o->name[o->names++] = arg;
        break;
    case 'r': o->repeat = (int)arg_int("--repeat", arg, 1, 1000000); break;
    case OPT_WARMUP: o->warmup = (int)arg_int("--warmup", arg, 0, 1000000); break;
    case OPT_PRECISION:
        o->precision = arg_share("--precision", arg, 0, 1);
        if (!(o->precision > 0))
            usage_die("--precision: expected more than 0");
        break;
    case OPT_MAX_TIME: o->max_ns = arg_duration("--max-time", arg); break;
    case OPT_PREPARE: o->prepare = arg; break;
    case OPT_IGNORE_FAILURE: o->ignore_failure = 1; break;
    case OPT_METRIC: set_metric(o, arg); break;
    case 'o': o->save = arg; break;
    }
}

/* How many commands there are in side; 0: files. */
static int parse(struct stat_options *o, int argc, char **argv, struct stat_side *side) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG,
        {"level", required_argument, NULL, OPT_LEVEL},
        {"margin", required_argument, NULL, OPT_MARGIN},
        {"fail-on", required_argument, NULL, OPT_FAIL_ON},
        {"filter", required_argument, NULL, OPT_FILTER},
        {"only", required_argument, NULL, OPT_ONLY},
        {"better", required_argument, NULL, OPT_BETTER},
        {"cmd", required_argument, NULL, OPT_CMD},
        {"name", required_argument, NULL, OPT_NAME},
        {"repeat", required_argument, NULL, 'r'},
        {"warmup", required_argument, NULL, OPT_WARMUP},
        {"precision", required_argument, NULL, OPT_PRECISION},
        {"max-time", required_argument, NULL, OPT_MAX_TIME},
        {"prepare", required_argument, NULL, OPT_PREPARE},
        {"ignore-failure", no_argument, NULL, OPT_IGNORE_FAILURE},
        {"metric", optional_argument, NULL, OPT_METRIC},
        {"save", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0}};
    int commands = 0;
    int for_commands = 0;       /* options that say nothing about files */
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT "r:o:", longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage))
            continue;
        for_commands |= c == 'r' || c == 'o' || c >= OPT_NAME;
        take_option(o, c, optarg, side, &commands);
    }
    if (for_commands && !commands)
        usage_die("options of commands, but no --cmd");
    if (commands && optind < argc)
        usage_die("'%s': files and --cmd do not go together", argv[optind]);
    if (o->names > commands)
        usage_die("--name: %d names for %d commands", o->names, commands);
    return commands;
}

/* ---- files -------------------------------------------------------------------------------- */

static int name_files(int argc, char **argv, struct stat_side *side) {
    static char stdin_name[] = "-";
    int n = argc - optind;
    if (n > STAT_SIDES)
        usage_die("%d files: expected at most %d", n, STAT_SIDES);
    if (!n && isatty(STDIN_FILENO)) {
        print_usage(stderr, usage);
        exit(EXIT_USAGE);
    }
    for (int i = 0; i < n; i++)
        side[i].label = mem_strdup(argv[optind + i]);
    if (!n)
        side[n++].label = mem_strdup(stdin_name);
    return n;
}

static void read_files(struct stat_side *side, int n) {
    int pipes = 0;
    for (int i = 0; i < n; i++)
        pipes += !strcmp(side[i].label, "-");
    if (pipes > 1)
        usage_die("'-' is there twice");
    for (int i = 0; i < n; i++) {
        struct err e = {{0}};
        side[i].all = series_read(side[i].label, &e);
        if (!side[i].all)
            die_err(&e);
    }
}

/* ---- which series ------------------------------------------------------------------------- */

static int is_wanted(const struct stat_options *o, const struct series *s) {
    int named = !o->filters;
    for (int i = 0; i < o->filters && !named; i++)
        named = !fnmatch(o->filter[i], s->name, 0);
    return named && (o->only == SERIES_UNKNOWN || s->better == o->only);
}

/* Takes out what is not wanted. */
static size_t filter(const struct stat_options *o, struct serieses *all) {
    size_t kept = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct series *s = &all->s[i];
        if (s->better == SERIES_UNKNOWN)
            s->better = o->better;
        if (is_wanted(o, s)) {
            struct series keep = *s;
            *s = all->s[kept];
            all->s[kept++] = keep;
        }
    }
    for (size_t i = kept; i < all->n; i++) {
        free(all->s[i].name);
        free(all->s[i].unit);
        free(all->s[i].x);
        free(all->s[i].origin);
    }
    all->n = kept;
    return kept;
}

static void filter_all(const struct stat_options *o, struct stat_side *side, int n) {
    size_t kept = 0;
    for (int i = 0; i < n; i++)
        kept += filter(o, side[i].all);
    if (!kept)
        die("no series is left by --filter and --only");
}

/* ---- the verb ----------------------------------------------------------------------------- */

static int status_of(const struct stat_options *o, const struct comparisons *c) {
    int concluded = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (stat_fails(o, &c->c[i]))
            return EXIT_CHECK;
        concluded |= c->c[i].verdict < COMPARE_NOTHING;
    }
    return concluded ? EXIT_DONE : EXIT_NOTHING;
}

static int compare(const struct stat_options *o, const struct stat_side *side, int n) {
    struct comparisons c = {.c = NULL};
    for (int i = 1; i < n; i++)
        compare_add(&c, side[0].all, side[i].all);
    compare_judge(&c, &o->compare);
    stat_print_comparison(o, side, n, &c);
    stat_say_comparison(o, side, &c);
    int status = status_of(o, &c);
    comparisons_free(&c);
    return status;
}

int bench_stat(int argc, char **argv) {
    struct stat_options o = {.compare = {.level = 0.95}, .warmup = 1, .argc = argc, .argv = argv};
    struct stat_side side[STAT_SIDES] = {{.label = NULL}};
    int status = EXIT_DONE;
    int commands = parse(&o, argc, argv, side);
    int n = commands ? commands : name_files(argc, argv, side);
    if (n == 1 && o.format == STAT_JUNIT)
        usage_die("--format: junit needs something to compare with");
    if (commands)
        stat_run(&o, side, n);
    else
        read_files(side, n);
    filter_all(&o, side, n);
    if (n == 1) {
        stat_print_summary(&o, &side[0]);
        stat_say_summary(&o, &side[0]);
    } else {
        status = compare(&o, side, n);
    }
    for (int i = 0; i < n; i++) {
        series_free(side[i].all);
        free(side[i].label);
    }
    free_list(o.filter);
    return status;
}
