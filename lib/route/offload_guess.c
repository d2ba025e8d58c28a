/* offload_guess.c - which experts a later batch will use, said before it: lists for every batch
 *
 * A guess knows what was used before, never the cache, so that one list serves every policy and
 * budget. The trace is walked once; rows are learnt from when their pass is over, and those of the
 * pass that runs up to the batch from which the guess is made.
 */
#include "lib/route/offload.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define TABLE_MOST (1u << 28)   /* counts of FOLLOW: 1 GiB */

struct guesser {
    const struct offload *o;
    struct offload_guess_options opt;
    struct offload_guess *g;
    size_t made, room;
    int64_t *seen;              /* [experts] the batch that was given it last */
    /* STATIC: each layer's experts by falling count, and where each stands. */
    double *count;              /* [layers][experts] */
    int16_t *order;             /* [layers][experts] */
    int16_t *place;             /* [layers][experts] */
    /* FOLLOW: of the layer that is guessed. */
    uint32_t *follow;           /* [layers][experts before][experts] */
    uint32_t *uses;             /* [layers][experts before] */
    double *sum;                /* [experts] */
};

static void say(struct guesser *w, int64_t batch, int expert) {
    if (expert < 0 || w->seen[expert] == batch)
        return;
    w->seen[expert] = batch;
    if (w->made == w->room) {
        w->room = w->room ? 2 * w->room : 4096;
        w->g->expert = mem_grow(w->g->expert, w->room, sizeof *w->g->expert);
    }
    w->g->expert[w->made++] = (int16_t)expert;
}

/* ---- previous ----------------------------------------------------------------------------- */

/* Rows of one request follow each other in a pass. */
static void guess_previous(struct guesser *w, int64_t batch) {
    const struct routed_set *s = w->o->set;
    int64_t pass = (int64_t)w->o->pass[batch] - 1;
    if (pass < 0)
        return;
    for (int64_t t = s->pass[pass]; t < s->pass[pass + 1]; t++) {
        const int16_t *e = routed_at(s, t, w->o->layer[batch]);
        if (t + 1 < s->pass[pass + 1] && s->request[t + 1] == s->request[t])
            continue;
        for (int i = 0; i < w->o->k && i < w->opt.width; i++)
            say(w, batch, e[i]);
    }
}

/* ---- static ------------------------------------------------------------------------------- */

/* Moves an expert up past those with smaller counts. */
static void promote(struct guesser *w, size_t base, int expert) {
    int16_t *order = w->order + base;
    int16_t *place = w->place + base;
    int at = place[expert];
    for (; at > 0 && w->count[base + (size_t)order[at - 1]] < w->count[base + (size_t)expert];
         at--) {
        order[at] = order[at - 1];
        place[order[at]] = (int16_t)at;
    }
    order[at] = (int16_t)expert;
    place[expert] = (int16_t)at;
}

static void static_begin(struct guesser *w) {
    size_t experts = (size_t)w->o->experts;
    size_t ids = (size_t)w->o->layers * experts;
    w->count = mem_array(ids, sizeof *w->count);
    w->order = mem_array(ids, sizeof *w->order);
    w->place = mem_array(ids, sizeof *w->place);
    for (size_t id = 0; id < ids; id++) {
        w->order[id] = w->place[id] = (int16_t)(id % experts);
        w->count[id] = w->opt.count ? w->opt.count[id] : 0;
        promote(w, id - id % experts, (int)(id % experts));
    }
}

static void static_learn(struct guesser *w, int64_t batch) {
    const struct offload *o = w->o;
    size_t base = (size_t)o->layer[batch] * (size_t)o->experts;
    for (int64_t i = o->first[batch]; i < o->first[batch + 1]; i++) {
        w->count[base + (size_t)o->expert[i]]++;
        promote(w, base, o->expert[i]);
    }
}

static void guess_static(struct guesser *w, int64_t batch) {
    const int16_t *order = w->order + (size_t)w->o->layer[batch] * (size_t)w->o->experts;
    const double *count = w->count + (size_t)w->o->layer[batch] * (size_t)w->o->experts;
    for (int i = 0; i < w->opt.width && i < w->o->experts && count[order[i]] > 0; i++)
        say(w, batch, order[i]);
}

/* ---- follow ------------------------------------------------------------------------------- */

static int follow_begin(struct guesser *w, struct err *err) {
    size_t experts = (size_t)w->o->experts;
    size_t layers = (size_t)w->o->layers;
    if (layers * experts > TABLE_MOST / experts)
        return err_set(err, "%d layers of %d experts: too many for counts of what follows what",
                       w->o->layers, w->o->experts);
    w->follow = mem_array(layers * experts * experts, sizeof *w->follow);
    w->uses = mem_array(layers * experts, sizeof *w->uses);
    w->sum = mem_array(experts, sizeof *w->sum);
    return 0;
}

