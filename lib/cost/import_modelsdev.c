/* import_modelsdev.c - the api.json of models.dev, see import_impl.h
 *
 * An object of provider -> {"models": {model -> {"cost": {...}}}}, dollars a million tokens. A tier
 * (cost.tiers, or the older context_over_200k, which says the same again where both are there) is
 * for the whole request once the prompt is larger: so do the catalogue's own readers. A mode of
 * experimental.modes has a price list of its own; which service or speed it stands for is in the
 * request that it makes.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/date.h"
#include "lib/cost/import_impl.h"

static const struct {
    const char *key;
    int kind, modality;
} keys[] = {
    {"input", USAGE_INPUT, -1},         {"output", USAGE_OUTPUT, -1},
    {"reasoning", USAGE_REASONING, -1}, {"cache_read", USAGE_READ, -1},
    {"cache_write", USAGE_WRITE, -1},   {"input_audio", USAGE_INPUT, USAGE_AUDIO},
    {"output_audio", USAGE_OUTPUT, USAGE_AUDIO},
};
#define KEYS (sizeof keys / sizeof *keys)

struct entry {
    struct import *im;
    struct import_model *model;
    struct import_span span;
    const char *service, *speed;        /* of the mode whose prices are read */
    int said;
};

static void read_cost(struct entry *e, const cJSON *cost, int64_t above) {
    for (const cJSON *v = cost->child; v; v = v->next) {
        struct import_price p = IMPORT_PRICE;
        size_t i = 0;
        while (i < KEYS && strcmp(keys[i].key, v->string))
            i++;
        if (i == KEYS || cJSON_IsNull(v)) {
            if (strcmp(v->string, "tiers") && strcmp(v->string, "tier") &&
                strcmp(v->string, "context_over_200k") && !cJSON_IsNull(v))
                import_note(e->im, 1, e->model->id, "cost.%.80s", v->string);
            continue;
        }
        p.kind = keys[i].kind;
        p.modality = keys[i].modality;
        p.above = above;
        p.service = e->service;
        p.speed = e->speed;
        e->said = 1;
        import_price_add(e->im, e->model, &e->span, &p, v, 0, v->string);
    }
}

static void read_tiers(struct entry *e, const cJSON *cost) {
    const cJSON *tiers = import_get(cost, "tiers");
    const cJSON *over = import_get(cost, "context_over_200k");
    const cJSON *tier;
    if (!cJSON_IsArray(tiers) && cJSON_IsObject(over))
        read_cost(e, over, 200000);
    cJSON_ArrayForEach(tier, tiers) {
        const cJSON *what = import_get(tier, "tier");
        const char *type = import_string(import_get(what, "type"));
        int64_t size;
        if (import_whole(import_get(what, "size"), USAGE_MOST, &size) ||
            (type && strcmp(type, "context")))
            import_note(e->im, 1, e->model->id, "cost.tiers: a tier of context and its size are "
                        "expected");
        else
            read_cost(e, tier, size);
    }
}

/* What a mode asks of the provider names it: {"service_tier": "priority"}, {"speed": "fast"}. */
static void read_modes(struct entry *e, const cJSON *modes) {
    for (const cJSON *mode = cJSON_IsObject(modes) ? modes->child : NULL; mode; mode = mode->next) {
        const cJSON *cost = import_get(mode, "cost");
        const cJSON *body = import_get(import_get(mode, "provider"), "body");
        if (!body)
            body = import_get(mode, "body");
        if (!cJSON_IsObject(cost))
            continue;
        e->service = import_string(import_get(body, "service_tier"));
        e->speed = import_string(import_get(body, "speed"));
        if ((!e->service && !e->speed) || (e->service && !import_is_word(e->service)) ||
            (e->speed && !import_is_word(e->speed))) {
            import_note(e->im, 1, e->model->id, "experimental.modes.%.40s.cost: neither "
                        "service_tier nor speed says when", mode->string);
        } else {
            read_cost(e, cost, -1);
            read_tiers(e, cost);
        }
    }
    e->service = e->speed = NULL;
}

/* A model that is known to be another's gets the plain name last, one of its own maker's first. */
static int place_of(const cJSON *object, const char *provider) {
    const char *whose = import_string(import_get(object, "canonical_id"));
    size_t len = strlen(provider);
    if (!whose)
        whose = import_string(import_get(object, "canonical_model_id"));
    if (!whose)
        return 1;
    return !strncmp(whose, provider, len) && whose[len] == '/' ? 0 : 2;
}

static void read_model(struct import *im, const char *provider, const cJSON *object,
                       struct import_span *span) {
    const char *id = import_string(import_get(object, "id"));
    const char *end = import_string(import_get(object, "deprecation_date"));
    const cJSON *cost = import_get(object, "cost");
    if (!id)
        id = object->string;
    if (!import_wanted(im, provider, id))
        return;
    struct entry e = {.im = im, .span = *span, .model = import_model_add(im, provider, id)};
    if (!e.model)
        return;
    e.model->place = place_of(object, provider);
    e.span.from_ns = BOOK_ALWAYS;
    e.span.to_ns = BOOK_NEVER;
    if (end && date_parse(end, strlen(end), &e.span.to_ns))
        import_note(im, 1, id, "deprecation_date: a date as in 2026-03-13 is expected");
    if (import_whole(import_get(import_get(object, "limit"), "context"), USAGE_MOST,
                     &e.model->context))
        e.model->context = 0;
    if (cJSON_IsObject(cost)) {
        read_cost(&e, cost, -1);
        read_tiers(&e, cost);
    }
    read_modes(&e, import_get(import_get(object, "experimental"), "modes"));
    import_span_end(im, e.model, &e.span);
    import_model_end(im, e.model, e.said);
    *span = e.span;
}

/* api.json has the providers at its root, catalog.json under a key. */
int import_modelsdev(struct import *im, const cJSON *doc) {
    const cJSON *providers = import_get(doc, "providers");
    struct import_span span = {0};
    if (!cJSON_IsObject(doc))
        return err_set(im->err, "%s: expected an object of providers, as models.dev has it",
                       im->path);
    if (!cJSON_IsObject(providers))
        providers = doc;
    for (const cJSON *p = providers->child; p; p = p->next) {
        const cJSON *models = import_get(p, "models");
        if (!cJSON_IsObject(models))
            import_note(im, 1, p->string, "a provider without models");
        else
            for (const cJSON *m = models->child; m; m = m->next)
                read_model(im, p->string, m, &span);
    }
    free(span.price);
    return 0;
}
