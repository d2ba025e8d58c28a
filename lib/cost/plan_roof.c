/* plan_roof.c - how fast a device serves a trace's requests, by the roofline, see plan.h
 *
 * A prompt's cost grows faster than its length, so that requests are not replaced by their mean:
 * some of each size are counted and added up.
 */
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cost/plan.h"

#define SAMPLES 1000

static int by_size(const void *a, const void *b) {
    const struct plan_item *x = *(const struct plan_item *const *)a;
    const struct plan_item *y = *(const struct plan_item *const *)b;
    int64_t p = x->fresh + x->cached + x->output;
    int64_t q = y->fresh + y->cached + y->output;
    return p != q ? (p > q) - (p < q) : (x > y) - (x < y);
}

/* [n], from small to large; the caller frees. */
static const struct plan_item **sample(const struct plan_trace *t, size_t *n) {
    const struct plan_item **item = mem_array(t->n, sizeof *item);
    for (size_t i = 0; i < t->n; i++)
        item[i] = &t->item[i];
    qsort(item, t->n, sizeof *item, by_size);
    *n = t->n < SAMPLES ? t->n : SAMPLES;
    for (size_t i = 0; i < *n; i++)
        item[i] = item[(2 * i + 1) * t->n / (2 * *n)];
    return item;
}

static double rate(double tokens, double seconds) {
    return seconds > 0 ? tokens / seconds : INFINITY;
}

/* As many like it at once as fit into the first memory, up to the batch. */
static int64_t batch_of(const struct roof_setup *r, const struct work_model *m, int64_t tokens) {
    int64_t batch = m->batch > 1 ? m->batch : 1;
    while (batch > 1 && !roof_fits(r, m, batch, tokens))
        batch /= 2;
    return batch;
}

int plan_throughput(const struct plan_trace *t, const struct roof_setup *r,
                    const struct work_model *m, double *prefill_tps, double *decode_tps,
                    struct err *err) {
    size_t n;
    const struct plan_item **item = sample(t, &n);
    double tokens[2] = {0, 0};
    double seconds[2] = {0, 0};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++) {
        struct work work[2];
        struct work_model own = *m;
        int64_t prompt = item[i]->fresh + item[i]->cached;
        prompt += !prompt;      /* a request without one begins from something */
        own.batch = batch_of(r, m, prompt + item[i]->output);
        work_request(&own, item[i]->cached, prompt, item[i]->output, &work[0], &work[1]);
        for (int k = 0; k < 2 && !rc; k++) {
            struct roof roof = {0};
            rc = roof_time(r, &own, &work[k], &roof, err);
            seconds[k] += roof.seconds;
        }
        tokens[0] += (double)item[i]->fresh;
        tokens[1] += (double)item[i]->output;
    }
    free(item);
    *prefill_tps = rate(tokens[0], seconds[0]);
    *decode_tps = rate(tokens[1], seconds[1]);
    return rc;
}
