/* paged.c - paged and contiguous KV memory under continuous batching, see paged.h
 *
 * Passes are not walked one by one. Between two events everything is constant but the tokens
 * held, which grow by one for each sequence that decodes; so sums over the passes between are
 * closed forms. Events are: a sequence needs a block (or gets its first token), a sequence ends,
 * a request comes.
 *
 * Running sequences stand in a list in the order of arrival. Preemption takes from its end and
 * puts back at the head of the queue, so everyone who waits came after everyone who runs; what
 * was preempted is a stack, and what was not is the rest of the trace.
 */
#include "lib/cache/paged.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/cache/agenda.h"
#include "lib/cache/arena.h"

#define NONE (-1)
#define ENDS (-1)               /* in place of the request that an event is about */

/* A place in the stream of prompt tokens that passes compute. */
struct place {
    int64_t pass, offset;
};

struct sequence {
    int64_t request;
    int64_t prompt;             /* tokens to compute before the next one: input and those made */
    int64_t final;              /* tokens in the end */
    int64_t first_pass;         /* makes its first token */
    int64_t capacity;           /* token slots asked for */
    int64_t taken;              /* with the allocator's rounding */
    int64_t at;                 /* contiguous: address */
    struct place start;         /* of its prompt */
    int decodes;
    int64_t before, after;      /* in the list of those running, or of free slots (after) */
    uint64_t stamp;             /* events with another one are of an earlier life of the slot */
};

struct replay {
    const struct paged_setup *s;
    const struct paged_request *request;
    int64_t n;
    int64_t pass;
    int64_t blocks, free_blocks;
    struct arena *arena;        /* NULL: paging */
    struct place prefill;       /* behind the last prompt that was admitted */

    struct sequence *slot;      /* [slots] */
    int64_t slots, free_slot;
    int64_t newest;             /* of those running: the end of their list */
    int64_t running, decoding;

    int64_t *made;              /* [n] tokens before the last preemption */
    double *delay;              /* [requests served so far] seconds in the queue */
    int64_t *preempted;         /* stack, the oldest on top */
    int64_t n_preempted, preempted_cap;
    int64_t next;               /* first request that never ran */
    int64_t ended;
    int64_t last_end;           /* pass before which the last one ended */
    int blocked;                /* the head of the queue waits for memory */
    int preempts;               /* step 3 preempted in this pass */

    struct agenda events;       /* by pass; ends first, then the others in the order of arrival */

    /* now */
    int64_t held, kept, capacity, taken;    /* kept: of the capacity, what will be used */
    /* summed over passes */
    double passes, sum_running, sum_held, sum_kept, sum_capacity, sum_taken;
    double blocked_passes, sum_stranded;
    struct paged_result *out;
};

const char *const *paged_scheme_names(void) {
    static const char *const names[] = {"max", "pow2", "oracle", "paged", NULL};
    return names;
}

/* ---- events ----------------------------------------------------------------------------- */

/* The earliest event that is not of an earlier life; NULL when there is none. */
static const struct agenda_event *next_event(struct replay *r) {
    struct agenda *a = &r->events;
    while (a->n > 0 && a->event[0].stamp != r->slot[a->event[0].slot].stamp)
        agenda_drop(a);
    return a->n > 0 ? &a->event[0] : NULL;
}

static int64_t arrival_pass(const struct replay *r, int64_t request) {
    return (int64_t)ceil((double)r->request[request].time_ns * r->s->decode_tps / 1e9);
}

/* ---- the list of those running ---------------------------------------------------------- */

/* Returns its slot. */
static int64_t append_sequence(struct replay *r, struct sequence q) {
    int64_t k = r->free_slot;
    if (k == NONE) {
        k = r->slots++;
        r->slot = mem_grow(r->slot, (size_t)r->slots, sizeof *r->slot);
        r->slot[k] = (struct sequence){.after = NONE};
    }
    r->free_slot = r->slot[k].after;
    q.before = r->newest;
    q.after = NONE;
    q.stamp = r->slot[k].stamp;
    r->slot[k] = q;
    if (r->newest != NONE)
        r->slot[r->newest].after = k;
    r->newest = k;
    r->running++;
    return k;
}

/* Takes its memory back too. held: tokens it has now. */
static void remove_sequence(struct replay *r, int64_t k, int64_t held) {
    struct sequence *q = &r->slot[k];
    if (q->before != NONE)
        r->slot[q->before].after = q->after;
    *(q->after == NONE ? &r->newest : &r->slot[q->after].before) = q->before;
    q->after = r->free_slot;
    r->free_slot = k;
    q->stamp++;
    r->running--;
    r->decoding -= q->decodes;
    r->held -= held;
    r->kept -= q->capacity < q->final ? q->capacity : q->final;
    r->capacity -= q->capacity;
    r->taken -= q->taken;
    if (r->arena)
        arena_give(r->arena, q->at, q->taken);
    else
        r->free_blocks += q->capacity / r->s->block_tokens;
}

