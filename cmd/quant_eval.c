/* quant_eval.c - llm-quant eval: what quantization did to a model's predictions
 *
 * The base and the files made from it run over the same text side by side (lib/quant/lockstep.h);
 * what comes out are perplexities, the divergence of the predictions, how often the first choice is
 * the same, and of mixtures of experts how often the same experts are chosen.
 */
#include "cmd/quant_eval.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/plot.h"
#include "lib/base/outfile.h"

enum {
    OPT_BASE = OPT_VERB, OPT_KL_BASE, OPT_SAVE_KL, OPT_LAYERS, OPT_TENSORS, OPT_IMATRIX, OPT_PLOT,
    OPT_CHECK, OPT_UNIT, OPT_LEVEL, OPT_SEED, OPT_RESAMPLES, OPT_KV_TYPE, OPT_NO_PACK
};

static const char *const usage[] = {
    "usage: llm-quant eval --base BASE --text FILE [OPTION]... MODEL...\n"
    "Says what quantization did to a model's predictions; a row for each MODEL.\n\n"
    "Input\n"
    "      --base BASE        GGUF that the others were made from\n"
    "  -f, --text FILE        text to predict; - is stdin\n"
    "      --kl-base FILE     in place of --base and --text: log-probabilities that --save-kl or\n"
    "                         llama-perplexity --save-all-logits wrote\n"
    "      --save-kl FILE     write those of the base; MODELs may then be left out\n"
    "      --imatrix FILE     importance, by which errors of weights are weighted\n"
    QUANT_TEXT_USAGE
    "Report\n"
    "      --layers[=FILE]    how far the choice of experts agrees, layer by layer, into FILE;\n"
    "                         without it in place of the table of models\n"
    "      --tensors[=FILE]   errors of each tensor, likewise; needs no text\n"
    "      --plot FILE        sizes and divergences as .svg or .png, with the Pareto front\n"
    "      --check LIST       exit 3 unless all hold for every MODEL: kl_mean<0.05,top1_agree>0.9\n"
    "      --unit UNIT        what errors take as one sample: chunk, or token, as\n"
    "                         llama-perplexity does (default chunk)\n"
    "      --level SHARE      of intervals (default 95%)\n"
    "      --resamples N      of the bootstrap (default 10000)\n"
    "      --seed N           of the bootstrap (default 1)\n",
    FIELDS_USAGE
    "Engine\n"
    "  -b, --batch N          most tokens in one pass of a model (default 512)\n"
    "      --kv-type TYPE     KV cache: f16, f32 or q8_0 (default f16)\n"
    "      --no-pack          use the files' own layout: slower, for files larger than memory\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "      --cpu NAME         kernels: ref, avx2 or avx512 (default: LLM_CPU or the best)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant eval --base in.gguf --text valid.txt q8.gguf q4.gguf\n"
    "  llm-quant eval --base in.gguf --text valid.txt --layers --check 'kl_mean<0.05' q4.gguf\n"
    "  llm-quant eval --base in.gguf --tensors q4.gguf\n",
    NULL};

static void set_report(struct eval_options *o, int c, const char *arg) {
    static const char *const units[] = {"chunk", "token", NULL};
    switch (c) {
    case OPT_LAYERS:
        o->layers = 1;
        o->layers_file = arg;
        break;
    case OPT_TENSORS:
        o->tensors = 1;
        o->tensors_file = arg;
        break;
    case OPT_UNIT: o->unit = (enum fidelity_unit)arg_choice("--unit", arg, units); break;
    case OPT_LEVEL: o->boot.level = arg_level(arg); break;
    case OPT_SEED: o->boot.seed = arg_seed(arg); break;
    case OPT_RESAMPLES:
        o->boot.resamples = (int)arg_int("--resamples", arg, 100, 10000000);
        break;
    case OPT_PLOT: o->plot = plot_check(arg); break;
    }
}

static void set_option(struct eval_options *o, int c, char *arg) {
    static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};
    static const int kv_types[] = {KERN_F16, KERN_F32, KERN_Q8_0};
    switch (c) {
    case OPT_BASE: o->base = arg; break;
    case 'f': o->text.path = arg; break;
    case OPT_KL_BASE: o->kl_base = arg; break;
    case OPT_SAVE_KL: o->save_kl = arg; break;
    case OPT_IMATRIX: o->imatrix = arg; break;
    case OPT_CHECK: o->check = arg; break;
    case 'b': o->batch = (int)arg_int("--batch", arg, 1, 1 << 20); break;
    case OPT_KV_TYPE: o->kv_type = kv_types[arg_choice("--kv-type", arg, kv_names)]; break;
    case OPT_NO_PACK: o->no_pack = 1; break;
    default: set_report(o, c, arg);
    }
}

/* What does not go together is said before models load. */
static void check_options(const struct eval_options *o) {
    if (!o->base == !o->kl_base)
        usage_die(o->base ? "--base and --kl-base: one of them, not both"
                          : "no --base, the model that the others were made from (or --kl-base)");
    if (o->kl_base && (o->text.path || o->text.tokens || o->save_kl))
        usage_die("--kl-base: it has text and chunks of its own: no --text, -c or --save-kl");
    if (o->kl_base && (o->tensors || o->imatrix || o->layers))
        usage_die("--tensors, --imatrix and --layers need --base in place of --kl-base");
    if (o->base && !o->text.path && !o->tensors)
        usage_die("no --text to predict");
    if (!o->text.path && (o->layers || o->save_kl || o->plot || o->check) && !o->kl_base)
        usage_die("%s: needs --text", o->layers ? "--layers" : o->save_kl ? "--save-kl"
                                      : o->plot ? "--plot" : "--check");
    if (!o->files && !o->save_kl)
        usage_die("no MODEL to compare with the base");
    if (o->layers && o->tensors && !o->layers_file && !o->tensors_file)
        usage_die("--layers and --tensors: only one can take the place of the table; give "
                  "--tensors=FILE");
}

