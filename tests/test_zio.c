/* test_zio.c - zstd and plain streams: round trips, lines, pipes, damage, full disks; headers of
 * NumPy arrays
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <zstd.h>

#include "lib/format/npy.h"
#include "lib/format/zio.h"
#include "tests/check.h"
#include "tests/scratch.h"

/* Text of len bytes: numbered lines, which compress well, or noise, which does not. */
static struct buf make_text(size_t len, int noise) {
    struct buf b = {0};
    uint32_t x = 12345;
    for (int i = 0; b.len < len; i++) {
        x = x * 1664525 + 1013904223;
        if (noise)
            buf_add(&b, &x, 4);
        else
            buf_printf(&b, "line %d of many\n", i);
    }
    b.len = len;
    return b;
}

/* The whole stream in pieces of `step`; the last return code in *rc. */
static struct buf read_all(struct zio *z, size_t step, ssize_t *rc, struct err *e) {
    struct buf b = {0};
    char *piece = malloc(step);
    while ((*rc = zio_read(z, piece, step, e)) > 0)
        buf_add(&b, piece, (size_t)*rc);
    free(piece);
    return b;
}

static void expect_read(const char *path, const struct buf *want, size_t step) {
    struct err e = {{0}};
    ssize_t rc = -1;
    struct zio *z = zio_open_read(path, &e);
    CHECK(z);
    if (!z)
        return;
    struct buf got = read_all(z, step, &rc, &e);
    CHECK_STR(e.text, "");
    CHECK_INT(rc, 0);
    CHECK_INT(zio_read(z, (char[1]){0}, 1, &e), 0);     /* the end stays the end */
    CHECK_INT(got.len, want->len);
    CHECK(got.len == want->len && (!got.len || !memcmp(got.data, want->data, got.len)));
    CHECK_INT(zio_close(z, &e), 0);
    buf_free(&got);
}

static void what_is_written_is_read(void) {
    const size_t sizes[] = {0, 1, 3, 4, 5, 131071, 131072, 131073, 1000000};
    const char *names[] = {"plain.txt", "packed.zst"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int kind = 0; kind < 4; kind++) {
            struct err e = {{0}};
            struct buf text = make_text(sizes[i], kind & 1);
            char *path = scratch_path(names[kind / 2]);
            struct zio *z = zio_open_write(path, &e);
            CHECK(z);
            CHECK_STR(zio_name(z), path);
            size_t half = sizes[i] / 3;
            CHECK_INT(zio_write(z, text.data, half, &e), 0);
            CHECK_INT(zio_write(z, text.data + half, sizes[i] - half, &e), 0);
            CHECK(!scratch_exists(path));
            CHECK_INT(zio_close(z, &e), 0);
            expect_read(path, &text, 1 << 20);
            expect_read(path, &text, 4097);
            struct buf raw = scratch_read(path);
            CHECK_INT(raw.len >= 4 && !memcmp(raw.data, "\x28\xB5\x2F\xFD", 4), kind / 2);
            if (sizes[i] == 1000000 && kind == 2)
                CHECK(raw.len < 200000);
            buf_free(&raw);
            buf_free(&text);
            remove(path);
            free(path);
        }
    }
}

static void names_do_not_decide_what_is_read(void) {
    char *path = scratch_path("not-packed.zst");
    struct buf text = make_text(5000, 0);
    scratch_write(path, text.data, text.len);
    expect_read(path, &text, 100);
    buf_free(&text);
    free(path);
}

/* Frames back to back, with skippable ones before, between and after. */
static void frames_are_joined(void) {
    static const char skippable[] = "\x53\x2A\x4D\x18\x05\x00\x00\x00hello";
    struct buf text = make_text(70000, 0);
    struct buf file = {0};
    char *frame = malloc(ZSTD_compressBound(35000));
    char *path = scratch_path("frames");
    for (int i = 0; i < 2; i++) {
        buf_add(&file, skippable, sizeof skippable - 1);
        size_t n = ZSTD_compress(frame, ZSTD_compressBound(35000), text.data + i * 35000, 35000, 5);
        buf_add(&file, frame, n);
    }
    buf_add(&file, skippable, sizeof skippable - 1);
    scratch_write(path, file.data, file.len);
    expect_read(path, &text, 1 << 16);
    expect_read(path, &text, 1);
    buf_free(&text);
    buf_free(&file);
    free(frame);
    free(path);
}

