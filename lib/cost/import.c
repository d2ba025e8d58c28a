/* import.c - a catalogue's text into a book: format, names, provenance; see import.h */
#include "lib/cost/import.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/sha256.h"
#include "lib/cost/import_impl.h"

#define MOST_NOTES 200          /* kinds of them: the rest is one more */

/* The order in which each calculator looks; see import_impl.h. */
static const int litellm_turn[] = {IMPORT_WINDOW_FIRST, IMPORT_MODALITY, IMPORT_TTL, IMPORT_BATCH,
                                   IMPORT_TIER, IMPORT_SERVICE, IMPORT_SPEED, 0};
static const int modelsdev_turn[] = {IMPORT_MODALITY, IMPORT_SPEED, IMPORT_SERVICE, IMPORT_TIER, 0};
static const int plain_turn[] = {IMPORT_WINDOW_FIRST, IMPORT_MODALITY, IMPORT_TTL, IMPORT_TIER, 0};

static const struct import_format formats[] = {
    {"litellm", "https://raw.githubusercontent.com/BerriAI/litellm/main/"
                "model_prices_and_context_window.json", "LiteLLM model prices", import_litellm,
     litellm_turn},
    {"models.dev", "https://models.dev/api.json", "models.dev", import_modelsdev, modelsdev_turn},
    {"llm-prices", "https://www.llm-prices.com/historical-v1.json", "llm-prices.com",
     import_simonw, plain_turn},
    {"genai-prices", "https://raw.githubusercontent.com/pydantic/genai-prices/main/prices/"
                     "new_data/v2/data.json", "genai-prices", import_genai, plain_turn},
};
#define FORMATS (sizeof formats / sizeof *formats)

const char *const *import_formats(void) {
    static const char *const names[] = {"litellm", "models.dev", "llm-prices", "genai-prices",
                                        NULL};
    return names;
}

int import_is_json(const char *text, size_t len) {
    size_t i = 0;
    if (len >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3))
        i = 3;
    while (i < len && strchr(" \t\r\n", text[i]) && text[i])
        i++;
    return i < len && (text[i] == '{' || text[i] == '[');
}

/* ---- which format --------------------------------------------------------------------------- */

static int has_key_like(const cJSON *object, const char *part) {
    for (const cJSON *v = cJSON_IsObject(object) ? object->child : NULL; v; v = v->next)
        if (strstr(v->string, part))
            return 1;
    return 0;
}

static const struct import_format *sniff(const cJSON *doc) {
    const cJSON *first = doc->child;
    if (cJSON_IsArray(doc))
        return cJSON_IsArray(import_get(first, "models")) ? &formats[3] : NULL;
    if (!cJSON_IsObject(doc))
        return NULL;
    if (cJSON_IsArray(import_get(doc, "prices")) || cJSON_IsArray(import_get(doc, "models")))
        return &formats[2];
    const cJSON *providers = import_get(doc, "providers");
    if (cJSON_IsObject(providers))
        return &formats[1];
    for (const cJSON *v = first; v; v = v->next) {
        if (cJSON_IsObject(import_get(v, "models")))
            return &formats[1];
        if (import_get(v, "litellm_provider") || has_key_like(v, "_cost"))
            return &formats[0];
    }
    return NULL;
}

static const struct import_format *find_format(struct import *im, const cJSON *doc) {
    const char *from = im->opt->from;
    const struct import_format *f = NULL;
    for (size_t i = 0; from && i < FORMATS; i++)
        if (!strcmp(from, formats[i].name))
            f = &formats[i];
    if (!from)
        f = sniff(doc);
    if (!f)
        err_set(im->err, "%s: expected a catalogue as of litellm, models.dev, llm-prices or "
                "genai-prices, found another JSON document", im->path);
    return f;
}

/* ---- what the readers tell ------------------------------------------------------------------ */

static int find_note(const struct import_report *rep, int lost, const char *what) {
    int i = 0;
    while (i < rep->notes && (rep->note[i].lost != lost || strcmp(rep->note[i].what, what)))
        i++;
    return i;
}

static void printable(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = '?';
}

void import_note(struct import *im, int lost, const char *id, const char *fmt, ...) {
    struct import_report *rep = im->rep;
    char what[256];
    int i;
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (!*what)
        snprintf(what, sizeof what, "a key without a name");
    printable(what);
    i = find_note(rep, lost, what);
    if (i == rep->notes && i >= MOST_NOTES) {
        snprintf(what, sizeof what, "other things");
        i = find_note(rep, lost, what);
    }
    if (i == rep->notes) {
        rep->note = mem_grow(rep->note, (size_t)i + 1, sizeof *rep->note);
        rep->note[rep->notes++] = (struct import_note){
            .what = mem_strdup(what), .example = id ? mem_strdup(id) : NULL, .lost = lost};
        if (id)
            printable(rep->note[i].example);
    }
    rep->note[i].count++;
}

