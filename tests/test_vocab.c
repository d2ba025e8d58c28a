/* test_vocab.c - tokenizers: ids equal to llama.cpp's, text back from ids, hostile vocabularies
 *
 * The vocabularies are made here, small enough to read: the 256 bytes, and merges of every two
 * neighbours in a text of many scripts, so that where a pre-tokenizer cuts shows in the ids. What
 * llama.cpp makes of them is in tests/reference/vocab.tsv; `test_vocab -w DIR` writes the files
 * for the script that made it. Real vocabularies are read from ../shared when it is there.
 */
#include "lib/model/vocab_impl.h"

#include <dirent.h>

#include "lib/base/utf8.h"
#include "lib/model/pretok.h"
#include "tests/check.h"
#include "tests/scratch.h"

static const char *dir;                     /* where the vocabularies are written */
static const char model_file[] = "examples/models/tiny-moe-f16.gguf";
static const char shared[] = "../shared/data/vocab";

/* ---- making vocabularies --------------------------------------------------------------------- */

static const char mix[] =
    "Hello world's I'M we'LL  don't   x\t\tif (a1 == 123456) {\r\n\n    return \"caf\xC3\xA9\"; "
    "}\n CamelCase HTTPServer \xC3\x89" "COLE na\xC3\xAFve e\xCC\x81 "
    "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\xE3\x80\x82\xE3\x81\xB2\xE3\x82\xAB "
    "\xED\x95\x9C\xEA\xB5\xAD \xD0\x9F\xD1\x80\xD0\xB8 \xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8 "
    "\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4 3.14 1234567 \xC2\xBD\xF0\x9F\x98\x80\xF0\x9F\x91\xA8\xE2\x80"
    "\x8D\xF0\x9F\x91\xA9 a/b\n/c ... !?\xC2\xA0\xE3\x80\x80z  ";

struct maker {                              /* arrays of a vocabulary that is being made */
    struct gguf_string *token;
    float *score;
    int64_t *type;
    size_t n;
    struct gguf_string *merge;
    size_t merges;
};

static struct gguf_string text(const char *s, size_t len) {
    return (struct gguf_string){mem_strndup(s, len), len};
}

static void add_token(struct maker *m, const char *s, size_t len, int type, float score) {
    m->token = mem_grow(m->token, m->n + 1, sizeof *m->token);
    m->score = mem_grow(m->score, m->n + 1, sizeof *m->score);
    m->type = mem_grow(m->type, m->n + 1, sizeof *m->type);
    m->token[m->n] = text(s, len);
    m->type[m->n] = type;
    m->score[m->n++] = score;
}

static void add_name(struct maker *m, const char *s, int type) {
    add_token(m, s, strlen(s), type, 0);
}

static void free_maker(struct maker *m) {
    for (size_t i = 0; i < m->n; i++)
        free((void *)(uintptr_t)m->token[i].data);
    for (size_t i = 0; i < m->merges; i++)
        free((void *)(uintptr_t)m->merge[i].data);
    free(m->token);
    free(m->score);
    free(m->type);
    free(m->merge);
}

static int has_token(const struct maker *m, const struct buf *b) {
    for (size_t i = 0; i < m->n; i++)
        if (m->token[i].len == b->len && !memcmp(m->token[i].data, b->data, b->len))
            return 1;
    return 0;
}

/* Joins neighbours of a text, cut into characters, in a scattered order, as tokens and merges. */
static void add_pairs(struct maker *m, const struct gguf_string *part, size_t n) {
    for (size_t k = 0; k + 1 < n; k++) {
        size_t i = k * 7 % (n - 1);
        struct buf b = {0};
        buf_add(&b, part[i].data, part[i].len);
        buf_add(&b, part[i + 1].data, part[i + 1].len);
        if (!has_token(m, &b)) {
            struct buf merge = {0};
            add_token(m, b.data, b.len, 1, -(float)(m->n % 97));
            buf_add(&merge, part[i].data, part[i].len);
            buf_addc(&merge, ' ');
            buf_add(&merge, part[i + 1].data, part[i + 1].len);
            m->merge = mem_grow(m->merge, m->merges + 1, sizeof *m->merge);
            m->merge[m->merges++] = text(merge.data, merge.len);
            buf_free(&merge);
        }
        buf_free(&b);
    }
}

