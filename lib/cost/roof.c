/* roof.c - the time of each operator of a pass, and what follows, see roof.h */
#include "lib/cost/roof.h"

#include <math.h>
#include <string.h>

/* Rates of one device, and how the work is shared out. */
struct rates {
    double many_s, few_s;       /* seconds for a FLOP: products of many rows, of one */
    double score_s;
    double vector_s;            /* for a FLOP's worth of what lies between the products */
    int overlaps;               /* reading hides behind arithmetic */
    double byte_s;              /* seconds to read a byte of weights or KV */
    double tp, ep;
    double row_share;           /* of the rows, on the busiest group */
    double kv_share;            /* of a sequence's KV, on each device of a group */
};

static double at_least_1(int n) {
    return n > 1 ? n : 1;
}

/* A factor of struct roof_fit. */
static double times(double factor) {
    return factor > 0 ? factor : 1;
}

int roof_devices(const struct roof_setup *r) {
    return (int)(at_least_1(r->tensor_parallel) * at_least_1(r->expert_parallel));
}

const char *roof_bound_name(int bound) {
    static const char *const names[] = {"compute", "memory", "link", "fixed"};
    return names[bound];
}

/* ---- where data lies ---------------------------------------------------------------------- */

/* Bytes of the routed experts of all layers. */
static double expert_bytes(const struct work_model *m) {
    const struct shape *s = m->shape;
    double sum = 0;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        double one = m->weight_bits > 0 ? 3.0 * l->d_expert * s->d_model * m->weight_bits / 8
                                        : (double)s->expert_bytes[i];
        sum += l->experts * one;
    }
    return sum;
}

/* Of the KV of a sequence, what each of tp devices keeps: the KV heads are shared out, and where
 * these are fewer several devices have the same; the latent of MLA belongs to all heads. */
static double kv_share(const struct work_model *m, double tp) {
    const struct shape *s = m->shape;
    double all = 0;
    double one = 0;
    for (int i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        double elements = l->kv_latent ? l->kv_latent + l->rope_dims
                                       : (double)l->kv_heads * (l->dk + l->dv);
        all += elements;
        one += elements / (l->kv_latent ? 1 : fmin(tp, l->kv_heads));
    }
    return all > 0 ? one / all : 1 / tp;
}

static double on_one(const struct roof_setup *r, const struct work_model *m, double kv) {
    double tp = at_least_1(r->tensor_parallel);
    double ep = at_least_1(r->expert_parallel);
    double experts = expert_bytes(m);
    return (work_weight_bytes(m) - experts) / tp + experts / (tp * ep) + kv * kv_share(m, tp) / ep;
}

double roof_resident(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
                     int64_t tokens) {
    return on_one(r, m, (double)sequences * work_kv_bytes(m, tokens));
}

int roof_memory(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
                int64_t tokens) {
    double left = roof_resident(r, m, sequences, tokens);
    for (int i = 0; i < r->device->memories; i++) {
        left -= r->device->memory[i].capacity_bytes;
        if (left <= 0)
            return i;
    }
    return -1;
}

int roof_fits(const struct roof_setup *r, const struct work_model *m, int64_t sequences,
              int64_t tokens) {
    return roof_memory(r, m, sequences, tokens) == 0;
}

/* What does not fit anywhere counts as if the last memory were larger. */
double roof_read_s(const struct roof_setup *r, double resident) {
    const struct device *d = r->device;
    double covered = 0;         /* share of the data that lies in a faster place */
    double sum = 0;
    for (int i = 0; i < d->caches && covered < 1; i++) {
        double share = resident > 0 ? fmin(1, d->cache[i].bytes / resident) : 1;
        sum += fmax(share - covered, 0) / d->cache[i].read_bytes_per_s;
        covered = fmax(share, covered);
    }
    double room = 0;
    for (int i = 0; i < d->memories && covered < 1; i++) {
        const struct device_memory *mem = &d->memory[i];
        room += mem->capacity_bytes;
        double share = i == d->memories - 1 || room >= resident ? 1 : room / resident;
        sum += fmax(share - covered, 0) / device_read_rate(mem);
        covered = fmax(share, covered);
    }
    return sum / times(r->fit.memory);
}

/* ---- rates -------------------------------------------------------------------------------- */

