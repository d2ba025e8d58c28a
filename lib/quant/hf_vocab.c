/* hf_vocab.c - the vocabulary of a folder as the metadata of a GGUF
 *
 * Two kinds. SentencePiece with byte fallback ("llama"): out of tokenizer.model, or of a
 * tokenizer.json made from one, which has no scores but the order of its merges, and a token's
 * score is then the rank of the merge that makes it: what was merged first counts most, as in the
 * model that the merges were listed from. Byte-level BPE ("gpt2"): tokens, merges, the name of a
 * pre-tokenizer. Kinds of tokens as in llama.cpp's converter (conversion/base.py).
 */
#include "lib/quant/hf_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARK "\xE2\x96\x81"             /* U+2581, a space */
#define BAR "\xEF\xBD\x9C"              /* U+FF5C */
#define ADDED_SCORE (-1000.0f)
#define UNUSED_SCORE (-10000.0f)

struct work {
    struct hf *h;
    struct hf_vocab v;
    struct hf_tokenizer t;
    int has_json;               /* tokenizer.json */
    cJSON *config;              /* tokenizer_config.json, or NULL */
    struct err *err;
};

/* ---- tokens ----------------------------------------------------------------------------- */

void hf_vocab_set(struct hf_vocab *v, int64_t id, const char *text, size_t len, int kind,
                  float score) {
    v->token[id] = (struct hf_text){v->arena.len, len};
    v->kind[id] = kind;
    if (v->score)
        v->score[id] = score;
    buf_add(&v->arena, text, len);
}

static int begins(const char *s, size_t len, const char *with) {
    return len >= strlen(with) && !memcmp(s, with, strlen(with));
}

static int ends(const char *s, size_t len, const char *with) {
    return len >= strlen(with) && !memcmp(s + len - strlen(with), with, strlen(with));
}

/* Added tokens that ought to be marked as special and sometimes are not. */
static int looks_special(const char *s, size_t len) {
    static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (len == strlen(whole[i]) && begins(s, len, whole[i]))
            return 1;
    return (begins(s, len, "<|") && ends(s, len, "|>")) ||
           (begins(s, len, "<" BAR) && ends(s, len, BAR ">")) ||
           (begins(s, len, "<unused") && ends(s, len, ">"));
}

/* A token that is matched before all others, and spelled as it stands in a text. */
static int add_token(struct work *w, int64_t id, const char *s, size_t len, int special) {
    struct buf plain = {0};
    if (id < 0 || id >= w->v.size) {
        if (w->v.score)         /* llama.cpp leaves them out, too */
            return 0;
        return err_set(w->err, "%s: added token \"%.*s\" has id %" PRId64 ": config.json's "
                       "vocab_size is %d", w->h->source.path, (int)(len < 80 ? len : 80), s, id,
                       w->v.size);
    }
    if (special || looks_special(s, len)) {
        hf_vocab_set(&w->v, id, s, len, HF_CONTROL, ADDED_SCORE);
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        int mark = begins(s + i, len - i, MARK);
        buf_addc(&plain, mark ? ' ' : s[i]);
        i += mark ? strlen(MARK) - 1 : 0;
    }
    hf_vocab_set(&w->v, id, plain.data ? plain.data : "", plain.len, HF_USER, ADDED_SCORE);
    buf_free(&plain);
    return 0;
}

/* tokenizer_config.json: "added_tokens_decoder": {"32000": {"content", "special"}}. */
static int add_configured(struct work *w) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(w->config, "added_tokens_decoder")) {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(item, "special");
        char *end;
        long id = strtol(item->string, &end, 10);
        if (*end || end == item->string || !cJSON_IsString(content))
            return err_set(w->err, "%s/tokenizer_config.json: added_tokens_decoder: \"%.40s\": "
                           "expected an id, and a content", w->h->source.path, item->string);
        if (add_token(w, id, content->valuestring, strlen(content->valuestring),
                      cJSON_IsTrue(special)))
            return -1;
    }
    return 0;
}

/* added_tokens.json of older folders: {"token": id}. */
static int add_older(struct work *w) {
    cJSON *doc;
    const cJSON *item = NULL;
    if (hf_read_json(w->h->source.path, "added_tokens.json", 0, &doc, w->err))
        return -1;
    cJSON_ArrayForEach(item, doc)
        if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < w->v.size)
            hf_vocab_set(&w->v, (int64_t)item->valuedouble, item->string, strlen(item->string),
                         HF_USER, ADDED_SCORE);
    cJSON_Delete(doc);
    return 0;
}

