/* loads.h - how often each expert of each layer was used: the start of all that is said of routes
 *
 *     struct loads *l = loads_read("routes.npy", &(struct routed_options){0}, &err);
 *     double hits = l->count[layer * l->experts + expert];
 *     loads_free(l);
 *
 * Of traces by tokens and of count tables alike.
 */
#ifndef LOADS_H
#define LOADS_H

#include "lib/trace/routed.h"

struct loads {
    struct routed_model model;  /* a copy, owned */
    int64_t tokens;             /* 0: a count table, which does not say */
    double *count;              /* [layers][experts] tokens sent there; whole up to 2^53 */
};

/* NULL on error. Nothing used at all is no error: counts are zero. */
struct loads *loads_read(const char *path, const struct routed_options *opt, struct err *err);
/* The same of what is open and was not read yet. */
struct loads *loads_rest(struct routed *r, struct err *err);
/* The same of tokens [from, to) of a trace in memory. */
struct loads *loads_of(const struct routed_set *s, int64_t from, int64_t to);
void loads_free(struct loads *l);                         /* NULL is fine */

/* Adds rows to counts [layers][experts]; experts must not be below any id of the rows. More than
 * 100 M pairs a second on one core. */
void loads_add(uint64_t *count, const struct routed_model *m, const struct routed_rows *rows);

#endif
