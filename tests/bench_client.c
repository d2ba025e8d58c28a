/* bench_client.c - what lib/bench's client costs, and how late it is
 *
 *     bench_client [STREAMS [TOKENS [RATE]]]
 *
 * A forked server on 127.0.0.1 answers each of STREAMS (1000) connections with TOKENS (200) chunks
 * of a chat completion, an HTTP chunk and a write each, RATE (50) of them a second on every
 * stream; RATE 0: as fast as it can. One client, one thread, sends STREAMS requests over a second
 * (RATE 0: at once), three times over, and each wave is a line: the processor's time of the
 * client's thread for a token and the tokens a second that one core would carry; pieces per read;
 * quantiles of the schedule lag, begun_ns - scheduled_ns, and of how late pieces are against their
 * pace (with RATE), in microseconds. The first wave makes the connections.
 *
 * Inside the clock: everything from client_run's first instruction to its last. Where server and
 * client share cores with others, the processor's time is what to look at.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/bench/client.h"

#define SECOND ((int64_t)1000000000)
#define BATCH 16                /* tokens a stream gets in its turn when there is no pace */

/* ---- the server ------------------------------------------------------------------------- */

#define EVENT \
    "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\"," \
    "\"created\":1700000000,\"model\":\"some/model-8b\",\"choices\":[{\"index\":0,\"delta\":" \
    "{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
#define HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define TAIL "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

struct stream {
    int fd;
    int64_t left;               /* tokens; -1: no request */
    int64_t due_ns;             /* the next one */
};

struct pace {
    int64_t tokens, gap_ns;
};

static int put(const struct stream *s, const char *data, size_t len) {
    return send(s->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static void answer(struct stream *s, const struct pace *p, int64_t now) {
    char request[4096];
    ssize_t n = recv(s->fd, request, sizeof request, MSG_DONTWAIT);
    if (n <= 0)
        return;
    s->left = p->tokens;
    s->due_ns = now + p->gap_ns;
    put(s, HEAD, strlen(HEAD));
}

/* One token, or with the last one the end. */
static void step(struct stream *s, const struct pace *p, const char *event, size_t len) {
    if (put(s, event, len)) {
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            s->left = -1;
        return;
    }
    s->due_ns += p->gap_ns;
    if (--s->left == 0) {
        put(s, TAIL, strlen(TAIL));
        s->left = -1;
    }
}

/* Every stream whose token is due gets it; the earliest time after that. */
static int64_t step_all(struct stream *s, size_t n, const struct pace *p, const char *event,
                        size_t len) {
    int64_t next = INT64_MAX;
    int64_t now = clock_ns();
    for (size_t i = 0; i < n; i++) {
        for (int k = 0; s[i].left > 0 && s[i].due_ns <= now && k < BATCH; k++)
            step(&s[i], p, event, len);
        if (s[i].left > 0 && s[i].due_ns < next)
            next = s[i].due_ns;
    }
    return next;
}

static _Noreturn void serve(int listener, size_t most, const struct pace *p) {
    struct epoll_event ready[256];
    struct stream *s = mem_array(most, sizeof *s);
    struct buf event = {0};
    size_t n = 0;
    int64_t next = INT64_MAX;
    int epoll = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    const int one = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    buf_printf(&event, "%zx\r\n%s\r\n", strlen(EVENT), EVENT);
    for (;;) {
        int64_t wait = next == INT64_MAX ? SECOND : next - clock_ns();
        const struct timespec t = {.tv_nsec = wait < 0 ? 0 : wait < SECOND ? wait : SECOND - 1};
        int m = epoll_pwait2(epoll, ready, 256, &t, NULL);
        for (int i = 0; i < m; i++) {
            if (ready[i].data.u64 != UINT64_MAX) {
                answer(&s[ready[i].data.u64], p, clock_ns());
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0 || n == most) {
                close(fd);
                continue;
            }
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            s[n] = (struct stream){.fd = fd, .left = -1};
            e.data.u64 = n++;
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
        }
        next = step_all(s, n, p, event.data, event.len);
    }
}

static pid_t start_server(size_t streams, const struct pace *p, int *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&a, &len)) {
        perror("bench_client");
        exit(1);
    }
    *port = ntohs(a.sin_port);
    pid_t pid = fork();
    if (pid == 0)
        serve(fd, streams * 2, p);
    close(fd);
    return pid;
}

/* ---- the client ------------------------------------------------------------------------- */

struct wave {
    int64_t n, at, bad;
    int64_t start_ns, gap_ns;   /* of the requests */
    int64_t token_gap_ns;
    double *lag_us;             /* [n] */
    double *late_us;            /* [n * tokens] */
    int64_t lags, lates, pieces, reads;
};

