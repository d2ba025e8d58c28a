/* bench_attn.c - how fast attention runs: prefill in GFLOP/s, decode in GB/s of cache read
 *
 *     bench_attn [THREADS [VARIANT]]
 *
 * Prefill takes 512 rows on top of 0 or 4096 positions; a multiply-add counts two operations,
 * over the positions that the rows see. Decode takes one row at depth 4096, in turn over as
 * many layers as fill 256 MiB, so that the cache comes from memory; its figure counts the bytes
 * of the cache alone. The clock holds the attention call and nothing else. A line is the
 * median of RUNS runs after a warm-up, and their spread (largest minus smallest, per cent).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kern.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/base/par.h"

#define RUNS 9
#define CACHE_BYTES ((size_t)256 << 20)

static const struct {
    const char *name;
    int heads, kv_heads, d;
} shapes[] = {
    {"32 heads, 8 KV, 128", 32, 8, 128},
    {"16 heads, 16 KV, 128", 16, 16, 128},
    {"32 heads, 4 KV, 64", 32, 4, 64},
    {"4 heads, 1 KV, 256", 4, 1, 256},
};

/* One measurement's memory: layers of one sequence, its rows, their queries. */
struct bench {
    const struct kern *k;
    struct kern_queue queue;
    struct kern_attn at;
    int layers;
    size_t layer_bytes, cache_bytes;
    int32_t *table, *seq, *pos;
    float *q, *out;
};

static float *random_floats(size_t n) {
    float *x = mem_array(n, sizeof *x);
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / 8388608.0f - 1;
    }
    return x;
}

/* Fills the first layer through kv_store and copies it to the others. */
static void fill(struct bench *b, int length) {
    struct kern_kv *kv = &b->at.kv;
    size_t k_row = (size_t)(kv->heads * kv->dk);
    float *k = random_floats(64 * k_row);
    const int32_t *tables[] = {b->table};
    for (int p = 0; p < length; p += 64) {
        for (int i = 0; i < 64; i++)
            b->pos[i] = p + i;
        struct kern_rows rows = {64, b->seq, b->pos, tables};
        b->k->kv_store(&b->queue, kv, &rows, k, k);
    }
    for (int l = 1; l < b->layers; l++)
        memcpy((char *)kv->base + (size_t)l * b->layer_bytes, kv->base, b->layer_bytes);
    free(k);
}

/* Seconds of one call for `rows` rows that end at position length - 1, in layer `layer`. */
static double call(struct bench *b, int rows, int length, int layer) {
    for (int i = 0; i < rows; i++)
        b->pos[i] = length - rows + i;
    struct kern_attn at = b->at;
    at.kv.base = (char *)b->at.kv.base + (size_t)layer * b->layer_bytes;
    const int32_t *tables[] = {b->table};
    struct kern_rows r = {rows, b->seq, b->pos, tables};
    int64_t start = clock_ns();
    b->k->attention(&b->queue, &at, &r, b->q, b->out);
    return (double)(clock_ns() - start) * 1e-9;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const struct bench *b, const char *shape, const char *type, const char *test,
                  double *rate, const char *unit) {
    qsort(rate, RUNS, sizeof *rate, by_value);
    double median = rate[RUNS / 2];
    printf("%s\t%s\t%s\t%s\t%.1f\t%s\t%.0f%%\n", b->k->name, shape, type, test, median, unit,
           100 * (rate[RUNS - 1] - rate[0]) / median);
    fflush(stdout);
}

static void prefill(struct bench *b, const char *shape, const char *type, int depth) {
    enum { ROWS = 512 };
    double seen = (double)ROWS * depth + ROWS * (ROWS + 1) / 2.0;
    double flops = seen * b->at.heads * 2.0 * (b->at.kv.dk + b->at.kv.dv);
    double rate[RUNS];
    call(b, ROWS, depth + ROWS, 0);
    for (int i = 0; i < RUNS; i++)
        rate[i] = flops / call(b, ROWS, depth + ROWS, i % b->layers) * 1e-9;
    char test[32];
    snprintf(test, sizeof test, "prefill 512 at %d", depth);
    print(b, shape, type, test, rate, "GFLOP/s");
}

