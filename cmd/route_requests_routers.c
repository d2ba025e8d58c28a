/* route_requests_routers.c - the routers that were asked for, and the baselines beside them */
#include "cmd/route_requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/nearest.h"

#define FEW_SCORES 20           /* different ones: a threshold can hardly follow the share */

/* ---- scores of the requests ------------------------------------------------------------- */

/* Characters of the prompt, else its tokens; of a cascade those of the weak answer. NAN: none. */
static double length_of(const struct requests_side *side, size_t i, int cascade) {
    const struct scores *s = side->s;
    const struct scores_model *weak = &s->model[side->weak];
    uint32_t row = side->row[i];
    double chars = cascade ? weak->response_chars[row] : s->prompt_chars[row];
    return isnan(chars) ? cascade ? weak->output_tokens[row] : s->input_tokens[row] : chars;
}

/* Characters and tokens must not be mixed. */
static int has_lengths(const struct requests_side *side, int cascade) {
    const struct scores *s = side->s;
    const double *chars = cascade ? s->model[side->weak].response_chars : s->prompt_chars;
    size_t by_chars = 0;
    for (size_t i = 0; i < side->n; i++) {
        by_chars += (size_t)!isnan(chars[side->row[i]]);
        if (isnan(length_of(side, i, cascade)))
            return 0;
    }
    return by_chars == 0 || by_chars == side->n;
}

static int column_of(const struct requests_options *o, const char *name) {
    int c = 0;
    while (strcmp(o->column[c], name))
        c++;
    return c;
}

static double score_of(const struct requests_options *o, const struct requests_side *side,
                       const struct requests_asked *a, size_t i) {
    switch (a->by) {
    case BY_COLUMN: return side->s->column[column_of(o, a->column)][side->row[i]];
    case BY_LENGTH: return length_of(side, i, a->cascade);
    case BY_GAIN: return side->pair.strong[i] - side->pair.weak[i];
    case BY_WEAK: return side->pair.weak[i];
    default: return 0;
    }
}

static double *scores_of(const struct requests_options *o, const struct requests_side *side,
                         const struct requests_asked *a) {
    double *score = mem_array(side->n + 1, sizeof *score);
    for (size_t i = 0; i < side->n; i++) {
        double x = score_of(o, side, a, i);
        score[i] = a->lowest ? -x : x;
    }
    return score;
}

/* ---- nearest neighbours ----------------------------------------------------------------- */

static struct nearest_set nearest_of(const struct requests_side *side) {
    const float **x = mem_array(side->n + 1, sizeof *x);
    uint64_t *prompt = mem_array(side->n + 1, sizeof *prompt);
    for (size_t i = 0; i < side->n; i++) {
        x[i] = side->s->embedding + side->row[i] * side->s->dim;
        prompt[i] = side->s->prompt_hash[side->row[i]];
    }
    return (struct nearest_set){.n = side->n, .dim = side->s->dim, .x = x, .prompt = prompt};
}

static void nearest_free(struct nearest_set *s) {
    free((void *)(uintptr_t)s->x);
    free((void *)(uintptr_t)s->prompt);
}

/* Thresholds are chosen on predictions that leave each request out, as the judged ones are. */
static void predict(const struct requests_options *o, const struct requests_data *d,
                    struct requests_router *r, int lowest) {
    const struct requests_side *learn = d->apart ? &d->learn : &d->judge;
    struct nearest_set from = nearest_of(learn);
    struct nearest_set to = nearest_of(&d->judge);
    double *gain = mem_array(learn->n + 1, sizeof *gain);
    for (size_t i = 0; i < learn->n; i++)
        gain[i] = (learn->pair.strong[i] - learn->pair.weak[i]) * (lowest ? -1 : 1);
    r->judge_score = mem_array(d->judge.n + 1, sizeof *r->judge_score);
    nearest_predict(&from, gain, d->apart ? &to : &from, o->k, d->par, r->judge_score);
    if (d->apart) {
        r->learn_score = mem_array(learn->n + 1, sizeof *r->learn_score);
        nearest_predict(&from, gain, &from, o->k, d->par, r->learn_score);
    }
    free(gain);
    nearest_free(&from);
    nearest_free(&to);
}

static int has_embeddings(const struct requests_data *d) {
    return d->judge.s->dim && (!d->apart || d->learn.s->dim);
}

static void check_embeddings(const struct requests_options *o, const struct requests_data *d) {
    int asked = 0;
    for (int i = 0; i < o->n_asked; i++)
        asked |= o->asked[i].by == BY_KNN;
    if (asked && !has_embeddings(d))
        die("--by knn: expected embeddings: --embeddings, or a field of the scores%s",
            d->learn.s != d->judge.s ? "; --train-embeddings too" : "");
    if (has_embeddings(d) && d->apart && d->learn.s->dim != d->judge.s->dim)
        die("embeddings: expected %zu numbers as in those to learn from, found %zu",
            d->learn.s->dim, d->judge.s->dim);
}

/* ---- the list --------------------------------------------------------------------------- */

