/* plot.c - pictures of curves for --plot, drawn by gnuplot; see plot.h
 *
 * The whole script, data included, is made in memory and handed to gnuplot as its standard input;
 * its standard output is the unfinished file. No shell is involved, and no text of ours can become
 * a command: texts stand in single quotes, in which gnuplot expands nothing.
 *
 * Ranges, ticks and the places of names are worked out here, for two reasons: gnuplot's own
 * choice differs between its versions, and names beside their curves must not overlap.
 */
#include "cmd/plot.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/common.h"
#include "lib/base/outfile.h"

/* All lengths in pixels of an SVG; a PNG has twice as many. */
#define WIDTH 760
#define HEIGHT 440
#define LEFT 64
#define TOP 62
#define BOTTOM 58
#define LINE 17                 /* of text, from one to the next */
#define LETTER 7.2              /* mean width of a letter */
#define MARKED 24               /* series with no more points show them */
#define GREY "#666666"

/* Okabe and Ito, Color Universal Design (2008), without yellow, which white swallows, and black,
 * which is the text's. */
static const char *const palette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00",
                                      "#56B4E9", "#555555"};
#define COLOURS (int)(sizeof palette / sizeof *palette)
static const char *const dashes[] = {"solid", "(6,3)", "(2,3)"};
#define DASHES (int)(sizeof dashes / sizeof *dashes)

struct axis {
    double min, max;            /* log: of the logarithm to base 10 */
    int log;
};

struct picture {
    const struct plot_labels *labels;
    const struct plot_series *series;
    int n;
    int png;                    /* else SVG */
    struct axis x, y;
    int width, height;
    int right;                  /* margin for names */
    int lead;                   /* of a curve, from the frame to its name */
    struct buf script;
};

extern char **environ;

/* ---- ranges and ticks ------------------------------------------------------------------- */

/* 0 at the axis' beginning, 1 at its end; NaN for what it cannot show. */
static double axis_place(const struct axis *a, double v) {
    return ((a->log ? (v > 0 ? log10(v) : NAN) : v) - a->min) / (a->max - a->min);
}

static int point_shown(const struct picture *p, const struct plot_series *s, size_t i) {
    return isfinite(s->x[i]) && isfinite(s->y[i]) && (!p->x.log || s->x[i] > 0);
}

/* The step of 1, 2 or 5 times a power of ten that parts the range into no more than `most`. */
static double tick_step(double range, int most) {
    double unit = pow(10, floor(log10(range / most)));
    double parts = range / most / unit;
    return unit * (parts <= 1.0000001 ? 1 : parts <= 2.0000001 ? 2 : parts <= 5.0000001 ? 5 : 10);
}

static void find_ranges(struct picture *p) {
    double x0 = INFINITY;
    double x1 = -INFINITY;
    double y0 = 0;
    double y1 = -INFINITY;
    for (int k = 0; k < p->n; k++) {
        const struct plot_series *s = &p->series[k];
        for (size_t i = 0; i < s->n; i++) {
            if (!point_shown(p, s, i))
                continue;
            double x = p->x.log ? log10(s->x[i]) : s->x[i];
            x0 = fmin(x0, x);
            x1 = fmax(x1, x);
            y0 = fmin(y0, s->y[i]);
            y1 = fmax(y1, s->y[i]);
        }
    }
    if (x0 > x1) {              /* nothing to show: an empty frame */
        x0 = 0;
        x1 = y1 = 1;
    }
    double around = x0 == x1 ? (p->x.log || x0 == 0 ? 0.5 : fabs(x0) / 2) : 0;
    if (p->labels->style == PLOT_BARS)
        around = 0.6;
    p->x.min = x0 - around;
    p->x.max = x1 + around;
    if (y1 <= y0)
        y1 = y0 + 1;
    double step = tick_step(y1 - y0, 6);
    p->y.min = floor(y0 / step + 1e-9) * step;
    p->y.max = ceil(y1 / step - 1e-9) * step;
}

