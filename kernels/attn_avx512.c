/* attn_avx512.c - attention and the KV cache for AVX-512, see attn_simd.h
 *
 * 24 of 32 registers accumulate: 6 queries times 64 positions or elements. */
#define ATTN_ROWS 6
#define ATTN_VECS 4
#include "kernels/attn_simd.h"

ATTN_DEFINE(avx512, &ops)
