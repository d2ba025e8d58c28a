/* fuzz_usage.c - hostile usage: every format that usage.h reads
 *
 * How it is run, and as what else: fuzz.h. Records of each source are put together from members
 * that are mostly right; then some bytes are changed, dropped or doubled. Whatever comes, a record
 * has amounts above zero, each once, or there is an error that has words; with skip_bad the end is
 * reached, with every record that was there before; and a joined document reads as one on one line.
 */
#include "tests/fuzz.h"

#include <sys/mman.h>

#include "lib/cost/usage.h"

enum { RECORDS = 1, WHOLE = 2, REPEATED = 4, CACHED = 8 };

/* ---- the target ---------------------------------------------------------------------- */

static void check_amounts(const struct usage *u) {
    NEED(u->n >= 1 && u->n <= USAGE_AMOUNTS);
    for (int i = 0; i < u->n; i++) {
        const struct usage_amount *a = &u->amount[i];
        int is_time = a->kind == USAGE_SECOND || a->kind == USAGE_STORAGE;
        NEED(a->kind < USAGE_KINDS && a->modality < USAGE_MODALITIES);
        NEED(a->quantity > 0 && (is_time || a->quantity <= USAGE_MOST));
        for (int k = 0; k < i; k++)
            NEED(u->amount[k].kind != a->kind || u->amount[k].modality != a->modality ||
                 u->amount[k].ttl_ns != a->ttl_ns);
    }
    NEED(usage_sum(u, USAGE_REQUEST) == 1);
}

static int64_t check_text(const struct reqs_text *t) {
    int64_t sum = 0;
    for (size_t i = 0; i < t->len; i++)         /* all of it can be read */
        sum += t->data[i];
    NEED(t->data || !t->len);
    return sum;
}

struct outcome {
    int rc;
    int64_t records, tokens, texts;
    struct usage_totals totals;
};

static struct outcome read_all(char *const *path, int n, int skip_bad) {
    struct outcome o = {.rc = -1};
    struct usage u;
    fuzz_last = (struct err){{0}};
    struct usages *in = usage_open_files(path, n, &(struct usage_options){.skip_bad = skip_bad},
                                         &fuzz_last);
    while (in && (o.rc = usage_next(in, &u, &fuzz_last)) == 1) {
        check_amounts(&u);
        NEED(u.line >= 1 && u.file >= 0 && u.file < n);
        NEED(u.time_ns == USAGE_NO_TIME || u.offset_ns == USAGE_NO_TIME);
        o.records++;
        o.tokens += usage_prompt(&u) % 1000003 + usage_sum(&u, USAGE_OUTPUT) % 1000003;
        o.texts += check_text(&u.id) + check_text(&u.model) + check_text(&u.session) +
                   check_text(&u.service) + check_text(&u.region) + check_text(&u.speed);
        fuzz_outcome |= usage_sum(&u, USAGE_READ) > 0 ? CACHED : 0;
    }
    if (in)
        o.totals = *usage_totals(in);
    usage_close(in);
    NEED(o.rc == 0 || *fuzz_last.text);
    for (const char *s = fuzz_last.text; o.rc < 0 && *s; s++)
        NEED((unsigned char)*s >= ' ');
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    char *paths[] = {path, path};
    int fd = memfd_create("usage", 0);
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_outcome = 0;
    struct outcome lenient = read_all(paths, 1, 1);
    struct outcome twice = read_all(paths, 2, 1);
    struct outcome strict = read_all(paths, 1, 0);
    close(fd);
    if (lenient.rc == 0) {
        NEED(twice.rc == 0 && twice.totals.bad == 2 * lenient.totals.bad);
        NEED(twice.records >= lenient.records && twice.records <= 2 * lenient.records);
        NEED(lenient.totals.records == lenient.records);
        /* Records of sessions come at the end, which a strict run does not reach. */
        NEED(strict.records <= lenient.records);
        NEED((strict.rc == 0) == (lenient.totals.bad == 0));
    }
    if (strict.rc == 0)
        NEED(strict.tokens == lenient.tokens && strict.texts == lenient.texts);
    fuzz_outcome |= (strict.records ? RECORDS : 0) | (strict.rc == 0 ? WHOLE : 0) |
                    (lenient.totals.repeated ? REPEATED : 0);
    return 0;
}

