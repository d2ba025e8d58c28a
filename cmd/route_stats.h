/* route_stats.h - the pieces of llm-route stats
 *
 *   route_stats.c          options, reading, which report
 *   route_stats_layers.c   a row for each layer, and one for all
 *   route_stats_lists.c    rows for experts, for pairs of them, for numbers of tokens
 *   route_stats_heat.c     layers by experts as a picture, on the terminal and in a file
 */
#ifndef ROUTE_STATS_H
#define ROUTE_STATS_H

#include "cmd/route.h"
#include "lib/route/balance.h"
#include "lib/route/tally.h"

struct stats_options {
    struct common common;
    struct route_input in;
    const char *path;
    int by_expert;
    int pairs;                  /* of a layer; 0: no such report */
    double least;               /* tokens to expect of a pair */
    int64_t *unique;            /* [uniques] numbers of tokens; NULL: no such report */
    int uniques;
    int heat;
    const char *plot;           /* NULL: none */
    struct boot boot;           /* resamples -1: no intervals */
};

/* What was counted, of traces and of tables alike. */
struct stats {
    const struct stats_options *o;
    const struct routed_model *model;
    int experts;                /* of a layer, now that all is read */
    const double *count;        /* [layers][experts] */
    const struct tally *tally;  /* NULL: a count table */
};

/* The counts of a layer: [experts]. */
static inline const double *stats_count(const struct stats *s, int layer) {
    return s->count + (size_t)layer * (size_t)s->experts;
}
/* Tokens that used an expert there; NAN: a count table does not say. */
double stats_tokens(const struct stats *s, int layer);

void stats_layers(const struct stats *s);
void stats_experts(const struct stats *s);
void stats_pairs(const struct stats *s);
/* Reads the trace by itself, into memory: 1 when no token was there. */
int stats_unique(const struct stats_options *o);
void stats_heat(const struct stats *s);
void stats_plot(const struct stats *s);

#endif
