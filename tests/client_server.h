/* client_server.h - a server that sends exact bytes and faults, for tests of lib/bench's client
 *
 *     static const struct scene scenes[] = {{"plain", CHUNKED, NULL, EVENT("a") MARK DONE}, ...};
 *     struct server s = server_start(scenes, n);      // 127.0.0.1, a port of the system's choice
 *     ... requests to http://127.0.0.1:PORT/NAME ...
 *     server_stop(&s);
 *
 * The path's last component names the scene. Its script is sent as it is, but for marks: CUT ends
 * a write (the next one comes a moment later, and with CHUNKED in a chunk of its own), RESET,
 * CLOSE and HANG do what they say. One process per connection, which serves one request after
 * another where the scene lets the connection live. All of them end with the test.
 */
#ifndef CLIENT_SERVER_H
#define CLIENT_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define CUT "\001"
#define RESET "\002"
#define CLOSE "\003"
#define HANG "\004"
#define MARKS CUT RESET CLOSE HANG

enum framing {
    CHUNKED,            /* the connection lives on, unless the script ends it */
    LENGTH,             /* Content-Length, the same */
    UNTIL_CLOSE,        /* neither: the end is the connection's */
    RAW,                /* the script is all that is sent, head included */
};

struct scene {
    const char *name;
    int framing;
    const char *head;   /* status line's end and further lines; NULL: "200 OK" of a stream */
    const char *script;
};

struct server {
    const struct scene *scene;
    size_t scenes;
    int listener, port;
    pid_t pid;
    char want_head[512];        /* scene "checked": lines that the request's head must have */
};

/* ---- sending ---------------------------------------------------------------------------- */

static inline void server_send(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            _exit(0);           /* the client has gone */
        data += n;
        len -= (size_t)n;
    }
}

static inline void server_end(int fd, char mark) {
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    char c[4096];
    if (mark == *RESET)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    if (mark == *CLOSE)
        shutdown(fd, SHUT_WR);
    if (mark != *RESET)
        while (recv(fd, c, sizeof c, 0) > 0)    /* until the client closes */
            ;
    close(fd);
    _exit(0);
}

static inline void server_play(int fd, const struct scene *s) {
    struct buf head = {0};
    const char *status = s->head ? s->head : "200 OK\r\nContent-Type: text/event-stream";
    if (s->framing != RAW)
        buf_printf(&head, "HTTP/1.1 %s\r\n", status);
    if (s->framing == LENGTH)
        buf_printf(&head, "Content-Length: %zu\r\n\r\n", strcspn(s->script, MARKS));
    else if (s->framing == CHUNKED)
        buf_adds(&head, "Transfer-Encoding: chunked\r\n\r\n");
    else if (s->framing == UNTIL_CLOSE)
        buf_adds(&head, "Connection: close\r\n\r\n");
    if (head.len)
        server_send(fd, head.data, head.len);
    buf_free(&head);
    for (const char *p = s->script; *p;) {
        size_t n = strcspn(p, MARKS);
        char size[24];
        if (s->framing == CHUNKED && n)
            server_send(fd, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", n));
        server_send(fd, p, n);
        if (s->framing == CHUNKED && n)
            server_send(fd, "\r\n", 2);
        p += n;
        if (*p && *p != *CUT)
            server_end(fd, *p);
        if (*p == *CUT)
            usleep(1000);       /* so that it comes alone, mostly */
        p += *p == *CUT;
    }
    if (s->framing == CHUNKED)
        server_send(fd, "0\r\n\r\n", 5);
    if (s->framing == UNTIL_CLOSE || s->framing == RAW)
        server_end(fd, *CLOSE);
}

/* ---- receiving -------------------------------------------------------------------------- */

/* One request, head and body, into b. 0: the client closed, or speaks something else. */
static inline int server_read(int fd, struct buf *b) {
    const char *end = NULL;
    size_t need = 0;
    b->len = 0;
    while (!end || b->len < need) {
        buf_reserve(b, 65536);
        ssize_t n = recv(fd, b->data + b->len, 65536, 0);
        if (n <= 0)
            return 0;
        b->len += (size_t)n;
        b->data[b->len] = '\0';
        if (b->data[0] == 0x16)         /* a TLS handshake: not spoken here */
            return 0;
        if (!end && (end = strstr(b->data, "\r\n\r\n"))) {
            const char *length = strcasestr(b->data, "\r\nContent-Length:");
            need = (size_t)(end + 4 - b->data);
            if (length && length < end)
                need += strtoul(length + 17, NULL, 10);
        }
    }
    return 1;
}

/* Does the request's head have these lines, each ended by '\n', and none that begins as one behind
 * a '!' does? */
static inline int server_check(const struct server *s, const struct buf *request) {
    for (const char *p = s->want_head; *p; p += strcspn(p, "\n") + 1) {
        char line[256];
        int not = *p == '!';
        snprintf(line, sizeof line, not ? "\r\n%.*s" : "\r\n%.*s\r\n",
                 (int)strcspn(p, "\n") - not, p + not);
        if (not == (strcasestr(request->data, line) != NULL))
            return 0;
    }
    return 1;
}

static inline void server_answer(const struct server *s, int fd) {
    struct buf request = {0};
    const int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (server_read(fd, &request)) {
        char name[64] = "";
        const struct scene *play = NULL;
        sscanf(request.data, "%*s /v1/%63[^ ?/]", name);
        for (size_t i = 0; i < s->scenes; i++)
            if (!strcmp(s->scene[i].name, name))
                play = &s->scene[i];
        static const struct scene missing = {"", LENGTH, "404 Not Found", "no such scene"};
        static const struct scene wrong = {"", LENGTH, "400 Bad Request", "not as expected"};
        if (play && !strncmp(name, "checked", 7) && !server_check(s, &request))
            play = &wrong;
        server_play(fd, play ? play : &missing);
    }
    buf_free(&request);
}

/* ---- starting and ending ---------------------------------------------------------------- */

static inline int server_listen(int backlog, int *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, backlog) ||
        getsockname(fd, (struct sockaddr *)&a, &len)) {
        perror("server");
        exit(EXIT_FAILURE);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

static inline void server_accept(const struct server *s, void (*answer)(const struct server *,
                                                                        int)) {
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd >= 0 && fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(s->listener);
            answer(s, fd);
            _exit(0);
        }
        close(fd);
    }
}

static inline void server_start_with(struct server *s, void (*answer)(const struct server *,
                                                                      int)) {
    s->listener = server_listen(1024, &s->port);
    fflush(stdout);
    s->pid = fork();
    if (s->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        server_accept(s, answer);
    }
    close(s->listener);
}

static inline void server_start(struct server *s) {
    server_start_with(s, server_answer);
}

static inline void server_stop(struct server *s) {
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

#endif
