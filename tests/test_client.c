/* test_client.c - lib/bench/client against a server that sends exact bytes and faults
 *
 * Every way to end has scenes of its own. Those that end by themselves are run at once, several
 * times over, through one client: none may disturb the others. Where a timeout is what is tested,
 * the server never goes on, so that it comes however slow the machine is; everywhere else the
 * client's timeouts are far away.
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>

#include "lib/base/clock.h"
#include "lib/bench/client.h"
#include "tests/check.h"
#include "tests/client_server.h"

#define SECOND ((int64_t)1000000000)
#define KEY "sk-test-0123456789abcdef"
#define BODY "{\"model\":\"m\",\"stream\":true}"

#define D(json) "data: " json "\n\n"
#define DELTA(text) \
    D("{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":" \
      "{\"content\":\"" text "\"},\"finish_reason\":null}],\"usage\":null}")
#define ROLE \
    D("{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":" \
      "\"\"},\"finish_reason\":null}]}")
#define STOP D("{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}")
#define USAGE \
    D("{\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":3," \
      "\"total_tokens\":14,\"prompt_tokens_details\":{\"cached_tokens\":8}," \
      "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}")
#define DONE D("[DONE]")

/* A scene, and what the client should make of it. */
struct expected {
    struct scene scene;
    int end, status;
    int pieces;
    const char *text;           /* NULL: not looked at */
    const char *detail;         /* has to be in it; NULL: any */
};

static char long_head[256 << 10];     /* "HTTP/1.1 200 OK", "X: aaa...": filled by main */

