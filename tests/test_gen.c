/* test_gen.c - synthetic traces: their statistics, their prefixes, their bytes
 *
 * Every bound on a sample is five standard errors of the statistic, so that a right generator
 * meets it for all but one seed in a million; the seeds are fixed.
 */
#include "lib/cache/gen.h"

#include "tests/check.h"

#define SIGMAS 5
#define TEXT_BYTES 589896
#define TEXT_HASH 0x470A46748EE55041u

struct sums {
    double n, x, xx;
};

static void sums_add(struct sums *s, double x) {
    s->n++;
    s->x += x;
    s->xx += x * x;
}

static double mean_of(const struct sums *s) {
    return s->x / s->n;
}

static double deviation_of(const struct sums *s) {
    return sqrt(s->xx / s->n - mean_of(s) * mean_of(s));
}

static void check_mean(const struct sums *s, double want) {
    CHECK_NEAR(mean_of(s), want, SIGMAS * deviation_of(s) / sqrt(s->n));
}

/* Room for everything: nothing of the model is cut off. */
static struct gen_options wide_options(int64_t sessions) {
    struct gen_options o = gen_defaults();
    o.sessions = sessions;
    o.context = (int64_t)1 << 40;
    o.spread = 0.5;
    return o;
}

static void sessions_have_mean_turns(void) {
    struct gen_options o = wide_options(20000);
    o.turns = 4;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    struct sums turns = {0};
    int64_t *last = mem_array(20000, sizeof *last);
    while (gen_next(g, &q)) {
        CHECK_INT(q.turn, last[q.session]);
        last[q.session]++;
    }
    for (int i = 0; i < 20000; i++)
        sums_add(&turns, (double)last[i]);
    check_mean(&turns, 4);
    /* Geometric: variance (1 - p) / p^2 for p = 1 / 4. */
    CHECK_NEAR(deviation_of(&turns), sqrt(12), 0.2);
    free(last);
    gen_free(g);
}

static void arrivals_are_poisson(void) {
    struct gen_options o = wide_options(50000);
    o.rate = 0.25;
    o.seed = 3;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    struct sums gap = {0};
    int64_t before = -1;
    int64_t session = 0;
    int64_t time = 0;
    while (gen_next(g, &q)) {
        CHECK(q.time_ms >= time);
        time = q.time_ms;
        if (q.turn > 0)
            continue;
        CHECK_INT(q.session, session++);
        if (before >= 0)
            sums_add(&gap, (double)(q.time_ms - before) / 1000);
        before = q.time_ms;
    }
    CHECK_INT(session, 50000);
    check_mean(&gap, 4);
    CHECK_NEAR(deviation_of(&gap), 4, 0.15);    /* of an exponential: its mean */
    gen_free(g);
}

static void lengths_and_pauses_are_log_normal(void) {
    struct gen_options o = wide_options(20000);
    o.user_tokens = 5000;
    o.output_tokens = 8000;
    o.think_s = 60;
    o.rate = 1e-6;
    o.turns = 3;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    struct sums user = {0};
    struct sums output = {0};
    struct sums pause = {0};
    struct sums log_output = {0};
    int64_t session = -1;
    int64_t held = 0;
    int64_t time = 0;
    while (gen_next(g, &q)) {       /* sessions are so rare that they do not overlap */
        if (q.session == session) {
            sums_add(&user, (double)(q.input_tokens - held));
            sums_add(&pause, (double)(q.time_ms - time) / 1000);
        }
        sums_add(&output, (double)q.output_tokens);
        sums_add(&log_output, log((double)q.output_tokens));
        session = q.session;
        held = q.input_tokens + q.output_tokens;
        time = q.time_ms;
    }
    check_mean(&user, 5000);
    check_mean(&output, 8000);
    check_mean(&pause, 60);
    check_mean(&log_output, log(8000) - 0.5 * 0.5 / 2);
    CHECK_NEAR(deviation_of(&log_output), 0.5, 0.01);
    gen_free(g);
}

