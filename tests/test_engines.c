/* test_engines.c - vLLM's and SGLang's prefix caches: by hand, against models that do literally
 * what the engines do, and against the engines themselves
 *
 * tests/reference/engines.tsv holds hits that the two projects' own Python code counted on the
 * public traces; see tests/reference/README.md.
 */
#include <inttypes.h>

#include "lib/cache/replay.h"
#include "tests/check.h"
#include "tests/random.h"
#include "tests/scratch.h"

#define TRACES "../shared/data/traces/"

static struct blocks *load_text(const char *text, int block_tokens) {
    struct err e = {{0}};
    char *path = scratch_path("trace");
    scratch_write(path, text, strlen(text));
    struct blocks *b = blocks_load(path, &(struct reqs_options){.block_tokens = block_tokens},
                                   NULL, NULL, &e);
    if (!b) {
        printf("# %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    free(path);
    return b;
}

static const struct sim_ops *find(enum sim_semantics semantics, const char *name) {
    const struct sim_ops *ops = sim_find(semantics, name, strlen(name));
    if (!ops) {
        printf("# no policy %s\n", name);
        exit(EXIT_FAILURE);
    }
    return ops;
}

static void *create(const struct sim_ops *ops, const struct blocks *b, int64_t capacity) {
    struct err e = {{0}};
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = capacity}, &e);
    if (!sim) {
        printf("# %s\n", e.text);
        exit(EXIT_FAILURE);
    }
    return sim;
}

static int run_one(const struct sim_ops *ops, void *sim, int64_t r) {
    uint32_t hit, held;
    ops->run(sim, r, r + 1, &hit, &held);
    CHECK_INT(held, hit);
    return (int)hit;
}

/* ---- by hand ---------------------------------------------------------------------------- */

/* The blocks of {"hash_ids": [n, ...]} held, as text, of the numbers 1 to 9. */
static const char *held(const struct sim_ops *ops, const void *sim, const uint32_t *number) {
    static char text[16];
    int n = 0;
    for (int i = 1; i <= 9; i++)
        if (number[i] != BLOCKS_NONE && ops->holds(sim, number[i]))
            text[n++] = (char)('0' + i);
    text[n] = '\0';
    return text;
}

static void vllm_by_hand(void) {
    /* Blocks of 10 tokens, 4 slots; the queue is written from its front, "." a slot never used,
     * "p" a block with output in it, "-" one that holds nothing cached. */
    struct blocks *b = load_text(
        "{\"timestamp\":0,\"input_length\":25,\"output_length\":5,\"hash_ids\":[1,2,3]}\n"
        "{\"timestamp\":1000,\"input_length\":20,\"output_length\":1,\"hash_ids\":[1,2]}\n"
        "{\"timestamp\":2000,\"input_length\":30,\"output_length\":0,\"hash_ids\":[4,5,6]}\n"
        "{\"timestamp\":3000,\"input_length\":11,\"output_length\":0,\"hash_ids\":[1,7]}\n"
        "{\"timestamp\":4000,\"input_length\":21,\"output_length\":20,\"hash_ids\":[1,4,8]}\n"
        "{\"timestamp\":9000,\"input_length\":39,\"output_length\":0,\"hash_ids\":[4,5,9]}\n", 10);
    static const uint32_t number[] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    const struct sim_ops *ops = find(SIM_VLLM, "lru");
    void *sim = create(ops, b, 4);
    CHECK_INT(run_one(ops, sim, 0), 0);         /* 3 slots, all full:         . p 2 1 */
    CHECK_STR(held(ops, sim, number), "12");
    /* The block of token 20 is computed, in the last fresh slot, and 2 is there twice; token 21
     * takes p's slot. */
    CHECK_INT(run_one(ops, sim, 1), 1);         /*                            - 2 2 1 */
    CHECK_STR(held(ops, sim, number), "12");
    CHECK_INT(ops->counts(sim)->inserted, 4);
    CHECK_INT(ops->counts(sim)->evicted, 1);
    CHECK_INT(run_one(ops, sim, 2), 0);         /* both copies of 2 go:       1 6 5 4 */
    CHECK_STR(held(ops, sim, number), "1456");
    CHECK_INT(run_one(ops, sim, 3), 1);         /* 1 is held, so 6 goes:      - 5 4 1 */
    CHECK_STR(held(ops, sim, number), "145");
    CHECK_INT(run_one(ops, sim, 4), 0);         /* needs 5 slots: refused */
    CHECK_INT(ops->counts(sim)->refused, 1);
    CHECK_STR(held(ops, sim, number), "145");
    CHECK_INT(run_one(ops, sim, 5), 2);         /* 9 and a partial block:     - 9 5 4 */
    CHECK_STR(held(ops, sim, number), "459");
    CHECK_INT(ops->counts(sim)->inserted, 8);
    CHECK_INT(ops->counts(sim)->evicted, 5);
    /* Lives: p 1 s, 2 2 s and its copy 1 s, 6 1 s; 1 from 0 to 9 s. Buckets end at 2^i ms. */
    CHECK_INT(replay_lives(ops->counts(sim), 10), 3);
    CHECK_INT(replay_lives(ops->counts(sim), 11), 1);
    CHECK_INT(replay_lives(ops->counts(sim), 14), 1);
    ops->free(sim);
    blocks_free(b);
}

