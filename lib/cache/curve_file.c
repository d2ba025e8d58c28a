/* curve_file.c - curves in files, and what consecutive pieces of a trace make together
 *
 * A saved curve is text, one record a line, numbers in decimal (zstd when its name ends in .zst):
 *
 *   llm-cache-curve 1 ORDER BLOCK_TOKENS    ORDER lru, lru-tail or ttl; BLOCK_TOKENS as the user
 *                                           said, or 0
 *   r TIME LARGEST FULL SHORT_BLOCKS SHORT_TOKENS STEP...
 *             a request that met a block for the first time: its blocks from that one on. TIME in
 *             ns; LARGEST: what a hit of the blocks before takes; FULL, SHORT_BLOCKS and
 *             SHORT_TOKENS: see curve_impl.h. STEP: ID, a block not used before in this piece; or
 *             NEED*COUNT, blocks that were, which with all before them take NEED
 *   u ID TIME                               every block, the longest unused one first
 *   h NEED BLOCKS SHORT_BLOCKS SHORT_TOKENS hits of blocks that take NEED
 *   t REQUESTS ACCESSES UNIQUE INPUT_TOKENS LENGTHLESS_BLOCKS LENGTHS BLOCK_TOKENS UP_MIN UP_MAX
 *     DOWN_MAX TIMED FIRST LAST             totals; the last line
 *
 * Merging runs the waiting requests of a piece on the order that the pieces before it left. A block
 * new to the piece lies as deep there as it would in the whole: above it are the blocks that the
 * piece used before, which its earlier `r` lines have brought up, and the older ones that it did
 * not. Only the order among the piece's own blocks differs, which no such depth depends on; the
 * `u` lines then set it right.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/cache/curve_impl.h"

#define WRITE_BYTES ((size_t)64 << 10)
#define USE_BATCH 4096

static const char *const order_names[] = {"lru", "lru-tail", "ttl"};

/* ---- writing ---------------------------------------------------------------------------- */

static void put(struct buf *b, char before, uint64_t n) {
    char digits[20];
    int i = sizeof digits;
    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    buf_addc(b, before);
    buf_add(b, digits + i, sizeof digits - (size_t)i);
}

static int write_lines(struct curve *c, size_t at_least, struct err *err) {
    if (c->line.len < at_least)
        return 0;
    int rc = zio_write(c->opt.save, c->line.data, c->line.len, err);
    c->line.len = 0;
    return rc;
}

static void put_head(struct curve *c) {
    if (!c->headed)
        buf_printf(&c->line, "llm-cache-curve 1 %s %d\n", order_names[c->opt.order],
                   c->opt.block_tokens);
    c->headed = 1;
}

int curve_save_open(struct curve *c, const struct curve_request *q, const uint64_t *id,
                    const uint64_t *need, int64_t first, uint64_t base, struct err *err) {
    struct buf *b = &c->line;
    int before = q->full < first;       /* the first short block: the rest give nothing */
    uint64_t largest = base;
    put_head(c);
    buf_addc(b, 'r');
    put(b, ' ', (uint64_t)q->time_ns);
    put(b, ' ', base);
    put(b, ' ', before ? 0 : (uint64_t)(q->full - first));
    put(b, ' ', before ? 1 : (uint64_t)q->short_blocks);
    put(b, ' ', before ? 0 : (uint64_t)q->short_tokens);
    for (int64_t i = first; i < q->n;) {
        if (need[i] == CURVE_NEW) {
            put(b, ' ', id[i++]);
            continue;
        }
        largest = need[i] > largest ? need[i] : largest;
        int64_t start = i++;
        while (i < q->n && need[i] <= largest)
            i++;
        put(b, ' ', largest);
        put(b, '*', (uint64_t)(i - start));
    }
    buf_addc(b, '\n');
    return write_lines(c, WRITE_BYTES, err);
}

static int save_order(struct curve *c, struct err *err) {
    uint32_t n = idmap_count(c->map);
    uint32_t *order = curve_order_of_use(c, n);
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        buf_addc(&c->line, 'u');
        put(&c->line, ' ', idmap_id(c->map, order[i]));
        put(&c->line, ' ', c->recency ? 0 : (uint64_t)c->used[order[i]]);
        buf_addc(&c->line, '\n');
        rc = write_lines(c, WRITE_BYTES, err);
    }
    free(order);
    return rc;
}

