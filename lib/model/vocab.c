/* vocab.c - opening a file's vocabulary and driving an encoding, see vocab.h
 *
 * Reads the arrays of tokens, scores and kinds, checked against each other, leaves what only one
 * kind of tokenizer has to bpe.c, spm.c or wpm.c, and what makes a token special to special.c.
 * A text is cut at its special tokens; the rest is for the kind.
 */
#include "lib/model/vocab_impl.h"

#include <stdlib.h>

#include "lib/model/pretok.h"

static const struct vocab_kind *const kinds[] = {
    &vocab_kind_bpe, &vocab_kind_spm, &vocab_kind_wpm, &vocab_kind_bpe_raw, &vocab_kind_bpe_white,
};

/* Tokenizers that exist, and that we do not have. */
static const char *const refused[] = {"t5", "rwkv", "plamo2", "hybriddna", "test"};

void ids_add(struct ids *ids, int32_t id) {
    if (ids->n == ids->cap) {
        ids->cap = ids->cap * 2 + 64;
        ids->id = mem_grow(ids->id, ids->cap, sizeof *ids->id);
    }
    ids->id[ids->n++] = id;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int choose_kind(struct vocab *v, const struct gguf *g, struct err *err) {
    const char *model = gguf_str(g, "tokenizer.ggml.model", NULL);
    if (!model)
        return err_set(err, "no tokenizer.ggml.model: the file has no vocabulary");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(model, kinds[i]->model)) {
            v->kind = kinds[i];
            return 0;
        }
    if (!strcmp(model, "none") || !strcmp(model, "no_vocab"))
        return err_set(err, "tokenizer.ggml.model is \"%s\": the file has no vocabulary", model);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (!strcmp(model, refused[i]))
            return err_set(err, "tokenizer \"%s\" is not supported: expected gpt2, gemma4, llama "
                           "or bert", model);
    return err_set(err, "tokenizer.ggml.model is \"%s\": expected gpt2, gemma4, llama or bert",
                   model);
}

static int read_strings(struct strings *t, const struct gguf_value *val, const char *key,
                        struct err *err) {
    struct gguf_string *s = mem_array(val->n ? val->n : 1, sizeof *s);
    gguf_array_strs(val, s);
    int r = strings_copy(t, s, val->n);
    free(s);
    return r ? err_set(err, "%s: %llu strings are too many", key, (unsigned long long)val->n) : 0;
}

static int read_tokens(struct vocab *v, const struct gguf *g, struct err *err) {
    const char *key = "tokenizer.ggml.tokens";
    struct gguf_value val;
    if (gguf_value(g, key, &val) < 0)
        return err_set(err, "no %s: the tokenizer has no vocabulary", key);
    if (!val.is_array || val.type != GGUF_STRING)
        return err_set(err, "%s: expected an array of strings", key);
    if (!val.n)
        return err_set(err, "%s: the vocabulary is empty", key);
    if (read_strings(&v->token, &val, key, err) < 0)
        return -1;
    struct strings *t = &v->token;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t len;
        const char *s = strings_at(t, i, &len);
        uint32_t h = strings_hash(s, len);
        uint32_t at = h & t->mask;
        for (; t->slot[at].next; at = (at + 1) & t->mask) {
            uint32_t other;
            const char *o = strings_at(t, t->slot[at].next - 1, &other);
            if (t->slot[at].hash == h && other == len && !memcmp(o, s, len))
                break;
        }
        t->slot[at] = (struct strings_slot){h, i + 1};   /* of equal tokens the last counts */
    }
    return 0;
}

/* A parallel array of numbers: 1 there, 0 absent, -1 of the wrong kind or length. */
static int read_parallel(const struct vocab *v, const struct gguf *g, const char *key,
                         struct gguf_value *val, struct err *err) {
    if (gguf_value(g, key, val) < 0)
        return 0;
    if (!val->is_array || (val->type != GGUF_I32 && val->type != GGUF_F32))
        return err_set(err, "%s: expected an array of numbers", key);
    if (val->n != v->token.n)
        return err_set(err, "%s has %llu entries, tokenizer.ggml.tokens %u: expected as many", key,
                       (unsigned long long)val->n, v->token.n);
    return 1;
}

static int read_scores(struct vocab *v, const struct gguf *g, struct err *err) {
    struct gguf_value val;
    v->score = mem_array(v->token.n, sizeof *v->score);
    int there = read_parallel(v, g, "tokenizer.ggml.scores", &val, err);
    for (uint32_t i = 0; there > 0 && i < v->token.n; i++)
        v->score[i] = (float)gguf_array_float(&val, i);
    return there < 0 ? -1 : 0;
}

static int read_kinds_of_token(struct vocab *v, const struct gguf *g, struct err *err) {
    static const uint16_t bit[] = {0, TOKEN_NORMAL, TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_USER,
                                   TOKEN_UNUSED, TOKEN_BYTE};
    struct gguf_value val;
    v->attr = mem_array(v->token.n, sizeof *v->attr);
    int there = read_parallel(v, g, "tokenizer.ggml.token_type", &val, err);
    if (there < 0)
        return -1;
    if (there && val.type != GGUF_I32)
        return err_set(err, "tokenizer.ggml.token_type: expected an array of int32");
    for (uint32_t i = 0; i < v->token.n; i++) {
        int64_t type = there ? gguf_array_int(&val, i) : 1;
        v->attr[i] = type > 0 && type < 7 ? bit[type] : 0;
    }
    return 0;
}

