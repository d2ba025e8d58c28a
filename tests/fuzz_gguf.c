/* fuzz_gguf.c - hostile GGUF files: opens them, walks all they hold, asks for shape and vocabulary
 *
 * How it is run, and as what else: fuzz.h. The mutator knows the format: it walks a valid file,
 * notes every field and its kind (a length, a count, a type, a value, text), and then lies in one
 * to four of them, cuts at or beside a field's end, takes fields out or doubles them.
 */
#include "tests/fuzz.h"

#include "lib/format/gguf.h"
#include "lib/model/vocab.h"
#include "lib/shape/shape.h"
#include "tests/gguf_raw.h"

/* What became of an input, for the counts at the end. */
enum { OPENED = 1, SHAPED = 2, SPOKE = 4 };
static volatile uint64_t sink;      /* keeps reads alive */

/* ---- the target ------------------------------------------------------------------------- */

static void walk_value(const struct gguf_value *v) {
    if (v->type == GGUF_STRING) {
        struct gguf_string *s = mem_array((size_t)v->n, sizeof *s);
        gguf_array_strs(v, s);
        for (uint64_t i = 0; i < v->n; i++)
            if (s[i].len)
                sink += (unsigned char)s[i].data[0] + (unsigned char)s[i].data[s[i].len - 1];
        free(s);
        return;
    }
    for (uint64_t i = 0; i < v->n; i++) {
        sink += (uint64_t)gguf_array_int(v, i);
        sink += gguf_array_float(v, i) > 0;
    }
}

static void walk_keys(const struct gguf *g) {
    for (uint64_t i = 0; i < gguf_key_count(g); i++) {
        struct gguf_value v;
        struct gguf_string key = gguf_key(g, i, &v);
        char *name = mem_strndup(key.data, key.len);
        walk_value(&v);
        sink += strlen(gguf_str(g, name, "")) + (uint64_t)gguf_int(g, name, 1);
        sink += (uint64_t)gguf_bool(g, name, 0) + (gguf_float(g, name, 0) > 0);
        free(name);
    }
}

static void walk_tensors(const struct gguf *g) {
    for (uint64_t i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor(g, i);
        const unsigned char *p = t->data;
        char name[128];
        snprintf(name, sizeof name, "%.*s", t->name.len < 100 ? (int)t->name.len : 100,
                 t->name.data);
        sink += (uint64_t)p[0] + p[t->bytes - 1] + (gguf_find(g, "%s", name) == t);
        sink += strlen(gguf_type_name(t->type));
        gguf_drop(g, t);
    }
}

static void walk_shape(const struct gguf *g) {
    struct shape_flops f = {0};
    struct shape *s = shape_from_gguf(g, &fuzz_last);
    if (!s)
        return;
    fuzz_outcome |= SHAPED;
    shape_add_row_flops(s, 0, 1, &f);
    shape_add_row_flops(s, s->context - 1, 0, &f);
    sink += shape_kv_read(s, 0, s->context - 1, 16) > 0;
    sink += f.attention + f.dense + f.experts + f.head > shape_linear_flops(s);
    sink += shape_kv_bytes(s, 8.5) > 0;
    shape_free(s);
}

static void walk_vocab(const struct gguf *g) {
    static const char text[] = "Hello, w\xC3\xB6rld 42!  <s>\n\xFF\xE2\x82 the end";
    struct vocab *v = vocab_open(g, &fuzz_last);
    if (!v)
        return;
    fuzz_outcome |= SPOKE;
    struct ids ids = {0};
    struct buf out = {0};
    for (int flags = 0; flags < 4; flags++)
        sink += (uint64_t)vocab_encode(v, text, sizeof text - 1, flags, &ids, NULL);
    sink += (uint64_t)vocab_decode_all(v, ids.id, ids.n, 1, &out);
    for (int32_t id = -1; id <= vocab_size(v) && id < 400; id++) {
        sink += (uint64_t)vocab_decode(v, id, 0, &out);
        sink += (uint64_t)vocab_is_end(v, id);
    }
    sink += (uint64_t)(vocab_bos(v) + vocab_eos(v) + vocab_eot(v) + vocab_find(v, "the"));
    free(ids.id);
    buf_free(&out);
    vocab_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    struct gguf *g = gguf_open_memory(data, len, "fuzz.gguf", &fuzz_last);
    if (g) {
        fuzz_outcome = OPENED;
        sink += gguf_file_bytes(g) + (uint64_t)gguf_version(g);
        walk_keys(g);
        walk_tensors(g);
        walk_shape(g);
        walk_vocab(g);
        gguf_close(g);
    }
    /* A refusal is one line that names the file. */
    if (fuzz_outcome != (OPENED | SHAPED | SPOKE) &&
        (strncmp(fuzz_last.text, "fuzz.gguf: ", 11) || strchr(fuzz_last.text, '\n')))
        abort();
    return 0;
}

