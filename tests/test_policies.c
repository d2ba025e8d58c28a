/* test_policies.c - replacement policies against models written from their papers, with plain
 * arrays and searches from end to end; and what must hold for every policy there is
 *
 * lru, lru-tail, fifo, ttl and belady have their models in test_replay.c. On the Mooncake
 * conversation trace, where it is beside the project, misses are compared with counts that other
 * programs gave.
 */
#include "lib/cache/freqsketch.h"
#include "lib/cache/sim.h"
#include "tests/check.h"
#include "tests/random.h"

#define MOONCAKE "../shared/data/traces/mooncake-conversation.jsonl"

/* ---- traces ------------------------------------------------------------------------------ */

enum kind { ZIPF, LOOP, SESSIONS, SCANS, KINDS };

/* A block of request r's place i; blocks of SESSIONS are said by their session and place. */
static int draw(enum kind kind, int blocks, int access, int session, int i) {
    double x = (double)(next() >> 11) / (double)(1ull << 53);
    int popular = (int)(blocks * x * x * x);
    switch (kind) {
    case LOOP: return below(20) ? access % blocks : popular;
    case SESSIONS: return i < 3 ? i : 3 + session * 50 + i;
    case SCANS: return access / 100 % 3 ? popular : blocks + access;
    default: return popular;
    }
}

/* Requests of up to `longest` blocks, some of them empty, some with a block twice in a row. */
static struct blocks *make_trace(enum kind kind, uint64_t seed, int blocks, int requests,
                                 int longest) {
    struct blocks *b = mem_alloc(sizeof *b);
    size_t most = (size_t)requests * (size_t)longest;
    int names = blocks * 60 + (int)most;
    uint32_t *number = mem_array((size_t)names, sizeof *number);
    int length[16] = {0};
    state = seed;
    b->requests = requests;
    b->block_tokens = 1;
    b->id = mem_array(most, sizeof *b->id);
    b->first = mem_array((size_t)requests + 1, sizeof *b->first);
    b->time_ns = mem_array((size_t)requests, sizeof *b->time_ns);
    for (int r = 0; r < requests; r++) {
        int session = below(blocks < 16 ? blocks : 16);
        int n = below(longest + 1);
        if (kind == SESSIONS)           /* each request is longer than its session's last one */
            n = length[session] = (length[session] + below(longest / 4 + 1)) % longest;
        for (int i = 0; i < n; i++) {
            int name = draw(kind, blocks, (int)b->accesses, session, i);
            if (!number[name])
                number[name] = ++b->unique;
            b->id[b->accesses++] = number[name] - 1;
            if (!below(25) && ++i < n) {
                b->id[b->accesses] = b->id[b->accesses - 1];
                b->accesses++;
            }
        }
        b->first[r + 1] = b->accesses;
        b->time_ns[r] = (r ? b->time_ns[r - 1] : 0) + below(1000) * 1000000ll;
    }
    free(number);
    blocks_find_next(b);
    return b;
}

/* ---- models ------------------------------------------------------------------------------ */

#define MOST 8192               /* blocks of a trace */

struct queue {
    int n;
    uint32_t id[MOST];          /* the oldest first */
};

struct model {
    int capacity;
    double part[4];             /* parameters, in the order of each model's needs */
    struct queue q[4];          /* those that are the cache, then remembered numbers */
    int uses[MOST];
    double priority[MOST];
    const float *cost;
    double clock, target;
    int hand;
    int evicted;                /* has anything left? */
    unsigned char *counters;    /* [lines][4][32] */
    int added;
    int exact;                  /* counts of blocks in place of counters */
};

static int find(const struct queue *q, uint32_t id) {
    for (int i = 0; i < q->n; i++)
        if (q->id[i] == id)
            return i;
    return -1;
}

static void append(struct queue *q, uint32_t id) {
    q->id[q->n++] = id;
}

static uint32_t take_out(struct queue *q, int i) {
    uint32_t id = q->id[i];
    memmove(&q->id[i], &q->id[i + 1], (size_t)(--q->n - i) * sizeof *q->id);
    return id;
}

