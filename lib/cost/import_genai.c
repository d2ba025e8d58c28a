/* import_genai.c - prices/data.json of pydantic/genai-prices, v1 and v2; see import_impl.h
 *
 * A list of providers, each with a list of models: {"id", "match", "prices"}. Prices are a set, or
 * a list of sets with a constraint each: the last whose constraint holds counts, the first where
 * none does. A price is a number, or {"base", "tiers": [{"start", "price"}]}: above the highest
 * start that the prompt is larger than, all tokens cost that tier's price. A unit without a price
 * in a set costs what the wider unit does (a cached token without one: input), so that a set leaves
 * nothing of the one before it.
 *
 * Names of "match" that stand alone or under "or" become aliases; patterns cannot. A name that
 * several providers have is that of the one whose "model_match" it fits.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/date.h"
#include "lib/cost/import_impl.h"

#define MOST_SETS 32            /* of a model */

struct set {
    const cJSON *prices;
    int64_t from_ns;            /* of start_date */
    int is_window;
    char window[IMPORT_WINDOW]; /* of the hours of the day */
};

struct entry {
    struct import *im;
    struct import_model *model;
    struct import_span span;
    struct set set[MOST_SETS];
    int sets;
    int said;
};

/* ---- price keys ----------------------------------------------------------------------------- */

static int take(const char **s, const char *word) {
    size_t n = strlen(word);
    if (strncmp(*s, word, n))
        return 0;
    *s += n;
    return 1;
}

static int take_modality(const char **s) {
    for (int i = 0; usage_modality_names()[i]; i++) {
        char word[16];
        snprintf(word, sizeof word, "%s_", usage_modality_names()[i]);
        if (take(s, word))
            return i;
    }
    return -1;
}

/* "cache_audio_write_1h_mtok" is write, audio, 1h; -1: it is nothing that is known here. */
static int parse_key(const char *s, struct import_price *p) {
    *p = (struct import_price)IMPORT_PRICE;
    if (!strcmp(s, "requests_kcount") || !strcmp(s, "web_searches_kcount")) {
        p->kind = *s == 'r' ? USAGE_REQUEST : USAGE_SEARCH;
        p->per_1k = 1;
        return 0;
    }
    if (take(&s, "input_")) {
        p->kind = USAGE_INPUT;
        p->modality = take_modality(&s);
    } else if (take(&s, "output_")) {
        p->kind = take(&s, "reasoning_") ? USAGE_REASONING : USAGE_OUTPUT;
        p->modality = take_modality(&s);
    } else if (take(&s, "cache_")) {
        p->modality = take_modality(&s);
        p->kind = take(&s, "write_") ? USAGE_WRITE : take(&s, "read_") ? USAGE_READ : -1;
        if (p->kind == USAGE_WRITE)
            p->ttl = take(&s, "1h_") ? "1h" : take(&s, "5m_") ? "5m" : NULL;
    } else {
        return -1;
    }
    return p->kind < 0 || strcmp(s, "mtok") ? -1 : 0;
}

static void add_price(struct entry *e, const struct import_price *p, const cJSON *v,
                      const char *key) {
    const cJSON *base = import_get(v, "base");
    const cJSON *tier;
    struct import_price at = *p;
    if (!cJSON_IsObject(v)) {
        import_price_add(e->im, e->model, &e->span, p, v, 0, key);
        return;
    }
    if (base)
        import_price_add(e->im, e->model, &e->span, p, base, 0, key);
    cJSON_ArrayForEach(tier, import_get(v, "tiers")) {
        const cJSON *price = import_get(tier, "price");
        if (!price || import_whole(import_get(tier, "start"), USAGE_MOST, &at.above))
            import_note(e->im, 1, e->model->id, "%.80s: a tier of start and price is expected",
                        key);
        else
            import_price_add(e->im, e->model, &e->span, &at, price, 0, key);
    }
}

static void add_prices(struct entry *e, const cJSON *prices, const char *window) {
    for (const cJSON *v = prices->child; v; v = v->next) {
        struct import_price p;
        if (cJSON_IsNull(v))
            continue;
        e->said = 1;
        if (parse_key(v->string, &p)) {
            import_note(e->im, 1, e->model->id, "%.80s", v->string);
            continue;
        }
        p.window = window;
        add_price(e, &p, v, v->string);
    }
}

