/* cost_explain.c - llm-cost explain: every rule that fired for one request, in order
 *
 * The request is told on the command line, or is a record of a usage file. The steps are those of
 * lib/cost/bill.h; here they become rows.
 */
#include "cmd/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/num.h"

enum {
    OPT_MODEL = OPT_VERB, OPT_AS, OPT_INPUT, OPT_CACHED, OPT_WRITTEN, OPT_OUTPUT, OPT_REASONING,
    OPT_REQUESTS, OPT_SEARCHES, OPT_SECONDS, OPT_STORAGE, OPT_SERVICE, OPT_REGION, OPT_SPEED,
    OPT_ID, OPT_LINE, OPT_START
};

static const char *const usage[] = {
    "usage: llm-cost explain --model NAME [OPTION]...\n"
    "       llm-cost explain [OPTION]... FILE\n"
    "Says what one request costs and by which rules, each with the line of the price book.\n\n"
    "Request\n"
    "      --model NAME       model; with FILE: of a record that names none\n"
    "      --input N[@MODALITY]\n"
    "                         tokens of the prompt, cached and written ones included; again for\n"
    "                         each modality: text (default), audio, image, video\n"
    "      --cached N[@MODALITY]\n"
    "                         of them, read from a cache (default 0)\n"
    "      --written N[@LIFE] of the text, written to a cache that keeps it so long: 5m, 1h\n"
    "                         (default 0; LIFE: what the book says); again for each life\n"
    "      --output N[@MODALITY]\n"
    "                         tokens made, reasoning included (default 0)\n"
    "      --reasoning N      of them, reasoning (default 0)\n"
    "      --requests N       requests (default 1)\n"
    "      --searches N       web searches and the like (default 0)\n"
    "      --seconds S        seconds of compute or of sound (default 0)\n"
    "      --storage N@TIME   tokens that a cache keeps, and how long: 100K@2h\n"
    "      --service NAME     standard, batch, flex, priority (default: the record's, else\n"
    "                         standard)\n"
    "      --region NAME, --speed NAME\n"
    "                         where and how fast, where prices differ\n"
    "Record of FILE, of any form that llm-cost price reads; - is stdin\n"
    "      --id ID            the record of this id (default: the first record)\n"
    "      --line N           the record of this line\n"
    "      --as NAME          a model in place of the record's\n"
    "      --start DATE       when the clock of a trace without a calendar stood at 0, UTC\n",
    COST_BOOK_USAGE,
    FIELDS_USAGE,
    "\nExamples\n"
    "  llm-cost explain --model claude-sonnet-4-5 --input 250000 --cached 200000 --output 2000 "
    "--at 2026-01-15\n"
    "  llm-cost explain --model claude-sonnet-4-5 --input 9K --written 4K@1h --output 1K --json\n",
    NULL};

struct options {
    struct common common;
    struct cost_books books;
    struct usage_options in;
    const char *model, *as, *service, *region, *speed, *id;
    int64_t line;               /* 0: not given */
    int told;                   /* some amount is on the command line */
    int64_t input[USAGE_MODALITIES], cached[USAGE_MODALITIES], output[USAGE_MODALITIES];
    int64_t written, reasoning, requests;
    struct usage amounts;       /* those that are no part of others */
};

/* ---- options ---------------------------------------------------------------------------- */

/* "N" or "N@WHAT": N, and what stands behind the sign or NULL; the caller frees *text. */
static int64_t counted(const char *option, const char *value, char **text, const char **what) {
    *text = mem_strdup(value);
    char *at = strchr(*text, '@');
    *what = at ? at + 1 : NULL;
    if (at)
        *at = '\0';
    return arg_size(option, *text, 0, USAGE_MOST);
}

static void add_tokens(const char *option, const char *value, int64_t *sum) {
    const char *what;
    char *text;
    int64_t n = counted(option, value, &text, &what);
    int modality = what ? arg_choice(option, what, usage_modality_names()) : USAGE_TEXT;
    if (sum[modality])
        usage_die("%s: %s tokens are there twice", option, usage_modality_names()[modality]);
    sum[modality] = n;
    free(text);
}

static void add_amount(struct options *o, const char *option, int kind, int64_t ttl, int64_t n) {
    if (usage_add(&o->amounts, kind, USAGE_TEXT, ttl, n))
        usage_die("%s: more than can be counted", option);
}

