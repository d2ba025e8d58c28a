/* route_stats_heat.c - llm-route stats: layers by experts as a picture
 *
 * On the terminal a layer is a line, an expert a column; where there are more experts than columns,
 * several share one, and the one with the largest load is shown. Heights part loads by their ratio
 * to the layer's mean; colours, where the terminal may have them, say the same.
 */
#include "cmd/route_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/plot.h"

/* Loads over the mean from which a step begins: steps 1 to 4 are below the mean. */
static const double from[] = {0, 0.25, 0.5, 0.75, 1, 1.5, 2, 4};
enum { STEPS = sizeof from / sizeof *from };
static const char *const blocks[STEPS] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
/* Of the 256 colours: blue, paler, then orange to red. */
static const int colours[STEPS] = {25, 31, 67, 109, 180, 173, 166, 160};

#define COLUMNS 80              /* where nothing says how wide the terminal is */

struct heat {
    const struct stats *s;
    int names;                  /* columns of the layers' names */
    int columns, fold;          /* of the picture; experts of a column, but perhaps the last */
    int coloured;
};

static int step_of(double load) {
    int i = STEPS - 1;
    while (i > 0 && load < from[i])
        i--;
    return i;
}

static int terminal_columns(void) {
    struct winsize w;
    const char *said = getenv("COLUMNS");
    if (isatty(STDOUT_FILENO) && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_col)
        return w.ws_col;
    int n = said ? atoi(said) : 0;
    return n > 0 && n < 100000 ? n : COLUMNS;
}

static struct heat heat_setup(const struct stats *s) {
    struct heat h = {.s = s};
    const char *no = getenv("NO_COLOR");
    for (int l = 0; l < s->model->layers; l++) {
        int n = snprintf(NULL, 0, "%d", s->model->layer_index[l]);
        h.names = n > h.names ? n : h.names;
    }
    int room = terminal_columns() - h.names - 1;
    room = room < 8 ? 8 : room;
    h.fold = (s->experts + room - 1) / room;
    h.columns = (s->experts + h.fold - 1) / h.fold;
    h.coloured = isatty(STDOUT_FILENO) && !(no && *no);
    return h;
}

/* The largest load of a column's experts, over the layer's mean. */
static double column_load(const struct heat *h, const double *count, double mean, int column) {
    double most = 0;
    int end = (column + 1) * h->fold;
    for (int e = column * h->fold; e < end && e < h->s->experts; e++)
        most = count[e] > most ? count[e] : most;
    return mean > 0 ? most / mean : 0;
}

static void put_cell(const struct heat *h, double load, int *colour) {
    int step = step_of(load);
    if (!(load > 0)) {
        fputs(" ", stdout);
        return;
    }
    if (h->coloured && *colour != colours[step]) {
        *colour = colours[step];
        printf("\033[38;5;%dm", *colour);
    }
    fputs(blocks[step], stdout);
}

static void put_layer(const struct heat *h, int layer) {
    const double *count = stats_count(h->s, layer);
    double sum = 0;
    int colour = -1;
    for (int e = 0; e < h->s->experts; e++)
        sum += count[e];
    printf("%*d ", h->names, h->s->model->layer_index[layer]);
    for (int c = 0; c < h->columns; c++)
        put_cell(h, column_load(h, count, sum / h->s->experts, c), &colour);
    puts(colour >= 0 ? "\033[0m" : "");
}

static void put_legend(const struct heat *h) {
    int colour = -1;
    printf("load over the layer's mean: ' ' 0");
    for (int i = 0; i < STEPS; i++) {
        putchar(' ');
        put_cell(h, i ? from[i] : from[1] / 2, &colour);
        if (colour >= 0)
            fputs("\033[0m", stdout);
        colour = -1;
        if (i + 1 < STEPS)
            printf(" <%g", from[i + 1]);
        else
            printf(" %g+", from[i]);
    }
    if (h->fold > 1)
        printf("\na column is the highest of %d experts", h->fold);
    putchar('\n');
}

void stats_heat(const struct stats *s) {
    struct heat h = heat_setup(s);
    for (int l = 0; l < s->model->layers; l++)
        put_layer(&h, l);
    put_legend(&h);
}

void stats_plot(const struct stats *s) {
    int layers = s->model->layers;
    size_t experts = (size_t)s->experts;
    double *load = mem_array((size_t)layers * experts, sizeof *load);
    char **name = mem_array((size_t)layers, sizeof *name);
    for (int l = 0; l < layers; l++) {
        struct balance b;
        balance_of(stats_count(s, l), s->experts, &b);
        name[l] = mem_printf("%d", s->model->layer_index[l]);
        for (size_t e = 0; e < experts && b.sum > 0; e++)
            load[(size_t)l * experts + e] = stats_count(s, l)[e] * s->experts / b.sum;
    }
    struct plot_labels labels = {.title = "Load of experts over the layer's mean (grey: none)",
                                 .x = "expert", .y = "layer", .y_names = (const char *const *)name};
    plot_heat(s->o->plot, &labels, load, layers, s->experts);
    for (int l = 0; l < layers; l++)
        free(name[l]);
    free(name);
    free(load);
}
