/* test_gate_policy.c - lib/cost/gate_policy: statements, the line that counts, refusals */
#include "tests/check.h"

#include "lib/cost/gate_policy.h"

static struct err err;

static struct gate_policy *parse(const char *text) {
    err = (struct err){{0}};
    return gate_policy_parse("p", text, strlen(text), &err);
}

static void refused(const char *text, const char *want) {
    struct gate_policy *p = parse(text);
    CHECK(!p);
    CHECK_STR(err.text, want);
    gate_policy_free(p);
}

static void statements(void) {
    struct gate_policy *p = parse("# a comment\n"
                             "level 0.99 # and another\r\n"
                             "holm off\n\n"
                             "missing warn\n"
                             "pairs key=question\n"
                             "book  ./mine.book\n"
                             "at 2026-11-24T16:00Z\n"
                             "shape llama-3.1-8b\n"
                             "cache off\n"
                             "metric usd margin=2.5% each=0.5 direction=lower layer=paired "
                             "action=warn min_n=6 level=90% effect=0.07 unit=usd");
    CHECK(p != NULL);
    if (!p)
        return;
    CHECK_NEAR(p->level, 0.99, 0);
    CHECK(!p->holm && !p->cache && p->missing == GATE_ACT_WARN);
    CHECK_STR(p->key, "question");
    CHECK_STR(p->book, "./mine.book");
    CHECK_STR(p->shape, "llama-3.1-8b");
    CHECK_INT(p->at_ns, 1795536000000000000);
    CHECK_INT((long long)p->metrics, 1);
    struct gate_rule r;
    CHECK_INT(gate_policy_rule(p, "usd", "usd", GATE_UNSAID, &r), 1);
    CHECK_NEAR(r.margin, 0.025, 1e-15);
    CHECK_NEAR(r.each, 0.5, 0);
    CHECK_NEAR(r.level, 0.9, 1e-15);
    CHECK_NEAR(r.effect, 0.07, 0);
    CHECK(r.layer == GATE_PAIRED && r.better == GATE_LOWER && r.action == GATE_ACT_WARN);
    CHECK(r.min_n == 6 && r.named);
    gate_policy_free(p);
}

static void first_line_that_fits(void) {
    struct gate_policy *p = parse("metric ttft unit=ms margin=1%\n"
                             "metric ttft margin=2%\n"
                             "metric t* margin=3% action=ignore\n"
                             "metric [ab]? level=0.9\n"
                             "metric cached_tokens\n");
    struct gate_rule r;
    CHECK(p != NULL);
    if (!p)
        return;
    CHECK_INT(gate_policy_rule(p, "ttft", "ms", GATE_UNSAID, &r), 1);
    CHECK_NEAR(r.margin, 0.01, 1e-15);
    gate_policy_rule(p, "ttft", "s", GATE_UNSAID, &r);
    CHECK_NEAR(r.margin, 0.02, 1e-15);
    CHECK_NEAR(r.level, 0.95, 0);
    gate_policy_rule(p, "total", "ms", GATE_UNSAID, &r);
    CHECK_NEAR(r.margin, 0.03, 1e-15);
    CHECK(r.action == GATE_ACT_IGNORE && !r.named);
    gate_policy_rule(p, "b2", "tok/s", GATE_UNSAID, &r);
    CHECK_NEAR(r.level, 0.9, 0);
    CHECK(r.better == GATE_HIGHER && r.layer == GATE_UNPAIRED && r.action == GATE_ACT_FAIL);
    /* Ignored unless it is named; and what no line fits is not judged. */
    gate_policy_rule(p, "cached_tokens", "tok", GATE_UNSAID, &r);
    CHECK(r.action == GATE_ACT_FAIL && r.better == GATE_HIGHER && r.layer == GATE_PAIRED);
    CHECK_INT(gate_policy_rule(p, "usd", "usd", GATE_UNSAID, &r), 0);
    CHECK(r.action == GATE_ACT_IGNORE && !r.named);
    gate_policy_free(p);
}

