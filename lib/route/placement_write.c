/* placement_write.c - placements as JSON, see placement_json.h */
#include "lib/route/placement_json.h"

#include <stdlib.h>

#include "lib/format/jsonw.h"
#include "lib/format/zio.h"

const char *const placement_forms[] = {"full", "sglang", "vllm", "vllm-ascend", NULL};

static void add_row(struct buf *out, const int32_t *x, int n) {
    jsonw_open(out, '[');
    for (int i = 0; i < n; i++)
        jsonw_int(out, NULL, x[i]);
    jsonw_close(out, ']');
}

static void add_rows(struct buf *out, const struct placement *p) {
    for (int i = 0; i < p->layers; i++)
        add_row(out, placement_layer(p, i), p->grid.slots);
}

/* ---- full --------------------------------------------------------------------------------- */

static void add_logical(struct buf *out, const struct placement *p) {
    int most;
    int32_t *at = placement_logical(p, &most);
    const int32_t *row = at;
    jsonw_open_key(out, "logical_to_physical_map", '[');
    for (int i = 0; i < p->layers; i++) {
        jsonw_open(out, '[');
        for (int e = 0; e < p->experts; e++, row += most)
            add_row(out, row, most);
        jsonw_close(out, ']');
    }
    jsonw_close(out, ']');
    free(at);
}

static void add_counts(struct buf *out, const struct placement *p) {
    int32_t *count = mem_array((size_t)p->experts, sizeof *count);
    jsonw_open_key(out, "logical_replica_count", '[');
    for (int i = 0; i < p->layers; i++) {
        placement_replicas(p, i, count);
        add_row(out, count, p->experts);
    }
    jsonw_close(out, ']');
    free(count);
}

static void add_full(struct buf *out, const struct placement *p) {
    jsonw_open(out, '{');
    jsonw_open_key(out, "physical_to_logical_map", '[');
    add_rows(out, p);
    jsonw_close(out, ']');
    add_logical(out, p);
    add_counts(out, p);
    jsonw_open_key(out, "layer_index", '[');
    for (int i = 0; i < p->layers; i++)
        jsonw_int(out, NULL, p->layer_index[i]);
    jsonw_close(out, ']');
    jsonw_int(out, "experts", p->experts);
    jsonw_int(out, "ranks", p->grid.ranks);
    jsonw_int(out, "nodes", p->grid.nodes);
    jsonw_close(out, '}');
}

/* ---- of engines --------------------------------------------------------------------------- */

/* Layers that p does not have get what SGLang starts with. */
static void add_sglang(struct buf *out, const struct placement *p, int model_layers) {
    struct placement *rest = placement_identity(1, p->experts, &p->grid);
    for (int i = 0; i < p->layers; i++)
        if (p->layer_index[i] >= model_layers)
            model_layers = p->layer_index[i] + 1;
    jsonw_open(out, '{');
    jsonw_open_key(out, "physical_to_logical_map", '[');
    for (int layer = 0; layer < model_layers; layer++) {
        const int32_t *row = rest->slot;
        for (int i = 0; i < p->layers; i++)
            if (p->layer_index[i] == layer)
                row = placement_layer(p, i);
        add_row(out, row, p->grid.slots);
    }
    jsonw_close(out, ']');
    jsonw_close(out, '}');
    placement_free(rest);
}

static void add_ascend(struct buf *out, const struct placement *p) {
    int each = p->grid.slots / p->grid.ranks;
    jsonw_open(out, '{');
    jsonw_int(out, "moe_layer_count", p->layers);
    jsonw_open_key(out, "layer_list", '[');
    for (int i = 0; i < p->layers; i++) {
        jsonw_open(out, '{');
        jsonw_int(out, "layer_id", i);
        jsonw_int(out, "device_count", p->grid.ranks);
        jsonw_open_key(out, "device_list", '[');
        for (int r = 0; r < p->grid.ranks; r++) {
            jsonw_open(out, '{');
            jsonw_int(out, "device_id", r);
            jsonw_open_key(out, "device_expert", '[');
            for (int s = r * each; s < (r + 1) * each; s++)
                jsonw_int(out, NULL, placement_layer(p, i)[s]);
            jsonw_close(out, ']');
            jsonw_close(out, '}');
        }
        jsonw_close(out, ']');
        jsonw_close(out, '}');
    }
    jsonw_close(out, ']');
    jsonw_close(out, '}');
}

void placement_text(const struct placement *p, enum placement_form form, int model_layers,
                    struct buf *out) {
    switch (form) {
    case PLACEMENT_FULL:
        add_full(out, p);
        break;
    case PLACEMENT_SGLANG:
        add_sglang(out, p, model_layers);
        break;
    case PLACEMENT_VLLM:
        jsonw_open(out, '[');
        add_rows(out, p);
        jsonw_close(out, ']');
        break;
    case PLACEMENT_VLLM_ASCEND:
        add_ascend(out, p);
        break;
    }
}

int placement_write(const struct placement *p, enum placement_form form, int model_layers,
                    const char *path, struct err *err) {
    struct buf text = {0};
    struct zio *z = zio_open_write(path, err);
    if (!z)
        return -1;
    placement_text(p, form, model_layers, &text);
    buf_addc(&text, '\n');
    int rc = zio_write(z, text.data, text.len, err);
    buf_free(&text);
    if (rc) {
        zio_abort(z);
        return -1;
    }
    return zio_close(z, err);
}
