/* plot.h - pictures of curves and tables for --plot, drawn by gnuplot
 *
 *     case OPT_PLOT: o.plot = plot_check(optarg); break;       // before the long work
 *     ...
 *     const struct plot_series s[] = {{"lru", x, y0, n}, {"fifo", x, y1, n}};
 *     plot_lines(o.plot, &(struct plot_labels){.title = "Hits by size", .x = "blocks",
 *                                              .y = "block hit ratio", .log_x = 1}, s, 2);
 *
 * The file's ending says what it becomes: .svg or .png. It appears whole or not at all. The same
 * data gives the same SVG, to the byte, from the same gnuplot. Every failure ends the program with
 * one line: exit 2 for an ending that is neither, exit 1 for the rest. Without gnuplot a program
 * does all else; that line names the package.
 *
 * A vertical axis begins at zero unless it must show negative values. Each series is named beside
 * its end, in its colour; colours are told apart by colour-blind readers, and repeat dashed after
 * the seventh.
 */
#ifndef PLOT_H
#define PLOT_H

#include <stddef.h>

enum plot_style {
    PLOT_LINES,                 /* from point to point; few points (to 24) are marked */
    PLOT_STEPS,                 /* a value holds until the next x */
    PLOT_BARS                   /* from zero; the series of one x stand side by side */
};

/* All text is UTF-8 and shown as it is: there is no markup. */
struct plot_labels {
    const char *title;          /* NULL: none */
    const char *x, *y;          /* what the axes count, with the unit; NULL: nothing */
    int log_x;                  /* decades; points with x <= 0 are left out; not for bars */
    enum plot_style style;
    const char *const *x_names; /* bars: [n of the longest series] words in place of numbers, x
                                 * being 0, 1, 2, ...; NULL: numbers */
    const char *const *y_names; /* tables: [rows] what rows are called */
};

struct plot_series {
    const char *name;           /* NULL: not named, as a single curve need not be */
    const double *x;            /* [n] not decreasing */
    const double *y;            /* [n] a value that is not finite interrupts the line */
    size_t n;
};

/* Ends the program unless file can be drawn: its ending, its folder, gnuplot. Returns file. */
const char *plot_check(const char *file);
/* Draws n series. NULL as file: nothing happens. */
void plot_lines(const char *file, const struct plot_labels *l, const struct plot_series *s,
                int n);

/* Draws a table of ratios [rows][cols], a colour a cell: 1 is white, more red, less blue, 0 grey,
 * by powers of two from 1/8 to 8. The first row is the uppermost; columns are numbered from 0. Of
 * the labels title, x, y and y_names. NULL as file: nothing happens. */
void plot_heat(const char *file, const struct plot_labels *l, const double *value, int rows,
               int cols);

#endif
