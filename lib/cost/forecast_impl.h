/* forecast_impl.h - what gathering (forecast.c) hands to drawing (forecast_draw.c) */
#ifndef FORECAST_IMPL_H
#define FORECAST_IMPL_H

#include "lib/cost/forecast.h"

struct forecast_piece {         /* of a block: money of one step of time */
    int64_t step;               /* from the block's begin */
    double usd;
};

struct forecast_block {         /* a session or a day */
    int64_t at_step;            /* of its begin, from its day's begin */
    size_t first, pieces;
    double usd;
};

struct forecast_blocks {
    struct forecast_block *block;       /* the most expensive first */
    size_t n;
    struct forecast_piece *piece;
    size_t pieces;
    int64_t step_ns;
    int64_t steps;              /* of the period */
    int64_t day_steps;          /* 0: blocks begin at any time */
    double again;               /* how often a session is expected */
    double growth;
};

/* Fills the meters from resamples of the blocks. *singly: blocks drawn one by one. */
void forecast_draw_sessions(const struct forecast_blocks *b, const struct forecast_options *opt,
                            struct forecast_meter *meter, int meters, int64_t *singly);
void forecast_draw_days(const struct forecast_blocks *b, const struct forecast_options *opt,
                        struct forecast_meter *meter, int meters);

#endif
