/* bill_words.c - what the steps of an explanation say, see bill_impl.h */
#include "lib/cost/bill_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"

static const char *const of_names[] = {"prompt", "class", "total"};
static const char *const cmp_names[] = {">", ">="};

/* ---- model and time ----------------------------------------------------------------------- */

static int is_name(struct reqs_text t, const char *name) {
    return strlen(name) == t.len && !strncasecmp(name, t.data, t.len);
}

static int contains(struct reqs_text t, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; n <= t.len && i <= t.len - n; i++)
        if (!strncasecmp(name, t.data + i, n))
            return 1;
    return 0;
}

/* Of the model's name and aliases the longest that the text has in it. */
static const char *part_of(const struct book_model *m, struct reqs_text t) {
    const char *best = contains(t, m->name) ? m->name : "";
    for (int i = 0; i < m->aliases; i++)
        if (strlen(m->alias[i]) > strlen(best) && contains(t, m->alias[i]))
            best = m->alias[i];
    return best;
}

char *bill_words_model(const struct book *b, int model, struct reqs_text name) {
    const struct book_model *m = &b->model[model];
    const char *part = part_of(m, name);
    int len = (int)(name.len < 200 ? name.len : 200);
    if (is_name(name, m->name))
        return mem_printf("%s, by its name", m->name);
    if (is_name(name, part))
        return mem_printf("%s, of which %s is an alias", m->name, part);
    if (!strcmp(part, m->name))
        return mem_printf("%s, which %.*s is without what stands around it", m->name, len,
                          name.data);
    return mem_printf("%s, of which %s is an alias, which %.*s is without what stands around it",
                      m->name, part, len, name.data);
}

char *bill_words_time(const struct biller *p, const struct usage *u, int64_t at_ns) {
    char date[DATE_TEXT];
    const char *whose = "now: the record has no time";
    if (p->opt.at_ns != USAGE_NO_TIME)
        whose = "as asked for";
    else if (u->time_ns != USAGE_NO_TIME)
        whose = "the record's";
    return mem_printf("%s, %s", date_text(at_ns, date), whose);
}

/* ---- amounts ------------------------------------------------------------------------------ */

