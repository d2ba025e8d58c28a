/* quant_calibrated.c - what gptq and awq have in common, see quant_calibrated.h */
#include "cmd/quant_calibrated.h"

#include <string.h>

#include "lib/base/rng.h"
#include "lib/quant/ftype.h"

#define DEFAULT_CHUNKS 128

int calibrated_bits(const char *arg) {
    static const char *const names[] = {"2", "3", "4", "8", NULL};
    static const int bits[] = {2, 3, 4, 8};
    return bits[arg_choice("--bits", arg, names)];
}

int calibrated_group(const char *arg) {
    int64_t n = arg_int("--group", arg, -1, 1 << 20);
    if (n != -1 && (n < 16 || (n & (n - 1))))
        usage_die("--group: '%s': expected -1, or a power of 2 from 16", arg);
    return (int)n;
}

const char *calibrated_type(const char *arg) {
    if (ftype_type(arg) < 0 && !ftype_find(arg))
        usage_die("--type: '%s' is no type of tensors, such as q4_k or f16, and no mix of them",
                  arg);
    return arg;
}

/* Draws `most` of the chunks, each as likely as another, and keeps their order (Knuth, The Art of
 * Computer Programming 2, algorithm S). */
static void draw_chunks(struct quant_chunks *c, int most, uint64_t seed) {
    struct rng r = {seed};
    int kept = 0;
    for (int i = 0; i < c->chunks && kept < most; i++)
        if ((int)rng_below(&r, (uint64_t)(c->chunks - i)) < most - kept)
            memmove(c->token + (size_t)kept++ * (size_t)c->tokens,
                    c->token + (size_t)i * (size_t)c->tokens,
                    (size_t)c->tokens * sizeof *c->token);
    c->chunks = kept;
}

void calibrated_text(const struct quant_text *t, uint64_t seed, const struct vocab *v,
                     struct quant_chunks *out) {
    struct quant_text all = *t;
    int most = all.chunks ? all.chunks : DEFAULT_CHUNKS;
    all.chunks = 0;
    quant_chunks_read(&all, v, out);
    draw_chunks(out, most, seed);
}
