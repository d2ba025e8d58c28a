/* awq_layer.c - scales for the inputs of a layer, folded, and its matrices rounded
 *
 * The inputs that the tap saw are those of the model as it is. Folding changes none of the outputs,
 * so every input is searched by itself, and a matrix is rounded after both have been done to it:
 * its columns times the s of its input, its rows over the s that it makes for the next one.
 */
#include "lib/quant/awq_layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/awq_impl.h"
#include "lib/quant/layer_weights.h"

/* Kinds of error, see struct awq_use. */
enum { Q, K, V };
enum { GATE, UP, SHARED_GATE, SHARED_UP };

/* A matrix on its way. */
struct work {
    const struct kern_weight *weight;
    int64_t mat;
    int type;                           /* -1: groups */
    const struct awq_input *input;
    float *w;                           /* [rows][cols] as the model has it */
    const float *s;                     /* [cols] of the columns; NULL: 1 */
    float *over;                        /* [rows] that rows are divided by; NULL: 1 */
    int ratio;
};

struct maker {
    struct awq_gather *g;
    const struct awq_layer_options *opt;
    const struct model_layer *l;
    struct awq_layer *out;
    struct work *work;                  /* every matrix that is quantized */
    int works;
    float **kept;                       /* scales, freed at the end */
    int n_kept;
    struct err *err;
};

/* ---- matrices --------------------------------------------------------------------------- */

static struct work *find_work(struct maker *m, const struct kern_weight *w, int64_t mat) {
    for (int i = 0; i < m->works; i++)
        if (m->work[i].weight == w && m->work[i].mat == mat)
            return &m->work[i];
    return NULL;
}

/* Every matrix of w; experts: each has an input of its own. */
static int add_works(struct maker *m, const struct kern_weight *w, int experts) {
    if (!w->data || !m->opt->wanted(m->opt->arg, w))
        return 0;
    for (int64_t mat = 0; mat < w->mats; mat++) {
        m->work = mem_grow(m->work, (size_t)m->works + 1, sizeof *m->work);
        struct work *k = &m->work[m->works++];
        *k = (struct work){.weight = w, .mat = mat, .type = -1};
        if (m->opt->type)
            k->type = m->opt->type(m->opt->arg, w);
        k->input = awq_gather_input(m->g, w, experts ? (int)mat : -1);
        k->w = mem_array((size_t)(w->rows * w->cols), sizeof *k->w);
        float sum = 0;                  /* times zero: NaN where one is not finite */
        for (int64_t r = 0; r < w->rows; r++) {
            kern_weight_row(w, mat, r, k->w + r * w->cols);
            for (int64_t c = 0; c < w->cols; c++)
                sum += k->w[r * w->cols + c] * 0;
        }
        int64_t n;
        const struct gguf_tensor *const *t = model_weight_tensors(m->g->model, w, &n);
        if (!isfinite(sum))
            return err_set(m->err, "%.*s: weights that are not finite", (int)t[0]->name.len,
                           t[0]->name.data);
    }
    return 0;
}

static int add_all(struct maker *m) {
    for (int k = 0; k < LAYER_INPUTS; k++)
        for (int i = 0; i < layer_inputs[k].weights; i++)
            if (add_works(m, layer_weight(m->l, layer_inputs[k].weight[i]),
                          layer_inputs[k].experts))
                return -1;
    return 0;
}

/* ---- what folding changes ---------------------------------------------------------------- */

static struct awq_tensor *add_tensor(struct maker *m, int64_t n, const float *from,
                                     const char *name) {
    struct awq_layer *a = m->out;
    a->tensor = mem_grow(a->tensor, (size_t)a->tensors + 1, sizeof *a->tensor);
    struct awq_tensor *t = &a->tensor[a->tensors++];
    *t = (struct awq_tensor){.n = n, .value = mem_array((size_t)n, sizeof(float))};
    snprintf(t->name, sizeof t->name, "blk.%d.%s", m->g->layer, name);
    if (from)
        memcpy(t->value, from, (size_t)n * sizeof *from);
    return t;
}

/* A router's columns times s. */
static void scale_router(struct maker *m, const struct kern_weight *w, const float *s,
                         const char *name) {
    if (!w->data)
        return;
    struct awq_tensor *t = add_tensor(m, w->rows * w->cols, NULL, name);
    for (int64_t r = 0; r < w->rows; r++) {
        kern_weight_row(w, 0, r, t->value + r * w->cols);
        for (int64_t c = 0; c < w->cols; c++)
            t->value[r * w->cols + c] *= s[c];
    }
}

/* Where a factor goes that an input is divided by. */
struct place {
    struct maker *m;
    const float *value;                 /* norm or bias; NULL: rows of a matrix alone, any s goes */
    char name[64];
    int powers;                         /* of two only */
    int64_t group, width;               /* V: query heads of a head, elements of it; else 1, 0 */
};

static float stored(const struct maker *m, const char *name, float v) {
    return m->opt->stored ? m->opt->stored(m->opt->arg, name, v) : v;
}

