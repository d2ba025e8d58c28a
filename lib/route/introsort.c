/* introsort.c - see introsort.h; each exchange is one that counts */
#include "lib/route/introsort.h"

#define SMALL 16                /* elements that are left to the insertion sort */

static int before(uint64_t a, uint64_t b) {
    return (uint32_t)(a >> 32) < (uint32_t)(b >> 32);
}

static void swap(uint64_t *a, uint64_t *b) {
    uint64_t t = *a;
    *a = *b;
    *b = t;
}

/* ---- heapsort ----------------------------------------------------------------------------- */

/* The hole goes down to a leaf by the larger children, then value up from there. */
static void sift(uint64_t *x, int n, int hole, uint64_t value) {
    int top = hole;
    while (2 * hole + 2 < n) {
        int child = 2 * hole + 2;
        if (before(x[child], x[child - 1]))
            child--;
        x[hole] = x[child];
        hole = child;
    }
    if (2 * hole + 2 == n) {
        x[hole] = x[n - 1];
        hole = n - 1;
    }
    for (int parent; hole > top && before(x[parent = (hole - 1) / 2], value); hole = parent)
        x[hole] = x[parent];
    x[hole] = value;
}

static void heapsort_all(uint64_t *x, int n) {
    for (int parent = n / 2 - 1; parent >= 0; parent--)
        sift(x, n, parent, x[parent]);
    for (int last = n - 1; last > 0; last--) {
        uint64_t value = x[last];
        x[last] = x[0];
        sift(x, last, 0, value);
    }
}

/* ---- quicksort ---------------------------------------------------------------------------- */

/* Of a, b and c the one in the middle, swapped with first. */
static void median_to(uint64_t *first, uint64_t *a, uint64_t *b, uint64_t *c) {
    uint64_t *middle;
    if (before(*a, *b))
        middle = before(*b, *c) ? b : before(*a, *c) ? c : a;
    else
        middle = before(*a, *c) ? a : before(*b, *c) ? c : b;
    swap(first, middle);
}

/* Parts x[1..n) around x[0], which is a median, so that neither scan runs out. Returns where the
 * right part begins. */
static int part(uint64_t *x, int n) {
    int left = 1;
    int right = n;
    for (;;) {
        while (before(x[left], x[0]))
            left++;
        do
            right--;
        while (before(x[0], x[right]));
        if (left >= right)
            return left;
        swap(&x[left++], &x[right]);
    }
}

static void quicksort(uint64_t *x, int n, int depth) {
    while (n > SMALL) {
        if (depth-- == 0) {
            heapsort_all(x, n);
            return;
        }
        median_to(x, x + 1, x + n / 2, x + n - 1);
        int cut = part(x, n);
        quicksort(x + cut, n - cut, depth);
        n = cut;
    }
}

/* Stable. */
static void insertion(uint64_t *x, int n) {
    for (int i = 1; i < n; i++) {
        uint64_t value = x[i];
        int to = i;
        for (; to > 0 && before(value, x[to - 1]); to--)
            x[to] = x[to - 1];
        x[to] = value;
    }
}

void introsort(uint64_t *x, int n) {
    int log = 0;
    while (n >> log > 1)
        log++;
    quicksort(x, n, 2 * log);
    insertion(x, n);
}
