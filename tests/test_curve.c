/* test_curve.c - curves in one pass against caches that are run, one capacity after the other
 *
 * The traces are random: prefixes that are taken up again, ids that are not chained, blocks that
 * stand twice in a request, empty requests, lengths that are missing or do not fit. What the
 * curve says must hold exactly, also when it was put together from pieces. The real traces are
 * compared with the simulators where they are beside the project.
 */
#include "lib/cache/curve.h"

#include "lib/cache/counters.h"
#include "lib/cache/points.h"
#include "lib/cache/recency.h"
#include "lib/cache/shards.h"
#include "lib/cache/sim.h"
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

#define TRACES "../shared/data/traces/"

/* ---- traces ----------------------------------------------------------------------------- */

enum { LONGEST = 40, SIZE = 16 };

/* How the lengths of requests go with their blocks. */
enum lengths { ROUNDED_UP, ROUNDED_DOWN, MISSING, ANY, LENGTHS };

struct trace {
    struct req *q;              /* [n] */
    uint64_t *id;               /* [n * LONGEST] */
    int n;
    int64_t accesses, unique, tokens;
};

static int64_t length_of(enum lengths kind, int64_t blocks) {
    switch (kind) {
    case ROUNDED_UP: return blocks ? blocks * SIZE - below(SIZE) : 0;
    case ROUNDED_DOWN: return blocks * SIZE + below(SIZE);
    case ANY: return below(3) ? below(LONGEST * SIZE) : REQS_UNKNOWN;
    default: return REQS_UNKNOWN;
    }
}

/* pool 0: prefixes of earlier requests and new blocks; else any of `pool` ids. */
static struct trace make_trace(uint64_t seed, int n, int pool, enum lengths kind) {
    struct trace t = {mem_array((size_t)n, sizeof *t.q),
                      mem_array((size_t)n * LONGEST, sizeof *t.id), n, 0, 0, 0};
    int64_t now = 0;
    uint64_t fresh = 0;
    state = seed;
    for (int r = 0; r < n; r++) {
        uint64_t *id = t.id + (size_t)r * LONGEST;
        int from = r ? below(r) : 0;
        int keep = r && below(3) ? below((int)t.q[from].blocks + 1) : 0;
        int blocks = below(LONGEST + 1);
        for (int i = 0; i < blocks; i++)
            id[i] = pool ? (uint64_t)below(pool) * 0x9E3779B97F4A7C15u
                    : i < keep ? t.q[from].block[i]
                    : i && below(20) == 0 ? id[i - 1] : ++fresh << 40;
        now += below(4) ? below(2000) * (int64_t)1000000 : 0;
        t.q[r] = (struct req){.line = r + 1, .time_ns = now, .block = id, .blocks = blocks,
                              .input_tokens = length_of(kind, blocks)};
        t.accesses += blocks;
        t.tokens += t.q[r].input_tokens == REQS_UNKNOWN ? blocks * SIZE : t.q[r].input_tokens;
        for (int i = 0; i < blocks; i++) {
            const uint64_t *p = t.id;
            while (p < id + i && !(*p == id[i] && (p - t.id) % LONGEST <
                                   t.q[(p - t.id) / LONGEST].blocks))
                p++;
            t.unique += p == id + i;
        }
    }
    return t;
}

static void free_trace(struct trace *t) {
    free(t->q);
    free(t->id);
}

/* ---- caches that are run ---------------------------------------------------------------- */

struct hits {
    int64_t blocks, tokens;
};

static int64_t tokens_of(const struct req *q, int64_t blocks) {
    int64_t input = q->input_tokens == REQS_UNKNOWN ? q->blocks * SIZE : q->input_tokens;
    return blocks * SIZE < input ? blocks * SIZE : input;
}

struct lru {
    uint64_t *id;               /* [n] the latest first */
    int64_t *time_ns;
    int64_t n;
};

static int64_t find(const struct lru *c, uint64_t id) {
    int64_t i = 0;
    while (i < c->n && c->id[i] != id)
        i++;
    return i < c->n ? i : -1;
}

static void touch(struct lru *c, uint64_t id, int64_t time_ns) {
    int64_t i = find(c, id);
    if (i < 0)
        i = c->n++;
    memmove(c->id + 1, c->id, (size_t)i * sizeof *c->id);
    memmove(c->time_ns + 1, c->time_ns, (size_t)i * sizeof *c->time_ns);
    c->id[0] = id;
    c->time_ns[0] = time_ns;
}

