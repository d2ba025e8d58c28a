/* cost_diff_metrics.c - from records and measurements to what the gate judges */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"

/* ---- adding one --------------------------------------------------------------------------- */

static struct gate_metric *add(struct diff *d, const char *name, const char *unit,
                               const struct gate_rule *rule) {
    if (!(d->metrics & (d->metrics - 1))) {
        size_t room = d->metrics ? 2 * d->metrics : 1;
        d->metric = mem_grow(d->metric, room, sizeof *d->metric);
        d->own = mem_grow(d->own, room, sizeof *d->own);
    }
    struct diff_metric *own = &d->own[d->metrics];
    struct gate_metric *m = &d->metric[d->metrics++];
    *own = (struct diff_metric){.name = mem_strdup(name), .unit = mem_strdup(unit)};
    *m = (struct gate_metric){.name = own->name, .unit = own->unit, .rule = *rule};
    return m;
}

/* 1 when it is there already. */
static int is_known(const struct diff *d, const char *name, const char *unit) {
    for (size_t i = 0; i < d->metrics; i++)
        if (!strcmp(d->metric[i].name, name) && (!unit || !strcmp(d->metric[i].unit, unit)))
            return 1;
    return 0;
}

void diff_add_unknown(struct diff *d, const char *name, const char *unit, const char *why) {
    struct gate_rule rule;
    gate_policy_rule(d->policy, name, unit, GATE_UNSAID, &rule);
    struct gate_metric *m = add(d, name, unit, &rule);
    m->unknown = d->own[d->metrics - 1].unknown = mem_strdup(why);
}

/* ---- by case ------------------------------------------------------------------------------ */

/* Of one side of a case: the first record's value, or the mean of all that have one. */
static double case_value(const struct diff *d, int side, const size_t *record, size_t n,
                         int first, diff_value *value, void *arg) {
    double sum = 0;
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        double v = value(d, side, &d->side[side].record[record[i]], arg);
        if (isnan(v))
            continue;
        if (first)
            return v;
        sum += v;
        known++;
    }
    return known ? sum / (double)known : NAN;
}

struct by_case {                 /* a metric's values by case */
    double *base, *head;
    const char **id;
    size_t n, base_only, head_only;
    size_t lost;                /* of base_only those that head has a record of */
    int any;                    /* some value is not 0 */
};

static struct by_case fill(const struct diff *d, int first, diff_value *value, void *arg) {
    const struct diff_cases *all = &d->cases;
    size_t room = all->n ? all->n : 1;
    struct by_case c = {mem_array(room, sizeof *c.base), mem_array(room, sizeof *c.head),
                       mem_array(room, sizeof *c.id), 0, 0, 0, 0, 0};
    for (size_t i = 0; i < all->n; i++) {
        const struct diff_case *one = &all->c[i];
        double b = case_value(d, 0, one->base, one->base_n, first, value, arg);
        double h = case_value(d, 1, one->head, one->head_n, first, value, arg);
        c.any |= (!isnan(b) && b != 0) || (!isnan(h) && h != 0);
        c.base_only += !isnan(b) && isnan(h);
        c.head_only += isnan(b) && !isnan(h);
        c.lost += !isnan(b) && isnan(h) && one->head_n;
        if (isnan(b) || isnan(h))
            continue;
        c.base[c.n] = b;
        c.head[c.n] = h;
        c.id[c.n++] = one->id;
    }
    return c;
}

static void by_case_free(struct by_case *c) {
    free(c->base);
    free(c->head);
    free(c->id);
}

/* Values of every record, case or not. */
static double *samples_of(const struct diff *d, int side, diff_value *value, void *arg, size_t *n) {
    const struct diff_side *s = &d->side[side];
    double *x = mem_array(s->n ? s->n : 1, sizeof *x);
    *n = 0;
    for (size_t i = 0; i < s->n; i++) {
        double v = value(d, side, &s->record[i], arg);
        if (!isnan(v))
            x[(*n)++] = v;
    }
    return x;
}

void diff_add_cases(struct diff *d, const char *name, const char *unit, diff_value *value,
                    void *arg) {
    struct gate_rule rule;
    if (is_known(d, name, NULL))
        return;
    gate_policy_rule(d->policy, name, unit, GATE_UNSAID, &rule);
    struct by_case c = fill(d, rule.layer == GATE_DETERMINISTIC, value, arg);
    int there = c.n || c.base_only || c.head_only;
    if (!rule.named && (!there || !c.any)) {
        by_case_free(&c);
        return;
    }
    struct gate_metric *m = add(d, name, unit, &rule);
    struct diff_metric *own = &d->own[d->metrics - 1];
    if (rule.layer == GATE_UNPAIRED) {
        by_case_free(&c);
        own->base = samples_of(d, 0, value, arg, &m->base_n);
        own->head = samples_of(d, 1, value, arg, &m->head_n);
    } else {
        *own = (struct diff_metric){own->name, own->unit, NULL, c.base, c.head, c.id, 0};
        m->base_n = m->head_n = c.n;
        own->lost = c.lost;
        m->lost = d->policy->missing == GATE_ACT_FAIL ? c.lost : 0;
    }
    m->base = own->base;
    m->head = own->head;
}

