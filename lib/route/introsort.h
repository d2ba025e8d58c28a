/* introsort.h - sorts as std::sort of GCC's C++ library does, among equals too
 *
 * An order of equals is part of some published answers: PyTorch's sort on the CPU, unless it is
 * asked to be stable, is that std::sort, and so its answers depend on every exchange that the
 * algorithm makes. It is introsort (Musser, "Introspective sorting and selection algorithms",
 * 1997): quicksort around the median of the second, the middle and the last, down to 16 elements;
 * heapsort where that goes 2 log2 n deep; insertion sort at last.
 */
#ifndef INTROSORT_H
#define INTROSORT_H

#include <stdint.h>

/* Ascending by the upper 32 bits alone; the lower 32 go along and are not compared. */
void introsort(uint64_t *x, int n);

#endif
