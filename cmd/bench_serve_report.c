/* bench_serve_report.c - what a load showed: rows, records, a picture; see bench_serve.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench_serve.h"
#include "cmd/plot.h"
#include "lib/cache/idmap.h"
#include "lib/format/jsonw.h"

#define SAMPLES_MOST 10000      /* in a row; a longer list is for --save */

/* ---- rows ---------------------------------------------------------------------------------- */

static const struct field own[] = {
    {"mean", 2, 0}, {"p50", 2, 1}, {"p90", 2, 0}, {"p95", 2, 1}, {"p99", 2, 0}, {"max", 2, 0},
    {"valid", FIELD_TEXT, 0},
    {"p90_low", 2, 1}, {"p90_high", 2, 1}, {"p95_low", 2, 1}, {"p95_high", 2, 1},
    {"p99_low", 2, 1}, {"p99_high", 2, 1},
    {"count", FIELD_COUNT, 1}, {"tokens_from", FIELD_TEXT, 1}, {"window_s", 3, 1},
    {"window", FIELD_TEXT, 1}, {"load", FIELD_TEXT, 1}, {"warmup", FIELD_COUNT, 1},
    {"seed", FIELD_COUNT, 1}, {"api", FIELD_TEXT, 1}, {"model", FIELD_TEXT, 1}};
enum {
    MEAN, P50, P90, P95, P99, MAX, VALID, P90_LOW, P90_HIGH, P95_LOW, P95_HIGH, P99_LOW, P99_HIGH,
    COUNT, TOKENS_FROM, WINDOW_S, WINDOW, LOAD, WARMUP, SEED, API, MODEL, OWN
};
_Static_assert(sizeof own / sizeof *own == OWN, "a value for each column");

struct report {
    const struct serve_run *run;
    struct rows rows;
    struct buf load;            /* in words */
};

/* "closed 100", "poisson 20/s, at most 8", "mooncake.jsonl x10". */
static void describe_load(const struct serve_options *o, struct buf *out) {
    static const char *const kinds[] = {"poisson", "gamma", "uniform"};
    const struct arrivals_options *a = &o->arrivals;
    switch (o->load) {
    case SERVE_CLOSED:
        buf_printf(out, "closed %lld", (long long)o->concurrency);
        return;
    case SERVE_REPLAY:
        buf_printf(out, "replay x%g", o->speed);
        break;
    case SERVE_OPEN:
        buf_adds(out, kinds[a->kind]);
        if (a->kind == ARRIVALS_GAMMA)
            buf_printf(out, ":%g", a->cv);
        buf_printf(out, " %g", a->rate);
        if (a->ramp_s > 0)
            buf_printf(out, " to %g", a->rate_end);
        buf_adds(out, "/s");
    }
    if (o->concurrency)
        buf_printf(out, ", at most %lld", (long long)o->concurrency);
}

/* What every row has; numbers that a row does not fill are no values. */
static void fill_common(const struct report *r, struct value *v) {
    const struct serve_options *o = r->run->opt;
    const struct load_figures *f = r->run->figures;
    for (int i = 0; i < OWN; i++)
        v[i] = (struct value){.number = NAN};
    v[VALID].text = f->faults ? "no" : "yes";
    v[TOKENS_FROM].text = f->chunked ? "chunks" : "usage";
    v[WINDOW_S].number = f->window_s;
    v[WINDOW].text = f->whole ? "whole" : "steady";
    v[LOAD].text = r->load.data;
    v[WARMUP].count = o->warmup;
    v[SEED].count = (int64_t)o->prompts.seed;
    v[API].text = o->prompts.api == PROMPTS_CHAT ? "chat" : "completions";
    v[MODEL].text = r->run->model;
}

/* A row of times. ITL has no single samples: its quantiles are those of a histogram. */
static void add_times(struct report *r, const char *name, const struct load_times *t) {
    struct value v[OWN];
    const struct interval *i = t->interval;
    const double middle[3] = {t->p[LOAD_P50], i[LOAD_P50].low, i[LOAD_P50].high};
    int listed = t->value && t->n <= SAMPLES_MOST;
    fill_common(r, v);
    v[MEAN].number = t->mean;
    v[P50].number = t->p[LOAD_P50];
    v[P90].number = t->p[LOAD_P90];
    v[P95].number = t->p[LOAD_P95];
    v[P99].number = t->p[LOAD_P99];
    v[MAX].number = t->max;
    v[P90_LOW].number = i[LOAD_P90].low;
    v[P90_HIGH].number = i[LOAD_P90].high;
    v[P95_LOW].number = i[LOAD_P95].low;
    v[P95_HIGH].number = i[LOAD_P95].high;
    v[P99_LOW].number = i[LOAD_P99].low;
    v[P99_HIGH].number = i[LOAD_P99].high;
    v[COUNT].count = (int64_t)t->n;
    rows_row(&r->rows, &(struct measure){.name = name, .unit = "ms", .better = SERIES_LOWER,
                                         .sample = listed ? t->value : NULL, .n = t->n,
                                         .value = middle}, v);
}

