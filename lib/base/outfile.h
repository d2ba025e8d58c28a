/* outfile.h - output files that are whole or not there
 *
 * A regular file is written as path.XXXXXX.tmp and renamed by outfile_close; outfile_abort (or
 * a signal, through outfile_cleanup) removes it. "-" is stdout; pipes, terminals and devices
 * (/dev/full, a FIFO, /dev/fd/N) are written in place.
 */
#ifndef OUTFILE_H
#define OUTFILE_H

#include <stdio.h>

#include "lib/base/err.h"

struct outfile;

struct outfile *outfile_open(const char *path, struct err *err);
FILE *outfile_stream(struct outfile *f);            /* borrowed until close */
/* Into the stream, for those who want to hear of a full disk at once: 0, or -1 with errno. */
int outfile_write(struct outfile *f, const void *data, size_t len, struct err *err);
int outfile_close(struct outfile *f, struct err *err);  /* flush, check, rename; frees f always */
void outfile_abort(struct outfile *f);              /* unlink and free; NULL is fine */
/* name[size] = PATH.XXXXXX.tmp, with letters by chance: nobody has it as yet, most likely. 0, or -1
 * with errno. */
int outfile_temporary(const char *path, char *name, size_t size);
/* Unlinks every temporary that is open now, and removes an unfinished folder (outfolder.h).
 * Async-signal-safe: for a SIGINT handler. */
void outfile_cleanup(void);

#endif
