/* ask.c - a request in a stream, and the line that it came in, see ask.h */
#include "lib/route/ask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/format/jsonw.h"
#include "lib/route/scores.h"
#include "lib/trace/reqs_json.h"

static const char *const marks[] = {"route", "route_score", "route_cost_usd"};

static int is(const struct reqs_text *key, const char *name) {
    return key->len == strlen(name) && !memcmp(key->data, name, key->len);
}

static int is_mark(const struct reqs_text *key) {
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (is(key, marks[i]))
            return 1;
    return 0;
}

/* ---- values ------------------------------------------------------------------------------- */

static int take_number(struct json *j, double least, const char *want, double *out) {
    struct reqs_text text;
    char c = json_peek(j);
    char *start = j->at;
    if (c == '"' || json_text(j, &text)) {
        j->at = start;
        return json_fail(j, want);
    }
    *out = strtod(text.data, NULL);
    if (isfinite(*out) && *out >= least)
        return 0;
    j->at = start;
    return json_fail(j, want);
}

static int take_tokens(struct json *j, double *out) {
    return take_number(j, 0, "a number of tokens, 0 or more", out);
}

static void add_chars(struct ask *a, const struct reqs_text *text) {
    a->chars = (isnan(a->chars) ? 0 : a->chars) + scores_chars(text->data, text->len);
}

static int take_prompt(struct json *j, struct ask *a) {
    struct reqs_text text;
    if (json_string(j, &text))
        return -1;
    add_chars(a, &text);
    return 0;
}

/* {"type":"text","text":"..."}; parts of other types are no text. */
static int take_part(struct json *j, struct ask *a) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "a part of a message");
    while ((rc = json_member(j, &first, &key)) == 1)
        if (is(&key, "text") && json_peek(j) == '"' ? take_prompt(j, a) : json_skip(j))
            return -1;
    return rc;
}

static int take_content(struct json *j, struct ask *a) {
    int first = 1;
    int rc;
    if (json_peek(j) == '"')
        return take_prompt(j, a);
    if (!json_take(j, '['))
        return json_skip(j);    /* null: a call of a tool */
    while ((rc = json_element(j, &first)) == 1)
        if (take_part(j, a))
            return -1;
    return rc;
}

/* [{"role":"user","content":"..."}] */
static int take_messages(struct json *j, struct ask *a) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "an array of messages");
    while ((rc = json_element(j, &first)) == 1) {
        int inner = 1;
        if (!json_take(j, '{'))
            return json_fail(j, "a message");
        while ((rc = json_member(j, &inner, &key)) == 1)
            if (is(&key, "content") ? take_content(j, a) : json_skip(j))
                return -1;
        if (rc)
            return -1;
    }
    return rc;
}

/* A number for any model, or {"MODEL": number}. */
static int take_output(struct json *j, struct ask *a, const struct ask_names *names) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (json_peek(j) != '{') {
        double *out = a->output_tokens;
        if (take_tokens(j, &out[0]))
            return -1;
        out[1] = out[0];
        return 0;
    }
    json_take(j, '{');
    while ((rc = json_member(j, &first, &key)) == 1) {
        double tokens = NAN;
        if (json_null(j))
            continue;
        if (take_tokens(j, &tokens))
            return -1;
        for (int m = 0; m < ASK_MODELS; m++)
            if (is(&key, names->model[m]))
                a->output_tokens[m] = tokens;
    }
    return rc;
}

static int take_embedding(struct json *j, struct ask *a) {
    int first = 1;
    int rc;
    a->dim = 0;
    if (!json_take(j, '['))
        return json_fail(j, "an array of numbers");
    while ((rc = json_element(j, &first)) == 1) {
        double x;
        if (take_number(j, -INFINITY, "a number", &x))
            return -1;
        if (a->dim == a->embedding_room) {
            a->embedding_room = a->embedding_room * 2 + 64;
            a->embedding = mem_grow(a->embedding, a->embedding_room, sizeof *a->embedding);
        }
        a->embedding[a->dim++] = (float)x;
    }
    return rc;
}

