/* growth_take.c - what a record says about cost and length, see growth.h
 *
 * Steps of a prompt add up until the request's first token of its own, its record, or the end of
 * the run; everything else is a point at once.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bench/growth_impl.h"

static int is(const struct growth_record *r, int word, const char *text) {
    return r->word[word].len == strlen(text) && !memcmp(r->word[word].data, text, strlen(text));
}

/* Sum of some fields that follow each other; NAN without any, a missing one being 0. */
static double sum_of(const struct growth_record *r, int first, int last) {
    double sum = NAN;
    for (int i = first; i <= last; i++)
        if (!isnan(r->number[i]))
            sum = (isnan(sum) ? 0 : sum) + r->number[i];
    return sum;
}

/* ---- steps -------------------------------------------------------------------------------- */

static void step_costs(const struct growth_record *r, double cost[GROWTH_COSTS]) {
    cost[GROWTH_NS] = r->number[R_NS];
    cost[GROWTH_FLOPS] = sum_of(r, R_FLOPS_ATTENTION, R_FLOPS_HEAD);
    cost[GROWTH_BYTES] = sum_of(r, R_DENSE_READ, R_KV_WRITE);
    cost[GROWTH_JOULES] = r->number[R_JOULES];
    cost[GROWTH_Y] = NAN;
}

static struct growth_prompt *find_prompt(struct growth *g, uint32_t request) {
    for (size_t i = g->prompts; i-- > 0;)       /* those that began last go on first */
        if (g->prompt[i].request == request)
            return &g->prompt[i];
    return NULL;
}

static struct growth_prompt *open_prompt(struct growth *g, uint32_t request) {
    if (g->prompts == g->prompt_room) {
        g->prompt_room = g->prompt_room ? 2 * g->prompt_room : 64;
        g->prompt = mem_grow(g->prompt, g->prompt_room, sizeof *g->prompt);
    }
    struct growth_prompt *p = &g->prompt[g->prompts++];
    *p = (struct growth_prompt){.request = request, .whole = 1};
    return p;
}

static struct growth_slot *find_slot(struct growth *g, uint32_t request) {
    size_t at = request * 2654435769u;
    while (g->slot[at & (g->slots - 1)].unit && g->slot[at & (g->slots - 1)].request != request)
        at++;
    return &g->slot[at & (g->slots - 1)];
}

/* What a request's points are measured with; its numbers need not be dense. */
static uint32_t unit_of(struct growth *g, uint32_t request) {
    if (2 * g->slots_used >= g->slots) {
        struct growth_slot *old = g->slot;
        size_t slots = g->slots;
        g->slots = slots ? 2 * slots : 64;
        g->slot = mem_array(g->slots, sizeof *g->slot);
        for (size_t i = 0; i < slots; i++)
            if (old[i].unit)
                *find_slot(g, old[i].request) = old[i];
        free(old);
    }
    struct growth_slot *s = find_slot(g, request);
    if (!s->unit) {
        *s = (struct growth_slot){request, ++g->units};
        g->slots_used++;
    }
    return s->unit - 1;
}

static void close_prompt(struct growth *g, uint32_t request) {
    struct growth_prompt *p = find_prompt(g, request);
    if (!p)
        return;
    for (int c = 0; p->whole && c < GROWTH_COSTS; c++)
        growth_add(g, GROWTH_PREFILL, (enum growth_cost)c, p->tokens, p->cost[c],
                   unit_of(g, request));
    *p = g->prompt[--g->prompts];
}

void growth_end_run(struct growth *g) {
    while (g->prompts)
        close_prompt(g, g->prompt[g->prompts - 1].request);
    if (g->slots_used)
        memset(g->slot, 0, g->slots * sizeof *g->slot);
    g->slots_used = 0;
    g->steps = 0;
}

static void spoil(struct growth *g, uint32_t request) {
    struct growth_prompt *p = find_prompt(g, request);
    p = p ? p : open_prompt(g, request);
    p->whole = 0;
}

