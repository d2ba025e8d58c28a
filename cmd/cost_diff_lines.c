/* cost_diff_lines.c - what the lines of a side say beside usage: ids, fields, steps and times */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff_read.h"
#include "lib/base/date.h"
#include "lib/trace/reqs_json.h"

/* ---- fields ------------------------------------------------------------------------------- */

static void add_field(struct diff *d, const char *name, const char *unit) {
    if (d->fields == DIFF_FIELDS)
        die("%s: expected at most %d metrics that are no patterns", d->opt->policy_path,
            DIFF_FIELDS);
    d->field[d->fields].name = name;
    d->field[d->fields].unit = unit ? unit : "";
    d->field[d->fields++].key = unit ? mem_printf("%s_%s", name, unit) : NULL;
}

void diff_name_fields(struct diff *d) {
    static const char *const quality[] = {"right", "correct", "passed", "success", "score",
                                          "accuracy"};
    for (size_t i = 0; i < d->policy->metrics; i++) {
        const struct gate_line *l = &d->policy->metric[i];
        if (!l->name[strcspn(l->name, "*?[")])
            add_field(d, l->name, l->unit);
    }
    for (size_t i = 0; i < sizeof quality / sizeof *quality; i++) {
        int known = 0;
        for (int k = 0; k < d->fields; k++)
            known |= !strcmp(d->field[k].name, quality[i]);
        if (!known)
            add_field(d, quality[i], NULL);
    }
}

void diff_free_fields(struct diff *d) {
    for (int i = 0; i < d->fields; i++)
        free(d->field[i].key);
}

static int is(const struct reqs_text *t, const char *name) {
    return t->len == strlen(name) && !memcmp(t->data, name, t->len);
}

static int starts(const struct reqs_text *t, const char *head) {
    size_t n = strlen(head);
    return t->len >= n && !memcmp(t->data, head, n);
}

/* The value at hand as a number, true and false as 1 and 0; NAN. It is passed. */
static double take_number(struct json *j) {
    char c = json_peek(j);
    double v = NAN;
    if (c == 't' || c == 'f')
        v = c == 't';
    else if (c == '-' || (c >= '0' && c <= '9'))
        v = strtod(j->at, NULL);
    json_skip(j);
    return isfinite(v) ? v : NAN;
}

/* Strings and numbers; 0: it is neither, and is passed. */
static int take_text(struct json *j, struct reqs_text *out) {
    char c = json_peek(j);
    if (c == '"' || c == '-' || (c >= '0' && c <= '9'))
        return !json_text(j, out);
    json_skip(j);
    return 0;
}

static void take_end(struct line_told *l, const struct reqs_text *key, struct json *j) {
    struct reqs_text text;
    char c = json_peek(j);
    l->is_void |= is(key, "error") && (c == '{' || c == 't');      /* as APIs answer; true */
    if (take_text(j, &text) && c == '"')
        l->is_void |= is(key, "error") ? text.len > 0 : !is(&text, "ok");
}

static void take_step(struct line_told *l, const struct reqs_text *key, double v) {
    if (isnan(v))
        return;
    if (starts(key, "flops_"))
        l->flops += v;
    else if (is(key, "kv_read_bytes") || is(key, "kv_write_bytes"))
        l->kv_bytes += v;
    else if (is(key, "dense_read_bytes") || is(key, "experts_read_bytes"))
        l->weight_bytes += v;
}

static void take_field(const struct diff *d, struct line_told *l, const struct reqs_text *key,
                       double v) {
    for (int i = 0; i < d->fields; i++) {
        if (isnan(v) || (!is(key, d->field[i].name) &&
                         (!d->field[i].key || !is(key, d->field[i].key))))
            continue;
        if (!l->field) {
            l->field = mem_array((size_t)d->fields, sizeof *l->field);
            for (int k = 0; k < d->fields; k++)
                l->field[k] = NAN;
        }
        l->field[i] = v;
    }
}

static int is_blocks(const struct reqs_text *key) {
    static const char *const names[] = {"hash_ids", "input_tok_ids", "input_token_ids",
                                        "prompt_token_ids", "token_ids"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is(key, names[i]))
            return 1;
    return 0;
}

