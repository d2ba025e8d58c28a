/* ftype_rules.c - which tensors of a mix get another type than the rest
 *
 * llama.cpp's choices (llama-quant.cpp, llama_tensor_get_type_impl) as one table: the first row
 * whose role, mix and condition hold decides. Layers are counted as there: in models with experts
 * by the number in the name, in others by how many tensors of that role came before, in the order
 * of ftype_order.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/quant/ftype.h"
#include "lib/quant/ftype_impl.h"

enum role { OTHER, OUTPUT, EMBEDDING, ATTN_V, ATTN_K, ATTN_OUT, FFN_DOWN };

/* The first part that a name contains tells the role; whole names come before parts. */
static const struct {
    const char *part;
    enum role role;
} roles[] = {
    {"attn_qkv.weight", ATTN_V},    {"attn_kv_b.weight", ATTN_V}, {"attn_v.weight", ATTN_V},
    {"attn_k.weight", ATTN_K},      {"attn_q.weight", OTHER},     {"attn_output.weight", ATTN_OUT},
    {"ffn_up", OTHER},              {"ffn_gate", OTHER},          {"ffn_down", FFN_DOWN},
};

static const char *const role_names[] = {
    [OTHER] = "default", [OUTPUT] = "output", [EMBEDDING] = "embedding", [ATTN_V] = "attn_v",
    [ATTN_K] = "attn_k", [ATTN_OUT] = "attn_output", [FFN_DOWN] = "ffn_down",
};

enum condition {
    ALWAYS,
    GQA,                        /* four or more query heads share a key */
    EIGHT_EXPERTS,              /* exactly: Mixtral's number */
    MORE_BITS,                  /* first and last eighth of the layers, and every third between */
    FIRST_2, FIRST_4,           /* layers */
    FIRST_8TH, FIRST_16TH,      /* of the layers */
    IMPORTANT_8TH, PLAIN_8TH    /* first eighth, with importance and without */
};

#define ANY (-1)
enum model { ALL, FALCON, NO_FALCON };

struct rule {
    enum role role;
    int mix;                    /* file type, ANY */
    enum condition when;
    int type;
    enum model model;
};

static const struct rule rules[] = {
    {EMBEDDING, FTYPE_TQ2_0, ALWAYS, KERN_Q4_K, ALL},

    {ATTN_V, ANY, EIGHT_EXPERTS, KERN_Q8_0, ALL},
    {ATTN_V, FTYPE_Q2_K, GQA, KERN_Q4_K, ALL},
    {ATTN_V, FTYPE_Q2_K, ALWAYS, KERN_Q3_K, ALL},
    {ATTN_V, FTYPE_Q2_K_S, GQA, KERN_Q4_K, ALL},
    {ATTN_V, FTYPE_Q3_K_M, FIRST_2, KERN_Q5_K, ALL},
    {ATTN_V, FTYPE_Q3_K_M, ALWAYS, KERN_Q4_K, ALL},
    {ATTN_V, FTYPE_Q3_K_L, ALWAYS, KERN_Q5_K, ALL},
    {ATTN_V, FTYPE_IQ4_NL, GQA, KERN_Q5_K, ALL},
    {ATTN_V, FTYPE_IQ4_XS, GQA, KERN_Q5_K, ALL},
    {ATTN_V, FTYPE_Q4_K_M, MORE_BITS, KERN_Q6_K, ALL},
    {ATTN_V, FTYPE_Q5_K_M, MORE_BITS, KERN_Q6_K, ALL},
    {ATTN_V, FTYPE_Q4_K_S, FIRST_4, KERN_Q5_K, ALL},

    {ATTN_K, ANY, EIGHT_EXPERTS, KERN_Q8_0, ALL},

    {FFN_DOWN, FTYPE_Q2_K, ALWAYS, KERN_Q3_K, ALL},
    {FFN_DOWN, FTYPE_Q2_K_S, FIRST_8TH, KERN_Q4_K, ALL},
    {FFN_DOWN, FTYPE_Q3_K_M, FIRST_16TH, KERN_Q5_K, ALL},
    {FFN_DOWN, FTYPE_Q3_K_M, MORE_BITS, KERN_Q4_K, FALCON},
    {FFN_DOWN, FTYPE_Q3_K_M, ALWAYS, KERN_Q4_K, NO_FALCON},
    {FFN_DOWN, FTYPE_Q3_K_L, ALWAYS, KERN_Q4_K, FALCON},
    {FFN_DOWN, FTYPE_Q3_K_L, ALWAYS, KERN_Q5_K, NO_FALCON},
    {FFN_DOWN, FTYPE_Q4_K_M, FIRST_16TH, KERN_Q6_K, FALCON},
    {FFN_DOWN, FTYPE_Q4_K_M, MORE_BITS, KERN_Q5_K, FALCON},
    {FFN_DOWN, FTYPE_Q4_K_M, MORE_BITS, KERN_Q6_K, NO_FALCON},
    {FFN_DOWN, FTYPE_IQ4_NL, PLAIN_8TH, KERN_Q5_K, ALL},
    {FFN_DOWN, FTYPE_IQ4_XS, PLAIN_8TH, KERN_Q5_K, ALL},
    {FFN_DOWN, FTYPE_Q5_K_M, MORE_BITS, KERN_Q6_K, ALL},
    {FFN_DOWN, FTYPE_Q4_K_S, FIRST_8TH, KERN_Q5_K, NO_FALCON},
    {FFN_DOWN, FTYPE_Q4_0, IMPORTANT_8TH, KERN_Q4_1, ALL},
    {FFN_DOWN, FTYPE_Q5_0, IMPORTANT_8TH, KERN_Q5_1, ALL},

    {ATTN_OUT, FTYPE_Q3_K_L, ALWAYS, KERN_Q4_K, FALCON},
    {ATTN_OUT, FTYPE_Q2_K, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q3_K_S, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q3_K_M, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q4_K_S, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q4_K_M, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_IQ4_NL, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_IQ4_XS, EIGHT_EXPERTS, KERN_Q5_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q3_K_L, EIGHT_EXPERTS, KERN_Q3_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q2_K, ALWAYS, KERN_Q3_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q3_K_M, ALWAYS, KERN_Q4_K, NO_FALCON},
    {ATTN_OUT, FTYPE_Q3_K_L, ALWAYS, KERN_Q5_K, NO_FALCON},
};

