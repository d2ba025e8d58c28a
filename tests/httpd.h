/* httpd.h - an HTTP server on 127.0.0.1 that serves one file and misbehaves on demand
 *
 * For tests of downloads. What it does is said by the URL's first component, a list of words for
 * the first request of that URL, ';', words for the second, and so on (the last list stays):
 *
 *     /cut=1000;ok/model.gguf     breaks off after 1000 bytes of the body; then is good
 *
 *     ok           whole file, Range and If-Range honoured, ETag "v1", a Last-Modified date
 *     cut=N        closes after N bytes of the body      stall=N     waits for ever after N
 *     slow=N       1000 bytes every N milliseconds       flip        first byte changed
 *     etag=X       ETag "X"    weak  ETag W/"v1"         noetag, nodate
 *     norange      Range is ignored                      noif        If-Range is ignored
 *     wrongrange   Content-Range begins a byte early     partial     206 to any request
 *     unsatisfied  416 to a Range                        status=N    that status, short body
 *     length=N     Content-Length is N                   nolength    no length, close ends
 *     chunked      chunked encoding                      redirect=N  302, N times, then the file
 *     goto=S       302 to scheme S (file:///etc/passwd)
 *     nocond       If-None-Match and If-Modified-Since are ignored, else 304 where they hold
 *
 * Each request is a line of the log: method, path, Range, If-Range, User-Agent, If-None-Match,
 * If-Modified-Since ("-": absent), separated by tabs. One process per connection; the server ends
 * with its parent, or after the given number of seconds.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define HTTPD_URLS 256

/* The end of every head. A server that closes without saying so is taken for one that keeps the
 * connection, and the client's next request meets its end, or does not: a race. */
#define HTTPD_CLOSE "Connection: close\r\n\r\n"

struct httpd {
    const char *data;           /* the file */
    size_t len;
    FILE *log;
    int seconds;                /* to live */
    struct {
        char path[512];
        int count;
    } url[HTTPD_URLS];          /* requests so far */
};

struct httpd_request {
    int fd;
    char method[8], path[512], range[64], if_range[128], agent[128];
    char none_match[128], since[128];
    char words[256];            /* what to do with this request */
    int nth;                    /* of this URL, from 0 */
};

/* A listening socket on 127.0.0.1; *port is the one the system chose. */
static inline int httpd_listen(int *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&a, &len)) {
        perror("httpd");
        exit(EXIT_FAILURE);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

/* Is `name` among the words? *value (if asked for) is what follows "name=". */
static inline int httpd_word(const struct httpd_request *r, const char *name, const char **value) {
    size_t n = strlen(name);
    for (const char *p = r->words; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, name, n) || (p[n] && p[n] != ',' && p[n] != '='))
            continue;
        if (value)
            *value = p[n] == '=' ? p + n + 1 : "";
        return 1;
    }
    return 0;
}

static inline long long httpd_number(const struct httpd_request *r, const char *name,
                                     long long def) {
    const char *value;
    return httpd_word(r, name, &value) ? strtoll(value, NULL, 10) : def;
}

static inline void httpd_send(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            _exit(0);           /* the client has gone */
        data += n;
        len -= (size_t)n;
    }
}

static inline void httpd_body(const struct httpd_request *r, const char *data, size_t len) {
    size_t cut = (size_t)httpd_number(r, "cut", INT64_MAX);
    size_t stall = (size_t)httpd_number(r, "stall", INT64_MAX);
    long long slow = httpd_number(r, "slow", 0);
    int chunked = httpd_word(r, "chunked", NULL);
    for (size_t at = 0; at < len && at < cut;) {
        size_t n = len - at < 1000 ? len - at : 1000;
        if (n > cut - at)
            n = cut - at;
        if (at >= stall)
            for (;;)
                pause();
        char size[16];
        if (chunked)
            httpd_send(r->fd, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n));
        httpd_send(r->fd, data + at, n);
        if (chunked)
            httpd_send(r->fd, "\r\n", 2);
        at += n;
        usleep((useconds_t)slow * 1000);
    }
    if (chunked && len <= cut)
        httpd_send(r->fd, "0\r\n\r\n", 5);
}

/* Answers without the file: status, redirects. 1 when it did. */
static inline int httpd_refuse(const struct httpd_request *r) {
    const char *to;
    char text[1024];
    int n = 0;
    long long status = httpd_number(r, "status", 0);
    if (httpd_word(r, "goto", &to))
        n = snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %.*s:///etc/passwd\r\n"
                     "Content-Length: 0\r\n" HTTPD_CLOSE, (int)strcspn(to, ",;/"), to);
    else if (r->nth < httpd_number(r, "redirect", 0))
        n = snprintf(text, sizeof text, "HTTP/1.1 302 Found\r\nLocation: %s\r\nETag: \"other\"\r\n"
                     "Content-Length: 5\r\n" HTTPD_CLOSE "moved", r->path);
    else if (status)
        n = snprintf(text, sizeof text, "HTTP/1.1 %lld %s\r\nContent-Length: 5\r\n" HTTPD_CLOSE
                     "sorry", status, status == 404 ? "Not Found" : "Trouble");
    else if (*r->range && httpd_word(r, "unsatisfied", NULL))
        n = snprintf(text, sizeof text, "HTTP/1.1 416 Range Not Satisfiable\r\n"
                     "Content-Length: 0\r\n" HTTPD_CLOSE);
    if (n)
        httpd_send(r->fd, text, (size_t)n);
    return n != 0;
}

