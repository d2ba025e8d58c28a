/* bench_peer.c - llm-bench model --peer: another program's tests in turn with ours
 *
 * A pair is one run of this program, as a process of its own, and one of the peer's command; which
 * goes first alternates, so that what drifts (heat, neighbours) meets both. Nothing of either is
 * in this process. The first repetition of a test is left out where both have more than one:
 * warm-ups decode a single token, which touches few experts of a file that is mapped. A pair's
 * ratio is that of the medians of its two runs, neighbours in time; pairs are independent, so the
 * ratio of all is their geometric mean, its interval Student's over logarithms.
 */
#include "cmd/bench_model.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/spawn.h"
#include "lib/stat/interval.h"
#include "lib/stat/order.h"

#define UNIT "tok/s"
#define LEVEL 0.95
#define SHOWN 200               /* bytes of a peer's output in a message */

/* What our runs say of a test besides its speed, by column. */
enum { READ_SHARE, COMPUTE_SHARE, READ_LIMIT, FLOPS_LIMIT, COLUMNS };
static const char *const column_names[COLUMNS] = {
    "read_share", "compute_share", "limit_read_bytes_per_s", "limit_flops_per_s"};

struct samples {
    double *x;
    size_t n;
};

struct duel {
    const struct model_test *test;
    struct samples ours, theirs;        /* of all pairs */
    struct samples ratio;               /* one a pair */
    struct samples column[COLUMNS];     /* one a pair */
    char compute_type[16];
    char *peer_is;                      /* series.origin in one line; NULL: it says nothing */
};

struct pair {                           /* of one test, while it runs */
    struct samples ours, theirs;
};

static void samples_add(struct samples *s, double x) {
    if (!(x > 0))               /* no speed, no limit: a null, or a test that did not run */
        return;
    s->x = mem_grow(s->x, s->n + 1, sizeof *s->x);
    s->x[s->n++] = x;
}

/* ---- our side ----------------------------------------------------------------------------- */

struct words {                  /* a command line; ended by NULL */
    char **word;
    size_t n;
};

static void add_word(struct words *w, char *word) {
    w->word = mem_grow(w->word, w->n + 2, sizeof *w->word);
    w->word[w->n++] = word;
    w->word[w->n] = NULL;
}

static void add_option(struct words *w, const char *option, const char *value) {
    if (!value)
        return;
    add_word(w, mem_strdup(option));
    add_word(w, mem_strdup(value));
}

static void add_numbers(struct words *w, const char *option, const struct numbers *l) {
    struct buf b = {0};
    for (int i = 0; i < l->n; i++)
        buf_printf(&b, "%s%lld", i ? "," : "", (long long)l->v[i]);
    add_option(w, option, b.data);
    buf_free(&b);
}

/* The command line of one of our runs: the same tests, without a peer. */
static struct words our_command(const struct model_bench *b) {
    struct words w = {0};
    char number[32];
    add_word(&w, spawn_sibling("llm-bench"));
    add_word(&w, mem_strdup("model"));
    add_option(&w, "--model", b->path);
    add_numbers(&w, "--prompt", &b->prompt);
    add_numbers(&w, "--tokens", &b->decode);
    add_numbers(&w, "--depth", &b->depth);
    add_numbers(&w, "--parallel", &b->parallel);
    add_numbers(&w, "--batch", &b->batch);
    add_numbers(&w, "--threads", &b->threads);
    for (int i = 0; i + 1 < b->pair.n; i += 2)
        add_numbers(&w, "--pg", &(struct numbers){b->pair.v + i, 2});
    snprintf(number, sizeof number, "%d", b->repeat);
    add_option(&w, "--repeat", number);
    add_option(&w, "--kv-type", model_bench_kv_name(b->kv_type));
    add_option(&w, "--cpu", b->common.cpu);
    add_option(&w, "--device", b->device_name);
    if (b->no_pack)
        add_word(&w, mem_strdup("--no-pack"));
    add_word(&w, mem_strdup("--no-hash"));
    add_word(&w, mem_strdup("--quiet"));
    add_word(&w, mem_strdup("--json"));
    return w;
}

