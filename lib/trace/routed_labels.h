/* routed_labels.h - what requests are: a table with a column "request" and columns of labels
 *
 *     struct routed_labels *l = routed_labels_read("labels.tsv", &err);
 *     int topic = routed_labels_column(l, "topic");               // -1: no such column
 *     const char *text = routed_labels_value(l, request, topic);  // NULL: nothing said
 *     routed_labels_free(l);
 *
 * TSV or CSV with a header line (RFC 4180 quotes in CSV; lines that begin with '#' are comments),
 * or JSON Lines of flat objects; plain or zstd. Requests are whole numbers, each named once.
 */
#ifndef ROUTED_LABELS_H
#define ROUTED_LABELS_H

#include <stdint.h>

#include "lib/base/err.h"

struct routed_labels;

/* NULL on error. */
struct routed_labels *routed_labels_read(const char *path, struct err *err);
void routed_labels_free(struct routed_labels *l);       /* NULL is fine */
int routed_labels_columns(const struct routed_labels *l);       /* without "request" */
const char *routed_labels_name(const struct routed_labels *l, int column);
int routed_labels_column(const struct routed_labels *l, const char *name);      /* -1: none */
int64_t routed_labels_requests(const struct routed_labels *l);
/* Requests in ascending order, [routed_labels_requests]. */
const uint32_t *routed_labels_ids(const struct routed_labels *l);
/* What the table says of a request, as its text; NULL: the request or this label is not in it. */
const char *routed_labels_value(const struct routed_labels *l, uint32_t request, int column);

#endif