/* Tokens of its own that it has before this pass. */
static int64_t tokens_made(const struct replay *r, const struct sequence *q) {
    return q->decodes ? r->pass - q->first_pass : 0;
}

/* ---- steps 1 and 3: running sequences --------------------------------------------------- */

/* Notes when the sequence needs its next block, or when it ends. */
static void plan_sequence(struct replay *r, int64_t k) {
    const struct sequence *q = &r->slot[k];
    int64_t tokens = q->final - q->prompt;
    int64_t end = q->first_pass + (tokens > 0 ? tokens : 1);
    int64_t full = q->first_pass + q->capacity - q->prompt;
    struct agenda_event e = {.time = end, .order = ENDS, .slot = k, .stamp = q->stamp};
    if (tokens > 0 && (!q->decodes || full < end)) {
        e.time = q->decodes ? full : q->first_pass;
        e.order = q->request;
    }
    agenda_add(&r->events, e);
}

static void end_sequence(struct replay *r, int64_t k) {
    r->out->output_tokens += r->request[r->slot[k].request].output_tokens;
    remove_sequence(r, k, r->slot[k].final);
    r->ended++;
    r->last_end = r->pass;
}

/* Prompt tokens that were computed before this pass. */
static int64_t computed_tokens(const struct replay *r, const struct sequence *q) {
    int64_t passes = r->pass - q->start.pass;
    if (q->first_pass < r->pass)
        return q->prompt;
    int64_t tokens = passes > 0 ? passes * r->s->prefill_tokens - q->start.offset : 0;
    return tokens < q->prompt ? tokens : q->prompt;
}

/* The one that came last. Nobody's prompt stands behind its own. */
static void preempt_newest(struct replay *r) {
    struct sequence *q = &r->slot[r->newest];
    int64_t made = tokens_made(r, q);
    r->out->preemptions++;
    r->out->recomputed_tokens += computed_tokens(r, q) + made;
    if (q->first_pass >= r->pass)
        r->prefill = q->start;
    r->made[q->request] += made;
    if (r->n_preempted == r->preempted_cap) {
        r->preempted_cap = r->preempted_cap ? 2 * r->preempted_cap : 64;
        r->preempted = mem_grow(r->preempted, (size_t)r->preempted_cap, sizeof *r->preempted);
    }
    r->preempted[r->n_preempted++] = q->request;
    r->preempts = 1;
    remove_sequence(r, r->newest, q->prompt + made);
}

/* A block for the sequence. 0 when it was preempted itself. */
static int add_block(struct replay *r, int64_t k) {
    uint64_t stamp = r->slot[k].stamp;
    int64_t size = r->s->block_tokens;
    while (r->free_blocks == 0) {
        preempt_newest(r);
        if (r->slot[k].stamp != stamp)
            return 0;
    }
    struct sequence *q = &r->slot[k];
    int64_t wanted = q->final - q->capacity;
    r->free_blocks--;
    r->kept += wanted < size ? wanted : size;
    r->capacity += size;
    r->taken += size;
    q->capacity += size;
    q->taken += size;
    return 1;
}

/* The sequence gets its first token from this pass, or needs a block for another one. */
static void grow_sequence(struct replay *r, int64_t k) {
    struct sequence *q = &r->slot[k];
    if (!q->decodes) {
        q->decodes = 1;
        r->decoding++;
    } else if (!add_block(r, k)) {
        return;
    }
    plan_sequence(r, k);
}

static void run_events(struct replay *r) {
    const struct agenda_event *e;
    r->preempts = 0;
    while ((e = next_event(r)) && e->time == r->pass) {
        struct agenda_event now = *e;
        agenda_drop(&r->events);
        if (now.order == ENDS)
            end_sequence(r, now.slot);
        else
            grow_sequence(r, now.slot);
    }
}

/* ---- step 4: admission ------------------------------------------------------------------ */

static int64_t final_tokens(const struct replay *r, int64_t request) {
    return r->request[request].input_tokens + r->request[request].output_tokens;
}

static int64_t next_power(int64_t n) {
    return n <= 1 ? n : (int64_t)1 << (64 - __builtin_clzll((unsigned long long)n - 1));
}

static int64_t blocks_of(const struct replay *r, int64_t tokens) {
    return (tokens + r->s->block_tokens - 1) / r->s->block_tokens;
}

