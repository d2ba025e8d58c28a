/* routed_where.c - conditions "column=value,value" of rows of tokens and of tables */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

/* ---- reading them ----------------------------------------------------------------------- */

/* The number that s begins with, which `end` ends: 0, or -1 when it is none. */
static int take_number(const char *s, char **end, double *out) {
    if (!strchr("+-.0123456789", *s) || !*s)
        return -1;
    *out = strtod(s, end);
    return *end == s || !isfinite(*out) ? -1 : 0;
}

/* "7" is from 7 to 7, "10-19" from 10 to 19, anything else is a text alone. */
static void set_value(struct routed_value *v, const char *text, size_t len) {
    char *end;
    double low;
    double high;
    v->text = mem_strndup(text, len);
    v->low = 1;
    v->high = 0;
    if (take_number(v->text, &end, &low))
        return;
    high = low;
    if (*end == '-' && take_number(end + 1, &end, &high))
        return;
    if (*end)
        return;
    v->low = low;
    v->high = high;
}

static int set_cond(struct routed_cond *c, const char *text, struct err *err) {
    const char *equal = strchr(text, '=');
    if (!equal || equal == text)
        return err_set(err, "where: expected COLUMN=VALUE[,VALUE]..., found '%s'", text);
    c->column = mem_strndup(text, (size_t)(equal - text));
    for (const char *s = equal + 1;; s++) {
        size_t len = strcspn(s, ",");
        c->value = mem_grow(c->value, (size_t)c->values + 1, sizeof *c->value);
        set_value(&c->value[c->values++], s, len);
        s += len;
        if (!*s)
            return 0;
    }
}

struct routed_where *routed_where_new(const char *const *text, int n, struct err *err) {
    struct routed_where *w = mem_alloc(sizeof *w);
    w->cond = mem_array((size_t)n + 1, sizeof *w->cond);
    for (w->conds = 0; w->conds < n; w->conds++) {
        if (set_cond(&w->cond[w->conds], text[w->conds], err)) {
            w->conds++;
            routed_where_free(w);
            return NULL;
        }
    }
    return w;
}

void routed_where_free(struct routed_where *w) {
    if (!w)
        return;
    for (int i = 0; i < w->conds; i++) {
        for (int k = 0; k < w->cond[i].values; k++)
            free(w->cond[i].value[k].text);
        free(w->cond[i].value);
        free(w->cond[i].column);
    }
    routed_labels_free(w->labels);
    free(w->cond);
    free(w);
}

/* ---- columns of tokens ------------------------------------------------------------------ */

static const char *const phases[] = {[TRACE_PREFILL] = "prefill", [TRACE_DECODE] = "decode"};

static int bind_numbers(const struct routed_cond *c, struct err *err) {
    for (int i = 0; i < c->values; i++)
        if (c->value[i].low > c->value[i].high)
            return err_set(err, "where: %s: expected a number or a range as in 10-19, found '%s'",
                           c->column, c->value[i].text);
    return 0;
}

static int bind_phases(struct routed_cond *c, struct err *err) {
    for (int i = 0; i < c->values; i++) {
        struct routed_value *v = &c->value[i];
        int phase = !strcmp(v->text, phases[TRACE_DECODE]);
        if (strcmp(v->text, phases[phase]))
            return err_set(err, "where: phase: expected prefill or decode, found '%s'", v->text);
        v->low = v->high = phase;
    }
    return 0;
}

static int bind_label(struct routed_cond *c, const struct routed_labels *l, struct err *err) {
    struct buf known = {0};
    c->what = ROUTED_LABEL;
    c->label = l ? routed_labels_column(l, c->column) : -1;
    if (c->label >= 0)
        return 0;
    for (int i = 0; l && i < routed_labels_columns(l); i++)
        buf_printf(&known, ", %s", routed_labels_name(l, i));
    err_set(err, "where: expected a column of request, step, position, phase%s, found '%s'%s",
            known.data ? known.data : "", c->column, l ? "" : " (other columns need labels)");
    buf_free(&known);
    return -1;
}

int routed_where_bind(struct routed_where *w, const char *labels, struct err *err) {
    static const char *const numbers[] = {"request", "step", "position"};
    if (labels && !(w->labels = routed_labels_read(labels, err)))
        return -1;
    for (int i = 0; i < w->conds; i++) {
        struct routed_cond *c = &w->cond[i];
        int rc = 0;
        for (c->what = ROUTED_REQUEST; c->what < ROUTED_PHASE; c->what++)
            if (!strcmp(c->column, numbers[c->what]))
                break;
        if (c->what < ROUTED_PHASE)
            rc = bind_numbers(c, err);
        else if (!strcmp(c->column, "phase"))
            rc = bind_phases(c, err);
        else
            rc = bind_label(c, w->labels, err);
        if (rc)
            return -1;
    }
    return 0;
}

/* ---- asking ----------------------------------------------------------------------------- */

static int holds_number(const struct routed_cond *c, double x) {
    for (int i = 0; i < c->values; i++)
        if (x >= c->value[i].low && x <= c->value[i].high)
            return 1;
    return 0;
}

int routed_cond_text(const struct routed_cond *c, const char *text) {
    char *end;
    double x;
    for (int i = 0; i < c->values; i++)
        if (!strcmp(text, c->value[i].text))
            return 1;
    return take_number(text, &end, &x) == 0 && !*end && holds_number(c, x);
}

static int holds_labels(struct routed_where *w, uint32_t request) {
    if (w->known && w->request == request)
        return w->holds;
    w->known = 1;
    w->request = request;
    w->holds = 1;
    for (int i = 0; i < w->conds && w->holds; i++) {
        const struct routed_cond *c = &w->cond[i];
        if (c->what != ROUTED_LABEL)
            continue;
        const char *text = routed_labels_value(w->labels, request, c->label);
        w->holds = text && routed_cond_text(c, text);
    }
    return w->holds;
}

int routed_where_row(struct routed_where *w, const struct routed_rows *rows, int64_t row) {
    for (int i = 0; i < w->conds; i++) {
        const struct routed_cond *c = &w->cond[i];
        int holds = 1;
        switch (c->what) {
        case ROUTED_REQUEST: holds = holds_number(c, rows->request[row]); break;
        case ROUTED_STEP: holds = holds_number(c, rows->step[row]); break;
        case ROUTED_POSITION: holds = holds_number(c, rows->position[row]); break;
        case ROUTED_PHASE: holds = holds_number(c, rows->phase[row]); break;
        case ROUTED_LABEL: holds = holds_labels(w, rows->request[row]); break;
        }
        if (!holds)
            return 0;
    }
    return 1;
}
