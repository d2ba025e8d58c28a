/* null_impl.h - what the files of the null server share, see nullserver.h
 *
 *   nullserver.c     the loop: sockets, events, bytes in and out, stalls
 *   null_http.c      a request's head and body out of the bytes; heads of replies
 *   null_api.c       what a request asks for: paths, JSON, words of the prompt, known prefixes
 *   null_stream.c    when tokens are due and what they look like; slots; faults of streams
 *   null_fault.c     faults: their names, who gets which
 *
 * A connection serves one request at a time (HTTP/1.1), so the stream is part of it. It belongs to
 * the server from accept to null_conn_close, which only marks it: the loop frees it when no event
 * of the same batch can point to it any more.
 */
#ifndef NULL_IMPL_H
#define NULL_IMPL_H

#include <sys/queue.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/bench/nullserver.h"

struct null_faults {
    uint32_t set;                       /* bit per enum nullserver_fault_kind */
    int64_t arg[NULLSERVER_FAULTS];     /* -1: not said */
};

/* ---- HTTP --------------------------------------------------------------------------------- */

struct null_http {
    char method[8];
    char path[256];                     /* without the query */
    int minor;                          /* HTTP/1.minor */
    int keep_alive;
    int expects;                        /* 100-continue, not yet said */
    int chunked;                        /* the body is */
    size_t head;                        /* bytes of the head; 0: not whole yet */
    size_t length;                      /* of the body: announced, or decoded so far */
    size_t chunk_at;                    /* next byte to decode of a chunked body */
    size_t end;                         /* of the request in the buffer */
};

/* Reads the request that begins at data[0], as far as it has come. A chunked body is decoded in
 * place: it stands at data + head, length bytes, in either case. 1: whole; 0: more must come;
 * else the status to refuse it with, after which the connection cannot go on. */
int null_http_read(struct null_http *h, char *data, size_t len);

/* ---- what is asked for -------------------------------------------------------------------- */

struct null_ask {
    int chat, stream, include_usage, every_usage, ignore_eos;
    int64_t max_tokens, min_tokens, n;  /* -1: not said */
    int64_t prompt_tokens, cached_tokens;
    int has_prompt;
    struct buf model;                   /* as a JSON string, with its quotes */
    struct null_faults faults;
    int own_faults;                     /* the model names them */
};

/* ---- connections -------------------------------------------------------------------------- */

enum null_state {
    NULL_IDLE,                  /* a request is awaited or half there */
    NULL_QUEUED,                /* waits for a slot */
    NULL_HEAD,                  /* the head leaves byte by byte */
    NULL_STREAM,                /* tokens fall due */
    NULL_MUTE,                  /* never answers */
    NULL_LAST,                  /* closes once all is sent */
    NULL_DRAIN,                 /* has closed its side; waits until the client does, or for due */
    NULL_DEAD
};

struct null_stream {
    int64_t tokens, made;       /* of the reply; so far */
    int64_t fault_at;           /* made tokens at which faults happen; -1: none does */
    int granted;                /* the gate has let the next piece through, at due */
    int paused, fouled;         /* the stall and the broken event are behind it */
    int64_t number;             /* of the request */
    const char *finish;
};

struct null_conn {
    int fd;
    enum null_state state;
    int eof;                    /* the client sends no more */
    int more;                   /* the socket may hold bytes that were not read */
    int blocked;                /* the socket takes no more for now */
    int keep_alive, framed;     /* of the reply under way; framed: chunked */
    int dirty;                  /* stands in the list of those to flush */
    int slot;                   /* holds one */
    int64_t due;                /* on the server's clock */
    size_t heap_at;             /* 0: not in the heap */
    struct buf in, out;
    size_t in_at, out_at;       /* read, sent so far */
    size_t drip_end;            /* NULL_HEAD: bytes of out that make the head */
    struct null_http http;
    struct null_ask ask;
    struct buf event;           /* what each event of this reply begins with */
    struct null_stream stream;
    TAILQ_ENTRY(null_conn) all, queue, flush;
};
TAILQ_HEAD(null_conns, null_conn);

/* Prefixes seen: a set of hashes, open addressing; 0 is no hash. */
struct null_prefixes {
    uint64_t *slot;
    size_t size, used;          /* size: a power of two, or 0 */
};

struct nullserver {
    struct nullserver_options opt;
    struct nullserver_fault *fault;     /* own copy */
    struct nullserver_counts counts;
    struct rng rng;
    char *host, *url;
    int port;
    int listener, epoll, stop_fd;
    int deaf;                   /* no descriptor left: the listener is not watched */
    int coarse;                 /* the kernel has no epoll_pwait2 */
    int64_t first_ns;           /* clock_ns of the first request; 0: none yet */
    int64_t next_stall_ns;      /* clock_ns; INT64_MAX: none */
    int64_t frozen_ns;          /* time spent in stalls */
    int64_t now;                /* of the server's clock, as of this pass or request */
    double gate_ns;             /* rate: when the gate is free again */
    int running;                /* slots taken */
    struct null_conn **heap;    /* [1..heap_len] by due time */
    size_t heap_len, heap_cap;
    struct null_conns all, queue, flush, dead;
    struct null_prefixes prefixes;
    struct buf scratch;         /* the event being made */
};

void null_conn_close(struct nullserver *s, struct null_conn *c);
/* Bytes were added to out: they leave at the end of the pass. */
void null_conn_flush_later(struct nullserver *s, struct null_conn *c);
/* The reply is complete: the next request, or the end of the connection. */
void null_conn_finish(struct nullserver *s, struct null_conn *c);
/* The connection ends with RST. */
void null_conn_reset(struct nullserver *s, struct null_conn *c);

/* Appends a head with length bytes of body to come (-1: framed, or until the end). */
void null_http_head(struct null_conn *c, int status, const char *type, const char *more,
                    int64_t length);
/* Appends a whole reply. */
void null_http_reply(struct null_conn *c, int status, const char *more, const struct buf *body);
/* A whole reply with an error object. */
void null_http_error(struct null_conn *c, int status, const char *more, const char *message);

/* A request has come: answers it or makes a stream of it. */
void null_api_serve(struct nullserver *s, struct null_conn *c);
void null_prefixes_free(struct null_prefixes *p);

/* Queues a request whose ask is filled, or starts it. */
void null_stream_enter(struct nullserver *s, struct null_conn *c);
/* The stream is over or its client is gone: the slot goes to the next. */
void null_stream_leave(struct nullserver *s, struct null_conn *c);
/* Something of this connection is due at c->due <= s->now. */
void null_stream_turn(struct nullserver *s, struct null_conn *c);
/* The socket takes bytes again. */
void null_stream_unblock(struct nullserver *s, struct null_conn *c);

void null_heap_put(struct nullserver *s, struct null_conn *c);      /* or moves it to its due */
void null_heap_take(struct nullserver *s, struct null_conn *c);     /* nothing when not in */

/* Reads "FAULT[,FAULT]..." behind "null:"; -1: it is none. */
int null_faults_parse(const char *text, size_t len, struct null_faults *out);
/* Those that the n-th request gets, from 0. */
void null_faults_deal(const struct nullserver *s, int64_t n, struct null_faults *out);
static inline int null_faults_have(const struct null_faults *f, int kind) {
    return f->set >> kind & 1;
}
extern const uint32_t null_faults_of_streams;   /* those that mean nothing without events */

#endif
