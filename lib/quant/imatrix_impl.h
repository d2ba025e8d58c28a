/* imatrix_impl.h - names in a GGUF file of importance; those after the first five are ours */
#ifndef IMATRIX_IMPL_H
#define IMATRIX_IMPL_H

#include "lib/quant/imatrix.h"

#define KEY_DATASETS "imatrix.datasets"
#define KEY_CHUNKS "imatrix.chunk_count"
#define KEY_TOKENS "imatrix.chunk_size"
#define SUFFIX_SUM ".in_sum2"
#define SUFFIX_COUNT ".counts"
#define KEY_SENSITIVE "llmutils.sensitivity.tensors"
#define KEY_SENSITIVITY "llmutils.sensitivity.values"

#endif
