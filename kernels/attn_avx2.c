/* attn_avx2.c - attention and the KV cache for AVX2, see attn_simd.h
 *
 * 12 of 16 registers accumulate: 6 queries times 16 positions or elements. */
#define ATTN_ROWS 6
#define ATTN_VECS 1
#include "kernels/attn_simd.h"

ATTN_DEFINE(avx2, &ops)