/* ---- what records say --------------------------------------------------------------------- */

static double prompt_tokens(const struct diff *d, int side, const struct diff_record *r,
                            void *arg) {
    (void)d, (void)side, (void)arg;
    return r->has_usage ? (double)usage_prompt(&r->use) : NAN;
}

static double output_tokens(const struct diff *d, int side, const struct diff_record *r,
                            void *arg) {
    (void)d, (void)side, (void)arg;
    return r->has_usage ? (double)(usage_sum(&r->use, USAGE_OUTPUT) +
                                   usage_sum(&r->use, USAGE_REASONING)) : NAN;
}

static double kind_tokens(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)d, (void)side;
    return r->has_usage ? (double)usage_sum(&r->use, *(int *)arg) : NAN;
}

static double cacheable(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)d, (void)side, (void)arg;
    return r->cacheable >= 0 ? (double)r->cacheable : NAN;
}

static double fresh(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)d, (void)side, (void)arg;
    return r->cacheable >= 0 ? (double)(usage_prompt(&r->use) - r->cacheable) : NAN;
}

/* To compute what no prompt before has in common with it; all of it where that is not known. */
static double prompt_flops(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)side, (void)arg;
    int64_t from = r->cacheable > 0 ? r->cacheable : 0;
    return r->has_usage ? shape_prefill_flops(d->opt->shape.shape, from, usage_prompt(&r->use))
                        : NAN;
}

static double prompt_kv_bytes(const struct diff *d, int side, const struct diff_record *r,
                              void *arg) {
    (void)side, (void)arg;
    return r->has_usage ? shape_sequence_kv_bytes(d->opt->shape.shape, usage_prompt(&r->use),
                                                  d->opt->shape.kv_bits) : NAN;
}

static double field_value(const struct diff *d, int side, const struct diff_record *r, void *arg) {
    (void)d, (void)side;
    return r->field ? r->field[*(int *)arg] : NAN;
}

static void add_records(struct diff *d) {
    static int read = USAGE_READ;
    static int reasoning = USAGE_REASONING;
    diff_add_cases(d, "prompt_tokens", "tok", prompt_tokens, NULL);
    diff_add_cases(d, "fresh_tokens", "tok", fresh, NULL);
    diff_add_cases(d, "cacheable_tokens", "tok", cacheable, NULL);
    if (d->opt->shape.shape) {
        diff_add_cases(d, "prompt_flops", "FLOP", prompt_flops, NULL);
        diff_add_cases(d, "prompt_kv_bytes", "B", prompt_kv_bytes, NULL);
    }
    diff_add_cases(d, "output_tokens", "tok", output_tokens, NULL);
    diff_add_cases(d, "reasoning_tokens", "tok", kind_tokens, &reasoning);
    diff_add_cases(d, "cached_tokens", "tok", kind_tokens, &read);
}

/* Fields of quality, and those that the policy names and nothing else has taken. */
static void add_fields(struct diff *d) {
    for (int i = 0; i < d->fields; i++) {
        int any = 0;
        for (int side = 0; side < 2; side++)
            for (size_t k = 0; k < d->side[side].n; k++)
                any |= !isnan(field_value(d, side, &d->side[side].record[k], &i));
        if (any)
            diff_add_cases(d, d->field[i].name, d->field[i].unit, field_value, &i);
    }
}

/* ---- cases and runs as wholes ------------------------------------------------------------- */

/* That no case is lost is a metric of its own: what is not there costs nothing. */
static void add_lost(struct diff *d) {
    const struct diff_cases *all = &d->cases;
    struct gate_rule rule = gate_policy_default("cases", "case", GATE_HIGHER);
    rule.layer = GATE_DETERMINISTIC;
    rule.margin = 0;
    rule.action = d->policy->missing;
    if (!d->side[0].n)
        return;
    struct gate_metric *m = add(d, "cases", "case", &rule);
    struct diff_metric *own = &d->own[d->metrics - 1];
    own->base = mem_array(all->n, sizeof *own->base);
    own->head = mem_array(all->n, sizeof *own->head);
    own->case_id = mem_array(all->n, sizeof *own->case_id);
    for (size_t i = 0; i < all->n; i++) {
        if (!all->c[i].base_n)
            continue;
        own->base[m->base_n] = 1;
        own->head[m->base_n] = all->c[i].head_n > 0;
        own->case_id[m->base_n++] = all->c[i].id;
    }
    m->head_n = m->base_n;
    m->base = own->base;
    m->head = own->head;
}

