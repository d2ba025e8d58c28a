/* test_tiers.c - tiers against single LRU caches, and against a model that is slow and obvious
 *
 * The identities of exclusive and of written-through tiers are exact: their hits are those of the
 * policies lru and lru-tail at other sizes. Everything else is compared with lists that are
 * searched and moved element by element, in the words of tiers.h.
 */
#include "lib/cache/tiers.h"

#include <math.h>

#include "lib/base/mem.h"
#include "lib/cache/sim.h"
#include "tests/check.h"

/* ---- traces ----------------------------------------------------------------------------- */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static struct blocks *new_blocks(int64_t requests, int64_t accesses, int block_tokens) {
    struct blocks *b = mem_alloc(sizeof *b);
    b->id = mem_array((size_t)accesses, sizeof *b->id);
    b->first = mem_array((size_t)requests + 1, sizeof *b->first);
    b->input = mem_array((size_t)requests, sizeof *b->input);
    b->block_tokens = block_tokens;
    return b;
}

static void free_blocks(struct blocks *b) {
    free(b->id);
    free(b->first);
    free(b->input);
    free(b);
}

static void add_request(struct blocks *b, const uint32_t *id, int64_t n, int64_t input) {
    memcpy(b->id + b->accesses, id, (size_t)n * sizeof *id);
    b->accesses += n;
    b->input[b->requests++] = input;
    b->first[b->requests] = b->accesses;
    b->longest = n > b->longest ? n : b->longest;
    for (int64_t i = 0; i < n; i++)
        b->unique = id[i] >= b->unique ? id[i] + 1 : b->unique;
}

/* Sessions that grow, some from a shared start; the last block of a request is not full. */
static struct blocks *sessions(uint64_t seed, int requests) {
    enum { SESSIONS = 12, LONGEST = 40, SHARED = 5 };
    static uint32_t line[SESSIONS][LONGEST];
    int length[SESSIONS] = {0};
    uint32_t next = SHARED;
    random_state = seed;
    struct blocks *b = new_blocks(requests, (int64_t)requests * LONGEST, 16);
    for (int r = 0; r < requests; r++) {
        int s = (int)random_below(SESSIONS);
        if (length[s] == 0 || length[s] > LONGEST - 6 || random_below(12) == 0) {
            length[s] = 0;
            for (uint32_t i = 0; s % 2 && i < SHARED; i++)
                line[s][length[s]++] = i;
        }
        for (uint32_t more = 1 + random_below(5); more; more--)
            line[s][length[s]++] = next++;
        add_request(b, line[s], length[s], length[s] * 16 - (int64_t)random_below(16));
    }
    return b;
}

/* Ids without any order, some twice in a request: nothing that a prefix tree would make. */
static struct blocks *noise(uint64_t seed, int requests, uint32_t ids) {
    uint32_t id[20];
    random_state = seed;
    struct blocks *b = new_blocks(requests, (int64_t)requests * 20, 16);
    for (int r = 0; r < requests; r++) {
        int n = 1 + (int)random_below(20);
        for (int i = 0; i < n; i++)
            id[i] = random_below(1 + random_below(ids));
        add_request(b, id, n, n * 16);
    }
    b->unique = ids;
    return b;
}

/* ---- one LRU cache ---------------------------------------------------------------------- */

static int64_t lru_hits(const struct blocks *b, const char *policy, int64_t capacity,
                        int64_t *tokens) {
    const struct sim_ops *ops = sim_find(SIM_PLAIN, policy, strlen(policy));
    struct err e = {{0}};
    int64_t blocks = 0;
    *tokens = 0;
    CHECK(ops);
    if (!ops)
        return 0;
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = capacity}, &e);
    uint32_t *hit = mem_array((size_t)b->requests, sizeof *hit);
    uint32_t *held = mem_array((size_t)b->requests, sizeof *held);
    ops->run(sim, 0, b->requests, hit, held);
    for (int64_t r = 0; r < b->requests; r++) {
        int64_t n = (int64_t)hit[r] * b->block_tokens;
        blocks += hit[r];
        *tokens += n < b->input[r] ? n : b->input[r];
    }
    ops->free(sim);
    free(hit);
    free(held);
    return blocks;
}

static struct tiers_result run(const struct tiers_setup *s) {
    struct tiers_result out;
    struct err e = {{0}};
    CHECK(tiers_run(s, NULL, NULL, &out, &e) == 0);
    return out;
}

