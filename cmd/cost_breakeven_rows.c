/* cost_breakeven_rows.c - rows of ways, rows of volumes, and the picture */
#include "cmd/cost_breakeven.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"

#define POINTS 600              /* of a curve */
#define TALLEST 3.0             /* of the picture, in prices per token at this volume */

/* Tokens of a month at volume 1, in millions. */
static double mtok_of(const struct breakeven *b) {
    const struct plan_trace *t = &b->side[0].trace;
    return (double)t->tokens / 1e6 * (double)PLAN_MONTH_NS / (double)t->length_ns;
}

static money per_mtok(const struct breakeven *b, money month) {
    const struct plan_trace *t = &b->side[0].trace;
    money trace = plan_scale(month, t->length_ns, PLAN_MONTH_NS);
    return t->tokens ? plan_scale(trace, 1000000, t->tokens) : 0;
}

static double or_none(double x) {
    return isinf(x) ? NAN : x;
}

/* ---- ways --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"way", FIELD_TEXT, 0}, {"usd", FIELD_TEXT, 0}, {"usd_month", FIELD_TEXT, 0},
    {"usd_mtok", FIELD_TEXT, 0}, {"units", FIELD_WHOLE, 0}, {"utilisation", 3, 0},
    {"refused", 3, 0}, {"winner", FIELD_TEXT, 0}, {"wins_from", 3, 0}, {"wins_to", 3, 0},
    {"wins_from_mtok_month", 1, 1}, {"wins_to_mtok_month", 1, 1}, {"wins", FIELD_COUNT, 1},
    {"waits_s", FIELD_WHOLE, 1}, {"competes", FIELD_TEXT, 1}, {"marginal", 3, 1},
    {"serves_to", 3, 1}, {"busy_usd_month", FIELD_TEXT, 1}, {"devices", FIELD_WHOLE, 1},
    {"batch", FIELD_WHOLE, 1}, {"prefill_tps", 0, 1}, {"decode_tps", 0, 1},
    {"mtok_month", 3, 1}, {"book", FIELD_TEXT, 1}};

#define COLUMNS ((int)(sizeof columns / sizeof *columns))

/* The way that is cheapest at the trace's own volume; -1. */
static int winner_now(const struct breakeven *b) {
    double best = INFINITY;
    int way = -1;
    for (int i = 0; i < b->n; i++)
        if (b->way[i].competes && plan_month(b->way[i].way, 1) < best) {
            best = plan_month(b->way[i].way, 1);
            way = i;
        }
    return way;
}

static double count_or_none(int64_t n) {
    return n ? (double)n : NAN;
}

static void print_way(struct fields *f, const struct breakeven *b, const struct breakeven_way *w,
                      int wins) {
    const struct plan_cost *c = &w->cost;
    char usd[MONEY_TEXT];
    char month[MONEY_TEXT];
    char mtok[MONEY_TEXT];
    char busy[MONEY_TEXT];
    double tokens = mtok_of(b);
    const struct value v[] = {
        {.text = plan_name(w->way)}, {.text = money_text(c->usd, usd)},
        {.text = money_text(c->month, month)},
        {.text = b->side[0].trace.tokens ? money_text(per_mtok(b, c->month), mtok) : NULL},
        {.number = count_or_none(c->units)}, {.number = c->utilisation}, {.number = c->refused},
        {.text = wins ? "yes" : "no"}, {.number = w->wins_from}, {.number = w->wins_to},
        {.number = w->wins_from * tokens}, {.number = w->wins_to * tokens}, {.count = w->wins},
        {.number = w->waits_ns < 0 ? NAN : (double)w->waits_ns / 1e9},
        {.text = w->competes ? "yes" : "no"}, {.number = c->marginal},
        {.number = or_none(c->serves_to)},
        {.text = c->busy < 0 ? NULL : money_text(c->busy, busy)},
        {.number = count_or_none(w->devices)}, {.number = count_or_none(w->batch)},
        {.number = w->devices ? w->prefill_tps : NAN},
        {.number = w->devices ? w->decode_tps : NAN}, {.number = tokens},
        {.text = w->side->book->name}};
    _Static_assert(sizeof v / sizeof *v == sizeof columns / sizeof *columns, "a value each");
    fields_row(f, v);
}

