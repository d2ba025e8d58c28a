/* growth.h - what tokens cost at which length, read from measurements
 *
 *     struct growth *g = growth_new();
 *     if (growth_read(g, "run.jsonl", &err)) ...
 *     growth_finish(g);
 *     for (size_t i = 0; i < growth_count(g); i++) {
 *         const struct growth_points *p = growth_get(g, i);
 *         fit_growth(p->x, p->y, p->n, p->group, p->groups, &boot, &fit);
 *     }
 *     growth_free(g);
 *
 * A point of prefill is a whole prompt: x its tokens, y what they cost together. A point of decode
 * is a token: x how many tokens came before it, y what it cost. What the text is, is sniffed, plain
 * or zstd; any mixture of:
 *
 *   step records       of llm-run, llm-trace(5): a prompt's passes add up. Passes that several
 *                      requests share say nothing about one length and are left out, and so are
 *                      prompts of which a part was cached
 *   request records    of llm-bench serve and of runs without steps: prefill from the time to the
 *                      first token (ttft_sent_ms, else ttft_ms or ttft_ns), decode from the mean
 *                      time of the others (tpot_ms, or total_ns) at the middle of the answer.
 *                      Failed ones and warm-up are left out
 *   rows               of llm-bench model, JSON Lines or tab-separated: each sample is a point;
 *                      and llama-bench's JSON Lines
 *   two columns        length and cost, blanks or a comma between them; # begins a comment
 */
#ifndef GROWTH_H
#define GROWTH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum growth_phase { GROWTH_PREFILL, GROWTH_DECODE, GROWTH_DATA, GROWTH_PHASES };
/* Nanoseconds; FLOPs; bytes of weights and KV cache read and written; joules; as it stands. */
enum growth_cost { GROWTH_NS, GROWTH_FLOPS, GROWTH_BYTES, GROWTH_JOULES, GROWTH_Y, GROWTH_COSTS };

struct growth_points {
    enum growth_phase phase;
    enum growth_cost cost;
    double *x, *y;              /* [n] x >= 0, y > 0 */
    uint32_t *group;            /* [n] what was measured together, see boot.h */
    size_t n;
    uint32_t groups;
};

/* What was left out, and why. */
struct growth_left {
    int64_t shared;             /* steps that held several requests */
    int64_t cached;             /* prompts of which a part was cached */
    int64_t broken;             /* prompts whose steps are not all there; failed requests */
    int64_t mixtures;           /* rows of prefill and decode together, or of parallel sequences */
    int64_t unknown;            /* lines of JSON and rows of other kinds */
};

struct growth;

struct growth *growth_new(void);
/* Adds a file's points. -1: err names file, line, what was expected and found. */
int growth_read(struct growth *g, const char *path, struct err *err);
/* Sets the groups, once after the last file: requests; but when there are few, each is cut into
 * runs of consecutive tokens, some 40 groups together, as what disturbs a measurement lasts longer
 * than a token; and of more than 1000, neighbours are one group. */
void growth_finish(struct growth *g);
size_t growth_count(const struct growth *g);
/* Those that have points, ordered by phase and cost. Borrowed until growth_free. */
const struct growth_points *growth_get(const struct growth *g, size_t i);
const struct growth_left *growth_left(const struct growth *g);
void growth_free(struct growth *g);                     /* NULL is fine */

const char *growth_phase_name(enum growth_phase phase);     /* "prefill", "decode", "data" */
const char *growth_cost_name(enum growth_cost cost);        /* "ns", ..., "y" */

#endif
