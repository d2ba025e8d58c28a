/* test_sample.c - lib/infer/sample: which tokens may be drawn, and how often they are
 *
 * The allowed sets are compared with a plain implementation here that sorts everything; the
 * frequencies with their probabilities by a chi-square test on a fixed seed.
 */
#include "tests/check.h"

#include "lib/base/mem.h"
#include "lib/infer/sample.h"

#define DRAWS 100000

static const struct sample_options plain = {
    .temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1, .seed = 42};

/* Deterministic numbers for logits, roughly normal. */
static float noise(uint32_t *state) {
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (float)(*state >> 8) / 16777216.0f - 0.5f;
    }
    return sum * 3;
}

static float *noisy_logits(int n, uint32_t seed) {
    float *l = mem_array((size_t)n, sizeof(*l));
    for (int i = 0; i < n; i++)
        l[i] = noise(&seed);
    return l;
}

static int64_t *draw_counts(const struct sample_options *opt, const float *logits, int n,
                            int draws) {
    int64_t *count = mem_array((size_t)n, sizeof(*count));
    struct sampler *s = sampler_new(opt, n);
    for (int i = 0; i < draws; i++)
        count[sampler_draw(s, logits)]++;
    sampler_free(s);
    return count;
}

/* ---- the specification: everything is sorted --------------------------------------------- */

struct entry {
    int token;
    double logit, p;
};

static int by_rank(const void *pa, const void *pb) {
    const struct entry *a = pa;
    const struct entry *b = pb;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token - b->token;
}

static void softmax(struct entry *e, int n, double temperature) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += e[i].p = exp((e[i].logit - e[0].logit) / temperature);
    for (int i = 0; i < n; i++)
        e[i].p /= total;
}

/* p[n] = the probability of each token under the options. Returns how many have one. */
static int specify(const struct sample_options *opt, const float *logits, int n, double *p) {
    struct entry *e = mem_array((size_t)n, sizeof(*e));
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (logits[i] > -INFINITY)
            e[kept++] = (struct entry){.token = i, .logit = (double)logits[i]};
    }
    qsort(e, (size_t)kept, sizeof(*e), by_rank);
    if (opt->top_k > 0 && opt->top_k < kept)
        kept = opt->top_k;
    softmax(e, kept, (double)opt->temperature);
    double sum = 0;
    int nucleus = 0;
    while (nucleus < kept && (nucleus == 0 || opt->top_p >= 1 || sum < (double)opt->top_p))
        sum += e[nucleus++].p;
    int cut = 1;
    while (cut < nucleus && e[cut].p >= (double)opt->min_p * e[0].p)
        cut++;
    softmax(e, cut, (double)opt->temperature);
    memset(p, 0, (size_t)n * sizeof(*p));
    for (int i = 0; i < cut; i++)
        p[e[i].token] = e[i].p;
    free(e);
    return cut;
}

/* Chi-square of counts against probabilities must stay below the 1 - 1e-6 quantile of its
 * degrees of freedom (Wilson and Hilferty's approximation); what has none must never be drawn. */
static void check_distribution(const struct sample_options *opt, const float *logits, int n) {
    double *p = mem_array((size_t)n, sizeof(*p));
    int kept = specify(opt, logits, n, p);
    int64_t *count = draw_counts(opt, logits, n, DRAWS);
    double chi = 0;
    double rest_p = 0;
    int64_t rest = 0;
    int cells = 0;
    int64_t forbidden = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] == 0) {
            forbidden += count[i];
        } else if (p[i] * DRAWS < 10) {     /* small cells are put together */
            rest_p += p[i];
            rest += count[i];
        } else {
            double expected = p[i] * DRAWS;
            chi += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
            cells++;
        }
    }
    if (rest_p * DRAWS >= 1) {
        double expected = rest_p * DRAWS;
        chi += ((double)rest - expected) * ((double)rest - expected) / expected;
        cells++;
    }
    CHECK_INT(forbidden, 0);
    CHECK(kept > 0);
    if (cells > 1) {
        double df = cells - 1;
        double limit = df * pow(1 - 2 / (9 * df) + 4.75 * sqrt(2 / (9 * df)), 3);
        CHECK(chi < limit);
    }
    free(p);
    free(count);
}

