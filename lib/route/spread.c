/* spread.c - unique experts of consecutive tokens
 *
 * A trace becomes sequences; each pass over them goes token by token, all layers of a token
 * together, as they lie in memory. All lengths at once are in spread_curve.c, batches and formulas
 * in spread_batch.c.
 */
#include "lib/route/spread_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* ---- sequences ---------------------------------------------------------------------------- */

struct place {
    uint32_t request;
    int64_t token;
};

/* Tokens of a request keep the order of the trace. */
static int by_request(const void *a, const void *b) {
    const struct place *x = a;
    const struct place *y = b;
    if (x->request != y->request)
        return x->request < y->request ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static int has_decode(const struct routed_set *set) {
    for (int64_t t = 0; t < set->tokens; t++)
        if (set->phase[t] == TRACE_DECODE && set->accepted[t])
            return 1;
    return 0;
}

static int is_wanted(const struct spread *s, int64_t t, enum spread_phase phase) {
    int decode = s->set->phase[t] == TRACE_DECODE;
    return (s->set->accepted[t] || s->windows == SPREAD_PASSES) &&
           (phase == SPREAD_ALL || decode == (phase == SPREAD_DECODE));
}

static int64_t take_places(const struct spread *s, enum spread_phase phase, struct place *place) {
    const struct routed_set *set = s->set;
    int64_t n = 0;
    int sorted = 1;
    for (int64_t t = 0; t < set->tokens; t++)
        if (is_wanted(s, t, phase)) {
            place[n] = (struct place){set->request[t], t};
            sorted &= n == 0 || place[n - 1].request <= place[n].request;
            n++;
        }
    if (!sorted)
        qsort(place, (size_t)n, sizeof *place, by_request);
    return n;
}

static void add_sequence(struct spread *s, int64_t start, uint32_t request) {
    if ((s->sequences & (s->sequences - 1)) == 0) {
        size_t room = (size_t)s->sequences * 2 + 2;
        s->start = mem_grow(s->start, room, sizeof *s->start);
        s->request = mem_grow(s->request, room, sizeof *s->request);
    }
    s->start[s->sequences] = start;
    s->request[s->sequences++] = request;
}

/* The token behind the last of the pass that holds token t. */
static int64_t pass_end(const struct routed_set *set, int64_t t) {
    int64_t low = 0;
    int64_t high = set->passes;
    while (low + 1 < high) {
        int64_t middle = low + (high - low) / 2;
        if (set->pass[middle] <= t)
            low = middle;
        else
            high = middle;
    }
    return set->pass[low + 1];
}

/* Whether token b does not go on where token a of the same request ended. */
static int is_cut(const struct spread *s, int64_t a, int64_t b) {
    if (s->windows == SPREAD_PASSES)
        return pass_end(s->set, a) <= b;
    return s->set->position[b] != s->set->position[a] + 1;
}

static void cut_sequences(struct spread *s, const struct place *place) {
    for (int64_t i = 0; i < s->tokens; i++) {
        s->token[i] = place[i].token;
        int other = i == 0 || place[i].request != place[i - 1].request;
        s->requests += (uint32_t)other;
        if (other || is_cut(s, place[i - 1].token, place[i].token))
            add_sequence(s, i, s->requests - 1);
    }
    if (!s->start)
        s->start = mem_array(1, sizeof *s->start);
    s->start[s->sequences] = s->tokens;
}

/* Each expert of a token counts once, though it be there twice. */
static void count_uses(struct spread *s) {
    const struct routed_model *m = &s->set->model;
    size_t cells = (size_t)m->layers * (size_t)m->experts + 1;
    int64_t *last = mem_array(cells, sizeof *last);         /* token that used it last, + 1 */
    s->use = mem_array(cells, sizeof *s->use);
    s->whole = mem_array((size_t)m->layers + 1, sizeof *s->whole);
    for (int64_t t = 0; t < s->tokens; t++) {
        const int16_t *id = routed_at(s->set, s->token[t], 0);
        for (int l = 0; l < m->layers; l++, id += m->k) {
            size_t row = (size_t)l * (size_t)m->experts;
            for (int i = 0; i < m->k; i++)
                if (id[i] >= 0) {
                    s->use[row + (size_t)id[i]] += last[row + (size_t)id[i]] != t + 1;
                    last[row + (size_t)id[i]] = t + 1;
                }
            s->whole[l] += spread_has(id, m->k);
        }
    }
    free(last);
}

struct spread *spread_new(const struct routed_set *set, enum spread_phase phase,
                          enum spread_windows windows) {
    struct spread *s = mem_alloc(sizeof *s);
    struct place *place = mem_array((size_t)set->tokens + 1, sizeof *place);
    if (phase == SPREAD_BEST)
        phase = has_decode(set) ? SPREAD_DECODE : SPREAD_ALL;
    s->set = set;
    s->windows = windows;
    s->tokens = take_places(s, phase, place);
    s->token = mem_array((size_t)s->tokens + 1, sizeof *s->token);
    cut_sequences(s, place);
    count_uses(s);
    free(place);
    return s;
}

void spread_free(struct spread *s) {
    if (!s)
        return;
    free(s->whole);
    free(s->use);
    free(s->request);
    free(s->start);
    free(s->token);
    free(s);
}

int64_t spread_tokens(const struct spread *s) {
    return s->tokens;
}

int64_t spread_requests(const struct spread *s) {
    return s->requests;
}

static int64_t length_of(const struct spread *s, int64_t sequence) {
    return s->start[sequence + 1] - s->start[sequence];
}

int64_t spread_longest(const struct spread *s) {
    int64_t most = 0;
    for (int64_t i = 0; i < s->sequences; i++)
        most = length_of(s, i) > most ? length_of(s, i) : most;
    return most;
}

/* ---- windows ------------------------------------------------------------------------------ */

static int64_t windows_of(const struct spread *s, int64_t tokens, int64_t b) {
    if (tokens < b)
        return 0;
    if (s->windows == SPREAD_PASSES)
        return tokens == b;
    return s->windows == SPREAD_SLIDING ? tokens - b + 1 : tokens / b;
}

static int64_t count_windows(const struct spread *s, int64_t b) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->sequences; i++)
        n += windows_of(s, length_of(s, i), b);
    return n;
}

