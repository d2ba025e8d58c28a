/* bpe.c - byte-pair encoding by a list of merges: "gpt2" and "gemma4" vocabularies
 *
 * The pre-tokenizer cuts the text into words; a word is written with a printable stand-in for
 * every byte (GPT-2's alphabet) unless the vocabulary is spelled in plain UTF-8; then neighbours
 * are joined in the order of the merges. The merges are looked up by their text, so that even one
 * that names no token takes part.
 */
#include "lib/model/pretok.h"
#include "lib/model/vocab_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/utf8.h"

/* ---- merges ---------------------------------------------------------------------------------- */

/* Where a merge's left side ends: the first blank behind its first byte. 0: nowhere. */
static uint32_t left_side(const char *s, uint32_t len) {
    const char *blank = len > 1 ? memchr(s + 1, ' ', len - 1) : NULL;
    return blank ? (uint32_t)(blank - s) : 0;
}

static uint32_t pair_hash(const char *joined, uint32_t left, uint32_t len) {
    return strings_hash(joined, len) + left * 0x9E3779B9u;
}

static int is_pair(const char *merge, uint32_t merge_len, const char *text, uint32_t left,
                   uint32_t right) {
    return merge_len == left + right + 1 && merge[left] == ' ' && !memcmp(merge, text, left) &&
           !memcmp(merge + left + 1, text + left, right);
}

static void index_merges(struct vocab *v) {
    struct strings *t = &v->merge;
    struct buf b = {0};
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t len;
        const char *s = strings_at(t, i, &len);
        uint32_t left = left_side(s, len);
        if (!left)
            continue;
        uint32_t right = len - left - 1;
        b.len = 0;
        buf_add(&b, s, left);
        buf_add(&b, s + left + 1, right);
        uint32_t h = pair_hash(b.data, left, left + right);
        uint32_t at = h & t->mask;
        for (; t->slot[at].next; at = (at + 1) & t->mask) {
            uint32_t other_len;
            const char *other = strings_at(t, t->slot[at].next - 1, &other_len);
            if (t->slot[at].hash == h && is_pair(other, other_len, b.data, left, right))
                break;
        }
        if (!t->slot[at].next)                  /* of equal merges the first counts */
            t->slot[at] = (struct strings_slot){h, i + 1};
        if (v->escape_space)
            pieces_note(v, b.data, left + right);
    }
    buf_free(&b);
}

static uint32_t rank_bpe(const struct vocab *v, const char *text, uint32_t left, uint32_t right) {
    const struct strings *t = &v->merge;
    if ((uint64_t)left + right >= t->longest)
        return MERGE_NONE;
    uint32_t h = pair_hash(text, left, left + right);
    for (uint32_t at = h & t->mask; t->slot[at].next; at = (at + 1) & t->mask) {
        if (t->slot[at].hash != h)
            continue;
        uint32_t len;
        const char *s = strings_at(t, t->slot[at].next - 1, &len);
        if (is_pair(s, len, text, left, right))
            return t->slot[at].next - 1;
    }
    return MERGE_NONE;
}

