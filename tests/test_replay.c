/* test_replay.c - block numbers, what a replay counts, and the policies that replay.c's own room
 * brings, against models that are slow and obvious
 *
 * The published counts of the Mooncake conversation trace are checked where the trace is beside
 * the project.
 */
#include "lib/cache/replay.h"

#include <inttypes.h>
#include <unistd.h>

#include "lib/cache/idmap.h"
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

#define MOONCAKE "../shared/data/traces/mooncake-conversation.jsonl"

static struct blocks *load_text(const char *text, int block_tokens) {
    struct err e = {{0}};
    char *path = scratch_path("trace");
    scratch_write(path, text, strlen(text));
    struct blocks *b = blocks_load(path, &(struct reqs_options){.block_tokens = block_tokens},
                                   NULL, NULL, &e);
    if (!b)
        printf("# %s\n", e.text);
    free(path);
    return b;
}

/* Sessions that take up a prefix of an earlier request and go on with blocks of their own: ids
 * chained as real ones are, some of a block several times in a request. */
static struct blocks *random_trace(uint64_t seed, int requests, int longest) {
    struct buf text = {0};
    int (*past)[64] = mem_array((size_t)requests, sizeof *past);
    int *len = mem_array((size_t)requests, sizeof *len);
    int fresh = 0;
    int64_t now = 0;
    state = seed;
    for (int r = 0; r < requests; r++) {
        int from = r ? below(r) : 0;
        int keep = r && below(3) ? below(len[from] + 1) : 0;
        len[r] = below(longest + 1);
        keep = keep < len[r] ? keep : len[r];
        for (int i = 0; i < len[r]; i++)
            past[r][i] = i < keep ? past[from][i] : i && !below(20) ? past[r][i - 1] : fresh++;
        now += below(2000);
        buf_printf(&text, "{\"timestamp\": %" PRId64 ", \"input_length\": %d, \"output_length\": "
                   "%d, \"session_id\": \"s%d\", \"hash_ids\": [", now,
                   len[r] ? len[r] * 16 - below(16) : 0, below(40), r % 5);
        for (int i = 0; i < len[r]; i++)
            buf_printf(&text, "%s%d", i ? ", " : "", past[r][i]);
        buf_adds(&text, "]}\n");
    }
    free(past);
    free(len);
    struct blocks *b = load_text(text.data, 16);
    buf_free(&text);
    return b;
}

/* ---- numbers for ids -------------------------------------------------------------------- */

static void ids_become_dense(void) {
    enum { N = 200000 };
    static const uint64_t strides[] = {1, 1ull << 40, 0x9E3779B97F4A7C15u, 4096};
    uint64_t *id = mem_array(N, sizeof *id);
    uint32_t *dense = mem_array(N, sizeof *dense);
    for (size_t s = 0; s < sizeof strides / sizeof *strides; s++) {
        struct idmap *m = idmap_new();
        int wrong = 0;
        for (size_t i = 0; i < N; i++)          /* each id twice, the second time at once */
            id[i] = (uint64_t)(i / 2) * strides[s] + UINT64_MAX;
        for (size_t i = 0; i < N; i += 1000)
            CHECK_INT(idmap_add(m, id + i, 1000, dense + i), 0);
        for (size_t i = 0; i < N; i++)
            wrong += dense[i] != i / 2 || idmap_id(m, dense[i]) != id[i];
        CHECK_INT(wrong, 0);
        CHECK_INT(idmap_count(m), N / 2);
        CHECK_INT(idmap_add(m, id, N, dense), 0);
        CHECK_INT(idmap_count(m), N / 2);
        idmap_free(m);
    }
    free(id);
    free(dense);
}

