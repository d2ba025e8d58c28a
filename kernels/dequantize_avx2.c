/* dequantize_avx2.c - blocks to floats as fast as the memory, for AVX2 and up
 *
 * Scales are those of types.c; here are the codes of every type, 32 at a time, and the products.
 */
#include <immintrin.h>

#include "kernels/blocks.h"
#include "kernels/impl.h"

static inline __m256i load(const void *p) {
    return _mm256_loadu_si256(p);
}

static inline void store(int8_t *q, __m256i x) {
    _mm256_storeu_si256((__m256i *)(void *)q, x);
}

static inline __m256i bytes(int n) {
    return _mm256_set1_epi8((char)n);
}

/* Bits from `from` on of every byte, as many as mask has. */
static inline __m256i bits(__m256i x, int from, int mask) {
    return _mm256_and_si256(_mm256_srli_epi16(x, from), bytes(mask));
}

/* Low halves of 16 bytes, then high halves. */
static inline __m256i nibbles(const uint8_t *qs) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)qs);
    __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);
    return _mm256_and_si256(both, bytes(15));
}

static inline __m256i lookup(const int8_t table[16], __m256i index) {
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}

/* 32 bits to bytes of 0 and 16. */
static inline __m256i fifth(const uint8_t *qh) {
    __m256i x = _mm256_set1_epi32((int)block_u32(qh));
    x = _mm256_shuffle_epi8(x, _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202,
                                                  0x0303030303030303));
    __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, bit), bit);
    return _mm256_and_si256(x, bytes(16));
}

/* A run of 32, as decode_crumbs of types.c has them. */
static inline __m256i crumbs(const uint8_t *qs, int run) {
    return bits(load(qs + run / 4 * 32), 2 * (run % 4), 3);
}

/* As decode_nibbles_k of types.c. */
static inline __m256i nibbles_k(const uint8_t *qs, int run) {
    return bits(load(qs + run / 2 * 32), 4 * (run % 2), 15);
}

/* ---- codes --------------------------------------------------------------------------------- */

static void codes_q4_0(const void *block, int8_t *q) {
    const struct block_q4_0 *b = block;
    store(q, _mm256_sub_epi8(nibbles(b->qs), bytes(8)));
}

static void codes_q4_1(const void *block, int8_t *q) {
    store(q, nibbles(((const struct block_q4_1 *)block)->qs));
}

static void codes_q5_0(const void *block, int8_t *q) {
    const struct block_q5_0 *b = block;
    store(q, _mm256_sub_epi8(_mm256_or_si256(nibbles(b->qs), fifth(b->qh)), bytes(16)));
}

static void codes_q5_1(const void *block, int8_t *q) {
    const struct block_q5_1 *b = block;
    store(q, _mm256_or_si256(nibbles(b->qs), fifth(b->qh)));
}

static void codes_iq4_nl(const void *block, int8_t *q) {
    const struct block_iq4_nl *b = block;
    store(q, lookup(block_iq4_table, nibbles(b->qs)));
}

static void codes_mxfp4(const void *block, int8_t *q) {
    const struct block_mxfp4 *b = block;
    store(q, lookup(block_e2m1_table, nibbles(b->qs)));
}

static void codes_iq4_xs(const void *block, int8_t *q) {
    const struct block_iq4_xs *b = block;
    for (int i = 0; i < 8; i++)
        store(q + 32 * i, lookup(block_iq4_table, nibbles(b->qs + 16 * i)));
}

static void codes_q2_k(const void *block, int8_t *q) {
    const struct block_q2_k *b = block;
    for (int run = 0; run < 8; run++)
        store(q + 32 * run, crumbs(b->qs, run));
}

static void codes_tq2_0(const void *block, int8_t *q) {
    const struct block_tq2_0 *b = block;
    for (int run = 0; run < 8; run++) {
        __m256i x = crumbs(b->qs, run);
        store(q + 32 * run, _mm256_sub_epi8(x, bytes(1)));
    }
}

static void codes_q3_k(const void *block, int8_t *q) {
    const struct block_q3_k *b = block;
    __m256i high = load(b->hmask);
    for (int run = 0; run < 8; run++) {
        __m256i x = crumbs(b->qs, run);
        x = _mm256_or_si256(x, _mm256_slli_epi16(bits(high, run, 1), 2));
        store(q + 32 * run, _mm256_sub_epi8(x, bytes(4)));
    }
}

