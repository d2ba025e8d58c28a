/* quant_input.h - models by their tensors: a GGUF file, or a folder of transformers; to quantize
 * them, ready to run
 *
 * The engine runs GGUF files. A folder becomes one first, in the types that it has, beside the
 * output: a file without a name, gone when the program is, however that ends.
 */
#ifndef QUANT_INPUT_H
#define QUANT_INPUT_H

#include "cmd/quant.h"
#include "lib/quant/source.h"

struct quant_input {
    struct source *source;      /* of what was named */
    struct quant_engine engine; /* not packed; its tensors have the source's names */
    int folder;
};

/* The tensors of a file, a folder or an address; ends the program on errors. */
struct source *quant_source_open(const char *path, int quiet);

/* path: file, folder or address; beside: where the output will be. Ends the program on errors. */
void quant_input_open(struct quant_input *in, const struct common *common, const char *path,
                      const char *beside);
void quant_input_close(struct quant_input *in);

#endif