static void same_hits(const struct blocks *b, const char *policy, int64_t capacity,
                      const struct tiers_counts *c) {
    int64_t tokens;
    CHECK_INT(c->prefix_blocks, lru_hits(b, policy, capacity, &tokens));
    CHECK_INT(c->prefix_tokens, tokens);
}

/* Tiers 0 to j are one LRU cache: of their sum when exclusive, of the largest when written
 * through (here the lower ones are larger). */
static void identities(const struct blocks *b, int64_t c0, int64_t c1, int64_t c2) {
    struct tiers_setup s = {.blocks = b, .tiers = 3, .write = TIERS_BACK, .exclusive = 1,
                            .tier = {{.capacity = c0}, {.capacity = c1}, {.capacity = c2}}};
    struct tiers_result r = run(&s);
    same_hits(b, "lru", c0, &r.tier[0]);
    same_hits(b, "lru", c0 + c1, &r.tier[1]);
    same_hits(b, "lru", c0 + c1 + c2, &r.tier[2]);
    CHECK_INT(r.tier[0].hit_blocks + r.tier[1].hit_blocks + r.tier[2].hit_blocks,
              r.tier[2].prefix_blocks);
    CHECK_INT(r.tier[0].hit_tokens + r.tier[1].hit_tokens + r.tier[2].hit_tokens,
              r.tier[2].prefix_tokens);
    s = (struct tiers_setup){.blocks = b, .tiers = 3, .write = TIERS_THROUGH,
                             .tier = {{.capacity = c0}, {.capacity = c0 + c1},
                                      {.capacity = c0 + c1 + c2}}};
    r = run(&s);
    same_hits(b, "lru", c0, &r.tier[0]);
    same_hits(b, "lru", c0 + c1, &r.tier[1]);
    same_hits(b, "lru", c0 + c1 + c2, &r.tier[2]);
}

static void identities_on_sessions(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct blocks *b = sessions(seed, 300);
        identities(b, 1 + random_below(60), 1 + random_below(60), 1 + random_below(200));
        free_blocks(b);
    }
}

static void identities_on_noise(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct blocks *b = noise(seed, 400, 150);
        identities(b, 1 + random_below(40), 1 + random_below(40), 1 + random_below(40));
        identities(b, 1, 1, 1);
        free_blocks(b);
    }
}

/* From the tail the same holds as long as no request is longer than the first tier, whose excess
 * lru-tail drops only when the request is done. */
static void identities_tail_first(void) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct blocks *b = sessions(seed, 300);
        int64_t c0 = 40 + random_below(40), c1 = 1 + random_below(60);
        struct tiers_setup s = {.blocks = b, .tiers = 2, .write = TIERS_BACK, .exclusive = 1,
                                .tail_first = 1, .tier = {{.capacity = c0}, {.capacity = c1}}};
        struct tiers_result r = run(&s);
        same_hits(b, "lru-tail", c0, &r.tier[0]);
        same_hits(b, "lru-tail", c0 + c1, &r.tier[1]);
        free_blocks(b);
    }
}

/* ---- the slow and obvious model --------------------------------------------------------- */

struct shelf {                  /* a tier: the most recent block first */
    uint32_t id[1024];
    int64_t n, capacity;
};

struct slow {
    const struct tiers_setup *s;
    struct shelf shelf[TIERS_MAX];
    int uses[4096];
    int64_t written[TIERS_MAX], evicted[TIERS_MAX], hit[TIERS_MAX], loads[TIERS_MAX];
    int64_t prefix[TIERS_MAX];
};

static int64_t place(const struct shelf *h, uint32_t id) {
    for (int64_t i = 0; i < h->n; i++)
        if (h->id[i] == id)
            return i;
    return -1;
}

static void take(struct shelf *h, uint32_t id) {
    int64_t at = place(h, id);
    memmove(h->id + at, h->id + at + 1, (size_t)(h->n - at - 1) * sizeof *h->id);
    h->n--;
}

static void lay(struct shelf *h, uint32_t id) {
    memmove(h->id + 1, h->id, (size_t)h->n * sizeof *h->id);
    h->id[0] = id;
    h->n++;
}

static int top(const struct slow *x, uint32_t id) {
    for (int j = 0; j < x->s->tiers; j++)
        if (place(&x->shelf[j], id) >= 0)
            return j;
    return -1;
}

static void store(struct slow *x, int j, uint32_t id) {
    struct shelf *h = &x->shelf[j];
    uint32_t victim = h->id[h->n ? h->n - 1 : 0];
    int full = h->n == h->capacity;
    if (full)
        take(h, victim);
    x->evicted[j] += full;
    lay(h, id);
    if (full && top(x, victim) < 0)
        x->uses[victim] = 0;
    if (full && x->s->write == TIERS_BACK && j + 1 < x->s->tiers &&
        place(&x->shelf[j + 1], victim) < 0) {
        x->written[j + 1]++;
        store(x, j + 1, victim);
    }
}

