/* bench_serve_feed.c - what is sent and when, see bench_serve.h
 *
 * The preparer's thread makes requests in their order and puts them into the queue; the clients'
 * loops take them out when they are due. A body is made long before it is due, and a client that
 * asks holds the lock for a few instructions only.
 */
#include "cmd/bench_serve.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"

#define MOST_AHEAD 8192         /* requests */
#define MOST_BYTES (64 << 20)   /* of bodies */
#define REQUESTS 100            /* where nothing says how many */
#define REFUSED_PAUSE_NS 100000000
#define POLL_NS 100000          /* until a client asks again when nothing is ready */
#define BEFORE_START_NS 20000000        /* for threads to be where they wait */

struct item {
    struct item *next;
    struct load_mark mark;
    int64_t at_ns;              /* since the start; closed loop: 0 */
    struct prompts_body body;
};

struct ids {                    /* of a request, for --save */
    uint64_t *id;
    int64_t n;
};

struct lane {                   /* what one client has */
    struct feed *feed;
    struct client_source source;
    struct load load;
    int64_t places, busy;       /* under way at once; places 0: no cap */
    int64_t *freed_ns;          /* [places] when each became free, a ring: oldest first */
    int64_t first_free;
    char detail[CLIENT_ENDS][sizeof ((struct client_result *)0)->detail];   /* the first of each */
};

struct feed {
    const struct serve_options *opt;
    struct prompts *prompts;
    struct reqs *trace;
    int block_tokens;
    int64_t total;              /* requests there will be; -1 unknown */
    int64_t limit;              /* INT64_MAX: none */
    struct arrivals arrivals;
    int64_t first_ns;           /* the trace's first time; -1: not yet known */
    pthread_t thread;
    int joined;
    struct lane *lane;
    int lanes;

    pthread_mutex_t lock;
    pthread_cond_t room, ready;
    struct item *head, **tail;
    int64_t items, bytes;       /* in the queue */
    int complete;               /* the preparer will add no more */
    int waiting;                /* it waits for room */
    struct err err;
    int failed;

    int64_t start_ns;
    atomic_int stopped;
    atomic_llong ended;
    struct ids *ids;            /* [numbers] the preparer's until it has been joined */
    int64_t numbers;
};

/* ---- the preparer ------------------------------------------------------------------------ */

static int64_t replay_time(struct feed *f, const struct req *q) {
    if (f->first_ns < 0)
        f->first_ns = q->time_ns;
    return llround((double)(q->time_ns - f->first_ns) / f->opt->speed);
}

static void keep_ids(struct feed *f, const struct req *q) {
    struct ids ids = {NULL, 0};
    if (q->blocks > 0) {
        ids.id = mem_array((size_t)q->blocks, sizeof *ids.id);
        memcpy(ids.id, q->block, (size_t)q->blocks * sizeof *ids.id);
        ids.n = q->blocks;
    }
    f->ids = mem_grow(f->ids, (size_t)f->numbers + 1, sizeof *f->ids);
    f->ids[f->numbers++] = ids;
}

/* The size is known when the file was looked through; a pipe may say it only as it goes. */
static int find_block_tokens(struct feed *f, const struct req *q) {
    if (!f->block_tokens)
        f->block_tokens = reqs_block_tokens(f->trace);
    if (q->blocks > 0 && !f->block_tokens)
        return err_set(&f->err, "%s:%lld: tokens of a block cannot be told from the lengths so "
                       "far: give --block-tokens", input_name(f->opt->trace), (long long)q->line);
    return 0;
}

/* 1: *q was turned into *it; 0: the end; -1. */
static int from_trace(struct feed *f, struct item *it) {
    struct req q;
    int rc = reqs_next(f->trace, &q, &f->err);
    if (rc <= 0)
        return rc;
    if (f->opt->load == SERVE_REPLAY && !reqs_totals(f->trace)->timed)
        return err_set(&f->err, "%s:%lld: no time: give --rate or --concurrency",
                       input_name(f->opt->trace), (long long)q.line);
    if (find_block_tokens(f, &q))
        return -1;
    if (prompts_from_trace(f->prompts, &q, f->block_tokens, &it->body))
        return err_set(&f->err, "%s:%lld: no length of the prompt: such a trace cannot be sent",
                       input_name(f->opt->trace), (long long)q.line);
    if (f->opt->load == SERVE_REPLAY)
        it->at_ns = replay_time(f, &q);
    if (f->opt->save)
        keep_ids(f, &q);
    return 1;
}

