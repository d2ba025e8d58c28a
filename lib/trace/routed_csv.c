/* routed_csv.c - route_trace v1 of BigMoeOnEdge: a line for each expert of a token
 *
 *     # route_trace v1
 *     # model=/path/NAME.gguf arch=... n_layer=48 n_expert=128 n_expert_used=6
 *     # layer=0 expert_bytes=3059712 dense_bytes=11953152
 *     turn,phase,step,layer,slot,expert,weight,residency,expert_bytes
 *     0,0,0,0,0,49,0.221297,0,3059712
 *
 * Inside a prefill (phase 0) the lines go layer by layer, each with all tokens of the turn; a
 * decoded token (phase 1) is a pass of its own. A pass is gathered as its lines, which are put
 * into rows only as they are handed out. The column expert_bytes is what was read from disk, 0 for
 * an expert that was there: the sizes are those of the comments.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

struct entry {                  /* a line of the pass */
    uint32_t row;
    uint32_t place;             /* layer * k + slot */
    int16_t expert;
};

struct routed_csv {
    struct routed_csv_head head;
    uint32_t next[ROUTED_CSV_FIELDS];   /* the line that was read and is not taken */
    int has_next;

    struct entry *entry;        /* [entries] of the pass, in the order of the file */
    size_t entries, cap;
    uint32_t *step;             /* [rows] ascending */
    size_t rows, rows_cap;
    uint32_t pass[ROUTED_CSV_FIELDS];   /* turn, phase, and the step of a decoded token */
    uint32_t row;               /* of the line before: where to look first */

    size_t *start;              /* [rows + 1] into order */
    uint32_t *order;            /* [entries] by rows */
    size_t done;                /* rows handed out */
    int16_t *expert;            /* [piece][layers][k] */
    uint32_t *request, *position;       /* [rows] */
    uint8_t *phase, *accepted;
};

static int line_error(const struct routed *r, const char *what, long long found,
                      struct err *err) {
    return err_set(err, "%s: line %lld: expected %s, found %lld", r->name,
                   (long long)r->lines.number, what, found);
}

static int lines_open(struct routed *r, struct err *err) {
    struct routed_csv *s = mem_alloc(sizeof *s);
    r->state = s;
    routed_use_lines(r);
    return routed_csv_head(r, &s->head, err);
}

static void lines_close(struct routed *r) {
    struct routed_csv *s = r->state;
    if (!s)
        return;
    free(s->head.place);
    free(s->entry);
    free(s->step);
    free(s->start);
    free(s->order);
    free(s->expert);
    free(s->request);
    free(s->position);
    free(s->phase);
    free(s->accepted);
    free(s);
}

/* ---- lines ------------------------------------------------------------------------------ */

/* A decimal of 32 bits at *p, which goes behind it: 0 or -1. */
static inline int take_u32(const char **p, uint32_t *out) {
    const char *s = *p;
    uint64_t v = 0;
    while ((unsigned)(*s - '0') < 10 && s - *p < 11)
        v = v * 10 + (unsigned)(*s++ - '0');
    if (s == *p || v > UINT32_MAX)
        return -1;
    *out = (uint32_t)v;
    *p = s;
    return 0;
}

static int check_line(const struct routed *r, struct err *err) {
    const struct routed_csv *s = r->state;
    const uint32_t *v = s->next;
    const struct routed_model *m = &r->model;
    if (v[ROUTED_CSV_PHASE] > TRACE_DECODE)
        return line_error(r, "phase 0 or 1", v[ROUTED_CSV_PHASE], err);
    if (v[ROUTED_LAYER] >= (uint32_t)s->head.layers || s->head.place[v[ROUTED_LAYER]] < 0)
        return err_set(err, "%s: line %lld: expected a layer with experts below %d, found %u",
                       r->name, (long long)r->lines.number, s->head.layers, v[ROUTED_LAYER]);
    if (v[ROUTED_SLOT] >= (uint32_t)m->k)
        return err_set(err, "%s: line %lld: expected a slot below %d, found %u", r->name,
                       (long long)r->lines.number, m->k, v[ROUTED_SLOT]);
    if (v[ROUTED_EXPERT] >= (uint32_t)m->experts)
        return err_set(err, "%s: line %lld: expected an expert below %d, found %u", r->name,
                       (long long)r->lines.number, m->experts, v[ROUTED_EXPERT]);
    return 0;
}

