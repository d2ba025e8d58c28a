/* fidelity.c - how far a model's predictions are from those of another, see fidelity.h
 *
 * With m and S the largest logit of a row and the sum of exp(x - m),
 *     kl = sum of exp(a - m_a) ((a - m_a) - (b - m_b)) / S_a - log S_a + log S_b,
 * so that one walk over both rows, which knows their maxima, gives all: two exponentials an
 * element, eight elements abreast. The library's exp would take as long as the models do where the
 * vocabulary is large and the model small.
 */
#include "lib/quant/fidelity.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/stat/interval.h"

#define LANES 8                 /* elements abreast */
#define PAIRS (LANES / 2)
#define LEAST (-700.0)          /* exp of it is still a normal number */
#define CUT (-16.0f)            /* llama.cpp's files know nothing below it */

const double fidelity_quantile[FIDELITY_QUANTILES] = {0, 0.01, 0.05, 0.1, 0.5, 0.9, 0.95, 0.99,
                                                      0.999, 1};

void fidelity_open(struct fidelity *f, int64_t vocab, int64_t chunk) {
    *f = (struct fidelity){.vocab = vocab, .chunk = chunk};
}

void fidelity_close(struct fidelity *f) {
    free(f->nll);
    free(f->nll_base);
    free(f->kl);
    free(f->dp);
    free(f->top);
    *f = (struct fidelity){0};
}

/* ---- a row ------------------------------------------------------------------------------- */

/* Two doubles in a register of any x86-64; the compiler keeps four such abreast. */
typedef double pair __attribute__((vector_size(16)));
typedef long long bits __attribute__((vector_size(16)));
typedef float floats __attribute__((vector_size(8), aligned(4)));
typedef float quad __attribute__((vector_size(16), aligned(4)));
typedef int quad_bits __attribute__((vector_size(16)));

/* exp(v) of numbers from LEAST to 0 (NaN stays): 2^n, n the integer nearest to v / log 2, times the
 * series of exp for what is left (to x^9: relative error below 1e-11). */
static inline pair exp_pair(pair v) {
    const double round = 0x1.8p52;      /* adding it leaves no fraction; n is in the low bits */
    pair shifted = v * 0x1.71547652b82fep+0 + round;
    pair r = v - (shifted - round) * 0x1.62e42fefa39efp-1;
    pair y = r * (1.0 / 362880) + 1.0 / 40320;
    y = y * r + 1.0 / 5040;
    y = y * r + 1.0 / 720;
    y = y * r + 1.0 / 120;
    y = y * r + 1.0 / 24;
    y = y * r + 1.0 / 6;
    y = y * r + 0.5;
    y = y * r + 1;
    y = y * r + 1;
    return (pair)((bits)y + ((bits)shifted << 52));
}

/* The largest of x[n], NaN apart; the index of the first one that is as large in *top. */
static float row_max(const float *x, int64_t n, int64_t *top) {
    quad most = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    float m = -INFINITY;
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        quad v = *(const quad *)(x + i);
        quad_bits more = v > most;
        most = (quad)(((quad_bits)v & more) | ((quad_bits)most & ~more));
    }
    for (; i < n; i++)
        most[0] = x[i] > most[0] ? x[i] : most[0];
    for (int k = 0; k < 4; k++)
        m = most[k] > m ? most[k] : m;
    for (i = 0; i < n && !(x[i] >= m); i++)
        ;
    *top = i;
    return m;
}

/* x[LANES] less `shift`, LEAST at the least. */
static inline void load_lanes(pair *v, const float *x, double shift) {
    const pair least = {LEAST, LEAST};
    for (int k = 0; k < PAIRS; k++) {
        pair d = __builtin_convertvector(((const floats *)x)[k], pair) - shift;
        bits low = (bits)(d < least);
        v[k] = (pair)(((bits)d & ~low) | ((bits)least & low));
    }
}

static double sum_lanes(const pair *s) {
    pair all = (s[0] + s[2]) + (s[1] + s[3]);
    return all[0] + all[1];
}

/* What a walk over both rows adds up. */
struct sums {
    pair a[PAIRS], b[PAIRS];    /* exp(x - m) of the rows */
    pair apart[PAIRS];          /* exp of the base's times how far the exponents are apart */
};

/* x and y: eight exponents of either row. */
static inline void add_lanes(struct sums *s, pair *x, pair *y) {
    for (int k = 0; k < PAIRS; k++) {
        pair apart = x[k] - y[k];
        x[k] = exp_pair(x[k]);
        y[k] = exp_pair(y[k]);
        s->a[k] += x[k];
        s->b[k] += y[k];
        s->apart[k] += x[k] * apart;
    }
}

/* The last elements of a row, and what adds nothing. */
static const float *pad_lanes(float *room, const float *x, int64_t n) {
    for (int k = 0; k < LANES; k++)
        room[k] = k < n ? x[k] : -INFINITY;
    return room;
}

struct prediction {
    double nll, nll_base, kl;
    int top;
};

