/* inventory.h - what the tensors of a model file are for, and their sums
 *
 *     struct inventory sum;
 *     inventory_sum(source, is_norm, NULL, &sum);
 */
#ifndef INVENTORY_H
#define INVENTORY_H

#include <stdint.h>

#include "lib/base/mem.h"
#include "lib/quant/source.h"

enum inventory_group {
    INVENTORY_EMBEDDING,        /* token_embd, and what turns positions */
    INVENTORY_ATTENTION,        /* projections and their biases */
    INVENTORY_FFN,              /* dense */
    INVENTORY_EXPERTS,          /* routed, stacked or one tensor each */
    INVENTORY_SHARED,           /* shared experts and their gate */
    INVENTORY_ROUTER,
    INVENTORY_NORM,
    INVENTORY_HEAD,
    INVENTORY_OTHER,
    INVENTORY_GROUPS
};
const char *inventory_group_name(int group);    /* "attention" */
/* By llama.cpp's names. */
enum inventory_group inventory_group(const char *tensor);
/* N of "blk.N.": -1 for others. */
int inventory_layer(const char *tensor);

struct inventory {
    int64_t tensors, params, bytes;     /* bytes as stored, without padding */
};
/* All tensors that `wanted` takes; NULL takes all. */
void inventory_sum(const struct source *s,
                   int (*wanted)(const void *arg, const struct source_tensor *t),
                   const void *arg, struct inventory *out);
double inventory_bpw(const struct inventory *i);        /* bits per weight; NAN for none */
/* The types of what `wanted` takes, the one with the most bytes first: "Q4_K:25 Q6_K:4 F32:49". */
void inventory_types(const struct source *s,
                     int (*wanted)(const void *arg, const struct source_tensor *t),
                     const void *arg, struct buf *out);
/* Bytes of the files themselves; -1 when one cannot be asked. */
int64_t inventory_file_bytes(const struct source *s);

#endif
