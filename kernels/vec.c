/* vec.c - norms, activations, rotary embedding, router and sums, as far as variants share them
 *
 * Divides a call over threads by rows or runs of elements, which changes no bit since none
 * depends on another; the functions over one row are the variant's (struct vec_ops). The angles
 * of the rotary embedding and the choice of experts are the same code for all.
 */
#include "kernels/vec.h"

#include <assert.h>
#include <math.h>

#include "kernels/vmath.h"

/* ---- rows and runs ---------------------------------------------------------------------- */

/* The operands of any operation here; each uses some. */
struct job {
    const struct vec_ops *ops;
    const float *x, *x2;
    float *y;
    int64_t ldx, ldy, total;
    int n, d, act, heads, dim;
    float param;
    const struct kern_rope *rope;
    double *sums;
};

static void rms_norm_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        j->ops->rms_norm(j->x + r * j->ldx, j->d, j->x2, j->param, j->y + r * j->ldy);
}

void vec_rms_norm(const struct vec_ops *ops, struct kern_queue *q, const float *x, int64_t ldx,
                  int n, int d, const float *w, float eps, float *y, int64_t ldy) {
    struct job j = {.ops = ops, .x = x, .ldx = ldx ? ldx : d, .n = n, .d = d, .x2 = w,
                    .param = eps, .y = y, .ldy = ldy ? ldy : d};
    vec_run(q, n > 1 ? (int64_t)n * d : 0, rms_norm_task, &j);
}

static void glu_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t a;
    int64_t b;
    vec_part(j->total, 64, ith, nth, &a, &b);
    j->ops->glu(j->act, j->x + a, j->x2 + a, b - a, j->y + a);
}

void vec_glu(const struct vec_ops *ops, struct kern_queue *q, int act, const float *gate,
             const float *up, int64_t total, float *out) {
    struct job j = {.ops = ops, .act = act, .x = gate, .x2 = up, .total = total, .y = out};
    vec_run(q, total, glu_task, &j);
}

static void add_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t a;
    int64_t b;
    vec_part(j->total, 64, ith, nth, &a, &b);
    j->ops->add(j->y + a, j->x + a, j->param, b - a);
}

void vec_add(const struct vec_ops *ops, struct kern_queue *q, float *y, const float *x,
             float scale, int64_t total) {
    struct job j = {.ops = ops, .y = y, .x = x, .param = scale, .total = total};
    vec_run(q, total / 4, add_task, &j);
}

static void gate_rows_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        j->ops->scale(j->y + r * j->d, j->d, vmath_sigmoid(j->x[r]));
}

void vec_gate_rows(const struct vec_ops *ops, struct kern_queue *q, float *x, int n, int d,
                   const float *gate) {
    struct job j = {.ops = ops, .y = x, .n = n, .d = d, .x = gate};
    vec_run(q, n > 1 ? (int64_t)n * d / 4 : 0, gate_rows_task, &j);
}

static void softcap_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t a;
    int64_t b;
    vec_part(j->total, 64, ith, nth, &a, &b);
    j->ops->softcap(j->y + a, b - a, j->param);
}

void vec_softcap(const struct vec_ops *ops, struct kern_queue *q, float *x, int64_t total,
                 float cap) {
    struct job j = {.ops = ops, .y = x, .total = total, .param = cap};
    vec_run(q, total, softcap_task, &j);
}

static void logsumexp_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        j->sums[r] = j->ops->logsumexp(j->x + r * j->total, j->total);
}

void vec_logsumexp(const struct vec_ops *ops, struct kern_queue *q, const float *x, int n,
                   int64_t d, double *out) {
    struct job j = {.ops = ops, .x = x, .n = n, .total = d, .sums = out};
    vec_run(q, n > 1 ? n * d : 0, logsumexp_task, &j);
}

/* ---- rotary embedding ------------------------------------------------------------------- */

struct angles_job {
    const struct kern_rope *rope;
    const int32_t *pos;
    int n;
    float *angles;
};

/* The dimension whose wave turns `turns` times within the trained context, as a pair's index. */
static double yarn_dim(const struct kern_rope *r, double turns) {
    return r->dims * log(r->orig_context / (turns * 2 * M_PI)) / (2 * log((double)r->base));
}

/* How much of the unscaled angle YaRN keeps for pair i: all of it for the fast pairs, nothing
 * for the slow ones, a straight line in between. */
