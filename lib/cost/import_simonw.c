/* import_simonw.c - simonw/llm-prices: current-v1.json, historical-v1.json, data/VENDOR.json
 *
 * {"prices": [{"id", "vendor", "name", "input", "output", "input_cached", "from_date",
 * "to_date"}]}, dollars a million tokens, valid from from_date up to but not on to_date. Of two
 * that are valid on a day the one that began later counts. A vendor's file has a model's prices as
 * "price_history".
 *
 * A context tier is a model of its own here: "gemini-2.5-pro-200k", named "Gemini 2.5 Pro >200k".
 * With a model of the name without it such a one becomes its tier; what the name says, that the
 * prompt is larger, is how it is read: for the whole request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/cost/import_impl.h"

struct record {
    const char *id, *vendor;
    const cJSON *price;         /* the object with input and output */
    int64_t from_ns, to_ns;
    int64_t above;              /* of a tier; -1: none */
    size_t id_len;              /* without the tier's ending */
    int order;                  /* in the file */
};

struct records {
    struct record *r;
    int n;
};

/* ---- reading -------------------------------------------------------------------------------- */

static int date_of(struct import *im, const cJSON *object, const char *key, const char *id,
                   int64_t *out) {
    const cJSON *v = import_get(object, key);
    const char *s = import_string(v);
    if (!v || (s && !date_parse(s, strlen(s), out)))
        return 0;
    import_note(im, 1, id, "%s: a date as in 2026-03-13 is expected", key);
    return -1;
}

/* "...-200k" of a model that is called "... >200k". */
static void find_tier(struct record *r, const char *name) {
    const char *dash = strrchr(r->id, '-');
    const char *above = name ? strchr(name, '>') : NULL;
    char *end;
    if (!dash || !above || strcmp(dash + 1, above + 1))
        return;
    long long k = strtoll(dash + 1, &end, 10);
    if (k < 1 || k > 1000000 || strcmp(end, "k"))
        return;
    r->above = k * 1000;
    r->id_len = (size_t)(dash - r->id);
}

static void add_record(struct import *im, struct records *all, const char *vendor,
                       const cJSON *model, const cJSON *price) {
    struct record r = {.id = import_string(import_get(model, "id")), .price = price, .above = -1,
                       .from_ns = BOOK_ALWAYS, .to_ns = BOOK_NEVER, .order = all->n};
    r.vendor = vendor ? vendor : import_string(import_get(model, "vendor"));
    if (!r.id) {
        import_note(im, 1, NULL, "a price without an id");
        return;
    }
    if (date_of(im, price, "from_date", r.id, &r.from_ns) ||
        date_of(im, price, "to_date", r.id, &r.to_ns))
        return;
    r.id_len = strlen(r.id);
    find_tier(&r, import_string(import_get(model, "name")));
    if (!(all->n & (all->n + 1)))       /* room doubles */
        all->r = mem_grow(all->r, 2 * (size_t)all->n + 2, sizeof *all->r);
    all->r[all->n++] = r;
}

/* ---- what belongs together ------------------------------------------------------------------ */

static int compare_ids(const struct record *a, const struct record *b) {
    size_t len = a->id_len < b->id_len ? a->id_len : b->id_len;
    int c = memcmp(a->id, b->id, len);
    if (!c)
        c = (a->id_len > b->id_len) - (a->id_len < b->id_len);
    if (!c && a->vendor && b->vendor)
        c = strcmp(a->vendor, b->vendor);
    return c ? c : (a->vendor != NULL) - (b->vendor != NULL);
}

