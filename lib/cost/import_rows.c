/* import_rows.c - what a catalogue says of one model, made into rows of a book; see import_impl.h
 *
 * A book chooses the row with most selectors, then the highest tier. A catalogue's calculator has
 * an order of its own (enum import_turn): LiteLLM, say, asks for the tier before the service, so
 * that a flex request above the threshold costs what a standard one does. So the prices are looked
 * at per set of selectors and per tier, in every combination that can meet; where the book would
 * find none, two, or another than the calculator, a row is added that says what the calculator
 * finds.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/date.h"
#include "lib/base/utf8.h"
#include "lib/cost/import_impl.h"

#define MOST_PRICES 200         /* of a span */
#define MOST_SETS 96            /* of selectors, of a kind */
#define MOST_TIERS 32

/* ---- words ---------------------------------------------------------------------------------- */

int import_is_word(const char *s) {
    size_t len = strlen(s);
    if (!len || len > 200)
        return 0;
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        int n = utf8_get(s + i, len - i, &cp);
        if (!n || cp < ' ' || cp == 0x7f)
            return 0;
        i += (size_t)n;
    }
    return 1;
}

void import_put_word(struct buf *b, const char *s) {
    if (*s && *s != '#' && !s[strcspn(s, " \t\"\\=")]) {
        buf_adds(b, s);
        return;
    }
    buf_addc(b, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_addc(b, '\\');
        buf_addc(b, *s);
    }
    buf_addc(b, '"');
}

/* ---- sets of selectors ---------------------------------------------------------------------- */

/* Words of a book are the same in upper and lower case. */
static int same_text(const char *a, const char *b) {
    return a == b || (a && b && !strcasecmp(a, b));
}

static int same_set(const struct import_price *a, const struct import_price *b) {
    return a->kind == b->kind && a->modality == b->modality && same_text(a->service, b->service) &&
           same_text(a->speed, b->speed) && same_text(a->ttl, b->ttl) &&
           same_text(a->window, b->window);
}

/* Every selector that p has, q has too. */
static int is_part(const struct import_price *p, const struct import_price *q) {
    return p->kind == q->kind && (p->modality < 0 || p->modality == q->modality) &&
           (!p->service || same_text(p->service, q->service)) &&
           (!p->speed || same_text(p->speed, q->speed)) &&
           (!p->ttl || same_text(p->ttl, q->ttl)) &&
           (!p->window || same_text(p->window, q->window));
}

static int set_size(const struct import_price *p) {
    return (p->modality >= 0) + !!p->service + !!p->speed + !!p->ttl + !!p->window;
}

static int join_text(const char **into, const char *other) {
    if (*into && other && strcasecmp(*into, other))
        return -1;
    if (!*into)
        *into = other;
    return 0;
}

/* The set of a charge for which both can hold; -1: there is none. */
static int join(const struct import_price *a, const struct import_price *b,
                struct import_price *out) {
    *out = *a;
    if (a->kind != b->kind || (a->modality >= 0 && b->modality >= 0 && a->modality != b->modality))
        return -1;
    if (b->modality >= 0)
        out->modality = b->modality;
    return join_text(&out->service, b->service) || join_text(&out->speed, b->speed) ||
           join_text(&out->ttl, b->ttl) || join_text(&out->window, b->window);
}

const struct import_price *import_price_find(const struct import_span *s,
                                             const struct import_price *like) {
    for (int i = 0; i < s->n; i++)
        if (same_set(&s->price[i], like) && s->price[i].above == like->above)
            return &s->price[i];
    return NULL;
}

/* ---- what the catalogue says ---------------------------------------------------------------- */

static int is_token(int kind) {
    return kind <= USAGE_REASONING;
}

/* What a unit costs and may cost at most: a token $1, a request or search $1000, a second $277. */
static int rate_of(const struct import_price *p, money_rate *rate, money_rate *most) {
    int64_t per = is_token(p->kind) ? 1000000 : p->per_1k ? 1000 : 1;
    *most = (is_token(p->kind) ? 1 : p->kind == USAGE_SECOND ? 277 : 1000) * MONEY_USD *
            MONEY_YOCTO;
    return money_parse_rate(p->amount, strlen(p->amount), per, rate);
}

static int fits(const struct import_price *p) {
    money_rate rate;
    money_rate most;
    return !rate_of(p, &rate, &most) && rate <= most;
}

int import_price_add(struct import *im, const struct import_model *m, struct import_span *s,
                     const struct import_price *p, const cJSON *v, int shift, const char *key) {
    struct import_price new = *p;
    const char *number = import_number(v);
    if (cJSON_IsNull(v))
        return -1;
    if (!number || import_decimal(number, shift, new.amount) || !fits(&new)) {
        import_note(im, 1, m->id, "%s: a price from 0 with up to 18 decimals is expected", key);
        return -1;
    }
    if (p->above >= 0 && !is_token(p->kind)) {
        import_note(im, 1, m->id, "%s: a tier of what is no token", key);
        return -1;
    }
    const struct import_price *old = import_price_find(s, &new);
    if (old && !strcmp(old->amount, new.amount) && old->per_1k == new.per_1k)
        return 0;
    if (old || s->n == MOST_PRICES) {
        import_note(im, 1, m->id, "%s: %s", key,
                    old ? "another price for the same is there already"
                        : "more prices of a model than can be read");
        return -1;
    }
    s->price = mem_grow(s->price, (size_t)s->n + 1, sizeof *s->price);
    s->price[s->n++] = new;
    return 0;
}

