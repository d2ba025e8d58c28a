/* plot.c - pictures of curves for --plot, drawn by gnuplot; see plot.h
 *
 * Ranges, ticks and the places of names are worked out here, for two reasons: gnuplot's own
 * choice differs between its versions, and names beside their curves must not overlap.
 */
#include "cmd/plot.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot_script.h"

/* All lengths in pixels of an SVG; a PNG has twice as many. */
#define WIDTH 760
#define HEIGHT 440
#define LEFT 64
#define TOP 62
#define BOTTOM 58
#define LINE 17                 /* of text, from one to the next */
#define LETTER 7.2              /* mean width of a letter */
#define MARKED 24               /* series with no more points show them */

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

static size_t longest_name(const struct picture *p) {
    size_t most = 0;
    for (int k = 0; k < p->n; k++) {
        size_t n = script_letters(p->series[k].name);
        most = n > most ? n : most;
    }
    return most;
}

static void add_label(struct picture *p, const char *text, double x, double y,
                      const char *rest) {
    script_label(&p->script, text, x / p->width, y / p->height, rest);
}

static void add_word_ticks(struct picture *p) {
    size_t n = 0;
    for (int k = 0; k < p->n; k++)
        n = p->series[k].n > n ? p->series[k].n : n;
    for (size_t i = 0; i < n; i++) {
        buf_adds(&p->script, i ? ", " : "");
        script_text(&p->script, p->labels->x_names[i]);
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
    script_begin(&p->script, p->png, p->width, p->height);
    add_frame(p);
    add_names(p);
    for (int k = 0; k < p->n; k++)
        add_data(p, k);
    for (int k = 0; k < p->n; k++)
        add_curve(p, k);
    buf_adds(&p->script, p->n ? "\n" : "plot NaN\n");
}

void plot_lines(const char *file, const struct plot_labels *l, const struct plot_series *s,
                int n) {
    if (!file)
        return;
    struct picture p = {.labels = l, .series = s, .n = n, .png = script_png(file)};
    write_script(&p);
    script_draw(file, &p.script);
    buf_free(&p.script);
}
