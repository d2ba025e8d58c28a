/* blocks.c - a trace in memory, see blocks.h
 *
 * Ids of several short requests are collected before they are numbered, so that their look-ups
 * overlap even in a trace of single blocks.
 */
#include "lib/cache/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/cache/idmap.h"

#define PENDING 2048
#define PROGRESS_EVERY 1024     /* requests */

struct loader {
    struct blocks *b;
    struct idmap *map;
    size_t requests_cap, accesses_cap;
    uint64_t *pending;          /* ids that have no number yet: the last ones of b->id */
    size_t n_pending, pending_cap;
    int lengths_said;           /* some record has an input length */
    int in_sessions;            /* some record has one */
};

void blocks_free(struct blocks *b) {
    if (!b)
        return;
    for (uint32_t i = 0; b->session_name && i < b->sessions; i++)
        free(b->session_name[i]);
    free(b->session_name);
    free(b->id);
    free(b->first);
    free(b->input);
    free(b->output);
    free(b->time_ns);
    free(b->session);
    free(b->parent);
    free(b->depth);
    free(b->next);
    free(b);
}

static int number_pending(struct loader *l, const char *path, struct err *err) {
    struct blocks *b = l->b;
    uint32_t *to = b->id + b->accesses - l->n_pending;
    if (idmap_add(l->map, l->pending, l->n_pending, to))
        return err_set(err, "%s: more than %u unique blocks", path, IDMAP_MAX - 1);
    l->n_pending = 0;
    return 0;
}

static void grow_requests(struct loader *l) {
    struct blocks *b = l->b;
    l->requests_cap = l->requests_cap ? l->requests_cap * 2 : 4096;
    b->first = mem_grow(b->first, l->requests_cap + 1, sizeof *b->first);
    b->input = mem_grow(b->input, l->requests_cap, sizeof *b->input);
    b->output = mem_grow(b->output, l->requests_cap, sizeof *b->output);
    b->time_ns = mem_grow(b->time_ns, l->requests_cap, sizeof *b->time_ns);
    b->session = mem_grow(b->session, l->requests_cap, sizeof *b->session);
}

static int add_blocks(struct loader *l, const char *path, const struct req *q, struct err *err) {
    struct blocks *b = l->b;
    size_t n = (size_t)q->blocks;
    if (b->accesses + q->blocks >= (int64_t)UINT32_MAX)
        return err_set(err, "%s:%lld: more than %u block accesses", path, (long long)q->line,
                       UINT32_MAX - 1);
    if ((size_t)b->accesses + n > l->accesses_cap) {
        l->accesses_cap = ((size_t)b->accesses + n) * 2;
        b->id = mem_grow(b->id, l->accesses_cap, sizeof *b->id);
    }
    if (l->n_pending + n > l->pending_cap) {
        l->pending_cap = PENDING + (l->n_pending + n) * 2;
        l->pending = mem_grow(l->pending, l->pending_cap, sizeof *l->pending);
    }
    if (n)
        memcpy(l->pending + l->n_pending, q->block, n * sizeof *l->pending);
    l->n_pending += n;
    b->accesses += q->blocks;
    return l->n_pending < PENDING ? 0 : number_pending(l, path, err);
}

static int add(struct loader *l, const char *path, const struct req *q, struct err *err) {
    struct blocks *b = l->b;
    int64_t r = b->requests;
    if (q->blocks == REQS_UNKNOWN)
        return err_set(err, "%s:%lld: a request without block ids or token ids: what a prefix "
                       "cache would do cannot be told from lengths", path, (long long)q->line);
    if (r >= (int64_t)UINT32_MAX)
        return err_set(err, "%s:%lld: more than %u requests", path, (long long)q->line,
                       UINT32_MAX);
    if ((size_t)r == l->requests_cap)
        grow_requests(l);
    b->first[r] = b->accesses;
    b->input[r] = q->input_tokens;
    b->output[r] = q->output_tokens == REQS_UNKNOWN ? 0 : q->output_tokens;
    b->time_ns[r] = q->time_ns;
    b->session[r] = q->session;
    l->lengths_said |= q->input_tokens != REQS_UNKNOWN;
    l->in_sessions |= q->session != REQS_NO_SESSION;
    b->requests++;
    return add_blocks(l, path, q, err);
}

/* ---- what follows from the whole --------------------------------------------------------- */

