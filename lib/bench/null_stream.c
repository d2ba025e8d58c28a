/* null_stream.c - the null server's streams: when tokens are due and what they look like
 *
 * The next thing that is due of each stream stands in a heap; a turn does all of it that is due
 * by now. Times are on the server's clock, which stands still in stalls. A piece is the tokens of
 * one event; it is due when the last of them is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/bench/null_impl.h"
#include "lib/format/jsonw.h"

/* A stream without a pace hands over after so many bytes; and no stream goes on while so many
 * wait for its client. */
#define QUANTUM ((size_t)32 << 10)
#define LATE_NS 1000000

/* A reply's words, over and over: escapes and letters of two and three bytes among them, since
 * clients must get those right too. */
static const char *const words[] = {
    "The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog,", "then", "rests.",
    "A", "na\xC3\xAFve", "caf\xC3\xA9", "costs", "5", "\xE2\x82\xAC", "today;", "\\\"nothing\\\"",
    "is", "free:", "a\\\\b", "tokens", "cost", "time,", "memory", "and", "power,", "so", "we",
    "count", "them.",
};
#define WORDS (sizeof words / sizeof *words)

static int have(const struct null_conn *c, int fault) {
    return null_faults_have(&c->ask.faults, fault);
}

/* ---- the heap ----------------------------------------------------------------------------- */

static void heap_set(struct nullserver *s, size_t at, struct null_conn *c) {
    s->heap[at] = c;
    c->heap_at = at;
}

static void heap_sift(struct nullserver *s, size_t at, struct null_conn *c) {
    while (at > 1 && s->heap[at / 2]->due > c->due) {
        heap_set(s, at, s->heap[at / 2]);
        at /= 2;
    }
    for (size_t child; (child = 2 * at) <= s->heap_len; at = child) {
        if (child < s->heap_len && s->heap[child + 1]->due < s->heap[child]->due)
            child++;
        if (s->heap[child]->due >= c->due)
            break;
        heap_set(s, at, s->heap[child]);
    }
    heap_set(s, at, c);
}

void null_heap_put(struct nullserver *s, struct null_conn *c) {
    if (!c->heap_at) {
        if (s->heap_len + 2 > s->heap_cap) {
            s->heap_cap = s->heap_cap ? 2 * s->heap_cap : 64;
            s->heap = mem_grow(s->heap, s->heap_cap, sizeof(*s->heap));
        }
        c->heap_at = ++s->heap_len;
    }
    heap_sift(s, c->heap_at, c);
}

void null_heap_take(struct nullserver *s, struct null_conn *c) {
    size_t at = c->heap_at;
    if (!at)
        return;
    struct null_conn *last = s->heap[s->heap_len--];
    c->heap_at = 0;
    if (last != c)
        heap_sift(s, at, last);
}

/* ---- time --------------------------------------------------------------------------------- */

static int64_t jittered(struct nullserver *s, int64_t ns) {
    if (!s->opt.jitter || !ns)
        return ns;
    return llround((double)ns * (1 + s->opt.jitter * (2 * rng_unit(&s->rng) - 1)));
}

/* Tokens of the next event: never past the place where something happens. */
static int64_t piece_tokens(const struct nullserver *s, const struct null_conn *c) {
    const struct null_stream *t = &c->stream;
    int64_t multi = c->ask.faults.arg[NULLSERVER_MULTI];
    int64_t n = s->opt.chunk;
    if (have(c, NULLSERVER_MULTI))
        n = multi < 0 ? 4 : multi;
    if (!c->ask.stream)
        n = 1;
    if (n > t->tokens - t->made)
        n = t->tokens - t->made;
    if (t->made < t->fault_at && n > t->fault_at - t->made)
        n = t->fault_at - t->made;
    return n;
}

/* When the next piece is due, from when the one before it was: the first token of a piece that is
 * not the first one costs a step like all others. */
