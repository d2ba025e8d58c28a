/* quant_imatrix.h - what an importance matrix holds, for people: quant_imatrix_show.c */
#ifndef QUANT_IMATRIX_H
#define QUANT_IMATRIX_H

#include "cmd/common.h"
#include "lib/quant/imatrix.h"

/* Words on stderr: experts that saw no token, a line a layer. */
void imatrix_say_unseen(const struct imatrix *m);
/* A row for each tensor on stdout, in order of the layers. */
void imatrix_show(const struct imatrix *m, const struct common *common);

#endif
