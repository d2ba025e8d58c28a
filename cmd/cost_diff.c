/* cost_diff.c - llm-cost diff and check: what a change costs, and the gate that stops it
 *
 * Two files of one set of cases, before and after; gate.h judges, this file holds the options and
 * the way from files to an exit status. diff shows all that changed and judges nothing.
 */
#include "cmd/cost_diff.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/outfile.h"

enum {
    OPT_POLICY = OPT_VERB, OPT_KEY, OPT_BASE_BOOK, OPT_HEAD_BOOK, OPT_MODEL, OPT_RESAMPLES,
    OPT_SEED, OPT_OUTPUT, OPT_SUMMARY, OPT_PLAN, OPT_POWER
};

#define READS \
    "Reads results of llm-run --jsonl, records of llm-bench serve and score (--save), run\n" \
    "traces, rows of llm-bench, usage of APIs, request traces. Records of one id are one case.\n\n"

#define MONEY_USAGE \
    COST_BOOK_FILE_USAGE \
    "      --at DATE          prices of that day or time, UTC (default: the last time that head\n" \
    "                         says, else base; without any, now)\n" \
    "      --base-book BOOK   price base by another book, to see what prices did\n" \
    "      --head-book BOOK   price head by another book\n" \
    "      --model NAME       of records that name none\n"

#define COMPARISON_USAGE \
    "      --key FIELD        the field that names a case (default id)\n" \
    "      --resamples N      of the bootstrap (default 10000)\n" \
    "      --seed N           of the bootstrap and of random flips (default 1)\n" \
    "      --skip-bad         count and pass broken lines\n"

#define REPORT_USAGE \
    "      --format FORMAT    also junit, annotations (of GitHub), github-action-benchmark\n" \
    "      --output FORMAT=FILE  write this as well; may be given again\n" \
    "      --summary          append Markdown to the file that $GITHUB_STEP_SUMMARY names\n" \
    "General\n" \
    "  -h, --help             -V, --version\n"

static const char *const check_usage[] = {
    "usage: llm-cost check [OPTION]... BASE HEAD\n"
    "       llm-cost check --plan [OPTION]... BASE [HEAD]\n"
    "Is head more expensive, slower or worse than base, by more than is allowed? Exit 3: yes, for\n"
    "some metric; 4: that cannot be told for some metric; 0: no.\n"
    READS
    "Gate\n"
    "      --policy FILE      metrics, margins, levels: llm-gate(5) (default: built in)\n"
    "      --plan             judge nothing: say how many cases and samples it takes\n"
    "      --power P          chance to find what --plan is after (default 80%)\n"
    COMPARISON_USAGE,
    MONEY_USAGE,
    COST_MODEL_USAGE,
    FIELDS_USAGE REPORT_USAGE,
    "\nExample: llm-cost check --policy gate.policy base.jsonl head.jsonl; echo $?\n",
    NULL};

static const char *const diff_usage[] = {
    "usage: llm-cost diff [OPTION]... BASE HEAD\n"
    "What changed between base and head, largest change first, and where the money went: price,\n"
    "volume, mix, cache. Nothing is judged; exit 4 when nothing can be compared.\n"
    READS
    "Comparison\n"
    "      --policy FILE      layers, levels, key and book of llm-gate(5)\n"
    COMPARISON_USAGE,
    MONEY_USAGE,
    COST_MODEL_USAGE,
    FIELDS_USAGE REPORT_USAGE,
    "\nExample: llm-cost diff base.jsonl head.jsonl\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_MODEL_LONG, COST_INPUT_LONG,
    {"policy", required_argument, NULL, OPT_POLICY},
    {"key", required_argument, NULL, OPT_KEY},
    {"base-book", required_argument, NULL, OPT_BASE_BOOK},
    {"head-book", required_argument, NULL, OPT_HEAD_BOOK},
    {"model", required_argument, NULL, OPT_MODEL},
    {"resamples", required_argument, NULL, OPT_RESAMPLES},
    {"seed", required_argument, NULL, OPT_SEED},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"summary", no_argument, NULL, OPT_SUMMARY},
    {"plan", no_argument, NULL, OPT_PLAN},
    {"power", required_argument, NULL, OPT_POWER},
    {NULL, 0, NULL, 0}};

/* ---- options ------------------------------------------------------------------------------ */

