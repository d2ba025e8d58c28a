/* tiers.c - replay of a cache of several tiers, see tiers.h for what happens in which order
 *
 * A tier is a list in arrays indexed by block number. Exclusive tiers share one pair of links, as a
 * block is in one of them at a time. Which tiers have a block is one byte of bits.
 */
#include "lib/cache/tiers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define NONE BLOCKS_NONE
#define AHEAD 16                /* accesses whose state is asked for early */
#define REPORT 4096             /* requests between two calls of progress */

struct link {
    uint32_t newer, older;
};

struct tier {
    int64_t capacity, size;
    uint32_t newest, oldest;
    struct link *link;          /* [unique] */
};

struct tiers {
    const struct tiers_setup *s;
    struct tier tier[TIERS_MAX];
    uint8_t *in;                /* [unique] bit j: tier j has it */
    uint8_t *uses;              /* [unique] since it was in no tier, at most 255; or NULL */
    int threshold;
    double token_bytes;
    double *start_s;            /* [longest + 1] seconds to compute the first so many blocks */
    struct tiers_result *out;   /* of the caller, or one that is thrown away while warming up */
};

/* ---- lists ------------------------------------------------------------------------------ */

static void take_out(struct tier *t, uint32_t id) {
    struct link l = t->link[id];
    if (l.newer == NONE)
        t->newest = l.older;
    else
        t->link[l.newer].older = l.older;
    if (l.older == NONE)
        t->oldest = l.newer;
    else
        t->link[l.older].newer = l.newer;
}

static void put_first(struct tier *t, uint32_t id) {
    t->link[id] = (struct link){.newer = NONE, .older = t->newest};
    if (t->newest == NONE)
        t->oldest = id;
    else
        t->link[t->newest].newer = id;
    t->newest = id;
}

static void refresh(struct tier *t, uint32_t id) {
    if (t->newest == id)
        return;
    take_out(t, id);
    put_first(t, id);
}

/* ---- tiers ------------------------------------------------------------------------------ */

static int has(const struct tiers *x, int j, uint32_t id) {
    return x->in[id] >> j & 1;
}

static void leave(struct tiers *x, int j, uint32_t id) {
    take_out(&x->tier[j], id);
    x->tier[j].size--;
    x->in[id] &= (uint8_t)~(1u << j);
    if (x->uses && !x->in[id])
        x->uses[id] = 0;
}

static void write_down(struct tiers *x, int j, uint32_t id);

/* The block becomes the most recent of tier j, which did not have it. */
static void enter(struct tiers *x, int j, uint32_t id) {
    struct tier *t = &x->tier[j];
    uint32_t victim = t->size == t->capacity ? t->oldest : NONE;
    if (victim != NONE) {
        leave(x, j, victim);
        x->out->tier[j].evicted_blocks++;
    }
    put_first(t, id);
    t->size++;
    x->in[id] |= (uint8_t)(1u << j);
    if (victim != NONE && x->s->write == TIERS_BACK && j + 1 < x->s->tiers &&
        !has(x, j + 1, victim))
        write_down(x, j + 1, victim);
}

static void write_down(struct tiers *x, int j, uint32_t id) {
    x->out->tier[j].written_blocks++;
    enter(x, j, id);
}

static void refresh_all(struct tiers *x, uint32_t id) {
    for (unsigned in = x->in[id]; in; in &= in - 1)
        refresh(&x->tier[__builtin_ctz(in)], id);
}

static void use_exclusive(struct tiers *x, uint32_t id) {
    if (has(x, 0, id)) {
        refresh(&x->tier[0], id);
        return;
    }
    if (x->in[id])
        leave(x, __builtin_ctz(x->in[id]), id);
    enter(x, 0, id);
}

/* Lower tiers too before it enters the first: what that pushes down must find it recent. */
static void use_inclusive(struct tiers *x, uint32_t id) {
    refresh_all(x, id);
    if (!has(x, 0, id))
        enter(x, 0, id);
    if (x->s->write == TIERS_BACK)
        return;
    if (x->uses && x->uses[id] < UINT8_MAX)
        x->uses[id]++;
    if (x->uses && x->uses[id] < x->threshold)
        return;
    for (int j = 1; j < x->s->tiers; j++)
        if (!has(x, j, id))
            write_down(x, j, id);
}

