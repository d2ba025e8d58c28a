/* bench_stat_rows.c - what llm-bench stat writes to stdout: rows, JUnit's XML, JSON for graphs */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench_stat.h"
#include "cmd/report_gab.h"
#include "cmd/report_junit.h"
#include "lib/stat/interval.h"

int stat_fails(const struct stat_options *o, const struct comparison *c) {
    switch (c->verdict) {
    case COMPARE_WORSE:
    case COMPARE_HIGHER:        /* nobody said whether that is worse: it may be */
    case COMPARE_LOWER: return (o->fail & STAT_FAIL_WORSE) != 0;
    case COMPARE_NOTHING: return (o->fail & STAT_FAIL_INCONCLUSIVE) != 0;
    case COMPARE_ONLY_BASE: return (o->fail & STAT_FAIL_MISSING) != 0;
    default: return 0;
    }
}

static const struct series *either(const struct comparison *c) {
    return c->head ? c->head : c->base;
}

/* Names of the noise bits, joined. NULL: none. The caller frees. */
static char *noise_words(unsigned bits) {
    struct buf b = {0};
    for (int i = 0; i < COMPARE_NOISES; i++)
        if (bits >> i & 1)
            buf_printf(&b, "%s%s", b.len ? ", " : "", compare_noise_name(i));
    return b.data;
}

/* ---- one side ----------------------------------------------------------------------------- */

static void summary_row(struct rows *rows, const struct series *s) {
    double *sorted = order_sorted(s->x, s->n);
    char *noise = noise_words(compare_noise(s->x, s->n, s->better));
    const struct value own[] = {
        {.number = interval_average(s->x, s->n)}, {.number = interval_deviation(s->x, s->n)},
        {.number = order_quantile(sorted, s->n, 0)}, {.number = order_quantile(sorted, s->n, 0.25)},
        {.number = order_quantile(sorted, s->n, 0.75)},
        {.number = order_quantile(sorted, s->n, 0.9)},
        {.number = order_quantile(sorted, s->n, 0.99)}, {.number = order_quantile(sorted, s->n, 1)},
        {.number = 100 * compare_spread(s->x, s->n)}, {.text = noise}};
    rows_row(rows, &(struct measure){.name = s->name, .unit = s->unit, .better = s->better,
                                     .sample = s->x, .n = s->n}, own);
    free(noise);
    free(sorted);
}

static void summary_rows(const struct stat_options *o, const struct stat_side *side) {
    static const struct field own[] = {
        {"mean", 2, 0}, {"deviation", 2, 0}, {"min", 2, 0}, {"p25", 2, 1}, {"p75", 2, 1},
        {"p90", 2, 0}, {"p99", 2, 0}, {"max", 2, 0}, {"spread_pct", 1, 0},
        {"noise", FIELD_TEXT, 1}};
    struct rows rows;
    rows_open(&rows, own, (int)(sizeof own / sizeof *own), &o->common, o->argc, o->argv);
    table_set_name(rows.fields.table, "llm_bench_stat_summary");    /* its columns are others */
    if (!side->command && strcmp(side->label, "-"))
        rows_file(&rows, side->label);
    for (size_t i = 0; i < side->all->n; i++)
        summary_row(&rows, &side->all->s[i]);
    rows_close(&rows);
}

/* ---- a comparison ------------------------------------------------------------------------- */

static void comparison_row(struct rows *rows, const struct stat_side *side,
                           const struct comparison *c) {
    const struct series *s = either(c);
    const struct series none = {.n = 0};
    const struct series *head = c->head ? c->head : &none;
    const double value[] = {c->head_median, c->head_interval.low, c->head_interval.high};
    char *base_noise = noise_words(c->base_noise);
    char *head_noise = noise_words(c->head_noise);
    const struct value own[] = {
        {.number = c->base_median}, {.number = c->base_interval.low},
        {.number = c->base_interval.high}, {.number = c->ratio.shift},
        {.number = c->ratio.interval.low}, {.number = c->ratio.interval.high}, {.number = c->p},
        {.number = c->p_adjusted}, {.text = compare_verdict_name(c->verdict)},
        {.text = side[c->pair + 1].label}, {.text = side[0].label},
        {.number = c->need}, {.number = 100 * c->spread}, {.text = base_noise},
        {.text = head_noise}, {.count = c->base ? (int64_t)c->base->n : 0}};
    rows_row(rows, &(struct measure){.name = s->name, .unit = s->unit, .better = s->better,
                                     .sample = head->x, .n = head->n, .value = value}, own);
    free(head_noise);
    free(base_noise);
}

