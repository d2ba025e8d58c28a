/* test_work.c - passes and requests against sums of rows, and against what an engine counts
 *
 * Brute force adds lib/shape's rows one by one; the engine is lib/infer on the embedded model and
 * on a tiny one with windows, whose passes say FLOPs and bytes to the last one.
 */
#include "lib/cost/work.h"

#include <math.h>

#include "lib/infer/session.h"
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"
#include "tests/tiny_model.h"

#define EMBEDDED "examples/models/tiny-moe-f16.gguf"
#define EXACT 1e-12             /* of sums in another order */

static struct shape *find(const char *spec) {
    struct err e = {{0}};
    struct shape *s = shape_find(spec, &e);
    CHECK(s);
    if (!s)
        printf("# %s\n", e.text);
    return s;
}

static void same(double got, double want, double within) {
    CHECK_NEAR(got, want, fabs(want) * within);
}

static void same_work(const struct work *got, const struct work *want, double within) {
    same(got->flops.attention, want->flops.attention, within);
    same(got->flops.dense, want->flops.dense, within);
    same(got->flops.experts, want->flops.experts, within);
    same(got->flops.head, want->flops.head, within);
    same(got->bytes.dense, want->bytes.dense, within);
    same(got->bytes.experts, want->bytes.experts, within);
    same(got->bytes.kv_read, want->bytes.kv_read, within);
    same(got->bytes.kv_write, want->bytes.kv_write, within);
    same(got->attention_bytes, want->attention_bytes, within);
    same(got->head_bytes, want->head_bytes, within);
    same(got->score_flops, want->score_flops, within);
    same(got->score_bytes, want->score_bytes, within);
    same(got->draft_flops, want->draft_flops, within);
    same(got->draft_bytes, want->draft_bytes, within);
    same(got->rows, want->rows, within);
    same(got->tokens, want->tokens, within);
    same(got->passes, want->passes, within);
}

/* ---- passes against rows ------------------------------------------------------------------ */

static void prefill_is_rows(const struct shape *s, int64_t from, int64_t to) {
    struct work_model m = {.shape = s};
    struct shape_flops sum = {0};
    struct work w;
    double dense = 0;
    double experts = 0;
    for (int64_t pos = from; pos < to; pos++)
        shape_add_row_flops(s, pos, pos == to - 1, &sum);
    for (int i = 0; i < s->layers; i++) {
        dense += (double)s->dense_bytes[i];
        experts += work_experts(&m, i, (double)(to - from)) * (double)s->expert_bytes[i];
    }
    work_prefill(&m, from, to, &w);
    same(w.flops.attention, sum.attention, EXACT);
    same(w.flops.dense, sum.dense, EXACT);
    same(w.flops.experts, sum.experts, EXACT);
    same(w.flops.head, sum.head, 0);
    same(w.flops.attention + w.flops.dense + w.flops.experts, shape_prefill_flops(s, from, to),
         EXACT);
    same(w.bytes.dense, dense + (double)s->head_bytes, EXACT);
    same(w.bytes.experts, experts, EXACT);
    same(w.bytes.kv_read, shape_kv_read(s, from, to - 1, 16), 0);
    same(w.bytes.kv_write, (double)(to - from) * shape_kv_bytes(s, 16), 0);
    same(w.rows, (double)(to - from), 0);
    same(w.passes, 1, 0);
    CHECK(w.attention_bytes > 0 && w.attention_bytes + w.head_bytes < w.bytes.dense + 1);
}

static void decode_is_rows(const struct shape *s, int64_t context, int draft, int64_t batch) {
    struct work_model m = {.shape = s, .kv_bits = 8.5, .batch = batch, .draft = draft,
                           .accept = .7};
    struct shape_flops sum = {0};
    struct work w;
    for (int64_t b = 0; b < batch; b++)
        for (int i = 0; i <= draft; i++)
            shape_add_row_flops(s, context + i, 1, &sum);
    work_decode(&m, context, &w);
    same(w.flops.attention, sum.attention, EXACT);
    same(w.flops.dense, sum.dense, EXACT);
    same(w.flops.experts, sum.experts, EXACT);
    same(w.flops.head, sum.head, EXACT);
    same(w.bytes.kv_read, (double)batch * shape_kv_read(s, context, context + draft, 8.5), EXACT);
    same(w.bytes.kv_write, (double)(batch * (draft + 1)) * shape_kv_bytes(s, 8.5), EXACT);
    same(w.rows, (double)(batch * (draft + 1)), 0);
    same(w.tokens, (double)batch * work_step_tokens(&m), 0);
    same(w.draft_flops, 0, 0);
}

