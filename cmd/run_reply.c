/* run_reply.c - text that grows token by token: stop strings and whole characters
 *
 * A token may hold a part of a character, a part of a stop string, or the end of one and the
 * start of the next. So bytes wait here until it is certain that they belong to the text.
 */
#include "cmd/run.h"

#include <string.h>

#include "lib/base/utf8.h"

/* Where the first stop string begins at or after `from`, or -1. */
static ssize_t find_stop(const struct reply *r, size_t from) {
    ssize_t first = -1;
    for (int i = 0; i < r->n_stop; i++) {
        const char *at = memmem(r->text.data + from, r->text.len - from, r->stop[i],
                                strlen(r->stop[i]));
        if (at && (first < 0 || at - r->text.data < first))
            first = at - r->text.data;
    }
    return first;
}

static size_t longest_stop(const struct reply *r) {
    size_t longest = 0;
    for (int i = 0; i < r->n_stop; i++)
        longest = strlen(r->stop[i]) > longest ? strlen(r->stop[i]) : longest;
    return longest;
}

int reply_check_stop(struct reply *r, size_t added) {
    if (r->n_stop == 0 || added == 0)
        return 0;
    /* A new match ends in the added bytes, so it begins less than a stop string before them. */
    size_t back = added + longest_stop(r);
    ssize_t at = find_stop(r, r->text.len > back ? r->text.len - back : 0);
    if (at < 0)
        return 0;
    r->text.len = (size_t)at;
    r->text.data[at] = 0;
    return 1;
}

/* How many bytes at the end of s[len] are the beginning of `stop`. */
static size_t begun(const char *s, size_t len, const char *stop) {
    size_t most = strlen(stop) - 1;
    for (size_t n = most < len ? most : len; n > 0; n--) {
        if (!memcmp(s + len - n, stop, n))
            return n;
    }
    return 0;
}

size_t reply_ready(const struct reply *r, int final) {
    size_t len = r->text.len - r->shown;
    if (final || len == 0)
        return len;
    const char *s = r->text.data + r->shown;
    size_t held = 0;
    for (int i = 0; i < r->n_stop; i++) {
        size_t n = begun(s, len, r->stop[i]);
        held = n > held ? n : held;
    }
    len -= held;
    return len - utf8_tail(s, len);
}
