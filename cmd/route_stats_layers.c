/* route_stats_layers.c - llm-route stats: a row for each layer, and one for all
 *
 * The last row has the means over layers of all measures, sums of tokens' experts and of dead and
 * used ones, and names the layer with the largest load.
 */
#include "cmd/route_stats.h"

#include <math.h>
#include <stdlib.h>

static const struct field fields[] = {
    {"layer", FIELD_ID, 0}, {"load_max_over_mean", 4, 0}, {"maxvio", 4, 0}, {"cv", 4, 0},
    {"gini", 4, 0}, {"entropy", 5, 0}, {"dead", FIELD_COUNT, 0}, {"lag1_overlap", 4, 0},
    {"lag1_expected", 4, 1}, {"noise_max_over_mean", 4, 1},
    {"load_max_over_mean_low", 4, 1}, {"load_max_over_mean_high", 4, 1}, {"cv_low", 4, 1},
    {"cv_high", 4, 1}, {"gini_low", 4, 1}, {"gini_high", 4, 1}, {"entropy_low", 5, 1},
    {"entropy_high", 5, 1}, {"lag1_overlap_low", 4, 1}, {"lag1_overlap_high", 4, 1},
    {"blocks", FIELD_WHOLE, 1}, {"block_of", FIELD_TEXT, 1}, {"tokens", FIELD_WHOLE, 1},
    {"pairs", FIELD_WHOLE, 1}, {"used", FIELD_COUNT, 1}, {"effective_experts", 2, 1},
    {"top_expert", FIELD_WHOLE, 1}, {"top_share", 5, 1}, {"reuse_share", 4, 1},
    {"reuse_median_tokens", 1, 1}, {"reuse_mean_tokens", 2, 1}, {"pass_experts", 2, 1},
    {"worst_layer", FIELD_WHOLE, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

static const struct balance_intervals no_intervals = {
    {NAN, NAN}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}, {NAN, NAN}};
static const struct recur_result no_recur = {NAN, 0, NAN, NAN, NAN, NAN};

/* What a row says. */
struct row {
    struct balance balance;
    struct recur_result recur;
    struct balance_intervals intervals;
    double lag1_expected, noise, tokens;
    double top, worst;          /* an expert, a layer; NAN: none */
};

struct report {
    struct fields fields;
    const struct stats *s;
    double blocks;              /* NAN: no intervals */
    const char *block_of;
};

static void put_row(struct report *p, const char *name, int layer, const struct row *r) {
    const struct balance *b = &r->balance;
    const struct balance_intervals *i = &r->intervals;
    const struct value row[FIELDS] = {
        {.text = name, .count = layer}, {.number = b->max_over_mean}, {.number = b->maxvio},
        {.number = b->cv}, {.number = b->gini}, {.number = b->entropy}, {.count = b->dead},
        {.number = r->recur.lag1}, {.number = r->lag1_expected}, {.number = r->noise},
        {.number = i->max_over_mean.low}, {.number = i->max_over_mean.high},
        {.number = i->cv.low}, {.number = i->cv.high}, {.number = i->gini.low},
        {.number = i->gini.high}, {.number = i->entropy.low}, {.number = i->entropy.high},
        {.number = i->lag1.low}, {.number = i->lag1.high}, {.number = p->blocks},
        {.text = p->block_of}, {.number = r->tokens}, {.number = b->sum}, {.count = b->used},
        {.number = b->effective}, {.number = r->top}, {.number = b->top_share},
        {.number = r->recur.reuse_share}, {.number = r->recur.reuse_median},
        {.number = r->recur.reuse_mean}, {.number = r->recur.pass_experts},
        {.number = r->worst}};
    fields_row(&p->fields, row);
}

/* ---- a layer ---------------------------------------------------------------------------- */

/* The share of a token's experts that another token, drawn by the same loads, uses as well. */
static double expected_overlap(const double *count, int experts, double tokens, double pairs) {
    double sum = 0;
    for (int e = 0; e < experts; e++)
        sum += count[e] * count[e];
    return sum / (tokens * pairs);
}

static struct row layer_row(const struct stats *s, int l) {
    const double *count = stats_count(s, l);
    struct row r = {.recur = no_recur, .intervals = no_intervals, .worst = NAN,
                    .tokens = stats_tokens(s, l)};
    balance_of(count, s->experts, &r.balance);
    double pairs = r.balance.sum;
    r.top = r.balance.top < 0 ? (double)NAN : r.balance.top;
    /* A table does not say how many experts a token has: as if one. */
    r.noise = balance_noise(s->tally ? r.tokens : pairs, pairs, s->experts);
    r.lag1_expected = NAN;
    if (!s->tally)
        return r;
    recur_result(s->tally->recur, l, &r.recur);
    if (!isnan(r.recur.lag1))
        r.lag1_expected = expected_overlap(count, s->experts, r.tokens, pairs);
    return r;
}

/* ---- all layers ------------------------------------------------------------------------- */

static void add_one(double *sum, int *n, double x) {
    if (isnan(x))
        return;
    *sum += x;
    ++*n;
}

/* Fields of struct row whose mean over the layers that have a value is in the last row. */
#define MEANS(X) X(balance.max_over_mean) X(balance.maxvio) X(balance.cv) X(balance.gini) \
    X(balance.entropy) X(balance.effective) X(balance.top_share) X(recur.lag1) \
    X(recur.reuse_share) X(recur.reuse_median) X(recur.reuse_mean) X(recur.pass_experts) \
    X(lag1_expected) X(noise)

static struct row mean_row(const struct stats *s, const struct row *row) {
    struct row all = {.top = NAN, .worst = NAN, .intervals = no_intervals};
    double most = 0;
#define MEAN(field) { \
        double sum = 0; \
        int n = 0; \
        for (int l = 0; l < s->model->layers; l++) \
            add_one(&sum, &n, row[l].field); \
        all.field = n ? sum / n : NAN; \
    }
    MEANS(MEAN)
    for (int l = 0; l < s->model->layers; l++) {
        all.balance.sum += row[l].balance.sum;
        all.balance.used += row[l].balance.used;
        all.balance.dead += row[l].balance.dead;
        if (row[l].balance.max_over_mean > most) {
            most = row[l].balance.max_over_mean;
            all.worst = s->model->layer_index[l];
        }
    }
    all.tokens = s->tally ? (double)s->tally->tokens : NAN;
    return all;
}

