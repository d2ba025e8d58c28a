/* imatrix.h - importance: what the columns of each weight were multiplied by
 *
 * For a matrix that x is multiplied by, the sum of x[c]^2 over the tokens seen, and how many these
 * were; of stacked experts for each expert. Files of llama.cpp, both kinds: GGUF (general.type
 * "imatrix"; NAME.in_sum2 [cols, mats] and NAME.counts [1, mats], F32; imatrix.datasets,
 * imatrix.chunk_count, imatrix.chunk_size) and legacy (binary, ".dat", all little-endian: i32
 * entries; of each i32 length, name, i32 calls, i32 values, f32 values; i32 chunks, i32 length,
 * name of the text). A legacy file holds means times calls (chunks), and one number of calls for
 * all experts: which of them saw nothing is lost, their values are 1.
 *
 *     struct imatrix *m = imatrix_read("i.gguf", &err);
 *     imatrix_fit(m, "blk.0.ffn_up_exps.weight", cols, experts);
 *     const struct imatrix_entry *e = imatrix_find(m, "blk.0.ffn_up_exps.weight");
 *     if (e && !imatrix_mean(e, expert, importance)) ...
 */
#ifndef IMATRIX_H
#define IMATRIX_H

#include <stdint.h>

#include "lib/base/err.h"

struct imatrix_entry {
    char *name;                 /* of the tensor: "blk.0.attn_q.weight" */
    int64_t cols, mats;         /* mats 1, or the number of experts */
    float *sum;                 /* [mats][cols] of squares */
    int64_t *count;             /* [mats] tokens seen; of a legacy file calls */
};

struct imatrix {
    struct imatrix_entry *entry;        /* by name, bytewise ascending */
    int n;
    int64_t chunks, chunk_tokens;       /* chunk_tokens 0: a legacy file, which does not say */
    char **dataset;             /* names of the texts */
    int datasets;
    /* Measured cost of error, of tensors that have one (see lib/quant/sensitivity.h): names and
     * numbers side by side; n_sensitivity 0: none. Kept in GGUF files only. */
    char **sensitive;
    double *sensitivity;
    int n_sensitivity;
};

/* Empty; imatrix_free releases it and what it holds. */
struct imatrix *imatrix_new(void);
void imatrix_free(struct imatrix *m);

/* Sniffs which kind it is; "-" is stdin, zstd is unpacked. Hostile files get one line: entries
 * have names, columns, and sums that are finite and not negative. NULL on error. */
struct imatrix *imatrix_read(const char *path, struct err *err);
/* "-" is stdout. GGUF needs chunk_tokens above 0. legacy: llama.cpp's older form; entries that saw
 * nothing at all are left out. */
int imatrix_write(const struct imatrix *m, const char *path, int legacy, struct err *err);

/* An entry of this name, made when absent (then zero). Borrowed until the next is made. */
struct imatrix_entry *imatrix_entry(struct imatrix *m, const char *name, int64_t cols,
                                    int64_t mats);
/* NULL: none. */
const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name);
void imatrix_add_dataset(struct imatrix *m, const char *name);

/* Gives the entry of a tensor the tensor's shape where the file has the same numbers otherwise: a
 * legacy file does not tell experts apart; old models have a tensor for each expert
 * (blk.0.ffn_up.3.weight), newer ones stack them (blk.0.ffn_up_exps.weight), and importance may
 * come from the other kind. Does nothing where it cannot help. */
void imatrix_fit(struct imatrix *m, const char *name, int64_t cols, int64_t mats);

/* out[cols] = mean of squares of matrix `mat`. 0 filled; -1: nothing seen (llama.cpp then takes 1
 * for every column of that expert). */
int imatrix_mean(const struct imatrix_entry *e, int64_t mat, float *out);

/* Adds sums, counts, names of texts; sensitivities of `from` replace those of `to`. What a legacy
 * file calls a call counts as a chunk of to->chunk_tokens (above 0). -1: an entry has another size,
 * or the sums leave the range of a float; `to` is then of no use. */
int imatrix_merge(struct imatrix *to, const struct imatrix *from, struct err *err);

/* What an entry looks like, over the matrices that saw something. */
struct imatrix_stats {
    int64_t tokens;             /* most that a matrix saw */
    int64_t fewest;             /* fewest */
    int64_t unseen;             /* matrices that saw none */
    double min, mean, max;      /* of the columns' means of squares; NaN: nothing seen */
    double zeros;               /* share of columns that were always 0 */
    double skew;                /* max / mean */
    int64_t top_mat, top_col;   /* where max is */
};
void imatrix_stats(const struct imatrix_entry *e, struct imatrix_stats *out);

#endif