static double yarn_mix(const struct kern_rope *r, int i) {
    double low = fmax(0, floor(yarn_dim(r, (double)r->beta_fast)));
    double high = fmin(r->dims - 1, ceil(yarn_dim(r, (double)r->beta_slow)));
    double ramp = (i - low) / fmax(0.001, high - low);
    return (1 - fmin(1, fmax(0, ramp))) * (double)r->ext_factor;
}

static void angles_task(void *arg, int ith, int nth) {
    const struct angles_job *j = arg;
    const struct kern_rope *r = j->rope;
    double size = (double)r->attn_factor;
    if (r->ext_factor != 0)
        size *= 1 + 0.1 * log(1 / (double)r->freq_scale);
    int half = r->dims / 2;
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    if (r0 == r1)
        return;
    for (int i = 0; i < half; i++) {
        double freq = pow((double)r->base, -2.0 * i / r->dims);
        if (r->factors)
            freq /= (double)r->factors[i];
        double mix = r->ext_factor != 0 ? yarn_mix(r, i) : 0;
        freq = freq * (double)r->freq_scale * (1 - mix) + freq * mix;
        for (int64_t row = r0; row < r1; row++) {
            double theta = j->pos[row] * freq;
            float *to = j->angles + (row * half + i) * 2;
            to[0] = (float)(cos(theta) * size);
            to[1] = (float)(sin(theta) * size);
        }
    }
}

void vec_rope_angles(struct kern_queue *q, const struct kern_rope *r, const int32_t *pos, int n,
                     float *angles) {
    struct angles_job j = {.rope = r, .pos = pos, .n = n, .angles = angles};
    vec_run(q, n > 1 ? (int64_t)n * r->dims * 32 : 0, angles_task, &j);
}

static void rope_task(void *arg, int ith, int nth) {
    const struct job *j = arg;
    int half = j->rope->dims / 2;
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    for (int64_t r = r0; r < r1; r++)
        j->ops->rope(j->y + r * j->heads * j->dim, j->heads, j->dim, half, j->rope->neox,
                     j->x + r * half * 2);
}

void vec_rope(const struct vec_ops *ops, struct kern_queue *q, const struct kern_rope *r,
              const float *angles, float *x, int n, int heads, int dim) {
    struct job j = {.ops = ops, .rope = r, .x = angles, .y = x, .n = n, .heads = heads,
                    .dim = dim};
    vec_run(q, n > 1 ? (int64_t)n * heads * r->dims / 2 : 0, rope_task, &j);
}

/* ---- router ----------------------------------------------------------------------------- */

/* Least weight sum that normalising divides by: 2^-14, the smallest normal F16. */
#define MIN_SUM 6.103515625e-5f

struct route_job {
    const struct vec_ops *ops;
    const struct kern_route *r;
    const float *logits;
    int n;
    struct kern_routes *out;
    char *scratch;
};

/* One thread's arrays while a row is routed. */
struct desk {
    float *score;           /* [experts] what weights are made of */
    float *key;             /* [experts] what is selected by; never NaN */
    float *group_key;       /* [groups] */
    int32_t *group;         /* [groups] */
};

static size_t desk_bytes(int64_t experts) {
    return (size_t)(experts * 16 + 63) / 64 * 64;
}

size_t kern_vec_scratch(const struct kern_limits *lim) {
    int threads = lim->threads > 1 ? lim->threads : 1;
    return (size_t)threads * desk_bytes(lim->experts);
}

/* Puts candidate e into list, the best `room` seen so far by falling key. Candidates come in
 * ascending order, so that of equal keys the lower number stays ahead. */
static int offer(const float *key, int32_t *list, int count, int room, int32_t e) {
    if (count == room && !(key[e] > key[list[room - 1]]))
        return count;
    int i = count < room ? count++ : room - 1;
    for (; i > 0 && key[e] > key[list[i - 1]]; i--)
        list[i] = list[i - 1];
    list[i] = e;
    return count;
}

/* Sum of the best two keys of a group. */
static float group_key(const float *key, int size) {
    float best = -INFINITY;
    float second = -INFINITY;
    for (int i = 0; i < size; i++) {
        if (key[i] > best) {
            second = best;
            best = key[i];
        } else if (key[i] > second) {
            second = key[i];
        }
    }
    return size > 1 ? best + second : best;
}

