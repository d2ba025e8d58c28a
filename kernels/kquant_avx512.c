/* kquant_avx512.c - floats to K-quants for AVX-512, see kquant_simd.h */
#include "kernels/kquant_simd.h"

KQUANT_DEFINE_ALL(avx512)
