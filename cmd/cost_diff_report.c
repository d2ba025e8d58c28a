/* cost_diff_report.c - llm-cost diff and check for other programs: Markdown, JUnit, annotations of
 * GitHub, JSON of github-action-benchmark
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"
#include "cmd/report_gab.h"
#include "cmd/report_junit.h"

static const char *title_of(const struct diff *d) {
    return d->opt->check ? "llm-cost check" : "llm-cost diff";
}

static void flush(struct buf *b, FILE *out) {
    fwrite(b->data ? b->data : "", 1, b->len, out);
    buf_free(b);
}

/* ---- Markdown ----------------------------------------------------------------------------- */

/* Of a cell: a bar would end it, and a name may be anything. */
static void add_cell(struct buf *b, const char *s) {
    for (; *s; s++) {
        if (strchr("|\\`*_<>[]", *s))
            buf_addc(b, '\\');
        buf_addc(b, (unsigned char)*s < ' ' ? ' ' : *s);
    }
}

static void add_signed(struct buf *b, money m) {
    char text[MONEY_TEXT];
    buf_printf(b, "%s%s", m > 0 ? "+" : "", money_text(m, text));
}

static void add_change(struct buf *b, const struct gate_metric *m) {
    if (isfinite(m->ratio))
        buf_printf(b, " %+.2f%% |", 100 * (m->ratio - 1));
    else
        buf_adds(b, " - |");
    if (isfinite(m->interval.low) && isfinite(m->interval.high))
        buf_printf(b, " %+.2f%% to %+.2f%% |", 100 * (m->interval.low - 1),
                   100 * (m->interval.high - 1));
    else
        buf_adds(b, " - |");
}

static void add_row(struct buf *b, const struct diff *d, size_t i) {
    static const char *const marks[] = {"pass", "**inconclusive**", "**FAIL**"};
    const struct gate_metric *m = &d->metric[i];
    char *why = diff_why(d, i);
    buf_adds(b, "| ");
    add_cell(b, m->name);
    buf_printf(b, " | ");
    if (isnan(m->ratio))
        buf_adds(b, "- | - |");
    else
        buf_printf(b, "%.6g | %.6g %s |", m->base_value, m->head_value, m->unit);
    add_change(b, m);
    if (d->opt->check) {
        int counts = m->rule.action != GATE_ACT_IGNORE;
        buf_printf(b, " %g%% | %s%s |", 100 * m->rule.margin,
                   counts ? marks[m->verdict] : gate_verdict_name(m->verdict),
                   m->rule.action == GATE_ACT_WARN ? " (warns)" : counts ? "" : " (ignored)");
    }
    buf_adds(b, " ");
    add_cell(b, why);
    if (!isnan(m->need))
        buf_printf(b, "%sneeds n = %.0f", *why ? "; " : "", m->need);
    buf_adds(b, " |\n");
    free(why);
}

static void add_split(struct buf *b, const struct diff *d) {
    const struct gate_split *s = &d->split;
    char from[MONEY_TEXT];
    char to[MONEY_TEXT];
    if (!d->has_split)
        return;
    buf_printf(b, "\nMoney: $%s, was $%s: ", money_text(s->head, to), money_text(s->base, from));
    add_signed(b, s->head - s->base);
    buf_adds(b, " =");
    for (int i = 0; i < GATE_PARTS; i++) {
        if (i == GATE_CACHE && !d->policy->cache)
            continue;
        buf_printf(b, "%s %s ", i ? "," : "", gate_part_name(i));
        add_signed(b, s->part[i]);
    }
    buf_adds(b, " USD.\n");
}

/* The comment at the front is how a bot finds its own to replace it. */
static void write_md(const struct diff *d, FILE *out) {
    struct buf b = {0};
    size_t *order = diff_order(d);
    buf_printf(&b, "<!-- %s -->\n### %s", title_of(d), title_of(d));
    if (d->opt->check)
        buf_printf(&b, ": %s", gate_verdict_name(d->outcome));
    buf_printf(&b, "\n\n| metric | base | head | change | interval |%s why |\n",
               d->opt->check ? " allowed | verdict |" : "");
    buf_printf(&b, "| --- | ---: | ---: | ---: | ---: |%s --- |\n",
               d->opt->check ? " ---: | --- |" : "");
    for (size_t i = 0; i < d->metrics; i++)
        add_row(&b, d, order[i]);
    add_split(&b, d);
    flush(&b, out);
    free(order);
}

