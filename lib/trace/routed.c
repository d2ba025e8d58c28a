/* routed.c - which experts each token was sent to, see routed.h: open, sniff, rows that hold */
#include "lib/trace/routed.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

/* ---- the model -------------------------------------------------------------------------- */

static void make_arrays(struct routed_model *m) {
    size_t n = (size_t)m->layers + 1;   /* also of no layers there are arrays */
    m->layer_index = mem_array(n, sizeof *m->layer_index);
    m->expert_bytes = mem_array(n, sizeof *m->expert_bytes);
    m->dense_bytes = mem_array(n, sizeof *m->dense_bytes);
}

void routed_model_copy(struct routed_model *to, const struct routed_model *from) {
    size_t n = (size_t)from->layers;
    *to = *from;
    make_arrays(to);
    memcpy(to->layer_index, from->layer_index, n * sizeof *to->layer_index);
    memcpy(to->expert_bytes, from->expert_bytes, n * sizeof *to->expert_bytes);
    memcpy(to->dense_bytes, from->dense_bytes, n * sizeof *to->dense_bytes);
}

void routed_model_free(struct routed_model *m) {
    free(m->layer_index);
    free(m->expert_bytes);
    free(m->dense_bytes);
}

int routed_model_init(struct routed *r, int64_t layers, int64_t experts, int64_t k,
                      struct err *err) {
    struct routed_model *m = &r->model;
    if (layers < 1 || layers > ROUTED_LAYERS_MOST)
        return err_set(err, "%s: expected 1 to %d layers with experts, found %lld", r->name,
                       ROUTED_LAYERS_MOST, (long long)layers);
    if (k < 1 || k > ROUTED_EXPERTS_MOST || layers * k > ROUTED_PAIRS_MOST)
        return err_set(err, "%s: expected 1 to %d experts for a token in all layers, found "
                       "%lld layers of %lld", r->name, ROUTED_PAIRS_MOST, (long long)layers,
                       (long long)k);
    if (r->want_experts)
        experts = r->want_experts;
    if (experts < 0 || experts > ROUTED_EXPERTS_MOST || experts * layers > ROUTED_CELLS_MOST)
        return err_set(err, "%s: expected up to %d experts of a layer and %d in all, found %lld "
                       "in each of %lld layers", r->name, ROUTED_EXPERTS_MOST, ROUTED_CELLS_MOST,
                       (long long)experts, (long long)layers);
    m->layers = (int)layers;
    m->experts = (int)experts;
    m->k = (int)k;
    r->experts_known = experts > 0;
    make_arrays(m);
    for (int i = 0; i < m->layers; i++)
        m->layer_index[i] = i;
    return 0;
}

void routed_model_shape(struct routed *r) {
    const struct shape *s = r->shape;
    struct routed_model *m = &r->model;
    if (s && !*m->name)
        memcpy(m->name, s->name, sizeof m->name);
    for (int i = 0; s && i < m->layers; i++) {
        int at = m->layer_index[i];
        if (m->expert_bytes[i] > 0 || at >= s->layers || !s->layer[at].experts)
            continue;
        m->expert_bytes[i] = (double)s->expert_bytes[at];
        m->dense_bytes[i] = (double)s->dense_bytes[at];
    }
}

/* Eight ids at a time: in a loop of its own this is a fraction of the time to read them. */
typedef int16_t ids __attribute__((vector_size(16)));

static void range_of(const int16_t *id, size_t n, int *low, int *high) {
    ids least = {0};
    ids most = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        ids v;
        memcpy(&v, id + i, sizeof v);
        ids below = v < least;
        ids above = v > most;
        least = (v & below) | (least & ~below);
        most = (v & above) | (most & ~above);
    }
    for (int k = 0; k < 8; k++) {
        *low = least[k] < *low ? least[k] : *low;
        *high = most[k] > *high ? most[k] : *high;
    }
    for (; i < n; i++) {
        *low = id[i] < *low ? id[i] : *low;
        *high = id[i] > *high ? id[i] : *high;
    }
}

int routed_take_ids(struct routed *r, const int16_t *id, size_t n, size_t *bad) {
    int low = 0;
    int high = 0;
    int experts = r->experts_known ? r->model.experts : ROUTED_CELLS_MOST / r->model.layers;
    if (experts > ROUTED_EXPERTS_MOST)
        experts = ROUTED_EXPERTS_MOST;
    range_of(id, n, &low, &high);
    if (low < -1 || high >= experts) {
        for (*bad = 0; id[*bad] >= -1 && id[*bad] < experts;)
            ++*bad;
        return -1;
    }
    if (!r->experts_known && high >= r->model.experts)
        r->model.experts = high + 1;
    return 0;
}

#define PEEK_FIRST 16           /* "# route_trace" is not longer */
#define PEEK 4096

/* ---- opening ---------------------------------------------------------------------------- */

void routed_use_lines(struct routed *r) {
    reqs_lines_init(&r->lines, r->z);
    r->z = NULL;
}

/* An input without a byte, or of blanks alone: of a pipe whose writer had nothing to say. */
static int next_of_nothing(struct routed *r, struct routed_rows *out, struct err *err) {
    (void)r;
    (void)out;
    (void)err;
    return 0;
}

static void close_nothing(struct routed *r) {
    (void)r;
}

