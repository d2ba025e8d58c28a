/* gate_split.h - a change in money taken apart: price, volume, mix, cache
 *
 *     struct gate_split s = {.price = fn, .arg = books};
 *     while (...)
 *         gate_split_add(&s, &base, &head);    // usages of a case; NULL where a side has none
 *     gate_split_done(&s);
 *     s.part[GATE_PRICE] + s.part[GATE_VOLUME] + s.part[GATE_MIX] + s.part[GATE_CACHE]
 *         == s.head - s.base, to the pico-dollar
 *
 * Four things can change between two requests of one case:
 *
 *     price    the book and the time that prices are of
 *     volume   how many tokens, prompt and output together, and how much of what is no token:
 *              requests, seconds, searches, storage
 *     mix      which share of the tokens was made (output and reasoning, by modality), by which
 *              model, service, region and speed
 *     cache    which share of the prompt was fresh, read from a cache, written to one, by modality
 *              and life
 *
 * A bill is not linear in them (tiers, minimums), and what one is worth depends on whether the
 * others have changed already. So every one of the 16 mixtures of base and head is priced, tokens
 * rounded to whole ones, and each part is what its change adds on average over all 24 orders in
 * which the four may happen (Shapley 1953; for two factors Bennet's mean of both ends): symmetric,
 * without a rest, and 0 for what did not change. Twelfths of a pico-dollar are kept until the end;
 * then the parts are rounded so that they still add up (largest remainder).
 *
 * A request that one side alone has is volume. Without the cache as a part of its own (merge_cache)
 * it belongs to the mix.
 */
#ifndef GATE_SPLIT_H
#define GATE_SPLIT_H

#include "lib/cost/money.h"
#include "lib/cost/usage.h"

enum gate_part { GATE_PRICE, GATE_VOLUME, GATE_MIX, GATE_CACHE, GATE_PARTS };
const char *gate_part_name(int part);           /* "price", ... */

/* Prices a usage with the prices of base (side 0) or head (1): 1, or 0 when there is no price for
 * it, which ends the split. */
typedef int gate_price(void *arg, int side, const struct usage *u, money *usd);

struct gate_split {
    gate_price *price;
    void *arg;
    int merge_cache;            /* 1: the cache is a part of the mix */
    money twelfths[GATE_PARTS];
    money base, head;           /* totals so far */
    int64_t pairs, only_base, only_head;
    money part[GATE_PARTS];     /* once done */
};

/* 0, or -1 when something has no price: then the split is as it was. */
int gate_split_add(struct gate_split *s, const struct usage *base, const struct usage *head);
void gate_split_done(struct gate_split *s);

#endif
