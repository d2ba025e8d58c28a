/* steps.h - reads a run trace, record by record (llm-trace(5))
 *
 *     struct steps *s = steps_open("run.jsonl.zst", &err);
 *     struct steps_record r;
 *     while ((rc = steps_next(s, &r, &err)) > 0)
 *         if (rc == STEPS_STEP)
 *             ns += r.step.ns;
 *     steps_close(s);
 *
 * What trace.h writes comes back as the structs that it was written from. The input is plain or
 * zstd, a file or a pipe ("-" is stdin); memory grows with the longest line alone. Several traces
 * one after the other are one input with several run records.
 *
 * Every number is checked: counts are whole and not negative, times and amounts are finite, the
 * rows of a step add up to its tokens, a list by layers has one entry for each. Unknown types and
 * fields are passed, blank lines too. All pointers of a record are borrowed until the next call,
 * but the run's, which stay until the next run record.
 */
#ifndef STEPS_H
#define STEPS_H

#include "lib/base/err.h"
#include "lib/trace/trace.h"

struct steps;

enum { STEPS_RUN = 1, STEPS_STEP, STEPS_REQUEST };

struct steps_record {
    int64_t line;               /* of the input, 1 for the first */
    struct trace_run run;       /* STEPS_RUN; texts that the record lacks are "", settings NULL */
    struct trace_step step;     /* STEPS_STEP; one row where the step names its request, none where
                                 * it names nothing; experts_touched -1, joules NAN: not said */
    struct trace_request request;       /* STEPS_REQUEST; id and settings as JSON text */
};

/* Reads the first record, which must be a run. NULL: it cannot be read, or is none. */
struct steps *steps_open(const char *path, struct err *err);
/* Which kind of record it is, the run that steps_open saw first; 0 the end, -1 an error that names
 * file, line, what was expected and found. */
int steps_next(struct steps *s, struct steps_record *out, struct err *err);
/* Of the last run record. */
const struct shape *steps_shape(const struct steps *s);
/* The same; it becomes the caller's, and stays valid after steps_close. */
struct shape *steps_take_shape(struct steps *s);
/* What it says of the machine and the engine; NUL-terminated texts. */
const struct trace_run *steps_run(const struct steps *s);
const char *steps_name(const struct steps *s);          /* of the input, for messages */
void steps_close(struct steps *s);                      /* NULL is fine */

#endif