static void slow_use(struct slow *x, uint32_t id) {
    int was = top(x, id);
    int need = x->s->write == TIERS_THROUGH ? 1 : x->s->threshold;
    if (x->s->exclusive && was > 0)
        take(&x->shelf[was], id);
    for (int j = x->s->tiers - 1; j >= 0; j--)
        if (place(&x->shelf[j], id) >= 0) {
            take(&x->shelf[j], id);
            lay(&x->shelf[j], id);
        }
    if (place(&x->shelf[0], id) < 0)
        store(x, 0, id);
    x->uses[id]++;
    for (int j = 1; x->s->write != TIERS_BACK && x->uses[id] >= need && j < x->s->tiers; j++)
        if (place(&x->shelf[j], id) < 0) {
            x->written[j]++;
            store(x, j, id);
        }
}

static void slow_request(struct slow *x, const uint32_t *id, int64_t n) {
    int64_t hit = 0;
    int before = -1;
    for (; hit < n && top(x, id[hit]) >= 0; hit++) {
        int j = top(x, id[hit]);
        x->hit[j]++;
        x->loads[j] += j > 0 && j != before;
        before = j;
    }
    for (int j = 0; j < x->s->tiers; j++) {
        int64_t p = 0;
        while (p < hit && top(x, id[p]) <= j)
            p++;
        x->prefix[j] += p;
    }
    for (int64_t i = 0; i < hit; i++) {
        uint32_t own = id[x->s->tail_first ? hit - 1 - i : i];
        for (int j = 0; j < x->s->tiers; j++)
            if (place(&x->shelf[j], own) >= 0) {
                take(&x->shelf[j], own);
                lay(&x->shelf[j], own);
            }
    }
    for (int64_t i = 0; i < n; i++)
        slow_use(x, id[x->s->tail_first ? n - 1 - i : i]);
}

static void like_the_slow_one(const struct tiers_setup *s) {
    struct tiers_result r = run(s);
    struct slow *x = mem_alloc(sizeof *x);
    x->s = s;
    for (int j = 0; j < s->tiers; j++)
        x->shelf[j].capacity = s->tier[j].capacity;
    for (int64_t q = 0; q < s->blocks->requests; q++)
        slow_request(x, s->blocks->id + s->blocks->first[q],
                     s->blocks->first[q + 1] - s->blocks->first[q]);
    for (int j = 0; j < s->tiers; j++) {
        CHECK_INT(r.tier[j].hit_blocks, x->hit[j]);
        CHECK_INT(r.tier[j].loads, x->loads[j]);
        CHECK_INT(r.tier[j].prefix_blocks, x->prefix[j]);
        CHECK_INT(r.tier[j].written_blocks, x->written[j]);
        CHECK_INT(r.tier[j].evicted_blocks, x->evicted[j]);
    }
    CHECK_INT(r.accesses, s->blocks->accesses);
    free(x);
}

static void against_the_slow_one(enum tiers_write write, int exclusive, int tail_first) {
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct blocks *b = seed % 2 ? sessions(seed, 150) : noise(seed, 150, 120);
        struct tiers_setup s = {.blocks = b, .tiers = 1 + (int)(seed % 4), .write = write,
                                .exclusive = exclusive, .tail_first = tail_first,
                                .threshold = 1 + (int)random_below(3)};
        for (int j = 0; j < s.tiers; j++)
            s.tier[j].capacity = 1 + random_below(j ? 90 : 30);
        CHECK(b->unique <= 4096);
        like_the_slow_one(&s);
        free_blocks(b);
    }
}

/* ---- time ------------------------------------------------------------------------------- */

/* One layer: 2 KV heads of 4 elements, 16 bytes a token in 8 bits. */
static const char tiny[] = "layers=1,d_model=8,heads=2,dk=4,d_ff=16";

/* A request of four blocks, one of two others that push the first's head out of a tier of four,
 * and the first again: its two oldest blocks are loaded in one piece. */
