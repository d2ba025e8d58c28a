/* err.c - the one-line error text of lib, see err.h */
#include "lib/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names and strings in messages come from hostile files: nothing of them may steer a terminal. */
static void clean(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 32 || *s == 127)
            *s = '?';
}

int err_set(struct err *err, const char *fmt, ...) {
    if (!err)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    clean(err->text);
    return -1;
}

int err_prefix(struct err *err, const char *fmt, ...) {
    if (!err)
        return -1;
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", err->text);
    memcpy(err->text, text, sizeof text);
    clean(err->text);
    return -1;
}
