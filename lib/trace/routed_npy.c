/* routed_npy.c - route streams of llm-run (llm-trace(5)): a record about the model, then passes
 *
 * Rows are handed out where they were read: the ids stand in the records, whose size is the stride.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/format/npy.h"
#include "lib/trace/routed_impl.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "fields are taken as they lie in memory, and the stream is little-endian");

#define FIELDS_MOST 32
#define RECORD_MOST (1 << 20)

/* Fields of a row in the order of `columns`. */
enum { REQUEST, STEP, PHASE, ACCEPTED, POSITION, EXPERT, COLUMNS };

struct routed_npy {
    struct npy_reader in;
    struct npy_field field[FIELDS_MOST];
    size_t offset[COLUMNS];     /* in the record */
    size_t record;              /* bytes; 0: no pass was seen yet */
    char *data;                 /* [room][record] */
    int64_t room;
    uint32_t *number;           /* [3][room] request, step, position */
    uint8_t *flag;              /* [2][room] phase, accepted */
};

static int array_error(const struct routed *r, const char *expected, const char *found,
                       struct err *err) {
    const struct routed_npy *s = r->state;
    return err_set(err, "%s: array %lld: expected %s, found %s", r->name,
                   (long long)s->in.number, expected, found);
}

/* The field of that name, kind and size with `dims` dimensions; NULL: there is none. */
static const struct npy_field *find_field(const struct routed_npy *s, const char *name, char kind,
                                          int bytes, int dims) {
    for (int i = 0; i < s->in.fields; i++) {
        const struct npy_field *f = &s->field[i];
        if (!strcmp(f->name, name))
            return f->kind == kind && f->bytes == bytes && !f->swapped && f->dims == dims ? f
                                                                                         : NULL;
    }
    return NULL;
}

/* ---- the record about the model --------------------------------------------------------- */

static uint32_t number_at(const char *record, const struct npy_field *f) {
    uint32_t v;
    memcpy(&v, record + f->offset, sizeof v);
    return v;
}

/* Bytes are doubles to everyone else. */
static void bytes_at(const char *record, const struct npy_field *f, double *out) {
    for (int64_t i = 0; f && i < f->items; i++) {
        uint64_t v;
        memcpy(&v, record + f->offset + i * 8, sizeof v);
        out[i] = (double)v;
    }
}

static void take_name(struct routed *r, const char *record) {
    const struct routed_npy *s = r->state;
    for (int i = 0; i < s->in.fields; i++) {
        const struct npy_field *f = &s->field[i];
        if (strcmp(f->name, "model") || f->kind != 'S' || f->dims)
            continue;
        size_t len = strnlen(record + f->offset, (size_t)f->bytes);
        size_t most = sizeof r->model.name - 1;
        memcpy(r->model.name, record + f->offset, len < most ? len : most);
    }
}

static int take_model(struct routed *r, const char *record, struct err *err) {
    const struct routed_npy *s = r->state;
    const struct npy_field *layers = find_field(s, "layers", 'u', 4, 0);
    const struct npy_field *experts = find_field(s, "experts", 'u', 4, 0);
    const struct npy_field *k = find_field(s, "k", 'u', 4, 0);
    const struct npy_field *index = find_field(s, "layer_index", 'u', 4, 1);
    const struct npy_field *expert_bytes = find_field(s, "expert_bytes", 'u', 8, 1);
    const struct npy_field *dense_bytes = find_field(s, "dense_bytes", 'u', 8, 1);
    if (!layers || !experts || !k || !index || !expert_bytes || !dense_bytes)
        return array_error(r, "the record about the model: layers, experts and k (u4), "
                           "layer_index (u4[layers]), expert_bytes and dense_bytes (u8[layers])",
                           "other fields", err);
    int64_t n = number_at(record, layers);
    if (index->items != n || expert_bytes->items != n || dense_bytes->items != n)
        return array_error(r, "as many layer_index, expert_bytes and dense_bytes as layers",
                           "another number", err);
    if (routed_model_init(r, n, number_at(record, experts), number_at(record, k), err))
        return -1;
    for (int i = 0; i < r->model.layers; i++) {
        uint32_t v;
        memcpy(&v, record + index->offset + i * 4, sizeof v);
        if (v > INT32_MAX)
            return array_error(r, "layer_index below 2^31", "a larger one", err);
        r->model.layer_index[i] = (int32_t)v;
    }
    bytes_at(record, expert_bytes, r->model.expert_bytes);
    bytes_at(record, dense_bytes, r->model.dense_bytes);
    take_name(r, record);
    return 0;
}

static int npy_open(struct routed *r, struct err *err) {
    struct routed_npy *s = mem_alloc(sizeof *s);
    r->state = s;
    s->in = (struct npy_reader){.z = r->z, .field = s->field, .fields_most = FIELDS_MOST};
    if (npy_read_header(&s->in, err) != 1)
        return -1;
    if (!s->in.fields) {        /* plain numbers, which are read elsewhere */
        struct npy_reader in = s->in;
        free(s);
        r->state = NULL;
        in.field = NULL;
        return routed_array_open(r, &in, err);
    }
    if (s->in.dims != 1 || s->in.shape[0] != 1 || s->in.bytes > RECORD_MOST)
        return array_error(r, "one record about the model, as llm-trace(5) says", "another array",
                           err);
    char *record = mem_alloc((size_t)s->in.bytes);
    int rc = npy_read_items(&s->in, record, 1, err);
    if (!rc)
        rc = take_model(r, record, err);
    free(record);
    return rc;
}

