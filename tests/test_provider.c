/* test_provider.c - prompt caches as they are sold, against a model that compares prefixes
 *
 * The model keeps a list of prefixes as arrays of block ids with the time each lives to and
 * searches all of it for every request; it is written from provider.h alone.
 */
#include "lib/cache/provider.h"

#include "lib/base/mem.h"
#include "lib/cache/gen.h"
#include "tests/check.h"

#define SECOND ((int64_t)1000000000)

/* ---- traces ----------------------------------------------------------------------------- */

/* Requests of a synthetic trace as blocks_load would give them. */
static struct blocks *make_blocks(const struct gen_options *o, int64_t most) {
    struct blocks *b = mem_alloc(sizeof *b);
    struct gen *g = gen_new(o);
    struct gen_request q;
    b->first = mem_array((size_t)most + 1, sizeof *b->first);
    b->input = mem_array((size_t)most, sizeof *b->input);
    b->output = mem_array((size_t)most, sizeof *b->output);
    b->time_ns = mem_array((size_t)most, sizeof *b->time_ns);
    b->session = mem_array((size_t)most, sizeof *b->session);
    b->block_tokens = (int)o->block_tokens;
    while (b->requests < most && gen_next(g, &q)) {
        int64_t r = b->requests++;
        b->input[r] = q.input_tokens;
        b->output[r] = q.output_tokens;
        b->time_ns[r] = q.time_ms * 1000000;
        b->session[r] = (uint32_t)q.session;
        b->sessions = b->session[r] >= b->sessions ? b->session[r] + 1 : b->sessions;
        b->id = mem_grow(b->id, (size_t)(b->accesses + q.blocks), sizeof *b->id);
        for (int64_t i = 0; i < q.blocks; i++) {
            uint32_t id = (uint32_t)q.block[i];
            b->id[b->accesses++] = id;
            b->unique = id >= b->unique ? id + 1 : b->unique;
        }
        b->first[r + 1] = b->accesses;
        b->input_tokens += q.input_tokens;
    }
    gen_free(g);
    return b;
}

static void free_blocks(struct blocks *b) {
    free(b->id);
    free(b->first);
    free(b->input);
    free(b->output);
    free(b->time_ns);
    free(b->session);
    free(b);
}

/* ---- the model -------------------------------------------------------------------------- */

struct prefix {
    const uint32_t *id;
    int64_t n;
    int64_t until;
    double paid;                /* its last block is paid for to then, seconds; 0: never was */
};

struct model {
    const struct blocks *b;
    const struct provider_rule *rule;
    struct prefix *end;         /* where prefixes may be hit */
    int ends;
    struct prefix *paid;        /* every block, for storage */
    int n_paid;
    struct prefix *prompt;      /* whole prompts and their full blocks */
    int prompts;
    struct provider_tally t;
};

static struct prefix *find(struct prefix *list, int n, const uint32_t *id, int64_t len) {
    for (int i = 0; i < n; i++)
        if (list[i].n == len && !memcmp(list[i].id, id, (size_t)len * sizeof *id))
            return &list[i];
    return NULL;
}

/* The prefix in a list, added when it is not there. */
static struct prefix *keep(struct prefix **list, int *n, const uint32_t *id, int64_t len) {
    struct prefix *p = find(*list, *n, id, len);
    if (p)
        return p;
    *list = mem_grow(*list, (size_t)*n + 1, sizeof **list);
    (*list)[*n] = (struct prefix){.id = id, .n = len, .until = -1};
    return &(*list)[(*n)++];
}

static int64_t tokens(const struct model *m, int64_t input, int64_t blocks) {
    int64_t n = blocks * m->b->block_tokens < input ? blocks * m->b->block_tokens : input;
    n = n / m->rule->step_tokens * m->rule->step_tokens;
    return n >= m->rule->min_tokens ? n : 0;
}

