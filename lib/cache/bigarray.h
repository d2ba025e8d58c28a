/* bigarray.h - arrays that grow to gigabytes, on huge pages
 *
 *     r->last = bigarray_grow(r->last, old_bytes, new_bytes);
 *     bigarray_free(r->last, new_bytes);
 *
 * Private to lib/cache. Random access to more than a few megabytes costs as much for the missing
 * address translation as for the data: huge pages (mem_map asks for them) take that away, where
 * realloc would lose them with every move. Memory counts only once it is written to, so an array
 * may well be twice as long as what it holds.
 */
#ifndef BIGARRAY_H
#define BIGARRAY_H

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* A zeroed array; aborts, as mem_alloc does, when there is no memory. */
static inline void *bigarray_new(size_t bytes) {
    void *p = mem_map(bytes);
    if (!p) {
        free(mem_alloc(bytes));     /* says what was asked for, if it fails too */
        abort();
    }
    return p;
}

static inline void bigarray_free(void *p, size_t bytes) {
    mem_unmap(p, bytes);            /* NULL is fine */
}

/* p (NULL at first) of `old` bytes becomes `bytes` long; what is new is zero. */
static inline void *bigarray_grow(void *p, size_t old, size_t bytes) {
    void *q = bigarray_new(bytes);
    if (p)
        memcpy(q, p, old < bytes ? old : bytes);
    bigarray_free(p, old);
    return q;
}

#endif
