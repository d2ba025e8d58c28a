/* blas.h - OpenBLAS, loaded when the first product is asked for
 *
 * Linked in, it would start a thread for each further core in every program, and these turn for
 * tens of milliseconds before they sleep: as long as a whole replay takes.
 */
#ifndef BLAS_H
#define BLAS_H

#include <cblas.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* bf16 inputs, float sums; few builds of OpenBLAS have it, and few headers declare it. */
typedef void blas_sbgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE transa,
                         enum CBLAS_TRANSPOSE transb, int m, int n, int k, float alpha,
                         const uint16_t *a, int lda, const uint16_t *b, int ldb, float beta,
                         float *c, int ldc);

/* LAPACK's, of Fortran: matrices by columns, so that its "U" is the lower half of one by rows.
 * info 0: done; i > 0: minor i is not positive definite. The last arguments are lengths of texts,
 * 1 each. */
typedef void blas_spotrf(const char *uplo, const int *n, float *a, const int *lda, int *info,
                         size_t uplo_len);
typedef void blas_strtri(const char *uplo, const char *diag, const int *n, float *a,
                         const int *lda, int *info, size_t uplo_len, size_t diag_len);

/* May be called by several threads at once. */
struct blas {
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_sgemv) *sgemv;
    __typeof__(cblas_ssyrk) *ssyrk;
    blas_sbgemm *sbgemm;                /* NULL: this build lacks it */
    blas_spotrf *spotrf;                /* these two are there or lacking together */
    blas_strtri *strtri;
};

/* The same each time. To be called before other threads read the environment. NULL with err when
 * there is no OpenBLAS. */
const struct blas *blas_load(struct err *err);

#endif
