/* cost_bound.c - llm-cost bound: the least and the most that books and tiers make of usage
 *
 * A record is priced in every way there is to read it (cost_bound_ways.c); a row has the two ends,
 * who makes them, and the rule that the difference comes from. What some book has no price for is
 * named, never 0, and not part of any sum.
 */
#include "cmd/cost_bound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_MODEL = OPT_VERB, OPT_AS, OPT_SERVICE, OPT_START, OPT_BY, OPT_TOTAL, OPT_EACH };

static const char *const usage[] = {
    "usage: llm-cost bound [OPTION]... [FILE]...\n"
    "Prices the same usage under several books and under each meaning of their context tiers:\n"
    "the least, the most, and the rule that makes the difference. FILE: what llm-cost price\n"
    "reads; - is stdin, the default.\n\n",
    COST_BOOK_USAGE
    "                         --book again for each book, up to 16; with one, it is compared with\n"
    "                         itself: its own tiers, none, and whole or marginal, > or >=, of the\n"
    "                         prompt or of each class of tokens\n"
    "      --model NAME       model of records that name none\n"
    "      --as NAME          model of all records, whatever they name\n"
    "      --service NAME     service of all records: standard, batch, flex, priority\n",
    "Sums\n"
    "      --total            one row for all records: book and meaning stay the same for all\n"
    "      --by model         a row for each model\n"
    "      --each             a row for each book and meaning: what all records come to\n",
    COST_INPUT_USAGE
    "      --start DATE       when the clock of a trace without a calendar stood at 0, UTC\n",
    FIELDS_USAGE,
    "\nExamples\n"
    "  llm-cost bound --book a.book --book b.book usage.jsonl\n"
    "  llm-cost bound --each usage.jsonl\n",
    NULL};

enum report { REPORT_RECORDS, REPORT_TOTAL, REPORT_MODELS, REPORT_EACH };

#define REASONS 64              /* of a book; more are counted together */

struct missing {
    char *why[REASONS];
    int64_t records[REASONS], others;
    int n;
};

struct options {
    struct common common;
    struct bound x;
    struct usage_options in;
    const char *as;
    enum report report;
    struct fields fields;
    int rows_open;              /* once something can be said: an unreadable input says nothing */
    struct bound_sum *sums;
    struct missing missing[COST_BOOKS_MOST];
};

/* ---- options ---------------------------------------------------------------------------- */

static void set_report(struct options *o, enum report report) {
    if (o->report != REPORT_RECORDS && o->report != report)
        usage_die("--total, --by and --each: choose one");
    o->report = report;
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, COST_INPUT_LONG,
        {"model", required_argument, NULL, OPT_MODEL}, {"as", required_argument, NULL, OPT_AS},
        {"service", required_argument, NULL, OPT_SERVICE},
        {"start", required_argument, NULL, OPT_START}, {"by", required_argument, NULL, OPT_BY},
        {"total", no_argument, NULL, OPT_TOTAL}, {"each", no_argument, NULL, OPT_EACH},
        {NULL, 0, NULL, 0}};
    static const char *const bys[] = {"model", NULL};
    struct bill_options *how = &o->x.how;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) ||
            fields_option(c, optarg, &o->common) || cost_book_option(c, optarg, &o->x.books))
            continue;
        switch (c) {
        case OPT_MODEL: how->model = optarg; break;
        case OPT_AS: o->as = optarg; break;
        case OPT_SERVICE: how->service = optarg; break;
        case OPT_START: o->in.start_ns = arg_date("--start", optarg); break;
        case OPT_BY: arg_choice("--by", optarg, bys); set_report(o, REPORT_MODELS); break;
        case OPT_TOTAL: set_report(o, REPORT_TOTAL); break;
        case OPT_EACH: set_report(o, REPORT_EACH); break;
        case OPT_SKIP_BAD: o->in.skip_bad = 1; break;
        }
    }
    if (how->model && o->as)
        usage_die("--model and --as: choose one");
    if (o->as)
        how->model = o->as;
    how->force_model = !!o->as;
}

/* ---- what has no price ------------------------------------------------------------------ */

static void note_missing(struct missing *m, const char *why) {
    int i = 0;
    while (i < m->n && strcmp(m->why[i], why))
        i++;
    if (i == REASONS) {
        m->others++;
        return;
    }
    if (i == m->n)
        m->why[m->n++] = mem_strdup(why);
    m->records[i]++;
}