static const char sglang_text[] =
    "{\"timestamp\":0,\"input_length\":30,\"output_length\":1,\"hash_ids\":[1,2,3]}\n"
    "{\"timestamp\":1000,\"input_length\":25,\"output_length\":0,\"hash_ids\":[1,2,9]}\n"
    "{\"timestamp\":2000,\"input_length\":40,\"output_length\":0,\"hash_ids\":[4,5,6,7]}\n"
    "{\"timestamp\":3000,\"input_length\":12,\"output_length\":0,\"hash_ids\":[1,8]}\n";
static const uint32_t sglang_number[] = {0, 0, 1, 2, 4, 5, 6, 7, 8, 3};

/* Blocks of 10 tokens, room for 6. What leaves at the fourth request, which cuts [1 2] and needs
 * room for one block: either the rest of what it cut, [2], or [4 5 6 7], whole. */
static void sglang_by_hand(const char *policy, const char *left) {
    struct blocks *b = load_text(sglang_text, 10);
    const struct sim_ops *ops = find(SIM_SGLANG, policy);
    void *sim = create(ops, b, 6);
    CHECK_INT(run_one(ops, sim, 0), 0);         /* [1 2 3]; the output's block is partial */
    CHECK_STR(held(ops, sim, sglang_number), "123");
    CHECK_INT(run_one(ops, sim, 1), 2);         /* [1 2] -> [3] */
    CHECK_STR(held(ops, sim, sglang_number), "123");
    CHECK_INT(run_one(ops, sim, 2), 0);         /* [3] leaves: [1 2] and [4 5 6 7] */
    CHECK_STR(held(ops, sim, sglang_number), "124567");
    CHECK_INT(run_one(ops, sim, 3), 1);         /* [1] -> [2] */
    CHECK_STR(held(ops, sim, sglang_number), left);
    CHECK_INT(ops->counts(sim)->inserted, 7);
    CHECK_INT(ops->counts(sim)->evicted, (int64_t)(7 - strlen(left)));
    ops->free(sim);
    blocks_free(b);
}

/* A prompt of whole blocks asked twice: its last block is computed again, found in the tree, and
 * the copy freed; the output's block stands behind it and leaves before it. */
static void sglang_frees_copies(void) {
    struct blocks *b = load_text(
        "{\"timestamp\":0,\"input_length\":20,\"output_length\":10,\"hash_ids\":[1,2]}\n"
        "{\"timestamp\":1000,\"input_length\":20,\"output_length\":1,\"hash_ids\":[1,2]}\n"
        "{\"timestamp\":2000,\"input_length\":20,\"output_length\":0,\"hash_ids\":[1,2]}\n", 10);
    const struct sim_ops *ops = find(SIM_SGLANG, "lru");
    void *sim = create(ops, b, 3);
    CHECK_INT(run_one(ops, sim, 0), 0);         /* [1 2] -> [p] */
    CHECK_INT(ops->counts(sim)->inserted, 3);
    CHECK_INT(run_one(ops, sim, 1), 1);         /* 2 needs a second slot: [p] leaves */
    CHECK_INT(ops->counts(sim)->inserted, 3);
    CHECK_INT(ops->counts(sim)->evicted, 1);
    CHECK_INT(run_one(ops, sim, 2), 1);
    CHECK_INT(ops->counts(sim)->inserted, 3);
    CHECK_INT(ops->counts(sim)->evicted, 1);
    ops->free(sim);
    /* Room for 2: a copy of 2 needs the slot of 2 itself, which is not locked and leaves. */
    sim = create(ops, b, 2);
    CHECK_INT(run_one(ops, sim, 0), 0);         /* 3 blocks: refused */
    CHECK_INT(run_one(ops, sim, 1), 0);         /* and this one, for its output token */
    CHECK_INT(run_one(ops, sim, 2), 0);         /* [1 2] */
    CHECK_INT(ops->counts(sim)->refused, 2);
    CHECK_INT(ops->counts(sim)->inserted, 2);
    ops->free(sim);
    blocks_free(b);
}

