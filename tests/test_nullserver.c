/* test_nullserver.c - the null server over plain sockets: HTTP, replies, faults, time, slots
 *
 * Each test starts a server in a thread of its own and talks to it byte by byte where that matters.
 * Nothing here asks how fast the server is: times are only checked from below.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/bench/nullserver.h"
#include "tests/check.h"

#define MS 1000000

struct server {
    struct nullserver *s;
    pthread_t thread;
    int port;
    struct nullserver_counts n;         /* after stop */
};

static void *run_server(void *arg) {
    struct err err;
    if (nullserver_run(arg, &err))
        printf("# %s\n", err.text);
    return NULL;
}

static void start(struct server *v, const struct nullserver_options *opt) {
    struct err err;
    v->s = nullserver_new(opt, &err);
    if (!v->s) {
        printf("# %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    v->port = nullserver_port(v->s);
    pthread_create(&v->thread, NULL, run_server, v->s);
}

static void finish(struct server *v) {
    pthread_join(v->thread, NULL);
    v->n = *nullserver_counts(v->s);
    nullserver_free(v->s);
}

static void stop(struct server *v) {
    nullserver_stop(v->s);
    finish(v);
}

/* ---- a client ----------------------------------------------------------------------------- */

static int dial(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) {
        perror("connect");
        exit(EXIT_FAILURE);
    }
    return fd;
}

static void say(int fd, const char *text) {
    size_t len = strlen(text);
    CHECK_INT(send(fd, text, len, MSG_NOSIGNAL), (long long)len);
}

/* Everything until the server closes; *reset (if asked for) is whether it did so with RST. */
static struct buf hear(int fd, int *reset) {
    struct buf b = {0};
    ssize_t n;
    do {
        buf_reserve(&b, 4096);
        n = recv(fd, b.data + b.len, 4096, 0);
        if (n > 0)
            b.len += (size_t)n;
    } while (n > 0);
    b.data[b.len] = '\0';
    if (reset)
        *reset = n < 0;
    else
        CHECK_INT(n, 0);
    close(fd);
    return b;
}

/* Reads until `text` has come. */
static void wait_for(int fd, const char *text) {
    struct buf b = {0};
    char c;
    while ((!b.len || !strstr(b.data, text)) && recv(fd, &c, 1, 0) == 1)
        buf_addc(&b, c);
    CHECK(b.len && strstr(b.data, text));
    buf_free(&b);
}

static char *post(const char *path, const char *body, const char *fields) {
    return mem_printf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n%s", path,
                      strlen(body), fields, body);
}

#define CHAT "/v1/chat/completions"
#define CLOSE "Connection: close\r\n"

static struct buf ask(int port, const char *path, const char *body) {
    char *text = post(path, body, CLOSE);
    int fd = dial(port);
    say(fd, text);
    free(text);
    return hear(fd, NULL);
}

/* Not by strstr, which sanitizers let look at all of text each time: replies of megabytes. */
static int count(const char *text, const char *what) {
    size_t len = strlen(what);
    int n = 0;
    for (const char *p = text; *p; p++)
        n += *p == *what && !strncmp(p, what, len);
    return n;
}

#define HAS(b, text) CHECK((b).len && strstr((b).data, text))
#define HAS_NOT(b, text) CHECK(!(b).len || !strstr((b).data, text))

/* ---- HTTP --------------------------------------------------------------------------------- */

