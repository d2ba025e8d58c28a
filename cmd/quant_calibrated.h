/* quant_calibrated.h - what gptq and awq have in common: options of the grid, text to calibrate on,
 * and what each matrix becomes
 */
#ifndef QUANT_CALIBRATED_H
#define QUANT_CALIBRATED_H

#include "cmd/quant.h"
#include "lib/quant/layout.h"
#include "lib/quant/source.h"

/* Values of --bits, --group and --type; each ends the program when it is none. */
int calibrated_bits(const char *arg);
int calibrated_group(const char *arg);
const char *calibrated_type(const char *arg);

/* Reads the text and draws as many of its chunks as --chunks says (128 where it does not), each as
 * likely as another, in the order of the text. */
void calibrated_text(const struct quant_text *t, uint64_t seed, const struct vocab *v,
                     struct quant_chunks *out);

struct calibrated_types {
    const struct source *source;
    const char *in;             /* its name, for words */
    const char *name;           /* --type; NULL: what holds the groups */
    int bits, group, symmetric; /* as in struct grouped */
    int indexed;                /* groups have an index, which no block holds */
    const struct layout *layout;            /* of a folder; NULL: GGUF */
    const struct layout_scheme *scheme;
    int quiet;
    uint8_t *chosen;            /* [tensors] those that can not become what is asked for drop out */
    int *type;                  /* [tensors] of a GGUF */
};
/* Fills type of what is chosen; words on what is not as one would expect. 1: types have their own
 * grids; 0: groups. */
int calibrated_choose(const struct calibrated_types *t);
int calibrated_is_block(int type);

#endif
