/* attn.c - attention and the KV cache, as far as all variants share them
 *
 * The queries of a call are cut into tiles: consecutive rows of one sequence, times the query
 * heads of one KV head. A task is a tile and a KV head over all its positions; when there are too
 * few of those for the threads (decoding), a task is one part of the positions, its result is
 * kept, and whoever finishes a tile's last part merges them in order. Tasks are handed out by a
 * counter. The arithmetic is the variant's (struct attn_ops) and the same either way.
 */
#include "kernels/attn.h"

#include <stdatomic.h>

#include "kernels/vec.h"

/* Parts may take this much scratch, or what one row at full context needs if that is more. */
#define PARTS_BYTES ((size_t)16 << 20)
/* Fewer tasks than this a thread: split tiles into parts. */
#define SPREAD 4

struct tile {
    int32_t row;            /* first row of the run it belongs to */
    int32_t query;          /* its first query, counted row by row from there */
    int32_t n;
    int32_t part0, parts;   /* parts of the positions that its queries see */
    int32_t task;           /* number of its first task, when split */
    int64_t kept;           /* queries x parts before it, when split */
};

struct plan {
    const struct attn_ops *ops;
    const struct kern_attn *at;
    const struct kern_rows *rows;
    const float *q;
    float *out;
    int group;              /* query heads of a KV head */
    int split;
    struct tile *tiles;
    int count;
    int64_t tasks;
    atomic_llong next;
    atomic_int *left;       /* [count][KV heads] parts not yet done, when split */
    float *kept;            /* results of parts, when split */
    char *rooms;            /* one thread's memory each */
    size_t room_bytes;
};

