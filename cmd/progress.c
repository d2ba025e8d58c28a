/* progress.c - one line on stderr that shows how far a long job is */
#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define SECOND 1000000000
#define WIDEST 60

void progress_start(struct progress *p, const char *what, enum progress_unit unit, int quiet) {
    *p = (struct progress){.what = what, .unit = unit, .start_ns = clock_ns()};
    p->enabled = !quiet && isatty(STDERR_FILENO);
    p->next_ns = p->start_ns + SECOND;
}

static void format_amount(char *out, size_t size, enum progress_unit unit, int64_t n) {
    if (unit == PROGRESS_BYTES)
        snprintf(out, size, "%.1f MB", (double)n / 1e6);
    else
        snprintf(out, size, "%lld", (long long)n);
}

/* "3:20 left", from the speed so far. */
static void format_left(char *out, size_t size, int64_t spent_ns, int64_t done, int64_t total) {
    double left = (double)spent_ns / 1e9 / (double)done * (double)(total - done);
    snprintf(out, size, "%d:%02d left", (int)(left / 60), (int)left % 60);
}

static void format_bar(char *out, int width, double share) {
    int full = (int)(share * width);
    for (int i = 0; i < width; i++)
        out[i] = i < full ? '#' : '.';
    out[width] = 0;
}

static int terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_update(struct progress *p, int64_t done, int64_t total) {
    int64_t now = p->enabled ? clock_ns() : 0;
    if (!p->enabled || now < p->next_ns)
        return;
    p->next_ns = now + SECOND / 10;
    p->shown = 1;

    char have[32];
    format_amount(have, sizeof(have), p->unit, done);
    if (total <= 0 || done <= 0 || done > total) {
        fprintf(stderr, "\r%s %s\033[K", p->what, have);
        return;
    }
    char all[32];
    char left[48];
    char bar[WIDEST + 1];
    format_amount(all, sizeof(all), p->unit, total);
    format_left(left, sizeof(left), now - p->start_ns, done, total);
    int words = (int)(strlen(p->what) + strlen(have) + strlen(all) + strlen(left)) + 10;
    int room = terminal_width() - words;
    format_bar(bar, room > WIDEST ? WIDEST : room < 0 ? 0 : room, (double)done / (double)total);
    fprintf(stderr, "\r%s [%s] %s of %s, %s\033[K", p->what, bar, have, all, left);
}

void progress_show(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
}

void progress_end(struct progress *p) {
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = 0;
}
