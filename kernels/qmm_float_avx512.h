/* qmm_float_avx512.h - products of float weights, over how a word of weights is multiplied
 *
 * Included by qmm_float_avx512.c and qmm_avx512bf16.c, which differ in instruction sets. One
 * fused multiply-add chain a row and column, in order of k (qmm_ref.c). Many columns go 32 rows
 * by QMM_FLOAT_TILE; few go a panel at a time, so that the weights are one stream.
 */
#ifndef QMM_FLOAT_AVX512_H
#define QMM_FLOAT_AVX512_H

#include "kernels/qmm_avx512.h"

/* One stream of weights is fetched so many bytes before its use. */
#define AHEAD 8192

/* sum += w[16 rows] * x for one word of x: a float, or a pair of bf16. */
typedef __m512 float_step(__m512 sum, __m512i w, float x);
/* Loads one word of 16 rows. */
typedef __m512i float_load(const uint8_t *w);

/* `panels` panels, panel_bytes apart, times a tile of `columns`. */
INLINE void float_tile(float_load *load, float_step *step, int unit, int panels, int columns,
                       const uint8_t *w, size_t panel_bytes, int64_t words, const float *x,
                       float *const *y, int64_t rows) {
    __m512 acc[QMM_FLOAT_TILE][2];
UNROLL
    for (int c = 0; c < columns; c++)
        acc[c][0] = acc[c][1] = _mm512_setzero_ps();
    for (int64_t k = 0; k < words; k++, w += unit * KERN_PANEL, x += columns) {
        if (panels == 1)
            _mm_prefetch((const char *)w + AHEAD, _MM_HINT_T0);
        __m512i w0 = load(w);
        __m512i w1 = panels == 2 ? load(w + panel_bytes) : w0;
UNROLL
        for (int c = 0; c < columns; c++) {
            acc[c][0] = step(acc[c][0], w0, x[c]);
            if (panels == 2)
                acc[c][1] = step(acc[c][1], w1, x[c]);
        }
    }
UNROLL
    for (int c = 0; c < columns; c++) {
        _mm512_mask_storeu_ps(y[c], row_mask(rows), acc[c][0]);
        if (panels == 2)
            _mm512_mask_storeu_ps(y[c] + KERN_PANEL, row_mask(rows - KERN_PANEL), acc[c][1]);
    }
}

/* All panels of the job, `panels` at a time, times the tile of columns from c0 on. */
INLINE void float_rows(float_load *load, float_step *step, int unit, int panels, int columns,
                       const struct qmm_job *j, int c0) {
    int64_t words = qmm_words(j->type, j->cols);
    size_t panel_bytes = (size_t)words * (size_t)(unit * KERN_PANEL);
    const float *x = (const float *)j->x + c0 * words;
    float *y[QMM_FLOAT_TILE];
UNROLL
    for (int c = 0; c < columns; c++)
        y[c] = qmm_job_y(j, c0 + c);
    for (int64_t row = 0; row < j->rows; row += panels * KERN_PANEL) {
        const uint8_t *w = j->w + (size_t)(row / KERN_PANEL) * panel_bytes;
        /* a last panel alone stands in for its missing neighbour, which is not stored */
        size_t next = row + KERN_PANEL < j->rows ? panel_bytes : 0;
        float_tile(load, step, unit, panels, columns, w, next, words, x, y, j->rows - row);
UNROLL
        for (int c = 0; c < columns; c++)
            y[c] += panels * KERN_PANEL;
    }
}

/* The whole job. Pairs of panels are outside, so that they stay in the cache for all tiles. */
INLINE void float_product(float_load *load, float_step *step, int unit, const struct qmm_job *job) {
    size_t row_bytes = (size_t)qmm_words(job->type, job->cols) * (size_t)unit;
    switch (job->n) {
    case 1: float_rows(load, step, unit, 1, 1, job, 0); return;
    case 2: float_rows(load, step, unit, 1, 2, job, 0); return;
    case 3: float_rows(load, step, unit, 1, 3, job, 0); return;
    default: break;
    }
    for (int64_t row = 0; row < job->rows; row += 2 * KERN_PANEL) {
        struct qmm_job j = *job;
        j.w += (size_t)row * row_bytes;
        j.y += row;
        j.rows = job->rows - row < 2 * KERN_PANEL ? job->rows - row : 2 * KERN_PANEL;
        for (int c = 0; c < j.n; c += QMM_FLOAT_TILE)
            switch (j.n - c) {
            case 1: float_rows(load, step, unit, 2, 1, &j, c); break;
            case 2: float_rows(load, step, unit, 2, 2, &j, c); break;
            case 3: float_rows(load, step, unit, 2, 3, &j, c); break;
            case 4: float_rows(load, step, unit, 2, 4, &j, c); break;
            case 5: float_rows(load, step, unit, 2, 5, &j, c); break;
            case 6: float_rows(load, step, unit, 2, 6, &j, c); break;
            case 7: float_rows(load, step, unit, 2, 7, &j, c); break;
            case 8: float_rows(load, step, unit, 2, 8, &j, c); break;
            case 9: float_rows(load, step, unit, 2, 9, &j, c); break;
            case 10: float_rows(load, step, unit, 2, 10, &j, c); break;
            case 11: float_rows(load, step, unit, 2, 11, &j, c); break;
            default: float_rows(load, step, unit, 2, 12, &j, c);
            }
    }
}

#endif
