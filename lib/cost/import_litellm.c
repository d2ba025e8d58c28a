/* import_litellm.c - LiteLLM's model_prices_and_context_window.json, see import_impl.h
 *
 * An object of model -> keys. A price's key is a base with modifiers behind it, in any order:
 * input_cost_per_token _above_200k_tokens _priority. What they mean is read out of LiteLLM's own
 * calculator (litellm_core_utils/llm_cost_calc):
 *
 *   _above_Nk_tokens    the whole request, once the prompt is larger; for xAI at N already
 *   _above_1hr          a cache life of an hour, no tier
 *   _batches, _flex, _priority, ...     services; one without a price of its own costs the tier's
 *   tiered_pricing      ranges (a, b] of the prompt, the whole request
 *   off_peak_pricing    hours of UTC whose prices go before all others, tiers too
 *   provider_specific_entry, regional_processing_uplift_multiplier_REGION    factors on all tokens
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/date.h"
#include "lib/cost/import_impl.h"

#define WINDOWS 16              /* of off-peak hours */

static const struct base {
    const char *key;
    int kind, modality;
} bases[] = {
    {"input_cost_per_token", USAGE_INPUT, -1},
    {"output_cost_per_token", USAGE_OUTPUT, -1},
    {"output_cost_per_reasoning_token", USAGE_REASONING, -1},
    {"cache_read_input_token_cost", USAGE_READ, -1},
    {"input_cost_per_token_cache_hit", USAGE_READ, -1},
    {"cache_creation_input_token_cost", USAGE_WRITE, -1},
    {"input_cost_per_audio_token", USAGE_INPUT, USAGE_AUDIO},
    {"output_cost_per_audio_token", USAGE_OUTPUT, USAGE_AUDIO},
    {"cache_read_input_audio_token_cost", USAGE_READ, USAGE_AUDIO},
    {"cache_read_input_token_cost_per_audio_token", USAGE_READ, USAGE_AUDIO},
    {"cache_creation_input_audio_token_cost", USAGE_WRITE, USAGE_AUDIO},
    {"input_cost_per_image_token", USAGE_INPUT, USAGE_IMAGE},
    {"output_cost_per_image_token", USAGE_OUTPUT, USAGE_IMAGE},
    {"cache_read_input_image_token_cost", USAGE_READ, USAGE_IMAGE},
    {"input_cost_per_video_token", USAGE_INPUT, USAGE_VIDEO},
    {"output_cost_per_video_token", USAGE_OUTPUT, USAGE_VIDEO},
    {"input_cost_per_second", USAGE_SECOND, -1},
    {"input_cost_per_audio_per_second", USAGE_SECOND, USAGE_AUDIO},
    {"output_cost_per_audio_per_second", USAGE_SECOND, USAGE_AUDIO},
    {"input_cost_per_video_per_second", USAGE_SECOND, USAGE_VIDEO},
    {"output_cost_per_video_per_second", USAGE_SECOND, USAGE_VIDEO},
    {"input_cost_per_request", USAGE_REQUEST, -1},
    {"input_cost_per_query", USAGE_REQUEST, -1},
};

/* A model while it is read. */
struct entry {
    struct import *im;
    struct import_model *model;
    const cJSON *object;
    struct import_span span;
    int ge;
    int said;                   /* it has prices */
    int tiers;                  /* a table of them, which goes before plain keys */
};

/* ---- keys ----------------------------------------------------------------------------------- */

/* Takes [at, at + len) out of s. */
static void cut(char *s, size_t at, size_t len) {
    memmove(s + at, s + at + len, strlen(s + at + len) + 1);
}

/* Takes "_above_200k_tokens" out of a key. -1: there is none. */
static int take_tier(char *key, int64_t *above) {
    char *at = strstr(key, "_above_");
    size_t head = strlen("_above_");
    for (; at; at = strstr(at + 1, "_above_")) {
        size_t digits = strspn(at + head, "0123456789");
        size_t len = head + digits;
        int thousands = at[len] == 'k';
        len += (size_t)thousands;
        if (!digits || digits > 9 || strncmp(at + len, "_tokens", 7))
            continue;
        *above = strtoll(at + head, NULL, 10) * (thousands ? 1000 : 1);
        cut(key, (size_t)(at - key), len + 7);
        return 0;
    }
    return -1;
}

