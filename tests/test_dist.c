/* test_dist.c - lib/stat/dist: values from mpmath (tests/reference/stat.py), and round trips */
#include "tests/check.h"

#include "lib/stat/dist.h"

#define RELATIVE 1e-12          /* what the header promises */

struct row {
    double x, a, b, want;
};

/* Relative, since tails matter. */
static void near(const char *what, const struct row *r, double got) {
    if (!(fabs(got - r->want) <= RELATIVE * fabs(r->want))) {
        printf("# %s(%g, %g, %g) is %.17g, expected %.17g\n", what, r->x, r->a, r->b, got,
               r->want);
        check_bad++;
    }
}

#define EACH(table, call) \
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) { \
        const struct row *r = &table[i]; \
        near(#call, r, call); \
    }

static void normals(void) {
    static const struct row table[] = {
        {-37, 0, 0, 5.7255712225245768e-300},
        {-20, 0, 0, 2.7536241186062337e-89},
        {-8.5, 0, 0, 9.4795348222033184e-18},
        {-3, 0, 0, 0.0013498980316300945},
        {-1.5, 0, 0, 0.066807201268858066},
        {-0.25, 0, 0, 0.40129367431707628},
        {-1e-09, 0, 0, 0.49999999960105772},
        {0, 0, 0, 0.5},
        {0.1, 0, 0, 0.53982783727702898},
        {1, 0, 0, 0.84134474606854295},
        {1.96, 0, 0, 0.97500210485177956},
        {4, 0, 0, 0.99996832875816688},
        {8, 0, 0, 0.99999999999999938},
    };
    EACH(table, dist_normal(r->x))
}

static void normal_quantiles(void) {
    static const struct row table[] = {
        {1e-300, 0, 0, -37.047096299361199},
        {1e-100, 0, 0, -21.273453560965324},
        {1e-16, 0, 0, -8.2220822161304356},
        {1e-05, 0, 0, -4.2648907939228246},
        {0.025, 0, 0, -1.9599639845400542},
        {0.2, 0, 0, -0.84162123357291417},
        {0.25, 0, 0, -0.67448975019608174},
        {0.4999, 0, 0, -0.00025066283008800749},
        {0.500001, 0, 0, 2.5066282747057052e-6},
        {0.7, 0, 0, 0.52440051270804066},
        {0.975, 0, 0, 1.9599639845400539},
        {0.999, 0, 0, 3.0902323061678133},
    };
    EACH(table, dist_normal_quantile(r->x))
    CHECK(dist_normal_quantile(0) == -INFINITY && dist_normal_quantile(1) == INFINITY);
    CHECK(dist_normal_quantile(0.5) == 0);
    CHECK(isnan(dist_normal_quantile(-0.1)) && isnan(dist_normal_quantile(NAN)));
}

static void students(void) {
    static const struct row table[] = {
        {-1000000.0, 1, 0, 3.1830988618368457e-7},
        {-12.7, 1, 0, 0.02501216384467208},
        {-3, 2.5, 0, 0.036288047774515922},
        {-0.1, 4, 0, 0.46257792046972664},
        {1e-08, 7, 0, 0.50000000384991451},
        {2.776, 4, 0, 0.97498861084001179},
        {1.5, 30, 0, 0.927967035435677},
        {-6, 99, 0, 1.6229580561727695e-8},
        {-2, 1000, 0, 0.02288517324662582},
        {-40, 50, 0, 6.2062118921863528e-40},
        {2.5, 0.5, 0, 0.79951473547335341},
    };
    EACH(table, dist_student(r->x, r->a))
    CHECK(dist_student(-INFINITY, 3) == 0 && dist_student(INFINITY, 3) == 1);
    CHECK(dist_student(0, 3) == 0.5);
    CHECK_NEAR(dist_student(-2, 1e9), dist_normal(-2), 1e-9);
    CHECK(dist_student(-2, INFINITY) == dist_normal(-2));
    CHECK_NEAR(dist_student(-1e150, 1) / (1e-150 / 3.141592653589793), 1, 1e-12);
    CHECK(isnan(dist_student(1, 0)) && isnan(dist_student(NAN, 1)));
}

static void student_quantiles(void) {
    static const struct row table[] = {
        {0.025, 1, 0, -12.706204736174704},
        {0.025, 4, 0, -2.7764451051977943},
        {0.025, 29, 0, -2.0452296421327043},
        {0.005, 9, 0, -3.2498355415921263},
        {1e-10, 3, 0, -2225.7692846830932},
        {0.3, 2, 0, -0.61721339984836768},
        {0.499, 11, 0, -0.0025641729746918221},
        {0.95, 99, 0, 1.6603911560169905},
        {0.975, 1000, 0, 1.9623390808264081},
        {1e-06, 0.5, 0, -1.0284911563163401e+11},
    };
    EACH(table, dist_student_quantile(r->x, r->a))
    CHECK(dist_student_quantile(0, 2) == -INFINITY && dist_student_quantile(1, 2) == INFINITY);
    CHECK(dist_student_quantile(0.5, 2) == 0);
}

static void binomials(void) {
    static const struct row table[] = {
        {0, 6, 0.5, 0.015625},
        {3, 10, 0.5, 0.171875},
        {40, 100, 0.5, 0.028443966820490396},
        {0, 1000, 1e-09, 0.9999990000004995},
        {7, 1000, 0.01, 0.21886319453245769},
        {4900, 10000, 0.5, 0.023292763852473694},
        {990, 1000, 0.99, 0.54269940782511029},
        {2, 3, 0.2, 0.992},
        {400, 1000, 0.5, 1.3642320780330092e-10},
    };
    EACH(table, dist_binomial((int)r->x, (int)r->a, r->b))
    CHECK(dist_binomial(-1, 5, 0.3) == 0 && dist_binomial(5, 5, 0.3) == 1);
    CHECK(dist_binomial(2, 5, 0) == 1 && dist_binomial(2, 5, 1) == 0);
    CHECK_NEAR(dist_binomial(1000000, 2000000, 0.5), 0.5 + 0.5 * 5.6418951e-4, 1e-10);
}

static void betas(void) {
    static const struct row table[] = {
        {0.3, 2, 3, 0.34829999999999998},
        {0.01, 0.5, 0.5, 0.063768560858519849},
        {0.999, 0.1, 0.2, 0.91395987796148384},
        {0.5, 200, 210, 0.68948521342741615},
        {1e-30, 0.01, 5, 0.51170193316958645},
        {0.25, 1, 1, 0.25},
        {0.9, 800, 60, 0.0008305757916405354},
        {0.499, 500000, 500000, 0.022750050961631483},
        {0.1, 100200, 899800, 0.25283936438184367},
    };
    EACH(table, dist_beta(r->x, r->a, r->b))
    CHECK(dist_beta(0, 2, 3) == 0 && dist_beta(1, 2, 3) == 1);
    CHECK(isnan(dist_beta(2, 2, 3)) && isnan(dist_beta(0.5, 0, 3)));
}

static void beta_quantiles(void) {
    static const struct row table[] = {
        {0.025, 2, 3, 0.067585986488542957},
        {0.975, 2, 3, 0.80587955031675658},
        {0.5, 0.5, 0.5, 0.5},
        {1e-09, 0.3, 4, 1.9049653209186653e-31},
        {0.9, 40, 0.7, 0.99916860061932055},
        {0.05, 300, 700, 0.27640365720366141},
    };
    EACH(table, dist_beta_quantile(r->x, r->a, r->b))
    CHECK(dist_beta_quantile(0, 2, 3) == 0 && dist_beta_quantile(1, 2, 3) == 1);
}

/* A quantile's chance is the chance that was asked for, over nine orders of magnitude of sizes. */
static void quantiles_invert(void) {
    static const double chance[] = {1e-12, 0.001, 0.025, 0.3, 0.5, 0.77, 0.999};
    static const double size[] = {0.2, 1, 7.5, 100, 1e4, 1e6};
    for (size_t i = 0; i < sizeof chance / sizeof *chance; i++)
        for (size_t j = 0; j < sizeof size / sizeof *size; j++) {
            double p = chance[i];
            double df = size[j];
            CHECK_NEAR(dist_student(dist_student_quantile(p, df), df) / p, 1, 1e-11);
            for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
                double x = dist_beta_quantile(p, df, size[k]);
                /* Near 1, the doubles around x are too few to give every chance. */
                double grain = x > 0.999999 ? 1 : 1e-9;
                CHECK_NEAR(dist_beta(x, df, size[k]) / p, 1, grain);
            }
        }
}

int main(void) {
    RUN(normals);
    RUN(normal_quantiles);
    RUN(students);
    RUN(student_quantiles);
    RUN(binomials);
    RUN(betas);
    RUN(beta_quantiles);
    RUN(quantiles_invert);
    return check_done();
}