/* 1500 is "1.5k". */
static void format_tick(char *out, size_t size, double v) {
    static const char suffix[] = " kMGT";
    int k = 0;
    while (fabs(v) >= 999.9999 && k < 4) {
        v /= 1000;
        k++;
    }
    snprintf(out, size, "%.6g%.*s", v + 0.0, k > 0, suffix + k);    /* + 0.0: no "-0" */
}

static void add_tick(struct picture *p, int *n, double v) {
    char text[32];
    format_tick(text, sizeof text, v);
    buf_printf(&p->script, "%s'%s' %.12g", (*n)++ ? ", " : "", text, v);
}

/* Powers of ten; below three decades those times 2 and 5 as well. A range without any power of
 * ten in it has its ends. */
static void add_log_ticks(struct picture *p, const struct axis *a) {
    static const double digits[] = {1, 2, 5};
    double decades = a->max - a->min;
    int all = decades < 3 ? 3 : 1;
    int every = decades > 12 ? 3 : 1;
    int n = 0;
    for (int e = (int)floor(a->min); e <= (int)ceil(a->max); e++) {
        for (int d = 0; d < all && e % every == 0; d++) {
            double at = e + log10(digits[d]);
            if (at >= a->min - 1e-9 && at <= a->max + 1e-9)
                add_tick(p, &n, digits[d] * pow(10, e));
        }
    }
    for (int end = 0; n < 2 && end < 2; end++)
        add_tick(p, &n, pow(10, end ? a->max : a->min));
}

static void add_linear_ticks(struct picture *p, const struct axis *a, int most) {
    double step = tick_step(a->max - a->min, most);
    int n = 0;
    for (double k = ceil(a->min / step - 1e-9); k * step <= a->max + step * 1e-9; k++)
        add_tick(p, &n, k * step);
}

static const char *curve_colour(int k) {
    return palette[k % COLOURS];
}

static const char *curve_dash(int k) {
    return dashes[k / COLOURS % DASHES];
}

/* ---- the script ------------------------------------------------------------------------- */

/* In single quotes, where a quote is doubled and nothing is expanded; control characters could
 * only break the line. */
static void add_text(struct buf *b, const char *s) {
    buf_addc(b, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            buf_addc(b, '\'');
        buf_addc(b, (unsigned char)*s < ' ' || *s == 127 ? ' ' : *s);
    }
    buf_addc(b, '\'');
}

/* Letters, not bytes: the continuation bytes of UTF-8 do not count. */
static size_t text_letters(const char *s) {
    size_t n = 0;
    for (; s && *s; s++)
        n += (*s & 0xC0) != 0x80;
    return n;
}

static size_t longest_name(const struct picture *p) {
    size_t most = 0;
    for (int k = 0; k < p->n; k++) {
        size_t n = text_letters(p->series[k].name);
        most = n > most ? n : most;
    }
    return most;
}

/* A font of 9.5 points at 96 dots an inch is one of 13 pixels. */
static void add_terminal(struct picture *p) {
    if (p->png)
        buf_printf(&p->script, "set terminal pngcairo noenhanced size %d,%d font 'sans-serif,9.5' "
                   "fontscale 2 linewidth 2 pointscale 2 background rgb 'white'\n",
                   2 * p->width, 2 * p->height);
    else
        buf_printf(&p->script, "set terminal svg noenhanced size %d,%d fixed "
                   "font 'sans-serif,13' background rgb 'white'\n", p->width, p->height);
}

static void add_label(struct picture *p, const char *text, double x, double y,
                      const char *rest) {
    if (!text || !*text)
        return;
    buf_adds(&p->script, "set label ");
    add_text(&p->script, text);
    buf_printf(&p->script, " at screen %.6g, screen %.6g %s\n", x / p->width,
               1 - y / p->height, rest);
}

static void add_word_ticks(struct picture *p) {
    size_t n = 0;
    for (int k = 0; k < p->n; k++)
        n = p->series[k].n > n ? p->series[k].n : n;
    for (size_t i = 0; i < n; i++) {
        buf_adds(&p->script, i ? ", " : "");
        add_text(&p->script, p->labels->x_names[i]);
        buf_printf(&p->script, " %zu", i);
    }
}

