/* gptq_impl.h - what the files of gptq share
 *
 *   gptq.c         the plan, and a matrix cut into slabs of rows for the threads
 *   gptq_walk.c    a slab: columns one after another, errors carried on
 *   gptq_grid.c    what the grids are, and the nearest code
 */
#ifndef GPTQ_IMPL_H
#define GPTQ_IMPL_H

#include "kernels/codes.h"
#include "lib/quant/gptq.h"

enum {
    GPTQ_COLUMNS = 128,         /* whose errors are collected before they reach the rest */
    GPTQ_FEW = 16,              /* of these, whose errors reach each other one by one */
    GPTQ_ROWS = 128             /* of a slab */
};

struct gptq_plan {
    struct gptq_options opt;
    const struct hessian *h;
    int64_t cols;
    struct hessian_found found;
    int nearest;
    int32_t *order;             /* [cols] which column comes when; NULL: as they are */
    float *u;                   /* [cols][cols] in that order; NULL: no factor */
    float *cost;                /* [cols] by column: 1 / U_jj^2; 1 without factor */
    int32_t *index;             /* [cols] group of a column, GPTQ_ORDERED_GROUPS only */
};

/* Rows that one thread works on, with room of its own. */
struct gptq_slab {
    const struct gptq_plan *p;
    int64_t first;              /* row of the matrix */
    int rows;                   /* at most GPTQ_ROWS */
    const float *original;      /* [rows][cols] */
    float *w;                   /* [rows][cols] what is to be rounded, in the plan's order */
    float *value;               /* [rows][cols] what became of it, by column */
    float *error;               /* [rows][GPTQ_COLUMNS] e of the columns at hand */
    float *spare;               /* [rows][cols] */
    struct grouped *out;        /* whole matrix, or NULL: */
    int type;
    char *blocks;               /* the slab's rows */
    int8_t *level;              /* [rows][cols] of blocks, by column */
    struct kern_grid *grid;     /* [rows][blocks of a row] */
};

/* Fills value, and out or blocks. */
void gptq_walk(struct gptq_slab *s);

/* A grid is due before place j (in the plan's order) of row r: makes it, from the w there. */
void gptq_grid_row(struct gptq_slab *s, int r, int64_t j);
/* Grids for all rows that are made for the whole slab before place j. */
void gptq_grid_slab(struct gptq_slab *s, int64_t j);
/* Grids that do not move with the columns, from the original weights. */
void gptq_grid_static(struct gptq_slab *s);
/* The nearest value of column c on row r's grid; its code is kept. */
float gptq_grid_round(struct gptq_slab *s, int r, int64_t c, float x);
/* Codes into blocks, after the last column. */
void gptq_grid_store(struct gptq_slab *s);

#endif
