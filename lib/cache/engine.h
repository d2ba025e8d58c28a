/* engine.h - private to lib/cache: how many blocks a request takes in an engine's memory
 *
 * sim_vllm.c and sim_sglang.c run one request at a time, from its prompt to its last output
 * token. Tokens fill blocks in order; ids of blocks that hold output tokens are not known.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include "lib/cache/policy.h"

#define ENGINE_NONE UINT32_MAX      /* no slot, no node, no id */

struct engine_request {
    const uint32_t *id;         /* its blocks' numbers */
    int64_t known;              /* full blocks of input that have an id */
    int64_t most;               /* of these, what a hit may cover: never the last input token */
    int64_t prompt;             /* blocks with input tokens in them */
    int64_t need;               /* blocks with any of its tokens in them */
    int64_t full;               /* of these, filled to the last token */
};

static inline int64_t engine_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* id is what stands for b->id, [accesses]. Lengths are cut where sums would overflow: no cache
 * has room for such a request. */
static inline struct engine_request engine_read(const struct blocks *b, const uint32_t *id,
                                                int64_t r) {
    int64_t size = b->block_tokens;
    int64_t input = engine_min(b->input[r], INT64_MAX / 4);
    int64_t tokens = input + engine_min(b->output[r], INT64_MAX / 4);
    struct engine_request q = {.id = id + b->first[r], .prompt = (input + size - 1) / size,
                               .need = (tokens + size - 1) / size, .full = tokens / size};
    q.known = engine_min(b->first[r + 1] - b->first[r], input / size);
    q.most = input ? engine_min(q.known, (input - 1) / size) : 0;
    return q;
}

/* Blocks of memory to keep state for: what is not more than the requests that fit take, all
 * together, may as well be the capacity. 0 with err when that is too many. */
static inline uint32_t engine_slots(const struct sim_setup *s, struct err *err) {
    const struct blocks *b = s->blocks;
    int64_t taken = 1;
    for (int64_t r = 0; r < b->requests && taken < s->capacity; r++) {
        int64_t need = engine_read(b, b->id, r).need;
        taken += need <= s->capacity ? engine_min(need, s->capacity - taken) : 0;
    }
    if (taken < ENGINE_NONE - 1)
        return (uint32_t)taken;
    err_set(err, "requests take more than %u blocks of a cache of %lld", ENGINE_NONE - 2,
            (long long)s->capacity);
    return 0;
}

#endif
