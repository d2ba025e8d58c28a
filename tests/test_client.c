/* test_client.c - lib/bench/client against a server that sends exact bytes and faults
 *
 * Every way to end has scenes of its own. Those that end by themselves are run at once, several
 * times over, through one client: none may disturb the others. Where a timeout is what is tested,
 * the server never goes on, so that it comes however slow the machine is; everywhere else the
 * client's timeouts are far away.
 */
#include <pthread.h>

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

int main(void) {
    for (size_t i = 0; i < QUICK; i++)
        scenes[i] = quick[i].scene;
    for (size_t i = 0; i < SLOW; i++)
        scenes[QUICK + i] = slow[i].scene;
    server.scenes = QUICK + SLOW;
    server_start(&server);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/", server.port);
    RUN(every_end_alone);
    RUN(every_end_at_once);
    RUN(every_timeout);
    server_stop(&server);
    return check_done();
}
