/* book_lint_ratios.c - a model's ratios of prices beside those of its provider, see book_lint.h
 *
 * What a read, a write, an output costs against input is much the same for all models of a
 * provider, while the prices themselves are not. A ratio that is ten times off the median is a
 * wrong unit or a slipped point.
 */
#include "lib/cost/book_lint_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define OFF 10
#define FEWEST 3                        /* models of a provider */

struct ratio {
    const char *provider;
    int kind, line, model;
    double value;
};

/* The price of a kind that needs no selector, the last that is there; NULL. */
static const struct book_row *plain(const struct book *b, int model, int kind) {
    const struct book_row *found = NULL;
    int n;
    const int *row = book_rows_of(b, model, &n);
    for (int i = 0; i < n; i++) {
        const struct book_row *r = &b->row[row[i]];
        if (!r->factor && r->model == model && r->kind == kind && r->per == BOOK_PER_MTOK &&
            !book_selectors(&r->when) && r->when.above < 0)
            found = r;
    }
    return found;
}

static int by_provider(const void *a, const void *b) {
    const struct ratio *x = a;
    const struct ratio *y = b;
    int c = strcmp(x->provider, y->provider);
    c = c ? c : x->kind - y->kind;
    c = c ? c : (x->value > y->value) - (x->value < y->value);
    return c ? c : x->line - y->line;
}

static int collect(const struct book *b, struct ratio *out) {
    static const int kinds[] = {USAGE_READ, USAGE_WRITE, USAGE_OUTPUT};
    int n = 0;
    for (int m = 0; m < b->models; m++) {
        const struct book_row *in = b->model[m].provider ? plain(b, m, USAGE_INPUT) : NULL;
        for (int k = 0; in && in->rate && k < 3; k++) {
            const struct book_row *r = plain(b, m, kinds[k]);
            if (r && r->rate)
                out[n++] = (struct ratio){b->model[m].provider, kinds[k], r->line, m,
                                          (double)r->rate / (double)in->rate};
        }
    }
    return n;
}

static void judge(struct book_lint *l, const struct ratio *r, int n) {
    double median = n % 2 ? r[n / 2].value : (r[n / 2 - 1].value + r[n / 2].value) / 2;
    for (int i = 0; n >= FEWEST && i < n; i++)
        if (r[i].value > OFF * median || r[i].value < median / OFF)
            book_lint_warn(l, r[i].line, "siblings", "%.80s: %s is %.4g times input, for models "
                           "of %.40s %.4g times", book_lint_name(l->b, r[i].model),
                           usage_kind_names()[r[i].kind], r[i].value, r[i].provider, median);
}

void book_lint_ratios(struct book_lint *l) {
    struct ratio *r = mem_array(3 * (size_t)l->b->models + 1, sizeof *r);
    int n = collect(l->b, r);
    qsort(r, (size_t)n, sizeof *r, by_provider);
    for (int i = 0; i < n;) {
        int k = i;
        while (k < n && r[k].kind == r[i].kind && !strcmp(r[k].provider, r[i].provider))
            k++;
        judge(l, r + i, k - i);
        i = k;
    }
    free(r);
}
