/* arrange_search.c - looks for a cheaper arrangement of one layer: descent, annealing, levelling,
 * fitting
 *
 * Bounded by counts, never by a clock: the same input and seed give the same answer everywhere.
 */
#include "lib/route/arrange_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* A change of the cost (which is near 1) that is more than rounding. */
#define GAIN 1e-10
#define ROUNDS 100
/* Temperatures of annealing, in parts of the variance at its start: from where a fair part of all
 * moves is taken to where hardly any is. */
#define HOT 0.1
#define COLD 1e-4
/* Of the random moves so many replace a replica; the others swap. */
#define REPLACE_EVERY 8
/* Fitting: a relief, in parts of a rank's tokens, that is more than rounding; and what a swap
 * weighs beside its price, so that of cheap ones those go first that help much. */
#define FIT_GAIN 1e-7
#define FIT_PRICE 1e-6

static int descend_swaps(struct arrange_layer *l) {
    int room = l->slots / l->ranks;
    int moved = 0;
    for (int s = 0; s < l->slots; s++)
        for (int t = (s / room + 1) * room; t < l->slots; t++)
            if (arrange_price_swap(l, s, t) < -GAIN) {
                arrange_swap(l, s, t);
                moved = 1;
            }
    return moved;
}

static int descend_replicas(struct arrange_layer *l) {
    int moved = 0;
    for (int s = 0; s < l->slots; s++) {
        int best = -1;
        double least = -GAIN;
        if (l->replicas[l->slot[s]] < 2)
            continue;
        for (int e = 0; e < l->experts; e++) {
            double price = arrange_price_replace(l, s, e);
            if (price < least) {
                least = price;
                best = e;
            }
        }
        if (best >= 0) {
            arrange_replace(l, s, best);
            moved = 1;
        }
    }
    return moved;
}

void arrange_descend(struct arrange_layer *l) {
    int replicated = l->slots > l->experts;
    for (int i = 0; i < ROUNDS; i++) {
        int moved = descend_swaps(l);
        if (replicated)
            moved |= descend_replicas(l);
        if (!moved)
            break;
    }
}

/* Draws a move and makes it if the temperature lets it: the change of the cost, 0: not made. */
static double try_move(struct arrange_layer *l, double heat, struct rng *rng) {
    int replace = l->slots > l->experts && rng_below(rng, REPLACE_EVERY) == 0;
    int s = (int)rng_below(rng, (uint64_t)l->slots);
    int other = (int)rng_below(rng, (uint64_t)(replace ? l->experts : l->slots));
    double price = replace ? arrange_price_replace(l, s, other) : arrange_price_swap(l, s, other);
    if (!(price < heat * -log(rng_unit(rng))))
        return 0;
    if (replace)
        arrange_replace(l, s, other);
    else
        arrange_swap(l, s, other);
    return price;
}

void arrange_anneal(struct arrange_layer *l, int64_t moves, struct rng *rng) {
    size_t bytes = (size_t)l->slots * sizeof *l->slot;
    int32_t *best = mem_alloc(bytes);
    double least = arrange_layer_cost(l);
    double start = fmax(least - 1, 1e-6);
    double cost = least;
    memcpy(best, l->slot, bytes);
    for (int64_t i = 0; i < moves; i++) {
        double change = try_move(l, start * HOT * pow(COLD / HOT, (double)i / (double)moves), rng);
        cost += change;
        if (change < 0 && cost < least - GAIN) {
            least = cost;
            memcpy(best, l->slot, bytes);
        }
    }
    memcpy(l->slot, best, bytes);
    free(best);
    arrange_layer_free(l);
    arrange_layer_start(l);             /* also free of what rounding had gathered */
    arrange_descend(l);
}

/* The swap of a slot of rank `full` that leaves the fuller of the two ranks the emptiest, below
 * what `full` has. 0: there is none. */
static int find_level(const struct arrange_layer *l, int full, int *s, int *t) {
    int room = l->slots / l->ranks;
    double least = l->rank_count[full] * (1 - GAIN);
    int found = 0;
    for (int i = full * room; i < (full + 1) * room; i++)
        for (int k = 0; k < l->slots; k++) {
            int x = l->slot[i];
            int y = l->slot[k];
            double less = l->count[x] / l->replicas[x] - l->count[y] / l->replicas[y];
            double after = fmax(l->rank_count[full] - less, l->rank_count[k / room] + less);
            if (after < least && isfinite(arrange_price_swap(l, i, k))) {
                least = after;
                *s = i;
                *t = k;
                found = 1;
            }
        }
    return found;
}

static int fullest(const struct arrange_layer *l) {
    int full = 0;
    for (int r = 1; r < l->ranks; r++)
        if (l->rank_count[r] > l->rank_count[full])
            full = r;
    return full;
}

void arrange_level(struct arrange_layer *l) {
    int s, t;
    for (int i = 0; i < l->slots * ROUNDS && find_level(l, fullest(l), &s, &t); i++)
        arrange_swap(l, s, t);
}

static double above(double count, double most) {
    return fmax(count - most, 0);
}

/* How much less rank a and rank b have above `most` once `less` goes from a to b. */
static double relief(const struct arrange_layer *l, double most, int a, int b, double less) {
    return above(l->rank_count[a], most) - above(l->rank_count[a] - less, most) +
        above(l->rank_count[b], most) - above(l->rank_count[b] + less, most);
}

/* The swap of a slot of rank `full` that costs least for its relief. 0: there is none. */
static int find_fit(const struct arrange_layer *l, double most, int full, int *s, int *t) {
    int room = l->slots / l->ranks;
    double least = INFINITY;
    for (int i = full * room; i < (full + 1) * room; i++)
        for (int k = 0; k < l->slots; k++) {
            int x = l->slot[i];
            int y = l->slot[k];
            double less = l->count[x] / l->replicas[x] - l->count[y] / l->replicas[y];
            double gain = relief(l, most, full, k / room, less) / most;
            if (!(gain > FIT_GAIN))
                continue;
            double price = (fmax(arrange_price_swap(l, i, k), 0) + FIT_PRICE) / gain;
            if (price < least) {
                least = price;
                *s = i;
                *t = k;
            }
        }
    return least < INFINITY;
}

int arrange_fit(struct arrange_layer *l, double most) {
    int s, t;
    double limit = most * (1 + GAIN);
    for (int i = 0; i < l->slots * ROUNDS && l->rank_count[fullest(l)] > limit; i++) {
        if (!find_fit(l, most, fullest(l), &s, &t))
            return 0;
        arrange_swap(l, s, t);
    }
    return l->rank_count[fullest(l)] <= limit;
}
