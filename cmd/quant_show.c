/* quant_show.c - llm-quant show: what a model file is made of
 *
 * A row for each file, or for each type, group, layer, tensor or key of them. A folder of Hugging
 * Face transformers is shown as the GGUF file that it would become.
 */
#include "cmd/quant_input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/quant/inventory.h"
#include "lib/quant/metadata.h"

enum { OPT_TENSORS = OPT_VERB, OPT_METADATA, OPT_BY };

#define ARRAY_SHOWN 8           /* elements of an array, without --verbose */
#define TEXT_SHOWN 80           /* bytes of a value in a table for people, likewise */

static const char *const usage[] = {
    "usage: llm-quant show [OPTION]... FILE...\n"
    "Says what a GGUF file, or a folder of Hugging Face transformers, is made of.\n\n"
    "Rows\n"
    "      --by KEY           type, group (attention, experts, ...) or layer: a row for each\n"
    "      --tensors          a row for each tensor\n"
    "      --metadata         a row for each key; long values are cut unless -v\n"
    "                         (default: a row for each FILE)\n",
    FIELDS_USAGE
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant show --json out.gguf\n"
    "  llm-quant show --by group out.gguf\n",
    NULL};

enum rows { ROWS_FILES, ROWS_TYPES, ROWS_GROUPS, ROWS_LAYERS, ROWS_TENSORS, ROWS_METADATA };

struct options {
    struct common common;
    enum rows rows;
};

static void set_rows(struct options *o, enum rows rows) {
    if (o->rows != ROWS_FILES && o->rows != rows)
        usage_die("--by, --tensors and --metadata: one of them, once");
    o->rows = rows;
}

static void parse(struct options *o, int argc, char **argv) {
    static const char *const keys[] = {"type", "group", "layer", NULL};
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG,
        {"by", required_argument, NULL, OPT_BY},
        {"tensors", no_argument, NULL, OPT_TENSORS},
        {"metadata", no_argument, NULL, OPT_METADATA},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || fields_option(c, optarg, &o->common))
            continue;
        switch (c) {
        case OPT_BY:
            set_rows(o, (enum rows)(ROWS_TYPES + arg_choice("--by", optarg, keys)));
            break;
        case OPT_TENSORS: set_rows(o, ROWS_TENSORS); break;
        case OPT_METADATA: set_rows(o, ROWS_METADATA); break;
        }
    }
    if (optind == argc)
        usage_die("no FILE to show");
}

/* ---- which tensors ------------------------------------------------------------------------ */

static int has_type(const void *arg, const struct source_tensor *t) {
    return t->type == *(const int *)arg;
}

static int has_group(const void *arg, const struct source_tensor *t) {
    return (int)inventory_group(t->name) == *(const int *)arg;
}

static int has_layer(const void *arg, const struct source_tensor *t) {
    return inventory_layer(t->name) == *(const int *)arg;
}

/* ---- files -------------------------------------------------------------------------------- */

static const struct field file_columns[] = {
    {"file", FIELD_TEXT, 0}, {"arch", FIELD_TEXT, 0}, {"name", FIELD_TEXT, 0},
    {"type", FIELD_TEXT, 0}, {"layers", FIELD_COUNT, 0}, {"tensors", FIELD_COUNT, 0},
    {"keys", FIELD_COUNT, 0}, {"params", FIELD_COUNT, 0}, {"params_active", FIELD_WHOLE, 0},
    {"bytes", FIELD_WHOLE, 0}, {"tensor_bytes", FIELD_COUNT, 0}, {"bpw", 3, 0},
    {"embedding_bytes", FIELD_COUNT, 0}, {"attention_bytes", FIELD_COUNT, 0},
    {"ffn_bytes", FIELD_COUNT, 0}, {"experts_bytes", FIELD_COUNT, 0},
    {"shared_bytes", FIELD_COUNT, 0}, {"router_bytes", FIELD_COUNT, 0},
    {"norm_bytes", FIELD_COUNT, 0}, {"head_bytes", FIELD_COUNT, 0},
    {"other_bytes", FIELD_COUNT, 0}, {"types", FIELD_TEXT, 0}};
enum { FILE_COLUMNS = sizeof file_columns / sizeof *file_columns };

static int count_layers(const struct source *s) {
    int layers = 0;
    for (uint64_t i = 0; i < source_count(s); i++) {
        int layer = inventory_layer(s->tensor[i].name);
        layers = layer >= layers ? layer + 1 : layers;
    }
    return layers;
}

static double or_none(int64_t x) {
    return x > 0 ? (double)x : NAN;
}

