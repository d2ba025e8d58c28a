/* nullserver.h - an OpenAI-compatible server without a model: answers at a given pace, faults on
 * demand
 *
 *     struct nullserver_options opt = nullserver_defaults();
 *     struct nullserver *s = nullserver_new(&opt, &err);      // listens from here on
 *     printf("http://127.0.0.1:%d/v1\n", nullserver_port(s));
 *     nullserver_run(s, &err);                 // until nullserver_stop or opt.requests
 *     use(nullserver_counts(s));
 *     nullserver_free(s);
 *
 * What answers: POST /v1/chat/completions and /v1/completions (streamed or in one piece),
 * GET /v1/models and /health; HTTP/1.1 with keep-alive, pipelining and chunked bodies both ways,
 * HTTP/1.0 without. Of a request it honours model, messages or prompt, stream, stream_options
 * (include_usage, continuous_usage_stats), max_tokens, max_completion_tokens, min_tokens and
 * ignore_eos; the rest is read and ignored. A reply of n tokens is n words, always the same ones
 * in the same order, so that its length can be told from its text; usage is exact.
 *
 * Time: a request first waits for a slot, then ttft (and what its input costs), then tpot before
 * each further token. Due times are counted from due times, never from when a token really left,
 * so a pace does not drift. With a rate, tokens of all streams pass one gate in the order in which
 * they are due, each taking 1 / rate. A stall stops this clock: nothing is accepted, read or sent,
 * and what was due is late by the length of the stall, as in an engine that stood still.
 *
 * One thread (that of nullserver_run), epoll, a heap of due times; nothing is allocated for a token
 * once a connection has seen a reply; what is due at once leaves in one write for each connection.
 *
 * Faults: kinds below. A fault without a share meets every request; those with shares are dealt
 * out evenly (a sequence of constant step from the seed, so that of n requests within two of
 * n * share have it), at most one to a request. A request whose model is "null:FAULT[,FAULT]..."
 * has those instead. Faults of a stream's form leave a reply in one piece as it is and are then
 * not counted.
 */
#ifndef NULLSERVER_H
#define NULLSERVER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define NULLSERVER_MOST_TOKENS (1 << 20)    /* of a reply; more is refused with status 400 */

/* What may go wrong. N: after how many tokens, half of the reply when not said. */
enum nullserver_fault_kind {
    NULLSERVER_RESET,           /* reset[=N]: the connection is reset after N tokens */
    NULLSERVER_CLOSE,           /* close[=N]: closed after N tokens, the body unfinished */
    NULLSERVER_TRUNCATE,        /* truncate[=N]: the body ends in good order after N tokens, without
                                 * a reason or [DONE] */
    NULLSERVER_NEVER,           /* never: read, never answered */
    NULLSERVER_429,             /* 429[=T]: status 429 with Retry-After (1 s when not said) */
    NULLSERVER_500,
    NULLSERVER_503,
    NULLSERVER_SLOW_HEADERS,    /* slow-headers[=T]: the head comes byte by byte over T (2 s) */
    NULLSERVER_STALL,           /* stall[=T]: the stream pauses for T (1 s) in its middle */
    NULLSERVER_ERROR_EVENT,     /* error-event[=N]: an error object ends the stream */
    NULLSERVER_GARBAGE,         /* garbage[=N]: an event of broken JSON after N tokens; goes on */
    NULLSERVER_EMPTY_FIRST,     /* empty-first: before ttft, an event with a role and no text */
    NULLSERVER_MULTI,           /* multi[=N]: N tokens in an event (4 when not said) */
    NULLSERVER_SPLIT,           /* split: events are cut between writes at odd places */
    NULLSERVER_CRLF,            /* crlf: lines end in CR LF, comments stand between events */
    NULLSERVER_NO_DONE,         /* no-done: [DONE] is missing */
    NULLSERVER_NO_USAGE,        /* no-usage: usage is missing, though asked for */
    NULLSERVER_FAULTS
};
const char *nullserver_fault_name(int kind);

struct nullserver_fault {
    int kind;                   /* enum nullserver_fault_kind */
    int64_t arg;                /* tokens or nanoseconds; -1: not said */
    double share;               /* of the requests, above 0 to 1 */
};
/* Reads "KIND[=ARG][:SHARE]", a share as 0.1 or 10%. */
int nullserver_fault_parse(const char *text, struct nullserver_fault *out, struct err *err);

enum nullserver_usage { NULLSERVER_USAGE_LAST, NULLSERVER_USAGE_EVERY, NULLSERVER_USAGE_NONE };

struct nullserver_options {
    const char *host;           /* address or name to listen on */
    int port;                   /* 0: the system chooses */
    double rate;                /* tokens a second of all streams; 0: no limit */
    int64_t tpot_ns;            /* between two tokens of a stream; 0: as fast as they can be sent */
    int64_t ttft_ns;            /* from the slot to the first token */
    int64_t ttft_token_ns;      /* and for each token of the input that no cache holds */
    double jitter;              /* in [0, 1]: each of these times is spread evenly by this share */
    uint64_t seed;              /* of jitter and faults */
    int64_t tokens;             /* of a reply that would end by itself */
    int chunk;                  /* tokens of an event */
    int usage;                  /* enum nullserver_usage: where asked for, in every event, never */
    int64_t prompt_tokens;      /* of every request; -1: its words are counted */
    int cache;                  /* prefixes seen before count as cached_tokens, by blocks of 16 */
    int slots;                  /* requests served at once, others wait in order; 0: no limit */
    int64_t requests;           /* it takes so many (then 503) and ends with them; 0: never */
    int64_t stall_at_ns;        /* the first stall, counted from the first request's arrival */
    int64_t stall_for_ns;       /* how long; 0: no stalls */
    int64_t stall_every_ns;     /* from a stall's begin to the next one's; 0: only one */
    const struct nullserver_fault *fault;   /* [faults], copied; shares below 1 sum to at most 1 */
    size_t faults;
};
/* 127.0.0.1, any port, no limit, no wait, 128 tokens, one in an event, seed 1. */
struct nullserver_options nullserver_defaults(void);

struct nullserver_counts {
    int64_t connections;
    int64_t requests;           /* completions asked for, well formed */
    int64_t replies;            /* of these, those that ended, well or by a fault */
    int64_t cancelled;          /* of these, those whose client went away first */
    int64_t refused;            /* bad requests: status 400 and up without a fault */
    int64_t tokens;             /* handed to the kernel or to its queue */
    int64_t fault[NULLSERVER_FAULTS];       /* requests that have met each */
    int64_t stalls;
    int64_t cpu_ns, wall_ns;    /* of nullserver_run's thread, and inside it */
    int64_t late;               /* events that left over a millisecond behind their due time */
    int64_t latest_ns;          /* the worst of them */
};

struct nullserver;

/* Listens. NULL: err says what is wrong with the address or the options. */
struct nullserver *nullserver_new(const struct nullserver_options *opt, struct err *err);
int nullserver_port(const struct nullserver *s);
/* The API's address, "http://127.0.0.1:8081/v1"; borrowed. */
const char *nullserver_url(const struct nullserver *s);
/* -1: the system refused something that it cannot go on without. */
int nullserver_run(struct nullserver *s, struct err *err);
/* From a signal handler or another thread: nullserver_run returns soon, streams are cut off. */
void nullserver_stop(struct nullserver *s);
/* Whole once nullserver_run has returned. */
const struct nullserver_counts *nullserver_counts(const struct nullserver *s);
void nullserver_free(struct nullserver *s);         /* NULL is fine */

#endif