static void codes_q4_k(const void *block, int8_t *q) {
    const struct block_q4_k *b = block;
    for (int run = 0; run < 8; run++)
        store(q + 32 * run, nibbles_k(b->qs, run));
}

static void codes_q5_k(const void *block, int8_t *q) {
    const struct block_q5_k *b = block;
    __m256i high = load(b->qh);
    for (int run = 0; run < 8; run++) {
        __m256i x = nibbles_k(b->qs, run);
        store(q + 32 * run, _mm256_or_si256(x, _mm256_slli_epi16(bits(high, run, 1), 4)));
    }
}

static void codes_q6_k(const void *block, int8_t *q) {
    const struct block_q6_k *b = block;
    for (int run = 0; run < 8; run++) {
        __m256i x = load(b->ql + run / 4 * 64 + run % 2 * 32);
        __m256i high = crumbs(b->qh, run);
        x = _mm256_or_si256(bits(x, run % 4 / 2 * 4, 15), _mm256_slli_epi16(high, 4));
        store(q + 32 * run, _mm256_sub_epi8(x, bytes(32)));
    }
}

static void codes_q8_0(const void *block, int8_t *q) {
    store(q, load(((const struct block_q8_0 *)block)->qs));
}

static void (*const codes[KERN_TYPES])(const void *block, int8_t *q) = {
    [KERN_Q4_0] = codes_q4_0, [KERN_Q4_1] = codes_q4_1, [KERN_Q5_0] = codes_q5_0,
    [KERN_Q5_1] = codes_q5_1, [KERN_Q8_0] = codes_q8_0, [KERN_Q2_K] = codes_q2_k,
    [KERN_Q3_K] = codes_q3_k, [KERN_Q4_K] = codes_q4_k, [KERN_Q5_K] = codes_q5_k,
    [KERN_Q6_K] = codes_q6_k, [KERN_IQ4_NL] = codes_iq4_nl, [KERN_IQ4_XS] = codes_iq4_xs,
    [KERN_TQ2_0] = codes_tq2_0, [KERN_MXFP4] = codes_mxfp4,
};

/* ---- floats -------------------------------------------------------------------------------- */

static inline __m256 to_floats(const int8_t *q) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)q)));
}

/* n elements, two roundings each where there are minima. */
static inline void scale(const struct block_values *v, int n, int group, int has_min, float *y) {
    for (int i = 0; i < n; i += 16) {
        __m256 s = _mm256_set1_ps(v->s[i / group]);
        __m256 a = _mm256_mul_ps(s, to_floats(v->q + i));
        __m256 b = _mm256_mul_ps(s, to_floats(v->q + i + 8));
        if (has_min) {
            __m256 m = _mm256_set1_ps(v->m[i / group]);
            a = _mm256_sub_ps(a, m);
            b = _mm256_sub_ps(b, m);
        }
        _mm256_storeu_ps(y + i, a);
        _mm256_storeu_ps(y + i + 8, b);
    }
}

static void from_f16(const uint8_t *src, float *dst, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(src + 2 * i))));
    kern_dequantize(KERN_F16, src + 2 * i, dst + i, n - i);
}

static void from_bf16(const uint8_t *src, float *dst, int64_t n) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i x = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(src + 2 * i)));
        _mm256_storeu_ps(dst + i, _mm256_castsi256_ps(_mm256_slli_epi32(x, 16)));
    }
    kern_dequantize(KERN_BF16, src + 2 * i, dst + i, n - i);
}

static void from_blocks(int type, const uint8_t *p, float *dst, int64_t n) {
    const struct kern_type_info *info = kern_type_info(type);
    const struct block_form *form = block_form(type);
    const int block = info->block;
    struct block_values v;
    for (int64_t at = 0; at < n; at += block, p += info->bytes) {
        form->scales(p, &v);
        codes[type](p, v.q);
        scale(&v, block, form->group, form->has_min, dst + at);
    }
}

void kern_dequantize_avx2(int type, const void *src, float *dst, int64_t n) {
    if (type == KERN_F32)
        memcpy(dst, src, (size_t)n * sizeof *dst);
    else if (type == KERN_F16)
        from_f16(src, dst, n);
    else if (type == KERN_BF16)
        from_bf16(src, dst, n);
    else
        from_blocks(type, src, dst, n);
}
