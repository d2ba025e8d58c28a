/* quant_awq.c - llm-quant awq: columns that matter are scaled up before rounding (lib/quant/awq.h),
 * calibrated on a text
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/quant_awq.h"
#include "lib/quant/ftype.h"

enum { OPT_BITS = OPT_VERB, OPT_GROUP, OPT_SYM, OPT_ASYM, OPT_TYPE, OPT_NO_CLIP, OPT_SEED };

static const char *const usage[] = {
    "usage: llm-quant awq -f TEXT [OPTION]... INPUT OUTPUT\n"
    "Quantizes the matrices of a model by AWQ, calibrated on a text; a row for each on stdout.\n"
    "INPUT is a GGUF file, or a folder of transformers.\n\n"
    "Grid\n"
    "      --bits N           2, 3, 4 or 8 (default 4)\n"
    "      --group N          columns that share a scale: 16 times a power of 2, or -1 for a row\n"
    "                         (default 128)\n"
    "      --sym              zero in the middle of the codes\n"
    "      --asym             zero anywhere (default)\n"
    "      --type NAME        in place of these: the own grid of a GGUF block type (q4_k, iq4_nl,\n"
    "                         ...) or of the types of a mix (q4_k_m). Or f32, f16, bf16: groups\n"
    "                         as floats (default: the smallest block type that holds the groups)\n"
    "      --no-clip          ranges of groups by extremes, not by least error\n"
    "Calibration\n"
    "  -f, --file TEXT        text to calibrate on; - is stdin\n"
    "  -c, --context N        tokens of a chunk (default 512)\n"
    "      --chunks N         chunks of the text, drawn at random (default 128)\n"
    "      --seed N           of the draw (default 1)\n"
    "Output\n"
    "      --format FORMAT    of OUTPUT: gguf (default); of a folder awq, gptq or\n"
    "                         compressed-tensors, too. Of the rows: table, tsv, csv, jsonl, md or\n"
    "                         sql\n"
    "  -v, --verbose          every column in a table too\n"
    "  -q, --quiet            fewer words on stderr\n"
    "General\n"
    "  -t, --threads N        threads (default: one per core)\n"
    "      --cpu NAME         instruction set: ref, avx2, avx512 (default: the best)\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant awq --bits 4 --group 128 -f calib.txt in.gguf out.gguf\n"
    "  llm-quant awq --type q4_k -f calib.txt in.gguf out.gguf\n"
    "  llm-quant awq --bits 4 --group 128 --format awq -f calib.txt hf-folder out-folder\n",
    NULL};

/* ---- options ---------------------------------------------------------------------------- */

/* One word for two things that never share one, as in llm-quant gptq. */
static void parse_format(struct awq_command *o, const char *arg) {
    static const char *const models[] = {"gguf", "awq", "gptq", "compressed-tensors"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        if (!strcmp(arg, models[i])) {
            o->format = models[i];
            return;
        }
    fields_option(OPT_FORMAT, arg, &o->common);
}

static void parse_option(struct awq_command *o, int c, int *grid) {
    switch (c) {
    case 'f': o->text.path = optarg; break;
    case OPT_BITS: o->how.bits = calibrated_bits(optarg); *grid = 1; break;
    case OPT_GROUP: o->how.group = calibrated_group(optarg); *grid = 1; break;
    case OPT_SYM: o->how.symmetric = 1; *grid = 1; break;
    case OPT_ASYM: o->how.symmetric = 0; *grid = 1; break;
    case OPT_TYPE: o->type = calibrated_type(optarg); break;
    case OPT_NO_CLIP: o->how.clip = 0; *grid = 1; break;
    case OPT_SEED: o->seed = arg_seed(optarg); break;
    case OPT_FORMAT: parse_format(o, optarg); break;
    default: quant_text_option(c, optarg, &o->text);
    }
}

/* What the words mean together. grid: some of them speak of groups. */
static void check(const struct awq_command *o, int grid) {
    int type = o->type ? ftype_type(o->type) : KERN_F32;
    if (!o->text.path)
        usage_die("-f TEXT is missing: AWQ calibrates on a text");
    if (grid && (type < 0 || kern_type_info(type)->block > 1))
        usage_die("--type %s has a grid of its own: --bits, --group, --sym, --asym and --no-clip"
                  " are of groups", o->type);
    if (strcmp(o->format, "gguf") && o->type)
        usage_die("--type is for GGUF files, not for --format %s", o->format);
    if (!strcmp(o->out, "-"))
        usage_die("the rows go to stdout: name a file for the model");
    common_take_stdin(o->text.path);
}

static void parse(struct awq_command *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG, QUANT_TEXT_LONG, {"file", required_argument, NULL, 'f'},
        {"bits", required_argument, NULL, OPT_BITS}, {"group", required_argument, NULL, OPT_GROUP},
        {"sym", no_argument, NULL, OPT_SYM}, {"asym", no_argument, NULL, OPT_ASYM},
        {"type", required_argument, NULL, OPT_TYPE}, {"no-clip", no_argument, NULL, OPT_NO_CLIP},
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
    struct awq_job *j = arg;
    progress_update(&j->bar, done, total);
}

static void start(struct awq_job *j) {
    struct quant_engine *e = &j->input.engine;
    struct awq_options how = j->command->how;
    struct err err;
    how.kern = e->kern;
    how.par = e->par;
    struct awq_model_options m = {
        .model = e->model, .source = j->input.source, .token = j->chunks.token,
        .chunks = j->chunks.chunks, .tokens = j->chunks.tokens, .awq = how, .chosen = j->chosen,
        .type = j->layout ? NULL : j->type, .native = j->native, .stored = awq_stored,
        .report = awq_report_row, .progress = show, .arg = j};
    j->model = awq_model_new(&m, &err);
    if (!j->model)
        die_err(&err);
}

/* Before anything takes long. */
static void check_layout(struct awq_job *j) {
    const struct awq_command *o = j->command;
    struct err err;
    if (!strcmp(o->format, "gguf"))
        return;
    j->layout = layout_find(o->format);
    j->scheme = (struct layout_scheme){.bits = o->how.bits, .group = o->how.group,
                                       .symmetric = o->how.symmetric};
    if (j->layout->check(&j->scheme, &err))
        usage_die("%s", err.text);
}

int quant_awq(int argc, char **argv) {
    struct awq_command o = {.how = {.bits = 4, .group = 128, .clip = 1}, .format = "gguf",
                            .seed = 1};
    parse(&o, argc, argv);
    struct awq_job j = {.command = &o};
    check_layout(&j);
    quant_input_open(&j.input, &o.common, o.in, o.out);
    if (j.layout && !j.input.folder)
        die("%s: --format %s is made of a folder of transformers, not of a GGUF file", o.in,
            o.format);
    awq_types_choose(&j);
    calibrated_text(&o.text, o.seed, j.input.engine.vocab, &j.chunks);
    start(&j);
    awq_write(&j);
    awq_report_close(&j);
    awq_model_free(j.model);
    free(j.chunks.token);
    free(j.type);
    free(j.changed);
    free(j.chosen);
    quant_input_close(&j.input);
    return EXIT_DONE;
}