/* What a contiguous scheme asks for. */
static int64_t reservation(const struct replay *r, int64_t request) {
    int64_t tokens = final_tokens(r, request);
    if (r->s->scheme == PAGED_MAX)
        tokens = r->s->max_tokens;
    else if (r->s->scheme == PAGED_POW2)
        tokens = r->request[request].input_tokens + next_power(r->request[request].output_tokens);
    return tokens > 0 ? tokens : 1;
}

/* Could it run if it were alone? */
static int can_run(const struct replay *r, int64_t request) {
    int64_t tokens = final_tokens(r, request);
    if (!r->arena)
        return blocks_of(r, tokens) <= r->blocks;
    return reservation(r, request) <= arena_most(r->arena)
           && (r->s->scheme != PAGED_MAX || tokens <= r->s->max_tokens);
}

/* The head of the queue, or NONE. Passes requests that can never run. */
static int64_t queue_head(struct replay *r) {
    if (r->n_preempted > 0)
        return r->preempted[r->n_preempted - 1];
    for (; r->next < r->n && arrival_pass(r, r->next) <= r->pass; r->next++) {
        if (can_run(r, r->next))
            return r->next;
        r->out->refused++;
    }
    return NONE;
}

/* Where a prompt that is admitted now starts, where it ends, and which pass computes its last
 * token. */
static void place_prompt(struct replay *r, struct sequence *q) {
    int64_t per_pass = r->s->prefill_tokens;
    if (r->prefill.pass < r->pass)
        r->prefill = (struct place){r->pass, 0};
    q->start = r->prefill;
    q->first_pass = r->pass;
    if (per_pass <= 0 || q->prompt == 0)
        return;
    int64_t end = q->start.offset + q->prompt;
    q->first_pass = q->start.pass + (end - 1) / per_pass;
    r->prefill = (struct place){q->start.pass + end / per_pass, end % per_pass};
}

/* Memory for q to begin with: 0 when there is not enough, else capacity, taken and at are set. */
static int take_memory(struct replay *r, struct sequence *q) {
    if (r->arena) {
        q->capacity = reservation(r, q->request);
        q->at = arena_take(r->arena, q->capacity, &q->taken);
        return q->at >= 0;
    }
    int64_t blocks = blocks_of(r, q->prompt < q->final ? q->prompt + 1 : q->prompt);
    if (blocks + (r->running ? r->s->spare_blocks : 0) > r->free_blocks)
        return 0;
    r->free_blocks -= blocks;
    q->capacity = q->taken = blocks * r->s->block_tokens;
    return 1;
}

/* 0 when there is no memory for it. */
static int admit(struct replay *r, int64_t request) {
    struct sequence q = {.request = request, .final = final_tokens(r, request),
                         .prompt = r->request[request].input_tokens + r->made[request]};
    if (!take_memory(r, &q))
        return 0;
    place_prompt(r, &q);
    r->held += q.prompt;
    r->kept += q.capacity < q.final ? q.capacity : q.final;
    r->capacity += q.capacity;
    r->taken += q.taken;
    int64_t k = append_sequence(r, q);
    if (q.first_pass == r->pass && q.final > q.prompt)
        grow_sequence(r, k);        /* this very pass makes its first token */
    else
        plan_sequence(r, k);
    return 1;
}

static void leave_queue(struct replay *r, int64_t request) {
    if (r->n_preempted > 0) {
        r->n_preempted--;
        return;
    }
    double wait = (double)r->pass / r->s->decode_tps - (double)r->request[request].time_ns / 1e9;
    r->delay[r->out->requests++] = wait > 0 ? wait : 0;
    r->next++;
}

static void admit_all(struct replay *r) {
    int64_t request;
    r->blocked = r->preempts;
    while (!r->blocked && (request = queue_head(r)) != NONE) {
        if (r->s->most_running > 0 && r->running >= r->s->most_running)
            return;
        if (admit(r, request))
            leave_queue(r, request);
        else
            r->blocked = 1;
    }
}

/* ---- from event to event ---------------------------------------------------------------- */

/* Adds up what is true from this pass to the one before `until`. */
static void sum_passes(struct replay *r, int64_t until) {
    double n = (double)(until - r->pass);
    double tokens = (double)r->decoding;
    if (r->running == 0)
        return;
    r->passes += n;
    r->sum_running += n * (double)r->running;
    r->sum_held += n * (double)r->held + tokens * n * (n + 1) / 2;
    r->sum_kept += n * (double)r->kept;
    r->sum_capacity += n * (double)r->capacity;
    r->sum_taken += n * (double)r->taken;
    if (r->blocked) {
        r->blocked_passes += n;
        r->sum_stranded += n * (double)(r->s->memory_tokens - r->taken);
    }
    if (r->running > r->out->most_running)
        r->out->most_running = r->running;
    if (r->taken > r->out->most_taken)
        r->out->most_taken = r->taken;
    r->held += r->decoding * (until - r->pass);
}

