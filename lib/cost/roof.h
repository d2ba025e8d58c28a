/* roof.h - time and energy of work on a device: the roofline, its calibration, several devices
 *
 *     struct roof_setup r = {.device = d, .type = "bf16"};
 *     struct roof t;
 *     if (roof_time(&r, &model, &work, &t, &err))
 *         ...
 *     t.seconds, t.joules, roof_bound_name(t.bound)
 *
 * A pass is a row of operators that run one after another: projections, scores, dense FFNs, routed
 * experts, head, the draft model. Each takes the longer of its arithmetic and its reading
 * (Williams, Waterman, Patterson, "Roofline", 2009); what the links carry and a fixed cost a pass
 * and a layer come on top.
 *
 *     arithmetic   F / C + F1 (1 / C_few - 1 / C)
 *     reading      sum over the places where the data lies of bytes / rate
 *
 * C is the rate of products of many rows, C_few that of one row, and F1 the FLOPs of one row over
 * the same weights: weights are unpacked once however many rows share them, so that the rate goes
 * from C_few to C as rows come in. The profile says C; C_few is C on GPUs. A measured profile is of
 * a processor that llm-run works on: there C_few is a share of the peak by type; what lies between
 * the products takes time by the matrices that a row meets and the elements that go in and come
 * out; and reading hides only in part behind arithmetic: of the two, the root of the sum of squares
 * counts.
 *
 * Data lies in the first memory of the profile as far as it goes, then in the next; in front of
 * them are the caches of a measured profile. Whatever is read again and again, all weights and the
 * KV of all sequences, has the share size / (all of it) in a cache, as with random replacement.
 *
 * Several devices: tensor_parallel ones share every matrix and the KV heads (where those are fewer,
 * several keep the same; all keep MLA's latent), and exchange the rows' vectors twice a layer (an
 * all-reduce in a ring: 2 (p - 1) / p of them through each link; Megatron-LM, arXiv 1909.08053).
 * expert_parallel groups of such share out the experts and the rows, each has all
 * other weights; rows go to their experts and come back (two all-to-alls a layer; GShard, arXiv
 * 2006.16668).
 *
 * Energy: idle power for the whole time, and the rest up to the device's most while an operator
 * runs. A model's share: what no counter measured is modelled, and callers say so. Without a
 * profile's idle power it is taken as ROOF_IDLE of its most.
 */
#ifndef ROOF_H
#define ROOF_H

#include "lib/base/err.h"
#include "lib/cost/work.h"
#include "lib/shape/device.h"

#define ROOF_IDLE 0.12          /* 80 W of the H200's 700: see lib/shape/device_table.c */
#define ROOF_VECTOR_BITS 16     /* of what links carry */
#define ROOF_BARRIERS 34        /* a layer, where a profile says what one costs at best: ten pieces
                                 * of work are handed out, and threads do not end together */

/* What a calibration found out (calibrate.h): how many times as fast as the profile and roof.c's
 * own assumptions say; 0 is 1. They belong to an engine on a machine, not to a model. */
struct roof_fit {
    double compute;             /* products of many rows */
    double compute_few;         /* of one row, were memory no limit */
    double scores;              /* attention scores and values */
    double memory;              /* all bandwidths */
    double vectors;             /* everything between the products, on processors */
    double fixed;               /* what a pass and a layer cost whatever they hold */
};

struct roof_setup {
    const struct device *device;
    const char *type;           /* of the arithmetic: "bf16"; NULL: roof_type's */
    const char *link;           /* between devices; NULL: the profile's first */
    int tensor_parallel;        /* devices that share every layer; 0: 1 */
    int expert_parallel;        /* groups of them that share out the experts; 0: 1 */
    struct roof_fit fit;
};

/* The arithmetic that engines use for these weights on this device: processors multiply quantized
 * weights as int8, and others in the widest type of 16 bits that the weights have or f32; GPUs
 * unpack all to bf16, or f16 where they lack that. NULL: the profile has none. */
const char *roof_type(const struct device *d, const struct work_model *m);

enum roof_bound { ROOF_COMPUTE, ROOF_MEMORY, ROOF_LINK, ROOF_FIXED };

struct roof {
    double seconds;
    double compute_s, memory_s; /* of all operators; of each the longer one counts */
    double link_s, fixed_s;
    int bound;                  /* enum roof_bound: what took most of the time */
    double joules;              /* of all devices; NAN: the profile says no power */
};

/* -1 when the profile lacks the type, a memory, or the link that several devices need. Of summed
 * work (work_request), the time is that of its parts as if they were alike. */
int roof_time(const struct roof_setup *r, const struct work_model *m, const struct work *w,
              struct roof *out, struct err *err);
const char *roof_bound_name(int bound);                 /* "compute", "memory", "link", "fixed" */
/* Devices that work on it together. */
int roof_devices(const struct roof_setup *r);
/* Bytes on the fullest device: weights, and KV of so many sequences of so many tokens. */
double roof_resident(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
                     int64_t tokens);
/* The index of the slowest memory that they need; -1: all together do not hold them. 0 is what one
 * wishes for. */
int roof_memory(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
                int64_t tokens);
/* They fit into the first memory: 1. */
int roof_fits(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
              int64_t tokens);
/* Seconds to read a byte of data of which so many bytes are read again and again. */
double roof_read_s(const struct roof_setup *r, double resident);

#endif
