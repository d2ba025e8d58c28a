/* vec_avx2.c - norms, activations, rotary embedding and sums for AVX2, see vec_simd.h */
#include "kernels/vec_simd.h"

VEC_DEFINE(avx2, &ops)
