/* route_speculate.h - the two files of llm-route speculate: options and costs, rows and verdict */
#ifndef ROUTE_SPECULATE_H
#define ROUTE_SPECULATE_H

#include "cmd/route.h"
#include "lib/route/speculate.h"
#include "lib/stat/boot.h"

struct speculate_options {
    struct common common;
    struct route_input in;
    double *accept;             /* [accepts] */
    int accepts;
    int *draft;                 /* [drafts] tokens */
    int drafts;
    double draft_cost;
    int batch;
    int windows;                /* enum spread_windows; -1: what suits the trace */
    const char *device, *compute, *experts_in;
    int64_t context;            /* tokens of a request whose KV is read */
    double kv_bits;
    struct boot boot;
    const char *plot;
};

/* What was counted of draft + 1 tokens; draft 0 is decoding. NAN: no so many follow each other. */
struct speculate_growth {
    int draft;
    int64_t windows;
    double unique;              /* experts of a layer */
    struct interval interval;
    double weighted;            /* the same with the layers' expert bytes as weights */
    struct interval weighted_interval;
    double formula, by_load;    /* what would be assumed */
};

struct speculate_report {
    const struct speculate_options *o;
    const struct speculate_costs *costs;
    const struct speculate_growth *one;     /* of draft 0 */
    const struct speculate_growth *growth;  /* [o->drafts] */
};

/* A row for every acceptance and draft length, the picture, and a line on stderr for each
 * acceptance. */
void speculate_print(const struct speculate_report *r);

#endif