static void decode(struct bench *b, const char *shape, const char *type, int depth) {
    double bytes = (double)b->layers * (depth / 64) *
                   (double)kern_kv_block_bytes(b->at.kv.type, b->at.kv.heads, b->at.kv.dk,
                                               b->at.kv.dv);
    double rate[RUNS];
    for (int i = -1; i < RUNS; i++) {
        double seconds = 0;
        for (int l = 0; l < b->layers; l++)
            seconds += call(b, 1, depth, l);
        if (i >= 0)
            rate[i] = bytes / seconds * 1e-9;
    }
    char test[32];
    snprintf(test, sizeof test, "decode at %d", depth);
    print(b, shape, type, test, rate, "GB/s");
}

static int bench(const struct kern *k, struct par *par, int shape, int type, const char *name) {
    enum { LENGTH = 4096 + 512 };
    int d = shapes[shape].d;
    int heads = shapes[shape].heads;
    int kv_heads = shapes[shape].kv_heads;
    struct bench b = {.k = k, .queue.par = {par_run, par, par_threads(par)}};
    struct kern_limits lim = {.threads = par_threads(par), .rows = 512, .heads = heads,
                              .kv_heads = kv_heads, .dk = d, .dv = d, .context = LENGTH};
    b.queue.scratch_bytes = kern_scratch_bytes(&lim);
    b.queue.scratch = mem_map(b.queue.scratch_bytes);
    b.at = (struct kern_attn){.heads = heads, .scale = 0.05f,
                              .kv = {.type = type, .heads = kv_heads, .dk = d, .dv = d}};
    b.at.kv.block_bytes = kern_kv_block_bytes(type, kv_heads, d, d);
    b.layer_bytes = b.at.kv.block_bytes * (LENGTH / 64);
    b.layers = (int)(CACHE_BYTES / b.layer_bytes);
    b.cache_bytes = (size_t)b.layers * b.layer_bytes;
    b.at.kv.base = mem_map(b.cache_bytes);
    b.table = mem_array(LENGTH / 64, sizeof *b.table);
    for (int i = 0; i < LENGTH / 64; i++)
        b.table[i] = i;
    b.seq = mem_array(512, sizeof *b.seq);
    b.pos = mem_array(512, sizeof *b.pos);
    b.q = random_floats((size_t)(512 * heads * d));
    b.out = mem_array((size_t)(512 * heads * d), sizeof *b.out);
    int ok = b.queue.scratch && b.at.kv.base;
    if (ok) {
        fill(&b, LENGTH);
        prefill(&b, shapes[shape].name, name, 0);
        prefill(&b, shapes[shape].name, name, 4096);
        decode(&b, shapes[shape].name, name, 4096);
    }
    free(b.table);
    free(b.seq);
    free(b.pos);
    free(b.q);
    free(b.out);
    if (b.at.kv.base)
        mem_unmap(b.at.kv.base, b.cache_bytes);
    if (b.queue.scratch)
        mem_unmap(b.queue.scratch, b.queue.scratch_bytes);
    return ok ? 0 : -1;
}

int main(int argc, char **argv) {
    int64_t threads = 0;
    const char *why = "";
    const struct kern *k = argc > 3 ? NULL : kern_select(argc > 2 ? argv[2] : NULL, &why);
    if (!k || (argc > 1 && num_int(argv[1], 0, 256, &threads))) {
        fprintf(stderr, "usage: bench_attn [THREADS [VARIANT]]  %s\n", why);
        return 2;
    }
    struct par *par = par_new((int)threads);
    printf("# %d threads\nvariant\tshape\tkv\ttest\tmedian\tunit\tspread\n", par_threads(par));
    int bad = 0;
    for (int s = 0; s < (int)(sizeof shapes / sizeof shapes[0]); s++) {
        bad |= bench(k, par, s, KERN_F16, "F16");
        bad |= bench(k, par, s, KERN_Q8_0, "Q8_0");
    }
    par_free(par);
    if (bad)
        fprintf(stderr, "bench_attn: no memory\n");
    return bad ? 1 : 0;
}
