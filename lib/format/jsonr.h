/* jsonr.h - reads JSON (RFC 8259) value by value, without a tree: for files of many megabytes
 *
 *     struct jsonr r;
 *     jsonr_begin(&r, "config.json", text, len, &err);
 *     jsonr_enter(&r, '{');
 *     while (jsonr_key(&r, &key) > 0)
 *         if (jsonr_is(&key, "layers"))
 *             jsonr_int(&r, &layers);
 *         else
 *             jsonr_skip(&r);
 *     int rc = jsonr_end(&r);
 *
 * Every value must be read or skipped. Failures stick: the first is kept in err ("FILE: byte N:
 * expected ..., found ..."), later calls return -1 (kinds: 0) without looking. The text is hostile:
 * what is no JSON, no UTF-8 or nested deeper than JSONR_DEPTH is refused.
 */
#ifndef JSONR_H
#define JSONR_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

#define JSONR_DEPTH 63

struct jsonr_text {
    const char *data;           /* not NUL-terminated */
    size_t len;
};

struct jsonr {
    const char *where;
    const char *text;
    size_t len, at;
    int depth, failed;
    uint64_t object;            /* bit d: the container at depth d is an object */
    uint64_t begun;             /* bit d: it had an element */
    struct buf key, string;     /* the last ones that had escapes */
    struct err *err;
};

/* text and where are borrowed until jsonr_end. */
void jsonr_begin(struct jsonr *r, const char *where, const char *text, size_t len,
                 struct err *err);
/* Expects nothing more, and releases. 0, or -1 when anything failed before. */
int jsonr_end(struct jsonr *r);
int jsonr_fail(struct jsonr *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What the next value begins with: { [ " t f n, or 0 for a number; 0 after a failure. */
int jsonr_kind(struct jsonr *r);

/* Goes into an object or array. */
int jsonr_enter(struct jsonr *r, char bracket);
/* The next key, or the next element: 1; 0: there was none, and the container is left. A key lasts
 * until the next call at any depth. */
int jsonr_key(struct jsonr *r, struct jsonr_text *key);
int jsonr_item(struct jsonr *r);
/* An element that must be there: 0 or -1. */
int jsonr_element(struct jsonr *r);

/* Lasts until the next string. */
int jsonr_str(struct jsonr *r, struct jsonr_text *out);
/* A whole number without exponent or fraction. */
int jsonr_int(struct jsonr *r, int64_t *out);
int jsonr_float(struct jsonr *r, double *out);
int jsonr_bool(struct jsonr *r, int *out);
/* 1 and past it when the next value is null. */
int jsonr_null(struct jsonr *r);
int jsonr_skip(struct jsonr *r);

int jsonr_is(const struct jsonr_text *t, const char *word);

#endif
