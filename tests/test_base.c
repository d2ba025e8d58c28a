/* test_base.c - memory, threads, numbers, UTF-8, clock and error texts of lib/base */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/base/par.h"
#include "lib/base/utf8.h"
#include "tests/check.h"

/* ---- mem -------------------------------------------------------------------------------- */

static void buf_grows_and_terminates(void) {
    struct buf b = {0};
    buf_adds(&b, "ab");
    buf_addc(&b, 'c');
    buf_add(&b, "\0d", 2);
    CHECK_INT(b.len, 5);
    CHECK(!memcmp(b.data, "abc\0d", 6));
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    CHECK_INT(b.len, 5 + 10 * 2 + 90 * 3 + 900 * 4);
    CHECK_STR(b.data + b.len - 8, "998,999,");
    buf_free(&b);
    CHECK(!b.data && !b.len && !b.cap);

    char wide[300];
    memset(wide, 'x', sizeof wide);
    buf_printf(&b, "%.*s", (int)sizeof wide, wide);
    CHECK_INT(b.len, sizeof wide);
    CHECK_INT(b.data[b.len], 0);
    buf_free(&b);
    buf_add(&b, NULL, 0);
    CHECK_STR(b.data, "");
    buf_free(&b);
}

static void strings_are_copied(void) {
    char *s = mem_printf("%s-%05d", "part", 7);
    char *t = mem_strndup("abcdef", 3);
    CHECK_STR(s, "part-00007");
    CHECK_STR(t, "abc");
    free(s);
    free(t);
}

static void maps_are_aligned_and_zero(void) {
    const size_t sizes[] = {0, 1, 4096, 5000, (2 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = mem_map(sizes[i]);
        CHECK(p);
        if (!p)
            continue;
        CHECK_INT((uintptr_t)p % (2 << 20), 0);
        for (size_t k = 0; k < sizes[i]; k += 4096)
            CHECK_INT(p[k], 0);
        memset(p, 1, sizes[i]);
        mem_unmap(p, sizes[i]);
    }
    mem_unmap(NULL, 100);
}

static void map_refuses_what_cannot_be(void) {
    CHECK(!mem_map(SIZE_MAX));
    CHECK(!mem_map(SIZE_MAX - (3 << 20)));
    CHECK(!mem_map((size_t)1 << 60));
}

/* ---- par -------------------------------------------------------------------------------- */

struct shares {
    int calls[64];
    int width;
};

static void count_share(void *arg, int ith, int nth) {
    struct shares *s = arg;
    s->calls[ith]++;            /* each share has its own cell */
    if (ith == 0)
        s->width = nth;
}

static void every_share_runs_once(void) {
    const int widths[] = {1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        struct shares s = {{0}, 0};
        struct par *p = par_new(widths[i]);
        CHECK_INT(par_threads(p), widths[i]);
        for (int k = 0; k < 20; k++)
            par_run(p, count_share, &s);
        CHECK_INT(s.width, widths[i]);
        for (int k = 0; k < 64; k++)
            CHECK_INT(s.calls[k], k < widths[i] ? 20 : 0);
        par_free(p);
    }
}

static void team_defaults_to_the_cores(void) {
    struct par *p = par_new(0);
    CHECK(par_threads(p) >= 1);
    CHECK(par_threads(p) <= 4096);
    par_free(p);
}

/* ---- num -------------------------------------------------------------------------------- */

static void sizes_take_suffixes(void) {
    static const struct {
        const char *text;
        int64_t value;          /* -1: refused */
    } t[] = {
        {"0", 0}, {"17", 17}, {"1K", 1000}, {"1Ki", 1024}, {"3M", 3000000}, {"2Mi", 2 << 20},
        {"1.5G", 1500000000}, {"1.5Gi", 1610612736}, {"0.1Ki", 102}, {"2T", 2000000000000},
        {"1Ti", 1099511627776}, {"1.000000000001T", 1000000000001}, {"+4", 4},
        {"0.99999999999999999999K", 999}, {"9223372036854775807", INT64_MAX},
        {"", -1}, {" 1", -1}, {"1 ", -1}, {"K", -1}, {".5K", -1}, {"1.", -1}, {"1.K", -1},
        {"1k", -1}, {"1KK", -1}, {"1Kib", -1}, {"1e3", -1}, {"0x10", -1}, {"--1", -1}, {"-", -1},
        {"9223372036854775808", -1}, {"9000000T", 9000000000000000000}, {"10000000T", -1},
        {"8388608Ti", -1}, {"99999999999999999999", -1}, {"1i", -1},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t v = 0;
        int rc = num_size(t[i].text, 0, INT64_MAX, &v);
        if ((rc == 0) != (t[i].value >= 0) || (rc == 0 && v != t[i].value))
            printf("# num_size(\"%s\")\n", t[i].text);
        CHECK_INT(rc == 0 ? v : -1, t[i].value);
    }
    int64_t v = 0;
    CHECK_INT(num_size("-2K", -5000, 0, &v), 0);
    CHECK_INT(v, -2000);
    CHECK_INT(num_size("2K", 0, 1999, &v), -1);
    CHECK_INT(v, -2000);
}

static void integers_are_checked(void) {
    int64_t v = 0;
    CHECK_INT(num_int("-12", -20, 20, &v), 0);
    CHECK_INT(v, -12);
    CHECK_INT(num_int("9223372036854775807", 0, INT64_MAX, &v), 0);
    CHECK_INT(v, INT64_MAX);
    const char *bad[] = {"", " 1", "1 ", "1x", "x", "21", "-21", "99999999999999999999", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(num_int(bad[i], -20, 20, &v), -1);
}

static void floats_are_checked(void) {
    double v = 0;
    CHECK_INT(num_float("0.75", 0, 1, &v), 0);
    CHECK_NEAR(v, 0.75, 0);
    CHECK_INT(num_float("1e-3", 0, 1, &v), 0);
    CHECK_NEAR(v, 1e-3, 0);
    const char *bad[] = {"", " 1", "1 ", "nan", "inf", "1e999", "1.5", "-0.1", "0.5x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(num_float(bad[i], 0, 1, &v), -1);
}

/* ---- utf8 ------------------------------------------------------------------------------- */

static void every_code_point_comes_back(void) {
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (cp >= 0xD800 && cp < 0xE000)
            continue;           /* surrogates are no characters */
        char s[4];
        uint32_t back = 0;
        int n = utf8_put(cp, s);
        int m = utf8_get(s, (size_t)n, &back);
        if (m != n || back != cp || utf8_tail(s, (size_t)n) != 0) {
            CHECK_INT(back, cp);
            CHECK_INT(m, n);
            return;
        }
        for (int cut = 1; cut < n; cut++) {
            CHECK_INT(utf8_get(s, (size_t)cut, &back), 0);
            CHECK_INT(utf8_tail(s, (size_t)cut), cut);
        }
    }
}

/* Against a decoder that computes the value first and asks for its shortest form after. */
static int slow_get(const unsigned char *s, size_t len, uint32_t *cp) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = !(s[0] & 0x80) ? 1 : (s[0] & 0xE0) == 0xC0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3
               : (s[0] & 0xF8) == 0xF0 ? 4 : 0;
    if (!n || n > len)
        return 0;
    uint32_t v = n == 1 ? s[0] : s[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3F);
    }
    *cp = v;
    return v < least[n] || v > 0x10FFFF || (v >= 0xD800 && v < 0xE000) ? 0 : (int)n;
}

