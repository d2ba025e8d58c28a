/* outfile.c - output files that are whole or not there, see outfile.h
 *
 * The names of all temporaries that exist stand in one fixed table, so that a signal handler can
 * remove them without touching the heap. A name enters the table before its file is made and
 * leaves it after the rename or the unlink: whenever a signal comes, nothing is missed.
 */
#include "lib/base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/outfolder.h"

#define MAX_OPEN 64             /* temporaries at one time */
#define MAX_LINKS 40            /* what Linux itself follows */
#define BUFFER_BYTES (64 << 10)

struct slot {
    atomic_int state;           /* FREE, TAKEN (name is being written) or NAMED */
    char name[PATH_MAX];
};
enum { FREE, TAKEN, NAMED };

static struct slot temporaries[MAX_OPEN];

struct outfile {
    char *path;                 /* as given, for messages */
    char *target;               /* what the temporary becomes; NULL: written in place */
    struct slot *slot;          /* holds the temporary's name while there is a target */
    FILE *stream;
};

/* NULL with errno when the table is full. */
static struct slot *take_slot(void) {
    for (int i = 0; i < MAX_OPEN; i++) {
        int state = FREE;
        if (atomic_compare_exchange_strong(&temporaries[i].state, &state, TAKEN))
            return &temporaries[i];
    }
    errno = EMFILE;
    return NULL;
}

static void free_slot(struct outfile *f) {
    if (f->slot)
        atomic_store(&f->slot->state, FREE);
    f->slot = NULL;
}

void outfile_cleanup(void) {
    int saved = errno;
    for (int i = 0; i < MAX_OPEN; i++)
        if (atomic_load(&temporaries[i].state) == NAMED)
            unlink(temporaries[i].name);
    outfolder_cleanup();
    errno = saved;
}

/* Which descriptor of ours a path means (/dev/stdout, /dev/fd/5), or -1. Opening such a path
 * anew would truncate a file that the shell holds open and lose its position. */
static int descriptor_of(const char *path) {
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (!strcmp(path, "/dev/stdout"))
        return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr"))
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        size_t len = strlen(folders[i]);
        char *end;
        if (strncmp(path, folders[i], len) || path[len] < '0' || path[len] > '9')
            continue;
        long fd = strtol(path + len, &end, 10);
        if (!*end && fd <= 1 << 20)
            return (int)fd;
    }
    return -1;
}

/* Follows symbolic links by hand, as the last one may point to a file that does not exist yet.
 * Returns the path that is no link (caller frees); NULL when there are too many. */
static char *follow_links(const char *path) {
    char *at = mem_strdup(path);
    char link[4096];
    for (int hops = 0; hops < MAX_LINKS; hops++) {
        ssize_t n = readlink(at, link, sizeof link - 1);
        if (n < 0)
            return at;
        link[n] = '\0';
        const char *slash = strrchr(at, '/');
        int folder = link[0] == '/' || !slash ? 0 : (int)(slash + 1 - at);
        char *next = mem_printf("%.*s%s", folder, at, link);
        free(at);
        at = next;
    }
    free(at);
    errno = ELOOP;
    return NULL;
}

int outfile_temporary(const char *path, char *name, size_t size) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    unsigned char r[6];
    char random[7] = "";
    if (getrandom(r, sizeof r, 0) != sizeof r)
        return -1;
    for (int i = 0; i < 6; i++)
        random[i] = letters[r[i] % 32];
    int n = snprintf(name, size, "%s.%s.tmp", path, random);
    if (n >= 0 && (size_t)n < size)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

/* Makes and registers path.XXXXXX.tmp beside the target, with the rights that a file made anew
 * gets. Returns its descriptor or -1 with errno. */
static int make_temporary(struct outfile *f) {
    f->slot = take_slot();
    for (int tries = 0; f->slot && tries < 100; tries++) {
        if (outfile_temporary(f->target, f->slot->name, sizeof f->slot->name))
            return -1;
        atomic_store(&f->slot->state, NAMED);
        int fd = open(f->slot->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        atomic_store(&f->slot->state, TAKEN);       /* not ours to remove */
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* The descriptor that f->path's bytes go to; -1 with errno. */
static int open_target(struct outfile *f) {
    struct stat st;
    int fd = descriptor_of(f->path);
    if (fd >= 0)
        return fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (!*f->path) {
        errno = ENOENT;
        return -1;
    }
    int exists = stat(f->path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode))
        return open(f->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (exists && access(f->path, W_OK))
        return -1;          /* rename would replace a file that is write-protected */
    f->target = follow_links(f->path);
    if (!f->target)
        return -1;
    fd = make_temporary(f);
    if (fd >= 0 && exists)
        (void)!fchmod(fd, st.st_mode & 07777);      /* keep what the old file allowed, if we may */
    return fd;
}

static void free_outfile(struct outfile *f) {
    free_slot(f);
    free(f->path);
    free(f->target);
    free(f);
}

struct outfile *outfile_open(const char *path, struct err *err) {
    struct outfile *f = mem_alloc(sizeof *f);
    f->path = mem_strdup(strcmp(path, "-") ? path : "stdout");
    if (!strcmp(path, "-")) {
        f->stream = stdout;
        return f;
    }
    int fd = open_target(f);
    if (fd < 0) {
        err_set(err, "%s: %s", path, strerror(errno));
        free_outfile(f);
        return NULL;
    }
    f->stream = fdopen(fd, "wb");
    if (!f->stream) {
        err_set(err, "%s: %s", path, strerror(errno));
        close(fd);
        outfile_abort(f);
        return NULL;
    }
    setvbuf(f->stream, NULL, _IOFBF, BUFFER_BYTES);
    return f;
}

FILE *outfile_stream(struct outfile *f) {
    return f->stream;
}

int outfile_write(struct outfile *f, const void *data, size_t len, struct err *err) {
    errno = 0;
    if (!len || fwrite(data, 1, len, f->stream) == len)
        return 0;
    int saved = errno ? errno : EIO;
    err_set(err, "%s: %s", f->path, strerror(saved));
    errno = saved;
    return -1;
}

/* Flushes and closes the stream (stdout stays open). Returns 0 or an errno. */
static int finish_stream(FILE *stream) {
    int failed = ferror(stream) ? EIO : 0;      /* the errno of an earlier write is gone */
    if (fflush(stream))
        failed = errno;
    if (stream != stdout && fclose(stream) && !failed)
        failed = errno;
    return failed;
}

int outfile_close(struct outfile *f, struct err *err) {
    int failed = finish_stream(f->stream);
    f->stream = NULL;
    if (!failed && f->target && rename(f->slot->name, f->target))
        failed = errno;
    if (failed) {
        err_set(err, "%s: %s", f->path, strerror(failed));
        outfile_abort(f);
        errno = failed;
        return -1;
    }
    free_outfile(f);
    return 0;
}

void outfile_abort(struct outfile *f) {
    if (!f)
        return;
    if (f->stream && f->stream != stdout)
        fclose(f->stream);
    if (f->slot && atomic_load(&f->slot->state) == NAMED)
        unlink(f->slot->name);
    free_outfile(f);
}
