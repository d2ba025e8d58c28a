/* imatrix.h - importance: what the columns of each weight were multiplied by
 *
 * For a matrix that x is multiplied by, the sum of x[c]^2 over the tokens seen, and how many these
 * were; of stacked experts for each expert. Files of llama.cpp, both kinds: legacy (binary, ".dat")
 * and GGUF (general.type "imatrix"; NAME.in_sum2 [cols, mats], NAME.counts [1, mats]).
 */
#ifndef IMATRIX_H
#define IMATRIX_H

#include <stdint.h>

#include "lib/base/err.h"

struct imatrix_entry {
    char *name;                 /* of the tensor: "blk.0.attn_q.weight" */
    int64_t cols, mats;         /* mats 1, or the number of experts */
    float *sum;                 /* [mats][cols] of squares */
    int64_t *count;             /* [mats] tokens seen */
};

struct imatrix {
    struct imatrix_entry *entry;
    int n;
    int64_t chunks, chunk_tokens;
    char **dataset;             /* names of the texts */
    int datasets;
    /* Measured cost of error, of tensors that have one (see lib/quant/sensitivity.h): names and
     * numbers side by side; n_sensitivity 0: none. */
    char **sensitive;
    double *sensitivity;
    int n_sensitivity;
};

/* Sniffs which kind it is. Hostile files get one line. NULL on error. */
struct imatrix *imatrix_read(const char *path, struct err *err);
/* legacy: llama.cpp's older form, which cannot say which expert saw nothing. */
int imatrix_write(const struct imatrix *m, const char *path, int legacy, struct err *err);
void imatrix_free(struct imatrix *m);

/* An entry of this name, made when absent (then zero). */
struct imatrix_entry *imatrix_entry(struct imatrix *m, const char *name, int64_t cols,
                                    int64_t mats);
/* NULL: none. Where one tensor holds what the file calls otherwise (old expert tensors), that. */
const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name);
/* out[cols] = mean of squares of matrix `mat`. 0 filled; -1: nothing seen (llama.cpp then takes 1
 * for every column of that expert). */
int imatrix_mean(const struct imatrix_entry *e, int64_t mat, float *out);

#endif