static const char *const names[] = {"llama-3.1-8b", "gemma-3-4b", "gpt-oss-20b", "deepseek-v3",
                                    "mixtral-8x7b", "mistral-7b-v0.1", "qwen3-30b-a3b"};
enum { NAMES = sizeof names / sizeof *names };

static void passes(void) {
    state = 1;
    for (int i = 0; i < NAMES; i++) {
        struct shape *s = find(names[i]);
        prefill_is_rows(s, 0, 1);
        prefill_is_rows(s, 0, 5000);
        for (int k = 0; k < 20; k++) {
            int64_t from = below(6000);
            prefill_is_rows(s, from, from + 1 + below(3000));
            decode_is_rows(s, below(9000), below(6), 1 + below(40));
        }
        shape_free(s);
    }
}

/* ---- requests against steps --------------------------------------------------------------- */

static void request_is_steps(const struct work_model *m, int64_t cached, int64_t prompt,
                             int64_t output, double within) {
    struct work prefill;
    struct work decode;
    struct work want = {0};
    struct work w;
    double share = 1 / (work_step_tokens(m) * (m->batch ? (double)m->batch : 1));
    for (int64_t i = 0; i < output - 1; i++) {
        work_decode(m, prompt + i, &w);
        work_add(&want, &w, share);
    }
    work_request(m, cached, prompt, output, &prefill, &decode);
    same_work(&decode, &want, within);
    work_prefill(m, cached < prompt ? cached : prompt - 1, prompt, &w);
    same_work(&prefill, &w, 0);
    if (output > 1)
        same(decode.tokens, (double)output - 1, EXACT);
}

/* Windows end within, speculation straddles them, nothing is cached, scores go to memory. */
static void requests(void) {
    struct shape *draft = find("gemma-3-1b");
    state = 2;
    for (int i = 0; i < NAMES; i++) {
        struct shape *s = find(names[i]);
        for (int k = 0; k < 24; k++) {
            struct work_model m = {.shape = s, .batch = below(5), .accept = below(11) / 10.0,
                                   .draft = below(2) * below(8), .no_flash = below(2),
                                   .no_kv_cache = k % 4 == 3, .dense_experts = k % 6 == 5,
                                   .prune_last = below(2),
                                   .draft_shape = below(2) ? draft : NULL,
                                   .weight_bits = below(2) * 4.5};
            int64_t prompt = 1 + below(k & 1 ? 5000 : 200);
            /* Distinct experts, between points, are no parabola. */
            request_is_steps(&m, below((int)prompt + 2), prompt, below(k & 2 ? 1500 : 5),
                             m.no_kv_cache ? 1e-7 : 1e-11);
        }
        shape_free(s);
    }
    shape_free(draft);
}

/* A million tokens of output cost no loop, and the FLOPs are those of a prefill and of as many
 * heads. */
static void long_output(void) {
    struct shape *s = find("gemma-3-4b");
    struct work_model m = {.shape = s};
    struct work prefill;
    struct work decode;
    work_request(&m, 0, 1000, 1000001, &prefill, &decode);
    double head = 1e6 * 2 * s->vocab * s->d_model;
    same(work_flops(&decode), shape_prefill_flops(s, 1000, 1001000) + head, EXACT);
    work_request(&m, 0, 1000, 0, &prefill, &decode);
    same(work_flops(&decode), 0, 0);
    shape_free(s);
}

/* ---- the parts ---------------------------------------------------------------------------- */

/* The facts of papers: 8 experts, 2 chosen: 2 of one token, 7.2 of eight; 256 and 8: 8, 57 and
 * 163 of 1, 8 and 32. */
