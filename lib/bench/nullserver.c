/* nullserver.c - the null server's loop: sockets, events, bytes in and out, stalls
 *
 * Sockets are watched once, edge-triggered, for both directions; what is left to read or to write
 * is remembered in the connection. A pass of the loop: wait for sockets or the next due time, take
 * in what has come, do what is due, then write, once for each connection that has something.
 * No function here calls itself through a reply: a reply only marks its connection, and the next
 * request of the same connection is looked at when its bytes have left.
 */
#include "lib/bench/nullserver.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/bench/null_impl.h"
#include "lib/trace/reqs_json.h"

#define EVENTS 512              /* taken from the kernel at once */
#define TURNS 256               /* before what they made is written */
#define READ_BYTES ((size_t)64 << 10)
#define AHEAD_BYTES ((size_t)1 << 20)       /* read beyond the request under way */
#define DRAIN_NS 2000000000

struct nullserver_options nullserver_defaults(void) {
    return (struct nullserver_options){.host = "127.0.0.1", .tokens = 128, .chunk = 1, .seed = 1,
                                       .prompt_tokens = -1};
}

/* ---- a new server ------------------------------------------------------------------------- */

static int check(const struct nullserver_options *o, struct err *err) {
    double shares = 0;
    for (size_t i = 0; i < o->faults; i++)
        shares += o->fault[i].share < 1 ? o->fault[i].share : 0;
    if (shares > 1 + 1e-9)
        return err_set(err, "the shares of the faults sum to %g: expected at most 1", shares);
    if (o->tokens < 1 || o->tokens > NULLSERVER_MOST_TOKENS || o->chunk < 1)
        return err_set(err, "a reply has 1 to %d tokens, an event at least 1",
                       NULLSERVER_MOST_TOKENS);
    if (o->stall_every_ns && o->stall_every_ns <= o->stall_for_ns)
        return err_set(err, "a stall is over before the next begins");
    if (o->cache && o->prompt_tokens >= 0)
        return err_set(err, "the cache knows prefixes by their words: no fixed prompt tokens");
    return 0;
}

static int listen_on(const struct addrinfo *a) {
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, a->ai_addr, a->ai_addrlen) && !listen(fd, SOMAXCONN))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_listener(struct nullserver *s, struct err *err) {
    const struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list;
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    char port[16];
    snprintf(port, sizeof port, "%d", s->opt.port);
    int rc = getaddrinfo(s->host, port, &want, &list);
    if (rc)
        return err_set(err, "%s: %s", s->host, gai_strerror(rc));
    for (struct addrinfo *a = list; a && s->listener < 0; a = a->ai_next)
        s->listener = listen_on(a);
    int saved = errno;
    freeaddrinfo(list);
    if (s->listener < 0)
        return err_set(err, "%s, port %s: %s", s->host, port, strerror(saved));
    if (getsockname(s->listener, (struct sockaddr *)&at, &len))
        return err_set(err, "getsockname: %s", strerror(errno));
    s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    int v6 = strchr(s->host, ':') != NULL;
    s->url = mem_printf("http://%s%s%s:%d/v1", v6 ? "[" : "", s->host, v6 ? "]" : "", s->port);
    return 0;
}

