/* route.h - the pieces of llm-route
 *
 *   llm-route.c            the verbs
 *   route_options.c        what verbs share: the trace and what to take of it
 *   route_stats.c          stats: load, overlap, reuse, experts that go together
 *   route_diff.c           diff: whether two traces or parts are routed differently
 *   route_place.c          place: experts onto ranks, with replicas
 *   route_replay.c         replay: caches of experts, every policy and budget
 *   route_speculate.c      speculate: whether drafts pay on this mixture of experts
 *   route_requests.c       requests: a model for each request
 *   route_pick.c           requests pick: the same for a stream, within a budget
 *
 * A verb is a function that takes its own argc and argv (argv[0] is "llm-route VERB") and returns
 * the exit status. Everything here may end the program with die().
 */
#ifndef ROUTE_H
#define ROUTE_H

#include "cmd/common.h"
#include "cmd/fields.h"
#include "lib/trace/routed.h"

int route_stats(int argc, char **argv);
int route_diff(int argc, char **argv);
int route_place(int argc, char **argv);
int route_replay(int argc, char **argv);
int route_speculate(int argc, char **argv);
int route_requests(int argc, char **argv);
int route_requests_pick(int argc, char **argv);

/* ---- options that verbs share -----------------------------------------------------------
 *
 *     static const struct option longs[] = {COMMON_LONG, FIELDS_LONG, ROUTE_INPUT_LONG,
 *         {"by", required_argument, NULL, OPT_BY}, {NULL, 0, NULL, 0}};
 *     struct route_input in = {0};
 *     while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
 *         if (!common_option(c, optarg, &o.common, usage) &&
 *             !fields_option(c, optarg, &o.common) &&
 *             !route_input_option(c, optarg, &in)) switch (c) { case OPT_BY: ... }
 *     route_input_ready(&in);
 *     path = common_inputs(argc, argv, usage, 1, &n);
 *     set = route_read(path[0], &in);
 */

enum {
    OPT_WHERE = OPT_FIRST_FREE, OPT_LABELS, OPT_EXPERTS, OPT_SHAPE,
    OPT_VERB                    /* a verb's own options begin here */
};

#define ROUTE_INPUT_LONG \
    {"where", required_argument, NULL, OPT_WHERE}, \
    {"labels", required_argument, NULL, OPT_LABELS}, \
    {"experts", required_argument, NULL, OPT_EXPERTS}, \
    {"shape", required_argument, NULL, OPT_SHAPE}
#define ROUTE_INPUT_USAGE \
    "Routes\n" \
    "      --where COL=VALUE  only what holds it: request, step, position (a value, list or\n" \
    "                         range 10-19), phase (prefill, decode), a column of the labels or\n" \
    "                         of a count table; repeat: all must hold\n" \
    "      --labels FILE      table that has a column request, and columns that say what it is\n" \
    "      --experts N        of a layer (default: what the input says, else the largest seen)\n" \
    "      --shape SHAPE      model that says bytes and layers where the input does not: known\n" \
    "                         (qwen3-30b-a3b, deepseek-v3, ...), GGUF, config.json, run trace\n"

#define ROUTE_WHERES 16
struct route_input {
    struct routed_options routed;       /* once ready */
    const char *where[ROUTE_WHERES];
    int wheres;
    struct shape *shape;                /* NULL: none given */
};
int route_input_option(int c, const char *arg, struct route_input *in);
void route_input_ready(struct route_input *in);
void route_input_free(struct route_input *in);
/* All tokens, or the program ends with a line. */
struct routed_set *route_read(const char *path, const struct route_input *in);

#endif