static const struct device_compute *find_compute(const struct device *d, const char *type) {
    for (int i = 0; i < d->computes; i++)
        if (type && !strcmp(d->compute[i].type, type))
            return &d->compute[i];
    return NULL;
}

/* Measured by llm-bench device: a processor that llm-run works on. */
static int is_measured(const struct device *d) {
    return d->barrier_s > 0 || d->caches > 0;
}

/* Scores are products of floating-point numbers, whatever the weights are: of 32 bits in llm-run,
 * of 16 or 32 on GPUs. */
static const struct device_compute *find_scores(const struct device *d,
                                                const struct device_compute *products) {
    static const char *const wide[] = {"bf16", "f16", "tf32", "f32"};
    const struct device_compute *f32 = find_compute(d, "f32");
    if (is_measured(d) && f32)
        return f32;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (!strcmp(products->type, wide[i]))
            return products;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        const struct device_compute *c = find_compute(d, wide[i]);
        if (c)
            return c;
    }
    return products;
}

/* Weights that a processor's kernels multiply as whole numbers. */
static int is_quantized(const struct work_model *m) {
    const char *stored = m->shape->quant;
    return m->weight_bits > 0 ? m->weight_bits < 16
         : strcmp(stored, "F32") && strcmp(stored, "F16") && strcmp(stored, "BF16");
}

const char *roof_type(const struct device *d, const struct work_model *m) {
    static const char *const on_gpu[] = {"bf16", "f16", NULL};
    static const char *const whole[] = {"int8", "bf16", "f32", NULL};
    static const char *const brain[] = {"bf16", "f32", NULL};
    static const char *const wide[] = {"f32", "bf16", NULL};
    int host = d->memories && !strcmp(d->memory[0].name, "host");
    const char *const *type = !host                          ? on_gpu
                              : is_quantized(m)              ? whole
                              : strcmp(m->shape->quant, "BF16") ? wide : brain;
    for (; *type; type++)
        if (find_compute(d, *type))
            return *type;
    return d->computes ? d->compute[0].type : NULL;
}

/* What products of one row reach of the peak on a processor, by the arithmetic that its weights
 * lead to: they are unpacked (int8) or widened (f32) on the way. Of llm-run's kernels on AVX-512,
 * with the weights in a cache. */
static double few_share(const struct device *d, const struct device_compute *c) {
    if (!is_measured(d))
        return c->achieved;
    double share = !strcmp(c->type, "int8") ? 0.14 : 0.32;
    return fmin(share, c->achieved);
}

/* llm-bench device times products with weights of 8 bits; unpacking fewer takes a little longer. */
#define BELOW_8_BITS 0.94

static double many_share(const struct device *d, const struct device_compute *c,
                         const struct work_model *m) {
    const struct shape *s = m->shape;
    double bits = m->weight_bits > 0 ? m->weight_bits
                : s->params > 0 ? 8.0 * (double)s->weight_bytes / (double)s->params : 16;
    return is_measured(d) && bits < 8 ? BELOW_8_BITS * c->achieved : c->achieved;
}

/* What takes time beside FLOPs, in FLOPs of the f32 peak: a row at a matrix (its quantization and
 * packing begin, tiles have edges), and an element that goes into a matrix or comes out of one. */
#define MATRIX_FLOPS 40e3
#define ELEMENT_FLOPS 30.0
#define SCORES_REACH 0.8        /* of what products of f32 reach */

/* Seconds for a FLOP of the f32 peak; 0: products alone take time. */
static double vector_s(const struct device *d) {
    const struct device_compute *f32 = find_compute(d, "f32");
    return is_measured(d) && f32 ? 1 / f32->flops_per_s : 0;
}

