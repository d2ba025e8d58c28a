/* import_write.c - models that were read become the text of a book, see import_impl.h
 *
 * Names come first: several providers may have a model of one name, and a book has each name once.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/cost/book_impl.h"
#include "lib/cost/import_impl.h"

#define MOST_ALIASES 30000      /* bytes of a model's: a book's line has 65536 */

/* ---- names ---------------------------------------------------------------------------------- */

/* 1 when the name was free and is now taken. It is borrowed. */
static int claim(struct book_names *t, const char *s, size_t model) {
    if (book_names_get(t, s, strlen(s)) >= 0)
        return 0;
    book_names_put(t, s, (int)model);
    return 1;
}

/* How early the pattern that wants a model's provider stands, then what the catalogue says. */
static int place_of(const struct import_options *o, const struct import_model *m) {
    int i = 0;
    while (o->providers && m->provider && o->providers[i] &&
           fnmatch(o->providers[i], m->provider, FNM_CASEFOLD))
        i++;
    return (o->providers ? 4 * i : 0) + m->place;
}

/* The plain name goes to the model that alone has it, or whose provider --provider names before
 * the others'; the rest are PROVIDER/NAME. */
struct naming {
    struct import *im;
    struct book_names plain;    /* the first model that has a name */
    size_t *owner;              /* [that model] who may have it */
    enum { ALONE, SHARED, TWICE } *state;   /* [models] */
    struct book_names given;
    char **name;                /* [models], NULL: it can have none */
};

static int same_provider(const struct import_model *a, const struct import_model *b) {
    return a->provider == b->provider ||
           (a->provider && b->provider && !strcmp(a->provider, b->provider));
}

static void find_plain(struct naming *g) {
    for (size_t i = 0; i < g->im->models; i++) {
        const struct import_model *m = &g->im->model[i];
        g->owner[i] = i;
        if (claim(&g->plain, m->id, i))
            continue;
        size_t *owner = &g->owner[book_names_get(&g->plain, m->id, strlen(m->id))];
        int before = place_of(g->im->opt, &g->im->model[*owner]);
        int here = place_of(g->im->opt, m);
        if (same_provider(m, &g->im->model[*owner]))
            g->state[*owner] = TWICE;           /* as JSON readers do, the last counts */
        else if (here == before)
            g->state[*owner] = SHARED;
        if (here < before || g->state[*owner] == TWICE)
            *owner = i;
    }
}

static void give_name(struct naming *g, size_t i, int plain) {
    const struct import_model *m = &g->im->model[i];
    char *name = mem_strdup(m->id);
    int given = plain && claim(&g->given, name, i);
    int longer = !given && m->provider;
    if (longer) {
        free(name);
        name = mem_printf("%s/%s", m->provider, m->id);
        given = import_is_word(name) && claim(&g->given, name, i);
    }
    if (longer && given)
        import_note(g->im, 0, m->id, "models named PROVIDER/NAME, because other providers have the "
                                     "name too (the first of --provider gets the plain one)");
    if (given) {
        g->name[i] = name;
    } else {
        import_note(g->im, 1, m->id, "a model whose name is another's already");
        free(name);
    }
}

/* The longer names first: "anthropic/claude-2" is Anthropic's before it is a reseller's plain name
 * for it, which then becomes longer too. */
static void give_names(struct naming *g) {
    for (int plain = 0; plain < 2; plain++)
        for (size_t i = 0; i < g->im->models; i++) {
            const struct import_model *m = &g->im->model[i];
            int first = g->state[i] == ALONE &&
                        g->owner[book_names_get(&g->plain, m->id, strlen(m->id))] == i;
            if (g->state[i] != TWICE && plain == first)
                give_name(g, i, plain);
            else if (g->state[i] == TWICE && plain)
                import_note(g->im, 1, m->id, "a model that is there twice: the last counts");
        }
}

/* ---- the book ------------------------------------------------------------------------------- */

static void put_head(const struct import *im, const struct import_format *f, struct buf *out) {
    const struct import_options *o = im->opt;
    char day[DATE_TEXT];
    int64_t observed = o->observed_ns != IMPORT_NO_DATE ? o->observed_ns
                       : im->own_date != IMPORT_NO_DATE ? im->own_date
                                                        : o->fallback_ns;
    date_day(observed, day);
    buf_adds(out, "book    ");
    import_put_word(out, o->name ? o->name : f->name);
    buf_printf(out, " observed=%s currency=USD\nsource  %s url=", day, f->name);
    import_put_word(out, o->url ? o->url : f->url);
    buf_printf(out, " observed=%s confidence=mirrored title=\"%s, SHA-256 %s\"\n", day, f->title,
               im->rep->sha256);
}

/* Aliases that nobody has yet, with commas between. */
static void put_aliases(struct naming *g, size_t i, struct buf *out) {
    const struct import_model *m = &g->im->model[i];
    struct buf list = {0};
    for (int k = 0; k < m->aliases; k++) {
        const char *alias = m->alias[k];
        if (import_is_word(alias) && !strchr(alias, ',') && strcmp(alias, "*") &&
            list.len + strlen(alias) < MOST_ALIASES && claim(&g->given, alias, i))
            buf_printf(&list, "%s%s", list.len ? "," : "", alias);
    }
    if (list.len) {
        buf_adds(out, " alias=");
        import_put_word(out, list.data);
    }
    buf_free(&list);
}

static void put_rows(const struct import_model *m, const char *name, struct buf *out) {
    for (const char *s = m->rows.data; *s;) {
        const char *end = strchr(s, '\n') + 1;
        buf_adds(out, *s == 'p' ? "price   " : "factor  ");
        import_put_word(out, name);
        buf_addc(out, ' ');
        buf_add(out, s + 1, (size_t)(end - s - 1));
        s = end;
    }
}

static void put_model(struct naming *g, const struct import_format *f, size_t i, struct buf *out) {
    const struct import_model *m = &g->im->model[i];
    buf_addc(out, '\n');
    if (m->comment)
        buf_printf(out, "# %s\n", m->comment);
    buf_adds(out, "model   ");
    import_put_word(out, g->name[i]);
    if (m->provider) {
        buf_adds(out, " provider=");
        import_put_word(out, m->provider);
    }
    put_aliases(g, i, out);
    if (m->context)
        buf_printf(out, " context=%lld", (long long)m->context);
    buf_printf(out, " source=%s\n", f->name);
    put_rows(m, g->name[i], out);
    g->im->rep->models++;
    g->im->rep->rows += m->prices + m->factors;
}

/* Names are all given before aliases are: a name goes before another model's alias. */
void import_write(struct import *im, const struct import_format *f, struct buf *out) {
    struct naming g = {.im = im, .owner = mem_array(im->models + 1, sizeof *g.owner),
                       .state = mem_array(im->models + 1, sizeof *g.state),
                       .name = mem_array(im->models + 1, sizeof *g.name)};
    find_plain(&g);
    give_names(&g);
    put_head(im, f, out);
    for (size_t i = 0; i < im->models; i++)
        if (g.name[i])
            put_model(&g, f, i, out);
    for (size_t i = 0; i < im->models; i++)     /* the table borrows them until here */
        free(g.name[i]);
    free(g.name);
    free(g.state);
    free(g.owner);
    free(g.plain.slot);
    free(g.given.slot);
}
