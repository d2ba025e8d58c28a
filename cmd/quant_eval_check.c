/* quant_eval_check.c - what is concluded from the figures of llm-quant eval: conditions that must
 * hold, and which models nothing else beats in size and divergence */
#include "cmd/quant_eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"
#include "lib/base/num.h"

/* ---- conditions --------------------------------------------------------------------------- */

struct condition {
    int column;
    int less, equal;            /* < or >, with = or without */
    double limit;
};

struct eval_check {
    struct condition *condition;
    int n;
};

static int is_number(const struct field *f) {
    return f->decimals >= 0 || f->decimals == FIELD_COUNT;
}

static int find_column(const char *name) {
    for (int i = 0; i < EVAL_COLUMNS; i++)
        if (!strcmp(eval_columns[i].name, name) && is_number(&eval_columns[i]))
            return i;
    usage_die("--check: '%s': expected a column with numbers, such as kl_mean or top1_agree", name);
}

/* "kl_mean<0.05" */
static struct condition parse_condition(char *text) {
    struct condition c = {0};
    size_t name = strcspn(text, "<>");
    if (!name || !text[name])
        usage_die("--check: '%s': expected NAME<NUMBER, or <=, > or >=", text);
    char *rest = text + name + 1;
    c.less = text[name] == '<';
    c.equal = *rest == '=';
    if (num_float(rest + c.equal, -1e300, 1e300, &c.limit))
        usage_die("--check: '%s': expected a number behind %c%s", text, text[name],
                  c.equal ? "=" : "");
    text[name] = '\0';
    c.column = find_column(text);
    return c;
}

struct eval_check *eval_check_parse(char *text) {
    struct eval_check *c = mem_alloc(sizeof *c);
    char **part = arg_list(text, &c->n);
    c->condition = mem_array((size_t)c->n, sizeof *c->condition);
    for (int i = 0; i < c->n; i++)
        c->condition[i] = parse_condition(part[i]);
    free(part);
    return c;
}

void eval_check_free(struct eval_check *c) {
    if (c)
        free(c->condition);
    free(c);
}

static int holds(const struct condition *c, double x) {
    if (c->equal && x == c->limit)
        return 1;
    return c->less ? x < c->limit : x > c->limit;
}

int eval_check_judge(const struct eval_options *o, const struct eval_check *check,
                     const struct eval_file *f) {
    int failed = 0;
    int unknown = 0;
    for (int i = 0; i < o->files; i++) {
        struct value v[EVAL_COLUMNS];
        eval_values(o, &f[i], v);
        for (int k = 0; k < check->n; k++) {
            const struct condition *c = &check->condition[k];
            const struct field *column = &eval_columns[c->column];
            double x = column->decimals == FIELD_COUNT ? (double)v[c->column].count
                                                       : v[c->column].number;
            if (isnan(x)) {
                warn("--check: %s: no %s here", f[i].path, column->name);
                unknown++;
            } else if (!holds(c, x)) {
                warn("--check: %s: %s is %.6g, not %c%s %g", f[i].path, column->name, x,
                     c->less ? '<' : '>', c->equal ? "=" : "", c->limit);
                failed++;
            }
        }
    }
    return failed ? EXIT_CHECK : unknown ? EXIT_NOTHING : EXIT_DONE;
}

/* ---- the Pareto front ----------------------------------------------------------------------- */

void eval_mark_front(const struct eval_options *o, struct eval_file *f) {
    for (int i = 0; i < o->files; i++) {
        f[i].front = isfinite(f[i].sum.kl.mean) && f[i].bpw >= 0;
        for (int k = 0; k < o->files && f[i].front; k++) {
            int no_worse = f[k].bpw <= f[i].bpw && f[k].sum.kl.mean <= f[i].sum.kl.mean;
            int better = f[k].bpw < f[i].bpw || f[k].sum.kl.mean < f[i].sum.kl.mean;
            f[i].front = !(no_worse && better);
        }
    }
}

static int by_kl(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A file without folder and ending. */
static char *short_name(const char *path) {
    const char *slash = strrchr(path, '/');
    char *name = mem_strdup(slash ? slash + 1 : path);
    arg_take_off(name, ".gguf");
    return name;
}

/* Sizes against the logarithm of the divergence: these go over decades. */
void eval_draw(const struct eval_options *o, const struct eval_file *f) {
    if (!o->plot || !o->files)
        return;
    struct plot_series *s = mem_array((size_t)o->files + 1, sizeof *s);
    double (*front)[2] = mem_array((size_t)o->files, sizeof *front);
    double *x = mem_array((size_t)o->files, sizeof *x);
    double *y = mem_array((size_t)o->files, sizeof *y);
    size_t n = 0;
    for (int i = 0; i < o->files; i++) {
        if (f[i].front) {
            front[n][0] = f[i].sum.kl.mean;
            front[n++][1] = f[i].bpw;
        }
        s[i + 1] = (struct plot_series){short_name(f[i].path), &f[i].sum.kl.mean, &f[i].bpw, 1};
    }
    qsort(front, n, sizeof *front, by_kl);
    for (size_t i = 0; i < n; i++) {
        x[i] = front[i][0];
        y[i] = front[i][1];
    }
    s[0] = (struct plot_series){"Pareto front", x, y, n};
    plot_lines(o->plot, &(struct plot_labels){.title = "Size and divergence", .log_x = 1,
                                              .x = "mean KL divergence, nats",
                                              .y = "bits per weight"}, s, o->files + 1);
    for (int i = 0; i < o->files; i++)
        free((char *)(uintptr_t)s[i + 1].name);
    free(s);
    free(front);
    free(x);
    free(y);
}
