/* client_request.c - one request: what libcurl brings, when, and how it ends; see client_impl.h
 *
 * The hot path is on_body: libcurl calls it with what one read brought (or with each HTTP chunk of
 * it). Every piece in it gets the same time, taken when the first byte was handed over: they came
 * together, and how long the parsing takes is none of the server's business.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/utf8.h"
#include "lib/bench/client_chunk.h"
#include "lib/bench/client_impl.h"

#define WHOLE_MOST ((size_t)256 << 20)      /* bytes of an answer in one piece */
#define ERROR_MOST ((size_t)64 << 10)       /* bytes kept of an error's body */
/* How long the end of the body is waited for after [DONE]: it comes with it, or it never will. */
#define LINGER_NS ((int64_t)1000000000)

static int is_success(const struct request *r) {
    return r->result.status >= 200 && r->result.status < 300;
}

/* ---- the line about a bad end ----------------------------------------------------------- */

/* Servers repeat the key they refuse. */
static void hide_key(const char *key, struct buf *b) {
    size_t n = key ? strlen(key) : 0;
    char *at = b->data;
    while (n && (at = memmem(at, b->len - (size_t)(at - b->data), key, n)))
        memset(at, '*', n);
}

/* b as the detail: one line, cut between characters. Frees b. */
static void set_detail(struct request *r, struct buf *b) {
    char *detail = r->result.detail;
    size_t most = sizeof r->result.detail - 1;
    hide_key(r->client->key, b);
    size_t n = b->len < most ? b->len : most;
    for (size_t i = 0; i < n; i++)
        detail[i] = (unsigned char)b->data[i] < 0x20 || b->data[i] == 0x7F ? ' ' : b->data[i];
    n -= utf8_tail(detail, n);
    detail[n] = '\0';
    buf_free(b);
}

static void say(struct request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct request *r, const char *fmt, ...) {
    struct buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    if (vasprintf(&text, fmt, ap) >= 0)
        buf_adds(&b, text);
    va_end(ap);
    free(text);
    set_detail(r, &b);
}

/* ---- time ------------------------------------------------------------------------------- */

static void expect_within(struct request *r, int64_t from, int64_t ns, int late) {
    r->deadline_ns = ns < NEVER - from ? from + ns : NEVER;
    r->late = late;
    if (r->deadline_ns < r->client->deadline_ns)
        r->client->deadline_ns = r->deadline_ns;
}

int64_t request_deadline(const struct request *r, int *which) {
    *which = r->total_ns < r->deadline_ns ? CLIENT_TIMEOUT_TOTAL : r->late;
    return r->total_ns < r->deadline_ns ? r->total_ns : r->deadline_ns;
}

/* ---- what the server says --------------------------------------------------------------- */

static void add_piece(struct request *r, const struct chunk *k) {
    struct client_result *out = &r->result;
    int64_t now = r->read_ns;
    if (out->pieces == r->piece_cap) {
        r->piece_cap = r->piece_cap ? r->piece_cap * 2 : 256;
        r->piece = mem_grow(r->piece, (size_t)r->piece_cap, sizeof *r->piece);
    }
    r->piece[out->pieces++] = (struct client_piece){
        .ns = now,
        .bytes = k->bytes < INT32_MAX ? (int32_t)k->bytes : INT32_MAX,
        .tokens = k->output_tokens <= INT32_MAX ? (int32_t)k->output_tokens : -1};
    if (!out->first_ns)
        out->first_ns = now;
    out->last_ns = now;
    expect_within(r, now, r->client->opt.stall_ns, CLIENT_TIMEOUT_STALL);
}

static void note_count(int64_t found, int64_t *out) {
    if (found >= 0)
        *out = found;
}

/* An error object: nothing that follows matters. */
static void note_error(struct request *r, const struct chunk *k) {
    struct buf b = {0};
    if (k->error.data)
        chunk_unescape(&k->error, &b);
    else
        buf_adds(&b, "an error without a message");
    if (!b.len)
        buf_adds(&b, "an error with an empty message");
    set_detail(r, &b);
    r->end = CLIENT_ERROR_EVENT;
}

