/* blas.c - loads OpenBLAS, see blas.h */
#include "lib/base/blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"

/* No cast leads from data to functions: *function, of any type, receives the address. */
static int find(void *library, const char *name, void *function) {
    void *address = dlsym(library, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

const struct blas *blas_load(struct err *err) {
    static struct blas loaded;
    if (loaded.sgemm)
        return &loaded;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);     /* the threads are ours */
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    struct blas b = {0};
    if (!library || !find(library, "cblas_sgemv", &b.sgemv) ||
        !find(library, "cblas_ssyrk", &b.ssyrk) || !find(library, "cblas_sgemm", &b.sgemm)) {
        err_set(err, "OpenBLAS cannot be loaded: %s", dlerror());
        return NULL;
    }
    find(library, "cblas_sbgemm", &b.sbgemm);
    if (!find(library, "spotrf_", &b.spotrf) || !find(library, "strtri_", &b.strtri))
        b.spotrf = NULL;
    loaded = b;
    return &loaded;
}
