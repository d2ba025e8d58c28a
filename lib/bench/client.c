/* client.c - many streamed requests from one thread: the loop; see client.h, client_impl.h
 *
 * libcurl's multi interface by sockets: libcurl says which it waits for, epoll says which are
 * ready, and only those cost work (curl_multi_perform walks over all). The loop sleeps until a
 * socket is ready or the earliest of three times: the source's, libcurl's, a request's deadline.
 * epoll_pwait2 knows nanoseconds; the thread's timer slack of 50 us is turned off meanwhile.
 * While many sockets are ready, the source's time is looked at after each of them.
 *
 * Deadlines are one number for all requests: no request is late before it. They mostly move later,
 * so that number is a lower bound, and the walk over all requests happens a few times a minute.
 *
 * The floor, on a Zen 5 core of a virtual machine with libcurl 7.88 (tests/bench_client): an event
 * that comes alone costs 9 us of the processor, 110,000 a second: 58 % in the kernel (recv, a poll
 * that libcurl adds to each recv to see whether more has come, a share of epoll_pwait2), 30 % in
 * libcurl (its timers, its state machine, the chunked encoding), 8 % here, JSON included. Events
 * that come together share the system calls: 2.3 us each where five come at once.
 */
#include "lib/bench/client.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/bench/client_impl.h"

#define EVENTS 64                       /* ready sockets taken at a time */
#define MAX_KEPT 1000000L               /* connections: as many as there are requests at once */

const char *client_end_name(int end) {
    static const char *const names[CLIENT_ENDS] = {
        [CLIENT_OK] = "ok", [CLIENT_REFUSED] = "refused", [CLIENT_RESET] = "reset",
        [CLIENT_STATUS_429] = "status_429", [CLIENT_STATUS_4XX] = "status_4xx",
        [CLIENT_STATUS_5XX] = "status_5xx", [CLIENT_STATUS_OTHER] = "status_other",
        [CLIENT_TIMEOUT_CONNECT] = "timeout_connect", [CLIENT_TIMEOUT_FIRST] = "timeout_first",
        [CLIENT_TIMEOUT_STALL] = "timeout_stall", [CLIENT_TIMEOUT_TOTAL] = "timeout_total",
        [CLIENT_TRUNCATED] = "truncated", [CLIENT_MALFORMED] = "malformed",
        [CLIENT_ERROR_EVENT] = "error_event", [CLIENT_EMPTY] = "empty",
        [CLIENT_CANCELLED] = "cancelled"};
    return end >= 0 && end < CLIENT_ENDS ? names[end] : "unknown";
}

/* ---- libcurl's wishes ------------------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known) {
    struct client *c = arg;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(c->epoll, EPOLL_CTL_DEL, fd, NULL);   /* a closed one is gone already */
        return 0;
    }
    e.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (!known)
        curl_multi_assign(c->multi, fd, c);
    if (epoll_ctl(c->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0)
        return 0;
    /* Registered before and not known, or the other way round: a number that was used again. */
    return epoll_ctl(c->epoll, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
}

static int on_timer(CURLM *multi, long ms, void *arg) {
    struct client *c = arg;
    (void)multi;
    c->curl_ns = ms < 0 ? NEVER : ms == 0 ? 0 : clock_ns() + (int64_t)ms * 1000000;
    return 0;
}

/* ---- making and freeing ----------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* A stream is a socket, and the usual limit is 1024. */
static void raise_open_files(void) {
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static void set_options(struct client *c, const struct client_options *opt) {
    const int64_t second = 1000000000;
    c->opt = *opt;
    c->opt.url = c->opt.key = NULL;
    c->opt.connect_ns = opt->connect_ns > 0 ? opt->connect_ns : 10 * second;
    c->opt.first_ns = opt->first_ns > 0 ? opt->first_ns : 300 * second;
    c->opt.stall_ns = opt->stall_ns > 0 ? opt->stall_ns : 60 * second;
}

static int set_head(struct client *c, const char *key, struct err *err) {
    c->head = curl_slist_append(NULL, "Content-Type: application/json");
    c->head = curl_slist_append(c->head, "Expect:");    /* do not ask before a long body */
    if (!key || !*key)
        return 0;
    for (const char *p = key; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7F)
            return err_set(err, "the key has a blank or a control character in it");
    c->key = mem_strdup(key);
    char *line = mem_printf("Authorization: Bearer %s", key);
    c->head = curl_slist_append(c->head, line);
    explicit_bzero(line, strlen(line));
    free(line);
    return 0;
}

static int open_loop(struct client *c, struct err *err) {
    struct epoll_event e = {.events = EPOLLIN};
    c->multi = curl_multi_init();
    if (!c->multi)
        return err_set(err, "libcurl: no multi handle");
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e.data.fd = c->wake;
    if (c->epoll < 0 || c->wake < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->wake, &e))
        return err_set(err, "epoll: %s", strerror(errno));
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, MAX_KEPT);
    /* One stream at a time on a connection, with HTTP/2 too: libcurl walks over all streams of a
     * connection whenever bytes come for one of them, and where connections may be shared, requests
     * wait for others (PIPEWAIT) or open their own by chance. */
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return 0;
}

