/* scratch.h - a throw-away folder for tests, and whole files in and out
 *
 *     char *path = scratch_path("a.gguf");     // caller frees
 *     scratch_write(path, data, len);
 *     ...
 *     scratch_remove();                        // at the end of main
 *
 * A failure here is the machine's, not the tested code's: it ends the test program.
 */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

static char scratch_dir[256];

static inline void scratch_die(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

static inline char *scratch_path(const char *name) {
    if (!*scratch_dir) {
        const char *tmp = getenv("TMPDIR");
        snprintf(scratch_dir, sizeof scratch_dir, "%s/llmutils.XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(scratch_dir))
            scratch_die(scratch_dir);
    }
    return mem_printf("%s/%s", scratch_dir, name);
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void scratch_remove(void) {
    if (*scratch_dir)
        nftw(scratch_dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_write(const char *path, const void *data, size_t len) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, len, f) != len || fclose(f))
        scratch_die(path);
}

/* The whole file; data NULL when there is none. buf_free it. */
static inline struct buf scratch_read(const char *path) {
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return b;
    buf_reserve(&b, 0);
    b.data[0] = '\0';
    for (size_t n = 1; n; b.len += n) {
        buf_reserve(&b, 1 << 16);
        n = fread(b.data + b.len, 1, 1 << 16, f);
    }
    b.data[b.len] = '\0';
    fclose(f);
    return b;
}

static inline int scratch_exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Files in the scratch folder or a folder below it. */
static inline int scratch_count(const char *folder) {
    int n = 0;
    DIR *d = opendir(folder);
    if (!d)
        return 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.' || (e->d_name[1] && strcmp(e->d_name, ".."));
    closedir(d);
    return n;
}

#endif
