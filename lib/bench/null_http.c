/* null_http.c - HTTP/1 of the null server: requests out of bytes, heads of replies
 *
 * RFC 9112. Nothing is copied: a request is read where it stands, again from its first byte while
 * its head is not whole (heads are small), from where it stopped in a chunked body.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/bench/null_impl.h"
#include "lib/format/jsonw.h"

#define MOST_HEAD ((size_t)64 << 10)
#define MOST_BODY ((size_t)256 << 20)

/* ---- reading ------------------------------------------------------------------------------ */

/* METHOD SP TARGET SP HTTP/1.x */
static int read_request_line(struct null_http *h, const char *line, const char *end) {
    const char *target = memchr(line, ' ', (size_t)(end - line));
    if (!target || target == line || (size_t)(target - line) >= sizeof h->method)
        return 400;
    memcpy(h->method, line, (size_t)(target - line));
    h->method[target - line] = '\0';
    target++;
    const char *version = memchr(target, ' ', (size_t)(end - target));
    if (!version || end - version != 9 || memcmp(version, " HTTP/1.", 8) ||
        (version[8] != '0' && version[8] != '1'))
        return 400;
    h->minor = version[8] - '0';
    h->keep_alive = h->minor;
    size_t len = 0;
    while (target + len < version && target[len] != '?')
        len++;
    if (len >= sizeof h->path)
        return 414;
    memcpy(h->path, target, len);
    h->path[len] = '\0';
    return 0;
}

static int read_length(const char *p, const char *end, size_t *out) {
    size_t n = 0;
    if (p == end)
        return 400;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return 400;
        n = n * 10 + (size_t)(*p - '0');
        if (n > MOST_BODY)
            return 413;
    }
    *out = n;
    return 0;
}

/* Is word in a list that commas separate? */
static int has_word(const char *p, const char *end, const char *word) {
    size_t n = strlen(word);
    while (p < end) {
        while (p < end && (*p == ' ' || *p == ',' || *p == '\t'))
            p++;
        const char *stop = p;
        while (stop < end && *stop != ',')
            stop++;
        const char *last = stop;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if ((size_t)(last - p) == n && !strncasecmp(p, word, n))
            return 1;
        p = stop;
    }
    return 0;
}

static int read_field(struct null_http *h, const char *line, const char *end) {
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (!colon || colon == line)
        return 400;
    size_t n = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (n == 14 && !strncasecmp(line, "Content-Length", n))
        return read_length(value, end, &h->length);
    if (n == 17 && !strncasecmp(line, "Transfer-Encoding", n)) {
        h->chunked = has_word(value, end, "chunked");
        return h->chunked ? 0 : 501;
    }
    if (n == 10 && !strncasecmp(line, "Connection", n)) {
        if (has_word(value, end, "close"))
            h->keep_alive = 0;
        else if (has_word(value, end, "keep-alive"))
            h->keep_alive = 1;
    }
    if (n == 6 && !strncasecmp(line, "Expect", n))
        h->expects = has_word(value, end, "100-continue");
    return 0;
}

/* Of the line at p; the last one ends at last. */
static const char *line_end(const char *p, const char *last) {
    const char *end;
    for (; (end = memchr(p, '\r', (size_t)(last - p))); p = end + 1)
        if (end + 1 < last && end[1] == '\n')
            return end;
    return last;
}

/* The head, which ends with an empty line. */
static int read_head(struct null_http *h, const char *data, size_t len) {
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end)
        return len > MOST_HEAD ? 431 : 0;
    const char *line = data;
    const char *stop = line_end(line, end);
    int bad = read_request_line(h, line, stop);
    for (line = stop + 2; !bad && line < end; line = stop + 2) {
        stop = line_end(line, end);
        bad = read_field(h, line, stop);
    }
    if (bad)
        return bad;
    h->head = (size_t)(end + 4 - data);
    h->chunk_at = h->head;
    if (h->chunked)
        h->length = 0;
    return 1;
}

/* One chunk, or the last with its trailer. 1: more may follow; 2: the body is whole; 0: not all
 * there yet; else a status. */