/* A number of each side as a whole. */
static struct gate_metric *add_pair(struct diff *d, const char *name, const char *unit,
                                    const struct gate_rule *rule, double base, double head) {
    struct gate_metric *m = add(d, name, unit, rule);
    struct diff_metric *own = &d->own[d->metrics - 1];
    own->base = mem_array(1, sizeof *own->base);
    own->head = mem_array(1, sizeof *own->head);
    own->base[0] = base;
    own->head[0] = head;
    m->base = own->base;
    m->head = own->head;
    m->base_n = m->head_n = 1;
    return m;
}

/* The share of records that ended in an error: what is left of them looks fine. */
static void add_errors(struct diff *d) {
    struct gate_rule rule = gate_policy_default("errors", "share", GATE_LOWER);
    double share[2];
    for (int side = 0; side < 2; side++) {
        const struct diff_side *s = &d->side[side];
        size_t all = s->n + s->errors;
        if (!all)
            return;
        share[side] = (double)s->errors / (double)all;
    }
    if (!d->side[0].errors && !d->side[1].errors)
        return;
    rule.layer = GATE_DETERMINISTIC;
    rule.margin = 0;
    rule.action = d->policy->missing;
    add_pair(d, "errors", "share", &rule, share[0], share[1]);
}

static void add_run(struct diff *d, const char *name, const char *unit, double base, double head) {
    struct gate_rule rule;
    gate_policy_rule(d->policy, name, unit, GATE_UNSAID, &rule);
    struct gate_metric *m = add_pair(d, name, unit, &rule, base, head);
    m->base_n = d->side[0].steps > 0;
    m->head_n = d->side[1].steps > 0;
}

static void add_runs(struct diff *d) {
    const struct diff_side *b = &d->side[0];
    const struct diff_side *h = &d->side[1];
    if (!b->steps && !h->steps)
        return;
    add_run(d, "run_flops", "FLOP", b->flops, h->flops);
    add_run(d, "run_kv_bytes", "B", b->kv_bytes, h->kv_bytes);
    add_run(d, "run_weight_bytes", "B", b->weight_bytes, h->weight_bytes);
}

/* ---- measurements ------------------------------------------------------------------------- */

/* Steps depend on one another and on how requests met in them: they are asked for by name. */
static int is_step(const char *name) {
    static const char *const phases[] = {"prefill.", "decode.", "mixed."};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
        if (!strncmp(name, phases[i], strlen(phases[i])))
            return 1;
    return 0;
}

static int is_judged(const struct gate_rule *r) {
    return r->named || r->action != GATE_ACT_IGNORE;
}

/* A field that is nothing but its unit has no name there. */
static const char *name_of(const struct series *s) {
    return strcmp(s->name, "step") || strcmp(s->unit, "J") ? s->name : "joules";
}

static void add_series(struct diff *d, const struct series *s) {
    struct gate_rule rule;
    const char *name = name_of(s);
    int better = s->better == SERIES_HIGHER ? GATE_HIGHER
                 : s->better == SERIES_LOWER ? GATE_LOWER : GATE_UNSAID;
    if (is_known(d, name, s->unit) || (name != s->name && is_known(d, name, NULL)))
        return;
    gate_policy_rule(d->policy, name, s->unit, better, &rule);
    if (!rule.named && is_step(name))
        return;
    if (!is_judged(&rule) && d->opt->check && !d->opt->common.verbose)
        return;
    rule.layer = GATE_UNPAIRED;       /* samples have no case */
    struct gate_metric *m = add(d, name, s->unit, &rule);
    const struct serieses *b = d->side[0].series;
    const struct serieses *h = d->side[1].series;
    const struct series *base = b ? series_find(b, s->name, s->unit) : NULL;
    const struct series *head = h ? series_find(h, s->name, s->unit) : NULL;
    m->base = base ? base->x : NULL;
    m->head = head ? head->x : NULL;
    m->base_n = base ? base->n : 0;
    m->head_n = head ? head->n : 0;
}

static void add_all_series(struct diff *d) {
    for (int side = 0; side < 2; side++) {
        const struct serieses *all = d->side[side].series;
        for (size_t i = 0; all && i < all->n; i++)
            add_series(d, &all->s[i]);
    }
}

/* What the policy names and no side has: the gate stays shut. */
static void add_named(struct diff *d) {
    for (size_t i = 0; i < d->policy->metrics; i++) {
        const struct gate_line *l = &d->policy->metric[i];
        struct gate_rule rule;
        const char *unit = l->unit ? l->unit : "";
        if (l->name[strcspn(l->name, "*?[")] || is_known(d, l->name, l->unit))
            continue;
        gate_policy_rule(d->policy, l->name, unit, GATE_UNSAID, &rule);
        add(d, l->name, unit, &rule);
    }
}

void diff_measure(struct diff *d) {
    add_lost(d);
    add_errors(d);
    add_records(d);
    diff_price(d);
    add_fields(d);
    add_runs(d);
    add_all_series(d);
    add_named(d);
}