static void add_written(struct options *o, const char *value) {
    const char *what;
    char *text;
    int64_t n = counted("--written", value, &text, &what);
    add_amount(o, "--written", USAGE_WRITE, what ? arg_duration("--written", what) : 0, n);
    o->written += n;
    free(text);
}

static void add_storage(struct options *o, const char *value) {
    const char *what;
    char *text;
    int64_t ms;
    int64_t n = counted("--storage", value, &text, &what);
    if (!what)
        usage_die("--storage: '%s': expected tokens and a time, as in 100K@2h", value);
    if (__builtin_mul_overflow(n, arg_duration("--storage", what) / 1000000, &ms))
        usage_die("--storage: '%s': more than can be counted", value);
    add_amount(o, "--storage", USAGE_STORAGE, 0, ms);
    free(text);
}

static int amount_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case OPT_INPUT: add_tokens("--input", arg, o->input); break;
    case OPT_CACHED: add_tokens("--cached", arg, o->cached); break;
    case OPT_OUTPUT: add_tokens("--output", arg, o->output); break;
    case OPT_WRITTEN: add_written(o, arg); break;
    case OPT_STORAGE: add_storage(o, arg); break;
    case OPT_REASONING: o->reasoning = arg_size("--reasoning", arg, 0, USAGE_MOST); break;
    case OPT_REQUESTS: o->requests = arg_int("--requests", arg, 0, 1000000); break;
    case OPT_SEARCHES:
        add_amount(o, "--searches", USAGE_SEARCH, 0, arg_int("--searches", arg, 0, 1000000));
        break;
    case OPT_SECONDS:
        add_amount(o, "--seconds", USAGE_SECOND, 0,
                   (int64_t)(arg_float("--seconds", arg, 0, 1e9) * 1e9 + 0.5));
        break;
    default: return 0;
    }
    return o->told = 1;
}

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_BOOK_LONG, {"model", required_argument, NULL, OPT_MODEL},
    {"as", required_argument, NULL, OPT_AS}, {"input", required_argument, NULL, OPT_INPUT},
    {"cached", required_argument, NULL, OPT_CACHED},
    {"written", required_argument, NULL, OPT_WRITTEN},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"reasoning", required_argument, NULL, OPT_REASONING},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"searches", required_argument, NULL, OPT_SEARCHES},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"storage", required_argument, NULL, OPT_STORAGE},
    {"service", required_argument, NULL, OPT_SERVICE},
    {"region", required_argument, NULL, OPT_REGION}, {"speed", required_argument, NULL, OPT_SPEED},
    {"id", required_argument, NULL, OPT_ID}, {"line", required_argument, NULL, OPT_LINE},
    {"start", required_argument, NULL, OPT_START}, {NULL, 0, NULL, 0}};

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) ||
            fields_option(c, optarg, &o->common) || cost_book_option(c, optarg, &o->books) ||
            amount_option(o, c, optarg))
            continue;
        switch (c) {
        case OPT_MODEL: o->model = optarg; break;
        case OPT_AS: o->as = optarg; break;
        case OPT_SERVICE: o->service = optarg; break;
        case OPT_REGION: o->region = optarg; break;
        case OPT_SPEED: o->speed = optarg; break;
        case OPT_ID: o->id = optarg; break;
        case OPT_LINE: o->line = arg_int("--line", optarg, 1, INT64_MAX); break;
        case OPT_START: o->in.start_ns = arg_date("--start", optarg); break;
        }
    }
}

static void check(const struct options *o, int files) {
    if (files > 1)
        usage_die("expected one FILE, found %d", files);
    if (files && o->told)
        usage_die("amounts and a FILE: choose one");
    if (!files && (o->id || o->line || o->as))
        usage_die("--id, --line and --as are of records: expected a FILE");
    if (o->id && o->line)
        usage_die("--id and --line: choose one");
    if (!files && (!o->model || !o->told))
        usage_die("expected --model and amounts as in --input 1000 --output 100, or a FILE");
    if (o->model && o->as)
        usage_die("--model and --as: choose one");
}

/* ---- the request ------------------------------------------------------------------------ */