static const char body[] = "{\"model\":\"m\",\"stream\":true,\"messages\":[]}";

static int next_of_wave(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    struct wave *w = arg;
    int64_t due = w->start_ns + w->at * w->gap_ns;
    if (w->at == w->n)
        return -1;
    if (due > now_ns) {
        *wake_ns = due;
        return 0;
    }
    w->at++;
    *out = (struct client_call){.path = "chat/completions", .body = body, .len = sizeof body - 1,
                                .scheduled_ns = due, .stream = 1};
    return 1;
}

static void done_of_wave(void *arg, const struct client_call *call,
                         const struct client_result *r) {
    struct wave *w = arg;
    int64_t last = 0;
    (void)call;
    if (r->end != CLIENT_OK && !w->bad++)
        fprintf(stderr, "bench_client: %s: %s\n", client_end_name(r->end), r->detail);
    w->lag_us[w->lags++] = (double)(r->begun_ns - r->scheduled_ns) * 1e-3;
    for (int64_t i = 0; i < r->pieces; i++) {
        /* Against the first: what client and server add, not the way. */
        if (w->token_gap_ns)
            w->late_us[w->lates++] =
                (double)(r->piece[i].ns - r->piece[0].ns - i * w->token_gap_ns) * 1e-3;
        w->reads += r->piece[i].ns != last;
        last = r->piece[i].ns;
    }
    w->pieces += r->pieces;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *sorted, int64_t n, double q) {
    return n ? sorted[(int64_t)((double)(n - 1) * q)] : 0;
}

static int run_wave(struct client *c, struct wave *w) {
    struct err err;
    struct client_stats before = *client_stats(c);
    const struct client_source source = {next_of_wave, done_of_wave, w};
    if (client_run(c, &source, &err)) {
        fprintf(stderr, "bench_client: %s\n", err.text);
        return -1;
    }
    const struct client_stats *s = client_stats(c);
    double cpu = (double)(s->cpu_ns - before.cpu_ns);
    double wall = (double)(s->wall_ns - before.wall_ns);
    double n = (double)w->pieces;
    qsort(w->lag_us, (size_t)w->lags, sizeof(double), by_value);
    qsort(w->late_us, (size_t)w->lates, sizeof(double), by_value);
    printf("%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%.3f\t%.3f\t%.0f\t%.2f\t%.0f\t%.2f\t%.0f\t%.0f"
           "\t%.0f\t%.0f\t%.0f\n", w->n, w->pieces, s->connections - before.connections,
           wall * 1e-9, cpu * 1e-9, n / wall * 1e9, cpu / n * 1e-3, n / cpu * 1e9,
           n / (double)w->reads, quantile(w->lag_us, w->lags, 0.5),
           quantile(w->lag_us, w->lags, 0.99), quantile(w->lag_us, w->lags, 1),
           quantile(w->late_us, w->lates, 0.5), quantile(w->late_us, w->lates, 0.99));
    fflush(stdout);
    return w->bad ? -1 : 0;
}

int main(int argc, char **argv) {
    int64_t v[3] = {1000, 200, 50};
    struct rlimit files;
    char url[64];
    int port;
    for (int i = 1; i < argc; i++) {
        if (i > 3 || num_size(argv[i], i == 3 ? 0 : 1, 100000000, &v[i - 1])) {
            fprintf(stderr, "usage: bench_client [STREAMS [TOKENS [RATE]]]\n");
            return 2;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    const struct pace pace = {v[1], v[2] ? SECOND / v[2] : 0};
    pid_t server = start_server((size_t)v[0], &pace, &port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", port);
    struct err err;
    struct client *c = client_new(&(struct client_options){.url = url}, &err);
    int rc = c ? 0 : -1;
    printf("streams\ttokens\tconnections\twall_s\tcpu_s\ttokens_per_s\tcpu_us_per_token\t"
           "tokens_per_core_s\tpieces_per_read\tlag_p50_us\tlag_p99_us\tlag_max_us\tlate_p50_us\t"
           "late_p99_us\n");
    for (int i = 0; i < 3 && rc == 0; i++) {
        struct wave w = {.n = v[0], .gap_ns = v[2] ? SECOND / v[0] : 0,
                         .token_gap_ns = pace.gap_ns, .start_ns = clock_ns() + SECOND / 10};
        w.lag_us = mem_array((size_t)v[0], sizeof(double));
        w.late_us = mem_array((size_t)(v[0] * v[1]), sizeof(double));
        rc = run_wave(c, &w);
        free(w.lag_us);
        free(w.late_us);
    }
    client_free(c);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
