/* test_agent.c - lib/cost/agent: closed forms against a conversation that is kept token by token */
#include <stdlib.h>

#include "lib/cost/agent.h"
#include "tests/check.h"
#include "tests/random.h"

#define MOST 4000

/* A conversation as its tokens: each is a number of its own, system tokens come back. */
struct talk {
    int token[MOST];
    int n, next;
};

static void say(struct talk *t, int64_t tokens) {
    for (int64_t i = 0; i < tokens; i++)
        t->token[t->n++] = t->next++;
}

static void token_by_token(void) {
    for (int run = 0; run < 300; run++) {
        struct agent a = {.turns = 1 + below(30), .system = below(20), .input = 1 + below(20),
                          .output = below(20), .summary = below(10)};
        if (below(2))
            a.limit = a.system + a.summary + (a.input + a.output) * (1 + below(5)) + below(7);
        CHECK_INT(agent_check(&a), 0);
        struct talk now = {.next = 1000000};
        struct talk before = {.n = 0};
        int answer_from = 0;
        for (int s = 0; s < a.system; s++)
            now.token[now.n++] = s;
        for (int64_t i = 0; i < a.turns; i++) {
            int compacted = a.limit && now.n + a.input + a.output > a.limit;
            if (compacted) {
                now.n = (int)a.system;
                say(&now, a.summary);
            }
            say(&now, a.input);
            int shared = 0;
            while (shared < before.n && shared < now.n &&
                   before.token[shared] == now.token[shared])
                shared++;
            struct agent_turn t = agent_turn(&a, i);
            CHECK_INT(t.compacted, compacted);
            CHECK_INT(agent_prompt(&t), now.n);
            CHECK_INT(t.shared, shared);
            CHECK_INT(t.answer, i && !compacted ? now.n - a.input - answer_from : 0);
            before = now;
            answer_from = now.n;
            say(&now, a.output);
        }
    }
}

static void beyond_the_limit(void) {
    struct agent a = {.turns = 2, .system = 10, .input = 5, .output = 5, .summary = 1,
                      .limit = 20};
    CHECK_INT(agent_check(&a), -1);
    a.turns = 1;
    CHECK_INT(agent_check(&a), 0);
    a.limit = 19;
    CHECK_INT(agent_check(&a), -1);
    a.limit = 0;
    CHECK_INT(agent_check(&a), 0);
}

static void ways(void) {
    const int64_t minute = INT64_C(60000000000);
    struct agent a = {.turns = 3, .system = 100, .input = 10, .output = 5,
                      .interval_ns = 12 * minute};
    struct usage u;
    agent_usage(&a, 2, AGENT_RECOMPUTED, 0, &u);
    CHECK_INT(usage_sum(&u, USAGE_INPUT), 140);
    CHECK_INT(usage_sum(&u, USAGE_OUTPUT), 5);
    agent_usage(&a, 2, AGENT_CACHED, 5 * minute, &u);
    CHECK_INT(usage_sum(&u, USAGE_READ), 0);
    CHECK_INT(usage_sum(&u, USAGE_WRITE), 140);
    agent_usage(&a, 2, AGENT_CACHED, 60 * minute, &u);
    CHECK_INT(usage_sum(&u, USAGE_READ), 125);
    CHECK_INT(usage_sum(&u, USAGE_WRITE), 15);
    agent_usage(&a, 2, AGENT_ALIVE, 5 * minute, &u);
    CHECK_INT(usage_sum(&u, USAGE_READ), 125);
    CHECK_INT(agent_pings(&a, 5 * minute), 2);
    CHECK_INT(agent_pings(&a, 12 * minute), 0);
    CHECK_INT(agent_pings(&a, 6 * minute), 1);
    agent_ping(&a, 1, &u);
    CHECK_INT(usage_sum(&u, USAGE_READ), 125);
    CHECK_INT(usage_sum(&u, USAGE_OUTPUT), 1);
    agent_usage(&a, 1, AGENT_STORED, 0, &u);
    CHECK_INT(usage_sum(&u, USAGE_STORAGE), 125 * 12 * 60000);
    agent_usage(&a, 2, AGENT_STORED, 0, &u);
    CHECK_INT(usage_sum(&u, USAGE_STORAGE), 0);
}

int main(void) {
    RUN(token_by_token);
    RUN(beyond_the_limit);
    RUN(ways);
    return check_done();
}
