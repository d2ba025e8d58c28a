/* quant_imatrix.h - the parts of llm-quant imatrix */
#ifndef QUANT_IMATRIX_H
#define QUANT_IMATRIX_H

#include "cmd/quant.h"
#include "lib/quant/imatrix.h"

/* Words on stderr: experts that saw no token, a line a layer. */
void imatrix_say_unseen(const struct imatrix *m);
/* A row for each tensor on stdout, in order of the layers. */
void imatrix_show(const struct imatrix *m, const struct common *common);
/* Puts sensitivities into m, measured on at most so many of the chunks; c then holds these only. */
void imatrix_measure(struct imatrix *m, const struct common *common, const struct quant_engine *e,
                     struct quant_chunks *c, int chunks);

#endif
