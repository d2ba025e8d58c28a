/* array.h - float arrays as .npy files for programs: every failure ends the program */
#ifndef ARRAY_H
#define ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/format/zio.h"

/* "-" is stdout, but not when that is a terminal. */
struct zio *array_open(const char *path);
/* The header of a [rows, columns] array of f4; its numbers follow through array_write. Several
 * arrays may follow each other in one stream. */
void array_begin(struct zio *z, int64_t rows, int64_t columns);
void array_write(struct zio *z, const float *x, size_t n);
void array_close(struct zio *z);

#endif
