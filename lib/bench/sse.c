/* sse.c - server-sent events out of a byte stream, see sse.h
 *
 * A stream of tokens is mostly events of one line in one piece: their line feeds are found with
 * memchr, and the event is a slice of the bytes fed. Only what is cut by the end of the bytes, or
 * has several data lines, is copied. Where the next LF and the next CR are is remembered, so each
 * byte is looked at twice however the lines end.
 */
#include "lib/bench/sse.h"

#include <string.h>

void sse_feed(struct sse *s, const char *bytes, size_t n) {
    s->at = bytes;
    s->end = bytes + n;
    s->lf = s->cr = NULL;
}

static const char *find(const char *known, const struct sse *s, char c) {
    if (known && known >= s->at)
        return known;
    const char *p = memchr(s->at, c, (size_t)(s->end - s->at));
    return p ? p : s->end;
}

/* The LF or CR that ends the line at s->at; s->end: it has not come. */
static const char *line_end(struct sse *s) {
    s->lf = find(s->lf, s, '\n');
    s->cr = find(s->cr, s, '\r');
    return s->lf < s->cr ? s->lf : s->cr;
}

/* The event's data so far goes into memory of our own. */
static void keep(struct sse *s) {
    if (!s->in_place)
        return;
    s->in_place = 0;
    s->data.len = 0;
    buf_add(&s->data, s->line, s->line_len);
}

static void add_data(struct sse *s, const char *value, size_t len) {
    if (!s->lines++) {
        s->in_place = 1;
        s->line = value;
        s->line_len = len;
        return;
    }
    keep(s);
    buf_addc(&s->data, '\n');
    buf_add(&s->data, value, len);
}

/* Is there an event, now that it has ended? One with no data but a single empty line is none. */
static int dispatch(struct sse *s, struct sse_event *out) {
    int64_t lines = s->lines;
    *out = s->in_place ? (struct sse_event){s->line, s->line_len}
                       : (struct sse_event){s->data.data, s->data.len};
    s->lines = 0;
    s->in_place = 0;
    return lines > 1 || (lines == 1 && out->len > 0);
}

/* A line without its end. 1: an event ended with it. */
static int take_line(struct sse *s, const char *line, size_t len, struct sse_event *out) {
    if (!s->started) {
        s->started = 1;
        if (len >= 3 && !memcmp(line, "\xEF\xBB\xBF", 3)) {
            line += 3;
            len -= 3;
        }
    }
    if (!len)
        return dispatch(s, out);
    if (len < 4 || memcmp(line, "data", 4) || (len > 4 && line[4] != ':'))
        return 0;
    size_t skip = len == 4 ? 4 : len > 5 && line[5] == ' ' ? 6 : 5;
    add_data(s, line + skip, len - skip);
    return 0;
}

/* The bytes fed end here: what is still needed of them is copied. The event's line first, as it
 * may stand in carry's memory. */
static int stash(struct sse *s) {
    size_t rest = (size_t)(s->end - s->at);
    keep(s);
    if (rest)
        buf_add(&s->carry, s->at, rest);
    s->at = s->end;
    return s->carry.len > SSE_MOST || (s->lines && s->data.len > SSE_MOST) ? -1 : 0;
}

int sse_next(struct sse *s, struct sse_event *out) {
    while (s->at < s->end) {
        if (s->after_cr) {
            s->after_cr = 0;
            s->at += *s->at == '\n';
            continue;
        }
        const char *end = line_end(s);
        if (end == s->end)
            break;
        const char *line = s->at;
        size_t len = (size_t)(end - line);
        s->at = end + 1;
        s->after_cr = *end == '\r';
        if (s->carry.len) {
            buf_add(&s->carry, line, len);
            line = s->carry.data;
            len = s->carry.len;
            s->carry.len = 0;           /* its bytes stay until stash */
        }
        if (take_line(s, line, len, out))
            return 1;
        if (s->lines > 1 && s->data.len > SSE_MOST)
            return -1;
    }
    return stash(s);
}

int sse_finish(struct sse *s, struct sse_event *out) {
    keep(s);
    if (s->carry.len) {
        size_t len = s->carry.len;
        s->carry.len = 0;
        take_line(s, s->carry.data, len, out);
    }
    return dispatch(s, out);
}

void sse_reset(struct sse *s) {
    s->at = s->end = s->lf = s->cr = s->line = NULL;
    s->data.len = s->carry.len = s->line_len = 0;
    s->lines = 0;
    s->in_place = s->after_cr = s->started = 0;
}

void sse_free(struct sse *s) {
    buf_free(&s->data);
    buf_free(&s->carry);
}
