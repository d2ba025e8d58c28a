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
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

#define COLUMNS_MOST 32
#define LAYERS_SAID_MOST ROUTED_LAYERS_MOST

enum { TURN, PHASE, STEP, LAYER, SLOT, EXPERT, FIELDS };
static const char *const field_names[FIELDS] = {"turn", "phase", "step", "layer", "slot",
                                                "expert"};

struct entry {                  /* a line of the pass */
    uint32_t row;
    uint32_t place;             /* layer * k + slot */
    int16_t expert;
};

struct routed_csv {
    int column[COLUMNS_MOST];   /* the field that each is, FIELDS: none */
    int columns;                /* up to the last that matters */
    int32_t *place;             /* [model's layers] -> layers with experts, -1: none */
    int all_layers;             /* of the model */
    uint32_t next[FIELDS];      /* the line that was read and is not taken */
    int has_next;

    struct entry *entry;        /* [entries] of the pass, in the order of the file */
    size_t entries, cap;
    uint32_t *step;             /* [rows] ascending */
    size_t rows, rows_cap;
    uint32_t pass[FIELDS];      /* turn and phase, and the step of a decoded token */
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

/* ---- the comments and the header -------------------------------------------------------- */

/* The number behind " NAME=" in a comment: -1 when it is not there or is no number. */
static int64_t take_setting(const char *line, const char *name) {
    size_t n = strlen(name);
    for (const char *s = line; *s; s++) {
        if (*s != ' ' || strncmp(s + 1, name, n) || s[1 + n] != '=')
            continue;
        uint64_t v;
        s += n + 2;
        unsigned digits = json_digits(s, &v);
        return digits && strchr(" \r\n", s[digits]) && v <= INT64_MAX ? (int64_t)v : -1;
    }
    return -1;
}

/* "model=/path/Qwen3-30B.gguf arch=...": the file's name without its ending. */
static void take_name(const char *line, char *out, size_t size) {
    const char *from = strstr(line, " model=");
    if (!from)
        return;
    from += 7;
    const char *to = strstr(from, " arch=");
    if (!to)
        to = from + strcspn(from, "\r\n");
    for (const char *s = from; s < to; s++)
        if (*s == '/' || *s == '\\')
            from = s + 1;
    size_t len = (size_t)(to - from);
    if (len > 5 && !strncmp(to - 5, ".gguf", 5))
        len -= 5;
    len = len < size ? len : size - 1;
    memcpy(out, from, len);
    out[len] = '\0';
}

struct said {                   /* by the comments */
    int64_t layers, experts, k;
    char name[128];
    double *expert_bytes, *dense_bytes;         /* [LAYERS_SAID_MOST] */
    int model, sizes;           /* a comment said them */
};

static int take_comment(const struct routed *r, const char *line, struct said *said,
                        struct err *err) {
    if (strstr(line, " n_layer=")) {
        said->model = 1;
        said->layers = take_setting(line, "n_layer");
        said->experts = take_setting(line, "n_expert");
        said->k = take_setting(line, "n_expert_used");
        take_name(line, said->name, sizeof said->name);
        return 0;
    }
    if (strncmp(line, "# layer=", 8))
        return 0;
    int64_t layer = take_setting(line, "layer");
    int64_t expert = take_setting(line, "expert_bytes");
    int64_t dense = take_setting(line, "dense_bytes");
    if (layer < 0 || layer >= LAYERS_SAID_MOST || expert < 0 || dense < 0)
        return err_set(err, "%s: line %lld: expected '# layer=N expert_bytes=N dense_bytes=N', "
                       "layers below %d", r->name, (long long)r->lines.number, LAYERS_SAID_MOST);
    said->sizes = 1;
    said->expert_bytes[layer] = (double)expert;
    said->dense_bytes[layer] = (double)dense;
    return 0;
}

static int take_header(struct routed *r, const char *line, struct err *err) {
    struct routed_csv *s = r->state;
    unsigned seen = 0;
    int n = 0;
    for (const char *p = line; *p && *p != '\n'; n++) {
        size_t len = strcspn(p, ",\r\n");
        if (n == COLUMNS_MOST)
            break;
        s->column[n] = FIELDS;
        for (int f = 0; f < FIELDS; f++) {
            if (strlen(field_names[f]) != len || strncmp(p, field_names[f], len))
                continue;
            s->column[n] = f;
            s->columns = n + 1;
            seen += 1u << f;
        }
        p += len;
        p += *p == '\r';
        p += *p == ',';
    }
    if (seen == (1u << FIELDS) - 1)
        return 0;
    return err_set(err, "%s: line %lld: expected the header "
                   "turn,phase,step,layer,slot,expert,..., found '%.*s'", r->name,
                   (long long)r->lines.number, (int)strcspn(line, "\r\n") % 200, line);
}

/* Layers that have experts: those whose sizes say so, all where no sizes are said. */
static int set_model(struct routed *r, const struct said *said, struct err *err) {
    struct routed_csv *s = r->state;
    int64_t n = 0;
    if (said->layers < 1 || said->layers > ROUTED_LAYERS_MOST || said->experts < 1 ||
        said->k < 1)
        return err_set(err, "%s: expected a comment with n_layer=, n_expert= and n_expert_used= "
                       "before the header, found %s", r->name,
                       said->model ? "numbers that no model has" : "none");
    s->all_layers = (int)said->layers;
    s->place = mem_array((size_t)s->all_layers, sizeof *s->place);
    for (int i = 0; i < s->all_layers; i++) {
        int has = !said->sizes || said->expert_bytes[i] > 0;
        s->place[i] = has ? (int32_t)n : -1;
        n += has;
    }
    if (routed_model_init(r, n, said->experts, said->k, err))
        return -1;
    memcpy(r->model.name, said->name, sizeof said->name);
    for (int i = 0; i < s->all_layers; i++) {
        if (s->place[i] < 0)
            continue;
        r->model.layer_index[s->place[i]] = i;
        r->model.expert_bytes[s->place[i]] = said->expert_bytes[i];
        r->model.dense_bytes[s->place[i]] = said->dense_bytes[i];
    }
    return 0;
}

static int take_head(struct routed *r, struct said *said, struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(&r->lines, &line, err)) == 1) {
        char *end = rawmemchr(line, '\n');
        if (*line != '#')
            return take_header(r, line, err) || set_model(r, said, err) ? -1 : 0;
        *end = '\0';
        rc = take_comment(r, line, said, err);
        if (rc)
            return -1;
    }
    return rc ? -1 : err_set(err, "%s: expected a header below the comments, found the end",
                             r->name);
}

