/* steps.c - run traces: lines in, records out, see steps.h
 *
 * The type is looked for first, then the line is read again as what it is: a run record's shape is
 * read by lib/shape, from a text that nobody has changed. Fields are named in tables, one for each
 * type, with the place that takes their value.
 */
#include "lib/trace/steps.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"

#define SHOWN 24                /* bytes of a bad line in a message */
#define TEXTS 8                 /* of a record */
#define MOST (((uint64_t)1 << 53) - 1)      /* of times and tokens, so that sums of them hold */

struct steps {
    struct reqs_lines in;
    char *name;
    struct shape *shape;
    int taken;                  /* the shape is someone else's */
    struct trace_run run;
    char *run_text[TEXTS];      /* those of run, by the place in its table */
    int seen;                   /* the first run record was handed out */
    int64_t run_line;

    char *text[TEXTS];          /* of a request */
    int32_t *layer;             /* [layer_cap] */
    size_t layers, layer_cap;
    struct trace_step_row *row; /* [row_cap] */
    size_t rows, row_cap;
    int64_t request;            /* of a step that has one; -1 */
    const char *missing;        /* field that a record should have had */
};

enum kind { COUNT32, COUNT64, NUMBER, TEXT, JSON, PHASE, LAYERS, ROWS, REQUEST, OR_NONE, U64 };

struct member {
    const char *name;
    enum kind kind;
    size_t at;                  /* place in the record's struct; of TEXT and JSON: where its pointer
                                 * goes */
    int needed;
};

#define RUN(member) offsetof(struct trace_run, member)
static const struct member run_members[] = {
    {"file", TEXT, RUN(model), 0}, {"kv_type", TEXT, RUN(kv_type), 0},
    {"kv_bits", NUMBER, RUN(kv_bits), 1}, {"cpu", TEXT, RUN(cpu), 0},
    {"host_cpu", TEXT, RUN(host_cpu), 0}, {"threads", COUNT32, RUN(threads), 0},
    {"context", COUNT32, RUN(context), 0}, {"batch", COUNT32, RUN(batch), 0},
    {"parallel", COUNT32, RUN(parallel), 0}, {"seed", U64, RUN(seed), 0},
    {"settings", JSON, RUN(settings), 0}, {"version", TEXT, RUN(version), 0}, {NULL, 0, 0, 0}};

#define STEP(member) offsetof(struct trace_step, member)
static const struct member step_members[] = {
    {"step", U64, STEP(step), 0}, {"phase", PHASE, STEP(phase), 1},
    {"tokens", COUNT32, STEP(tokens), 1}, {"position", COUNT64, STEP(position), 0},
    {"logits", COUNT32, STEP(logits), 0}, {"start_ns", COUNT64, STEP(start_ns), 0},
    {"ns", COUNT64, STEP(ns), 1},
    {"flops_attention", NUMBER, STEP(flops.attention), 1},
    {"flops_dense", NUMBER, STEP(flops.dense), 1},
    {"flops_experts", NUMBER, STEP(flops.experts), 1},
    {"flops_head", NUMBER, STEP(flops.head), 1},
    {"dense_read_bytes", NUMBER, STEP(bytes.dense), 1},
    {"experts_read_bytes", NUMBER, STEP(bytes.experts), 1},
    {"kv_read_bytes", NUMBER, STEP(bytes.kv_read), 1},
    {"kv_write_bytes", NUMBER, STEP(bytes.kv_write), 1},
    {"experts_touched", COUNT64, STEP(experts_touched), 0},
    {"experts_by_layer", LAYERS, 0, 0}, {"request", REQUEST, 0, 0}, {"rows", ROWS, 0, 0},
    {"joules", NUMBER, STEP(joules), 0}, {NULL, 0, 0, 0}};

#define ASK(member) offsetof(struct trace_request, member)
static const struct member request_members[] = {
    {"request", COUNT32, ASK(request), 1}, {"id", JSON, ASK(id), 0}, {"model", TEXT, ASK(model), 0},
    {"timestamp", COUNT64, ASK(timestamp_ms), 0}, {"time", TEXT, ASK(time), 0},
    {"input_length", COUNT64, ASK(input_length), 1},
    {"output_length", COUNT64, ASK(output_length), 1},
    {"cached_tokens", COUNT64, ASK(cached_tokens), 0}, {"ttft_ns", OR_NONE, ASK(ttft_ns), 0},
    {"total_ns", COUNT64, ASK(total_ns), 0}, {"stop", TEXT, ASK(stop), 0}, {NULL, 0, 0, 0}};