static void experts(void) {
    struct shape *s = find("mixtral-8x7b");
    struct work_model m = {.shape = s};
    CHECK_NEAR(work_experts(&m, 0, 1), 2, 1e-12);
    CHECK_NEAR(work_experts(&m, 0, 8), 7.2, .01);
    CHECK_NEAR(work_experts(&m, 0, 0), 0, 0);
    const double seen[] = {2, 3, 3.5};
    m.experts = seen;
    m.experts_n = 3;
    CHECK_NEAR(work_experts(&m, 5, 1), 2, 1e-12);
    CHECK_NEAR(work_experts(&m, 5, 2.5), 3.25, 1e-12);
    CHECK_NEAR(work_experts(&m, 5, 3), 3.5, 1e-12);
    CHECK_NEAR(work_experts(&m, 5, 4), 8 - 4.5 * .75, 1e-12);
    m.dense_experts = 1;
    CHECK_NEAR(work_experts(&m, 5, 1), 8, 0);
    shape_free(s);
    m = (struct work_model){.shape = s = find("deepseek-v3")};
    CHECK_NEAR(work_experts(&m, 0, 5), 0, 0);
    CHECK_NEAR(work_experts(&m, 3, 1), 8, 1e-12);
    CHECK_NEAR(work_experts(&m, 3, 8), 57, .5);
    CHECK_NEAR(work_experts(&m, 3, 32), 163, .5);
    shape_free(s);
}

/* The share of E experts that so many tokens touch, when each draws k of them: simulated. */
static void experts_drawn(void) {
    struct shape *s = find("qwen3-30b-a3b");
    struct work_model m = {.shape = s};
    const struct shape_layer *l = s->layer;
    double sum = 0;
    int runs = 2000;
    state = 3;
    for (int run = 0; run < runs; run++) {
        int touched[128] = {0};
        for (int token = 0; token < 16; token++) {
            int taken[128] = {0};
            for (int k = 0; k < l->top_k;) {
                int e = below(l->experts);
                k += !taken[e];
                taken[e] = touched[e] = 1;
            }
        }
        for (int e = 0; e < l->experts; e++)
            sum += touched[e];
    }
    CHECK_NEAR(sum / runs, work_experts(&m, 0, 16), .3);
    shape_free(s);
}

/* Llama-3-8B: 7.505e9 parameters in matrices, 32 layers, 32 heads of 128. Mistral's window of 4096
 * positions costs less than its matrices, however long the context. */
static void crossover(void) {
    struct shape *s = find("llama-3-8b");
    struct work_model m = {.shape = s, .batch = 7};
    int64_t matrices = 2 * (s->params_active - 65 * 4096);
    int64_t position = 32 * 2 * 32 * 256;
    CHECK_INT(work_crossover(&m), (matrices + position - 1) / position - 1);
    shape_free(s);
    m.shape = s = find("mistral-7b-v0.1");
    CHECK_INT(work_crossover(&m), -1);
    shape_free(s);
    for (int i = 0; i < NAMES; i++) {
        struct work w;
        m = (struct work_model){.shape = s = find(names[i])};
        for (int64_t c = work_crossover(&m); c > 0; c = 0) {
            work_decode(&m, c, &w);
            CHECK(2 * w.score_flops >= work_flops(&w));
            work_decode(&m, c - 1, &w);
            CHECK(2 * w.score_flops < work_flops(&w));
        }
        shape_free(s);
    }
}

/* What one token more adds is the difference of two requests, small enough to be exact. */
static void next_token(void) {
    struct shape *draft = find("smollm2-135m");
    state = 4;
    for (int i = 0; i < NAMES; i++) {
        struct shape *s = find(names[i]);
        for (int k = 0; k < 30; k++) {
            struct work_model m = {.shape = s, .batch = below(4), .prune_last = below(2),
                                   .draft = below(2) * 3, .accept = .5,
                                   .draft_shape = below(2) ? draft : NULL};
            int64_t cached = below(3000);
            int64_t prompt = cached + 1 + below(3000);
            int64_t output = below(200);
            struct work p[2];
            struct work d[2];
            work_request(&m, cached, prompt, output, &p[0], &d[0]);
            work_request(&m, cached, prompt + 1, output, &p[1], &d[1]);
            double difference = work_flops(&p[1]) - work_flops(&p[0]) + work_flops(&d[1]) -
                                work_flops(&d[0]);
            same(work_next_flops(&m, prompt, output), difference, 1e-9);
        }
        shape_free(s);
    }
    shape_free(draft);
}

