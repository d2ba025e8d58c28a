/* routed_impl.h - what the files of the route reader share
 *
 *   routed.c          open, sniff, the model, rows that hold
 *   routed_npy.c      route streams of llm-run
 *   routed_csv.c      BigMoeOnEdge's route_trace
 *   routed_array.c    integer arrays [tokens][layers][k]
 *   routed_json.c     JSON Lines
 *   routed_table.c    count tables
 *   routed_where.c    conditions, of rows and of tables
 *   routed_labels.c   what requests are
 *   routed_set.c      all of a trace in memory
 */
#ifndef ROUTED_IMPL_H
#define ROUTED_IMPL_H

#include "lib/base/mem.h"
#include "lib/format/zio.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"
#include "lib/trace/routed.h"
#include "lib/trace/routed_labels.h"

/* No model comes near; what a hostile header may claim stays harmless. */
#define ROUTED_LAYERS_MOST 4096
#define ROUTED_PAIRS_MOST (1 << 17)     /* of a token: layers x k */
#define ROUTED_CELLS_MOST (1 << 24)     /* experts of all layers */
#define ROUTED_PIECE_BYTES ((size_t)256 << 10)  /* of rows that are handed out at once: the second
                                                 * level of a processor's caches holds them */

/* ---- conditions (routed_where.c) -------------------------------------------------------- */

struct routed_value {
    char *text;
    double low, high;           /* low above high: no number */
};

enum routed_column { ROUTED_REQUEST, ROUTED_STEP, ROUTED_POSITION, ROUTED_PHASE, ROUTED_LABEL };

struct routed_cond {            /* the column has one of the values */
    char *column;
    struct routed_value *value;
    int values;
    enum routed_column what;    /* of rows of tokens */
    int label;                  /* column of the labels */
};

struct routed_where {
    struct routed_cond *cond;
    int conds;
    struct routed_labels *labels;
    uint32_t request;           /* asked for last ... */
    int known, holds;           /* ... when known, and whether its labels hold */
};

/* "column=value,value" texts, not yet bound to columns. NULL on error. */
struct routed_where *routed_where_new(const char *const *text, int n, struct err *err);
void routed_where_free(struct routed_where *w);         /* NULL is fine */
/* Finds the columns among those of tokens and of the labels, which become w's. */
int routed_where_bind(struct routed_where *w, const char *labels, struct err *err);
int routed_where_row(struct routed_where *w, const struct routed_rows *rows, int64_t row);
int routed_cond_text(const struct routed_cond *c, const char *text);

/* ---- the reader ------------------------------------------------------------------------- */

struct routed;

struct routed_format {
    enum routed_kind kind;
    int (*open)(struct routed *r, struct err *err);     /* reads up to what tells the model */
    /* Rows of one pass, all of it or a piece; 1, 0 the end, -1. */
    int (*next)(struct routed *r, struct routed_rows *out, struct err *err);
    void (*close)(struct routed *r);                    /* frees state, which may be NULL */
};

struct routed {
    char *name;
    struct zio *z;              /* NULL once it is lines' */
    struct reqs_lines lines;
    int64_t bytes;
    int want_experts;           /* that the caller says; 0: does not */
    const struct shape *shape;
    struct routed_where *where; /* NULL: all */
    struct routed_model model;
    int experts_known;          /* model.experts is no guess */
    const struct routed_format *format;
    void *state;
    struct routed_rows block;   /* of which rows before `at` are done, where there is a where */
    int64_t at;
    int begun;                  /* a row of this pass was handed out */
};

extern const struct routed_format routed_npy;
extern const struct routed_format routed_csv;
extern const struct routed_format routed_table;

/* Lines from here on: z is theirs. */
void routed_use_lines(struct routed *r);
/* Sets the model's sizes and makes its arrays; experts 0: the input does not say. Layers are
 * numbered from 0, and sizes are unknown, until the format says more. */
int routed_model_init(struct routed *r, int64_t layers, int64_t experts, int64_t k,
                      struct err *err);
/* What the shape says of sizes, where the input says nothing. */
void routed_model_shape(struct routed *r);
/* -1 when one of n ids is no expert, *bad its index; the number of experts grows when nobody says
 * what it is. */
int routed_take_ids(struct routed *r, const int16_t *id, size_t n, size_t *bad);

#endif
