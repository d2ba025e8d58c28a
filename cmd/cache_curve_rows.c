/* cache_curve_rows.c - the rows of llm-cache curve, see cache_curve.h
 *
 * A curve at every capacity may have millions of rows, so rows for pipes are made here and not by
 * the table: ratios get nine decimals, which tell hits of up to 10^9 uses apart, and their text is
 * made anew only when they change.
 */
#include "cmd/cache_curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/common.h"
#include "cmd/plot.h"
#include "cmd/table.h"

#define PLOT_POINTS 500

/* ---- ratios at rising keys -------------------------------------------------------------- */

enum ratio { BLOCK, TOKEN, BLOCK_LOW, BLOCK_HIGH, TOKEN_LOW, TOKEN_HIGH, RATIOS };

struct row {
    uint64_t key;
    double ratio[RATIOS];               /* NaN: no value */
};

struct rows {
    const struct curve_source *source;
    struct curve_walk walk;
    struct shards_walk *sampled;
    struct row next;                    /* not taken yet */
    int more;
};

const struct curve_totals *curve_source_totals(const struct curve_source *s) {
    return s->curve ? curve_totals(s->curve) : shards_totals(s->shards);
}

static double share(double part, double all) {
    return all > 0 ? part / all : NAN;
}

static void set_ratios(const struct rows *r, struct row *row, const struct shards_point *p) {
    const struct curve_totals *t = curve_source_totals(r->source);
    double blocks = (double)t->accesses;
    double tokens = (double)t->input_tokens;
    row->ratio[BLOCK] = share(p->block_hits, blocks);
    row->ratio[TOKEN] = share(p->token_hits, tokens);
    row->ratio[BLOCK_LOW] = share(p->block_low, blocks);
    row->ratio[BLOCK_HIGH] = share(p->block_high, blocks);
    row->ratio[TOKEN_LOW] = share(p->token_low, tokens);
    row->ratio[TOKEN_HIGH] = share(p->token_high, tokens);
}

static void read_next(struct rows *r) {
    struct shards_point p = {0};
    if (r->sampled) {
        r->more = shards_step(r->sampled, &p);
    } else {
        r->more = curve_step(&r->walk);
        p = (struct shards_point){.key = r->walk.key, .block_hits = (double)r->walk.hit_blocks,
                                  .token_hits = (double)r->walk.hit_tokens};
    }
    r->next.key = p.key;
    if (r->more)
        set_ratios(r, &r->next, &p);
}

/* row becomes what holds below the first key: no hits. */
static void start_rows(struct rows *r, const struct curve_source *s, struct row *row) {
    *r = (struct rows){.source = s};
    if (s->curve)
        r->walk = curve_walk(s->curve);
    else
        r->sampled = shards_walk(s->shards);
    row->key = 0;
    set_ratios(r, row, &(struct shards_point){0});
    read_next(r);
}

static void end_rows(struct rows *r) {
    shards_walk_free(r->sampled);
}

/* Moves row on to what holds at key. 1 when that is something else. */
static int move_to(struct rows *r, struct row *row, uint64_t key) {
    int changed = 0;
    for (; r->more && r->next.key <= key; read_next(r)) {
        memcpy(row->ratio, r->next.ratio, sizeof row->ratio);
        changed = 1;
    }
    row->key = key;
    return changed;
}

uint64_t curve_source_last(const struct curve_source *s) {
    struct rows r;
    struct row row;
    uint64_t last = 0;
    start_rows(&r, s, &row);
    for (; r.more; read_next(&r))
        last = r.next.key;
    end_rows(&r);
    return last;
}

/* ---- rows for pipes --------------------------------------------------------------------- */

struct writer {
    const struct curve_source *source;
    int ratios;
    char text[512];                     /* of the ratios, up to the end of the line */
    size_t len;
};

static const char *const ratio_names[RATIOS] = {
    "block_hit_ratio", "token_hit_ratio", "block_hit_ratio_low", "block_hit_ratio_high",
    "token_hit_ratio_low", "token_hit_ratio_high"};

static const char *key_name(const struct curve_source *s) {
    return s->order == CURVE_TTL ? "ttl_s" : "capacity_blocks";
}

static int count_ratios(const struct curve_source *s) {
    return s->shards ? RATIOS : BLOCK_LOW;
}