static void pipelined_requests_are_answered_in_order(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    char *first = post(CHAT, "{\"messages\":[],\"stream\":true,\"max_tokens\":2}", "");
    char *last = post("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":1}", CLOSE);
    char *all = mem_printf("%sGET /health HTTP/1.1\r\n\r\n%s", first, last);
    int fd = dial(v.port);
    say(fd, all);
    struct buf b = hear(fd, NULL);
    CHECK_INT(count(b.data, "HTTP/1.1 200 OK"), 3);
    char *done = strstr(b.data, "[DONE]");
    char *ok = strstr(b.data, "{\"status\":\"ok\"}");
    char *text = strstr(b.data, "\"text\":\"The\"");
    CHECK(done && ok && text && done < ok && ok < text);
    buf_free(&b);

    fd = dial(v.port);                  /* and byte by byte */
    for (char *p = all; *p; p++)
        CHECK_INT(send(fd, p, 1, MSG_NOSIGNAL), 1);
    b = hear(fd, NULL);
    CHECK_INT(count(b.data, "HTTP/1.1 200 OK"), 3);
    buf_free(&b);

    struct buf many = {0};              /* a thousand at once */
    for (int i = 0; i < 999; i++)
        buf_adds(&many, "GET /health HTTP/1.1\r\n\r\n");
    buf_adds(&many, "GET /health HTTP/1.1\r\n" CLOSE "\r\n");
    fd = dial(v.port);
    say(fd, many.data);
    b = hear(fd, NULL);
    CHECK_INT(count(b.data, "{\"status\":\"ok\"}"), 1000);
    buf_free(&b);
    buf_free(&many);
    free(first);
    free(last);
    free(all);
    stop(&v);
    CHECK_INT(v.n.requests, 4);
    CHECK_INT(v.n.replies, 4);
    CHECK_INT(v.n.connections, 3);
}

