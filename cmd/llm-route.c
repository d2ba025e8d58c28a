/* llm-route.c - what experts did, where they should live, which model a request should go to
 *
 * The first word is the job; each job is one file (see route.h).
 */
#include "cmd/route.h"
#include "cmd/verbs.h"

static const struct verb verbs[] = {
    {"stats", route_stats, "how evenly experts are used, how soon again, which go together"},
    {"diff", route_diff, "how differently two traces or parts are routed, and is it chance"},
    {"place", route_place, "experts onto ranks, with replicas; when to move them"},
    {"replay", route_replay, "caches of experts: every policy and budget, what they read, how long"},
    {"speculate", route_speculate, "whether drafts pay on a mixture of experts"},
    {"requests", route_requests, "a model for each request: routers, cascades, what they save"},
    {0},
};

static const char usage_head[] =
    "usage: llm-route VERB [OPTION]... [FILE]...\n"
    "What the experts did, where they should live, and which model a request should go to.\n\n";
static const char usage_tail[] =
    "\n'llm-route VERB --help' lists the options of a verb; llm-route(1) explains them, and\n"
    "llm-trace(5) the traces.\n";

int main(int argc, char **argv) {
    const struct verbs all = {.program = "llm-route", .head = usage_head, .tail = usage_tail,
                              .verb = verbs};
    return verbs_main(&all, argc, argv);
}
