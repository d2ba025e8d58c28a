/* quant_convert.c - llm-quant convert: a model to a GGUF file of other types
 *
 * What each tensor becomes is decided first, for all of them (quant_convert_choose.c); --dry-run
 * ends there. Then lib/quant/convert.h writes the file.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "cmd/quant_convert.h"
#include "lib/quant/convert.h"
#include "lib/quant/hf.h"

enum {
    OPT_TYPE = OPT_VERB, OPT_RECIPE, OPT_TENSOR, OPT_OUTPUT_TYPE, OPT_EMBEDDING_TYPE, OPT_PURE,
    OPT_IMATRIX, OPT_REQUANTIZE, OPT_PRE, OPT_DRY_RUN, OPT_TARGET, OPT_TYPES
};

static const char *const usage[] = {
    "usage: llm-quant convert [OPTION]... INPUT OUTPUT\n"
    "       llm-quant convert --dry-run [OPTION]... INPUT\n"
    "Writes a model (GGUF, split or not, or a folder of transformers) as one GGUF file.\n\n"
    "Types\n"
    "      --type NAME        a mix, as llama-quantize makes it: q2_k q2_k_s q3_k_s q3_k_m q3_k_l\n"
    "                         q4_0 q4_1 q4_k_s q4_k_m q5_0 q5_1 q5_k_s q5_k_m q6_k q8_0 iq4_nl\n"
    "                         iq4_xs mxfp4_moe tq2_0 f16 bf16 f32; q3_k, q4_k, q5_k: their _m\n"
    "                         (default: what is not named below keeps its type)\n"
    "      --target SIZE      types for a size, so that predictions change least: bits per weight\n"
    "                         (4.2bpw) or bytes of the file (500M); best with --imatrix of\n"
    "                         llm-quant imatrix --sensitivity\n"
    "      --types LIST       types that --target may take (default: q2_k to q8_0, iq4_xs,\n"
    "                         iq4_nl)\n"
    "      --pure             one type for all weights, no rules of the mix\n"
    "      --tensor GLOB=TYPE type of tensors of these names, as in llm-recipe(5); repeat for\n"
    "                         more, the first match wins\n"
    "      --recipe FILE      lines \"GLOB = TYPE\", after those of --tensor; llm-recipe(5)\n"
    "      --output-type TYPE     type of output.weight\n"
    "      --embedding-type TYPE  type of token_embd.weight\n"
    "      --allow-requantize make quantized tensors of quantized ones: their errors add up\n"
    "      --pre NAME         of a folder: tokenizer.ggml.pre, where tokenizer.json tells none\n"
    "                         that is known (llama-bpe, qwen2, gpt-2, ...)\n"
    "      --imatrix FILE     importance of columns, of llm-quant imatrix or llama-imatrix\n"
    "Report\n"
    "      --dry-run          write nothing, print what each tensor becomes, and why\n",
    FIELDS_USAGE,
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "      --cpu NAME         instruction set: ref, avx2, avx512 (default: the best)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant convert --type q4_k_m in.gguf out.gguf\n"
    "  llm-quant convert --type q4_k_m --tensor 'blk.0.*=q8_0' --imatrix i.gguf in.gguf out.gguf\n"
    "  llm-quant convert --target 4.2bpw --imatrix i.gguf in.gguf out.gguf\n"
    "  llm-quant convert --dry-run --type q3_k_m in.gguf\n",
    NULL};

/* ---- options ---------------------------------------------------------------------------- */

static const struct ftype *find_mix(const char *name) {
    const struct ftype *f = ftype_find(name);
    if (f)
        return f;
    struct buf known = {0};
    for (f = ftype_all(); f->name; f++)
        buf_printf(&known, " %s", f->name);
    usage_die("--type: '%s' is none of%s", name, known.data);
}

static int find_type(const char *option, const char *name) {
    int type = ftype_type(name);
    if (type < 0)
        usage_die("%s: '%s' is no type of tensors, such as q6_k or f16", option, name);
    return type;
}

static void parse_option(struct convert_options *o, int c, const char **recipe) {
    struct err e;
    switch (c) {
    case OPT_TYPE: o->mix = find_mix(optarg); break;
    case OPT_RECIPE: common_take_stdin(optarg); *recipe = optarg; break;
    case OPT_TENSOR:
        if (recipe_add(o->recipe, optarg, &e))
            usage_die("%s", e.text);
        break;
    case OPT_OUTPUT_TYPE: o->output = find_type("--output-type", optarg); break;
    case OPT_EMBEDDING_TYPE: o->embedding = find_type("--embedding-type", optarg); break;
    case OPT_PURE: o->pure = 1; break;
    case OPT_IMATRIX: common_take_stdin(optarg); o->imatrix = optarg; break;
    case OPT_REQUANTIZE: o->requantize = 1; break;
    case OPT_PRE: o->pre = optarg; break;
    case OPT_DRY_RUN: o->dry_run = 1; break;
    case OPT_TARGET: o->target = optarg; break;
    case OPT_TYPES: o->types = optarg; break;
    }
}