static int take_text(char *key, const char *text) {
    char *at = strstr(key, text);
    if (at)
        cut(key, (size_t)(at - key), strlen(text));
    return at ? 0 : -1;
}

/* The service at the end of a key, which is taken off it; NULL: none. */
static const char *take_service(char *key) {
    static const char *const suffix[] = {"_batches", "_flex", "_priority", "_ultrafast"};
    static const char *const service[] = {"batch", "flex", "priority", "ultrafast"};
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(suffix[i]);
        size_t len = strlen(key);
        if (len > n && !strcmp(key + len - n, suffix[i])) {
            key[len - n] = '\0';
            return service[i];
        }
    }
    return NULL;
}

/* What a key is the price of. -1: of nothing that is known here. */
static int parse_key(const char *text, struct import_price *p) {
    char key[128];
    if (strlen(text) >= sizeof key)
        return -1;
    strcpy(key, text);
    *p = (struct import_price)IMPORT_PRICE;
    take_tier(key, &p->above);
    if (!take_text(key, "_above_1hr"))
        p->ttl = "1h";
    p->service = take_service(key);
    take_tier(key, &p->above);          /* "_priority_above_200k_tokens" */
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        if (!strcmp(bases[i].key, key)) {
            p->kind = bases[i].kind;
            p->modality = bases[i].modality;
            return p->ttl && p->kind != USAGE_WRITE ? -1 : 0;
        }
    return -1;
}

static int begins(const char *s, const char *with) {
    return !strncmp(s, with, strlen(with));
}

/* A key that speaks of money, whether it is understood or not. */
static int is_money(const char *key) {
    return !begins(key, "supports_") &&
           (strstr(key, "cost") || strstr(key, "pric") || strstr(key, "multiplier"));
}

static int shift_of(int kind) {
    return kind <= USAGE_REASONING ? 6 : 0;
}

/* ---- keys that are objects ------------------------------------------------------------------ */

/* A web search has prices for how much of its result is read; the calculator takes the middle. */
static void read_search(struct entry *e, const cJSON *v) {
    struct import_price p = IMPORT_PRICE;
    const cJSON *middle = import_get(v, "search_context_size_medium");
    const char *said = import_number(middle);
    p.kind = USAGE_SEARCH;
    for (const cJSON *size = v->child; size; size = size->next) {
        const char *other = import_number(size);
        if (said && other && strcmp(said, other))
            import_note(e->im, 1, e->model->id, "search_context_cost_per_query: %.40s, that of the "
                        "middle size is taken", size->string);
    }
    if (middle)
        import_price_add(e->im, e->model, &e->span, &p, middle, 0,
                         "search_context_cost_per_query");
    else
        import_note(e->im, 1, e->model->id, "search_context_cost_per_query without "
                    "search_context_size_medium");
}

/* {"fast": 6, "us": 1.1}: a speed, and places where a request is served. */
static void read_specific(struct entry *e, const cJSON *v) {
    for (const cJSON *x = v->child; x; x = x->next)
        import_factor_add(e->im, e->model, x, !strcmp(x->string, "fast") ? "speed" : "region",
                          x->string, e->span.to_ns, "provider_specific_entry");
}

/* The prices of an object of keys, with what the place of the object adds to each. */
static void read_prices(struct entry *e, const cJSON *object, int64_t above, const char *window,
                        const char *where) {
    for (const cJSON *v = object->child; v; v = v->next) {
        struct import_price p;
        if (!is_money(v->string) || cJSON_IsNull(v))
            continue;
        if (parse_key(v->string, &p) || p.above >= 0) {
            import_note(e->im, 1, e->model->id, "%s.%.80s", where, v->string);
            continue;
        }
        p.above = above;
        p.ge = above >= 0 && e->ge;
        p.window = window;
        import_price_add(e->im, e->model, &e->span, &p, v, shift_of(p.kind), where);
    }
}

