/* words.h - English words that are one token each, of which prompts are made
 *
 * Every word, with the space before it, is one token of GPT-2's, Llama's (SentencePiece), Phi-3's
 * and DeepSeek-Coder's vocabulary and of the embedded model's, so that a text of n words has n
 * tokens for most models: measured, 512 words give 512 to 513 in each of the five. The list is
 * made by scripts/make-words.
 */
#ifndef WORDS_H
#define WORDS_H

#define WORDS_COUNT 1028

extern const char *const words_list[WORDS_COUNT];   /* lower case, sorted, without the space */

#endif
