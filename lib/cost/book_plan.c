/* book_plan.c - statements of capacity: plan, window, capacity, gpu; see book_impl.h */
#include "lib/cost/book_impl.h"

#include <string.h>

#include "lib/base/mem.h"

#define MOST_FEE (1000000000 * MONEY_USD)       /* of plans and units: no typing error is above */
#define MOST_HOURLY (1000000 * MONEY_USD)
#define MOST_TPM 1e12

static const char *const answers[] = {"no", "yes", NULL};

/* Room for one more element, zeroed; a power of two of them fills it. */
static void *add(void *array, int *n, size_t size) {
    if (!(*n & (*n - 1)))
        array = mem_grow(array, *n ? 2 * (size_t)*n : 1, size);
    memset((char *)array + (size_t)(*n)++ * size, 0, size);
    return array;
}

/* ---- plans ----------------------------------------------------------------------------------- */

/* overage=refused, or a factor. */
static int read_overage(struct book_reader *r, int64_t *out) {
    const char *s = book_take(r, "overage");
    *out = MONEY_FACTOR;
    if (s && !strcmp(s, "refused")) {
        *out = -1;
        return 0;
    }
    if (s && money_parse_factor(s, strlen(s), out))
        return book_bad(r, "overage: expected 'refused' or a factor from 0 to 1000000, found "
                           "'%.40s'", s);
    return 0;
}

int book_read_plan(struct book_reader *r) {
    struct book *b = r->b;
    struct book_index *x = b->index;
    if (r->words != 2)
        return book_bad(r, "plan: expected a name, found %d words", r->words - 1);
    const char *name = r->field[1].text;
    int old = book_names_get(&x->plans, name, strlen(name));
    b->plan = add(b->plan, &b->plans, sizeof *b->plan);
    struct book_plan *p = &b->plan[b->plans - 1];
    p->name = mem_strdup(name);
    p->line = r->line;
    if (old >= 0)
        return book_bad(r, "plan '%.40s' is declared in line %d already", name, b->plan[old].line);
    book_names_put(&x->plans, p->name, b->plans - 1);
    p->period_ns = 30 * 86400 * (int64_t)1000000000;
    if (book_take_money(r, "fee", MOST_FEE, &p->fee) ||
        book_take_duration(r, "period", &p->period_ns) ||
        book_take_money(r, "included", MOST_FEE, &p->included) ||
        book_take_money(r, "credit", MOST_FEE, &p->credit) || read_overage(r, &p->overage) ||
        book_take_validity(r, &p->from_ns, &p->to_ns) || book_take_source(r, &p->source))
        return -1;
    return book_leftover(r, "fee, period, included, credit, overage, from, to and source");
}

int book_read_window(struct book_reader *r) {
    struct book *b = r->b;
    const struct book_index *x = b->index;
    if (r->words != 2)
        return book_bad(r, "window: expected the name of a plan, found %d words", r->words - 1);
    const char *name = r->field[1].text;
    int i = book_names_get(&x->plans, name, strlen(name));
    if (i < 0)
        return book_bad(r, "window: expected a plan that is declared above, found '%.40s'", name);
    struct book_plan *p = &b->plan[i];
    if (p->windows == BOOK_WINDOWS)
        return book_bad(r, "window: expected at most %d of a plan", BOOK_WINDOWS);
    money limit = -1;
    int64_t period = 0;
    if (book_take_money(r, "limit", MOST_FEE, &limit) ||
        book_take_duration(r, "period", &period))
        return -1;
    if (limit < 0 || !period)
        return book_bad(r, "window: expected limit= and period=, found one or none of them");
    for (int w = 0; w < p->windows; w++)
        if (p->window[w].period_ns == period)
            return book_bad(r, "window: a window of this period is there already");
    p->window[p->windows].limit = limit;
    p->window[p->windows++].period_ns = period;
    return book_leftover(r, "limit and period");
}

/* ---- provisioned units ----------------------------------------------------------------------- */

