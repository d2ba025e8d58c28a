/* run_generate.c - the scheduler: many requests, one pass at a time (continuous batching, Orca,
 * Yu et al., OSDI 2022)
 *
 * Each pass holds one row of every request that is writing, and fills up with prompt rows of
 * those that are still reading, oldest first. A request that ends leaves its sequence to the
 * next one at once. Rows do not influence each other, so what a request gets does not depend on
 * its neighbours.
 */
#include "cmd/run.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/format/jsonw.h"

struct scheduler {
    struct engine *e;
    const struct feed *feed;
    struct request *one;        /* feed->one, until it was taken */
    int slots;
    struct request **active;    /* [slots] in the order they came */
    int n_active;
    char *taken;                /* [slots] sequences in use */
};

/* ---- requests --------------------------------------------------------------------------- */

struct request *request_new(struct engine *e) {
    struct request *r = mem_alloc(sizeof(*r));
    r->number = e->requests++;
    r->max_tokens = e->opt->tokens;
    r->sample = e->opt->sample;
    r->sample.seed += r->number;
    r->reply.stop = e->opt->stop;
    r->reply.n_stop = e->opt->n_stop;
    return r;
}

void request_free(struct request *r) {
    if (!r)
        return;
    for (int i = 0; r->own_stop && r->own_stop[i]; i++)
        free(r->own_stop[i]);
    free(r->own_stop);
    sampler_free(r->sampler);
    free(r->id);
    free(r->prompt.id);
    free(r->made.id);
    buf_free(&r->reply.text);
    buf_free(&r->logprobs);
    free(r->hidden_sum);
    buf_free(&r->hidden);
    free(r->error);
    free(r);
}

static struct sampler *make_sampler(const struct engine *e, const struct request *r) {
    struct sample_options opt = r->sample;
    if (e->opt->ignore_eos) {
        opt.banned = e->ends.id;
        opt.n_banned = (int)e->ends.n;
    }
    return sampler_new(&opt, e->model->shape->vocab);
}

/* ---- starting and ending ---------------------------------------------------------------- */

static void refuse(struct scheduler *s, struct request *r, char *why) {
    r->error = why;
    s->feed->done(s->feed->arg, r);
}

/* Gives a request its sequence; 0 when it cannot run. */
static int start_request(struct scheduler *s, struct request *r, int seq) {
    struct session *session = s->e->session;
    int context = session_context(session);
    r->seq = seq;
    if (!s->feed->keep && session_truncate(session, seq, 0))
        die("sequence %d cannot be emptied", seq);
    r->cached = session_length(session, seq);
    r->arrived_ns = clock_ns();
    time_now(r->time, sizeof(r->time));
    if (r->prompt.n == 0) {
        refuse(s, r, mem_strdup("the prompt is empty"));
        return 0;
    }
    if (r->prompt.n > (size_t)(context - r->cached)) {
        char *room = r->cached ? mem_printf(" of which %d are taken", r->cached) : mem_strdup("");
        refuse(s, r, mem_printf("the prompt has %zu tokens, the context holds %d%s",
                                r->prompt.n, context, room));
        free(room);
        return 0;
    }
    if (!r->sampler)
        r->sampler = make_sampler(s->e, r);
    for (size_t i = 0; i < r->prompt.n; i++)
        sampler_accept(r->sampler, r->prompt.id[i]);
    return 1;
}

static struct request *next_request(struct scheduler *s) {
    if (s->feed->next)
        return s->feed->next(s->feed->arg, s->n_active == 0);
    struct request *r = s->one;
    s->one = NULL;
    return r;
}

static void admit(struct scheduler *s) {
    while (s->n_active < s->slots) {
        struct request *r = next_request(s);
        if (!r)
            return;
        int seq = 0;
        while (s->taken[seq])
            seq++;
        if (!start_request(s, r, seq))
            continue;
        s->taken[seq] = 1;
        s->active[s->n_active++] = r;
    }
}

/* Hands over what ended and closes the gaps. */
static void retire(struct scheduler *s) {
    int kept = 0;
    for (int i = 0; i < s->n_active; i++) {
        struct request *r = s->active[i];
        if (!r->stop) {
            s->active[kept++] = r;
            continue;
        }
        r->done_ns = clock_ns();
        s->taken[r->seq] = 0;
        result_trace(s->e, r);
        s->feed->done(s->feed->arg, r);
    }
    s->n_active = kept;
}

/* ---- one pass --------------------------------------------------------------------------- */

static int is_writing(const struct request *r) {
    return r->fed == r->prompt.n;
}