/* The best top_k experts, within the best groups if there are groups. */
static void select_experts(const struct kern_route *r, struct desk *d, int32_t *expert) {
    int count = 0;
    if (r->groups <= 1) {
        for (int e = 0; e < r->experts; e++)
            count = offer(d->key, expert, count, r->top_k, e);
        return;
    }
    int size = r->experts / r->groups;
    int used = 0;
    for (int g = 0; g < r->groups; g++) {
        d->group_key[g] = group_key(d->key + g * size, size);
        used = offer(d->group_key, d->group, used, r->groups_used, g);
    }
    for (int g = 0; g < r->groups; g++) {
        int in = 0;
        for (int i = 0; i < used; i++)
            in |= d->group[i] == g;
        for (int e = g * size; in && e < (g + 1) * size; e++)
            count = offer(d->key, expert, count, r->top_k, e);
    }
}

/* Softmax over the chosen k logits, which stand in w. */
static void softmax_few(float *w, int k) {
    float max = w[0];
    for (int i = 1; i < k; i++)
        max = w[i] > max ? w[i] : max;
    float sum = 0;
    for (int i = 0; i < k; i++) {
        w[i] = vmath_exp(w[i] - max);
        sum += w[i];
    }
    for (int i = 0; i < k; i++)
        w[i] /= sum;
}

static void route_row(const struct route_job *j, struct desk *d, const float *logits,
                      int32_t *expert, float *weight) {
    const struct kern_route *r = j->r;
    const float *score = d->score;
    if (r->gate == KERN_GATE_SOFTMAX)
        j->ops->softmax(logits, r->experts, d->score);
    else if (r->gate == KERN_GATE_SIGMOID)
        j->ops->sigmoid(logits, r->experts, d->score);
    else
        score = logits;
    for (int e = 0; e < r->experts; e++) {
        float key = r->bias ? score[e] + r->bias[e] : score[e];
        d->key[e] = isnan(key) ? -INFINITY : key;
    }
    select_experts(r, d, expert);
    for (int i = 0; i < r->top_k; i++)
        weight[i] = score[expert[i]];
    if (r->gate == KERN_GATE_TOPK_SOFTMAX)
        softmax_few(weight, r->top_k);
    float factor = r->scale;
    if (r->normalise) {
        float sum = 0;
        for (int i = 0; i < r->top_k; i++)
            sum += weight[i];
        factor /= sum < MIN_SUM ? MIN_SUM : sum;
    }
    for (int i = 0; i < r->top_k; i++)
        weight[i] *= factor;
}

static void route_task(void *arg, int ith, int nth) {
    const struct route_job *j = arg;
    const struct kern_route *r = j->r;
    float *at = (float *)(void *)(j->scratch + (size_t)ith * desk_bytes(r->experts));
    struct desk d = {.score = at, .key = at + r->experts, .group_key = at + 2 * r->experts,
                     .group = (int32_t *)(void *)(at + 3 * r->experts)};
    int64_t r0;
    int64_t r1;
    vec_part(j->n, 1, ith, nth, &r0, &r1);
    for (int64_t row = r0; row < r1; row++)
        route_row(j, &d, j->logits + row * r->experts, j->out->expert + row * r->top_k,
                  j->out->weight + row * r->top_k);
}

/* Counting sort of the pairs by expert: count, then first places, then each pair to its place
 * (start[e] moves up to start[e + 1]), then the starts moved back. */
static void sort_pairs(const struct kern_route *r, int n, struct kern_routes *out) {
    int32_t pairs = n * r->top_k;
    for (int e = 0; e <= r->experts; e++)
        out->start[e] = 0;
    for (int32_t p = 0; p < pairs; p++)
        out->start[out->expert[p] + 1]++;
    for (int e = 0; e < r->experts; e++)
        out->start[e + 1] += out->start[e];
    for (int32_t p = 0; p < pairs; p++)
        out->order[out->start[out->expert[p]]++] = p;
    for (int e = r->experts; e > 0; e--)
        out->start[e] = out->start[e - 1];
    out->start[0] = 0;
}

void vec_route(const struct vec_ops *ops, struct kern_queue *q, const struct kern_route *r,
               const float *logits, int n, struct kern_routes *out) {
    assert(r->top_k <= r->experts);
    assert(r->groups <= 1 || r->top_k <= r->experts / r->groups * r->groups_used);
    struct route_job j = {.ops = ops, .r = r, .logits = logits, .n = n, .out = out,
                          .scratch = q->scratch};
    vec_run(q, n > 1 ? (int64_t)n * r->experts * 2 : 0, route_task, &j);
    sort_pairs(r, n, out);
}
