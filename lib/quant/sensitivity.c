/* sensitivity.c - see sensitivity.h
 *
 * A copy of the model shares all weights with it but the one under trial. Of the predictions only
 * probabilities p of the untouched model are kept, and a number a row: with logits l and l' before
 * and after, KL = sum p l - log sum exp l - (sum p l' - log sum exp l').
 */
#include "lib/quant/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/infer/session.h"
#include "lib/quant/calib.h"
#include "lib/quant/ftype.h"
#include "lib/quant/loss.h"

/* The first part of a chunk is left out: little context, odd predictions. */
#define SKIPPED_SHARE 4

struct run {
    const struct sensitivity *s;
    struct imatrix *m;
    struct model changed;
    struct session *session;
    struct calib *calib;            /* the text before the layer at hand */
    int64_t d, vocab;
    int stride, scored;             /* rows of a chunk that are compared */
    float *y;                       /* [tokens][d] one chunk on its way up */
    float *p;                       /* [chunks * scored][vocab] */
    double *entropy;                /* [chunks * scored] sum p l - log sum exp l */
    double *lse;                    /* [scored] */
    size_t p_bytes;
    float *trial;                   /* the matrix under trial, of trial_bytes */
    size_t trial_bytes;
    int64_t done, total;
};

/* ---- predictions --------------------------------------------------------------------------- */

struct rows {
    struct run *r;
    const float *logits;
    int n, first;                   /* first: row in p */
    int keep;                       /* these are the untouched model's */
    double *kl;                     /* [n] */
};

