/* test_gate_split.c - lib/cost/gate_split: parts by hand, by all 24 orders, and always the sum */
#include "tests/check.h"
#include "tests/random.h"

#include "lib/cost/gate_split.h"

/* Prices of input, cache reads, writes, output in pico-dollars a token, for base and for head, and
 * a tier on base's and head's prompts so that nothing is linear. */
struct prices {
    int64_t token[2][USAGE_KINDS];
    int64_t tier;               /* prompts above cost twice; 0: none */
    int unpriced;               /* side that has no price; -1: none */
};

static int price(void *arg, int side, const struct usage *u, money *usd) {
    const struct prices *p = arg;
    *usd = 0;
    if (side == p->unpriced)
        return 0;
    for (int i = 0; i < u->n; i++)
        *usd += (money)u->amount[i].quantity * p->token[side][u->amount[i].kind];
    if (p->tier && usage_prompt(u) > p->tier)
        *usd *= 2;
    return 1;
}

static struct usage make(int64_t input, int64_t read, int64_t write, int64_t output) {
    struct usage u = {.line = 1};
    usage_add(&u, USAGE_INPUT, USAGE_TEXT, 0, input);
    usage_add(&u, USAGE_READ, USAGE_TEXT, 0, read);
    usage_add(&u, USAGE_WRITE, USAGE_TEXT, 300, write);
    usage_add(&u, USAGE_OUTPUT, USAGE_TEXT, 0, output);
    return u;
}

static struct prices plain(void) {
    return (struct prices){.token = {{[USAGE_INPUT] = 3000, [USAGE_READ] = 300,
                                      [USAGE_WRITE] = 3750, [USAGE_OUTPUT] = 15000},
                                     {[USAGE_INPUT] = 3000, [USAGE_READ] = 300,
                                      [USAGE_WRITE] = 3750, [USAGE_OUTPUT] = 15000}},
                           .unpriced = -1};
}

static void check_sum(const struct gate_split *s) {
    money sum = 0;
    for (int i = 0; i < GATE_PARTS; i++)
        sum += s->part[i];
    CHECK(sum == s->head - s->base);
}

static struct gate_split split(struct prices *p, struct usage base, struct usage head) {
    struct gate_split s = {.price = price, .arg = p};
    CHECK_INT(gate_split_add(&s, &base, &head), 0);
    gate_split_done(&s);
    check_sum(&s);
    return s;
}

static void one_factor_at_a_time(void) {
    struct prices p = plain();
    /* twice of everything */
    struct gate_split s = split(&p, make(100, 200, 0, 100), make(200, 400, 0, 200));
    CHECK_INT(s.part[GATE_VOLUME], 100 * 3000 + 200 * 300 + 100 * 15000);
    CHECK(!s.part[GATE_PRICE] && !s.part[GATE_MIX] && !s.part[GATE_CACHE]);
    /* a cache that is cold */
    s = split(&p, make(100, 200, 0, 100), make(300, 0, 0, 100));
    CHECK_INT(s.part[GATE_CACHE], 200 * 2700);
    CHECK(!s.part[GATE_PRICE] && !s.part[GATE_MIX] && !s.part[GATE_VOLUME]);
    /* a prompt token less for each one made */
    s = split(&p, make(300, 0, 0, 100), make(200, 0, 0, 200));
    CHECK_INT(s.part[GATE_MIX], 100 * 12000);
    CHECK(!s.part[GATE_PRICE] && !s.part[GATE_CACHE] && !s.part[GATE_VOLUME]);
    /* dearer input */
    p.token[1][USAGE_INPUT] = 4000;
    s = split(&p, make(300, 0, 0, 100), make(300, 0, 0, 100));
    CHECK_INT(s.part[GATE_PRICE], 300 * 1000);
    CHECK(!s.part[GATE_MIX] && !s.part[GATE_CACHE] && !s.part[GATE_VOLUME]);
}

/* Two factors that meet are halved: twice the tokens at twice the price. */
static void two_factors(void) {
    struct prices p = plain();
    p.token[1][USAGE_INPUT] = 6000;
    struct gate_split s = split(&p, make(100, 0, 0, 0), make(200, 0, 0, 0));
    CHECK_INT(s.part[GATE_PRICE], 100 * 3000 + 100 * 3000 / 2);
    CHECK_INT(s.part[GATE_VOLUME], 100 * 3000 + 100 * 3000 / 2);
}

static void one_side_alone(void) {
    struct prices p = plain();
    struct gate_split s = {.price = price, .arg = &p};
    struct usage u = make(100, 0, 0, 10);
    CHECK_INT(gate_split_add(&s, &u, NULL), 0);
    CHECK_INT(gate_split_add(&s, &u, &u), 0);
    CHECK_INT(gate_split_add(&s, NULL, &u), 0);
    CHECK_INT(gate_split_add(&s, NULL, &u), 0);
    CHECK_INT(gate_split_add(&s, NULL, NULL), 0);
    gate_split_done(&s);
    check_sum(&s);
    CHECK_INT(s.part[GATE_VOLUME], 100 * 3000 + 10 * 15000);
    CHECK(s.pairs == 1 && s.only_base == 1 && s.only_head == 2);
    CHECK(s.base == 2 * (100 * 3000 + 10 * 15000));
}