static void distributions(void) {
    float *l = noisy_logits(300, 7);
    struct sample_options opt = plain;
    check_distribution(&opt, l, 300);
    opt.temperature = 0.5f;
    check_distribution(&opt, l, 300);
    opt.top_k = 20;
    check_distribution(&opt, l, 300);
    opt.top_p = 0.7f;
    check_distribution(&opt, l, 300);
    opt.min_p = 0.3f;
    check_distribution(&opt, l, 300);
    opt = plain;
    opt.top_p = 0.6f;
    check_distribution(&opt, l, 300);
    opt.min_p = 0.1f;
    check_distribution(&opt, l, 300);
    opt.top_p = 1;
    check_distribution(&opt, l, 300);
    free(l);
}

/* A vocabulary as large as they come, with a flat middle: the partial selections at work. */
static void large_vocabulary(void) {
    int n = 262144;
    float *l = noisy_logits(n, 11);
    double *p = mem_array((size_t)n, sizeof(*p));
    static const struct sample_options cases[] = {
        {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .repeat_penalty = 1},
        {.temperature = 0.3f, .top_k = 0, .top_p = 0.5f, .repeat_penalty = 1},
        {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.5f, .repeat_penalty = 1},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        int kept = specify(&cases[c], l, n, p);
        struct sampler *s = sampler_new(&cases[c], n);
        int outside = 0;
        for (int i = 0; i < 200; i++)
            outside += p[sampler_draw(s, l)] == 0;
        CHECK(kept > 1);
        CHECK_INT(outside, 0);
        sampler_free(s);
    }
    free(p);
    free(l);
}

/* ---- sets worked out by hand -------------------------------------------------------------- */

/* Probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 in a mixed order. */
static const float halves[5] = {-2.0794415f, -0.6931472f, -2.7725887f, -1.3862944f, -2.7725887f};

static int drawn_set(const struct sample_options *opt, const float *l, int n) {
    int64_t *count = draw_counts(opt, l, n, 20000);
    int set = 0;
    for (int i = 0; i < n; i++)
        set |= (count[i] > 0) << i;
    free(count);
    return set;
}

static void filters(void) {
    struct sample_options opt = plain;
    CHECK_INT(drawn_set(&opt, halves, 5), 0x1f);
    opt.top_k = 1;
    CHECK_INT(drawn_set(&opt, halves, 5), 0x02);
    opt.top_k = 3;
    CHECK_INT(drawn_set(&opt, halves, 5), 0x0b);
    opt.top_k = 4;                              /* of the two equal ones the lower id */
    CHECK_INT(drawn_set(&opt, halves, 5), 0x0f);
    for (int k = 0; k <= 5; k += 5) {           /* both ways through the code */
        opt = plain;
        opt.top_k = k;
        opt.top_p = 0.49f;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x02);
        opt.top_p = 0.6f;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x0a);
        opt.top_p = 0.8f;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x0b);
        opt.top_p = 0;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x02);
        opt.top_p = 1;
        opt.min_p = 0.4f;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x0a);
        opt.min_p = 0.2f;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x0b);
        opt.min_p = 1;
        CHECK_INT(drawn_set(&opt, halves, 5), 0x02);
    }
}

static void greedy_takes_lowest_of_equals(void) {
    struct sample_options opt = {.temperature = 0, .repeat_penalty = 1};
    float l[200];
    for (int i = 0; i < 200; i++)
        l[i] = (float)(i % 7);
    struct sampler *s = sampler_new(&opt, 200);
    CHECK_INT(sampler_draw(s, l), 6);
    l[150] = 6.5f;
    CHECK_INT(sampler_draw(s, l), 150);
    l[199] = 7;                                 /* in the short block at the end */
    CHECK_INT(sampler_draw(s, l), 199);
    sampler_free(s);
}

static void strange_logits(void) {
    float l[130];
    for (int i = 0; i < 130; i++)
        l[i] = i % 2 ? NAN : -INFINITY;
    static const struct sample_options cases[] = {
        {.temperature = 0, .repeat_penalty = 1},
        {.temperature = 1, .top_k = 8, .top_p = 0.9f, .repeat_penalty = 1},
        {.temperature = 1, .top_p = 0.9f, .repeat_penalty = 1},
        {.temperature = 1, .top_p = 1, .repeat_penalty = 1},
    };
    for (int c = 0; c < 4; c++) {
        struct sampler *s = sampler_new(&cases[c], 130);
        l[77] = NAN;
        CHECK_INT(sampler_draw(s, l), 0);
        l[77] = -1e30f;                         /* the only number there is */
        CHECK_INT(sampler_draw(s, l), 77);
        l[20] = INFINITY;
        CHECK_INT(sampler_draw(s, l), 20);
        l[20] = -INFINITY;
        sampler_free(s);
    }
}

