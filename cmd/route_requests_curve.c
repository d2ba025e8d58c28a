/* route_requests_curve.c - quality and cost at every share, the Pareto front, the picture */
#include "cmd/route_requests.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "cmd/plot.h"

/* ---- curves ----------------------------------------------------------------------------- */

static const struct field curve_columns[] = {
    {"router", FIELD_TEXT, 0}, {"kind", FIELD_TEXT, 0}, {"threshold", 4, 0},
    {"strong_share", 4, 0}, {"quality", 5, 0}, {"pgr", 4, 0}, {"usd_per_request", 6, 0}};
enum { CURVE = sizeof curve_columns / sizeof *curve_columns };

void requests_curve(const struct requests_options *o, const struct requests_data *d,
                    const struct requests_routers *all) {
    struct judge_point *p = mem_array((size_t)o->steps + 1, sizeof *p);
    struct fields f;
    (void)d;
    fields_open(&f, curve_columns, CURVE, &o->common);
    for (int i = 0; i < all->n; i++) {
        const struct requests_router *r = &all->r[i];
        judge_curve(r->judge, o->steps, p);
        for (int k = 0; k <= o->steps; k++) {
            const struct value row[CURVE] = {
                {.text = r->name}, {.text = r->kind},
                {.number = requests_threshold(r, p[k].threshold)},
                {.number = p[k].share}, {.number = p[k].quality}, {.number = p[k].pgr},
                {.number = p[k].usd}};
            fields_row(&f, row);
        }
    }
    fields_close(&f);
    free(p);
}

/* ---- the Pareto front ------------------------------------------------------------------- */

static const struct field front_columns[] = {
    {"router", FIELD_TEXT, 0}, {"kind", FIELD_TEXT, 0}, {"model", FIELD_TEXT, 0},
    {"threshold", 4, 0}, {"strong_share", 4, 0}, {"quality", 5, 0}, {"usd_per_request", 6, 0}};
enum { FRONT = sizeof front_columns / sizeof *front_columns };

struct dot {
    const char *router, *kind, *model;
    struct judge_point at;
};

struct dots {
    struct dot *dot;
    int n;
};

/* The models whose costs and scores are known of all requests. */
static void add_models(struct dots *all, const struct requests_side *j) {
    for (int m = 0; m < j->s->models; m++) {
        struct judge_point p = {.threshold = NAN, .share = NAN, .pgr = NAN};
        for (size_t i = 0; i < j->n; i++) {
            p.quality += j->score[m][i] / (double)j->n;
            p.usd += j->usd[m][i] / (double)j->n;
        }
        if (m == j->weak || m == j->strong)
            p.share = m == j->strong;
        if (!isnan(p.quality) && !isnan(p.usd))
            all->dot[all->n++] = (struct dot){"always", "model", j->s->model[m].name, p};
    }
}

/* Nobody can run an oracle. The ends of a curve are the models alone. */
static void add_router(struct dots *all, const struct requests_router *r, int steps) {
    struct judge_point *p = mem_array((size_t)steps + 1, sizeof *p);
    judge_curve(r->judge, steps, p);
    for (int k = 0; k <= steps && strcmp(r->kind, "oracle"); k++) {
        p[k].threshold = requests_threshold(r, p[k].threshold);
        if (p[k].share > 0 && p[k].share < 1)
            all->dot[all->n++] = (struct dot){r->name, r->kind, NULL, p[k]};
    }
    free(p);
}

static int compare_dots(const void *a, const void *b) {
    const struct dot *x = a;
    const struct dot *y = b;
    if (x->at.usd != y->at.usd)
        return x->at.usd < y->at.usd ? -1 : 1;
    return (x->at.quality > y->at.quality) - (x->at.quality < y->at.quality);
}

static void print_front(struct dots *all, const struct common *common) {
    double *usd = mem_array((size_t)all->n + 1, sizeof *usd);
    double *quality = mem_array((size_t)all->n + 1, sizeof *quality);
    uint8_t *on = mem_array((size_t)all->n + 1, 1);
    struct fields f;
    if (all->n)
        qsort(all->dot, (size_t)all->n, sizeof *all->dot, compare_dots);
    for (int i = 0; i < all->n; i++) {
        usd[i] = all->dot[i].at.usd;
        quality[i] = all->dot[i].at.quality;
    }
    judge_pareto(usd, quality, all->n, on);
    fields_open(&f, front_columns, FRONT, common);
    for (int i = 0; i < all->n; i++) {
        const struct dot *t = &all->dot[i];
        const struct value row[FRONT] = {
            {.text = t->router}, {.text = t->kind}, {.text = t->model},
            {.number = t->at.threshold}, {.number = t->at.share}, {.number = t->at.quality},
            {.number = t->at.usd}};
        if (on[i])
            fields_row(&f, row);
    }
    fields_close(&f);
    free(on);
    free(quality);
    free(usd);
}

void requests_pareto(const struct requests_options *o, const struct requests_data *d,
                     const struct requests_routers *all) {
    size_t most = (size_t)d->judge.s->models + (size_t)all->n * ((size_t)o->steps + 1);
    struct dots dots = {.dot = mem_array(most, sizeof *dots.dot)};
    if (!d->priced)
        usage_die("--pareto: expected costs in the input, or --price-weak and --price-strong");
    add_models(&dots, &d->judge);
    for (int i = 0; i < all->n; i++)
        add_router(&dots, &all->r[i], o->steps);
    print_front(&dots, &o->common);
    free(dots.dot);
}

/* ---- the picture ------------------------------------------------------------------------ */

static struct plot_series series_of(const struct requests_router *r, int steps, int priced) {
    struct judge_point *p = mem_array((size_t)steps + 1, sizeof *p);
    double *x = mem_array((size_t)steps + 1, sizeof *x);
    double *y = mem_array((size_t)steps + 1, sizeof *y);
    judge_curve(r->judge, steps, p);
    for (int k = 0; k <= steps; k++) {
        x[k] = priced ? p[k].usd : 100 * p[k].share;
        y[k] = p[k].quality;
        /* Some strong answers may be the cheaper ones. */
        for (int i = k; i > 0 && x[i] < x[i - 1]; i--) {
            double swap[2] = {x[i], y[i]};
            x[i] = x[i - 1];
            y[i] = y[i - 1];
            x[i - 1] = swap[0];
            y[i - 1] = swap[1];
        }
    }
    free(p);
    return (struct plot_series){requests_label(r), x, y, (size_t)steps + 1};
}

void requests_plot(const struct requests_options *o, const struct requests_data *d,
                   const struct requests_routers *all) {
    struct plot_series *s = mem_array((size_t)all->n, sizeof *s);
    if (!o->plot) {
        free(s);
        return;
    }
    for (int i = 0; i < all->n; i++)
        s[i] = series_of(&all->r[i], o->steps, d->priced);
    plot_lines(o->plot, &(struct plot_labels){
        .title = "Quality of routed requests", .y = "mean score",
        .x = d->priced ? "mean cost of a request, US$" : "requests to the strong model, %"}, s,
        all->n);
    for (int i = 0; i < all->n; i++) {
        free((void *)(uintptr_t)s[i].name);
        free((void *)(uintptr_t)s[i].x);
        free((void *)(uintptr_t)s[i].y);
    }
    free(s);
}
