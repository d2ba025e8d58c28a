/* hf_tokenizer.c - reads tokenizer.json: tens of megabytes where vocabularies are large
 *
 * Format: Hugging Face tokenizers, serialized (tokenizers/src/tokenizer/serialization.rs). Tokens
 * and merges go into one arena as they come; the small objects around them are kept as trees.
 */
#include "lib/quant/hf_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/jsonr.h"

#define MAX_FILE ((size_t)1 << 28)
#define MAX_PIECES (1 << 24)

static struct hf_text keep(struct hf_tokenizer *t, const struct jsonr_text *s) {
    struct hf_text text = {t->arena.len, s->len};
    buf_add(&t->arena, s->data, s->len);
    return text;
}

/* Room for one more, doubling. */
static void *more(void *list, size_t n, size_t size) {
    return n & (n - 1) ? list : mem_grow(list, n ? 2 * n : 1, size);
}

/* ---- model ------------------------------------------------------------------------------ */

static int read_vocab(struct jsonr *r, struct hf_tokenizer *t) {
    struct jsonr_text key;
    int rc;
    if (jsonr_kind(r) == '[')           /* Unigram: pairs of token and score */
        return jsonr_skip(r);
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        struct hf_piece p = {.text = keep(t, &key)};
        if (jsonr_int(r, &p.id))
            return -1;
        if (p.id < 0 || t->pieces == MAX_PIECES)
            return jsonr_fail(r, "token %zu: expected an id of 0 to %d, found %lld", t->pieces,
                              MAX_PIECES - 1, (long long)p.id);
        t->piece = more(t->piece, t->pieces, sizeof *t->piece);
        t->piece[t->pieces++] = p;
    }
    return rc;
}

/* Half of a pair. A space would be taken for the one between: byte-level BPE spells it U+0120. */
static int read_half(struct jsonr *r, struct hf_tokenizer *t) {
    struct jsonr_text s;
    if (jsonr_str(r, &s))
        return -1;
    if (!s.len)
        return jsonr_fail(r, "merge %zu: half of it is empty", t->merges);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == ' ')
            buf_adds(&t->arena, "\xC4\xA0");
        else
            buf_addc(&t->arena, s.data[i]);
    }
    return 0;
}

static int read_merge(struct jsonr *r, struct hf_tokenizer *t, struct hf_text *out) {
    struct jsonr_text s;
    *out = (struct hf_text){t->arena.len, 0};
    if (jsonr_kind(r) == '[') {
        if (jsonr_enter(r, '[') || jsonr_element(r) || read_half(r, t))
            return -1;
        buf_addc(&t->arena, ' ');
        if (jsonr_element(r) || read_half(r, t))
            return -1;
        if (jsonr_item(r))
            return jsonr_fail(r, "merge %zu: expected a pair", t->merges);
    } else {
        if (jsonr_str(r, &s))
            return -1;
        const char *space = memchr(s.data, ' ', s.len);
        size_t left = space ? (size_t)(space - s.data) : 0;
        if (!left || left + 1 == s.len || memchr(space + 1, ' ', s.len - left - 1))
            return jsonr_fail(r, "merge %zu: expected two tokens and a space between", t->merges);
        buf_add(&t->arena, s.data, s.len);
    }
    out->len = t->arena.len - out->at;
    return 0;
}

static int read_merges(struct jsonr *r, struct hf_tokenizer *t) {
    int rc;
    if (jsonr_enter(r, '['))
        return -1;
    while ((rc = jsonr_item(r)) > 0) {
        struct hf_text merge;
        if (read_merge(r, t, &merge))
            return -1;
        if (t->merges == MAX_PIECES)
            return jsonr_fail(r, "more than %d merges", MAX_PIECES);
        t->merge = more(t->merge, t->merges, sizeof *t->merge);
        t->merge[t->merges++] = merge;
    }
    return rc;
}

static int read_flag(struct jsonr *r, int *out) {
    return jsonr_null(r) ? 0 : jsonr_bool(r, out);
}

/* What would change the tokens and is not told by any key. */
static int read_unsaid(struct jsonr *r, const char *key) {
    struct jsonr_text s;
    double rate;
    if (jsonr_null(r))
        return 0;
    if (!strcmp(key, "dropout"))
        return jsonr_float(r, &rate) || rate != 0 ? jsonr_fail(r, "dropout: expected none") : 0;
    return jsonr_str(r, &s) ? -1 : s.len ? jsonr_fail(r, "%s: expected none", key) : 0;
}

