/* cost_price.c - llm-cost price: usage in, bill out
 *
 * Streams: a record is read, priced, and is a row or a part of its sums. What has no price is said
 * at the end, each reason once, and makes the status 4; it is never 0.
 */
#include "cmd/cost_price.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"

enum {
    OPT_BY = OPT_VERB, OPT_TOTAL, OPT_MERGE, OPT_MODEL, OPT_AS, OPT_SERVICE, OPT_START, OPT_TZ
};

const char *const price_by_names[BYS + 1] = {"model", "day", "month", "session", "service", NULL};

static const char *const usage[] = {
    "usage: llm-cost price [OPTION]... [FILE]...\n"
    "Prices usage: a row for each request, or sums. FILE: records of requests, CSV of lengths,\n"
    "usage of OpenAI, Anthropic or Gemini as their APIs answer, session logs of Claude Code or\n"
    "Codex; plain or zstd; - is stdin, the default.\n\n",
    COST_BOOK_USAGE
    "      --model NAME       model of records that name none\n"
    "      --as NAME          model of all records, whatever they name\n"
    "      --service NAME     service of all records: standard, batch, flex, priority\n"
    "                         (default: what each says, else standard)\n",
    "Sums\n"
    "      --by LIST          sums in place of rows, by model, day, month, session, service or\n"
    "                         several of them, as in model,day\n"
    "      --total            one sum of all\n"
    "      --merge            FILE: rows that --by or --total wrote as JSON, to be added; --by\n"
    "                         then names some of their columns (default: all)\n"
    "      --tz OFFSET        days and months of this zone: +09:00, -05:00 (default: UTC)\n",
    COST_INPUT_USAGE
    "      --start DATE       when the clock of a trace without a calendar stood at 0, UTC\n"
    "                         (default: not known)\n",
    FIELDS_USAGE,
    "\nExamples\n"
    "  llm-cost price usage.jsonl\n"
    "  llm-cost price --by model,day --json ~/.claude/projects/*/*.jsonl\n"
    "  llm-cost price --model gpt-5.4 --total --at 2026-11-30 trace.csv\n",
    NULL};

/* ---- the command line ---------------------------------------------------------------- */

static void parse_by(struct price_options *o, const char *value) {
    char *text = mem_strdup(value);
    int n;
    char **part = arg_list(text, &n);
    o->sums = 1;
    o->bys = 0;
    for (int i = 0; i < n; i++) {
        enum price_by by = (enum price_by)arg_choice("--by", part[i], price_by_names);
        for (int k = 0; k < o->bys; k++)
            if (o->by[k] == by)
                usage_die("--by: '%s' is there twice", part[i]);
        o->by[o->bys++] = by;
    }
    free(part);
    free(text);
}

/* "+09:00", "-0530", "Z": what date_parse takes behind a time. */
static int64_t parse_zone(const char *value) {
    char *text = mem_printf("2000-01-01T00:00%s", value);
    int64_t utc;
    int64_t local;
    int bad = date_parse(text, strlen(text), &local) || !strchr("+-Zz", *value);
    free(text);
    if (bad)
        usage_die("--tz: '%s': expected an offset from UTC, as in +09:00", value);
    date_parse("2000-01-01", 10, &utc);
    return utc - local;
}

static void parse(struct price_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_INPUT_LONG,
        {"by", required_argument, NULL, OPT_BY}, {"total", no_argument, NULL, OPT_TOTAL},
        {"merge", no_argument, NULL, OPT_MERGE}, {"model", required_argument, NULL, OPT_MODEL},
        {"as", required_argument, NULL, OPT_AS}, {"service", required_argument, NULL, OPT_SERVICE},
        {"start", required_argument, NULL, OPT_START}, {"tz", required_argument, NULL, OPT_TZ},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) ||
            fields_option(c, optarg, &o->common) || cost_book_option(c, optarg, &o->books))
            continue;
        switch (c) {
        case OPT_BY: parse_by(o, optarg); break;
        case OPT_TOTAL: o->sums = 1; o->bys = 0; break;
        case OPT_MERGE: o->merge = 1; break;
        case OPT_MODEL: o->model = optarg; break;
        case OPT_AS: o->as = optarg; break;
        case OPT_SERVICE: o->service = optarg; break;
        case OPT_START: o->in.start_ns = arg_date("--start", optarg); break;
        case OPT_TZ: o->zone_ns = parse_zone(optarg); break;
        case OPT_SKIP_BAD: o->in.skip_bad = 1; break;
        }
    }
    if (o->model && o->as)
        usage_die("--model and --as: choose one");
}

/* ---- what has no price --------------------------------------------------------------- */

#define REASONS 256                     /* more are counted together */

struct price_missing {
    struct {
        char *why;
        int64_t records;
    } reason[REASONS];
    int n, last;
    int64_t others;
};

