/* kquant_search.h - the searches of kquant_ref.c for scales, minima and codes
 *
 * Squared errors are weighed; x and w are as long as code. Expressions keep llama.cpp's order of
 * operations, each rounded to float: its make_qkx2_quants and make_qkx3_quants (which agree when
 * weights are given), make_qx_quants, make_q3_quants and make_qp_quants.
 */
#ifndef KQUANT_SEARCH_H
#define KQUANT_SEARCH_H

#include "kernels/kquant_form.h"

/* To nearest, ties to even, for |x| < 2^22; what llama.cpp gives beyond. */
static inline int kquant_nearest(float x) {
    float y = x + KQUANT_MAGIC;
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return (int)(bits & 0x007fffff) - 0x00400000;
}

static inline int kquant_clamp(int v, int lo, int hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

float kquant_sum_of_squares(int64_t n, const float *x);

/* w = importance * sqrt(sigma2 + x^2) */
void kquant_weigh(int n, const float *x, const float *importance, float sigma2, float *w);

/* Codes 0 .. top of n elements, and the scale and minimum for which sum w (scale code + min - x)^2,
 * or sum w |scale code + min - x|, is least among the tries. Returns the scale; *minus_min is
 * -min, not negative. A constant part has scale 0. */
float kquant_search_affine(int n, int top, const struct kquant_search *s, int absolute,
                           const float *x, const float *w, uint8_t *code, float *minus_min);

/* Codes c (stored as c + half, 0 .. 2 half - 1) of n elements and the scale for which
 * sum w (scale c - x)^2 is least among tries of half - 0.9 .. half + 0.9 for the code of the
 * largest element. Returns the scale; where all count as zero, it and the stored codes are 0. */
float kquant_search_scale(int n, int half, const float *x, const float *w, uint8_t *code);

/* Q3_K without importance: codes c (stored as c + 4) by coordinate descent on
 * sum x^2 (scale c - x)^2, the scale being the best one for the codes at every moment. */
float kquant_descend_scale(const float x[16], uint8_t code[16]);

/* Codes 0 .. top for n scales or minima x, which are not negative where weights are sound, by
 * tries and then coordinate descent on sum w (scale code - x)^2. Returns the scale. */
float kquant_fit_positive(int n, int top, const float *x, const float *w, uint8_t code[16]);

#endif