static void warn_few(const struct judge_order *o, const char *name) {
    size_t n = o->pair.n;
    int different = 1;
    for (size_t i = 1; i < n && different <= FEW_SCORES; i++)
        different += o->score[i] != o->score[i - 1];
    if (different <= FEW_SCORES && n > (size_t)different)
        warn("%s: %d different score%s among %zu requests: their order is the input's; --ties mean "
             "takes none", name, different, different == 1 ? "" : "s", n);
}

static void add(const struct requests_options *o, const struct requests_data *d,
                struct requests_routers *all, const struct requests_asked *a, const char *kind,
                enum judge_ties ties) {
    struct requests_router *r = &all->r[all->n];
    *r = (struct requests_router){.name = a->text, .kind = kind, .by = a->by,
                                  .lowest = a->lowest};
    if (a->by == BY_KNN) {
        predict(o, d, r, a->lowest);
    } else {
        r->judge_score = scores_of(o, &d->judge, a);
        r->learn_score = d->apart ? scores_of(o, &d->learn, a) : NULL;
    }
    struct judge_router how = {.score = r->judge_score, .ties = ties, .cascade = a->cascade};
    r->judge = r->learn = judge_order_new(&d->judge.pair, &how);
    if (d->apart) {
        how.score = r->learn_score;
        r->learn = judge_order_new(&d->learn.pair, &how);
    }
    if (a->by == BY_LENGTH && !a->cascade && !a->lowest && all->length < 0)
        all->length = all->n;
    if (ties == JUDGE_ORDER && a->by != BY_GAIN && !o->common.quiet)
        warn_few(r->judge, a->text);
    all->n++;
}

static int is_asked(const struct requests_options *o, enum requests_by by) {
    for (int i = 0; i < o->n_asked; i++)
        if (o->asked[i].by == by && !o->asked[i].cascade && !o->asked[i].lowest)
            return 1;
    return 0;
}

static void add_asked(const struct requests_options *o, const struct requests_data *d,
                      struct requests_routers *all) {
    for (int i = 0; i < o->n_asked; i++) {
        const struct requests_asked *a = &o->asked[i];
        if (a->by == BY_LENGTH && (!has_lengths(&d->judge, a->cascade) ||
                                   (d->apart && !has_lengths(&d->learn, a->cascade))))
            die("%s %s: expected %s of every request", a->cascade ? "--cascade" : "--by", a->text,
                a->cascade ? "the weak model's response or its output_tokens"
                           : "a prompt or input_tokens");
        add(o, d, all, a, a->cascade ? "cascade" : a->by == BY_RANDOM ? "baseline" : "router",
            a->by == BY_RANDOM ? JUDGE_MEAN : o->ties);
    }
}

static int has_cascade(const struct requests_options *o) {
    int has = 0;
    for (int i = 0; i < o->n_asked; i++)
        has |= o->asked[i].cascade;
    return has;
}

void requests_routers_make(const struct requests_options *o, const struct requests_data *d,
                           struct requests_routers *all) {
    static const struct requests_asked length = {.text = "length", .by = BY_LENGTH};
    static const struct requests_asked knn = {.text = "knn", .by = BY_KNN};
    static const struct requests_asked random = {.text = "random", .by = BY_RANDOM};
    static const struct requests_asked oracle = {.text = "oracle", .by = BY_GAIN};
    /* A perfect judge of the weak answers: it cannot know what the strong model would say. */
    static const struct requests_asked judge = {.text = "oracle-cascade", .by = BY_WEAK,
                                                .cascade = 1, .lowest = 1};
    *all = (struct requests_routers){.length = -1};
    all->r = mem_array(REQUESTS_ASKED + 5, sizeof *all->r);
    check_embeddings(o, d);
    add_asked(o, d, all);
    if (!is_asked(o, BY_LENGTH) && has_lengths(&d->judge, 0) &&
        (!d->apart || has_lengths(&d->learn, 0)))
        add(o, d, all, &length, "baseline", o->ties);
    if (!is_asked(o, BY_KNN) && has_embeddings(d))
        add(o, d, all, &knn, "baseline", o->ties);
    if (!is_asked(o, BY_RANDOM))
        add(o, d, all, &random, "baseline", JUDGE_MEAN);
    add(o, d, all, &oracle, "oracle", JUDGE_ORDER);
    if (has_cascade(o))
        add(o, d, all, &judge, "oracle", JUDGE_MEAN);
}

void requests_routers_free(struct requests_routers *all) {
    for (int i = 0; i < all->n; i++) {
        struct requests_router *r = &all->r[i];
        if (r->learn != r->judge)
            judge_order_free(r->learn);
        judge_order_free(r->judge);
        free(r->judge_score);
        free(r->learn_score);
    }
    free(all->r);
}

char *requests_label(const struct requests_router *r) {
    return mem_printf(strcmp(r->kind, "cascade") ? "%s" : "%s, cascade", r->name);
}

double requests_threshold(const struct requests_router *r, double threshold) {
    if (r->by == BY_RANDOM || isinf(threshold))
        return NAN;
    return r->lowest ? 0 - threshold : threshold;
}
