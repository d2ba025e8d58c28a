/* load.c - what a load on a server showed, see load.h
 *
 * Requests become samples of fixed size as they end; their pieces live only that long, so the
 * intervals between tokens go into a histogram at once. All else is worked out at the end.
 */
#include "lib/bench/load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/interval.h"

#define LEVEL 0.95              /* of the intervals */
#define PARTS 20                /* of the window, for intervals of rates */
#define PARTS_NEED 60           /* requests: three a part */
#define BUSY 0.8                /* of the time: beyond this a client is no bystander */
#define LAG_LEAST_MS 5
#define LAG_SHARE 0.1           /* of the median TTFT */

const double load_percentile[LOAD_PERCENTILES] = {0.50, 0.90, 0.95, 0.99};

/* ---- samples ------------------------------------------------------------------------------ */

static int counts(const struct load_sample *s) {
    return !s->mark.warm;
}

static int is_ok(const struct load_sample *s) {
    return counts(s) && s->end == CLIENT_OK;
}

/* Tokens of piece i, i > 0, out of all that the request's usage says; see load.h. */
static double piece_tokens(const struct client_result *r, int64_t i, int64_t tokens,
                           int64_t bytes) {
    const struct client_piece *p = r->piece;
    if (p[i].tokens >= 0 && p[i - 1].tokens >= 0)
        return p[i].tokens - p[i - 1].tokens;
    if (tokens == r->pieces || tokens == r->pieces + 1 || bytes <= 0)
        return 1;
    return (double)tokens * p[i].bytes / (double)bytes;
}

static void add_gaps(struct load *l, const struct client_result *r, int64_t tokens) {
    int64_t bytes = 0;
    for (int64_t i = 0; i < r->pieces; i++)
        bytes += r->piece[i].bytes;
    for (int64_t i = 1; i < r->pieces; i++) {
        double k = piece_tokens(r, i, tokens, bytes);
        int64_t gap = r->piece[i].ns - r->piece[i - 1].ns;
        if (k > 0 && gap >= 0)
            hist_add(&l->itl, (uint64_t)llround((double)gap / k), k);
    }
}

void load_add(struct load *l, const struct load_mark *mark, const struct client_result *r) {
    if (!(l->n & (l->n - 1)))
        l->sample = mem_grow(l->sample, l->n ? 2 * l->n : 1, sizeof *l->sample);
    struct load_sample *s = &l->sample[l->n++];
    *s = (struct load_sample){
        .mark = *mark, .scheduled_ns = r->scheduled_ns, .begun_ns = r->begun_ns,
        .sent_ns = r->sent_ns, .first_ns = r->first_ns, .last_ns = r->last_ns,
        .done_ns = r->done_ns, .input_tokens = r->input_tokens,
        .cached_tokens = r->cached_tokens, .output_tokens = r->output_tokens,
        .reasoning_tokens = r->reasoning_tokens, .end = r->end};
    if (s->output_tokens < 0) {
        s->output_tokens = r->pieces;
        s->chunks = 1;
    }
    if (is_ok(s))
        add_gaps(l, r, s->output_tokens);
}

static int by_number(const void *a, const void *b) {
    const struct load_sample *x = a;
    const struct load_sample *y = b;
    return (x->mark.number > y->mark.number) - (x->mark.number < y->mark.number);
}

void load_merge(struct load *into, struct load *from) {
    into->sample = mem_grow(into->sample, 2 * (into->n + from->n) + 1, sizeof *into->sample);
    if (from->n)
        memcpy(into->sample + into->n, from->sample, from->n * sizeof *into->sample);
    into->n += from->n;
    hist_merge(&into->itl, &from->itl);
    load_free(from);
    if (into->n)
        qsort(into->sample, into->n, sizeof *into->sample, by_number);
}

void load_free(struct load *l) {
    free(l->sample);
    hist_free(&l->itl);
    *l = (struct load){0};
}

/* ---- latencies ---------------------------------------------------------------------------- */

static double ms(int64_t from_ns, int64_t to_ns) {
    return (double)(to_ns - from_ns) / 1e6;
}

double load_tpot_ms(const struct load_sample *s) {
    if (s->output_tokens < 2)
        return NAN;
    return ms(s->first_ns, s->last_ns) / (double)(s->output_tokens - 1);
}

static double ttft(const struct load_sample *s) {
    return ms(s->scheduled_ns, s->first_ns);
}

static double e2e(const struct load_sample *s) {
    return ms(s->scheduled_ns, s->last_ns);
}

static double ttft_sent(const struct load_sample *s) {
    return ms(s->sent_ns, s->first_ns);
}

static double e2e_sent(const struct load_sample *s) {
    return ms(s->sent_ns, s->last_ns);
}

static double queue(const struct load_sample *s) {
    return ms(s->scheduled_ns, s->mark.eligible_ns);
}

static double lag(const struct load_sample *s) {
    return ms(s->mark.eligible_ns, s->begun_ns);
}