static void take_prefill(struct growth *g, const struct growth_record *r, uint32_t request) {
    double cost[GROWTH_COSTS];
    struct growth_prompt *p = find_prompt(g, request);
    int begins = !p;
    p = p ? p : open_prompt(g, request);
    if (r->number[R_POSITION] != p->tokens && p->whole) {
        p->whole = 0;
        begins ? g->left.cached++ : g->left.broken++;
    }
    step_costs(r, cost);
    p->tokens += r->number[R_TOKENS];
    for (int c = 0; c < GROWTH_COSTS; c++)
        p->cost[c] += cost[c];
}

/* Where a step made several tokens of one request, each has its share, at their middle. */
static void take_decode(struct growth *g, const struct growth_record *r, uint32_t request) {
    double cost[GROWTH_COSTS];
    double tokens = r->number[R_TOKENS];
    close_prompt(g, request);
    step_costs(r, cost);
    for (int c = 0; c < GROWTH_COSTS; c++)
        growth_add(g, GROWTH_DECODE, (enum growth_cost)c,
                   r->number[R_POSITION] + (tokens - 1) / 2, cost[c] / tokens,
                   unit_of(g, request));
}

static void take_step(struct growth *g, const struct growth_record *r) {
    double request = r->number[R_REQUEST];
    g->steps = 1;
    if (r->number[R_REQUESTS] > 1 || is(r, R_PHASE, "mixed")) {
        g->left.shared++;
        for (size_t i = 0; i < r->prefills; i++)
            spoil(g, r->prefill[i]);
        return;
    }
    if (isnan(request))
        request = 0;                    /* a trace of one sequence need not number it */
    if (!(request >= 0 && request < UINT32_MAX && r->number[R_TOKENS] >= 1 &&
          r->number[R_POSITION] >= 0))
        g->left.unknown++;
    else if (is(r, R_PHASE, "prefill"))
        take_prefill(g, r, (uint32_t)request);
    else if (is(r, R_PHASE, "decode"))
        take_decode(g, r, (uint32_t)request);
    else
        g->left.unknown++;
}

/* ---- requests ----------------------------------------------------------------------------- */

/* Of a request that no step has measured: what its user saw. */
static void take_timings(struct growth *g, const struct growth_record *r) {
    const double *v = r->number;
    uint32_t unit = g->units++;
    double ttft_ms = isnan(v[R_TTFT_SENT_MS]) ? v[R_TTFT_MS] : v[R_TTFT_SENT_MS];
    double ttft = isnan(v[R_TTFT_NS]) ? ttft_ms * 1e6 : v[R_TTFT_NS];
    double token = v[R_TPOT_MS] * 1e6;
    if (isnan(token) && v[R_OUTPUT] > 1)
        token = (v[R_TOTAL_NS] - ttft) / (v[R_OUTPUT] - 1);
    if (v[R_CACHED] > 0)
        g->left.cached++;
    else
        growth_add(g, GROWTH_PREFILL, GROWTH_NS, v[R_INPUT], ttft, unit);
    /* The first token came with the prompt; the others follow it. */
    growth_add(g, GROWTH_DECODE, GROWTH_NS, v[R_INPUT] + v[R_OUTPUT] / 2, token, unit);
}

static void take_request(struct growth *g, const struct growth_record *r) {
    double request = r->number[R_REQUEST];
    if (g->steps && request >= 0 && request < UINT32_MAX)
        close_prompt(g, (uint32_t)request);
    else if (r->warmup)
        return;
    else if (r->word[R_END].len && !is(r, R_END, "ok"))
        g->left.broken++;
    else if (!g->steps)
        take_timings(g, r);
}

/* ---- rows --------------------------------------------------------------------------------- */

