/* route_place_plan.c - llm-route place: what is read, plans, and what they do to traffic */
#include "cmd/route_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/arrange.h"
#include "lib/route/eplb.h"
#include "lib/route/placement_json.h"

const char *const place_names[PLACE_METHODS + 1] = {
    "current", "identity", "eplb", "steady", "step", NULL};

/* ---- inputs ------------------------------------------------------------------------------- */

static void read_input(const char *path, const struct route_input *in, const char *part,
                       struct place_input *out) {
    struct err e = {{0}};
    struct routed_options opt = in->routed;
    const char *where[ROUTE_WHERES + 1];
    memcpy(where, in->where, sizeof in->where);
    if (part) {
        where[opt.wheres++] = part;
        opt.where = where;
    }
    struct routed *r = routed_open(path, &opt, &e);
    if (!r)
        die_err(&e);
    out->name = mem_strdup(part ? strchr(part, '=') + 1 : input_name(path));
    if (routed_kind(r) == ROUTED_COUNTS)
        out->loads = loads_rest(r, &e);
    else
        out->set = routed_rest(r, &e);
    routed_close(r);
    if (!out->loads && !out->set)
        die_err(&e);
}

static struct place_input *read_inputs(const struct place_options *o, char **path, int paths,
                                       int *n) {
    struct place_input *input = mem_array(PLACE_INPUTS, sizeof *input);
    char *list = o->parts ? mem_strdup(strchr(o->parts, '=') + 1) : NULL;
    int values = 1;
    char **value = list ? arg_list(list, &values) : NULL;
    *n = 0;
    for (int i = 0; i < paths; i++)
        for (int k = 0; k < values; k++) {
            char *part = value ? mem_printf("%.*s=%s", (int)strcspn(o->parts, "="), o->parts,
                                            value[k]) : NULL;
            if (*n == PLACE_INPUTS)
                usage_die("at most %d inputs and parts together", PLACE_INPUTS);
            read_input(path[i], &o->in, part, &input[(*n)++]);
            free(part);
        }
    free(value);
    free(list);
    return input;
}

static int is_empty(const struct place_input *in) {
    if (in->set)
        return in->set->tokens == 0;
    size_t n = (size_t)in->loads->model.layers * (size_t)in->loads->model.experts;
    for (size_t i = 0; i < n; i++)
        if (in->loads->count[i] > 0)
            return 0;
    return 1;
}

const struct routed_model *place_model(const struct place_input *in) {
    return in->set ? &in->set->model : &in->loads->model;
}

/* Layers and experts that all inputs agree on. */
static void fit_together(struct place *p, const struct place_input *input, int n) {
    for (int i = 0; i < n; i++) {
        const struct routed_model *m = place_model(&input[i]);
        if (m->layers != p->layers ||
            memcmp(m->layer_index, p->layer_index, (size_t)m->layers * sizeof *m->layer_index))
            die("%s: expected the %d layers of %s, found %d%s", input[i].name, p->layers,
                p->input[0].name, m->layers, m->layers == p->layers ? " others" : "");
        p->experts = m->experts > p->experts ? m->experts : p->experts;
    }
}

/* The placement that there is, of the layers of the inputs; it says what options do not. */
static void read_current(struct place *p) {
    struct err e = {{0}};
    struct placement *all = placement_read(p->o->from, &p->grid, 0, &e);
    if (!all)
        die_err(&e);
    p->current = placement_take(all, p->layer_index, p->layers, &e);
    placement_free(all);
    if (!p->current)
        die("%s: %s", p->o->from, e.text);
    if (p->current->experts < p->experts)
        die("%s: expected a placement of %d experts, as %s has, found %d", p->o->from, p->experts,
            p->input[0].name, p->current->experts);
    p->experts = p->current->experts;
    p->grid = p->current->grid;
}

static void make_grid(struct place *p) {
    struct err e = {{0}};
    p->grid = p->o->grid;
    if (p->o->from)
        read_current(p);
    if (!p->grid.nodes)
        p->grid.nodes = 1;
    if (!p->grid.slots)
        p->grid.slots = (p->experts + p->grid.ranks - 1) / p->grid.ranks * p->grid.ranks;
    if (placement_grid_check(&p->grid, p->experts, &e))
        usage_die("--ranks, --nodes, --replicas: %s", e.text);
    if (p->grid.slots > ARRANGE_SLOTS_MOST)
        usage_die("%d slots of a layer: at most %d can be arranged", p->grid.slots,
                  ARRANGE_SLOTS_MOST);
    if (p->experts % p->o->groups)
        usage_die("--groups: %d groups do not divide %d experts", p->o->groups, p->experts);
}

int place_read(struct place *p, const struct place_options *o, char **path, int paths) {
    *p = (struct place){.o = o, .par = par_new(o->common.threads)};
    p->input = read_inputs(o, path, paths, &p->inputs);
    p->layers = place_model(&p->input[0])->layers;
    p->layer_index = place_model(&p->input[0])->layer_index;
    fit_together(p, p->input, p->inputs);
    if (o->eval) {
        p->eval = mem_array(1, sizeof *p->eval);
        p->evals = 1;
        read_input(o->eval, &o->in, NULL, p->eval);
        fit_together(p, p->eval, 1);
    }
    for (int i = 0; i < p->inputs + p->evals; i++) {
        const struct place_input *in = i < p->inputs ? &p->input[i] : &p->eval[i - p->inputs];
        if (!is_empty(in))
            continue;
        if (o->parts && i < p->inputs)
            warn("--parts: %.*s=%s: no expert was used: nothing to place",
                 (int)strcspn(o->parts, "="), o->parts, in->name);
        else
            warn("%s: no expert was used: nothing to place", in->name);
        return -1;
    }
    make_grid(p);
    return 0;
}

