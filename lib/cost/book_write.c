/* book_write.c - a price book as text, whole or as of a day, see book.h */
#include "lib/cost/book.h"

#include <stdlib.h>

/* Valid then; hours and days of the week stay what they are. */
static int is_valid(int64_t from_ns, int64_t to_ns, int64_t at_ns) {
    return at_ns == USAGE_NO_TIME || (from_ns <= at_ns && at_ns < to_ns);
}

static void add_line(struct buf *out, char *text) {
    buf_adds(out, text);
    buf_addc(out, '\n');
    free(text);
}

/* Of a day there is no before and after. */
static void flatten(int64_t at_ns, int64_t *from_ns, int64_t *to_ns) {
    if (at_ns == USAGE_NO_TIME)
        return;
    *from_ns = BOOK_ALWAYS;
    *to_ns = BOOK_NEVER;
}

/* An empty line before the first of several. */
static void begin(struct buf *out, int *n) {
    if (!(*n)++)
        buf_addc(out, '\n');
}

static void write_row(const struct book *b, int i, int64_t at_ns, int *n, struct buf *out) {
    struct book_row r = b->row[i];
    if (!is_valid(r.when.from_ns, r.when.to_ns, at_ns))
        return;
    begin(out, n);
    flatten(at_ns, &r.when.from_ns, &r.when.to_ns);
    add_line(out, book_row_text(b, &r));
}

static void write_models(const struct book *b, int64_t at_ns, struct buf *out) {
    for (int m = 0; m < b->models; m++) {
        int n;
        int written = 1;
        const int *row = book_rows_of(b, m, &n);
        buf_addc(out, '\n');
        add_line(out, book_model_text(b, &b->model[m]));
        for (int i = 0; i < n; i++)
            if (b->row[row[i]].model == m)
                write_row(b, row[i], at_ns, &written, out);
    }
}

static void write_stars(const struct book *b, int64_t at_ns, struct buf *out) {
    int n = 0;
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].model < 0)
            write_row(b, i, at_ns, &n, out);
}

static void write_plans(const struct book *b, int64_t at_ns, struct buf *out) {
    int n = 0;
    for (int i = 0; i < b->plans; i++) {
        struct book_plan p = b->plan[i];
        if (!is_valid(p.from_ns, p.to_ns, at_ns))
            continue;
        begin(out, &n);
        flatten(at_ns, &p.from_ns, &p.to_ns);
        add_line(out, book_plan_text(b, &p));
    }
    for (int i = 0; i < b->capacities; i++) {
        struct book_capacity c = b->capacity[i];
        if (!is_valid(c.from_ns, c.to_ns, at_ns))
            continue;
        begin(out, &n);
        flatten(at_ns, &c.from_ns, &c.to_ns);
        add_line(out, book_capacity_text(b, &c));
    }
    for (int i = 0; i < b->gpus; i++) {
        struct book_gpu g = b->gpu[i];
        if (!is_valid(g.from_ns, g.to_ns, at_ns))
            continue;
        begin(out, &n);
        flatten(at_ns, &g.from_ns, &g.to_ns);
        add_line(out, book_gpu_text(b, &g));
    }
}

void book_write(const struct book *b, int64_t at_ns, struct buf *out) {
    add_line(out, book_head_text(b));
    if (b->sources)
        buf_addc(out, '\n');
    for (int i = 0; i < b->sources; i++)
        add_line(out, book_source_text(&b->source[i]));
    write_models(b, at_ns, out);
    write_stars(b, at_ns, out);
    write_plans(b, at_ns, out);
}
