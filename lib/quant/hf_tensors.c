/* hf_tensors.c - which tensor of a folder becomes which tensor of the GGUF
 *
 * Names are taken apart (hf_rules.c) and gathered: experts, one tensor each or all in one, become
 * one tensor. The order is that of llama.cpp's converter: files by name, tensors by name, an
 * experts' tensor where its last piece stands.
 */
#include "lib/quant/hf_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"

/* A tensor of the GGUF while its pieces are found. */
struct gather {
    struct source_tensor t;
    struct hf_tensor h;
    int64_t found;              /* pieces */
    int experts;                /* it is a stack of them */
    uint64_t last;              /* position of the last piece */
    int order;
};

struct mapper {
    struct hf *h;
    struct gather *g;
    size_t n;
    uint32_t *slot;             /* [layers + 1][HF_SLOTS]: index into g plus 1; row 0: no layer */
    uint64_t promised;          /* pieces that the gathers ask for */
    struct err *err;
};

static int fail(const struct mapper *m, const struct st_tensor *t, const char *what) {
    return err_set(m->err, "%s: tensor \"%.80s\": %s", m->h->source.path, t->name, what);
}

/* ---- gathering -------------------------------------------------------------------------- */

int hf_type(const struct st_tensor *t) {
    return t->dtype == ST_F32 ? KERN_F32 : t->dtype == ST_F16 ? KERN_F16
         : t->dtype == ST_BF16 ? KERN_BF16 : -1;
}

/* The gather of a target, made when there is none. A model that is whole has as many tensors as its
 * gathers ask for: what asks for more is refused before memory is taken. stacked: one tensor holds
 * all. */
static struct gather *find_gather(struct mapper *m, int layer, const char *to, int64_t mats,
                                  int stacked, const struct st_tensor *t) {
    uint32_t *slot = &m->slot[(layer + 1) * HF_SLOTS + hf_slot(layer, to)];
    if (*slot && m->g[*slot - 1].h.mats == mats)
        return &m->g[*slot - 1];
    m->promised += stacked ? 1 : (uint64_t)mats;
    if (*slot || m->promised > 2 * st_count(m->h->set)) {
        fail(m, t, *slot ? "another tensor of the folder says the same"
                         : "config.json promises more experts than there are tensors");
        return NULL;
    }
    m->g = mem_grow(m->g, m->n + 1, sizeof *m->g);
    struct gather *g = &m->g[m->n++];
    *g = (struct gather){.h = {.mats = mats}};
    g->h.name = layer < 0 ? mem_strdup(to) : mem_printf("blk.%d.%s", layer, to);
    g->h.origin = mem_array((size_t)mats, sizeof *g->h.origin);
    *slot = (uint32_t)m->n;
    return g;
}

/* Matrix `mat` of g is rows [first, first + rows) of t. */
static int add_piece(struct mapper *m, struct gather *g, const struct hf_rule *r,
                     const struct st_tensor *t, int64_t mat, int64_t first, int64_t rows,
                     uint64_t at) {
    const struct hf_config *c = &m->h->config;
    int64_t cols = t->shape[t->dims - 1];
    struct hf_origin *o = &g->h.origin[mat];
    if (o->tensor)
        return fail(m, t, "another tensor of the folder says the same");
    if (g->found && (g->t.ne[0] != cols || g->h.mat_rows != rows))
        return fail(m, t, "its shape is not that of the other experts");
    *o = (struct hf_origin){.tensor = t, .first = first};
    if (r->flags & (HF_PERMUTE_Q | HF_PERMUTE_K) && c->family->permuted)
        o->permuted_heads = r->flags & HF_PERMUTE_Q ? c->heads : c->kv_heads;
    /* A bias is a row of elements: those are permuted, see source_hf.c. */
    if (o->permuted_heads && (t->dims == 1 ? cols : rows) % (2 * (int64_t)o->permuted_heads))
        return fail(m, t, "rows that the heads do not share evenly");
    if (r->flags & HF_NORM)
        o->added = c->family->norm_added;
    if (!g->found++)
        g->t.ne[0] = cols;
    g->h.mat_rows = rows;
    /* Of experts in several types the one that holds all. */
    int type = r->flags & HF_F32 ? KERN_F32 : hf_type(t);
    g->t.type = g->found > 1 && g->t.type != type ? KERN_F32 : type;
    g->last = at;
    g->order = r->order;
    g->experts = (r->flags & HF_EXPERT) != 0;
    return 0;
}

/* One tensor with all experts: [experts][rows][cols], for HF_GATE_UP rows of both. */
static int add_stack(struct mapper *m, const struct hf_place *p, const struct st_tensor *t,
                     uint64_t at) {
    static const char *const halves[] = {"ffn_gate_exps.weight", "ffn_up_exps.weight"};
    int fused = (p->rule->flags & HF_GATE_UP) != 0;
    int64_t experts = m->h->config.experts;
    if (t->dims != 3 || t->shape[0] != experts || (fused && t->shape[1] % 2))
        return fail(m, t, "expected [experts][rows][cols], rows even where gate and up share them");
    int64_t rows = t->shape[1] / (fused ? 2 : 1);
    for (int half = 0; half <= fused; half++) {
        struct gather *g = find_gather(m, p->layer, fused ? halves[half] : p->rule->to, experts, 1,
                                       t);
        for (int64_t e = 0; g && e < experts; e++)
            if (add_piece(m, g, p->rule, t, e, e * t->shape[1] + half * rows, rows, at))
                return -1;
        if (!g)
            return -1;
        g->order = half;
    }
    return 0;
}