/* rate= for each of per=: an hour's. */
static int read_hourly(struct book_reader *r, money *out) {
    static const char *const pers[] = {"hour", "minute", "second", "day", "month", NULL};
    static const int64_t times[] = {1, 60, 3600, 1, 1};
    static const int64_t hours[] = {1, 1, 1, 24, 720};
    int per = 0;
    money rate = -1;
    if (book_take_money(r, "rate", MOST_FEE, &rate) || book_take_choice(r, "per", pers, &per))
        return -1;
    if (rate < 0)
        return book_bad(r, "%s: expected rate=DOLLARS, found none", r->statement);
    *out = money_charge(rate, times[per], hours[per]);
    if (*out > MOST_HOURLY)
        return book_bad(r, "rate: expected up to $1000000 an hour, found more");
    return 0;
}

static int check_capacity(struct book_reader *r, const struct book_capacity *c) {
    const struct book *b = r->b;
    if (c->input_tpm <= 0 && c->output_tpm <= 0)
        return book_bad(r, "capacity: expected input_tpm= or output_tpm= above 0, found none");
    for (int i = 0; i < b->capacities - 1; i++) {
        const struct book_capacity *o = &b->capacity[i];
        if (o->model == c->model && !strcmp(o->name, c->name) && o->from_ns < c->to_ns &&
            c->from_ns < o->to_ns)
            return book_bad(r, "capacity '%.40s' of this model is in line %d already", c->name,
                            o->line);
    }
    return 0;
}

int book_read_capacity(struct book_reader *r) {
    struct book *b = r->b;
    int64_t min = 1;
    int64_t step = 1;
    if (r->words != 2)
        return book_bad(r, "capacity: expected a model, found %d words", r->words - 1);
    if (b->capacities == BOOK_PLANS)
        return book_bad(r, "capacity: expected at most %d of a book", BOOK_PLANS);
    b->capacity = add(b->capacity, &b->capacities, sizeof *b->capacity);
    struct book_capacity *c = &b->capacity[b->capacities - 1];
    c->line = r->line;
    c->output_weight = 1;
    if (book_find_model(r, r->field[1].text, &c->model) ||
        book_take_text(r, "name", &c->name) || read_hourly(r, &c->rate) ||
        book_take_whole(r, "min", 1, 1000000000, &min) ||
        book_take_whole(r, "step", 1, 1000000000, &step) ||
        book_take_number(r, "input_tpm", MOST_TPM, &c->input_tpm) ||
        book_take_number(r, "output_tpm", MOST_TPM, &c->output_tpm) ||
        book_take_number(r, "output_weight", 1000, &c->output_weight) ||
        book_take_choice(r, "spill", answers, &c->spill) ||
        book_take_validity(r, &c->from_ns, &c->to_ns) || book_take_source(r, &c->source))
        return -1;
    if (!c->name)
        c->name = mem_strdup("unit");
    c->min = min;
    c->step = step;
    if (check_capacity(r, c))
        return -1;
    return book_leftover(r, "name, rate, per, min, step, input_tpm, output_tpm, output_weight, "
                            "spill, from, to and source");
}

/* ---- GPU time -------------------------------------------------------------------------------- */

int book_read_gpu(struct book_reader *r) {
    struct book *b = r->b;
    if (r->words != 2)
        return book_bad(r, "gpu: expected a device, found %d words", r->words - 1);
    if (b->gpus == BOOK_PLANS)
        return book_bad(r, "gpu: expected at most %d of a book", BOOK_PLANS);
    b->gpu = add(b->gpu, &b->gpus, sizeof *b->gpu);
    struct book_gpu *g = &b->gpu[b->gpus - 1];
    g->device = mem_strdup(r->field[1].text);
    g->line = r->line;
    g->granule_ns = 1000000000;
    if (book_take_text(r, "provider", &g->provider) || read_hourly(r, &g->rate) ||
        book_take_duration(r, "granule", &g->granule_ns) ||
        book_take_validity(r, &g->from_ns, &g->to_ns) || book_take_source(r, &g->source))
        return -1;
    for (int i = 0; i < b->gpus - 1; i++) {
        const struct book_gpu *o = &b->gpu[i];
        if (!strcmp(o->device, g->device) && o->from_ns < g->to_ns && g->from_ns < o->to_ns &&
            !strcmp(o->provider ? o->provider : "", g->provider ? g->provider : ""))
            return book_bad(r, "gpu '%.40s' of this provider is in line %d already", g->device,
                            o->line);
    }
    return book_leftover(r, "provider, rate, per, granule, from, to and source");
}
