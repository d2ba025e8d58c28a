/* usage_amount.c - amounts of a usage, see usage.h */
#include "lib/cost/usage.h"

/* Tokens have a limit; time in nanoseconds needs more, but sums stay in 64 bits. */
static int64_t most(int kind) {
    return kind == USAGE_SECOND || kind == USAGE_STORAGE ? INT64_MAX / USAGE_AMOUNTS : USAGE_MOST;
}

int usage_add(struct usage *u, int kind, int modality, int64_t ttl_ns, int64_t quantity) {
    struct usage_amount *a = u->amount;
    int64_t sum;
    if (!quantity)
        return 0;
    while (a < u->amount + u->n &&
           (a->kind != kind || a->modality != modality || a->ttl_ns != ttl_ns))
        a++;
    int made = a == u->amount + u->n;
    if (made && u->n == USAGE_AMOUNTS)
        return -1;
    if (__builtin_add_overflow(made ? 0 : a->quantity, quantity, &sum) || sum > most(kind) ||
        sum < 0)
        return -1;
    *a = (struct usage_amount){(uint8_t)kind, (uint8_t)modality, ttl_ns, sum};
    u->n += made;
    return 0;
}

int64_t usage_sum(const struct usage *u, int kind) {
    int64_t sum = 0;
    for (int i = 0; i < u->n; i++)
        if (u->amount[i].kind == kind)
            sum += u->amount[i].quantity;
    return sum;
}

int64_t usage_prompt(const struct usage *u) {
    int64_t sum = 0;
    for (int i = 0; i < u->n; i++)
        if (u->amount[i].kind <= USAGE_WRITE)
            sum += u->amount[i].quantity;
    return sum;
}