/* One row of each that writes, then prompts, oldest first. */
static void fill_pass(struct scheduler *s) {
    struct engine *e = s->e;
    for (int i = 0; i < s->n_active; i++) {
        const struct request *r = s->active[i];
        if (!is_writing(r))
            continue;
        struct session_row row = {.seq = r->seq, .pos = session_length(e->session, r->seq),
                                  .token = r->made.id[r->made.n - 1], .want_logits = 1};
        engine_add(e, row, r->number, TRACE_DECODE);
    }
    for (int i = 0; i < s->n_active; i++) {
        struct request *r = s->active[i];
        if (is_writing(r))
            continue;
        while (r->fed < r->prompt.n) {
            int last = r->fed + 1 == r->prompt.n;
            struct session_row row = {.seq = r->seq, .pos = r->cached + (int)r->fed,
                                      .token = r->prompt.id[r->fed],
                                      .want_logits = last && r->max_tokens != 0};
            if (!engine_add(e, row, r->number, TRACE_PREFILL))
                return;
            r->fed++;
        }
    }
}

static void add_logprob(struct buf *b, const struct engine *e, int32_t token, float logprob) {
    struct buf text = {0};
    vocab_decode(e->vocab, token, 1, &text);
    jsonw_int(b, "token", token);
    jsonw_strn(b, "text", text.data ? text.data : "", text.len);
    jsonw_float_digits(b, "logprob", (double)logprob, 8);
    buf_free(&text);
}

static void note_logprobs(const struct engine *e, struct request *r, const float *logits,
                          int32_t token) {
    int n = e->opt->logprobs;
    struct sample_logprob *top = mem_array((size_t)n + 1, sizeof(*top));
    float own = sample_logprobs(logits, e->model->shape->vocab, token, top, n);
    struct buf *b = &r->logprobs;
    jsonw_open(b, '{');
    add_logprob(b, e, token, own);
    if (n > 0) {
        jsonw_open_key(b, "top", '[');
        for (int i = 0; i < n && top[i].token >= 0; i++) {
            jsonw_open(b, '{');
            add_logprob(b, e, top[i].token, top[i].logprob);
            jsonw_close(b, '}');
        }
        jsonw_close(b, ']');
    }
    jsonw_close(b, '}');
    free(top);
}

/* Draws the next token of a request and decides whether it goes on. */
static void take_token(struct scheduler *s, struct request *r, const float *logits) {
    struct engine *e = s->e;
    int32_t token = sampler_draw(r->sampler, logits);
    sampler_accept(r->sampler, token);
    ids_add(&r->made, token);
    if (r->made.n == 1)
        r->first_ns = clock_ns();
    if (e->opt->logprobs >= 0)
        note_logprobs(e, r, logits, token);

    size_t before = r->reply.text.len;
    if (vocab_is_end(e->vocab, token))
        r->stop = "eos";
    else if (vocab_decode(e->vocab, token, e->opt->special, &r->reply.text))
        die("%s: token %d is outside the vocabulary of the tokenizer", e->opt->model, token);
    if (!r->stop && reply_check_stop(&r->reply, r->reply.text.len - before))
        r->stop = "stop";
    if (!r->stop && r->made.n == (size_t)r->max_tokens && r->max_tokens >= 0)
        r->stop = "length";
    if (!r->stop && session_length(e->session, r->seq) >= session_context(e->session))
        r->stop = "context";
    if (s->feed->text)
        s->feed->text(s->feed->arg, r);
}

/* Gives each request its rows and logits. The rows of a request are neighbours in the pass. */
static void read_pass(struct scheduler *s, int n) {
    struct engine *e = s->e;
    int wanted = 0;
    for (int i = 0; i < n;) {
        int end = i;
        const struct session_row *row = &e->row[i];
        while (end < n && e->request[end] == e->request[i])
            end++;
        struct request *r = NULL;
        for (int a = 0; a < s->n_active && !r; a++)
            r = s->active[a]->seq == row->seq ? s->active[a] : NULL;
        if (s->feed->rows)
            s->feed->rows(s->feed->arg, r, i, end - i);
        if (e->row[end - 1].want_logits) {
            const float *logits = e->pass.logits + (size_t)wanted * (size_t)e->model->shape->vocab;
            take_token(s, r, logits);
            wanted++;
        } else if (is_writing(r)) {
            r->stop = "length";     /* nothing was to be made */
        }
        i = end;
    }
}

void generate(struct engine *e, const struct feed *feed) {
    struct scheduler s = {.e = e, .feed = feed, .one = feed->one, .slots = e->opt->parallel};
    s.active = mem_array((size_t)s.slots, sizeof(*s.active));
    s.taken = mem_alloc((size_t)s.slots);
    for (;;) {
        admit(&s);
        if (s.n_active == 0)
            break;
        fill_pass(&s);
        int n = e->n;
        engine_pass(e);
        read_pass(&s, n);
        for (int i = 0; i < s.n_active && feed->interrupted && *feed->interrupted; i++) {
            if (!s.active[i]->stop)
                s.active[i]->stop = "interrupted";
        }
        retire(&s);
    }
    free(s.active);
    free(s.taken);
}