static int save_counts(struct curve *c, struct err *err) {
    struct point p;
    uint64_t next = 0;
    while (curve_next(c, &next, &p)) {
        buf_addc(&c->line, 'h');
        put(&c->line, ' ', p.key);
        put(&c->line, ' ', (uint64_t)p.blocks);
        put(&c->line, ' ', (uint64_t)p.short_blocks);
        put(&c->line, ' ', (uint64_t)p.short_tokens);
        buf_addc(&c->line, '\n');
        if (write_lines(c, WRITE_BYTES, err))
            return -1;
    }
    return 0;
}

enum {
    T_REQUESTS, T_ACCESSES, T_UNIQUE, T_INPUT_TOKENS, T_LENGTHLESS, T_LENGTHS, T_BLOCK_TOKENS,
    T_UP_MIN, T_UP_MAX, T_DOWN_MAX, T_TIMED, T_FIRST, T_LAST, T_N
};

int curve_save_rest(struct curve *c, struct err *err) {
    const struct curve_totals *t = &c->totals;
    const int64_t v[T_N] = {
        t->requests, t->accesses, t->unique, t->input_tokens, c->lengthless_blocks, c->lengths,
        c->implied, c->fit.up_min, c->fit.up_max, c->fit.down_max,
        c->timed, c->first_ns, c->last_ns};
    put_head(c);
    if (save_order(c, err) || save_counts(c, err))
        return -1;
    buf_addc(&c->line, 't');
    for (int i = 0; i < T_N; i++)
        put(&c->line, ' ', (uint64_t)v[i]);
    buf_addc(&c->line, '\n');
    return write_lines(c, 0, err);
}

/* ---- reading ---------------------------------------------------------------------------- */

struct reader {
    struct curve *c;
    const char *path;
    struct zio *in;
    int64_t line;
    int independent;
    int headed, ended;
    /* a waiting request: a step of n blocks each position */
    uint64_t *id;               /* new ones; elsewhere 0 */
    uint64_t *need;
    uint32_t *dense;            /* of the new ones, in their order */
    uint64_t *fresh;            /* [n_fresh] ids of the new ones */
    size_t n, cap, n_fresh;
    uint64_t *used;             /* `u` lines that wait: ids, then their times */
    int64_t *used_ns;
    size_t n_used;
};

static int bad(const struct reader *r, const char *expected, const char *found, struct err *err) {
    return err_set(err, "%s:%" PRId64 ": expected %s, found '%.40s'", r->path, r->line, expected,
                   found);
}

/* A number and the character before it. */
static int take(char **p, char before, uint64_t *out) {
    char *at = *p;
    uint64_t n = 0;
    if (*at++ != before || *at < '0' || *at > '9')
        return -1;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*at - '0'), &n))
            return -1;
    *p = at;
    *out = n;
    return 0;
}

#define MAX_COUNT ((uint64_t)1 << 53)

/* n numbers, none above max; *p moves behind them. */
static int take_all(const struct reader *r, char **p, int n, uint64_t max, int64_t *out,
                    struct err *err) {
    for (int i = 0; i < n; i++) {
        uint64_t v;
        if (take(p, ' ', &v) || v > max)
            return bad(r, "another number", **p ? *p : "the end of the line", err);
        out[i] = (int64_t)v;
    }
    return 0;
}

/* What a hit can take: more blocks than there can be are not believed. */
static uint64_t max_need(const struct reader *r) {
    return r->c->opt.order == CURVE_TTL ? INT64_MAX : UINT32_MAX;
}

static int read_head(struct reader *r, const char *text, struct err *err) {
    struct curve *c = r->c;
    char order[16];
    int block_tokens;
    int end = 0;
    if (sscanf(text, "llm-cache-curve 1 %15s %d%n", order, &block_tokens, &end) != 2 || text[end])
        return bad(r, "a file that curve --save wrote", text, err);
    if (strcmp(order, order_names[c->opt.order]))
        return err_set(err, "%s: a curve of %s; this one is of %s", r->path, order,
                       order_names[c->opt.order]);
    if (block_tokens != c->opt.block_tokens)
        return err_set(err, "%s: was saved with --block-tokens %d, this one with %d (0: without)",
                       r->path, block_tokens, c->opt.block_tokens);
    r->headed = 1;
    return 0;
}