static struct prediction compare_rows(const float *a, const float *b, int64_t n, int32_t token) {
    int64_t top_a;
    int64_t top_b;
    double m_a = (double)row_max(a, n, &top_a);
    double m_b = (double)row_max(b, n, &top_b);
    float room[2][LANES];
    struct sums s = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        int whole = i + LANES <= n;
        pair x[PAIRS];
        pair y[PAIRS];
        load_lanes(x, whole ? a + i : pad_lanes(room[0], a + i, n - i), m_a);
        load_lanes(y, whole ? b + i : pad_lanes(room[1], b + i, n - i), m_b);
        add_lanes(&s, x, y);
    }
    double sum_a = sum_lanes(s.a);
    double log_a = log(sum_a);
    double log_b = log(sum_lanes(s.b));
    double kl = sum_lanes(s.apart) / sum_a + (log_b - log_a);
    return (struct prediction){.nll = m_b + log_b - (double)b[token],
                               .nll_base = m_a + log_a - (double)a[token],
                               .kl = kl < 0 ? 0 : kl, .top = top_a == top_b};
}

/* Log-probabilities of n codes, in float as llama.cpp reads them back; none where it knows none. */
static void decode_lanes(const struct fidelity_coded *a, int64_t i, int64_t n, float *p) {
    for (int k = 0; k < LANES; k++) {
        p[k] = k < n ? a->scale * (float)a->code[i + k] + a->least : -INFINITY;
        p[k] = p[k] > CUT ? p[k] : -INFINITY;
    }
}

/* The same with a base in 16 bits. Without their last bits, and without what was cut off, the
 * probabilities do not add up to 1, so that kl may be a little below 0. */
static struct prediction compare_coded(const struct fidelity_coded *a, const float *b, int64_t n,
                                       int32_t token) {
    int64_t top_a = 0;
    int64_t top_b;
    double m_b = (double)row_max(b, n, &top_b);
    float room[2][LANES];
    struct sums s = {0};
    for (int64_t i = 0; i < n; i++)
        top_a = a->code[i] > a->code[top_a] ? i : top_a;
    for (int64_t i = 0; i < n; i += LANES) {
        pair x[PAIRS];
        pair y[PAIRS];
        decode_lanes(a, i, n - i, room[0]);
        load_lanes(x, room[0], 0);
        load_lanes(y, i + LANES <= n ? b + i : pad_lanes(room[1], b + i, n - i), m_b);
        add_lanes(&s, x, y);
    }
    double log_b = log(sum_lanes(s.b));
    return (struct prediction){
        .nll = m_b + log_b - (double)b[token],
        .nll_base = -(double)(a->scale * (float)a->code[token] + a->least),
        .kl = sum_lanes(s.apart) + sum_lanes(s.a) * log_b, .top = top_a == top_b};
}

/* ---- many of them --------------------------------------------------------------------------- */

struct job {
    struct fidelity *f;
    const struct fidelity_rows *rows;
};

static void compare_share(void *arg, int ith, int nth) {
    const struct job *job = arg;
    const struct fidelity_rows *r = job->rows;
    struct fidelity *f = job->f;
    for (int64_t i = ith; i < r->n; i += nth) {
        const float *other = r->other + i * f->vocab;
        int64_t at = f->n + i;
        struct prediction p = r->base
            ? compare_rows(r->base + i * f->vocab, other, f->vocab, r->token[i])
            : compare_coded(&r->coded[i], other, f->vocab, r->token[i]);
        if (!isfinite(p.nll) || !isfinite(p.nll_base) || !isfinite(p.kl))
            p = (struct prediction){NAN, NAN, NAN, 0};
        f->nll[at] = p.nll;
        f->nll_base[at] = p.nll_base;
        f->kl[at] = p.kl;
        f->dp[at] = exp(-p.nll) - exp(-p.nll_base);
        f->top[at] = (uint8_t)p.top;
    }
}

void fidelity_add(struct fidelity *f, struct par *par, const struct fidelity_rows *rows) {
    if (f->n + rows->n > f->room) {
        f->room = 2 * f->room + rows->n;
        size_t room = (size_t)f->room;
        f->nll = mem_grow(f->nll, room, sizeof *f->nll);
        f->nll_base = mem_grow(f->nll_base, room, sizeof *f->nll_base);
        f->kl = mem_grow(f->kl, room, sizeof *f->kl);
        f->dp = mem_grow(f->dp, room, sizeof *f->dp);
        f->top = mem_grow(f->top, room, sizeof *f->top);
    }
    par_run(par, compare_share, &(struct job){f, rows});
    for (int64_t i = 0; i < rows->n; i++)
        f->broken += isnan(f->nll[f->n + i]) != 0;
    f->n += rows->n;
}

/* ---- summary ------------------------------------------------------------------------------- */