/* Marks the request's ends in at[1..blocks]. */
static void mark_ends(const struct model *m, const uint32_t *id, int64_t n, char *at) {
    int left = m->rule->breakpoints;
    int64_t head = m->rule->head_tokens / m->b->block_tokens;
    if (!left) {
        memset(at + 1, 1, (size_t)n);
        return;
    }
    if (head > 0) {
        if (head <= n)
            at[head] = 1;
        left--;
    }
    if (!left)
        return;
    int all = left;
    left -= !at[n];
    at[n] = 1;
    if (m->rule->place == PROVIDER_SPREAD)
        for (int i = 1; i < all; i++)
            at[(int64_t)ceil((double)(i * n) / all)] = 1;
    for (int64_t i = n - 1; i > 0 && left > 0 && m->rule->place != PROVIDER_SPREAD; i--) {
        int right = m->rule->place == PROVIDER_DOUBLE ? (i & (i - 1)) == 0
                                                      : find(m->prompt, m->prompts, id, i) != NULL;
        if (right && !at[i]) {
            at[i] = 1;
            left--;
        }
    }
}

/* The longest prefix to hit at this time; ever: whether or not it expired. */
static int64_t longest_hit(const struct model *m, const uint32_t *id, int64_t n, const char *at,
                           int64_t now, int ever) {
    int64_t best = 0;
    int64_t reach = m->rule->lookback ? m->rule->lookback : n;
    for (int64_t i = 1; i <= n; i++) {
        const struct prefix *p = find(m->end, m->ends, id, i);
        int alive = p && (ever || p->until >= now);
        int near = 0;
        for (int64_t k = i; k <= n && k <= i + reach; k++)
            near |= at[k];
        if (!m->rule->breakpoints && !alive)
            break;
        if (alive && near)
            best = i;
    }
    return best;
}

static void pay(struct model *m, const uint32_t *id, int64_t blocks, int64_t input, int64_t now) {
    int64_t step = m->rule->step_tokens;
    int64_t size = m->b->block_tokens;
    double until = (double)(now + m->rule->ttl_ns) / 1e9;
    struct prefix *p = keep(&m->paid, &m->n_paid, id, blocks);
    double from = p->paid > (double)now / 1e9 ? p->paid : (double)now / 1e9;
    int64_t end = blocks * size < input ? blocks * size : input;
    if (until > from) {
        m->t.stored_hours += (double)(end / step * step - (blocks - 1) * size / step * step)
                             * (until - from) / 3600;
        p->paid = until;
    }
}

static void serve(struct model *m, int64_t r) {
    const struct blocks *b = m->b;
    const uint32_t *id = b->id + b->first[r];
    int64_t n = b->first[r + 1] - b->first[r];
    int64_t now = b->time_ns[r];
    int64_t input = b->input[r];
    int inside = n > 1 && n * b->block_tokens > input;
    char *at = mem_alloc((size_t)n + 1);
    mark_ends(m, id, n, at);
    int64_t last = 0;
    for (int64_t i = 1; i <= n; i++) {
        if (m->rule->breakpoints && !tokens(m, input, i))
            at[i] = 0;
        last = at[i] ? i : last;
    }
    if (!tokens(m, input, last))
        last = 0;
    int64_t hit = last ? longest_hit(m, id, last, at, now, 0) : 0;
    int64_t ever = last ? longest_hit(m, id, last, at, now, 1) : 0;
    hit = tokens(m, input, hit) ? hit : 0;
    ever = tokens(m, input, ever) ? ever : 0;

    m->t.requests++;
    m->t.hit_requests += hit > 0;
    m->t.input_tokens += input;
    m->t.output_tokens += b->output[r];
    m->t.hit_tokens += tokens(m, input, hit);
    m->t.written_tokens += tokens(m, input, last) - tokens(m, input, hit);
    m->t.fresh_tokens += input - tokens(m, input, last);
    m->t.expired_tokens += tokens(m, input, ever) - tokens(m, input, hit);
    for (int64_t i = 1; i <= last; i++) {
        int lives = i > hit || m->rule->renew;
        if (lives && m->rule->storage > 0)
            pay(m, id, i, input, now);
        if (lives && (at[i] || i == hit || (inside && i == n - 1 && at[n])))
            keep(&m->end, &m->ends, id, i)->until = now + m->rule->ttl_ns;
    }
    keep(&m->prompt, &m->prompts, id, n);
    if (inside)
        keep(&m->prompt, &m->prompts, id, n - 1);
    free(at);
}

