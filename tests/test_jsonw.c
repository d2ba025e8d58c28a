/* test_jsonw.c - JSON writing: exact texts, and everything read back by cJSON */
#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "lib/base/utf8.h"
#include "lib/format/jsonw.h"
#include "tests/check.h"

static void values_and_commas(void) {
    struct buf b = {0};
    jsonw_open(&b, '{');
    jsonw_str(&b, "type", "step");
    jsonw_int(&b, "n", -3);
    jsonw_open_key(&b, "list", '[');
    jsonw_int(&b, NULL, 1);
    jsonw_open(&b, '{');
    jsonw_close(&b, '}');
    jsonw_open(&b, '[');
    jsonw_close(&b, ']');
    jsonw_str(&b, NULL, NULL);
    jsonw_close(&b, ']');
    jsonw_bool(&b, "yes", 2);
    jsonw_bool(&b, "no", 0);
    jsonw_raw(&b, "raw", "{\"a\":1}\n");
    jsonw_strn(&b, "cut", "abcdef", 3);
    jsonw_close(&b, '}');
    buf_addc(&b, '\n');
    jsonw_open(&b, '[');            /* a second line */
    jsonw_close(&b, ']');
    CHECK_STR(b.data, "{\"type\":\"step\",\"n\":-3,\"list\":[1,{},[],null],\"yes\":true,"
                      "\"no\":false,\"raw\":{\"a\":1},\"cut\":\"abc\"}\n[]");
    buf_free(&b);
}

static void text_is_escaped(void) {
    static const struct {
        const char *s;
        size_t len;
        const char *json;
    } t[] = {
        {"", 0, "\"\""},
        {"a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\""},
        {"\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\""},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9, "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""},
        {"a\xFFz", 3, "\"a\xEF\xBF\xBDz\""},
        {"\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0};
        jsonw_strn(&b, NULL, t[i].s, t[i].len);
        CHECK_STR(b.data, t[i].json);
        buf_free(&b);
    }
}

/* Any bytes give a document that cJSON reads, and valid text comes back as it was. */
static void any_bytes_are_valid_json(void) {
    uint32_t x = 1;
    for (int round = 0; round < 2000; round++) {
        char s[40];
        size_t len = (size_t)round % sizeof s;
        for (size_t i = 0; i < len; i++) {
            x = x * 1664525 + 1013904223;
            s[i] = (char)(x >> 24);
            if (!s[i])
                s[i] = 'x';         /* cJSON's strings end at NUL */
        }
        struct buf b = {0};
        jsonw_open(&b, '{');
        jsonw_strn(&b, "k", s, len);
        jsonw_close(&b, '}');
        cJSON *doc = cJSON_Parse(b.data);
        const char *back = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "k"));
        CHECK(back);
        struct buf want = {0};
        for (size_t i = 0; i < len;) {
            uint32_t cp;
            int n = utf8_get(s + i, len - i, &cp);
            buf_add(&want, n ? s + i : "\xEF\xBF\xBD", n ? (size_t)n : 3);
            i += n ? (size_t)n : 1;
        }
        buf_add(&want, "", 0);
        CHECK_STR(back, want.data);
        cJSON_Delete(doc);
        buf_free(&want);
        buf_free(&b);
    }
}

static void big_integers_are_text(void) {
    static const struct {
        int64_t v;
        const char *json;
    } t[] = {
        {0, "0"}, {-1, "-1"}, {9007199254740992, "9007199254740992"},
        {-9007199254740992, "-9007199254740992"}, {9007199254740993, "\"9007199254740993\""},
        {-9007199254740993, "\"-9007199254740993\""},
        {INT64_MAX, "\"9223372036854775807\""}, {INT64_MIN, "\"-9223372036854775808\""},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0};
        jsonw_int(&b, NULL, t[i].v);
        CHECK_STR(b.data, t[i].json);
        buf_free(&b);
    }
}

static void floats_are_short(void) {
    static const struct {
        double v;
        const char *json;
    } t[] = {
        {0, "0"}, {-0.0, "-0"}, {1, "1"}, {0.1, "0.1"}, {-2.5, "-2.5"}, {1e21, "1e+21"},
        {0.1 + 0.2, "0.30000000000000004"}, {1.0 / 3, "0.3333333333333333"},
        {5e-324, "5e-324"}, {-2.5e-310, "-2.5e-310"},
        {DBL_MAX, "1.7976931348623157e+308"}, {123456789, "123456789"}, {NAN, "null"},
        {INFINITY, "null"}, {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct buf b = {0};
        jsonw_float(&b, NULL, t[i].v);
        CHECK_STR(b.data, t[i].json);
        buf_free(&b);
    }
    struct buf b = {0};
    jsonw_float_digits(&b, NULL, 1.0 / 3, 4);
    jsonw_float_digits(&b, NULL, NAN, 4);
    CHECK_STR(b.data, "0.3333,null");
    buf_free(&b);
}

/* Random doubles come back bit for bit, and no text of fewer digits would do. */
static void floats_read_back(void) {
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 200000; i++) {
        double v;
        struct buf b = {0};
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&v, &x, sizeof v);
        if (!isfinite(v))
            continue;
        jsonw_float(&b, NULL, v);
        double back = strtod(b.data, NULL);
        if (memcmp(&back, &v, sizeof v))
            CHECK_STR(b.data, "the same value");
        int digits = 0;
        for (const char *p = b.data; *p && *p != 'e'; p++)
            digits += *p >= '0' && *p <= '9' && (digits || *p > '0');
        if (digits > 15 || (digits > 1 && fabs(v) < DBL_MIN)) {
            char shorter[400];
            snprintf(shorter, sizeof shorter, "%.*g", digits - 1, v);
            CHECK(strtod(shorter, NULL) != v || v == 0);
        }
        buf_free(&b);
    }
}

int main(void) {
    RUN(values_and_commas);
    RUN(text_is_escaped);
    RUN(any_bytes_are_valid_json);
    RUN(big_integers_are_text);
    RUN(floats_are_short);
    RUN(floats_read_back);
    return check_done();
}