static void bodies_may_be_chunked(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    int fd = dial(v.port);
    say(fd, "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "A;x=y\r\n{\"prompt\":\r\n5\r\n\"a b \r\n12\r\nc\", \"max_tokens\":1\r\n1\r\n}\r\n"
        "0\r\nTrailer: x\r\n\r\n"
        "POST /v1/completions HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n"
        "17\r\n{\"prompt\":\"a\",\"stream\":0}\r\n0\r\n\r\n");
    struct buf b = hear(fd, NULL);
    HAS(b, "\"prompt_tokens\":3");
    HAS(b, "HTTP/1.1 400");             /* "stream":0 is no boolean; the framing was right */
    buf_free(&b);
    stop(&v);
}

static void large_bodies_are_waited_for(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    struct buf body = {0};
    buf_adds(&body, "{\"max_tokens\":1,\"prompt\":\"");
    for (int i = 0; i < 300000; i++)
        buf_adds(&body, "word ");
    buf_adds(&body, "\"}");
    char *head = mem_printf("POST /v1/completions HTTP/1.1\r\nExpect: 100-continue\r\n" CLOSE
                            "Content-Length: %zu\r\n\r\n", body.len);
    int fd = dial(v.port);
    say(fd, head);
    wait_for(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, body.data);
    struct buf b = hear(fd, NULL);
    HAS(b, "\"prompt_tokens\":300000");
    buf_free(&b);
    buf_free(&body);
    free(head);
    stop(&v);
}

static void old_clients_get_plain_bodies(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    int fd = dial(v.port);
    say(fd, "POST /v1/completions HTTP/1.0\r\nContent-Length: 44\r\n\r\n"
        "{\"prompt\":\"a\",\"stream\":true,\"max_tokens\":1}  ");
    struct buf b = hear(fd, NULL);
    HAS_NOT(b, "chunked");
    HAS(b, "\r\n\r\ndata: {");
    CHECK(b.len > 14 && !strcmp(b.data + b.len - 14, "data: [DONE]\n\n"));
    buf_free(&b);
    stop(&v);
}

static void nonsense_is_refused(void) {
    static const struct {
        const char *text;
        int status;
    } t[] = {
        {"hello\r\n\r\n", 400},
        {"GET /health\r\n\r\n", 400},
        {"GET /health HTTP/2.0\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nno colon\r\n\r\n", 400},
        {"POST " CHAT " HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST " CHAT " HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 413},
        {"POST " CHAT " HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"POST " CHAT " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400},
        {"POST " CHAT " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400},
        {"POST " CHAT " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n", 413},
        {"GET /nothing HTTP/1.1\r\n" CLOSE "\r\n", 404},
        {"GET " CHAT " HTTP/1.1\r\n" CLOSE "\r\n", 405},
        {"POST /health HTTP/1.1\r\n" CLOSE "Content-Length: 0\r\n\r\n", 405},
    };
    static const char *const bodies[] = {
        "", "[]", "{", "{\"messages\":[]", "{\"messages\":{}}", "{\"messages\":[1]}",
        "{\"messages\":[]}x", "{\"prompt\":\"a\"}", "{\"messages\":[],\"max_tokens\":0}",
        "{\"messages\":[],\"max_tokens\":-1}", "{\"messages\":[],\"max_tokens\":1048577}",
        "{\"messages\":[],\"n\":2}", "{\"messages\":[],\"stream\":\"yes\"}",
        "{\"messages\":[],\"model\":\"null:what\"}", "{\"messages\":[{\"content\":\"\\ud8\"}]}",
    };
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    char want[32];
    start(&v, &o);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int fd = dial(v.port);
        say(fd, t[i].text);
        struct buf b = hear(fd, NULL);
        snprintf(want, sizeof want, "HTTP/1.1 %d ", t[i].status);
        CHECK(!strncmp(b.data, want, strlen(want)));
        HAS(b, "\"error\":{\"message\":");
        buf_free(&b);
    }
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buf b = ask(v.port, CHAT, bodies[i]);
        CHECK(!strncmp(b.data, "HTTP/1.1 400 ", 13));
        buf_free(&b);
    }
    struct buf long_head = {0};
    buf_adds(&long_head, "GET /health HTTP/1.1\r\nX: ");
    for (int i = 0; i < 70000; i++)
        buf_addc(&long_head, 'x');
    int fd = dial(v.port);
    say(fd, long_head.data);
    struct buf b = hear(fd, NULL);
    HAS(b, "HTTP/1.1 431 ");
    buf_free(&b);
    buf_free(&long_head);
    stop(&v);
    CHECK_INT(v.n.requests, 0);
    CHECK_INT(v.n.refused, (long long)(sizeof t / sizeof *t + sizeof bodies / sizeof *bodies + 1));
}

/* ---- replies ------------------------------------------------------------------------------ */

static void lengths_are_as_asked_for(void) {
    static const struct {
        const char *members;
        int tokens;
        const char *finish;
    } t[] = {
        {"", 10, "stop"},
        {",\"max_tokens\":4", 4, "length"},
        {",\"max_completion_tokens\":4", 4, "length"},
        {",\"max_tokens\":null", 10, "stop"},
        {",\"max_tokens\":40", 10, "stop"},
        {",\"max_tokens\":40,\"ignore_eos\":true", 40, "length"},
        {",\"max_tokens\":40,\"min_tokens\":20", 20, "stop"},
        {",\"max_tokens\":40,\"min_tokens\":40", 40, "length"},
    };
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    o.tokens = 10;
    start(&v, &o);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *body = mem_printf("{\"messages\":[],\"stream\":true,\"stream_options\":"
                                "{\"include_usage\":true}%s}", t[i].members);
        char *usage = mem_printf("\"completion_tokens\":%d,", t[i].tokens);
        char *finish = mem_printf("\"finish_reason\":\"%s\"", t[i].finish);
        struct buf b = ask(v.port, CHAT, body);
        CHECK_INT(count(b.data, "\"content\":\""), t[i].tokens);
        CHECK_INT(count(b.data, "\"usage\":"), 1);
        HAS(b, usage);
        HAS(b, finish);
        buf_free(&b);
        body[strlen(body) - 1] = '\0';
        char *whole = mem_printf("%s,\"stream\":false}", body);
        b = ask(v.port, CHAT, whole);
        char *text = strstr(b.data, "\"content\":\"");
        CHECK(text != NULL);
        if (text)
            strstr(text, "},\"logprobs\"")[0] = '\0';
        CHECK_INT(text ? count(text, " ") + 1 : 0, t[i].tokens);
        buf_free(&b);
        free(whole);
        free(body);
        free(usage);
        free(finish);
    }
    stop(&v);
}