/* ---- which price holds ---------------------------------------------------------------------- */

/* How much p says of what the turn asks for. */
static int64_t says(const struct import_price *p, int turn) {
    switch (turn) {
    case IMPORT_WINDOW_FIRST: return !!p->window;
    case IMPORT_MODALITY: return p->modality >= 0;
    case IMPORT_TTL: return !!p->ttl;
    case IMPORT_BATCH: return p->service && !strcmp(p->service, "batch");
    case IMPORT_TIER: return p->above;
    case IMPORT_SERVICE: return !!p->service;
    default: return !!p->speed;
    }
}

/* The price that the catalogue's calculator finds for a charge of these selectors whose prompt has
 * reached this tier; NULL: none. */
static const struct import_price *resolve(const struct import *im, const struct import_span *s,
                                          const struct import_price *set, int64_t above) {
    const struct import_price *best = NULL;
    for (int i = 0; i < s->n; i++) {
        const struct import_price *p = &s->price[i];
        if (!is_part(p, set) || p->above > above)
            continue;
        int64_t more = !best;
        for (const int *t = im->turn; *t && best && !more; t++)
            more = says(p, *t) - says(best, *t);
        if (more > 0)
            best = p;
    }
    return best;
}

/* The rows so far, from which a book chooses. */
struct rows {
    struct import_price *row;
    int n;
};