static int matches(const char *const *patterns, const char *s) {
    for (; s && *patterns; patterns++)
        if (!fnmatch(*patterns, s, FNM_CASEFOLD))
            return 1;
    return 0;
}

int import_wanted(struct import *im, const char *provider, const char *id) {
    const struct import_options *o = im->opt;
    im->rep->entries++;
    if ((!o->providers || matches(o->providers, provider)) &&
        (!o->models || matches(o->models, id)))
        return 1;
    im->rep->passed++;
    return 0;
}

struct import_model *import_model_add(struct import *im, const char *provider, const char *id) {
    if (!import_is_word(id) || !strcmp(id, "*")) {
        import_note(im, 1, NULL, "a model whose name is no text of up to 200 bytes");
        return NULL;
    }
    if (!(im->models & (im->models + 1)))       /* room doubles: 1, 3, 7, ... are full */
        im->model = mem_grow(im->model, 2 * im->models + 2, sizeof *im->model);
    struct import_model *m = &im->model[im->models++];
    *m = (struct import_model){.id = mem_strdup(id), .reach = 1, .place = 1};
    if (provider && import_is_word(provider))
        m->provider = mem_strdup(provider);
    return m;
}

void import_alias(struct import_model *m, const char *alias) {
    m->alias = mem_grow(m->alias, (size_t)m->aliases + 1, sizeof *m->alias);
    m->alias[m->aliases++] = mem_strdup(alias);
}

static void free_model(struct import_model *m) {
    for (int i = 0; i < m->aliases; i++)
        free(m->alias[i]);
    free(m->alias);
    free(m->id);
    free(m->provider);
    free(m->comment);
    buf_free(&m->rows);
}

/* Factors that could carry a price beyond what a book holds go. */
static void drop_factors(struct import *im, struct import_model *m) {
    struct buf kept = {0};
    for (char *s = m->rows.data, *end; s && *s; s = end) {
        end = strchr(s, '\n') + 1;
        if (*s == 'p')
            buf_add(&kept, s, (size_t)(end - s));
    }
    buf_free(&m->rows);
    m->rows = kept;
    m->factors = 0;
    import_note(im, 1, m->id, "factors that lead beyond what a book holds");
}

void import_model_end(struct import *im, struct import_model *m, int said) {
    if (m->prices && m->share * m->reach > 1)
        drop_factors(im, m);
    if (m->prices && !m->paid)
        import_note(im, 0, m->id, "models of which every price is 0");
    if (m->prices)
        return;
    if (said)
        import_note(im, 1, m->id, "models left out: none of their prices can be said in a book");
    else
        im->rep->unpriced++;
    free_model(m);
    im->models--;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void digest(const char *text, size_t len, char hex[SHA256_HEX]) {
    struct sha256 s;
    sha256_init(&s);
    sha256_add(&s, text, len);
    sha256_hex(&s, hex);
}

int import_book(const char *path, const char *text, size_t len, const struct import_options *opt,
                struct buf *out, struct import_report *rep, struct err *err) {
    struct import im = {.path = path, .opt = opt, .rep = rep, .err = err,
                        .own_date = IMPORT_NO_DATE};
    *rep = (struct import_report){0};
    digest(text, len, rep->sha256);
    cJSON *doc = import_json(path, text, len, err);
    const struct import_format *f = doc ? find_format(&im, doc) : NULL;
    int rc = -1;
    if (f) {
        rep->from = f->name;
        im.turn = f->turn;
        rc = f->read(&im, doc);
    }
    if (!rc && !im.models)
        rc = err_set(err, "%s: expected a model with a price, found none among %lld", path,
                     (long long)rep->entries);
    if (!rc)
        import_write(&im, f, out);
    for (size_t i = 0; i < im.models; i++)
        free_model(&im.model[i]);
    free(im.model);
    cJSON_Delete(doc);
    return rc;
}

int64_t import_lost(const struct import_report *rep) {
    int64_t n = 0;
    for (int i = 0; i < rep->notes; i++)
        n += rep->note[i].lost ? rep->note[i].count : 0;
    return n;
}

void import_report_free(struct import_report *rep) {
    for (int i = 0; i < rep->notes; i++) {
        free(rep->note[i].what);
        free(rep->note[i].example);
    }
    free(rep->note);
    *rep = (struct import_report){0};
}
