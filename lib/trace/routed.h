/* routed.h - reads which experts each token was sent to, whoever wrote it down (llm-trace(5))
 *
 *     struct routed *r = routed_open("routes.npy.zst", &(struct routed_options){0}, &err);
 *     struct routed_rows rows;
 *     while ((rc = routed_next(r, &rows, &err)) == 1)
 *         for (int64_t i = 0; i < rows.n; i++)
 *             see(rows.expert + i * rows.stride);         // [layers][k]
 *     routed_close(r);
 *
 * The input is sniffed, plain or zstd, a file or a pipe ("-" is stdin):
 *
 *   route streams of llm-run (.npy)            llm-trace(5)
 *   BigMoeOnEdge's "# route_trace v1" (CSV)
 *   integer arrays [tokens][layers][k] (.npy), one a request
 *   JSON Lines: routed_experts of vLLM and SGLang (lists, base64 of .npy or int32, an object with
 *   dtype, shape and data), exp_ids [tokens][k][layers] of OLMoE
 *   count tables: a header line, then layer, expert, count and any other columns, by tabs or commas
 *
 * A pass is what went through the model at once: a step of llm-run; a turn's prefill, or one token
 * of decoding, of BigMoeOnEdge; elsewhere a record or array is one request, its prompt one pass
 * where the record says how long that is, and each further token a pass of its own. Every id and
 * number is checked.
 *
 * An input without a byte, a table without a row, and arrays without tokens are no error: the model
 * then has 0 layers, and there are no rows.
 */
#ifndef ROUTED_H
#define ROUTED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/shape/shape.h"
#include "lib/trace/trace.h"

struct routed;

enum routed_kind { ROUTED_TOKENS, ROUTED_COUNTS };

#define ROUTED_EXPERTS_MOST 32767

struct routed_options {
    int experts;                /* of a layer; 0: as the input or the shape says, else the largest
                                 * id + 1 */
    const struct shape *shape;  /* says experts, bytes and which layers have experts where the input
                                 * does not; NULL: none. Borrowed */
    const char *const *where;   /* [wheres] "column=value[,value]...": rows that hold them all. Of
                                 * tokens: request, step, position ("10-19" is a range), phase
                                 * (prefill, decode), and columns of the labels; of count tables any
                                 * column */
    int wheres;
    const char *labels;         /* table with a column request, and what requests are, see
                                 * routed_labels.h; NULL: none. Not for count tables */
};

struct routed_model {
    char name[128];             /* "" : not said */
    int layers;                 /* with experts; what is counted */
    int experts;                /* of a layer; where nothing says, the least it can be so far */
    int k;                      /* experts of a token, the most; 0: a count table does not say */
    int32_t *layer_index;       /* [layers] which of the model's layers */
    double *expert_bytes;       /* [layers] of one expert; 0: not said */
    double *dense_bytes;        /* [layers] the layer's other weights; 0: not said */
};

/* Tokens of one pass, all or a piece of them. All borrowed until the next call. */
struct routed_rows {
    int64_t n;                  /* at least 1 */
    int begins;                 /* 1: the first row begins a pass */
    const int16_t *expert;      /* row i from expert + i * stride on: [layers][k], -1: none */
    size_t stride;              /* in elements */
    const uint32_t *request;    /* [n] numbered from 0 where the input has no numbers */
    const uint32_t *step;       /* [n] */
    const uint32_t *position;   /* [n] in its request */
    const uint8_t *phase;       /* [n] TRACE_PREFILL or TRACE_DECODE; all prefill where not said */
    const uint8_t *accepted;    /* [n] 0: a drafted token that was taken back */
};

/* Reads up to what tells format and model. NULL: it cannot be read, or is none of these. */
struct routed *routed_open(const char *path, const struct routed_options *opt, struct err *err);
enum routed_kind routed_kind(const struct routed *r);
/* Its pointers stay until routed_close; experts may grow while rows are read. */
const struct routed_model *routed_model(const struct routed *r);
/* 1: rows, 0 the end, -1 an error that names file, line or array, what was expected and found. Not
 * for count tables. */
int routed_next(struct routed *r, struct routed_rows *out, struct err *err);
/* All of a count table, once: [layers][experts], the sums of the rows that hold; the caller frees.
 * layer_index are its layers, ascending. NULL on error. */
double *routed_counts(struct routed *r, struct err *err);
int64_t routed_bytes(const struct routed *r);           /* read so far, decompressed */
const char *routed_name(const struct routed *r);        /* of the input, for messages */
void routed_close(struct routed *r);                    /* NULL is fine */

/* A model of one's own, and its end. */
void routed_model_copy(struct routed_model *to, const struct routed_model *from);
void routed_model_free(struct routed_model *m);

/* ---- all of it ---------------------------------------------------------------------------- */

/* A trace in memory: 2 bytes for a routed pair, some 18 for a token. */
struct routed_set {
    struct routed_model model;
    int64_t tokens, passes;
    int16_t *expert;            /* [tokens][layers][k] */
    int64_t *pass;              /* [passes + 1] its first token */
    uint32_t *request, *step, *position;        /* [tokens] */
    uint8_t *phase, *accepted;
};

/* NULL on error, also for a count table. Rows of an empty trace: tokens 0. */
struct routed_set *routed_read(const char *path, const struct routed_options *opt,
                               struct err *err);
/* The same of what is open and was not read yet. */
struct routed_set *routed_rest(struct routed *r, struct err *err);
void routed_set_free(struct routed_set *s);             /* NULL is fine */
/* Experts of a token in a layer: [k]. */
static inline const int16_t *routed_at(const struct routed_set *s, int64_t token, int layer) {
    return s->expert + ((size_t)token * (size_t)s->model.layers + (size_t)layer)
        * (size_t)s->model.k;
}

#endif
