/* limits_disk.c - how fast a drive gives and takes, see limits.h
 *
 * The file is written first and read afterwards. O_DIRECT keeps the page cache out of it; where
 * the file system refuses that, the pages are dropped before a read and the figures say so. What a
 * drive or a hypervisor caches on its own side, nobody here can switch off.
 */
#include "lib/bench/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"

#define BLOCK ((size_t)1 << 20)         /* of a sequential read or write */
#define SMALL 4096                      /* of a random read */
#define LEAST_FILE (16 * BLOCK)

struct limits_disk {
    int fd, direct;
    size_t bytes;
    double capacity;
    double *write_rate;         /* [writes] bytes a second of a window */
    int writes;
    char *block;                /* [BLOCK] of the caller */
    atomic_size_t next;         /* block to be read next, without end */
    struct rng rng;
    char folder[512];
};

/* ---- making the file ---------------------------------------------------------------------- */

/* A file without a name, or one that loses it at once. */
static int open_nameless(const char *folder) {
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char *path = mem_printf("%s/llm-bench.XXXXXX", folder);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

/* Room: a tenth of what is free stays free in any case. */
static int check_folder(struct limits_disk *d, size_t *bytes, struct err *err) {
    struct statvfs v;
    struct statfs f;
    if (fstatvfs(d->fd, &v) || fstatfs(d->fd, &f))
        return err_set(err, "%s: %s", d->folder, strerror(errno));
    if (f.f_type == TMPFS_MAGIC || f.f_type == RAMFS_MAGIC)
        return err_set(err, "%s: expected a file system on a drive, found one in memory",
                       d->folder);
    double room = (double)v.f_bavail * (double)v.f_frsize * 0.9;
    d->capacity = (double)v.f_blocks * (double)v.f_frsize;
    if (room < (double)*bytes)
        *bytes = (size_t)(room > 0 ? room : 0);
    *bytes = *bytes / BLOCK * BLOCK;
    if (*bytes < LEAST_FILE)
        return err_set(err, "%s: expected room for a file of %zu MiB, found %.0f", d->folder,
                       LEAST_FILE >> 20, room / 0x1p20);
    return 0;
}

static void try_direct(struct limits_disk *d) {
    int flags = fcntl(d->fd, F_GETFL);
    if (flags < 0 || fcntl(d->fd, F_SETFL, flags | O_DIRECT))
        return;
    /* Some file systems take the flag and refuse the read. */
    d->direct = pwrite(d->fd, d->block, BLOCK, 0) == (ssize_t)BLOCK;
    if (!d->direct)
        fcntl(d->fd, F_SETFL, flags);
}

/* Bytes that a drive cannot compress or recognise. */
static void fill_block(struct limits_disk *d) {
    for (size_t i = 0; i < BLOCK; i += sizeof(uint64_t)) {
        uint64_t x = rng_next(&d->rng);
        memcpy(d->block + i, &x, sizeof x);
    }
}

/* A window of writing: blocks one after the other and a flush. Each block is filled anew, outside
 * the clock. */
static int write_window(struct limits_disk *d, size_t bytes, struct err *err) {
    int64_t spent = 0;
    size_t end = d->bytes + bytes;
    for (; d->bytes < end; d->bytes += BLOCK) {
        fill_block(d);
        int64_t start = clock_ns();
        ssize_t n = pwrite(d->fd, d->block, BLOCK, (off_t)d->bytes);
        spent += clock_ns() - start;
        if (n != (ssize_t)BLOCK)
            return err_set(err, "%s: writing a file for the disk's figures: %s", d->folder,
                           n < 0 ? strerror(errno) : "short write");
    }
    int64_t start = clock_ns();
    if (fdatasync(d->fd))
        return err_set(err, "%s: flushing a file: %s", d->folder, strerror(errno));
    spent += clock_ns() - start;
    d->write_rate = mem_grow(d->write_rate, (size_t)d->writes + 1, sizeof *d->write_rate);
    d->write_rate[d->writes++] = (double)bytes * 1e9 / (double)spent;
    return 0;
}

/* Room is allocated first, where the file system can, so that the figure is the drive's and not
 * that of the allocator. */
static int write_file(struct limits_disk *d, size_t bytes, double seconds, struct err *err) {
    int64_t start = clock_ns();
    if (fallocate(d->fd, 0, 0, (off_t)bytes) && errno == ENOSPC)
        return err_set(err, "%s: no room for a file of %zu MiB", d->folder, bytes >> 20);
    while (d->bytes < bytes &&
           (d->bytes < LEAST_FILE || (double)(clock_ns() - start) < seconds * 1e9)) {
        size_t left = bytes - d->bytes;
        if (write_window(d, left < LEAST_FILE ? left : LEAST_FILE, err))
            return -1;
    }
    return 0;
}

struct limits_disk *limits_disk_new(const char *folder, size_t bytes, double seconds,
                                    struct err *err) {
    struct limits_disk *d = mem_alloc(sizeof *d);
    d->rng.state = 1;
    snprintf(d->folder, sizeof d->folder, "%s", folder);
    d->fd = open_nameless(folder);
    if (d->fd < 0) {
        err_set(err, "%s: cannot make a file: %s", folder, strerror(errno));
        free(d);
        return NULL;
    }
    d->block = aligned_alloc(SMALL, BLOCK);
    if (!d->block)
        err_set(err, "no memory for a block of %zu KiB", BLOCK >> 10);
    int status = d->block ? check_folder(d, &bytes, err) : -1;
    if (!status) {
        fill_block(d);
        try_direct(d);
        status = write_file(d, bytes, seconds, err);
    }
    if (!status)
        return d;
    limits_disk_free(d);
    return NULL;
}

void limits_disk_free(struct limits_disk *d) {
    if (!d)
        return;
    close(d->fd);
    free(d->write_rate);
    free(d->block);
    free(d);
}

int limits_disk_direct(const struct limits_disk *d) {
    return d->direct;
}

size_t limits_disk_bytes(const struct limits_disk *d) {
    return d->bytes;
}

double limits_disk_capacity(const struct limits_disk *d) {
    return d->capacity;
}

int limits_disk_writes(const struct limits_disk *d) {
    return d->writes;
}

double limits_disk_write(const struct limits_disk *d, int i) {
    return d->write_rate[i];
}

/* ---- reading ------------------------------------------------------------------------------ */

struct readers {
    struct limits_disk *disk;
    int64_t until_ns;
    atomic_size_t bytes;
    atomic_int errnum;          /* -1: the file ended early */
};

static void read_blocks(void *arg, int ith, int nth) {
    struct readers *r = arg;
    struct limits_disk *d = r->disk;
    char *block = ith ? aligned_alloc(SMALL, BLOCK) : d->block;
    (void)nth;
    if (!block) {
        atomic_store(&r->errnum, ENOMEM);
        return;
    }
    do {
        size_t at = atomic_fetch_add(&d->next, 1) % (d->bytes / BLOCK) * BLOCK;
        if (!d->direct)
            posix_fadvise(d->fd, (off_t)at, (off_t)BLOCK, POSIX_FADV_DONTNEED);
        ssize_t n = pread(d->fd, block, BLOCK, (off_t)at);
        if (n != (ssize_t)BLOCK) {
            atomic_store(&r->errnum, n < 0 ? errno : -1);
            break;
        }
        atomic_fetch_add(&r->bytes, BLOCK);
    } while (clock_ns() < r->until_ns);
    if (ith)
        free(block);
}

static double read_failed(const struct limits_disk *d, int errnum, struct err *err) {
    return err_set(err, "%s: reading a file back: %s", d->folder,
                   errnum > 0 ? strerror(errnum) : "it is shorter than it was");
}

double limits_disk_read(struct limits_disk *d, struct par *par, double seconds, struct err *err) {
    int64_t start = clock_ns();
    struct readers r = {.disk = d, .until_ns = start + (int64_t)(seconds * 1e9)};
    par_run(par, read_blocks, &r);
    double wall = (double)(clock_ns() - start) * 1e-9;
    int errnum = atomic_load(&r.errnum);
    return errnum ? read_failed(d, errnum, err) : (double)atomic_load(&r.bytes) / wall;
}

double limits_disk_latency(struct limits_disk *d, struct err *err) {
    size_t at = rng_below(&d->rng, d->bytes / SMALL) * (size_t)SMALL;
    if (!d->direct)
        posix_fadvise(d->fd, (off_t)at, SMALL, POSIX_FADV_DONTNEED);
    int64_t start = clock_ns();
    ssize_t n = pread(d->fd, d->block, SMALL, (off_t)at);
    int64_t end = clock_ns();
    return n == SMALL ? (double)(end - start) * 1e-9 : read_failed(d, n < 0 ? errno : -1, err);
}
