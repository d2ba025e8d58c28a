/* model.c - from a GGUF file to weights that the kernels can run, see model.h
 *
 * Three steps. bind() walks the tensor names of a transformer (the names are the same for every
 * architecture; which of them must be there follows from the shape), checks each against the
 * shape, and notes a job per matrix. Then one arena is mapped for all packed matrices, and the
 * jobs are run, spread over the threads panel by panel, giving the file's pages back as they go.
 */
#include "lib/model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

/* One matrix, or one stack of experts, to be brought into place. */
struct job {
    struct kern_weight *weight;
    const struct gguf_tensor **part;    /* 1 tensor, or one per expert (old MoE files) */
    int64_t parts;
    size_t offset;                      /* in the arena */
};

struct model_memory {
    char *arena;
    size_t arena_bytes;
    struct job *jobs;
    size_t n_jobs;
    float **vectors;
    size_t n_vectors;
};

struct loader {
    struct model *m;
    struct model_memory *mem;
    const struct model_options *opt;
    const char *path;
    char *used;                         /* [tensor count] */
    struct err *err;
    int failed;
};

enum { OPTIONAL, REQUIRED };

static int fail(struct loader *ld, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct loader *ld, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!ld->failed)
        err_set(ld->err, "%s: %s", ld->path, text);
    ld->failed = 1;
    return -1;
}

/* The tensor's place in the list, to tick it off. */
static const struct gguf_tensor *find(struct loader *ld, const char *name, int need) {
    const struct gguf_tensor *t = gguf_find(ld->m->gguf, "%s", name);
    if (!t) {
        if (need)
            fail(ld, "no tensor %s, which a model of architecture %s must have", name,
                 ld->m->shape->arch);
        return NULL;
    }
    ld->used[t - gguf_tensor(ld->m->gguf, 0)] = 1;
    return t;
}

