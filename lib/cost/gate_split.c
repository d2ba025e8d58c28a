/* gate_split.c - a change in money taken apart, see gate_split.h */
#include "lib/cost/gate_split.h"

#define MIXTURES (1 << GATE_PARTS)

const char *gate_part_name(int part) {
    static const char *const names[] = {"price", "volume", "mix", "cache"};
    return names[part];
}

/* ---- mixtures ----------------------------------------------------------------------------- */

static int is_prompt(int kind) {
    return kind == USAGE_INPUT || kind == USAGE_READ || kind == USAGE_WRITE;
}

static int is_made(int kind) {
    return kind == USAGE_OUTPUT || kind == USAGE_REASONING;
}

static int64_t made_of(const struct usage *u) {
    return usage_sum(u, USAGE_OUTPUT) + usage_sum(u, USAGE_REASONING);
}

static int64_t tokens_of(const struct usage *u) {
    return usage_prompt(u) + made_of(u);
}

/* total * part / whole, half up; none is below 0. */
static int64_t share(int64_t total, int64_t part, int64_t whole) {
    return (int64_t)(((money)total * part * 2 + whole) / ((money)whole * 2));
}

/* Shares `total` out among the amounts of one group in the proportions that `like` has. What is
 * rounded is made up for as it goes, so that the sum is the total. -1: no room. */
static int put_group(struct usage *out, const struct usage *like, int (*is_in)(int),
                     int64_t whole, int64_t total) {
    int64_t seen = 0;
    int64_t given = 0;
    for (int i = 0; i < like->n; i++) {
        const struct usage_amount *a = &like->amount[i];
        if (!is_in(a->kind))
            continue;
        seen += a->quantity;
        int64_t upto = share(total, seen, whole);
        if (usage_add(out, a->kind, a->modality, a->ttl_ns, upto - given))
            return -1;
        given = upto;
    }
    return 0;
}

/* The usage whose volume, mix and cache are those of these sides. Where a side has no tokens, or no
 * prompt, it has no shares either: the other's, or fresh input, stand in. */
static int mixture(const struct usage *side[GATE_PARTS], struct usage *out) {
    const struct usage *volume = side[GATE_VOLUME];
    const struct usage *mix = side[GATE_MIX];
    const struct usage *cache = side[GATE_CACHE];
    int64_t tokens = tokens_of(volume);
    *out = *mix;
    out->n = 0;
    for (int i = 0; i < volume->n; i++) {
        const struct usage_amount *a = &volume->amount[i];
        if (!is_prompt(a->kind) && !is_made(a->kind) &&
            usage_add(out, a->kind, a->modality, a->ttl_ns, a->quantity))
            return -1;
    }
    const struct usage *shares = tokens_of(mix) ? mix : volume;
    if (!tokens)
        return 0;
    int64_t made = share(tokens, made_of(shares), tokens_of(shares));
    int64_t prompt = tokens - made;
    if (made && put_group(out, shares, is_made, made_of(shares), made))
        return -1;
    if (!prompt)
        return 0;
    if (!usage_prompt(cache))
        return usage_add(out, USAGE_INPUT, USAGE_TEXT, 0, prompt);
    return put_group(out, cache, is_prompt, usage_prompt(cache), prompt);
}

/* Prices of all 16: bit i of the index says whether part i is head's. */
static int price_all(const struct gate_split *s, const struct usage *base,
                     const struct usage *head, money usd[MIXTURES]) {
    for (int at = 0; at < MIXTURES; at++) {
        const struct usage *side[GATE_PARTS];
        struct usage u;
        for (int i = 0; i < GATE_PARTS; i++)
            side[i] = at >> i & 1 ? head : base;
        if (s->merge_cache)
            side[GATE_CACHE] = side[GATE_MIX];
        if (side[GATE_VOLUME] == side[GATE_MIX] && side[GATE_MIX] == side[GATE_CACHE])
            u = *side[GATE_MIX];            /* no mixture, hence exact */
        else if (mixture(side, &u))
            return -1;
        if (!s->price(s->arg, at & 1, &u, &usd[at]))
            return -1;
    }
    return 0;
}

/* ---- parts -------------------------------------------------------------------------------- */

static int count_bits(int x) {
    int n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

/* Of 4 factors one comes after k given others in k! (3 - k)! of 24 orders: 3, 1, 1, 3 twelfths. */
static void add_parts(struct gate_split *s, const money usd[MIXTURES]) {
    static const int weight[GATE_PARTS] = {3, 1, 1, 3};
    for (int i = 0; i < GATE_PARTS; i++)
        for (int at = 0; at < MIXTURES; at++)
            if (!(at >> i & 1))
                s->twelfths[i] += weight[count_bits(at)] * (usd[at | 1 << i] - usd[at]);
}

int gate_split_add(struct gate_split *s, const struct usage *base, const struct usage *head) {
    money usd[MIXTURES];
    if (base && head) {
        if (price_all(s, base, head, usd))
            return -1;
        add_parts(s, usd);
        s->base += usd[0];
        s->head += usd[MIXTURES - 1];
        s->pairs++;
        return 0;
    }
    if (!base && !head)
        return 0;
    money one;
    if (!s->price(s->arg, head != NULL, head ? head : base, &one))
        return -1;
    s->twelfths[GATE_VOLUME] += head ? 12 * one : -12 * one;
    s->base += base ? one : 0;
    s->head += head ? one : 0;
    s->only_base += base != NULL;
    s->only_head += head != NULL;
    return 0;
}

/* Down to whole pico-dollars, then one more for those that lost most. */
void gate_split_done(struct gate_split *s) {
    money rest[GATE_PARTS];
    money left = s->head - s->base;
    for (int i = 0; i < GATE_PARTS; i++) {
        s->part[i] = s->twelfths[i] / 12;
        rest[i] = s->twelfths[i] % 12;
        if (rest[i] < 0) {
            s->part[i]--;
            rest[i] += 12;
        }
        left -= s->part[i];
    }
    for (; left > 0; left--) {
        int most = 0;
        for (int i = 1; i < GATE_PARTS; i++)
            most = rest[i] > rest[most] ? i : most;
        s->part[most]++;
        rest[most] -= 12;
    }
}
