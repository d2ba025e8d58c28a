/* qmm_many_avx512.c - quantized weights times many columns with AVX-512 VNNI: prefill
 *
 * Two panels are unpacked once into a buffer, a stretch of k at a time that stays in the
 * first-level cache, then multiplied with TILE columns at a time: one activation, broadcast,
 * serves two panels, and 24 sums (integers of the run, floats of the row) fill the registers.
 * Between stretches the floats rest in y.
 */
#include "kernels/lanes_avx512.h"

#include "kernels/qmm_avx512.h"
#include "kernels/unpack.h"

#define TILE 6
#define MOST 64                 /* columns from which rows go round inside a stretch */
#define STRETCH 16              /* runs of 32 along k unpacked at once; a multiple of 8 */

/* A run of 32 of two panels unpacked: eight dwords of k of either panel in turn, then for each
 * group the scales of either panel, then the minima. */
INLINE int run_vectors(int group, int has_min) {
    return 16 + 32 / group * 2 * (1 + has_min);
}

/* Unpacks n runs from p on, of one panel (0 or 1) of the pair. */
INLINE void unpack_panel(int type, const uint8_t *p, int panel, int64_t n, __m512i *out) {
    int group = unpack_group(type);
    int has_min = unpack_has_min(type);
    int groups = 32 / group;
    int runs = unpack_runs(type);
    for (int64_t at = 0; at < n; at += runs, p += unpack_bytes(type)) {
        struct unpack u;
        unpack_open(type, p, 0, &u);
UNROLL
        for (int run = 0; run < runs; run++, out += run_vectors(group, has_min)) {
UNROLL
            for (int i = 0; i < 8; i++)
                out[2 * i + panel] = unpack_values(type, p, 0, run, i);
UNROLL
            for (int g = 0; g < groups; g++) {
                __m512 *scale = (__m512 *)(out + 16);
                scale[2 * g + panel] = unpack_scale(type, &u, groups * run + g);
                if (has_min)
                    scale[2 * (groups + g) + panel] = unpack_min(type, &u, groups * run + g);
            }
        }
    }
}

/* One group of a run (all of it, or one half) times the columns, and its share of the sums. The
 * group's scales are at s, its minima at m. */
INLINE void tile_group(int has_min, int columns, int group, int half, const __m512i *w,
                       const __m512 *s, const __m512 *m, const struct qmm_x *const *x, int64_t at,
                       __m512 (*acc)[2]) {
    __m512i sum[TILE][2];
    int first = half * 4;
UNROLL
    for (int c = 0; c < columns; c++) {
        int32_t n = group == 32 ? x[c][at].start : x[c][at].start2[half];
        sum[c][0] = sum[c][1] = has_min ? _mm512_setzero_si512() : _mm512_set1_epi32(n);
    }
UNROLL
    for (int i = first; i < first + group / 4; i++) {
        __m512i w0 = w[2 * i];
        __m512i w1 = w[2 * i + 1];
UNROLL
        for (int c = 0; c < columns; c++) {
            __m512i q = broadcast_q(&x[c][at], i);
            sum[c][0] = _mm512_dpbusd_epi32(sum[c][0], w0, q);
            sum[c][1] = _mm512_dpbusd_epi32(sum[c][1], w1, q);
        }
    }
UNROLL
    for (int c = 0; c < columns; c++) {
        __m512 xs = _mm512_set1_ps(x[c][at].s);
        __m512 xm = _mm512_set1_ps(group == 32 ? x[c][at].sum : x[c][at].sum2[half]);
UNROLL
        for (int p = 0; p < 2; p++) {
            acc[c][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[c][p]),
                                        _mm512_mul_ps(s[p], xs), acc[c][p]);
            if (has_min)
                acc[c][p] = _mm512_fnmadd_ps(m[p], xm, acc[c][p]);
        }
    }
}

