/* null_fault.c - faults of the null server: their names, and who gets which; see nullserver.h */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/bench/null_impl.h"

/* What stands behind '='. */
enum arg { NONE, TOKENS, TIME };

static const struct {
    const char *name;
    enum arg arg;
} kinds[NULLSERVER_FAULTS] = {
    [NULLSERVER_RESET] = {"reset", TOKENS},
    [NULLSERVER_CLOSE] = {"close", TOKENS},
    [NULLSERVER_TRUNCATE] = {"truncate", TOKENS},
    [NULLSERVER_NEVER] = {"never", NONE},
    [NULLSERVER_429] = {"429", TIME},
    [NULLSERVER_500] = {"500", NONE},
    [NULLSERVER_503] = {"503", NONE},
    [NULLSERVER_SLOW_HEADERS] = {"slow-headers", TIME},
    [NULLSERVER_STALL] = {"stall", TIME},
    [NULLSERVER_ERROR_EVENT] = {"error-event", TOKENS},
    [NULLSERVER_GARBAGE] = {"garbage", TOKENS},
    [NULLSERVER_EMPTY_FIRST] = {"empty-first", NONE},
    [NULLSERVER_MULTI] = {"multi", TOKENS},
    [NULLSERVER_SPLIT] = {"split", NONE},
    [NULLSERVER_CRLF] = {"crlf", NONE},
    [NULLSERVER_NO_DONE] = {"no-done", NONE},
    [NULLSERVER_NO_USAGE] = {"no-usage", NONE},
};

#define BIT(kind) ((uint32_t)1 << (kind))
const uint32_t null_faults_of_streams =
    BIT(NULLSERVER_EMPTY_FIRST) | BIT(NULLSERVER_MULTI) | BIT(NULLSERVER_SPLIT) |
    BIT(NULLSERVER_CRLF) | BIT(NULLSERVER_NO_DONE) | BIT(NULLSERVER_SLOW_HEADERS);

const char *nullserver_fault_name(int kind) {
    return kind >= 0 && kind < NULLSERVER_FAULTS ? kinds[kind].name : "unknown";
}

static int kind_of(const char *name) {
    for (int k = 0; k < NULLSERVER_FAULTS; k++)
        if (!strcmp(kinds[k].name, name))
            return k;
    return -1;
}

/* "250ms", "2s" or "2" in nanoseconds; at most a day. */
static int parse_time(char *text, int64_t *out) {
    size_t len = strlen(text);
    double unit = 1e9;
    double x;
    if (len > 2 && !strcmp(text + len - 2, "ms")) {
        unit = 1e6;
        text[len - 2] = '\0';
    } else if (len > 1 && text[len - 1] == 's') {
        text[len - 1] = '\0';
    }
    if (num_float(text, 0, 86400e9 / unit, &x))
        return -1;
    *out = llround(x * unit);
    return 0;
}

/* Takes a "KIND[=ARG]" apart, which it may change. */
static int parse_kind(char *text, struct nullserver_fault *out) {
    char *arg = strchr(text, '=');
    if (arg)
        *arg++ = '\0';
    out->kind = kind_of(text);
    out->arg = -1;
    if (out->kind < 0)
        return -1;
    switch (arg ? kinds[out->kind].arg : NONE) {
    case TOKENS:
        return num_int(arg, out->kind == NULLSERVER_MULTI, NULLSERVER_MOST_TOKENS, &out->arg);
    case TIME: return parse_time(arg, &out->arg);
    default: return arg ? -1 : 0;
    }
}

static int parse_share(char *text, double *out) {
    size_t len = strlen(text);
    double unit = 1;
    if (len && text[len - 1] == '%') {
        text[len - 1] = '\0';
        unit = 100;
    }
    if (num_float(text, 0, unit, out))
        return -1;
    *out /= unit;
    return *out > 0 ? 0 : -1;
}

int nullserver_fault_parse(const char *text, struct nullserver_fault *out, struct err *err) {
    char *copy = mem_strdup(text);
    char *share = strchr(copy, ':');
    *out = (struct nullserver_fault){.share = 1};
    if (share)
        *share++ = '\0';
    int bad_share = share && parse_share(share, &out->share);
    int bad_kind = parse_kind(copy, out);
    int kind = out->kind;
    free(copy);
    if (bad_kind && kind < 0) {
        struct buf names = {0};
        for (int k = 0; k < NULLSERVER_FAULTS; k++)
            buf_printf(&names, "%s%s", k ? ", " : "", kinds[k].name);
        err_set(err, "'%s': expected a fault: %s", text, names.data);
        buf_free(&names);
        return -1;
    }
    if (bad_kind && kinds[kind].arg == NONE)
        return err_set(err, "'%s': %s takes no value", text, kinds[kind].name);
    if (bad_kind)
        return err_set(err, "'%s': expected %s behind %s=", text,
                       kinds[kind].arg == TIME ? "a time, as 500ms or 2s," : "a number of tokens",
                       kinds[kind].name);
    if (bad_share)
        return err_set(err, "'%s': expected a share above 0 to 1 (or 100%%) behind ':'", text);
    return 0;
}

int null_faults_parse(const char *text, size_t len, struct null_faults *out) {
    char *copy = mem_strndup(text, len);
    int bad = 0;
    for (char *p = copy; p && !bad;) {
        struct nullserver_fault f;
        char *comma = strchr(p, ',');
        if (comma)
            *comma++ = '\0';
        bad = parse_kind(p, &f);
        if (!bad) {
            out->set |= BIT(f.kind);
            out->arg[f.kind] = f.arg;
        }
        p = comma;
    }
    free(copy);
    return bad ? -1 : 0;
}

/* The n-th point of a sequence that fills [0, 1) evenly: multiples of the golden ratio (Kronecker;
 * any interval's count of n points is within 2 of its length times n for all n that matter here),
 * from a start that the seed chooses. */
static double point(uint64_t seed, int64_t n) {
    struct rng r = {seed};
    uint64_t start = rng_next(&r);
    return (double)((start + (uint64_t)n * 0x9E3779B97F4A7C15u) >> 11) * 0x1p-53;
}

void null_faults_deal(const struct nullserver *s, int64_t n, struct null_faults *out) {
    double x = point(s->opt.seed, n);
    double from = 0;
    for (size_t i = 0; i < s->opt.faults; i++) {
        const struct nullserver_fault *f = &s->fault[i];
        int hit = f->share >= 1 || (x >= from && x < from + f->share);
        from += f->share < 1 ? f->share : 0;
        if (hit) {
            out->set |= BIT(f->kind);
            out->arg[f->kind] = f->arg;
        }
    }
}