/* limit: a capacity, or nanoseconds to live. */
static struct hits run_cache(const struct trace *t, enum curve_order order, int64_t limit) {
    size_t room = (size_t)t->accesses + 1;
    struct lru c = {mem_array(room, sizeof *c.id), mem_array(room, sizeof *c.time_ns), 0};
    struct hits hits = {0, 0};
    for (int r = 0; r < t->n; r++) {
        const struct req *q = &t->q[r];
        int64_t h = 0;
        for (; order == CURVE_TTL && c.n && q->time_ns - c.time_ns[c.n - 1] > limit; c.n--)
            ;
        while (h < q->blocks && find(&c, q->block[h]) >= 0)
            h++;
        for (int64_t i = 0; i < q->blocks; i++) {
            touch(&c, q->block[order == CURVE_TAIL ? q->blocks - 1 - i : i], q->time_ns);
            if (order == CURVE_LRU && c.n > limit)
                c.n = limit;
        }
        if (order == CURVE_TAIL && c.n > limit)
            c.n = limit;
        hits.blocks += h;
        hits.tokens += tokens_of(q, h);
    }
    free(c.id);
    free(c.time_ns);
    return hits;
}

/* ---- curves ----------------------------------------------------------------------------- */

static void add_requests(struct curve *c, const struct trace *t, int from, int to) {
    struct err err = {{0}};
    for (int r = from; r < to; r++)
        if (curve_add(c, &t->q[r], &err))
            break;
    CHECK_STR(err.text, "");
}

static struct curve *make_curve(const struct trace *t, enum curve_order order, int said) {
    struct err err = {{0}};
    struct curve *c = curve_new(&(struct curve_options){.order = order,
                                                        .block_tokens = said ? SIZE : 0});
    add_requests(c, t, 0, t->n);
    CHECK_INT(curve_finish(c, SIZE, &err), 0);
    CHECK_STR(err.text, "");
    return c;
}

static struct hits hits_at(const struct curve *c, uint64_t key) {
    struct curve_walk w = curve_walk(c);
    struct hits h = {0, 0};
    while (curve_step(&w) && w.key <= key)
        h = (struct hits){w.hit_blocks, w.hit_tokens};
    return h;
}

/* 1 when the two have the same steps and totals. */
static int same(const struct curve *a, const struct curve *b) {
    struct curve_walk x = curve_walk(a);
    struct curve_walk y = curve_walk(b);
    for (;;) {
        int more = curve_step(&x);
        if (more != curve_step(&y))
            return 0;
        if (!more)
            break;
        if (x.key != y.key || x.hit_blocks != y.hit_blocks || x.hit_tokens != y.hit_tokens)
            return 0;
    }
    return !memcmp(curve_totals(a), curve_totals(b), sizeof(struct curve_totals));
}

static void check_trace(const struct trace *t, enum curve_order order, int said) {
    struct curve *c = make_curve(t, order, said);
    CHECK_INT(curve_totals(c)->requests, t->n);
    CHECK_INT(curve_totals(c)->accesses, t->accesses);
    CHECK_INT(curve_totals(c)->unique, t->unique);
    CHECK_INT(curve_totals(c)->input_tokens, t->tokens);
    for (int i = 0; i < 25; i++) {
        int64_t limit = order == CURVE_TTL ? below(60) * (int64_t)500000000
                                           : i ? 1 + below((int)t->unique + 10) : 1;
        struct hits want = run_cache(t, order, limit);
        struct hits got = hits_at(c, (uint64_t)limit);
        CHECK_INT(got.blocks, want.blocks);
        CHECK_INT(got.tokens, want.tokens);
    }
    curve_free(c);
}

static void agrees(enum curve_order order) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        enum lengths kind = (enum lengths)(seed % LENGTHS);
        struct trace t = make_trace(seed, 60, seed % 3 ? 0 : 150, kind);
        check_trace(&t, order, kind == ANY);
        check_trace(&t, order, 1);
        free_trace(&t);
    }
}

