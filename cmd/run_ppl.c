/* run_ppl.c - --perplexity: how well the model predicts a text
 *
 * Takes the text as llama.cpp's llama-perplexity does (corpus.h), so that the numbers compare: of
 * a chunk of -c tokens only the predictions made in its second half count, positions c/2 to c-2:
 * there the model has some context. ppl = exp(mean of -log p); its standard error is that of the
 * mean, times ppl.
 */
#include "cmd/run.h"

#include <math.h>
#include <stdlib.h>

#include "cmd/corpus.h"
#include "cmd/progress.h"
#include "cmd/table.h"

struct scores {
    struct engine *e;
    int32_t *target;            /* the token that came, for each wanted row of the pass */
    double *lse;                /* [batch] scratch */
    int n;
    double sum, sum_squares;
    int64_t count;
};

/* -log p of the tokens that came. Logits come in portions: only what is needed is kept. */
static void score_rows(void *arg, const float *logits, int first, int n) {
    struct scores *s = arg;
    int64_t vocab = s->e->model->shape->vocab;
    s->e->kern->logsumexp(session_queue(s->e->session), logits, n, vocab, s->lse);
    for (int i = 0; i < n; i++) {
        double nll = s->lse[i] - (double)logits[i * vocab + s->target[first + i]];
        s->sum += nll;
        s->sum_squares += nll * nll;
    }
    s->count += n;
}

static void run_rows(struct scores *s) {
    s->e->pass.sink = score_rows;
    s->e->pass.sink_arg = s;
    engine_pass(s->e);
    s->n = 0;
}

/* Scores `count` chunks, side by side in as few passes as they fit. */
static void score_chunks(struct scores *s, const int32_t *tokens, int length, int count) {
    struct engine *e = s->e;
    for (int c = 0; c < count; c++) {
        const int32_t *chunk = tokens + (size_t)c * (size_t)length;
        uint32_t request = e->requests++;
        if (session_truncate(e->session, c, 0))
            die("sequence %d cannot be emptied", c);
        for (int pos = 0; pos < length; pos++) {
            struct session_row row = {.seq = c, .pos = pos, .token = chunk[pos],
                                      .want_logits = pos >= length / 2 && pos < length - 1};
            if (e->n == e->batch)
                run_rows(s);
            engine_add(e, row, request, TRACE_PREFILL);
            if (row.want_logits)
                s->target[s->n++] = chunk[pos + 1];
        }
    }
    if (e->n > 0)
        run_rows(s);
}

static void print_report(const struct options *opt, const struct scores *s, int chunks) {
    static const struct column columns[] = {
        {"tokens", 0}, {"chunks", 0}, {"ppl", 4}, {"ppl_stderr", 5}};
    double mean = s->sum / (double)s->count;
    double variance = s->sum_squares / (double)s->count - mean * mean;
    double ppl = exp(mean);
    /* One score has no spread. */
    double error = s->count > 1 ? ppl * sqrt(fmax(variance, 0) / (double)(s->count - 1)) : NAN;
    struct outfile *out = run_output(opt);
    FILE *f = outfile_stream(out);
    struct table *t = table_new(f, columns, 4, table_format(f, opt->common.json));
    table_int(t, s->count);
    table_int(t, chunks);
    table_float(t, ppl);
    table_float(t, error);
    table_free(t);
    check_stream(f, opt->output);
    run_output_close(out);
}

int run_perplexity(const struct options *opt) {
    struct engine e;
    struct ids ids = {0};
    int length = opt->context ? opt->context : 512;
    engine_open(&e, opt);
    int chunks = corpus_read(opt->corpus, e.vocab, opt->special, length, opt->chunks, &ids);
    int together = opt->batch / length;
    together = together < 1 ? 1 : together > chunks ? chunks : together;
    engine_start(&e, length, together, 0);

    struct scores scores = {.e = &e};
    scores.target = mem_array((size_t)e.batch, sizeof(*scores.target));
    scores.lse = mem_array((size_t)e.batch, sizeof(*scores.lse));
    struct progress bar;
    progress_start(&bar, "perplexity", PROGRESS_COUNT, opt->common.quiet);
    for (int c = 0; c < chunks; c += together) {
        int n = chunks - c < together ? chunks - c : together;
        score_chunks(&scores, ids.id + (size_t)c * (size_t)length, length, n);
        progress_update(&bar, c + n, chunks);
    }
    progress_end(&bar);
    print_report(opt, &scores, chunks);
    free(scores.target);
    free(scores.lse);
    free(ids.id);
    engine_close(&e);
    return EXIT_DONE;
}