static int same_file(const char *a, const char *b) {
    struct stat s, t;
    return a && b && !stat(a, &s) && !stat(b, &t) && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

/* 1: path is a file of a model. What cannot be opened is told elsewhere. */
static int is_part(const char *model, const char *path) {
    struct err err;
    struct source *s = model ? source_open(model, &err) : NULL;
    int is = s && source_reads(s, path);
    source_close(s);
    return is;
}

/* A file that is read must not be written over; that it can be written is known before the long
 * work. Pipes and devices are what they are. */
static void check_output(const struct eval_options *o, const char *path) {
    const char *const inputs[] = {o->text.path, o->kl_base, o->imatrix};
    struct stat st;
    struct err err;
    int read = is_part(o->base, path);
    if (!strcmp(path, "-") || (!stat(path, &st) && !S_ISREG(st.st_mode)))
        return;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        read |= same_file(path, inputs[i]);
    for (int i = 0; i < o->files; i++)
        read |= is_part(o->file[i], path);
    if (read)
        die("%s: this is read: name another file to write to", path);
    struct outfile *f = outfile_open(path, &err);
    if (!f)
        die_err(&err);
    outfile_abort(f);
}

static void check_outputs(const struct eval_options *o) {
    const char *const outputs[] = {o->save_kl, o->layers_file, o->tensors_file, o->plot};
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        for (size_t k = 0; k < i; k++)
            if (outputs[i] && outputs[k] && !strcmp(outputs[i], outputs[k]))
                usage_die("%s: two outputs to one file", outputs[i]);
        if (outputs[i])
            check_output(o, outputs[i]);
    }
}

static void parse(struct eval_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, QUANT_TEXT_LONG,
        {"base", required_argument, NULL, OPT_BASE},
        {"text", required_argument, NULL, 'f'},
        {"kl-base", required_argument, NULL, OPT_KL_BASE},
        {"save-kl", required_argument, NULL, OPT_SAVE_KL},
        {"imatrix", required_argument, NULL, OPT_IMATRIX},
        {"layers", optional_argument, NULL, OPT_LAYERS},
        {"tensors", optional_argument, NULL, OPT_TENSORS},
        {"plot", required_argument, NULL, OPT_PLOT},
        {"check", required_argument, NULL, OPT_CHECK},
        {"unit", required_argument, NULL, OPT_UNIT},
        {"level", required_argument, NULL, OPT_LEVEL},
        {"resamples", required_argument, NULL, OPT_RESAMPLES},
        {"seed", required_argument, NULL, OPT_SEED},
        {"batch", required_argument, NULL, 'b'},
        {"kv-type", required_argument, NULL, OPT_KV_TYPE},
        {"no-pack", no_argument, NULL, OPT_NO_PACK},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "f:b:" QUANT_TEXT_SHORT COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) &&
            !fields_option(c, optarg, &o->common) && !quant_text_option(c, optarg, &o->text))
            set_option(o, c, optarg);
    o->file = argv + optind;
    o->files = argc - optind;
    check_options(o);
    check_outputs(o);
}

/* What is not a number is said once; nothing can be concluded then. */
static int warn_broken(const struct eval_options *o, const struct eval_file *f) {
    int broken = 0;
    for (int i = 0; i < o->files; i++) {
        if (!f[i].run || !f[i].run->fidelity.broken)
            continue;
        warn("%s: %lld of %lld predictions are not finite numbers", f[i].path,
             (long long)f[i].run->fidelity.broken, (long long)f[i].run->fidelity.n);
        broken = 1;
    }
    return broken;
}

/* 1: tensors were asked for, and some file has none that the base has. */
static int nothing_alike(const struct eval_options *o, const struct eval_file *f) {
    int none = 0;
    for (int i = 0; i < o->files && o->tensors; i++)
        none |= !f[i].weights.tensors;
    return none;
}

static struct imatrix *read_imatrix(const struct eval_options *o) {
    struct err err;
    struct imatrix *m = o->imatrix ? imatrix_read(o->imatrix, &err) : NULL;
    if (o->imatrix && !m)
        die_err(&err);
    return m;
}

int quant_eval(int argc, char **argv) {
    struct eval_options o = {.kv_type = KERN_F16, .boot = {.level = 0.95, .seed = 1}};
    parse(&o, argc, argv);
    struct eval_check *check = o.check ? eval_check_parse(o.check) : NULL;
    struct imatrix *imatrix = read_imatrix(&o);
    struct eval_file *f = mem_array((size_t)o.files + 1, sizeof *f);
    struct lockstep_model *run = mem_array((size_t)o.files + 1, sizeof *run);
    for (int i = 0; i < o.files; i++)
        f[i] = (struct eval_file){.path = o.file[i], .bpw = -1, .run = run + i};
    if (o.text.path || o.kl_base)
        eval_text(&o, f);
    if (o.base && o.files)
        eval_weights(&o, imatrix, f);
    eval_mark_front(&o, f);
    eval_print(&o, f);
    eval_draw(&o, f);
    int status = warn_broken(&o, f) || nothing_alike(&o, f) ? EXIT_NOTHING : EXIT_DONE;
    if (check && status == EXIT_DONE)
        status = eval_check_judge(&o, check, f);
    for (int i = 0; i < o.files; i++) {
        fidelity_close(&run[i].fidelity);
        agreement_free(run[i].agreement);
        eval_weights_free(&f[i].weights);
    }
    eval_check_free(check);
    imatrix_free(imatrix);
    free(run);
    free(f);
    return status;
}
