/* pack.c - weights laid out for the matrix products: panels of 16 rows, units side by side
 *
 * A permutation of the file's bytes (kern.h, kern_pack): in a panel every unit of a block lies
 * in 16 rows next to each other, so that one 64-byte load holds the same four values of k of 16
 * rows, which is what integer dot products take, and a thread reads one stream.
 */
#include "kernels/blocks.h"
#include "kernels/kern.h"
#include "kernels/qmm.h"

/* The fields of a block in file order: count units of unit bytes each; unit 0 ends the list. */
#define FIELDS 4
struct field {
    uint8_t unit, count;
};

static const struct field fields[KERN_TYPES][FIELDS + 1] = {
    [KERN_F32] = {{4, 1}},
    [KERN_F16] = {{2, 1}},
    [KERN_BF16] = {{4, 1}},
    [KERN_Q4_0] = {{2, 1}, {4, 4}},
    [KERN_Q4_1] = {{4, 1}, {4, 4}},
    [KERN_Q5_0] = {{2, 1}, {4, 1}, {4, 4}},
    [KERN_Q5_1] = {{4, 1}, {4, 1}, {4, 4}},
    [KERN_Q8_0] = {{2, 1}, {4, 8}},
    [KERN_Q2_K] = {{4, 4}, {4, 16}, {4, 1}},
    [KERN_Q3_K] = {{4, 8}, {4, 16}, {4, 3}, {2, 1}},
    [KERN_Q4_K] = {{4, 1}, {4, 3}, {4, 32}},
    [KERN_Q5_K] = {{4, 1}, {4, 3}, {4, 8}, {4, 32}},
    [KERN_Q6_K] = {{4, 32}, {4, 16}, {4, 4}, {2, 1}},
    [KERN_IQ4_NL] = {{2, 1}, {4, 4}},
    [KERN_IQ4_XS] = {{4, 1}, {4, 1}, {4, 32}},
    [KERN_TQ2_0] = {{4, 16}, {2, 1}},
    [KERN_MXFP4] = {{1, 1}, {4, 4}},
};

/* A packed block: BF16 goes by pairs of k, the last one padded with zero when k is odd. */
static size_t block_bytes(int type) {
    return type == KERN_BF16 ? 4 : (size_t)kern_type_info(type)->bytes;
}

static int64_t row_blocks(int type, int64_t cols) {
    int per = type == KERN_BF16 ? 2 : kern_type_info(type)->block;
    return (cols + per - 1) / per;
}

size_t qmm_panel_bytes(int type, int64_t cols) {
    return (size_t)row_blocks(type, cols) * block_bytes(type) * KERN_PANEL;
}

size_t kern_pack_bytes(int type, int64_t rows, int64_t cols) {
    size_t panels = (size_t)((rows + KERN_PANEL - 1) / KERN_PANEL);
    return panels * qmm_panel_bytes(type, cols);
}

/* One field of one block of a full panel. The 16 rows are `stride` bytes apart. */
static uint8_t *pack_units(struct field f, const uint8_t *src, size_t stride, uint8_t *dst) {
    size_t unit = f.unit;
    for (int u = 0; u < f.count; u++, src += unit) {
        const uint8_t *p = src;
        for (int r = 0; r < KERN_PANEL; r++, p += stride, dst += unit) {
            /* constant sizes become single moves */
            if (unit == 4)
                memcpy(dst, p, 4);
            else if (unit == 2)
                memcpy(dst, p, 2);
            else
                *dst = *p;
        }
    }
    return dst;
}

/* `blocks` blocks of 16 rows that are all there. */
static void pack_full(int type, int64_t blocks, const uint8_t *src, size_t stride, uint8_t *dst) {
    for (int64_t b = 0; b < blocks; b++)
        for (const struct field *f = fields[type]; f->unit; f++) {
            dst = pack_units(*f, src, stride, dst);
            src += (size_t)f->unit * f->count;
        }
}

/* A copy of bytes of one row to its place r in blocks of a panel. */
static void row_scatter(int type, const uint8_t *src, size_t bytes, int r, uint8_t *panel) {
    for (size_t at = 0; at < bytes;)
        for (const struct field *f = fields[type]; f->unit; f++)
            for (int u = 0; u < f->count; u++) {
                size_t left = bytes - at;
                size_t n = f->unit < left ? f->unit : left;
                memcpy(panel + (size_t)r * f->unit, src + at, n);
                panel += (size_t)KERN_PANEL * f->unit;
                at += n;
            }
}

const uint8_t *qmm_row_block(int type, const uint8_t *panel, int r, uint8_t *dst) {
    for (const struct field *f = fields[type]; f->unit; f++)
        for (int u = 0; u < f->count; u++) {
            memcpy(dst, panel + (size_t)r * f->unit, f->unit);
            panel += (size_t)KERN_PANEL * f->unit;
            dst += f->unit;
        }
    return panel;
}

void kern_pack(int type, int64_t rows, int64_t cols, const void *src, void *dst, int64_t panel0,
               int64_t panel1) {
    size_t stride = kern_row_bytes(type, cols);
    size_t panel_bytes = qmm_panel_bytes(type, cols);
    int64_t blocks = row_blocks(type, cols);
    int whole = (size_t)blocks * block_bytes(type) == stride;
    for (int64_t panel = panel0; panel < panel1; panel++) {
        int64_t row = panel * KERN_PANEL;
        const uint8_t *from = (const uint8_t *)src + (size_t)row * stride;
        uint8_t *to = (uint8_t *)dst + (size_t)panel * panel_bytes;
        if (whole && rows - row >= KERN_PANEL) {
            pack_full(type, blocks, from, stride, to);
            continue;
        }
        memset(to, 0, panel_bytes);
        for (int r = 0; r < KERN_PANEL && row + r < rows; r++)
            row_scatter(type, from + (size_t)r * stride, stride, r, to);
    }
}

static const uint8_t *file_row(const struct kern_weight *w, int64_t mat, int64_t row) {
    return (const uint8_t *)w->data + (size_t)mat * w->mat_bytes +
           (size_t)row * kern_row_bytes(w->type, w->cols);
}

void kern_weight_row(const struct kern_weight *w, int64_t mat, int64_t row, float *dst) {
    if (w->layout == KERN_FILE) {
        kern_dequantize(w->type, file_row(w, mat, row), dst, w->cols);
        return;
    }
    const uint8_t *panel = (const uint8_t *)w->data + (size_t)mat * w->mat_bytes +
                           (size_t)(row / KERN_PANEL) * qmm_panel_bytes(w->type, w->cols);
    int per = w->type == KERN_BF16 ? 2 : kern_type_info(w->type)->block;
    uint8_t block[BLOCK_MAX_BYTES];
    for (int64_t at = 0; at < w->cols; at += per) {
        int64_t n = w->cols - at < per ? w->cols - at : per;
        panel = qmm_row_block(w->type, panel, (int)(row % KERN_PANEL), block);
        kern_dequantize(w->type, block, dst + at, n);
    }
}
