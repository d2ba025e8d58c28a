/* routed_set.c - all of a trace in memory, see routed.h */
#include <stdlib.h>
#include <string.h>

#include "lib/trace/routed_impl.h"

/* A set grows by half, which the system may refuse: a trace is as large as its file wants. */
static int grow_array(void *array, int64_t n, size_t size) {
    void *p;
    size_t bytes;
    memcpy(&p, array, sizeof p);
    if (__builtin_mul_overflow((size_t)n, size, &bytes))
        return -1;
    p = realloc(p, bytes);
    if (p)
        memcpy(array, &p, sizeof p);
    return p ? 0 : -1;
}

static int grow_tokens(struct routed_set *s, int64_t cap) {
    size_t pairs = (size_t)s->model.layers * (size_t)s->model.k;
    return grow_array(&s->expert, cap, pairs * sizeof *s->expert) ||
           grow_array(&s->request, cap, sizeof *s->request) ||
           grow_array(&s->step, cap, sizeof *s->step) ||
           grow_array(&s->position, cap, sizeof *s->position) ||
           grow_array(&s->phase, cap, 1) || grow_array(&s->accepted, cap, 1)
        ? -1 : 0;
}

struct room {
    int64_t tokens, passes;
};

static int make_room(struct routed_set *s, const struct routed_rows *rows, struct room *room) {
    if (s->tokens + rows->n > room->tokens) {
        room->tokens = s->tokens + rows->n + room->tokens / 2 + 64;
        if (grow_tokens(s, room->tokens))
            return -1;
    }
    if (s->passes + 2 > room->passes) {
        room->passes = room->passes + room->passes / 2 + 64;
        return grow_array(&s->pass, room->passes, sizeof *s->pass);
    }
    return 0;
}

static void add_rows(struct routed_set *s, const struct routed_rows *rows) {
    size_t pairs = (size_t)s->model.layers * (size_t)s->model.k;
    size_t n = (size_t)rows->n;
    int16_t *to = s->expert + (size_t)s->tokens * pairs;
    if (rows->begins || !s->passes)
        s->pass[s->passes++] = s->tokens;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * pairs, rows->expert + i * rows->stride, pairs * sizeof *to);
    memcpy(s->request + s->tokens, rows->request, n * sizeof *s->request);
    memcpy(s->step + s->tokens, rows->step, n * sizeof *s->step);
    memcpy(s->position + s->tokens, rows->position, n * sizeof *s->position);
    memcpy(s->phase + s->tokens, rows->phase, n);
    memcpy(s->accepted + s->tokens, rows->accepted, n);
    s->tokens += rows->n;
    s->pass[s->passes] = s->tokens;
}

static int read_rows(struct routed *r, struct routed_set *s, struct err *err) {
    struct routed_rows rows;
    struct room room = {0, 0};
    int rc;
    while ((rc = routed_next(r, &rows, err)) == 1) {
        if (make_room(s, &rows, &room))
            return err_set(err, "%s: no memory for the routes of more than %lld tokens", r->name,
                           (long long)s->tokens);
        add_rows(s, &rows);
    }
    s->model.experts = r->model.experts;
    return rc;
}

struct routed_set *routed_rest(struct routed *r, struct err *err) {
    struct routed_set *s = mem_alloc(sizeof *s);
    routed_model_copy(&s->model, &r->model);
    s->pass = mem_alloc(sizeof *s->pass);       /* an empty trace has its end, too */
    if (read_rows(r, s, err) == 0)
        return s;
    routed_set_free(s);
    return NULL;
}

struct routed_set *routed_read(const char *path, const struct routed_options *opt,
                               struct err *err) {
    struct routed *r = routed_open(path, opt, err);
    if (!r)
        return NULL;
    struct routed_set *s = routed_rest(r, err);
    routed_close(r);
    return s;
}

void routed_set_free(struct routed_set *s) {
    if (!s)
        return;
    routed_model_free(&s->model);
    free(s->expert);
    free(s->pass);
    free(s->request);
    free(s->step);
    free(s->position);
    free(s->phase);
    free(s->accepted);
    free(s);
}
