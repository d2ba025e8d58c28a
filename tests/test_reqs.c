/* test_reqs.c - requests read from traces of every format, and what becomes of broken ones
 *
 * A trace is written down as text, read, and what came out is written as text again: one line a
 * record with the fields that it has, then what is known of the whole, or the error.
 */
#include "lib/trace/reqs.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "lib/format/zio.h"
#include "lib/trace/reqs_impl.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct buf shown;                /* what the last show() said */

/* ---- a trace as text -------------------------------------------------------------------- */

static void show_number(const char *name, int64_t v) {
    if (v != REQS_UNKNOWN)
        buf_printf(&shown, " %s=%" PRId64, name, v);
}

static void show_text(const char *name, const struct reqs_text *t) {
    if (t->data)
        buf_printf(&shown, " %s=%.*s", name, (int)t->len, t->data);
}

static void show_record(const struct reqs *r, const struct req *q) {
    buf_printf(&shown, "%" PRId64 " t=%" PRId64, q->line, q->time_ns);
    show_number("in", q->input_tokens);
    show_number("out", q->output_tokens);
    show_number("cached", q->cached_tokens);
    show_number("written", q->cache_write_tokens);
    show_number("reasoning", q->reasoning_tokens);
    for (int64_t i = 0; i < q->blocks; i++)
        buf_printf(&shown, "%s%" PRIu64, i ? "," : " ids=", q->block[i]);
    if (q->blocks == 0)
        buf_adds(&shown, " ids=");
    if (q->session != REQS_NO_SESSION)
        buf_printf(&shown, " session=%u:%s", q->session, reqs_session(r, q->session));
    show_text("id", &q->id);
    show_text("model", &q->model);
    buf_addc(&shown, '\n');
}

static void show_count(const char *name, int64_t v) {
    if (v)
        buf_printf(&shown, " %s=%" PRId64, name, v);
}

static void show_totals(const struct reqs *r) {
    const struct reqs_totals *t = reqs_totals(r);
    buf_printf(&shown, "%s %" PRId64, reqs_format_name(t->format), t->records);
    show_count("bad", t->bad);
    show_count("other", t->other);
    show_count("backwards", t->backwards);
    show_count("removed", t->removed);
    show_count("cleared", t->cleared);
    show_count("sessions", t->sessions);
    show_count("timed", t->timed);
    show_count("block", reqs_block_tokens(r));
}

/* The error without the folder of the file. */
static void show_error(const struct err *err) {
    const char *slash = strrchr(err->text, '/');
    const char *from = slash && !strncmp(err->text, scratch_dir, strlen(scratch_dir))
        ? err->text + strlen(scratch_dir) + 1 : err->text;
    buf_printf(&shown, "error: %s", from);
}

static const char *show_path(const char *path, const struct reqs_options *opt) {
    struct err err;
    struct req q;
    int rc;
    shown.len = 0;
    buf_adds(&shown, "");
    struct reqs *r = reqs_open(path, opt, &err);
    if (!r) {
        show_error(&err);
        return shown.data;
    }
    while ((rc = reqs_next(r, &q, &err)) == 1)
        show_record(r, &q);
    if (rc < 0)
        show_error(&err);
    else
        show_totals(r);
    CHECK(rc < 0 || reqs_next(r, &q, &err) == 0);       /* the end stays the end */
    reqs_close(r);
    return shown.data;
}

static const char *show_bytes(const char *data, size_t len, const struct reqs_options *opt) {
    char *path = scratch_path("t");
    scratch_write(path, data, len);
    show_path(path, opt);
    free(path);
    return shown.data;
}

static const char *show(const char *text) {
    return show_bytes(text, strlen(text), &(struct reqs_options){0});
}

static const char *show_skipping(const char *text) {
    return show_bytes(text, strlen(text), &(struct reqs_options){.skip_bad = 1});
}

/* ---- JSON Lines with block ids ---------------------------------------------------------- */

static void mooncake(void) {
    CHECK_STR(show("{\"timestamp\": 0, \"input_length\": 1000, \"output_length\": 52, "
                   "\"hash_ids\": [0, 1]}\n"
                   "{\"timestamp\": 27.5, \"input_length\": 1025, \"output_length\": 1, "
                   "\"hash_ids\": [0, 1, 2]}\n"),
              "1 t=0 in=1000 out=52 ids=0,1\n"
              "2 t=27500000 in=1025 out=1 ids=0,1,2\n"
              "jsonl 2 timed=1 block=512");
}

static void any_order_and_spacing(void) {
    CHECK_STR(show("\xEF\xBB\xBF\n"
                   "  {\"hash_ids\":[ 7 ,8,\t9 ] ,\"x\":{\"hash_ids\":[1,{\"y\":[]}]},"
                   "\"input_length\" : 48, \"z\":[[],{},\"\",null,true,false,-1.5e-3]}\r\n"
                   "\r\n \t\n"
                   "{ \"input_length\":16,\"hash_ids\":[] , \"h\\u0061sh_ids\": [10 ] }"),
              "2 t=0 in=48 ids=7,8,9\n"
              "5 t=0 in=16 ids=10\n"
              "jsonl 2 block=16");
    CHECK_STR(show("{\"hash_ids\":[]}"), "1 t=0 ids=\njsonl 1");
    CHECK_STR(show(""), "jsonl 0");
    CHECK_STR(show("\n\r\n  \n"), "jsonl 0");
    CHECK_STR(show("\xEF\xBB\xBF"), "jsonl 0");
}

static void all_fields(void) {
    CHECK_STR(show("{\"id\":\"a\\u00e9\\n\\ud83d\\ude00\\ud800\\/\",\"session_id\":\"s\\\"1\","
                   "\"model\":\"m\",\"timestamp\":5,\"time\":\"2026-11-24T00:00:00Z\","
                   "\"input_length\":100,\"output_length\":9,\"cached_tokens\":60,"
                   "\"cache_write_tokens\":30,\"reasoning_tokens\":4,\"hash_ids\":[1]}\n"
                   "{\"id\":12,\"session_id\":34,\"model\":null,\"timestamp\":null,"
                   "\"hash_ids\":null,\"input_length\":2e1,\"output_length\":3.0}\n"),
              "1 t=5000000 in=100 out=9 cached=60 written=30 reasoning=4 ids=1 session=0:s\"1"
              " id=a\xC3\xA9\n\xF0\x9F\x98\x80\xEF\xBF\xBD/ model=m\n"
              "2 t=5000000 in=20 out=3 session=1:34 id=12\n"
              "jsonl 2 sessions=2 timed=1");
    CHECK_STR(show("{\"block_tokens\":7,\"input_length\":100,\"hash_ids\":[1]}"),
              "1 t=0 in=100 ids=1\njsonl 1 block=7");
    CHECK_STR(show("{\"type\":\"run\",\"block_tokens\":8}\n{\"token_ids\":[],\"block_tokens\":8}\n"
                   "{\"hash_ids\":[1],\"block_tokens\":9}\n"),
              "2 t=0 in=0 ids=\nerror: t:3:34: expected the block_tokens of the records before, "
              "found the end of the line");
    /* A broken line says nothing. */
    CHECK_STR(show_skipping("{\"block_tokens\":9}\n{\"hash_ids\":[2],\"block_tokens\":8}"),
              "2 t=0 ids=2\njsonl 1 bad=1 block=8");
    CHECK_STR(show_skipping("{\"hash_ids\":[1],\"block_tokens\":9,}\n{\"hash_ids\":[2]}"),
              "2 t=0 ids=2\njsonl 1 bad=1");
}

