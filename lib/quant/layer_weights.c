/* layer_weights.c - the matrices of a layer, and another set of them, see layer_weights.h
 *
 * The model stays mapped, in the file's layout, which is slow to multiply by: the layer at hand is
 * packed. What its matrices became is packed as halves, 2^-12 from the values at most: little
 * beside what quantizing moved.
 */
#include "lib/quant/layer_weights.h"

#include <stdlib.h>

#include "lib/base/mem.h"

#define AT(member) offsetof(struct model_layer, member)
const struct layer_input layer_inputs[LAYER_INPUTS] = {
    {3, {AT(attn_q), AT(attn_k), AT(attn_v)}, 0},
    {1, {AT(attn_out)}, 0},
    {2, {AT(ffn_gate), AT(ffn_up)}, 0},
    {1, {AT(ffn_down)}, 0},
    {2, {AT(sh_gate), AT(sh_up)}, 0},
    {1, {AT(sh_down)}, 0},
    {2, {AT(exp_gate), AT(exp_up)}, 1},
    {1, {AT(exp_down)}, 1},
};

int64_t layer_weight_tensor(const struct model *m, const struct source *s,
                            const struct kern_weight *w, int64_t mat, int64_t *inside) {
    int64_t n;
    const struct gguf_tensor *const *t = model_weight_tensors(m, w, &n);
    if (!t)
        return -1;
    const struct gguf_string name = t[n > 1 ? mat : 0]->name;
    char *text = mem_strndup(name.data, name.len);
    int64_t i = source_find(s, text);
    free(text);
    if (inside)
        *inside = n > 1 ? 0 : mat;
    return i;
}

/* Place of the weight at an offset among all. */
static int place_of(size_t offset) {
    int n = 0;
    for (int i = 0; i < LAYER_INPUTS; i++)
        for (int k = 0; k < layer_inputs[i].weights; k++, n++)
            if (layer_inputs[i].weight[k] == offset)
                return n;
    return -1;
}

static struct kern_weight *weight_at(struct layer_weights *w, size_t offset) {
    return (struct kern_weight *)((char *)&w->layer + offset);
}

/* Room for all matrices of a weight as `type`, which takes the place of the own one. */
static int make_room(struct layer_weights *w, const struct model_layer *own, size_t offset,
                     int type, struct err *err) {
    const struct kern_weight *from = layer_weight(own, offset);
    int place = place_of(offset);
    size_t mat_bytes = (kern_pack_bytes(type, from->rows, from->cols) + 63) / 64 * 64;
    w->bytes[place] = mat_bytes * (size_t)from->mats;
    w->data[place] = mem_map(w->bytes[place]);
    if (!w->data[place])
        return err_set(err, "no memory for a layer's weights, %zu MB", w->bytes[place] / 1000000);
    *weight_at(w, offset) = (struct kern_weight){
        .type = type, .layout = KERN_PACKED, .rows = from->rows, .cols = from->cols,
        .mats = from->mats, .mat_bytes = mat_bytes, .data = w->data[place]};
    return 0;
}

/* ---- as they are ------------------------------------------------------------------------ */

struct pack_job {
    const struct kern_weight *from;
    char *out;                  /* [mats] packed matrices */
    size_t mat_bytes;
};

static void pack_part(void *arg, int ith, int nth) {
    const struct pack_job *job = arg;
    const struct kern_weight *from = job->from;
    int64_t panels = (from->rows + KERN_PANEL - 1) / KERN_PANEL;
    int64_t total = panels * from->mats;
    for (int64_t at = total * ith / nth; at < total * (ith + 1) / nth; at++) {
        size_t mat = (size_t)(at / panels);
        kern_pack(from->type, from->rows, from->cols,
                  (const char *)from->data + mat * from->mat_bytes,
                  job->out + mat * job->mat_bytes, at % panels, at % panels + 1);
    }
}

int layer_weights_pack(struct layer_weights *w, const struct model_layer *own, struct par *par,
                      struct err *err) {
    *w = (struct layer_weights){.layer = *own};
    for (int i = 0; i < LAYER_INPUTS; i++)
        for (int k = 0; k < layer_inputs[i].weights; k++) {
            size_t offset = layer_inputs[i].weight[k];
            const struct kern_weight *from = layer_weight(own, offset);
            if (!from->data || from->layout == KERN_PACKED)
                continue;
            if (make_room(w, own, offset, from->type, err))
                return -1;
            struct pack_job job = {from, w->data[place_of(offset)],
                                   weight_at(w, offset)->mat_bytes};
            par_run(par, pack_part, &job);
        }
    return 0;
}

/* ---- as they became --------------------------------------------------------------------- */

struct set_job {
    const struct kern *k;
    const float *value;         /* [rows][cols] */
    int64_t rows, cols;
    char *out;                  /* panels of 16 rows as halves */
};

/* A panel's rows as halves in the file's layout, and then to their place. */
static void set_part(void *arg, int ith, int nth) {
    const struct set_job *job = arg;
    int64_t panels = (job->rows + KERN_PANEL - 1) / KERN_PANEL;
    size_t panel_bytes = kern_pack_bytes(KERN_F16, KERN_PANEL, job->cols);
    char *half = mem_array(KERN_PANEL, kern_row_bytes(KERN_F16, job->cols));
    for (int64_t p = panels * ith / nth; p < panels * (ith + 1) / nth; p++) {
        int64_t first = p * KERN_PANEL;
        int64_t rows = job->rows - first < KERN_PANEL ? job->rows - first : KERN_PANEL;
        job->k->quantize(KERN_F16, job->value + first * job->cols, half, rows, job->cols, NULL);
        kern_pack(KERN_F16, rows, job->cols, half, job->out + (size_t)p * panel_bytes, 0, 1);
    }
    free(half);
}

int layer_weights_set(struct layer_weights *w, const struct model_layer *own, size_t offset,
                     const struct layer_values *v, const struct kern *k, struct par *par,
                     struct err *err) {
    int place = place_of(offset);
    if (!w->data[place] && make_room(w, own, offset, KERN_F16, err))
        return -1;
    const struct kern_weight *to = weight_at(w, offset);
    struct set_job job = {.k = k, .value = v->value, .rows = v->rows, .cols = to->cols};
    job.out = (char *)w->data[place] + (size_t)v->mat * to->mat_bytes +
              kern_pack_bytes(KERN_F16, v->first, to->cols);
    par_run(par, set_part, &job);
    return 0;
}

void layer_weights_free(struct layer_weights *w) {
    for (int i = 0; i < LAYER_WEIGHTS; i++)
        if (w->data[i])
            mem_unmap(w->data[i], w->bytes[i]);
    *w = (struct layer_weights){0};
}