static void words_free(struct words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->word[i]);
    free(w->word);
}

static void take_row(struct duel *d, struct pair *p, const cJSON *row) {
    const cJSON *x;
    cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(row, "samples"))
        samples_add(&p->ours, x->valuedouble);
    for (int i = 0; i < COLUMNS; i++) {
        x = cJSON_GetObjectItemCaseSensitive(row, column_names[i]);
        if (cJSON_IsNumber(x))
            samples_add(&d->column[i], x->valuedouble);
    }
    x = cJSON_GetObjectItemCaseSensitive(row, "compute_type");
    snprintf(d->compute_type, sizeof d->compute_type, "%s",
             cJSON_IsString(x) ? x->valuestring : "");
}

/* Rows come in the order of the tests. */
static int64_t run_ours(const struct words *command, struct duel *d, struct pair *p, int n) {
    struct spawned s;
    spawn_program(command->word, NULL, SPAWN_KEEP, &s);
    if (s.status)
        die("%s ended with status %d", command->word[0], s.status);
    const char *at = s.out.data;
    for (int i = 0; i < n; i++) {
        cJSON *row = cJSON_ParseWithOpts(at, &at, 0);
        if (!row)
            die("%s model: expected %d rows, found %d", command->word[0], n, i);
        take_row(&d[i], &p[i], row);
        cJSON_Delete(row);
    }
    int64_t peak = s.peak_bytes;
    spawned_free(&s);
    return peak;
}

/* ---- the peer's --------------------------------------------------------------------------- */

/* The beginning of a text in one line. */
static void shorten(const struct buf *text, char out[SHOWN + 4]) {
    size_t n = text->len;
    while (n && (unsigned char)text->data[n - 1] <= ' ')
        n--;
    const char *rest = n > SHOWN ? "..." : "";
    n = n > SHOWN ? SHOWN : n;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)text->data[i] < ' ' ? ' ' : text->data[i];
    snprintf(out + n, 4, "%s", rest);
}

static void take_series(struct duel *d, struct pair *p, const struct series *s) {
    for (size_t i = 0; i < s->n; i++)
        samples_add(&p->theirs, s->x[i]);
    if (d->peer_is)
        return;
    struct buf is = {0};
    for (const char *c = s->origin; *c; c++)
        *c == '\n' ? buf_adds(&is, ", ") : buf_addc(&is, *c);
    d->peer_is = is.data;
}

/* Bytes at its peak, -1: nothing of it is a test of ours. */
static int64_t run_theirs(const struct model_bench *b, struct duel *d, struct pair *p, int n) {
    struct spawned s;
    struct err err;
    char shown[SHOWN + 4];
    int found = 0;
    spawn_shell(b->peer, SPAWN_KEEP | (b->common.quiet ? SPAWN_QUIET : 0), &s);
    if (s.status)
        die("--peer: '%s' ended with status %d", b->peer, s.status);
    struct serieses *all = series_parse("--peer", s.out.data, s.out.len, &err);
    shorten(&s.out, shown);
    for (int i = 0; all && i < n; i++) {
        const struct series *match = series_find(all, d[i].test->name, UNIT);
        if (match)
            take_series(&d[i], &p[i], match);
        found += match != NULL;
    }
    if (!found && all && all->n)
        warn("--peer: none of its tests is ours: it has '%s' in %s, ours is '%s' in " UNIT,
             all->s[0].name, *all->s[0].unit ? all->s[0].unit : "no unit", d[0].test->name);
    else if (!found)
        warn("--peer: expected the output of llama-bench -o json or llm-bench model --json, found "
             "'%s'", shown);
    int64_t peak = found ? s.peak_bytes : -1;
    series_free(all);
    spawned_free(&s);
    return peak;
}

