/* scores.c - the reader of scores: open, sniff, models, exclusions, the loop; see scores.h */
#include "lib/route/scores.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/route/scores_impl.h"

/* ---- texts and numbers ------------------------------------------------------------------ */

double scores_chars(const char *text, size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return (double)n;
}

/* Eight bytes at a time through a multiplication, with the finish of SplitMix64. */
uint64_t scores_hash(const char *text, size_t len) {
    uint64_t h = 0x9E3779B97F4A7C15u ^ len;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t w = 0;
        for (size_t k = 0; k < 8 && i + k < len; k++)
            w |= (uint64_t)(unsigned char)text[i + k] << 8 * k;
        h = (h ^ w) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
    }
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    return h ? h : 1;           /* 0 is no prompt */
}

int scores_number(const char *text, size_t len, double *out) {
    static const char *const unknown[] = {"", "nan", "none", "null", "na", "n/a"};
    char copy[64];
    char *end;
    while (len && isspace((unsigned char)*text))
        text++, len--;
    while (len && isspace((unsigned char)text[len - 1]))
        len--;
    *out = NAN;
    if (len >= sizeof copy || memchr(text, '\0', len))
        return -1;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (!strcasecmp(copy, "true") || !strcasecmp(copy, "false")) {
        *out = len == 4;
        return 1;
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (!strcasecmp(copy, unknown[i]))
            return 0;
    /* strtod alone takes hexadecimal and "infinity" too. */
    if (copy[strspn(copy, "+-0123456789.eE")])
        return -1;
    *out = strtod(copy, &end);
    if (*end || !(fabs(*out) <= SCORES_MOST)) {
        *out = NAN;
        return -1;
    }
    return 1;
}

int scores_fail(const struct scores_reader *r, int64_t line, const char *where, const char *want,
                const char *found, size_t found_len, struct err *err) {
    int shown = found_len < 40 ? (int)found_len : 40;
    return err_set(err, "%s:%lld: %s: expected %s, found '%.*s'%s", r->name, (long long)line, where,
                   want, shown, found, found_len > 40 ? "..." : "");
}

/* ---- models and columns ----------------------------------------------------------------- */

static int is_name(const char *name, size_t len, const char *s) {
    return strlen(s) == len && !memcmp(s, name, len);
}

/* Records of an input mostly name the same models in the same order, but need not. */
int scores_model_of(struct scores_reader *r, const char *name, size_t len) {
    int wanted = !r->opt.model;
    for (int m = 0; m < r->models; m++)
        if (is_name(name, len, r->model[m]))
            return m;
    for (int i = 0; i < r->opt.models && r->opt.model; i++)
        wanted |= is_name(name, len, r->opt.model[i]);
    if (!wanted)
        return -1;
    if (r->models == SCORES_MODELS)
        return -2;
    r->answer[r->models] = (struct scores_answer){NAN, NAN, NAN, NAN};
    r->model[r->models] = mem_strndup(name, len);
    return r->models++;
}

int scores_column_of(const struct scores_reader *r, const char *name, size_t len) {
    for (int i = 0; i < r->opt.columns; i++)
        if (is_name(name, len, r->opt.column[i]))
            return i;
    return -1;
}

int scores_models(const struct scores_reader *r) {
    return r->models;
}

const char *scores_model_name(const struct scores_reader *r, int model) {
    return r->model[model];
}

/* ---- exclusions ------------------------------------------------------------------------- */

static int compare_hashes(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void exclude_add(struct scores_reader *r, size_t *cap, const char *text, size_t len) {
    if (r->excludes == *cap) {
        *cap = *cap ? 2 * *cap : 64;
        r->exclude = mem_grow(r->exclude, *cap, sizeof *r->exclude);
    }
    r->exclude[r->excludes++] = scores_hash(text, len);
}

/* eval_prompt, as in RouteLLM's lists of contaminated prompts, else prompt. */
static int exclude_json(char *line, struct reqs_text *prompt, struct json *j) {
    struct reqs_text key;
    int first = 1;
    int rc;
    *j = (struct json){line, NULL};
    *prompt = (struct reqs_text){NULL, 0};
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        int better = is_name(key.data, key.len, "eval_prompt");
        int is = better || (is_name(key.data, key.len, "prompt") && !prompt->data);
        if (is ? json_string(j, prompt) : json_skip(j))
            return -1;
    }
    if (rc || json_end(j))
        return -1;
    return prompt->data ? 0 : json_fail(j, "eval_prompt or prompt in the object");
}

static int exclude_line(struct scores_reader *r, struct reqs_lines *in, char *line, size_t *cap,
                        struct err *err) {
    size_t len = (size_t)(in->data + in->at - line) - 1;
    len -= len && line[len - 1] == '\r';
    if (*line == '{') {
        struct reqs_text prompt;
        struct json j;
        if (exclude_json(line, &prompt, &j))
            return err_set(err, "%s:%lld: expected %s", zio_name(in->z), (long long)in->number,
                           j.want);
        exclude_add(r, cap, prompt.data, prompt.len);
    } else if (len) {
        exclude_add(r, cap, line, len);
    }
    return 0;
}

static int exclude_read(struct scores_reader *r, const char *path, struct err *err) {
    struct reqs_lines in;
    struct zio *z = zio_open_read(path, err);
    size_t cap = 0;
    char *line;
    int rc;
    if (!z)
        return -1;
    reqs_lines_init(&in, z);
    while ((rc = reqs_lines_next(&in, &line, err)) == 1)
        if (exclude_line(r, &in, line, &cap, err)) {
            rc = -1;
            break;
        }
    reqs_lines_free(&in);
    if (r->excludes)
        qsort(r->exclude, r->excludes, sizeof *r->exclude, compare_hashes);
    return rc;
}

static int is_excluded(const struct scores_reader *r, const struct reqs_text *prompt) {
    if (!r->excludes || !prompt->data)
        return 0;
    uint64_t hash = scores_hash(prompt->data, prompt->len);
    return bsearch(&hash, r->exclude, r->excludes, sizeof hash, compare_hashes) != NULL;
}

int scores_guessed(const struct scores_reader *r) {
    return r->guessed;
}

int64_t scores_excluded(const struct scores_reader *r) {
    return r->excluded;
}

/* ---- open, next, close ------------------------------------------------------------------ */

/* The first line that is not blank tells the format: 1, 0 there is none, -1. */
static int sniff(struct scores_reader *r, struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(&r->in, &line, err)) == 1) {
        if (r->in.number == 1 && !strncmp(line, "\xEF\xBB\xBF", 3))     /* Excel's mark of UTF-8 */
            line += 3;
        char *p = line + strspn(line, " \t\r");
        if (*p == '\n')
            continue;
        if (*p != '{')
            return scores_csv_header(r, line, err) ? -1 : 1;
        reqs_lines_back(&r->in, line);
        return 1;
    }
    return rc;
}

