/* test_gptq_model.c - lib/quant/gptq_model: the same blocks as by hand, layer by layer
 *
 * By hand: the inputs of one matrix are taken from a tap, with the layers before it in the values
 * that were written for them; gptq_matrix does the rest, which test_gptq checks.
 */
#include "lib/quant/gptq_model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/quant/calib.h"
#include "tests/check.h"
#include "tests/tiny_model.h"

enum { TOKENS = 64, CHUNKS = 6 };

static const struct blas *blas;
static struct par *par;
static struct model *model;
static struct source *source;
static int32_t token[CHUNKS * TOKENS];
static struct gptq_options how;

static void open_tiny(const char *name) {
    char path[] = "/tmp/test_gptq_model.XXXXXX";
    struct tiny_model tiny = {.arch = tiny_arch(name), .type = KERN_F16};
    struct err err = {""};
    close(mkstemp(path));
    CHECK_INT(tiny_write(&tiny, path, &err), 0);
    model = model_open(path, &(struct model_options){.par = par, .no_pack = 1}, &err);
    source = source_open(path, &err);
    unlink(path);
    CHECK_STR(err.text, "");
}

static void close_tiny(void) {
    source_close(source);
    model_close(model);
}

/* ---- by hand ---------------------------------------------------------------------------- */

struct wanted {
    const struct kern_weight *weight;
    int expert;
    struct hessian *h;
};

static void take(void *arg, const struct session_input *in) {
    struct wanted *w = arg;
    for (int i = 0; i < in->weights; i++)
        if (in->weight[i] == w->weight && in->expert == w->expert)
            hessian_add(w->h, par, in->x, in->n);
}

/* What the written blocks of every matrix of a layer say, as floats in the file's layout. */
static void written(struct gptq_model *m, const int *type, struct kern_weight *w) {
    int64_t n;
    char name[96];
    const struct gguf_tensor *const *t = model_weight_tensors(model, w, &n);
    if (!t)
        return;
    snprintf(name, sizeof name, "%.*s", (int)t[0]->name.len, t[0]->name.data);
    uint64_t i = (uint64_t)source_find(source, name);
    const void *data;
    struct err err;
    CHECK_INT(gptq_model_data(m, i, &data, &err), 0);
    int64_t all = w->mats * w->rows * w->cols;
    float *value = mem_array((size_t)all, sizeof *value);
    char *half = mem_alloc((size_t)all * 2);
    kern_dequantize(type[i], data, value, all);
    how.kern->quantize(KERN_F16, value, half, all / w->cols, w->cols, NULL);
    free(value);
    *w = (struct kern_weight){.type = KERN_F16, .layout = KERN_FILE, .rows = w->rows,
                              .cols = w->cols, .mats = w->mats, .data = half,
                              .mat_bytes = (size_t)(w->rows * w->cols) * 2};
}

static void *by_hand(const struct model_layer *first, struct wanted *want, int type) {
    struct err err;
    struct session_options opt = {.context = TOKENS, .sequences = 1, .batch = TOKENS,
                                  .kv_type = KERN_F16, .tap = {take, want}};
    const struct kern_weight *w = want->weight;
    want->h = hessian_new(w->cols, blas, &err);
    struct session *s = session_new(model, how.kern, par, &opt, &err);
    struct calib *c = calib_new(s, TINY_D, token, CHUNKS, TOKENS, &err);
    struct hessian *h = want->h;
    CHECK_INT(calib_run(c, 0, first, 1, &err), 0);
    if (first)                  /* the tap has seen layer 0; now layer 1 */
        CHECK_INT(calib_run(c, 1, NULL, 0, &err), 0);
    hessian_finish(h, par);
    float *x = mem_array((size_t)(w->rows * w->cols), sizeof *x);
    kern_dequantize(w->type, (const char *)w->data + (want->expert < 0 ? 0 : want->expert) *
                                                         (int64_t)w->mat_bytes,
                    x, w->rows * w->cols);
    struct gptq_target to = {.type = type, .blocks = mem_alloc(kern_row_bytes(type, w->cols) *
                                                               (size_t)w->rows)};
    struct gptq_report report;
    struct gptq_plan *p = gptq_plan_new(h, &how, &err);
    gptq_matrix(p, par, x, w->rows, &to, &report);
    gptq_plan_free(p);
    free(x);
    hessian_free(h);
    calib_free(c);
    session_free(s);
    return to.blocks;
}

