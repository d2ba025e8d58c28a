/* cost_breakeven_own.c - devices of one's own: throughput, and the rent of every provider */
#include "cmd/cost_breakeven.h"

#include <stdlib.h>
#include <strings.h>

#include "lib/cost/roof.h"

#define BATCH_MOST 64
#define DEVICES_MOST 1024

struct rig {
    const char *spec;
    struct device *device;      /* NULL: only a name, as --throughput says the rest */
    struct plan_rig rig;
    int batch;
};

/* ---- how fast ----------------------------------------------------------------------------- */

/* --shape, else what the first book says of the model. */
static struct shape *shape_of(const struct breakeven_options *o, const struct breakeven *b,
                              int *mine) {
    const struct breakeven_side *s = &b->side[0];
    struct err e = {{0}};
    *mine = 0;
    if (o->shape.shape)
        return o->shape.shape;
    if (s->several)
        usage_die("--own: the records are of several models: expected --model or --shape");
    const struct book_model *m = &s->book->model[s->model];
    if (!m->shape)
        usage_die("--own: how fast the device is needs a shape: book %s has none of %s; --shape "
                  "names a model of comparable quality, as in llama-3.1-70b, or --throughput says "
                  "it", s->book->name, m->name);
    *mine = 1;
    struct shape *shape = shape_find(m->shape, &e);
    if (!shape)
        die_err(&e);
    return shape;
}

/* Of the trace's requests: the longest, and the mean while they are decoded, which each token made
 * counts once. */
static void contexts(const struct plan_trace *t, int64_t *longest, int64_t *mean) {
    double sum = 0;
    double output = 0;
    *longest = 1;
    for (size_t i = 0; i < t->n; i++) {
        const struct plan_item *q = &t->item[i];
        int64_t tokens = q->fresh + q->cached + q->output;
        sum += (double)q->output * (double)tokens;
        output += (double)q->output;
        *longest = tokens > *longest ? tokens : *longest;
    }
    *mean = output > 0 ? (int64_t)(sum / output) + 1 : 1;
}

/* As few devices as hold the weights and the longest request, and as many requests of the mean
 * length as fit then. */
static void fit(const struct breakeven_options *o, const struct plan_trace *t, struct rig *g,
                struct roof_setup *r, struct work_model *m) {
    int64_t longest;
    int64_t mean;
    contexts(t, &longest, &mean);
    r->tensor_parallel = o->devices ? o->devices : 1;
    while (!roof_fits(r, m, 1, longest)) {
        if (o->devices || r->tensor_parallel * 2 > DEVICES_MOST)
            usage_die("--own %s: %d of them do not hold the model and a request of %lld tokens: "
                      "expected more --devices, or a smaller --weight-type", g->spec,
                      r->tensor_parallel, (long long)longest);
        r->tensor_parallel *= 2;
    }
    m->batch = o->batch ? o->batch : 1;
    while (!o->batch && m->batch < BATCH_MOST && roof_fits(r, m, 2 * m->batch, mean))
        m->batch *= 2;
    g->batch = (int)m->batch;
    g->rig.devices = r->tensor_parallel;
}

static void model_rates(const struct breakeven_options *o, const struct breakeven *b,
                        struct rig *g) {
    const struct plan_trace *t = &b->side[0].trace;
    struct err e = {{0}};
    int mine;
    struct shape *shape = shape_of(o, b, &mine);
    struct work_model m = {.shape = shape, .kv_bits = o->shape.kv_bits,
                           .weight_bits = o->shape.weight_bits};
    struct roof_setup r = {.device = g->device, .type = o->compute};
    fit(o, t, g, &r, &m);
    if (plan_throughput(t, &r, &m, &g->rig.prefill_tps, &g->rig.decode_tps, &e))
        die_err(&e);
    if (!o->common.quiet)
        warn("%s: modelled for %s, %d device%s, batches of %d: %.4g prompt tokens a second, %.4g "
             "made", g->spec, shape->name, g->rig.devices, g->rig.devices == 1 ? "" : "s",
             g->batch, g->rig.prefill_tps, g->rig.decode_tps);
    if (mine)
        shape_free(shape);
}

/* ---- for how much ------------------------------------------------------------------------- */

static void add_rig(const struct breakeven_options *o, struct breakeven *b,
                    const struct breakeven_side *s, const struct rig *g, const char *provider) {
    char *name = mem_printf("own:%s%s%s", g->spec, provider ? "@" : "", provider ? provider : "");
    if (breakeven_wants(o, name)) {
        struct breakeven_way *w = breakeven_add(b, s, plan_own(&s->trace, name, &g->rig), 0);
        w->prefill_tps = g->rig.prefill_tps;
        w->decode_tps = g->rig.decode_tps;
        w->devices = g->rig.devices;
        w->batch = g->batch;
    }
    free(name);
}

static int is_rent_of(const struct book_gpu *p, const struct rig *g, int64_t time_ns) {
    return (!strcasecmp(p->device, g->spec) ||
            (g->device && !strcasecmp(p->device, g->device->name))) &&
           p->from_ns <= time_ns && time_ns < p->to_ns;
}

/* How many providers rent it out. */
static int add_rents(const struct breakeven_options *o, struct breakeven *b, struct rig *g) {
    int found = 0;
    for (int i = 0; i < b->sides; i++) {
        const struct book *book = b->side[i].book;
        for (int k = 0; k < book->gpus; k++) {
            if (!is_rent_of(&book->gpu[k], g, b->time_ns))
                continue;
            g->rig.rate = book->gpu[k].rate;
            g->rig.granule_ns = book->gpu[k].granule_ns;
            add_rig(o, b, &b->side[i], g, book->gpu[k].provider);
            found++;
        }
    }
    return found;
}

static int add_own(const struct breakeven_options *o, struct breakeven *b, const char *spec) {
    struct err e = {{0}};
    struct rig g = {.spec = spec, .rig = {.utilisation = o->utilisation}};
    int status = EXIT_DONE;
    if (o->prefill_tps > 0) {
        g.rig.prefill_tps = o->prefill_tps;
        g.rig.decode_tps = o->decode_tps;
        g.rig.devices = o->devices ? o->devices : 1;
        g.batch = o->batch;
    } else {
        g.device = device_find(spec, &e);
        if (!g.device)
            die_err(&e);
        model_rates(o, b, &g);
    }
    if (o->own_price >= 0) {
        g.rig.rate = o->own_price;
        add_rig(o, b, &b->side[0], &g, NULL);
    } else if (!add_rents(o, b, &g)) {
        warn("no price: no book rents out %s at that time: --own-price says what an hour costs",
             spec);
        status = EXIT_NOTHING;
    }
    device_free(g.device);
    return status;
}

int breakeven_own(const struct breakeven_options *o, struct breakeven *b) {
    int status = EXIT_DONE;
    for (int i = 0; i < o->owns && status == EXIT_DONE; i++)
        status = add_own(o, b, o->own[i]);
    return status;
}
