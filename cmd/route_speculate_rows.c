/* route_speculate_rows.c - llm-route speculate: rows, picture, verdict */
#include "cmd/route_speculate.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/plot.h"

static const struct field fields[] = {
    {"accept", 3, 0}, {"draft_tokens", FIELD_COUNT, 0}, {"windows", FIELD_COUNT, 1},
    {"unique_experts", 2, 0}, {"unique_experts_low", 2, 1}, {"unique_experts_high", 2, 1},
    {"unique_formula", 2, 1}, {"unique_by_load", 2, 1}, {"bytes_per_pass", FIELD_WHOLE, 1},
    {"bytes_per_token", FIELD_WHOLE, 1}, {"pass_vs_decode", 3, 0}, {"tokens_per_pass", 3, 1},
    {"speedup", 3, 0}, {"speedup_low", 3, 0}, {"speedup_high", 3, 0},
    {"speedup_if_dense", 3, 0}, {"speedup_by_formula", 3, 1}, {"breakeven_accept", 3, 1},
    {"ms_per_token", 3, 1}, {"pays", FIELD_TEXT, 0}, {"best", FIELD_TEXT, 0}};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Speedup and its interval: more experts are slower, so that the ends change places. */
struct speed {
    double mean, low, high;
};

static double speedup(const struct speculate_report *r, double accept,
                      const struct speculate_growth *g, double unique) {
    return speculate_speedup(r->costs, accept, g->draft, r->one->weighted, unique);
}

static struct speed speed_of(const struct speculate_report *r, double accept,
                             const struct speculate_growth *g) {
    return (struct speed){speedup(r, accept, g, g->weighted),
                          speedup(r, accept, g, g->weighted_interval.high),
                          speedup(r, accept, g, g->weighted_interval.low)};
}

/* By the interval; too few windows for one tell nothing. Batches, which are averages over very many
 * draws, have none. */
static const char *pays(const struct speculate_report *r, const struct speed *s) {
    if (isnan(s->mean))
        return NULL;
    if (isnan(s->low))
        return r->o->batch == 1 ? "unclear" : s->mean > 1 ? "yes" : "no";
    return s->low > 1 ? "yes" : s->high < 1 ? "no" : "unclear";
}

/* The fastest draft length, -1: none is known. */
static int best_of(const struct speculate_report *r, double accept) {
    double most = -1;
    int best = -1;
    for (int i = 0; i < r->o->drafts; i++) {
        double x = speed_of(r, accept, &r->growth[i]).mean;
        if (x > most) {
            most = x;
            best = i;
        }
    }
    return best;
}

/* The formula overcounts one token no less than many, but there it is exact. */
static double by_formula(const struct speculate_report *r, double accept,
                         const struct speculate_growth *g) {
    return speculate_speedup(r->costs, accept, g->draft, r->one->formula, g->formula);
}

/* Of each request, milliseconds; without a device there is none. */
static double token_ms(const struct speculate_report *r, double speed) {
    double one = speculate_seconds(r->costs, 1, r->one->weighted);
    return r->o->device ? one / speed * 1e3 : NAN;
}

static void put_row(struct fields *f, const struct speculate_report *r, double accept, int i,
                    int best) {
    const struct speculate_growth *g = &r->growth[i];
    struct speed s = speed_of(r, accept, g);
    double bytes = speculate_bytes(r->costs, g->weighted);
    double tokens = speculate_tokens(accept, g->draft);
    double one = speculate_bytes(r->costs, r->one->weighted);
    const struct value row[FIELDS] = {
        {.number = accept},
        {.count = g->draft},
        {.count = g->windows},
        {.number = g->unique},
        {.number = g->interval.low},
        {.number = g->interval.high},
        {.number = g->formula},
        {.number = g->by_load},
        {.number = round(bytes)},
        {.number = round(bytes / tokens / r->o->batch)},
        {.number = bytes / one},
        {.number = tokens},
        {.number = s.mean},
        {.number = s.low},
        {.number = s.high},
        {.number = speculate_dense(r->costs, accept, g->draft, r->one->weighted)},
        {.number = by_formula(r, accept, g)},
        {.number = speculate_breakeven(r->costs, g->draft, r->one->weighted, g->weighted)},
        {.number = token_ms(r, s.mean)},
        {.text = pays(r, &s)},
        {.text = i == best ? "best" : NULL}};
    fields_row(f, row);
}

static void draw(const struct speculate_report *r) {
    int n = r->o->drafts;
    int accepts = r->o->accepts;
    struct plot_series *s = mem_array(2 * (size_t)accepts, sizeof *s);
    double *x = mem_array((size_t)n * (size_t)(2 * accepts + 1), sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = r->growth[i].draft;
    for (int k = 0; k < 2 * accepts; k++) {
        double accept = r->o->accept[k / 2];
        double *y = x + (size_t)n * (size_t)(k + 1);
        for (int i = 0; i < n; i++)
            y[i] = k % 2 ? speculate_dense(r->costs, accept, r->growth[i].draft, r->one->weighted)
                         : speed_of(r, accept, &r->growth[i]).mean;
        s[k] = (struct plot_series){mem_printf("%g%s", accept, k % 2 ? ", if dense" : ""), x, y,
                                    (size_t)n};
    }
    plot_lines(r->o->plot, &(struct plot_labels){
        .title = "Speculative decoding by acceptance", .x = "drafted tokens a pass",
        .y = "times as fast as without drafts"}, s, 2 * accepts);
    for (int k = 0; k < 2 * accepts; k++)
        free((char *)(uintptr_t)s[k].name);
    free(x);
    free(s);
}

static void say(const struct speculate_report *r, double accept, int best) {
    const struct speculate_growth *g = &r->growth[best];
    struct speed s = speed_of(r, accept, g);
    const char *verdict = pays(r, &s);
    char *interval = isnan(s.low) ? mem_strdup("")
                                  : mem_printf(" (%.2f to %.2f)", s.low, s.high);
    const char *word = *verdict == 'y' ? "it pays" : *verdict == 'n' ? "it does not pay"
                                                                     : "it may or may not pay";
    warn("accept %g: %s: %d drafted token%s a pass %s %.2f times as fast%s; a dense model of as "
         "many bytes: %.2f", accept, word, g->draft, g->draft == 1 ? "" : "s",
         g->draft == 1 ? "is" : "are", s.mean, interval,
         speculate_dense(r->costs, accept, g->draft, r->one->weighted));
    free(interval);
}

void speculate_print(const struct speculate_report *r) {
    struct fields f;
    fields_open(&f, fields, FIELDS, &r->o->common);
    for (int k = 0; k < r->o->accepts; k++) {
        int best = best_of(r, r->o->accept[k]);
        for (int i = 0; i < r->o->drafts; i++)
            put_row(&f, r, r->o->accept[k], i, best);
    }
    fields_close(&f);
    for (int k = 0; k < r->o->accepts && !r->o->common.quiet; k++)
        say(r, r->o->accept[k], best_of(r, r->o->accept[k]));
    if (r->o->plot)
        draw(r);
}
