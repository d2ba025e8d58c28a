/* routed_write.h - routes made by chance, and written in every form that routed.h reads
 *
 *     struct truth t = truth_random(seed);
 *     char *path = write_routed(&t, FORM_CSV);
 *     ...
 *     truth_free(&t);
 */
#ifndef ROUTED_WRITE_H
#define ROUTED_WRITE_H

#include "lib/base/mem.h"
#include "lib/format/npy.h"
#include "lib/trace/routed.h"
#include "tests/random.h"
#include "tests/scratch.h"

/* One request: a prompt in one pass, then tokens decoded one by one. */
struct truth {
    int layers, k, experts, tokens, prompt;
    int16_t *expert;            /* [tokens][layers][k], distinct in a layer */
};

enum form {
    FORM_STREAM, FORM_CSV, FORM_ARRAY, FORM_LISTS, FORM_PROMPT_LISTS, FORM_NPY64, FORM_PLAIN64,
    FORM_OBJECT, FORM_OLMOE, FORMS
};

static inline void truth_draw(int16_t *expert, int k, int experts) {
    for (int i = 0; i < k;) {
        int again = 0;
        expert[i] = (int16_t)below(experts);
        for (int j = 0; j < i; j++)
            again |= expert[j] == expert[i];
        i += !again;
    }
}

static inline struct truth truth_random(uint64_t seed) {
    state = seed;
    struct truth t = {.layers = 1 + below(7), .k = 1 + below(5), .tokens = 1 + below(40)};
    t.experts = t.k + below(60);
    t.prompt = 1 + below(t.tokens);
    t.expert = mem_array((size_t)(t.tokens * t.layers * t.k), sizeof *t.expert);
    for (int i = 0; i < t.tokens * t.layers; i++)
        truth_draw(t.expert + i * t.k, t.k, t.experts);
    return t;
}

static inline void truth_free(struct truth *t) {
    free(t->expert);
}

/* ---- files ------------------------------------------------------------------------------ */

static inline void write_die(const struct err *err) {
    fprintf(stderr, "%s\n", err->text);
    exit(EXIT_FAILURE);
}

static inline struct shape truth_shape(const struct truth *t) {
    struct shape s = {.name = "truth", .layers = t->layers};
    s.layer = mem_array((size_t)t->layers, sizeof *s.layer);
    s.dense_bytes = mem_array((size_t)t->layers, sizeof *s.dense_bytes);
    s.expert_bytes = mem_array((size_t)t->layers, sizeof *s.expert_bytes);
    for (int i = 0; i < t->layers; i++) {
        s.layer[i] = (struct shape_layer){.experts = t->experts, .top_k = t->k};
        s.dense_bytes[i] = 1000 + i;
        s.expert_bytes[i] = 10 + i;
    }
    return s;
}

static inline void truth_shape_free(struct shape *s) {
    free(s->layer);
    free(s->dense_bytes);
    free(s->expert_bytes);
}

/* Tokens [from, to) as a pass of a route stream. */
static inline void write_pass(struct routes *out, const struct truth *t, int from, int to,
                              uint32_t step) {
    struct err err;
    size_t n = (size_t)(to - from);
    size_t pairs = (size_t)(t->layers * t->k);
    uint32_t *request = mem_array(n, sizeof *request);
    uint8_t *phase = mem_array(n, 1);
    int32_t *position = mem_array(n, sizeof *position);
    int32_t *expert = mem_array(n * pairs, sizeof *expert);
    float *weight = mem_array(n * pairs, sizeof *weight);
    for (size_t i = 0; i < n; i++) {
        position[i] = from + (int)i;
        phase[i] = from + (int)i >= t->prompt;
    }
    for (size_t i = 0; i < n * pairs; i++)
        expert[i] = t->expert[(size_t)from * pairs + i];
    const struct routes_pass p = {.n = to - from, .step = step, .request = request,
                                  .phase = phase, .position = position, .token = position,
                                  .expert = expert, .weight = weight};
    if (routes_pass(out, &p, &err))
        write_die(&err);
    free(request);
    free(phase);
    free(position);
    free(expert);
    free(weight);
}

