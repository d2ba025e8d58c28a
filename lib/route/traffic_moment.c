/* traffic_moment.c - how experts' loads go together, over windows of every length, see traffic.h
 *
 * Short windows say which experts one token has, long ones which topics follow each other; there
 * are many of the former and few of the latter. Each length counting alike did best on traffic that
 * was not trained on.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/route/traffic.h"

/* A window's loads, those that are not zero. */
struct sparse {
    int n;
    int32_t *expert;            /* [experts] */
    double *load;               /* [experts], as dense */
};

static void add_product(const struct sparse *x, double scale, size_t experts, double *moment) {
    for (int i = 0; i < x->n; i++) {
        double *row = moment + (size_t)x->expert[i] * experts;
        double load = x->load[x->expert[i]] * scale;
        for (int j = 0; j < x->n; j++)
            row[x->expert[j]] += load * x->load[x->expert[j]];
    }
}

/* Loads of the tokens from here on, in parts of a rank's mean; sum 0: nothing was used. */
static double take_window(const struct routed_set *s, int layer, int64_t from, int64_t tokens,
                          struct sparse *x) {
    double sum = 0;
    for (int i = 0; i < x->n; i++)
        x->load[x->expert[i]] = 0;
    x->n = 0;
    for (int64_t i = from; i < from + tokens; i++) {
        const int16_t *expert = routed_at(s, i, layer);
        for (int j = 0; j < s->model.k; j++) {
            if (expert[j] < 0)
                continue;
            if (x->load[expert[j]] == 0)
                x->expert[x->n++] = expert[j];
            x->load[expert[j]]++;
            sum++;
        }
    }
    return sum;
}

/* Windows of one length, which overlap by half while they are few. */
static void add_length(const struct traffic_part *p, int layer, int ranks, int64_t length,
                       double weight, size_t experts, struct sparse *x, double *moment) {
    int64_t tokens = p->to - p->from;
    int64_t step = length > 1 ? length / 2 : 1;
    int64_t n = (tokens - length) / step + 1;
    int64_t looked = n < TRAFFIC_SAMPLE ? n : TRAFFIC_SAMPLE;
    for (int64_t i = 0; i < looked; i++) {
        int64_t at = (int64_t)((double)i * (double)n / (double)looked) * step;
        double sum = take_window(p->set, layer, p->from + at, length, x);
        if (sum > 0)
            add_product(x, weight / (double)looked * ranks / sum * ranks / sum, experts, moment);
    }
}

static void add_trace(const struct traffic *t, const struct traffic_part *p, int layer, int ranks,
                      double weight, struct sparse *x, double *moment) {
    int64_t tokens = p->to - p->from;
    int64_t longest = t->window < tokens ? t->window : tokens;
    int lengths = 0;
    for (int64_t w = 1; w <= longest; w *= 2)
        lengths++;
    for (int64_t w = 1; w <= longest; w *= 2)
        add_length(p, layer, ranks, w, weight / lengths, (size_t)t->experts, x, moment);
}

static void add_counts(const struct traffic_part *p, int layer, int ranks, double weight,
                       size_t experts, struct sparse *x, double *moment) {
    size_t own = (size_t)p->loads->model.experts;
    const double *count = p->loads->count + (size_t)layer * own;
    double sum = 0;
    for (int i = 0; i < x->n; i++)
        x->load[x->expert[i]] = 0;
    x->n = 0;
    for (size_t e = 0; e < own; e++) {
        sum += count[e];
        x->load[e] = count[e];
        if (count[e] > 0)
            x->expert[x->n++] = (int32_t)e;
    }
    if (sum > 0)
        add_product(x, weight * ranks / sum * ranks / sum, experts, moment);
}

void traffic_moment(const struct traffic *t, int layer, int ranks, double *moment) {
    size_t experts = (size_t)t->experts;
    struct sparse x = {0, mem_array(experts, sizeof *x.expert), mem_array(experts, sizeof *x.load)};
    memset(moment, 0, experts * experts * sizeof *moment);
    for (int i = 0; i < t->parts; i++)
        if (t->part[i].set)
            add_trace(t, &t->part[i], layer, ranks, 1.0 / t->parts, &x, moment);
        else
            add_counts(&t->part[i], layer, ranks, 1.0 / t->parts, experts, &x, moment);
    free(x.expert);
    free(x.load);
}

int traffic_together(const struct traffic *t, int layer, double *together) {
    size_t experts = (size_t)t->experts;
    double tokens = 0;
    memset(together, 0, experts * experts * sizeof *together);
    for (int i = 0; i < t->parts; i++) {
        const struct traffic_part *p = &t->part[i];
        for (int64_t k = p->from; p->set && k < p->to; k++, tokens++) {
            const int16_t *expert = routed_at(p->set, k, layer);
            for (int a = 0; a < p->set->model.k; a++)
                for (int b = 0; b < p->set->model.k; b++)
                    if (expert[a] >= 0 && expert[b] >= 0 && expert[a] != expert[b])
                        together[(size_t)expert[a] * experts + (size_t)expert[b]]++;
        }
    }
    for (size_t i = 0; i < experts * experts && tokens > 0; i++)
        together[i] /= tokens;
    return tokens > 0;
}
