/* zio.c - byte streams that are zstd or plain, see zio.h
 *
 * Reading works on a descriptor, so that a pipe's bytes are handed on as they come; what a file
 * is, is seen in its first four bytes. One buffer `out` holds bytes that were read (and
 * decompressed) but not taken yet; zio_line cuts its lines from it in place. Writing goes through
 * outfile's stdio stream.
 */
#include "lib/format/zio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"

#define BUFFER_BYTES ((size_t)128 << 10)
#define MAX_LINE ((size_t)1 << 30)      /* longer ones are no JSON Lines but a mistake */
#define LEVEL 3

struct span {
    char *data;
    size_t at, end;
};

struct zio {
    char *name;
    /* reading */
    int fd;
    int sniffed;
    struct span raw;            /* bytes as they are in the file */
    struct span out;            /* plain bytes not taken yet */
    ZSTD_DCtx *unpack;          /* NULL: the file is plain */
    int in_frame;               /* the file must not end here */
    int more;                   /* the decoder holds output that found no room */
    struct buf line;            /* a line that does not lie in `out` as a whole */
    /* writing */
    struct outfile *file;
    FILE *stream;
    ZSTD_CCtx *pack;
    int failed;                 /* errno of the first write that failed */
};

const char *zio_name(const struct zio *z) {
    return z->name;
}