/* The characters of s as a vocabulary spells them: bytes by their stand-ins, or as they are with
 * a space as U+2581. */
static size_t spell(const char *s, size_t len, int stand_ins, struct gguf_string *part) {
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        char c[4];
        size_t step = stand_ins ? 1 : pretok_get(s + i, len - i, &cp);
        if (stand_ins)
            cp = detok_stand_in((unsigned char)s[i]);
        else if (cp == ' ')
            cp = 0x2581;
        size_t put = (size_t)utf8_put(cp, c);
        part[n++] = text(c, put);
        i += step;
    }
    return n;
}

static void add_text(struct maker *m, int stand_ins) {
    struct gguf_string part[sizeof mix];
    size_t n = spell(mix, sizeof mix - 1, stand_ins, part);
    if (!stand_ins)
        for (size_t i = 0; i < n; i++) {
            struct buf b = {0};
            buf_add(&b, part[i].data, part[i].len);
            /* Of the long ones only the space: the others must fall back to bytes. */
            int alone = part[i].len < 3 || !memcmp(part[i].data, "\xE2\x96\x81", 3);
            if (alone && !has_token(m, &b))
                add_token(m, b.data, b.len, 1, -200);
            buf_free(&b);
        }
    add_pairs(m, part, n);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)part[i].data);
}

static char *finish(struct gguf_writer *w, struct maker *m, const char *name) {
    struct err err = {{0}};
    char *path = mem_printf("%s/%s.gguf", dir, name);
    gguf_put_strs(w, "tokenizer.ggml.tokens", m->token, m->n);
    gguf_put_floats(w, "tokenizer.ggml.scores", m->score, m->n);
    gguf_put_ints(w, "tokenizer.ggml.token_type", GGUF_I32, m->type, m->n);
    if (m->merges)
        gguf_put_strs(w, "tokenizer.ggml.merges", m->merge, m->merges);
    if (gguf_writer_begin(w, path, &err) < 0 || gguf_writer_finish(w, &err) < 0) {
        printf("# %s\n", err.text);
        check_bad++;
    }
    gguf_writer_free(w);
    free_maker(m);
    return path;
}

static struct gguf_writer *begin(const char *model) {
    struct gguf_writer *w = gguf_writer_new(3, 32);
    gguf_put_str(w, "general.architecture", "llama");
    gguf_put_str(w, "tokenizer.ggml.model", model);
    return w;
}

static char *make_bpe(const char *pre) {
    int raw = !strcmp(pre, "gemma4") || !strcmp(pre, "sarvam-moe") ||
              !strcmp(pre, "granite-embed-multi-311m");
    struct maker m = {0};
    struct gguf_writer *w = begin(strcmp(pre, "whitespace") ? "gpt2" : "whitespace");
    gguf_put_str(w, "tokenizer.ggml.pre", pre);
    for (int b = 0; b < 256; b++) {
        char c[8];
        if (raw)
            snprintf(c, sizeof c, "<0x%02X>", (unsigned)b);
        add_token(&m, c, raw ? 6 : (size_t)utf8_put(detok_stand_in((unsigned char)b), c),
                  raw ? 6 : 1, 0);
    }
    add_name(&m, "<|im_start|>", 3);
    add_name(&m, "<|im_end|>", 3);
    add_name(&m, "  ", 4);
    add_text(&m, !raw);
    gguf_put_int(w, "tokenizer.ggml.bos_token_id", GGUF_U32, 256);
    gguf_put_int(w, "tokenizer.ggml.eos_token_id", GGUF_U32, 257);
    char *name = mem_printf("bpe-%s", pre);
    char *path = finish(w, &m, name);
    free(name);
    return path;
}