static void trace_in_memory(void) {
    struct blocks *b = load_text(
        "{\"timestamp\":0,\"input_length\":30,\"output_length\":5,\"hash_ids\":[9,-1,"
        "\"18446744073709551614\"],\"session_id\":\"a\"}\n"
        "{\"timestamp\":10,\"input_length\":5,\"hash_ids\":[9]}\n"
        "{\"timestamp\":20,\"input_length\":0,\"hash_ids\":[]}\n"
        "{\"timestamp\":30,\"input_length\":25,\"hash_ids\":[9,7,7],\"session_id\":\"b\"}\n", 10);
    CHECK(b);
    if (!b)
        return;
    static const uint32_t id[] = {0, 1, 2, 0, 0, 3, 3};
    CHECK_INT(b->requests, 4);
    CHECK_INT(b->accesses, 7);
    CHECK_INT(b->unique, 4);
    CHECK(!memcmp(b->id, id, sizeof id));
    CHECK_INT(b->first[3], 4);
    CHECK_INT(b->first[4], 7);
    CHECK_INT(b->input_tokens, 60);
    CHECK_INT(b->output_tokens, 5);
    CHECK_INT(b->time_ns[3], 30000000);
    CHECK_INT(b->parent[0], BLOCKS_NONE);
    CHECK_INT(b->parent[2], 1);
    CHECK_INT(b->parent[3], 0);
    CHECK_INT(b->depth[3], 1);
    CHECK_INT(b->longest, 3);
    CHECK_INT(b->sessions, 2);
    CHECK_STR(b->session_name[1], "b");
    CHECK_INT(b->session[1], REQS_NO_SESSION);
    blocks_find_next(b);
    CHECK_INT(b->next[0], 3);
    CHECK_INT(b->next[5], 6);
    CHECK_INT(b->next[6], BLOCKS_NONE);
    blocks_free(b);
}

static void lengths_are_refused(void) {
    struct err e = {{0}};
    char *path = scratch_path("lengths");
    const char text[] = "{\"timestamp\":0,\"input_length\":30,\"output_length\":5}\n";
    scratch_write(path, text, sizeof text - 1);
    CHECK(!blocks_load(path, &(struct reqs_options){0}, NULL, NULL, &e));
    CHECK(strstr(e.text, ":1: a request without block ids"));
    free(path);
}

static void block_size_is_asked_for(void) {
    struct err e = {{0}};
    char *path = scratch_path("unclear");
    const char text[] = "{\"input_length\":1000,\"output_length\":5,\"hash_ids\":[1]}\n"
                        "{\"input_length\":10,\"output_length\":5,\"hash_ids\":[1,2,3,4,5]}\n";
    scratch_write(path, text, sizeof text - 1);
    CHECK(!blocks_load(path, &(struct reqs_options){0}, NULL, NULL, &e));
    CHECK(strstr(e.text, "--block-tokens"));
    free(path);
}

/* ---- models ----------------------------------------------------------------------------- */

/* A cache as a list from the first to leave to the last. */
struct model {
    uint32_t id[4096];
    int64_t time[4096];         /* of the latest use */
    int n;
};

static int find(const struct model *m, uint32_t id) {
    for (int i = 0; i < m->n; i++)
        if (m->id[i] == id)
            return i;
    return -1;
}

static void take_out(struct model *m, int i) {
    m->n--;
    memmove(&m->id[i], &m->id[i + 1], (size_t)(m->n - i) * sizeof *m->id);
    memmove(&m->time[i], &m->time[i + 1], (size_t)(m->n - i) * sizeof *m->time);
}

static void append(struct model *m, uint32_t id, int64_t time) {
    m->id[m->n] = id;
    m->time[m->n++] = time;
}

/* MIN: the first of those whose next use is farthest. */
static int farthest(const struct blocks *b, const struct model *m, int64_t now) {
    int worst = 0;
    int64_t worst_at = -1;
    for (int i = 0; i < m->n; i++) {
        int64_t at = now + 1;
        while (at < b->accesses && b->id[at] != m->id[i])
            at++;
        if (at > worst_at) {
            worst = i;
            worst_at = at;
        }
    }
    return worst;
}

