/* usage_held.c - records of session logs until it is known which of them count
 *
 * Claude Code writes a message once for each block of its content, with counts that grow, and once
 * more into the log of a session that goes on from another. As in ccusage, records of one message
 * and request are one, and that with the most tokens is meant; a message in a side chain (a copy
 * of the conversation for a question aside) is one with the original, whatever its request.
 * Codex copies the turns of a thread into the log of a branch: equal turns count once.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cost/usage_impl.h"

#define FIELDS 6                /* texts of a record */

struct kept {
    uint64_t key;               /* of message and request */
    int64_t line, time_ns, tokens;
    size_t at;                  /* its texts and amounts in the arena */
    int file;
    uint16_t len[FIELDS];       /* UINT16_MAX: not said */
    uint8_t n;                  /* amounts */
    uint8_t sidechain, speed, dropped;
};

struct slot {
    uint64_t key;               /* 0: free */
    size_t index;
};

struct table {
    struct slot *slot;
    size_t n, cap;              /* cap is a power of two */
};

struct held {
    struct kept *kept;
    size_t n, cap, taken;
    struct buf arena;
    struct table exact, message;        /* by message and request; by message alone */
};

struct held *usage_held_new(void) {
    return mem_alloc(sizeof(struct held));
}

void usage_held_free(struct held *h) {
    if (!h)
        return;
    free(h->kept);
    free(h->exact.slot);
    free(h->message.slot);
    buf_free(&h->arena);
    free(h);
}

/* ---- tables of keys ------------------------------------------------------------------ */

/* A chain over words of eight bytes with the output function of splitmix64: 64 bits are enough to
 * take equal keys for equal texts. Never 0. */
static uint64_t mix(uint64_t h, uint64_t x) {
    uint64_t z = (h ^ x) + 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return z ? z : 1;
}

static uint64_t hash(uint64_t h, const void *data, size_t len) {
    const char *s = data;
    h = mix(h, len);
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = 0;
        memcpy(&w, s + i, len - i < 8 ? len - i : 8);
        h = mix(h, w);
    }
    return h;
}

static uint64_t hash_text(uint64_t h, const struct reqs_text *t) {
    return t->data ? hash(mix(h, 1), t->data, t->len) : mix(h, 2);
}

static struct slot *find(const struct table *t, uint64_t key) {
    size_t at = key & (t->cap - 1);
    while (t->slot[at].key && t->slot[at].key != key)
        at = (at + 1) & (t->cap - 1);
    return &t->slot[at];
}

static void grow(struct table *t) {
    struct table old = *t;
    t->cap = old.cap ? 2 * old.cap : 256;
    t->slot = mem_array(t->cap, sizeof *t->slot);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i].key)
            *find(t, old.slot[i].key) = old.slot[i];
    free(old.slot);
}

/* The slot of a key, made when it is new: index is SIZE_MAX then. */
static struct slot *slot_of(struct table *t, uint64_t key) {
    if (2 * t->n >= t->cap)
        grow(t);
    struct slot *s = find(t, key);
    if (!s->key) {
        *s = (struct slot){key, SIZE_MAX};
        t->n++;
    }
    return s;
}

/* ---- records ------------------------------------------------------------------------- */

static const struct reqs_text *text_of(const struct usage *u, int i) {
    const struct reqs_text *const texts[FIELDS] = {&u->id, &u->model, &u->session, &u->service,
                                                   &u->region, &u->speed};
    return texts[i];
}

static void store(struct held *h, struct kept *k, const struct usage *u) {
    k->at = h->arena.len;
    k->file = u->file;
    k->line = u->line;
    k->time_ns = u->time_ns;
    k->n = (uint8_t)u->n;
    buf_add(&h->arena, u->amount, (size_t)u->n * sizeof *u->amount);
    for (int i = 0; i < FIELDS; i++) {
        const struct reqs_text *t = text_of(u, i);
        size_t len = t->len < UINT16_MAX ? t->len : UINT16_MAX - 1;
        k->len[i] = t->data ? (uint16_t)len : UINT16_MAX;
        if (t->data)
            buf_add(&h->arena, t->data, len);
    }
}