static char *make_spm(int prefix) {
    struct maker m = {0};
    struct gguf_writer *w = begin("llama");
    add_name(&m, "<unk>", 2);
    add_name(&m, "<s>", 3);
    add_name(&m, "</s>", 3);
    for (int b = 0; b < 256; b++) {
        char c[8];
        snprintf(c, sizeof c, "<0x%02X>", (unsigned)b);
        add_name(&m, c, 6);
    }
    add_name(&m, "<|im_start|>", 3);
    add_name(&m, "\n\n", 4);
    add_text(&m, 0);
    add_name(&m, "s\xE2\x96\x81", 1);           /* runs over a marked space */
    if (!prefix)
        gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", 0);
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", !prefix);
    return finish(w, &m, prefix ? "spm" : "spm-bare");
}

static char *make_wpm(void) {
    static const char *const words[] = {
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\xE2\x96\x81hello", "\xE2\x96\x81world",
        "\xE2\x96\x81'", "\xE2\x96\x81s", "\xE2\x96\x81" "cafe", "\xE2\x96\x81" "camel", "case",
        "\xE2\x96\x81na", "ive", "\xE2\x96\x81\xE4\xB8\xAD", "\xE2\x96\x81\xE6\x96\x87",
        "\xE2\x96\x81(", "\xE2\x96\x81)", "\xE2\x96\x81{", "\xE2\x96\x81=", "\xE2\x96\x81i",
        "\xE2\x96\x81" "12", "34", "\xE2\x96\x81!", "\xE2\x96\x81?", "\xE2\x96\x81.", "\xE2\x96\x81x",
        "\xE2\x96\x81\xE1\x84\x92", "\xE1\x84\x80", "\xE2\x96\x81\xD0\xBF\xD1\x80", "\xD0\xB8",
    };
    struct maker m = {0};
    struct gguf_writer *w = begin("bert");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        add_name(&m, words[i], i < 5 ? 3 : 1);
    gguf_put_int(w, "tokenizer.ggml.bos_token_id", GGUF_U32, 2);
    gguf_put_int(w, "tokenizer.ggml.unknown_token_id", GGUF_U32, 1);
    gguf_put_int(w, "tokenizer.ggml.seperator_token_id", GGUF_U32, 3);
    return finish(w, &m, "wpm");
}

/* Every vocabulary of the test, once for each name that a pre-tokenizer has. */
static void make_all(void) {
    for (size_t i = 0; i < pretok_rows; i++) {
        char *names = mem_strdup(pretok_table[i].names);
        char *rest = names;
        for (char *name; (name = strtok_r(rest, " ", &rest));)
            free(make_bpe(name));
        free(names);
    }
    free(make_spm(1));
    free(make_spm(0));
    free(make_wpm());
}

/* ---- helpers --------------------------------------------------------------------------------- */

static struct vocab *open_path(const char *path) {
    struct err err = {{0}};
    struct gguf *g = gguf_open(path, &err);
    struct vocab *v = g ? vocab_open(g, &err) : NULL;
    if (!v)
        printf("# %s\n", err.text);
    gguf_close(g);
    return v;
}

static struct vocab *open_made(const char *name) {
    char *path = mem_printf("%s/%s.gguf", dir, name);
    struct vocab *v = open_path(path);
    free(path);
    return v;
}