enum which { LRU, TAIL, FIFO, TTL, BELADY };

static int access_block(const struct blocks *b, struct model *m, enum which w, int64_t cap,
                        int64_t now, int64_t time) {
    uint32_t id = b->id[now];
    int at = find(m, id);
    if (at >= 0 && w != FIFO && w != BELADY) {
        take_out(m, at);
        append(m, id, time);
    }
    if (at >= 0)
        return 1;
    if (w != TAIL && m->n == cap)
        take_out(m, w == BELADY ? farthest(b, m, now) : 0);
    append(m, id, time);
    return 0;
}

/* One request through a model: the prefix that hit, and the accesses that found their block. */
static void model_request(const struct blocks *b, struct model *m, enum which w, int64_t cap,
                          int64_t ttl_ns, int64_t r, uint32_t *hit, uint32_t *held) {
    int64_t time = b->time_ns[r];
    *hit = *held = 0;
    while (w == TTL && m->n && time - m->time[0] > ttl_ns)
        take_out(m, 0);
    for (int64_t i = b->first[r]; i < b->first[r + 1] && find(m, b->id[i]) >= 0; i++)
        ++*hit;
    for (int64_t k = b->first[r]; k < b->first[r + 1]; k++) {
        int64_t i = w == TAIL ? b->first[r] + b->first[r + 1] - 1 - k : k;
        *held += (uint32_t)access_block(b, m, w, cap, i, time);
    }
    while (w == TAIL && m->n > cap)
        take_out(m, 0);
}

static void policy_is_its_model(const char *name, enum which w) {
    static const int64_t capacities[] = {1, 2, 3, 7, 20, 64, 4000};
    const struct sim_ops *ops = sim_find(SIM_PLAIN, name, strlen(name));
    CHECK(ops);
    for (uint64_t seed = 1; ops && seed <= 4; seed++) {
        struct blocks *b = random_trace(seed, 120, seed == 4 ? 60 : 12);
        blocks_find_next(b);
        for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
            struct sim_setup s = {.blocks = b, .capacity = capacities[c], .ttl_ns = 7000000000};
            struct err e = {{0}};
            struct model *m = mem_alloc(sizeof *m);
            void *sim = ops->create(&s, &e);
            int64_t inserted = 0;
            for (int64_t r = 0; r < b->requests; r++) {
                uint32_t hit, held, want_hit, want_held;
                ops->run(sim, r, r + 1, &hit, &held);
                model_request(b, m, w, s.capacity, s.ttl_ns, r, &want_hit, &want_held);
                if (w == BELADY)        /* among equals the model may choose another */
                    want_hit = hit;
                CHECK_INT(hit, want_hit);
                CHECK_INT(held, want_held);
                inserted += b->first[r + 1] - b->first[r] - held;
            }
            int holding = 0;
            for (uint32_t id = 0; id < b->unique; id++) {
                holding += ops->holds(sim, id);
                if (w != BELADY)
                    CHECK_INT(ops->holds(sim, id), find(m, id) >= 0);
            }
            CHECK_INT(holding, m->n);
            CHECK_INT(ops->counts(sim)->inserted, inserted);
            CHECK_INT(ops->counts(sim)->evicted, inserted - holding);
            ops->free(sim);
            free(m);
        }
        blocks_free(b);
    }
}

/* ---- counting --------------------------------------------------------------------------- */

static struct replay_result *replay(struct blocks *b, const char *name, int64_t capacity,
                                    struct replay_options opt, int threads) {
    struct err e = {{0}};
    struct replay_job job = {sim_find(SIM_PLAIN, name, strlen(name)), {.capacity = capacity}};
    opt.par = par_new(threads);
    struct replay_result *res = replay_run(b, &job, 1, &opt, &e);
    if (!res)
        printf("# %s\n", e.text);
    par_free(opt.par);
    return res;
}