struct client *client_new(const struct client_options *opt, struct err *err) {
    pthread_once(&once, init_curl);
    struct client *c = mem_alloc(sizeof *c);
    c->epoll = c->wake = -1;
    c->curl_ns = c->deadline_ns = NEVER;
    set_options(c, opt);
    if (client_url_set(c, opt->url, err) || set_head(c, opt->key, err) || open_loop(c, err)) {
        client_free(c);
        return NULL;
    }
    raise_open_files();
    return c;
}

static void wipe(char *s) {
    if (s)
        explicit_bzero(s, strlen(s));
}

void client_free(struct client *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->idles; i++)
        request_free(c->idle[i]);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    if (c->epoll >= 0)
        close(c->epoll);
    if (c->wake >= 0)
        close(c->wake);
    for (struct curl_slist *s = c->head; s; s = s->next)
        wipe(s->data);
    wipe(c->key);
    curl_slist_free_all(c->head);
    curl_slist_free_all(c->hosts);
    free(c->active);
    free(c->idle);
    free(c->url);
    free(c->key);
    free(c->unknown_host);
    free(c);
}

const struct client_stats *client_stats(const struct client *c) {
    return &c->stats;
}

void client_stop(struct client *c) {
    const uint64_t one = 1;
    int kept = errno;
    __atomic_store_n(&c->stop, 1, __ATOMIC_SEQ_CST);
    ssize_t n = write(c->wake, &one, sizeof one);   /* full: it is awake anyway */
    (void)n;
    errno = kept;
}

static int is_stopped(const struct client *c) {
    return __atomic_load_n(&c->stop, __ATOMIC_SEQ_CST);
}

/* ---- requests --------------------------------------------------------------------------- */

static struct request *take_idle(struct client *c) {
    if (c->idles)
        return c->idle[--c->idles];
    struct request *r = request_new(c);
    if (!r)
        return NULL;
    c->requests++;
    if (c->requests > c->active_cap) {
        c->active_cap = c->active_cap ? c->active_cap * 2 : 64;
        c->active = mem_grow(c->active, c->active_cap, sizeof(struct request *));
        c->idle = mem_grow(c->idle, c->active_cap, sizeof(struct request *));
    }
    return r;
}

/* Hands the result over. r is no longer in the multi handle. */
static void finish(struct client *c, struct request *r, CURLcode code) {
    c->active[r->at] = c->active[--c->actives];
    c->active[r->at]->at = r->at;
    request_conclude(r, code);
    c->source->done(c->source->arg, &r->call, &r->result);
    c->idle[c->idles++] = r;
    c->ended = 1;
}

/* Ends it from our side: its connection is closed. */
static void abandon(struct client *c, struct request *r, int end) {
    if (end != CLIENT_OK && r->end < 0)     /* OK: complete, only the body's end did not come */
        r->end = end;
    curl_multi_remove_handle(c->multi, r->easy);
    finish(c, r, CURLE_OK);
}

static void take_finished(struct client *c) {
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        char *r = NULL;
        CURLcode code = m->data.result;
        CURL *easy = m->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, &r);
        curl_multi_remove_handle(c->multi, easy);
        finish(c, (struct request *)(void *)r, code);
    }
}

/* Requests that fail at once for want of a socket would be taken for a server's refusals, and a
 * closed loop would go through all of them in no time. */
static int say_no_files(const struct client *c, struct err *err) {
    return err_set(err, "no file descriptor is left for another connection, with %zu requests "
                   "under way (%s): raise the limit (ulimit -n) or lower the concurrency",
                   c->actives, strerror(c->no_files));
}

/* Lets libcurl work on a socket, or on what is due. */
static int act(struct client *c, curl_socket_t fd, int what, struct err *err) {
    int running;
    c->read_ns = 0;
    CURLMcode code = curl_multi_socket_action(c->multi, fd, what, &running);
    if (code)
        return err_set(err, "libcurl: %s", curl_multi_strerror(code));
    if ((size_t)running < c->actives)
        take_finished(c);
    return c->no_files ? say_no_files(c, err) : 0;
}

static int act_timer(struct client *c, struct err *err) {
    c->curl_ns = NEVER;                     /* libcurl calls on_timer when that is wrong */
    return act(c, CURL_SOCKET_TIMEOUT, 0, err);
}

static int begin(struct client *c, const struct client_call *call, struct err *err) {
    struct request *r = take_idle(c);
    if (!r)
        return err_set(err, "libcurl: no easy handle");
    request_prepare(r, call, clock_ns());
    r->at = c->actives;
    c->active[c->actives++] = r;
    if (c->stats.most_open < (int)c->actives)
        c->stats.most_open = (int)c->actives;
    if (c->unknown_host) {
        snprintf(r->result.detail, sizeof r->result.detail, "%s", c->unknown_host);
        r->end = CLIENT_REFUSED;
        finish(c, r, CURLE_OK);
        return 0;
    }
    CURLMcode code = curl_multi_add_handle(c->multi, r->easy);
    if (code)
        return err_set(err, "libcurl: %s", curl_multi_strerror(code));
    return act_timer(c, err);               /* it leaves now, not after the next sleep */
}