static void add_value(struct report *r, const char *name, const char *unit, int better,
                      double value, struct interval i, int64_t count) {
    struct value v[OWN];
    const double three[3] = {value, i.low, i.high};
    fill_common(r, v);
    v[COUNT].count = count;
    rows_row(&r->rows, &(struct measure){.name = name, .unit = unit, .better = better,
                                         .n = (size_t)count, .value = three}, v);
}

static const struct interval none = {NAN, NAN};

static void add_rate(struct report *r, const char *name, const char *unit,
                     const struct load_rate *rate) {
    add_value(r, name, unit, SERIES_HIGHER, rate->rate, rate->interval, r->run->figures->ok);
}

static int has_slo(const struct serve_options *o) {
    return o->slo.ttft_ms > 0 || o->slo.tpot_ms > 0 || o->slo.e2e_ms > 0;
}

static void add_latencies(struct report *r) {
    const struct load_figures *f = r->run->figures;
    add_times(r, "ttft", &f->ttft);
    add_times(r, "tpot", &f->tpot);
    add_times(r, "itl", &f->itl);
    add_times(r, "e2e", &f->e2e);
    add_times(r, "ttft_sent", &f->ttft_sent);
    add_times(r, "e2e_sent", &f->e2e_sent);
    if (r->run->opt->concurrency && r->run->opt->load != SERVE_CLOSED)
        add_times(r, "queue", &f->queue);
    add_times(r, "lag", &f->lag);
}

static void add_rates(struct report *r) {
    const struct load_figures *f = r->run->figures;
    if (r->run->opt->load != SERVE_CLOSED)
        add_value(r, "offered", "req/s", SERIES_UNKNOWN, f->offered.rate, f->offered.interval,
                  f->requests);
    add_rate(r, "throughput", "req/s", &f->done);
    add_rate(r, "output", "tok/s", &f->output);
    add_rate(r, "input", "tok/s", &f->input);
    if (!has_slo(r->run->opt))
        return;
    add_value(r, "goodput", "req/s", SERIES_HIGHER, f->goodput.rate, f->goodput.interval, f->good);
    add_value(r, "good", "%", SERIES_HIGHER, f->good_share * 100,
              (struct interval){f->good_interval.low * 100, f->good_interval.high * 100},
              f->requests - f->errors[CLIENT_CANCELLED]);
}

/* Dollars of the requests that count and ended well, each priced on its own; NAN where one has no
 * price. What the server does not say of a request is nothing. */
static double spent(const struct serve_run *run) {
    double usd = 0;
    for (size_t i = 0; i < run->load.n; i++) {
        const struct load_sample *s = &run->load.sample[i];
        if (s->mark.warm || s->end != CLIENT_OK)
            continue;
        int64_t input = s->input_tokens > 0 ? s->input_tokens : 0;
        int64_t cached = s->cached_tokens > 0 ? s->cached_tokens : 0;
        usd += prices_usd(&run->opt->price, input, cached < input ? cached : input,
                          s->chunks ? 0 : s->output_tokens);
    }
    return usd;
}

/* What was spent is divided by good requests: those that were not good are paid for, too. Joules
 * are counted over the whole load; what the warm-up took of them is taken to be its share of the
 * requests. */
static void add_costs(struct report *r) {
    const struct serve_run *run = r->run;
    const struct load_figures *f = run->figures;
    double good = (double)f->good;
    double share = run->load.n ? (double)f->requests / (double)run->load.n : NAN;
    if (!isnan(run->joules)) {
        add_value(r, "energy", "J", SERIES_LOWER, run->joules, none, (int64_t)run->load.n);
        add_value(r, "energy_per_good", "J", SERIES_LOWER,
                  good > 0 ? run->joules * share / good : NAN, none, f->good);
    }
    if (run->opt->price.book) {
        double usd = spent(run);
        add_value(r, "cost", "usd", SERIES_LOWER, usd, none, f->ok);
        add_value(r, "cost_per_good", "usd", SERIES_LOWER, good > 0 ? usd / good : NAN, none,
                  f->good);
    }
}

