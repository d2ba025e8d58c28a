/* route_replay.h - private to llm-route replay: what is asked for becomes jobs, and jobs rows
 *
 *   route_replay.c         options, rates of a device
 *   route_replay_jobs.c    lists of policies, budgets and prefetches
 *   route_replay_rows.c    words, rows, picture
 */
#ifndef ROUTE_REPLAY_H
#define ROUTE_REPLAY_H

#include "cmd/route.h"
#include "lib/route/offload.h"
#include "lib/shape/device.h"

struct replay_policy {
    char *name;                 /* as written */
    const struct offload_policy *policy;
    double param;
    int per_layer;
};

struct replay_prefetch {
    char *name;                 /* as written; "none" */
    int none;
    struct offload_guess_options opt;
    struct offload_guess *guess;
};

struct replay_jobs {
    struct replay_policy *policy;
    struct replay_prefetch *prefetch;
    double *budget;             /* bytes, as asked; INFINITY: all */
    int policies, prefetches, budgets;
    struct offload_job *job;    /* [n] by policy, then prefetch, then budget */
    struct offload_result *result;
    int n;
};

/* Each ends the program for what cannot be. Lists are checked before the trace is read. */
void replay_policies(struct replay_jobs *j, const char *list);
void replay_prefetches(struct replay_jobs *j, const char *list);
void replay_budgets_check(const char *list);
/* count: of another trace, [layers][experts], NULL: none. */
void replay_make_jobs(struct replay_jobs *j, const char *budgets, const struct offload *o,
                      const double *count);
void replay_free_jobs(struct replay_jobs *j);

/* What the rows are about; all borrowed. */
struct replay_report {
    const struct replay_jobs *jobs;     /* run */
    const struct offload *trace;
    const struct device *device;
    const struct device_memory *source;
    double rest_bytes;                  /* weights outside of the trace's layers */
    const char *path;
};

/* On stderr, about budgets that are too small or too large and what the trace does not say. */
void replay_say(const struct replay_report *p);
void replay_rows(const struct replay_report *p, const struct common *common);
/* The column is one of these; file NULL: nothing happens. */
extern const char *const replay_plot_columns[];
void replay_draw(const struct replay_report *p, const char *file, int column);

#endif
