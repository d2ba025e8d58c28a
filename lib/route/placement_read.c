/* placement_read.c - whether what a text says is a placement, see placement_json.h */
#include "lib/route/placement_json.h"

#include <stdlib.h>
#include <string.h>

#include "lib/format/zio.h"
#include "lib/route/placement_impl.h"

/* What the file says (0: nothing) and what is asked for (0: anything) as one. */
static int agree(struct reading *r, int64_t *said, int64_t asked, const char *what,
                 struct err *err) {
    if (*said && asked && *said != asked)
        return err_set(err, "%s: %lld %s, expected %lld", r->path, (long long)*said, what,
                       (long long)asked);
    if (!*said)
        *said = asked;
    return 0;
}

static int64_t largest(const struct rows *rows) {
    int64_t most = -1;
    for (size_t i = 0; i < rows->used; i++)
        if (rows->x[i] > most)
            most = rows->x[i];
    return most;
}

static int settle_shape(struct reading *r, const struct placement_grid *asked, int experts,
                        struct err *err) {
    int64_t slots = r->map.width;
    r->layers = r->map.n;
    if (r->layers < 1 || slots < 1)
        return err_set(err, "%s: no slots: expected a row for each layer", r->path);
    if (agree(r, &slots, asked->slots, "slots", err) ||
        agree(r, &r->ranks, asked->ranks, "ranks", err) ||
        agree(r, &r->nodes, asked->nodes, "nodes", err))
        return -1;
    if (!r->ranks)
        return err_set(err, "%s: how many ranks it is for is not said", r->path);
    if (!r->nodes)
        r->nodes = 1;
    if (!r->experts && r->count.wide)
        r->experts = r->count.width;
    if (!r->experts && r->logical.wide)
        r->experts = r->logical.n / r->layers;
    if (agree(r, &r->experts, experts, "experts", err))
        return -1;
    if (!r->experts)
        r->experts = largest(&r->map) + 1;
    struct placement_grid grid = {(int)r->ranks, (int)r->nodes, (int)slots};
    if (r->experts > PLACEMENT_SLOTS_MOST)
        return err_set(err, "%s: %lld experts: at most %d", r->path, (long long)r->experts,
                       PLACEMENT_SLOTS_MOST);
    if (placement_grid_check(&grid, (int)r->experts, err))
        return err_prefix(err, "%s", r->path);
    return 0;
}

static int check_layer(const struct reading *r, const struct placement *p, int layer,
                       struct err *err) {
    const int32_t *slot = placement_layer(p, layer);
    for (int s = 0; s < p->grid.slots; s++)
        if (slot[s] >= p->experts)
            return err_set(err, "%s: layer %d slot %d: expert %d of %d", r->path,
                           p->layer_index[layer], s, slot[s], p->experts);
    return 0;
}

static int check_replicas(const struct reading *r, const struct placement *p, int layer,
                          const int32_t *count, struct err *err) {
    const int32_t *said = r->count.x ? r->count.x + (int64_t)layer * p->experts : NULL;
    for (int e = 0; e < p->experts; e++) {
        if (!count[e])
            return err_set(err, "%s: layer %d: no slot holds expert %d", r->path,
                           p->layer_index[layer], e);
        if (said && said[e] != count[e])
            return err_set(err, "%s: layer %d expert %d: logical_replica_count %d, but %d slots",
                           r->path, p->layer_index[layer], e, said[e], count[e]);
    }
    return 0;
}

