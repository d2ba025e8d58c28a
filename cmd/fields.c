/* fields.c - reports whose rows have more columns than a terminal is wide */
#include "cmd/fields.h"

#include <assert.h>
#include <math.h>

#define MOST_WHOLE 9007199254740992.0   /* 2^53: above it a double does not tell ones apart */

int fields_option(int c, const char *arg, struct common *common) {
    static const char *const names[] = {"table", "tsv", "csv", "jsonl", "md", "sql", NULL};
    static const enum table_format formats[] = {TABLE_ALIGNED, TABLE_TABS, TABLE_CSV, TABLE_JSON,
                                                TABLE_MD, TABLE_SQL};
    if (c != OPT_FORMAT)
        return 0;
    common->format = 1 + (int)formats[arg_choice("--format", arg, names)];
    return 1;
}

enum table_format fields_format(const struct common *common, FILE *out) {
    return common->format ? (enum table_format)(common->format - 1)
                          : table_format(out, common->json);
}

/* Lists may be thousands of numbers long: no table for people has them. */
static int shown(const struct fields *f, int i) {
    if (f->people && f->field[i].decimals == FIELD_LIST)
        return 0;
    return f->wide || !f->field[i].wide;
}

/* A column of SQL has one type: text. */
static void put_id(struct fields *f, const struct value *v) {
    char text[32];
    if (!v->text && !f->sql) {
        table_int(f->table, v->count);
        return;
    }
    snprintf(text, sizeof text, "%lld", (long long)v->count);
    table_str(f->table, v->text ? v->text : text);
}

void fields_open_to(struct fields *f, FILE *out, enum table_format format,
                    const struct field *field, int n, int verbose) {
    int columns = 0;
    assert(n <= FIELDS_MOST);
    *f = (struct fields){.field = field, .n = n};
    f->people = table_for_people(format);
    f->sql = format == TABLE_SQL;
    f->wide = verbose || !f->people;
    for (int i = 0; i < n; i++)
        if (shown(f, i))
            f->column[columns++] = (struct column){
                field[i].name, field[i].decimals == FIELD_WHOLE ? 0 : field[i].decimals};
    f->table = table_new(out, f->column, columns, format);
}

void fields_open(struct fields *f, const struct field *field, int n, const struct common *common) {
    fields_open_to(f, stdout, fields_format(common, stdout), field, n, common->verbose);
}

void fields_row(struct fields *f, const struct value *value) {
    for (int i = 0; i < f->n; i++) {
        if (!shown(f, i))
            continue;
        if (f->field[i].decimals == FIELD_TEXT)
            table_str(f->table, value[i].text);
        else if (f->field[i].decimals == FIELD_ID)
            put_id(f, &value[i]);
        else if (f->field[i].decimals == FIELD_LIST)
            table_list(f->table, value[i].list, value[i].count);
        else if (f->field[i].decimals == FIELD_COUNT)
            table_int(f->table, value[i].count);
        else if (f->field[i].decimals == FIELD_WHOLE && fabs(value[i].number) <= MOST_WHOLE)
            table_int(f->table, (int64_t)value[i].number);
        else
            table_float(f->table, value[i].number);
    }
}

void fields_close(struct fields *f) {
    table_free(f->table);
}
