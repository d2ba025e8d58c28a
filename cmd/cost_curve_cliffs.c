/* cost_curve_cliffs.c - the lengths at which a curve's cost or its terms change
 *
 * Everything here turns once as the prompt grows, so that the first length is found by halving.
 */
#include "cmd/cost_curve.h"

#include <stdlib.h>
#include <string.h>

struct cliffs {
    const struct curve *curve;
    int64_t from, to;
    struct curve_cliff *cliff;
    int n;
};

static void add(struct cliffs *all, int64_t prompt, const char *event, char *words) {
    all->cliff = mem_grow(all->cliff, (size_t)all->n + 1, sizeof *all->cliff);
    all->cliff[all->n++] = (struct curve_cliff){prompt, event, words};
}

/* The first length in (low, high] for which test holds, given that it does not for low; 0: none. */
static int64_t first(const struct curve *c, int64_t low, int64_t high,
                     int (*test)(const struct curve *c, int64_t prompt, const void *arg),
                     const void *arg) {
    if (test(c, low, arg) || !test(c, high, arg))
        return 0;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (test(c, middle, arg))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* ---- of the model ------------------------------------------------------------------------- */

static int is_beyond(const struct curve *c, int64_t prompt, const void *arg) {
    return curve_positions(c, prompt) > *(const int64_t *)arg;
}

static void add_context(struct cliffs *all) {
    const struct shape *s = all->curve->model.shape;
    int64_t context = s->context;
    int64_t at = context ? first(all->curve, all->from, all->to, is_beyond, &context) : 0;
    if (at)
        add(all, at, "context",
            mem_printf("%s is made for a context of %d tokens: what follows is computed as if it "
                       "were not", s->name, s->context));
}

static void add_windows(struct cliffs *all) {
    const struct shape *s = all->curve->model.shape;
    int64_t done = 0;
    for (;;) {
        int64_t window = INT64_MAX;
        int layers = 0;
        for (int i = 0; i < s->layers; i++) {
            if (s->layer[i].window <= done || s->layer[i].window > window)
                continue;
            layers = s->layer[i].window < window ? 1 : layers + 1;
            window = s->layer[i].window;
        }
        if (!layers)
            return;
        int64_t at = first(all->curve, all->from, all->to, is_beyond, &window);
        if (at)
            add(all, at, "window",
                mem_printf("%d of %d layers see the last %lld tokens alone: there a token costs "
                           "no more as the prompt grows", layers, s->layers, (long long)window));
        done = window;
    }
}

static void add_scores(struct cliffs *all) {
    int64_t at = work_crossover(&all->curve->model);
    if (at > all->from && at <= all->to)
        add(all, at, "scores",
            mem_printf("a further token takes as many FLOPs for attention scores and values as "
                       "for all else"));
}

static int is_double(const struct curve *c, int64_t prompt, const void *arg) {
    struct work w[2];
    int64_t cached = curve_cached(c, prompt);
    (void)arg;
    work_request(&c->model, cached, prompt, c->output, &w[0], &w[1]);
    return work_flops(&w[0]) + work_flops(&w[1]) >=
           4 * (double)c->model.shape->params_active * (double)(curve_positions(c, prompt) -
                                                                cached);
}

static void add_double(struct cliffs *all) {
    int64_t at = first(all->curve, all->from, all->to, is_double, NULL);
    if (at)
        add(all, at, "double", mem_printf("the request takes twice the FLOPs that 2 per active "
                                          "parameter and token make"));
}

/* ---- of the device ------------------------------------------------------------------------ */

static int memory_of(const struct curve *c, int64_t prompt) {
    int64_t batch = c->model.batch ? c->model.batch : 1;
    int index = roof_memory(c->roof, &c->model, batch, curve_positions(c, prompt));
    return index < 0 ? c->roof->device->memories : index;
}

static int is_memory_full(const struct curve *c, int64_t prompt, const void *arg) {
    return memory_of(c, prompt) > *(const int *)arg;
}

static void add_memories(struct cliffs *all) {
    const struct curve *c = all->curve;
    const struct device *d = c->roof->device;
    long long batch = c->model.batch ? (long long)c->model.batch : 1;
    for (int i = 0; i < d->memories; i++) {
        int64_t at = first(c, all->from, all->to, is_memory_full, &i);
        const char *then = i + 1 < d->memories ? d->memory[i + 1].name : NULL;
        if (at)
            add(all, at, "memory",
                mem_printf("weights and KV of %lld sequence%s fill the %s memory of %s%s%s", batch,
                           batch == 1 ? "" : "s", d->memory[i].name, d->name,
                           then ? ": the rest is read from its " : ", the last it has",
                           then ? then : ""));
    }
}

/* ---- of the prices ------------------------------------------------------------------------ */

struct tiers {
    int row[2 * BILL_LINES];    /* of context tiers, factors among them, in the order of the bill */
    int n;
};

static void add_tier(struct tiers *t, int row) {
    for (int i = 0; i < t->n; i++)
        if (t->row[i] == row)
            return;
    if (t->n < 2 * BILL_LINES)
        t->row[t->n++] = row;
}

static struct tiers tiers_of(const struct curve *c, int64_t prompt) {
    struct bill bill;
    struct tiers t = {.n = 0};
    curve_bill(c, c->bill, prompt, curve_cached(c, prompt), &bill);
    for (int i = 0; i < bill.n; i++) {
        const struct bill_line *l = &bill.line[i];
        if (l->tiered)
            add_tier(&t, l->row);
        for (int k = 0; k < l->factors; k++)
            if (c->book->row[l->factor[k]].when.above >= 0)
                add_tier(&t, l->factor[k]);
    }
    return t;
}

static int is_same(const struct tiers *a, const struct tiers *b) {
    return a->n == b->n && !memcmp(a->row, b->row, (size_t)a->n * sizeof *a->row);
}

static int is_other_tier(const struct curve *c, int64_t prompt, const void *arg) {
    struct tiers t = tiers_of(c, prompt);
    return !is_same(&t, arg);
}

static money bill_at(const struct curve *c, int64_t prompt) {
    struct bill bill;
    curve_bill(c, c->bill, prompt, curve_cached(c, prompt), &bill);
    return bill.usd;
}

/* The rows that were not there one token before, as the book has them. */
static char *tier_words(const struct curve *c, int64_t at, const struct tiers *before,
                        const struct tiers *now) {
    char step[MONEY_TEXT];
    struct buf b = {0};
    money_text(bill_at(c, at) - bill_at(c, at - 1), step);
    buf_printf(&b, "one token costs $%s", step);
    int said = 0;
    for (int i = 0; i < now->n; i++) {
        int known = 0;
        for (int k = 0; k < before->n; k++)
            known |= before->row[k] == now->row[i];
        if (known)
            continue;
        char *row = book_row_text(c->book, &c->book->row[now->row[i]]);
        buf_printf(&b, "%s %s", said++ ? "," : ", by", row);
        free(row);
    }
    return b.data;
}

static void add_tiers(struct cliffs *all) {
    const struct curve *c = all->curve;
    struct tiers before = tiers_of(c, all->from);
    for (int64_t low = all->from;;) {
        int64_t at = first(c, low, all->to, is_other_tier, &before);
        if (!at)
            return;
        struct tiers now = tiers_of(c, at);
        add(all, at, "tier", tier_words(c, at, &before, &now));
        before = now;
        low = at;
    }
}

/* ---- all ---------------------------------------------------------------------------------- */

static int by_prompt(const void *a, const void *b) {
    const struct curve_cliff *x = a;
    const struct curve_cliff *y = b;
    if (x->prompt != y->prompt)
        return x->prompt < y->prompt ? -1 : 1;
    return strcmp(x->event, y->event);
}

struct curve_cliff *curve_cliffs(const struct curve *c, int64_t from, int64_t to, int *n) {
    struct cliffs all = {.curve = c, .from = from, .to = to};
    if (c->model.shape) {
        add_context(&all);
        add_windows(&all);
        add_scores(&all);
        add_double(&all);
        if (c->roof)
            add_memories(&all);
    }
    if (c->bill)
        add_tiers(&all);
    if (all.n)
        qsort(all.cliff, (size_t)all.n, sizeof *all.cliff, by_prompt);
    *n = all.n;
    return all.cliff;
}

void curve_cliffs_free(struct curve_cliff *cliff, int n) {
    for (int i = 0; i < n; i++)
        free(cliff[i].words);
    free(cliff);
}