/* ---- random traces ---------------------------------------------------------------------- */

#define SIZE 4                      /* tokens of a block */
#define LONGEST 40                  /* blocks of a request with its output */

enum ids {
    PREFIXES,                       /* an id stands for all before it, as in real traces */
    WORDS                           /* few ids, in any order, some twice in a request */
};

/* Some requests have an id for their last, partial block, some fewer ids than full blocks. */
static struct blocks *random_trace(uint64_t seed, int requests, enum ids ids) {
    static int past[400][16];
    static int len[400];
    struct buf text = {0};
    int fresh = 0;
    state = seed;
    for (int r = 0; r < requests; r++) {
        int from = r ? below(r) : 0;
        int keep = r && below(4) ? below(len[from] + 1) : 0;
        int tail = below(4);
        len[r] = below(16);
        keep = keep < len[r] ? keep : len[r];
        for (int i = 0; i < len[r]; i++)
            past[r][i] = i < keep ? past[from][i] : ids == WORDS ? below(6) : fresh++;
        int input = len[r] * SIZE - (len[r] && !below(2) ? below(SIZE) : 0) +
                    (tail ? 0 : below(3 * SIZE));
        buf_printf(&text, "{\"timestamp\": %d, \"input_length\": %d, \"output_length\": %d, "
                   "\"hash_ids\": [", 100 * r, input, below(3) ? below(3 * SIZE) : 0);
        for (int i = 0; i < len[r]; i++)
            buf_printf(&text, "%s%d", i ? ", " : "", past[r][i]);
        buf_adds(&text, "]}\n");
    }
    struct blocks *b = load_text(text.data, SIZE);
    buf_free(&text);
    return b;
}

struct shape_of {                   /* a request in blocks */
    const uint32_t *id;
    int known, most, prompt, need, full;
};

static struct shape_of shape_of(const struct blocks *b, int64_t r) {
    int input = (int)b->input[r];
    int tokens = input + (int)b->output[r];
    int ids = (int)(b->first[r + 1] - b->first[r]);
    struct shape_of q = {.id = b->id + b->first[r], .prompt = (input + SIZE - 1) / SIZE,
                         .need = (tokens + SIZE - 1) / SIZE, .full = tokens / SIZE};
    q.known = ids < input / SIZE ? ids : input / SIZE;
    q.most = input && q.known > (input - 1) / SIZE ? (input - 1) / SIZE : q.known;
    return q;
}

/* ---- vLLM, block by block ---------------------------------------------------------------- */

#define NOBODY (-1)                 /* the id of a block with output in it */
#define EMPTY (-2)

struct pool {
    struct {
        int64_t id;
        int age;                    /* cached before those of a higher age */
    } slot[2000];
    int queue[2000];
    int queued, age;
    int64_t inserted, evicted;
};

static void pool_start(struct pool *p, int64_t capacity) {
    memset(p, 0, sizeof *p);
    for (int i = 0; i < capacity; i++) {
        p->slot[i].id = EMPTY;
        p->queue[p->queued++] = i;
    }
}

static int pool_oldest(const struct pool *p, int64_t capacity, int64_t id) {
    int best = -1;
    for (int i = 0; i < capacity; i++)
        if (p->slot[i].id == id && (best < 0 || p->slot[i].age < p->slot[best].age))
            best = i;
    return best;
}

