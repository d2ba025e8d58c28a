/* fuzz_reqs.c - hostile request traces: every format, read strictly and with broken lines passed
 *
 * How it is run, and as what else: fuzz.h. The mutator knows what traces are made of: it takes a
 * number, a string, a bracket or a line of a valid trace and puts something in its place that is
 * likely to hurt, takes it out, doubles it, or brings a piece of another format.
 *
 * Beside the sanitizers, the target checks what the reader promises: times that do not go back,
 * sessions that exist, one line of error that names the file, the same records whether broken
 * lines are passed or end the reading, and that no byte behind a line has a say in what it means.
 */
#include "tests/fuzz.h"

#include <sys/mman.h>
#include <zstd.h>

#include "lib/trace/reqs_impl.h"

/* What became of an input. */
enum { OPENED = 1, RECORDS = 2, WHOLE = 4, BLOCKS = 8 };
static volatile uint64_t sink;          /* keeps reads alive */

/* ---- the target ------------------------------------------------------------------------- */

static void walk_text(const struct reqs_text *t) {
    for (size_t i = 0; t->data && i < t->len; i++)
        sink += (unsigned char)t->data[i];
}

static void walk_record(const struct reqs *r, const struct req *q) {
    NEED(q->line > 0 && q->time_ns >= 0 && q->blocks >= REQS_UNKNOWN);
    NEED(q->input_tokens >= REQS_UNKNOWN && q->output_tokens >= REQS_UNKNOWN);
    NEED(q->cached_tokens >= REQS_UNKNOWN && q->cache_write_tokens >= REQS_UNKNOWN &&
         q->reasoning_tokens >= REQS_UNKNOWN);
    for (int64_t i = 0; i < q->blocks; i++)
        sink += q->block[i];
    walk_text(&q->id);
    walk_text(&q->model);
    if (q->session != REQS_NO_SESSION) {
        NEED(q->session < reqs_totals(r)->sessions);
        sink += strlen(reqs_session(r, q->session));
    }
}

struct reading {
    int opened, rc;
    int64_t records, bad;
    uint64_t sum;                       /* of all that the records say */
};

static uint64_t sum_record(uint64_t sum, const struct req *q) {
    sum = reqs_hash_token(sum, (uint64_t)q->line);
    sum = reqs_hash_token(sum, (uint64_t)q->time_ns);
    sum = reqs_hash_token(sum, (uint64_t)q->input_tokens);
    sum = reqs_hash_token(sum, (uint64_t)q->blocks);
    for (int64_t i = 0; i < q->blocks; i++)
        sum = reqs_hash_token(sum, q->block[i]);
    return sum;
}

/* Reads all of it, or the first `limit` records. */
static struct reading read_all(const char *path, const struct reqs_options *opt, int64_t limit) {
    struct reading a = {0};
    struct err err = {{0}};
    struct req q;
    int64_t time = 0;
    struct reqs *r = reqs_open(path, opt, &err);
    a.opened = r != NULL;
    a.rc = r ? 0 : -1;
    while (r && a.records < limit && (a.rc = reqs_next(r, &q, &err)) == 1) {
        walk_record(r, &q);
        NEED(q.time_ns >= time);
        time = q.time_ns;
        a.sum = sum_record(a.sum, &q);
        a.records++;
        if (q.blocks > 0)
            fuzz_outcome |= BLOCKS;
    }
    if (r) {
        const struct reqs_totals *t = reqs_totals(r);
        NEED(t->records == a.records && t->bytes >= 0 && t->other >= 0 && t->backwards >= 0);
        NEED(reqs_block_tokens(r) >= 0 && reqs_format_name(t->format));
        a.bad = t->bad;
        NEED(a.bad == 0 || opt->skip_bad);
    }
    if (a.rc < 0) {
        fuzz_last = err;
        NEED(!strncmp(err.text, path, strlen(path)) && !strchr(err.text, '\n'));
    }
    reqs_close(r);
    return a;
}

