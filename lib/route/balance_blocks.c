/* balance_blocks.c - counts of experts by blocks of a trace, see balance_blocks.h */
#include "lib/route/balance_blocks_impl.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static void parting_make(struct parting *p, int n, int layers, int room) {
    p->n = n;
    p->count = mem_array((size_t)layers * (size_t)n, (size_t)room * sizeof *p->count);
    p->overlap = mem_array((size_t)layers * (size_t)n, sizeof *p->overlap);
}

static void parting_grow(struct parting *p, int layers, int from, int to) {
    struct parting old = *p;
    if (!old.count)
        return;
    p->count = mem_array((size_t)layers * (size_t)p->n, (size_t)to * sizeof *p->count);
    for (int l = 0; l < layers; l++)
        for (int i = 0; i < p->n; i++)
            memcpy(parting_count(p, l, i, to), parting_count(&old, l, i, from),
                   (size_t)from * sizeof *p->count);
    free(old.count);
}

struct balance_blocks *balance_blocks_new(int layers, int experts) {
    struct balance_blocks *b = mem_alloc(sizeof *b);
    b->layers = layers;
    b->room = experts;
    b->length = FIRST_LENGTH;
    b->layer_tokens = mem_array((size_t)layers, sizeof *b->layer_tokens);
    parting_make(&b->blocks, BLOCKS, layers, experts);
    return b;
}

void balance_blocks_free(struct balance_blocks *b) {
    if (!b)
        return;
    free(b->blocks.count);
    free(b->blocks.overlap);
    free(b->groups.count);
    free(b->groups.overlap);
    free(b->layer_tokens);
    free(b);
}

void balance_blocks_grow(struct balance_blocks *b, int experts) {
    if (experts <= b->room)
        return;
    parting_grow(&b->blocks, b->layers, b->room, experts);
    parting_grow(&b->groups, b->layers, b->room, experts);
    b->room = experts;
}

/* ---- which block a token is in ------------------------------------------------------------ */

static void add_part(struct parting *to, int i, const struct parting *from, int j, int layer,
                     int room) {
    uint32_t *sum = parting_count(to, layer, i, room);
    const uint32_t *more = parting_count(from, layer, j, room);
    struct overlap *o = parting_overlap(to, layer, i);
    for (int e = 0; e < room; e++)
        sum[e] += more[e];
    o->same += parting_overlap(from, layer, j)->same;
    o->of += parting_overlap(from, layer, j)->of;
}

static void clear_part(struct parting *p, int i, int layer, int room) {
    memset(parting_count(p, layer, i, room), 0, (size_t)room * sizeof *p->count);
    *parting_overlap(p, layer, i) = (struct overlap){0, 0};
}

/* Two neighbours become one; the upper half is free again. */
static void double_length(struct balance_blocks *b) {
    for (int l = 0; l < b->layers; l++)
        for (int i = 1; i < BLOCKS; i++) {
            add_part(&b->blocks, i / 2, &b->blocks, i, l, b->room);
            clear_part(&b->blocks, i, l, b->room);
        }
    b->length *= 2;
}

/* A second request: all tokens so far are the first one's. */
static void make_groups(struct balance_blocks *b) {
    int group = (int)(b->request % GROUPS);
    parting_make(&b->groups, GROUPS, b->layers, b->room);
    for (int l = 0; l < b->layers; l++)
        for (int i = 0; i < BLOCKS; i++)
            add_part(&b->groups, group, &b->blocks, i, l, b->room);
}

void balance_blocks_begin(struct balance_blocks *b, const struct stretch *s) {
    while (b->tokens + s->n > BLOCKS * b->length)
        double_length(b);
    if (!b->any && s->n) {
        b->any = 1;
        b->request = s->request[0];
    }
    for (int i = 0; i < s->n; i++) {
        if (!b->groups.n && s->request[i] != b->request)
            make_groups(b);
        b->blocks.part[i] = (uint8_t)((b->tokens + i) / b->length);
        b->groups.part[i] = (uint8_t)(s->request[i] % GROUPS);
    }
    b->tokens += s->n;
}

/* ---- counting ----------------------------------------------------------------------------- */

static int count_experts(uint32_t *count, const int16_t *expert, int k) {
    int any = 0;
    for (int j = 0; j < k; j++) {
        if (expert[j] < 0)
            continue;
        count[expert[j]]++;
        any = 1;
    }
    return any;
}

static void add_overlap(struct overlap *o, uint16_t same, uint16_t of) {
    o->same += same;
    o->of += of;
}

void balance_blocks_add(struct balance_blocks *b, const struct stretch *s, int layer,
                        const uint16_t *same, const uint16_t *of) {
    for (int i = 0; i < s->n; i++) {
        const int16_t *expert = stretch_at(s, i, layer);
        int block = b->blocks.part[i];
        int group = b->groups.part[i];
        b->layer_tokens[layer] +=
            count_experts(parting_count(&b->blocks, layer, block, b->room), expert, s->k);
        add_overlap(parting_overlap(&b->blocks, layer, block), same[i], of[i]);
        if (!b->groups.n)
            continue;
        count_experts(parting_count(&b->groups, layer, group, b->room), expert, s->k);
        add_overlap(parting_overlap(&b->groups, layer, group), same[i], of[i]);
    }
}

void balance_blocks_count(const struct balance_blocks *b, int layer, int experts, double *count) {
    for (int e = 0; e < experts; e++)
        count[e] = 0;
    for (int i = 0; i < BLOCKS; i++) {
        const uint32_t *part = parting_count(&b->blocks, layer, i, b->room);
        for (int e = 0; e < experts && e < b->room; e++)
            count[e] += part[e];
    }
}

int64_t balance_blocks_tokens(const struct balance_blocks *b, int layer) {
    return b->layer_tokens[layer];
}