static void check_ids(const struct vocab *v, const char *s, size_t len, int flags,
                      const char *want, const char *what) {
    struct ids ids = {0};
    struct buf b = {0};
    CHECK_INT(vocab_encode(v, s, len, flags, &ids, NULL), 0);
    for (size_t i = 0; i < ids.n; i++)
        buf_printf(&b, "%s%d", i ? " " : "", (int)ids.id[i]);
    const char *got = b.data ? b.data : "";
    if (strcmp(got, want)) {
        printf("# %s, flags %d, \"%.*s\":\n#   got  %s\n#   want %s\n", what, flags,
               (int)(len < 60 ? len : 60), s, got, want);
        check_bad++;
    }
    free(ids.id);
    buf_free(&b);
}

/* ---- against llama.cpp ------------------------------------------------------------------------ */

static size_t unhex(const char *hex, char *out) {
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        out[n] = (char)byte;
    return n;
}

/* Lines of vocab.tsv: vocabulary, flags, text in hexadecimal, ids. */
static void check_reference(int model) {
    FILE *f = fopen("tests/reference/vocab.tsv", "r");
    CHECK(f != NULL);
    char *line = NULL;
    size_t cap = 0;
    char name[64] = "";
    struct vocab *v = NULL;
    int n = 0;
    while (f && getline(&line, &cap, f) > 0) {
        char *rest = line;
        char *field[4];
        for (int i = 0; i < 4; i++)
            field[i] = strsep(&rest, "\t\n");
        if (!field[3] || (strcmp(field[0], "tiny-moe") == 0) != model)
            continue;
        if (strcmp(name, field[0])) {
            snprintf(name, sizeof name, "%s", field[0]);
            vocab_free(v);
            v = model ? open_path(model_file) : open_made(name);
            CHECK(v != NULL);
        }
        size_t len = strlen(field[2]) / 2;
        char *s = mem_alloc(len + 1);
        CHECK_INT(unhex(field[2], s), len);
        if (v)
            check_ids(v, s, len, atoi(field[1]), field[3], name);
        free(s);
        n++;
    }
    CHECK(n > (model ? 3 : 280));
    vocab_free(v);
    free(line);
    if (f)
        fclose(f);
}

static void matches_reference(void) {
    check_reference(0);
}

static void matches_model_reference(void) {
    if (access(model_file, R_OK))
        SKIP("no examples/models/tiny-moe-f16.gguf");
    check_reference(1);
}

static char *next_part(char **rest, const char *separator) {
    char *part = *rest;
    if (!part)
        return NULL;
    char *end = strstr(part, separator);
    if (end) {
        *end = '\0';
        *rest = end + strlen(separator);
    } else {
        *rest = NULL;
    }
    return part;
}

static char *whole_file(const char *path) {
    FILE *f = fopen(path, "r");
    struct buf b = {0};
    char c[4096];
    for (size_t n; f && (n = fread(c, 1, sizeof c, f)) > 0;)
        buf_add(&b, c, n);
    if (f)
        fclose(f);
    return b.data;
}

static void check_pair(const char *gguf) {
    char *path = mem_printf("%s.inp", gguf);
    char *texts = whole_file(path);
    free(path);
    path = mem_printf("%s.out", gguf);
    char *lines = whole_file(path);
    free(path);
    struct vocab *v = open_path(gguf);
    CHECK(v && texts && lines);
    char *in = texts;
    char *out = lines;
    for (char *s; v && (s = next_part(&in, "\n__ggml_vocab_test__\n"));) {
        char *want = next_part(&out, "\n");
        CHECK(want != NULL);
        if (!want)
            break;
        check_ids(v, s, strlen(s), 0, want + strspn(want, " "), gguf);
    }
    vocab_free(v);
    free(texts);
    free(lines);
}

static void matches_shared(void) {
    DIR *d = opendir(shared);
    if (!d)
        SKIP("no ../shared/data/vocab");
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 5, ".gguf"))
            continue;
        char *path = mem_printf("%s/%s", shared, e->d_name);
        check_pair(path);
        free(path);
        n++;
    }
    closedir(d);
    CHECK(n > 0);
}

/* ---- back to text ---------------------------------------------------------------------------- */