static struct reqs_text text_of(const char *s) {
    return (struct reqs_text){s, s ? strlen(s) : 0};
}

static void add(struct usage *u, int kind, int modality, int64_t n) {
    if (usage_add(u, kind, modality, 0, n))
        usage_die("more kinds of amounts than a request may have");
}

static void add_others(const struct options *o, int kind, struct usage *u) {
    for (int i = 0; i < o->amounts.n; i++) {
        const struct usage_amount *a = &o->amounts.amount[i];
        if (a->kind == kind && usage_add(u, a->kind, a->modality, a->ttl_ns, a->quantity))
            usage_die("more kinds of amounts than a request may have");
    }
}

/* What is told as a whole and its parts, taken apart. */
static struct usage told_usage(const struct options *o) {
    struct usage u = {.time_ns = USAGE_NO_TIME, .offset_ns = USAGE_NO_TIME,
                      .model = text_of(o->model), .service = text_of(o->service)};
    for (int m = 0; m < USAGE_MODALITIES; m++) {
        const char *name = usage_modality_names()[m];
        int64_t parts = o->cached[m] + (m == USAGE_TEXT ? o->written : 0);
        if (parts > o->input[m])
            usage_die("--input: %lld %s tokens, of which %lld are cached or written",
                      (long long)o->input[m], name, (long long)parts);
        add(&u, USAGE_INPUT, m, o->input[m] - parts);
        add(&u, USAGE_READ, m, o->cached[m]);
    }
    add_others(o, USAGE_WRITE, &u);
    for (int m = 0; m < USAGE_MODALITIES; m++) {
        int64_t reasoning = m == USAGE_TEXT ? o->reasoning : 0;
        if (reasoning > o->output[m])
            usage_die("--output: %lld tokens, of which %lld are reasoning",
                      (long long)o->output[m], (long long)reasoning);
        add(&u, USAGE_OUTPUT, m, o->output[m] - reasoning);
        add(&u, USAGE_REASONING, m, reasoning);
    }
    add_others(o, USAGE_STORAGE, &u);
    add_others(o, USAGE_SECOND, &u);
    add_others(o, USAGE_SEARCH, &u);
    add(&u, USAGE_REQUEST, USAGE_TEXT, o->requests);
    return u;
}

static int is_wanted(const struct options *o, const struct usage *u) {
    if (o->id)
        return u->id.data && u->id.len == strlen(o->id) && !memcmp(u->id.data, o->id, u->id.len);
    return !o->line || u->line == o->line;
}

/* The record stays good until the file is closed. */
static struct usages *find_record(const struct options *o, const char *path, struct usage *u) {
    struct err e = {{0}};
    struct usages *in = usage_open(path, &o->in, &e);
    int rc = in ? usage_next(in, u, &e) : -1;
    while (rc == 1 && !is_wanted(o, u))
        rc = usage_next(in, u, &e);
    if (rc < 0)
        die_err(&e);
    if (rc == 1)
        return in;
    if (o->id)
        die("%s: no record has the id '%s'", input_name(path), o->id);
    if (o->line)
        die("%s: line %lld holds no record", input_name(path), (long long)o->line);
    die("%s: no record of usage", input_name(path));
}

/* ---- rows ------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"step", FIELD_COUNT, 0}, {"rule", FIELD_TEXT, 0}, {"what", FIELD_TEXT, 0},
    {"kind", FIELD_TEXT, 1}, {"quantity", FIELD_WHOLE, 1}, {"rate_usd_per_mtok", FIELD_TEXT, 0},
    {"rate_usd", FIELD_TEXT, 1}, {"per", FIELD_TEXT, 1}, {"usd", FIELD_TEXT, 0},
    {"book_line", FIELD_WHOLE, 0}, {"row", FIELD_TEXT, 1}, {"book", FIELD_TEXT, 1},
    {"book_sha256", FIELD_TEXT, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

/* The unit that a rate is shown for, and how many of the row's units it is. */
static const char *unit_of(const struct book_row *r, int64_t *units) {
    *units = r->per == BOOK_PER_MTOK || (r->per == BOOK_PER_HOUR && r->kind == USAGE_STORAGE) ||
                     r->per == BOOK_PER_ACTIVE ? 1000000 : 1;
    switch (r->per) {
    case BOOK_PER_MTOK: return "Mtok";
    case BOOK_PER_HOUR: return r->kind == USAGE_STORAGE ? "Mtok-hour" : "hour";
    case BOOK_PER_ACTIVE: return "Mtok";
    case BOOK_PER_UNIT: return "unit";
    }
    return r->kind == USAGE_SEARCH ? "search" : "request";
}

