/* gate_policy.h - what a regression gate asks for: metrics, margins, levels; llm-gate(5)
 *
 *     struct gate_policy *p = gate_policy_find("gate.policy", &err);     // NULL: the built-in one
 *     struct gate_rule rule;
 *     gate_policy_rule(p, "usd", "usd", &rule);
 *     gate_policy_free(p);
 *
 * A policy is text, a statement a line:
 *
 *     level   0.95                     # of all intervals; tests are at 1 - level
 *     holm    on                       # correct p-values for the number of metrics
 *     missing fail                     # cases that head has lost: fail, warn, ignore
 *     pairs   key=id                   # the field whose value names a case
 *     book    starter                  # prices both sides
 *     at      2026-11-24               # prices of that day
 *     shape   llama-3.1-8b             # FLOPs and KV bytes of prompts
 *     cache   on                       # the cache is a part of its own of a change in money
 *     metric  usd margin=2% layer=paired direction=lower action=fail min_n=6
 *     metric  ttft margin=5% action=warn unit=ms
 *     metric  * action=ignore
 *
 * Metric lines are matched from the top, the first that fits counts; what it leaves open is the
 * built-in value of the metric (gate_policy_default), but for the action, which is to fail where
 * the line has the name itself and not a pattern. A metric that no line fits is shown and not
 * judged. Without a policy every metric is judged by its built-in values.
 */
#ifndef GATE_POLICY_H
#define GATE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum gate_layer {
    GATE_DETERMINISTIC,       /* exact: any change is real */
    GATE_PAIRED,              /* by case: bootstrap, flips of signs */
    GATE_UNPAIRED             /* by samples: Mann and Whitney, Hodges and Lehmann */
};
enum gate_better { GATE_LOWER, GATE_HIGHER };
enum gate_action { GATE_ACT_FAIL, GATE_ACT_WARN, GATE_ACT_IGNORE };

const char *gate_layer_name(int layer);       /* "deterministic", ... */
const char *gate_action_name(int action);     /* "fail", "warn", "ignore" */

struct gate_rule {
    int layer, better, action;
    double margin;              /* 0.02: up to 2 % worse is not worse */
    double each;                /* deterministic: no single case more than that worse; NAN: any */
    double level;               /* of the interval */
    int64_t min_n;              /* fewer cases or samples say nothing; 0: what the test takes */
    double effect;              /* a regression that --plan wants found; NAN: margin and as much
                                 * again, 5 % where the margin is 0 */
    int named;                  /* a line has its name, not a pattern: it must have samples */
};

struct gate_line {            /* a metric line: what it says itself; NAN, -1, NULL: nothing */
    char *name;                 /* a name, or a pattern with * ? [] */
    char *unit;
    int line;                   /* of the text */
    int layer, better, action;
    double margin, each, level, effect;
    int64_t min_n;
};

struct gate_policy {
    char *path;
    double level;
    int holm, cache;            /* 1: on */
    int missing;                /* enum gate_action */
    char *key;                  /* "id" */
    char *book, *shape;         /* NULL: not said */
    int64_t at_ns;              /* INT64_MIN: not said */
    struct gate_line *metric;
    size_t metrics;             /* 0: the built-in policy; a file has one at least */
};

/* A file, plain or zstd; "-" is stdin; NULL the built-in policy. NULL on error: err names file,
 * line, what was expected and found. Two lines for one name and unit are an error. */
struct gate_policy *gate_policy_find(const char *path, struct err *err);
struct gate_policy *gate_policy_parse(const char *path, const char *text, size_t len,
                                      struct err *err);
void gate_policy_free(struct gate_policy *p);             /* NULL is fine */

#define GATE_UNSAID (-1)

/* How a metric of this name and unit is judged; 0: no line fits, the action is GATE_ACT_IGNORE.
 * better: what a measurement says of itself, enum gate_better or GATE_UNSAID. */
int gate_policy_rule(const struct gate_policy *p, const char *name, const char *unit, int better,
                     struct gate_rule *out);
/* Built-in values: those of llm-gate(5)'s metrics; any other is unpaired, and its direction is what
 * it says itself, else what its unit tells (tok/s: higher is better). */
struct gate_rule gate_policy_default(const char *name, const char *unit, int better);

#endif
