/* fuzz_hf_config.c - hostile folders: config.json, tokenizer.json and their kin
 *
 * How it is run, and as what else: fuzz.h. An input is the files of a folder, each behind a line
 * "\x1ENAME\n"; the weights are those that the first file's start needs. Whatever comes, there is an
 * error that has words, or a source all of whose rows can be read, with metadata that a GGUF reader
 * takes.
 */
#include "tests/fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "lib/model/vocab.h"
#include "lib/quant/hf.h"

enum { OPENED = 1, KEYS = 2, VOCABULARY = 4 };

static char folder[300];

/* ---- the target ------------------------------------------------------------------------- */

static void read_rows(struct source *s) {
    for (uint64_t i = 0; i < s->tensors; i++) {
        const struct source_tensor *t = &s->tensor[i];
        NEED(t->rows > 0 && t->ne[0] > 0 && t->ne[0] <= 4096 && t->rows <= 4096);
        float *x = mem_array((size_t)(t->rows * t->ne[0]), sizeof *x);
        NEED(!s->ops->rows(s, i, 0, t->rows, x, NULL));
        s->ops->raw(s, i, t->rows - 1, 1);
        s->ops->drop(s, i, 0, t->rows);
        free(x);
    }
}

/* What the keys say goes through the readers of GGUF files. */
static void read_keys(struct source *s) {
    char path[64];
    int fd = memfd_create("keys", 0);
    struct gguf_writer *w = gguf_writer_new(3, 32);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (s->ops->keys(s, w, &fuzz_last)) {
        NEED(fuzz_last.text[0]);
    } else {
        fuzz_outcome |= KEYS;
        NEED(!gguf_writer_begin(w, path, NULL) && !gguf_writer_finish(w, NULL));
        struct gguf *g = gguf_open(path, &fuzz_last);
        NEED(g);
        struct vocab *v = vocab_open(g, &fuzz_last);
        struct ids ids = {0};
        if (v) {
            fuzz_outcome |= VOCABULARY;
            NEED(!vocab_encode(v, "the end", 7, VOCAB_BOS, &ids, NULL));
        }
        free(ids.id);
        vocab_free(v);
        gguf_close(g);
    }
    gguf_writer_free(w);
    close(fd);
}

