/* lockstep.c - several models over one text, against one base, see lockstep.h
 *
 * Chunks run side by side where several fit into a pass. A pass ends, too, when it has as many
 * wanted rows as logits may be kept: those of the base stay in its session until the other models
 * have passed over the same rows and compared theirs, some at a time.
 */
#include "lib/quant/lockstep.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/infer/session.h"

#define BATCH 512
#define LEAST_WANTED 16         /* rows of logits, however large the vocabulary is */

struct run {
    struct lockstep *l;
    int vocab, batch, wanted_most, together;
    struct session *base;
    struct session **other;     /* [others] */
    struct session_row *row;    /* [batch] the next pass */
    int32_t *next;              /* [batch] the tokens that came, of wanted rows */
    struct fidelity_coded *coded;   /* [batch] */
    int n, wanted;
    const float *logits;        /* of the base, [wanted][vocab] */
};

/* ---- a pass --------------------------------------------------------------------------------- */

struct comparison {
    const struct run *r;
    struct fidelity *fidelity;
};

/* Logits of a model come in portions of wanted rows. */
static void compare(void *arg, const float *logits, int first, int n) {
    const struct comparison *c = arg;
    const struct run *r = c->r;
    struct fidelity_rows rows = {.other = logits, .token = r->next + first, .n = n};
    if (r->logits)
        rows.base = r->logits + (int64_t)first * r->vocab;
    else
        rows.coded = r->coded + first;
    fidelity_add(c->fidelity, r->l->par, &rows);
}

static int pass_base(struct run *r, struct session_pass *pass, struct err *err) {
    struct lockstep *l = r->l;
    r->logits = NULL;
    if (!r->base)
        return klbase_read(l->from, r->wanted, r->coded, err);
    if (session_pass(r->base, r->row, r->n, pass, err))
        return -1;
    r->logits = pass->logits;
    return l->save && r->wanted ? klbase_write(l->save, l->par, r->logits, r->wanted, err) : 0;
}

/* All models over the rows that have gathered. */
static int pass_all(struct run *r, struct err *err) {
    struct lockstep *l = r->l;
    struct session_pass base = {0};
    if (pass_base(r, &base, err))
        return -1;
    for (int i = 0; i < l->others; i++) {
        struct lockstep_model *m = &l->other[i];
        struct comparison c = {r, &m->fidelity};
        struct session_pass pass = {.sink = compare, .sink_arg = &c};
        if (session_pass(r->other[i], r->row, r->n, &pass, err))
            return -1;
        if (m->agreement)
            agreement_add(m->agreement, base.expert, base.weight, pass.expert, pass.weight, r->n);
    }
    r->n = r->wanted = 0;
    return 0;
}

static int empty(struct run *r, int sequence, struct err *err) {
    int rc = r->base ? session_truncate(r->base, sequence, 0) : 0;
    for (int i = 0; i < r->l->others; i++)
        rc |= session_truncate(r->other[i], sequence, 0);
    return rc ? err_set(err, "sequence %d cannot be emptied", sequence) : 0;
}

/* Chunks from `first` on, side by side. */
static int run_chunks(struct run *r, int first, int count, struct err *err) {
    const struct lockstep *l = r->l;
    for (int c = 0; c < count; c++) {
        const int32_t *chunk = l->token + (size_t)(first + c) * (size_t)l->tokens;
        if (empty(r, c, err))
            return -1;
        for (int pos = 0; pos < l->tokens; pos++) {
            struct session_row row = {.seq = c, .pos = pos, .token = chunk[pos],
                                      .want_logits = pos >= l->tokens / 2 && pos < l->tokens - 1};
            if (pos == 0 && l->bos >= 0)
                row.token = l->bos;
            if ((r->n == r->batch || (row.want_logits && r->wanted == r->wanted_most)) &&
                pass_all(r, err))
                return -1;
            r->row[r->n++] = row;
            if (row.want_logits)
                r->next[r->wanted++] = chunk[pos + 1];
        }
    }
    return r->n ? pass_all(r, err) : 0;
}

/* ---- setup --------------------------------------------------------------------------------- */

static void size_passes(struct run *r) {
    const struct lockstep *l = r->l;
    int64_t wanted = LOCKSTEP_BYTES / ((int64_t)r->vocab * (int64_t)sizeof(float));
    r->batch = l->batch > 0 ? l->batch : BATCH;
    wanted = wanted < LEAST_WANTED ? LEAST_WANTED : wanted;
    r->wanted_most = wanted < r->batch ? (int)wanted : r->batch;
    r->together = r->batch / l->tokens;
    r->together = r->together < 1 ? 1 : r->together > l->chunks ? l->chunks : r->together;
}

static struct session *start(const struct run *r, const struct model *m, int routes,
                             struct err *err) {
    const struct lockstep *l = r->l;
    struct session_options o = {.context = l->tokens, .sequences = r->together, .batch = r->batch,
                                .kv_type = l->kv_type, .routes = routes};
    return session_new(m, l->kern, l->par, &o, err);
}

/* Of a chunk every row is routed, and the second half is judged. */
static int start_all(struct run *r, struct err *err) {
    struct lockstep *l = r->l;
    struct klbase_head shape = {.tokens = l->tokens};
    int routes = 0;
    for (int i = 0; i < l->others; i++) {
        struct lockstep_model *m = &l->other[i];
        if (m->model->shape->vocab != r->vocab)
            return err_set(err, "%s: a vocabulary of %d tokens, that of the base has %d",
                           gguf_path(m->model->gguf), m->model->shape->vocab, r->vocab);
        fidelity_open(&m->fidelity, r->vocab, klbase_rows(&shape));
        m->agreement = l->base ? agreement_new(l->base->shape, m->model->shape, l->tokens) : NULL;
        r->other[i] = start(r, m->model, m->agreement != NULL, err);
        if (!r->other[i])
            return -1;
        routes |= m->agreement != NULL;
    }
    r->base = l->base ? start(r, l->base, routes, err) : NULL;
    return l->base && !r->base ? -1 : 0;
}

int lockstep_run(struct lockstep *l, struct err *err) {
    struct run r = {.l = l};
    int rc;
    r.vocab = l->base ? l->base->shape->vocab : klbase_head(l->from).vocab;
    size_passes(&r);
    r.other = mem_array((size_t)l->others + 1, sizeof *r.other);
    r.row = mem_array((size_t)r.batch, sizeof *r.row);
    r.next = mem_array((size_t)r.batch, sizeof *r.next);
    r.coded = mem_array((size_t)r.batch, sizeof *r.coded);
    rc = start_all(&r, err);
    for (int c = 0; c < l->chunks && !rc; c += r.together) {
        int n = l->chunks - c < r.together ? l->chunks - c : r.together;
        rc = run_chunks(&r, c, n, err);
        if (l->progress)
            l->progress(l->arg, c + n, l->chunks);
    }
    for (int i = 0; i < l->others; i++)
        session_free(r.other[i]);
    session_free(r.base);
    free(r.other);
    free(r.row);
    free(r.next);
    free(r.coded);
    return rc;
}