struct price_missing *price_missing_new(void) {
    return mem_alloc(sizeof(struct price_missing));
}

void price_missing_add(struct price_missing *m, const char *why) {
    if (!m->n || strcmp(m->reason[m->last].why, why)) {
        for (m->last = 0; m->last < m->n && strcmp(m->reason[m->last].why, why); m->last++)
            ;
        if (m->last == REASONS) {
            m->last = 0;
            m->others++;
            return;
        }
        if (m->last == m->n)
            m->reason[m->n++].why = mem_strdup(why);
    }
    m->reason[m->last].records++;
}

int price_missing_end(struct price_missing *m) {
    int any = m->n > 0;
    for (int i = 0; i < m->n; i++) {
        warn("no price: %s (%lld record%s)", m->reason[i].why, (long long)m->reason[i].records,
             m->reason[i].records == 1 ? "" : "s");
        free(m->reason[i].why);
    }
    if (m->others)
        warn("no price: %lld more records for other reasons", (long long)m->others);
    free(m);
    return any;
}

/* ---- the loop ------------------------------------------------------------------------ */

void price_count(const struct usage *u, struct price_counts *c) {
    for (int i = 0; i < u->n; i++) {
        int64_t n = u->amount[i].quantity;
        switch (u->amount[i].kind) {
        case USAGE_INPUT: c->fresh += n; break;
        case USAGE_READ: c->cached += n; break;
        case USAGE_WRITE: c->written += n; break;
        case USAGE_OUTPUT: c->output += n; break;
        case USAGE_REASONING: c->output += n; c->reasoning += n; break;
        case USAGE_SEARCH: c->searches += n; break;
        case USAGE_SECOND: c->duration_ns += n; break;
        }
    }
    c->records++;
}

struct reqs_text price_model(const struct price_options *o, const struct usage *u) {
    const char *name = o->as ? o->as : u->model.len ? NULL : o->model;
    return name ? (struct reqs_text){name, strlen(name)} : u->model;
}

struct reqs_text price_service(const struct price_options *o, const struct usage *u) {
    const char *name = o->service ? o->service : u->service.len ? NULL : "standard";
    return name ? (struct reqs_text){name, strlen(name)} : u->service;
}

static void say_totals(const struct price_options *o, const struct usage_totals *t) {
    if (t->bad && !o->common.quiet)
        warn("%lld broken line%s passed", (long long)t->bad, t->bad == 1 ? "" : "s");
    if (t->repeated && o->common.verbose)
        warn("%lld records are of messages that count once", (long long)t->repeated);
}

static int nothing(const struct usage_totals *t) {
    if (t->other)
        warn("no usage in it: %lld JSON values without", (long long)t->other);
    else
        warn("no usage in it");
    return EXIT_NOTHING;
}

static int price(struct price_options *o, char **path, int n) {
    const struct book *book = o->books.book[0];
    const struct bill_options opt = {.at_ns = o->books.at_ns, .now_ns = o->books.now_ns,
                                     .model = o->as ? o->as : o->model, .force_model = !!o->as,
                                     .service = o->service};
    struct price_missing *missing = price_missing_new();
    struct price_sums *sums = o->sums ? price_sums_new(o, o->by, o->bys) : NULL;
    struct price_rows *rows = NULL;
    struct err e = {{0}};
    struct usage u;
    struct bill bill;
    struct usages *in = usage_open_files(path, n, &o->in, &e);
    struct biller *biller = biller_new(book, &opt);
    int rc;
    if (!in)
        die_err(&e);
    while ((rc = usage_next(in, &u, &e)) == 1) {
        int priced = bill_price(biller, &u, !sums, &bill) == BILL_PRICED;
        if (!priced)
            price_missing_add(missing, bill.why);
        if (sums)
            price_sums_add(sums, &u, &bill, priced);
        else
            price_rows_add(rows ? rows : (rows = price_rows_new(o, book, path)), &u, &bill, priced);
        if (rows && usage_wait(in))
            fflush(stdout);
    }
    if (rc < 0)
        die_err(&e);
    price_rows_end(rows);
    const struct usage_totals totals = *usage_totals(in);
    if (sums && totals.records)
        price_sums_print(sums, book->name, book->sha256);
    price_sums_free(sums);
    say_totals(o, &totals);
    int status = price_missing_end(missing) ? EXIT_NOTHING : EXIT_DONE;
    if (!totals.records)
        status = nothing(&totals);
    biller_free(biller);
    usage_close(in);
    return status;
}

int cost_price(int argc, char **argv) {
    struct price_options o = {.books = COST_BOOKS};
    int n;
    parse(&o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    if (o.merge)
        return price_merge(&o, path, n);
    cost_books_ready(&o.books, 1);
    int status = price(&o, path, n);
    cost_books_free(&o.books);
    return status;
}