/* Leviathan et al., table 1 of expected tokens: a = .8, g = 4 give 3.36; all taken give g + 1. */
static void speculation(void) {
    struct shape *s = find("llama-3.1-70b");
    struct shape *d = find("llama-3.1-8b");
    struct work_model m = {.shape = s, .draft = 4, .accept = .8, .batch = 3};
    struct work plain;
    struct work w;
    struct work one;
    CHECK_NEAR(work_step_tokens(&m), 3.3616, 1e-9);
    m.accept = 1;
    CHECK_NEAR(work_step_tokens(&m), 5, 0);
    m.accept = 0;
    CHECK_NEAR(work_step_tokens(&m), 1, 0);
    work_decode(&m, 1000, &plain);
    m.draft_shape = d;
    work_decode(&m, 1000, &w);
    same(w.flops.attention, plain.flops.attention, 0);
    struct work_model own = {.shape = d, .batch = 3};
    double flops = 0;
    double bytes = 0;
    for (int i = 0; i < 4; i++) {
        work_decode(&own, 1000 + i, &one);
        flops += work_flops(&one);
        bytes += work_bytes(&one);
    }
    same(w.draft_flops, flops, EXACT);
    same(w.draft_bytes, bytes, EXACT);
    CHECK_NEAR(work_weight_bytes(&m), (double)(s->weight_bytes + d->weight_bytes), 0);
    m.draft = 0;
    CHECK_NEAR(work_weight_bytes(&m), (double)s->weight_bytes, 0);
    CHECK_NEAR(work_step_tokens(&m), 1, 0);
    shape_free(s);
    shape_free(d);
}

/* The designs of yesterday cost what they are said to. */
static void without(void) {
    struct shape *s = find("mixtral-8x7b");
    struct work_model m = {.shape = s};
    struct work w;
    struct work all;
    work_decode(&m, 4095, &w);
    m.dense_experts = 1;
    work_decode(&m, 4095, &all);
    same(all.flops.experts, 4 * w.flops.experts, 0);
    same(all.bytes.experts, 4 * w.bytes.experts, EXACT);
    m = (struct work_model){.shape = s, .no_kv_cache = 1};
    work_decode(&m, 4095, &all);
    work_prefill(&m, 0, 4096, &w);
    same(work_flops(&all), work_flops(&w), 0);
    CHECK_NEAR(work_kv_bytes(&m, 100), 0, 0);
    m = (struct work_model){.shape = s, .no_flash = 1};
    work_prefill(&m, 0, 4096, &w);
    same(w.score_bytes, 32.0 * 32 * 4096 * 4096 * 2 * 4, 0);
    shape_free(s);
}

static void memory(void) {
    struct shape *s = find("gemma-3-27b");
    struct work_model m = {.shape = s};
    CHECK_NEAR(work_kv_bytes(&m, 100), 100 * 507904, 0);
    m.block_tokens = 16;
    CHECK_NEAR(work_kv_bytes(&m, 100), 112 * 507904, 0);
    CHECK_NEAR(work_kv_bytes(&m, 112), 112 * 507904, 0);
    m.block_tokens = 0;
    m.reserve_tokens = 1000;
    CHECK_NEAR(work_kv_bytes(&m, 100), 1000 * 507904, 0);
    m.kv_bits = 8;
    CHECK_NEAR(work_kv_bytes(&m, 1024), 1024 * 507904 / 2, 0);
    m.weight_bits = 4;
    CHECK_NEAR(work_weight_bytes(&m), (double)s->params / 2, 0);
    shape_free(s);
}

