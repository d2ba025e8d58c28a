/* quant_gptq.c - llm-quant gptq: weights rounded one column after another, each column's error
 * made up by the rest (lib/quant/gptq.h), calibrated on a text
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/quant_calibrated.h"
#include "cmd/quant_gptq.h"

enum {
    OPT_BITS = OPT_VERB, OPT_GROUP, OPT_SYM, OPT_ASYM, OPT_TYPE, OPT_ORDER, OPT_NO_ORDER,
    OPT_INDEX, OPT_MSE, OPT_NO_MSE, OPT_DAMP, OPT_HEAD, OPT_MEMORY, OPT_SEED
};

#define DEFAULT_MEMORY 4000000000

static const char *const usage[] = {
    "usage: llm-quant gptq -f TEXT [OPTION]... INPUT OUTPUT\n"
    "Quantizes the matrices of a model by GPTQ, calibrated on a text; prints a row for each.\n"
    "INPUT is a GGUF file, or a folder of transformers.\n\n"
    "Grid\n"
    "      --bits N           2, 3, 4 or 8 (default 4)\n"
    "      --group N          columns that share a scale: 16 times a power of 2, or -1 for a row\n"
    "                         (default 128)\n"
    "      --sym              zero in the middle of the codes (default)\n"
    "      --asym             zero anywhere\n"
    "      --type NAME        in place of these: the own grid of a GGUF block type (q4_k, iq4_nl,\n"
    "                         ...) or of the types of a mix (q4_k_m). Or f32, f16, bf16: groups\n"
    "                         as floats (default: the smallest block type that holds the groups)\n"
    "      --mse              ranges of groups by least error (default)\n"
    "      --no-mse           ranges by their extremes\n"
    "Calibration\n"
    "  -f, --file TEXT        text to calibrate on; - is stdin\n"
    "  -c, --context N        tokens of a chunk (default 512)\n"
    "      --chunks N         chunks of the text, drawn at random (default 128)\n"
    "      --seed N           of the draw (default 1)\n"
    "      --act-order        columns by falling activation, groups where they are (default)\n"
    "      --no-act-order     columns as they come\n"
    "      --g-idx            groups follow that order, too: written as floats, or with an index\n"
    "                         in folders\n"
    "      --damp X           added to the diagonal, in units of its mean (default 0.01)\n"
    "      --head             the output matrix, too\n"
    "      --memory SIZE      for second moments of experts at one time (default 4G)\n"
    "Output\n"
    "      --format FORMAT    of OUTPUT: gguf (default); of a folder gptq or compressed-tensors,\n"
    "                         too. Of the rows: table, tsv, csv, jsonl, md or sql\n"
    "  -v, --verbose          every column in a table too\n"
    "  -q, --quiet            fewer words on stderr\n"
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "      --cpu NAME         instruction set: ref, avx2, avx512 (default: the best)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant gptq --bits 4 --group 128 -f calib.txt in.gguf out.gguf\n"
    "  llm-quant gptq --type q4_k -f calib.txt in.gguf out.gguf\n"
    "  llm-quant gptq --bits 4 --group 128 --format gptq -f calib.txt hf-folder out-folder\n",
    NULL};

/* ---- options ---------------------------------------------------------------------------- */

/* One word for two things that never share one, as in llm-quant imatrix. */
static void parse_format(struct gptq_command *o, const char *arg) {
    static const char *const models[] = {"gguf", "gptq", "compressed-tensors"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(arg, models[i])) {
            o->format = models[i];
            return;
        }
    fields_option(OPT_FORMAT, arg, &o->common);
}

static void parse_option(struct gptq_command *o, int c, int *grid) {
    switch (c) {
    case 'f': o->text.path = optarg; break;
    case OPT_BITS: o->how.bits = calibrated_bits(optarg); *grid = 1; break;
    case OPT_GROUP: o->how.group = calibrated_group(optarg); *grid = 1; break;
    case OPT_SYM: o->how.symmetric = 1; *grid = 1; break;
    case OPT_ASYM: o->how.symmetric = 0; *grid = 1; break;
    case OPT_TYPE: o->type = calibrated_type(optarg); break;
    case OPT_ORDER: o->how.order = GPTQ_ORDERED; break;
    case OPT_NO_ORDER: o->how.order = GPTQ_AS_IS; break;
    case OPT_INDEX: o->how.order = GPTQ_ORDERED_GROUPS; *grid = 1; break;
    case OPT_MSE: o->how.search = 1; *grid = 1; break;
    case OPT_NO_MSE: o->how.search = 0; *grid = 1; break;
    case OPT_DAMP: o->how.damp = arg_float("--damp", optarg, 0, 1e3); break;
    case OPT_HEAD: o->head = 1; break;
    case OPT_MEMORY: o->memory = arg_size("--memory", optarg, 1, INT64_MAX); break;
    case OPT_SEED: o->seed = arg_seed(optarg); break;
    case OPT_FORMAT: parse_format(o, optarg); break;
    default: quant_text_option(c, optarg, &o->text);
    }
}

