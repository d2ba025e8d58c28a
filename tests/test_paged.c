/* test_paged.c - paged and contiguous memory against a model that walks every pass and slot
 *
 * The model below is written from paged.h alone: one pass after the other, sequences in a plain
 * list, the contiguous arena as a map of single slots in which holes are looked for anew each
 * time. It must agree in every number with the replay that jumps from event to event.
 */
#include "lib/cache/paged.h"

#include "lib/base/mem.h"
#include "lib/cache/arena.h"
#include "tests/check.h"

/* ---- the model -------------------------------------------------------------------------- */

enum { MOST = 64, SLOTS = 4096 };

struct one {
    int64_t need_prompt;        /* prompt tokens not computed yet */
    int64_t prompt, made, final;
    int64_t capacity, taken, at;
    int running, queued, done, ever;
};

struct model {
    const struct paged_setup *s;
    const struct paged_request *q;
    int n;
    struct one one[MOST];
    unsigned char map[SLOTS];
    double passes, running, used, reserved, internal, external, stranded, blocked_passes;
    double wait_sum, wait_max, last_end;
    struct paged_result r;
};

static int64_t held(const struct one *o) {
    return o->prompt + o->made;
}

static int64_t roof(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static int64_t power_above(int64_t n) {
    int64_t p = 1;
    while (p < n)
        p *= 2;
    return n ? p : 0;
}

static int all_free(const struct model *m, int64_t at, int64_t size) {
    for (int64_t i = at; i < at + size; i++)
        if (i >= m->s->memory_tokens || m->map[i])
            return 0;
    return 1;
}

/* The smallest free aligned power of two that is not half of a free one, the lowest of those. */
static int64_t find_buddy(const struct model *m, int64_t size) {
    for (int64_t piece = power_above(size); piece <= m->s->memory_tokens; piece *= 2)
        for (int64_t at = 0; at < m->s->memory_tokens; at += piece)
            if (all_free(m, at, piece) && !all_free(m, at & ~piece, 2 * piece))
                return at;
    return -1;
}

static int64_t find_first(const struct model *m, int64_t size) {
    for (int64_t at = 0; at + size <= m->s->memory_tokens; at++)
        if (all_free(m, at, size))
            return at;
    return -1;
}

static int64_t taken_sum(const struct model *m) {
    int64_t sum = 0;
    for (int i = 0; i < m->n; i++)
        if (m->one[i].running)
            sum += m->one[i].taken;
    return sum;
}

static int64_t free_blocks(const struct model *m) {
    return m->s->memory_tokens / m->s->block_tokens - taken_sum(m) / m->s->block_tokens;
}

static int count_running(const struct model *m) {
    int n = 0;
    for (int i = 0; i < m->n; i++)
        n += m->one[i].running;
    return n;
}

static int64_t wanted(const struct model *m, int i) {
    const struct paged_request *q = &m->q[i];
    int64_t tokens = m->s->scheme == PAGED_MAX ? m->s->max_tokens
                   : m->s->scheme == PAGED_POW2 ? q->input_tokens + power_above(q->output_tokens)
                   : q->input_tokens + q->output_tokens;
    return tokens > 0 ? tokens : 1;
}

static int never_fits(const struct model *m, int i) {
    int64_t final = m->q[i].input_tokens + m->q[i].output_tokens;
    if (m->s->scheme == PAGED_BLOCKS)
        return roof(final, m->s->block_tokens) > m->s->memory_tokens / m->s->block_tokens
                                                 * m->s->block_tokens;
    if (m->s->scheme == PAGED_MAX && final > m->s->max_tokens)
        return 1;
    int64_t most = 1;
    while (most * 2 <= m->s->memory_tokens)
        most *= 2;
    return wanted(m, i) > (m->s->first_fit ? m->s->memory_tokens : most);
}

static int try_admit(struct model *m, int i) {
    struct one *o = &m->one[i];
    int64_t prompt = m->q[i].input_tokens + o->made;
    int64_t final = m->q[i].input_tokens + m->q[i].output_tokens;
    if (m->s->scheme == PAGED_BLOCKS) {
        int64_t tokens = roof(prompt + (prompt < final), m->s->block_tokens);
        int64_t spare = count_running(m) ? m->s->spare_blocks : 0;
        if (tokens / m->s->block_tokens + spare > free_blocks(m))
            return 0;
        o->capacity = o->taken = tokens;
    } else {
        o->capacity = wanted(m, i);
        o->taken = m->s->first_fit ? o->capacity : power_above(o->capacity);
        o->at = m->s->first_fit ? find_first(m, o->taken) : find_buddy(m, o->taken);
        if (o->at < 0)
            return 0;
        memset(m->map + o->at, 1, (size_t)o->taken);
    }
    o->prompt = o->need_prompt = prompt;
    o->made = 0;
    o->final = final;
    o->running = 1;
    o->queued = 0;
    return 1;
}

static void stop(struct model *m, int i) {
    struct one *o = &m->one[i];
    o->running = 0;
    if (m->s->scheme != PAGED_BLOCKS)
        memset(m->map + o->at, 0, (size_t)o->taken);
}

/* Sequences that decode this pass and have no slot for its token. */
static int grow_all(struct model *m) {
    int preempted = 0;
    for (int i = 0; i < m->n; i++) {
        struct one *o = &m->one[i];
        while (o->running && !o->need_prompt && held(o) < o->final && held(o) == o->capacity) {
            if (free_blocks(m) > 0) {
                o->capacity += m->s->block_tokens;
                o->taken += m->s->block_tokens;
                continue;
            }
            int last = m->n - 1;
            while (!m->one[last].running)
                last--;
            struct one *v = &m->one[last];
            m->r.preemptions++;
            m->r.recomputed_tokens += v->prompt - v->need_prompt + v->made;
            stop(m, last);
            v->made += v->prompt - m->q[last].input_tokens;     /* all it has made so far */
            v->queued = 1;
            preempted = 1;
        }
    }
    return preempted;
}

static void sum_pass(struct model *m, int blocked) {
    int running = count_running(m);
    if (!running)
        return;
    m->passes++;
    m->running += running;
    m->r.most_running = running > m->r.most_running ? running : m->r.most_running;
    for (int i = 0; i < m->n; i++) {
        const struct one *o = &m->one[i];
        if (!o->running)
            continue;
        int64_t own = o->capacity < o->final ? o->capacity : o->final;
        m->used += (double)held(o);
        m->reserved += (double)(own - held(o));
        m->internal += (double)(o->capacity - own);
        m->external += (double)(o->taken - o->capacity);
    }
    int64_t taken = taken_sum(m);
    m->r.most_taken = taken > m->r.most_taken ? taken : m->r.most_taken;
    if (blocked) {
        m->blocked_passes++;
        m->stranded += (double)(m->s->memory_tokens - taken);
    }
}

/* Admits from the head of the queue; 1 when it waits for memory. */
static int admit_from_queue(struct model *m, int64_t pass) {
    for (int i = 0; i < m->n; i++) {
        struct one *o = &m->one[i];
        if (!o->queued)
            continue;
        if (m->s->most_running && count_running(m) >= m->s->most_running)
            return 0;
        if (!try_admit(m, i))
            return 1;
        if (!o->ever) {
            double wait = (double)pass / m->s->decode_tps - (double)m->q[i].time_ns / 1e9;
            wait = wait > 0 ? wait : 0;
            m->wait_sum += wait;
            m->wait_max = wait > m->wait_max ? wait : m->wait_max;
            m->r.requests++;
        }
        o->ever = 1;
    }
    return 0;
}

/* Prompts in the order of admission, which is that of arrival; then a token for each that is
 * through. */
static void compute(struct model *m) {
    int64_t budget = m->s->prefill_tokens ? m->s->prefill_tokens : INT64_MAX;
    for (int i = 0; i < m->n; i++) {
        struct one *o = &m->one[i];
        int64_t part = o->need_prompt < budget ? o->need_prompt : budget;
        if (!o->running)
            continue;
        o->need_prompt -= part;
        budget -= part;
    }
}

static void walk(struct model *m) {
    int left = m->n;
    int through[MOST] = {0};    /* 1: ends before the next pass */
    for (int64_t pass = 0; left > 0; pass++) {
        for (int i = 0; i < m->n; i++) {
            if (through[i]) {
                stop(m, i);
                m->one[i].done = 1;
                m->r.output_tokens += m->q[i].output_tokens;
                m->last_end = (double)pass;
                through[i] = 0;
                left--;
            }
        }
        for (int i = 0; i < m->n; i++) {
            struct one *o = &m->one[i];
            double come = ceil((double)m->q[i].time_ns * m->s->decode_tps / 1e9);
            if (o->queued || o->running || o->done || come > (double)pass)
                continue;
            if (never_fits(m, i)) {
                o->done = 1;
                m->r.refused++;
                left--;
            } else {
                o->queued = 1;
            }
        }
        int blocked = grow_all(m);
        if (!blocked)
            blocked = admit_from_queue(m, pass);
        compute(m);
        for (int i = 0; i < m->n; i++) {        /* the token of this pass */
            struct one *o = &m->one[i];
            if (!o->running || o->need_prompt)
                continue;
            o->made += held(o) < o->final;
            through[i] = held(o) == o->final;
        }
        sum_pass(m, blocked);
    }
}

/* ---- agreement -------------------------------------------------------------------------- */

static void compare(const struct paged_setup *s, const struct paged_request *q, int n) {
    struct model *m = mem_alloc(sizeof *m);
    struct paged_result r;
    struct err err;
    m->s = s;
    m->q = q;
    m->n = n;
    walk(m);
    CHECK_INT(paged_run(s, q, n, &r, &err), 0);
    CHECK_INT(r.requests, m->r.requests);
    CHECK_INT(r.refused, m->r.refused);
    CHECK_INT(r.output_tokens, m->r.output_tokens);
    CHECK_INT(r.preemptions, m->r.preemptions);
    CHECK_INT(r.recomputed_tokens, m->r.recomputed_tokens);
    CHECK_INT(r.most_running, m->r.most_running);
    CHECK_INT(r.most_taken, m->r.most_taken);
    if (m->passes > 0) {
        CHECK_NEAR(r.busy_s, m->passes / s->decode_tps, 1e-9);
        CHECK_NEAR(r.mean_running, m->running / m->passes, 1e-9);
        CHECK_NEAR(r.mean_used, m->used / m->passes, 1e-9);
        CHECK_NEAR(r.mean_reserved, m->reserved / m->passes, 1e-9);
        CHECK_NEAR(r.mean_internal, m->internal / m->passes, 1e-9);
        CHECK_NEAR(r.mean_external, m->external / m->passes, 1e-9);
        CHECK_NEAR(r.makespan_s, m->last_end / s->decode_tps - (double)q[0].time_ns / 1e9, 1e-9);
        CHECK_NEAR(r.queue_mean_s, m->wait_sum / (double)m->r.requests, 1e-5);
        CHECK_NEAR(r.queue_max_s, m->wait_max, 1e-5);
    }
    CHECK_INT(isnan(r.mean_stranded), m->blocked_passes == 0);
    if (m->blocked_passes > 0)
        CHECK_NEAR(r.mean_stranded, m->stranded / m->blocked_passes, 1e-9);
    free(m);
}

static uint64_t random_state = 1;

static int64_t below(int64_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((random_state >> 33) % (uint64_t)n);
}

static int64_t preemptions_seen, refused_seen, stranded_seen;

static void random_cases_agree(void) {
    for (int round = 0; round < 600; round++) {
        struct paged_request q[MOST];
        int n = (int)(1 + below(round % 3 ? 12 : MOST));
        int64_t time = 0;
        int64_t gap = 1 + below(400000000);
        for (int i = 0; i < n; i++) {
            time += below(gap);
            q[i] = (struct paged_request){time, below(5) ? below(60) : 0, below(6) ? below(70) : 0};
        }
        struct paged_setup s = {
            .scheme = (enum paged_scheme)below(4), .first_fit = (int)below(2),
            .block_tokens = 1 + below(20), .memory_tokens = 40 + below(600),
            .max_tokens = 50 + below(100), .most_running = below(3) ? 0 : 1 + below(6),
            .spare_blocks = below(3), .decode_tps = 8, .prefill_tokens = below(4) * below(40)};
        if (round % 2)
            s.scheme = PAGED_BLOCKS;
        compare(&s, q, n);
        struct paged_result r;
        paged_run(&s, q, n, &r, NULL);
        preemptions_seen += r.preemptions;
        refused_seen += r.refused;
        stranded_seen += r.mean_stranded > 0;
    }
    /* The cases reach what they are made for. */
    CHECK(preemptions_seen > 500);
    CHECK(refused_seen > 100);
    CHECK(stranded_seen > 50);
}

/* ---- closed forms ----------------------------------------------------------------------- */

/* One sequence of 10 + 6 tokens in blocks of 4, prompt computed by the pass of its admission:
 * passes 0 to 5 hold 11 to 16 tokens in 12, 12, 16, 16, 16, 16 slots. */
static void one_sequence_by_hand(void) {
    struct paged_request q = {2000000000, 10, 6};
    struct paged_setup s = {.scheme = PAGED_BLOCKS, .block_tokens = 4, .memory_tokens = 100,
                            .decode_tps = 2};
    struct paged_result r;
    struct err err = {{0}};
    paged_run(&s, &q, 1, &r, &err);
    CHECK_NEAR(r.mean_used, (10 * 6 + 21) / 6.0, 1e-12);
    CHECK_NEAR(r.mean_reserved, (12 + 12 + 16 * 4 - 81) / 6.0, 1e-12);
    CHECK_NEAR(r.mean_internal, 0, 0);
    CHECK_INT(r.most_taken, 16);
    CHECK_NEAR(r.makespan_s, 3, 1e-12);
    s.prefill_tokens = 4;       /* passes 0, 1 and 2 compute the prompt; the last gives a token */
    paged_run(&s, &q, 1, &r, &err);
    CHECK_NEAR(r.busy_s, 4, 1e-12);
    CHECK_NEAR(r.makespan_s, 4, 1e-12);
    s.scheme = PAGED_MAX;
    s.max_tokens = 20;
    paged_run(&s, &q, 1, &r, &err);
    CHECK_NEAR(r.mean_internal, 4, 1e-12);
    CHECK_NEAR(r.mean_external, 12, 1e-12);     /* 32 - 20 */
    s.scheme = PAGED_POW2;
    s.first_fit = 1;
    paged_run(&s, &q, 1, &r, &err);
    CHECK_NEAR(r.mean_internal, 2, 1e-12);      /* 10 + 8 - 16 */
    CHECK_NEAR(r.mean_external, 0, 0);
}

/* Lengths that fall anywhere in a block leave half a block empty: (block - 1) / 2 slots a
 * sequence over its life, whatever the block. Orders: paging wastes least, Orca's max most. */
static void paging_wastes_half_a_block(void) {
    enum { N = 3000 };
    struct paged_request *q = mem_array(N, sizeof *q);
    struct paged_result r;
    struct err err;
    for (int i = 0; i < N; i++)
        q[i] = (struct paged_request){i * (int64_t)100000000, 1 + below(1000), 200 + below(800)};
    for (int64_t block = 1; block <= 128; block *= 2) {
        struct paged_setup s = {.scheme = PAGED_BLOCKS, .block_tokens = block, .decode_tps = 50,
                                .memory_tokens = PAGED_MOST_TOKENS};
        paged_run(&s, q, N, &r, &err);
        double waste = (r.mean_reserved + r.mean_internal) / r.mean_running;
        CHECK_NEAR(waste, (double)(block - 1) / 2, 0.02 * (double)(block - 1));
        CHECK_INT(r.preemptions, 0);
        CHECK_NEAR(r.queue_max_s, 0, 0.021);
    }
    double share[4];
    for (int scheme = PAGED_MAX; scheme <= PAGED_BLOCKS; scheme++) {
        struct paged_setup s = {.scheme = (enum paged_scheme)scheme, .block_tokens = 16,
                                .max_tokens = 2048, .decode_tps = 50, .memory_tokens = 1 << 18};
        paged_run(&s, q, N, &r, &err);
        share[scheme] = r.mean_used / (r.mean_used + r.mean_reserved + r.mean_internal
                                       + r.mean_external);
    }
    CHECK(share[PAGED_MAX] < share[PAGED_POW2]);
    CHECK(share[PAGED_POW2] < share[PAGED_ORACLE]);
    CHECK(share[PAGED_ORACLE] < share[PAGED_BLOCKS]);
    CHECK(share[PAGED_BLOCKS] > 0.98);
    free(q);
}

/* Equal sequences that all come at once: as many run as fit, no more, and nobody is preempted
 * where the memory for all that run is there from the start. */
static void largest_batch_is_memory_over_size(void) {
    struct paged_request q[40];
    struct paged_result r;
    struct err err;
    for (int i = 0; i < 40; i++)
        q[i] = (struct paged_request){0, 60, 4};
    struct paged_setup s = {.scheme = PAGED_ORACLE, .memory_tokens = 640, .decode_tps = 1};
    paged_run(&s, q, 40, &r, &err);
    CHECK_INT(r.most_running, 10);      /* 640 / 64 */
    CHECK_NEAR(r.makespan_s, 16, 0);    /* four batches of four passes */
    s.scheme = PAGED_MAX;
    s.max_tokens = 128;
    paged_run(&s, q, 40, &r, &err);
    CHECK_INT(r.most_running, 5);
    s.scheme = PAGED_BLOCKS;
    s.block_tokens = 16;
    paged_run(&s, q, 40, &r, &err);
    CHECK_INT(r.most_running, 10);
    CHECK_INT(r.preemptions, 0);
    s.memory_tokens = 63;
    paged_run(&s, q, 40, &r, &err);
    CHECK_INT(r.refused, 40);
    CHECK_INT(r.requests, 0);
    CHECK(isnan(r.mean_used));
}

/* Two sequences in three blocks of four: both have two full blocks' worth to go when the memory
 * ends; the later one makes way and starts again. */
static void last_come_is_preempted(void) {
    struct paged_request q[2] = {{0, 3, 5}, {0, 3, 5}};
    struct paged_setup s = {.scheme = PAGED_BLOCKS, .block_tokens = 4, .memory_tokens = 12,
                            .decode_tps = 1};
    struct paged_result r;
    struct err err;
    paged_run(&s, q, 2, &r, &err);
    CHECK_INT(r.preemptions, 1);
    /* Before pass 1 the first takes the third block and the second, with 4 tokens, has none. */
    CHECK_INT(r.recomputed_tokens, 4);
    CHECK_INT(r.output_tokens, 10);
    CHECK_NEAR(r.makespan_s, 5 + 4, 0);
}

static int cancel(void *arg, int64_t done, int64_t total) {
    (void)arg;
    return done <= total;
}

static void errors_are_said(void) {
    struct paged_request q = {0, -1, 0};
    struct paged_setup s = {.scheme = PAGED_BLOCKS, .block_tokens = 4, .memory_tokens = 12,
                            .decode_tps = 1};
    struct paged_result r;
    struct err err;
    CHECK_INT(paged_run(&s, &q, 1, &r, &err), -1);
    CHECK(strstr(err.text, "request 1: -1 input") != NULL);
    q.input_tokens = 3;
    s.progress = cancel;
    CHECK_INT(paged_run(&s, &q, 1, &r, &err), -1);
    s.progress = NULL;
    CHECK_INT(paged_run(&s, &q, 0, &r, &err), 0);
    CHECK_INT(r.requests, 0);
}

/* ---- the arena -------------------------------------------------------------------------- */

static void arena_gives_back_all(void) {
    for (int kind = ARENA_BUDDY; kind <= ARENA_FIRST_FIT; kind++) {
        struct arena *a = arena_new((enum arena_kind)kind, 1000);
        int64_t at[200], taken[200];
        int n = 0;
        for (int round = 0; round < 5000; round++) {
            if (below(2) && n < 200) {
                at[n] = arena_take(a, 1 + below(100), &taken[n]);
                n += at[n] >= 0;
            } else if (n > 0) {
                int64_t i = below(n--);
                arena_give(a, at[i], taken[i]);
                at[i] = at[n];
                taken[i] = taken[n];
            }
        }
        while (n-- > 0)
            arena_give(a, at[n], taken[n]);
        CHECK_INT(arena_most(a), kind == ARENA_BUDDY ? 512 : 1000);
        CHECK_INT(arena_take(a, arena_most(a), &taken[0]), 0);
        CHECK_INT(arena_take(a, 512, &taken[0]), -1);
        arena_free(a);
    }
}

int main(void) {
    RUN(random_cases_agree);
    RUN(one_sequence_by_hand);
    RUN(paging_wastes_half_a_block);
    RUN(largest_batch_is_memory_over_size);
    RUN(last_come_is_preempted);
    RUN(errors_are_said);
    RUN(arena_gives_back_all);
    return check_done();
}
