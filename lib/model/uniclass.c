/* uniclass.c - look-ups in the Unicode tables, see uniclass.h */
#include "lib/model/uniclass.h"

#include <stddef.h>

struct mapping {
    uint32_t first;
    uint32_t last;
    uint8_t step;
    uint8_t slope;
    uint32_t to;
};

#include "lib/model/unidata.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int is_white(uint32_t cp) {
    switch (cp) {
    case 0x20: case 0x85: case 0xA0: case 0x1680: case 0x2028: case 0x2029: case 0x202F:
    case 0x205F: case 0x3000:
        return 1;
    default:
        return (cp >= 0x09 && cp <= 0x0D) || (cp >= 0x2000 && cp <= 0x200A);
    }
}

static unsigned category(uint32_t cp) {
    size_t lo = 0;
    size_t hi = COUNT(uni_runs);
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (uni_runs[mid] >> 3 <= cp)
            lo = mid;
        else
            hi = mid;
    }
    return uni_runs[lo] & UNI_CATEGORY;
}

void uniclass_fill(struct uniclass *u) {
    uint32_t end = sizeof u->of;
    for (size_t i = 0; i < COUNT(uni_runs); i++) {
        uint32_t cp = uni_runs[i] >> 3;
        uint32_t next = i + 1 < COUNT(uni_runs) ? uni_runs[i + 1] >> 3 : end;
        for (; cp < next && cp < end; cp++)
            u->of[cp] = (uint8_t)(uni_runs[i] & UNI_CATEGORY);
    }
    for (uint32_t cp = 0; cp <= 0x3000; cp++)
        if (is_white(cp))
            u->of[cp] |= UNI_WHITE;
}

unsigned uniclass_get(const struct uniclass *u, uint32_t cp) {
    return cp < sizeof u->of ? u->of[cp] : category(cp);
}

static uint32_t map(const struct mapping *m, size_t n, uint32_t cp) {
    size_t lo = 0;
    size_t hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m[mid].last < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || cp < m[lo].first || (cp - m[lo].first) % m[lo].step)
        return cp;
    return m[lo].to + m[lo].slope * (cp - m[lo].first);
}

uint32_t uniclass_lower(uint32_t cp) {
    if (cp < 0x80)
        return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    return map(uni_lower, COUNT(uni_lower), cp);
}

uint32_t uniclass_base(uint32_t cp) {
    return cp < 0xC0 ? cp : map(uni_base, COUNT(uni_base), cp);
}

int uniclass_han(uint32_t cp) {
    static const uint32_t block[][2] = {
        {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x2A6DF},
        {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0x2CEB0, 0x2EBEF},
        {0x2F800, 0x2FA1F},
    };
    for (size_t i = 0; i < COUNT(block); i++)
        if (cp >= block[i][0] && cp <= block[i][1])
            return 1;
    return 0;
}
