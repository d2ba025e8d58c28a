/* shape_count.c - parameters and bytes of a model, counted from its list of tensors
 *
 * Counted, not computed: what a file stores is what a run reads, whatever the names of its
 * quantization say. A tensor belongs to a layer's experts (stacked, blk.N.ffn_up_exps.weight, or
 * one an expert, blk.N.ffn_up.E.weight, as the first Mixtral files have it), to the rest of a
 * layer, to the head, or to the embedding.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/shape/arch.h"

/* ---- names ------------------------------------------------------------------------------ */

/* Skips `prefix` at the start of *name. */
static int skip(struct gguf_string *name, const char *prefix) {
    size_t n = strlen(prefix);
    if (name->len < n || memcmp(name->data, prefix, n))
        return 0;
    name->data += n;
    name->len -= n;
    return 1;
}

/* Skips a number and the dot after it; -1 when there is none or it is absurd. */
static int skip_number(struct gguf_string *name) {
    int value = 0;
    size_t n = 0;
    for (; n < name->len && isdigit((unsigned char)name->data[n]) && n < 8; n++)
        value = value * 10 + (name->data[n] - '0');
    if (n == 0 || n == name->len || name->data[n] != '.')
        return -1;
    name->data += n + 1;
    name->len -= n + 1;
    return value;
}

enum part { DENSE, STACKED, SINGLE };

/* Which part of a layer the rest of a name (after "blk.N.") belongs to; *expert for SINGLE. */
static enum part part_of(struct gguf_string rest, int *expert) {
    static const char *const stacked[] = {"ffn_gate_exps.", "ffn_up_exps.", "ffn_down_exps.",
                                          "ffn_gate_up_exps."};
    static const char *const single[] = {"ffn_gate.", "ffn_up.", "ffn_down."};
    for (size_t i = 0; i < sizeof stacked / sizeof *stacked; i++)
        if (skip(&rest, stacked[i]))
            return STACKED;
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        if (skip(&rest, single[i]))
            return (*expert = skip_number(&rest)) < 0 ? DENSE : SINGLE;
    return DENSE;
}

static int name_is(const struct gguf_tensor *t, const char *name) {
    return t->name.len == strlen(name) && !memcmp(t->name.data, name, t->name.len);
}

