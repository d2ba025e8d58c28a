/* gen.c - synthetic request traces, see gen.h
 *
 * Open sessions wait with their next request, which is drawn already. Every step takes the one
 * that is due first, or opens the next session when that one comes before.
 */
#include "lib/cache/gen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cache/agenda.h"

struct gen_options gen_defaults(void) {
    return (struct gen_options){
        .sessions = 100, .seed = 1, .turns = 5, .rate = 1, .think_s = 30, .systems = 20,
        .system_tokens = 1500, .zipf = 1, .user_tokens = 200, .output_tokens = 300, .spread = 1,
        .context = 131072, .block_tokens = 512};
}

/* ---- random numbers --------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t draw(uint64_t *state) {
    return mix(*state += 0x9E3779B97F4A7C15u);
}

enum stream { STREAM_ARRIVALS, STREAM_SESSION, STREAM_SYSTEM };

/* Where the numbers of one thing begin; things do not see how many numbers another one drew. */
static uint64_t start_stream(uint64_t seed, enum stream kind, int64_t index) {
    return mix(mix(mix(seed) + kind) + (uint64_t)index);
}

/* In (0, 1]. */
static double draw_uniform(uint64_t *state) {
    return (double)((draw(state) >> 11) + 1) * 0x1p-53;
}

/* ln x for normal x > 0: x = 2^e m with m around 1, and ln m = 2 artanh((m - 1) / (m + 1)). The
 * series' first term left out is below 1e-18. */
static double portable_log(double x) {
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) {
        m *= 2;
        e--;
    }
    double s = (m - 1) / (m + 1);
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * (s * s) + 1.0 / k;
    return 2 * s * sum + e * 0.69314718055994531;
}

/* e^x for |x| < 700: x = k ln 2 + r, |r| < 0.35, and the power series of e^r. */
static double portable_exp(double x) {
    double k = floor(x * 1.4426950408889634 + 0.5);
    double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
    double sum = 1;
    for (int i = 15; i >= 1; i--)
        sum = 1 + sum * r / i;
    return ldexp(sum, (int)k);
}

/* Standard normal, by the polar method (Marsaglia, Bray 1964). */
static double draw_normal(uint64_t *state) {
    double x, square;
    do {
        x = 2 * draw_uniform(state) - 1;
        double y = 2 * draw_uniform(state) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * portable_log(square) / square);
}

/* Log-normal with this mean. */
static double draw_spread(uint64_t *state, double mean, double sigma) {
    double x = sigma * draw_normal(state) - sigma * sigma / 2;
    return mean * portable_exp(x < -600 ? -600 : x > 600 ? 600 : x);
}

static double draw_exponential(uint64_t *state, double mean) {
    return -mean * portable_log(draw_uniform(state));
}

/* The nearest whole number in [min, max]. */
static int64_t round_within(double x, int64_t min, int64_t max) {
    if (x >= (double)max)
        return max;
    int64_t n = (int64_t)(x + 0.5);
    return n < min ? min : n;
}

/* ---- state ------------------------------------------------------------------------------ */

struct session {
    int64_t time_ms;            /* of its next request */
    int64_t number;
    int64_t turn;
    int64_t system;
    uint64_t random;
    int64_t input, output;      /* tokens of its next request */
    uint64_t *block;            /* [cap] ids of the full blocks, and room for one that is not */
    int64_t full, cap;
};

struct system_prompt {
    int64_t tokens;             /* 0: not used yet */
    uint64_t *block;            /* its full ones */
};

struct gen {
    struct gen_options opt;
    double *popularity;         /* [systems] running sum of k^-zipf */
    struct system_prompt *system;
    uint64_t arrivals;          /* random numbers */
    double next_s;              /* when the next session comes */
    int64_t opened;
    uint64_t ids;               /* given out */
    struct agenda waiting;      /* open sessions, by the time of their next request */
    struct session *current;    /* the one whose request was handed out; it does not wait */
};

static void free_session(struct session *s) {
    if (s)
        free(s->block);
    free(s);
}

struct gen *gen_new(const struct gen_options *opt) {
    struct gen *g = mem_alloc(sizeof *g);
    g->opt = *opt;
    g->popularity = mem_array((size_t)opt->systems, sizeof *g->popularity);
    g->system = mem_array((size_t)opt->systems, sizeof *g->system);
    double sum = 0;
    for (int64_t k = 0; k < opt->systems; k++) {
        double x = opt->zipf * portable_log((double)(k + 1));
        g->popularity[k] = sum += x > 600 ? 0 : portable_exp(-x);
    }
    g->arrivals = start_stream(opt->seed, STREAM_ARRIVALS, 0);
    g->next_s = draw_exponential(&g->arrivals, 1 / opt->rate);
    return g;
}

void gen_free(struct gen *g) {
    if (!g)
        return;
    for (int64_t i = 0; i < g->waiting.n; i++)
        free_session(g->waiting.event[i].who);
    for (int64_t k = 0; k < g->opt.systems; k++)
        free(g->system[k].block);
    free_session(g->current);
    agenda_free(&g->waiting);
    free(g->system);
    free(g->popularity);
    free(g);
}

/* ---- sessions --------------------------------------------------------------------------- */

static int64_t draw_tokens(struct gen *g, uint64_t *random, double mean, int64_t most) {
    return round_within(draw_spread(random, mean, g->opt.spread), 1, most);
}

