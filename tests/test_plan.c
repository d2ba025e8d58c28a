/* test_plan.c - forms other than per token: closed forms, published examples, brute force */
#include "lib/cost/plan.h"

#include <limits.h>

#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/random.h"

#define USD MONEY_USD
#define DOUBLES 1e-9            /* relative: sums of some hundred doubles against exact ones */

static void check_money(const char *what, money got, money want) {
    char a[MONEY_TEXT];
    char b[MONEY_TEXT];
    if (got != want) {
        printf("# %s is %s, expected %s\n", what, money_text(got, a), money_text(want, b));
        check_bad++;
    }
}

static void add(struct plan_trace *t, int64_t ns, int64_t fresh, int64_t cached, int64_t output,
                money usd) {
    struct usage u = {.time_ns = ns, .offset_ns = USAGE_NO_TIME};
    const int64_t quantity[] = {fresh, cached, output};
    const uint8_t kind[] = {USAGE_INPUT, USAGE_READ, USAGE_OUTPUT};
    for (int i = 0; i < 3; i++)
        if (quantity[i])
            u.amount[u.n++] = (struct usage_amount){.kind = kind[i], .quantity = quantity[i]};
    plan_add(t, &u, usd);
}

static void close_trace(struct plan_trace *t, int64_t length_ns) {
    struct err err = {{0}};
    CHECK(plan_close(t, length_ns, &err) == 0);
    CHECK_STR(err.text, "");
}

/* ---- the trace ---------------------------------------------------------------------------- */

static void trace_sorts_and_measures(void) {
    struct plan_trace t = {0};
    add(&t, 5 * PLAN_MINUTE_NS, 10, 5, 2, USD);
    add(&t, 2 * PLAN_MINUTE_NS, 20, 0, 3, 2 * USD);
    add(&t, 2 * PLAN_MINUTE_NS + 1, 30, 0, 4, 3 * USD);
    close_trace(&t, 0);
    CHECK_INT(t.begin_ns, 2 * PLAN_MINUTE_NS);
    CHECK_INT(t.length_ns, 4 * PLAN_MINUTE_NS);
    CHECK_INT(t.minutes, 2);
    CHECK_INT(t.minute[0].fresh, 50);
    CHECK_INT(t.minute[1].minute, 3);
    CHECK_INT(t.tokens, 74);
    check_money("sum", t.usd, 6 * USD);
    plan_free(&t);
}

static void trace_without_times(void) {
    struct plan_trace t = {0};
    struct err err;
    CHECK(plan_close(&t, 0, &err) == -1);
    CHECK_STR(err.text, "no requests");
    for (int i = 0; i < 4; i++)
        add(&t, USAGE_NO_TIME, 1, 0, 1, USD);
    CHECK(plan_close(&t, 0, &err) == -1);
    CHECK(strstr(err.text, "4 requests without a time") != NULL);
    close_trace(&t, 4 * PLAN_HOUR_NS);
    CHECK_INT(t.item[3].time_ns, 3 * PLAN_HOUR_NS);
    CHECK_INT(t.untimed, 4);
    plan_free(&t);
    add(&t, USAGE_NO_TIME, 1, 0, 1, USD);
    add(&t, 7 * PLAN_HOUR_NS, 1, 0, 1, USD);
    add(&t, USAGE_NO_TIME, 1, 0, 1, USD);
    close_trace(&t, 0);
    CHECK_INT(t.item[0].time_ns, 7 * PLAN_HOUR_NS);
    CHECK_INT(t.item[2].time_ns, 7 * PLAN_HOUR_NS);
    plan_free(&t);
}

static void trace_too_long(void) {
    struct plan_trace t = {0};
    struct err err;
    add(&t, 0, 1, 0, 1, USD);
    add(&t, 2 * PLAN_HOUR_NS, 1, 0, 1, USD);
    CHECK(plan_close(&t, PLAN_HOUR_NS, &err) == -1);
    CHECK(strstr(err.text, "lie 2 hours apart: more than the 1") != NULL);
    plan_free(&t);
    add(&t, INT64_MIN + 1, 1, 0, 1, USD);
    add(&t, INT64_MAX, 1, 0, 1, USD);
    CHECK(plan_close(&t, 0, &err) == -1);
    CHECK(strstr(err.text, "expected at most ten") != NULL);
    plan_free(&t);
}

