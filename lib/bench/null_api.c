/* null_api.c - what a request to the null server asks for, and the answers that take no time
 *
 * A body is read in place by the cursor of lib/trace/reqs_json.h, which wants one line: newlines
 * between values become blanks first (inside strings JSON has none). Tokens of the input are its
 * words, of all messages or of the prompt, or the numbers of a prompt of token ids. For the cache,
 * the words are hashed one after another; each 16 of them end a block, whose hash stands for all
 * that is before it, as in vLLM's prefix cache.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/bench/null_impl.h"
#include "lib/format/jsonw.h"
#include "lib/trace/reqs_json.h"

#define BLOCK_TOKENS 16
#define OWN "null:"             /* a model of this form names its faults */

/* ---- prefixes seen before ----------------------------------------------------------------- */

/* 1 when it was there already; else it is put in. hash is not 0. */
static int prefixes_add(struct null_prefixes *p, uint64_t hash) {
    size_t i = (size_t)hash & (p->size - 1);
    for (; p->slot[i]; i = (i + 1) & (p->size - 1))
        if (p->slot[i] == hash)
            return 1;
    p->slot[i] = hash;
    p->used++;
    return 0;
}

static void prefixes_grow(struct null_prefixes *p) {
    struct null_prefixes bigger = {.size = p->size ? p->size * 2 : 1024};
    bigger.slot = mem_array(bigger.size, sizeof *bigger.slot);
    for (size_t i = 0; i < p->size; i++)
        if (p->slot[i])
            prefixes_add(&bigger, p->slot[i]);
    free(p->slot);
    *p = bigger;
}

void null_prefixes_free(struct null_prefixes *p) {
    free(p->slot);
    *p = (struct null_prefixes){0};
}

/* ---- tokens of the input ------------------------------------------------------------------ */

struct words {
    struct null_prefixes *prefixes;     /* NULL: no cache */
    uint64_t hash;              /* of all words so far */
    int64_t n, cached;
    int missed;                 /* a block was new: what follows is, too */
};

static void end_word(struct words *w) {
    if (++w->n % BLOCK_TOKENS || !w->prefixes)
        return;
    struct rng mix = {w->hash};
    uint64_t block = rng_next(&mix) | 1;
    if (2 * (w->prefixes->used + 1) > w->prefixes->size)
        prefixes_grow(w->prefixes);
    if (!prefixes_add(w->prefixes, block))
        w->missed = 1;
    else if (!w->missed)
        w->cached = w->n;
}

/* FNV-1a (Fowler, Noll, Vo), continued over words and what separates them. */
static void hash_byte(struct words *w, unsigned char c) {
    w->hash = (w->hash ^ c) * 0x100000001B3u;
}

static int is_space(unsigned char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void count_words(struct words *w, const struct reqs_text *t) {
    int inside = 0;
    for (size_t i = 0; i < t->len; i++) {
        unsigned char c = (unsigned char)t->data[i];
        if (is_space(c)) {
            if (inside)
                end_word(w);
            inside = 0;
            continue;
        }
        if (!inside)
            hash_byte(w, ' ');
        inside = 1;
        if (w->prefixes)
            hash_byte(w, c);
    }
    if (inside)
        end_word(w);
}

/* A string, or an array of what this may be, or numbers: each a token of its own. */
static int read_prompt(struct json *j, struct words *w, int depth) {
    struct reqs_text t;
    int first = 1;
    int rc;
    if (json_peek(j) == '"') {
        if (json_string(j, &t))
            return -1;
        count_words(w, &t);
        return 0;
    }
    if (json_peek(j) != '[' || depth > 1) {
        if (json_text(j, &t))           /* a number is all that is left */
            return json_fail(j, "a prompt: a string, or an array of strings or token ids");
        count_words(w, &t);
        return 0;
    }
    json_take(j, '[');
    while ((rc = json_element(j, &first)) == 1)
        if (read_prompt(j, w, depth + 1))
            return -1;
    return rc;
}

static int is(const struct reqs_text *key, const char *name) {
    return key->len == strlen(name) && !memcmp(key->data, name, key->len);
}

/* {"type": "text", "text": "..."}; parts of other kinds count nothing. */
static int read_part(struct json *j, struct words *w) {
    struct reqs_text key;
    struct reqs_text t;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (!is(&key, "text") || json_peek(j) != '"') {
            if (json_skip(j))
                return -1;
            continue;
        }
        if (json_string(j, &t))
            return -1;
        count_words(w, &t);
    }
    return rc;
}

static int read_content(struct json *j, struct words *w) {
    struct reqs_text t;
    int first = 1;
    int rc;
    if (json_null(j))
        return 0;
    if (json_peek(j) == '"') {
        if (json_string(j, &t))
            return -1;
        count_words(w, &t);
        return 0;
    }
    if (!json_take(j, '['))
        return json_fail(j, "content: a string, an array or null");
    while ((rc = json_element(j, &first)) == 1)
        if (read_part(j, w))
            return -1;
    return rc;
}

