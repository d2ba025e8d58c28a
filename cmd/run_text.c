/* run_text.c - one prompt; its text flows to stdout as it is made, or one JSON object at the end */
#include "cmd/run.h"

#include <stdlib.h>

#include "lib/format/jsonw.h"

struct text_job {
    struct engine *e;
    struct request *request;
    FILE *out;
    struct totals totals;
};

static struct request *next_request(void *arg, int wait) {
    struct text_job *job = arg;
    struct request *r = job->request;
    (void)wait;
    job->request = NULL;
    return r;
}

static void show_text(void *arg, struct request *r) {
    struct text_job *job = arg;
    size_t n = reply_ready(&r->reply, r->stop != NULL);
    if (n == 0)
        return;
    fwrite(r->reply.text.data + r->reply.shown, 1, n, job->out);
    r->reply.shown += n;
    check_stream(job->out, job->e->opt->output);
}

static void show_end(void *arg, struct request *r) {
    struct text_job *job = arg;
    if (r->error)
        die("%s: %s", job->e->opt->model, r->error);
    if (job->e->opt->common.json) {
        struct buf line = {0};
        result_json(job->e, r, &line);
        fwrite(line.data, 1, line.len, job->out);
        buf_free(&line);
    }
    fputc('\n', job->out);
    check_stream(job->out, job->e->opt->output);
    result_count(&job->totals, r);
    request_free(r);
}

int run_text(const struct options *opt) {
    struct engine e;
    struct err err;
    struct buf text = {0};
    prompt_read(opt, 0, &text);
    struct outfile *out = run_output(opt);
    engine_open(&e, opt);
    struct text_job job = {.e = &e, .request = request_new(&e), .out = outfile_stream(out)};
    if (prompt_encode(&e, text.data, text.len, &job.request->prompt, &err))
        die_err(&err);
    engine_start(&e, opt->context, 1, job.request->prompt.n);
    if (opt->echo)
        fwrite(text.data, 1, text.len, job.out);

    struct feed feed = {.next = next_request, .done = show_end, .arg = &job,
                        .text = opt->common.json ? NULL : show_text};
    generate(&e, &feed);

    run_output_close(out);
    result_words(&e, &job.totals);
    engine_close(&e);
    buf_free(&text);
    return EXIT_DONE;
}
