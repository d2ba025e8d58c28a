/* run_tokens.c - --tokenize and --detokenize: text to ids and back, as pipes
 *
 * Only the vocabulary is read, so files that hold nothing else will do.
 */
#include "cmd/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/model_path.h"
#include "lib/base/num.h"
#include "lib/format/gguf.h"

static struct vocab *open_vocab(const struct options *opt, struct gguf **g) {
    struct err err;
    char *path = model_path(opt->model, opt->sha256, opt->common.quiet);
    *g = gguf_open(path, &err);
    if (!*g)
        die_err(&err);
    struct vocab *v = vocab_open(*g, &err);
    if (!v)
        die_err(&err);
    free(path);
    return v;
}

static void write_all(const struct options *opt, const struct buf *b) {
    struct outfile *out = run_output(opt);
    FILE *f = outfile_stream(out);
    fwrite(b->data ? b->data : "", 1, b->len, f);
    if (isatty(fileno(f)) && b->len > 0 && b->data[b->len - 1] != '\n')
        fputc('\n', f);
    check_stream(f, opt->output);
    run_output_close(out);
}

int run_tokenize(const struct options *opt) {
    struct buf text = {0};
    struct buf out = {0};
    struct gguf *g;
    struct ids ids = {0};
    struct err err;
    prompt_read(opt, 1, &text);
    struct vocab *v = open_vocab(opt, &g);
    if (vocab_encode(v, text.data ? text.data : "", text.len, opt->special ? VOCAB_SPECIAL : 0,
                     &ids, &err))
        die_err(&err);
    const char *between = opt->common.json ? "," : " ";
    buf_adds(&out, opt->common.json ? "[" : "");
    for (size_t i = 0; i < ids.n; i++)
        buf_printf(&out, "%s%d", i ? between : "", ids.id[i]);
    buf_adds(&out, opt->common.json ? "]\n" : "\n");
    write_all(opt, &out);

    free(ids.id);
    vocab_free(v);
    gguf_close(g);
    buf_free(&text);
    buf_free(&out);
    return EXIT_DONE;
}

/* Ids separated by blanks, newlines or commas; the brackets of a list are allowed. */
static void parse_ids(const struct options *opt, char *text, int vocab, struct ids *out) {
    const char *from = opt->prompt ? "-p" : input_name(opt->file ? opt->file : "-");
    char *rest;
    for (char *word = strtok_r(text, " \t\r\n,[]", &rest); word;
         word = strtok_r(NULL, " \t\r\n,[]", &rest)) {
        int64_t id;
        if (num_int(word, 0, vocab - 1, &id))
            die("%s: number %zu: expected a token id from 0 to %d, found '%.40s'", from,
                out->n + 1, vocab - 1, word);
        ids_add(out, (int32_t)id);
    }
}

int run_detokenize(const struct options *opt) {
    struct buf text = {0};
    struct buf out = {0};
    struct gguf *g;
    struct ids ids = {0};
    prompt_read(opt, 1, &text);
    struct vocab *v = open_vocab(opt, &g);
    buf_addc(&text, '\0');
    if (strlen(text.data) + 1 < text.len)
        die("%s: byte %zu: expected token ids, found a NUL",
            opt->prompt ? "-p" : input_name(opt->file ? opt->file : "-"),
            strlen(text.data) + 1);
    parse_ids(opt, text.data, vocab_size(v), &ids);
    if (vocab_decode_all(v, ids.id, ids.n, opt->special, &out))
        die("%s: an id is outside the vocabulary", opt->model);
    write_all(opt, &out);

    free(ids.id);
    vocab_free(v);
    gguf_close(g);
    buf_free(&text);
    buf_free(&out);
    return EXIT_DONE;
}
