/* recur.c - how soon experts come back, see recur.h
 *
 * A request's memory holds, for each expert, the number of the token that used it last. Numbers go
 * on rising when the memory passes to another request: those below its first are as good as none,
 * and nothing has to be cleared. The token before used an expert just when the distance is 1.
 */
#include "lib/route/recur.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/stat/hist.h"

#define BYTES (64u << 20)       /* of memories */
#define FEWEST 64
#define MOST 4096
#define BUCKETS 8192            /* a power of two above MOST */
#define NEAR 256                /* distances below have a counter each, as in lib/stat/hist */
#define NOBODY (-1)

struct memory {
    uint32_t request;
    uint32_t position;          /* of its last token */
    uint32_t first, next;       /* numbers of the request's tokens */
    uint32_t *last;             /* [layers][room] number of the token that used the expert */
    int newer, older;           /* in the order of use */
    int chain;                  /* the next one of its bucket */
};

/* What a token of the stretch needs to know in every layer. */
struct token {
    uint32_t *last;             /* its request's; NULL: taken back */
    uint32_t first, now;
    int follows;                /* the token before is the one at the position before */
};

struct layer {
    int64_t uses, same, of;     /* same and of: as in recur_add */
    int64_t near[NEAR];         /* reuses by distance */
    struct hist far;
    int64_t touched, passes;    /* distinct experts, summed over the passes that have any */
    uint32_t pass;              /* the last of these */
};

struct recur {
    int layers, room;
    struct layer *layer;
    uint32_t *pass;             /* [layers][room] the last pass that used it */
    struct memory *memory;
    int memories, most;
    int newest, oldest;
    int bucket[BUCKETS];
    struct token *token;        /* [STRETCH_TOKENS] */
    int64_t forgotten;
};

static int memories_most(int layers, int room) {
    size_t one = (size_t)layers * (size_t)room * sizeof(uint32_t);
    size_t n = BYTES / (one ? one : 1);
    return n < FEWEST ? FEWEST : n > MOST ? MOST : (int)n;
}

struct recur *recur_new(int layers, int experts) {
    struct recur *r = mem_alloc(sizeof *r);
    r->layers = layers;
    r->room = experts;
    r->most = memories_most(layers, experts);
    r->layer = mem_array((size_t)layers, sizeof *r->layer);
    r->pass = mem_array((size_t)layers * (size_t)experts, sizeof *r->pass);
    r->memory = mem_array(MOST, sizeof *r->memory);
    r->token = mem_array(STRETCH_TOKENS, sizeof *r->token);
    r->newest = r->oldest = NOBODY;
    for (int i = 0; i < BUCKETS; i++)
        r->bucket[i] = NOBODY;
    return r;
}

void recur_free(struct recur *r) {
    if (!r)
        return;
    for (int i = 0; i < r->memories; i++)
        free(r->memory[i].last);
    for (int l = 0; l < r->layers; l++)
        hist_free(&r->layer[l].far);
    free(r->layer);
    free(r->pass);
    free(r->memory);
    free(r->token);
    free(r);
}

/* [layers][from] becomes [layers][to], zeros behind. */
static uint32_t *widen(uint32_t *old, int layers, int from, int to) {
    uint32_t *wide = mem_array((size_t)layers * (size_t)to, sizeof *wide);
    for (int l = 0; l < layers; l++)
        memcpy(wide + (size_t)l * (size_t)to, old + (size_t)l * (size_t)from,
               (size_t)from * sizeof *wide);
    free(old);
    return wide;
}

void recur_grow(struct recur *r, int experts) {
    if (experts <= r->room)
        return;
    r->pass = widen(r->pass, r->layers, r->room, experts);
    for (int i = 0; i < r->memories; i++)
        r->memory[i].last = widen(r->memory[i].last, r->layers, r->room, experts);
    r->room = experts;
    int most = memories_most(r->layers, experts);
    r->most = most > r->memories ? most : r->memories;
}

/* ---- memories of requests ----------------------------------------------------------------- */

static int *bucket_of(struct recur *r, uint32_t request) {
    return &r->bucket[request * 2654435761u >> 19 & (BUCKETS - 1)];
}

static void unlink_order(struct recur *r, int i) {
    struct memory *m = &r->memory[i];
    *(m->newer == NOBODY ? &r->newest : &r->memory[m->newer].older) = m->older;
    *(m->older == NOBODY ? &r->oldest : &r->memory[m->older].newer) = m->newer;
}

static void make_newest(struct recur *r, int i) {
    struct memory *m = &r->memory[i];
    m->newer = NOBODY;
    m->older = r->newest;
    *(r->newest == NOBODY ? &r->oldest : &r->memory[r->newest].newer) = i;
    r->newest = i;
}

static void unlink_bucket(struct recur *r, int i) {
    int *at = bucket_of(r, r->memory[i].request);
    while (*at != i)
        at = &r->memory[*at].chain;
    *at = r->memory[i].chain;
}

