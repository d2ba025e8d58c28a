/* agenda.c - events that leave in the order of their times, see agenda.h */
#include "lib/cache/agenda.h"

#include <stdlib.h>

#include "lib/base/mem.h"

static int comes_before(const struct agenda_event *a, const struct agenda_event *b) {
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

void agenda_add(struct agenda *a, struct agenda_event e) {
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 64;
        a->event = mem_grow(a->event, (size_t)a->cap, sizeof *a->event);
    }
    int64_t i = a->n++;
    for (; i > 0 && comes_before(&e, &a->event[(i - 1) / 2]); i = (i - 1) / 2)
        a->event[i] = a->event[(i - 1) / 2];
    a->event[i] = e;
}

void agenda_drop(struct agenda *a) {
    struct agenda_event last = a->event[--a->n];
    int64_t i = 0;
    for (int64_t child; (child = 2 * i + 1) < a->n; i = child) {
        if (child + 1 < a->n && comes_before(&a->event[child + 1], &a->event[child]))
            child++;
        if (!comes_before(&a->event[child], &last))
            break;
        a->event[i] = a->event[child];
    }
    a->event[i] = last;
}

void agenda_free(struct agenda *a) {
    free(a->event);
    *a = (struct agenda){0};
}
