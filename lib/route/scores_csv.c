/* scores_csv.c - scores in CSV: RouteLLM's, RouterBench's, and plain tables; see scores.h
 *
 * A model is a column that others belong to: MODEL_response (RouteLLM), MODEL|model_response,
 * MODEL|total_cost (RouterBench), MODEL|output_tokens. Where no column has others, models are those
 * that the options name, else all columns that hold a score in the first record and have no other
 * meaning.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/route/scores_impl.h"

enum role { OTHER, ID, PROMPT, INPUT, CACHED, SCORE, COST, OUTPUT, RESPONSE, CANDIDATE };

struct cell_role {
    char *name;
    enum role role;
    int model;                  /* of SCORE, COST, OUTPUT, RESPONSE */
    int column;                 /* asked for by name; -1: not */
    int part;                   /* 1: its value says the part */
};

struct scores_csv {
    struct cell_role *role;     /* [n] */
    const struct cell_role **by_name;       /* [n] sorted; of the same name, as they come */
    size_t n;
    int candidates;             /* models are still to be told by the first record */
};

static const struct {
    const char *name;
    enum role role;
} known[] = {
    {"id", ID}, {"sample_id", ID}, {"prompt", PROMPT}, {"input_tokens", INPUT},
    {"prompt_tokens", INPUT}, {"input_length", INPUT}, {"cached_tokens", CACHED}};

static const struct {
    const char *tail;
    enum role role;
} companions[] = {{"|total_cost", COST}, {"|model_response", RESPONSE}, {"|output_tokens", OUTPUT},
                  {"_response", RESPONSE}};

/* ---- the header ------------------------------------------------------------------------- */

static char separator_of(const char *line) {
    const char *p = line;
    int quoted = 0;
    for (; *p != '\n' && (quoted || !strchr(",\t;", *p)); p++)
        quoted ^= *p == '"';
    return *p == '\n' ? ',' : *p;
}