static void built_in(void) {
    struct gate_policy *p = gate_policy_find(NULL, &err);
    struct gate_rule r;
    CHECK(p && !p->path && p->holm && p->cache && p->missing == GATE_ACT_FAIL);
    CHECK_STR(p->key, "id");
    CHECK_INT(gate_policy_rule(p, "prompt_tokens", "tok", GATE_UNSAID, &r), 1);
    CHECK(r.layer == GATE_DETERMINISTIC && r.margin == 0 && r.action == GATE_ACT_FAIL);
    gate_policy_rule(p, "usd", "usd", GATE_UNSAID, &r);
    CHECK(r.layer == GATE_PAIRED && r.margin == 0.02 && isnan(r.each) && isnan(r.effect));
    gate_policy_rule(p, "right", "", GATE_UNSAID, &r);
    CHECK(r.better == GATE_HIGHER && r.action == GATE_ACT_FAIL);
    gate_policy_rule(p, "anything", "J", GATE_HIGHER, &r);
    CHECK(r.better == GATE_HIGHER && r.layer == GATE_UNPAIRED);
    gate_policy_rule(p, "cost", "USD", GATE_LOWER, &r);
    CHECK(r.action == GATE_ACT_IGNORE);
    gate_policy_free(p);
}

static void refusals(void) {
    refused("", "p: expected a metric line: this policy judges nothing");
    refused("level 0.95\n", "p: expected a metric line: this policy judges nothing");
    refused("level\n", "p:1: expected one value behind the statement, found 'the end of the line'");
    refused("level 0.9 0.8\n", "p:1: expected one value behind the statement, found '0.8'");
    refused("level 0.2\n", "p:1: expected a share from 50% to 99.99%, or from 0.5 to 0.9999, found "
            "'0.2'");
    refused("holm yes\n", "p:1: expected on or off, found 'yes'");
    refused("missing never\n", "p:1: expected fail, warn or ignore, found 'never'");
    refused("pairs id\n", "p:1: expected key=FIELD, as in key=id, found 'id'");
    refused("pairs key=\n", "p:1: expected key=FIELD, as in key=id, found 'key='");
    refused("at tomorrow\n", "p:1: expected a date as in 2026-01-15 or 2026-01-15T10:00Z, found "
            "'tomorrow'");
    refused("metric\n", "p:1: expected the name of a metric, found 'the end of the line'");
    refused("metric usd 5%\n", "p:1: expected NAME=VALUE, as in margin=5%, found '5%'");
    refused("metric usd margin=-1%\n", "p:1: expected a share from 0 to 1000%, as in 5% or 0.05, "
            "found '-1%'");
    refused("metric usd margin=nan\n", "p:1: expected a share from 0 to 1000%, as in 5% or 0.05, "
            "found 'nan'");
    refused("metric usd margin=5%%\n", "p:1: expected a share from 0 to 1000%, as in 5% or 0.05, "
            "found '5%%'");
    refused("metric usd min_n=0\n", "p:1: expected a number from 1 to 1000000, found '0'");
    refused("metric usd layer=both\n", "p:1: expected deterministic, paired or unpaired, found "
            "'both'");
    refused("metric usd direction=up\n", "p:1: expected lower or higher, found 'up'");
    refused("metric usd colour=red\n", "p:1: expected margin, direction, layer, action, level, "
            "min_n, unit, each or effect, found 'colour'");
    refused("metric usd\nmetric usd margin=1%\n", "p:2: metric 'usd' is there already, in line 1");
    refused("metric usd\x01\n", "p:1: expected text, found a control character");
    refused("budget 3\n", "p:1: expected level, holm, missing, pairs, book, at, shape, cache or "
            "metric, found 'budget'");
}

static void files(void) {
    CHECK(!gate_policy_find("/nothing/here", &err));
    CHECK(strstr(err.text, "/nothing/here") != NULL);
    gate_policy_free(NULL);
}

int main(void) {
    RUN(statements);
    RUN(first_line_that_fits);
    RUN(built_in);
    RUN(refusals);
    RUN(files);
    return check_done();
}
