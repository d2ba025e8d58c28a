/* llm-cost.c - from tokens to FLOPs, bytes, joules and money, explained to the last rule
 *
 * The first word is the job; each job is one file (see cost.h).
 */
#include "cmd/cost.h"
#include "cmd/verbs.h"

static const struct verb verbs[] = {
    {"price", cost_price, "usage in, bill out: rows, or sums by model, day, session"},
    {"explain", cost_explain, "what one request costs, and every rule that fired"},
    {"bound", cost_bound, "the least and the most that books and tiers make of the same usage"},
    {"breakeven", cost_breakeven, "which way to pay a trace is cheapest, by volume"},
    {"forecast", cost_forecast, "the bill of a period to come, against a budget and caps"},
    {"book", cost_book, "price books: list, show, lint, diff, as of a day"},
    {"model", cost_model, "FLOPs, bytes and parameters of a model, however it is served"},
    {"curve", cost_curve, "what a request costs by its length, and the next token"},
    {"estimate", cost_estimate, "time, energy and money of a request on a device"},
    {"profile", cost_profile, "a measured run into the ledger: FLOP, byte, second, joule, dollar"},
    {"diff", cost_diff, "what changed between two runs, and where the money went"},
    {"check", cost_check, "the regression gate: exit 3 worse, 4 cannot be told, 0 neither"},
    {"carbon", cost_carbon, "joules to CO2: measured, modelled, by formula; training paid back"},
    {"agent", cost_agent, "a context over turns and days: recomputed, cached or kept"},
    {0},
};

static const char usage_head[] =
    "usage: llm-cost VERB [OPTION]... [FILE]...\n"
    "Turns tokens into FLOPs, bytes, joules and money, and says by which rules.\n\n";
static const char usage_tail[] =
    "\n'llm-cost VERB --help' lists the options of a verb; llm-cost(1) explains them, and\n"
    "llm-book(5) the price books.\n";

int main(int argc, char **argv) {
    const struct verbs all = {.program = "llm-cost", .head = usage_head, .tail = usage_tail,
                              .verb = verbs};
    return verbs_main(&all, argc, argv);
}
