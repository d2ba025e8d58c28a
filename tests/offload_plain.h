/* offload_plain.h - a cache of experts written down as plainly as can be, for test_offload.c
 *
 * Everything is looked for anew at every step: the next use in the trace, the least score among all
 * experts, the bytes of a queue. It shares nothing with lib/route/offload but the guesses.
 *
 *     struct plain x = {.s = set, .policy = "lru", .budget = 8};
 *     plain_run(&x, o);
 *     ... x.r.hits ...
 */
#ifndef OFFLOAD_PLAIN_H
#define OFFLOAD_PLAIN_H

#include <math.h>
#include <string.h>

#include "lib/route/offload.h"

#define IDS_MOST 64             /* experts of all layers */

struct plain {
    const struct routed_set *s;
    const char *policy;
    int per_layer;
    double param;
    int64_t budget;             /* of a part */
    const struct offload_guess *guess;
    int in[IDS_MOST];           /* 0, 1, or 2: loaded ahead */
    int64_t keep[IDS_MOST];
    double score[IDS_MOST];
    long stamp[IDS_MOST];
    long clock, cold;
    /* S3-FIFO: queues per part from the oldest to the newest. */
    int queue[IDS_MOST][3][IDS_MOST];
    int length[IDS_MOST][3];
    int hits_of[IDS_MOST];
    int64_t batch, pass;
    struct offload_result r;
};

static int layer_of(const struct plain *x, int id) {
    return id / x->s->model.experts;
}

static int64_t bytes_of(const struct plain *x, int id) {
    return (int64_t)x->s->model.expert_bytes[layer_of(x, id)];
}

static int ids_of(const struct plain *x) {
    return x->s->model.layers * x->s->model.experts;
}

static int part_of(const struct plain *x, int id) {
    return x->per_layer ? layer_of(x, id) : 0;
}

/* Experts of a batch by their last mention; how many. */
static int touched(const struct routed_set *s, int64_t pass, int layer, int *out) {
    int n = 0;
    for (int64_t t = s->pass[pass]; t < s->pass[pass + 1]; t++)
        for (int i = 0; i < s->model.k; i++) {
            int e = routed_at(s, t, layer)[i];
            if (e < 0)
                continue;
            for (int j = 0; j < n; j++)
                if (out[j] == e) {
                    memmove(out + j, out + j + 1, (size_t)(n - j - 1) * sizeof *out);
                    n--;
                    break;
                }
            out[n++] = e;
        }
    return n;
}

/* The batch that uses the expert next after `batch`, or very late. */
static double next_use(const struct plain *x, int id, int64_t batch) {
    int64_t b = 0;
    int list[IDS_MOST];
    for (int64_t p = 0; p < x->s->passes; p++)
        for (int l = 0; l < x->s->model.layers; l++) {
            int n = touched(x->s, p, l, list);
            for (int i = 0; i < n && b > batch; i++)
                if (l == layer_of(x, id) && list[i] == id % x->s->model.experts)
                    return (double)b;
            b += n > 0;
        }
    return 1e18;
}

static double uses_until(const struct plain *x, int id, int64_t passes) {
    double uses = 0;
    int list[IDS_MOST];
    for (int64_t p = 0; p < passes; p++) {
        int n = touched(x->s, p, layer_of(x, id), list);
        for (int i = 0; i < n; i++)
            uses += list[i] == id % x->s->model.experts;
    }
    return uses;
}

static int64_t queue_bytes(const struct plain *x, int part, int q) {
    int64_t bytes = 0;
    for (int i = 0; i < x->length[part][q]; i++)
        bytes += bytes_of(x, x->queue[part][q][i]);
    return bytes;
}

static void drop(struct plain *x, int part, int q, int id) {
    for (int i = 0; i < x->length[part][q]; i++)
        if (x->queue[part][q][i] == id) {
            memmove(x->queue[part][q] + i, x->queue[part][q] + i + 1,
                    (size_t)(x->length[part][q] - i - 1) * sizeof(int));
            x->length[part][q]--;
            return;
        }
}

static void append(struct plain *x, int part, int q, int id) {
    x->queue[part][q][x->length[part][q]++] = id;
}

static int oldest(const struct plain *x, int part, int q) {
    for (int i = 0; i < x->length[part][q]; i++)
        if (x->keep[x->queue[part][q][i]] < x->batch)
            return x->queue[part][q][i];
    return -1;
}

enum { SMALL, MAIN, GHOST };

static int is(const struct plain *x, const char *policy) {
    return !strcmp(x->policy, policy);
}

static void use(struct plain *x, int id) {
    x->stamp[id] = ++x->clock;
    if (is(x, "lfu"))
        x->score[id]++;
    else if (is(x, "hot"))
        x->score[id] = uses_until(x, id, x->pass + 1 < (int64_t)ceil(x->param *
                                  (double)x->s->passes) ? x->pass + 1
                                  : (int64_t)ceil(x->param * (double)x->s->passes));
    else if (is(x, "lfu-decay"))
        x->score[id] += exp2((double)x->pass / x->param);   /* at most 2^960: no scaling */
}

