/* bench_model_limits.c - what the machine could do, for shares of it, see bench_model.h */
#include "cmd/bench_model.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 0.5             /* a figure */

/* ---- measuring ---------------------------------------------------------------------------- */

static void child(int to, int threads) {
    struct limits l = {0};
    struct err err;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct par *par = par_new(threads);
    if (!limits_measure(par, SECONDS, &l, &err) && write(to, &l, sizeof l) == (ssize_t)sizeof l)
        _exit(EXIT_DONE);
    _exit(EXIT_FAILED);
}

/* All zero, which is no limit, where the child has no memory. */
static struct limits measure(int threads) {
    struct limits l = {0};
    int end[2];
    if (pipe(end))
        die("limits: %s", strerror(errno));
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        die("limits: no process: %s", strerror(errno));
    if (!pid)
        child(end[1], threads);
    close(end[1]);
    ssize_t got;
    do
        got = read(end[0], &l, sizeof l);
    while (got < 0 && errno == EINTR);
    close(end[0]);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (got != (ssize_t)sizeof l) {
        warn("the machine's limits could not be measured: no shares of them");
        memset(&l, 0, sizeof l);
    }
    return l;
}

struct limits *model_limits_measure(const struct model_bench *b) {
    if (b->no_limits || b->device)
        return NULL;
    struct progress bar;
    struct limits *all = mem_array((size_t)b->threads.n, sizeof *all);
    progress_start(&bar, "limits", PROGRESS_COUNT, b->common.quiet);
    for (int i = 0; i < b->threads.n; i++) {
        all[i] = measure((int)b->threads.v[i]);
        progress_update(&bar, i + 1, b->threads.n);
    }
    progress_end(&bar);
    return all;
}

/* ---- which of them -------------------------------------------------------------------------- */

enum { F32, BF16, INT8, UNITS };
static const char *const units[UNITS] = {"f32", "bf16", "int8"};

/* The arithmetic that kernels do with weights of a type (kern.h, matmul). */
static int unit_of(int type, const struct kern *k) {
    if (type == KERN_BF16)
        return strcmp(k->name, "avx512") ? F32 : BF16;
    return type == KERN_F32 || type == KERN_F16 ? F32 : INT8;
}

/* That of most elements, which do most of the operations. An embedding that is only looked up does
 * none. */
static int main_unit(const struct model *m, const struct kern *k) {
    double elements[UNITS] = {0};
    int most = F32;
    const struct gguf_tensor *embed = gguf_find(m->gguf, "token_embd.weight");
    for (uint64_t i = 0; i < gguf_tensor_count(m->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor(m->gguf, i);
        if (t->dims > 1 && (t != embed || m->shape->tied))
            elements[unit_of(t->type, k)] += (double)t->ne[0] * (double)t->ne[1] *
                                             (double)t->ne[2] * (double)t->ne[3];
    }
    for (int u = 1; u < UNITS; u++)
        most = elements[u] > elements[most] ? u : most;
    return most;
}

/* Bandwidth and the units' peaks; 0: not known. */
static void find_figures(const struct model_bench *b, const struct limits *all, int threads,
                         double *read, double flops[UNITS]) {
    if (b->no_limits)
        return;
    struct limits profile;
    const struct limits *l = &profile;
    int i = 0;
    while (b->threads.v[i] != threads)
        i++;
    if (b->device)
        limits_of_device(b->device, &profile);
    else
        l = &all[i];
    *read = l->read_bytes_per_s;
    flops[F32] = l->f32;
    flops[BF16] = l->bf16;
    flops[INT8] = l->int8;
}

struct model_limits model_limits(const struct model_bench *b, const struct limits *all,
                                 int threads, const struct model *m) {
    double read = 0;
    double flops[UNITS] = {0};
    int unit = main_unit(m, b->kern);
    find_figures(b, all, threads, &read, flops);
    /* Kernels multiply bf16 as floats where the processor has no products of it. */
    if (unit == BF16 && !(flops[BF16] > 0))
        unit = F32;
    return (struct model_limits){read > 0 ? read : NAN, flops[unit] > 0 ? flops[unit] : NAN,
                                 units[unit]};
}
