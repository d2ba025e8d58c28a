/* budget.h - one choice for each item, so that the sum of bytes holds and the sum of costs is least
 *
 *     int *pick = ...;
 *     if (budget_solve(items, n, bytes, pick)) ...        // even the smallest choices are too much
 *
 * The multiple-choice knapsack (Sinha and Zoltners, "The multiple-choice knapsack problem",
 * Operations Research 27, 1979): first one price of a byte for all items, at which each takes what
 * is cheapest in cost and price together; the bytes that this leaves are spent on the steps, and
 * swaps of two items, that save most.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdint.h>

#define BUDGET_CHOICES 24

struct budget_item {
    int choices;                        /* at least 1 */
    int64_t bytes[BUDGET_CHOICES];
    double cost[BUDGET_CHOICES];        /* finite, at least 0 */
};

/* pick[n] = the choice of each item. -1: no choice of theirs fits; pick is then the smallest. */
int budget_solve(const struct budget_item *item, int n, int64_t bytes, int *pick);
int64_t budget_bytes(const struct budget_item *item, int n, const int *pick);
double budget_cost(const struct budget_item *item, int n, const int *pick);

#endif
