/* usage.c - what requests used, out of any log: files, lines, documents, the loop; see usage.h
 *
 * A line that begins with a brace or a bracket is JSON; a file whose first line does not is left to
 * lib/trace/reqs.h (tables of lengths). A JSON document of several lines is joined to one line
 * first. Records of session logs are held back until all is read, since a message may come again.
 */
#include "lib/cost/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cost/usage_impl.h"

/* ---- files --------------------------------------------------------------------------- */

static void close_file(struct usages *u) {
    if (!u->open)
        return;
    if (u->reqs)
        reqs_close(u->reqs);
    else
        reqs_lines_free(&u->in);
    u->reqs = NULL;
    u->open = u->in_array = 0;
}

static int is_blank(const char *line) {
    while (*line == ' ' || *line == '\t' || *line == '\r')
        line++;
    return *line == '\n';
}

/* Looks at the first line that is not blank: a table of lengths is read by reqs. */
static int sniff(struct usages *u, struct err *err) {
    char *line;
    int rc = reqs_lines_next(&u->in, &line, err);
    if (rc == 1) {
        line += strncmp(line, "\xEF\xBB\xBF", 3) ? 0 : 3;
        reqs_lines_back(&u->in, line);
        do
            rc = reqs_lines_next(&u->in, &line, err);
        while (rc == 1 && is_blank(line));
    }
    if (rc <= 0)
        return rc;
    reqs_lines_back(&u->in, line);
    if (usage_first_char(line) == '{' || usage_first_char(line) == '[')
        return 0;
    const struct reqs_options opt = {.skip_bad = u->opt.skip_bad};
    u->reqs = reqs_open_lines(&u->in, &opt, err);
    if (!u->reqs) {
        u->open = 0;            /* the lines are gone with it */
        return -1;
    }
    return 0;
}

static int open_file(struct usages *u, struct err *err) {
    struct zio *z = zio_open_read(u->path[u->at], err);
    if (!z)
        return -1;
    reqs_lines_init(&u->in, z);
    u->open = 1;
    u->messages = 0;
    usage_codex_start(&u->codex);
    return sniff(u, err);
}

static struct usages *open_all(struct usages *u, const struct usage_options *opt,
                               struct err *err) {
    u->opt = *opt;
    u->keys = usage_keys_new();
    u->held = usage_held_new();
    if (open_file(u, err)) {
        usage_close(u);
        return NULL;
    }
    return u;
}

struct usages *usage_open(const char *path, const struct usage_options *opt, struct err *err) {
    struct usages *u = mem_alloc(sizeof *u);
    u->only[0] = mem_strdup(path);
    u->path = u->only;
    u->files = 1;
    return open_all(u, opt, err);
}

struct usages *usage_open_files(char *const *path, int n, const struct usage_options *opt,
                                struct err *err) {
    struct usages *u = mem_alloc(sizeof *u);
    u->path = path;
    u->files = n;
    return open_all(u, opt, err);
}

void usage_close(struct usages *u) {
    if (!u)
        return;
    close_file(u);
    usage_held_free(u->held);
    usage_codex_free(&u->codex);
    free(u->keys);
    free(u->ids.v);
    free(u->joint.v);
    free(u->only[0]);
    free(u);
}

const struct usage_totals *usage_totals(const struct usages *u) {
    return &u->totals;
}

/* ---- records ------------------------------------------------------------------------- */

static int is(const struct reqs_text *t, const char *word) {
    return t->len == strlen(word) && !memcmp(t->data, word, t->len);
}

/* What providers call the usual is not said. */
static struct reqs_text said(struct reqs_text t) {
    static const char *const usual[] = {"default", "auto", "standard", "not_available", "global"};
    for (size_t i = 0; t.data && i < sizeof usual / sizeof *usual; i++)
        if (is(&t, usual[i]))
            return (struct reqs_text){NULL, 0};
    return t;
}

