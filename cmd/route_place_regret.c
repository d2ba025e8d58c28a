/* route_place_regret.c - llm-route place --regret: plans made from one part, run on another
 *
 * A row for each method and pair of parts. Beside the parts, plans come from all parts but the one
 * that they run on ("others"), which is what planning for traffic not seen yet comes to.
 */
#include "cmd/route_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct field fields[] = {
    {"layer", FIELD_ID, 0}, {"method", FIELD_TEXT, 0}, {"from", FIELD_TEXT, 0},
    {"on", FIELD_TEXT, 0}, {"device_max_over_mean", 4, 0}, {"regret", 4, 0},
    {"imbalance_excess", 4, 0}, {"balancedness", 4, 1}, {"nodes_per_token", 3, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

struct matrix {
    const struct place *p;
    const struct traffic_part *part;    /* [inputs] */
    struct place_result *own;           /* [inputs] of the steady plan made from the part */
    struct fields fields;
};

static void put_row(struct matrix *x, int layer, enum place_method m, const char *from,
                    int on, const struct traffic_measure *r, const struct traffic_measure *own) {
    fields_row(&x->fields, (struct value[FIELDS]){
        {.text = layer < 0 ? "all" : NULL, .count = layer}, {.text = place_names[m]},
        {.text = from},
        {.text = x->p->input[on].name}, {.number = r->max_over_mean},
        {.number = r->max_over_mean - own->max_over_mean}, {.number = r->excess},
        {.number = r->balancedness}, {.number = r->nodes_per_token}});
}

/* Runs a plan on part `on`. */
static void put_pair(struct matrix *x, enum place_method m, const char *from, int on,
                     const struct placement *plan) {
    const struct place *p = x->p;
    struct traffic t = place_traffic(p, &x->part[on], 1);
    struct place_result r;
    place_judge(p, &t, plan, &r);
    put_row(x, -1, m, from, on, &r.all, &x->own[on].all);
    for (int i = 0; p->o->by_layer && i < p->layers; i++)
        put_row(x, p->layer_index[i], m, from, on, &r.layer[i], &x->own[on].layer[i]);
    place_result_free(&r);
}

static void put_parts(struct matrix *x, enum place_method m) {
    const struct place *p = x->p;
    for (int a = 0; a < p->inputs; a++) {
        struct traffic t = place_traffic(p, &x->part[a], 1);
        struct placement *plan = place_plan(p, m, &t);
        for (int b = 0; b < p->inputs; b++)
            put_pair(x, m, p->input[a].name, b, plan);
        placement_free(plan);
    }
}

static void put_others(struct matrix *x, enum place_method m) {
    const struct place *p = x->p;
    struct traffic_part *other = mem_array((size_t)p->inputs, sizeof *other);
    for (int b = 0; b < p->inputs; b++) {
        int n = 0;
        for (int a = 0; a < p->inputs; a++)
            if (a != b)
                other[n++] = x->part[a];
        struct traffic t = place_traffic(p, other, n);
        struct placement *plan = place_plan(p, m, &t);
        put_pair(x, m, "others", b, plan);
        placement_free(plan);
    }
    free(other);
}

/* Methods that look at no traffic: one plan for all. */
static void put_blind(struct matrix *x, enum place_method m) {
    const struct place *p = x->p;
    struct traffic t = place_traffic(p, x->part, p->inputs);
    struct placement *plan = place_plan(p, m, &t);
    for (int b = 0; b < p->inputs; b++)
        put_pair(x, m, NULL, b, plan);
    placement_free(plan);
}

int place_regret(const struct place *p) {
    struct traffic_part *part = mem_array((size_t)p->inputs, sizeof *part);
    struct matrix x = {.p = p, .part = part,
                       .own = mem_array((size_t)p->inputs, sizeof *x.own)};
    for (int i = 0; i < p->inputs; i++) {
        part[i] = place_part(&p->input[i]);
        struct traffic t = place_traffic(p, &part[i], 1);
        struct placement *plan = place_plan(p, PLACE_STEADY, &t);
        place_judge(p, &t, plan, &x.own[i]);
        placement_free(plan);
    }
    fields_open(&x.fields, fields, FIELDS, &p->o->common);
    for (int m = 0; m < PLACE_METHODS; m++) {
        if (!place_has(p, (enum place_method)m))
            continue;
        if (m == PLACE_IDENTITY || m == PLACE_CURRENT) {
            put_blind(&x, (enum place_method)m);
            continue;
        }
        put_parts(&x, (enum place_method)m);
        if (p->inputs > 2)
            put_others(&x, (enum place_method)m);
    }
    fields_close(&x.fields);
    for (int i = 0; i < p->inputs; i++)
        place_result_free(&x.own[i]);
    free(x.own);
    free(part);
    return EXIT_DONE;
}
