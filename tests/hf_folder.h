/* hf_folder.h - folders of tests/hf for the tests of their readers: found, copied, broken
 *
 *     char *folder = hf_folder_copy("llama");          // in the scratch folder; caller frees
 *     hf_folder_replace(folder, "config.json", "\"silu\"", "\"relu\"");
 */
#ifndef HF_FOLDER_H
#define HF_FOLDER_H

#include "lib/quant/hf.h"
#include "tests/check.h"
#include "tests/scratch.h"

#define HF_FOLDERS "tests/hf/"

/* By tests/reference/hf_models.py. */
static const char *const hf_names[] = {
    "llama", "smollm", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "olmoe",
    "gemma3", "gemma3_vision"
};
enum { HF_NAMES = sizeof hf_names / sizeof *hf_names };

static inline char *hf_folder_path(const char *name) {
    return mem_printf(HF_FOLDERS "%s", name);
}

static inline void hf_folder_file(const char *folder, const char *file, const char *data,
                                  size_t len) {
    char *path = mem_printf("%s/%s", folder, file);
    scratch_write(path, data, len);
    free(path);
}

/* Its files, without what the tests expect. */
static inline char *hf_folder_copy(const char *name) {
    static int copies;
    char number[32];
    char *from = hf_folder_path(name);
    snprintf(number, sizeof number, "folder%d", copies++);
    char *to = scratch_path(number);
    DIR *d = opendir(from);
    if (!d || mkdir(to, 0777))
        scratch_die(to);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (*e->d_name == '.' || !strcmp(e->d_name, "expected.json") ||
            !strcmp(e->d_name, "logits.npy"))
            continue;
        char *path = mem_printf("%s/%s", from, e->d_name);
        struct buf b = scratch_read(path);
        hf_folder_file(to, e->d_name, b.data, b.len);
        buf_free(&b);
        free(path);
    }
    closedir(d);
    free(from);
    return to;
}

/* Text `was`, which must be there, becomes `is`: in its first place. */
static inline void hf_folder_replace(const char *folder, const char *file, const char *was,
                                     const char *is) {
    char *path = mem_printf("%s/%s", folder, file);
    struct buf b = scratch_read(path);
    const char *at = b.data ? memmem(b.data, b.len, was, strlen(was)) : NULL;
    struct buf out = {0};
    if (!at) {
        printf("# %s: no %s\n", path, was);
        check_bad++;
    } else {
        size_t before = (size_t)(at - b.data);
        buf_add(&out, b.data, before);
        buf_adds(&out, is);
        buf_add(&out, at + strlen(was), b.len - before - strlen(was));
        scratch_write(path, out.data, out.len);
    }
    buf_free(&out);
    buf_free(&b);
    free(path);
}

/* The folder as a GGUF of F32, in one piece. 0, or -1 with err. */
static inline int hf_folder_convert(struct source *s, const char *path, struct err *err) {
    struct gguf_writer *w = gguf_writer_new(3, 32);
    int rc = s->ops->keys(s, w, err);
    for (uint64_t i = 0; i < s->tensors; i++)
        gguf_put_tensor(w, s->tensor[i].name, 0, s->tensor[i].dims, s->tensor[i].ne);
    if (!rc)
        rc = gguf_writer_begin(w, path, err);
    for (uint64_t i = 0; !rc && i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[i];
        size_t n = (size_t)(t->rows * t->ne[0]);
        float *x = mem_array(n, sizeof *x);
        rc = s->ops->rows(s, i, 0, t->rows, x, err) ||
             gguf_writer_data(w, x, n * sizeof *x, err) ? -1 : 0;
        free(x);
    }
    if (!rc)
        rc = gguf_writer_finish(w, err);
    gguf_writer_free(w);
    return rc;
}

#endif