static double dot(const float *p, const float *l, int64_t n) {
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++)
            sum[j] += (double)p[i + j] * (double)l[i + j];
    for (; i < n; i++)
        sum[0] += (double)p[i] * (double)l[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void take_row(const struct rows *w, int i) {
    struct run *r = w->r;
    const float *l = w->logits + (int64_t)i * r->vocab;
    int64_t at = w->first + i;
    float *p = r->p + at * r->vocab;
    double lse = r->lse[i];
    if (w->keep) {
        for (int64_t v = 0; v < r->vocab; v++)
            p[v] = expf((float)((double)l[v] - lse));
        r->entropy[at] = dot(p, l, r->vocab) - lse;
        w->kl[i] = isfinite(r->entropy[at]) ? 0 : NAN;
    } else {
        w->kl[i] = r->entropy[at] - (dot(p, l, r->vocab) - lse);
    }
}

static void take_rows(void *arg, int ith, int nth) {
    const struct rows *w = arg;
    for (int i = ith; i < w->n; i += nth)
        take_row(w, i);
}

struct sink {
    struct run *r;
    int first, keep;
    double sum;
};

static void take_logits(void *arg, const float *logits, int first, int n) {
    struct sink *k = arg;
    struct run *r = k->r;
    double *kl = mem_array((size_t)n, sizeof *kl);
    struct rows w = {.r = r, .logits = logits, .n = n, .first = k->first + first, .keep = k->keep,
                     .kl = kl};
    r->s->kern->logsumexp(session_queue(r->session), logits, n, r->vocab, r->lse);
    par_run(r->s->par, take_rows, &w);
    for (int i = 0; i < n; i++)
        k->sum += kl[i];
    free(kl);
}

/* Chunk c from layer `from` on, then its predictions; adds its KL to *sum. */
static int climb(struct run *r, int c, int from, const float *x, int keep, double *sum,
                 struct err *err) {
    const struct sensitivity *s = r->s;
    size_t floats = (size_t)s->tokens * (size_t)r->d;
    if (x != r->y)
        memcpy(r->y, x, floats * sizeof *r->y);
    for (int i = from; i < r->changed.shape->layers; i++)
        if (session_layer(r->session, i, NULL, r->y, s->tokens, err))
            return -1;
    int first = s->tokens - r->scored * r->stride;
    for (int i = 0; i < r->scored; i++)
        memmove(r->y + i * r->d, r->y + (first + i * r->stride) * r->d,
                (size_t)r->d * sizeof *r->y);
    struct sink sink = {.r = r, .first = c * r->scored, .keep = keep};
    if (session_logits(r->session, r->y, r->scored, take_logits, &sink, err))
        return -1;
    *sum += sink.sum;
    return 0;
}

/* Mean KL over all chunks with the changed model; from -1: from the embedding on. */
static int mean_kl(struct run *r, int from, int keep, double *kl, struct err *err) {
    const struct sensitivity *s = r->s;
    double sum = 0;
    for (int c = 0; c < s->chunks; c++) {
        const float *x = calib_chunk(r->calib, c);
        if (from < 0) {
            if (session_embed(r->session, s->token + (size_t)c * (size_t)s->tokens, s->tokens, r->y,
                              err))
                return -1;
            x = r->y;
        }
        if (climb(r, c, from < 0 ? 0 : from, x, keep, &sum, err))
            return -1;
    }
    *kl = sum / ((double)s->chunks * r->scored);
    return isfinite(*kl) ? 0 : err_set(err, "%s: its predictions are not finite",
                                       gguf_path(s->model->gguf));
}

/* ---- one matrix ---------------------------------------------------------------------------- */

/* Rows are cut into so many parts, whatever the threads: sums do not depend on these. */
#define PARTS 64

struct coarse {
    const struct run *r;
    const struct kern_weight *w;
    const struct gguf_tensor *const *part;  /* [parts] tensors: one, or one for each expert */
    int64_t parts;
    const struct imatrix_entry **entry;     /* [parts] NULL: none */
    int type;
    struct loss *loss;                      /* [mats][PARTS] */
};

/* The rows [begin, end) of matrix mat, out of the file and coarsely back. */
static void coarsen(const struct coarse *k, int64_t mat, int64_t begin, int64_t end,
                    const float *importance, double weight, struct loss *sum) {
    const struct kern_weight *w = k->w;
    const struct kern *kern = k->r->s->kern;
    const struct gguf_tensor *t = k->part[k->parts > 1 ? mat : 0];
    size_t row_bytes = kern_row_bytes(t->type, w->cols);
    int64_t row0 = k->parts > 1 ? 0 : mat * w->rows;
    float *exact = mem_array((size_t)w->cols, sizeof *exact);
    void *block = mem_array((size_t)w->cols, sizeof(float));
    for (int64_t i = begin; i < end; i++) {
        const char *src = (const char *)t->data + (size_t)(row0 + i) * row_bytes;
        float *dst = k->r->trial + (mat * w->rows + i) * w->cols;
        kern->dequantize(t->type, src, exact, w->cols);
        loss_add(kern, k->type, exact, 1, w->cols, importance, weight, block, dst, sum);
    }
    free(exact);
    free(block);
}

static void coarsen_parts(void *arg, int ith, int nth) {
    struct coarse *k = arg;
    const struct kern_weight *w = k->w;
    float *room = mem_array((size_t)w->cols, sizeof *room);
    for (int64_t mat = 0; mat < w->mats; mat++) {
        double weight;
        const float *importance = loss_weigh(k->entry[k->parts > 1 ? mat : 0],
                                             k->parts > 1 ? 0 : mat, w->mats, room, &weight);
        for (int p = ith; p < PARTS; p += nth)
            coarsen(k, mat, w->rows * p / PARTS, w->rows * (p + 1) / PARTS, importance, weight,
                    &k->loss[mat * PARTS + p]);
    }
    free(room);
}

static const struct imatrix_entry *entry_of(const struct imatrix *m, const struct gguf_tensor *t,
                                            int64_t cols, int64_t mats) {
    char *name = mem_strndup(t->name.data, t->name.len);
    const struct imatrix_entry *e = imatrix_find(m, name);
    free(name);
    return e && e->cols == cols && e->mats == mats ? e : NULL;
}

/* The relative loss of all matrices; share[parts]: how much of their energy each tensor has. */
static double sum_up(const struct coarse *k, double *share) {
    struct loss all = {0, 0};
    for (int64_t mat = 0; mat < k->w->mats; mat++)
        for (int i = 0; i < PARTS; i++) {
            const struct loss *l = &k->loss[mat * PARTS + i];
            all.error += l->error;
            all.energy += l->energy;
            share[k->parts > 1 ? mat : 0] += l->energy;
        }
    for (int64_t i = 0; i < k->parts; i++)
        share[i] = all.energy > 0 ? share[i] / all.energy : 0;
    return loss_relative(&all);
}

/* Puts a coarse copy of w, in floats, at r->trial; its relative loss, and share[parts] as above. */
static double make_coarse(struct run *r, const struct kern_weight *w,
                          const struct gguf_tensor *const *part, int64_t parts, double *share) {
    struct coarse k = {.r = r, .w = w, .part = part, .parts = parts,
                       .type = ftype_fallback(KERN_Q3_K, w->cols)};
    k.entry = mem_array((size_t)parts, sizeof *k.entry);
    k.loss = mem_array((size_t)w->mats * PARTS, sizeof *k.loss);
    for (int64_t i = 0; i < parts; i++)
        k.entry[i] = entry_of(r->m, part[i], w->cols, parts > 1 ? 1 : w->mats);
    par_run(r->s->par, coarsen_parts, &k);
    double loss = sum_up(&k, share);
    free(k.entry);
    free(k.loss);
    return loss;
}

static void put(struct imatrix *m, const struct gguf_tensor *t, double sensitivity) {
    size_t n = (size_t)m->n_sensitivity + 1;
    m->sensitive = mem_grow(m->sensitive, n, sizeof *m->sensitive);
    m->sensitivity = mem_grow(m->sensitivity, n, sizeof *m->sensitivity);
    m->sensitive[n - 1] = mem_strndup(t->name.data, t->name.len);
    m->sensitivity[n - 1] = sensitivity;
    m->n_sensitivity++;
}

/* w: a weight of the model; place (and also, if not NULL): where the changed model has it. */
static int try_weight(struct run *r, int layer, const struct kern_weight *w,
                      struct kern_weight *place, struct kern_weight *also, struct err *err) {
    int64_t parts;
    const struct gguf_tensor *const *part = model_weight_tensors(r->s->model, w, &parts);
    if (!part)
        return 0;
    double *share = mem_array((size_t)parts, sizeof *share);
    double loss = make_coarse(r, w, part, parts, share);
    struct kern_weight kept = *place;
    struct kern_weight kept_also = also ? *also : kept;
    *place = (struct kern_weight){
        .type = KERN_F32, .layout = KERN_FILE, .rows = w->rows, .cols = w->cols, .mats = w->mats,
        .mat_bytes = (size_t)(w->rows * w->cols) * sizeof(float), .data = r->trial};
    if (also)
        *also = *place;
    double kl;
    int status = mean_kl(r, layer, 0, &kl, err);
    *place = kept;
    if (also)
        *also = kept_also;
    double sensitivity = !status && loss > 0 && kl > 0 ? kl / loss : 0;
    for (int64_t i = 0; i < parts && !status; i++)
        put(r->m, part[i], sensitivity * share[i]);
    free(share);
    if (status)
        return -1;
    if (r->s->progress)
        r->s->progress(r->s->arg, ++r->done, r->total);
    return 0;
}

/* ---- all of them --------------------------------------------------------------------------- */

/* Where the matrices of a layer stand in it; the routers are left as they are. */
static const size_t members[] = {
    offsetof(struct model_layer, attn_q), offsetof(struct model_layer, attn_k),
    offsetof(struct model_layer, attn_v), offsetof(struct model_layer, attn_out),
    offsetof(struct model_layer, ffn_gate), offsetof(struct model_layer, ffn_up),
    offsetof(struct model_layer, ffn_down), offsetof(struct model_layer, exp_gate),
    offsetof(struct model_layer, exp_up), offsetof(struct model_layer, exp_down),
    offsetof(struct model_layer, sh_gate), offsetof(struct model_layer, sh_up),
    offsetof(struct model_layer, sh_down),
};
#define MEMBERS (sizeof members / sizeof members[0])

static struct kern_weight *member(struct model_layer *l, size_t i) {
    return (struct kern_weight *)(void *)((char *)l + members[i]);
}

/* Counts the matrices, and finds the largest. */
static void measure(struct run *r, size_t *floats) {
    const struct model *m = r->s->model;
    *floats = (size_t)(m->embed.rows * m->embed.cols);
    r->total = m->shape->tied ? 1 : 2;
    for (int i = 0; i < m->shape->layers; i++)
        for (size_t k = 0; k < MEMBERS; k++) {
            const struct kern_weight *w = member(&m->layer[i], k);
            size_t n = w->data ? (size_t)(w->rows * w->cols * w->mats) : 0;
            r->total += n > 0;
            *floats = n > *floats ? n : *floats;
        }
}

static int run_begin(struct run *r, struct err *err) {
    const struct sensitivity *s = r->s;
    const struct shape *shape = s->model->shape;
    size_t floats;
    r->changed = *s->model;
    r->changed.layer = mem_array((size_t)shape->layers, sizeof *r->changed.layer);
    memcpy(r->changed.layer, s->model->layer, (size_t)shape->layers * sizeof *r->changed.layer);
    struct session_options opt = {.context = s->tokens, .sequences = 1, .batch = s->tokens,
                                  .kv_type = KERN_F32};
    r->session = session_new(&r->changed, s->kern, s->par, &opt, err);
    if (!r->session)
        return -1;
    r->d = shape->d_model;
    r->vocab = shape->vocab;
    int rows = s->tokens - s->tokens / SKIPPED_SHARE;
    size_t each = (size_t)s->chunks * (size_t)r->vocab * sizeof *r->p;
    size_t most = SENSITIVITY_BYTES / each;
    r->scored = most < 1 ? 1 : most < (size_t)rows ? (int)most : rows;
    r->stride = rows / r->scored;
    r->scored = rows / r->stride;
    measure(r, &floats);
    r->trial_bytes = floats * sizeof *r->trial;
    r->p_bytes = each * (size_t)r->scored;
    r->trial = mem_map(r->trial_bytes);
    r->p = mem_map(r->p_bytes);
    if (!r->trial || !r->p)
        return err_set(err, "no memory for %zu bytes of weights and %zu of predictions",
                       r->trial_bytes, r->p_bytes);
    r->y = mem_array((size_t)s->tokens * (size_t)r->d, sizeof *r->y);
    r->entropy = mem_array((size_t)s->chunks * (size_t)r->scored, sizeof *r->entropy);
    r->lse = mem_array((size_t)r->scored, sizeof *r->lse);
    return 0;
}

static void run_end(struct run *r) {
    calib_free(r->calib);
    session_free(r->session);
    free(r->changed.layer);
    if (r->trial)
        mem_unmap(r->trial, r->trial_bytes);
    if (r->p)
        mem_unmap(r->p, r->p_bytes);
    free(r->y);
    free(r->entropy);
    free(r->lse);
}

/* The untouched model: the text before layer 0, and all predictions. */
static int run_base(struct run *r, struct err *err) {
    const struct sensitivity *s = r->s;
    double none;
    r->calib = calib_new(r->session, (int)r->d, s->token, s->chunks, s->tokens, err);
    return r->calib ? mean_kl(r, 0, 1, &none, err) : -1;
}

static int run_layer(struct run *r, int i, struct err *err) {
    const struct sensitivity *s = r->s;
    for (size_t k = 0; k < MEMBERS; k++)
        if (try_weight(r, i, member(&s->model->layer[i], k), member(&r->changed.layer[i], k), NULL,
                       err))
            return -1;
    return calib_run(r->calib, i, NULL, 1, err);
}

static int run_all(struct run *r, struct err *err) {
    const struct model *m = r->s->model;
    if (run_base(r, err))
        return -1;
    if (try_weight(r, -1, &m->embed, &r->changed.embed, m->shape->tied ? &r->changed.head : NULL,
                   err))
        return -1;
    for (int i = 0; i < m->shape->layers; i++)
        if (run_layer(r, i, err))
            return -1;
    return m->shape->tied ? 0
         : try_weight(r, m->shape->layers, &m->head, &r->changed.head, NULL, err);
}

int sensitivity_measure(const struct sensitivity *s, struct imatrix *m, struct err *err) {
    for (int i = 0; i < m->n_sensitivity; i++)
        free(m->sensitive[i]);
    m->n_sensitivity = 0;
    struct run r = {.s = s, .m = m};
    int status = run_begin(&r, err);
    if (!status)
        status = run_all(&r, err);
    run_end(&r);
    return status;
}
