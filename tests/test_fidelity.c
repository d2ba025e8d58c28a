/* test_fidelity.c - divergence of rows of logits against closed forms and plain sums in double */
#include "lib/quant/fidelity.h"

#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/random.h"

#define ROUNDING 1e-11          /* relative error of the exponentials, see fidelity.c */

static struct par *par;

static float uniform(float low, float high) {
    return low + (high - low) * (float)(next() >> 40) / (float)(1 << 24);
}

/* One prediction of two rows. */
static struct fidelity one(const float *a, const float *b, int64_t n, int32_t token) {
    struct fidelity f;
    fidelity_open(&f, n, 1);
    fidelity_add(&f, par, &(struct fidelity_rows){.base = a, .other = b, .token = &token, .n = 1});
    return f;
}

/* ---- rows -------------------------------------------------------------------------------- */

static void alike(void) {
    for (int n = 1; n < 40; n++) {
        float a[40];
        for (int i = 0; i < n; i++)
            a[i] = uniform(-30, 30);
        struct fidelity f = one(a, a, n, n / 2);
        CHECK(f.kl[0] == 0 && f.dp[0] == 0 && f.top[0] == 1 && f.nll[0] == f.nll_base[0]);
        fidelity_close(&f);
    }
}

/* p = (1/2, 1/2), q = (9/10, 1/10): kl = log(5/3). Constants added to a row change nothing. */
static void two_tokens(void) {
    for (float c = -50; c <= 50; c += 25) {
        const float a[] = {c, c};
        const float b[] = {logf(0.9f) - c, logf(0.1f) - c};
        struct fidelity f = one(a, b, 2, 1);
        CHECK_NEAR(f.kl[0], log(5.0 / 3), 2e-6);    /* logits are floats */
        CHECK_NEAR(f.nll_base[0], log(2), 1e-12);
        CHECK_NEAR(f.nll[0], log(10), 4e-6);
        CHECK_NEAR(f.dp[0], -0.4, 1e-6);
        CHECK_INT(f.top[0], 1);
        fidelity_close(&f);
    }
}

/* A uniform base of n tokens against one that prefers a token by log(m): log((n - 1 + m) / n)
 * - log(m) / n. */
static void uniform_base(void) {
    float a[1000] = {0};
    float b[1000] = {0};
    for (int n = 2; n <= 1000; n += 37) {
        b[n - 1] = 2.5f;
        struct fidelity f = one(a, b, n, 0);
        CHECK_NEAR(f.kl[0], log((n - 1 + exp(2.5)) / n) - 2.5 / n, 1e-11);
        CHECK_INT(f.top[0], 0);
        fidelity_close(&f);
        b[n - 1] = 0;
    }
}

static double log_sum(const float *x, int64_t n) {
    double m = (double)x[0];
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        m = fmax(m, (double)x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - m);
    return m + log(sum);
}

static void check_plain(const float *a, const float *b, int64_t n, int32_t token) {
    struct fidelity f = one(a, b, n, token);
    double la = log_sum(a, n);
    double lb = log_sum(b, n);
    double kl = 0;
    int64_t top_a = 0;
    int64_t top_b = 0;
    for (int64_t i = 0; i < n; i++) {
        double p = (double)a[i] - la;
        kl += exp(p) * (p - ((double)b[i] - lb));
        top_a = a[i] > a[top_a] ? i : top_a;
        top_b = b[i] > b[top_b] ? i : top_b;
    }
    CHECK_NEAR(f.kl[0], kl, ROUNDING * (1 + fabs(kl)) * 10);
    CHECK_NEAR(f.nll[0], lb - (double)b[token], ROUNDING * 10);
    CHECK_NEAR(f.nll_base[0], la - (double)a[token], ROUNDING * 10);
    CHECK_NEAR(f.dp[0], exp((double)b[token] - lb) - exp((double)a[token] - la), 1e-10);
    CHECK_INT(f.top[0], top_a == top_b);
    fidelity_close(&f);
}

