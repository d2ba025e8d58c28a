/* num.h - numbers from the command line, checked to the last character
 *
 * Each returns 0, or -1 when s is no number, has trailing garbage, or lies outside [min, max]. */
#ifndef NUM_H
#define NUM_H

#include <stdint.h>

int num_int(const char *s, int64_t min, int64_t max, int64_t *out);
int num_float(const char *s, double min, double max, double *out);
/* With an optional suffix: K, M, G, T (powers of 1000), Ki, Mi, Gi, Ti (of 1024). */
int num_size(const char *s, int64_t min, int64_t max, int64_t *out);

#endif
