/* test_semantic.c - semantic caches against a model that is slow and obvious
 *
 * The model keeps a list of entries and measures every one of them in double precision, for one
 * cache after the other.
 */
#include "lib/cache/semantic.h"

#include "lib/base/mem.h"
#include "tests/check.h"

/* ---- the model -------------------------------------------------------------------------- */

static double model_cosine(const float *a, const float *b, int width) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int i = 0; i < width; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    double c = ab / sqrt(aa * bb);
    return c > 1 ? 1 : c;
}

struct model_entry {
    int row;
    int64_t used;               /* query that it last answered or was stored by */
};

static int model_defined(const float *x, int width) {
    double aa = 0;
    for (int i = 0; i < width; i++)
        aa += (double)x[i] * (double)x[i];
    return isfinite(aa) && aa > 0;
}

/* The entry that leaves: stored or used first. */
static int model_victim(const struct model_entry *e, int n, int lru) {
    int worst = 0;
    for (int i = 1; i < n; i++)
        if (lru ? e[i].used < e[worst].used : e[i].row < e[worst].row)
            worst = i;
    return worst;
}

static struct semantic_counts model_run(const struct semantic_config *c, const float *x, int width,
                                        const uint32_t *label, const int64_t *tokens, int n) {
    struct semantic_counts k = {0};
    struct model_entry *e = mem_array((size_t)n, sizeof *e);
    int held = 0;
    for (int q = 0; q < n; q++) {
        const float *row = x + (size_t)q * (size_t)width;
        int best = -1;
        double similarity = -2;
        if (!model_defined(row, width)) {
            k.undefined++;
            continue;
        }
        for (int i = 0; i < held; i++) {
            double s = model_cosine(row, x + (size_t)e[i].row * (size_t)width, width);
            if (s > similarity || (s == similarity && e[i].row < e[best].row)) {
                similarity = s;
                best = i;
            }
        }
        k.queries++;
        k.tokens += tokens ? tokens[q] : 0;
        if (best >= 0 && similarity >= c->threshold) {
            k.hits++;
            k.hit_tokens += tokens ? tokens[q] : 0;
            k.similarity += similarity;
            k.false_hits += label && label[e[best].row] != label[q];
            e[best].used = q;
            continue;
        }
        if (c->capacity && held == c->capacity) {
            e[model_victim(e, held, c->policy == SEMANTIC_LRU)] = e[held - 1];
            held--;
            k.evicted++;
        }
        e[held++] = (struct model_entry){q, q};
    }
    k.entries = held;
    free(e);
    return k;
}

/* ---- data ------------------------------------------------------------------------------- */

static uint64_t state;

static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

/* Topics with noise of very different size, so that there are near and far neighbours; now and
 * then a row twice, a row scaled, a row without a direction. */
static float *make_rows(int n, int width, double shared, uint64_t seed) {
    float *x = mem_array((size_t)n * (size_t)width, sizeof *x);
    int topics = n / 8 + 1;
    float *topic = mem_array((size_t)topics * (size_t)width, sizeof *topic);
    state = seed;
    for (int i = 0; i < topics * width; i++)
        topic[i] = (float)(uniform() - 0.5 + shared);
    for (int q = 0; q < n; q++) {
        float *row = x + (size_t)q * (size_t)width;
        double kind = uniform();
        double noise = pow(10, -6 * uniform());
        const float *from = topic + (size_t)(uniform() * topics) * (size_t)width;
        if (kind < 0.2 && q > 0)
            from = x + (size_t)(uniform() * q) * (size_t)width;
        if (kind < 0.1)
            noise = 0;
        for (int i = 0; i < width; i++)
            row[i] = from[i] + (float)(noise * (uniform() - 0.5));
        for (int i = 0; kind > 0.9 && i < width; i++)
            row[i] *= kind > 0.95 ? 0x1p80f : 0x1p-100f;
        if (kind > 0.5 && kind < 0.51)
            memset(row, 0, (size_t)width * sizeof *row);
        if (kind > 0.51 && kind < 0.52)
            row[(int)(uniform() * width)] = kind > 0.515 ? NAN : INFINITY;
    }
    free(topic);
    return x;
}