static int watch(struct nullserver *s, int fd, uint32_t events, void *what) {
    struct epoll_event e = {.events = events, .data.ptr = what};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

struct nullserver *nullserver_new(const struct nullserver_options *opt, struct err *err) {
    if (check(opt, err))
        return NULL;
    struct nullserver *s = mem_alloc(sizeof *s);
    s->opt = *opt;
    s->host = mem_strdup(opt->host);
    s->fault = mem_array(opt->faults, sizeof *s->fault);
    for (size_t i = 0; i < opt->faults; i++)
        s->fault[i] = opt->fault[i];
    s->rng = (struct rng){opt->seed};
    s->next_stall_ns = INT64_MAX;
    TAILQ_INIT(&s->all);
    TAILQ_INIT(&s->queue);
    TAILQ_INIT(&s->flush);
    TAILQ_INIT(&s->dead);
    s->listener = -1;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (s->epoll < 0 || s->stop_fd < 0 || watch(s, s->stop_fd, EPOLLIN, &s->stop_fd)) {
        err_set(err, "epoll: %s", strerror(errno));
    } else if (!open_listener(s, err)) {
        if (!watch(s, s->listener, EPOLLIN, &s->listener))
            return s;
        err_set(err, "epoll: %s", strerror(errno));
    }
    nullserver_free(s);
    return NULL;
}

int nullserver_port(const struct nullserver *s) {
    return s->port;
}

const char *nullserver_url(const struct nullserver *s) {
    return s->url;
}

const struct nullserver_counts *nullserver_counts(const struct nullserver *s) {
    return &s->counts;
}

/* ---- connections -------------------------------------------------------------------------- */

static void accept_all(struct nullserver *s) {
    const int on = 1;
    int fd;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct null_conn *c = mem_alloc(sizeof *c);
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        TAILQ_INSERT_TAIL(&s->all, c, all);
        s->counts.connections++;
        if (watch(s, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, c))
            null_conn_close(s, c);
    }
    if ((errno == EMFILE || errno == ENFILE) && !s->deaf) {
        /* The listener would wake us again and again; it is heard when a connection ends. */
        epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->listener, NULL);
        s->deaf = 1;
    }
}

void null_conn_close(struct nullserver *s, struct null_conn *c) {
    if (c->state == NULL_DEAD)
        return;
    if (c->state >= NULL_QUEUED && c->state <= NULL_MUTE)
        s->counts.cancelled++;
    null_stream_leave(s, c);
    if (c->dirty)
        TAILQ_REMOVE(&s->flush, c, flush);
    c->dirty = 0;
    c->state = NULL_DEAD;
    close(c->fd);
    TAILQ_REMOVE(&s->all, c, all);
    TAILQ_INSERT_TAIL(&s->dead, c, all);
}

static void free_conn(struct null_conn *c) {
    buf_free(&c->in);
    buf_free(&c->out);
    buf_free(&c->event);
    buf_free(&c->ask.model);
    free(c);
}

/* Events of this batch are done: nothing points to closed connections any more. */
static void bury(struct nullserver *s) {
    struct null_conn *c = TAILQ_FIRST(&s->dead);
    if (c && s->deaf && !watch(s, s->listener, EPOLLIN, &s->listener))
        s->deaf = 0;
    while ((c = TAILQ_FIRST(&s->dead))) {
        TAILQ_REMOVE(&s->dead, c, all);
        free_conn(c);
    }
}

/* ---- bytes out ---------------------------------------------------------------------------- */

void null_conn_flush_later(struct nullserver *s, struct null_conn *c) {
    if (c->dirty)
        return;
    c->dirty = 1;
    TAILQ_INSERT_TAIL(&s->flush, c, flush);
}

/* All that may leave now. -1: the client is gone. */
static int send_out(struct null_conn *c) {
    size_t end = c->state == NULL_HEAD ? c->out_at + 1 : c->out.len;
    while (c->out_at < end) {
        ssize_t n = send(c->fd, c->out.data + c->out_at, end - c->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            c->blocked = errno == EAGAIN;
            return c->blocked ? 0 : -1;
        }
        c->out_at += (size_t)n;
    }
    c->blocked = 0;
    if (c->out_at == c->out.len)
        c->out_at = c->out.len = 0;
    return 0;
}

void null_conn_reset(struct nullserver *s, struct null_conn *c) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    c->state = NULL_LAST;
    send_out(c);
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    null_conn_close(s, c);
}

/* All is said: the client reads to the end, then closes. A plain close would reset the connection,
 * and lose our last words, if bytes of the client are still to come. */
static void say_goodbye(struct nullserver *s, struct null_conn *c) {
    shutdown(c->fd, SHUT_WR);
    c->state = NULL_DRAIN;
    c->due = s->now + DRAIN_NS;
    c->more = 1;
    null_heap_put(s, c);
}

static void take_input(struct nullserver *s, struct null_conn *c);

static void flush(struct nullserver *s, struct null_conn *c) {
    if (send_out(c)) {
        null_conn_close(s, c);
        return;
    }
    if (!c->blocked && c->state != NULL_HEAD)
        null_stream_unblock(s, c);
    if (c->state == NULL_LAST && !c->out.len)
        say_goodbye(s, c);
    if (c->state == NULL_IDLE || c->state == NULL_DRAIN || c->eof)
        take_input(s, c);
}

