/* check.h - the smallest test harness: named tests, checks that say what was expected
 *
 *     static void adds(void) { CHECK(1 + 1 == 2); CHECK_STR(name, "x"); }
 *     int main(void) { RUN(adds); return check_done(); }
 *
 * Prints one "ok NAME" / "not ok NAME" / "skip NAME: why" a test; the runner counts them.
 */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failed_tests;
static int check_bad;
static const char *check_skip;

#define CHECK(x) \
    do { \
        if (!(x)) { \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #x); \
            check_bad++; \
        } \
    } while (0)

#define CHECK_INT(got, want) \
    do { \
        long long g_ = (long long)(got), w_ = (long long)(want); \
        if (g_ != w_) { \
            printf("# %s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #got, g_, w_); \
            check_bad++; \
        } \
    } while (0)

#define CHECK_STR(got, want) \
    do { \
        const char *g_ = (got), *w_ = (want); \
        if (!g_ || strcmp(g_, w_)) { \
            printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #got, \
                   g_ ? g_ : "(null)", w_); \
            check_bad++; \
        } \
    } while (0)

#define CHECK_NEAR(got, want, tol) \
    do { \
        double g_ = (got), w_ = (want), t_ = (tol); \
        if (!(fabs(g_ - w_) <= t_)) { \
            printf("# %s:%d: %s is %.9g, expected %.9g within %.3g\n", __FILE__, __LINE__, #got, \
                   g_, w_, t_); \
            check_bad++; \
        } \
    } while (0)

#define SKIP(why) \
    do { \
        check_skip = (why); \
        return; \
    } while (0)

#define RUN(test) RUN_NAMED(#test, test())
/* The same for a call with arguments, under a name of its own. */
#define RUN_NAMED(name, call) \
    do { \
        check_bad = 0; \
        check_skip = NULL; \
        call; \
        if (check_skip) \
            printf("skip %s: %s\n", name, check_skip); \
        else \
            printf("%s %s\n", check_bad ? "not ok" : "ok", name); \
        if (check_bad) \
            check_failed_tests++; \
        fflush(stdout); \
    } while (0)

static inline int check_done(void) {
    return check_failed_tests ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