static void put_file(struct fields *f, struct source *s, const struct gguf *keys) {
    struct inventory all;
    struct inventory group[INVENTORY_GROUPS];
    struct buf types = {0};
    const struct shape *m = s->shape;
    inventory_sum(s, NULL, NULL, &all);
    for (int g = 0; g < INVENTORY_GROUPS; g++)
        inventory_sum(s, has_group, &g, &group[g]);
    inventory_types(s, NULL, NULL, &types);
    const struct value row[FILE_COLUMNS] = {
        {.text = s->path}, {.text = *s->arch ? s->arch : NULL},
        {.text = gguf_str(keys, "general.name", NULL)}, {.text = m ? m->quant : NULL},
        {.count = count_layers(s)}, {.count = all.tensors},
        {.count = (int64_t)gguf_key_count(keys)}, {.count = all.params},
        {.number = m ? or_none(m->params_active) : NAN},
        {.number = or_none(inventory_file_bytes(s))}, {.count = all.bytes},
        {.number = inventory_bpw(&all)}, {.count = group[INVENTORY_EMBEDDING].bytes},
        {.count = group[INVENTORY_ATTENTION].bytes}, {.count = group[INVENTORY_FFN].bytes},
        {.count = group[INVENTORY_EXPERTS].bytes}, {.count = group[INVENTORY_SHARED].bytes},
        {.count = group[INVENTORY_ROUTER].bytes}, {.count = group[INVENTORY_NORM].bytes},
        {.count = group[INVENTORY_HEAD].bytes}, {.count = group[INVENTORY_OTHER].bytes},
        {.text = types.data}};
    fields_row(f, row);
    buf_free(&types);
}

/* ---- sums by type, group or layer --------------------------------------------------------- */

#define SUM_COLUMNS 8
static const struct field sum_columns[][SUM_COLUMNS] = {
    {{"file", FIELD_TEXT, 1}, {"type", FIELD_TEXT, 0}, {"tensors", FIELD_COUNT, 0},
     {"params", FIELD_COUNT, 0}, {"bytes", FIELD_COUNT, 0}, {"bpw", 3, 0}, {"share", 4, 0},
     {"types", FIELD_TEXT, 1}},
    {{"file", FIELD_TEXT, 1}, {"group", FIELD_TEXT, 0}, {"tensors", FIELD_COUNT, 0},
     {"params", FIELD_COUNT, 0}, {"bytes", FIELD_COUNT, 0}, {"bpw", 3, 0}, {"share", 4, 0},
     {"types", FIELD_TEXT, 0}},
    {{"file", FIELD_TEXT, 1}, {"layer", FIELD_ID, 0}, {"tensors", FIELD_COUNT, 0},
     {"params", FIELD_COUNT, 0}, {"bytes", FIELD_COUNT, 0}, {"bpw", 3, 0}, {"share", 4, 0},
     {"types", FIELD_TEXT, 0}}};

static void put_sum(struct fields *f, const struct source *s, int64_t all_bytes,
                    struct value name, int (*wanted)(const void *, const struct source_tensor *),
                    int key) {
    struct inventory sum;
    struct buf types = {0};
    inventory_sum(s, wanted, &key, &sum);
    inventory_types(s, wanted, &key, &types);
    const struct value row[SUM_COLUMNS] = {
        {.text = s->path}, name, {.count = sum.tensors}, {.count = sum.params},
        {.count = sum.bytes}, {.number = inventory_bpw(&sum)},
        {.number = all_bytes > 0 ? (double)sum.bytes / (double)all_bytes : NAN},
        {.text = types.data}};
    if (sum.tensors)
        fields_row(f, row);
    buf_free(&types);
}

/* Types as they are in the file, groups from embedding to head, layers by number and the rest. */
static void put_sums(struct fields *f, const struct source *s, enum rows rows) {
    struct inventory all;
    int layers = count_layers(s);
    inventory_sum(s, NULL, NULL, &all);
    for (int t = 0; t < 64 && rows == ROWS_TYPES; t++)
        put_sum(f, s, all.bytes, (struct value){.text = gguf_type_name(t)}, has_type, t);
    for (int g = 0; g < INVENTORY_GROUPS && rows == ROWS_GROUPS; g++)
        put_sum(f, s, all.bytes, (struct value){.text = inventory_group_name(g)}, has_group, g);
    for (int l = 0; l < layers && rows == ROWS_LAYERS; l++)
        put_sum(f, s, all.bytes, (struct value){.count = l}, has_layer, l);
    if (rows == ROWS_LAYERS)
        put_sum(f, s, all.bytes, (struct value){.text = "none"}, has_layer, -1);
    put_sum(f, s, all.bytes, (struct value){.text = "all"}, NULL, 0);
}

/* ---- tensors and keys --------------------------------------------------------------------- */

static const struct field tensor_columns[] = {
    {"file", FIELD_TEXT, 1}, {"tensor", FIELD_TEXT, 0}, {"group", FIELD_TEXT, 1},
    {"layer", FIELD_ID, 1}, {"type", FIELD_TEXT, 0}, {"shape", FIELD_TEXT, 0},
    {"params", FIELD_COUNT, 0}, {"bytes", FIELD_COUNT, 0}, {"bpw", 3, 0}};