static int check_dims(struct loader *ld, const struct gguf_tensor *t, int64_t cols, int64_t rows,
                      int64_t mats) {
    if (t->ne[0] == cols && t->ne[1] == rows && t->ne[2] == mats && t->ne[3] == 1)
        return 0;
    return fail(ld, "tensor %.*s: expected [%lld, %lld, %lld], found [%lld, %lld, %lld, %lld]",
                (int)t->name.len, t->name.data, (long long)cols, (long long)rows, (long long)mats,
                (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
                (long long)t->ne[3]);
}

static int check_type(struct loader *ld, const struct gguf_tensor *t) {
    if (kern_type_info(t->type))
        return 0;
    const char *name = gguf_type_name(t->type);
    return fail(ld, "tensor %.*s: no kernel for weight type %s (%d)", (int)t->name.len,
                t->name.data, name ? name : "unknown", t->type);
}

/* A vector of n floats, copied out of the file (it is small), or NULL. */
static const float *vector(struct loader *ld, const char *name, int64_t n, int need) {
    const struct gguf_tensor *t = find(ld, name, need);
    if (!t || check_dims(ld, t, n, 1, 1) || check_type(ld, t))
        return NULL;
    float *v = mem_array((size_t)n, sizeof *v);
    kern_dequantize(t->type, t->data, v, n);
    struct model_memory *mem = ld->mem;
    mem->vectors = mem_grow(mem->vectors, mem->n_vectors + 1, sizeof *mem->vectors);
    mem->vectors[mem->n_vectors++] = v;
    return v;
}

static void add_job(struct loader *ld, struct kern_weight *w, const struct gguf_tensor **part,
                    int64_t parts) {
    struct model_memory *mem = ld->mem;
    mem->jobs = mem_grow(mem->jobs, mem->n_jobs + 1, sizeof *mem->jobs);
    mem->jobs[mem->n_jobs++] = (struct job){.weight = w, .part = part, .parts = parts};
}

/* A matrix [rows, cols], or `mats` of them in one tensor. */
static void matrix(struct loader *ld, struct kern_weight *w, const char *name, int64_t rows,
                   int64_t cols, int64_t mats) {
    const struct gguf_tensor *t = find(ld, name, REQUIRED);
    if (!t || check_dims(ld, t, cols, rows, mats) || check_type(ld, t))
        return;
    *w = (struct kern_weight){.type = t->type, .layout = KERN_FILE, .rows = rows, .cols = cols,
                              .mats = mats,
                              .mat_bytes = (size_t)rows * kern_row_bytes(t->type, cols),
                              .data = t->data};
    const struct gguf_tensor **part = mem_array(1, sizeof *part);
    part[0] = t;
    add_job(ld, w, part, 1);
}

/* The experts' matrices: one 3-D tensor, or, in files of early 2024, one tensor per expert. */
static void experts(struct loader *ld, struct kern_weight *w, int layer, const char *what,
                    int64_t rows, int64_t cols, int64_t mats) {
    char name[96];
    snprintf(name, sizeof name, "blk.%d.ffn_%s_exps.weight", layer, what);
    if (gguf_find(ld->m->gguf, "%s", name)
        || !gguf_find(ld->m->gguf, "blk.%d.ffn_%s.0.weight", layer, what)) {
        matrix(ld, w, name, rows, cols, mats);
        return;
    }
    const struct gguf_tensor **part = mem_array((size_t)mats, sizeof *part);
    for (int64_t e = 0; e < mats; e++) {
        snprintf(name, sizeof name, "blk.%d.ffn_%s.%d.weight", layer, what, (int)e);
        part[e] = find(ld, name, REQUIRED);
        if (!part[e] || check_dims(ld, part[e], cols, rows, 1) || check_type(ld, part[e]))
            break;
        if (part[e]->type != part[0]->type)
            fail(ld, "tensor %s: type %s, but expert 0 has %s", name,
                 gguf_type_name(part[e]->type), gguf_type_name(part[0]->type));
    }
    if (ld->failed) {
        free(part);
        return;
    }
    *w = (struct kern_weight){.type = part[0]->type, .layout = KERN_FILE, .rows = rows,
                              .cols = cols, .mats = mats,
                              .mat_bytes = (size_t)rows * kern_row_bytes(part[0]->type, cols)};
    add_job(ld, w, part, mats);
}

/* "blk.N.SUFFIX", in a buffer that lasts until the next call. */
static const char *blk(int layer, const char *suffix) {
    static _Thread_local char name[96];
    snprintf(name, sizeof name, "blk.%d.%s", layer, suffix);
    return name;
}

static void bind_attention(struct loader *ld, int i) {
    const struct shape *s = ld->m->shape;
    const struct shape_layer *sl = &s->layer[i];
    struct model_layer *l = &ld->m->layer[i];
    int64_t d = s->d_model;
    int64_t nq = (int64_t)sl->heads * sl->dk;
    int64_t nk = (int64_t)sl->kv_heads * sl->dk;
    int64_t nv = (int64_t)sl->kv_heads * sl->dv;

    l->attn_norm = vector(ld, blk(i, "attn_norm.weight"), d, REQUIRED);
    matrix(ld, &l->attn_q, blk(i, "attn_q.weight"), nq, d, 1);
    matrix(ld, &l->attn_k, blk(i, "attn_k.weight"), nk, d, 1);
    matrix(ld, &l->attn_v, blk(i, "attn_v.weight"), nv, d, 1);
    matrix(ld, &l->attn_out, blk(i, "attn_output.weight"), d, (int64_t)sl->heads * sl->dv, 1);
    l->attn_q_bias = vector(ld, blk(i, "attn_q.bias"), nq, OPTIONAL);
    l->attn_k_bias = vector(ld, blk(i, "attn_k.bias"), nk, OPTIONAL);
    l->attn_v_bias = vector(ld, blk(i, "attn_v.bias"), nv, OPTIONAL);
    l->attn_out_bias = vector(ld, blk(i, "attn_output.bias"), d, OPTIONAL);
    if (s->qk_norm != SHAPE_QK_NONE) {
        int whole = s->qk_norm == SHAPE_QK_FULL;
        l->attn_q_norm = vector(ld, blk(i, "attn_q_norm.weight"), whole ? nq : sl->dk, REQUIRED);
        l->attn_k_norm = vector(ld, blk(i, "attn_k_norm.weight"), whole ? nk : sl->dk, REQUIRED);
    }
    if (s->post_norms)
        l->attn_post_norm = vector(ld, blk(i, "post_attention_norm.weight"), d, REQUIRED);
    l->attn_sinks = vector(ld, blk(i, "attn_sinks.weight"), sl->heads, OPTIONAL);
}

static void bind_ffn(struct loader *ld, int i) {
    const struct shape *s = ld->m->shape;
    const struct shape_layer *sl = &s->layer[i];
    struct model_layer *l = &ld->m->layer[i];
    int64_t d = s->d_model;

    l->ffn_norm = vector(ld, blk(i, "ffn_norm.weight"), d, REQUIRED);
    if (s->post_norms)
        l->ffn_post_norm = vector(ld, blk(i, "post_ffw_norm.weight"), d, REQUIRED);
    if (sl->d_ff) {
        matrix(ld, &l->ffn_gate, blk(i, "ffn_gate.weight"), sl->d_ff, d, 1);
        matrix(ld, &l->ffn_up, blk(i, "ffn_up.weight"), sl->d_ff, d, 1);
        matrix(ld, &l->ffn_down, blk(i, "ffn_down.weight"), d, sl->d_ff, 1);
    }
    if (sl->experts) {
        matrix(ld, &l->router, blk(i, "ffn_gate_inp.weight"), sl->experts, d, 1);
        l->router_bias = vector(ld, blk(i, "exp_probs_b.bias"), sl->experts, OPTIONAL);
        experts(ld, &l->exp_gate, i, "gate", sl->d_expert, d, sl->experts);
        experts(ld, &l->exp_up, i, "up", sl->d_expert, d, sl->experts);
        experts(ld, &l->exp_down, i, "down", d, sl->d_expert, sl->experts);
    }
    if (sl->d_shared) {
        matrix(ld, &l->sh_gate, blk(i, "ffn_gate_shexp.weight"), sl->d_shared, d, 1);
        matrix(ld, &l->sh_up, blk(i, "ffn_up_shexp.weight"), sl->d_shared, d, 1);
        matrix(ld, &l->sh_down, blk(i, "ffn_down_shexp.weight"), d, sl->d_shared, 1);
        if (s->shared_gate)
            matrix(ld, &l->sh_router, blk(i, "ffn_gate_inp_shexp.weight"), 1, d, 1);
    }
}

/* Every tensor must have found its place: one that has not means that the model computes
 * something that we do not. */
static void check_all_used(struct loader *ld) {
    const struct gguf *g = ld->m->gguf;
    for (uint64_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor(g, i);
        if (!ld->used[i]) {
            fail(ld, "tensor %.*s is not part of architecture %s as this program knows it",
                 (int)t->name.len, t->name.data, ld->m->shape->arch);
            return;
        }
    }
}

static int bind(struct loader *ld) {
    struct model *m = ld->m;
    const struct shape *s = m->shape;
    matrix(ld, &m->embed, "token_embd.weight", s->vocab, s->d_model, 1);
    m->out_norm = vector(ld, "output_norm.weight", s->d_model, REQUIRED);
    if (!s->tied)
        matrix(ld, &m->head, "output.weight", s->vocab, s->d_model, 1);
    if (s->rope[0].dims)
        m->rope_factors = vector(ld, "rope_freqs.weight", s->rope[0].dims / 2, OPTIONAL);
    for (int i = 0; i < s->layers && !ld->failed; i++) {
        bind_attention(ld, i);
        bind_ffn(ld, i);
    }
    if (!ld->failed)
        check_all_used(ld);
    return ld->failed ? -1 : 0;
}

/* ---- placing ----------------------------------------------------------------------------- */

/* An embedding that is not the head too is only ever read a row at a time: it stays mapped. */
static int stays_mapped(const struct loader *ld, const struct job *j) {
    if (j->weight == &ld->m->embed && !ld->m->shape->tied)
        return 1;
    return ld->opt->no_pack && j->parts == 1;
}

struct place {
    const struct job *job;
    char *dst;
    int pack;
};

/* The panels of all matrices of a job, in one row, cut evenly among the threads. */
static void place_part(void *arg, int ith, int nth) {
    const struct place *p = arg;
    const struct kern_weight *w = p->job->weight;
    int64_t panels = (w->rows + KERN_PANEL - 1) / KERN_PANEL;
    int64_t total = panels * w->mats;
    int64_t begin = total * ith / nth;
    int64_t end = total * (ith + 1) / nth;
    size_t src_bytes = (size_t)w->rows * kern_row_bytes(w->type, w->cols);
    while (begin < end) {
        int64_t mat = begin / panels;
        int64_t p0 = begin % panels;
        int64_t p1 = p0 + (end - begin) < panels ? p0 + (end - begin) : panels;
        const char *src = p->job->parts > 1 ? (const char *)p->job->part[mat]->data
                        : (const char *)p->job->part[0]->data + (size_t)mat * src_bytes;
        char *dst = p->dst + (size_t)mat * w->mat_bytes;
        if (p->pack)
            kern_pack(w->type, w->rows, w->cols, src, dst, p0, p1);
        else if (p0 == 0)
            memcpy(dst, src, src_bytes);
        begin += p1 - p0;
    }
}

static void place_job(struct loader *ld, const struct job *j) {
    struct place p = {.job = j, .dst = ld->mem->arena + j->offset, .pack = !ld->opt->no_pack};
    if (ld->opt->par)
        par_run(ld->opt->par, place_part, &p);
    else
        place_part(&p, 0, 1);
    for (int64_t i = 0; i < j->parts; i++)
        gguf_drop(ld->m->gguf, j->part[i]);
    j->weight->data = p.dst;
}

static int place_all(struct loader *ld) {
    struct model_memory *mem = ld->mem;
    size_t total = 0;
    for (size_t i = 0; i < mem->n_jobs; i++) {
        struct job *j = &mem->jobs[i];
        struct kern_weight *w = j->weight;
        if (stays_mapped(ld, j))
            continue;
        if (!ld->opt->no_pack) {
            w->layout = KERN_PACKED;
            w->mat_bytes = (kern_pack_bytes(w->type, w->rows, w->cols) + 63) / 64 * 64;
        }
        j->offset = total;
        total += (w->mat_bytes * (size_t)w->mats + 4095) / 4096 * 4096;
    }
    mem->arena_bytes = total;
    if (total && !(mem->arena = mem_map(total)))
        return fail(ld, "no memory for %zu MiB of weights", total >> 20);
    size_t done = 0;
    for (size_t i = 0; i < mem->n_jobs; i++) {
        const struct job *j = &mem->jobs[i];
        if (stays_mapped(ld, j))
            continue;
        place_job(ld, j);
        done += j->weight->mat_bytes * (size_t)j->weight->mats;
        if (ld->opt->progress)
            ld->opt->progress(ld->opt->arg, (int64_t)done, (int64_t)total);
    }
    ld->m->packed_bytes = total;
    return 0;
}

/* ---- public ------------------------------------------------------------------------------- */

struct model *model_open(const char *path, const struct model_options *opt, struct err *err) {
    static const struct model_options none;
    int64_t start = clock_ns();
    struct model *m = mem_alloc(sizeof *m);
    m->memory = mem_alloc(sizeof *m->memory);
    struct loader ld = {.m = m, .mem = m->memory, .opt = opt ? opt : &none, .path = path,
                        .err = err};
    m->gguf = gguf_open(path, err);
    if (!m->gguf)
        goto failed;
    m->shape = shape_from_gguf(m->gguf, err);
    if (!m->shape)
        goto failed;
    m->layer = mem_array((size_t)m->shape->layers, sizeof *m->layer);
    ld.used = mem_array(gguf_tensor_count(m->gguf), 1);
    if (bind(&ld) || place_all(&ld))
        goto failed;
    if (m->shape->tied)
        m->head = m->embed;
    free(ld.used);
    m->load_ns = clock_ns() - start;
    return m;

failed:
    free(ld.used);
    model_close(m);
    return NULL;
}

const struct gguf_tensor *const *model_weight_tensors(const struct model *m,
                                                      const struct kern_weight *w, int64_t *n) {
    const struct model_memory *mem = m->memory;
    if (w == &m->head && m->shape->tied)
        w = &m->embed;
    for (size_t i = 0; i < mem->n_jobs; i++)
        if (mem->jobs[i].weight == w) {
            *n = mem->jobs[i].parts;
            return mem->jobs[i].part;
        }
    return NULL;
}

void model_close(struct model *m) {
    if (!m)
        return;
    struct model_memory *mem = m->memory;
    for (size_t i = 0; i < mem->n_jobs; i++)
        free(mem->jobs[i].part);
    for (size_t i = 0; i < mem->n_vectors; i++)
        free(mem->vectors[i]);
    free(mem->jobs);
    free(mem->vectors);
    if (mem->arena)
        mem_unmap(mem->arena, mem->arena_bytes);
    free(mem);
    free(m->layer);
    shape_free(m->shape);
    gguf_close(m->gguf);
    free(m);
}
