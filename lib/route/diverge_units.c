/* diverge_units.c - cuts two parts of traces into units that may be shuffled as wholes, see
 * diverge_units.h
 *
 * First the tokens of a side in the order of topics, requests and time; then where units end; then
 * their counts.
 */
#include "lib/route/diverge_units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define ANCHORS 2000            /* tokens that the memory is measured from */
#define LAGS_MOST 1024
#define WINDOW 5                /* times tau: Sokal's */
#define FEW_UNITS 16            /* of the smaller side, for which the larger one may have more */
#define FEW_FACTOR 4

struct token {
    uint32_t topic, request;
    int64_t at;                 /* in its set */
};

/* One side, sorted. */
struct line {
    const struct routed_set *set;
    struct token *token;        /* [n] */
    int64_t n, requests;
    int64_t *end;               /* [units] where each unit ends */
    size_t units;
};

static int in_order(const void *a, const void *b) {
    const struct token *x = a;
    const struct token *y = b;
    if (x->topic != y->topic)
        return x->topic < y->topic ? -1 : 1;
    if (x->request != y->request)
        return x->request < y->request ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int begins_request(const struct line *l, int64_t i) {
    return i == 0 || l->token[i].topic != l->token[i - 1].topic ||
        l->token[i].request != l->token[i - 1].request;
}

static struct line line_of(const struct diverge_part *p) {
    struct line l = {.set = p->set, .n = p->set->tokens};
    int sorted = 1;
    l.token = mem_array(l.n ? (size_t)l.n : 1, sizeof *l.token);
    l.end = mem_array(l.n ? (size_t)l.n : 1, sizeof *l.end);
    for (int64_t i = 0; i < l.n; i++) {
        l.token[i] = (struct token){p->topic ? p->topic[i] : 0, p->set->request[i], i};
        sorted &= i == 0 || in_order(&l.token[i - 1], &l.token[i]) < 0;
    }
    if (!sorted)
        qsort(l.token, (size_t)l.n, sizeof *l.token, in_order);
    for (int64_t i = 0; i < l.n; i++)
        l.requests += begins_request(&l, i);
    return l;
}

static void line_free(struct line *l) {
    free(l->end);
    free(l->token);
}

/* ---- how long routes remember ------------------------------------------------------------- */

/* Sum over layers of the squared rates of experts. */
static double squared_rates(const struct routed_set *s, const int64_t *order, int64_t n) {
    size_t experts = (size_t)s->model.experts;
    double *count = mem_array((size_t)s->model.layers * experts, sizeof *count);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int l = 0; l < s->model.layers; l++)
            for (int j = 0; j < s->model.k; j++) {
                int e = routed_at(s, order[i], l)[j];
                if (e >= 0)
                    count[(size_t)l * experts + (size_t)e]++;
            }
    for (size_t i = 0; i < (size_t)s->model.layers * experts; i++)
        sum += count[i] / (double)n * (count[i] / (double)n);
    free(count);
    return sum;
}

static int shared(const int16_t *a, const int16_t *b, int k) {
    int sum = 0;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++)
            sum += a[i] >= 0 && a[i] == b[j];
    return sum;
}

/* The mean count of experts, over all layers, that tokens `lag` apart share. */
static double overlap(const struct routed_set *s, const int64_t *order, int64_t n, int64_t lag) {
    int64_t pairs = n - lag;
    int64_t step = pairs > ANCHORS ? pairs / ANCHORS : 1;
    int64_t sum = 0;
    int64_t seen = 0;
    for (int64_t i = 0; i < pairs; i += step, seen++)
        for (int l = 0; l < s->model.layers; l++)
            sum += shared(routed_at(s, order[i], l), routed_at(s, order[i + lag], l), s->model.k);
    return (double)sum / (double)seen;
}

