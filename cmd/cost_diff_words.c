/* cost_diff_words.c - what llm-cost diff and check say on stderr: what is not fair, or missing */
#include <stdlib.h>
#include <string.h>

#include "cmd/cost_diff.h"
#include "cmd/origin.h"

/* ---- where -------------------------------------------------------------------------------- */

/* All texts of a key among a side's measurements, each once. NULL: none. */
static char *origin_of_side(const struct diff_side *s, const char *key) {
    struct buf b = {0};
    for (size_t i = 0; s->series && i < s->series->n; i++) {
        char *one = origin_of(s->series->s[i].origin, key);
        if (one && (!b.data || !strstr(b.data, one)))
            buf_printf(&b, "%s%s", b.len ? "; " : "", one);
        free(one);
    }
    return b.data;
}

static int has_unpaired(const struct diff *d) {
    for (size_t i = 0; i < d->metrics; i++)
        if (d->metric[i].rule.layer == GATE_UNPAIRED && d->metric[i].base_n &&
            d->metric[i].head_n)
            return 1;
    return 0;
}

/* Times and joules of two machines differ for reasons that no gate is about. */
static void say_hosts(const struct diff *d) {
    static const char *const keys[][2] = {
        {"host", "different hosts"}, {"cpu", "different processors"}, {"gpu", "different GPUs"},
        {"kernels", "different kernels"}, {"threads", "different numbers of threads"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char *base = origin_of_side(&d->side[0], keys[i][0]);
        char *head = origin_of_side(&d->side[1], keys[i][0]);
        if (base && head && strcmp(base, head))
            warn("base and head were measured with %s: '%.100s' and '%.100s'", keys[i][1], base,
                 head);
        free(base);
        free(head);
    }
}

/* ---- when --------------------------------------------------------------------------------- */

static void say_times(const struct diff *d) {
    const struct diff_side *b = &d->side[0];
    const struct diff_side *h = &d->side[1];
    if (b->timed < 2 || h->timed < 2)
        return;
    if (b->last_ns < h->first_ns || h->last_ns < b->first_ns)
        warn("%s was measured after all of %s: what changed on the machine in between counts as a "
             "change; run them in turn", b->last_ns < h->first_ns ? "head" : "base",
             b->last_ns < h->first_ns ? "base" : "head");
}

/* ---- what --------------------------------------------------------------------------------- */

static void say_cases(const struct diff *d) {
    const struct diff_cases *c = &d->cases;
    if (c->only_head)
        warn("%zu of %zu cases are in %s alone and not compared", c->only_head, c->n,
             d->side[1].name);
    for (size_t i = 0, said = 0; i < c->n && said < 3; i++)
        if (!c->c[i].head_n) {
            warn("%s: no record of case '%.80s'%s", d->side[1].name, c->c[i].id,
                 c->only_base > 3 && said == 2 ? ", and more" : "");
            said++;
        }
    for (size_t i = 0; i < d->metrics; i++)
        if (d->own[i].lost && d->policy->missing != GATE_ACT_IGNORE)
            warn("%s: no %s in %zu cases that %s has it for", d->side[1].name, d->metric[i].name,
                 d->own[i].lost, d->side[0].name);
    for (size_t i = 0; i < c->n; i++)
        if (c->c[i].base_n && c->c[i].head_n && c->c[i].base_n != c->c[i].head_n) {
            warn("case '%.80s' has %zu records in %s and %zu in %s: their means are compared",
                 c->c[i].id, c->c[i].base_n, d->side[0].name, c->c[i].head_n, d->side[1].name);
            break;
        }
    if (c->by_place && c->both)
        warn("no record has '%s': they are paired by their place in the files", d->policy->key);
    for (int side = 0; side < 2; side++)
        if (d->side[side].voids)
            warn("%s: %zu records are left out: errors and warm-ups", d->side[side].name,
                 d->side[side].voids);
}

void diff_words(const struct diff *d) {
    if (d->opt->common.quiet)
        return;
    say_cases(d);
    if (has_unpaired(d)) {
        say_hosts(d);
        say_times(d);
    }
}