/* ---- per token ---------------------------------------------------------------------------- */

static void tokens_scale(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    add(&t, 0, 1, 0, 1, 4 * USD);
    close_trace(&t, PLAN_DAY_NS);
    struct plan_way *w = plan_tokens(&t, "batch", 2 * USD);
    plan_cost(w, &c);
    check_money("usd", c.usd, 2 * USD);
    check_money("month", c.month, 60 * USD);
    CHECK_NEAR(c.marginal, 0.5, 0);
    CHECK_NEAR(plan_month(w, 3), 180, 1e-9);
    CHECK(isinf(c.serves_to) && c.units == 0 && c.busy == -1);
    CHECK_STR(plan_name(w), "batch");
    plan_way_free(w);
    plan_free(&t);
}

/* ---- provisioned units -------------------------------------------------------------------- */

/* As Azure's calculator counts (Microsoft Learn, "Provisioned throughput unit costs", 2026-03):
 * calls a minute x (tokens of the prompt + weight x tokens made) / tokens a minute of a unit, up to
 * the step, at least the minimum. 60 calls of 1000 and 200 for gpt-5.4: (60000 + 8 x 12000) / 2400
 * = 65; 62 calls: 67.2, hence 70; one call: 1.1, hence 15. */
static void units_round_up(void) {
    static const struct { int calls, units; } cases[] = {{60, 65}, {62, 70}, {1, 15}, {15, 20}};
    const struct book_capacity cap = {.rate = USD, .min = 15, .step = 5, .input_tpm = 2400,
                                      .output_weight = 8};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_trace t = {0};
        struct plan_cost c;
        for (int k = 0; k < cases[i].calls; k++)
            add(&t, k, 1000, 5000, 200, USD / 100);
        close_trace(&t, PLAN_HOUR_NS);
        struct plan_way *w = plan_units(&t, "ptu", &cap);
        plan_cost(w, &c);
        CHECK_INT(c.units, cases[i].units);
        check_money("hour", c.usd, cases[i].units * USD);
        check_money("month", c.month, cases[i].units * 720 * USD);
        CHECK_NEAR(c.utilisation, cases[i].calls * 2600.0 / 2400 / cases[i].units / 60, 1e-12);
        CHECK_NEAR(c.refused, 0, 0);
        plan_way_free(w);
        plan_free(&t);
    }
}

/* Two limits a unit: the larger need counts. */
static void units_of_two_limits(void) {
    const struct book_capacity cap = {.rate = USD, .min = 1, .step = 1, .input_tpm = 1000,
                                      .output_tpm = 100};
    struct plan_trace t = {0};
    struct plan_cost c;
    add(&t, 0, 2500, 0, 420, USD);
    close_trace(&t, 0);
    struct plan_way *w = plan_units(&t, "two", &cap);
    plan_cost(w, &c);
    CHECK_INT(c.units, 5);
    check_money("a begun hour", c.usd, 5 * USD);
    plan_way_free(w);
    const struct book_capacity output = {.rate = USD, .min = 1, .step = 1, .output_tpm = 200};
    w = plan_units(&t, "output", &output);
    plan_cost(w, &c);
    CHECK_INT(c.units, 3);
    plan_way_free(w);
    plan_free(&t);
}

static void random_trace(struct plan_trace *t, int most, int64_t hours) {
    int n = 1 + below(most);
    for (int i = 0; i < n; i++)
        add(t, below((int)hours * 3600) * (PLAN_MINUTE_NS / 60), below(5000), below(5000),
            1 + below(1000), (money)below(1000000) * (USD / 1000000));
    close_trace(t, hours * PLAN_HOUR_NS);
}

static double dollars_near(double a, double b) {
    return fabs(a - b) <= DOUBLES * fmax(fabs(a), fabs(b)) + 1e-12;
}