/* timestamp: milliseconds, or as time, which it goes before. */
static int take_time(struct json *j, struct ask *a, int milliseconds) {
    struct reqs_text text;
    char *start;
    if (a->has_time && !milliseconds)
        return json_skip(j);
    a->has_time = 1;
    if (json_peek(j) != '"' && milliseconds)
        return json_scaled(j, 1000000, &a->at_ns);
    start = j->at;
    if (!json_string(j, &text) && !date_parse(text.data, text.len, &a->at_ns))
        return 0;
    j->at = start;
    return json_fail(j, "a time as in 2026-11-24T17:12:28Z");
}

static int take_member(struct json *j, const struct reqs_text *key, struct ask *a,
                       const struct ask_names *names) {
    if (names->column && is(key, names->column)) {
        char *start = j->at;
        if (take_number(j, -INFINITY, "a finite number, which requests go by", &a->column))
            return -1;
        j->at = start;          /* it may be one of those below too */
    }
    if (json_null(j))
        return 0;
    if (is(key, "prompt") && json_peek(j) == '"')
        return take_prompt(j, a);
    if (is(key, "messages"))
        return take_messages(j, a);
    if (is(key, "input_tokens") || is(key, "input_length"))
        return take_tokens(j, &a->input_tokens);
    if (is(key, "cached_tokens"))
        return take_tokens(j, &a->cached_tokens);
    if (is(key, "output_tokens") || is(key, "output_length"))
        return take_output(j, a, names);
    if (is(key, "max_tokens") || is(key, "max_completion_tokens"))
        return take_tokens(j, &a->most_output);
    if (is(key, "timestamp") || is(key, "time"))
        return take_time(j, a, key->len > 4);
    if (is(key, "embedding") && names->embedding)
        return take_embedding(j, a);
    if (is(key, "session_id")) {
        a->has_session = 1;
        return json_id(j, &a->session);
    }
    return json_skip(j);
}

/* ---- the line ----------------------------------------------------------------------------- */

static void start(struct ask *a, const char *line, size_t len) {
    a->text.len = 0;
    buf_add(&a->text, line, len);
    a->marked = a->has_time = a->has_session = 0;
    a->dim = 0;
    a->chars = a->input_tokens = a->cached_tokens = a->most_output = a->column = NAN;
    a->output_tokens[0] = a->output_tokens[1] = NAN;
}

static int take_object(struct json *j, struct ask *a, const struct ask_names *names) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        a->marked |= is_mark(&key);
        if (take_member(j, &key, a, names))
            return -1;
    }
    return rc;
}

int ask_read(struct ask *out, char *line, const struct ask_names *names,
                   struct err *err) {
    char *end = rawmemchr(line, '\n');
    struct json j = {line, NULL};
    start(out, line, (size_t)(end - line));
    if (take_object(&j, out, names))
        return err_set(err, "character %zd: expected %s", j.at - line + 1, j.want);
    out->close = (size_t)(j.at - 1 - line);
    if (json_end(&j))
        return err_set(err, "character %zd: expected %s", j.at - line + 1, j.want);
    return 0;
}

void ask_free(struct ask *a) {
    buf_free(&a->text);
    free(a->embedding);
}

/* The members but those of an earlier pick. It was read before, so that nothing can fail. */
static void add_others(struct buf *out, const struct ask *a) {
    char *copy = mem_alloc(a->text.len + 1 + JSON_PAD);
    struct json j = {copy, NULL};
    struct reqs_text key;
    int first = 1;
    memcpy(copy, a->text.data, a->text.len);
    copy[a->text.len] = '\n';
    json_take(&j, '{');
    buf_addc(out, '{');
    for (int n = 0; json_member(&j, &first, &key) == 1;) {
        size_t from = (size_t)(key.data - 1 - copy);
        json_skip(&j);
        if (is_mark(&key))
            continue;
        if (n++)
            buf_addc(out, ',');
        buf_add(out, a->text.data + from, (size_t)(j.at - copy) - from);
    }
    free(copy);
}

void ask_write(struct buf *out, const struct ask *a, const char *model, double score,
                     double usd) {
    size_t len = a->close;
    while (len > 1 && strchr(" \t\r", a->text.data[len - 1]))
        len--;
    if (a->marked)
        add_others(out, a);
    else
        buf_add(out, a->text.data, len);
    jsonw_str(out, marks[0], model);
    jsonw_float(out, marks[1], score);
    jsonw_float(out, marks[2], usd);
    buf_add(out, a->text.data + a->close, a->text.len - a->close);
    buf_addc(out, '\n');
}
