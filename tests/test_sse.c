/* test_sse.c - lib/bench/sse and the scanner of chunks, against a slow reading of the standard and
 * against cJSON
 *
 * The reference parser below follows the standard's text line by line over the whole stream. Every
 * stream is fed at once, byte by byte, cut at each place, and cut at random. Chunks are generated
 * with everything JSON allows, and what the scanner found is compared with what cJSON's tree says.
 */
#include <cjson/cJSON.h>

#include "lib/bench/client_chunk.h"
#include "lib/bench/sse.h"
#include "tests/check.h"
#include "tests/random.h"

/* ---- events ----------------------------------------------------------------------------- */

/* Events are noted as "[data]". */
static void note(struct buf *b, const char *data, size_t len) {
    buf_addc(b, '[');
    buf_add(b, data, len);
    buf_addc(b, ']');
}

/* The standard's 9.2.6, in its order, and what has no empty line behind it at the end. */
static void read_slowly(const char *s, size_t n, struct buf *out) {
    struct buf data = {0};
    size_t at = n >= 3 && !memcmp(s, "\xEF\xBB\xBF", 3) ? 3 : 0;
    int lines = 0;
    buf_adds(&data, "");
    while (at <= n) {
        size_t len = 0;
        while (at + len < n && s[at + len] != '\n' && s[at + len] != '\r')
            len++;
        const char *line = s + at;
        if (len >= 4 && !memcmp(line, "data", 4) && (len == 4 || line[4] == ':')) {
            size_t skip = len == 4 ? 4 : len > 5 && line[5] == ' ' ? 6 : 5;
            if (lines++)
                buf_addc(&data, '\n');
            buf_add(&data, line + skip, len - skip);
        }
        if (len == 0 || at + len >= n) {
            if (lines > 1 || data.len)
                note(out, data.data, data.len);
            data.len = 0;
            lines = 0;
        }
        at += len + 1;
        if (at < n && s[at - 1] == '\r' && s[at] == '\n')
            at++;
    }
    buf_free(&data);
}

/* Feeds s in pieces of `step` bytes (0: random), each in memory of its own. */
static int read_fed(struct sse *s, const char *bytes, size_t n, size_t first, size_t step,
                    struct buf *out) {
    struct sse_event e;
    int rc = 0;
    for (size_t at = 0; at < n && rc >= 0;) {
        size_t len = at == 0 && first ? first : step ? step : (size_t)below(12);
        len = len < n - at ? len : n - at;
        char *copy = mem_strndup(bytes + at, len);
        sse_feed(s, copy, len);
        while ((rc = sse_next(s, &e)) == 1)
            note(out, e.data, e.len);
        memset(copy, '#', len);
        free(copy);
        at += len;
    }
    if (rc == 0 && sse_finish(s, &e) == 1)
        note(out, e.data, e.len);
    sse_reset(s);
    return rc;
}

static void check_stream(const char *bytes, size_t n, const char *want) {
    struct sse s = {0};
    struct buf slow = {0};
    struct buf got = {0};
    buf_adds(&slow, "");
    read_slowly(bytes, n, &slow);
    if (want)
        CHECK_STR(slow.data, want);
    for (size_t k = 0; k <= n + 2; k++) {
        got.len = 0;
        buf_adds(&got, "");
        /* one byte at a time; at random; cut once, at k */
        CHECK_INT(read_fed(&s, bytes, n, k > 1 ? k - 2 : 0, k == 0 ? 1 : k == 1 ? 0 : n, &got), 0);
        if (got.len != slow.len || memcmp(got.data, slow.data, got.len)) {
            CHECK_STR(got.data, slow.data);
            printf("# cut %zu of: %s\n", k, bytes);
            break;
        }
    }
    sse_free(&s);
    buf_free(&slow);
    buf_free(&got);
}