enum { TENSOR_COLUMNS = sizeof tensor_columns / sizeof *tensor_columns };

/* Widths as the file has them: columns first. */
static void put_tensor(struct fields *f, const struct source *s, const struct source_tensor *t) {
    struct buf shape = {0};
    struct inventory sum = {1, t->rows * t->ne[0], (int64_t)t->bytes};
    int layer = inventory_layer(t->name);
    for (int d = 0; d < t->dims; d++)
        buf_printf(&shape, "%s%lld", d ? "x" : "", (long long)t->ne[d]);
    const struct value row[TENSOR_COLUMNS] = {
        {.text = s->path}, {.text = t->name},
        {.text = inventory_group_name((int)inventory_group(t->name))},
        {.text = layer < 0 ? "none" : NULL, .count = layer}, {.text = gguf_type_name(t->type)},
        {.text = shape.data}, {.count = sum.params}, {.count = sum.bytes},
        {.number = inventory_bpw(&sum)}};
    fields_row(f, row);
    buf_free(&shape);
}

static const struct field key_columns[] = {
    {"file", FIELD_TEXT, 1}, {"key", FIELD_TEXT, 0}, {"type", FIELD_TEXT, 0},
    {"count", FIELD_COUNT, 1}, {"value", FIELD_TEXT, 0}};
enum { KEY_COLUMNS = sizeof key_columns / sizeof *key_columns };

static void put_keys(struct fields *f, const struct source *s, const struct gguf *keys,
                     uint64_t most) {
    struct buf text = {0};
    for (uint64_t i = 0; i < gguf_key_count(keys); i++) {
        struct gguf_value v;
        struct gguf_string name = gguf_key(keys, i, &v);
        char *key = mem_strndup(name.data, name.len);
        char *type = mem_printf("%s%s", metadata_type_name(v.type), v.is_array ? "[]" : "");
        metadata_text(&v, 0, most, &text);
        if (f->people && most && !v.is_array)
            metadata_cut(&text, TEXT_SHOWN);
        const struct value row[KEY_COLUMNS] = {
            {.text = s->path}, {.text = key}, {.text = type}, {.count = (int64_t)v.n},
            {.text = text.data}};
        fields_row(f, row);
        free(key);
        free(type);
    }
    buf_free(&text);
}

/* ---- the verb ------------------------------------------------------------------------------- */

/* Of several files rows say whose they are; of the table of files a terminal is wide enough for
 * these columns, --verbose has the rest. */
static void open_columns(struct fields *f, const struct options *o, const struct field *columns,
                         int n, int files) {
    static const char narrow[] = " file arch type layers tensors params params_active bytes bpw ";
    static struct field own[FILE_COLUMNS];
    memcpy(own, columns, (size_t)n * sizeof *own);
    for (int i = 0; i < n && files > 1; i++) {
        char *word = mem_printf(" %s ", own[i].name);
        if (o->rows == ROWS_FILES)
            own[i].wide = !strstr(narrow, word);
        else if (!strcmp(own[i].name, "file"))
            own[i].wide = 0;
        free(word);
    }
    fields_open(f, own, n, &o->common);
}

static void open_table(struct fields *f, const struct options *o, int files) {
    switch (o->rows) {
    case ROWS_FILES: open_columns(f, o, file_columns, FILE_COLUMNS, files); break;
    case ROWS_TENSORS: open_columns(f, o, tensor_columns, TENSOR_COLUMNS, files); break;
    case ROWS_METADATA: open_columns(f, o, key_columns, KEY_COLUMNS, files); break;
    default: open_columns(f, o, sum_columns[o->rows - ROWS_TYPES], SUM_COLUMNS, files);
    }
}

static void put_rows(struct fields *f, const struct options *o, struct source *s,
                     const struct gguf *keys) {
    switch (o->rows) {
    case ROWS_FILES: put_file(f, s, keys); break;
    case ROWS_TENSORS:
        for (uint64_t i = 0; i < source_count(s); i++)
            put_tensor(f, s, &s->tensor[i]);
        break;
    case ROWS_METADATA: put_keys(f, s, keys, o->common.verbose ? 0 : ARRAY_SHOWN); break;
    default: put_sums(f, s, o->rows);
    }
}

int quant_show(int argc, char **argv) {
    struct options o = {0};
    struct fields f;
    struct err err;
    parse(&o, argc, argv);
    for (int i = optind; i < argc; i++) {
        struct source *s = quant_source_open(argv[i], o.common.quiet);
        struct metadata *m = metadata_of(s, &err);
        if (!m)
            die_err(&err);
        if (i == optind)        /* a first file that cannot be shown leaves no head of a table */
            open_table(&f, &o, argc - optind);
        put_rows(&f, &o, s, metadata_view(m));
        metadata_free(m);
        source_close(s);
    }
    fields_close(&f);
    return EXIT_DONE;
}
