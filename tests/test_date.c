/* test_date.c - lib/base/date: against the C library's calendar */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/date.h"
#include "tests/check.h"
#include "tests/random.h"

static int64_t calendar(const char *s) {
    int64_t ns;
    return date_parse(s, strlen(s), &ns) ? INT64_MIN : ns;
}

/* Against the C library, over four centuries. */
static void calendar_times(void) {
    for (int i = 0; i < 4000; i++) {
        time_t t = (time_t)(next() % 14000000000u) - 7000000000;
        struct tm tm;
        char text[64];
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        CHECK_INT(calendar(text), (int64_t)t * 1000000000);
    }
    CHECK_INT(calendar("1970-01-01 00:00:00.123456789123"), 123456789);
    CHECK_INT(calendar("2024-05-10 00:00:00.009930+00:00"), 1715299200009930000);
    CHECK_INT(calendar("2024-05-10t02:30:00-0230"), 1715317200000000000);
    CHECK_INT(calendar("2024-02-29 00:00:00 +01"), 1709161200000000000);
    CHECK_INT(calendar("2024-05-10"), 1715299200000000000);
    CHECK_INT(calendar("2024-05-10T02:30Z"), 1715308200000000000);
    static const char *const bad[] = {
        "", "2024", "2023-02-29 00:00:00", "2024-13-01 00:00:00", "2024-00-01 00:00:00",
        "2024-01-32 00:00:00", "2024-01-01 24:00:00", "2024-01-01 00:60:00", "2024-01-01T",
        "2024-01-01T10", "2024-01-01 10:", "2024-01-01 00:00:00x", "2024-01-01 00:00:00+",
        "2024-01-01 00:00:00+25:00", "2024-01-01 00:00:00+01:", "1699-01-01 00:00:00",
        "2261-01-01 00:00:00", "2024/01/01 00:00:00", "2024-01-01 00:00:00ZZ",
        "12024-01-01 00:00:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(calendar(bad[i]) == INT64_MIN);
        if (calendar(bad[i]) != INT64_MIN)
            printf("# %s\n", bad[i]);
    }
}

static void back_to_text(void) {
    char out[DATE_TEXT];
    for (int i = 0; i < 4000; i++) {
        int64_t ns = (int64_t)(next() % 14000000000000000000u - 7000000000000000000u);
        time_t t = (time_t)((ns - ((ns % 1000000000) + 1000000000) % 1000000000) / 1000000000);
        struct tm tm;
        char text[64];
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
        CHECK_STR(date_day(ns, out), text);
        CHECK_INT(date_weekday(ns), (tm.tm_wday + 6) % 7);
        CHECK_INT(date_of_day(ns) / 1000000000, tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
    }
    CHECK_STR(date_text(calendar("2026-03-13"), out), "2026-03-13");
    CHECK_STR(date_text(calendar("2026-08-16T16:00Z"), out), "2026-08-16T16:00:00Z");
}

int main(void) {
    RUN(calendar_times);
    RUN(back_to_text);
    return check_done();
}
