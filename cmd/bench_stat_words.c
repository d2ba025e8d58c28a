/* bench_stat_words.c - what llm-bench stat says on stderr: why a number may not be what it seems */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench_stat.h"
#include "cmd/origin.h"

/* ---- noise -------------------------------------------------------------------------------- */

static void say_noise(const struct stat_options *o, const struct stat_side *side,
                      const struct series *s, unsigned bits) {
    const char *advice = side->command ? "; more --warmup" : "";
    if (bits & COMPARE_WARMUP)
        warn("%s: %s: the first sample, %.4g, is far off the others%s", side->label, s->name,
             s->x[0], advice);
    if (bits & COMPARE_DRIFT)
        warn("%s: %s: the samples drift with time; its interval is too narrow", side->label,
             s->name);
    if (bits & COMPARE_DEPENDENT)
        warn("%s: %s: each sample is like the one before it; its interval is too narrow",
             side->label, s->name);
    if (bits & COMPARE_MODES)
        warn("%s: %s: the samples fall into two groups; a median says little", side->label,
             s->name);
    if (bits & COMPARE_OUTLIERS && (o->common.verbose || side->command))
        warn("%s: %s: some samples lie far outside", side->label, s->name);
}

void stat_say_summary(const struct stat_options *o, const struct stat_side *side) {
    if (o->common.quiet)
        return;
    for (size_t i = 0; i < side->all->n; i++) {
        const struct series *s = &side->all->s[i];
        say_noise(o, side, s, compare_noise(s->x, s->n, s->better));
    }
}

/* ---- where they were measured ------------------------------------------------------------- */

/* 1 when it was said. */
static int say_origin(const struct stat_side *base, const struct stat_side *head,
                      const struct comparison *c, const char *key, const char *words) {
    char *a = origin_of(c->base->origin, key);
    char *b = origin_of(c->head->origin, key);
    int differ = a && b && strcmp(a, b) != 0;
    if (differ)
        warn("%s and %s: %s: '%.200s' and '%.200s'", base->label, head->label, words, a, b);
    free(a);
    free(b);
    return differ;
}

/* Once a pair for each of them. Another program or command may be what is compared; another
 * machine is no fair comparison. */
static void say_origins(const struct stat_side *side, const struct comparisons *c) {
    static const char *const keys[][2] = {
        {"host", "measured on different hosts"}, {"cpu", "measured on different processors"},
        {"gpu", "measured on different GPUs"}, {"kernels", "run with different kernels"},
        {"threads", "run with different numbers of threads"}, {"model", "different models"},
        {"kv_type", "different types of the KV cache"}, {"load", "under different loads"},
        {"command", "different command lines"}, {"files", "measured on different files"}};
    for (int pair = 0; pair < c->pairs; pair++) {
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            int said = 0;
            for (size_t i = 0; i < c->n && !said; i++)
                if (c->c[i].pair == pair && c->c[i].base && c->c[i].head)
                    said = say_origin(&side[0], &side[pair + 1], &c->c[i], keys[k][0],
                                      keys[k][1]);
        }
    }
}

/* ---- verdicts ----------------------------------------------------------------------------- */

/* The rows name them too; these are the words for a log. */
static void say_verdict(const struct stat_side *side, const struct comparison *c) {
    const char *head = side[c->pair + 1].label;
    if (c->verdict == COMPARE_ONLY_BASE)
        warn("%s: no samples of %s, which %s has", head, c->base->name, side[0].label);
    if (c->verdict == COMPARE_ONLY_HEAD)
        warn("%s: no samples of %s, which %s has", side[0].label, c->head->name, head);
    if (c->verdict == COMPARE_NOTHING && !isnan(c->need))
        warn("%s: %s: no conclusion; %.0f samples a side should do", head, c->head->name, c->need);
    if (c->head && c->base && (c->head_noise & COMPARE_WIDE) && c->ratio.shift > 0)
        warn("%s: %s: samples spread over %.1f%%, more than the difference of %.1f%%", head,
             c->head->name, 100 * c->spread, 100 * fabs(c->ratio.shift - 1));
}

/* "head.jsonl against base.jsonl: 1 worse, 2 better, 9 no difference" */
static void say_count(const struct stat_side *side, const struct comparisons *c, int pair) {
    struct buf b = {0};
    for (int v = 0; v <= COMPARE_ONLY_HEAD; v++) {
        size_t n = 0;
        for (size_t i = 0; i < c->n; i++)
            n += c->c[i].pair == pair && c->c[i].verdict == v;
        if (n)
            buf_printf(&b, "%s%zu %s", b.len ? ", " : "", n, compare_verdict_name(v));
    }
    warn("%s against %s: %s", side[pair + 1].label, side[0].label, b.data ? b.data : "nothing");
    buf_free(&b);
}

/* A side's noise once, however many it is compared with. */
static void say_noises(const struct stat_options *o, const struct stat_side *side,
                       const struct comparisons *c) {
    for (size_t i = 0; i < c->n; i++) {
        const struct comparison *one = &c->c[i];
        if (one->base && !one->pair)
            say_noise(o, &side[0], one->base, one->base_noise);
        if (one->head)
            say_noise(o, &side[one->pair + 1], one->head, one->head_noise);
    }
}

void stat_say_comparison(const struct stat_options *o, const struct stat_side *side,
                         const struct comparisons *c) {
    if (o->common.quiet)
        return;
    say_origins(side, c);
    say_noises(o, side, c);
    for (size_t i = 0; i < c->n; i++)
        say_verdict(side, &c->c[i]);
    for (int pair = 0; pair < c->pairs; pair++)
        say_count(side, c, pair);
}
