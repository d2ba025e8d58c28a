/* run_engine.c - model, vocabulary, session and traces, and one pass through the model
 *
 * Every job that runs the model goes through engine_pass, so that traces see every pass.
 */
#include "cmd/run.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/load_model.h"
#include "cmd/model_path.h"
#include "lib/base/clock.h"
#include "lib/base/energy.h"
#include "lib/format/jsonw.h"
#include "lib/infer/kvcache.h"

#define DEFAULT_CONTEXT 4096
#define JOULES_NS 20000000

/* ---- opening ---------------------------------------------------------------------------- */

static const struct chat *find_chat(const struct options *opt, const struct gguf *g) {
    const char *const *names = chat_names();
    if (opt->chat_template)
        return chat_by_name(names[arg_choice("--chat-template", opt->chat_template, names)]);
    const struct chat *c = chat_detect(g);
    if (c)
        return c;
    struct buf list = {0};
    for (int i = 0; names[i]; i++)
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    die("%s: %s: choose one with --chat-template: %s", opt->model,
        *gguf_str(g, "tokenizer.chat_template", "") ? "its chat template is of no known family"
                                                    : "it has no chat template",
        list.data);
}

void engine_open(struct engine *e, const struct options *opt) {
    *e = (struct engine){.opt = opt, .first_pass_ns = -1};
    struct err err;
    e->kern = load_kernels(&opt->common);
    char *path = model_path(opt->model, opt->sha256, opt->common.quiet);
    e->par = par_new(opt->common.threads);
    e->model = load_model(&opt->common, path, e->par, opt->no_pack);
    e->vocab = vocab_open(e->model->gguf, &err);
    if (!e->vocab)
        die_err(&err);
    for (int32_t t = 0; opt->ignore_eos && t < vocab_size(e->vocab); t++) {
        if (vocab_is_end(e->vocab, t))
            ids_add(&e->ends, t);
    }
    if (opt->chat)
        e->chat = find_chat(opt, e->model->gguf);
    free(path);
}

/* Enough for the prompt and what is to be made, but never less than the default nor, unasked,
 * more than the model has learnt. */
static int choose_context(const struct engine *e, int asked, size_t tokens) {
    int trained = e->model->shape->context;
    if (asked > 0) {
        if (trained > 0 && asked > trained && !e->opt->common.quiet)
            warn("a context of %d is more than the %d tokens that the model was trained with",
                 asked, trained);
        return asked;
    }
    int64_t need = (int64_t)tokens + (e->opt->tokens > 0 ? e->opt->tokens : 0);
    int64_t context = need > DEFAULT_CONTEXT ? need : DEFAULT_CONTEXT;
    if (trained > 0 && context > trained)
        context = trained;
    return context > INT_MAX ? INT_MAX : (int)context;
}

/* ---- traces ----------------------------------------------------------------------------- */

static void settings_json(const struct options *opt, struct buf *b) {
    const struct sample_options *s = &opt->sample;
    jsonw_open(b, '{');
    jsonw_float_digits(b, "temperature", (double)s->temperature, 7);
    jsonw_int(b, "top_k", s->top_k);
    jsonw_float_digits(b, "top_p", (double)s->top_p, 7);
    jsonw_float_digits(b, "min_p", (double)s->min_p, 7);
    jsonw_float_digits(b, "repeat_penalty", (double)s->repeat_penalty, 7);
    jsonw_int(b, "repeat_last", s->repeat_last);
    jsonw_int(b, "max_tokens", opt->tokens);
    jsonw_bool(b, "ignore_eos", opt->ignore_eos);
    jsonw_close(b, '}');
}

static void trace_begin(struct engine *e, int context) {
    struct err err;
    char cpu[128];
    struct buf settings = {0};
    e->trace = trace_open(e->opt->trace, &err);
    if (!e->trace)
        die_err(&err);
    settings_json(e->opt, &settings);
    char *kernels = mem_printf("%s: %s", e->kern->name, e->kern->describe);
    struct trace_run run = {
        .shape = e->model->shape, .model = e->opt->model,
        .kv_type = run_kv_name(e->opt->kv_type), .kv_bits = kvcache_bits(e->opt->kv_type),
        .cpu = kernels, .host_cpu = host_cpu(cpu, sizeof(cpu)), .threads = par_threads(e->par),
        .context = context, .batch = e->batch, .parallel = e->opt->parallel,
        .seed = e->opt->sample.seed, .settings = settings.data, .version = LLMUTILS_VERSION};
    if (trace_run(e->trace, &run, &err))
        die_err(&err);
    e->energy = energy_open(NULL);
    free(kernels);
    buf_free(&settings);
}

/* The rows of each request in the pass, one entry for each run of neighbours. */
static int group_rows(struct engine *e) {
    int groups = 0;
    for (int i = 0; i < e->n; i++) {
        struct trace_step_row *last = groups ? &e->group[groups - 1] : NULL;
        if (last && last->request == e->request[i] && last->phase == e->phase[i]) {
            last->tokens++;
            continue;
        }
        e->group[groups++] = (struct trace_step_row){
            .request = e->request[i], .phase = e->phase[i], .tokens = 1,
            .position = e->row[i].pos};
    }
    return groups;
}

static int pass_phase(const struct engine *e) {
    for (int i = 1; i < e->n; i++) {
        if (e->phase[i] != e->phase[0])
            return TRACE_MIXED;
    }
    return e->phase[0];
}