/* ---- pairs -------------------------------------------------------------------------------- */

/* One pair of one test into its duel; empties p. */
static void settle(struct duel *d, struct pair *p) {
    if (p->ours.n && p->theirs.n) {
        size_t skip = p->ours.n > 1 && p->theirs.n > 1;
        for (size_t i = skip; i < p->ours.n; i++)
            samples_add(&d->ours, p->ours.x[i]);
        for (size_t i = skip; i < p->theirs.n; i++)
            samples_add(&d->theirs, p->theirs.x[i]);
        samples_add(&d->ratio, order_median(p->ours.x + skip, p->ours.n - skip) /
                               order_median(p->theirs.x + skip, p->theirs.n - skip));
    }
    free(p->ours.x);
    free(p->theirs.x);
    *p = (struct pair){{0}, {0}};
}

struct peaks {
    int64_t ours, theirs;
};

/* All pairs. 0, or -1 when the peer has no test of ours. */
static int run_pairs(const struct model_bench *b, struct duel *d, int n, struct peaks *peak) {
    struct progress bar;
    struct words command = our_command(b);
    struct pair *pair = mem_array((size_t)n, sizeof *pair);
    int rc = 0;
    progress_start(&bar, "pairs", PROGRESS_COUNT, b->common.quiet);
    for (int i = 0; i < 2 * b->pairs && !rc; i++) {
        /* ours theirs, theirs ours, ours theirs, ... */
        int ours = (i + 1) / 2 % 2 == 0;
        int64_t got = ours ? run_ours(&command, d, pair, n) : run_theirs(b, d, pair, n);
        int64_t *most = ours ? &peak->ours : &peak->theirs;
        *most = got > *most ? got : *most;
        rc = got < 0 ? -1 : 0;
        for (int k = 0; k < n && (i % 2 || rc); k++)
            settle(&d[k], &pair[k]);
        progress_update(&bar, i + 1, 2 * b->pairs);
    }
    progress_end(&bar);
    free(pair);
    words_free(&command);
    return rc;
}

/* ---- rows --------------------------------------------------------------------------------- */

static const struct field fields[] = {
    {"ours_tps", 1, 0}, {"peer_tps", 1, 0}, {"ratio_min", 3, 0}, {"ratio_max", 3, 0},
    {"pairs", FIELD_COUNT, 0}, {"conclusion", FIELD_TEXT, 0}, {"bound", FIELD_TEXT, 0},
    {"bound_share", 3, 0}, {"read_share", 3, 1}, {"compute_share", 3, 1},
    {"limit_read_bytes_per_s", FIELD_WHOLE, 1}, {"limit_flops_per_s", FIELD_WHOLE, 1},
    {"compute_type", FIELD_TEXT, 1}, {"threads", FIELD_COUNT, 1},
    {"ours_peak_bytes", FIELD_COUNT, 1}, {"peer_peak_bytes", FIELD_COUNT, 1},
    {"ours_samples", FIELD_LIST, 1}, {"peer_samples", FIELD_LIST, 1}, {"peer", FIELD_TEXT, 1}};

#define FIELDS ((int)(sizeof fields / sizeof *fields))

static double least(const struct samples *s) {
    double x = s->x[0];
    for (size_t i = 1; i < s->n; i++)
        x = fmin(x, s->x[i]);
    return x;
}

static double largest(const struct samples *s) {
    double x = NAN;
    for (size_t i = 0; i < s->n; i++)
        x = fmax(x, s->x[i]);
    return x;
}

/* The geometric mean of the pairs' ratios and its interval. */
static void ratio_of(const struct samples *ratio, double out[3]) {
    double *log_ratio = mem_array(ratio->n, sizeof *log_ratio);
    for (size_t i = 0; i < ratio->n; i++)
        log_ratio[i] = log(ratio->x[i]);
    struct interval i = interval_mean(log_ratio, ratio->n, LEVEL);
    out[0] = exp(interval_average(log_ratio, ratio->n));
    out[1] = exp(i.low);
    out[2] = exp(i.high);
    free(log_ratio);
}

