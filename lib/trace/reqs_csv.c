/* reqs_csv.c - requests from tables of lengths (RFC 4180, one record a line)
 *
 * Azure's traces (TIMESTAMP,ContextTokens,GeneratedTokens), BurstGPT (Timestamp, Session ID, Model,
 * Request tokens, Response tokens) and whatever else names its columns as plainly. Names are
 * compared without case, blanks, underscores and the like.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/trace/reqs_impl.h"

#define MAX_COLUMNS 256
#define NAME_MAX_BYTES 32

enum column { OTHER, SECONDS, MILLIS, NANOS, INPUT, OUTPUT, CACHED, SESSION, MODEL, ID };

struct reqs_csv {
    char separator;
    int columns;
    unsigned char column[MAX_COLUMNS];
};

/* Times without a unit in their name are dates or seconds. */
static const struct {
    const char *name;
    enum column column;
} known[] = {
    {"timestamp", SECONDS}, {"time", SECONDS}, {"arrivaltime", SECONDS}, {"arrivedat", SECONDS},
    {"arrival", SECONDS}, {"arrivaltimes", SECONDS}, {"timestampms", MILLIS},
    {"arrivaltimems", MILLIS}, {"timestampns", NANOS}, {"arrivaltimens", NANOS},
    {"contexttokens", INPUT}, {"requesttokens", INPUT}, {"inputtokens", INPUT},
    {"inputlength", INPUT}, {"inputlen", INPUT}, {"inputtoks", INPUT}, {"prompttokens", INPUT},
    {"promptlength", INPUT}, {"promptlen", INPUT}, {"numprefilltokens", INPUT},
    {"generatedtokens", OUTPUT}, {"responsetokens", OUTPUT}, {"outputtokens", OUTPUT},
    {"outputlength", OUTPUT}, {"outputlen", OUTPUT}, {"outputtoks", OUTPUT},
    {"completiontokens", OUTPUT}, {"responselength", OUTPUT}, {"numdecodetokens", OUTPUT},
    {"cachedtokens", CACHED}, {"sessionid", SESSION}, {"conversationid", SESSION},
    {"session", SESSION}, {"model", MODEL}, {"id", ID}, {"requestid", ID},
};

struct cell {
    char *at, *end;
};

/* One cell, without the blanks around it; quotes are taken off and doubled ones undone in place.
 * *more: another cell follows. */
static int take_cell(struct json *j, char separator, struct cell *cell, int *more) {
    while (*j->at == ' ')
        j->at++;
    char *start = j->at;
    char *end;
    if (*start == '"') {
        char *p = ++start;
        for (end = p; *p != '\n' && (*p != '"' || p[1] == '"'); p++) {
            p += *p == '"';
            *end++ = *p;
        }
        j->at = p;
        if (*p != '"')
            return json_fail(j, "a closing quote");
        j->at++;
        while (*j->at != separator && (*j->at == ' ' || *j->at == '\t' || *j->at == '\r'))
            j->at++;
    } else {
        while (*j->at != separator && *j->at != '\n')
            j->at++;
        for (end = j->at; end > start && isspace((unsigned char)end[-1]); end--)
            ;
    }
    *cell = (struct cell){start, end};
    *more = *j->at == separator;
    if (!*more && *j->at != '\n')
        return json_fail(j, "the end of the cell");
    j->at += *more;
    return 0;
}

static enum column column_of(const struct cell *cell) {
    char name[NAME_MAX_BYTES];
    size_t n = 0;
    for (const char *p = cell->at; p < cell->end && n + 1 < sizeof name; p++) {
        if (isalnum((unsigned char)*p))
            name[n++] = (char)tolower((unsigned char)*p);
    }
    name[n] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strcmp(known[i].name, name))
            return known[i].column;
    }
    return OTHER;
}

struct reqs_csv *reqs_csv_open(struct json *j) {
    struct reqs_csv *c = mem_alloc(sizeof *c);
    char *header = j->at;
    int inputs = 0;
    int more;
    c->separator = header[strcspn(header, ",;\t\n")];
    if (c->separator == '\n')           /* a single column */
        c->separator = ',';
    do {
        struct cell cell;
        if (c->columns == MAX_COLUMNS || take_cell(j, c->separator, &cell, &more)) {
            json_fail(j, "a CSV header of at most 256 columns");
            goto fail;
        }
        enum column column = column_of(&cell);
        inputs += column == INPUT;
        c->column[c->columns++] = (unsigned char)column;
    } while (more);
    if (inputs == 1)
        return c;
    j->at = header;
    json_fail(j, "JSON Lines, block ids, or CSV whose header names one column of input tokens");
fail:
    reqs_csv_free(c);
    return NULL;
}

void reqs_csv_free(struct reqs_csv *c) {
    free(c);
}

/* ---- records ---------------------------------------------------------------------------- */

static int take_count(const struct cell *cell, int64_t *out) {
    struct json j = {cell->at, NULL};
    return json_count(&j, out) || j.at != cell->end ? -1 : 0;
}

static int take_time(const struct cell *cell, enum column unit, struct reqs_draft *d) {
    static const int64_t scale[] = {[SECONDS] = 1000000000, [MILLIS] = 1000000, [NANOS] = 1};
    struct json j = {cell->at, NULL};
    d->clock = REQS_ABSOLUTE;
    if (date_parse(cell->at, (size_t)(cell->end - cell->at), &d->clock_ns) == 0)
        return 0;
    return json_scaled(&j, scale[unit], &d->clock_ns) || j.at != cell->end ? -1 : 0;
}

/* An empty cell says nothing. -1: the cell is not what its column holds. */
static int take_column(enum column column, const struct cell *cell, struct reqs_draft *d) {
    const struct reqs_text text = {cell->at, (size_t)(cell->end - cell->at)};
    if (!text.len)
        return 0;
    switch (column) {
    case SECONDS:
    case MILLIS:
    case NANOS: return take_time(cell, column, d);
    case INPUT: return take_count(cell, &d->q->input_tokens);
    case OUTPUT: return take_count(cell, &d->q->output_tokens);
    case CACHED: return take_count(cell, &d->q->cached_tokens);
    case SESSION: d->session = text; break;
    case MODEL: d->q->model = text; break;
    case ID: d->q->id = text; break;
    case OTHER: break;
    }
    return 0;
}

static int cell_error(struct json *j, const struct cell *cell, enum column column) {
    int is_time = column == SECONDS || column == MILLIS || column == NANOS;
    j->at = cell->at;
    return json_fail(j, is_time ? "a time: a number, or a date as in 2023-11-16 18:17:03.97"
                                : "a number of tokens: an integer from 0 to 2^40");
}

int reqs_csv_read(struct reqs *r, struct json *j, struct reqs_draft *d) {
    const struct reqs_csv *c = r->csv;
    int more = 1;
    d->format = REQS_LENGTHS;
    for (int i = 0; i < c->columns; i++) {
        struct cell cell;
        if (!more)
            return json_fail(j, "as many columns as in the header");
        if (take_cell(j, c->separator, &cell, &more))
            return -1;
        if (take_column(c->column[i], &cell, d))
            return cell_error(j, &cell, c->column[i]);
    }
    if (more)
        return json_fail(j, "no more columns than in the header");
    if (d->q->input_tokens == REQS_UNKNOWN)
        return json_fail(j, "a number of input tokens in its column before");
    return 1;
}
