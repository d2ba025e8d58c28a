/* book_format.c - statements of a price book as lines of llm-book(5), see book.h
 *
 * What a line says when it is read again is what it was written from.
 */
#include "lib/cost/book_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"

#define SECOND ((int64_t)1000000000)

/* ---- words and values ------------------------------------------------------------------------ */

/* Quoted where the reader would see something else in it. */
static void add_text(struct buf *s, const char *text, int is_word) {
    if (*text && !strpbrk(text, is_word ? " \t\"=" : " \t\"") && *text != '#') {
        buf_adds(s, text);
        return;
    }
    buf_addc(s, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_addc(s, '\\');
        buf_addc(s, *text);
    }
    buf_addc(s, '"');
}

static void add_key(struct buf *s, const char *key, const char *value) {
    if (!value)
        return;
    buf_printf(s, " %s=", key);
    add_text(s, value, 0);
}

static void add_date(struct buf *s, const char *key, int64_t ns) {
    char text[DATE_TEXT];
    if (ns != BOOK_ALWAYS && ns != BOOK_NEVER)
        add_key(s, key, date_text(ns, text));
}

static void add_validity(struct buf *s, int64_t from_ns, int64_t to_ns) {
    add_date(s, "from", from_ns);
    add_date(s, "to", to_ns);
}

static void add_duration(struct buf *s, const char *key, int64_t ns) {
    int64_t n = ns / SECOND;
    if (ns && n % 86400 == 0)
        buf_printf(s, " %s=%lldd", key, (long long)(n / 86400));
    else if (ns && n % 3600 == 0)
        buf_printf(s, " %s=%lldh", key, (long long)(n / 3600));
    else if (ns && n % 60 == 0)
        buf_printf(s, " %s=%lldm", key, (long long)(n / 60));
    else if (ns)
        buf_printf(s, " %s=%llds", key, (long long)n);
}

static void add_money(struct buf *s, const char *key, money m) {
    char text[MONEY_TEXT];
    buf_printf(s, " %s=%s", key, money_text(m, text));
}

static void add_number(struct buf *s, const char *key, double x) {
    if (x)
        buf_printf(s, " %s=%.15g", key, x);
}

static void add_source(const struct book *b, struct buf *s, int source) {
    if (source >= 0)
        add_key(s, "source", b->source[source].name);
}

static void add_word(const struct book *b, struct buf *s, const char *key, int word) {
    if (word >= 0)
        add_key(s, key, b->word[word]);
}

/* ---- selectors ------------------------------------------------------------------------------- */

static void add_days(struct buf *s, unsigned days) {
    const char *between = " days=";
    for (int d = 0; d < 7; d++) {
        int last = d;
        if (!(days >> d & 1))
            continue;
        while (last < 6 && days >> (last + 1) & 1)
            last++;
        buf_printf(s, "%s%s", between, book_day_names[d]);
        if (last > d)
            buf_printf(s, "-%s", book_day_names[last]);
        between = ",";
        d = last;
    }
}

static void add_window(struct buf *s, const struct book_select *w) {
    add_days(s, w->days);
    for (int i = 0; i < w->hours; i++) {
        int from = w->hour[i].from_s / 60;
        int to = w->hour[i].to_s / 60;
        buf_printf(s, "%s%02d:%02d-%02d:%02d", i ? "," : " hours=", from / 60, from % 60, to / 60,
                   to % 60);
    }
    int zone = abs(w->zone_s) / 60;
    if (zone)
        buf_printf(s, " zone=%c%02d:%02d", w->zone_s < 0 ? '-' : '+', zone / 60, zone % 60);
}

