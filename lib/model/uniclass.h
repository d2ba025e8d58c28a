/* uniclass.h - what a code point is, for pre-tokenizers and WordPiece (Unicode 15.1)
 *
 * Private to lib/model. Categories are the seven letters of Unicode's general category; a code
 * point that is not assigned has none of them. Whitespace is the White_Space property, a bit of
 * its own beside the category.
 */
#ifndef UNICLASS_H
#define UNICLASS_H

#include <stdint.h>

enum {
    UNI_NONE, UNI_NUMBER, UNI_LETTER, UNI_SEPARATOR, UNI_MARK, UNI_PUNCTUATION, UNI_SYMBOL,
    UNI_CONTROL,                /* Cc, Cf, Co, Cs */
    UNI_CATEGORY = 7,           /* mask */
    UNI_WHITE = 8
};

/* A flat table of the first two planes, where nearly all text lies. */
struct uniclass {
    uint8_t of[0x20000];
};
void uniclass_fill(struct uniclass *u);
/* Category, with UNI_WHITE where it applies, of any cp. */
unsigned uniclass_get(const struct uniclass *u, uint32_t cp);

uint32_t uniclass_lower(uint32_t cp);   /* simple lower case; cp itself where there is none */
uint32_t uniclass_base(uint32_t cp);    /* first code point of the canonical decomposition */
int uniclass_han(uint32_t cp);          /* in a block of CJK ideographs, assigned or not */

#endif
