/* questions.c - questions whose answers can be graded, see questions.h */
#include "lib/bench/questions.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/format/zio.h"

#define MOST_CHOICES 26

static const char *const names[] = {"auto", "exact", "numeric", "regex", "choice"};

const char *grade_name(int kind) {
    return names[kind];
}

struct line {
    const char *name;
    long number;
    const cJSON *o;
};

static int bad(const struct line *l, struct err *err, const char *what) {
    return err_set(err, "%s:%ld: %s", l->name, l->number, what);
}

/* ---- the answer --------------------------------------------------------------------------- */

/* A text, or a number as it would be written; NULL: neither. */
static char *as_text(const cJSON *v) {
    if (cJSON_IsString(v))
        return mem_strdup(v->valuestring);
    if (!cJSON_IsNumber(v))
        return NULL;
    return mem_printf("%.15g", v->valuedouble);
}

/* GSM8K puts the answer behind its derivation. */
static void cut_derivation(char *answer) {
    const char *mark = strstr(answer, "####");
    if (!mark)
        return;
    mark += 4;
    while (*mark == ' ')
        mark++;
    memmove(answer, mark, strlen(mark) + 1);
}

static int read_answers(const struct line *l, struct question *q, struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(l->o, "answer");
    int n = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 1;
    q->answer = mem_array((size_t)(n ? n : 1), sizeof *q->answer);
    for (int i = 0; i < n; i++) {
        char *text = as_text(cJSON_IsArray(v) ? cJSON_GetArrayItem(v, i) : v);
        if (!text)
            break;
        cut_derivation(text);
        q->answer[q->answers++] = text;
    }
    if (!n || q->answers < n)
        return bad(l, err, "\"answer\": expected a text, a number, or an array of them");
    return 0;
}

static int is_number(const char *s) {
    double unused;
    return num_float(s, -INFINITY, INFINITY, &unused) == 0;
}

/* ---- choices ------------------------------------------------------------------------------ */

static int read_choices(const struct line *l, struct question *q, struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(l->o, "choices");
    const cJSON *item;
    if (!v)
        return 0;
    int n = cJSON_GetArraySize(v);
    if (!cJSON_IsArray(v) || n < 2 || n > MOST_CHOICES)
        return bad(l, err, "\"choices\": expected an array of 2 to 26 texts");
    q->choice = mem_array((size_t)n, sizeof *q->choice);
    cJSON_ArrayForEach(item, v) {
        char *text = as_text(item);
        if (!text)
            return bad(l, err, "\"choices\": expected texts");
        q->choice[q->choices++] = text;
    }
    return 0;
}

/* The number of the right choice: a letter, a text of them, or a number from 0. -1: none. */
static int right_choice(const struct question *q, const cJSON *v) {
    const char *s = q->answer[0];
    if (q->answers != 1)
        return -1;
    if (cJSON_IsNumber(v))
        return v->valuedouble >= 0 && v->valuedouble < q->choices &&
               v->valuedouble == floor(v->valuedouble) ? (int)v->valuedouble : -1;
    for (int i = 0; i < q->choices; i++)
        if (!strcmp(q->choice[i], s))
            return i;
    int letter = (s[0] | 0x20) - 'a';
    return s[0] && !s[1] && letter >= 0 && letter < q->choices ? letter : -1;
}

static int settle_choice(const struct line *l, struct question *q, struct err *err) {
    int i;
    if (!q->choices)
        return bad(l, err, "graded as a choice, but without \"choices\"");
    i = right_choice(q, cJSON_GetObjectItemCaseSensitive(l->o, "answer"));
    if (i < 0)
        return bad(l, err, "\"answer\": expected a letter, a number from 0 or a text of choices");
    free(q->answer[0]);
    q->answer[0] = mem_printf("%c", 'A' + i);
    return 0;
}

/* ---- a line ------------------------------------------------------------------------------- */

