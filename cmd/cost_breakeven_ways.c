/* cost_breakeven_ways.c - provisioned units and plans of the books, as ways to pay a trace */
#include "cmd/cost_breakeven.h"

#include <stdlib.h>

static int holds(int64_t from_ns, int64_t to_ns, int64_t time_ns) {
    return from_ns <= time_ns && time_ns < to_ns;
}

void breakeven_units(const struct breakeven_options *o, struct breakeven *b) {
    for (int i = 0; i < b->sides; i++) {
        const struct breakeven_side *s = &b->side[i];
        int found = 0;
        for (int k = 0; k < s->book->capacities && !s->several; k++) {
            const struct book_capacity *c = &s->book->capacity[k];
            if (c->model != s->model || !holds(c->from_ns, c->to_ns, b->time_ns))
                continue;
            char *name = mem_printf("provisioned:%s", c->name);
            if (breakeven_wants(o, name))
                breakeven_add(b, s, plan_units(&s->trace, name, c), 0);
            free(name);
            found = 1;
        }
        if (found || !breakeven_wants(o, "provisioned"))
            continue;
        if (s->several)
            breakeven_left_out(o, "provisioned: the records are of several models");
        else
            breakeven_left_out(o, "provisioned: book %s has no units of %s", s->book->name,
                               s->book->model[s->model].name);
    }
}

void breakeven_plans(const struct breakeven_options *o, struct breakeven *b) {
    for (int i = 0; i < b->sides; i++) {
        const struct breakeven_side *s = &b->side[i];
        int found = 0;
        for (int k = 0; k < s->book->plans; k++) {
            const struct book_plan *p = &s->book->plan[k];
            if (!holds(p->from_ns, p->to_ns, b->time_ns))
                continue;
            char *name = mem_printf("plan:%s", p->name);
            if (breakeven_wants(o, name))
                breakeven_add(b, s, plan_capped(&s->trace, name, p), 0);
            free(name);
            found = 1;
        }
        if (!found && breakeven_wants(o, "plan"))
            breakeven_left_out(o, "plan: book %s has none at that time", s->book->name);
    }
}
