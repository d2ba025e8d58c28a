/* inventory.c - what the tensors of a model file are for, see inventory.h */
#include "lib/quant/inventory.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TYPES 64                /* ggml's numbers are below */

const char *inventory_group_name(int group) {
    static const char *const names[INVENTORY_GROUPS] = {
        "embedding", "attention", "ffn", "experts", "shared", "router", "norm", "head", "other"};
    return names[group];
}

/* The first pattern that fits counts. Inside a block the name is what follows "blk.N.". */
enum inventory_group inventory_group(const char *tensor) {
    static const struct {
        const char *pattern;
        enum inventory_group group;
    } rules[] = {
        {"*norm*", INVENTORY_NORM},
        {"attn_*", INVENTORY_ATTENTION},
        {"ffn_gate_inp_shexp*", INVENTORY_SHARED},
        {"ffn_*_shexp*", INVENTORY_SHARED},
        {"ffn_gate_inp*", INVENTORY_ROUTER},
        {"exp_probs_b*", INVENTORY_ROUTER},
        {"ffn_*_exps*", INVENTORY_EXPERTS},
        {"ffn_*.[0-9]*", INVENTORY_EXPERTS},
        {"ffn_*", INVENTORY_FFN},
        {"token_embd*", INVENTORY_EMBEDDING},
        {"token_types*", INVENTORY_EMBEDDING},
        {"position_embd*", INVENTORY_EMBEDDING},
        {"rope_*", INVENTORY_EMBEDDING},
        {"output*", INVENTORY_HEAD},
    };
    const char *name = tensor;
    if (inventory_layer(tensor) >= 0)
        name = strchr(tensor + strlen("blk."), '.') + 1;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (!fnmatch(rules[i].pattern, name, 0))
            return rules[i].group;
    return INVENTORY_OTHER;
}

int inventory_layer(const char *tensor) {
    if (strncmp(tensor, "blk.", 4) || !isdigit((unsigned char)tensor[4]))
        return -1;
    char *end;
    long layer = strtol(tensor + 4, &end, 10);
    return *end == '.' && layer >= 0 && layer < 1000000 ? (int)layer : -1;
}

static int64_t elements(const struct source_tensor *t) {
    return t->rows * t->ne[0];
}

void inventory_sum(const struct source *s,
                   int (*wanted)(const void *arg, const struct source_tensor *t),
                   const void *arg, struct inventory *out) {
    *out = (struct inventory){0};
    for (uint64_t i = 0; i < source_count(s); i++) {
        const struct source_tensor *t = &s->tensor[i];
        if (wanted && !wanted(arg, t))
            continue;
        out->tensors++;
        out->params += elements(t);
        out->bytes += (int64_t)t->bytes;
    }
}

double inventory_bpw(const struct inventory *i) {
    return i->params > 0 ? 8.0 * (double)i->bytes / (double)i->params : NAN;
}

struct type_sum {
    int type;
    int64_t tensors, bytes;
};

static int by_bytes(const void *a, const void *b) {
    const struct type_sum *x = a;
    const struct type_sum *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->type > y->type) - (x->type < y->type);
}

void inventory_types(const struct source *s,
                     int (*wanted)(const void *arg, const struct source_tensor *t),
                     const void *arg, struct buf *out) {
    struct type_sum sum[TYPES] = {{0}};
    for (uint64_t i = 0; i < source_count(s); i++) {
        const struct source_tensor *t = &s->tensor[i];
        if (t->type < 0 || t->type >= TYPES || (wanted && !wanted(arg, t)))
            continue;
        sum[t->type].tensors++;
        sum[t->type].bytes += (int64_t)t->bytes;
    }
    for (int i = 0; i < TYPES; i++)
        sum[i].type = i;
    qsort(sum, TYPES, sizeof *sum, by_bytes);
    for (int i = 0; i < TYPES; i++)
        if (sum[i].tensors)
            buf_printf(out, "%s%s:%lld", i ? " " : "", gguf_type_name(sum[i].type),
                       (long long)sum[i].tensors);
}

int64_t inventory_file_bytes(const struct source *s) {
    int64_t bytes = 0;
    const char *file;
    for (int i = 0; (file = s->ops->file(s, i)); i++) {
        struct stat st;
        if (stat(file, &st))
            return -1;
        bytes += st.st_size;
    }
    return bytes;
}
