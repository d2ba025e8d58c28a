/* cost_book_show.c - llm-cost book show: the rows of a book as a table, see cost_book.h */
#include "cmd/cost_book.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"

enum { OPT_OF = OPT_VERB };

static const char *const usage[] = {
    "usage: llm-cost book show [OPTION]... BOOK [MODEL]\n"
    "The prices of a book, or of one of its models, each with source and line.\n\n"
    "Rows\n"
    "      --at DATE          only those that are valid then (UTC)\n"
    "      --of WHAT          prices, models, plans, capacities or gpus (default prices)\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-cost book show starter claude-sonnet-4-5\n"
    "  llm-cost book show --of gpus starter\n",
    NULL};

struct options {
    struct common common;
    int64_t at_ns;              /* USAGE_NO_TIME: any */
    int of;
    int model;                  /* BOOK_ANY: all */
};

static int is_valid(const struct options *o, int64_t from_ns, int64_t to_ns) {
    return o->at_ns == USAGE_NO_TIME || (from_ns <= o->at_ns && o->at_ns < to_ns);
}

/* ---- cells --------------------------------------------------------------------------------- */

const char *cost_row_price(const struct book_row *r, char out[COST_ROW_PRICE]) {
    if (r->factor) {
        *out = 'x';
        money_factor_text(r->times, out + 1);
        return out;
    }
    int one = r->per == BOOK_PER_UNIT || r->per == BOOK_PER_REQUEST || r->kind == USAGE_SECOND;
    return money_rate_text(r->rate, one ? 1 : 1000000, out);
}

const char *cost_row_per(const struct book_row *r) {
    if (r->factor)
        return "factor";
    switch (r->per) {
    case BOOK_PER_REQUEST: return usage_kind_names()[r->kind];
    case BOOK_PER_HOUR: return r->kind == USAGE_SECOND ? "hour" : "mtok-hour";
    case BOOK_PER_ACTIVE: return "active";
    case BOOK_PER_UNIT: return "unit";
    }
    return "mtok";
}

/* What follows the price in the row's line, less its source. */
char *cost_row_when(const struct book *b, const struct book_row *r) {
    struct book_row bare = {.model = BOOK_ANY, .kind = r->kind, .factor = r->factor, .per = r->per,
                            .unit_tokens = r->unit_tokens, .source = BOOK_ANY};
    struct book_row whole = bare;
    bare.when = (struct book_select){.service = BOOK_ANY, .region = BOOK_ANY, .speed = BOOK_ANY,
                                     .modality = BOOK_ANY, .above = -1, .from_ns = BOOK_ALWAYS,
                                     .to_ns = BOOK_NEVER};
    whole.when = r->when;
    char *head = book_row_text(b, &bare);
    char *text = book_row_text(b, &whole);
    size_t n = strlen(head);
    char *when = mem_strdup(text[n] ? text + n + 1 : "");
    free(head);
    free(text);
    return when;
}

static const char *day_or_none(int64_t ns, char out[DATE_TEXT]) {
    return ns == BOOK_ALWAYS || ns == BOOK_NEVER ? NULL : date_day(ns, out);
}

/* ---- prices -------------------------------------------------------------------------------- */

static const struct field price_fields[] = {
    {"line", FIELD_COUNT, 0}, {"model", FIELD_TEXT, 0}, {"kind", FIELD_TEXT, 0},
    {"usd", FIELD_TEXT, 0}, {"per", FIELD_TEXT, 0}, {"when", FIELD_TEXT, 0},
    {"source", FIELD_TEXT, 0}, {"observed", FIELD_TEXT, 0}, {"confidence", FIELD_TEXT, 0},
    {"url", FIELD_TEXT, 1}};
enum { PRICE_FIELDS = sizeof price_fields / sizeof *price_fields };

static void show_row(struct fields *f, const struct book *b, const struct book_row *r) {
    static const struct book_source none = {.observed_ns = BOOK_ALWAYS};
    char price[COST_ROW_PRICE];
    char day[DATE_TEXT];
    int source = r->source < 0 && r->model >= 0 ? b->model[r->model].source : r->source;
    const struct book_source *s = source < 0 ? &none : &b->source[source];
    char *when = cost_row_when(b, r);
    const struct value row[PRICE_FIELDS] = {
        {.count = r->line}, {.text = r->model < 0 ? "*" : b->model[r->model].name},
        {.text = r->kind < 0 ? "tokens" : usage_kind_names()[r->kind]},
        {.text = cost_row_price(r, price)}, {.text = cost_row_per(r)},
        {.text = *when ? when : NULL}, {.text = s->name},
        {.text = day_or_none(s->observed_ns, day)}, {.text = s->confidence}, {.text = s->url}};
    fields_row(f, row);
    free(when);
}

