/* budget.c - see budget.h */
#include "lib/quant/budget.h"

#include <math.h>

/* Halvings of the logarithm of a byte's price: enough to part any two choices. */
#define HALVINGS 200
/* Steps and swaps. Each lowers the cost; beyond so many the rest is below what errors are known. */
#define ROUNDS 100

int64_t budget_bytes(const struct budget_item *item, int n, const int *pick) {
    int64_t sum = 0;
    for (int i = 0; i < n; i++)
        sum += item[i].bytes[pick[i]];
    return sum;
}

double budget_cost(const struct budget_item *item, int n, const int *pick) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += item[i].cost[pick[i]];
    return sum;
}

/* What each item takes when a byte costs `price`; of equals the smaller. */
static void take(const struct budget_item *item, int n, double price, int *pick) {
    for (int i = 0; i < n; i++) {
        double least = INFINITY;
        pick[i] = 0;
        for (int c = 0; c < item[i].choices; c++) {
            double sum = item[i].cost[c] + price * (double)item[i].bytes[c];
            if (sum < least || (sum == least && item[i].bytes[c] < item[i].bytes[pick[i]])) {
                least = sum;
                pick[i] = c;
            }
        }
    }
}

static void take_smallest(const struct budget_item *item, int n, int *pick) {
    for (int i = 0; i < n; i++) {
        pick[i] = 0;
        for (int c = 1; c < item[i].choices; c++) {
            int64_t more = item[i].bytes[c] - item[i].bytes[pick[i]];
            if (more < 0 || (more == 0 && item[i].cost[c] < item[i].cost[pick[i]]))
                pick[i] = c;
        }
    }
}

/* The highest price that any step between two choices of an item would pay, with a margin. */
static double highest_price(const struct budget_item *item, int n) {
    double most = 0;
    for (int i = 0; i < n; i++)
        for (int a = 0; a < item[i].choices; a++)
            for (int b = 0; b < item[i].choices; b++)
                if (item[i].bytes[b] > item[i].bytes[a])
                    most = fmax(most, (item[i].cost[a] - item[i].cost[b]) /
                                      (double)(item[i].bytes[b] - item[i].bytes[a]));
    return 2 * most;
}

/* The change of item i alone that lowers the cost most and needs at most `room` more bytes;
 * -1: none. *saved: by how much. */
static int best_step(const struct budget_item *it, int now, int64_t room, double *saved) {
    int best = -1;
    *saved = 0;
    for (int c = 0; c < it->choices; c++) {
        double gain = it->cost[now] - it->cost[c];
        if (it->bytes[c] - it->bytes[now] <= room && gain > *saved) {
            *saved = gain;
            best = c;
        }
    }
    return best;
}

/* One step, or one swap: an item gives bytes and another takes them. 0: nothing lowers the cost. */
static int improve(const struct budget_item *item, int n, int64_t room, int *pick) {
    double most = 0;
    int give = -1;
    int to = 0;
    int taker = -1;
    int taken = 0;
    for (int i = 0; i < n; i++) {
        double saved;
        int c = best_step(&item[i], pick[i], room, &saved);
        if (c >= 0 && saved > most) {
            most = saved;
            give = -1;
            taker = i;
            taken = c;
        }
        for (int a = 0; a < item[i].choices; a++) {
            int64_t freed = item[i].bytes[pick[i]] - item[i].bytes[a];
            double paid = item[i].cost[a] - item[i].cost[pick[i]];
            for (int j = 0; freed > 0 && j < n; j++) {
                c = j == i ? -1 : best_step(&item[j], pick[j], room + freed, &saved);
                if (c >= 0 && saved - paid > most) {
                    most = saved - paid;
                    give = i;
                    to = a;
                    taker = j;
                    taken = c;
                }
            }
        }
    }
    if (taker < 0 || most <= 1e-12 * budget_cost(item, n, pick))
        return 0;
    if (give >= 0)
        pick[give] = to;
    pick[taker] = taken;
    return 1;
}

int budget_solve(const struct budget_item *item, int n, int64_t bytes, int *pick) {
    take_smallest(item, n, pick);
    if (budget_bytes(item, n, pick) > bytes)
        return -1;
    double high = highest_price(item, n);
    double low = high * 1e-30;
    take(item, n, 0, pick);
    if (budget_bytes(item, n, pick) > bytes) {
        for (int h = 0; h < HALVINGS; h++) {
            double price = sqrt(low) * sqrt(high);
            take(item, n, price, pick);
            if (budget_bytes(item, n, pick) > bytes)
                low = price;
            else
                high = price;
        }
        take(item, n, high, pick);
        if (budget_bytes(item, n, pick) > bytes)    /* prices too far apart to be told */
            take_smallest(item, n, pick);
    }
    for (int r = 0; r < ROUNDS; r++)
        if (!improve(item, n, bytes - budget_bytes(item, n, pick), pick))
            break;
    return 0;
}