static int64_t elements(const struct gguf_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

/* ---- layers ----------------------------------------------------------------------------- */

struct experts {            /* of one layer, all of them together */
    int64_t bytes, params;
};

/* A layer's tensor; adds the experts' share to e. */
static int count_block(struct shape *s, const struct gguf *g, const struct gguf_tensor *t,
                       int layer, struct gguf_string rest, struct experts *e, struct err *err) {
    int experts = s->layer[layer].experts;
    int single = 0;
    enum part part = part_of(rest, &single);
    if (part == DENSE) {
        s->dense_bytes[layer] += (int64_t)t->bytes;
        return 0;
    }
    /* Trailing dimensions of 1 may be absent from the file. */
    int64_t found = part == SINGLE ? single + 1 : experts == 1 ? 1 : t->ne[t->dims - 1];
    if (part == SINGLE ? found > experts : found != experts)
        return err_set(err, "%s: tensor %.*s: expected %d experts, found %lld", gguf_path(g),
                       (int)t->name.len, t->name.data, experts, (long long)found);
    e->bytes += (int64_t)t->bytes;
    e->params += elements(t);
    return 0;
}

/* ---- quantization ----------------------------------------------------------------------- */

/* general.file_type: a name for the mixture, and the type that the mixture is named after. */
static const struct {
    const char *name, *type;
} mixtures[] = {
    [0] = {"F32", "F32"}, [1] = {"F16", "F16"}, [2] = {"Q4_0", "Q4_0"}, [3] = {"Q4_1", "Q4_1"},
    [7] = {"Q8_0", "Q8_0"}, [8] = {"Q5_0", "Q5_0"}, [9] = {"Q5_1", "Q5_1"},
    [10] = {"Q2_K", "Q2_K"}, [11] = {"Q3_K_S", "Q3_K"}, [12] = {"Q3_K_M", "Q3_K"},
    [13] = {"Q3_K_L", "Q3_K"}, [14] = {"Q4_K_S", "Q4_K"}, [15] = {"Q4_K_M", "Q4_K"},
    [16] = {"Q5_K_S", "Q5_K"}, [17] = {"Q5_K_M", "Q5_K"}, [18] = {"Q6_K", "Q6_K"},
    [19] = {"IQ2_XXS", "IQ2_XXS"}, [20] = {"IQ2_XS", "IQ2_XS"}, [21] = {"Q2_K_S", "Q2_K"},
    [22] = {"IQ3_XS", "IQ3_S"}, [23] = {"IQ3_XXS", "IQ3_XXS"}, [24] = {"IQ1_S", "IQ1_S"},
    [25] = {"IQ4_NL", "IQ4_NL"}, [26] = {"IQ3_S", "IQ3_S"}, [27] = {"IQ3_M", "IQ3_S"},
    [28] = {"IQ2_S", "IQ2_XS"}, [29] = {"IQ2_M", "IQ2_S"}, [30] = {"IQ4_XS", "IQ4_XS"},
    [31] = {"IQ1_M", "IQ1_M"}, [32] = {"BF16", "BF16"}, [36] = {"TQ1_0", "TQ1_0"},
    [37] = {"TQ2_0", "TQ2_0"}, [38] = {"MXFP4_MOE", "MXFP4"}, [39] = {"NVFP4", "NVFP4"},
    [40] = {"Q1_0", "Q1_0"}, [41] = {"Q2_0", "Q2_0"},
};

#define TYPES 64

/* The file's own word holds if a matrix has the type that it is named after; a float type must be
 * the commonest, since every file has some. Otherwise the commonest type is the name. */
static void set_quant(struct shape *s, const struct gguf *g, const int64_t *of_type) {
    int common = 0;
    for (int i = 1; i < TYPES; i++)
        if (of_type[i] > of_type[common])
            common = i;
    const char *name = gguf_type_name(common);
    int64_t said = gguf_int(g, "general.file_type", -1);
    if (said >= 0 && said < (int64_t)(sizeof mixtures / sizeof *mixtures) && mixtures[said].name)
        for (int i = 0; i < TYPES; i++) {
            const char *type = of_type[i] ? gguf_type_name(i) : NULL;
            int is_float = type && strchr("FB", type[0]);
            if (type && !strcmp(type, mixtures[said].type) && (!is_float || i == common))
                name = mixtures[said].name;
        }
    snprintf(s->quant, sizeof s->quant, "%s", name ? name : "unknown");
}

/* ---- all -------------------------------------------------------------------------------- */

/* Turns the sums over all experts into one expert's bytes and the active parameters. */
static int share_out(struct shape *s, const struct gguf *g, const struct experts *e,
                     struct err *err) {
    for (int i = 0; i < s->layers; i++) {
        int experts = s->layer[i].experts;
        if (!experts)
            continue;
        if (!e[i].bytes)
            return err_set(err, "%s: tensor blk.%d.ffn_up_exps.weight: expected %d experts, "
                           "not found", gguf_path(g), i, experts);
        s->expert_bytes[i] = e[i].bytes / experts;
        s->params_active -= e[i].params / experts * (experts - s->layer[i].top_k);
    }
    return 0;
}

int shape_count(struct shape *s, const struct gguf *g, int blocks, struct err *err) {
    int64_t embed = 0, embed_bytes = 0, drafting = 0, of_type[TYPES] = {0};
    struct experts *e = mem_array((size_t)s->layers, sizeof *e);
    int status = 0;
    s->dense_bytes = mem_array((size_t)s->layers, sizeof *s->dense_bytes);
    s->expert_bytes = mem_array((size_t)s->layers, sizeof *s->expert_bytes);
    s->tied = !gguf_find(g, "output.weight");
    for (uint64_t i = 0; i < gguf_tensor_count(g) && !status; i++) {
        const struct gguf_tensor *t = gguf_tensor(g, i);
        struct gguf_string rest = t->name;
        int layer = skip(&rest, "blk.") ? skip_number(&rest) : -1;
        s->params += elements(t);
        s->weight_bytes += (int64_t)t->bytes;
        if (t->dims > 1 && t->type >= 0 && t->type < TYPES)
            of_type[t->type] += elements(t);
        if (layer >= blocks) {
            status = err_set(err, "%s: tensor %.*s: expected %d blocks, found one more",
                             gguf_path(g), (int)t->name.len, t->name.data, blocks);
        } else if (layer >= s->layers) {
            drafting += elements(t);
        } else if (layer >= 0) {
            status = count_block(s, g, t, layer, rest, &e[layer], err);
        } else if (name_is(t, "token_embd.weight")) {
            embed = elements(t);
            embed_bytes = (int64_t)t->bytes;
        } else if (name_is(t, "output.weight") || name_is(t, "output.bias") ||
                   name_is(t, "output_norm.weight")) {
            s->head_bytes += (int64_t)t->bytes;
        }
    }
    s->head_bytes += s->tied ? embed_bytes : 0;
    s->params_active = s->params - drafting - (s->tied ? 0 : embed);
    if (!status)
        status = share_out(s, g, e, err);
    set_quant(s, g, of_type);
    free(e);
    return status;
}