static void grow_steps(struct reader *r, size_t n) {
    if (r->n + n <= r->cap)
        return;
    r->cap = (r->n + n) * 2;
    r->id = mem_grow(r->id, r->cap, sizeof *r->id);
    r->need = mem_grow(r->need, r->cap, sizeof *r->need);
    r->dense = mem_grow(r->dense, r->cap, sizeof *r->dense);
    r->fresh = mem_grow(r->fresh, r->cap, sizeof *r->fresh);
}

#define MAX_RUN ((uint64_t)1 << 28)     /* blocks of a request */

static int read_steps(struct reader *r, char *p, struct err *err) {
    r->n = r->n_fresh = 0;
    while (*p) {
        char *start = p;
        uint64_t v;
        uint64_t count = 1;
        if (take(&p, ' ', &v))
            return bad(r, "a step", start, err);
        int known = *p == '*';
        if (known && (take(&p, '*', &count) || count == 0 || count > MAX_RUN ||
                      v > max_need(r)))
            return bad(r, "NEED*COUNT", start, err);
        grow_steps(r, (size_t)count);
        for (; count; count--, r->n++) {
            r->id[r->n] = known ? 0 : v;
            r->need[r->n] = known ? v : CURVE_NEW;
            if (!known)
                r->fresh[r->n_fresh++] = v;
        }
    }
    return 0;
}

/* A waiting request on the order that the pieces before left. */
static int run_open(struct reader *r, char *text, struct err *err) {
    struct curve *c = r->c;
    struct curve_request q;
    int64_t time = 0;
    int64_t base = 0;
    int64_t v[3];
    char *p = text + 1;
    if (take_all(r, &p, 1, INT64_MAX, &time, err) || take_all(r, &p, 1, max_need(r), &base, err) ||
        take_all(r, &p, 3, MAX_COUNT, v, err))
        return -1;
    uint64_t largest = (uint64_t)base;
    if (read_steps(r, p, err) || curve_number(c, r->fresh, r->n_fresh, r->dense, err))
        return -1;
    q = (struct curve_request){.time_ns = time, .n = (int64_t)r->n, .full = v[0],
                               .short_blocks = v[1], .short_tokens = v[2]};
    for (size_t i = 0, f = 0; i < r->n; i++)
        if (r->need[i] == CURVE_NEW)
            r->need[i] = curve_need(c, r->dense[f++], q.time_ns);
    int64_t first = curve_count(c, &q, r->need, &largest);
    if (first < q.n && c->opt.save &&
        curve_save_open(c, &q, r->id, r->need, first, largest, err))
        return -1;
    for (size_t f = 0; f < r->n_fresh; f++)
        curve_use(c, r->dense[f], q.time_ns);
    return 0;
}

static int run_uses(struct reader *r, struct err *err) {
    uint32_t dense[USE_BATCH];
    if (curve_number(r->c, r->used, r->n_used, dense, err))
        return -1;
    for (size_t i = 0; i < r->n_used; i++)
        curve_use(r->c, dense[i], r->used_ns[i]);
    r->n_used = 0;
    return 0;
}

static int read_use(struct reader *r, char *text, struct err *err) {
    uint64_t time;
    char *p = text + 1;
    if (take(&p, ' ', &r->used[r->n_used]) || take(&p, ' ', &time) || *p || time > INT64_MAX)
        return bad(r, "u ID TIME", text, err);
    r->used_ns[r->n_used++] = (int64_t)time;
    return r->n_used < USE_BATCH ? 0 : run_uses(r, err);
}

static int read_count(struct reader *r, char *text, struct err *err) {
    int64_t need = 0;
    int64_t v[3];
    char *p = text + 1;
    if (take_all(r, &p, 1, max_need(r), &need, err) || take_all(r, &p, 3, MAX_COUNT, v, err))
        return -1;
    if (*p)
        return bad(r, "the end of the line", p, err);
    curve_count_hits(r->c, (uint64_t)need, v[0], v[1], v[2]);
    return 0;
}