struct vocab *vocab_open(const struct gguf *g, struct err *err) {
    struct vocab *v = mem_alloc(sizeof *v);
    v->bos = v->eos = v->eot = v->unk = v->sep = -1;
    v->lowercase = 1;
    if (choose_kind(v, g, err) < 0 || read_tokens(v, g, err) < 0 || read_scores(v, g, err) < 0 ||
        read_kinds_of_token(v, g, err) < 0 || v->kind->open(v, g, err) < 0)
        goto fail;
    v->space_prefix = gguf_bool(g, "tokenizer.ggml.add_space_prefix", v->space_prefix);
    v->lowercase = gguf_bool(g, "tokenizer.ggml.normalizer.lowercase", v->lowercase);
    v->strip_accents = gguf_bool(g, "tokenizer.ggml.normalizer.strip_accents", v->lowercase);
    special_open(v, g);
    for (int b = 0; v->kind == &vocab_kind_spm && b < 256; b++)
        if (v->byte_id[b] < 0)
            v->byte_id[b] = v->unk;
    return v;
fail:
    err_prefix(err, "%s", gguf_path(g));
    vocab_free(v);
    return NULL;
}

void vocab_free(struct vocab *v) {
    if (!v)
        return;
    special_free(v->special);
    pretok_free(v->pretok);
    strings_free(&v->token);
    strings_free(&v->merge);
    free(v->attr);
    free(v->score);
    free(v->uni);
    free(v);
}

/* ---- looking up ------------------------------------------------------------------------------ */

int32_t vocab_lookup(const struct vocab *v, const char *s, size_t len) {
    const struct strings *t = &v->token;
    if (len > t->longest)
        return -1;
    uint32_t h = strings_hash(s, len);
    for (uint32_t at = h & t->mask; t->slot[at].next; at = (at + 1) & t->mask) {
        if (t->slot[at].hash != h)
            continue;
        uint32_t other;
        const char *o = strings_at(t, t->slot[at].next - 1, &other);
        if (other == len && !memcmp(o, s, len))
            return (int32_t)(t->slot[at].next - 1);
    }
    return -1;
}

int32_t vocab_find(const struct vocab *v, const char *s) {
    return vocab_lookup(v, s, strlen(s));
}

int vocab_size(const struct vocab *v) {
    return (int)v->token.n;
}

int32_t vocab_bos(const struct vocab *v) {
    return v->bos;
}

int32_t vocab_eos(const struct vocab *v) {
    return v->eos;
}

int32_t vocab_eot(const struct vocab *v) {
    return v->eot;
}

int vocab_adds_bos(const struct vocab *v) {
    return v->add_bos && v->bos >= 0;
}

static int valid(const struct vocab *v, int32_t id) {
    return id >= 0 && (uint32_t)id < v->token.n;
}

int vocab_is_end(const struct vocab *v, int32_t id) {
    return valid(v, id) && v->attr[id] & TOKEN_END;
}

struct gguf_string vocab_token(const struct vocab *v, int32_t id) {
    if (!valid(v, id))
        return (struct gguf_string){"", 0};
    uint32_t len;
    const char *s = strings_at(&v->token, (uint32_t)id, &len);
    return (struct gguf_string){s, len};
}

const char *vocab_kind(const struct vocab *v) {
    return v->kind->name;
}

/* ---- encoding -------------------------------------------------------------------------------- */

/* The ids of text, cut at its special tokens. */
static void encode_parts(struct encoding *e, const char *text, size_t len, int control) {
    struct special_hit *hit;
    char *mark;
    size_t hits = special_find(e->v, text, len, control, &hit, &mark);
    size_t at = 0;
    int after_special = 1;
    for (size_t i = 0; i <= hits; i++) {
        size_t end = i < hits ? hit[i].at : len;
        /* Whitespace that a special token swallows belongs to nobody. */
        size_t from = at;
        while (mark && from < end && mark[from])
            from++;
        size_t to = end;
        while (mark && to > from && mark[to - 1])
            to--;
        if (to > from) {
            e->v->kind->encode(e, text + from, to - from, after_special);
            after_special = 0;
        }
        if (i < hits) {
            ids_add(e->out, hit[i].id);
            after_special = 1;
            at = hit[i].at + hit[i].len;
        }
    }
    free(hit);
    free(mark);
}

int vocab_encode(const struct vocab *v, const char *text, size_t len, int flags, struct ids *ids,
                 struct err *err) {
    if (flags & ~(VOCAB_BOS | VOCAB_SPECIAL))
        return err_set(err, "vocab_encode: unknown flags 0x%x", (unsigned)flags);
    if (len > INT32_MAX / 4)
        return err_set(err, "a text of %zu bytes: at most %d at a time", len, INT32_MAX / 4);
    struct encoding e = {.v = v, .out = ids, .merger = merger_new()};
    if (v->pretok)
        e.split = pretok_work_new();
    if (flags & VOCAB_BOS && vocab_adds_bos(v))
        ids_add(ids, v->bos);
    pieces_begin(&e, len);
    if (len)
        encode_parts(&e, text, len, flags & VOCAB_SPECIAL);
    if (flags & VOCAB_BOS && v->closing >= 0)
        ids_add(ids, v->closing);
    merger_free(e.merger);
    pretok_work_free(e.split);
    free(e.memory);
    buf_free(&e.text);
    buf_free(&e.word);
    return 0;
}
