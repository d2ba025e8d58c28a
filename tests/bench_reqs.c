/* bench_reqs.c - how fast request traces are read
 *
 *     bench_reqs [-n REPEATS] FILE...
 *
 * Prints for each file the fastest and the median of REPEATS (11) readings: GB/s of the file's
 * bytes (decompressed) and records and ids a second, by the processor's time of this thread.
 * Inside the clock: open, sniff, read from the page cache, decompress, parse, and a sum over all
 * ids, so that none is left out. The first reading warms the cache and is not counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/trace/reqs.h"

struct reading {
    double seconds;
    int64_t bytes, records, ids;
    uint64_t sum;
};

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int read_once(const char *path, struct reading *out, struct err *err) {
    struct reading a = {.seconds = -cpu_seconds()};
    struct reqs_options opt = {0};
    struct req q;
    int rc;
    struct reqs *r = reqs_open(path, &opt, err);
    if (!r)
        return -1;
    while ((rc = reqs_next(r, &q, err)) == 1) {
        for (int64_t i = 0; i < q.blocks; i++)
            a.sum += q.block[i];
        a.ids += q.blocks > 0 ? q.blocks : 0;
    }
    a.records = reqs_totals(r)->records;
    a.bytes = reqs_totals(r)->bytes;
    reqs_close(r);
    a.seconds += cpu_seconds();
    *out = a;
    return rc;
}

static int by_seconds(const void *a, const void *b) {
    double x = ((const struct reading *)a)->seconds;
    double y = ((const struct reading *)b)->seconds;
    return (x > y) - (x < y);
}

static int bench(const char *path, int repeats) {
    struct err err;
    struct reading *all = calloc((size_t)repeats + 1, sizeof *all);
    int rc = 0;
    for (int i = 0; i <= repeats && rc == 0; i++)
        rc = read_once(path, &all[i], &err);
    if (rc) {
        fprintf(stderr, "bench_reqs: %s\n", err.text);
    } else {
        qsort(all + 1, (size_t)repeats, sizeof *all, by_seconds);
        const struct reading *best = &all[1];
        const struct reading *median = &all[1 + repeats / 2];
        printf("%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%.3f\t%.3f\t%.4g\t%.4g\n", path,
               best->bytes, best->records, best->ids, (double)best->bytes / best->seconds * 1e-9,
               (double)median->bytes / median->seconds * 1e-9,
               (double)best->records / best->seconds, (double)best->ids / best->seconds);
    }
    free(all);
    return rc;
}

int main(int argc, char **argv) {
    int repeats = 11;
    int status = EXIT_SUCCESS;
    int i = 1;
    if (argc > 2 && !strcmp(argv[1], "-n")) {
        repeats = atoi(argv[2]);
        i = 3;
    }
    if (i >= argc || repeats < 1) {
        fprintf(stderr, "usage: bench_reqs [-n REPEATS] FILE...\n");
        return 2;
    }
    printf("file\tbytes\trecords\tids\tbest_gbps\tmedian_gbps\trecords_ps\tids_ps\n");
    for (; i < argc; i++) {
        if (bench(argv[i], repeats))
            status = EXIT_FAILURE;
    }
    return status;
}