static void set_due(struct nullserver *s, struct null_conn *c, int first) {
    int64_t steps = piece_tokens(s, c) - first;
    for (int64_t i = 0; s->opt.tpot_ns && i < steps; i++)
        c->due += jittered(s, s->opt.tpot_ns);
}

/* The gate of --rate: a piece enters when it is due and the gate is free, and passes n / rate
 * later. */
static void pass_gate(struct nullserver *s, struct null_conn *c) {
    double enter = fmax((double)c->due, s->gate_ns);
    s->gate_ns = enter + (double)piece_tokens(s, c) * 1e9 / s->opt.rate;
    c->due = (int64_t)s->gate_ns;
    c->stream.granted = 1;
}

/* ---- events ------------------------------------------------------------------------------- */

/* Sends scratch as one event: framed as a chunk, or as several that cut it in odd places. */
static void send_event(struct nullserver *s, struct null_conn *c) {
    static const size_t odd[] = {1, 3, 7, 13, 5, 29, 2, 31};
    const char *data = s->scratch.data;
    size_t len = s->scratch.len;
    int split = have(c, NULLSERVER_SPLIT);
    char size[24];
    if (!c->framed) {
        buf_add(&c->out, data, len);
        return;
    }
    for (size_t i = 0; len; i++) {
        size_t n = split && odd[i % 8] < len ? odd[i % 8] : len;
        size_t digits = sizeof size;
        size[--digits] = '\n';
        size[--digits] = '\r';
        for (size_t rest = n; rest; rest >>= 4)
            size[--digits] = "0123456789abcdef"[rest & 15];
        buf_add(&c->out, size + digits, sizeof size - digits);
        buf_add(&c->out, data, n);
        buf_add(&c->out, "\r\n", 2);
        data += n;
        len -= n;
    }
}

/* Ends the event's JSON lines: an empty line, and with crlf also a comment behind it. */
static void end_event(struct nullserver *s, struct null_conn *c) {
    buf_adds(&s->scratch, have(c, NULLSERVER_CRLF) ? "\r\n\r\n: ping\r\n\r\n" : "\n\n");
    send_event(s, c);
    s->scratch.len = 0;
}

static void put_usage(struct nullserver *s, const struct null_conn *c) {
    long long in = c->ask.prompt_tokens;
    long long out = c->stream.made;
    buf_printf(&s->scratch, ",\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
               "\"total_tokens\":%lld", in, out, in + out);
    if (s->opt.cache)
        buf_printf(&s->scratch, ",\"prompt_tokens_details\":{\"cached_tokens\":%lld}",
                   (long long)c->ask.cached_tokens);
    buf_addc(&s->scratch, '}');
}

static int may_have_usage(const struct nullserver *s, const struct null_conn *c) {
    return s->opt.usage != NULLSERVER_USAGE_NONE && !have(c, NULLSERVER_NO_USAGE);
}

static void put_words(struct buf *b, int64_t from, int64_t n) {
    for (int64_t i = from; i < from + n; i++) {
        if (i)
            buf_addc(b, ' ');
        buf_adds(b, words[(size_t)i % WORDS]);
    }
}

/* An event about n tokens more; finish NULL: the reply goes on. */
static void put_piece(struct nullserver *s, struct null_conn *c, int64_t n, int role,
                      const char *finish) {
    struct buf *b = &s->scratch;
    buf_add(b, c->event.data, c->event.len);
    if (!c->ask.chat)
        buf_adds(b, "\"text\":\"");
    else if (!finish)
        buf_adds(b, role ? "\"delta\":{\"role\":\"assistant\",\"content\":\""
                         : "\"delta\":{\"content\":\"");
    put_words(b, c->stream.made, n);
    if (!c->ask.chat)
        buf_addc(b, '"');
    else
        buf_adds(b, finish ? "\"delta\":{}" : "\"}");
    buf_adds(b, ",\"logprobs\":null,\"finish_reason\":");
    if (finish)
        buf_printf(b, "\"%s\"}]", finish);
    else
        buf_adds(b, "null}]");
    c->stream.made += n;
    s->counts.tokens += n;
    if ((s->opt.usage == NULLSERVER_USAGE_EVERY || c->ask.every_usage) && may_have_usage(s, c))
        put_usage(s, c);
    buf_addc(b, '}');
    end_event(s, c);
}

