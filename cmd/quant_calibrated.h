/* quant_calibrated.h - what gptq and awq have in common: options of the grid, text to calibrate on
 */
#ifndef QUANT_CALIBRATED_H
#define QUANT_CALIBRATED_H

#include "cmd/quant.h"

/* Values of --bits, --group and --type; each ends the program when it is none. */
int calibrated_bits(const char *arg);
int calibrated_group(const char *arg);
const char *calibrated_type(const char *arg);

/* Reads the text and draws as many of its chunks as --chunks says (128 where it does not), each as
 * likely as another, in the order of the text. */
void calibrated_text(const struct quant_text *t, uint64_t seed, const struct vocab *v,
                     struct quant_chunks *out);

#endif