/* ---- as a whole ------------------------------------------------------------------------- */

static struct gptq_model *start(const int *type, const uint8_t *chosen, int64_t memory) {
    struct err err = {""};
    struct gptq_model_options opt = {
        .model = model, .source = source, .token = token, .chunks = CHUNKS, .tokens = TOKENS,
        .par = par, .gptq = how, .chosen = chosen, .type = type, .native = 1,
        .hessian_bytes = memory};
    struct gptq_model *m = gptq_model_new(&opt, &err);
    CHECK_STR(err.text, "");
    return m;
}

static void compare(struct gptq_model *m, const char *name, const struct model_layer *first,
                    const struct kern_weight *w, int expert, int type) {
    struct wanted want = {.weight = w, .expert = expert};
    const void *data;
    struct err err;
    size_t bytes = kern_row_bytes(type, w->cols) * (size_t)w->rows;
    CHECK_INT(gptq_model_data(m, (uint64_t)source_find(source, name), &data, &err), 0);
    void *mine = by_hand(first, &want, type);
    CHECK(!memcmp((const char *)data + (expert < 0 ? 0 : (size_t)expert * bytes), mine, bytes));
    free(mine);
}

static void layer_by_layer(const char *name, const char *down, int expert, int type,
                           int64_t memory) {
    open_tiny(name);
    size_t n = (size_t)source_count(source);
    uint8_t *chosen = mem_array(n, 1);
    int *types = mem_array(n, sizeof *types);
    gptq_model_choose(model, source, 0, chosen);
    for (size_t i = 0; i < n; i++)
        types[i] = chosen[i] ? type : source->tensor[i].type;
    struct gptq_model *m = start(types, chosen, memory);
    compare(m, "blk.0.attn_k.weight", NULL, &model->layer[0].attn_k, -1, type);
    struct model_layer first = model->layer[0];
    struct kern_weight *const all[] = {
        &first.attn_q, &first.attn_k, &first.attn_v, &first.attn_out, &first.ffn_gate,
        &first.ffn_up, &first.ffn_down, &first.exp_gate, &first.exp_up, &first.exp_down};
    struct kern_weight *const own[] = {
        &model->layer[0].attn_q, &model->layer[0].attn_k, &model->layer[0].attn_v,
        &model->layer[0].attn_out, &model->layer[0].ffn_gate, &model->layer[0].ffn_up,
        &model->layer[0].ffn_down, &model->layer[0].exp_gate, &model->layer[0].exp_up,
        &model->layer[0].exp_down};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct kern_weight w = *own[i];
        if (!w.data)
            continue;
        written(m, types, own[i]);
        *all[i] = *own[i];
        *own[i] = w;
    }
    compare(m, down, &first,
            expert < 0 ? &model->layer[1].ffn_down : &model->layer[1].exp_down, expert, type);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->data) {
            char *data;
            memcpy(&data, &all[i]->data, sizeof data);
            free(data);
        }
    gptq_model_free(m);
    free(types);
    free(chosen);
    close_tiny();
}

/* ---- what is asked for ------------------------------------------------------------------ */