static void add_x_ticks(struct picture *p) {
    if (p->labels->style == PLOT_BARS && p->labels->x_names)
        add_word_ticks(p);
    else if (p->x.log)
        add_log_ticks(p, &p->x);
    else
        add_linear_ticks(p, &p->x, 8);
}

static void add_frame(struct picture *p) {
    const struct plot_labels *l = p->labels;
    struct buf *b = &p->script;
    buf_printf(b, "set lmargin at screen %.6g\nset rmargin at screen %.6g\n"
               "set tmargin at screen %.6g\nset bmargin at screen %.6g\n",
               (double)LEFT / p->width, 1 - (double)p->right / p->width,
               1 - (double)TOP / p->height, (double)BOTTOM / p->height);
    buf_adds(b, "unset key\nset border 1 lc rgb '#999999' lw 0.8\n"
             "set grid ytics back lt 1 lc rgb '#E4E4E4' lw 0.8\n"
             "set tics nomirror scale 0.5 textcolor rgb '" GREY "'\n");
    if (p->x.log)
        buf_adds(b, "set logscale x 10\n");
    /* A tick on the frame must not fall outside by rounding. */
    double hair_x = (p->x.max - p->x.min) * 1e-9;
    double hair_y = (p->y.max - p->y.min) * 1e-9;
    double x0 = p->x.min - hair_x;
    double x1 = p->x.max + hair_x;
    buf_printf(b, "set xrange [%.15g:%.15g]\nset yrange [%.15g:%.15g]\n",
               p->x.log ? pow(10, x0) : x0, p->x.log ? pow(10, x1) : x1, p->y.min - hair_y,
               p->y.max + hair_y);
    buf_adds(b, "set ytics scale 0 (");
    add_linear_ticks(p, &p->y, 6);
    buf_adds(b, ")\nset xtics (");
    add_x_ticks(p);
    buf_adds(b, ")\n");
    add_label(p, l->title, 14, 20, p->png ? "left font ',11.25'" : "left font ',15'");
    add_label(p, l->y, 14, 44, "left textcolor rgb '" GREY "'");
    add_label(p, l->x, LEFT + (p->width - LEFT - p->right) / 2.0, p->height - 16,
              "center textcolor rgb '" GREY "'");
}

/* What is left out cannot be seen: a point is written when it or a neighbour lies in another
 * half pixel than the one before. A curve of millions of sizes becomes some thousand points. */
static void add_data(struct picture *p, int k) {
    const struct plot_series *s = &p->series[k];
    double columns = 2.0 * (p->width - LEFT - p->right);
    double rows = 2.0 * (p->height - TOP - BOTTOM);
    double cell_x = NAN;
    double cell_y = NAN;
    size_t held = SIZE_MAX;     /* the last point that was left out */
    int gap = 0;
    buf_printf(&p->script, "$s%d << end\n", k);
    for (size_t i = 0; i < s->n; i++) {
        if (!point_shown(p, s, i)) {
            gap = 1;
            continue;
        }
        double x = floor(axis_place(&p->x, s->x[i]) * columns);
        double y = floor(axis_place(&p->y, s->y[i]) * rows);
        if (!gap && x == cell_x && y == cell_y && i + 1 < s->n) {
            held = i;
            continue;
        }
        if (held != SIZE_MAX)
            buf_printf(&p->script, "%.12g %.12g\n", s->x[held], s->y[held]);
        buf_printf(&p->script, "%s%.12g %.12g\n", gap && !isnan(cell_x) ? "\n" : "", s->x[i],
                   s->y[i]);
        held = SIZE_MAX;
        gap = 0;
        cell_x = x;
        cell_y = y;
    }
    if (held != SIZE_MAX)
        buf_printf(&p->script, "%.12g %.12g\n", s->x[held], s->y[held]);
    buf_adds(&p->script, "end\n");
}