static int make_item(struct feed *f, int64_t number, struct item *it) {
    const struct serve_options *o = f->opt;
    int rc = 1;
    it->at_ns = 0;
    if (o->trace)
        rc = from_trace(f, it);
    else
        prompts_next(f->prompts, &it->body);
    if (rc == 1 && o->load == SERVE_OPEN)
        it->at_ns = arrivals_next(&f->arrivals);
    if (rc == 1 && (it->at_ns == INT64_MAX || (o->duration_ns && it->at_ns >= o->duration_ns)))
        rc = 0;
    it->mark = (struct load_mark){.number = number, .input_asked = it->body.input_tokens,
                                  .output_asked = it->body.output_tokens,
                                  .warm = number < o->warmup};
    return rc;
}

static int is_full(const struct feed *f) {
    return f->items >= MOST_AHEAD || f->bytes >= MOST_BYTES;
}

/* 1; 0: the load was stopped. */
static int put_item(struct feed *f, struct item *it) {
    pthread_mutex_lock(&f->lock);
    while (is_full(f) && !atomic_load(&f->stopped)) {
        f->waiting = 1;
        pthread_cond_signal(&f->ready);
        pthread_cond_wait(&f->room, &f->lock);
    }
    f->waiting = 0;
    int go = !atomic_load(&f->stopped);
    if (go) {
        *f->tail = it;
        f->tail = &it->next;
        f->items++;
        f->bytes += (int64_t)it->body.json.len;
    }
    pthread_mutex_unlock(&f->lock);
    return go;
}

static void free_item(struct item *it) {
    buf_free(&it->body.json);
    free(it);
}

