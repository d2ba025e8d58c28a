/* bench_device_product.c - a whole matrix product, see bench_device.h
 *
 * A peak is what registers reach. A prefill also loads, converts and stores, and what share it
 * reaches a profile should not guess: here our own product runs, 512 rows of input through
 * weights that grow with the threads. Type int8 is Q8_0: integer products with a scale for 32.
 */
#include "cmd/bench_device.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"
#include "lib/base/clock.h"
#include "lib/base/par.h"

#define ROWS 512                /* of input, as a prefill has them */
#define COLS 2048
#define WEIGHT_ROWS 256         /* for each thread: some milliseconds of work */

static const int types[LIMITS_TYPES] = {
    [LIMITS_F32] = KERN_F32, [LIMITS_BF16] = KERN_BF16, [LIMITS_F16] = -1, [LIMITS_INT8] = KERN_Q8_0
};

struct product {
    const struct kern *kern;
    struct kern_queue queue;
    int64_t rows;               /* of the weights */
    size_t weight_bytes, in_bytes, out_bytes;
    void *weight;               /* for the widest type */
    float *in, *out;
};

/* Small values of every type: neither NaN nor subnormal, which may be slow. */
static void fill_weights(unsigned char *p, size_t bytes) {
    uint32_t x = 1;
    for (size_t i = 0; i < bytes; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (unsigned char)(x >> 24) & 0x3f;
    }
}

struct product *product_new(const char *cpu, struct par *par) {
    const char *why = NULL;
    struct product *p = mem_alloc(sizeof *p);
    p->kern = kern_select(cpu, &why);
    if (!p->kern)
        usage_die("--cpu: %s", why);
    int threads = par_threads(par);
    const struct kern_limits limits = {.threads = threads, .rows = ROWS, .cols = COLS};
    p->rows = (int64_t)WEIGHT_ROWS * threads;
    p->queue = (struct kern_queue){.par = {par_run, par, threads},
                                   .scratch_bytes = kern_scratch_bytes(&limits)};
    p->weight_bytes = kern_pack_bytes(KERN_F32, p->rows, COLS);
    p->in_bytes = sizeof *p->in * ROWS * COLS;
    p->out_bytes = sizeof *p->out * ROWS * (size_t)p->rows;
    p->queue.scratch = mem_map(p->queue.scratch_bytes);
    p->weight = mem_map(p->weight_bytes);
    p->in = mem_map(p->in_bytes);
    p->out = mem_map(p->out_bytes);
    if (!p->queue.scratch || !p->weight || !p->in || !p->out)
        die("no memory for a matrix product of %zu MiB", p->weight_bytes >> 20);
    fill_weights(p->weight, p->weight_bytes);
    for (int i = 0; i < ROWS * COLS; i++)
        p->in[i] = (float)(i % 2003 * 7919 % 2001 - 1000) * 1e-3f;
    return p;
}

void product_free(struct product *p) {
    if (!p)
        return;
    mem_unmap(p->queue.scratch, p->queue.scratch_bytes);
    mem_unmap(p->weight, p->weight_bytes);
    mem_unmap(p->in, p->in_bytes);
    mem_unmap(p->out, p->out_bytes);
    free(p);
}

const char *product_method(const struct product *p, int type) {
    return types[type] < 0 ? NULL : p->kern->describe;
}

double product_rate(struct product *p, int type, double seconds) {
    struct kern_weight w = {types[type], KERN_PACKED, p->rows, COLS, 1,
                            kern_pack_bytes(types[type], p->rows, COLS), p->weight};
    struct kern_mm mm = {&w, NULL, p->out, 0};
    double ops = 0;
    int64_t start = clock_ns();
    int64_t now = start;
    do {
        p->kern->matmul(&p->queue, p->in, ROWS, &mm, 1);
        ops += 2.0 * ROWS * COLS * (double)p->rows;
        now = clock_ns();
    } while (now < start + (int64_t)(seconds * 1e9));
    return ops / (double)(now - start) * 1e9;
}