/* A hit that ends at an idle gap of exactly the time to live is one; a nanosecond less is none. */
static void last_nanosecond(void) {
    static const uint64_t id[1] = {7};
    struct curve *c = curve_new(&(struct curve_options){.order = CURVE_TTL});
    struct err err;
    for (int i = 0; i < 2; i++)
        CHECK(!curve_add(c, &(struct req){.block = id, .blocks = 1, .time_ns = i * 1000,
                                          .input_tokens = REQS_UNKNOWN}, &err));
    CHECK(!curve_finish(c, 0, &err));
    CHECK_INT(hits_at(c, 999).blocks, 0);
    CHECK_INT(hits_at(c, 1000).blocks, 1);
    CHECK_INT(hits_at(c, 1000).tokens, 1);          /* no lengths: a block is the unit */
    curve_free(c);
}

static void infinite_misses_unique(void) {
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct trace t = make_trace(seed, 100, 0, ROUNDED_UP);
        struct curve *c = make_curve(&t, CURVE_LRU, 0);
        struct curve_walk w = curve_walk(c);
        while (curve_step(&w))
            CHECK(w.key <= (uint64_t)t.unique);
        /* Chained ids: a block that was seen had its prefix seen. */
        CHECK_INT(t.accesses - w.hit_blocks >= t.unique, 1);
        curve_free(c);
        struct curve *one = curve_new(&(struct curve_options){0});
        struct err err;
        for (int i = 0; i < 1000; i++) {
            uint64_t id = (uint64_t)below(300);
            CHECK(!curve_add(one, &(struct req){.block = &id, .blocks = 1,
                                                .input_tokens = REQS_UNKNOWN}, &err));
        }
        CHECK(!curve_finish(one, 0, &err));
        w = curve_walk(one);
        while (curve_step(&w))
            ;
        CHECK_INT(1000 - w.hit_blocks, curve_totals(one)->unique);
        curve_free(one);
        free_trace(&t);
    }
}

/* ---- what is refused -------------------------------------------------------------------- */

static void says_what_lacks(void) {
    static const uint64_t id[4] = {1, 2, 3, 4};
    struct err err = {{0}};
    struct curve *c = curve_new(&(struct curve_options){0});
    CHECK_INT(curve_add(c, &(struct req){.line = 5, .blocks = REQS_UNKNOWN}, &err), -1);
    CHECK(strstr(err.text, "from lengths"));
    CHECK(!curve_add(c, &(struct req){.block = id, .blocks = 4, .input_tokens = 50}, &err));
    CHECK_INT(curve_finish(c, 0, &err), -1);
    CHECK(strstr(err.text, "--block-tokens") != NULL);
    CHECK_INT(curve_finish(c, 20, &err), -1);       /* 60 tokens are before the last block */
    CHECK(strstr(err.text, "do not agree") != NULL);
    CHECK_INT(curve_finish(c, 13, &err), 0);
    curve_free(c);
    c = curve_new(&(struct curve_options){.order = CURVE_TTL});
    CHECK(!curve_add(c, &(struct req){.block = id, .blocks = 4, .input_tokens = REQS_UNKNOWN,
                                      .time_ns = REQS_UNKNOWN}, &err));
    CHECK_INT(curve_finish(c, 0, &err), -1);
    CHECK(strstr(err.text, "timestamp") != NULL);
    curve_free(c);
}

/* ---- pieces ----------------------------------------------------------------------------- */

static char *piece_path(int i) {
    char name[32];
    snprintf(name, sizeof name, i % 2 ? "piece%d" : "piece%d.zst", i);
    return scratch_path(name);
}

static void save_piece(const struct trace *t, enum curve_order order, int said, int from, int to,
                       int i) {
    struct err err = {{0}};
    char *path = piece_path(i);
    struct curve_options opt = {.order = order, .block_tokens = said ? SIZE : 0,
                                .save = zio_open_write(path, &err)};
    struct curve *c = curve_new(&opt);
    add_requests(c, t, from, to);
    CHECK_INT(curve_finish(c, SIZE, &err), 0);
    CHECK_INT(zio_close(opt.save, &err), 0);
    CHECK_STR(err.text, "");
    curve_free(c);
    free(path);
}

