/* arch.c - the table of architectures, and the readers that their files share
 *
 * Every number of a header is checked here against the range it can have before anything is
 * computed from it, so the rest of the program may multiply without fear.
 */
#include "lib/shape/arch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static const struct arch table[] = {
    {"llama", arch_llama, 0},
    {"qwen2", arch_qwen2, 0},
    {"qwen3", arch_qwen3, 0},
    {"qwen2moe", arch_qwen2moe, 0},
    {"qwen3moe", arch_qwen3moe, 0},
    {"olmoe", arch_olmoe, 0},
    {"gemma3", arch_gemma3, 0},
    {"deepseek2", arch_deepseek2, 1},
    {"glm4moe", arch_glm4moe, 1},
    {"gpt-oss", arch_gptoss, 1},
    {"gemma2", arch_gemma2, 1},
    {"granite", arch_granite, 1},
    {"granitemoe", arch_granitemoe, 1},
    {"phi3", arch_phi3, 1},
};
#define ARCHS (sizeof table / sizeof *table)

const struct arch *arch_find(const char *name, int counted) {
    for (size_t i = 0; i < ARCHS; i++)
        if (!strcmp(table[i].name, name) && table[i].counted <= counted)
            return &table[i];
    return NULL;
}

const char *const *arch_names(int counted) {
    static const char *names[2][ARCHS + 1];
    size_t n = 0;
    for (size_t i = 0; i < ARCHS; i++)
        if (table[i].counted <= counted)
            names[counted][n++] = table[i].name;
    return names[counted];
}

const char *const *shape_archs(void) {
    return arch_names(0);
}

/* ---- one key ---------------------------------------------------------------------------- */

void arch_fail(struct arch_reader *r, const char *key, const char *fmt, ...) {
    if (r->failed)
        return;
    r->failed = 1;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(r->err, "%s: %s.%s: %s", gguf_path(r->g), r->s->arch, key, text);
}

static int find(const struct arch_reader *r, const char *key, struct gguf_value *v) {
    char full[160];
    snprintf(full, sizeof full, "%s.%s", r->s->arch, key);
    return gguf_value(r->g, full, v) == 0;
}

int arch_has(const struct arch_reader *r, const char *key) {
    struct gguf_value v;
    return find(r, key, &v);
}

static int is_whole(const struct gguf_value *v) {
    switch (v->type) {
    case GGUF_U8: case GGUF_I8: case GGUF_U16: case GGUF_I16: case GGUF_U32: case GGUF_I32:
    case GGUF_U64: case GGUF_I64: case GGUF_BOOL:
        return 1;
    default:
        return 0;
    }
}

static int is_number(const struct gguf_value *v) {
    return v->type == GGUF_F32 || v->type == GGUF_F64 || is_whole(v);
}

/* What a value is, for messages. */
static const char *kind(const struct gguf_value *v) {
    return v->is_array ? "an array" : v->type == GGUF_STRING ? "a string" : "a fraction";
}

/* A u64 above 2^63 - 1 is taken as that, so that no range holds it. */
static int64_t ranged(struct arch_reader *r, const char *key, const struct gguf_value *v,
                      uint64_t i, int64_t min, int64_t max) {
    int64_t x = gguf_array_int(v, i);
    if (x >= min && x <= max)
        return x;
    if (min == max)
        arch_fail(r, key, "expected %lld, found %lld", (long long)min, (long long)x);
    arch_fail(r, key, "expected %lld to %lld, found %lld", (long long)min, (long long)max,
              (long long)x);
    return min;
}

static int64_t read_int(struct arch_reader *r, const char *key, const int64_t *def, int64_t min,
                        int64_t max) {
    struct gguf_value v;
    if (r->failed)
        return min;
    if (!find(r, key, &v)) {
        if (def)
            return *def;
        arch_fail(r, key, "expected in the header, not found");
        return min;
    }
    if (v.is_array || !is_whole(&v)) {
        arch_fail(r, key, "expected a whole number, found %s", kind(&v));
        return min;
    }
    return ranged(r, key, &v, 0, min, max);
}

int64_t arch_int(struct arch_reader *r, const char *key, int64_t min, int64_t max) {
    return read_int(r, key, NULL, min, max);
}

