/* scores_table.c - all of an input of scores in memory, and embeddings; see scores.h
 *
 * Columns grow together: all of them have room for cap requests.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/npy.h"
#include "lib/route/scores_impl.h"

#define FIRST_CAP 1024

struct table {
    struct scores *s;
    size_t cap;
};

static void fill_nan(double *x, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        x[i] = NAN;
}

static void grow_doubles(double **x, size_t n, size_t cap) {
    *x = mem_grow(*x, cap ? cap : 1, sizeof **x);
    fill_nan(*x, n, cap);
}

static void grow_model(struct scores_model *m, size_t n, size_t cap) {
    grow_doubles(&m->score, n, cap);
    grow_doubles(&m->usd, n, cap);
    grow_doubles(&m->output_tokens, n, cap);
    grow_doubles(&m->response_chars, n, cap);
}

static void grow(struct table *t) {
    struct scores *s = t->s;
    t->cap = t->cap ? 2 * t->cap : FIRST_CAP;
    for (int m = 0; m < s->models; m++)
        grow_model(&s->model[m], s->n, t->cap);
    for (int c = 0; c < s->columns; c++)
        grow_doubles(&s->column[c], s->n, t->cap);
    grow_doubles(&s->input_tokens, s->n, t->cap);
    grow_doubles(&s->cached_tokens, s->n, t->cap);
    grow_doubles(&s->prompt_chars, s->n, t->cap);
    s->prompt_hash = mem_grow(s->prompt_hash, t->cap, sizeof *s->prompt_hash);
    s->part = mem_grow(s->part, t->cap, sizeof *s->part);
    s->record = mem_grow(s->record, t->cap, sizeof *s->record);
    if (s->dim)
        s->embedding = mem_grow(s->embedding, t->cap, s->dim * sizeof *s->embedding);
}

static void add_models(struct table *t, const struct scores_reader *r) {
    struct scores *s = t->s;
    while (s->models < scores_models(r)) {
        s->model = mem_grow(s->model, (size_t)s->models + 1, sizeof *s->model);
        struct scores_model *m = &s->model[s->models];
        *m = (struct scores_model){.name = mem_strdup(scores_model_name(r, s->models))};
        grow_model(m, 0, t->cap);
        s->models++;
    }
}

/* The first record that has one says how long all are. Records without have NaN. */
static int add_embedding(struct table *t, const struct scores_reader *r,
                         const struct scores_row *row, struct err *err) {
    struct scores *s = t->s;
    if (!s->dim && row->dim) {
        s->dim = row->dim;
        s->embedding = mem_array(t->cap, s->dim * sizeof *s->embedding);
        for (size_t i = 0; i < s->n * s->dim; i++)
            s->embedding[i] = NAN;
    }
    if (row->dim && row->dim != s->dim)
        return err_set(err, "%s:%lld: expected an embedding of %zu numbers as before, found %zu",
                       r->name, (long long)row->line, s->dim, row->dim);
    for (size_t k = 0; k < s->dim; k++)
        s->embedding[s->n * s->dim + k] = row->dim ? row->embedding[k] : NAN;
    return 0;
}

static int add_row(struct table *t, const struct scores_reader *r, const struct scores_row *row,
                   struct err *err) {
    struct scores *s = t->s;
    if (s->n == t->cap)
        grow(t);
    add_models(t, r);
    if (add_embedding(t, r, row, err))
        return -1;
    size_t i = s->n;
    for (int m = 0; m < s->models; m++) {
        s->model[m].score[i] = row->answer[m].score;
        s->model[m].usd[i] = row->answer[m].usd;
        s->model[m].output_tokens[i] = row->answer[m].output_tokens;
        s->model[m].response_chars[i] = row->answer[m].response_chars;
    }
    for (int c = 0; c < s->columns; c++)
        s->column[c][i] = row->column[c];
    int has_prompt = row->prompt.data != NULL;
    s->input_tokens[i] = row->input_tokens;
    s->cached_tokens[i] = row->cached_tokens;
    s->prompt_chars[i] = has_prompt ? scores_chars(row->prompt.data, row->prompt.len) : NAN;
    s->prompt_hash[i] = has_prompt ? scores_hash(row->prompt.data, row->prompt.len) : 0;
    s->part[i] = (uint8_t)row->part;
    s->record[i] = row->record;
    s->n++;
    return 0;
}

/* Of JSON Lines only the end tells whether any record has a column. */
static int check_columns(const struct scores_reader *r, struct err *err) {
    for (int c = 0; c < r->opt.columns && !r->header && r->records; c++)
        if (!r->seen[c])
            return err_set(err, "%s: expected a field '%s', found none in %lld records", r->name,
                           r->opt.column[c], (long long)r->records);
    return 0;
}

