/* sse.h - server-sent events out of a byte stream (WHATWG HTML, "Server-sent events", 9.2.6)
 *
 *     struct sse s = {0};
 *     sse_feed(&s, bytes, n);                  // as they come, cut anywhere; borrowed
 *     while ((rc = sse_next(&s, &event)) == 1)
 *         use(event.data, event.len);          // until the next call
 *     ...
 *     if (sse_finish(&s, &event) == 1) ...     // the stream has ended
 *     sse_free(&s);
 *
 * An event is its data lines joined by '\n'. Lines end in LF, CR or CRLF; comments, a byte order
 * mark at the start and the fields event, id and retry are passed over; an event without data is
 * none. An event of one data line that stands whole in the bytes fed is not copied.
 */
#ifndef SSE_H
#define SSE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define SSE_MOST ((size_t)16 << 20)     /* bytes of an event; a longer one is an error */

struct sse_event {
    const char *data;           /* [len], not NUL-terminated */
    size_t len;
};

struct sse {                    /* {0} is the start of a stream; its members are sse.c's own */
    const char *at, *end;       /* bytes fed and not yet looked at */
    const char *lf, *cr;        /* the next of each at or behind at; end: none; NULL: not known */
    const char *line;           /* the one data line of the event, in place ... */
    size_t line_len;
    struct buf data;            /* ... or its lines, joined */
    struct buf carry;           /* a line whose end has not come yet */
    int64_t lines;              /* data lines of the event so far */
    int in_place;
    int after_cr;               /* a LF now would belong to the CR before it */
    int started;                /* the first line has been seen */
};

/* Bytes behind those fed before, all of which sse_next has taken. Borrowed until sse_next
 * returns 0. */
void sse_feed(struct sse *s, const char *bytes, size_t n);
/* 1: an event, whose data lives until the next call; 0: more bytes are needed; -1: the event is
 * longer than SSE_MOST. */
int sse_next(struct sse *s, struct sse_event *out);
/* At the end of the stream: the event that no empty line has closed, 1 or 0. The standard drops
 * it; a server that forgets the last line feed is common, and the caller knows whether the data is
 * whole. */
int sse_finish(struct sse *s, struct sse_event *out);
void sse_reset(struct sse *s);          /* for another stream; keeps its memory */
void sse_free(struct sse *s);

#endif