#define ROW(member) offsetof(struct trace_step_row, member)
static const struct member row_members[] = {
    {"request", COUNT32, ROW(request), 1}, {"phase", PHASE, ROW(phase), 1},
    {"tokens", COUNT32, ROW(tokens), 1}, {"position", COUNT64, ROW(position), 1},
    {NULL, 0, 0, 0}};

/* ---- values ------------------------------------------------------------------------------- */

/* 0 to most. Integers above 2^53 stand in strings. */
static int take_count(struct json *j, uint64_t most, const char *want, uint64_t *out) {
    struct reqs_text t;
    json_peek(j);
    char *start = j->at;
    if (json_text(j, &t))
        return -1;
    /* Nothing like 1e3 or 2.0 is written, and a sign is none of a count. */
    if (json_id_of_number(t.data, t.len, out) || *t.data == '-' || *out > most) {
        j->at = start;
        return json_fail(j, want);
    }
    return 0;
}

static int take_number(struct json *j, double *out) {
    json_peek(j);
    char *start = j->at;
    if (*start != '-' && !(*start >= '0' && *start <= '9'))
        return json_fail(j, "a number");
    if (json_skip(j))
        return -1;
    *out = strtod(start, NULL);
    if (*out >= 0 && isfinite(*out))
        return 0;
    j->at = start;
    return json_fail(j, "a number from 0 on");
}

static int take_phase(struct json *j, int *out) {
    static const char *const names[] = {"prefill", "decode", "mixed"};
    struct reqs_text t;
    json_peek(j);
    char *start = j->at;
    if (json_string(j, &t))
        return -1;
    for (int i = 0; i < 3; i++)
        if (t.len == strlen(names[i]) && !memcmp(t.data, names[i], t.len)) {
            *out = i;
            return 0;
        }
    j->at = start;
    return json_fail(j, "prefill, decode or mixed");
}

/* A copy, in the record's place i. */
static int take_text(struct json *j, char **kept, const char **out, int raw) {
    struct reqs_text t;
    json_peek(j);
    char *start = j->at;
    if (json_null(j))
        return 0;
    if (raw ? json_skip(j) : json_string(j, &t))
        return -1;
    if (raw)
        t = (struct reqs_text){start, (size_t)(j->at - start)};
    free(*kept);
    *kept = mem_strndup(t.data, t.len);
    *out = *kept;
    return 0;
}

static int take_layers(struct steps *s, struct json *j) {
    int first = 1;
    int rc;
    s->layers = 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array");
    while ((rc = json_element(j, &first)) == 1) {
        uint64_t v;
        if (take_count(j, INT32_MAX, "a count", &v))
            return -1;
        if (s->layers == s->layer_cap) {
            s->layer_cap = s->layer_cap ? 2 * s->layer_cap : 64;
            s->layer = mem_grow(s->layer, s->layer_cap, sizeof *s->layer);
        }
        s->layer[s->layers++] = (int32_t)v;
    }
    if (!rc && s->layers != (size_t)s->shape->layers)
        return json_fail(j, "an entry for each of the run's layers before this place");
    return rc;
}

/* ---- objects ------------------------------------------------------------------------------ */

static int take_object(struct steps *s, struct json *j, const struct member *members, void *into,
                       char **text);

static int take_rows(struct steps *s, struct json *j) {
    int first = 1;
    int rc;
    s->rows = 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array");
    while ((rc = json_element(j, &first)) == 1) {
        if (s->rows == s->row_cap) {
            s->row_cap = s->row_cap ? 2 * s->row_cap : 16;
            s->row = mem_grow(s->row, s->row_cap, sizeof *s->row);
        }
        struct trace_step_row *row = &s->row[s->rows++];
        *row = (struct trace_step_row){0};
        if (take_object(s, j, row_members, row, NULL))
            return -1;
        if (row->phase == TRACE_MIXED)
            return json_fail(j, "rows that are prefill or decode before this place");
    }
    return rc;
}