static void plain_sums(void) {
    float *a = mem_array(5000, sizeof *a);
    float *b = mem_array(5000, sizeof *b);
    for (int round = 0; round < 300; round++) {
        int n = round < 100 ? round + 1 : 1 + below(5000);
        float spread = round % 3 ? 20 : 300;        /* the widest reach below what counts */
        float apart = round % 2 ? 0.01f : 5;
        for (int i = 0; i < n; i++) {
            a[i] = uniform(-spread, spread);
            b[i] = a[i] + uniform(-apart, apart);
        }
        check_plain(a, b, n, below(n));
    }
    free(a);
    free(b);
}

/* Masked tokens are no trouble; a row with a NaN, or of nothing but infinities, is. */
static void not_finite(void) {
    const float a[] = {1, 2, -INFINITY, 3, 0, 1, 2, 3, 4, -INFINITY};
    float b[] = {1, 2, -INFINITY, 3, 0, 1, 2, 3, 4, 1};
    struct fidelity f = one(a, a, 10, 3);
    CHECK(f.kl[0] == 0 && f.broken == 0);
    fidelity_close(&f);
    f = one(a, b, 10, 3);
    CHECK(f.broken == 0 && f.kl[0] > 0 && f.kl[0] < 1);
    fidelity_close(&f);
    f = one(b, a, 10, 3);
    CHECK(f.broken == 0 && f.kl[0] > 10 && f.kl[0] < 700);      /* near 0.025 x 700 */
    fidelity_close(&f);
    for (int i = 0; i < 10; i++) {
        float keep = b[i];
        b[i] = NAN;
        f = one(a, b, 10, 3);
        CHECK(f.broken == 1 && isnan(f.kl[0]) && isnan(f.nll[0]) && f.top[0] == 0);
        fidelity_close(&f);
        b[i] = INFINITY;
        f = one(b, a, 10, 3);
        CHECK_INT(f.broken, 1);
        fidelity_close(&f);
        b[i] = keep;
    }
}

/* Coded rows, as llama-perplexity adds them up. */
static void coded(void) {
    uint16_t code[777];
    float b[777];
    for (int round = 0; round < 50; round++) {
        int n = 1 + below(777);
        int32_t token = below(n);
        struct fidelity_coded c = {.scale = 16.0f / 65535, .code = code};
        double sum = 0;
        double mass = 0;
        int top_a = 0;
        int top_b = 0;
        for (int i = 0; i < n; i++) {
            code[i] = (uint16_t)(below(4) ? below(65536) : 0);
            b[i] = uniform(-10, 10);
            mass += exp((double)c.scale * code[i]);
            top_a = code[i] > code[top_a] ? i : top_a;
            top_b = b[i] > b[top_b] ? i : top_b;
        }
        c.least = (float)-log(mass);
        for (int i = 0; i < n; i++) {
            float p = c.scale * (float)code[i] + c.least;
            if (p > -16)
                sum += exp((double)p) * ((double)p - ((double)b[i] - log_sum(b, n)));
        }
        struct fidelity f;
        fidelity_open(&f, n, 1);
        fidelity_add(&f, par, &(struct fidelity_rows){.coded = &c, .other = b, .token = &token,
                                                      .n = 1});
        CHECK_NEAR(f.kl[0], sum, 1e-9);
        CHECK_NEAR(f.nll_base[0], -(double)(c.scale * (float)code[token] + c.least), 0);
        CHECK_INT(f.top[0], top_a == top_b);
        fidelity_close(&f);
    }
}

