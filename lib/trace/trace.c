/* trace.c - the run trace: JSON Lines, one record at a time (llm-trace(5))
 *
 * Records are written where the run makes them, between two passes, so a record must cost
 * microseconds: one buffer that is kept, no tree, one write.
 */
#include "lib/trace/trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/format/jsonw.h"
#include "lib/format/zio.h"

struct trace {
    struct zio *z;
    struct buf line;            /* of the record being made */
};

struct trace *trace_open(const char *path, struct err *err) {
    struct zio *z = zio_open_write(path, err);
    if (!z)
        return NULL;
    struct trace *t = mem_alloc(sizeof *t);
    t->z = z;
    return t;
}

static struct buf *begin(struct trace *t, const char *type) {
    t->line.len = 0;
    jsonw_open(&t->line, '{');
    jsonw_str(&t->line, "type", type);
    return &t->line;
}

static int end(struct trace *t, struct err *err) {
    jsonw_close(&t->line, '}');
    buf_addc(&t->line, '\n');
    if (zio_write(t->z, t->line.data, t->line.len, err) < 0)
        return -1;
    return zio_flush(t->z, err);
}

/* Counts that doubles hold: whole numbers while they are exact. */
static void put_count(struct buf *b, const char *key, double v) {
    if (v == floor(v) && fabs(v) <= 9007199254740992.0)
        jsonw_int(b, key, (int64_t)v);
    else
        jsonw_float(b, key, v);
}

static void put_u64(struct buf *b, const char *key, uint64_t v) {
    char text[24];
    if (v <= INT64_MAX) {
        jsonw_int(b, key, (int64_t)v);
    } else {
        snprintf(text, sizeof text, "%" PRIu64, v);
        jsonw_str(b, key, text);
    }
}

/* ---- run -------------------------------------------------------------------------------- */

/* One number when all layers agree, else an array with one for each. */
static void put_layers(struct buf *b, const char *key, const int64_t *v, int n) {
    int same = 1;
    for (int i = 1; i < n; i++)
        same &= v[i] == v[0];
    if (same) {
        jsonw_int(b, key, v[0]);
        return;
    }
    jsonw_open_key(b, key, '[');
    for (int i = 0; i < n; i++)
        jsonw_int(b, NULL, v[i]);
    jsonw_close(b, ']');
}

/* What differs from layer to layer, and the names that it has in a trace. */
static void put_all_layers(struct buf *b, const struct shape *s) {
    static const struct {
        const char *key;
        size_t at;
    } field[] = {
        {"heads", offsetof(struct shape_layer, heads)},
        {"kv_heads", offsetof(struct shape_layer, kv_heads)},
        {"dk", offsetof(struct shape_layer, dk)},
        {"dv", offsetof(struct shape_layer, dv)},
        {"window", offsetof(struct shape_layer, window)},
        {"d_ff", offsetof(struct shape_layer, d_ff)},
        {"experts", offsetof(struct shape_layer, experts)},
        {"top_k", offsetof(struct shape_layer, top_k)},
        {"d_expert", offsetof(struct shape_layer, d_expert)},
        {"d_shared", offsetof(struct shape_layer, d_shared)},
    };
    int64_t *v = mem_array((size_t)s->layers, sizeof *v);
    for (size_t f = 0; f < sizeof field / sizeof *field; f++) {
        for (int i = 0; i < s->layers; i++)
            v[i] = *(const int *)(const void *)((const char *)&s->layer[i] + field[f].at);
        put_layers(b, field[f].key, v, s->layers);
    }
    free(v);
    put_layers(b, "dense_bytes", s->dense_bytes, s->layers);
    put_layers(b, "expert_bytes", s->expert_bytes, s->layers);
}

static void put_shape(struct buf *b, const struct shape *s) {
    jsonw_open_key(b, "shape", '{');
    jsonw_str(b, "name", s->name);
    jsonw_str(b, "arch", s->arch);
    jsonw_str(b, "quant", s->quant);
    jsonw_int(b, "params", s->params);
    jsonw_int(b, "params_active", s->params_active);
    jsonw_int(b, "weight_bytes", s->weight_bytes);
    jsonw_int(b, "head_bytes", s->head_bytes);
    jsonw_int(b, "layers", s->layers);
    jsonw_int(b, "d_model", s->d_model);
    jsonw_int(b, "vocab", s->vocab);
    jsonw_int(b, "context", s->context);
    jsonw_bool(b, "tied", s->tied);
    jsonw_bool(b, "shared_gate", s->shared_gate);
    put_all_layers(b, s);
    jsonw_close(b, '}');
}