/* The key of the wider unit that a token costs without a price of its own; NULL: there is none. */
static const char *wider(const char *key) {
    struct import_price p;
    if (parse_key(key, &p) || p.per_1k)
        return NULL;
    if (p.ttl)
        return "cache_write_mtok";
    if (p.kind == USAGE_READ || p.kind == USAGE_WRITE)
        return "input_mtok";
    if (p.kind == USAGE_REASONING || (p.kind == USAGE_OUTPUT && p.modality >= 0))
        return "output_mtok";
    return p.modality >= 0 ? "input_mtok" : NULL;
}

/* What the set outside the hours has and the one within them has not, is the wider unit's there. */
static void fill_window(struct entry *e, const cJSON *outside, const struct set *within) {
    for (const cJSON *v = outside->child; v; v = v->next) {
        const char *key = v->string;
        struct import_price p;
        if (cJSON_IsNull(v) || parse_key(key, &p) || import_get(within->prices, key))
            continue;
        const cJSON *price = NULL;
        while (!price && (key = wider(key)))
            price = import_get(within->prices, key);
        p.window = within->window;
        if (price)
            add_price(e, &p, price, v->string);
        else
            import_note(e->im, 1, e->model->id, "%.80s: without a price in the hours that have "
                        "prices of their own", v->string);
    }
}

/* ---- constraints ---------------------------------------------------------------------------- */

/* "00:30:00Z" in minutes; -1. */
static int minutes(const cJSON *v) {
    const char *s = import_string(v);
    int h, m, sec = 0, n = 0;
    if (!s || sscanf(s, "%2d:%2d%n:%2d%n", &h, &m, &n, &sec, &n) < 2 || h < 0 || h > 23 || m < 0 ||
        m > 59 || sec)
        return -1;
    s += n;
    return !*s || !strcmp(s, "Z") || !strcmp(s, "+00:00") ? h * 60 + m : -1;
}

static int read_hours(struct set *set, const cJSON *c) {
    struct import_week *w;
    int from = minutes(import_get(c, "start_time"));
    int to = minutes(import_get(c, "end_time"));
    if (from < 0 || to <= from)
        return -1;
    w = mem_alloc(sizeof *w);
    import_week_add(w, from, to, 0x7f, 0);
    set->is_window = import_week_windows(w, &set->window, 1) == 1;
    free(w);
    return set->is_window ? 0 : -1;
}

static int read_constraint(struct set *set, const cJSON *c) {
    const char *start = import_string(import_get(c, "start_date"));
    set->from_ns = BOOK_ALWAYS;
    if (!c)
        return 0;
    if (start)
        return date_parse(start, strlen(start), &set->from_ns);
    return read_hours(set, c);
}