#ifndef LIBFUZZER

/* ---- files to start from ---------------------------------------------------------------- */

static void put_all_kinds(struct raw *r) {
    static const unsigned char bytes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    char name[16];
    for (uint32_t type = 0; type < 13; type++) {
        if (!bytes[type])
            continue;
        snprintf(name, sizeof name, "one.%u", type);
        raw_int(r, name, type, bytes[type], 1);
        snprintf(name, sizeof name, "three.%u", type);
        struct buf *b = raw_array(r, name, type, 3);
        for (int i = 0; i < 3; i++)
            buf_add(b, "\1\0\0\0\0\0\0\0", bytes[type]);
    }
    raw_put_str(r, "text", "some text");
    struct buf *b = raw_array(r, "words", 8, 3);
    raw_text(b, "one");
    raw_text(b, "");
    raw_text(b, "three");
}

static void put_words(struct raw *r, const char *kind, const char *const *word, uint64_t n,
                      int scores) {
    raw_put_str(r, "tokenizer.ggml.model", kind);
    struct buf *b = raw_array(r, "tokenizer.ggml.tokens", 8, n);
    for (uint64_t i = 0; i < n; i++)
        raw_text(b, word[i]);
    if (scores) {
        b = raw_array(r, "tokenizer.ggml.scores", 6, n);
        for (uint64_t i = 0; i < n; i++) {
            float score = -(float)i;
            buf_add(b, &score, sizeof score);
        }
    }
    b = raw_array(r, "tokenizer.ggml.token_type", 5, n);
    for (uint64_t i = 0; i < n; i++)
        raw_u32(b, *word[i] == '<' ? (word[i][1] == '0' ? 6 : word[i][1] == 'u' ? 2 : 3) : 1);
    raw_put_u32(r, "tokenizer.ggml.bos_token_id", 1);
    raw_put_u32(r, "tokenizer.ggml.eos_token_id", 2);
    raw_int(r, "tokenizer.ggml.add_bos_token", 7, 1, 1);
}

#define SPM_WORDS 281
static void put_spm(struct raw *r) {
    static const char *const pieces[] = {
        "\xE2\x96\x81", "e", "l", "o", "h", "H", "\xE2\x96\x81the", "th", "he", "ll", "el", "llo",
        "ello", "Hello", "w", "r", "d", "\xC3\xB6", ",", "!", "4", "2"};
    static char byte[256][8];
    const char *word[SPM_WORDS] = {"<unk>", "<s>", "</s>"};
    for (int i = 0; i < 256; i++) {
        snprintf(byte[i], sizeof byte[i], "<0x%02X>", i);
        word[3 + i] = byte[i];
    }
    memcpy(word + 259, pieces, sizeof pieces);
    put_words(r, "llama", word, SPM_WORDS, 1);
}

#define BPE_WORDS 263
static void put_bpe(struct raw *r) {
    static char letter[256][4];
    static const char *const merges[] = {"H e", "l l", "He ll", "t h"};
    const char *word[BPE_WORDS] = {"<x>", "<s>", "</s>", "He", "ll", "Hell", "th"};
    /* GPT-2's letters for bytes: printable Latin-1 is itself, the rest stands from U+0100 on. */
    for (uint32_t i = 0, rest = 0; i < 256; i++) {
        int printable = (i > 32 && i < 127) || (i > 160 && i != 173);
        uint32_t cp = printable ? i : 256 + rest++;
        char *p = letter[i];
        if (cp >= 128)
            *p++ = (char)(0xC0 | cp >> 6);
        *p = (char)(cp < 128 ? cp : 0x80 | (cp & 0x3F));
        word[7 + i] = letter[i];
    }
    put_words(r, "gpt2", word, BPE_WORDS, 0);
    raw_put_str(r, "tokenizer.ggml.pre", "qwen2");
    struct buf *b = raw_array(r, "tokenizer.ggml.merges", 8, 4);
    for (int i = 0; i < 4; i++)
        raw_text(b, merges[i]);
}

