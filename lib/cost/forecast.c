/* forecast.c - requests into sessions or days, and these into pieces of time, see forecast.h */
#include "lib/cost/forecast_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define SECOND_NS ((int64_t)1000000000)
#define MINUTE_NS (60 * SECOND_NS)
#define HOUR_NS (60 * MINUTE_NS)
#define DAY_NS (24 * HOUR_NS)
#define LONGEST (3653 * DAY_NS)
#define STEPS_A_WINDOW 60
#define STEPS_MOST 200000

struct request {
    uint32_t block;
    int64_t time_ns;
    double usd;
};

struct forecast {
    struct forecast_options opt;
    struct forecast_facts facts;
    struct request *request;
    size_t n, room;
    uint64_t *key;              /* [slots] hashes of sessions' names; 0: free */
    uint32_t *of_key;
    size_t slots, keys;
    struct forecast_blocks blocks;
    int ready;
};

struct forecast *forecast_new(const struct forecast_options *opt) {
    struct forecast *f = mem_alloc(sizeof *f);
    f->opt = *opt;
    if (f->opt.resamples <= 0)
        f->opt.resamples = 10000;
    return f;
}

void forecast_free(struct forecast *f) {
    if (!f)
        return;
    free(f->request);
    free(f->key);
    free(f->of_key);
    free(f->blocks.block);
    free(f->blocks.piece);
    free(f);
}

const struct forecast_facts *forecast_facts(const struct forecast *f) {
    return &f->facts;
}

/* ---- sessions by name --------------------------------------------------------------------- */

/* FNV-1a, then mixed. 64 bits: a million names share one with a chance of 3e-8. */
static uint64_t hash_of(const char *s, size_t len) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
    h = (h ^ h >> 27) * 0x94D049BB133111EBu;
    h ^= h >> 31;
    return h ? h : 1;
}

static size_t slot_of(const struct forecast *f, uint64_t key) {
    size_t i = key & (f->slots - 1);
    while (f->key[i] && f->key[i] != key)
        i = (i + 1) & (f->slots - 1);
    return i;
}

static void grow_keys(struct forecast *f) {
    struct forecast old = *f;
    f->slots = old.slots ? 2 * old.slots : 1024;
    f->key = mem_array(f->slots, sizeof *f->key);
    f->of_key = mem_array(f->slots, sizeof *f->of_key);
    for (size_t i = 0; i < old.slots; i++)
        if (old.key[i]) {
            size_t at = slot_of(f, old.key[i]);
            f->key[at] = old.key[i];
            f->of_key[at] = old.of_key[i];
        }
    free(old.key);
    free(old.of_key);
}

static uint32_t session_of(struct forecast *f, const char *s, size_t len) {
    if (!s) {
        f->facts.alone++;
        return (uint32_t)f->facts.sessions++;
    }
    if (2 * (f->keys + 1) > f->slots)
        grow_keys(f);
    uint64_t key = hash_of(s, len);
    size_t at = slot_of(f, key);
    if (!f->key[at]) {
        f->key[at] = key;
        f->of_key[at] = (uint32_t)f->facts.sessions++;
        f->keys++;
    }
    return f->of_key[at];
}

void forecast_add(struct forecast *f, const char *session, size_t len, int64_t time_ns,
                  double usd) {
    if (f->n == f->room) {
        f->room = f->room ? 2 * f->room : 1024;
        f->request = mem_grow(f->request, f->room, sizeof *f->request);
    }
    f->request[f->n++] = (struct request){session_of(f, session, len), time_ns, usd};
    f->facts.requests++;
    f->facts.untimed += time_ns == FORECAST_NO_TIME;
}

/* ---- blocks ------------------------------------------------------------------------------- */

/* Times for those that have none: of the one before, or evenly over the length. */
static int fill_times(struct forecast *f, struct err *err) {
    int64_t last = FORECAST_NO_TIME;
    for (size_t i = 0; i < f->n && last == FORECAST_NO_TIME; i++)
        last = f->request[i].time_ns;
    int none = last == FORECAST_NO_TIME;
    if (none && !f->opt.length_ns)
        return err_set(err, "%zu requests without a time: expected the time that they cover",
                       f->n);
    for (size_t i = 0; i < f->n; i++) {
        if (none)
            last = (int64_t)((double)f->opt.length_ns * (double)i / (double)f->n);
        else if (f->request[i].time_ns != FORECAST_NO_TIME)
            last = f->request[i].time_ns;
        f->request[i].time_ns = last;
    }
    return 0;
}

static int measure(struct forecast *f, struct err *err) {
    int64_t first = INT64_MAX;
    int64_t last = INT64_MIN;
    if (!f->n)
        return err_set(err, "no requests");
    if (fill_times(f, err))
        return -1;
    for (size_t i = 0; i < f->n; i++) {
        first = f->request[i].time_ns < first ? f->request[i].time_ns : first;
        last = f->request[i].time_ns > last ? f->request[i].time_ns : last;
    }
    if (first < 0 && last > first + LONGEST)
        return err_set(err, "requests lie more than ten years apart");
    int64_t span = last - first;
    if (span > LONGEST)
        return err_set(err, "requests lie more than ten years apart");
    if (f->opt.length_ns && span > f->opt.length_ns)
        return err_set(err, "requests lie %.6g days apart: more than the %.6g that they are said "
                       "to cover", (double)span / (double)DAY_NS,
                       (double)f->opt.length_ns / (double)DAY_NS);
    f->facts.begin_ns = first;
    f->facts.length_ns = f->opt.length_ns ? f->opt.length_ns
                                          : MINUTE_NS * (span / MINUTE_NS + 1);
    return 0;
}

