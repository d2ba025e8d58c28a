/* book_state.c - statements of a price book that declare: book, source, model; see book_impl.h */
#include "lib/cost/book_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

int book_read_head(struct book_reader *r) {
    static const char *const currencies[] = {"USD", NULL};
    static const char *const answers[] = {"no", "yes", NULL};
    struct book *b = r->b;
    int currency;
    if (b->name)
        return book_bad(r, "expected one 'book' statement, found a second");
    if (r->words != 2)
        return book_bad(r, "book: expected a name, found %d words", r->words - 1);
    b->name = mem_strdup(r->field[1].text);
    if (book_take_date(r, "observed", &b->observed_ns) ||
        book_take_choice(r, "currency", currencies, &currency) ||
        book_take_choice(r, "counterfactual", answers, &b->counterfactual) ||
        book_take_text(r, "title", &b->title))
        return -1;
    return book_leftover(r, "observed, currency, counterfactual and title");
}

int book_read_source(struct book_reader *r) {
    static const char *const words[] = {"listed", "mirrored", "derived", "assumed",
                                        "counterfactual", NULL};
    struct book *b = r->b;
    struct book_index *x = b->index;
    int confidence = -1;
    if (r->words != 2)
        return book_bad(r, "source: expected a name, found %d words", r->words - 1);
    const char *name = r->field[1].text;
    int old = book_names_get(&x->sources, name, strlen(name));
    if (old >= 0)
        return book_bad(r, "source '%.40s' is declared in line %d already", name,
                        b->source[old].line);
    if ((size_t)b->sources == r->source_room) {
        r->source_room = 2 * r->source_room + 16;
        b->source = mem_grow(b->source, r->source_room, sizeof *b->source);
    }
    struct book_source *s = &b->source[b->sources++];
    *s = (struct book_source){.name = mem_strdup(name), .observed_ns = BOOK_ALWAYS,
                              .line = r->line};
    book_names_put(&x->sources, s->name, b->sources - 1);
    if (book_take_text(r, "url", &s->url) || book_take_text(r, "title", &s->title) ||
        book_take_date(r, "observed", &s->observed_ns) ||
        book_take_choice(r, "confidence", words, &confidence))
        return -1;
    s->confidence = confidence < 0 ? NULL : mem_strdup(words[confidence]);
    return book_leftover(r, "url, title, observed and confidence");
}

/* ---- models ---------------------------------------------------------------------------------- */

/* A name or an alias, which no other model may have. The text is kept by the model. */
static int claim(struct book_reader *r, const char *name, int model) {
    struct book *b = r->b;
    struct book_index *x = b->index;
    int old = book_names_get(&x->models, name, strlen(name));
    if (!strcmp(name, "*"))
        return book_bad(r, "model: expected a name, found '*', which is all of them");
    if (old >= 0)
        return book_bad(r, "'%.80s' is %s of line %d already", name,
                        strcmp(name, b->model[old].name) ? "an alias" : "the model",
                        b->model[old].line);
    book_names_put(&x->models, name, model);
    return 0;
}

static int read_aliases(struct book_reader *r, struct book_model *m) {
    const char *s = book_take(r, "alias");
    while (s && *s) {
        size_t len = strcspn(s, ",");
        if (!len)
            return book_bad(r, "alias: expected names with commas between, found '%.40s'", s);
        m->alias = mem_grow(m->alias, (size_t)m->aliases + 1, sizeof *m->alias);
        char *name = m->alias[m->aliases++] = mem_strndup(s, len);
        if (claim(r, name, r->b->models - 1))
            return -1;
        s += len + (s[len] == ',');
    }
    return 0;
}

static int read_size(struct book_reader *r, const char *key, double *out) {
    int64_t n = 0;
    if (book_take_whole(r, key, 1, (int64_t)1 << 53, &n))
        return -1;
    *out = (double)n;
    return 0;
}

int book_read_model(struct book_reader *r) {
    struct book *b = r->b;
    if (r->words != 2)
        return book_bad(r, "model: expected a name, found %d words", r->words - 1);
    if ((size_t)b->models == r->model_room) {
        r->model_room = 2 * r->model_room + 16;
        b->model = mem_grow(b->model, r->model_room, sizeof *b->model);
    }
    struct book_model *m = &b->model[b->models++];
    *m = (struct book_model){.name = mem_strdup(r->field[1].text), .line = r->line};
    if (claim(r, m->name, b->models - 1) || read_aliases(r, m) ||
        book_take_text(r, "provider", &m->provider) || book_take_text(r, "shape", &m->shape) ||
        book_take_duration(r, "default_ttl", &m->default_ttl_ns) ||
        book_take_whole(r, "context", 1, (int64_t)1 << 40, &m->context) ||
        read_size(r, "params", &m->params) || read_size(r, "active", &m->active) ||
        book_take_source(r, &m->source))
        return -1;
    if (m->params && m->active > m->params)
        return book_bad(r, "model: expected active up to params, found %.0f above %.0f", m->active,
                        m->params);
    return book_leftover(r, "provider, alias, default_ttl, context, params, active, shape and "
                            "source");
}