static void put_wpm(struct raw *r) {
    static const char *const word[] = {
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "\xE2\x96\x81the", "\xE2\x96\x81hello",
        "\xE2\x96\x81w", "rld", "o", "\xE2\x96\x81", ",", "\xE2\x96\x81" "42", "!"};
    put_words(r, "bert", word, sizeof word / sizeof *word, 0);
    raw_put_u32(r, "tokenizer.ggml.seperator_token_id", 3);
    raw_put_u32(r, "tokenizer.ggml.cls_token_id", 2);
    raw_put_u32(r, "tokenizer.ggml.unknown_token_id", 1);
    raw_put_u32(r, "tokenizer.ggml.padding_token_id", 0);
}

/* "ARCH.key" */
static void put_of(struct raw *r, const char *arch, const char *key, uint32_t v) {
    char name[128];
    snprintf(name, sizeof name, "%s.%s", arch, key);
    raw_put_u32(r, name, v);
}

enum { D = 8, FF = 16, LAYERS = 2, EXPERTS = 4 };

static void put_matrix(struct raw *r, int layer, const char *name, uint64_t in, uint64_t out,
                       uint64_t mats) {
    char full[64];
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    const uint64_t ne[3] = {in, out, mats};
    raw_tensor(r, full, 0, mats ? 3 : out ? 2 : 1, ne,
               4 * in * (out ? out : 1) * (mats ? mats : 1));
}

static void put_model(struct raw *r, const char *arch, int moe, uint64_t vocab) {
    char name[128];
    raw_put_str(r, "general.architecture", arch);
    raw_put_str(r, "general.name", "fuzz");
    put_of(r, arch, "context_length", 64);
    put_of(r, arch, "embedding_length", D);
    put_of(r, arch, "block_count", LAYERS);
    put_of(r, arch, "feed_forward_length", FF);
    put_of(r, arch, "attention.head_count", 2);
    put_of(r, arch, "attention.head_count_kv", 1);
    put_of(r, arch, "attention.key_length", 4);
    put_of(r, arch, "attention.value_length", 4);
    put_of(r, arch, "attention.sliding_window", 16);
    put_of(r, arch, "rope.dimension_count", 4);
    snprintf(name, sizeof name, "%s.attention.layer_norm_rms_epsilon", arch);
    raw_put_f32(r, name, 1e-6f);
    snprintf(name, sizeof name, "%s.rope.freq_base", arch);
    raw_put_f32(r, name, 1e4f);
    if (moe) {
        put_of(r, arch, "expert_count", EXPERTS);
        put_of(r, arch, "expert_used_count", 2);
        put_of(r, arch, "expert_feed_forward_length", FF);
    }
    put_matrix(r, -1, "token_embd", D, vocab, 0);
    for (int i = 0; i < LAYERS; i++) {
        put_matrix(r, i, "attn_norm", D, 0, 0);
        put_matrix(r, i, "attn_q", D, 8, 0);
        put_matrix(r, i, "attn_k", D, 4, 0);
        put_matrix(r, i, "attn_v", D, 4, 0);
        put_matrix(r, i, "attn_output", 8, D, 0);
        put_matrix(r, i, "ffn_norm", D, 0, 0);
        if (moe)
            put_matrix(r, i, "ffn_gate_inp", D, EXPERTS, 0);
        put_matrix(r, i, moe ? "ffn_gate_exps" : "ffn_gate", D, FF, moe ? EXPERTS : 0);
        put_matrix(r, i, moe ? "ffn_up_exps" : "ffn_up", D, FF, moe ? EXPERTS : 0);
        put_matrix(r, i, moe ? "ffn_down_exps" : "ffn_down", FF, D, moe ? EXPERTS : 0);
    }
    put_matrix(r, -1, "output_norm", D, 0, 0);
}