/* Numbers the replicas of a layer as logical_to_physical_map has them. */
static int take_numbers(const struct reading *r, struct placement *p, int layer,
                        const int32_t *count, struct err *err) {
    int most = r->logical.width;
    const int32_t *slot = placement_layer(p, layer);
    int32_t *replica = p->replica + (int64_t)layer * p->grid.slots;
    memset(replica, -1, (size_t)p->grid.slots * sizeof *replica);
    for (int e = 0; e < p->experts; e++) {
        const int32_t *at = r->logical.x + ((int64_t)layer * p->experts + e) * most;
        for (int k = 0; k < most; k++) {
            int32_t s = at[k];
            if ((s < 0) != (k >= count[e]) ||
                (s >= 0 && (s >= p->grid.slots || slot[s] != e || replica[s] >= 0)))
                return err_set(err, "%s: layer %d expert %d: logical_to_physical_map contradicts "
                               "physical_to_logical_map", r->path, p->layer_index[layer], e);
            if (s >= 0)
                replica[s] = k;
        }
        if (count[e] > most)
            return err_set(err, "%s: layer %d expert %d: logical_to_physical_map lacks a replica",
                           r->path, p->layer_index[layer], e);
    }
    return 0;
}

/* The other maps have as many layers and experts as the first one. */
static int check_shapes(const struct reading *r, const struct placement *p, struct err *err) {
    if (r->count.wide && (r->count.n != p->layers || r->count.width != p->experts))
        return err_set(err, "%s: logical_replica_count is [%d][%d], expected [%d][%d]", r->path,
                       r->count.n, r->count.width, p->layers, p->experts);
    if (r->logical.wide && r->logical.n != (int64_t)p->layers * p->experts)
        return err_set(err, "%s: logical_to_physical_map has %d rows, expected %d x %d", r->path,
                       r->logical.n, p->layers, p->experts);
    if (r->index.wide && r->index.width != p->layers)
        return err_set(err, "%s: layer_index has %d layers, expected %d", r->path, r->index.width,
                       p->layers);
    for (int i = 1; i < r->index.width; i++)
        if (r->index.x[i] <= r->index.x[i - 1])
            return err_set(err, "%s: layer_index: %d after %d, expected a larger one", r->path,
                           r->index.x[i], r->index.x[i - 1]);
    return 0;
}

static int fill(const struct reading *r, struct placement *p, struct err *err) {
    int rc = 0;
    if (check_shapes(r, p, err))
        return -1;
    int32_t *count = mem_array((size_t)p->experts, sizeof *count);
    memcpy(p->slot, r->map.x, r->map.used * sizeof *p->slot);
    p->counted = !r->index.wide;
    if (r->index.wide)
        memcpy(p->layer_index, r->index.x, r->index.used * sizeof *p->layer_index);
    if (r->logical.wide)
        p->replica = mem_array(r->map.used, sizeof *p->replica);
    for (int i = 0; i < p->layers && !rc; i++) {
        rc = check_layer(r, p, i, err);
        if (rc)
            break;
        placement_replicas(p, i, count);
        rc = check_replicas(r, p, i, count, err);
        if (!rc && p->replica)
            rc = take_numbers(r, p, i, count, err);
    }
    free(count);
    return rc;
}

static struct placement *make_placement(struct reading *r, const struct placement_grid *asked,
                                        int experts, struct err *err) {
    if (settle_shape(r, asked, experts, err))
        return NULL;
    struct placement_grid grid = {(int)r->ranks, (int)r->nodes, r->map.width};
    struct placement *p = placement_new((int)r->layers, (int)r->experts, &grid);
    if (!fill(r, p, err))
        return p;
    placement_free(p);
    return NULL;
}

struct placement *placement_read(const char *path, const struct placement_grid *grid, int experts,
                                 struct err *err) {
    struct buf text = {0};
    struct placement *p = NULL;
    if (zio_read_all(path, &text, err))
        return NULL;
    buf_add(&text, "\n", 1);
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.data[i] == '\n')
            text.data[i] = ' ';
    buf_reserve(&text, JSON_PAD);
    memset(text.data + text.len, 0, JSON_PAD);
    struct reading r = {.j.at = text.data, .path = strcmp(path, "-") ? path : "stdin",
                        .text = text.data};
    if (!placement_parse(&r, err))
        p = make_placement(&r, grid, experts, err);
    free(r.map.x);
    free(r.logical.x);
    free(r.count.x);
    free(r.index.x);
    buf_free(&text);
    return p;
}