/* A chunk or a whole answer that was read. */
static void note_chunk(struct request *r, const struct chunk *k) {
    struct client_result *out = &r->result;
    if (k->failed) {
        note_error(r, k);
        return;
    }
    note_count(k->input_tokens, &out->input_tokens);
    note_count(k->cached_tokens, &out->cached_tokens);
    note_count(k->output_tokens, &out->output_tokens);
    note_count(k->reasoning_tokens, &out->reasoning_tokens);
    if (k->finish.data)
        snprintf(r->finish, sizeof r->finish, "%.*s",
                 k->finish.len < 32 ? (int)k->finish.len : 31, k->finish.data);
    if (k->bytes > 0)
        add_piece(r, k);
}

static int scan(struct request *r, const char *data, size_t len, struct chunk *k) {
    return chunk_scan(data, len, r->call.keep_text ? &r->result.text : NULL, k);
}

static void note_malformed(struct request *r, const char *data, size_t len,
                           const struct chunk *k) {
    size_t from = k->at < 20 ? 0 : k->at - 20;
    size_t n = len - from < 40 ? len - from : 40;
    struct buf shown = {0};
    buf_add(&shown, data, len);
    hide_key(r->client->key, &shown);       /* before a part of it is cut off */
    say(r, "expected %s at byte %zu of %zu, near '%.*s'", k->want, k->at, len, (int)n,
        shown.data + from);
    buf_free(&shown);
    r->end = CLIENT_MALFORMED;
}

/* 0, or -1: the stream is worth no more reading. */
static int take_event(struct request *r, const struct sse_event *e) {
    struct chunk k;
    r->client->stats.events++;
    if (e->len >= 6 && !memcmp(e->data, "[DONE]", 6)) {
        r->closed = 1;
    } else if (scan(r, e->data, e->len, &k)) {
        note_malformed(r, e->data, e->len, &k);
        return -1;
    } else {
        note_chunk(r, &k);
        r->closed = k.failed;
    }
    if (r->closed) {            /* it has kept to its time */
        r->total_ns = NEVER;
        expect_within(r, r->read_ns, LINGER_NS, CLIENT_OK);
    }
    return 0;
}

static int take_events(struct request *r, const char *data, size_t len) {
    struct sse_event e;
    int rc;
    sse_feed(&r->sse, data, len);
    while ((rc = sse_next(&r->sse, &e)) == 1) {
        if (take_event(r, &e))
            return -1;
        if (r->closed)
            return 0;
    }
    if (rc < 0) {
        say(r, "an event longer than %zu bytes", SSE_MOST);
        r->end = CLIENT_MALFORMED;
    }
    return rc;
}

/* An error's body is kept as far as a message of it may reach. */
static int take_whole(struct request *r, const char *data, size_t len) {
    size_t most = is_success(r) ? WHOLE_MOST : ERROR_MOST;
    size_t room = most - r->whole.len;
    buf_add(&r->whole, data, len < room ? len : room);
    if (len <= room || !is_success(r))
        return 0;
    say(r, "an answer longer than %zu bytes", WHOLE_MOST);
    r->end = CLIENT_MALFORMED;
    return -1;
}

/* A server that knows no streams answers with an object. Blanks before it may be there to keep
 * the connection alive. */
