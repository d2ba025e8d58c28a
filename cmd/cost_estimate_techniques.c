/* cost_estimate_techniques.c - llm-cost estimate --technique: do gains multiply?
 *
 * A technique is a bit, and a set of them makes a case: those that are in it as the options say,
 * the others as engines without them did. Without any of them, every expert runs for every token,
 * every token computes its whole context again, scores go through memory, weights and keys have 16
 * bits, and memory is held for the longest request.
 */
#include "cmd/cost_estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/plot.h"

#define BLOCK 16                /* vLLM's */
#define DRAFT 4
#define WEIGHT_BITS 4.5         /* q4_k */
#define KV_BITS 8.5             /* q8_0 */
#define NEAR 1.05               /* a product this near to the gain of all of them is it */

enum { MOE, CACHE, PAGED, PREFIX, FLASH, SPECULATION, WEIGHTS, KV, TECHNIQUES };

static const char *const names[] = {"moe", "kv-cache", "paged", "prefix-cache", "flash",
                                    "speculation", "weights", "kv-type", NULL};

struct table {
    const struct estimate_options *o;
    const struct cost_device *d;
    double price;
    int chosen[TECHNIQUES], n;
    struct fields fields;
    struct estimate none, all;
    double gain[TECHNIQUES];    /* of each alone */
    double last[TECHNIQUES];    /* of each beside all others */
};

static unsigned bit(int technique) {
    return 1u << technique;
}

/* ---- sets of techniques ------------------------------------------------------------------- */

static struct estimate_case case_of(const struct table *t, unsigned set) {
    const struct estimate_options *o = t->o;
    struct estimate_case c = estimate_case_of(o, t->d, t->price);
    struct work_model *m = &c.model;
    int cache = (set & bit(CACHE)) != 0;
    m->dense_experts = !(set & bit(MOE));
    m->no_kv_cache = !cache;
    m->no_flash = !(set & bit(FLASH));
    m->block_tokens = set & bit(PAGED) ? o->block_tokens ? o->block_tokens : BLOCK : 0;
    m->reserve_tokens = set & bit(PAGED) ? 0
                        : o->reserve_tokens ? o->reserve_tokens : m->shape->context;
    m->draft = set & bit(SPECULATION) ? o->draft < 0 ? DRAFT : o->draft : 0;
    m->weight_bits = set & bit(WEIGHTS) ? o->shape.weight_bits > 0 ? o->shape.weight_bits
                                                                   : WEIGHT_BITS : 16;
    m->kv_bits = set & bit(KV) ? o->shape.kv_bits != 16 ? o->shape.kv_bits : KV_BITS : 16;
    c.cached = cache && set & bit(PREFIX) ? c.cached : 0;       /* a prefix is kept as KV */
    return c;
}

static struct estimate estimate_set(const struct table *t, unsigned set) {
    struct estimate_case c = case_of(t, set);
    return estimate_case(&c, 1);
}

/* Why the request has no use for it; NULL: it has. */
static const char *useless(const struct estimate_options *o, int technique) {
    switch (technique) {
    case MOE: return cost_has_experts(o->shape.shape) ? NULL : "the model has no experts";
    case PREFIX: return o->cached ? NULL : "--cached is 0";
    case SPECULATION: return o->draft == 0 ? "--draft is 0" : NULL;
    default: return NULL;
    }
}

static int find(const char *name) {
    for (int i = 0; i < TECHNIQUES; i++)
        if (!strcmp(names[i], name))
            return i;
    return -1;
}

void estimate_check_techniques(const char *list) {
    char *text = mem_strdup(list);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++)
        if (strcmp(list, "all") && find(part[i]) < 0)
            usage_die("--technique: '%s': expected moe, kv-cache, paged, prefix-cache, flash, "
                      "speculation, weights, kv-type, or all", part[i]);
    free(part);
    free(text);
}

static void choose(struct table *t) {
    unsigned wanted = 0;
    int all = !strcmp(t->o->techniques, "all");
    char *text = mem_strdup(t->o->techniques);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n && !all; i++)
        wanted |= bit(find(part[i]));
    free(part);
    free(text);
    for (int i = 0; i < TECHNIQUES; i++) {
        const char *why = useless(t->o, i);
        if (!all && !(wanted & bit(i)))
            continue;
        if (!why)
            t->chosen[t->n++] = i;
        else if (!all)
            usage_die("--technique: %s: no use for it here: %s", names[i], why);
        else if (!t->o->common.quiet)
            warn("%s is left out: %s", names[i], why);
    }
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"techniques", FIELD_TEXT, 0}, {"gain", 3, 0}, {"factor", 3, 0}, {"device_s", 4, 0},
    {"usd", 6, 0}, {"joules", 1, 0}, {"ttft_s", 4, 0}, {"tpot_s", 5, 0}, {"seconds", 3, 0},
    {"batch", FIELD_COUNT, 0}, {"prefill_bound", FIELD_TEXT, 1}, {"decode_bound", FIELD_TEXT, 1},
    {"resident_bytes", FIELD_WHOLE, 1}, {"device", FIELD_TEXT, 1}};
