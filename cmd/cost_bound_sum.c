/* cost_bound_sum.c - what records come to in each way, and which rules move most in all, see
 * cost_bound.h
 */
#include "cmd/cost_bound.h"

#include <stdlib.h>
#include <string.h>

static void add_rule(struct bound_sum *s, const struct bound_rule *r) {
    if (r->row < 0)
        return;
    for (int i = 0; i < s->rules; i++) {
        struct bound_rule *k = &s->rule[i];
        if (k->book == r->book && k->row == r->row && k->other_book == r->other_book &&
            k->other_row == r->other_row) {
            if (__builtin_add_overflow(k->moves, r->moves, &k->moves))
                die("more money than 128 bits count");
            return;
        }
    }
    if (s->rules == RULES)
        return;
    s->rule = mem_grow(s->rule, (size_t)s->rules + 1, sizeof *s->rule);
    s->rule[s->rules++] = *r;
}

void bound_sum_add(struct bound_sum *s, const struct bound *x, int lacking,
                   const struct bound_rule *rule) {
    s->records++;
    s->unpriced += !!lacking;
    for (int i = 0; !lacking && i < x->ways; i++)
        if (__builtin_add_overflow(s->usd[i], x->way[i].usd, &s->usd[i]))
            die("more money than 128 bits count");
    if (!lacking)
        add_rule(s, rule);
}

struct bound_rule bound_sum_rule(const struct bound_sum *s) {
    struct bound_rule best = {-1, -1, -1, -1, 0};
    for (int i = 0; i < s->rules; i++)
        if (s->rule[i].moves > best.moves)
            best = s->rule[i];
    return best;
}

struct bound_sum *bound_sum_of(struct bound_sum **list, const char *name, size_t len) {
    for (; *list; list = &(*list)->next)
        if (strlen((*list)->name) == len && !memcmp((*list)->name, name, len))
            return *list;
    *list = mem_alloc(sizeof **list);
    (*list)->name = mem_strndup(name, len);
    return *list;
}

void bound_sums_free(struct bound_sum *list) {
    while (list) {
        struct bound_sum *next = list->next;
        free(list->name);
        free(list->rule);
        free(list);
        list = next;
    }
}
