/* route_place_replan.c - llm-route place --replan: how often planning again pays
 *
 * A walk through one trace, window by window. All policies begin with the plan that there is, or
 * one made from the first quarter of the windows, and are judged on the same windows. When a policy
 * plans, it knows the windows before: as many as lie between its plans, at least that first
 * quarter. Time that ranks wait for the fullest one is set against the time that moves take.
 */
#include "cmd/route_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PLANS_MOST 32           /* of the busiest policy; others have a half, a quarter, ... */

/* A terminal has room for these, and either what a plan saves or what it costs. */
enum { SAVED = 6, BREAKEVEN = 9, WAIT, MOVE, COST };
static const struct field fields[] = {
    {"method", FIELD_TEXT, 0}, {"policy", FIELD_TEXT, 0}, {"interval_tokens", FIELD_WHOLE, 0},
    {"plans", FIELD_COUNT, 0}, {"windows", FIELD_COUNT, 1}, {"imbalance_excess", 4, 0},
    {"saved_excess", 4, 0}, {"moves", FIELD_COUNT, 0}, {"move_bytes", FIELD_WHOLE, 1},
    {"breakeven_move_share", 6, 0}, {"wait_ms_per_window", 4, 0}, {"move_ms_per_window", 4, 0},
    {"cost_ms_per_window", 4, 0}};
enum { FIELDS = sizeof fields / sizeof *fields };

static void choose_fields(struct field *shown, const struct place_options *o) {
    int timed = o->window_ms > 0;
    memcpy(shown, fields, sizeof fields);
    shown[SAVED].wide = shown[BREAKEVEN].wide = timed;
    shown[WAIT].wide = shown[MOVE].wide = shown[COST].wide = !timed;
}

/* When to plan: every so many windows, or after a window whose excess is above a threshold;
 * neither: never. */
struct policy {
    const char *name;
    int64_t every;
    double threshold;
};

struct walk {
    const struct place *p;
    const struct routed_set *set;
    int64_t windows, first;     /* of these, what the first plan knows */
};

struct outcome {
    double excess;              /* mean over the windows judged */
    int64_t plans, moves;
    double bytes;
};

/* ---- the walk ----------------------------------------------------------------------------- */

static struct traffic_part span(const struct walk *w, int64_t from, int64_t to) {
    return (struct traffic_part){.set = w->set, .from = from * w->p->o->window,
                                 .to = to * w->p->o->window};
}

static struct placement *plan_from(const struct walk *w, enum place_method m, int64_t from,
                                   int64_t to, struct placement *current) {
    struct place p = *w->p;
    const struct traffic_part part = span(w, from, to);
    struct traffic t = place_traffic(&p, &part, 1);
    p.current = current;
    return place_plan(&p, m, &t);
}

/* Sum over windows [from, to) of what a plan has there. */
static double sum_excess(const struct walk *w, const struct placement *plan, int64_t from,
                         int64_t to) {
    const struct traffic_part part = span(w, from, to);
    struct traffic t = place_traffic(w->p, &part, 1);
    struct place_result r;
    double sum = 0;
    place_judge(w->p, &t, plan, &r);
    for (int64_t i = 0; i < r.windows; i++)
        sum += isnan(r.excess[i]) ? 0 : r.excess[i];
    place_result_free(&r);
    return sum;
}

static struct placement *plan_again(const struct walk *w, enum place_method m, int64_t at,
                                    int64_t known, struct placement *plan, struct outcome *out) {
    int64_t from = at - (known > w->first ? known : w->first);
    struct placement *next = plan_from(w, m, from > 0 ? from : 0, at, plan);
    struct placement_moves moves =
        placement_moves(plan, next, w->set->model.expert_bytes, NULL);
    placement_free(plan);
    out->plans++;
    out->moves += moves.slots;
    out->bytes += moves.bytes;
    return next;
}

static struct outcome follow(const struct walk *w, enum place_method m,
                             const struct placement *start, const struct policy *policy) {
    struct outcome out = {0};
    struct placement *plan = placement_copy(start);
    int64_t step = policy->every ? policy->every : 1;
    double last = 0;
    for (int64_t at = w->first; at < w->windows; at += step) {
        int64_t to = at + step < w->windows ? at + step : w->windows;
        if (at > w->first && (policy->every || last > policy->threshold))
            plan = plan_again(w, m, at, step, plan, &out);
        last = sum_excess(w, plan, at, to);
        out.excess += last;
    }
    out.excess /= (double)(w->windows - w->first);
    placement_free(plan);
    return out;
}