static void use_all(struct tiers *x, const uint32_t *id, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int64_t at = x->s->tail_first ? n - 1 - i : i;
        if (x->s->exclusive)
            use_exclusive(x, id[at]);
        else
            use_inclusive(x, id[at]);
    }
}

/* ---- one request's hit ------------------------------------------------------------------ */

struct request {
    const uint32_t *id;
    int64_t n, input;
    double whole_s;             /* seconds to compute all of it */
    double load_s;              /* of the loads so far */
};

/* Tokens of the first n blocks, and the seconds that computing them takes. */
static int64_t tokens(const struct tiers *x, const struct request *q, int64_t n) {
    int64_t all = n * x->s->blocks->block_tokens;
    return all < q->input ? all : q->input;
}

static double seconds(const struct tiers *x, const struct request *q, int64_t n) {
    return n * x->s->blocks->block_tokens < q->input ? x->start_s[n] : q->whole_s;
}

/* Blocks [from, to) lie in tier j, and neither neighbour does. */
static void count_run(struct tiers *x, struct request *q, int j, int64_t from, int64_t to) {
    struct tiers_counts *c = &x->out->tier[j];
    int64_t n = tokens(x, q, to) - tokens(x, q, from);
    c->hit_blocks += to - from;
    c->hit_tokens += n;
    if (j == 0)
        return;
    c->loads++;
    if (!x->s->shape)
        return;
    double bytes = (double)n * x->token_bytes;
    double load = x->s->tier[j].latency_s + bytes / x->s->tier[j].read_bytes_per_s;
    c->loaded_bytes += bytes;
    c->load_s += load;
    c->recompute_s += seconds(x, q, to) - seconds(x, q, from);
    q->load_s += load;
}

/* Tiers [from, to) end at this prefix of n blocks. */
static void count_prefix(struct tiers *x, const struct request *q, int from, int to, int64_t n) {
    for (int j = from; j < to; j++) {
        struct tiers_counts *c = &x->out->tier[j];
        double compute = q->whole_s - (x->s->shape ? seconds(x, q, n) : 0);
        c->prefix_blocks += n;
        c->prefix_tokens += tokens(x, q, n);
        c->prefill_s += x->s->overlap ? fmax(q->load_s, compute) : q->load_s + compute;
    }
}

/* Walks to the first block that no tier has: the length of the hit. For tier j a prefix ends where
 * a block lies deeper. */
static int64_t count_hit(struct tiers *x, struct request *q) {
    int deepest = 0, now = -1;
    int64_t start = 0, i = 0;
    for (; i < q->n && x->in[q->id[i]]; i++) {
        int j = __builtin_ctz(x->in[q->id[i]]);
        if (j == now)
            continue;
        if (now >= 0)
            count_run(x, q, now, start, i);
        if (j > deepest) {
            count_prefix(x, q, deepest, j, i);
            deepest = j;
        }
        now = j;
        start = i;
    }
    if (now >= 0)
        count_run(x, q, now, start, i);
    count_prefix(x, q, deepest, x->s->tiers, i);
    return i;
}

static void run_request(struct tiers *x, int64_t r) {
    const struct blocks *b = x->s->blocks;
    struct request q = {.id = b->id + b->first[r], .n = b->first[r + 1] - b->first[r],
                        .input = b->input[r]};
    int64_t ahead = b->accesses - b->first[r] < q.n + AHEAD ? b->accesses - b->first[r]
                                                            : q.n + AHEAD;
    for (int64_t i = 0; i < ahead; i++)
        __builtin_prefetch(&x->tier[0].link[q.id[i]], 1);
    if (x->s->shape)
        q.whole_s = shape_prefill_flops(x->s->shape, 0, q.input) / x->s->flops_per_s;
    x->out->requests++;
    x->out->accesses += q.n;
    x->out->input_tokens += q.input;
    x->out->uncached_s += q.whole_s;
    int64_t hit = count_hit(x, &q);
    for (int64_t i = 0; i < hit; i++)
        refresh_all(x, q.id[x->s->tail_first ? hit - 1 - i : i]);
    use_all(x, q.id, q.n);
}

