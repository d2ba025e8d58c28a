/* fields.h - checked values out of a JSON object: config.json and its kin
 *
 *     struct fields f = {.object = doc, .where = "config.json", .err = err};
 *     int layers = (int)fields_int(&f, "num_hidden_layers", 1, 10000);
 *     int kv = (int)fields_int_or(&f, "num_key_value_heads", heads, 1, 10000);
 *     if (f.failed) ...
 *
 * Failures stick, as in arch.h: the first is kept in err ("config.json: num_hidden_layers:
 * expected 1 to 10000, found none"), later reads return their smallest value without looking. A
 * value of null counts as absent.
 */
#ifndef FIELDS_H
#define FIELDS_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "lib/base/err.h"

struct fields {
    const cJSON *object;        /* borrowed */
    const char *where;          /* file, or "file: key" of an object within */
    int failed;
    struct err *err;
};

void fields_fail(struct fields *f, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* NULL: absent. */
const cJSON *fields_get(const struct fields *f, const char *key);
/* The first of keys (ended by NULL) that is there, or the first of all. */
const char *fields_first(const struct fields *f, const char *const *keys);
/* A whole number in [min, max]. */
int64_t fields_int(struct fields *f, const char *key, int64_t min, int64_t max);
int64_t fields_int_or(struct fields *f, const char *key, int64_t def, int64_t min, int64_t max);
/* One number for all, or an array of n: out[n]. */
void fields_ints_or(struct fields *f, const char *key, int64_t def, int64_t min, int64_t max,
                    int64_t *out, int n);
/* A finite number in [min, max]. */
double fields_number(struct fields *f, const char *key, double min, double max);
double fields_number_or(struct fields *f, const char *key, double def, double min, double max);
int fields_bool_or(struct fields *f, const char *key, int def);
/* Borrowed from the document. */
const char *fields_text_or(struct fields *f, const char *key, const char *def);

/* Parses one document. NULL with "path: byte 17: ..." */
cJSON *fields_parse(const char *path, const char *text, size_t len, struct err *err);

#endif
