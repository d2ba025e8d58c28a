/* book_row.c - statements that price: price, factor, and their selectors; see book_impl.h */
#include "lib/cost/book_impl.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

const char *const book_cmp_names[] = {"gt", "ge", NULL};
const char *const book_mode_names[] = {"whole", "marginal", NULL};
const char *const book_of_names[] = {"prompt", "class", "total", NULL};
const char *const book_day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

#define KEYS "service, region, speed, modality, ttl, above, cmp, mode, of, from, to, hours, " \
             "days, zone, source"

static int index_of(const char *const *names, const char *s, size_t len) {
    for (int i = 0; names[i]; i++)
        if (strlen(names[i]) == len && !memcmp(names[i], s, len))
            return i;
    return -1;
}

static int is_token(int kind) {
    return kind <= USAGE_REASONING;
}

/* ---- selectors ------------------------------------------------------------------------------- */

static void read_word(struct book_reader *r, const char *key, int *out) {
    const char *s = book_take(r, key);
    *out = s ? book_add_word(r->b, s) : BOOK_ANY;
}

static int read_tier(struct book_reader *r, int kind, struct book_select *w) {
    int cmp = -1;
    int mode = -1;
    int of = -1;
    w->above = -1;
    if (book_take_whole(r, "above", 0, USAGE_MOST, &w->above) ||
        book_take_choice(r, "cmp", book_cmp_names, &cmp) ||
        book_take_choice(r, "mode", book_mode_names, &mode) ||
        book_take_choice(r, "of", book_of_names, &of))
        return -1;
    int words = (cmp >= 0) + (mode >= 0) + (of >= 0);
    if (w->above < 0 && words)
        return book_bad(r, "expected above=TOKENS beside cmp, mode and of, found none");
    if (w->above >= 0 && words < 3)
        return book_bad(r, "above: expected cmp=, mode= and of= beside it, found %d of them",
                        words);
    if (w->above >= 0 && kind >= 0 && !is_token(kind))
        return book_bad(r, "above: expected a kind of token, found '%s'",
                        usage_kind_names()[kind]);
    if (w->above >= 0) {
        w->cmp = (uint8_t)cmp;
        w->mode = (uint8_t)mode;
        w->of = (uint8_t)of;
    }
    return 0;
}

/* "mon-fri,sun"; a span may go past Sunday. */
static int read_days(struct book_reader *r, struct book_select *w) {
    const char *text = book_take(r, "days");
    for (const char *s = text; s && *s;) {
        size_t len = strcspn(s, ",");
        const char *dash = memchr(s, '-', len);
        size_t head = dash ? (size_t)(dash - s) : len;
        int from = index_of(book_day_names, s, head);
        int to = dash ? index_of(book_day_names, dash + 1, len - head - 1) : from;
        if (from < 0 || to < 0)
            return book_bad(r, "days: expected days as in mon-fri,sun, found '%.40s'", text);
        for (int d = from;; d = (d + 1) % 7) {
            w->days |= (uint8_t)(1 << d);
            if (d == to)
                break;
        }
        s += len + (s[len] == ',');
    }
    return 0;
}

/* "09:30" at s in seconds; -1. */
static int clock_time(const char *s) {
    for (int i = 0; i < 5; i++)
        if (i == 2 ? s[i] != ':' : s[i] < '0' || s[i] > '9')
            return -1;
    int h = (s[0] - '0') * 10 + s[1] - '0';
    int m = (s[3] - '0') * 10 + s[4] - '0';
    return m > 59 || h * 60 + m > 24 * 60 ? -1 : (h * 60 + m) * 60;
}

static int read_hours(struct book_reader *r, struct book_select *w) {
    const char *text = book_take(r, "hours");
    for (const char *s = text; s && *s;) {
        size_t len = strcspn(s, ",");
        int from = len == 11 && s[5] == '-' ? clock_time(s) : -1;
        int to = from < 0 ? -1 : clock_time(s + 6);
        if (to <= from)
            return book_bad(r, "hours: expected windows of a day as in 01:00-04:00,22:00-24:00, "
                               "found '%.40s'", text);
        for (int i = 0; i < w->hours; i++)
            if (from < w->hour[i].to_s && w->hour[i].from_s < to)
                return book_bad(r, "hours: expected windows that do not overlap, found '%.60s'",
                                text);
        if (w->hours == BOOK_HOURS)
            return book_bad(r, "hours: expected at most %d windows, found '%.60s'", BOOK_HOURS,
                            text);
        w->hour[w->hours].from_s = from;
        w->hour[w->hours++].to_s = to;
        s += len + (s[len] == ',');
    }
    return 0;
}