/* Takes the block out if it is there, and says whether it was. */
static int take_id(struct queue *q, uint32_t id) {
    int i = find(q, id);
    if (i >= 0)
        take_out(q, i);
    return i >= 0;
}

static int part_of(double part, int capacity) {
    return (int)floor(part * capacity + 1e-9);
}

static int lfu(struct model *m, uint32_t id) {
    struct queue *q = &m->q[0];
    int found = take_id(q, id);
    if (!found && q->n == m->capacity) {
        int victim = 0;
        for (int i = 1; i < q->n; i++)
            if (m->uses[q->id[i]] < m->uses[q->id[victim]])
                victim = i;
        take_out(q, victim);
    }
    m->uses[id] = found ? m->uses[id] + 1 : 1;
    append(q, id);
    return found;
}

static int gdsf(struct model *m, uint32_t id) {
    struct queue *q = &m->q[0];
    int found = take_id(q, id);
    if (!found && q->n == m->capacity) {
        int victim = 0;
        for (int i = 1; i < q->n; i++)
            if (m->priority[q->id[i]] < m->priority[q->id[victim]])
                victim = i;
        m->clock = m->priority[q->id[victim]];
        take_out(q, victim);
    }
    m->uses[id] = found ? m->uses[id] + 1 : 1;
    m->priority[id] = m->clock + m->uses[id] * (m->cost ? (double)m->cost[id] : 1);
    append(q, id);
    return found;
}

/* A hit in a segmented LRU. */
static int promote(struct queue *probation, struct queue *protected, int most, uint32_t id) {
    if (!take_id(probation, id) && !take_id(protected, id))
        return 0;
    append(protected, id);
    if (protected->n > most)
        append(probation, take_out(protected, 0));
    return 1;
}

static int slru(struct model *m, uint32_t id) {
    struct queue *probation = &m->q[0];
    struct queue *protected = &m->q[1];
    if (promote(probation, protected, part_of(m->part[0], m->capacity), id))
        return 1;
    if (probation->n + protected->n == m->capacity)
        take_out(probation->n ? probation : protected, 0);
    append(probation, id);
    return 0;
}

static int twoq(struct model *m, uint32_t id) {
    struct queue *in = &m->q[0];
    struct queue *am = &m->q[1];
    struct queue *out = &m->q[2];
    if (find(in, id) >= 0)
        return 1;
    if (take_id(am, id)) {
        append(am, id);
        return 1;
    }
    int remembered = take_id(out, id);
    if (in->n + am->n == m->capacity) {
        if (in->n > part_of(m->part[0], m->capacity) || !am->n)
            append(out, take_out(in, 0));
        else
            take_out(am, 0);
        if (out->n > part_of(m->part[1], m->capacity))
            take_out(out, 0);
    }
    append(remembered ? am : in, id);
    return 0;
}

static void arc_replace(struct model *m, int in_b2) {
    struct queue *t1 = &m->q[0];
    if (t1->n && ((in_b2 && t1->n == m->target) || t1->n > m->target))
        append(&m->q[2], take_out(t1, 0));
    else
        append(&m->q[3], take_out(&m->q[1], 0));
}

static int arc(struct model *m, uint32_t id) {
    struct queue *t1 = &m->q[0];
    struct queue *t2 = &m->q[1];
    struct queue *b1 = &m->q[2];
    struct queue *b2 = &m->q[3];
    int c = m->capacity;
    if (take_id(t1, id) || take_id(t2, id)) {
        append(t2, id);
        return 1;
    }
    if (find(b1, id) >= 0) {
        m->target = fmin(m->target + fmax(1, (double)b2->n / b1->n), c);
        arc_replace(m, 0);
        take_id(b1, id);
        append(t2, id);
        return 0;
    }
    if (find(b2, id) >= 0) {
        m->target = fmax(m->target - fmax(1, (double)b1->n / b2->n), 0);
        arc_replace(m, 1);
        take_id(b2, id);
        append(t2, id);
        return 0;
    }
    int all = t1->n + t2->n + b1->n + b2->n;
    if (t1->n == c) {
        take_out(t1, 0);
    } else if (t1->n + b1->n == c) {
        take_out(b1, 0);
        arc_replace(m, 0);
    } else if (all >= c) {
        if (all == 2 * c)
            take_out(b2, 0);
        arc_replace(m, 0);
    }
    append(t1, id);
    return 0;
}