/* ---- the report ------------------------------------------------------------------------- */

static void add_intervals(struct report *p, struct row *row, struct row *all) {
    const struct stats *s = p->s;
    int layers = s->model->layers;
    p->blocks = NAN;
    if (!s->tally || s->o->boot.resamples < 0)
        return;
    struct balance_intervals *i = mem_array((size_t)layers, sizeof *i);
    p->blocks = balance_blocks_intervals(s->tally->blocks, s->experts, &s->o->boot,
                                         s->o->common.threads, i, &all->intervals);
    p->block_of = balance_blocks_by_request(s->tally->blocks) ? "requests" : "tokens";
    for (int l = 0; l < layers; l++)
        row[l].intervals = i[l];
    free(i);
}

void stats_layers(const struct stats *s) {
    struct report p = {.s = s};
    int layers = s->model->layers;
    struct row *row = mem_array((size_t)layers, sizeof *row);
    for (int l = 0; l < layers; l++)
        row[l] = layer_row(s, l);
    struct row all = mean_row(s, row);
    add_intervals(&p, row, &all);
    fields_open(&p.fields, fields, FIELDS, &s->o->common);
    for (int l = 0; l < layers; l++)
        put_row(&p, NULL, s->model->layer_index[l], &row[l]);
    put_row(&p, "all", 0, &all);
    fields_close(&p.fields);
    free(row);
}
