/* bench_kernels_plan.c - which figures llm-bench kernels will take, see bench_kernels.h
 *
 * Without --shape, sizes are those of models with some billions of parameters that run on such
 * machines: matrices of 2048 x 2048, a layer of 64 experts of which 8 run. With it, a matrix of
 * that size, or every different matrix, layer of experts and kind of attention of a model.
 */
#include "cmd/bench_kernels.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/common.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"

#define MOST_SIDE ((int64_t)1 << 20)

/* ---- operations and types ----------------------------------------------------------------- */

const struct operation *const *kernels_operations(int *n) {
    static const struct operation *all[32];
    int count = 0;
    all[count++] = &kernels_matmul;
    all[count++] = &kernels_embed;
    all[count++] = &kernels_experts;
    all[count++] = &kernels_attention;
    all[count++] = &kernels_kv_store;
    for (const struct operation *op = kernels_small; op->name; op++)
        all[count++] = op;
    *n = count;
    return all;
}

/* With --quick a type of each kind stands for all. */
int plan_wants_type(const struct plan *p, int type) {
    uint64_t quick = (uint64_t)1 << KERN_Q4_K | (uint64_t)1 << KERN_Q8_0 | (uint64_t)1 << KERN_F16;
    if (!kern_type_info(type))
        return 0;
    uint64_t wanted = p->types ? p->types : p->quick ? quick : ~(uint64_t)0;
    return (int)(wanted >> type & 1);
}

/* ---- shapes ------------------------------------------------------------------------------- */

/* "ROWSxCOLS" */
static int parse_matrix(const char *text, struct dims *out) {
    char *copy = mem_strdup(text);
    char *cross = strchr(copy, 'x');
    int bad = 1;
    if (cross) {
        *cross = 0;
        bad = num_int(copy, 1, MOST_SIDE, &out->rows) ||
              num_int(cross + 1, 1, MOST_SIDE, &out->cols);
    }
    free(copy);
    return !bad;
}

static void read_shape(struct plan *p) {
    struct err err;
    if (!p->shape)
        return;
    p->has_matrix = parse_matrix(p->shape, &p->matrix);
    p->model = p->has_matrix ? NULL : shape_find(p->shape, &err);
    if (!p->has_matrix && !p->model)
        usage_die("--shape '%s': neither ROWSxCOLS nor a model: %s", p->shape, err.text);
}

static int add_dims(struct dims *out, int n, int64_t rows, int64_t cols) {
    if (rows < 1 || cols < 1 || n == SHAPES_MOST)
        return n;
    for (int i = 0; i < n; i++)
        if (out[i].rows == rows && out[i].cols == cols)
            return n;
    out[n] = (struct dims){rows, cols};
    return n + 1;
}

/* Projections, dense and shared FFNs and the router of a layer. */
static int layer_matrices(const struct shape_layer *l, int64_t d, struct dims *out, int n) {
    int64_t q = (int64_t)l->heads * l->dk;
    int64_t v = (int64_t)l->heads * l->dv;
    if (l->kv_latent) {
        n = add_dims(out, n, l->q_latent, d);
        n = add_dims(out, n, q, l->q_latent ? l->q_latent : d);
        n = add_dims(out, n, l->kv_latent + l->rope_dims, d);
        n = add_dims(out, n, q - (int64_t)l->heads * l->rope_dims + v, l->kv_latent);
    } else {
        n = add_dims(out, n, q, d);
        n = add_dims(out, n, (int64_t)l->kv_heads * l->dk, d);
        n = add_dims(out, n, (int64_t)l->kv_heads * l->dv, d);
    }
    n = add_dims(out, n, d, v);
    n = add_dims(out, n, l->d_ff, d);
    n = add_dims(out, n, d, l->d_ff);
    n = add_dims(out, n, l->d_shared, d);
    n = add_dims(out, n, d, l->d_shared);
    return add_dims(out, n, l->experts, d);
}

int plan_matrices(const struct plan *p, struct dims out[SHAPES_MOST]) {
    const struct shape *s = p->model;
    int n = 0;
    if (p->has_matrix)
        out[n++] = p->matrix;
    else if (!s)
        out[n++] = (struct dims){2048, 2048};
    for (int i = 0; s && i < s->layers; i++)
        n = layer_matrices(&s->layer[i], s->d_model, out, n);
    return s ? add_dims(out, n, s->vocab, s->d_model) : n;
}