static size_t add(struct held *h, const struct kept *k) {
    if (h->n == h->cap) {
        h->cap = h->cap ? 2 * h->cap : 256;
        h->kept = mem_grow(h->kept, h->cap, sizeof *h->kept);
    }
    h->kept[h->n] = *k;
    return h->n++;
}

static int64_t tokens_of(const struct usage *u) {
    return usage_prompt(u) + usage_sum(u, USAGE_OUTPUT) + usage_sum(u, USAGE_REASONING);
}

/* Whether a record is to stand in place of the one that is kept. */
static int is_better(const struct kept *now, const struct kept *old) {
    if (now->sidechain != old->sidechain)
        return old->sidechain;
    if (now->tokens != old->tokens)
        return now->tokens > old->tokens;
    return now->speed && !old->speed;
}

/* The record that is of the same message: SIZE_MAX when there is none. */
static size_t same_message(struct held *h, uint64_t exact, uint64_t message, int sidechain) {
    size_t i = slot_of(&h->exact, exact)->index;
    if (i != SIZE_MAX && h->kept[i].key == exact)
        return i;
    i = slot_of(&h->message, message)->index;
    return i != SIZE_MAX && (sidechain || h->kept[i].sidechain) ? i : SIZE_MAX;
}

void usage_held_message(struct held *h, const struct usage *u, const struct reqs_text *request,
                        int sidechain, int64_t *repeated) {
    struct kept now = {.tokens = tokens_of(u), .sidechain = (uint8_t)sidechain,
                       .speed = u->speed.data != NULL};
    if (!u->id.data) {                  /* cannot be told from others: counts for itself */
        store(h, &now, u);
        add(h, &now);
        return;
    }
    uint64_t message = hash_text(3, &u->id);
    now.key = hash_text(message, request);
    size_t i = same_message(h, now.key, message, sidechain);
    if (i != SIZE_MAX) {
        (*repeated)++;
        if (!is_better(&now, &h->kept[i]))
            return;
    }
    store(h, &now, u);
    if (i == SIZE_MAX)
        i = add(h, &now);
    h->kept[i] = now;
    slot_of(&h->exact, now.key)->index = i;
    struct slot *first = slot_of(&h->message, message);
    if (first->index == SIZE_MAX)
        first->index = i;
}

int64_t usage_held_turn(struct held *h, const struct usage *u, int64_t *repeated) {
    struct kept now = {0};
    uint64_t key = hash_text(hash(4, &u->time_ns, sizeof u->time_ns), &u->model);
    for (int i = 0; i < u->n; i++)
        key = mix(mix(key, u->amount[i].kind), (uint64_t)u->amount[i].quantity);
    struct slot *s = slot_of(&h->exact, key);
    if (s->index != SIZE_MAX) {
        (*repeated)++;
        return -1;
    }
    store(h, &now, u);
    s->index = add(h, &now);
    return (int64_t)s->index;
}

void usage_held_drop(struct held *h, int64_t index) {
    h->kept[index].dropped = 1;
}

static struct reqs_text text_at(const struct kept *k, const char **at, int i) {
    if (k->len[i] == UINT16_MAX)
        return (struct reqs_text){NULL, 0};
    struct reqs_text t = {*at, k->len[i]};
    *at += t.len;
    return t;
}

int usage_held_take(struct held *h, struct usage *out) {
    while (h->taken < h->n && h->kept[h->taken].dropped)
        h->taken++;
    if (h->taken == h->n)
        return 0;
    const struct kept *k = &h->kept[h->taken++];
    const char *at = h->arena.data + k->at;
    out->file = k->file;
    out->line = k->line;
    out->time_ns = k->time_ns;
    out->offset_ns = USAGE_NO_TIME;
    out->n = k->n;
    memcpy(out->amount, at, k->n * sizeof *out->amount);
    at += k->n * sizeof *out->amount;
    out->id = text_at(k, &at, 0);
    out->model = text_at(k, &at, 1);
    out->session = text_at(k, &at, 2);
    out->service = text_at(k, &at, 3);
    out->region = text_at(k, &at, 4);
    out->speed = text_at(k, &at, 5);
    return 1;
}
