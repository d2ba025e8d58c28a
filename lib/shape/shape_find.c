/* shape_find.c - what a --shape option names: a file of some kind, numbers, or a known model
 *
 * Files are told apart by what they hold. One that is no GGUF is read through zio, so that it may
 * be compressed or a pipe; of a run trace, which can be long, no more than the first line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "lib/format/zio.h"
#include "lib/shape/arch.h"
#include "lib/shape/fields.h"
#include "lib/shape/shape_build.h"

/* More than any description of a model takes. */
#define MOST_BYTES ((size_t)64 << 20)
#define PIECE 65536

/* Reads on until the text holds a newline (whole 0) or all of the file. */
static int read_on(struct zio *z, struct buf *text, int whole, struct err *err) {
    ssize_t n = 1;
    while (n > 0 && (whole || !text->len || !memchr(text->data, '\n', text->len))) {
        if (text->len > MOST_BYTES)
            return err_set(err, "%s: expected a description of a model, found over %zu MiB",
                           zio_name(z), MOST_BYTES >> 20);
        buf_reserve(text, PIECE);
        n = zio_read(z, text->data + text->len, PIECE, err);
        if (n < 0)
            return -1;
        text->len += (size_t)n;
        if (text->len && text->data[0] != '{' && !strchr(" \t\r\n", text->data[0]))
            return 0;
    }
    return 0;
}

/* Is the first line a run record? */
static int is_run(const char *line, size_t len) {
    cJSON *doc = cJSON_ParseWithLength(line, len);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "type"));
    int run = type && !strcmp(type, "run");
    cJSON_Delete(doc);
    return run;
}

static struct shape *from_text(const char *path, struct zio *z, struct buf *text,
                               struct err *err) {
    if (read_on(z, text, 0, err) < 0)
        return NULL;
    if (!text->len || (text->data[0] != '{' && !strchr(" \t\r\n", text->data[0]))) {
        err_set(err, "%s: expected GGUF, a config.json or a run trace, found %s", path,
                text->len ? "something else" : "an empty file");
        return NULL;
    }
    const char *newline = memchr(text->data, '\n', text->len);
    size_t line = newline ? (size_t)(newline - text->data) : text->len;
    if (is_run(text->data, line))
        return shape_from_run(path, text->data, line, err);
    if (read_on(z, text, 1, err) < 0)
        return NULL;
    return shape_from_config(path, text->data, text->len, err);
}

static int is_gguf(const char *path) {
    char magic[4] = {0};
    struct stat st;
    FILE *f = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    if (!f)
        return 0;
    size_t n = fread(magic, 1, sizeof magic, f);
    fclose(f);
    return n == sizeof magic && !memcmp(magic, "GGUF", sizeof magic);
}

static struct shape *from_gguf(const char *path, struct err *err) {
    struct gguf *g = gguf_open(path, err);
    struct shape *s = g ? shape_count_gguf(g, err) : NULL;
    gguf_close(g);
    return s;
}

static struct shape *from_file(const char *path, struct err *err) {
    if (is_gguf(path))
        return from_gguf(path, err);
    struct zio *z = zio_open_read(path, err);
    if (!z)
        return NULL;
    struct buf text = {0};
    struct shape *s = from_text(path, z, &text, err);
    buf_free(&text);
    zio_close(z, NULL);
    return s;
}

static struct shape *from_folder(const char *path, struct err *err) {
    size_t n = strlen(path);
    char *file = mem_printf("%s%sconfig.json", path, n && path[n - 1] == '/' ? "" : "/");
    struct shape *s = from_file(file, err);
    free(file);
    return s;
}

static struct shape *from_table(const struct shape_dims *d, struct err *err) {
    struct shape *s = shape_build(d, err);
    if (!s || !shape_weigh(s, d, err))
        return s;
    shape_free(s);
    return NULL;
}

static void say_unknown(const char *spec, struct err *err) {
    struct buf names = {0};
    for (const char *const *n = shape_names(); *n; n++)
        buf_printf(&names, "%s%s", names.len ? ", " : "", *n);
    err_set(err, "%s: expected a GGUF file, a config.json or its folder, a run trace, "
            "layers=N,d_model=N,heads=N,..., or a known model: %s", spec, names.data);
    buf_free(&names);
}

struct shape *shape_find(const char *spec, struct err *err) {
    const struct shape_dims *known = shape_table_find(spec);
    const char *slash = strrchr(spec, '/');
    struct stat st;
    if (known)
        return from_table(known, err);
    if (stat(spec, &st) == 0)
        return S_ISDIR(st.st_mode) ? from_folder(spec, err) : from_file(spec, err);
    if (errno != ENOENT && errno != ENOTDIR) {
        err_set(err, "%s: %s", spec, strerror(errno));
        return NULL;
    }
    if (strchr(spec, '='))
        return shape_from_numbers(spec, err);
    known = slash ? shape_table_find(slash + 1) : NULL;
    if (known)
        return from_table(known, err);
    say_unknown(spec, err);
    return NULL;
}