static void *prepare(void *arg) {
    struct feed *f = arg;
    int rc = 1;
    for (int64_t number = 0; rc == 1 && number < f->limit; number++) {
        struct item *it = mem_alloc(sizeof *it);
        rc = make_item(f, number, it);
        if (rc == 1 && !put_item(f, it))
            rc = 0;
        if (rc != 1)
            free_item(it);
    }
    pthread_mutex_lock(&f->lock);
    f->failed = rc < 0;
    f->complete = 1;
    pthread_cond_signal(&f->ready);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

/* ---- a client's source ------------------------------------------------------------------- */

static int64_t free_since(const struct lane *l) {
    return l->places ? l->freed_ns[l->first_free] : 0;
}

/* When the queue's first request may leave through this lane. */
static int64_t due(const struct lane *l, const struct item *it) {
    const struct feed *f = l->feed;
    return f->opt->load == SERVE_CLOSED ? free_since(l) : f->start_ns + it->at_ns;
}

static struct item *take(struct feed *f) {
    struct item *it = f->head;
    f->head = it->next;
    if (!f->head)
        f->tail = &f->head;
    f->items--;
    f->bytes -= (int64_t)it->body.json.len;
    if (f->waiting && f->items < MOST_AHEAD / 2 && f->bytes < MOST_BYTES / 2)
        pthread_cond_signal(&f->room);
    return it;
}

static void fill_call(struct lane *l, struct item *it, int64_t scheduled_ns,
                      struct client_call *out) {
    const struct serve_options *o = l->feed->opt;
    int64_t place_ns = free_since(l);
    it->mark.eligible_ns = place_ns > scheduled_ns ? place_ns : scheduled_ns;
    if (l->places)
        l->first_free = (l->first_free + 1) % l->places;
    l->busy++;
    *out = (struct client_call){
        .path = o->prompts.api == PROMPTS_CHAT ? "chat/completions" : "completions",
        .body = it->body.json.data, .len = it->body.json.len, .scheduled_ns = scheduled_ns,
        .stream = 1, .user = it};
}

/* A closed loop ends with the clock; the others have no later requests to hand out. */
static int is_over(const struct feed *f, int64_t now_ns) {
    return atomic_load(&f->stopped) ||
           (f->opt->load == SERVE_CLOSED && f->opt->duration_ns &&
            now_ns >= f->start_ns + f->opt->duration_ns);
}

static int next_call(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    struct lane *l = arg;
    struct feed *f = l->feed;
    struct item *it = NULL;
    int64_t at = 0;
    int rc = 0;
    if (is_over(f, now_ns))
        return -1;
    if (l->places && l->busy == l->places) {
        *wake_ns = INT64_MAX;
        return 0;
    }
    pthread_mutex_lock(&f->lock);
    if (!f->head) {
        rc = f->complete ? -1 : 0;
        *wake_ns = now_ns + POLL_NS;
    } else {
        at = due(l, f->head);
        if (at <= now_ns)
            it = take(f);
        else
            *wake_ns = at;
    }
    pthread_mutex_unlock(&f->lock);
    if (!it)
        return rc;
    fill_call(l, it, at, out);
    return 1;
}

/* In a closed loop who was refused tries again after a while, not at once: a server that is gone
 * would be asked as fast as this machine can. */
static int64_t pause_after(const struct lane *l, const struct client_result *r) {
    return l->feed->opt->load == SERVE_CLOSED && r->end == CLIENT_REFUSED ? REFUSED_PAUSE_NS : 0;
}

/* Puts a place among those that are free, by the time from which it is. */
static void free_place(struct lane *l, int64_t at_ns) {
    int64_t n = l->places - l->busy - 1;        /* free ones so far */
    for (; n > 0; n--) {
        int64_t before = l->freed_ns[(l->first_free + n - 1) % l->places];
        if (before <= at_ns)
            break;
        l->freed_ns[(l->first_free + n) % l->places] = before;
    }
    l->freed_ns[(l->first_free + n) % l->places] = at_ns;
}

static void call_done(void *arg, const struct client_call *call, const struct client_result *r) {
    struct lane *l = arg;
    struct item *it = call->user;
    load_add(&l->load, &it->mark, r);
    if (!*l->detail[r->end] && !it->mark.warm)
        memcpy(l->detail[r->end], r->detail, sizeof r->detail);
    l->busy--;
    if (l->places)
        free_place(l, r->done_ns + pause_after(l, r));
    free_item(it);
    atomic_fetch_add(&l->feed->ended, 1);
}

/* ---- the trace, before --------------------------------------------------------------------- */

/* Counts what will be sent, and lets the lengths say what a block is. A bad line ends the program
 * here, not in the middle of the load. */
static void look_through(struct feed *f) {
    const struct serve_options *o = f->opt;
    struct err e = {{0}};
    struct req q;
    int64_t n = 0;
    int64_t first = 0;
    int rc = 0;
    struct reqs *r = reqs_open(o->trace, &o->reqs, &e);
    if (!r)
        die("%s", e.text);
    while (n < f->limit && (rc = reqs_next(r, &q, &e)) == 1) {
        if (!n)
            first = q.time_ns;
        if (o->load == SERVE_REPLAY && o->duration_ns &&
            (double)(q.time_ns - first) / o->speed >= (double)o->duration_ns)
            break;
        n++;
    }
    if (rc < 0)
        die("%s", e.text);
    if (!n)
        die("%s: no requests in it", o->trace);
    f->block_tokens = reqs_block_tokens(r);
    f->total = o->duration_ns && o->load != SERVE_REPLAY ? -1 : n;
    reqs_close(r);
}

static void open_trace(struct feed *f) {
    const struct serve_options *o = f->opt;
    struct err e = {{0}};
    if (strcmp(o->trace, "-"))
        look_through(f);
    f->trace = reqs_open(o->trace, &o->reqs, &e);
    if (!f->trace)
        die("%s", e.text);
}

/* ---- all ---------------------------------------------------------------------------------- */

static void open_lanes(struct feed *f) {
    const struct serve_options *o = f->opt;
    f->lanes = o->threads;
    f->lane = mem_array((size_t)f->lanes, sizeof *f->lane);
    for (int i = 0; i < f->lanes; i++) {
        struct lane *l = &f->lane[i];
        l->feed = f;
        l->source = (struct client_source){next_call, call_done, l};
        l->places = o->concurrency / f->lanes + (i < o->concurrency % f->lanes);
        l->freed_ns = mem_array((size_t)l->places + 1, sizeof *l->freed_ns);
    }
}

/* Requests in all; a trace ends by itself, and so does a time. */
static int64_t find_limit(const struct feed *f) {
    const struct serve_options *o = f->opt;
    int64_t records = prompts_records(f->prompts);
    if (o->requests)
        return o->requests + o->warmup;
    if (o->duration_ns || o->trace)
        return INT64_MAX;
    return (records ? records : REQUESTS) + o->warmup;
}

struct feed *feed_open(const struct serve_options *o, const char *model) {
    struct feed *f = mem_alloc(sizeof *f);
    struct prompts_options p = o->prompts;
    struct err e = {{0}};
    f->opt = o;
    f->total = -1;
    f->first_ns = -1;
    f->limit = INT64_MAX;
    p.model = model;
    f->prompts = prompts_new(&p, &e);
    if (!f->prompts)
        die("%s", e.text);
    f->limit = find_limit(f);
    if (f->limit < INT64_MAX && !o->duration_ns)
        f->total = f->limit;
    if (o->trace)
        open_trace(f);
    arrivals_start(&f->arrivals, &o->arrivals);
    open_lanes(f);
    f->tail = &f->head;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->room, NULL);
    pthread_cond_init(&f->ready, NULL);
    if (pthread_create(&f->thread, NULL, prepare, f))
        die("no thread can be made");
    return f;
}