/* One eviction; from the small queue possibly none, when all its blocks move on. */
static void s3fifo_evict(struct model *m, int small_most) {
    struct queue *small = &m->q[0];
    struct queue *large = &m->q[1];
    struct queue *ghost = &m->q[2];
    m->evicted = 1;
    if (small->n < small_most) {
        while (m->uses[large->id[0]]) {
            m->uses[large->id[0]]--;
            append(large, take_out(large, 0));
        }
        take_out(large, 0);
        return;
    }
    while (small->n && m->uses[small->id[0]] >= (int)m->part[2]) {
        m->uses[small->id[0]] = 0;
        append(large, take_out(small, 0));
    }
    if (small->n)
        append(ghost, take_out(small, 0));
    if (ghost->n > part_of(m->part[1], m->capacity))
        take_out(ghost, 0);
}

static int s3fifo(struct model *m, uint32_t id) {
    struct queue *small = &m->q[0];
    struct queue *large = &m->q[1];
    int small_most = part_of(m->part[0], m->capacity);
    small_most = small_most ? small_most : 1;
    if (find(small, id) >= 0 || find(large, id) >= 0) {
        m->uses[id] = m->uses[id] < 3 ? m->uses[id] + 1 : 3;
        return 1;
    }
    int remembered = take_id(&m->q[2], id);
    while (small->n + large->n == m->capacity)
        s3fifo_evict(m, small_most);
    m->uses[id] = 0;
    int overflow = m->part[3] > 0 && !m->evicted && small->n >= small_most;
    append(remembered || overflow ? large : small, id);
    return 0;
}

static int sieve(struct model *m, uint32_t id) {
    struct queue *q = &m->q[0];
    if (find(q, id) >= 0) {
        m->uses[id] = 1;
        return 1;
    }
    if (q->n == m->capacity) {
        for (; m->uses[q->id[m->hand]]; m->hand = (m->hand + 1) % q->n)
            m->uses[q->id[m->hand]] = 0;
        take_out(q, m->hand);
        if (m->hand == q->n)
            m->hand = 0;
    }
    m->uses[id] = 0;
    append(q, id);
    return 0;
}

static int seen(const struct model *m, uint32_t id) {
    uint64_t h = freqsketch_hash(1, id);
    uint64_t line = h >> 20 & (freqsketch_lines(m->capacity) - 1);
    int least = 15;
    if (m->exact)
        return m->uses[id];
    for (uint64_t row = 0; row < 4; row++) {
        int count = m->counters[(line * 4 + row) * 32 + (h >> (5 * row)) % 32];
        least = count < least ? count : least;
    }
    return least;
}

static void see(struct model *m, uint32_t id) {
    uint64_t h = freqsketch_hash(1, id);
    uint64_t lines = freqsketch_lines(m->capacity);
    int least = seen(m, id);
    m->uses[id] += m->uses[id] < 15;
    for (uint64_t row = 0; row < 4; row++) {
        unsigned char *c = &m->counters[((h >> 20 & (lines - 1)) * 4 + row) * 32
                                        + (h >> (5 * row)) % 32];
        *c = (unsigned char)(*c + (!m->exact && *c == least && least < 15));
    }
    if (++m->added < (int)(m->part[2] * m->capacity))
        return;
    m->added /= 2;
    for (uint64_t i = 0; i < lines * 128; i++)
        m->counters[i] /= 2;
    for (int i = 0; i < MOST; i++)
        m->uses[i] /= 2;
}