static int read_totals(struct reader *r, char *text, struct err *err) {
    struct curve *c = r->c;
    int64_t v[T_N];
    char *p = text + 1;
    if (take_all(r, &p, T_BLOCK_TOKENS, MAX_COUNT, v, err) ||
        take_all(r, &p, 1, INT32_MAX, v + T_BLOCK_TOKENS, err) ||
        take_all(r, &p, T_N - T_UP_MIN, INT64_MAX, v + T_UP_MIN, err))
        return -1;
    if (*p)
        return bad(r, "the end of the line", p, err);
    if (v[T_BLOCK_TOKENS] && c->implied && v[T_BLOCK_TOKENS] != c->implied)
        return err_set(err, "%s: blocks of %" PRId64 " tokens, those before of %d: save the pieces "
                       "with --block-tokens", r->path, v[T_BLOCK_TOKENS], c->implied);
    if (c->opt.order == CURVE_TTL && !r->independent && c->timed && v[T_TIMED] &&
        v[T_FIRST] < c->last_ns)
        return err_set(err, "%s: begins %.3f s before the piece before it ends: expected the "
                       "pieces in the order of the trace", r->path,
                       (double)(c->last_ns - v[T_FIRST]) * 1e-9);
    c->totals.requests += v[T_REQUESTS];
    c->totals.accesses += v[T_ACCESSES];
    c->totals.input_tokens += v[T_INPUT_TOKENS];
    c->lengthless_blocks += v[T_LENGTHLESS];
    c->lengths |= v[T_LENGTHS] != 0;
    c->implied = v[T_BLOCK_TOKENS] ? (int)v[T_BLOCK_TOKENS] : c->implied;
    curve_fit_meet(&c->fit, &(struct curve_fit){v[T_UP_MIN], v[T_UP_MAX], v[T_DOWN_MAX]});
    if (v[T_TIMED]) {
        c->first_ns = c->timed ? c->first_ns : v[T_FIRST];
        c->last_ns = v[T_LAST];
        c->timed = 1;
    }
    if (r->independent && v[T_UNIQUE] > c->totals.unique)
        c->totals.unique = v[T_UNIQUE];
    r->ended = 1;
    return 0;
}

static int read_line(struct reader *r, char *text, struct err *err) {
    if (!r->headed)
        return read_head(r, text, err);
    if (r->ended)
        return bad(r, "nothing behind the totals", text, err);
    if (*text != 'u' && r->n_used && run_uses(r, err))
        return -1;
    switch (*text) {
    case 'r': return r->independent ? 0 : run_open(r, text, err);
    case 'u': return r->independent ? 0 : read_use(r, text, err);
    case 'h': return read_count(r, text, err);
    case 't': return read_totals(r, text, err);
    default: return bad(r, "a line that begins with r, u, h or t", text, err);
    }
}

static int read_lines(struct reader *r, struct err *err) {
    char *text;
    size_t len;
    int rc;
    while ((rc = zio_line(r->in, &text, &len, err)) == 1) {
        r->line++;
        if (read_line(r, text, err))
            return -1;
    }
    if (rc == 0 && !r->ended)
        return err_set(err, "%s: expected the totals (a line 't ...') at the end of a saved curve, "
                       "found the end of the file after line %" PRId64, r->path, r->line);
    return rc;
}

static int merge(struct curve *c, const char *path, int independent, struct err *err) {
    struct reader r = {.c = c, .path = path, .independent = independent};
    r.in = zio_open_read(path, err);
    if (!r.in)
        return -1;
    r.used = mem_array(USE_BATCH, sizeof *r.used);
    r.used_ns = mem_array(USE_BATCH, sizeof *r.used_ns);
    int rc = read_lines(&r, err);
    if (rc)
        zio_abort(r.in);
    else
        rc = zio_close(r.in, err);
    free(r.id);
    free(r.need);
    free(r.dense);
    free(r.fresh);
    free(r.used);
    free(r.used_ns);
    return rc;
}

int curve_merge(struct curve *c, const char *path, struct err *err) {
    return merge(c, path, 0, err);
}

int curve_merge_independent(struct curve *c, const char *path, struct err *err) {
    return merge(c, path, 1, err);
}
