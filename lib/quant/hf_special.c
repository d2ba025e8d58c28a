/* hf_special.c - a folder's special tokens and chat templates under GGUF keys
 *
 * Who says which token ends a text: tokenizer_config.json by its spelling, the template in
 * tokenizer.json by putting it there, config.json by its id. Weighed as llama.cpp's gguf-py does
 * (vocab.py, SpecialVocab), so that the same keys come out.
 */
#include "lib/quant/hf_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEMPLATE ((size_t)16 << 20)

enum { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, EOM, TYPES };

static const struct {
    const char *name;           /* NAME_token, NAME_token_id, add_NAME_token */
    const char *id, *add;       /* keys; NULL: none */
} types[TYPES] = {
    [BOS] = {"bos", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token"},
    [EOS] = {"eos", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_eos_token"},
    [UNK] = {"unk", "tokenizer.ggml.unknown_token_id", NULL},
    [SEP] = {"sep", "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.add_sep_token"},
    [PAD] = {"pad", "tokenizer.ggml.padding_token_id", NULL},
    [CLS] = {"cls", "tokenizer.ggml.cls_token_id", NULL},
    [MASK] = {"mask", "tokenizer.ggml.mask_token_id", NULL},
    [EOT] = {"eot", "tokenizer.ggml.eot_token_id", NULL},
    [EOM] = {"eom", "tokenizer.ggml.eom_token_id", NULL},
};

struct special {
    const char *text[TYPES];    /* NULL: none */
    int add[TYPES];             /* 1, 0; -1: nobody says */
    int64_t id[TYPES];          /* -1: nobody says */
    int configured;             /* there is a tokenizer_config.json */
};

static const cJSON *get(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const cJSON *get_of(const cJSON *object, const char *before, int type,
                           const char *after) {
    char key[64];
    snprintf(key, sizeof key, "%s%s%s", before, types[type].name, after);
    return get(object, key);
}

/* A token is its text, or an object with a content. */
static const char *text_of(const cJSON *v) {
    if (cJSON_IsObject(v))
        v = get(v, "content");
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

static int same(const char *a, const char *b) {
    return a && b && !strcmp(a, b);
}

/* ---- the template around a text --------------------------------------------------------- */

static const char *special_at(const cJSON *list, int i) {
    const cJSON *token = get(cJSON_GetArrayItem(list, i), "SpecialToken");
    return text_of(get(token, "id"));
}

static void read_first(struct special *s, const char *first) {
    if (!s->configured)
        s->text[BOS] = first;
    else if (!same(first, s->text[BOS]) && !same(first, s->text[CLS])) {
        s->text[BOS] = s->text[BOS] ? s->text[BOS] : first;
        s->text[CLS] = s->text[CLS] ? s->text[CLS] : first;
    }
    s->add[BOS] = same(first, s->text[BOS]) || same(first, s->text[CLS]);
}

/* What ends a text is EOS; what was called so ends a turn. */
static void read_last(struct special *s, const char *last) {
    if (s->configured && !same(last, s->text[EOS])) {
        int kept = s->text[EOT] ? EOM : EOT;
        s->text[kept] = s->text[kept] ? s->text[kept] : s->text[EOS];
    }
    s->text[EOS] = last;
    s->add[EOS] = 1;
}

/* A pair of texts: is there a separator between? */
static void read_pair(struct special *s, const cJSON *pair, const char *first, const char *last) {
    int from = first && same(special_at(pair, 0), first);
    int to = cJSON_GetArraySize(pair);
    if (to <= from)
        return;
    to -= last && same(special_at(pair, to - 1), last);
    const char *a = text_of(get(get(cJSON_GetArrayItem(pair, from), "Sequence"), "id"));
    const char *b = text_of(get(get(cJSON_GetArrayItem(pair, to - 1), "Sequence"), "id"));
    if (to - from < 3 || !same(a, "A") || !same(b, "B"))
        return;
    const char *one = special_at(pair, from + 1);
    const char *two = to - from == 4 ? special_at(pair, from + 2) : NULL;
    s->add[SEP] = ((same(one, s->text[SEP]) || same(one, s->text[EOS])) && !last) ||
                  same(two, s->text[SEP]) || same(two, s->text[EOS]);
    if (s->add[SEP] && !s->text[SEP])
        s->text[SEP] = s->text[EOS];
}

static void read_processor(struct special *s, const cJSON *p) {
    const char *type = text_of(get(p, "type"));
    if (same(type, "ByteLevel")) {
        s->add[BOS] = s->add[BOS] < 0 ? 0 : s->add[BOS];
        s->add[EOS] = s->add[EOS] < 0 ? 0 : s->add[EOS];
    }
    if (!same(type, "TemplateProcessing"))
        return;
    const cJSON *single = get(p, "single");
    int n = cJSON_GetArraySize(single);
    const char *first = n > 1 ? special_at(single, 0) : NULL;
    const char *last = n > 1 ? special_at(single, n - 1) : NULL;
    if (first)
        read_first(s, first);
    if (last)
        read_last(s, last);
    read_pair(s, get(p, "pair"), first, last);
}

static void read_processors(struct special *s, const cJSON *p) {
    const cJSON *inner = NULL;
    if (!cJSON_IsArray(get(p, "processors"))) {
        read_processor(s, p);
        return;
    }
    cJSON_ArrayForEach(inner, get(p, "processors"))
        read_processor(s, inner);
}

/* ---- ids -------------------------------------------------------------------------------- */

/* The first added token of this spelling. */
static int64_t added_id(const struct hf_tokenizer *t, const char *text) {
    for (size_t i = 0; t && text && i < t->added_tokens; i++)
        if (t->added[i].text.len == strlen(text) &&
            !memcmp(t->arena.data + t->added[i].text.at, text, strlen(text)))
            return t->added[i].id;
    return -1;
}

/* An id, or for EOS sometimes a list of them, of which none is the one. */
static int64_t configured_id(const struct hf_config *c, int type) {
    const cJSON *v = get_of(c->doc, "", type, "_token_id");
    if (!v || cJSON_IsNull(v))
        v = get_of(c->text.object, "", type, "_token_id");
    return cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < c->vocab
               ? (int64_t)v->valuedouble
               : -1;
}

void hf_put_special(const struct hf *h, const struct hf_tokenizer *t, const cJSON *config,
                    struct gguf_writer *w) {
    struct special s = {.configured = config != NULL};
    for (int i = 0; i < TYPES; i++) {
        s.text[i] = i < EOT ? text_of(get_of(config, "", i, "_token")) : NULL;
        s.add[i] = -1;
        s.id[i] = -1;
    }
    if (t) {
        s.text[BOS] = s.text[BOS] ? s.text[BOS] : s.text[CLS];
        s.text[EOS] = s.text[EOS] ? s.text[EOS] : s.text[SEP];
        read_processors(&s, t->post_processor);
    }
    for (int i = 0; i < TYPES; i++) {
        const cJSON *add = get_of(config, "add_", i, "_token");
        if (s.add[i] < 0 && cJSON_IsBool(add))
            s.add[i] = cJSON_IsTrue(add);
        s.id[i] = config ? added_id(t, s.text[i]) : -1;
        if (s.id[i] < 0 || s.id[i] >= h->config.vocab)
            s.id[i] = i < EOT || s.text[i] ? configured_id(&h->config, i) : -1;
        if (s.id[i] >= 0)
            gguf_put_int(w, types[i].id, GGUF_U32, s.id[i]);
        if (s.add[i] >= 0 && types[i].add)
            gguf_put_bool(w, types[i].add, s.add[i]);
    }
}

/* ---- chat templates --------------------------------------------------------------------- */

/* A name as a key may have it; NULL for the default one, or what is no template. */
static char *plain_name(const cJSON *item) {
    const char *name = text_of(get(item, "name"));
    if (!name || !*name || !strcmp(name, "default") || !text_of(get(item, "template")))
        return NULL;
    char *plain = mem_strdup(name);
    for (char *p = plain; *p; p++)
        *p = (char)(isalnum((unsigned char)*p) ? *p : '_');
    return plain;
}

static int among(const struct gguf_string *list, uint64_t n, const char *name) {
    for (uint64_t i = 0; i < n; i++)
        if (!strcmp(list[i].data, name))
            return 1;
    return 0;
}

/* [{"name", "template"}]: the default one, and others by name. */
static void put_list(const cJSON *list, struct gguf_writer *w) {
    const cJSON *item = NULL;
    const char *usual = NULL;
    size_t most = (size_t)cJSON_GetArraySize(list) + 1;
    struct gguf_string *names = mem_array(most, sizeof *names);
    char **plain = mem_array(most, sizeof *plain);
    uint64_t n = 0;
    cJSON_ArrayForEach(item, list) {
        char *name = plain_name(item);
        if (!name && same(text_of(get(item, "name")), "default"))
            usual = text_of(get(item, "template"));
        if (!name || among(names, n, name)) {
            free(name);
            continue;
        }
        char *key = mem_printf("tokenizer.chat_template.%s", name);
        gguf_put_str(w, key, text_of(get(item, "template")));
        free(key);
        names[n] = (struct gguf_string){name, strlen(name)};
        plain[n++] = name;
    }
    if (n)
        gguf_put_strs(w, "tokenizer.chat_templates", names, n);
    if (usual)
        gguf_put_str(w, "tokenizer.chat_template", usual);
    for (uint64_t i = 0; i < n; i++)
        free(plain[i]);
    free(plain);
    free(names);
}

static void put_template(const cJSON *v, struct gguf_writer *w) {
    if (cJSON_IsArray(v))
        put_list(v, w);
    else if (cJSON_IsString(v))
        gguf_put_str(w, "tokenizer.chat_template", v->valuestring);
}

int hf_put_templates(const struct hf *h, const cJSON *config, struct gguf_writer *w,
                     struct err *err) {
    const char *path = h->source.path;
    const cJSON *own = get(config, "chat_template");
    struct buf text = {0};
    cJSON *doc = NULL;
    if (own && !cJSON_IsNull(own)) {
        put_template(own, w);
        return 0;
    }
    int rc = hf_read_file(path, "chat_template.jinja", MAX_TEMPLATE, &text, err);
    if (!rc && text.len)
        gguf_put_str(w, "tokenizer.chat_template", text.data);
    buf_free(&text);
    if (rc <= 0)
        return rc;
    rc = hf_read_json(path, "chat_template.json", 0, &doc, err);
    put_template(get(doc, "chat_template"), w);
    cJSON_Delete(doc);
    return rc;
}