static inline void httpd_answer(const struct httpd *h, const struct httpd_request *r) {
    static const char date[] = "Tue, 01 Jul 2025 10:00:00 GMT";
    const char *name = "v1";
    struct buf head = {0};
    char tag[64];
    size_t from = 0;
    if (httpd_refuse(r))
        return;
    httpd_word(r, "etag", &name);
    snprintf(tag, sizeof tag, "%s\"%.*s\"", httpd_word(r, "weak", NULL) ? "W/" : "",
             (int)strcspn(name, ",;"), name);
    if (!httpd_word(r, "nocond", NULL) && (*r->none_match ? !strcmp(r->none_match, tag)
                                                          : !strcmp(r->since, date))) {
        static const char same[] = "HTTP/1.1 304 Not Modified\r\n" HTTPD_CLOSE;
        httpd_send(r->fd, same, sizeof same - 1);
        return;
    }
    int same = !*r->if_range || httpd_word(r, "noif", NULL) || !strcmp(r->if_range, tag) ||
               !strcmp(r->if_range, date);
    int partial = httpd_word(r, "partial", NULL);
    if (*r->range && same && !httpd_word(r, "norange", NULL)) {
        from = (size_t)strtoull(r->range + strlen("bytes="), NULL, 10);
        partial = 1;
        if (from > h->len)
            from = h->len;
    }
    buf_printf(&head, "HTTP/1.1 %s\r\n", partial ? "206 Partial Content" : "200 OK");
    if (partial)
        buf_printf(&head, "Content-Range: bytes %zu-%zu/%zu\r\n",
                   from - (httpd_word(r, "wrongrange", NULL) && from), h->len - 1, h->len);
    if (!httpd_word(r, "noetag", NULL))
        buf_printf(&head, "ETag: %s\r\n", tag);
    if (!httpd_word(r, "nodate", NULL))
        buf_printf(&head, "Last-Modified: %s\r\n", date);
    if (httpd_word(r, "chunked", NULL))
        buf_adds(&head, "Transfer-Encoding: chunked\r\n");
    else if (!httpd_word(r, "nolength", NULL))
        buf_printf(&head, "Content-Length: %lld\r\n",
                   httpd_number(r, "length", (long long)(h->len - from)));
    buf_adds(&head, HTTPD_CLOSE);
    httpd_send(r->fd, head.data, head.len);
    buf_free(&head);
    char *copy = mem_strndup(h->data + from, h->len - from);
    if (httpd_word(r, "flip", NULL) && from < h->len)
        copy[0] = (char)(copy[0] ^ 1);
    httpd_body(r, copy, h->len - from);
    free(copy);
}

/* The value of a header in the request's text, cut to fit; "" when absent. */
static inline void httpd_header(const char *text, const char *name, char *out, size_t size) {
    size_t n = strlen(name);
    *out = '\0';
    for (const char *p = strstr(text, "\r\n"); p; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, n) || p[n] != ':')
            continue;
        p += n + 1 + strspn(p + n + 1, " ");
        size_t len = strcspn(p, "\r");
        if (len > size - 1)
            len = size - 1;
        memcpy(out, p, len);
        out[len] = '\0';
    }
}

/* Reads a request's head; 0 when the client says nothing sensible. */
static inline int httpd_read(int fd, struct httpd_request *r) {
    static char text[8192];
    size_t len = 0;
    const struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    *r = (struct httpd_request){.fd = fd};
    for (text[0] = '\0'; !strstr(text, "\r\n\r\n"); text[len] = '\0') {
        ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
        if (n <= 0)
            return 0;
        len += (size_t)n;
    }
    if (sscanf(text, "%7s %511s", r->method, r->path) != 2)
        return 0;
    httpd_header(text, "Range", r->range, sizeof r->range);
    httpd_header(text, "If-Range", r->if_range, sizeof r->if_range);
    httpd_header(text, "User-Agent", r->agent, sizeof r->agent);
    httpd_header(text, "If-None-Match", r->none_match, sizeof r->none_match);
    httpd_header(text, "If-Modified-Since", r->since, sizeof r->since);
    return 1;
}

/* Counts the request and picks its list of words from the path. */
static inline void httpd_pick(struct httpd *h, struct httpd_request *r) {
    int i = 0;
    while (i < HTTPD_URLS - 1 && *h->url[i].path && strcmp(h->url[i].path, r->path))
        i++;
    memcpy(h->url[i].path, r->path, sizeof r->path);
    r->nth = h->url[i].count++;
    const char *list = r->path + 1;
    for (int k = 0; k < r->nth; k++) {
        const char *next = list + strcspn(list, ";/");
        if (*next != ';')
            break;
        list = next + 1;
    }
    snprintf(r->words, sizeof r->words, "%.*s", (int)strcspn(list, ";/"), list);
}

/* Serves until its parent or its time ends; never returns. */
static inline _Noreturn void httpd_serve(struct httpd *h, int listener) {
    signal(SIGCHLD, SIG_IGN);
    alarm((unsigned)h->seconds);
    for (;;) {
        struct httpd_request r;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || !httpd_read(fd, &r)) {
            close(fd);
            continue;
        }
        httpd_pick(h, &r);
        if (h->log) {
            fprintf(h->log, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.method, r.path,
                    *r.range ? r.range : "-", *r.if_range ? r.if_range : "-",
                    *r.agent ? r.agent : "-", *r.none_match ? r.none_match : "-",
                    *r.since ? r.since : "-");
            fflush(h->log);
        }
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            httpd_answer(h, &r);
            shutdown(fd, SHUT_RDWR);
            _exit(0);
        }
        close(fd);
    }
}

#endif
