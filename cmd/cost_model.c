/* cost_model.c - llm-cost model: FLOPs and bytes of a shape, however it is served
 *
 * A row for each combination of what the lists say; the arithmetic is lib/cost/work.h's.
 */
#include "cmd/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cost/work.h"

#define SHAPES_MOST 64
#define TOKENS_MOST ((int64_t)1 << 40)

enum {
    OPT_CONTEXT = OPT_VERB, OPT_BATCH, OPT_CACHED, OPT_DRAFT, OPT_ACCEPT, OPT_DRAFT_SHAPE
};

static const char *const usage[] = {
    "usage: llm-cost model [OPTION]...\n"
    "What a model computes, reads and keeps: FLOPs and bytes of a token, of a prompt and of a\n"
    "decode step. A row for each combination of the values in LISTs (1,8,64).\n\n"
    "Model\n"
    "      --shape SHAPE      a known model (llama-3.1-8b, deepseek-v3, ...), GGUF, config.json\n"
    "                         or its folder, run trace, or numbers: layers=32,d_model=4096,\n"
    "                         heads=32,kv_heads=8,d_ff=14336; repeat for more (default: every\n"
    "                         known model)\n"
    "      --kv-type LIST     f32, f16, bf16, fp8, q8_0, q4_0, or bits of an element (default\n"
    "                         f16)\n"
    "      --weight-type LIST bits of a weight, or f32, bf16, fp8, q8_0, q6_k, q5_k, q4_k,\n"
    "                         q4_0, mxfp4, q3_k, q2_k (default: as stored)\n"
    "Serving\n"
    "      --context LIST     tokens: of the prompt, and behind a decode step (default 4096)\n"
    "      --batch LIST       sequences of a decode step (default 1)\n"
    "      --cached LIST      tokens at the front of the prompt that are cached (default 0)\n"
    "      --draft LIST       tokens guessed in a speculative step (default 0: none)\n"
    "      --accept P         chance that a guess is taken, given those before it (default 80%)\n"
    "      --draft-shape SHAPE\n"
    "                         the model that guesses (default: guessing costs nothing)\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n"
    "Examples\n"
    "  llm-cost model --shape mixtral-8x7b --context 32768 --json\n"
    "  llm-cost model --shape llama-3-8b --shape deepseek-v3 --context 1Ki,32Ki --batch 1,64\n"
    "  llm-cost model --shape llama-3.1-70b --draft 0,4,8 --draft-shape llama-3.1-8b\n",
    NULL};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG, COST_MODEL_LONG,
    {"context", required_argument, NULL, OPT_CONTEXT},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"cached", required_argument, NULL, OPT_CACHED},
    {"draft", required_argument, NULL, OPT_DRAFT},
    {"accept", required_argument, NULL, OPT_ACCEPT},
    {"draft-shape", required_argument, NULL, OPT_DRAFT_SHAPE},
    {NULL, 0, NULL, 0}};

/* What has lists, the last of them changing fastest from row to row. */
enum axis { AXIS_WEIGHTS, AXIS_KV, AXIS_DRAFT, AXIS_CACHED, AXIS_BATCH, AXIS_CONTEXT, AXES };

struct list {
    double *value;
    int n;
};

struct options {
    struct common common;
    struct shape *shape[SHAPES_MOST];
    int shapes;
    struct list list[AXES];
    double accept;
    struct cost_shape draft;
};

/* ---- options ------------------------------------------------------------------------------ */

static void add_shape(struct options *o, const char *spec) {
    struct cost_shape one = COST_SHAPE;
    if (o->shapes == SHAPES_MOST)
        usage_die("--shape: expected at most %d of them", SHAPES_MOST);
    cost_shape_option(OPT_SHAPE, spec, &one);
    o->shape[o->shapes++] = one.shape;
}

static double type_bits(int c, const char *word) {
    struct cost_shape one = COST_SHAPE;
    cost_shape_option(c, word, &one);
    return c == OPT_KV_TYPE ? one.kv_bits : one.weight_bits;
}