/* ---- rows --------------------------------------------------------------------------------- */

/* Milliseconds for all moves of a walk: a time for each, or bytes that all ranks fetch at once. */
static double move_time(const struct place *p, const struct outcome *o) {
    if (p->o->move_ms >= 0)
        return (double)o->moves * p->o->move_ms;
    if (p->o->link_bytes_per_s > 0 && (o->bytes > 0 || o->moves == 0))
        return o->bytes / p->grid.ranks / p->o->link_bytes_per_s * 1e3;
    return NAN;
}

/* What a window costs beyond its time with all ranks even; NAN: not known. */
static double put_row(struct fields *f, const struct walk *w, enum place_method m,
                      const struct policy *policy, const struct outcome *o, double never) {
    double judged = (double)(w->windows - w->first);
    double wait = w->p->o->window_ms > 0 ? o->excess * w->p->o->window_ms : NAN;
    double moves = move_time(w->p, o) / judged;
    double saved = never - o->excess;
    fields_row(f, (struct value[FIELDS]){
        {.text = place_names[m]}, {.text = policy->name},
        {.number = policy->every ? (double)(policy->every * w->p->o->window) : NAN},
        {.count = o->plans}, {.count = w->windows - w->first}, {.number = o->excess},
        {.number = saved}, {.count = o->moves},
        {.number = o->bytes > 0 || !o->moves ? o->bytes : NAN},
        {.number = o->moves ? saved * judged / (double)o->moves : NAN}, {.number = wait},
        {.number = moves}, {.number = wait + moves}});
    return wait + moves;
}

struct choice {
    double cost;
    enum place_method method;
    struct policy policy;
};

static void walk_method(struct fields *f, const struct walk *w, enum place_method m,
                        struct choice *best) {
    struct policy policy[16] = {{"never", 0, INFINITY}};
    int n = 1;
    double never = 0;
    struct placement *start = w->p->current ? placement_copy(w->p->current)
                                            : plan_from(w, m, 0, w->first, NULL);
    if (w->p->o->threshold >= 0)
        policy[n++] = (struct policy){"over", 0, w->p->o->threshold};
    for (int plans = 2; plans <= PLANS_MOST && (w->windows - w->first) / plans >= 1; plans *= 2)
        policy[n++] = (struct policy){"every", (w->windows - w->first) / plans, 0};
    for (int i = 0; i < n; i++) {
        struct outcome o = follow(w, m, start, &policy[i]);
        never = i ? never : o.excess;
        double cost = put_row(f, w, m, &policy[i], &o, never);
        if (cost < best->cost)
            *best = (struct choice){cost, m, policy[i]};
    }
    placement_free(start);
}

static void advise(const struct walk *w, const struct choice *best) {
    const char *name = place_names[best->method];
    if (isinf(best->cost))
        warn("what a plan is worth needs --window-ms, and --move-ms or --link; until then: it pays "
             "while a move takes less than breakeven_move_share of a window's time");
    else if (best->policy.every)
        warn("least waiting and moving: %s, a plan every %lld tokens", name,
             (long long)(best->policy.every * w->p->o->window));
    else
        warn("least waiting and moving: %s, %s", name,
             isinf(best->policy.threshold) ? "never planning again" : "a plan at the threshold");
}

int place_replan(const struct place *p) {
    struct walk w = {.p = p, .set = p->input[0].set};
    struct choice best = {INFINITY, PLACE_STEADY, {0}};
    struct field shown[FIELDS];
    struct fields f;
    if (p->inputs != 1 || !w.set)
        usage_die("--replan walks through one trace by tokens");
    w.windows = w.set->tokens / p->o->window;
    w.first = w.windows / 4;
    if (w.first < 1) {
        warn("%s: %lld tokens are fewer than 4 windows of %lld", p->input[0].name,
             (long long)w.set->tokens, (long long)p->o->window);
        return EXIT_NOTHING;
    }
    choose_fields(shown, p->o);
    fields_open(&f, shown, FIELDS, &p->o->common);
    for (int m = PLACE_EPLB; m < PLACE_METHODS; m++)
        if (place_has(p, (enum place_method)m))
            walk_method(&f, &w, (enum place_method)m, &best);
    fields_close(&f);
    if (!p->o->common.quiet)
        advise(&w, &best);
    return EXIT_DONE;
}