/* An unused memory, else that of the request that was not seen for the longest time. */
static int take_memory(struct recur *r) {
    if (r->memories < r->most) {
        struct memory *m = &r->memory[r->memories];
        m->last = mem_array((size_t)r->layers * (size_t)r->room, sizeof *m->last);
        m->next = 1;
        return r->memories++;
    }
    int i = r->oldest;
    unlink_order(r, i);
    unlink_bucket(r, i);
    return i;
}

static struct memory *find_memory(struct recur *r, uint32_t request, uint32_t position) {
    int *bucket = bucket_of(r, request);
    int i = *bucket;
    while (i != NOBODY && r->memory[i].request != request)
        i = r->memory[i].chain;
    if (i != NOBODY) {
        unlink_order(r, i);
    } else {
        r->forgotten += position > 0 && r->memories == r->most;
        i = take_memory(r);
        bucket = bucket_of(r, request);
        r->memory[i].request = request;
        r->memory[i].first = r->memory[i].next;
        r->memory[i].chain = *bucket;
        *bucket = i;
    }
    make_newest(r, i);
    return &r->memory[i];
}

/* Numbers must not wrap inside a stretch. */
static void keep_numbers_small(struct recur *r) {
    for (int i = 0; i < r->memories; i++) {
        struct memory *m = &r->memory[i];
        if (m->next < UINT32_MAX - STRETCH_TOKENS)
            continue;
        memset(m->last, 0, (size_t)r->layers * (size_t)r->room * sizeof *m->last);
        m->first = m->next = 1;
    }
}

static struct token see_token(struct memory *m, uint32_t position) {
    int known = m->next > m->first;
    int follows = known && position > 0 && m->position == position - 1;
    if (known && position <= m->position)
        m->first = m->next;
    m->position = position;
    return (struct token){m->last, m->first, m->next++, follows};
}

void recur_begin(struct recur *r, const struct stretch *s) {
    struct memory *m = NULL;
    keep_numbers_small(r);
    for (int i = 0; i < s->n; i++) {
        r->token[i] = (struct token){0};
        if (!s->accepted[i])
            continue;
        if (!m || m->request != s->request[i])
            m = find_memory(r, s->request[i], s->position[i]);
        r->token[i] = see_token(m, s->position[i]);
    }
}

/* ---- counting ----------------------------------------------------------------------------- */

/* Adds a token's experts to what its pass touched. */
static void add_pass(struct layer *c, uint32_t *seen, const int16_t *expert, int k,
                     uint32_t pass) {
    for (int j = 0; j < k; j++) {
        if (expert[j] < 0)
            continue;
        c->passes += c->pass != pass;
        c->pass = pass;
        c->touched += seen[expert[j]] != pass;
        seen[expert[j]] = pass;
    }
}

/* How many of the token's experts the token before used. */
static int add_token(struct layer *c, const struct token *t, uint32_t *last,
                     const int16_t *expert, int k, int *uses) {
    int next = 0;
    int n = 0;
    for (int j = 0; j < k; j++) {
        if (expert[j] < 0)
            continue;
        uint32_t before = last[expert[j]];
        uint32_t distance = t->now - before;
        last[expert[j]] = t->now;
        n++;
        if (before < t->first || distance == 0)
            continue;
        next += distance == 1;
        if (distance < NEAR)
            c->near[distance]++;
        else
            hist_add(&c->far, distance, 1);
    }
    *uses = n;
    return next;
}

void recur_add(struct recur *r, const struct stretch *s, int layer, uint16_t *same, uint16_t *of) {
    struct layer *c = &r->layer[layer];
    size_t at = (size_t)layer * (size_t)r->room;
    for (int i = 0; i < s->n; i++) {
        const struct token *t = &r->token[i];
        const int16_t *expert = stretch_at(s, i, layer);
        int uses;
        same[i] = of[i] = 0;
        add_pass(c, r->pass + at, expert, s->k, s->pass[i]);
        if (!t->last)
            continue;
        int next = add_token(c, t, t->last + at, expert, s->k, &uses);
        c->uses += uses;
        if (!t->follows)
            continue;
        same[i] = (uint16_t)next;
        of[i] = (uint16_t)uses;
        c->same += next;
        c->of += uses;
    }
}

/* ---- results ------------------------------------------------------------------------------ */

static double ratio(double a, double b) {
    return b > 0 ? a / b : NAN;
}

void recur_result(const struct recur *r, int layer, struct recur_result *out) {
    const struct layer *c = &r->layer[layer];
    struct hist all = {0};
    hist_merge(&all, &c->far);
    for (int d = 1; d < NEAR; d++)
        if (c->near[d])
            hist_add(&all, (uint64_t)d, (double)c->near[d]);
    *out = (struct recur_result){
        .lag1 = ratio((double)c->same, (double)c->of),
        .reuses = (int64_t)all.total,
        .reuse_share = ratio(all.total, (double)c->uses),
        .reuse_median = all.weight ? hist_quantile(&all, 0.5) : NAN,
        .reuse_mean = all.weight ? hist_mean(&all) : NAN,
        .pass_experts = ratio((double)c->touched, (double)c->passes)};
    hist_free(&all);
}

int64_t recur_forgotten(const struct recur *r) {
    return r->forgotten;
}