/* What the cases reached, by kind of rule: every block, breakpoints. */
static int64_t hits_seen[2], expired_seen[2], fresh_seen[2];

static void compare(const struct blocks *b, const struct provider_rule *rule) {
    struct model m = {.b = b, .rule = rule};
    struct provider_tally all;
    struct provider_tally *session = mem_array(b->sessions + 1, sizeof *session);
    struct provider_tally sum = {0};
    struct err err;
    for (int64_t r = 0; r < b->requests; r++)
        serve(&m, r);
    CHECK_INT(provider_run(b, rule, &all, session, &err), 0);
    CHECK_INT(all.requests, m.t.requests);
    CHECK_INT(all.hit_requests, m.t.hit_requests);
    CHECK_INT(all.hit_tokens, m.t.hit_tokens);
    CHECK_INT(all.written_tokens, m.t.written_tokens);
    CHECK_INT(all.fresh_tokens, m.t.fresh_tokens);
    CHECK_INT(all.expired_tokens, m.t.expired_tokens);
    CHECK_INT(all.input_tokens, all.hit_tokens + all.written_tokens + all.fresh_tokens);
    CHECK_NEAR(all.stored_hours, m.t.stored_hours, 1e-9 * (1 + m.t.stored_hours));
    for (uint32_t s = 0; s <= b->sessions; s++) {
        sum.hit_tokens += session[s].hit_tokens;
        sum.stored_hours += session[s].stored_hours;
    }
    CHECK_INT(sum.hit_tokens, all.hit_tokens);
    CHECK_NEAR(sum.stored_hours, all.stored_hours, 1e-9 * (1 + all.stored_hours));
    hits_seen[rule->breakpoints > 0] += all.hit_requests;
    expired_seen[rule->breakpoints > 0] += all.expired_tokens > 0;
    fresh_seen[rule->breakpoints > 0] += all.fresh_tokens > 0;
    free(session);
    free(m.end);
    free(m.paid);
    free(m.prompt);
}

static uint64_t random_state = 1;

static int64_t below(int64_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((random_state >> 33) % (uint64_t)n);
}

static void random_rules_agree(void) {
    for (int round = 0; round < 400; round++) {
        struct gen_options o = gen_defaults();
        o.sessions = 12;
        o.seed = (uint64_t)round + 1;
        o.systems = below(4);
        o.system_tokens = 120;
        o.user_tokens = 60;
        o.output_tokens = 60;
        o.think_s = 20;
        o.block_tokens = 1 + below(80);
        struct blocks *b = make_blocks(&o, 40);
        struct provider_rule rule = {
            .read = 0.1, .write = 1.25, .storage = below(2) ? 0.5 : 0,
            .ttl_ns = (1 + below(60)) * SECOND, .renew = (int)below(2),
            .min_tokens = below(2) * below(300), .step_tokens = below(2) ? 1 : 1 + below(150),
            .breakpoints = (int)below(5), .place = (enum provider_place)below(3),
            .head_tokens = below(2) * below(250), .lookback = below(2) * below(6)};
        /* The same prompt again, and one that goes back to an earlier turn. */
        for (int i = 0; i < 3 && b->requests > 4; i++) {
            int64_t r = 1 + below(b->requests - 2);
            int64_t last = b->requests - 1;
            int64_t n = b->first[r + 1] - b->first[r];
            b->id = mem_grow(b->id, (size_t)(b->first[last] + n), sizeof *b->id);
            memcpy(b->id + b->first[last], b->id + b->first[r], (size_t)n * sizeof *b->id);
            b->first[last + 1] = b->accesses = b->first[last] + n;
            b->input[last] = b->input[r];
            compare(b, &rule);
        }
        compare(b, &rule);
        free_blocks(b);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(hits_seen[i] > 500);
        CHECK(expired_seen[i] > 50);
        CHECK(fresh_seen[i] > 50);
    }
}

