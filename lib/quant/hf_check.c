/* hf_check.c - the tensors that a folder must have, and their shapes by config.json */
#include "lib/quant/hf_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Widths by name; what has none is not compared. */
enum width { ANY, ONE, VOCAB, MODEL, Q, KV, HEAD, FF, EXPERT_FF, SHARED_FF, EXPERTS };

enum {
    DENSE = 1, MIXTURE = 2, SHARED = 4, HEAD_NORMS = 8, FULL_NORMS = 16, POST_NORMS = 32,
    UNTIED = 64, QKV_BIAS = 128
};

struct need {
    const char *name;
    enum width cols, rows;
    int when;                   /* 0: always; else what the model has */
};

static const struct need outer[] = {
    {"token_embd.weight", MODEL, VOCAB, 0},
    {"output_norm.weight", MODEL, ONE, 0},
    {"output.weight", MODEL, VOCAB, UNTIED},
};
static const struct need inner[] = {
    {"attn_norm.weight", MODEL, ONE, 0},
    {"attn_q.weight", MODEL, Q, 0},
    {"attn_k.weight", MODEL, KV, 0},
    {"attn_v.weight", MODEL, KV, 0},
    {"attn_output.weight", Q, MODEL, 0},
    {"attn_q.bias", Q, ONE, QKV_BIAS},
    {"attn_k.bias", KV, ONE, QKV_BIAS},
    {"attn_v.bias", KV, ONE, QKV_BIAS},
    {"attn_q_norm.weight", HEAD, ONE, HEAD_NORMS},
    {"attn_k_norm.weight", HEAD, ONE, HEAD_NORMS},
    {"attn_q_norm.weight", Q, ONE, FULL_NORMS},
    {"attn_k_norm.weight", KV, ONE, FULL_NORMS},
    {"post_attention_norm.weight", MODEL, ONE, POST_NORMS},
    {"ffn_norm.weight", MODEL, ONE, 0},
    {"post_ffw_norm.weight", MODEL, ONE, POST_NORMS},
    {"ffn_gate.weight", MODEL, FF, DENSE},
    {"ffn_up.weight", MODEL, FF, DENSE},
    {"ffn_down.weight", FF, MODEL, DENSE},
    {"ffn_gate_inp.weight", MODEL, EXPERTS, MIXTURE},
    {"ffn_gate_exps.weight", MODEL, EXPERT_FF, MIXTURE},
    {"ffn_up_exps.weight", MODEL, EXPERT_FF, MIXTURE},
    {"ffn_down_exps.weight", EXPERT_FF, MODEL, MIXTURE},
    {"ffn_gate_inp_shexp.weight", MODEL, ONE, SHARED},
    {"ffn_gate_shexp.weight", MODEL, SHARED_FF, SHARED},
    {"ffn_up_shexp.weight", MODEL, SHARED_FF, SHARED},
    {"ffn_down_shexp.weight", SHARED_FF, MODEL, SHARED},
};

struct check {
    const struct hf *h;
    const struct source_tensor **sorted;    /* by name */
    int64_t width[EXPERTS + 1];
    int has;
    struct err *err;
};

static void read_widths(struct check *k) {
    const struct hf_config *c = &k->h->config;
    struct fields f = c->text;
    int64_t ff = fields_int_or(&f, "intermediate_size", 1, 1, INT32_MAX);
    k->width[ONE] = 1;
    k->width[VOCAB] = c->vocab;
    k->width[MODEL] = c->d_model;
    k->width[Q] = (int64_t)c->heads * c->head_dim;
    k->width[KV] = (int64_t)c->kv_heads * c->head_dim;
    k->width[HEAD] = c->head_dim;
    k->width[FF] = ff;
    k->width[EXPERT_FF] = fields_int_or(&f, "moe_intermediate_size", ff, 1, INT32_MAX);
    k->width[SHARED_FF] = fields_int_or(&f, "shared_expert_intermediate_size", ff, 1, INT32_MAX);
    k->width[EXPERTS] = c->experts;
}

static int what_it_has(const struct hf_config *c) {
    const char *arch = c->family->arch;
    int has = c->experts ? MIXTURE : DENSE;
    if (!c->tied)
        has |= UNTIED;
    if (!strcmp(arch, "qwen2moe"))
        has |= SHARED;
    if (!strncmp(arch, "qwen2", 5))
        has |= QKV_BIAS;
    if (!strcmp(arch, "gemma3"))
        has |= POST_NORMS;
    if (!strcmp(arch, "gemma3") || !strncmp(arch, "qwen3", 5))
        has |= HEAD_NORMS;
    if (!strcmp(arch, "olmoe"))
        has |= FULL_NORMS;
    return has;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const struct source_tensor *const *)a)->name,
                  (*(const struct source_tensor *const *)b)->name);
}

static const struct source_tensor *find(const struct check *k, const char *name) {
    const struct source_tensor want = {.name = name};
    const struct source_tensor *key = &want;
    const struct source_tensor **at = bsearch(&key, k->sorted, (size_t)k->h->source.tensors,
                                              sizeof *k->sorted, by_name);
    return at ? *at : NULL;
}

static int check_one(struct check *k, const struct need *n, int layer) {
    char name[96];
    int needed = !n->when || (n->when & k->has);
    if (layer < 0)
        snprintf(name, sizeof name, "%s", n->name);
    else
        snprintf(name, sizeof name, "blk.%d.%s", layer, n->name);
    const struct source_tensor *t = find(k, name);
    if (!t)
        return needed ? err_set(k->err, "%s: no tensor for %s, which a model of type %s must have",
                                k->h->source.path, name, k->h->config.family->type)
                      : 0;
    if (n->when & (HEAD_NORMS | FULL_NORMS) && !needed)
        return 0;
    if (t->ne[0] == k->width[n->cols] && t->ne[1] == k->width[n->rows])
        return 0;
    return err_set(k->err, "%s: %s: expected %" PRId64 " rows of %" PRId64 " by config.json, found "
                   "%" PRId64 " of %" PRId64, k->h->source.path, name, k->width[n->rows],
                   k->width[n->cols], t->ne[1], t->ne[0]);
}

static int check_all(struct check *k) {
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        if (check_one(k, &outer[i], -1))
            return -1;
    for (int l = 0; l < k->h->config.layers; l++)
        for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
            if (check_one(k, &inner[i], l))
                return -1;
    return 0;
}

int hf_check_tensors(const struct hf *h, struct err *err) {
    struct check k = {.h = h, .has = what_it_has(&h->config), .err = err};
    k.sorted = mem_array((size_t)h->source.tensors + 1, sizeof *k.sorted);
    for (uint64_t i = 0; i < h->source.tensors; i++)
        k.sorted[i] = &h->source.tensor[i];
    qsort(k.sorted, (size_t)h->source.tensors, sizeof *k.sorted, by_name);
    read_widths(&k);
    int rc = check_all(&k);
    free(k.sorted);
    return rc;
}