static void npy_close(struct routed *r) {
    struct routed_npy *s = r->state;
    if (!s)
        return;
    free(s->data);
    free(s->number);
    free(s->flag);
    free(s);
}

/* ---- passes ----------------------------------------------------------------------------- */

/* Finds the fields of a pass and makes room for a piece of it. */
static int start_pass(struct routed *r, struct err *err) {
    static const struct {
        const char *name;
        char kind;
        int bytes, dims;
    } columns[COLUMNS] = {
        [REQUEST] = {"request", 'u', 4, 0}, [STEP] = {"step", 'u', 4, 0},
        [PHASE] = {"phase", 'u', 1, 0}, [ACCEPTED] = {"accepted", 'u', 1, 0},
        [POSITION] = {"position", 'u', 4, 0}, [EXPERT] = {"expert", 'i', 2, 2}};
    struct routed_npy *s = r->state;
    const struct npy_field *f = NULL;
    for (int i = 0; i < COLUMNS; i++) {
        f = find_field(s, columns[i].name, columns[i].kind, columns[i].bytes, columns[i].dims);
        if (!f || s->in.dims != 1 || s->in.bytes > RECORD_MOST)
            return array_error(r, "records of request, step (u4), phase, accepted (u1), "
                               "position (u4), expert (i2[layers][k])", "others", err);
        s->offset[i] = (size_t)f->offset;
    }
    if (f->shape[0] != r->model.layers || f->shape[1] != r->model.k)
        return array_error(r, "expert [layers][k] as the record about the model has them",
                           "another shape", err);
    if (s->offset[EXPERT] % 2 || s->in.bytes % 2)
        return array_error(r, "expert, and the records, at even places", "odd ones", err);
    if (s->record == (size_t)s->in.bytes)
        return 0;
    s->record = (size_t)s->in.bytes;
    s->room = (int64_t)(s->record < ROUTED_PIECE_BYTES ? ROUTED_PIECE_BYTES / s->record : 1);
    s->data = mem_grow(s->data, (size_t)s->room, s->record);
    s->number = mem_grow(s->number, (size_t)s->room * 3, sizeof *s->number);
    s->flag = mem_grow(s->flag, (size_t)s->room * 2, sizeof *s->flag);
    return 0;
}

static int row_error(const struct routed *r, int64_t row, const char *expected, int found,
                     struct err *err) {
    const struct routed_npy *s = r->state;
    return err_set(err, "%s: array %lld: row %lld: expected %s, found %d", r->name,
                   (long long)s->in.number, (long long)row, expected, found);
}

static int check_row(struct routed *r, const char *record, int64_t row, struct err *err) {
    const struct routed_npy *s = r->state;
    const int16_t *expert = (const int16_t *)(const void *)(record + s->offset[EXPERT]);
    size_t bad;
    uint8_t phase = (uint8_t)record[s->offset[PHASE]];
    uint8_t accepted = (uint8_t)record[s->offset[ACCEPTED]];
    if (phase > TRACE_DECODE)
        return row_error(r, row, "phase 0 or 1", phase, err);
    if (accepted > 1)
        return row_error(r, row, "accepted 0 or 1", accepted, err);
    if (routed_take_ids(r, expert, (size_t)r->model.layers * (size_t)r->model.k, &bad) == 0)
        return 0;
    char expected[64];
    snprintf(expected, sizeof expected, "an expert from -1 to %d in layer %d",
             r->model.experts - 1, r->model.layer_index[bad / (size_t)r->model.k]);
    return row_error(r, row, expected, expert[bad], err);
}

/* n records of data as rows. */
static int take_rows(struct routed *r, int64_t n, int64_t first, struct routed_rows *out,
                     struct err *err) {
    struct routed_npy *s = r->state;
    uint32_t *request = s->number;
    uint32_t *step = s->number + s->room;
    uint32_t *position = s->number + 2 * s->room;
    uint8_t *phase = s->flag;
    uint8_t *accepted = s->flag + s->room;
    const char *record = s->data;
    for (int64_t i = 0; i < n; i++, record += s->record) {
        if (check_row(r, record, first + i, err))
            return -1;
        memcpy(&request[i], record + s->offset[REQUEST], sizeof *request);
        memcpy(&step[i], record + s->offset[STEP], sizeof *step);
        memcpy(&position[i], record + s->offset[POSITION], sizeof *position);
        phase[i] = (uint8_t)record[s->offset[PHASE]];
        accepted[i] = (uint8_t)record[s->offset[ACCEPTED]];
    }
    *out = (struct routed_rows){
        .n = n, .begins = first == 0, .stride = s->record / sizeof(int16_t),
        .expert = (const int16_t *)(const void *)(s->data + s->offset[EXPERT]),
        .request = request, .step = step, .position = position, .phase = phase,
        .accepted = accepted};
    return 1;
}

static int npy_next(struct routed *r, struct routed_rows *out, struct err *err) {
    struct routed_npy *s = r->state;
    while (!s->in.left) {
        int rc = npy_read_header(&s->in, err);
        if (rc < 1)
            return rc;
        if (start_pass(r, err))
            return -1;
    }
    int64_t first = s->in.items - s->in.left;
    int64_t n = s->in.left < s->room ? s->in.left : s->room;
    if (npy_read_items(&s->in, s->data, (size_t)n, err))
        return -1;
    r->bytes += n * (int64_t)s->record;
    return take_rows(r, n, first, out, err);
}

const struct routed_format routed_npy = {
    .kind = ROUTED_TOKENS, .open = npy_open, .next = npy_next, .close = npy_close};