int64_t arch_int_or(struct arch_reader *r, const char *key, int64_t def, int64_t min,
                    int64_t max) {
    return read_int(r, key, &def, min, max);
}

static float read_float(struct arch_reader *r, const char *key, const double *def, double min,
                        double max) {
    struct gguf_value v;
    if (r->failed)
        return (float)min;
    if (!find(r, key, &v)) {
        if (def)
            return (float)*def;
        arch_fail(r, key, "expected in the header, not found");
        return (float)min;
    }
    double x = NAN;
    if (v.is_array || !is_number(&v))
        arch_fail(r, key, "expected a number, found %s", kind(&v));
    else if (x = gguf_array_float(&v, 0), !(x >= min && x <= max))      /* catches NaN */
        arch_fail(r, key, "expected %g to %g, found %g", min, max, x);
    return r->failed ? (float)min : (float)x;
}

float arch_float(struct arch_reader *r, const char *key, double min, double max) {
    return read_float(r, key, NULL, min, max);
}

float arch_float_or(struct arch_reader *r, const char *key, double def, double min, double max) {
    return read_float(r, key, &def, min, max);
}

void arch_ints(struct arch_reader *r, const char *key, int64_t min, int64_t max, int *out) {
    struct gguf_value v;
    int layers = r->s->layers;
    if (r->failed || !find(r, key, &v) || !v.is_array) {
        int64_t x = arch_int(r, key, min, max);
        for (int i = 0; i < layers; i++)
            out[i] = (int)x;
        return;
    }
    if (!is_whole(&v))
        arch_fail(r, key, "expected whole numbers, found an array of others");
    else if (v.n != (uint64_t)r->blocks)
        arch_fail(r, key, "expected %d numbers, one a layer, found %llu", r->blocks,
                  (unsigned long long)v.n);
    for (int i = 0; i < layers; i++)
        out[i] = (int)(r->failed ? min : ranged(r, key, &v, (uint64_t)i, min, max));
}

void arch_need_tensor(struct arch_reader *r, const char *name) {
    if (r->failed || gguf_find(r->g, "%s", name))
        return;
    r->failed = 1;
    err_set(r->err, "%s: tensor %s: expected in a model of architecture %s, not found",
            gguf_path(r->g), name, r->s->arch);
}

/* ---- groups of keys --------------------------------------------------------------------- */

/* YaRN raises the scores by 0.1 ln(factor) + 1 (arXiv 2309.00071, eq. 22). The kernel multiplies
 * that in for every ext_factor > 0; where the model was trained without (a factor of at most 1),
 * it is taken out here. */
static float yarn_attn_factor(float factor) {
    float gain = 1.0f + 0.1f * logf(factor);
    return factor <= 1.0f ? 1.0f / gain : 1.0f;
}

static const char *scaling_type(struct arch_reader *r) {
    static const char key[] = "rope.scaling.type";
    struct gguf_value v;
    if (r->failed || !find(r, key, &v))
        return "linear";
    char full[160];
    snprintf(full, sizeof full, "%s.%s", r->s->arch, key);
    const char *type = gguf_str(r->g, full, "a value that is no string");
    if (strcmp(type, "none") && strcmp(type, "linear") && strcmp(type, "yarn"))
        arch_fail(r, key, "expected none, linear or yarn, found %s", type);
    return type;
}

void arch_read_rope(struct arch_reader *r, enum arch_rope_pairs pairs) {
    struct shape *s = r->s;
    struct shape_rope *rope = &s->rope[0];
    int dk = s->layer[0].dk;
    rope->dims = (int)arch_int_or(r, "rope.dimension_count", dk, 0, dk);
    if (rope->dims % 2)
        arch_fail(r, "rope.dimension_count", "expected an even number, found %d", rope->dims);
    rope->neox = pairs == ARCH_NEOX;
    rope->base = arch_float_or(r, "rope.freq_base", 10000, 1, 1e15);

    const char *type = scaling_type(r);
    /* The older key counts where the newer one is absent; 0 says that nothing is scaled. */
    float factor = arch_has(r, "rope.scaling.factor")
                       ? arch_float(r, "rope.scaling.factor", 0, 1e6)
                       : arch_float_or(r, "rope.scale_linear", 0, 0, 1e6);
    if (factor == 0.0f || !strcmp(type, "none"))
        factor = 1.0f;
    rope->freq_scale = 1.0f / factor;
    rope->ext_factor = !strcmp(type, "yarn") ? 1.0f : 0.0f;
    rope->attn_factor = arch_float_or(r, "rope.scaling.attn_factor", 1, 1e-6, 1e6);
    if (rope->ext_factor > 0.0f)
        rope->attn_factor *= yarn_attn_factor(factor);
    rope->beta_fast = 32.0f;
    rope->beta_slow = 1.0f;
    int orig = (int)arch_int_or(r, "rope.scaling.original_context_length", 0, 0, INT32_MAX);
    rope->orig_context = orig ? orig : s->context;
}