static void parse_operands(struct convert_options *o, int argc, char **argv) {
    int n = argc - optind;
    if (n < 1 || n > 2 || (n == 1 && !o->dry_run))
        usage_die("expected INPUT and OUTPUT%s", n < 2 ? "; --dry-run needs no OUTPUT" : "");
    o->in = argv[optind];
    o->out = n == 2 ? argv[optind + 1] : NULL;
    if (o->target && o->mix)
        usage_die("--target and --type: both say what the tensors become");
    if (o->types && !o->target)
        usage_die("--types: the types are candidates of --target");
    if (o->pure && !o->mix)
        usage_die("--pure: the one type for all is that of --type");
    if (!o->dry_run && !strcmp(o->out, "-") && isatty(STDOUT_FILENO))
        usage_die("a model is not written to a terminal");
}

static void parse(struct convert_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, {"type", required_argument, NULL, OPT_TYPE},
        {"recipe", required_argument, NULL, OPT_RECIPE},
        {"tensor", required_argument, NULL, OPT_TENSOR},
        {"output-type", required_argument, NULL, OPT_OUTPUT_TYPE},
        {"embedding-type", required_argument, NULL, OPT_EMBEDDING_TYPE},
        {"pure", no_argument, NULL, OPT_PURE}, {"imatrix", required_argument, NULL, OPT_IMATRIX},
        {"allow-requantize", no_argument, NULL, OPT_REQUANTIZE},
        {"pre", required_argument, NULL, OPT_PRE}, {"dry-run", no_argument, NULL, OPT_DRY_RUN},
        {"target", required_argument, NULL, OPT_TARGET},
        {"types", required_argument, NULL, OPT_TYPES}, {0}};
    const char *recipe = NULL;
    struct err e;
    for (int c; (c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1;)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common))
            parse_option(o, c, &recipe);
    if (recipe && recipe_read(o->recipe, recipe, &e))
        die_err(&e);
    parse_operands(o, argc, argv);
}

/* ---- conversion ------------------------------------------------------------------------- */

/* Where the importance came from, under llama-quantize's keys. */
void convert_put_keys(void *arg, struct gguf_writer *w) {
    static const char *const names[] = {"quantize.imatrix.file", "quantize.imatrix.dataset",
                                        "quantize.imatrix.entries_count",
                                        "quantize.imatrix.chunks_count"};
    const struct convert_keys *k = arg;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        gguf_drop_key(w, names[i]);
    gguf_put_str(w, names[0], k->o->imatrix);
    if (k->imatrix->datasets)
        gguf_put_str(w, names[1], k->imatrix->dataset[0]);
    gguf_put_int(w, names[2], GGUF_U32, k->imatrix->n);
    if (k->imatrix->chunks > 0 && k->imatrix->chunks <= UINT32_MAX)
        gguf_put_int(w, names[3], GGUF_U32, k->imatrix->chunks);
}

static void write_model(const struct convert_options *o, const struct convert_plan *p) {
    const struct source *s = p->source;
    struct convert_keys keys = {o, p->imatrix};
    struct progress bar;
    struct err e;
    int *type = mem_array((size_t)s->tensors, sizeof *type);
    for (uint64_t i = 0; i < s->tensors; i++)
        type[i] = p->choice[i].type;
    const struct convert c = {
        .source = p->source, .type = type, .file_type = p->file_type, .imatrix = p->imatrix,
        .kern = quant_kernels(&o->common), .par = par_new(o->common.threads), .order = p->order,
        .keys = p->imatrix ? convert_put_keys : NULL, .keys_arg = &keys,
        .progress = progress_show, .arg = &bar};
    progress_start(&bar, "converting", PROGRESS_BYTES, o->common.quiet);
    int rc = convert_run(&c, o->out, &e);
    progress_end(&bar);
    par_free(c.par);
    free(type);
    if (rc)
        die_err(&e);
}

/* Entries get the shapes of the tensors: legacy files and old models tell experts otherwise. */
static void read_importance(const struct convert_options *o, struct convert_plan *p) {
    struct err e;
    if (!o->imatrix)
        return;
    p->imatrix = imatrix_read(o->imatrix, &e);
    if (!p->imatrix)
        die_err(&e);
    for (uint64_t i = 0; i < p->source->tensors; i++) {
        const struct source_tensor *t = &p->source->tensor[i];
        imatrix_fit(p->imatrix, t->name, t->ne[0], t->ne[2] * t->ne[3]);
    }
}

static void run(const struct convert_options *o) {
    struct convert_plan p = {.file_type = -1};
    struct err e;
    p.source = o->pre ? hf_open(o->in, &(struct hf_options){.pre = o->pre}, &e)
                      : source_open(o->in, &e);
    if (!p.source)
        die_err(&e);
    read_importance(o, &p);
    p.order = mem_array((size_t)p.source->tensors, sizeof *p.order);
    ftype_order(p.source, p.order);
    convert_choose(o, &p);
    convert_check(o, &p);
    if (o->dry_run)
        convert_report(o, &p);
    else
        write_model(o, &p);
    free(p.order);
    free(p.choice);
    imatrix_free(p.imatrix);
    source_close(p.source);
}

int quant_convert(int argc, char **argv) {
    struct convert_options o = {.output = -1, .embedding = -1, .recipe = recipe_new()};
    parse(&o, argc, argv);
    run(&o);
    recipe_free(o.recipe);
    return EXIT_DONE;
}
