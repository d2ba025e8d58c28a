/* nearest.h - predicts a number for a request from the requests that are most like it
 *
 *     nearest_predict(&train, gain, &judged, 10, par, score);
 *
 * The mean over the k nearest neighbours by the cosine of their embeddings. What must not be known
 * is not: a request is never its own neighbour, nor is another with the same prompt.
 */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>
#include <stdint.h>

#define NEAREST_MOST 1000       /* neighbours */

struct nearest_set {            /* all borrowed */
    size_t n, dim;
    const float *const *x;      /* [n] rows of [dim]; a row that is not finite, or all 0: none */
    const uint64_t *prompt;     /* [n] hash of the prompt, 0: none */
};

/* out[to->n]: the mean of value[from->n] over the k nearest of `from`, of so many as there are; of
 * requests without an embedding, or without neighbours, the mean of all. Of neighbours that are as
 * near, the first is taken. `from` may be `to`: each is then left out for itself. par: a team of
 * threads (lib/base/par.h), NULL: none; the result does not depend on it. Takes some
 * n * n * dim / 4 cycles. */
void nearest_predict(const struct nearest_set *from, const double *value,
                     const struct nearest_set *to, int k, void *par, double *out);

#endif