/* Pieces [from, to) into a new curve, which is itself saved when into is not negative. */
static struct curve *merge_pieces(enum curve_order order, int said, int from, int to, int into) {
    struct err err = {{0}};
    char *path = piece_path(into < 0 ? 0 : into);
    struct curve_options opt = {.order = order, .block_tokens = said ? SIZE : 0};
    if (into >= 0)
        opt.save = zio_open_write(path, &err);
    free(path);
    struct curve *c = curve_new(&opt);
    for (int i = from; i < to; i++) {
        path = piece_path(i);
        CHECK_INT(curve_merge(c, path, &err), 0);
        CHECK_STR(err.text, "");
        free(path);
    }
    CHECK_INT(curve_finish(c, 0, &err), 0);
    CHECK_STR(err.text, "");
    if (opt.save)
        CHECK_INT(zio_close(opt.save, &err), 0);
    return c;
}

static void check_pieces(const struct trace *t, enum curve_order order, int said) {
    enum { PIECES = 5 };
    struct curve *whole = make_curve(t, order, said);
    int from = 0;
    for (int i = 0; i < PIECES; i++) {
        int to = i == PIECES - 1 ? t->n : from + below(t->n - from + 1);
        save_piece(t, order, said, from, to, i);
        from = to;
    }
    struct curve *all = merge_pieces(order, said, 0, PIECES, -1);
    CHECK(same(whole, all));
    curve_free(all);
    /* The middle ones first, then all: merging is associative. */
    curve_free(merge_pieces(order, said, 1, 4, 11));
    char *first = piece_path(0);
    char *tenth = piece_path(10);
    CHECK(!rename(first, tenth));
    free(first);
    first = piece_path(12);
    char *last = piece_path(PIECES - 1);
    CHECK(!rename(last, first));
    all = merge_pieces(order, said, 10, 13, -1);
    CHECK(same(whole, all));
    curve_free(all);
    free(first);
    free(last);
    free(tenth);
    curve_free(whole);
}

static void pieces_make_the_whole(enum curve_order order) {
    for (uint64_t seed = 1; seed <= 24; seed++) {
        enum lengths kind = (enum lengths)(seed % LENGTHS);
        struct trace t = make_trace(seed, 80, seed % 3 ? 0 : 150, kind);
        check_pieces(&t, order, kind == ANY || seed % 2);
        free_trace(&t);
    }
}

static void independent_caches_add_up(void) {
    struct trace a = make_trace(1, 50, 0, ROUNDED_UP);
    struct trace b = make_trace(2, 90, 0, ROUNDED_UP);
    struct err err = {{0}};
    save_piece(&a, CURVE_LRU, 0, 0, a.n, 1);
    save_piece(&b, CURVE_LRU, 0, 0, b.n, 2);
    struct curve *x = make_curve(&a, CURVE_LRU, 0);
    struct curve *y = make_curve(&b, CURVE_LRU, 0);
    struct curve *sum = curve_new(&(struct curve_options){0});
    for (int i = 1; i <= 2; i++) {
        char *path = piece_path(i);
        CHECK_INT(curve_merge_independent(sum, path, &err), 0);
        free(path);
    }
    CHECK_INT(curve_finish(sum, 0, &err), 0);
    CHECK_INT(curve_totals(sum)->accesses, a.accesses + b.accesses);
    CHECK_INT(curve_totals(sum)->unique, a.unique > b.unique ? a.unique : b.unique);
    for (uint64_t c = 1; c < 300; c += 7) {
        CHECK_INT(hits_at(sum, c).blocks, hits_at(x, c).blocks + hits_at(y, c).blocks);
        CHECK_INT(hits_at(sum, c).tokens, hits_at(x, c).tokens + hits_at(y, c).tokens);
    }
    curve_free(x);
    curve_free(y);
    curve_free(sum);
    free_trace(&a);
    free_trace(&b);
}

static int merge_text(const char *text, size_t len, enum curve_order order, struct err *err) {
    char *path = scratch_path("text");
    struct curve *c = curve_new(&(struct curve_options){.order = order});
    scratch_write(path, text, len);
    int rc = curve_merge(c, path, err);
    if (!rc)
        rc = curve_finish(c, 0, err);
    curve_free(c);
    free(path);
    return rc;
}

