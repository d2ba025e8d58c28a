/* quant_options.c - what the verbs of llm-quant share, see quant.h */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/corpus.h"
#include "cmd/load_model.h"
#include "cmd/model_path.h"
#include "cmd/quant.h"

/* Chunks of more tokens than this no model was trained with. */
#define MOST_TOKENS (1 << 20)
#define MOST_CHUNKS 1000000000
#define DEFAULT_TOKENS 512

/* ---- text ------------------------------------------------------------------------------- */

int quant_text_option(int c, const char *arg, struct quant_text *t) {
    if (c == 'c')
        t->tokens = (int)arg_int("--context", arg, 2, MOST_TOKENS);
    else if (c == OPT_CHUNKS)
        t->chunks = (int)arg_int("--chunks", arg, 1, MOST_CHUNKS);
    else
        return 0;
    return 1;
}

void quant_chunks_read(const struct quant_text *t, const struct vocab *v,
                       struct quant_chunks *out) {
    struct ids ids = {0};
    *out = (struct quant_chunks){.tokens = t->tokens ? t->tokens : DEFAULT_TOKENS};
    out->chunks = corpus_read(t->path, v, 0, out->tokens, t->chunks, &ids);
    out->token = ids.id;
}

/* ---- engine ----------------------------------------------------------------------------- */

const struct kern *quant_kernels(const struct common *common) {
    return load_kernels(common);
}

void quant_engine_open(struct quant_engine *e, const struct common *common, const char *path,
                       int packed) {
    struct err err;
    e->kern = quant_kernels(common);
    e->par = par_new(common->threads);
    char *file = model_path(path, NULL, common->quiet);
    struct stat st;
    if (!stat(file, &st) && S_ISDIR(st.st_mode))
        die("%s: a folder: 'llm-quant convert' makes a GGUF of it, which can run", file);
    e->model = load_model(common, file, e->par, !packed);
    e->vocab = vocab_open(e->model->gguf, &err);
    if (!e->vocab)
        die_err(&err);
    free(file);
}

void quant_engine_close(struct quant_engine *e) {
    vocab_free(e->vocab);
    model_close(e->model);
    par_free(e->par);
    *e = (struct quant_engine){0};
}
