/* test_offload.c - lib/route/offload: beside a simulator that is written down as plainly as can be,
 * the best of all possible evictions, and times done by hand
 */
#include "lib/route/offload.h"

#include "lib/base/mem.h"
#include "tests/check.h"
#include "tests/offload_plain.h"
#include "tests/random.h"

#define CASES 400

/* ---- traces ------------------------------------------------------------------------------- */

static struct routed_set *new_set(int layers, int experts, int k, int64_t tokens) {
    struct routed_set *s = mem_alloc(sizeof *s);
    size_t n = (size_t)tokens;
    s->model = (struct routed_model){.layers = layers, .experts = experts, .k = k};
    s->model.layer_index = mem_array((size_t)layers, sizeof *s->model.layer_index);
    s->model.expert_bytes = mem_array((size_t)layers, sizeof *s->model.expert_bytes);
    s->model.dense_bytes = mem_array((size_t)layers, sizeof *s->model.dense_bytes);
    for (int l = 0; l < layers; l++) {
        s->model.layer_index[l] = l;
        s->model.expert_bytes[l] = 1;
    }
    s->tokens = tokens;
    s->expert = mem_array(n * (size_t)layers * (size_t)k, sizeof *s->expert);
    s->pass = mem_array(n + 1, sizeof *s->pass);
    s->request = mem_array(n, sizeof *s->request);
    s->step = mem_array(n, sizeof *s->step);
    s->position = mem_array(n, sizeof *s->position);
    s->phase = mem_array(n, 1);
    s->accepted = mem_array(n, 1);
    memset(s->accepted, 1, n);
    return s;
}

/* A pass for each token, all decoding. */
static void single_passes(struct routed_set *s) {
    s->passes = s->tokens;
    for (int64_t t = 0; t < s->tokens; t++) {
        s->pass[t + 1] = t + 1;
        s->phase[t] = TRACE_DECODE;
    }
}

/* Passes of some rows, some experts missing, skewed and repeated choices. */
static struct routed_set *random_set(void) {
    int layers = 1 + below(4);
    int experts = 1 + below(12);
    int k = 1 + below(3);
    int64_t tokens = 1 + below(60);
    struct routed_set *s = new_set(layers, experts, k, tokens);
    size_t n = (size_t)(tokens * layers * k);
    for (size_t i = 0; i < n; i++)
        s->expert[i] = (int16_t)(below(12) ? below(1 + below(experts)) : -1);
    for (int l = 0; l < layers; l++)
        s->model.expert_bytes[l] = 1 + below(4);
    int64_t to = 0;
    while (to < tokens) {
        int64_t rows = below(3) ? 1 : 1 + below(5);
        s->pass[s->passes++] = to;
        to = to + rows < tokens ? to + rows : tokens;
        s->pass[s->passes] = to;
        for (int64_t t = s->pass[s->passes - 1]; t < to; t++) {
            s->phase[t] = (uint8_t)(rows > 1 && below(2) ? TRACE_PREFILL : TRACE_DECODE);
            s->accepted[t] = (uint8_t)(below(5) != 0);
            s->request[t] = (uint32_t)(t & 1);
        }
    }
    return s;
}

/* ---- replays ------------------------------------------------------------------------------ */

static struct offload *make(const struct routed_set *s) {
    struct err e = {{0}};
    struct offload *o = offload_new(s, 0, &e);
    CHECK_STR(e.text, "");
    return o;
}

static struct offload_result run_one(const struct offload *o, const struct offload_job *job) {
    struct offload_result r;
    offload_run(o, job, &r, 1, &(struct offload_options){.seed = 1});
    return r;
}

static int same(const struct offload_result *a, const struct offload_result *b) {
    return a->lookups == b->lookups && a->hits == b->hits &&
           a->decode_lookups == b->decode_lookups && a->decode_hits == b->decode_hits &&
           a->loads == b->loads && a->evictions == b->evictions &&
           a->bytes_read == b->bytes_read && a->prefetched_bytes == b->prefetched_bytes &&
           a->useful_bytes == b->useful_bytes && a->peak_bytes == b->peak_bytes;
}

