/* test_load.c - do the figures of a load say what its requests did? */
#include "lib/bench/load.h"

#include "tests/check.h"

#define MS INT64_C(1000000)
#define START (INT64_C(1000) * MS)      /* clock_ns of the load's begin */
#define HIST_ERROR (1.0 / 256)          /* of hist.h */

struct shape {                  /* of a request, ms since START */
    int64_t scheduled, eligible, begun, sent, first, step;
    int pieces, tokens;         /* tokens -1: no usage */
    int end, warm;
};

static void add(struct load *l, int64_t number, const struct shape *s) {
    struct client_piece piece[200] = {{0}};
    struct client_result r = {
        .end = s->end, .scheduled_ns = START + s->scheduled * MS, .begun_ns = START + s->begun * MS,
        .sent_ns = START + s->sent * MS, .input_tokens = 100, .cached_tokens = 25,
        .output_tokens = s->tokens, .reasoning_tokens = -1, .piece = piece, .pieces = s->pieces};
    for (int i = 0; i < s->pieces; i++)
        piece[i] = (struct client_piece){START + (s->first + i * s->step) * MS, 4, -1};
    if (s->pieces) {
        r.first_ns = piece[0].ns;
        r.last_ns = piece[s->pieces - 1].ns;
    }
    r.done_ns = r.last_ns ? r.last_ns : START + s->sent * MS;
    load_add(l, &(struct load_mark){.number = number, .eligible_ns = START + s->eligible * MS,
                                    .input_asked = 80, .output_asked = s->pieces,
                                    .warm = s->warm}, &r);
}

/* Scheduled at 10 i, held back by a cap for 5 ms, 1 ms late, sent 1 ms later, first piece 3 ms
 * after that, then a token every 2 ms. */
static struct load steady(int n, int tokens) {
    struct load l = {0};
    for (int i = 0; i < n; i++) {
        int64_t t = 10 * i;
        add(&l, i, &(struct shape){t, t + 5, t + 6, t + 7, t + 10, 2, tokens, tokens, 0, 0});
    }
    return l;
}

static void latencies_count_from_the_schedule(void) {
    struct load l = steady(101, 11);
    struct load_figures *f = load_figures(&l, &(struct load_options){.client_busy = 0.1});
    CHECK_INT(f->ok, 101);
    CHECK_INT(f->ttft.n, 101);
    CHECK_NEAR(f->ttft.p[LOAD_P50], 10, 1e-9);
    CHECK_NEAR(f->tpot.p[LOAD_P99], 2, 1e-9);
    CHECK_NEAR(f->e2e.mean, 30, 1e-9);
    CHECK_NEAR(f->ttft_sent.max, 3, 1e-9);
    CHECK_NEAR(f->e2e_sent.max, 23, 1e-9);
    CHECK_NEAR(f->queue.p[LOAD_P90], 5, 1e-9);
    CHECK_NEAR(f->lag.p[LOAD_P95], 1, 1e-9);
    CHECK_NEAR(f->itl.p[LOAD_P50], 2, 2 * HIST_ERROR);
    CHECK_INT(f->itl.n, 1010);
    CHECK_INT(f->faults, 0);
    load_figures_free(f);
    load_free(&l);
}

/* From 0 to the last sending at 1007 ms. Requests last from 10 i + 7 to 10 i + 30, so that 98 lie
 * inside, one for 20 of its 23 ms and one for 10; each has 11 tokens from 10 i + 10 on. */
static void rates_are_of_the_steady_window(void) {
    struct load l = steady(101, 11);
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK(!f->whole);
    CHECK_NEAR(f->window_s, 1.007, 1e-9);
    double done = 98 + 20.0 / 23 + 10.0 / 23;
    CHECK_NEAR(f->done.rate, done / 1.007, 1e-6);
    CHECK_NEAR(f->input.rate, 100 * 100 / 1.007, 1e-6);
    double tokens = 98 * 11 + 11 * (1007 - 990) / 20.0 + 11 * (1007 - 1000) / 20.0;
    CHECK_NEAR(f->output.rate, tokens / 1.007, 1e-6);
    CHECK(f->done.interval.low < done / 1.007 && f->done.interval.high > done / 1.007);
    CHECK_NEAR(f->input_ratio, 100.0 / 80, 1e-12);
    CHECK_NEAR(f->cached_share, 0.25, 1e-12);
    load_figures_free(f);
    load_free(&l);
}