static void check_counts(const struct semantic_counts *got, const struct semantic_counts *want) {
    CHECK_INT(got->queries, want->queries);
    CHECK_INT(got->undefined, want->undefined);
    CHECK_INT(got->hits, want->hits);
    CHECK_INT(got->false_hits, want->false_hits);
    CHECK_INT(got->entries, want->entries);
    CHECK_INT(got->evicted, want->evicted);
    CHECK_INT(got->tokens, want->tokens);
    CHECK_INT(got->hit_tokens, want->hit_tokens);
    CHECK_NEAR(got->similarity, want->similarity, 1e-12 * (1 + (double)want->hits));
}

/* Caches of every kind over the same rows, which come in parts of `part`. */
static void check_model(int n, int width, double shared, int part, int threads, uint64_t seed) {
    static const double thresholds[] = {-1, 0.3, 0.71, 0.913, 0.99, 0.999999, 1};
    static const int64_t capacities[] = {0, 1, 7, 100};
    struct semantic_config c[56];
    int caches = 0;
    for (size_t t = 0; t < 7; t++)
        for (size_t k = 0; k < 8; k++)
            c[caches++] = (struct semantic_config){thresholds[t], capacities[k / 2],
                                                   k % 2 ? SEMANTIC_FIFO : SEMANTIC_LRU};
    float *x = make_rows(n, width, shared, seed);
    uint32_t *label = mem_array((size_t)n, sizeof *label);
    int64_t *tokens = mem_array((size_t)n, sizeof *tokens);
    for (int q = 0; q < n; q++) {
        label[q] = (uint32_t)(uniform() * 5);
        tokens[q] = (int64_t)(uniform() * 1000);
    }
    struct semantic *s = semantic_new(width, c, caches, threads, NULL);
    for (int q = 0; q < n; q += part)
        semantic_add(s, x + (size_t)q * (size_t)width, label + q, tokens + q,
                     n - q < part ? n - q : part);
    for (int i = 0; i < caches; i++) {
        struct semantic_counts want = model_run(&c[i], x, width, label, tokens, n);
        int bad = check_bad;
        check_counts(semantic_counts(s, i), &want);
        if (check_bad > bad)
            printf("# cache %d: threshold %g, %lld entries, policy %d\n", i, c[i].threshold,
                   (long long)c[i].capacity, c[i].policy);
    }
    semantic_free(s);
    free(x);
    free(label);
    free(tokens);
}

static void against_the_model(void) {
    check_model(700, 48, 0, 700, 2, 1);
    check_model(700, 64, 0.4, 700, 1, 2);       /* all rows alike to some degree */
    check_model(600, 3, 0, 600, 2, 3);
    check_model(300, 1, 0, 300, 2, 4);          /* every cosine is 1 or -1 */
}

static void rows_in_parts(void) {
    check_model(300, 20, 0.1, 1, 1, 5);
    check_model(500, 20, 0.1, 129, 3, 6);
}

/* ---- what must hold --------------------------------------------------------------------- */

/* Cosines of small whole numbers are often exactly equal, also between different rows: the oldest
 * entry answers, which the order of an LRU cache shows. */
static void equal_similarities(void) {
    enum { N = 600, WIDTH = 4 };
    static float x[N * WIDTH];
    state = 7;
    for (int i = 0; i < N * WIDTH; i++)
        x[i] = (float)((int)(uniform() * 5) - 2);
    for (int capacity = 1; capacity < 20; capacity += 3) {
        struct semantic_config c = {0.8, capacity, SEMANTIC_LRU};
        struct semantic *s = semantic_new(WIDTH, &c, 1, 2, NULL);
        semantic_add(s, x, NULL, NULL, N);
        struct semantic_counts want = model_run(&c, x, WIDTH, NULL, NULL, N);
        check_counts(semantic_counts(s, 0), &want);
        semantic_free(s);
    }
}