static int wtinylfu(struct model *m, uint32_t id) {
    struct queue *window = &m->q[0];
    struct queue *probation = &m->q[1];
    struct queue *protected = &m->q[2];
    int window_most = part_of(m->part[0], m->capacity);
    window_most = window_most ? window_most : 1;
    int main_most = m->capacity - window_most;
    see(m, id);
    if (take_id(window, id)) {
        append(window, id);
        return 1;
    }
    if (promote(probation, protected, part_of(m->part[1], main_most), id))
        return 1;
    append(window, id);
    if (window->n <= window_most)
        return 0;
    uint32_t candidate = take_out(window, 0);
    if (probation->n + protected->n < main_most) {
        append(probation, candidate);
    } else if (main_most) {
        struct queue *loser = probation->n ? probation : protected;
        if (seen(m, candidate) > seen(m, loser->id[0])) {
            take_out(loser, 0);
            append(probation, candidate);
        }
    }
    return 0;
}

/* ---- policy against model ---------------------------------------------------------------- */

static const struct pair {
    const char *policy, *params;
    int (*touch)(struct model *m, uint32_t id);
    int queues;                 /* of the model that are the cache */
    double part[4];
    int costs;                  /* blocks cost differently */
} pairs[] = {
    {"lfu", NULL, lfu, 1, {0}, 0},
    {"slru", NULL, slru, 2, {0.8}, 0},
    {"slru", "protected=0.29", slru, 2, {0.29}, 0},
    {"slru", "protected=0", slru, 2, {0}, 0},
    {"slru", "protected=1", slru, 2, {1}, 0},
    {"2q", NULL, twoq, 2, {0.25, 0.5}, 0},
    {"2q", "in=0.6:out=2", twoq, 2, {0.6, 2}, 0},
    {"2q", "in=1:out=0", twoq, 2, {1, 0}, 0},
    {"arc", NULL, arc, 2, {0}, 0},
    {"s3-fifo", NULL, s3fifo, 2, {0.1, 0.9, 2, 0}, 0},
    {"s3-fifo", "small=0.5:ghost=0:move=1", s3fifo, 2, {0.5, 0, 1, 0}, 0},
    {"s3-fifo", "ghost=3:fill=1", s3fifo, 2, {0.1, 3, 2, 1}, 0},
    {"sieve", NULL, sieve, 1, {0}, 0},
    {"w-tinylfu", NULL, wtinylfu, 3, {0.01, 0.8, 10}, 0},
    {"w-tinylfu", "window=0.3:protected=0.5:sample=2", wtinylfu, 3, {0.3, 0.5, 2}, 0},
    {"w-tinylfu", "window=1", wtinylfu, 3, {1, 0.8, 10}, 0},
    {"gdsf", NULL, gdsf, 1, {0}, 0},
    {"gdsf", NULL, gdsf, 1, {0}, 1},
};
#define N_PAIRS (sizeof pairs / sizeof *pairs)

static const struct sim_ops *plain(const char *policy) {
    return sim_find(SIM_PLAIN, policy, strlen(policy));
}

static struct model *new_model(const struct pair *p, int capacity, const float *cost) {
    struct model *m = mem_alloc(sizeof *m);
    m->capacity = capacity;
    m->cost = cost;
    m->counters = mem_array(freqsketch_lines(capacity), 128);
    memcpy(m->part, p->part, sizeof m->part);
    return m;
}

static void free_model(struct model *m) {
    free(m->counters);
    free(m);
}

static int model_holds(const struct pair *p, const struct model *m, uint32_t id) {
    int found = 0;
    for (int i = 0; i < p->queues; i++)
        found |= find(&m->q[i], id) >= 0;
    return found;
}

static void model_request(const struct pair *p, struct model *m, const struct blocks *b,
                          int64_t r, uint32_t *hit, uint32_t *held) {
    *hit = *held = 0;
    for (int64_t i = b->first[r]; i < b->first[r + 1] && model_holds(p, m, b->id[i]); i++)
        ++*hit;
    for (int64_t i = b->first[r]; i < b->first[r + 1]; i++)
        *held += (uint32_t)p->touch(m, b->id[i]);
}

