/* hf_rules.c - names of tensors in folders of transformers, and in GGUF files
 *
 * One table for all architectures. Models that see or hear have their language model inside, with
 * something in front of its names that differed from version to version.
 */
#include "lib/quant/hf_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hf_rule outer[] = {
    {"embed_tokens.weight", "token_embd.weight", 0, 0},
    {"norm.weight", "output_norm.weight", HF_F32 | HF_NORM, 0},
    {"lm_head.weight", "output.weight", 0, 0},
    {NULL, NULL, 0, 0},
};

/* Behind "layers.N."; what stands behind "experts." is without the expert's number. */
static const struct hf_rule inner[] = {
    {"input_layernorm.weight", "attn_norm.weight", HF_F32 | HF_NORM, 0},
    {"post_attention_layernorm.weight", "post_attention_norm.weight", HF_F32 | HF_NORM | HF_GEMMA,
     0},
    {"post_attention_layernorm.weight", "ffn_norm.weight", HF_F32 | HF_NORM, 0},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight", HF_F32 | HF_NORM, 0},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight", HF_F32 | HF_NORM, 0},
    {"self_attn.q_proj.weight", "attn_q.weight", HF_PERMUTE_Q, 0},
    {"self_attn.k_proj.weight", "attn_k.weight", HF_PERMUTE_K, 0},
    {"self_attn.v_proj.weight", "attn_v.weight", 0, 0},
    {"self_attn.o_proj.weight", "attn_output.weight", 0, 0},
    {"self_attn.q_proj.bias", "attn_q.bias", HF_F32 | HF_PERMUTE_Q, 0},
    {"self_attn.k_proj.bias", "attn_k.bias", HF_F32 | HF_PERMUTE_K, 0},
    {"self_attn.v_proj.bias", "attn_v.bias", HF_F32, 0},
    {"self_attn.o_proj.bias", "attn_output.bias", HF_F32, 0},
    {"self_attn.q_norm.weight", "attn_q_norm.weight", HF_F32 | HF_NORM, 0},
    {"self_attn.k_norm.weight", "attn_k_norm.weight", HF_F32 | HF_NORM, 0},
    {"mlp.gate_proj.weight", "ffn_gate.weight", 0, 0},
    {"mlp.up_proj.weight", "ffn_up.weight", 0, 0},
    {"mlp.down_proj.weight", "ffn_down.weight", 0, 0},
    {"mlp.gate.weight", "ffn_gate_inp.weight", HF_F32, 0},
    {"block_sparse_moe.gate.weight", "ffn_gate_inp.weight", HF_F32, 0},
    {"mlp.shared_expert.gate_proj.weight", "ffn_gate_shexp.weight", 0, 0},
    {"mlp.shared_expert.up_proj.weight", "ffn_up_shexp.weight", 0, 0},
    {"mlp.shared_expert.down_proj.weight", "ffn_down_shexp.weight", 0, 0},
    {"mlp.shared_expert_gate.weight", "ffn_gate_inp_shexp.weight", HF_F32, 0},
    {"mlp.experts.down_proj.weight", "ffn_down_exps.weight", HF_EXPERT, 0},
    {"mlp.experts.gate_proj.weight", "ffn_gate_exps.weight", HF_EXPERT, 1},
    {"mlp.experts.up_proj.weight", "ffn_up_exps.weight", HF_EXPERT, 2},
    {"block_sparse_moe.experts.w1.weight", "ffn_gate_exps.weight", HF_EXPERT, 0},
    {"block_sparse_moe.experts.w2.weight", "ffn_down_exps.weight", HF_EXPERT, 1},
    {"block_sparse_moe.experts.w3.weight", "ffn_up_exps.weight", HF_EXPERT, 2},
    {"mlp.experts.gate_up_proj", "ffn_gate_exps.weight", HF_EXPERT | HF_GATE_UP, 0},
    {"mlp.experts.gate_up_proj.weight", "ffn_gate_exps.weight", HF_EXPERT | HF_GATE_UP, 0},
    {"mlp.experts.down_proj", "ffn_down_exps.weight", HF_EXPERT, 0},
    {NULL, NULL, 0, 0},
};

_Static_assert(sizeof inner / sizeof *inner <= HF_SLOTS, "slots for all");

/* Wrappers around the language model: in front of its names, in any order that was ever used. */
static const char *unwrap(const char *name) {
    static const char *const wrappers[] = {"model.", "language_model.", NULL};
    for (int i = 0; wrappers[i]; i++)
        if (!strncmp(name, wrappers[i], strlen(wrappers[i])))
            return unwrap(name + strlen(wrappers[i]));
    return name;
}

/* What a text model does not need: other senses, and tables that old versions saved. */
int hf_ignores(const char *name, const struct hf_config *c) {
    static const char *const ends[] = {".rotary_emb.inv_freq", ".attention.masked_bias",
                                       ".attention.bias"};
    static const char *const senses[] = {"vision_", "visual.", "audio_", "projector."};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (len > strlen(ends[i]) && !strcmp(name + len - strlen(ends[i]), ends[i]))
            return 1;
    for (size_t i = 0; c->text.object != c->whole.object && i < sizeof senses / sizeof *senses; i++)
        if (strstr(name, senses[i]))
            return 1;
    /* A head that is the embedding, saved all the same. */
    return c->tied && !strcmp(unwrap(name), "lm_head.weight");
}

/* A decimal number and the dot behind it; -1: there is none. */
static int take_number(const char **s) {
    char *end;
    errno = 0;
    long v = isdigit((unsigned char)**s) ? strtol(*s, &end, 10) : -1;
    if (v < 0 || errno || v > INT32_MAX || *end != '.' || (**s == '0' && end != *s + 1))
        return -1;
    *s = end + 1;
    return (int)v;
}

static const struct hf_rule *find_rule(const struct hf_rule *table, const char *name, int gemma) {
    for (const struct hf_rule *r = table; r->from; r++)
        if (!strcmp(r->from, name) && (gemma || !(r->flags & HF_GEMMA)))
            return r;
    return NULL;
}

int hf_slot(int layer, const char *to) {
    const struct hf_rule *table = layer < 0 ? outer : inner;
    int i = 0;
    while (strcmp(table[i].to, to))
        i++;
    return i;
}

/* Takes the number of an expert out: "mlp.experts.5.up_proj.weight". */
static const char *without_expert(const char *name, char *out, size_t size, int *expert) {
    static const char mark[] = "experts.";
    const char *experts = strstr(name, mark);
    if (!experts)
        return name;
    const char *rest = experts + strlen(mark);
    *expert = take_number(&rest);
    int len = snprintf(out, size, "%.*s%s", (int)(experts + strlen(mark) - name), name, rest);
    return len < 0 || (size_t)len >= size ? "" : out;
}

int hf_parse_name(const char *name, int gemma, struct hf_place *p) {
    char without[160];
    int layered;
    *p = (struct hf_place){.layer = -1, .expert = -1};
    name = unwrap(name);
    layered = !strncmp(name, "layers.", 7);
    if (layered) {
        name += 7;
        p->layer = take_number(&name);
        if (p->layer < 0)
            return -1;
        name = without_expert(name, without, sizeof without, &p->expert);
    }
    p->rule = find_rule(layered ? inner : outer, name, gemma);
    if (!p->rule || (p->expert >= 0 && !(p->rule->flags & HF_EXPERT)))
        return -1;
    return 0;
}