static void free_zio(struct zio *z) {
    if (z->fd > STDIN_FILENO)
        close(z->fd);
    ZSTD_freeDCtx(z->unpack);
    ZSTD_freeCCtx(z->pack);
    free(z->raw.data);
    free(z->out.data);
    buf_free(&z->line);
    free(z->name);
    free(z);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct zio *zio_open_read(const char *path, struct err *err) {
    struct stat st;
    int fd = STDIN_FILENO;
    if (strcmp(path, "-"))
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        err_set(err, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        err_set(err, "%s: %s", path, strerror(EISDIR));
        if (fd > STDIN_FILENO)
            close(fd);
        return NULL;
    }
    struct zio *z = mem_alloc(sizeof *z);
    z->name = mem_strdup(strcmp(path, "-") ? path : "stdin");
    z->fd = fd;
    z->raw.data = mem_alloc(BUFFER_BYTES);
    z->out.data = mem_alloc(BUFFER_BYTES);
    return z;
}

struct zio *zio_open_memory(const char *name, struct buf *data) {
    struct zio *z = mem_alloc(sizeof *z);
    z->name = mem_strdup(name);
    z->fd = -1;
    z->sniffed = 1;
    z->out = (struct span){.data = data->data, .end = data->len};
    *data = (struct buf){0};
    return z;
}

/* One read(2) to data[len]: bytes, 0 at the end, -1 an error. */
static ssize_t read_some(struct zio *z, char *data, size_t len, struct err *err) {
    ssize_t n;
    if (z->fd < 0)              /* memory, all of which was in `out` */
        return 0;
    do
        n = read(z->fd, data, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        err_set(err, "%s: %s", z->name, strerror(errno));
    return n;
}

static int refill(struct zio *z, struct err *err) {
    ssize_t n = read_some(z, z->raw.data, BUFFER_BYTES, err);
    z->raw.at = 0;
    z->raw.end = n > 0 ? (size_t)n : 0;
    return n < 0 ? -1 : n > 0;
}

/* A zstd frame or a skippable one (which zstd tools put in front of frames)? */
static int is_zstd(const char *s) {
    return !memcmp(s, "\x28\xB5\x2F\xFD", 4) ||
           ((s[0] & 0xF0) == 0x50 && !memcmp(s + 1, "\x2A\x4D\x18", 3));
}

static int sniff(struct zio *z, struct err *err) {
    while (z->raw.end < 4) {
        ssize_t n = read_some(z, z->raw.data + z->raw.end, BUFFER_BYTES - z->raw.end, err);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        z->raw.end += (size_t)n;
    }
    z->sniffed = 1;
    if (z->raw.end >= 4 && is_zstd(z->raw.data)) {
        z->unpack = ZSTD_createDCtx();
        if (!z->unpack)
            return err_set(err, "%s: no memory for zstd", z->name);
    }
    return 0;
}

static ssize_t read_plain(struct zio *z, void *data, size_t len, struct err *err) {
    size_t have = z->raw.end - z->raw.at;
    if (!have)
        return read_some(z, data, len, err);
    if (have > len)
        have = len;
    memcpy(data, z->raw.data + z->raw.at, have);
    z->raw.at += have;
    return (ssize_t)have;
}

static ssize_t read_zstd(struct zio *z, void *data, size_t len, struct err *err) {
    ZSTD_outBuffer out = {data, len, 0};
    while (!out.pos) {
        if (z->raw.at == z->raw.end && !z->more) {
            int rc = refill(z, err);
            if (rc < 0)
                return -1;
            if (rc == 0 && z->in_frame)
                return err_set(err, "%s: truncated: the zstd stream ends inside a frame", z->name);
            if (rc == 0)
                return 0;
        }
        ZSTD_inBuffer in = {z->raw.data, z->raw.end, z->raw.at};
        size_t rc = ZSTD_decompressStream(z->unpack, &out, &in);
        z->raw.at = in.pos;
        if (ZSTD_isError(rc))
            return err_set(err, "%s: damaged zstd data: %s", z->name, ZSTD_getErrorName(rc));
        z->in_frame = rc != 0;
        z->more = rc != 0 && out.pos == out.size;
    }
    return (ssize_t)out.pos;
}

/* Plain bytes from the file, past `out`. */
static ssize_t read_through(struct zio *z, void *data, size_t len, struct err *err) {
    if (!z->sniffed && sniff(z, err))
        return -1;
    return z->unpack ? read_zstd(z, data, len, err) : read_plain(z, data, len, err);
}

ssize_t zio_read(struct zio *z, void *data, size_t len, struct err *err) {
    size_t have = z->out.end - z->out.at;
    if (!have)
        return len ? read_through(z, data, len, err) : 0;
    if (have > len)
        have = len;
    memcpy(data, z->out.data + z->out.at, have);
    z->out.at += have;
    return (ssize_t)have;
}

ssize_t zio_peek(struct zio *z, size_t n, const char **data, struct err *err) {
    struct span *s = &z->out;
    memmove(s->data, s->data + s->at, s->end - s->at);
    s->end -= s->at;
    s->at = 0;
    while (s->end < n) {
        ssize_t got = read_through(z, s->data + s->end, BUFFER_BYTES - s->end, err);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        s->end += (size_t)got;
    }
    *data = s->data;
    return (ssize_t)(s->end < n ? s->end : n);
}

int zio_line(struct zio *z, char **line, size_t *len, struct err *err) {
    struct span *s = &z->out;
    z->line.len = 0;
    for (;;) {
        char *start = s->data + s->at;
        char *end = memchr(start, '\n', s->end - s->at);
        size_t part = (end ? (size_t)(end - start) : s->end - s->at);
        s->at += part + (end != NULL);
        if (end && !z->line.len) {      /* the usual case: nothing is copied */
            *end = '\0';
            *line = start;
            *len = part;
            return 1;
        }
        if (z->line.len + part > MAX_LINE)
            return err_set(err, "%s: a line of more than %zu bytes", z->name, MAX_LINE);
        buf_add(&z->line, start, part);
        if (!end) {
            ssize_t n = read_through(z, s->data, BUFFER_BYTES, err);
            if (n < 0)
                return -1;
            s->at = 0;
            s->end = (size_t)n;
            if (n > 0)
                continue;
            if (!z->line.len)
                return 0;
        }
        *line = z->line.data;
        *len = z->line.len;
        return 1;
    }
}

/* ---- writing ---------------------------------------------------------------------------- */

static int ends_in(const char *s, const char *tail) {
    size_t n = strlen(s);
    size_t t = strlen(tail);
    return n >= t && !strcmp(s + n - t, tail);
}

struct zio *zio_open_write(const char *path, struct err *err) {
    struct outfile *file = outfile_open(path, err);
    if (!file)
        return NULL;
    struct zio *z = mem_alloc(sizeof *z);
    z->name = mem_strdup(strcmp(path, "-") ? path : "stdout");
    z->fd = -1;
    z->file = file;
    z->stream = outfile_stream(file);
    if (!ends_in(path, ".zst"))
        return z;
    z->pack = ZSTD_createCCtx();
    if (!z->pack) {
        err_set(err, "%s: no memory for zstd", path);
        zio_abort(z);
        return NULL;
    }
    ZSTD_CCtx_setParameter(z->pack, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(z->pack, ZSTD_c_checksumFlag, 1);
    z->out.data = mem_alloc(BUFFER_BYTES);
    return z;
}

/* Notes that writing failed with errno; the stream stays failed. */
static int write_failed(struct zio *z, struct err *err) {
    if (!z->failed)
        z->failed = errno ? errno : EIO;
    err_set(err, "%s: %s", z->name, strerror(z->failed));
    errno = z->failed;
    return -1;
}

static int put(struct zio *z, const void *data, size_t len, struct err *err) {
    errno = 0;
    if (len && fwrite(data, 1, len, z->stream) != len)
        return write_failed(z, err);
    return 0;
}

/* Feeds data to the compressor until it has taken all (and, beyond ZSTD_e_continue, given all). */
static int put_zstd(struct zio *z, const void *data, size_t len, ZSTD_EndDirective mode,
                    struct err *err) {
    ZSTD_inBuffer in = {data, len, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {z->out.data, BUFFER_BYTES, 0};
        left = ZSTD_compressStream2(z->pack, &out, &in, mode);
        if (ZSTD_isError(left))
            return err_set(err, "%s: zstd: %s", z->name, ZSTD_getErrorName(left));
        if (put(z, out.dst, out.pos, err))
            return -1;
    } while (in.pos < in.size || (mode != ZSTD_e_continue && left));
    return 0;
}

int zio_write(struct zio *z, const void *data, size_t len, struct err *err) {
    if (z->failed)
        return write_failed(z, err);
    return z->pack ? put_zstd(z, data, len, ZSTD_e_continue, err) : put(z, data, len, err);
}

int zio_flush(struct zio *z, struct err *err) {
    if (z->failed)
        return write_failed(z, err);
    if (z->pack && put_zstd(z, NULL, 0, ZSTD_e_flush, err))
        return -1;
    errno = 0;
    return fflush(z->stream) ? write_failed(z, err) : 0;
}

/* ---- both ------------------------------------------------------------------------------- */

int zio_close(struct zio *z, struct err *err) {
    int rc = 0;
    if (!z->file) {
        free_zio(z);
        return 0;
    }
    if (z->failed)
        rc = write_failed(z, err);
    else if (z->pack)
        rc = put_zstd(z, NULL, 0, ZSTD_e_end, err);
    if (rc) {
        int saved = errno;
        zio_abort(z);
        errno = saved;
        return -1;
    }
    rc = outfile_close(z->file, err);
    int saved = errno;
    free_zio(z);
    errno = saved;
    return rc;
}

void zio_abort(struct zio *z) {
    if (!z)
        return;
    outfile_abort(z->file);
    free_zio(z);
}

/* All of a stream, at most `most` bytes; closes it. */
static int read_rest(struct zio *z, size_t most, struct buf *out, struct err *err) {
    size_t start = out->len;
    ssize_t got;
    do {
        buf_reserve(out, 1 << 16);
        got = zio_read(z, out->data + out->len, 1 << 16, err);
        if (got > 0)
            out->len += (size_t)got;
        if (out->len - start > most)
            got = err_set(err, "%s: unpacks to more than %zu bytes", z->name, most);
    } while (got > 0);
    if (got < 0) {
        zio_abort(z);
        return -1;
    }
    out->data[out->len] = '\0';
    return zio_close(z, err);
}

int zio_read_all(const char *path, struct buf *out, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    return z ? read_rest(z, SIZE_MAX, out, err) : -1;
}

int zio_read_small(const char *path, size_t most, struct buf *out, struct err *err) {
    struct stat st;
    if (stat(path, &st))
        return err_set(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, "%s: not a regular file", path);
    if ((uint64_t)st.st_size > most)
        return err_set(err, "%s: %lld bytes, at most %zu are expected", path,
                       (long long)st.st_size, most);
    struct zio *z = zio_open_read(path, err);
    return z ? read_rest(z, most, out, err) : -1;
}
