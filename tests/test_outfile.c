/* test_outfile.c - output files: whole or absent, links, devices, signals, full disks */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/base/outfile.h"
#include "tests/check.h"
#include "tests/scratch.h"

static void expect_content(const char *path, const char *want) {
    struct buf b = scratch_read(path);
    CHECK_STR(b.data, want);
    buf_free(&b);
}

static char *fresh_folder(const char *name) {
    char *folder = scratch_path(name);
    CHECK_INT(mkdir(folder, 0777), 0);
    return folder;
}

static void file_appears_whole(void) {
    struct err e = {{0}};
    char *folder = fresh_folder("whole");
    char *path = scratch_path("whole/a.txt");
    struct outfile *f = outfile_open(path, &e);
    CHECK(f);
    fputs("hello", outfile_stream(f));
    fflush(outfile_stream(f));
    CHECK(!scratch_exists(path));
    CHECK_INT(scratch_count(folder), 1);
    CHECK_INT(outfile_close(f, &e), 0);
    expect_content(path, "hello");
    CHECK_INT(scratch_count(folder), 1);

    f = outfile_open(path, &e);
    fputs("again", outfile_stream(f));
    expect_content(path, "hello");
    outfile_abort(f);
    expect_content(path, "hello");
    CHECK_INT(scratch_count(folder), 1);
    f = outfile_open(path, &e);
    fputs("again", outfile_stream(f));
    CHECK_INT(outfile_close(f, &e), 0);
    expect_content(path, "again");
    outfile_abort(NULL);
    free(folder);
    free(path);
}

static void rights_follow_umask_and_the_old_file(void) {
    struct err e = {{0}};
    struct stat st;
    char *path = scratch_path("rights");
    mode_t mask = umask(027);
    CHECK_INT(outfile_close(outfile_open(path, &e), &e), 0);
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0640);
    CHECK_INT(chmod(path, 0604), 0);
    CHECK_INT(outfile_close(outfile_open(path, &e), &e), 0);
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_mode & 07777, 0604);
    umask(mask);
    free(path);
}

