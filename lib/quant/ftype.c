/* ftype.c - names of types and mixes, what is never quantized, and rows that no block fits
 *
 * The rules of the mixes are ftype_rules.c.
 */
#include "lib/quant/ftype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/quant/ftype_impl.h"

/* File types are those of llama.h, enum llama_ftype. Of several with one type, the first is the one
 * that a file of that type and no particular mix is given. */
static const struct ftype mixes[] = {
    {"f32", FTYPE_F32, KERN_F32},
    {"f16", FTYPE_F16, KERN_F16},
    {"bf16", FTYPE_BF16, KERN_BF16},
    {"q8_0", FTYPE_Q8_0, KERN_Q8_0},
    {"q6_k", FTYPE_Q6_K, KERN_Q6_K},
    {"q5_k_m", FTYPE_Q5_K_M, KERN_Q5_K},
    {"q5_k_s", FTYPE_Q5_K_S, KERN_Q5_K},
    {"q5_1", FTYPE_Q5_1, KERN_Q5_1},
    {"q5_0", FTYPE_Q5_0, KERN_Q5_0},
    {"q4_k_m", FTYPE_Q4_K_M, KERN_Q4_K},
    {"q4_k_s", FTYPE_Q4_K_S, KERN_Q4_K},
    {"q4_1", FTYPE_Q4_1, KERN_Q4_1},
    {"q4_0", FTYPE_Q4_0, KERN_Q4_0},
    {"iq4_nl", FTYPE_IQ4_NL, KERN_IQ4_NL},
    {"iq4_xs", FTYPE_IQ4_XS, KERN_IQ4_XS},
    {"mxfp4_moe", FTYPE_MXFP4_MOE, KERN_MXFP4},
    {"q3_k_m", FTYPE_Q3_K_M, KERN_Q3_K},
    {"q3_k_l", FTYPE_Q3_K_L, KERN_Q3_K},
    {"q3_k_s", FTYPE_Q3_K_S, KERN_Q3_K},
    {"q2_k", FTYPE_Q2_K, KERN_Q2_K},
    {"q2_k_s", FTYPE_Q2_K_S, KERN_Q2_K},
    {"tq2_0", FTYPE_TQ2_0, KERN_TQ2_0},
    {NULL, 0, 0},
};

static const struct {
    const char *name, *means;
} aliases[] = {{"q3_k", "q3_k_m"}, {"q4_k", "q4_k_m"}, {"q5_k", "q5_k_m"}};

int ftype_type(const char *name) {
    for (int t = 0; t < KERN_TYPES; t++) {
        const struct kern_type_info *info = kern_type_info(t);
        if (info && !strcasecmp(info->name, name))
            return t;
    }
    return -1;
}

const struct ftype *ftype_find(const char *name) {
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (!strcasecmp(aliases[i].name, name))
            name = aliases[i].means;
    for (const struct ftype *f = mixes; f->name; f++)
        if (!strcasecmp(f->name, name))
            return f;
    return NULL;
}

const struct ftype *ftype_all(void) {
    return mixes;
}

/* ---- what stays as it is ---------------------------------------------------------------- */

