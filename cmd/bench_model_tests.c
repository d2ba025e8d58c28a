/* bench_model_tests.c - lists of lengths, and the tests that they make, see bench_model.h */
#include "cmd/bench_model.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists -------------------------------------------------------------------------------- */

void numbers_add(struct numbers *l, int64_t v) {
    l->v = mem_grow(l->v, (size_t)l->n + 1, sizeof *l->v);
    l->v[l->n++] = v;
}

void numbers_parse(struct numbers *l, const char *option, const char *arg, int64_t min,
                   int64_t max) {
    char *text = mem_strdup(arg);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        numbers_add(l, arg_int(option, part[i], min, max));
    free(part);
    free(text);
}

/* ---- tests -------------------------------------------------------------------------------- */

struct maker {
    const struct model_bench *bench;
    struct model_test *test;
    int n;
};

/* What series_read calls the same test of llama-bench. Threads and batch are part of the name only
 * where they tell tests apart. */
static void name_test(const struct model_bench *b, struct model_test *t) {
    struct buf name = {0};
    if (t->prompt)
        buf_printf(&name, "prefill%d", t->prompt);
    if (t->decode)
        buf_printf(&name, "%sdecode%d", t->prompt ? "+" : "", t->decode);
    if (t->depth)
        buf_printf(&name, "@%d", t->depth);
    if (t->parallel > 1)
        buf_printf(&name, "x%d", t->parallel);
    if (b->threads.n > 1)
        buf_printf(&name, " n_threads=%d", t->threads);
    if (b->batch.n > 1 && t->prompt)
        buf_printf(&name, " n_ubatch=%d", t->batch);
    snprintf(t->name, sizeof t->name, "%s", name.data);
    buf_free(&name);
}

/* Once: what two lists make twice is one test. */
static void add_test(struct maker *m, struct model_test t) {
    if (!t.prompt && !t.decode)
        return;
    name_test(m->bench, &t);
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->test[i].name, t.name))
            return;
    m->test = mem_grow(m->test, (size_t)m->n + 1, sizeof *m->test);
    m->test[m->n++] = t;
}

/* What follows from one number of threads, one batch and one depth, in the order of llama-bench. */
static void add_lengths(struct maker *m, const struct model_test *base) {
    const struct model_bench *b = m->bench;
    struct model_test t = *base;
    for (int i = 0; i < b->prompt.n; i++) {
        t.prompt = (int)b->prompt.v[i];
        add_test(m, t);
    }
    t.prompt = 0;
    for (int i = 0; i < b->decode.n; i++) {
        t.decode = (int)b->decode.v[i];
        for (int k = 0; k < b->parallel.n; k++) {
            t.parallel = (int)b->parallel.v[k];
            add_test(m, t);
        }
    }
    t.parallel = 1;
    for (int i = 0; i + 1 < b->pair.n; i += 2) {
        t.prompt = (int)b->pair.v[i];
        t.decode = (int)b->pair.v[i + 1];
        add_test(m, t);
    }
}

struct model_test *model_tests(const struct model_bench *b, int *n) {
    struct maker m = {.bench = b};
    for (int t = 0; t < b->threads.n; t++)
        for (int k = 0; k < b->batch.n; k++)
            for (int d = 0; d < b->depth.n; d++) {
                struct model_test base = {.threads = (int)b->threads.v[t], .parallel = 1,
                                          .batch = (int)b->batch.v[k],
                                          .depth = (int)b->depth.v[d]};
                add_lengths(&m, &base);
            }
    *n = m.n;
    return m.test;
}

int64_t model_test_tokens(const struct model_test *t) {
    return ((int64_t)t->prompt + t->decode) * t->parallel;
}