static void times_by_hand(void) {
    struct err e = {{0}};
    struct shape *m = shape_find(tiny, &e);
    struct blocks *b = new_blocks(3, 10, 16);
    add_request(b, (uint32_t[]){0, 1, 2, 3}, 4, 60);
    add_request(b, (uint32_t[]){4, 5}, 2, 32);
    add_request(b, (uint32_t[]){0, 1, 2, 3}, 4, 60);
    struct tiers_setup s = {
        .blocks = b, .tiers = 2, .write = TIERS_BACK, .exclusive = 1,
        .tier = {{.capacity = 4}, {.capacity = 9, .read_bytes_per_s = 1000, .latency_s = .5}},
        .shape = m, .kv_bits = 8, .flops_per_s = 1e6};
    struct tiers_result r = run(&s);
    double first = shape_prefill_flops(m, 0, 60) / 1e6;
    double second = shape_prefill_flops(m, 0, 32) / 1e6;
    double load = .5 + 32 * 16 / 1000.0;
    CHECK_NEAR(shape_kv_bytes(m, 8), 16, 0);
    CHECK_NEAR(r.uncached_s, 2 * first + second, 1e-12);
    CHECK_INT(r.tier[0].hit_blocks, 2);
    CHECK_INT(r.tier[0].hit_tokens, 28);
    CHECK_INT(r.tier[1].hit_blocks, 2);
    CHECK_INT(r.tier[1].hit_tokens, 32);
    CHECK_INT(r.tier[1].loads, 1);
    CHECK_NEAR(r.tier[1].loaded_bytes, 512, 0);
    CHECK_NEAR(r.tier[1].load_s, load, 1e-12);
    CHECK_NEAR(r.tier[1].recompute_s, second, 1e-12);
    /* Alone the first tier hits nothing: the head of the request is gone. */
    CHECK_INT(r.tier[0].prefix_blocks, 0);
    CHECK_NEAR(r.tier[0].prefill_s, 2 * first + second, 1e-12);
    CHECK_INT(r.tier[1].prefix_tokens, 60);
    CHECK_NEAR(r.tier[1].prefill_s, first + second + load, 1e-12);
    /* 0 and 1 leave when 4 and 5 come, and these when they come back: 2 and 3 stay. */
    CHECK_INT(r.tier[1].written_blocks, 4);

    s.warmup = 2;
    struct tiers_result warm = run(&s);
    CHECK_INT(warm.requests, 1);
    CHECK_INT(warm.input_tokens, 60);
    CHECK_INT(warm.tier[1].hit_blocks, 2);
    CHECK_INT(warm.tier[1].written_blocks, 2);
    CHECK_NEAR(warm.tier[1].prefill_s, load, 1e-12);

    /* Beside each other: the last request has a fourth block less in any tier, so it computes. */
    s.warmup = 0;
    s.overlap = 1;
    b->input[2] = 90;
    double rest = (shape_prefill_flops(m, 0, 90) - shape_prefill_flops(m, 0, 64)) / 1e6;
    r = run(&s);
    CHECK_NEAR(r.tier[1].prefill_s, first + second + fmax(load, rest), 1e-12);
    free_blocks(b);
    shape_free(m);
}

/* What is reported for tiers 0 to j is what a run of these alone takes. */
static void fewer_tiers(enum tiers_write write, int exclusive) {
    struct err e = {{0}};
    struct shape *m = shape_find(tiny, &e);
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct blocks *b = sessions(seed, 200);
        struct tiers_setup s = {
            .blocks = b, .tiers = 3, .write = write, .exclusive = exclusive, .shape = m,
            .kv_bits = 16, .flops_per_s = 1e6,
            .tier = {{.capacity = 10 + random_below(30)},
                     {.capacity = 60, .read_bytes_per_s = 5e4, .latency_s = 1e-3},
                     {.capacity = 200, .read_bytes_per_s = 1e4, .latency_s = 1e-2}}};
        struct tiers_result all = run(&s);
        for (s.tiers = 1; s.tiers <= 3; s.tiers++) {
            struct tiers_result r = run(&s);
            int last = s.tiers - 1;
            CHECK_INT(r.tier[last].prefix_blocks, all.tier[last].prefix_blocks);
            CHECK_NEAR(r.tier[last].prefill_s, all.tier[last].prefill_s, 1e-9);
            CHECK(last == 0 || r.tier[last].prefill_s != r.tier[last - 1].prefill_s);
        }
        free_blocks(b);
    }
    shape_free(m);
}

