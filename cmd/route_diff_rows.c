/* route_diff_rows.c - the rows of llm-route diff, what stderr says of them, and the picture */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "cmd/route_diff.h"

#define NAMES_MOST 24           /* layers in a picture that each have their number below */

enum {
    LAYER, JS, JS_NULL, JS_NULL95, P, Q, DIFFER, TOP, MOST, DIFFERENCE, MATCHED, MATCHED_NULL,
    MATCHED_NULL95, MATCHED_P, MATCHED_Q, LEFT, TOKENS_A, TOKENS_B, UNITS_A, UNITS_B, UNIT, BLOCK,
    FIELDS
};

static const struct field layer_fields[FIELDS] = {
    {"layer", FIELD_ID, 0}, {"js_bits", 4, 0}, {"js_null_bits", 4, 0}, {"js_null95_bits", 4, 1},
    {"p", 4, 0}, {"q", 4, 1}, {"experts_differ", FIELD_WHOLE, 0}, {"top_overlap", 3, 0},
    {"most_expert", FIELD_WHOLE, 0}, {"most_difference", 4, 0}, {"matched_js_bits", 4, 0},
    {"matched_null_bits", 4, 0}, {"matched_null95_bits", 4, 1}, {"matched_p", 4, 0},
    {"matched_q", 4, 1}, {"matched_left", 3, 0}, {"tokens_a", FIELD_WHOLE, 1},
    {"tokens_b", FIELD_WHOLE, 1}, {"units_a", FIELD_WHOLE, 1}, {"units_b", FIELD_WHOLE, 1},
    {"unit", FIELD_TEXT, 1}, {"block_tokens", FIELD_WHOLE, 1}};

static const struct field expert_fields[] = {
    {"layer", FIELD_COUNT, 0}, {"expert", FIELD_COUNT, 0}, {"rate_a", 4, 0}, {"rate_b", 4, 0},
    {"difference", 4, 0}, {"low", 4, 0}, {"high", 4, 0}, {"p", 6, 0}, {"q", 6, 0}};
enum { EXPERT_FIELDS = sizeof expert_fields / sizeof *expert_fields };

/* ---- layers ------------------------------------------------------------------------------- */

/* How much of the divergence beyond chance is left when topics are matched; no value where there
 * was hardly any. */
static double left_of(const struct diverge_row *raw, const struct diverge_row *matched) {
    double whole = raw->js_bits - raw->null_bits;
    if (!(raw->js_bits > raw->null95_bits) || !(whole > 0))
        return NAN;
    return fmax(0, (matched->js_bits - matched->null_bits) / whole);
}

static void put_matched(const struct diff_result *r, int layer, struct value *v) {
    for (int i = MATCHED; i <= LEFT; i++)
        v[i].number = NAN;
    if (!r->matched)
        return;
    const struct diverge_row *m = &r->matched->row[layer];
    v[MATCHED].number = m->js_bits;
    v[MATCHED_NULL].number = m->null_bits;
    v[MATCHED_NULL95].number = m->null95_bits;
    v[MATCHED_P].number = m->p;
    v[MATCHED_Q].number = m->q;
    v[LEFT].number = left_of(&r->raw->row[layer], m);
}

static void put_units(const struct diff_result *r, struct value *v) {
    const struct diverge_units *u = r->units;
    v[TOKENS_A].number = u ? (double)u->side_tokens[0] : NAN;
    v[TOKENS_B].number = u ? (double)u->side_tokens[1] : NAN;
    v[UNITS_A].number = u ? (double)u->of_side[0] : NAN;
    v[UNITS_B].number = u ? (double)u->of_side[1] : NAN;
    v[UNIT].text = !u ? NULL : u->unit == DIVERGE_BLOCKS ? "block" : u->pair ? "pair" : "request";
    v[BLOCK].number = u && u->unit == DIVERGE_BLOCKS ? (double)u->block : NAN;
}