#ifndef LIBFUZZER

/* ---- texts to start from ------------------------------------------------------------- */

#define CLAUDE(id, request, more, in, out) \
    "{\"type\":\"assistant\",\"timestamp\":\"2026-01-09T10:00:00.000Z\",\"sessionId\":\"s1\"," \
    "\"message\":{\"id\":\"" id "\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":" in \
    ",\"output_tokens\":" out ",\"cache_read_input_tokens\":5}},\"requestId\":\"" request "\"" \
    more "}\n"
#define USED(in) "{\"input_tokens\":" in ",\"cached_input_tokens\":3,\"output_tokens\":5," \
                 "\"reasoning_output_tokens\":2,\"total_tokens\":1}"
#define CODEX(time, info) \
    "{\"timestamp\":\"2026-05-13T09:" time ".000Z\",\"type\":\"event_msg\",\"payload\":" \
    "{\"type\":\"token_count\",\"info\":{" info "}}}\n"

static const char *const texts[] = {
    "{\"timestamp\":0,\"input_length\":67,\"output_length\":5,\"hash_ids\":[1,2,3],"
    "\"cached_tokens\":32,\"model\":\"m\",\"session_id\":\"s\"}\n"
    "{\"timestamp\":2.5,\"input_length\":7,\"output_length\":0}\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens,cached_tokens\n2023-11-16 18:17:03.97,48,10,3\n"
    "2023-11-16 18:17:04.03,31,8,0\n",
    "{\"id\":\"c\",\"created\":1767225600,\"model\":\"m\",\"usage\":{\"prompt_tokens\":50,"
    "\"completion_tokens\":40,\"total_tokens\":90,\"prompt_tokens_details\":{\"audio_tokens\":30,"
    "\"cached_tokens\":10},\"completion_tokens_details\":{\"audio_tokens\":5,"
    "\"reasoning_tokens\":9}},\"service_tier\":\"flex\"}\n",
    "{\"id\":\"msg\",\"model\":\"c\",\"usage\":{\"input_tokens\":10,"
    "\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":1000,"
    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":60,"
    "\"ephemeral_1h_input_tokens\":40},\"output_tokens\":7,\"server_tool_use\":"
    "{\"web_search_requests\":3}}}\n",
    "{\"usageMetadata\":{\"promptTokenCount\":1000,\"cachedContentTokenCount\":600,"
    "\"candidatesTokenCount\":50,\"thoughtsTokenCount\":25,\"promptTokensDetails\":[{\"modality\":"
    "\"TEXT\",\"tokenCount\":700},{\"modality\":\"IMAGE\",\"tokenCount\":300}],"
    "\"cacheTokensDetails\":[{\"modality\":\"IMAGE\",\"tokenCount\":258}]},"
    "\"modelVersion\":\"g\"}\n",
    CLAUDE("m1", "r1", "", "3", "1") CLAUDE("m1", "r1", "", "3", "4")
    CLAUDE("m1", "r2", ",\"isSidechain\":true", "3", "4") CLAUDE("m2", "r3", "", "3", "4"),
    "{\"type\":\"session_meta\",\"payload\":{\"id\":\"u\",\"source\":{\"subagent\":"
    "{\"thread_spawn\":{}}}}}\n{\"type\":\"turn_context\",\"payload\":{\"model\":\"g\"}}\n"
    CODEX("01:00", "\"total_token_usage\":" USED("9"))
    CODEX("01:00", "\"last_token_usage\":" USED("9") ",\"total_token_usage\":" USED("18"))
    CODEX("02:00", "\"total_token_usage\":" USED("28"))
    CODEX("03:00", "\"total_token_usage\":" USED("28")),
    "[\n  {\n    \"prompt_tokens\": 5,\n    \"completion_tokens\": 6\n  },\n  "
    "{\"prompt_tokens\":1}\n]\n{\"prompt_tokens\":\n7}\n"
    "{\"custom_id\":\"q\",\"response\":{\"body\":{\"usage\":{\"prompt_tokens\":9,"
    "\"completion_tokens\":1}}}}\n"};
#define STARTS ((int)(sizeof texts / sizeof *texts))

/* ---- records that are mostly right --------------------------------------------------- */