/* What so many units cost a month at a volume, minute by minute. */
static double slow_units(const struct plan_trace *t, const struct book_capacity *c, int64_t units,
                         double volume) {
    double over = 0;
    for (size_t i = 0; i < t->minutes; i++) {
        double load = volume * ((double)t->minute[i].fresh +
                                c->output_weight * (double)t->minute[i].output);
        double room = (double)units * c->input_tpm;
        if (load > room)
            over += volume * money_dollars(t->minute[i].usd) * (1 - room / load);
    }
    return (double)units * money_dollars(c->rate) * 720 +
           over * (double)PLAN_MONTH_NS / (double)t->length_ns;
}

static void units_spill_as_cheap_as_can_be(void) {
    state = 1;
    for (int i = 0; i < 200; i++) {
        struct plan_trace t = {0};
        struct plan_cost cost;
        random_trace(&t, 300, 1 + below(3));
        struct book_capacity c = {.rate = 1 + below(1000) * (USD / 1000), .min = 1 + below(4),
                                  .step = 1 + below(3), .input_tpm = 100 + below(3000),
                                  .output_weight = 1 + below(8), .spill = 1};
        struct plan_way *w = plan_units(&t, "ptu", &c);
        plan_cost(w, &cost);
        CHECK(dollars_near(plan_month(w, 1), money_dollars(cost.month)));
        for (int k = 0; k < 6; k++) {
            double volume = k ? pow(10, below(4000) / 1000.0 - 2) : 1;
            double best = INFINITY;
            for (int64_t u = c.min; best == INFINITY || u < 4 * volume * 10000; u += c.step) {
                double m = slow_units(&t, &c, u, volume);
                best = fmin(best, m);
                if ((double)u * money_dollars(c.rate) * 720 > best)
                    break;
            }
            CHECK(dollars_near(plan_month(w, volume), best));
        }
        CHECK(dollars_near(slow_units(&t, &c, cost.units, 1), money_dollars(cost.month)));
        plan_way_free(w);
        plan_free(&t);
    }
}

/* ---- plans -------------------------------------------------------------------------------- */

static struct book_plan monthly(money fee, money included, int64_t overage) {
    return (struct book_plan){.fee = fee * USD, .included = included * USD,
                              .period_ns = PLAN_MONTH_NS, .overage = overage};
}

/* Cursor's plans (cursor.com/docs, pricing): Pro $20 with $20 of usage, Pro+ $60 with $70, Ultra
 * $200 with $400; usage beyond at the same prices where it is allowed. Copilot from 2026-06-01:
 * credits of $0.01, Pro $10 with 1000, Pro+ $39 with 3900. */
static void plans_of_makers(void) {
    static const struct { int fee, included, usage, want; } cases[] = {
        {20, 20, 10, 20}, {20, 20, 20, 20}, {20, 20, 50, 50}, {60, 70, 50, 60}, {60, 70, 100, 90},
        {200, 400, 399, 200}, {200, 400, 450, 250},
        {10, 10, 12, 12}, {39, 39, 50, 50}, {39, 39, 20, 39}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_trace t = {0};
        struct plan_cost c;
        struct book_plan p = monthly(cases[i].fee, cases[i].included, MONEY_FACTOR);
        for (int k = 0; k < 10; k++)
            add(&t, k * PLAN_DAY_NS, 1, 0, 1, cases[i].usage * USD / 10);
        close_trace(&t, PLAN_MONTH_NS);
        struct plan_way *w = plan_capped(&t, "plan", &p);
        plan_cost(w, &c);
        check_money("usd", c.usd, cases[i].want * USD);
        check_money("month", c.month, cases[i].want * USD);
        CHECK_NEAR(plan_month(w, 1), cases[i].want, 1e-9);
        CHECK_NEAR(c.marginal, cases[i].usage >= cases[i].included, 0);
        CHECK_NEAR(c.refused, 0, 0);
        plan_way_free(w);
        plan_free(&t);
    }
}