static int end_missing(struct options *o) {
    int any = 0;
    for (int i = 0; i < o->x.books.n; i++) {
        struct missing *m = &o->missing[i];
        any |= m->n;
        for (int k = 0; k < m->n; k++) {
            warn("%s: no price: %s (%lld record%s)", o->x.books.spec[i], m->why[k],
                 (long long)m->records[k], m->records[k] == 1 ? "" : "s");
            free(m->why[k]);
        }
        if (m->others)
            warn("%s: no price: %lld more records for other reasons", o->x.books.spec[i],
                 (long long)m->others);
    }
    return any;
}

/* Notes why, and names the books that lack a price; the caller frees. */
static char *lacking_books(struct options *o, const struct usage *u) {
    struct buf list = {0};
    for (int i = 0; i < o->x.books.n; i++) {
        const char *why = bound_why(&o->x, i, u);
        if (!why)
            continue;
        note_missing(&o->missing[i], why);
        buf_printf(&list, "%s%s", list.len ? "," : "", o->x.books.spec[i]);
    }
    return list.data;
}

/* ---- rows ------------------------------------------------------------------------------- */

#define ENDS \
    {"usd_min", FIELD_TEXT, 0}, {"usd_max", FIELD_TEXT, 0}, {"ratio", 4, 0}, \
        {"min_by", FIELD_TEXT, 0}, {"max_by", FIELD_TEXT, 0}, {"rule", FIELD_TEXT, 0}, \
        {"rule_usd", FIELD_TEXT, 1}
enum { ENDS_N = 7 };

static const struct field record_fields[] = {
    {"id", FIELD_TEXT, 0}, {"model", FIELD_TEXT, 0}, ENDS, {"unpriced_by", FIELD_TEXT, 0},
    {"line", FIELD_COUNT, 1}};
static const struct field sum_fields[] = {
    {"model", FIELD_TEXT, 0}, {"records", FIELD_COUNT, 0}, {"unpriced", FIELD_COUNT, 0}, ENDS};
static const struct field each_fields[] = {
    {"book", FIELD_TEXT, 0}, {"tiers", FIELD_TEXT, 0}, {"records", FIELD_COUNT, 0},
    {"unpriced", FIELD_COUNT, 0}, {"usd", FIELD_TEXT, 0}, {"book_sha256", FIELD_TEXT, 1}};
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

struct ends {
    char low[MONEY_TEXT], high[MONEY_TEXT], moves[MONEY_TEXT];
    char *rule;
};

static void put_ends(const struct options *o, int low, int high, money least, money most,
                     const struct bound_rule *rule, struct ends *e, struct value *v) {
    e->rule = bound_rule_text(&o->x, rule);
    v[2].number = NAN;
    if (low < 0)
        return;
    v[0].text = money_text(least, e->low);
    v[1].text = money_text(most, e->high);
    v[2].number = least > 0 ? money_dollars(most) / money_dollars(least) : most > 0 ? NAN : 1;
    v[3].text = o->x.way[low].name;
    v[4].text = o->x.way[high].name;
    v[5].text = e->rule;
    if (e->rule)
        v[6].text = money_rate_text(rule->moves, 1, e->moves);
}

static void put_record(struct options *o, const struct usage *u, int low, int high,
                       const struct bound_rule *rule, const char *lacking) {
    struct value v[COUNT(record_fields)] = {{0}};
    struct ends e;
    struct reqs_text name = u->model;
    char *id = u->id.data ? mem_strndup(u->id.data, u->id.len) : NULL;
    char *model = o->as || !name.data ? NULL : mem_strndup(name.data, name.len);
    v[0].text = id;
    v[1].text = model ? model : o->x.how.model;
    put_ends(o, low, high, low < 0 ? 0 : o->x.way[low].usd, low < 0 ? 0 : o->x.way[high].usd, rule,
             &e, v + 2);
    v[2 + ENDS_N].text = lacking;
    v[3 + ENDS_N].count = u->line;
    fields_row(&o->fields, v);
    free(e.rule);
    free(model);
    free(id);
}

