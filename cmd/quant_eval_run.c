/* quant_eval_run.c - the models of llm-quant eval over the text
 *
 * All models are loaded at once, so that the base runs once however many there are: memory is
 * their sum. Where that is too much, --save-kl keeps what the base predicted, and --kl-base takes
 * the others one by one.
 */
#include "cmd/quant_eval.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/progress.h"

/* Token ids must mean the same in both. */
static void check_vocab(const struct model *base, const struct model *m) {
    struct gguf_value a;
    struct gguf_value b;
    const char *key = "tokenizer.ggml.tokens";
    const char *path = gguf_path(m->gguf);
    if (base->shape->vocab != m->shape->vocab)
        die("%s: a vocabulary of %d tokens, that of %s has %d", path, m->shape->vocab,
            gguf_path(base->gguf), base->shape->vocab);
    if (gguf_value(base->gguf, key, &a) || gguf_value(m->gguf, key, &b) || a.n != b.n ||
        a.type != GGUF_STRING || b.type != GGUF_STRING)
        return;
    struct gguf_string *s = mem_array((size_t)a.n, sizeof *s);
    struct gguf_string *t = mem_array((size_t)a.n, sizeof *t);
    gguf_array_strs(&a, s);
    gguf_array_strs(&b, t);
    for (uint64_t i = 0; i < a.n; i++)
        if (s[i].len != t[i].len || memcmp(s[i].data, t[i].data, s[i].len))
            die("%s: token %llu is another one than in %s", path, (unsigned long long)i,
                gguf_path(base->gguf));
    free(s);
    free(t);
}

static void open_file(const struct eval_options *o, struct eval_file *f,
                      const struct model *base) {
    quant_engine_open(&f->engine, &o->common, f->path, !o->no_pack);
    const struct model *m = f->engine.model;
    if (base)
        check_vocab(base, m);
    f->run->model = m;
    f->bytes = (int64_t)gguf_file_bytes(m->gguf);
    f->bpw = m->shape->params > 0
        ? 8.0 * (double)m->shape->weight_bytes / (double)m->shape->params : -1;
}

/* The tokens of the text, or those of the file of base logits. */
static void take_tokens(const struct eval_options *o, const struct vocab *v, struct lockstep *l,
                        struct quant_chunks *text) {
    l->bos = v && vocab_adds_bos(v) ? vocab_bos(v) : -1;
    if (!o->kl_base) {
        quant_chunks_read(&o->text, v, text);
    } else {
        struct klbase_head h = klbase_head(l->from);
        *text = (struct quant_chunks){.chunks = h.chunks, .tokens = h.tokens};
        if (o->text.chunks && o->text.chunks < h.chunks)
            text->chunks = o->text.chunks;
    }
    l->token = o->kl_base ? klbase_tokens(l->from) : text->token;
    l->chunks = text->chunks;
    l->tokens = text->tokens;
    if (l->tokens < 4)
        die("%d tokens a chunk (-c): expected at least 4, for one prediction in the second half",
            l->tokens);
}

static void open_saved(const struct eval_options *o, const struct quant_engine *base,
                       struct lockstep *l) {
    struct err err;
    if (!o->save_kl)
        return;
    struct klbase_head h = {.tokens = l->tokens, .vocab = base->model->shape->vocab,
                            .chunks = l->chunks};
    l->save = klbase_create(o->save_kl, &h, l->token, &err);
    if (!l->save)
        die_err(&err);
}

static void run_text(const struct eval_options *o, struct lockstep *l) {
    struct progress bar;
    struct err err;
    progress_start(&bar, "chunks", PROGRESS_COUNT, o->common.quiet);
    l->progress = progress_show;
    l->arg = &bar;
    int rc = lockstep_run(l, &err);
    progress_end(&bar);
    if (rc) {
        klbase_abort(l->save);
        die_err(&err);
    }
    if (l->save && klbase_finish(l->save, &err))
        die_err(&err);
}

void eval_text(const struct eval_options *o, struct eval_file *f) {
    struct quant_engine base = {0};
    struct quant_chunks text = {0};
    struct err err;
    struct lockstep l = {.kern = quant_kernels(&o->common), .kv_type = o->kv_type,
                         .batch = o->batch, .others = o->files};
    if (o->kl_base && !(l.from = klbase_open(o->kl_base, &err)))
        die_err(&err);
    if (o->base)
        quant_engine_open(&base, &o->common, o->base, !o->no_pack);
    for (int i = 0; i < o->files; i++)
        open_file(o, &f[i], base.model ? base.model : f[0].engine.model);
    l.base = base.model;
    l.other = f->run;
    l.par = base.model ? base.par : f->engine.par;
    take_tokens(o, base.vocab ? base.vocab : f->engine.vocab, &l, &text);
    open_saved(o, &base, &l);
    run_text(o, &l);
    for (int i = 0; i < o->files; i++) {
        fidelity_sum(&f[i].run->fidelity, o->unit, &o->boot, &f[i].sum);
        quant_engine_close(&f[i].engine);
    }
    if (base.model)
        quant_engine_close(&base);
    klbase_close(l.from);
    free(text.token);
}
