/* route_replay.h - private to llm-route replay: what is asked for becomes jobs
 *
 *   route_replay.c         options, time, words, rows, picture
 *   route_replay_jobs.c    lists of policies, budgets and guesses
 */
#ifndef ROUTE_REPLAY_H
#define ROUTE_REPLAY_H

#include "cmd/route.h"
#include "lib/route/offload.h"

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

#endif
