/* pieces.c - text to ids by joining neighbours, for BPE and SentencePiece alike
 *
 * A vocabulary with marked spaces (U+2581) nearly never has a token that runs on over the next
 * mark, so the text is cut there, where no join can reach across, and each part joined by
 * itself. In a long text most parts have been seen before: they are remembered.
 */
#include "lib/model/vocab_impl.h"

#include <stdlib.h>

enum {
    SLOTS = 4096,
    REMEMBER_FROM = 4096,       /* bytes of text: below, the memory costs more than it saves */
    TEXT = 23,                  /* bytes of a part worth remembering */
    IDS = 6
};

struct memory {
    struct slot {
        int32_t id[IDS];
        uint8_t n;
        uint8_t len;            /* 0: empty */
        char text[TEXT];
    } slot[SLOTS];
};

static const char mark[] = "\xE2\x96\x81";
enum { MARK = 3 };

static int is_mark(const char *s, size_t len) {
    return len >= MARK && !memcmp(s, mark, MARK);
}

void pieces_note(struct vocab *v, const char *s, size_t len) {
    for (size_t i = 1; i + MARK <= len; i++)
        if (is_mark(s + i, len - i) && !(i >= MARK && is_mark(s + i - MARK, MARK)))
            v->before_mark[(unsigned char)s[i - 1]] = 1;
}

static void add_joined(struct encoding *e, const char *s, size_t len) {
    const struct vocab *v = e->v;
    const uint32_t *piece;
    size_t n = merger_run(e->merger, v, s, len, v->kind->rank, &piece);
    for (size_t i = 0; i < n; s += piece[i++]) {
        int32_t id = vocab_lookup(v, s, piece[i]);
        if (id >= 0) {
            ids_add(e->out, id);
            continue;
        }
        for (uint32_t k = 0; k < piece[i]; k++)
            if ((id = v->byte_id[(unsigned char)s[k]]) >= 0)
                ids_add(e->out, id);
    }
}

static void add_part(struct encoding *e, const char *s, size_t len) {
    if (!e->memory || len > TEXT) {
        add_joined(e, s, len);
        return;
    }
    struct slot *slot = &e->memory->slot[strings_hash(s, len) % SLOTS];
    if (slot->len == len && !memcmp(slot->text, s, len)) {
        for (int i = 0; i < slot->n; i++)
            ids_add(e->out, slot->id[i]);
        return;
    }
    size_t before = e->out->n;
    add_joined(e, s, len);
    size_t n = e->out->n - before;
    if (n > IDS)
        return;
    slot->len = (uint8_t)len;
    slot->n = (uint8_t)n;
    memcpy(slot->text, s, len);
    if (n)
        memcpy(slot->id, e->out->id + before, n * sizeof slot->id[0]);
}

void pieces_begin(struct encoding *e, size_t len) {
    if (!e->memory && len >= REMEMBER_FROM)
        e->memory = mem_alloc(sizeof *e->memory);
}

void pieces_add(struct encoding *e, const char *s, size_t len) {
    const struct vocab *v = e->v;
    size_t start = 0;
    if (v->escape_space)
        for (size_t i = 0; i < len;) {
            if (i > start && is_mark(s + i, len - i) && !v->before_mark[(unsigned char)s[i - 1]] &&
                !(i >= MARK && is_mark(s + i - MARK, MARK))) {
                add_part(e, s + start, i - start);
                start = i;
            }
            i += merger_character((unsigned char)s[i]);
        }
    add_part(e, s + start, len - start);
}