static void pool_unqueue(struct pool *p, int slot) {
    int i = 0;
    while (i < p->queued && p->queue[i] != slot)
        i++;
    if (i == p->queued)             /* the request holds it already */
        return;
    p->queued--;
    memmove(&p->queue[i], &p->queue[i + 1], (size_t)(p->queued - i) * sizeof *p->queue);
}

static int pool_pop(struct pool *p) {
    int slot = p->queue[0];
    pool_unqueue(p, slot);
    p->evicted += p->slot[slot].id != EMPTY;
    p->slot[slot].id = EMPTY;
    return slot;
}

static int stands_before(const int *table, int i) {
    for (int k = 0; k < i; k++)
        if (table[k] == table[i])
            return 1;
    return 0;
}

static int pool_request(struct pool *p, int64_t capacity, const struct shape_of *q) {
    int table[LONGEST];
    int hit = 0;
    int slot;
    if (q->need > capacity)
        return 0;
    while (hit < q->most && (slot = pool_oldest(p, capacity, q->id[hit])) >= 0) {
        table[hit++] = slot;
        pool_unqueue(p, slot);
    }
    for (int i = hit; i < q->need; i++)
        table[i] = pool_pop(p);
    for (int i = hit; i < q->full; i++) {
        p->slot[table[i]].id = i < q->known ? (int64_t)q->id[i] : NOBODY;
        p->slot[table[i]].age = p->age++;
        p->inserted++;
    }
    if (q->need > q->full) {
        memmove(&p->queue[1], &p->queue[0], (size_t)p->queued * sizeof *p->queue);
        p->queue[0] = table[q->full];
        p->queued++;
    }
    for (int i = q->full - 1; i >= 0; i--)
        if (!stands_before(table, i))
            p->queue[p->queued++] = table[i];
    return hit;
}

static const int64_t capacities[] = {1, 2, 3, 4, 7, 12, 20, 45, 1500};
enum { CAPACITIES = sizeof capacities / sizeof *capacities };

static void vllm_is_its_model(enum ids ids) {
    const struct sim_ops *ops = find(SIM_VLLM, "lru");
    struct pool *p = mem_alloc(sizeof *p);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct blocks *b = random_trace(seed, 150, ids);
        for (int c = 0; c < CAPACITIES; c++) {
            void *sim = create(ops, b, capacities[c]);
            int64_t refused = 0;
            pool_start(p, capacities[c]);
            for (int64_t r = 0; r < b->requests; r++) {
                struct shape_of q = shape_of(b, r);
                refused += q.need > capacities[c];
                CHECK_INT(run_one(ops, sim, r), pool_request(p, capacities[c], &q));
                CHECK(ops->counts(sim)->inserted - ops->counts(sim)->evicted <= capacities[c]);
                for (uint32_t id = 0; id < b->unique; id++)
                    CHECK_INT(ops->holds(sim, id), pool_oldest(p, capacities[c], id) >= 0);
            }
            CHECK_INT(ops->counts(sim)->refused, refused);
            CHECK_INT(ops->counts(sim)->inserted, p->inserted);
            CHECK_INT(ops->counts(sim)->evicted, p->evicted);
            ops->free(sim);
        }
        blocks_free(b);
    }
    free(p);
}

/* ---- SGLang, step by step ---------------------------------------------------------------- */

struct twig {                       /* a node; key[len] */
    int64_t key[LONGEST];
    int len, parent, locks, hits;
    int alive;
    int64_t used, made;
};

struct tree {
    struct twig *node;              /* 0 is the root */
    int nodes, cap;
    int64_t clock, size, evicted;
    int64_t nobody;                 /* ids of blocks with output in them */
};

static int tree_node(struct tree *t) {
    if (t->nodes == t->cap) {
        t->cap = 2 * t->cap + 64;
        t->node = mem_grow(t->node, (size_t)t->cap, sizeof *t->node);
    }
    t->node[t->nodes] = (struct twig){.alive = 1, .used = ++t->clock, .made = t->clock};
    return t->nodes++;
}

static int tree_child(const struct tree *t, int parent, int64_t first) {
    for (int i = 1; i < t->nodes; i++)
        if (t->node[i].alive && t->node[i].parent == parent && t->node[i].key[0] == first)
            return i;
    return -1;
}