static void take_member(struct reader *r, struct line_told *l, const struct reqs_text *key,
                        struct json *j, int *named, int *valued) {
    struct reqs_text text;
    const char *id = r->d->policy->key;
    if (is(key, id) && take_text(j, &text)) {
        free(l->id);
        l->id = mem_strndup(text.data, text.len);
        return;
    }
    if (is(key, id))
        return;
    if (is(key, "type") && take_text(j, &text)) {
        l->kind = is(&text, "step") ? LINE_STEP : is(&text, "run") ? LINE_RUN : LINE_OTHER;
    } else if (is(key, "time") && json_peek(j) == '"') {
        if (json_string(j, &text) || date_parse(text.data, text.len, &l->time_ns))
            l->time_ns = USAGE_NO_TIME;
    } else if (is(key, "error") || is(key, "end")) {
        take_end(l, key, j);
    } else if (is(key, "warmup")) {
        l->is_warmup = take_number(j) == 1;
    } else if (is_blocks(key)) {
        r->blocks = 1;
        json_skip(j);
    } else {
        double v;
        *named |= is(key, "name");
        *valued |= is(key, "value") || is(key, "samples");
        v = take_number(j);
        take_field(r->d, l, key, v);
        take_step(l, key, v);
    }
}

/* 0; -1: it is no JSON. */
static int take_object(struct reader *r, char *text) {
    struct json j = {text, NULL};
    struct line_told *l = &r->line[r->lines - 1];
    struct reqs_text key;
    int first = 1;
    int named = 0;
    int valued = 0;
    int rc;
    j.at++;
    while ((rc = json_member(&j, &first, &key)) == 1) {
        take_member(r, l, &key, &j, &named, &valued);
        if (j.want)
            return -1;
    }
    if (rc < 0)
        return -1;
    l->is_void |= l->is_warmup;
    if (l->kind == LINE_OTHER && named && valued)
        l->kind = LINE_ROW;
    r->records += l->kind == LINE_OTHER;
    return 0;
}

/* A line that is broken is left to usage.h, which says what is wrong with it. */
static void take_line(struct reader *r, char *text) {
    if (*(text + strspn(text, " \t\r")) != '{')
        return;
    r->json = 1;
    if (take_object(r, text + strspn(text, " \t\r")))
        r->records++;
}

static void note_time(struct diff_side *s, int64_t ns) {
    if (ns == USAGE_NO_TIME)
        return;
    if (!s->timed++ || ns < s->first_ns)
        s->first_ns = ns;
    if (s->timed == 1 || ns > s->last_ns)
        s->last_ns = ns;
}

static void note_line(struct diff_side *s, const struct line_told *l) {
    s->voids += l->is_void != 0;
    s->errors += l->is_void && !l->is_warmup;
    if (!l->is_void)
        note_time(s, l->time_ns);
    if (l->kind != LINE_STEP)
        return;
    s->steps++;
    s->flops += l->flops;
    s->kv_bytes += l->kv_bytes;
    s->weight_bytes += l->weight_bytes;
}

/* Lines are copied one by one: reading undoes escapes in place. */
void diff_read_lines(struct reader *r, const struct buf *text) {
    struct buf copy = {0};
    for (size_t at = 0; at < text->len;) {
        const char *end = memchr(text->data + at, '\n', text->len - at);
        size_t n = end ? (size_t)(end - text->data) - at : text->len - at;
        if (!(r->lines & (r->lines - 1)))
            r->line = mem_grow(r->line, r->lines ? 2 * r->lines : 1, sizeof *r->line);
        struct line_told *l = &r->line[r->lines++];
        *l = (struct line_told){.time_ns = USAGE_NO_TIME};
        copy.len = 0;
        buf_reserve(&copy, n + 1 + JSON_PAD);
        memcpy(copy.data, text->data + at, n);
        memset(copy.data + n, '\0', 1 + JSON_PAD);
        copy.data[n] = '\n';
        take_line(r, copy.data);
        note_line(r->side, l);
        at += n + 1;
    }
    buf_free(&copy);
}