int trace_run(struct trace *t, const struct trace_run *run, struct err *err) {
    struct buf *b = begin(t, "run");
    jsonw_int(b, "format", 1);
    jsonw_str(b, "version", run->version);
    jsonw_str(b, "model", run->shape->name);
    jsonw_str(b, "file", run->model);
    put_shape(b, run->shape);
    jsonw_str(b, "kv_type", run->kv_type);
    jsonw_float(b, "kv_bits", run->kv_bits);
    put_count(b, "kv_token_bytes", shape_kv_bytes(run->shape, run->kv_bits));
    jsonw_str(b, "cpu", run->cpu);
    jsonw_str(b, "host_cpu", run->host_cpu);
    jsonw_int(b, "threads", run->threads);
    jsonw_int(b, "context", run->context);
    jsonw_int(b, "batch", run->batch);
    jsonw_int(b, "parallel", run->parallel);
    put_u64(b, "seed", run->seed);
    if (run->settings)
        jsonw_raw(b, "settings", run->settings);
    return end(t, err);
}

/* ---- step ------------------------------------------------------------------------------- */

static const char *phase_name(int phase) {
    return phase == TRACE_PREFILL ? "prefill" : phase == TRACE_DECODE ? "decode" : "mixed";
}

/* A pass of one request names it; one of several lists what each had in it. */
static void put_rows(struct buf *b, const struct trace_step *step) {
    if (step->n_rows == 1)
        jsonw_int(b, "request", step->rows[0].request);
    if (step->n_rows < 2)
        return;
    jsonw_int(b, "requests", step->n_rows);
    jsonw_open_key(b, "rows", '[');
    for (int i = 0; i < step->n_rows; i++) {
        const struct trace_step_row *r = &step->rows[i];
        jsonw_open(b, '{');
        jsonw_int(b, "request", r->request);
        jsonw_str(b, "phase", phase_name(r->phase));
        jsonw_int(b, "tokens", r->tokens);
        jsonw_int(b, "position", r->position);
        jsonw_close(b, '}');
    }
    jsonw_close(b, ']');
}

static void put_experts(struct buf *b, const struct trace_step *step) {
    if (step->experts_touched < 0)
        return;
    jsonw_int(b, "experts_touched", step->experts_touched);
    if (!step->experts_by_layer)
        return;
    jsonw_open_key(b, "experts_by_layer", '[');
    for (int i = 0; i < step->layers; i++)
        jsonw_int(b, NULL, step->experts_by_layer[i]);
    jsonw_close(b, ']');
}

int trace_step(struct trace *t, const struct trace_step *step, struct err *err) {
    struct buf *b = begin(t, "step");
    put_u64(b, "step", step->step);
    jsonw_str(b, "phase", phase_name(step->phase));
    jsonw_int(b, "tokens", step->tokens);
    jsonw_int(b, "position", step->position);
    jsonw_int(b, "logits", step->logits);
    jsonw_int(b, "start_ns", step->start_ns);
    jsonw_int(b, "ns", step->ns);
    put_count(b, "flops_attention", step->flops.attention);
    put_count(b, "flops_dense", step->flops.dense);
    put_count(b, "flops_experts", step->flops.experts);
    put_count(b, "flops_head", step->flops.head);
    put_count(b, "dense_read_bytes", step->bytes.dense);
    put_count(b, "experts_read_bytes", step->bytes.experts);
    put_count(b, "kv_read_bytes", step->bytes.kv_read);
    put_count(b, "kv_write_bytes", step->bytes.kv_write);
    put_experts(b, step);
    put_rows(b, step);
    if (!isnan(step->joules))
        jsonw_float_digits(b, "joules", step->joules, 7);
    return end(t, err);
}

/* ---- request ---------------------------------------------------------------------------- */

int trace_request(struct trace *t, const struct trace_request *r, struct err *err) {
    struct buf *b = begin(t, "request");
    jsonw_int(b, "request", r->request);
    if (r->id)
        jsonw_raw(b, "id", r->id);
    jsonw_str(b, "model", r->model);
    jsonw_int(b, "timestamp", r->timestamp_ms);
    jsonw_str(b, "time", r->time);
    jsonw_int(b, "input_length", r->input_length);
    jsonw_int(b, "output_length", r->output_length);
    jsonw_int(b, "cached_tokens", r->cached_tokens);
    if (r->ttft_ns >= 0)
        jsonw_int(b, "ttft_ns", r->ttft_ns);
    else
        jsonw_raw(b, "ttft_ns", "null");
    jsonw_int(b, "total_ns", r->total_ns);
    jsonw_str(b, "stop", r->stop);
    return end(t, err);
}

/* ---- close ------------------------------------------------------------------------------ */

static void trace_free(struct trace *t) {
    buf_free(&t->line);
    free(t);
}

int trace_close(struct trace *t, struct err *err) {
    int status = zio_close(t->z, err);
    trace_free(t);
    return status;
}

void trace_abort(struct trace *t) {
    if (!t)
        return;
    zio_abort(t->z);
    trace_free(t);
}