/* The cheapest and the dearest way for all records at once. */
static void put_sum(struct options *o, const struct bound_sum *s) {
    struct value v[COUNT(sum_fields)] = {{.text = *s->name ? s->name : NULL}, {.count = s->records},
                                         {.count = s->unpriced}};
    struct bound_rule rule = bound_sum_rule(s);
    struct ends e;
    int low;
    int high;
    bound_ends(&o->x, s->usd, &low, &high);
    if (s->records == s->unpriced)
        low = -1;
    put_ends(o, low, high, low < 0 ? 0 : s->usd[low], s->usd[high], &rule, &e, v + 3);
    fields_row(&o->fields, v);
    free(e.rule);
}

static void put_each(struct options *o, const struct bound_sum *s) {
    char usd[MONEY_TEXT];
    for (int i = 0; i < o->x.ways; i++) {
        const struct bound_way *w = &o->x.way[i];
        const char *spec = o->x.books.spec[w->book];
        const char *tiers = w->name + strlen(spec);
        const struct value v[COUNT(each_fields)] = {
            {.text = spec}, {.text = *tiers ? tiers + 1 : "own"}, {.count = s->records},
            {.count = s->unpriced},
            {.text = s->records > s->unpriced ? money_text(s->usd[i], usd) : NULL},
            {.text = o->x.books.book[w->book]->sha256}};
        fields_row(&o->fields, v);
    }
}

/* ---- records ---------------------------------------------------------------------------- */

static struct bound_sum *sum_for(struct options *o, const struct usage *u) {
    const char *given = o->x.how.model;
    if (o->report != REPORT_MODELS)
        return bound_sum_of(&o->sums, "", 0);
    if (given && (o->as || !u->model.data))
        return bound_sum_of(&o->sums, given, strlen(given));
    return bound_sum_of(&o->sums, u->model.data ? u->model.data : "", u->model.len);
}

static void open_rows(struct options *o) {
    o->rows_open = 1;
    if (o->report == REPORT_RECORDS)
        fields_open(&o->fields, record_fields, COUNT(record_fields), &o->common);
    else if (o->report == REPORT_EACH)
        fields_open(&o->fields, each_fields, COUNT(each_fields), &o->common);
    else
        fields_open(&o->fields, sum_fields, COUNT(sum_fields), &o->common);
}

static void take(struct options *o, const struct usage *u) {
    struct bound_rule rule = {-1, -1, -1, -1, 0};
    int lacking = bound_price(&o->x, u);
    char *books = lacking ? lacking_books(o, u) : NULL;
    int low;
    int high;
    bound_ends(&o->x, NULL, &low, &high);
    if (low >= 0 && o->x.way[low].usd < o->x.way[high].usd && o->report != REPORT_EACH)
        rule = bound_find_rule(&o->x, u, low, high);
    if (o->report == REPORT_RECORDS && !o->rows_open)
        open_rows(o);
    if (o->report == REPORT_RECORDS)
        put_record(o, u, low, high, &rule, books);
    else
        bound_sum_add(sum_for(o, u), &o->x, lacking, &rule);
    free(books);
}

static int64_t read_all(struct options *o, char **path, int n) {
    struct err e = {{0}};
    struct usage u;
    struct usages *in = usage_open_files(path, n, &o->in, &e);
    int rc;
    if (!in)
        die_err(&e);
    while ((rc = usage_next(in, &u, &e)) == 1)
        take(o, &u);
    if (rc < 0)
        die_err(&e);
    struct usage_totals t = *usage_totals(in);
    if (t.bad && !o->common.quiet)
        warn("%lld broken line%s passed", (long long)t.bad, t.bad == 1 ? "" : "s");
    usage_close(in);
    return t.records;
}

int cost_bound(int argc, char **argv) {
    struct options *o = mem_alloc(sizeof *o);
    int n;
    o->x.books = (struct cost_books)COST_BOOKS;
    parse(o, argc, argv);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    cost_books_ready(&o->x.books, COST_BOOKS_MOST);
    o->x.how.at_ns = o->x.books.at_ns;
    o->x.how.now_ns = o->x.books.now_ns;
    bound_open(&o->x);
    int64_t records = read_all(o, path, n);
    if (!o->rows_open)
        open_rows(o);
    for (const struct bound_sum *s = o->sums; s; s = s->next)
        if (o->report == REPORT_EACH)
            put_each(o, s);
        else
            put_sum(o, s);
    fields_close(&o->fields);
    if (!records)
        warn("no usage");
    int nothing = end_missing(o) || !records;
    bound_sums_free(o->sums);
    bound_close(&o->x);
    cost_books_free(&o->x.books);
    free(o);
    return nothing ? EXIT_NOTHING : EXIT_DONE;
}
