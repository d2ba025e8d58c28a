/* cost_price_rows.c - llm-cost price: a row for each record
 *
 * What each part of a bill costs is exact, to the 24th decimal; usd is their sum, rounded once.
 */
#include "cmd/cost_price.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"

static const struct field fields[] = {
    {"file", FIELD_TEXT, 1}, {"line", FIELD_COUNT, 1}, {"time", FIELD_TEXT, 1},
    {"session", FIELD_TEXT, 1}, {"id", FIELD_TEXT, 0}, {"model", FIELD_TEXT, 0},
    {"service", FIELD_TEXT, 1}, {"fresh", FIELD_COUNT, 0}, {"cached", FIELD_COUNT, 0},
    {"written", FIELD_COUNT, 0}, {"output", FIELD_COUNT, 0}, {"reasoning", FIELD_COUNT, 1},
    {"searches", FIELD_COUNT, 1}, {"duration_ns", FIELD_COUNT, 1}, {"fresh_usd", FIELD_TEXT, 1},
    {"cached_usd", FIELD_TEXT, 1}, {"written_usd", FIELD_TEXT, 1}, {"output_usd", FIELD_TEXT, 1},
    {"other_usd", FIELD_TEXT, 1}, {"usd", FIELD_TEXT, 0}, {"book", FIELD_TEXT, 0},
    {"book_sha256", FIELD_TEXT, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

#define OUT_BYTES (64 << 10)

enum part { FRESH, CACHED, WRITTEN, OUTPUT, OTHER, PARTS };

struct price_rows {
    struct fields fields;
    const struct price_options *o;
    const struct book *book;
    char *const *path;
    struct buf text;            /* texts of a record, each with a NUL */
};

struct price_rows *price_rows_new(const struct price_options *o, const struct book *b,
                                  char *const *path) {
    struct price_rows *r = mem_alloc(sizeof *r);
    r->o = o;
    r->book = b;
    r->path = path;
    setvbuf(stdout, NULL, _IOFBF, OUT_BYTES);
    fields_open(&r->fields, fields, FIELDS, &o->common);
    table_hold(r->fields.table, 1);
    return r;
}

void price_rows_end(struct price_rows *r) {
    if (!r)
        return;
    fields_close(&r->fields);
    buf_free(&r->text);
    free(r);
}

static void parts_of(const struct bill *bill, money_rate part[PARTS]) {
    static const enum part of[USAGE_KINDS] = {
        [USAGE_INPUT] = FRESH, [USAGE_READ] = CACHED, [USAGE_WRITE] = WRITTEN,
        [USAGE_OUTPUT] = OUTPUT, [USAGE_REASONING] = OUTPUT, [USAGE_STORAGE] = OTHER,
        [USAGE_REQUEST] = OTHER, [USAGE_SECOND] = OTHER, [USAGE_SEARCH] = OTHER};
    for (int i = 0; i < PARTS; i++)
        part[i] = 0;
    for (int i = 0; i < bill->n; i++)
        part[of[bill->line[i].amount.kind]] += bill->line[i].charge;
}

/* NUL-terminated, until the next record; the buffer was made large enough. */
static const char *text(struct price_rows *r, struct reqs_text t) {
    if (!t.data)
        return NULL;
    char *s = r->text.data + r->text.len;
    buf_add(&r->text, t.data, t.len);
    buf_addc(&r->text, 0);
    return s;
}

void price_rows_add(struct price_rows *r, const struct usage *u, const struct bill *bill,
                    int priced) {
    char time[DATE_TEXT];
    char usd[MONEY_TEXT];
    char part_usd[PARTS][MONEY_TEXT];
    money_rate part[PARTS];
    struct price_counts c = {0};
    price_count(u, &c);
    parts_of(bill, part);
    for (int i = 0; i < PARTS; i++)
        money_rate_text(part[i], 1, part_usd[i]);
    const struct reqs_text model = price_model(r->o, u);
    const struct reqs_text service = price_service(r->o, u);
    r->text.len = 0;
    buf_reserve(&r->text, u->session.len + u->id.len + model.len + service.len + 8);
    const struct value row[FIELDS] = {
        {.text = input_name(r->path[u->file])},
        {.count = u->line},
        {.text = u->time_ns == USAGE_NO_TIME ? NULL : date_text(u->time_ns, time)},
        {.text = text(r, u->session)},
        {.text = text(r, u->id)},
        {.text = text(r, model)},
        {.text = text(r, service)},
        {.count = c.fresh},
        {.count = c.cached},
        {.count = c.written},
        {.count = c.output},
        {.count = c.reasoning},
        {.count = c.searches},
        {.count = c.duration_ns},
        {.text = priced ? part_usd[FRESH] : NULL},
        {.text = priced ? part_usd[CACHED] : NULL},
        {.text = priced ? part_usd[WRITTEN] : NULL},
        {.text = priced ? part_usd[OUTPUT] : NULL},
        {.text = priced ? part_usd[OTHER] : NULL},
        {.text = priced ? money_text(bill->usd, usd) : NULL},
        {.text = r->book->name},
        {.text = r->book->sha256}};
    fields_row(&r->fields, row);
}
