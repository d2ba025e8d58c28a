/* hf_write_files.c - config.json, the index and the files that are copied */
#include "lib/quant/hf_write_impl.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"
#include "lib/format/jsonw.h"
#include "lib/format/zio.h"

static int write_text(const char *folder, const char *name, const struct buf *text,
                      struct err *err) {
    char *path = mem_printf("%s/%s", folder, name);
    struct outfile *f = outfile_open(path, err);
    free(path);
    if (!f)
        return -1;
    (void)!fwrite(text->data, 1, text->len, outfile_stream(f));
    return outfile_close(f, err);
}

/* Reads a file of the source; 1 when it is not there. */
static int read_text(const struct hf_write *w, const char *name, struct buf *out,
                     struct err *err) {
    char *path = mem_printf("%s/%s", w->source->path, name);
    int there = access(path, F_OK) == 0;
    int rc = there ? zio_read_all(path, out, err) : 1;
    free(path);
    return rc;
}

/* The text of the source with one member more: numbers and order of the others stay as they are. */
static int write_config(const struct hf_write *w, const struct hf_plan *p, const char *folder,
                        struct err *err) {
    struct layout_config c = {.scheme = w->scheme, .damp = w->damp,
                              .kept = (const char *const *)p->kept, .n_kept = p->n_kept};
    struct buf text = {0};
    struct buf extra = {0};
    int rc = read_text(w, "config.json", &text, err);
    if (rc) {
        buf_free(&text);
        return rc > 0 ? err_set(err, "%s/config.json: not there", w->source->path) : -1;
    }
    cJSON *doc = cJSON_Parse(text.data);
    char *end = strrchr(text.data, '}');
    if (!cJSON_IsObject(doc) || !end)
        rc = err_set(err, "%s/config.json: no JSON object", w->source->path);
    else if (cJSON_GetObjectItemCaseSensitive(doc, "quantization_config"))
        rc = err_set(err, "%s/config.json: it has a quantization_config already",
                     w->source->path);
    if (!rc) {
        while (end > text.data && strchr(" \t\r\n", end[-1]))
            end--;
        buf_add(&extra, text.data, (size_t)(end - text.data));
        buf_adds(&extra, cJSON_GetArraySize(doc) ? ",\n  \"quantization_config\": "
                                                 : "\n  \"quantization_config\": ");
        struct buf value = {0};
        w->layout->config(&c, &value);
        buf_add(&extra, value.data, value.len);
        buf_free(&value);
        buf_adds(&extra, "\n}\n");
        rc = write_text(folder, "config.json", &extra, err);
    }
    cJSON_Delete(doc);
    buf_free(&extra);
    buf_free(&text);
    return rc;
}

static int write_index(const struct hf_plan *p, const char *folder, struct err *err) {
    struct buf b = {0};
    char file[64];
    jsonw_open(&b, '{');
    jsonw_open_key(&b, "metadata", '{');
    jsonw_int(&b, "total_size", p->bytes);
    jsonw_close(&b, '}');
    jsonw_open_key(&b, "weight_map", '{');
    for (size_t k = 0; k < p->n; k++) {
        hf_plan_file(p, p->item[k].shard, file);
        jsonw_str(&b, p->item[k].name, file);
    }
    jsonw_close(&b, '}');
    jsonw_close(&b, '}');
    buf_addc(&b, '\n');
    int rc = write_text(folder, "model.safetensors.index.json", &b, err);
    buf_free(&b);
    return rc;
}

int hf_write_files(const struct hf_write *w, const struct hf_plan *p, const char *folder,
                   struct err *err) {
    static const char *const copied[] = {
        "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json", "preprocessor_config.json",
        "processor_config.json", NULL};
    if (write_config(w, p, folder, err) || (p->shards > 1 && write_index(p, folder, err)))
        return -1;
    for (int i = 0; copied[i]; i++) {
        struct buf text = {0};
        int rc = read_text(w, copied[i], &text, err);
        if (!rc)
            rc = write_text(folder, copied[i], &text, err);
        buf_free(&text);
        if (rc < 0)
            return -1;
    }
    return 0;
}
