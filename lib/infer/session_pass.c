/* session_pass.c - a pass: rows through all layers to logits, and the account of what it did
 *
 * Rows whose logits nobody wants leave the pass after the last layer's keys and values are
 * stored, unless routes, hidden states or a tap ask for every row.
 */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/infer/session_impl.h"

/* ---- the pass ----------------------------------------------------------------------------- */

/* The layers, top to bottom. Returns the rows left in s->x. */
static int pass_run(struct session *s, int n, int n_wanted) {
    const struct shape *sh = s->m->shape;
    int keep_all = s->opt.routes || s->opt.hidden || s->opt.tap.fn;

    session_turn_angles(s, n);
    s->k->embed(&s->queue, &s->m->embed, s->token, n, sh->embed_scale, s->x);
    for (int i = 0; i < sh->layers && n > 0; i++) {
        int prune = i == sh->layers - 1 && !keep_all && n_wanted < n;
        n = session_run_layer(s, i, &s->m->layer[i], n, n_wanted, prune);
    }
    return n;
}

/* Final norm and head over what pass_run left: `left` rows, of which n_wanted get logits. */
static void finish(struct session *s, int left, int n_wanted, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    int64_t d = sh->d_model;
    if (left == 0)
        return;
    s->k->rms_norm(&s->queue, s->x, 0, left, sh->d_model, s->m->out_norm, sh->norm_eps, s->xn, 0);
    if (s->opt.hidden) {
        memcpy(s->hidden, s->xn, (size_t)left * (size_t)d * sizeof *s->hidden);
        pass->hidden = s->hidden;
    }
    if (left != n_wanted)
        session_compact(s->xn, d, s->wanted, n_wanted);
    if (n_wanted == 0)
        return;
    session_show(s, -1, (const struct kern_weight *[]){&s->m->head}, 1, s->xn, n_wanted, s->wanted);
    if (!pass->sink) {
        session_head(s, s->xn, n_wanted, s->logits);
        pass->logits = s->logits;
        return;
    }
    session_sink(s, n_wanted, pass->sink, pass->sink_arg);
}

/* ---- bookkeeping --------------------------------------------------------------------------- */

/* Fills s->span, too. */
static int check_rows(struct session *s, const struct session_row *rows, int n, struct err *err) {
    if (n < 1 || n > s->opt.batch)
        return err_set(err, "a pass of %d rows; this session takes 1 to %d", n, s->opt.batch);
    for (int q = 0; q < s->opt.sequences; q++)
        s->span[q] = (struct span){-1, -1};
    for (int i = 0; i < n; i++) {
        const struct session_row *r = &rows[i];
        if (r->seq < 0 || r->seq >= s->opt.sequences)
            return err_set(err, "sequence %d of %d", r->seq, s->opt.sequences);
        if (r->token < 0 || r->token >= s->m->shape->vocab)
            return err_set(err, "token %d is outside the vocabulary of %d", (int)r->token,
                           s->m->shape->vocab);
        if (r->pos < 0 || r->pos >= s->opt.context)
            return err_set(err, "position %d is outside the context of %d tokens", (int)r->pos,
                           s->opt.context);
        struct span *span = &s->span[r->seq];
        int expect = span->first < 0 ? kvcache_length(s->kv, r->seq) : span->last + 1;
        if (r->pos != expect)
            return err_set(err, "sequence %d continues at position %d, the row is at %d", r->seq,
                           expect, (int)r->pos);
        span->first = span->first < 0 ? r->pos : span->first;
        span->last = r->pos;
    }
    return 0;
}

static int take_rows(struct session *s, const struct session_row *rows, int n) {
    int wanted = 0;
    for (int i = 0; i < n; i++) {
        s->seq[i] = rows[i].seq;
        s->pos[i] = rows[i].pos;
        s->token[i] = rows[i].token;
        if (rows[i].want_logits) {
            s->wseq[wanted] = rows[i].seq;
            s->wpos[wanted] = rows[i].pos;
            s->wanted[wanted++] = i;
        }
    }
    return wanted;
}