/* What all events of a reply, or the reply in one piece, begin with. */
static void make_event_head(struct null_conn *c) {
    const struct null_ask *ask = &c->ask;
    c->event.len = 0;
    buf_printf(&c->event, "%s{\"id\":\"%s-%lld\",\"object\":\"%s\",\"created\":%lld,\"model\":",
               ask->stream ? "data: " : "", ask->chat ? "chatcmpl" : "cmpl",
               (long long)c->stream.number, !ask->chat ? "text_completion" :
               ask->stream ? "chat.completion.chunk" : "chat.completion", (long long)time(NULL));
    buf_add(&c->event, ask->model.data, ask->model.len);
    buf_adds(&c->event, ",\"choices\":[{\"index\":0,");
}

/* Usage in an event of its own, without a choice. */
static void put_last_usage(struct nullserver *s, struct null_conn *c) {
    buf_add(&s->scratch, c->event.data, c->event.len - strlen("{\"index\":0,"));
    buf_addc(&s->scratch, ']');
    put_usage(s, c);
    buf_addc(&s->scratch, '}');
    end_event(s, c);
}

static void put_done(struct nullserver *s, struct null_conn *c) {
    buf_adds(&s->scratch, "data: [DONE]");
    end_event(s, c);
}

/* ---- ends --------------------------------------------------------------------------------- */

static void reply_over(struct nullserver *s, struct null_conn *c) {
    s->counts.replies++;
    null_stream_leave(s, c);
    null_conn_flush_later(s, c);
    null_conn_finish(s, c);
}

/* The last chunk, or what stands for it, then the reply is over. */
static void end_body(struct nullserver *s, struct null_conn *c) {
    if (c->framed)
        buf_adds(&c->out, "0\r\n\r\n");
    reply_over(s, c);
}

static void end_stream(struct nullserver *s, struct null_conn *c) {
    put_piece(s, c, 0, 0, c->stream.finish);
    if ((c->ask.include_usage || s->opt.usage == NULLSERVER_USAGE_EVERY) && may_have_usage(s, c))
        put_last_usage(s, c);
    if (!have(c, NULLSERVER_NO_DONE))
        put_done(s, c);
    end_body(s, c);
}

/* A reply in one piece, cut in half where a fault says so. */
static void end_whole(struct nullserver *s, struct null_conn *c) {
    struct buf *b = &s->scratch;
    struct null_stream *t = &c->stream;
    buf_add(b, c->event.data, c->event.len);
    buf_adds(b, c->ask.chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"" : "\"text\":\"");
    put_words(b, 0, t->tokens);
    buf_printf(b, c->ask.chat ? "\"},\"logprobs\":null,\"finish_reason\":\"%s\"}]"
                              : "\",\"logprobs\":null,\"finish_reason\":\"%s\"}]", t->finish);
    if (may_have_usage(s, c))
        put_usage(s, c);
    buf_addc(b, '}');
    if (have(c, NULLSERVER_TRUNCATE) || have(c, NULLSERVER_GARBAGE))
        b->len /= 2;
    if (have(c, NULLSERVER_CLOSE))
        c->keep_alive = 0;
    null_http_reply(c, 200, "", b);
    if (have(c, NULLSERVER_CLOSE))
        c->out.len -= b->len / 2;
    b->len = 0;
    reply_over(s, c);
}

/* ---- faults in the middle ----------------------------------------------------------------- */