/* Parts of names of small tensors, or of those whose values an engine takes one by one. */
static const struct {
    const char *arch;           /* NULL: any */
    const char *part, *why;
} stays[] = {
    {NULL, "_norm.weight", "norm"},
    {NULL, "ffn_gate_inp.weight", "router"},
    {NULL, "ffn_gate_tid2eid.weight", "router"},
    {NULL, "altup", "small"},
    {NULL, "laurel", "small"},
    {NULL, "per_layer_model_proj", "small"},
    {NULL, "ssm_conv1d", "convolution"},
    {NULL, "shortconv.conv.weight", "convolution"},
    {NULL, "indexer.k_proj.weight", "small"},
    {NULL, "indexer.q_proj.weight", "small"},
    {NULL, "time_mix_first.weight", "small"},
    {NULL, "time_mix_w0.weight", "small"},
    {NULL, "time_mix_w1.weight", "small"},
    {NULL, "time_mix_w2.weight", "small"},
    {NULL, "time_mix_v0.weight", "small"},
    {NULL, "time_mix_v1.weight", "small"},
    {NULL, "time_mix_v2.weight", "small"},
    {NULL, "time_mix_a0.weight", "small"},
    {NULL, "time_mix_a1.weight", "small"},
    {NULL, "time_mix_a2.weight", "small"},
    {NULL, "time_mix_g1.weight", "small"},
    {NULL, "time_mix_g2.weight", "small"},
    {NULL, "time_mix_decay_w1.weight", "small"},
    {NULL, "time_mix_decay_w2.weight", "small"},
    {NULL, "time_mix_lerp_fused.weight", "small"},
    {NULL, "attn_rel_b.weight", "position"},
    {NULL, ".position_embd", "position"},
    {NULL, "sam.pos_embd", "position"},
    {NULL, "sam.neck.", "vision"},
    {NULL, "sam.net_", "vision"},
    {NULL, ".rel_pos", "position"},
    {NULL, ".patch_embd", "vision"},
    {NULL, ".patch_merger", "vision"},
    {NULL, "a.rvq.codebook", "audio"},
    {NULL, "mm.a.code_embd", "audio"},
    {"glm5-next", "hc_", "small"},
    {"glm5-next", "indexer.attn_q_b", "small"},
    {"glm5-next", "indexer.attn_k", "small"},
    {"glm5-next", "indexer.proj", "small"},
    {"glm5-next", "indexer_compressor_gate", "small"},
    {"glm5-next", "indexer_compressor_ape", "small"},
    {"glm5-next", "ssm_f_a.weight", "small"},
    {"glm5-next", "ssm_f_b.weight", "small"},
    {"glm5-next", "ssm_g_a.weight", "small"},
    {"glm5-next", "ssm_g_b.weight", "small"},
    {"glm5-next", "ssm_beta.weight", "small"},
    {"glm5-next", "attn_kv_a_mqa.weight", "small"},
    {"glm5-next", "attn_k_b.weight", "small"},
    {"glm5-next", "attn_v_b.weight", "small"},
};

const char *ftype_stays(const struct source *s, const struct source_tensor *t) {
    size_t len = strlen(t->name);
    if (!strcmp(t->name, "position_embd.weight") || !strcmp(t->name, "token_types.weight"))
        return "position";
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
        if (strstr(t->name, stays[i].part) &&
            (!stays[i].arch || !strcmp(stays[i].arch, s->arch)))
            return stays[i].why;
    if (len < 6 || strcmp(t->name + len - 6, "weight"))
        return "no weight";
    return t->ne[1] * t->ne[2] * t->ne[3] == 1 ? "1 dimension" : NULL;
}

int ftype_quantizes(const struct source *s, const struct source_tensor *t) {
    return !ftype_stays(s, t);
}

/* ---- fitting rows ----------------------------------------------------------------------- */

/* The type of blocks of 32 that is nearest to one of blocks of 256. */
static int smaller_block(int type) {
    switch (type) {
    case KERN_IQ4_XS: return KERN_IQ4_NL;
    case KERN_Q2_K:
    case KERN_Q3_K:
    case KERN_TQ2_0: return KERN_Q4_0;
    case KERN_Q4_K: return KERN_Q5_0;
    case KERN_Q5_K: return KERN_Q5_1;
    case KERN_Q6_K: return KERN_Q8_0;
    default: return type;
    }
}

static int fits(int type, int64_t cols) {
    return cols % kern_type_info(type)->block == 0;
}

int ftype_fallback(int type, int64_t cols) {
    if (fits(type, cols))
        return type;
    type = smaller_block(type);
    return fits(type, cols) ? type : KERN_F16;
}

/* ---- whole files ------------------------------------------------------------------------ */

int ftype_of_types(const struct source *s, const int *type) {
    int64_t elements[KERN_TYPES] = {0};
    const struct ftype *best = mixes;
    for (uint64_t i = 0; i < s->tensors; i++)
        if (kern_type_info(type[i]))
            elements[type[i]] += s->tensor[i].ne[0] * s->tensor[i].rows;
    for (const struct ftype *f = mixes; f->name; f++)
        if (elements[f->type] > elements[best->type])
            best = f;
    return best->file_type;
}

int ftype_layer(const char *name) {
    int layer;
    return sscanf(name, "blk.%d.", &layer) == 1 ? layer : -1;
}

struct place {
    const char *name;
    int layer;
    uint64_t index;
};

static int by_layer(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    int c = (x->layer > y->layer) - (x->layer < y->layer);
    return c ? c : strcmp(x->name, y->name);
}

void ftype_order(const struct source *s, uint64_t *order) {
    struct place *place = mem_array((size_t)s->tensors, sizeof *place);
    for (uint64_t i = 0; i < s->tensors; i++)
        place[i] = (struct place){s->tensor[i].name, ftype_layer(s->tensor[i].name), i};
    qsort(place, (size_t)s->tensors, sizeof *place, by_layer);
    for (uint64_t i = 0; i < s->tensors; i++)
        order[i] = place[i].index;
    free(place);
}