static void flush_all(struct nullserver *s) {
    struct null_conn *c;
    while ((c = TAILQ_FIRST(&s->flush))) {
        TAILQ_REMOVE(&s->flush, c, flush);
        c->dirty = 0;
        flush(s, c);
    }
}

/* ---- bytes in ----------------------------------------------------------------------------- */

void null_conn_finish(struct nullserver *s, struct null_conn *c) {
    c->state = c->keep_alive ? NULL_IDLE : NULL_LAST;
    c->in_at += c->http.end;
    c->http.head = 0;
    if (c->in_at == c->in.len)
        c->in_at = c->in.len = 0;
    null_conn_flush_later(s, c);
}

/* One read; more stays set while there may be more. */
static void read_some(struct null_conn *c) {
    if (c->in_at) {
        memmove(c->in.data, c->in.data + c->in_at, c->in.len - c->in_at);
        c->in.len -= c->in_at;
        c->in_at = 0;
    }
    if (c->state == NULL_DRAIN)
        c->in.len = 0;
    buf_reserve(&c->in, READ_BYTES + JSON_PAD);
    ssize_t n = recv(c->fd, c->in.data + c->in.len, READ_BYTES, 0);
    if (n > 0)
        c->in.len += (size_t)n;
    c->in.data[c->in.len] = '\0';
    c->more = n > 0 || (n < 0 && errno == EINTR);
    c->eof |= n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static int64_t server_clock(const struct nullserver *s) {
    return clock_ns() - s->frozen_ns;
}

/* Serves the request that stands in the buffer. 0: it is not whole. */
static int serve_one(struct nullserver *s, struct null_conn *c) {
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (c->in.len == c->in_at)
        return 0;
    int got = null_http_read(&c->http, c->in.data + c->in_at, c->in.len - c->in_at);
    if (got == 1) {
        c->keep_alive = c->http.keep_alive;
        s->now = server_clock(s);       /* it may have come since this pass began */
        null_api_serve(s, c);
        return 1;
    }
    if (got) {                          /* what comes behind it cannot be understood */
        s->counts.refused++;
        c->http.minor = 1;
        c->keep_alive = 0;
        c->http.end = c->in.len - c->in_at;
        null_http_error(c, got, "", "not a request that this server understands");
        null_conn_finish(s, c);
        return 1;
    }
    if (c->http.head && c->http.expects && c->http.minor) {
        c->http.expects = 0;
        buf_adds(&c->out, go_on);
        null_conn_flush_later(s, c);
    }
    return 0;
}

/* Reads and serves until a request is under way or no bytes are left. */
static void take_input(struct nullserver *s, struct null_conn *c) {
    while (c->state == NULL_DRAIN && c->more)
        read_some(c);
    while (c->state == NULL_IDLE && !c->dirty && !c->blocked)
        if (!serve_one(s, c)) {
            if (!c->more)
                break;
            read_some(c);
        }
    int busy = c->state != NULL_IDLE && c->state != NULL_LAST && c->state != NULL_DRAIN;
    while (busy && c->more && c->in.len - c->in_at < AHEAD_BYTES)
        read_some(c);
    if (!c->eof || c->dirty)
        return;
    if ((c->state == NULL_IDLE || c->state == NULL_LAST) && c->out.len)
        c->state = NULL_LAST;
    else
        null_conn_close(s, c);
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* Stands still; a stop is heard. */
static void stall(struct nullserver *s) {
    int64_t start = clock_ns();
    int64_t end = start + s->opt.stall_for_ns;
    struct pollfd stop = {.fd = s->stop_fd, .events = POLLIN};
    for (int64_t left; (left = end - clock_ns()) > 0;) {
        const struct timespec t = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        if (ppoll(&stop, 1, &t, NULL) > 0)
            break;
    }
    s->counts.stalls++;
    s->frozen_ns += clock_ns() - start;
    s->next_stall_ns = s->opt.stall_every_ns ? s->next_stall_ns + s->opt.stall_every_ns
                                             : INT64_MAX;
}

/* Nanoseconds until something is due; -1: not before a socket says so. */
static int64_t time_to_wait(const struct nullserver *s) {
    int64_t wait = INT64_MAX;
    if (s->heap_len)
        wait = s->heap[1]->due - server_clock(s);
    if (s->next_stall_ns != INT64_MAX && s->next_stall_ns - clock_ns() < wait)
        wait = s->next_stall_ns - clock_ns();
    return wait == INT64_MAX ? -1 : wait < 0 ? 0 : wait;
}

static int wait_for_events(struct nullserver *s, struct epoll_event *e) {
    int64_t ns = time_to_wait(s);
    const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (!s->coarse) {
        int n = epoll_pwait2(s->epoll, e, EVENTS, ns < 0 ? NULL : &t, NULL);
        if (n >= 0 || errno != ENOSYS)
            return n;
        s->coarse = 1;
    }
    int64_t ms = ns < 0 ? -1 : (ns + 999999) / 1000000;
    return epoll_wait(s->epoll, e, EVENTS, ms > INT_MAX ? INT_MAX : (int)ms);
}

static void hear(struct nullserver *s, const struct epoll_event *e) {
    struct null_conn *c = e->data.ptr;
    if (c->state == NULL_DEAD)
        return;
    if (e->events & EPOLLOUT && c->blocked) {
        c->blocked = 0;
        null_conn_flush_later(s, c);
    }
    if (e->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        c->more = 1;
        take_input(s, c);
    }
}

static void do_due(struct nullserver *s) {
    s->now = server_clock(s);
    for (int i = 0; i < TURNS && s->heap_len && s->heap[1]->due <= s->now; i++) {
        struct null_conn *c = s->heap[1];
        if (c->state == NULL_DRAIN)
            null_conn_close(s, c);
        else
            null_stream_turn(s, c);
    }
}

/* So many have ended, and their clients have all of it. */
static int enough(const struct nullserver *s) {
    const struct null_conn *c;
    if (!s->opt.requests || s->counts.replies + s->counts.cancelled < s->opt.requests ||
        s->heap_len)
        return 0;
    TAILQ_FOREACH(c, &s->all, all)
        if (c->out.len)
            return 0;
    return 1;
}

static int loop(struct nullserver *s, struct err *err) {
    struct epoll_event e[EVENTS];
    int stopped = 0;
    while (!stopped && !enough(s)) {
        if (clock_ns() >= s->next_stall_ns)
            stall(s);
        int n = wait_for_events(s, e);
        if (n < 0 && errno != EINTR)
            return err_set(err, "epoll: %s", strerror(errno));
        s->now = server_clock(s);
        for (int i = 0; i < n; i++) {
            if (e[i].data.ptr == &s->stop_fd)
                stopped = 1;
            else if (e[i].data.ptr == &s->listener)
                accept_all(s);
            else
                hear(s, &e[i]);
        }
        do_due(s);
        flush_all(s);
        bury(s);
    }
    return 0;
}

static int64_t thread_cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int nullserver_run(struct nullserver *s, struct err *err) {
    int64_t wall = clock_ns();
    int64_t cpu = thread_cpu_ns();
    /* Timers are late by up to this; 50 us by default. */
    int slack = prctl(PR_GET_TIMERSLACK);
    prctl(PR_SET_TIMERSLACK, 1UL);
    int failed = loop(s, err);
    prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
    s->counts.wall_ns += clock_ns() - wall;
    s->counts.cpu_ns += thread_cpu_ns() - cpu;
    return failed;
}

void nullserver_stop(struct nullserver *s) {
    const uint64_t one = 1;
    int saved = errno;
    if (write(s->stop_fd, &one, sizeof one) < 0)
        errno = saved;                  /* the counter is full: it was heard long ago */
    errno = saved;
}

void nullserver_free(struct nullserver *s) {
    struct null_conn *c;
    if (!s)
        return;
    while ((c = TAILQ_FIRST(&s->all)))
        null_conn_close(s, c);
    while ((c = TAILQ_FIRST(&s->dead))) {
        TAILQ_REMOVE(&s->dead, c, all);
        free_conn(c);
    }
    if (s->listener >= 0)
        close(s->listener);
    if (s->epoll >= 0)
        close(s->epoll);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    null_prefixes_free(&s->prefixes);
    buf_free(&s->scratch);
    free(s->heap);
    free(s->fault);
    free(s->host);
    free(s->url);
    free(s);
}
