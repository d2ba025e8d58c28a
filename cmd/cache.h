/* cache.h - the pieces of llm-cache
 *
 *   llm-cache.c        the verbs
 *   cache_options.c    what verbs share: the trace, the model, sizes and times on a command line
 *   cache_replay.c     replay: every policy, every size
 *   cache_curve.c      curve: all capacities, all times to live in one pass
 *   cache_paged.c      paged: paging against contiguous allocation
 *   cache_tiers.c      tiers: GPU, host, disk
 *   cache_provider.c   provider: prompt caches as they are sold
 *   cache_semantic.c   semantic: answers reused for similar questions
 *   cache_gen.c        gen: synthetic traces
 *
 * A verb is a function that takes its own argc and argv (argv[0] is "llm-cache VERB") and returns
 * the exit status. Everything here may end the program with die().
 */
#ifndef CACHE_H
#define CACHE_H

#include <stdint.h>

#include "cmd/common.h"
#include "lib/cache/blocks.h"
#include "lib/shape/shape.h"

int cache_replay(int argc, char **argv);
int cache_curve(int argc, char **argv);
int cache_paged(int argc, char **argv);
int cache_tiers(int argc, char **argv);
int cache_provider(int argc, char **argv);
int cache_semantic(int argc, char **argv);
int cache_gen(int argc, char **argv);

/* ---- options that verbs share -----------------------------------------------------------
 *
 *     static const struct option longs[] = {COMMON_LONG, CACHE_TRACE_LONG, CACHE_MODEL_LONG,
 *         {"policy", required_argument, NULL, OPT_POLICY}, {NULL, 0, NULL, 0}};
 *     while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
 *         if (!common_option(c, optarg, &o.common, usage) && !cache_trace_option(c, optarg, &o.in)
 *             && !cache_model_option(c, optarg, &o.model)) switch (c) { case OPT_POLICY: ... }
 */

enum {
    OPT_BLOCK_TOKENS = OPT_FIRST_FREE, OPT_SKIP_BAD, OPT_SHAPE, OPT_KV_TYPE,
    OPT_VERB                    /* a verb's own options begin here */
};

#define CACHE_TRACE_LONG \
    {"block-tokens", required_argument, NULL, OPT_BLOCK_TOKENS}, \
    {"skip-bad", no_argument, NULL, OPT_SKIP_BAD}
#define CACHE_TRACE_USAGE \
    "Trace\n" \
    "      --block-tokens N   tokens of a block (default: what the trace says or implies)\n" \
    "      --skip-bad         count and pass broken lines\n"

struct cache_trace {
    const char *path;           /* "-" is stdin */
    struct reqs_options reqs;
};
int cache_trace_option(int c, const char *arg, struct cache_trace *in);
/* The operand after the options, stdin without one; a terminal in its place prints the usage and
 * ends the program, as does a second operand. */
void cache_trace_operand(int argc, char **argv, const char *const *usage, struct cache_trace *in);
/* Says on stderr what was passed over in the trace: broken lines, times that went back. */
void cache_trace_warn(const struct cache_trace *in, const struct reqs_totals *t, int quiet);
/* Loads all of it with a progress bar, and warns; dies when it cannot. */
struct blocks *cache_load(const struct cache_trace *in, const struct common *common);
/* 1, with a warning, when no block is left to count behind the first `warmup` requests: the verb
 * prints no rows then and ends with EXIT_NOTHING. */
int cache_nothing(const struct cache_trace *in, const struct blocks *b, int64_t warmup);
/* Die where `what`, words as in "--by time", needs what the trace does not have. */
void cache_need_times(const struct cache_trace *in, const struct blocks *b, const char *what);
void cache_need_sessions(const struct cache_trace *in, const struct blocks *b);

#define CACHE_MODEL_LONG \
    {"shape", required_argument, NULL, OPT_SHAPE}, \
    {"kv-type", required_argument, NULL, OPT_KV_TYPE}
#define CACHE_MODEL_USAGE \
    "Model\n" \
    "      --shape SHAPE      a known model (llama-3.1-8b, deepseek-v3, ...), GGUF, config.json\n" \
    "                         or its folder, run trace, or numbers: layers=32,d_model=4096,\n" \
    "                         heads=32,kv_heads=8,d_ff=14336\n" \
    "      --kv-type TYPE     f32, f16, bf16, fp8 or q8_0 (default f16)\n"

struct cache_model {
    struct shape *shape;        /* NULL: none given */
    double kv_bits;             /* bits of a KV element */
    double token_bytes;         /* KV bytes of a token over all layers; 0 without a shape */
};
/* Start with {.kv_bits = 16}. */
int cache_model_option(int c, const char *arg, struct cache_model *m);
/* Once all options are read: fills token_bytes. */
void cache_model_ready(struct cache_model *m);

/* A list of cache sizes in blocks: "1000", "5%" of the unique blocks, "128Ki tok" or "2Mtok" in
 * tokens, "64GiB" or "80GB" in bytes (which needs a shape), "inf" for all of them. At least one
 * block each. Ends the program when it is anything else. *n of them; the caller frees. */
int64_t *cache_sizes(const char *option, const char *list, const struct blocks *b,
                     const struct cache_model *m, int *n);
/* "2000", "10%" or "5m": how many requests at the front do not count; NULL: none. */
int64_t cache_warmup(const char *text, const struct cache_trace *in, const struct blocks *b);
/* part / whole; NaN, which is no value, where the whole is not above 0. */
double cache_ratio(double part, double whole);

#endif
