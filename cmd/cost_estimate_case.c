/* cost_estimate_case.c - one request under one design on one device, see cost_estimate.h */
#include "cmd/cost_estimate.h"

#include <math.h>

struct estimate_case estimate_case_of(const struct estimate_options *o,
                                      const struct cost_device *d, double price_hour) {
    return (struct estimate_case){
        .model = {.shape = o->shape.shape, .weight_bits = o->shape.weight_bits,
                  .kv_bits = o->shape.kv_bits, .batch = o->batch,
                  .draft = o->draft > 0 ? o->draft : 0, .accept = o->accept,
                  .draft_shape = o->draft_shape.shape,
                  .block_tokens = o->block_tokens, .reserve_tokens = o->reserve_tokens},
        .prompt = o->prompt, .cached = o->cached, .output = o->output, .roof = &d->roof,
        .price_hour = price_hour, .utilisation = o->utilisation};
}

static struct roof time_of(const struct estimate_case *c, const struct work *w) {
    struct err e = {{0}};
    struct roof t;
    if (roof_time(c->roof, &c->model, w, &t, &e))
        die_err(&e);
    return t;
}

/* Sequences that the first memories hold beside the weights. */
static double room(const struct estimate_case *c) {
    int64_t tokens = c->prompt + c->output;
    double none = roof_resident(c->roof, &c->model, 0, tokens);
    double one = roof_resident(c->roof, &c->model, 1, tokens) - none;
    double left = c->roof->device->memory[0].capacity_bytes - none;
    if (left < 0)
        return 0;
    return one > 0 ? floor(left / one) : INFINITY;
}

struct estimate estimate_case(const struct estimate_case *given, int fit_batch) {
    struct estimate_case c = *given;
    struct work prefill;
    struct work decode;
    double fits = room(&c);
    if (fit_batch && fits >= 1 && fits < (double)c.model.batch)
        c.model.batch = (int64_t)fits;
    double batch = (double)c.model.batch;
    work_request(&c.model, c.cached, c.prompt, c.output, &prefill, &decode);
    struct roof p = time_of(&c, &prefill);
    struct roof d = {0};
    if (c.output > 1)
        d = time_of(&c, &decode);
    double devices = roof_devices(c.roof);
    int64_t tokens = c.prompt + c.output;
    struct estimate e = {
        .ttft_s = p.seconds, .tpot_s = c.output > 1 ? d.seconds * batch / (double)(c.output - 1)
                                                    : NAN,
        .seconds = p.seconds + d.seconds * batch, .device_s = devices * (p.seconds + d.seconds),
        .joules = p.joules + d.joules, .prefill_bound = p.bound,
        .decode_bound = c.output > 1 ? d.bound : -1, .batch = c.model.batch,
        .resident_bytes = roof_resident(c.roof, &c.model, c.model.batch, tokens),
        .memory = roof_memory(c.roof, &c.model, c.model.batch, tokens), .fits = fits};
    e.out_tps = c.output > 1 ? batch / e.tpot_s : NAN;
    e.usd = e.device_s * c.price_hour / 3600 / c.utilisation;
    return e;
}