static void events_by_the_standard(void) {
    static const char *const stream[][2] = {
        {"data: a\n\ndata: b\n\n", "[a][b]"},
        {"data:a\n\ndata:  b\n\n", "[a][ b]"},
        {"data: a\r\n\r\ndata: b\r\n\r\n", "[a][b]"},
        {"data: a\r\rdata: b\r\r", "[a][b]"},
        {"data: a\n\r\ndata: b\r\n\ndata: c\r\n\r", "[a][b][c]"},
        {"data: a\ndata: b\n\n", "[a\nb]"},
        {"data\ndata\n\ndata:\n\ndata: \n\n", "[\n]"},
        {"data: a\ndata\ndata:\n\n", "[a\n\n]"},
        {": comment\n\nevent: x\ndata: a\nid: 4\nretry: 10\n\n:\n\n", "[a]"},
        {"\xEF\xBB\xBF" "data: a\n\n\xEF\xBB\xBF" "data: b\n\n", "[a]"},
        {"\xEF\xBB\xBF\n\ndata: a\n\n", "[a]"},
        {"database: no\ndata : no\n data: no\ndat: no\nDATA: no\ndata: yes\n\n", "[yes]"},
        {"data: {\"a\": \"data: b\"}\n\n", "[{\"a\": \"data: b\"}]"},
        {"data: no end", "[no end]"},
        {"data: no end\n", "[no end]"},
        {"data: a\n\ndata: [DONE]", "[a][[DONE]]"},
        {"data: one\ndata: two", "[one\ntwo]"},
        {"\n\n\n\r\r\n\n", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof stream / sizeof *stream; i++)
        check_stream(stream[i][0], strlen(stream[i][0]), stream[i][1]);
    check_stream("data: a\0b\n\n", 11, NULL);
}

static void events_at_random(void) {
    static const char *const piece[] = {"data", ":", " ", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n",
                                        "a", "data: x", "data:", ": c", "event: e",
                                        "\xEF\xBB\xBF", "data: {\"k\":1}\n\n"};
    struct buf b = {0};
    state = 7;
    for (int k = 0; k < 3000; k++) {
        b.len = 0;
        buf_adds(&b, "");
        for (int n = below(14); n; n--)
            buf_adds(&b, piece[below((int)(sizeof piece / sizeof *piece))]);
        check_stream(b.data, b.len, NULL);
    }
    buf_free(&b);
}

static void an_endless_event_is_refused(void) {
    enum { BLOCK = 1 << 20 };
    const char *const begin[] = {"data: ", "x", "data: a\ndata: "};
    char *block = mem_alloc(BLOCK);
    struct sse_event e;
    memset(block, 'x', BLOCK);
    for (int kind = 0; kind < 4; kind++) {
        struct sse s = {0};
        int rc = 0;
        int fed = 0;
        if (kind == 3)                  /* many lines */
            for (int i = 0; i < BLOCK; i += 8)
                memcpy(block + i, "data: x\n", 8);
        else
            sse_feed(&s, begin[kind], strlen(begin[kind]));
        rc = sse_next(&s, &e);
        for (; rc == 0 && fed < 200; fed++) {
            sse_feed(&s, block, BLOCK);
            rc = sse_next(&s, &e);
        }
        CHECK_INT(rc, -1);
        CHECK(kind == 3 || fed < 20);
        sse_free(&s);
    }
    free(block);
}

static void whole_events_are_not_copied(void) {
    static const char bytes[] = "data: one\n\ndata: two\r\n\r\n";
    struct sse s = {0};
    struct sse_event e;
    sse_feed(&s, bytes, sizeof bytes - 1);
    CHECK_INT(sse_next(&s, &e), 1);
    CHECK(e.data == bytes + 6 && e.len == 3);
    CHECK_INT(sse_next(&s, &e), 1);
    CHECK(e.data == bytes + 17 && e.len == 3);
    CHECK_INT(sse_next(&s, &e), 0);
    sse_free(&s);
}

/* ---- chunks: generated ------------------------------------------------------------------ */

static void add_blanks(struct buf *b) {
    static const char *const blank[] = {"", "", "", "", " ", "\n", "\t ", "\r\n"};
    buf_adds(b, blank[below(8)]);
}

static int no_pairs;                    /* cJSON refuses what is left of a broken pair */

static void add_string(struct buf *b) {
    static const char *const part[] = {"\\ud83d\\ude00", "a", "word ", "\\n", "\\\"", "\\\\",
                                       "\\/", "\\u00e9", "\303\251", "\360\237\230\200", "\\t",
                                       "0123456789abcdef", "{", "]", ",", "\\u0041", "\\b\\f\\r",
                                       "\x7F", "\\u20AC"};
    buf_addc(b, '"');
    for (int n = below(8); n; n--)
        buf_adds(b, part[no_pairs + below((int)(sizeof part / sizeof *part) - no_pairs)]);
    buf_addc(b, '"');
}

static void add_number(struct buf *b) {
    static const char *const number[] = {"0", "1", "12", "3.0", "1e2", "12.5", "-1", "-0", "0.0",
                                         "1.25E+2", "1000e-3", "1e-1", "1099511627776",
                                         "1099511627777", "1e30", "123456789012345678901234567890",
                                         "0.5e1", "-0.0e0", "40960", "2.50000000e1"};
    buf_adds(b, number[below((int)(sizeof number / sizeof *number))]);
}

static void add_value(struct buf *b, int depth);

static void add_object(struct buf *b, int depth) {
    static const char *const key[] = {"a", "content", "usage", "choices", "\\u0061b", "error_",
                                      "index", ""};
    int n = below(4);
    buf_addc(b, '{');
    for (int i = 0; i < n; i++) {
        if (i)
            buf_addc(b, ',');
        add_blanks(b);
        buf_printf(b, "\"%s%d\"", key[below(8)], i);
        add_blanks(b);
        buf_addc(b, ':');
        add_value(b, depth + 1);
    }
    add_blanks(b);
    buf_addc(b, '}');
}

static void add_value(struct buf *b, int depth) {
    add_blanks(b);
    switch (below(depth > 4 ? 5 : 7)) {
    case 0:
        add_string(b);
        break;
    case 1:
        add_number(b);
        break;
    case 2:
        buf_adds(b, "null");
        break;
    case 3:
        buf_adds(b, "true");
        break;
    case 4:
        buf_adds(b, "false");
        break;
    case 5:
        add_object(b, depth);
        break;
    default:
        buf_addc(b, '[');
        for (int n = below(4); n; n--) {
            add_value(b, depth + 1);
            if (n > 1)
                buf_addc(b, ',');
        }
        add_blanks(b);
        buf_addc(b, ']');
    }
    add_blanks(b);
}

/* Mostly what the API says is there, now and then anything. */
static void add_text(struct buf *b) {
    int kind = below(10);
    if (kind < 6) {
        add_string(b);
    } else if (kind < 8) {
        buf_adds(b, "null");
    } else if (kind < 9) {
        add_value(b, 1);
    } else {
        buf_adds(b, "[{\"type\":\"text\",\"text\":");
        add_string(b);
        buf_adds(b, "},{\"type\":\"thinking\",\"thinking\":[{\"text\":");
        add_string(b);
        buf_adds(b, "}]}]");
    }
}

/* A member, at times with its key in escapes. */
static void add_key(struct buf *b, int *first, const char *key) {
    if (!*first)
        buf_addc(b, ',');
    *first = 0;
    add_blanks(b);
    if (below(12))
        buf_printf(b, "\"%s\":", key);
    else
        buf_printf(b, "\"\\u%04x%s\" :", (unsigned)*key, key + 1);
}

static void add_calls(struct buf *b) {
    buf_adds(b, "[");
    for (int n = below(3); n; n--) {
        buf_adds(b, "{\"index\":0,\"function\":{\"name\":");
        add_text(b);
        buf_adds(b, ",\"arguments\":");
        add_text(b);
        buf_adds(b, n > 1 ? "}}," : "}}");
    }
    buf_adds(b, "]");
}

static void add_delta(struct buf *b) {
    static const char *const key[] = {"role", "content", "reasoning_content", "reasoning",
                                      "refusal"};
    int first = 1;
    buf_addc(b, '{');
    for (int i = 0; i < 5; i++) {
        if (below(2)) {
            add_key(b, &first, key[i]);
            add_text(b);
        }
    }
    if (below(4) == 0) {
        add_key(b, &first, "tool_calls");
        add_calls(b);
    }
    buf_addc(b, '}');
}

static void add_choice(struct buf *b) {
    int first = 1;
    int index = below(3);
    int before = below(2);
    buf_addc(b, '{');
    if (before && index < 2) {
        add_key(b, &first, "index");
        buf_printf(b, "%d", index);
    }
    if (below(4)) {
        add_key(b, &first, below(4) ? "delta" : "message");
        add_delta(b);
    } else {
        add_key(b, &first, "text");
        add_text(b);
    }
    if (below(2)) {
        add_key(b, &first, "logprobs");
        add_value(b, 2);
    }
    if (!before && index < 2) {
        add_key(b, &first, "index");
        buf_printf(b, "%d", index);
    }
    if (below(2)) {
        add_key(b, &first, "finish_reason");
        if (below(2))
            buf_adds(b, "null");
        else
            add_string(b);
    }
    buf_addc(b, '}');
}

static void add_usage(struct buf *b) {
    static const char *const key[] = {"prompt_tokens", "completion_tokens", "total_tokens"};
    int first = 1;
    buf_addc(b, '{');
    for (int i = 0; i < 3; i++) {
        if (below(4) == 0)
            continue;
        add_key(b, &first, key[i]);
        if (below(8))
            add_number(b);
        else
            add_value(b, 2);
    }
    for (int i = 0; i < 2; i++) {
        if (below(2))
            continue;
        add_key(b, &first, i ? "completion_tokens_details" : "prompt_tokens_details");
        if (below(4) == 0) {
            buf_adds(b, "null");
            continue;
        }
        buf_adds(b, i ? "{\"reasoning_tokens\":" : "{\"cached_tokens\" : ");
        add_number(b);
        buf_adds(b, "}");
    }
    buf_addc(b, '}');
}

static void add_chunk(struct buf *b) {
    int first = 1;
    add_blanks(b);
    buf_addc(b, '{');
    if (below(2)) {
        add_key(b, &first, "id");
        add_value(b, 0);
    }
    if (below(8)) {
        add_key(b, &first, "choices");
        buf_addc(b, '[');
        for (int n = below(4); n; n--) {
            add_choice(b);
            if (n > 1)
                buf_addc(b, ',');
        }
        buf_addc(b, ']');
    }
    if (below(2)) {
        add_key(b, &first, "usage");
        if (below(3))
            add_usage(b);
        else
            buf_adds(b, "null");
    }
    if (below(8) == 0) {
        add_key(b, &first, "error");
        if (below(2)) {
            add_text(b);
        } else {
            buf_adds(b, "{\"code\":5,\"message\":");
            add_text(b);
            buf_addc(b, '}');
        }
    }
    buf_addc(b, '}');
    add_blanks(b);
}

/* ---- chunks: what cJSON's tree says ----------------------------------------------------- */

static const cJSON *get(const cJSON *o, const char *key) {
    return cJSON_IsObject(o) ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
}

static int64_t tree_text(const cJSON *v, struct buf *text, int depth) {
    int64_t bytes = 0;
    const cJSON *e;
    if (cJSON_IsString(v)) {
        if (text)
            buf_adds(text, v->valuestring);
        return (int64_t)strlen(v->valuestring);
    }
    if (cJSON_IsArray(v))
        cJSON_ArrayForEach(e, v)
            bytes += tree_text(e, text, depth + 1);
    if (cJSON_IsObject(v) && depth)
        bytes += tree_text(get(v, "text"), text, depth + 1) +
                 tree_text(get(v, "thinking"), NULL, depth + 1);
    return bytes;
}

static int64_t tree_count(const cJSON *v) {
    if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > (double)CHUNK_COUNT_MAX)
        return -1;
    int64_t n = (int64_t)v->valuedouble;
    return (double)n == v->valuedouble ? n : -1;
}