/* A third of a month: alone it pays a whole fee; a month of it uses three times as much. */
static void plan_of_a_short_trace(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    struct book_plan p = monthly(20, 20, MONEY_FACTOR / 2);
    add(&t, 0, 1, 0, 1, 12 * USD);
    close_trace(&t, 10 * PLAN_DAY_NS);
    struct plan_way *w = plan_capped(&t, "plan", &p);
    plan_cost(w, &c);
    check_money("alone", c.usd, 20 * USD);
    check_money("month", c.month, 28 * USD);
    CHECK_NEAR(plan_month(w, 2), 20 + 0.5 * (72 - 20), 1e-9);
    CHECK_NEAR(plan_month(w, 0.5), 20, 1e-9);
    plan_way_free(w);
    p.period_ns = 10 * PLAN_DAY_NS;
    w = plan_capped(&t, "plan", &p);
    plan_cost(w, &c);
    check_money("three periods", c.month, 60 * USD);
    plan_way_free(w);
    plan_free(&t);
}

static void plan_refuses(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    struct book_plan p = monthly(10, 5, -1);
    for (int k = 0; k < 10; k++)
        add(&t, k * PLAN_DAY_NS, 1, 0, 1, USD);
    close_trace(&t, PLAN_MONTH_NS);
    struct plan_way *w = plan_capped(&t, "plan", &p);
    plan_cost(w, &c);
    check_money("fee alone", c.month, 10 * USD);
    CHECK_NEAR(c.refused, 0.5, 1e-12);
    CHECK_NEAR(c.serves_to, 0.5, 1e-12);
    CHECK(isnan(c.marginal));
    CHECK(isinf(plan_month(w, 1)) && plan_month(w, 0.5) == 10);
    plan_way_free(w);
    plan_free(&t);
}

/* Refusals of the trace repeated over its periods, by looking at all that was taken before. */
static double slow_refused(const struct plan_trace *t, const struct book_plan *p) {
    int64_t horizon = (t->length_ns + p->period_ns - 1) / p->period_ns * p->period_ns;
    size_t most = t->n * (size_t)(horizon / t->length_ns + 1);
    int64_t *when = mem_array(most, sizeof *when);
    money *what = mem_array(most, sizeof *what);
    size_t n = 0;
    money asked = 0;
    money took = 0;
    for (int64_t copy = 0; copy < horizon; copy += t->length_ns)
        for (size_t i = 0; i < t->n; i++) {
            int64_t ns = copy + t->item[i].time_ns - t->begin_ns;
            int fits = 1;
            if (ns >= horizon)
                continue;
            for (int w = 0; w < p->windows; w++) {
                money in = t->item[i].usd;
                for (size_t k = 0; k < n; k++)
                    in += when[k] > ns - p->window[w].period_ns ? what[k] : 0;
                fits = fits && in <= p->window[w].limit;
            }
            asked += t->item[i].usd;
            if (!fits)
                continue;
            when[n] = ns;
            what[n++] = t->item[i].usd;
            took += t->item[i].usd;
        }
    free(when);
    free(what);
    return asked ? 1 - money_dollars(took) / money_dollars(asked) : 0;
}

/* Three windows as one provider has them ($12 in 5 hours, $30 in a week, $60 in a month). */
static void windows_hold_together(void) {
    state = 2;
    int refusing = 0;
    for (int i = 0; i < 60; i++) {
        struct plan_trace t = {0};
        struct plan_cost c;
        random_trace(&t, 40, 3 + below(60));
        money scale = 1 + below(30);
        struct book_plan p = {.fee = 10 * USD, .period_ns = 4 * PLAN_DAY_NS, .overage = -1,
                              .windows = 3,
                              .window = {{12 * USD / scale, 5 * PLAN_HOUR_NS},
                                         {30 * USD / scale, 20 * PLAN_HOUR_NS},
                                         {60 * USD / scale, 70 * PLAN_HOUR_NS}}};
        struct plan_way *w = plan_capped(&t, "plan", &p);
        plan_cost(w, &c);
        double want = slow_refused(&t, &p);
        refusing += want > 0;
        CHECK_NEAR(c.refused, want, 1e-12);
        CHECK((c.serves_to >= 1) >= (c.refused == 0 && t.length_ns >= 70 * PLAN_HOUR_NS));
        CHECK(c.serves_to < 1 || c.refused == 0);
        plan_way_free(w);
        plan_free(&t);
    }
    CHECK(refusing > 10 && refusing < 60);
}

