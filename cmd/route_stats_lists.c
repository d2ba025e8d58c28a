/* route_stats_lists.c - llm-route stats: rows for experts, pairs of them, numbers of tokens */
#include "cmd/route_stats.h"

#include <math.h>
#include <stdlib.h>

#include "lib/route/spread.h"

/* ---- --by expert ------------------------------------------------------------------------ */

static const struct field expert_fields[] = {
    {"layer", FIELD_COUNT, 0}, {"expert", FIELD_COUNT, 0}, {"rank", FIELD_COUNT, 0},
    {"tokens", FIELD_WHOLE, 0}, {"share", 6, 0}, {"load_over_mean", 4, 0}};
enum { EXPERT_FIELDS = sizeof expert_fields / sizeof *expert_fields };

struct ranked {
    double count;
    int expert, rank;
};

static int by_count(const void *a, const void *b) {
    const struct ranked *p = a;
    const struct ranked *q = b;
    return p->count != q->count ? (p->count < q->count ? 1 : -1) : p->expert - q->expert;
}

static int by_expert(const void *a, const void *b) {
    return ((const struct ranked *)a)->expert - ((const struct ranked *)b)->expert;
}

/* one[experts] becomes the counts with their ranks, 1 for the largest; equal ones share the better
 * rank. */
static void rank_experts(const double *count, int experts, struct ranked *one) {
    for (int e = 0; e < experts; e++)
        one[e] = (struct ranked){count[e], e, 0};
    qsort(one, (size_t)experts, sizeof *one, by_count);
    for (int i = 0; i < experts; i++)
        one[i].rank = i && one[i].count == one[i - 1].count ? one[i - 1].rank : i + 1;
    qsort(one, (size_t)experts, sizeof *one, by_expert);
}

void stats_experts(const struct stats *s) {
    struct fields f;
    struct ranked *one = mem_array((size_t)s->experts, sizeof *one);
    fields_open(&f, expert_fields, EXPERT_FIELDS, &s->o->common);
    for (int l = 0; l < s->model->layers; l++) {
        struct balance b;
        balance_of(stats_count(s, l), s->experts, &b);
        rank_experts(stats_count(s, l), s->experts, one);
        for (int e = 0; e < s->experts; e++)
            fields_row(&f, (struct value[]){
                {.count = s->model->layer_index[l]}, {.count = e}, {.count = one[e].rank},
                {.number = one[e].count}, {.number = b.sum > 0 ? one[e].count / b.sum : NAN},
                {.number = b.sum > 0 ? one[e].count * s->experts / b.sum : NAN}});
    }
    fields_close(&f);
    free(one);
}

/* ---- --pairs ---------------------------------------------------------------------------- */

static const struct field pair_fields[] = {
    {"layer", FIELD_COUNT, 0}, {"expert_a", FIELD_COUNT, 0}, {"expert_b", FIELD_COUNT, 0},
    {"tokens", FIELD_COUNT, 0}, {"expected_tokens", 1, 0}, {"lift", 4, 0}, {"lift_alike", 4, 0},
    {"z", 2, 0}, {"tokens_a", FIELD_WHOLE, 1}, {"tokens_b", FIELD_WHOLE, 1},
    {"layer_tokens", FIELD_WHOLE, 1}};
enum { PAIR_FIELDS = sizeof pair_fields / sizeof *pair_fields };

static void put_pair(struct fields *f, const struct stats *s, int layer,
                     const struct together_pair *p) {
    const double *count = stats_count(s, layer);
    double tokens = stats_tokens(s, layer);
    double sum = 0;
    for (int e = 0; e < s->experts; e++)
        sum += count[e];
    fields_row(f, (struct value[]){
        {.count = s->model->layer_index[layer]}, {.count = p->a}, {.count = p->b},
        {.count = p->tokens}, {.number = p->expected}, {.number = p->lift},
        {.number = together_alike(sum / tokens, s->experts)}, {.number = p->z},
        {.number = count[p->a]}, {.number = count[p->b]}, {.number = tokens}});
}

void stats_pairs(const struct stats *s) {
    struct fields f;
    int64_t all = (int64_t)s->experts * (s->experts - 1) / 2;
    int most = s->o->pairs < all ? s->o->pairs : (int)all;
    int found = 0;
    struct together_pair *pair = mem_array((size_t)most + 1, sizeof *pair);
    fields_open(&f, pair_fields, PAIR_FIELDS, &s->o->common);
    for (int l = 0; l < s->model->layers; l++) {
        int n = together_top(s->tally->together, l, s->experts, stats_count(s, l),
                             balance_blocks_tokens(s->tally->blocks, l), most, s->o->least, pair);
        for (int i = 0; i < n; i++)
            put_pair(&f, s, l, &pair[i]);
        found += n;
    }
    fields_close(&f);
    free(pair);
    if (!found && !s->o->common.quiet)
        warn("no pair of experts has %g tokens to expect (--least)", s->o->least);
}

/* ---- --unique --------------------------------------------------------------------------- */

static const struct field unique_fields[] = {
    {"batch_tokens", FIELD_COUNT, 0}, {"windows", FIELD_COUNT, 0}, {"unique_experts", 3, 0},
    {"unique_experts_low", 3, 0}, {"unique_experts_high", 3, 0}, {"formula_experts", 3, 0},
    {"measured_over_formula", 4, 0}, {"by_load_experts", 3, 1}};
enum { UNIQUE_FIELDS = sizeof unique_fields / sizeof *unique_fields };

static void put_unique(struct fields *f, const struct stats_options *o,
                       const struct routed_set *set, const struct spread *spread, int64_t batch) {
    const struct boot *boot = o->boot.resamples < 0 ? NULL : &o->boot;
    struct spread_mean m = spread_mean(spread, batch, NULL, boot);
    double formula = spread_formula(set->model.experts, set->model.k, (double)batch);
    if (!m.windows)
        m.interval = (struct interval){NAN, NAN};
    fields_row(f, (struct value[]){
        {.count = batch}, {.count = m.windows}, {.number = m.mean}, {.number = m.interval.low},
        {.number = m.interval.high}, {.number = formula}, {.number = m.mean / formula},
        {.number = spread_by_load(spread, (double)batch, NULL)}});
}

int stats_unique(const struct stats_options *o) {
    struct fields f;
    struct routed_set *set = route_read(o->path, &o->in);
    struct spread *spread = spread_new(set, SPREAD_BEST, SPREAD_BESIDE);
    int nothing = spread_tokens(spread) == 0;
    if (!nothing) {
        fields_open(&f, unique_fields, UNIQUE_FIELDS, &o->common);
        for (int i = 0; i < o->uniques; i++)
            put_unique(&f, o, set, spread, o->unique[i]);
        fields_close(&f);
    }
    spread_free(spread);
    routed_set_free(set);
    return nothing;
}