/* What a book finds; *twice: it finds two that are alike. */
static const struct import_price *chosen(const struct rows *r, const struct import_price *set,
                                         int64_t above, int *twice) {
    const struct import_price *best = NULL;
    *twice = 0;
    for (int i = 0; i < r->n; i++) {
        const struct import_price *p = &r->row[i];
        if (!is_part(p, set) || p->above > above)
            continue;
        int more = best ? set_size(p) - set_size(best) : 1;
        if (!more && same_set(p, best))
            more = p->above > best->above ? 1 : -1;
        if (!more)
            *twice = 1;
        if (more > 0) {
            best = p;
            *twice = 0;
        }
    }
    return best;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void put_choice(struct buf *b, const char *key, const char *value) {
    if (!value)
        return;
    buf_printf(b, " %s=", key);
    size_t at = b->len;
    import_put_word(b, value);
    for (; at < b->len; at++)
        if (b->data[at] >= 'A' && b->data[at] <= 'Z')
            b->data[at] = (char)(b->data[at] - 'A' + 'a');
}

static void put_validity(struct buf *b, int64_t from_ns, int64_t to_ns) {
    char date[DATE_TEXT];
    if (from_ns != BOOK_ALWAYS)
        buf_printf(b, " from=%s", date_text(from_ns, date));
    if (to_ns != BOOK_NEVER)
        buf_printf(b, " to=%s", date_text(to_ns, date));
}

static void put_row(struct import_model *m, const struct import_span *s,
                    const struct import_price *p) {
    struct buf *b = &m->rows;
    money_rate rate;
    money_rate most;
    buf_printf(b, "p%s %s", usage_kind_names()[p->kind], p->amount);
    if (p->per_1k)
        buf_adds(b, " per=1k");
    put_choice(b, "service", p->service);
    put_choice(b, "speed", p->speed);
    put_choice(b, "modality", p->modality < 0 ? NULL : usage_modality_names()[p->modality]);
    put_choice(b, "ttl", p->ttl);
    if (p->above >= 0)
        buf_printf(b, " above=%lld cmp=%s mode=whole of=prompt", (long long)p->above,
                   p->ge ? "ge" : "gt");
    if (p->window)
        buf_printf(b, " %s", p->window);
    put_validity(b, s->from_ns, s->to_ns);
    buf_addc(b, '\n');
    m->prices++;
    m->paid |= !import_is_zero(p->amount);
    if (!rate_of(p, &rate, &most) && (double)rate / (double)most > m->share)
        m->share = (double)rate / (double)most;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The thresholds of a kind, from none (-1) up. */
static int tiers_of(const struct import_span *s, int kind, int64_t *out) {
    int n = 1;
    out[0] = -1;
    for (int i = 0; i < s->n; i++) {
        int64_t above = s->price[i].above;
        int k = 0;
        while (k < n && out[k] != above)
            k++;
        if (s->price[i].kind == kind && k == n && n < MOST_TIERS)
            out[n++] = above;
    }
    qsort(out, (size_t)n, sizeof *out, by_number);
    return n;
}

/* Adds a set that is not there; the order is by size, then as they came. */
static int add_set(struct import_price *set, int n, const struct import_price *new) {
    int at = n;
    for (int i = 0; i < n; i++)
        if (same_set(&set[i], new))
            return n;
    while (at > 0 && set_size(&set[at - 1]) > set_size(new)) {
        set[at] = set[at - 1];
        at--;
    }
    set[at] = *new;
    return n + 1;
}

/* The sets of a kind that the catalogue has, and those in which two of them meet; -1: too many. */
static int sets_of(const struct import_span *s, int kind, struct import_price *set) {
    int n = 0;
    for (int i = 0; i < s->n && n < MOST_SETS; i++)
        if (s->price[i].kind == kind)
            n = add_set(set, n, &s->price[i]);
    if (n == MOST_SETS)
        return -1;
    for (int more = 1; more;) {
        more = 0;
        for (int i = 0; i < n && !more; i++)
            for (int k = 0; k < i && !more; k++) {
                struct import_price both;
                if (join(&set[i], &set[k], &both))
                    continue;
                int before = n;
                n = add_set(set, n, &both);
                more = n > before;
                if (n == MOST_SETS)
                    return -1;
            }
    }
    return n;
}

static void add_row(struct rows *r, const struct import_price *set, const struct import_price *p,
                    int64_t above, int ge) {
    r->row = mem_grow(r->row, (size_t)r->n + 1, sizeof *r->row);
    struct import_price *row = &r->row[r->n++];
    *row = *set;
    row->above = above;
    row->ge = ge;
    row->per_1k = p->per_1k;
    strcpy(row->amount, p->amount);
}

/* The rows of one set, tier by tier. Two selectors may be where two sets of one meet: a row
 * without a tier must say which counts there. */
static void rows_of_set(const struct import *im, const struct import_span *s,
                        const struct import_price *set, const int64_t *tier, int tiers,
                        struct rows *rows) {
    int ge = 0;
    for (int i = 0; i < s->n; i++)
        ge |= s->price[i].ge;
    for (int t = 0; t < tiers; t++) {
        struct import_price like = *set;
        int twice;
        like.above = tier[t];
        const struct import_price *said = import_price_find(s, &like);
        const struct import_price *want = said ? said : resolve(im, s, set, tier[t]);
        const struct import_price *have = chosen(rows, set, tier[t], &twice);
        int enough = have && !twice && !strcmp(want ? want->amount : "", have->amount);
        if (!want || (!said && enough && (tier[t] >= 0 || set_size(set) < 2)))
            continue;
        add_row(rows, set, want, tier[t], ge);
    }
}

static void rows_of_kind(struct import *im, struct import_model *m, const struct import_span *s,
                         int kind) {
    struct import_price *set = mem_array(MOST_SETS + 1, sizeof *set);
    int64_t tier[MOST_TIERS];
    struct rows rows = {0};
    int tiers = tiers_of(s, kind, tier);
    int sets = sets_of(s, kind, set);
    if (sets < 0 || sets * tiers > 1000) {
        import_note(im, 1, m->id, "more combinations of %s prices than a book holds",
                    usage_kind_names()[kind]);
        sets = 0;
    }
    for (int i = 0; i < sets; i++)
        rows_of_set(im, s, &set[i], tier, tiers, &rows);
    for (int i = 0; i < rows.n; i++)
        put_row(m, s, &rows.row[i]);
    free(rows.row);
    free(set);
}

/* A tier of a set of selectors below whose threshold nothing is said cannot stand beside others. */
static void drop_tiers_without_base(struct import *im, const struct import_model *m,
                                    struct import_span *s) {
    for (int i = 0; i < s->n; i++) {
        const struct import_price *p = &s->price[i];
        if (p->above < 0 || !set_size(p) || resolve(im, s, p, -1))
            continue;
        import_note(im, 1, m->id, "a tier of %s without a price below it",
                    usage_kind_names()[p->kind]);
        s->price[i--] = s->price[--s->n];
    }
}

void import_span_end(struct import *im, struct import_model *m, struct import_span *s) {
    if (s->from_ns < s->to_ns) {
        drop_tiers_without_base(im, m, s);
        for (int kind = 0; kind < USAGE_KINDS; kind++)
            rows_of_kind(im, m, s, kind);
    }
    s->n = 0;
}

void import_factor_add(struct import *im, struct import_model *m, const cJSON *v,
                       const char *selector, const char *value, int64_t to_ns, const char *key) {
    const char *number = import_number(v);
    char text[IMPORT_DECIMAL];
    int64_t times;
    if (!number || !import_is_word(value) || import_decimal(number, 0, text) ||
        money_parse_factor(text, strlen(text), &times) || times > 1000 * (int64_t)MONEY_FACTOR) {
        import_note(im, 1, m->id, "%s: a factor from 0 to 1000 is expected", key);
        return;
    }
    struct buf when = {0};
    put_choice(&when, selector, value);
    put_validity(&when, BOOK_ALWAYS, to_ns);
    buf_addc(&when, '\n');
    if (m->factors && strstr(m->rows.data, when.data)) {
        import_note(im, 1, m->id, "%s: there is a factor for the same already", key);
    } else {
        buf_printf(&m->rows, "f%s%s", text, when.data);
        m->factors++;
        if (times > MONEY_FACTOR)
            m->reach *= (double)times / MONEY_FACTOR;
    }
    buf_free(&when);
}