static void counts_of_a_small_trace(void) {
    /* Worked by hand: 10 tokens a block, 3 blocks of room. */
    struct blocks *b = load_text(
        "{\"timestamp\":0,\"input_length\":28,\"output_length\":1,\"hash_ids\":[1,2,3]}\n"
        "{\"timestamp\":1000,\"input_length\":25,\"output_length\":1,\"hash_ids\":[1,2,3]}\n"
        "{\"timestamp\":3000,\"input_length\":20,\"output_length\":1,\"hash_ids\":[8,9]}\n"
        "{\"timestamp\":9000,\"input_length\":20,\"output_length\":1,\"hash_ids\":[1,3]}\n", 10);
    struct replay_result *res = replay(b, "lru", 3, (struct replay_options){0}, 1);
    CHECK(res);
    if (!res)
        return;
    CHECK_INT(res->all.requests, 4);
    CHECK_INT(res->all.accesses, 10);
    CHECK_INT(res->all.hit_blocks, 3);          /* the second request; then 1 and 2 have gone */
    CHECK_INT(res->all.hit_tokens, 25);
    CHECK_INT(res->all.input_tokens, 93);
    /* 8 and 9 push out 1 and 2; 1 comes and pushes out 3, which comes back for 8. */
    CHECK_INT(res->all.held_blocks, 3);
    CHECK_INT(res->belady_blocks, 5);           /* 2, then 8 leave: 1 and 3 hit again */
    CHECK_INT(res->counts.inserted, 7);
    CHECK_INT(res->counts.evicted, 4);
    CHECK_INT(res->blocks_at_end, 3);
    CHECK_INT(res->orphans_at_end, 2);          /* 9 without 8, 3 without its first parent 2 */
    /* Lives: 1 and 2 from 0 s to 3 s (bucket 12: 2048 to 4095 ms), 3 and 8 to 9 s (14, 13). */
    CHECK_INT(replay_lives(&res->counts, 12), 2);
    CHECK_INT(replay_lives(&res->counts, 13), 1);
    CHECK_INT(replay_lives(&res->counts, 14), 1);
    /* 3000 ms is in [2944, 3072): a half of the evicted is at its upper end. */
    CHECK_INT(res->counts.life[sim_life(3000)], 2);
    CHECK_NEAR(replay_life_quantile(&res->counts, 0.5), 3072, 0);
    CHECK_NEAR(replay_life_quantile(&res->counts, 0.25), 3008, 0);
    replay_free(res, 1);
    blocks_free(b);
}

/* Exact up to 15; from there on a bucket is a sixteenth of an octave. */
static void lives_have_buckets(void) {
    for (int64_t life = 0; life < 16; life++)
        CHECK_INT(sim_life(life), life);
    for (int i = 16; i < SIM_LIVES; i++) {
        int64_t from = (int64_t)(16 + i % 16) << (i / 16 - 1);
        CHECK_INT(sim_life(from), i);
        CHECK_INT(sim_life(from - 1), i - 1);
    }
    CHECK_INT(sim_life(INT64_MAX), SIM_LIVES - 1);
    struct sim_counts c = {.evicted = 1000};
    for (int64_t life = 1; life <= 1000; life++)
        c.life[sim_life(life * 177)]++;
    for (int k = 1; k < 10; k++)
        CHECK_NEAR(replay_life_quantile(&c, k / 10.0) / (17700.0 * k), 1, 1 / 16.0);
    int64_t all = 0;
    for (int part = 0; part < REPLAY_LIFE_PARTS; part++)
        all += replay_lives(&c, part);
    CHECK_INT(all, 1000);
}

static void add(struct replay_tally *sum, const struct replay_tally *t) {
    sum->requests += t->requests;
    sum->accesses += t->accesses;
    sum->hit_blocks += t->hit_blocks;
    sum->hit_tokens += t->hit_tokens;
}