static void check_round_trip(const char *name, const char *s, size_t len, int flags) {
    struct vocab *v = open_made(name);
    struct ids ids = {0};
    struct buf b = {0};
    vocab_encode(v, s, len, flags, &ids, NULL);
    CHECK_INT(vocab_decode_all(v, ids.id, ids.n, 0, &b), 0);
    CHECK_INT(b.len, len);
    CHECK(b.len == len && (!len || !memcmp(b.data, s, len)));
    b.len = 0;
    for (size_t i = 0; i < ids.n; i++)
        CHECK_INT(vocab_decode(v, ids.id[i], 0, &b), 0);
    CHECK(b.len >= len);
    free(ids.id);
    buf_free(&b);
    vocab_free(v);
}

static void comes_back(void) {
    static const char *const names[] = {"bpe-gpt-2", "bpe-llama-bpe", "bpe-deepseek-llm",
                                        "bpe-gemma4", "bpe-kimi-k2", "spm-bare"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check_round_trip(names[i], mix, sizeof mix - 1, 0);
        check_round_trip(names[i], mix, sizeof mix - 1, VOCAB_BOS);
        check_round_trip(names[i], "  two  ", 7, VOCAB_BOS);
        check_round_trip(names[i], "", 0, 0);
    }
    /* Here a space of ours stands in front of every piece of text: mix has a special token in
     * it, these have none. Bytes that are no UTF-8 survive. */
    check_round_trip("spm", mix, 30, VOCAB_BOS);
    check_round_trip("spm", "  two  ", 7, 0);
    check_round_trip("spm", "a\x80 z\0b \x9F\xFF", 9, 0);
}

static void knows_its_tokens(void) {
    struct vocab *v = open_made("bpe-llama-bpe");
    struct buf b = {0};
    CHECK_STR(vocab_kind(v), "gpt2");
    CHECK_INT(vocab_bos(v), 256);
    CHECK_INT(vocab_eos(v), 257);
    CHECK_INT(vocab_eot(v), 257);
    CHECK(vocab_adds_bos(v));
    CHECK_INT(vocab_find(v, "<|im_start|>"), 256);
    CHECK_INT(vocab_find(v, "no such token"), -1);
    CHECK(vocab_is_end(v, 257) && !vocab_is_end(v, 256) && !vocab_is_end(v, -1));
    CHECK(!vocab_is_end(v, vocab_size(v)));
    CHECK_INT(vocab_token(v, 256).len, 12);
    CHECK_INT(vocab_token(v, -1).len, 0);
    CHECK_INT(vocab_decode(v, 256, 0, &b), 0);
    CHECK_INT(b.len, 0);
    CHECK_INT(vocab_decode(v, 256, 1, &b), 0);
    CHECK_STR(b.data, "<|im_start|>");
    CHECK_INT(vocab_decode(v, vocab_size(v), 1, &b), -1);
    CHECK_INT(vocab_decode(v, -1, 1, &b), -1);
    buf_free(&b);
    struct ids ids = {0};
    struct err err = {{0}};
    CHECK_INT(vocab_encode(v, "", 0, 4, &ids, &err), -1);
    CHECK(strstr(err.text, "flags") != NULL);
    vocab_free(v);
}

/* ---- time and size --------------------------------------------------------------------------- */

/* Long runs of one character would take minutes if a join cost a look at the whole word. */
static void long_runs_are_quick(void) {
    static const char *const names[] = {"bpe-llama-bpe", "bpe-exaone-moe", "bpe-gpt-4o", "bpe-gemma4",
                                        "spm", "wpm", "bpe-superbpe", "bpe-jais-2"};
    enum { LEN = 300000 };
    char *s = mem_alloc(LEN);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct vocab *v = open_made(names[i]);
        for (const char *c = "l1 \n<\xFF"; *c; c++) {
            struct ids ids = {0};
            memset(s, *c, LEN);
            CHECK_INT(vocab_encode(v, s, LEN, VOCAB_SPECIAL, &ids, NULL), 0);
            free(ids.id);
        }
        vocab_free(v);
    }
    free(s);
}

