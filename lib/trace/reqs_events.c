/* reqs_events.c - requests from the KV cache event logs of vLLM and SGLang
 *
 * An engine publishes what its cache does: blocks stored (with the block before them), removed,
 * all cleared. It does not publish requests, nor hits. Requests are put together again:
 *
 *   - blocks stored behind the newest block of a chain that is still open extend that chain: the
 *     next piece of a long prompt, or what the model made of it;
 *   - all others begin a chain, a request. The blocks before them, known through the links to
 *     parents, were in the cache: its hits. A request is its hits followed by what it stored.
 *
 * A chain is closed when its newest block is removed, when all are cleared, or when it stored
 * nothing for CHAIN_IDLE. What cannot be seen is in llm-requests(5).
 *
 * A chain is one link to its newest block, however long it grows; its blocks are listed when it is
 * handed out, in the order in which chains began.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/trace/reqs_impl.h"

#define NONE UINT32_MAX
#define CHAIN_IDLE ((int64_t)60 * 1000000000)   /* longer than any step of a live request */

/* A block. Its parent has a lower number always, hence links never form a ring. */
struct node {
    uint64_t id;
    uint32_t parent;            /* NONE: it is the first, or what was before is not known */
    uint32_t depth;             /* blocks before it */
    uint32_t open;              /* number of a chain whose newest block this is; NONE */
};

struct chain {
    int64_t line;
    int64_t start_ns, last_ns;
    uint32_t tip;               /* its newest block */
    uint32_t hits;              /* blocks that were there when it began */
    uint32_t before, next;      /* chains with the same newest block, while open; NONE */
    int closed;
};

enum kind { STORED, REMOVED, CLEARED, FOREIGN };

struct event {
    enum kind kind;
    size_t first, n;            /* of reqs_events.hash */
    int has_parent;
    uint64_t parent;
    int64_t block_size;
    int64_t group;
    struct reqs_text medium;
};

struct reqs_events {
    struct node *node;
    uint32_t nodes;
    size_t node_cap;
    uint32_t *place;            /* open addressing: a node's number, or NONE */
    size_t mask;
    struct chain *chain;        /* numbers first_chain.. are here, [head] is first_chain */
    size_t head, chains, chain_cap;
    uint32_t first_chain;
    uint32_t open_from;         /* no chain before this number is open */
    struct event *event;        /* of a line; applied once all of it is understood */
    size_t events, event_cap;
    struct json_u64s hash;      /* block hashes of the line */
    struct json_u64s scratch;
    int timed;
    int64_t now_ns;
};

struct reqs_events *reqs_events_new(void) {
    struct reqs_events *e = mem_alloc(sizeof *e);
    e->mask = 1023;
    e->place = mem_grow(NULL, e->mask + 1, sizeof *e->place);
    memset(e->place, 0xFF, (e->mask + 1) * sizeof *e->place);
    return e;
}

void reqs_events_free(struct reqs_events *e) {
    if (!e)
        return;
    free(e->node);
    free(e->place);
    free(e->chain);
    free(e->event);
    free(e->hash.v);
    free(e->scratch.v);
    free(e);
}

/* ---- blocks ----------------------------------------------------------------------------- */

/* Where the id stands in the table, or would. */
static uint32_t *find_place(const struct reqs_events *e, uint64_t id) {
    size_t at = reqs_hash_token(0, id) & e->mask;
    while (e->place[at] != NONE && e->node[e->place[at]].id != id)
        at = (at + 1) & e->mask;
    return &e->place[at];
}

static void grow_nodes(struct reqs_events *e) {
    e->node_cap = e->node_cap ? e->node_cap * 2 : 512;
    e->node = mem_grow(e->node, e->node_cap, sizeof *e->node);
    if (e->node_cap * 2 <= e->mask + 1)
        return;
    e->mask = e->node_cap * 2 - 1;
    e->place = mem_grow(e->place, e->mask + 1, sizeof *e->place);
    memset(e->place, 0xFF, (e->mask + 1) * sizeof *e->place);
    for (uint32_t i = 0; i < e->nodes; i++)
        *find_place(e, e->node[i].id) = i;
}

/* The block `id` behind `parent`. One that stood behind another block before (its first parent was
 * not known, or ids are not chained) is a new one from now on; earlier chains keep the old. */
static uint32_t add_node(struct reqs_events *e, uint64_t id, uint32_t parent) {
    uint32_t *place = find_place(e, id);
    if (*place != NONE && e->node[*place].parent == parent)
        return *place;
    if (e->nodes == e->node_cap) {
        grow_nodes(e);
        place = find_place(e, id);
    }
    *place = e->nodes;
    e->node[e->nodes] = (struct node){.id = id, .parent = parent, .open = NONE,
        .depth = parent == NONE ? 0 : e->node[parent].depth + 1};
    return e->nodes++;
}