/* Requests become those of days from the trace's begin on; the last part of one is left out. */
static int group_by_day(struct forecast *f, struct err *err) {
    int64_t days = f->facts.length_ns / DAY_NS;
    size_t kept = 0;
    if (days < 2)
        return err_set(err, "the trace has %.3g days: expected at least 2 to draw days",
                       (double)f->facts.length_ns / (double)DAY_NS);
    for (size_t i = 0; i < f->n; i++) {
        int64_t day = (f->request[i].time_ns - f->facts.begin_ns) / DAY_NS;
        if (day >= days)
            continue;
        f->request[kept] = f->request[i];
        f->request[kept++].block = (uint32_t)day;
    }
    f->facts.left = (int64_t)(f->n - kept);
    f->n = kept;
    f->facts.sessions = days;
    f->facts.length_ns = days * DAY_NS;
    return 0;
}

static int by_block(const void *a, const void *b) {
    const struct request *x = a;
    const struct request *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static int by_price(const void *a, const void *b) {
    const struct forecast_block *x = a;
    const struct forecast_block *y = b;
    if (x->usd != y->usd)
        return x->usd > y->usd ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* Requests sorted by block. Days without any are blocks without pieces. */
static void make_pieces(struct forecast *f) {
    struct forecast_blocks *b = &f->blocks;
    b->n = (size_t)f->facts.sessions;
    b->block = mem_array(b->n + 1, sizeof *b->block);
    b->piece = mem_array(f->n + 1, sizeof *b->piece);
    qsort(f->request, f->n, sizeof *f->request, by_block);
    for (size_t i = 0; i < f->n;) {
        struct forecast_block *k = &b->block[f->request[i].block];
        int64_t begin = f->request[i].time_ns - f->facts.begin_ns;
        if (f->opt.by_day)
            begin = begin / DAY_NS * DAY_NS;
        k->at_step = begin % DAY_NS / b->step_ns;
        k->first = b->pieces;
        for (uint32_t block = f->request[i].block; i < f->n && f->request[i].block == block; i++) {
            int64_t step = (f->request[i].time_ns - f->facts.begin_ns - begin) / b->step_ns;
            if (!k->pieces || b->piece[b->pieces - 1].step != step) {
                b->piece[b->pieces++] = (struct forecast_piece){.step = step};
                k->pieces++;
            }
            b->piece[b->pieces - 1].usd += f->request[i].usd;
            k->usd += f->request[i].usd;
        }
    }
    for (size_t i = 0; i < b->n; i++)
        f->facts.usd += b->block[i].usd;
    qsort(b->block, b->n, sizeof *b->block, by_price);
}

/* ---- the period --------------------------------------------------------------------------- */

/* The longest step not above this one of which a day is a multiple, in whole seconds: else days
 * would drift. */
static int64_t divide_day(int64_t step_ns) {
    int64_t s = step_ns / SECOND_NS;
    while (s > 1 && DAY_NS / SECOND_NS % s)
        s--;
    return s ? s * SECOND_NS : step_ns;
}

static int set_steps(struct forecast *f, const struct forecast_meter *meter, int meters,
                     struct err *err) {
    struct forecast_blocks *b = &f->blocks;
    int64_t period = f->opt.period_ns;
    int64_t shortest = STEPS_A_WINDOW * (period < 30 * DAY_NS ? period / 720 : HOUR_NS);
    if (period < MINUTE_NS || period > LONGEST)
        return err_set(err, "a period of %.6g days: expected a minute to ten years",
                       (double)period / (double)DAY_NS);
    for (int i = 0; i < meters; i++)
        if (meter[i].window_ns && meter[i].window_ns < shortest)
            shortest = meter[i].window_ns;
    b->step_ns = shortest / STEPS_A_WINDOW;
    if (b->step_ns < period / STEPS_MOST + 1)
        b->step_ns = period / STEPS_MOST + 1;
    for (int i = 0; i < meters; i++)
        if (meter[i].window_ns && meter[i].window_ns < 4 * b->step_ns)
            return err_set(err, "a window of %.6g s is too short for a period of %.6g days",
                           (double)meter[i].window_ns / 1e9, (double)period / (double)DAY_NS);
    b->step_ns = divide_day(b->step_ns);
    b->steps = period / b->step_ns + (period % b->step_ns > 0);
    b->day_steps = f->facts.length_ns >= DAY_NS ? DAY_NS / b->step_ns : 0;
    return 0;
}

static int prepare(struct forecast *f, const struct forecast_meter *meter, int meters,
                   struct err *err) {
    if (measure(f, err) || (f->opt.by_day && group_by_day(f, err)))
        return -1;
    if (f->facts.sessions < 2)
        return err_set(err, "one session: its price says nothing about how others differ");
    if (set_steps(f, meter, meters, err))
        return -1;
    make_pieces(f);
    f->ready = 1;
    return 0;
}

int forecast_run(struct forecast *f, double growth, struct forecast_meter *meter, int meters,
                 struct err *err) {
    if (!f->ready && prepare(f, meter, meters, err))
        return -1;
    f->blocks.growth = growth;
    f->blocks.again = (double)f->opt.period_ns / (double)f->facts.length_ns * growth;
    f->facts.drawn_singly = f->facts.sessions;
    if (f->opt.by_day)
        forecast_draw_days(&f->blocks, &f->opt, meter, meters);
    else
        forecast_draw_sessions(&f->blocks, &f->opt, meter, meters, &f->facts.drawn_singly);
    return 0;
}
