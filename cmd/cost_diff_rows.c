/* cost_diff_rows.c - what llm-cost diff and check found, as rows */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"

/* ---- words -------------------------------------------------------------------------------- */

char *diff_why(const struct diff *d, size_t i) {
    const struct gate_metric *m = &d->metric[i];
    const struct diff_metric *own = &d->own[i];
    struct buf b = {0};
    /* What takes a verdict to be said: not of diff, but for what can be counted. */
    int said = d->opt->check || m->unknown || m->rule.layer == GATE_DETERMINISTIC;
    buf_adds(&b, said ? m->why : "");
    if (m->worst != SIZE_MAX && own->case_id)
        buf_printf(&b, "%s'%.60s'", m->grown > 1 ? ", most of all " : ": ",
                   own->case_id[m->worst]);
    return b.data;
}

static double percent(double ratio) {
    return 100 * (ratio - 1);
}

char *diff_sentence(const struct diff *d, size_t i) {
    const struct gate_metric *m = &d->metric[i];
    char *why = diff_why(d, i);
    struct buf b = {0};
    buf_adds(&b, m->name);
    if (!isnan(m->ratio)) {
        buf_printf(&b, ": %.6g%s%s, was %.6g", m->head_value, *m->unit ? " " : "", m->unit,
                   m->base_value);
        if (isfinite(m->ratio))
            buf_printf(&b, ": %+.3g%%", percent(m->ratio));
        if (m->interval.low < m->interval.high)
            buf_printf(&b, " (%+.3g%% to %+.3g%%)", percent(m->interval.low),
                       percent(m->interval.high));
        buf_printf(&b, "; %g%% worse is allowed", 100 * m->rule.margin);
    }
    if (*why)
        buf_printf(&b, "; %s", why);
    if (!isnan(m->need))
        buf_printf(&b, "; %.0f %s should do", m->need,
                   m->rule.layer == GATE_PAIRED ? "cases" : "samples a side");
    free(why);
    return b.data;
}

/* What diff says where check has a verdict. */
static const char *direction(const struct gate_metric *m) {
    if (!m->base_n || !m->head_n)
        return m->base_n ? "only base" : m->head_n ? "only head" : "nothing";
    if (m->interval.low > 1)
        return "up";
    if (m->interval.high < 1)
        return "down";
    return m->interval.low == 1 && m->interval.high == 1 ? "same" : "unclear";
}

/* ---- order -------------------------------------------------------------------------------- */

static double size_of_change(const struct gate_metric *m) {
    return isnan(m->ratio) ? -1 : fabs(log(m->ratio));
}

static int by_change(const void *a, const void *b, void *arg) {
    const struct gate_metric *metric = arg;
    size_t i = *(const size_t *)a;
    size_t j = *(const size_t *)b;
    double x = size_of_change(&metric[i]);
    double y = size_of_change(&metric[j]);
    return x > y ? -1 : x < y ? 1 : (i > j) - (i < j);
}

