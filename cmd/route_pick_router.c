/* route_pick_router.c - llm-route requests pick: scores of requests, and what a calibration says
 *
 * A calibration is scores of both models on past requests (lib/route/scores.h). It says which model
 * is the weak one, how long answers of each are or what they cost, which score reaches a quality,
 * what scores are like before the stream has shown it, and which requests a new one is like.
 */
#include "cmd/route_pick.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/route/judge.h"
#include "lib/route/nearest.h"
#include "lib/route/scores.h"

struct past {                   /* requests with scores of both models and what they go by */
    size_t n;
    uint32_t *row;              /* [n] into scores */
    double *answer[PICK_MODELS];        /* [n] scores of their answers */
    double *gain;               /* [n] strong - weak, what nearest neighbours predict */
    double *score;              /* [n] of the router */
    const float **x;            /* [n] embeddings */
    uint64_t *prompt;
};

struct pick_router {
    const struct pick_options *o;
    struct ask_names names;
    struct rng rng;
    struct scores *scores;      /* NULL: no calibration */
    struct past past;
    int model[PICK_MODELS];     /* of scores */
    double output[PICK_MODELS]; /* tokens that an answer is expected to have; NAN: unknown */
    double usd[PICK_MODELS];    /* mean of the calibration, where no price is given; NAN: unknown */
    double threshold;
};

static const char *const default_names[] = {"weak", "strong"};

/* ---- models ------------------------------------------------------------------------------- */

static int find_model(const struct scores *s, const char *option, const char *name) {
    int m = scores_find_model(s, name);
    if (m < 0)
        die("%s: the calibration has no model '%s'", option, name);
    return m;
}

/* The other of two, or the one that scores least (by 1) or most (by -1). */
static int other_model(const struct pick_options *o, const struct scores *s, int taken, int by) {
    int best = -1;
    for (int m = 0; m < s->models; m++) {
        double mean = scores_mean(s->model[m].score, s->n) * by;
        if (m != taken && !isnan(mean) &&
            (best < 0 || mean < scores_mean(s->model[best].score, s->n) * by))
            best = m;
    }
    if (s->models > 2 && taken < 0)
        usage_die("--calibrate: %d models: say which are --weak and --strong", s->models);
    if (best < 0)
        die("%s: expected scores of two models, found %d", input_name(o->calibrate), s->models);
    return best;
}

static void choose_models(struct pick_router *r) {
    const struct pick_options *o = r->o;
    const struct scores *s = r->scores;
    int weak = o->model[PICK_WEAK] ? find_model(s, "--weak", o->model[PICK_WEAK]) : -1;
    int strong = o->model[PICK_STRONG] ? find_model(s, "--strong", o->model[PICK_STRONG]) : -1;
    if (weak < 0)
        weak = other_model(o, s, strong, 1);
    if (strong < 0)
        strong = other_model(o, s, weak, -1);
    r->model[PICK_WEAK] = weak;
    r->model[PICK_STRONG] = strong;
    for (int m = 0; m < PICK_MODELS; m++)
        r->names.model[m] = s->model[r->model[m]].name;
}

/* ---- scores ------------------------------------------------------------------------------- */

static double signed_score(const struct pick_options *o, double score) {
    return o->lowest ? -score : score;
}

/* Of a past request; NAN: it does not say. */
static double past_score(struct pick_router *r, size_t row) {
    const struct scores *s = r->scores;
    switch (r->o->by) {
    case PICK_LENGTH:
        return isnan(s->prompt_chars[row]) ? s->input_tokens[row] * r->o->chars_per_token
                                           : s->prompt_chars[row];
    case PICK_COLUMN: return s->column[0][row];
    case PICK_RANDOM: return rng_unit(&r->rng);
    default: return 0;          /* neighbours are looked at together */
    }
}

static void predict_past(struct pick_router *r) {
    struct past *p = &r->past;
    struct nearest_set set = {.n = p->n, .dim = r->scores->dim, .x = p->x, .prompt = p->prompt};
    nearest_predict(&set, p->gain, &set, r->o->neighbours, NULL, p->score);
}