static void bad_files_are_named(void) {
    static const char head[] = "llm-cache-curve 1 lru 0\n";
    static const struct {
        const char *body, *words;
    } bad[] = {
        {"", "the totals"},
        {"x 1\n", "text:2: expected a line that begins with r, u, h or t, found 'x 1'"},
        {"h 1 2 3\n", "text:2: expected another number, found 'the end of the line'"},
        {"h 1 2 3 4 5\n", "text:2: expected the end of the line"},
        {"h 99999999999 2 3 4\n", "text:2: expected another number"},
        {"h 1 18446744073709551616 3 4\n", "another number"},
        {"r 0 0 1 0 0 7*0\n", "NEED*COUNT"},
        {"r 0 0 1 0 0 7*999999999999\n", "NEED*COUNT"},
        {"r 0 0 1 0 0 -7\n", "a step"},
        {"u 1\n", "u ID TIME"},
        {"t 1 2 3\n", "another number"},
        {"t 0 0 0 0 0 0 0 1 9 9 0 0 0\nh 1 1 0 0\n", "text:3: expected nothing behind"},
    };
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("%s%s", head, bad[i].body);
        err.text[0] = '\0';
        CHECK_INT(merge_text(text, strlen(text), CURVE_LRU, &err), -1);
        if (!strstr(err.text, bad[i].words))
            printf("# '%s' does not say '%s'\n", err.text, bad[i].words);
        CHECK(strstr(err.text, bad[i].words) != NULL);
        free(text);
    }
    CHECK_INT(merge_text("{}\n", 3, CURVE_LRU, &err), -1);
    CHECK(strstr(err.text, "a file that curve --save wrote") != NULL);
    CHECK_INT(merge_text(head, strlen(head), CURVE_TTL, &err), -1);
    CHECK(strstr(err.text, "a curve of lru; this one is of ttl") != NULL);
}

static void pieces_in_the_wrong_order(void) {
    struct trace t = make_trace(3, 60, 0, ROUNDED_UP);
    struct err err = {{0}};
    char *path[2] = {piece_path(1), piece_path(2)};
    save_piece(&t, CURVE_TTL, 0, 0, 30, 2);
    save_piece(&t, CURVE_TTL, 0, 30, 60, 1);
    struct curve *c = curve_new(&(struct curve_options){.order = CURVE_TTL});
    CHECK_INT(curve_merge(c, path[0], &err), 0);
    CHECK_INT(curve_merge(c, path[1], &err), -1);
    CHECK(strstr(err.text, "in the order of the trace") != NULL);
    curve_free(c);
    free(path[0]);
    free(path[1]);
    free_trace(&t);
}

/* Any bytes end in a curve or in an error. */
static void damaged_files(void) {
    struct trace t = make_trace(4, 40, 0, ROUNDED_UP);
    char *path = piece_path(1);
    save_piece(&t, CURVE_LRU, 0, 0, t.n, 1);
    struct buf text = scratch_read(path);
    int refused = 0;
    for (int i = 0; i < 1500; i++) {
        char *copy = mem_alloc(text.len);
        struct err err;
        memcpy(copy, text.data, text.len);
        for (int k = below(3); k >= 0; k--)
            copy[below((int)text.len)] = "0123456789 *\nrhut"[below(17)];
        size_t len = below(4) ? text.len : (size_t)below((int)text.len);
        refused += merge_text(copy, len, CURVE_LRU, &err) != 0;
        free(copy);
    }
    CHECK(refused > 300);
    buf_free(&text);
    free(path);
    free_trace(&t);
}

/* ---- samples ---------------------------------------------------------------------------- */

static struct shards *make_shards(const struct trace *t, enum curve_order order, double rate,
                                  int64_t blocks, uint64_t seed) {
    struct err err = {{0}};
    struct shards *s = shards_new(&(struct curve_options){.order = order}, rate, blocks, seed);
    for (int r = 0; r < t->n; r++)
        CHECK_INT(shards_add(s, &t->q[r], &err), 0);
    CHECK_INT(shards_finish(s, SIZE, &err), 0);
    CHECK_STR(err.text, "");
    return s;
}

static struct shards_point sample_at(const struct shards *s, uint64_t key) {
    struct shards_walk *w = shards_walk(s);
    struct shards_point p = {0};
    struct shards_point at = {0};
    while (shards_step(w, &p) && p.key <= key)
        at = p;
    shards_walk_free(w);
    return at;
}