static int64_t tree_delta(const cJSON *d, struct buf *text) {
    const cJSON *call;
    int64_t a = tree_text(get(d, "reasoning"), NULL, 0);
    int64_t b = tree_text(get(d, "reasoning_content"), NULL, 0);
    int64_t bytes = tree_text(get(d, "content"), text, 0) + tree_text(get(d, "refusal"), NULL, 0) +
                    (a > b ? a : b);
    cJSON_ArrayForEach(call, get(d, "tool_calls")) {
        bytes += tree_text(get(get(call, "function"), "name"), NULL, 0) +
                 tree_text(get(get(call, "function"), "arguments"), NULL, 0);
    }
    return bytes;
}

static void check_against_tree(const cJSON *t, const struct chunk *k, const struct buf *text) {
    struct buf want = {0};
    struct buf finish = {0};
    struct buf got = {0};
    const cJSON *choice;
    const cJSON *usage = get(t, "usage");
    const cJSON *error = get(t, "error");
    int64_t bytes = 0;
    buf_adds(&want, "");
    buf_adds(&finish, "");
    buf_adds(&got, "");
    cJSON_ArrayForEach(choice, get(t, "choices")) {
        const cJSON *index = get(choice, "index");
        struct buf *to = !index || index->valuedouble == 0 ? &want : NULL;
        bytes += tree_delta(get(choice, "delta"), to) + tree_delta(get(choice, "message"), to) +
                 tree_text(get(choice, "text"), to, 0);
        const cJSON *why = get(choice, "finish_reason");
        if (cJSON_IsString(why)) {
            finish.len = 0;
            buf_adds(&finish, why->valuestring);
        }
    }
    if (k->finish.data)
        chunk_unescape(&k->finish, &got);
    CHECK_STR(got.data, finish.data);
    CHECK_STR(text->data, want.data);
    CHECK_INT(k->bytes, bytes);
    CHECK_INT(k->input_tokens, tree_count(get(usage, "prompt_tokens")));
    CHECK_INT(k->output_tokens, tree_count(get(usage, "completion_tokens")));
    CHECK_INT(k->cached_tokens, tree_count(get(get(usage, "prompt_tokens_details"),
                                               "cached_tokens")));
    CHECK_INT(k->reasoning_tokens, tree_count(get(get(usage, "completion_tokens_details"),
                                                  "reasoning_tokens")));
    CHECK_INT(k->failed, error && !cJSON_IsNull(error));
    const cJSON *message = cJSON_IsObject(error) ? get(error, "message") : error;
    got.len = 0;
    buf_adds(&got, "");
    if (k->error.data)
        chunk_unescape(&k->error, &got);
    CHECK_STR(got.data, cJSON_IsString(message) ? message->valuestring : "");
    buf_free(&want);
    buf_free(&finish);
    buf_free(&got);
}