static void links_stay_links(void) {
    struct err e = {{0}};
    char *folder = fresh_folder("links");
    char *link = scratch_path("links/link");
    char *hop = scratch_path("links/hop");
    char *target = scratch_path("links/target");
    char *loop = scratch_path("links/loop");
    CHECK_INT(symlink("hop", link), 0);
    CHECK_INT(symlink(target, hop), 0);
    for (int i = 0; i < 2; i++) {       /* first dangling, then over a file */
        struct outfile *f = outfile_open(link, &e);
        CHECK(f);
        fputs(i ? "two" : "one", outfile_stream(f));
        CHECK_INT(outfile_close(f, &e), 0);
        expect_content(target, i ? "two" : "one");
        struct stat st;
        CHECK(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
        CHECK(lstat(hop, &st) == 0 && S_ISLNK(st.st_mode));
    }
    CHECK_INT(symlink("loop", loop), 0);
    CHECK(!outfile_open(loop, &e));
    CHECK(strstr(e.text, "Too many levels"));
    free(folder);
    free(link);
    free(hop);
    free(target);
    free(loop);
}

static void faults_are_named(void) {
    struct err e = {{0}};
    CHECK(!outfile_open("/nowhere/file", &e));
    CHECK_STR(e.text, "/nowhere/file: No such file or directory");
    CHECK(!outfile_open("", &e));
    CHECK(strstr(e.text, "No such file"));
    char *folder = fresh_folder("faults");
    CHECK(!outfile_open(folder, &e));
    CHECK(strstr(e.text, "Is a directory"));
    CHECK(!outfile_open("/dev/fd/999", &e));
    CHECK(strstr(e.text, "Bad file descriptor"));
    struct outfile *f = outfile_open("/dev/full", &e);
    CHECK(f);
    fputs("x", outfile_stream(f));
    CHECK_INT(outfile_close(f, &e), -1);
    CHECK_INT(errno, ENOSPC);
    CHECK_STR(e.text, "/dev/full: No space left on device");
    free(folder);
}

static void a_fault_in_between_is_not_forgotten(void) {
    struct err e = {{0}};
    struct outfile *f = outfile_open("/dev/full", &e);
    static const char big[200000];
    CHECK(fwrite(big, 1, sizeof big, outfile_stream(f)) < sizeof big);
    CHECK_INT(outfile_close(f, &e), -1);
    CHECK(strstr(e.text, "/dev/full: "));
}

static void descriptors_are_written_in_place(void) {
    struct err e = {{0}};
    char *path = scratch_path("descriptor");
    char name[32];
    int fd = open(path, O_RDWR | O_CREAT, 0666);
    CHECK_INT(write(fd, "before ", 7), 7);
    snprintf(name, sizeof name, "/dev/fd/%d", fd);
    struct outfile *f = outfile_open(name, &e);
    CHECK(f);
    fputs("inside ", outfile_stream(f));
    CHECK_INT(outfile_close(f, &e), 0);
    CHECK_INT(write(fd, "after", 5), 5);
    close(fd);
    expect_content(path, "before inside after");
    free(path);
}

static void fifos_are_written_in_place(void) {
    struct err e = {{0}};
    char *path = scratch_path("fifo");
    char got[8] = "";
    CHECK_INT(mkfifo(path, 0666), 0);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    struct outfile *f = outfile_open(path, &e);
    CHECK(f);
    fputs("pipe", outfile_stream(f));
    CHECK_INT(outfile_close(f, &e), 0);
    CHECK_INT(read(fd, got, sizeof got), 4);
    CHECK(!memcmp(got, "pipe", 4));
    close(fd);
    struct stat st;
    CHECK(stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
    free(path);
}

static void on_signal(int sig) {
    (void)sig;
    outfile_cleanup();
    _exit(7);
}

static void signals_leave_no_half_file(void) {
    char *folder = fresh_folder("signal");
    char *a = scratch_path("signal/a");
    char *b = scratch_path("signal/b");
    char *kept = scratch_path("signal/kept");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGINT, on_signal);
        struct outfile *done = outfile_open(kept, NULL);
        struct outfile *f = outfile_open(a, NULL);
        struct outfile *g = outfile_open(b, NULL);
        outfile_close(done, NULL);
        if (!f || !g || scratch_count(folder) != 3)
            _exit(1);
        raise(SIGINT);
        _exit(2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 7);
    CHECK_INT(scratch_count(folder), 1);
    CHECK(scratch_exists(kept));
    free(folder);
    free(a);
    free(b);
    free(kept);
}

static void too_many_at_once_are_refused_and_slots_come_back(void) {
    struct err e = {{0}};
    struct outfile *f[100] = {NULL};
    int n = 0;
    char *folder = fresh_folder("many");
    for (int round = 0; round < 2; round++) {
        for (n = 0; n < 100; n++) {
            char name[32];
            snprintf(name, sizeof name, "many/%d", n);
            char *path = scratch_path(name);
            f[n] = outfile_open(path, &e);
            free(path);
            if (!f[n])
                break;
        }
        CHECK_INT(n, 64);
        CHECK(strstr(e.text, "Too many open files"));
        for (int i = 0; i < n; i++)
            outfile_abort(f[i]);
        CHECK_INT(scratch_count(folder), 0);
    }
    free(folder);
}

int main(void) {
    RUN(file_appears_whole);
    RUN(rights_follow_umask_and_the_old_file);
    RUN(links_stay_links);
    RUN(faults_are_named);
    RUN(a_fault_in_between_is_not_forgotten);
    RUN(descriptors_are_written_in_place);
    RUN(fifos_are_written_in_place);
    RUN(signals_leave_no_half_file);
    RUN(too_many_at_once_are_refused_and_slots_come_back);
    scratch_remove();
    return check_done();
}
