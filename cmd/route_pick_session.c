/* route_pick_session.c - llm-route requests pick: in which model's cache a session's prefix is */
#include "cmd/route_pick.h"

#include <math.h>
#include <stdlib.h>

#include "lib/cache/idmap.h"

struct pick_sessions {
    struct idmap *ids;
    uint8_t *last;              /* [sessions] the model that it was sent to; PICK_MODELS: none */
};

struct pick_sessions *pick_sessions_new(void) {
    struct pick_sessions *s = mem_alloc(sizeof *s);
    s->ids = idmap_new();
    return s;
}

void pick_sessions_free(struct pick_sessions *s) {
    if (!s)
        return;
    idmap_free(s->ids);
    free(s->last);
    free(s);
}

int64_t pick_session(struct pick_sessions *s, const struct ask *l) {
    uint32_t before = idmap_count(s->ids);
    uint32_t dense;
    if (!l->has_session || idmap_add(s->ids, &l->session, 1, &dense))
        return -1;
    if (dense == before) {
        if ((before & (before - 1)) == 0)
            s->last = mem_grow(s->last, 2 * (size_t)before + 2, sizeof *s->last);
        s->last[dense] = PICK_MODELS;
    }
    return dense;
}

void pick_session_cached(const struct pick_sessions *s, int64_t session, const struct ask *l,
                         double cached[PICK_MODELS]) {
    int last = session < 0 ? PICK_MODELS : s->last[session];
    double tokens = isnan(l->cached_tokens) ? 0 : l->cached_tokens;
    for (int m = 0; m < PICK_MODELS; m++)
        cached[m] = last == PICK_MODELS || last == m ? tokens : 0;
}

void pick_session_sent(struct pick_sessions *s, int64_t session, int model) {
    if (session >= 0 && model >= 0)
        s->last[session] = (uint8_t)model;
}
