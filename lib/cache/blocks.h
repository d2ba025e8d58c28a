/* blocks.h - a trace in memory as what caches see of it: requests of dense block numbers
 *
 *     struct blocks *b = blocks_load("trace.jsonl", &(struct reqs_options){0}, NULL, NULL, &err);
 *     for (int64_t r = 0; r < b->requests; r++)
 *         see(b->id + b->first[r], b->first[r + 1] - b->first[r]);
 *     blocks_free(b);
 *
 * 4 bytes for an access, some 36 for a request, some 22 for a unique block.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/trace/reqs.h"

#define BLOCKS_NONE UINT32_MAX

struct blocks {
    int64_t requests, accesses;
    uint32_t unique;
    uint32_t *id;               /* [accesses] numbered in the order of first appearance */
    int64_t *first;             /* [requests + 1] offsets into id */
    int64_t *input;             /* [requests] tokens; where not said, those of its blocks */
    int64_t *output;            /* [requests] tokens; 0 where not said */
    int64_t *time_ns;           /* [requests] not decreasing; NULL: the trace has no times */
    uint32_t *session;          /* [requests] or REQS_NO_SESSION; NULL: the trace has none */
    uint32_t sessions;
    char **session_name;        /* [sessions] */
    uint32_t *parent;           /* [unique] the block before it where it first stood; BLOCKS_NONE:
                                 * it was the first */
    uint32_t *depth;            /* [unique] blocks before it where it first stood */
    int64_t longest;            /* blocks of the longest request */
    int64_t input_tokens, output_tokens;    /* sums */
    int block_tokens;           /* at least 1 */
    uint32_t *next;             /* [accesses] of each, the next access to its block; BLOCKS_NONE:
                                 * there is none. NULL until blocks_find_next */
    struct reqs_totals totals;
};

/* Reads a whole trace. progress (may be NULL) is called now and then with the bytes read; not 0
 * cancels. A trace without block ids is refused with a line that says what it lacks, one whose
 * block size is needed and unknown asks for it. NULL on error. */
struct blocks *blocks_load(const char *path, const struct reqs_options *opt,
                           int (*progress)(void *arg, int64_t bytes), void *arg,
                           struct err *err);
void blocks_free(struct blocks *b);                     /* NULL is fine */
/* Fills next, 4 bytes an access: for policies that know the future. */
void blocks_find_next(struct blocks *b);

#endif