static void count_experts(struct session *s, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    pass->experts_touched = s->moe_layers ? 0 : -1;
    for (int i = 0; i < sh->layers; i++) {
        s->touched[i] = 0;
        if (!sh->layer[i].experts || !s->routed_rows[i])
            continue;
        const int32_t *start = s->routes[i].start;
        for (int e = 0; e < sh->layer[i].experts; e++)
            s->touched[i] += start[e + 1] > start[e];
        pass->experts_touched += s->touched[i];
        pass->bytes.experts += (double)s->touched[i] * (double)sh->expert_bytes[i];
    }
    pass->experts_by_layer = s->touched;
}

/* A row that left after the last layer's keys and values. */
static void add_pruned_row(const struct shape *sh, int64_t pos, struct shape_flops *f) {
    for (int i = 0; i < sh->layers - 1; i++)
        shape_add_layer_flops(sh, i, pos, SHAPE_KV | SHAPE_ATTENTION | SHAPE_FFN, f);
    shape_add_layer_flops(sh, sh->layers - 1, pos, SHAPE_KV, f);
}

/* FLOPs per row, less what pruning saved; weights once for the pass; KV once per sequence. */
static void count_work(struct session *s, const struct session_row *rows, int n, int pruned,
                       struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    double bits = kvcache_bits(s->opt.kv_type);
    for (int i = 0; i < n; i++)
        if (pruned && !rows[i].want_logits)
            add_pruned_row(sh, rows[i].pos, &pass->flops);
        else
            shape_add_row_flops(sh, rows[i].pos, rows[i].want_logits, &pass->flops);
    pass->bytes.kv_write = n * shape_kv_bytes(sh, bits);
    for (int q = 0; q < s->opt.sequences; q++)
        if (s->span[q].first >= 0)
            pass->bytes.kv_read += shape_kv_read(sh, s->span[q].first, s->span[q].last, bits);
    for (int i = 0; i < sh->layers; i++)
        pass->bytes.dense += (double)sh->dense_bytes[i];
    if (pass->wanted)
        pass->bytes.dense += (double)sh->head_bytes;
    count_experts(s, pass);
}

/* Routes as the trace wants them: [row][moe layer][slot]. */
static void gather_routes(struct session *s, int n, struct session_pass *pass) {
    const struct shape *sh = s->m->shape;
    int ml = 0;
    for (int i = 0; i < sh->layers; i++) {
        int k = sh->layer[i].top_k;
        if (!sh->layer[i].experts)
            continue;
        for (int r = 0; r < n; r++) {
            int64_t at = ((int64_t)r * s->moe_layers + ml) * s->top_k;
            for (int j = 0; j < s->top_k; j++) {
                s->expert_out[at + j] = j < k ? s->routes[i].expert[r * k + j] : -1;
                s->weight_out[at + j] = j < k ? s->routes[i].weight[r * k + j] : 0;
            }
        }
        ml++;
    }
    pass->expert = s->expert_out;
    pass->weight = s->weight_out;
}

int session_pass(struct session *s, const struct session_row *rows, int n,
                 struct session_pass *pass, struct err *err) {
    *pass = (struct session_pass){.sink = pass->sink, .sink_arg = pass->sink_arg};
    if (check_rows(s, rows, n, err))
        return -1;
    int64_t start = clock_ns();
    int n_wanted = take_rows(s, rows, n);
    memset(s->routed_rows, 0, (size_t)s->m->shape->layers * sizeof *s->routed_rows);
    int left = pass_run(s, n, n_wanted);
    pass->wanted = n_wanted;
    finish(s, left, n_wanted, pass);
    for (int q = 0; q < s->opt.sequences; q++)
        if (s->span[q].first >= 0)
            kvcache_extend(s->kv, q, s->span[q].last + 1);
    pass->ns = clock_ns() - start;
    count_work(s, rows, n, left < n, pass);
    if (s->opt.routes && s->moe_layers)
        gather_routes(s, n, pass);
    return 0;
}
