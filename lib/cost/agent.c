/* agent.c - a persistent agent's context over turns, see agent.h
 *
 * The conversation grows by input + output a turn. With a limit it starts over from a summary after
 * as many turns as fit, so that any turn's place in its stretch is found without walking there.
 */
#include "lib/cost/agent.h"

#include <string.h>

#define PING_OUTPUT 1           /* tokens that a request makes which only renews */
#define NS_PER_MS 1000000

/* Turns that fit behind a beginning of so many tokens. */
static int64_t fits(const struct agent *a, int64_t head) {
    return (a->limit - head) / (a->input + a->output);
}

int agent_check(const struct agent *a) {
    int64_t head = a->system + (a->turns > 1 ? a->summary : 0);
    return a->limit && head + a->input + a->output > a->limit ? -1 : 0;
}

struct agent_turn agent_turn(const struct agent *a, int64_t i) {
    int64_t head = a->system;
    int64_t place = i;          /* in its stretch */
    struct agent_turn t = {0};
    if (a->limit && a->input + a->output > 0 && i >= fits(a, a->system)) {
        int64_t later = fits(a, a->system + a->summary);
        head += a->summary;
        place = (i - fits(a, a->system)) % later;
        t.compacted = place == 0;
    }
    if (t.compacted || i == 0) {
        t.shared = t.compacted ? a->system : 0;
        t.fresh = head - t.shared + a->input;
        return t;
    }
    t.shared = head + place * a->input + (place - 1) * a->output;
    t.answer = a->output;
    t.fresh = a->input;
    return t;
}

int64_t agent_prompt(const struct agent_turn *t) {
    return t->shared + t->answer + t->fresh;
}

int64_t agent_pings(const struct agent *a, int64_t ttl_ns) {
    return (a->interval_ns - 1) / ttl_ns;
}

static void nothing_used(struct usage *out) {
    memset(out, 0, sizeof *out);
    out->time_ns = out->offset_ns = USAGE_NO_TIME;
    usage_add(out, USAGE_REQUEST, USAGE_TEXT, 0, 1);
}

static void read_and_write(const struct agent_turn *t, int alive, int64_t ttl_ns,
                           struct usage *out) {
    int64_t hit = alive ? t->shared : 0;
    usage_add(out, USAGE_READ, USAGE_TEXT, 0, hit);
    usage_add(out, USAGE_WRITE, USAGE_TEXT, ttl_ns, agent_prompt(t) - hit);
}

void agent_usage(const struct agent *a, int64_t i, enum agent_way way, int64_t ttl_ns,
                 struct usage *out) {
    struct agent_turn t = agent_turn(a, i);
    int64_t prompt = agent_prompt(&t);
    nothing_used(out);
    switch (way) {
    case AGENT_RECOMPUTED: usage_add(out, USAGE_INPUT, USAGE_TEXT, 0, prompt); break;
    case AGENT_CACHED: read_and_write(&t, a->interval_ns <= ttl_ns, ttl_ns, out); break;
    case AGENT_ALIVE: read_and_write(&t, 1, ttl_ns, out); break;
    case AGENT_STORED:
        usage_add(out, USAGE_READ, USAGE_TEXT, 0, t.shared);
        usage_add(out, USAGE_INPUT, USAGE_TEXT, 0, prompt - t.shared);
        if (i + 1 < a->turns)
            usage_add(out, USAGE_STORAGE, USAGE_TEXT, 0, prompt * (a->interval_ns / NS_PER_MS));
        break;
    }
    usage_add(out, USAGE_OUTPUT, USAGE_TEXT, 0, a->output);
}

void agent_ping(const struct agent *a, int64_t i, struct usage *out) {
    struct agent_turn t = agent_turn(a, i);
    nothing_used(out);
    usage_add(out, USAGE_READ, USAGE_TEXT, 0, agent_prompt(&t));
    usage_add(out, USAGE_OUTPUT, USAGE_TEXT, 0, PING_OUTPUT);
}