/* At threshold 1 only equal rows hit: as many entries as there are different rows. */
static void exact_matches(void) {
    enum { N = 1000, WIDTH = 31, DIFFERENT = 137 };
    static float x[N * WIDTH];
    state = 8;
    for (int i = 0; i < DIFFERENT * WIDTH; i++)
        x[i] = (float)(uniform() - 0.5);
    for (int q = DIFFERENT; q < N; q++)
        memcpy(x + q * WIDTH, x + (int)(uniform() * DIFFERENT) * WIDTH, WIDTH * sizeof *x);
    struct semantic_config c = {.threshold = 1};
    struct semantic *s = semantic_new(WIDTH, &c, 1, 2, NULL);
    semantic_add(s, x, NULL, NULL, N);
    CHECK_INT(semantic_counts(s, 0)->entries, DIFFERENT);
    CHECK_INT(semantic_counts(s, 0)->hits, N - DIFFERENT);
    CHECK(semantic_counts(s, 0)->similarity == N - DIFFERENT);
    semantic_free(s);
}

/* Threads and parts change nothing, to the last bit. */
static void same_for_all(void) {
    enum { N = 900, WIDTH = 100 };
    float *x = make_rows(N, WIDTH, 0.3, 9);
    struct semantic_config c[3] = {{.threshold = 0.9}, {0.97, 50, SEMANTIC_LRU},
                                   {0.6, 20, SEMANTIC_FIFO}};
    struct semantic_counts first[3];
    for (int threads = 1; threads <= 4; threads++) {
        for (int part = 90; part <= N; part *= 10) {
            struct semantic *s = semantic_new(WIDTH, c, 3, threads, NULL);
            for (int q = 0; q < N; q += part)
                semantic_add(s, x + q * WIDTH, NULL, NULL, part);
            for (int i = 0; i < 3; i++) {
                const struct semantic_counts *k = semantic_counts(s, i);
                if (threads == 1 && part == 90)
                    first[i] = *k;
                CHECK(!memcmp(&first[i], k, sizeof *k));
            }
            semantic_free(s);
        }
    }
    free(x);
}

/* A cache gives the same alone and beside others. */
static void caches_do_not_meet(void) {
    enum { N = 800, WIDTH = 16 };
    float *x = make_rows(N, WIDTH, 0.2, 10);
    struct semantic_config c[SEMANTIC_MOST];
    for (int i = 0; i < SEMANTIC_MOST; i++)
        c[i] = (struct semantic_config){0.5 + 0.5 * i / SEMANTIC_MOST, i * i % 90, i % 2};
    struct semantic *all = semantic_new(WIDTH, c, SEMANTIC_MOST, 2, NULL);
    semantic_add(all, x, NULL, NULL, N);
    for (int i = 0; i < SEMANTIC_MOST; i++) {
        struct semantic *one = semantic_new(WIDTH, &c[i], 1, 1, NULL);
        semantic_add(one, x, NULL, NULL, N);
        CHECK(!memcmp(semantic_counts(all, i), semantic_counts(one, 0),
                      sizeof(struct semantic_counts)));
        semantic_free(one);
    }
    semantic_free(all);
    free(x);
}

/* What two rows at an angle of theta do on either side of cos(theta), by one part in 10^12: far
 * closer than float products could tell. */
static void threshold_to_the_digit(void) {
    for (int i = 1; i < 150; i++) {
        float x[4] = {1, 0, cosf((float)i / 100), sinf((float)i / 100)};
        double c = model_cosine(x, x + 2, 2);
        for (int above = -1; above <= 1; above++) {
            struct semantic_config cache = {.threshold = c + above * 1e-12};
            struct semantic *s = semantic_new(2, &cache, 1, 1, NULL);
            semantic_add(s, x, NULL, NULL, 2);
            CHECK_INT(semantic_counts(s, 0)->hits, above <= 0);
            semantic_free(s);
        }
    }
}

static void nothing(void) {
    struct semantic_config c = {.threshold = 0.5};
    struct semantic *s = semantic_new(8, &c, 1, 0, NULL);
    semantic_add(s, NULL, NULL, NULL, 0);
    CHECK_INT(semantic_counts(s, 0)->queries, 0);
    semantic_free(s);
    semantic_free(NULL);
}

int main(void) {
    RUN(against_the_model);
    RUN(rows_in_parts);
    RUN(equal_similarities);
    RUN(exact_matches);
    RUN(same_for_all);
    RUN(caches_do_not_meet);
    RUN(threshold_to_the_digit);
    RUN(nothing);
    return check_done();
}
