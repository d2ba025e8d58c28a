/* scores_json.c - scores in JSON Lines, see scores.h and llm-scores(5) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/scores_impl.h"

static int is(const struct reqs_text *key, const char *name) {
    return key->len == strlen(name) && !memcmp(key->data, name, key->len);
}

/* A number, a truth, or null: 0 or -1. */
static int take_number(struct json *j, double least, const char *want, double *out) {
    struct reqs_text text;
    char c = json_peek(j);
    char *start = j->at;
    *out = NAN;
    if (json_null(j))
        return 0;
    if (!strncmp(start, "NaN", 3)) {    /* no JSON, but Python writes it */
        j->at += 3;
        return 0;
    }
    if (c == 't' || c == 'f') {
        *out = c == 't';
        return json_skip(j);
    }
    if (c == '"' || json_text(j, &text))
        return json_fail(j, want);
    *out = strtod(text.data, NULL);
    if (fabs(*out) <= SCORES_MOST && *out >= least)
        return 0;
    j->at = start;
    return json_fail(j, want);
}

enum by_model { SCORES, COSTS, OUTPUTS, RESPONSES };

static int take_answer(struct json *j, enum by_model what, struct scores_answer *a) {
    struct reqs_text text;
    switch (what) {
    case SCORES:
        return take_number(j, -INFINITY, "a score: true, false or a number to 1e100", &a->score);
    case COSTS: return take_number(j, 0, "dollars, 0 to 1e100", &a->usd);
    case OUTPUTS: return take_number(j, 0, "a number of tokens, 0 to 1e100", &a->output_tokens);
    default:
        if (json_null(j))
            return 0;
        if (json_string(j, &text))
            return -1;
        a->response_chars = scores_chars(text.data, text.len);
        return 0;
    }
}

/* {"MODEL": value, ...} */
static int take_by_model(struct scores_reader *r, struct json *j, enum by_model what) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (json_null(j))
        return 0;
    if (!json_take(j, '{'))
        return json_fail(j, "an object with a value for each model");
    while ((rc = json_member(j, &first, &key)) == 1) {
        int m = scores_model_of(r, key.data, key.len);
        if (m == -2)
            return json_fail(j, "at most 256 models");
        if (m < 0 ? json_skip(j) : take_answer(j, what, &r->answer[m]))
            return -1;
    }
    return rc;
}

static int take_embedding(struct scores_reader *r, struct json *j) {
    int first = 1;
    int rc;
    double x;
    r->dim = 0;
    if (json_null(j))
        return 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array of numbers");
    while ((rc = json_element(j, &first)) == 1) {
        if (take_number(j, -INFINITY, "a number", &x))
            return -1;
        if (r->dim == r->dim_cap) {
            r->dim_cap = r->dim_cap ? 2 * r->dim_cap : 512;
            r->embedding = mem_grow(r->embedding, r->dim_cap, sizeof *r->embedding);
        }
        r->embedding[r->dim++] = (float)x;
    }
    return rc;
}

/* Whether the value at j is the part's, as text. It is read from a copy, since reading a string
 * undoes its escapes in place. */
static int take_part(struct scores_reader *r, struct json *j, int *part) {
    char *start = j->at;
    struct reqs_text text;
    if (json_skip(j))
        return -1;
    size_t len = (size_t)(j->at - start);
    char *copy = mem_alloc(len + 1 + JSON_PAD);
    memcpy(copy, start, len);
    copy[len] = '\n';
    struct json value = {copy, NULL};
    if (json_text(&value, &text))       /* true, false, null, or something with parts */
        text = (struct reqs_text){start, len};
    *part = is(&text, r->part_value);
    free(copy);
    return 0;
}

/* What the options ask for by its key; the value is left to be taken once more. */
static int take_asked(struct scores_reader *r, struct json *j, const struct reqs_text *key,
                      struct scores_row *row) {
    int column = scores_column_of(r, key->data, key->len);
    char *start = j->at;
    if (column >= 0) {
        if (take_number(j, -INFINITY, "a number", &r->column[column]))
            return -1;
        r->seen[column] = 1;
    }
    j->at = start;
    if (r->part_column && is(key, r->part_column) && take_part(r, j, &row->part))
        return -1;
    j->at = start;
    return 0;
}

static int take_member(struct scores_reader *r, struct json *j, const struct reqs_text *key,
                       struct scores_row *row) {
    static const char count[] = "a number of tokens, 0 to 1e100";
    if (take_asked(r, j, key, row))
        return -1;
    if (is(key, "scores"))
        return take_by_model(r, j, SCORES);
    if (is(key, "costs"))
        return take_by_model(r, j, COSTS);
    if (is(key, "output_tokens") && json_peek(j) == '{')
        return take_by_model(r, j, OUTPUTS);
    if (is(key, "responses"))
        return take_by_model(r, j, RESPONSES);
    if (is(key, "prompt"))
        return json_null(j) ? 0 : json_string(j, &row->prompt);
    if (is(key, "id"))
        return json_null(j) ? 0 : json_text(j, &row->id);
    if (is(key, "input_tokens") || is(key, "input_length"))
        return take_number(j, 0, count, &row->input_tokens);
    if (is(key, "cached_tokens"))
        return take_number(j, 0, count, &row->cached_tokens);
    if (is(key, "embedding"))
        return take_embedding(r, j);
    return json_skip(j);
}

static int take_record(struct scores_reader *r, struct json *j, struct scores_row *row) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1)
        if (take_member(r, j, &key, row))
            return -1;
    return rc ? -1 : json_end(j);
}

static int fail(const struct scores_reader *r, int64_t line, size_t at, const char *want,
                struct err *err) {
    if (at >= r->text.len)
        return err_set(err, "%s:%lld: byte %zu: expected %s, found the end of the line", r->name,
                       (long long)line, at + 1, want);
    return err_set(err, "%s:%lld: byte %zu: expected %s, found '%.20s'", r->name, (long long)line,
                   at + 1, want, r->text.data + at);
}

int scores_json_next(struct scores_reader *r, struct scores_row *row, struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(&r->in, &line, err)) == 1) {
        if (line[strspn(line, " \t\r")] == '\n')
            continue;
        size_t len = (size_t)(r->in.data + r->in.at - line) - 1;
        struct json j = {line, NULL};
        r->text.len = 0;        /* reading undoes escapes in place */
        buf_add(&r->text, line, len);
        row->text = (struct reqs_text){r->text.data, len};
        row->line = r->in.number;
        if (take_record(r, &j, row) == 0)
            return 1;
        return fail(r, row->line, (size_t)(j.at - line), j.want, err);
    }
    return rc;
}
