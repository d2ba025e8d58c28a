/* kquant.h - floats to Q2_K, Q3_K, Q4_K, Q5_K and Q6_K
 *
 *     kquant_q4_k_avx2(w, dst, rows, cols, NULL);
 *     kquant_q4_k_avx2(w, dst, rows, cols, importance);
 *
 * src [rows][cols] float, cols a multiple of 256; dst the blocks of the file's layout, row after
 * row; importance [cols] weighs the squared errors of a column, or NULL. src and importance need
 * no alignment; nothing is read or written beyond them. Any rows may be quantized apart.
 *
 * The bytes are llama.cpp's: without importance those of quantize_row_q*_K_ref, with it those of
 * quantize_q*_K given the same importance (ggml-quants.c, which is built for plain x86-64: every
 * product is rounded, every sum runs in order of the elements). All variants give the same bytes
 * for every input.
 *
 * Numbers that no weight has. Infinities, NaNs and values beyond about 2^60, in src or importance,
 * give blocks without meaning; with NaNs not even llama.cpp's (which operand's NaN survives is
 * left to its compiler), but the same from every variant. Scales that no binary16 holds become
 * infinite. Importance may be zero or negative and means what the formulas make of it: where it is
 * zero in all of a super-block the values become zero, so give 1 where nothing is known; where it
 * is zero in a part, that part is rounded plainly to its range.
 */
#ifndef KQUANT_H
#define KQUANT_H

#include "kernels/quantize.h"

#define KQUANT_DECLARE(isa) \
    quantize_rows kquant_q2_k_##isa, kquant_q3_k_##isa, kquant_q4_k_##isa, kquant_q5_k_##isa, \
        kquant_q6_k_##isa;

KQUANT_DECLARE(ref)
KQUANT_DECLARE(avx2)
KQUANT_DECLARE(avx512)

#endif