struct fidelity_mean fidelity_average(const double *x, int64_t n, int64_t each) {
    int64_t samples = each > 0 ? n / each : 0;
    double *mean = mem_array((size_t)samples + 1, sizeof *mean);
    for (int64_t s = 0; s < samples; s++)
        mean[s] = interval_average(x + s * each, (size_t)each);
    struct fidelity_mean m = {interval_average(mean, (size_t)samples),
                              interval_deviation(mean, (size_t)samples) / sqrt((double)samples)};
    free(mean);
    return m;
}

static double correlation(const double *x, const double *y, int64_t n) {
    double mean_x = interval_average(x, (size_t)n);
    double mean_y = interval_average(y, (size_t)n);
    double xx = 0;
    double yy = 0;
    double xy = 0;
    for (int64_t i = 0; i < n; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

static struct interval mean_interval(const double *x, int64_t n, int64_t each,
                                     const struct boot *boot) {
    size_t samples = (size_t)(n / each);
    double *sum = mem_array(samples, sizeof *sum);
    double *one = mem_array(samples, sizeof *one);
    for (size_t s = 0; s < samples; s++) {
        sum[s] = interval_average(x + (int64_t)s * each, (size_t)each);
        one[s] = 1;
    }
    struct interval i = boot_ratio(sum, one, samples, NULL, 0, boot);
    free(sum);
    free(one);
    return i;
}

static void find_quantiles(const double *x, int64_t n, double *at) {
    double *sorted = order_sorted(x, (size_t)n);
    for (int i = 0; i < FIDELITY_QUANTILES; i++)
        at[i] = order_quantile(sorted, (size_t)n, fidelity_quantile[i]);
    free(sorted);
}

static struct fidelity_mean exp_mean(struct fidelity_mean m) {
    double x = exp(m.mean);
    return (struct fidelity_mean){x, x * m.error};      /* to the first order */
}

/* scratch[n]. The errors of ratio and difference are those of pairs. */
static void sum_perplexity(const struct fidelity *f, int64_t each, double *scratch,
                           struct fidelity_summary *out) {
    out->ppl = exp_mean(fidelity_average(f->nll, f->n, each));
    out->ppl_base = exp_mean(fidelity_average(f->nll_base, f->n, each));
    for (int64_t i = 0; i < f->n; i++)
        scratch[i] = out->ppl.mean * f->nll[i] - out->ppl_base.mean * f->nll_base[i];
    out->difference = (struct fidelity_mean){out->ppl.mean - out->ppl_base.mean,
                                             fidelity_average(scratch, f->n, each).error};
    for (int64_t i = 0; i < f->n; i++)
        scratch[i] = f->nll[i] - f->nll_base[i];
    out->ratio = exp_mean(fidelity_average(scratch, f->n, each));
    out->correlation = correlation(f->nll, f->nll_base, f->n);
}

static void sum_tokens(const struct fidelity *f, int64_t each, double *scratch,
                       struct fidelity_summary *out) {
    for (int64_t i = 0; i < f->n; i++)
        scratch[i] = f->top[i];
    out->top = fidelity_average(scratch, f->n, each);
    out->dp = fidelity_average(f->dp, f->n, each);
    for (int64_t i = 0; i < f->n; i++)
        scratch[i] = f->dp[i] * f->dp[i];
    struct fidelity_mean square = fidelity_average(scratch, f->n, each);
    double rms = sqrt(square.mean);
    out->dp_rms = (struct fidelity_mean){rms, rms > 0 ? 0.5 / rms * square.error : 0};
}

static void set_nothing(struct fidelity_summary *s) {
    const struct fidelity_mean none = {NAN, NAN};
    s->ppl = s->ppl_base = s->ratio = s->difference = s->kl = s->top = s->dp = s->dp_rms = none;
    s->correlation = NAN;
    s->kl_interval = s->ratio_interval = (struct interval){NAN, NAN};
    for (int i = 0; i < FIDELITY_QUANTILES; i++)
        s->kl_at[i] = s->dp_at[i] = NAN;
}

void fidelity_sum(const struct fidelity *f, enum fidelity_unit unit, const struct boot *boot,
                  struct fidelity_summary *out) {
    int64_t each = unit == FIDELITY_BY_TOKEN ? 1 : f->chunk;
    *out = (struct fidelity_summary){.tokens = f->n, .chunks = f->chunk ? f->n / f->chunk : 0};
    set_nothing(out);
    if (f->broken || f->n < each || each < 1)
        return;
    double *scratch = mem_array((size_t)f->n, sizeof *scratch);
    sum_perplexity(f, each, scratch, out);
    out->ratio_interval = mean_interval(scratch, f->n, each, boot);
    out->ratio_interval.low = exp(out->ratio_interval.low);
    out->ratio_interval.high = exp(out->ratio_interval.high);
    out->kl = fidelity_average(f->kl, f->n, each);
    out->kl_interval = mean_interval(f->kl, f->n, each, boot);
    find_quantiles(f->kl, f->n, out->kl_at);
    find_quantiles(f->dp, f->n, out->dp_at);
    sum_tokens(f, each, scratch, out);
    free(scratch);
}
