/* placement_moves.c - what it takes to go from one placement to another, and how to take less
 *
 * Ranks of a placement are sets of experts, and it does not matter which device holds which set as
 * long as the sets of a node stay together. So placement_match looks for the devices on which most
 * of each set already is: one assignment of ranks for each pair of an old and a new node, whose
 * cost is that pair's in one assignment of nodes.
 */
#include "lib/route/placement.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/assign.h"

int placement_comparable(const struct placement *from, const struct placement *to,
                         struct err *err) {
    if (from->layers != to->layers || from->experts != to->experts)
        return err_set(err, "%d layers of %d experts against %d of %d", from->layers,
                       from->experts, to->layers, to->experts);
    if (from->grid.ranks != to->grid.ranks || from->grid.nodes != to->grid.nodes)
        return err_set(err, "%d ranks on %d nodes against %d on %d", from->grid.ranks,
                       from->grid.nodes, to->grid.ranks, to->grid.nodes);
    for (int i = 0; i < from->layers; i++)
        if (from->layer_index[i] != to->layer_index[i])
            return err_set(err, "layer %d against layer %d", from->layer_index[i],
                           to->layer_index[i]);
    return 0;
}

/* ---- sets of experts ---------------------------------------------------------------------- */

/* Which experts are in a set: those marked with its number. Numbers are never used again. */
struct marks {
    int32_t *mark;              /* [experts] */
    int32_t *seen;              /* [experts] */
    int32_t set, pass;
};

static void mark_slots(struct marks *m, const int32_t *slot, int n) {
    m->set++;
    for (int i = 0; i < n; i++)
        m->mark[slot[i]] = m->set;
}

/* Experts of these slots that are not in the set, each once. */
static int count_missing(struct marks *m, const int32_t *slot, int n) {
    int missing = 0;
    m->pass++;
    for (int i = 0; i < n; i++) {
        if (m->mark[slot[i]] == m->set || m->seen[slot[i]] == m->pass)
            continue;
        m->seen[slot[i]] = m->pass;
        missing++;
    }
    return missing;
}

static struct marks open_marks(int experts) {
    return (struct marks){.mark = mem_array((size_t)experts, sizeof(int32_t)),
                          .seen = mem_array((size_t)experts, sizeof(int32_t))};
}

static void close_marks(struct marks *m) {
    free(m->mark);
    free(m->seen);
}

/* ---- moves -------------------------------------------------------------------------------- */

/* A layer of both. */
struct pair {
    const int32_t *old, *new;   /* slots */
    int ranks, nodes;
    int old_each, new_each;     /* slots of a rank */
};

static struct pair pair_of(const struct placement *from, const struct placement *to, int layer) {
    const struct placement_grid *g = &from->grid;
    return (struct pair){.old = placement_layer(from, layer),
                         .new = placement_layer(to, layer), .ranks = g->ranks, .nodes = g->nodes,
                         .old_each = g->slots / g->ranks, .new_each = to->grid.slots / g->ranks};
}

static void add_moves(const struct pair *p, struct marks *m, int64_t *slots, int64_t *far) {
    int each = p->ranks / p->nodes;
    for (int r = 0; r < p->ranks; r++) {
        const int32_t *new = p->new + r * p->new_each;
        mark_slots(m, p->old + r * p->old_each, p->old_each);
        *slots += count_missing(m, new, p->new_each);
        mark_slots(m, p->old + r / each * each * p->old_each, each * p->old_each);
        *far += count_missing(m, new, p->new_each);
    }
}

struct placement_moves placement_moves(const struct placement *from, const struct placement *to,
                                       const double *expert_bytes, int64_t *layer) {
    struct placement_moves sum = {0};
    struct marks m = open_marks(from->experts);
    for (int i = 0; i < from->layers; i++) {
        struct pair p = pair_of(from, to, i);
        int64_t slots = 0;
        int64_t far = 0;
        add_moves(&p, &m, &slots, &far);
        sum.slots += slots;
        sum.far += far;
        if (expert_bytes) {
            sum.bytes += (double)slots * expert_bytes[i];
            sum.far_bytes += (double)far * expert_bytes[i];
        }
        if (layer)
            layer[i] = slots;
    }
    close_marks(&m);
    return sum;
}

/* ---- matching ----------------------------------------------------------------------------- */

struct match {
    struct marks marks;
    int64_t *cost;              /* [ranks of new][ranks of old] */
    int64_t *block;             /* [ranks of a node][...] those of two nodes */
    int64_t *node_cost;         /* [nodes of new][nodes of old] */
    int32_t *rank;              /* [nodes of new][nodes of old][ranks of a node]: which of the old
                                 * node's ranks each of the new's takes */
    int32_t *node;              /* [nodes of new] */
    int32_t *slot, *replica;    /* [slots] as they come to stand */
};

