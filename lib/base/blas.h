/* blas.h - OpenBLAS, loaded when the first product is asked for
 *
 * Linked in, it would start a thread for each further core in every program, and these turn for
 * tens of milliseconds before they sleep: as long as a whole replay takes.
 */
#ifndef BLAS_H
#define BLAS_H

#include <cblas.h>

#include "lib/base/err.h"

struct blas {
    __typeof__(cblas_sgemm) *sgemm;     /* may be called by several threads at once */
};

/* The same each time. To be called before other threads read the environment. NULL with err when
 * there is no OpenBLAS. */
const struct blas *blas_load(struct err *err);

#endif
