/* llm-bench.c - time kernels, models and servers; compare two results honestly
 *
 * The first word is the job; each job is one file (see bench.h).
 */
#include "cmd/bench.h"
#include "cmd/verbs.h"

static const struct verb verbs[] = {
    {"device", bench_device, "this machine's limits, as a device profile"},
    {"kernels", bench_kernels, "every kernel variant: GFLOP/s, GB/s, share of the limit"},
    {"model", bench_model, "prefill and decode of a model file, beside a peer in turn"},
    {"serve", bench_serve, "load on an OpenAI-compatible server: TTFT, TPOT, goodput"},
    {"null", bench_null, "a server that answers at a given pace, with faults on demand"},
    {"fit", bench_fit, "cost against length: a + b n + c n^2, and the exponent"},
    {"score", bench_score, "right answers for the tokens, joules and money they cost"},
    {"stat", bench_stat, "two results, or two commands in turn, compared"},
    {0},
};

static const char usage_head[] =
    "usage: llm-bench VERB [OPTION]... [FILE]...\n"
    "Times kernels, models and servers, and compares results.\n\n";
static const char usage_tail[] =
    "\n'llm-bench VERB --help' lists the options of a verb; llm-bench(1) explains them, and\n"
    "llm-results(5) the rows that they write.\n";

int main(int argc, char **argv) {
    const struct verbs all = {.program = "llm-bench", .head = usage_head, .tail = usage_tail,
                              .verb = verbs};
    return verbs_main(&all, argc, argv);
}
