/* cost_estimate.h - the pieces of llm-cost estimate
 *
 *   cost_estimate.c             options and rows
 *   cost_estimate_case.c        one request under one design on one device
 *   cost_estimate_techniques.c  each technique alone, all together, all but one
 */
#ifndef COST_ESTIMATE_H
#define COST_ESTIMATE_H

#include "cmd/cost.h"
#include "cmd/cost_device.h"
#include "lib/cost/work.h"

#define ESTIMATE_DEVICES_MOST 32

struct estimate_options {
    struct common common;
    struct cost_shape shape, draft_shape;
    struct cost_books books;
    struct cost_device device;              /* what all of them share */
    const char *spec[ESTIMATE_DEVICES_MOST];
    int specs;
    int64_t prompt, cached, output, batch;
    int64_t block_tokens, reserve_tokens;
    int draft;                              /* -1: not given */
    double accept, utilisation;
    double price_hour;                      /* of a device; NAN: the book's */
    const char *techniques;                 /* NULL: no table of them */
    const char *plot;
};

/* A request in its place: what is computed, and where. */
struct estimate_case {
    struct work_model model;
    int64_t prompt, cached, output;
    const struct roof_setup *roof;
    double price_hour, utilisation;
};

struct estimate {
    double ttft_s;              /* its prompt's passes, alone */
    double tpot_s;              /* of the tokens after the first; NAN: there is one */
    double seconds;             /* first to last */
    double device_s;            /* of all devices: its prompt, and its share of the steps */
    double joules, usd;         /* NAN: the profile says no power; no price */
    double out_tps;             /* of the whole batch, while it decodes */
    int prefill_bound, decode_bound;        /* enum roof_bound; -1: no decoding */
    int64_t batch;              /* asked for, or what fits */
    double resident_bytes;      /* on the fullest device */
    int memory;                 /* the slowest memory that holds part of it; -1: there is no room */
    double fits;                /* sequences of this length that first memories hold; 0: none */
};

/* Ends the program when the device lacks something. fit_batch: the batch is at most what the first
 * memories hold, where that is one or more. */
struct estimate estimate_case(const struct estimate_case *c, int fit_batch);
/* The request that the options say, as a case. */
struct estimate_case estimate_case_of(const struct estimate_options *o,
                                      const struct cost_device *d, double price_hour);

void estimate_techniques(const struct estimate_options *o, const struct cost_device *d,
                         double price_hour);
/* Names of techniques, for --technique; ends the program for one that is none. */
void estimate_check_techniques(const char *list);

#endif