static void every_byte_pair_is_judged_right(void) {
    static const unsigned char third[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
    const size_t thirds = sizeof third;
    for (unsigned i = 0; i < 65536; i++) {
        for (size_t j = 0; j < thirds * thirds; j++) {
            unsigned char s[4] = {(unsigned char)(i >> 8), (unsigned char)i, third[j / thirds],
                                  third[j % thirds]};
            uint32_t a = 0;
            uint32_t b = 0;
            int got = utf8_get((const char *)s, 4, &a);
            int want = slow_get(s, 4, &b);
            if (got != want || (got && a != b)) {
                printf("# %02x %02x %02x %02x\n", s[0], s[1], s[2], s[3]);
                CHECK_INT(got, want);
                return;
            }
        }
    }
}

static void tails_hold_back_only_what_can_become_whole(void) {
    static const struct {
        const char *s;
        size_t tail;
    } t[] = {
        {"", 0}, {"a", 0}, {"\xC3", 1}, {"a\xE2\x82", 2}, {"\xF0\x9F\x98", 3}, {"\xC3\xA4", 0},
        {"\x80", 0}, {"\x80\x80\x80\x80", 0}, {"\xC0", 0}, {"\xE0\x80", 0}, {"\xED\xA0", 0},
        {"\xF4\x90", 0}, {"\xF5", 0}, {"\xE2\x82\xAC\xE2", 1}, {"\xE0\xA0", 2}, {"\xC3" "a", 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        CHECK_INT(utf8_tail(t[i].s, strlen(t[i].s)), t[i].tail);
}

/* ---- err and clock ---------------------------------------------------------------------- */

static void errors_are_one_clean_line(void) {
    struct err e = {{0}};
    CHECK_INT(err_set(&e, "%s: %d", "a\nb\033[1m", 5), -1);
    CHECK_STR(e.text, "a?b?[1m: 5");
    CHECK_INT(err_prefix(&e, "part %d", 2), -1);
    CHECK_STR(e.text, "part 2: a?b?[1m: 5");
    CHECK_INT(err_set(NULL, "nobody cares"), -1);

    char big[4000];
    memset(big, 'y', sizeof big);
    err_set(&e, "%.*s", (int)sizeof big, big);
    CHECK_INT(strlen(e.text), sizeof e.text - 1);
    err_prefix(&e, "first");
    CHECK_INT(strlen(e.text), sizeof e.text - 1);
    CHECK(!strncmp(e.text, "first: yyy", 10));
    err_prefix(&e, "%.*s", (int)sizeof big, big);
    CHECK(strlen(e.text) < sizeof e.text);
}

static void clock_does_not_go_back(void) {
    int64_t a = clock_ns();
    CHECK(a > 0);
    for (int i = 0; i < 1000; i++) {
        int64_t b = clock_ns();
        CHECK(b >= a);
        a = b;
    }
}

int main(void) {
    RUN(buf_grows_and_terminates);
    RUN(strings_are_copied);
    RUN(maps_are_aligned_and_zero);
    RUN(map_refuses_what_cannot_be);
    RUN(every_share_runs_once);
    RUN(team_defaults_to_the_cores);
    RUN(sizes_take_suffixes);
    RUN(integers_are_checked);
    RUN(floats_are_checked);
    RUN(every_code_point_comes_back);
    RUN(every_byte_pair_is_judged_right);
    RUN(tails_hold_back_only_what_can_become_whole);
    RUN(errors_are_one_clean_line);
    RUN(clock_does_not_go_back);
    return check_done();
}
