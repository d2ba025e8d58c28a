/* policy_twoq.c - 2Q, full version (Johnson and Shasha, "2Q: a low overhead high performance
 * buffer management replacement algorithm", VLDB 1994)
 *
 * New blocks pass through a FIFO queue (A1in), in which hits change nothing. When it is over its
 * share its oldest block leaves the cache and only its number is kept, in a second FIFO queue
 * (A1out). A block that comes back while its number is there goes into the main LRU queue (Am),
 * which gives way when A1in is within its share.
 */
#include "lib/cache/policy.h"
#include "lib/cache/queues.h"

enum { NOWHERE, IN, OUT, MAIN };

struct twoq {
    struct policy p;
    struct stamp *stamp;        /* [unique] of the access that inserted it; in MAIN: the latest */
    uint32_t tail[4];           /* by queue */
    int64_t n_in, in_max;
    int64_t n_out, out_max;
    uint32_t now;               /* accesses so far */
};

static int holds(const struct twoq *q, uint32_t id) {
    return q->stamp[id].queue == IN || q->stamp[id].queue == MAIN;
}

static void prefetch(const struct twoq *q, uint32_t id) {
    __builtin_prefetch(&q->stamp[id], 1);
}

static struct stamp *oldest(struct twoq *q, unsigned queue, uint32_t *id) {
    *id = stamp_oldest(q->stamp, q->p.blocks->id, &q->tail[queue], queue);
    return &q->stamp[*id];
}

/* Makes room for one block. */
static void reclaim(struct twoq *q) {
    uint32_t id;
    uint32_t forgotten;
    if (q->n_in <= q->in_max && q->n_in < q->p.size) {
        oldest(q, MAIN, &id)->queue = NOWHERE;
    } else {
        oldest(q, IN, &id)->queue = OUT;
        q->n_in--;
        if (++q->n_out > q->out_max) {
            oldest(q, OUT, &forgotten)->queue = NOWHERE;
            q->n_out--;
        }
    }
    policy_evicted(&q->p, id);
}

static int touch(struct twoq *q, uint32_t id) {
    struct stamp *s = &q->stamp[id];
    uint32_t now = q->now++;
    unsigned was = s->queue;
    if (was == IN)
        return 1;
    if (was == MAIN) {
        s->at = now;
        return 1;
    }
    s->queue = NOWHERE;
    q->n_out -= was == OUT;
    if (q->p.size == q->p.capacity)
        reclaim(q);
    s->at = now;
    s->queue = was == OUT ? MAIN : IN;
    q->n_in += was != OUT;
    policy_inserted(&q->p, id);
    return 0;
}

static void *create(const struct sim_setup *s, struct err *err) {
    static const char *const keys[] = {"in", "out", NULL};
    struct err bad = {""};
    double in = policy_param(s, "in", 0.25, 0, 1, &bad);
    double out = policy_param(s, "out", 0.5, 0, 1000, &bad);
    if (policy_params_known(s, keys, &bad) || *bad.text) {
        err_set(err, "%s", bad.text);
        return NULL;
    }
    struct twoq *q = mem_alloc(sizeof *q);
    policy_start(&q->p, s);
    q->stamp = mem_array(s->blocks->unique, sizeof *q->stamp);
    q->in_max = queue_part(q->p.capacity, in);
    q->out_max = queue_part(q->p.capacity, out);
    return q;
}

static void destroy(struct twoq *q) {
    free(q->stamp);
}

POLICY_DEFINE(twoq, "2q", "2Q: new blocks fifo in=0.25, those that return lru; remembers out=0.5")