static int read_grade(const struct line *l, int kind, struct question *q, struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(l->o, "grade");
    q->grade = kind;
    if (v) {
        q->grade = GRADE_AUTO;
        for (int i = GRADE_EXACT; cJSON_IsString(v) && i <= GRADE_CHOICE; i++)
            if (!strcmp(v->valuestring, names[i]))
                q->grade = i;
        if (q->grade == GRADE_AUTO)
            return bad(l, err, "\"grade\": expected exact, numeric, regex or choice");
    }
    if (q->grade != GRADE_AUTO)
        return 0;
    int numbers = 1;
    for (int i = 0; i < q->answers; i++) {
        char *plain = mem_strdup(q->answer[i]);
        char *to = plain;
        for (const char *c = plain; *c; c++)
            if (*c != ',')
                *to++ = *c;
        *to = '\0';
        numbers &= is_number(plain);
        free(plain);
    }
    q->grade = q->choices ? GRADE_CHOICE : numbers ? GRADE_NUMERIC : GRADE_EXACT;
    return 0;
}

static int read_question(const struct line *l, int kind, struct question *q, struct err *err) {
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(l->o, "question");
    const cJSON *topic = cJSON_GetObjectItemCaseSensitive(l->o, "topic");
    const cJSON *tolerance = cJSON_GetObjectItemCaseSensitive(l->o, "tolerance");
    if (!text)
        text = cJSON_GetObjectItemCaseSensitive(l->o, "prompt");
    if (!cJSON_IsString(text))
        return bad(l, err, "expected \"question\" or \"prompt\", a text");
    q->text = mem_strdup(text->valuestring);
    q->id = as_text(cJSON_GetObjectItemCaseSensitive(l->o, "id"));
    if (!q->id)
        q->id = mem_printf("%ld", l->number);
    if (cJSON_IsString(topic))
        q->topic = mem_strdup(topic->valuestring);
    if (tolerance && !(cJSON_IsNumber(tolerance) && tolerance->valuedouble >= 0))
        return bad(l, err, "\"tolerance\": expected a number from 0");
    if (tolerance)
        q->tolerance = tolerance->valuedouble;
    if (read_answers(l, q, err) || read_choices(l, q, err) || read_grade(l, kind, q, err))
        return -1;
    return q->grade == GRADE_CHOICE ? settle_choice(l, q, err) : 0;
}

/* ---- the file ----------------------------------------------------------------------------- */

static int blank(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r", s[i]))
            return 0;
    return 1;
}

static int add_line(struct questions *all, size_t *room, struct line *l, const char *text,
                    size_t len, int kind, struct err *err) {
    cJSON *o = cJSON_ParseWithLength(text, len);
    if (!cJSON_IsObject(o)) {
        cJSON_Delete(o);
        return bad(l, err, "expected a JSON object with \"question\" and \"answer\"");
    }
    if (all->n == *room) {
        *room = *room ? 2 * *room : 64;
        all->q = mem_grow(all->q, *room, sizeof *all->q);
    }
    all->q[all->n] = (struct question){0};
    l->o = o;
    int rc = read_question(l, kind, &all->q[all->n++], err);
    cJSON_Delete(o);
    return rc;
}

struct questions *questions_parse(const char *name, const char *text, size_t len, int kind,
                                  struct err *err) {
    struct questions *all = mem_alloc(sizeof *all);
    struct line l = {.name = name};
    size_t room = 0;
    const char *end = text + len;
    for (const char *p = text; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        l.number++;
        if (!blank(p, n) && add_line(all, &room, &l, p, n, kind, err)) {
            questions_free(all);
            return NULL;
        }
        p += n + 1;
    }
    if (!all->n) {
        err_set(err, "%s: no questions: expected lines of {\"question\":..., \"answer\":...}",
                name);
        questions_free(all);
        return NULL;
    }
    return all;
}

struct questions *questions_read(const char *path, int kind, struct err *err) {
    struct questions *all = NULL;
    struct buf text = {0};
    if (!zio_read_all(path, &text, err))
        all = questions_parse(strcmp(path, "-") ? path : "stdin", text.data, text.len, kind, err);
    buf_free(&text);
    return all;
}

static void free_texts(char **text, int n) {
    for (int i = 0; i < n; i++)
        free(text[i]);
    free(text);
}

void questions_free(struct questions *all) {
    for (size_t i = 0; all && i < all->n; i++) {
        struct question *q = &all->q[i];
        free(q->id);
        free(q->text);
        free(q->topic);
        free_texts(q->answer, q->answers);
        free_texts(q->choice, q->choices);
    }
    if (all)
        free(all->q);
    free(all);
}
