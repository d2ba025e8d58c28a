/* pretok.h - pre-tokenizers: how byte-level BPE cuts a text into words; private to lib/model
 *
 * A row of the table in pretok_table.c names the patterns of one pre-tokenizer; they are applied
 * one after another, each inside the pieces that the one before left: what it matches is a piece,
 * and so is what lies between two matches.
 */
#ifndef PRETOK_H
#define PRETOK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

enum {                              /* rules that come with a pre-tokenizer's name */
    PRETOK_ADD_BOS = 1,             /* unless the file says otherwise */
    PRETOK_IGNORE_MERGES = 2,       /* a word that is a token is that token */
    PRETOK_NO_BOS = 4,              /* no BOS but one that the file names */
    PRETOK_RAW = 8,                 /* tokens are spelled in UTF-8, not in byte stand-ins */
    PRETOK_ESCAPE_SPACE = 16,       /* spaces are spelled U+2581 */
    PRETOK_NEWLINES = 32,           /* a run of newlines that is a token is that token */
    PRETOK_FORCE_BOS = 64,          /* even when the file says no */
    PRETOK_KEEP_CASE = 128          /* no lower-casing unless the file says so */
};

enum { PRETOK_PATTERNS = 6 };

struct pretok_row {
    const char *names;              /* separated by blanks */
    unsigned flags;
    const char *pattern[PRETOK_PATTERNS];
};
extern const struct pretok_row pretok_table[];
extern const size_t pretok_rows;

/* Two ways to cut that are no patterns; compared by address. */
extern const char pretok_digits[];      /* runs of numbers in threes from the right; what stands
                                         * before a run stays with its first group */
extern const char pretok_thousands[];   /* before every third digit from the right */

struct uniclass;
struct pretok;
struct pretok_work;

/* Compiles the patterns of a pre-tokenizer ("" is "default"). NULL: no such name, see err. */
struct pretok *pretok_new(const char *name, struct err *err);
void pretok_free(struct pretok *p);
unsigned pretok_flags(const struct pretok *p);

struct pretok_work *pretok_work_new(void);
void pretok_work_free(struct pretok_work *w);
/* Cuts text[len]: returns how many words; (*word)[i] is the length in bytes of the i-th, and
 * *norm the text that they lie in, one after another: the same, with U+FFFD for every byte that
 * belongs to no character. Both are w's. */
size_t pretok_split(const struct pretok *p, struct pretok_work *w, const struct uniclass *u,
                    const char *text, size_t len, const char **norm, const uint32_t **word);

/* A code point of s[len], len > 0, read with more tolerance than UTF-8 has: overlong forms and
 * surrogates count. A byte that begins nothing is U+FFFD. Returns the bytes read. */
size_t pretok_get(const char *s, size_t len, uint32_t *cp);
/* The opposite, surrogates included; 4 bytes of room. */
size_t pretok_put(uint32_t cp, char *out);

#endif