/* In an allocation of its own size: a byte read behind it is seen by the sanitizer. */
static int scan_copy(const char *s, size_t len, struct buf *text, struct chunk *k, char **copy) {
    *copy = malloc(len ? len : 1);
    memcpy(*copy, s, len);
    return chunk_scan(*copy, len, text, k);
}

static void chunks_as_cjson_reads_them(void) {
    struct buf b = {0};
    struct buf text = {0};
    state = 11;
    for (int i = 0; i < 20000 && check_bad < 5; i++) {
        struct chunk k;
        char *copy;
        b.len = text.len = 0;
        buf_adds(&text, "");
        add_chunk(&b);
        cJSON *tree = cJSON_ParseWithLength(b.data, b.len);
        CHECK(tree != NULL);
        int rc = scan_copy(b.data, b.len, &text, &k, &copy);
        CHECK_INT(rc, 0);
        int before = check_bad;
        check_against_tree(tree, &k, &text);
        if (rc || check_bad != before)
            printf("# %s at %zu in %s\n", rc ? k.want : "differs", k.at, b.data);
        free(copy);
        cJSON_Delete(tree);
    }
    buf_free(&b);
    buf_free(&text);
}

/* Every beginning of a chunk is refused, and whatever cJSON refuses of what a changed byte makes
 * of it. cJSON takes more than the RFC does, so not the other way round. */