/* ---- known numbers ---------------------------------------------------------------------- */

static struct blocks *two_prompts(int64_t gap_ns) {
    struct gen_options o = gen_defaults();
    o.sessions = 1;
    o.turns = 1e9;
    o.spread = 0;
    o.systems = 0;
    o.user_tokens = 1000;
    o.output_tokens = 200;
    o.block_tokens = 100;
    o.think_s = (double)gap_ns / 1e9;
    return make_blocks(&o, 2);
}

/* 1000 tokens, then 2200 that begin with them. */
static void money_by_hand(void) {
    struct blocks *b = two_prompts(60 * SECOND);
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .ttl_ns = 60 * SECOND, .renew = 1,
                                 .step_tokens = 1, .output = 5};
    struct provider_tally t;
    struct err err;
    CHECK_INT(provider_run(b, &rule, &t, NULL, &err), 0);
    CHECK_INT(t.hit_tokens, 1000);      /* alive in its last nanosecond */
    CHECK_INT(t.written_tokens, 2200);
    CHECK_NEAR(provider_uncached(&rule, &t), 3200 + 5 * 400, 1e-9);
    CHECK_NEAR(provider_cost(&rule, &t), 100 + 1.25 * 2200 + 5 * 400, 1e-9);
    CHECK_NEAR(provider_breakeven_reads(&rule, &t), 0.25 / 0.9, 1e-12);
    CHECK_NEAR(provider_breakeven_hits(&rule, &t), 0.25 / 1.15, 1e-12);
    CHECK(isnan(provider_breakeven_interval(&rule)));
    CHECK_NEAR(provider_breakeven_ttl(b, &rule), 60, 0);
    b->time_ns[1] = INT64_MAX;          /* as late as times can be: 292 years */
    CHECK_NEAR(provider_breakeven_ttl(b, &rule),
               (double)((INT64_MAX - b->time_ns[0]) / SECOND + 1), 0);
    b->time_ns[1] = b->time_ns[0] + 60 * SECOND;
    rule.ttl_ns--;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_INT(t.hit_tokens, 0);
    CHECK_INT(t.expired_tokens, 1000);
    /* Storage: 1000 tokens for a minute before the second request, 2200 for a minute after. */
    rule = (struct provider_rule){.read = 0.1, .write = 1, .storage = 3.6, .ttl_ns = 60 * SECOND,
                                  .renew = 1, .step_tokens = 1};
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_NEAR(t.stored_hours, 3200 / 60.0, 1e-9);
    CHECK_NEAR(provider_cost(&rule, &t), 100 + 2200 + 3.6 * 3200 / 60, 1e-9);
    CHECK_NEAR(provider_breakeven_interval(&rule), 900, 1e-9);
    /* Without renewal the first 1000 are not paid for again. */
    rule.renew = 0;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_NEAR(t.stored_hours, 2200 / 60.0, 1e-9);
    free_blocks(b);
}

static void minimum_and_step(void) {
    struct blocks *b = two_prompts(SECOND);
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .ttl_ns = 60 * SECOND, .renew = 1,
                                 .step_tokens = 1, .min_tokens = 1001};
    struct provider_tally t;
    struct err err;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_INT(t.hit_tokens, 0);         /* the first is too short to be cached */
    CHECK_INT(t.fresh_tokens, 1000);
    CHECK_INT(t.written_tokens, 2200);
    CHECK(isnan(provider_breakeven_ttl(b, &rule)));
    rule.min_tokens = 0;
    rule.step_tokens = 128;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_INT(t.hit_tokens, 896);
    CHECK_INT(t.written_tokens, 896 + 2176 - 896);
    CHECK_INT(t.fresh_tokens, 1000 - 896 + 2200 - 2176);
    free_blocks(b);
}