static inline void write_stream(const struct truth *t, const char *path) {
    struct err err;
    struct shape s = truth_shape(t);
    struct routes *out = routes_open(path, &s, &err);
    if (!out)
        write_die(&err);
    write_pass(out, t, 0, t->prompt, 0);
    for (int i = t->prompt; i < t->tokens; i++)
        write_pass(out, t, i, i + 1, (uint32_t)(i - t->prompt + 1));
    if (routes_close(out, &err))
        write_die(&err);
    truth_shape_free(&s);
}

static inline void add_csv_lines(struct buf *b, const struct truth *t, int from, int to) {
    for (int l = 0; l < t->layers; l++)
        for (int i = from; i < to; i++)
            for (int j = 0; j < t->k; j++)
                buf_printf(b, "0,%d,%d,%d,%d,%d,0.5,1,0\n", i >= t->prompt, i, l, j,
                           t->expert[(i * t->layers + l) * t->k + j]);
}

static inline void add_csv(struct buf *b, const struct truth *t) {
    buf_printf(b, "# route_trace v1\n# model=/m/truth.gguf arch=a n_layer=%d n_expert=%d "
               "n_expert_used=%d\n", t->layers, t->experts, t->k);
    for (int l = 0; l < t->layers; l++)
        buf_printf(b, "# layer=%d expert_bytes=%d dense_bytes=%d\n", l, 10 + l, 1000 + l);
    buf_adds(b, "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n");
    add_csv_lines(b, t, 0, t->prompt);
    for (int i = t->prompt; i < t->tokens; i++)
        add_csv_lines(b, t, i, i + 1);
}

/* "<i2" and so on: tokens [from, to) as numpy.save writes them. */
static inline void write_array(struct zio *z, const struct truth *t, int from, int to,
                               const char *descr) {
    struct err err;
    char quoted[16];
    int64_t shape[] = {to - from, t->layers, t->k};
    int bytes = descr[2] - '0';
    struct buf b = {0};
    snprintf(quoted, sizeof quoted, "'%s'", descr);
    for (int i = from * t->layers * t->k; i < to * t->layers * t->k; i++)
        for (int k = 0; k < bytes; k++) {
            int at = *descr == '>' ? bytes - 1 - k : k;
            buf_addc(&b, (char)(at < 2 ? t->expert[i] >> (8 * at) : 0));
        }
    if (npy_write_header(z, quoted, shape, 3, &err) || zio_write(z, b.data, b.len, &err))
        write_die(&err);
    buf_free(&b);
}

/* ---- JSON ------------------------------------------------------------------------------- */

static inline void add_base64(struct buf *out, const void *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        buf_addc(out, digits[v >> 18]);
        buf_addc(out, digits[v >> 12 & 63]);
        buf_addc(out, i + 1 < n ? digits[v >> 6 & 63] : '=');
        buf_addc(out, i + 2 < n ? digits[v & 63] : '=');
    }
}

static inline void add_npy64(struct buf *out, const struct truth *t, const char *descr) {
    struct err err;
    char *path = scratch_path("part.npy");
    struct zio *z = zio_open_write(path, &err);
    if (!z)
        write_die(&err);
    write_array(z, t, 0, t->tokens, descr);
    if (zio_close(z, &err))
        write_die(&err);
    struct buf b = scratch_read(path);
    buf_addc(out, '"');
    add_base64(out, b.data, b.len);
    buf_addc(out, '"');
    buf_free(&b);
    free(path);
}

static inline void add_lists(struct buf *b, const struct truth *t, int from, int to, int olmoe) {
    int outer = olmoe ? t->k : t->layers;
    int inner = olmoe ? t->layers : t->k;
    buf_addc(b, '[');
    for (int i = from; i < to; i++) {
        buf_adds(b, i > from ? ", [" : "[");
        for (int o = 0; o < outer; o++) {
            buf_adds(b, o ? ", [" : "[");
            for (int n = 0; n < inner; n++) {
                int l = olmoe ? n : o;
                int j = olmoe ? o : n;
                buf_printf(b, "%s%d", n ? ", " : "",
                           t->expert[(i * t->layers + l) * t->k + j]);
            }
            buf_addc(b, ']');
        }
        buf_addc(b, ']');
    }
    buf_addc(b, ']');
}

