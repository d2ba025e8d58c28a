/* load_model.h - kernels and weights for a program's command line
 *
 * Both end the program, with a line that says why, when there is nothing to return.
 */
#ifndef LOAD_MODEL_H
#define LOAD_MODEL_H

#include "cmd/common.h"
#include "kernels/kern.h"
#include "lib/base/par.h"
#include "lib/model/model.h"

/* The kernels of --cpu or LLM_CPU, else the best: before the minute that loading may take. */
const struct kern *load_kernels(const struct common *common);
/* Loads the GGUF file at path, packed by the threads of par, with a progress bar. no_pack as in
 * struct model_options. */
struct model *load_model(const struct common *common, const char *path, struct par *par,
                         int no_pack);

#endif