int load_is_good(const struct load_sample *s, const struct load_slo *slo) {
    double tpot = load_tpot_ms(s);
    return s->end == CLIENT_OK && (slo->ttft_ms <= 0 || ttft(s) <= slo->ttft_ms) &&
           (slo->tpot_ms <= 0 || isnan(tpot) || tpot <= slo->tpot_ms) &&
           (slo->e2e_ms <= 0 || e2e(s) <= slo->e2e_ms);
}

/* Sorts a copy: value stays in its order. */
static void summarise(struct load_times *t) {
    double *sorted = mem_array(t->n + 1, sizeof *sorted);
    if (t->n)
        memcpy(sorted, t->value, t->n * sizeof *sorted);
    order_sort(sorted, t->n);
    t->mean = interval_average(t->value, t->n);
    t->max = t->n ? sorted[t->n - 1] : NAN;
    for (int i = 0; i < LOAD_PERCENTILES; i++) {
        t->p[i] = order_quantile(sorted, t->n, load_percentile[i]);
        t->interval[i] = order_interval(sorted, t->n, load_percentile[i], LEVEL);
    }
    free(sorted);
}

/* Of the requests that ended well; all: of every one that was taken up, since a client may lag
 * with those that fail too. */
static void collect(const struct load *l, double (*of)(const struct load_sample *), int all,
                    struct load_times *t) {
    t->value = mem_array(l->n + 1, sizeof *t->value);
    for (size_t i = 0; i < l->n; i++) {
        const struct load_sample *s = &l->sample[i];
        if (!(all ? counts(s) && s->begun_ns : is_ok(s)))
            continue;
        double v = of(s);
        if (!isnan(v))
            t->value[t->n++] = v;
    }
    summarise(t);
}

static void collect_itl(const struct load *l, struct load_times *t) {
    const struct hist *h = &l->itl;
    t->n = h->total > 0 ? (size_t)llround(h->total) : 0;
    t->mean = hist_mean(h) / 1e6;
    t->max = h->total > 0 ? h->most / 1e6 : NAN;
    for (int i = 0; i < LOAD_PERCENTILES; i++) {
        t->p[i] = hist_quantile(h, load_percentile[i]) / 1e6;
        t->interval[i] = (struct interval){NAN, NAN};
    }
}

/* ---- rates -------------------------------------------------------------------------------- */

struct window {
    int64_t from_ns, to_ns;
};

/* The share of from..to that lies in from2..to2; a moment lies in it or not. */
static double overlap(int64_t from, int64_t to, double from2, double to2) {
    double low = (double)from > from2 ? (double)from : from2;
    double high = (double)to < to2 ? (double)to : to2;
    if (from >= to)
        return (double)from >= from2 && (double)from < to2;
    return high > low ? (high - low) / (double)(to - from) : 0;
}

/* What a request brings to a part of the window. */
struct counted {
    int64_t at_ns, until_ns;
    double amount;
};

enum rate { OFFERED, DONE, OUTPUT, INPUT, GOOD };

static struct counted count(const struct load_sample *s, enum rate what,
                            const struct load_slo *slo) {
    struct counted none = {0, 0, 0};
    if (what == OFFERED)
        return s->sent_ns ? (struct counted){s->sent_ns, s->sent_ns, 1} : none;
    if (s->end != CLIENT_OK)
        return none;
    int64_t input = s->input_tokens >= 0 ? s->input_tokens : s->mark.input_asked;
    switch (what) {
    case OUTPUT:
        return (struct counted){s->first_ns, s->last_ns, (double)s->output_tokens};
    case INPUT:
        return (struct counted){s->sent_ns, s->first_ns, input >= 0 ? (double)input : 0};
    case GOOD:
        return (struct counted){s->sent_ns, s->last_ns, load_is_good(s, slo)};
    case OFFERED:
    case DONE:
        break;
    }
    return (struct counted){s->sent_ns, s->last_ns, 1};
}

/* Warm-up requests count here where they reach into the window: the server works for them too. */
static void measure_rate(const struct load *l, const struct window *w, enum rate what,
                         const struct load_slo *slo, struct load_rate *out) {
    double part[PARTS] = {0};
    double step = (double)(w->to_ns - w->from_ns) / PARTS;
    double sum = 0;
    *out = (struct load_rate){NAN, {NAN, NAN}};
    if (step <= 0)
        return;
    for (size_t i = 0; i < l->n; i++) {
        struct counted c = count(&l->sample[i], what, slo);
        double first = ((double)c.at_ns - (double)w->from_ns) / step;
        double last = ((double)c.until_ns - (double)w->from_ns) / step;
        if (c.amount <= 0 || last < 0 || first >= PARTS)
            continue;
        for (int k = first > 0 ? (int)first : 0; k < PARTS && k <= last; k++)
            part[k] += c.amount * overlap(c.at_ns, c.until_ns, (double)w->from_ns + k * step,
                                          (double)w->from_ns + (k + 1) * step);
    }
    for (int k = 0; k < PARTS; k++) {
        sum += part[k];
        part[k] /= step / 1e9;
    }
    out->rate = sum / (step * PARTS / 1e9);
    if (l->n >= PARTS_NEED)
        out->interval = interval_mean(part, PARTS, LEVEL);
}