static void take_past(struct pick_router *r) {
    const struct scores *s = r->scores;
    struct past *p = &r->past;
    const double *weak = s->model[r->model[PICK_WEAK]].score;
    const double *strong = s->model[r->model[PICK_STRONG]].score;
    p->row = mem_array(s->n + 1, sizeof *p->row);
    p->answer[PICK_WEAK] = mem_array(s->n + 1, sizeof(double));
    p->answer[PICK_STRONG] = mem_array(s->n + 1, sizeof(double));
    p->gain = mem_array(s->n + 1, sizeof *p->gain);
    p->score = mem_array(s->n + 1, sizeof *p->score);
    p->x = mem_array(s->n + 1, sizeof *p->x);
    p->prompt = mem_array(s->n + 1, sizeof *p->prompt);
    for (size_t i = 0; i < s->n; i++) {
        double score = past_score(r, i);
        if (isnan(weak[i]) || isnan(strong[i]) || isnan(score))
            continue;
        p->row[p->n] = (uint32_t)i;
        p->answer[PICK_WEAK][p->n] = weak[i];
        p->answer[PICK_STRONG][p->n] = strong[i];
        p->gain[p->n] = strong[i] - weak[i];
        p->score[p->n] = signed_score(r->o, score);
        p->x[p->n] = s->dim ? s->embedding + i * s->dim : NULL;
        p->prompt[p->n++] = s->prompt_hash[i];
    }
    if (p->n == 0)
        die("%s: no request has scores of '%s' and '%s' and what requests go by",
            input_name(r->o->calibrate), r->names.model[PICK_WEAK], r->names.model[PICK_STRONG]);
}

int pick_router_score(struct pick_router *r, const struct ask *l, double *score,
                      struct err *err) {
    struct past *p = &r->past;
    switch (r->o->by) {
    case PICK_LENGTH:
        *score = isnan(l->chars) ? l->input_tokens * r->o->chars_per_token : l->chars;
        if (isnan(*score))
            return err_set(err, "expected prompt, messages or input_tokens, whose length requests "
                           "go by");
        break;
    case PICK_RANDOM: *score = rng_unit(&r->rng); break;
    case PICK_COLUMN:
        *score = l->column;
        if (isnan(*score))
            return err_set(err, "expected '%s', which requests go by", r->o->column);
        break;
    case PICK_KNN: {
        const float *x = l->embedding;
        uint64_t prompt = 0;
        if (l->dim != r->scores->dim)
            return err_set(err, "expected an embedding of %zu numbers, found %zu", r->scores->dim,
                           l->dim);
        nearest_predict(&(struct nearest_set){.n = p->n, .dim = l->dim, .x = p->x,
                                              .prompt = p->prompt}, p->gain,
                        &(struct nearest_set){.n = 1, .dim = l->dim, .x = &x, .prompt = &prompt},
                        r->o->neighbours, NULL, score);
        break;
    }
    }
    *score = signed_score(r->o, *score);
    return 0;
}

/* ---- costs -------------------------------------------------------------------------------- */

/* Above this a number of tokens is no request's, and sums would lose their last digits. */
#define TOKENS_MOST 1e12

static double first_known(double a, double b) {
    return isnan(a) ? b : a;
}

static double usd_of(const struct pick_router *r, int m, double input, double cached,
                     double output) {
    const struct prices *p = &r->o->price[m];
    if (!p->book)
        return r->usd[m];
    if (input > TOKENS_MOST || output > TOKENS_MOST)
        return NAN;
    return prices_usd(p, (int64_t)ceil(input), (int64_t)floor(fmin(cached, input)),
                      (int64_t)ceil(output));
}

int pick_router_cost(const struct pick_router *r, const struct ask *l,
                     const double cached[PICK_MODELS], double usd[PICK_MODELS], struct err *err) {
    double input = first_known(l->input_tokens, l->chars / r->o->chars_per_token);
    usd[PICK_WEAK] = usd[PICK_STRONG] = 0;
    if (!pick_router_priced(r))
        return 0;
    if (isnan(input) && r->o->price[PICK_WEAK].book)
        return err_set(err, "expected prompt, messages or input_tokens, which its price is for");
    for (int m = 0; m < PICK_MODELS; m++) {
        double output = first_known(l->output_tokens[m], fmin(r->output[m], l->most_output));
        if (input > TOKENS_MOST || output > TOKENS_MOST)
            return err_set(err, "expected at most 1e12 tokens, found %g", fmax(input, output));
        usd[m] = usd_of(r, m, input, cached[m], output);
        if (isnan(usd[m]))
            return err_set(err, "%s has no price for %.0f input and %.0f output tokens",
                           r->names.model[m], input, output);
    }
    return 0;
}

int pick_router_priced(const struct pick_router *r) {
    return r->o->price[PICK_WEAK].book || !isnan(r->usd[PICK_WEAK] + r->usd[PICK_STRONG]);
}

/* Of a past request, as of a new one. */
static void past_cost(const struct pick_router *r, size_t row, double usd[PICK_MODELS]) {
    const struct scores *s = r->scores;
    double input = first_known(s->input_tokens[row],
                               s->prompt_chars[row] / r->o->chars_per_token);
    double cached = first_known(s->cached_tokens[row], 0);
    usd[PICK_WEAK] = usd[PICK_STRONG] = 0;
    for (int m = 0; m < PICK_MODELS && pick_router_priced(r); m++) {
        double output = first_known(s->model[r->model[m]].output_tokens[row], r->output[m]);
        usd[m] = first_known(usd_of(r, m, first_known(input, 0), cached, output), 0);
    }
}