static int compare_names(const void *a, const void *b) {
    const struct cell_role *x = *(const struct cell_role *const *)a;
    const struct cell_role *y = *(const struct cell_role *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static void sort_names(struct scores_csv *c) {
    c->by_name = mem_array(c->n, sizeof *c->by_name);
    for (size_t i = 0; i < c->n; i++)
        c->by_name[i] = &c->role[i];
    qsort(c->by_name, c->n, sizeof *c->by_name, compare_names);
}

/* The first column of this name, n: there is none. */
static size_t find(const struct scores_csv *c, const char *name, size_t len) {
    size_t low = 0;
    size_t high = c->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strncmp(c->by_name[middle]->name, name, len) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == c->n || strncmp(c->by_name[low]->name, name, len) || c->by_name[low]->name[len])
        return c->n;
    return (size_t)(c->by_name[low] - c->role);
}

/* The column that column i belongs to by its name, n: it stands alone. */
static size_t owner_of(const struct scores_csv *c, size_t i, enum role *role) {
    const char *name = c->role[i].name;
    size_t len = strlen(name);
    for (size_t k = 0; k < sizeof companions / sizeof *companions; k++) {
        size_t tail = strlen(companions[k].tail);
        if (len <= tail || strcmp(name + len - tail, companions[k].tail))
            continue;
        *role = companions[k].role;
        return find(c, name, len - tail);
    }
    return c->n;
}

static int add_model(struct scores_reader *r, size_t i, struct err *err) {
    struct cell_role *cell = &r->header->role[i];
    int m = scores_model_of(r, cell->name, strlen(cell->name));
    if (m == -2)
        return err_set(err, "%s:1: more than %d models", r->name, SCORES_MODELS);
    if (m >= 0) {
        cell->role = SCORE;
        cell->model = m;
    }
    return 0;
}

static int add_companions(struct scores_reader *r, int *found, struct err *err) {
    struct scores_csv *c = r->header;
    for (size_t i = 0; i < c->n; i++) {
        enum role role;
        size_t owner = owner_of(c, i, &role);
        if (owner == c->n || c->role[i].role != OTHER)
            continue;
        if (c->role[owner].role == OTHER && add_model(r, owner, err))
            return -1;
        *found = 1;
        if (c->role[owner].role != SCORE)
            continue;
        c->role[i].role = role;
        c->role[i].model = c->role[owner].model;
    }
    return 0;
}

/* Without companions: by the options, or later by the first record. */
static int add_plain(struct scores_reader *r, struct err *err) {
    struct scores_csv *c = r->header;
    for (size_t i = 0; i < c->n; i++) {
        struct cell_role *cell = &c->role[i];
        if (cell->role != OTHER || cell->part || cell->column >= 0)
            continue;
        if (!r->opt.model) {
            cell->role = CANDIDATE;
            c->candidates = 1;
        } else if (add_model(r, i, err)) {
            return -1;
        }
    }
    return 0;
}

/* A column that is used must have its name for itself. */
static int is_twice(const struct scores_csv *c, size_t i) {
    size_t first = find(c, c->role[i].name, strlen(c->role[i].name));
    return first != i && (c->role[first].role != OTHER || c->role[first].column >= 0);
}

static int check_header(const struct scores_reader *r, struct err *err) {
    const struct scores_csv *c = r->header;
    for (size_t i = 0; i < c->n; i++)
        if (is_twice(c, i))
            return err_set(err, "%s:1: the column '%s' is there twice", r->name, c->role[i].name);
    for (int k = 0; k < r->opt.columns; k++)
        if (find(c, r->opt.column[k], strlen(r->opt.column[k])) == c->n)
            return err_set(err, "%s:1: expected a column '%s', found %zu others", r->name,
                           r->opt.column[k], c->n);
    if (r->part_column && find(c, r->part_column, strlen(r->part_column)) == c->n)
        return err_set(err, "%s:1: expected a column '%s', found %zu others", r->name,
                       r->part_column, c->n);
    if (!r->models && !c->candidates)
        return err_set(err, "%s:1: expected columns of scores, a model each, or JSON Lines; found "
                       "'%.40s'", r->name, c->role[0].name);
    return 0;
}

int scores_csv_header(struct scores_reader *r, char *line, struct err *err) {
    int64_t begins;
    int found = 0;
    r->csv.separator = separator_of(line);
    if (reqs_lines_record(&r->in, line, &r->csv, &begins, err) != 1)
        return -1;
    struct scores_csv *c = r->header = mem_alloc(sizeof *c);
    c->n = r->csv.cells;
    c->role = mem_array(c->n, sizeof *c->role);
    for (size_t i = 0; i < c->n; i++) {
        struct cell_role *cell = &c->role[i];
        cell->name = mem_strdup(csv_cell(&r->csv, i));
        cell->column = scores_column_of(r, cell->name, strlen(cell->name));
        cell->part = r->part_column && !strcmp(cell->name, r->part_column);
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (!strcasecmp(cell->name, known[k].name))
                cell->role = known[k].role;
    }
    sort_names(c);
    if (add_companions(r, &found, err) || (!found && add_plain(r, err)))
        return -1;
    return check_header(r, err);
}

void scores_csv_free(struct scores_csv *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        free(c->role[i].name);
    free(c->by_name);
    free(c->role);
    free(c);
}

/* Candidates that hold a score are models. An empty cell may be one. */
static int settle(struct scores_reader *r, struct err *err) {
    struct scores_csv *c = r->header;
    double x;
    for (size_t i = 0; i < c->n; i++) {
        if (c->role[i].role != CANDIDATE)
            continue;
        c->role[i].role = OTHER;
        if (i < r->csv.cells && scores_number(csv_cell(&r->csv, i), r->csv.cell[i].len, &x) >= 0 &&
            add_model(r, i, err))
            return -1;
    }
    c->candidates = 0;
    r->guessed = 1;
    if (!r->models)
        return err_set(err, "%s:1: expected columns of scores, a model each; no column holds "
                       "numbers", r->name);
    return 0;
}

/* ---- cells ------------------------------------------------------------------------------ */

static int take_number(const struct scores_reader *r, size_t i, int64_t line, double least,
                       const char *want, double *out, struct err *err) {
    const struct csv_cell *cell = &r->csv.cell[i];
    if (scores_number(csv_cell(&r->csv, i), cell->len, out) >= 0 && !(*out < least))
        return 0;
    char *where = mem_printf("column '%.80s'", r->header->role[i].name);
    scores_fail(r, line, where, want, csv_cell(&r->csv, i), cell->len, err);
    free(where);
    return -1;
}

static int take_cell(struct scores_reader *r, size_t i, struct scores_row *row, struct err *err) {
    static const char count[] = "a number of tokens, 0 to 1e100";
    const struct cell_role *cell = &r->header->role[i];
    const struct reqs_text text = {csv_cell(&r->csv, i), r->csv.cell[i].len};
    struct scores_answer *a = &r->answer[cell->model];
    switch (cell->role) {
    case ID: row->id = text; return 0;
    case PROMPT: row->prompt = text; return 0;
    case INPUT: return take_number(r, i, row->line, 0, count, &row->input_tokens, err);
    case CACHED: return take_number(r, i, row->line, 0, count, &row->cached_tokens, err);
    case SCORE:
        return take_number(r, i, row->line, -INFINITY, "a score: True, False or a number to 1e100",
                           &a->score, err);
    case COST:
        return take_number(r, i, row->line, 0, "dollars, 0 to 1e100", &a->usd, err);
    case OUTPUT: return take_number(r, i, row->line, 0, count, &a->output_tokens, err);
    case RESPONSE: a->response_chars = scores_chars(text.data, text.len); return 0;
    default: return 0;
    }
}

int scores_csv_next(struct scores_reader *r, struct scores_row *row, struct err *err) {
    const struct scores_csv *c = r->header;
    int rc;
    do
        if ((rc = reqs_lines_record(&r->in, NULL, &r->csv, &row->line, err)) != 1)
            return rc;
    while (r->csv.cells == 1 && !r->csv.cell[0].len && c->n > 1);
    if (r->csv.cells != c->n)
        return err_set(err, "%s:%lld: expected %zu cells as in the header, found %zu", r->name,
                       (long long)row->line, c->n, r->csv.cells);
    if (c->candidates && settle(r, err))
        return -1;
    for (size_t i = 0; i < c->n; i++) {
        const struct cell_role *cell = &c->role[i];
        if (take_cell(r, i, row, err))
            return -1;
        if (cell->column >= 0 &&
            take_number(r, i, row->line, -INFINITY, "a number", &r->column[cell->column], err))
            return -1;
        row->part |= cell->part && !strcmp(csv_cell(&r->csv, i), r->part_value);
    }
    return 1;
}