/* One nanosecond more than the last end: that, too, is inside. */
static struct window find_window(const struct load *l, const struct load_times *e2e_times,
                                 int *whole) {
    struct window w = {INT64_MAX, 0};
    int64_t end = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct load_sample *s = &l->sample[i];
        if (!counts(s) || !s->begun_ns)
            continue;
        int64_t left = s->sent_ns ? s->sent_ns : s->begun_ns;
        w.from_ns = s->scheduled_ns < w.from_ns ? s->scheduled_ns : w.from_ns;
        w.to_ns = left > w.to_ns ? left : w.to_ns;
        end = s->done_ns > end ? s->done_ns : end;
    }
    *whole = 0;
    if (w.from_ns > w.to_ns)
        return (struct window){0, 0};
    double span = ms(w.from_ns, w.to_ns);
    double one = e2e_times->p[LOAD_P50];
    if (isnan(one) || span < one / 2) {
        *whole = 1;
        w.to_ns = end + 1;
    }
    return w;
}

/* ---- all ---------------------------------------------------------------------------------- */

static void count_ends(const struct load *l, const struct load_slo *slo, struct load_figures *f) {
    int64_t asked = 0;
    int64_t answered = 0;
    int64_t cache_input = 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct load_sample *s = &l->sample[i];
        if (!counts(s))
            continue;
        f->requests++;
        if (s->end != CLIENT_OK) {
            f->errors[s->end]++;
            continue;
        }
        f->ok++;
        f->good += load_is_good(s, slo);
        f->chunked += s->chunks;
        f->output_tokens += s->chunks ? 0 : s->output_tokens;
        f->input_tokens += s->input_tokens >= 0 ? s->input_tokens : 0;
        if (s->input_tokens >= 0 && s->mark.input_asked > 0) {
            asked += s->mark.input_asked;
            answered += s->input_tokens;
        }
        if (s->cached_tokens >= 0 && s->input_tokens >= 0) {
            f->cached_tokens += s->cached_tokens;
            cache_input += s->input_tokens;
        }
    }
    f->input_ratio = asked ? (double)answered / (double)asked : NAN;
    f->cached_share = cache_input ? (double)f->cached_tokens / (double)cache_input : NAN;
    int64_t judged = f->requests - f->errors[CLIENT_CANCELLED];
    f->good_share = judged ? (double)f->good / (double)judged : NAN;
    f->good_interval = interval_proportion(f->good, judged, LEVEL);
}

static int find_faults(const struct load_figures *f, const struct load_options *opt) {
    double most = opt->max_busy > 0 ? opt->max_busy : BUSY;
    return (f->lag.p[LOAD_P99] > f->max_lag_ms ? LOAD_LAGS : 0) |
           (opt->client_busy > most ? LOAD_BUSY : 0) | (f->ok ? 0 : LOAD_EMPTY);
}

struct load_figures *load_figures(const struct load *l, const struct load_options *opt) {
    struct load_figures *f = mem_alloc(sizeof *f);
    const struct load_slo *slo = &opt->slo;
    collect(l, ttft, 0, &f->ttft);
    collect(l, load_tpot_ms, 0, &f->tpot);
    collect(l, e2e, 0, &f->e2e);
    collect(l, ttft_sent, 0, &f->ttft_sent);
    collect(l, e2e_sent, 0, &f->e2e_sent);
    collect(l, queue, 1, &f->queue);
    collect(l, lag, 1, &f->lag);
    collect_itl(l, &f->itl);
    count_ends(l, slo, f);
    struct window w = find_window(l, &f->e2e, &f->whole);
    f->window_s = (double)(w.to_ns - w.from_ns) / 1e9;
    measure_rate(l, &w, OFFERED, slo, &f->offered);
    measure_rate(l, &w, DONE, slo, &f->done);
    measure_rate(l, &w, OUTPUT, slo, &f->output);
    measure_rate(l, &w, INPUT, slo, &f->input);
    measure_rate(l, &w, GOOD, slo, &f->goodput);
    double tenth = LAG_SHARE * f->ttft.p[LOAD_P50];
    f->max_lag_ms = opt->max_lag_ms > 0 ? opt->max_lag_ms
                    : tenth > LAG_LEAST_MS ? tenth : LAG_LEAST_MS;
    f->faults = find_faults(f, opt);
    return f;
}

void load_figures_free(struct load_figures *f) {
    if (!f)
        return;
    struct load_times *t[] = {&f->ttft, &f->tpot, &f->e2e, &f->ttft_sent, &f->e2e_sent, &f->queue,
                              &f->lag};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        free(t[i]->value);
    free(f);
}