/* A window is full, and the next request waits for the oldest to leave it. */
static void window_slides(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    struct book_plan p = {.fee = USD, .period_ns = PLAN_DAY_NS, .overage = -1, .windows = 1,
                          .window = {{2 * USD, 5 * PLAN_HOUR_NS}}};
    for (int h = 0; h < 24; h += 2)
        add(&t, h * PLAN_HOUR_NS, 1, 0, 1, USD);
    close_trace(&t, PLAN_DAY_NS);
    struct plan_way *w = plan_capped(&t, "plan", &p);
    plan_cost(w, &c);
    /* Taken at 0, 2; 4 refused, 6, 8; 10 refused, ... */
    CHECK_NEAR(c.refused, 1.0 / 3, 1e-12);
    CHECK_NEAR(c.serves_to, 2.0 / 3, 1e-12);
    CHECK(isnan(c.marginal));
    plan_way_free(w);
    p.window[0].limit = 3 * USD;
    w = plan_capped(&t, "plan", &p);
    plan_cost(w, &c);
    CHECK_NEAR(c.refused, 0, 0);
    CHECK(c.serves_to >= 1);
    check_money("month", c.month, 30 * USD);
    plan_way_free(w);
    plan_free(&t);
}

/* ---- own devices -------------------------------------------------------------------------- */

/* $/Mtok = $/h / (tok/s x 3600 x utilisation) x 1e6, when utilisation is what remains. */
static void own_closed_form(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    for (int i = 0; i < 60; i++)
        add(&t, i * PLAN_MINUTE_NS, 0, 100, 1500, USD);
    close_trace(&t, PLAN_HOUR_NS);
    const struct plan_rig rig = {.rate = 3 * USD, .prefill_tps = 10000, .decode_tps = 100};
    struct plan_way *w = plan_own(&t, "gpu", &rig);
    plan_cost(w, &c);
    CHECK_INT(c.units, 1);
    CHECK_NEAR(c.utilisation, 0.25, 1e-12);
    check_money("hour", c.usd, 3 * USD);
    check_money("month", c.month, 2160 * USD);
    check_money("busy", c.busy, 540 * USD);
    double mtok = 60 * 1500 * 720 / 1e6;
    CHECK_NEAR(money_dollars(c.month) / mtok, 3 / (100 * 3600 * 0.25) * 1e6, 1e-9);
    CHECK_NEAR(plan_month(w, 4), 2160, 1e-9);
    CHECK_NEAR(plan_month(w, 4.001), 4320, 1e-9);
    CHECK_NEAR(plan_month(w, 0.001), 2160, 1e-9);
    plan_way_free(w);
    plan_free(&t);
}

/* Two hours: one with 60 minutes of 15 s, of which one has 45 s; one empty. H = 0.2583, P = 0.75:
 * at a volume k, k H + sqrt(k) (P - H) rigs. */
static void own_grows_with_the_hour(void) {
    struct plan_trace t = {0};
    for (int i = 0; i < 60; i++)
        add(&t, i * PLAN_MINUTE_NS, 0, 0, i ? 1500 : 4500, USD);
    close_trace(&t, 2 * PLAN_HOUR_NS);
    const struct plan_rig rig = {.rate = USD, .prefill_tps = 1, .decode_tps = 100};
    struct plan_way *w = plan_own(&t, "gpu", &rig);
    double hour = (59 * 15 + 45) / 3600.0;
    for (double k = 0.01; k < 1e5; k *= 1.7)
        CHECK_NEAR(plan_month(w, k), 720 * fmax(ceil(k * hour + sqrt(k) * (0.75 - hour)), 1),
                   1e-6);
    plan_way_free(w);
    plan_free(&t);
}

