/* test_ask.c - lib/route/ask: what a line says, and that it goes through as it came */
#include "tests/check.h"

#include "lib/route/ask.h"
#include "lib/trace/reqs_json.h"

static struct ask ask;
static struct err err;

static int take(const char *text, const struct ask_names *names) {
    static const struct ask_names plain = {.model = {"small", "large"}};
    static char *line;
    size_t len = strlen(text);
    line = mem_grow(line, len + 1 + JSON_PAD, 1);
    memcpy(line, text, len);
    memset(line + len, 0, JSON_PAD + 1);
    line[len] = '\n';
    return ask_read(&ask, line, names ? names : &plain, &err);
}

static const char *given(const char *model, double score, double usd) {
    static struct buf out;
    out.len = 0;
    ask_write(&out, &ask, model, score, usd);
    return out.data;
}

static void fields(void) {
    static const struct ask_names names = {.model = {"small", "large"}, .column = "win_rate",
                                           .embedding = 1};
    CHECK_INT(take("{\"prompt\":\"d\\u00e9f\",\"input_length\":12,\"cached_tokens\":3,"
                   "\"output_tokens\":{\"large\":7,\"other\":9},\"max_tokens\":100,"
                   "\"timestamp\":1500.5,\"time\":\"2026-01-01T00:00:00Z\",\"session_id\":\"a\","
                   "\"embedding\":[1,-2.5e0],\"win_rate\":0.25}", &names), 0);
    CHECK(ask.chars == 3 && ask.input_tokens == 12 && ask.cached_tokens == 3);
    CHECK(isnan(ask.output_tokens[0]) && ask.output_tokens[1] == 7 && ask.most_output == 100);
    CHECK(ask.has_time && ask.at_ns == 1500500000);
    CHECK(ask.has_session && ask.dim == 2 && ask.embedding[1] == -2.5f);
    CHECK(ask.column == 0.25);
    /* Nothing of the line before stays. */
    CHECK_INT(take(" { } ", &names), 0);
    CHECK(isnan(ask.chars) && isnan(ask.input_tokens) && isnan(ask.output_tokens[1]));
    CHECK(!ask.has_time && !ask.has_session && !ask.dim && isnan(ask.column));
    CHECK_INT(take("{\"prompt\":null,\"session_id\":null,\"max_tokens\":null}", &names), 0);
    CHECK(isnan(ask.chars) && !ask.has_session);
    /* A field that has a meaning may be what requests go by as well. */
    static const struct ask_names input = {.model = {"a", "b"}, .column = "input_tokens"};
    CHECK_INT(take("{\"input_tokens\":5,\"output_length\":4}", &input), 0);
    CHECK(ask.column == 5 && ask.input_tokens == 5);
    CHECK(ask.output_tokens[0] == 4 && ask.output_tokens[1] == 4);
    /* The calendar goes behind the timestamp in whichever order. */
    CHECK_INT(take("{\"time\":\"1970-01-01T00:00:02Z\"}", NULL), 0);
    CHECK(ask.at_ns == 2000000000);
    CHECK_INT(take("{\"time\":\"1970-01-01T00:00:02Z\",\"timestamp\":3}", NULL), 0);
    CHECK(ask.at_ns == 3000000);
}

static void messages(void) {
    CHECK_INT(take("{\"messages\":[{\"role\":\"system\",\"content\":\"abc\"},"
                   "{\"content\":[{\"type\":\"text\",\"text\":\"defg\"},{\"type\":\"image_url\"}]},"
                   "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}]}", NULL), 0);
    CHECK(ask.chars == 7);
    CHECK_INT(take("{\"messages\":[]}", NULL), 0);
    CHECK(isnan(ask.chars));
}

static void goes_through(void) {
    CHECK_INT(take(" {\"b\" : [1, 2],\t\"prompt\":\"\\u00e9\\n\" } ", NULL), 0);
    CHECK_STR(given("large", 0.5, NAN), " {\"b\" : [1, 2],\t\"prompt\":\"\\u00e9\\n\",\"route\":"
              "\"large\",\"route_score\":0.5,\"route_cost_usd\":null} \n");
    CHECK_INT(take("{}", NULL), 0);
    CHECK_STR(given(NULL, 1, 0), "{\"route\":null,\"route_score\":1,\"route_cost_usd\":0}\n");
    CHECK_INT(take("{ }\r", NULL), 0);
    CHECK_STR(given("a\"b", 1, 2), "{\"route\":\"a\\\"b\",\"route_score\":1,\"route_cost_usd\":2}"
              "\r\n");
}

/* What an earlier time added goes, wherever it stands. */
static void again(void) {
    CHECK_INT(take("{\"route\":\"x\",\"a\":1, \"route_cost_usd\":3 , \"b\":{\"route\":2}, "
                   "\"route_score\":4}", NULL), 0);
    CHECK_STR(given("large", 0.5, 1), "{\"a\":1,\"b\":{\"route\":2},\"route\":\"large\","
              "\"route_score\":0.5,\"route_cost_usd\":1}\n");
    CHECK_INT(take("{\"rout\\u0065\":\"x\",\"k\\u0065y\":\"\\u00e9\"}", NULL), 0);
    CHECK_STR(given("s", 0, 0), "{\"k\\u0065y\":\"\\u00e9\",\"route\":\"s\",\"route_score\":0,"
              "\"route_cost_usd\":0}\n");
}

static void refuses(void) {
    static const struct {
        const char *line, *want;
    } bad[] = {
        {"", "character 1: expected an object"},
        {"[1]", "character 1: expected an object"},
        {"{\"a\":1", "character 7: expected ',' or '}'"},
        {"{\"a\":1} x", "character 9: expected the end of the line"},
        {"{\"input_tokens\":-1}", "character 17: expected a number of tokens, 0 or more"},
        {"{\"input_tokens\":\"7\"}", "character 17: expected a number of tokens, 0 or more"},
        {"{\"cached_tokens\":1e999}", "character 18: expected a number of tokens, 0 or more"},
        {"{\"messages\":{}}", "character 13: expected an array of messages"},
        {"{\"messages\":[1]}", "character 14: expected a message"},
        {"{\"messages\":[{\"content\":[1]}]}", "character 26: expected a part of a message"},
        {"{\"time\":\"soon\"}", "character 9: expected a time as in 2026-11-24T17:12:28Z"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_INT(take(bad[i].line, NULL), -1);
        CHECK_STR(err.text, bad[i].want);
        CHECK_STR(ask.text.data ? ask.text.data : "", bad[i].line);
    }
    static const struct ask_names column = {.model = {"a", "b"}, .column = "w"};
    CHECK_INT(take("{\"w\":\"high\"}", &column), -1);
    CHECK_STR(err.text, "character 6: expected a finite number, which requests go by");
    CHECK_INT(take("{\"w\":null}", &column), -1);
}

int main(void) {
    RUN(fields);
    RUN(messages);
    RUN(goes_through);
    RUN(again);
    RUN(refuses);
    ask_free(&ask);
    return check_done();
}
