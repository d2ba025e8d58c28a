/* calibrate.h - what a device reaches, from recorded runs: roof.h's shares and fixed costs
 *
 *     struct calibrate *c = calibrate_new(device, NULL);
 *     calibrate_read(c, "run.jsonl", &err);           // llm-run --trace; any model, several runs
 *     if (!calibrate_fit(c, &setup.fit, &report, &err))
 *         roof_time(&setup, &other_model, ...);       // another model on the same machine
 *     calibrate_free(c);
 *
 * Passes that are alike (same rows, same place of the context, within a quarter of a power of two)
 * become one point, their median: a busy machine only makes some passes slow. The fit is the most
 * probable one (maximum a posteriori) under two assumptions: logarithms of modelled / measured
 * deviate by some 8 %, all passes of a phase together, however many there are, with the tails of
 * Huber's penalty; and each factor deviates from 1 by what calibrate.c gives it. So what a run
 * cannot tell (a decode step alone does not say whether it waited for memory or for the unpacking
 * of weights) stays near the profile, and a second model is not made worse by the first one's
 * particulars.
 */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "lib/base/err.h"
#include "lib/cost/roof.h"
#include "lib/trace/trace.h"

struct calibrate;

struct calibrate_report {       /* of |modelled / measured - 1| over points */
    int64_t steps;              /* read */
    int points;
    int prefills, decodes;      /* of the points; passes of both kinds are neither */
    double before, after;       /* median, with the profile alone and with the fit */
    double prefill, decode;     /* after, of each; NAN without */
};

/* type: of the arithmetic, as in struct roof_setup. Both are borrowed. */
struct calibrate *calibrate_new(const struct device *d, const char *type);
int calibrate_read(struct calibrate *c, const char *path, struct err *err);
/* -1: nothing to fit. report may be NULL. */
int calibrate_fit(const struct calibrate *c, struct roof_fit *out,
                  struct calibrate_report *report, struct err *err);
void calibrate_free(struct calibrate *c);               /* NULL is fine */

/* The work of a recorded pass, for roof_time: what it counted, and what its rows say beyond it. m
 * says how llm-run serves, from the run record; its shape is run's, borrowed. */
void calibrate_step_work(const struct trace_run *run, const struct trace_step *step,
                         struct work_model *m, struct work *out);

#endif
