/* book.c - a price book from its text: line by line, then as a whole; see book.h */
#include "lib/cost/book_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/sha256.h"
#include "lib/format/zio.h"

#define BOOK_BYTES ((size_t)1 << 30)
#define BOOK_ROWS 16000000      /* rows, and models */

/* ---- statements ------------------------------------------------------------------------------ */

static int read_statement(struct book_reader *r) {
    static const struct {
        const char *name;
        int (*read)(struct book_reader *r);
    } statements[] = {{"price", book_read_price}, {"model", book_read_model},
                      {"factor", book_read_factor}, {"source", book_read_source},
                      {"plan", book_read_plan}, {"window", book_read_window},
                      {"capacity", book_read_capacity}, {"gpu", book_read_gpu},
                      {"book", book_read_head}};
    if (!r->fields)
        return 0;
    if (!r->words)
        return book_bad(r, "expected a statement, found the key '%.40s'", r->field[0].key);
    r->statement = r->field[0].text;
    if (!r->b->name && strcmp(r->statement, "book"))
        return book_bad(r, "expected 'book NAME' as the first statement, found '%.40s'",
                        r->statement);
    if (r->b->rows == BOOK_ROWS || r->b->models == BOOK_ROWS)
        return book_bad(r, "expected at most %d rows and models", BOOK_ROWS);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (!strcmp(r->statement, statements[i].name))
            return statements[i].read(r);
    return book_bad(r, "expected book, source, model, price, factor, plan, window, capacity or gpu,"
                       " found '%.40s'", r->statement);
}

static int read_lines(struct book_reader *r, const char *text, size_t len) {
    const char *end = text + len;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))         /* a byte order mark */
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = newline ? (size_t)(newline - text) : (size_t)(end - text);
        r->line++;
        if (book_split(r, text, n) || read_statement(r))
            return -1;
        text += n + 1;
    }
    if (!r->b->name)
        return err_set(r->err, "%s: expected a price book, which begins with 'book NAME', found %s",
                       r->b->path, r->line ? "no statement" : "nothing");
    return 0;
}

static int needs_active(struct err *err, const struct book *b, const struct book_row *r, int m) {
    if (b->model[m].active)
        return 0;
    return err_set(err, "%s:%d: expected models with active=PARAMETERS, found %s of line %d "
                   "without", b->path, r->line, b->model[m].name, b->model[m].line);
}

/* What a model activates must be said where it is paid for: it is not nothing. */
static int check_active(const struct book *b, struct err *err) {
    for (int i = 0; i < b->rows; i++) {
        const struct book_row *r = &b->row[i];
        if (r->per != BOOK_PER_ACTIVE || r->factor)
            continue;
        for (int m = r->model < 0 ? 0 : r->model; m < b->models; m++) {
            if (needs_active(err, b, r, m))
                return -1;
            if (r->model >= 0)
                break;
        }
    }
    return 0;
}

/* Nobody bills by activated parameters or reasoning units: a book that does must say so. */
static int check_declared(const struct book *b, struct err *err) {
    for (int i = 0; i < b->rows && !b->counterfactual; i++) {
        const struct book_row *r = &b->row[i];
        if (!r->factor && (r->per == BOOK_PER_ACTIVE || r->per == BOOK_PER_UNIT))
            return err_set(err, "%s:%d: expected counterfactual=yes of a book with per=%s, found "
                           "no such declaration", b->path, r->line,
                           r->per == BOOK_PER_ACTIVE ? "active" : "unit");
    }
    return 0;
}

struct book *book_parse(const char *path, const char *text, size_t len, struct err *err) {
    struct book *b = mem_alloc(sizeof *b);
    struct book_reader r = {.b = b, .err = err};
    struct sha256 sum;
    b->path = mem_strdup(path);
    b->observed_ns = BOOK_ALWAYS;
    b->index = mem_alloc(sizeof(struct book_index));
    book_add_word(b, "standard");
    int rc = read_lines(&r, text, len);
    free(r.scratch);
    if (rc || book_check_rows(b, err) || check_active(b, err) || check_declared(b, err)) {
        book_free(b);
        return NULL;
    }
    book_index_rows(b);
    sha256_init(&sum);
    sha256_add(&sum, text, len);
    sha256_hex(&sum, b->sha256);
    return b;
}

/* ---- books by name or file ------------------------------------------------------------------- */

static int read_all(const char *path, struct buf *out, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    ssize_t n = 1;
    if (!z)
        return -1;
    while (n > 0 && out->len <= BOOK_BYTES) {
        buf_reserve(out, 65536);
        n = zio_read(z, out->data + out->len, 65536, err);
        out->len += n > 0 ? (size_t)n : 0;
    }
    if (n > 0)
        n = err_set(err, "%s: expected a price book of at most %zu bytes, found more",
                    zio_name(z), BOOK_BYTES);
    return zio_close(z, n < 0 ? NULL : err) || n < 0 ? -1 : 0;
}

struct book *book_find(const char *spec, struct err *err) {
    struct buf text = {0};
    struct book *b = NULL;
    size_t len;
    const char *shipped = book_text(spec, &len);
    if (shipped)
        return book_parse(spec, shipped, len, err);
    if (!read_all(spec, &text, err))
        b = book_parse(strcmp(spec, "-") ? spec : "stdin", text.data ? text.data : "", text.len,
                       err);
    buf_free(&text);
    return b;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void free_models(struct book *b) {
    for (int i = 0; i < b->models; i++) {
        struct book_model *m = &b->model[i];
        for (int k = 0; k < m->aliases; k++)
            free(m->alias[k]);
        free(m->alias);
        free(m->name);
        free(m->provider);
        free(m->shape);
    }
    free(b->model);
}

static void free_rest(struct book *b) {
    for (int i = 0; i < b->words; i++)
        free(b->word[i]);
    for (int i = 0; i < b->sources; i++) {
        free(b->source[i].name);
        free(b->source[i].url);
        free(b->source[i].title);
        free(b->source[i].confidence);
    }
    for (int i = 0; i < b->plans; i++)
        free(b->plan[i].name);
    for (int i = 0; i < b->capacities; i++)
        free(b->capacity[i].name);
    for (int i = 0; i < b->gpus; i++) {
        free(b->gpu[i].device);
        free(b->gpu[i].provider);
    }
    free(b->word);
    free(b->source);
    free(b->plan);
    free(b->capacity);
    free(b->gpu);
    free(b->row);
}

void book_free(struct book *b) {
    if (!b)
        return;
    struct book_index *x = b->index;
    free_models(b);
    free_rest(b);
    free(x->models.slot);
    free(x->words.slot);
    free(x->sources.slot);
    free(x->plans.slot);
    free(x->rows);
    free(x->first);
    free(x);
    free(b->path);
    free(b->name);
    free(b->title);
    free(b);
}
