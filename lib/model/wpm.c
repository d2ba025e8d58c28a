/* wpm.c - WordPiece: "bert" vocabularies
 *
 * A text is lower-cased and stripped of accents where the file says so (it does unless told
 * otherwise), cut into words at whitespace, and around every punctuation mark and CJK ideograph;
 * a word is U+2581 and its letters, taken from the left in the longest tokens there are. A word
 * that does not come out even is one unknown token.
 */
#include "lib/base/utf8.h"
#include "lib/model/pretok.h"
#include "lib/model/vocab_impl.h"

static int open_wpm(struct vocab *v, const struct gguf *g, struct err *err) {
    (void)g;
    (void)err;
    v->bos = 101;
    v->unk = 100;
    v->sep = 102;
    v->uni = mem_alloc(sizeof *v->uni);
    uniclass_fill(v->uni);
    return 0;
}

/* The ideographs that stand alone. The block from 2B920 begins at 2B820 in Unicode: this is what
 * the models' own tokenizer does. */
static int is_ideograph(uint32_t cp) {
    return uniclass_han(cp) && !(cp >= 0x2B820 && cp < 0x2B920) && !(cp > 0x2CEAF && cp < 0x2F800);
}

static void flush(struct encoding *e) {
    static const char mark[] = "\xE2\x96\x81";
    const size_t marked = sizeof mark - 1;
    struct buf *w = &e->word;
    if (w->len <= marked)
        return;
    const struct vocab *v = e->v;
    size_t before = e->out->n;
    size_t at = 0;
    while (at < w->len) {
        size_t len = w->len - at;
        if (len > v->token.longest)
            len = v->token.longest;
        int32_t id = -1;
        while (len && (id = vocab_lookup(v, w->data + at, len)) < 0)
            len--;
        if (id < 0) {
            e->out->n = before;
            break;
        }
        ids_add(e->out, id);
        at += len;
    }
    if (e->out->n == before && v->unk >= 0)
        ids_add(e->out, v->unk);
    w->len = marked;
}

static void encode_wpm(struct encoding *e, const char *text, size_t len, int after_special) {
    (void)after_special;
    const struct vocab *v = e->v;
    e->word.len = 0;
    buf_adds(&e->word, "\xE2\x96\x81");
    uint32_t cp;
    for (size_t i = 0; i < len;) {
        i += pretok_get(text + i, len - i, &cp);
        if (v->strip_accents)
            cp = uniclass_base(cp);
        unsigned of = uniclass_get(v->uni, cp);
        unsigned category = of & UNI_CATEGORY;
        if (of & UNI_WHITE) {
            flush(e);
            continue;
        }
        if (!cp || cp == 0xFFFD || category == UNI_CONTROL ||
            (category == UNI_MARK && v->strip_accents))
            continue;
        int alone = category == UNI_PUNCTUATION || (cp < 0x7F && category == UNI_SYMBOL) ||
                    is_ideograph(cp);
        char c[4];
        size_t n = (size_t)pretok_put(v->lowercase ? uniclass_lower(cp) : cp, c);
        if (alone)
            flush(e);
        buf_add(&e->word, c, n);
        if (alone)
            flush(e);
    }
    flush(e);
}

const struct vocab_kind vocab_kind_wpm = {"bert", "bert", open_wpm, encode_wpm, NULL};
