/* cost_price_merge.c - llm-cost price --merge: sums of earlier runs, added
 *
 * Rows are those of --by or --total as JSON, in any order, of any number of runs; all of one book
 * and with the same columns. Money is read as the decimals that it was written in.
 */
#include "cmd/cost_price.h"

#include <stdlib.h>
#include <string.h>

#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"

struct merge {
    struct price_options *o;
    struct price_sums *sums;    /* NULL before the first row */
    unsigned columns;           /* bits: by which the rows are */
    struct buf book, sha256;    /* of the first row */
    const char *path;
    int64_t line;
};

struct row {
    struct reqs_text by[BYS], usd, book, sha256;
    unsigned columns, seen;
    struct price_counts c;
};

static void bad(const struct merge *m, const char *what) __attribute__((noreturn));
static void bad(const struct merge *m, const char *what) {
    die("%s:%lld: %s", input_name(m->path), (long long)m->line, what);
}

/* ---- reading a row ------------------------------------------------------------------- */

/* Numbers above 2^53 are written as strings. */
static int take_count(struct json *j, int64_t *out) {
    struct reqs_text t;
    uint64_t v;
    if (json_text(j, &t) || json_id_of_number(t.data, t.len, &v) || v > INT64_MAX)
        return json_fail(j, "a count, 0 or more");
    *out = (int64_t)v;
    return 0;
}

static const char *const names[] = {"records", "unpriced", "fresh", "cached", "written", "output",
                                    "reasoning", "searches", "duration_ns", NULL};

static int64_t *count_of(struct row *r, int i) {
    int64_t *const counts[] = {&r->c.records, &r->c.unpriced, &r->c.fresh, &r->c.cached,
                               &r->c.written, &r->c.output, &r->c.reasoning, &r->c.searches,
                               &r->c.duration_ns};
    return counts[i];
}

static int find(const char *const *list, const struct reqs_text *key) {
    for (int i = 0; list[i]; i++)
        if (strlen(list[i]) == key->len && !memcmp(list[i], key->data, key->len))
            return i;
    return -1;
}

static int take_text(struct json *j, struct reqs_text *out) {
    return json_null(j) ? 0 : json_string(j, out);
}

static int take(struct json *j, const struct reqs_text *key, struct row *r) {
    static const char *const texts[] = {"usd", "book", "book_sha256", NULL};
    struct reqs_text *const to[] = {&r->usd, &r->book, &r->sha256};
    int i = find(price_by_names, key);
    if (i >= 0) {
        r->columns |= 1u << i;
        return take_text(j, &r->by[i]);
    }
    i = find(names, key);
    if (i >= 0) {
        r->seen |= 1u << i;
        return take_count(j, count_of(r, i));
    }
    i = find(texts, key);
    return i >= 0 ? take_text(j, to[i]) : json_skip(j);
}

static void read_row(struct merge *m, char *line, struct row *r) {
    struct json j = {line, NULL};
    struct reqs_text key;
    int first = 1;
    int rc = json_take(&j, '{') ? 1 : json_fail(&j, "a row of --by or --total as JSON");
    while (rc == 1 && (rc = json_member(&j, &first, &key)) == 1)
        rc = take(&j, &key, r) ? -1 : 1;
    if (rc < 0 || json_end(&j)) {
        char *words = mem_printf("expected %s", j.want);
        bad(m, words);
    }
    if (r->seen != (1u << 9) - 1 || !r->book.data || !r->sha256.data)
        bad(m, "expected a row of --by or --total as JSON: its counts and its book");
    if (r->c.unpriced > r->c.records)
        bad(m, "more records without a price than records");
    if (!r->usd.data && r->c.unpriced < r->c.records)
        bad(m, "records with a price, but no usd");
    if (r->usd.data && money_parse(r->usd.data, r->usd.len, &r->c.usd))
        bad(m, "usd: expected dollars with up to 12 decimals");
}

/* ---- adding -------------------------------------------------------------------------- */

/* The first row says by what all are, and --by which of that is kept. */
static void begin(struct merge *m, const struct row *r) {
    struct price_options *o = m->o;
    m->columns = r->columns;
    buf_add(&m->book, r->book.data, r->book.len);
    buf_add(&m->sha256, r->sha256.data, r->sha256.len);
    for (int i = 0; i < BYS && !o->sums; i++)
        if (r->columns & 1u << i)
            o->by[o->bys++] = (enum price_by)i;
    for (int i = 0; i < o->bys; i++)
        if (!(r->columns & 1u << o->by[i]))
            usage_die("--by: the rows have no column '%s'", price_by_names[o->by[i]]);
    m->sums = price_sums_new(o, o->by, o->bys);
}

static int same(const struct reqs_text *t, const struct buf *b) {
    return t->len == b->len && (!t->len || !memcmp(t->data, b->data, t->len));
}

static void add_row(struct merge *m, char *line) {
    struct row r = {.seen = 0};
    struct reqs_text text[BYS];
    read_row(m, line, &r);
    if (!m->sums)
        begin(m, &r);
    if (r.columns != m->columns)
        bad(m, "sums by other columns than those of the row before");
    if (!same(&r.sha256, &m->sha256))
        bad(m, "a sum under another book than the row before");
    for (int i = 0; i < m->o->bys; i++)
        text[i] = r.by[m->o->by[i]];
    price_sums_put(m->sums, text, &r.c);
}

static void read_file(struct merge *m, const char *path) {
    struct reqs_lines in;
    struct err e = {{0}};
    struct zio *z = zio_open_read(path, &e);
    char *line;
    int rc;
    if (!z)
        die_err(&e);
    reqs_lines_init(&in, z);
    m->path = path;
    while ((rc = reqs_lines_next(&in, &line, &e)) == 1) {
        m->line = in.number;
        if (line[strspn(line, " \t\r")] != '\n')
            add_row(m, line);
    }
    if (rc < 0)
        die_err(&e);
    reqs_lines_free(&in);
}

int price_merge(struct price_options *o, char *const *path, int n) {
    struct merge m = {.o = o};
    for (int i = 0; i < n; i++)
        read_file(&m, path[i]);
    if (!m.sums) {
        warn("no sums in it");
        return EXIT_NOTHING;
    }
    const struct price_counts all = price_sums_all(m.sums);
    price_sums_print(m.sums, m.book.data, m.sha256.data);
    price_sums_free(m.sums);
    buf_free(&m.book);
    buf_free(&m.sha256);
    if (!all.unpriced)
        return EXIT_DONE;
    warn("%lld of %lld records have no price", (long long)all.unpriced, (long long)all.records);
    return EXIT_NOTHING;
}