/* A breakpoint behind the head alone: what comes after it is never written. */
static void head_alone(void) {
    struct blocks *b = two_prompts(SECOND);
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .ttl_ns = 60 * SECOND, .renew = 1,
                                 .step_tokens = 1, .breakpoints = 1, .head_tokens = 350};
    struct provider_tally t;
    struct err err;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_INT(t.written_tokens, 300);   /* three full blocks */
    CHECK_INT(t.hit_tokens, 300);
    CHECK_INT(t.fresh_tokens, 700 + 1900);
    free_blocks(b);
}

/* With a breakpoint at every turn's end, a conversation hits what it would hit with all blocks. */
static void turns_hit_like_every_block(void) {
    struct gen_options o = gen_defaults();
    o.sessions = 40;
    o.systems = 0;
    struct blocks *b = make_blocks(&o, 1000);
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .ttl_ns = 300 * SECOND, .renew = 1,
                                 .step_tokens = 1};
    struct provider_tally every, turns;
    struct err err;
    provider_run(b, &rule, &every, NULL, &err);
    rule.breakpoints = 4;
    provider_run(b, &rule, &turns, NULL, &err);
    CHECK(every.hit_tokens > 0);
    CHECK_INT(turns.hit_tokens, every.hit_tokens);
    CHECK_INT(turns.written_tokens, every.written_tokens);
    free_blocks(b);
}

static void longer_lives_cost_less(void) {
    struct gen_options o = gen_defaults();
    o.sessions = 60;
    struct blocks *b = make_blocks(&o, 1000);
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .renew = 1, .step_tokens = 1};
    struct provider_tally t;
    struct err err;
    double last = INFINITY;
    double first_saving = NAN;
    for (int64_t s = 1; s < 1000; s++) {
        rule.ttl_ns = s * SECOND;
        provider_run(b, &rule, &t, NULL, &err);
        double cost = provider_cost(&rule, &t);
        CHECK(cost <= last);
        if (isnan(first_saving) && cost < provider_uncached(&rule, &t))
            first_saving = (double)s;
        last = cost;
    }
    CHECK(first_saving > 1);
    CHECK_NEAR(provider_breakeven_ttl(b, &rule), first_saving, 0);
    rule.ttl_ns = PROVIDER_FOREVER;
    provider_run(b, &rule, &t, NULL, &err);
    CHECK_INT(t.expired_tokens, 0);
    free_blocks(b);
}

static void presets_are_sane(void) {
    int n = 0;
    for (const struct provider_preset *p = provider_presets(); p->name; p++, n++) {
        CHECK(p->rule.read > 0 && p->rule.read < 1 && p->rule.write >= 1);
        CHECK(p->rule.ttl_ns > 0 && p->rule.step_tokens >= 1);
        CHECK(p->words && (strstr(p->words, "202") || strstr(p->words, "the same")));
    }
    CHECK_INT(n, 5);
}

static void no_times_no_lives(void) {
    struct blocks *b = two_prompts(SECOND);
    struct provider_rule rule = provider_presets()[0].rule;
    struct provider_tally t;
    struct err err;
    free(b->time_ns);
    b->time_ns = NULL;
    CHECK_INT(provider_run(b, &rule, &t, NULL, &err), -1);
    CHECK(strstr(err.text, "no timestamps") != NULL);
    free_blocks(b);
}

int main(void) {
    RUN(random_rules_agree);
    RUN(money_by_hand);
    RUN(minimum_and_step);
    RUN(head_alone);
    RUN(turns_hit_like_every_block);
    RUN(longer_lives_cost_less);
    RUN(presets_are_sane);
    RUN(no_times_no_lives);
    return check_done();
}
