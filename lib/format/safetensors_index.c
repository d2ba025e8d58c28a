/* safetensors_index.c - which files of a folder hold a model's tensors
 *
 * model.safetensors.index.json maps every tensor to its file ("weight_map"); index and files must
 * agree. Without one the folder holds model.safetensors, or any *.safetensors.
 */
#include "lib/format/safetensors_impl.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/format/jsonr.h"
#include "lib/format/zio.h"

#define MAX_INDEX ((size_t)1 << 28)      /* bytes; the largest models have 10 MB */
#define MAX_FILES 4096          /* the largest models have hundreds */

/* Names of files, and which tensors the index puts where. */
struct index {
    char **file;
    size_t files;
    char **tensor;              /* [tensors] */
    size_t *home;               /* [tensors] index into file as first met */
    size_t tensors;
};

static void free_index(struct index *x) {
    for (size_t i = 0; i < x->files; i++)
        free(x->file[i]);
    for (size_t i = 0; i < x->tensors; i++)
        free(x->tensor[i]);
    free(x->file);
    free(x->tensor);
    free(x->home);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t add_file(struct index *x, const char *name, size_t len) {
    for (size_t i = x->files; i-- > 0;)         /* neighbours are mostly in the same file */
        if (strlen(x->file[i]) == len && !memcmp(x->file[i], name, len))
            return i;
    x->file = mem_grow(x->file, x->files + 1, sizeof *x->file);
    x->file[x->files] = mem_strndup(name, len);
    return x->files++;
}

static int read_weight_map(struct jsonr *r, struct index *x) {
    struct jsonr_text key;
    struct jsonr_text file;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        size_t at = x->tensors++;
        x->tensor = mem_grow(x->tensor, x->tensors, sizeof *x->tensor);
        x->home = mem_grow(x->home, x->tensors, sizeof *x->home);
        x->tensor[at] = mem_strndup(key.data, key.len);
        if (jsonr_str(r, &file))
            return -1;
        if (!file.len || memchr(file.data, '/', file.len) || memchr(file.data, 0, file.len) ||
            *file.data == '.' || x->files == MAX_FILES)
            return jsonr_fail(r, "expected the name of a file in this folder");
        x->home[at] = add_file(x, file.data, file.len);
    }
    return rc;
}

static int read_index(const char *path, struct index *x, struct err *err) {
    struct buf text = {0};
    struct jsonr r;
    struct jsonr_text key;
    int found = 0;
    int rc;
    if (zio_read_small(path, MAX_INDEX, &text, err)) {
        buf_free(&text);
        return -1;
    }
    jsonr_begin(&r, path, text.data ? text.data : "", text.len, err);
    rc = jsonr_enter(&r, '{');
    while (!rc && jsonr_key(&r, &key) > 0) {
        if (!jsonr_is(&key, "weight_map")) {
            rc = jsonr_skip(&r);
        } else if (found++) {
            rc = jsonr_fail(&r, "a second weight_map");
        } else {
            rc = read_weight_map(&r, x);
        }
    }
    rc |= jsonr_end(&r);
    buf_free(&text);
    if (!rc && !x->tensors)
        rc = err_set(err, "%s: expected a weight_map with tensors, found none", path);
    return rc;
}

/* Every *.safetensors. */
static int list_files(const char *path, struct index *x, struct err *err) {
    static const char suffix[] = ".safetensors";
    DIR *d = opendir(path);
    struct dirent *e;
    if (!d)
        return err_set(err, "%s: %s", path, strerror(errno));
    while ((e = readdir(d))) {
        size_t len = strlen(e->d_name);
        if (len >= sizeof suffix && *e->d_name != '.' && x->files < MAX_FILES &&
            !strcmp(e->d_name + len - (sizeof suffix - 1), suffix))
            add_file(x, e->d_name, len);
    }
    closedir(d);
    if (!x->files)
        return err_set(err, "%s: expected safetensors files, found none", path);
    return 0;
}

/* The index and the files must tell the same of every tensor. */
static int check_index(const struct st_set *s, const struct index *x, const char *path,
                       struct err *err) {
    size_t n = (size_t)s->entries;
    char **have = mem_array(n + 1, sizeof *have);
    int rc = 0;
    for (size_t i = 0; i < n; i++)
        have[i] = mem_printf("%s\n%s", s->entry[i].tensor.name,
                             strrchr(s->part[s->entry[i].tensor.part].name, '/') + 1);
    qsort(have, n, sizeof *have, by_name);
    for (size_t i = 0; !rc && i < x->tensors; i++) {
        char *want = mem_printf("%s\n%s", x->tensor[i], x->file[x->home[i]]);
        if (!bsearch(&want, have, n, sizeof *have, by_name))
            rc = err_set(err, "%s: expected tensor \"%.80s\" in %s, not found", path,
                         x->tensor[i], x->file[x->home[i]]);
        free(want);
    }
    if (!rc && n != x->tensors)
        rc = err_set(err, "%s: %zu tensors, found %zu in the files", path, x->tensors, n);
    for (size_t i = 0; i < n; i++)
        free(have[i]);
    free(have);
    return rc;
}

int st_open_folder(struct st_set *s, const char *path, struct err *err) {
    struct index x = {0};
    char *index = mem_printf("%s/model.safetensors.index.json", path);
    char *whole = mem_printf("%s/model.safetensors", path);
    int rc = 0;
    int indexed = !access(index, F_OK);
    if (indexed)
        rc = read_index(index, &x, err);
    else if (!access(whole, F_OK))
        add_file(&x, "model.safetensors", strlen("model.safetensors"));
    else
        rc = list_files(path, &x, err);
    /* By name, as the files of a split are numbered; home keeps meaning x.file. */
    char **order = mem_array(x.files + 1, sizeof *order);
    for (size_t i = 0; i < x.files; i++)
        order[i] = x.file[i];
    qsort(order, x.files, sizeof *order, by_name);
    for (size_t i = 0; !rc && i < x.files; i++) {
        char *file = mem_printf("%s/%s", path, order[i]);
        rc = st_map(s, file, err) || st_read_header(s, s->parts - 1, err) ? -1 : 0;
        free(file);
    }
    if (!rc && indexed)
        rc = check_index(s, &x, index, err);
    free(order);
    free(index);
    free(whole);
    free_index(&x);
    return rc;
}
