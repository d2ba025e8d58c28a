/* traffic.c - windows of traffic, and how even a placement's ranks are in them, see traffic.h */
#include "lib/route/traffic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

const struct routed_model *traffic_model(const struct traffic_part *p) {
    return p->set ? &p->set->model : &p->loads->model;
}

static int64_t windows_of(const struct traffic *t, const struct traffic_part *p) {
    int64_t n = p->set ? (p->to - p->from) / t->window : 1;
    return n > 0 ? n : 1;
}

int traffic_ready(struct traffic *t, struct err *err) {
    if (t->parts < 1)
        return err_set(err, "no traffic");
    t->layers = traffic_model(t->part)->layers;
    t->k = 0;
    t->windows = 0;
    for (int i = 0; i < t->parts; i++) {
        const struct routed_model *m = traffic_model(&t->part[i]);
        if (m->layers != t->layers)
            return err_set(err, "input %d: expected %d layers, as the first has, found %d", i + 1,
                           t->layers, m->layers);
        if (m->experts > t->experts)
            t->experts = m->experts;
        if (t->part[i].set && m->k > t->k)
            t->k = m->k;
        t->windows += windows_of(t, &t->part[i]);
    }
    return 0;
}

/* ---- counts ------------------------------------------------------------------------------- */

static void add_tokens(const struct routed_set *s, int layer, int64_t from, int64_t to,
                       double *count) {
    for (int64_t i = from; i < to; i++) {
        const int16_t *expert = routed_at(s, i, layer);
        for (int j = 0; j < s->model.k; j++)
            if (expert[j] >= 0)
                count[expert[j]]++;
    }
}

static void add_part(const struct traffic_part *p, int layer, double *count) {
    if (p->set) {
        add_tokens(p->set, layer, p->from, p->to, count);
        return;
    }
    size_t experts = (size_t)p->loads->model.experts;
    for (size_t e = 0; e < experts; e++)
        count[e] += p->loads->count[(size_t)layer * experts + e];
}

void traffic_count(const struct traffic *t, int layer, double *count) {
    memset(count, 0, (size_t)t->experts * sizeof *count);
    for (int i = 0; i < t->parts; i++)
        add_part(&t->part[i], layer, count);
}

/* Window i of a part's n is that share of its tokens, so that no short one is left at the end. */
static void add_window(const struct traffic_part *p, int layer, int64_t i, int64_t n,
                       double *count) {
    int64_t each = (p->to - p->from) / n;
    int64_t more = (p->to - p->from) % n;
    int64_t from = p->from + i * each + (i < more ? i : more);
    if (p->set)
        add_tokens(p->set, layer, from, from + each + (i < more), count);
    else
        add_part(p, layer, count);
}

void traffic_window(const struct traffic *t, int layer, int64_t window, double *count) {
    memset(count, 0, (size_t)t->experts * sizeof *count);
    for (int i = 0; i < t->parts; i++) {
        int64_t n = windows_of(t, &t->part[i]);
        if (window < n) {
            add_window(&t->part[i], layer, window, n, count);
            return;
        }
        window -= n;
    }
}

/* ---- a placement's measures --------------------------------------------------------------- */

/* Loads of the fullest rank and of all. */
struct load {
    double most, sum;
};

static struct load rank_loads(const struct placement *p, int layer, const double *count,
                              double *rank) {
    struct load l = {0, 0};
    placement_rank_loads(p, layer, count, rank);
    for (int r = 0; r < p->grid.ranks; r++) {
        l.most = fmax(l.most, rank[r]);
        l.sum += rank[r];
    }
    return l;
}

static void measure_windows(const struct traffic *t, const struct placement *p, int layer,
                            struct traffic_measure *out, double *excess) {
    double *count = mem_array((size_t)p->experts, sizeof *count);
    double *rank = mem_array((size_t)p->grid.ranks, sizeof *rank);
    double ranks = p->grid.ranks;
    int64_t seen = 0;
    traffic_count(t, layer, count);
    struct load all = rank_loads(p, layer, count, rank);
    for (int64_t w = 0; w < t->windows; w++) {
        traffic_window(t, layer, w, count);
        struct load l = rank_loads(p, layer, count, rank);
        if (excess)
            excess[w] = l.sum > 0 ? l.most * ranks / l.sum - 1 : NAN;
        if (!(l.sum > 0))
            continue;
        out->excess += l.most * ranks / l.sum - 1;
        out->balancedness += l.sum / ranks / l.most;
        seen++;
    }
    out->max_over_mean = all.sum > 0 ? all.most * ranks / all.sum : NAN;
    out->excess = seen ? out->excess / (double)seen : NAN;
    out->balancedness = seen ? out->balancedness / (double)seen : NAN;
    free(count);
    free(rank);
}

/* share[experts][nodes]: of an expert's replicas, those that live on the node. */
static double *node_shares(const struct placement *p, int layer) {
    size_t nodes = (size_t)p->grid.nodes;
    double *share = mem_array((size_t)p->experts * nodes, sizeof *share);
    int32_t *replicas = mem_array((size_t)p->experts, sizeof *replicas);
    const int32_t *slot = placement_layer(p, layer);
    placement_replicas(p, layer, replicas);
    for (int s = 0; s < p->grid.slots; s++)
        share[(size_t)slot[s] * nodes + (size_t)(s / (p->grid.slots / p->grid.nodes))] +=
            1.0 / replicas[slot[s]];
    free(replicas);
    return share;
}

/* Expected distinct nodes: each is left out with the product of the chances that no expert of the
 * token draws it. */
static double token_nodes(const int16_t *expert, int k, const double *share, int nodes,
                          double *none) {
    double sum = 0;
    for (int n = 0; n < nodes; n++)
        none[n] = 1;
    for (int j = 0; j < k; j++)
        for (int n = 0; expert[j] >= 0 && n < nodes; n++)
            none[n] *= 1 - share[(size_t)expert[j] * (size_t)nodes + (size_t)n];
    for (int n = 0; n < nodes; n++)
        sum += 1 - none[n];
    return sum;
}

static double mean_nodes(const struct traffic *t, const struct placement *p, int layer) {
    int nodes = p->grid.nodes;
    double *share = node_shares(p, layer);
    double *none = mem_array((size_t)nodes, sizeof *none);
    double sum = 0;
    int64_t tokens = 0;
    for (int i = 0; i < t->parts; i++) {
        const struct traffic_part *part = &t->part[i];
        for (int64_t k = part->from; part->set && k < part->to; k++) {
            double n = token_nodes(routed_at(part->set, k, layer), part->set->model.k, share,
                                   nodes, none);
            sum += n;
            tokens += n > 0;
        }
    }
    free(share);
    free(none);
    return tokens ? sum / (double)tokens : NAN;
}

void traffic_measure(const struct traffic *t, const struct placement *p, int layer,
                     struct traffic_measure *out, double *excess) {
    *out = (struct traffic_measure){0};
    measure_windows(t, p, layer, out, excess);
    out->nodes_per_token = mean_nodes(t, p, layer);
}
