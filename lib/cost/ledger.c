/* ledger.c - a run's trace added up, see ledger.h */
#include "lib/cost/ledger.h"

#include <math.h>

const char *ledger_phase_name(int phase) {
    static const char *const names[] = {"prefill", "decode", "mixed", "all"};
    return names[phase];
}

int ledger_phase(const struct trace_step *step) {
    return step->phase == TRACE_PREFILL  ? LEDGER_PREFILL
           : step->phase == TRACE_DECODE ? LEDGER_DECODE
                                         : LEDGER_MIXED;
}

double ledger_flops(const struct ledger_phase *p) {
    return p->flops.attention + p->flops.dense + p->flops.experts + p->flops.head;
}

double ledger_bytes(const struct ledger_phase *p) {
    return p->bytes.dense + p->bytes.experts + p->bytes.kv_read + p->bytes.kv_write;
}

static void add_sums(struct ledger_phase *to, const struct ledger_phase *from) {
    to->steps += from->steps;
    to->tokens += from->tokens;
    to->ns += from->ns;
    to->flops.attention += from->flops.attention;
    to->flops.dense += from->flops.dense;
    to->flops.experts += from->flops.experts;
    to->flops.head += from->flops.head;
    to->bytes.dense += from->bytes.dense;
    to->bytes.experts += from->bytes.experts;
    to->bytes.kv_read += from->bytes.kv_read;
    to->bytes.kv_write += from->bytes.kv_write;
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
    int phase = ledger_phase(s);
    add_sums(&l->phase[phase], &one);
    l->waiting_ns[phase] += (double)s->ns;
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
