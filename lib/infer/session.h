/* session.h - run a model: sequences of tokens through the forward pass, with a paged KV cache
 *
 * A session holds the KV cache of up to `sequences` timelines over one model, and scratch
 * memory made once. The unit of work is a pass over rows {sequence, position, token, want
 * logits}; rows of several sequences, prefill and decode, may share a pass. Rows of one
 * sequence come in ascending position, starting at its length. A row's result depends neither
 * on the other rows nor on the thread count.
 *
 *     struct session *s = session_new(model, kern, par, &opt, &err);
 *     session_pass(s, rows, n, &pass, &err);
 *     const float *logits = pass.logits;       // of the wanted rows, in order
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/model/model.h"
#include "lib/shape/shape.h"

struct session;

/* Most weights that multiply one input: router, gate and up of a shared expert, its own router. */
enum { SESSION_SHARED = 4 };

/* What a product of the pass multiplies: the statistics that quantizers need. */
struct session_input {
    int layer;                  /* -1: the head */
    /* The weights that multiply it, n of them: members of the model's own layer (or &model->head),
     * whose tensors model_weight_tensors tells. Gate, up and router of a layer share one input. */
    const struct kern_weight *const *weight;
    int weights;
    int expert;                 /* which matrix of stacked experts; -1: they are not experts */
    const float *x;             /* [n][cols], borrowed */
    int n;
    int64_t cols;
    const int32_t *row;         /* [n] which row of the pass each is; NULL: 0, 1, 2 ... */
};

/* fn is called before each product, experts one after another, those without rows not at all. All
 * rows of a pass then go through every layer. */
struct session_tap {
    void (*fn)(void *arg, const struct session_input *in);
    void *arg;
};

struct session_options {
    int context;                /* tokens a sequence may hold */
    int sequences;              /* timelines, at least 1 */
    int batch;                  /* most rows of a pass */
    int kv_type;                /* KERN_F16, KERN_F32, KERN_Q8_0 */
    int routes;                 /* keep expert choices of every row: the last layer then runs all rows */
    int hidden;                 /* keep the final normed hidden state of every row */
    struct session_tap tap;     /* fn NULL: none */
};

struct session_row {
    int seq;
    int32_t pos;
    int32_t token;
    int want_logits;
};

/* What a pass did. Pointers are borrowed until the next pass. */
struct session_pass {
    const float *logits;        /* [wanted][vocab]; NULL when a sink took them */
    int wanted;
    const float *hidden;        /* [n][d_model] after the final norm, with options.hidden */
    const int32_t *expert;      /* [n][moe layers][top_k], with options.routes */
    const float *weight;
    int64_t ns;                 /* time from start to end */
    struct shape_flops flops;
    struct shape_bytes bytes;
    int64_t experts_touched;    /* distinct experts summed over layers, -1: dense model */
    const int32_t *experts_by_layer;    /* [layers] */

    /* Set before the call: takes logits in portions of rows instead of all at once (a vocabulary
     * of 262,144 makes a row of 1 MiB). first counts wanted rows. */
    void (*sink)(void *arg, const float *logits, int first, int n);
    void *sink_arg;
};

struct session *session_new(const struct model *m, const struct kern *k, struct par *par,
                            const struct session_options *opt, struct err *err);
void session_free(struct session *s);

/* One pass. Fails (before any work) when a position does not follow its sequence, the context is
 * full, or a token is outside the vocabulary. */
int session_pass(struct session *s, const struct session_row *rows, int n,
                 struct session_pass *pass, struct err *err);

/* ---- layer by layer -----------------------------------------------------------------------
 *
 * For quantizers: a layer is calibrated on what the quantized layers before it give. x is
 * [n][d_model], n at most options.batch and options.context: one sequence from position 0, its
 * keys and values being those of this call alone (sequence 0 is emptied).
 */

/* x = the embeddings of tokens, scaled as the model does. Fails on one outside the vocabulary. */
int session_embed(struct session *s, const int32_t *token, int n, float *x, struct err *err);
/* x goes through one layer, in place. weights: another set of this layer's (of any type and
 * layout), or NULL: the model's own; the tap names the model's own in both cases. */
int session_layer(struct session *s, int layer, const struct model_layer *weights, float *x, int n,
                  struct err *err);
/* Logits of x after the last layer; the sink as in struct session_pass. */
int session_logits(struct session *s, const float *x, int n,
                   void (*sink)(void *arg, const float *logits, int first, int n), void *arg,
                   struct err *err);

int session_length(const struct session *s, int seq);
int session_context(const struct session *s);
/* Cuts sequence seq to `length` tokens. -1 when a sliding window has already forgotten what
 * would be needed (then cut to 0 and prefill again). */
int session_truncate(struct session *s, int seq, int length);
size_t session_kv_bytes(const struct session *s);
struct kern_queue *session_queue(struct session *s);    /* for operations on a pass's results */

#endif