/* With every block in the sample the curve is exact, step by step. */
static void whole_sample(void) {
    for (int order = CURVE_LRU; order <= CURVE_TTL; order++) {
        struct trace t = make_trace(5, 100, 0, ROUNDED_UP);
        struct curve *c = make_curve(&t, (enum curve_order)order, 0);
        struct shards *s = make_shards(&t, (enum curve_order)order, 1, 0, 1);
        struct curve_walk w = curve_walk(c);
        CHECK_INT(shards_totals(s)->unique, t.unique);
        while (curve_step(&w)) {
            struct shards_point p = sample_at(s, w.key);
            CHECK_NEAR(p.block_hits, (double)w.hit_blocks, 1e-6);
            CHECK_NEAR(p.token_hits, (double)w.hit_tokens, 1e-6);
        }
        shards_free(s);
        curve_free(c);
        free_trace(&t);
    }
}

/* The interval holds the exact value about as often as it says. */
static void intervals_hold(void) {
    enum { SEEDS = 30 };
    struct trace t = make_trace(6, 4000, 0, ROUNDED_UP);
    static const int64_t at[] = {2000, 5000, 10000, 20000, 40000};
    int held = 0;
    double bias = 0;
    struct curve *c = make_curve(&t, CURVE_LRU, 0);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct shards *s = make_shards(&t, CURVE_LRU, 0.05, 0, seed);
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            double exact = (double)hits_at(c, (uint64_t)at[i]).blocks;
            struct shards_point p = sample_at(s, (uint64_t)at[i]);
            held += p.block_low <= exact && exact <= p.block_high;
            bias += (p.block_hits - exact) / (double)t.accesses;
            CHECK(p.block_low <= p.block_hits && p.block_hits <= p.block_high);
            CHECK((p.block_high - p.block_low) / (double)t.accesses < 0.2);
        }
        shards_free(s);
    }
    CHECK(held >= SEEDS * 5 * 85 / 100);
    CHECK_NEAR(bias / (SEEDS * 5), 0, 0.01);
    curve_free(c);
    free_trace(&t);
}

static void sample_stays_small(void) {
    struct trace t = make_trace(7, 3000, 0, ROUNDED_UP);
    struct curve *c = make_curve(&t, CURVE_LRU, 0);
    struct shards *s = make_shards(&t, CURVE_LRU, 1, 1000, 1);
    CHECK(shards_blocks(s) <= 1000 + 1000 / 16 + LONGEST);
    CHECK(shards_blocks(s) >= 800);
    CHECK(shards_rate(s) < 0.1);
    CHECK_NEAR((double)shards_totals(s)->unique / (double)t.unique, 1, 0.15);
    struct shards_point p = sample_at(s, 20000);
    double exact = (double)hits_at(c, 20000).blocks;
    CHECK(p.block_low <= exact && exact <= p.block_high);
    shards_free(s);
    curve_free(c);
    free_trace(&t);
}

/* ---- parts ------------------------------------------------------------------------------ */

/* Against a list; the axis fills up many times. */
static void depths(void) {
    enum { N = 700, USES = 60000 };
    struct recency *r = recency_new();
    uint32_t list[N];
    uint32_t order[N];
    uint32_t n = 0;
    state = 1;
    for (int i = 0; i < USES; i++) {
        uint32_t id = (uint32_t)below(below(2) ? N : 1 + i % N);
        uint32_t at = 0;
        recency_reserve(r, N, 1);
        while (at < n && list[at] != id)
            at++;
        CHECK_INT(recency_known(r, id), at < n);
        if (at < n)
            CHECK_INT(recency_depth(r, id), at);
        n += at == n;
        memmove(list + 1, list, at * sizeof *list);
        list[0] = id;
        recency_use(r, id);
    }
    recency_order(r, order);
    for (uint32_t i = 0; i < n; i++)
        CHECK_INT(order[i], list[n - 1 - i]);
    recency_free(r);
}

/* Deep trees: ids are used in turn, so that every depth is the same. */
static void great_depths(void) {
    enum { N = 300000 };
    struct recency *r = recency_new();
    for (int i = 0; i < 6 * N; i++) {
        uint32_t id = (uint32_t)(i % N);
        recency_reserve(r, id < r->count ? r->count : id + 1, 1);
        if (i >= N && (i % 997 == 0 || i < N + 500))
            CHECK_INT(recency_depth(r, id), N - 1);
        recency_use(r, id);
    }
    recency_free(r);
}

