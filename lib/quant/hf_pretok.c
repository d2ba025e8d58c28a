/* hf_pretok.c - names what a tokenizer.json does to a text before BPE
 *
 * A GGUF holds the name of a pre-tokenizer (tokenizer.ggml.pre), not what it does. llama.cpp's
 * converter finds the name by the ids of one long text; here the definition itself is compared: its
 * steps, one a line, must be those of a row of the table.
 */
#include "lib/quant/hf_impl.h"

#include <stdlib.h>
#include <string.h>

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define OTHERS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(tail) \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
    "*" tail
#define SLASHES " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"

struct row {
    const char *name;
    int ignore_merges;          /* 1, 0; -1: either */
    int composes;               /* NFC comes first: 1, 0; -1: either */
    const char *steps;
};

/* Rows that differ in what comes around alone go from the special one to the common one. */
static const struct row table[] = {
    {"llama-bpe", 1, -1,
     "split " CONTRACTION "|" WORD "|\\p{N}{1,3}|" OTHERS "|" SPACES "\nbytes\n"},
    {"smaug-bpe", 0, -1,
     "split " CONTRACTION "|" WORD "|\\p{N}{1,3}|" OTHERS "|" SPACES "\nbytes\n"},
    {"qwen2", 0, -1, "split " CONTRACTION "|" WORD "|\\p{N}|" OTHERS "|" SPACES "\nbytes\n"},
    {"qwen35", 0, -1,
     "split " CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
     "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES "\nbytes\n"},
    {"seed-coder", 0, -1,
     "split " CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES "\nbytes\n"},
    {"tekken", 1, -1, "split " CASED("") "|\\p{N}|" SLASHES "|" SPACES "\nbytes\n"},
    {"gpt-4o", 0, -1,
     "split " CASED(CONTRACTION "?") "|\\p{N}{1,3}|" SLASHES "|" SPACES "\nbytes\n"},
    {"smollm", 0, -1, "digit\ngpt2\n"},
    {"olmo", 0, 1, "gpt2\n"},
    {"gpt-2", 0, 0, "gpt2\n"},
    {"deepseek-coder", 0, -1,
     "split [\\r\\n]\nsplit \\s?\\p{L}+\nsplit \\s?\\p{P}+\n"
     "split [\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+\n"
     "digit\nbytes\n"},
    {"deepseek-v3", 0, -1,
     "split \\p{N}{1,3}\nsplit [\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F"
     "\xE3\x82\xA0-\xE3\x83\xBF]+\nsplit [!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
     "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES
     "\nbytes\n"},
};

/* ---- steps ------------------------------------------------------------------------------ */

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

static int flag_of(const cJSON *object, const char *key, int def) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : def;
}

/* A pattern cuts and keeps what it matches; "removed, inverted" says the same of patterns that
 * match everything, which all of the table do. */
static void add_split(struct buf *b, const cJSON *step) {
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(step, "pattern");
    const char *regex = text_of(pattern, "Regex");
    const char *behavior = text_of(step, "behavior");
    int known = !strcmp(behavior, flag_of(step, "invert", 0) ? "Removed" : "Isolated");
    if (!*regex || !known) {
        buf_printf(b, "Split with \"%.80s\", %.20s\n", *regex ? regex : text_of(pattern, "String"),
                   behavior);
        return;
    }
    buf_adds(b, "split ");
    for (; *regex; regex++) {           /* a line end may be spelled or be there */
        if (*regex == '\r' || *regex == '\n')
            buf_adds(b, *regex == '\r' ? "\\r" : "\\n");
        else
            buf_addc(b, *regex);
    }
    buf_addc(b, '\n');
}

/* What a step is, in a line of its own; of a Sequence all of its steps. */
static void add_steps(struct buf *b, const cJSON *step) {
    const char *type = text_of(step, "type");
    const cJSON *inner = NULL;
    if (!strcmp(type, "Sequence"))
        cJSON_ArrayForEach(inner, cJSON_GetObjectItemCaseSensitive(step, "pretokenizers"))
            add_steps(b, inner);
    else if (!strcmp(type, "Split"))
        add_split(b, step);
    else if (!strcmp(type, "Digits") && flag_of(step, "individual_digits", 0))
        buf_adds(b, "digit\n");
    else if (!strcmp(type, "ByteLevel") && !flag_of(step, "add_prefix_space", 1))
        buf_adds(b, flag_of(step, "use_regex", 1) ? "gpt2\n" : "bytes\n");
    else
        buf_printf(b, "%.40s%s\n", *type ? type : "a step without a type",
                   strcmp(type, "ByteLevel") ? "" : " with a space in front");
}

