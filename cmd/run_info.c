/* run_info.c - --info: what a model is and what a token of it weighs, from the file's header */
#include "cmd/run.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/model_path.h"
#include "cmd/table.h"
#include "lib/format/gguf.h"
#include "lib/infer/kvcache.h"

static const struct column columns[] = {
    {"architecture", 0}, {"name", 0}, {"quantization", 0}, {"parameters", 0},
    {"active_parameters", 0}, {"bits_per_weight", 3}, {"weight_bytes", 0}, {"file_bytes", 0},
    {"kv_type", 0}, {"kv_bytes_per_token", 0}, {"context", 0}, {"layers", 0}, {"d_model", 0},
    {"heads", 0}, {"kv_heads", 0}, {"d_ff", 0}, {"experts", 0}, {"top_k", 0}, {"d_expert", 0},
    {"vocabulary", 0}, {"tokenizer", 0}, {"chat_template", 0}};

/* Layers may differ: the widest is named. */
static struct shape_layer largest_layer(const struct shape *s) {
    struct shape_layer most = {0};
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        most.heads = l->heads > most.heads ? l->heads : most.heads;
        most.kv_heads = l->kv_heads > most.kv_heads ? l->kv_heads : most.kv_heads;
        most.d_ff = l->d_ff > most.d_ff ? l->d_ff : most.d_ff;
        most.experts = l->experts > most.experts ? l->experts : most.experts;
        most.top_k = l->top_k > most.top_k ? l->top_k : most.top_k;
        most.d_expert = l->d_expert > most.d_expert ? l->d_expert : most.d_expert;
    }
    return most;
}

static const char *template_name(const struct gguf *g) {
    const struct chat *c = chat_detect(g);
    if (c)
        return chat_name(c);
    return *gguf_str(g, "tokenizer.chat_template", "") ? "unknown" : NULL;
}

static void print_shape(struct table *t, const struct options *opt, const struct shape *s,
                        const struct gguf *g) {
    struct shape_layer l = largest_layer(s);
    const char *tokenizer = gguf_str(g, "tokenizer.ggml.model", "");
    table_str(t, s->arch);
    table_str(t, s->name);
    table_str(t, s->quant);
    table_int(t, s->params);
    table_int(t, s->params_active);
    table_float(t, s->params > 0 ? 8.0 * (double)s->weight_bytes / (double)s->params : NAN);
    table_int(t, s->weight_bytes);
    table_int(t, (int64_t)gguf_file_bytes(g));
    table_str(t, run_kv_name(opt->kv_type));
    table_float(t, shape_kv_bytes(s, kvcache_bits(opt->kv_type)));
    table_int(t, s->context);
    table_int(t, s->layers);
    table_int(t, s->d_model);
    table_int(t, l.heads);
    table_int(t, l.kv_heads);
    table_int(t, l.d_ff);
    table_int(t, l.experts);
    table_int(t, l.top_k);
    table_int(t, l.d_expert);
    table_int(t, s->vocab);
    table_str(t, *tokenizer ? tokenizer : NULL);
    table_str(t, template_name(g));
}

int run_info(const struct options *opt) {
    struct err err;
    char *path = model_path(opt->model, opt->sha256, opt->common.quiet);
    struct gguf *g = gguf_open(path, &err);
    struct shape *s = g ? shape_from_gguf(g, &err) : NULL;
    if (!s)
        die_err(&err);
    struct outfile *out = run_output(opt);
    FILE *f = outfile_stream(out);
    struct table *t = table_new(f, columns, sizeof(columns) / sizeof(columns[0]),
                                table_format(f, opt->common.json));
    print_shape(t, opt, s, g);
    table_free(t);
    check_stream(f, opt->output);
    run_output_close(out);
    shape_free(s);
    gguf_close(g);
    free(path);
    return EXIT_DONE;
}