/* The same bits from any number of threads, in any portions. */
static void threads(void) {
    enum { ROWS = 50, VOCAB = 333 };
    float *a = mem_array(ROWS * VOCAB, sizeof *a);
    float *b = mem_array(ROWS * VOCAB, sizeof *b);
    int32_t token[ROWS];
    struct fidelity f[2];
    for (int i = 0; i < ROWS * VOCAB; i++) {
        a[i] = uniform(-9, 9);
        b[i] = a[i] + uniform(-1, 1);
    }
    for (int i = 0; i < ROWS; i++)
        token[i] = below(VOCAB);
    for (int k = 0; k < 2; k++) {
        struct par *team = par_new(k ? 5 : 1);
        fidelity_open(&f[k], VOCAB, 10);
        for (int i = 0, n; i < ROWS; i += n) {
            n = k ? ROWS : i < 7 ? 1 : ROWS - i;
            fidelity_add(&f[k], team, &(struct fidelity_rows){
                .base = a + i * VOCAB, .other = b + i * VOCAB, .token = token + i, .n = n});
        }
        par_free(team);
    }
    CHECK(f[0].n == ROWS && f[1].n == ROWS);
    CHECK(!memcmp(f[0].kl, f[1].kl, ROWS * sizeof(double)));
    CHECK(!memcmp(f[0].nll, f[1].nll, ROWS * sizeof(double)));
    CHECK(!memcmp(f[0].dp, f[1].dp, ROWS * sizeof(double)));
    fidelity_close(&f[0]);
    fidelity_close(&f[1]);
    free(a);
    free(b);
}

/* ---- summary ------------------------------------------------------------------------------- */

/* Predictions by hand: chunks of 2. */
static struct fidelity by_hand(void) {
    static const double nll[] = {1, 3, 2, 4, 3, 5};
    static const double base[] = {1, 2, 2, 3, 2, 5};
    static const double kl[] = {0.1, 0.3, 0.2, 0.4, 0, 0.2};
    static const double dp[] = {0.1, -0.1, 0.2, -0.2, 0.1, 0.2};
    static const uint8_t top[] = {1, 1, 1, 0, 1, 0};
    struct fidelity f;
    fidelity_open(&f, 2, 2);
    f.n = f.room = 6;
    f.nll = mem_array(6, sizeof(double));
    f.nll_base = mem_array(6, sizeof(double));
    f.kl = mem_array(6, sizeof(double));
    f.dp = mem_array(6, sizeof(double));
    f.top = mem_array(6, 1);
    memcpy(f.nll, nll, sizeof nll);
    memcpy(f.nll_base, base, sizeof base);
    memcpy(f.kl, kl, sizeof kl);
    memcpy(f.dp, dp, sizeof dp);
    memcpy(f.top, top, sizeof top);
    return f;
}

static void by_token(void) {
    struct fidelity f = by_hand();
    struct fidelity_summary s;
    fidelity_sum(&f, FIDELITY_BY_TOKEN, &(struct boot){.seed = 1}, &s);
    CHECK(s.tokens == 6 && s.chunks == 3);
    CHECK_NEAR(s.ppl.mean, exp(3), 1e-12);
    CHECK_NEAR(s.ppl.error, exp(3) * sqrt(2.0 / 6), 1e-12);         /* variance 2 of 6 */
    CHECK_NEAR(s.ppl_base.mean, exp(2.5), 1e-12);
    CHECK_NEAR(s.ratio.mean, exp(0.5), 1e-12);
    CHECK_NEAR(s.ratio.error, exp(0.5) * sqrt(0.3 / 6), 1e-12);     /* 0 1 0 1 1 0 */
    CHECK_NEAR(s.difference.mean, exp(3) - exp(2.5), 1e-12);
    CHECK_NEAR(s.kl.mean, 0.2, 1e-15);
    CHECK_NEAR(s.kl.error, sqrt(0.02 / 6), 1e-15);
    CHECK_NEAR(s.top.mean, 4.0 / 6, 1e-15);
    CHECK_NEAR(s.top.error, sqrt(4.0 / 6 * 2 / 6 / 5), 1e-15);      /* as of a proportion */
    CHECK_NEAR(s.dp.mean, 0.05, 1e-15);
    CHECK_NEAR(s.dp_rms.mean, sqrt(0.15 / 6), 1e-15);
    CHECK_NEAR(s.kl_at[0], 0, 0);
    CHECK_NEAR(s.kl_at[4], 0.2, 1e-15);
    CHECK_NEAR(s.kl_at[7], 0.4 - 0.1 * 0.05, 1e-12);                /* 0.99 x 5 = 4.95 */
    CHECK_NEAR(s.kl_at[9], 0.4, 0);
    /* squares add up to 10 and 9.5, products to 9 */
    CHECK_NEAR(s.correlation, 9.0 / sqrt(10 * 9.5), 1e-12);
    fidelity_close(&f);
}