static void add_curve(struct picture *p, int k) {
    const struct plot_series *s = &p->series[k];
    buf_printf(&p->script, "%s$s%d using ", k ? ", " : "plot ", k);
    if (p->labels->style == PLOT_BARS) {
        double width = 0.8 / p->n;
        buf_printf(&p->script, "($1 + %.6g):2:(%.6g) with boxes fs solid 1 noborder lc rgb '%s'",
                   (k - (p->n - 1) / 2.0) * width, width * 0.94, curve_colour(k));
        return;
    }
    const char *style = p->labels->style == PLOT_STEPS ? "steps" :
                        s->n <= MARKED ? "linespoints pt 7 ps 0.45" : "lines";
    buf_printf(&p->script, "1:2 with %s lw 1.6 dt %s lc rgb '%s'", style, curve_dash(k),
               curve_colour(k));
}

/* ---- names beside the curves ------------------------------------------------------------ */

struct name {
    int series;
    double x, y;                /* the curve's end */
    double mean;                /* of y */
    double place;               /* of the name: pixels from the top of the frame */
};

static int compare_names(const void *a, const void *b) {
    const struct name *p = a;
    const struct name *q = b;
    double apart = round(p->place) - round(q->place);
    if (apart == 0)             /* they end alike: the higher curve's name stands above */
        apart = q->mean - p->mean;
    return apart < 0 ? -1 : apart > 0 ? 1 : p->series - q->series;
}

/* Names in the order of their curves' ends, moved apart: first down, then back up from the
 * frame's lower edge. */
static void part_names(struct name *name, int n, double height) {
    qsort(name, (size_t)n, sizeof *name, compare_names);
    for (int i = 1; i < n; i++)
        name[i].place = fmax(name[i].place, name[i - 1].place + LINE);
    double limit = height;
    for (int i = n - 1; i >= 0; i--) {
        name[i].place = fmin(name[i].place, limit);
        limit = name[i].place - LINE;
    }
}

static double mean_value(const struct picture *p, const struct plot_series *s) {
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (point_shown(p, s, i)) {
            sum += s->y[i];
            n++;
        }
    }
    return sum / (double)n;
}

static int find_names(const struct picture *p, struct name *name, double height) {
    int n = 0;
    for (int k = 0; k < p->n; k++) {
        const struct plot_series *s = &p->series[k];
        size_t last = s->n;
        while (last > 0 && !point_shown(p, s, last - 1))
            last--;
        if (last == 0 || !s->name)
            continue;
        double y = s->y[last - 1];
        name[n++] = (struct name){k, s->x[last - 1], y, mean_value(p, s),
                                  (1 - axis_place(&p->y, y)) * height};
    }
    return n;
}

/* A line of the curve's kind leads to its name: dotted inside the frame, where it is no data. */
static void add_leader(struct picture *p, const struct name *m, double place) {
    double frame = p->width - LEFT - p->right;
    double edge = 1 - (double)p->right / p->width;
    if (axis_place(&p->x, m->x) * frame < frame - 4)
        buf_printf(&p->script, "set arrow from first %.9g, first %.9g to screen %.6g, first %.9g "
                   "nohead back lw 0.8 dt (1,4) lc rgb '%s'\n", m->x, m->y, edge, m->y,
                   curve_colour(m->series));
    buf_printf(&p->script, "set arrow from screen %.6g, first %.9g to screen %.6g, screen %.6g "
               "nohead back lw 1 dt %s lc rgb '%s'\n", edge, m->y,
               edge + (double)p->lead / p->width, 1 - place / p->height, curve_dash(m->series),
               curve_colour(m->series));
}

/* Bars have no end to stand beside: their names are stacked at the top. */
static void add_names(struct picture *p) {
    double height = p->height - TOP - BOTTOM;
    struct name *name = mem_array((size_t)p->n, sizeof *name);
    int n = find_names(p, name, height);
    int bars = p->labels->style == PLOT_BARS;
    for (int i = 0; bars && i < n; i++)
        name[i].place = i * LINE;
    part_names(name, n, height);
    for (int i = 0; i < n; i++) {
        char rest[64];
        double y = TOP + name[i].place;
        int k = name[i].series;
        snprintf(rest, sizeof rest, "left textcolor rgb '%s'", curve_colour(k));
        add_label(p, p->series[k].name, p->width - p->right + p->lead + 4, y, rest);
        if (!bars)
            add_leader(p, &name[i], y);
    }
    free(name);
}

