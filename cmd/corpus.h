/* corpus.h - a long text as chunks of tokens, cut as llama.cpp's llama-perplexity and
 * llama-imatrix cut it, so that numbers compare
 *
 * The whole text (without its last newline) becomes tokens, with BOS where the model has it; they
 * are cut into chunks of `length`, and what is left over is dropped. Each chunk starts from
 * nothing, its first token replaced by BOS where the model has it.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include "lib/model/vocab.h"

/* Adds the tokens of the text at path ("-" is stdin) to ids and returns how many chunks there
 * are: at least 1, and at most `most` if that is above 0. special: control tokens in the text
 * become ids. Ends the program when the text cannot be read or has not one chunk. */
int corpus_read(const char *path, const struct vocab *v, int special, int length, int most,
                struct ids *ids);

#endif