static void words_of_the_input_are_counted(void) {
    static const struct {
        const char *path, *body;
        int tokens;
    } t[] = {
        {"/v1/completions", "{\"prompt\":\" one  two\\nthree\\u0020four \"}", 4},
        {"/v1/completions", "{\"prompt\":[\"one two\",\"three\"]}", 3},
        {"/v1/completions", "{\"prompt\":[1,22,333,4444]}", 4},
        {"/v1/completions", "{\"prompt\":[[1,22,333]]}", 3},
        {"/v1/completions", "{\"prompt\":\"\"}", 0},
        {CHAT, "{\"messages\":[{\"role\":\"system\",\"content\":\"a b\"},\n"
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"c d e\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x y\"}}]},"
         "{\"role\":\"assistant\",\"content\":null}]}", 5},
    };
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *want = mem_printf("\"prompt_tokens\":%d,\"completion_tokens\":128,"
                                "\"total_tokens\":%d", t[i].tokens, t[i].tokens + 128);
        struct buf b = ask(v.port, t[i].path, t[i].body);
        HAS(b, want);
        buf_free(&b);
        free(want);
    }
    stop(&v);
}

/* A prompt of n words, of which the first `same` are always the same. */
static char *prompt(int n, int same, int which) {
    struct buf b = {0};
    buf_adds(&b, "{\"max_tokens\":1,\"prompt\":\"");
    for (int i = 0; i < n; i++)
        buf_printf(&b, "w%d ", i < same ? i : 1000 * which + i);
    buf_adds(&b, "\"}");
    return b.data;
}

static void prefixes_seen_before_are_cached(void) {
    static const struct {
        int n, same, which, cached;
    } t[] = {
        {100, 50, 1, 0},
        {100, 50, 1, 96},       /* the same again: all whole blocks of 16 */
        {100, 50, 2, 48},       /* as far as they are the same */
        {48, 48, 0, 32},        /* never the last token */
        {49, 49, 0, 48},
        {100, 0, 3, 0},
        {8, 8, 0, 0},
    };
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    o.cache = 1;
    start(&v, &o);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char *body = prompt(t[i].n, t[i].same, t[i].which);
        char *want = mem_printf("{\"cached_tokens\":%d}", t[i].cached);
        struct buf b = ask(v.port, "/v1/completions", body);
        HAS(b, want);
        buf_free(&b);
        free(body);
        free(want);
    }
    stop(&v);
}

static void usage_stands_where_it_should(void) {
    static const char with[] = "{\"messages\":[],\"stream\":true,\"max_tokens\":3,"
                               "\"stream_options\":{\"include_usage\":true}}";
    static const char without[] = "{\"messages\":[],\"stream\":true,\"max_tokens\":3}";
    static const int want[3][2] = {[NULLSERVER_USAGE_LAST] = {1, 0},
                                   [NULLSERVER_USAGE_EVERY] = {5, 5},
                                   [NULLSERVER_USAGE_NONE] = {0, 0}};
    for (int u = 0; u < 3; u++) {
        struct nullserver_options o = nullserver_defaults();
        struct server v;
        o.usage = u;
        start(&v, &o);
        struct buf b = ask(v.port, CHAT, with);
        CHECK_INT(count(b.data, "\"usage\":"), want[u][0]);
        buf_free(&b);
        b = ask(v.port, CHAT, without);
        CHECK_INT(count(b.data, "\"usage\":"), want[u][1]);
        buf_free(&b);
        stop(&v);
    }
}

/* ---- faults ------------------------------------------------------------------------------- */

static struct buf ask_fault(int port, const char *fault, int *reset) {
    char *body = mem_printf("{\"model\":\"null:%s\",\"messages\":[],\"stream\":true,"
                            "\"max_tokens\":6,\"stream_options\":{\"include_usage\":true}}", fault);
    char *text = post(CHAT, body, CLOSE);
    int fd = dial(port);
    say(fd, text);
    free(body);
    free(text);
    return hear(fd, reset);
}