static void write_script(struct picture *p) {
    p->lead = p->n > COLOURS ? 30 : 14;         /* long enough to show its dashes */
    double names = longest_name(p) ? p->lead + 14 + LETTER * (double)longest_name(p) : 20;
    p->width = WIDTH + (names > 150 ? (int)names - 150 : 0);
    p->height = HEIGHT;
    if (p->n * LINE > HEIGHT - TOP - BOTTOM)
        p->height = p->n * LINE + TOP + BOTTOM;
    p->right = (int)names;
    p->x.log = p->labels->log_x && p->labels->style != PLOT_BARS;
    find_ranges(p);
    add_terminal(p);
    buf_adds(&p->script, "set encoding utf8\n");
    add_frame(p);
    add_names(p);
    for (int k = 0; k < p->n; k++)
        add_data(p, k);
    for (int k = 0; k < p->n; k++)
        add_curve(p, k);
    buf_adds(&p->script, p->n ? "\n" : "plot NaN\n");
}

/* ---- gnuplot ---------------------------------------------------------------------------- */

static int memory_file(const char *data, size_t len) {
    int fd = memfd_create("gnuplot", MFD_CLOEXEC);
    if (fd < 0)
        die("gnuplot: %s", strerror(errno));
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, data + done, len - done);
        if (n < 0)
            die("gnuplot: %s", strerror(errno));
        done += (size_t)n;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* The last line that says something; gnuplot's complaints end with the reason. */
static void last_words(int fd, char *out, size_t size) {
    char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    snprintf(out, size, "it failed");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[strspn(line, " \t^")])
            snprintf(out, size, "%s", line + strspn(line, " \t"));
}

/* Runs gnuplot on a script, its output going to out (-1: nowhere); dies unless it succeeds. */
static void run_gnuplot(const struct buf *script, int out) {
    static char name[] = "gnuplot";
    static char defaults[] = "-d";      /* no start-up files of the user or the system */
    char *argv[] = {name, defaults, NULL};
    int in = memory_file(script->data, script->len);
    int words = memory_file(NULL, 0);
    int status = 0;
    pid_t pid;
    posix_spawn_file_actions_t act;
    posix_spawn_file_actions_init(&act);
    posix_spawn_file_actions_adddup2(&act, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&act, out < 0 ? words : out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&act, words, STDERR_FILENO);
    int failed = posix_spawnp(&pid, name, &act, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&act);
    if (failed == ENOENT)
        die("--plot needs gnuplot, which is not installed (Debian's package: gnuplot-nox)");
    if (failed)
        die("gnuplot: %s", strerror(failed));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status) {
        char reason[256];
        last_words(words, reason, sizeof reason);
        die("gnuplot: %s", reason);
    }
    close(in);
    close(words);
}

static int ends_in(const char *s, const char *tail) {
    size_t n = strlen(s);
    return n > strlen(tail) && !strcasecmp(s + n - strlen(tail), tail);
}

const char *plot_check(const char *file) {
    if (!ends_in(file, ".svg") && !ends_in(file, ".png"))
        usage_die("--plot: '%s': expected a name that ends in .svg or .png", file);
    const char *slash = strrchr(file, '/');
    char *folder = slash ? mem_strndup(file, (size_t)(slash - file) + 1) : mem_strdup(".");
    if (access(folder, W_OK | X_OK))
        die("%s: %s", file, strerror(errno));
    free(folder);
    run_gnuplot(&(struct buf){0}, -1);
    return file;
}

void plot_lines(const char *file, const struct plot_labels *l, const struct plot_series *s,
                int n) {
    struct err err;
    if (!file)
        return;
    struct picture p = {.labels = l, .series = s, .n = n, .png = ends_in(file, ".png")};
    write_script(&p);
    struct outfile *out = outfile_open(file, &err);
    if (!out)
        die_err(&err);
    run_gnuplot(&p.script, fileno(outfile_stream(out)));
    if (outfile_close(out, &err))
        die_err(&err);
    buf_free(&p.script);
}