#define STARTS 7
static struct raw_file start[STARTS];

static void build_start(int i) {
    struct raw r = {0};
    switch (i) {
    case 0:
        put_all_kinds(&r);
        break;
    case 1:
        put_model(&r, "llama", 0, SPM_WORDS);
        put_spm(&r);
        break;
    case 2:
        put_model(&r, "qwen3moe", 1, BPE_WORDS);
        put_bpe(&r);
        break;
    case 3:
        put_model(&r, "gemma3", 0, SPM_WORDS);
        put_spm(&r);
        break;
    case 4:
        raw_put_str(&r, "general.architecture", "bert");
        put_wpm(&r);
        break;
    case 5:
        put_model(&r, "olmoe", 1, BPE_WORDS);
        put_matrix(&r, -1, "output", D, BPE_WORDS, 0);
        put_bpe(&r);
        break;
    default:
        r.alignment = 64;
        raw_put_u32(&r, "general.alignment", 64);
        raw_int(&r, "split.count", 2, 2, 1);
        raw_tensor(&r, "a", 12, 2, (uint64_t[]){256, 2}, 288);
        raw_tensor(&r, "b", 39, 4, (uint64_t[]){32, 1, 2, 1}, 34);
        raw_tensor(&r, "c", 1, 0, NULL, 2);
    }
    raw_finish_as(&r, &start[i], i == 0 ? 2 : 3, r.tensor_count, r.pair_count, r.offset);
}

/* ---- the fields of a valid file --------------------------------------------------------- */

enum kind { COUNT, LENGTH, TYPE, VALUE, TEXT };

struct field {
    size_t at, len;
    enum kind kind;
};

struct map {
    struct field *field;
    size_t n, cap;
};

static struct map maps[STARTS];

static void note(struct map *m, size_t *at, size_t len, enum kind kind) {
    if (m->n == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 256;
        m->field = mem_grow(m->field, m->cap, sizeof *m->field);
    }
    m->field[m->n++] = (struct field){*at, len, kind};
    *at += len;
}

static uint64_t number(const struct buf *b, size_t at, size_t len) {
    uint64_t v = 0;
    memcpy(&v, b->data + at, len);
    return v;
}

static void note_text(struct map *m, const struct buf *b, size_t *at) {
    uint64_t len = number(b, *at, 8);
    note(m, at, 8, LENGTH);
    note(m, at, (size_t)len, TEXT);
}