static int take_member(struct steps *s, struct json *j, const struct member *m, void *into,
                       char **kept) {
    char *at = (char *)into + m->at;
    uint64_t v = 0;
    double x = 0;
    int rc = 0;
    switch (m->kind) {
    case COUNT32:
        rc = take_count(j, INT32_MAX, "a count below 2^31", &v);
        *(int *)(void *)at = (int)v;
        return rc;
    case COUNT64:
    case OR_NONE:
        if (m->kind == OR_NONE && json_null(j))
            return 0;
        rc = take_count(j, MOST, "a count below 2^53", &v);
        *(int64_t *)(void *)at = (int64_t)v;
        return rc;
    case U64: return take_count(j, UINT64_MAX, "a count", (uint64_t *)(void *)at);
    case NUMBER:
        rc = take_number(j, &x);
        if (!rc)
            *(double *)(void *)at = x;
        return rc;
    case TEXT: return take_text(j, kept, (const char **)(void *)at, 0);
    case JSON: return take_text(j, kept, (const char **)(void *)at, 1);
    case PHASE: return take_phase(j, (int *)(void *)at);
    case LAYERS: return take_layers(s, j);
    case ROWS: return take_rows(s, j);
    case REQUEST:
        rc = take_count(j, UINT32_MAX, "a count below 2^32", &v);
        s->request = (int64_t)v;
        return rc;
    }
    return -1;
}

static int find(const struct member *members, const struct reqs_text *key) {
    for (int i = 0; members[i].name; i++)
        if (key->len == strlen(members[i].name) && !memcmp(key->data, members[i].name, key->len))
            return i;
    return -1;
}

/* text[i] keeps the i-th text of the table. */
static int take_object(struct steps *s, struct json *j, const struct member *members, void *into,
                       char **text) {
    struct reqs_text key;
    unsigned got = 0;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        int i = find(members, &key);
        int place = 0;
        for (int k = 0; k < i; k++)
            place += members[k].kind == TEXT || members[k].kind == JSON;
        if (i < 0 ? json_skip(j)
                  : take_member(s, j, &members[i], into, text ? &text[place] : NULL))
            return -1;
        if (i >= 0)
            got |= 1u << i;
    }
    for (int i = 0; !rc && members[i].name; i++)
        if (members[i].needed && !(got & 1u << i)) {
            s->missing = members[i].name;
            return json_fail(j, members[i].name);
        }
    return rc;
}

/* ---- records ------------------------------------------------------------------------------ */

static void free_shape(struct steps *s) {
    if (!s->taken)
        shape_free(s->shape);
}

static int take_run(struct steps *s, const char *line, struct err *err) {
    struct trace_run run = {.model = "", .kv_type = "", .cpu = "", .host_cpu = "", .version = ""};
    size_t len = (size_t)(s->in.data + s->in.at - line) - 1;
    struct err why = {{0}};
    struct shape *shape = shape_from_run(s->name, line, len, &why);
    if (!shape)
        return err_set(err, "%s (line %lld)", why.text, (long long)s->in.number);
    free_shape(s);
    s->shape = shape;
    s->taken = 0;
    run.shape = shape;
    s->run = run;
    s->run_line = s->in.number;
    return 0;
}

/* The rows of a step must be those that it counts. */
static int check_rows(struct steps *s, struct json *j, struct trace_step *step) {
    int64_t sum = 0;
    for (size_t i = 0; i < s->rows; i++)
        sum += s->row[i].tokens;
    if (s->rows && sum != step->tokens)
        return json_fail(j, "rows whose tokens add up to the step's before this place");
    if (!s->rows && s->request >= 0) {
        s->row_cap = s->row_cap ? s->row_cap : 16;
        s->row = mem_grow(s->row, s->row_cap, sizeof *s->row);
        s->row[s->rows++] = (struct trace_step_row){
            .request = (uint32_t)s->request, .phase = step->phase, .tokens = step->tokens,
            .position = step->position};
    }
    return 0;
}

static int take_step(struct steps *s, struct json *j, struct trace_step *step) {
    *step = (struct trace_step){.experts_touched = -1, .joules = NAN};
    s->layers = s->rows = 0;
    s->request = -1;
    if (take_object(s, j, step_members, step, NULL))
        return -1;
    if (step->tokens < 1)
        return json_fail(j, "at least one token before this place");
    if (check_rows(s, j, step))
        return -1;
    step->experts_by_layer = s->layers ? s->layer : NULL;
    step->layers = (int)s->layers;
    step->rows = s->rows ? s->row : NULL;
    step->n_rows = (int)s->rows;
    return 0;
}

static int take_request(struct steps *s, struct json *j, struct trace_request *r) {
    *r = (struct trace_request){.model = "", .time = "", .stop = "", .ttft_ns = -1};
    return take_object(s, j, request_members, r, s->text);
}

