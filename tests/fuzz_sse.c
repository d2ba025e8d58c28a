/* fuzz_sse.c - hostile event streams: the events, and the chunks in them
 *
 * How it is run, and as what else: fuzz.h. Beside the sanitizers, the target checks that a stream
 * gives the same events, and these the same chunks, whole, byte by byte and cut anywhere, and that
 * what the scanner says lies within its bounds.
 */
#include "tests/fuzz.h"

#include "lib/bench/client_chunk.h"
#include "lib/bench/sse.h"

/* What became of an input. */
enum { EVENTS = 1, CHUNKS = 2, TEXT = 4, REFUSED = 8 };

/* ---- the target ------------------------------------------------------------------------- */

static void take(const struct sse_event *e, struct buf *out) {
    struct buf text = {0};
    struct buf undone = {0};
    struct chunk k;
    char *copy = malloc(e->len ? e->len : 1);
    memcpy(copy, e->data, e->len);
    fuzz_outcome |= EVENTS;
    buf_printf(out, "[%zu", e->len);
    buf_add(out, e->data, e->len);
    if (chunk_scan(copy, e->len, &text, &k)) {
        NEED(k.want && k.at <= e->len);
        buf_printf(out, "]%zu%s", k.at, k.want);
        snprintf(fuzz_last.text, sizeof fuzz_last.text, "%s at %zu", k.want, k.at);
        fuzz_outcome |= REFUSED;
    } else {
        NEED(k.bytes >= 0 && (int64_t)text.len <= k.bytes);
        NEED(k.input_tokens >= -1 && k.input_tokens <= CHUNK_COUNT_MAX);
        NEED(k.output_tokens >= -1 && k.output_tokens <= CHUNK_COUNT_MAX);
        fuzz_outcome |= CHUNKS | (k.bytes ? TEXT : 0);
        if (k.error.data)
            chunk_unescape(&k.error, &undone);
        if (k.finish.data)
            chunk_unescape(&k.finish, &undone);
        NEED(undone.len <= k.error.len + k.finish.len);
        buf_printf(out, "]%lld %lld %lld", (long long)k.bytes, (long long)k.input_tokens,
                   (long long)k.output_tokens);
    }
    free(copy);
    buf_free(&text);
    buf_free(&undone);
}

/* In pieces of `step` bytes but for the first, each in memory of its own. */
static struct buf read_all(const uint8_t *data, size_t len, size_t first, size_t step) {
    struct buf out = {0};
    struct sse s = {0};
    struct sse_event e;
    for (size_t at = 0; at < len;) {
        size_t n = at == 0 && first ? first : step;
        n = n < len - at ? n : len - at;
        char *copy = malloc(n);
        memcpy(copy, data + at, n);
        sse_feed(&s, copy, n);
        int rc;
        while ((rc = sse_next(&s, &e)) == 1)
            take(&e, &out);
        NEED(rc == 0);
        free(copy);
        at += n;
    }
    if (sse_finish(&s, &e) == 1)
        take(&e, &out);
    sse_free(&s);
    return out;
}

static void need_same(const struct buf *a, struct buf b) {
    NEED(a->len == b.len && (!b.len || !memcmp(a->data, b.data, b.len)));
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    if (len == 0)
        return 0;
    struct buf whole = read_all(data, len, 0, len);
    need_same(&whole, read_all(data, len, 0, 1));
    for (size_t k = 1; k < 8; k++)
        need_same(&whole, read_all(data, len, len * k / 8, len));
    buf_free(&whole);
    return 0;
}

#ifndef LIBFUZZER

/* ---- streams to start from -------------------------------------------------------------- */

