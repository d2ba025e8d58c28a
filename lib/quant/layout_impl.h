/* layout_impl.h - what the layouts share */
#ifndef LAYOUT_IMPL_H
#define LAYOUT_IMPL_H

#include "lib/quant/layout.h"

extern const struct layout layout_gptq, layout_awq, layout_ct;

/* Groups of a row of cols under s. */
int64_t layout_groups(const struct layout_scheme *s, int64_t cols);
/* Whether n codes fill whole 32-bit words. */
int layout_whole_words(int bits, int64_t n);
/* The same for groups of cols. */
int layout_whole_groups(const struct layout_scheme *s, int64_t cols);
/* Fills one part; shape1 0: it has one dimension. */
void layout_part_set(struct layout_part *p, enum layout_what what, const char *suffix, int dtype,
                     int64_t shape0, int64_t shape1);

/* n codes, `stride` bytes apart, as one string of bits, the first lowest; codes that lie across
 * two words have their low bits in the first. `less` is taken off each. Word w goes to
 * out[w * out_stride]. */
void layout_put_codes(const uint8_t *code, int64_t n, int64_t stride, int bits, int less,
                      uint32_t *out, int64_t out_stride);
/* out = scales as halves: [groups][rows] when by_group, else [rows][groups]. */
void layout_put_scales(const struct grouped *g, int by_group, uint16_t *out);
/* out[cols] = the group of each column. */
void layout_put_index(const struct grouped *g, int32_t *out);

#endif