/* Over all series of a pair and unit, where there are several. */
static void mean_row(struct rows *rows, const struct stat_options *o,
                     const struct stat_side *side, const struct comparisons *c, int pair,
                     const struct series *like) {
    struct compare_mean m = compare_geomean(c, pair, like->unit, o->compare.level);
    const double value[] = {NAN, NAN, NAN};
    const struct value own[] = {
        {.number = NAN}, {.number = NAN}, {.number = NAN}, {.number = m.mean},
        {.number = m.interval.low}, {.number = m.interval.high}, {.number = NAN}, {.number = NAN},
        {.text = NULL}, {.text = side[pair + 1].label}, {.text = side[0].label},
        {.number = NAN}, {.number = NAN}, {.text = NULL}, {.text = NULL},
        {.count = (int64_t)m.n}};
    char *name = mem_printf("geomean %s", like->unit);
    if (m.n > 1)
        rows_row(rows, &(struct measure){.name = name, .unit = "", .better = like->better,
                                         .sample = m.ratio, .n = m.n, .value = value}, own);
    free(name);
    free(m.ratio);
}

/* One for each unit, at its first series. What a process takes is not one thing measured often. */
static void mean_rows(struct rows *rows, const struct stat_options *o,
                      const struct stat_side *side, const struct comparisons *c) {
    if (side[0].command && !o->metric)
        return;
    for (size_t i = 0; i < c->n; i++) {
        size_t k = 0;
        while (k < i && (c->c[k].pair != c->c[i].pair ||
                         strcmp(either(&c->c[k])->unit, either(&c->c[i])->unit)))
            k++;
        if (k == i)
            mean_row(rows, o, side, c, c->c[i].pair, either(&c->c[i]));
    }
}

static void comparison_rows(const struct stat_options *o, const struct stat_side *side, int n,
                            const struct comparisons *c) {
    const int many = n > 2;
    const struct field own[] = {
        {"base", 2, 0}, {"base_low", 2, 1}, {"base_high", 2, 1}, {"ratio", 4, 0},
        {"ratio_low", 4, 0}, {"ratio_high", 4, 0}, {"p", 4, 1}, {"p_adjusted", 4, 0},
        {"verdict", FIELD_TEXT, 0}, {"head_name", FIELD_TEXT, !many},
        {"base_name", FIELD_TEXT, 1}, {"need_n", FIELD_WHOLE, 1}, {"spread_pct", 1, 1},
        {"base_noise", FIELD_TEXT, 1}, {"head_noise", FIELD_TEXT, 1}, {"base_n", FIELD_COUNT, 1}};
    struct rows rows;
    rows_open(&rows, own, (int)(sizeof own / sizeof *own), &o->common, o->argc, o->argv);
    for (int i = 0; i < n; i++)
        if (!side[i].command && strcmp(side[i].label, "-"))
            rows_file(&rows, side[i].label);
    for (size_t i = 0; i < c->n; i++)
        comparison_row(&rows, side, &c->c[i]);
    mean_rows(&rows, o, side, c);
    rows_close(&rows);
}

/* ---- JUnit -------------------------------------------------------------------------------- */

/* "103.2 tok/s, was 110.5; ratio 0.934 (0.921 to 0.948), p 0.0004" */
static void add_numbers(struct buf *b, const struct comparison *c) {
    const struct series *s = either(c);
    buf_printf(b, "%.6g %.40s, was %.6g", c->head_median, s->unit, c->base_median);
    if (!isnan(c->p_adjusted))
        buf_printf(b, "; ratio %.4g (%.4g to %.4g), p %.3g", c->ratio.shift,
                   c->ratio.interval.low, c->ratio.interval.high, c->p_adjusted);
    if (!isnan(c->need))
        buf_printf(b, "; %.0f samples a side should do", c->need);
}

