/* mem.h - memory: allocations that do not fail, big aligned ones, and growing byte buffers
 *
 * A program of ours cannot go on without the few kilobytes it asks for, so mem_alloc and its
 * kin abort with a line on stderr when the system has none. Sizes that come from a file are
 * checked against the file first; sizes that a user asks for (KV cache, weights) go through
 * mem_map, which reports failure.
 */
#ifndef MEM_H
#define MEM_H

#include <stdarg.h>
#include <stddef.h>

void *mem_alloc(size_t bytes);                      /* zeroed; free() releases */
void *mem_array(size_t n, size_t size);             /* zeroed; aborts on overflow of n * size */
void *mem_grow(void *p, size_t n, size_t size);     /* realloc of an array, not zeroed */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed pages, 2 MiB aligned, huge pages asked for when large. NULL when the system refuses. */
void *mem_map(size_t bytes);
void mem_unmap(void *p, size_t bytes);

/* A growing byte string; {0} is empty. data is NUL-terminated once anything was added. */
struct buf {
    char *data;
    size_t len, cap;
};
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_int(struct buf *b, long long v);             /* in decimal */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_reserve(struct buf *b, size_t more);       /* room for `more` bytes after len */
void buf_free(struct buf *b);

#endif