/* 1: NFC alone, which GGUF readers leave out (most texts are composed already); 0 nothing; -1
 * something else. */
static int composes(const cJSON *normalizer) {
    const cJSON *inner = NULL;
    int rc = 0;
    if (!normalizer)
        return 0;
    if (strcmp(text_of(normalizer, "type"), "Sequence"))
        return strcmp(text_of(normalizer, "type"), "NFC") ? -1 : 1;
    cJSON_ArrayForEach(inner, cJSON_GetObjectItemCaseSensitive(normalizer, "normalizers")) {
        int one = composes(inner);
        rc = rc < 0 || one < 0 ? -1 : rc | one;
    }
    return rc;
}

const char *hf_pretok_name(const struct hf_tokenizer *t, struct err *err) {
    struct buf steps = {0};
    const char *name = NULL;
    int nfc = composes(t->normalizer);
    if (nfc < 0) {
        err_set(err, "%s: normalizer: expected none or NFC, found %.40s; --pre NAME goes on "
                "without", t->where, text_of(t->normalizer, "type"));
        return NULL;
    }
    if (t->pre_tokenizer)
        add_steps(&steps, t->pre_tokenizer);
    for (size_t i = 0; steps.data && !name && i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].steps, steps.data) &&
            (table[i].ignore_merges < 0 || table[i].ignore_merges == t->ignore_merges) &&
            (table[i].composes < 0 || table[i].composes == nfc))
            name = table[i].name;
    for (char *p = steps.data; p && *p; p++)
        *p = (char)(*p == '\n' ? p[1] ? ';' : 0 : *p);
    if (!name)
        err_set(err, "%s: pre_tokenizer: no known one does this%s: %.500s; --pre NAME says which "
                "to write", t->where, t->ignore_merges ? " (ignoring merges)" : "",
                steps.len ? steps.data : "nothing");
    buf_free(&steps);
    return name;
}

/* ---- SentencePiece in a tokenizer.json --------------------------------------------------- */

/* Spaces become U+2581, one may be put in front; anything else changes the tokens. */
static int read_normalizer(const struct hf_tokenizer *t, const cJSON *n, int *prefix,
                           struct err *err) {
    static const char mark[] = "\xE2\x96\x81";
    const char *type = text_of(n, "type");
    const cJSON *inner = NULL;
    if (!strcmp(type, "Sequence")) {
        cJSON_ArrayForEach(inner, cJSON_GetObjectItemCaseSensitive(n, "normalizers"))
            if (read_normalizer(t, inner, prefix, err))
                return -1;
        return 0;
    }
    if (!strcmp(type, "Prepend") && !strcmp(text_of(n, "prepend"), mark)) {
        *prefix = 1;
        return 0;
    }
    if (!strcmp(type, "Replace") && !strcmp(text_of(n, "content"), mark) &&
        !strcmp(text_of(cJSON_GetObjectItemCaseSensitive(n, "pattern"), "String"), " "))
        return 0;
    return err_set(err, "%s: normalizer: expected spaces to become U+2581 and no more, found %.40s",
                   t->where, type);
}

int hf_pretok_spaces(const struct hf_tokenizer *t, int *prefix, struct err *err) {
    const cJSON *p = t->pre_tokenizer;
    const char *type = p ? text_of(p, "type") : "";
    *prefix = 0;
    if (t->normalizer && read_normalizer(t, t->normalizer, prefix, err))
        return -1;
    if (!strcmp(type, "Metaspace")) {
        const char *scheme = text_of(p, "prepend_scheme");
        *prefix |= *scheme ? strcmp(scheme, "never") != 0 : flag_of(p, "add_prefix_space", 1);
        return 0;
    }
    /* Gemma's: nothing is left to cut at once spaces are replaced. */
    if (!p || (!strcmp(type, "Split") &&
               !strcmp(text_of(cJSON_GetObjectItemCaseSensitive(p, "pattern"), "String"), " ")))
        return 0;
    return err_set(err, "%s: pre_tokenizer: expected none or Metaspace beside byte_fallback, found "
                   "%.40s", t->where, type);
}
