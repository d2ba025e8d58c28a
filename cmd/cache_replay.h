/* cache_replay.h - what the files of llm-cache replay share
 *
 *   cache_replay.c        options, jobs, the run
 *   cache_replay_rows.c   the report and the picture
 */
#ifndef CACHE_REPLAY_H
#define CACHE_REPLAY_H

#include "cmd/cache.h"
#include "lib/cache/replay.h"

struct replay_command {
    struct common common;
    struct cache_trace in;
    struct cache_model model;
    enum sim_semantics semantics;
    char *policies, *sizes, *ttls, *warmup;     /* as given; NULL: not */
    const char *plot;
    int tail_first;
    enum replay_by by;
    int64_t window_ns;
    int window_said;            /* --window was given */
    uint64_t seed;
};

struct replay_list {
    struct replay_job *job;     /* [n] capacity INT64_MAX: no size was asked for */
    char **label;               /* [n] what a row calls the policy, as given */
    int n;
};

/* A row for each job, or with --by for each of its parts that counted anything. */
void replay_report(const struct replay_command *o, const struct blocks *b,
                   const struct replay_list *jobs, const struct replay_result *res);
/* One curve for each policy, and where times to live meet sizes for each of these. */
void replay_draw(const struct replay_command *o, const struct replay_list *jobs,
                 const struct replay_result *res);

#endif