/* One line alone, with `after` in all the bytes behind it: how far JSON goes and what it says. */
static uint64_t read_line(const uint8_t *line, size_t len, char after) {
    char *copy = malloc(len + 1 + JSON_PAD);
    struct json_u64s ids = {0};
    struct reqs_text text = {0};
    int64_t n = 0;
    uint64_t sum = 0;
    for (int kind = 0; kind < 5; kind++) {
        if (len)
            memcpy(copy, line, len);
        copy[len] = '\n';
        memset(copy + len + 1, after, JSON_PAD);
        struct json j = {copy, NULL};
        int rc = kind == 0 ? json_skip(&j) : kind == 1 ? json_ids(&j, &ids)
            : kind == 2 ? json_count(&j, &n) : kind == 3 ? json_scaled(&j, 1000000, &n)
            : json_text(&j, &text);
        NEED(rc == 0 || j.want);
        NEED(j.at >= copy && j.at <= copy + len);
        sum = reqs_hash_token(sum, (uint64_t)(j.at - copy) * 2 + (uint64_t)(rc == 0));
        sum = reqs_hash_token(sum, rc == 0 ? (uint64_t)n + ids.n : 0);
    }
    for (size_t i = 0; i < ids.n; i++)
        sum = reqs_hash_token(sum, ids.v[i]);
    free(ids.v);
    free(copy);
    return sum;
}

