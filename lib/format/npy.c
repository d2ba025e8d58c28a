/* npy.c - headers of NumPy arrays, see npy.h; layout: NEP 1 and numpy/lib/format.py's text */
#include "lib/format/npy.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"

#define ALIGN 64

int npy_write_header(struct zio *z, const char *descr, const int64_t *shape, int dims,
                     struct err *err) {
    struct buf dict = {0};
    buf_printf(&dict, "{'descr': %s, 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < dims; i++)
        buf_printf(&dict, "%s%" PRId64, i ? ", " : "", shape[i]);
    buf_adds(&dict, dims == 1 ? ",), }" : "), }");

    /* Magic, version and length come first: 2 bytes of length in version 1.0, 4 in 2.0. */
    unsigned char head[12] = "\x93NUMPY\x01";
    size_t head_len = 10;
    if (dict.len + ALIGN > UINT16_MAX) {
        head[6] = 2;
        head_len = 12;
    }
    while ((head_len + dict.len + 1) % ALIGN)
        buf_addc(&dict, ' ');
    buf_addc(&dict, '\n');
    for (size_t i = 8; i < head_len; i++)
        head[i] = (unsigned char)(dict.len >> (8 * (i - 8)));
    int rc = zio_write(z, head, head_len, err);
    if (!rc)
        rc = zio_write(z, dict.data, dict.len, err);
    buf_free(&dict);
    return rc;
}
