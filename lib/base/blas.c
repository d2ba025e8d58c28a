/* blas.c - loads OpenBLAS, see blas.h */
#include "lib/base/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"

const struct blas *blas_load(struct err *err) {
    static struct blas loaded;
    if (loaded.sgemm)
        return &loaded;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);     /* the threads are ours */
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    void *sgemm = library ? dlsym(library, "cblas_sgemm") : NULL;
    void *sgemv = sgemm ? dlsym(library, "cblas_sgemv") : NULL;
    if (!sgemv) {
        err_set(err, "OpenBLAS cannot be loaded: %s", dlerror());
        return NULL;
    }
    void *sbgemm = dlsym(library, "cblas_sbgemm");
    memcpy(&loaded.sgemm, &sgemm, sizeof sgemm);        /* no cast leads from data to functions */
    memcpy(&loaded.sgemv, &sgemv, sizeof sgemv);
    memcpy(&loaded.sbgemm, &sbgemm, sizeof sbgemm);
    return &loaded;
}
