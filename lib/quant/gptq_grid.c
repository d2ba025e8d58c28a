/* gptq_grid.c - grids of groups and of GGUF blocks, see gptq.h */
#include <float.h>

#include "lib/quant/gptq_impl.h"

/* Ranges are tried from the extremes down to about 40% of them. */
#define SHRINK_STEP 0.03125f
#define SHRINK_STEPS 20

/* x to the nearest integer, ties to even, for |x| below 2^22; unlike rintf it has no call in it,
 * so that loops over it become vectors. */
static float to_integer(float x) {
    return x + 12582912.0f - 12582912.0f;
}

/* ---- groups ----------------------------------------------------------------------------- */

/* What rounding x[n] costs on a grid; x as they lie in the walk, cost by place. */
static float price(const float *x, const float *cost, int64_t n, float scale, int zero,
                   int bits) {
    float low = -(float)zero;
    float high = (float)((1 << bits) - 1 - zero);
    float sum[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        float t = x[i] / scale;
        t = t > low ? t : low;
        t = t < high ? t : high;
        float e = x[i] - scale * to_integer(t);
        sum[i & 3] += cost[i] * e * e;
    }
    return sum[0] + sum[1] + sum[2] + sum[3];
}

static void search_range(const float *x, const float *cost, int64_t n,
                         const struct gptq_options *opt, float *scale, uint8_t *zero) {
    float best = FLT_MAX;
    for (int i = 0; i < SHRINK_STEPS; i++) {
        float s;
        uint8_t z;
        grouped_range(x, n, 1, opt->bits, opt->symmetric, 1 - SHRINK_STEP * (float)i, &s, &z);
        float sum = price(x, cost, n, s, z, opt->bits);
        if (i > 0 && !(sum < best))
            continue;
        best = sum;
        *scale = s;
        *zero = z;
    }
}

/* Scale and zero of group g of row r for x[n], whose costs are cost[n]. */
static void set_range(struct gptq_slab *s, int64_t r, int64_t g, const float *x,
                      const float *cost, int64_t n) {
    const struct gptq_options *opt = &s->p->opt;
    int64_t i = (s->first + r) * s->out->groups + g;
    if (opt->search)
        search_range(x, cost, n, opt, &s->out->scale[i], &s->out->zero[i]);
    else
        grouped_range(x, n, 1, opt->bits, opt->symmetric, 1, &s->out->scale[i],
                      &s->out->zero[i]);
}

static int64_t group_length(const struct gptq_slab *s, int64_t first) {
    int64_t n = s->p->cols - first;
    return n < s->out->group ? n : s->out->group;
}

