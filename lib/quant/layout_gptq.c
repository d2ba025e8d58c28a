/* layout_gptq.c - the first checkpoint format of AutoGPTQ, which vLLM calls "gptq"
 *
 * Codes of 3 bits lie as in one string of bits: 32 of them in 3 words, the eleventh and the
 * twenty-second across two of these.
 */
#include "lib/format/jsonw.h"
#include "lib/format/safetensors.h"
#include "lib/quant/layout_impl.h"

static int check(const struct layout_scheme *s, struct err *err) {
    if (s->bits != 2 && s->bits != 3 && s->bits != 4 && s->bits != 8)
        return err_set(err, "%d bits: the gptq layout has 2, 3, 4 and 8", s->bits);
    return 0;
}

static int fits(const struct layout_scheme *s, int64_t rows, int64_t cols) {
    return layout_whole_groups(s, cols) && layout_whole_words(s->bits, cols) &&
           layout_whole_words(s->bits, rows);
}

static int parts(const struct layout_scheme *s, int64_t rows, int64_t cols,
                 struct layout_part *part) {
    int64_t groups = layout_groups(s, cols);
    layout_part_set(part, LAYOUT_CODES, "qweight", ST_I32, cols * s->bits / 32, rows);
    layout_part_set(part + 1, LAYOUT_ZEROS, "qzeros", ST_I32, groups, rows * s->bits / 32);
    layout_part_set(part + 2, LAYOUT_SCALES, "scales", ST_F16, groups, rows);
    layout_part_set(part + 3, LAYOUT_INDEX, "g_idx", ST_I32, cols, 0);
    return 4;
}

static void pack(const struct grouped *g, const struct layout_part *part, void *out) {
    uint32_t *word = out;
    if (part->what == LAYOUT_CODES)
        for (int64_t r = 0; r < g->rows; r++)
            layout_put_codes(g->code + r * g->cols, g->cols, 1, g->bits, 0, word + r, g->rows);
    else if (part->what == LAYOUT_ZEROS)
        for (int64_t i = 0; i < g->groups; i++)
            layout_put_codes(g->zero + i, g->rows, g->groups, g->bits, 1,
                             word + i * part->shape[1], 1);
    else if (part->what == LAYOUT_SCALES)
        layout_put_scales(g, 1, out);
    else
        layout_put_index(g, out);
}

/* Rules by regular expressions of names, of which those with "-:" leave a module as it is. */
static void dynamic(const struct layout_config *c, struct buf *out) {
    jsonw_open_key(out, "dynamic", '{');
    for (int i = 0; i < c->n_kept; i++) {
        struct buf rule = {0};
        buf_adds(&rule, "-:^");
        for (const char *p = c->kept[i]; *p; p++) {
            if (*p == '.')
                buf_addc(&rule, '\\');
            buf_addc(&rule, *p);
        }
        buf_addc(&rule, '$');
        jsonw_open_key(out, rule.data, '{');
        jsonw_close(out, '}');
        buf_free(&rule);
    }
    jsonw_close(out, '}');
}

static void config(const struct layout_config *c, struct buf *out) {
    jsonw_open(out, '{');
    jsonw_str(out, "quant_method", "gptq");
    jsonw_str(out, "checkpoint_format", "gptq");
    jsonw_int(out, "bits", c->scheme.bits);
    jsonw_int(out, "group_size", c->scheme.group);
    jsonw_bool(out, "desc_act", c->scheme.act_order);
    jsonw_bool(out, "sym", c->scheme.symmetric);
    jsonw_bool(out, "static_groups", 0);
    jsonw_bool(out, "true_sequential", 1);
    if (c->damp > 0)
        jsonw_float(out, "damp_percent", c->damp);
    jsonw_bool(out, "lm_head", 0);
    if (c->n_kept)
        dynamic(c, out);
    jsonw_close(out, '}');
}

const struct layout layout_gptq = {.name = "gptq", .check = check, .fits = fits, .parts = parts,
                                   .pack = pack, .config = config};