/* The busiest minute decides, or the mean at a utilisation; rigs of two devices; begun granules. */
static void own_sizes(void) {
    struct plan_trace t = {0};
    struct plan_cost c;
    add(&t, 0, 60000, 0, 18000, USD);
    add(&t, 9 * PLAN_MINUTE_NS, 0, 0, 600, USD);
    close_trace(&t, 10 * PLAN_MINUTE_NS);
    struct plan_rig rig = {.rate = 2 * USD, .granule_ns = 15 * PLAN_MINUTE_NS, .devices = 2,
                           .prefill_tps = 1000, .decode_tps = 100};
    struct plan_way *w = plan_own(&t, "gpu", &rig);
    plan_cost(w, &c);
    CHECK_INT(c.units, 8);      /* 60 + 180 s in a minute */
    check_money("quarter of an hour", c.usd, 4 * USD);
    plan_way_free(w);
    rig.utilisation = 0.5;      /* 246 s of 600: 0.41, hence 0.82 of a rig */
    w = plan_own(&t, "gpu", &rig);
    plan_cost(w, &c);
    CHECK_INT(c.units, 2);
    CHECK_NEAR(c.utilisation, 0.41, 1e-12);
    check_money("one rig", c.month, 2880 * USD);
    plan_way_free(w);
    plan_free(&t);
}

/* ---- volume ------------------------------------------------------------------------------- */

/* A price per token against devices: with f the rent, p devices a volume and c the price of a
 * volume, N devices win from N f / c on, and lose again at N / p while (N + 1) f / c is above. */
static void sawtooth(void) {
    struct plan_trace t = {0};
    size_t n;
    double searched;
    add(&t, 0, 0, 0, 6000, USD);
    close_trace(&t, PLAN_MINUTE_NS);
    /* 1 rig a volume; rent 0.8 of the price: 0.8 to 1, 1.6 to 2, 2.4 to 3, 3.2 on. */
    struct plan_rig rig = {.rate = 48 * USD, .prefill_tps = 1, .decode_tps = 100};
    struct plan_way *way[] = {plan_tokens(&t, "api", USD), plan_own(&t, "gpu", &rig)};
    static const double at[] = {0.001, 0.8, 1, 1.6, 2, 2.4, 3, 3.2, 4};
    struct plan_span *s = plan_winners(way, 2, 1e-3, 1e6, &n, &searched);
    CHECK_INT(n, 8);
    CHECK_NEAR(searched, 1e6, 0);
    for (size_t i = 0; i < n && i < 8; i++) {
        CHECK_NEAR(s[i].from, at[i], 1e-9);
        CHECK_INT(s[i].way, i % 2);
    }
    CHECK_NEAR(s[7].to, 1e6, 0);
    free(s);
    plan_way_free(way[1]);
    rig.rate = 61 * USD;        /* never: above the price at every volume */
    way[1] = plan_own(&t, "gpu", &rig);
    s = plan_winners(way, 2, 1e-3, 1e6, &n, &searched);
    CHECK_INT(n, 1);
    CHECK_INT(s[0].way, 0);
    free(s);
    plan_way_free(way[0]);
    plan_way_free(way[1]);
    plan_free(&t);
}

/* Fee 20 with 20 included, then half price: wins from a month of 20 on. A second plan that refuses
 * beyond 100 for 5 wins to there. */
