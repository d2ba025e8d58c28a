/* npy.h - NumPy .npy arrays (format 1.0 to 3.0; NEP 1), back to back in one stream
 *
 * A dtype is written as numpy's descr: "<f4", or a list of fields for structured arrays:
 *     [('request', '<u4'), ('expert', '<i2', (6, 2))]
 *
 * Reading takes arrays of numbers in C order, and streams:
 *
 *     struct npy_reader r = {.z = z};
 *     while ((rc = npy_read_header(&r, &err)) == 1)
 *         for (int64_t i = 0; i < r.shape[0]; i++)
 *             npy_read_floats(&r, row, (size_t)r.shape[1], &err);
 *
 * and, where the caller lends room for their fields, of records:
 *
 *     struct npy_field field[8];
 *     struct npy_reader r = {.z = z, .field = field, .fields_most = 8};
 */
#ifndef NPY_H
#define NPY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/format/zio.h"

/* Writes one header: descr is a Python literal ("'<f4'" with its quotes, or a field list), shape
 * has dims entries; C order. Data follows through zio_write. Headers are padded to 64 bytes. */
int npy_write_header(struct zio *z, const char *descr, const int64_t *shape, int dims,
                     struct err *err);

#define NPY_DIMS 8              /* more dimensions are refused */
#define NPY_RECORD_BYTES (1 << 24)      /* and larger records */

/* A field of a record. */
struct npy_field {
    char name[32];              /* "": padding */
    char kind;                  /* as in npy_reader; 'S' bytes of text, 'V' bytes without meaning */
    int bytes;                  /* of an element */
    int swapped;
    int dims;                   /* 0: one element */
    int64_t shape[NPY_DIMS];
    int64_t items;              /* product of the shape */
    int64_t offset;             /* in the record, in bytes */
};

/* The array that is being read. Set z (borrowed), and field if records are welcome; leave the rest
 * zero before the first header. */
struct npy_reader {
    struct zio *z;
    struct npy_field *field;    /* [fields_most] room, borrowed; NULL: records are refused */
    int fields_most;
    int fields;                 /* of the record; 0: plain numbers */
    int64_t number;             /* of the array in the stream, 1 for the first */
    char kind;                  /* 'f' float, 'i' signed, 'u' unsigned, 'V' a record */
    int bytes;                  /* of an element: f 2, 4, 8; i and u 1, 2, 4, 8; of a record up to
                                 * NPY_RECORD_BYTES */
    int swapped;                /* stored in the other byte order; what is read is not */
    int dims;                   /* 0: a single number */
    int64_t shape[NPY_DIMS];
    int64_t items;              /* product of the shape */
    int64_t left;               /* items not read yet */
};

/* Goes to the next array, past what was not read of the one before. 1 an array, 0 the stream has
 * ended, -1 an error: no .npy, a truncated one, records that are not welcome or too large, objects
 * or text in place of numbers, Fortran order, a size beyond 2^63 bytes. */
int npy_read_header(struct npy_reader *r, struct err *err);
/* The next n items (at most r->left): [n][r->bytes]. Numbers are in this machine's byte order,
 * records as they are. */
int npy_read_items(struct npy_reader *r, void *out, size_t n, struct err *err);
/* Numbers as floats, rounded to the nearest: f8 beyond a float's range becomes infinite. */
int npy_read_floats(struct npy_reader *r, float *out, size_t n, struct err *err);

#endif