/* The value of "type" is left as it stands; a type that is escaped is none of ours. */
static int type_of(struct json j, struct reqs_text *type) {
    struct reqs_text key;
    int first = 1;
    int rc;
    *type = (struct reqs_text){"", 0};
    if (!json_take(&j, '{'))
        return 0;
    while ((rc = json_member(&j, &first, &key)) == 1) {
        json_peek(&j);
        char *start = j.at;
        if (json_skip(&j))
            return -1;
        if (key.len == 4 && !memcmp(key.data, "type", 4)) {
            if (*start == '"')
                *type = (struct reqs_text){start + 1, (size_t)(j.at - start) - 2};
            return 0;
        }
    }
    return rc;
}

static int is(const struct reqs_text *t, const char *word) {
    return t->len == strlen(word) && !memcmp(t->data, word, t->len);
}

static int bad_line(const struct steps *s, const struct json *j, struct err *err) {
    int len = (int)strcspn(j->at, "\n");
    if (s->missing)
        return err_set(err, "%s:%lld: %s: expected a value, found none", s->name,
                       (long long)s->in.number, s->missing);
    return err_set(err, "%s:%lld: expected %s, found '%.*s'", s->name, (long long)s->in.number,
                   j->want, len < SHOWN ? len : SHOWN, j->at);
}

/* What the line is; 0: nothing of ours. */
static int read_line(struct steps *s, char *line, struct steps_record *out, struct err *err) {
    struct json j = {line, NULL};
    struct reqs_text type;
    int kind = 0;
    int rc = 0;
    s->missing = NULL;
    if (json_peek(&j) == '\n')
        return 0;
    if (json_peek(&j) != '{')
        rc = json_fail(&j, "an object");
    else if (type_of(j, &type))
        rc = json_skip(&j);             /* again, to know where and why */
    else if (is(&type, "run")) {
        if (take_run(s, line, err))
            return -1;
        kind = STEPS_RUN;
        rc = take_object(s, &j, run_members, &s->run, s->run_text);
    } else if (is(&type, "step") && s->shape) {
        kind = STEPS_STEP;
        rc = take_step(s, &j, &out->step);
    } else if (is(&type, "request") && s->shape) {
        kind = STEPS_REQUEST;
        rc = take_request(s, &j, &out->request);
    } else {
        rc = json_skip(&j);
    }
    if (rc || json_end(&j))
        return bad_line(s, &j, err);
    out->line = s->in.number;
    if (kind == STEPS_RUN)
        out->run = s->run;
    return kind;
}

/* ---- the reader --------------------------------------------------------------------------- */

struct steps *steps_open(const char *path, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    struct steps_record first;
    char *line;
    int rc;
    if (!z)
        return NULL;
    struct steps *s = mem_alloc(sizeof *s);
    reqs_lines_init(&s->in, z);
    s->name = mem_strdup(zio_name(z));
    do {
        rc = reqs_lines_next(&s->in, &line, err);
        if (rc == 1)
            rc = line[strspn(line, " \t\r")] == '\n' ? 2 : read_line(s, line, &first, err);
        else if (!rc)
            rc = err_set(err, "%s: expected a run trace, found nothing", s->name);
    } while (rc == 2);
    if (rc == STEPS_RUN)
        return s;
    if (rc >= 0)
        err_set(err, "%s:%lld: expected a run record first, as llm-run --trace writes, found "
                "something else", s->name, (long long)s->in.number);
    steps_close(s);
    return NULL;
}

int steps_next(struct steps *s, struct steps_record *out, struct err *err) {
    char *line;
    int rc;
    if (!s->seen) {
        s->seen = 1;
        out->line = s->run_line;
        out->run = s->run;
        return STEPS_RUN;
    }
    while ((rc = reqs_lines_next(&s->in, &line, err)) == 1) {
        rc = read_line(s, line, out, err);
        if (rc)
            return rc;
    }
    return rc;
}

const struct shape *steps_shape(const struct steps *s) {
    return s->shape;
}

struct shape *steps_take_shape(struct steps *s) {
    s->taken = 1;
    return s->shape;
}

const struct trace_run *steps_run(const struct steps *s) {
    return &s->run;
}

const char *steps_name(const struct steps *s) {
    return s->name;
}

void steps_close(struct steps *s) {
    if (!s)
        return;
    reqs_lines_free(&s->in);
    for (int i = 0; i < TEXTS; i++) {
        free(s->text[i]);
        free(s->run_text[i]);
    }
    free(s->layer);
    free(s->row);
    free_shape(s);
    free(s->name);
    free(s);
}