/* The block that others say stands before them. */
static uint32_t find_parent(struct reqs_events *e, uint64_t id) {
    uint32_t known = *find_place(e, id);
    return known != NONE ? known : add_node(e, id, NONE);
}

/* ---- chains ----------------------------------------------------------------------------- */

static struct chain *chain_at(const struct reqs_events *e, uint32_t number) {
    return &e->chain[e->head + (number - e->first_chain)];
}

static int is_idle(const struct reqs_events *e, const struct chain *c) {
    return e->timed && e->now_ns - c->last_ns > CHAIN_IDLE;
}

static void link_chain(struct reqs_events *e, uint32_t number) {
    struct chain *c = chain_at(e, number);
    uint32_t *first = &e->node[c->tip].open;
    c->before = NONE;
    c->next = *first;
    if (*first != NONE)
        chain_at(e, *first)->before = number;
    *first = number;
}

static void unlink_chain(struct reqs_events *e, uint32_t number) {
    struct chain *c = chain_at(e, number);
    if (c->before != NONE)
        chain_at(e, c->before)->next = c->next;
    else
        e->node[c->tip].open = c->next;
    if (c->next != NONE)
        chain_at(e, c->next)->before = c->before;
}

static void close_chain(struct reqs_events *e, uint32_t number) {
    struct chain *c = chain_at(e, number);
    if (!c->closed)
        unlink_chain(e, number);
    c->closed = 1;
}

/* An open chain whose newest block this is, the one that stored last; NONE. */
static uint32_t find_open(struct reqs_events *e, uint32_t node) {
    while (e->node[node].open != NONE && is_idle(e, chain_at(e, e->node[node].open)))
        close_chain(e, e->node[node].open);
    return e->node[node].open;
}

static uint32_t add_chain(struct reqs_events *e, int64_t line, uint32_t hits) {
    if (e->head + e->chains == e->chain_cap) {
        if (e->head > e->chains) {      /* half is handed out: move down rather than grow */
            memmove(e->chain, e->chain + e->head, e->chains * sizeof *e->chain);
            e->head = 0;
        } else {
            e->chain_cap = e->chain_cap ? e->chain_cap * 2 : 64;
            e->chain = mem_grow(e->chain, e->chain_cap, sizeof *e->chain);
        }
    }
    e->chain[e->head + e->chains] = (struct chain){.line = line, .start_ns = e->now_ns,
                                                   .hits = hits, .next = NONE};
    return e->first_chain + (uint32_t)e->chains++;
}

static void apply_stored(struct reqs_events *e, const struct event *v, int64_t line) {
    uint32_t at = v->has_parent ? find_parent(e, v->parent) : NONE;
    uint32_t number = at == NONE ? NONE : find_open(e, at);
    if (number == NONE)
        number = add_chain(e, line, at == NONE ? 0 : e->node[at].depth + 1);
    else
        unlink_chain(e, number);
    for (size_t i = 0; i < v->n; i++)
        at = add_node(e, e->hash.v[v->first + i], at);
    struct chain *c = chain_at(e, number);
    c->tip = at;
    c->last_ns = e->now_ns;
    link_chain(e, number);
}

static void apply_removed(struct reqs_events *e, const struct event *v) {
    for (size_t i = 0; i < v->n; i++) {
        uint32_t node = *find_place(e, e->hash.v[v->first + i]);
        while (node != NONE && e->node[node].open != NONE)
            close_chain(e, e->node[node].open);
    }
}

static void apply_cleared(struct reqs_events *e) {
    uint32_t end = e->first_chain + (uint32_t)e->chains;
    for (; e->open_from < end; e->open_from++)
        close_chain(e, e->open_from);
}

/* ---- lines ------------------------------------------------------------------------------ */

/* Equal but for case, in which engines and what records them do not agree ("gpu"). */
static int is_text(const struct reqs_text *t, const char *s) {
    return t->len == strlen(s) && !strncasecmp(t->data, s, t->len);
}

static enum kind kind_of(const struct reqs_text *type) {
    return is_text(type, "BlockStored") ? STORED : is_text(type, "BlockRemoved") ? REMOVED
        : is_text(type, "AllBlocksCleared") ? CLEARED : FOREIGN;
}

enum field { TYPE, HASHES, PARENT, BLOCK_SIZE, MEDIUM, GROUP, REST };

static enum field field_of(const struct reqs_text *key) {
    static const char *const names[] = {"type", "block_hashes", "parent_block_hash",
                                        "block_size", "medium", "group_idx"};
    int i = 0;
    while (i < REST && !is_text(key, names[i]))
        i++;
    return (enum field)i;
}