/* The column of the place that input column c comes from. */
static int64_t place_of(const struct place *p, int64_t c) {
    return p->width ? c / p->width / p->group * p->width + c % p->width : c;
}

/* The factor nearest to s that the place can hold. */
static float fit(void *arg, int64_t c, float s) {
    const struct place *p = arg;
    if (p->powers)
        return exp2f(rintf(log2f(s)));
    if (!p->value)
        return s;
    float v = p->value[place_of(p, c)];
    float made = stored(p->m, p->name, v / s);
    float back = v / made;
    return v == 0 || (isfinite(back) && back > 0) ? (v == 0 ? s : back) : 1;
}

/* ---- searches --------------------------------------------------------------------------- */

static void mean_of(const struct awq_input *in, const struct place *p, float *mean) {
    int64_t cols = in->h->cols;
    for (int64_t c = 0; c < cols; c++)
        mean[c] = in->h->count ? (float)(in->sum[c] / (double)in->h->count) : 0;
    if (!p->width || p->group == 1)
        return;
    /* The heads of a group share a factor: the mean of their means. */
    for (int64_t c = 0; c < cols; c++) {
        int64_t first = c / p->width / p->group * p->group * p->width + c % p->width;
        if (c != first)
            continue;
        float sum = 0;
        for (int64_t h = 0; h < p->group; h++)
            sum += mean[first + h * p->width];
        for (int64_t h = 0; h < p->group; h++)
            mean[first + h * p->width] = sum / (float)p->group;
    }
}

/* Scales for the matrices at `work` (n of them), which read inputs of one place; the magnitudes are
 * those of `in`. NULL: they stay 1. Owned by m. */
static const float *search(struct maker *m, struct work *const *work, const int *kind, int n,
                           const struct awq_input *in, struct place *p) {
    int64_t cols = work[0]->weight->cols;
    struct awq_use *use = mem_array((size_t)n, sizeof *use);
    float *mean = mem_array((size_t)cols, sizeof *mean);
    float *s = mem_array((size_t)cols, sizeof *s);
    struct awq_choice choice;
    int uses = 0;
    for (int i = 0; i < n; i++)
        if (work[i]->input)
            use[uses++] = (struct awq_use){.w = work[i]->w, .rows = work[i]->weight->rows,
                                           .h = work[i]->input->h, .type = work[i]->type,
                                           .kind = kind[i]};
    mean_of(in, p, mean);
    awq_search(&m->opt->awq, use, uses, cols, mean, fit, p, s, &choice);
    free(mean);
    free(use);
    m->kept = mem_grow(m->kept, (size_t)m->n_kept + 1, sizeof *m->kept);
    m->kept[m->n_kept++] = s;
    for (int i = 0; i < n && choice.ratio; i++) {
        work[i]->s = s;
        work[i]->ratio = choice.ratio;
    }
    return choice.ratio ? s : NULL;
}

/* The norm whose output `shown` multiplies, as do w[n], all of which must be quantized. */
static void fold_norm(struct maker *m, const struct kern_weight *const *w, const int *kinds, int n,
                      const struct kern_weight *shown, const float *norm, const char *name,
                      int powers) {
    struct place p = {.m = m, .value = norm, .powers = powers, .group = 1};
    const struct awq_input *in = awq_gather_input(m->g, shown, -1);
    int all = 0;
    for (int i = 0; i < n; i++)
        all += w[i]->data ? (int)w[i]->mats : 0;
    struct work **work = mem_array((size_t)all + 1, sizeof *work);
    int *kind = mem_array((size_t)all + 1, sizeof *kind);
    int found = 0;
    for (int i = 0; i < n; i++)
        for (int64_t mat = 0; w[i]->data && mat < w[i]->mats; mat++) {
            kind[found] = kinds[i];
            work[found] = find_work(m, w[i], mat);
            found += work[found] != NULL;
        }
    snprintf(p.name, sizeof p.name, "blk.%d.%s", m->g->layer, name);
    const float *s = found == all && all && in && norm ? search(m, work, kind, all, in, &p) : NULL;
    if (s) {
        struct awq_tensor *t = add_tensor(m, work[0]->weight->cols, norm, name);
        for (int64_t c = 0; c < t->n; c++)
            t->value[c] /= s[c];
        if (powers) {
            scale_router(m, &m->l->router, s, "ffn_gate_inp.weight");
            scale_router(m, &m->l->sh_router, s, "ffn_gate_inp_shexp.weight");
        }
    }
    free(kind);
    free(work);
}

/* The input of `to` is made by the rows of `from`. */
static void fold_rows(struct maker *m, struct work *from, struct work *to, struct place *p) {
    static const int kind = 0;
    if (!from || !to || !to->input || to->input->h->count == 0)
        return;
    const float *s = search(m, &to, &kind, 1, to->input, p);
    if (!s)
        return;
    from->over = mem_array((size_t)from->weight->rows, sizeof *from->over);
    for (int64_t c = 0; c < to->weight->cols; c++)
        from->over[place_of(p, c)] = s[c];
}

