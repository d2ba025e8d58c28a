/* mem.c - allocations that do not fail, huge-page mappings, growing byte strings; see mem.h
 *
 * The one place of lib that ends the program: it has no memory for an error either.
 */
#include "lib/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM ((size_t)4 << 20)     /* below, huge pages would mostly hold nothing */

static _Noreturn void out_of_memory(size_t bytes) {
    fprintf(stderr, "out of memory: %zu bytes asked for\n", bytes);
    abort();
}

void *mem_alloc(size_t bytes) {
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *mem_array(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        out_of_memory(SIZE_MAX);
    return mem_alloc(bytes);
}

void *mem_grow(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        out_of_memory(SIZE_MAX);
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

char *mem_strdup(const char *s) {
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t n) {
    char *copy = mem_alloc(n + 1);
    if (n)
        memcpy(copy, s, n);
    return copy;
}

char *mem_printf(const char *fmt, ...) {
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(0);
    return s;
}

/* The length that mem_map really maps for a request; 0 when it overflows. */
static size_t map_length(size_t bytes) {
    size_t unit = bytes >= HUGE_FROM ? HUGE_PAGE : PAGE;
    size_t rest = bytes % unit;
    if (!bytes)
        return PAGE;
    if (rest && bytes > SIZE_MAX - (unit - rest))
        return 0;
    return rest ? bytes + (unit - rest) : bytes;
}

void *mem_map(size_t bytes) {
    size_t len = map_length(bytes);
    if (!len || len > SIZE_MAX - HUGE_PAGE)
        return NULL;
    /* Map a huge page too much, then give back what lies outside the aligned part. */
    char *raw = mmap(NULL, len + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)raw % HUGE_PAGE) % HUGE_PAGE;
    char *p = raw + before;
    if (before)
        munmap(raw, before);
    munmap(p + len, HUGE_PAGE - before);
    if (len >= HUGE_FROM)
        madvise(p, len, MADV_HUGEPAGE);     /* a wish: without it all is well, but slower */
    return p;
}

void mem_unmap(void *p, size_t bytes) {
    if (p)
        munmap(p, map_length(bytes));
}

void buf_reserve(struct buf *b, size_t more) {
    if (more >= SIZE_MAX / 2 - b->len)
        out_of_memory(SIZE_MAX);
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap * 2;
    if (cap < need)
        cap = need;
    if (cap < 64)
        cap = 64;
    b->data = mem_grow(b->data, cap, 1);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len) {
    buf_reserve(b, len);
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s) {
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c) {
    buf_reserve(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_int(struct buf *b, long long v) {
    char digit[24];
    char *end = digit + sizeof digit;
    char *p = end;
    unsigned long long u = v < 0 ? -(unsigned long long)v : (unsigned long long)v;
    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(end - p));
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap;
    va_list again;
    va_start(ap, fmt);
    va_copy(again, ap);
    buf_reserve(b, 0);
    int n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
    va_end(ap);
    if (n < 0)
        out_of_memory(0);
    if ((size_t)n >= b->cap - b->len) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
    b->len += (size_t)n;
}

void buf_free(struct buf *b) {
    free(b->data);
    *b = (struct buf){0};
}