static void each_fault_does_what_it_says(void) {
    static const struct {
        const char *fault;
        int events;             /* with content */
        const char *has, *has_not;
    } t[] = {
        {"close=2", 2, "chunked", "0\r\n\r\n"},
        {"close", 3, "chunked", "0\r\n\r\n"},
        {"truncate=2", 2, "0\r\n\r\n", "[DONE]"},
        {"truncate=0", 0, "0\r\n\r\n", "[DONE]"},
        {"truncate=9", 6, "0\r\n\r\n", "finish_reason\":\"length"},
        {"429=1500ms", 0, "429 Too Many Requests\r\n", "data:"},
        {"429=1500ms", 0, "\r\nRetry-After: 2\r\n", "data:"},
        {"500", 0, "HTTP/1.1 500 ", "data:"},
        {"503", 0, "HTTP/1.1 503 ", "data:"},
        {"error-event=4", 4, "data: {\"error\":{", "finish_reason\":\"length"},
        {"garbage=4", 7, "\"content\":\n\n", "zzz"},
        {"empty-first", 7, "\"role\":\"assistant\",\"content\":\"\"}", "zzz"},
        {"multi", 2, "\"content\":\"The quick brown fox\"", "zzz"},
        {"multi=6", 1, "\"completion_tokens\":6", "zzz"},
        {"split", -1, "\r\n1f\r\n", "[DONE]\n\n\r\n"},
        {"crlf", 6, "\r\n\r\n: ping\r\n\r\n", "}\n\n"},
        {"no-done", 6, "\"usage\":", "[DONE]"},
        {"no-usage", 6, "[DONE]", "\"usage\":"},
        {"stall=1ms", 6, "[DONE]", "zzz"},
        {"slow-headers=1ms", 6, "[DONE]", "zzz"},
        {"multi=2,crlf,no-done", 3, "\r\n\r\n: ping", "[DONE]"},
    };
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = ask_fault(v.port, t[i].fault, NULL);
        if (t[i].events >= 0)
            CHECK_INT(count(b.data, "\"content\":"), t[i].events);
        HAS(b, t[i].has);
        HAS_NOT(b, t[i].has_not);
        if (check_bad) {
            printf("# %s\n", t[i].fault);
            break;
        }
        buf_free(&b);
    }
    int reset;
    struct buf b = ask_fault(v.port, "reset=2", &reset);
    CHECK_INT(reset, 1);
    HAS_NOT(b, "[DONE]");
    buf_free(&b);
    stop(&v);
    CHECK_INT(v.n.fault[NULLSERVER_429], 2);
    CHECK_INT(v.n.fault[NULLSERVER_RESET], 1);
    CHECK_INT(v.n.fault[NULLSERVER_MULTI], 3);
    CHECK_INT(v.n.replies, v.n.requests);
}

static void replies_in_one_piece_have_faults_too(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    struct buf b = ask(v.port, CHAT, "{\"messages\":[],\"model\":\"null:truncate\"}");
    HAS(b, "HTTP/1.1 200 ");
    HAS_NOT(b, "\"usage\"");
    buf_free(&b);
    b = ask(v.port, CHAT, "{\"messages\":[],\"model\":\"null:error-event\"}");
    HAS(b, "HTTP/1.1 500 ");
    buf_free(&b);
    b = ask(v.port, CHAT, "{\"messages\":[],\"model\":\"null:crlf\"}");
    HAS(b, "\"usage\"");
    HAS_NOT(b, "ping");
    buf_free(&b);
    stop(&v);
    CHECK_INT(v.n.fault[NULLSERVER_CRLF], 0);
    CHECK_INT(v.n.fault[NULLSERVER_TRUNCATE], 1);
}

static void never_is_never(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    char *text = post(CHAT, "{\"model\":\"null:never\",\"messages\":[]}", "");
    int fd = dial(v.port);
    say(fd, text);
    struct buf b = ask(v.port, CHAT, "{\"messages\":[]}");      /* others are served */
    HAS(b, "HTTP/1.1 200 ");
    char c;
    CHECK_INT(recv(fd, &c, 1, MSG_DONTWAIT), -1);
    close(fd);
    buf_free(&b);
    free(text);
    stop(&v);
    CHECK_INT(v.n.cancelled, 1);
    CHECK_INT(v.n.fault[NULLSERVER_NEVER], 1);
}