/* What a tier does not say of the cache costs its input there. */
static void fill_tier(struct entry *e, const cJSON *tier, int64_t above) {
    static const char *const keys[] = {"cache_read_input_token_cost",
                                       "cache_creation_input_token_cost"};
    const cJSON *input = import_get(tier, "input_cost_per_token");
    for (int i = 0; i < 2; i++) {
        struct import_price p;
        parse_key(keys[i], &p);
        int known = import_get(e->object, keys[i]) || import_price_find(&e->span, &p);
        if (known && !import_get(tier, keys[i])) {
            p.above = above;
            p.ge = e->ge;
            import_price_add(e->im, e->model, &e->span, &p, input, 6, "tiered_pricing");
        }
    }
}

static void read_tiers(struct entry *e, const cJSON *v) {
    const cJSON *tier;
    cJSON_ArrayForEach(tier, v) {
        const cJSON *range = import_get(tier, "range");
        int64_t from = 0;
        if (!cJSON_IsArray(range) || !import_get(tier, "input_cost_per_token") ||
            import_whole(range->child, USAGE_MOST, &from)) {
            import_note(e->im, 1, e->model->id, "tiered_pricing: a tier without range and input");
            continue;
        }
        int64_t above = from ? from : -1;
        read_prices(e, tier, above, NULL, "tiered_pricing");
        fill_tier(e, tier, above);
    }
}

/* ---- off-peak hours ------------------------------------------------------------------------- */

/* The window texts live as long as the span: `text` is the caller's. */
static void read_off_peak(struct entry *e, const cJSON *v, char (*text)[IMPORT_WINDOW]) {
    int n = import_off_peak(v, text, WINDOWS);
    if (n < 0)
        import_note(e->im, 1, e->model->id, "off_peak_pricing: hours as in \"16:30-00:30\" of UTC "
                    "and known days are expected");
    for (int i = 0; i < n; i++)
        read_prices(e, v, -1, text[i], "off_peak_pricing");
}

/* ---- a model -------------------------------------------------------------------------------- */

/* input and output seconds are one charge: the output's where it is not 0. */
static void read_seconds(struct entry *e) {
    const cJSON *out = import_get(e->object, "output_cost_per_second");
    const cJSON *in = import_get(e->object, "input_cost_per_second");
    const char *number = import_number(out);
    char text[IMPORT_DECIMAL];
    struct import_price p = IMPORT_PRICE;
    p.kind = USAGE_SECOND;
    if (out && (!in || (number && !import_decimal(number, 0, text) && !import_is_zero(text))))
        in = out;
    if (in)
        import_price_add(e->im, e->model, &e->span, &p, in, 0, "input_cost_per_second");
}

/* A model that makes images: what it puts out is theirs where no other price is said. */
static void price_images(struct entry *e) {
    struct import_price p = IMPORT_PRICE;
    p.kind = USAGE_OUTPUT;
    const struct import_price *text = import_price_find(&e->span, &p);
    const cJSON *image = import_get(e->object, "output_cost_per_image_token");
    if (!text && image)
        import_price_add(e->im, e->model, &e->span, &p, image, 6, "output_cost_per_image_token");
}

/* Reasoning costs the service's output where the service has no price of its own for it. */
static void price_reasoning(struct entry *e) {
    struct import_price p = IMPORT_PRICE;
    p.kind = USAGE_REASONING;
    if (!import_price_find(&e->span, &p))
        return;
    for (int i = 0, n = e->span.n; i < n; i++) {
        struct import_price of = e->span.price[i];
        if (of.kind != USAGE_OUTPUT || !of.service || of.modality >= 0 || of.window)
            continue;
        of.kind = USAGE_REASONING;
        if (import_price_find(&e->span, &of))
            continue;
        e->span.price = mem_grow(e->span.price, (size_t)e->span.n + 1, sizeof *e->span.price);
        e->span.price[e->span.n++] = of;
    }
}