static void beside_plain(const char *policy) {
    state = 11;
    for (int i = 0; i < CASES; i++) {
        struct routed_set *s = random_set();
        struct offload *o = make(s);
        struct err e = {{0}};
        struct offload_guess_options g = {.how = (enum offload_guesser)below(4),
                                          .width = below(4), .ahead = below(4)};
        struct offload_guess *guess = below(2) ? offload_guess(o, &g, &e) : NULL;
        struct offload_job job = {.policy = offload_policy(policy), .per_layer = below(3) == 0,
                                  .budget = 1 + below((int)o->all_bytes + 2), .guess = guess};
        struct plain *x = mem_alloc(sizeof *x);
        x->s = s;
        x->policy = policy;
        x->per_layer = job.per_layer;
        job.param = !strcmp(policy, "lfu-decay") ? (below(2) ? 1 : 0.0625)
            : !strcmp(policy, "s3-fifo") ? 0.1 + 0.1 * below(5) : 0.1 + 0.1 * below(9);
        x->param = job.param;
        x->budget = (int64_t)job.budget / (job.per_layer ? o->layers : 1);
        if (job.budget >= (double)o->all_bytes)
            x->budget = o->all_bytes;
        x->guess = guess;
        plain_run(x, o);
        struct offload_result r = run_one(o, &job);
        CHECK(same(&r, &x->r));
        if (!same(&r, &x->r)) {
            printf("# case %d: hits %lld, plain %lld, of %lld\n", i, (long long)r.hits,
                   (long long)x->r.hits, (long long)r.lookups);
            i = CASES;
        }
        free(x);
        offload_guess_free(guess);
        offload_free(o);
        routed_set_free(s);
    }
}

/* ---- the bound ---------------------------------------------------------------------------- */

struct search {
    const struct offload *o;
    int budget;
    int best[64][1 << 6];       /* misses from a batch on with these ids there; -1: unknown */
};

static int least_misses(struct search *x, int64_t batch, int in) {
    if (batch == x->o->batches)
        return 0;
    if (x->best[batch][in] >= 0)
        return x->best[batch][in];
    int need = 0;
    int least = 1 << 20;
    for (int64_t i = x->o->first[batch]; i < x->o->first[batch + 1]; i++)
        need |= 1 << (x->o->layer[batch] * x->o->experts + x->o->expert[i]);
    int all = in | need;
    for (int keep = all;; keep = (keep - 1) & all) {
        int size = __builtin_popcount((unsigned)keep);
        if ((keep & need) == need && (size <= x->budget || keep == need)) {
            int misses = least_misses(x, batch + 1, keep);
            least = misses < least ? misses : least;
        }
        if (!keep)
            break;
    }
    return x->best[batch][in] = least + __builtin_popcount((unsigned)(need & ~in));
}

/* Equal sizes: belady misses as little as the best of all ways to evict, and no policy less. */
static void belady_is_the_least(void) {
    struct search *x = mem_alloc(sizeof *x);
    state = 5;
    for (int c = 0; c < 300; c++) {
        int layers = 1 + below(2);
        struct routed_set *s = new_set(layers, 6 / layers, 1 + below(2), 2 + below(11));
        for (int64_t i = 0; i < s->tokens * layers * s->model.k; i++)
            s->expert[i] = (int16_t)below(6 / layers);
        single_passes(s);
        x->o = make(s);
        x->budget = 1 + below(5);
        memset(x->best, -1, sizeof x->best);
        int64_t least = least_misses(x, 0, 0);
        for (const struct offload_policy *p = offload_policies(); p->name; p++) {
            struct offload_result r = run_one(x->o, &(struct offload_job){.policy = p,
                                                                          .budget = x->budget});
            CHECK(r.lookups - r.hits >= least);
            if (!strcmp(p->name, "belady"))
                CHECK_INT(r.lookups - r.hits, least);
        }
        offload_free((struct offload *)(uintptr_t)x->o);
        routed_set_free(s);
    }
    free(x);
}

/* Below a token's cycle lru hits nothing though every token is the same; at the cycle all. */
static void lru_cliff(void) {
    struct routed_set *s = new_set(10, 8, 2, 50);
    for (int64_t i = 0; i < s->tokens * 10; i++) {
        s->expert[2 * i] = 3;
        s->expert[2 * i + 1] = 5;
    }
    single_passes(s);
    struct offload *o = make(s);
    CHECK_INT(o->cycle_bytes, 20);
    CHECK_INT(o->pass_bytes, 20);
    struct offload_job job = {.policy = offload_policy("lru"), .budget = 18};
    CHECK_INT(run_one(o, &job).hits, 0);
    job.budget = 20;
    CHECK_INT(run_one(o, &job).hits, 49 * 20);
    job.budget = 18;
    job.policy = offload_policy("belady");
    CHECK(run_one(o, &job).hits > 49 * 15);
    offload_free(o);
    routed_set_free(s);
}

