/* route_diff.h - the pieces of llm-route diff
 *
 *   route_diff.c           options, the order of things, checks
 *   route_diff_read.c      two sides out of one or two inputs, and what their tokens are about
 *   route_diff_rows.c      rows, words on stderr, the picture
 */
#ifndef ROUTE_DIFF_H
#define ROUTE_DIFF_H

#include "cmd/route.h"
#include "lib/route/diverge.h"

struct diff_options {
    struct common common;
    struct route_input in;
    const char *against[ROUTE_WHERES];
    int againsts;
    const char *labels_b;       /* NULL: those of a */
    const char *control;        /* NULL: none */
    int by_expert, every;
    int paired;
    struct diverge_cut cut;
    struct diverge_options test;
    double fail_above, fail_p;  /* NAN: not asked */
    const char *plot;
};

/* ---- sides (route_diff_read.c) ------------------------------------------------------------ */

struct diff_side {
    char *path, *called;        /* to read, and for messages */
    char *labels, *labels_called;       /* the same; NULL: none */
    const char *where[2 * ROUTE_WHERES];
    int wheres;
    enum routed_kind kind;
    struct routed_set *set;     /* of tokens */
    double *count;              /* of count tables: [layers][experts] */
    struct routed_model model;  /* a copy, owned */
    uint32_t *topic;            /* [tokens] where there is a control */
};

/* a and b, comparable; or the program ends. path[n] are one or two inputs. */
void diff_read(const struct diff_options *o, char **path, int n, struct diff_side side[2]);
void diff_side_free(struct diff_side *s);
/* Nothing was routed. */
int diff_side_empty(const struct diff_side *s);

/* ---- report (route_diff_rows.c) ----------------------------------------------------------- */

struct diff_result {
    const struct diff_side *side;
    const struct diverge_units *units;  /* NULL: count tables */
    const struct diverge *raw;
    const struct diverge *matched;      /* NULL: no control */
};

void diff_rows(const struct diff_options *o, const struct diff_result *r);
void diff_words(const struct diff_options *o, const struct diff_result *r);
void diff_plot(const struct diff_options *o, const struct diff_result *r);

#endif