/* A vector, a matrix or one expert's matrix. */
static int add_plain(struct mapper *m, const struct hf_place *p, const struct st_tensor *t,
                     uint64_t at) {
    int expert = (p->rule->flags & HF_EXPERT) != 0;
    if (t->dims > 2 || (expert && t->dims != 2))
        return fail(m, t, "expected a matrix");
    if (p->expert >= m->h->config.experts)
        return fail(m, t, "config.json says that there are fewer experts");
    struct gather *g = find_gather(m, p->layer, p->rule->to, expert ? m->h->config.experts : 1, 0,
                                   t);
    if (!g)
        return -1;
    g->t.dims = t->dims;
    return add_piece(m, g, p->rule, t, expert ? p->expert : 0, 0, t->dims == 2 ? t->shape[0] : 1,
                     at);
}

static int add_tensor(struct mapper *m, const struct st_tensor *t, uint64_t at) {
    const struct hf_config *c = &m->h->config;
    struct hf_place p;
    char what[96];
    int64_t elements = 1;
    if (hf_ignores(t->name, c))
        return 0;
    if (hf_parse_name(t->name, !strcmp(c->family->arch, "gemma3"), &p))
        return fail(m, t, "no part of the architectures that are known");
    if (p.layer >= c->layers)
        return fail(m, t, "config.json says that there are fewer layers");
    snprintf(what, sizeof what, "expected F32, F16 or BF16, found %s", st_dtype_name(t->dtype));
    if (hf_type(t) < 0)
        return fail(m, t, what);
    for (int i = 0; i < t->dims; i++)
        elements *= t->shape[i];
    if (t->dims < 1 || !elements)
        return fail(m, t, "expected elements, found none");
    return p.rule->flags & HF_EXPERT && p.expert < 0 ? add_stack(m, &p, t, at)
                                                  : add_plain(m, &p, t, at);
}

/* ---- the list --------------------------------------------------------------------------- */

static int by_part_and_name(const void *a, const void *b) {
    const struct st_tensor *s = *(const struct st_tensor *const *)a;
    const struct st_tensor *t = *(const struct st_tensor *const *)b;
    return s->part != t->part ? (s->part > t->part) - (s->part < t->part)
                              : strcmp(s->name, t->name);
}

static int by_place(const void *a, const void *b) {
    const struct gather *f = a;
    const struct gather *g = b;
    return f->last != g->last ? (f->last > g->last) - (f->last < g->last) : f->order - g->order;
}

static int gather_all(struct mapper *m) {
    const struct st_set *set = m->h->set;
    uint64_t n = st_count(set);
    const struct st_tensor **sorted = mem_array((size_t)n + 1, sizeof *sorted);
    int rc = 0;
    for (uint64_t i = 0; i < n; i++)
        sorted[i] = st_tensor(set, i);
    qsort(sorted, (size_t)n, sizeof *sorted, by_part_and_name);
    for (uint64_t i = 0; !rc && i < n; i++)
        rc = add_tensor(m, sorted[i], i);
    for (size_t i = 0; !rc && i < m->n; i++)
        if (m->g[i].found != m->g[i].h.mats)
            rc = err_set(m->err, "%s: %s: expected %" PRId64 " experts, found %" PRId64,
                         m->h->source.path, m->g[i].h.name, m->g[i].h.mats, m->g[i].found);
    free(sorted);
    return rc;
}

/* The tensor that no folder has: by what Llama 3 divides frequencies. */
static int add_rope_factors(struct mapper *m) {
    float *made;
    if (hf_rope_factors(&m->h->config, &made))
        return -1;
    if (!made)
        return 0;
    m->g = mem_grow(m->g, m->n + 1, sizeof *m->g);
    m->g[m->n++] = (struct gather){
        .t = {.type = KERN_F32, .dims = 1, .ne = {m->h->config.head_dim / 2}},
        .h = {.name = mem_strdup("rope_freqs.weight"), .mats = 1, .mat_rows = 1, .made = made},
        .found = 1, .order = -1};
    return 0;
}

/* Fills the rest of every tensor and hands the list over. */
static void finish(struct mapper *m) {
    struct hf *h = m->h;
    if (m->n)
        qsort(m->g, m->n, sizeof *m->g, by_place);
    h->source.tensor = mem_array(m->n + 1, sizeof *h->source.tensor);
    h->tensor = mem_array(m->n + 1, sizeof *h->tensor);
    for (size_t i = 0; i < m->n; i++) {
        struct source_tensor *t = &h->source.tensor[i];
        *t = m->g[i].t;
        h->tensor[i] = m->g[i].h;
        t->name = h->tensor[i].name;
        if (m->g[i].experts)
            t->dims = 3;
        t->ne[1] = h->tensor[i].mat_rows;
        t->ne[2] = h->tensor[i].mats;
        t->ne[3] = 1;
        t->rows = t->ne[1] * t->ne[2];
        t->bytes = (size_t)t->rows * kern_row_bytes(t->type, t->ne[0]);
    }
    h->source.tensors = m->n;
}

int hf_map_tensors(struct hf *h, struct err *err) {
    struct mapper m = {.h = h, .err = err};
    m.slot = mem_array(((size_t)h->config.layers + 1) * HF_SLOTS, sizeof *m.slot);
    int rc = add_rope_factors(&m) || gather_all(&m) ? -1 : 0;
    finish(&m);                 /* what there is, so that hf_free_tensors finds it */
    free(m.slot);
    free(m.g);
    return rc ? rc : hf_check_tensors(h, err);
}

void hf_free_tensors(struct hf *h) {
    for (uint64_t i = 0; i < h->source.tensors; i++) {
        free(h->tensor[i].name);
        free(h->tensor[i].origin);
        free(h->tensor[i].made);
    }
    free(h->source.tensor);
    free(h->tensor);
}
