/* quant_imatrix_sensitivity.c - llm-quant imatrix --sensitivity: what errors cost */
#include "cmd/quant_imatrix.h"

#include <string.h>

#include "cmd/progress.h"
#include "lib/quant/sensitivity.h"

/* Chunks at even distances: a text is seldom alike from end to end. */
static void spread(struct quant_chunks *c, int most) {
    if (c->chunks <= most)
        return;
    for (int i = 0; i < most; i++) {
        const int32_t *from = c->token + (int64_t)i * c->chunks / most * c->tokens;
        memmove(c->token + (int64_t)i * c->tokens, from, (size_t)c->tokens * sizeof *from);
    }
    c->chunks = most;
}

void imatrix_measure(struct imatrix *m, const struct common *common, const struct quant_engine *e,
                     struct quant_chunks *c, int chunks) {
    struct progress bar;
    struct err err;
    spread(c, chunks);
    const struct sensitivity s = {.model = e->model, .kern = e->kern, .par = e->par,
                                  .token = c->token, .chunks = c->chunks, .tokens = c->tokens,
                                  .progress = progress_show, .arg = &bar};
    progress_start(&bar, "measuring", PROGRESS_COUNT, common->quiet);
    int rc = sensitivity_measure(&s, m, &err);
    progress_end(&bar);
    if (rc)
        die_err(&err);
}