static void broken_chunks_are_refused(void) {
    struct buf b = {0};
    state = 13;
    no_pairs = 1;
    int refused = 0;
    for (int i = 0; i < 400 && check_bad < 5; i++) {
        struct chunk k;
        char *copy;
        b.len = 0;
        add_chunk(&b);
        const char *close = memrchr(b.data, '}', b.len);
        for (size_t n = 0; n < (size_t)(close - b.data); n++) {
            CHECK_INT(scan_copy(b.data, n, NULL, &k, &copy), -1);
            CHECK(k.want && k.at <= n);
            free(copy);
        }
        for (int tries = 0; tries < 40; tries++) {
            static const char nasty[] = "\"\\{}[],:0-9eE.+ntu \n\x01\xFF";
            size_t at = (size_t)below((int)b.len);
            char kept = b.data[at];
            b.data[at] = nasty[below((int)sizeof nasty - 1)];
            cJSON *tree = cJSON_ParseWithOpts(b.data, NULL, 1);
            int rc = scan_copy(b.data, b.len, NULL, &k, &copy);
            if (!tree && rc == 0) {
                CHECK(tree || rc);
                printf("# taken: %s\n", b.data);
            }
            refused += rc != 0;
            b.data[at] = kept;
            free(copy);
            cJSON_Delete(tree);
        }
    }
    no_pairs = 0;
    CHECK(refused > 1000);
    buf_free(&b);
}

