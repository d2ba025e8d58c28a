/* blas.h - OpenBLAS, loaded when the first product is asked for
 *
 * Linked in, it would start a thread for each further core in every program, and these turn for
 * tens of milliseconds before they sleep: as long as a whole replay takes.
 */
#ifndef BLAS_H
#define BLAS_H

#include <cblas.h>
#include <stdint.h>

#include "lib/base/err.h"

/* bf16 inputs, float sums; few builds of OpenBLAS have it, and few headers declare it. */
typedef void blas_sbgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE transa,
                         enum CBLAS_TRANSPOSE transb, int m, int n, int k, float alpha,
                         const uint16_t *a, int lda, const uint16_t *b, int ldb, float beta,
                         float *c, int ldc);

/* May be called by several threads at once. */
struct blas {
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_sgemv) *sgemv;
    blas_sbgemm *sbgemm;                /* NULL: this build lacks it */
};

/* The same each time. To be called before other threads read the environment. NULL with err when
 * there is no OpenBLAS. */
const struct blas *blas_load(struct err *err);

#endif