static void fill(const struct usages *u, const struct found *f, struct usage *out) {
    static const struct reqs_text batch = {"batch", 5};
    int64_t offset = f->offset_ns;
    if (offset != USAGE_NO_TIME && f->chat.data && f->parent_chat.data &&
        __builtin_mul_overflow(offset, 1000, &offset))          /* theirs are seconds */
        offset = USAGE_NO_TIME;
    out->file = u->at;
    out->line = u->number;
    out->time_ns = f->calendar_ns;
    out->offset_ns = f->calendar_ns == USAGE_NO_TIME ? offset : USAGE_NO_TIME;
    if (out->offset_ns != USAGE_NO_TIME && u->opt.start_ns &&
        __builtin_add_overflow(offset, u->opt.start_ns, &out->time_ns))
        out->time_ns = USAGE_NO_TIME;
    out->id = f->text[T_ID];
    out->model = f->text[T_MODEL];
    out->session = f->text[T_SESSION];
    out->service = f->batch ? batch : said(f->text[T_SERVICE]);
    out->region = said(f->text[T_REGION]);
    out->speed = said(f->text[T_SPEED]);
}

/* A log of Codex that does not say what session it is, is named after its file. */
static struct reqs_text name_of_file(const struct usages *u) {
    const char *path = u->path[u->at];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!strcmp(path, "-"))
        return (struct reqs_text){NULL, 0};
    return (struct reqs_text){name, strcspn(name, ".")};
}

/* Bare numbers count in records of these types alone. */
static int is_request(const struct found *f) {
    static const char *const types[] = {"request", "tokens", "duration"};
    const struct reqs_text *t = &f->text[T_TYPE];
    if (!t->data || f->nested || (f->chat.data && f->parent_chat.data))
        return 1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (is(t, types[i]))
            return 1;
    return 0;
}

/* 1: what was found is to be counted. */
static int counts(struct usages *u, struct found *f) {
    if (usage_codex_is(f))
        return usage_codex_take(&u->codex, u->held, f, &u->totals.repeated);
    u->messages |= f->message;
    if (!f->main.said || !is_request(f) || is(&f->text[T_MODEL], "<synthetic>"))
        return 0;
    return !(u->messages && is(&f->text[T_TYPE], "result"));    /* a sum of messages */
}

enum outcome { RECORD, NOTHING, HELD, BAD };

/* The object at j. BAD: said in err. */
static enum outcome take_object(struct usages *u, struct json *j, struct usage *out,
                                struct err *err) {
    struct found *f = &u->found;
    char why[256];
    if (usage_find(u->keys, j, f, &u->ids)) {
        usage_json_error(u, j, err);
        return BAD;
    }
    int is_codex = usage_codex_is(f);
    if (f->wrong.at && (f->main.said || is_codex || f->wrong_usage) && is_request(f)) {
        usage_json_error(u, &f->wrong, err);
        return BAD;
    }
    if (!counts(u, f))
        return NOTHING;
    if (is_codex && !f->text[T_SESSION].data)
        f->text[T_SESSION] = name_of_file(u);
    fill(u, f, out);
    if (usage_settle(&f->main, out, why)) {
        long long line;
        long long column;
        usage_locate(u, j->at, &line, &column);
        err_set(err, "%s:%lld: %s", zio_name(u->in.z), u->joint.n ? line : (long long)u->number,
                why);
        return BAD;
    }
    if (is_codex) {
        int64_t i = usage_held_turn(u->held, out, &u->totals.repeated);
        u->codex.first = u->codex.events == 1 ? i : u->codex.first;
    } else if (f->message || (f->metadata && u->in_array)) {
        /* Gemini answers as an array of pieces, each with the counts so far. */
        usage_held_message(u->held, out, &f->text[T_REQUEST], f->sidechain, &u->totals.repeated);
    } else {
        return RECORD;
    }
    return HELD;
}

/* The next element of the array that is open: its outcome; NOTHING at its end too. */
static enum outcome take_element(struct usages *u, struct usage *out, struct err *err) {
    if (json_element(&u->j, &u->first) != 1) {
        u->in_array = 0;
        return HELD;
    }
    if (json_peek(&u->j) == '{')
        return take_object(u, &u->j, out, err);
    json_skip(&u->j);
    return NOTHING;
}

