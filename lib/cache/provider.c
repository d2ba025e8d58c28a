/* provider.c - prompt caches as they are sold, see provider.h
 *
 * Ids are chained, so a block's number stands for the whole prefix that it ends: one array of
 * times, indexed by it, is the cache.
 */
#include "lib/cache/provider.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"

#define NEVER INT64_MIN
#define SECOND ((int64_t)1000000000)
#define HOUR_NS 3600e9

struct cache {
    const struct blocks *b;
    const struct provider_rule *rule;
    int64_t *until;             /* [unique] a prefix that ends here is alive to then; NEVER */
    int64_t *stored;            /* [unique] the block is paid for to then; NULL: storage is free */
    unsigned char *prompt_end;  /* [unique] some prompt ended here; NULL: nobody asks */
};

/* A request, and what happens to it. */
struct prompt {
    const uint32_t *id;
    int64_t blocks, input;
    int64_t now;
    int64_t end[PROVIDER_MOST_BREAKPOINTS];     /* blocks before each end, rising */
    int ends;
    int64_t hit;                /* blocks */
    int64_t could_hit;          /* if nothing ever expired */
    int64_t last;               /* blocks up to the last end: those cached after the request */
    int64_t renewed;            /* blocks that live from now on whose tokens were there */
};

const struct provider_preset *provider_presets(void) {
    static const struct provider_preset presets[] = {
        {"anthropic-5m",
         {.read = 0.1, .write = 1.25, .ttl_ns = 300 * SECOND, .renew = 1, .min_tokens = 1024,
          .step_tokens = 1, .breakpoints = 4},
         "Anthropic, 2026: the minimum is 512 to 4096 by model"},
        {"anthropic-1h",
         {.read = 0.1, .write = 2, .ttl_ns = 3600 * SECOND, .renew = 1, .min_tokens = 1024,
          .step_tokens = 1, .breakpoints = 4},
         "the same, written to live for an hour"},
        {"openai",
         {.read = 0.1, .write = 1, .ttl_ns = 300 * SECOND, .renew = 1, .min_tokens = 1024,
          .step_tokens = 128},
         "OpenAI, March 2026: kept 5 to 10 minutes; reading is 0.1 to 0.5 by model"},
        {"gemini-explicit",
         {.read = 0.1, .write = 1, .storage = 3.6, .ttl_ns = 3600 * SECOND, .min_tokens = 2048,
          .step_tokens = 1},
         "Gemini 2.5 Pro, 2025: $1.25 a Mtok, read $0.125, $4.50 a Mtok-hour"},
        {"deepseek",
         {.read = 0.1, .write = 1, .ttl_ns = 86400 * SECOND, .renew = 1, .min_tokens = 64,
          .step_tokens = 64},
         "DeepSeek, August 2024: $0.014 of $0.14 a Mtok, kept hours to days"},
        {.name = NULL}};
    return presets;
}

const char *const *provider_place_names(void) {
    static const char *const names[] = {"turns", "spread", "double", NULL};
    return names;
}

static int64_t add_time(int64_t t, int64_t life) {
    return life > INT64_MAX - t ? INT64_MAX : t + life;
}

/* T(p) of provider.h; 0 for what is shorter than the minimum. */
static int64_t tokens_to(const struct cache *c, const struct prompt *p, int64_t blocks) {
    int64_t tokens = blocks * c->b->block_tokens;
    tokens = tokens < p->input ? tokens : p->input;
    tokens -= tokens % c->rule->step_tokens;
    return tokens < c->rule->min_tokens ? 0 : tokens;
}

/* ---- every block ------------------------------------------------------------------------ */

static void look_up_blocks(const struct cache *c, struct prompt *p) {
    p->last = tokens_to(c, p, p->blocks) ? p->blocks : 0;
    while (p->hit < p->last && c->until[p->id[p->hit]] >= p->now)
        p->hit++;
    p->could_hit = p->hit;
    while (p->could_hit < p->last && c->until[p->id[p->could_hit]] != NEVER)
        p->could_hit++;
    if (!tokens_to(c, p, p->hit))
        p->hit = 0;
    p->renewed = c->rule->renew ? p->hit : 0;
}

static void keep_blocks(struct cache *c, const struct prompt *p) {
    int64_t until = add_time(p->now, c->rule->ttl_ns);
    for (int64_t i = 0; i < p->renewed; i++)
        c->until[p->id[i]] = until;
    for (int64_t i = p->hit; i < p->last; i++)
        c->until[p->id[i]] = until;
}

/* ---- breakpoints ------------------------------------------------------------------------ */

/* Adds an end unless it is there. */
static void add_end(struct prompt *p, int64_t at) {
    int i = p->ends;
    for (int k = 0; k < p->ends; k++)
        if (p->end[k] == at)
            return;
    for (; i > 0 && p->end[i - 1] > at; i--)
        p->end[i] = p->end[i - 1];
    p->end[i] = at;
    p->ends++;
}

