/* bench_routes.c - how fast routes are read and counted
 *
 *     bench_routes [-n REPEATS] FILE...
 *     bench_routes -w FILE [LAYERS K EXPERTS TOKENS]     write a route stream to measure with
 *
 * Prints for each file the routed pairs (token, layer, slot), and the fastest and the median of
 * REPEATS (11) readings in pairs a second, by the processor's time of this thread: read alone
 * (open, sniff, take rows from the page cache, check every id), and read and counted (loads_read).
 * The first reading warms the cache and is not counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/route/loads.h"

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- measuring -------------------------------------------------------------------------- */

static int read_alone(const char *path, double *seconds, int64_t *pairs, struct err *err) {
    const struct routed_options opt = {0};
    struct routed_rows rows;
    int rc;
    *seconds = -cpu_seconds();
    *pairs = 0;
    struct routed *r = routed_open(path, &opt, err);
    if (!r)
        return -1;
    while ((rc = routed_next(r, &rows, err)) == 1)
        *pairs += rows.n * routed_model(r)->layers * routed_model(r)->k;
    routed_close(r);
    *seconds += cpu_seconds();
    return rc;
}

static int read_and_count(const char *path, double *seconds, struct err *err) {
    const struct routed_options opt = {0};
    *seconds = -cpu_seconds();
    struct loads *l = loads_read(path, &opt, err);
    *seconds += cpu_seconds();
    loads_free(l);
    return l ? 0 : -1;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int bench(const char *path, int repeats) {
    struct err err;
    double *alone = mem_array((size_t)repeats + 1, sizeof *alone);
    double *counted = mem_array((size_t)repeats + 1, sizeof *counted);
    int64_t pairs = 0;
    int rc = 0;
    for (int i = 0; i <= repeats && rc == 0; i++)
        rc = read_alone(path, &alone[i], &pairs, &err) || read_and_count(path, &counted[i], &err);
    if (rc) {
        fprintf(stderr, "bench_routes: %s\n", err.text);
    } else {
        double n = (double)pairs;
        qsort(alone + 1, (size_t)repeats, sizeof *alone, by_value);
        qsort(counted + 1, (size_t)repeats, sizeof *counted, by_value);
        printf("%s\t%" PRId64 "\t%.4g\t%.4g\t%.4g\t%.4g\n", path, pairs, n / alone[1],
               n / alone[1 + repeats / 2], n / counted[1], n / counted[1 + repeats / 2]);
    }
    free(alone);
    free(counted);
    return rc;
}

/* ---- a stream to measure with ------------------------------------------------------------ */

struct sizes {
    int layers, k, experts, tokens;
};

/* k distinct experts, those of low numbers oftener, as loads are uneven. */
static void draw(struct rng *rng, const struct sizes *z, int32_t *expert) {
    for (int i = 0; i < z->k;) {
        double u = (double)(rng_next(rng) >> 11) * 0x1p-53;
        int32_t e = (int32_t)(u * u * z->experts);
        int again = 0;
        for (int j = 0; j < i; j++)
            again |= expert[j] == e;
        expert[i] = e;
        i += !again;
    }
}

static int write_pass(struct routes *out, struct rng *rng, const struct sizes *z, uint32_t step,
                      int n, struct err *err) {
    size_t pairs = (size_t)z->layers * (size_t)z->k;
    uint32_t *request = mem_array((size_t)n, sizeof *request);
    uint8_t *phase = mem_array((size_t)n, 1);
    int32_t *position = mem_array((size_t)n, sizeof *position);
    int32_t *token = mem_array((size_t)n, sizeof *token);
    int32_t *expert = mem_array((size_t)n * pairs, sizeof *expert);
    float *weight = mem_array((size_t)n * pairs, sizeof *weight);
    for (int i = 0; i < n * z->layers; i++)
        draw(rng, z, expert + (size_t)i * (size_t)z->k);
    for (int i = 0; i < n; i++)
        position[i] = i;
    const struct routes_pass p = {.n = n, .step = step, .request = request, .phase = phase,
                                  .position = position, .token = token, .expert = expert,
                                  .weight = weight};
    int rc = routes_pass(out, &p, err);
    free(request);
    free(phase);
    free(position);
    free(token);
    free(expert);
    free(weight);
    return rc;
}

static int write_stream(const char *path, const struct sizes *z) {
    struct err err;
    struct rng rng = {1};
    struct shape_layer *layer = mem_array((size_t)z->layers, sizeof *layer);
    int64_t *bytes = mem_array((size_t)z->layers, sizeof *bytes);
    for (int i = 0; i < z->layers; i++)
        layer[i] = (struct shape_layer){.experts = z->experts, .top_k = z->k};
    const struct shape shape = {.name = "synthetic", .layers = z->layers, .layer = layer,
                                .dense_bytes = bytes, .expert_bytes = bytes};
    struct routes *out = routes_open(path, &shape, &err);
    int rc = out ? 0 : -1;
    for (int done = 0, step = 0; rc == 0 && done < z->tokens; done += 512, step++) {
        int n = z->tokens - done < 512 ? z->tokens - done : 512;
        rc = write_pass(out, &rng, z, (uint32_t)step, n, &err);
    }
    if (rc == 0)
        rc = routes_close(out, &err);
    else
        routes_abort(out);
    if (rc)
        fprintf(stderr, "bench_routes: %s\n", err.text);
    free(layer);
    free(bytes);
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct sizes z = {48, 8, 128, 100000};
    int repeats = 11;
    int status = EXIT_SUCCESS;
    int i = 1;
    if ((argc == 3 || argc == 7) && !strcmp(argv[1], "-w")) {
        if (argc == 7)
            z = (struct sizes){atoi(argv[3]), atoi(argv[4]), atoi(argv[5]), atoi(argv[6])};
        if (z.layers > 0 && z.k > 0 && z.k <= z.experts && z.tokens > 0)
            return write_stream(argv[2], &z);
    }
    if (argc > 2 && !strcmp(argv[1], "-n")) {
        repeats = atoi(argv[2]);
        i = 3;
    }
    if (i >= argc || repeats < 1) {
        fprintf(stderr, "usage: bench_routes [-n REPEATS] FILE... | "
                        "-w FILE [LAYERS K EXPERTS TOKENS]\n");
        return 2;
    }
    printf("file\tpairs\tread_best_ps\tread_median_ps\tcounted_best_ps\tcounted_median_ps\n");
    for (; i < argc; i++) {
        if (bench(argv[i], repeats))
            status = EXIT_FAILURE;
    }
    return status;
}
