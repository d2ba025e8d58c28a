/* llm-cache.c - replay KV-cache traces through every policy, size and tier
 *
 * The first word is the job; each job is one file (see cache.h).
 */
#include "cmd/cache.h"
#include "cmd/verbs.h"

static const struct verb verbs[] = {
    {"replay", cache_replay, "every policy at every size: hits, evictions, FLOPs saved"},
    {"curve", cache_curve, "hit ratios at every capacity or time to live, in one pass"},
    {"paged", cache_paged, "paging against contiguous allocation: waste, batch, queue"},
    {"tiers", cache_tiers, "GPU, host, disk: hits of each tier, loading against computing"},
    {"provider", cache_provider, "prompt caches as they are sold: cost and break-even"},
    {"semantic", cache_semantic, "answers reused for similar questions, by threshold"},
    {"gen", cache_gen, "write a synthetic trace: sessions that grow turn by turn"},
    {0},
};

static const char usage_head[] =
    "usage: llm-cache VERB [OPTION]... [TRACE]\n"
    "Replays request traces through prefix and paged KV caches.\n\n";
static const char usage_tail[] =
    "\nTRACE is plain or zstd; without one, or with -, stdin is read. 'llm-cache VERB --help' lists\n"
    "the options of a verb, llm-cache(1) explains them, llm-requests(5) the traces.\n";

int main(int argc, char **argv) {
    const struct verbs all = {.program = "llm-cache", .head = usage_head, .tail = usage_tail,
                              .verb = verbs};
    return verbs_main(&all, argc, argv);
}