static int tree_split(struct tree *t, int child, int at) {
    int front = tree_node(t);
    struct twig *f = &t->node[front];
    struct twig *c = &t->node[child];
    memcpy(f->key, c->key, (size_t)at * sizeof *f->key);
    f->len = at;
    f->parent = c->parent;
    f->locks = c->locks;
    f->hits = c->hits;
    memmove(c->key, c->key + at, (size_t)(c->len - at) * sizeof *c->key);
    c->len -= at;
    c->parent = front;
    return front;
}

static int common(const struct twig *n, const int64_t *key, int len) {
    int i = 0;
    while (i < len && i < n->len && n->key[i] == key[i])
        i++;
    return i;
}

/* Goes down key as far as the tree does; hits count for nodes that end beyond `counted`, unless it
 * is negative. Returns the node it ends on, *len blocks down. */
static int tree_walk(struct tree *t, const int64_t *key, int *len, int counted) {
    int64_t now = ++t->clock;
    int node = 0;
    int done = 0;
    int child;
    while (done < *len && (child = tree_child(t, node, key[done])) >= 0) {
        int same = common(&t->node[child], key + done, *len - done);
        t->node[child].used = now;
        done += same;
        node = same < t->node[child].len ? tree_split(t, child, same) : child;
        t->node[node].hits += counted >= 0 && done > counted;
    }
    *len = done;
    return node;
}

static void tree_insert(struct tree *t, const int64_t *key, int len, int counted) {
    int done = len;
    int node = tree_walk(t, key, &done, counted);
    if (done == len)
        return;
    int new = tree_node(t);
    memcpy(t->node[new].key, key + done, (size_t)(len - done) * sizeof *key);
    t->node[new].len = len - done;
    t->node[new].parent = node;
    t->node[new].hits = len > counted;
    t->size += len - done;
}

static void tree_lock(struct tree *t, int node, int by) {
    for (; node; node = t->node[node].parent)
        t->node[node].locks += by;
}

static int is_leaf(const struct tree *t, int node) {
    for (int i = 1; i < t->nodes; i++)
        if (t->node[i].alive && t->node[i].parent == node)
            return 0;
    return 1;
}

/* Does a leave before b? */
static int leaves_first(const char *policy, const struct twig *a, const struct twig *b) {
    if (!strcmp(policy, "fifo"))
        return a->made < b->made;
    if (!strcmp(policy, "filo"))
        return a->made > b->made;
    if (!strcmp(policy, "mru"))
        return a->used > b->used;
    int ha = !strcmp(policy, "lfu") ? a->hits : !strcmp(policy, "slru") ? a->hits >= 2 : 0;
    int hb = !strcmp(policy, "lfu") ? b->hits : !strcmp(policy, "slru") ? b->hits >= 2 : 0;
    return ha != hb ? ha < hb : a->used < b->used;
}

static void tree_evict(struct tree *t, const char *policy, int64_t missing) {
    while (missing > 0) {
        int best = 0;
        for (int i = 1; i < t->nodes; i++)
            if (t->node[i].alive && !t->node[i].locks && is_leaf(t, i) &&
                (!best || leaves_first(policy, &t->node[i], &t->node[best])))
                best = i;
        if (!best)
            return;
        t->node[best].alive = 0;
        missing -= t->node[best].len;
        t->size -= t->node[best].len;
        t->evicted += t->node[best].len;
    }
}

static int tree_request(struct tree *t, const char *policy, int64_t capacity,
                        const struct shape_of *q) {
    int64_t key[LONGEST];
    int hit = q->most;
    int whole = q->known;
    if (q->need > capacity)
        return 0;
    for (int i = 0; i < q->full; i++)
        key[i] = i < q->known ? (int64_t)q->id[i] : --t->nobody;
    int locked = tree_walk(t, key, &hit, -1);
    tree_lock(t, locked, 1);
    tree_evict(t, policy, t->size + q->prompt - hit - capacity);

    tree_insert(t, key, q->known, 0);
    tree_lock(t, locked, -1);
    locked = tree_walk(t, key, &whole, -1);
    tree_lock(t, locked, 1);
    tree_evict(t, policy, t->size + q->need - q->known - capacity);

    whole = q->full;
    tree_insert(t, key, q->full, q->known);
    tree_walk(t, key, &whole, -1);
    tree_lock(t, locked, -1);
    return hit;
}

