/* bill_tariff.c - what holds for a model, service, region and speed at a time, kept
 *
 * A tariff stands for the texts of a record; its states are the sets of rows that hold together
 * (peak and off-peak, before and after a date), of which there are few however long the trace is.
 * `now` is good until a row of the model may change.
 */
#include "lib/cost/bill_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define BUCKETS 1024
#define TARIFFS 4096            /* beyond, all are forgotten: a trace may hold any names */

/* ---- texts -------------------------------------------------------------------------------- */

static struct reqs_text text_of(const char *s) {
    return (struct reqs_text){s, s ? strlen(s) : 0};
}

struct reqs_text bill_model_text(const struct biller *p, const struct usage *u) {
    return p->opt.model && (p->opt.force_model || !u->model.data) ? text_of(p->opt.model)
                                                                  : u->model;
}

struct reqs_text bill_service_text(const struct biller *p, const struct usage *u) {
    return p->opt.service ? text_of(p->opt.service) : u->service;
}

static uint64_t hash_text(uint64_t hash, struct reqs_text t) {
    for (size_t i = 0; i < t.len; i++)
        hash = (hash ^ (unsigned char)t.data[i]) * 0x100000001b3u;
    return (hash ^ 0xff) * 0x100000001b3u;
}

struct key {
    struct reqs_text part[4];
    uint64_t hash;
    size_t len;
};

static struct key key_of(const struct biller *p, const struct usage *u) {
    struct key k = {.part = {bill_model_text(p, u), bill_service_text(p, u), u->region, u->speed},
                    .hash = 0xcbf29ce484222325u};
    for (int i = 0; i < 4; i++) {
        k.hash = hash_text(k.hash, k.part[i]);
        k.len += k.part[i].len + 1;
    }
    return k;
}

static int is_key(const struct bill_tariff *t, const struct key *k) {
    const char *at = t->key;
    if (t->hash != k->hash || t->len != k->len)
        return 0;
    for (int i = 0; i < 4; i++) {
        if (k->part[i].len && memcmp(at, k->part[i].data, k->part[i].len))
            return 0;
        at += k->part[i].len;
        if (*at++)
            return 0;
    }
    return 1;
}

static char *copy_key(const struct key *k) {
    char *key = mem_alloc(k->len);
    char *at = key;
    for (int i = 0; i < 4; i++) {
        if (k->part[i].len)
            memcpy(at, k->part[i].data, k->part[i].len);
        at += k->part[i].len + 1;
    }
    return key;
}

/* ---- states ------------------------------------------------------------------------------- */

/* Whether a row that holds mentions the word. */
static int mentions(const struct biller *p, const int *row, const unsigned char *held, int n,
                    int word, int speed) {
    for (int i = 0; i < n; i++) {
        const struct book_select *w = &p->b->row[row[i]].when;
        if (held[i] && (speed ? w->speed : w->service) == word)
            return 1;
    }
    return 0;
}

static void fill_state(const struct biller *p, const struct bill_tariff *t, struct bill_state *s) {
    int n;
    const int *row = book_rows_of(p->b, t->model, &n);
    if (t->service && !mentions(p, row, s->holds, n, t->service, 0))
        s->why = "service";
    else if (t->speed && !mentions(p, row, s->holds, n, t->speed, 1))
        s->why = "speed";
}

/* The state of the rows that hold, new or known. */
static int find_state(const struct biller *p, struct bill_tariff *t, unsigned char *held,
                      size_t n) {
    for (int i = 0; i < t->states; i++)
        if (!memcmp(t->state[i].holds, held, n)) {
            free(held);
            return i;
        }
    t->state = mem_grow(t->state, (size_t)t->states + 1, sizeof *t->state);
    t->state[t->states] = (struct bill_state){.holds = held};
    fill_state(p, t, &t->state[t->states]);
    return t->states++;
}

/* Dates bound the time in which a state holds on both sides; of windows only the next change is
 * asked for, which suits a trace in order. */
static void narrow(const struct book_select *when, int64_t at, struct bill_tariff *t) {
    int64_t change = book_changes(when, at);
    int64_t since = BOOK_ALWAYS;
    if (when->hours || when->days)
        since = at;
    else if (when->to_ns <= at)
        since = when->to_ns;
    else if (when->from_ns <= at)
        since = when->from_ns;
    if (change < t->to_ns)
        t->to_ns = change;
    if (since > t->from_ns)
        t->from_ns = since;
}

