/* arrange.c - all layers of a placement, one after the other on each thread, see arrange.h */
#include "lib/route/arrange.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/arrange_impl.h"
#include "lib/route/eplb.h"

/* Random moves for each slot; ten times as many did no better on other traffic. */
#define MOVES 128
/* Of the sum of a rank's tokens. */
#define SPARE 0.05
/* Of what is seen of two experts' going together beyond or below chance, the part that is believed:
 * a trace shows too few windows for all of it to come again. */
#define BELIEF 0.5

struct job {
    struct placement *p;
    const struct arrange_options *o;
    int one_table;              /* of counts: nothing is known but the sum */
};

struct arrange_desk arrange_desk_new(const struct placement *p, const struct arrange_options *o) {
    size_t experts = (size_t)p->experts;
    struct arrange_desk d = {.count = mem_array(experts, sizeof(double)),
                             .moment = mem_array(experts * experts, sizeof(double))};
    if (o->pull > 0 && p->grid.nodes > 1)
        d.together = mem_array(experts * experts, sizeof(double));
    return d;
}

void arrange_desk_free(struct arrange_desk *d) {
    free(d->count);
    free(d->moment);
    free(d->together);
}

/* Products of different experts' loads come nearer to the product of their mean loads. */
static void shrink(double *moment, const double *count, int experts, int ranks) {
    double sum = 0;
    for (int e = 0; e < experts; e++)
        sum += count[e];
    double scale = sum > 0 ? ranks / sum : 0;
    for (int a = 0; a < experts; a++)
        for (int b = 0; b < experts; b++) {
            double *m = &moment[(size_t)a * (size_t)experts + (size_t)b];
            if (a != b)
                *m = BELIEF * *m + (1 - BELIEF) * (count[a] * scale) * (count[b] * scale);
        }
}

struct arrange_layer arrange_layer_begin(const struct placement *p,
                                         const struct arrange_options *o, int layer,
                                         struct arrange_desk *d) {
    const struct placement_grid *g = &p->grid;
    const struct traffic *t = o->train;
    traffic_count(t, layer, d->count);
    traffic_moment(t, layer, g->ranks, d->moment);
    shrink(d->moment, d->count, p->experts, g->ranks);
    int pulls = d->together && traffic_together(t, layer, d->together);
    struct arrange_layer l = {
        .experts = p->experts, .ranks = g->ranks, .nodes = g->nodes, .slots = g->slots,
        .inside = eplb_is_hierarchical(g, o->groups) && g->nodes > 1, .count = d->count,
        .moment = d->moment, .together = pulls ? d->together : NULL, .pull = o->pull,
        .slot = placement_layer(p, layer)};
    arrange_layer_start(&l);
    l.most = arrange_layer_most(&l);
    return l;
}

/* The arrangement in `slot` in place of the layer's own. */
static void put_slots(struct arrange_layer *l, const int32_t *slot) {
    arrange_layer_free(l);
    memcpy(l->slot, slot, (size_t)l->slots * sizeof *slot);
    arrange_layer_start(l);
}

/* Once more with ranks that may have SPARE more of the sum, which is taken from them at last: where
 * EPLB's ranks are all as full as the fullest, hardly any move is allowed without. The cheaper of
 * the two arrangements stays. */
static void anneal_loosely(struct arrange_layer *l, int64_t moves, struct rng *rng) {
    size_t bytes = (size_t)l->slots * sizeof *l->slot;
    int32_t *strict = mem_alloc(bytes);
    double most = l->most;
    double cost = arrange_layer_cost(l);
    memcpy(strict, l->slot, bytes);
    l->most = most * (1 + SPARE);
    arrange_anneal(l, moves, rng);
    int fits = arrange_fit(l, most);
    l->most = most;
    if (fits)
        arrange_descend(l);
    if (!fits || arrange_layer_cost(l) > cost)
        put_slots(l, strict);
    free(strict);
}

static void fill_layer(const struct job *j, int layer, struct arrange_desk *d) {
    struct rng rng = {j->o->seed + (uint64_t)layer * 0x9E3779B97F4A7C15u};
    struct arrange_layer l = arrange_layer_begin(j->p, j->o, layer, d);
    arrange_descend(&l);
    arrange_anneal(&l, (int64_t)MOVES * l.slots, &rng);
    if (j->one_table)
        arrange_level(&l);
    else
        anneal_loosely(&l, (int64_t)MOVES * l.slots, &rng);
    arrange_layer_free(&l);
}

static void fill_layers(void *arg, int ith, int nth) {
    const struct job *j = arg;
    struct arrange_desk d = arrange_desk_new(j->p, j->o);
    for (int layer = ith; layer < j->p->layers; layer += nth)
        fill_layer(j, layer, &d);
    arrange_desk_free(&d);
}

static struct job job_of(struct placement *p, const struct arrange_options *o) {
    return (struct job){.p = p, .o = o,
                        .one_table = o->train->parts == 1 && !o->train->part[0].set};
}

int arrange_fill(struct placement *p, const struct arrange_options *o, struct par *par,
                 struct err *err) {
    struct job j = job_of(p, o);
    if (p->grid.slots > ARRANGE_SLOTS_MOST)
        return err_set(err, "%d slots of a layer: at most %d can be arranged", p->grid.slots,
                       ARRANGE_SLOTS_MOST);
    double *count = mem_array((size_t)p->layers * (size_t)p->experts, sizeof *count);
    for (int layer = 0; layer < p->layers; layer++)
        traffic_count(o->train, layer, count + (size_t)layer * (size_t)p->experts);
    int rc = eplb_fill(p, count, o->groups, err);
    free(count);
    if (rc)
        return -1;
    par_run(par, fill_layers, &j);
    return 0;
}
