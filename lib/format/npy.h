/* npy.h - NumPy .npy arrays (format 1.0 to 3.0; NEP 1), back to back in one stream
 *
 * A dtype is written as numpy's descr: "<f4", or a list of fields for structured arrays:
 *     [('request', '<u4'), ('expert', '<i2', (6, 2))]
 */
#ifndef NPY_H
#define NPY_H

#include <stdint.h>

#include "lib/format/zio.h"

/* Writes one header: descr is a Python literal ("'<f4'" with its quotes, or a field list), shape
 * has dims entries; C order. Data follows through zio_write. Headers are padded to 64 bytes. */
int npy_write_header(struct zio *z, const char *descr, const int64_t *shape, int dims,
                     struct err *err);

#endif