/* The end of a record that says how many tokens are the prompt. */
static inline void add_usage(struct buf *b, const struct truth *t) {
    buf_printf(b, "\"prompt_tokens\": %d, \"completion_tokens\": %d}}\n", t->prompt,
               t->tokens - t->prompt + 1);
}

static inline void add_plain64(struct buf *b, const struct truth *t) {
    size_t n = (size_t)(t->tokens * t->layers * t->k);
    int32_t *id = mem_array(n, sizeof *id);
    for (size_t i = 0; i < n; i++)
        id[i] = t->expert[i];
    add_base64(b, id, n * sizeof *id);
    free(id);
}

static inline void add_json(struct buf *b, const struct truth *t, enum form form) {
    switch (form) {
    case FORM_LISTS:
        buf_adds(b, "{\"routed_experts\": ");
        add_lists(b, t, 0, t->tokens, 0);
        buf_printf(b, ", \"num_prompt_tokens\": %d}\n", t->prompt);
        break;
    case FORM_PROMPT_LISTS:
        buf_adds(b, "{\"prompt_routed_experts\": ");
        add_lists(b, t, 0, t->prompt, 0);
        buf_adds(b, ", \"choices\": [{\"text\": \"a \\\" b\", \"routed_experts\": ");
        add_lists(b, t, t->prompt, t->tokens, 0);
        buf_adds(b, "}]}\n");
        break;
    case FORM_NPY64:
        buf_adds(b, "{\"choices\": [{\"routed_experts\": ");
        add_npy64(b, t, "<i4");
        buf_adds(b, "}], \"usage\": {");
        add_usage(b, t);
        break;
    case FORM_PLAIN64:
        buf_adds(b, "{\"text\": \"\", \"meta_info\": {\"routed_experts\": \"");
        add_plain64(b, t);
        buf_adds(b, "\", ");
        add_usage(b, t);
        break;
    case FORM_OBJECT:
        buf_printf(b, "{\"prompt_token_ids\": [0");
        for (int i = 1; i < t->prompt; i++)
            buf_adds(b, ", 7");
        buf_printf(b, "], \"routed_experts\": {\"encoding\": \"base64\", \"dtype\": \"int16\", "
                   "\"shape\": [%d, %d, %d], \"data\": \"", t->tokens, t->layers, t->k);
        add_base64(b, t->expert, (size_t)(t->tokens * t->layers * t->k) * sizeof *t->expert);
        buf_adds(b, "\"}}\n");
        break;
    default:
        buf_adds(b, "{\"input_ids\": [1, 2], \"exp_ids\": ");
        add_lists(b, t, 0, t->tokens, 1);
        buf_printf(b, ", \"num_prompt_tokens\": %d}\n", t->prompt);
    }
}

/* The caller frees the path. */
static inline char *write_routed(const struct truth *t, enum form form) {
    static const char *const names[FORMS] = {"r.npy.zst", "r.csv", "a.npy"};
    struct err err;
    struct buf b = {0};
    char *path = scratch_path(names[form] ? names[form] : "r.jsonl");
    if (form == FORM_STREAM) {
        write_stream(t, path);
        return path;
    }
    if (form == FORM_CSV)
        add_csv(&b, t);
    else if (form != FORM_ARRAY)
        add_json(&b, t, form);
    struct zio *z = zio_open_write(path, &err);
    if (!z)
        write_die(&err);
    if (form == FORM_ARRAY)
        write_array(z, t, 0, t->tokens, "<i2");
    else if (zio_write(z, b.data, b.len, &err))
        write_die(&err);
    if (zio_close(z, &err))
        write_die(&err);
    buf_free(&b);
    return path;
}

#endif