static void shares_are_dealt_evenly(void) {
    struct nullserver_fault f[] = {{NULLSERVER_500, -1, 0.1}, {NULLSERVER_503, -1, 0.25},
                                   {NULLSERVER_NO_USAGE, -1, 1}};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct nullserver_options o = nullserver_defaults();
        struct server v;
        o.fault = f;
        o.faults = 3;
        o.seed = seed;
        o.tokens = 1;
        start(&v, &o);
        struct buf many = {0};
        for (int i = 0; i < 200; i++) {
            char *text = post(CHAT, "{\"messages\":[]}", i == 199 ? CLOSE : "");
            buf_adds(&many, text);
            free(text);
        }
        int fd = dial(v.port);
        say(fd, many.data);
        struct buf b = hear(fd, NULL);
        int bad = count(b.data, "HTTP/1.1 500 ");
        int busy = count(b.data, "HTTP/1.1 503 ");
        CHECK(bad >= 18 && bad <= 22);
        CHECK(busy >= 48 && busy <= 52);
        CHECK_INT(count(b.data, "HTTP/1.1 200 "), 200 - bad - busy);
        CHECK_INT(count(b.data, "\"usage\""), 0);
        buf_free(&b);
        buf_free(&many);
        stop(&v);
        CHECK_INT(v.n.fault[NULLSERVER_500], bad);
        CHECK_INT(v.n.fault[NULLSERVER_503], busy);
        CHECK_INT(v.n.fault[NULLSERVER_NO_USAGE], 200);
    }
}

static void faults_are_parsed_strictly(void) {
    static const char *const bad[] = {"", "what", "reset=", "reset=x", "reset=-1", "never=1",
                                      "multi=0", "429=x", "stall=5h", "reset:", "reset:0",
                                      "reset:1.5", "reset:101%", "crlf:x", "500=3:0.5", "429=-1s"};
    struct nullserver_fault f;
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = '\0';
        CHECK_INT(nullserver_fault_parse(bad[i], &f, &err), -1);
        CHECK(strstr(err.text, "'") != NULL);
    }
    CHECK_INT(nullserver_fault_parse("stall=250ms:5%", &f, &err), 0);
    CHECK_INT(f.kind, NULLSERVER_STALL);
    CHECK_INT(f.arg, 250 * MS);
    CHECK_NEAR(f.share, 0.05, 1e-12);
    for (int k = 0; k < NULLSERVER_FAULTS; k++) {
        CHECK_INT(nullserver_fault_parse(nullserver_fault_name(k), &f, &err), 0);
        CHECK_INT(f.kind, k);
        CHECK_INT(f.arg, -1);
    }
}

/* ---- time --------------------------------------------------------------------------------- */

static int64_t elapsed(int port, const char *body) {
    int64_t start_ns = clock_ns();
    struct buf b = ask(port, "/v1/completions", body);
    HAS(b, "HTTP/1.1 200 ");
    buf_free(&b);
    return clock_ns() - start_ns;
}

static void nothing_comes_before_its_time(void) {
    static const char body[] = "{\"prompt\":\"a b c d\",\"stream\":true,\"max_tokens\":11}";
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    o.tpot_ns = 3 * MS;
    o.ttft_ns = 20 * MS;
    o.ttft_token_ns = 5 * MS;
    start(&v, &o);
    CHECK(elapsed(v.port, body) >= (20 + 4 * 5 + 10 * 3) * (int64_t)MS);
    stop(&v);
    o = nullserver_defaults();
    o.rate = 200;               /* the gate: each token takes 5 ms, whoever's it is */
    start(&v, &o);
    CHECK(elapsed(v.port, body) >= 11 * 5 * (int64_t)MS);
    stop(&v);
    o = nullserver_defaults();
    o.tpot_ns = 2 * MS;
    o.jitter = 0.5;
    o.chunk = 4;
    start(&v, &o);
    CHECK(elapsed(v.port, body) >= 10 * (int64_t)MS);
    stop(&v);
}