/* "UTC", "+08:00" */
static int read_zone(struct book_reader *r, struct book_select *w) {
    const char *s = book_take(r, "zone");
    if (!s)
        return 0;
    if (!w->days && !w->hours)
        return book_bad(r, "zone: expected hours= or days= beside it, found none");
    if (!strcmp(s, "UTC"))
        return 0;
    int t = strlen(s) == 6 && (*s == '+' || *s == '-') ? clock_time(s + 1) : -1;
    if (t < 0 || t > 14 * 3600)
        return book_bad(r, "zone: expected UTC or an offset as in +08:00, found '%.40s'", s);
    w->zone_s = *s == '-' ? -t : t;
    return 0;
}

static int read_modality(struct book_reader *r, struct book_select *w) {
    int modality = -1;
    if (book_take_choice(r, "modality", usage_modality_names(), &modality))
        return -1;
    w->modality = modality < 0 ? BOOK_ANY : book_add_word(r->b, usage_modality_names()[modality]);
    return 0;
}

static int read_select(struct book_reader *r, int kind, struct book_select *w) {
    memset(w, 0, sizeof *w);            /* all of it: selectors are compared as bytes */
    read_word(r, "service", &w->service);
    read_word(r, "region", &w->region);
    read_word(r, "speed", &w->speed);
    if (read_modality(r, w) || book_take_duration(r, "ttl", &w->ttl_ns) ||
        read_tier(r, kind, w) || read_days(r, w) || read_hours(r, w) || read_zone(r, w) ||
        book_take_validity(r, &w->from_ns, &w->to_ns))
        return -1;
    if (w->ttl_ns && kind != USAGE_WRITE && kind != BOOK_ANY)
        return book_bad(r, "ttl: expected a price of write, found one of %s",
                        usage_kind_names()[kind]);
    return 0;
}

/* ---- rates ----------------------------------------------------------------------------------- */

/* What per= may say: dollars for `units` of the kinds, kept as `per` after times `scale`. */
static const struct per {
    const char *name;
    int first, last;            /* kinds */
    int64_t units;
    int64_t scale;
    int per;
} pers[] = {
    {"mtok", USAGE_INPUT, USAGE_REASONING, 1000000, 1, BOOK_PER_MTOK},
    {"ktok", USAGE_INPUT, USAGE_REASONING, 1000, 1, BOOK_PER_MTOK},
    {"token", USAGE_INPUT, USAGE_REASONING, 1, 1, BOOK_PER_MTOK},
    {"active", USAGE_INPUT, USAGE_REASONING, 1000000, 1, BOOK_PER_ACTIVE},
    {"unit", USAGE_INPUT, USAGE_REASONING, 1, 1, BOOK_PER_UNIT},
    {"mtok-hour", USAGE_STORAGE, USAGE_STORAGE, 1000000, 1, BOOK_PER_HOUR},
    {"request", USAGE_REQUEST, USAGE_REQUEST, 1, 1, BOOK_PER_REQUEST},
    {"1k", USAGE_REQUEST, USAGE_REQUEST, 1000, 1, BOOK_PER_REQUEST},
    {"second", USAGE_SECOND, USAGE_SECOND, 1, 3600, BOOK_PER_HOUR},
    {"minute", USAGE_SECOND, USAGE_SECOND, 1, 60, BOOK_PER_HOUR},
    {"hour", USAGE_SECOND, USAGE_SECOND, 1, 1, BOOK_PER_HOUR},
    {"search", USAGE_SEARCH, USAGE_SEARCH, 1, 1, BOOK_PER_REQUEST},
    {"1k", USAGE_SEARCH, USAGE_SEARCH, 1000, 1, BOOK_PER_REQUEST},
};
enum { PERS = sizeof pers / sizeof *pers };

/* Without per=: the first of the kind. */
static const struct per *find_per(struct book_reader *r, int kind) {
    const char *s = book_take(r, "per");
    char list[96] = "";
    size_t at = 0;
    for (int i = 0; i < PERS; i++) {
        if (kind < pers[i].first || kind > pers[i].last)
            continue;
        if (!s || !strcmp(s, pers[i].name))
            return &pers[i];
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", pers[i].name);
    }
    book_bad(r, "per: expected one of %s, found '%.40s'", list, s);
    return NULL;
}