static int csv_open(struct routed *r, struct err *err) {
    struct said said = {.layers = 0};
    r->state = mem_alloc(sizeof(struct routed_csv));
    routed_use_lines(r);
    said.expert_bytes = mem_array(LAYERS_SAID_MOST, sizeof *said.expert_bytes);
    said.dense_bytes = mem_array(LAYERS_SAID_MOST, sizeof *said.dense_bytes);
    int rc = take_head(r, &said, err);
    free(said.expert_bytes);
    free(said.dense_bytes);
    return rc;
}

static void csv_close(struct routed *r) {
    struct routed_csv *s = r->state;
    if (!s)
        return;
    free(s->place);
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
    if (v[PHASE] > TRACE_DECODE)
        return line_error(r, "phase 0 or 1", v[PHASE], err);
    if (v[LAYER] >= (uint32_t)s->all_layers || s->place[v[LAYER]] < 0)
        return err_set(err, "%s: line %lld: expected a layer with experts below %d, found %u",
                       r->name, (long long)r->lines.number, s->all_layers, v[LAYER]);
    if (v[SLOT] >= (uint32_t)m->k)
        return err_set(err, "%s: line %lld: expected a slot below %d, found %u", r->name,
                       (long long)r->lines.number, m->k, v[SLOT]);
    if (v[EXPERT] >= (uint32_t)m->experts)
        return err_set(err, "%s: line %lld: expected an expert below %d, found %u", r->name,
                       (long long)r->lines.number, m->experts, v[EXPERT]);
    return 0;
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
    for (int i = 0; i < s->columns; i++) {
        if (i > 0 && *p++ != ',')
            return line_error(r, "columns as in the header", i, err);
        if (s->column[i] == FIELDS)
            p += strcspn(p, ",\n");
        else if (take_u32(&p, &s->next[s->column[i]]))
            return err_set(err, "%s: line %lld: expected a whole number as %s, found '%.*s'",
                           r->name, (long long)r->lines.number, field_names[s->column[i]],
                           (int)strcspn(p, ",\r\n") % 40, p);
    }
    if (*p != ',' && *p != '\n' && *p != '\r')
        return line_error(r, "a comma after columns", *p, err);
    return check_line(r, err) ? -1 : 1;
}

/* ---- a pass ----------------------------------------------------------------------------- */

static int same_pass(const struct routed_csv *s) {
    return s->next[TURN] == s->pass[TURN] && s->next[PHASE] == s->pass[PHASE] &&
           (s->next[PHASE] == TRACE_PREFILL || s->next[STEP] == s->pass[STEP]);
}

/* The row of s->next's step: of the line before or the next one nearly always; a step beyond the
 * last makes a row. -1: it lies between two. */
static int find_row(struct routed_csv *s) {
    uint32_t step = s->next[STEP];
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
    size_t low = 0;
    size_t high = s->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->step[middle] < step)
            low = middle + 1;
        else
            high = middle;
    }
    s->row = (uint32_t)low;
    return s->step[low] == step ? 0 : -1;
}

static int add_entry(struct routed *r, struct err *err) {
    struct routed_csv *s = r->state;
    if (find_row(s))
        return line_error(r, "steps of a prefill in ascending order in its first layer, or a step "
                          "of that layer", s->next[STEP], err);
    if (s->entries == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1024;
        s->entry = mem_grow(s->entry, s->cap, sizeof *s->entry);
    }
    s->entry[s->entries++] = (struct entry){
        .row = s->row, .expert = (int16_t)s->next[EXPERT],
        .place = (uint32_t)(s->place[s->next[LAYER]] * r->model.k) + s->next[SLOT]};
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
        s->request[i] = s->pass[TURN];
        s->position[i] = s->step[i];
        s->phase[i] = (uint8_t)s->pass[PHASE];
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
                           "twice", r->name, s->pass[TURN], s->step[row],
                           r->model.layer_index[e->place / k], e->place % k);
        expert[e->place] = e->expert;
    }
    return 0;
}

static int csv_next(struct routed *r, struct routed_rows *out, struct err *err) {
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
    .kind = ROUTED_TOKENS, .open = csv_open, .next = csv_next, .close = csv_close};
