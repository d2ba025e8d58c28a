/* quantize_avx512.c - floats to all types but the K types for AVX-512, see quantize_*_simd.h */
#include "kernels/quantize_search_simd.h"

QUANTIZE_PLAIN_ALL(avx512)
QUANTIZE_SEARCH_ALL(avx512)
