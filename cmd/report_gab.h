/* report_gab.h - results as github-action-benchmark reads them, to draw them over the commits
 *
 *     struct buf b = {0};
 *     gab_open(&b);
 *     gab_add(&b, "ttft", "ms", 12.5, interval, "better: lower\nn: 20");
 *     gab_close(&b, stdout);
 *
 * An array of {name, unit, value, range, extra}. The action takes one direction a call
 * (customBiggerIsBetter, customSmallerIsBetter).
 */
#ifndef REPORT_GAB_H
#define REPORT_GAB_H

#include <stdio.h>

#include "lib/base/mem.h"
#include "lib/stat/order.h"

void gab_open(struct buf *b);
/* Nothing is added for a value that is not finite; no range for an interval that is not. */
void gab_add(struct buf *b, const char *name, const char *unit, double value,
             struct interval range, const char *extra);
void gab_close(struct buf *b, FILE *out);       /* writes and frees b */

#endif