static void read_lines_alone(const uint8_t *data, size_t len) {
    for (size_t at = 0; at < len && at < 4096;) {
        const uint8_t *end = memchr(data + at, '\n', len - at);
        size_t n = end ? (size_t)(end - data) - at : len - at;
        /* Values stand behind a key, too. */
        const uint8_t *colon = n ? memchr(data + at, ':', n) : NULL;
        size_t skip = colon ? (size_t)(colon - data) - at + 1 : 0;
        NEED(read_line(data + at, n, '9') == read_line(data + at, n, '"'));
        NEED(read_line(data + at + skip, n - skip, '0') ==
             read_line(data + at + skip, n - skip, ','));
        at += n + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("trace", 0);
    fuzz_outcome = 0;
    fuzz_last = (struct err){{0}};
    NEED(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

    struct reqs_options strict = {.block_tokens = (int)(len % 3)};
    struct reqs_options lax = {.block_tokens = strict.block_tokens, .skip_bad = 1};
    struct reading a = read_all(path, &strict, INT64_MAX);
    struct reading b = read_all(path, &lax, INT64_MAX);
    NEED(a.opened == b.opened);
    NEED(a.records <= b.records);
    /* Without a broken line both are the same; with one, all that came before it is. */
    if (a.rc == 0)
        NEED(b.rc == 0 && b.bad == 0 && a.records == b.records && a.sum == b.sum);
    if (b.opened && a.rc < 0 && b.rc == 0)
        NEED(b.bad > 0);
    struct reading c = read_all(path, &lax, a.records);
    NEED(c.records == a.records && c.sum == a.sum);
    close(fd);
    read_lines_alone(data, len);
    fuzz_outcome |= (a.opened ? OPENED : 0) | (a.records ? RECORDS : 0) | (a.rc == 0 ? WHOLE : 0);
    return 0;
}

#ifndef LIBFUZZER

/* ---- traces to start from --------------------------------------------------------------- */

static const char *const texts[] = {
    "{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1, 2, 3,"
    " 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]}\n"
    "{\"timestamp\": 27.5, \"input_length\": 1025, \"output_length\": 1, \"hash_ids\": [0, 1, 12345"
    "678]}\n",
    "\xEF\xBB\xBF{\"type\":\"run\",\"shape\":{\"layers\":[1,2,{\"a\":null}]}}\r\n"
    "{\"id\":\"a\\u00e9\\n\\ud83d\\ude00\",\"session_id\":\"s1\",\"model\":\"m\",\"time\":"
    "\"2026-11-24T00:00:00.5+01:00\",\"input_length\":100,\"output_length\":9,\"cached_tokens\":60,"
    "\"cache_write_tokens\":30,\"reasoning_tokens\":4,\"hash_ids\":[-1,18446744073709551615,"
    "\"00ff\",\"12\",\"0xfe\"],\"block_tokens\":64,\"type\":\"request\"}\r\n"
    "{\"id\":2,\"session_id\":7,\"error\":\"no prompt\"}\r\n",
    "{\"input_toks\":5,\"output_toks\":7,\"arrival_time_ns\":500,\"input_tok_ids\":[5,6,7,8,9],"
    "\"output_tok_ids\":[1,2,3]}\n{\"token_ids\":[128000,791,4221]}",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n"
    "2023-11-16 18:17:04.0319600,3180,8\n",
    "Timestamp;Session ID;Model;Request tokens;Response tokens\n5;\"a \"\"b\"\"\";m;472;18\n"
    "45.5;c;;1087.0;\n",
    "{\"ts\":100.5,\"events\":[{\"type\":\"BlockStored\",\"block_hashes\":[1,2],"
    "\"parent_block_hash\":null,\"token_ids\":[7,8],\"block_size\":16,\"medium\":\"GPU\"}]}\n"
    "{\"ts\":100.75,\"events\":[{\"type\":\"BlockStored\",\"block_hashes\":[3],"
    "\"parent_block_hash\":2,\"block_size\":16},"
    "{\"type\":\"BlockRemoved\",\"block_hashes\":[2]}]}\n"
    "{\"ts\":191,\"events\":[{\"type\":\"AllBlocksCleared\"}],\"data_parallel_rank\":0}\n",
    "[100.5,[[\"BlockStored\",[1,2],null,[7],16,null,\"GPU\",null,null,0],"
    "[\"BlockStored\",[1],2,[7],16]],0]\n[\"BlockStored\",[2],1,[7],16]\n"
    "[101,[[\"BlockRemoved\",[2,-5]],[\"AllBlocksCleared\"]]]\n",
    "{\"type\":\"BlockStored\",\"block_hashes\":[\"x\"],\"group_idx\":0}\n"
    "{\"type\":\"BlockStored\",\"block_hashes\":[\"y\"],\"parent_block_hash\":\"x\"}\n",
    "{\"chat_id\":7,\"parent_chat_id\":-1,\"timestamp\":0.5,\"type\":\"text\",\"hash_ids\":[1]}"
    "\n"
    "{\"chat_id\":9,\"parent_chat_id\":7,\"timestamp\":61.114,\"hash_ids\":[-1,-12345678901]}\n",
    "5\n-1\n0xff\n18446744073709551615\ndeadbeefdeadbeef\n",
};
#define TEXTS (int)(sizeof texts / sizeof *texts)
#define STARTS (TEXTS + 1)              /* and the first, compressed */

static struct buf packed;

static struct buf start(int i) {
    if (i == TEXTS)
        return packed;
    return (struct buf){.data = (char *)(uintptr_t)texts[i], .len = strlen(texts[i])};
}

static void pack(void) {
    struct buf plain = start(0);
    buf_reserve(&packed, ZSTD_compressBound(plain.len));
    packed.len = ZSTD_compress(packed.data, packed.cap, plain.data, plain.len, 1);
}

/* After every byte. */
static size_t cut_at(int i, size_t k) {
    return k <= start(i).len ? k : SIZE_MAX;
}

/* ---- mutation --------------------------------------------------------------------------- */

static const char *const nasty[] = {
    "0", "-1", "-0", "1.5", "1e3", "1e999", "-1e-999", "18446744073709551615",
    "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "1099511627776",
    "1099511627777", "9223372036854775807", "00", "12345678", "1234567890123456",
    "99999999999999999999999999999999", "null", "true", "nul", "{}", "[]", "\"\"", "\"\\u0000\"",
    "\"\\ud800\"", "\"\\", "\"", "\\u", ",", ":", "[", "]", "{", "}", "[[", ",,", "\n", "\r\n",
    "\xFF\xFE", "\xEF\xBB\xBF", "0x", "0xffffffffffffffff", " ", "\t", "4294967295", "2147483648",
    "\"2023-02-30T00:00:00Z\"", "\"1700-01-01T00:00:00Z\"", "\"2260-12-31T23:59:60.999999999Z\"",
    "\"hash_ids\":[1],", "\"type\":\"step\",", "\"events\":[],", "\"ts\":1,", ";", "\"\"\"",
};

static int is_word(char c) {
    return (c >= '0' && c <= '9') || (c | 0x20) == 'e' || c == '.' || c == '-' || c == '_' ||
           ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* A number, a word or a mark at a random place: [*from, *to). */
static void pick(const struct buf *b, size_t *from, size_t *to) {
    size_t at = fuzz_below(b->len);
    *from = at;
    *to = at + 1;
    while (is_word(b->data[at]) && *from && is_word(b->data[*from - 1]))
        --*from;
    while (is_word(b->data[at]) && *to < b->len && is_word(b->data[*to]))
        ++*to;
}

static void pick_line(const struct buf *b, size_t *from, size_t *to) {
    *from = fuzz_below(b->len);
    while (*from && b->data[*from - 1] != '\n')
        --*from;
    *to = *from;
    while (*to < b->len && b->data[*to] != '\n')
        ++*to;
    *to += *to < b->len;
}

/* Much of one thing: nesting, digits, ids. */
static void insert_many(struct buf *b, size_t at) {
    static const char *const things[] = {"[", "{\"a\":", "9", "1,", "\"x\",", " ", "\n", "\\u0041"};
    const char *thing = things[fuzz_below(sizeof things / sizeof *things)];
    struct buf many = {0};
    for (size_t n = fuzz_below(2000); n; n--)
        buf_adds(&many, thing);
    if (many.len)
        fuzz_insert(b, at, many.data, many.len);
    buf_free(&many);
}

static void mutate(struct buf *b) {
    size_t from;
    size_t to;
    size_t at = fuzz_below(b->len + 1);
    struct buf other = start((int)fuzz_below(TEXTS));
    const char *text = nasty[fuzz_below(sizeof nasty / sizeof *nasty)];
    if (!b->len) {
        buf_adds(b, text);
        return;
    }
    switch (fuzz_below(16)) {
    case 0:
        b->len = at;
        break;
    case 1:
    case 2:
        b->data[fuzz_below(b->len)] = (char)fuzz_next();
        break;
    case 3:
        pick(b, &from, &to);
        fuzz_drop(b, from, to);
        break;
    case 4:
        pick(b, &from, &to);
        fuzz_copy(b, from, to, at);
        break;
    case 5:
        pick_line(b, &from, &to);
        fuzz_copy(b, from, to, fuzz_below(2) ? at : to);
        break;
    case 6:
        pick_line(b, &from, &to);
        fuzz_drop(b, from, to);
        break;
    case 7:
        pick_line(&other, &from, &to);
        fuzz_insert(b, at, other.data + from, to - from);
        break;
    case 8:
        fuzz_insert(b, at, text, strlen(text));
        break;
    case 9:
        if (fuzz_below(4) == 0)
            insert_many(b, at);
        break;
    case 10:
        fuzz_copy(b, at, at + 1 + fuzz_below(64), fuzz_below(b->len));
        break;
    default:
        pick(b, &from, &to);
        fuzz_drop(b, from, to);
        fuzz_insert(b, from, text, strlen(text));
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
    enum { IDS = OPENED | RECORDS | WHOLE | BLOCKS, LENGTHS = OPENED | RECORDS | WHOLE };
    static const int expected[STARTS] = {IDS, IDS, IDS, LENGTHS, LENGTHS, IDS, IDS, IDS, IDS, IDS,
                                          IDS};
    static const struct fuzz fuzz = {
        .name = "fuzz_reqs", .suffix = ".trace",
        .outcome = {"opened", "had records", "were read whole", "had block ids"},
        .starts = STARTS, .start = start, .expected = expected, .cut = cut_at,
        .make = make_input};
    pack();
    int rc = fuzz_main(&fuzz, argc, argv);
    buf_free(&packed);
    return rc;
}

#endif