static int show_prices(const struct options *o, const struct book *b) {
    struct fields f;
    int shown = 0;
    fields_open(&f, price_fields, PRICE_FIELDS, &o->common);
    for (int i = 0; i < b->rows; i++) {
        const struct book_row *r = &b->row[i];
        if ((o->model >= 0 && r->model >= 0 && r->model != o->model) ||
            !is_valid(o, r->when.from_ns, r->when.to_ns))
            continue;
        show_row(&f, b, r);
        shown++;
    }
    fields_close(&f);
    return shown;
}

/* ---- other statements ---------------------------------------------------------------------- */

static int show_models(const struct options *o, const struct book *b) {
    static const struct field fields[] = {
        {"line", FIELD_COUNT, 0}, {"model", FIELD_TEXT, 0}, {"provider", FIELD_TEXT, 0},
        {"rows", FIELD_COUNT, 0}, {"context_tokens", FIELD_COUNT, 0}, {"params", FIELD_WHOLE, 1},
        {"active", FIELD_WHOLE, 1}, {"shape", FIELD_TEXT, 1}, {"source", FIELD_TEXT, 0}};
    struct fields f;
    int shown = 0;
    fields_open(&f, fields, 9, &o->common);
    for (int i = 0; i < b->models; i++) {
        const struct book_model *m = &b->model[i];
        int rows;
        book_rows_of(b, i, &rows);
        if (o->model >= 0 && i != o->model)
            continue;
        fields_row(&f, (struct value[]){
            {.count = m->line}, {.text = m->name}, {.text = m->provider}, {.count = rows},
            {.count = m->context}, {.number = m->params}, {.number = m->active},
            {.text = m->shape}, {.text = m->source < 0 ? NULL : b->source[m->source].name}});
        shown++;
    }
    fields_close(&f);
    return shown;
}

static const char *source_of(const struct book *b, int source) {
    return source < 0 ? NULL : b->source[source].name;
}

static char *windows_text(const struct book_plan *p) {
    struct buf s = {0};
    char text[MONEY_TEXT];
    for (int i = 0; i < p->windows; i++)
        buf_printf(&s, "%s%s/%lldh", i ? "," : "", money_text(p->window[i].limit, text),
                   (long long)(p->window[i].period_ns / 3600000000000));
    return s.data;
}

static int show_plans(const struct options *o, const struct book *b) {
    static const struct field fields[] = {
        {"line", FIELD_COUNT, 0}, {"plan", FIELD_TEXT, 0}, {"fee_usd", FIELD_TEXT, 0},
        {"period_days", 3, 0}, {"included_usd", FIELD_TEXT, 0}, {"credit_usd", FIELD_TEXT, 0},
        {"overage", FIELD_TEXT, 0}, {"windows", FIELD_TEXT, 0}, {"from", FIELD_TEXT, 1},
        {"to", FIELD_TEXT, 1}, {"source", FIELD_TEXT, 0}};
    struct fields f;
    int shown = 0;
    fields_open(&f, fields, 11, &o->common);
    for (int i = 0; i < b->plans; i++) {
        const struct book_plan *p = &b->plan[i];
        char fee[MONEY_TEXT], included[MONEY_TEXT], credit[MONEY_TEXT], overage[MONEY_TEXT];
        char from[DATE_TEXT], to[DATE_TEXT];
        char *windows = windows_text(p);
        if (is_valid(o, p->from_ns, p->to_ns)) {
            fields_row(&f, (struct value[]){
                {.count = p->line}, {.text = p->name}, {.text = money_text(p->fee, fee)},
                {.number = (double)p->period_ns / 86400e9},
                {.text = money_text(p->included, included)},
                {.text = p->credit ? money_text(p->credit, credit) : NULL},
                {.text = p->overage < 0 ? "refused" : money_factor_text(p->overage, overage)},
                {.text = windows}, {.text = day_or_none(p->from_ns, from)},
                {.text = day_or_none(p->to_ns, to)}, {.text = source_of(b, p->source)}});
            shown++;
        }
        free(windows);
    }
    fields_close(&f);
    return shown;
}

