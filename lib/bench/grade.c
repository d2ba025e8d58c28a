/* grade.c - is a reply right, see grade.h */
#include "lib/bench/grade.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Equal numbers may differ in how they were rounded on their way through decimal digits. */
#define ROUNDING 1e-9

struct grader {
    pcre2_code *pattern;        /* what to take of a reply, or NULL */
    pcre2_code *letter[3];      /* where a choice's letter stands, see below */
    pcre2_code **answer;        /* of questions graded by regex, one after another */
    size_t answers;
    size_t *first;              /* [questions] of its answers */
    const struct question *q;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    int ignore_case;
};

/* A pattern that backtracks for ever is a wrong answer after a million steps. */
#define MOST_STEPS 1000000

/* In the order in which they are looked for; the reply's beginning goes before all. */
static const char *const letter_pattern[3] = {
    "(?i:answer|choice)(?i:\\s+is)?\\s*[:=]?\\s*\\(?\\**([A-Z])\\b",
    "\\(([A-Z])\\)",
    "(?<![\\w'])([A-Z])(?![\\w'])"};

/* ---- patterns ----------------------------------------------------------------------------- */

static pcre2_code *compile(const char *pattern, int ignore_case, const char *what,
                           struct err *err) {
    PCRE2_UCHAR text[128];
    PCRE2_SIZE at;
    int code;
    uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | (ignore_case ? PCRE2_CASELESS : 0);
    pcre2_code *c = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, flags, &code, &at,
                                  NULL);
    if (c)
        return c;
    pcre2_get_error_message(code, text, sizeof text);
    err_set(err, "%s: '%s': byte %zu: %s", what, pattern, (size_t)at, (const char *)text);
    return NULL;
}

struct span {
    const char *s;
    size_t len;
};

/* The first group of the match at or after `from`, the whole match where it took part in none.
 * 1, and where the next search begins. */
static int find(const struct grader *g, const pcre2_code *c, struct span in, size_t *from,
                struct span *out) {
    if (*from > in.len)
        return 0;
    int n = pcre2_match(c, (PCRE2_SPTR)in.s, in.len, *from, 0, g->match, g->limits);
    if (n < 0)
        return 0;
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(g->match);
    int group = n != 1 && v[2] != PCRE2_UNSET;      /* 0: more groups than there is room for */
    *out = (struct span){in.s + v[2 * group], v[2 * group + 1] - v[2 * group]};
    *from = v[1] > v[0] ? v[1] : v[1] + 1;
    return 1;
}

static int find_last(const struct grader *g, const pcre2_code *c, struct span in,
                     struct span *out) {
    size_t from = 0;
    int found = 0;
    while (find(g, c, in, &from, out))
        found = 1;
    return found;
}

static int compile_answers(struct grader *g, const struct questions *all, struct err *err) {
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        n += all->q[i].grade == GRADE_REGEX ? (size_t)all->q[i].answers : 0;
    g->q = all->q;
    g->first = mem_array(all->n ? all->n : 1, sizeof *g->first);
    g->answer = mem_array(n ? n : 1, sizeof *g->answer);
    for (size_t i = 0; i < all->n; i++) {
        const struct question *q = &all->q[i];
        g->first[i] = g->answers;
        for (int a = 0; q->grade == GRADE_REGEX && a < q->answers; a++) {
            pcre2_code *c = compile(q->answer[a], g->ignore_case, q->id, err);
            if (!c)
                return err_prefix(err, "answer of question");
            g->answer[g->answers++] = c;
        }
    }
    return 0;
}

struct grader *grade_new(const char *pattern, int ignore_case, const struct questions *all,
                         struct err *err) {
    struct grader *g = mem_alloc(sizeof *g);
    g->ignore_case = ignore_case;
    g->match = pcre2_match_data_create(16, NULL);
    g->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(g->limits, MOST_STEPS);
    for (int i = 0; i < 3; i++)
        g->letter[i] = compile(letter_pattern[i], 0, "", err);
    if ((pattern && !(g->pattern = compile(pattern, ignore_case, "pattern", err))) ||
        compile_answers(g, all, err)) {
        grade_free(g);
        return NULL;
    }
    return g;
}

void grade_free(struct grader *g) {
    if (!g)
        return;
    for (size_t i = 0; i < g->answers; i++)
        pcre2_code_free(g->answer[i]);
    for (int i = 0; i < 3; i++)
        pcre2_code_free(g->letter[i]);
    pcre2_code_free(g->pattern);
    pcre2_match_data_free(g->match);
    pcre2_match_context_free(g->limits);
    free(g->answer);
    free(g->first);
    free(g);
}

