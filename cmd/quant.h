/* quant.h - the pieces of llm-quant
 *
 *   llm-quant.c            the verbs
 *   quant_options.c        what verbs share: model, text, engine
 *   quant_convert.c        convert: types, mixes, recipes, targets
 *   quant_imatrix.c        imatrix: importance from text
 *   quant_gptq.c           gptq
 *   quant_awq.c            awq
 *   quant_eval.c           eval: what quantization did to the predictions
 *   quant_show.c           show: tensors and metadata of a file
 *   quant_diff.c           diff: two files
 *
 * A verb is a function that takes its own argc and argv (argv[0] is "llm-quant VERB") and returns
 * the exit status. Everything here may end the program with die().
 */
#ifndef QUANT_H
#define QUANT_H

#include "cmd/common.h"
#include "cmd/fields.h"
#include "kernels/kern.h"
#include "lib/base/par.h"
#include "lib/infer/session.h"
#include "lib/model/model.h"
#include "lib/model/vocab.h"

int quant_convert(int argc, char **argv);
int quant_imatrix(int argc, char **argv);
int quant_gptq(int argc, char **argv);
int quant_awq(int argc, char **argv);
int quant_eval(int argc, char **argv);
int quant_show(int argc, char **argv);
int quant_diff(int argc, char **argv);

/* ---- text, as llama.cpp's tools cut it -------------------------------------------------- */

enum {
    OPT_CHUNKS = OPT_FIRST_FREE,
    OPT_VERB                    /* a verb's own options begin here */
};

/* -c and --chunks; -f or --text are the verbs' own. */
struct quant_text {
    const char *path;           /* "-" is stdin */
    int tokens;                 /* of a chunk (-c); 0: 512 */
    int chunks;                 /* at most; 0: all there are */
};
#define QUANT_TEXT_SHORT "c:"
#define QUANT_TEXT_LONG \
    {"context", required_argument, NULL, 'c'}, {"chunks", required_argument, NULL, OPT_CHUNKS}
#define QUANT_TEXT_USAGE \
    "  -c, --context N        tokens of a chunk (default 512)\n" \
    "      --chunks N         at most so many chunks of the text (default: all)\n"
int quant_text_option(int c, const char *arg, struct quant_text *t);

struct quant_chunks {
    int32_t *token;             /* [chunks][tokens]; each begins with BOS where the model has it */
    int chunks, tokens;
};
/* Ends the program when there is not one whole chunk. */
void quant_chunks_read(const struct quant_text *t, const struct vocab *v, struct quant_chunks *out);

/* ---- engine ----------------------------------------------------------------------------- */

struct quant_engine {
    const struct kern *kern;
    struct par *par;
    struct model *model;
    struct vocab *vocab;
};
/* The kernels of --cpu, the threads of -t: for verbs that need no model. */
const struct kern *quant_kernels(const struct common *common);
/* Loads a GGUF (a path or an address). packed: for speed, at the price of a copy in memory. */
void quant_engine_open(struct quant_engine *e, const struct common *common, const char *path,
                       int packed);
void quant_engine_close(struct quant_engine *e);

#endif