static void parts_are_the_whole(void) {
    static const enum replay_by by[] = {REPLAY_SESSION, REPLAY_TIME, REPLAY_POSITION};
    struct blocks *b = random_trace(7, 400, 20);
    for (size_t i = 0; i < sizeof by / sizeof *by; i++) {
        struct replay_options opt = {.by = by[i], .window_ns = 20000000000, .warmup = 37};
        struct replay_result *res = replay(b, "lru", 50, opt, 2);
        struct replay_tally sum = {0};
        CHECK(res && res->parts > 1);
        for (int64_t k = 0; res && k < res->parts; k++)
            add(&sum, &res->part[k]);
        CHECK_INT(sum.accesses, res->all.accesses);
        CHECK_INT(sum.hit_blocks, res->all.hit_blocks);
        if (by[i] != REPLAY_POSITION) {
            CHECK_INT(sum.requests, res->all.requests);
            CHECK_INT(sum.hit_tokens, res->all.hit_tokens);
        }
        replay_free(res, 1);
    }
    blocks_free(b);
}

static void warmup_is_left_out(void) {
    struct blocks *b = random_trace(8, 6000, 20);
    struct replay_result *whole = replay(b, "fifo", 70, (struct replay_options){0}, 1);
    struct replay_result *rest = replay(b, "fifo", 70, (struct replay_options){.warmup = 4500}, 1);
    struct replay_result *none = replay(b, "fifo", 70, (struct replay_options){.warmup = 6000}, 1);
    CHECK_INT(rest->all.requests, 1500);
    CHECK(rest->all.hit_blocks > 0 && rest->all.hit_blocks < whole->all.hit_blocks);
    CHECK_INT(rest->counts.inserted, rest->all.accesses - rest->all.held_blocks);
    CHECK_INT(rest->blocks_at_end, whole->blocks_at_end);
    CHECK_INT(none->all.requests, 0);
    CHECK_INT(none->counts.evicted, 0);
    replay_free(whole, 1);
    replay_free(rest, 1);
    replay_free(none, 1);
    blocks_free(b);
}

static void threads_change_nothing(void) {
    struct blocks *b = random_trace(9, 3000, 30);
    struct replay_job jobs[12];
    struct err e = {{0}};
    struct replay_result *res[2];
    for (int i = 0; i < 12; i++)
        jobs[i] = (struct replay_job){sim_list(SIM_PLAIN)[i % 3], {.capacity = 10 + i * i * 7}};
    for (int t = 0; t < 2; t++) {
        struct replay_options opt = {.par = par_new(t ? 4 : 1)};
        res[t] = replay_run(b, jobs, 12, &opt, &e);
        par_free(opt.par);
    }
    for (int i = 0; i < 12; i++) {
        CHECK(!memcmp(&res[0][i].all, &res[1][i].all, sizeof res[0][i].all));
        CHECK(!memcmp(&res[0][i].counts, &res[1][i].counts, sizeof res[0][i].counts));
        CHECK_INT(res[0][i].orphans_at_end, res[1][i].orphans_at_end);
        CHECK(res[0][i].all.held_blocks <= res[0][i].belady_blocks);
    }
    replay_free(res[0], 12);
    replay_free(res[1], 12);
    blocks_free(b);
}

static void flops_are_the_shape_s(void) {
    struct err e = {{0}};
    struct shape *s = shape_find("layers=2,d_model=64,heads=4,kv_heads=2,d_ff=128,vocab=100", &e);
    struct blocks *b = random_trace(10, 300, 20);
    struct replay_result *res = replay(b, "lru", 5000, (struct replay_options){.shape = s}, 1);
    double want = 0;
    double most = 0;
    CHECK(s && res);
    for (int64_t r = 0; r < b->requests; r++) {
        want += shape_prefill_flops(s, 0, b->input[r]);
        double first = shape_prefill_flops(s, 0, b->input[r]);
        most = first > most ? first : most;
    }
    /* Within a block the sum is taken as linear. */
    CHECK_NEAR(res->all.flops / want, 1, 1e-3);
    CHECK(res->all.saved_flops > 0 && res->all.saved_flops < res->all.flops);
    replay_free(res, 1);
    blocks_free(b);
    shape_free(s);
}