static void all_at_once_has_no_steady_state(void) {
    struct load l = {0};
    for (int i = 0; i < 4; i++)
        add(&l, i, &(struct shape){0, 0, 0, 0, 10, 10, 10, 10, 0, 0});
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK(f->whole);
    CHECK_NEAR(f->window_s, 0.1, 1e-8);
    CHECK_NEAR(f->done.rate, 40, 1e-4);
    CHECK_NEAR(f->output.rate, 400, 1e-3);
    CHECK(isnan(f->done.interval.low));
    load_figures_free(f);
    load_free(&l);
}

/* One in ten fails after an age; another is to warm up. Neither moves a percentile. */
static void failures_and_warm_ups_stay_out(void) {
    struct load l = steady(90, 11);
    for (int i = 0; i < 10; i++)
        add(&l, 90 + i, &(struct shape){900, 900, 900, 900, 90000, 500, i % 2 ? 3 : 0, -1,
                                        i % 2 ? CLIENT_RESET : CLIENT_STATUS_429, 0});
    add(&l, 100, &(struct shape){0, 0, 800, 801, 5000, 100, 5, 5, 0, 1});
    struct load_figures *f = load_figures(&l, &(struct load_options){
        .slo = {.ttft_ms = 10, .tpot_ms = 2, .e2e_ms = 30}});
    CHECK_INT(f->requests, 100);
    CHECK_INT(f->ok, 90);
    CHECK_INT(f->good, 90);
    CHECK_INT(f->errors[CLIENT_RESET], 5);
    CHECK_INT(f->errors[CLIENT_STATUS_429], 5);
    CHECK_NEAR(f->ttft.max, 10, 1e-9);
    CHECK_NEAR(f->e2e.max, 30, 1e-9);
    CHECK_NEAR(f->itl.max, 2, 2 * HIST_ERROR);
    CHECK_NEAR(f->good_share, 0.9, 1e-12);
    CHECK_NEAR(f->good_interval.low, 0.8256, 1e-4);     /* Wilson, 90 of 100 */
    CHECK_NEAR(f->good_interval.high, 0.9448, 1e-4);
    load_figures_free(f);
    load_free(&l);
}

static void an_slo_needs_every_limit(void) {
    static const struct load_slo miss[] = {{9.9, 0, 0}, {0, 1.9, 0}, {0, 0, 29.9}, {9.9, 2, 30}};
    struct load l = steady(3, 11);
    for (int i = 0; i < 4; i++)
        CHECK(!load_is_good(&l.sample[0], &miss[i]));
    CHECK(load_is_good(&l.sample[0], &(struct load_slo){10, 2, 30}));
    load_free(&l);
    l = steady(1, 1);           /* one token has no TPOT */
    CHECK(load_is_good(&l.sample[0], &(struct load_slo){0, 0.001, 0}));
    CHECK(isnan(load_tpot_ms(&l.sample[0])));
    load_free(&l);
}

/* Two pieces of 4 tokens each, 8 ms apart: four intervals of 2 ms; TPOT over seven. */
static void a_piece_of_several_tokens_is_several_intervals(void) {
    struct load l = {0};
    add(&l, 0, &(struct shape){0, 0, 0, 0, 10, 8, 2, 8, 0, 0});
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK_INT(f->itl.n, 4);
    CHECK_NEAR(f->itl.p[LOAD_P99], 2, 2 * HIST_ERROR);
    CHECK_NEAR(f->itl.mean, 2, 2 * HIST_ERROR);
    CHECK_NEAR(f->tpot.mean, 8.0 / 7, 1e-9);
    load_figures_free(f);
    load_free(&l);
}

/* What an event says of its tokens goes before all guesses: 1, then 3 at 6 ms, then 1 at 1 ms. */
static void per_piece_usage_is_believed(void) {
    const struct client_piece piece[] = {{START + 10 * MS, 4, 1}, {START + 16 * MS, 4, 4},
                                         {START + 17 * MS, 40, 5}};
    const struct client_result r = {
        .end = CLIENT_OK, .scheduled_ns = START, .begun_ns = START, .sent_ns = START,
        .first_ns = piece[0].ns, .last_ns = piece[2].ns, .done_ns = piece[2].ns,
        .output_tokens = 5, .input_tokens = -1, .cached_tokens = -1, .reasoning_tokens = -1,
        .piece = piece, .pieces = 3};
    struct load l = {0};
    load_add(&l, &(struct load_mark){.eligible_ns = START, .input_asked = -1}, &r);
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK_INT(f->itl.n, 4);
    CHECK_NEAR(f->itl.p[LOAD_P50], 2, 2 * HIST_ERROR);
    CHECK_NEAR(f->itl.mean, 7.0 / 4, 2 * HIST_ERROR);
    CHECK(isnan(f->input_ratio) && isnan(f->cached_share));
    load_figures_free(f);
    load_free(&l);
}

