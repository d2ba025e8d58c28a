/* quantize_avx2.c - floats to all types but the K types for AVX2, see quantize_*_simd.h */
#include "kernels/quantize_search_simd.h"

QUANTIZE_PLAIN_ALL(avx2)
QUANTIZE_SEARCH_ALL(avx2)