/* Runs both request by request. Returns how many requests, and blocks after them, differ. */
static int differences(const struct pair *p, const struct blocks *b, int capacity,
                       const float *cost) {
    struct err e = {""};
    struct model *m = new_model(p, capacity, cost);
    const struct sim_ops *ops = plain(p->policy);
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = capacity, .cost = cost,
                                                .params = p->params, .seed = 1}, &e);
    const struct sim_counts *n = ops->counts(sim);
    int bad = 0;
    int64_t inserted = 0;
    for (int64_t r = 0; r < b->requests; r++) {
        uint32_t hit, held, want_hit, want_held;
        int holding = 0;
        ops->run(sim, r, r + 1, &hit, &held);
        model_request(p, m, b, r, &want_hit, &want_held);
        bad += hit != want_hit || held != want_held;
        inserted += b->first[r + 1] - b->first[r] - held;
        if (r % 16 && r + 1 < b->requests)
            continue;
        for (uint32_t id = 0; id < b->unique; id++) {
            bad += ops->holds(sim, id) != model_holds(p, m, id);
            holding += ops->holds(sim, id);
        }
        bad += holding > capacity || n->inserted != inserted || n->evicted != inserted - holding;
    }
    ops->free(sim);
    free_model(m);
    return bad;
}

static void policy_is_its_model(const struct pair *p) {
    static const int capacities[] = {1, 2, 3, 4, 7, 10, 23, 64, 101, 5000};
    float *cost = mem_array(MOST, sizeof *cost);
    state = 5;
    for (int i = 0; i < MOST; i++)
        cost[i] = (float)(1 + below(8));
    for (int k = 0; k < KINDS; k++) {
        struct blocks *b = make_trace((enum kind)k, (uint64_t)k + 1, 40 + 40 * k, 250, 20);
        CHECK(b->unique < MOST && b->accesses > 1000);
        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)
            CHECK_INT(differences(p, b, capacities[c], p->costs ? cost : NULL), 0);
        blocks_free(b);
    }
    free(cost);
}

/* A sketch may err, but hardly changes how many accesses find their block. */
static void sketch_is_nearly_exact(void) {
    const struct pair *p = &pairs[13];
    CHECK_STR(p->policy, "w-tinylfu");
    for (int k = 0; k < KINDS; k++) {
        struct blocks *b = make_trace((enum kind)k, 11, 700, 1500, 20);
        int64_t held[2] = {0};
        CHECK(b->unique < MOST);
        for (int exact = 0; exact < 2; exact++) {
            struct model *m = new_model(p, 150, NULL);
            m->exact = exact;
            for (int64_t i = 0; i < b->accesses; i++)
                held[exact] += p->touch(m, b->id[i]);
            free_model(m);
        }
        CHECK_NEAR((double)held[0] / (double)b->accesses, (double)held[1] / (double)b->accesses,
                   0.01);
        blocks_free(b);
    }
}

/* ---- every policy ------------------------------------------------------------------------ */

struct outcome {
    uint32_t hit[2000], held[2000];     /* by request */
    int64_t held_blocks;        /* their sum */
    struct sim_counts counts;
};

/* Whole, or in pieces of up to `piece` requests. */
static void run_policy(const struct sim_ops *ops, const struct blocks *b, int64_t capacity,
                       int piece, struct outcome *out) {
    struct err e = {""};
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = capacity,
                                                .ttl_ns = 20000000000}, &e);
    memset(out, 0, sizeof *out);
    CHECK_STR(e.text, "");
    for (int64_t r = 0, n; r < b->requests; r += n) {
        n = piece ? below(piece) + 1 : b->requests;
        n = n < b->requests - r ? n : b->requests - r;
        ops->run(sim, r, r + n, &out->hit[r], &out->held[r]);
    }
    for (int64_t r = 0; r < b->requests; r++)
        out->held_blocks += out->held[r];
    out->counts = *ops->counts(sim);
    ops->free(sim);
}