static void remove_files(void) {
    static const char *const names[] = {"config.json", "tokenizer.json", "tokenizer.model",
                                        "tokenizer_config.json", "generation_config.json",
                                        "added_tokens.json", "chat_template.json"};
    char path[400];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

/* Writes the files of an input; of names those that a folder has. */
static void write_files(const uint8_t *data, size_t len) {
    const uint8_t *end = data + len;
    remove_files();
    while (data < end && *data == 0x1E) {
        char name[64] = "";
        char path[400];
        const uint8_t *line = memchr(data, '\n', (size_t)(end - data));
        if (!line || line - data > 60)
            return;
        memcpy(name, data + 1, (size_t)(line - data - 1));
        const uint8_t *next = memchr(line, 0x1E, (size_t)(end - line));
        if (!next)
            next = end;
        if (!strchr(name, '/') && strchr(name, '.') && *name != '.' &&
            !strstr(name, "safetensors")) {
            snprintf(path, sizeof path, "%s/%s", folder, name);
            scratch_write(path, line + 1, (size_t)(next - line - 1));
        }
        data = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last.text[0] = 0;
    if (!*folder) {
        char *path = scratch_path("");
        snprintf(folder, sizeof folder, "%s", path);
        free(path);
    }
    write_files(data, len);
    struct source *s = hf_open(folder, NULL, &fuzz_last);
    NEED(s || fuzz_last.text[0]);
    if (!s)
        return 0;
    fuzz_outcome |= OPENED;
    read_rows(s);
    read_keys(s);
    source_close(s);
    return 0;
}

#ifndef LIBFUZZER

/* ---- starts ----------------------------------------------------------------------------- */

#define WIDTHS \
    "\"hidden_size\":8,\"intermediate_size\":4,\"num_attention_heads\":2," \
    "\"num_key_value_heads\":1,\"num_hidden_layers\":1,\"vocab_size\":12," \
    "\"max_position_embeddings\":64,\"rms_norm_eps\":1e-6,\"tie_word_embeddings\":true"

#define TOKENS \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true,\"normalized\":false}," \
    "{\"id\":11,\"content\":\"<|x|>\",\"special\":false}],"
#define MODEL \
    "\"vocab\":{\"t\":1,\"h\":2,\"e\":3,\"th\":4,\"the\":5,\"n\":6,\"d\":7,\"<0x41>\":8}," \
    "\"merges\":[\"t h\",[\"th\",\"e\"]]"

static const char *const starts[] = {
    "\x1E" "config.json\n{\"model_type\":\"llama\"," WIDTHS ",\"rope_parameters\":{\"rope_type\":"
    "\"llama3\",\"rope_theta\":1e4,\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,"
    "\"original_max_position_embeddings\":64},\"eos_token_id\":[1,2],\"bos_token_id\":0}"
    "\x1E" "tokenizer.json\n{" TOKENS "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":"
    "\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},\"post_processor\":{\"type\":"
    "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":"
    "\"A\"}}],\"pair\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"A\"}},{"
    "\"SpecialToken\":{\"id\":\"<s>\"}},{\"Sequence\":{\"id\":\"B\"}}]},\"model\":{\"type\":\"BPE\","
    "\"dropout\":null,\"ignore_merges\":false," MODEL "}}"
    "\x1E" "tokenizer_config.json\n{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"<|x|>\"},"
    "\"add_bos_token\":true,\"chat_template\":[{\"name\":\"default\",\"template\":\"T\"},{\"name\":"
    "\"a b\",\"template\":\"U\"}],\"added_tokens_decoder\":{\"10\":{\"content\":\"\xE2\x96\x81y\","
    "\"special\":false}}}"
    "\x1E" "generation_config.json\n{\"top_k\":40,\"temperature\":0.5}",

    "\x1E" "config.json\n{\"model_type\":\"mistral\"," WIDTHS ",\"rope_theta\":1e4,\"rope_scaling\":"
    "{\"type\":\"linear\",\"factor\":2}}"
    "\x1E" "tokenizer.json\n{" TOKENS "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{"
    "\"type\":\"Prepend\",\"prepend\":\"\xE2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}]},\"pre_tokenizer\":null,\"model\":{\"type\":"
    "\"BPE\",\"byte_fallback\":true," MODEL "}}"
    "\x1E" "added_tokens.json\n{\"<y>\":9}"
    "\x1E" "chat_template.json\n{\"chat_template\":\"T\"}",

    /* Pieces of SentencePiece: "<unk>" of kind 2, "a" and "b" with scores; a trainer of type 2; no
     * blanks merged: a zero of ten bytes, since the text may hold none of one. */
    "\x1E" "config.json\n{\"model_type\":\"llama\"," WIDTHS "}"
    "\x1E" "tokenizer.model\n\x0A\x09\x0A\x05<unk>\x18\x02\x0A\x08\x0A\x01" "a\x15\x7F\x7F\x7F\x3F"
    "\x0A\x08\x0A\x01" "b\x15\x7F\x7F\x7F\x41\x12\x02\x18\x02\x1A\x0D\x18\x7F\x20"
    "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02",
};
enum { STARTS = sizeof starts / sizeof *starts };

/* The weights of all starts: one layer, F32, values without meaning. */
static void write_weights(void) {
    static const struct {
        const char *name;
        int dims;
        int64_t shape[2];
    } tensors[] = {
        {"model.embed_tokens.weight", 2, {12, 8}},
        {"model.norm.weight", 1, {8}},
        {"model.layers.0.input_layernorm.weight", 1, {8}},
        {"model.layers.0.post_attention_layernorm.weight", 1, {8}},
        {"model.layers.0.self_attn.q_proj.weight", 2, {8, 8}},
        {"model.layers.0.self_attn.k_proj.weight", 2, {4, 8}},
        {"model.layers.0.self_attn.v_proj.weight", 2, {4, 8}},
        {"model.layers.0.self_attn.o_proj.weight", 2, {8, 8}},
        {"model.layers.0.mlp.gate_proj.weight", 2, {4, 8}},
        {"model.layers.0.mlp.up_proj.weight", 2, {4, 8}},
        {"model.layers.0.mlp.down_proj.weight", 2, {8, 4}},
    };
    static const float zeros[96];
    struct st_writer *w = st_writer_new();
    char *path = scratch_path("model.safetensors");
    int rc = 0;
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        st_put_tensor(w, tensors[i].name, ST_F32, tensors[i].dims, tensors[i].shape);
    rc |= st_writer_begin(w, path, NULL);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        int64_t n = tensors[i].shape[0] * (tensors[i].dims > 1 ? tensors[i].shape[1] : 1);
        rc |= st_writer_data(w, zeros, (size_t)n * sizeof *zeros, NULL);
    }
    if (rc | st_writer_finish(w, NULL))
        scratch_die(path);
    st_writer_free(w);
    free(path);
}

static void make_input(struct buf *b, int i) {
    static const char *const words[] = {
        "null", "[]", "{}", "true", "false", "-1", "0", "1e30", "2147483648", "\"\"", ",", ":",
        "{", "}", "[", "]", "\"", "\\u0000", "\"BPE\"", "\"Sequence\"", "\"Split\"", "\"Digits\"",
        "\xE2\x96\x81", "\"head_dim\":4,", "\"text_config\":{", "\"num_experts\":4,", "9999999",
        "\"model_type\":\"qwen3_moe\",", "\"quantization_config\":{},", "\x0A\x0B", "\x12\x02"};
    b->len = 0;
    buf_adds(b, starts[i]);
    for (size_t n = 1 + fuzz_below(3); n && b->len; n--)
        fuzz_change_text(b, words[fuzz_below(sizeof words / sizeof *words)]);
}

int main(int argc, char **argv) {
    static const int expected[STARTS] = {7, 7, OPENED | KEYS | VOCABULARY};
    static const struct fuzz fuzz = {
        .name = "fuzz_hf_config", .suffix = ".folder",
        .outcome = {"opened", "had metadata", "had a vocabulary"}, .starts = STARTS,
        .texts = starts, .expected = expected, .make = make_input};
    write_weights();
    int rc = fuzz_main(&fuzz, argc, argv);
    scratch_remove();
    return rc;
}

#endif
