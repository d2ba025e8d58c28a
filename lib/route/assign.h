/* assign.h - the cheapest way to give each of n workers one of n jobs
 *
 *     int64_t cost = assign_least(matrix, n, job);        // worker i does job[i]
 *
 * The Hungarian method (Kuhn, "The Hungarian method for the assignment problem", 1955) by shortest
 * augmenting paths (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and
 * sparse linear assignment problems", 1987): exact, O(n^3).
 */
#ifndef ASSIGN_H
#define ASSIGN_H

#include <stdint.h>

/* cost [n][n] of worker and job, each of size below 2^40. Returns the sum of the costs. */
int64_t assign_least(const int64_t *cost, int n, int32_t *job);

#endif
