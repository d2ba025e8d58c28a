/* usage_codex.c - session logs of Codex (~/.codex/sessions)
 *
 * A token_count event says what the last turn used and what the whole session did. It is written
 * again, with the same totals, when something else changes that it also tells (rate limits): only
 * totals that moved are a turn. Where the last turn is missing, it is the difference of totals.
 * The log of a thread that another one spawned begins with a copy of that one's events, written
 * within one second. The model stands in the turn_context before.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cost/usage_impl.h"

#define SECOND_NS 1000000000

void usage_codex_free(struct codex *c) {
    free(c->session);
    free(c->model);
    *c = (struct codex){0};
}

void usage_codex_start(struct codex *c) {
    usage_codex_free(c);
    c->first = -1;
}

static int is(const struct found *f, enum found_text i, const char *word) {
    return f->text[i].len == strlen(word) && !memcmp(f->text[i].data, word, f->text[i].len);
}

int usage_codex_is(const struct found *f) {
    return is(f, T_TYPE, "turn_context") || is(f, T_TYPE, "session_meta") ||
           (is(f, T_TYPE, "event_msg") && is(f, T_PAYLOAD_TYPE, "token_count"));
}

static const int parts[] = {C_INPUT, C_CACHED, C_WRITTEN, C_OUTPUT, C_REASONING};
enum { PARTS = sizeof parts / sizeof *parts };

static int64_t count_of(const struct counts *c, int i) {
    return c->n[i] == UNSAID ? 0 : c->n[i];
}

static int64_t count(const struct counts *c, int part) {
    return count_of(c, parts[part]);
}

static int same(const struct counts *a, const struct counts *b) {
    for (int i = 0; i < PARTS; i++)
        if (count(a, i) != count(b, i))
            return 0;
    return 1;
}

static int is_nothing(const struct counts *a) {
    for (int i = 0; i < PARTS; i++)
        if (count(a, i))
            return 0;
    return 1;
}

/* What came since the totals before; a count that went back says nothing. */
static void difference(const struct codex *c, struct counts *now) {
    for (int i = 0; i < PARTS; i++) {
        int64_t before = c->totalled ? count(&c->total, i) : 0;
        now->n[parts[i]] = count(now, i) > before ? count(now, i) - before : 0;
    }
}

/* What was read and written is part of the input; a difference of totals may say more of it. */
static void fit_prompt(struct counts *c) {
    if (c->n[C_CACHED] > c->n[C_INPUT])
        c->n[C_CACHED] = c->n[C_INPUT];
    if (c->n[C_WRITTEN] > c->n[C_INPUT] - count_of(c, C_CACHED))
        c->n[C_WRITTEN] = c->n[C_INPUT] - count_of(c, C_CACHED);
}

static void learn(struct codex *c, const struct found *f) {
    const struct reqs_text *model = &f->text[T_MODEL];
    const struct reqs_text *id = &f->text[T_ID];
    if (!is(f, T_TYPE, "session_meta") && model->len) {
        free(c->model);
        c->model = mem_strndup(model->data, model->len);
    }
    if (is(f, T_TYPE, "session_meta") && id->len && !c->session)
        c->session = mem_strndup(id->data, id->len);
    c->replays |= f->replays;
}

/* 1: the event is of the copy that a spawned thread's log begins with. That there is one is seen in
 * the second event: it is of the first one's second. */
static int is_copy(struct codex *c, struct held *h, const struct found *f) {
    int64_t second = f->calendar_ns / SECOND_NS;
    if (!c->replays)
        return 0;
    c->events++;
    if (c->events == 1) {
        c->second = second;
        return 0;
    }
    if (second == c->second) {
        if (c->events == 2 && c->first >= 0)
            usage_held_drop(h, c->first);
        return 1;
    }
    c->replays = 0;                     /* it is over, or there was none */
    return 0;
}

int usage_codex_take(struct codex *c, struct held *h, struct found *f, int64_t *repeated) {
    int totalled = f->total.said;
    learn(c, f);
    if (!is(f, T_TYPE, "event_msg") || f->calendar_ns == USAGE_NO_TIME ||
        (!f->last.said && !totalled))
        return 0;
    int copy = is_copy(c, h, f);
    int moved = !totalled || !c->totalled || !same(&f->total, &c->total);
    f->main = f->last.said ? f->last : f->total;
    if (!f->last.said)
        difference(c, &f->main);
    if (totalled) {
        c->total = f->total;
        c->totalled = 1;
    }
    if (copy || !moved) {
        (*repeated)++;
        return 0;
    }
    if (is_nothing(&f->main))
        return 0;
    fit_prompt(&f->main);
    f->main.n[C_TOTAL] = UNSAID;
    f->main.inside = 1;
    f->text[T_ID] = (struct reqs_text){NULL, 0};
    f->text[T_MODEL] = (struct reqs_text){c->model, c->model ? strlen(c->model) : 0};
    f->text[T_SESSION] = (struct reqs_text){c->session, c->session ? strlen(c->session) : 0};
    return 1;
}