/* Row t in the batch `from` and row u in the batch `to`. */
static void follow_row(struct guesser *w, int64_t from, int64_t t, int64_t to, int64_t u) {
    const struct offload *o = w->o;
    const int16_t *a = routed_at(o->set, t, o->layer[from]);
    const int16_t *b = routed_at(o->set, u, o->layer[to]);
    size_t base = (size_t)o->layer[to] * (size_t)o->experts;
    for (int i = 0; i < o->k; i++) {
        if (a[i] < 0)
            continue;
        uint32_t *row = w->follow + (base + (size_t)a[i]) * (size_t)o->experts;
        w->uses[base + (size_t)a[i]]++;
        for (int j = 0; j < o->k; j++)
            if (b[j] >= 0)
                row[b[j]]++;
    }
}

/* Between passes it is the last row that goes on, of a single request. */
static void follow_learn(struct guesser *w, int64_t batch) {
    const struct offload *o = w->o;
    const struct routed_set *s = o->set;
    int64_t from = batch - w->opt.ahead;
    if (from < 0)
        return;
    int64_t p = o->pass[from];
    int64_t q = o->pass[batch];
    if (p != q) {
        follow_row(w, from, s->pass[p + 1] - 1, batch, s->pass[q + 1] - 1);
        return;
    }
    for (int64_t t = s->pass[p]; t < s->pass[p + 1]; t++)
        follow_row(w, from, t, batch, t);
}

static void guess_follow(struct guesser *w, int64_t batch) {
    const struct offload *o = w->o;
    int64_t from = batch - w->opt.ahead;
    size_t experts = (size_t)o->experts;
    size_t base = (size_t)o->layer[batch] * experts;
    memset(w->sum, 0, experts * sizeof *w->sum);
    for (int64_t i = o->first[from]; i < o->first[from + 1]; i++) {
        size_t before = base + (size_t)o->expert[i];
        const uint32_t *row = w->follow + before * experts;
        double share = w->uses[before] ? 1.0 / w->uses[before] : 0;
        for (size_t e = 0; e < experts && share > 0; e++)
            w->sum[e] += share * row[e];
    }
    for (int n = 0; n < w->opt.width; n++) {
        size_t best = 0;
        for (size_t e = 1; e < experts; e++)
            if (w->sum[e] > w->sum[best])
                best = e;
        if (!(w->sum[best] > 0))
            break;
        say(w, batch, (int)best);
        w->sum[best] = 0;
    }
}

/* ---- all of them -------------------------------------------------------------------------- */

static void guess_perfect(struct guesser *w, int64_t batch) {
    for (int64_t i = w->o->first[batch]; i < w->o->first[batch + 1]; i++)
        say(w, batch, w->o->expert[i]);
}

/* At the batch that runs: learn from it, then guess the one that is `ahead` later. */
static void step(struct guesser *w, int64_t batch) {
    int64_t later = batch + w->opt.ahead;
    if (w->opt.how == OFFLOAD_STATIC)
        static_learn(w, batch);
    else if (w->opt.how == OFFLOAD_FOLLOW)
        follow_learn(w, batch);
    if (later >= w->o->batches)
        return;
    w->g->first[later] = (int64_t)w->made;
    if (w->o->decode[w->o->pass[later]])
        switch (w->opt.how) {
        case OFFLOAD_PREVIOUS: guess_previous(w, later); break;
        case OFFLOAD_STATIC: guess_static(w, later); break;
        case OFFLOAD_FOLLOW: guess_follow(w, later); break;
        case OFFLOAD_PERFECT: guess_perfect(w, later); break;
        }
    w->g->first[later + 1] = (int64_t)w->made;
}

struct offload_guess *offload_guess(const struct offload *o, const struct offload_guess_options *g,
                                    struct err *err) {
    struct guesser w = {.o = o, .opt = *g};
    int ok = 1;
    if (w.opt.ahead < 1)
        w.opt.ahead = 1;
    if (w.opt.ahead > o->layers)
        w.opt.ahead = o->layers;
    if (w.opt.width < 1)
        w.opt.width = o->k;
    w.g = mem_alloc(sizeof *w.g);
    w.g->ahead = w.opt.ahead;
    w.g->first = mem_array((size_t)o->batches + 1, sizeof *w.g->first);
    w.seen = mem_array((size_t)o->experts, sizeof *w.seen);
    if (w.opt.how == OFFLOAD_STATIC)
        static_begin(&w);
    else if (w.opt.how == OFFLOAD_FOLLOW)
        ok = !follow_begin(&w, err);
    for (int64_t b = 0; ok && b < o->batches; b++)
        step(&w, b);
    free(w.seen);
    free(w.count);
    free(w.order);
    free(w.place);
    free(w.follow);
    free(w.uses);
    free(w.sum);
    if (ok)
        return w.g;
    offload_guess_free(w.g);
    return NULL;
}

void offload_guess_free(struct offload_guess *g) {
    if (!g)
        return;
    free(g->first);
    free(g->expert);
    free(g);
}