static const char *pick(void) {
    static const char *const words[] = {
        "\"input_length\":50", "\"output_length\":6", "\"cached_tokens\":7", "\"cached_tokens\":70",
        "\"cache_write_tokens\":3", "\"reasoning_tokens\":2", "\"prompt_tokens\":1e1",
        "\"completion_tokens\":12.0", "\"total_tokens\":1099511627776", "\"input_tokens\":-1",
        "\"input_tokens\":1099511627776", "\"output_tokens\":null",
        "\"usage\":{\"input_tokens\":5}",
        "\"usage\":[]", "\"usage\":{}", "\"response\":{\"usage\":{\"output_tokens\":3}}",
        "\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
        "\"message\":\"x\"", "\"requestId\":\"r1\"", "\"isSidechain\":true", "\"type\":\"step\"",
        "\"type\":\"event_msg\"", "\"payload\":{\"type\":\"token_count\",\"info\":{"
        "\"last_token_usage\":{\"input_tokens\":4,\"cached_input_tokens\":9}}}",
        "\"payload\":{\"type\":\"token_count\",\"info\":{\"total_token_usage\":{\"input_tokens\":7,"
        "\"output_tokens\":5,\"reasoning_output_tokens\":6}}}", "\"timestamp\":\"2026-01-09\"",
        "\"timestamp\":-5e9", "\"timestamp\":1e300", "\"timestamp\":1767225600000",
        "\"created\":\"x\"", "\"model\":\"\\ud83d\\ude00\"", "\"model\":7", "\"id\":{\"a\":[1]}",
        "\"prompt_tokens_details\":{\"audio_tokens\":3,\"image_tokens\":2}",
        "\"prompt_tokens_details\":[{\"modality\":\"AUDIO\",\"tokenCount\":3},7]",
        "\"cache_creation\":{\"ephemeral_1h_input_tokens\":2}", "\"cache_read_input_tokens\":8",
        "\"cache_creation_input_tokens\":9", "\"usage\":{\"type\":\"duration\",\"seconds\":1e9}",
        "\"chat_id\":1,\"parent_chat_id\":-1", "\"input_tok_ids\":[1,2,3]", "\"custom_id\":null",
        "\"a\\u0062\":{\"b\":[[[]]]}", "\n", "[", "]", "{", "}", ",", ":", "\"", "\\", "\r\n", " ",
        "null", "1", "input_tokens,output_tokens\n1,2\n"};
    return words[fuzz_below(sizeof words / sizeof *words)];
}

static void add_record(struct buf *b) {
    buf_addc(b, '{');
    for (size_t n = 1 + fuzz_below(6), i = 0; i < n; i++)
        buf_printf(b, "%s%s%s", i ? "," : "", fuzz_below(9) ? "" : "\n ", pick());
    buf_adds(b, fuzz_below(12) ? "}\n" : "},");
}

static void change(struct buf *b) {
    size_t at = fuzz_below(b->len);
    switch (fuzz_below(5)) {
    case 0: b->data[at] = (char)fuzz_next(); break;
    case 1: fuzz_drop(b, at, at + 1 + fuzz_below(9)); break;
    case 2: fuzz_copy(b, at, at + 1 + fuzz_below(200), fuzz_below(b->len)); break;
    case 3: fuzz_insert(b, at, "\n", 1); break;
    default: {
        const char *word = pick();
        fuzz_insert(b, at, word, strlen(word));
    }
    }
}

static void make_input(struct buf *b, int i) {
    b->len = 0;
    if (fuzz_below(4))
        buf_adds(b, texts[i]);
    for (size_t n = fuzz_below(5); n > 0; n--)
        add_record(b);
    for (size_t n = fuzz_below(4); n > 0 && b->len; n--)
        change(b);
}

int main(int argc, char **argv) {
    enum { READ = RECORDS | WHOLE | CACHED };
    static const int expected[] = {READ, READ, READ, READ, READ, READ | REPEATED,
                                   RECORDS | WHOLE | REPEATED, RECORDS | WHOLE};
    static const struct fuzz fuzz = {
        .name = "fuzz_usage", .suffix = ".txt",
        .outcome = {"had records", "were read whole", "had repeated ones", "had cached tokens"},
        .texts = texts, .starts = STARTS, .expected = expected, .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