/* Records of other types, wherever the type stands; results of llm-run have none. */
static void other_types(void) {
    CHECK_STR(show("{\"type\":\"run\",\"format\":1,\"model\":\"m\",\"input_length\":-1}\n"
                   "{\"input_length\":{\"not\":\"ours\"},\"hash_ids\":[1.5],\"type\":\"step\"}\n"
                   "{\"type\":\"request\",\"request\":0,\"input_length\":6,\"ttft_ns\":null}\n"
                   "{\"id\":1,\"text\":\"hi\",\"input_length\":4,\"output_length\":2,"
                   "\"logprobs\":[{\"a\":1}]}\n"
                   "{\"id\":2,\"error\":\"line 3: no prompt\"}\n"),
              "3 t=0 in=6\n4 t=0 in=4 out=2 id=1\nlengths 2 other=3");
}

static void ids(void) {
    CHECK_STR(show("{\"hash_ids\":[18446744073709551615,-9223372036854775808,-1,0,-0,"
                   "\"18446744073709551615\",\"-2\",\"0xfF\",9999999999999999999,"
                   "12345678,123456789,1234567890123456,12345678901234567]}"),
              "1 t=0 ids=18446744073709551615,9223372036854775808,18446744073709551615,0,0,"
              "18446744073709551615,18446744073709551614,255,9999999999999999999,"
              "12345678,123456789,1234567890123456,12345678901234567\njsonl 1");
    struct json_u64s hashed = {0};
    char line[] = "[\"a\", \"b\", \"a\", \"ab\", \"99999999999999999999\", \"0x\", \"\"]\n"
                  "paddingpaddingpaddingpaddingpaddingpaddingpaddingpadding";
    struct json j = {line, NULL};
    CHECK_INT(json_ids(&j, &hashed), 0);
    CHECK_INT(hashed.n, 7);
    CHECK(hashed.v[0] == hashed.v[2]);
    for (size_t i = 0; i < hashed.n; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(hashed.v[i] != hashed.v[k] || (i == 2 && k == 0));
    free(hashed.v);
}

static uint64_t random_state = 1;

static uint64_t random_u64(void) {
    random_state = reqs_hash_token(random_state, 1);
    return random_state;
}

static size_t random_below(size_t n) {
    return (size_t)(random_u64() % n);
}

/* Numbers of every length with every separator, at every place of the buffer's words. */
static void ids_of_all_lengths(void) {
    static const char *const gaps[] = {",", ", ", " ,", "\t,\r", ",  "};
    struct json_u64s got = {0};
    for (int round = 0; round < 3000; round++) {
        struct buf line = {0};
        uint64_t want[40];
        size_t n = 1 + random_below(40);
        const char *gap = gaps[random_below(5)];
        for (size_t i = 0; i < n; i++) {
            want[i] = random_u64() >> random_below(64);
            if (round % 2)
                want[i] %= 100000;
            buf_printf(&line, "%s%" PRIu64, i ? gap : "[", want[i]);
            if (random_below(8) == 0)
                gap = gaps[random_below(5)];
        }
        buf_adds(&line, random_below(2) ? "]\n" : " ]\n");
        buf_reserve(&line, JSON_PAD);
        struct json j = {line.data, NULL};
        int same = json_ids(&j, &got) == 0 && got.n == n && *j.at == '\n' &&
                   !memcmp(got.v, want, n * sizeof *want);
        if (!same)
            printf("# %s", line.data);
        CHECK(same);
        buf_free(&line);
    }
    free(got.v);
}

/* ---- broken lines ----------------------------------------------------------------------- */

static void bad_lines(void) {
    static const struct {
        const char *line;
        const char *error;
    } bad[] = {
        {"{\"hash_ids\":[1,2", "17: expected ',' or ']', found the end of the line"},
        {"{\"hash_ids\":[1,]}", "16: expected an id, found ']}'"},
        {"{\"hash_ids\":[1 2]}", "16: expected ',' or ']', found '2]}'"},
        {"{\"hash_ids\":[1.5]}", "14: expected an id: an integer of 64 bits, or a string, "
                                 "found '1.5]}'"},
        {"{\"hash_ids\":[1e3]}", "14: expected an id: an integer of 64 bits, or a string, "
                                 "found '1e3]}'"},
        {"{\"hash_ids\":[012]}", "14: expected an id, found '012]}'"},
        {"{\"hash_ids\":[00000000000012]}", "14: expected an id, found '00000000000012]}'"},
        {"{\"hash_ids\":[18446744073709551616]}",
         "14: expected an id: an integer of 64 bits, or a string, found '18446744073709551616]}'"},
        {"{\"hash_ids\":[111111111111111111111111111]}",
         "14: expected an id: an integer of 64 bits, or a string, "
         "found '111111111111111111111111111]}'"},
        {"{\"hash_ids\":[-9223372036854775809]}",
         "14: expected an id: an integer of 64 bits, or a string, found '-9223372036854775809]}'"},
        {"{\"hash_ids\":[[1]]}", "14: expected an id, found '[1]]}'"},
        {"{\"hash_ids\":7}", "13: expected an array, found '7}'"},
        {"{\"hash_ids\":[]", "15: expected ',' or '}', found the end of the line"},
        {"{\"hash_ids\":[]} x", "17: expected the end of the line, found 'x'"},
        {"{\"hash_ids\":[]}{}", "16: expected the end of the line, found '{}'"},
        {"{\"hash_ids\" []}", "13: expected ':', found '[]}'"},
        {"{hash_ids:[]}", "2: expected a key in quotes, found 'hash_ids:[]}'"},
        {"{\"a\":1,}", "8: expected a key in quotes, found '}'"},
        {"{\"a\":tru}", "6: expected a value, found 'tru}'"},
        {"{\"a\":\"b}", "9: expected a closing quote, found the end of the line"},
        {"{\"a\":\"\\x\"}", "7: expected a JSON escape, found '\\x\"}'"},
        {"{\"a\":\"\\u12g4\"}", "7: expected a JSON escape, found '\\u12g4\"}'"},
        {"{\"a\":\"\t\"}", "7: expected no control character in a string, found '?\"}'"},
        {"{\"a\":01}", "6: expected a number without leading zeros, found '01}'"},
        {"{\"a\":1.}", "6: expected a number, found '1.}'"},
        {"{\"a\":1e}", "6: expected a number, found '1e}'"},
        {"{\"a\":-}", "6: expected a value, found '-}'"},
        {"{\"a\":[1}]", "8: expected ',' or ']', found '}]'"},
        {"{\"a\":1}", "8: expected hash_ids, token ids or input_length before, "
                      "found the end of the line"},
        {"{}", "3: expected hash_ids, token ids or input_length before, "
               "found the end of the line"},
        {"{\"input_length\":-1}", "17: expected a number of tokens: an integer from 0 to 2^40, "
                                  "found '-1}'"},
        {"{\"input_length\":1.5}", "17: expected a number of tokens: an integer from 0 to 2^40, "
                                   "found '1.5}'"},
        {"{\"input_length\":1e999}", "17: expected a number of tokens: an integer from 0 to 2^40, "
                                     "found '1e999}'"},
        {"{\"input_length\":1099511627777}",
         "17: expected a number of tokens: an integer from 0 to 2^40, found '1099511627777}'"},
        {"{\"input_length\":\"5\"}", "17: expected a number of tokens, found '\"5\"}'"},
        {"{\"timestamp\":1e999,\"hash_ids\":[]}",
         "14: expected a time within 292 years, found '1e999,\"hash_ids\":[]}'"},
        {"{\"timestamp\":99999999999999,\"hash_ids\":[]}",
         "14: expected a time within 292 years, found '99999999999999,\"hash_ids\":[]}'"},
        {"{\"time\":\"yesterday\",\"hash_ids\":[]}",
         "9: expected a time as in 2026-11-24T17:12:28Z, found '\"yesterday\",\"hash_ids\":[]}'"},
        {"{\"block_tokens\":0,\"hash_ids\":[]}",
         "17: expected a block size from 1 to 2^31-1, found '0,\"hash_ids\":[]}'"},
        {"{\"session_id\":[],\"hash_ids\":[]}",
         "15: expected a string or a number, found '[],\"hash_ids\":[]}'"},
        {"[1]", "1: expected a JSON object, found '[1]'"},
        {"null", "1: expected a JSON object, found 'null'"},
        {"{\"hash_ids\":[123456789012345678901234567890123456789012345678901234567890]}",
         "14: expected an id: an integer of 64 bits, or a string, "
         "found '1234567890123456789012345678901234567890...'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("{\"hash_ids\":[5]}\n%s\n{\"hash_ids\":[6]}\n", bad[i].line);
        char *want = mem_printf("1 t=0 ids=5\nerror: t:2:%s", bad[i].error);
        CHECK_STR(show(text), want);
        CHECK_STR(show_skipping(text), "1 t=0 ids=5\n3 t=0 ids=6\njsonl 2 bad=1");
        free(text);
        free(want);
    }
}

/* A broken line leaves nothing behind: no session, no time. */
static void bad_lines_leave_nothing(void) {
    CHECK_STR(show_skipping("{\"session_id\":\"a\",\"timestamp\":9,\"hash_ids\":[1],}\n"
                            "{\"session_id\":\"b\",\"timestamp\":1,\"hash_ids\":[2]}\n"),
              "2 t=1000000 ids=2 session=0:b\njsonl 1 bad=1 sessions=1 timed=1");
}

static void nul_bytes_and_bad_utf8(void) {
    static const char nul[] = "{\"hash_ids\":[1\0]}\n{\"model\":\"a\0b\",\"hash_ids\":[1]}\n\0\n"
                              "{\"model\":\"\xFF\xC0\x80\",\"hash_ids\":[3]}\n";
    CHECK_STR(show_bytes(nul, sizeof nul - 1, &(struct reqs_options){.skip_bad = 1}),
              "4 t=0 ids=3 model=\xFF\xC0\x80\njsonl 1 bad=3");
    CHECK_STR(show_bytes(nul, sizeof nul - 1, &(struct reqs_options){0}),
              "error: t:1:15: expected ',' or ']', found a NUL byte");
}

static void nesting(void) {
    struct buf deep = {0};
    for (int extra = 0; extra < 2; extra++) {
        deep.len = 0;
        buf_adds(&deep, "{\"x\":");
        for (int i = 0; i < JSON_DEPTH + extra; i++)
            buf_adds(&deep, i % 3 ? "[" : "{\"k\":");
        buf_adds(&deep, "1");
        for (int i = JSON_DEPTH + extra; i; i--)
            buf_adds(&deep, (i - 1) % 3 ? "]" : "}");
        buf_adds(&deep, ",\"hash_ids\":[4]}");
        if (extra)
            CHECK(strstr(show(deep.data), "expected values nested less than 1024 deep"));
        else
            CHECK_STR(show(deep.data), "1 t=0 ids=4\njsonl 1");
    }
    buf_free(&deep);
}

/* ---- lines and buffers ------------------------------------------------------------------ */

/* Lines of all lengths, some longer than the reader's buffer. */
static void long_lines(void) {
    struct buf text = {0};
    struct buf want = {0};
    int64_t lines = 0;
    for (size_t n = 1; n < 400000; n = n * 3 / 2 + 1) {
        buf_adds(&text, "{\"hash_ids\":[");
        for (size_t i = 0; i < n; i++)
            buf_printf(&text, "%s%zu", i ? "," : "", i);
        buf_adds(&text, "]}\n");
        buf_printf(&want, "%" PRId64 ":%zu ", ++lines, n);
    }
    char *path = scratch_path("long");
    scratch_write(path, text.data, text.len - 1);       /* no newline at the end */
    struct err err = {{0}};
    struct req q;
    struct buf got = {0};
    struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
    while (r && reqs_next(r, &q, &err) == 1) {
        int good = 1;
        for (int64_t i = 0; i < q.blocks; i++)
            good &= q.block[i] == (uint64_t)i;
        buf_printf(&got, "%" PRId64 ":%" PRId64 "%s", q.line, q.blocks, good ? " " : "! ");
    }
    CHECK_STR(err.text, "");
    CHECK_STR(got.data, want.data);
    if (r)
        CHECK_INT(reqs_totals(r)->bytes, text.len - 1);
    reqs_close(r);
    free(path);
    buf_free(&text);
    buf_free(&want);
    buf_free(&got);
}

static void zstd_and_pipes(void) {
    static const char text[] = "{\"hash_ids\":[1,2]}\n{\"hash_ids\":[3]}\n";
    static const char want[] = "1 t=0 ids=1,2\n2 t=0 ids=3\njsonl 2";
    struct err err;
    char *path = scratch_path("z.zst");
    struct zio *z = zio_open_write(path, &err);
    CHECK(z && zio_write(z, text, sizeof text - 1, &err) == 0 && zio_close(z, &err) == 0);
    CHECK_STR(show_path(path, &(struct reqs_options){0}), want);

    struct buf packed = scratch_read(path);
    scratch_write(path, packed.data, packed.len - 6);
    CHECK_STR(show_path(path, &(struct reqs_options){.skip_bad = 1}),
              "error: z.zst: truncated: the zstd stream ends inside a frame");
    buf_free(&packed);
    free(path);

    int fd[2];
    CHECK(pipe(fd) == 0 && write(fd[1], text, sizeof text - 1) == sizeof text - 1);
    close(fd[1]);
    char *name = mem_printf("/dev/fd/%d", fd[0]);
    CHECK_STR(show_path(name, &(struct reqs_options){0}), want);
    close(fd[0]);
    free(name);
}

static void missing_file(void) {
    CHECK_STR(show_path("/nonexistent/trace", &(struct reqs_options){0}),
              "error: /nonexistent/trace: No such file or directory");
    CHECK_STR(show("hello, world\n"), "error: t:1:1: expected JSON Lines, block ids, or CSV whose "
              "header names one column of input tokens, found 'hello, world'");
    CHECK_STR(show("hello\n"), "error: t:1:1: expected JSON Lines, block ids, or CSV whose "
              "header names one column of input tokens, found 'hello'");
    reqs_close(NULL);
}

/* ---- times and sessions ----------------------------------------------------------------- */

static void times(void) {
    /* Two traces, one behind the other. */
    CHECK_STR(show("{\"timestamp\":10,\"hash_ids\":[]}\n{\"timestamp\":20.000001,\"hash_ids\":[]}\n"
                   "{\"timestamp\":3,\"hash_ids\":[]}\n{\"hash_ids\":[]}\n"
                   "{\"timestamp\":-5,\"hash_ids\":[]}\n{\"timestamp\":2.1e1,\"hash_ids\":[]}\n"),
              "1 t=10000000 ids=\n2 t=20000001 ids=\n3 t=20000001 ids=\n4 t=20000001 ids=\n"
              "5 t=20000001 ids=\n6 t=21000000 ids=\njsonl 6 backwards=2 timed=1");
    /* Since 1970: relative to the first. */
    CHECK_STR(show("{\"timestamp\":1700000000000.5,\"hash_ids\":[]}\n"
                   "{\"timestamp\":1700000000001,\"hash_ids\":[]}\n"),
              "1 t=0 ids=\n2 t=500000 ids=\njsonl 2 timed=1");
    CHECK_STR(show("{\"time\":\"2026-11-24T00:00:00.25+01:00\",\"hash_ids\":[]}\n"
                   "{\"time\":\"2026-11-23T23:00:01Z\",\"hash_ids\":[]}\n"
                   "{\"timestamp\":\"2026-11-23 23:00:02\",\"hash_ids\":[]}\n"),
              "1 t=0 ids=\n2 t=750000000 ids=\n3 t=1750000000 ids=\njsonl 3 timed=1");
    /* The farthest apart that there is. */
    CHECK_STR(show("{\"time\":\"1700-01-01T00:00:00Z\",\"hash_ids\":[]}\n"
                   "{\"time\":\"2260-01-01T00:00:00Z\",\"hash_ids\":[]}\n"),
              "1 t=0 ids=\n2 t=9223372036854775807 ids=\njsonl 2 timed=1");
}

static void scaled_decimals(void) {
    static const struct {
        const char *text;
        int64_t scale, want;
    } good[] = {
        {"0", 1000000, 0}, {"-0.0", 1000000, 0}, {"1", 1, 1}, {"1.9", 1, 1}, {"-1.9", 1, -1},
        {"0.000001", 1000000, 1}, {"0.0000019", 1000000, 1}, {"1e-6", 1000000, 1},
        {"1.5e-7", 1000000, 0}, {"123.456789e2", 1000000, 12345678900},
        {"9223372036.854775807", 1000000000, INT64_MAX}, {"1e18", 1, 1000000000000000000},
        {"0e999", 1, 0}, {"1e-999999999999", 1, 0}, {"0.00000000000000000000000000001e29", 1, 1},
    };
    static const char *const bad[] = {"1e19", "9223372036.854775808", "1e999999999999999999999",
                                      "99999999999999999999"};
    int64_t got;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        got = -7;
        CHECK_INT(reqs_time_scaled(good[i].text, strlen(good[i].text), good[i].scale, &got), 0);
        if (got != good[i].want)
            printf("# %s: %lld\n", good[i].text, (long long)got);
        CHECK_INT(got, good[i].want);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(reqs_time_scaled(bad[i], strlen(bad[i]), 1000000000, &got), -1);
}

static void sessions(void) {
    struct buf text = {0};
    for (int i = 0; i < 30000; i++)
        buf_printf(&text, "{\"session_id\":\"s%d\",\"hash_ids\":[]}\n", i * 7919 % 10000);
    char *path = scratch_path("sessions");
    scratch_write(path, text.data, text.len);
    struct err err;
    struct req q;
    struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
    for (int i = 0; r && reqs_next(r, &q, &err) == 1; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i * 7919 % 10000);
        CHECK_INT(q.session, i % 10000);
        CHECK_STR(reqs_session(r, q.session), name);
    }
    CHECK_INT(reqs_totals(r)->sessions, 10000);
    CHECK(reqs_session(r, 10000) == NULL && reqs_session(r, REQS_NO_SESSION) == NULL);
    reqs_close(r);
    free(path);
    buf_free(&text);
}

/* Qwen-Bailian: turns name the turn before, time is in seconds, the type is none of ours. */
static void chats(void) {
    CHECK_STR(show("{\"chat_id\":7,\"parent_chat_id\":-1,\"timestamp\":0.5,\"input_length\":31,"
                   "\"output_length\":3,\"type\":\"text\",\"turn\":1,\"hash_ids\":[1,2]}\n"
                   "{\"chat_id\":8,\"parent_chat_id\":-1,\"timestamp\":1,\"type\":\"search\","
                   "\"hash_ids\":[3]}\n"
                   "{\"chat_id\":9,\"parent_chat_id\":7,\"timestamp\":61.114,\"type\":\"file\","
                   "\"hash_ids\":[1]}\n"
                   "{\"type\":\"text\",\"hash_ids\":[4],\"chat_id\":10,\"parent_chat_id\":9}\n"
                   "{\"chat_id\":12,\"parent_chat_id\":11,\"hash_ids\":[5]}\n"
                   "{\"chat_id\":13,\"parent_chat_id\":11,\"hash_ids\":[6]}\n"),
              "1 t=500000000 in=31 out=3 ids=1,2 session=0:7\n"
              "2 t=1000000000 ids=3 session=1:8\n"
              "3 t=61114000000 ids=1 session=0:7\n4 t=61114000000 ids=4 session=0:7\n"
              "5 t=61114000000 ids=5 session=2:11\n6 t=61114000000 ids=6 session=2:11\n"
              "jsonl 6 sessions=3 timed=1 block=16");
    CHECK_STR(show("{\"chat_id\":7,\"timestamp\":2,\"hash_ids\":[1]}"),   /* not theirs */
              "1 t=2000000 ids=1\njsonl 1 timed=1");
    CHECK_STR(show("{\"timestamp\":9e12,\"chat_id\":1,\"parent_chat_id\":-1,\"hash_ids\":[]}\n"),
              "error: t:1:65: expected a time within 292 years before, "
              "found the end of the line");
}

/* ---- block size ------------------------------------------------------------------------- */

static int infer(int64_t block, int up, int records, int64_t longest) {
    struct reqs_infer f;
    reqs_infer_init(&f);
    for (int i = 0; i < records; i++) {
        int64_t t = 1 + (int64_t)random_below((size_t)longest);
        reqs_infer_add(&f, t, up ? (t + block - 1) / block : t / block);
    }
    return reqs_infer_result(&f);
}

static void block_sizes(void) {
    static const int sizes[] = {1, 16, 24, 64, 100, 512, 1000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_INT(infer(sizes[i], 1, 2000, 200000), sizes[i]);
        CHECK_INT(infer(sizes[i], 0, 2000, 200000), sizes[i]);
    }
    CHECK_INT(infer(512, 1, 20, 3000), 512);        /* few records: the only power of two */
    CHECK_STR(show("{\"input_length\":1000,\"hash_ids\":[1,2]}"), "1 t=0 in=1000 ids=1,2\n"
              "jsonl 1 block=512");
    /* 334..499 rounded up, 251..333 down: two powers of two. */
    CHECK_STR(show("{\"input_length\":1000,\"hash_ids\":[1,2,3]}"), "1 t=0 in=1000 ids=1,2,3\n"
              "jsonl 1 block=256");
    CHECK_STR(show("{\"input_length\":1000,\"hash_ids\":[1]}"), "1 t=0 in=1000 ids=1\njsonl 1");
    CHECK_STR(show("{\"input_length\":10,\"hash_ids\":[1]}\n"
                   "{\"input_length\":10,\"hash_ids\":[1,2,3,4,5,6,7,8,9,10]}\n"
                   "{\"input_length\":0,\"hash_ids\":[1,2]}\n"),
              "1 t=0 in=10 ids=1\n2 t=0 in=10 ids=1,2,3,4,5,6,7,8,9,10\n3 t=0 in=0 ids=1,2\n"
              "jsonl 3");
    CHECK_STR(show_bytes("{\"input_length\":1000,\"hash_ids\":[1,2]}", 38,
                         &(struct reqs_options){.block_tokens = 600}),
              "1 t=0 in=1000 ids=1,2\njsonl 1 block=600");
}

/* ---- tokens ----------------------------------------------------------------------------- */

/* The chain as llm-requests(5) describes it. */
static uint64_t chain(const char *tokens) {
    uint64_t h = 0;
    char *end;
    for (; *tokens; tokens = end) {
        h = (h ^ strtoull(tokens, &end, 10)) + 0x9E3779B97F4A7C15u;
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9u;
        h = (h ^ h >> 27) * 0x94D049BB133111EBu;
        h ^= h >> 31;
    }
    return h;
}

static void tokens(void) {
    static const char text[] =
        "{\"input_toks\":99,\"output_toks\":7,\"arrival_time_ns\":500,"
        "\"input_tok_ids\":[5,6,7,8,9],\"output_tok_ids\":[1,2,3]}\n"
        "{\"arrival_time_ns\":1500,\"prompt_token_ids\":[5, 6, 7, 8],\"output_token_ids\":[4]}\n"
        "{\"token_ids\":[6,5]}\n{\"token_ids\":[]}\n";
    char *want = mem_printf(
        "1 t=0 in=5 out=7 ids=%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n"
        "2 t=1000 in=4 out=1 ids=%" PRIu64 ",%" PRIu64 "\n"
        "3 t=1000 in=2 ids=%" PRIu64 "\n4 t=1000 in=0 ids=\ntokens 4 timed=1 block=2",
        chain("5 6"), chain("5 6 7 8"), chain("5 6 7 8 9"), chain("5 6"), chain("5 6 7 8"),
        chain("6 5"));
    CHECK_STR(show_bytes(text, sizeof text - 1, &(struct reqs_options){.block_tokens = 2}), want);
    free(want);
    want = mem_printf("1 t=0 in=3 ids=%" PRIu64 "\ntokens 1 block=16", chain("1 2 3"));
    CHECK_STR(show("{\"input_token_ids\":[1,2,3]}"), want);
    free(want);
}

/* ---- lengths ---------------------------------------------------------------------------- */

static void csv(void) {
    CHECK_STR(show("TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                   "2023-11-16 18:17:03.9799600,4808,10\r\n"
                   "2023-11-16 18:17:04.0319600,3180,8"),
              "2 t=0 in=4808 out=10\n3 t=52000000 in=3180 out=8\nlengths 2 timed=1");
    CHECK_STR(show("TIMESTAMP,ContextTokens,GeneratedTokens\n"
                   "2024-05-10 00:00:00.009930+00:00,2162,5\n\n"
                   "2024-05-10 01:00:01.009930+01:00,2399,6\n"),
              "2 t=0 in=2162 out=5\n4 t=1000000000 in=2399 out=6\nlengths 2 timed=1");
    CHECK_STR(show("Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,"
                   "Total tokens,Log Type\n"
                   "5,a,1,ChatGPT,472,18,490,Conversation log\n"
                   "45.5,\"b, \"\"c\"\"\",1, GPT-4 ,1087.0,,1087,\"API log\"\n"),
              "2 t=0 in=472 out=18 session=0:a model=ChatGPT\n"
              "3 t=40500000000 in=1087 session=1:b, \"c\" model=GPT-4\n"
              "lengths 2 sessions=2 timed=1");
    CHECK_STR(show("arrived_at;num_prefill_tokens;num_decode_tokens\n0.5;3;4\n0.25;5;6\n"),
              "2 t=0 in=3 out=4\n3 t=0 in=5 out=6\nlengths 2 backwards=1 timed=1");
    CHECK_STR(show("\"time\" \t\"input_tokens\"\t\"output_tokens\"\n"
                   "\"1\"\t\"3\"\t \"4\" \r\n"),
              "2 t=0 in=3 out=4\nlengths 1 timed=1");
    CHECK_STR(show("input_tokens\n7\n"), "2 t=0 in=7\nlengths 1");
    CHECK_STR(show("id,timestamp_ms,cached_tokens,prompt_len\nx,1.5,2,7\ny,2,3,8\n"),
              "2 t=0 in=7 cached=2 id=x\n3 t=500000 in=8 cached=3 id=y\nlengths 2 timed=1");
}

static void bad_csv(void) {
    static const struct {
        const char *row;
        const char *error;
    } bad[] = {
        {"1,2", "4: expected as many columns as in the header, found the end of the line"},
        {"1,2,3,4", "7: expected no more columns than in the header, found '4'"},
        {"1,x,3", "3: expected a number of tokens: an integer from 0 to 2^40, found 'x,3'"},
        {"1,-2,3", "3: expected a number of tokens: an integer from 0 to 2^40, found '-2,3'"},
        {"1,2 3,3", "3: expected a number of tokens: an integer from 0 to 2^40, found '2 3,3'"},
        {"1,2,1e99", "5: expected a number of tokens: an integer from 0 to 2^40, found '1e99'"},
        {"now,2,3", "1: expected a time: a number, or a date as in 2023-11-16 18:17:03.97, "
                    "found 'now,2,3'"},
        {"1,,3", "5: expected a number of input tokens in its column before, "
                 "found the end of the line"},
        {"1,\"2,3", "7: expected a closing quote, found the end of the line"},
        {"1,\"2\"3,3", "6: expected the end of the cell, found '3,3'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("timestamp,input_length,output_length\n1,2,3\n%s\n4,5,6",
                                bad[i].row);
        char *want = mem_printf("2 t=0 in=2 out=3\nerror: t:3:%s", bad[i].error);
        CHECK_STR(show(text), want);
        CHECK_STR(show_skipping(text),
                  "2 t=0 in=2 out=3\n4 t=3000000000 in=5 out=6\nlengths 2 bad=1 timed=1");
        free(text);
        free(want);
    }
    CHECK_STR(show("timestamp,tokens\n1,2\n"), "error: t:1:1: expected JSON Lines, block ids, or "
              "CSV whose header names one column of input tokens, found 'timestamp,tokens'");
    CHECK_STR(show("input_length,prompt_tokens\n1,2\n"), "error: t:1:1: expected JSON Lines, block "
              "ids, or CSV whose header names one column of input tokens, "
              "found 'input_length,prompt_tokens'");
}

static void lengths_in_json(void) {
    CHECK_STR(show("{\"timestamp\":1,\"input_length\":5,\"output_length\":6}\n"
                   "{\"prompt_tokens\":7,\"completion_tokens\":8}\n"),
              "1 t=1000000 in=5 out=6\n2 t=1000000 in=7 out=8\nlengths 2 timed=1");
    /* One record with ids makes a trace one of ids. */
    CHECK_STR(show("{\"input_length\":5}\n{\"input_length\":5,\"hash_ids\":[1,2,3,4,5]}\n"),
              "1 t=0 in=5\n2 t=0 in=5 ids=1,2,3,4,5\njsonl 2 block=1");
}

/* ---- streams ---------------------------------------------------------------------------- */

static void streams(void) {
    char *want = mem_printf("1 t=0 ids=5\n2 t=0 ids=18446744073709551615\n3 t=0 ids=255\n"
                            "5 t=0 ids=18446744073709551615\n6 t=0 ids=%" PRIu64 "\nstream 5",
                            reqs_hash_bytes("DeadBeefDeadBeef00", 18));
    CHECK_STR(show("5\n-1\n 0xff \r\n\n18446744073709551615\nDeadBeefDeadBeef00"), want);
    CHECK(json_id_of_text("0xFFFFFFFFFFFFFFFF", 18) == UINT64_MAX);
    CHECK(strstr(show("0x1FFFFFFFFFFFFFFFF\n"), "stream 1"));
    free(want);
    static const char *const bad[] = {"18446744073709551616", "5 6", "word", "0x", "deadbeef",
                                      "-", "1.5", "123456789012345678901234567890", "{}", "0xg"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("1\n%s\n2\n", bad[i]);
        CHECK_STR(show_skipping(text), "1 t=0 ids=1\n3 t=0 ids=2\nstream 2 bad=1");
        CHECK(strstr(show(text), "1 t=0 ids=1\nerror: t:2:"));
        free(text);
    }
}

/* ---- events ----------------------------------------------------------------------------- */

#define STORED(hashes, parent) \
    "{\"type\":\"BlockStored\",\"block_hashes\":" hashes ",\"parent_block_hash\":" parent \
    ",\"token_ids\":[1,2],\"block_size\":16,\"lora_id\":null,\"medium\":\"GPU\"}"
#define BATCH(ts, events) "{\"ts\":" ts ",\"events\":[" events "],\"data_parallel_rank\":0}\n"

/* Prompts in one and in two pieces, decoding, a second request behind the first's prefix. */
static void events(void) {
    CHECK_STR(show(BATCH("100.5", STORED("[1,2]", "null"))
                   BATCH("100.75", STORED("[3]", "2") "," STORED("[11,12]", "2"))
                   BATCH("101", STORED("[4]", "3") "," STORED("[13]", "12"))),
              "1 t=0 cached=0 ids=1,2,3,4\n2 t=250000000 cached=32 ids=1,2,11,12,13\n"
              "events 2 timed=1 block=16");
    CHECK_STR(show(STORED("[1]", "null") "\n" STORED("[2]", "1") "\n" STORED("[1]", "null") "\n"),
              "1 t=0 cached=0 ids=1,2\n3 t=0 cached=0 ids=1\nevents 2 block=16");
    CHECK_STR(show(BATCH("1", "")), "events 0");
}

/* The forms in which engines and their tools write the same. */
static void event_forms(void) {
    char *want = mem_printf(
        "1 t=0 cached=0 ids=1,2,%" PRIu64 ",%" PRIu64 "\n5 t=1500000000 cached=0 ids=5\n"
        "events 2 removed=3 cleared=1 timed=1 block=16",
        (uint64_t)-3, reqs_hash_bytes("xA", 2));
    CHECK_STR(show("[100.5,[[\"BlockStored\",[1,2],null,[7,8],16,null,\"GPU\"]],0]\n"
                   "[100.75,[[\"BlockStored\",[-3],2,[7],16,null],[\"BlockRemoved\",[1,9]]]]\n"
                   "[\"BlockStored\",[\"x\\u0041\"],-3,[7],16]\n"
                   "[101,[{\"type\":\"BlockRemoved\",\"block_hashes\":[2]},"
                   "[\"AllBlocksCleared\"]]]\n"
                   "{\"ts\":102,\"type\":\"BlockStored\",\"block_hashes\":[5],"
                   "\"block_size\":16}\n"
                   "{\"events\":[],\"ts\":null}\n[]\n"), want);
    free(want);
}

/* Other tiers, other groups of layers and unknown events are passed. */
static void foreign_events(void) {
    CHECK_STR(show(BATCH("1", STORED("[1]", "null")
                   ",{\"type\":\"BlockStored\",\"block_hashes\":[8],\"block_size\":99,"
                   "\"medium\":\"CPU\"},"
                   "{\"type\":\"BlockStored\",\"block_hashes\":[9],\"group_idx\":1},"
                   "{\"type\":\"BlockStored\",\"block_hashes\":[2],\"parent_block_hash\":1,"
                   "\"group_idx\":0},"
                   "{\"type\":\"News\",\"block_hashes\":[]},[\"News\",{}]")),
              "1 t=0 cached=0 ids=1,2\nevents 1 other=4 timed=1 block=16");
}

/* What closes a chain: its newest block goes, all are cleared, a minute passes. */
static void closed_chains(void) {
    CHECK_STR(show(BATCH("1", STORED("[1,2]", "null"))
                   BATCH("2", "{\"type\":\"BlockRemoved\",\"block_hashes\":[2]}")
                   BATCH("3", STORED("[3]", "2"))),
              "1 t=0 cached=0 ids=1,2\n3 t=2000000000 cached=32 ids=1,2,3\n"
              "events 2 removed=1 timed=1 block=16");
    CHECK_STR(show(BATCH("1", STORED("[1,2]", "null"))
                   BATCH("2", "{\"type\":\"AllBlocksCleared\"},{\"type\":\"AllBlocksCleared\"}")
                   BATCH("3", STORED("[3]", "2"))),
              "1 t=0 cached=0 ids=1,2\n3 t=2000000000 cached=32 ids=1,2,3\n"
              "events 2 cleared=2 timed=1 block=16");
    CHECK_STR(show(BATCH("1", STORED("[1]", "null")) BATCH("61", STORED("[2]", "1"))
                   BATCH("121.5", STORED("[3]", "2")) BATCH("100", STORED("[4]", "3"))),
              "1 t=0 cached=0 ids=1,2\n3 t=120500000000 cached=32 ids=1,2,3,4\n"
              "events 2 backwards=1 timed=1 block=16");
}

/* Parents that were never stored, chains that bite their tail, the same block stored twice. */
static void odd_parents(void) {
    CHECK_STR(show(STORED("[5]", "4") "\n" STORED("[4]", "5") "\n" STORED("[5]", "4") "\n"),
              "1 t=0 cached=16 ids=4,5,4,5\nevents 1 block=16");
    CHECK_STR(show(STORED("[7]", "7") "\n"), "1 t=0 cached=16 ids=7,7\nevents 1 block=16");
    CHECK_STR(show(STORED("[]", "1") "\n" STORED("[1,1]", "null") "\n"),
              "2 t=0 cached=0 ids=1,1\nevents 1 block=16");
    /* Two requests with one prompt at the same time, both decode. */
    CHECK_STR(show(STORED("[1]", "null") "\n" STORED("[1]", "null") "\n" STORED("[2]", "1") "\n"
                   STORED("[3]", "1") "\n" STORED("[4]", "1") "\n"),
              "1 t=0 cached=0 ids=1,3\n2 t=0 cached=0 ids=1,2\n5 t=0 cached=16 ids=1,4\n"
              "events 3 block=16");
}

static void bad_events(void) {
    static const char *const bad[] = {
        ("{\"ts\":1,\"events\":[{\"type\":\"BlockStored\",\"block_hashes\":[3],\"block_size\":16},"
         "{\"type\":\"BlockStored\",\"block_hashes\":[1.5]}]}"),
        "{\"ts\":1,\"events\":[{\"type\":\"BlockStored\",\"block_hashes\":[3],\"block_size\":8}]}",
        "[1,2]", "[1,[3]]", "5", "{\"ts\":\"x\"}", "{\"events\":{}}", "[1,[],0] 7", "[1,[]",
        "{\"type\":5}", "[\"BlockStored\",[1],{}]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *text = mem_printf("%s\n%s\n", STORED("[1]", "null"), bad[i]);
        CHECK_STR(show_skipping(text), "1 t=0 cached=0 ids=1\nevents 1 bad=1 block=16");
        CHECK(strstr(show(text), "error: t:2:"));
        free(text);
    }
}

/* Thousands of requests at once, closed in another order than they began. */
static void many_chains(void) {
    enum { CHAINS = 3000, STEPS = 12 };
    struct buf text = {0};
    struct buf want = {0};
    for (int step = 0; step < STEPS; step++)
        for (int c = 0; c < CHAINS; c++) {
            buf_printf(&text, "[\"BlockStored\",[%d],", step * CHAINS + c + 1);
            buf_printf(&text, step ? "%d,[],16]\n" : "null,[],16]\n",
                       (step - 1) * CHAINS + c + 1);
            if (step == STEPS / 2 && c % 3 == 0)
                buf_printf(&text, "[\"BlockRemoved\",[%d]]\n", step * CHAINS + c + 1);
        }
    for (int c = 0; c < CHAINS; c++) {
        int steps = c % 3 ? STEPS : STEPS / 2 + 1;
        buf_printf(&want, "%d:%d ", steps, c + 1 + (steps - 1) * CHAINS);
    }
    for (int c = 0; c < CHAINS; c += 3)
        buf_printf(&want, "%d:%d ", STEPS, c + 1 + (STEPS - 1) * CHAINS);
    char *path = scratch_path("chains");
    scratch_write(path, text.data, text.len);
    struct err err;
    struct req q;
    struct buf got = {0};
    struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
    while (r && reqs_next(r, &q, &err) == 1)
        buf_printf(&got, "%d:%d ", (int)q.blocks, (int)q.block[q.blocks - 1]);
    CHECK_STR(got.data, want.data);
    reqs_close(r);
    free(path);
    buf_free(&text);
    buf_free(&want);
    buf_free(&got);
}

/* ---- against cJSON ---------------------------------------------------------------------- */

static void random_string(struct buf *b) {
    static const char *const parts[] = {"a", "key", "\\n", "\\\"", "\\\\", "\\/", "\\u0041",
                                        "\\u20AC", "\\uD83D\\uDE00", "\xC3\xA9", " ", "{", "]",
                                        "\\b\\f\\r\\t", "0123456789abcdef"};
    buf_addc(b, '"');
    for (size_t n = random_below(6); n; n--)
        buf_adds(b, parts[random_below(sizeof parts / sizeof *parts)]);
    buf_addc(b, '"');
}

static void random_number(struct buf *b) {
    static const char *const tails[] = {"", "", "", ".5", ".25e2", "e3", "E-2", "e+1"};
    buf_printf(b, "%s%" PRIu64 "%s", random_below(3) ? "" : "-",
               random_u64() >> (1 + random_below(63)), tails[random_below(8)]);
}

static void random_gap(struct buf *b) {
    static const char *const gaps[] = {"", "", "", " ", "\t", "  \r"};
    buf_adds(b, gaps[random_below(6)]);
}

static void random_value(struct buf *b, int depth) {
    static const char *const words[] = {"true", "false", "null"};
    size_t kind = random_below(depth ? 7 : 4);
    random_gap(b);
    if (kind == 0) {
        buf_adds(b, words[random_below(3)]);
    } else if (kind == 1) {
        random_string(b);
    } else if (kind < 4) {
        random_number(b);
    } else {
        int object = kind == 4;
        buf_addc(b, object ? '{' : '[');
        for (size_t i = 0, n = random_below(5); i < n; i++) {
            if (i)
                buf_addc(b, ',');
            if (object) {
                random_gap(b);
                random_string(b);
                random_gap(b);
                buf_addc(b, ':');
            }
            random_value(b, depth - 1);
        }
        random_gap(b);
        buf_addc(b, object ? '}' : ']');
    }
    random_gap(b);
}

static int same_value(struct json *j, const cJSON *want);

static int same_children(struct json *j, const cJSON *want, int object) {
    struct reqs_text key;
    int first = 1;
    int rc;
    j->at++;
    const cJSON *child = want->child;
    while ((rc = object ? json_member(j, &first, &key) : json_element(j, &first)) == 1) {
        if (!child || (object && (key.len != strlen(child->string) ||
                                  memcmp(key.data, child->string, key.len))))
            return 0;
        if (!same_value(j, child))
            return 0;
        child = child->next;
    }
    return rc == 0 && !child;
}

static int same_value(struct json *j, const cJSON *want) {
    struct reqs_text text;
    char c = json_peek(j);
    if (c == '{' || c == '[')
        return (c == '{' ? cJSON_IsObject(want) : cJSON_IsArray(want)) &&
               same_children(j, want, c == '{');
    if (cJSON_IsString(want))
        return json_string(j, &text) == 0 && text.len == strlen(want->valuestring) &&
               !memcmp(text.data, want->valuestring, text.len);
    if (cJSON_IsNumber(want)) {
        if (c == '"' || json_text(j, &text))
            return 0;
        return strtod(text.data, NULL) == want->valuedouble;
    }
    if (cJSON_IsNull(want))
        return json_null(j);
    return strncmp(j->at, cJSON_IsTrue(want) ? "true" : "false", 4) == 0 && json_skip(j) == 0;
}

/* Is the document JSON to us? Nothing of it may change. */
static int skips(const struct buf *b) {
    char *copy = mem_strndup(b->data, b->len + JSON_PAD);
    struct json j = {b->data, NULL};
    int ok = json_skip(&j) == 0 && json_end(&j) == 0 && j.at == b->data + b->len - 1;
    CHECK(!memcmp(copy, b->data, b->len));
    free(copy);
    return ok;
}

static void cut_or_change(struct buf *b) {
    size_t at = random_below(b->len - 1);
    static const char letters[] = "{}[]\",:\\ue0123-+.tfnax \t";
    if (random_below(3)) {
        b->data[at] = letters[random_below(sizeof letters - 1)];
    } else {
        memmove(b->data + at, b->data + at + 1, b->len - at - 1);
        b->len--;
    }
}

/* Valid documents have the same values here and there. What cJSON refuses when it is changed at
 * random is refused here too; it takes more than the RFC allows. It refuses halves of surrogate
 * pairs, which are fine here. */
static void against_cjson(void) {
    int accepted = 0;
    int refused = 0;
    for (int round = 0; round < 20000; round++) {
        struct buf b = {0};
        random_value(&b, 4);
        buf_addc(&b, '\n');
        buf_reserve(&b, JSON_PAD);
        memset(b.data + b.len, 0, JSON_PAD);
        cJSON *json = cJSON_ParseWithLength(b.data, b.len);
        struct buf other = {0};
        buf_add(&other, b.data, b.len);
        buf_reserve(&other, JSON_PAD);
        memset(other.data + other.len, 0, JSON_PAD);
        CHECK(json && skips(&b));
        struct json j = {b.data, NULL};
        int same = json && same_value(&j, json) && json_end(&j) == 0;
        if (!same)
            printf("# %s", other.data);
        CHECK(same);
        cJSON_Delete(json);

        cut_or_change(&other);
        if (skips(&other)) {
            accepted++;
            other.data[other.len] = '\0';
            json = cJSON_ParseWithOpts(other.data, NULL, 1);
            int half = strstr(other.data, "\\uD") || strstr(other.data, "\\ud") ||
                       strstr(other.data, "\\u0000");
            if (!json && !half)
                printf("# %s", other.data);
            CHECK(json || half);
            cJSON_Delete(json);
        } else {
            refused++;
        }
        buf_free(&b);
        buf_free(&other);
    }
    CHECK(accepted > 1000 && refused > 1000);
}

/* ---- real traces ------------------------------------------------------------------------ */

struct expected {
    const char *file;
    enum reqs_format format;
    int64_t records, blocks, input_tokens;
    int block_tokens;
    int round;                          /* added before the division: 0 rounds down */
    uint32_t sessions;
};

static void real_trace(const struct expected *want) {
    char *path = mem_printf("../shared/data/traces/%s", want->file);
    struct err err = {{0}};
    struct req q;
    int64_t blocks = 0;
    int64_t input = 0;
    int64_t time = 0;
    int64_t fitting = 0;                /* requests whose block count follows from the size */
    if (!scratch_exists(path)) {
        free(path);
        SKIP("../shared/data is not there");
    }
    struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
    CHECK_STR(err.text, "");
    while (r && reqs_next(r, &q, &err) == 1) {
        blocks += q.blocks > 0 ? q.blocks : 0;
        input += q.input_tokens;
        CHECK(q.time_ns >= time && q.output_tokens >= 0);
        time = q.time_ns;
        if (want->block_tokens)
            fitting += q.blocks == (q.input_tokens + want->round) / want->block_tokens;
    }
    CHECK_STR(err.text, "");
    if (r) {
        const struct reqs_totals *t = reqs_totals(r);
        CHECK_INT(t->format, want->format);
        CHECK_INT(t->records, want->records);
        CHECK_INT(t->bad + t->other + t->backwards, 0);
        CHECK_INT(t->sessions, want->sessions);
        CHECK_INT(t->timed, 1);
        CHECK_INT(reqs_block_tokens(r), want->block_tokens);
        CHECK_INT(fitting, want->block_tokens ? want->records : 0);
    }
    CHECK_INT(blocks, want->blocks);
    CHECK_INT(input, want->input_tokens);
    reqs_close(r);
    free(path);
}

int main(void) {
    static const struct expected real[] = {
        {"mooncake-conversation.jsonl", REQS_JSONL, 12031, 288500, 144793823, 512, 511, 0},
        {"agentic24-blk64.jsonl.zst", REQS_JSONL, 1840, 3108578, 199007407, 64, 0, 24},
        {"sharegpt-llama-3.1-8b-300-sps10.jsonl", REQS_TOKENS, 300, 16225, 257239, 16, 15, 0},
        {"AzureLLMInferenceTrace_code.csv", REQS_LENGTHS, 8819, 0, 18059974, 0, 0, 0},
        {"AzureLLMInferenceTrace_conv.csv", REQS_LENGTHS, 19366, 0, 22361870, 0, 0, 0},
    };
    free(scratch_path(""));             /* the folder's name is known before the first test */
    RUN(mooncake);
    RUN(any_order_and_spacing);
    RUN(all_fields);
    RUN(other_types);
    RUN(ids);
    RUN(ids_of_all_lengths);
    RUN(bad_lines);
    RUN(bad_lines_leave_nothing);
    RUN(nul_bytes_and_bad_utf8);
    RUN(nesting);
    RUN(long_lines);
    RUN(zstd_and_pipes);
    RUN(missing_file);
    RUN(times);
    RUN(scaled_decimals);
    RUN(sessions);
    RUN(chats);
    RUN(block_sizes);
    RUN(tokens);
    RUN(csv);
    RUN(bad_csv);
    RUN(lengths_in_json);
    RUN(streams);
    RUN(events);
    RUN(event_forms);
    RUN(foreign_events);
    RUN(closed_chains);
    RUN(odd_parents);
    RUN(bad_events);
    RUN(many_chains);
    RUN(against_cjson);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        RUN_NAMED(real[i].file, real_trace(&real[i]));
    buf_free(&shown);
    scratch_remove();
    return check_done();
}
