/* routed_json.c - JSON Lines with the experts of a request in each
 *
 * What servers answer with, kept a line each, and what scripts write:
 *
 *   vLLM      choices[].routed_experts, and prompt_routed_experts beside choices; offline the same
 *             in outputs[]
 *   SGLang    meta_info.routed_experts, or choices[].sgl_ext.routed_experts
 *   OLMoE     exp_ids [tokens][k][layers]
 *   any       routed_experts [tokens][layers][k]
 *
 * A line is walked once: where the arrays stand is noted, the numbers around them are taken, and
 * the arrays are read only then, since what says how many tokens are the prompt may come last.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

struct record {                 /* a line */
    char *prompt;               /* where prompt_routed_experts stands; NULL: there is none */
    char **routes;              /* [n] arrays, each a request's; NULL: it has a prompt alone */
    size_t n, cap;
    enum routed_order order;
    int64_t prompt_tokens, made_tokens;         /* -1: not said */
    int64_t request;            /* -1: not said */
};

struct json_state {
    struct routed_slab slab;
    struct routed_ids ids;      /* what slab.expert was made of: its memory */
    char *line;
    struct record record;
    size_t done;                /* of record.n */
    int64_t requests;           /* before this one */
    int64_t lines_without;      /* lines in which there were no routes */
};

static int same(const struct reqs_text *t, const char *s) {
    return t->len == strlen(s) && !memcmp(t->data, s, t->len);
}

/* ---- walking a line --------------------------------------------------------------------- */

static void add_routes(struct record *c, char *at) {
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 4;
        c->routes = mem_grow(c->routes, c->cap, sizeof *c->routes);
    }
    c->routes[c->n++] = at;
}

/* The value at j is routes, unless it is null. */
static int note_routes(struct json *j, struct record *c, enum routed_order order) {
    if (json_null(j))
        return 0;
    c->order = order;
    json_peek(j);
    add_routes(c, j->at);
    return json_skip(j);
}

/* A number of tokens, or the ids of which it is the number; nothing where it is neither. */
static int note_count(struct json *j, int64_t *out) {
    int first = 1;
    int rc;
    char c = json_peek(j);
    if (c >= '0' && c <= '9')
        return json_count(j, out);
    if (c != '[')
        return json_skip(j);
    int64_t n = 0;
    json_take(j, '[');
    while ((rc = json_element(j, &first)) == 1) {
        if (json_skip(j))
            return -1;
        n++;
    }
    *out = n;
    return rc;
}

#define INNER_MOST 2            /* choices[i].sgl_ext: no reason to follow a line deeper */

/* Members of an object that has routes in it but is not the line's: choices[i], meta_info. */
static int walk_inner(struct json *j, struct record *c, int depth) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_skip(j);
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (same(&key, "routed_experts"))
            rc = note_routes(j, c, ROUTED_LAYERS_K);
        else if (same(&key, "sgl_ext") && depth < INNER_MOST)
            rc = walk_inner(j, c, depth + 1);
        else if (same(&key, "prompt_tokens") || same(&key, "prompt_token_ids"))
            rc = note_count(j, &c->prompt_tokens);
        else if (same(&key, "completion_tokens") || same(&key, "token_ids"))
            rc = note_count(j, &c->made_tokens);
        else
            rc = json_skip(j);
        if (rc < 0)
            return -1;
    }
    return rc;
}

static int walk_choices(struct json *j, struct record *c) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_skip(j);
    while ((rc = json_element(j, &first)) == 1)
        if (walk_inner(j, c, 1))
            return -1;
    return rc;
}

static int note_request(struct json *j, struct record *c) {
    int64_t v;
    struct json at = *j;
    char digit = json_peek(j);
    if (digit >= '0' && digit <= '9' && json_count(&at, &v) == 0 && v <= UINT32_MAX)
        c->request = v;
    return json_skip(j);
}

static int take_member(struct json *j, const struct reqs_text *key, struct record *c) {
    if (same(key, "routed_experts"))
        return note_routes(j, c, ROUTED_LAYERS_K);
    if (same(key, "exp_ids"))
        return note_routes(j, c, ROUTED_K_LAYERS);
    if (same(key, "choices") || same(key, "outputs"))
        return walk_choices(j, c);
    if (same(key, "meta_info") || same(key, "sgl_ext") || same(key, "usage"))
        return walk_inner(j, c, 1);
    if (same(key, "prompt_tokens") || same(key, "num_prompt_tokens") ||
        same(key, "prompt_token_ids"))
        return note_count(j, &c->prompt_tokens);
    if (same(key, "request"))
        return note_request(j, c);
    if (!same(key, "prompt_routed_experts"))
        return json_skip(j);
    if (json_null(j))
        return 0;
    json_peek(j);
    c->prompt = j->at;
    return json_skip(j);
}

static int walk_line(struct json *j, struct record *c) {
    struct reqs_text key;
    int first = 1;
    int rc;
    char **routes = c->routes;
    *c = (struct record){.routes = routes, .cap = c->cap, .prompt_tokens = -1, .made_tokens = -1,
                         .request = -1};
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1)
        if (take_member(j, &key, c))
            return -1;
    return rc < 0 ? -1 : json_end(j);
}

/* ---- requests --------------------------------------------------------------------------- */