/* ---- JUnit -------------------------------------------------------------------------------- */

/* What does not count towards the exit status is shown as skipped, whatever it is; what cannot be
 * told and counts is an error, since a build that reads this file alone must not go through. */
static int junit_state(const struct gate_metric *m) {
    if (m->verdict == GATE_PASS)
        return JUNIT_PASSED;
    if (!gate_counts(m))
        return JUNIT_SKIPPED;
    return m->verdict == GATE_FAIL ? JUNIT_FAILED : JUNIT_ERROR;
}

static void write_junit(const struct diff *d, FILE *out) {
    struct junit_case *c = mem_array(d->metrics + 1, sizeof *c);
    char **text = mem_array(d->metrics + 1, sizeof *text);
    for (size_t i = 0; i < d->metrics; i++) {
        const struct gate_metric *m = &d->metric[i];
        char *sentence = diff_sentence(d, i);
        text[i] = mem_printf("%s: %s", gate_verdict_name(m->verdict), sentence);
        c[i] = (struct junit_case){title_of(d), m->name,
                                   d->opt->check ? junit_state(m) : JUNIT_PASSED, text[i]};
        free(sentence);
    }
    junit_write(out, title_of(d), c, d->metrics);
    for (size_t i = 0; i < d->metrics; i++)
        free(text[i]);
    free(text);
    free(c);
}

/* ---- annotations -------------------------------------------------------------------------- */

/* As a workflow command wants them; in the value of a property commas and colons too. */
static void add_escaped(struct buf *b, const char *s, int property) {
    for (; *s; s++)
        if (*s == '%' || *s == '\r' || *s == '\n' || (property && (*s == ',' || *s == ':')))
            buf_printf(b, "%%%02X", (unsigned char)*s);
        else
            buf_addc(b, *s);
}

static void write_annotations(const struct diff *d, FILE *out) {
    struct buf b = {0};
    for (size_t i = 0; i < d->metrics; i++) {
        const struct gate_metric *m = &d->metric[i];
        if (m->verdict == GATE_PASS || m->rule.action == GATE_ACT_IGNORE || !d->opt->check)
            continue;
        char *sentence = diff_sentence(d, i);
        buf_printf(&b, "::%s title=", m->verdict == GATE_FAIL && gate_counts(m) ? "error"
                                                                                : "warning");
        char *title = mem_printf("%s: %s", gate_verdict_name(m->verdict), m->name);
        add_escaped(&b, title, 1);
        buf_adds(&b, "::");
        add_escaped(&b, sentence, 0);
        buf_addc(&b, '\n');
        free(title);
        free(sentence);
    }
    flush(&b, out);
}

/* ---- github-action-benchmark -------------------------------------------------------------- */

/* Head's values of metrics that are better when lower, as customSmallerIsBetter takes them. */
static void write_benchmark(const struct diff *d, FILE *out) {
    struct buf b = {0};
    gab_open(&b);
    for (size_t i = 0; i < d->metrics; i++) {
        const struct gate_metric *m = &d->metric[i];
        struct interval range = {m->base_value * m->interval.low,
                                 m->base_value * m->interval.high};
        char *sentence = diff_sentence(d, i);
        char *extra = mem_printf("n: %zu\nlayer: %s\nverdict: %s\n%s", m->head_n,
                                 gate_layer_name(m->rule.layer), gate_verdict_name(m->verdict),
                                 sentence);
        if (m->rule.better == GATE_LOWER)
            gab_add(&b, m->name, m->unit, m->head_value, range, extra);
        free(extra);
        free(sentence);
    }
    gab_close(&b, out);
}

void diff_report(const struct diff *d, FILE *out, int format) {
    switch (format) {
    case DIFF_MD: write_md(d, out); break;
    case DIFF_JUNIT: write_junit(d, out); break;
    case DIFF_ANNOTATIONS: write_annotations(d, out); break;
    case DIFF_BENCHMARK: write_benchmark(d, out); break;
    default: break;
    }
}