static void add_select(const struct book *b, struct buf *s, const struct book_select *w) {
    add_word(b, s, "service", w->service);
    add_word(b, s, "region", w->region);
    add_word(b, s, "speed", w->speed);
    add_word(b, s, "modality", w->modality);
    add_duration(s, "ttl", w->ttl_ns);
    if (w->above >= 0)
        buf_printf(s, " above=%lld cmp=%s mode=%s of=%s", (long long)w->above,
                   book_cmp_names[w->cmp], book_mode_names[w->mode], book_of_names[w->of]);
    add_window(s, w);
    add_validity(s, w->from_ns, w->to_ns);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The rate, and per= where it is not what the kind has without. */
static void add_rate(struct buf *s, const struct book_row *r) {
    char text[MONEY_TEXT];
    int is_second = r->kind == USAGE_SECOND;
    int is_unit = r->per == BOOK_PER_UNIT || r->per == BOOK_PER_REQUEST || is_second;
    buf_adds(s, money_rate_text(r->rate, is_unit ? 1 : 1000000, text));
    if (r->per == BOOK_PER_ACTIVE)
        buf_adds(s, " per=active");
    else if (r->per == BOOK_PER_UNIT)
        buf_printf(s, " per=unit unit=%lld", (long long)r->unit_tokens);
    else if (is_second)
        buf_adds(s, " per=hour");
}

char *book_row_text(const struct book *b, const struct book_row *r) {
    struct buf s = {0};
    char text[MONEY_TEXT];
    buf_adds(&s, r->factor ? "factor " : "price ");
    add_text(&s, r->model < 0 ? "*" : b->model[r->model].name, 1);
    buf_addc(&s, ' ');
    if (r->kind >= 0)
        buf_printf(&s, "%s ", usage_kind_names()[r->kind]);
    if (r->factor)
        buf_adds(&s, money_factor_text(r->times, text));
    else
        add_rate(&s, r);
    add_select(b, &s, &r->when);
    add_source(b, &s, r->source);
    return s.data;
}

/* ---- other statements ------------------------------------------------------------------------ */

char *book_head_text(const struct book *b) {
    struct buf s = {0};
    buf_adds(&s, "book ");
    add_text(&s, b->name, 1);
    add_date(&s, "observed", b->observed_ns);
    buf_adds(&s, " currency=USD");
    if (b->counterfactual)
        buf_adds(&s, " counterfactual=yes");
    add_key(&s, "title", b->title);
    return s.data;
}

char *book_source_text(const struct book_source *x) {
    struct buf s = {0};
    buf_adds(&s, "source ");
    add_text(&s, x->name, 1);
    add_key(&s, "url", x->url);
    add_date(&s, "observed", x->observed_ns);
    add_key(&s, "confidence", x->confidence);
    add_key(&s, "title", x->title);
    return s.data;
}

char *book_model_text(const struct book *b, const struct book_model *m) {
    struct buf s = {0};
    struct buf alias = {0};
    buf_adds(&s, "model ");
    add_text(&s, m->name, 1);
    add_key(&s, "provider", m->provider);
    for (int i = 0; i < m->aliases; i++)
        buf_printf(&alias, "%s%s", i ? "," : "", m->alias[i]);
    add_key(&s, "alias", alias.data);
    buf_free(&alias);
    add_duration(&s, "default_ttl", m->default_ttl_ns);
    if (m->context)
        buf_printf(&s, " context=%lld", (long long)m->context);
    if (m->params)
        buf_printf(&s, " params=%.0f", m->params);
    if (m->active)
        buf_printf(&s, " active=%.0f", m->active);
    add_key(&s, "shape", m->shape);
    add_source(b, &s, m->source);
    return s.data;
}

char *book_plan_text(const struct book *b, const struct book_plan *p) {
    struct buf s = {0};
    char text[MONEY_TEXT];
    buf_adds(&s, "plan ");
    add_text(&s, p->name, 1);
    add_money(&s, "fee", p->fee);
    add_duration(&s, "period", p->period_ns);
    add_money(&s, "included", p->included);
    if (p->credit)
        add_money(&s, "credit", p->credit);
    add_key(&s, "overage", p->overage < 0 ? "refused" : money_factor_text(p->overage, text));
    add_validity(&s, p->from_ns, p->to_ns);
    add_source(b, &s, p->source);
    for (int i = 0; i < p->windows; i++) {
        buf_adds(&s, "\nwindow ");
        add_text(&s, p->name, 1);
        add_money(&s, "limit", p->window[i].limit);
        add_duration(&s, "period", p->window[i].period_ns);
    }
    return s.data;
}

char *book_capacity_text(const struct book *b, const struct book_capacity *c) {
    struct buf s = {0};
    buf_adds(&s, "capacity ");
    add_text(&s, b->model[c->model].name, 1);
    add_key(&s, "name", c->name);
    add_money(&s, "rate", c->rate);
    buf_printf(&s, " min=%lld step=%lld", (long long)c->min, (long long)c->step);
    add_number(&s, "input_tpm", c->input_tpm);
    add_number(&s, "output_tpm", c->output_tpm);
    buf_printf(&s, " output_weight=%.15g", c->output_weight);
    if (c->spill)
        buf_adds(&s, " spill=yes");
    add_validity(&s, c->from_ns, c->to_ns);
    add_source(b, &s, c->source);
    return s.data;
}

char *book_gpu_text(const struct book *b, const struct book_gpu *g) {
    struct buf s = {0};
    buf_adds(&s, "gpu ");
    add_text(&s, g->device, 1);
    add_key(&s, "provider", g->provider);
    add_money(&s, "rate", g->rate);
    if (g->granule_ns != SECOND)
        add_duration(&s, "granule", g->granule_ns);
    add_validity(&s, g->from_ns, g->to_ns);
    add_source(b, &s, g->source);
    return s.data;
}
