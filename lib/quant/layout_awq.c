/* layout_awq.c - the "gemm" version of AutoAWQ: words along the outputs, in an order of their own
 *
 * Symmetric matrices are stored with the zero that they have, for no reader takes this layout
 * without zeros.
 */
#include "lib/format/jsonw.h"
#include "lib/format/safetensors.h"
#include "lib/quant/layout_impl.h"

#define IN_WORD 8
static const int order[IN_WORD] = {0, 2, 4, 6, 1, 3, 5, 7};

static int check(const struct layout_scheme *s, struct err *err) {
    if (s->bits != 4)
        return err_set(err, "%d bits: the awq layout has only 4", s->bits);
    if (s->act_order)
        return err_set(err, "the awq layout has no order of columns");
    return 0;
}

static int fits(const struct layout_scheme *s, int64_t rows, int64_t cols) {
    return layout_whole_groups(s, cols) && layout_whole_words(s->bits, rows);
}

static int parts(const struct layout_scheme *s, int64_t rows, int64_t cols,
                 struct layout_part *part) {
    int64_t groups = layout_groups(s, cols);
    layout_part_set(part, LAYOUT_CODES, "qweight", ST_I32, cols, rows / IN_WORD);
    layout_part_set(part + 1, LAYOUT_ZEROS, "qzeros", ST_I32, groups, rows / IN_WORD);
    layout_part_set(part + 2, LAYOUT_SCALES, "scales", ST_F16, groups, rows);
    return 3;
}

/* Column c of code[rows][stride] as words of eight rows. */
static void put_column(const uint8_t *code, int64_t rows, int64_t stride, uint32_t *out) {
    for (int64_t r = 0; r < rows; r += IN_WORD) {
        uint32_t word = 0;
        for (int i = 0; i < IN_WORD; i++)
            word |= (uint32_t)code[(r + order[i]) * stride] << 4 * i;
        *out++ = word;
    }
}

static void pack(const struct grouped *g, const struct layout_part *part, void *out) {
    uint32_t *word = out;
    if (part->what == LAYOUT_CODES)
        for (int64_t c = 0; c < g->cols; c++)
            put_column(g->code + c, g->rows, g->cols, word + c * part->shape[1]);
    else if (part->what == LAYOUT_ZEROS)
        for (int64_t i = 0; i < g->groups; i++)
            put_column(g->zero + i, g->rows, g->groups, word + i * part->shape[1]);
    else
        layout_put_scales(g, 1, out);
}

static void config(const struct layout_config *c, struct buf *out) {
    jsonw_open(out, '{');
    jsonw_str(out, "quant_method", "awq");
    jsonw_str(out, "version", "gemm");
    jsonw_int(out, "bits", c->scheme.bits);
    jsonw_int(out, "group_size", c->scheme.group);
    jsonw_bool(out, "zero_point", 1);
    if (c->n_kept) {
        jsonw_open_key(out, "modules_to_not_convert", '[');
        for (int i = 0; i < c->n_kept; i++)
            jsonw_str(out, NULL, c->kept[i]);
        jsonw_close(out, ']');
    } else {
        jsonw_raw(out, "modules_to_not_convert", "null");
    }
    jsonw_close(out, '}');
}

const struct layout layout_awq = {.name = "awq", .check = check, .fits = fits, .parts = parts,
                                  .pack = pack, .config = config};
