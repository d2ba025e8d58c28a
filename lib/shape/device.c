/* device.c - device profiles: the reader, the writer, and what follows from the numbers */
#include "lib/shape/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/format/jsonw.h"
#include "lib/format/zio.h"
#include "lib/shape/device_table.h"
#include "lib/shape/fields.h"

#define MOST_BYTES ((size_t)1 << 24)    /* of a file */
#define MOST 1e24                       /* of any number in it */

/* ---- reading ---------------------------------------------------------------------------- */

static void read_text(struct fields *f, const char *key, char *out, size_t size) {
    const char *text = fields_text_or(f, key, "");
    if (strlen(text) >= size)
        fields_fail(f, key, "expected at most %zu bytes, found %zu", size - 1, strlen(text));
    snprintf(out, size, "%s", text);
}

/* A name is needed, and none stands twice: size is that of an element of list[n]. */
static void read_name(struct fields *f, const char *key, char *out, size_t out_size,
                      const void *list, int n, size_t size) {
    read_text(f, key, out, out_size);
    if (!*out)
        fields_fail(f, key, "expected a name, found none");
    for (int i = 0; i < n; i++)
        if (!strcmp((const char *)list + (size_t)i * size, out))
            fields_fail(f, key, "expected another name than before, found %s again", out);
}

/* Above 0: the smallest number that is. */
static double read_rate(struct fields *f, const char *key) {
    return fields_number(f, key, 1e-300, MOST);
}

static void read_compute(struct fields *f, struct device *d) {
    struct device_compute *c = &d->compute[d->computes];
    read_name(f, "type", c->type, sizeof c->type, d->compute, d->computes, sizeof *c);
    c->flops_per_s = read_rate(f, "flops_per_s");
    c->achieved = fields_number_or(f, "achieved", 1, 1e-9, 1);
    d->computes++;
}

static void read_memory(struct fields *f, struct device *d) {
    struct device_memory *m = &d->memory[d->memories];
    read_name(f, "name", m->name, sizeof m->name, d->memory, d->memories, sizeof *m);
    m->capacity_bytes = fields_number(f, "capacity_bytes", 1, MOST);
    m->read_bytes_per_s = read_rate(f, "read_bytes_per_s");
    m->write_bytes_per_s = fields_get(f, "write_bytes_per_s") ? read_rate(f, "write_bytes_per_s")
                                                              : m->read_bytes_per_s;
    m->latency_s = fields_number_or(f, "latency_s", 0, 0, 1e6);
    m->achieved = fields_number_or(f, "achieved", 1, 1e-9, 1);
    d->memories++;
}

static void read_link(struct fields *f, struct device *d) {
    struct device_link *l = &d->link[d->links];
    read_name(f, "name", l->name, sizeof l->name, d->link, d->links, sizeof *l);
    l->bytes_per_s = read_rate(f, "bytes_per_s");
    l->latency_s = fields_number_or(f, "latency_s", 0, 0, 1e6);
    d->links++;
}

/* Each object of the array goes to read(), with its place for messages: "FILE: memory[1]". */
static void read_list(struct fields *f, const char *key, struct device *d,
                      void (*read)(struct fields *f, struct device *d)) {
    const cJSON *list = fields_get(f, key);
    const cJSON *item = NULL;
    int i = 0;
    if (list && !cJSON_IsArray(list))
        fields_fail(f, key, "expected an array of objects, found something else");
    if (cJSON_GetArraySize(list) > DEVICE_MAX)
        fields_fail(f, key, "expected at most %d entries, found %d", DEVICE_MAX,
                    cJSON_GetArraySize(list));
    cJSON_ArrayForEach(item, list) {
        if (f->failed)
            return;
        char *where = mem_printf("%s: %s[%d]", f->where, key, i++);
        struct fields entry = {.object = item, .where = where, .err = f->err};
        if (cJSON_IsObject(item))
            read(&entry, d);
        else
            fields_fail(f, key, "expected objects, found something else at place %d", i - 1);
        f->failed |= entry.failed;
        free(where);
    }
}

