/* layout_ct.c - "pack-quantized" of compressed-tensors
 *
 * Its codes are signed, and packed with 2^(bits-1) added, which gives ours back; zeros alike. An
 * index of groups is read by versions up to 0.19 (August 2026); later ones refuse it by name.
 */
#include "lib/format/jsonw.h"
#include "lib/format/safetensors.h"
#include "lib/quant/layout_impl.h"

static int check(const struct layout_scheme *s, struct err *err) {
    if (s->bits != 4 && s->bits != 8)
        return err_set(err, "%d bits: readers of compressed-tensors take 4 and 8", s->bits);
    return 0;
}

static int fits(const struct layout_scheme *s, int64_t rows, int64_t cols) {
    return layout_whole_groups(s, cols) && layout_whole_words(s->bits, cols) &&
           (s->symmetric || layout_whole_words(s->bits, rows));
}

static int parts(const struct layout_scheme *s, int64_t rows, int64_t cols,
                 struct layout_part *part) {
    int64_t groups = layout_groups(s, cols);
    int n = 0;
    layout_part_set(part + n++, LAYOUT_CODES, "weight_packed", ST_I32, rows, cols * s->bits / 32);
    layout_part_set(part + n++, LAYOUT_SCALES, "weight_scale", ST_F16, rows, groups);
    if (!s->symmetric)
        layout_part_set(part + n++, LAYOUT_ZEROS, "weight_zero_point", ST_I32,
                        rows * s->bits / 32, groups);
    if (s->act_order)
        layout_part_set(part + n++, LAYOUT_INDEX, "weight_g_idx", ST_I32, cols, 0);
    layout_part_set(part + n++, LAYOUT_SHAPE, "weight_shape", ST_I64, 2, 0);
    return n;
}

static void pack(const struct grouped *g, const struct layout_part *part, void *out) {
    uint32_t *word = out;
    if (part->what == LAYOUT_CODES)
        for (int64_t r = 0; r < g->rows; r++)
            layout_put_codes(g->code + r * g->cols, g->cols, 1, g->bits, 0,
                             word + r * part->shape[1], 1);
    else if (part->what == LAYOUT_ZEROS)
        for (int64_t i = 0; i < g->groups; i++)
            layout_put_codes(g->zero + i, g->rows, g->groups, g->bits, 0, word + i, g->groups);
    else if (part->what == LAYOUT_SCALES)
        layout_put_scales(g, 0, out);
    else if (part->what == LAYOUT_INDEX)
        layout_put_index(g, out);
    else
        for (int i = 0; i < 2; i++)
            ((int64_t *)out)[i] = i ? g->cols : g->rows;
}

static void weights(const struct layout_scheme *s, struct buf *out) {
    jsonw_open_key(out, "weights", '{');
    jsonw_int(out, "num_bits", s->bits);
    jsonw_str(out, "type", "int");
    jsonw_bool(out, "symmetric", s->symmetric);
    jsonw_str(out, "strategy", s->group < 0 ? "channel" : "group");
    if (s->group < 0)
        jsonw_raw(out, "group_size", "null");
    else
        jsonw_int(out, "group_size", s->group);
    jsonw_str(out, "actorder", s->act_order ? "group" : NULL);
    jsonw_bool(out, "dynamic", 0);
    jsonw_close(out, '}');
}

static void config(const struct layout_config *c, struct buf *out) {
    jsonw_open(out, '{');
    jsonw_str(out, "quant_method", "compressed-tensors");
    jsonw_str(out, "format", "pack-quantized");
    jsonw_str(out, "quantization_status", "compressed");
    jsonw_open_key(out, "config_groups", '{');
    jsonw_open_key(out, "group_0", '{');
    jsonw_open_key(out, "targets", '[');
    jsonw_str(out, NULL, "Linear");
    jsonw_close(out, ']');
    weights(&c->scheme, out);
    jsonw_raw(out, "input_activations", "null");
    jsonw_raw(out, "output_activations", "null");
    jsonw_close(out, '}');
    jsonw_close(out, '}');
    jsonw_open_key(out, "ignore", '[');
    for (int i = 0; i < c->n_kept; i++)
        jsonw_str(out, NULL, c->kept[i]);
    jsonw_close(out, ']');
    jsonw_raw(out, "kv_cache_scheme", "null");
    jsonw_close(out, '}');
}

const struct layout layout_ct = {.name = "compressed-tensors", .check = check, .fits = fits,
                                 .parts = parts, .pack = pack, .config = config};