static void damage_is_reported(void) {
    struct buf text = make_text(300000, 1);
    char *packed = malloc(ZSTD_compressBound(text.len));
    size_t len = ZSTD_compress(packed, ZSTD_compressBound(text.len), text.data, text.len, 3);
    char *path = scratch_path("damaged");
    /* Every cut of the head, and some of the rest. Below four bytes it is plain text. */
    for (size_t cut = 4; cut < len; cut += cut < 200 ? 1 : 7919) {
        struct err e = {{0}};
        ssize_t rc = 0;
        scratch_write(path, packed, cut);
        struct zio *z = zio_open_read(path, &e);
        struct buf got = read_all(z, 65536, &rc, &e);
        CHECK_INT(rc, -1);
        CHECK(strstr(e.text, path) && strstr(e.text, "truncated"));
        CHECK_INT(zio_close(z, NULL), 0);
        buf_free(&got);
    }
    struct err e = {{0}};
    ssize_t rc = 0;
    struct buf file = {0};
    buf_add(&file, packed, len);
    buf_adds(&file, "garbage behind the frame");
    scratch_write(path, file.data, file.len);
    struct zio *z = zio_open_read(path, &e);
    struct buf got = read_all(z, 65536, &rc, &e);
    CHECK_INT(rc, -1);
    CHECK(strstr(e.text, "damaged zstd data"));
    CHECK_INT(got.len, text.len);
    zio_close(z, NULL);
    buf_free(&got);
    buf_free(&file);
    buf_free(&text);
    free(packed);
    free(path);
}

/* What zio writes carries a checksum, so that a flipped bit is seen. */
static void flipped_bits_are_seen(void) {
    struct err e = {{0}};
    struct buf text = make_text(3000, 0);
    char *path = scratch_path("flipped.zst");
    struct zio *z = zio_open_write(path, &e);
    CHECK_INT(zio_write(z, text.data, text.len, &e), 0);
    CHECK_INT(zio_close(z, &e), 0);
    struct buf file = scratch_read(path);
    for (size_t i = 0; i < file.len; i++) {
        ssize_t rc = 0;
        file.data[i] = (char)(file.data[i] ^ 4);
        scratch_write(path, file.data, file.len);
        z = zio_open_read(path, &e);
        struct buf got = read_all(z, 65536, &rc, &e);
        /* In the magic it makes the file plain text; in the header it may change nothing. */
        CHECK(rc == -1 || i < 4 || (got.len == text.len && !memcmp(got.data, text.data, got.len)));
        zio_close(z, NULL);
        buf_free(&got);
        file.data[i] = (char)(file.data[i] ^ 4);
    }
    buf_free(&file);
    buf_free(&text);
    free(path);
}

/* ---- lines ------------------------------------------------------------------------------ */

static void lines_are_cut_right(void) {
    struct err e = {{0}};
    struct buf text = {0};
    char *path = scratch_path("lines.zst");
    char *line;
    size_t len;
    const size_t lengths[] = {0, 1, 500, 131070, 131072, 400000, 0, 3};
    const size_t n = sizeof lengths / sizeof *lengths;
    for (int packed = 0; packed < 2; packed++) {
        text.len = 0;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < lengths[i]; k++)
                buf_addc(&text, (char)('a' + (k + i) % 26));
            if (i + 1 < n)
                buf_addc(&text, '\n');      /* the last has none */
        }
        path[strlen(path) - 1] = packed ? 't' : 'x';
        struct zio *z = zio_open_write(path, &e);
        CHECK_INT(zio_write(z, text.data, text.len, &e), 0);
        CHECK_INT(zio_close(z, &e), 0);
        z = zio_open_read(path, &e);
        for (size_t i = 0; i < n; i++) {
            CHECK_INT(zio_line(z, &line, &len, &e), 1);
            CHECK_INT(len, lengths[i]);
            CHECK_INT(line[len], 0);
            CHECK(!len || (line[0] == (char)('a' + i % 26) &&
                           line[len - 1] == (char)('a' + (len - 1 + i) % 26)));
        }
        CHECK_INT(zio_line(z, &line, &len, &e), 0);
        CHECK_INT(zio_line(z, &line, &len, &e), 0);
        CHECK_INT(zio_close(z, &e), 0);
    }
    buf_free(&text);
    free(path);
}

