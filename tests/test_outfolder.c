/* test_outfolder.c - output folders: whole or absent, what stands in the way, signals */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/outfile.h"
#include "lib/base/outfolder.h"
#include "tests/check.h"
#include "tests/scratch.h"

static void write_inside(const struct outfolder *f, const char *name) {
    char *path = mem_printf("%s/%s", outfolder_path(f), name);
    struct err err;
    struct outfile *file = outfile_open(path, &err);
    CHECK(file != NULL);
    fputs("x", outfile_stream(file));
    CHECK_INT(outfile_close(file, &err), 0);
    free(path);
}

static void appears_whole(void) {
    struct err err;
    char *path = scratch_path("whole//");
    struct outfolder *f = outfolder_open(path, &err);
    CHECK(f != NULL);
    write_inside(f, "a");
    CHECK(!scratch_exists(path));
    CHECK(outfolder_open(path, &err) == NULL);          /* one at a time */
    CHECK_INT(outfolder_close(f, &err), 0);
    CHECK_INT(scratch_count(path), 1);
    CHECK_INT(scratch_count(scratch_dir), 1);
    free(path);
}

static void aborted(void) {
    struct err err;
    char *path = scratch_path("aborted");
    int before = scratch_count(scratch_dir);
    struct outfolder *f = outfolder_open(path, &err);
    CHECK(f != NULL);
    write_inside(f, "a");
    write_inside(f, "b");
    outfolder_abort(f);
    CHECK_INT(scratch_count(scratch_dir), before);
    outfolder_abort(NULL);
    free(path);
}

static void in_the_way(void) {
    struct err err;
    char *file = scratch_path("file");
    char *empty = scratch_path("empty");
    char *full = scratch_path("full");
    char *inside = scratch_path("full/inside");
    scratch_write(file, "x", 1);
    CHECK(outfolder_open(file, &err) == NULL);
    CHECK(strstr(err.text, "file: ") != NULL);
    CHECK_INT(mkdir(full, 0777), 0);
    scratch_write(inside, "x", 1);
    CHECK(outfolder_open(full, &err) == NULL);
    CHECK(strstr(err.text, "full: Directory not empty") != NULL);
    CHECK(outfolder_open("/dev/null", &err) == NULL);
    CHECK(outfolder_open("/nowhere/at/all", &err) == NULL);
    CHECK(outfolder_open("", &err) == NULL);
    CHECK_INT(mkdir(empty, 0777), 0);
    struct outfolder *f = outfolder_open(empty, &err);
    CHECK(f != NULL);
    write_inside(f, "a");
    CHECK_INT(outfolder_close(f, &err), 0);
    CHECK_INT(scratch_count(empty), 1);
    /* What came there meanwhile is left alone. */
    char *late = scratch_path("late");
    f = outfolder_open(late, &err);
    scratch_write(late, "x", 1);
    CHECK_INT(outfolder_close(f, &err), -1);
    CHECK(scratch_exists(late));
    free(late);
    free(inside);
    free(full);
    free(empty);
    free(file);
}

static void on_signal(int number) {
    outfile_cleanup();
    signal(number, SIG_DFL);
    raise(number);
}

/* Killed with many files in it, one of them unfinished. */
static void signals(void) {
    char *path = scratch_path("signal");
    int before = scratch_count(scratch_dir);
    pid_t child = fork();
    if (!child) {
        struct err err;
        signal(SIGTERM, on_signal);
        struct outfolder *f = outfolder_open(path, &err);
        for (int i = 0; f && i < 300; i++) {
            char *name = mem_printf("a-file-with-a-long-name-%d", i);
            write_inside(f, name);
            free(name);
        }
        char *open = mem_printf("%s/open", outfolder_path(f));
        outfile_open(open, &err);
        raise(SIGTERM);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK_INT(scratch_count(scratch_dir), before);
    free(path);
}

int main(void) {
    RUN(appears_whole);
    RUN(aborted);
    RUN(in_the_way);
    RUN(signals);
    scratch_remove();
    return check_done();
}
