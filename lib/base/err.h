/* err.h - how lib reports failure: one line of text, filled where the fault is known
 *
 * A function that can fail takes `struct err *` last and returns -1 (or NULL). The text names
 * file, place, what was expected and what was found, without a newline and without the
 * program's name. err may be NULL when the caller does not care.
 *
 *     if (len < 24)
 *         return err_set(err, "%s: %zu bytes: a GGUF header has at least 24", path, len);
 */
#ifndef ERR_H
#define ERR_H

struct err {
    char text[1024];
};

/* Formats the text (cut if too long; control characters of the arguments become '?').
 * Returns -1. */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the text that is there. Returns -1. */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
