/* cost_diff_prefix.c - how much of a prompt is a prefix that other cases' prompts began with before
 *
 * Told from block ids (reqs.h), hence exact: what a cache that keeps all of them would have found.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff_read.h"
#include "lib/trace/reqs.h"

struct ids {                    /* a set of block ids, and who had them first */
    uint64_t *id;
    const struct diff_record **owner;
    char *used;
    size_t n, slots;
};

static void ids_grow(struct ids *s);

/* The case that had this block first; NULL: nobody, and it is the caller's from now on. */
static const struct diff_record *ids_claim(struct ids *s, uint64_t id,
                                           const struct diff_record *owner) {
    if (2 * (s->n + 1) > s->slots)
        ids_grow(s);
    size_t at = (size_t)(id * 0x9E3779B97F4A7C15u) & (s->slots - 1);
    while (s->used[at] && s->id[at] != id)
        at = (at + 1) & (s->slots - 1);
    if (s->used[at])
        return s->owner[at];
    s->used[at] = 1;
    s->id[at] = id;
    s->owner[at] = owner;
    s->n++;
    return NULL;
}

static void ids_free(struct ids *s) {
    free(s->id);
    free(s->owner);
    free(s->used);
}

static void ids_grow(struct ids *s) {
    struct ids to = {.slots = s->slots ? 2 * s->slots : 1024};
    to.id = mem_array(to.slots, sizeof *to.id);
    to.owner = mem_array(to.slots, sizeof *to.owner);
    to.used = mem_array(to.slots, 1);
    for (size_t i = 0; i < s->slots; i++)
        if (s->used[i])
            ids_claim(&to, s->id[i], s->owner[i]);
    ids_free(s);
    *s = to;
}

static int same_case(const struct diff_record *a, const struct diff_record *b) {
    return a == b || (a->id && b->id && !strcmp(a->id, b->id));
}

/* Blocks that begin the prompt and that a case before began with. That a repeat finds what the
 * first request of its own case left behind says nothing of the prompts. */
static int64_t claim_blocks(struct ids *seen, const struct req *q,
                            const struct diff_record *owner) {
    int64_t found = 0;
    int unbroken = 1;
    for (int64_t i = 0; i < q->blocks; i++) {
        const struct diff_record *first = ids_claim(seen, q->block[i], owner);
        unbroken = unbroken && first && !same_case(first, owner);
        found += unbroken;
    }
    return found;
}

void diff_read_prefixes(struct reader *r) {
    struct diff_side *s = r->side;
    struct err e = {{0}};
    struct ids seen = {0};
    struct req q;
    int rc;
    struct reqs *in = reqs_open(s->path, &(struct reqs_options){.skip_bad = r->d->opt->skip_bad},
                                &e);
    if (!in)
        diff_die_of(s, &e);
    while ((rc = reqs_next(in, &q, &e)) == 1) {
        struct diff_record *to = diff_find_record(s, q.line);
        if (to && q.blocks >= 0)
            to->cacheable = claim_blocks(&seen, &q, to);
    }
    if (rc < 0)
        diff_die_of(s, &e);
    int64_t tokens = reqs_block_tokens(in);
    for (size_t i = 0; i < s->n; i++) {
        struct diff_record *to = &s->record[i];
        int64_t prompt = usage_prompt(&to->use);
        if (to->cacheable >= 0)
            to->cacheable = !tokens ? -1
                            : to->cacheable * tokens < prompt ? to->cacheable * tokens : prompt;
    }
    if (!tokens && !r->d->opt->common.quiet)
        warn("%s: tokens of a block are not known: nothing is said of cacheable prefixes",
             s->name);
    reqs_close(in);
    ids_free(&seen);
}