static int take_hashes(struct reqs_events *e, struct json *j, struct event *v) {
    if (json_ids(j, &e->scratch))
        return -1;
    v->first = e->hash.n;
    v->n = e->scratch.n;
    for (size_t i = 0; i < v->n; i++)
        json_u64s_add(&e->hash, e->scratch.v[i]);
    return 0;
}

static int take_field(struct reqs_events *e, struct json *j, enum field field, struct event *v) {
    struct reqs_text type;
    if (json_null(j))
        return 0;
    switch (field) {
    case TYPE:
        if (json_string(j, &type))
            return -1;
        v->kind = kind_of(&type);
        return 0;
    case HASHES: return take_hashes(e, j, v);
    case PARENT: v->has_parent = 1; return json_id(j, &v->parent);
    case BLOCK_SIZE: return json_count(j, &v->block_size);
    case MEDIUM: return json_string(j, &v->medium);
    case GROUP: return json_count(j, &v->group);
    case REST: break;
    }
    return json_skip(j);
}

/* ["BlockStored", block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium,
 *  lora_name, extra_keys, group_idx, ...], the opening bracket is taken. */
static int take_array_event(struct reqs_events *e, struct json *j, struct event *v) {
    static const enum field stored[] = {TYPE, HASHES, PARENT, REST, BLOCK_SIZE, REST, MEDIUM,
                                        REST, REST, GROUP};
    static const enum field removed[] = {TYPE, HASHES, MEDIUM, GROUP};
    int first = 1;
    int rc;
    for (size_t i = 0; (rc = json_element(j, &first)) == 1; i++) {
        enum field f = REST;
        if (i == 0 || (v->kind == STORED && i < sizeof stored / sizeof *stored))
            f = stored[i];
        else if (v->kind == REMOVED && i < sizeof removed / sizeof *removed)
            f = removed[i];
        if (take_field(e, j, f, v))
            return -1;
    }
    return rc;
}

static struct event *add_event(struct reqs_events *e) {
    if (e->events == e->event_cap) {
        e->event_cap = e->event_cap ? e->event_cap * 2 : 16;
        e->event = mem_grow(e->event, e->event_cap, sizeof *e->event);
    }
    e->event[e->events] = (struct event){.kind = FOREIGN};
    return &e->event[e->events++];
}

static int take_event(struct reqs_events *e, struct json *j) {
    struct event *v = add_event(e);
    struct reqs_text key;
    int first = 1;
    int rc;
    if (json_take(j, '['))
        return take_array_event(e, j, v);
    if (!json_take(j, '{'))
        return json_fail(j, "an event");
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (take_field(e, j, field_of(&key), v))
            return -1;
    }
    return rc;
}

static int take_events(struct reqs_events *e, struct json *j) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "an array of events");
    while ((rc = json_element(j, &first)) == 1) {
        if (take_event(e, j))
            return -1;
    }
    return rc;
}

static int take_ts(struct json *j, int *timed, int64_t *ns) {
    if (json_null(j))
        return 0;
    *timed = 1;
    return json_scaled(j, 1000000000, ns);
}

/* [ts, [event, ...], rank] or an event as an array. */
static int take_array_line(struct reqs_events *e, struct json *j, int *timed, int64_t *ns) {
    struct json line = *j;
    int first = 1;
    int rc = 0;
    json_take(j, '[');
    if (json_peek(j) == '"') {
        *j = line;
        return take_event(e, j);
    }
    for (int i = 0; (rc = json_element(j, &first)) == 1; i++) {
        rc = i == 0 ? take_ts(j, timed, ns) : i == 1 ? take_events(e, j) : json_skip(j);
        if (rc)
            return -1;
    }
    return rc;
}

/* {"ts": ..., "events": [...]} or an event with its fields, and perhaps a ts. */
static int take_object_line(struct reqs_events *e, struct json *j, int *timed, int64_t *ns) {
    struct event own = {.kind = FOREIGN};
    int is_batch = 0;
    struct reqs_text key;
    int first = 1;
    int rc;
    json_take(j, '{');
    while ((rc = json_member(j, &first, &key)) == 1) {
        if (is_text(&key, "ts")) {
            rc = take_ts(j, timed, ns);
        } else if (is_text(&key, "events")) {
            is_batch = 1;
            rc = take_events(e, j);
        } else {
            rc = take_field(e, j, field_of(&key), &own);
        }
        if (rc)
            return -1;
    }
    if (!is_batch)
        *add_event(e) = own;
    return rc;
}

/* Is the event about blocks in the engine's own memory, of its first group of layers? Copies in
 * other tiers and other groups say the same blocks again. */