static int read_model(struct jsonr *r, struct hf_tokenizer *t) {
    static const char *const unsaid[] = {"dropout", "continuing_subword_prefix",
                                         "end_of_word_suffix"};
    struct jsonr_text key;
    struct jsonr_text s;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        const char *found = NULL;
        for (size_t i = 0; i < sizeof unsaid / sizeof *unsaid; i++)
            if (jsonr_is(&key, unsaid[i]))
                found = unsaid[i];
        if (found)
            rc = read_unsaid(r, found);
        else if (jsonr_is(&key, "type")) {
            rc = jsonr_str(r, &s);
            snprintf(t->type, sizeof t->type, "%.*s", (int)(s.len < 31 ? s.len : 31), s.data);
        } else if (jsonr_is(&key, "vocab"))
            rc = t->pieces ? jsonr_fail(r, "a second vocab") : read_vocab(r, t);
        else if (jsonr_is(&key, "merges"))
            rc = t->merges ? jsonr_fail(r, "second merges") : read_merges(r, t);
        else if (jsonr_is(&key, "byte_fallback"))
            rc = read_flag(r, &t->byte_fallback);
        else if (jsonr_is(&key, "ignore_merges"))
            rc = read_flag(r, &t->ignore_merges);
        else
            rc = jsonr_skip(r);
        if (rc)
            return -1;
    }
    return rc;
}

/* ---- around it -------------------------------------------------------------------------- */

static int read_added(struct jsonr *r, struct hf_tokenizer *t) {
    struct jsonr_text key;
    struct jsonr_text s;
    struct hf_piece p = {.id = -1};
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        if (jsonr_is(&key, "id")) {
            rc = jsonr_int(r, &p.id);
        } else if (jsonr_is(&key, "content")) {
            rc = jsonr_str(r, &s);
            p.text = keep(t, &s);
        } else if (jsonr_is(&key, "special")) {
            rc = jsonr_bool(r, &p.special);
        } else {
            rc = jsonr_skip(r);
        }
        if (rc)
            return -1;
    }
    if (rc)
        return -1;
    if (p.id < 0 || p.id >= MAX_PIECES)
        return jsonr_fail(r, "added token %zu: expected an id of 0 to %d, found %lld",
                          t->added_tokens, MAX_PIECES - 1, (long long)p.id);
    t->added = more(t->added, t->added_tokens, sizeof *t->added);
    t->added[t->added_tokens++] = p;
    return 0;
}

static int read_added_list(struct jsonr *r, struct hf_tokenizer *t) {
    int rc;
    if (jsonr_null(r))
        return 0;
    if (jsonr_enter(r, '['))
        return -1;
    while ((rc = jsonr_item(r)) > 0)
        if (read_added(r, t))
            return -1;
    return rc;
}

/* An object, or null, as a tree. */
static int read_tree(struct jsonr *r, cJSON **out) {
    if (jsonr_null(r))
        return 0;
    if (jsonr_kind(r) != '{')
        return jsonr_fail(r, "expected an object or null");
    size_t start = r->at;
    if (jsonr_skip(r))
        return -1;
    cJSON_Delete(*out);
    *out = cJSON_ParseWithLength(r->text + start, r->at - start);
    return *out ? 0 : jsonr_fail(r, "an object that cannot be read");
}

static int read_all(struct jsonr *r, struct hf_tokenizer *t) {
    struct jsonr_text key;
    int rc;
    if (jsonr_enter(r, '{'))
        return -1;
    while ((rc = jsonr_key(r, &key)) > 0) {
        if (jsonr_is(&key, "model"))
            rc = read_model(r, t);
        else if (jsonr_is(&key, "added_tokens"))
            rc = read_added_list(r, t);
        else if (jsonr_is(&key, "normalizer"))
            rc = read_tree(r, &t->normalizer);
        else if (jsonr_is(&key, "pre_tokenizer"))
            rc = read_tree(r, &t->pre_tokenizer);
        else if (jsonr_is(&key, "post_processor"))
            rc = read_tree(r, &t->post_processor);
        else
            rc = jsonr_skip(r);
        if (rc)
            return -1;
    }
    return rc;
}

int hf_tokenizer_read(struct hf_tokenizer *t, const char *path, struct err *err) {
    struct buf text = {0};
    struct jsonr r;
    *t = (struct hf_tokenizer){0};
    int rc = hf_read_file(path, "tokenizer.json", MAX_FILE, &text, err);
    t->where = mem_printf("%s/tokenizer.json", path);
    if (!rc) {
        jsonr_begin(&r, t->where, text.data ? text.data : "", text.len, err);
        rc = read_all(&r, t);
        rc |= jsonr_end(&r);
        if (!rc && strcmp(t->type, "BPE"))
            rc = err_set(err, "%s: expected a model of type BPE, found %s", t->where,
                         *t->type ? t->type : "none");
        if (!rc && !t->pieces)
            rc = err_set(err, "%s: expected a vocabulary, found none", t->where);
    }
    buf_free(&text);
    return rc;
}

void hf_tokenizer_free(struct hf_tokenizer *t) {
    buf_free(&t->arena);
    free(t->piece);
    free(t->added);
    free(t->merge);
    free(t->where);
    cJSON_Delete(t->normalizer);
    cJSON_Delete(t->pre_tokenizer);
    cJSON_Delete(t->post_processor);
}