/* Up to n ends; one that is there already is none of them. */
static void place_ends(const struct cache *c, struct prompt *p, int n) {
    int most = p->ends + n;
    int64_t power = 1;
    if (n == 0)
        return;
    add_end(p, p->blocks);
    switch (c->rule->place) {
    case PROVIDER_TURNS:
        for (int64_t i = p->blocks - 1; i > 0 && p->ends < most; i--)
            if (c->prompt_end[p->id[i - 1]])
                add_end(p, i);
        break;
    case PROVIDER_SPREAD:
        for (int64_t i = 1; i < n; i++)
            add_end(p, (i * p->blocks + n - 1) / n);
        break;
    case PROVIDER_DOUBLE:
        while (power * 2 < p->blocks)
            power *= 2;
        for (; power > 0 && p->ends < most; power /= 2)
            if (power < p->blocks)
                add_end(p, power);
        break;
    }
}

static void find_ends(const struct cache *c, struct prompt *p) {
    int64_t head = c->rule->head_tokens / c->b->block_tokens;
    int n = c->rule->breakpoints;
    int short_ones = 0;
    if (head > 0 && head <= p->blocks)
        add_end(p, head);
    place_ends(c, p, head > 0 ? n - 1 : n);
    while (short_ones < p->ends && !tokens_to(c, p, p->end[short_ones]))
        short_ones++;
    for (int i = short_ones; i < p->ends; i++)
        p->end[i - short_ones] = p->end[i];
    p->ends -= short_ones;
}

/* The longest prefix that ends within reach of an end of the request and is alive at `now`. */
static int64_t find_prefix(const struct cache *c, const struct prompt *p, int64_t now) {
    int64_t lookback = c->rule->lookback ? c->rule->lookback : INT64_MAX;
    int next = p->ends - 1;     /* the first end that is not before i */
    for (int64_t i = p->last; i > 0 && tokens_to(c, p, i); i--) {
        while (next > 0 && p->end[next - 1] >= i)
            next--;
        if (p->end[next] - i <= lookback && c->until[p->id[i - 1]] >= now)
            return i;
    }
    return 0;
}

static void look_up_ends(const struct cache *c, struct prompt *p) {
    find_ends(c, p);
    p->last = p->ends ? p->end[p->ends - 1] : 0;
    p->hit = find_prefix(c, p, p->now);
    p->could_hit = find_prefix(c, p, NEVER + 1);
    p->renewed = c->rule->renew ? p->hit : 0;
}

static int ends_inside_block(const struct cache *c, const struct prompt *p) {
    return p->blocks > 1 && p->blocks * c->b->block_tokens > p->input;
}

static void keep_ends(struct cache *c, const struct prompt *p) {
    int64_t until = add_time(p->now, c->rule->ttl_ns);
    if (p->renewed)
        c->until[p->id[p->hit - 1]] = until;
    for (int i = 0; i < p->ends; i++) {
        int64_t at = p->end[i];
        if (at <= p->hit && !c->rule->renew)
            continue;
        c->until[p->id[at - 1]] = until;
        if (at == p->blocks && ends_inside_block(c, p) && (c->rule->renew || at - 1 > p->hit))
            c->until[p->id[at - 2]] = until;
    }
    if (!c->prompt_end || p->blocks == 0)
        return;
    c->prompt_end[p->id[p->blocks - 1]] = 1;
    if (ends_inside_block(c, p))
        c->prompt_end[p->id[p->blocks - 2]] = 1;
}

/* ---- requests --------------------------------------------------------------------------- */

/* Tokens of block i that are cached when the i blocks before it are. */
static int64_t own_tokens(const struct cache *c, const struct prompt *p, int64_t i) {
    int64_t step = c->rule->step_tokens;
    int64_t from = i * c->b->block_tokens;
    int64_t to = from + c->b->block_tokens;
    to = to < p->input ? to : p->input;
    from = from < to ? from : to;
    return (to - to % step) - (from - from % step);
}

/* Block i is paid for from now, or from when it is paid for already, to the end of its new life:
 * how many token-hours that adds. */
static double store_block(struct cache *c, const struct prompt *p, int64_t i) {
    int64_t *stored = &c->stored[p->id[i]];
    int64_t until = add_time(p->now, c->rule->ttl_ns);
    int64_t from = *stored > p->now ? *stored : p->now;
    *stored = until > from ? until : from;
    return (double)own_tokens(c, p, i) * (double)(*stored - from) / HOUR_NS;
}

static double store_blocks(struct cache *c, const struct prompt *p) {
    double sum = 0;
    for (int64_t i = 0; i < p->renewed; i++)
        sum += store_block(c, p, i);
    for (int64_t i = p->hit; i < p->last; i++)
        sum += store_block(c, p, i);
    return sum;
}

static void add_request(struct provider_tally *t, const struct provider_tally *one) {
    t->requests += one->requests;
    t->hit_requests += one->hit_requests;
    t->input_tokens += one->input_tokens;
    t->output_tokens += one->output_tokens;
    t->hit_tokens += one->hit_tokens;
    t->written_tokens += one->written_tokens;
    t->fresh_tokens += one->fresh_tokens;
    t->expired_tokens += one->expired_tokens;
    t->stored_hours += one->stored_hours;
}

