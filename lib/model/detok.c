/* detok.c - ids back to text
 *
 * A token's text is what the file spells with its spelling undone: U+2581 is a space, GPT-2's
 * stand-ins are their bytes, <0xXX> is a byte. Special tokens have no text unless asked for.
 */
#include "lib/model/vocab_impl.h"

#include <ctype.h>
#include <stdlib.h>

#include "lib/model/pretok.h"

/* Bytes that are printable in Latin-1 stand for themselves, the others for 256, 257 ... */
static int stands_for_itself(uint32_t c) {
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xFF && c != 0xAD);
}

uint32_t detok_stand_in(unsigned char byte) {
    if (stands_for_itself(byte))
        return byte;
    return byte <= 0x20 ? 256u + byte : byte <= 0xA0 ? 256u + 33 + (byte - 0x7Fu) : 256u + 67;
}

int detok_byte_of(uint32_t cp) {
    if (cp < 256)
        return stands_for_itself(cp) ? (int)cp : -1;
    cp -= 256;
    return cp <= 0x20 ? (int)cp : cp < 67 ? (int)(0x7F + cp - 33) : cp == 67 ? 0xAD : -1;
}

static void add_unescaped(const char *s, size_t len, struct buf *out) {
    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && !memcmp(s + i, "\xE2\x96\x81", 3)) {
            buf_addc(out, ' ');
            i += 3;
        } else {
            buf_addc(out, s[i++]);
        }
    }
}

static void add_stand_ins(const char *s, size_t len, struct buf *out) {
    for (size_t i = 0; i < len;) {
        uint32_t cp;
        char c[4];
        i += pretok_get(s + i, len - i, &cp);
        int byte = detok_byte_of(cp);
        if (byte >= 0) {
            buf_addc(out, (char)byte);
            continue;
        }
        /* No stand-in: the vocabulary is not what it says. Shown, not dropped. */
        size_t n = pretok_put(cp, c);
        buf_adds(out, "[UNK_BYTE_0x");
        for (size_t k = 0; k < n; k++)
            buf_printf(out, "%02x", (unsigned)(unsigned char)c[k]);
        buf_add(out, s, len);
        buf_addc(out, ']');
    }
}

/* The byte of "<0xXX>": the number that its fourth and fifth letter begin with. */
static char spelled_byte(const char *s, size_t len) {
    char digits[3] = {len > 3 ? s[3] : '0', len > 4 ? s[4] : '\0', '\0'};
    if (!isxdigit((unsigned char)digits[0]))
        return 0;
    return (char)strtol(digits, NULL, 16);
}

int vocab_decode(const struct vocab *v, int32_t id, int special, struct buf *out) {
    if (id < 0 || (uint32_t)id >= v->token.n)
        return -1;
    uint32_t len;
    const char *s = strings_at(&v->token, (uint32_t)id, &len);
    unsigned attr = v->attr[id];
    if (attr & (TOKEN_UNKNOWN | TOKEN_CONTROL) && !special)
        return 0;
    if (attr & TOKEN_SPECIAL)
        buf_add(out, s, len);
    else if (attr & TOKEN_NORMAL && v->pretok && !v->escape_space)
        add_stand_ins(s, len, out);
    else if (attr & TOKEN_NORMAL)
        add_unescaped(s, len, out);
    else if (attr & TOKEN_BYTE)
        buf_addc(out, spelled_byte(s, len));
    return 0;
}

/* WordPiece writes every word with a space before it; English wants none before these. */
static void tidy(struct buf *b, size_t from) {
    char *s = b->data + from;
    size_t len = b->len - from;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (n && s[n - 1] == ' ' && s[i] && strchr("?!.,", s[i]))
            n--;
        s[n++] = s[i];
    }
    len = n;
    n = 0;
    for (size_t i = 0; i < len; i++) {
        if (n && s[n - 1] == ' ' && s[i] == '\'' && i + 1 < len && s[i + 1] == ' ') {
            s[n - 1] = '\'';
            i++;
        } else {
            s[n++] = s[i];
        }
    }
    len = n;
    n = 0;
    for (size_t i = 0; i < len; i++) {
        if (n && s[n - 1] == ' ' && s[i] == '\'' && i + 1 < len) {
            char a = s[i + 1];
            char b2 = i + 2 < len ? s[i + 2] : 0;
            if (a == 's' || a == 'm' || ((a == 'r' || a == 'v') && b2 == 'e'))
                n--;
        }
        s[n++] = s[i];
    }
    b->len = from + n;
    s[n] = '\0';
}

int vocab_decode_all(const struct vocab *v, const int32_t *id, size_t n, int special,
                     struct buf *out) {
    size_t from = out->len;
    /* A BOS that is not shown hides nothing of the text: the space of ours comes after it. */
    if (!special && n && v->bos >= 0 && id[0] == v->bos) {
        id++;
        n--;
    }
    int strip = v->space_prefix && v->kind == &vocab_kind_spm;
    for (size_t i = 0; i < n; i++) {
        size_t before = out->len;
        if (vocab_decode(v, id[i], special, out) < 0)
            return -1;
        if (i == 0 && strip && out->len > before && out->data[before] == ' ') {
            memmove(out->data + before, out->data + before + 1, out->len - before - 1);
            out->data[--out->len] = '\0';
        }
    }
    if (v->kind == &vocab_kind_wpm && out->len > from)
        tidy(out, from);
    return 0;
}