/* n runs of a pair of panels times the columns at x; sums continue those in y unless first. */
INLINE void tile(int group, int has_min, int columns, const __m512i *w, int64_t n,
                 const struct qmm_x *const *columns_x, float *const *y, int64_t rows, int first) {
    __m512 acc[TILE][2];
    const struct qmm_x *x[TILE];
    __mmask16 mask0 = row_mask(rows);
    __mmask16 mask1 = row_mask(rows - KERN_PANEL);
UNROLL
    for (int c = 0; c < columns; c++) {
        x[c] = columns_x[c];
        acc[c][0] = first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask0, y[c]);
        acc[c][1] = first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(mask1, y[c] + KERN_PANEL);
    }
    for (int64_t at = 0; at < n; at++, w += run_vectors(group, has_min)) {
        const __m512 *s = (const __m512 *)(w + 16);
        if (group == 32) {
            tile_group(has_min, columns, 32, 0, w, s, s + 2, x, at, acc);
        } else {
            tile_group(has_min, columns, 16, 0, w, s, s + 4, x, at, acc);
            tile_group(has_min, columns, 16, 1, w, s + 2, s + 6, x, at, acc);
        }
    }
UNROLL
    for (int c = 0; c < columns; c++) {
        _mm512_mask_storeu_ps(y[c], mask0, acc[c][0]);
        _mm512_mask_storeu_ps(y[c] + KERN_PANEL, mask1, acc[c][1]);
    }
}

typedef void tile_fn(const __m512i *w, int64_t n, const struct qmm_x *const *x, float *const *y,
                     int64_t rows, int first);

#define TILE_FN(name, group, has_min, columns) \
    static void name##_##columns(const __m512i *w, int64_t n, const struct qmm_x *const *x, \
                                 float *const *y, int64_t rows, int first) { \
        tile(group, has_min, columns, w, n, x, y, rows, first); \
    }
#define TILE_FNS(name, group, has_min) \
    TILE_FN(name, group, has_min, 1) \
    TILE_FN(name, group, has_min, 2) \
    TILE_FN(name, group, has_min, 3) \
    TILE_FN(name, group, has_min, 4) \
    TILE_FN(name, group, has_min, 5) \
    TILE_FN(name, group, has_min, 6) \
    static tile_fn *const name[TILE + 1] = { \
        NULL, name##_1, name##_2, name##_3, name##_4, name##_5, name##_6 \
    };

TILE_FNS(tile_32, 32, 0)
TILE_FNS(tile_32_min, 32, 1)
TILE_FNS(tile_16, 16, 0)
TILE_FNS(tile_16_min, 16, 1)

/* Weights that will be unpacked next: `bytes` bytes from each of two places. They are fetched
 * a part with every tile, since memory is idle while tiles are multiplied. */
struct next {
    const uint8_t *panel[2];
    size_t bytes;
};

static void fetch_next(const struct next *next, int t, int tiles) {
    size_t end = next->bytes * (size_t)(t + 1) / (size_t)tiles;
    for (size_t at = next->bytes * (size_t)t / (size_t)tiles / 64 * 64; at < end; at += 64) {
        _mm_prefetch((const char *)next->panel[0] + at, _MM_HINT_T0);
        _mm_prefetch((const char *)next->panel[1] + at, _MM_HINT_T0);
    }
}

/* One stretch of k of one pair of panels times all columns. */
static void all_tiles(tile_fn *const *fns, const struct qmm_job *j, const __m512i *w, int64_t run,
                      int64_t n, int64_t row, const struct next *next) {
    int tiles = (j->n + TILE - 1) / TILE;
    int c0 = 0;
    for (int t = 0; t < tiles; t++) {
        /* nearly equal widths: a narrow tile takes as long as a wide one */
        int columns = (j->n - c0 + tiles - t - 1) / (tiles - t);
        const struct qmm_x *x[TILE];
        float *y[TILE];
        for (int c = 0; c < columns; c++) {
            x[c] = qmm_job_x(j, c0 + c) + run;
            y[c] = qmm_job_y(j, c0 + c) + row;
        }
        fetch_next(next, t, tiles);
        fns[columns](w, n, x, y, j->rows - row, run == 0);
        c0 += columns;
    }
}