static void add_counts(struct report *r) {
    const struct load_figures *f = r->run->figures;
    int64_t bad = f->requests - f->ok - f->errors[CLIENT_CANCELLED];
    add_value(r, "ok", "requests", SERIES_HIGHER, (double)f->ok, none, f->requests);
    add_value(r, "errors", "requests", SERIES_LOWER, (double)bad, none, f->requests);
    for (int i = 0; i < CLIENT_ENDS; i++) {
        char *name = mem_printf("errors.%s", client_end_name(i));
        if (f->errors[i])
            add_value(r, name, "requests", SERIES_LOWER, (double)f->errors[i], none, f->requests);
        free(name);
    }
    if (!isnan(f->input_ratio))
        add_value(r, "input_ratio", "ratio", SERIES_UNKNOWN, f->input_ratio, none, f->ok);
    if (!isnan(f->cached_share))
        add_value(r, "cached", "%", SERIES_HIGHER, f->cached_share * 100, none, f->ok);
    add_value(r, "client_cpu", "%", SERIES_LOWER, r->run->client_cpu * 100, none,
              r->run->opt->threads);
    if (!isnan(r->run->client_wait))
        add_value(r, "client_wait", "%", SERIES_LOWER, r->run->client_wait * 100, none,
                  r->run->opt->threads);
}

void serve_report(const struct serve_run *run, int argc, char **argv) {
    struct report r = {.run = run};
    describe_load(run->opt, &r.load);
    rows_open(&r.rows, own, OWN, &run->opt->common, argc, argv);
    if (run->opt->trace && strcmp(run->opt->trace, "-"))
        rows_file(&r.rows, run->opt->trace);
    if (run->opt->prompts.file && strcmp(run->opt->prompts.file, "-"))
        rows_file(&r.rows, run->opt->prompts.file);
    add_latencies(&r);
    add_rates(&r);
    add_costs(&r);
    add_counts(&r);
    rows_close(&r.rows);
    buf_free(&r.load);
}

/* ---- records ------------------------------------------------------------------------------- */

static double ms(int64_t from_ns, int64_t to_ns) {
    return (double)(to_ns - from_ns) / 1e6;
}

static int by_schedule(const void *a, const void *b) {
    const struct load_sample *x = a;
    const struct load_sample *y = b;
    int later = (x->scheduled_ns > y->scheduled_ns) - (x->scheduled_ns < y->scheduled_ns);
    return later ? later
                 : (x->mark.number > y->mark.number) - (x->mark.number < y->mark.number);
}

static void write_run(const struct serve_run *run, struct buf *b) {
    struct buf load = {0};
    describe_load(run->opt, &load);
    jsonw_open(b, '{');
    jsonw_str(b, "type", "run");
    jsonw_str(b, "program", "llmutils " LLMUTILS_VERSION);
    jsonw_str(b, "time", run->time);
    jsonw_str(b, "model", run->model);
    jsonw_str(b, "load", load.data);
    jsonw_int(b, "seed", (int64_t)run->opt->prompts.seed);
    if (feed_block_tokens(run->feed))
        jsonw_int(b, "block_tokens", feed_block_tokens(run->feed));
    jsonw_close(b, '}');
    buf_addc(b, '\n');
    buf_free(&load);
}

/* Ids that we write are dense: a trace's may be any 64 bits. */
static void write_ids(const struct serve_run *run, int64_t number, struct idmap *map,
                      struct buf *b) {
    int64_t n;
    const uint64_t *id = feed_blocks(run->feed, number, &n);
    uint32_t *dense = mem_array((size_t)n + 1, sizeof *dense);
    if (id && !idmap_add(map, id, (size_t)n, dense)) {
        jsonw_open_key(b, "hash_ids", '[');
        for (int64_t i = 0; i < n; i++)
            jsonw_int(b, NULL, dense[i]);
        jsonw_close(b, ']');
    }
    free(dense);
}