static void hostile_chunks(void) {
    static const struct { const char *json; int rc; } c[] = {
        {"{}", 0}, {" { } ", 0}, {"", -1}, {"[]", -1}, {"null", -1}, {"{} {}", -1}, {"{}\n{}", -1},
        {"{\"choices\":null}", 0}, {"{\"choices\":{}}", -1}, {"{\"choices\":[null]}", -1},
        {"{\"choices\":[{\"delta\":null}]}", 0}, {"{\"choices\":[{\"delta\":7}]}", 0},
        {"{\"a\":01}", -1}, {"{\"a\":1.}", -1}, {"{\"a\":.5}", -1}, {"{\"a\":+1}", -1},
        {"{\"a\":1e}", -1}, {"{\"a\":-}", -1}, {"{\"a\":NaN}", -1}, {"{\"a\":tru}", -1},
        {"{\"a\":\"\\x\"}", -1}, {"{\"a\":\"\\u12g4\"}", -1}, {"{\"a\":\"\\ud800\"}", 0},
        {"{\"a\":\"\t\"}", -1}, {"{\"a\":\"\x7F\"}", 0}, {"{\"a\" 1}", -1}, {"{a:1}", -1},
        {"{\"a\":1,}", -1}, {"{,}", -1}, {"{\"a\":[1,]}", -1}, {"{\"a\":[,]}", -1},
        {"{\"a\":[1 2]}", -1}, {"{\"a\":[}", -1}, {"{\"a\":{]}", -1}, {"{\"a\":1]", -1},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct chunk k;
        char *copy;
        int rc = scan_copy(c[i].json, strlen(c[i].json), NULL, &k, &copy);
        if (rc != c[i].rc)
            printf("# %s\n", c[i].json);
        CHECK_INT(rc, c[i].rc);
        free(copy);
    }
}