/* Where stretches of a job's weights lie. */
struct place {
    const uint8_t *w;
    size_t panel_bytes, run_bytes;
    int64_t rows, runs;
};

static struct next stretch_at(const struct place *p, int64_t row, int64_t run) {
    int64_t n = p->runs - run < STRETCH ? p->runs - run : STRETCH;
    const uint8_t *w = p->w + (size_t)(row / KERN_PANEL) * p->panel_bytes +
                       (size_t)run * p->run_bytes;
    /* a last panel alone is computed twice and stored once */
    size_t other = row + KERN_PANEL < p->rows ? p->panel_bytes : 0;
    return (struct next){{w, w + other}, (size_t)n * p->run_bytes};
}

INLINE void many(int type, const struct qmm_job *j) {
    int group = unpack_group(type);
    int has_min = unpack_has_min(type);
    tile_fn *const *fns = group == 32 ? has_min ? tile_32_min : tile_32
                                      : has_min ? tile_16_min : tile_16;
    int64_t runs = j->cols / 32;
    size_t run_bytes = (size_t)(unpack_bytes(type) / unpack_runs(type));
    struct place place = {j->w, (size_t)runs * run_bytes, run_bytes, j->rows, runs};
    /* With many columns, their part of a stretch stays in the cache for all rows; with fewer the
     * weights are better read in order. */
    int64_t rows = j->n > MOST ? j->rows : 2 * KERN_PANEL;
    __m512i *w = j->scratch;
    struct next now = stretch_at(&place, 0, 0);
    for (int64_t row0 = 0; row0 < j->rows; row0 += rows) {
        int64_t end = row0 + rows < j->rows ? row0 + rows : j->rows;
        for (int64_t run = 0; run < runs; run += STRETCH)
            for (int64_t row = row0; row < end; row += 2 * KERN_PANEL) {
                int64_t n = runs - run < STRETCH ? runs - run : STRETCH;
                struct next next = {{NULL, NULL}, 0};
                if (row + 2 * KERN_PANEL < end)
                    next = stretch_at(&place, row + 2 * KERN_PANEL, run);
                else if (run + STRETCH < runs)
                    next = stretch_at(&place, row0, run + STRETCH);
                else if (end < j->rows)
                    next = stretch_at(&place, end, 0);
                unpack_panel(type, now.panel[0], 0, n, w);
                unpack_panel(type, now.panel[1], 1, n, w);
                all_tiles(fns, j, w, run, n, row, &next);
                now = next;
            }
    }
}

void qmm_many_avx512(const struct qmm_job *j) {
    switch (j->type) {
    case KERN_Q4_0: many(KERN_Q4_0, j); break;
    case KERN_Q4_1: many(KERN_Q4_1, j); break;
    case KERN_Q5_0: many(KERN_Q5_0, j); break;
    case KERN_Q5_1: many(KERN_Q5_1, j); break;
    case KERN_Q8_0: many(KERN_Q8_0, j); break;
    case KERN_Q2_K: many(KERN_Q2_K, j); break;
    case KERN_Q3_K: many(KERN_Q3_K, j); break;
    case KERN_Q4_K: many(KERN_Q4_K, j); break;
    case KERN_Q5_K: many(KERN_Q5_K, j); break;
    case KERN_Q6_K: many(KERN_Q6_K, j); break;
    case KERN_IQ4_NL: many(KERN_IQ4_NL, j); break;
    case KERN_IQ4_XS: many(KERN_IQ4_XS, j); break;
    case KERN_TQ2_0: many(KERN_TQ2_0, j); break;
    case KERN_MXFP4: many(KERN_MXFP4, j); break;
    default: break;
    }
}