/* ---- what of a reply is graded -------------------------------------------------------------- */

/* Without the parts between <think> and </think>. A template may open the first one in the
 * prompt, so that only its end is in the reply. */
static void leave_thoughts(struct buf *b) {
    const char *opens = "<think>";
    const char *ends = "</think>";
    char *first_open = strstr(b->data, opens);
    char *first_end = strstr(b->data, ends);
    if (first_end && (!first_open || first_end < first_open)) {
        size_t skip = (size_t)(first_end - b->data) + strlen(ends);
        memmove(b->data, b->data + skip, b->len - skip + 1);
        b->len -= skip;
    }
    for (char *open; (open = strstr(b->data, opens));) {
        char *end = strstr(open, ends);
        char *rest = end ? end + strlen(ends) : b->data + b->len;
        memmove(open, rest, strlen(rest) + 1);
        b->len -= (size_t)(rest - open);
    }
}

static struct span trim(struct span s) {
    while (s.len && isspace((unsigned char)*s.s)) {
        s.s++;
        s.len--;
    }
    while (s.len && isspace((unsigned char)s.s[s.len - 1]))
        s.len--;
    return s;
}

static void keep(struct buf *found, struct span s) {
    found->len = 0;
    buf_add(found, s.s, s.len);
}

/* ---- exact -------------------------------------------------------------------------------- */

/* The next byte of s, runs of blanks as one. */
static int next_byte(struct span *s, int fold) {
    unsigned char c;
    if (!s->len)
        return -1;
    c = (unsigned char)*s->s++;
    s->len--;
    if (isspace(c)) {
        while (s->len && isspace((unsigned char)*s->s)) {
            s->s++;
            s->len--;
        }
        return ' ';
    }
    return fold ? tolower(c) : c;
}

static struct span without_stop(struct span s) {
    s = trim(s);
    if (s.len > 1 && s.s[s.len - 1] == '.')
        s.len--;
    return trim(s);
}

static int same_text(struct span a, struct span b, int fold) {
    a = without_stop(a);
    b = without_stop(b);
    for (;;) {
        int x = next_byte(&a, fold);
        if (x != next_byte(&b, fold))
            return 0;
        if (x < 0)
            return 1;
    }
}

static int grade_exact(const struct grader *g, const struct question *q, struct span in,
                       struct buf *found) {
    keep(found, without_stop(in));
    for (int i = 0; i < q->answers; i++)
        if (same_text(in, (struct span){q->answer[i], strlen(q->answer[i])}, g->ignore_case))
            return GRADE_RIGHT;
    return in.len ? GRADE_WRONG : GRADE_UNPARSED;
}

/* ---- numeric ------------------------------------------------------------------------------ */

/* A comma is part of a number when three digits follow it, and no fourth. */
static int groups_thousands(struct span s, size_t comma) {
    size_t digits = 0;
    while (comma + 1 + digits < s.len && isdigit((unsigned char)s.s[comma + 1 + digits]))
        digits++;
    return digits == 3;
}

/* Length of an exponent at s.s[at], "e-5"; 0: none. */
static size_t exponent_at(struct span s, size_t at) {
    size_t i = at + 1;
    if (i < s.len && (s.s[i] == '-' || s.s[i] == '+'))
        i++;
    size_t digits = i;
    while (i < s.len && isdigit((unsigned char)s.s[i]))
        i++;
    return i > digits ? i - at : 0;
}

/* Of a number as text: digits beyond change nothing, as those before the point make it infinite. */
#define NUMBER 400
#define EXPONENT 7              /* bytes, "e-12345" */

/* The number that begins at s.s[at]: its length, 0 when there is none; *out is its value. */
static size_t number_at(struct span s, size_t at, double *out) {
    char text[NUMBER];          /* without separators */
    size_t n = 0;
    size_t i = at;
    int digits = 0;
    int point = 0;
    if (s.s[i] == '-' || s.s[i] == '+')
        text[n++] = s.s[i++];
    for (; i < s.len; i++) {
        char c = s.s[i];
        if (c == ',' && digits && !point && groups_thousands(s, i))
            continue;
        if (c == '.' && !point && i + 1 < s.len && isdigit((unsigned char)s.s[i + 1]))
            point = 1;
        else if (isdigit((unsigned char)c))
            digits++;
        else
            break;
        if (n < sizeof text - EXPONENT - 1)
            text[n++] = c;
    }
    if (!digits)
        return 0;
    size_t exponent = i < s.len && (s.s[i] | 0x20) == 'e' ? exponent_at(s, i) : 0;
    exponent = exponent <= EXPONENT ? exponent : 0;
    memcpy(text + n, s.s + i, exponent);
    text[n + exponent] = '\0';
    *out = strtod(text, NULL);
    return i + exponent - at;
}