static void read_sets(struct entry *e, const cJSON *prices) {
    const cJSON *one;
    if (cJSON_IsObject(prices)) {
        e->set[e->sets++] = (struct set){.prices = prices, .from_ns = BOOK_ALWAYS};
        return;
    }
    cJSON_ArrayForEach(one, prices) {
        struct set set = {.prices = import_get(one, "prices")};
        if (!cJSON_IsObject(set.prices) || read_constraint(&set, import_get(one, "constraint")) ||
            e->sets == MOST_SETS)
            import_note(e->im, 1, e->model->id, "prices under a constraint that is neither a date "
                        "nor hours of UTC");
        else
            e->set[e->sets++] = set;
    }
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* The prices from one date to the next: of the last set that has begun, the first where none has,
 * and of the hours that come after it in the list. */
static void write_span(struct entry *e, int64_t from_ns, int64_t to_ns) {
    int first = 0;
    int windows = 0;
    for (int i = 0; i < e->sets; i++)
        if (!e->set[i].is_window && e->set[i].from_ns <= from_ns)
            first = i;
    e->span.from_ns = from_ns;
    e->span.to_ns = to_ns;
    add_prices(e, e->set[first].prices, NULL);
    for (int i = first + 1; i < e->sets; i++) {
        if (!e->set[i].is_window)
            continue;
        if (windows++) {
            import_note(e->im, 1, e->model->id, "a second set of prices for hours of the day");
            continue;
        }
        add_prices(e, e->set[i].prices, e->set[i].window);
        fill_window(e, e->set[first].prices, &e->set[i]);
    }
    import_span_end(e->im, e->model, &e->span);
}

static void write_spans(struct entry *e) {
    int64_t from = BOOK_ALWAYS;
    while (from != BOOK_NEVER) {
        int64_t to = BOOK_NEVER;
        for (int i = 0; i < e->sets; i++)
            if (e->set[i].from_ns > from && e->set[i].from_ns < to)
                to = e->set[i].from_ns;
        write_span(e, from, to);
        from = to;
    }
}

/* ---- who a name belongs to ------------------------------------------------------------------ */

/* A regular expression of letters, choices and sets: one that repeats may take for ever to compile
 * or to run. "(?:" is Python's for "(" here. */
static int matches_pattern(const char *pattern, const char *name) {
    char plain[101];
    size_t n = 0;
    regex_t re;
    if (strlen(pattern) > 100 || strspn(pattern, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
                                                 "wxyz0123456789-_.:^$()[]|?/") != strlen(pattern))
        return 0;
    for (const char *s = pattern; *s; s++) {
        plain[n++] = *s;
        if (!strncmp(s, "(?:", 3))
            s += 2;
    }
    plain[n] = '\0';
    if (regcomp(&re, plain, REG_EXTENDED | REG_NOSUB))
        return 0;
    int found = !regexec(&re, name, 0, NULL, 0);
    regfree(&re);
    return found;
}

/* Upper and lower case are one, as in the catalogue's calculator. 0 for what is not known here. */
static int is_match(const cJSON *clause, const char *name, int depth) {
    const cJSON *c = cJSON_IsObject(clause) ? clause->child : NULL;
    const char *s = import_string(c);
    size_t len = strlen(name);
    const cJSON *one;
    if (!c || depth > 8)
        return 0;
    if (s && !strcmp(c->string, "equals"))
        return !strcasecmp(name, s);
    if (s && !strcmp(c->string, "starts_with"))
        return !strncasecmp(name, s, strlen(s));
    if (s && !strcmp(c->string, "ends_with"))
        return strlen(s) <= len && !strcasecmp(name + len - strlen(s), s);
    if (s && !strcmp(c->string, "contains"))
        return strcasestr(name, s) != NULL;
    if (s && !strcmp(c->string, "regex"))
        return matches_pattern(s, name);
    int any = !strcmp(c->string, "or");
    if (!any && strcmp(c->string, "and"))
        return 0;
    cJSON_ArrayForEach(one, c)
        if (is_match(one, name, depth + 1) == any)
            return any;
    return !any;
}

/* ---- models --------------------------------------------------------------------------------- */

static void read_match(struct entry *e, const cJSON *match, int depth) {
    const char *name = import_string(import_get(match, "equals"));
    const cJSON *any = import_get(match, "or");
    const cJSON *one;
    if (name) {
        if (strcmp(name, e->model->id))
            import_alias(e->model, name);
    } else if (any && depth < 8) {
        cJSON_ArrayForEach(one, any)
            read_match(e, one, depth + 1);
    } else if (match && match->child && match->child->string) {
        import_note(e->im, 0, e->model->id, "names that are only matched by \"%.20s\"",
                    match->child->string);
    }
}

static void read_model(struct import *im, const cJSON *provider, const cJSON *object,
                       struct import_span *span) {
    const char *whose = import_string(import_get(provider, "id"));
    const char *id = import_string(import_get(object, "id"));
    const cJSON *prices = import_get(object, "prices");
    if (!id) {
        import_note(im, 1, NULL, "a model without an id");
        return;
    }
    if (!import_wanted(im, whose, id))
        return;
    struct entry e = {.im = im, .span = *span, .model = import_model_add(im, whose, id)};
    if (!e.model)
        return;
    e.model->place = !is_match(import_get(provider, "model_match"), id, 0);
    if (import_whole(import_get(object, "context_window"), USAGE_MOST, &e.model->context))
        e.model->context = 0;
    read_match(&e, import_get(object, "match"), 0);
    read_sets(&e, prices);
    if (e.sets)
        write_spans(&e);
    import_model_end(im, e.model, e.said);
    *span = e.span;
}

int import_genai(struct import *im, const cJSON *doc) {
    struct import_span span = {0};
    const cJSON *provider;
    if (!cJSON_IsArray(doc))
        return err_set(im->err, "%s: expected a list of providers, as genai-prices has it",
                       im->path);
    cJSON_ArrayForEach(provider, doc) {
        const cJSON *model;
        cJSON_ArrayForEach(model, import_get(provider, "models"))
            read_model(im, provider, model, &span);
    }
    free(span.price);
    return 0;
}