/* ---- bad vocabularies ------------------------------------------------------------------------- */

enum { KEY_MODEL = 1, KEY_TOKENS = 2, KEY_SCORES = 4, KEY_TYPES = 8, KEY_MERGES = 16 };

/* A vocabulary of three tokens without some of its keys; the error it gives, "" for none. */
static const char *refusal(const char *model, const char *pre, unsigned keys, size_t scores) {
    static struct err err;
    static const struct gguf_string token[] = {{"a", 1}, {"b", 1}, {"ab", 2}};
    static const struct gguf_string merge[] = {{"a b", 3}};
    static const float score[] = {0, 0, 0, 0};
    static const int64_t type[] = {1, 1, 1};
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path("bad.gguf");
    if (keys & KEY_MODEL)
        gguf_put_str(w, "tokenizer.ggml.model", model);
    if (pre)
        gguf_put_str(w, "tokenizer.ggml.pre", pre);
    if (keys & KEY_TOKENS)
        gguf_put_strs(w, "tokenizer.ggml.tokens", token, 3);
    if (keys & KEY_SCORES)
        gguf_put_floats(w, "tokenizer.ggml.scores", score, scores);
    if (keys & KEY_TYPES)
        gguf_put_ints(w, "tokenizer.ggml.token_type", GGUF_I32, type, 3);
    if (keys & KEY_MERGES)
        gguf_put_strs(w, "tokenizer.ggml.merges", merge, 1);
    CHECK(gguf_writer_begin(w, path, &err) == 0 && gguf_writer_finish(w, &err) == 0);
    gguf_writer_free(w);
    err.text[0] = '\0';
    struct gguf *g = gguf_open(path, &err);
    struct vocab *v = g ? vocab_open(g, &err) : NULL;
    if (v)
        err.text[0] = '\0';
    vocab_free(v);
    gguf_close(g);
    free(path);
    return err.text;
}

#define REFUSED(says, ...) CHECK(strstr(refusal(__VA_ARGS__), says) != NULL)

static void refuses_with_a_reason(void) {
    unsigned all = KEY_MODEL | KEY_TOKENS | KEY_SCORES | KEY_TYPES | KEY_MERGES;
    CHECK_STR(refusal("gpt2", "gpt-2", all, 3), "");
    CHECK_STR(refusal("gpt2", NULL, all, 3), "");
    CHECK_STR(refusal("llama", NULL, KEY_MODEL | KEY_TOKENS, 0), "");
    REFUSED("no tokenizer.ggml.model", "", NULL, 0, 0);
    REFUSED("no tokenizer.ggml.tokens", "llama", NULL, KEY_MODEL, 0);
    REFUSED("scores has 4 entries", "llama", NULL, all, 4);
    REFUSED("scores has 2 entries", "llama", NULL, all, 2);
    REFUSED("no tokenizer.ggml.merges", "gpt2", "gpt-2", all & ~(unsigned)KEY_MERGES, 3);
    REFUSED("unknown pre-tokenizer \"gpt-1\"", "gpt2", "gpt-1", all, 3);
    REFUSED(" qwen2 ", "gpt2", "gpt-1", all, 3);
    REFUSED("\"t5\" is not supported", "t5", NULL, all, 3);
    REFUSED("\"rwkv\" is not supported", "rwkv", NULL, all, 3);
    REFUSED("\"else\"", "else", NULL, all, 3);
    REFUSED("no vocabulary", "none", NULL, all, 3);
}

/* Ids outside, merges of nothing, equal and empty tokens, scores that are none: ids may be odd,
 * but they are ids, and nothing is touched that is not ours. */
