/* quant_calibrated.c - what gptq and awq have in common, see quant_calibrated.h */
#include "cmd/quant_calibrated.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/quant/ftype.h"

#define DEFAULT_CHUNKS 128

/* ---- options ---------------------------------------------------------------------------- */

static int parse_bits(const char *arg) {
    static const char *const names[] = {"2", "3", "4", "8", NULL};
    static const int bits[] = {2, 3, 4, 8};
    return bits[arg_choice("--bits", arg, names)];
}

static int parse_group(const char *arg) {
    int64_t n = arg_int("--group", arg, -1, 1 << 20);
    if (n != -1 && (n < 16 || (n & (n - 1))))
        usage_die("--group: '%s': expected -1, or a power of 2 from 16", arg);
    return (int)n;
}

static const char *parse_type(const char *arg) {
    if (ftype_type(arg) < 0 && !ftype_find(arg))
        usage_die("--type: '%s' is no type of tensors, such as q4_k or f16, and no mix of them",
                  arg);
    return arg;
}

/* One word for two things that never share one: the form of OUTPUT, or that of the rows. */
static void parse_format(const char *arg, struct calibrated_command *o) {
    const char *const *name = o->layouts;
    while (*name && strcmp(arg, *name))
        name++;
    if (*name || !strcmp(arg, "gguf"))
        o->format = arg;
    else
        fields_option(OPT_FORMAT, arg, &o->common);
}

int calibrated_option(int c, const char *arg, const char *const *usage,
                      struct calibrated_command *o) {
    switch (c) {
    case 'f': o->text.path = arg; return 1;
    case OPT_BITS: o->grid.bits = parse_bits(arg); break;
    case OPT_GROUP: o->grid.group = parse_group(arg); break;
    case OPT_SYM: o->grid.symmetric = 1; break;
    case OPT_ASYM: o->grid.symmetric = 0; break;
    case OPT_TYPE: o->type = parse_type(arg); return 1;
    case OPT_SEED: o->seed = arg_seed(arg); return 1;
    case OPT_FORMAT: parse_format(arg, o); return 1;
    default:
        return common_option(c, arg, &o->common, usage) || quant_text_option(c, arg, &o->text);
    }
    o->grid_given = 1;
    return 1;
}

void calibrated_operands(int argc, char **argv, struct calibrated_command *o) {
    int type = o->type ? ftype_type(o->type) : KERN_F32;
    if (argc - optind != 2)
        usage_die("expected INPUT and OUTPUT");
    o->in = argv[optind];
    o->out = argv[optind + 1];
    if (!o->text.path)
        usage_die("-f TEXT is missing: %s calibrates on a text", o->method);
    if (o->grid_given && (type < 0 || calibrated_is_block(type)))
        usage_die("--type %s has a grid of its own: %s are of groups", o->type, o->about_groups);
    if (strcmp(o->format, "gguf") && o->type)
        usage_die("--type is for GGUF files, not for --format %s", o->format);
    if (!strcmp(o->out, "-"))
        usage_die("the rows go to stdout: name a file for the model");
    common_take_stdin(o->text.path);
}

/* ---- input ------------------------------------------------------------------------------ */

/* Before anything takes long. */
static const struct layout *find_layout(const struct calibrated_command *o) {
    struct err err;
    if (!strcmp(o->format, "gguf"))
        return NULL;
    const struct layout *l = layout_find(o->format);
    if (l->check(&o->grid, &err))
        usage_die("%s", err.text);
    return l;
}

void calibrated_open(struct calibrated_job *j) {
    const struct calibrated_command *o = j->command;
    j->layout = find_layout(o);
    quant_input_open(&j->input, &o->common, o->in, o->out);
    if (j->layout && !j->input.folder)
        die("%s: --format %s is made of a folder of transformers, not of a GGUF file", o->in,
            o->format);
    const struct source *s = j->input.source;
    size_t n = (size_t)source_count(s);
    j->chosen = mem_array(n, sizeof *j->chosen);
    j->changed = mem_array(n, sizeof *j->changed);
    j->type = mem_array(n, sizeof *j->type);
    for (size_t i = 0; i < n; i++)
        j->type[i] = s->tensor[i].type;
}

void calibrated_close(struct calibrated_job *j) {
    free(j->chunks.token);
    free(j->type);
    free(j->changed);
    free(j->chosen);
    quant_input_close(&j->input);
}

/* ---- text ------------------------------------------------------------------------------- */

/* Draws `most` of the chunks, each as likely as another, and keeps their order (Knuth, The Art of
 * Computer Programming 2, algorithm S). */
static void draw_chunks(struct quant_chunks *c, int most, uint64_t seed) {
    struct rng r = {seed};
    int kept = 0;
    for (int i = 0; i < c->chunks && kept < most; i++)
        if ((int)rng_below(&r, (uint64_t)(c->chunks - i)) < most - kept)
            memmove(c->token + (size_t)kept++ * (size_t)c->tokens,
                    c->token + (size_t)i * (size_t)c->tokens,
                    (size_t)c->tokens * sizeof *c->token);
    c->chunks = kept;
}

void calibrated_text(struct calibrated_job *j) {
    struct quant_text all = j->command->text;
    int most = all.chunks ? all.chunks : DEFAULT_CHUNKS;
    all.chunks = 0;
    quant_chunks_read(&all, j->input.engine.vocab, &j->chunks);
    draw_chunks(&j->chunks, most, j->command->seed);
}

/* ---- report ----------------------------------------------------------------------------- */

static void open_once(struct calibrated_job *j) {
    if (!j->fields.table)
        fields_open(&j->fields, j->column, j->columns, &j->command->common);
}

void calibrated_row(struct calibrated_job *j, const struct value *row) {
    open_once(j);
    fields_row(&j->fields, row);
}

void calibrated_end_rows(struct calibrated_job *j) {
    open_once(j);
    fields_close(&j->fields);
}
