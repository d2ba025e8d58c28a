/* route_place_table.c - llm-route place: methods side by side, on traffic they know and do not
 *
 * A part is what all methods are judged on: the training traffic, and the held-out one, which is
 * that of --eval or all folds of --folds together.
 */
#include "cmd/route_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/placement.h"

/* What one method came to on one part, summed up over its pieces. */
struct score {
    struct traffic_measure *layer;      /* [layers] sums, then means, over pieces */
    double *own;                        /* [layers] max / mean of the plan made for the piece */
    double *excess;                     /* [windows] of all pieces */
    int64_t windows;
    int pieces;
};

struct board {
    const struct place *p;
    struct score score[2][PLACE_METHODS];       /* train, held out */
    struct placement_moves moves[PLACE_METHODS];        /* from --from, of the plans from all of
                                                         * the training traffic */
    int64_t *layer_moves[PLACE_METHODS];        /* [layers]; NULL: there is no --from */
};

enum { TRAIN, HELDOUT };
static const char *const part_names[] = {"train", "heldout"};

static void add_measure(struct traffic_measure *to, const struct traffic_measure *m) {
    to->max_over_mean += m->max_over_mean;
    to->excess += m->excess;
    to->balancedness += m->balancedness;
    to->nodes_per_token += m->nodes_per_token;
}

static void add_result(struct score *s, const struct place *p, const struct place_result *r,
                       const struct place_result *own) {
    size_t layers = (size_t)p->layers;
    if (!s->pieces) {
        s->layer = mem_array(layers, sizeof *s->layer);
        s->own = mem_array(layers, sizeof *s->own);
    }
    s->pieces++;
    for (size_t i = 0; i < layers; i++) {
        add_measure(&s->layer[i], &r->layer[i]);
        s->own[i] += own->layer[i].max_over_mean;
    }
    s->excess = mem_grow(s->excess, (size_t)(s->windows + r->windows), sizeof *s->excess);
    memcpy(s->excess + s->windows, r->excess, (size_t)r->windows * sizeof *s->excess);
    s->windows += r->windows;
}

/* What is said of a plan from all of the training traffic: its moves; the best is written. */
static void note_plan(struct board *b, enum place_method m, const struct placement *plan) {
    const struct place *p = b->p;
    if (p->current) {
        b->layer_moves[m] = mem_array((size_t)p->layers, sizeof **b->layer_moves);
        b->moves[m] = placement_moves(p->current, plan, place_model(&p->input[0])->expert_bytes,
                                      b->layer_moves[m]);
    }
    if (p->o->output && m == place_best(p))
        place_write(p, plan, p->o->output);
}

/* Plans from `train`, judges on `other`, by every method. */
static void add_piece(struct board *b, int part, const struct traffic *train,
                      const struct traffic *other) {
    const struct place *p = b->p;
    struct place_result own;
    struct placement *best = place_plan(p, PLACE_STEADY, other);
    place_judge(p, other, best, &own);
    for (int m = 0; m < PLACE_METHODS; m++) {
        struct place_result r;
        if (!place_has(p, (enum place_method)m))
            continue;
        struct placement *plan = place_plan(p, (enum place_method)m, train);
        place_judge(p, other, plan, &r);
        add_result(&b->score[part][m], p, &r, &own);
        if (part == TRAIN)
            note_plan(b, (enum place_method)m, plan);
        place_result_free(&r);
        placement_free(plan);
    }
    place_result_free(&own);
    placement_free(best);
}

/* ---- folds -------------------------------------------------------------------------------- */

/* Fold i of an input: its tokens [from, to). */
static void fold_of(const struct routed_set *s, int i, int folds, int64_t *from, int64_t *to) {
    *from = s->tokens * i / folds;
    *to = s->tokens * (i + 1) / folds;
}