/* ---- the model -------------------------------------------------------------------------- */

struct state {
    const struct ftype_options *o;
    const struct source *s;
    int layers, experts, gqa;
    int falcon;
    int large;                  /* llama.cpp's "70B": attn_v is so small that it gets more */
    int tied;                   /* the output is the embedding matrix */
    int v, vs;                  /* attn_v so far, and in all */
    int downs;                  /* ffn_down so far */
};

static enum role role_of(const char *name) {
    if (!strcmp(name, "output.weight"))
        return OUTPUT;
    if (!strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight"))
        return EMBEDDING;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strstr(name, roles[i].part))
            return roles[i].role;
    return OTHER;
}

static int is_large(const struct state *st, int heads, int kv_heads) {
    static const struct {
        const char *arch;
        int layers;
    } large[] = {{"deci", 80}, {"olmo", 80}, {"qwen2", 80}, {"jais2", 68}};
    if (!strcmp(st->s->arch, "llama"))
        return st->layers == 80 && heads != kv_heads;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        if (!strcmp(st->s->arch, large[i].arch))
            return st->layers == large[i].layers;
    return 0;
}

static void read_model(struct state *st) {
    const struct source *s = st->s;
    int heads = s->heads, kv_heads = s->kv_heads;
    st->layers = s->layers;
    st->experts = s->experts;
    if (!st->layers && s->shape && s->shape->layers) {
        st->layers = s->shape->layers;
        heads = s->shape->layer[0].heads;
        kv_heads = s->shape->layer[0].kv_heads;
        for (int i = 0; i < st->layers; i++)
            if (s->shape->layer[i].experts > st->experts)
                st->experts = s->shape->layer[i].experts;
    }
    st->gqa = kv_heads ? heads / kv_heads : 0;
    st->falcon = !strcmp(s->arch, "falcon");
    st->large = is_large(st, heads, kv_heads);
    st->tied = 1;
    for (uint64_t i = 0; i < s->tensors; i++) {
        enum role role = role_of(s->tensor[i].name);
        st->vs += role == ATTN_V;
        st->tied &= role != OUTPUT;
    }
}

/* ---- one tensor ------------------------------------------------------------------------- */

static int more_bits(int layer, int layers) {
    return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

static int holds(const struct state *st, enum condition when, int layer, int layers) {
    switch (when) {
    case ALWAYS: return 1;
    case GQA: return st->gqa >= 4;
    case EIGHT_EXPERTS: return st->experts == 8;
    case MORE_BITS: return more_bits(layer, layers);
    case FIRST_2: return layer < 2;
    case FIRST_4: return layer < 4;
    case FIRST_8TH: return layer < layers / 8;
    case FIRST_16TH: return layer < layers / 16;
    case IMPORTANT_8TH: return st->o->imatrix && layer < layers / 8;
    case PLAIN_8TH: return !st->o->imatrix && layer < layers / 8;
    }
    return 0;
}

static const struct rule *find_rule(const struct state *st, enum role role, int layer,
                                    int layers) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *r = &rules[i];
        if (r->role == role && (r->mix == ANY || r->mix == st->o->mix->file_type) &&
            (r->model == ALL || (r->model == FALCON) == st->falcon) &&
            holds(st, r->when, layer, layers))
            return r;
    }
    return NULL;
}