static int check_most(struct book_reader *r, const struct book_row *row, const char *text) {
    char most[MONEY_TEXT];
    money_rate limit = BOOK_TOKEN_MOST;
    if (row->per == BOOK_PER_REQUEST)
        limit = BOOK_REQUEST_MOST;
    else if (row->per == BOOK_PER_HOUR && row->kind == USAGE_SECOND)
        limit = BOOK_HOUR_MOST;
    else if (row->per == BOOK_PER_UNIT)
        limit = row->unit_tokens < 1000 ? BOOK_TOKEN_MOST * row->unit_tokens : BOOK_REQUEST_MOST;
    if (row->rate <= limit)
        return 0;
    return book_bad(r, "expected a price up to $%s a %s, found '%.40s'",
                    money_rate_text(limit, 1, most),
                    row->per == BOOK_PER_REQUEST ? "request"
                    : row->per == BOOK_PER_UNIT  ? "unit"
                    : row->kind == USAGE_SECOND  ? "hour"
                                                 : "token", text);
}

static int read_rate(struct book_reader *r, struct book_row *row, const char *text) {
    const struct per *per = find_per(r, row->kind);
    if (!per)
        return -1;
    row->per = per->per;
    if (book_take_whole(r, "unit", 1, USAGE_MOST, &row->unit_tokens))
        return -1;
    if ((row->per == BOOK_PER_UNIT) != (row->unit_tokens > 0))
        return book_bad(r, "expected per=unit and unit=TOKENS together, found one of them");
    if (money_parse_rate(text, strlen(text), per->units, &row->rate) || row->rate < 0)
        return book_bad(r, "expected dollars as in 3, 0.30 or 0, found '%.40s'", text);
    row->rate *= per->scale;
    return check_most(r, row, text);
}

static int read_kind(struct book_reader *r, const char *s, int *out) {
    *out = index_of(usage_kind_names(), s, strlen(s));
    return *out < 0 ? book_bad(r, "expected a kind (input, read, write, output, reasoning, storage,"
                                  " request, second, search), found '%.40s'", s)
                    : 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int read_model(struct book_reader *r, const char *name, int *out) {
    *out = BOOK_ANY;
    if (strcmp(name, "*"))
        return book_find_model(r, name, out);
    if (++r->stars > BOOK_STARS)
        return book_bad(r, "expected at most %d rows for all models", BOOK_STARS);
    return 0;
}

static struct book_row *add_row(struct book_reader *r) {
    struct book *b = r->b;
    if ((size_t)b->rows == r->row_room) {
        r->row_room = 2 * r->row_room + 64;
        b->row = mem_grow(b->row, r->row_room, sizeof *b->row);
    }
    struct book_row *row = &b->row[b->rows++];
    memset(row, 0, sizeof *row);
    row->line = r->line;
    return row;
}

int book_read_price(struct book_reader *r) {
    if (r->words != 4)
        return book_bad(r, "price: expected MODEL KIND DOLLARS, found %d words", r->words - 1);
    struct book_row *row = add_row(r);
    if (read_model(r, r->field[1].text, &row->model) ||
        read_kind(r, r->field[2].text, &row->kind) || read_rate(r, row, r->field[3].text) ||
        read_select(r, row->kind, &row->when) || book_take_source(r, &row->source))
        return -1;
    return book_leftover(r, "per, unit, " KEYS);
}

int book_read_factor(struct book_reader *r) {
    if (r->words != 3 && r->words != 4)
        return book_bad(r, "factor: expected MODEL [KIND] TIMES, found %d words", r->words - 1);
    struct book_row *row = add_row(r);
    const char *times = r->field[r->words - 1].text;
    row->factor = 1;
    row->kind = BOOK_ANY;
    if (read_model(r, r->field[1].text, &row->model) ||
        (r->words == 4 && read_kind(r, r->field[2].text, &row->kind)))
        return -1;
    if (money_parse_factor(times, strlen(times), &row->times) || row->times > BOOK_FACTOR_MOST)
        return book_bad(r, "expected a factor from 0 to 1000, found '%.40s'", times);
    if (read_select(r, row->kind, &row->when) || book_take_source(r, &row->source))
        return -1;
    return book_leftover(r, KEYS);
}
