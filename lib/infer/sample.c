/* sample.c - choose the next token from logits
 *
 * The set of tokens that may be drawn is a prefix of the order "larger logit first, then lower
 * id": top-k, top-p and min-p each shorten it. So nothing is ever sorted in full: the k best are
 * kept in a heap while the logits are read once, and a nucleus is popped from a heap of the few
 * tokens that can belong to it. The scan compares blocks of logits with the current threshold,
 * which the compiler turns into vector code; at 262,144 tokens it costs tens of microseconds.
 *
 * A logit that is not a number, or is minus infinity, is never drawn.
 */
#include "lib/infer/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"

#define SCAN_BLOCK 64

struct candidate {
    float logit;
    int32_t token;
};

struct sampler {
    struct sample_options opt;
    int vocab;
    uint64_t random[4];
    int32_t *recent;            /* ring of the last opt.repeat_last tokens */
    int n_recent, next_recent;
    int32_t *banned;            /* own copy of opt.banned */
    float *changed;             /* [vocab] logits after penalty and bans; NULL when neither is on */
    struct candidate *cand;     /* [top_k], or [vocab] without top-k; NULL when greedy */
};

/* ---- random numbers --------------------------------------------------------------------- */

static uint64_t rotate_left(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators"). */
static uint64_t next_random(uint64_t s[4]) {
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Uniform in [0, 1): the top 53 bits. */
static double next_uniform(uint64_t s[4]) {
    return (double)(next_random(s) >> 11) * 0x1p-53;
}

/* ---- scanning --------------------------------------------------------------------------- */

/* Is any of the SCAN_BLOCK logits above the threshold? A fixed trip count and no early exit, so
 * that it becomes a few vector compares. */
static int block_above(const float *logits, float threshold) {
    int any = 0;
    for (int i = 0; i < SCAN_BLOCK; i++)
        any |= logits[i] > threshold;
    return any;
}

/* Where the block that starts at i ends, when a logit in it is above the threshold; else 0. The
 * last, short block is always looked at. */
static int block_end(const float *logits, int n, int i, float threshold) {
    if (n - i < SCAN_BLOCK)
        return n;
    return block_above(logits + i, threshold) ? i + SCAN_BLOCK : 0;
}

/* The lowest id among the largest logits; -1 when no logit can be drawn. */
static int32_t best_token(const float *logits, int n) {
    int32_t best = -1;
    float top = -INFINITY;
    for (int i = 0; i < n; i += SCAN_BLOCK) {
        int end = block_end(logits, n, i, top);
        for (int j = i; j < end; j++) {
            if (logits[j] > top) {
                top = logits[j];
                best = j;
            }
        }
    }
    return best;
}

static int is_better(struct candidate a, struct candidate b) {
    return a.logit > b.logit || (a.logit == b.logit && a.token < b.token);
}

/* ---- heaps ------------------------------------------------------------------------------ */

/* Both heaps share one sift: with sign > 0 the best is at the root, with sign < 0 the worst. */
static int goes_above(struct candidate a, struct candidate b, int sign) {
    return sign > 0 ? is_better(a, b) : is_better(b, a);
}

static void sift_down(struct candidate *heap, int n, int at, int sign) {
    struct candidate moving = heap[at];
    for (;;) {
        int child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && goes_above(heap[child + 1], heap[child], sign))
            child++;
        if (!goes_above(heap[child], moving, sign))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void heapify(struct candidate *heap, int n, int sign) {
    for (int i = n / 2 - 1; i >= 0; i--)
        sift_down(heap, n, i, sign);
}

/* Moves the root behind the heap, which shrinks to n - 1. */
static void pop_root(struct candidate *heap, int n, int sign) {
    struct candidate root = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = root;
    if (n > 1)
        sift_down(heap, n - 1, 0, sign);
}

/* The (at most) k best of logits[n] into cand, best first; returns how many there are. */
static int select_top(const float *logits, int n, int k, struct candidate *cand) {
    int held = 0;
    float threshold = -INFINITY;
    for (int i = 0; i < n; i += SCAN_BLOCK) {
        int end = block_end(logits, n, i, threshold);
        for (int j = i; j < end; j++) {
            /* Ids ascend, so an equal logit found later is never the better one. */
            if (!(logits[j] > threshold))
                continue;
            struct candidate c = {logits[j], j};
            if (held < k) {
                cand[held++] = c;
                if (held == k)
                    heapify(cand, k, -1);
            } else {
                cand[0] = c;
                sift_down(cand, k, 0, -1);
            }
            if (held == k)
                threshold = cand[0].logit;
        }
    }
    if (held < k)
        heapify(cand, held, -1);
    /* Popping the worst to the back leaves the best in front. */
    for (int left = held; left > 1; left--)
        pop_root(cand, left, -1);
    return held;
}

/* ---- drawing ---------------------------------------------------------------------------- */

/* Probability relative to the most likely token. Double, so that a library's last bit does not
 * decide a draw; equal logits give 1 even where both are infinite. */
static double weight_of(float logit, float top, double temperature) {
    return logit == top ? 1.0 : exp(((double)logit - (double)top) / temperature);
}

/* Draws among cand[n], best first: cut to the nucleus of top_p of `total` (the weight of all
 * tokens before the cut) and to min_p. */
static int32_t draw_sorted(struct sampler *s, const struct candidate *cand, int n, double total) {
    double temperature = (double)s->opt.temperature;
    double wanted = (double)s->opt.top_p * total;
    double sum = 0;
    int kept = 0;
    while (kept < n) {
        double w = weight_of(cand[kept].logit, cand[0].logit, temperature);
        if (kept > 0 && (w < (double)s->opt.min_p || (s->opt.top_p < 1 && sum >= wanted)))
            break;
        sum += w;
        kept++;
    }
    double u = next_uniform(s->random) * sum;
    double reached = 0;
    for (int i = 0; i < kept; i++) {
        reached += weight_of(cand[i].logit, cand[0].logit, temperature);
        if (u < reached)
            return cand[i].token;
    }
    return cand[kept - 1].token;
}

/* Draws among all tokens, in order of id: no filter is on. */
static int32_t draw_unfiltered(struct sampler *s, const float *logits, float top, double total) {
    double u = next_uniform(s->random) * total;
    double reached = 0;
    int32_t last = 0;
    for (int i = 0; i < s->vocab; i++) {
        if (!(logits[i] > -INFINITY))
            continue;
        reached += weight_of(logits[i], top, (double)s->opt.temperature);
        last = i;
        if (u < reached)
            break;
    }
    return last;
}

/* Draws without top-k. Only tokens that can survive top-p and min-p become candidates: all
 * tokens below (1 - top_p) / vocab of the total weigh less than 1 - top_p together, so the
 * nucleus is complete without them. */
static int32_t draw_all(struct sampler *s, const float *logits, float top) {
    double temperature = (double)s->opt.temperature;
    double total = 0;
    for (int i = 0; i < s->vocab; i++) {
        if (logits[i] > -INFINITY)
            total += weight_of(logits[i], top, temperature);
    }
    double least = (double)s->opt.min_p;
    if (s->opt.top_p < 1) {
        double outside = (1 - (double)s->opt.top_p) * total / s->vocab * (1 - 1e-9);
        least = fmax(least, outside);
    }
    if (least <= 0)
        return draw_unfiltered(s, logits, top, total);

    /* Most are ruled out by a comparison, a little generous, before a weight is computed. */
    double bound = (double)top + temperature * log(least);
    bound -= 1e-6 * (1 + fabs(bound));
    int n = 0;
    for (int i = 0; i < s->vocab; i++) {
        if ((double)logits[i] >= bound && weight_of(logits[i], top, temperature) >= least)
            s->cand[n++] = (struct candidate){logits[i], i};
    }
    if (n == 0)     /* top_p 0: the nucleus is the most likely token */
        return best_token(logits, s->vocab);
    heapify(s->cand, n, 1);
    double wanted = (double)s->opt.top_p * total;
    double sum = 0;
    int taken = 0;
    while (taken < n && (taken == 0 || s->opt.top_p >= 1 || sum < wanted)) {
        sum += weight_of(s->cand[0].logit, top, temperature);
        pop_root(s->cand, n - taken, 1);
        taken++;
    }
    /* The popped ones lie at the end, best last: turn them round. */
    struct candidate *first = s->cand + n - taken;
    for (int i = 0, j = taken - 1; i < j; i++, j--) {
        struct candidate c = first[i];
        first[i] = first[j];
        first[j] = c;
    }
    return draw_sorted(s, first, taken, total);
}

/* ---- interface -------------------------------------------------------------------------- */

struct sampler *sampler_new(const struct sample_options *opt, int vocab) {
    struct sampler *s = mem_alloc(sizeof(*s));
    s->opt = *opt;
    s->vocab = vocab;
    if (s->opt.top_k > vocab || s->opt.top_k < 0)
        s->opt.top_k = 0;
    if (s->opt.repeat_penalty == 1.0f || s->opt.repeat_last < 0)
        s->opt.repeat_last = 0;
    if (s->opt.repeat_last > 0)
        s->recent = mem_array((size_t)s->opt.repeat_last, sizeof(*s->recent));
    if (opt->n_banned > 0) {
        s->banned = mem_array((size_t)opt->n_banned, sizeof(*s->banned));
        memcpy(s->banned, opt->banned, (size_t)opt->n_banned * sizeof(*s->banned));
    }
    if (s->opt.repeat_last > 0 || s->opt.n_banned > 0)
        s->changed = mem_array((size_t)vocab, sizeof(*s->changed));
    if (s->opt.temperature > 0)
        s->cand = mem_array((size_t)(s->opt.top_k ? s->opt.top_k : vocab), sizeof(*s->cand));
    sampler_reset(s, opt->seed);
    return s;
}

void sampler_free(struct sampler *s) {
    if (!s)
        return;
    free(s->recent);
    free(s->banned);
    free(s->changed);
    free(s->cand);
    free(s);
}

void sampler_reset(struct sampler *s, uint64_t seed) {
    struct rng seeding = {seed};        /* as Blackman and Vigna advise */
    for (int i = 0; i < 4; i++)
        s->random[i] = rng_next(&seeding);
    s->n_recent = s->next_recent = 0;
}

void sampler_accept(struct sampler *s, int32_t token) {
    if (s->opt.repeat_last == 0 || token < 0 || token >= s->vocab)
        return;
    s->recent[s->next_recent] = token;
    s->next_recent = (s->next_recent + 1) % s->opt.repeat_last;
    if (s->n_recent < s->opt.repeat_last)
        s->n_recent++;
}

/* The logits with penalty and bans. A token seen twice is penalised once: its new logit always
 * comes from the model's. */
static const float *changed_logits(struct sampler *s, const float *logits) {
    memcpy(s->changed, logits, (size_t)s->vocab * sizeof(*logits));
    for (int i = 0; i < s->n_recent; i++) {
        int32_t t = s->recent[i];
        float penalty = s->opt.repeat_penalty;
        s->changed[t] = logits[t] > 0 ? logits[t] / penalty : logits[t] * penalty;
    }
    for (int i = 0; i < s->opt.n_banned; i++) {
        if (s->banned[i] >= 0 && s->banned[i] < s->vocab)
            s->changed[s->banned[i]] = -INFINITY;
    }
    return s->changed;
}

int32_t sampler_draw(struct sampler *s, const float *logits) {
    if (s->changed)
        logits = changed_logits(s, logits);
    if (s->opt.temperature > 0 && s->opt.top_k > 0) {
        int n = select_top(logits, s->vocab, s->opt.top_k, s->cand);
        double total = 0;
        for (int i = 0; i < n; i++)
            total += weight_of(s->cand[i].logit, s->cand[0].logit, (double)s->opt.temperature);
        return n == 0 ? 0 : draw_sorted(s, s->cand, n, total);
    }
    int32_t best = best_token(logits, s->vocab);
    if (best < 0)
        return 0;
    return s->opt.temperature > 0 ? draw_all(s, logits, logits[best]) : best;
}

float sample_logprobs(const float *logits, int vocab, int32_t token, struct sample_logprob *top,
                      int n) {
    int32_t best = best_token(logits, vocab);
    double total = 0;
    for (int i = 0; best >= 0 && i < vocab; i++) {
        if (logits[i] > -INFINITY)
            total += weight_of(logits[i], logits[best], 1.0);
    }
    double norm = best < 0 ? 0 : (double)logits[best] + log(total);
    if (n > 0) {
        struct candidate *cand = mem_array((size_t)n, sizeof(*cand));
        int found = select_top(logits, vocab, n < vocab ? n : vocab, cand);
        for (int i = 0; i < n; i++) {
            top[i].token = i < found ? cand[i].token : -1;
            top[i].logprob = i < found ? (float)((double)cand[i].logit - norm) : -INFINITY;
        }
        free(cand);
    }
    return (float)((double)logits[token] - norm);
}