static int cell_error(const struct routed *r, const char *expected, const char *found,
                      struct err *err) {
    size_t len = strcspn(found, ",\r\n");
    return err_set(err, "%s: line %lld: expected %s, found '%.*s'", r->name,
                   (long long)r->lines.number, expected, (int)(len < 40 ? len : 40), found);
}

static int take_cell(const struct routed *r, int field, const char **p, struct err *err) {
    struct routed_csv *s = r->state;
    const char *start = *p;
    char expected[64];
    if (field == ROUTED_CSV_FIELDS) {
        *p += strcspn(start, ",\n");
        return 0;
    }
    if (take_u32(p, &s->next[field]) == 0 && (**p == ',' || **p == '\n' || **p == '\r'))
        return 0;
    snprintf(expected, sizeof expected, "a whole number as %s", routed_csv_names[field]);
    return cell_error(r, expected, start, err);
}

/* Fills s->next: 1 a line, 0 the end, -1. */
static int next_line(struct routed *r, struct err *err) {
    struct routed_csv *s = r->state;
    char *line;
    int rc;
    do
        rc = reqs_lines_next(&r->lines, &line, err);
    while (rc == 1 && (*line == '#' || *line == '\n' || *line == '\r'));
    if (rc < 1)
        return rc;
    const char *p = line;
    for (int i = 0; i < s->head.columns; i++) {
        if (i > 0 && *p++ != ',')
            return line_error(r, "columns as in the header", i, err);
        if (take_cell(r, s->head.column[i], &p, err))
            return -1;
    }
    return check_line(r, err) ? -1 : 1;
}

/* ---- a pass ----------------------------------------------------------------------------- */

static int same_pass(const struct routed_csv *s) {
    const uint32_t *next = s->next;
    return next[ROUTED_TURN] == s->pass[ROUTED_TURN] &&
           next[ROUTED_CSV_PHASE] == s->pass[ROUTED_CSV_PHASE] &&
           (next[ROUTED_CSV_PHASE] == TRACE_PREFILL ||
            next[ROUTED_CSV_STEP] == s->pass[ROUTED_CSV_STEP]);
}

/* The row of s->next's step: of the line before or the next one nearly always; a step beyond the
 * last makes a row. -1: it lies between two. */
static int find_row(struct routed_csv *s) {
    uint32_t step = s->next[ROUTED_CSV_STEP];
    if (!s->rows || step > s->step[s->rows - 1]) {
        if (s->rows == s->rows_cap) {
            s->rows_cap = s->rows_cap ? s->rows_cap * 2 : 64;
            s->step = mem_grow(s->step, s->rows_cap, sizeof *s->step);
        }
        s->row = (uint32_t)s->rows;
        s->step[s->rows++] = step;
        return 0;
    }
    if (s->step[s->row] == step)
        return 0;
    if (s->row + 1 < s->rows && s->step[s->row + 1] == step) {
        s->row++;
        return 0;
    }
    s->row = (uint32_t)routed_bisect(s->step, s->rows, step);
    return s->step[s->row] == step ? 0 : -1;
}

static int add_entry(struct routed *r, struct err *err) {
    struct routed_csv *s = r->state;
    if (find_row(s))
        return line_error(r, "steps of a prefill in ascending order in its first layer, or a step "
                          "of that layer", s->next[ROUTED_CSV_STEP], err);
    if (s->entries == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->entry = mem_grow(s->entry, s->cap, sizeof *s->entry);
    }
    int32_t layer = s->head.place[s->next[ROUTED_LAYER]];
    s->entry[s->entries++] = (struct entry){
        .row = s->row, .expert = (int16_t)s->next[ROUTED_EXPERT],
        .place = (uint32_t)(layer * r->model.k) + s->next[ROUTED_SLOT]};
    return 0;
}

