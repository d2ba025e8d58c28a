/* kquant_avx2.c - floats to K-quants for AVX2, see kquant_simd.h */
#include "kernels/kquant_simd.h"

KQUANT_DEFINE_ALL(avx2)
