/* ledger.h - a run's trace added up: what each phase computed, read, took and used
 *
 *     struct ledger l = {0};
 *     while ((rc = steps_next(s, &r, &err)) > 0)
 *         ledger_add(&l, rc, &r);
 *     ledger_end(&l);
 *     double per_token = l.phase[LEDGER_DECODE].ns / l.phase[LEDGER_DECODE].tokens;
 *
 * Joules of a trace belong to all steps since the last reading; they are dealt out by time. What
 * lies behind the last reading is taken to have the mean power of its phase.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include <stdint.h>

#include "lib/trace/steps.h"

/* Those of a step, and all of them together. */
enum {
    LEDGER_PREFILL = TRACE_PREFILL, LEDGER_DECODE = TRACE_DECODE, LEDGER_MIXED = TRACE_MIXED,
    LEDGER_ALL, LEDGER_PHASES
};
const char *ledger_phase_name(int phase);       /* "prefill", "decode", "mixed", "all" */

struct ledger_phase {
    int64_t steps;
    int64_t tokens;             /* rows that went through */
    double ns;
    struct shape_flops flops;
    struct shape_bytes bytes;
    double linear_flops;        /* were every parameter used for each row, and attention free */
    double joules;              /* NAN: nothing counted them */
    double joules_ns;           /* of the steps that they were read for */
};

struct ledger {
    struct ledger_phase phase[LEDGER_PHASES];
    int64_t runs, requests;
    int64_t input_tokens, cached_tokens, output_tokens;     /* of the request records */
    double waiting_ns[LEDGER_PHASES];       /* of steps since joules were read */
    double linear;              /* FLOPs of a row, of the last run's shape */
    int counted;                /* some step had joules */
};

/* kind: what steps_next returned for the record. */
void ledger_add(struct ledger *l, int kind, const struct steps_record *r);
/* Sums LEDGER_ALL; to be called once, at the end. */
void ledger_end(struct ledger *l);

#endif