static int is_ours(const struct event *v) {
    return v->kind != FOREIGN && v->group == 0 && (!v->medium.data || is_text(&v->medium, "GPU"));
}

/* The whole line is checked before any of it counts. */
static int check_events(struct reqs *r, struct json *j) {
    const struct reqs_events *e = r->events;
    int said = r->said_block_tokens;
    for (size_t i = 0; i < e->events; i++) {
        const struct event *v = &e->event[i];
        if (v->kind != STORED || !is_ours(v) || !v->block_size)
            continue;
        if (v->block_size > INT32_MAX || (said && v->block_size != said))
            return json_fail(j, "one block_size in all events before");
        said = (int)v->block_size;
    }
    if (e->nodes + e->hash.n + e->events >= NONE || e->first_chain + e->chains + e->events >= NONE)
        return json_fail(j, "fewer than 2^32 blocks before");
    r->said_block_tokens = said;
    return 0;
}

static void apply_events(struct reqs *r) {
    struct reqs_events *e = r->events;
    for (size_t i = 0; i < e->events; i++) {
        const struct event *v = &e->event[i];
        if (!is_ours(v)) {
            r->totals.other++;
        } else if (v->kind == STORED && v->n) {
            apply_stored(e, v, r->in.number);
        } else if (v->kind == REMOVED) {
            r->totals.removed += (int64_t)v->n;
            apply_removed(e, v);
        } else if (v->kind == CLEARED) {
            r->totals.cleared++;
            apply_cleared(e);
        }
    }
}

static void set_clock(struct reqs *r, int64_t ns) {
    struct reqs_events *e = r->events;
    if (e->timed && ns < e->now_ns)
        r->totals.backwards++;
    else
        e->now_ns = ns;
    e->timed = 1;
}

int reqs_events_read(struct reqs *r, struct json *j, struct reqs_draft *d) {
    struct reqs_events *e = r->events;
    int timed = 0;
    int64_t ns = 0;
    (void)d;                            /* requests come from reqs_events_take */
    e->events = 0;
    e->hash.n = 0;
    char c = json_peek(j);
    int rc = c == '[' ? take_array_line(e, j, &timed, &ns)
        : c == '{' ? take_object_line(e, j, &timed, &ns) : json_fail(j, "an event or a batch");
    if (rc || json_end(j) || check_events(r, j))
        return -1;
    if (timed)
        set_clock(r, ns);
    apply_events(r);
    return 0;
}

/* ---- requests --------------------------------------------------------------------------- */

/* The blocks from the first to `tip`. */
static void list_blocks(const struct reqs_events *e, uint32_t tip, struct json_u64s *out) {
    size_t n = (size_t)e->node[tip].depth + 1;
    while (out->cap < n)
        json_u64s_grow(out);
    out->n = n;
    for (uint32_t at = tip; n; at = e->node[at].parent)
        out->v[--n] = e->node[at].id;
}

int reqs_events_take(struct reqs *r, int ended, struct reqs_draft *d) {
    struct reqs_events *e = r->events;
    if (!e->chains)
        return 0;
    struct chain *c = &e->chain[e->head];
    if (!ended && !c->closed && !is_idle(e, c))
        return 0;
    close_chain(e, e->first_chain);
    list_blocks(e, c->tip, &r->ids);
    d->q->line = c->line;
    d->q->block = r->ids.v;
    d->q->blocks = (int64_t)r->ids.n;
    d->q->cached_tokens = (int64_t)c->hits * r->said_block_tokens;
    d->format = REQS_EVENTS;
    d->clock = e->timed ? REQS_ABSOLUTE : REQS_NO_TIME;
    d->clock_ns = c->start_ns;
    e->head++;
    e->chains--;
    e->first_chain++;
    if (e->open_from < e->first_chain)
        e->open_from = e->first_chain;
    return 1;
}

/* ---- sniffing --------------------------------------------------------------------------- */

/* An array, an object with events, or one whose type is an event's. Works on a copy, as reading
 * undoes escapes. */
int reqs_events_sniff(const char *line) {
    size_t len = strcspn(line, "\n") + 1;
    char *copy = mem_alloc(len + JSON_PAD);
    struct json j = {memcpy(copy, line, len), NULL};
    struct reqs_text key;
    struct reqs_text type;
    int first = 1;
    int found = json_take(&j, '[');
    if (!found && json_take(&j, '{')) {
        while (!found && json_member(&j, &first, &key) == 1) {
            if (is_text(&key, "events"))
                found = json_peek(&j) == '[';
            else if (is_text(&key, "type") && json_peek(&j) == '"')
                found = json_string(&j, &type) == 0 && kind_of(&type) != FOREIGN;
            else if (json_skip(&j))
                break;
        }
    }
    free(copy);
    return found;
}
