/* fuzz_ask.c - lines of a stream of requests, mutated: lib/route/ask reads and passes on any */
#include "lib/route/ask.h"

#include <math.h>

#include "lib/trace/reqs_json.h"
#include "tests/fuzz.h"

enum { READ = 1, MARKED = 2, SPOKE = 4 };

static struct ask ask;

/* The line up to the first newline, as reqs_lines_next gives it. */
static int take(const char *data, size_t len, struct err *err) {
    static const struct ask_names names = {.model = {"small", "large"}, .column = "w",
                                           .embedding = 1};
    const char *newline = memchr(data, '\n', len);
    size_t n = newline ? (size_t)(newline - data) : len;
    char *line = mem_alloc(n + 1 + JSON_PAD);
    memcpy(line, data, n);
    line[n] = '\n';
    int rc = ask_read(&ask, line, &names, err);
    NEED(ask.text.len == n && (n == 0 || !memcmp(ask.text.data, data, n)));
    free(line);
    return rc;
}

static void check_numbers(void) {
    const double tokens[] = {ask.chars, ask.input_tokens, ask.cached_tokens, ask.most_output,
                             ask.output_tokens[0], ask.output_tokens[1]};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        NEED(isnan(tokens[i]) || (isfinite(tokens[i]) && tokens[i] >= 0));
    NEED(!isinf(ask.column));
    NEED(ask.dim <= ask.embedding_room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct buf once = {0};
    struct buf twice = {0};
    struct buf thrice = {0};
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    if (take((const char *)data, len, &fuzz_last)) {
        NEED(*fuzz_last.text);
        return 0;
    }
    check_numbers();
    fuzz_outcome = READ | (ask.marked ? MARKED : 0) | (isnan(ask.chars) ? 0 : SPOKE);
    double chars = ask.chars;
    ask_write(&once, &ask, "large", 0.5, NAN);
    NEED(!memchr(once.data, '\n', once.len - 1) && once.data[once.len - 1] == '\n');
    /* What was written is read, says the same, and does not change any more. */
    NEED(!take(once.data, once.len - 1, NULL) && ask.marked);
    NEED(ask.chars == chars || (isnan(ask.chars) && isnan(chars)));
    ask_write(&twice, &ask, "large", 0.5, NAN);
    NEED(!take(twice.data, twice.len - 1, NULL));
    ask_write(&thrice, &ask, "large", 0.5, NAN);
    NEED(thrice.len == twice.len && !memcmp(thrice.data, twice.data, twice.len));
    buf_free(&thrice);
    buf_free(&twice);
    buf_free(&once);
    return 0;
}

#ifndef LIBFUZZER

static const char *const texts[] = {
    "{\"prompt\":\"d\\u00e9f\",\"input_length\":12,\"cached_tokens\":3,\"output_tokens\":"
    "{\"large\":7,\"other\":9},\"max_tokens\":100,\"timestamp\":1500.5,\"session_id\":\"a\","
    "\"embedding\":[1,-2.5e0],\"w\":0.25}",
    " {\"messages\" : [{\"role\":\"system\",\"content\":\"abc\"},{\"content\":[{\"type\":\"text\","
    "\"text\":\"defg\"},{\"type\":\"image_url\"}]}], \"time\":\"2026-01-01T00:00:00Z\","
    "\"w\":-1e9 }\r",
    "{\"route\":\"x\",\"a\":1, \"route_cost_usd\":3 , \"b\":{\"route\":2}, \"route_score\":4}"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

static const char *pick(void) {
    static const char *const words[] = {
        "\"prompt\":\"x\"", "\"prompt\":null", "\"messages\":[]", "\"messages\":[{\"content\":[]}]",
        "\"content\":[{\"text\":\"\\ud800\"}]", "\"route\":{}", "\"rout\\u0065\":1",
        "\"route_score\":[1,2]", "\"route_cost_usd\":null", "\"w\":1e308", "\"w\":1e999",
        "\"embedding\":[1e39,0]", "\"embedding\":[]", "\"session_id\":-1", "\"session_id\":\"\\n\"",
        "\"timestamp\":\"2026-01-01\"", "\"timestamp\":1e18", "\"time\":5", "\"\":\"\"",
        "\"output_tokens\":{}", "\"output_tokens\":{\"small\":null}", "\"input_tokens\":-0",
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\t", "\r", "\n", "\\u0000", "null", "1"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(3)) {
        buf_adds(b, texts[i]);
    } else {
        buf_addc(b, '{');
        for (size_t n = 1 + fuzz_below(6), k = 0; k < n; k++)
            buf_printf(b, "%s%s", k ? "," : "", pick());
        buf_addc(b, '}');
    }
    for (size_t n = fuzz_below(5); n > 0 && b->len; n--)
        fuzz_change_text(b, pick());
}

int main(int argc, char **argv) {
    static const int expected[] = {READ | SPOKE, READ | SPOKE, READ | MARKED};
    static const struct fuzz fuzz = {
        .name = "fuzz_ask", .suffix = ".jsonl",
        .outcome = {"were read", "had been picked before", "had a prompt"}, .texts = texts,
        .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
