/* calib.h - calibration text on its way through a model, layer by layer
 *
 *     struct calib *c = calib_new(session, d_model, ids, chunks, tokens, &err);    // embedded
 *     for (layer = 0; ...) {
 *         calib_run(c, layer, NULL, 0, &err);          // the session's tap sees every input
 *         ... quantize the layer ...
 *         calib_run(c, layer, &quantized, 1, &err);    // and on to the next
 *     }
 *
 * Holds the hidden states of all tokens: chunks * tokens * d_model floats, nothing else grows.
 */
#ifndef CALIB_H
#define CALIB_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/infer/session.h"

struct calib {
    struct session *session;    /* borrowed; context and batch at least `tokens` */
    int chunks, tokens, d_model;
    float *x;                   /* [chunks][tokens][d_model], mapped */
    /* Chunks of the running calib_run that are done; or NULL. */
    void (*progress)(void *arg, int done);
    void *arg;
};

/* token[chunks][tokens]. NULL on error (memory, a token outside the vocabulary). */
struct calib *calib_new(struct session *s, int d_model, const int32_t *token, int chunks,
                        int tokens, struct err *err);
void calib_free(struct calib *c);           /* NULL is fine */
/* The states of chunk i, [tokens][d_model]. */
float *calib_chunk(const struct calib *c, int i);
/* Runs every chunk through a layer, with other weights if any; keep: the outputs become x. The
 * tap sees the inputs in both cases. Fails on states that are not finite. */
int calib_run(struct calib *c, int layer, const struct model_layer *weights, int keep,
              struct err *err);

#endif