static double list_value(int c, const char *word) {
    switch (c) {
    case OPT_CONTEXT: return (double)arg_size("--context", word, 1, TOKENS_MOST);
    case OPT_BATCH: return (double)arg_size("--batch", word, 1, 1 << 20);
    case OPT_CACHED: return (double)arg_size("--cached", word, 0, TOKENS_MOST);
    case OPT_DRAFT: return (double)arg_size("--draft", word, 0, WORK_DRAFT_MOST);
    default: return type_bits(c, word);
    }
}

static void set_list(struct options *o, enum axis axis, int c, const char *arg) {
    struct list *l = &o->list[axis];
    char *text = mem_strdup(arg);
    char **part = arg_list(text, &l->n);
    free(l->value);
    l->value = mem_array((size_t)l->n, sizeof *l->value);
    for (int i = 0; i < l->n; i++)
        l->value[i] = list_value(c, part[i]);
    free(part);
    free(text);
}

static void set_default(struct options *o, enum axis axis, double value) {
    struct list *l = &o->list[axis];
    if (l->n)
        return;
    l->value = mem_array(1, sizeof *l->value);
    l->value[0] = value;
    l->n = 1;
}

static void take_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case OPT_SHAPE: add_shape(o, arg); break;
    case OPT_WEIGHT_TYPE: set_list(o, AXIS_WEIGHTS, c, arg); break;
    case OPT_KV_TYPE: set_list(o, AXIS_KV, c, arg); break;
    case OPT_CONTEXT: set_list(o, AXIS_CONTEXT, c, arg); break;
    case OPT_BATCH: set_list(o, AXIS_BATCH, c, arg); break;
    case OPT_CACHED: set_list(o, AXIS_CACHED, c, arg); break;
    case OPT_DRAFT: set_list(o, AXIS_DRAFT, c, arg); break;
    case OPT_ACCEPT: o->accept = arg_share("--accept", arg, 0, 1); break;
    case OPT_DRAFT_SHAPE: cost_shape_option(OPT_SHAPE, arg, &o->draft); break;
    default: break;
    }
}

static double extreme(const struct list *l, int most) {
    double x = l->value[0];
    for (int i = 1; i < l->n; i++)
        x = most ? fmax(x, l->value[i]) : fmin(x, l->value[i]);
    return x;
}

static void parse(struct options *o, int argc, char **argv) {
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected options alone; a file goes behind --shape", argv[optind]);
    if (!o->shapes)
        for (const char *const *name = shape_names(); *name && o->shapes < SHAPES_MOST; name++)
            add_shape(o, *name);
    set_default(o, AXIS_WEIGHTS, 0);
    set_default(o, AXIS_KV, 16);
    set_default(o, AXIS_CONTEXT, 4096);
    set_default(o, AXIS_BATCH, 1);
    set_default(o, AXIS_CACHED, 0);
    set_default(o, AXIS_DRAFT, 0);
    double cached = extreme(&o->list[AXIS_CACHED], 1);
    double context = extreme(&o->list[AXIS_CONTEXT], 0);
    if (cached >= context)
        usage_die("--cached: expected fewer than the context's %.0f tokens, found %.0f", context,
                  cached);
    if (o->draft.shape && extreme(&o->list[AXIS_DRAFT], 1) == 0)
        usage_die("--draft-shape: expected --draft with how many tokens it guesses");
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"model", FIELD_TEXT, 0}, {"arch", FIELD_TEXT, 1}, {"quant", FIELD_TEXT, 1},
    {"source", FIELD_TEXT, 1}, {"published", FIELD_TEXT, 1},
    {"layers", FIELD_COUNT, 1}, {"model_context", FIELD_COUNT, 1},
    {"context", FIELD_COUNT, 0}, {"batch", FIELD_COUNT, 0}, {"cached", FIELD_COUNT, 1},
    {"draft", FIELD_COUNT, 1}, {"accept", 4, 1}, {"weight_bits", 3, 1}, {"kv_bits", 3, 1},
    {"params", FIELD_WHOLE, 0}, {"params_active", FIELD_WHOLE, 0},
    {"params_active_lookup", FIELD_WHOLE, 1}, {"params_active_body", FIELD_WHOLE, 1},
    {"params_embedding", FIELD_WHOLE, 1}, {"params_touched", FIELD_WHOLE, 1},
    {"flops_token", FIELD_WHOLE, 0}, {"linear_flops_token", FIELD_WHOLE, 1},
    {"attention_share", 4, 1}, {"crossover_context", FIELD_WHOLE, 1},
    {"flops_prefill", FIELD_WHOLE, 1}, {"flops_prefill_token", FIELD_WHOLE, 1},
    {"flops_cached", FIELD_WHOLE, 1},
    {"kv_token_bytes", FIELD_WHOLE, 0}, {"kv_sequence_bytes", FIELD_WHOLE, 0},
    {"kv_batch_bytes", FIELD_WHOLE, 1}, {"weight_bytes", FIELD_WHOLE, 1},
    {"weight_read_bytes", FIELD_WHOLE, 0}, {"kv_read_bytes", FIELD_WHOLE, 1},
    {"step_flops", FIELD_WHOLE, 1}, {"step_bytes", FIELD_WHOLE, 1}, {"step_tokens", 4, 1},
    {"token_bytes", FIELD_WHOLE, 1}, {"prefill_bytes", FIELD_WHOLE, 1},
    {"experts", FIELD_COUNT, 1}, {"top_k", FIELD_COUNT, 1}, {"experts_touched", 2, 1},
    {"intensity", 3, 0}, {"prefill_intensity", 3, 1}};