/* Of "measured". A level without a rate is one that no figure lies in: it is left out. */
static void read_cache(struct fields *f, struct device *d) {
    if (d->caches == DEVICE_CACHES || !fields_get(f, "read_bytes_per_s"))
        return;
    struct device_cache *c = &d->cache[d->caches];
    read_name(f, "name", c->name, sizeof c->name, d->cache, d->caches, sizeof *c);
    c->bytes = fields_number(f, "total_bytes", 1, MOST);
    c->read_bytes_per_s = read_rate(f, "read_bytes_per_s");
    d->caches++;
}

static void read_measured(struct fields *f, struct device *d) {
    const cJSON *measured = fields_get(f, "measured");
    if (!cJSON_IsObject(measured) || f->failed)
        return;
    char *where = mem_printf("%s: measured", f->where);
    struct fields inner = {.object = measured, .where = where, .err = f->err};
    d->barrier_s = fields_number_or(&inner, "barrier_s", 0, 0, 1e6);
    read_list(&inner, "cache", d, read_cache);
    f->failed |= inner.failed;
    free(where);
}

static void read_power(struct fields *f, struct device *d) {
    d->idle_w = fields_number_or(f, "idle_w", 0, 0, MOST);
    d->max_w = fields_number_or(f, "max_w", 0, 0, MOST);
    if (d->max_w > 0 && d->idle_w > d->max_w)
        fields_fail(f, "idle_w", "expected at most max_w, %g, found %g", d->max_w, d->idle_w);
}

static void read_device(struct fields *f, struct device *d) {
    const char *type = fields_text_or(f, "type", "");
    if (strcmp(type, "device"))
        fields_fail(f, "type", "expected device, found %s", *type ? type : "none");
    fields_int(f, "format", 1, 1);
    read_name(f, "name", d->name, sizeof d->name, NULL, 0, 0);
    read_text(f, "date", d->date, sizeof d->date);
    read_text(f, "source", d->source, sizeof d->source);
    read_list(f, "compute", d, read_compute);
    read_list(f, "memory", d, read_memory);
    read_list(f, "link", d, read_link);
    read_power(f, d);
    read_measured(f, d);
}

struct device *device_parse(const char *path, const char *text, size_t len, struct err *err) {
    cJSON *doc = fields_parse(path, text, len, err);
    if (!doc)
        return NULL;
    struct fields f = {.object = doc, .where = path, .err = err};
    struct device *d = mem_alloc(sizeof *d);
    read_device(&f, d);
    cJSON_Delete(doc);
    if (!f.failed)
        return d;
    device_free(d);
    return NULL;
}

static struct device *read_stream(struct zio *z, struct buf *text, struct err *err) {
    ssize_t n = 1;
    while (n > 0) {
        buf_reserve(text, 1 << 16);
        n = zio_read(z, text->data + text->len, 1 << 16, err);
        if (n < 0)
            return NULL;
        text->len += (size_t)n;
        if (text->len > MOST_BYTES) {
            err_set(err, "%s: expected a device profile, found over %zu MiB", zio_name(z),
                    MOST_BYTES >> 20);
            return NULL;
        }
    }
    return device_parse(zio_name(z), text->data, text->len, err);
}

struct device *device_find(const char *spec, struct err *err) {
    const struct device *known = device_table_find(spec);
    if (known) {
        struct device *d = mem_alloc(sizeof *d);
        *d = *known;
        return d;
    }
    struct err why;
    struct zio *z = zio_open_read(spec, &why);
    if (!z) {
        struct buf names = {0};
        for (const char *const *n = device_names(); *n; n++)
            buf_printf(&names, "%s%s", names.len ? ", " : "", *n);
        err_set(err, "%s; known devices are %s", why.text, names.data);
        buf_free(&names);
        return NULL;
    }
    struct buf text = {0};
    struct device *d = read_stream(z, &text, err);
    buf_free(&text);
    zio_close(z, NULL);
    return d;
}

