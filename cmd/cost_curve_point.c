/* cost_curve_point.c - what a request of so many tokens costs, and one token more
 *
 * FLOPs and dollars of the next token are exact differences; seconds and joules those of two
 * modelled times. The next token is computed; along a curve its share of them is cached, which
 * makes a slope of its own.
 */
#include "cmd/cost_curve.h"

#include <math.h>

int64_t curve_cached(const struct curve *c, int64_t prompt) {
    int64_t n = (int64_t)(c->cached * (double)prompt);
    return n < prompt ? n : prompt - 1;
}

int64_t curve_positions(const struct curve *c, int64_t prompt) {
    return prompt + c->output - 1;
}

/* ---- dollars ------------------------------------------------------------------------------ */

static void add_amount(struct usage *u, int kind, int64_t quantity) {
    if (quantity)
        u->amount[u->n++] = (struct usage_amount){.kind = (uint8_t)kind, .quantity = quantity};
}

int curve_bill(const struct curve *c, struct biller *with, int64_t prompt, int64_t cached,
               struct bill *out) {
    struct usage u = {.time_ns = c->at_ns, .offset_ns = USAGE_NO_TIME};
    add_amount(&u, USAGE_INPUT, prompt - cached);
    add_amount(&u, USAGE_READ, cached);
    add_amount(&u, USAGE_OUTPUT, c->output);
    add_amount(&u, USAGE_REQUEST, 1);
    return bill_price(with, &u, 1, out);
}

static double dollars(money m) {
    return (double)m / (double)MONEY_USD;
}

static void price(const struct curve *c, struct curve_point *p) {
    struct bill bill;
    struct bill more;
    struct bill read;
    struct bill flat;
    if (!c->bill)
        return;
    curve_bill(c, c->bill, p->prompt, p->cached, &bill);
    curve_bill(c, c->bill, p->prompt + 1, p->cached, &more);
    curve_bill(c, c->bill, p->prompt + 1, p->cached + 1, &read);
    curve_bill(c, c->flat, p->prompt, p->cached, &flat);
    p->usd = bill.usd;
    p->next_usd = more.usd - bill.usd;
    p->linear_usd = flat.usd;
    p->cost[CURVE_USD] = dollars(p->usd);
    p->next[CURVE_USD] = dollars(p->next_usd);
    p->slope[CURVE_USD] = p->next[CURVE_USD] + c->cached * dollars(read.usd - more.usd);
    p->linear[CURVE_USD] = dollars(p->linear_usd);
}

/* ---- FLOPs, seconds, joules --------------------------------------------------------------- */

static void request(const struct curve *c, int64_t prompt, int64_t cached, struct work w[2]) {
    work_request(&c->model, cached, prompt, c->output, &w[0], &w[1]);
}

static void run(const struct curve *c, const struct work w[2], double *seconds, double *joules) {
    struct err e = {{0}};
    *seconds = *joules = 0;
    for (int i = 0; i < 2; i++) {
        struct roof t;
        if (!(w[i].passes > 0))
            continue;
        if (roof_time(c->roof, &c->model, &w[i], &t, &e) < 0)
            die_err(&e);
        *seconds += t.seconds;
        *joules += t.joules;
    }
}

static void compute(const struct curve *c, struct curve_point *p) {
    struct work w[2];
    struct work row;
    work_prefill(&c->model, p->cached, p->cached + 1, &row);
    request(c, p->prompt, p->cached, w);
    double flops = work_flops(&w[0]) + work_flops(&w[1]);
    double rows = (double)(curve_positions(c, p->prompt) - p->cached);
    p->cost[CURVE_FLOPS] = flops;
    p->next[CURVE_FLOPS] = work_next_flops(&c->model, p->prompt, c->output);
    p->slope[CURVE_FLOPS] = p->next[CURVE_FLOPS] -
                            c->cached * (work_flops(&row) - row.flops.head);
    p->linear[CURVE_FLOPS] = 2 * (double)c->model.shape->params_active * rows;
    p->score_share = (w[0].score_flops + w[1].score_flops) / flops;
    p->kv_bytes = work_kv_bytes(&c->model, curve_positions(c, p->prompt));
    if (!c->roof)
        return;
    double more[2];
    double read[2];
    run(c, w, &p->cost[CURVE_SECONDS], &p->cost[CURVE_JOULES]);
    request(c, p->prompt + 1, p->cached, w);
    run(c, w, &more[0], &more[1]);
    request(c, p->prompt + 1, p->cached + 1, w);
    run(c, w, &read[0], &read[1]);
    for (int i = 0; i < 2; i++) {
        int kind = i ? CURVE_JOULES : CURVE_SECONDS;
        p->next[kind] = more[i] - p->cost[kind];
        p->slope[kind] = p->next[kind] + c->cached * (read[i] - more[i]);
    }
}

void curve_point(const struct curve *c, int64_t prompt, struct curve_point *out) {
    *out = (struct curve_point){.prompt = prompt, .cached = curve_cached(c, prompt),
                                .score_share = NAN, .kv_bytes = NAN};
    for (int i = 0; i < CURVE_KINDS; i++)
        out->cost[i] = out->next[i] = out->slope[i] = out->linear[i] = NAN;
    if (c->model.shape)
        compute(c, out);
    price(c, out);
}