/* Takes the layers' unique experts of one window: unique[layers]; whole[layers] tokens of it that
 * have an expert there. */
typedef void take_window(void *arg, const int64_t *unique, const int64_t *whole);

struct walk {
    const struct spread *s;
    int64_t b;
    int64_t *uses;              /* [layers][experts] of the tokens in the window */
    int64_t *unique, *whole;    /* [layers] */
    take_window *take;
    void *arg;
};

/* A token enters (by 1) or leaves (by -1) the window. */
static void move_token(struct walk *w, int64_t at, int by) {
    const struct routed_model *m = &w->s->set->model;
    const int16_t *id = routed_at(w->s->set, w->s->token[at], 0);
    for (int l = 0; l < m->layers; l++, id += m->k) {
        int64_t *uses = w->uses + (size_t)l * (size_t)m->experts;
        int seen = 0;
        for (int i = 0; i < m->k; i++) {
            if (id[i] < 0)
                continue;
            int64_t before = uses[id[i]];
            uses[id[i]] = before + by;
            w->unique[l] += by > 0 ? before == 0 : -(before == 1);
            seen = 1;
        }
        w->whole[l] += seen ? by : 0;
    }
}

static void clear_walk(struct walk *w) {
    const struct routed_model *m = &w->s->set->model;
    size_t layers = (size_t)m->layers;
    memset(w->uses, 0, layers * (size_t)m->experts * sizeof *w->uses);
    memset(w->unique, 0, layers * sizeof *w->unique);
    memset(w->whole, 0, layers * sizeof *w->whole);
}

static void walk_sequence(struct walk *w, int64_t from, int64_t to) {
    int sliding = w->s->windows == SPREAD_SLIDING;
    int64_t begin = from;
    clear_walk(w);
    for (int64_t t = from; t < to; t++) {
        move_token(w, t, 1);
        if (t - begin + 1 < w->b)
            continue;
        w->take(w->arg, w->unique, w->whole);
        for (int64_t stay = sliding ? begin + 1 : t + 1; begin < stay; begin++)
            move_token(w, begin, -1);
    }
}

static void walk_windows(const struct spread *s, int64_t b, take_window *take, void *arg) {
    const struct routed_model *m = &s->set->model;
    size_t layers = (size_t)m->layers;
    struct walk w = {.s = s, .b = b, .take = take, .arg = arg};
    w.uses = mem_array(layers * (size_t)m->experts + 1, sizeof *w.uses);
    w.unique = mem_array(layers + 1, sizeof *w.unique);
    w.whole = mem_array(layers + 1, sizeof *w.whole);
    for (int64_t i = 0; i < s->sequences; i++)
        if (windows_of(s, length_of(s, i), b) > 0)
            walk_sequence(&w, s->start[i], s->start[i + 1]);
    free(w.whole);
    free(w.unique);
    free(w.uses);
}

