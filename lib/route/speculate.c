/* speculate.c - passes that verify drafts, against passes that make one token */
#include "lib/route/speculate.h"

#include <math.h>

double speculate_tokens(double accept, int draft) {
    double tokens = 0;
    double reach = 1;           /* chance that the pass gets as far */
    for (int i = 0; i <= draft; i++) {
        tokens += reach;
        reach *= accept;
    }
    return tokens;
}

double speculate_bytes(const struct speculate_costs *c, double unique) {
    return c->dense_bytes + c->expert_bytes * unique;
}

static double arithmetic(const struct speculate_costs *c, int tokens) {
    return c->token_flops > 0 ? c->token_flops * tokens * c->batch / c->flops_rate : 0;
}

double speculate_seconds(const struct speculate_costs *c, int tokens, double unique) {
    double reading = c->dense_bytes / c->dense_rate + c->expert_bytes * unique / c->expert_rate;
    return isnan(reading) ? NAN : fmax(reading, arithmetic(c, tokens));
}

/* Passes of decoding that one verification and its draft are worth. */
static double cost(const struct speculate_costs *c, int draft, double unique_one, double unique) {
    double one = speculate_seconds(c, 1, unique_one);
    return speculate_seconds(c, draft + 1, unique) / one + draft * c->draft_cost;
}

double speculate_speedup(const struct speculate_costs *c, double accept, int draft,
                         double unique_one, double unique) {
    return speculate_tokens(accept, draft) / cost(c, draft, unique_one, unique);
}

double speculate_dense(const struct speculate_costs *c, double accept, int draft,
                       double unique_one) {
    return speculate_speedup(c, accept, draft, unique_one, unique_one);
}

double speculate_breakeven(const struct speculate_costs *c, int draft, double unique_one,
                           double unique) {
    double need = cost(c, draft, unique_one, unique);
    double low = 0;
    double high = 1;
    if (!(need <= draft + 1))
        return NAN;
    if (need <= 1)
        return 0;
    /* Tokens grow with the acceptance from 1 to draft + 1; a bit of the result each time. */
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (speculate_tokens(middle, draft) < need)
            low = middle;
        else
            high = middle;
    }
    return high;
}
