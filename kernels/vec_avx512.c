/* vec_avx512.c - norms, activations, rotary embedding and sums for AVX-512, see vec_simd.h */
#include "kernels/vec_simd.h"

VEC_DEFINE(avx512, &ops)