void arch_read_dense(struct arch_reader *r, int first, int last) {
    int *width = mem_array((size_t)r->s->layers, sizeof *width);
    arch_ints(r, "feed_forward_length", 1, ARCH_MAX_FF, width);
    for (int i = first; i < last; i++)
        r->s->layer[i].d_ff = width[i];
    free(width);
}

/* The hidden width of the experts, layer by layer. */
static void expert_widths(struct arch_reader *r, const char *key, const int *top_k, int *width) {
    if (arch_has(r, key)) {
        arch_ints(r, key, 1, ARCH_MAX_FF, width);
        return;
    }
    static const char shared[] = "feed_forward_length";
    arch_ints(r, shared, 1, ARCH_MAX_FF, width);
    for (int i = 0; i < r->s->layers && !r->failed; i++) {
        if (width[i] < top_k[i])
            arch_fail(r, shared, "expected at least 1 for each of %d experts, found %d", top_k[i],
                      width[i]);
        width[i] /= top_k[i];
    }
}

static void read_groups(struct arch_reader *r, int experts) {
    struct shape *s = r->s;
    s->groups = (int)arch_int_or(r, "expert_group_count", 0, 0, experts);
    if (s->groups < 2)
        return;
    if (experts % s->groups)
        arch_fail(r, "expert_group_count", "expected a divisor of %d experts, found %d", experts,
                  s->groups);
    s->groups_used = (int)arch_int(r, "expert_group_used_count", 1, s->groups);
}

void arch_read_experts(struct arch_reader *r, int first, const char *width_key) {
    struct shape *s = r->s;
    int *top_k = mem_array((size_t)s->layers, sizeof *top_k);
    int *width = mem_array((size_t)s->layers, sizeof *width);
    int experts = (int)arch_int(r, "expert_count", 1, ARCH_MAX_EXPERTS);
    arch_ints(r, "expert_used_count", 1, experts, top_k);
    expert_widths(r, width_key, top_k, width);
    for (int i = first; i < s->layers; i++) {
        s->layer[i].experts = experts;
        s->layer[i].top_k = top_k[i];
        s->layer[i].d_expert = width[i];
    }
    read_groups(r, experts);
    for (int i = first; s->groups > 1 && i < s->layers; i++)
        if (top_k[i] > experts / s->groups * s->groups_used)
            arch_fail(r, "expert_used_count", "expected at most %d, the experts of %d groups, "
                      "found %d", experts / s->groups * s->groups_used, s->groups_used, top_k[i]);
    free(top_k);
    free(width);
}

int arch_read_windows(struct arch_reader *r, int period) {
    static const char pattern[] = "attention.sliding_window_pattern";
    struct shape *s = r->s;
    int window = (int)arch_int_or(r, "attention.sliding_window", 0, 0, INT32_MAX);
    if (!window)
        return 0;
    struct gguf_value v;
    int *flag = mem_array((size_t)s->layers, sizeof *flag);
    if (find(r, pattern, &v) && v.is_array) {
        arch_ints(r, pattern, 0, 1, flag);
    } else {
        /* A period of 0: every layer has the window. */
        period = (int)arch_int_or(r, pattern, period, 0, ARCH_MAX_LAYERS);
        for (int i = 0; i < s->layers; i++)
            flag[i] = period == 0 || i % period < period - 1;
    }
    for (int i = 0; i < s->layers; i++)
        s->layer[i].window = flag[i] ? window : 0;
    free(flag);
    return window;
}
