/* gather.c - importance from a session at work, see gather.h */
#include "lib/quant/gather.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

/* Fewer squares than this are not worth a team's start. */
#define ALONE 65536

/* Weights that multiply the same rows, and the sums of these. */
struct group {
    const struct kern_weight *weight[SESSION_SHARED];
    int weights;
    int64_t cols, mats;
    double *sum;                /* [mats][cols] */
    int64_t *count;             /* [mats] */
};

struct gather {
    const struct model *m;
    struct par *par;
    struct group *group;
    int groups;
    int *first;                 /* [layers + 1] groups of a layer; the head's is the last */
    const struct kern_weight *bad;      /* saw what is not finite; NULL: none */
};

/* ---- groups ----------------------------------------------------------------------------- */

/* Begins a group of those of the n weights that the model has; none where there is none. */
static void add_group(struct gather *g, const struct kern_weight *const *weight, int n) {
    struct group new = {0};
    for (int i = 0; i < n; i++)
        if (weight[i]->data)
            new.weight[new.weights++] = weight[i];
    if (!new.weights)
        return;
    new.cols = new.weight[0]->cols;
    new.mats = new.weight[0]->mats;
    new.sum = mem_array((size_t)(new.cols * new.mats), sizeof *new.sum);
    new.count = mem_array((size_t)new.mats, sizeof *new.count);
    g->group = mem_grow(g->group, (size_t)g->groups + 1, sizeof *g->group);
    g->group[g->groups++] = new;
}

#define ADD(g, ...) \
    add_group(g, (const struct kern_weight *[]){__VA_ARGS__}, \
              (int)(sizeof((const struct kern_weight *[]){__VA_ARGS__}) / sizeof(void *)))

struct gather *gather_new(const struct model *m, struct par *par, int head) {
    struct gather *g = mem_alloc(sizeof *g);
    int layers = m->shape->layers;
    g->m = m;
    g->par = par;
    g->first = mem_array((size_t)layers + 1, sizeof *g->first);
    for (int i = 0; i < layers; i++) {
        const struct model_layer *l = &m->layer[i];
        g->first[i] = g->groups;
        ADD(g, &l->attn_q, &l->attn_k, &l->attn_v);
        ADD(g, &l->attn_out);
        ADD(g, &l->ffn_gate, &l->ffn_up);
        ADD(g, &l->ffn_down);
        ADD(g, &l->router, &l->sh_gate, &l->sh_up, &l->sh_router);
        ADD(g, &l->sh_down);
        ADD(g, &l->exp_gate, &l->exp_up);
        ADD(g, &l->exp_down);
    }
    g->first[layers] = g->groups;
    if (head)
        ADD(g, &m->head);
    return g;
}

void gather_free(struct gather *g) {
    if (!g)
        return;
    for (int i = 0; i < g->groups; i++) {
        free(g->group[i].sum);
        free(g->group[i].count);
    }
    free(g->group);
    free(g->first);
    free(g);
}

/* NULL: nobody asked for this input. */
static struct group *find(struct gather *g, int layer, const struct kern_weight *w) {
    int at = layer < 0 ? g->m->shape->layers : layer;
    int end = layer < 0 ? g->groups : g->first[at + 1];
    for (int i = g->first[at]; i < end; i++)
        for (int j = 0; j < g->group[i].weights; j++)
            if (g->group[i].weight[j] == w)
                return &g->group[i];
    return NULL;
}

/* ---- sums ------------------------------------------------------------------------------- */

struct share {
    const struct session_input *in;
    double *sum;
};

/* A thread has some columns of all rows: no sum has two. */
static void add_columns(void *arg, int ith, int nth) {
    const struct share *s = arg;
    int64_t cols = s->in->cols;
    int64_t first = cols * ith / nth;
    int64_t last = cols * (ith + 1) / nth;
    for (int r = 0; r < s->in->n; r++) {
        const float *x = s->in->x + r * cols;
        for (int64_t c = first; c < last; c++)
            s->sum[c] += (double)x[c] * (double)x[c];
    }
}

static void take(void *arg, const struct session_input *in) {
    struct gather *g = arg;
    struct group *group = find(g, in->layer, in->weight[0]);
    int64_t mat = in->expert < 0 ? 0 : in->expert;
    if (!group)
        return;
    struct share share = {in, group->sum + mat * group->cols};
    if (in->n * in->cols < ALONE)
        add_columns(&share, 0, 1);
    else
        par_run(g->par, add_columns, &share);
    group->count[mat] += in->n;
    for (int64_t c = 0; !g->bad && c < in->cols; c++)
        if (!isfinite(share.sum[c]))
            g->bad = in->weight[0];
}

struct session_tap gather_tap(struct gather *g) {
    return (struct session_tap){take, g};
}

void gather_head(struct gather *g, const float *x, int n) {
    const struct kern_weight *head = &g->m->head;
    struct session_input in = {.layer = -1, .weight = &head, .weights = 1, .expert = -1, .x = x,
                               .n = n, .cols = head->cols};
    take(g, &in);
}

/* ---- results ---------------------------------------------------------------------------- */

int gather_check(const struct gather *g, struct err *err) {
    int64_t n;
    if (!g->bad)
        return 0;
    struct gguf_string name = model_weight_tensors(g->m, g->bad, &n)[0]->name;
    return err_set(err, "%s: what goes into %.*s is not finite", gguf_path(g->m->gguf),
                   (int)name.len, name.data);
}

/* The sums of matrix `mat` of a group, as matrix `at` of an entry. */
static int put(const struct group *group, int64_t mat, struct imatrix_entry *e, int64_t at,
               struct err *err) {
    for (int64_t c = 0; c < e->cols; c++) {
        float sum = (float)group->sum[mat * group->cols + c];
        e->sum[at * e->cols + c] += sum;
        if (!isfinite(e->sum[at * e->cols + c]))
            return err_set(err, "importance of \"%s\": the sum of column %lld is too large for a"
                           " float", e->name, (long long)c);
    }
    e->count[at] += group->count[mat];
    return 0;
}

static int put_weight(const struct gather *g, const struct group *group,
                      const struct kern_weight *w, struct imatrix *m, struct err *err) {
    int64_t parts;
    const struct gguf_tensor *const *t = model_weight_tensors(g->m, w, &parts);
    for (int64_t mat = 0; mat < group->mats; mat++) {
        struct gguf_string s = t[parts > 1 ? mat : 0]->name;
        char *name = mem_strndup(s.data, s.len);
        struct imatrix_entry *e = imatrix_entry(m, name, group->cols, parts > 1 ? 1 : group->mats);
        int rc = put(group, mat, e, parts > 1 ? 0 : mat, err);
        free(name);
        if (rc)
            return -1;
    }
    return 0;
}

int gather_finish(const struct gather *g, struct imatrix *m, struct err *err) {
    if (gather_check(g, err))
        return -1;
    for (int i = 0; i < g->groups; i++)
        for (int j = 0; j < g->group[i].weights; j++)
            if (put_weight(g, &g->group[i], g->group[i].weight[j], m, err))
                return -1;
    return 0;
}