/* n tokens, behind depth others, took ns[samples] each time. */
static void take_times(struct growth *g, enum growth_phase phase, double tokens, double depth,
                       const double *ns, size_t samples) {
    for (size_t i = 0; i < samples; i++)
        if (phase == GROWTH_PREFILL)
            growth_add(g, phase, GROWTH_NS, tokens, ns[i], g->units++);
        else
            growth_add(g, phase, GROWTH_NS, depth + (tokens - 1) / 2, ns[i] / tokens,
                       g->units++);
}

/* Whether a row's name begins with a phase and says no other: "prefill512", "decode64@4096". */
static int phase_of(const struct growth_record *r) {
    const struct reqs_text *name = &r->word[R_NAME];
    if (name->len && memchr(name->data, '+', name->len))
        return -1;
    if (name->len >= 7 && !memcmp(name->data, "prefill", 7))
        return GROWTH_PREFILL;
    return name->len >= 6 && !memcmp(name->data, "decode", 6) ? GROWTH_DECODE : -1;
}

static void take_row(struct growth *g, const struct growth_record *r) {
    const double *v = r->number;
    double tokens = v[R_TOKENS];
    double depth = v[R_DEPTH] > 0 ? v[R_DEPTH] : 0;
    int phase = phase_of(r);
    if (phase < 0 || v[R_PARALLEL] > 1) {
        g->left.mixtures++;
        return;
    }
    if (phase == GROWTH_PREFILL && depth > 0) {
        g->left.cached++;
        return;
    }
    size_t n = r->samples ? r->samples : 1;
    double *ns = mem_array(n, sizeof *ns);
    for (size_t i = 0; i < n; i++)      /* rates: tokens a second */
        ns[i] = 1e9 * tokens / (r->samples ? r->sample[i] : v[R_VALUE]);
    take_times(g, (enum growth_phase)phase, tokens, depth, ns, n);
    free(ns);

    double x = phase == GROWTH_PREFILL ? tokens : depth + (tokens - 1) / 2;
    double share = phase == GROWTH_PREFILL ? tokens : 1;
    uint32_t unit = g->units++;
    double bytes = sum_of(r, R_WEIGHT_PER_TOKEN, R_KV_WRITE_PER_TOKEN);
    growth_add(g, (enum growth_phase)phase, GROWTH_FLOPS, x, share * v[R_FLOPS_PER_TOKEN], unit);
    growth_add(g, (enum growth_phase)phase, GROWTH_BYTES, x, share * bytes, unit);
    growth_add(g, (enum growth_phase)phase, GROWTH_JOULES, x, share * v[R_JOULES_PER_TOKEN],
               unit);
}

static void take_llama_bench(struct growth *g, const struct growth_record *r) {
    const double *v = r->number;
    const double *ns = r->samples ? r->sample : &v[R_AVG_NS];
    size_t n = r->samples ? r->samples : 1;
    double depth = v[R_N_DEPTH] > 0 ? v[R_N_DEPTH] : 0;
    if (v[R_N_PROMPT] > 0 && v[R_N_GEN] > 0)
        g->left.mixtures++;
    else if (v[R_N_GEN] > 0)
        take_times(g, GROWTH_DECODE, v[R_N_GEN], depth, ns, n);
    else if (depth > 0)
        g->left.cached++;
    else
        take_times(g, GROWTH_PREFILL, v[R_N_PROMPT], 0, ns, n);
}

void growth_take(struct growth *g, const struct growth_record *r) {
    if (is(r, R_TYPE, "run"))
        growth_end_run(g);
    else if (is(r, R_TYPE, "step"))
        take_step(g, r);
    else if (is(r, R_TYPE, "request") || (!r->word[R_TYPE].len && r->number[R_INPUT] > 0))
        take_request(g, r);
    else if (r->word[R_NAME].len && is(r, R_UNIT, "tok/s"))
        take_row(g, r);
    else if (!isnan(r->number[R_N_PROMPT]))
        take_llama_bench(g, r);
    else
        g->left.unknown++;
}
