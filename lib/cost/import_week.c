/* import_week.c - hours of the week, as catalogues say them and as rows say them
 *
 * Catalogues give windows that may overlap, go past midnight and mean the days of some other place.
 * As minutes of a week they lose all that; days that have the same minutes share a row.
 */
#include <stdio.h>
#include <string.h>

#include "lib/cost/import_impl.h"

#define DAY 1440
#define WEEK (7 * DAY)
#define HOURS 4                 /* windows of a row */

void import_week_add(struct import_week *w, int from, int to, unsigned days, int east) {
    int length = to > from ? to - from : to + DAY - from;
    for (int d = 0; d < 7; d++)
        for (int i = 0; i < length; i++) {
            int at = (d * DAY + from + i) % WEEK;
            int there = ((at + east) % WEEK + WEEK) % WEEK / DAY;
            if (days >> there & 1)
                w->any = w->on[at] = 1;
        }
}

static int is_full(const uint8_t *day) {
    return !memchr(day, 0, DAY);
}

static void add_days(char *text, size_t size, unsigned days) {
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    size_t at = 0;
    if (days == 0x7f)
        return;
    for (int d = 0; d < 7; d++)
        if (days >> d & 1)
            at += (size_t)snprintf(text + at, size - at, "%s%s", at ? "," : "days=", names[d]);
}

/* The windows of a day that begin at *at or later, up to HOURS of them. 0: there are none. */
static int add_hours(char *text, size_t size, const uint8_t *day, int *at) {
    size_t len = strlen(text);
    int n = 0;
    while (*at < DAY && n < HOURS) {
        int from = *at;
        while (from < DAY && !day[from])
            from++;
        int to = from;
        while (to < DAY && day[to])
            to++;
        *at = to;
        if (from == DAY)
            break;
        len += (size_t)snprintf(text + len, size - len, "%s%02d:%02d-%02d:%02d",
                                n++ ? "," : len ? " hours=" : "hours=", from / 60, from % 60,
                                to / 60, to % 60);
    }
    return n;
}

int import_week_windows(const struct import_week *w, char (*text)[IMPORT_WINDOW], int most) {
    unsigned done = 0;
    int n = 0;
    for (int d = 0; d < 7; d++) {
        const uint8_t *day = w->on + d * DAY;
        unsigned days = 0;
        if (done >> d & 1)
            continue;
        for (int k = d; k < 7; k++)
            if (!memcmp(day, w->on + k * DAY, DAY))
                days |= 1u << k;
        done |= days;
        for (int at = 0;;) {
            char one[IMPORT_WINDOW] = "";
            add_days(one, sizeof one, days);
            int hours = is_full(day) ? !at : add_hours(one, sizeof one, day, &at);
            if (!hours)
                break;
            if (n == most)
                return -1;
            strcpy(text[n++], *one ? one : "hours=00:00-24:00");
            if (is_full(day))
                break;
        }
    }
    return n;
}
