/* hf_rope.c - what config.json says of rotary embedding, and the factors of Llama 3 */
#include "lib/quant/hf_impl.h"

#include <math.h>
#include <string.h>

static struct fields within(const struct fields *f, const char *key) {
    struct fields in = *f;
    const cJSON *v = fields_get(f, key);
    in.object = cJSON_IsObject(v) ? v : NULL;
    return in;
}

/* Newer files: rope_parameters, for gemma3 one for each kind of layer. Older: rope_theta,
 * rope_local_base_freq and rope_scaling. */
void hf_rope_read(struct hf_config *c, struct hf_rope *r) {
    static const char *const scaling[] = {"rope_parameters", "rope_scaling", NULL};
    static const char *const type[] = {"rope_type", "type", NULL};
    struct fields *f = &c->text;
    struct fields all = within(f, fields_first(f, scaling));
    struct fields full = within(&all, "full_attention");
    struct fields local = within(&all, "sliding_attention");
    if (!full.object)
        full = all;
    *r = (struct hf_rope){.scaling = full};
    double base = fields_number_or(f, "rope_theta", c->family->rope_base, 1, 1e15);
    r->base = fields_number_or(&full, "rope_theta", base, 1, 1e15);
    r->local_base = fields_number_or(f, "rope_local_base_freq", 0, 0, 1e15);
    r->local_base = fields_number_or(&local, "rope_theta", r->local_base, 1, 1e15);
    r->type = fields_text_or(&full, fields_first(&full, type), "default");
    double part = fields_number_or(f, "partial_rotary_factor", 1, 0, 1);
    part = fields_number_or(&full, "partial_rotary_factor", part, 0, 1);
    f->failed |= full.failed | local.failed;
    if (part != 1)
        fields_fail(f, "partial_rotary_factor", "expected 1, as the architecture turns whole "
                    "heads, found %g", part);
    if (strcmp(r->type, "default") && strcmp(r->type, "linear") && strcmp(r->type, "yarn") &&
        (strcmp(r->type, "llama3") || strcmp(c->family->arch, "llama")))
        fields_fail(f, "rope_scaling", "expected default, linear or yarn%s, found %s",
                    strcmp(c->family->arch, "llama") ? "" : ", llama3", r->type);
}

/* Llama 3 stretches low frequencies alone: by what each is divided (transformers,
 * modeling_rope_utils.py, _compute_llama3_parameters). */
int hf_rope_factors(struct hf_config *c, float **out) {
    struct hf_rope r;
    *out = NULL;
    hf_rope_read(c, &r);
    if (c->text.failed || strcmp(r.type, "llama3"))
        return c->text.failed ? -1 : 0;
    struct fields *f = &r.scaling;
    double factor = fields_number_or(f, "factor", 8, 1, 1e6);
    double low = fields_number_or(f, "low_freq_factor", 1, 1e-6, 1e6);
    double high = fields_number_or(f, "high_freq_factor", 4, 1e-6, 1e6);
    double context = fields_number_or(f, "original_max_position_embeddings", 8192, 1, 1e9);
    if (high <= low)
        fields_fail(f, "high_freq_factor", "expected more than low_freq_factor");
    if (f->failed)
        return -1;
    *out = mem_array((size_t)c->head_dim / 2 + 1, sizeof **out);
    for (int i = 0; i < c->head_dim / 2; i++) {
        double wave = 2 * 3.14159265358979323846 * pow(r.base, 2.0 * i / c->head_dim);
        double smooth = (context / wave - low) / (high - low);
        double by = wave < context / high  ? 1
                    : wave > context / low ? factor
                                           : 1 / ((1 - smooth) / factor + smooth);
        (*out)[i] = (float)by;
    }
    return 0;
}