static int tree_holds(const struct tree *t, int64_t id) {
    for (int i = 1; i < t->nodes; i++)
        for (int k = 0; t->node[i].alive && k < t->node[i].len; k++)
            if (t->node[i].key[k] == id)
                return 1;
    return 0;
}

/* An id is looked for where it first stood, so it can only be compared where it has one place. */
static void holds_the_same(const struct sim_ops *ops, const void *sim, const struct blocks *b,
                           const struct tree *t) {
    for (uint32_t id = 0; id < b->unique; id++) {
        CHECK_INT(ops->holds(sim, id), tree_holds(t, id));
        if (b->parent[id] != BLOCKS_NONE)       /* never without what stands before it */
            CHECK(ops->holds(sim, b->parent[id]) >= ops->holds(sim, id));
    }
}

static void sglang_is_its_model(const char *policy, enum ids ids) {
    const struct sim_ops *ops = find(SIM_SGLANG, policy);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct blocks *b = random_trace(seed + 10, 120, ids);
        for (int c = 0; c < CAPACITIES; c++) {
            void *sim = create(ops, b, capacities[c]);
            const struct sim_counts *n = ops->counts(sim);
            struct tree t = {0};
            tree_node(&t);
            for (int64_t r = 0; r < b->requests; r++) {
                struct shape_of q = shape_of(b, r);
                CHECK_INT(run_one(ops, sim, r), tree_request(&t, policy, capacities[c], &q));
                CHECK_INT(n->inserted - n->evicted, t.size);
                CHECK(t.size <= capacities[c]);
                if (ids == PREFIXES && r % 10 == 9)
                    holds_the_same(ops, sim, b, &t);
            }
            CHECK_INT(n->evicted, t.evicted);
            ops->free(sim);
            free(t.node);
        }
        blocks_free(b);
    }
}

/* ---- properties ------------------------------------------------------------------------- */

static const struct sim_ops *engines[16];

static int list_engines(void) {
    int n = 0;
    for (int s = SIM_VLLM; s <= SIM_SGLANG; s++)
        for (const struct sim_ops *const *o = sim_list((enum sim_semantics)s); *o; o++)
            engines[n++] = *o;
    return n;
}

/* With room for everything a request hits what came before, but its last token's block. */
static void room_for_everything(void) {
    struct blocks *b = random_trace(99, 400, PREFIXES);
    int n = list_engines();
    CHECK_INT(n, 7);
    for (int e = 0; e < n; e++) {
        void *sim = create(engines[e], b, INT64_MAX);
        unsigned char *seen = mem_array(b->unique, 1);
        for (int64_t r = 0; r < b->requests; r++) {
            struct shape_of q = shape_of(b, r);
            int want = 0;
            while (want < q.most && seen[q.id[want]])
                want++;
            CHECK_INT(run_one(engines[e], sim, r), want);
            for (int i = 0; i < q.known; i++)
                seen[q.id[i]] = 1;
        }
        CHECK_INT(engines[e]->counts(sim)->evicted, 0);
        for (uint32_t id = 0; id < b->unique; id++)
            CHECK_INT(engines[e]->holds(sim, id), seen[id]);
        engines[e]->free(sim);
        free(seen);
    }
    blocks_free(b);
}

/* Runs in parts and at once are the same. */
static void parts_are_the_whole(void) {
    struct blocks *b = random_trace(7, 300, PREFIXES);
    int n = list_engines();
    for (int e = 0; e < n; e++) {
        uint32_t hit[300], held_blocks[300];
        void *whole = create(engines[e], b, 25);
        void *parts = create(engines[e], b, 25);
        engines[e]->run(whole, 0, b->requests, hit, held_blocks);
        for (int64_t r = 0; r < b->requests; r++)
            CHECK_INT(run_one(engines[e], parts, r), hit[r]);
        CHECK(!memcmp(engines[e]->counts(whole), engines[e]->counts(parts),
                      sizeof(struct sim_counts)));
        engines[e]->free(whole);
        engines[e]->free(parts);
    }
    blocks_free(b);
}