void device_free(struct device *d) {
    free(d);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void put_compute(struct buf *b, const struct device_compute *c) {
    jsonw_open(b, '{');
    jsonw_str(b, "type", c->type);
    jsonw_float(b, "flops_per_s", c->flops_per_s);
    jsonw_float(b, "achieved", c->achieved);
    jsonw_close(b, '}');
}

static void put_memory(struct buf *b, const struct device_memory *m) {
    jsonw_open(b, '{');
    jsonw_str(b, "name", m->name);
    jsonw_float(b, "capacity_bytes", m->capacity_bytes);
    jsonw_float(b, "read_bytes_per_s", m->read_bytes_per_s);
    jsonw_float(b, "write_bytes_per_s", m->write_bytes_per_s);
    jsonw_float(b, "latency_s", m->latency_s);
    jsonw_float(b, "achieved", m->achieved);
    jsonw_close(b, '}');
}

static void put_link(struct buf *b, const struct device_link *l) {
    jsonw_open(b, '{');
    jsonw_str(b, "name", l->name);
    jsonw_float(b, "bytes_per_s", l->bytes_per_s);
    jsonw_float(b, "latency_s", l->latency_s);
    jsonw_close(b, '}');
}

static void put_power(struct buf *b, const struct device *d) {
    if (d->idle_w > 0)
        jsonw_float(b, "idle_w", d->idle_w);
    if (d->max_w > 0)
        jsonw_float(b, "max_w", d->max_w);
}

/* What a reader keeps of the object. */
static void put_measured(struct buf *b, const struct device *d) {
    jsonw_open(b, '{');
    if (d->barrier_s > 0)
        jsonw_float(b, "barrier_s", d->barrier_s);
    jsonw_open_key(b, "cache", '[');
    for (int i = 0; i < d->caches; i++) {
        jsonw_open(b, '{');
        jsonw_str(b, "name", d->cache[i].name);
        jsonw_float(b, "total_bytes", d->cache[i].bytes);
        jsonw_float(b, "read_bytes_per_s", d->cache[i].read_bytes_per_s);
        jsonw_close(b, '}');
    }
    jsonw_close(b, ']');
    jsonw_close(b, '}');
}

int device_write(const struct device *d, const char *path, struct err *err) {
    struct buf measured = {0};
    int any = d->caches > 0 || d->barrier_s > 0;
    if (any)
        put_measured(&measured, d);
    int status = device_write_with(d, any ? "measured" : NULL, measured.data, path, err);
    buf_free(&measured);
    return status;
}

int device_write_with(const struct device *d, const char *key, const char *json, const char *path,
                      struct err *err) {
    struct buf b = {0};
    jsonw_open(&b, '{');
    jsonw_str(&b, "type", "device");
    jsonw_int(&b, "format", 1);
    jsonw_str(&b, "name", d->name);
    jsonw_str(&b, "date", d->date);
    jsonw_str(&b, "source", d->source);
    jsonw_open_key(&b, "compute", '[');
    for (int i = 0; i < d->computes; i++)
        put_compute(&b, &d->compute[i]);
    jsonw_close(&b, ']');
    jsonw_open_key(&b, "memory", '[');
    for (int i = 0; i < d->memories; i++)
        put_memory(&b, &d->memory[i]);
    jsonw_close(&b, ']');
    jsonw_open_key(&b, "link", '[');
    for (int i = 0; i < d->links; i++)
        put_link(&b, &d->link[i]);
    jsonw_close(&b, ']');
    put_power(&b, d);
    if (key)
        jsonw_raw(&b, key, json);
    jsonw_close(&b, '}');
    buf_addc(&b, '\n');

    struct zio *z = zio_open_write(path, err);
    int status = z ? zio_write(z, b.data, b.len, err) : -1;
    if (z && status < 0)
        zio_abort(z);
    else if (z)
        status = zio_close(z, err);
    buf_free(&b);
    return status;
}

/* ---- what follows ----------------------------------------------------------------------- */

double device_flops(const struct device *d, const char *type) {
    for (int i = 0; i < d->computes; i++)
        if (!strcmp(d->compute[i].type, type))
            return d->compute[i].flops_per_s * d->compute[i].achieved;
    return 0;
}

const struct device_memory *device_memory(const struct device *d, const char *name) {
    for (int i = 0; i < d->memories; i++)
        if (!strcmp(d->memory[i].name, name))
            return &d->memory[i];
    return NULL;
}

double device_read_rate(const struct device_memory *m) {
    return m->read_bytes_per_s * m->achieved;
}

double device_write_rate(const struct device_memory *m) {
    return m->write_bytes_per_s * m->achieved;
}