/* The head, or the embeddings where these are the head, too. */
static struct ftype_choice choose_output(const struct state *st, const struct source_tensor *t,
                                         enum role role) {
    const char *why = role == OUTPUT ? "output" : "tied output";
    int type = st->o->mix->type;
    if (st->o->mix->file_type == FTYPE_MXFP4_MOE || st->falcon ||
             t->ne[0] % kern_type_info(type)->block)
        type = KERN_Q8_0;
    else if (type != KERN_Q8_0)
        type = KERN_Q6_K;
    return (struct ftype_choice){.wanted = type, .why = why};
}

static struct ftype_choice choose_experts(const struct state *st, const struct source_tensor *t) {
    /* MLA's projections of that architecture have three dimensions as well. */
    int experts = t->ne[2] > 1 && (strcmp(st->s->arch, "bailingmoe3") || strstr(t->name, "ffn_"));
    return (struct ftype_choice){.wanted = experts ? KERN_MXFP4 : KERN_Q8_0,
                                 .why = experts ? "experts" : "no experts"};
}

/* Which layer this is to the rules; counts on. */
static int count_layer(struct state *st, const char *name, enum role role, int *layers) {
    int layer = ftype_layer(name);
    *layers = st->layers;
    if (role == ATTN_V) {
        *layers = st->vs;
        return st->v++;
    }
    if (role == FFN_DOWN && st->experts <= 1)
        layer = st->downs++;
    return layer < 0 ? 0 : layer;
}

/* Of llama.cpp's own exceptions by architecture: a floor under small, much used projections. */
static int has_floor(const struct source *s, const char *name) {
    return !strcmp(s->arch, "glm5-next") &&
           (strstr(name, "attn_q_a") || strstr(name, "attn_q_b") || strstr(name, "nextn.eh_proj"));
}

static struct ftype_choice by_rules(struct state *st, const struct source_tensor *t) {
    enum role role = role_of(t->name);
    if (has_floor(st->s, t->name))
        return (struct ftype_choice){.wanted = KERN_Q8_0, .why = "floor"};
    if (role == OUTPUT || (role == EMBEDDING && st->tied))
        return choose_output(st, t, role);
    if (st->o->mix->file_type == FTYPE_MXFP4_MOE)
        return choose_experts(st, t);
    int layers;
    int layer = count_layer(st, t->name, role, &layers);
    const struct rule *r = find_rule(st, role, layer, layers);
    struct ftype_choice c = {.wanted = r ? r->type : st->o->mix->type,
                             .why = r ? role_names[role] : "default"};
    if (role == ATTN_V && st->large && (c.wanted == KERN_Q3_K || c.wanted == KERN_Q4_K))
        c = (struct ftype_choice){.wanted = KERN_Q5_K, .why = "attn_v"};
    return c;
}

static struct ftype_choice choose(struct state *st, const struct source_tensor *t) {
    const struct ftype_options *o = st->o;
    const char *stays = ftype_stays(st->s, t);
    enum role role = role_of(t->name);
    if (stays)
        return (struct ftype_choice){.type = t->type, .wanted = t->type, .why = stays};
    struct ftype_choice c = {.wanted = o->mix->type, .why = "default"};
    if (role == EMBEDDING && o->embedding >= 0)
        c = (struct ftype_choice){.wanted = o->embedding, .why = "--embedding-type"};
    else if ((role == OUTPUT || (role == EMBEDDING && st->tied)) && o->output >= 0)
        c = (struct ftype_choice){.wanted = o->output, .why = "--output-type"};
    else if (!o->pure && kern_type_info(o->mix->type)->block > 1)
        c = by_rules(st, t);
    c.type = ftype_fallback(c.wanted, t->ne[0]);
    return c;
}

/* ---- all of them ------------------------------------------------------------------------ */

void ftype_choose(const struct ftype_options *o, const struct source *s,
                  struct ftype_choice *out) {
    struct state st = {.o = o, .s = s};
    uint64_t *order = mem_array((size_t)s->tensors, sizeof *order);
    read_model(&st);
    ftype_order(s, order);
    for (uint64_t i = 0; i < s->tensors; i++)
        out[order[i]] = choose(&st, &s->tensor[order[i]]);
    free(order);
}

void ftype_assign(const struct ftype *f, const struct source *s, int imatrix, int *type) {
    const struct ftype_options o = {.mix = f, .imatrix = imatrix, .output = -1, .embedding = -1};
    struct ftype_choice *c = mem_array((size_t)s->tensors, sizeof *c);
    ftype_choose(&o, s, c);
    for (uint64_t i = 0; i < s->tensors; i++)
        type[i] = c[i].type;
    free(c);
}

int ftype_needs_imatrix(const struct ftype *f, const struct source_tensor *t, int type) {
    enum role role = role_of(t->name);
    return f->file_type == FTYPE_Q2_K_S && type == KERN_Q2_K && role != OUTPUT &&
           role != EMBEDDING;
}