static void put_layer(struct fields *f, const struct diff_result *r, int layer) {
    const struct diverge_row *row = &r->raw->row[layer];
    const struct diverge_row *shown = r->matched ? &r->matched->row[layer] : row;
    struct value v[FIELDS] = {{0}};
    if (layer < r->raw->layers)
        v[LAYER].count = r->side[0].model.layer_index[layer];
    else
        v[LAYER].text = "all";
    v[JS].number = row->js_bits;
    v[JS_NULL].number = row->null_bits;
    v[JS_NULL95].number = row->null95_bits;
    v[P].number = row->p;
    v[Q].number = row->q;
    v[DIFFER].number = shown->differ >= 0 ? (double)shown->differ : NAN;
    v[TOP].number = shown->top_overlap;
    v[MOST].number = shown->most >= 0 ? (double)shown->most : NAN;
    v[DIFFERENCE].number = shown->difference;
    put_matched(r, layer, v);
    put_units(r, v);
    fields_row(f, v);
}

static void layer_rows(const struct diff_options *o, const struct diff_result *r) {
    struct fields f;
    struct field fields[FIELDS];
    memcpy(fields, layer_fields, sizeof fields);
    for (int i = MATCHED; i <= LEFT; i++)
        fields[i].wide |= !r->matched;
    fields_open(&f, fields, FIELDS, &o->common);
    for (int l = 0; l <= r->raw->layers; l++)
        put_layer(&f, r, l);
    fields_close(&f);
}

/* ---- experts ------------------------------------------------------------------------------ */

struct ranked {
    const struct diverge_expert *e;
    int id;
};

static int by_difference(const void *a, const void *b) {
    const struct ranked *x = a;
    const struct ranked *y = b;
    double dx = fabs(x->e->difference);
    double dy = fabs(y->e->difference);
    if (dx != dy)
        return dx > dy ? -1 : 1;
    return x->id - y->id;
}

static void expert_rows(const struct diff_options *o, const struct diff_result *r) {
    const struct diverge *d = r->matched ? r->matched : r->raw;
    size_t experts = (size_t)d->experts;
    struct ranked *order = mem_array(experts, sizeof *order);
    int tested = d->row[d->layers].differ >= 0;
    struct fields f;
    fields_open(&f, expert_fields, EXPERT_FIELDS, &o->common);
    for (int l = 0; l < d->layers; l++) {
        for (size_t e = 0; e < experts; e++)
            order[e] = (struct ranked){&d->expert[(size_t)l * experts + e], (int)e};
        qsort(order, experts, sizeof *order, by_difference);
        for (size_t i = 0; i < experts; i++) {
            const struct diverge_expert *e = order[i].e;
            if (tested && !o->every && !(e->q <= o->test.fdr))
                continue;
            fields_row(&f, (struct value[EXPERT_FIELDS]){
                {.count = r->side[0].model.layer_index[l]}, {.count = order[i].id},
                {.number = e->rate[0]}, {.number = e->rate[1]}, {.number = e->difference},
                {.number = e->low}, {.number = e->high}, {.number = e->p}, {.number = e->q}});
        }
    }
    fields_close(&f);
    free(order);
}

void diff_rows(const struct diff_options *o, const struct diff_result *r) {
    if (o->by_expert)
        expert_rows(o, r);
    else
        layer_rows(o, r);
}

/* ---- words -------------------------------------------------------------------------------- */

static void words_on_blocks(const struct diff_options *o, const struct diverge_units *u) {
    warn("shuffled are blocks of %lld tokens (%zu of a, %zu of b), since %s: p is about these "
         "texts, not about others like them", (long long)u->block, u->of_side[0], u->of_side[1],
         o->cut.unit == DIVERGE_BLOCKS || o->cut.block ? "that was asked for"
                                                       : "a side has fewer than 6 requests");
    if (u->tau > 0 && (double)u->block < DIVERGE_BLOCK_SHORT * u->tau)
        warn("routes remember %.1f tokens: blocks this short are not independent, and p is "
             "somewhat too small; longer texts would do", u->tau);
}

