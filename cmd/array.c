/* array.c - float arrays as .npy files for programs */
#include "cmd/array.h"

#include <string.h>
#include <unistd.h>

#include "cmd/common.h"
#include "lib/format/npy.h"

struct zio *array_open(const char *path) {
    struct err err;
    if (!strcmp(path, "-") && isatty(STDOUT_FILENO))
        die("an array is not written to a terminal: send it to a file or a pipe");
    struct zio *z = zio_open_write(path, &err);
    if (!z)
        die_err(&err);
    return z;
}

void array_begin(struct zio *z, int64_t rows, int64_t columns) {
    struct err err;
    int64_t shape[2] = {rows, columns};
    if (npy_write_header(z, "'<f4'", shape, 2, &err))
        die_err(&err);
}

void array_write(struct zio *z, const float *x, size_t n) {
    struct err err;
    if (zio_write(z, x, n * sizeof(*x), &err))
        die_err(&err);
}

void array_close(struct zio *z) {
    struct err err;
    if (zio_close(z, &err))
        die_err(&err);
}