static void fold_attention(struct maker *m) {
    const struct model_layer *l = m->l;
    const struct shape_layer *sl = &m->g->model->shape->layer[m->g->layer];
    static const int kinds[] = {Q, K, V};
    const struct kern_weight *qkv[] = {&l->attn_q, &l->attn_k, &l->attn_v};
    struct place p = {.m = m, .value = l->attn_v_bias, .group = sl->heads / sl->kv_heads,
                      .width = sl->dv};
    fold_norm(m, qkv, kinds, 3, &l->attn_q, l->attn_norm, "attn_norm.weight", 0);
    if (l->attn_v.rows != (int64_t)sl->kv_heads * sl->dv ||
        l->attn_out.cols != (int64_t)sl->heads * sl->dv)
        return;
    snprintf(p.name, sizeof p.name, "blk.%d.attn_v.bias", m->g->layer);
    struct work *v = find_work(m, &l->attn_v, 0);
    fold_rows(m, v, find_work(m, &l->attn_out, 0), &p);
    if (v && v->over && l->attn_v_bias) {
        struct awq_tensor *t = add_tensor(m, v->weight->rows, l->attn_v_bias, "attn_v.bias");
        for (int64_t r = 0; r < t->n; r++)
            t->value[r] /= v->over[r];
    }
}

static void fold_ffn(struct maker *m) {
    const struct model_layer *l = m->l;
    static const int kinds[] = {GATE, UP, SHARED_GATE, SHARED_UP};
    const struct kern_weight *dense[] = {&l->ffn_gate, &l->ffn_up};
    const struct kern_weight *mixed[] = {&l->exp_gate, &l->exp_up, &l->sh_gate, &l->sh_up};
    const struct kern_weight *const pairs[][2] = {{&l->ffn_up, &l->ffn_down},
                                                  {&l->exp_up, &l->exp_down},
                                                  {&l->sh_up, &l->sh_down}};
    struct place p = {.m = m, .group = 1};
    if (l->router.data)
        fold_norm(m, mixed, kinds, 4, &l->router, l->ffn_norm, "ffn_norm.weight", 1);
    else
        fold_norm(m, dense, kinds, 2, &l->ffn_gate, l->ffn_norm, "ffn_norm.weight", 0);
    for (int i = 0; i < 3; i++)
        for (int64_t mat = 0; pairs[i][0]->data && mat < pairs[i][0]->mats; mat++)
            fold_rows(m, find_work(m, pairs[i][0], mat), find_work(m, pairs[i][1], mat), &p);
}

/* ---- rounding --------------------------------------------------------------------------- */

static void round_matrix(struct maker *m, struct work *k, const struct hessian *nothing) {
    const struct awq_options *o = &m->opt->awq;
    struct awq_matrix *a = &m->out->matrix[m->out->matrices++];
    int64_t rows = k->weight->rows;
    int64_t cols = k->weight->cols;
    struct awq_use use = {.w = k->w, .rows = rows, .h = k->input ? k->input->h : nothing,
                          .type = k->type};
    *a = (struct awq_matrix){.weight = k->weight, .mat = k->mat, .ratio = k->ratio,
                             .seen = use.h->count};
    for (int64_t r = 0; k->over && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            k->w[r * cols + c] /= k->over[r];
    if (k->type < 0)
        a->grouped = grouped_new(rows, cols, o->bits, o->group, o->symmetric);
    else
        a->blocks = mem_alloc((size_t)rows * kern_row_bytes(k->type, cols));
    awq_round(o, &use, k->s, a->grouped, a->blocks, &a->report);
    free(k->w);
    k->w = NULL;
}

static void round_all(struct maker *m) {
    m->out->matrix = mem_array((size_t)m->works + 1, sizeof *m->out->matrix);
    for (int i = 0; i < m->works; i++) {
        /* Of an expert that no row was routed to. */
        struct hessian nothing = {.cols = m->work[i].weight->cols};
        round_matrix(m, &m->work[i], &nothing);
    }
}

struct awq_layer *awq_layer_make(struct awq_gather *g, const struct awq_layer_options *opt,
                                 struct err *err) {
    struct maker m = {.g = g, .opt = opt, .l = &g->model->layer[g->layer], .err = err};
    m.out = mem_alloc(sizeof *m.out);
    int rc = awq_gather_finish(g, err) || add_all(&m);
    if (!rc) {
        fold_attention(&m);
        fold_ffn(&m);
        round_all(&m);
    }
    for (int i = 0; i < m.works; i++) {
        free(m.work[i].w);
        free(m.work[i].over);
    }
    for (int i = 0; i < m.n_kept; i++)
        free(m.kept[i]);
    free(m.kept);
    free(m.work);
    if (!rc)
        return m.out;
    awq_layer_free(m.out);
    return NULL;
}

void awq_layer_free(struct awq_layer *a) {
    if (!a)
        return;
    for (int i = 0; i < a->matrices; i++) {
        grouped_free(a->matrix[i].grouped);
        free(a->matrix[i].blocks);
    }
    for (int i = 0; i < a->tensors; i++)
        free(a->tensor[i].value);
    free(a->matrix);
    free(a->tensor);
    free(a);
}