#define COLUMNS ((int)(sizeof columns / sizeof *columns))

static void add_row(struct table *t, const char *name, const struct estimate *e, double factor) {
    const struct value v[] = {
        {.text = name}, {.number = t->none.device_s / e->device_s}, {.number = factor},
        {.number = e->device_s}, {.number = e->usd}, {.number = e->joules},
        {.number = e->ttft_s}, {.number = e->tpot_s}, {.number = e->seconds}, {.count = e->batch},
        {.text = roof_bound_name(e->prefill_bound)},
        {.text = e->decode_bound < 0 ? NULL : roof_bound_name(e->decode_bound)},
        {.number = e->resident_bytes}, {.text = t->d->device->name}};
    _Static_assert(sizeof v / sizeof *v == sizeof columns / sizeof *columns, "a value each");
    fields_row(&t->fields, v);
}

/* What it would cost if single gains multiplied: a prediction, beside the row of all. */
static void add_product(struct table *t, double product) {
    double share = 1 / product;
    struct value v[COLUMNS] = {
        {.text = "product of each alone"}, {.number = product}, {.number = NAN},
        {.number = t->none.device_s * share}, {.number = t->none.usd * share}, {.number = NAN},
        {.number = NAN}, {.number = NAN}, {.number = NAN}, {.count = t->all.batch}, {.text = NULL},
        {.text = NULL}, {.number = NAN}, {.text = t->d->device->name}};
    fields_row(&t->fields, v);
}

static void say(const struct table *t, double product) {
    double all = t->none.device_s / t->all.device_s;
    double off = product / all;
    if (t->o->common.quiet)
        return;
    if (off < NEAR && off > 1 / NEAR)
        warn("gains multiply here: %.4g of each alone, multiplied, and %.4g of all together",
             product, all);
    else
        warn("gains do not multiply here: %.4g of each alone, multiplied, but %.4g of all "
             "together, %s by a factor of %.3g", product, all, off > 1 ? "less" : "more",
             off > 1 ? off : 1 / off);
}

/* Logarithms: gains of two and of a thousand are both seen, and where gains multiply, bars add. */
static void draw(const struct table *t) {
    const char *name[TECHNIQUES];
    double x[TECHNIQUES];
    double alone[TECHNIQUES];
    double last[TECHNIQUES];
    for (int i = 0; i < t->n; i++) {
        name[i] = names[t->chosen[i]];
        x[i] = i;
        alone[i] = log2(t->gain[i]);
        last[i] = log2(t->last[i]);
    }
    const struct plot_series s[] = {{"alone", x, alone, (size_t)t->n},
                                    {"beside all others", x, last, (size_t)t->n}};
    plot_lines(t->o->plot, &(struct plot_labels){.title = "What each technique saves",
                                                 .y = "how often it halves the device's time",
                                                 .style = PLOT_BARS, .x_names = name}, s, 2);
}

void estimate_techniques(const struct estimate_options *o, const struct cost_device *d,
                         double price) {
    struct table t = {.o = o, .d = d, .price = price};
    unsigned all = 0;
    double product = 1;
    choose(&t);
    for (int i = 0; i < t.n; i++)
        all |= bit(t.chosen[i]);
    t.none = estimate_set(&t, 0);
    t.all = estimate_set(&t, all);
    fields_open(&t.fields, columns, COLUMNS, &o->common);
    add_row(&t, "none", &t.none, NAN);
    for (int i = 0; i < t.n; i++) {
        struct estimate e = estimate_set(&t, bit(t.chosen[i]));
        t.gain[i] = t.none.device_s / e.device_s;
        product *= t.gain[i];
        add_row(&t, names[t.chosen[i]], &e, t.gain[i]);
    }
    add_row(&t, "all", &t.all, NAN);
    for (int i = 0; i < t.n; i++) {
        struct estimate e = estimate_set(&t, all & ~bit(t.chosen[i]));
        t.last[i] = e.device_s / t.all.device_s;
        char *name = mem_printf("all but %s", names[t.chosen[i]]);
        add_row(&t, name, &e, t.last[i]);
        free(name);
    }
    add_product(&t, product);
    fields_close(&t.fields);
    say(&t, product);
    if (t.n)
        draw(&t);
}
