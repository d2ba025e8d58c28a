/* book_lint.c - a price book's invariants: sources, models, names; see book_lint.h */
#include "lib/cost/book_lint_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/shape/device.h"
#include "lib/shape/shape.h"

#define YEAR_NS (365 * 86400 * (int64_t)1000000000)

/* ---- findings -------------------------------------------------------------------------------- */

static void add(struct book_lint *l, int error, int line, const char *rule, const char *fmt,
                va_list args) {
    if (l->n == l->room) {
        l->room = 2 * l->room + 16;
        l->found = mem_grow(l->found, l->room, sizeof *l->found);
    }
    struct book_finding *f = &l->found[l->n++];
    *f = (struct book_finding){.line = line, .error = error, .rule = rule};
    vsnprintf(f->words, sizeof f->words, fmt, args);
}

void book_lint_error(struct book_lint *l, int line, const char *rule, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(l, 1, line, rule, fmt, args);
    va_end(args);
}

void book_lint_warn(struct book_lint *l, int line, const char *rule, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    add(l, 0, line, rule, fmt, args);
    va_end(args);
}

int book_lint_together(const struct book_select *a, const struct book_select *b) {
    return a->from_ns < b->to_ns && b->from_ns < a->to_ns;
}

const char *book_lint_name(const struct book *b, int model) {
    return model < 0 ? "*" : b->model[model].name;
}

/* ---- sources and dates ----------------------------------------------------------------------- */

static void check_sources(struct book_lint *l) {
    const struct book *b = l->b;
    char day[DATE_TEXT];
    for (int i = 0; i < b->sources; i++) {
        const struct book_source *s = &b->source[i];
        if (s->observed_ns == BOOK_ALWAYS)
            book_lint_warn(l, s->line, "no-source", "source %.80s has no date", s->name);
        else if (s->observed_ns > l->now_ns)
            book_lint_error(l, s->line, "observed", "source %.80s is of %s, which is yet to come",
                            s->name, date_day(s->observed_ns, day));
    }
    if (b->observed_ns > l->now_ns)
        book_lint_error(l, 1, "observed", "the book is of %s, which is yet to come",
                        date_day(b->observed_ns, day));
}

static void check_source(struct book_lint *l, int line, const char *what, int source) {
    if (source < 0)
        book_lint_warn(l, line, "no-source", "%.80s has no source", what);
}

static void check_future(struct book_lint *l, int line, int64_t from_ns) {
    char day[DATE_TEXT];
    if (from_ns != BOOK_ALWAYS && from_ns > l->now_ns + 2 * YEAR_NS)
        book_lint_warn(l, line, "future", "begins on %s, more than two years from now",
                       date_day(from_ns, day));
}

static void check_rows(struct book_lint *l) {
    const struct book *b = l->b;
    for (int i = 0; i < b->rows; i++) {
        const struct book_row *r = &b->row[i];
        int source = r->source < 0 && r->model >= 0 ? b->model[r->model].source : r->source;
        check_source(l, r->line, book_lint_name(b, r->model), source);
        check_future(l, r->line, r->when.from_ns);
    }
}

/* ---- names that others know ------------------------------------------------------------------ */

static int is_in(const char *const *names, const char *name) {
    for (; *names; names++)
        if (!strcmp(*names, name))
            return 1;
    return 0;
}

static void check_plans(struct book_lint *l) {
    const struct book *b = l->b;
    for (int i = 0; i < b->plans; i++) {
        check_source(l, b->plan[i].line, b->plan[i].name, b->plan[i].source);
        check_future(l, b->plan[i].line, b->plan[i].from_ns);
    }
    for (int i = 0; i < b->capacities; i++) {
        check_source(l, b->capacity[i].line, b->capacity[i].name, b->capacity[i].source);
        check_future(l, b->capacity[i].line, b->capacity[i].from_ns);
    }
    for (int i = 0; i < b->gpus; i++) {
        const struct book_gpu *g = &b->gpu[i];
        check_source(l, g->line, g->device, g->source);
        check_future(l, g->line, g->from_ns);
        if (!is_in(device_names(), g->device))
            book_lint_warn(l, g->line, "device", "no device of the name %.80s is known",
                           g->device);
    }
}

/* ---- models ---------------------------------------------------------------------------------- */

static void check_model(struct book_lint *l, int m) {
    const struct book *b = l->b;
    const struct book_model *model = &b->model[m];
    int prices[USAGE_KINDS] = {0};
    int any = 0;
    int n;
    const int *row = book_rows_of(b, m, &n);
    for (int i = 0; i < n; i++)
        if (!b->row[row[i]].factor) {
            prices[b->row[row[i]].kind] = 1;
            any |= b->row[row[i]].kind != USAGE_SEARCH;
        }
    if (!any)
        book_lint_error(l, model->line, "no-price", "%.80s has no price", model->name);
    else if (prices[USAGE_INPUT] && !prices[USAGE_OUTPUT])
        book_lint_warn(l, model->line, "output", "%.80s has a price of input, none of output",
                       model->name);
    else if (prices[USAGE_OUTPUT] && !prices[USAGE_INPUT])
        book_lint_warn(l, model->line, "input", "%.80s has a price of output, none of input",
                       model->name);
    if (model->shape && !is_in(shape_names(), model->shape))
        book_lint_warn(l, model->line, "shape", "no shape of the name %.80s is known",
                       model->shape);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int by_line(const void *a, const void *b) {
    const struct book_finding *x = a;
    const struct book_finding *y = b;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    int c = strcmp(x->rule, y->rule);
    return c ? c : strcmp(x->words, y->words);
}

struct book_finding *book_lint(const struct book *b, int64_t now_ns, int *n) {
    struct book_lint l = {.b = b, .now_ns = now_ns};
    check_sources(&l);
    check_rows(&l);
    check_plans(&l);
    for (int m = 0; m < b->models; m++) {
        check_model(&l, m);
        book_lint_prices(&l, m);
    }
    book_lint_ratios(&l);
    if (l.n)
        qsort(l.found, l.n, sizeof *l.found, by_line);
    *n = (int)l.n;
    return l.found;
}