int plan_experts(const struct plan *p, struct expert_dims out[SHAPES_MOST]) {
    const struct shape *s = p->model;
    int n = 0;
    if (!s) {
        out[0] = (struct expert_dims){2048, 512, 64, 8};
        if (p->has_matrix)
            out[0] = (struct expert_dims){p->matrix.cols, p->matrix.rows, 64, 8};
        return 1;
    }
    for (int i = 0; i < s->layers && n < SHAPES_MOST; i++) {
        const struct shape_layer *l = &s->layer[i];
        int known = !l->experts;
        for (int j = 0; j < n; j++)
            known |= out[j].hidden == l->d_expert && out[j].experts == l->experts;
        if (!known)
            out[n++] = (struct expert_dims){s->d_model, l->d_expert, l->experts, l->top_k};
    }
    return n;
}

int plan_heads(const struct plan *p, struct head_dims out[SHAPES_MOST]) {
    static const struct head_dims usual[] = {
        {32, 8, 128, 128, "gqa4"},      /* groups of 4 query heads, as most models have them */
        {16, 16, 128, 128, "mha"},      /* every head its own K and V */
        {32, 4, 64, 64, "gqa8"},
        {4, 1, 256, 256, "mqa"},        /* one K and V for all */
    };
    const struct shape *s = p->model;
    int n = 0;
    if (!s) {
        memcpy(out, usual, sizeof usual);
        return p->quick ? 1 : 4;
    }
    for (int i = 0; i < s->layers && n < SHAPES_MOST; i++) {
        const struct shape_layer *l = &s->layer[i];
        int known = 0;
        for (int j = 0; j < n; j++)
            known |= out[j].heads == l->heads && out[j].kv_heads == l->kv_heads &&
                     out[j].dk == l->dk && out[j].dv == l->dv;
        if (!known)
            out[n++] = (struct head_dims){l->heads, l->kv_heads, l->dk, l->dv, NULL};
    }
    return n;
}

int64_t plan_width(const struct plan *p) {
    return p->model ? p->model->d_model : p->has_matrix ? p->matrix.cols : 2048;
}

int64_t plan_vocab(const struct plan *p) {
    return p->model ? p->model->vocab : p->has_matrix ? p->matrix.rows : 32768;
}

/* ---- subjects ----------------------------------------------------------------------------- */

void plan_rows(const struct plan *p, struct subject *s, const int *usual, int count) {
    for (int i = 0; i < (p->ns ? p->ns : count); i++) {
        int n = p->ns ? p->n[i] : usual[i];
        if (p->quick && !p->ns) {       /* the first and the last */
            if (i && i < count - 1)
                continue;
            n = n < QUICK_ROWS ? n : QUICK_ROWS;
        }
        s->test[s->tests++] = (struct test){.n = n};
    }
}

void plan_shape(struct subject *s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->shape, sizeof s->shape, fmt, args);
    va_end(args);
}

/* Widths that matter: what a row of each matrix has. */
static int divides(int type, int64_t width) {
    const struct kern_type_info *info = type < 0 ? NULL : kern_type_info(type);
    return !info || width % info->block == 0;
}

void plan_add(struct plan *p, const struct subject *s) {
    int fits = s->cols ? divides(s->type, s->cols) && divides(s->down, s->rows)
                       : divides(s->type, s->dk) && divides(s->type, s->dv);
    if (!s->tests)
        return;
    if (!fits) {
        p->skipped++;
        return;
    }
    if (p->subjects == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->subject = mem_grow(p->subject, p->cap, sizeof *p->subject);
    }
    struct subject *to = &p->subject[p->subjects++];
    *to = *s;
    if (p->shape)
        memcpy(to->tag, to->shape, sizeof to->tag);
}

/* Operations without types are left out when only types are asked for. */
static int wanted(const struct plan *p, const struct operation *op) {
    for (int i = 0; i < p->ops; i++)
        if (p->op[i] == op)
            return 1;
    return !p->ops;
}

void kernels_plan(struct plan *p) {
    int n;
    const struct operation *const *ops = kernels_operations(&n);
    read_shape(p);
    for (int i = 0; i < n; i++) {
        if (!wanted(p, ops[i]))
            continue;
        size_t before = p->subjects;
        ops[i]->plan(p, ops[i]);
        if (p->types && !p->ops && p->subjects > before && p->subject[before].type < 0)
            p->subjects = before;
    }
}

void kernels_plan_free(struct plan *p) {
    if (p->model)
        shape_free(p->model);
    free(p->subject);
}