static int read_messages(struct json *j, struct words *w) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "messages: an array");
    while ((rc = json_element(j, &first)) == 1) {
        int first_member = 1;
        if (!json_take(j, '{'))
            return json_fail(j, "an object");
        hash_byte(w, '\n');             /* a message's begin is part of the prefix */
        while ((rc = json_member(j, &first_member, &key)) == 1)
            if (is(&key, "content") ? read_content(j, w) : json_skip(j))
                return -1;
        if (rc)
            return -1;
    }
    return rc;
}

/* ---- the other members -------------------------------------------------------------------- */

static int read_bool(struct json *j, int *out) {
    char c = json_peek(j);
    if (c != 't' && c != 'f' && c != 'n')
        return json_fail(j, "true or false");
    *out = c == 't';
    return json_skip(j);
}

static int read_count(struct json *j, int64_t *out) {
    if (json_null(j))
        return 0;
    return json_count(j, out);
}

static int read_stream_options(struct json *j, struct null_ask *ask) {
    struct reqs_text key;
    int first = 1;
    int rc;
    if (json_null(j))
        return 0;
    if (!json_take(j, '{'))
        return json_fail(j, "stream_options: an object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        int bad = is(&key, "include_usage") ? read_bool(j, &ask->include_usage)
                : is(&key, "continuous_usage_stats") ? read_bool(j, &ask->every_usage)
                : json_skip(j);
        if (bad)
            return -1;
    }
    return rc;
}

static int read_model(struct json *j, struct null_ask *ask) {
    struct reqs_text t;
    size_t prefix = strlen(OWN);
    if (json_string(j, &t))
        return -1;
    ask->model.len = 0;
    jsonw_strn(&ask->model, NULL, t.data, t.len);
    if (t.len < prefix || memcmp(t.data, OWN, prefix))
        return 0;
    ask->own_faults = 1;
    if (null_faults_parse(t.data + prefix, t.len - prefix, &ask->faults))
        return json_fail(j, "a model as null:FAULT[=ARG][,FAULT...]");
    return 0;
}

static int read_member(struct json *j, const struct reqs_text *key, struct null_ask *ask,
                       struct words *w) {
    if (is(key, "model"))
        return read_model(j, ask);
    if (is(key, ask->chat ? "messages" : "prompt")) {
        ask->has_prompt = 1;
        return ask->chat ? read_messages(j, w) : read_prompt(j, w, 0);
    }
    if (is(key, "stream"))
        return read_bool(j, &ask->stream);
    if (is(key, "stream_options"))
        return read_stream_options(j, ask);
    if (is(key, "max_tokens") || is(key, "max_completion_tokens"))
        return read_count(j, &ask->max_tokens);
    if (is(key, "min_tokens"))
        return read_count(j, &ask->min_tokens);
    if (is(key, "ignore_eos"))
        return read_bool(j, &ask->ignore_eos);
    if (is(key, "n"))
        return read_count(j, &ask->n);
    return json_skip(j);
}

/* The body, which is followed by JSON_PAD readable bytes. */
static int read_ask(struct nullserver *s, struct null_conn *c, char *body, size_t len,
                    struct json *j) {
    struct null_ask *ask = &c->ask;
    struct words w = {.prefixes = s->opt.cache ? &s->prefixes : NULL, .hash = 0xCBF29CE484222325u};
    struct reqs_text key;
    int first = 1;
    int rc;
    for (char *p = body; (p = memchr(p, '\n', len - (size_t)(p - body))) != NULL;)
        *p = ' ';
    char after = body[len];
    body[len] = '\n';
    *j = (struct json){body, NULL};
    if (!json_take(j, '{')) {
        rc = json_fail(j, "an object");
    } else {
        while ((rc = json_member(j, &first, &key)) == 1)
            if (read_member(j, &key, ask, &w)) {
                rc = -1;
                break;
            }
        if (!rc)
            rc = json_end(j);
    }
    body[len] = after;
    ask->prompt_tokens = s->opt.prompt_tokens >= 0 ? s->opt.prompt_tokens : w.n;
    /* The last token is always computed: its logits are wanted. */
    ask->cached_tokens = w.cached < w.n ? w.cached : w.n - w.n % BLOCK_TOKENS - BLOCK_TOKENS;
    if (!w.cached)
        ask->cached_tokens = 0;
    return rc;
}

/* ---- answers ------------------------------------------------------------------------------ */

/* The connection's reply is complete; its bytes leave at the end of the pass. */
static void answered(struct nullserver *s, struct null_conn *c) {
    null_conn_flush_later(s, c);
    null_conn_finish(s, c);
}

static void refuse(struct nullserver *s, struct null_conn *c, int status, const char *more,
                   const char *message) {
    s->counts.refused++;
    null_http_error(c, status, more, message);
    answered(s, c);
}