static int64_t choose_system(struct gen *g, uint64_t *random) {
    int64_t low = 0;
    int64_t high = g->opt.systems - 1;
    double x = draw_uniform(random) * g->popularity[high];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (g->popularity[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Room for n full blocks and the one that is not. */
static void reserve_blocks(struct session *s, int64_t n) {
    if (n < s->cap)
        return;
    s->cap = n + n / 2 + 4;
    s->block = mem_grow(s->block, (size_t)s->cap, sizeof *s->block);
}

static void add_blocks(struct gen *g, struct session *s, int64_t n) {
    reserve_blocks(s, n);
    while (s->full < n)
        s->block[s->full++] = g->ids++;
}

/* Begins the session with system prompt k; returns the prompt's tokens. The first session to use
 * it names its blocks. */
static int64_t begin_with_system(struct gen *g, struct session *s, int64_t k) {
    struct system_prompt *p = &g->system[k];
    if (!p->tokens) {
        uint64_t random = start_stream(g->opt.seed, STREAM_SYSTEM, k);
        p->tokens = draw_tokens(g, &random, g->opt.system_tokens, g->opt.context - 2);
    }
    int64_t full = p->tokens / g->opt.block_tokens;
    if (p->block) {
        reserve_blocks(s, full);
        memcpy(s->block, p->block, (size_t)full * sizeof *p->block);
        s->full = full;
    } else if (full > 0) {
        add_blocks(g, s, full);
        p->block = mem_array((size_t)full, sizeof *p->block);
        memcpy(p->block, s->block, (size_t)full * sizeof *p->block);
    }
    return p->tokens;
}

/* When the next session comes; never after the last one. */
static int64_t next_arrival_ms(const struct gen *g) {
    return g->opened < g->opt.sessions ? round_within(g->next_s * 1000, 0, INT64_MAX) : INT64_MAX;
}

/* Its first request is cut to the context, so that there is one. */
static struct session *open_session(struct gen *g) {
    struct session *s = mem_alloc(sizeof *s);
    const struct gen_options *o = &g->opt;
    s->time_ms = next_arrival_ms(g);
    s->number = g->opened++;
    s->random = start_stream(o->seed, STREAM_SESSION, s->number);
    s->system = o->systems > 0 ? choose_system(g, &s->random) : -1;
    int64_t system = s->system >= 0 ? begin_with_system(g, s, s->system) : 0;
    s->input = system + draw_tokens(g, &s->random, o->user_tokens, o->context - system - 1);
    s->output = draw_tokens(g, &s->random, o->output_tokens, o->context - s->input);
    g->next_s += draw_exponential(&g->arrivals, 1 / o->rate);
    return s;
}

/* Draws the session's next request: 0 when it has none, by choice or for want of context. */
static int go_on(struct gen *g, struct session *s) {
    const struct gen_options *o = &g->opt;
    if (draw_uniform(&s->random) * o->turns <= 1)
        return 0;
    int64_t most = o->context;
    int64_t before = s->input + s->output;
    int64_t user = draw_tokens(g, &s->random, o->user_tokens, most);
    int64_t output = draw_tokens(g, &s->random, o->output_tokens, most);
    double think = draw_spread(&s->random, o->think_s, o->spread);
    if (before + user + output > most)
        return 0;
    s->turn++;
    s->input = before + user;
    s->output = output;
    s->time_ms += round_within(think * 1000, 0, INT64_MAX - s->time_ms);
    return 1;
}

/* The session of the next request; NULL after the last one. */
static struct session *take_next(struct gen *g) {
    if (g->waiting.n > 0 && g->waiting.event[0].time <= next_arrival_ms(g)) {
        struct session *s = g->waiting.event[0].who;
        agenda_drop(&g->waiting);
        return s;
    }
    return g->opened < g->opt.sessions ? open_session(g) : NULL;
}

int gen_next(struct gen *g, struct gen_request *out) {
    struct session *s = g->current;
    if (s && go_on(g, s))
        agenda_add(&g->waiting, (struct agenda_event){
            .time = s->time_ms, .order = s->number, .who = s});
    else
        free_session(s);
    s = g->current = take_next(g);
    if (!s)
        return 0;
    add_blocks(g, s, s->input / g->opt.block_tokens);
    int rest = s->input % g->opt.block_tokens != 0;
    if (rest)
        s->block[s->full] = g->ids++;
    *out = (struct gen_request){
        .time_ms = s->time_ms, .session = s->number, .turn = s->turn, .system = s->system,
        .input_tokens = s->input, .output_tokens = s->output, .block = s->block,
        .blocks = s->full + rest};
    return 1;
}

/* ---- text ------------------------------------------------------------------------------- */

#define DIGITS 20               /* of the largest 64-bit number */

/* Most of a trace's bytes are ids: printf would take longer than all the rest. */
static char *put_number(char *at, uint64_t v) {
    char digit[DIGITS];
    int n = 0;
    do {
        digit[n++] = (char)('0' + v % 10);
    } while (v /= 10);
    while (n)
        *at++ = digit[--n];
    return at;
}

static void print_field(struct buf *out, const char *name, int64_t v) {
    buf_adds(out, name);
    buf_reserve(out, DIGITS + 1);
    out->len = (size_t)(put_number(out->data + out->len, (uint64_t)v) - out->data);
}

void gen_print(struct buf *out, const struct gen_request *q) {
    print_field(out, "{\"timestamp\":", q->time_ms);
    print_field(out, ",\"input_length\":", q->input_tokens);
    print_field(out, ",\"output_length\":", q->output_tokens);
    buf_adds(out, ",\"hash_ids\":[");
    buf_reserve(out, (size_t)q->blocks * (DIGITS + 1));
    char *at = out->data + out->len;
    for (int64_t i = 0; i < q->blocks; i++) {
        if (i)
            *at++ = ',';
        at = put_number(at, q->block[i]);
    }
    out->len = (size_t)(at - out->data);
    print_field(out, "],\"session_id\":", q->session);
    buf_adds(out, "}\n");
}
