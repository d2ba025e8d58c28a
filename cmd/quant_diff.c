/* quant_diff.c - llm-quant diff: what is different in two model files
 *
 * Keys of the metadata, then tensors: what only one has, and what both have but not alike. Values
 * are compared where shapes agree, whatever the types.
 */
#include "cmd/quant_input.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/progress.h"
#include "lib/quant/metadata.h"
#include "lib/quant/tensor_error.h"

enum { OPT_CHECK = OPT_VERB, OPT_NO_VALUES, OPT_IGNORE, OPT_TOLERANCE, OPT_ONLY };

#define ARRAY_SHOWN 4           /* elements of an array, without --verbose */
#define TEXT_SHOWN 36           /* bytes of a value in a table for people, likewise */
#define IGNORED 64

static const char *const usage[] = {
    "usage: llm-quant diff [OPTION]... A B\n"
    "Says what is different in two models: GGUF files, or folders of Hugging Face transformers.\n"
    "A row for each key and tensor that is not the same in both.\n\n"
    "What is compared\n"
    "      --only WHAT        metadata or tensors (default: both)\n"
    "      --ignore GLOB      leave out keys and tensors of such names; repeat for more\n"
    "      --no-values        names, types and shapes alone: tensors are not read\n"
    "      --tolerance X      values count as the same up to this relative error (default 0:\n"
    "                         only the same bytes do)\n"
    "      --check            exit 3 when something differs\n"
    "  -t, --threads N        threads (default: one per core)\n",
    FIELDS_USAGE
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant diff a.gguf b.gguf\n"
    "  llm-quant diff --check --ignore 'general.*' a.gguf b.gguf\n",
    NULL};

struct options {
    struct common common;
    int metadata, tensors, no_values, check;
    double tolerance;
    const char *ignore[IGNORED];
    int ignored;
};

static void add_ignored(struct options *o, const char *glob) {
    if (o->ignored == IGNORED)
        usage_die("--ignore: at most %d", IGNORED);
    o->ignore[o->ignored++] = glob;
}

