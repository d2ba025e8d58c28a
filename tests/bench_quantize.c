/* bench_quantize.c - how fast floats become blocks
 *
 *     bench_quantize [-n REPEATS] [-m MB] [TYPE...]
 *
 * Quantizes a matrix of MB (default 1) million bytes of normal floats to every type, or to those
 * named (Q4_K), by every variant that this CPU runs, without importance and with it where the type
 * takes one. Prints the median, the least and the most MB of floats a second of REPEATS (default 5)
 * runs after a first one, by the processor's time of this one thread; rows are independent, so
 * threads add up. Inside the clock: struct kern.quantize alone, from floats to blocks in memory.
 *
 * The bound of K types. Their searches try 17 to 22 scales a part without importance (Q2_K, Q5_K:
 * 17, Q4_K: 22, Q6_K: 19), 38 with it (Q2_K, Q4_K, Q5_K; 19 for Q3_K and Q6_K), and every try
 * visits every element. With a minimum that takes 9 additions, 7 multiplications and 2 comparisons,
 * without 3, 4 and 2; sums run in order, so no fusing. A Zen 4 core has two pipes of 256 bits for
 * either half of these: 9 cycles for 16 elements, 22 times for Q4_K, hence 12.4 cycles an element
 * and 3.5 GHz * 4 bytes / 12.4 = 1.1 GB/s; Q6_K 2.4 GB/s by the same count. Memory is idle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "kernels/codes.h"
#include "kernels/kern.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/stat/order.h"
#include "quantize_simple.h"

#define COLS 2048

static struct {
    int64_t repeats, mb;
} opt = {5, 1};

struct matrix {
    int64_t rows;
    float *x, *importance;
    uint8_t *block;
};

static _Noreturn void fail(const char *text) {
    fprintf(stderr, "bench_quantize: %s\n", text);
    exit(EXIT_FAILURE);
}

static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct matrix make_matrix(void) {
    int64_t rows = opt.mb * 1000000 / (COLS * 4) + 1;
    size_t n = (size_t)rows * COLS;
    struct matrix m = {rows, mem_array(n, sizeof(float)), mem_array(COLS, sizeof(float)),
                       mem_array(n, sizeof(float))};
    for (size_t i = 0; i < n; i++)
        m.x[i] = random_normal(1, i) * 0.02f;
    for (size_t i = 0; i < COLS; i++)
        m.importance[i] = random_uniform(2, i, 0, 1);
    return m;
}

static void bench(const struct kern *k, int type, const struct matrix *m, int weighted) {
    size_t repeats = (size_t)opt.repeats;
    double *rate = mem_array(repeats, sizeof *rate);
    double mb = (double)(m->rows * COLS * 4) * 1e-6;
    for (int i = -1; i < (int)repeats; i++) {
        double begin = cpu_s();
        k->quantize(type, m->x, m->block, m->rows, COLS, weighted ? m->importance : NULL);
        if (i >= 0)
            rate[i] = mb / (cpu_s() - begin);
    }
    order_sort(rate, repeats);
    printf("%s\t%s\t%s\t%.1f\t%.1f\t%.1f\n", kern_type_info(type)->name,
           weighted ? "yes" : "no", k->name, order_quantile(rate, repeats, 0.5), rate[0],
           rate[repeats - 1]);
    fflush(stdout);
    free(rate);
}

static int wanted(int type, char **names, int n) {
    const struct kern_type_info *info = kern_type_info(type);
    int found = info && n == 0 && type != KERN_F32;
    for (int i = 0; i < n && info; i++)
        found |= !strcasecmp(names[i], info->name);
    return found;
}

int main(int argc, char **argv) {
    const struct kern *variants[8];
    int c;
    while ((c = getopt(argc, argv, "n:m:")) != -1) {
        if (c == 'n' && num_int(optarg, 1, 1000000, &opt.repeats))
            fail("-n REPEATS: a whole number from 1 to 1000000");
        if (c == 'm' && num_int(optarg, 1, 4000, &opt.mb))
            fail("-m MB: a whole number from 1 to 4000");
        if (c == '?')
            return 2;
    }
    int n = kern_variants(variants, 8);
    struct matrix m = make_matrix();
    printf("type\timportance\tvariant\tmb_per_s\tlow\thigh\n");
    for (int type = 0; type < KERN_TYPES; type++)
        for (int weighted = 0; weighted < 2 && wanted(type, argv + optind, argc - optind);
             weighted++)
            for (int v = 0; v < n && (!weighted || kern_takes_importance(type)); v++)
                bench(variants[v], type, &m, weighted);
    free(m.x);
    free(m.importance);
    free(m.block);
    return 0;
}