static void lines_and_bytes_mix(void) {
    struct err e = {{0}};
    char *path = scratch_path("mixed");
    char *line;
    size_t len;
    char rest[8] = "";
    scratch_write(path, "a\0b\n\n\nxyz\n", 10);
    struct zio *z = zio_open_read(path, &e);
    CHECK_INT(zio_line(z, &line, &len, &e), 1);
    CHECK(len == 3 && !memcmp(line, "a\0b", 4));
    CHECK_INT(zio_line(z, &line, &len, &e), 1);
    CHECK_INT(len, 0);
    CHECK_INT(zio_read(z, rest, 2, &e), 2);
    CHECK(!memcmp(rest, "\nx", 2));
    CHECK_INT(zio_line(z, &line, &len, &e), 1);
    CHECK_STR(line, "yz");
    CHECK_INT(zio_line(z, &line, &len, &e), 0);
    CHECK_INT(zio_close(z, &e), 0);
    free(path);
}

/* What was looked at is read all the same, in pieces and lines; a stream may be shorter. */
static void peeking_takes_nothing(void) {
    struct err e = {{0}};
    struct buf text = make_text(200000, 0);
    char *path = scratch_path("peek.zst");
    struct zio *z = zio_open_write(path, &e);
    CHECK_INT(zio_write(z, text.data, text.len, &e) || zio_close(z, &e), 0);
    z = zio_open_read(path, &e);
    const char *data;
    char *line;
    size_t len;
    size_t at = 0;
    ssize_t rc;
    for (size_t n = 1; n <= 65536; n *= 4) {
        CHECK_INT(zio_peek(z, n, &data, &e), n);
        CHECK(!memcmp(data, text.data + at, n));
        char piece[7];
        CHECK_INT(zio_read(z, piece, sizeof piece, &e), sizeof piece);
        CHECK(!memcmp(piece, text.data + at, sizeof piece));
        at += sizeof piece;
        CHECK_INT(zio_line(z, &line, &len, &e), 1);
        CHECK(!memcmp(line, text.data + at, len));
        at += len + 1;
    }
    struct buf rest = read_all(z, 4096, &rc, &e);
    CHECK(rest.len == text.len - at && !memcmp(rest.data, text.data + at, rest.len));
    CHECK_INT(zio_peek(z, 9, &data, &e), 0);
    CHECK_INT(zio_close(z, &e), 0);
    CHECK_STR(e.text, "");
    buf_free(&rest);
    buf_free(&text);
    free(path);
}

/* Memory is read as it is, a zstd frame too. */
static void memory_is_read(void) {
    struct err e = {{0}};
    struct buf b = {0};
    ssize_t rc;
    buf_add(&b, "\x28\xB5\x2F\xFD\nx", 6);
    struct zio *z = zio_open_memory("mem", &b);
    CHECK(!b.data && !strcmp(zio_name(z), "mem"));
    struct buf got = read_all(z, 4, &rc, &e);
    CHECK(rc == 0 && got.len == 6 && !memcmp(got.data, "\x28\xB5\x2F\xFD\nx", 6));
    CHECK_INT(zio_close(z, &e), 0);
    z = zio_open_memory("none", &b);
    CHECK_INT(zio_read(z, (char[1]){0}, 1, &e), 0);
    zio_abort(z);
    buf_free(&got);
}

static void a_cut_stream_gives_an_error_not_a_last_line(void) {
    struct err e = {{0}};
    char packed[256];
    char *path = scratch_path("cut-lines");
    char *line;
    size_t len;
    size_t n = ZSTD_compress(packed, sizeof packed, "one\ntwo\nthree", 13, 3);
    scratch_write(path, packed, n - 2);
    struct zio *z = zio_open_read(path, &e);
    int rc;
    while ((rc = zio_line(z, &line, &len, &e)) > 0)
        CHECK(len == 3);
    CHECK_INT(rc, -1);
    CHECK(strstr(e.text, "truncated"));
    zio_close(z, NULL);
    free(path);
}

/* ---- pipes ------------------------------------------------------------------------------ */

