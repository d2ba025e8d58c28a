/* trace.h - what a run leaves behind: the run trace (JSON Lines) and the route stream (.npy)
 *
 *     struct trace *t = trace_open("run.jsonl.zst", &err);
 *     trace_run(t, &run, &err);                   // once, first
 *     trace_step(t, &step, &err);                 // one per pass through the model
 *     trace_request(t, &request, &err);           // when a request is done
 *     trace_close(t, &err);
 *
 * Formats: llm-trace(5). Records leave the program as they are made, so that a reader at the
 * other end of a pipe sees them while the run goes on.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/shape/shape.h"

struct trace;
struct routes;

/* The first record: all that an analysis needs in place of the model file. */
struct trace_run {
    const struct shape *shape;
    const char *model;          /* path as given */
    const char *kv_type;        /* "f16", "q8_0", "f32" */
    double kv_bits;             /* bits per KV element */
    const char *cpu;            /* kernel variant and what it uses */
    const char *host_cpu;       /* processor's name */
    int threads;
    int context, batch, parallel;
    uint64_t seed;
    const char *settings;       /* sampling settings as a JSON object, or NULL */
    const char *version;
};

enum trace_phase { TRACE_PREFILL, TRACE_DECODE, TRACE_MIXED };

struct trace_step_row {         /* the rows of one request in a pass */
    uint32_t request;
    int phase;                  /* TRACE_PREFILL or TRACE_DECODE */
    int tokens;
    int64_t position;           /* of the first */
};

struct trace_step {
    uint64_t step;
    int phase;
    int tokens;                 /* rows of the pass */
    int64_t position;           /* of the first row */
    int64_t start_ns, ns;       /* start since the run's first pass, and duration */
    struct shape_flops flops;
    struct shape_bytes bytes;
    int logits;                 /* rows whose logits were computed */
    int64_t experts_touched;    /* distinct experts, summed over layers; -1: not an MoE */
    const int32_t *experts_by_layer;    /* [layers] distinct experts, or NULL */
    int layers;
    const struct trace_step_row *rows;
    int n_rows;
    double joules;              /* of the machine, since the last step that has them or the first
                                 * pass began; NAN: not read after this one */
};

struct trace_request {
    uint32_t request;
    const char *id;             /* JSON text of the id (quoted string or number), or NULL */
    const char *model;
    int64_t timestamp_ms;       /* arrival, since the run began */
    const char *time;           /* RFC 3339 of the arrival */
    int64_t input_length, output_length, cached_tokens;
    int64_t ttft_ns, total_ns;  /* from arrival; ttft -1 when nothing was made */
    const char *stop;           /* "eos", "stop", "length", "context", ... */
};

struct trace *trace_open(const char *path, struct err *err);
int trace_run(struct trace *t, const struct trace_run *run, struct err *err);
int trace_step(struct trace *t, const struct trace_step *step, struct err *err);
int trace_request(struct trace *t, const struct trace_request *r, struct err *err);
int trace_close(struct trace *t, struct err *err);      /* frees always */
void trace_abort(struct trace *t);

/* ---- routes ----------------------------------------------------------------------------- */

/* Opens the stream and writes the one-record header array. model is cut to 64 bytes. layers are
 * those of s that have experts. */
struct routes *routes_open(const char *path, const struct shape *s, struct err *err);

/* One pass: n rows; expert and weight are [n][moe layers][k], k the largest top_k. Written as one
 * structured array (request u32, step u32, phase u8, accepted u8, position u32, token i32,
 * expert i16[layers][k], weight f32[layers][k]). */
struct routes_pass {
    int n;
    uint32_t step;
    const uint32_t *request;    /* [n] */
    const uint8_t *phase;       /* [n] enum trace_phase */
    const int32_t *position;    /* [n] */
    const int32_t *token;       /* [n] */
    const int32_t *expert;      /* -1: none */
    const float *weight;
};
int routes_pass(struct routes *r, const struct routes_pass *p, struct err *err);
int routes_close(struct routes *r, struct err *err);
void routes_abort(struct routes *r);

#endif
