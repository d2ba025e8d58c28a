/* route_diff_read.c - two sides for llm-route diff, out of one or two inputs
 *
 * Labels, and an input that has both sides, are read more than once, also what is no plain file:
 * its bytes go to a file without a name first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/route_diff.h"
#include "lib/trace/routed_labels.h"

#define PIECE (1 << 20)
#define TOPICS_MOST 1000

/* ---- inputs ------------------------------------------------------------------------------- */

static void copy_all(int from, int to, const char *name) {
    char *piece = mem_alloc(PIECE);
    ssize_t n;
    while ((n = read(from, piece, PIECE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die("%s: %s", name, strerror(errno));
        for (ssize_t at = 0, put; at < n; at += put)
            if ((put = write(to, piece + at, (size_t)(n - at))) < 0)
                die("%s: copy to %s: %s", name, P_tmpdir, strerror(errno));
    }
    free(piece);
}

/* A path that can be opened again and again; the caller frees it. Its file ends with the
 * program. */
static char *readable_again(const char *path) {
    struct stat st;
    int is_stdin = !strcmp(path, "-");
    if (!is_stdin && (stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        return mem_strdup(path);        /* or the reader says what is wrong with it */
    int from = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        die("%s: %s", path, strerror(errno));
    FILE *copy = tmpfile();
    if (!copy)
        die("%s: copy to %s: %s", input_name(path), P_tmpdir, strerror(errno));
    copy_all(from, fileno(copy), input_name(path));
    if (!is_stdin)
        close(from);
    return mem_printf("/dev/fd/%d", fileno(copy));
}

static void die_if_of(const struct err *e, const char *path, const char *called) {
    size_t n = path ? strlen(path) : 0;
    if (n && !strncmp(e->text, path, n) && e->text[n] == ':')
        die("%s%s", called, e->text + n);
}

/* lib's message, by the name that the user knows. */
static void die_of(const struct diff_side *s, const struct err *e) {
    die_if_of(e, s->path, s->called);
    die_if_of(e, s->labels, s->labels_called);
    die("%s", e->text);
}

static void set_labels(const struct diff_options *o, struct diff_side side[2], int is_b) {
    const char *given = is_b && o->labels_b ? o->labels_b : o->in.routed.labels;
    struct diff_side *s = &side[is_b];
    if (!given)
        return;
    s->labels_called = mem_strdup(input_name(given));
    s->labels = is_b && !o->labels_b ? mem_strdup(side[0].labels) : readable_again(given);
}

static int same_column(const char *a, const char *b) {
    size_t n = strcspn(a, "=");
    return n == strcspn(b, "=") && !strncmp(a, b, n);
}

static void set_wheres(const struct diff_options *o, struct diff_side *s, int is_b) {
    for (int i = 0; i < o->in.wheres; i++) {
        int replaced = 0;
        for (int k = 0; k < o->againsts; k++)
            replaced |= is_b && same_column(o->in.where[i], o->against[k]);
        if (!replaced)
            s->where[s->wheres++] = o->in.where[i];
    }
    for (int k = 0; k < o->againsts && is_b; k++)
        s->where[s->wheres++] = o->against[k];
}

/* ---- reading ------------------------------------------------------------------------------ */

static void read_side(const struct routed_options *opt, struct diff_side *s) {
    struct err e = {{0}};
    struct routed *r = routed_open(s->path, opt, &e);
    if (!r)
        die_of(s, &e);
    s->kind = routed_kind(r);
    if (s->kind == ROUTED_COUNTS)
        s->count = routed_counts(r, &e);
    else
        s->set = routed_rest(r, &e);
    if (!s->count && !s->set)
        die_of(s, &e);
    routed_model_copy(&s->model, s->set ? &s->set->model : routed_model(r));
    routed_close(r);
}

int diff_side_empty(const struct diff_side *s) {
    if (s->kind == ROUTED_TOKENS)
        return s->set->tokens == 0;
    for (size_t i = 0; i < (size_t)s->model.layers * (size_t)s->model.experts; i++)
        if (s->count[i] > 0)
            return 0;
    return 1;
}

/* ---- one model ---------------------------------------------------------------------------- */

/* Parts of one input have one model, though one part may never use the last experts, or layers. */
static void widen(struct diff_side *s, const struct routed_model *to) {
    size_t experts = (size_t)to->experts;
    if (s->count) {
        double *count = mem_array((size_t)to->layers * experts + 1, sizeof *count);
        for (int l = 0; l < s->model.layers; l++)
            for (int e = 0; e < s->model.experts; e++)
                count[(size_t)l * experts + (size_t)e] =
                    s->count[(size_t)l * (size_t)s->model.experts + (size_t)e];
        free(s->count);
        s->count = count;
    } else
        s->set->model.experts = to->experts;
    s->model.experts = to->experts;
}

static void check_layers(const struct diff_side *s) {
    const struct routed_model *a = &s[0].model;
    const struct routed_model *b = &s[1].model;
    if (a->layers != b->layers)
        die("%s has %d layers with experts, %s has %d: expected the same model", s[0].called,
            a->layers, s[1].called, b->layers);
    for (int l = 0; l < a->layers; l++)
        if (a->layer_index[l] != b->layer_index[l])
            die("%s has experts in layer %d, %s in layer %d: expected the same model",
                s[0].called, (int)a->layer_index[l], s[1].called, (int)b->layer_index[l]);
}

static void check_models(struct diff_side *s, int inputs) {
    if (s[0].kind != s[1].kind)
        die("%s is a trace of tokens, %s a count table: expected two of a kind",
            s[s[0].kind == ROUTED_COUNTS].called, s[s[0].kind != ROUTED_COUNTS].called);
    check_layers(s);
    int a = s[0].model.experts;
    int b = s[1].model.experts;
    if (a == b)
        return;
    if (inputs == 2)
        die("%s has %d experts, %s has %d: expected the same model (--experts says how many where "
            "inputs do not)", s[0].called, a, s[1].called, b);
    widen(&s[a > b], &s[a < b].model);
}

/* ---- topics ------------------------------------------------------------------------------- */

struct topics {
    char **name;
    uint32_t n;
};

static uint32_t topic_of(struct topics *t, const char *name) {
    if (!name)
        return DIVERGE_NO_TOPIC;
    for (uint32_t i = 0; i < t->n; i++)
        if (!strcmp(t->name[i], name))
            return i;
    if (t->n == TOPICS_MOST)
        die("--control: more than %d values: expected what many requests have in common",
            TOPICS_MOST);
    t->name = mem_grow(t->name, (size_t)t->n + 1, sizeof *t->name);
    t->name[t->n] = mem_strdup(name);
    return t->n++;
}

static void find_topics(const struct diff_options *o, struct diff_side *s,
                        const struct routed_labels *labels, struct topics *t) {
    int column = labels ? routed_labels_column(labels, o->control) : -1;
    if (column < 0 && strcmp(o->control, "phase"))
        die("--control: the labels have no column '%s'", o->control);
    s->topic = mem_array((size_t)s->set->tokens + 1, sizeof *s->topic);
    for (int64_t i = 0; i < s->set->tokens; i++) {
        if (column < 0)
            s->topic[i] = s->set->phase[i];
        else if (i && s->set->request[i] == s->set->request[i - 1])
            s->topic[i] = s->topic[i - 1];
        else
            s->topic[i] = topic_of(t, routed_labels_value(labels, s->set->request[i], column));
    }
}

static void control(const struct diff_options *o, struct diff_side side[2]) {
    struct topics t = {0};
    if (side[0].kind == ROUTED_COUNTS)
        die("%s: a count table has no requests: --control needs a trace", side[0].called);
    for (int i = 0; i < 2; i++) {
        struct err e = {{0}};
        const char *path = side[i].labels;
        struct routed_labels *l = path ? routed_labels_read(path, &e) : NULL;
        if (path && !l)
            die_of(&side[i], &e);
        find_topics(o, &side[i], l, &t);
        routed_labels_free(l);
    }
    for (uint32_t i = 0; i < t.n; i++)
        free(t.name[i]);
    free(t.name);
}

/* ---- all of it ---------------------------------------------------------------------------- */

void diff_read(const struct diff_options *o, char **path, int n, struct diff_side side[2]) {
    for (int i = 0; i < 2; i++) {
        struct routed_options opt = o->in.routed;
        struct diff_side *s = &side[i];
        const char *given = path[n == 2 ? i : 0];
        *s = (struct diff_side){0};
        s->called = mem_strdup(input_name(given));
        s->path = i && n == 1 ? mem_strdup(side[0].path)
                              : n == 1 ? readable_again(given) : mem_strdup(given);
        set_wheres(o, s, i);
        opt.where = s->where;
        opt.wheres = s->wheres;
        set_labels(o, side, i);
        opt.labels = s->labels;
        read_side(&opt, s);
    }
    if (!side[0].model.layers || !side[1].model.layers)
        return;                 /* nothing in it: no model either */
    check_models(side, n);
    if (o->control)
        control(o, side);
}

void diff_side_free(struct diff_side *s) {
    free(s->topic);
    routed_model_free(&s->model);
    free(s->count);
    routed_set_free(s->set);
    free(s->labels_called);
    free(s->labels);
    free(s->called);
    free(s->path);
}
