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
    char prefix[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix - 2, fmt, ap);
    va_end(ap);
    strcat(prefix, ": ");
    size_t before = strlen(prefix);
    size_t room = sizeof err->text - 1 - before;
    size_t len = strlen(err->text);
    if (len > room)
        len = room;
    memmove(err->text + before, err->text, len);
    memcpy(err->text, prefix, before);
    err->text[before + len] = '\0';
    clean(err->text);
    return -1;
}