#define COLUMNS ((int)(sizeof columns / sizeof *columns))

/* Means over the layers that have experts, and parameters: those of the experts that a step
 * touches in place of those that a token chooses. */
struct mixture {
    int layers, experts, top_k;         /* of the first such layer */
    double touched;
    double params;              /* that a step touches beyond one token's */
};

static struct mixture read_mixture(const struct work_model *m) {
    const struct shape *s = m->shape;
    struct mixture x = {0};
    double rows = (double)(m->batch * (m->draft + 1));
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        if (!l->experts)
            continue;
        double touched = work_experts(m, i, rows);
        if (!x.layers++) {
            x.experts = l->experts;
            x.top_k = l->top_k;
        }
        x.touched += touched;
        x.params += (touched - l->top_k) * 3.0 * l->d_expert * s->d_model;
    }
    x.touched = x.layers ? x.touched / x.layers : NAN;
    return x;
}

/* A row's reads are a step's but for what speculation reads of the draft model's. */
static void put_row(struct fields *f, const struct work_model *m, int64_t context,
                    int64_t cached) {
    const struct shape *s = m->shape;
    const char *date;
    const char *source = shape_source(s->name, &date);
    struct work step;
    struct work prefill;
    struct work whole;
    work_decode(m, context, &step);
    work_prefill(m, cached, context, &prefill);
    work_prefill(m, 0, cached, &whole);
    struct mixture x = read_mixture(m);
    double embed = (double)s->vocab * s->d_model;
    double active = (double)s->params_active;
    double prefill_flops = work_flops(&prefill);
    int64_t crossover = work_crossover(m);
    double bits = m->weight_bits > 0 ? m->weight_bits
                                     : 8 * (double)s->weight_bytes / (double)s->params;
    const struct value v[] = {
        {.text = s->name}, {.text = s->arch}, {.text = s->quant},
        {.text = source}, {.text = source ? date : NULL},
        {.count = s->layers}, {.count = s->context},
        {.count = context}, {.count = m->batch}, {.count = cached},
        {.count = m->draft}, {.number = m->draft ? m->accept : NAN}, {.number = bits},
        {.number = m->kv_bits},
        {.number = (double)s->params}, {.number = active},
        {.number = active + (s->tied ? 0 : embed)}, {.number = active - embed},
        {.number = s->tied ? embed : 2 * embed}, {.number = active + x.params},
        {.number = work_flops(&step) / step.tokens}, {.number = 2 * active},
        {.number = step.score_flops / work_flops(&step)},
        {.number = crossover < 0 ? NAN : (double)crossover},
        {.number = prefill_flops}, {.number = prefill_flops / prefill.tokens},
        {.number = work_flops(&whole) - whole.flops.head},
        {.number = shape_kv_bytes(s, m->kv_bits)}, {.number = work_kv_bytes(m, context)},
        {.number = (double)m->batch * work_kv_bytes(m, context)},
        {.number = work_weight_bytes(m)},
        {.number = step.bytes.dense + step.bytes.experts}, {.number = step.bytes.kv_read},
        {.number = work_flops(&step)}, {.number = work_bytes(&step)},
        {.number = step.tokens / (double)m->batch},
        {.number = work_bytes(&step) / step.tokens}, {.number = work_bytes(&prefill)},
        {.count = x.experts}, {.count = x.top_k}, {.number = x.touched},
        {.number = work_flops(&step) / work_bytes(&step)},
        {.number = prefill_flops / work_bytes(&prefill)}};
    _Static_assert(sizeof v / sizeof *v == sizeof columns / sizeof *columns, "a value each");
    fields_row(f, v);
}

