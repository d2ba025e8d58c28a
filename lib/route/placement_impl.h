/* placement_impl.h - what a JSON text says of a placement, before anybody looked whether it can be
 *
 * Private to placement_read.c and placement_parse.c.
 */
#ifndef PLACEMENT_IMPL_H
#define PLACEMENT_IMPL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/trace/reqs_json.h"

/* Rows of one length, [n][width]. */
struct rows {
    int32_t *x;
    size_t used, cap;
    int n, width;
    int wide;                   /* 1: width is known */
};

struct reading {
    struct json j;
    const char *path, *text;
    struct rows map;            /* [layers][slots]; of vllm-ascend at first a row for each rank */
    struct rows logical;        /* [layers * experts][most] */
    struct rows count;          /* [layers][experts] */
    struct rows index;          /* [1][layers] */
    int64_t layers, experts, ranks, nodes;      /* 0: not said */
    int has_map;
};

/* Reads all of the text at r->j.at: any of the forms. -1: it is no JSON, or none of them. */
int placement_parse(struct reading *r, struct err *err);

#endif
