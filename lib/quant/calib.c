/* calib.c - calibration text on its way through a model, see calib.h */
#include "lib/quant/calib.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static size_t state_bytes(const struct calib *c) {
    return (size_t)c->chunks * (size_t)c->tokens * (size_t)c->d_model * sizeof *c->x;
}

float *calib_chunk(const struct calib *c, int i) {
    return c->x + (size_t)i * (size_t)c->tokens * (size_t)c->d_model;
}

struct calib *calib_new(struct session *s, int d_model, const int32_t *token, int chunks,
                        int tokens, struct err *err) {
    struct calib *c = mem_alloc(sizeof *c);
    *c = (struct calib){.session = s, .chunks = chunks, .tokens = tokens, .d_model = d_model};
    c->x = mem_map(state_bytes(c));
    if (!c->x) {
        err_set(err, "no memory for the hidden states of %d chunks of %d tokens, %zu MB", chunks,
                tokens, state_bytes(c) / 1000000);
        goto failed;
    }
    for (int i = 0; i < chunks; i++)
        if (session_embed(s, token + (size_t)i * (size_t)tokens, tokens, calib_chunk(c, i), err))
            goto failed;
    return c;
failed:
    calib_free(c);
    return NULL;
}

void calib_free(struct calib *c) {
    if (!c)
        return;
    if (c->x)
        mem_unmap(c->x, state_bytes(c));
    free(c);
}

static int all_finite(const float *x, size_t n) {
    float sum = 0;              /* times zero: NaN where one is not finite */
    for (size_t i = 0; i < n; i++)
        sum += x[i] * 0;
    return isfinite(sum);
}

int calib_run(struct calib *c, int layer, const struct model_layer *weights, int keep,
              struct err *err) {
    size_t n = (size_t)c->tokens * (size_t)c->d_model;
    float *work = mem_array(n, sizeof *work);
    int rc = 0;
    for (int i = 0; i < c->chunks && !rc; i++) {
        memcpy(work, calib_chunk(c, i), n * sizeof *work);
        rc = session_layer(c->session, layer, weights, work, c->tokens, err);
        if (!rc && !all_finite(work, n))
            rc = err_set(err, "layer %d, chunk %d: values that are not finite", layer, i);
        if (!rc && keep)
            memcpy(calib_chunk(c, i), work, n * sizeof *work);
        if (!rc && c->progress)
            c->progress(c->arg, i + 1);
    }
    free(work);
    return rc;
}