struct texts {
    char rate[MONEY_TEXT], usd[MONEY_TEXT];
};

static void fill_charge(const struct bill_step *s, const struct book_row *r, struct texts *t,
                        struct value *v) {
    int64_t units;
    v[7].text = unit_of(r, &units);
    v[6].text = money_rate_text(s->rate, units, t->rate);
    if (r->per == BOOK_PER_MTOK || r->per == BOOK_PER_ACTIVE)
        v[5].text = v[6].text;
    if (strcmp(s->rule, "charge"))
        return;
    v[3].text = usage_kind_names()[s->amount.kind];
    v[4].number = (double)s->amount.quantity;
    v[8].text = money_rate_text(s->charge, 1, t->usd);
}

static void put_step(struct fields *f, const struct book *b, int i, const struct bill_step *s) {
    struct texts t;
    struct value v[FIELDS] = {{.count = i + 1}, {.text = s->rule}, {.text = s->text},
                              [4] = {.number = NAN},
                              [9] = {.number = s->line ? (double)s->line : (double)NAN},
                              [11] = {.text = b->name ? b->name : b->path},
                              [12] = {.text = b->sha256}};
    char *row = s->row >= 0 ? book_row_text(b, &b->row[s->row]) : NULL;
    int is_row = !strcmp(s->rule, "row") || !strcmp(s->rule, "charge");
    if (is_row)
        fill_charge(s, &b->row[s->row], &t, v);
    if (strcmp(s->rule, "charge") && strcmp(s->rule, "tier"))   /* the row's own step has it */
        v[10].text = row;
    if (!strcmp(s->rule, "total"))
        v[8].text = money_text(s->usd, t.usd);
    fields_row(f, v);
    free(row);
}

#define NEAR 3

static void suggest(const struct book *b, struct reqs_text name, const char *why) {
    int near[NEAR];
    int n = name.data ? bill_near(b, name.data, name.len, near, NEAR) : 0;
    struct buf list = {0};
    for (int i = 0; i < n; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", b->model[near[i]].name);
    warn("no price: %s%s%s", why, n ? "; near: " : "", n ? list.data : "");
    buf_free(&list);
}

static int explain(const struct options *o, const struct usage *u) {
    const struct book *b = o->books.book[0];
    const struct bill_options how = {
        .at_ns = o->books.at_ns, .now_ns = o->books.now_ns, .model = o->as ? o->as : o->model,
        .force_model = !!o->as, .service = o->service};
    struct biller *p = biller_new(b, &how);
    struct bill *bill = mem_alloc(sizeof *bill);
    struct bill_steps steps = {0};
    struct fields f;
    int priced = bill_explain(p, u, bill, &steps);
    fields_open(&f, fields, FIELDS, &o->common);
    for (int i = 0; i < steps.n; i++)
        put_step(&f, b, i, &steps.step[i]);
    fields_close(&f);
    if (priced == BILL_UNPRICED)
        suggest(b, bill->model < 0 ? o->as || !u->model.data ? text_of(how.model) : u->model
                                   : text_of(NULL), bill->why);
    bill_steps_free(&steps);
    free(bill);
    biller_free(p);
    return priced == BILL_PRICED ? EXIT_DONE : EXIT_NOTHING;
}

int cost_explain(int argc, char **argv) {
    struct options o = {.books = COST_BOOKS, .requests = 1};
    struct usages *in = NULL;
    struct usage u;
    int n;
    parse(&o, argc, argv);
    check(&o, argc - optind);
    if (optind < argc)
        in = find_record(&o, *common_inputs(argc, argv, usage, 0, &n), &u);
    else
        u = told_usage(&o);
    if (o.region)
        u.region = text_of(o.region);
    if (o.speed)
        u.speed = text_of(o.speed);
    cost_books_ready(&o.books, 1);
    int status = explain(&o, &u);
    usage_close(in);
    cost_books_free(&o.books);
    return status;
}