/* One block a line: a request is its last token, and that is computed. */
static void single_blocks_never_hit(void) {
    struct blocks *b = load_text("5\n5\n6\n5\n", 0);
    int n = list_engines();
    for (int e = 0; e < n; e++) {
        void *sim = create(engines[e], b, 2);
        for (int64_t r = 0; r < 4; r++)
            CHECK_INT(run_one(engines[e], sim, r), 0);
        engines[e]->free(sim);
    }
    blocks_free(b);
}

/* Lengths near the end of 64 bits are of requests that do not fit, even where all others do. */
static void absurd_lengths(void) {
    int n = list_engines();
    for (int e = 0; e < n; e++)
        for (int size = 1; size <= 1000; size *= 1000) {
            uint32_t id[] = {0, 1, 0, 1};
            uint32_t parent[] = {BLOCKS_NONE, 0};
            int64_t first[] = {0, 2, 2, 4};
            int64_t input[] = {INT64_MAX, INT64_MAX, 2 * size};
            int64_t output[] = {INT64_MAX, 0, 0};
            struct blocks b = {.requests = 3, .accesses = 4, .unique = 2, .id = id,
                               .first = first, .input = input, .output = output,
                               .parent = parent, .block_tokens = size};
            void *sim = create(engines[e], &b, 100);
            for (int64_t r = 0; r < 3; r++)
                CHECK_INT(run_one(engines[e], sim, r), 0);
            CHECK_INT(engines[e]->counts(sim)->refused, 2);
            CHECK_INT(engines[e]->counts(sim)->inserted, 2);
            engines[e]->free(sim);
            /* A cache with room for them would need more state than there are numbers for. */
            struct err err = {{0}};
            CHECK(!engines[e]->create(&(struct sim_setup){.blocks = &b, .capacity = INT64_MAX},
                                      &err));
            CHECK(strstr(err.text, "blocks of a cache of"));
        }
}

/* Which blocks slru holds in the end with room for 5: [1] was used twice, [4 5 6] once and later;
 * one of them makes room for [7 8 9]. */
static void slru_protects(const struct blocks *b, const char *params, const char *left) {
    static const uint32_t number[] = {0, 0, BLOCKS_NONE, BLOCKS_NONE, 1, 2, 3, 4, 5, 6};
    const struct sim_ops *ops = find(SIM_SGLANG, "slru");
    struct err e = {{0}};
    void *sim = ops->create(&(struct sim_setup){.blocks = b, .capacity = 5, .params = params}, &e);
    CHECK_STR(e.text, "");
    for (int64_t r = 0; r < b->requests; r++)
        CHECK_INT(run_one(ops, sim, r), r == 1);
    CHECK_STR(held(ops, sim, number), left);
    ops->free(sim);
}

static void parameters(void) {
    struct blocks *b = load_text(
        "{\"timestamp\":0,\"input_length\":11,\"output_length\":0,\"hash_ids\":[1]}\n"
        "{\"timestamp\":0,\"input_length\":11,\"output_length\":0,\"hash_ids\":[1]}\n"
        "{\"timestamp\":0,\"input_length\":30,\"output_length\":0,\"hash_ids\":[4,5,6]}\n"
        "{\"timestamp\":0,\"input_length\":30,\"output_length\":0,\"hash_ids\":[7,8,9]}\n", 10);
    slru_protects(b, NULL, "1789");
    slru_protects(b, "protected=2", "1789");
    slru_protects(b, "protected=3", "789");     /* nothing is protected: [1] goes, then the rest */
    slru_protects(b, "protected=1", "789");     /* everything is */

    struct err e = {{0}};
    struct sim_setup s = {.blocks = b, .capacity = 6, .params = "protected=0"};
    const struct sim_ops *slru = find(SIM_SGLANG, "slru");
    slru->free(slru->create(&s, &e));
    CHECK(strstr(e.text, "protected=0: expected a number"));
    s.params = "small=0.1";
    CHECK(!slru->create(&s, &e));
    CHECK(!find(SIM_SGLANG, "lru")->create(&s, &e));
    CHECK(!find(SIM_VLLM, "lru")->create(&s, &e));
    CHECK(strstr(e.text, "'small=0.1' is no parameter"));
    blocks_free(b);
}

/* ---- the engines themselves -------------------------------------------------------------- */