/* Times only of requests that count, so that a reader of series need not know of warm-ups. */
static void write_times(const struct load_sample *s, struct buf *b) {
    double tpot = load_tpot_ms(s);
    if (s->begun_ns) {
        jsonw_float(b, "queue_ms", ms(s->scheduled_ns, s->mark.eligible_ns));
        jsonw_float(b, "lag_ms", ms(s->mark.eligible_ns, s->begun_ns));
    }
    if (s->end != CLIENT_OK)
        return;
    jsonw_float(b, "ttft_ms", ms(s->scheduled_ns, s->first_ns));
    if (!isnan(tpot))
        jsonw_float(b, "tpot_ms", tpot);
    jsonw_float(b, "e2e_ms", ms(s->scheduled_ns, s->last_ns));
    jsonw_float(b, "ttft_sent_ms", ms(s->sent_ns, s->first_ns));
    jsonw_float(b, "e2e_sent_ms", ms(s->sent_ns, s->last_ns));
}

static void write_request(const struct serve_run *run, const struct load_sample *s,
                          struct idmap *map, struct buf *b) {
    int64_t input = s->input_tokens >= 0 ? s->input_tokens : s->mark.input_asked;
    jsonw_open(b, '{');
    jsonw_str(b, "type", "request");
    jsonw_int(b, "id", s->mark.number);
    jsonw_float(b, "timestamp", ms(run->start_ns, s->scheduled_ns));
    if (input >= 0)
        jsonw_int(b, "input_length", input);
    jsonw_int(b, "output_length", s->output_tokens);
    if (s->cached_tokens >= 0)
        jsonw_int(b, "cached_tokens", s->cached_tokens);
    if (s->reasoning_tokens >= 0)
        jsonw_int(b, "reasoning_tokens", s->reasoning_tokens);
    write_ids(run, s->mark.number, map, b);
    jsonw_str(b, "model", run->model);
    jsonw_str(b, "end", client_end_name(s->end));
    if (s->chunks)
        jsonw_str(b, "tokens_from", "chunks");
    if (s->mark.warm)
        jsonw_bool(b, "warmup", 1);
    else
        write_times(s, b);
    jsonw_close(b, '}');
    buf_addc(b, '\n');
}

void serve_open_records(struct serve_run *run) {
    struct err e = {{0}};
    run->records = run->opt->save ? zio_open_write(run->opt->save, &e) : NULL;
    if (run->opt->save && !run->records)
        die_err(&e);
}

void serve_save(const struct serve_run *run) {
    struct err e = {{0}};
    struct buf b = {0};
    struct zio *z = run->records;
    if (!z)
        return;
    struct idmap *map = idmap_new();
    int bad = 0;
    if (run->load.n)
        qsort(run->load.sample, run->load.n, sizeof *run->load.sample, by_schedule);
    write_run(run, &b);
    for (size_t i = 0; i < run->load.n && !bad; i++) {
        write_request(run, &run->load.sample[i], map, &b);
        bad = zio_write(z, b.data, b.len, &e);
        b.len = 0;
    }
    if (!bad && b.len)
        bad = zio_write(z, b.data, b.len, &e);
    if (bad)
        zio_abort(z);
    if (bad || zio_close(z, &e))
        die_err(&e);
    idmap_free(map);
    buf_free(&b);
}

/* ---- the picture --------------------------------------------------------------------------- */

static double *sorted_copy(const struct load_times *t) {
    double *x = mem_array(t->n + 1, sizeof *x);
    if (t->n)
        memcpy(x, t->value, t->n * sizeof *x);
    order_sort(x, t->n);
    return x;
}

static double *shares(size_t n) {
    double *y = mem_array(n + 1, sizeof *y);
    for (size_t i = 0; i < n; i++)
        y[i] = (double)(i + 1) / (double)n;
    return y;
}

/* The share of requests that took at most so long. */
void serve_plot(const struct serve_run *run) {
    const struct load_figures *f = run->figures;
    if (!run->opt->plot || !f->ok)
        return;
    double *ttft = sorted_copy(&f->ttft);
    double *e2e = sorted_copy(&f->e2e);
    double *y = shares((size_t)f->ok);
    const struct plot_series s[] = {{"TTFT", ttft, y, f->ttft.n}, {"E2E", e2e, y, f->e2e.n}};
    plot_lines(run->opt->plot,
               &(struct plot_labels){.title = "Latency from the scheduled time", .x = "ms",
                                     .y = "share of requests", .log_x = 1, .style = PLOT_STEPS},
               s, 2);
    free(ttft);
    free(e2e);
    free(y);
}