/* A line written and flushed can be read at once at the other end, packed or not. */
static void flush_reaches_the_reader(void) {
    const char *names[] = {"flush.fifo", "flush.zst"};
    for (int i = 0; i < 2; i++) {
        struct err e = {{0}};
        char *path = scratch_path(names[i]);
        char *line;
        size_t len;
        CHECK_INT(mkfifo(path, 0666), 0);
        int keep = open(path, O_RDWR);      /* so that neither open waits for the other */
        struct zio *out = zio_open_write(path, &e);
        struct zio *in = zio_open_read(path, &e);
        CHECK(out && in);
        for (int k = 0; k < 20; k++) {
            char text[32];
            int n = snprintf(text, sizeof text, "step %d\n", k);
            CHECK_INT(zio_write(out, text, (size_t)n, &e), 0);
            CHECK_INT(zio_flush(out, &e), 0);
            text[n - 1] = '\0';
            CHECK_INT(zio_line(in, &line, &len, &e), 1);
            CHECK_STR(line, text);
        }
        CHECK_INT(zio_close(out, &e), 0);
        close(keep);
        CHECK_INT(zio_line(in, &line, &len, &e), 0);
        CHECK_INT(zio_close(in, &e), 0);
        free(path);
    }
}

static void short_pieces_are_sniffed(void) {
    struct err e = {{0}};
    char packed[64];
    char name[32];
    int end[2];
    char *line;
    size_t len;
    size_t n = ZSTD_compress(packed, sizeof packed, "slowly\n", 7, 3);
    CHECK_INT(pipe(end), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(end[0]);
        for (size_t i = 0; i < n; i++) {
            if (write(end[1], packed + i, 1) != 1)
                _exit(1);
            usleep(2000);
        }
        _exit(0);
    }
    close(end[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", end[0]);
    struct zio *z = zio_open_read(name, &e);
    CHECK_INT(zio_line(z, &line, &len, &e), 1);
    CHECK_STR(line, "slowly");
    CHECK_INT(zio_line(z, &line, &len, &e), 0);
    zio_close(z, NULL);
    close(end[0]);
}

static void a_closed_pipe_is_epipe(void) {
    struct buf text = make_text(1 << 20, 1);
    signal(SIGPIPE, SIG_IGN);
    for (int packed = 0; packed < 2; packed++) {
        struct err e = {{0}};
        char *path = scratch_path(packed ? "closed.zst" : "closed");
        CHECK_INT(mkfifo(path, 0666), 0);
        int reader = open(path, O_RDONLY | O_NONBLOCK);
        struct zio *z = zio_open_write(path, &e);
        CHECK(z);
        close(reader);
        errno = 0;
        CHECK_INT(zio_write(z, text.data, text.len, &e), -1);
        CHECK_INT(errno, EPIPE);
        CHECK(strstr(e.text, "Broken pipe"));
        errno = 0;
        CHECK_INT(zio_close(z, &e), -1);        /* and it is not forgotten */
        CHECK_INT(errno, EPIPE);
        free(path);
    }
    buf_free(&text);
}

/* ---- faults ----------------------------------------------------------------------------- */

static void a_full_disk_is_an_error(void) {
    struct err e = {{0}};
    char *packed = scratch_path("full.zst");
    CHECK_INT(symlink("/dev/full", packed), 0);
    const char *names[] = {"/dev/full", packed};
    for (int i = 0; i < 2; i++) {
        struct zio *z = zio_open_write(names[i], &e);
        CHECK(z);
        CHECK_INT(zio_write(z, "x", 1, &e), 0);     /* still in a buffer */
        errno = 0;
        CHECK_INT(zio_close(z, &e), -1);
        CHECK_INT(errno, ENOSPC);
        CHECK(strstr(e.text, names[i]) && strstr(e.text, "No space left on device"));
        z = zio_open_write(names[i], &e);
        CHECK_INT(zio_write(z, "x", 1, &e), 0);
        CHECK_INT(zio_flush(z, &e), -1);
        CHECK_INT(zio_write(z, "x", 1, &e), -1);
        CHECK_INT(zio_close(z, &e), -1);
    }
    free(packed);
}

static void unreadable_things_are_named(void) {
    struct err e = {{0}};
    CHECK(!zio_open_read("/nowhere", &e));
    CHECK_STR(e.text, "/nowhere: No such file or directory");
    CHECK(!zio_open_read("/tmp", &e));
    CHECK_STR(e.text, "/tmp: Is a directory");
    CHECK(!zio_open_write("/nowhere/x.zst", &e));
    CHECK(strstr(e.text, "/nowhere/x.zst: No such file or directory"));
    zio_abort(NULL);
}

static void abort_leaves_nothing(void) {
    struct err e = {{0}};
    char *folder = scratch_path("aborted");
    char *path = scratch_path("aborted/x.zst");
    CHECK_INT(mkdir(folder, 0777), 0);
    struct zio *z = zio_open_write(path, &e);
    CHECK_INT(zio_write(z, "x", 1, &e), 0);
    zio_abort(z);
    CHECK_INT(scratch_count(folder), 0);
    free(folder);
    free(path);
}

/* ---- npy -------------------------------------------------------------------------------- */

static void npy_headers_follow_the_format(void) {
    struct err e = {{0}};
    char *path = scratch_path("a.npy");
    struct buf wide = {0};
    buf_addc(&wide, '[');
    for (int i = 0; i < 5000; i++)
        buf_printf(&wide, "('field%d', '<f4'), ", i);
    buf_addc(&wide, ']');
    const struct {
        const char *descr;
        int dims;
        int64_t shape[3];
        const char *tail;
    } t[] = {
        {"'<f4'", 2, {3, 5, 0}, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }"},
        {"'<i8'", 1, {7, 0, 0}, "{'descr': '<i8', 'fortran_order': False, 'shape': (7,), }"},
        {"'<f8'", 0, {0, 0, 0}, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }"},
        {"[('a', '<u4'), ('b', '<i2', (6, 2))]", 1, {0, 0, 0},
         "{'descr': [('a', '<u4'), ('b', '<i2', (6, 2))], 'fortran_order': False, "
         "'shape': (0,), }"},
        {wide.data, 1, {1, 0, 0}, "{'descr': [('field0', '<f4'), "},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct zio *z = zio_open_write(path, &e);
        CHECK_INT(npy_write_header(z, t[i].descr, t[i].shape, t[i].dims, &e), 0);
        CHECK_INT(zio_close(z, &e), 0);
        struct buf b = scratch_read(path);
        const unsigned char *u = (const unsigned char *)b.data;
        int two = b.len > 65536;
        size_t head = two ? 12 : 10;
        size_t said = two ? u[8] | (size_t)u[9] << 8 | (size_t)u[10] << 16 | (size_t)u[11] << 24
                          : u[8] | (size_t)u[9] << 8;
        CHECK_INT(two, t[i].descr == wide.data);
        CHECK(!memcmp(b.data, "\x93NUMPY", 6));
        CHECK_INT(u[6], two ? 2 : 1);
        CHECK_INT(u[7], 0);
        CHECK_INT(b.len % 64, 0);
        CHECK_INT(said, b.len - head);
        CHECK_INT(b.data[b.len - 1], '\n');
        CHECK(!strncmp(b.data + head, t[i].tail, strlen(t[i].tail)));
        buf_free(&b);
    }
    buf_free(&wide);
    free(path);
}

static void small_files_are_small_unpacked_too(void) {
    static const char zeros[100000];
    struct buf out = {0};
    struct err e = {""};
    char *path = scratch_path("small.zst");
    struct zio *z = zio_open_write(path, &e);
    CHECK(z && !zio_write(z, zeros, sizeof zeros, &e) && !zio_close(z, &e));
    CHECK_INT(zio_read_small(path, sizeof zeros, &out, &e), 0);
    CHECK_INT(out.len, sizeof zeros);
    CHECK_INT(zio_read_small(path, sizeof zeros - 1, &out, &e), -1);
    CHECK(strstr(e.text, "unpacks to more than 99999 bytes"));
    CHECK_INT(zio_read_small(path, 10, &out, &e), -1);
    CHECK(strstr(e.text, "at most 10 are expected"));
    CHECK(!unlink(path) && !mkfifo(path, 0600));        /* which nobody writes to */
    CHECK_INT(zio_read_small(path, 10, &out, &e), -1);
    CHECK(strstr(e.text, "not a regular file"));
    buf_free(&out);
    free(path);
}

int main(void) {
    RUN(what_is_written_is_read);
    RUN(names_do_not_decide_what_is_read);
    RUN(frames_are_joined);
    RUN(damage_is_reported);
    RUN(flipped_bits_are_seen);
    RUN(lines_are_cut_right);
    RUN(lines_and_bytes_mix);
    RUN(peeking_takes_nothing);
    RUN(memory_is_read);
    RUN(a_cut_stream_gives_an_error_not_a_last_line);
    RUN(flush_reaches_the_reader);
    RUN(short_pieces_are_sniffed);
    RUN(a_closed_pipe_is_epipe);
    RUN(a_full_disk_is_an_error);
    RUN(unreadable_things_are_named);
    RUN(abort_leaves_nothing);
    RUN(npy_headers_follow_the_format);
    RUN(small_files_are_small_unpacked_too);
    scratch_remove();
    return check_done();
}