static void life_text(int64_t ns, char *out, size_t size) {
    static const struct {
        char unit;
        int64_t s;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    int64_t s = ns / 1000000000;
    int i = 0;
    while (i < 3 && (s < units[i].s || s % units[i].s))
        i++;
    snprintf(out, size, "%lld%c", (long long)(s / units[i].s), units[i].unit);
}

/* What a rate is for, and how many of the row's units that is. */
static const char *unit_of(const struct book_row *r, int64_t *units) {
    *units = 1;
    switch (r->per) {
    case BOOK_PER_MTOK: *units = 1000000; return "a million tokens";
    case BOOK_PER_ACTIVE: *units = 1000000; return "a million tokens for 1e9 active parameters";
    case BOOK_PER_UNIT: return "a started unit";
    case BOOK_PER_HOUR:
        if (r->kind == USAGE_SECOND)
            return "an hour";
        *units = 1000000;
        return "a million tokens an hour";
    }
    return r->kind == USAGE_SEARCH ? "a search" : "a request";
}

char *bill_words_row(const struct book_row *r) {
    char rate[MONEY_TEXT];
    int64_t units;
    const char *unit = unit_of(r, &units);
    return mem_printf("%s at $%s %s", usage_kind_names()[r->kind],
                      money_rate_text(r->rate, units, rate), unit);
}

/* "200000 read tokens" */
static char *amount_text(const struct usage_amount *a) {
    char life[32] = "";
    char number[32];
    const char *unit = a->kind == USAGE_REQUEST || a->kind == USAGE_SEARCH ? "" : " tokens";
    const char *modality = a->modality ? usage_modality_names()[a->modality] : "";
    snprintf(number, sizeof number, "%lld", (long long)a->quantity);
    if (a->kind == USAGE_SECOND)
        snprintf(number, sizeof number, "%lld.%09lld", (long long)(a->quantity / 1000000000),
                 (long long)(a->quantity % 1000000000));
    if (a->kind == USAGE_STORAGE)
        unit = " token-milliseconds";
    if (a->kind == USAGE_SECOND)
        unit = " of time";
    if (a->ttl_ns) {
        life_text(a->ttl_ns, life, sizeof life - 1);
        strcat(life, " ");
    }
    return mem_printf("%s %s%s%s%s%s", number, modality, *modality ? " " : "", life,
                      usage_kind_names()[a->kind], unit);
}

char *bill_words_charge(const struct book_row *r, const struct bill_line *l) {
    char rate[MONEY_TEXT];
    char usd[MONEY_TEXT];
    int64_t units;
    char *amount = amount_text(&l->amount);
    const char *unit = unit_of(r, &units);
    if (r->per == BOOK_PER_ACTIVE)      /* the parameters are in the rate by now */
        unit = "a million tokens";
    char *text = mem_printf("%s x $%s %s = $%s", amount, money_rate_text(l->rate, units, rate),
                            unit, money_rate_text(l->charge, 1, usd));
    free(amount);
    return text;
}

/* ---- tiers -------------------------------------------------------------------------------- */

/* Numbers of the first and the last token, or 0 where all have the measure's. */
static int64_t first_number(const struct bill_numbers *n, int mode, int of) {
    int64_t before = of == BOOK_OF_PROMPT ? n->in_prompt : of == BOOK_OF_CLASS ? n->in_class
                                                                               : n->in_total;
    return mode == BOOK_MARGINAL && before >= 0 ? before + 1 : 0;
}

char *bill_words_tier(const struct biller *p, const struct book_row *r,
                      const struct bill_numbers *n, int64_t from, int64_t to) {
    int cmp;
    int mode;
    int of;
    bill_tier(p, r, &cmp, &mode, &of);
    int64_t first = first_number(n, mode, of);
    const char *word = bill_beyond(p, r, n, from) ? "" : "not ";
    if (!first)
        return mem_printf("%s of %lld tokens %s %lld: %sreached", of_names[of],
                          (long long)bill_measure(n, of), cmp_names[cmp],
                          (long long)r->when.above, word);
    return mem_printf("tokens %lld to %lld of the %s, %s %lld: %sreached",
                      (long long)(first + from), (long long)(first + to - 1), of_names[of],
                      cmp_names[cmp], (long long)r->when.above, word);
}

/* ---- what is passed over ------------------------------------------------------------------ */

static char *passed_time(const struct book_select *w, int64_t at) {
    char date[DATE_TEXT];
    if (at < w->from_ns)
        return mem_printf("begins on %s", date_text(w->from_ns, date));
    if (at >= w->to_ns)
        return mem_printf("ended on %s", date_text(w->to_ns, date));
    return mem_strdup("not at this hour or day");
}

static char *passed_word(const struct book *b, const char *what, int row, int request) {
    return row == BOOK_ANY || row == request
               ? NULL : mem_printf("for %s %s alone", what, b->word[row]);
}

static char *passed_words(const struct biller *p, const struct bill_tariff *t,
                          const struct usage_amount *a, const struct book_select *w) {
    char life[32];
    char *text = passed_word(p->b, "service", w->service, t->service);
    if (!text)
        text = passed_word(p->b, "region", w->region, t->region);
    if (!text)
        text = passed_word(p->b, "speed", w->speed, t->speed);
    if (!text)
        text = passed_word(p->b, "modality", w->modality, p->modality[a->modality]);
    int64_t plain = p->b->model[t->model].default_ttl_ns;
    if (!text && w->ttl_ns && w->ttl_ns != (a->ttl_ns ? a->ttl_ns : plain)) {
        life_text(w->ttl_ns, life, sizeof life);
        text = mem_printf("for a cache life of %s alone", life);
    }
    return text;
}

char *bill_words_passed(const struct biller *p, const struct bill_tariff *t,
                        const struct usage *u, int i, int row, int best) {
    const struct usage_amount *a = &u->amount[i];
    const struct book_row *r = &p->b->row[row];
    int64_t at = bill_time(p, u);
    struct bill_numbers n;
    char *text;
    if (p->opt.without_row == row + 1)
        return mem_strdup("left out as asked for");
    if (!book_holds(&r->when, at))
        return passed_time(&r->when, at);
    text = passed_words(p, t, a, &r->when);
    if (text)
        return text;
    bill_number(u, i, &n);
    if (r->when.above >= 0 && p->opt.tiers && p->opt.tiers->ignore)
        return mem_strdup("tiers are left out as asked for");
    if (r->when.above >= 0 && !bill_beyond(p, r, &n, a->quantity - 1))
        return bill_words_tier(p, r, &n, 0, a->quantity);
    if (best >= 0)
        return mem_printf("line %d goes before it", p->b->row[best].line);
    return a->modality ? mem_strdup("for text") : mem_strdup("for another cache life");
}
