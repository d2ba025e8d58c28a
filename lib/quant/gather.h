/* gather.h - importance from a session at work: sums of squares of what every matrix multiplies
 *
 *     struct gather *g = gather_new(model, par, 0);
 *     struct session *s = session_new(..., &(struct session_options){.tap = gather_tap(g), ...});
 *     session_pass(...);  if (gather_check(g, &err)) ...
 *     gather_finish(g, imatrix, &err);
 *
 * Sums are doubles, in order of the rows, whatever the threads and however rows are cut into
 * passes. Matrices that multiply the same rows (q, k and v; gate, up and router) share their sums.
 * Covered are the matrices of all layers, and the head if asked.
 */
#ifndef GATHER_H
#define GATHER_H

#include "lib/base/err.h"
#include "lib/base/par.h"
#include "lib/infer/session.h"
#include "lib/model/model.h"
#include "lib/quant/imatrix.h"

struct gather;

/* m and par (the team that runs the session) are borrowed. head: sums for the head, too. */
struct gather *gather_new(const struct model *m, struct par *par, int head);
void gather_free(struct gather *g);
struct session_tap gather_tap(struct gather *g);

/* x[n][d_model] goes into the head: for passes that keep hidden states instead of wanting logits,
 * whose products nobody needs. */
void gather_head(struct gather *g, const float *x, int n);

/* -1 once a value was not finite: names the tensor. */
int gather_check(const struct gather *g, struct err *err);
/* An entry for each tensor in m, which is empty; also for one that saw nothing. Old models with a
 * tensor for each expert get as many. Names are those of the model's file: a tied head is
 * "token_embd.weight". -1 as gather_check, or when a sum is too large for a float. */
int gather_finish(const struct gather *g, struct imatrix *m, struct err *err);

#endif