/* What the words mean together. grid: some of them speak of groups. */
static void check(const struct gptq_command *o, int grid) {
    int type = o->type ? ftype_type(o->type) : KERN_F32;
    if (!o->text.path)
        usage_die("-f TEXT is missing: GPTQ calibrates on a text");
    if (grid && (type < 0 || kern_type_info(type)->block > 1))
        usage_die("--type %s has a grid of its own: --bits, --group, --sym, --asym, --mse,"
                  " --no-mse and --g-idx are of groups", o->type);
    if (strcmp(o->format, "gguf") && (o->type || o->head))
        usage_die("%s is for GGUF files, not for --format %s", o->type ? "--type" : "--head",
                  o->format);
    if (!strcmp(o->out, "-"))
        usage_die("the rows go to stdout: name a file for the model");
    common_take_stdin(o->text.path);
}

static void parse(struct gptq_command *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, QUANT_TEXT_LONG, {"file", required_argument, NULL, 'f'},
        {"bits", required_argument, NULL, OPT_BITS}, {"group", required_argument, NULL, OPT_GROUP},
        {"sym", no_argument, NULL, OPT_SYM}, {"asym", no_argument, NULL, OPT_ASYM},
        {"type", required_argument, NULL, OPT_TYPE},
        {"act-order", no_argument, NULL, OPT_ORDER},
        {"no-act-order", no_argument, NULL, OPT_NO_ORDER}, {"g-idx", no_argument, NULL, OPT_INDEX},
        {"mse", no_argument, NULL, OPT_MSE}, {"no-mse", no_argument, NULL, OPT_NO_MSE},
        {"damp", required_argument, NULL, OPT_DAMP},
        {"head", no_argument, NULL, OPT_HEAD}, {"memory", required_argument, NULL, OPT_MEMORY},
        {"seed", required_argument, NULL, OPT_SEED}, {0}};
    int grid = 0;
    for (int c; (c = getopt_long(argc, argv, "f:" QUANT_TEXT_SHORT COMMON_SHORT, longs,
                                 NULL)) != -1;)
        if (!common_option(c, optarg, &o->common, usage))
            parse_option(o, c, &grid);
    if (argc - optind != 2)
        usage_die("expected INPUT and OUTPUT");
    o->in = argv[optind];
    o->out = argv[optind + 1];
    check(o, grid);
}

/* ---- all together ----------------------------------------------------------------------- */

static void show(void *arg, int64_t done, int64_t total) {
    struct gptq_job *j = arg;
    progress_update(&j->bar, done, total);
}

static void start(struct gptq_job *j) {
    const struct gptq_command *o = j->command;
    struct quant_engine *e = &j->input.engine;
    struct gptq_options how = o->how;
    struct err err;
    how.kern = e->kern;
    struct gptq_model_options m = {
        .model = e->model, .source = j->input.source, .token = j->chunks.token,
        .chunks = j->chunks.chunks, .tokens = j->chunks.tokens, .par = e->par, .gptq = how,
        .chosen = j->chosen, .type = j->layout ? NULL : j->type, .native = j->native,
        .hessian_bytes = o->memory, .report = gptq_report_row, .progress = show, .arg = j};
    j->model = gptq_model_new(&m, &err);
    if (!j->model)
        die_err(&err);
}

/* Before anything takes long. */
static void check_layout(struct gptq_job *j) {
    const struct gptq_command *o = j->command;
    struct err err;
    if (!strcmp(o->format, "gguf"))
        return;
    j->layout = layout_find(o->format);
    j->scheme = (struct layout_scheme){.bits = o->how.bits, .group = o->how.group,
                                       .symmetric = o->how.symmetric,
                                       .act_order = o->how.order == GPTQ_ORDERED_GROUPS};
    if (j->layout->check(&j->scheme, &err))
        usage_die("%s", err.text);
}

int quant_gptq(int argc, char **argv) {
    struct gptq_command o = {
        .how = {.bits = 4, .group = 128, .symmetric = 1, .order = GPTQ_ORDERED, .search = 1,
                .damp = 0.01},
        .format = "gguf", .seed = 1, .memory = DEFAULT_MEMORY};
    parse(&o, argc, argv);
    struct gptq_job j = {.command = &o};
    check_layout(&j);
    quant_input_open(&j.input, &o.common, o.in, o.out);
    if (j.layout && !j.input.folder)
        die("%s: --format %s is made of a folder of transformers, not of a GGUF file", o.in,
            o.format);
    gptq_types_choose(&j);
    calibrated_text(&o.text, o.seed, j.input.engine.vocab, &j.chunks);
    start(&j);
    gptq_write(&j);
    gptq_report_close(&j);
    gptq_model_free(j.model);
    free(j.chunks.token);
    free(j.type);
    free(j.chosen);
    quant_input_close(&j.input);
    return EXIT_DONE;
}
