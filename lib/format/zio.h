/* zio.h - byte streams that are zstd or plain
 *
 * Reading sniffs the first bytes; writing compresses when the name ends in .zst. "-" is stdin
 * or stdout. Files appear whole (see outfile.h); a write error shows at the latest in
 * zio_close. EPIPE is reported like any error, with errno left for the caller to see.
 */
#ifndef ZIO_H
#define ZIO_H

#include <stddef.h>
#include <sys/types.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

struct zio;

struct zio *zio_open_read(const char *path, struct err *err);
/* Reads what is in memory, plain, whatever it looks like. data becomes z's, allocated with malloc;
 * name is for messages. */
struct zio *zio_open_memory(const char *name, struct buf *data);
struct zio *zio_open_write(const char *path, struct err *err);
/* Up to len bytes; 0 at the end, -1 on error (a truncated zstd frame is one). */
ssize_t zio_read(struct zio *z, void *data, size_t len, struct err *err);
/* The next n bytes, up to 64 KiB, which stay to be read; borrowed until the next call. How many
 * there are, fewer only where the stream ends; -1 on error. */
ssize_t zio_peek(struct zio *z, size_t n, const char **data, struct err *err);
/* One line without its newline, in a buffer of z's (valid until the next call; NUL-terminated).
 * 1 a line, 0 the end, -1 an error. Lines may hold NULs; *len tells. */
int zio_line(struct zio *z, char **line, size_t *len, struct err *err);
int zio_write(struct zio *z, const void *data, size_t len, struct err *err);
/* Everything so far becomes readable downstream (ends a zstd block). */
int zio_flush(struct zio *z, struct err *err);
int zio_close(struct zio *z, struct err *err);      /* frees z always */
void zio_abort(struct zio *z);                      /* closes, removes the unfinished file */
const char *zio_name(const struct zio *z);

/* Appends all of a file; NUL-terminated. 0 or -1. */
int zio_read_all(const char *path, struct buf *out, struct err *err);
/* The same of a regular file that is of at most `most` bytes, packed or not: others are refused
 * before they cost memory or wait for a writer. */
int zio_read_small(const char *path, size_t most, struct buf *out, struct err *err);

#endif