static uint64_t fnv(const uint32_t *hit, int64_t n) {
    uint64_t h = 0xCBF29CE484222325u;
    for (int64_t i = 0; i < 4 * n; i++)
        h = (h ^ (hit[i / 4] >> i % 4 * 8 & 255)) * 0x100000001B3u;
    return h;
}

static void check_row(const struct blocks *b, const char *semantics, const char *policy,
                      long capacity, long hits, uint64_t hash) {
    const struct sim_ops *ops = find(!strcmp(semantics, "vllm") ? SIM_VLLM : SIM_SGLANG, policy);
    uint32_t *hit = mem_array((size_t)b->requests, sizeof *hit);
    uint32_t *held_blocks = mem_array((size_t)b->requests, sizeof *held_blocks);
    void *sim = create(ops, b, capacity);
    int64_t sum = 0;
    ops->run(sim, 0, b->requests, hit, held_blocks);
    for (int64_t r = 0; r < b->requests; r++)
        sum += hit[r];
    if (sum != hits || fnv(hit, b->requests) != hash)
        printf("# %s %s, %ld blocks:\n", semantics, policy, capacity);
    CHECK_INT(sum, hits);
    CHECK(fnv(hit, b->requests) == hash);
    ops->free(sim);
    free(hit);
    free(held_blocks);
}

/* Hits of every single request, as vLLM's and SGLang's own code counts them. */
static void the_engines_agree(const char *trace) {
    char line[256], of[100], semantics[16], policy[16];
    char *path = mem_printf(TRACES "%s", trace);
    long capacity, hits;
    uint64_t hash;
    int rows = 0;
    if (!scratch_exists(path)) {
        free(path);
        SKIP("the trace is not beside the project");
    }
    struct err e = {{0}};
    struct blocks *b = blocks_load(path, &(struct reqs_options){0}, NULL, NULL, &e);
    FILE *f = fopen("tests/reference/engines.tsv", "r");
    CHECK(b && f);
    while (b && f && fgets(line, sizeof line, f))
        if (sscanf(line, "%99s %15s %15s %ld %ld %" SCNx64, of, semantics, policy, &capacity,
                   &hits, &hash) == 6 && !strcmp(of, trace)) {
            check_row(b, semantics, policy, capacity, hits, hash);
            rows++;
        }
    CHECK(rows > 10);
    if (f)
        fclose(f);
    blocks_free(b);
    free(path);
}

int main(void) {
    RUN(vllm_by_hand);
    RUN_NAMED("sglang_lru_by_hand", sglang_by_hand("lru", "12"));
    RUN_NAMED("sglang_lfu_by_hand", sglang_by_hand("lfu", "12"));
    RUN_NAMED("sglang_fifo_by_hand", sglang_by_hand("fifo", "14567"));
    RUN_NAMED("sglang_mru_by_hand", sglang_by_hand("mru", "14567"));
    RUN_NAMED("sglang_filo_by_hand", sglang_by_hand("filo", "12"));
    RUN_NAMED("sglang_slru_by_hand", sglang_by_hand("slru", "12"));
    RUN(sglang_frees_copies);
    RUN_NAMED("vllm_is_its_model", vllm_is_its_model(PREFIXES));
    RUN_NAMED("vllm_is_its_model_for_any_ids", vllm_is_its_model(WORDS));
    for (const struct sim_ops *const *o = sim_list(SIM_SGLANG); *o; o++) {
        char name[64];
        snprintf(name, sizeof name, "sglang_%s_is_its_model", (*o)->name);
        RUN_NAMED(name, sglang_is_its_model((*o)->name, PREFIXES));
        snprintf(name, sizeof name, "sglang_%s_is_its_model_for_any_ids", (*o)->name);
        RUN_NAMED(name, sglang_is_its_model((*o)->name, WORDS));
    }
    RUN(room_for_everything);
    RUN(parts_are_the_whole);
    RUN(single_blocks_never_hit);
    RUN(absurd_lengths);
    RUN(parameters);
    RUN_NAMED("the_engines_agree_on_mooncake", the_engines_agree("mooncake-conversation.jsonl"));
    RUN_NAMED("the_engines_agree_on_agentic", the_engines_agree("agentic24-blk64.jsonl.zst"));
    scratch_remove();
    return check_done();
}
