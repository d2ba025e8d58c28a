/* provider.h - prompt caches as they are sold: what a trace costs under a provider's rules
 *
 *     struct provider_rule rule = provider_presets()[0].rule;
 *     struct provider_tally all;
 *     provider_run(b, &rule, &all, NULL, &err);
 *     ratio = provider_cost(&rule, &all) / provider_uncached(&rule, &all);
 *
 * Prices are in units of the price of a fresh input token. The cache is unlimited; what it holds
 * leaves by age alone. Times to live end with their last nanosecond included.
 *
 * A prompt is cut into the blocks of the trace; T(p) is the number of tokens up to the end of its
 * p-th block, at most its length, rounded down to a multiple of step_tokens. Shorter prefixes than
 * min_tokens are never cached and never hit.
 *
 * Every block (breakpoints 0): a request hits the longest prefix all of whose blocks are alive.
 * Its other blocks are written and live from now on; those hit do so too where hits renew.
 *
 * Breakpoints: a request has at most so many ends, see enum provider_place. It hits the longest
 * prefix that is alive and ends where an earlier request had an end, provided that one of its own
 * ends stands there or not more than lookback blocks behind. The tokens from there to its last end
 * are written, and each end behind the hit lives from now on; where hits renew, the end that was
 * hit and those before it live from now on as well. Whatever lies behind the last end is fresh.
 * The end of a prompt inside a block counts twice: as a whole, for the same prompt again, and at
 * its last full block, which is as far as the blocks of a longer prompt show that they share it.
 *
 * cost = read x hit + write x written + fresh + storage x stored token-hours + output x outputs
 * A token is stored once however many ends need it, from its writing to the last of their ends;
 * what the last requests bought runs out after the trace and is charged to its end.
 */
#ifndef PROVIDER_H
#define PROVIDER_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cache/blocks.h"

/* Where the ends of a request are. With head_tokens one of them stands behind the full blocks of
 * so many tokens, in prompts that are as long, and the others are placed as told. */
enum provider_place {
    PROVIDER_TURNS,             /* at the end of the prompt, and of the longest earlier prompts of
                                 * the trace that it begins with: the turns of a conversation */
    PROVIDER_SPREAD,            /* evenly, the last at the end of the prompt */
    PROVIDER_DOUBLE             /* at its end and behind the largest powers of two of blocks */
};

#define PROVIDER_MOST_BREAKPOINTS 64
#define PROVIDER_FOREVER INT64_MAX

struct provider_rule {
    double read, write;         /* of a token that is hit, that is written */
    double storage;             /* of a token for an hour */
    double output;              /* of an output token; counts on both sides */
    int64_t ttl_ns;             /* above 0; PROVIDER_FOREVER only without storage */
    int renew;                  /* a hit does it, else only writing */
    int64_t min_tokens;
    int64_t step_tokens;        /* at least 1 */
    int breakpoints;            /* 0: every block is an end */
    enum provider_place place;
    int64_t head_tokens;        /* 0: none */
    int64_t lookback;           /* blocks; 0: no limit */
};

struct provider_tally {
    int64_t requests;
    int64_t hit_requests;       /* with any token hit */
    int64_t input_tokens, output_tokens;
    int64_t hit_tokens, written_tokens, fresh_tokens;   /* together: input */
    int64_t expired_tokens;     /* more that had been hit if nothing ever expired */
    double stored_hours;        /* token-hours */
};

struct provider_preset {
    const char *name;
    struct provider_rule rule;
    const char *words;          /* source and date of the numbers */
};

/* Ended by a NULL name. */
const struct provider_preset *provider_presets(void);
const char *const *provider_place_names(void);          /* "turns", ..., NULL */

/* Runs the whole trace. session (may be NULL) is [b->sessions + 1], the last for requests without
 * one; a stored token counts for the session that wrote or renewed it. -1 when the trace has no
 * times. */
int provider_run(const struct blocks *b, const struct provider_rule *rule,
                 struct provider_tally *all, struct provider_tally *session, struct err *err);

/* In units of a fresh input token. */
double provider_cost(const struct provider_rule *rule, const struct provider_tally *t);
double provider_uncached(const struct provider_rule *rule, const struct provider_tally *t);

/* Caching pays exactly when tokens are read more often per token written than this:
 * (write - 1 + storage per written token) / (1 - read). NaN when nothing was written, infinite
 * when reading is not cheaper. */
double provider_breakeven_reads(const struct provider_rule *rule, const struct provider_tally *t);
/* The same as a hit ratio of the input, if as many tokens are hit or written. 0 where even what is
 * never read costs less than without a cache; NaN when reading is not cheaper. */
double provider_breakeven_hits(const struct provider_rule *rule, const struct provider_tally *t);
/* Seconds between two uses of a token up to which storing it costs less than to compute it
 * again: 3600 (1 - read) / storage. NaN without storage. */
double provider_breakeven_interval(const struct provider_rule *rule);
/* The shortest time to live in whole seconds with which caching saves anything on this trace; NaN
 * when none does. Found by doubling, then halving: exact where cost falls as lives get longer. */
double provider_breakeven_ttl(const struct blocks *b, const struct provider_rule *rule);

#endif
