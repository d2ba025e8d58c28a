/* book_index.c - names of a price book to numbers, and the rows of a model, see book.h */
#include "lib/cost/book_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

/* ---- a table of names ------------------------------------------------------------------------ */

/* Of ASCII letters only, whatever the locale. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int same(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (lower(a[i]) != lower(b[i]))
            return 0;
    return 1;
}

/* Where the name stands, or the empty slot where it would. */
static struct book_slot *find_slot(const struct book_names *t, const char *name, size_t len) {
    uint64_t hash = 0xcbf29ce484222325u;        /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)lower(name[i])) * 0x100000001b3u;
    size_t i = (size_t)(hash ^ hash >> 32) & (t->size - 1);
    while (t->slot[i].name && (t->slot[i].len != len || !same(t->slot[i].name, name, len)))
        i = (i + 1) & (t->size - 1);
    return &t->slot[i];
}

int book_names_get(const struct book_names *t, const char *name, size_t len) {
    if (!t->size)
        return -1;
    const struct book_slot *s = find_slot(t, name, len);
    return s->name ? s->value : -1;
}

static void grow(struct book_names *t) {
    struct book_names old = *t;
    t->size = old.size ? 2 * old.size : 64;
    t->slot = mem_array(t->size, sizeof *t->slot);
    for (size_t i = 0; i < old.size; i++)
        if (old.slot[i].name)
            *find_slot(t, old.slot[i].name, old.slot[i].len) = old.slot[i];
    free(old.slot);
}

void book_names_put(struct book_names *t, const char *name, int value) {
    size_t len = strlen(name);
    if (2 * t->used >= t->size)
        grow(t);
    *find_slot(t, name, len) = (struct book_slot){name, len, value};
    t->used++;
}

/* ---- words of selectors ---------------------------------------------------------------------- */

int book_word(const struct book *b, const char *word, size_t len) {
    const struct book_index *x = b->index;
    return book_names_get(&x->words, word, len);
}

int book_add_word(struct book *b, const char *word) {
    struct book_index *x = b->index;
    int i = book_word(b, word, strlen(word));
    if (i >= 0)
        return i;
    /* room doubles: a power of two of words fills it */
    if (!(b->words & (b->words - 1)))
        b->word = mem_grow(b->word, b->words ? 2 * (size_t)b->words : 1, sizeof *b->word);
    b->word[b->words] = mem_strdup(word);
    book_names_put(&x->words, b->word[b->words], b->words);
    return b->words++;
}

/* ---- models ---------------------------------------------------------------------------------- */

static int is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int is_letter(char c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

/* How long what stands before the name proper is: "anthropic/", or letters and a point as in
 * "us.anthropic."; 0: nothing. */
static size_t front(const char *name, size_t len) {
    const char *slash = memchr(name, '/', len);
    if (slash)
        return (size_t)(slash - name) + 1;
    size_t n = 0;
    while (n < len && is_letter(name[n]))
        n++;
    return n && n < len && name[n] == '.' ? n + 1 : 0;
}

/* How much of the end of name has this form, in which # is a digit. */
static size_t tail_form(const char *name, size_t len, const char *form) {
    size_t n = strlen(form);
    if (len <= n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = name[len - n + i];
        if (form[i] == '#' ? !is_digit(c) : form[i] != lower(c))
            return 0;
    }
    return n;
}

/* How long a date, a version, or Claude Code's word for the long context at the end of the name is;
 * 0: there is none. */
static size_t tail(const char *name, size_t len) {
    static const char *const forms[] = {"-####-##-##", "@####-##-##", "-########", "@########",
                                        "-latest", "@latest", "@default", ":latest", "-v#:#",
                                        "-v#", "@###", "-###", "[1m]", NULL};
    for (int i = 0; forms[i]; i++) {
        size_t n = tail_form(name, len, forms[i]);
        if (n)
            return n;
    }
    return 0;
}

/* The name, then the name without what is in front of it. */
static int find_behind(const struct book_index *x, const char *name, size_t len) {
    for (;;) {
        int i = book_names_get(&x->models, name, len);
        size_t n = front(name, len);
        if (i >= 0 || !n || n == len)
            return i;
        name += n;
        len -= n;
    }
}

int book_model(const struct book *b, const char *name, size_t len) {
    const struct book_index *x = b->index;
    for (;;) {
        int i = find_behind(x, name, len);
        size_t n = tail(name, len);
        if (i >= 0 || !n)
            return i;
        len -= n;
    }
}

/* ---- the rows of a model --------------------------------------------------------------------- */

/* Rows for all models stand in the list of each, hence the limit on their number. */
void book_index_rows(struct book *b) {
    struct book_index *x = b->index;
    int star[BOOK_STARS];
    int stars = 0;
    size_t models = (size_t)b->models;
    x->first = mem_array(models + 2, sizeof *x->first);
    for (int i = 0; i < b->rows; i++)
        if (b->row[i].model < 0)
            star[stars++] = i;
        else
            x->first[b->row[i].model + 2]++;
    for (size_t i = 0; i < models; i++)
        x->first[i + 2] += x->first[i + 1] + (size_t)stars;
    x->rows = mem_array(x->first[models + 1] + 1, sizeof *x->rows);
    /* first[m + 1] is where the next row of model m goes, and in the end where m ends */
    int *next = mem_array(models + 1, sizeof *next);    /* stars that m has already */
    for (int i = 0; i < b->rows; i++) {
        int m = b->row[i].model;
        if (m < 0)
            continue;
        for (; next[m] < stars && star[next[m]] < i; next[m]++)
            x->rows[x->first[m + 1]++] = star[next[m]];
        x->rows[x->first[m + 1]++] = i;
    }
    for (size_t m = 0; m < models; m++)
        for (; next[m] < stars; next[m]++)
            x->rows[x->first[m + 1]++] = star[next[m]];
    free(next);
}

const int *book_rows_of(const struct book *b, int model, int *n) {
    const struct book_index *x = b->index;
    *n = (int)(x->first[model + 1] - x->first[model]);
    return x->rows + x->first[model];
}
