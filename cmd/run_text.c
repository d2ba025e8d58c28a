/* run_text.c - one prompt; its text flows to stdout as it is made, or one JSON object at the end */
#include "cmd/run.h"

struct text_job {
    struct engine *e;
    FILE *out;
    struct totals totals;
};

static void show_text(void *arg, struct request *r) {
    struct text_job *job = arg;
    result_show(job->e, r, job->out);
}

static void show_end(void *arg, struct request *r) {
    struct text_job *job = arg;
    if (r->error)
        die("%s: %s", job->e->opt->model, r->error);
    result_end(job->e, r, job->out);
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
    struct text_job job = {.e = &e, .out = outfile_stream(out)};
    struct request *r = request_new(&e);
    if (prompt_encode(&e, text.data, text.len, &r->prompt, &err))
        die_err(&err);
    engine_start(&e, opt->context, 1, r->prompt.n);
    if (opt->echo)
        fwrite(text.data, 1, text.len, job.out);

    struct feed feed = {.one = r, .done = show_end, .arg = &job,
                        .text = opt->common.json ? NULL : show_text};
    generate(&e, &feed);

    run_output_close(out);
    result_words(&e, &job.totals);
    engine_close(&e);
    buf_free(&text);
    return EXIT_DONE;
}
