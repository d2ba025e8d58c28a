/* gptq_walk.c - a slab of rows, columns one after another, see gptq.h
 *
 * Errors travel in three steps: within 16 columns at once, to the rest of 128 after each 16, to
 * the rest of the matrix after each 128. The last two are products, the first is little.
 */
#include "lib/quant/gptq_impl.h"

static int64_t column(const struct gptq_plan *p, int64_t j) {
    return p->order ? p->order[j] : j;
}

/* Places first to last - 1 of row r: each is rounded, and its error goes at once to those that are
 * left of them. error[last - first]. */
static void walk_row(struct gptq_slab *s, int r, int64_t first, int64_t last, float *error) {
    const struct gptq_plan *p = s->p;
    float *w = s->w + r * p->cols;
    for (int64_t j = first; j < last; j++) {
        gptq_grid_row(s, r, j);
        int64_t c = column(p, j);
        float q = gptq_grid_round(s, r, c, w[j]);
        s->value[r * p->cols + c] = q;
        if (!p->u)
            continue;
        const float *u = p->u + j * p->cols;
        float e = (w[j] - q) / u[j];
        error[j - first] = e;
        for (int64_t k = j + 1; k < last; k++)
            w[k] -= e * u[k];
    }
}

/* The errors of places first to last - 1 reach those from last to end - 1:
 * w[rows][last..end] -= error * u[first..last][last..end]; error has rows of GPTQ_COLUMNS. */
static void carry_on(struct gptq_slab *s, const float *error, int64_t first, int64_t last,
                     int64_t end) {
    const struct gptq_plan *p = s->p;
    if (!p->u || last == end)
        return;
    p->h->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s->rows, (int)(end - last),
                      (int)(last - first), -1, error, GPTQ_COLUMNS, p->u + first * p->cols + last,
                      (int)p->cols, 1, s->w + last, (int)p->cols);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void gptq_walk(struct gptq_slab *s) {
    const struct gptq_plan *p = s->p;
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t j = 0; j < p->cols; j++)
            s->w[r * p->cols + j] = s->original[r * p->cols + column(p, j)];
    gptq_grid_static(s);
    for (int64_t block = 0; block < p->cols; block += GPTQ_COLUMNS) {
        int64_t end = least(block + GPTQ_COLUMNS, p->cols);
        gptq_grid_slab(s, block);
        for (int64_t first = block; first < end; first += GPTQ_FEW) {
            int64_t last = least(first + GPTQ_FEW, end);
            float *error = s->error + (first - block);
            for (int r = 0; r < s->rows; r++)
                walk_row(s, r, first, last, error + r * GPTQ_COLUMNS);
            carry_on(s, error, first, last, end);
        }
        carry_on(s, s->error, block, end, p->cols);
    }
    gptq_grid_store(s);
}