#define OUTPUT_TOKENS 256       /* of an answer of which nothing is known */

static void find_outputs(struct pick_router *r) {
    for (int m = 0; m < PICK_MODELS; m++) {
        r->output[m] = r->o->output_tokens;
        r->usd[m] = NAN;
        if (r->scores) {
            const struct scores_model *s = &r->scores->model[r->model[m]];
            double chars = scores_mean(s->response_chars, r->scores->n);
            r->usd[m] = scores_mean(s->usd, r->scores->n);
            r->output[m] = first_known(r->output[m], first_known(
                scores_mean(s->output_tokens, r->scores->n), chars / r->o->chars_per_token));
        }
        r->output[m] = first_known(r->output[m], OUTPUT_TOKENS);
    }
}

/* ---- the calibration ---------------------------------------------------------------------- */

static void find_threshold(struct pick_router *r) {
    const struct past *p = &r->past;
    const struct judge_pair pair = {.n = p->n, .weak = p->answer[PICK_WEAK],
                                    .strong = p->answer[PICK_STRONG]};
    struct judge_router how = {.score = p->score, .ties = JUDGE_TOGETHER};
    struct judge_order *order = judge_order_new(&pair, &how);
    struct judge_point point;
    if (judge_cut_quality(order, r->o->quality, &point)) {
        double weak = order->weak;
        double strong = order->strong;
        judge_order_free(order);
        die("--quality: no threshold reaches %g on the calibration, where '%s' alone has %.4g and "
            "'%s' %.4g", r->o->quality, r->names.model[PICK_WEAK], weak,
            r->names.model[PICK_STRONG], strong);
    }
    r->threshold = point.threshold;
    if (!r->o->common.quiet)
        warn("threshold %g: %.1f %% of the calibration go to %s, mean score %.4g",
             pick_router_shown(r, point.threshold), 100 * point.share,
             r->names.model[PICK_STRONG], point.quality);
    judge_order_free(order);
}

static void read_calibration(struct pick_router *r) {
    const struct pick_options *o = r->o;
    struct err e = {{0}};
    const struct scores_options opt = {.column = &o->column, .columns = o->by == PICK_COLUMN};
    r->scores = scores_read(o->calibrate, &opt, &e);
    if (!r->scores || (o->embeddings && scores_read_embeddings(r->scores, o->embeddings, &e)))
        die_err(&e);
    choose_models(r);
    if (o->by == PICK_KNN && !r->scores->dim)
        die("%s: no embeddings, by which neighbours are found: --embeddings FILE.npy, or a field "
            "embedding", input_name(o->calibrate));
    take_past(r);
    if (o->by == PICK_KNN)
        predict_past(r);
}

struct pick_router *pick_router_new(const struct pick_options *o) {
    struct pick_router *r = mem_alloc(sizeof *r);
    r->o = o;
    r->rng = (struct rng){o->seed};
    r->names.column = o->by == PICK_COLUMN ? o->column : NULL;
    r->names.embedding = o->by == PICK_KNN;
    r->threshold = isnan(o->threshold) ? -INFINITY : signed_score(o, o->threshold);
    for (int m = 0; m < PICK_MODELS; m++)
        r->names.model[m] = o->model[m] ? o->model[m] : default_names[m];
    if (o->calibrate)
        read_calibration(r);
    find_outputs(r);
    if (!isnan(o->quality))
        find_threshold(r);
    return r;
}

void pick_router_free(struct pick_router *r) {
    if (!r)
        return;
    scores_free(r->scores);
    free(r->past.prompt);
    free((void *)(uintptr_t)r->past.x);
    free(r->past.score);
    free(r->past.gain);
    free(r->past.answer[PICK_WEAK]);
    free(r->past.answer[PICK_STRONG]);
    free(r->past.row);
    free(r);
}

const struct ask_names *pick_router_names(const struct pick_router *r) {
    return &r->names;
}

double pick_router_threshold(const struct pick_router *r) {
    return r->threshold;
}

double pick_router_shown(const struct pick_router *r, double score) {
    return r->o->lowest ? 0 - score : score;
}

/* As many as a window holds, from all over the calibration. */
void pick_router_teach(const struct pick_router *r, struct pace *p) {
    size_t n = r->past.n < PACE_WINDOW ? r->past.n : PACE_WINDOW;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * r->past.n / n;
        double usd[PICK_MODELS];
        past_cost(r, r->past.row[at], usd);
        pace_learn(p, &(struct pace_request){.score = r->past.score[at],
                                             .weak_usd = usd[PICK_WEAK],
                                             .strong_usd = usd[PICK_STRONG]});
    }
}
