/* spawn.c - run a command, and say what it took, see spawn.h
 *
 * stdin and stdout of the command are files in memory, not pipes: whatever it reads or writes, in
 * whatever order, nobody waits for this program, no part of the copying is inside the clock, and
 * what a daemon that it leaves behind holds open keeps nobody waiting either.
 *
 * fork, not vfork or posix_spawn: Linux counts the memory that a process had before exec into its
 * largest resident set, and with a borrowed address space that would be this program's peak. A
 * forked one begins with what this program has written, some hundred kilobytes.
 */
#include "cmd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/common.h"
#include "lib/base/clock.h"

#define NOT_FOUND 127               /* as a shell says it; 126: found, but not to be run */
#define NOT_RUN 126

static int open_null(int flags) {
    int fd = open("/dev/null", flags | O_CLOEXEC);
    if (fd < 0)
        die("/dev/null: %s", strerror(errno));
    return fd;
}

static int open_memory(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        die("a file in memory: %s", strerror(errno));
    return fd;
}

static int open_input(const struct buf *input) {
    if (!input)
        return open_null(O_RDONLY);
    int fd = open_memory("stdin");
    for (size_t at = 0; at < input->len;) {
        ssize_t n = write(fd, input->data + at, input->len - at);
        if (n < 0 && errno != EINTR)
            die("a file in memory: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void read_output(int fd, struct buf *out) {
    struct stat st;
    if (fstat(fd, &st))
        die("a file in memory: %s", strerror(errno));
    buf_reserve(out, (size_t)st.st_size);
    while (out->len < (size_t)st.st_size) {
        ssize_t n = pread(fd, out->data + out->len, (size_t)st.st_size - out->len,
                          (off_t)out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    out->data[out->len] = '\0';
}

/* The child's side. A terminal's Ctrl-C reaches both, as they are one process group; a kill of the
 * parent alone does not, hence the death signal, and the question whether the parent was gone
 * before it was set. */
static void become(char *const argv[], int in, int out, int err, pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
        _exit(NOT_RUN);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        (err >= 0 && dup2(err, STDERR_FILENO) < 0))
        _exit(NOT_RUN);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? NOT_FOUND : NOT_RUN);
}

static int64_t timeval_ns(struct timeval t) {
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

static void collect(pid_t child, struct spawned *s) {
    struct rusage used;
    int status;
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            die("waiting for a command: %s", strerror(errno));
    s->wall_ns = clock_ns() - s->wall_ns;
    s->user_ns = timeval_ns(used.ru_utime);
    s->system_ns = timeval_ns(used.ru_stime);
    s->peak_bytes = (int64_t)used.ru_maxrss * 1024;
    s->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void spawn_program(char *const argv[], const struct buf *input, int flags, struct spawned *out) {
    int in = open_input(input);
    int to = flags & SPAWN_KEEP ? open_memory("stdout") : open_null(O_WRONLY);
    int err = flags & SPAWN_QUIET ? open_null(O_WRONLY) : -1;
    pid_t parent = getpid();
    *out = (struct spawned){.status = 0};
    fflush(stdout);
    out->wall_ns = clock_ns();
    pid_t child = fork();
    if (child < 0)
        die("%s: no process: %s", argv[0], strerror(errno));
    if (!child)
        become(argv, in, to, err, parent);
    collect(child, out);
    if (flags & SPAWN_KEEP)
        read_output(to, &out->out);
    close(in);
    close(to);
    if (err >= 0)
        close(err);
}

void spawn_shell(const char *command, int flags, struct spawned *out) {
    char sh[] = "/bin/sh";
    char c[] = "-c";
    char *copy = mem_strdup(command);
    char *argv[] = {sh, c, copy, NULL};
    spawn_program(argv, NULL, flags, out);
    free(copy);
}

void spawned_free(struct spawned *s) {
    buf_free(&s->out);
}

char *spawn_sibling(const char *program) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        char *path = mem_printf("%.*s/%s", slash ? (int)(slash - self) : 0, self, program);
        if (!access(path, X_OK))
            return path;
        free(path);
    }
    return mem_strdup(program);
}