static int read_merges(struct vocab *v, const struct gguf *g, int needed, struct err *err) {
    const char *key = "tokenizer.ggml.merges";
    struct gguf_value val;
    if (gguf_value(g, key, &val) < 0)
        return needed ? err_set(err, "no %s: a BPE tokenizer needs them", key) : 0;
    if (!val.is_array || val.type != GGUF_STRING)
        return err_set(err, "%s: expected an array of strings", key);
    struct gguf_string *s = mem_array(val.n ? val.n : 1, sizeof *s);
    gguf_array_strs(&val, s);
    int r = strings_copy(&v->merge, s, val.n);
    free(s);
    if (r < 0)
        return err_set(err, "%s: %llu strings are too many", key, (unsigned long long)val.n);
    index_merges(v);
    return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What a byte is when no token has it: its <0xXX> token, or the token that is the byte itself. */
static void open_bytes(struct vocab *v) {
    for (int b = 0; b < 256; b++) {
        char name[8];
        char byte = (char)b;
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        v->byte_id[b] = v->raw ? vocab_lookup(v, name, 6) : vocab_lookup(v, &byte, 1);
    }
}

static int open_named(struct vocab *v, const struct gguf *g, const char *pre, struct err *err) {
    v->uni = mem_alloc(sizeof *v->uni);
    uniclass_fill(v->uni);
    v->pretok = pretok_new(pre, err);
    if (!v->pretok)
        return -1;
    unsigned flags = pretok_flags(v->pretok);
    v->add_bos = (flags & PRETOK_ADD_BOS) != 0;
    v->ignore_merges = (flags & PRETOK_IGNORE_MERGES) != 0;
    v->raw = (flags & PRETOK_RAW) != 0;
    v->escape_space = (flags & PRETOK_ESCAPE_SPACE) != 0;
    if (flags & PRETOK_KEEP_CASE)
        v->lowercase = 0;
    open_bytes(v);
    return read_merges(v, g, strcmp(pre, "kimi-k2"), err);
}

static int open_bpe(struct vocab *v, const struct gguf *g, struct err *err) {
    if (open_named(v, g, gguf_str(g, "tokenizer.ggml.pre", ""), err) < 0)
        return -1;
    v->eos = 11;
    v->bos = pretok_flags(v->pretok) & PRETOK_NO_BOS ? -1 : 11;
    return 0;
}

static int open_white(struct vocab *v, const struct gguf *g, struct err *err) {
    v->split_white = 1;
    return open_bpe(v, g, err);
}

static int open_raw(struct vocab *v, const struct gguf *g, struct err *err) {
    return open_named(v, g, "gemma4", err);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static int all_newlines(const char *s, size_t len) {
    while (len && s[len - 1] == '\n')
        len--;
    return !len;
}

static void add_word(struct encoding *e, const char *s, size_t len) {
    const struct vocab *v = e->v;
    if (!v->raw) {
        e->word.len = 0;
        for (size_t i = 0; i < len; i++) {
            char c[4];
            buf_add(&e->word, c, (size_t)utf8_put(detok_stand_in((unsigned char)s[i]), c));
        }
        s = e->word.data;
        len = e->word.len;
    }
    int whole = v->ignore_merges ||
                (pretok_flags(v->pretok) & PRETOK_NEWLINES && all_newlines(s, len));
    int32_t id = whole ? vocab_lookup(v, s, len) : -1;
    if (id >= 0)
        ids_add(e->out, id);
    else
        pieces_add(e, s, len);
}

static void encode_words(struct encoding *e, const char *text, size_t len) {
    const char *norm;
    const uint32_t *word;
    size_t n = pretok_split(e->v->pretok, e->split, e->v->uni, text, len, &norm, &word);
    for (size_t i = 0; i < n; norm += word[i++])
        add_word(e, norm, word[i]);
}

/* Pieces between whitespace, in lower case where asked for. */
static void encode_white(struct encoding *e, const char *text, size_t len) {
    struct buf *b = &e->text;
    b->len = 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        char c[4];
        i += pretok_get(text + i, len - i, &cp);
        int white = (uniclass_get(e->v->uni, cp) & UNI_WHITE) != 0;
        if (!white)
            buf_add(b, c, pretok_put(e->v->lowercase ? uniclass_lower(cp) : cp, c));
        if (b->len && (white || i >= len)) {
            encode_words(e, b->data, b->len);
            b->len = 0;
        }
    }
}

static void encode_bpe(struct encoding *e, const char *text, size_t len, int after_special) {
    (void)after_special;
    if (e->v->escape_space) {
        e->text.len = 0;
        for (size_t i = 0; i < len; i++) {
            if (text[i] == ' ')
                buf_add(&e->text, "\xE2\x96\x81", 3);
            else
                buf_addc(&e->text, text[i]);
        }
        text = e->text.data;
        len = e->text.len;
    }
    if (e->v->split_white)
        encode_white(e, text, len);
    else
        encode_words(e, text, len);
}

const struct vocab_kind vocab_kind_bpe = {"gpt2", "gpt2", open_bpe, encode_bpe, rank_bpe};
const struct vocab_kind vocab_kind_bpe_white = {"whitespace", "gpt2", open_white, encode_bpe,
                                                rank_bpe};
const struct vocab_kind vocab_kind_bpe_raw = {"gemma4", "gpt2", open_raw, encode_bpe, rank_bpe};