static void add_folds(struct board *b) {
    const struct place *p = b->p;
    int folds = p->o->folds;
    struct traffic_part *train = mem_array((size_t)p->inputs * 2, sizeof *train);
    struct traffic_part *other = mem_array((size_t)p->inputs, sizeof *other);
    for (int i = 0; i < folds; i++) {
        int trains = 0;
        for (int k = 0; k < p->inputs; k++) {
            const struct routed_set *s = p->input[k].set;
            int64_t from, to;
            fold_of(s, i, folds, &from, &to);
            other[k] = (struct traffic_part){.set = s, .from = from, .to = to};
            if (from > 0)
                train[trains++] = (struct traffic_part){.set = s, .to = from};
            if (to < s->tokens)
                train[trains++] = (struct traffic_part){.set = s, .from = to, .to = s->tokens};
        }
        struct traffic known = place_traffic(p, train, trains);
        struct traffic held = place_traffic(p, other, p->inputs);
        add_piece(b, HELDOUT, &known, &held);
    }
    free(train);
    free(other);
}

static void check_folds(const struct place *p) {
    for (int i = 0; i < p->inputs; i++) {
        if (!p->input[i].set)
            die("%s: --folds cuts traces; a count table has no order of tokens", p->input[i].name);
        if (p->input[i].set->tokens < p->o->folds)
            die("%s: %lld tokens are too few for %d folds", p->input[i].name,
                (long long)p->input[i].set->tokens, p->o->folds);
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

/* A terminal has room for what differs: see choose_fields. */
enum { LAYER, MOVES = 9, NODES = 12 };
static const struct field fields[] = {
    {"layer", FIELD_ID, 1}, {"method", FIELD_TEXT, 0}, {"part", FIELD_TEXT, 0},
    {"device_max_over_mean", 4, 0}, {"regret", 4, 0}, {"imbalance_excess", 4, 0},
    {"vs_eplb", 4, 0}, {"vs_eplb_low", 4, 0}, {"vs_eplb_high", 4, 0},
    {"moves", FIELD_WHOLE, 1}, {"move_bytes", FIELD_WHOLE, 1}, {"balancedness", 4, 1},
    {"nodes_per_token", 3, 1}, {"cross_node_share", 4, 1},
    {"windows", FIELD_COUNT, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

static void choose_fields(struct field *shown, const struct place *p) {
    memcpy(shown, fields, sizeof fields);
    shown[LAYER].wide = !p->o->by_layer;
    shown[MOVES].wide = !p->current;
    shown[NODES].wide = p->grid.nodes == 1;
}

/* Excess over that of EPLB, less 1, over the windows of a part. */
static double versus(const struct place *p, const struct score *s, const struct score *eplb,
                     struct interval *out) {
    double sum = 0;
    double base = 0;
    *out = (struct interval){NAN, NAN};
    if (!eplb->pieces)
        return NAN;
    for (int64_t i = 0; i < s->windows; i++) {
        sum += s->excess[i];
        base += eplb->excess[i];
    }
    if (!(base > 0))
        return NAN;
    const struct boot boot = {.level = p->o->level, .seed = p->o->seed};
    *out = boot_ratio(s->excess, eplb->excess, (size_t)s->windows, NULL, 0, &boot);
    out->low -= 1;
    out->high -= 1;
    return sum / base - 1;
}

struct row {
    int layer;                  /* -1: all */
    int part, method;
    struct traffic_measure m;
    double own, versus;
    struct interval interval;
    int64_t windows;
    double moves, bytes;
};

/* Of the routed pairs, those that are sent over the network where a node that holds several of a
 * token's experts is sent it once, and the token starts on any node alike. */
static double cross_share(const struct place *p, double nodes, int k) {
    double away = 1 - 1.0 / p->grid.nodes;
    return k ? nodes * away / k : NAN;
}

static int experts_of_token(const struct place *p) {
    int k = 0;
    for (int i = 0; i < p->inputs; i++)
        if (p->input[i].set && p->input[i].set->model.k > k)
            k = p->input[i].set->model.k;
    return k;
}

static void put_row(struct fields *f, const struct place *p, const struct row *r) {
    fields_row(f, (struct value[FIELDS]){
        {.text = r->layer < 0 ? "all" : NULL, .count = r->layer},
        {.text = place_names[r->method]}, {.text = part_names[r->part]},
        {.number = r->m.max_over_mean}, {.number = r->m.max_over_mean - r->own},
        {.number = r->m.excess}, {.number = r->versus}, {.number = r->interval.low},
        {.number = r->interval.high}, {.number = r->moves}, {.number = r->bytes},
        {.number = r->m.balancedness},
        {.number = r->m.nodes_per_token},
        {.number = cross_share(p, r->m.nodes_per_token, experts_of_token(p))},
        {.count = r->windows}});
}

/* Means over layers that have any. */
static void mean_layers(const struct place *p, const struct score *s, struct row *r) {
    double seen = 0;
    for (int i = 0; i < p->layers; i++) {
        if (isnan(s->layer[i].max_over_mean))
            continue;
        add_measure(&r->m, &s->layer[i]);
        r->own += s->own[i];
        seen++;
    }
    r->m.max_over_mean /= seen;
    r->m.excess /= seen;
    r->m.balancedness /= seen;
    r->m.nodes_per_token /= seen;
    r->own /= seen;
}

static void put_score(struct fields *f, const struct board *b, int part, int method) {
    const struct place *p = b->p;
    const struct score *s = &b->score[part][method];
    const struct score *eplb = &b->score[part][PLACE_EPLB];
    const double *bytes = place_model(&p->input[0])->expert_bytes;
    struct row r = {.layer = -1, .part = part, .method = method, .windows = s->windows,
                    .moves = NAN, .bytes = NAN};
    if (b->layer_moves[method]) {
        r.moves = (double)b->moves[method].slots;
        r.bytes = b->moves[method].bytes > 0 || r.moves == 0 ? b->moves[method].bytes : NAN;
    }
    r.versus = versus(p, s, eplb, &r.interval);
    mean_layers(p, s, &r);
    put_row(f, p, &r);
    for (int i = 0; p->o->by_layer && i < p->layers; i++) {
        r = (struct row){p->layer_index[i], part, method, s->layer[i], s->own[i], NAN,
                         {NAN, NAN}, s->windows,
                         b->layer_moves[method] ? (double)b->layer_moves[method][i] : NAN, NAN};
        if (!isnan(r.moves) && (bytes[i] > 0 || r.moves == 0))
            r.bytes = r.moves * bytes[i];
        if (eplb->pieces && eplb->layer[i].excess > 0)
            r.versus = r.m.excess / eplb->layer[i].excess - 1;
        put_row(f, p, &r);
    }
}

static void mean_pieces(const struct place *p, struct score *s) {
    for (int i = 0; i < p->layers; i++) {
        s->layer[i].max_over_mean /= s->pieces;
        s->layer[i].excess /= s->pieces;
        s->layer[i].balancedness /= s->pieces;
        s->layer[i].nodes_per_token /= s->pieces;
        s->own[i] /= s->pieces;
    }
}

int place_table(const struct place *p) {
    struct board b = {.p = p};
    struct traffic_part *part = mem_array((size_t)p->inputs, sizeof *part);
    struct field shown[FIELDS];
    struct fields f;
    for (int i = 0; i < p->inputs; i++)
        part[i] = place_part(&p->input[i]);
    struct traffic train = place_traffic(p, part, p->inputs);
    if (p->o->folds)
        check_folds(p);
    add_piece(&b, TRAIN, &train, &train);
    if (p->evals) {
        struct traffic_part held = place_part(p->eval);
        struct traffic other = place_traffic(p, &held, 1);
        add_piece(&b, HELDOUT, &train, &other);
    } else if (p->o->folds) {
        add_folds(&b);
    }
    choose_fields(shown, p);
    fields_open(&f, shown, FIELDS, &p->o->common);
    for (int k = 0; k < 2; k++)
        for (int m = 0; m < PLACE_METHODS; m++)
            if (b.score[k][m].pieces) {
                mean_pieces(p, &b.score[k][m]);
                put_score(&f, &b, k, m);
            }
    fields_close(&f);
    for (int i = 0; i < 2 * PLACE_METHODS; i++) {
        struct score *s = &b.score[i / PLACE_METHODS][i % PLACE_METHODS];
        free(s->layer);
        free(s->own);
        free(s->excess);
    }
    for (int m = 0; m < PLACE_METHODS; m++)
        free(b.layer_moves[m]);
    free(part);
    return EXIT_DONE;
}
