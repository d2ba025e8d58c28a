/* roof.h - time and energy of work on a device: the roofline, its calibration, several devices
 *
 *     struct roof_setup r = {.device = d, .type = "bf16"};
 *     struct roof t;
 *     if (roof_time(&r, &model, &work, &t, &err))
 *         ...
 *     t.seconds, t.joules, roof_bound_name(t.bound)
 *
 * Time of a pass = max(FLOPs / (achieved peak), bytes / (achieved bandwidth)) of each kind of work
 * (attention, dense, experts, head: operators run one after another), plus what the links carry,
 * plus a fixed cost a pass and a layer (Williams, Waterman, Patterson, "Roofline", 2009).
 * Energy: idle power for the whole time, and the rest of the device's power for the share of its
 * limits that is used; what no counter measured is modelled, and callers say so.
 */
#ifndef ROOF_H
#define ROOF_H

#include "lib/base/err.h"
#include "lib/cost/work.h"
#include "lib/shape/device.h"

/* What a calibration found out; zeros are the profile's own. */
struct roof_fit {
    double compute;             /* share of the published peak that large products reach; 0 */
    double compute_few;         /* the same of passes of few rows (decode) */
    double memory;              /* share of the bandwidth */
    double pass_s, layer_s;     /* fixed cost of a pass, and of a layer in it */
};

struct roof_setup {
    const struct device *device;
    const char *type;           /* of the arithmetic: "bf16"; NULL: the profile's first */
    const char *link;           /* between devices; NULL: the profile's first */
    int tensor_parallel;        /* devices that share every layer; 0: 1 */
    int expert_parallel;        /* devices that share out the experts; 0: 1 */
    struct roof_fit fit;
};

enum roof_bound { ROOF_COMPUTE, ROOF_MEMORY, ROOF_LINK, ROOF_FIXED };

struct roof {
    double seconds;
    double compute_s, memory_s, link_s, fixed_s;    /* parts; the larger of the first two counts */
    int bound;                  /* enum roof_bound: what took most of the time */
    double joules;              /* of all devices; NAN: the profile says no power */
};

/* -1 when the profile lacks the type, the memory or the link. */
int roof_time(const struct roof_setup *r, const struct work_model *m, const struct work *w,
              struct roof *out, struct err *err);
const char *roof_bound_name(int bound);                 /* "compute", "memory", "link", "fixed" */
/* Devices that work on it together. */
int roof_devices(const struct roof_setup *r);
/* Weights and KV of so many sequences fit into their first memories: 1. */
int roof_fits(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
              int64_t tokens);

#endif
