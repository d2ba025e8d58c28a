/* test_jsonr.c - JSON read value by value: what RFC 8259 allows, and nothing else */
#include "lib/format/jsonr.h"

#include "tests/check.h"

static int skips(const char *text, size_t len, struct err *err) {
    struct jsonr r;
    jsonr_begin(&r, "t", text, len, err);
    jsonr_skip(&r);
    return jsonr_end(&r);
}

static const char *const good[] = {
    "0", "-0", "12", "-1.5e+10", "1E5", "0.25", "true", "false", "null", "\"\"", "\"a\\n\\u00e9\"",
    "\"\\ud83d\\ude00\"", "\"\xC3\xA9\xE2\x96\x81\xF0\x9F\x99\x82\"", "[]", "{}", " [ 1 , 2 ] ",
    "{\"a\":{\"b\":[{}]},\"c\":[]}", "\t\r\n1\n", "[[],[[]]]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
};

static const char *const bad[] = {
    "", " ", "01", "-", "1.", ".5", "1e", "+1", "1e+", "tru", "nul", "True", "\"", "\"\\x\"",
    "\"\\u12\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\xFF\"", "\"\xC3\"",
    "\"\x01\"", "[", "]", "[1", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"}", "{\"a\":}", "{a:1}",
    "{\"a\":1,}", "{\"a\":1 \"b\":2}", "[1}", "{\"a\":1]", "1 2", "[] []", "nan", "Infinity",
    "\"\xED\xA0\x80\"", "\"\xC0\x80\"", "'a'", "/**/1",
    "1111111111111111111111111111111111111111111111111111111111111111111111",
};

static void grammar(void) {
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (skips(good[i], strlen(good[i]), &err)) {
            printf("# %s: %s\n", good[i], err.text);
            check_bad++;
        }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!skips(bad[i], strlen(bad[i]), &err) || strncmp(err.text, "t: byte ", 8)) {
            printf("# accepted: %s\n", bad[i]);
            check_bad++;
        }
    CHECK(skips("1\0", 2, &err));
}

static void depth(void) {
    struct buf b = {0};
    struct err err;
    for (int i = 0; i < JSONR_DEPTH; i++)
        buf_addc(&b, '[');
    for (int i = 0; i < JSONR_DEPTH; i++)
        buf_addc(&b, ']');
    CHECK_INT(skips(b.data, b.len, &err), 0);
    b.len = 0;
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, '[');
    CHECK_INT(skips(b.data, b.len, &err), -1);
    CHECK_STR(err.text, "t: byte 64: nested deeper than 63");
    buf_free(&b);
}

static void values(void) {
    static const char text[] = "{\"n\": 9007199254740993, \"f\": -2.5e1, \"s\": \"a\\tb\", \"e\": "
                               "\"plain\", \"b\": true, \"z\": null, \"l\": [1, 2, 3]}";
    struct err err = {""};
    struct jsonr r;
    struct jsonr_text key;
    struct jsonr_text s;
    int64_t n;
    int64_t sum = 0;
    double f;
    int b;
    jsonr_begin(&r, "t", text, strlen(text), &err);
    CHECK_INT(jsonr_enter(&r, '{'), 0);
    CHECK(jsonr_key(&r, &key) == 1 && jsonr_is(&key, "n") && !jsonr_int(&r, &n));
    CHECK(n == 9007199254740993);       /* a double cannot hold it */
    CHECK(jsonr_key(&r, &key) == 1 && !jsonr_float(&r, &f) && f == -25);
    CHECK(jsonr_key(&r, &key) == 1 && !jsonr_str(&r, &s) && jsonr_is(&s, "a\tb"));
    CHECK(jsonr_key(&r, &key) == 1 && jsonr_kind(&r) == '"' && !jsonr_str(&r, &s));
    CHECK(jsonr_is(&s, "plain") && s.data > text && s.data < text + sizeof text);
    CHECK(jsonr_key(&r, &key) == 1 && !jsonr_bool(&r, &b) && b == 1);
    CHECK(jsonr_key(&r, &key) == 1 && jsonr_null(&r));
    CHECK(jsonr_key(&r, &key) == 1 && !jsonr_enter(&r, '['));
    while (jsonr_item(&r) > 0) {
        jsonr_int(&r, &n);
        sum += n;
    }
    CHECK_INT(sum, 6);
    CHECK_INT(jsonr_key(&r, &key), 0);
    CHECK_INT(jsonr_end(&r), 0);
    CHECK_STR(err.text, "");
}

static const char *why(const char *text, int as_int) {
    static struct err err;
    struct jsonr r;
    struct jsonr_text s;
    int64_t n;
    jsonr_begin(&r, "f.json", text, strlen(text), &err);
    if (as_int)
        jsonr_int(&r, &n);
    else
        jsonr_str(&r, &s);
    CHECK_INT(jsonr_end(&r), -1);
    return err.text;
}

static void messages(void) {
    CHECK_STR(why("1.5", 1), "f.json: byte 0: expected a whole number, found 1.5");
    CHECK_STR(why("99999999999999999999", 1),
              "f.json: byte 0: expected a whole number, found 99999999999999999999");
    CHECK_STR(why(" [", 0), "f.json: byte 1: expected a string, found '['");
    CHECK_STR(why("", 0), "f.json: byte 0: expected a string, found the end");
    CHECK_STR(why("\"a", 0), "f.json: byte 2: a string without an end");
    CHECK_STR(why("1 x", 1), "f.json: byte 2: expected nothing more, found 'x'");
}

/* After a failure nothing is read any more, and the first message stays. */
static void sticks(void) {
    struct err err = {""};
    struct jsonr r;
    struct jsonr_text key;
    int64_t n = 5;
    jsonr_begin(&r, "t", "[true, 1]", 9, &err);
    jsonr_enter(&r, '[');
    jsonr_item(&r);
    CHECK_INT(jsonr_int(&r, &n), -1);
    CHECK_INT(n, 0);
    CHECK_INT(jsonr_item(&r), -1);
    CHECK_INT(jsonr_key(&r, &key), -1);
    CHECK_INT(jsonr_skip(&r), -1);
    CHECK_INT(jsonr_kind(&r), 0);
    CHECK_INT(jsonr_end(&r), -1);
    CHECK_STR(err.text, "t: byte 1: expected a number, found 't'");
}

int main(void) {
    RUN(grammar);
    RUN(depth);
    RUN(values);
    RUN(messages);
    RUN(sticks);
    return check_done();
}
