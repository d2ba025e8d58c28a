/* bench_kernels_weights.c - random weights, as many as no cache holds, see bench_kernels.h
 *
 * Any bits make good quantized weights but for their scales: those are kept near 2^-10, so that
 * sums stay near one. Threads write what they will later read, which places it near them.
 */
#include "cmd/bench_kernels.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"

/* ---- values ------------------------------------------------------------------------------- */

/* An F16 of size 2^-10 with the sign and the fraction it has. */
static void tame_half(uint8_t *half) {
    half[1] = (uint8_t)((half[1] & 0x80) | 0x14 | (half[1] & 3));
}

static void tame_block(int type, uint8_t *b) {
    switch (type) {
    case KERN_F32:              /* 2^-3 to 2^-1 */
        b[3] = (uint8_t)((b[3] & 0x80) | 0x3e);
        break;
    case KERN_BF16:
        b[1] = (uint8_t)((b[1] & 0x80) | 0x3e);
        break;
    case KERN_F16:              /* 0.5 to 1 */
        b[1] = (uint8_t)((b[1] & 0x83) | 0x38);
        break;
    case KERN_Q2_K:
        tame_half(b + 80);
        tame_half(b + 82);
        break;
    case KERN_Q3_K: tame_half(b + 108); break;
    case KERN_Q6_K: tame_half(b + 208); break;
    case KERN_TQ2_0: tame_half(b + 64); break;
    case KERN_MXFP4: b[0] = (uint8_t)(118 + b[0] % 4); break;
    case KERN_Q4_1: case KERN_Q5_1: case KERN_Q4_K: case KERN_Q5_K:
        tame_half(b + 2);
        tame_half(b);
        break;
    default: tame_half(b);
    }
}

/* One row in the file's layout; the same for the same seed. */
static void make_row(int type, int64_t cols, uint64_t seed, uint8_t *row) {
    struct rng r = {seed};
    size_t bytes = kern_row_bytes(type, cols);
    size_t block = (size_t)kern_type_info(type)->bytes;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t bits = rng_next(&r);
        memcpy(row + i, &bits, bytes - i < 8 ? bytes - i : 8);
    }
    for (size_t i = 0; i < bytes; i += block)
        tame_block(type, row + i);
}

float *random_numbers(size_t n, uint64_t seed) {
    struct rng r = {seed};
    float *x = mem_array(n ? n : 1, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * rng_unit(&r) - 1);
    return x;
}

enum unit unit_of(int type) {
    return type == KERN_BF16 ? UNIT_BF16 : type == KERN_F32 || type == KERN_F16 ? UNIT_F32
                                                                                : UNIT_INT8;
}

/* ---- matrices ----------------------------------------------------------------------------- */

struct making {
    struct kern_weight first;
    int type, floats;           /* of the values; stored as F32 */
    int count;
    char *rows;                 /* a panel's rows for each thread */
    size_t panel_rows;          /* bytes of these */
};

/* Panels [p0, p1) of a matrix. */
static void make_panels(const struct making *m, int64_t mat, int64_t p0, int64_t p1, char *tmp) {
    const struct kern_weight *w = &m->first;
    char *to = (char *)(uintptr_t)w->data + (size_t)mat * w->mat_bytes;
    size_t file_row = kern_row_bytes(w->type, w->cols);
    size_t made_row = kern_row_bytes(m->type, w->cols);
    for (int64_t p = p0; p < p1; p++) {
        int64_t row = p * KERN_PANEL;
        int64_t n = w->rows - row < KERN_PANEL ? w->rows - row : KERN_PANEL;
        for (int64_t i = 0; i < n; i++) {
            uint8_t *at = (uint8_t *)tmp + (size_t)i * made_row;
            make_row(m->type, w->cols, (uint64_t)(mat * w->rows + row + i + 1) << 20, at);
            if (m->floats)
                kern_dequantize(m->type, at, (float *)(void *)(to + (size_t)(row + i) * file_row),
                                w->cols);
        }
        if (m->floats)
            continue;
        if (w->layout == KERN_FILE)
            memcpy(to + (size_t)row * file_row, tmp, (size_t)n * file_row);
        else
            kern_pack(w->type, n, w->cols, tmp,
                      to + (size_t)p * kern_pack_bytes(w->type, KERN_PANEL, w->cols), 0, 1);
    }
}

static void make_task(void *arg, int ith, int nth) {
    const struct making *m = arg;
    const struct kern_weight *w = &m->first;
    int64_t panels = (w->rows + KERN_PANEL - 1) / KERN_PANEL;
    int64_t p0 = panels * ith / nth;
    int64_t p1 = panels * (ith + 1) / nth;
    for (int64_t mat = 0; mat < w->mats; mat++)
        make_panels(m, mat, p0, p1, m->rows + (size_t)ith * m->panel_rows);
}

/* The others are copies of the first. */
static void copy_task(void *arg, int ith, int nth) {
    const struct making *m = arg;
    size_t bytes = m->first.mat_bytes * (size_t)m->first.mats;
    size_t from = bytes * (size_t)ith / (size_t)nth;
    size_t to = bytes * (size_t)(ith + 1) / (size_t)nth;
    char *base = (char *)(uintptr_t)m->first.data;
    for (int i = 1; i < m->count; i++)
        memcpy(base + (size_t)i * bytes + from, base + from, to - from);
}

int ring_open(struct room *r, struct ring *out, int type, int layout, int64_t rows, int64_t cols,
              int64_t mats, int floats) {
    int stored = floats ? KERN_F32 : type;
    size_t file = kern_row_bytes(stored, cols) * (size_t)rows;
    size_t mat = layout == KERN_FILE ? file : kern_pack_bytes(stored, rows, cols);
    mat = (mat + 63) / 64 * 64;
    size_t one = mat * (size_t)mats;
    *out = (struct ring){.count = r->ring_bytes > 2 * one ? (int)(r->ring_bytes / one) : 1};
    out->bytes = one * (size_t)out->count;
    out->map = (double)out->bytes < limits_memory_free() / 2 ? mem_map(out->bytes) : NULL;
    if (!out->map)
        return -1;
    struct making m = {.first = {stored, layout, rows, cols, mats, mat, out->map}, .type = type,
                       .floats = floats, .count = out->count,
                       .panel_rows = (kern_row_bytes(type, cols) * KERN_PANEL + 63) / 64 * 64};
    m.rows = mem_array((size_t)par_threads(r->par), m.panel_rows);
    par_run(r->par, make_task, &m);
    par_run(r->par, copy_task, &m);
    free(m.rows);
    out->w = mem_array((size_t)out->count, sizeof *out->w);
    for (int i = 0; i < out->count; i++) {
        out->w[i] = m.first;
        out->w[i].data = (char *)out->map + (size_t)i * one;
    }
    return 0;
}

void ring_close(struct ring *ring) {
    if (ring->map)
        mem_unmap(ring->map, ring->bytes);
    free(ring->w);
    *ring = (struct ring){0};
}

int room_scratch(struct room *r, const struct kern_limits *lim) {
    struct kern_limits l = *lim;
    l.threads = par_threads(r->par);
    size_t bytes = kern_scratch_bytes(&l);
    if (bytes <= r->queue.scratch_bytes)
        return 0;
    if (r->queue.scratch)
        mem_unmap(r->queue.scratch, r->queue.scratch_bytes);
    r->queue.scratch_bytes = bytes;
    r->queue.scratch = mem_map(bytes);
    if (!r->queue.scratch)
        r->queue.scratch_bytes = 0;
    return r->queue.scratch ? 0 : -1;
}