static int find_block_tokens(struct loader *l, const char *path, const struct reqs *r,
                             struct err *err) {
    struct blocks *b = l->b;
    b->block_tokens = reqs_block_tokens(r);
    if (b->block_tokens <= 0 && l->lengths_said && b->accesses)
        return err_set(err, "%s: the tokens of a block do not follow from lengths and block "
                       "counts: say them with --block-tokens", path);
    if (b->block_tokens <= 0)
        b->block_tokens = 1;        /* no lengths at all: a block is the unit */
    return 0;
}

static void finish_requests(struct blocks *b) {
    b->first[b->requests] = b->accesses;
    for (int64_t r = 0; r < b->requests; r++) {
        int64_t n = b->first[r + 1] - b->first[r];
        if (b->input[r] == REQS_UNKNOWN)
            b->input[r] = n * b->block_tokens;
        b->input_tokens += b->input[r];
        b->output_tokens += b->output[r];
        if (n > b->longest)
            b->longest = n;
    }
}

/* Numbers rise with first appearance, so a block is new exactly when it has the next number. */
static void find_parents(struct blocks *b) {
    uint32_t next = 0;
    b->parent = mem_array(b->unique, sizeof *b->parent);
    b->depth = mem_array(b->unique, sizeof *b->depth);
    for (int64_t r = 0; r < b->requests; r++) {
        const uint32_t *id = b->id + b->first[r];
        int64_t n = b->first[r + 1] - b->first[r];
        for (int64_t i = 0; i < n; i++) {
            if (id[i] != next)
                continue;
            b->parent[next] = i ? id[i - 1] : BLOCKS_NONE;
            b->depth[next] = (uint32_t)i;
            next++;
        }
    }
}

static void keep_sessions(struct loader *l, const struct reqs *r) {
    struct blocks *b = l->b;
    b->sessions = reqs_totals(r)->sessions;
    b->session_name = mem_array(b->sessions, sizeof *b->session_name);
    for (uint32_t i = 0; i < b->sessions; i++)
        b->session_name[i] = mem_strdup(reqs_session(r, i));
}

static int finish(struct loader *l, const char *path, const struct reqs *r, struct err *err) {
    struct blocks *b = l->b;
    if (number_pending(l, path, err) || find_block_tokens(l, path, r, err))
        return -1;
    if (!b->first)
        grow_requests(l);
    b->unique = idmap_count(l->map);
    b->totals = *reqs_totals(r);
    finish_requests(b);
    find_parents(b);
    if (l->in_sessions) {
        keep_sessions(l, r);
    } else {
        free(b->session);
        b->session = NULL;
    }
    if (!b->totals.timed) {
        free(b->time_ns);
        b->time_ns = NULL;
    }
    return 0;
}

struct blocks *blocks_load(const char *path, const struct reqs_options *opt,
                           int (*progress)(void *arg, int64_t bytes), void *arg,
                           struct err *err) {
    const char *name = strcmp(path, "-") ? path : "stdin";
    struct reqs *r = reqs_open(path, opt, err);
    if (!r)
        return NULL;
    struct loader l = {.b = mem_alloc(sizeof *l.b), .map = idmap_new()};
    struct req q;
    int rc;
    while ((rc = reqs_next(r, &q, err)) == 1) {
        if ((rc = add(&l, name, &q, err)))
            break;
        if (progress && l.b->requests % PROGRESS_EVERY == 0 &&
            progress(arg, reqs_totals(r)->bytes)) {
            rc = err_set(err, "%s: cancelled", name);
            break;
        }
    }
    if (!rc)
        rc = finish(&l, name, r, err);
    reqs_close(r);
    idmap_free(l.map);
    free(l.pending);
    if (rc) {
        blocks_free(l.b);
        return NULL;
    }
    return l.b;
}

void blocks_find_next(struct blocks *b) {
    uint32_t *last;
    if (b->next)
        return;
    b->next = mem_array((size_t)b->accesses, sizeof *b->next);
    last = mem_array(b->unique, sizeof *last);
    for (int64_t i = b->accesses - 1; i >= 0; i--) {
        uint32_t id = b->id[i];
        b->next[i] = last[id] ? last[id] : BLOCKS_NONE;
        last[id] = (uint32_t)i;     /* 0 is never anybody's next */
    }
    free(last);
}