static void every_policy_has_a_model(void) {
    static const char *const elsewhere[] = {"lru", "lru-tail", "fifo", "ttl", "belady"};
    for (const struct sim_ops *const *o = sim_list(SIM_PLAIN); *o; o++) {
        int known = 0;
        for (size_t i = 0; i < N_PAIRS; i++)
            known |= !strcmp(pairs[i].policy, (*o)->name);
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            known |= !strcmp(elsewhere[i], (*o)->name);
        CHECK(known);
        CHECK(plain((*o)->name) == *o);
        CHECK(*(*o)->words);
    }
}

static void unlimited_misses_are_the_unique_blocks(void) {
    struct outcome *out = mem_alloc(sizeof *out);
    for (int k = 0; k < KINDS; k++) {
        struct blocks *b = make_trace((enum kind)k, 3, 100, 300, 20);
        for (const struct sim_ops *const *o = sim_list(SIM_PLAIN); *o; o++) {
            for (int more = 0; more < 2 && strcmp((*o)->name, "ttl"); more++) {
                run_policy(*o, b, more ? INT64_MAX : b->unique, 0, out);
                CHECK_INT(b->accesses - out->held_blocks, b->unique);
                CHECK_INT(out->counts.inserted, b->unique);
                CHECK_INT(out->counts.evicted, 0);
            }
        }
        blocks_free(b);
    }
    free(out);
}

static void nobody_beats_belady(void) {
    struct outcome *best = mem_alloc(sizeof *best);
    struct outcome *out = mem_alloc(sizeof *out);
    for (int k = 0; k < KINDS; k++) {
        struct blocks *b = make_trace((enum kind)k, 4, 150, 600, 20);
        for (int64_t capacity = 1; capacity < 300; capacity += 1 + capacity / 2) {
            run_policy(plain("belady"), b, capacity, 0, best);
            for (const struct sim_ops *const *o = sim_list(SIM_PLAIN); *o; o++) {
                run_policy(*o, b, capacity, 0, out);
                CHECK(out->held_blocks <= best->held_blocks || !strcmp((*o)->name, "lru-tail"));
            }
        }
        blocks_free(b);
    }
    free(best);
    free(out);
}

static void pieces_are_the_whole(void) {
    struct outcome *whole = mem_alloc(sizeof *whole);
    struct outcome *pieces = mem_alloc(sizeof *pieces);
    struct blocks *b = make_trace(SESSIONS, 5, 100, 2000, 30);
    for (const struct sim_ops *const *o = sim_list(SIM_PLAIN); *o; o++) {
        run_policy(*o, b, 77, 0, whole);
        run_policy(*o, b, 77, 40, pieces);
        CHECK(!memcmp(whole, pieces, sizeof *whole));
    }
    blocks_free(b);
    free(whole);
    free(pieces);
}

static void nothing_to_do(void) {
    struct blocks *b = make_trace(ZIPF, 1, 10, 3, 0);
    struct outcome *out = mem_alloc(sizeof *out);
    CHECK_INT(b->unique, 0);
    for (const struct sim_ops *const *o = sim_list(SIM_PLAIN); *o; o++) {
        run_policy(*o, b, 5, 0, out);
        CHECK_INT(out->counts.inserted, 0);
    }
    blocks_free(b);
    free(out);
}

