/* quant_eval_rows.c - the tables of llm-quant eval: files, layers, tensors */
#include "cmd/quant_eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/outfile.h"

/* ---- files -------------------------------------------------------------------------------- */

const struct field eval_columns[EVAL_COLUMNS] = {
    {"file", FIELD_TEXT, 0}, {"bytes", FIELD_COUNT, 1}, {"bpw", 3, 0},
    {"chunks", FIELD_COUNT, 1}, {"tokens", FIELD_COUNT, 0},
    {"ppl", 4, 0}, {"ppl_stderr", 4, 1}, {"ppl_base", 4, 0}, {"ppl_base_stderr", 4, 1},
    {"ppl_ratio", 4, 1}, {"ppl_ratio_stderr", 5, 1}, {"ppl_ratio_low", 4, 1},
    {"ppl_ratio_high", 4, 1}, {"ppl_diff", 4, 1}, {"ppl_diff_stderr", 4, 1},
    {"nll_correlation", 4, 1},
    {"kl_mean", 5, 0}, {"kl_stderr", 5, 0}, {"kl_low", 5, 1}, {"kl_high", 5, 1},
    {"kl_min", 5, 1}, {"kl_p1", 5, 1}, {"kl_p5", 5, 1}, {"kl_p10", 5, 1}, {"kl_median", 5, 1},
    {"kl_p90", 4, 1}, {"kl_p95", 4, 1}, {"kl_p99", 4, 0}, {"kl_p999", 4, 1}, {"kl_max", 4, 1},
    {"top1_agree", 4, 0}, {"top1_stderr", 4, 1},
    {"dp_mean", 5, 1}, {"dp_stderr", 5, 1}, {"dp_rms", 4, 0}, {"dp_rms_stderr", 4, 1},
    {"dp_min", 4, 1}, {"dp_p1", 4, 1}, {"dp_p5", 4, 1}, {"dp_median", 5, 1}, {"dp_p95", 4, 1},
    {"dp_p99", 4, 1}, {"dp_max", 4, 1},
    {"route_agree", 4, 0}, {"weight_error", 4, 0}, {"pareto", FIELD_COUNT, 1}};

/* Which of fidelity_quantile are columns. */
enum { MIN, P1, P5, P10, MEDIAN, P90, P95, P99, P999, MAX };

void eval_values(const struct eval_options *o, const struct eval_file *f,
                 struct value v[EVAL_COLUMNS]) {
    const struct fidelity_summary *s = &f->sum;
    const double *kl = s->kl_at;
    const double *dp = s->dp_at;
    double route = f->run->agreement ? agreement_mean(f->run->agreement).mean : NAN;
    const struct value all[] = {
        {.text = f->path}, {.count = f->bytes}, {.number = f->bpw < 0 ? NAN : f->bpw},
        {.count = s->chunks}, {.count = s->tokens},
        {.number = s->ppl.mean}, {.number = s->ppl.error}, {.number = s->ppl_base.mean},
        {.number = s->ppl_base.error}, {.number = s->ratio.mean}, {.number = s->ratio.error},
        {.number = s->ratio_interval.low}, {.number = s->ratio_interval.high},
        {.number = s->difference.mean}, {.number = s->difference.error},
        {.number = s->correlation},
        {.number = s->kl.mean}, {.number = s->kl.error}, {.number = s->kl_interval.low},
        {.number = s->kl_interval.high}, {.number = kl[MIN]}, {.number = kl[P1]},
        {.number = kl[P5]}, {.number = kl[P10]}, {.number = kl[MEDIAN]}, {.number = kl[P90]},
        {.number = kl[P95]}, {.number = kl[P99]}, {.number = kl[P999]}, {.number = kl[MAX]},
        {.number = s->top.mean}, {.number = s->top.error},
        {.number = s->dp.mean}, {.number = s->dp.error}, {.number = s->dp_rms.mean},
        {.number = s->dp_rms.error}, {.number = dp[MIN]}, {.number = dp[P1]},
        {.number = dp[P5]}, {.number = dp[MEDIAN]}, {.number = dp[P95]}, {.number = dp[P99]},
        {.number = dp[MAX]},
        {.number = route}, {.number = o->base ? f->weights.error : NAN}, {.count = f->front}};
    _Static_assert(sizeof all / sizeof *all == EVAL_COLUMNS, "a value each");
    memcpy(v, all, sizeof all);
}

static void print_files(const struct eval_options *o, const struct eval_file *f) {
    struct fields table;
    fields_open(&table, eval_columns, EVAL_COLUMNS, &o->common);
    for (int i = 0; i < o->files; i++) {
        struct value v[EVAL_COLUMNS];
        eval_values(o, &f[i], v);
        fields_row(&table, v);
    }
    fields_close(&table);
}

/* ---- tables that may go to a file of their own --------------------------------------------- */

struct sheet {
    struct fields fields;
    struct outfile *out;
};