static float round_grouped(struct gptq_slab *s, int64_t r, int64_t c, float x) {
    struct grouped *out = s->out;
    int64_t row = s->first + r;
    int64_t g = s->p->index ? s->p->index[c] : c / out->group;
    float scale = out->scale[row * out->groups + g];
    uint8_t zero = out->zero[row * out->groups + g];
    uint8_t code = grouped_code(x, scale, zero, out->bits);
    out->code[row * out->cols + c] = code;
    return scale * (float)(code - zero);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static int block_length(const struct gptq_slab *s) {
    return kern_type_info(s->type)->block;
}

static char *block_at(const struct gptq_slab *s, int64_t r, int64_t b) {
    int type = s->type;
    return s->blocks + (size_t)r * kern_row_bytes(type, s->p->cols) +
           b * kern_type_info(type)->bytes;
}

/* Block b of rows first to last - 1 from x, `stride` floats a row; the type's quantizer chooses. */
static void set_blocks(struct gptq_slab *s, int first, int last, int64_t b, const float *x) {
    const struct gptq_plan *p = s->p;
    int type = s->type;
    int n = block_length(s);
    int64_t blocks = p->cols / n;
    int bytes = kern_type_info(type)->bytes;
    float *rows = s->spare;     /* [last - first][n], and then as many blocks */
    char *made = (char *)(rows + (int64_t)(last - first) * n);
    for (int64_t r = first; r < last; r++)
        for (int i = 0; i < n; i++)
            rows[(r - first) * n + i] = x[r * p->cols + i];
    p->opt.kern->quantize(type, rows, made, last - first, n,
                          kern_takes_importance(type) ? p->cost + b * n : NULL);
    for (int64_t r = first; r < last; r++) {
        char *to = block_at(s, r, b);
        for (int i = 0; i < bytes; i++)
            to[i] = made[(r - first) * bytes + i];
        kern_block_grid(type, to, &s->grid[r * blocks + b]);
    }
}

static int nearest_level(const struct kern_grid *g, float t) {
    if (!g->table) {
        float low = (float)g->first;
        float high = (float)(g->first + g->levels - 1);
        t = t > low ? t : low;
        return (int)to_integer(t < high ? t : high);
    }
    int i = 0;
    while (i + 1 < g->levels && t > ((float)g->table[i] + (float)g->table[i + 1]) * 0.5f)
        i++;
    return g->table[i];
}

static float round_block(struct gptq_slab *s, int64_t r, int64_t c, float x) {
    int n = block_length(s);
    int64_t cols = s->p->cols;
    const struct kern_grid *g = &s->grid[r * (cols / n) + c / n];
    int k = (int)(c % n) / g->group;
    float scale = g->scale[k];
    int level = nearest_level(g, scale != 0 ? (x + g->min[k]) / scale : 0);
    s->level[r * cols + c] = (int8_t)level;
    return scale * (float)level - g->min[k];
}

/* ---- either ----------------------------------------------------------------------------- */

void gptq_grid_static(struct gptq_slab *s) {
    const struct gptq_plan *p = s->p;
    if (p->opt.order != GPTQ_ORDERED)
        return;
    if (!s->out) {
        int n = block_length(s);
        for (int64_t b = 0; b < p->cols / n; b++)
            set_blocks(s, 0, s->rows, b, s->original + b * n);
        return;
    }
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t g = 0; g < s->out->groups; g++) {
            int64_t first = g * s->out->group;
            set_range(s, r, g, s->original + r * p->cols + first, p->cost + first,
                      group_length(s, first));
        }
}

/* Blocks as long as the walk's or longer: all rows at once, which is how quantizers are fast. */
void gptq_grid_slab(struct gptq_slab *s, int64_t j) {
    if (s->out || s->p->opt.order == GPTQ_ORDERED || block_length(s) < GPTQ_COLUMNS)
        return;
    if (j % block_length(s) == 0)
        set_blocks(s, 0, s->rows, j / block_length(s), s->w + j);
}

void gptq_grid_row(struct gptq_slab *s, int r, int64_t j) {
    const struct gptq_plan *p = s->p;
    if (p->opt.order == GPTQ_ORDERED)
        return;
    if (!s->out) {
        int n = block_length(s);
        if (n < GPTQ_COLUMNS && j % n == 0)
            set_blocks(s, r, r + 1, j / n, s->w + j);
        return;
    }
    if (j % s->out->group)
        return;
    int64_t n = group_length(s, j);
    const float *cost = p->cost + j;
    if (p->order) {             /* costs are by column */
        for (int64_t i = 0; i < n; i++)
            s->spare[i] = p->cost[p->order[j + i]];
        cost = s->spare;
    }
    set_range(s, r, j / s->out->group, s->w + r * p->cols + j, cost, n);
}

float gptq_grid_round(struct gptq_slab *s, int r, int64_t c, float x) {
    return !s->out ? round_block(s, r, c, x) : round_grouped(s, r, c, x);
}

void gptq_grid_store(struct gptq_slab *s) {
    if (s->out)
        return;
    int n = block_length(s);
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t b = 0; b < s->p->cols / n; b++)
            kern_block_store(s->type, block_at(s, r, b), s->level + r * s->p->cols + b * n);
}
