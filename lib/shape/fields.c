/* fields.c - checked values out of a JSON object */
#include "lib/shape/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void fields_fail(struct fields *f, const char *key, const char *fmt, ...) {
    char text[512];
    va_list ap;
    if (f->failed)
        return;
    f->failed = 1;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(f->err, "%s: %s: %s", f->where, key, text);
}

const cJSON *fields_get(const struct fields *f, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(f->object, key);
    return cJSON_IsNull(v) ? NULL : v;
}

const char *fields_first(const struct fields *f, const char *const *keys) {
    for (const char *const *k = keys; *k; k++)
        if (fields_get(f, *k))
            return *k;
    return keys[0];
}

/* What a value is, for messages. */
static const char *kind(const cJSON *v) {
    return !v                 ? "none"
           : cJSON_IsString(v) ? "a string"
           : cJSON_IsArray(v)  ? "an array"
           : cJSON_IsObject(v) ? "an object"
           : cJSON_IsBool(v)   ? "true or false"
                               : "a number";
}

static int64_t whole(struct fields *f, const char *key, const cJSON *v, int64_t min, int64_t max) {
    if (f->failed)
        return min;
    if (!cJSON_IsNumber(v))
        fields_fail(f, key, "expected a whole number, found %s", kind(v));
    else if (min == max && v->valuedouble != (double)min)
        fields_fail(f, key, "expected %lld, found %.17g", (long long)min, v->valuedouble);
    else if (!(v->valuedouble >= (double)min && v->valuedouble <= (double)max) ||
             v->valuedouble != floor(v->valuedouble))
        fields_fail(f, key, "expected %lld to %lld, found %.17g", (long long)min, (long long)max,
                    v->valuedouble);
    return f->failed ? min : (int64_t)v->valuedouble;
}

int64_t fields_int(struct fields *f, const char *key, int64_t min, int64_t max) {
    return whole(f, key, fields_get(f, key), min, max);
}

int64_t fields_int_or(struct fields *f, const char *key, int64_t def, int64_t min, int64_t max) {
    const cJSON *v = fields_get(f, key);
    return v ? whole(f, key, v, min, max) : def;
}

void fields_ints_or(struct fields *f, const char *key, int64_t def, int64_t min, int64_t max,
                    int64_t *out, int n) {
    const cJSON *v = fields_get(f, key);
    const cJSON *item = cJSON_IsArray(v) ? v->child : NULL;
    if (cJSON_IsArray(v) && cJSON_GetArraySize(v) != n)
        fields_fail(f, key, "expected %d numbers, one a layer, found %d", n,
                    cJSON_GetArraySize(v));
    for (int i = 0; i < n; i++, item = item ? item->next : NULL)
        out[i] = v ? whole(f, key, cJSON_IsArray(v) ? item : v, min, max) : def;
}

double fields_number(struct fields *f, const char *key, double min, double max) {
    const cJSON *v = fields_get(f, key);
    if (f->failed)
        return min;
    if (!cJSON_IsNumber(v))
        fields_fail(f, key, "expected a number, found %s", kind(v));
    else if (!(v->valuedouble >= min && v->valuedouble <= max))
        fields_fail(f, key, "expected %g to %g, found %g", min, max, v->valuedouble);
    return f->failed ? min : v->valuedouble;
}

double fields_number_or(struct fields *f, const char *key, double def, double min, double max) {
    return fields_get(f, key) ? fields_number(f, key, min, max) : def;
}

int fields_bool_or(struct fields *f, const char *key, int def) {
    const cJSON *v = fields_get(f, key);
    if (v && !cJSON_IsBool(v))
        fields_fail(f, key, "expected true or false, found %s", kind(v));
    return v ? cJSON_IsTrue(v) : def;
}

const char *fields_text_or(struct fields *f, const char *key, const char *def) {
    const cJSON *v = fields_get(f, key);
    if (v && !cJSON_IsString(v))
        fields_fail(f, key, "expected a string, found %s", kind(v));
    return cJSON_IsString(v) ? v->valuestring : def;
}

cJSON *fields_parse(const char *path, const char *text, size_t len, struct err *err) {
    const char *end = text;
    cJSON *doc = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    while (doc && end < text + len && (*end == ' ' || (*end >= '\t' && *end <= '\r')))
        end++;
    if (doc && cJSON_IsObject(doc) && end == text + len)
        return doc;
    err_set(err, "%s: byte %td: expected a JSON object, found %s", path, end - text,
            !doc ? "something else" : end < text + len ? "more after it" : kind(doc));
    cJSON_Delete(doc);
    return NULL;
}