static int show_capacities(const struct options *o, const struct book *b) {
    static const struct field fields[] = {
        {"line", FIELD_COUNT, 0}, {"model", FIELD_TEXT, 0}, {"name", FIELD_TEXT, 0},
        {"usd_per_hour", FIELD_TEXT, 0}, {"min_units", FIELD_COUNT, 0},
        {"step_units", FIELD_COUNT, 0}, {"input_tpm", FIELD_WHOLE, 0},
        {"output_tpm", FIELD_WHOLE, 0}, {"output_weight", 3, 0}, {"spill", FIELD_TEXT, 0},
        {"source", FIELD_TEXT, 0}};
    struct fields f;
    int shown = 0;
    fields_open(&f, fields, 11, &o->common);
    for (int i = 0; i < b->capacities; i++) {
        const struct book_capacity *c = &b->capacity[i];
        char rate[MONEY_TEXT];
        if ((o->model >= 0 && c->model != o->model) || !is_valid(o, c->from_ns, c->to_ns))
            continue;
        fields_row(&f, (struct value[]){
            {.count = c->line}, {.text = b->model[c->model].name}, {.text = c->name},
            {.text = money_text(c->rate, rate)}, {.count = c->min}, {.count = c->step},
            {.number = c->input_tpm}, {.number = c->output_tpm}, {.number = c->output_weight},
            {.text = c->spill ? "yes" : "no"}, {.text = source_of(b, c->source)}});
        shown++;
    }
    fields_close(&f);
    return shown;
}

static int show_gpus(const struct options *o, const struct book *b) {
    static const struct field fields[] = {
        {"line", FIELD_COUNT, 0}, {"device", FIELD_TEXT, 0}, {"provider", FIELD_TEXT, 0},
        {"usd_per_hour", FIELD_TEXT, 0}, {"granule_s", 0, 0}, {"source", FIELD_TEXT, 0}};
    struct fields f;
    int shown = 0;
    fields_open(&f, fields, 6, &o->common);
    for (int i = 0; i < b->gpus; i++) {
        const struct book_gpu *g = &b->gpu[i];
        char rate[MONEY_TEXT];
        if (!is_valid(o, g->from_ns, g->to_ns))
            continue;
        fields_row(&f, (struct value[]){
            {.count = g->line}, {.text = g->device}, {.text = g->provider},
            {.text = money_text(g->rate, rate)}, {.number = (double)g->granule_ns / 1e9},
            {.text = source_of(b, g->source)}});
        shown++;
    }
    fields_close(&f);
    return shown;
}

/* ---- all ----------------------------------------------------------------------------------- */

int cost_book_show(int argc, char **argv) {
    static const char *const whats[] = {"prices", "models", "plans", "capacities", "gpus", NULL};
    static int (*const shows[])(const struct options *o, const struct book *b) = {
        show_prices, show_models, show_plans, show_capacities, show_gpus};
    static const struct option longs[] = {COMMON_LONG, FIELDS_LONG,
        {"at", required_argument, NULL, OPT_AT}, {"of", required_argument, NULL, OPT_OF},
        {NULL, 0, NULL, 0}};
    struct options o = {.at_ns = USAGE_NO_TIME, .model = BOOK_ANY};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o.common, usage) && !fields_option(c, optarg, &o.common)) {
            if (c == OPT_AT)
                o.at_ns = arg_date("--at", optarg);
            else if (c == OPT_OF)
                o.of = arg_choice("--of", optarg, whats);
        }
    if (argc - optind != 1 && argc - optind != 2)
        usage_die("expected BOOK [MODEL], found %d words", argc - optind);
    struct book *b = cost_book_load(argv[optind]);
    if (argc - optind == 2)
        o.model = cost_book_find_model(b, argv[optind + 1]);
    int shown = shows[o.of](&o, b);
    if (!shown)
        warn("%s: no %s to show", b->path, whats[o.of]);
    book_free(b);
    return shown ? EXIT_DONE : EXIT_NOTHING;
}
