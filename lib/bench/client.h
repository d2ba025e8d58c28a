/* client.h - many streamed requests to an OpenAI-compatible server from one thread (libcurl)
 *
 *     struct client *c = client_new(&(struct client_options){.url = "http://host/v1"}, &err);
 *     client_run(c, &source, &err);        // until the source has no more and all have ended
 *     client_free(c);
 *
 * The source says what is to be sent and when; the client sends it then, reads the server-sent
 * events (WHATWG HTML, "Server-sent events"; data lines of JSON up to [DONE]), notes when each
 * piece came, and hands the result back. Nothing is made, parsed or tokenised in the loop that
 * could be made before or after it; one call of the source for each request, one for each result.
 *
 * A client belongs to one thread. Several clients share nothing.
 *
 * Connections are kept and used again, with no limit but the number of open files, which
 * client_new raises as far as the system allows. Each carries one request at a time, with HTTP/2
 * too: requests under way at once do not share one. (HTTP/2 without TLS makes a new connection for
 * every request where libcurl is 7.88, which cannot use one twice.) A kept connection that proves
 * to be closed is replaced by a new one, and the request is sent once more (its sent_ns stays).
 * Redirects are not followed. Proxies of the environment (http_proxy and others) are used as curl
 * does, but never for the loopback. The host's name is looked up once, in client_new.
 *
 * The key is in no error text and no detail, even where the server's answer repeats it.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

enum client_http { CLIENT_HTTP_ANY, CLIENT_HTTP_1, CLIENT_HTTP_2 };     /* 2: prior knowledge */

struct client_options {
    const char *url;            /* of the API, "http://127.0.0.1:8080/v1" */
    int http;                   /* enum client_http */
    const char *key;            /* sent as a bearer token, shown nowhere; NULL: none */
    int64_t connect_ns;         /* time to connect; 0: 10 s */
    int64_t first_ns;           /* from sending to the first piece (to the first byte of the body
                                 * where that is not a stream); 0: 300 s */
    int64_t stall_ns;           /* between two pieces; 0: 60 s */
    int64_t total_ns;           /* of a request from begun_ns on; 0: no limit */
    int insecure;               /* certificates are not checked */
};

/* How a request ended. */
enum client_end {
    CLIENT_OK,
    CLIENT_REFUSED,             /* no connection: refused, no route, unknown host, TLS */
    CLIENT_RESET,               /* connection lost before the end of the stream */
    CLIENT_STATUS_429, CLIENT_STATUS_4XX, CLIENT_STATUS_5XX,
    CLIENT_STATUS_OTHER,        /* neither these nor 2xx: a redirect */
    CLIENT_TIMEOUT_CONNECT, CLIENT_TIMEOUT_FIRST, CLIENT_TIMEOUT_STALL, CLIENT_TIMEOUT_TOTAL,
    CLIENT_TRUNCATED,           /* the server closed without [DONE] or a finish_reason, or cut off
                                 * an answer that is not a stream */
    CLIENT_MALFORMED,           /* an event, or HTTP, that is not what the API says */
    CLIENT_ERROR_EVENT,         /* the stream carried an error object */
    CLIENT_EMPTY,               /* ended well without any token */
    CLIENT_CANCELLED,           /* by client_stop */
    CLIENT_ENDS
};
const char *client_end_name(int end);       /* "ok", "refused", "reset", "status_429", ... */

struct client_call {
    const char *path;           /* below the url: "chat/completions" */
    const char *body;           /* [len] JSON; borrowed until the call's done; NULL: a GET */
    size_t len;
    int64_t scheduled_ns;       /* clock_ns at which it should leave */
    int keep_text;              /* the reply's text is wanted */
    int stream;                 /* 0: an answer in one piece, kept as it is in text */
    void *user;
};

struct client_piece {           /* an event that brought text */
    int64_t ns;                 /* clock_ns when its bytes were read */
    int32_t bytes;              /* of text: content, reasoning or arguments of a tool */
    int32_t tokens;             /* output tokens so far, where the event says so; else -1 */
};

/* Times are clock_ns; 0 where that did not happen. The client's own lag is begun_ns - scheduled_ns;
 * sent_ns - scheduled_ns has the making of a new connection in it, too. */
struct client_result {
    int end;                    /* enum client_end */
    int status;                 /* HTTP; 0: none */
    char detail[160];           /* one line about a bad end */
    int64_t scheduled_ns;
    int64_t begun_ns;           /* taken up: a connection is asked for */
    int64_t sent_ns;            /* handed to the connection, which is ready now */
    int64_t first_ns;           /* first piece with text: an empty first chunk does not count */
    int64_t last_ns;            /* last piece with text */
    int64_t done_ns;
    int new_connection;
    int64_t input_tokens, cached_tokens, output_tokens, reasoning_tokens;   /* usage; -1 unknown */
    const struct client_piece *piece;   /* [pieces] */
    int64_t pieces;
    const char *finish;         /* finish_reason, or NULL */
    struct buf text;            /* keep_text: content */
};

struct client_source {
    /* What to send at now_ns: 1 fills *out; 0: nothing before *wake_ns (INT64_MAX: not before a
     * result has come); -1: no more. Called again until it is not 1. */
    int (*next)(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns);
    /* A request has ended; pointers are borrowed for the call. */
    void (*done)(void *arg, const struct client_call *call, const struct client_result *r);
    void *arg;
};

struct client_stats {
    int64_t cpu_ns;             /* of this thread inside client_run */
    int64_t wall_ns;
    int64_t bytes_in, bytes_out;    /* heads and bodies, without TLS and the like */
    int64_t events;             /* server-sent events parsed */
    int64_t connections;        /* opened */
    int most_open;              /* requests under way at once */
};

/* The options are copied. NULL: a bad URL or key, or the system refused. A host that cannot be
 * found is no failure here: each request then ends as CLIENT_REFUSED. */
struct client *client_new(const struct client_options *opt, struct err *err);
/* 0, or -1 when the client itself cannot go on (no descriptor for another connection is left;
 * never for what a server does). */
int client_run(struct client *c, const struct client_source *s, struct err *err);
/* From a signal handler or another thread, also before client_run: the requests under way end as
 * cancelled, and client_run returns. For good: a client that was stopped sends nothing more. */
void client_stop(struct client *c);
/* Sums over all runs; cpu_ns and wall_ns up to the last that has ended. */
const struct client_stats *client_stats(const struct client *c);
void client_free(struct client *c);

#endif