static void print_ways(const struct breakeven_options *o, const struct breakeven *b) {
    struct fields f;
    int winner = winner_now(b);
    fields_open(&f, columns, COLUMNS, &o->common);
    for (int i = 0; i < b->n; i++)
        print_way(&f, b, &b->way[i], i == winner);
    fields_close(&f);
}

/* ---- volumes ------------------------------------------------------------------------------ */

static const struct field changes[] = {
    {"from", 6, 0}, {"to", 6, 0}, {"from_mtok_month", 3, 0}, {"to_mtok_month", 3, 0},
    {"way", FIELD_TEXT, 0}, {"usd_mtok_at_from", 6, 0}, {"usd_mtok_at_to", 6, 0},
    {"book", FIELD_TEXT, 1}};

/* Just above a volume at which a further device or unit comes in, it is there. */
static double price_at(const struct breakeven *b, int way, double volume) {
    double tokens = volume * mtok_of(b);
    return way < 0 || !(tokens > 0) ? NAN : or_none(plan_month(b->way[way].way, volume) / tokens);
}

static void print_changes(const struct breakeven_options *o, const struct breakeven *b) {
    struct fields f;
    double tokens = mtok_of(b);
    fields_open(&f, changes, (int)(sizeof changes / sizeof *changes), &o->common);
    for (size_t i = 0; i < b->spans; i++) {
        const struct plan_span *s = &b->span[i];
        const struct breakeven_way *w = s->way < 0 ? NULL : &b->way[s->way];
        fields_row(&f, (struct value[]){
            {.number = s->from}, {.number = s->to}, {.number = s->from * tokens},
            {.number = s->to * tokens}, {.text = w ? plan_name(w->way) : NULL},
            {.number = price_at(b, s->way, s->from * (1 + 1e-9))},
            {.number = price_at(b, s->way, s->to)}, {.text = w ? w->side->book->name : NULL}});
    }
    fields_close(&f);
}

void breakeven_print(const struct breakeven_options *o, const struct breakeven *b) {
    if (o->changes)
        print_changes(o, b);
    else
        print_ways(o, b);
}

/* ---- the picture -------------------------------------------------------------------------- */

/* What is far above the price per token is cut off: a token of an idle device costs any price. */
void breakeven_draw(const struct breakeven_options *o, const struct breakeven *b) {
    if (!o->plot)
        return;
    struct plot_series *s = mem_array((size_t)b->n, sizeof *s);
    double *x = mem_array(POINTS, sizeof *x);
    double *y = mem_array((size_t)b->n * POINTS, sizeof *y);
    double tokens = mtok_of(b);
    double tallest = TALLEST * money_dollars(per_mtok(b, plan_per_month(b->side[0].trace.usd,
                                                      b->side[0].trace.length_ns)));
    if (!(tokens > 0))
        die("--plot: no tokens: there is nothing to draw");
    for (int k = 0; k < POINTS; k++)
        x[k] = o->from * pow(o->to / o->from, k / (POINTS - 1.0)) * tokens;
    for (int i = 0; i < b->n; i++) {
        s[i] = (struct plot_series){plan_name(b->way[i].way), x, y + (size_t)i * POINTS, POINTS};
        for (int k = 0; k < POINTS; k++) {
            double at = plan_month(b->way[i].way, x[k] / tokens) / x[k];
            y[i * POINTS + k] = at <= tallest || tallest <= 0 ? at : NAN;
        }
    }
    plot_lines(o->plot, &(struct plot_labels){.title = "Ways to pay, by volume", .log_x = 1,
                                              .x = "million tokens a month",
                                              .y = "dollars per million tokens"}, s, b->n);
    free(y);
    free(x);
    free(s);
}