/* One expert fetched outweighs all that could be far. */
static void fill_costs(struct match *m, const struct pair *p) {
    int64_t weight = (int64_t)p->ranks * p->new_each + 1;
    int each = p->ranks / p->nodes;
    for (int a = 0; a < p->ranks; a++) {
        mark_slots(&m->marks, p->old + a * p->old_each, p->old_each);
        for (int b = 0; b < p->ranks; b++)
            m->cost[(int64_t)b * p->ranks + a] =
                weight * count_missing(&m->marks, p->new + b * p->new_each, p->new_each);
    }
    for (int node = 0; node < p->nodes; node++) {
        mark_slots(&m->marks, p->old + node * each * p->old_each, each * p->old_each);
        for (int b = 0; b < p->ranks; b++) {
            int far = count_missing(&m->marks, p->new + b * p->new_each, p->new_each);
            for (int a = node * each; a < (node + 1) * each; a++)
                m->cost[(int64_t)b * p->ranks + a] += far;
        }
    }
}

static void match_nodes(struct match *m, const struct pair *p) {
    int each = p->ranks / p->nodes;
    for (int b = 0; b < p->nodes; b++)
        for (int a = 0; a < p->nodes; a++) {
            for (int i = 0; i < each; i++)
                memcpy(m->block + i * each,
                       m->cost + (int64_t)(b * each + i) * p->ranks + a * each,
                       (size_t)each * sizeof *m->block);
            m->node_cost[b * p->nodes + a] =
                assign_least(m->block, each, m->rank + (b * p->nodes + a) * each);
        }
    assign_least(m->node_cost, p->nodes, m->node);
}

/* The new rank's slots as the old one has them where it holds the same, the rest in order. */
static void settle(const struct pair *p, const int32_t *old, const int32_t *new,
                   const int32_t *replica, int32_t *slot, int32_t *number) {
    int n = p->new_each;
    int keep = p->old_each == n;
    char *taken = mem_alloc((size_t)n);
    for (int s = 0; s < n; s++) {
        slot[s] = -1;
        for (int i = 0; i < n && keep && slot[s] < 0; i++) {
            if (taken[i] || new[i] != old[s])
                continue;
            taken[i] = 1;
            slot[s] = new[i];
            number[s] = replica ? replica[i] : 0;
        }
    }
    for (int s = 0, i = 0; s < n; s++) {
        if (slot[s] >= 0)
            continue;
        while (taken[i])
            i++;
        slot[s] = new[i];
        number[s] = replica ? replica[i] : 0;
        i++;
    }
    free(taken);
}

static void renumber(struct match *m, const struct pair *p, struct placement *to, int layer) {
    int each = p->ranks / p->nodes;
    size_t slots = (size_t)to->grid.slots;
    int32_t *replica = to->replica ? to->replica + (size_t)layer * slots : NULL;
    for (int b = 0; b < p->ranks; b++) {
        int node = b / each;
        int old_node = m->node[node];
        int a = old_node * each + m->rank[(node * p->nodes + old_node) * each + b % each];
        settle(p, p->old + a * p->old_each, p->new + b * p->new_each,
               replica ? replica + b * p->new_each : NULL, m->slot + a * p->new_each,
               m->replica + a * p->new_each);
    }
    memcpy(placement_layer(to, layer), m->slot, slots * sizeof *m->slot);
    if (replica)
        memcpy(replica, m->replica, slots * sizeof *m->replica);
}

static void match_layer(const struct placement *from, struct placement *to, int layer) {
    struct pair p = pair_of(from, to, layer);
    size_t ranks = (size_t)p.ranks;
    size_t nodes = (size_t)p.nodes;
    size_t each = ranks / nodes;
    size_t slots = (size_t)to->grid.slots;
    struct match m = {.marks = open_marks(from->experts),
        .cost = mem_array(ranks * ranks, sizeof(int64_t)),
        .block = mem_array(each * each, sizeof(int64_t)),
        .node_cost = mem_array(nodes * nodes, sizeof(int64_t)),
        .rank = mem_array(nodes * ranks, sizeof(int32_t)),
        .node = mem_array(nodes, sizeof(int32_t)), .slot = mem_array(slots, sizeof(int32_t)),
        .replica = mem_array(slots, sizeof(int32_t))};
    fill_costs(&m, &p);
    match_nodes(&m, &p);
    renumber(&m, &p, to, layer);
    close_marks(&m.marks);
    free(m.cost);
    free(m.block);
    free(m.node_cost);
    free(m.rank);
    free(m.node);
    free(m.slot);
    free(m.replica);
}

void placement_match(const struct placement *from, struct placement *to) {
    for (int i = 0; i < from->layers; i++)
        match_layer(from, to, i);
}
