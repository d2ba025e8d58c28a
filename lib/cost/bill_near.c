/* bill_near.c - names that may have been meant, see bill.h */
#include "lib/cost/bill.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

#define NAME_MOST 128           /* longer names are cut: what is said of them is a hint */

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Letters to put in, take out or change (Levenshtein). */
static int distance(const char *a, size_t n, const char *b, size_t m) {
    int row[NAME_MOST + 1];
    n = n < NAME_MOST ? n : NAME_MOST;
    m = m < NAME_MOST ? m : NAME_MOST;
    for (size_t k = 0; k <= m; k++)
        row[k] = (int)k;
    for (size_t i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = (int)i;
        for (size_t k = 1; k <= m; k++) {
            int above = row[k];
            row[k] = least(corner + (lower(a[i - 1]) != lower(b[k - 1])),
                           least(above, row[k - 1]) + 1);
            corner = above;
        }
    }
    return row[m];
}

/* Of a model's name and aliases the nearest. */
static int model_distance(const struct book_model *m, const char *name, size_t len) {
    int best = distance(name, len, m->name, strlen(m->name));
    for (int i = 0; i < m->aliases; i++)
        best = least(best, distance(name, len, m->alias[i], strlen(m->alias[i])));
    return best;
}

int bill_near(const struct book *b, const char *name, size_t len, int *model, int most) {
    const char *slash = memchr(name, '/', len);
    int *far = mem_array((size_t)b->models + 1, sizeof *far);
    int n = 0;
    if (slash) {                /* the provider in front of a name says little */
        len -= (size_t)(slash + 1 - name);
        name = slash + 1;
    }
    int limit = (int)(len < NAME_MOST ? len : NAME_MOST) / 2 + 1;
    for (int i = 0; i < b->models; i++) {
        int at = n;
        far[i] = model_distance(&b->model[i], name, len);
        if (far[i] > limit || most < 1)
            continue;
        for (; at && far[model[at - 1]] > far[i]; at--)
            if (at < most)
                model[at] = model[at - 1];
        if (at < most)
            model[at] = i;
        n += n < most;
    }
    free(far);
    return n;
}
