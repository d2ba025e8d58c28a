/* arrange_layer.c - prices and makes moves of experts between the slots of one layer */
#include "lib/route/arrange_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* Counts are sums of quotients, which round differently by their order. */
#define SLACK 1e-9

static int rank_of(const struct arrange_layer *l, int s) {
    return s / (l->slots / l->ranks);
}

static int node_of(const struct arrange_layer *l, int rank) {
    return rank / (l->ranks / l->nodes);
}

static double *row(const struct arrange_layer *l, double *matrix, int i) {
    return matrix + (size_t)i * (size_t)l->experts;
}

static double at(const struct arrange_layer *l, const double *matrix, int i, int j) {
    return matrix[(size_t)i * (size_t)l->experts + (size_t)j];
}

static int32_t *held(const struct arrange_layer *l, int rank, int expert) {
    return l->held + (size_t)rank * (size_t)l->experts + (size_t)expert;
}

/* Rank serves `share` more of expert's tokens. */
static void add_share(struct arrange_layer *l, int rank, int expert, double share) {
    const double *from = l->moment + (size_t)expert * (size_t)l->experts;
    double *to = row(l, l->product, rank);
    l->rank_count[rank] += share * l->count[expert];
    for (int e = 0; e < l->experts; e++)
        to[e] += share * from[e];
    if (!l->together)
        return;
    from = l->together + (size_t)expert * (size_t)l->experts;
    to = row(l, l->node_product, node_of(l, rank));
    for (int e = 0; e < l->experts; e++)
        to[e] += share * from[e];
}

void arrange_layer_start(struct arrange_layer *l) {
    size_t experts = (size_t)l->experts;
    l->replicas = mem_array(experts, sizeof *l->replicas);
    l->held = mem_array((size_t)l->ranks * experts, sizeof *l->held);
    l->rank_count = mem_array((size_t)l->ranks, sizeof *l->rank_count);
    l->product = mem_array((size_t)l->ranks * experts, sizeof *l->product);
    if (l->together)
        l->node_product = mem_array((size_t)l->nodes * experts, sizeof *l->node_product);
    for (int s = 0; s < l->slots; s++)
        l->replicas[l->slot[s]]++;
    for (int s = 0; s < l->slots; s++) {
        add_share(l, rank_of(l, s), l->slot[s], 1.0 / l->replicas[l->slot[s]]);
        ++*held(l, rank_of(l, s), l->slot[s]);
    }
}

void arrange_layer_free(struct arrange_layer *l) {
    free(l->replicas);
    free(l->held);
    free(l->rank_count);
    free(l->product);
    free(l->node_product);
}

double arrange_layer_cost(const struct arrange_layer *l) {
    double ranks = 0;
    double nodes = 0;
    for (int s = 0; s < l->slots; s++) {
        int e = l->slot[s];
        ranks += at(l, l->product, rank_of(l, s), e) / l->replicas[e];
        if (l->together)
            nodes += at(l, l->node_product, node_of(l, rank_of(l, s)), e) / l->replicas[e];
    }
    return ranks / l->ranks - l->pull * nodes / 2;
}

double arrange_layer_most(const struct arrange_layer *l) {
    double most = 0;
    for (int r = 0; r < l->ranks; r++)
        most = fmax(most, l->rank_count[r]);
    return most;
}

/* Whether a rank may have `more` tokens. */
static int has_room(const struct arrange_layer *l, int rank, double more) {
    return more <= 0 || l->rank_count[rank] + more <= l->most * (1 + SLACK);
}

double arrange_price_swap(const struct arrange_layer *l, int s, int t) {
    int a = rank_of(l, s);
    int b = rank_of(l, t);
    int x = l->slot[s];
    int y = l->slot[t];
    int m = node_of(l, a);
    int n = node_of(l, b);
    double fx = 1.0 / l->replicas[x];
    double fy = 1.0 / l->replicas[y];
    double more = fy * l->count[y] - fx * l->count[x];
    if (x == y || a == b || (l->inside && m != n) || !has_room(l, a, more) ||
        !has_room(l, b, -more))
        return INFINITY;
    double price = fy * (at(l, l->product, a, y) - at(l, l->product, b, y)) -
        fx * (at(l, l->product, a, x) - at(l, l->product, b, x)) +
        fx * fx * at(l, l->moment, x, x) + fy * fy * at(l, l->moment, y, y) -
        2 * fx * fy * at(l, l->moment, x, y);
    price = 2 * price / l->ranks;
    if (l->together && m != n)
        price -= l->pull *
            (fy * (at(l, l->node_product, m, y) - at(l, l->node_product, n, y)) -
             fx * (at(l, l->node_product, m, x) - at(l, l->node_product, n, x)) -
             2 * fx * fy * at(l, l->together, x, y));
    return price;
}

