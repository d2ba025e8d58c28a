/* ftype_impl.h - shared by ftype.c (names), ftype_rules.c (rules of the mixes) and hf_keys.c, which
 * numbers files */
#ifndef FTYPE_IMPL_H
#define FTYPE_IMPL_H

/* Values of general.file_type (llama.h, enum llama_ftype). */
enum {
    FTYPE_F32 = 0, FTYPE_F16 = 1, FTYPE_Q4_0 = 2, FTYPE_Q4_1 = 3, FTYPE_Q8_0 = 7, FTYPE_Q5_0 = 8,
    FTYPE_Q5_1 = 9, FTYPE_Q2_K = 10, FTYPE_Q3_K_S = 11, FTYPE_Q3_K_M = 12, FTYPE_Q3_K_L = 13,
    FTYPE_Q4_K_S = 14, FTYPE_Q4_K_M = 15, FTYPE_Q5_K_S = 16, FTYPE_Q5_K_M = 17, FTYPE_Q6_K = 18,
    FTYPE_Q2_K_S = 21, FTYPE_IQ4_NL = 25, FTYPE_IQ4_XS = 30, FTYPE_BF16 = 32, FTYPE_TQ2_0 = 37,
    FTYPE_MXFP4_MOE = 38
};

/* Layer in a tensor's name ("blk.7.attn_q.weight": 7), -1: none. */
int ftype_layer(const char *name);

#endif
