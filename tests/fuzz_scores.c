/* fuzz_scores.c - hostile scores: CSV of every kind, and JSON Lines
 *
 * How it is run, and as what else: fuzz.h. Whatever comes, the reader gives finite numbers and
 * names without a NUL, or an error that has words; one record at a time gives what all of them do.
 */
#include "tests/fuzz.h"

#include <math.h>
#include <sys/mman.h>

#include "lib/route/scores.h"

enum { READ = 1, MODELS = 2, EMBEDDED = 4 };

static const char *const columns[] = {"win", "m"};
static const struct scores_options options[] = {
    {.part = NULL}, {.column = columns, .columns = 2, .part = "set=a"},
    {.model = columns, .models = 2}};

/* ---- the target ------------------------------------------------------------------------- */

static void check_numbers(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        NEED(isnan(x[i]) || isfinite(x[i]));
}

static void check_all(const struct scores *s) {
    for (int m = 0; m < s->models; m++) {
        check_numbers(s->model[m].score, s->n);
        check_numbers(s->model[m].usd, s->n);
        check_numbers(s->model[m].output_tokens, s->n);
        check_numbers(s->model[m].response_chars, s->n);
        NEED(scores_find_model(s, s->model[m].name) <= m);
    }
    for (int c = 0; c < s->columns; c++)
        check_numbers(s->column[c], s->n);
    check_numbers(s->input_tokens, s->n);
    check_numbers(s->cached_tokens, s->n);
    check_numbers(s->prompt_chars, s->n);
    NEED((s->dim > 0) == (s->embedding != NULL));
    for (size_t i = 0; i < s->n; i++)
        NEED(isnan(s->prompt_chars[i]) == (s->prompt_hash[i] == 0) && s->record[i] == (int64_t)i);
}

/* Records of a stream, -1: an error. Columns that no record has are none here. */
static int64_t count_records(const char *path, const struct scores_options *opt) {
    struct scores_row row;
    struct scores_reader *r = scores_open(path, opt, NULL);
    int64_t n = 0;
    int rc;
    if (!r)
        return -1;
    while ((rc = scores_next(r, &row, NULL)) == 1)
        n++;
    scores_close(r);
    return rc ? -1 : n;
}

static void keep_every_other(struct scores *s) {
    uint8_t *keep = mem_alloc(s->n + 1);
    size_t n = s->n;
    for (size_t i = 0; i < n; i++)
        keep[i] = i % 2 == 0;
    scores_keep(s, keep);
    NEED(s->n == (n + 1) / 2);
    free(keep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct err err = {{0}};
        int fd = memfd_create("scores", 0);
        NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        struct scores *s = scores_read(path, &options[i], &err);
        NEED(s || *err.text);
        if (i == 0) {
            fuzz_last = err;
            fuzz_outcome = s ? READ | (s->models > 1 ? MODELS : 0) | (s->dim ? EMBEDDED : 0) : 0;
        }
        int64_t n = count_records(path, &options[i]);
        NEED(!s || n == (int64_t)s->n);
        if (s) {
            check_all(s);
            keep_every_other(s);
        }
        scores_free(s);
        close(fd);
    }
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ---------------------------------------------------------------- */

static const char *const texts[] = {
    "prompt,A,m,A_response,m_response\n\"a, \"\"b\"\"\nc\",True,0,\"x\ny\",\nq,0.5,,r,s\n",
    "sample_id,prompt,eval_name,win,m,win|total_cost,m|total_cost,m|model_response\r\n"
    "1,\"['p']\",a,0.25,1,0.001,0.02,\"['r', \"\"t\"\"]\"\r\n",
    "id;win;m;set\n1;0.5;.75;a\n2;1e-1;nan;b\n", "win\tm\n1\t2\n",
    "{\"id\":7,\"prompt\":\"caf\\u00e9\",\"input_tokens\":12,\"cached_tokens\":4,\"win\":1,"
    "\"m\":null,\"set\":\"a\",\"scores\":{\"w\":true,\"s\":0.5},\"costs\":{\"s\":0.25},"
    "\"output_tokens\":{\"w\":3},\"embedding\":[1,-2.5]}\n"
    "{\"scores\":{\"w\":null,\"s\":NaN},\"responses\":{\"s\":\"abc\"},\"other\":[{}]}\n",
    "{\"scores\":{\"m\":1}}\n"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- texts that are mostly right -------------------------------------------------------- */

static const char *pick(void) {
    static const char *const words[] = {
        "\"scores\":{\"m\":1}", "\"scores\":{}", "\"scores\":null", "\"costs\":{\"x\":-1}",
        "\"embedding\":[1]", "\"embedding\":[]", "\"embedding\":[1e99,null]", "\"win\":\"1\"",
        "\"set\":\"\\u0061\"", "\"prompt\":\"\\ud800\"", "\"input_tokens\":1e300", "\"id\":null",
        "\"responses\":{\"m\":7}", "True", "false", "nan", "inf", "1e999", "-0", "0x10", "\"\"",
        "\"", "\"\"\"", ",", ";", "\t", "\n", "\r\n", "{", "}", "[", "]", "_response",
        "|total_cost", "|model_response", "|output_tokens", "m", "win", "\xEF\xBB\xBF", "\xC3",
        "prompt,"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_line(struct buf *b) {
    int json = fuzz_below(2) != 0;
    buf_adds(b, json ? "{" : "");
    for (size_t n = 1 + fuzz_below(6), i = 0; i < n; i++)
        buf_printf(b, "%s%s", i ? "," : "", pick());
    buf_adds(b, json ? "}\n" : "\n");
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(8))
        buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(4); n > 0; n--)
        add_line(b);
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    enum { TWO = READ | MODELS };
    static const int expected[] = {TWO, TWO, TWO, TWO, TWO | EMBEDDED, READ};
    static const struct fuzz fuzz = {
        .name = "fuzz_scores", .suffix = ".txt",
        .outcome = {"were read", "had several models", "had embeddings"}, .texts = texts,
        .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
