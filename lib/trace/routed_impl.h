/* routed_impl.h - what the files of the route reader share
 *
 *   routed.c          open, sniff, the model, rows that hold
 *   routed_npy.c      route streams of llm-run
 *   routed_csv.c      BigMoeOnEdge's route_trace: lines, passes
 *   routed_csv_head.c what stands above the lines
 *   routed_array.c    integer arrays [tokens][layers][k]
 *   routed_json.c     JSON Lines: records, the requests in them
 *   routed_value.c    JSON Lines: one array of ids, however it is written
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

/* How layers of an input that does not number them lie in the model's. */
struct routed_frame {
    int layers, k;              /* of the input; layers 0: not known yet */
    int32_t *keep;              /* [model.layers] which of them have experts; NULL: all */
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
    struct routed_frame frame;
    const struct routed_format *format;
    void *state;
    struct routed_rows block;   /* of which rows before `at` are done, where there is a where */
    int64_t at;
    int begun;                  /* a row of this pass was handed out */
};

extern const struct routed_format routed_npy;
extern const struct routed_format routed_array;
extern const struct routed_format routed_csv;
extern const struct routed_format routed_json;
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

/* The first of n ascending numbers that is not below x; n: none. */
static inline size_t routed_bisect(const uint32_t *number, size_t n, uint32_t x) {
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (number[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- route_trace v1 (routed_csv_head.c) ------------------------------------------------- */

enum { ROUTED_TURN, ROUTED_CSV_PHASE, ROUTED_CSV_STEP, ROUTED_LAYER, ROUTED_SLOT, ROUTED_EXPERT,
       ROUTED_CSV_FIELDS };

#define ROUTED_CSV_COLUMNS 32

struct routed_csv_head {
    int column[ROUTED_CSV_COLUMNS];     /* the field that each is, ROUTED_CSV_FIELDS: none */
    int columns;                /* up to the last that matters */
    int32_t *place;             /* [layers] of the model -> layers with experts, -1: none */
    int layers;
};

/* Reads comments and header, and makes the model. out->place is the caller's to free. */
int routed_csv_head(struct routed *r, struct routed_csv_head *out, struct err *err);
extern const char *const routed_csv_names[ROUTED_CSV_FIELDS];

/* ---- arrays [tokens][layers][k] (routed_array.c) ---------------------------------------- */

struct npy_reader;

/* Tokens that wait to be handed out; {0} is empty. */
struct routed_slab {
    int16_t *expert;            /* [n][frame's layers][k], once framed [n][model's layers][k] */
    size_t cap;                 /* of expert, in elements */
    uint32_t *request, *step, *position;        /* [n] */
    uint8_t *phase, *accepted;
    int64_t n, room;            /* room of the five */
    int64_t at;                 /* handed out */
    int64_t prompt;             /* so many are one pass; the others each are one */
};

/* The rest of opening an array that is no record; `in` has read its header. */
int routed_array_open(struct routed *r, const struct npy_reader *in, struct err *err);
/* The first array says layers and k (and makes the model); others must have the same. place is
 * "array 3" or "line 3", for messages. */
int routed_frame_set(struct routed *r, int64_t layers, int64_t k, const char *place,
                     struct err *err);
/* n numbers of a kind and size as npy_reader has them, in this machine's byte order, as ids: how
 * many were, n unless one is not from -1 to ROUTED_EXPERTS_MOST - 1. */
size_t routed_convert(const void *items, char kind, int bytes, size_t n, int16_t *out);
/* Checks n tokens of slab->expert and brings them into the model's layers. first is the number of
 * the first one, for messages. */
int routed_slab_frame(struct routed *r, struct routed_slab *s, int64_t n, int64_t first,
                      const char *place, struct err *err);
/* Whose tokens a slab has. */
struct routed_request {
    uint32_t request;
    int64_t position;           /* of the first token */
    int64_t prompt;             /* so many tokens are a prompt, in one pass of step 0 */
    int64_t step;               /* of the token behind them; each is a pass of its own */
    int decoded;                /* those were made; 0: nobody says */
};
void routed_slab_request(struct routed_slab *s, const struct routed_request *q);
/* 1: rows, 0: all were handed out. */
int routed_slab_next(const struct routed *r, struct routed_slab *s, struct routed_rows *out);
void routed_slab_free(struct routed_slab *s);

/* ---- values of JSON (routed_value.c) ---------------------------------------------------- */

struct routed_ids {             /* {0} is empty */
    int16_t *id;                /* [tokens][layers][k] */
    size_t n, cap;
    int64_t tokens;
    int layers, k;              /* 0: no token yet */
};

enum routed_order { ROUTED_LAYERS_K, ROUTED_K_LAYERS };

/* Appends the array that is next at j: lists, base64 of an .npy or of plain int32, or an object
 * with dtype, shape and base64 data. tokens: how many the record says there are, 0: it does not.
 * -1: j->want says what was expected, or is NULL and err is filled. */
int routed_value(const struct routed *r, struct json *j, enum routed_order order, int64_t tokens,
                 struct routed_ids *out, struct err *err);

#endif
