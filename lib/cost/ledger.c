/* ledger.c - a run's trace added up, see ledger.h */
#include "lib/cost/ledger.h"

#include <math.h>

const char *ledger_phase_name(int phase) {
    static const char *const names[] = {"prefill", "decode", "mixed", "all"};
    return names[phase];
}

static void add_sums(struct ledger_phase *to, const struct ledger_phase *from) {
    to->steps += from->steps;
    to->tokens += from->tokens;
    to->ns += from->ns;
    shape_add_flops(&to->flops, &from->flops, 1);
    shape_add_bytes(&to->bytes, &from->bytes, 1);
    to->linear_flops += from->linear_flops;
}

static void deal_out(struct ledger *l, double joules) {
    double ns = 0;
    for (int i = 0; i < LEDGER_ALL; i++)
        ns += l->waiting_ns[i];
    for (int i = 0; i < LEDGER_ALL; i++) {
        if (ns > 0)
            l->phase[i].joules += joules * l->waiting_ns[i] / ns;
        l->phase[i].joules_ns += l->waiting_ns[i];
        l->waiting_ns[i] = 0;
    }
    l->counted = 1;
}

static void add_step(struct ledger *l, const struct trace_step *s) {
    struct ledger_phase one = {.steps = 1, .tokens = s->tokens, .ns = (double)s->ns,
                               .flops = s->flops, .bytes = s->bytes,
                               .linear_flops = l->linear * s->tokens};
    add_sums(&l->phase[s->phase], &one);
    l->waiting_ns[s->phase] += (double)s->ns;
    if (!isnan(s->joules))
        deal_out(l, s->joules);
}

void ledger_add(struct ledger *l, int kind, const struct steps_record *r) {
    switch (kind) {
    case STEPS_RUN:
        l->runs++;
        l->linear = shape_linear_flops(r->run.shape);
        for (int i = 0; i < LEDGER_ALL; i++)    /* another process's counter */
            l->waiting_ns[i] = 0;
        break;
    case STEPS_STEP: add_step(l, &r->step); break;
    case STEPS_REQUEST:
        l->requests++;
        l->input_tokens += r->request.input_length;
        l->cached_tokens += r->request.cached_tokens;
        l->output_tokens += r->request.output_length;
        break;
    }
}

/* A phase's joules over all of its time, at the power that was read. */
static void end_joules(struct ledger_phase *p) {
    p->joules = p->joules_ns > 0 ? p->joules * p->ns / p->joules_ns : p->ns > 0 ? NAN : 0;
}

void ledger_end(struct ledger *l) {
    struct ledger_phase *all = &l->phase[LEDGER_ALL];
    for (int i = 0; i < LEDGER_ALL; i++) {
        struct ledger_phase *p = &l->phase[i];
        add_sums(all, p);
        all->joules += p->joules;
        all->joules_ns += p->joules_ns;
        end_joules(p);
    }
    end_joules(all);
}