static void wrong_parameters_are_refused(void) {
    static const struct {
        const char *policy, *params, *says;
    } rows[] = {
        {"lfu", "protected=0.5", "'protected=0.5' is no parameter"},
        {"arc", "x=1", "'x=1' is no parameter"},
        {"sieve", "x", "'x' is no parameter"},
        {"gdsf", "cost=1", "'cost=1' is no parameter"},
        {"slru", "protected=1.5", "protected=1.5: expected a number from 0 to 1"},
        {"slru", "protected=", "protected=: expected a number"},
        {"slru", "protected", "'protected' is no parameter"},
        {"slru", "protected=nan", "protected=nan: expected a number"},
        {"2q", "in=-1", "in=-1: expected a number from 0 to 1"},
        {"2q", "in=0.1:kout=0.5", "'kout=0.5' is no parameter"},
        {"s3-fifo", "move=0", "move=0: expected a number from 1 to 3"},
        {"s3-fifo", "move=1.5", "whole numbers"},
        {"s3-fifo", "small=2:ghost=1", "small=2: expected a number from 0 to 1"},
        {"w-tinylfu", "sample=0", "sample=0: expected a number from 1"},
        {"w-tinylfu", "window=0.5x", "window=0.5x: expected a number from 0 to 1"},
    };
    struct blocks *b = make_trace(ZIPF, 1, 10, 10, 10);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = {""};
        struct sim_setup s = {.blocks = b, .capacity = 5, .params = rows[i].params};
        CHECK(!plain(rows[i].policy)->create(&s, &e));
        CHECK(!plain(rows[i].policy)->create(&s, NULL));
        CHECK(strstr(e.text, rows[i].says));
        if (!strstr(e.text, rows[i].says))
            printf("# '%s'\n", e.text);
    }
    blocks_free(b);
}

/* ---- counts of others -------------------------------------------------------------------- */

/* Misses of the flat block stream at 1,000, 10,000 and 50,000 blocks. lfu, 2q, arc, sieve and
 * s3-fifo with fill=1: libCacheSim 0.3.5 (PyPI) with its defaults. The other rows: models of a few
 * lines of Python with ordered dictionaries, written apart from this program. */
static void mooncake(void) {
    static const struct {
        const char *policy, *params;
        int misses[3];
    } rows[] = {
        {"lfu", NULL, {274629, 250487, 189311}},
        {"2q", NULL, {272886, 235162, 189738}},
        {"arc", NULL, {273225, 224295, 189444}},
        {"sieve", NULL, {274629, 250487, 189311}},
        {"s3-fifo", "fill=1", {272824, 232975, 205650}},
        {"s3-fifo", NULL, {272459, 232110, 187506}},
        {"slru", NULL, {274629, 250171, 189311}},
        {"w-tinylfu", NULL, {269985, 239199, 212588}},
        {"gdsf", NULL, {275616, 225870, 186146}},
    };
    struct err e = {""};
    FILE *f = fopen(MOONCAKE, "rb");
    if (!f)
        SKIP("no " MOONCAKE);
    fclose(f);
    struct blocks *b = blocks_load(MOONCAKE, &(struct reqs_options){0}, NULL, NULL, &e);
    CHECK_STR(e.text, "");
    if (!b)
        return;
    uint32_t *hit = mem_array((size_t)b->requests, sizeof *hit);
    uint32_t *held = mem_array((size_t)b->requests, sizeof *held);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int c = 0; c < 3; c++) {
            const struct sim_ops *ops = plain(rows[i].policy);
            int64_t misses = b->accesses;
            void *sim = ops->create(&(struct sim_setup){
                .blocks = b, .capacity = c == 0 ? 1000 : c == 1 ? 10000 : 50000,
                .params = rows[i].params, .seed = 1}, &e);
            ops->run(sim, 0, b->requests, hit, held);
            for (int64_t r = 0; r < b->requests; r++)
                misses -= held[r];
            CHECK_INT(misses, rows[i].misses[c]);
            ops->free(sim);
        }
    }
    free(hit);
    free(held);
    blocks_free(b);
}

int main(void) {
    for (size_t i = 0; i < N_PAIRS; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s %s is its model", pairs[i].policy,
                 pairs[i].costs ? "with costs" : pairs[i].params ? pairs[i].params : "by default");
        RUN_NAMED(name, policy_is_its_model(&pairs[i]));
    }
    RUN(sketch_is_nearly_exact);
    RUN(every_policy_has_a_model);
    RUN(unlimited_misses_are_the_unique_blocks);
    RUN(nobody_beats_belady);
    RUN(pieces_are_the_whole);
    RUN(nothing_to_do);
    RUN(wrong_parameters_are_refused);
    RUN(mooncake);
    return check_done();
}