static int set_rates(const struct roof_setup *r, const struct work_model *m, const struct work *w,
                     struct rates *out, struct err *err) {
    const struct device *d = r->device;
    const struct roof_fit *f = &r->fit;
    const char *type = r->type ? r->type : roof_type(d, m);
    const struct device_compute *c = find_compute(d, type);
    if (!c)
        return err_set(err, "%s: expected arithmetic of type %s, found none", d->name,
                       type ? type : "any");
    if (!d->memories)
        return err_set(err, "%s: expected a memory, found none", d->name);
    const struct device_compute *scores = find_scores(d, c);
    out->many_s = 1 / (c->flops_per_s * many_share(d, c, m) * times(f->compute));
    out->few_s = 1 / (c->flops_per_s * few_share(d, c) * times(f->compute_few));
    out->score_s = 1 / (scores->flops_per_s * scores->achieved * times(f->scores));
    if (is_measured(d))
        out->score_s /= SCORES_REACH;
    out->vector_s = vector_s(d) / times(f->vectors);
    out->overlaps = !is_measured(d);
    out->tp = at_least_1(r->tensor_parallel);
    out->ep = at_least_1(r->expert_parallel);
    out->kv_share = kv_share(m, out->tp);
    double passes = w->passes > 0 ? w->passes : 1;
    double rows = fmax(w->rows / passes, 1);
    out->row_share = fmax(1 / out->ep, 1 / rows);
    out->byte_s = roof_read_s(r, on_one(r, m, w->bytes.kv_read / passes));
    return 0;
}

/* ---- operators ---------------------------------------------------------------------------- */

/* GPUs hide the shorter of the two behind the longer one. A processor's thread does both, and is
 * late with what it loads while it computes: the root of the sum of squares, which is nearly the
 * longer one where they differ much. */
static void add_operator(const struct rates *x, double compute_s, double memory_s,
                         struct roof *out) {
    out->compute_s += compute_s;
    out->memory_s += memory_s;
    out->seconds += x->overlaps ? fmax(compute_s, memory_s) : hypot(compute_s, memory_s);
}

/* FLOPs over weights of which one row makes one_row, and bytes to read, all on one device. */
static void add_product(const struct rates *x, double flops, double one_row, double bytes,
                        struct roof *out) {
    one_row = fmin(one_row, flops);
    add_operator(x, flops * x->many_s + one_row * fmax(x->few_s - x->many_s, 0),
                 bytes * x->byte_s, out);
}

/* FLOPs that one row makes of each byte of expert weights, mean over layers. */
static double flops_per_expert_byte(const struct work_model *m) {
    const struct shape *s = m->shape;
    double flops = 0;
    for (int i = 0; i < s->layers; i++)
        flops += 6.0 * s->layer[i].experts * s->layer[i].d_expert * s->d_model;
    double bytes = expert_bytes(m);
    return bytes > 0 ? flops / bytes : 0;
}

/* What lies between the products for a row in a layer, in FLOPs of the f32 peak. */
static double between(const struct shape *s, const struct shape_layer *l) {
    double d = s->d_model;
    double heads = (double)l->heads * (l->dk + l->dv) + (double)l->kv_heads * (l->dk + l->dv);
    double elements = 3 * d + heads;
    double matrices = 4;
    if (l->d_ff + l->d_shared) {
        elements += 2 * d + 3.0 * (l->d_ff + l->d_shared);
        matrices += 3;
    }
    if (l->experts) {
        elements += d + l->experts + l->top_k * (2 * d + 3.0 * l->d_expert);
        matrices += 1 + 3.0 * l->top_k;
    }
    return elements * ELEMENT_FLOPS + matrices * MATRIX_FLOPS;
}

static double all_between(const struct work_model *m) {
    double sum = 0;
    for (int i = 0; i < m->shape->layers; i++)
        sum += between(m->shape, &m->shape->layer[i]);
    return sum;
}

/* All but experts is read by every group, for its share of the rows. */
static void add_operators(const struct rates *x, const struct work_model *m, const struct work *w,
                          struct roof *out) {
    double one = w->rows > 0 ? w->passes / w->rows : 1;     /* of a pass's rows */
    double share = x->row_share / x->tp;
    double all = 1 / (x->tp * x->ep);
    double projections = w->flops.attention - w->score_flops;
    double head_one = 2.0 * m->shape->vocab * m->shape->d_model * w->passes;
    double dense_bytes = w->bytes.dense - w->attention_bytes - w->head_bytes;
    double kv = (w->bytes.kv_read + w->bytes.kv_write) * x->row_share * x->kv_share;
    double drafts = m->draft > 0 ? m->draft : 1;
    add_product(x, projections * share, projections * one / x->tp, w->attention_bytes / x->tp,
                out);
    add_operator(x, w->score_flops * share * x->score_s,
                 (kv + w->score_bytes * share) * x->byte_s, out);
    add_product(x, w->flops.dense * share, w->flops.dense * one / x->tp, dense_bytes / x->tp, out);
    add_product(x, w->flops.experts * all, w->bytes.experts * flops_per_expert_byte(m) * all,
                w->bytes.experts * all, out);
    add_product(x, w->flops.head * share, head_one / x->tp, w->head_bytes / x->tp, out);
    add_operator(x, w->rows * all_between(m) * share * x->vector_s, 0, out);
    add_product(x, w->draft_flops * share, w->draft_flops / drafts * share,
                w->draft_bytes / x->tp, out);
}