size_t *diff_order(const struct diff *d) {
    size_t *order = mem_array(d->metrics + 1, sizeof *order);
    for (size_t i = 0; i < d->metrics; i++)
        order[i] = i;
    if (!d->opt->check && d->metrics)
        qsort_r(order, d->metrics, sizeof *order, by_change, d->metric);
    return order;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* The exact money of the whole files, beside the row of usd. */
struct exact {
    char base[MONEY_TEXT], head[MONEY_TEXT], change[MONEY_TEXT];
};

static void row(struct fields *f, const struct diff *d, size_t i) {
    const struct gate_metric *m = &d->metric[i];
    int has_exact = d->has_split && !strcmp(m->name, "usd");
    struct exact e;
    char *why = diff_why(d, i);
    money_text(d->split.base, e.base);
    money_text(d->split.head, e.head);
    money_text(d->split.head - d->split.base, e.change);
    const struct value v[] = {
        {.text = m->name}, {.text = gate_layer_name(m->rule.layer)},
        {.count = (int64_t)m->base_n}, {.count = (int64_t)m->head_n}, {.number = m->base_value},
        {.number = m->head_value}, {.text = m->unit},
        {.number = isfinite(m->ratio) ? percent(m->ratio) : NAN}, {.number = m->ratio},
        {.number = m->interval.low}, {.number = m->interval.high},
        {.text = has_exact ? e.change : NULL}, {.number = 100 * m->rule.margin}, {.number = m->p},
        {.number = m->p_adjusted},
        {.text = d->opt->check ? gate_verdict_name(m->verdict) : direction(m)},
        {.text = gate_action_name(m->rule.action)}, {.number = m->need},
        {.text = *why ? why : NULL},
        {.text = m->rule.better == GATE_HIGHER ? "higher" : "lower"},
        {.text = has_exact ? e.base : NULL}, {.text = has_exact ? e.head : NULL}};
    fields_row(f, v);
    free(why);
}

/* One of the parts of a change in money. */
static void part_row(struct fields *f, const struct diff *d, int part) {
    char name[32];
    char change[MONEY_TEXT];
    snprintf(name, sizeof name, "usd.%s", gate_part_name(part));
    money_text(d->split.part[part], change);
    const struct value v[] = {
        {.text = name}, {.text = NULL}, {.count = d->split.pairs}, {.count = d->split.pairs},
        {.number = NAN}, {.number = NAN}, {.text = "usd"}, {.number = NAN}, {.number = NAN},
        {.number = NAN}, {.number = NAN}, {.text = change}, {.number = NAN}, {.number = NAN},
        {.number = NAN}, {.text = NULL}, {.text = NULL}, {.number = NAN}, {.text = NULL},
        {.text = NULL}, {.text = NULL}, {.text = NULL}};
    fields_row(f, v);
}

void diff_rows(const struct diff *d, FILE *out, enum table_format format, int verbose) {
    static const struct field fields[] = {
        {"metric", FIELD_TEXT, 0}, {"layer", FIELD_TEXT, 0}, {"n", FIELD_COUNT, 0},
        {"head_n", FIELD_COUNT, 1}, {"base", 2, 0}, {"head", 2, 0}, {"unit", FIELD_TEXT, 0},
        {"change_pct", 2, 0}, {"ratio", 4, 1}, {"ratio_low", 4, 0}, {"ratio_high", 4, 0},
        {"change_usd", FIELD_TEXT, 0}, {"margin_pct", 1, 0}, {"p", 4, 1}, {"p_adjusted", 4, 0},
        {"verdict", FIELD_TEXT, 0}, {"action", FIELD_TEXT, 0}, {"need_n", FIELD_WHOLE, 0},
        {"why", FIELD_TEXT, 0}, {"better", FIELD_TEXT, 1}, {"base_usd", FIELD_TEXT, 1},
        {"head_usd", FIELD_TEXT, 1}};
    struct field own[sizeof fields / sizeof *fields];
    struct fields f;
    size_t *order = diff_order(d);
    memcpy(own, fields, sizeof own);
    if (d->opt->check) {        /* of a table people want the verdicts on one screen */
        own[1].wide = own[14].wide = 1;
    } else {                    /* nothing is judged, hence nothing is allowed or needed */
        own[12].wide = own[14].wide = own[16].wide = own[17].wide = 1;
        own[15].name = "direction";
    }
    fields_open_to(&f, out, format, own, (int)(sizeof own / sizeof *own), verbose);
    table_set_name(f.table, d->opt->check ? "llm_cost_check" : "llm_cost_diff");
    for (size_t i = 0; i < d->metrics; i++) {
        row(&f, d, order[i]);
        if (!strcmp(d->metric[order[i]].name, "usd") && d->has_split)
            for (int part = 0; part < GATE_PARTS; part++)
                if (part != GATE_CACHE || d->policy->cache)
                    part_row(&f, d, part);
    }
    fields_close(&f);
    free(order);
}

void diff_plan_rows(const struct diff *d, FILE *out, enum table_format format, int verbose) {
    static const struct field fields[] = {
        {"metric", FIELD_TEXT, 0}, {"layer", FIELD_TEXT, 0}, {"n", FIELD_COUNT, 0},
        {"spread_pct", 2, 0}, {"margin_pct", 1, 0}, {"effect_pct", 1, 0}, {"power", 3, 0},
        {"need_n", FIELD_WHOLE, 0}, {"pass_need_n", FIELD_WHOLE, 0}, {"tests", FIELD_COUNT, 1}};
    struct fields f;
    size_t tests = 0;
    for (size_t i = 0; i < d->metrics; i++)
        tests += d->metric[i].rule.layer != GATE_DETERMINISTIC && gate_counts(&d->metric[i]);
    tests = d->policy->holm ? tests : 1;
    fields_open_to(&f, out, format, fields, (int)(sizeof fields / sizeof *fields), verbose);
    table_set_name(f.table, "llm_cost_check_plan");
    for (size_t i = 0; i < d->metrics; i++) {
        const struct gate_metric *m = &d->metric[i];
        struct gate_plan p;
        if (!gate_counts(m))
            continue;
        gate_plan(m, tests, d->opt->power, &p);
        const struct value v[] = {
            {.text = m->name}, {.text = gate_layer_name(m->rule.layer)},
            {.count = (int64_t)m->base_n}, {.number = 100 * p.spread},
            {.number = 100 * m->rule.margin}, {.number = 100 * p.effect}, {.number = p.power},
            {.number = p.need}, {.number = p.pass_need}, {.count = (int64_t)tests}};
        fields_row(&f, v);
    }
    fields_close(&f);
}