/* Means of chunks: nll 2, 3, 4; kl 0.2, 0.3, 0.1. */
static void by_chunk(void) {
    struct fidelity f = by_hand();
    struct fidelity_summary s;
    fidelity_sum(&f, FIDELITY_BY_CHUNK, &(struct boot){.seed = 1}, &s);
    CHECK_NEAR(s.ppl.error, exp(3) / sqrt(3), 1e-12);
    CHECK_NEAR(s.kl.error, 0.1 / sqrt(3), 1e-15);
    CHECK_NEAR(s.top.error, sqrt((1.0 / 9 + 1.0 / 36 + 1.0 / 36) / 2 / 3), 1e-12);
    CHECK(isnan(s.kl_interval.low));        /* three samples are too few */
    fidelity_close(&f);
}

/* The interval holds the mean, is inside the extremes, and the same seed gives the same one. */
static void intervals(void) {
    struct fidelity f;
    struct fidelity_summary s;
    struct fidelity_summary again;
    fidelity_open(&f, 2, 4);
    for (int i = 0; i < 80; i++) {
        const float a[] = {0, uniform(-2, 2)};
        const float b[] = {0, a[1] + uniform(-1, 1)};
        const int32_t token = below(2);
        fidelity_add(&f, par, &(struct fidelity_rows){.base = a, .other = b, .token = &token,
                                                      .n = 1});
    }
    fidelity_sum(&f, FIDELITY_BY_CHUNK, &(struct boot){.seed = 7}, &s);
    fidelity_sum(&f, FIDELITY_BY_CHUNK, &(struct boot){.seed = 7}, &again);
    CHECK(s.kl_interval.low > s.kl_at[0] && s.kl_interval.low < s.kl.mean);
    CHECK(s.kl_interval.high < s.kl_at[9] && s.kl_interval.high > s.kl.mean);
    CHECK(s.ratio_interval.low < s.ratio.mean && s.ratio.mean < s.ratio_interval.high);
    CHECK(!memcmp(&s, &again, sizeof s));
    fidelity_close(&f);
}

static void nothing(void) {
    struct fidelity_summary s;
    struct fidelity f;
    fidelity_open(&f, 5, 3);
    fidelity_sum(&f, FIDELITY_BY_CHUNK, &(struct boot){.seed = 1}, &s);
    CHECK(s.tokens == 0 && isnan(s.ppl.mean) && isnan(s.kl_at[0]));
    fidelity_close(&f);
    f = by_hand();
    f.broken = 1;
    fidelity_sum(&f, FIDELITY_BY_TOKEN, &(struct boot){.seed = 1}, &s);
    CHECK(s.tokens == 6 && isnan(s.kl.mean) && isnan(s.top.mean));
    fidelity_close(&f);
}

int main(void) {
    state = 1;
    par = par_new(2);
    RUN(alike);
    RUN(two_tokens);
    RUN(uniform_base);
    RUN(plain_sums);
    RUN(not_finite);
    RUN(coded);
    RUN(threads);
    RUN(by_token);
    RUN(by_chunk);
    RUN(intervals);
    RUN(nothing);
    par_free(par);
    return check_done();
}
