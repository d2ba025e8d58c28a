/* spm.c - SentencePiece by scores: "llama" vocabularies
 *
 * Spaces are written U+2581; neighbours are joined while their text is a token, the best score
 * first. A character that is no token becomes the tokens of its bytes.
 */
#include "lib/model/vocab_impl.h"

#include <math.h>
#include <stdio.h>

/* Scores as ranks: the higher the score the lower the rank. */
static uint32_t rank_of_score(float score) {
    if (isnan(score))
        return MERGE_NONE - 1;
    uint32_t bits;
    score += 0.0f;              /* -0 and 0 are equal */
    memcpy(&bits, &score, sizeof bits);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~bits;
}

static uint32_t rank_spm(const struct vocab *v, const char *text, uint32_t left, uint32_t right) {
    int32_t id = vocab_lookup(v, text, (size_t)left + right);
    return id < 0 ? MERGE_NONE : rank_of_score(v->score[id]);
}

static void open_bytes(struct vocab *v) {
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", (unsigned)b);
        v->byte_id[b] = vocab_lookup(v, name, 6);
        if (v->byte_id[b] < 0) {
            char byte = (char)b;
            v->byte_id[b] = vocab_lookup(v, &byte, b ? 1 : 0);
        }
    }
}

static int open_spm(struct vocab *v, const struct gguf *g, struct err *err) {
    (void)g;
    (void)err;
    v->bos = 1;
    v->eos = 2;
    v->unk = 0;
    v->add_bos = 1;
    v->space_prefix = 1;
    v->escape_space = 1;
    open_bytes(v);
    for (uint32_t i = 0; i < v->token.n; i++) {
        uint32_t len;
        const char *s = strings_at(&v->token, i, &len);
        pieces_note(v, s, len);
    }
    return 0;
}

static void encode_spm(struct encoding *e, const char *text, size_t len, int after_special) {
    const struct vocab *v = e->v;
    struct buf *b = &e->text;
    b->len = 0;
    if (v->space_prefix && after_special)
        buf_add(b, "\xE2\x96\x81", 3);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ')
            buf_add(b, "\xE2\x96\x81", 3);
        else
            buf_addc(b, text[i]);
    }
    pieces_add(e, b->data, b->len);
}

const struct vocab_kind vocab_kind_spm = {"llama", "llama", open_spm, encode_spm, rank_spm};
