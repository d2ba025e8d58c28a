/* session_step.c - the forward pass in steps: embedding, one layer, logits
 *
 * The same functions as in a pass, over one sequence that begins and ends with the call: what
 * they give is what a pass gives, to the bit.
 */
#include <string.h>

#include "lib/infer/session_impl.h"

static int check_count(const struct session *s, int n, struct err *err) {
    int most = s->opt.batch < s->opt.context ? s->opt.batch : s->opt.context;
    if (n < 1 || n > most)
        return err_set(err, "%d rows at once; this session takes 1 to %d", n, most);
    return 0;
}

int session_embed(struct session *s, const int32_t *token, int n, float *x, struct err *err) {
    const struct shape *sh = s->m->shape;
    if (check_count(s, n, err))
        return -1;
    for (int i = 0; i < n; i++)
        if (token[i] < 0 || token[i] >= sh->vocab)
            return err_set(err, "token %d is outside the vocabulary of %d", (int)token[i],
                           sh->vocab);
    s->k->embed(&s->queue, &s->m->embed, token, n, sh->embed_scale, x);
    return 0;
}

int session_layer(struct session *s, int layer, const struct model_layer *weights, float *x, int n,
                  struct err *err) {
    const struct shape *sh = s->m->shape;
    if (check_count(s, n, err))
        return -1;
    if (layer < 0 || layer >= sh->layers)
        return err_set(err, "layer %d of %d", layer, sh->layers);
    kvcache_truncate(s->kv, 0, 0);
    for (int i = 0; i < n; i++) {
        s->seq[i] = 0;
        s->pos[i] = i;
    }
    session_turn_angles(s, n);
    size_t bytes = (size_t)n * (size_t)sh->d_model * sizeof *x;
    memcpy(s->x, x, bytes);
    session_run_layer(s, layer, weights ? weights : &s->m->layer[layer], n, n, 0);
    memcpy(x, s->x, bytes);
    return 0;
}

int session_logits(struct session *s, const float *x, int n,
                   void (*sink)(void *arg, const float *logits, int first, int n), void *arg,
                   struct err *err) {
    const struct shape *sh = s->m->shape;
    if (check_count(s, n, err))
        return -1;
    s->k->rms_norm(&s->queue, x, 0, n, sh->d_model, s->m->out_norm, sh->norm_eps, s->xn, 0);
    session_show(s, -1, (const struct kern_weight *[]){&s->m->head}, 1, s->xn, n, NULL);
    session_sink(s, n, sink, arg);
    return 0;
}