static void no_price(void) {
    struct prices p = plain();
    struct usage u = make(100, 0, 0, 10);
    struct gate_split s = {.price = price, .arg = &p};
    p.unpriced = 1;
    CHECK_INT(gate_split_add(&s, &u, &u), -1);
    CHECK_INT(gate_split_add(&s, NULL, &u), -1);
    CHECK(!s.pairs && !s.base && !s.head && !s.twelfths[GATE_PRICE]);
    CHECK_INT(gate_split_add(&s, &u, NULL), 0);
}

/* Nothing on one side, no prompt, no output: shares that there are not. */
static void empty_sides(void) {
    struct prices p = plain();
    struct gate_split s = split(&p, make(0, 0, 0, 0), make(10, 20, 30, 40));
    CHECK_INT(s.part[GATE_VOLUME] > 0, 1);
    split(&p, make(10, 20, 30, 40), make(0, 0, 0, 0));
    split(&p, make(0, 0, 0, 0), make(0, 0, 0, 0));
    split(&p, make(0, 0, 0, 50), make(50, 0, 0, 0));
    split(&p, make(50, 0, 0, 0), make(0, 0, 0, 50));
    split(&p, make(0, 50, 0, 0), make(0, 0, 50, 1));
}

/* 1000 tokens become 2000, half of them made becomes a quarter, a fresh prompt becomes a read one:
 * every mixture is whole tokens and can be said without the module. Bits of `heads`: the parts. */
static money by_hand(const struct prices *p, int heads) {
    int64_t tokens = heads >> GATE_VOLUME & 1 ? 2000 : 1000;
    int64_t made = heads >> GATE_MIX & 1 ? tokens / 4 : tokens / 2;
    int64_t prompt = tokens - made;
    int kind = heads >> GATE_CACHE & 1 ? USAGE_READ : USAGE_INPUT;
    const int64_t *token = p->token[heads >> GATE_PRICE & 1];
    money usd = (money)prompt * token[kind] + (money)made * token[USAGE_OUTPUT];
    return p->tier && prompt > p->tier ? 2 * usd : usd;
}

/* What each part adds, summed over all 24 orders, found by walking every one of them. */
static void all_orders(void) {
    struct prices p = plain();
    p.token[1][USAGE_INPUT] = 3301;
    p.token[1][USAGE_READ] = 290;
    p.token[1][USAGE_OUTPUT] = 14009;
    p.tier = 900;
    money want[GATE_PARTS] = {0};
    int orders = 0;
    for (int at = 0; at < 256; at++) {
        int order[GATE_PARTS] = {at & 3, at >> 2 & 3, at >> 4 & 3, at >> 6 & 3};
        int all = 0;
        for (int i = 0; i < GATE_PARTS; i++)
            all |= 1 << order[i];
        if (all != 15)
            continue;
        orders++;
        for (int i = 0, heads = 0; i < GATE_PARTS; heads |= 1 << order[i], i++)
            want[order[i]] += by_hand(&p, heads | 1 << order[i]) - by_hand(&p, heads);
    }
    CHECK_INT(orders, 24);
    struct gate_split s = split(&p, make(500, 0, 0, 500), make(0, 1500, 0, 500));
    CHECK(s.base == by_hand(&p, 0) && s.head == by_hand(&p, 15));
    for (int i = 0; i < GATE_PARTS; i++) {
        CHECK(2 * s.twelfths[i] == want[i]);
        CHECK(24 * s.part[i] - want[i] > -24 && 24 * s.part[i] - want[i] < 24);
    }
}

/* Any usage, any price, tiers: the sum is exact, and the two directions mirror each other. */
static void random_usages(void) {
    state = 3;
    for (int t = 0; t < 3000; t++) {
        struct prices p = plain();
        struct gate_split forth = {.price = price, .arg = &p};
        for (int side = 0; side < 2; side++)
            for (int k = 0; k < USAGE_KINDS; k++)
                p.token[side][k] = below(20000);
        p.tier = below(2) ? below(3000) : 0;
        forth.merge_cache = below(2);
        int n = 1 + below(5);
        for (int i = 0; i < n; i++) {
            struct usage b = make(below(2000), below(3) * below(900), below(2) * below(90),
                                  below(700));
            struct usage h = make(below(2000), below(3) * below(900), below(2) * below(90),
                                  below(700));
            CHECK_INT(gate_split_add(&forth, below(9) ? &b : NULL, below(9) ? &h : NULL), 0);
        }
        gate_split_done(&forth);
        check_sum(&forth);
        if (forth.merge_cache)
            CHECK(forth.part[GATE_CACHE] == 0);
    }
}

/* Petabytes of tokens do not overflow. */
static void large(void) {
    struct prices p = plain();
    struct usage b = make(USAGE_MOST / 4, USAGE_MOST / 8, 0, USAGE_MOST / 3);
    struct usage h = make(USAGE_MOST / 3, USAGE_MOST / 16, 5, USAGE_MOST / 5);
    split(&p, b, h);
}

int main(void) {
    RUN(one_factor_at_a_time);
    RUN(two_factors);
    RUN(one_side_alone);
    RUN(no_price);
    RUN(empty_sides);
    RUN(all_orders);
    RUN(random_usages);
    RUN(large);
    return check_done();
}