static const struct routed_format routed_nothing = {
    .kind = ROUTED_TOKENS, .next = next_of_nothing, .close = close_nothing};

/* Bytes from the start on, as many as show one that is no blank: how many there are, -1. *blanks
 * stand before it; where it is the end that was found, or PEEK bytes, all are. */
static ssize_t peek(struct routed *r, const char **s, ssize_t *blanks, struct err *err) {
    ssize_t n = zio_peek(r->z, PEEK_FIRST, s, err);
    ssize_t at = 0;
    while (at < n && isspace((unsigned char)(*s)[at]))
        if (++at == PEEK_FIRST)
            n = zio_peek(r->z, PEEK, s, err);
    *blanks = at;
    return n;
}

static const struct routed_format *sniff(struct routed *r, struct err *err) {
    static const char csv[] = "# route_trace";
    static const char zip[] = "PK\3\4";
    const char *s;
    ssize_t at;
    ssize_t n = peek(r, &s, &at, err);
    if (n < 0)
        return NULL;
    if (n >= 6 && !memcmp(s, "\x93NUMPY", 6))
        return &routed_npy;
    if (n >= (ssize_t)sizeof csv - 1 && !memcmp(s, csv, sizeof csv - 1))
        return &routed_csv;
    if (at == n)
        return n < PEEK ? &routed_nothing : &routed_table;
    int is_zip = n >= 4 && !memcmp(s, zip, sizeof zip - 1);
    if (!iscntrl((unsigned char)s[at]) && !is_zip)
        return s[at] == '{' ? &routed_json : &routed_table;
    err_set(err, "%s: expected routes (.npy, CSV, JSON Lines, a count table), found %s", r->name,
            is_zip ? "a zip archive (.npz, .pt)" : "other bytes");
    return NULL;
}

static int open_format(struct routed *r, const struct routed_options *opt, struct err *err) {
    if (r->format->kind == ROUTED_COUNTS && opt->labels)
        return err_set(err, "%s: expected routes of tokens to go with labels, found a count "
                       "table, which has no requests", r->name);
    if (r->format->kind == ROUTED_TOKENS && routed_where_bind(r->where, opt->labels, err))
        return -1;
    return r->format->open(r, err);
}

static int prepare(struct routed *r, const struct routed_options *opt, struct err *err) {
    r->want_experts = opt->experts;
    r->shape = opt->shape;
    r->where = routed_where_new(opt->where, opt->wheres, err);
    if (!r->where)
        return -1;
    r->format = sniff(r, err);
    if (!r->format)
        return -1;
    if (r->format != &routed_nothing && open_format(r, opt, err))
        return -1;              /* columns of nothing are not known */
    if (!r->model.layers)
        make_arrays(&r->model);
    routed_model_shape(r);
    return 0;
}

struct routed *routed_open(const char *path, const struct routed_options *opt, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    if (!z)
        return NULL;
    struct routed *r = mem_alloc(sizeof *r);
    r->name = mem_strdup(zio_name(z));
    r->z = z;
    if (prepare(r, opt, err) == 0)
        return r;
    routed_close(r);
    return NULL;
}

void routed_close(struct routed *r) {
    if (!r)
        return;
    if (r->format)
        r->format->close(r);
    if (r->z)
        zio_abort(r->z);
    else
        reqs_lines_free(&r->lines);
    routed_where_free(r->where);
    free(r->frame.keep);
    routed_model_free(&r->model);
    free(r->name);
    free(r);
}

enum routed_kind routed_kind(const struct routed *r) {
    return r->format->kind;
}

const struct routed_model *routed_model(const struct routed *r) {
    return &r->model;
}

int64_t routed_bytes(const struct routed *r) {
    return r->z ? r->bytes : r->lines.bytes;
}

const char *routed_name(const struct routed *r) {
    return r->name;
}

/* ---- rows ------------------------------------------------------------------------------- */

static struct routed_rows rows_from(const struct routed_rows *b, int64_t from, int64_t n) {
    return (struct routed_rows){
        .n = n, .expert = b->expert + (size_t)from * b->stride, .stride = b->stride,
        .request = b->request + from, .step = b->step + from, .position = b->position + from,
        .phase = b->phase + from, .accepted = b->accepted + from};
}

/* The next run of rows that hold, in place. */
static int next_that_hold(struct routed *r, struct routed_rows *out, struct err *err) {
    for (;;) {
        if (r->at == r->block.n) {
            int rc = r->format->next(r, &r->block, err);
            if (rc < 1) {
                r->at = r->block.n = 0;
                return rc;
            }
            r->at = 0;
            r->begun &= !r->block.begins;
        }
        while (r->at < r->block.n && !routed_where_row(r->where, &r->block, r->at))
            r->at++;
        int64_t from = r->at;
        while (r->at < r->block.n && routed_where_row(r->where, &r->block, r->at))
            r->at++;
        if (r->at == from)
            continue;
        *out = rows_from(&r->block, from, r->at - from);
        out->begins = !r->begun;
        r->begun = 1;
        return 1;
    }
}

int routed_next(struct routed *r, struct routed_rows *out, struct err *err) {
    if (r->format->kind != ROUTED_TOKENS)
        return err_set(err, "%s: expected routes of tokens, found a count table, which does not "
                       "say what each token did", r->name);
    return r->where->conds ? next_that_hold(r, out, err) : r->format->next(r, out, err);
}
