/* bench_serve.h - the pieces of llm-bench serve
 *
 *   bench_serve.c          the command line, threads and clients, exit status
 *   bench_serve_feed.c     what is sent and when: bodies made ahead, handed out at their time
 *   bench_serve_probe.c    waits for the server, asks for its model
 *   bench_serve_report.c   rows, the file of --save, the picture of --plot
 */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdint.h>

#include "cmd/bench.h"
#include "cmd/prices.h"
#include "lib/bench/arrivals.h"
#include "lib/bench/client.h"
#include "lib/bench/load.h"
#include "lib/bench/prompts.h"
#include "lib/format/zio.h"
#include "lib/trace/reqs.h"

enum serve_load { SERVE_CLOSED, SERVE_OPEN, SERVE_REPLAY };

struct serve_options {
    struct common common;
    struct client_options client;
    const char *key_env;        /* said; NULL: OPENAI_API_KEY */
    int64_t wait_ns;            /* for a server that refuses connections yet */
    int threads;

    enum serve_load load;
    int64_t concurrency;        /* closed: requests under way; else the cap, 0: none */
    struct arrivals_options arrivals;
    double speed;               /* of a replay */
    const char *trace;          /* prompts, and times of a replay; NULL: none */
    struct reqs_options reqs;
    int64_t requests;           /* that count; 0: no limit */
    int64_t duration_ns;        /* no request is scheduled later; 0: no limit */
    int64_t warmup;             /* requests that do not count, before the others */
    struct prompts_options prompts;

    struct load_slo slo;
    double at_least;            /* share of good requests; 0: not asked for */
    double max_lag_ms, max_busy;        /* of the client; 0: load.h's */
    struct prices price;
    const char *save, *plot;
};

/* ---- bench_serve_feed.c ------------------------------------------------------------------
 *
 * A thread of its own makes the bodies, at most 64 MiB and 8192 requests ahead. All clients take
 * from that one queue, in its order; each has its share of the places under a cap.
 */
struct feed;

/* Looks through the trace for what must be known before (size of blocks, how many). Ends the
 * program when it cannot be used. model: as the server calls it. */
struct feed *feed_open(const struct serve_options *o, const char *model);
/* What the client of a thread (0 to threads - 1) takes requests from; borrowed until feed_close. */
const struct client_source *feed_source(struct feed *f, int thread);
/* Waits until the queue is full, then lets the load begin; *start_ns is its time zero. */
void feed_start(struct feed *f, int64_t *start_ns);
void feed_stop(struct feed *f);             /* nothing more is handed out */
int64_t feed_ended(struct feed *f);         /* requests so far; any thread */
int64_t feed_total(const struct feed *f);   /* that there will be; -1 unknown */
/* Once all clients are done: waits for the thread. -1: the trace was bad, and where. */
int feed_finish(struct feed *f, struct err *err);
/* Moves what the clients saw to *out. */
void feed_samples(struct feed *f, struct load *out);
/* What was said of the first request with this bad end (enum client_end); "": there was none. Once
 * all clients are done. */
const char *feed_detail(const struct feed *f, int end);
int feed_block_tokens(const struct feed *f);        /* 0: the prompts have no blocks */
/* Blocks of a request, for --save; NULL: none were kept. */
const uint64_t *feed_blocks(const struct feed *f, int64_t number, int64_t *n);
void feed_close(struct feed *f);

/* ---- bench_serve_probe.c ----------------------------------------------------------------- */

/* Asks for GET models until it is answered or o->wait_ns is over; dies when no server answers, or
 * when it names no model and none was given. The caller frees the name. */
char *serve_probe(const struct serve_options *o);

/* ---- bench_serve_report.c ---------------------------------------------------------------- */

struct serve_run {              /* what is known after a load */
    const struct serve_options *opt;
    const char *model;
    struct load load;
    const struct load_figures *figures;
    int64_t start_ns;
    char time[40];              /* the start by the calendar */
    double client_cpu;          /* share of a core that the busiest client's thread had */
    double client_wait;         /* and share of the time it waited for one; NAN: not known */
    double joules;              /* NAN: no counter */
    const struct feed *feed;
    struct zio *records;        /* --save; NULL: not asked for */
};

void serve_report(const struct serve_run *run, int argc, char **argv);
/* --save: opens the file, before the load; writes and closes it, after. Nothing where it was not
 * asked for. */
void serve_open_records(struct serve_run *run);
void serve_save(const struct serve_run *run);
void serve_plot(const struct serve_run *run);       /* --plot */

#endif
