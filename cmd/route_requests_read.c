/* route_requests_read.c - answers and costs of the two models; the parts to learn from and judge
 *
 * A request counts when both models of the pair have a score for it and every column that was asked
 * for has a number, so that all routers are judged on the same requests.
 */
#include "cmd/route_requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"

/* What had to be guessed or left out, over both sides. */
struct notes {
    size_t dropped;
    int input_guessed, output_guessed;
    const char *unpriced;       /* a model whose costs are not known of some request */
};

static void nothing(const char *words) {
    warn("%s", words);
    exit(common_finish(EXIT_NOTHING));
}

/* ---- the pair --------------------------------------------------------------------------- */

static struct scores *read_scores(const struct requests_options *o, const char *path,
                                  const char *embeddings) {
    struct err e = {{0}};
    struct scores *s = scores_read(path, &o->read, &e);
    if (!s || (embeddings && scores_read_embeddings(s, embeddings, &e)))
        die_err(&e);
    if (s->excluded && !o->common.quiet)
        warn("%s: left out %lld of %lld requests by --exclude", input_name(path),
             (long long)s->excluded, (long long)s->records);
    return s;
}

/* "a, b, c": the caller frees. */
static char *model_names(const struct scores *s) {
    struct buf names = {0};
    for (int m = 0; m < s->models; m++)
        buf_printf(&names, "%s%s", m ? ", " : "", s->model[m].name);
    return names.data ? names.data : mem_strdup("(none)");
}

static int named_model(const struct scores *s, const char *option, const char *name) {
    int m = scores_find_model(s, name);
    if (m >= 0)
        return m;
    die("%s: expected one of the models %s; found '%s'", option, model_names(s), name);
}

/* The extreme mean score among all but one; the first of those that are the same. */
static int extreme_model(const struct scores *s, int but, int highest) {
    int best = -1;
    double most = 0;
    for (int m = 0; m < s->models; m++) {
        double x = scores_mean(s->model[m].score, s->n);
        if (m == but || isnan(x))
            continue;
        if (best < 0 || (highest ? x > most : x < most)) {
            best = m;
            most = x;
        }
    }
    return best;
}

static void choose_pair(const struct requests_options *o, struct requests_side *side) {
    const struct scores *s = side->s;
    if (s->models < 2)
        die("%s: expected scores of two models or more, found %d%s%s", input_name(o->path),
            s->models, s->models ? ": " : "", s->models ? s->model[0].name : "");
    side->strong = o->strong ? named_model(s, "--strong", o->strong) : -1;
    side->weak = o->weak ? named_model(s, "--weak", o->weak)
                         : extreme_model(s, side->strong, 0);
    if (side->strong < 0)
        side->strong = extreme_model(s, side->weak, 1);
    if (side->weak < 0 || side->strong < 0)
        nothing("no request has scores of two models");
}

/* ---- parts ------------------------------------------------------------------------------ */

static int is_whole(const struct requests_side *side, size_t i) {
    const struct scores *s = side->s;
    int whole = !isnan(s->model[side->weak].score[i]) && !isnan(s->model[side->strong].score[i]);
    for (int c = 0; c < s->columns; c++)
        whole &= !isnan(s->column[c][i]);
    return whole;
}

struct keyed {
    uint64_t key;
    uint32_t row;
};