static void run_request(struct cache *c, int64_t r, struct provider_tally *one) {
    const struct blocks *b = c->b;
    struct prompt p = {.id = b->id + b->first[r], .blocks = b->first[r + 1] - b->first[r],
                       .input = b->input[r], .now = b->time_ns[r]};
    if (c->rule->breakpoints)
        look_up_ends(c, &p);
    else
        look_up_blocks(c, &p);
    int64_t hit = tokens_to(c, &p, p.hit);
    int64_t cached = tokens_to(c, &p, p.last);
    *one = (struct provider_tally){
        .requests = 1, .hit_requests = hit > 0, .input_tokens = p.input,
        .output_tokens = b->output[r], .hit_tokens = hit, .written_tokens = cached - hit,
        .fresh_tokens = p.input - cached, .expired_tokens = tokens_to(c, &p, p.could_hit) - hit};
    if (c->stored)
        one->stored_hours = store_blocks(c, &p);
    if (c->rule->breakpoints)
        keep_ends(c, &p);
    else
        keep_blocks(c, &p);
}

int provider_run(const struct blocks *b, const struct provider_rule *rule,
                 struct provider_tally *all, struct provider_tally *session, struct err *err) {
    struct cache c = {.b = b, .rule = rule};
    *all = (struct provider_tally){0};
    if (!b->time_ns)
        return err_set(err, "the trace has no timestamps: a time to live needs them");
    c.until = mem_array(b->unique, sizeof *c.until);
    for (uint32_t i = 0; i < b->unique; i++)
        c.until[i] = NEVER;
    if (rule->storage > 0)
        c.stored = mem_array(b->unique, sizeof *c.stored);
    if (rule->breakpoints && rule->place == PROVIDER_TURNS)
        c.prompt_end = mem_array(b->unique, 1);
    for (uint32_t i = 0; session && i <= b->sessions; i++)
        session[i] = (struct provider_tally){0};
    for (int64_t r = 0; r < b->requests; r++) {
        struct provider_tally one;
        run_request(&c, r, &one);
        add_request(all, &one);
        if (session) {
            uint32_t s = b->session ? b->session[r] : REQS_NO_SESSION;
            add_request(&session[s < b->sessions ? s : b->sessions], &one);
        }
    }
    free(c.until);
    free(c.stored);
    free(c.prompt_end);
    return 0;
}

/* ---- money ------------------------------------------------------------------------------ */

double provider_uncached(const struct provider_rule *rule, const struct provider_tally *t) {
    return (double)t->input_tokens + rule->output * (double)t->output_tokens;
}

/* What caching adds to a cost (below 0: saves), without the parts that are the same. */
static double added_cost(const struct provider_rule *rule, const struct provider_tally *t) {
    return (rule->read - 1) * (double)t->hit_tokens + (rule->write - 1) * (double)t->written_tokens
           + rule->storage * t->stored_hours;
}

double provider_cost(const struct provider_rule *rule, const struct provider_tally *t) {
    return provider_uncached(rule, t) + added_cost(rule, t);
}

double provider_breakeven_reads(const struct provider_rule *rule, const struct provider_tally *t) {
    double written = (double)t->written_tokens;
    if (t->written_tokens == 0)
        return NAN;
    if (rule->read >= 1)
        return INFINITY;
    return (rule->write - 1 + rule->storage * t->stored_hours / written) / (1 - rule->read);
}

double provider_breakeven_hits(const struct provider_rule *rule, const struct provider_tally *t) {
    double reads = provider_breakeven_reads(rule, t);
    double cached = (double)(t->hit_tokens + t->written_tokens) / (double)t->input_tokens;
    if (isinf(reads))
        return NAN;
    return reads <= 0 ? 0 : cached * reads / (1 + reads);
}

double provider_breakeven_interval(const struct provider_rule *rule) {
    return rule->storage > 0 ? 3600 * (1 - rule->read) / rule->storage : NAN;
}

static int saves(const struct blocks *b, struct provider_rule rule, int64_t seconds) {
    struct provider_tally t;
    rule.ttl_ns = seconds > INT64_MAX / SECOND ? INT64_MAX : seconds * SECOND;
    return provider_run(b, &rule, &t, NULL, NULL) == 0 && added_cost(&rule, &t) < 0;
}

double provider_breakeven_ttl(const struct blocks *b, const struct provider_rule *rule) {
    if (!b->time_ns || b->requests == 0)
        return NAN;
    int64_t whole = (b->time_ns[b->requests - 1] - b->time_ns[0]) / SECOND + 1;
    int64_t low = 0;
    int64_t high = 1;
    while (!saves(b, *rule, high)) {
        if (high >= whole)
            return NAN;
        low = high;
        high = high * 2 < whole ? high * 2 : whole;
    }
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (saves(b, *rule, middle))
            high = middle;
        else
            low = middle;
    }
    return (double)high;
}