double diverge_memory(const struct routed_set *s, const int64_t *order, int64_t n) {
    int64_t most = n / 4 < LAGS_MOST ? n / 4 : LAGS_MOST;
    double tau = 1;
    if (n < 8)
        return tau;
    double chance = squared_rates(s, order, n);
    double whole = overlap(s, order, n, 0) - chance;
    if (!(whole > 1e-9 * chance))
        return tau;             /* every token is routed alike */
    for (int64_t h = 1; h <= most; h++) {
        tau += 2 * (overlap(s, order, n, h) - chance) / whole;
        if ((double)h >= WINDOW * tau)
            break;
    }
    return fmax(1, tau);
}

static double line_memory(const struct line *l) {
    int64_t *order = mem_array(l->n ? (size_t)l->n : 1, sizeof *order);
    for (int64_t i = 0; i < l->n; i++)
        order[i] = l->token[i].at;
    double tau = diverge_memory(l->set, order, l->n);
    free(order);
    return tau;
}

/* ---- where units end ---------------------------------------------------------------------- */

static int64_t ceiling(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* How many of what there are less and more of are merged for few enough units of the larger side,
 * the smaller one being left some. */
static int64_t coarseness(int64_t less, int64_t more) {
    int64_t few = ceiling(more, DIVERGE_UNITS_MOST);
    if (less / few >= FEW_UNITS)
        return few;
    int64_t finer = less / FEW_UNITS;
    int64_t finest = ceiling(more, DIVERGE_UNITS_MOST * FEW_FACTOR);
    return finer > finest ? finer : finest;
}

/* Tokens of a block: long enough for the memory and for few blocks, short enough for both sides to
 * have some. */
static int64_t block_length(const struct line line[2], double tau) {
    int64_t less = line[line[0].n > line[1].n].n;
    int64_t more = line[line[0].n <= line[1].n].n;
    int64_t wanted = (int64_t)ceil(DIVERGE_BLOCK_TAUS * tau);
    int64_t few = coarseness(less, more);
    wanted = wanted > few ? wanted : few;
    if (less / wanted < DIVERGE_UNITS_LEAST)
        wanted = less / DIVERGE_UNITS_LEAST;
    int64_t least = (int64_t)ceil(DIVERGE_BLOCK_LEAST * tau);
    return wanted > least ? wanted : least;
}

/* Blocks of about `block` tokens, evenly, and each of one topic. */
static void cut_blocks(struct line *l, int64_t block) {
    for (int64_t from = 0, to; from < l->n; from = to) {
        for (to = from + 1; to < l->n && l->token[to].topic == l->token[from].topic;)
            to++;
        int64_t blocks = (to - from + block / 2) / block;
        blocks = blocks > 0 ? blocks : 1;
        for (int64_t b = 1; b <= blocks; b++)
            l->end[l->units++] = from + (to - from) * b / blocks;
    }
}

/* `together` requests are a unit, each of one topic. */
static void cut_requests(struct line *l, int64_t together) {
    int64_t held = 0;
    for (int64_t i = 1; i <= l->n; i++) {
        if (i < l->n && !begins_request(l, i))
            continue;
        held++;
        if (i == l->n || held == together || l->token[i].topic != l->token[i - 1].topic) {
            l->end[l->units++] = i;
            held = 0;
        }
    }
}

/* The same requests of the same topics on both sides. */
static int are_pairs(const struct line line[2]) {
    int64_t j = 0;
    if (line[0].requests != line[1].requests)
        return 0;
    for (int64_t i = 0; i < line[0].n; i++) {
        if (!begins_request(&line[0], i))
            continue;
        while (j < line[1].n && !begins_request(&line[1], j))
            j++;
        if (j == line[1].n || line[0].token[i].request != line[1].token[j].request ||
            line[0].token[i].topic != line[1].token[j].topic)
            return 0;
        j++;
    }
    return 1;
}

/* ---- counts ------------------------------------------------------------------------------- */

static void count_unit(struct diverge_units *u, const struct line *l, int64_t from, int64_t to) {
    const struct routed_model *m = &l->set->model;
    for (int64_t i = from; i < to; i++)
        for (int layer = 0; layer < u->layers; layer++) {
            const int16_t *e = routed_at(l->set, l->token[i].at, layer);
            uint32_t *count = u->count + ((size_t)layer * u->n + u->of_side[0] + u->of_side[1])
                * (size_t)u->stride;
            for (int j = 0; j < m->k; j++)
                if (e[j] >= 0)
                    count[e[j]]++;
        }
}

/* Units of both sides, those of a topic behind each other. */
static void count_all(struct diverge_units *u, const struct line line[2]) {
    size_t at[2] = {0, 0};
    int64_t from[2] = {0, 0};
    while (u->of_side[0] + u->of_side[1] < u->n) {
        int a = at[0] < line[0].units;
        int b = at[1] < line[1].units;
        int s = !a || (b && line[1].token[from[1]].topic < line[0].token[from[0]].topic);
        size_t k = u->of_side[0] + u->of_side[1];
        int64_t to = line[s].end[at[s]];
        count_unit(u, &line[s], from[s], to);
        u->tokens[k] = to - from[s];
        u->topic[k] = line[s].token[from[s]].topic;
        u->side[k] = (uint8_t)s;
        if (u->pair)
            u->pair[k] = (uint32_t)at[s];
        u->side_tokens[s] += to - from[s];
        u->of_side[s]++;
        at[s]++;
        from[s] = to;
    }
}

static void cut_all(struct diverge_units *u, struct line line[2], const struct diverge_cut *cut) {
    u->unit = cut->unit;
    if (u->unit == DIVERGE_AUTO)
        u->unit = cut->block ? DIVERGE_BLOCKS : DIVERGE_REQUESTS;
    int few = line[0].requests < DIVERGE_UNITS_LEAST || line[1].requests < DIVERGE_UNITS_LEAST;
    if (cut->unit == DIVERGE_AUTO && few)
        u->unit = DIVERGE_BLOCKS;
    if (u->unit == DIVERGE_BLOCKS) {
        if (!cut->block)
            u->tau = fmax(line_memory(&line[0]), line_memory(&line[1]));
        u->block = cut->block ? cut->block : block_length(line, u->tau);
        cut_blocks(&line[0], u->block);
        cut_blocks(&line[1], u->block);
        return;
    }
    int more = line[0].requests <= line[1].requests;
    int64_t together = coarseness(line[!more].requests, line[more].requests);
    cut_requests(&line[0], together);
    cut_requests(&line[1], together);
}

struct diverge_units *diverge_units_cut(const struct diverge_part part[2],
                                        const struct diverge_cut *cut) {
    struct diverge_units *u = mem_alloc(sizeof *u);
    struct line line[2] = {line_of(&part[0]), line_of(&part[1])};
    *u = (struct diverge_units){.layers = part[0].set->model.layers,
                                .experts = part[0].set->model.experts, .tau = NAN};
    u->stride = (u->experts + 7) / 8 * 8;
    u->requests[0] = line[0].requests;
    u->requests[1] = line[1].requests;
    if (line[0].n && line[1].n)
        cut_all(u, line, cut);
    u->n = line[0].units + line[1].units;
    u->count = mem_array((size_t)u->layers * u->n * (size_t)u->stride + 1, sizeof *u->count);
    u->tokens = mem_array(u->n + 1, sizeof *u->tokens);
    u->side = mem_array(u->n + 1, sizeof *u->side);
    u->topic = mem_array(u->n + 1, sizeof *u->topic);
    if (cut->paired && u->unit == DIVERGE_REQUESTS && are_pairs(line))
        u->pair = mem_array(u->n + 1, sizeof *u->pair);
    count_all(u, line);
    line_free(&line[1]);
    line_free(&line[0]);
    return u;
}

void diverge_units_free(struct diverge_units *u) {
    if (!u)
        return;
    free(u->pair);
    free(u->topic);
    free(u->side);
    free(u->tokens);
    free(u->count);
    free(u);
}