static void find_out_body(struct request *r, const char **data, size_t *len) {
    while (*len && strchr(" \t\r\n", **data) && **data) {
        ++*data;
        --*len;
    }
    if (*len)
        r->body = **data == '{' || **data == '[' ? BODY_WHOLE : BODY_EVENTS;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg) {
    struct request *r = arg;
    struct client *c = r->client;
    const char *data = bytes;
    size_t len = size * n;
    int rc = 0;
    c->stats.bytes_in += (int64_t)len;
    if (!c->read_ns)
        c->read_ns = clock_ns();
    r->read_ns = c->read_ns;
    if (r->body == BODY_UNSEEN) {
        if (r->call.stream && is_success(r)) {
            find_out_body(r, &data, &len);
        } else {
            r->body = BODY_WHOLE;
            expect_within(r, r->read_ns, c->opt.stall_ns, CLIENT_TIMEOUT_STALL);
        }
    }
    if (len && !r->closed)
        rc = r->body == BODY_EVENTS ? take_events(r, data, len) : take_whole(r, data, len);
    return rc ? 0 : size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg) {
    static const char wait[] = "retry-after:";
    struct request *r = arg;
    size_t len = size * n;
    r->client->stats.bytes_in += (int64_t)len;
    if (len > 12 && !memcmp(line, "HTTP/", 5)) {        /* "HTTP/1.1 200 OK", "HTTP/2 200" */
        const char *space = memchr(line, ' ', len);
        r->result.status = 0;
        for (const char *p = space + 1; space && p < line + len && *p >= '0' && *p <= '9'; p++)
            r->result.status = (r->result.status * 10 + *p - '0') % 1000;
    } else if (len > sizeof wait && !strncasecmp(line, wait, sizeof wait - 1)) {
        size_t from = sizeof wait - 1;
        while (from < len && line[from] == ' ')
            from++;
        while (len > from && (line[len - 1] == '\n' || line[len - 1] == '\r'))
            len--;
        snprintf(r->retry_after, sizeof r->retry_after, "%.*s",
                 len - from < 31 ? (int)(len - from) : 31, line + from);
    }
    return size * n;
}

/* The connection is there, and the request goes out next. */
static int on_ready(void *arg, char *ip, char *local_ip, int port, int local_port) {
    struct request *r = arg;
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (!r->result.sent_ns) {
        r->result.sent_ns = clock_ns();
        expect_within(r, r->result.sent_ns, r->client->opt.first_ns, CLIENT_TIMEOUT_FIRST);
    }
    return CURL_PREREQFUNC_OK;
}

/* As libcurl does it, but that no descriptor was left is no fault of the server's. */
static curl_socket_t on_socket_wanted(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct client *c = arg;
    (void)purpose;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        c->no_files = errno;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* ---- making one ready ------------------------------------------------------------------- */

/* HTTP/2 without TLS only where it was asked for: otherwise libcurl would ask for an upgrade. */
static long http_version(const struct client *c) {
    if (c->opt.http == CLIENT_HTTP_1)
        return CURL_HTTP_VERSION_1_1;
    return c->opt.http == CLIENT_HTTP_2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                        : CURL_HTTP_VERSION_2TLS;
}

/* libcurl 7.88 sets HTTP/2 up anew whenever a connection without TLS is used again, on top of what
 * is there, and the second answer is lost. */
static long spoils_connections(const struct client *c) {
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num >> 8;
    return c->opt.http == CLIENT_HTTP_2 && !c->https && version == 0x0758;
}

struct request *request_new(struct client *c) {
    struct request *r = mem_alloc(sizeof *r);
    CURL *e = curl_easy_init();
    if (!e) {
        free(r);
        return NULL;
    }
    r->client = c;
    r->easy = e;
    curl_easy_setopt(e, CURLOPT_PRIVATE, r);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->trouble);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, r);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket_wanted);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "llmutils/" LLMUTILS_VERSION);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->head);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, http_version(c));
    curl_easy_setopt(e, CURLOPT_FORBID_REUSE, spoils_connections(c));
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(c->opt.connect_ns / 1000000 + 1));
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
    if (c->hosts && !c->requests)           /* it stays in the multi handle's cache */
        curl_easy_setopt(e, CURLOPT_RESOLVE, c->hosts);
    if (c->own_host)
        curl_easy_setopt(e, CURLOPT_PROXY, "");
    if (c->opt.insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return r;
}

void request_free(struct request *r) {
    if (!r)
        return;
    curl_easy_cleanup(r->easy);
    sse_free(&r->sse);
    buf_free(&r->whole);
    buf_free(&r->result.text);
    free(r->piece);
    free(r->path);
    free(r);
}

static void set_url(struct request *r, const char *path) {
    if (r->path && !strcmp(r->path, path))
        return;
    char *url = mem_printf("%s/%s", r->client->url, path);
    curl_easy_setopt(r->easy, CURLOPT_URL, url);
    free(url);
    free(r->path);
    r->path = mem_strdup(path);
}