static const char *const formats[] = {"table", "tsv",   "csv",         "jsonl",
                                      "md",    "sql",   "junit",       "annotations",
                                      "github-action-benchmark", NULL};

/* The table's formats are fields_option's, but that Markdown here is a whole comment. */
static void set_format(struct diff_options *o, const char *text) {
    o->format = arg_choice("--format", text, formats);
    if (o->format <= DIFF_SQL)
        fields_option(OPT_FORMAT, text, &o->common);
}

static void add_output(struct diff_options *o, char *text) {
    char *path = strchr(text, '=');
    if (o->outputs == DIFF_OUTPUTS)
        usage_die("--output: expected at most %d of them", DIFF_OUTPUTS);
    if (!path || !path[1])
        usage_die("--output: '%s': expected FORMAT=FILE, as in md=comment.md", text);
    *path++ = '\0';
    o->output[o->outputs].format = arg_choice("--output", text, formats);
    o->output[o->outputs++].path = path;
}

static void take_option(struct diff_options *o, int c, char *arg) {
    switch (c) {
    case OPT_FORMAT: set_format(o, arg); break;
    case OPT_SKIP_BAD: o->skip_bad = 1; break;
    case OPT_POLICY: o->policy_path = arg; break;
    case OPT_KEY:
        if (!*arg)
            usage_die("--key: expected the name of a field");
        o->key = arg;
        break;
    case OPT_BASE_BOOK: o->base_book = arg; break;
    case OPT_HEAD_BOOK: o->head_book = arg; break;
    case OPT_MODEL: o->model = arg; break;
    case OPT_RESAMPLES:
        o->gate.resamples = (int)arg_size("--resamples", arg, 100, 10000000);
        break;
    case OPT_SEED: o->gate.seed = (uint64_t)arg_int("--seed", arg, 1, INT64_MAX); break;
    case OPT_OUTPUT: add_output(o, arg); break;
    case OPT_SUMMARY: o->summary = 1; break;
    case OPT_PLAN: o->plan = 1; break;
    case OPT_POWER: o->power = arg_share("--power", arg, 0.01, 0.9999); break;
    default: break;
    }
}

static void parse(struct diff_options *o, int argc, char **argv, const char *const *usage) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !cost_book_option(c, optarg, &o->books) && !cost_shape_option(c, optarg, &o->shape))
            take_option(o, c, optarg);
    int files = argc - optind;
    if (!o->check && (o->plan || o->power > 0))
        usage_die("--plan and --power belong to llm-cost check");
    if (o->power > 0 && !o->plan)
        usage_die("--power is of --plan");
    if (files != 2 && !(o->plan && files == 1))
        usage_die("expected BASE and HEAD, found %d files", files);
    if (files == 2 && !strcmp(argv[optind], "-") && !strcmp(argv[optind + 1], "-"))
        usage_die("'-' is there twice");
    if (o->plan && (o->outputs || o->summary || o->format > DIFF_SQL))
        usage_die("--plan is written in formats of tables, to stdout");
    if (o->books.n > 1 || (o->books.n && o->base_book && o->head_book))
        usage_die("expected one --book for both sides, or --base-book and --head-book");
    o->power = o->power > 0 ? o->power : 0.8;
}

/* ---- the way ------------------------------------------------------------------------------ */

/* The command line goes before the policy, the policy before the defaults. */
static void ready(struct diff_options *o, struct diff *d) {
    struct err e = {{0}};
    const char *both = o->books.n ? o->books.spec[0] : d->policy->book;
    o->books.n = 0;
    if (both || o->base_book || o->head_book) {
        const char *own = getenv("LLM_COST_BOOK");
        both = both ? both : own && *own ? own : "starter";
        o->books.spec[o->books.n++] = o->base_book ? o->base_book : both;
        if (o->base_book || o->head_book)
            o->books.spec[o->books.n++] = o->head_book ? o->head_book : both;
    }
    cost_books_ready(&o->books, 2);
    if (o->key) {
        free(d->policy->key);
        d->policy->key = mem_strdup(o->key);
    }
    if (d->policy->shape && !o->shape.shape) {
        o->shape.shape = shape_find(d->policy->shape, &e);
        if (!o->shape.shape)
            die_err(&e);
    }
    o->gate.holm = d->policy->holm;
}