/* All policies are the same where all fits. */
static void no_limit(void) {
    state = 3;
    for (int c = 0; c < 50; c++) {
        struct routed_set *s = random_set();
        struct offload *o = make(s);
        int64_t distinct = 0;
        for (int id = 0; id < o->layers * o->experts; id++)
            distinct += o->first_use[id] != OFFLOAD_NEVER;
        for (const struct offload_policy *p = offload_policies(); p->name; p++)
            for (int per_layer = 0; per_layer < 2; per_layer++) {
                struct offload_result r = run_one(o, &(struct offload_job){
                    .policy = p, .per_layer = per_layer, .budget = INFINITY});
                CHECK_INT(r.lookups - r.hits, distinct);
                CHECK_INT(r.evictions, 0);
            }
        offload_free(o);
        routed_set_free(s);
    }
}

/* Scores are scaled down every 512 half-lives; that changes nothing. */
static void decay_for_long(void) {
    struct routed_set *s = new_set(2, 16, 2, 6000);
    state = 9;
    for (int64_t i = 0; i < s->tokens * 4; i++)
        s->expert[i] = (int16_t)below(1 + below(16));
    single_passes(s);
    struct offload *o = make(s);
    struct offload_job job = {.policy = offload_policy("lfu-decay"), .budget = 9};
    struct offload_job lru = {.policy = offload_policy("lru"), .budget = 9};
    struct offload_job lfu = {.policy = offload_policy("lfu"), .budget = 9};
    job.param = 0.01;           /* what is older than the last use is lost in rounding */
    CHECK_INT(run_one(o, &job).hits, run_one(o, &lru).hits);
    job.param = 1e9;
    CHECK(fabs((double)(run_one(o, &job).hits - run_one(o, &lfu).hits)) < 30);
    job.param = 8;
    CHECK(run_one(o, &job).hits > run_one(o, &lru).hits);
    offload_free(o);
    routed_set_free(s);
}

static void threads_and_warmup(void) {
    struct routed_set *s = new_set(3, 10, 2, 200);
    struct offload_job jobs[40];
    struct offload_result one[40];
    struct offload_result two[40];
    struct par *par = par_new(3);
    state = 21;
    for (int64_t i = 0; i < s->tokens * 6; i++)
        s->expert[i] = (int16_t)below(10);
    single_passes(s);
    struct offload *o = make(s);
    for (int i = 0; i < 40; i++)
        jobs[i] = (struct offload_job){.policy = &offload_policies()[i % 8],
                                       .budget = 1 + i / 8 * 6};
    offload_run(o, jobs, one, 40, &(struct offload_options){.seed = 1});
    offload_run(o, jobs, two, 40, &(struct offload_options){.seed = 1, .par = par});
    CHECK(!memcmp(one, two, sizeof one));
    offload_run(o, jobs, two, 40, &(struct offload_options){.seed = 1, .warmup = 50});
    CHECK_INT(two[0].decode_tokens, 150);
    CHECK(two[0].lookups < one[0].lookups);
    offload_run(o, jobs, two, 40, &(struct offload_options){.warmup = 1000});
    CHECK_INT(two[0].lookups, 0);
    par_free(par);
    offload_free(o);
    routed_set_free(s);
}

/* ---- guesses ------------------------------------------------------------------------------ */

static void check_guess(const struct offload *o, enum offload_guesser how, int width, int ahead,
                        const char *want) {
    struct err e = {{0}};
    struct buf b = {0};
    struct offload_guess *g = offload_guess(
        o, &(struct offload_guess_options){.how = how, .width = width, .ahead = ahead}, &e);
    for (int64_t i = 0; i < o->batches; i++) {
        for (int64_t j = g->first[i]; j < g->first[i + 1]; j++)
            buf_printf(&b, "%d", g->expert[j]);
        buf_adds(&b, "|");
    }
    CHECK_STR(b.data, want);
    buf_free(&b);
    offload_guess_free(g);
}