/* Rows that the options leave out never hold. */
static int is_left_out(const struct biller *p, int row) {
    const struct bill_options *o = &p->opt;
    return o->without_row == row + 1 ||
           (o->tiers && o->tiers->ignore && p->b->row[row].when.above >= 0);
}

static void set_now(const struct biller *p, struct bill_tariff *t, int64_t at) {
    int n;
    const int *row = book_rows_of(p->b, t->model, &n);
    unsigned char *held = mem_alloc((size_t)n + 1);
    t->from_ns = BOOK_ALWAYS;
    t->to_ns = BOOK_NEVER;
    for (int i = 0; i < n; i++) {
        const struct book_select *when = &p->b->row[row[i]].when;
        held[i] = (unsigned char)(book_holds(when, at) && !is_left_out(p, row[i]));
        narrow(when, at, t);
    }
    t->now = find_state(p, t, held, (size_t)n);
}

/* ---- tariffs ------------------------------------------------------------------------------ */

static int word_of(const struct biller *p, struct reqs_text t) {
    if (!t.data || !t.len)
        return 0;
    int word = book_word(p->b, t.data, t.len);
    return word == BOOK_ANY ? BILL_NO_WORD : word;
}

static struct bill_tariff *new_tariff(struct biller *p, const struct key *k) {
    struct bill_tariff *t = mem_alloc(sizeof *t);
    *t = (struct bill_tariff){.key = copy_key(k), .len = k->len, .hash = k->hash, .model = -1};
    if (k->part[0].data)
        t->model = book_model(p->b, k->part[0].data, k->part[0].len);
    t->service = word_of(p, k->part[1]);
    t->region = word_of(p, k->part[2]);
    t->speed = word_of(p, k->part[3]);
    t->from_ns = t->to_ns = BOOK_ALWAYS;
    return t;
}

static void free_tariff(struct bill_tariff *t) {
    for (int i = 0; i < t->states; i++) {
        for (int k = 0; k < t->state[i].slots; k++)
            bill_slot_free(&t->state[i].slot[k]);
        free(t->state[i].slot);
        free(t->state[i].holds);
    }
    free(t->state);
    free(t->key);
    free(t);
}

void bill_tariffs_drop(struct biller *p) {
    for (size_t i = 0; p->bucket && i < BUCKETS; i++)
        for (struct bill_tariff *t = p->bucket[i], *next; t; t = next) {
            next = t->next;
            free_tariff(t);
        }
    free(p->bucket);
    p->bucket = NULL;
    p->last = NULL;
    p->tariffs = 0;
}

static struct bill_tariff *find_tariff(struct biller *p, const struct key *k) {
    if (p->last && is_key(p->last, k))
        return p->last;
    if (p->tariffs >= TARIFFS)
        bill_tariffs_drop(p);
    if (!p->bucket)
        p->bucket = mem_array(BUCKETS, sizeof *p->bucket);
    struct bill_tariff **at = &p->bucket[(k->hash ^ k->hash >> 32) % BUCKETS];
    for (struct bill_tariff *t = *at; t; t = t->next)
        if (is_key(t, k))
            return t;
    struct bill_tariff *t = new_tariff(p, k);
    t->next = *at;
    *at = t;
    p->tariffs++;
    return t;
}

struct bill_tariff *bill_tariff_of(struct biller *p, const struct usage *u, int64_t at_ns) {
    struct key k = key_of(p, u);
    struct bill_tariff *t = find_tariff(p, &k);
    p->last = t;
    if (t->model >= 0 && (at_ns < t->from_ns || at_ns >= t->to_ns || !t->states))
        set_now(p, t, at_ns);
    return t;
}

struct bill_slot *bill_slot_of(struct biller *p, struct bill_tariff *t,
                               const struct usage_amount *a) {
    struct bill_state *s = &t->state[t->now];
    int64_t ttl = a->kind == USAGE_WRITE ? a->ttl_ns : 0;
    for (int i = 0; i < s->slots; i++)
        if (s->slot[i].kind == a->kind && s->slot[i].modality == a->modality &&
            s->slot[i].ttl_ns == ttl)
            return &s->slot[i];
    s->slot = mem_grow(s->slot, (size_t)s->slots + 1, sizeof *s->slot);
    struct bill_slot *slot = &s->slot[s->slots++];
    *slot = (struct bill_slot){.kind = a->kind, .modality = a->modality, .ttl_ns = ttl};
    bill_slot_fill(p, t, s->holds, slot);
    return slot;
}