/* Faults that need no stream. 1: answered, or never will be. */
static int fail_at_once(struct nullserver *s, struct null_conn *c) {
    const struct null_faults *f = &c->ask.faults;
    char more[64];
    if (null_faults_have(f, NULLSERVER_NEVER)) {
        c->state = NULL_MUTE;
        return 1;
    }
    if (null_faults_have(f, NULLSERVER_429)) {
        int64_t wait = f->arg[NULLSERVER_429];
        int64_t seconds = wait < 0 ? 1 : (wait + 999999999) / 1000000000;
        snprintf(more, sizeof more, "Retry-After: %lld\r\n", (long long)seconds);
        null_http_error(c, 429, more, "too many requests");
    } else if (null_faults_have(f, NULLSERVER_500)) {
        null_http_error(c, 500, "", "internal error");
    } else if (null_faults_have(f, NULLSERVER_503)) {
        null_http_error(c, 503, "", "overloaded");
    } else {
        return 0;
    }
    s->counts.replies++;
    answered(s, c);
    return 1;
}

/* A request that JSON allows and this server does not; NULL: it is fine. */
static const char *what_is_wrong(const struct null_ask *ask) {
    if (!ask->has_prompt)
        return ask->chat ? "messages: missing" : "prompt: missing";
    if (ask->n != 1)
        return "n: expected 1";
    if (ask->max_tokens == 0 || ask->max_tokens > NULLSERVER_MOST_TOKENS)
        return "max_tokens: expected 1 to 1048576";
    if (ask->min_tokens > NULLSERVER_MOST_TOKENS)
        return "min_tokens: expected 0 to 1048576";
    return NULL;
}

static void serve_completion(struct nullserver *s, struct null_conn *c, int chat) {
    struct null_ask *ask = &c->ask;
    struct buf model = ask->model;
    struct json j;
    char text[256];
    *ask = (struct null_ask){.chat = chat, .max_tokens = -1, .min_tokens = -1, .n = 1};
    ask->model = model;
    ask->model.len = 0;
    jsonw_str(&ask->model, NULL, "null");
    memset(ask->faults.arg, -1, sizeof ask->faults.arg);
    char *body = c->in.data + c->in_at + c->http.head;
    if (read_ask(s, c, body, c->http.length, &j)) {
        snprintf(text, sizeof text, "body, byte %td: expected %s", j.at - body, j.want);
        refuse(s, c, 400, "", text);
        return;
    }
    const char *wrong = what_is_wrong(ask);
    if (wrong) {
        refuse(s, c, 400, "", wrong);
        return;
    }
    if (s->opt.requests && s->counts.requests == s->opt.requests) {
        refuse(s, c, 503, "", "this server has taken all the requests that it was to take");
        return;
    }
    if (!s->first_ns) {
        s->first_ns = clock_ns();
        if (s->opt.stall_for_ns)
            s->next_stall_ns = s->first_ns + s->opt.stall_at_ns;
    }
    if (!ask->own_faults)
        null_faults_deal(s, s->counts.requests, &ask->faults);
    if (!ask->stream)
        ask->faults.set &= ~null_faults_of_streams;
    c->stream.number = ++s->counts.requests;
    for (int k = 0; k < NULLSERVER_FAULTS; k++)
        s->counts.fault[k] += null_faults_have(&ask->faults, k);
    if (!fail_at_once(s, c))
        null_stream_enter(s, c);
}

static void serve_models(struct null_conn *c) {
    struct buf body = {0};
    jsonw_open(&body, '{');
    jsonw_str(&body, "object", "list");
    jsonw_open_key(&body, "data", '[');
    jsonw_open(&body, '{');
    jsonw_str(&body, "id", "null");
    jsonw_str(&body, "object", "model");
    jsonw_int(&body, "created", 0);
    jsonw_str(&body, "owned_by", "llm-bench");
    jsonw_int(&body, "max_model_len", NULLSERVER_MOST_TOKENS);
    jsonw_close(&body, '}');
    jsonw_close(&body, ']');
    jsonw_close(&body, '}');
    null_http_reply(c, 200, "", &body);
    buf_free(&body);
}

void null_api_serve(struct nullserver *s, struct null_conn *c) {
    const char *path = c->http.path;
    const char *method = c->http.method;
    int chat = !strcmp(path, "/v1/chat/completions");
    int models = !strcmp(path, "/v1/models");
    if (chat || !strcmp(path, "/v1/completions")) {
        if (!strcmp(method, "POST"))
            serve_completion(s, c, chat);
        else
            refuse(s, c, 405, "Allow: POST\r\n", "expected POST");
        return;
    }
    if (!models && strcmp(path, "/health")) {
        refuse(s, c, 404, "", "no such path; there are /v1/chat/completions, /v1/completions, "
               "/v1/models and /health");
        return;
    }
    if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
        refuse(s, c, 405, "Allow: GET, HEAD\r\n", "expected GET");
        return;
    }
    struct buf ok = {0};
    buf_adds(&ok, "{\"status\":\"ok\"}");
    if (models)
        serve_models(c);
    else
        null_http_reply(c, 200, "", &ok);
    buf_free(&ok);
    answered(s, c);
}