static size_t round64(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

/* ---- memory ----------------------------------------------------------------------------- */

/* Floats of the part of one query. */
static size_t part_floats(int dv) {
    return (size_t)attn_width(dv) + 2;
}

/* A thread's memory: the variant's room, the tile's queries, and two parts. */
static size_t room_bytes(int dk, int dv) {
    return round64(sizeof(float) * (attn_room_floats(dk, dv) +
                                    ATTN_TILE * (size_t)dk +
                                    2 * ATTN_TILE * part_floats(dv)));
}

/* Tiles of a run of `rows` rows. */
static int64_t run_tiles(int64_t rows, int group) {
    return (rows * group + ATTN_TILE - 1) / ATTN_TILE;
}

static size_t kept_limit(int64_t rows, int64_t heads, int dv, int64_t context) {
    int64_t parts = (context + KERN_ATTN_SPLIT - 1) / KERN_ATTN_SPLIT;
    size_t row = (size_t)(heads * parts) * part_floats(dv) * sizeof(float);
    size_t all = row * (size_t)rows;
    size_t most = row > PARTS_BYTES ? row : PARTS_BYTES;
    return all < most ? all : most;
}

size_t kern_attn_scratch(const struct kern_limits *lim) {
    int threads = lim->threads > 1 ? lim->threads : 1;
    size_t tiles = (size_t)lim->rows * (size_t)run_tiles(1, lim->heads) * sizeof(struct tile);
    size_t left = (size_t)threads * SPREAD * sizeof(atomic_int);
    return (size_t)threads * room_bytes(lim->dk, lim->dv) + round64(tiles) + round64(left) +
           round64(kept_limit(lim->rows, lim->heads, lim->dv, lim->context));
}

size_t kern_kv_block_bytes(int type, int heads, int dk, int dv) {
    return (size_t)heads * (attn_head_bytes(type, dk) + attn_head_bytes(type, dv));
}

/* ---- tasks ------------------------------------------------------------------------------ */

static struct attn_part part_at(float *p, int n, int dv) {
    size_t o = (size_t)n * (size_t)attn_width(dv);
    return (struct attn_part){p, p + o, p + o + n};
}

/* Fills a tile for one KV head; its queries are gathered to q. */
static void load_tile(const struct plan *p, const struct tile *t, int kv_head, float *q,
                      struct attn_tile *to) {
    int dk = p->at->kv.dk;
    to->at = p->at;
    to->table = p->rows->tables[p->rows->seq[t->row]];
    to->kv_head = kv_head;
    to->n = t->n;
    to->q = q;
    for (int i = 0; i < t->n; i++) {
        int32_t row = t->row + (t->query + i) / p->group;
        int head = kv_head * p->group + (t->query + i) % p->group;
        to->pos[i] = p->rows->pos[row];
        memcpy(q + (size_t)i * (size_t)dk,
               p->q + ((int64_t)row * p->at->heads + head) * dk, (size_t)dk * sizeof *q);
    }
}

/* A thread's room, cut up. */
struct desk {
    float *room;            /* the variant's */
    float *q;
    float *acc, *cur;       /* parts */
};

static struct desk desk_of(const struct plan *p, int ith) {
    int dk = p->at->kv.dk;
    int dv = p->at->kv.dv;
    struct desk d;
    d.room = (float *)(void *)(p->rooms + (size_t)ith * p->room_bytes);
    d.acc = d.room + attn_room_floats(dk, dv);
    d.cur = d.acc + ATTN_TILE * part_floats(dv);
    d.q = d.cur + ATTN_TILE * part_floats(dv);
    return d;
}

/* Computes part number `part` (counted from position 0). */
static void run_part(const struct plan *p, const struct attn_tile *t, int32_t part,
                     const struct desk *d, struct attn_part to) {
    int32_t first = part * KERN_ATTN_SPLIT;
    int32_t end = t->pos[t->n - 1] + 1;
    int32_t last = end - first < KERN_ATTN_SPLIT ? end : first + KERN_ATTN_SPLIT;
    p->ops->part(t, first, last, d->room, to);
}

static void finish_tile(const struct plan *p, const struct tile *t, int kv_head,
                        struct attn_part acc) {
    const struct kern_attn *at = p->at;
    int dv = at->kv.dv;
    for (int i = 0; i < t->n; i++) {
        int32_t row = t->row + (t->query + i) / p->group;
        int head = kv_head * p->group + (t->query + i) % p->group;
        p->ops->finish(acc.o + (size_t)i * (size_t)attn_width(dv), acc.m[i], acc.l[i],
                       at->sinks ? at->sinks + head : NULL, dv,
                       p->out + ((int64_t)row * at->heads + head) * dv);
    }
}

static void whole_tile(const struct plan *p, int64_t task, const struct desk *d) {
    int dv = p->at->kv.dv;
    int kv_head = (int)(task / p->count);
    const struct tile *t = &p->tiles[p->count - 1 - task % p->count];   /* the longest first */
    struct attn_tile tile;
    load_tile(p, t, kv_head, d->q, &tile);
    struct attn_part acc = part_at(d->acc, t->n, dv);
    struct attn_part cur = part_at(d->cur, t->n, dv);
    run_part(p, &tile, t->part0, d, acc);
    for (int i = 1; i < t->parts; i++) {
        run_part(p, &tile, t->part0 + i, d, cur);
        p->ops->merge(acc, cur, t->n, dv);
    }
    finish_tile(p, t, kv_head, acc);
}

static void one_part(const struct plan *p, int64_t task, const struct desk *d) {
    int dv = p->at->kv.dv;
    int heads = p->at->kv.heads;
    int i = p->count - 1;
    while (p->tiles[i].task > task)
        i--;
    const struct tile *t = &p->tiles[i];
    int kv_head = (int)((task - t->task) / t->parts);
    int part = (int)((task - t->task) % t->parts);
    size_t floats = (size_t)t->n * part_floats(dv);
    float *kept = p->kept + (size_t)(t->kept * heads) * part_floats(dv) +
                  (size_t)(kv_head * t->parts) * floats;
    struct attn_tile tile;
    load_tile(p, t, kv_head, d->q, &tile);
    run_part(p, &tile, t->part0 + part, d, part_at(kept + (size_t)part * floats, t->n, dv));
    if (atomic_fetch_sub(&p->left[i * heads + kv_head], 1) > 1)
        return;
    struct attn_part acc = part_at(kept, t->n, dv);
    for (int k = 1; k < t->parts; k++)
        p->ops->merge(acc, part_at(kept + (size_t)k * floats, t->n, dv), t->n, dv);
    finish_tile(p, t, kv_head, acc);
}

static void attention_task(void *arg, int ith, int nth) {
    struct plan *p = arg;
    (void)nth;
    struct desk d = desk_of(p, ith);
    for (;;) {
        int64_t task = atomic_fetch_add(&p->next, 1);
        if (task >= p->tasks)
            return;
        if (p->split)
            one_part(p, task, &d);
        else
            whole_tile(p, task, &d);
    }
}

/* ---- plan ------------------------------------------------------------------------------- */

/* Rows from `row` on that follow each other in one sequence. */
static int32_t run_length(const struct kern_rows *rows, int32_t row) {
    int32_t n = 1;
    while (row + n < rows->n && rows->seq[row + n] == rows->seq[row] &&
           rows->pos[row + n] == rows->pos[row] + n)
        n++;
    return n;
}

/* Cuts the call into tiles; returns the work in multiply-adds. */
static int64_t cut_tiles(struct plan *p) {
    const struct kern_rows *rows = p->rows;
    int64_t seen = 0;
    int32_t task = 0;
    int64_t kept = 0;
    for (int32_t row = 0, n; row < rows->n; row += n) {
        n = run_length(rows, row);
        for (int32_t query = 0; query < n * p->group; query += ATTN_TILE) {
            int32_t left = n * p->group - query;
            struct tile *t = &p->tiles[p->count++];
            *t = (struct tile){.row = row, .query = query, .task = task, .kept = kept,
                               .n = left < ATTN_TILE ? left : ATTN_TILE};
            int32_t first = attn_first(p->at, rows->pos[row + query / p->group]);
            int32_t last = rows->pos[row + (query + t->n - 1) / p->group];
            t->part0 = first / KERN_ATTN_SPLIT;
            t->parts = last / KERN_ATTN_SPLIT - t->part0 + 1;
            task += t->parts * p->at->kv.heads;
            kept += (int64_t)t->n * t->parts;
            seen += (int64_t)t->n * (last - first + 1);
        }
    }
    return seen * p->at->kv.heads * (p->at->kv.dk + p->at->kv.dv);
}

/* Whether to split tiles into parts: too few tiles, and room for the results. */
static int wants_split(const struct plan *p, const struct kern_queue *queue, size_t room) {
    const struct tile *t = &p->tiles[p->count - 1];
    int heads = p->at->kv.heads;
    int64_t kept = (t->kept + (int64_t)t->n * t->parts) * heads;
    return queue->par.n > 1 && (int64_t)p->count * heads < (int64_t)queue->par.n * SPREAD &&
           (size_t)kept * part_floats(p->at->kv.dv) * sizeof(float) <= room;
}

void attn_run(const struct attn_ops *ops, struct kern_queue *queue, const struct kern_attn *at,
              const struct kern_rows *rows, const float *q, float *out) {
    if (rows->n <= 0)
        return;
    int threads = queue->par.n > 1 ? queue->par.n : 1;
    int heads = at->kv.heads;
    struct plan p = {.ops = ops, .at = at, .rows = rows, .q = q, .out = out,
                     .group = at->heads / heads, .rooms = queue->scratch,
                     .room_bytes = room_bytes(at->kv.dk, at->kv.dv)};
    char *free_bytes = p.rooms + (size_t)threads * p.room_bytes;
    p.tiles = (struct tile *)(void *)free_bytes;
    int64_t work = cut_tiles(&p);
    free_bytes += round64((size_t)p.count * sizeof *p.tiles);
    p.left = (atomic_int *)(void *)free_bytes;
    free_bytes += round64((size_t)threads * SPREAD * sizeof *p.left);
    p.kept = (float *)(void *)free_bytes;
    p.split = wants_split(&p, queue, queue->scratch_bytes -
                                     (size_t)(free_bytes - (char *)queue->scratch));
    p.tasks = (int64_t)p.count * heads;
    if (p.split) {
        const struct tile *last = &p.tiles[p.count - 1];
        p.tasks = last->task + (int64_t)last->parts * heads;
        for (int i = 0; i < p.count * heads; i++)
            atomic_init(&p.left[i], p.tiles[i / heads].parts);
    }
    vec_run(queue, work / 8, attention_task, &p);
}

/* ---- cache ------------------------------------------------------------------------------ */

struct store {
    const struct attn_ops *ops;
    const struct kern_kv *kv;
    const struct kern_rows *rows;
    const float *k, *v;
};

static void store_task(void *arg, int ith, int nth) {
    const struct store *s = arg;
    const struct kern_kv *kv = s->kv;
    const int32_t *pos = s->rows->pos;
    int64_t first;
    int64_t last;
    vec_part(s->rows->n, 16, ith, nth, &first, &last);
    for (int64_t row = first, n; row < last; row += n) {
        int64_t left = KERN_KV_BLOCK - pos[row] % KERN_KV_BLOCK;
        n = run_length(s->rows, (int32_t)row);
        n = n < left ? n : left;
        n = n < last - row ? n : last - row;
        int32_t block = s->rows->tables[s->rows->seq[row]][pos[row] / KERN_KV_BLOCK];
        for (int h = 0; h < kv->heads; h++) {
            char *k = attn_block(kv, block, h);
            s->ops->store_k(kv->type, s->k + (row * kv->heads + h) * kv->dk,
                            (int64_t)kv->heads * kv->dk, (int)n, kv->dk, k,
                            pos[row] % KERN_KV_BLOCK);
            s->ops->store_v(kv->type, s->v + (row * kv->heads + h) * kv->dv,
                            (int64_t)kv->heads * kv->dv, (int)n, kv->dv,
                            k + attn_head_bytes(kv->type, kv->dk), pos[row] % KERN_KV_BLOCK);
        }
    }
}

void attn_store(const struct attn_ops *ops, struct kern_queue *queue, const struct kern_kv *kv,
                const struct kern_rows *rows, const float *k, const float *v) {
    struct store s = {ops, kv, rows, k, v};
    vec_run(queue, rows->n > 16 ? (int64_t)rows->n * kv->heads * (kv->dk + kv->dv) : 0, store_task,
            &s);
}