/* A regression fails where somebody asked for a judgement: --margin, or --fail-on. */
static int is_failure(const struct stat_options *o, const struct comparison *c) {
    return stat_fails(o, c) || (o->compare.margin > 0 && c->verdict == COMPARE_WORSE);
}

static int is_skipped(const struct comparison *c) {
    return c->verdict >= COMPARE_NOTHING;
}

static void print_junit(const struct stat_options *o, const struct stat_side *side,
                        const struct comparisons *c) {
    struct junit_case *one = mem_array(c->n + 1, sizeof *one);
    struct buf *text = mem_array(c->n + 1, sizeof *text);
    for (size_t i = 0; i < c->n; i++) {
        const struct comparison *from = &c->c[i];
        buf_printf(&text[i], "%s: ", compare_verdict_name(from->verdict));
        add_numbers(&text[i], from);
        one[i] = (struct junit_case){
            side[from->pair + 1].label, either(from)->name,
            is_failure(o, from) ? JUNIT_FAILED : is_skipped(from) ? JUNIT_SKIPPED : JUNIT_PASSED,
            text[i].data};
    }
    junit_write(stdout, "llm-bench stat", one, c->n);
    for (size_t i = 0; i < c->n; i++)
        buf_free(&text[i]);
    free(text);
    free(one);
}

/* ---- github-action-benchmark -------------------------------------------------------------- */

/* --only chooses the direction. */
static void add_github(struct buf *b, const struct series *s, double median,
                       struct interval i, const char *verdict) {
    static const char *const ways[] = {"unknown", "higher", "lower"};
    struct buf extra = {0};
    buf_printf(&extra, "better: %s\nn: %zu", ways[s->better], s->n);
    if (verdict)
        buf_printf(&extra, "\nverdict: %s", verdict);
    if (*s->origin)
        buf_printf(&extra, "\n%s", s->origin);
    gab_add(b, s->name, s->unit, median, i, extra.data);
    buf_free(&extra);
}

static void warn_of_directions(const struct stat_options *o, const struct serieses *all) {
    int ways = 0;
    for (size_t i = 0; i < all->n; i++)
        ways |= 1 << all->s[i].better;
    if ((ways & (ways - 1)) && !o->common.quiet)
        warn("series of both directions: --only higher for customBiggerIsBetter, --only lower for "
             "customSmallerIsBetter");
}

static void print_github(const struct stat_options *o, const struct stat_side *side, int n,
                         const struct comparisons *c) {
    struct buf b = {0};
    gab_open(&b);
    for (size_t i = 0; i < c->n; i++)
        if (c->c[i].head && c->c[i].pair == c->pairs - 1)
            add_github(&b, c->c[i].head, c->c[i].head_median, c->c[i].head_interval,
                       compare_verdict_name(c->c[i].verdict));
    gab_close(&b, stdout);
    warn_of_directions(o, side[n - 1].all);
}

/* ---- which of them ------------------------------------------------------------------------ */

void stat_print_summary(const struct stat_options *o, const struct stat_side *side) {
    struct buf b = {0};
    if (o->format == STAT_TABLE) {
        summary_rows(o, side);
        return;
    }
    gab_open(&b);
    for (size_t i = 0; i < side->all->n; i++) {
        const struct series *s = &side->all->s[i];
        struct interval interval;
        double median = order_summary(s->x, s->n, o->compare.level, &interval);
        add_github(&b, s, median, interval, NULL);
    }
    gab_close(&b, stdout);
    warn_of_directions(o, side->all);
}

void stat_print_comparison(const struct stat_options *o, const struct stat_side *side, int n,
                           const struct comparisons *c) {
    switch (o->format) {
    case STAT_JUNIT: print_junit(o, side, c); break;
    case STAT_GITHUB: print_github(o, side, n, c); break;
    default: comparison_rows(o, side, n, c);
    }
}
