/* growth_impl.h - between growth.c (files, points), growth_record.c (text) and growth_take.c (what
 * records mean)
 */
#ifndef GROWTH_IMPL_H
#define GROWTH_IMPL_H

#include "lib/base/mem.h"
#include "lib/bench/growth.h"
#include "lib/trace/reqs_json.h"

/* Numbers and words that records hold; growth_record.c has their names in the same order. */
enum {
    R_TOKENS, R_POSITION, R_NS, R_FLOPS_ATTENTION, R_FLOPS_DENSE, R_FLOPS_EXPERTS, R_FLOPS_HEAD,
    R_DENSE_READ, R_EXPERTS_READ, R_KV_READ, R_KV_WRITE, R_JOULES, R_REQUEST, R_REQUESTS,
    R_INPUT, R_OUTPUT, R_CACHED, R_TTFT_NS, R_TOTAL_NS, R_TTFT_MS, R_TTFT_SENT_MS, R_TPOT_MS,
    R_DEPTH, R_PARALLEL, R_FLOPS_PER_TOKEN, R_WEIGHT_PER_TOKEN, R_KV_READ_PER_TOKEN,
    R_KV_WRITE_PER_TOKEN, R_JOULES_PER_TOKEN, R_VALUE, R_N_PROMPT, R_N_GEN, R_N_DEPTH, R_AVG_NS,
    R_NUMBERS
};
enum { R_TYPE, R_PHASE, R_END, R_NAME, R_UNIT, R_WORDS };

struct growth_record {
    double number[R_NUMBERS];           /* NAN: not there, or not a number */
    struct reqs_text word[R_WORDS];     /* .len 0: not there; in the line that was read */
    int warmup;
    double *sample;                     /* [samples] of "samples" or "samples_ns" */
    size_t samples, sample_room;
    uint32_t *prefill;                  /* [prefills] requests whose prompts share the step */
    size_t prefills, prefill_room;
};

/* One JSON object up to the line's end. 0, or -1 and j says where and what. */
int growth_record_json(struct growth_record *r, struct json *j);
/* What the name of a member or column stands for: an index into number, R_NUMBERS + an index into
 * word, one of these, or -1. */
enum { GROWTH_SAMPLES = R_NUMBERS + R_WORDS, GROWTH_WARMUP, GROWTH_ROWS };
int growth_record_field(const char *name, size_t len);
void growth_record_clear(struct growth_record *r);
/* A cell of a column; cells that are no numbers where numbers stand are left out. */
void growth_record_cell(struct growth_record *r, int field, char *text);
void growth_record_free(struct growth_record *r);

/* A prompt of which some steps have been seen. */
struct growth_prompt {
    uint32_t request;
    int whole;                          /* all its steps so far were its own, from position 0 */
    double tokens, cost[GROWTH_COSTS];
};

struct growth_slot {                    /* open addressing; units start from 1 here, 0 is free */
    uint32_t request, unit;
};

struct growth {
    struct growth_points points[GROWTH_PHASES][GROWTH_COSTS];
    size_t room[GROWTH_PHASES][GROWTH_COSTS];
    struct growth_left left;
    struct growth_prompt *prompt;       /* [prompts] open ones */
    size_t prompts, prompt_room;
    int steps;                          /* this run has step records */
    uint32_t units;                     /* requests and samples so far, not yet groups */
    struct growth_slot *slot;           /* [slots, a power of two] this run's requests */
    size_t slots, slots_used;
};

/* A point measured as part of `unit`; points that are no measurement (y <= 0) are left out. */
void growth_add(struct growth *g, enum growth_phase phase, enum growth_cost cost, double x,
                double y, uint32_t unit);
void growth_take(struct growth *g, const struct growth_record *r);
void growth_end_run(struct growth *g);          /* prompts that are still open end */

#endif