/* What happens at fault_at. 1: the reply is over; 2: it waits; 0: it goes on. */
static int misbehave(struct nullserver *s, struct null_conn *c) {
    struct null_stream *t = &c->stream;
    if (have(c, NULLSERVER_STALL) && !t->paused) {
        int64_t wait = c->ask.faults.arg[NULLSERVER_STALL];
        t->paused = 1;
        c->due += wait < 0 ? 1000000000 : wait;
        return 2;
    }
    if (have(c, NULLSERVER_RESET)) {
        s->counts.replies++;
        null_stream_leave(s, c);
        null_conn_reset(s, c);
        return 1;
    }
    if (!c->ask.stream) {
        if (!have(c, NULLSERVER_ERROR_EVENT))
            return 0;
        null_http_error(c, 500, "", "the engine failed");
        reply_over(s, c);
        return 1;
    }
    if (have(c, NULLSERVER_CLOSE)) {
        c->keep_alive = 0;
        reply_over(s, c);
        return 1;
    }
    if (have(c, NULLSERVER_TRUNCATE)) {
        end_body(s, c);
        return 1;
    }
    if (have(c, NULLSERVER_ERROR_EVENT)) {
        buf_adds(&s->scratch, "data: {\"error\":{\"message\":\"the engine failed\",\"type\":"
                 "\"server_error\",\"code\":500}}");
        end_event(s, c);
        put_done(s, c);
        end_body(s, c);
        return 1;
    }
    if (have(c, NULLSERVER_GARBAGE) && !t->fouled) {
        t->fouled = 1;
        buf_adds(&s->scratch, "data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"delta\":{\"content\":");
        end_event(s, c);
    }
    return 0;
}

/* ---- turns -------------------------------------------------------------------------------- */

static void do_piece(struct nullserver *s, struct null_conn *c) {
    struct null_stream *t = &c->stream;
    int64_t n = piece_tokens(s, c);
    int64_t late = s->now - c->due;
    int paced = s->opt.tpot_ns || s->opt.rate > 0 || !t->made;
    s->counts.late += paced && late > LATE_NS;
    if (paced && late > s->counts.latest_ns)
        s->counts.latest_ns = late;
    t->granted = 0;
    if (c->ask.stream) {
        put_piece(s, c, n, !t->made && !have(c, NULLSERVER_EMPTY_FIRST), NULL);
        null_conn_flush_later(s, c);
    } else {
        t->made += n;
        s->counts.tokens += n;
    }
    if (t->made < t->tokens)            /* else the end is due at once */
        set_due(s, c, 0);
}

/* One step of what is due. 1: the stream goes on; 0: it is over, or waits for its client. */
static int do_step(struct nullserver *s, struct null_conn *c) {
    struct null_stream *t = &c->stream;
    if (t->made == t->fault_at && !t->granted) {
        int what = misbehave(s, c);
        if (what)
            return what == 2;
    }
    if (t->made == t->tokens) {
        c->ask.stream ? end_stream(s, c) : end_whole(s, c);
        return 0;
    }
    if (s->opt.rate > 0 && !t->granted) {
        pass_gate(s, c);
        return 1;
    }
    do_piece(s, c);
    if (c->out.len - c->out_at < QUANTUM)
        return 1;
    if (c->blocked) {
        null_heap_take(s, c);
        return 0;
    }
    if (c->due <= s->now && !(s->opt.rate > 0))
        c->due = s->now + 1;            /* others first */
    return 1;
}

static void do_stream(struct nullserver *s, struct null_conn *c) {
    while (c->due <= s->now) {
        if (!do_step(s, c))
            return;
        if (s->opt.rate > 0 && !c->stream.granted)
            break;                      /* others may have been due before */
    }
    null_heap_put(s, c);
}

static void begin_stream(struct nullserver *s, struct null_conn *c) {
    const struct null_ask *ask = &c->ask;
    int64_t computed = ask->prompt_tokens - ask->cached_tokens;
    c->state = NULL_STREAM;
    if (have(c, NULLSERVER_EMPTY_FIRST) && ask->stream) {
        put_piece(s, c, 0, 1, NULL);
        null_conn_flush_later(s, c);
    }
    c->due = s->now + jittered(s, s->opt.ttft_ns + computed * s->opt.ttft_token_ns);
    set_due(s, c, 1);
    null_heap_put(s, c);
}