/* ---- links and fixed costs ---------------------------------------------------------------- */

static int moe_layers(const struct shape *s) {
    int n = 0;
    for (int i = 0; i < s->layers; i++)
        n += s->layer[i].experts > 0;
    return n;
}

static int widest_top_k(const struct shape *s) {
    int k = 0;
    for (int i = 0; i < s->layers; i++)
        if (s->layer[i].top_k > k)
            k = s->layer[i].top_k;
    return k;
}

/* Latency of an exchange in steps that double (as switches allow), bandwidth of a ring. */
static int add_links(const struct roof_setup *r, const struct rates *x, const struct work_model *m,
                     const struct work *w, struct roof *out, struct err *err) {
    const struct device *d = r->device;
    const struct device_link *l = NULL;
    if (x->tp * x->ep == 1)
        return 0;
    for (int i = 0; i < d->links && !l; i++)
        if (!r->link || !strcmp(d->link[i].name, r->link))
            l = &d->link[i];
    if (!l)
        return err_set(err, "%s: expected a link%s%s between devices, found none", d->name,
                       r->link ? " " : "", r->link ? r->link : "");
    const struct shape *s = m->shape;
    double vectors = w->rows * x->row_share * s->d_model * ROOF_VECTOR_BITS / 8;
    if (x->tp > 1)
        out->link_s += 2.0 * s->layers *
                       (2 * (x->tp - 1) / x->tp * vectors / l->bytes_per_s +
                        2 * ceil(log2(x->tp)) * l->latency_s * w->passes);
    if (x->ep > 1)
        out->link_s += 2.0 * moe_layers(s) *
                       (fmin(widest_top_k(s), x->ep) * (x->ep - 1) / x->ep * vectors / x->tp /
                            l->bytes_per_s + l->latency_s * w->passes);
    return 0;
}

static double fixed_s(const struct roof_setup *r, const struct work_model *m,
                      const struct work *w) {
    double layers = m->shape->layers;
    if (m->draft > 0 && m->draft_shape && w->draft_flops > 0)
        layers += (double)m->draft * m->draft_shape->layers;
    return w->passes * layers * ROOF_BARRIERS * r->device->barrier_s * times(r->fit.fixed);
}

static double joules(const struct roof_setup *r, const struct roof *t, double busy_s) {
    const struct device *d = r->device;
    double idle = d->idle_w > 0 ? d->idle_w : ROOF_IDLE * d->max_w;
    if (!(d->max_w > 0))
        return NAN;
    return roof_devices(r) * (idle * t->seconds + (d->max_w - idle) * busy_s);
}

static int largest(const struct roof *t, double busy_s) {
    double link = t->link_s;
    double fixed = t->fixed_s;
    if (busy_s >= link && busy_s >= fixed)
        return t->compute_s > t->memory_s ? ROOF_COMPUTE : ROOF_MEMORY;
    return link >= fixed ? ROOF_LINK : ROOF_FIXED;
}

int roof_time(const struct roof_setup *r, const struct work_model *m, const struct work *w,
              struct roof *out, struct err *err) {
    struct rates x = {0};
    *out = (struct roof){0};
    if (set_rates(r, m, w, &x, err))
        return -1;
    add_operators(&x, m, w, out);
    double busy_s = out->seconds;
    if (add_links(r, &x, m, w, out, err))
        return -1;
    out->fixed_s = fixed_s(r, m, w);
    out->seconds = busy_s + out->link_s + out->fixed_s;
    out->bound = largest(out, busy_s);
    out->joules = joules(r, out, busy_s);
    return 0;
}