void request_prepare(struct request *r, const struct client_call *call, int64_t now_ns) {
    struct buf text = r->result.text;
    text.len = 0;
    if (text.data)
        *text.data = '\0';
    r->call = *call;
    r->result = (struct client_result){
        .scheduled_ns = call->scheduled_ns, .begun_ns = now_ns, .text = text,
        .input_tokens = -1, .cached_tokens = -1, .output_tokens = -1, .reasoning_tokens = -1};
    r->body = BODY_UNSEEN;
    r->whole.len = 0;
    r->closed = 0;
    r->end = -1;
    *r->finish = *r->retry_after = *r->trouble = '\0';
    sse_reset(&r->sse);
    set_url(r, call->path);
    if (call->body) {
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->len);
        curl_easy_setopt(r->easy, CURLOPT_POSTFIELDS, call->body);
    } else {
        curl_easy_setopt(r->easy, CURLOPT_HTTPGET, 1L);
    }
    int64_t total = r->client->opt.total_ns;
    r->total_ns = total > 0 && total < NEVER - now_ns ? now_ns + total : NEVER;
    if (r->total_ns < r->client->deadline_ns)
        r->client->deadline_ns = r->total_ns;
    expect_within(r, now_ns, r->client->opt.connect_ns, CLIENT_TIMEOUT_CONNECT);
}

/* ---- how it ended ----------------------------------------------------------------------- */

/* A status that is no success: "HTTP 429, retry after 5: Rate limit reached". */
static int end_of_status(struct request *r) {
    struct chunk k = {0};
    struct buf b = {0};
    int status = r->result.status;
    buf_printf(&b, "HTTP %d", status);
    if (*r->retry_after)
        buf_printf(&b, ", retry after %s", r->retry_after);
    if (r->whole.len) {
        buf_adds(&b, ": ");
        if (chunk_scan(r->whole.data, r->whole.len, NULL, &k) == 0 && k.error.data)
            chunk_unescape(&k.error, &b);
        else
            buf_add(&b, r->whole.data, r->whole.len);
    }
    set_detail(r, &b);
    return status == 429 ? CLIENT_STATUS_429
        : status >= 400 && status < 500 ? CLIENT_STATUS_4XX
        : status >= 500 && status < 600 ? CLIENT_STATUS_5XX : CLIENT_STATUS_OTHER;
}

/* Of an answer that has all it should have. */
static int end_of_complete(struct request *r) {
    if (r->result.pieces)
        return CLIENT_OK;
    say(r, "no text, %s%s", *r->finish ? "finish_reason " : "no finish_reason", r->finish);
    return CLIENT_EMPTY;
}

/* An object where a stream was asked for: one piece. */
static int end_of_whole(struct request *r) {
    struct chunk k;
    if (scan(r, r->whole.data, r->whole.len, &k)) {
        note_malformed(r, r->whole.data, r->whole.len, &k);
        return CLIENT_MALFORMED;
    }
    note_chunk(r, &k);
    return k.failed ? CLIENT_ERROR_EVENT : end_of_complete(r);
}

/* The stream ended without [DONE]. An event that only lacks its empty line counts. */
static int end_of_events(struct request *r) {
    struct sse_event e;
    struct chunk k;
    if (sse_finish(&r->sse, &e) == 1) {
        if (e.len >= 6 && !memcmp(e.data, "[DONE]", 6))
            return end_of_complete(r);
        if (chunk_scan(e.data, e.len, NULL, &k) == 0) {
            scan(r, e.data, e.len, &k);
            note_chunk(r, &k);
            if (k.failed)
                return CLIENT_ERROR_EVENT;
        }
    }
    if (*r->finish)
        return end_of_complete(r);
    say(r, "the stream ended after %lld pieces without [DONE] or a finish_reason",
        (long long)r->result.pieces);
    return CLIENT_TRUNCATED;
}