static void choice_and_order(void) {
    open_tiny("qwen2moe");
    size_t n = (size_t)source_count(source);
    uint8_t *chosen = mem_array(n, 1);
    uint64_t *order = mem_array(n, sizeof *order);
    int *types = mem_array(n, sizeof *types);
    int count = 0;
    gptq_model_choose(model, source, 1, chosen);
    for (size_t i = 0; i < n; i++) {
        count += chosen[i];
        types[i] = chosen[i] ? KERN_Q8_0 : source->tensor[i].type;
    }
    CHECK_INT(count, 2 * (4 + 3 + 3) + 1);
    CHECK(chosen[source_find(source, "output.weight")]);
    CHECK(!chosen[source_find(source, "blk.0.ffn_gate_inp.weight")]);
    CHECK(!chosen[source_find(source, "blk.0.ffn_gate_inp_shexp.weight")]);
    CHECK(!chosen[source_find(source, "token_embd.weight")]);
    struct gptq_model *m = start(types, chosen, 0);
    gptq_model_order(m, order);
    const char *last = source->tensor[order[n - 1]].name;
    CHECK_STR(last, "output.weight");
    for (size_t i = 1; i < n; i++)
        CHECK(!(chosen[order[i - 1]] && !chosen[order[i]]));
    const void *data;
    struct err err;
    uint64_t early = (uint64_t)source_find(source, "blk.0.attn_q.weight");
    uint64_t late = (uint64_t)source_find(source, "output.weight");
    CHECK_INT(gptq_model_data(m, late, &data, &err), 0);
    CHECK_INT(gptq_model_data(m, early, &data, &err), -1);
    CHECK_STR(err.text, "tensor \"blk.0.attn_q.weight\" is of a layer that has gone by");
    CHECK_INT(gptq_model_data(m, (uint64_t)source_find(source, "output_norm.weight"), &data, &err),
              -1);
    gptq_model_free(m);
    gptq_model_free(NULL);
    free(types);
    free(order);
    free(chosen);
    close_tiny();
}

struct seen {
    int rows, experts;
    double error, nearest;
};

static void see(void *arg, const struct gptq_row *row) {
    struct seen *s = arg;
    s->rows++;
    s->experts += row->expert >= 0;
    s->error += row->report.error / row->report.weight;
    s->nearest += row->report.nearest / row->report.weight;
}

/* As groups, in a model whose experts have a tensor each. */
static void groups(void) {
    open_tiny("mixtral-split");
    uint8_t *chosen = mem_array((size_t)source_count(source), 1);
    struct seen seen = {0};
    struct err err = {""};
    gptq_model_choose(model, source, 0, chosen);
    struct gptq_model_options opt = {
        .model = model, .source = source, .token = token, .chunks = CHUNKS, .tokens = TOKENS,
        .par = par, .gptq = how, .chosen = chosen, .report = see, .arg = &seen};
    struct gptq_model *m = gptq_model_new(&opt, &err);
    const struct grouped *g;
    uint64_t i = (uint64_t)source_find(source, "blk.1.ffn_down.5.weight");
    CHECK_INT(gptq_model_grouped(m, i, 0, &g, &err), 0);
    CHECK(g->rows == TINY_D && g->cols == 256 && g->bits == 4 && g->groups == 8);
    CHECK_INT(seen.rows, 2 * (4 + 3 * 8));
    CHECK_INT(seen.experts, 2 * 3 * 8);
    CHECK(seen.error < seen.nearest);
    gptq_model_free(m);
    free(chosen);
    close_tiny();
}

int main(void) {
    struct err err;
    blas = blas_load(&err);
    par = par_new(2);
    how = (struct gptq_options){.bits = 4, .group = 32, .symmetric = 1, .damp = 0.01,
                                .kern = kern_select(NULL, NULL)};
    for (int i = 0; i < CHUNKS * TOKENS; i++)
        token[i] = (int32_t)(random_bits(3, (uint64_t)i) % TINY_VOCAB);
    RUN_NAMED("layer by layer: llama, Q4_0",
              layer_by_layer("llama", "blk.1.ffn_down.weight", -1, KERN_Q4_0, 0));
    RUN_NAMED("layer by layer: gemma3, Q3_K",
              layer_by_layer("gemma3", "blk.1.ffn_down.weight", -1, KERN_Q3_K, 0));
    RUN_NAMED("layer by layer: olmoe, Q4_K, experts by twos",
              layer_by_layer("olmoe", "blk.1.ffn_down_exps.weight", 3, KERN_Q4_K, 1200000));
    RUN(choice_and_order);
    RUN(groups);
    par_free(par);
    return check_done();
}