static void counts(void) {
    enum { N = 30000 };
    static uint64_t want[N];
    struct counters c = {0};
    uint64_t key = 0;
    state = 2;
    for (int i = 0; i < 200000; i++) {
        uint64_t k = (uint64_t)below(below(2) ? N : 50) / 3 * 3;
        uint64_t n = (uint64_t)1 << below(i % 100 ? 4 : 36);
        want[k] += n;
        counters_add(&c, k, n);
    }
    counters_settle(&c);
    for (uint64_t k = 0; k < N; k++) {
        if (want[k]) {
            CHECK_INT(counters_next(&c, &key), 1);
            CHECK_INT(key++, k);
        }
        CHECK_INT(counters_get(&c, k), want[k]);
    }
    CHECK_INT(counters_next(&c, &key), 0);
    counters_free(&c);
}

static void sums(void) {
    enum { N = 5000 };
    static double want[N];
    struct points p = {0};
    state = 3;
    for (int i = 0; i < 60000; i++) {
        uint64_t k = (uint64_t)below(N);
        want[k] += i;
        points_add(&p, &(struct point){.key = k << 40, .blocks = i, .short_tokens = 1});
    }
    points_sort(&p);
    for (size_t i = 0; i < p.n; i++) {
        CHECK(i == 0 || p.at[i].key > p.at[i - 1].key);
        CHECK_NEAR(p.at[i].blocks, want[p.at[i].key >> 40], 0);
    }
    CHECK_INT(p.n, N);
    points_free(&p);
}

/* ---- the real traces --------------------------------------------------------------------- */

static struct curve *curve_of(const struct blocks *b, enum curve_order order) {
    struct curve *c = curve_new(&(struct curve_options){.order = order,
                                                        .block_tokens = b->block_tokens});
    uint64_t *id = mem_array((size_t)b->longest + 1, sizeof *id);
    struct err err;
    for (int64_t r = 0; r < b->requests; r++) {
        struct req q = {.block = id, .blocks = b->first[r + 1] - b->first[r],
                        .input_tokens = b->input[r], .time_ns = b->time_ns ? b->time_ns[r] : 0};
        for (int64_t i = 0; i < q.blocks; i++)
            id[i] = b->id[b->first[r] + i];
        CHECK_INT(curve_add(c, &q, &err), 0);
    }
    CHECK_INT(curve_finish(c, 0, &err), 0);
    free(id);
    return c;
}

static struct hits simulate(const struct blocks *b, const char *policy, int64_t capacity,
                            int64_t ttl_ns) {
    const struct sim_ops *ops = sim_find(SIM_PLAIN, policy, strlen(policy));
    struct err err = {{0}};
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = capacity,
                                                .ttl_ns = ttl_ns}, &err);
    uint32_t *hit = mem_array((size_t)b->requests, sizeof *hit);
    uint32_t *held = mem_array((size_t)b->requests, sizeof *held);
    struct hits h = {0, 0};
    ops->run(sim, 0, b->requests, hit, held);
    for (int64_t r = 0; r < b->requests; r++) {
        int64_t tokens = (int64_t)hit[r] * b->block_tokens;
        h.blocks += hit[r];
        h.tokens += tokens < b->input[r] ? tokens : b->input[r];
    }
    ops->free(sim);
    free(hit);
    free(held);
    return h;
}

static void equals_replay(const char *path, int sizes) {
    struct err err = {{0}};
    struct blocks *b;
    if (!scratch_exists(path))
        SKIP("the trace is not beside the project");
    b = blocks_load(path, &(struct reqs_options){0}, NULL, NULL, &err);
    CHECK_STR(err.text, "");
    if (!b)
        return;
    static const char *const policy[] = {"lru", "lru-tail", "ttl"};
    state = 9;
    for (int order = CURVE_LRU; order <= CURVE_TTL; order++) {
        struct curve *c = curve_of(b, (enum curve_order)order);
        for (int i = 0; i < sizes; i++) {
            int64_t n = 1 + (int64_t)(next() % (i % 2 ? b->unique : 3000));
            int64_t ttl = n * 1000000;
            struct hits want = simulate(b, policy[order], order == CURVE_TTL ? b->unique : n, ttl);
            struct hits got = hits_at(c, (uint64_t)(order == CURVE_TTL ? ttl : n));
            CHECK_INT(got.blocks, want.blocks);
            CHECK_INT(got.tokens, want.tokens);
        }
        curve_free(c);
    }
    blocks_free(b);
}

