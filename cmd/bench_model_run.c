/* bench_model_run.c - one test of llm-bench model: what is inside the clock
 *
 * Inside the clock: passes through the model and nothing else. Tokens are drawn and rows are laid
 * out beforehand; logits of a prompt's last row and of every decoded row are computed; nothing is
 * sampled. Before the first repetition the sequences are filled to the test's depth, and a warm-up
 * runs the prompt once as a whole and decodes one token. Between repetitions the sequences are cut
 * back to the depth. These are llama-bench's rules, so that the numbers stand beside its own; it
 * fills the depth anew, or copies a state, for each repetition.
 */
#include "cmd/bench_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/infer/kvcache.h"

#define SEED 1
#define STRIDE 31               /* tokens from one sequence's first to the next one's */

/* ---- loading ------------------------------------------------------------------------------ */

/* Tokens of a test's longest moment, in each sequence. */
static int64_t length(const struct model_test *t) {
    return (int64_t)t->depth + t->prompt + t->decode;
}

static void check_room(const struct model_bench *b, const struct shape *s,
                       const struct model_test *test, int n) {
    double bits = kvcache_bits(b->kv_type);
    double weights = b->no_pack ? 0 : (double)s->weight_bytes;     /* mapped ones can be dropped */
    double available = limits_memory_free();
    int64_t longest = 0;
    for (int i = 0; i < n; i++) {
        double kv = test[i].parallel * shape_sequence_kv_bytes(s, length(&test[i]), bits);
        if (available > 0 && kv + weights > available)
            die("%s: %s needs a KV cache of %.1f GB beside weights of %.1f GB; %.1f GB of memory "
                "are free", b->model, test[i].name, kv / 1e9, weights / 1e9, available / 1e9);
        longest = length(&test[i]) > longest ? length(&test[i]) : longest;
    }
    if (s->context > 0 && longest > s->context && !b->common.quiet)
        warn("%s: tests of %lld tokens; the model was trained with %d", b->model,
             (long long)longest, s->context);
}

void model_bench_check(const struct model_bench *b, const struct model_test *test, int n) {
    struct err err;
    struct gguf *g = gguf_open(b->path, &err);
    struct shape *s = g ? shape_from_gguf(g, &err) : NULL;
    if (!s)
        die_err(&err);
    check_room(b, s, test, n);
    shape_free(s);
    gguf_close(g);
}

/* Room for the largest test. */
static void size_session(struct model_engine *e, const struct model_test *test, int n) {
    struct session_options o = {.kv_type = e->bench->kv_type};
    for (int i = 0; i < n; i++) {
        const struct model_test *t = &test[i];
        int rows = t->batch > t->parallel ? t->batch : t->parallel;
        o.batch = rows > o.batch ? rows : o.batch;
        o.sequences = t->parallel > o.sequences ? t->parallel : o.sequences;
        o.context = length(t) > o.context ? (int)length(t) : o.context;
        e->total += (int64_t)t->depth * t->parallel +
                    (e->bench->repeat + 1) * model_test_tokens(t);
    }
    e->options = o;
}

/* Sequences read one row of random tokens, each from a place of its own. */
static size_t token_place(int seq, int pos) {
    return (size_t)seq * STRIDE + (size_t)pos;
}

static void draw_tokens(struct model_engine *e) {
    size_t n = token_place(e->options.sequences, e->options.context);
    struct rng rng = {SEED};
    e->token = mem_array(n, sizeof *e->token);
    for (size_t i = 0; i < n; i++)
        e->token[i] = (int32_t)rng_below(&rng, (uint64_t)e->model->shape->vocab);
}

void engine_load(struct model_engine *e, const struct model_bench *b,
                 const struct model_test *test, int n) {
    struct err err;
    struct progress bar;
    *e = (struct model_engine){.bench = b};
    e->par = par_new(test[0].threads);
    progress_start(&bar, "loading", PROGRESS_BYTES, b->common.quiet);
    e->model = model_open(b->path, &(struct model_options){.par = e->par, .no_pack = b->no_pack,
                                                           .progress = progress_show,
                                                           .arg = &bar}, &err);
    progress_end(&bar);
    if (!e->model)
        die_err(&err);
    size_session(e, test, n);
    draw_tokens(e);
    e->energy = energy_open(NULL);
    progress_start(&e->bar, "measuring", PROGRESS_COUNT, b->common.quiet);
}

/* A session belongs to a team of threads; the weights do not. */
static void use_threads(struct model_engine *e, int threads) {
    struct err err;
    if (e->session && par_threads(e->par) == threads)
        return;
    session_free(e->session);
    if (par_threads(e->par) != threads) {
        par_free(e->par);
        e->par = par_new(threads);
    }
    e->session = session_new(e->model, e->bench->kern, e->par, &e->options, &err);
    if (!e->session)
        die("%s: %d sequences of %d tokens: %s", e->bench->model, e->options.sequences,
            e->options.context, err.text);
}

void engine_free(struct model_engine *e) {
    progress_end(&e->bar);
    session_free(e->session);
    energy_close(e->energy);
    model_close(e->model);
    par_free(e->par);
    free(e->token);
}

/* ---- passes --------------------------------------------------------------------------------- */