/* One more byte of the head. */
static void do_head(struct nullserver *s, struct null_conn *c) {
    int64_t whole = c->ask.faults.arg[NULLSERVER_SLOW_HEADERS];
    if (whole < 0)
        whole = 2000000000;
    if (c->out_at + 1 < c->drip_end) {
        c->due = s->now + whole / (int64_t)c->drip_end;
        null_conn_flush_later(s, c);
        null_heap_put(s, c);
        return;
    }
    null_conn_flush_later(s, c);
    begin_stream(s, c);
}

void null_stream_turn(struct nullserver *s, struct null_conn *c) {
    c->state == NULL_HEAD ? do_head(s, c) : do_stream(s, c);
}

void null_stream_unblock(struct nullserver *s, struct null_conn *c) {
    if (c->state == NULL_STREAM && !c->heap_at)
        null_heap_put(s, c);
}

/* ---- slots -------------------------------------------------------------------------------- */

static void start(struct nullserver *s, struct null_conn *c) {
    c->slot = 1;
    s->running++;
    make_event_head(c);
    if (c->ask.stream) {
        null_http_head(c, 200, "text/event-stream; charset=utf-8", "", -1);
        null_conn_flush_later(s, c);
    }
    if (have(c, NULLSERVER_SLOW_HEADERS)) {
        c->state = NULL_HEAD;
        c->drip_end = c->out.len;
        c->due = s->now;
        null_heap_put(s, c);
    } else {
        begin_stream(s, c);
    }
}

/* How many tokens, and why there are no more. */
static void set_length(const struct nullserver *s, struct null_conn *c) {
    struct null_stream *t = &c->stream;
    const struct null_ask *ask = &c->ask;
    int64_t most = ask->max_tokens;
    t->finish = "stop";
    t->tokens = s->opt.tokens;
    if (ask->min_tokens > t->tokens)
        t->tokens = ask->min_tokens;
    if (ask->ignore_eos && most > 0)
        t->tokens = most;
    if (most > 0 && t->tokens >= most) {
        t->tokens = most;
        t->finish = "length";
    }
}

/* After how many tokens a fault happens: the first that says so, else the middle; -1: none does. */
static int64_t fault_place(const struct null_conn *c) {
    static const int kinds[] = {NULLSERVER_RESET, NULLSERVER_CLOSE, NULLSERVER_TRUNCATE,
                                NULLSERVER_ERROR_EVENT, NULLSERVER_GARBAGE, NULLSERVER_STALL};
    int64_t tokens = c->stream.tokens;
    int any = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int64_t at = c->ask.faults.arg[kinds[i]];
        if (!have(c, kinds[i]))
            continue;
        any = 1;
        if (at >= 0 && kinds[i] != NULLSERVER_STALL)
            return at < tokens ? at : tokens;
    }
    return any ? tokens / 2 : -1;
}

void null_stream_enter(struct nullserver *s, struct null_conn *c) {
    c->stream = (struct null_stream){.number = c->stream.number};
    set_length(s, c);
    c->stream.fault_at = fault_place(c);
    if (s->opt.slots && s->running >= s->opt.slots) {
        c->state = NULL_QUEUED;
        TAILQ_INSERT_TAIL(&s->queue, c, queue);
    } else {
        start(s, c);
    }
}

void null_stream_leave(struct nullserver *s, struct null_conn *c) {
    null_heap_take(s, c);
    if (c->state == NULL_QUEUED)
        TAILQ_REMOVE(&s->queue, c, queue);
    if (!c->slot)
        return;
    c->slot = 0;
    s->running--;
    struct null_conn *next = TAILQ_FIRST(&s->queue);
    if (next) {
        TAILQ_REMOVE(&s->queue, next, queue);
        start(s, next);
    }
}
