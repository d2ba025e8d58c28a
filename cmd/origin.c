/* origin.c - where two sides of a comparison were measured, see origin.h */
#include "cmd/origin.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

char *origin_of(const char *origin, const char *key) {
    struct buf b = {0};
    size_t n = strlen(key);
    for (const char *p = origin; *p;) {
        size_t line = strcspn(p, "\n");
        if (line > n + 2 && !memcmp(p, key, n) && p[n] == ':') {
            char *text = mem_strndup(p + n + 2, line - n - 2);
            if (!b.data || !strstr(b.data, text))
                buf_printf(&b, "%s%s", b.len ? "; " : "", text);
            free(text);
        }
        p += line + (p[line] == '\n');
    }
    return b.data;
}
