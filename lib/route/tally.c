/* tally.c - reads a trace once and counts what was asked for, see tally.h
 *
 * Rows are gathered into stretches, so that a pass of one token costs no more than one of many:
 * counters run through a stretch layer by layer, where their numbers stay in the cache.
 */
#include "lib/route/tally.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/par.h"

#define CELLS_MOST (4 << 20)    /* 2 GB of counts by block; models have some 50,000 */
#define PAIRS (128 * 1024)      /* of a stretch: 256 KiB of ids, some 0.2 ms of counting */
#define PAIRS_TOGETHER (1 << 20)        /* a layer's pairs of experts fill the cache: stay longer */

struct gather {
    struct tally *t;
    const struct routed_model *model;
    const struct tally_options *opt;
    struct par *team;
    int most;                   /* tokens of a stretch */
    int n;
    int16_t *expert;            /* [most][layers][k] */
    uint32_t *request, *position, *pass;
    uint8_t *accepted;
    uint32_t passes;
    struct stretch s;           /* the one at work */
};

static void gather_make(struct gather *g) {
    size_t row = (size_t)g->model->layers * (size_t)g->model->k;
    size_t most = (g->opt->together ? PAIRS_TOGETHER : PAIRS) / (row ? row : 1);
    most = most < 1 ? 1 : most > STRETCH_TOKENS ? STRETCH_TOKENS : most;
    g->most = (int)most;
    g->expert = mem_array(most * row + 1, sizeof *g->expert);
    g->request = mem_array(most, sizeof *g->request);
    g->position = mem_array(most, sizeof *g->position);
    g->pass = mem_array(most, sizeof *g->pass);
    g->accepted = mem_array(most, sizeof *g->accepted);
    g->team = par_new(g->opt->threads);
}

static void gather_free(struct gather *g) {
    par_free(g->team);
    free(g->expert);
    free(g->request);
    free(g->position);
    free(g->pass);
    free(g->accepted);
}

/* ---- a stretch ---------------------------------------------------------------------------- */

static void count_layers(void *arg, int ith, int nth) {
    struct gather *g = arg;
    struct tally *t = g->t;
    uint16_t same[STRETCH_TOKENS];
    uint16_t of[STRETCH_TOKENS];
    int from = (int)((int64_t)t->layers * ith / nth);
    int to = (int)((int64_t)t->layers * (ith + 1) / nth);
    memset(same, 0, (size_t)g->s.n * sizeof *same);
    memset(of, 0, (size_t)g->s.n * sizeof *of);
    for (int l = from; l < to; l++) {
        if (t->recur)
            recur_add(t->recur, &g->s, l, same, of);
        balance_blocks_add(t->blocks, &g->s, l, same, of);
        if (t->together)
            together_add(t->together, &g->s, l);
    }
}

static int check_size(const struct routed_model *m, struct err *err) {
    return (int64_t)m->layers * m->experts <= CELLS_MOST ? 0
        : err_set(err, "%d layers of %d experts: expected at most %d experts in all", m->layers,
                  m->experts, CELLS_MOST);
}

/* The reader may have met larger ids than it knew of. */
static int grow(struct tally *t, const struct routed_model *m, struct err *err) {
    int experts = m->experts;
    if (experts <= t->experts)
        return 0;
    if (check_size(m, err) < 0)
        return -1;
    balance_blocks_grow(t->blocks, experts);
    if (t->recur)
        recur_grow(t->recur, experts);
    if (t->together && together_grow(t->together, experts, err) < 0)
        return -1;
    t->experts = experts;
    return 0;
}

static int count_stretch(struct gather *g, struct err *err) {
    struct tally *t = g->t;
    g->s = (struct stretch){g->n, t->layers, g->model->k, g->expert, g->request, g->position,
                            g->pass, g->accepted};
    if (!g->n)
        return 0;
    if (grow(t, g->model, err) < 0)
        return -1;
    balance_blocks_begin(t->blocks, &g->s);
    if (t->recur)
        recur_begin(t->recur, &g->s);
    par_run(g->team, count_layers, g);
    t->tokens += g->n;
    g->n = 0;
    if (g->opt->seen)
        g->opt->seen(g->opt->arg, t->tokens);
    return 0;
}

static int gather_rows(struct gather *g, const struct routed_rows *rows, struct err *err) {
    size_t row = (size_t)g->model->layers * (size_t)g->model->k;
    g->passes += rows->begins != 0;
    g->t->passes += rows->begins != 0;
    for (int64_t i = 0; i < rows->n; i++) {
        if (g->n == g->most && count_stretch(g, err) < 0)
            return -1;
        memcpy(g->expert + (size_t)g->n * row, rows->expert + (size_t)i * rows->stride,
               row * sizeof *g->expert);
        g->request[g->n] = rows->request[i];
        g->position[g->n] = rows->position[i];
        g->pass[g->n] = g->passes + 1;
        g->accepted[g->n++] = rows->accepted[i];
    }
    return 0;
}

/* ---- all of it ---------------------------------------------------------------------------- */

static struct tally *tally_new(const struct routed_model *m, const struct tally_options *opt,
                               struct err *err) {
    if (check_size(m, err) < 0)
        return NULL;
    struct tally *t = mem_alloc(sizeof *t);
    t->layers = m->layers;
    t->experts = m->experts > 1 ? m->experts : 1;
    t->blocks = balance_blocks_new(t->layers, t->experts);
    t->recur = opt->recur ? recur_new(t->layers, t->experts) : NULL;
    t->together = opt->together ? together_new(t->layers, t->experts, err) : NULL;
    if (!opt->together || t->together)
        return t;
    tally_free(t);
    return NULL;
}

static void finish(struct tally *t) {
    t->count = mem_array((size_t)t->layers * (size_t)t->experts + 1, sizeof *t->count);
    for (int l = 0; l < t->layers; l++)
        balance_blocks_count(t->blocks, l, t->experts,
                             t->count + (size_t)l * (size_t)t->experts);
}

struct tally *tally_read(struct routed *r, const struct tally_options *opt, struct err *err) {
    struct routed_rows rows;
    struct gather g = {.model = routed_model(r), .opt = opt};
    int rc;
    g.t = tally_new(g.model, opt, err);
    if (!g.t)
        return NULL;
    gather_make(&g);
    while ((rc = routed_next(r, &rows, err)) == 1)
        if ((rc = gather_rows(&g, &rows, err)) < 0)
            break;
    if (rc == 0)
        rc = count_stretch(&g, err);
    gather_free(&g);
    if (rc == 0) {
        finish(g.t);
        return g.t;
    }
    tally_free(g.t);
    return NULL;
}

void tally_free(struct tally *t) {
    if (!t)
        return;
    balance_blocks_free(t->blocks);
    recur_free(t->recur);
    together_free(t->together);
    free(t->count);
    free(t);
}