static void survives(const char *model, const char *pre) {
    static const struct gguf_string token[] = {
        {"", 0}, {"a", 1}, {"a", 1}, {"<0x", 3}, {"\xFF\xFE", 2}, {"", 0}, {"</s>", 4},
        {"\xE2\x96\x81", 3}, {"aa", 2}, {"\xE2\x96\x81" "a", 4}, {"<|end|>", 7}, {"<|call|>", 8}};
    static const struct gguf_string merge[] = {
        {"", 0}, {" ", 1}, {"a a", 3}, {"a a", 3}, {"x", 1}, {"a ", 2}, {" a", 2}, {"aa zz", 5},
        {"aa aa", 5}, {"a b c", 5}};
    enum { N = sizeof token / sizeof token[0] };
    const float score[N] = {NAN, INFINITY, -INFINITY, 3e38f, NAN, 0, -0.0f, 1, NAN, 2, 0, 0};
    static const int64_t type[N] = {4, 1, 3, 6, 6, 2, 99, -5, 1, 0, 3, 3};
    struct err err = {{0}};
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path("hostile.gguf");
    gguf_put_str(w, "tokenizer.ggml.model", model);
    gguf_put_str(w, "tokenizer.ggml.pre", pre);
    gguf_put_str(w, "general.name", "Phi-3");
    gguf_put_strs(w, "tokenizer.ggml.tokens", token, N);
    gguf_put_floats(w, "tokenizer.ggml.scores", score, N);
    gguf_put_ints(w, "tokenizer.ggml.token_type", GGUF_I32, type, N);
    gguf_put_strs(w, "tokenizer.ggml.merges", merge, sizeof merge / sizeof merge[0]);
    gguf_put_int(w, "tokenizer.ggml.bos_token_id", GGUF_U32, 4000000000);
    gguf_put_int(w, "tokenizer.ggml.eos_token_id", GGUF_I32, -7);
    gguf_put_int(w, "tokenizer.ggml.eot_token_id", GGUF_U32, N);
    gguf_put_int(w, "tokenizer.ggml.unknown_token_id", GGUF_U32, 99);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", 1);
    gguf_put_bool(w, "tokenizer.ggml.add_eos_token", 1);
    CHECK(gguf_writer_begin(w, path, &err) == 0 && gguf_writer_finish(w, &err) == 0);
    gguf_writer_free(w);
    struct vocab *v = open_path(path);
    CHECK(v != NULL);
    struct ids ids = {0};
    struct buf b = {0};
    static const char words[] = "aaaa a a\xFF\xFE</s>   aaab<|end|>\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (int flags = 0; v && flags < 4; flags++)
        CHECK_INT(vocab_encode(v, words, sizeof words, flags, &ids, &err), 0);
    CHECK(ids.n > 0);
    for (size_t i = 0; i < ids.n; i++)
        CHECK(ids.id[i] >= 0 && ids.id[i] < N);
    CHECK_INT(vocab_decode_all(v, ids.id, ids.n, 1, &b), 0);
    CHECK(vocab_bos(v) < N && vocab_eos(v) < N && vocab_eot(v) < N);
    free(ids.id);
    buf_free(&b);
    vocab_free(v);
    free(path);
}

static void survives_hostile(void) {
    survives("gpt2", "default");
    survives("gpt2", "llama-bpe");
    survives("gpt2", "kimi-k2");
    survives("gemma4", "");
    survives("whitespace", "whitespace");
    survives("llama", "");
    survives("bert", "");
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "-w")) {
        dir = argv[2];
        make_all();
        return check_bad ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    char *inside = scratch_path("x");
    dir = scratch_dir;
    free(inside);
    make_all();
    RUN(matches_reference);
    RUN(matches_model_reference);
    RUN(matches_shared);
    RUN(comes_back);
    RUN(knows_its_tokens);
    RUN(long_runs_are_quick);
    RUN(refuses_with_a_reason);
    RUN(survives_hostile);
    scratch_remove();
    return check_done();
}
