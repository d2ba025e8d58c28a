/* special.c - special tokens: which there are, which end a reply, and where a text has them
 *
 * Files name their special ids by keys; what the keys leave open is recognised by the token's
 * text, as many files need it. Tokens of kind user-defined are found in every text, control
 * tokens only when asked for. The longest tokens are looked for first, each from left to right.
 */
#include "lib/model/vocab_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/model/pretok.h"

/* ---- ids and kinds --------------------------------------------------------------------------- */

enum { NAMES = 12 };

/* A special id: its key (or keys), and the texts it is recognised by when no key says. */
static const struct role {
    const char *key[2];
    int ends;                           /* a reply ends with it */
    const char *text[NAMES];
} roles[] = {
    {{"eot_token_id"}, 1,
     {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
      "<EOT>", "_<EOT>", "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>"}},
    {{"eom_token_id"}, 1, {"<|eom_id|>"}},
    {{"fim_pre_token_id", "prefix_token_id"}, 0,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
      "<|code_prefix|>", "<|prefix|>"}},
    {{"fim_suf_token_id", "suffix_token_id"}, 0,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
      "<|code_suffix|>", "<|suffix|>"}},
    {{"fim_mid_token_id", "middle_token_id"}, 0,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
      "<|code_middle|>", "<|middle|>"}},
    {{"fim_pad_token_id"}, 1, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {{"fim_rep_token_id"}, 1,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {{"fim_sep_token_id"}, 1, {"<|file_sep|>"}},
};
enum { ROLES = sizeof roles / sizeof roles[0], EOT = 0 };

/* Texts that end a reply whatever the keys say. */
static const char *const ends[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<｜end▁of▁sentence｜>", "[e~[",
};

/* Markers inside a reply, shown to whoever reads it. */
static const char *const shown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* The id of a key where it is one of the vocabulary, else def where that is. */
static int32_t key_id(const struct vocab *v, const struct gguf *g, const char *name, int32_t def) {
    char key[64];
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    int64_t id = gguf_int(g, key, -1);
    if (id < 0 || id >= v->token.n)
        id = def;
    return id < v->token.n ? (int32_t)id : -1;
}

static void set_kind(struct vocab *v, int32_t id, unsigned kind) {
    v->attr[id] = (uint16_t)(kind | (v->attr[id] & TOKEN_END));
}

static int has(const struct vocab *v, const char *text) {
    return vocab_is_end(v, vocab_find(v, text));
}

static void find_role(struct vocab *v, const struct gguf *g, size_t r) {
    int32_t id = -1;
    for (size_t k = 0; k < 2 && roles[r].key[k]; k++)
        id = key_id(v, g, roles[r].key[k], id);
    for (size_t i = 0; id < 0 && i < NAMES && roles[r].text[i]; i++) {
        id = vocab_find(v, roles[r].text[i]);
        if (id >= 0)
            v->attr[id] |= TOKEN_CONTROL;
    }
    if (id >= 0 && roles[r].ends)
        v->attr[id] |= TOKEN_END;
    if (r == EOT)
        v->eot = id;
}

static void find_ends(struct vocab *v, const struct gguf *g) {
    for (size_t i = 0; i < COUNT(ends); i++) {
        int32_t id = vocab_find(v, ends[i]);
        if (id >= 0)
            v->attr[id] |= TOKEN_END | TOKEN_CONTROL;
    }
    for (size_t r = 0; r < ROLES; r++)
        find_role(v, g, r);
    for (size_t i = 0; i < COUNT(shown); i++) {
        int32_t id = vocab_find(v, shown[i]);
        if (id >= 0)
            set_kind(v, id, TOKEN_USER);
    }
    if (v->eos >= 0)
        v->attr[v->eos] |= TOKEN_END;
    /* Where replies have parts, <|end|> ends a part. */
    int calls = has(v, "<|call|>") || has(v, "<|calls|>");
    int32_t id = vocab_find(v, "<|end|>");
    if (calls && (has(v, "<|return|>") || has(v, "<|flush|>")) && vocab_is_end(v, id))
        v->attr[id] = TOKEN_USER;
    /* These vocabularies have an end of their own, and </s> as plain text. */
    id = vocab_find(v, "</s>");
    if ((has(v, "<|tool_response>") || has(v, "<|plamo:eos|>")) && vocab_is_end(v, id))
        v->attr[id] = TOKEN_NORMAL;
}

static void find_ids(struct vocab *v, const struct gguf *g) {
    v->bos = key_id(v, g, "bos_token_id", v->bos);
    v->eos = key_id(v, g, "eos_token_id", v->eos);
    v->unk = key_id(v, g, "unknown_token_id", v->unk);
    v->sep = key_id(v, g, "seperator_token_id", v->sep);    /* spelled so in the files */
    v->add_bos = gguf_bool(g, "tokenizer.ggml.add_bos_token", v->add_bos);
    v->add_eos = gguf_bool(g, "tokenizer.ggml.add_eos_token", v->add_eos);
    if (v->pretok && pretok_flags(v->pretok) & PRETOK_FORCE_BOS)
        v->add_bos = 1;
    v->closing = v->add_eos ? v->eos : -1;
    if (v->kind == &vocab_kind_wpm) {                       /* always [CLS] text [SEP] */
        v->add_bos = 1;
        v->closing = v->sep;
    }
}

/* ---- whitespace that a token swallows, known by the model's name --------------------------- */

static void set_strip(struct vocab *v, const char *text, unsigned bit, int on) {
    int32_t id = vocab_find(v, text);
    if (id >= 0)
        v->attr[id] = (uint16_t)(on ? v->attr[id] | bit : v->attr[id] & ~bit);
}

static int named(const char *s, const char *a, const char *b) {
    return strcasestr(s, a) || strcasestr(s, b);
}

static void find_strips(struct vocab *v, const struct gguf *g) {
    const char *pre = gguf_str(g, "tokenizer.ggml.pre", "");
    const char *arch = gguf_str(g, "general.architecture", "");
    const char *name = gguf_str(g, "general.name", "");
    if (strstr(pre, "jina-v2-de") || strstr(pre, "jina-v2-es") || strstr(pre, "jina-v2-code") ||
        strstr(arch, "nomic-bert-moe") || strstr(arch, "jina-bert-v3")) {
        set_strip(v, "<mask>", TOKEN_LSTRIP, 1);
    } else if (named(name, "phi-3", "phi3")) {
        for (uint32_t i = 0; i < v->token.n; i++)
            if (v->attr[i] & TOKEN_SPECIAL)
                v->attr[i] |= TOKEN_RSTRIP;
        set_strip(v, "</s>", TOKEN_RSTRIP, 1);
        set_strip(v, "<unk>", TOKEN_RSTRIP, 0);
        set_strip(v, "<s>", TOKEN_RSTRIP, 0);
        set_strip(v, "<|endoftext|>", TOKEN_RSTRIP, 0);
    } else if (strcasestr(name, "modern-bert")) {
        set_strip(v, "[MASK]", TOKEN_LSTRIP, 1);
    }
}

/* ---- finding them in a text ---------------------------------------------------------------- */

struct special {
    uint8_t starts[2][1 << 13];         /* bitmaps of the two bytes tokens begin with; [1] has the
                                         * control tokens too */
    uint32_t *length;                   /* the lengths there are, longest first */
    size_t lengths;
};

static void mark_start(uint8_t *map, const char *s, uint32_t len) {
    unsigned first = (unsigned char)s[0];
    for (unsigned second = 0; second < 256; second++)
        if (len == 1 || second == (unsigned char)s[1])
            map[first << 5 | second >> 3] |= (uint8_t)(1u << (second & 7));
}

static int may_start(const uint8_t *map, const char *s, size_t left) {
    unsigned first = (unsigned char)s[0];
    unsigned second = left > 1 ? (unsigned char)s[1] : 0;
    return map[first << 5 | second >> 3] >> (second & 7) & 1;
}

static int longer_first(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

static void index_specials(struct vocab *v) {
    struct special *s = mem_alloc(sizeof *s);
    uint32_t *length = NULL;
    size_t n = 0;
    for (uint32_t i = 0; i < v->token.n; i++) {
        if (!(v->attr[i] & TOKEN_SPECIAL))
            continue;
        uint32_t len;
        const char *text = strings_at(&v->token, i, &len);
        mark_start(s->starts[1], text, len);
        if (!(v->attr[i] & (TOKEN_CONTROL | TOKEN_UNKNOWN)))
            mark_start(s->starts[0], text, len);
        if (!(n & (n - 1)))             /* room for twice as many */
            length = mem_grow(length, n ? 2 * n : 1, sizeof *length);
        length[n++] = len;
    }
    if (n)
        qsort(length, n, sizeof *length, longer_first);
    for (size_t i = 0; i < n; i++)
        if (!i || length[i] != length[i - 1])
            length[s->lengths++] = length[i];
    s->length = length;
    v->special = s;
}

void special_open(struct vocab *v, const struct gguf *g) {
    find_ids(v, g);
    find_ends(v, g);
    find_strips(v, g);
    index_specials(v);
}

void special_free(struct special *s) {
    if (s)
        free(s->length);
    free(s);
}

struct hits {
    struct special_hit *hit;
    size_t n, cap;
};

static void add_hit(struct hits *h, size_t at, size_t len, int32_t id) {
    if (h->n == h->cap) {
        h->cap = h->cap * 2 + 16;
        h->hit = mem_grow(h->hit, h->cap, sizeof *h->hit);
    }
    h->hit[h->n++] = (struct special_hit){at, len, id};
}

static int by_id(const void *a, const void *b) {
    const struct special_hit *x = a;
    const struct special_hit *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b) {
    const struct special_hit *x = a;
    const struct special_hit *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Takes a candidate unless something longer has a part of it, and the whitespace it swallows. */
static void take(const struct vocab *v, const char *text, size_t len, char *mark,
                 struct hits *hits, const struct special_hit *c) {
    for (size_t i = c->at; i < c->at + c->len; i++)
        if (mark[i])
            return;
    memset(mark + c->at, 1, c->len);
    add_hit(hits, c->at, c->len, c->id);
    unsigned attr = v->attr[c->id];
    size_t i = c->at;
    while (attr & TOKEN_LSTRIP && i && !mark[i - 1] && isspace((unsigned char)text[i - 1]))
        mark[--i] = 1;
    i = c->at + c->len;
    while (attr & TOKEN_RSTRIP && i < len && !mark[i] && isspace((unsigned char)text[i]))
        mark[i++] = 1;
}

size_t special_find(const struct vocab *v, const char *text, size_t len, int control,
                    struct special_hit **hit, char **mark) {
    const struct special *s = v->special;
    unsigned wanted = control ? TOKEN_SPECIAL : TOKEN_USER;
    unsigned barred = control ? 0 : TOKEN_CONTROL | TOKEN_UNKNOWN;
    struct hits start = {0};
    struct hits same = {0};
    struct hits hits = {0};
    *hit = NULL;
    *mark = NULL;
    for (size_t i = 0; i < len; i++)
        if (may_start(s->starts[control ? 1 : 0], text + i, len - i))
            add_hit(&start, i, 0, -1);
    if (!start.n)
        return 0;
    char *taken = mem_alloc(len);
    for (size_t k = 0; k < s->lengths; k++) {
        uint32_t n = s->length[k];
        same.n = 0;
        for (size_t i = 0; i < start.n; i++) {
            size_t at = start.hit[i].at;
            if (taken[at] || n > len - at)
                continue;
            int32_t id = vocab_lookup(v, text + at, n);
            if (id >= 0 && v->attr[id] & wanted && !(v->attr[id] & barred))
                add_hit(&same, at, n, id);
        }
        if (same.n > 1)
            qsort(same.hit, same.n, sizeof *same.hit, by_id);
        for (size_t i = 0; i < same.n; i++)
            take(v, text, len, taken, &hits, &same.hit[i]);
    }
    free(start.hit);
    free(same.hit);
    if (!hits.n) {
        free(taken);
        free(hits.hit);
        return 0;
    }
    qsort(hits.hit, hits.n, sizeof *hits.hit, by_place);
    *hit = hits.hit;
    *mark = taken;
    return hits.n;
}
