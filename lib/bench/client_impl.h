/* client_impl.h - what the files of the client share; not for others
 *
 *   client.c           the loop: source, sockets, time
 *   client_request.c   one request: what libcurl brings, when, and how it ends
 *   client_url.c       where to: the URL taken apart, the host looked up
 *   client_chunk.c     what an event says
 *   sse.c              events out of bytes
 */
#ifndef CLIENT_IMPL_H
#define CLIENT_IMPL_H

#include <curl/curl.h>

#include "lib/bench/client.h"
#include "lib/bench/sse.h"

#define NEVER INT64_MAX

/* What the body turns out to be, by its status and first byte. */
enum body { BODY_UNSEEN, BODY_EVENTS, BODY_WHOLE };

struct request {
    struct client *client;
    CURL *easy;
    size_t at;                  /* in client->active */
    struct client_call call;
    struct client_result result;
    char *path;                 /* that easy's URL was made for */
    int get;                    /* easy is set up for a GET */

    int body;                   /* enum body */
    int64_t read_ns;            /* when its last bytes were read */
    struct sse sse;
    struct buf whole;           /* BODY_WHOLE: the body, or its beginning */
    struct client_piece *piece; /* [piece_cap] */
    int64_t piece_cap;
    char finish[32];
    int closed;                 /* [DONE] has come: nothing more is wanted */
    int end;                    /* decided before libcurl is done; -1: not yet */
    char retry_after[32];
    char trouble[CURL_ERROR_SIZE];

    int64_t deadline_ns;        /* of its present phase, ... */
    int late;                   /* ... and which timeout that is */
    int64_t total_ns;           /* NEVER: none */
};

struct client {
    struct client_options opt;  /* times filled in; its strings are NULL */
    char *url;                  /* without a slash at the end */
    char *key;
    int https;
    int own_host;               /* the loopback */
    char *unknown_host;         /* why the host was not found, or NULL */
    struct curl_slist *hosts;   /* for CURLOPT_RESOLVE */
    struct curl_slist *head;

    CURLM *multi;
    int epoll, wake;            /* wake: an eventfd, written by client_stop */
    int stop;                   /* atomic */
    int no_files;               /* errno of a socket for which there was no descriptor left */
    struct request **active;    /* [actives] of [active_cap] */
    size_t actives, active_cap;
    struct request **idle;      /* [idles], room for all there are */
    size_t idles, requests;
    const struct client_source *source;

    int64_t read_ns;            /* when the bytes being handled were read; 0: not known yet */
    int64_t curl_ns;            /* when libcurl wants to be called; NEVER */
    int64_t deadline_ns;        /* no request is late before */
    int ended;                  /* results since the source was asked last */
    struct client_stats stats;
};

/* ---- client_request.c ------------------------------------------------------------------- */

struct request *request_new(struct client *c);
void request_free(struct request *r);
/* Makes r ready to be added to the multi handle. */
void request_prepare(struct request *r, const struct client_call *call, int64_t now_ns);
/* Decides how it ended and fills in the result. code: of libcurl, when r->end is not decided. */
void request_conclude(struct request *r, CURLcode code);
/* The next moment at which it is late; *which timeout that is. */
int64_t request_deadline(const struct request *r, int *which);

/* ---- client_url.c ----------------------------------------------------------------------- */

/* Fills in url, https, own_host, hosts and unknown_host. */
int client_url_set(struct client *c, const char *url, struct err *err);

#endif