static void penalty(void) {
    struct sample_options opt = {.temperature = 0, .repeat_penalty = 2, .repeat_last = 2};
    float l[4] = {3, 2, -1, -1.5f};
    const float before[4] = {3, 2, -1, -1.5f};
    struct sampler *s = sampler_new(&opt, 4);
    CHECK_INT(sampler_draw(s, l), 0);
    sampler_accept(s, 0);
    CHECK_INT(sampler_draw(s, l), 1);           /* 1.5 against 2 */
    sampler_accept(s, 0);                       /* seen twice, punished once */
    l[1] = 1.4f;
    CHECK_INT(sampler_draw(s, l), 0);           /* 1.5 against 1.4 */
    sampler_accept(s, 1);
    sampler_accept(s, 1);                       /* 0 is forgotten */
    l[1] = 2;
    CHECK_INT(sampler_draw(s, l), 0);
    l[0] = l[1] = -9;
    sampler_accept(s, 2);
    CHECK_INT(sampler_draw(s, l), 3);           /* -2 against -1.5: negative logits go down too */
    l[0] = 3;
    l[1] = 2;
    CHECK(!memcmp(l, before, sizeof(l)));       /* the caller's logits are as they were */
    sampler_free(s);
}

static void banned_tokens(void) {
    static const int32_t banned[2] = {1, 3};
    struct sample_options opt = plain;
    opt.banned = banned;
    opt.n_banned = 2;
    CHECK_INT(drawn_set(&opt, halves, 5), 0x15);
    opt.temperature = 0;
    CHECK_INT(drawn_set(&opt, halves, 5), 0x01);
}

/* ---- the random stream -------------------------------------------------------------------- */

static void seeds(void) {
    float *l = noisy_logits(64, 3);
    struct sample_options opt = plain;
    struct sampler *a = sampler_new(&opt, 64);
    struct sampler *b = sampler_new(&opt, 64);
    int32_t first[32];
    int differs = 0;
    for (int i = 0; i < 32; i++) {
        first[i] = sampler_draw(a, l);
        CHECK_INT(sampler_draw(b, l), first[i]);
    }
    sampler_reset(a, opt.seed);
    sampler_reset(b, opt.seed + 1);
    for (int i = 0; i < 32; i++) {
        CHECK_INT(sampler_draw(a, l), first[i]);
        differs += sampler_draw(b, l) != first[i];
    }
    CHECK(differs > 16);
    sampler_free(a);
    sampler_free(b);
    free(l);
}

/* xoshiro256** seeded with splitmix64 from 0: the first outputs, computed apart from this code, are
 * 0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0. With equal logits over 2^16 tokens
 * the token drawn is the top 16 bits. */
static void stream_is_xoshiro256(void) {
    int n = 1 << 16;
    float *l = mem_array((size_t)n, sizeof(*l));
    struct sample_options opt = plain;
    opt.seed = 0;
    struct sampler *s = sampler_new(&opt, n);
    CHECK_INT(sampler_draw(s, l), 0x99ec);
    CHECK_INT(sampler_draw(s, l), 0xbf6e);
    CHECK_INT(sampler_draw(s, l), 0x1a5f);
    sampler_free(s);
    free(l);
}

/* ---- log-probabilities -------------------------------------------------------------------- */

static void logprobs(void) {
    struct sample_logprob top[7];
    CHECK_NEAR(sample_logprobs(halves, 5, 3, top, 7), log(0.25), 1e-6);
    static const int order[5] = {1, 3, 0, 2, 4};
    for (int i = 0; i < 5; i++) {
        CHECK_INT(top[i].token, order[i]);
        CHECK_NEAR(top[i].logprob, (double)halves[order[i]], 1e-6);
    }
    CHECK_INT(top[5].token, -1);
    float far[3] = {1000, 0, -1000};            /* no overflow */
    CHECK_NEAR(sample_logprobs(far, 3, 2, NULL, 0), -2000, 1e-3);
    CHECK_NEAR(sample_logprobs(far, 3, 0, NULL, 0), 0, 1e-6);
}

int main(void) {
    RUN(distributions);
    RUN(large_vocabulary);
    RUN(filters);
    RUN(greedy_takes_lowest_of_equals);
    RUN(strange_logits);
    RUN(penalty);
    RUN(banned_tokens);
    RUN(seeds);
    RUN(stream_is_xoshiro256);
    RUN(logprobs);
    return check_done();
}
