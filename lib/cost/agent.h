/* agent.h - a persistent agent: what its context costs over turns, by what is done with it between
 *
 *     struct agent a = {.turns = 50, .system = 8000, .input = 2000, .output = 500,
 *                       .interval_ns = hour};
 *     for (int64_t i = 0; i < a.turns; i++) {
 *         struct agent_turn t = agent_turn(&a, i);
 *         agent_usage(&a, i, AGENT_CACHED, five_minutes, &usage);
 *     }
 *
 * Each turn sends the whole context again: the system prompt, all inputs and all answers so far.
 * Where it would grow beyond the limit it is compacted: the system prompt and a summary remain.
 */
#ifndef AGENT_H
#define AGENT_H

#include <stdint.h>

#include "lib/cost/usage.h"

struct agent {
    int64_t turns;
    int64_t system;             /* tokens at the front of every prompt */
    int64_t input;              /* that each turn adds: a question, a tool's result */
    int64_t output;             /* that each turn makes */
    int64_t limit;              /* of prompt and output; 0: none */
    int64_t summary;            /* tokens that compaction leaves of a conversation */
    int64_t interval_ns;        /* from one turn to the next */
};

struct agent_turn {
    int64_t shared;             /* tokens that the prompt has in common with the one before */
    int64_t answer;             /* then so many that the model itself made in the turn before */
    int64_t fresh;              /* then so many that nobody has seen */
    int compacted;              /* this turn begins with a summary */
};

/* -1: the system prompt, summary, input and output of one turn are beyond the limit. */
int agent_check(const struct agent *a);
/* Turn i, from 0; in closed form. */
struct agent_turn agent_turn(const struct agent *a, int64_t i);
int64_t agent_prompt(const struct agent_turn *t);           /* tokens */

enum agent_way {
    AGENT_RECOMPUTED,           /* every prompt is fresh */
    AGENT_CACHED,               /* a prefix lives ttl_ns after its last use */
    AGENT_ALIVE,                /* the same, and a short request renews it in time */
    AGENT_STORED                /* kept until the next turn, paid by time */
};

/* What the turn uses; with AGENT_STORED the storage until the next turn too, which the last has
 * not. In a cached way the prompt is read as far as it is shared and alive, the rest is written; an
 * answer is written with the next prompt. */
void agent_usage(const struct agent *a, int64_t i, enum agent_way way, int64_t ttl_ns,
                 struct usage *out);
/* AGENT_ALIVE: how many short requests renew the cache between two turns, and what one of them
 * uses after turn i: the prompt read, one token made. */
int64_t agent_pings(const struct agent *a, int64_t ttl_ns);
void agent_ping(const struct agent *a, int64_t i, struct usage *out);

#endif