/* The last number; a sign belongs to it unless a digit or a letter stands before ("10-3"). */
static int last_number(struct span s, double *out, struct span *where) {
    int found = 0;
    for (size_t i = 0; i < s.len;) {
        double value;
        int sign = s.s[i] == '-' || s.s[i] == '+';
        size_t n = sign && i && isalnum((unsigned char)s.s[i - 1]) ? 0 : number_at(s, i, &value);
        if (n) {
            *out = value;
            *where = (struct span){s.s + i, n};
            found = 1;
        }
        i += n ? n : 1;
    }
    return found;
}

static int same_number(double a, double b, double tolerance) {
    double room = (tolerance > ROUNDING ? tolerance : ROUNDING) * fmax(fabs(a), fabs(b));
    return isfinite(a) && isfinite(b) && fabs(a - b) <= room;
}

static int grade_numeric(const struct question *q, struct span in, struct buf *found) {
    struct span where;
    double x;
    double want;
    if (!last_number(in, &x, &where))
        return GRADE_UNPARSED;
    keep(found, where);
    for (int i = 0; i < q->answers; i++) {
        struct span answer = {q->answer[i], strlen(q->answer[i])};
        if (last_number(answer, &want, &where) && same_number(x, want, q->tolerance))
            return GRADE_RIGHT;
    }
    return GRADE_WRONG;
}

/* ---- choice ------------------------------------------------------------------------------- */

/* The last letter from A to `last` that the pattern finds, 0 for none: "B, I think" has one. */
static char last_letter(const struct grader *g, const pcre2_code *c, struct span in, char last) {
    struct span where;
    size_t from = 0;
    char letter = 0;
    while (find(g, c, in, &from, &where))
        letter = *where.s <= last ? *where.s : letter;
    return letter;
}

/* The letter that the reply gives, 0 for none. */
static char reply_letter(const struct grader *g, const struct question *q, struct span in) {
    char last = (char)('A' + q->choices - 1);
    char letter = 0;
    in = trim(in);
    if (in.len && *in.s >= 'A' && *in.s <= last && (in.len == 1 || strchr(".):", in.s[1])))
        return *in.s;
    for (int i = 0; i < 3 && !letter; i++)
        letter = last_letter(g, g->letter[i], in, last);
    if (letter)
        return letter;
    for (int i = 0; i < q->choices; i++)
        if (same_text(in, (struct span){q->choice[i], strlen(q->choice[i])}, 1))
            return (char)('A' + i);
    return 0;
}

static int grade_choice(const struct grader *g, const struct question *q, struct span in,
                        struct buf *found) {
    char letter = reply_letter(g, q, in);
    if (!letter)
        return GRADE_UNPARSED;
    buf_addc(found, letter);
    return letter == *q->answer[0] ? GRADE_RIGHT : GRADE_WRONG;
}

/* ---- all ---------------------------------------------------------------------------------- */

static int grade_regex(const struct grader *g, const struct question *q, struct span in,
                       struct buf *found) {
    struct span where;
    const pcre2_code *const *c =
        (const pcre2_code *const *)g->answer + g->first[q - g->q];
    for (int i = 0; i < q->answers; i++) {
        size_t from = 0;
        if (find(g, c[i], in, &from, &where)) {
            keep(found, where);
            return GRADE_RIGHT;
        }
    }
    return GRADE_WRONG;
}

static int grade_span(const struct grader *g, const struct question *q, struct span in,
                      struct buf *found) {
    if (g->pattern && !find_last(g, g->pattern, in, &in))
        return GRADE_UNPARSED;
    switch (q->grade) {
    case GRADE_NUMERIC: return grade_numeric(q, in, found);
    case GRADE_REGEX: return grade_regex(g, q, in, found);
    case GRADE_CHOICE: return grade_choice(g, q, in, found);
    default: return grade_exact(g, q, in, found);
    }
}

int grade_reply(const struct grader *g, const struct question *q, const char *text, size_t len,
                struct buf *found) {
    struct buf reply = {0};
    buf_add(&reply, text, len);
    for (size_t i = 0; i < reply.len; i++)      /* so that it ends where it ends */
        reply.data[i] = reply.data[i] ? reply.data[i] : ' ';
    leave_thoughts(&reply);
    buf_reserve(found, 1);
    found->len = 0;
    found->data[0] = '\0';
    int mark = grade_span(g, q, (struct span){reply.data, reply.len}, found);
    buf_free(&reply);
    return mark;
}