static void sheet_open(struct sheet *s, const struct eval_options *o, const char *path,
                       const struct field *columns, int n) {
    struct err err;
    s->out = NULL;
    if (!path) {
        fields_open(&s->fields, columns, n, &o->common);
        return;
    }
    s->out = outfile_open(path, &err);
    if (!s->out)
        die_err(&err);
    FILE *f = outfile_stream(s->out);
    fields_open_to(&s->fields, f, fields_format(&o->common, f), columns, n, 1);
}

static void sheet_close(struct sheet *s) {
    struct err err;
    fields_close(&s->fields);
    if (s->out && outfile_close(s->out, &err))
        die_err(&err);
}

static const struct field layer_columns[] = {
    {"file", FIELD_TEXT, 0}, {"layer", FIELD_ID, 0}, {"experts", FIELD_COUNT, 1},
    {"top_k", FIELD_COUNT, 1}, {"tokens", FIELD_COUNT, 1}, {"route_agree", 4, 0},
    {"route_stderr", 4, 0}, {"top1_agree", 4, 0}, {"top1_stderr", 4, 1}, {"set_agree", 4, 0},
    {"set_stderr", 4, 1}, {"weight_l1", 4, 0}, {"weight_l1_stderr", 4, 1}};
enum { LAYER_COLUMNS = sizeof layer_columns / sizeof *layer_columns };

static void print_layers(const struct eval_options *o, const struct eval_file *f) {
    struct sheet s;
    sheet_open(&s, o, o->layers_file, layer_columns, LAYER_COLUMNS);
    for (int i = 0; i < o->files; i++) {
        const struct agreement *a = f[i].run->agreement;
        if (!a && !o->common.quiet)
            warn("%s: no routed experts, or other ones than the base's: no layers to compare",
                 f[i].path);
        for (int l = 0; a && l < agreement_layers(a); l++) {
            struct agreement_figures g;
            agreement_layer(a, l, &g);
            const struct value row[LAYER_COLUMNS] = {
                {.text = f[i].path}, {.count = g.layer}, {.count = g.experts},
                {.count = g.top_k}, {.count = g.rows}, {.number = g.same.mean},
                {.number = g.same.error}, {.number = g.first.mean}, {.number = g.first.error},
                {.number = g.all.mean}, {.number = g.all.error}, {.number = g.weights.mean},
                {.number = g.weights.error}};
            fields_row(&s.fields, row);
        }
    }
    sheet_close(&s);
}

static const struct field tensor_columns[] = {
    {"file", FIELD_TEXT, 0}, {"tensor", FIELD_TEXT, 0}, {"type_base", FIELD_TEXT, 1},
    {"type", FIELD_TEXT, 0}, {"elements", FIELD_COUNT, 0}, {"bpw", 3, 0}, {"rmse", 6, 0},
    {"relative_error", 5, 0}, {"weighted_error", 5, 0}, {"max_error", 5, 0}, {"cosine", 6, 0},
    {"snr_db", 2, 0}, {"not_finite", FIELD_COUNT, 1}, {"same", FIELD_COUNT, 1}};
enum { TENSOR_COLUMNS = sizeof tensor_columns / sizeof *tensor_columns };

static void print_tensor(struct sheet *s, const struct eval_options *o, const char *path,
                         const struct eval_tensor *t) {
    const struct tensor_error *e = &t->error;
    double snr = tensor_error_snr(e);
    const struct value row[TENSOR_COLUMNS] = {
        {.text = path}, {.text = t->name}, {.text = gguf_type_name(t->type_base)},
        {.text = gguf_type_name(t->type)}, {.count = t->elements},
        {.number = 8.0 * (double)t->bytes / (double)t->elements},
        {.number = tensor_error_rmse(e)}, {.number = tensor_error_relative(e)},
        {.number = o->imatrix ? tensor_error_weighted(e) : NAN},
        {.number = e->n ? e->most : NAN}, {.number = tensor_error_cosine(e)},
        {.number = isfinite(snr) ? snr : NAN}, {.count = e->broken}, {.count = e->same}};
    fields_row(&s->fields, row);
}

static void print_tensors(const struct eval_options *o, const struct eval_file *f) {
    struct sheet s;
    sheet_open(&s, o, o->tensors_file, tensor_columns, TENSOR_COLUMNS);
    for (int i = 0; i < o->files; i++)
        for (size_t k = 0; k < f[i].weights.tensors; k++)
            print_tensor(&s, o, f[i].path, &f[i].weights.tensor[k]);
    sheet_close(&s);
}

void eval_print(const struct eval_options *o, struct eval_file *f) {
    int replaced = (o->layers && !o->layers_file) || (o->tensors && !o->tensors_file);
    if (o->layers)
        print_layers(o, f);
    if (o->tensors)
        print_tensors(o, f);
    if (!replaced && o->files && (o->text.path || o->kl_base))
        print_files(o, f);
}