/* Bits of its own type change nothing but norms, which are below a thousandth. */
static void weight_bits(void) {
    for (int i = 0; i < NAMES; i++) {
        struct shape *s = find(names[i]);
        struct work_model m = {.shape = s, .batch = 4};
        struct work stored;
        struct work w;
        work_decode(&m, 100, &stored);
        m.weight_bits = 16;
        work_decode(&m, 100, &w);
        if (!strcmp(s->quant, "BF16")) {
            same(w.bytes.dense, stored.bytes.dense, 1e-3);
            same(w.bytes.experts, stored.bytes.experts, 0);
        }
        same(w.bytes.kv_read, stored.bytes.kv_read, 0);
        same(work_flops(&w), work_flops(&stored), 0);
        shape_free(s);
    }
}

/* ---- against an engine -------------------------------------------------------------------- */

static void same_pass(const struct work_model *m, const struct work *w,
                      const struct session_pass *p, int rows) {
    const struct shape *s = m->shape;
    same(w->flops.attention, p->flops.attention, 0);
    same(w->flops.dense, p->flops.dense, 0);
    same(w->flops.experts, p->flops.experts, 0);
    same(w->flops.head, p->flops.head, 0);
    same(w->bytes.dense, p->bytes.dense, 0);
    same(w->bytes.kv_read, p->bytes.kv_read, 0);
    same(w->bytes.kv_write, p->bytes.kv_write, 0);
    if (rows > 1)
        return;
    /* One token touches what it chooses; more of them, what they choose in common. */
    double chosen = 0;
    for (int i = 0; i < s->layers; i++)
        chosen += work_experts(m, i, 1);
    CHECK_NEAR(chosen, s->layer[0].experts ? (double)p->experts_touched : 0, 1e-9);
    same(w->bytes.experts, p->bytes.experts, EXACT);
}

/* A prompt in pieces, then tokens one by one, each pass as the session counts it. */
static void run_model(const char *path, const int *piece, int pieces) {
    struct err e;
    struct par *par = par_new(1);
    struct model *model = model_open(path, &(struct model_options){.par = par}, &e);
    CHECK(model);
    if (!model)
        return;
    struct session_options opt = {.context = 300, .sequences = 1, .batch = 256,
                                  .kv_type = KERN_F16};
    struct session *s = session_new(model, kern_select(NULL, NULL), par, &opt, &e);
    struct work_model m = {.shape = model->shape, .prune_last = 1};
    int at = 0;
    CHECK(s);
    for (int i = 0; s && i < pieces; i++) {
        struct session_row rows[256];
        struct session_pass pass = {0};
        struct work w;
        for (int k = 0; k < piece[i]; k++)
            rows[k] = (struct session_row){0, at + k, (at + k) % 31, k == piece[i] - 1};
        CHECK_INT(session_pass(s, rows, piece[i], &pass, &e), 0);
        work_prefill(&m, at, at + piece[i], &w);
        same_pass(&m, &w, &pass, piece[i]);
        if (piece[i] == 1) {
            work_decode(&m, at, &w);
            same_pass(&m, &w, &pass, 1);
        }
        at += piece[i];
    }
    session_free(s);
    par_free(par);
    model_close(model);
}

static const int pieces[] = {1, 100, 1, 1, 30, 1, 7, 1};
enum { PIECES = sizeof pieces / sizeof *pieces };

static void embedded_model(void) {
    run_model(EMBEDDED, pieces, PIECES);
}

static void tiny_models(void) {
    static const char *const archs[] = {"gemma3", "qwen2moe", "qwen3moe"};
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        struct tiny_model tiny = {.arch = tiny_arch(archs[i]), .type = KERN_Q8_0};
        struct err e;
        char *path = scratch_path("tiny.gguf");
        CHECK_INT(tiny_write(&tiny, path, &e), 0);
        run_model(path, pieces, PIECES);
        free(path);
    }
}

int main(void) {
    RUN(passes);
    RUN(requests);
    RUN(long_output);
    RUN(experts);
    RUN(experts_drawn);
    RUN(crossover);
    RUN(next_token);
    RUN(speculation);
    RUN(without);
    RUN(memory);
    RUN(weight_bits);
    RUN(embedded_model);
    RUN(tiny_models);
    scratch_remove();
    return check_done();
}
