/* cost_price_sums.c - llm-cost price: sums by model, day, session, service
 *
 * A sum is one of rounded bills, so that sums of parts of a trace, added, are the sum of the whole
 * to the last digit.
 */
#include "cmd/cost_price.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"

#define DAY_NS ((int64_t)86400 * 1000000000)
#define NONE UINT32_MAX

struct sum {
    uint64_t hash;
    size_t at;                  /* of the key: for each text its length (NONE: not said), bytes */
    uint32_t len;
    struct price_counts c;
};

struct price_sums {
    const struct price_options *o;
    const enum price_by *by;
    int bys;
    struct sum *sum;
    size_t n, cap;
    struct buf keys;
    uint32_t *slot;             /* [slots] 1 + index into sum; a power of two */
    size_t slots;
    struct buf key;             /* of the record at hand */
    int64_t day;                /* whose text is: days since 1970 */
    char day_text[DATE_TEXT];
};

struct price_sums *price_sums_new(const struct price_options *o, const enum price_by *by,
                                  int bys) {
    struct price_sums *s = mem_alloc(sizeof *s);
    s->o = o;
    s->by = by;
    s->bys = bys;
    s->slots = 64;
    s->slot = mem_array(s->slots, sizeof *s->slot);
    s->day = INT64_MIN;
    return s;
}

void price_sums_free(struct price_sums *s) {
    if (!s)
        return;
    free(s->sum);
    free(s->slot);
    buf_free(&s->keys);
    buf_free(&s->key);
    free(s);
}

/* ---- finding a sum ------------------------------------------------------------------- */

/* Eight bytes at a time, each mixed in by a multiplication with the golden ratio. */
static uint64_t hash(const char *s, size_t len) {
    uint64_t h = len;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = 0;
        memcpy(&w, s + i, len - i < 8 ? len - i : 8);
        h = (h ^ w) * 0x9E3779B97F4A7C15u;
        h ^= h >> 32;
    }
    return h;
}

static void grow(struct price_sums *s) {
    free(s->slot);
    s->slots *= 2;
    s->slot = mem_array(s->slots, sizeof *s->slot);
    for (size_t i = 0; i < s->n; i++) {
        size_t at = s->sum[i].hash & (s->slots - 1);
        while (s->slot[at])
            at = (at + 1) & (s->slots - 1);
        s->slot[at] = (uint32_t)i + 1;
    }
}

static struct sum *add_sum(struct price_sums *s, uint64_t h) {
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->sum = mem_grow(s->sum, s->cap, sizeof *s->sum);
    }
    if (s->n >= UINT32_MAX - 1 || s->key.len >= UINT32_MAX)
        die("more sums than can be counted");
    struct sum *sum = &s->sum[s->n++];
    *sum = (struct sum){.hash = h, .at = s->keys.len, .len = (uint32_t)s->key.len};
    buf_add(&s->keys, s->key.data, s->key.len);
    return sum;
}

/* The sum of the key at hand. */
static struct sum *find(struct price_sums *s) {
    uint64_t h = hash(s->key.data, s->key.len);
    size_t at = h & (s->slots - 1);
    for (; s->slot[at]; at = (at + 1) & (s->slots - 1)) {
        struct sum *sum = &s->sum[s->slot[at] - 1];
        if (sum->hash == h && sum->len == s->key.len &&
            (!sum->len || !memcmp(s->keys.data + sum->at, s->key.data, sum->len)))
            return sum;
    }
    if (2 * s->n >= s->slots) {
        grow(s);
        return find(s);
    }
    struct sum *sum = add_sum(s, h);
    s->slot[at] = (uint32_t)s->n;
    return sum;
}

/* ---- adding -------------------------------------------------------------------------- */

static void add_key(struct price_sums *s, struct reqs_text t) {
    uint32_t len = t.data ? (uint32_t)t.len : NONE;
    buf_add(&s->key, &len, sizeof len);
    if (t.data)
        buf_add(&s->key, t.data, t.len);
}

static void overflow(void) {
    die("more tokens than can be counted");
}

static void add_count(int64_t *to, int64_t n) {
    if (__builtin_add_overflow(*to, n, to))
        overflow();
}

static void add_counts(struct price_counts *to, const struct price_counts *c) {
    add_count(&to->records, c->records);
    add_count(&to->unpriced, c->unpriced);
    add_count(&to->fresh, c->fresh);
    add_count(&to->cached, c->cached);
    add_count(&to->written, c->written);
    add_count(&to->output, c->output);
    add_count(&to->reasoning, c->reasoning);
    add_count(&to->searches, c->searches);
    add_count(&to->duration_ns, c->duration_ns);
    if (__builtin_add_overflow(to->usd, c->usd, &to->usd))
        die("more money than can be counted");
}

/* Records of one day follow each other: its text is kept. */
static struct reqs_text day_of(struct price_sums *s, const struct usage *u, size_t len) {
    int64_t local;
    if (u->time_ns == USAGE_NO_TIME)
        return (struct reqs_text){NULL, 0};
    if (__builtin_add_overflow(u->time_ns, s->o->zone_ns, &local))
        local = u->time_ns;
    int64_t day = (local - date_of_day(local)) / DAY_NS;
    if (day != s->day)
        date_day(local, s->day_text);
    s->day = day;
    return (struct reqs_text){s->day_text, len};
}

