/* plot_heat.c - pictures of tables of numbers for --plot: a colour a cell; see plot.h
 *
 * Cells of whole pixels where there is room, drawn as rectangles in an SVG so that they stay sharp.
 * Numbers are parted by the logarithm to base 2 around 1, since they are ratios: twice and half as
 * much are as far from even.
 */
#include <math.h>
#include <stdlib.h>

#include "cmd/plot.h"
#include "cmd/plot_script.h"

#define LEFT 64
#define RIGHT 96                /* for the scale */
#define TOP 62
#define BOTTOM 58
#define WIDE 900                /* the table, if cells need not be larger */
#define HIGH 420
#define CELL_MOST 24

/* Diverging, and told apart by colour-blind readers: ColorBrewer's RdBu (Brewer, 2003), of which
 * the middle is near white. What is 0 is grey. */
#define COLOURS "set palette maxcolors 0\nset palette defined (-3 '#2166AC', -2 '#67A9CF', " \
    "-1 '#D1E5F0', 0 '#F7F7F7', 1 '#FDDBC7', 2 '#EF8A62', 3 '#B2182B')\n"
#define NOTHING "#BBBBBB"

struct heat {
    const struct plot_labels *labels;
    const double *value;
    int rows, cols;
    double cell_x, cell_y;      /* pixels */
    int width, height;
};

static double cell_size(double room, int n) {
    double size = room / n;
    return size > CELL_MOST ? CELL_MOST : size > 1 ? floor(size) : size;
}

static void add_margins(struct buf *b, const struct heat *h) {
    buf_printf(b, "set lmargin at screen %.6g\nset rmargin at screen %.6g\n"
               "set tmargin at screen %.6g\nset bmargin at screen %.6g\n",
               (double)LEFT / h->width, (LEFT + h->cell_x * h->cols) / h->width,
               1 - (double)TOP / h->height, 1 - (TOP + h->cell_y * h->rows) / h->height);
}

static int tick_every(double pixels, int n) {
    static const int steps[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384};
    size_t i = 0;
    while (i + 1 < sizeof steps / sizeof *steps && steps[i] * pixels < 34 && steps[i] < n)
        i++;
    return steps[i];
}

static void add_ticks(struct buf *b, const struct heat *h) {
    int every_x = tick_every(h->cell_x, h->cols);
    int every_y = tick_every(h->cell_y * 2, h->rows);
    buf_adds(b, "set xtics (");
    for (int i = 0; i < h->cols; i += every_x)
        buf_printf(b, "%s'%d' %d", i ? ", " : "", i, i);
    buf_adds(b, ")\nset ytics (");
    for (int i = 0; i < h->rows; i += every_y) {
        buf_adds(b, i ? ", " : "");
        script_text(b, h->labels->y_names[i]);
        buf_printf(b, " %d", i);
    }
    buf_adds(b, ")\n");
}

static void add_scale(struct buf *b, const struct heat *h) {
    double at = LEFT + h->cell_x * h->cols + 18;
    double high = fmin(h->cell_y * h->rows, 160);
    buf_printf(b, "set cbrange [-3:3]\nset cbtics ('1/8' -3, '1/4' -2, '1/2' -1, '1' 0, '2' 1, "
               "'4' 2, '8' 3) textcolor rgb '" GREY "'\n"
               "set colorbox user origin screen %.6g, screen %.6g size screen %.6g, screen %.6g "
               "noborder\n", at / h->width, 1 - (TOP + high) / h->height, 12.0 / h->width,
               high / h->height);
}

static void add_cells(struct buf *b, const struct heat *h) {
    int any = 0;
    buf_adds(b, "$heat << end\n");
    for (int r = 0; r < h->rows; r++)
        for (int c = 0; c < h->cols; c++) {
            double v = h->value[(size_t)r * (size_t)h->cols + (size_t)c];
            if (!(v > 0))
                continue;
            buf_printf(b, "%d %d %.4g\n", c, r, fmin(fmax(log2(v), -3), 3));
            any = 1;
        }
    buf_adds(b, "end\n");
    buf_printf(b, "plot %s\n", any ? "$heat using 1:2:(0.5):(0.5):3 with boxxyerror fs solid 1 "
               "noborder lc palette" : "NaN");
}

void plot_heat(const char *file, const struct plot_labels *l, const double *value, int rows,
               int cols) {
    struct heat h = {.labels = l, .value = value, .rows = rows, .cols = cols};
    struct buf b = {0};
    if (!file)
        return;
    h.cell_x = cell_size(WIDE, cols);
    h.cell_y = cell_size(HIGH, rows);
    h.width = LEFT + (int)ceil(h.cell_x * cols) + RIGHT;
    h.width = h.width < 420 ? 420 : h.width;            /* room for the title */
    h.height = TOP + (int)ceil(h.cell_y * rows) + BOTTOM;
    script_begin(&b, script_png(file), h.width, h.height);
    add_margins(&b, &h);
    buf_printf(&b, "unset key\nset border 0\nset tics scale 0 textcolor rgb '" GREY "'\n"
               "set object 1 rectangle from graph 0, graph 0 to graph 1, graph 1 behind "
               "fc rgb '" NOTHING "' fs solid 1 noborder\n"
               "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n", cols - 1, rows - 1);
    add_ticks(&b, &h);
    add_scale(&b, &h);
    buf_adds(&b, COLOURS);
    script_label(&b, l->title, 14.0 / h.width, 20.0 / h.height,
                 script_png(file) ? "left font ',11.25'" : "left font ',15'");
    script_label(&b, l->y, 14.0 / h.width, 44.0 / h.height, "left textcolor rgb '" GREY "'");
    script_label(&b, l->x, (LEFT + h.cell_x * cols / 2) / h.width,
                 (h.height - 16.0) / h.height, "center textcolor rgb '" GREY "'");
    add_cells(&b, &h);
    script_draw(file, &b);
    buf_free(&b);
}
