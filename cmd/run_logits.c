/* run_logits.c - --logits: what the model expects after every token of a prompt */
#include "cmd/run.h"

#include "cmd/array.h"
#include "lib/base/clock.h"

struct logits_sink {
    struct zio *z;
    int vocab;
};

/* Rows come in portions, in order: a prompt's logits need not fit in memory. */
static void write_logits(void *arg, const float *logits, int first, int n) {
    struct logits_sink *sink = arg;
    (void)first;
    array_write(sink->z, logits, (size_t)n * (size_t)sink->vocab);
}

static void run_prompt(struct engine *e, struct request *r, struct zio *z) {
    struct logits_sink sink = {.z = z, .vocab = e->model->shape->vocab};
    array_begin(z, (int64_t)r->prompt.n, sink.vocab);
    e->pass.sink = write_logits;
    e->pass.sink_arg = &sink;
    r->arrived_ns = clock_ns();
    time_now(r->time, sizeof(r->time));
    while (r->fed < r->prompt.n) {
        struct session_row row = {.pos = (int32_t)r->fed, .token = r->prompt.id[r->fed],
                                  .want_logits = 1};
        engine_add(e, row, r->number, TRACE_PREFILL);
        r->fed++;
        if (e->n == e->batch || r->fed == r->prompt.n)
            engine_pass(e);
    }
    r->done_ns = clock_ns();
    r->stop = "length";
}

int run_logits(const struct options *opt) {
    struct engine e;
    struct err err;
    struct buf text = {0};
    struct totals totals = {0};
    prompt_read(opt, 0, &text);
    struct zio *z = array_open(opt->logits);
    engine_open(&e, opt);
    struct request *r = request_new(&e);
    if (prompt_encode(&e, text.data, text.len, &r->prompt, &err))
        die_err(&err);
    engine_start(&e, opt->context, 1, r->prompt.n);
    if (r->prompt.n == 0)
        die("%s: the prompt is empty", opt->model);
    if (r->prompt.n > (size_t)session_context(e.session))
        die("%s: the prompt has %zu tokens, the context holds %d", opt->model, r->prompt.n,
            session_context(e.session));
    run_prompt(&e, r, z);
    result_trace(&e, r);
    result_count(&totals, r);
    array_close(z);
    result_words(&e, &totals);
    request_free(r);
    engine_close(&e);
    buf_free(&text);
    return EXIT_DONE;
}
