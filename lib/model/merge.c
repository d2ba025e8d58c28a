/* merge.c - joining neighbours by rank, the loop at the heart of BPE and SentencePiece
 *
 * A word of a few characters is scanned for its best pair again and again; a long one (a
 * SentencePiece text, a hundred thousand times the same letter) goes through a heap, so that the
 * time is n log n. Both pick the same pairs: lowest rank first, of equals the leftmost.
 */
#include "lib/model/vocab_impl.h"

#include <stdlib.h>

/* A character's or piece's place in the list; len 0: it was joined to the one before. */
struct piece {
    uint32_t at;
    uint32_t len;
    uint32_t prev;
    uint32_t next;
    uint32_t rank;              /* of joining with the next one (short words) */
};

struct pair {
    uint64_t key;               /* rank << 32 | left piece: the order of the heap */
    uint32_t right;
    uint32_t len;               /* of both: a pair that changed since has another */
};

struct merger {
    struct piece *piece;
    size_t cap;
    struct pair *heap;
    size_t pairs;
    size_t heap_cap;
    uint32_t *out;
};

enum { SHORT = 32 };            /* characters; above, the heap is faster */
static const uint32_t LIST_END = UINT32_MAX;

struct merger *merger_new(void) {
    return mem_alloc(sizeof(struct merger));
}

void merger_free(struct merger *m) {
    if (!m)
        return;
    free(m->piece);
    free(m->heap);
    free(m->out);
    free(m);
}

static void reserve(struct merger *m, size_t n) {
    if (n <= m->cap)
        return;
    m->cap = n + n / 2 + SHORT;
    m->piece = mem_grow(m->piece, m->cap, sizeof *m->piece);
    m->out = mem_grow(m->out, m->cap, sizeof *m->out);
}

static size_t split_characters(struct merger *m, const char *text, size_t len) {
    reserve(m, len);
    size_t n = 0;
    for (size_t at = 0; at < len; n++) {
        size_t step = merger_character((unsigned char)text[at]);
        if (step > len - at)
            step = len - at;
        m->piece[n] = (struct piece){(uint32_t)at, (uint32_t)step, (uint32_t)n - 1,
                                     (uint32_t)n + 1, MERGE_NONE};
        at += step;
    }
    m->piece[0].prev = LIST_END;
    m->piece[n - 1].next = LIST_END;
    return n;
}

static uint32_t pair_rank(const struct merger *m, const struct vocab *v, const char *text,
                          merge_rank *rank, uint32_t left) {
    const struct piece *l = &m->piece[left];
    if (l->next == LIST_END)
        return MERGE_NONE;
    return rank(v, text + l->at, l->len, m->piece[l->next].len);
}

static void join(struct merger *m, uint32_t left, uint32_t right) {
    struct piece *l = &m->piece[left];
    struct piece *r = &m->piece[right];
    l->len += r->len;
    r->len = 0;
    l->next = r->next;
    if (l->next != LIST_END)
        m->piece[l->next].prev = left;
}

static void run_short(struct merger *m, const struct vocab *v, const char *text,
                      merge_rank *rank) {
    for (uint32_t i = 0; i != LIST_END; i = m->piece[i].next)
        m->piece[i].rank = pair_rank(m, v, text, rank, i);
    for (;;) {
        uint32_t best = 0;
        for (uint32_t i = 0; i != LIST_END; i = m->piece[i].next)
            if (m->piece[i].rank < m->piece[best].rank)
                best = i;
        if (m->piece[best].rank == MERGE_NONE)
            return;
        join(m, best, m->piece[best].next);
        m->piece[best].rank = pair_rank(m, v, text, rank, best);
        uint32_t prev = m->piece[best].prev;
        if (prev != LIST_END)
            m->piece[prev].rank = pair_rank(m, v, text, rank, prev);
    }
}

static void heap_push(struct merger *m, struct pair p) {
    if (m->pairs == m->heap_cap) {
        m->heap_cap = m->heap_cap * 2 + 256;
        m->heap = mem_grow(m->heap, m->heap_cap, sizeof *m->heap);
    }
    size_t i = m->pairs++;
    for (; i && m->heap[(i - 1) / 2].key > p.key; i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = p;
}

static struct pair heap_pop(struct merger *m) {
    struct pair top = m->heap[0];
    struct pair last = m->heap[--m->pairs];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->pairs; i = child) {
        if (child + 1 < m->pairs && m->heap[child + 1].key < m->heap[child].key)
            child++;
        if (m->heap[child].key >= last.key)
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

static void offer(struct merger *m, const struct vocab *v, const char *text, merge_rank *rank,
                  uint32_t left) {
    uint32_t r = pair_rank(m, v, text, rank, left);
    if (r == MERGE_NONE)
        return;
    uint32_t right = m->piece[left].next;
    heap_push(m, (struct pair){(uint64_t)r << 32 | left, right,
                               m->piece[left].len + m->piece[right].len});
}

static void run_long(struct merger *m, const struct vocab *v, const char *text, size_t n,
                     merge_rank *rank) {
    m->pairs = 0;
    for (size_t i = 0; i + 1 < n; i++)
        offer(m, v, text, rank, (uint32_t)i);
    while (m->pairs) {
        struct pair p = heap_pop(m);
        uint32_t left = (uint32_t)p.key;
        const struct piece *l = &m->piece[left];
        if (!l->len || !m->piece[p.right].len || l->len + m->piece[p.right].len != p.len)
            continue;
        join(m, left, p.right);
        if (l->prev != LIST_END)
            offer(m, v, text, rank, l->prev);
        offer(m, v, text, rank, left);
    }
}

size_t merger_run(struct merger *m, const struct vocab *v, const char *text, size_t len,
                  merge_rank *rank, const uint32_t **piece) {
    if (!len)
        return 0;
    size_t n = split_characters(m, text, len);
    if (n <= SHORT)
        run_short(m, v, text, rank);
    else
        run_long(m, v, text, n, rank);
    size_t pieces = 0;
    for (uint32_t i = 0; i != LIST_END; i = m->piece[i].next)
        m->out[pieces++] = m->piece[i].len;
    *piece = m->out;
    return pieces;
}
