/* layout.c - the table of layouts and what they share, see layout.h and layout_impl.h */
#include "lib/quant/layout.h"

#include <string.h>

#include "kernels/blocks.h"
#include "lib/format/safetensors.h"
#include "lib/quant/layout_impl.h"

static const struct layout *const layouts[] = {&layout_gptq, &layout_awq, &layout_ct};
#define LAYOUTS (sizeof layouts / sizeof layouts[0])

const struct layout *layout_find(const char *name) {
    for (size_t i = 0; i < LAYOUTS; i++)
        if (!strcmp(layouts[i]->name, name))
            return layouts[i];
    return NULL;
}

/* ---- sizes ------------------------------------------------------------------------------ */

int64_t layout_groups(const struct layout_scheme *s, int64_t cols) {
    return s->group < 0 ? 1 : (cols + s->group - 1) / s->group;
}

int layout_whole_words(int bits, int64_t n) {
    return n > 0 && n * bits % 32 == 0;
}

int layout_whole_groups(const struct layout_scheme *s, int64_t cols) {
    return cols > 0 && (s->group < 0 || cols % s->group == 0);
}

void layout_part_set(struct layout_part *p, enum layout_what what, const char *suffix, int dtype,
                     int64_t shape0, int64_t shape1) {
    *p = (struct layout_part){.what = what, .suffix = suffix, .dtype = dtype, .dims = 1,
                              .shape = {shape0, 1}};
    if (shape1) {
        p->dims = 2;
        p->shape[1] = shape1;
    }
    p->bytes = (size_t)(p->shape[0] * p->shape[1]) * st_dtype_bytes(dtype);
}

/* ---- contents --------------------------------------------------------------------------- */

void layout_put_codes(const uint8_t *code, int64_t n, int64_t stride, int bits, int less,
                      uint32_t *out, int64_t out_stride) {
    uint32_t mask = (1u << bits) - 1;
    uint64_t pending = 0;
    int filled = 0;
    for (int64_t i = 0; i < n; i++) {
        pending |= (uint64_t)((uint32_t)(code[i * stride] - less) & mask) << filled;
        filled += bits;
        if (filled >= 32) {
            *out = (uint32_t)pending;
            out += out_stride;
            pending >>= 32;
            filled -= 32;
        }
    }
    if (filled)
        *out = (uint32_t)pending;
}

void layout_put_scales(const struct grouped *g, int by_group, uint16_t *out) {
    for (int64_t r = 0; r < g->rows; r++)
        for (int64_t i = 0; i < g->groups; i++)
            out[by_group ? i * g->rows + r : r * g->groups + i] =
                block_to_half(g->scale[r * g->groups + i]);
}

void layout_put_index(const struct grouped *g, int32_t *out) {
    for (int64_t c = 0; c < g->cols; c++)
        out[c] = g->index ? g->index[c] : (int32_t)(c / g->group);
}