/* Two layers; a prefill of two rows, then four tokens. */
static void guesses(void) {
    static const int16_t expert[] = {0, 1, 4, 5, /**/ 0, 2, 4, 6,
                                     0, 1, 4, 5, 1, 2, 5, 6, 0, 2, 4, 6, 0, 1, 5, 4};
    struct routed_set *s = new_set(2, 7, 2, 6);
    memcpy(s->expert, expert, sizeof expert);
    s->passes = 5;
    for (int i = 1; i < 6; i++) {
        s->pass[i] = i + 1;
        s->phase[i + 0] = i < 2 ? TRACE_PREFILL : TRACE_DECODE;
    }
    struct offload *o = make(s);
    CHECK_INT(o->batches, 10);
    CHECK(!o->decode[0] && o->decode[1]);
    check_guess(o, OFFLOAD_PREVIOUS, 0, 1, "||02|46|01|45|12|56|02|46|");
    check_guess(o, OFFLOAD_PREVIOUS, 1, 2, "||0|4|0|4|1|5|0|4|");
    check_guess(o, OFFLOAD_PERFECT, 0, 1, "||01|45|12|56|02|46|01|54|");
    /* The prefill mentions 1, 0, 2 last in this order, once each: 1 is first among equals. Then 0
     * is the first with two, and 1 the first with three. */
    check_guess(o, OFFLOAD_STATIC, 1, 1, "||1|5|0|4|1|5|1|5|");
    check_guess(o, OFFLOAD_STATIC, 1, 2, "||1|5|0|4|1|5|1|5|");
    /* After the prefill 4 followed 0 twice of two, 1 once of one: 4 for {0, 1}. Behind it its last
     * row 4, 6 was followed by 0, 1: 0 for {4, 5}, and so on. */
    check_guess(o, OFFLOAD_FOLLOW, 1, 1, "|||4|0|4|1|4|0|4|");
    offload_free(o);
    routed_set_free(s);
}

/* 0 was followed by 4, 5 and 6 two times of three, 1 by 2 and 3 each time: for {0, 1} it is 2. */
static void follow_takes_shares(void) {
    static const int16_t expert[] = {0, 2, 4, 5, 0, 2, 4, 6, 0, 2, 5, 6, 1, 3, 2, 3, 0, 1, 4, 5};
    struct routed_set *s = new_set(2, 7, 2, 5);
    memcpy(s->expert, expert, sizeof expert);
    single_passes(s);
    struct offload *o = make(s);
    struct err e = {{0}};
    struct offload_guess *g = offload_guess(
        o, &(struct offload_guess_options){.how = OFFLOAD_FOLLOW, .width = 1}, &e);
    CHECK_INT(g->first[10] - g->first[9], 1);
    CHECK_INT(g->expert[g->first[9]], 2);
    offload_guess_free(g);
    offload_free(o);
    routed_set_free(s);
}

/* ---- time --------------------------------------------------------------------------------- */

static const double dense[] = {10, 20};

static struct offload_result timed(const struct offload *o, const struct offload_guess *g,
                                   double budget, int overlap) {
    struct offload_result r;
    struct offload_job job = {.policy = offload_policy("lru"), .budget = budget, .guess = g};
    offload_run(o, &job, &r, 1, &(struct offload_options){
        .compute_bytes_per_s = 10, .link_bytes_per_s = 2, .link_latency_s = 0.25,
        .dense_bytes = dense, .other_bytes = 5, .overlap = overlap});
    return r;
}

