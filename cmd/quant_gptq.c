/* quant_gptq.c - llm-quant gptq: weights rounded one column after another, each column's error
 * made up by the rest (lib/quant/gptq.h), calibrated on a text
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/quant_gptq.h"

enum {
    OPT_ORDER = OPT_CALIBRATED, OPT_NO_ORDER, OPT_INDEX, OPT_MSE, OPT_NO_MSE, OPT_DAMP, OPT_HEAD,
    OPT_MEMORY
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
    CALIBRATED_TYPE_USAGE
    "      --mse              ranges of groups by least error (default)\n"
    "      --no-mse           ranges by their extremes\n"
    CALIBRATED_TEXT_USAGE
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
    CALIBRATED_LAST_USAGE
    "Examples\n"
    "  llm-quant gptq --bits 4 --group 128 -f calib.txt in.gguf out.gguf\n"
    "  llm-quant gptq --type q4_k -f calib.txt in.gguf out.gguf\n"
    "  llm-quant gptq --bits 4 --group 128 --format gptq -f calib.txt hf-folder out-folder\n",
    NULL};

/* ---- options ---------------------------------------------------------------------------- */

struct options {
    struct calibrated_command all;
    int order, search, head;    /* as in struct gptq_options; --head */
    double damp;
    int64_t memory;
};

static void parse_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case OPT_ORDER: o->order = GPTQ_ORDERED; break;
    case OPT_NO_ORDER: o->order = GPTQ_AS_IS; break;
    case OPT_INDEX: o->order = GPTQ_ORDERED_GROUPS; o->all.grid_given = 1; break;
    case OPT_MSE: o->search = 1; o->all.grid_given = 1; break;
    case OPT_NO_MSE: o->search = 0; o->all.grid_given = 1; break;
    case OPT_DAMP: o->damp = arg_float("--damp", arg, 0, 1e3); break;
    case OPT_HEAD: o->head = 1; break;
    case OPT_MEMORY: o->memory = arg_size("--memory", arg, 1, INT64_MAX); break;
    }
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        CALIBRATED_LONG, {"act-order", no_argument, NULL, OPT_ORDER},
        {"no-act-order", no_argument, NULL, OPT_NO_ORDER}, {"g-idx", no_argument, NULL, OPT_INDEX},
        {"mse", no_argument, NULL, OPT_MSE}, {"no-mse", no_argument, NULL, OPT_NO_MSE},
        {"damp", required_argument, NULL, OPT_DAMP}, {"head", no_argument, NULL, OPT_HEAD},
        {"memory", required_argument, NULL, OPT_MEMORY}, {0}};
    for (int c; (c = getopt_long(argc, argv, CALIBRATED_SHORT, longs, NULL)) != -1;)
        if (!calibrated_option(c, optarg, usage, &o->all))
            parse_option(o, c, optarg);
    o->all.grid.act_order = o->order == GPTQ_ORDERED_GROUPS;
    calibrated_operands(argc, argv, &o->all);
    if (strcmp(o->all.format, "gguf") && o->head)
        usage_die("--head is for GGUF files, not for --format %s", o->all.format);
}

/* ---- all together ----------------------------------------------------------------------- */

static void choose(struct calibrated_job *j, const struct options *o) {
    const struct model *m = j->input.engine.model;
    gptq_model_choose(m, j->input.source, o->head, j->chosen);
    if (o->head && m->shape->tied)
        die("%s: --head: the head is the embedding, which is looked up, too, and stays",
            o->all.in);
    calibrated_choose(j);
}

static void show(void *job, int64_t done, int64_t total) {
    struct gptq_job *j = job;
    progress_update(&j->all.bar, done, total);
}

static void start(struct gptq_job *j, const struct options *o) {
    const struct calibrated_job *all = &j->all;
    const struct quant_engine *e = &all->input.engine;
    const struct layout_scheme *grid = &o->all.grid;
    struct err err;
    struct gptq_model_options m = {
        .model = e->model, .source = all->input.source, .token = all->chunks.token,
        .chunks = all->chunks.chunks, .tokens = all->chunks.tokens, .par = e->par,
        .gptq = {.bits = grid->bits, .group = grid->group, .symmetric = grid->symmetric,
                 .order = o->order, .search = o->search, .damp = o->damp, .kern = e->kern},
        .chosen = all->chosen, .type = all->layout ? NULL : all->type, .native = all->native,
        .hessian_bytes = o->memory, .report = gptq_report_row, .progress = show, .arg = j};
    j->model = gptq_model_new(&m, &err);
    if (!j->model)
        die_err(&err);
}

static int data(void *model, uint64_t i, const void **out, struct err *err) {
    return gptq_model_data(model, i, out, err);
}

static int grouped(void *model, uint64_t i, int64_t mat, const struct grouped **out,
                   struct err *err) {
    return gptq_model_grouped(model, i, mat, out, err);
}

static void write_model(struct gptq_job *j, const struct options *o) {
    uint64_t *order = mem_array((size_t)source_count(j->all.input.source), sizeof *order);
    gptq_model_order(j->model, order);
    calibrated_write(&j->all, &(struct calibrated_result){
        .data = data, .grouped = grouped, .arg = j->model, .order = order, .damp = o->damp});
    free(order);
}

int quant_gptq(int argc, char **argv) {
    static const char *const layouts[] = {"gptq", "compressed-tensors", NULL};
    struct options o = {
        .all = {.method = "GPTQ", .layouts = layouts, .format = "gguf", .seed = 1,
                .grid = {.bits = 4, .group = 128, .symmetric = 1},
                .about_groups = "--bits, --group, --sym, --asym, --mse, --no-mse and --g-idx"},
        .order = GPTQ_ORDERED, .search = 1, .damp = 0.01, .memory = DEFAULT_MEMORY};
    parse(&o, argc, argv);
    struct gptq_job j = {
        .all = {.command = &o.all, .column = gptq_columns, .columns = GPTQ_COLUMNS}};
    calibrated_open(&j.all);
    choose(&j.all, &o);
    calibrated_text(&j.all);
    start(&j, &o);
    write_model(&j, &o);
    gptq_report_close(&j);
    gptq_model_free(j.model);
    calibrated_close(&j.all);
    return EXIT_DONE;
}