static int compare_numbers(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

/* By model, the model itself before its tiers, then by when they begin. */
static int by_model(const void *x, const void *y) {
    const struct record *a = x;
    const struct record *b = y;
    int c = compare_ids(a, b);
    c = c ? c : compare_numbers(a->above, b->above);
    c = c ? c : compare_numbers(a->from_ns, b->from_ns);
    return c ? c : compare_numbers(a->order, b->order);
}

/* A tier without a model that it is of stays a model. */
static void split_lone_tiers(struct records *all) {
    for (int i = 0; i < all->n;) {
        int plain = 0;
        int k = i;
        for (; k < all->n && !compare_ids(&all->r[i], &all->r[k]); k++)
            plain |= all->r[k].above < 0;
        for (; i < k; i++)
            if (!plain) {
                all->r[i].above = -1;
                all->r[i].id_len = strlen(all->r[i].id);
            }
    }
    qsort(all->r, (size_t)all->n, sizeof *all->r, by_model);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Returns 1 when there is one. */
static int add_prices(struct import *im, const struct import_model *m, struct import_span *s,
                      const struct record *r) {
    static const struct { const char *key; int kind; } keys[] = {
        {"input", USAGE_INPUT}, {"output", USAGE_OUTPUT}, {"input_cached", USAGE_READ}};
    int said = 0;
    for (int i = 0; i < 3; i++) {
        const cJSON *v = import_get(r->price, keys[i].key);
        struct import_price p = IMPORT_PRICE;
        p.kind = keys[i].kind;
        p.above = r->above;
        said |= !!v;
        if (v)
            import_price_add(im, m, s, &p, v, 0, keys[i].key);
    }
    return said;
}

/* The record of a threshold that counts at this time: the one that began last; NULL: none. */
static const struct record *at_time(const struct record *r, int n, int64_t above, int64_t ns) {
    const struct record *best = NULL;
    for (int i = 0; i < n; i++)
        if (r[i].above == above && r[i].from_ns <= ns && ns < r[i].to_ns)
            best = &r[i];
    return best;
}

static int by_time(const void *a, const void *b) {
    return compare_numbers(*(const int64_t *)a, *(const int64_t *)b);
}

/* The times at which something of the records begins or ends, in order, each once. */
static int times_of(const struct record *r, int n, int64_t *out) {
    int k = 0;
    int m = 0;
    for (int i = 0; i < n; i++) {
        out[k++] = r[i].from_ns;
        out[k++] = r[i].to_ns;
    }
    qsort(out, (size_t)k, sizeof *out, by_time);
    for (int i = 0; i < k; i++)
        if (!m || out[i] != out[m - 1])
            out[m++] = out[i];
    return m;
}

#define MOST_RECORDS 200        /* of a model */

static void write_model(struct import *im, const struct record *r, int n,
                        struct import_span *span) {
    int64_t time[2 * MOST_RECORDS];
    char *id = mem_strndup(r->id, r->id_len);
    struct import_model *m = import_wanted(im, r->vendor, id) ? import_model_add(im, r->vendor, id)
                                                              : NULL;
    free(id);
    if (m && n > MOST_RECORDS)
        import_note(im, 1, m->id, "more than %d prices of a model: the first are taken",
                    MOST_RECORDS);
    n = n < MOST_RECORDS ? n : MOST_RECORDS;
    int times = m ? times_of(r, n, time) : 0;
    int said = 0;
    for (int t = 0; t + 1 < times; t++) {
        span->from_ns = time[t];
        span->to_ns = time[t + 1];
        for (int i = 0; i < n; i++)
            if (at_time(r, n, r[i].above, time[t]) == &r[i])
                said |= add_prices(im, m, span, &r[i]);
        import_span_end(im, m, span);
    }
    if (m)
        import_model_end(im, m, said);
}

static void read_vendor(struct import *im, const cJSON *doc, struct records *all) {
    const char *vendor = import_string(import_get(doc, "vendor"));
    const cJSON *model;
    const cJSON *price;
    cJSON_ArrayForEach(model, import_get(doc, "models")) {
        cJSON_ArrayForEach(price, import_get(model, "price_history"))
            add_record(im, all, vendor, model, price);
    }
}

int import_simonw(struct import *im, const cJSON *doc) {
    const cJSON *prices = import_get(doc, "prices");
    const char *updated = import_string(import_get(doc, "updated_at"));
    struct records all = {0};
    struct import_span span = {0};
    const cJSON *price;
    if (!cJSON_IsArray(prices) && !cJSON_IsArray(import_get(doc, "models")))
        return err_set(im->err, "%s: expected prices or models, as llm-prices has them", im->path);
    if (updated && date_parse(updated, strlen(updated), &im->own_date))
        im->own_date = IMPORT_NO_DATE;
    cJSON_ArrayForEach(price, prices)
        add_record(im, &all, NULL, price, price);
    read_vendor(im, doc, &all);
    if (all.n) {
        qsort(all.r, (size_t)all.n, sizeof *all.r, by_model);
        split_lone_tiers(&all);
    }
    for (int i = 0, k; i < all.n; i = k) {
        for (k = i; k < all.n && !compare_ids(&all.r[i], &all.r[k]);)
            k++;
        write_model(im, &all.r[i], k - i, &span);
    }
    free(span.price);
    free(all.r);
    return 0;
}
