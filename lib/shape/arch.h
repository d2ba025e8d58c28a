/* arch.h - private to lib/shape: how one architecture reads its numbers from a GGUF header
 *
 * An architecture is one file and one row. shape.c has read what every model has (widths, layers,
 * heads, norm epsilon) when it calls the row's function, which names the groups of keys that the
 * architecture has besides, and sets what no key says:
 *
 *     void arch_olmoe(struct arch_reader *r) {
 *         arch_read_rope(r, ARCH_NEOX);
 *         arch_read_experts(r, 0, "feed_forward_length");
 *         r->s->qk_norm = SHAPE_QK_FULL;
 *     }
 *
 * Failures stick: the first one is kept in r->err, every later read returns its smallest allowed
 * value without looking, and shape.c asks once, at the end. So an architecture's file has no
 * error paths. Keys are given without the architecture's name: "rope.freq_base".
 *
 * What is a key, its default, and what is fixed by the architecture follow llama.cpp
 * (src/llama-model.cpp and src/models/), since it is the reference for files of this format.
 */
#ifndef ARCH_H
#define ARCH_H

#include <stdint.h>

#include "lib/shape/shape.h"

struct arch_reader {
    const struct gguf *g;
    struct shape *s;            /* being filled; s->layer has s->layers entries */
    int blocks;                 /* block_count of the file: s->layers and any draft layers after */
    int failed;
    struct err *err;
};

struct arch {
    const char *name;
    void (*read)(struct arch_reader *r);
    int counted;                /* its costs are counted (arch_counted.c), it cannot be run */
};
/* The row of an architecture, or NULL; one that is only counted where `counted` allows it. */
const struct arch *arch_find(const char *name, int counted);
/* Names of the rows, without or with those that are only counted; NULL-terminated. */
const char *const *arch_names(int counted);
/* shape_from_gguf, for architectures that are only counted too. */
struct shape *shape_count_gguf(const struct gguf *g, struct err *err);

/* Which elements of a head the rotary embedding pairs. */
enum arch_rope_pairs { ARCH_NORM, ARCH_NEOX };

#define ARCH_MAX_LAYERS 10000
#define ARCH_MAX_WIDTH (1 << 24)        /* of a hidden vector */
#define ARCH_MAX_FF (1 << 28)
#define ARCH_MAX_HEADS (1 << 14)
#define ARCH_MAX_HEAD (1 << 14)         /* elements of a head */
#define ARCH_MAX_EXPERTS 32767          /* route streams keep expert numbers in 16 bits */

/* ---- one key ---------------------------------------------------------------------------- */

/* Fails with "FILE: ARCH.KEY: " and the text. */
void arch_fail(struct arch_reader *r, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int arch_has(const struct arch_reader *r, const char *key);
/* A whole number in [min, max]; arch_int needs the key, arch_int_or has a default. */
int64_t arch_int(struct arch_reader *r, const char *key, int64_t min, int64_t max);
int64_t arch_int_or(struct arch_reader *r, const char *key, int64_t def, int64_t min,
                    int64_t max);
/* A finite number in [min, max]. */
float arch_float(struct arch_reader *r, const char *key, double min, double max);
float arch_float_or(struct arch_reader *r, const char *key, double def, double min, double max);
/* One number for all layers, or an array with one for each block: out[s->layers]. The key is
 * needed. */
void arch_ints(struct arch_reader *r, const char *key, int64_t min, int64_t max, int *out);
/* Fails when the file lacks a tensor that the architecture cannot do without. */
void arch_need_tensor(struct arch_reader *r, const char *name);

/* ---- groups of keys --------------------------------------------------------------------- */

/* rope.*: s->rope[0], used by all layers. Linear and YaRN scaling. */
void arch_read_rope(struct arch_reader *r, enum arch_rope_pairs pairs);
/* feed_forward_length: a dense FFN in layers [first, last). */
void arch_read_dense(struct arch_reader *r, int first, int last);
/* expert_count, expert_used_count, groups: routed experts in the layers from `first` on. Their
 * width stands under width_key; where that is absent, feed_forward_length is shared out among
 * the experts used. Gate: softmax over all experts, not normalised. */
void arch_read_experts(struct arch_reader *r, int first, const char *width_key);
/* attention.sliding_window with its pattern: of `period` layers the last sees everything, or the
 * pattern in the file (a number, or a flag a layer). Returns the window, 0 without one. */
int arch_read_windows(struct arch_reader *r, int period);

/* ---- the architectures ------------------------------------------------------------------ */

void arch_llama(struct arch_reader *r);
void arch_qwen2(struct arch_reader *r);
void arch_qwen3(struct arch_reader *r);
void arch_qwen2moe(struct arch_reader *r);
void arch_qwen3moe(struct arch_reader *r);
void arch_olmoe(struct arch_reader *r);
void arch_gemma3(struct arch_reader *r);
/* Only counted: */
void arch_deepseek2(struct arch_reader *r);
void arch_glm4moe(struct arch_reader *r);
void arch_gptoss(struct arch_reader *r);
void arch_gemma2(struct arch_reader *r);
void arch_granite(struct arch_reader *r);
void arch_granitemoe(struct arch_reader *r);
void arch_phi3(struct arch_reader *r);

/* ---- counts ----------------------------------------------------------------------------- */

/* Fills params, params_active, the bytes and quant of s from the list of tensors. Fails (and
 * returns -1) when the list holds other experts or more blocks than the header says. */
int shape_count(struct shape *s, const struct gguf *g, int blocks, struct err *err);

#endif