/* ---- all -------------------------------------------------------------------------------- */

static int check(const struct tiers_setup *s, struct err *err) {
    if (s->tiers < 1 || s->tiers > TIERS_MAX)
        return err_set(err, "expected 1 to %d tiers, found %d", TIERS_MAX, s->tiers);
    if (s->exclusive && s->write != TIERS_BACK)
        return err_set(err, "exclusive tiers are written back: a block written through would be "
                       "in two");
    if (s->write == TIERS_SELECTIVE && (s->threshold < 1 || s->threshold > UINT8_MAX))
        return err_set(err, "expected a threshold of 1 to %d uses, found %d", UINT8_MAX,
                       s->threshold);
    if (s->shape && !(s->flops_per_s > 0))
        return err_set(err, "expected FLOP/s above 0, found %g", s->flops_per_s);
    for (int j = 0; j < s->tiers; j++) {
        if (s->tier[j].capacity < 1)
            return err_set(err, "tier %d: expected at least one block, found %lld", j,
                           (long long)s->tier[j].capacity);
        if (j && s->shape && !(s->tier[j].read_bytes_per_s > 0))
            return err_set(err, "tier %d: expected a bandwidth above 0, found %g", j,
                           s->tier[j].read_bytes_per_s);
    }
    return 0;
}

static void prepare(struct tiers *x) {
    const struct tiers_setup *s = x->s;
    uint32_t unique = s->blocks->unique;
    for (int j = 0; j < s->tiers; j++) {
        struct tier *t = &x->tier[j];
        *t = (struct tier){.capacity = s->tier[j].capacity, .newest = NONE, .oldest = NONE};
        t->link = j && s->exclusive ? x->tier[0].link : mem_array(unique, sizeof *t->link);
    }
    x->in = mem_array(unique, sizeof *x->in);
    if (s->write == TIERS_SELECTIVE)
        x->uses = mem_array(unique, sizeof *x->uses);
    x->threshold = s->threshold;
    if (!s->shape)
        return;
    x->token_bytes = shape_kv_bytes(s->shape, s->kv_bits);
    x->start_s = mem_array((size_t)s->blocks->longest + 1, sizeof *x->start_s);
    for (int64_t n = 0; n <= s->blocks->longest; n++)
        x->start_s[n] = shape_prefill_flops(s->shape, 0, n * s->blocks->block_tokens) /
                        s->flops_per_s;
}

static void release(struct tiers *x) {
    for (int j = 0; j < (x->s->exclusive ? 1 : x->s->tiers); j++)
        free(x->tier[j].link);
    free(x->in);
    free(x->uses);
    free(x->start_s);
}

int tiers_run(const struct tiers_setup *s, int (*progress)(void *arg, int64_t requests),
              void *arg, struct tiers_result *out, struct err *err) {
    struct tiers_result cold = {0};
    struct tiers x = {.s = s};
    int status = 0;
    memset(out, 0, sizeof *out);
    if (check(s, err) < 0)
        return -1;
    prepare(&x);
    for (int64_t r = 0; r < s->blocks->requests; r++) {
        if (progress && r % REPORT == 0 && progress(arg, r)) {
            status = err_set(err, "cancelled");
            break;
        }
        x.out = r < s->warmup ? &cold : out;
        run_request(&x, r);
    }
    release(&x);
    return status;
}

/* A load costs so much at once and so much a token; a token costs more to compute the more come
 * before it. So once computing has become the slower one it stays so: the first n is bisected. */
double tiers_break_even(const struct tiers_setup *s, int t) {
    const struct tiers_tier *from = &s->tier[t];
    int64_t low = 0, high = (int64_t)1 << 40;       /* tokens; more than any request has */
    if (!s->shape || t == 0)
        return NAN;
    double token_s = shape_kv_bytes(s->shape, s->kv_bits) / from->read_bytes_per_s;
    while (high - low > 1) {
        int64_t n = low + (high - low) / 2;
        double compute = shape_prefill_flops(s->shape, 0, n) / s->flops_per_s;
        if (from->latency_s + (double)n * token_s <= compute)
            high = n;
        else
            low = n;
    }
    return high == (int64_t)1 << 40 ? NAN : (double)high;
}