/* Counts of the prompts against n k^-s / H: the k-th is binomial. */
static void system_prompts_follow_zipf(void) {
    enum { PROMPTS = 40, SESSIONS = 100000 };
    struct gen_options o = wide_options(SESSIONS);
    o.turns = 1;
    o.systems = PROMPTS;
    o.zipf = 1.2;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    double count[PROMPTS] = {0};
    while (gen_next(g, &q))
        count[q.system]++;
    double total = 0;
    for (int k = 1; k <= PROMPTS; k++)
        total += pow(k, -1.2);
    struct sums x = {0};
    struct sums y = {0};
    double xy = 0;
    for (int k = 1; k <= PROMPTS; k++) {
        double p = pow(k, -1.2) / total;
        CHECK_NEAR(count[k - 1], SESSIONS * p, SIGMAS * sqrt(SESSIONS * p * (1 - p)));
        sums_add(&x, log(k));
        sums_add(&y, log(count[k - 1]));
        xy += log(k) * log(count[k - 1]);
    }
    double slope = (xy / x.n - mean_of(&x) * mean_of(&y)) / (deviation_of(&x) * deviation_of(&x));
    CHECK_NEAR(slope, -1.2, 0.03);
    gen_free(g);
}

/* Without spread every number is known. */
static void constant_lengths_add_up(void) {
    struct gen_options o = wide_options(200);
    o.spread = 0;
    o.think_s = 2.5;
    o.block_tokens = 100;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    int64_t start[200];
    while (gen_next(g, &q)) {
        if (q.turn == 0)
            start[q.session] = q.time_ms;
        CHECK_INT(q.time_ms, start[q.session] + 2500 * q.turn);
        CHECK_INT(q.input_tokens, 1500 + 200 + 500 * q.turn);
        CHECK_INT(q.output_tokens, 300);
        CHECK_INT(q.blocks, 17 + 5 * q.turn);
    }
    gen_free(g);
}

/* What a block stands for, from where it first stood. Every id must mean one content wherever it
 * stands, and there must be as many ids as contents. */
struct content {
    int64_t owner;              /* session */
    int64_t end;                /* tokens up to its end */
    int64_t parent;             /* id before it; -1: none */
};

static void ids_stand_for_prefixes(void) {
    enum { MOST = 1 << 20 };
    struct gen_options o = gen_defaults();
    o.sessions = 2000;
    o.systems = 5;
    o.block_tokens = 128;
    o.seed = 9;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    struct content *of = mem_array(MOST, sizeof *of);
    int64_t system_blocks[5] = {0};     /* full ones, seen from what two sessions share */
    int64_t own_blocks[2000];           /* full ones of the last request */
    int64_t system_of[2000];
    uint64_t ids = 0;
    uint64_t contents = 0;
    int64_t shared = 0;
    while (gen_next(g, &q)) {
        int64_t parent = -1;
        CHECK_INT(q.blocks, (q.input_tokens + 127) / 128);
        own_blocks[q.session] = q.input_tokens / 128;
        system_of[q.session] = q.system;
        contents += q.input_tokens % 128 != 0;
        for (int64_t i = 0; i < q.blocks; i++) {
            uint64_t id = q.block[i];
            int64_t end = (i + 1) * 128 < q.input_tokens ? (i + 1) * 128 : q.input_tokens;
            if (id >= ids) {
                CHECK_INT(id, ids);     /* dense, in the order of first appearance */
                ids++;
                CHECK(ids < MOST);
                of[id] = (struct content){q.session, end, parent};
            }
            if (of[id].owner != q.session) {
                shared++;
                CHECK(q.turn == 0 || i < system_blocks[q.system]);
                if (i >= system_blocks[q.system])
                    system_blocks[q.system] = i + 1;
            }
            CHECK_INT(of[id].end, end);
            CHECK_INT(of[id].parent, parent);
            parent = (int64_t)id;
        }
    }
    for (int i = 0; i < 2000; i++)
        contents += (uint64_t)(own_blocks[i] - system_blocks[system_of[i]]);
    for (int k = 0; k < 5; k++)
        contents += (uint64_t)system_blocks[k];
    CHECK_INT(ids, contents);
    CHECK(shared > 1000);
    CHECK(ids > 10000);
    free(of);
    gen_free(g);
}

