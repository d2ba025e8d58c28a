/* bench_rows.c - rows of llm-bench's reports, see bench.h */
#include "cmd/bench.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/base/sha256.h"
#include "lib/stat/order.h"

#define LEVEL 0.95              /* of the intervals */

/* What stands before the verb's own columns and behind them. */
static const struct field before[] = {
    {"name", FIELD_TEXT, 0}, {"value", 2, 0}, {"low", 2, 0}, {"high", 2, 0},
    {"unit", FIELD_TEXT, 0}};
static const struct field after[] = {
    {"better", FIELD_TEXT, 1}, {"n", FIELD_COUNT, 0}, {"samples", FIELD_LIST, 1},
    {"time", FIELD_TEXT, 1}, {"host", FIELD_TEXT, 1}, {"host_cpu", FIELD_TEXT, 1},
    {"program", FIELD_TEXT, 1}, {"args", FIELD_TEXT, 1}, {"files", FIELD_TEXT, 1}};

#define BEFORE ((int)(sizeof before / sizeof *before))
#define AFTER ((int)(sizeof after / sizeof *after))

/* ---- what every row carries --------------------------------------------------------------- */

/* A word as a shell would read it, without the user and password of an address. */
static void add_word(struct buf *out, const char *word) {
    struct buf clean = {0};
    const char *host = strstr(word, "://");
    const char *at = host ? strpbrk(host + 3, "@/?#") : NULL;
    if (at && *at == '@') {
        buf_add(&clean, word, (size_t)(host + 3 - word));
        buf_adds(&clean, "***");
        word = at;
    }
    buf_adds(&clean, word);
    int plain = clean.len && !clean.data[strcspn(clean.data, " \t\n\"'\\$`&|;<>()*?[]#~!{}")];
    if (plain) {
        buf_adds(out, clean.data);
    } else {
        buf_addc(out, '\'');
        for (const char *c = clean.data ? clean.data : ""; *c; c++)
            *c == '\'' ? buf_adds(out, "'\\''") : buf_addc(out, *c);
        buf_addc(out, '\'');
    }
    buf_free(&clean);
}

static void describe(struct rows *r, int argc, char **argv) {
    struct utsname u;
    time_now(r->time, sizeof r->time);
    host_cpu(r->cpu, sizeof r->cpu);
    if (!uname(&u))
        snprintf(r->host, sizeof r->host, "%.60s %.20s %.40s", u.nodename, u.sysname, u.release);
    snprintf(r->program, sizeof r->program, "llmutils %s", LLMUTILS_VERSION);
    for (int i = 0; i < argc; i++) {
        if (!i) {
            buf_adds(&r->args, argv[0]);
            continue;
        }
        buf_addc(&r->args, ' ');
        add_word(&r->args, argv[i]);
    }
}

/* All but the report itself; how many columns it has. */
static int prepare(struct rows *r, const struct field *own, int n, int argc, char **argv) {
    assert(BEFORE + n + AFTER <= FIELDS_MOST);
    memset(r, 0, sizeof *r);
    r->own = n;
    memcpy(r->field, before, sizeof before);
    memcpy(r->field + BEFORE, own, (size_t)n * sizeof *own);
    memcpy(r->field + BEFORE + n, after, sizeof after);
    describe(r, argc, argv);
    return BEFORE + n + AFTER;
}

void rows_open(struct rows *r, const struct field *own, int n, const struct common *common,
               int argc, char **argv) {
    int columns = prepare(r, own, n, argc, argv);
    fields_open(&r->fields, r->field, columns, common);
    table_set_name(r->fields.table, argv[0]);       /* llm_bench_VERB: columns are the verb's */
}

void rows_open_to(struct rows *r, FILE *out, const struct field *own, int n, int argc,
                  char **argv) {
    int columns = prepare(r, own, n, argc, argv);
    fields_open_to(&r->fields, out, TABLE_JSON, r->field, columns, 1);
}

void rows_file(struct rows *r, const char *path) {
    char hex[SHA256_HEX];
    struct err e;
    if (sha256_file(path, hex, &e))
        die("%s", e.text);
    buf_printf(&r->files, "%s%s=sha256:%s", r->files.len ? " " : "", path, hex);
}

/* ---- a row -------------------------------------------------------------------------------- */

static const char *better_name(int better) {
    return better == SERIES_HIGHER ? "higher" : better == SERIES_LOWER ? "lower" : NULL;
}

void rows_row(struct rows *r, const struct measure *m, const struct value *own) {
    struct value v[FIELDS_MOST];
    struct value *end = v + BEFORE + r->own;
    struct interval i = {NAN, NAN};
    double value = m->value ? m->value[0] : order_summary(m->sample, m->n, LEVEL, &i);
    if (m->value)
        i = (struct interval){m->value[1], m->value[2]};
    const struct value first[BEFORE] = {
        {.text = m->name}, {.number = value}, {.number = i.low}, {.number = i.high},
        {.text = m->unit}};
    const struct value last[AFTER] = {
        {.text = better_name(m->better)}, {.count = (int64_t)m->n},
        {.list = m->sample, .count = (int64_t)m->n}, {.text = r->time}, {.text = r->host},
        {.text = r->cpu}, {.text = r->program}, {.text = r->args.data}, {.text = r->files.data}};
    memcpy(v, first, sizeof first);
    memcpy(v + BEFORE, own, (size_t)r->own * sizeof *own);
    memcpy(end, last, sizeof last);
    fields_row(&r->fields, v);
}

void rows_close(struct rows *r) {
    fields_close(&r->fields);
    buf_free(&r->args);
    buf_free(&r->files);
}