/* ---- published counts ------------------------------------------------------------------- */

static void mooncake(void) {
    static const struct {
        const char *policy;
        int64_t capacity, hits, permille6;      /* token hit ratio x 10^4, 0: not published */
    } rows[] = {
        {"lru", 1000, 12831, 454}, {"lru", 10000, 60921, 2153}, {"lru", 30000, 93967, 3321},
        {"lru", 50000, 102290, 3615}, {"lru", 100000, 104924, 3708},
        {"lru-tail", 1000, 12847, 0}, {"lru-tail", 10000, 61046, 0}, {"lru-tail", 30000, 93978, 0},
        {"lru-tail", 50000, 102290, 0}, {"lru-tail", 100000, 104924, 0},
        {"fifo", 1000, 12509, 0}, {"fifo", 10000, 52351, 0}, {"fifo", 30000, 84936, 0},
        {"fifo", 50000, 96228, 0}, {"fifo", 100000, 102794, 0},
        {"belady", 1000, 54994, 0}, {"belady", 10000, 105710, 0},
        {"lru", 182790, 105710, 3736}};
    enum { N = sizeof rows / sizeof *rows };
    struct replay_job jobs[N];
    struct err e = {{0}};
    if (access(MOONCAKE, R_OK))
        SKIP("no " MOONCAKE);
    struct blocks *b = blocks_load(MOONCAKE, &(struct reqs_options){0}, NULL, NULL, &e);
    CHECK_STR(e.text, "");
    if (!b)
        return;
    CHECK_INT(b->requests, 12031);
    CHECK_INT(b->accesses, 288500);
    CHECK_INT(b->unique, 182790);
    CHECK_INT(b->input_tokens, 144793823);
    CHECK_INT(b->block_tokens, 512);
    for (int i = 0; i < N; i++)
        jobs[i] = (struct replay_job){sim_find(SIM_PLAIN, rows[i].policy, strlen(rows[i].policy)),
                                      {.capacity = rows[i].capacity}};
    struct replay_options opt = {.par = par_new(2)};
    struct replay_result *res = replay_run(b, jobs, N, &opt, &e);
    for (int i = 0; res && i < N; i++) {
        CHECK_INT(res[i].all.hit_blocks, rows[i].hits);
        double tokens = (double)res[i].all.hit_tokens / (double)res[i].all.input_tokens;
        if (rows[i].permille6)
            CHECK_NEAR(tokens, (double)rows[i].permille6 / 1e4, 0.00005);
    }
    replay_free(res, N);
    par_free(opt.par);
    blocks_free(b);
}

int main(void) {
    RUN(ids_become_dense);
    RUN(trace_in_memory);
    RUN(lengths_are_refused);
    RUN(block_size_is_asked_for);
    RUN_NAMED("lru is its model", policy_is_its_model("lru", LRU));
    RUN_NAMED("lru-tail is its model", policy_is_its_model("lru-tail", TAIL));
    RUN_NAMED("fifo is its model", policy_is_its_model("fifo", FIFO));
    RUN_NAMED("ttl is its model", policy_is_its_model("ttl", TTL));
    RUN_NAMED("belady is its model", policy_is_its_model("belady", BELADY));
    RUN(counts_of_a_small_trace);
    RUN(lives_have_buckets);
    RUN(parts_are_the_whole);
    RUN(warmup_is_left_out);
    RUN(threads_change_nothing);
    RUN(flops_are_the_shape_s);
    RUN(mooncake);
    scratch_remove();
    return check_done();
}