static struct reqs_text text_of(struct price_sums *s, const struct usage *u, enum price_by by) {
    switch (by) {
    case BY_MODEL: return price_model(s->o, u);
    case BY_DAY: return day_of(s, u, 10);
    case BY_MONTH: return day_of(s, u, 7);
    case BY_SESSION: return u->session;
    case BY_SERVICE: return price_service(s->o, u);
    case BYS: break;
    }
    return (struct reqs_text){NULL, 0};
}

void price_sums_add(struct price_sums *s, const struct usage *u, const struct bill *bill,
                    int priced) {
    struct price_counts c = {.usd = priced ? bill->usd : 0, .unpriced = !priced};
    price_count(u, &c);
    s->key.len = 0;
    for (int i = 0; i < s->bys; i++)
        add_key(s, text_of(s, u, s->by[i]));
    add_counts(&find(s)->c, &c);
}

void price_sums_put(struct price_sums *s, const struct reqs_text *text,
                    const struct price_counts *c) {
    s->key.len = 0;
    for (int i = 0; i < s->bys; i++)
        add_key(s, text[i]);
    add_counts(&find(s)->c, c);
}

struct price_counts price_sums_all(const struct price_sums *s) {
    struct price_counts all = {0};
    for (size_t i = 0; i < s->n; i++)
        add_counts(&all, &s->sum[i].c);
    return all;
}

/* ---- printing ------------------------------------------------------------------------ */

static const struct field counts[] = {
    {"records", FIELD_COUNT, 0}, {"unpriced", FIELD_COUNT, 0}, {"fresh", FIELD_COUNT, 0},
    {"cached", FIELD_COUNT, 0}, {"written", FIELD_COUNT, 0}, {"output", FIELD_COUNT, 0},
    {"reasoning", FIELD_COUNT, 1}, {"searches", FIELD_COUNT, 1}, {"duration_ns", FIELD_COUNT, 1},
    {"usd", FIELD_TEXT, 0}, {"book", FIELD_TEXT, 0}, {"book_sha256", FIELD_TEXT, 1}};
enum { COUNTS = sizeof counts / sizeof *counts };

/* The next text of a key; *at moves on. */
static struct reqs_text key_text(const char **at) {
    uint32_t len;
    memcpy(&len, *at, sizeof len);
    struct reqs_text t = {len == NONE ? NULL : *at + sizeof len, len == NONE ? 0 : len};
    *at += sizeof len + t.len;
    return t;
}

/* What is not said comes first. */
static int compare_texts(struct reqs_text a, struct reqs_text b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int c = len ? memcmp(a.data, b.data, len) : 0;
    if (!a.data || !b.data)
        return (a.data != NULL) - (b.data != NULL);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

struct ordered {
    const struct sum *sum;
    const struct price_sums *of;
};

static int compare(const void *a, const void *b) {
    const struct ordered *x = a;
    const struct ordered *y = b;
    const char *p = x->of->keys.data + x->sum->at;
    const char *q = y->of->keys.data + y->sum->at;
    int c = 0;
    for (int i = 0; i < x->of->bys && !c; i++) {
        struct reqs_text t = key_text(&p);
        c = compare_texts(t, key_text(&q));
    }
    return c;
}

static void put_row(struct fields *f, const struct price_sums *s, const struct sum *sum,
                    const char *book, const char *sha256) {
    const char *at = s->bys ? s->keys.data + sum->at : NULL;
    const struct price_counts *c = &sum->c;
    struct value row[BYS + COUNTS] = {{0}};
    char *text[BYS] = {0};
    char usd[MONEY_TEXT];
    for (int i = 0; i < s->bys; i++) {
        struct reqs_text t = key_text(&at);
        row[i].text = text[i] = t.data ? mem_strndup(t.data, t.len) : NULL;
    }
    const int64_t n[] = {c->records, c->unpriced, c->fresh, c->cached, c->written, c->output,
                         c->reasoning, c->searches, c->duration_ns};
    struct value *v = row + s->bys;
    for (size_t i = 0; i < sizeof n / sizeof *n; i++)
        (v++)->count = n[i];
    (v++)->text = c->unpriced < c->records ? money_text(c->usd, usd) : NULL;
    (v++)->text = book;
    v->text = sha256;
    fields_row(f, row);
    for (int i = 0; i < s->bys; i++)
        free(text[i]);
}

void price_sums_print(struct price_sums *s, const char *book, const char *sha256) {
    struct ordered *order = mem_array(s->n + 1, sizeof *order);
    struct field field[BYS + COUNTS];
    struct fields f;
    for (size_t i = 0; i < s->n; i++)
        order[i] = (struct ordered){&s->sum[i], s};
    if (s->bys)
        qsort(order, s->n, sizeof *order, compare);
    for (int i = 0; i < s->bys; i++)
        field[i] = (struct field){price_by_names[s->by[i]], FIELD_TEXT, 0};
    memcpy(field + s->bys, counts, sizeof counts);
    fields_open(&f, field, s->bys + COUNTS, &s->o->common);
    for (size_t i = 0; i < s->n; i++)
        put_row(&f, s, order[i].sum, book, sha256);
    fields_close(&f);
    free(order);
}
