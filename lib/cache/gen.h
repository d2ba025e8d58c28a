/* gen.h - synthetic request traces: sessions that grow turn by turn
 *
 *     struct gen_options opt = gen_defaults();
 *     opt.sessions = 1000;
 *     struct gen *g = gen_new(&opt);
 *     while (gen_next(g, &q))
 *         gen_print(&text, &q);
 *     gen_free(g);
 *
 * The model: sessions come as a Poisson process. Each begins with one of a few system prompts, of
 * which the k-th most popular is chosen with probability proportional to k^-zipf. The input of a
 * turn is the input before, the output before and new text of the user; so requests of a session
 * share prefixes, and sessions share system prompts. The number of turns is geometric; lengths and
 * think times are log-normal with the given means.
 *
 * Prefix blocks: an id stands for a block and all that is before it. The first len / block_tokens
 * blocks of an input are full ones, which the session's next input has again; what is left over is
 * one more block, which the next input overwrites: it is another id there. Ids are dense, in the
 * order of first appearance.
 *
 * The same options give the same bytes on every machine: random numbers are integers (SplitMix64:
 * Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), one stream
 * for each session and system prompt, and what is made of them uses only operations that IEEE 754
 * rounds exactly (+ - * / and the square root; none contracted), with a logarithm and an
 * exponential of our own, where those of C libraries differ in the last bit.
 * Memory grows with the sessions that are open, not with the length of the trace.
 */
#ifndef GEN_H
#define GEN_H

#include <stdint.h>

#include "lib/base/mem.h"

#define GEN_MOST 1e12           /* no mean may be larger: tokens, seconds */
#define GEN_LEAST_CONTEXT 3     /* a token each of system prompt, user and output */

struct gen_options {
    int64_t sessions;           /* at least 1 */
    uint64_t seed;
    double turns;               /* mean of a session, at least 1; a full context ends it sooner */
    double rate;                /* sessions a second, above 0 */
    double think_s;             /* mean time from a request of a session to its next */
    int64_t systems;            /* system prompts; 0: sessions share nothing */
    double system_tokens;       /* mean length */
    double zipf;                /* exponent of their popularity, at least 0 */
    double user_tokens;         /* mean of what the user adds in a turn */
    double output_tokens;       /* mean of a reply */
    double spread;              /* sigma of the logarithm of lengths and think times; 0: constant */
    int64_t context;            /* most tokens of an input and its output, GEN_LEAST_CONTEXT up */
    int64_t block_tokens;       /* at least 1 */
};

/* Some chat traffic: 100 sessions of 5 turns, one a second, with the lengths of llm-cache gen. */
struct gen_options gen_defaults(void);

struct gen_request {
    int64_t time_ms;            /* since the start of the first session's clock; never decreases */
    int64_t session;            /* from 0, in the order of their first requests */
    int64_t turn;               /* of the session, from 0 */
    int64_t system;             /* prompt, 0 the most popular; -1: none */
    int64_t input_tokens, output_tokens;
    const uint64_t *block;      /* [blocks] borrowed until the next call */
    int64_t blocks;
};

struct gen;

struct gen *gen_new(const struct gen_options *opt);
/* 1 and the next request in the order of time, then session; 0 after the last. */
int gen_next(struct gen *g, struct gen_request *out);
void gen_free(struct gen *g);                           /* NULL is fine */
/* Appends the request as a line of Mooncake's format with a session_id. */
void gen_print(struct buf *out, const struct gen_request *q);

#endif
