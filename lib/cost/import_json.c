/* import_json.c - JSON whose numbers keep their text, and decimals, see import_impl.h
 *
 * cJSON turns a number into a double, in which 1.3e-07 is some other number. So before it reads a
 * document every number becomes a string that begins with MARK, a byte that no JSON string may hold
 * as it is. One that is smuggled in as \u0001 only gets its text read as a number, which a
 * catalogue may write as a string anyway.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/cost/import_impl.h"

#define MARK '\001'
#define MOST_DIGITS 30          /* they stay below 2^127 */

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The end of the JSON number at s; NULL when it is none. */
static const char *number_end(const char *s, const char *end) {
    s += s < end && *s == '-';
    if (s == end || !is_digit(*s))
        return NULL;
    if (*s == '0' && s + 1 < end && is_digit(s[1]))
        return NULL;
    while (s < end && is_digit(*s))
        s++;
    if (s < end && *s == '.') {
        if (++s == end || !is_digit(*s))
            return NULL;
        while (s < end && is_digit(*s))
            s++;
    }
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        s += s < end && (*s == '+' || *s == '-');
        if (s == end || !is_digit(*s))
            return NULL;
        while (s < end && is_digit(*s))
            s++;
    }
    return s;
}

static const char *string_end(const char *s, const char *end) {
    for (s++; s < end && *s != '"'; s++)
        s += *s == '\\' && s + 1 < end;
    return s < end ? s + 1 : end;
}

/* Numbers into strings. -1: at *at stands a number that is none. */
static int mark_numbers(const char *text, size_t len, struct buf *out, size_t *at) {
    const char *end = text + len;
    const char *done = text;
    for (const char *s = text; s < end;) {
        if (*s == '"') {
            s = string_end(s, end);
        } else if (is_digit(*s) || *s == '-') {
            const char *next = number_end(s, end);
            *at = (size_t)(s - text);
            if (!next)
                return -1;
            buf_add(out, done, (size_t)(s - done));
            buf_addc(out, '"');
            buf_addc(out, MARK);
            buf_add(out, s, (size_t)(next - s));
            buf_addc(out, '"');
            done = s = next;
        } else {
            s++;
        }
    }
    buf_add(out, done, (size_t)(end - done));
    return 0;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Where the text itself breaks: the marked one is longer. */
static size_t fault(const char *text, size_t len) {
    const char *end = NULL;
    cJSON_Delete(cJSON_ParseWithLengthOpts(text, len, &end, 0));
    while (end && end < text + len && is_blank(*end))
        end++;
    return end ? (size_t)(end - text) : 0;
}

cJSON *import_json(const char *path, const char *text, size_t len, struct err *err) {
    struct buf marked = {0};
    const char *end = NULL;
    cJSON *doc = NULL;
    size_t at = 0;
    if (mark_numbers(text, len, &marked, &at)) {
        err_set(err, "%s: byte %zu: expected a JSON number", path, at + 1);
    } else {
        doc = cJSON_ParseWithLengthOpts(marked.data, marked.len, &end, 0);
        while (doc && end < marked.data + marked.len && is_blank(*end))
            end++;
        if (!doc || end < marked.data + marked.len) {
            err_set(err, "%s: byte %zu: expected %s", path, fault(text, len) + 1,
                    doc ? "the end of the JSON document" : "JSON");
            cJSON_Delete(doc);
            doc = NULL;
        }
    }
    buf_free(&marked);
    return doc;
}

const char *import_string(const cJSON *v) {
    return cJSON_IsString(v) && *v->valuestring != MARK ? v->valuestring : NULL;
}

const char *import_number(const cJSON *v) {
    if (!cJSON_IsString(v))
        return NULL;
    const char *s = v->valuestring;
    if (*s == MARK)
        return s + 1;
    const char *end = s + strlen(s);
    return number_end(s, end) == end ? s : NULL;
}

const cJSON *import_get(const cJSON *object, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(v) ? NULL : v;
}

/* ---- decimals ------------------------------------------------------------------------------- */

/* A number as digits x 10^exp, without zeros at its end. */
static int take_apart(const char *s, money *digits, int *exp) {
    int n = 0;
    int point = 0;
    *digits = 0;
    *exp = 0;
    for (; is_digit(*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = 1;
            continue;
        }
        *exp -= point;
        if (!*digits && *s == '0')
            continue;
        if (++n > MOST_DIGITS)
            return -1;
        *digits = *digits * 10 + (*s - '0');
    }
    if (*s == 'e' || *s == 'E') {
        char *end;
        if (strlen(s) > 8)
            return -1;
        *exp += (int)strtol(s + 1, &end, 10);
        s = end;
    }
    if (*s)
        return -1;
    while (*digits && *digits % 10 == 0) {
        *digits /= 10;
        ++*exp;
    }
    return 0;
}

/* digits x 10^exp as plain decimals. */
static int write_out(money digits, int exp, char out[IMPORT_DECIMAL]) {
    char digit[IMPORT_DECIMAL];         /* the last first */
    int n = 0;
    char *p = out;
    if (!digits) {
        strcpy(out, "0");
        return 0;
    }
    if (exp > 12 || exp < -40)
        return -1;
    while (exp > 0) {
        digit[n++] = '0';
        exp--;
    }
    for (; digits; digits /= 10)
        if (n < IMPORT_DECIMAL - 2)
            digit[n++] = (char)('0' + (int)(digits % 10));
        else
            return -1;
    while (n <= -exp)
        if (n < IMPORT_DECIMAL - 2)
            digit[n++] = '0';
        else
            return -1;
    while (n) {
        if (n == -exp)
            *p++ = '.';
        *p++ = digit[--n];
    }
    *p = '\0';
    return 0;
}

int import_decimal(const char *number, int shift, char out[IMPORT_DECIMAL]) {
    money digits;
    int exp;
    if (*number == '-' || take_apart(number, &digits, &exp))
        return -1;
    return write_out(digits, exp + shift, out);
}

int import_is_zero(const char *decimal) {
    return !decimal[strspn(decimal, "0.")];
}

int import_whole(const cJSON *v, int64_t most, int64_t *out) {
    const char *number = import_number(v);
    char text[IMPORT_DECIMAL];
    if (!number || import_decimal(number, 0, text) || strchr(text, '.') || strlen(text) > 18)
        return -1;
    *out = strtoll(text, NULL, 10);
    return *out <= most ? 0 : -1;
}