static const char *conclude(const struct model_bench *b, const struct duel *d,
                            const double ratio[3]) {
    if (ratio[1] > 1)
        return "faster";
    if (ratio[2] < 1)
        return "slower";
    if (b->common.quiet)
        return "unclear";
    if (d->ratio.n < 2)
        warn("%s: one pair has no interval: --pairs 5", d->test->name);
    else
        warn("%s: the noise is larger than the difference: ratio %.3f, interval %.3f to %.3f",
             d->test->name, ratio[0], ratio[1], ratio[2]);
    return "unclear";
}

static void print_duel(struct rows *rows, const struct model_bench *b, const struct duel *d,
                       const struct peaks *peak) {
    double ratio[3];
    ratio_of(&d->ratio, ratio);
    double read = order_median(d->column[READ_SHARE].x, d->column[READ_SHARE].n);
    double compute = order_median(d->column[COMPUTE_SHARE].x, d->column[COMPUTE_SHARE].n);
    int known = !isnan(read) && !isnan(compute);
    const struct value v[] = {
        {.number = order_median(d->ours.x, d->ours.n)},
        {.number = order_median(d->theirs.x, d->theirs.n)}, {.number = least(&d->ratio)},
        {.number = largest(&d->ratio)}, {.count = (int64_t)d->ratio.n},
        {.text = conclude(b, d, ratio)},
        {.text = !known ? NULL : read > compute ? "memory" : "compute"},
        {.number = known ? fmax(read, compute) : NAN}, {.number = read}, {.number = compute},
        {.number = largest(&d->column[READ_LIMIT])}, {.number = largest(&d->column[FLOPS_LIMIT])},
        {.text = d->compute_type}, {.count = d->test->threads}, {.count = peak->ours},
        {.count = peak->theirs}, {.list = d->ours.x, .count = (int64_t)d->ours.n},
        {.list = d->theirs.x, .count = (int64_t)d->theirs.n}, {.text = d->peer_is}};
    _Static_assert(sizeof v / sizeof *v == sizeof fields / sizeof *fields, "a value a field");
    rows_row(rows, &(struct measure){.name = d->test->name, .unit = "ratio",
                                     .better = SERIES_HIGHER, .sample = d->ratio.x,
                                     .n = d->ratio.n, .value = ratio}, v);
}

/* How many tests have a row. */
static int print_duels(const struct model_bench *b, const struct duel *d, int n,
                       const struct peaks *peak, int argc, char **argv) {
    struct rows rows;
    int compared = 0;
    rows_open(&rows, fields, FIELDS, &b->common, argc, argv);
    model_bench_hash(&rows, b);
    for (int i = 0; i < n; i++) {
        if (d[i].ratio.n)
            print_duel(&rows, b, &d[i], peak);
        else if (!b->common.quiet)
            warn("%s: the peer has no such test", d[i].test->name);
        compared += d[i].ratio.n > 0;
    }
    rows_close(&rows);
    return compared;
}

int bench_peer(const struct model_bench *b, const struct model_test *test, int n, int argc,
               char **argv) {
    struct duel *d = mem_array((size_t)n, sizeof *d);
    struct peaks peak = {0};
    for (int i = 0; i < n; i++)
        d[i].test = &test[i];
    int compared = run_pairs(b, d, n, &peak) ? 0 : print_duels(b, d, n, &peak, argc, argv);
    for (int i = 0; i < n; i++) {
        free(d[i].ours.x);
        free(d[i].theirs.x);
        free(d[i].ratio.x);
        for (int c = 0; c < COLUMNS; c++)
            free(d[i].column[c].x);
        free(d[i].peer_is);
    }
    free(d);
    return compared ? EXIT_DONE : EXIT_NOTHING;
}