/* The next line, or the next part of it: 1 with its outcome, 0 at the end, -1. */
static int take_next(struct usages *u, struct usage *out, enum outcome *what, struct err *err) {
    struct json j;
    if (u->in_array) {
        *what = take_element(u, out, err);
        return 1;
    }
    int rc = reqs_lines_next(&u->in, &u->line, err);
    if (rc <= 0)
        return rc;
    u->number = u->in.number;
    *what = HELD;                       /* that is, nothing to tell of a blank line */
    if (is_blank(u->line))
        return 1;
    rc = usage_document(u, &j, err);
    if (rc < 0)
        return -1;
    if (rc == 1) {
        *what = BAD;
    } else if (json_take(&j, '[')) {
        u->j = j;
        u->in_array = u->first = 1;
    } else {
        *what = take_object(u, &j, out, err);
        if (*what != BAD && json_end(&j)) {
            usage_json_error(u, &j, err);
            *what = BAD;
        }
    }
    return 1;
}

static int next_of_json(struct usages *u, struct usage *out, struct err *err) {
    enum outcome what;
    int rc;
    while ((rc = take_next(u, out, &what, err)) == 1) {
        if (what == RECORD)
            return 1;
        u->totals.other += what == NOTHING;
        if (what == BAD && !u->opt.skip_bad)
            return -1;
        u->totals.bad += what == BAD;
    }
    return rc;
}

/* ---- tables of lengths --------------------------------------------------------------- */

static void clear(struct counts *c, const struct req *q) {
    memset(c->n, 0xFF, sizeof c->n);
    c->seconds_ns = UNSAID;
    c->inside = c->said = 1;
    c->n[C_INPUT] = q->input_tokens;
    c->n[C_OUTPUT] = q->output_tokens;
    c->n[C_CACHED] = q->cached_tokens;
    c->n[C_WRITTEN] = q->cache_write_tokens;
    c->n[C_REASONING] = q->reasoning_tokens;
}

static int next_of_reqs(struct usages *u, struct usage *out, struct err *err) {
    struct found *f = &u->found;
    struct req q;
    int rc;
    while ((rc = reqs_next(u->reqs, &q, err)) == 1) {
        char why[256];
        if (q.input_tokens == REQS_UNKNOWN)
            return err_set(err, "%s:%lld: block ids alone: expected lengths of requests",
                           u->path[u->at], (long long)q.line);
        memset(f, 0, offsetof(struct found, main));
        const char *session = q.session == REQS_NO_SESSION ? NULL
                                                           : reqs_session(u->reqs, q.session);
        f->calendar_ns = q.calendar_ns == REQS_UNKNOWN ? USAGE_NO_TIME : q.calendar_ns;
        f->offset_ns = reqs_totals(u->reqs)->timed ? q.time_ns : USAGE_NO_TIME;
        f->text[T_ID] = q.id;
        f->text[T_MODEL] = q.model;
        f->text[T_SESSION] = (struct reqs_text){session, session ? strlen(session) : 0};
        clear(&f->main, &q);
        u->number = q.line;
        fill(u, f, out);
        if (!usage_settle(&f->main, out, why))
            return 1;
        if (!u->opt.skip_bad)
            return err_set(err, "%s:%lld: %s", u->path[u->at], (long long)q.line, why);
        u->totals.bad++;
    }
    u->totals.bad += rc == 0 ? reqs_totals(u->reqs)->bad : 0;
    return rc;
}

int usage_next(struct usages *u, struct usage *out, struct err *err) {
    while (u->at < u->files) {
        if (!u->open && open_file(u, err))
            return -1;
        int rc = u->reqs ? next_of_reqs(u, out, err) : next_of_json(u, out, err);
        u->totals.bytes = u->bytes + (u->reqs ? reqs_totals(u->reqs)->bytes : u->in.bytes);
        u->totals.records += rc == 1;
        if (rc)
            return rc;
        u->bytes = u->totals.bytes;
        close_file(u);
        u->at++;
    }
    if (!usage_held_take(u->held, out))
        return 0;
    u->totals.records++;
    return 1;
}

int usage_wait(const struct usages *u) {
    if (!u->open)
        return u->at < u->files;
    return u->reqs ? reqs_wait(u->reqs) : !u->in_array && reqs_lines_wait(&u->in);
}
