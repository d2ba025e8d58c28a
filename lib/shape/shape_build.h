/* shape_build.h - private to lib/shape: a shape from the numbers that a model's maker publishes
 *
 * config.json, "layers=32,..." and the table of known models all end in a struct shape_dims, one
 * number for all layers; where a config.json says it layer by layer, its reader changes the layers
 * of the built shape and only then has the weights counted.
 */
#ifndef SHAPE_BUILD_H
#define SHAPE_BUILD_H

#include "lib/shape/shape.h"

/* Which projections add a bias. */
enum shape_bias {
    BIAS_QKV = 1,
    BIAS_OUT = 2,               /* after the heads */
    BIAS_FFN = 4,               /* dense FFN and routed experts, all three matrices */
    BIAS_ROUTER = 8             /* of the router, or beside it for the choice alone */
};

struct shape_dims {
    const char *name, *arch;    /* NULL: "" */
    const char *date, *source;  /* of a row of the table, see shape_source */
    int layers, d_model, vocab;
    int context;                /* 0: not known */
    int heads;
    int kv_heads;               /* 0: heads */
    int dk;                     /* 0: d_model / heads */
    int dv;                     /* 0: dk */
    int kv_latent, rope_dims, q_latent;
    int d_ff;                   /* of the layers without experts */
    int experts, top_k, d_expert, d_shared;
    int dense_layers;           /* so many first layers have no experts */
    int window;                 /* 0: none */
    int window_period;          /* of so many layers the last has no window; 0: all have it */

    /* What only counts among the parameters: */
    int tied, shared_gate;
    int qk_norm;                /* enum shape_qk_norm */
    int norms;                  /* vectors of d_model in a layer; 0: 2 */
    unsigned bias;              /* enum shape_bias */
    int sinks;                  /* an attention sink, one number a head */
    const char *quant;          /* NULL: "BF16" */
    double bits;                /* of embedding, head, router, norms and biases; 0: 16 */
    double matrix_bits;         /* of attention, dense and shared FFN; 0: bits */
    double expert_bits;         /* of routed experts; 0: matrix_bits */
};

/* The layers, without parameters and bytes. NULL with "heads: expected ..., found ..." for what no
 * model can have. */
struct shape *shape_build(const struct shape_dims *d, struct err *err);
/* Computes params, params_active and all bytes from the layers of s; d says the rest. -1 when that
 * is more than 2^53 parameters. */
int shape_weigh(struct shape *s, const struct shape_dims *d, struct err *err);

/* ---- the readers that shape_find chooses from ------------------------------------------- */

struct shape *shape_from_numbers(const char *text, struct err *err);
/* text is one JSON document; path is for messages. */
struct shape *shape_from_config(const char *path, const char *text, size_t len, struct err *err);
/* A row of the table, or NULL. */
const struct shape_dims *shape_table_find(const char *name);

#endif