/* Rows in the order of their passes, and how many of them each pass takes. */
struct plan {
    struct session_row *row;
    int *size;                  /* [passes] */
    int rows, passes;
};

static void plan_free(struct plan *p) {
    free(p->row);
    free(p->size);
}

static void add_row(const struct model_engine *e, struct plan *p, int seq, int pos, int want) {
    p->row[p->rows++] = (struct session_row){
        .seq = seq, .pos = pos, .want_logits = want, .token = e->token[token_place(seq, pos)]};
}

/* The prompt's rows of one sequence, `batch` a pass. */
static void add_prefill(const struct model_engine *e, struct plan *p, int seq, int first, int n,
                        int batch, int logits) {
    for (int i = 0; i < n; i++)
        add_row(e, p, seq, first + i, logits && i == n - 1);
    for (int left = n; left > 0; left -= batch)
        p->size[p->passes++] = left < batch ? left : batch;
}

/* A row for each sequence, pass by pass. */
static void add_decode(const struct model_engine *e, struct plan *p, int parallel, int first,
                       int n) {
    for (int i = 0; i < n; i++) {
        for (int q = 0; q < parallel; q++)
            add_row(e, p, q, first + i, 1);
        p->size[p->passes++] = parallel;
    }
}

static struct plan plan_test(const struct model_engine *e, const struct model_test *t) {
    struct plan p = {0};
    size_t rows = (size_t)model_test_tokens(t);
    p.row = mem_array(rows, sizeof *p.row);
    p.size = mem_array(rows, sizeof *p.size);
    for (int q = 0; q < t->parallel && t->prompt; q++)
        add_prefill(e, &p, q, t->depth, t->prompt, t->batch, 1);
    add_decode(e, &p, t->parallel, t->depth + t->prompt, t->decode);
    return p;
}

/* Runs the first `passes` of a plan. Nanoseconds; the work is added to *r, unless that is NULL. */
static int64_t run_passes(struct model_engine *e, const struct plan *p, int passes,
                          struct model_result *r) {
    struct err err;
    const struct session_row *row = p->row;
    int64_t start = clock_ns();
    for (int i = 0; i < passes; i++) {
        struct session_pass pass = {0};
        if (session_pass(e->session, row, p->size[i], &pass, &err))
            die("%s: %s", e->bench->model, err.text);
        row += p->size[i];
        if (r) {
            shape_add_flops(&r->flops, &pass.flops, 1);
            shape_add_bytes(&r->bytes, &pass.bytes, 1);
        }
    }
    return clock_ns() - start;
}

static void advance(struct model_engine *e, int64_t tokens) {
    e->done += tokens;
    progress_update(&e->bar, e->done, e->total);
}

/* ---- a test ------------------------------------------------------------------------------- */

/* Sequence `seq` from empty to the test's depth. */
static void fill(struct model_engine *e, const struct model_test *t, int seq) {
    struct plan p = {0};
    if (!t->depth)
        return;
    p.row = mem_array((size_t)t->depth, sizeof *p.row);
    p.size = mem_array((size_t)t->depth, sizeof *p.size);
    add_prefill(e, &p, seq, 0, t->depth, t->batch, 0);
    run_passes(e, &p, p.passes, NULL);
    plan_free(&p);
}

/* Back to the depth. A sliding window may have forgotten what lies before it: then fill again. */
static void rewind_to_depth(struct model_engine *e, const struct model_test *t) {
    for (int q = 0; q < t->parallel; q++)
        if (session_truncate(e->session, q, t->depth)) {
            session_truncate(e->session, q, 0);
            fill(e, t, q);
        }
}

static void prepare(struct model_engine *e, const struct model_test *t) {
    use_threads(e, t->threads);
    for (int q = 0; q < e->options.sequences; q++)
        session_truncate(e->session, q, 0);
    for (int q = 0; q < t->parallel; q++) {
        fill(e, t, q);
        advance(e, t->depth);
    }
}

static int64_t peak_bytes(void) {
    struct rusage used;
    return getrusage(RUSAGE_SELF, &used) ? 0 : (int64_t)used.ru_maxrss * 1024;
}

void engine_test(struct model_engine *e, const struct model_test *t, struct model_result *r) {
    struct plan p = plan_test(e, t);
    int repeat = e->bench->repeat;
    *r = (struct model_result){.tps = mem_array((size_t)repeat, sizeof *r->tps)};
    prepare(e, t);
    /* The passes of the prompts, and one of decode behind them. */
    run_passes(e, &p, p.passes - (t->decode ? t->decode - 1 : 0), NULL);
    advance(e, model_test_tokens(t));
    for (int i = 0; i < repeat; i++) {
        rewind_to_depth(e, t);
        double before = energy_joules(e->energy);
        int64_t ns = run_passes(e, &p, p.passes, r);
        r->joules += energy_joules(e->energy) - before;
        r->tps[r->n++] = (double)p.rows * 1e9 / (double)(ns > 0 ? ns : 1);
        r->tokens += p.rows;
        advance(e, p.rows);
    }
    r->kv_bytes = (int64_t)(t->parallel * shape_sequence_kv_bytes(
        e->model->shape, length(t), kvcache_bits(e->bench->kv_type)));
    r->peak_bytes = peak_bytes();
    plan_free(&p);
}