static void put_shape(struct fields *f, const struct options *o, const struct shape *s) {
    int at[AXES] = {0};
    int axis = AXES;
    while (axis >= 0) {
        double v[AXES];
        for (int i = 0; i < AXES; i++)
            v[i] = o->list[i].value[at[i]];
        const struct work_model m = {
            .shape = s, .weight_bits = v[AXIS_WEIGHTS], .kv_bits = v[AXIS_KV],
            .batch = (int64_t)v[AXIS_BATCH], .draft = (int)v[AXIS_DRAFT], .accept = o->accept,
            .draft_shape = o->draft.shape};
        put_row(f, &m, (int64_t)v[AXIS_CONTEXT], (int64_t)v[AXIS_CACHED]);
        for (axis = AXES - 1; axis >= 0 && ++at[axis] == o->list[axis].n; axis--)
            at[axis] = 0;
    }
}

/* ---- the verb ----------------------------------------------------------------------------- */

/* A shape without parameters or bytes, as a trace of another program may have it. */
static void check_shape(const struct shape *s) {
    if (s->params <= 0 || s->params_active <= 0 || s->weight_bytes <= 0)
        die("%s: expected the parameters and the bytes of its weights, found none", s->name);
}

static void warn_context(const struct options *o) {
    double most = extreme(&o->list[AXIS_CONTEXT], 1);
    const struct shape *least = NULL;
    int short_of_it = 0;
    for (int i = 0; i < o->shapes; i++) {
        const struct shape *s = o->shape[i];
        if (!s->context || most <= s->context)
            continue;
        short_of_it++;
        if (!least || s->context < least->context)
            least = s;
    }
    if (!least || o->common.quiet)
        return;
    if (short_of_it == 1)
        warn("%s is made for a context of %d tokens, not %.0f", least->name, least->context, most);
    else
        warn("%d of %d models are made for a shorter context than %.0f tokens, %s for one of %d",
             short_of_it, o->shapes, most, least->name, least->context);
}

int cost_model(int argc, char **argv) {
    struct options o = {.accept = .8, .draft = COST_SHAPE};
    struct fields f;
    parse(&o, argc, argv);
    for (int i = 0; i < o.shapes; i++)
        check_shape(o.shape[i]);
    warn_context(&o);
    fields_open(&f, columns, COLUMNS, &o.common);
    for (int i = 0; i < o.shapes; i++)
        put_shape(&f, &o, o.shape[i]);
    fields_close(&f);
    for (int i = 0; i < o.shapes; i++)
        shape_free(o.shape[i]);
    for (int i = 0; i < AXES; i++)
        free(o.list[i].value);
    shape_free(o.draft.shape);
    return EXIT_DONE;
}
