/* import_offpeak.c - the hours of LiteLLM's off_peak_pricing, see import_impl.h
 *
 *     {"hours_utc": "16:30-00:30", "windows": [{"hours_utc": [...], "weekdays": ["sat", 7]}],
 *      "weekday_timezone": "Asia/Shanghai"}
 *
 * hours_utc are of every day, those of windows of their weekdays in that zone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cost/import_impl.h"

/* "16:30-00:30"; -1. */
static int parse_hours(const char *s, int *from, int *to) {
    int a, b, c, d, n = 0;
    if (!s || sscanf(s, " %2d:%2d - %2d:%2d %n", &a, &b, &c, &d, &n) != 4 || s[n])
        return -1;
    if (a < 0 || b < 0 || c < 0 || d < 0 || a > 23 || b > 59 || d > 59 ||
        c * 60 + d > 1440)
        return -1;
    *from = a * 60 + b;
    *to = (c * 60 + d) % 1440;
    return 0;
}

/* 1 to 7, or a name of which three letters tell. 0: none. */
static unsigned day_bit(const cJSON *v) {
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    const char *s = import_string(v);
    int64_t n = 0;
    if (!import_whole(v, 7, &n) && n > 0)
        return 1u << (n - 1);
    for (int i = 0; s && i < 7; i++)
        if (!strncasecmp(s, names[i], 3))
            return 1u << i;
    return 0;
}

static unsigned days_of(const cJSON *v) {
    unsigned days = 0;
    const cJSON *day;
    if (!v)
        return 0x7f;
    cJSON_ArrayForEach(day, v)
        days |= day_bit(day);
    return days;
}

static int add_hours(struct import_week *w, const cJSON *v, unsigned days, int east) {
    int from;
    int to;
    const cJSON *one;
    if (import_string(v)) {
        if (parse_hours(import_string(v), &from, &to))
            return -1;
        import_week_add(w, from, to, days, east);
        return 0;
    }
    cJSON_ArrayForEach(one, v) {
        if (parse_hours(import_string(one), &from, &to))
            return -1;
        import_week_add(w, from, to, days, east);
    }
    return 0;
}

/* Minutes east of UTC of a place whose clocks do not change; -1: not known. */
static int zone_of(const cJSON *v) {
    static const struct { const char *name; int east; } zones[] = {
        {"UTC", 0}, {"Etc/UTC", 0}, {"Asia/Shanghai", 480}, {"Asia/Singapore", 480},
        {"Asia/Hong_Kong", 480}, {"Asia/Tokyo", 540}, {"Asia/Seoul", 540}};
    const char *s = import_string(v);
    if (!v)
        return 0;
    for (size_t i = 0; s && i < sizeof zones / sizeof *zones; i++)
        if (!strcmp(s, zones[i].name))
            return zones[i].east;
    return -1;
}

int import_off_peak(const cJSON *v, char (*text)[IMPORT_WINDOW], int most) {
    struct import_week *w = mem_alloc(sizeof *w);
    const cJSON *rule;
    int east = zone_of(import_get(v, "weekday_timezone"));
    int rc = east < 0 ? -1 : add_hours(w, import_get(v, "hours_utc"), 0x7f, 0);
    cJSON_ArrayForEach(rule, import_get(v, "windows")) {
        if (!rc)
            rc = add_hours(w, import_get(rule, "hours_utc"), days_of(import_get(rule, "weekdays")),
                           east);
    }
    int n = rc || !w->any ? -1 : import_week_windows(w, text, most);
    free(w);
    return n;
}