static const char *const texts[] = {
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":"
    "\"\"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\\u00e9\\n\\ud83d\\ude00\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    "\xEF\xBB\xBF: ping\r\n\r\nevent: x\r\nid: 1\r\ndata: {\"choices\":[{\"text\":\"two\"}],\r\n"
    "data: \"usage\":{\"prompt_tokens\":12.0,\"completion_tokens\":1e1,"
    "\"prompt_tokens_details\":{\"cached_tokens\":8}}}\r\n\r\n",
    "data:{\"error\":{\"message\":\"no \\\"m\\\"\",\"code\":[1,{\"a\":null}]}}\r\r"
    "data: {\"object\":\"error\",\"message\":\"x\"}\r\r",
    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
    "\"{}\"}}],\"reasoning\":\"r\",\"reasoning_content\":\"r\",\"content\":[{\"type\":\"thinking\""
    ",\"thinking\":[{\"text\":\"hm\"}]},{\"text\":\"so\"}]},\"index\":0}]}\n\n",
};
#define STARTS (int)(sizeof texts / sizeof *texts)

static struct buf start(int i) {
    return (struct buf){.data = (char *)(uintptr_t)texts[i], .len = strlen(texts[i])};
}

static size_t cut_at(int i, size_t k) {
    return k <= start(i).len ? k : SIZE_MAX;
}

static const char *const nasty[] = {
    "\n", "\r", "\r\n", "\n\n", "data", "data:", "data: ", ":", " ", "\"", "\\", "\\u", "\\ud800",
    "\\u0000", "{", "}", "[", "]", ",", "null", "-1", "1e999", "0.0", "-0", "1e-400",
    "18446744073709551616", "\xEF\xBB\xBF", "[DONE]", "\"content\":", "\"text\":", "\"usage\":",
    "\"choices\":[", "\"error\":", "\x01", "\xFF", "true", "{}", "\"thinking\":",
};

/* Much of one thing: nesting, lines, digits. */
static void insert_many(struct buf *b, size_t at) {
    static const char *const things[] = {"[", "{\"a\":", "9", "data: x\n", " ", "\\u0041", "\n",
                                         "[{\"text\":"};
    const char *thing = things[fuzz_below(sizeof things / sizeof *things)];
    struct buf many = {0};
    for (size_t n = fuzz_below(700); n; n--)
        buf_adds(&many, thing);
    if (many.len)
        fuzz_insert(b, at, many.data, many.len);
    buf_free(&many);
}

static void mutate(struct buf *b) {
    size_t at = fuzz_below(b->len + 1);
    size_t to = at + fuzz_below(24);
    struct buf other = start((int)fuzz_below((size_t)STARTS));
    const char *text = nasty[fuzz_below(sizeof nasty / sizeof *nasty)];
    switch (fuzz_below(10)) {
    case 0:
        b->len = at;
        break;
    case 1:
        if (b->len)
            b->data[fuzz_below(b->len)] = (char)fuzz_next();
        break;
    case 2:
        fuzz_drop(b, at, to < b->len ? to : b->len);
        break;
    case 3:
        fuzz_copy(b, at, to < b->len ? to : b->len, fuzz_below(b->len + 1));
        break;
    case 4:
        fuzz_insert(b, at, other.data, fuzz_below(other.len) + 1);
        break;
    case 5:
        if (fuzz_below(8) == 0)
            insert_many(b, at);
        break;
    case 6:
        fuzz_drop(b, at, at + strlen(text) < b->len ? at + strlen(text) : b->len);
        fuzz_insert(b, at, text, strlen(text));
        break;
    default:
        fuzz_insert(b, at, text, strlen(text));
    }
}

static void make_input(struct buf *b, int i) {
    struct buf from = start(i);
    b->len = 0;
    buf_add(b, from.data, from.len);
    for (size_t n = 1 + fuzz_below(5); n; n--)
        mutate(b);
}

int main(int argc, char **argv) {
    static const int expected[] = {EVENTS | CHUNKS | TEXT | REFUSED, EVENTS | CHUNKS | TEXT,
                                   EVENTS | CHUNKS, EVENTS | CHUNKS | TEXT};
    static const struct fuzz fuzz = {
        .name = "fuzz_sse", .suffix = ".sse",
        .outcome = {"had events", "had chunks", "had text", "had what is no chunk"},
        .starts = STARTS, .start = start, .expected = expected, .cut = cut_at,
        .make = make_input};
    return fuzz_main(&fuzz, argc, argv);
}

#endif
