/* arrange_improve.c - the best few moves from a placement that is there, see arrange.h
 *
 * Each layer makes its own list of moves, always the one that lowers the cost most for each slot
 * that changes; then the lists are merged, the best next move of all layers first, until the slots
 * are used up.
 */
#include "lib/route/arrange.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/arrange_impl.h"

/* A gain that is more than rounding. */
#define GAIN 1e-10

/* Slot s and slot t swap; t < 0: slot s becomes a replica of `expert`. */
struct move {
    int s, t, expert;
    double gain;                /* for each slot that changes */
};

struct list {
    struct move *move;
    int64_t n, taken;
};

struct job {
    struct placement *p;
    const struct arrange_options *o;
    int64_t most;
    struct list *list;          /* [layers] */
};

static int slots_of(const struct move *m) {
    return m->t < 0 ? 1 : 2;
}

static void offer(struct move *best, double price, const struct move *m) {
    if (-price / slots_of(m) > best->gain) {
        *best = *m;
        best->gain = -price / slots_of(m);
    }
}

/* gain 0: no move lowers the cost. */
static struct move best_move(const struct arrange_layer *l) {
    struct move best = {0, 0, 0, 0};
    int room = l->slots / l->ranks;
    for (int s = 0; s < l->slots; s++) {
        for (int t = (s / room + 1) * room; t < l->slots; t++)
            offer(&best, arrange_price_swap(l, s, t), &(struct move){s, t, 0, 0});
        for (int e = 0; l->replicas[l->slot[s]] > 1 && e < l->experts; e++)
            offer(&best, arrange_price_replace(l, s, e), &(struct move){s, -1, e, 0});
    }
    if (best.gain <= GAIN)
        best.gain = 0;
    return best;
}

static void list_moves(const struct job *j, int layer, struct arrange_desk *d) {
    struct list *list = &j->list[layer];
    struct arrange_layer l = arrange_layer_begin(j->p, j->o, layer, d);
    int64_t slots = 0;
    for (;;) {
        struct move m = best_move(&l);
        if (m.gain == 0 || slots + slots_of(&m) > j->most)
            break;
        if (m.t < 0)
            arrange_replace(&l, m.s, m.expert);
        else
            arrange_swap(&l, m.s, m.t);
        slots += slots_of(&m);
        list->move = mem_grow(list->move, (size_t)list->n + 1, sizeof m);
        list->move[list->n++] = m;
    }
    arrange_layer_free(&l);
}

/* On copies of the slots: what is taken of the lists is decided afterwards. */
static void list_layers(void *arg, int ith, int nth) {
    const struct job *j = arg;
    struct arrange_desk d = arrange_desk_new(j->p, j->o);
    for (int layer = ith; layer < j->p->layers; layer += nth)
        list_moves(j, layer, &d);
    arrange_desk_free(&d);
}

static void take(int32_t *slot, const struct move *m) {
    int32_t expert = slot[m->s];
    if (m->t < 0) {
        slot[m->s] = m->expert;
        return;
    }
    slot[m->s] = slot[m->t];
    slot[m->t] = expert;
}

/* The layer whose next move, which must fit, gains most; -1: none. */
static int next_layer(const struct job *j, int64_t left) {
    int best = -1;
    double gain = 0;
    for (int layer = 0; layer < j->p->layers; layer++) {
        const struct list *list = &j->list[layer];
        const struct move *m = &list->move[list->taken];
        if (list->taken < list->n && slots_of(m) <= left && m->gain > gain) {
            best = layer;
            gain = m->gain;
        }
    }
    return best;
}

int64_t arrange_improve(struct placement *p, const struct arrange_options *o, int64_t most,
                        struct par *par) {
    size_t slots = (size_t)p->layers * (size_t)p->grid.slots;
    struct placement *trial = placement_new(p->layers, p->experts, &p->grid);
    struct job j = {trial, o, most, mem_array((size_t)p->layers, sizeof *j.list)};
    int64_t used = 0;
    int layer;
    memcpy(trial->slot, p->slot, slots * sizeof *p->slot);
    par_run(par, list_layers, &j);
    while ((layer = next_layer(&j, most - used)) >= 0) {
        struct list *list = &j.list[layer];
        const struct move *m = &list->move[list->taken++];
        take(placement_layer(p, layer), m);
        used += slots_of(m);
    }
    for (layer = 0; layer < p->layers; layer++)
        free(j.list[layer].move);
    free(j.list);
    placement_free(trial);
    return used;
}