static int read_chunk(struct null_http *h, char *data, size_t len) {
    char *p = data + h->chunk_at;
    char *eol = memmem(p, len - h->chunk_at, "\r\n", 2);
    char *stop;
    if (!eol)
        return len - h->chunk_at > 1024 ? 400 : 0;
    unsigned long long size = strtoull(p, &stop, 16);
    if (!isxdigit((unsigned char)*p) || (stop != eol && *stop != ';' && *stop != ' '))
        return 400;
    if (size > MOST_BODY - h->length)
        return 413;
    char *from = eol + 2;
    size_t rest = len - (size_t)(from - data);
    if (!size) {                        /* trailer fields, then an empty line */
        int none = rest >= 2 && !memcmp(from, "\r\n", 2);
        char *end = none ? from - 2 : memmem(from, rest, "\r\n\r\n", 4);
        if (!end)
            return rest > MOST_HEAD ? 431 : 0;
        h->end = (size_t)(end + 4 - data);
        return 2;
    }
    if (rest < size + 2)
        return 0;
    if (memcmp(from + size, "\r\n", 2))
        return 400;
    memmove(data + h->head + h->length, from, (size_t)size);
    h->length += (size_t)size;
    h->chunk_at = (size_t)(from - data) + (size_t)size + 2;
    return 1;
}

int null_http_read(struct null_http *h, char *data, size_t len) {
    if (!h->head) {
        *h = (struct null_http){0};
        int got = read_head(h, data, len);
        if (got != 1)
            return got;
    }
    if (!h->chunked) {
        h->end = h->head + h->length;
        return len >= h->end;
    }
    int got = 1;
    while (got == 1)
        got = read_chunk(h, data, len);
    return got == 2 ? 1 : got;
}

/* ---- answering ---------------------------------------------------------------------------- */

static const char *reason(int status) {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return "Unknown";
    }
}

/* IMF-fixdate of now. */
static const char *http_date(char out[40]) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = time(NULL);
    struct tm t;
    gmtime_r(&now, &t);
    snprintf(out, 40, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * t.tm_wday, t.tm_mday,
             months + 3 * t.tm_mon, t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    return out;
}

void null_http_head(struct null_conn *c, int status, const char *type, const char *more,
                    int64_t length) {
    char date[40];
    c->framed = length < 0 && c->http.minor > 0;
    if (length < 0 && !c->framed)
        c->keep_alive = 0;              /* HTTP/1.0: the end of the connection ends the body */
    buf_printf(&c->out, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: llm-bench-null\r\n"
               "Content-Type: %s\r\n%s", status, reason(status), http_date(date), type, more);
    if (length >= 0)
        buf_printf(&c->out, "Content-Length: %lld\r\n", (long long)length);
    else
        buf_printf(&c->out, "Cache-Control: no-store\r\n%s",
                   c->framed ? "Transfer-Encoding: chunked\r\n" : "");
    if (!c->keep_alive)
        buf_adds(&c->out, "Connection: close\r\n");
    else if (!c->http.minor)
        buf_adds(&c->out, "Connection: keep-alive\r\n");
    buf_adds(&c->out, "\r\n");
}

void null_http_reply(struct null_conn *c, int status, const char *more, const struct buf *body) {
    null_http_head(c, status, "application/json", more, (int64_t)body->len);
    if (strcmp(c->http.method, "HEAD"))
        buf_add(&c->out, body->data, body->len);
}

void null_http_error(struct null_conn *c, int status, const char *more, const char *message) {
    struct buf body = {0};
    jsonw_open(&body, '{');
    jsonw_open_key(&body, "error", '{');
    jsonw_str(&body, "message", message);
    jsonw_str(&body, "type", status == 429 ? "rate_limit_error" :
              status < 500 ? "invalid_request_error" : "server_error");
    jsonw_int(&body, "code", status);
    jsonw_close(&body, '}');
    jsonw_close(&body, '}');
    null_http_reply(c, status, more, &body);
    buf_free(&body);
}