/* Two layers of experts of 4 bytes, two of them a token. */
static void times(void) {
    static const int16_t expert[] = {0, 1, 2, 3, 0, 2, 2, 3, 0, 1, 2, 1};
    struct routed_set *s = new_set(2, 4, 2, 3);
    struct err e = {{0}};
    memcpy(s->expert, expert, sizeof expert);
    s->model.expert_bytes[0] = s->model.expert_bytes[1] = 4;
    s->accepted[1] = 0;
    single_passes(s);
    struct offload *o = make(s);
    struct offload_result r = timed(o, NULL, INFINITY, 0);
    /* Each pass 0.5 + 1 + 2 + 2 x 0.8 s; loads of 2.25 s: 4, 1 and 1. */
    CHECK_NEAR(r.decode_s, 3 * 5.1 + 6 * 2.25, 1e-12);
    CHECK_NEAR(r.decode_load_s, 6 * 2.25, 1e-12);
    CHECK_NEAR(r.decode_stall_s, 6 * 2.25, 1e-12);
    CHECK_INT(r.decode_tokens, 2);
    /* One of each pair is there in the second pass's first layer, and in the third's second: 0.4 s
     * of arithmetic beside the load. */
    r = timed(o, NULL, INFINITY, 1);
    CHECK_NEAR(r.decode_s, 3 * 5.1 + 6 * 2.25 - 2 * 0.4, 1e-12);
    /* The second pass loads expert 2 of layer 0 while layer 1 of the first runs: its link is free
     * when layer 1's own two loads are, and then 2.25 s long, against 0.8 s of experts, 0.5 and 1 s
     * of the next pass: 2.3 s. Nothing waits for it. Layer 1 of the third pass: expert 1 loads from
     * the moment when layer 0 has its experts. */
    struct offload_guess *g = offload_guess(
        o, &(struct offload_guess_options){.how = OFFLOAD_PERFECT}, &e);
    r = timed(o, g, INFINITY, 0);
    CHECK_INT(r.hits, r.lookups - 2);
    CHECK_INT(r.useful_bytes, 16);
    CHECK_INT(r.bytes_read, 24);
    /* First pass: at 1.5 s the link takes 2 x 2.25 for layer 0 and 2 x 2.25 more for layer 1, which
     * wait from 6 + 0.8 + 2 = 8.8 until 10.5; stall 4.5 + 1.7. Second: none. Third, layer 1: asked
     * for after layer 0's dense part, 0.8 + 2 s before it is used. */
    CHECK_NEAR(r.decode_stall_s, 4.5 + 1.7, 1e-12);
    CHECK_NEAR(r.decode_s, 3 * 5.1 + 6.2, 1e-12);
    /* With overlap, first pass, layer 1: one expert is there at 8.8 and takes until 9.2, the other
     * comes at 10.5. The second pass's expert 2 is loaded after it, until 12.75, while expert 0
     * runs from 12.4 to 12.8. */
    r = timed(o, g, INFINITY, 1);
    CHECK_NEAR(r.decode_stall_s, 4.5 + 1.3, 1e-12);
    CHECK_NEAR(r.decode_s, 3 * 5.1 + 5.8, 1e-12);
    offload_guess_free(g);
    offload_free(o);
    routed_set_free(s);
}

/* ---- bad days ----------------------------------------------------------------------------- */

static void bad_days(void) {
    struct routed_set *s = new_set(1, 1, 1, 3);
    struct err e = {{0}};
    single_passes(s);
    struct offload *o = make(s);
    for (const struct offload_policy *p = offload_policies(); p->name; p++)
        CHECK_INT(run_one(o, &(struct offload_job){.policy = p, .budget = 1}).hits, 2);
    offload_free(o);
    s->model.expert_bytes[0] = 0;
    CHECK(!offload_new(s, 0, &e));
    CHECK_STR(e.text, "layer 0: the trace does not say how large an expert is");
    CHECK(!offload_new(s, 1e19, &e));
    CHECK_STR(e.text, "layer 0: experts of 10000000000000000000 bytes are too large to count");
    o = offload_new(s, 7, &e);
    CHECK(o && o->all_bytes == 7);
    offload_free(o);
    for (int i = 0; i < 3; i++)
        s->expert[i] = -1;
    o = offload_new(s, 7, &e);
    CHECK(o && !o->batches);
    CHECK_INT(run_one(o, &(struct offload_job){.policy = offload_policy("lru"), .budget = 1})
              .lookups, 0);
    offload_guess_free(offload_guess(o, &(struct offload_guess_options){.how = OFFLOAD_FOLLOW},
                                     &e));
    offload_free(o);
    s->tokens = s->passes = 0;
    o = offload_new(s, 7, &e);
    CHECK(o && !o->batches);
    offload_free(o);
    routed_set_free(s);
    s = new_set(2, 30000, 1, 1);
    single_passes(s);
    o = make(s);
    CHECK(!offload_guess(o, &(struct offload_guess_options){.how = OFFLOAD_FOLLOW}, &e));
    CHECK_STR(e.text, "2 layers of 30000 experts: too many for counts of what follows what");
    offload_free(o);
    routed_set_free(s);
}

int main(void) {
    RUN_NAMED("lru", beside_plain("lru"));
    RUN_NAMED("lfu", beside_plain("lfu"));
    RUN_NAMED("lfu-decay", beside_plain("lfu-decay"));
    RUN_NAMED("s3-fifo", beside_plain("s3-fifo"));
    RUN_NAMED("hot", beside_plain("hot"));
    RUN_NAMED("hot-oracle", beside_plain("hot-oracle"));
    RUN_NAMED("belady", beside_plain("belady"));
    RUN(belady_is_the_least);
    RUN(lru_cliff);
    RUN(no_limit);
    RUN(decay_for_long);
    RUN(threads_and_warmup);
    RUN(guesses);
    RUN(follow_takes_shares);
    RUN(times);
    RUN(bad_days);
    return check_done();
}