static void note_value(struct map *m, const struct buf *b, size_t *at) {
    static const unsigned char bytes[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t type = number(b, *at, 4);
    uint64_t n = 1;
    note(m, at, 4, TYPE);
    if (type == GGUF_ARRAY) {
        type = number(b, *at, 4);
        note(m, at, 4, TYPE);
        n = number(b, *at, 8);
        note(m, at, 8, COUNT);
    }
    for (uint64_t i = 0; i < n; i++) {
        if (type == GGUF_STRING)
            note_text(m, b, at);
        else
            note(m, at, bytes[type], VALUE);
    }
}

/* The file is one of ours: nothing of it needs a check. */
static void map_fields(struct map *m, const struct buf *b) {
    size_t at = 0;
    uint64_t tensors = number(b, 8, 8);
    uint64_t pairs = number(b, 16, 8);
    note(m, &at, 4, TEXT);
    note(m, &at, 4, TYPE);
    note(m, &at, 8, COUNT);
    note(m, &at, 8, COUNT);
    for (uint64_t i = 0; i < pairs; i++) {
        note_text(m, b, &at);
        note_value(m, b, &at);
    }
    for (uint64_t i = 0; i < tensors; i++) {
        note_text(m, b, &at);
        uint64_t dims = number(b, at, 4);
        note(m, &at, 4, COUNT);
        for (uint64_t d = 0; d < dims; d++)
            note(m, &at, 8, VALUE);
        note(m, &at, 4, TYPE);
        note(m, &at, 8, VALUE);
    }
}

/* ---- mutation --------------------------------------------------------------------------- */

/* A number that is likely to hurt in the place of `old`. */
static uint64_t bad_number(uint64_t old, size_t file) {
    static const uint64_t edges[] = {
        0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 255, 256, 65535, 65536, INT32_MAX, 1ull << 31,
        UINT32_MAX, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 7,
        UINT64_MAX / 8, UINT64_MAX / 8 + 1, UINT64_MAX / 4 + 1, 1ull << 61, 1ull << 60};
    switch (fuzz_below(8)) {
    case 0: return old + 1;
    case 1: return old - 1;
    case 2: return old * 2;
    case 3: return old ^ 1ull << fuzz_below(64);
    case 4: return file - fuzz_below(64);
    case 5: return fuzz_next() >> fuzz_below(64);
    case 6: return fuzz_below(16);
    default: return edges[fuzz_below(sizeof edges / sizeof *edges)];
    }
}

static void lie(struct buf *b, const struct field *f) {
    if (f->at + f->len > b->len || !f->len)
        return;
    if (f->kind == TEXT || f->len > 8 || fuzz_below(16) == 0) {
        for (size_t i = 1 + fuzz_below(4); i; i--)
            b->data[f->at + fuzz_below(f->len)] = (char)fuzz_next();
        return;
    }
    uint64_t v = bad_number(number(b, f->at, f->len), b->len);
    if (f->kind == TYPE && fuzz_below(4))
        v = fuzz_below(50);
    memcpy(b->data + f->at, &v, f->len);
}

/* Positions are those of the valid file; after a first shift they may hit something else, which
 * is as good. */
static void mutate(struct buf *b, const struct map *m) {
    const struct field *f = &m->field[fuzz_below(m->n)];
    const struct field *g = &m->field[fuzz_below(m->n)];
    size_t near_end = f->at + f->len + fuzz_below(3) - 1;
    switch (fuzz_below(16)) {
    case 0:
        b->len = fuzz_below(b->len + 1);
        break;
    case 1:
        b->len = near_end < b->len ? near_end : b->len;
        break;
    case 2:
        fuzz_drop(b, f->at, f->at + f->len);
        break;
    case 3:
        fuzz_drop(b, f->at, f->at + 1 + fuzz_below(300));
        break;
    case 4:
        fuzz_copy(b, f->at, f->at + f->len, g->at);
        break;
    case 5:
        fuzz_copy(b, f->at, f->at + 1 + fuzz_below(300), g->at);
        break;
    case 6:
        if (b->len)
            b->data[fuzz_below(b->len)] = (char)fuzz_next();
        break;
    default:
        lie(b, f);
    }
}

/* Counts and types of fields near the front decide most: the first fields are lied about more
 * often than chance would have it. */
static void make_input(struct buf *b, int i) {
    const struct map *m = &maps[i];
    b->len = 0;
    buf_add(b, start[i].bytes.data, start[i].bytes.len);
    for (size_t n = 1 + fuzz_below(4); n; n--) {
        if (fuzz_below(4) == 0)
            lie(b, &m->field[fuzz_below(m->n < 60 ? m->n : 60)]);
        else
            mutate(b, m);
    }
}

/* ---- the frame -------------------------------------------------------------------------- */

static struct buf start_bytes(int i) {
    return start[i].bytes;
}

/* At every field, and one and two bytes into it. */
static size_t cut_at(int i, size_t k) {
    return k / 3 < maps[i].n ? maps[i].field[k / 3].at + k % 3 : SIZE_MAX;
}

int main(int argc, char **argv) {
    static const int expected[STARTS] = {OPENED, 7, 7, 7, OPENED | SPOKE, 7, OPENED};
    static const struct fuzz fuzz = {
        .name = "fuzz_gguf", .suffix = ".gguf",
        .outcome = {"opened", "had a shape", "had a vocabulary"},
        .starts = STARTS, .start = start_bytes, .expected = expected, .cut = cut_at,
        .make = make_input};
    for (int i = 0; i < STARTS; i++) {
        build_start(i);
        map_fields(&maps[i], &start[i].bytes);
    }
    int rc = fuzz_main(&fuzz, argc, argv);
    for (int i = 0; i < STARTS; i++) {
        buf_free(&start[i].bytes);
        free(maps[i].field);
    }
    return rc;
}

#endif