static int json_error(const struct routed *r, const struct json *j, struct err *err) {
    const struct json_state *s = r->state;
    if (!j->want)               /* said already, without the line */
        return err_prefix(err, "%s: line %" PRId64, r->name, r->lines.number);
    return err_set(err, "%s: line %" PRId64 ", column %td: expected %s", r->name, r->lines.number,
                   j->at - s->line + 1, j->want);
}

/* Goes to the next line with routes: 1, 0 the end, -1. */
static int next_record(struct routed *r, struct err *err) {
    struct json_state *s = r->state;
    int rc;
    while ((rc = reqs_lines_next(&r->lines, &s->line, err)) == 1) {
        struct json j = {s->line, NULL};
        if (json_peek(&j) == '\n')
            continue;
        if (walk_line(&j, &s->record))
            return json_error(r, &j, err);
        s->done = 0;
        if (!s->record.n && s->record.prompt)   /* that nothing came after */
            add_routes(&s->record, NULL);
        if (s->record.n)
            return 1;
        s->lines_without++;
    }
    return rc;
}

/* How many of n tokens are the prompt, where one array has both: servers leave out the last token
 * made, which no layer saw. An array without the prompt has no more tokens than were made, and
 * fewer than both together. */
static int64_t prompt_in(const struct record *c, int64_t n, int *decoded) {
    *decoded = c->prompt_tokens >= 0;
    if (c->prompt_tokens < 0)
        return 0;
    if (c->n == 1 && c->made_tokens >= 0 && n <= c->made_tokens &&
        n < c->prompt_tokens + c->made_tokens - 1)
        return 0;
    return n < c->prompt_tokens ? n : c->prompt_tokens;
}

static int64_t said_tokens(const struct record *c) {
    return c->n == 1 && c->prompt_tokens >= 0 && c->made_tokens >= 0
        ? c->prompt_tokens + c->made_tokens : 0;
}

/* Reads the arrays of the record's next request into the slab. */
static int read_request(struct routed *r, struct routed_request *q, struct err *err) {
    struct json_state *s = r->state;
    struct record *c = &s->record;
    struct routed_ids ids = {.id = s->ids.id, .cap = s->ids.cap};
    struct json j = {c->prompt ? c->prompt : c->routes[s->done], NULL};
    char place[32];
    *q = (struct routed_request){.step = 0};
    int rc = routed_value(r, &j, c->order, said_tokens(c), &ids, err);
    if (rc == 0 && c->prompt && c->routes[s->done]) {
        q->prompt = ids.tokens;
        j.at = c->routes[s->done];
        rc = routed_value(r, &j, c->order, 0, &ids, err);
    } else if (c->prompt) {
        q->prompt = ids.tokens;
    }
    q->decoded = c->prompt != NULL;
    s->ids = ids;
    if (rc)
        return json_error(r, &j, err);
    snprintf(place, sizeof place, "line %" PRId64, r->lines.number);
    s->slab.n = s->slab.at = 0;
    s->slab.expert = ids.id;
    if (!ids.tokens)
        return 0;
    if (!c->prompt)
        q->prompt = prompt_in(c, ids.tokens, &q->decoded);
    return routed_frame_set(r, ids.layers, ids.k, place, err) ||
           routed_slab_frame(r, &s->slab, ids.tokens, 0, place, err) ? -1 : 0;
}

/* The next request with tokens is in the slab: 1, 0 the end, -1. */
static int next_request(struct routed *r, struct err *err) {
    struct json_state *s = r->state;
    struct routed_request q;
    do {
        if (s->done == s->record.n) {
            int rc = next_record(r, err);
            if (rc < 1)
                return rc;
        }
        if (read_request(r, &q, err))
            return -1;
        s->done++;
        q.request = (uint32_t)(s->record.request < 0 ? s->requests : s->record.request);
        s->requests++;
    } while (!s->slab.n);
    q.step = q.prompt > 0;
    /* Without the prompt's routes the tokens made still stand behind it. */
    if (q.decoded && !q.prompt && s->record.prompt_tokens > 0)
        q.position = s->record.prompt_tokens;
    routed_slab_request(&s->slab, &q);
    return 1;
}

static int json_open(struct routed *r, struct err *err) {
    struct json_state *s = mem_alloc(sizeof *s);
    r->state = s;
    routed_use_lines(r);
    int rc = next_request(r, err);
    if (rc == 0 && !s->requests)
        return err_set(err, "%s: expected JSON Lines with routed_experts or exp_ids, found "
                       "%" PRId64 " line%s without", r->name, s->lines_without,
                       s->lines_without == 1 ? "" : "s");
    return rc < 0 ? -1 : 0;     /* the end: requests without tokens, of which there is no model */
}

static int json_next(struct routed *r, struct routed_rows *out, struct err *err) {
    struct json_state *s = r->state;
    if (s->slab.at == s->slab.n) {
        int rc = next_request(r, err);
        if (rc < 1)
            return rc;
    }
    return routed_slab_next(r, &s->slab, out);
}

static void json_close(struct routed *r) {
    struct json_state *s = r->state;
    if (!s)
        return;
    s->slab.expert = s->ids.id;
    routed_slab_free(&s->slab);
    free(s->record.routes);
    free(s);
}

const struct routed_format routed_json = {
    .kind = ROUTED_TOKENS, .open = json_open, .next = json_next, .close = json_close};