static void deep_chunks(void) {
    for (int depth = CHUNK_DEPTH - 1; depth <= CHUNK_DEPTH + 1; depth++) {
        struct buf b = {0};
        struct chunk k;
        buf_adds(&b, "{\"a\":");
        for (int i = 0; i < depth; i++)
            buf_adds(&b, i % 2 ? "{\"b\":" : "[");
        buf_adds(&b, "1");
        for (int i = depth - 1; i >= 0; i--)
            buf_adds(&b, i % 2 ? "}" : "]");
        buf_adds(&b, "}");
        CHECK_INT(chunk_scan(b.data, b.len, NULL, &k), depth <= CHUNK_DEPTH ? 0 : -1);
        buf_free(&b);
    }
}

/* Doubles would round some of these. */
static void counts_are_exact(void) {
    static const struct { const char *number; int64_t want; } c[] = {
        {"0", 0}, {"-0", 0}, {"-0.0", 0}, {"7", 7}, {"7.0", 7}, {"7.5", -1}, {"-7", -1},
        {"70e-1", 7}, {"0.7e1", 7}, {"0.07E+2", 7}, {"700e-3", -1}, {"1e-400", -1},
        {"0e999999999999", 0}, {"1e999999999999", -1}, {"1e-999999999999", -1},
        {"1099511627776", 1099511627776}, {"1099511627777", -1}, {"1.099511627776e12",
        1099511627776}, {"7.00000000000000000000000000000000", 7},
        {"7.00000000000000000000000000000001", -1}, {"18446744073709551617", -1},
        {"0.0000000000000000000000000000007e31", 7}, {"10000000000000000000000000e-24", 10},
        {"\"7\"", -1}, {"null", -1}, {"true", -1}, {"{}", -1}, {"[7]", -1},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        char *json = mem_printf("{\"usage\":{\"prompt_tokens\":%s}}", c[i].number);
        struct chunk k;
        CHECK_INT(chunk_scan(json, strlen(json), NULL, &k), 0);
        if (k.input_tokens != c[i].want)
            printf("# %s\n", c[i].number);
        CHECK_INT(k.input_tokens, c[i].want);
        free(json);
    }
}

/* What cJSON cannot tell us: half a pair, a NUL in a string, a top-level message. */
static void odd_texts(void) {
    static const char odd[] = "{\"choices\":[{\"text\":\"\\ud800x\\udc00\\u0000\\ud83d\\u0041\"}]}";
    static const char old[] = "{\"object\":\"error\",\"message\":\"no \\\"m\\\"\",\"code\":404}";
    struct buf text = {0};
    struct chunk k;
    CHECK_INT(chunk_scan(odd, sizeof odd - 1, &text, &k), 0);
    CHECK_INT(k.bytes, 12);
    CHECK_INT(text.len, 12);
    CHECK(text.len == 12 && !memcmp(text.data, "\xEF\xBF\xBDx\xEF\xBF\xBD\0\xEF\xBF\xBD" "A", 12));
    CHECK_INT(chunk_scan(old, sizeof old - 1, NULL, &k), 0);
    CHECK_INT(k.failed, 1);
    text.len = 0;
    chunk_unescape(&k.error, &text);
    CHECK_STR(text.data, "no \"m\"");
    buf_free(&text);
}

int main(void) {
    RUN(events_by_the_standard);
    RUN(events_at_random);
    RUN(an_endless_event_is_refused);
    RUN(whole_events_are_not_copied);
    RUN(chunks_as_cjson_reads_them);
    RUN(broken_chunks_are_refused);
    RUN(hostile_chunks);
    RUN(deep_chunks);
    RUN(counts_are_exact);
    RUN(odd_texts);
    return check_done();
}