struct scores *scores_read(const char *path, const struct scores_options *opt, struct err *err) {
    struct scores_reader *r = scores_open(path, opt, err);
    struct scores_row row;
    int rc;
    if (!r)
        return NULL;
    struct table t = {.s = mem_alloc(sizeof(struct scores))};
    t.s->columns = opt->columns;
    t.s->column = mem_array((size_t)opt->columns + 1, sizeof *t.s->column);
    while ((rc = scores_next(r, &row, err)) == 1)
        if (add_row(&t, r, &row, err)) {
            rc = -1;
            break;
        }
    add_models(&t, r);
    t.s->records = r->records;
    t.s->excluded = r->excluded;
    t.s->guessed = r->guessed;
    if (rc == 0)
        rc = check_columns(r, err);
    scores_close(r);
    if (rc == 0)
        return t.s;
    scores_free(t.s);
    return NULL;
}

int scores_find_model(const struct scores *s, const char *name) {
    for (int m = 0; m < s->models; m++)
        if (!strcmp(s->model[m].name, name))
            return m;
    return -1;
}

double scores_mean(const double *x, size_t n) {
    double sum = 0;
    double known = 0;
    for (size_t i = 0; i < n; i++) {
        sum += isnan(x[i]) ? 0 : x[i];
        known += !isnan(x[i]);
    }
    return known > 0 ? sum / known : NAN;
}

/* ---- embeddings from .npy --------------------------------------------------------------- */

/* Rows of the next array, of which those of records that were kept are taken. at: in s. */
static int take_array(struct scores *s, struct npy_reader *npy, const char *path, int64_t *row,
                      size_t *at, struct err *err) {
    int64_t rows = npy->dims == 1 ? 1 : npy->shape[0];
    int64_t dim = npy->dims == 1 ? npy->shape[0] : npy->shape[1];
    if (npy->dims < 1 || npy->dims > 2 || dim < 1)
        return err_set(err, "%s: expected an array [requests, numbers], found %d dimensions", path,
                       npy->dims);
    if (!s->dim) {
        s->dim = (size_t)dim;
        s->embedding = mem_array(s->n, s->dim * sizeof *s->embedding);
    }
    if ((size_t)dim != s->dim)
        return err_set(err, "%s: array %lld: expected rows of %zu numbers as before, found %lld",
                       path, (long long)npy->number, s->dim, (long long)dim);
    float *skip = mem_array(s->dim, sizeof *skip);
    int rc = 0;
    for (int64_t i = 0; i < rows && rc == 0; i++, ++*row) {
        int kept = *at < s->n && s->record[*at] == *row;
        rc = npy_read_floats(npy, kept ? s->embedding + (*at)++ * s->dim : skip, s->dim, err);
    }
    free(skip);
    return rc;
}

int scores_read_embeddings(struct scores *s, const char *path, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    int64_t row = 0;
    size_t at = 0;
    int rc;
    if (!z)
        return -1;
    free(s->embedding);
    s->embedding = NULL;
    s->dim = 0;
    struct npy_reader npy = {.z = z};
    while ((rc = npy_read_header(&npy, err)) == 1)
        if (take_array(s, &npy, zio_name(z), &row, &at, err)) {
            rc = -1;
            break;
        }
    if (rc == 0 && row != s->records)
        rc = err_set(err, "%s: expected %lld rows, a request each, found %lld", zio_name(z),
                     (long long)s->records, (long long)row);
    zio_abort(z);
    return rc;
}

/* ---- some of them ----------------------------------------------------------------------- */

static void keep_doubles(double *x, const uint8_t *keep, size_t n) {
    for (size_t i = 0, to = 0; i < n; i++)
        if (keep[i])
            x[to++] = x[i];
}

void scores_keep(struct scores *s, const uint8_t *keep) {
    size_t to = 0;
    for (int m = 0; m < s->models; m++) {
        keep_doubles(s->model[m].score, keep, s->n);
        keep_doubles(s->model[m].usd, keep, s->n);
        keep_doubles(s->model[m].output_tokens, keep, s->n);
        keep_doubles(s->model[m].response_chars, keep, s->n);
    }
    for (int c = 0; c < s->columns; c++)
        keep_doubles(s->column[c], keep, s->n);
    keep_doubles(s->input_tokens, keep, s->n);
    keep_doubles(s->cached_tokens, keep, s->n);
    keep_doubles(s->prompt_chars, keep, s->n);
    for (size_t i = 0; i < s->n; i++) {
        if (!keep[i])
            continue;
        s->prompt_hash[to] = s->prompt_hash[i];
        s->part[to] = s->part[i];
        s->record[to] = s->record[i];
        if (s->dim)
            memmove(s->embedding + to * s->dim, s->embedding + i * s->dim,
                    s->dim * sizeof *s->embedding);
        to++;
    }
    s->n = to;
}

void scores_free(struct scores *s) {
    if (!s)
        return;
    for (int m = 0; m < s->models; m++) {
        free(s->model[m].name);
        free(s->model[m].score);
        free(s->model[m].usd);
        free(s->model[m].output_tokens);
        free(s->model[m].response_chars);
    }
    for (int c = 0; c < s->columns; c++)
        free(s->column[c]);
    free(s->model);
    free(s->column);
    free(s->input_tokens);
    free(s->cached_tokens);
    free(s->prompt_chars);
    free(s->prompt_hash);
    free(s->part);
    free(s->record);
    free(s->embedding);
    free(s);
}