static void without_usage_pieces_are_counted_and_said(void) {
    struct load l = {0};
    add(&l, 0, &(struct shape){0, 0, 0, 0, 10, 2, 5, -1, 0, 0});
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK_INT(f->chunked, 1);
    CHECK_NEAR(f->tpot.mean, 2, 1e-9);
    CHECK_INT(f->output_tokens, 0);
    load_figures_free(f);
    load_free(&l);
}

static void a_bad_client_is_told(void) {
    struct load l = steady(50, 3);
    struct load_figures *f = load_figures(&l, &(struct load_options){.client_busy = 0.81});
    CHECK_INT(f->faults, LOAD_BUSY);
    CHECK_NEAR(f->max_lag_ms, 5, 0);
    load_figures_free(f);
    f = load_figures(&l, &(struct load_options){.client_busy = 0.81, .max_busy = 0.9});
    CHECK_INT(f->faults, 0);
    load_figures_free(f);
    f = load_figures(&l, &(struct load_options){.max_lag_ms = 0.5});
    CHECK_INT(f->faults, LOAD_LAGS);
    load_figures_free(f);
    load_free(&l);
    /* A slow server bears a larger lag: a tenth of its TTFT. */
    for (int i = 0; i < 9; i++)
        add(&l, i, &(struct shape){0, 0, 50, 50, 800, 1, 4, 4, 0, 0});
    f = load_figures(&l, &(struct load_options){0});
    CHECK_NEAR(f->max_lag_ms, 80, 1e-9);
    CHECK_INT(f->faults, 0);
    load_figures_free(f);
    load_free(&l);
}

static void nothing_is_nothing(void) {
    struct load l = {0};
    struct load_figures *f = load_figures(&l, &(struct load_options){0});
    CHECK_INT(f->faults, LOAD_EMPTY);
    CHECK(isnan(f->ttft.p[LOAD_P50]) && isnan(f->done.rate) && isnan(f->good_share));
    load_figures_free(f);
    add(&l, 0, &(struct shape){0, 0, 0, 0, 0, 0, 0, -1, CLIENT_REFUSED, 0});
    add(&l, 1, &(struct shape){0, 0, 0, 0, 0, 0, 0, -1, CLIENT_CANCELLED, 0});
    f = load_figures(&l, &(struct load_options){0});
    CHECK_INT(f->faults, LOAD_EMPTY);
    CHECK_NEAR(f->good_share, 0, 0);
    load_figures_free(f);
    load_free(&l);
}

static void clients_join_in_the_order_of_numbers(void) {
    struct load a = {0}, b = {0}, all = {0};
    for (int i = 0; i < 10; i++)
        add(i % 2 ? &a : &b, 9 - i, &(struct shape){i, i, i, i, i + 5, 1, 3, 3, 0, 0});
    load_merge(&all, &a);
    load_merge(&all, &b);
    CHECK_INT(all.n, 10);
    for (int i = 0; i < 10; i++)
        CHECK_INT(all.sample[i].mark.number, i);
    CHECK_NEAR(all.itl.total, 20, 1e-9);
    add(&all, 10, &(struct shape){0, 0, 0, 0, 5, 1, 3, 3, 0, 0});
    CHECK_INT(all.n, 11);
    CHECK(!a.n && !a.sample && !b.n);
    load_free(&all);
}

int main(void) {
    RUN(latencies_count_from_the_schedule);
    RUN(rates_are_of_the_steady_window);
    RUN(all_at_once_has_no_steady_state);
    RUN(failures_and_warm_ups_stay_out);
    RUN(an_slo_needs_every_limit);
    RUN(a_piece_of_several_tokens_is_several_intervals);
    RUN(per_piece_usage_is_believed);
    RUN(without_usage_pieces_are_counted_and_said);
    RUN(a_bad_client_is_told);
    RUN(nothing_is_nothing);
    RUN(clients_join_in_the_order_of_numbers);
    return check_done();
}