/* The next pass before which something happens; NONE: nothing ever will. */
static int64_t next_pass(struct replay *r) {
    const struct agenda_event *e = next_event(r);
    int64_t pass = e ? e->time : INT64_MAX;
    if (r->preempts && r->pass + 1 < pass)
        pass = r->pass + 1;
    if (!r->blocked && r->next < r->n) {
        int64_t arrival = arrival_pass(r, r->next);
        /* One that has come already waits for a sequence to end (most_running). */
        if (arrival > r->pass && arrival < pass)
            pass = arrival;
    }
    return pass == INT64_MAX ? NONE : pass;
}

static int compare_delays(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void fill_delays(struct replay *r) {
    struct paged_result *o = r->out;
    int64_t n = o->requests;
    double sum = 0;
    if (n == 0) {
        o->queue_mean_s = o->queue_p50_s = o->queue_p99_s = o->queue_max_s = NAN;
        return;
    }
    qsort(r->delay, (size_t)n, sizeof *r->delay, compare_delays);
    for (int64_t i = 0; i < n; i++)
        sum += r->delay[i];
    o->queue_mean_s = sum / (double)n;
    o->queue_p50_s = r->delay[(n - 1) / 2];
    o->queue_p99_s = r->delay[(int64_t)ceil(0.99 * (double)n) - 1];
    o->queue_max_s = r->delay[n - 1];
}

static void fill_result(struct replay *r) {
    struct paged_result *o = r->out;
    double n = r->passes > 0 ? r->passes : NAN;
    o->mean_running = r->sum_running / n;
    o->mean_used = r->sum_held / n;
    o->mean_reserved = (r->sum_kept - r->sum_held) / n;
    o->mean_internal = (r->sum_capacity - r->sum_kept) / n;
    o->mean_external = (r->sum_taken - r->sum_capacity) / n;
    o->mean_stranded = r->blocked_passes > 0 ? r->sum_stranded / r->blocked_passes : NAN;
    o->busy_s = r->passes / r->s->decode_tps;
    if (r->ended)
        o->makespan_s = (double)r->last_end / r->s->decode_tps
                        - (double)r->request[0].time_ns / 1e9;
    fill_delays(r);
}

static int check_requests(const struct paged_request *q, int64_t n, struct err *err) {
    for (int64_t i = 0; i < n; i++) {
        if (q[i].input_tokens < 0 || q[i].output_tokens < 0
            || q[i].input_tokens > PAGED_MOST_TOKENS || q[i].output_tokens > PAGED_MOST_TOKENS)
            return err_set(err, "request %lld: %lld input and %lld output tokens: expected 0 to "
                           "%lld of each", (long long)i + 1, (long long)q[i].input_tokens,
                           (long long)q[i].output_tokens, (long long)PAGED_MOST_TOKENS);
    }
    return 0;
}

static int run(struct replay *r, struct err *err) {
    int64_t shown = 0;
    for (int64_t pass = next_pass(r); pass != NONE; pass = next_pass(r)) {
        sum_passes(r, pass);
        r->pass = pass;
        run_events(r);
        admit_all(r);
        if (r->s->progress && r->ended >= shown) {
            shown = r->ended + 256;
            if (r->s->progress(r->s->arg, r->ended, r->n))
                return err_set(err, "cancelled");
        }
    }
    return 0;
}

int paged_run(const struct paged_setup *s, const struct paged_request *request, int64_t n,
              struct paged_result *out, struct err *err) {
    struct replay r = {.s = s, .request = request, .n = n, .out = out, .free_slot = NONE,
                       .newest = NONE, .pass = -1};
    *out = (struct paged_result){0};
    if (check_requests(request, n, err))
        return -1;
    if (s->scheme == PAGED_BLOCKS)
        r.blocks = r.free_blocks = s->memory_tokens / s->block_tokens;
    else
        r.arena = arena_new(s->first_fit ? ARENA_FIRST_FIT : ARENA_BUDDY, s->memory_tokens);
    r.made = mem_array((size_t)n, sizeof *r.made);
    r.delay = mem_array((size_t)n, sizeof *r.delay);
    int failed = run(&r, err);
    fill_result(&r);
    arena_free(r.arena);
    free(r.slot);
    free(r.made);
    free(r.delay);
    free(r.preempted);
    agenda_free(&r.events);
    return failed;
}
