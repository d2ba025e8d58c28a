/* outfolder.c - output folders that are whole or not there, see outfolder.h
 *
 * The temporary's name stands in a fixed place before the folder is made and until it is renamed,
 * for the signal handler, which lists it with the system call itself: opendir would take memory.
 */
#include "lib/base/outfolder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/outfile.h"

struct outfolder {
    char *path;                 /* without slashes at its end */
};

enum { FREE, TAKEN, NAMED };
static atomic_int state;
static char temporary[PATH_MAX];

/* What the system call writes: a record and the name behind it. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void empty_folder(int fd) {
    _Alignas(struct entry) char records[4096];
    for (int more = 1; more;) {
        long got;
        more = 0;
        lseek(fd, 0, SEEK_SET);
        while ((got = syscall(SYS_getdents64, fd, records, sizeof records)) > 0)
            for (long at = 0; at < got;) {
                const struct entry *e = (const void *)(records + at);
                at += e->length;
                if (strcmp(e->name, ".") && strcmp(e->name, "..") && !unlinkat(fd, e->name, 0))
                    more = 1;   /* what is read while names go may leave some out */
            }
    }
}

static void remove_folder(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    empty_folder(fd);
    close(fd);
    rmdir(path);
}

void outfolder_cleanup(void) {
    int saved = errno;
    if (atomic_load(&state) == NAMED)
        remove_folder(temporary);
    errno = saved;
}

/* 0 made; -1 with errno. */
static int make_temporary(const char *path) {
    for (int tries = 0; tries < 100; tries++) {
        if (outfile_temporary(path, temporary, sizeof temporary))
            return -1;
        atomic_store(&state, NAMED);
        if (!mkdir(temporary, 0777))
            return 0;
        atomic_store(&state, TAKEN);            /* not ours to remove */
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Whether rename would go: nothing there, or an empty folder. */
static int is_free(const char *path) {
    struct stat st;
    if (lstat(path, &st))
        return errno == ENOENT;
    errno = EEXIST;
    DIR *d = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    if (!d)
        return 0;
    int entries = 0;
    while (readdir(d))
        entries++;
    closedir(d);
    errno = ENOTEMPTY;
    return entries <= 2;
}

struct outfolder *outfolder_open(const char *path, struct err *err) {
    int expected = FREE;
    if (!*path || !is_free(path)) {
        err_set(err, "%s: %s", path, strerror(*path ? errno : ENOENT));
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&state, &expected, TAKEN)) {
        err_set(err, "%s: another folder is being written", path);
        return NULL;
    }
    struct outfolder *f = mem_alloc(sizeof *f);
    f->path = mem_strdup(path);
    for (size_t len = strlen(path); len > 1 && f->path[len - 1] == '/'; len--)
        f->path[len - 1] = '\0';
    if (!make_temporary(f->path))
        return f;
    err_set(err, "%s: %s", path, strerror(errno));
    outfolder_abort(f);
    return NULL;
}

const char *outfolder_path(const struct outfolder *f) {
    (void)f;
    return temporary;
}

static void free_folder(struct outfolder *f) {
    atomic_store(&state, FREE);
    free(f->path);
    free(f);
}

int outfolder_close(struct outfolder *f, struct err *err) {
    if (rename(temporary, f->path)) {
        err_set(err, "%s: %s", f->path, strerror(errno));
        outfolder_abort(f);
        return -1;
    }
    free_folder(f);
    return 0;
}

void outfolder_abort(struct outfolder *f) {
    if (!f)
        return;
    if (atomic_load(&state) == NAMED)
        remove_folder(temporary);
    free_folder(f);
}
