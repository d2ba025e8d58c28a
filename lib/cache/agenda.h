/* agenda.h - what happens next: events that leave in the order of their times (a binary heap)
 *
 *     struct agenda a = {0};
 *     agenda_add(&a, (struct agenda_event){.time = 30, .order = 2, .who = session});
 *     while (a.n && a.event[0].time <= now) { use(a.event[0]); agenda_drop(&a); }
 *     agenda_free(&a);
 *
 * event[0] is the earliest while n is not 0; of the same time, the one of the lowest order.
 */
#ifndef AGENDA_H
#define AGENDA_H

#include <stdint.h>

struct agenda_event {
    int64_t time, order;
    /* The caller's own: */
    void *who;
    int64_t slot;
    uint64_t stamp;
};

struct agenda {
    struct agenda_event *event; /* [n] */
    int64_t n, cap;
};

void agenda_add(struct agenda *a, struct agenda_event e);
void agenda_drop(struct agenda *a);                     /* the earliest; n is at least 1 */
void agenda_free(struct agenda *a);                     /* leaves it empty */

#endif