struct layer_sums {
    int layers;
    int64_t b;
    double *sum, *windows;      /* [layers] */
};

static void take_layers(void *arg, const int64_t *unique, const int64_t *whole) {
    struct layer_sums *a = arg;
    for (int l = 0; l < a->layers; l++)
        if (whole[l] == a->b) {
            a->sum[l] += (double)unique[l];
            a->windows[l]++;
        }
}

int64_t spread_layers(const struct spread *s, int64_t b, double *mean) {
    int layers = s->set->model.layers;
    struct layer_sums a = {.layers = layers, .b = b, .sum = mean};
    a.windows = mem_array((size_t)layers + 1, sizeof *a.windows);
    for (int l = 0; l < layers; l++)
        mean[l] = 0;
    walk_windows(s, b, take_layers, &a);
    for (int l = 0; l < layers; l++)
        mean[l] = a.windows[l] > 0 ? mean[l] / a.windows[l] : NAN;
    free(a.windows);
    return count_windows(s, b);
}

/* ---- the mean and its interval ------------------------------------------------------------ */

struct series {
    int layers;
    int64_t b, n;
    const double *weight;       /* [layers] or NULL */
    double *sum, *of;           /* [windows] weighted unique experts, and the weights there */
};

static void take_series(void *arg, const int64_t *unique, const int64_t *whole) {
    struct series *a = arg;
    for (int l = 0; l < a->layers; l++) {
        double weight = a->weight ? a->weight[l] : 1;
        if (whole[l] != a->b)
            continue;
        a->sum[a->n] += weight * (double)unique[l];
        a->of[a->n] += weight;
    }
    a->n++;
}

/* Windows of a block. */
static int64_t block_windows(const struct spread *s, int64_t b) {
    double tokens = fmax((double)b, cbrt((double)s->tokens));
    return (int64_t)ceil(s->windows == SPREAD_SLIDING ? tokens : tokens / (double)b);
}

/* group[windows] becomes what is drawn together: a request, or a block of its windows in their
 * order (a rest of less than half a block goes to the others). Returns how many groups. */
static uint32_t make_groups(const struct spread *s, int64_t b, uint32_t *group) {
    int64_t block = block_windows(s, b);
    int64_t w = 0;
    uint32_t groups = 0;
    for (int64_t i = 0; i < s->sequences;) {
        uint32_t request = s->request[i];
        int64_t n = 0;
        for (; i < s->sequences && s->request[i] == request; i++)
            n += windows_of(s, length_of(s, i), b);
        int64_t blocks = s->requests < SPREAD_REQUESTS_DRAWN ? (n + block / 2) / block : 1;
        if (blocks < 1)
            blocks = n > 0;
        for (int64_t k = 0; k < n; k++)
            group[w++] = groups + (uint32_t)(k * blocks / n);
        groups += (uint32_t)blocks;
    }
    return groups;
}

static double ratio(const struct series *a) {
    double sum = 0;
    double of = 0;
    for (int64_t i = 0; i < a->n; i++) {
        sum += a->sum[i];
        of += a->of[i];
    }
    return of > 0 ? sum / of : NAN;
}

struct spread_mean spread_mean(const struct spread *s, int64_t b, const double *weight,
                               const struct boot *boot) {
    struct spread_mean out = {.windows = count_windows(s, b), .mean = NAN,
                              .interval = {NAN, NAN}};
    size_t n = (size_t)out.windows;
    if (n == 0)
        return out;
    struct series a = {.layers = s->set->model.layers, .b = b, .weight = weight};
    a.sum = mem_array(n, sizeof *a.sum);
    a.of = mem_array(n, sizeof *a.of);
    walk_windows(s, b, take_series, &a);
    out.mean = ratio(&a);
    if (boot && isfinite(out.mean)) {
        uint32_t *group = mem_array(n, sizeof *group);
        uint32_t groups = make_groups(s, b, group);
        out.interval = boot_ratio(a.sum, a.of, n, group, groups, boot);
        free(group);
    }
    free(a.of);
    free(a.sum);
    return out;
}