static void parse(struct options *o, int argc, char **argv) {
    static const char *const whats[] = {"metadata", "tensors", NULL};
    static const struct option longs[] = {
        COMMON_LONG, FIELDS_LONG,
        {"only", required_argument, NULL, OPT_ONLY},
        {"ignore", required_argument, NULL, OPT_IGNORE},
        {"no-values", no_argument, NULL, OPT_NO_VALUES},
        {"tolerance", required_argument, NULL, OPT_TOLERANCE},
        {"check", no_argument, NULL, OPT_CHECK},
        {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1) {
        if (common_option(c, optarg, &o->common, usage) || fields_option(c, optarg, &o->common))
            continue;
        switch (c) {
        case OPT_ONLY:
            o->metadata = arg_choice("--only", optarg, whats) == 0;
            o->tensors = !o->metadata;
            break;
        case OPT_IGNORE: add_ignored(o, optarg); break;
        case OPT_NO_VALUES: o->no_values = 1; break;
        case OPT_TOLERANCE: o->tolerance = arg_float("--tolerance", optarg, 0, 1e6); break;
        case OPT_CHECK: o->check = 1; break;
        }
    }
    if (argc - optind != 2)
        usage_die("expected two models, A and B, found %d", argc - optind);
}

static int is_ignored(const struct options *o, const char *name) {
    for (int i = 0; i < o->ignored; i++)
        if (!fnmatch(o->ignore[i], name, 0))
            return 1;
    return 0;
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field columns[] = {
    {"kind", FIELD_TEXT, 0}, {"name", FIELD_TEXT, 0}, {"change", FIELD_TEXT, 0},
    {"a", FIELD_TEXT, 0}, {"b", FIELD_TEXT, 0}, {"rmse", 6, 1}, {"relative_error", 5, 0},
    {"max_error", 5, 0}, {"not_finite", FIELD_COUNT, 1}};
enum { COLUMNS = sizeof columns / sizeof *columns };

struct diff {
    const struct options *o;
    struct source *a, *b;
    struct par *par;
    struct fields fields;
    struct progress bar;
    int64_t done, total;        /* bytes of tensors */
    int64_t same, rows;
};

static void put(struct diff *d, const char *kind, const char *name, const char *change,
                const char *a, const char *b, const struct tensor_error *e) {
    const struct value row[COLUMNS] = {
        {.text = kind}, {.text = name}, {.text = change}, {.text = a}, {.text = b},
        {.number = e ? tensor_error_rmse(e) : NAN}, {.number = e ? tensor_error_relative(e) : NAN},
        {.number = e && e->n ? e->most : NAN}, {.count = e ? e->broken : 0}};
    fields_row(&d->fields, row);
    d->rows++;
}

/* ---- metadata ------------------------------------------------------------------------------- */

/* Of an array from element `first` on. */
static void key_text(const struct diff *d, const struct gguf_value *v, uint64_t first,
                     struct buf *out) {
    metadata_text(v, first, d->o->common.verbose ? 0 : ARRAY_SHOWN, out);
    if (d->fields.people && !d->o->common.verbose && !v->is_array)
        metadata_cut(out, TEXT_SHOWN);
}

/* Keys of `from`; those that `other` lacks, and with `both` those that it has otherwise. */
static void walk_keys(struct diff *d, const struct gguf *from, const struct gguf *other,
                      int both) {
    struct buf text[2] = {{0}};
    for (uint64_t i = 0; i < gguf_key_count(from); i++) {
        struct gguf_value v;
        struct gguf_value w;
        struct gguf_string key = gguf_key(from, i, &v);
        char *name = mem_strndup(key.data, key.len);
        int there = !gguf_value(other, name, &w);
        int alike = there && v.type == w.type && v.is_array == w.is_array;
        uint64_t first = alike && v.is_array ? metadata_apart(&v, &w) : 0;
        key_text(d, &v, first, &text[0]);
        if (is_ignored(d->o, name)) {
            ;
        } else if (!there) {
            put(d, "metadata", name, both ? "removed" : "added", both ? text[0].data : NULL,
                both ? NULL : text[0].data, NULL);
        } else if (both && metadata_same(&v, &w)) {
            d->same++;
        } else if (both) {
            key_text(d, &w, first, &text[1]);
            put(d, "metadata", name, alike ? "changed" : "type", text[0].data, text[1].data, NULL);
        }
        free(name);
    }
    buf_free(&text[0]);
    buf_free(&text[1]);
}

static void diff_metadata(struct diff *d) {
    struct err err;
    struct metadata *a = metadata_of(d->a, &err);
    struct metadata *b = a ? metadata_of(d->b, &err) : NULL;
    if (!b)
        die_err(&err);
    walk_keys(d, metadata_view(a), metadata_view(b), 1);
    walk_keys(d, metadata_view(b), metadata_view(a), 0);
    metadata_free(a);
    metadata_free(b);
}

/* ---- tensors -------------------------------------------------------------------------------- */

static void tensor_text(const struct source_tensor *t, struct buf *out) {
    out->len = 0;
    buf_printf(out, "%s ", gguf_type_name(t->type));
    for (int i = 0; i < t->dims; i++)
        buf_printf(out, "%s%lld", i ? "x" : "", (long long)t->ne[i]);
}

/* Values of two tensors of one shape. 0: they were not compared. */
static int compare_values(struct diff *d, uint64_t i, uint64_t j, struct tensor_error *e) {
    const struct source_tensor *a = &d->a->tensor[i];
    const struct source_tensor *b = &d->b->tensor[j];
    struct err err;
    int unreadable = !kern_type_info(a->type) || !kern_type_info(b->type);
    if (d->o->no_values || (unreadable && a->type != b->type))
        return 0;
    if (tensor_error(d->a, i, d->b, j, NULL, d->par, e, &err) && !unreadable)
        die_err(&err);
    return 1;
}

static int is_same(const struct options *o, const struct tensor_error *e) {
    if (e->same)
        return 1;
    return o->tolerance > 0 && e->n && !e->broken &&
           (e->error == 0 || tensor_error_relative(e) <= o->tolerance);
}

/* One of a that b has, too. */
static void diff_tensor(struct diff *d, uint64_t i, uint64_t j, const char *a, const char *b) {
    const struct source_tensor *x = &d->a->tensor[i];
    const struct source_tensor *y = &d->b->tensor[j];
    struct tensor_error e = {0};
    if (!tensor_error_alike(x, y)) {
        put(d, "tensor", x->name, "shape", a, b, NULL);
        return;
    }
    int compared = compare_values(d, i, j, &e);
    if (x->type != y->type)
        put(d, "tensor", x->name, "type", a, b, compared ? &e : NULL);
    else if (compared && !is_same(d->o, &e))
        put(d, "tensor", x->name, e.error > 0 || e.broken || !e.n ? "values" : "bytes", a, b, &e);
    else
        d->same++;
}

static void diff_tensors(struct diff *d) {
    struct buf text[2] = {{0}};
    for (uint64_t i = 0; i < source_count(d->a); i++) {
        const struct source_tensor *t = &d->a->tensor[i];
        int64_t j = source_find(d->b, t->name);
        tensor_text(t, &text[0]);
        if (j >= 0)
            tensor_text(&d->b->tensor[j], &text[1]);
        if (!is_ignored(d->o, t->name) && j < 0)
            put(d, "tensor", t->name, "removed", text[0].data, NULL, NULL);
        else if (!is_ignored(d->o, t->name))
            diff_tensor(d, i, (uint64_t)j, text[0].data, text[1].data);
        d->done += (int64_t)t->bytes;
        progress_update(&d->bar, d->done, d->total);
    }
    for (uint64_t i = 0; i < source_count(d->b); i++) {
        const struct source_tensor *t = &d->b->tensor[i];
        if (source_find(d->a, t->name) >= 0 || is_ignored(d->o, t->name))
            continue;
        tensor_text(t, &text[1]);
        put(d, "tensor", t->name, "added", NULL, text[1].data, NULL);
    }
    buf_free(&text[0]);
    buf_free(&text[1]);
}

/* ---- the verb ------------------------------------------------------------------------------- */

int quant_diff(int argc, char **argv) {
    struct options o = {.metadata = 1, .tensors = 1};
    parse(&o, argc, argv);
    struct diff d = {.o = &o, .a = quant_source_open(argv[optind], o.common.quiet),
                     .b = quant_source_open(argv[optind + 1], o.common.quiet),
                     .par = par_new(o.common.threads)};
    for (uint64_t i = 0; i < source_count(d.a); i++)
        d.total += (int64_t)d.a->tensor[i].bytes;
    progress_start(&d.bar, "comparing", PROGRESS_BYTES, o.common.quiet);
    fields_open(&d.fields, columns, COLUMNS, &o.common);
    if (o.metadata)
        diff_metadata(&d);
    if (o.tensors)
        diff_tensors(&d);
    progress_end(&d.bar);
    fields_close(&d.fields);
    if (!d.rows && !o.common.quiet)
        warn("no difference in %lld keys and tensors", (long long)d.same);
    par_free(d.par);
    source_close(d.a);
    source_close(d.b);
    return o.check && d.rows ? EXIT_CHECK : EXIT_DONE;
}