static void plans_by_volume(void) {
    struct plan_trace t = {0};
    size_t n;
    double searched;
    struct book_plan half = monthly(20, 20, MONEY_FACTOR / 2);
    struct book_plan small = monthly(5, 100, -1);
    add(&t, 0, 1, 0, 1, USD);
    close_trace(&t, PLAN_MONTH_NS);
    struct plan_way *way[] = {plan_tokens(&t, "api", USD), plan_capped(&t, "half", &half),
                              plan_capped(&t, "small", &small)};
    struct plan_span *s = plan_winners(way, 2, 1e-3, 1e6, &n, &searched);
    CHECK_INT(n, 2);
    CHECK_NEAR(s[0].to, 20, 1e-9);
    CHECK_INT(s[1].way, 1);
    free(s);
    s = plan_winners(way, 3, 1e-3, 1e6, &n, &searched);
    CHECK_INT(n, 3);
    CHECK_NEAR(s[0].to, 5, 1e-9);
    CHECK_INT(s[1].way, 2);
    CHECK_NEAR(s[1].to, 100, 1e-6);
    CHECK_INT(s[2].way, 1);
    free(s);
    s = plan_winners(way + 2, 1, 1e-3, 1e6, &n, &searched);
    CHECK_INT(n, 2);
    CHECK_INT(s[1].way, -1);
    free(s);
    for (int i = 0; i < 3; i++)
        plan_way_free(way[i]);
    plan_free(&t);
}

/* The span that holds a volume names a way that no other undercuts there. */
static void check_spans(struct plan_way **way, int ways, const struct plan_span *s, size_t n) {
    for (size_t i = 0; i + 1 < n; i++)
        CHECK(s[i].to == s[i + 1].from && s[i].way != s[i + 1].way && s[i].from < s[i].to);
    for (int k = 0; k < 3000; k++) {
        double volume = s[0].from * pow(s[n - 1].to / s[0].from, (k + 0.5) / 3000);
        size_t i = 0;
        double best = INFINITY;
        while (i + 1 < n && s[i].to < volume)
            i++;
        for (int j = 0; j < ways; j++)
            best = fmin(best, plan_month(way[j], volume));
        double got = s[i].way < 0 ? INFINITY : plan_month(way[s[i].way], volume);
        CHECK(isinf(got) ? isinf(best) : got <= best * (1 + 1e-9));
    }
}

static void winners_by_brute_force(void) {
    state = 3;
    size_t spans = 0;
    for (int i = 0; i < 60; i++) {
        struct plan_trace t = {0};
        size_t n;
        double searched;
        random_trace(&t, 200, 1 + below(50));
        struct book_capacity cap = {.rate = 1 + below(300) * (USD / 1000), .min = 1 + below(10),
                                    .step = 1 + below(5), .input_tpm = 100 + below(3000),
                                    .output_weight = 1 + below(8), .spill = below(2)};
        struct book_plan p = monthly(1 + below(100), below(200),
                                     below(3) ? MONEY_FACTOR / 2 : -1);
        struct plan_rig rig = {.rate = (1 + below(9000)) * (USD / 1000),
                               .prefill_tps = 1000 + below(20000), .decode_tps = 50 + below(3000),
                               .utilisation = below(2) * 0.5};
        struct plan_way *way[] = {plan_tokens(&t, "api", t.usd), plan_units(&t, "ptu", &cap),
                                  plan_capped(&t, "plan", &p), plan_own(&t, "gpu", &rig),
                                  plan_tokens(&t, "other", t.usd * 9 / 10)};
        struct plan_span *s = plan_winners(way, 4 + below(2), 1e-3, 1e6, &n, &searched);
        CHECK(n > 0 && s[0].from == 1e-3 && s[n - 1].to == searched);
        check_spans(way, s[n - 1].way == 4 ? 5 : 4, s, n);
        spans += n;
        free(s);
        for (int k = 0; k < 5; k++)
            plan_way_free(way[k]);
        plan_free(&t);
    }
    CHECK(spans > 120);
}

int main(void) {
    RUN(trace_sorts_and_measures);
    RUN(trace_without_times);
    RUN(trace_too_long);
    RUN(tokens_scale);
    RUN(units_round_up);
    RUN(units_of_two_limits);
    RUN(units_spill_as_cheap_as_can_be);
    RUN(plans_of_makers);
    RUN(plan_of_a_short_trace);
    RUN(plan_refuses);
    RUN(windows_hold_together);
    RUN(window_slides);
    RUN(own_closed_form);
    RUN(own_grows_with_the_hour);
    RUN(own_sizes);
    RUN(sawtooth);
    RUN(plans_by_volume);
    RUN(winners_by_brute_force);
    return check_done();
}
