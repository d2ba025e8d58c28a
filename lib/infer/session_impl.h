/* session_impl.h - what the files of a session share
 *
 *   session.c          memory, and the questions a session answers
 *   session_layer.c    one layer over some rows; experts one after another for a tap
 *   session_pass.c     a pass: checks, layers, head, and the account of what it did
 *   session_step.c     the same, layer by layer, for quantizers
 */
#ifndef SESSION_IMPL_H
#define SESSION_IMPL_H

#include "lib/infer/kvcache.h"
#include "lib/infer/session.h"

/* Rows of logits computed at once when a sink takes them. */
#define SINK_ROWS 64

struct span {               /* positions of one sequence in a pass; -1: none */
    int32_t first, last;
};

struct session {
    const struct model *m;
    const struct kern *k;
    struct session_options opt;
    struct kvcache *kv;
    struct kern_queue queue;
    int moe_layers, top_k;          /* layers with experts; the largest top_k */

    int32_t *seq, *pos, *token;     /* [batch] the rows as arrays */
    int32_t *wseq, *wpos;           /* [batch] the wanted ones */
    int32_t *wanted;                /* [batch] their index */
    float *angles[SHAPE_ROPES];     /* [batch][dims/2][2] */
    float *x;                       /* [batch][d] residual stream */
    float *xn;                      /* [batch][d] normed input of a block */
    float *q, *key, *val, *att;     /* [batch][heads * dk or dv] */
    float *sum;                     /* [batch][d] output of a block */
    float *gate, *up;               /* [batch][widest of d_ff, d_shared; with a tap d_expert] */
    float *shared_gate;             /* [batch] */
    float *router;                  /* [batch][experts] */
    struct kern_routes *routes;     /* [layers] kept to the end of the pass */
    int *routed_rows;               /* [layers] rows that were routed there in this pass */
    int32_t *expert_out;            /* [batch][moe layers][top_k] */
    float *weight_out;
    int32_t *touched;               /* [layers] distinct experts */
    struct span *span;              /* [sequences] */
    float *hidden;                  /* [batch][d] */
    float *logits;                  /* [batch or SINK_ROWS][vocab] */
    size_t logits_bytes;
    /* With a tap: rows of one expert side by side, and what every chosen expert says. */
    int32_t *tap_row;               /* [batch] */
    float *tap_x;                   /* [batch][d] input of one expert */
    float *tap_y;                   /* [batch][d] its output */
    float *tap_out;                 /* [batch * top_k][d] in order of row and slot */
    void *arena;
    size_t arena_bytes;
};

/* Angles of the n positions in s->pos. */
void session_turn_angles(struct session *s, int n);
/* s->x[n] through layer i, with the weights of l. Prune: only the n_wanted rows go on after the
 * keys and values are stored. Returns how many are left. */
int session_run_layer(struct session *s, int i, const struct model_layer *l, int n, int n_wanted,
                      int prune);
/* logits[n] of rows after the final norm. */
void session_head(struct session *s, const float *normed, int n, float *logits);
/* Hands out the logits of s->xn[n], SINK_ROWS at a time. */
void session_sink(struct session *s, int n,
                  void (*sink)(void *arg, const float *logits, int first, int n), void *arg);
/* Keeps the rows numbered in `keep` of a[n][width]; keep ascends, so rows move forward. */
void session_compact(float *a, int64_t width, const int32_t *keep, int n);

/* Shows the tap what n rows of x go into; row as in struct session_input. */
void session_show(const struct session *s, int layer, const struct kern_weight *const *weight,
                  int weights, const float *x, int n, const int32_t *row);

#endif