static const char *text_at(const struct hf_tokenizer *t, struct hf_text s) {
    return t->arena.data + s.at;
}

/* "<0x0A>" */
static int is_byte(const char *s, size_t len) {
    return len == 6 && begins(s, len, "<0x") && s[5] == '>' &&
           strspn(s + 3, "0123456789ABCDEFabcdef") == 2;
}

static int add_pieces(struct work *w) {
    const struct hf_tokenizer *t = &w->t;
    for (size_t i = 0; i < t->pieces; i++) {
        const struct hf_piece *p = &t->piece[i];
        const char *s = text_at(t, p->text);
        if (p->id >= w->v.size)
            return err_set(w->err, "%s: token \"%.*s\" has id %" PRId64 ": config.json's "
                           "vocab_size is %d", t->where, (int)(p->text.len < 80 ? p->text.len : 80),
                           s, p->id, w->v.size);
        if (w->v.kind[p->id] != HF_UNUSED)
            return err_set(w->err, "%s: two tokens have id %" PRId64, t->where, p->id);
        hf_vocab_set(&w->v, p->id, s, p->text.len,
                     w->v.score && is_byte(s, p->text.len) ? HF_BYTE : HF_NORMAL, 0);
    }
    return 0;
}

static int add_listed(struct work *w) {
    const struct hf_tokenizer *t = &w->t;
    for (size_t i = 0; i < t->added_tokens; i++)
        if (add_token(w, t->added[i].id, text_at(t, t->added[i].text), t->added[i].text.len,
                      t->added[i].special))
            return -1;
    return 0;
}

/* ---- scores ----------------------------------------------------------------------------- */

struct text_ref {
    const char *s;
    size_t len;
    int64_t id;
};

static int by_text(const void *a, const void *b) {
    const struct text_ref *p = a;
    const struct text_ref *q = b;
    int c = memcmp(p->s, q->s, p->len < q->len ? p->len : q->len);
    return c ? c : (p->len > q->len) - (p->len < q->len);
}

/* Minus the rank of the first merge that makes a token; what none makes comes after all. */
static void score_by_merges(struct work *w) {
    const struct hf_tokenizer *t = &w->t;
    struct text_ref *ref = mem_array(t->pieces, sizeof *ref);
    struct buf whole = {0};
    for (size_t i = 0; i < t->pieces; i++) {
        ref[i] = (struct text_ref){text_at(t, t->piece[i].text), t->piece[i].text.len,
                                   t->piece[i].id};
        w->v.score[t->piece[i].id] = -(float)(t->merges + 1);
    }
    qsort(ref, t->pieces, sizeof *ref, by_text);
    for (size_t i = t->merges; i-- > 0;) {      /* the first is written last */
        const char *s = text_at(t, t->merge[i]);
        size_t left = (size_t)((const char *)memchr(s, ' ', t->merge[i].len) - s);
        whole.len = 0;
        buf_add(&whole, s, left);
        buf_add(&whole, s + left + 1, t->merge[i].len - left - 1);
        const struct text_ref want = {whole.data, whole.len, 0};
        const struct text_ref *at = bsearch(&want, ref, t->pieces, sizeof *ref, by_text);
        if (at)
            w->v.score[at->id] = -(float)i;
    }
    buf_free(&whole);
    free(ref);
}

/* ---- the two kinds ---------------------------------------------------------------------- */

/* Whether config says anything of a space in front: then that, whatever the files do. */
static void read_prefix(struct work *w) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(w->config, "add_prefix_space");
    if (!strcmp(w->v.model, "llama") && !strcmp(w->h->source.arch, "gemma3"))
        w->v.space_prefix = 0;
    else if (cJSON_IsBool(v) && !strcmp(w->h->source.arch, "llama"))
        w->v.space_prefix = cJSON_IsTrue(v);
}

static int read_sentencepiece(struct work *w) {
    struct hf_vocab *v = &w->v;
    v->model = "llama";
    v->pre = "default";
    v->score = mem_array((size_t)v->size, sizeof *v->score);
    int rc = hf_sentencepiece_read(v, w->h->source.path, w->err);
    if (rc < 0)
        return -1;
    if (rc) {
        if (hf_pretok_spaces(&w->t, &v->space_prefix, w->err) || add_pieces(w))
            return -1;
        score_by_merges(w);
    }
    if (add_older(w) || (rc && add_listed(w)) || add_configured(w))
        return -1;
    for (int i = 0; i < v->size; i++)
        if (v->kind[i] == HF_UNUSED && !v->token[i].len)
            v->score[i] = UNUSED_SCORE;
    return 0;
}