static void set_part(struct scores_reader *r, const char *part) {
    const char *equals = part ? strchr(part, '=') : NULL;
    if (!equals)
        return;
    r->part_column = mem_strndup(part, (size_t)(equals - part));
    r->part_value = mem_strdup(equals + 1);
}

struct scores_reader *scores_open(const char *path, const struct scores_options *opt,
                                  struct err *err) {
    struct zio *z = zio_open_read(path, err);
    if (!z)
        return NULL;
    struct scores_reader *r = mem_alloc(sizeof *r);
    r->opt = *opt;
    r->name = mem_strdup(zio_name(z));
    set_part(r, opt->part);
    reqs_lines_init(&r->in, z);
    if ((opt->exclude && exclude_read(r, opt->exclude, err)) || sniff(r, err) < 0) {
        scores_close(r);
        return NULL;
    }
    return r;
}

static void clear(struct scores_reader *r, struct scores_row *row) {
    for (int m = 0; m < r->models; m++)
        r->answer[m] = (struct scores_answer){NAN, NAN, NAN, NAN};
    for (int i = 0; i < r->opt.columns; i++)
        r->column[i] = NAN;
    r->dim = 0;
    *row = (struct scores_row){.input_tokens = NAN, .cached_tokens = NAN};
}

int scores_next(struct scores_reader *r, struct scores_row *row, struct err *err) {
    for (;;) {
        clear(r, row);
        int rc = r->header ? scores_csv_next(r, row, err) : scores_json_next(r, row, err);
        if (rc != 1)
            return rc;
        row->record = r->records++;
        row->answer = r->answer;
        row->column = r->column;
        row->embedding = r->dim ? r->embedding : NULL;
        row->dim = r->dim;
        if (!is_excluded(r, &row->prompt))
            return 1;
        r->excluded++;
    }
}

int scores_wait(const struct scores_reader *r) {
    return reqs_lines_wait(&r->in);
}

void scores_close(struct scores_reader *r) {
    if (!r)
        return;
    for (int m = 0; m < r->models; m++)
        free(r->model[m]);
    reqs_lines_free(&r->in);
    scores_csv_free(r->header);
    csv_free(&r->csv);
    buf_free(&r->text);
    free(r->embedding);
    free(r->exclude);
    free(r->part_column);
    free(r->part_value);
    free(r->name);
    free(r);
}
