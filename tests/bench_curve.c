/* bench_curve.c - speed and memory of llm-cache curve's engine
 *
 *     bench_curve [ACCESSES [UNIQUE [BLOCKS [ORDER]]]]
 *
 * Makes requests of BLOCKS blocks (default 1) with sparse 64-bit ids, ACCESSES in all (20 million)
 * to UNIQUE different ones (5 million), and prints tab-separated: order, accesses, unique blocks,
 * seconds of the processor, million accesses a second, bytes of memory, bytes a unique block. The
 * clock holds curve_add, curve_finish and the making of the ids, whose own time, measured alone, is
 * in the last column. ORDER is lru, lru-tail or ttl (default: each). There is one thread, so the
 * processor's time is what an idle machine takes.
 *
 * The bound: an access to a block that is known touches six cache lines which nothing keeps near:
 * the id's slot and key, its place, the bits and the node above them, the count; one to a new block
 * four. All are asked for ahead, so that about ten misses run at a time: at 100 ns each some 60 ns,
 * 16 million accesses a second. What stays in the caches (200K blocks, say) is bound by some 100
 * instructions. A Zen 5 core shared with others reaches 15 to 17 million at the default size, 30
 * with 200K blocks in requests of 20, and 8 with 100M accesses to 60M blocks, where the kernel's
 * clearing of new pages takes a fifth; these take 1.3 GB.
 *
 * Every id comes once before any comes often: the first UNIQUE accesses are spread among the
 * others, which choose one of the blocks seen so far, in one of four times among the latest 1 %.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/cache/curve.h"

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* The i-th block number: new ones come evenly. */
static uint64_t choose(int64_t i, int64_t accesses, int64_t unique, int64_t *seen) {
    uint64_t r = mix((uint64_t)i + 0x9E3779B97F4A7C15u);
    if ((double)(i + 1) * (double)unique / (double)accesses > (double)*seen || *seen == 0)
        return (uint64_t)(*seen)++;
    uint64_t among = (uint64_t)*seen;
    if ((r & 3) == 0)
        return among - 1 - (r >> 2) % (among / 100 + 1);
    return (r >> 2) % among;
}

static int64_t resident_bytes(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static double processor_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double make_requests(struct curve *c, int64_t accesses, int64_t unique, int64_t blocks,
                            uint64_t *sink) {
    uint64_t *id = mem_array((size_t)blocks, sizeof *id);
    struct req q = {.input_tokens = REQS_UNKNOWN, .block = id, .time_ns = 0};
    struct err err;
    int64_t seen = 0;
    double start = processor_s();
    for (int64_t i = 0; i < accesses; i += q.blocks) {
        q.blocks = accesses - i < blocks ? accesses - i : blocks;
        q.time_ns = i * 1000;
        for (int64_t k = 0; k < q.blocks; k++)
            *sink += id[k] = mix(choose(i + k, accesses, unique, &seen) + 1);
        if (c && curve_add(c, &q, &err)) {
            fprintf(stderr, "bench_curve: %s\n", err.text);
            exit(1);
        }
    }
    if (c && curve_finish(c, 0, &err)) {
        fprintf(stderr, "bench_curve: %s\n", err.text);
        exit(1);
    }
    free(id);
    return processor_s() - start;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"lru", "lru-tail", "ttl"};
    int64_t v[3] = {20000000, 5000000, 1};
    uint64_t sink = 0;
    for (int i = 1; i < argc; i++) {
        if (i > 4 || (i < 4 && num_size(argv[i], 1, (int64_t)1 << 40, &v[i - 1]))) {
            fprintf(stderr, "usage: bench_curve [ACCESSES [UNIQUE [BLOCKS [ORDER]]]]\n");
            return 2;
        }
    }
    double idle = make_requests(NULL, v[0], v[1], v[2], &sink);
    printf("order\taccesses\tunique\tcpu_s\tmaccesses_per_s\tbytes\tbytes_per_unique\tids_s\n");
    for (int order = CURVE_LRU; order <= CURVE_TTL; order++) {
        if (argc > 4 && strcmp(argv[4], names[order]))
            continue;
        int64_t before = resident_bytes();
        struct curve *c = curve_new(&(struct curve_options){.order = (enum curve_order)order});
        double s = make_requests(c, v[0], v[1], v[2], &sink);
        double bytes = (double)(resident_bytes() - before);
        double unique = (double)curve_totals(c)->unique;
        printf("%s\t%lld\t%.0f\t%.3f\t%.2f\t%.0f\t%.1f\t%.3f\n", names[order], (long long)v[0],
               unique, s, (double)v[0] / s * 1e-6, bytes, bytes / unique, idle);
        fflush(stdout);
        curve_free(c);
    }
    return sink == 1;
}
