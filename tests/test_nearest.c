/* test_nearest.c - lib/route/nearest: plain brute force, and that nothing is known beforehand */
#include "tests/check.h"

#include "lib/base/par.h"
#include "lib/route/nearest.h"
#include "tests/random.h"

#define MOST 70
#define DIM 9

static float room[2][MOST][DIM];
static const float *row[2][MOST];
static uint64_t prompt[2][MOST];
static double value[MOST];

static double cosine(const float *a, const float *b) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int d = 0; d < DIM; d++) {
        ab += (double)a[d] * (double)b[d];
        aa += (double)a[d] * (double)a[d];
        bb += (double)b[d] * (double)b[d];
    }
    return ab / sqrt(aa * bb);
}

/* The mean of the k nearest by sorting all. */
static double plain(int from, int n, int of, int k) {
    double near[MOST];
    double worth[MOST];
    int found = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if ((from == 1 && i == of) || (prompt[from][i] && prompt[from][i] == prompt[1][of]))
            continue;
        int at = found++;
        double c = cosine(row[from][i], row[1][of]);
        for (; at > 0 && near[at - 1] < c; at--) {
            near[at] = near[at - 1];
            worth[at] = worth[at - 1];
        }
        near[at] = c;
        worth[at] = value[i];
    }
    for (int i = 0; i < k && i < found; i++)
        sum += worth[i];
    return found ? sum / (k < found ? k : found) : NAN;
}

static void against_sorting(void) {
    struct par *par = par_new(2);
    state = 5;
    for (int round = 0; round < 200; round++) {
        int n[2] = {1 + below(MOST), 1 + below(MOST)};
        int k = 1 + below(12);
        double out[MOST];
        double mean = 0;
        for (int side = 0; side < 2; side++)
            for (int i = 0; i < MOST; i++) {
                for (int d = 0; d < DIM; d++)
                    room[side][i][d] = (float)below(2001) / 100 - 10;
                row[side][i] = room[side][i];
                prompt[side][i] = (uint64_t)below(60);
            }
        int same = round % 2;           /* leaving one out */
        struct nearest_set from = {(size_t)n[same], DIM, row[same], prompt[same]};
        struct nearest_set to = {(size_t)n[1], DIM, row[1], prompt[1]};
        for (int i = 0; i < n[same]; i++) {
            value[i] = below(100);
            mean += value[i] / n[same];
        }
        nearest_predict(&from, value, same ? &from : &to, k, round % 3 ? NULL : par, out);
        for (int i = 0; i < n[1]; i++) {
            double want = plain(same, n[same], i, k);
            CHECK_NEAR(out[i], isnan(want) ? mean : want, 1e-9);
        }
    }
    par_free(par);
}

/* One request among others that are unlike it: leaving itself out it learns nothing of itself. */
static void nothing_beforehand(void) {
    double out[MOST];
    for (int i = 0; i < 40; i++) {
        for (int d = 0; d < DIM; d++)
            room[1][i][d] = (float)(d == i % DIM);
        row[1][i] = room[1][i];
        prompt[1][i] = 0;
        value[i] = i % DIM;
    }
    struct nearest_set set = {40, DIM, row[1], prompt[1]};
    value[13] = 1e6;
    nearest_predict(&set, value, &set, 1, NULL, out);
    CHECK(out[13] == 13 % DIM);
    /* The same prompt is as good as itself. */
    for (int i = 0; i < 40; i++)
        prompt[1][i] = (uint64_t)(i % DIM + 1);
    nearest_predict(&set, value, &set, 1, NULL, out);
    for (int i = 0; i < 40; i++)
        CHECK(i % DIM != 13 % DIM || out[i] != 1e6);
}

static void without_embedding(void) {
    double out[4];
    static const float x[4][2] = {{1, 0}, {NAN, 1}, {0, 0}, {1, 0.1f}};
    static const float *rows[4] = {x[0], x[1], x[2], x[3]};
    static const uint64_t prompts[4] = {0, 0, 0, 0};
    struct nearest_set set = {4, 2, rows, prompts};
    const double v[4] = {1, 2, 3, 10};
    nearest_predict(&set, v, &set, 5, NULL, out);
    CHECK(out[0] == 10 && out[3] == 1);
    CHECK_NEAR(out[1], 4, 1e-12);
    CHECK_NEAR(out[2], 4, 1e-12);
}

int main(void) {
    RUN(against_sorting);
    RUN(nothing_beforehand);
    RUN(without_embedding);
    return check_done();
}