/* More header than libcurl takes: 100 kB of a line, 300 kB of all. It calls that so since 8.6. */
static int is_long_head(const struct request *r, CURLcode code) {
#if LIBCURL_VERSION_NUM >= 0x080600
    if (code == CURLE_TOO_LARGE)
        return 1;
#endif
    return code == CURLE_OUT_OF_MEMORY ||
           (code == CURLE_RECV_ERROR && strstr(r->trouble, "header"));
}

/* libcurl's reading of a body in chunks has no code of its own. */
static int is_bad_http(const struct request *r, CURLcode code) {
    return code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_UNSUPPORTED_PROTOCOL ||
           code == CURLE_BAD_CONTENT_ENCODING || is_long_head(r, code) ||
           (code == CURLE_RECV_ERROR && strstr(r->trouble, "chunk"));
}

static int end_of_trouble(struct request *r, CURLcode code) {
    if (*r->finish && r->body == BODY_EVENTS)       /* all text has come */
        return end_of_complete(r);
    say(r, "%s", is_long_head(r, code) ? "the head of the answer is too long"
                 : *r->trouble ? r->trouble : curl_easy_strerror(code));
    if (code == CURLE_OPERATION_TIMEDOUT)
        return r->late;
    if (is_bad_http(r, code))
        return CLIENT_MALFORMED;
    if (!r->result.sent_ns)
        return CLIENT_REFUSED;
    return code == CURLE_PARTIAL_FILE ? CLIENT_TRUNCATED : CLIENT_RESET;
}

static int find_end(struct request *r, CURLcode code) {
    if (r->end >= 0)
        return r->end;
    if (r->closed)
        return end_of_complete(r);
    if (r->result.status >= 300)
        return end_of_status(r);
    if (code)
        return end_of_trouble(r, code);
    if (!is_success(r))
        return end_of_status(r);
    if (!r->call.stream)
        return CLIENT_OK;
    if (r->body == BODY_WHOLE)
        return end_of_whole(r);
    if (r->body == BODY_EVENTS)
        return end_of_events(r);
    say(r, "HTTP %d with an empty body", r->result.status);
    return CLIENT_EMPTY;
}

/* What was waited for in vain. */
static void say_late(struct request *r) {
    const struct client_options *opt = &r->client->opt;
    switch (r->end) {
    case CLIENT_TIMEOUT_CONNECT:
        say(r, "no connection within %.3g s", (double)opt->connect_ns * 1e-9);
        break;
    case CLIENT_TIMEOUT_FIRST:
        if (r->result.status)
            say(r, "HTTP %d, but no text within %.3g s of sending", r->result.status,
                (double)opt->first_ns * 1e-9);
        else
            say(r, "no answer within %.3g s of sending", (double)opt->first_ns * 1e-9);
        break;
    case CLIENT_TIMEOUT_STALL:
        say(r, "nothing for %.3g s after %lld pieces", (double)opt->stall_ns * 1e-9,
            (long long)r->result.pieces);
        break;
    case CLIENT_TIMEOUT_TOTAL:
        say(r, "not done within %.3g s, %lld pieces", (double)opt->total_ns * 1e-9,
            (long long)r->result.pieces);
        break;
    case CLIENT_CANCELLED:
        say(r, "stopped after %lld pieces", (long long)r->result.pieces);
        break;
    default:
        break;
    }
}

void request_conclude(struct request *r, CURLcode code) {
    struct client_result *out = &r->result;
    struct client_stats *stats = &r->client->stats;
    long connects = 0;
    long sent = 0;
    if (r->end >= 0)
        say_late(r);
    out->end = find_end(r, code);
    if (out->end == CLIENT_OK)
        *out->detail = '\0';
    if (!r->call.stream && out->end == CLIENT_OK) {
        struct buf text = out->text;
        out->text = r->whole;
        r->whole = text;
    }
    curl_easy_getinfo(r->easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &sent);
    out->new_connection = connects > 0;
    stats->connections += connects;
    stats->bytes_out += sent;
    out->piece = r->piece;
    out->finish = *r->finish ? r->finish : NULL;
    out->done_ns = clock_ns();
}