static void free_inputs(struct place_input *in, int n) {
    for (int i = 0; i < n; i++) {
        free(in[i].name);
        routed_set_free(in[i].set);
        loads_free(in[i].loads);
    }
    free(in);
}

void place_free(struct place *p) {
    free_inputs(p->input, p->inputs);
    free_inputs(p->eval, p->evals);
    placement_free(p->current);
    par_free(p->par);
}

struct traffic_part place_part(const struct place_input *in) {
    return (struct traffic_part){.set = in->set, .to = in->set ? in->set->tokens : 0,
                                 .loads = in->loads};
}

struct traffic place_traffic(const struct place *p, const struct traffic_part *part, int parts) {
    struct traffic t = {.part = part, .parts = parts, .window = p->o->window,
                        .experts = p->experts};
    struct err e = {{0}};
    if (traffic_ready(&t, &e))
        die_err(&e);
    return t;
}

/* ---- plans -------------------------------------------------------------------------------- */

int place_has(const struct place *p, enum place_method m) {
    int current = m == PLACE_CURRENT || m == PLACE_STEP;
    if (current && !p->current)
        return 0;
    if (m == PLACE_STEP && p->o->most_moves == 0)
        return 0;
    return !p->o->methods || p->o->methods >> m & 1;
}

enum place_method place_best(const struct place *p) {
    for (int m = PLACE_METHODS - 1; m > 0; m--)
        if (place_has(p, (enum place_method)m))
            return (enum place_method)m;
    return PLACE_CURRENT;
}

static void plan_eplb(const struct place *p, const struct traffic *train, struct placement *plan) {
    struct err e = {{0}};
    double *count = mem_array((size_t)p->layers * (size_t)p->experts, sizeof *count);
    for (int layer = 0; layer < p->layers; layer++)
        traffic_count(train, layer, count + (size_t)layer * (size_t)p->experts);
    if (eplb_fill(plan, count, p->o->groups, &e))
        die_err(&e);
    free(count);
}

struct placement *place_plan(const struct place *p, enum place_method m,
                             const struct traffic *train) {
    struct err e = {{0}};
    const struct arrange_options o = {.train = train, .groups = p->o->groups, .pull = p->o->pull,
                                      .seed = p->o->seed};
    struct placement *plan = m == PLACE_IDENTITY
        ? placement_identity(p->layers, p->experts, &p->grid)
        : placement_new(p->layers, p->experts, &p->grid);
    size_t layers = (size_t)p->layers;
    if (m == PLACE_EPLB)
        plan_eplb(p, train, plan);
    if (m == PLACE_STEADY && arrange_fill(plan, &o, p->par, &e))
        die_err(&e);
    if (m == PLACE_CURRENT || m == PLACE_STEP)
        memcpy(plan->slot, p->current->slot, layers * (size_t)p->grid.slots * sizeof *plan->slot);
    if (m == PLACE_STEP)
        arrange_improve(plan, &o, p->o->most_moves, p->par);
    if (p->current && m != PLACE_CURRENT && m != PLACE_STEP)
        placement_match(p->current, plan);
    memcpy(plan->layer_index, p->layer_index, layers * sizeof *plan->layer_index);
    return plan;
}

void place_write(const struct place *p, const struct placement *plan, const char *path) {
    struct err e = {{0}};
    int layers = p->o->in.shape ? p->o->in.shape->layers : 0;
    if (placement_write(plan, (enum placement_form)p->o->form, layers, path, &e))
        die_err(&e);
}

/* ---- what a plan does --------------------------------------------------------------------- */

struct judging {
    const struct place *p;
    const struct traffic *t;
    const struct placement *plan;
    struct place_result *out;
    double *excess;             /* [layers][windows] */
};

static void judge_layers(void *arg, int ith, int nth) {
    const struct judging *j = arg;
    for (int layer = ith; layer < j->p->layers; layer += nth)
        traffic_measure(j->t, j->plan, layer, &j->out->layer[layer],
                        j->excess + (size_t)layer * (size_t)j->t->windows);
}

/* The mean of those n numbers, stride apart, that are any. */
static double mean_of(const double *x, int n, size_t stride) {
    double sum = 0;
    int seen = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[(size_t)i * stride])) {
            sum += x[(size_t)i * stride];
            seen++;
        }
    return seen ? sum / seen : NAN;
}

void place_judge(const struct place *p, const struct traffic *t, const struct placement *plan,
                 struct place_result *out) {
    size_t windows = (size_t)t->windows;
    size_t wide = sizeof *out->layer / sizeof(double);
    *out = (struct place_result){.layer = mem_array((size_t)p->layers, sizeof *out->layer),
                                 .excess = mem_array(windows, sizeof *out->excess),
                                 .windows = t->windows};
    struct judging j = {p, t, plan, out,
                        mem_array((size_t)p->layers * windows, sizeof *j.excess)};
    par_run(p->par, judge_layers, &j);
    for (size_t w = 0; w < windows; w++)
        out->excess[w] = mean_of(j.excess + w, p->layers, windows);
    out->all.max_over_mean = mean_of(&out->layer->max_over_mean, p->layers, wide);
    out->all.excess = mean_of(&out->layer->excess, p->layers, wide);
    out->all.balancedness = mean_of(&out->layer->balancedness, p->layers, wide);
    out->all.nodes_per_token = mean_of(&out->layer->nodes_per_token, p->layers, wide);
    free(j.excess);
}

void place_result_free(struct place_result *r) {
    free(r->layer);
    free(r->excess);
}