/* Lines by rows, in the order of the file within one. */
static void sort_entries(struct routed_csv *s) {
    s->start = mem_grow(s->start, s->rows + 2, sizeof *s->start);
    s->order = mem_grow(s->order, s->entries, sizeof *s->order);
    memset(s->start, 0, (s->rows + 2) * sizeof *s->start);
    for (size_t i = 0; i < s->entries; i++)
        s->start[s->entry[i].row + 2]++;
    for (size_t i = 2; i < s->rows + 2; i++)
        s->start[i] += s->start[i - 1];
    for (size_t i = 0; i < s->entries; i++)
        s->order[s->start[s->entry[i].row + 1]++] = (uint32_t)i;
}

/* Reads all lines of the next pass: 1, 0 the end, -1. */
static int gather(struct routed *r, struct err *err) {
    struct routed_csv *s = r->state;
    int rc = s->has_next ? 1 : next_line(r, err);
    if (rc < 1)
        return rc;
    memcpy(s->pass, s->next, sizeof s->pass);
    s->entries = s->rows = s->done = s->row = 0;
    do {
        if (s->entries == UINT32_MAX)
            return err_set(err, "%s: line %lld: a pass of more than 2^32 lines", r->name,
                           (long long)r->lines.number);
        if (add_entry(r, err))
            return -1;
        rc = next_line(r, err);
    } while (rc == 1 && same_pass(s));
    s->has_next = rc == 1;
    if (rc < 0)
        return -1;
    sort_entries(s);
    s->request = mem_grow(s->request, s->rows, sizeof *s->request);
    s->position = mem_grow(s->position, s->rows, sizeof *s->position);
    s->phase = mem_grow(s->phase, s->rows, 1);
    s->accepted = mem_grow(s->accepted, s->rows, 1);
    for (size_t i = 0; i < s->rows; i++) {
        s->request[i] = s->pass[ROUTED_TURN];
        s->position[i] = s->step[i];
        s->phase[i] = (uint8_t)s->pass[ROUTED_CSV_PHASE];
        s->accepted[i] = 1;
    }
    return 1;
}

static int fill_row(const struct routed *r, size_t row, int16_t *expert, struct err *err) {
    const struct routed_csv *s = r->state;
    for (size_t i = s->start[row]; i < s->start[row + 1]; i++) {
        const struct entry *e = &s->entry[s->order[i]];
        uint32_t k = (uint32_t)r->model.k;
        if (expert[e->place] >= 0)
            return err_set(err, "%s: turn %u: step %u: layer %d: expected slot %u once, found it "
                           "twice", r->name, s->pass[ROUTED_TURN], s->step[row],
                           r->model.layer_index[e->place / k], e->place % k);
        expert[e->place] = e->expert;
    }
    return 0;
}

static int lines_next(struct routed *r, struct routed_rows *out, struct err *err) {
    struct routed_csv *s = r->state;
    size_t pairs = (size_t)r->model.layers * (size_t)r->model.k;
    size_t piece = ROUTED_PIECE_BYTES / (pairs * sizeof *s->expert);
    if (s->done == s->rows) {
        int rc = gather(r, err);
        if (rc < 1)
            return rc;
    }
    piece = piece ? piece : 1;
    if (!s->expert)
        s->expert = mem_array(piece * pairs, sizeof *s->expert);
    size_t from = s->done;
    size_t n = s->rows - from < piece ? s->rows - from : piece;
    memset(s->expert, -1, n * pairs * sizeof *s->expert);
    for (size_t i = 0; i < n; i++)
        if (fill_row(r, from + i, s->expert + i * pairs, err))
            return -1;
    s->done += n;
    *out = (struct routed_rows){
        .n = (int64_t)n, .begins = from == 0, .expert = s->expert, .stride = pairs,
        .request = s->request + from, .step = s->step + from, .position = s->position + from,
        .phase = s->phase + from, .accepted = s->accepted + from};
    return 1;
}

const struct routed_format routed_csv = {
    .kind = ROUTED_TOKENS, .open = lines_open, .next = lines_next, .close = lines_close};
