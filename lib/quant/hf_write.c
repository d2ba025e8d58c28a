/* hf_write.c - the tensors of a quantized folder, see hf_write.h */
#include "lib/quant/hf_write.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/blocks.h"
#include "lib/base/mem.h"
#include "lib/base/outfolder.h"
#include "lib/quant/hf_write_impl.h"

struct writer {
    const struct hf_write *w;
    struct hf_plan plan;
    /* The matrix that was asked for last, rows in the order of the folder. */
    const struct hf_item *held;
    const struct grouped *grouped;
    struct grouped *permuted;   /* ours, where rows move */
    int64_t done;
};

/* ---- one matrix ------------------------------------------------------------------------- */

/* A copy of g whose rows lie as the folder has them; codes, scales and zeros alone. */
static struct grouped *permute_rows(const struct hf_origin *o, const struct grouped *g,
                                    const struct layout_scheme *s) {
    struct grouped *p = grouped_new(g->rows, g->cols, g->bits, s->group, g->symmetric);
    for (int64_t r = 0; r < g->rows; r++) {
        int64_t to = hf_row(o, g->rows, r);
        memcpy(p->code + to * g->cols, g->code + r * g->cols, (size_t)g->cols);
        memcpy(p->scale + to * g->groups, g->scale + r * g->groups,
               (size_t)g->groups * sizeof *g->scale);
        memcpy(p->zero + to * g->groups, g->zero + r * g->groups, (size_t)g->groups);
    }
    if (g->index) {
        p->index = mem_array((size_t)g->cols, sizeof *p->index);
        memcpy(p->index, g->index, (size_t)g->cols * sizeof *g->index);
    }
    return p;
}

static int hold_matrix(struct writer *x, const struct hf_item *item, struct err *err) {
    const struct hf_origin *o = hf_origin(x->w->source, item->i, item->mat);
    if (x->held && x->held->i == item->i && x->held->mat == item->mat)
        return 0;
    grouped_free(x->permuted);
    x->permuted = NULL;
    x->held = NULL;
    if (x->w->grouped(x->w->arg, item->i, item->mat, &x->grouped, err))
        return -1;
    x->held = item;
    if (o->permuted_heads)
        x->grouped = x->permuted = permute_rows(o, x->grouped, &x->w->scheme);
    return 0;
}

static int write_part(struct writer *x, const struct hf_item *item, struct st_writer *st,
                      struct err *err) {
    const struct source_tensor *t = &x->w->source->tensor[item->i];
    struct grouped sizes = {.rows = t->ne[1], .cols = t->ne[0]};
    if (item->part.what != LAYOUT_SHAPE && hold_matrix(x, item, err))
        return -1;
    void *data = mem_alloc(item->part.bytes);
    x->w->layout->pack(item->part.what == LAYOUT_SHAPE ? &sizes : x->grouped, &item->part, data);
    int rc = st_writer_data(st, data, item->part.bytes, err);
    free(data);
    return rc;
}

/* ---- other tensors ---------------------------------------------------------------------- */

/* v as an element of that type, and its bytes. */
static float store_value(int dtype, float v, void *out) {
    uint16_t h = dtype == ST_F16 ? block_to_half(v) : block_to_bf16(v);
    if (dtype == ST_F32)
        memcpy(out, &v, sizeof v);
    else
        memcpy(out, &h, sizeof h);
    return dtype == ST_F32 ? v : dtype == ST_F16 ? block_half(h) : block_bf16(h);
}

float hf_write_rounds(const struct source *s, uint64_t i, float v) {
    const struct hf_origin *o = hf_origin(s, i, 0);
    float stored;
    return o ? store_value(o->tensor->dtype, v - o->added, &stored) + o->added : v;
}

static int write_values(struct writer *x, const struct hf_item *item, struct st_writer *st,
                        struct err *err) {
    const struct source_tensor *t = &x->w->source->tensor[item->i];
    const struct hf_origin *o = hf_origin(x->w->source, item->i, 0);
    size_t size = st_dtype_bytes(item->dtype);
    int64_t n = t->rows * t->ne[0];
    const float *value;
    if (x->w->values(x->w->arg, item->i, &value, err))
        return -1;
    char *data = mem_alloc((size_t)item->bytes);
    for (int64_t k = 0; k < n; k++) {
        int64_t r = t->dims == 1 ? k : k / t->ne[0];
        int64_t to = hf_row(o, t->dims == 1 ? n : t->rows, r);
        int64_t at = t->dims == 1 ? to : to * t->ne[0] + k % t->ne[0];
        store_value(item->dtype, value[k] - o->added, data + (size_t)at * size);
    }
    int rc = st_writer_data(st, data, (size_t)item->bytes, err);
    free(data);
    return rc;
}

static int write_copy(const struct hf_item *item, struct st_writer *st, struct err *err) {
    int rc = st_writer_data(st, item->from->data, item->from->bytes, err);
    st_drop(item->from, 0, item->from->bytes);
    return rc;
}

/* ---- files ------------------------------------------------------------------------------ */

static int write_item(struct writer *x, const struct hf_item *item, struct st_writer *st,
                      struct err *err) {
    int rc = item->kind == HF_PART     ? write_part(x, item, st, err)
             : item->kind == HF_VALUES ? write_values(x, item, st, err)
                                       : write_copy(item, st, err);
    x->done += item->bytes;
    if (!rc && x->w->progress)
        x->w->progress(x->w->progress_arg, x->done, x->plan.bytes);
    return rc;
}

/* Items [first, end) of the plan are one file. */
static int write_shard(struct writer *x, const char *folder, size_t first, size_t end,
                       struct err *err) {
    char file[64];
    hf_plan_file(&x->plan, x->plan.item[first].shard, file);
    char *path = mem_printf("%s/%s", folder, file);
    struct st_writer *st = st_writer_new();
    st_put_meta(st, "format", "pt");            /* transformers asks for it */
    for (size_t k = first; k < end; k++) {
        const struct hf_item *t = &x->plan.item[k];
        st_put_tensor(st, t->name, t->dtype, t->dims, t->shape);
    }
    int rc = st_writer_begin(st, path, err);
    for (size_t k = first; k < end && !rc; k++)
        rc = write_item(x, &x->plan.item[k], st, err);
    if (!rc)
        rc = st_writer_finish(st, err);
    st_writer_free(st);
    free(path);
    return rc;
}

static int write_all(struct writer *x, const char *folder, struct err *err) {
    if (hf_write_files(x->w, &x->plan, folder, err))
        return -1;
    for (size_t first = 0; first < x->plan.n;) {
        size_t end = first;
        while (end < x->plan.n && x->plan.item[end].shard == x->plan.item[first].shard)
            end++;
        if (write_shard(x, folder, first, end, err))
            return -1;
        first = end;
    }
    return 0;
}

int hf_write(const struct hf_write *w, const char *path, struct err *err) {
    struct writer x = {.w = w};
    if (w->layout->check(&w->scheme, err) || hf_plan_make(&x.plan, w, err))
        return -1;
    struct outfolder *folder = outfolder_open(path, err);
    int rc = folder ? write_all(&x, outfolder_path(folder), err) : -1;
    if (folder && !rc)
        rc = outfolder_close(folder, err);
    else
        outfolder_abort(folder);
    grouped_free(x.permuted);
    hf_plan_free(&x.plan);
    return rc;
}