const struct client_source *feed_source(struct feed *f, int thread) {
    return &f->lane[thread].source;
}

void feed_start(struct feed *f, int64_t *start_ns) {
    pthread_mutex_lock(&f->lock);
    while (!f->complete && !is_full(f))
        pthread_cond_wait(&f->ready, &f->lock);
    pthread_mutex_unlock(&f->lock);
    f->start_ns = *start_ns = clock_ns() + BEFORE_START_NS;
    for (int i = 0; i < f->lanes; i++)
        for (int64_t k = 0; k < f->lane[i].places; k++)
            f->lane[i].freed_ns[k] = f->start_ns;
}

void feed_stop(struct feed *f) {
    atomic_store(&f->stopped, 1);
    pthread_mutex_lock(&f->lock);
    pthread_cond_signal(&f->room);
    pthread_mutex_unlock(&f->lock);
}

int64_t feed_ended(struct feed *f) {
    return atomic_load(&f->ended);
}

int64_t feed_total(const struct feed *f) {
    return f->total;
}

int feed_finish(struct feed *f, struct err *err) {
    feed_stop(f);
    if (!f->joined)
        pthread_join(f->thread, NULL);
    f->joined = 1;
    if (f->failed)
        *err = f->err;
    return f->failed ? -1 : 0;
}

void feed_samples(struct feed *f, struct load *out) {
    for (int i = 0; i < f->lanes; i++)
        load_merge(out, &f->lane[i].load);
}

const char *feed_detail(const struct feed *f, int end) {
    for (int i = 0; i < f->lanes; i++)
        if (*f->lane[i].detail[end])
            return f->lane[i].detail[end];
    return "";
}

int feed_block_tokens(const struct feed *f) {
    return f->block_tokens;
}

const uint64_t *feed_blocks(const struct feed *f, int64_t number, int64_t *n) {
    *n = number < f->numbers ? f->ids[number].n : 0;
    return *n ? f->ids[number].id : NULL;
}

void feed_close(struct feed *f) {
    struct err ignored;
    feed_finish(f, &ignored);
    while (f->head)
        free_item(take(f));
    for (int i = 0; i < f->lanes; i++) {
        load_free(&f->lane[i].load);
        free(f->lane[i].freed_ns);
    }
    for (int64_t i = 0; i < f->numbers; i++)
        free(f->ids[i].id);
    free(f->ids);
    free(f->lane);
    reqs_close(f->trace);
    prompts_free(f->prompts);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->room);
    pthread_cond_destroy(&f->ready);
    free(f);
}
