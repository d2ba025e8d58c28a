/* kvcache.c - block storage and block tables of a session, see kvcache.h
 *
 * A sequence's blocks are its own: logical block b of sequence q lies at q * blocks + b mod
 * blocks. Nothing outside this file knows that; the kernels only see tables.
 */
#include "lib/infer/kvcache.h"

#include <stdlib.h>

#include "lib/base/mem.h"

/* Blocks a ring keeps beyond the window and one pass, so that a turn of a conversation, or
 * rejected draft tokens, can be taken back without a new prefill. */
#define RING_MARGIN 4

struct group {              /* layers that keep the same number of blocks */
    int window;
    int blocks;             /* per sequence */
    int32_t **tables;       /* [sequences][context blocks] */
};

struct kvcache {
    int layers, sequences, n_groups;
    struct group *groups;
    int *group_of;          /* [layers] */
    struct kern_kv *kv;     /* [layers] */
    size_t *bytes;          /* [layers] */
    int *length;            /* [sequences] */
    int *high;              /* [sequences] one past the highest block ever written */
};

double kvcache_bits(int type) {
    const struct kern_type_info *info = kern_type_info(type);
    return 8.0 * info->bytes / info->block;
}

static int div_up(int a, int b) {
    return (a + b - 1) / b;
}

static int find_group(struct kvcache *c, int window, int context, int batch) {
    int all = div_up(context, KERN_KV_BLOCK);
    int64_t tokens = (int64_t)window + batch;
    int blocks = all;
    if (window && tokens < context) {
        blocks = div_up((int)tokens, KERN_KV_BLOCK) + 1 + RING_MARGIN;
        blocks = blocks < all ? blocks : all;
    }
    for (int g = 0; g < c->n_groups; g++)
        if (c->groups[g].window == window)
            return g;
    c->groups = mem_grow(c->groups, (size_t)c->n_groups + 1, sizeof *c->groups);
    struct group *g = &c->groups[c->n_groups];
    *g = (struct group){.window = window, .blocks = blocks};
    g->tables = mem_array((size_t)c->sequences, sizeof *g->tables);
    for (int q = 0; q < c->sequences; q++) {
        g->tables[q] = mem_array((size_t)all, sizeof **g->tables);
        for (int b = 0; b < all; b++)
            g->tables[q][b] = q * blocks + b % blocks;
    }
    return c->n_groups++;
}

static int add_layer(struct kvcache *c, int i, const struct shape_layer *l, int type,
                     struct err *err) {
    if (type == KERN_Q8_0 && (l->dk % 32 || l->dv % 32))
        return err_set(err, "KV type q8_0 needs head widths that are multiples of 32; layer %d "
                       "has %d and %d", i, l->dk, l->dv);
    const struct group *g = &c->groups[c->group_of[i]];
    size_t block = (kern_kv_block_bytes(type, l->kv_heads, l->dk, l->dv) + 63) / 64 * 64;
    c->bytes[i] = block * (size_t)g->blocks * (size_t)c->sequences;
    c->kv[i] = (struct kern_kv){.type = type, .heads = l->kv_heads, .dk = l->dk, .dv = l->dv,
                                .block_bytes = block, .base = mem_map(c->bytes[i])};
    if (!c->kv[i].base)
        return err_set(err, "no memory for the KV cache (%zu MiB in layer %d)",
                       c->bytes[i] >> 20, i);
    return 0;
}

struct kvcache *kvcache_new(const struct shape *s, int type, int sequences, int context, int batch,
                            struct err *err) {
    struct kvcache *c = mem_alloc(sizeof *c);
    c->layers = s->layers;
    c->sequences = sequences;
    c->group_of = mem_array((size_t)s->layers, sizeof *c->group_of);
    c->kv = mem_array((size_t)s->layers, sizeof *c->kv);
    c->bytes = mem_array((size_t)s->layers, sizeof *c->bytes);
    c->length = mem_array((size_t)sequences, sizeof *c->length);
    c->high = mem_array((size_t)sequences, sizeof *c->high);
    for (int i = 0; i < s->layers; i++) {
        c->group_of[i] = find_group(c, s->layer[i].window, context, batch);
        if (add_layer(c, i, &s->layer[i], type, err)) {
            kvcache_free(c);
            return NULL;
        }
    }
    return c;
}

void kvcache_free(struct kvcache *c) {
    if (!c)
        return;
    for (int i = 0; i < c->layers; i++)
        if (c->kv[i].base)
            mem_unmap(c->kv[i].base, c->bytes[i]);
    for (int g = 0; g < c->n_groups; g++) {
        for (int q = 0; q < c->sequences; q++)
            free(c->groups[g].tables[q]);
        free(c->groups[g].tables);
    }
    free(c->groups);
    free(c->group_of);
    free(c->kv);
    free(c->bytes);
    free(c->length);
    free(c->high);
    free(c);
}

const struct kern_kv *kvcache_layer(const struct kvcache *c, int i) {
    return &c->kv[i];
}

const int32_t *const *kvcache_tables(const struct kvcache *c, int i) {
    return (const int32_t *const *)c->groups[c->group_of[i]].tables;
}

int kvcache_length(const struct kvcache *c, int seq) {
    return c->length[seq];
}

void kvcache_extend(struct kvcache *c, int seq, int length) {
    c->length[seq] = length;
    int blocks = div_up(length, KERN_KV_BLOCK);
    if (blocks > c->high[seq])
        c->high[seq] = blocks;
}

int kvcache_truncate(struct kvcache *c, int seq, int length) {
    if (length < 0 || length > c->length[seq])
        return -1;
    for (int g = 0; g < c->n_groups; g++) {
        const struct group *gr = &c->groups[g];
        if (!gr->window || length == 0)
            continue;
        /* The next row, at position `length`, looks back to length - window + 1. */
        int first = length - gr->window + 1;
        int oldest_kept = c->high[seq] - gr->blocks;    /* first block not overwritten */
        if (oldest_kept > 0 && (first > 0 ? first : 0) / KERN_KV_BLOCK < oldest_kept)
            return -1;
    }
    c->length[seq] = length;
    if (length == 0)
        c->high[seq] = 0;
    return 0;
}

size_t kvcache_bytes(const struct kvcache *c) {
    size_t total = 0;
    for (int i = 0; i < c->layers; i++)
        total += c->bytes[i];
    return total;
}