static int compare_keyed(const void *a, const void *b) {
    const struct keyed *x = a;
    const struct keyed *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* part[row] = 1 of a share of the rows, drawn by prompt: the same prompt is never in both parts. */
static void draw_part(const struct requests_side *all, double share, uint64_t seed,
                      uint8_t *part) {
    struct keyed *k = mem_array(all->n + 1, sizeof *k);
    size_t learn = (size_t)round(share * (double)all->n);
    for (size_t i = 0; i < all->n; i++) {
        uint64_t prompt = all->s->prompt_hash[all->row[i]];
        struct rng r = {prompt ? prompt ^ seed : (uint64_t)all->s->record[all->row[i]] ^ ~seed};
        rng_next(&r);
        k[i] = (struct keyed){rng_next(&r), all->row[i]};
    }
    if (all->n)
        qsort(k, all->n, sizeof *k, compare_keyed);
    while (learn > 0 && learn < all->n && k[learn].key == k[learn - 1].key)
        learn++;
    for (size_t i = 0; i < all->n; i++)
        part[k[i].row] = i < learn;
    free(k);
}

/* Takes the rows that count: of one part (0 or 1), or of both (-1). */
static void take_rows(struct requests_side *side, const uint8_t *part, int which) {
    const struct scores *s = side->s;
    side->row = mem_array(s->n + 1, sizeof *side->row);
    side->n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (is_whole(side, i) && (which < 0 || part[i] == which))
            side->row[side->n++] = (uint32_t)i;
}

static int compare_hash(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Judged prompts that were there to learn from. */
static size_t count_shared(const struct requests_side *learn, const struct requests_side *judge) {
    uint64_t *hash = mem_array(learn->n + 1, sizeof *hash);
    size_t shared = 0;
    for (size_t i = 0; i < learn->n; i++)
        hash[i] = learn->s->prompt_hash[learn->row[i]];
    qsort(hash, learn->n, sizeof *hash, compare_hash);
    for (size_t i = 0; i < judge->n; i++) {
        uint64_t h = judge->s->prompt_hash[judge->row[i]];
        shared += h && bsearch(&h, hash, learn->n, sizeof h, compare_hash);
    }
    free(hash);
    return shared;
}

static void make_parts(const struct requests_options *o, struct requests_data *d) {
    struct requests_side *learn = &d->learn;
    struct requests_side *judge = &d->judge;
    d->apart = o->train || o->split > 0 || o->read.part;
    take_rows(judge, NULL, -1);
    if (o->train) {
        take_rows(learn, NULL, -1);
    } else if (d->apart) {
        uint8_t *part = o->split > 0 ? mem_array(judge->s->n + 1, 1) : judge->s->part;
        if (o->split > 0)
            draw_part(judge, o->split, o->boot.seed, part);
        free(judge->row);
        take_rows(learn, part, 1);
        take_rows(judge, part, 0);
        if (o->split > 0)
            free(part);
    }
}

/* ---- costs ------------------------------------------------------------------------------ */

static const struct prices *price_of(const struct requests_options *o,
                                     const struct requests_side *side, int model) {
    for (int i = 0; i < o->prices; i++) {
        const struct requests_price *p = &o->price[i];
        if (p->model ? !strcmp(p->model, side->s->model[model].name)
                     : model == (p->strong ? side->strong : side->weak))
            return &p->price;
    }
    return NULL;
}

static double usd_of(const struct requests_options *o, const struct requests_side *side, int model,
                     const struct prices *p, uint32_t row, struct notes *notes) {
    const struct scores *s = side->s;
    const struct scores_model *by = &s->model[model];
    double input = s->input_tokens[row];
    double output = by->output_tokens[row];
    double cached = s->cached_tokens[row];
    if (!p)
        return by->usd[row];
    notes->input_guessed |= isnan(input);
    notes->output_guessed |= isnan(output);
    input = isnan(input) ? ceil(s->prompt_chars[row] / o->chars_per_token) : input;
    output = isnan(output) ? ceil(by->response_chars[row] / o->chars_per_token) : output;
    cached = isnan(cached) ? 0 : cached;
    if (isnan(input) || isnan(output))
        return NAN;
    if (input > 1e12 || output > 1e12)
        die("request %lld: expected at most 1e12 tokens, found %g", (long long)s->record[row] + 1,
            fmax(input, output));
    if (cached > input)
        die("request %lld: expected at most %.0f cached tokens, which is its input; found %g",
            (long long)s->record[row] + 1, input, cached);
    return prices_usd(p, (int64_t)round(input), (int64_t)round(cached), (int64_t)round(output));
}

static void gather(const struct requests_options *o, struct requests_side *side,
                   struct notes *notes) {
    size_t models = (size_t)side->s->models;
    side->score = mem_array(models, sizeof *side->score);
    side->usd = mem_array(models, sizeof *side->usd);
    for (int m = 0; m < side->s->models; m++) {
        const struct prices *p = price_of(o, side, m);
        size_t known = 0;
        side->score[m] = mem_array(side->n + 1, sizeof **side->score);
        side->usd[m] = mem_array(side->n + 1, sizeof **side->usd);
        for (size_t i = 0; i < side->n; i++) {
            side->score[m][i] = side->s->model[m].score[side->row[i]];
            side->usd[m][i] = usd_of(o, side, m, p, side->row[i], notes);
            known += (size_t)!isnan(side->usd[m][i]);
        }
        if ((known || p) && known < side->n && (m == side->weak || m == side->strong))
            notes->unpriced = side->s->model[m].name;
    }
    side->pair = (struct judge_pair){.n = side->n, .weak = side->score[side->weak],
                                     .strong = side->score[side->strong]};
}

/* All costs of the pair are known, on both sides, or none is used. */
static int is_priced(const struct requests_side *side) {
    for (size_t i = 0; i < side->n; i++)
        if (isnan(side->usd[side->weak][i]) || isnan(side->usd[side->strong][i]))
            return 0;
    return 1;
}

static void set_costs(struct requests_side *side) {
    side->pair.weak_usd = side->usd[side->weak];
    side->pair.strong_usd = side->usd[side->strong];
}

static void check_prices(const struct requests_options *o, const struct requests_data *d) {
    for (int i = 0; i < o->prices; i++)
        if (o->price[i].model)
            named_model(d->judge.s, "--price", o->price[i].model);
}

/* ---- words ------------------------------------------------------------------------------ */

static void say(const struct requests_options *o, const struct requests_data *d,
                const struct notes *notes) {
    const struct requests_side *j = &d->judge;
    size_t shared = d->apart ? count_shared(&d->learn, j) : 0;
    char *models = model_names(j->s);
    if (j->s->guessed)
        warn("%s: taken for models: %s; --models says which", input_name(o->path), models);
    free(models);
    if (shared)
        warn("%zu judged prompts are among those to learn from; knn passes them over", shared);
    if (notes->dropped)
        warn("left out %zu requests without a score of both models, or without a number in a "
             "column that was asked for", notes->dropped);
    if (notes->unpriced)
        warn("no costs: those of '%s' are not known of every request (prices need the lengths of "
             "prompts and answers)", notes->unpriced);
    else if (o->prices && !d->priced)
        warn("no costs: prices of both models are needed, --price-weak and --price-strong");
    if (d->priced && (notes->input_guessed || notes->output_guessed))
        warn("costs: %s%s%s tokens are estimated as characters / %g",
             notes->input_guessed ? "input" : "",
             notes->input_guessed && notes->output_guessed ? " and " : "",
             notes->output_guessed ? "output" : "", o->chars_per_token);
    if (o->target != TARGET_NONE && !d->apart)
        warn("thresholds are chosen on the requests that they are judged on; --split parts them");
}

void requests_read(const struct requests_options *o, struct requests_data *d) {
    struct notes notes = {0};
    struct requests_side *learn = &d->learn;
    struct requests_side *judge = &d->judge;
    judge->s = read_scores(o, o->path, o->embeddings);
    if (!judge->s->n)
        nothing("no requests");
    choose_pair(o, judge);
    *learn = *judge;
    if (o->train) {
        learn->s = read_scores(o, o->train, o->train_embeddings);
        learn->weak = named_model(learn->s, "--train", judge->s->model[judge->weak].name);
        learn->strong = named_model(learn->s, "--train", judge->s->model[judge->strong].name);
    }
    check_prices(o, d);
    make_parts(o, d);
    notes.dropped = judge->s->n - judge->n - (d->apart && !o->train ? learn->n : 0);
    if (o->train)
        notes.dropped += learn->s->n - learn->n;
    if (d->apart && !learn->n && o->read.part)
        warn("--split: no request has %s", o->read.part);
    if (!judge->n || (d->apart && !learn->n))
        nothing(judge->n ? "no requests to learn from" : "no requests to judge");
    gather(o, judge, &notes);
    d->priced = is_priced(judge);
    if (d->apart) {
        gather(o, learn, &notes);
        d->priced &= is_priced(learn);
    }
    if (o->target == TARGET_USD && !d->priced)
        usage_die("--usd: expected costs in the input, or --price-weak and --price-strong");
    if (d->priced) {
        set_costs(judge);
        if (d->apart)
            set_costs(learn);
    }
    if (!o->common.quiet)
        say(o, d, &notes);
}

static void side_free(struct requests_side *side) {
    for (int m = 0; m < side->s->models && side->score; m++) {
        free(side->score[m]);
        free(side->usd[m]);
    }
    free(side->score);
    free(side->usd);
    free(side->row);
}

void requests_free(struct requests_data *d) {
    if (d->apart) {
        side_free(&d->learn);
        if (d->learn.s != d->judge.s)
            scores_free(d->learn.s);
    }
    side_free(&d->judge);
    scores_free(d->judge.s);
}