static void put(struct plain *x, int id, int used) {
    int part = part_of(x, id);
    x->in[id] = used ? 1 : 2;
    x->r.loads++;
    x->r.bytes_read += bytes_of(x, id);
    x->r.prefetched_bytes += used ? 0 : bytes_of(x, id);
    if (used)
        use(x, id);
    else
        x->stamp[id] = --x->cold;
    if (!is(x, "s3-fifo"))
        return;
    int remembered = 0;
    for (int i = 0; i < x->length[part][GHOST]; i++)
        remembered |= x->queue[part][GHOST][i] == id;
    drop(x, part, GHOST, id);
    x->hits_of[id] = 0;
    append(x, part, used && remembered ? MAIN : SMALL, id);
    if (!used) {
        memmove(x->queue[part][SMALL] + 1, x->queue[part][SMALL],
                (size_t)(x->length[part][SMALL] - 1) * sizeof(int));
        x->queue[part][SMALL][0] = id;
    }
}

static int s3_small(struct plain *x, int part) {
    int64_t small = (int64_t)(x->param * (double)x->budget);
    int id;
    while ((id = oldest(x, part, SMALL)) >= 0) {
        drop(x, part, SMALL, id);
        if (x->hits_of[id] < 2) {
            append(x, part, GHOST, id);
            while (queue_bytes(x, part, GHOST) > x->budget - small)
                drop(x, part, GHOST, x->queue[part][GHOST][0]);
            return id;
        }
        x->hits_of[id] = 0;
        append(x, part, MAIN, id);
    }
    return -1;
}

static int s3_victim(struct plain *x, int part) {
    int id;
    if (queue_bytes(x, part, SMALL) >= (int64_t)(x->param * (double)x->budget) &&
        (id = s3_small(x, part)) >= 0)
        return id;
    while ((id = oldest(x, part, MAIN)) >= 0) {
        drop(x, part, MAIN, id);
        if (!x->hits_of[id])
            return id;
        x->hits_of[id]--;
        append(x, part, MAIN, id);
    }
    return s3_small(x, part);
}

static int plain_victim(struct plain *x, int part) {
    int best = -1;
    double least = 0;
    if (is(x, "s3-fifo"))
        return s3_victim(x, part);
    for (int id = 0; id < ids_of(x); id++) {
        double score = is(x, "belady") ? -next_use(x, id, x->batch)
            : is(x, "hot-oracle") ? uses_until(x, id, x->s->passes) : x->score[id];
        if (!x->in[id] || part_of(x, id) != part || x->keep[id] >= x->batch)
            continue;
        if (best < 0 || score < least || (score == least && x->stamp[id] < x->stamp[best])) {
            best = id;
            least = score;
        }
    }
    return best;
}

static int64_t used_of(const struct plain *x, int part) {
    int64_t bytes = 0;
    for (int id = 0; id < ids_of(x); id++)
        if (x->in[id] && (part < 0 || part_of(x, id) == part))
            bytes += bytes_of(x, id);
    return bytes;
}

static void plain_evict(struct plain *x, int part) {
    while (used_of(x, part) > x->budget) {
        int id = plain_victim(x, part);
        if (id < 0)
            return;
        x->in[id] = 0;
        x->r.evictions++;
    }
}

static void plain_ahead(struct plain *x, const struct offload *o) {
    int64_t later = x->guess ? x->batch + x->guess->ahead : o->batches;
    for (int64_t i = later < o->batches ? x->guess->first[later] : 0;
         later < o->batches && i < x->guess->first[later + 1]; i++) {
        int id = o->layer[later] * o->experts + x->guess->expert[i];
        if (!x->in[id])
            put(x, id, 0);
        if (x->keep[id] < later)
            x->keep[id] = later;
    }
}

static void plain_batch(struct plain *x, const struct offload *o, int layer, const int *list,
                        int n, int decode) {
    for (int i = 0; i < n; i++) {
        int id = layer * o->experts + list[i];
        int hit = x->in[id] != 0;
        x->r.lookups++;
        x->r.hits += hit;
        x->r.decode_lookups += decode;
        x->r.decode_hits += hit && decode;
        x->r.useful_bytes += x->in[id] == 2 ? bytes_of(x, id) : 0;
        if (hit) {
            use(x, id);
            x->in[id] = 1;
            x->hits_of[id] += x->hits_of[id] < 3;
        } else {
            put(x, id, 1);
        }
        if (!hit || x->keep[id] < x->batch)
            x->keep[id] = x->batch;
    }
    plain_ahead(x, o);
    if (used_of(x, -1) > x->r.peak_bytes)
        x->r.peak_bytes = used_of(x, -1);
    plain_evict(x, x->per_layer ? layer : 0);
    if (x->per_layer && x->guess && x->batch + x->guess->ahead < o->batches)
        plain_evict(x, o->layer[x->batch + x->guess->ahead]);
}

static void plain_run(struct plain *x, const struct offload *o) {
    int list[IDS_MOST];
    for (int id = 0; id < IDS_MOST; id++)
        x->keep[id] = -1;
    for (x->pass = 0; x->pass < x->s->passes; x->pass++)
        for (int l = 0; l < o->layers; l++) {
            int n = touched(x->s, x->pass, l, list);
            if (n) {
                plain_batch(x, o, l, list, n, o->decode[x->pass]);
                x->batch++;
            }
        }
}

#endif