static void write_as(const struct diff *d, FILE *out, int format) {
    static const enum table_format table[] = {TABLE_ALIGNED, TABLE_TABS, TABLE_CSV, TABLE_JSON,
                                              TABLE_MD, TABLE_SQL};
    if (format > DIFF_SQL || format == DIFF_MD)
        diff_report(d, out, format);
    else
        diff_rows(d, out, table[format], d->opt->common.verbose);
}

static void write_outputs(const struct diff *d) {
    struct err e = {{0}};
    for (int i = 0; i < d->opt->outputs; i++) {
        struct outfile *f = outfile_open(d->opt->output[i].path, &e);
        if (!f)
            die_err(&e);
        write_as(d, outfile_stream(f), d->opt->output[i].format);
        if (outfile_close(f, &e))
            die_err(&e);
    }
}

/* Others write to that file as well: it is appended to in place. */
static void write_summary(const struct diff *d) {
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    if (!d->opt->summary)
        return;
    if (!path || !*path) {
        if (!d->opt->common.quiet)
            warn("--summary: GITHUB_STEP_SUMMARY is not set: no summary");
        return;
    }
    FILE *f = fopen(path, "a");
    if (!f)
        die("%s: cannot append to it", path);
    diff_report(d, f, DIFF_MD);
    check_stream(f, path);
    fclose(f);
}

static void write_stdout(const struct diff *d) {
    const struct diff_options *o = d->opt;
    if (o->plan)
        diff_plan_rows(d, stdout, fields_format(&o->common, stdout), o->common.verbose);
    else if (o->format > DIFF_SQL || o->format == DIFF_MD)
        diff_report(d, stdout, o->format);
    else
        diff_rows(d, stdout, fields_format(&o->common, stdout), o->common.verbose);
}

static void free_all(struct diff *d) {
    for (size_t i = 0; i < d->metrics; i++) {
        struct diff_metric *m = &d->own[i];
        free(m->name);
        free(m->unit);
        free(m->unknown);
        free(m->base);
        free(m->head);
        free(m->case_id);
    }
    free(d->own);
    free(d->metric);
    diff_money_free(d);
    diff_cases_free(&d->cases);
    diff_side_free(&d->side[0]);
    diff_side_free(&d->side[1]);
    diff_free_fields(d);
    gate_policy_free(d->policy);
}

/* Nothing to compare at all is nothing to pass. */
static int status_of(const struct diff *d) {
    static const int status[] = {EXIT_DONE, EXIT_NOTHING, EXIT_CHECK};
    int any = 0;
    for (size_t i = 0; i < d->metrics; i++)
        any |= d->metric[i].base_n && d->metric[i].head_n && strcmp(d->metric[i].name, "cases") &&
               strcmp(d->metric[i].name, "errors");
    if (d->opt->plan)
        return d->metrics ? EXIT_DONE : EXIT_NOTHING;
    if (d->opt->check)
        return status[d->outcome];
    return any ? EXIT_DONE : EXIT_NOTHING;
}

static int run(struct diff_options *o, int argc, char **argv, const char *const *usage) {
    struct diff d = {.opt = o};
    struct err e = {{0}};
    parse(o, argc, argv, usage);
    d.policy = gate_policy_find(o->policy_path, &e);
    if (!d.policy)
        die_err(&e);
    ready(o, &d);
    diff_name_fields(&d);
    d.side[0].path = argv[optind];
    d.side[1].path = argv[argc - 1];
    for (int i = 0; i < 2; i++)
        diff_read(&d, &d.side[i]);
    diff_match(&d);
    diff_measure(&d);
    gate_judge(d.metric, d.metrics, &o->gate);
    d.outcome = gate_outcome(d.metric, d.metrics);
    diff_words(&d);
    if (!d.metrics)
        warn("nothing to compare in %s and %s", d.side[0].name, d.side[1].name);
    write_stdout(&d);
    write_outputs(&d);
    write_summary(&d);
    int status = status_of(&d);
    free_all(&d);
    cost_books_free(&o->books);
    shape_free(o->shape.shape);
    return status;
}

int cost_diff(int argc, char **argv) {
    struct diff_options o = {.books = COST_BOOKS, .shape = COST_SHAPE};
    return run(&o, argc, argv, diff_usage);
}

int cost_check(int argc, char **argv) {
    struct diff_options o = {.books = COST_BOOKS, .shape = COST_SHAPE, .check = 1};
    return run(&o, argc, argv, check_usage);
}
