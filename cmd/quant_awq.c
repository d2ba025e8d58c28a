/* quant_awq.c - llm-quant awq: columns that matter are scaled up before rounding (lib/quant/awq.h),
 * calibrated on a text
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "cmd/quant_calibrated.h"
#include "lib/quant/awq_model.h"
#include "lib/quant/gptq_model.h"
#include "lib/quant/hf_write.h"

enum { OPT_NO_CLIP = OPT_CALIBRATED };

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
    CALIBRATED_TYPE_USAGE
    "      --no-clip          ranges of groups by extremes, not by least error\n"
    CALIBRATED_TEXT_USAGE
    "Output\n"
    "      --format FORMAT    of OUTPUT: gguf (default); of a folder awq, gptq or\n"
    "                         compressed-tensors, too. Of the rows: table, tsv, csv, jsonl, md or\n"
    "                         sql\n"
    CALIBRATED_LAST_USAGE
    "Examples\n"
    "  llm-quant awq --bits 4 --group 128 -f calib.txt in.gguf out.gguf\n"
    "  llm-quant awq --type q4_k -f calib.txt in.gguf out.gguf\n"
    "  llm-quant awq --bits 4 --group 128 --format awq -f calib.txt hf-folder out-folder\n",
    NULL};

/* ---- options ---------------------------------------------------------------------------- */

struct options {
    struct calibrated_command all;
    int clip;
};

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        CALIBRATED_LONG, {"no-clip", no_argument, NULL, OPT_NO_CLIP}, {0}};
    for (int c; (c = getopt_long(argc, argv, CALIBRATED_SHORT, longs, NULL)) != -1;) {
        if (calibrated_option(c, optarg, usage, &o->all))
            continue;
        o->clip = 0;
        o->all.grid_given = 1;
    }
    calibrated_operands(argc, argv, &o->all);
}

struct job {
    struct calibrated_job all;
    struct awq_model *model;
    int64_t matrices, unseen;
};

/* ---- report ----------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"layer", FIELD_COUNT, 0}, {"tensor", FIELD_TEXT, 0}, {"expert", FIELD_WHOLE, 0},
    {"type", FIELD_TEXT, 1}, {"rows", FIELD_COUNT, 1}, {"cols", FIELD_COUNT, 1},
    {"tokens", FIELD_COUNT, 0}, {"error", 6, 0}, {"error_nearest", 6, 0}, {"ratio", 3, 0},
    {"scale_power", 2, 0}};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void report_row(void *job, const struct awq_row *row) {
    struct job *j = job;
    const struct awq_report *r = &row->report;
    int seen = row->tokens > 0;
    j->matrices++;
    j->unseen += !seen;
    calibrated_row(&j->all, (struct value[COLUMNS]){
        {.count = row->layer}, {.text = row->tensor},
        {.number = row->expert < 0 ? (double)NAN : (double)row->expert},
        {.text = row->type < 0 ? j->all.command->format : kern_type_info(row->type)->name},
        {.count = row->rows}, {.count = row->cols}, {.count = row->tokens},
        {.number = seen ? r->error : NAN}, {.number = seen ? r->nearest : NAN},
        {.number = r->nearest > 0 ? r->error / r->nearest : NAN},
        {.number = (double)row->ratio / 20}});
}

static void close_report(struct job *j) {
    calibrated_end_rows(&j->all);
    if (j->unseen && !j->all.command->common.quiet)
        warn("%" PRId64 " of %" PRId64 " matrices saw no token: give more text", j->unseen,
             j->matrices);
}

/* ---- all together ----------------------------------------------------------------------- */

static void choose(struct calibrated_job *j) {
    const struct source *s = j->input.source;
    gptq_model_choose(j->input.engine.model, s, 0, j->chosen);
    awq_model_changed(s, j->changed);
    /* Norms and routers that folding changes are stored as floats. */
    for (uint64_t i = 0; i < source_count(s); i++)
        if (j->changed[i] && calibrated_is_block(j->type[i]))
            j->type[i] = KERN_F32;
    calibrated_choose(j);
}

static void show(void *job, int64_t done, int64_t total) {
    struct job *j = job;
    progress_update(&j->all.bar, done, total);
}

/* What v becomes in tensor i of the output. */
static float stored(void *job, uint64_t i, float v) {
    const struct calibrated_job *j = &((struct job *)job)->all;
    const struct kern *k = j->input.engine.kern;
    char bytes[sizeof v];
    float out;
    if (j->layout)
        return hf_write_rounds(j->input.source, i, v);
    k->quantize(j->type[i], &v, bytes, 1, 1, NULL);
    k->dequantize(j->type[i], bytes, &out, 1);
    return out;
}

static void start(struct job *j, const struct options *o) {
    const struct calibrated_job *all = &j->all;
    const struct quant_engine *e = &all->input.engine;
    const struct layout_scheme *grid = &o->all.grid;
    struct err err;
    struct awq_model_options m = {
        .model = e->model, .source = all->input.source, .token = all->chunks.token,
        .chunks = all->chunks.chunks, .tokens = all->chunks.tokens,
        .awq = {.bits = grid->bits, .group = grid->group, .symmetric = grid->symmetric,
                .clip = o->clip, .kern = e->kern, .par = e->par},
        .chosen = all->chosen, .type = all->layout ? NULL : all->type, .native = all->native,
        .stored = stored, .report = report_row, .progress = show, .arg = j};
    j->model = awq_model_new(&m, &err);
    if (!j->model)
        die_err(&err);
}

static int data(void *model, uint64_t i, const void **out, struct err *err) {
    return awq_model_data(model, i, out, err);
}

static int grouped(void *model, uint64_t i, int64_t mat, const struct grouped **out,
                   struct err *err) {
    return awq_model_grouped(model, i, mat, out, err);
}

static int values(void *model, uint64_t i, const float **out, struct err *err) {
    return awq_model_values(model, i, out, err);
}

static void write_model(struct job *j) {
    uint64_t *order = mem_array((size_t)source_count(j->all.input.source), sizeof *order);
    awq_model_order(j->model, order);
    calibrated_write(&j->all, &(struct calibrated_result){
        .data = data, .grouped = grouped, .values = values, .arg = j->model, .order = order});
    free(order);
}

int quant_awq(int argc, char **argv) {
    static const char *const layouts[] = {"awq", "gptq", "compressed-tensors", NULL};
    struct options o = {
        .all = {.method = "AWQ", .layouts = layouts, .format = "gguf", .seed = 1,
                .grid = {.bits = 4, .group = 128},
                .about_groups = "--bits, --group, --sym, --asym and --no-clip"},
        .clip = 1};
    parse(&o, argc, argv);
    struct job j = {.all = {.command = &o.all, .column = columns, .columns = COLUMNS}};
    calibrated_open(&j.all);
    choose(&j.all);
    calibrated_text(&j.all);
    start(&j, &o);
    write_model(&j);
    close_report(&j);
    awq_model_free(j.model);
    calibrated_close(&j.all);
    return EXIT_DONE;
}
