/* hf_name.c - what a model is called, and how large it is, in the metadata
 *
 * The name is the folder's, spelled as a title; the size counts parameters, in experts as
 * "8x7B" does. Both as in llama.cpp's gguf-py (metadata.py, utility.py), without its guesses of
 * base model, version and kind of finetune from parts of the name.
 */
#include "lib/quant/hf_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A word with a capital, unless it has one already, or begins with a digit, or is a version. */
static void add_word(struct buf *b, const char *s, size_t len) {
    int lower = 0;
    int upper = 0;
    size_t version = *s == 'v';
    for (size_t i = 0; i < len; i++) {
        lower |= islower((unsigned char)s[i]) != 0;
        upper |= isupper((unsigned char)s[i]) != 0;
        version += version && i == version && (isdigit((unsigned char)s[i]) || s[i] == '.');
    }
    int title = lower && !upper && !isdigit((unsigned char)*s) && !(version > 1 && version == len);
    if (b->len)
        buf_addc(b, ' ');
    for (size_t i = 0; i < len; i++) {
        int starts = !i || !isalpha((unsigned char)s[i - 1]);
        buf_addc(b, (char)(title && starts ? toupper((unsigned char)s[i]) : s[i]));
    }
}

/* The folder's own name, of "." too. */
static char *folder_name(const char *path) {
    char *real = realpath(path, NULL);
    const char *slash = real ? strrchr(real, '/') : NULL;
    char *name = mem_strdup(slash && slash[1] ? slash + 1 : "model");
    free(real);
    return name;
}

static void put_name(const struct hf *h, struct gguf_writer *w) {
    struct buf title = {0};
    char *name = folder_name(h->source.path);
    for (const char *s = name; *s;) {
        size_t len = strcspn(s, "- ");
        if (len)
            add_word(&title, s, len);
        s += len + (s[len] != 0);
    }
    gguf_put_str(w, "general.name", title.len ? title.data : name);
    buf_free(&title);
    free(name);
}

/* Two digits at least: 4.2K, 96K, 1.1B. */
static void round_count(double n, char out[32]) {
    double scaled = n * (n > 1e12 ? 1e-12 : n > 1e9 ? 1e-9 : n > 1e6 ? 1e-6 : 1e-3);
    char suffix = n > 1e12 ? 'T' : n > 1e9 ? 'B' : n > 1e6 ? 'M' : 'K';
    char whole[32];
    snprintf(whole, sizeof whole, "%.0f", scaled);
    int digits = !strcmp(whole, "0") ? 0 : (int)strlen(whole);
    snprintf(out, 32, "%.*f%c", digits < 2 ? 2 - digits : 0, scaled, suffix);
}

static void put_size(const struct hf *h, struct gguf_writer *w) {
    double shared = 0;
    double expert = 0;
    char count[32];
    char label[64];
    int64_t experts = 0;
    for (uint64_t i = 0; i < h->source.tensors; i++) {
        const struct source_tensor *t = &h->source.tensor[i];
        double n = (double)t->rows * (double)t->ne[0];
        if (strstr(t->name, "_exps.")) {
            experts = t->ne[2];
            expert += n / (double)t->ne[2];
        } else {
            shared += n;
        }
    }
    round_count(shared + expert, count);
    if (experts)
        snprintf(label, sizeof label, "%lldx%s", (long long)experts, count);
    else
        snprintf(label, sizeof label, "%s", count);
    gguf_put_str(w, "general.size_label", label);
}

/* Settings for drawing tokens that the model's makers recommend. */
static int put_sampling(const struct hf *h, struct gguf_writer *w, struct err *err) {
    static const struct {
        const char *from, *to;
        int whole;
    } keys[] = {
        {"top_k", "general.sampling.top_k", 1},
        {"top_p", "general.sampling.top_p", 0},
        {"min_p", "general.sampling.min_p", 0},
        {"temperature", "general.sampling.temp", 0},
        {"repetition_penalty", "general.sampling.penalty_repeat", 0},
    };
    cJSON *doc;
    if (hf_read_json(h->source.path, "generation_config.json", 0, &doc, err))
        return -1;
    for (size_t i = 0; doc && i < sizeof keys / sizeof *keys; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(doc, keys[i].from);
        double x = cJSON_IsNumber(v) ? v->valuedouble : -1;
        if (x >= 0 && x <= 1e9 && keys[i].whole)
            gguf_put_int(w, keys[i].to, GGUF_I32, (int64_t)x);
        else if (x >= 0 && x <= 1e9)
            gguf_put_float(w, keys[i].to, (float)x);
    }
    cJSON_Delete(doc);
    return 0;
}

int hf_put_names(const struct hf *h, struct gguf_writer *w, struct err *err) {
    put_name(h, w);
    put_size(h, w);
    return put_sampling(h, w, err);
}