void arrange_swap(struct arrange_layer *l, int s, int t) {
    int a = rank_of(l, s);
    int b = rank_of(l, t);
    int x = l->slot[s];
    int y = l->slot[t];
    double fx = 1.0 / l->replicas[x];
    double fy = 1.0 / l->replicas[y];
    add_share(l, a, x, -fx);
    add_share(l, b, x, fx);
    add_share(l, b, y, -fy);
    add_share(l, a, y, fy);
    --*held(l, a, x);
    ++*held(l, b, x);
    --*held(l, b, y);
    ++*held(l, a, y);
    l->slot[s] = y;
    l->slot[t] = x;
}

/* How the shares of x and y on a rank change when slot s, on rank `at_rank`, turns from x to y. */
static void share_changes(const struct arrange_layer *l, int rank, int at_rank, int x, int y,
                          double *dx, double *dy) {
    int hx = *held(l, rank, x);
    int hy = *held(l, rank, y);
    int here = rank == at_rank;
    *dx = (double)(hx - here) / (l->replicas[x] - 1) - (double)hx / l->replicas[x];
    *dy = (double)(hy + here) / (l->replicas[y] + 1) - (double)hy / l->replicas[y];
}

static int node_holds(const struct arrange_layer *l, int node, int expert) {
    int each = l->ranks / l->nodes;
    for (int r = node * each; r < (node + 1) * each; r++)
        if (*held(l, r, expert))
            return 1;
    return 0;
}

/* Of a form with this matrix, whose product with the shares of one rank or node is `product`. */
static double change(const struct arrange_layer *l, const double *matrix, const double *product,
                     int x, int y, double dx, double dy) {
    return 2 * (dx * product[x] + dy * product[y]) + dx * dx * at(l, matrix, x, x) +
        dy * dy * at(l, matrix, y, y) + 2 * dx * dy * at(l, matrix, x, y);
}

double arrange_price_replace(const struct arrange_layer *l, int s, int y) {
    int here = rank_of(l, s);
    int x = l->slot[s];
    int each = l->ranks / l->nodes;
    double ranks = 0;
    double nodes = 0;
    if (x == y || l->replicas[x] < 2 || (l->inside && !node_holds(l, node_of(l, here), y)))
        return INFINITY;
    for (int n = 0; n < l->nodes; n++) {
        double gx = 0;
        double gy = 0;
        for (int r = n * each; r < (n + 1) * each; r++) {
            double dx, dy;
            if (r != here && !*held(l, r, x) && !*held(l, r, y))
                continue;
            share_changes(l, r, here, x, y, &dx, &dy);
            if (!has_room(l, r, dx * l->count[x] + dy * l->count[y]))
                return INFINITY;
            ranks += change(l, l->moment, row(l, l->product, r), x, y, dx, dy);
            gx += dx;
            gy += dy;
        }
        if (l->together && (gx != 0 || gy != 0))
            nodes += change(l, l->together, row(l, l->node_product, n), x, y, gx, gy);
    }
    return ranks / l->ranks - l->pull * nodes / 2;
}

void arrange_replace(struct arrange_layer *l, int s, int y) {
    int here = rank_of(l, s);
    int x = l->slot[s];
    for (int r = 0; r < l->ranks; r++) {
        double dx, dy;
        if (r != here && !*held(l, r, x) && !*held(l, r, y))
            continue;
        share_changes(l, r, here, x, y, &dx, &dy);
        add_share(l, r, x, dx);
        add_share(l, r, y, dy);
    }
    --*held(l, here, x);
    ++*held(l, here, y);
    l->replicas[x]--;
    l->replicas[y]++;
    l->slot[s] = y;
}