static int read_bytes(struct work *w) {
    w->v.model = "gpt2";
    w->v.pre = w->h->pre ? w->h->pre : hf_pretok_name(&w->t, w->err);
    return !w->v.pre || add_pieces(w) || add_listed(w) || add_configured(w) ? -1 : 0;
}

/* Ids that no file has a token for. */
static void fill_gaps(struct hf_vocab *v) {
    char name[32];
    for (int i = 0; i < v->size; i++)
        if (v->kind[i] == HF_UNUSED && !v->token[i].len) {
            int len = snprintf(name, sizeof name, "[PAD%d]", i);
            hf_vocab_set(v, i, name, (size_t)len, HF_UNUSED, UNUSED_SCORE);
        }
}

static int read_vocab(struct work *w) {
    const struct hf_family *family = w->h->config.family;
    char *model = mem_printf("%s/tokenizer.model", w->h->source.path);
    int there = family->sentencepiece && !access(model, F_OK);
    free(model);
    int rc = hf_tokenizer_read(&w->t, w->h->source.path, w->err);
    w->has_json = !rc;
    if (rc < 0)
        return -1;
    if (!there && rc)
        return err_set(w->err, "%s: expected tokenizer.json%s, found none", w->h->source.path,
                       family->sentencepiece ? " or tokenizer.model" : "");
    if (there || (family->sentencepiece && w->t.byte_fallback))
        return read_sentencepiece(w);
    return read_bytes(w);
}

/* ---- writing ---------------------------------------------------------------------------- */

static void put_tokens(const struct work *w, struct gguf_writer *out) {
    const struct hf_vocab *v = &w->v;
    struct gguf_string *s = mem_array((size_t)v->size, sizeof *s);
    for (int i = 0; i < v->size; i++)
        s[i] = (struct gguf_string){v->arena.data + v->token[i].at, v->token[i].len};
    gguf_put_str(out, "tokenizer.ggml.model", v->model);
    gguf_put_str(out, "tokenizer.ggml.pre", v->pre);
    gguf_put_strs(out, "tokenizer.ggml.tokens", s, (uint64_t)v->size);
    if (v->score)
        gguf_put_floats(out, "tokenizer.ggml.scores", v->score, (uint64_t)v->size);
    gguf_put_ints(out, "tokenizer.ggml.token_type", GGUF_I32, v->kind, (uint64_t)v->size);
    if (v->space_prefix >= 0)
        gguf_put_bool(out, "tokenizer.ggml.add_space_prefix", v->space_prefix);
    free(s);
}

static void put_merges(const struct work *w, struct gguf_writer *out) {
    const struct hf_tokenizer *t = &w->t;
    if (w->v.score || !t->merges)
        return;
    struct gguf_string *s = mem_array(t->merges, sizeof *s);
    for (size_t i = 0; i < t->merges; i++)
        s[i] = (struct gguf_string){text_at(t, t->merge[i]), t->merge[i].len};
    gguf_put_strs(out, "tokenizer.ggml.merges", s, t->merges);
    free(s);
}

int hf_put_vocab(struct hf *h, struct gguf_writer *out, struct err *err) {
    struct work w = {.h = h, .v = {.size = h->config.vocab, .space_prefix = -1}, .err = err};
    w.v.token = mem_array((size_t)w.v.size, sizeof *w.v.token);
    w.v.kind = mem_array((size_t)w.v.size, sizeof *w.v.kind);
    for (int i = 0; i < w.v.size; i++)
        w.v.kind[i] = HF_UNUSED;
    int rc = hf_read_json(h->source.path, "tokenizer_config.json", 0, &w.config, err);
    if (!rc)
        rc = read_vocab(&w);
    if (!rc) {
        read_prefix(&w);
        fill_gaps(&w.v);
        put_tokens(&w, out);
        put_merges(&w, out);
        hf_put_special(h, w.has_json ? &w.t : NULL, w.config, out);
        rc = hf_put_templates(h, w.config, out, err);
    }
    hf_tokenizer_free(&w.t);
    cJSON_Delete(w.config);
    buf_free(&w.v.arena);
    free(w.v.token);
    free(w.v.kind);
    free(w.v.score);
    return rc;
}
