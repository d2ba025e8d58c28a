/* gate_policy.c - the policy of a regression gate, see gate_policy.h */
#include "lib/cost/gate_policy.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/format/zio.h"

#define MOST_WORDS 32
#define MOST_MARGIN 10.0        /* ten times worse */

static const char *const layers[] = {"deterministic", "paired", "unpaired", NULL};
static const char *const betters[] = {"lower", "higher", NULL};
static const char *const actions[] = {"fail", "warn", "ignore", NULL};
static const char *const switches[] = {"off", "on", NULL};

const char *gate_layer_name(int layer) {
    return layers[layer];
}

const char *gate_action_name(int action) {
    return actions[action];
}

/* ---- built-in values ---------------------------------------------------------------------- */

#define NOISE_MARGIN 0.05       /* of time and energy */
#define CASE_MARGIN 0.02        /* of tokens, money and quality */

static const struct builtin {
    const char *name;
    int layer, better, action;
    double margin;
} builtins[] = {
    {"prompt_tokens", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"fresh_tokens", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"cacheable_tokens", GATE_DETERMINISTIC, GATE_HIGHER, GATE_ACT_IGNORE, 0},
    {"prompt_flops", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"prompt_kv_bytes", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"prompt_usd", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"run_flops", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"run_kv_bytes", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"run_weight_bytes", GATE_DETERMINISTIC, GATE_LOWER, GATE_ACT_FAIL, 0},
    {"cached_tokens", GATE_PAIRED, GATE_HIGHER, GATE_ACT_IGNORE, CASE_MARGIN},
    {"output_tokens", GATE_PAIRED, GATE_LOWER, GATE_ACT_FAIL, CASE_MARGIN},
    {"reasoning_tokens", GATE_PAIRED, GATE_LOWER, GATE_ACT_IGNORE, CASE_MARGIN},
    {"usd", GATE_PAIRED, GATE_LOWER, GATE_ACT_FAIL, CASE_MARGIN},
    {"right", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    {"correct", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    {"passed", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    {"success", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    {"score", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    {"accuracy", GATE_PAIRED, GATE_HIGHER, GATE_ACT_FAIL, CASE_MARGIN},
    /* of llm-bench serve: how late its own clients were, and the same times from another start */
    {"lag", GATE_UNPAIRED, GATE_LOWER, GATE_ACT_IGNORE, NOISE_MARGIN},
    {"queue", GATE_UNPAIRED, GATE_LOWER, GATE_ACT_IGNORE, NOISE_MARGIN},
    {"ttft_sent", GATE_UNPAIRED, GATE_LOWER, GATE_ACT_IGNORE, NOISE_MARGIN},
    {"e2e_sent", GATE_UNPAIRED, GATE_LOWER, GATE_ACT_IGNORE, NOISE_MARGIN},
};

static int ends_with(const char *s, const char *tail) {
    size_t n = strlen(s);
    size_t t = strlen(tail);
    return n >= t && !strcmp(s + n - t, tail);
}

struct gate_rule gate_policy_default(const char *name, const char *unit, int better) {
    struct gate_rule r = {.layer = GATE_UNPAIRED, .better = GATE_LOWER,
                            .action = GATE_ACT_FAIL, .margin = NOISE_MARGIN, .each = NAN,
                            .level = 0.95, .effect = NAN};
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        const struct builtin *b = &builtins[i];
        if (strcmp(b->name, name))
            continue;
        r.layer = b->layer;
        r.better = b->better;
        r.action = b->action;
        r.margin = b->margin;
        return r;
    }
    if (!strcmp(unit, "USD"))           /* in floating point: usd is the exact one */
        r.action = GATE_ACT_IGNORE;
    if (better != GATE_UNSAID)
        r.better = better;
    else if (ends_with(unit, "/s") || ends_with(unit, "/J") || ends_with(unit, "/usd"))
        r.better = GATE_HIGHER;
    return r;
}

/* ---- one line ----------------------------------------------------------------------------- */

struct parser {
    struct gate_policy *p;
    int line;
    struct err *err;
};

static int fail(const struct parser *s, const char *expected, const char *found) {
    return err_set(s->err, "%s:%d: expected %s, found '%.80s'", s->p->path, s->line, expected,
                   found);
}

static int choice(const char *word, const char *const *names) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(word, names[i]))
            return i;
    return -1;
}

static int take_choice(const struct parser *s, const char *word, const char *const *names,
                       const char *expected, int *out) {
    *out = choice(word, names);
    return *out < 0 ? fail(s, expected, word) : 0;
}

/* "2%" or "0.02". */
static int take_share(const struct parser *s, char *word, double min, double max,
                      const char *expected, double *out) {
    size_t n = strlen(word);
    int percent = n && word[n - 1] == '%';
    double v;
    if (percent)
        word[n - 1] = '\0';
    int bad = num_float(word, percent ? 100 * min : min, percent ? 100 * max : max, &v);
    if (percent)
        word[n - 1] = '%';
    if (bad)
        return fail(s, expected, word);
    *out = percent ? v / 100 : v;
    return 0;
}

static int take_margin(const struct parser *s, char *word, double *out) {
    return take_share(s, word, 0, MOST_MARGIN, "a share from 0 to 1000%, as in 5% or 0.05", out);
}

static int take_level(const struct parser *s, char *word, double *out) {
    return take_share(s, word, 0.5, 0.9999, "a share from 50% to 99.99%, or from 0.5 to 0.9999",
                      out);
}

/* One NAME=VALUE of a metric line. */
static int take_setting(const struct parser *s, char *word, struct gate_line *m) {
    char *value = strchr(word, '=');
    int rc;
    if (!value)
        return fail(s, "NAME=VALUE, as in margin=5%", word);
    *value++ = '\0';
    if (!strcmp(word, "margin"))
        return take_margin(s, value, &m->margin);
    if (!strcmp(word, "each"))
        return take_margin(s, value, &m->each);
    if (!strcmp(word, "effect"))
        return take_margin(s, value, &m->effect);
    if (!strcmp(word, "level"))
        return take_level(s, value, &m->level);
    if (!strcmp(word, "layer"))
        return take_choice(s, value, layers, "deterministic, paired or unpaired", &m->layer);
    if (!strcmp(word, "direction"))
        return take_choice(s, value, betters, "lower or higher", &m->better);
    if (!strcmp(word, "action"))
        return take_choice(s, value, actions, "fail, warn or ignore", &m->action);
    if (!strcmp(word, "min_n")) {
        rc = num_int(value, 1, 1000000, &m->min_n);
        return rc ? fail(s, "a number from 1 to 1000000", value) : 0;
    }
    if (!strcmp(word, "unit")) {
        free(m->unit);
        m->unit = mem_strdup(value);
        return 0;
    }
    return fail(s, "margin, direction, layer, action, level, min_n, unit, each or effect", word);
}

static int same_unit(const struct gate_line *a, const struct gate_line *b) {
    return !a->unit == !b->unit && (!a->unit || !strcmp(a->unit, b->unit));
}

static int take_metric(const struct parser *s, char **word, int n) {
    struct gate_policy *p = s->p;
    if (n < 2)
        return fail(s, "the name of a metric", "the end of the line");
    p->metric = mem_grow(p->metric, p->metrics + 1, sizeof *p->metric);
    struct gate_line *m = &p->metric[p->metrics++];
    *m = (struct gate_line){.name = mem_strdup(word[1]), .line = s->line, .layer = GATE_UNSAID,
                              .better = GATE_UNSAID, .action = GATE_UNSAID, .margin = NAN,
                              .each = NAN, .level = NAN, .effect = NAN, .min_n = GATE_UNSAID};
    for (int i = 2; i < n; i++)
        if (take_setting(s, word[i], m))
            return -1;
    for (size_t i = 0; i + 1 < p->metrics; i++)
        if (!strcmp(p->metric[i].name, m->name) && same_unit(&p->metric[i], m))
            return err_set(s->err, "%s:%d: metric '%.80s' is there already, in line %d", p->path,
                           s->line, m->name, p->metric[i].line);
    return 0;
}

static int take_text(const char *word, char **out) {
    free(*out);
    *out = mem_strdup(word);
    return 0;
}

static int take_statement(const struct parser *s, char **word, int n) {
    struct gate_policy *p = s->p;
    if (!strcmp(word[0], "metric"))
        return take_metric(s, word, n);
    if (n != 2)
        return fail(s, "one value behind the statement", n > 2 ? word[2] : "the end of the line");
    if (!strcmp(word[0], "level"))
        return take_level(s, word[1], &p->level);
    if (!strcmp(word[0], "holm"))
        return take_choice(s, word[1], switches, "on or off", &p->holm);
    if (!strcmp(word[0], "cache"))
        return take_choice(s, word[1], switches, "on or off", &p->cache);
    if (!strcmp(word[0], "missing"))
        return take_choice(s, word[1], actions, "fail, warn or ignore", &p->missing);
    if (!strcmp(word[0], "book"))
        return take_text(word[1], &p->book);
    if (!strcmp(word[0], "shape"))
        return take_text(word[1], &p->shape);
    if (!strcmp(word[0], "at"))
        return date_parse(word[1], strlen(word[1]), &p->at_ns)
                   ? fail(s, "a date as in 2026-01-15 or 2026-01-15T10:00Z", word[1]) : 0;
    if (!strcmp(word[0], "pairs"))
        return strncmp(word[1], "key=", 4) || !word[1][4]
                   ? fail(s, "key=FIELD, as in key=id", word[1])
                   : take_text(word[1] + 4, &p->key);
    return fail(s, "level, holm, missing, pairs, book, at, shape, cache or metric", word[0]);
}

/* ---- the file ----------------------------------------------------------------------------- */

/* Words between blanks; '#' begins a comment where a word could begin. */
static int cut_words(char *line, char **word) {
    int n = 0;
    char *rest = line;
    for (char *w; (w = strtok_r(rest, " \t\r", &rest)) != NULL && *w != '#'; n++)
        if (n < MOST_WORDS)
            word[n] = w;
    return n;
}

static int take_line(struct parser *s, const char *line, size_t len) {
    char *word[MOST_WORDS];
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t' && line[i] != '\r') || line[i] == 127)
            return err_set(s->err, "%s:%d: expected text, found a control character", s->p->path,
                           s->line);
    char *copy = mem_strndup(line, len);
    int n = cut_words(copy, word);
    int rc = 0;
    if (n > MOST_WORDS)
        rc = err_set(s->err, "%s:%d: expected at most %d words, found %d", s->p->path, s->line,
                     MOST_WORDS, n);
    else if (n)
        rc = take_statement(s, word, n);
    free(copy);
    return rc;
}

static struct gate_policy *new_policy(const char *path) {
    struct gate_policy *p = mem_alloc(sizeof *p);
    *p = (struct gate_policy){.path = path ? mem_strdup(path) : NULL, .level = 0.95, .holm = 1,
                         .cache = 1, .missing = GATE_ACT_FAIL, .key = mem_strdup("id"),
                         .at_ns = INT64_MIN};
    return p;
}

struct gate_policy *gate_policy_parse(const char *path, const char *text, size_t len,
                                      struct err *err) {
    struct gate_policy *p = new_policy(path);
    struct parser s = {p, 0, err};
    int rc = 0;
    for (size_t at = 0; at < len && !rc;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t n = end ? (size_t)(end - text) - at : len - at;
        s.line++;
        rc = take_line(&s, text + at, n);
        at += n + 1;
    }
    if (!rc && !p->metrics)
        rc = err_set(err, "%s: expected a metric line: this policy judges nothing", path);
    if (rc) {
        gate_policy_free(p);
        return NULL;
    }
    return p;
}

struct gate_policy *gate_policy_find(const char *path, struct err *err) {
    struct buf text = {0};
    struct gate_policy *p = NULL;
    if (!path)
        return new_policy(NULL);
    if (!zio_read_all(path, &text, err))
        p = gate_policy_parse(strcmp(path, "-") ? path : "stdin", text.data ? text.data : "",
                              text.len, err);
    buf_free(&text);
    return p;
}

void gate_policy_free(struct gate_policy *p) {
    if (!p)
        return;
    for (size_t i = 0; i < p->metrics; i++) {
        free(p->metric[i].name);
        free(p->metric[i].unit);
    }
    free(p->metric);
    free(p->path);
    free(p->key);
    free(p->book);
    free(p->shape);
    free(p);
}

/* ---- rules -------------------------------------------------------------------------------- */

static void apply(const struct gate_line *m, struct gate_rule *r) {
    r->layer = m->layer == GATE_UNSAID ? r->layer : m->layer;
    r->better = m->better == GATE_UNSAID ? r->better : m->better;
    r->named = !m->name[strcspn(m->name, "*?[")];
    r->action = m->action != GATE_UNSAID ? m->action : r->named ? GATE_ACT_FAIL : r->action;
    r->margin = isnan(m->margin) ? r->margin : m->margin;
    r->each = isnan(m->each) ? r->each : m->each;
    r->level = isnan(m->level) ? r->level : m->level;
    r->effect = isnan(m->effect) ? r->effect : m->effect;
    r->min_n = m->min_n == GATE_UNSAID ? r->min_n : m->min_n;
}

int gate_policy_rule(const struct gate_policy *p, const char *name, const char *unit, int better,
                     struct gate_rule *out) {
    *out = gate_policy_default(name, unit, better);
    out->level = p->level;
    for (size_t i = 0; i < p->metrics; i++) {
        const struct gate_line *m = &p->metric[i];
        if (fnmatch(m->name, name, 0) || (m->unit && strcmp(m->unit, unit)))
            continue;
        apply(m, out);
        return 1;
    }
    if (p->path)
        out->action = GATE_ACT_IGNORE;
    return p->path == NULL;
}