/* Counters move every millisecond (RAPL) or slower, and reading them takes some microseconds: one
 * reading for each so long. NAN between them. */
static double take_joules(struct engine *e, int64_t now) {
    if (!e->energy || now - e->joules_ns < JOULES_NS)
        return NAN;
    double before = e->joules;
    e->joules = energy_joules(e->energy);
    e->joules_ns = now;
    return e->joules - before;
}

static void trace_pass(struct engine *e, int64_t start_ns) {
    const struct session_pass *p = &e->pass;
    struct trace_step step = {
        .step = e->passes, .phase = pass_phase(e), .tokens = e->n, .position = e->row[0].pos,
        .start_ns = start_ns - e->first_pass_ns, .ns = p->ns, .flops = p->flops,
        .bytes = p->bytes, .logits = p->wanted, .experts_touched = p->experts_touched,
        .experts_by_layer = p->experts_touched < 0 ? NULL : p->experts_by_layer,
        .layers = e->model->shape->layers, .rows = e->group, .n_rows = group_rows(e),
        .joules = take_joules(e, start_ns + p->ns)};
    struct err err;
    if (trace_step(e->trace, &step, &err))
        die_err(&err);
}

static void route_pass(struct engine *e) {
    for (int i = 0; i < e->n; i++) {
        e->position[i] = e->row[i].pos;
        e->token[i] = e->row[i].token;
    }
    struct routes_pass pass = {
        .n = e->n, .step = (uint32_t)e->passes, .request = e->request, .phase = e->phase,
        .position = e->position, .token = e->token, .expert = e->pass.expert,
        .weight = e->pass.weight};
    struct err err;
    if (routes_pass(e->routes, &pass, &err))
        die_err(&err);
}

/* ---- running ---------------------------------------------------------------------------- */

static void say_settings(const struct engine *e, int context) {
    const struct shape *s = e->model->shape;
    warn("%s, %s, %.1f M parameters in %s, loaded in %.2f s", s->name, s->arch,
         (double)s->params / 1e6, s->quant, (double)e->model->load_ns / 1e9);
    warn("kernels %s (%s), %d threads, context %d, KV cache %s of %.1f MB, seed %llu",
         e->kern->name, e->kern->describe, par_threads(e->par), context,
         run_kv_name(e->opt->kv_type), (double)session_kv_bytes(e->session) / 1e6,
         (unsigned long long)e->opt->sample.seed);
}

void engine_start(struct engine *e, int context, int sequences, size_t tokens) {
    const struct options *opt = e->opt;
    struct err err;
    context = choose_context(e, context, tokens);
    e->batch = opt->batch > sequences ? opt->batch : sequences;
    struct session_options how = {
        .context = context, .sequences = sequences, .batch = e->batch, .kv_type = opt->kv_type,
        .routes = opt->routes != NULL, .hidden = opt->job == JOB_EMBED};
    e->session = session_new(e->model, e->kern, e->par, &how, &err);
    if (!e->session)
        die_err(&err);
    size_t rows = (size_t)e->batch;
    e->row = mem_array(rows, sizeof(*e->row));
    e->request = mem_array(rows, sizeof(*e->request));
    e->phase = mem_array(rows, sizeof(*e->phase));
    e->group = mem_array(rows, sizeof(*e->group));
    e->position = mem_array(rows, sizeof(*e->position));
    e->token = mem_array(rows, sizeof(*e->token));
    if (opt->common.verbose)
        say_settings(e, context);
    e->born_ns = clock_ns();
    if (opt->trace)
        trace_begin(e, context);
    if (opt->routes && !(e->routes = routes_open(opt->routes, e->model->shape, &err)))
        die_err(&err);
}

int engine_add(struct engine *e, struct session_row row, uint32_t request,
               enum trace_phase phase) {
    if (e->n == e->batch)
        return 0;
    e->row[e->n] = row;
    e->request[e->n] = request;
    e->phase[e->n] = (uint8_t)phase;
    e->n++;
    return 1;
}

void engine_pass(struct engine *e) {
    struct err err;
    int64_t start = clock_ns();
    if (e->first_pass_ns < 0) {
        e->first_pass_ns = e->joules_ns = start;
        e->joules = energy_joules(e->energy);
    }
    if (session_pass(e->session, e->row, e->n, &e->pass, &err))
        die("%s: %s", e->opt->model, err.text);
    if (e->trace)
        trace_pass(e, start);
    if (e->routes)
        route_pass(e);
    e->passes++;
    e->n = 0;
}

void engine_close(struct engine *e) {
    struct err err;
    if (e->trace && trace_close(e->trace, &err))
        die_err(&err);
    if (e->routes && routes_close(e->routes, &err))
        die_err(&err);
    energy_close(e->energy);
    session_free(e->session);
    vocab_free(e->vocab);
    model_close(e->model);
    par_free(e->par);
    free(e->ends.id);
    free(e->row);
    free(e->request);
    free(e->phase);
    free(e->group);
    free(e->position);
    free(e->token);
}

/* ---- output ----------------------------------------------------------------------------- */

struct outfile *run_output(const struct options *opt) {
    struct err err;
    struct outfile *f = outfile_open(opt->output, &err);
    if (!f)
        die_err(&err);
    return f;
}

void run_output_close(struct outfile *f) {
    struct err err;
    if (outfile_close(f, &err))
        die_err(&err);
}
