/* bench_process.c - what a program takes: seconds, processor time, memory
 *
 *     bench_process PROGRAM [ARGUMENT]...
 *
 * Prints seconds of the wall clock, seconds of the processor over all threads, and KiB of the
 * largest resident set, from just before the process is made until it has ended. The program's own
 * output goes nowhere. For scripts/bench-quant, since not every machine has GNU time.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/clock.h"

static double seconds(struct timeval t) {
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void become(char **argv) {
    int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
        _exit(126);
    execvp(argv[0], argv);
    _exit(127);
}

int main(int argc, char **argv) {
    struct rusage used;
    int status;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_process PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    int64_t start = clock_ns();
    pid_t child = fork();
    if (!child)
        become(argv + 1);
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        perror("bench_process");
        return 1;
    }
    double wall = (double)(clock_ns() - start) * 1e-9;
    printf("%.3f %.3f %ld\n", wall, seconds(used.ru_utime) + seconds(used.ru_stime),
           used.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