/* One key of a model that is no object. */
static void read_key(struct entry *e, const cJSON *v) {
    static const char regional[] = "regional_processing_uplift_multiplier_";
    const char *key = v->string;
    struct import_price p;
    if (begins(key, regional)) {
        import_factor_add(e->im, e->model, v, "region", key + sizeof regional - 1, e->span.to_ns,
                          "regional_processing_uplift_multiplier");
    } else if (!parse_key(key, &p)) {
        p.ge = p.above >= 0 && e->ge;
        if (strcmp(key, "input_cost_per_second") && !(e->tiers && import_price_find(&e->span, &p)))
            import_price_add(e->im, e->model, &e->span, &p, v, shift_of(p.kind), key);
    } else if (strcmp(key, "output_cost_per_second")) {
        import_note(e->im, 1, e->model->id, "%.80s", key);
    }
}

static void read_keys(struct entry *e, char (*windows)[IMPORT_WINDOW]) {
    const cJSON *tiers = import_get(e->object, "tiered_pricing");
    if (cJSON_IsArray(tiers))           /* first: they go before the keys beside them */
        read_tiers(e, tiers);
    e->tiers = e->span.n > 0;
    for (const cJSON *v = e->object->child; v; v = v->next) {
        const char *key = v->string;
        if (cJSON_IsNull(v) || (!is_money(key) && strcmp(key, "provider_specific_entry")))
            continue;
        e->said |= !!strstr(key, "cost") || !!strstr(key, "pricing");
        if (!strcmp(key, "search_context_cost_per_query") && cJSON_IsObject(v))
            read_search(e, v);
        else if (!strcmp(key, "provider_specific_entry") && cJSON_IsObject(v))
            read_specific(e, v);
        else if (!strcmp(key, "off_peak_pricing") && cJSON_IsObject(v))
            read_off_peak(e, v, windows);
        else if (strcmp(key, "tiered_pricing"))
            read_key(e, v);
    }
    read_seconds(e);
    price_images(e);
    price_reasoning(e);
}

static void read_about(struct entry *e) {
    const char *end = import_string(import_get(e->object, "deprecation_date"));
    const char *words = import_string(import_get(e->object, "_comment"));
    const char *unit = import_string(import_get(e->object, "web_search_billing_unit"));
    if (import_whole(import_get(e->object, "max_input_tokens"), USAGE_MOST, &e->model->context))
        e->model->context = 0;
    e->span.from_ns = BOOK_ALWAYS;
    e->span.to_ns = BOOK_NEVER;
    if (end && date_parse(end, strlen(end), &e->span.to_ns))
        import_note(e->im, 1, e->model->id, "deprecation_date: a date as in 2026-03-13 is wanted");
    if (words && import_is_word(words))
        e->model->comment = mem_strdup(words);
    if (unit && strcmp(unit, "per_query"))
        import_note(e->im, 1, e->model->id, "web_search_billing_unit=%.40s", unit);
}

static void read_model(struct import *im, const cJSON *object, struct import_span *span) {
    char windows[WINDOWS][IMPORT_WINDOW];
    const char *provider = import_string(import_get(object, "litellm_provider"));
    if (!import_wanted(im, provider, object->string))
        return;
    struct entry e = {.im = im, .object = object, .span = *span};
    e.model = import_model_add(im, provider, object->string);
    if (!e.model)
        return;
    e.ge = provider && !strcmp(provider, "xai");
    read_about(&e);
    read_keys(&e, windows);
    import_span_end(im, e.model, &e.span);
    import_model_end(im, e.model, e.said);
    *span = e.span;
}

int import_litellm(struct import *im, const cJSON *doc) {
    struct import_span span = {0};
    if (!cJSON_IsObject(doc))
        return err_set(im->err, "%s: expected an object of models, as LiteLLM has it", im->path);
    for (const cJSON *v = doc->child; v; v = v->next) {
        if (!strcmp(v->string, "sample_spec") || *v->string == '_')
            continue;
        if (cJSON_IsObject(v))
            read_model(im, v, &span);
        else
            import_note(im, 1, v->string, "an entry that is no object");
    }
    free(span.price);
    return 0;
}