static double length(const struct diverge_units *u, int side) {
    return (double)u->side_tokens[side] / (double)u->requests[side];
}

static void words_on_units(const struct diff_options *o, const struct diff_result *r) {
    const struct diverge_units *u = r->units;
    const struct diverge *d = r->matched ? r->matched : r->raw;
    if (u->unit == DIVERGE_BLOCKS)
        words_on_blocks(o, u);
    else if (o->paired && !u->pair)
        warn("--paired: the sides do not have the same requests: compared without pairs");
    double ratio = length(u, 0) / length(u, 1);
    if (u->unit == DIVERGE_REQUESTS && (ratio > 2 || ratio < 0.5) && !u->pair)
        warn("requests of %s are %.1f times as long: shuffling takes them to be alike, so that p "
             "is rough", ratio > 1 ? "a" : "b", ratio > 1 ? ratio : 1 / ratio);
    if (d->least_p > DIVERGE_USEFUL_P && d->topics)
        warn("too few %s to tell from chance (%zu of a, %zu of b): no p",
             u->unit == DIVERGE_BLOCKS ? "blocks" : "requests", u->of_side[0], u->of_side[1]);
}

static void words_on_topics(const struct diff_options *o, const struct diverge *m) {
    if (m->topics_left || m->tokens_left[0] || m->tokens_left[1])
        warn("--control %s: %lld topics compared; left out: %lld of one side alone, and in all "
             "%lld tokens of a, %lld of b", o->control, (long long)m->topics,
             (long long)m->topics_left, (long long)m->tokens_left[0], (long long)m->tokens_left[1]);
}

void diff_words(const struct diff_options *o, const struct diff_result *r) {
    if (o->common.quiet)
        return;
    if (r->units)
        words_on_units(o, r);
    else {
        warn("a count table does not say which tokens came together: counts are no independent "
             "samples, so there is no p");
        if (!(r->side[0].model.k > 0 && r->side[1].model.k > 0))
            warn("experts of a token are not known: rates are shares of a layer's counts");
    }
    if (r->matched)
        words_on_topics(o, r->matched);
    warn("a difference in routing is not by itself a change in behaviour or in safety%s",
         r->matched ? "" : "; most of it is often topic: --control COLUMN compares like with like");
}

/* ---- picture ------------------------------------------------------------------------------ */

void diff_plot(const struct diff_options *o, const struct diff_result *r) {
    const struct diverge *d = r->matched ? r->matched : r->raw;
    size_t n = (size_t)d->layers;
    int named = n <= NAMES_MOST;
    if (!o->plot)
        return;
    double *x = mem_array(n, sizeof *x);
    double *js = mem_array(2 * n, sizeof *js);
    const char **name = mem_array(n, sizeof *name);
    char (*text)[16] = mem_array(n, sizeof *text);
    for (size_t l = 0; l < n; l++) {
        x[l] = named ? (double)l : r->side[0].model.layer_index[l];
        js[l] = d->row[l].js_bits;
        js[n + l] = d->row[l].null95_bits;
        snprintf(text[l], sizeof text[l], "%d", (int)r->side[0].model.layer_index[l]);
        name[l] = text[l];
    }
    const struct plot_series series[] = {{"a against b", x, js, n},
                                         {"95 % of shuffles", x, js + n, n}};
    plot_lines(o->plot, &(struct plot_labels){
                   .title = r->matched ? "Divergence of routes, topics matched"
                                       : "Divergence of routes",
                   .x = "layer", .y = "Jensen-Shannon divergence (bits)", .style = PLOT_BARS,
                   .x_names = named ? name : NULL}, series, r->units ? 2 : 1);
    free(text);
    free(name);
    free(js);
    free(x);
}