/* Where a tier's load and the same tokens' computation meet, the first is the break-even. */
static void break_even(void) {
    struct err e = {{0}};
    struct shape *m = shape_find("llama-3.1-70b", &e);
    struct tiers_setup s = {.tiers = 3, .shape = m, .kv_bits = 16, .flops_per_s = 400e12,
                            .tier = {{0}, {.read_bytes_per_s = 50e9, .latency_s = 1e-3},
                                     {.read_bytes_per_s = 1e6}}};
    double n = tiers_break_even(&s, 1);
    CHECK(n >= 2 && n < 1e6);
    for (double at = n - 1; at <= n; at++) {
        double load = 1e-3 + at * 327680 / 50e9;
        double compute = shape_prefill_flops(m, 0, (int64_t)at) / 400e12;
        CHECK((load <= compute) == (at == n));
    }
    CHECK(isnan(tiers_break_even(&s, 0)));
    /* 2.7 tokens a second: computing is as slow only when attention alone takes that long. */
    n = tiers_break_even(&s, 2);
    CHECK_NEAR(n * n * 80 * 64 * 256 + n * 2 * 68.5e9, n * 327680 / 1e6 * 400e12,
               n * 327680 / 1e6 * 400e12 * .01);
    s.shape = NULL;
    CHECK(isnan(tiers_break_even(&s, 1)));
    shape_free(m);

    /* Windows in all layers: a token costs no more than a limit, and a slow tier never pays. */
    m = shape_find("mistral-7b-v0.1", &e);
    s.shape = m;
    CHECK(isnan(tiers_break_even(&s, 2)));
    shape_free(m);
}

/* ---- what makes no sense ---------------------------------------------------------------- */

static void refuses(struct tiers_setup s, const char *says) {
    struct tiers_result out;
    struct err e = {{0}};
    CHECK(tiers_run(&s, NULL, NULL, &out, &e) < 0);
    CHECK(strstr(e.text, says));
}

static int cancel(void *arg, int64_t requests) {
    (void)requests;
    return ++*(int *)arg > 1;
}

static void bad_setups(void) {
    struct blocks *b = noise(1, 5000, 50);
    struct err e = {{0}};
    struct shape *m = shape_find(tiny, &e);
    refuses((struct tiers_setup){.blocks = b}, "expected 1 to 8 tiers, found 0");
    refuses((struct tiers_setup){.blocks = b, .tiers = 9}, "found 9");
    refuses((struct tiers_setup){.blocks = b, .tiers = 1}, "tier 0: expected at least one block");
    refuses((struct tiers_setup){.blocks = b, .tiers = 1, .exclusive = 1,
                                 .tier = {{.capacity = 1}}}, "written back");
    refuses((struct tiers_setup){.blocks = b, .tiers = 1, .write = TIERS_SELECTIVE,
                                 .tier = {{.capacity = 1}}}, "threshold of 1 to 255");
    refuses((struct tiers_setup){.blocks = b, .tiers = 1, .shape = m,
                                 .tier = {{.capacity = 1}}}, "FLOP/s above 0");
    refuses((struct tiers_setup){.blocks = b, .tiers = 2, .shape = m, .flops_per_s = 1,
                                 .tier = {{.capacity = 1}, {.capacity = 1}}},
            "tier 1: expected a bandwidth");
    struct tiers_result out;
    int calls = 0;
    struct tiers_setup s = {.blocks = b, .tiers = 1, .tier = {{.capacity = 1}}};
    CHECK(tiers_run(&s, cancel, &calls, &out, &e) < 0 && calls == 2);
    CHECK_INT(out.requests, 4096);
    free_blocks(b);
    b = new_blocks(0, 0, 1);
    s.blocks = b;
    CHECK(tiers_run(&s, NULL, NULL, &out, &e) == 0 && out.requests == 0);
    free_blocks(b);
    shape_free(m);
}

int main(void) {
    RUN(identities_on_sessions);
    RUN(identities_on_noise);
    RUN(identities_tail_first);
    RUN_NAMED("through, as the slow one", against_the_slow_one(TIERS_THROUGH, 0, 0));
    RUN_NAMED("selective, as the slow one", against_the_slow_one(TIERS_SELECTIVE, 0, 0));
    RUN_NAMED("back, as the slow one", against_the_slow_one(TIERS_BACK, 0, 0));
    RUN_NAMED("back and exclusive, as the slow one", against_the_slow_one(TIERS_BACK, 1, 0));
    RUN_NAMED("tail first, as the slow one", against_the_slow_one(TIERS_SELECTIVE, 0, 1));
    RUN_NAMED("tail first and back, as the slow one", against_the_slow_one(TIERS_BACK, 0, 1));
    RUN(times_by_hand);
    RUN_NAMED("fewer tiers, through", fewer_tiers(TIERS_THROUGH, 0));
    RUN_NAMED("fewer tiers, exclusive", fewer_tiers(TIERS_BACK, 1));
    RUN(break_even);
    RUN(bad_setups);
    return check_done();
}