static void contexts_are_kept(void) {
    for (int64_t context = GEN_LEAST_CONTEXT; context < 3000; context = context * 3 + 1) {
        struct gen_options o = gen_defaults();
        o.sessions = 300;
        o.turns = 50;
        o.context = context;
        struct gen *g = gen_new(&o);
        struct gen_request q;
        int64_t first = 0;
        while (gen_next(g, &q)) {
            first += q.turn == 0;
            CHECK(q.input_tokens >= 2);
            CHECK(q.output_tokens >= 1);
            CHECK(q.input_tokens + q.output_tokens <= context);
        }
        CHECK_INT(first, 300);
        gen_free(g);
    }
}

/* A session does not depend on how many others there are. */
static void more_sessions_change_no_other(void) {
    struct gen_options less = wide_options(10);
    less.systems = 0;
    struct gen *few = gen_new(&less);
    struct gen_options more = wide_options(500);
    more.systems = 0;
    struct gen *many = gen_new(&more);
    struct gen_request a, b;
    int64_t same = 0;
    while (gen_next(few, &a)) {
        do {
            CHECK(gen_next(many, &b));
        } while (b.session >= 10);
        CHECK_INT(b.session, a.session);
        CHECK_INT(b.time_ms, a.time_ms);
        CHECK_INT(b.input_tokens, a.input_tokens);
        CHECK_INT(b.output_tokens, a.output_tokens);
        same++;
    }
    CHECK(same > 20);
    gen_free(few);
    gen_free(many);
}

/* FNV-1a of the text: it changes when a byte does, which nobody may do lightly: traces are named
 * by their options. */
static uint64_t hash_text(const struct buf *b) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < b->len; i++)
        h = (h ^ (unsigned char)b->data[i]) * 0x100000001B3u;
    return h;
}

static void text_is_the_same_everywhere(void) {
    struct gen_options o = gen_defaults();
    o.sessions = 1000;
    struct gen *g = gen_new(&o);
    struct gen_request q;
    struct buf text = {0};
    while (gen_next(g, &q))
        gen_print(&text, &q);
    CHECK_INT(text.len, TEXT_BYTES);
    CHECK(hash_text(&text) == TEXT_HASH);
    buf_free(&text);
    gen_free(g);
}

static void lines_are_mooncakes(void) {
    static const uint64_t block[] = {0, 12, UINT64_MAX};
    struct buf text = {0};
    gen_print(&text, &(struct gen_request){.time_ms = 1234, .session = 7, .input_tokens = 1100,
                                           .output_tokens = 10, .block = block, .blocks = 3});
    gen_print(&text, &(struct gen_request){.input_tokens = 1});
    CHECK_STR(text.data, "{\"timestamp\":1234,\"input_length\":1100,\"output_length\":10,"
              "\"hash_ids\":[0,12,18446744073709551615],\"session_id\":7}\n"
              "{\"timestamp\":0,\"input_length\":1,\"output_length\":0,"
              "\"hash_ids\":[],\"session_id\":0}\n");
    buf_free(&text);
}

int main(void) {
    RUN(sessions_have_mean_turns);
    RUN(arrivals_are_poisson);
    RUN(lengths_and_pauses_are_log_normal);
    RUN(system_prompts_follow_zipf);
    RUN(constant_lengths_add_up);
    RUN(ids_stand_for_prefixes);
    RUN(contexts_are_kept);
    RUN(more_sessions_change_no_other);
    RUN(text_is_the_same_everywhere);
    RUN(lines_are_mooncakes);
    return check_done();
}