static void a_stall_shifts_what_was_due(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    o.tpot_ns = 10 * MS;
    o.stall_at_ns = 20 * MS;
    o.stall_for_ns = 100 * MS;
    start(&v, &o);
    CHECK(elapsed(v.port, "{\"prompt\":\"a\",\"max_tokens\":6}") >= (50 + 100) * (int64_t)MS);
    stop(&v);
    CHECK_INT(v.n.stalls, 1);
}

static void slots_are_given_in_order(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    int fd[4];
    o.slots = 1;
    o.tpot_ns = 1 * MS;
    o.requests = 4;             /* and the server ends by itself */
    start(&v, &o);
    char *text = post(CHAT, "{\"messages\":[],\"stream\":true,\"max_tokens\":50}", CLOSE);
    for (int i = 0; i < 4; i++) {
        fd[i] = dial(v.port);
        say(fd[i], text);
        if (!i)
            wait_for(fd[0], "\"content\":\"");
    }
    close(fd[1]);               /* one leaves while it waits, or is cut off */
    for (int i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        struct buf b = hear(fd[i], NULL);
        HAS(b, "[DONE]");
        buf_free(&b);
    }
    free(text);
    finish(&v);
    CHECK_INT(v.n.requests, 4);
    CHECK_INT(v.n.replies, 3);
    CHECK_INT(v.n.cancelled, 1);
}

static void slow_readers_get_everything(void) {
    struct nullserver_options o = nullserver_defaults();
    struct server v;
    start(&v, &o);
    char *text = post(CHAT, "{\"messages\":[],\"stream\":true,\"max_tokens\":100000,"
                      "\"ignore_eos\":true}", CLOSE);
    int fd = dial(v.port);
    say(fd, text);
    wait_for(fd, "\"content\":\"The\"");
    struct buf b = ask(v.port, CHAT, "{\"messages\":[]}");      /* others are served meanwhile */
    HAS(b, "HTTP/1.1 200 ");
    buf_free(&b);
    b = hear(fd, NULL);
    CHECK_INT(count(b.data, "\"content\":\""), 100000 - 1);
    HAS(b, "[DONE]");
    buf_free(&b);
    free(text);
    stop(&v);
}

static void bad_options_are_named(void) {
    struct nullserver_fault f[] = {{NULLSERVER_500, -1, 0.6}, {NULLSERVER_503, -1, 0.6}};
    struct nullserver_options o = nullserver_defaults();
    struct err err;
    o.fault = f;
    o.faults = 2;
    CHECK(!nullserver_new(&o, &err));
    CHECK(strstr(err.text, "shares") != NULL);
    o = nullserver_defaults();
    o.cache = 1;
    o.prompt_tokens = 5;
    CHECK(!nullserver_new(&o, &err));
    o = nullserver_defaults();
    o.host = "256.0.0.1";
    CHECK(!nullserver_new(&o, &err));
    CHECK(strstr(err.text, "256.0.0.1") != NULL);
    o = nullserver_defaults();
    struct nullserver *s = nullserver_new(&o, &err);
    o.port = nullserver_port(s);
    CHECK(!nullserver_new(&o, &err));           /* taken */
    CHECK(strstr(err.text, "port") != NULL);
    nullserver_free(s);
}

int main(void) {
    RUN(pipelined_requests_are_answered_in_order);
    RUN(bodies_may_be_chunked);
    RUN(large_bodies_are_waited_for);
    RUN(old_clients_get_plain_bodies);
    RUN(nonsense_is_refused);
    RUN(lengths_are_as_asked_for);
    RUN(words_of_the_input_are_counted);
    RUN(prefixes_seen_before_are_cached);
    RUN(usage_stands_where_it_should);
    RUN(each_fault_does_what_it_says);
    RUN(replies_in_one_piece_have_faults_too);
    RUN(never_is_never);
    RUN(shares_are_dealt_evenly);
    RUN(faults_are_parsed_strictly);
    RUN(nothing_comes_before_its_time);
    RUN(a_stall_shifts_what_was_due);
    RUN(slots_are_given_in_order);
    RUN(slow_readers_get_everything);
    RUN(bad_options_are_named);
    return check_done();
}