/* Seeds and capacities are fixed, so this is no game of chance. */
static void intervals_hold_on(const char *path, enum curve_order order, double rate) {
    enum { SEEDS = 6, POINTS = 12 };
    struct err err = {{0}};
    struct reqs *r;
    struct req q;
    struct curve *c = curve_new(&(struct curve_options){.order = order});
    int held = 0;
    int tokens_held = 0;
    if (!scratch_exists(path)) {
        curve_free(c);
        SKIP("the trace is not beside the project");
    }
    struct shards *s[SEEDS];
    for (int i = 0; i < SEEDS; i++)
        s[i] = shards_new(&(struct curve_options){.order = order}, rate, 0, (uint64_t)i + 1);
    r = reqs_open(path, &(struct reqs_options){0}, &err);
    while (reqs_next(r, &q, &err) == 1) {
        CHECK_INT(curve_add(c, &q, &err), 0);
        for (int i = 0; i < SEEDS; i++)
            CHECK_INT(shards_add(s[i], &q, &err), 0);
    }
    CHECK_INT(curve_finish(c, reqs_block_tokens(r), &err), 0);
    for (int i = 0; i < SEEDS; i++) {
        CHECK_INT(shards_finish(s[i], reqs_block_tokens(r), &err), 0);
        for (int k = 1; k <= POINTS; k++) {
            uint64_t at = (uint64_t)curve_totals(c)->unique * (uint64_t)k / POINTS;
            struct hits exact = hits_at(c, at);
            struct shards_point p = sample_at(s[i], at);
            held += p.block_low <= (double)exact.blocks && (double)exact.blocks <= p.block_high;
            tokens_held += p.token_low <= (double)exact.tokens &&
                           (double)exact.tokens <= p.token_high;
        }
        shards_free(s[i]);
    }
    CHECK(held >= SEEDS * POINTS * 85 / 100);
    CHECK(tokens_held >= SEEDS * POINTS * 85 / 100);
    reqs_close(r);
    curve_free(c);
}

int main(void) {
    RUN(depths);
    RUN(great_depths);
    RUN(counts);
    RUN(sums);
    RUN_NAMED("plain LRU at any capacity", agrees(CURVE_LRU));
    RUN_NAMED("tail-first LRU at any capacity", agrees(CURVE_TAIL));
    RUN_NAMED("any time to live", agrees(CURVE_TTL));
    RUN(last_nanosecond);
    RUN(infinite_misses_unique);
    RUN(says_what_lacks);
    RUN_NAMED("pieces make the whole: plain LRU", pieces_make_the_whole(CURVE_LRU));
    RUN_NAMED("pieces make the whole: tail-first LRU", pieces_make_the_whole(CURVE_TAIL));
    RUN_NAMED("pieces make the whole: time to live", pieces_make_the_whole(CURVE_TTL));
    RUN(independent_caches_add_up);
    RUN(bad_files_are_named);
    RUN(pieces_in_the_wrong_order);
    RUN(damaged_files);
    RUN(whole_sample);
    RUN(intervals_hold);
    RUN(sample_stays_small);
    RUN_NAMED("replay of mooncake-conversation at 50 sizes",
              equals_replay(TRACES "mooncake-conversation.jsonl", 50));
    RUN_NAMED("replay of agentic24-blk64 at 6 sizes",
              equals_replay(TRACES "agentic24-blk64.jsonl.zst", 6));
    RUN_NAMED("sample: a tenth of mooncake-conversation",
              intervals_hold_on(TRACES "mooncake-conversation.jsonl", CURVE_LRU, 0.1));
    RUN_NAMED("sample: a fiftieth of agentic24-blk64",
              intervals_hold_on(TRACES "agentic24-blk64.jsonl.zst", CURVE_TAIL, 0.02));
    scratch_remove();
    return check_done();
}
