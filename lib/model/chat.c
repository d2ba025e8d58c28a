/* chat.c - conversations as text, by the families of chat_table.c; see chat.h */
#include "lib/model/chat.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/chat_table.h"

static const struct chat *find(const char *name, size_t len) {
    for (size_t i = 0; i < chat_families; i++)
        if (strlen(chat_table[i].name) == len && !memcmp(chat_table[i].name, name, len))
            return &chat_table[i];
    return NULL;
}

const struct chat *chat_by_name(const char *name) {
    return find(name, strlen(name));
}

const char *chat_name(const struct chat *c) {
    return c->name;
}

static const char **name_list;
static pthread_once_t name_once = PTHREAD_ONCE_INIT;

static void make_name_list(void) {
    name_list = mem_array(chat_families + 1, sizeof *name_list);
    for (size_t i = 0; i < chat_families; i++)
        name_list[i] = chat_table[i].name;
}

const char *const *chat_names(void) {
    pthread_once(&name_once, make_name_list);
    return name_list;
}

/* The text of the file's EOS token, which templates call eos_token; "" when there is none. */
static int eos_is(const struct gguf *g, const char *want) {
    struct gguf_value v;
    int64_t id = gguf_int(g, "tokenizer.ggml.eos_token_id", -1);
    if (id < 0 || gguf_value(g, "tokenizer.ggml.tokens", &v) < 0 || !v.is_array ||
        v.type != GGUF_STRING || (uint64_t)id >= v.n)
        return 0;
    struct gguf_string *s = mem_array(v.n, sizeof *s);
    gguf_array_strs(&v, s);
    int same = s[id].len == strlen(want) && !memcmp(s[id].data, want, s[id].len);
    free(s);
    return same;
}

const struct chat *chat_detect(const struct gguf *g) {
    const char *template = gguf_str(g, "tokenizer.chat_template", "");
    const struct chat *c = *template ? chat_by_name(template) : NULL;
    for (size_t i = 0; !c && i < chat_rules; i++) {
        const struct chat_rule *r = &chat_rule_table[i];
        int all = *template != '\0';
        for (size_t k = 0; all && k < CHAT_MARKERS && r->marker[k]; k++)
            all = strstr(template, r->marker[k]) != NULL;
        if (all && r->eos)
            all = eos_is(g, r->eos);
        if (all)
            c = chat_by_name(r->name);
    }
    return c;
}

static void trimmed(const char **s, size_t *len) {
    while (*len && isspace((unsigned char)**s)) {
        ++*s;
        --*len;
    }
    while (*len && isspace((unsigned char)(*s)[*len - 1]))
        --*len;
}

static void add(struct buf *out, const char *s) {
    if (s)
        buf_adds(out, s);
}

/* What stands before a message, whoever speaks. */
static void begin_message(const struct chat *c, struct chat_state *st, int system,
                          struct buf *out) {
    if (!st->turns) {
        add(out, c->head);
        if (!system)
            add(out, c->head_without_system);
    } else {
        add(out, c->between);
    }
    if (!st->inside)
        add(out, st->turns ? c->open_next : c->open_first);
}

static void add_message(const struct chat_message *m, const char *s, size_t len,
                        const struct buf *merged, struct buf *out) {
    add(out, m->before);
    if (merged && merged->len) {
        buf_add(out, merged->data, merged->len);
        buf_adds(out, "\n\n");
    }
    buf_add(out, s, len);
    add(out, m->after);
    add(out, m->tail);
}

void chat_turn(const struct chat *c, struct chat_state *st, const char *role, const char *text,
               struct buf *out) {
    int system = !strcmp(role, "system");
    int assistant = !strcmp(role, "assistant");
    const struct chat_message *m = system ? &c->system : assistant ? &c->assistant : &c->user;
    const char *s = text;
    size_t len = strlen(text);
    if (m->trim)
        trimmed(&s, &len);
    if (system && c->system_rule == CHAT_SYSTEM_MERGED) {
        buf_add(&st->pending, s, len);
        st->turns++;
        return;
    }
    begin_message(c, st, system, out);
    int dropped = system && (c->system_rule == CHAT_SYSTEM_NONE ||
                             (c->system_rule == CHAT_SYSTEM_FIRST && st->turns));
    if (!dropped)
        add_message(m, s, len, system || assistant ? NULL : &st->pending, out);
    if (!system && !assistant)
        buf_free(&st->pending);
    st->inside = !assistant;
    st->turns++;
}

void chat_open_reply(const struct chat *c, struct chat_state *st, struct buf *out) {
    if (!st->turns) {
        add(out, c->head);
        add(out, c->head_without_system);
    } else if (c->reply) {
        add(out, c->between);
    }
    add(out, c->reply);
}

void chat_close_reply(const struct chat *c, struct chat_state *st, int ended, struct buf *out) {
    if (!ended)
        add(out, c->assistant.after);
    add(out, c->assistant.tail);
    st->inside = 0;
    st->turns++;
}
