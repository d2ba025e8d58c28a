/* report_junit.h - results as XML of JUnit, which every CI system reads
 *
 *     const struct junit_case c[] = {{"head.jsonl", "ttft", JUNIT_FAILED, "worse: 12 ms, was 10"}};
 *     junit_write(stdout, "llm-bench stat", c, 1);
 *
 * A failure fails a build, and so does an error, where nothing could be told; a skipped case is
 * shown and does not.
 */
#ifndef REPORT_JUNIT_H
#define REPORT_JUNIT_H

#include <stddef.h>
#include <stdio.h>

enum junit_state { JUNIT_PASSED, JUNIT_FAILED, JUNIT_ERROR, JUNIT_SKIPPED };

struct junit_case {
    const char *group, *name;   /* the class, and what was tested; any text */
    int state;                  /* enum junit_state */
    const char *text;           /* what was found */
};

/* Bytes that are no UTF-8, and the two characters that XML does not allow, become U+FFFD. */
void junit_write(FILE *out, const char *suite, const struct junit_case *c, size_t n);

#endif