static void start_writer(struct writer *w, const struct curve_source *s) {
    *w = (struct writer){.source = s, .ratios = count_ratios(s)};
    if (s->json)
        return;
    fputs(key_name(s), stdout);
    for (int i = 0; i < w->ratios; i++)
        printf("\t%s", ratio_names[i]);
    putchar('\n');
}

/* Seconds with as many decimals as they need. */
static size_t format_seconds(char *out, uint64_t ns) {
    int n = sprintf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000),
                    (unsigned long long)(ns % 1000000000));
    while (out[n - 1] == '0')
        n--;
    return (size_t)(out[n - 1] == '.' ? n - 1 : n);
}

static size_t format_count(char *out, uint64_t n) {
    char digits[20];
    size_t len = 0;
    do
        digits[len++] = (char)('0' + n % 10);
    while (n /= 10);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

static void set_text(struct writer *w, const struct row *row) {
    int json = w->source->json;
    size_t n = 0;
    for (int i = 0; i < w->ratios; i++) {
        if (json)
            n += (size_t)sprintf(w->text + n, ",\"%s\":", ratio_names[i]);
        else
            w->text[n++] = '\t';
        if (isnan(row->ratio[i]))
            n += (size_t)sprintf(w->text + n, json ? "null" : "-");
        else
            n += (size_t)sprintf(w->text + n, "%.9f", row->ratio[i]);
    }
    if (json)
        w->text[n++] = '}';
    w->text[n++] = '\n';
    w->len = n;
}

static void write_row(struct writer *w, uint64_t key) {
    char line[1024];
    size_t n = 0;
    if (w->source->json)
        n = (size_t)sprintf(line, "{\"%s\":", key_name(w->source));
    n += w->source->order == CURVE_TTL ? format_seconds(line + n, key)
                                       : format_count(line + n, key);
    memcpy(line + n, w->text, w->len);
    fwrite(line, 1, n + w->len, stdout);
}

void curve_print_all(const struct curve_source *s) {
    const uint64_t unique = (uint64_t)curve_source_totals(s)->unique;
    uint64_t every = s->curve && s->order != CURVE_TTL;
    struct writer w;
    struct rows r;
    struct row row;
    start_rows(&r, s, &row);
    start_writer(&w, s);
    if (s->order == CURVE_TTL && (!r.more || r.next.key > 0)) { /* below the first change */
        set_text(&w, &row);
        write_row(&w, 0);
    }
    for (uint64_t key = every; every ? key <= unique : r.more; key++) {
        key = every ? key : r.next.key;
        if (move_to(&r, &row, key) || w.len == 0)
            set_text(&w, &row);
        write_row(&w, key);
    }
    end_rows(&r);
}

/* ---- chosen rows ------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b) {
    uint64_t x = **(const uint64_t *const *)a;
    uint64_t y = **(const uint64_t *const *)b;
    return (x > y) - (x < y);
}

/* The rows at keys in any order; the caller frees. */
static struct row *find_rows(const struct curve_source *s, const uint64_t *key, int n) {
    struct row *out = mem_array((size_t)n, sizeof *out);
    const uint64_t **order = mem_array((size_t)n, sizeof *order);
    struct rows r;
    struct row row;
    for (int i = 0; i < n; i++)
        order[i] = &key[i];
    qsort(order, (size_t)n, sizeof *order, by_key);
    start_rows(&r, s, &row);
    for (int i = 0; i < n; i++) {
        move_to(&r, &row, *order[i]);
        out[order[i] - key] = row;
    }
    end_rows(&r);
    free(order);
    return out;
}

static void print_aligned(const struct curve_source *s, const struct row *row, int n) {
    struct column columns[1 + RATIOS] = {{key_name(s), 3}};
    int ratios = count_ratios(s);
    for (int i = 0; i < ratios; i++)
        columns[1 + i] = (struct column){ratio_names[i], 5};
    struct table *t = table_new(stdout, columns, 1 + ratios, TABLE_ALIGNED);
    for (int i = 0; i < n; i++) {
        if (s->order == CURVE_TTL)
            table_float(t, (double)row[i].key * 1e-9);
        else
            table_int(t, (int64_t)row[i].key);
        for (int k = 0; k < ratios; k++)
            table_float(t, row[i].ratio[k]);
    }
    table_free(t);
}

void curve_print_at(const struct curve_source *s, const uint64_t *key, int n) {
    struct row *row = find_rows(s, key, n);
    if (table_format(stdout, s->json) == TABLE_ALIGNED) {
        print_aligned(s, row, n);
    } else {
        struct writer w;
        start_writer(&w, s);
        for (int i = 0; i < n; i++) {
            set_text(&w, &row[i]);
            write_row(&w, row[i].key);
        }
    }
    free(row);
}

/* Up to n keys from the first that matters to the last, even by their logarithm. Returns how many
 * they are; the caller frees. */
static int spread_keys(const struct curve_source *s, int n, uint64_t **out) {
    uint64_t first = 1;
    uint64_t last = (uint64_t)curve_source_totals(s)->unique;
    struct rows r;
    struct row row;
    if (s->order == CURVE_TTL) {
        start_rows(&r, s, &row);
        while (r.more && r.next.key == 0)
            read_next(&r);
        first = r.more ? r.next.key : 1;
        end_rows(&r);
        last = curve_source_last(s);
    }
    uint64_t *key = mem_array((size_t)n, sizeof *key);
    int count = 0;
    last = last > first ? last : first;
    for (int i = 0; i < n; i++) {
        double at = n > 1 ? (double)i / (n - 1) : 1;
        uint64_t k = i == n - 1 ? last : (uint64_t)llround((double)first *
                                                           pow((double)last / (double)first, at));
        if (count == 0 || k > key[count - 1])
            key[count++] = k;
    }
    *out = key;
    return count;
}

void curve_print_spread(const struct curve_source *s, int n) {
    uint64_t *key;
    int count = spread_keys(s, n, &key);
    curve_print_at(s, key, count);
    free(key);
}

/* Two exclusive tiers of C1 and C2 blocks with LRU order through both (what leaves the first goes
 * to the second) hit together what one of C1 + C2 hits. */
void curve_print_splits(const struct curve_source *s, const struct curve_split *split, int n) {
    static const struct column columns[] = {
        {"tier1_blocks", 0}, {"tier2_blocks", 0}, {"tier1_block_hit_ratio", 5},
        {"tier2_block_hit_ratio", 5}, {"block_hit_ratio", 5}, {"tier1_token_hit_ratio", 5},
        {"tier2_token_hit_ratio", 5}, {"token_hit_ratio", 5}};
    uint64_t *key = mem_array((size_t)n * 2, sizeof *key);
    for (int i = 0; i < n; i++) {
        key[2 * i] = (uint64_t)split[i].tier[0];
        key[2 * i + 1] = (uint64_t)(split[i].tier[0] + split[i].tier[1]);
    }
    struct row *row = find_rows(s, key, 2 * n);
    struct table *t = table_new(stdout, columns, 8, table_format(stdout, s->json));
    for (int i = 0; i < n; i++) {
        const double *one = row[2 * i].ratio;
        const double *both = row[2 * i + 1].ratio;
        table_int(t, split[i].tier[0]);
        table_int(t, split[i].tier[1]);
        for (int k = BLOCK; k <= TOKEN; k++) {
            table_float(t, one[k]);
            table_float(t, both[k] - one[k]);
            table_float(t, both[k]);
        }
    }
    table_free(t);
    free(row);
    free(key);
}

void curve_plot(const struct curve_source *s, const char *file) {
    if (!file)
        return;
    int ttl = s->order == CURVE_TTL;
    uint64_t *key;
    int n = spread_keys(s, PLOT_POINTS, &key);
    struct row *row = find_rows(s, key, n);
    double *x = mem_array((size_t)n, sizeof *x);
    double *y = mem_array((size_t)n * 2, sizeof *y);
    for (int i = 0; i < n; i++) {
        x[i] = ttl ? (double)key[i] * 1e-9 : (double)key[i];
        y[i] = row[i].ratio[BLOCK];
        y[n + i] = row[i].ratio[TOKEN];
    }
    const struct plot_series series[] = {{"blocks", x, y, (size_t)n}, {"tokens", x, y + n,
                                                                       (size_t)n}};
    plot_lines(file, &(struct plot_labels){
                   .title = ttl ? "Hit ratio by time to live" : "Hit ratio by capacity",
                   .x = ttl ? "time to live, s" : "capacity, blocks", .y = "hit ratio",
                   .log_x = 1}, series, 2);
    free(y);
    free(x);
    free(row);
    free(key);
}
