/* spread_impl.h - the inside of lib/route/spread */
#ifndef SPREAD_IMPL_H
#define SPREAD_IMPL_H

#include "lib/route/spread.h"

struct spread {
    const struct routed_set *set;
    enum spread_windows windows;
    int64_t tokens;
    int64_t *token;             /* [tokens] of the set, sequence after sequence */
    int64_t sequences;
    int64_t *start;             /* [sequences + 1] into token */
    uint32_t *request;          /* [sequences] numbered from 0, not decreasing */
    uint32_t requests;
    double *use;                /* [layers][experts] tokens that use each */
    double *whole;              /* [layers] tokens that have an expert there */
};

/* Whether the token has an expert in a layer, ids [k]. */
static inline int spread_has(const int16_t *id, int k) {
    for (int i = 0; i < k; i++)
        if (id[i] >= 0)
            return 1;
    return 0;
}

#endif