static const struct expected quick[] = {
    /* ---- good ends */
    {{"plain", CHUNKED, NULL,
      ROLE CUT DELTA("Hel") CUT DELTA("lo") CUT DELTA("!") CUT STOP CUT USAGE CUT DONE},
     CLIENT_OK, 200, 3, "Hello!", ""},
    {{"glued", CHUNKED, NULL, ROLE DELTA("Hel") DELTA("lo") DELTA("!") STOP USAGE DONE},
     CLIENT_OK, 200, 3, "Hello!", ""},
    {{"split", CHUNKED, NULL,
      "da" CUT "ta: {\"choices\":[{\"delta\":{\"con" CUT "tent\":\"a\\u00" CUT "e9\\" CUT "n\"}}]}"
      CUT "\n" CUT "\n" CUT DELTA("b") "data: [DO" CUT "NE]\n\n"},
     CLIENT_OK, 200, 2, "a\303\251\nb", ""},
    {{"length", LENGTH, NULL, ROLE DELTA("x") STOP DONE}, CLIENT_OK, 200, 1, "x", ""},
    {{"until-close", UNTIL_CLOSE, NULL, ROLE DELTA("x") STOP DONE}, CLIENT_OK, 200, 1, "x", ""},
    {{"crlf", CHUNKED, NULL,
      ": hello\r\n\r\nevent: x\r\nid: 7\r\ndata: {\"choices\":[{\"text\":\"one\"}]}\r\n\r" CUT
      "\n: ping\r\n\r\ndata: {\"choices\":[{\"text\":\"two\",\"finish_reason\":\"length\"}]}\r\n"
      "\r\ndata: [DONE]\r\n\r\n"}, CLIENT_OK, 200, 2, "onetwo", ""},
    {{"finish-only", CHUNKED, NULL, DELTA("x") STOP}, CLIENT_OK, 200, 1, "x", ""},
    {{"done-only", CHUNKED, NULL, DELTA("x") DONE}, CLIENT_OK, 200, 1, "x", ""},
    {{"done-unfinished", CHUNKED, NULL, DELTA("x") "data: [DONE]"}, CLIENT_OK, 200, 1, "x", ""},
    {{"done-then-reset", CHUNKED, NULL, DELTA("x") DONE RESET}, CLIENT_OK, 200, 1, NULL, ""},
    {{"done-then-hang", CHUNKED, NULL, DELTA("x") DONE HANG}, CLIENT_OK, 200, 1, "x", ""},
    {{"finish-then-close", CHUNKED, NULL, DELTA("x") STOP CLOSE}, CLIENT_OK, 200, 1, "x", ""},
    {{"whole", LENGTH, "200 OK\r\nContent-Type: application/json",
      "\n{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
      "\"assistant\",\"content\":\"all of it\"},\"finish_reason\":\"stop\"}],\"usage\":"
      "{\"prompt_tokens\":5,\"completion_tokens\":4}}"}, CLIENT_OK, 200, 1, "all of it", ""},
    {{"two-choices", CHUNKED, NULL,
      D("{\"choices\":[{\"delta\":{\"content\":\"no\"},\"index\":1}]}")
      D("{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"yes\"}},"
        "{\"index\":1,\"delta\":{\"content\":\"no\"}}]}") DONE}, CLIENT_OK, 200, 2, "yes", ""},
    {{"reasons", CHUNKED, NULL,
      D("{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\",\"content\":null}}]}")
      DELTA("42") STOP DONE}, CLIENT_OK, 200, 2, "42", ""},
    {{"tool", CHUNKED, NULL,
      D("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\","
        "\"arguments\":\"\"}}]}}]}")
      D("{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
        "\"{}\"}}]}}]}") STOP DONE}, CLIENT_OK, 200, 2, "", ""},
    {{"early-hints", RAW, NULL,
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" DELTA("x") DONE},
     CLIENT_OK, 200, 1, "x", ""},
    /* ---- statuses */
    {{"s429", LENGTH, "429 Too Many Requests\r\nRetry-After: 20",
      "{\"error\":{\"message\":\"Rate limit reached\",\"type\":\"requests\"}}"},
     CLIENT_STATUS_429, 429, 0, NULL, "HTTP 429, retry after 20: Rate limit reached"},
    {{"s401", LENGTH, "401 Unauthorized",
      "{\"error\":{\"message\":\"Incorrect API key provided: " KEY ".\"}}"},
     CLIENT_STATUS_4XX, 401, 0, NULL, "Incorrect API key provided: ***"},
    {{"s404", CHUNKED, "404 Not Found", "{\"detail\":\"Not " CUT "Found\"}"},
     CLIENT_STATUS_4XX, 404, 0, NULL, "HTTP 404: Not Found"},
    {{"s500", LENGTH, "500 Oops", "out of memory\nin line 3"},
     CLIENT_STATUS_5XX, 500, 0, NULL, "HTTP 500: out of memory in line 3"},
    {{"s503", LENGTH, "503 Busy\r\nRetry-After: 1", ""},
     CLIENT_STATUS_5XX, 503, 0, NULL, "HTTP 503, retry after 1"},
    {{"s500-cut", LENGTH, "500 Oops\r\nX: y\r\nConnection: close", "half" CLOSE},
     CLIENT_STATUS_5XX, 500, 0, NULL, "HTTP 500: half"},
    {{"s302", LENGTH, "302 Found\r\nLocation: /v1/plain", "over there"},
     CLIENT_STATUS_OTHER, 302, 0, NULL, "HTTP 302"},
    /* ---- broken off */
    {{"reset-head", RAW, NULL, "HTTP/1.1 200 OK\r\nContent-" RESET},
     CLIENT_RESET, 200, 0, NULL, NULL},
    {{"reset-first", RAW, NULL, RESET}, CLIENT_RESET, 0, 0, NULL, NULL},
    {{"close-first", RAW, NULL, CLOSE}, CLIENT_RESET, 0, 0, NULL, NULL},
    {{"reset-mid", CHUNKED, NULL, ROLE DELTA("a") CUT DELTA("b") CUT RESET},
     CLIENT_RESET, 200, -1, NULL, NULL},
    {{"cut-chunked", CHUNKED, NULL, DELTA("a") CUT DELTA("b")},
     CLIENT_TRUNCATED, 200, 2, "ab", "after 2 pieces without [DONE]"},
    {{"cut-chunked-close", CHUNKED, NULL, DELTA("a") CUT DELTA("b") CLOSE},
     CLIENT_TRUNCATED, 200, 2, "ab", NULL},
    {{"cut-close", UNTIL_CLOSE, NULL, DELTA("a") CUT DELTA("b") CUT},
     CLIENT_TRUNCATED, 200, 2, "ab", "after 2 pieces without [DONE]"},
    {{"cut-event", UNTIL_CLOSE, NULL, DELTA("a") "data: {\"choices\":[{\"del"},
     CLIENT_TRUNCATED, 200, 1, "a", "after 1 pieces"},
    {{"cut-length", RAW, NULL,
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" DELTA("a") CLOSE},
     CLIENT_TRUNCATED, 200, 1, "a", NULL},
    {{"cut-whole", RAW, NULL,
      "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"choices\":[{\"mess" CLOSE},
     CLIENT_TRUNCATED, 200, 0, "", NULL},
    /* ---- wrong */
    {{"bad-json", CHUNKED, NULL, DELTA("a") CUT D("{\"choices\":[{]}") CUT DELTA("b") DONE},
     CLIENT_MALFORMED, 200, 1, "a", "expected a key in quotes at byte 13 of 15"},
    {{"bad-json-hang", CHUNKED, NULL, DELTA("a") D("nonsense") HANG},
     CLIENT_MALFORMED, 200, 1, "a", "expected an object at byte 0"},
    {{"bad-whole", LENGTH, NULL, "{\"choices\":[}"},
     CLIENT_MALFORMED, 200, 0, "", "an object as a choice"},
    {{"bad-http", RAW, NULL, "hello, who is there?\r\n\r\n"},
     CLIENT_MALFORMED, 0, 0, NULL, NULL},
    {{"bad-chunk", RAW, NULL,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nwhat\r\n"},
     CLIENT_MALFORMED, 200, 0, NULL, NULL},
    {{"bad-key", CHUNKED, NULL, D("{\"choices\":[],                      " KEY "}")},
     CLIENT_MALFORMED, 200, 0, NULL, "near '"},
    {{"long-head", RAW, NULL, long_head}, CLIENT_MALFORMED, -1, 0, NULL, "head of the answer"},
    {{"error-event", CHUNKED, NULL,
      DELTA("a") CUT D("{\"error\":{\"message\":\"The engine\\nis dead " KEY "\",\"code\":500}}")
      DONE}, CLIENT_ERROR_EVENT, 200, 1, "a", "The engine is dead ***"},
    {{"error-hang", CHUNKED, NULL, D("{\"error\":\"no\"}") HANG},
     CLIENT_ERROR_EVENT, 200, 0, "", "no"},
    {{"error-object", CHUNKED, NULL, D("{\"object\":\"error\",\"message\":\"too long\"}")},
     CLIENT_ERROR_EVENT, 200, 0, "", "too long"},
    {{"error-whole", LENGTH, NULL, "{\"error\":{\"message\":\"m is not loaded\"}}"},
     CLIENT_ERROR_EVENT, 200, 0, "", "m is not loaded"},
    {{"empty", LENGTH, NULL, ""}, CLIENT_EMPTY, 200, 0, "", "empty body"},
    {{"empty-chunked", CHUNKED, NULL, ""}, CLIENT_EMPTY, 200, 0, "", "empty body"},
    {{"empty-done", CHUNKED, NULL, ROLE STOP USAGE DONE},
     CLIENT_EMPTY, 200, 0, "", "no text, finish_reason stop"},
    {{"comments", CHUNKED, NULL, ": one\n\n: two\n\n"}, CLIENT_TRUNCATED, 200, 0, "", NULL},
};

/* The server goes on with none of these. */
static const struct expected slow[] = {
    {{"hang", RAW, NULL, HANG}, CLIENT_TIMEOUT_FIRST, 0, 0, NULL, "no answer within"},
    {{"slow-head", RAW, NULL, "HTTP/1.1 200 OK\r\nContent-Ty" HANG},
     CLIENT_TIMEOUT_FIRST, 200, 0, NULL, "HTTP 200, but no text"},
    {{"slow-role", CHUNKED, NULL, ROLE HANG}, CLIENT_TIMEOUT_FIRST, 200, 0, NULL, "no text"},
    {{"slow-ping", CHUNKED, NULL, ": ping\n\n" CUT ": ping\n\n" HANG},
     CLIENT_TIMEOUT_FIRST, 200, 0, NULL, "no text"},
    {{"stall", CHUNKED, NULL, ROLE DELTA("a") DELTA("b") HANG},
     CLIENT_TIMEOUT_STALL, 200, 2, "ab", "after 2 pieces"},
    {{"stall-mid", CHUNKED, NULL, ROLE DELTA("a") "data: {\"choi" HANG},
     CLIENT_TIMEOUT_STALL, 200, 1, "a", "after 1 pieces"},
};

#define QUICK (sizeof quick / sizeof *quick)
#define SLOW (sizeof slow / sizeof *slow)

/* What a request's head must and ('!') must not have. */
static const struct scene checked = {"checked", CHUNKED, NULL, DELTA("good") STOP DONE};
static const struct scene models = {"models", LENGTH, "200 OK\r\nContent-Type: application/json",
                                    "{\"data\":[]}"};

static struct scene scenes[QUICK + SLOW + 2];
static struct server server = {.scene = scenes};

/* ---- a source: a list of paths ---------------------------------------------------------- */

struct list {
    const char *const *path;
    size_t n, at;
    int stream, closed_loop;    /* closed_loop: one at a time */
    size_t under_way;
    const char *body;
    size_t len;
    void (*check)(const struct client_call *call, const struct client_result *r);
    size_t done;
    int count[CLIENT_ENDS];
    struct client *stop_after_first;
};

static int next_of_list(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    struct list *l = arg;
    if (l->at == l->n)
        return -1;
    if (l->closed_loop && l->under_way) {
        *wake_ns = INT64_MAX;
        return 0;
    }
    *out = (struct client_call){.path = l->path[l->at], .body = l->body, .len = l->len,
                                .scheduled_ns = now_ns, .keep_text = 1, .stream = l->stream,
                                .user = (void *)(uintptr_t)l->at++};
    l->under_way++;
    return 1;
}

static void done_of_list(void *arg, const struct client_call *call,
                         const struct client_result *r) {
    struct list *l = arg;
    l->under_way--;
    l->done++;
    l->count[r->end]++;
    if (l->check)
        l->check(call, r);
    if (l->stop_after_first)
        client_stop(l->stop_after_first);
}

static void run_list(const struct client_options *opt, struct list *l,
                     struct client_stats *stats) {
    struct err err = {{0}};
    const struct client_source source = {next_of_list, done_of_list, l};
    struct client *c = client_new(opt, &err);
    CHECK(c != NULL);
    if (!c)
        return;
    if (!l->body && l->stream) {
        l->body = BODY;
        l->len = strlen(BODY);
    }
    CHECK_INT(client_run(c, &source, &err), 0);
    CHECK_STR(err.text, "");
    CHECK_INT(l->done, l->n);
    if (stats)
        *stats = *client_stats(c);
    client_free(c);
}

static char url[64];

static struct client_options far_away(void) {
    return (struct client_options){.url = url, .key = KEY, .connect_ns = 60 * SECOND,
                                   .first_ns = 60 * SECOND, .stall_ns = 60 * SECOND};
}

/* ---- every end -------------------------------------------------------------------------- */

static const struct expected *find_expected(const char *name) {
    for (size_t i = 0; i < QUICK; i++)
        if (!strcmp(quick[i].scene.name, name))
            return &quick[i];
    for (size_t i = 0; i < SLOW; i++)
        if (!strcmp(slow[i].scene.name, name))
            return &slow[i];
    return NULL;
}

static void check_times(const struct client_call *call, const struct client_result *r) {
    CHECK(r->scheduled_ns == call->scheduled_ns && r->begun_ns >= r->scheduled_ns);
    CHECK(r->sent_ns >= r->begun_ns);
    CHECK(r->done_ns >= r->sent_ns && r->done_ns <= clock_ns());
    CHECK((r->pieces > 0) == (r->first_ns > 0) && (r->pieces > 0) == (r->last_ns > 0));
    int64_t last = r->sent_ns;
    for (int64_t i = 0; i < r->pieces; i++) {
        CHECK(r->piece[i].ns >= last && r->piece[i].bytes > 0);
        last = r->piece[i].ns;
    }
    if (r->pieces) {
        CHECK(r->first_ns == r->piece[0].ns && r->last_ns == last);
        CHECK(r->done_ns >= r->last_ns);
    }
}

static void check_expected(const struct client_call *call, const struct client_result *r) {
    const struct expected *e = find_expected(call->path);
    int before = check_bad;
    CHECK_STR(client_end_name(r->end), client_end_name(e->end));
    if (e->status >= 0)
        CHECK_INT(r->status, e->status);
    if (e->pieces >= 0)
        CHECK_INT(r->pieces, e->pieces);
    if (e->text)
        CHECK_STR(r->text.data ? r->text.data : "", e->text);
    if (e->detail && !*e->detail)
        CHECK_STR(r->detail, "");
    else if (e->detail)
        CHECK(strstr(r->detail, e->detail) != NULL);
    if (e->end != CLIENT_OK)
        CHECK(*r->detail && !strchr(r->detail, '\n'));
    CHECK(!strstr(r->detail, KEY));
    check_times(call, r);
    if (check_bad != before)
        printf("# in scene %s: %s: %s\n", call->path, client_end_name(r->end), r->detail);
}

static void run_scenes(const struct expected *e, size_t n, size_t times,
                       const struct client_options *opt, int closed_loop) {
    const char **path = mem_array(n * times, sizeof *path);
    int want[CLIENT_ENDS] = {0};
    for (size_t i = 0; i < n * times; i++) {
        path[i] = e[i % n].scene.name;
        want[e[i % n].end]++;
    }
    struct list l = {.path = path, .n = n * times, .stream = 1, .check = check_expected,
                     .closed_loop = closed_loop};
    run_list(opt, &l, NULL);
    for (int i = 0; i < CLIENT_ENDS; i++)
        CHECK_INT(l.count[i], want[i]);
    free(path);
}

static void every_end_alone(void) {
    struct client_options opt = far_away();
    run_scenes(quick, QUICK, 1, &opt, 1);
}

static void every_end_at_once(void) {
    struct client_options opt = far_away();
    run_scenes(quick, QUICK, 4, &opt, 0);
}

static void every_timeout(void) {
    struct client_options opt = far_away();
    opt.first_ns = opt.stall_ns = SECOND / 4;
    run_scenes(slow, SLOW, 3, &opt, 0);
}

/* ---- requests and connections ----------------------------------------------------------- */

static void check_good(const struct client_call *call, const struct client_result *r) {
    CHECK_STR(r->detail, "");
    CHECK_STR(r->text.data ? r->text.data : "", "good");
    check_times(call, r);
}

/* The server answers only when the head is as it should be; 2 MB must go without asking first. */
static void heads_and_long_bodies(void) {
    struct buf body = {0};
    struct client_options opt = far_away();
    const char *const path[] = {"checked", "checked"};
    buf_adds(&body, "{\"prompt\":\"");
    while (body.len < 2000000)
        buf_adds(&body, "many words ");
    buf_adds(&body, "\"}");
    for (int k = 0; k < 2; k++) {
        struct list l = {.path = path, .n = 2, .stream = 1, .check = check_good, .body = body.data,
                         .len = k ? body.len : 2, .closed_loop = 1};
        run_list(&opt, &l, NULL);
        CHECK_INT(l.count[CLIENT_OK], 2);
    }
    buf_free(&body);
}

static void connections_are_kept(void) {
    static const char *const path[] = {"plain", "glued", "split", "length", "plain", "s429",
                                       "whole", "two-choices", "cut-chunked", "plain"};
    struct client_options opt = far_away();
    struct client_stats stats = {0};
    struct list l = {.path = path, .n = 10, .stream = 1, .check = check_expected,
                     .closed_loop = 1};
    run_list(&opt, &l, &stats);
    CHECK_INT(stats.connections, 1);
    CHECK_INT(stats.most_open, 1);
    CHECK(stats.events > 20 && stats.bytes_in > 1000 && stats.bytes_out > 1000);
    CHECK(stats.cpu_ns > 0 && stats.wall_ns >= 0);
}

static void check_model_list(const struct client_call *call, const struct client_result *r) {
    (void)call;
    CHECK_STR(client_end_name(r->end), "ok");
    CHECK_STR(r->text.data, "{\"data\":[]}");
    CHECK_INT(r->pieces, 0);
}

static void an_answer_that_is_no_stream(void) {
    static const char *const path[] = {"models", "models"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 2, .check = check_model_list, .closed_loop = 1};
    run_list(&opt, &l, NULL);
}

static void check_usage(const struct client_call *call, const struct client_result *r) {
    (void)call;
    CHECK_INT(r->input_tokens, 11);
    CHECK_INT(r->cached_tokens, 8);
    CHECK_INT(r->output_tokens, 3);
    CHECK_INT(r->reasoning_tokens, 2);
    CHECK_STR(r->finish, "stop");
    CHECK(r->piece[0].tokens == -1 && r->piece[0].bytes == 3);
}

static void usage_and_reason(void) {
    static const char *const path[] = {"plain"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 1, .stream = 1, .check = check_usage};
    run_list(&opt, &l, NULL);
}

/* ---- no connection ---------------------------------------------------------------------- */

static int wanted_end;

static void check_end(const struct client_call *call, const struct client_result *r) {
    (void)call;
    CHECK_STR(client_end_name(r->end), client_end_name(wanted_end));
    CHECK(*r->detail && !strstr(r->detail, KEY));
    CHECK_INT(r->sent_ns, 0);
}

static void run_refused(const char *to, int end, int64_t connect_ns) {
    static const char *const path[] = {"plain", "plain", "plain"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 3, .stream = 1, .check = check_end};
    opt.url = to;
    opt.connect_ns = connect_ns;
    wanted_end = end;
    run_list(&opt, &l, NULL);
    CHECK_INT(l.count[end], 3);
}

static void connection_refused(void) {
    char to[64];
    int port;
    close(server_listen(1, &port));
    snprintf(to, sizeof to, "http://127.0.0.1:%d/v1", port);
    run_refused(to, CLIENT_REFUSED, 60 * SECOND);
}

static void unknown_host(void) {
    setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    run_refused("http://no-such-host.invalid/v1", CLIENT_REFUSED, 60 * SECOND);
}

static void no_tls_there(void) {
    char to[64];
    snprintf(to, sizeof to, "https://127.0.0.1:%d/v1", server.port);
    run_refused(to, CLIENT_REFUSED, 60 * SECOND);
}

/* A listener that accepts nothing, and whose queue is full. */
static void connect_timeout(void) {
    char to[64];
    int filler[8];
    int port;
    int fd = server_listen(0, &port);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int rc = connect(filler[i], (struct sockaddr *)&a, sizeof a);
        CHECK(rc == 0 || errno == EINPROGRESS);
    }
    snprintf(to, sizeof to, "http://127.0.0.1:%d/v1", port);
    run_refused(to, CLIENT_TIMEOUT_CONNECT, SECOND / 4);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(fd);
}

/* ---- ends that the client makes --------------------------------------------------------- */

static void total_timeout(void) {
    static const char *const path[] = {"hang", "stall", "plain"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 3, .stream = 1};
    opt.total_ns = SECOND / 2;
    run_list(&opt, &l, NULL);
    CHECK(l.count[CLIENT_TIMEOUT_TOTAL] >= 2);
}

/* All was said in time; that the server does not end the answer is not held against it. */
static void total_timeout_after_the_end(void) {
    static const char *const path[] = {"done-then-hang"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 1, .stream = 1, .check = check_expected};
    opt.total_ns = SECOND / 2;
    run_list(&opt, &l, NULL);
}

/* In a process of its own: a hard limit does not come back. */
static void no_files(void) {
    static const char *const path[] = {"hang", "hang", "hang", "hang", "hang", "hang"};
    struct list l = {.path = path, .n = 6, .stream = 1, .body = BODY, .len = strlen(BODY)};
    const struct client_source source = {next_of_list, done_of_list, &l};
    struct client_options opt = far_away();
    struct err err = {{0}};
    int status = 1;
    pid_t child = fork();
    if (!child) {
        struct client *c = client_new(&opt, &err);
        int next = dup(0);
        const struct rlimit few = {(rlim_t)next + 3, (rlim_t)next + 3};
        close(next);
        int bad = setrlimit(RLIMIT_NOFILE, &few) || client_run(c, &source, &err) != -1 ||
                  !strstr(err.text, "no file descriptor is left") || l.count[CLIENT_REFUSED] > 1 ||
                  l.count[CLIENT_CANCELLED] != (int)l.done - l.count[CLIENT_REFUSED];
        client_free(c);
        _exit(bad);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

static void *stop_it(void *arg) {
    client_stop(arg);
    return NULL;
}

static void stop_from_a_thread(void) {
    static const char *const path[] = {"hang", "stall", "hang"};
    struct client_options opt = far_away();
    struct err err = {{0}};
    struct list l = {.path = path, .n = 3, .stream = 1, .body = BODY, .len = strlen(BODY)};
    const struct client_source source = {next_of_list, done_of_list, &l};
    struct client *c = client_new(&opt, &err);
    pthread_t thread;
    pthread_create(&thread, NULL, stop_it, c);
    CHECK_INT(client_run(c, &source, &err), 0);
    pthread_join(thread, NULL);
    CHECK_INT(l.count[CLIENT_CANCELLED], l.done);
    CHECK_INT(l.done, l.at);
    client_free(c);
}

/* One result stops the rest, which would never end. */
static void stop_from_a_callback(void) {
    static const char *const path[] = {"hang", "stall", "plain", "hang"};
    struct client_options opt = far_away();
    struct err err = {{0}};
    struct list l = {.path = path, .n = 4, .stream = 1, .body = BODY, .len = strlen(BODY)};
    const struct client_source source = {next_of_list, done_of_list, &l};
    struct client *c = client_new(&opt, &err);
    l.stop_after_first = c;
    CHECK_INT(client_run(c, &source, &err), 0);
    CHECK_INT(l.count[CLIENT_CANCELLED], 3);
    CHECK_INT(l.count[CLIENT_OK], 1);
    client_free(c);
}

/* ---- the source's time ------------------------------------------------------------------ */

static int64_t planned[4];

static int next_planned(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    int *at = arg;
    if (*at == 4)
        return -1;
    if (planned[*at] > now_ns) {
        *wake_ns = planned[*at];
        return 0;
    }
    *out = (struct client_call){.path = "plain", .body = BODY, .len = strlen(BODY), .stream = 1,
                                .scheduled_ns = planned[(*at)++]};
    return 1;
}

static void done_planned(void *arg, const struct client_call *call,
                         const struct client_result *r) {
    (void)arg;
    CHECK_STR(client_end_name(r->end), "ok");
    CHECK(r->begun_ns >= call->scheduled_ns);
}

static void never_before_its_time(void) {
    struct client_options opt = far_away();
    struct err err = {{0}};
    int at = 0;
    const struct client_source source = {next_planned, done_planned, &at};
    struct client *c = client_new(&opt, &err);
    for (int i = 0; i < 4; i++)
        planned[i] = clock_ns() + i * SECOND / 50 + 12345;
    CHECK_INT(client_run(c, &source, &err), 0);
    CHECK_INT(at, 4);
    CHECK(clock_ns() >= planned[3]);
    client_free(c);
}

static int next_waits(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    (void)arg;
    (void)now_ns;
    (void)out;
    *wake_ns = INT64_MAX;
    return 0;
}

static void a_source_that_waits_for_nothing(void) {
    struct client_options opt = far_away();
    struct err err = {{0}};
    const struct client_source source = {next_waits, done_planned, NULL};
    struct client *c = client_new(&opt, &err);
    CHECK_INT(client_run(c, &source, &err), -1);
    CHECK(strstr(err.text, "waits for a result") != NULL);
    client_free(c);
}

/* ---- HTTP/2 (RFC 9113) ------------------------------------------------------------------- */

enum { H2_DATA, H2_HEADERS, H2_RST = 3, H2_SETTINGS = 4 };
enum { H2_ACK = 1, H2_END_STREAM = 1, H2_END_HEADERS = 4 };

static void h2_send(int fd, int type, int flags, uint32_t stream, const char *data) {
    size_t n = strlen(data);
    char head[9] = {(char)(n >> 16), (char)(n >> 8), (char)n, (char)type, (char)flags,
                    (char)(stream >> 24), (char)(stream >> 16), (char)(stream >> 8),
                    (char)stream};
    server_send(fd, head, sizeof head);
    server_send(fd, data, n);
}

static void h2_read(int fd, unsigned char *to, size_t n) {
    if (n && recv(fd, to, n, MSG_WAITALL) != (ssize_t)n)
        _exit(0);
}

/* A request that has ended, and its stream. */
static uint32_t h2_request(int fd) {
    for (;;) {
        unsigned char h[9];
        static unsigned char data[1 << 16];
        h2_read(fd, h, sizeof h);
        size_t n = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
        h2_read(fd, data, n < sizeof data ? n : sizeof data);
        if (h[3] == H2_SETTINGS && !(h[4] & H2_ACK))
            h2_send(fd, H2_SETTINGS, H2_ACK, 0, "");
        if ((h[3] == H2_HEADERS || h[3] == H2_DATA) && h[4] & H2_END_STREAM)
            return (uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8];
    }
}

/* Every request ends in the same way, enum client_end. */
static int h2_end;

static void h2_answer(const struct server *s, int fd) {
    static const char reset[4] = {0, 0, 0, 2};      /* INTERNAL_ERROR */
    unsigned char preface[24];
    (void)s;
    h2_read(fd, preface, sizeof preface);
    h2_send(fd, H2_SETTINGS, 0, 0, "");
    for (;;) {
        uint32_t stream = h2_request(fd);
        int end = h2_end;
        /* 0x88 is ":status: 200", 8 the name ":status" with a value behind it. */
        h2_send(fd, H2_HEADERS, H2_END_HEADERS, stream,
                end == CLIENT_STATUS_5XX ? "\x08\x03" "503" : "\x88");
        if (end == CLIENT_STATUS_5XX) {
            h2_send(fd, H2_DATA, H2_END_STREAM, stream, "{\"error\":\"busy\"}");
        } else if (end == CLIENT_EMPTY) {
            h2_send(fd, H2_DATA, H2_END_STREAM, stream, DONE);
        } else {
            h2_send(fd, H2_DATA, 0, stream, DELTA("one"));
            h2_send(fd, H2_DATA, end == CLIENT_TRUNCATED ? H2_END_STREAM : 0, stream,
                    DELTA("two"));
        }
        if (end == CLIENT_OK)
            h2_send(fd, H2_DATA, H2_END_STREAM, stream, STOP USAGE DONE);
        if (end == CLIENT_RESET) {
            char head[9] = {0, 0, sizeof reset, H2_RST, 0, 0, 0, 0, (char)stream};
            server_send(fd, head, sizeof head);
            server_send(fd, reset, sizeof reset);
        }
    }
}

static void check_h2(const struct client_call *call, const struct client_result *r) {
    check_times(call, r);
    CHECK_STR(client_end_name(r->end), client_end_name(h2_end));
    if (r->end == CLIENT_OK || r->end == CLIENT_TRUNCATED)
        CHECK_STR(r->text.data, "onetwo");
    if (r->end == CLIENT_STATUS_5XX)
        CHECK_STR(r->detail, "HTTP 503: busy");
}

static void http2(void) {
    static const char *const path[] = {"a", "b", "c", "d", "e", "f"};
    static const int ends[] = {CLIENT_OK, CLIENT_TRUNCATED, CLIENT_STATUS_5XX, CLIENT_EMPTY,
                               CLIENT_RESET};
    if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2))
        SKIP("libcurl has no HTTP/2");
    for (size_t i = 0; i < 2 * sizeof ends / sizeof *ends; i++) {
        struct server h2 = {0};
        struct client_options opt = far_away();
        char to[64];
        struct list l = {.path = path, .n = 6, .stream = 1, .check = check_h2,
                         .closed_loop = i % 2};
        h2_end = ends[i / 2];
        server_start_with(&h2, h2_answer);
        snprintf(to, sizeof to, "http://127.0.0.1:%d/v1", h2.port);
        opt.url = to;
        opt.http = CLIENT_HTTP_2;
        run_list(&opt, &l, NULL);
        CHECK_INT(l.count[h2_end], 6);
        server_stop(&h2);
    }
}

/* ---- options ---------------------------------------------------------------------------- */

static void bad_options(void) {
    static const struct client_options bad[] = {
        {.url = NULL}, {.url = ""}, {.url = "ftp://127.0.0.1/"}, {.url = "127.0.0.1:80/v1"},
        {.url = "http://user:secret@127.0.0.1/v1"}, {.url = "http://127.0.0.1/v1?key=secret"},
        {.url = "http://127.0.0.1:99999/"}, {.url = "http://127.0.0.1/", .key = "secret\r\nX: y"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {{0}};
        struct client *c = client_new(&bad[i], &err);
        CHECK(c == NULL);
        CHECK(*err.text && (i == 5 || !strstr(err.text, "secret")));
        client_free(c);
    }
    client_free(NULL);
    for (int i = 0; i < CLIENT_ENDS; i++)
        CHECK(client_end_name(i) && strcmp(client_end_name(i), "unknown"));
    CHECK_STR(client_end_name(CLIENT_ENDS), "unknown");
}

/* One that is in the environment would take these requests elsewhere. */
static void no_proxy_for_the_loopback(void) {
    static const char *const path[] = {"plain"};
    struct client_options opt = far_away();
    struct list l = {.path = path, .n = 1, .stream = 1, .check = check_expected};
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    run_list(&opt, &l, NULL);
    CHECK_INT(l.count[CLIENT_OK], 1);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

static void fill_long_head(void) {
    static const char begin[] = "HTTP/1.1 200 OK\r\nX: ";
    memset(long_head, 'a', sizeof long_head - 1);
    memcpy(long_head, begin, sizeof begin - 1);
}

int main(void) {
    fill_long_head();
    for (size_t i = 0; i < QUICK; i++)
        scenes[i] = quick[i].scene;
    for (size_t i = 0; i < SLOW; i++)
        scenes[QUICK + i] = slow[i].scene;
    scenes[QUICK + SLOW] = checked;
    scenes[QUICK + SLOW + 1] = models;
    server.scenes = QUICK + SLOW + 2;
    snprintf(server.want_head, sizeof server.want_head,
             "Authorization: Bearer " KEY "\nContent-Type: application/json\n!Expect:\n"
             "!Connection: close\n");
    server_start(&server);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/", server.port);
    RUN(every_end_alone);
    RUN(every_end_at_once);
    RUN(every_timeout);
    RUN(heads_and_long_bodies);
    RUN(connections_are_kept);
    RUN(an_answer_that_is_no_stream);
    RUN(usage_and_reason);
    RUN(connection_refused);
    RUN(unknown_host);
    RUN(no_tls_there);
    RUN(connect_timeout);
    RUN(total_timeout);
    RUN(total_timeout_after_the_end);
    RUN(no_files);
    RUN(stop_from_a_thread);
    RUN(stop_from_a_callback);
    RUN(never_before_its_time);
    RUN(a_source_that_waits_for_nothing);
    RUN(http2);
    RUN(bad_options);
    RUN(no_proxy_for_the_loopback);
    server_stop(&server);
    return check_done();
}