/* ---- the loop --------------------------------------------------------------------------- */

struct loop {
    int more;                   /* the source has more */
    int64_t wake_ns;            /* when it wants to be asked */
};

/* Asks the source until it has nothing to send now. */
static int pump(struct client *c, struct loop *l, struct err *err) {
    while (l->more && !is_stopped(c)) {
        struct client_call call = {0};
        c->ended = 0;
        l->wake_ns = NEVER;
        int rc = c->source->next(c->source->arg, clock_ns(), &call, &l->wake_ns);
        if (rc < 0)
            l->more = 0;
        if (rc == 0 && c->actives == 0 && l->wake_ns == NEVER)
            return err_set(err, "the source waits for a result, and no request is under way");
        if (rc != 1)
            return 0;
        if (begin(c, &call, err))
            return -1;
    }
    return 0;
}

static int is_due(const struct client *c, const struct loop *l, int64_t now) {
    return l->more && (c->ended || l->wake_ns <= now);
}

/* Ends what is late, and finds out when to look again. */
static void check_deadlines(struct client *c, int64_t now) {
    c->deadline_ns = NEVER;
    for (size_t i = 0; i < c->actives;) {
        int which;
        struct request *r = c->active[i];
        int64_t at = request_deadline(r, &which);
        if (at <= now) {
            abandon(c, r, which);           /* another one is at i now */
            continue;
        }
        if (at < c->deadline_ns)
            c->deadline_ns = at;
        i++;
    }
}

static int64_t earliest(const struct client *c, const struct loop *l) {
    int64_t t = c->curl_ns < c->deadline_ns ? c->curl_ns : c->deadline_ns;
    return l->more && l->wake_ns < t ? l->wake_ns : t;
}

/* Sleeps until a socket is ready or `ns` have passed. A system that does not know epoll_pwait2
 * (Linux before 5.11) sleeps in ppoll, on the epoll descriptor. */
static int wait_ready(struct client *c, struct epoll_event *e, int64_t ns) {
    const struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    struct pollfd p = {.fd = c->epoll, .events = POLLIN};
#if __GLIBC_PREREQ(2, 35)
    int n = epoll_pwait2(c->epoll, e, EVENTS, ns == NEVER ? NULL : &t, NULL);
    if (n >= 0 || errno != ENOSYS)
        return n;
#endif
    if (ppoll(&p, 1, ns == NEVER ? NULL : &t, NULL) < 0)
        return -1;
    return epoll_wait(c->epoll, e, EVENTS, 0);
}

static int what_of(const struct epoll_event *e) {
    return (e->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
           (e->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (e->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

static int take_ready(struct client *c, struct loop *l, const struct epoll_event *e, int n,
                      struct err *err) {
    for (int i = 0; i < n && !is_stopped(c); i++) {
        if (e[i].data.fd == c->wake)
            continue;
        if (act(c, e[i].data.fd, what_of(&e[i]), err))
            return -1;
        if (is_due(c, l, c->read_ns ? c->read_ns : clock_ns()) && pump(c, l, err))
            return -1;
    }
    return 0;
}

static int turn(struct client *c, struct loop *l, struct err *err) {
    struct epoll_event e[EVENTS];
    int64_t now = clock_ns();
    if (is_due(c, l, now) && pump(c, l, err))
        return -1;
    if (c->curl_ns <= now && act_timer(c, err))
        return -1;
    if (c->deadline_ns <= now)
        check_deadlines(c, now);
    if (!c->actives && !l->more)
        return 0;
    int64_t until = c->ended && l->more ? 0 : earliest(c, l);
    now = clock_ns();
    int n = wait_ready(c, e, until == NEVER ? NEVER : until > now ? until - now : 0);
    if (n < 0 && errno != EINTR)
        return err_set(err, "epoll: %s", strerror(errno));
    return take_ready(c, l, e, n, err);
}

static int64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* TLS of an older libcurl may write to a closed connection without MSG_NOSIGNAL. */
static void block_pipe_signal(sigset_t *old) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, old);
}

static void restore_signals(const sigset_t *old) {
    const struct timespec none = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    if (!sigismember(old, SIGPIPE))
        sigtimedwait(&set, NULL, &none);
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

int client_run(struct client *c, const struct client_source *s, struct err *err) {
    struct loop l = {.more = 1, .wake_ns = 0};
    int64_t wall = clock_ns();
    int64_t cpu = cpu_ns();
    int slack = prctl(PR_GET_TIMERSLACK);
    sigset_t old;
    int rc = 0;
    c->source = s;
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (c->https)
        block_pipe_signal(&old);
    while (rc == 0 && (l.more || c->actives) && !is_stopped(c))
        rc = turn(c, &l, err);
    while (c->actives)
        abandon(c, c->active[0], CLIENT_CANCELLED);
    if (c->https)
        restore_signals(&old);
    if (slack >= 0)
        prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
    c->stats.wall_ns += clock_ns() - wall;
    c->stats.cpu_ns += cpu_ns() - cpu;
    return rc;
}
