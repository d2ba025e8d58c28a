/* shape_numbers.c - a shape given as "layers=32,d_model=4096,heads=32,kv_heads=8,d_ff=14336"
 *
 * A known model may stand in front: "llama-3.1-70b,weight_bits=8" is that model but for what
 * follows. The words are those of a run trace's shape. layers, d_model and heads are needed, and
 * d_ff or the experts; one number holds for all layers, dense_layers and window_period say which
 * differ.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/shape/shape_build.h"

static const struct {
    const char *word;
    size_t at;
} words[] = {
    {"layers", offsetof(struct shape_dims, layers)},
    {"d_model", offsetof(struct shape_dims, d_model)},
    {"heads", offsetof(struct shape_dims, heads)},
    {"kv_heads", offsetof(struct shape_dims, kv_heads)},
    {"dk", offsetof(struct shape_dims, dk)},
    {"dv", offsetof(struct shape_dims, dv)},
    {"kv_latent", offsetof(struct shape_dims, kv_latent)},
    {"rope_dims", offsetof(struct shape_dims, rope_dims)},
    {"q_latent", offsetof(struct shape_dims, q_latent)},
    {"d_ff", offsetof(struct shape_dims, d_ff)},
    {"experts", offsetof(struct shape_dims, experts)},
    {"top_k", offsetof(struct shape_dims, top_k)},
    {"d_expert", offsetof(struct shape_dims, d_expert)},
    {"d_shared", offsetof(struct shape_dims, d_shared)},
    {"dense_layers", offsetof(struct shape_dims, dense_layers)},
    {"window", offsetof(struct shape_dims, window)},
    {"window_period", offsetof(struct shape_dims, window_period)},
    {"vocab", offsetof(struct shape_dims, vocab)},
    {"context", offsetof(struct shape_dims, context)},
    {"tied", offsetof(struct shape_dims, tied)},
};
enum { WORDS = sizeof words / sizeof *words };

static int unknown(const char *word, struct err *err) {
    char known[512] = "";
    for (int i = 0; i < WORDS; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s, ", words[i].word);
    return err_set(err, "%s: expected one of %sweight_bits", word, known);
}

/* Takes word = value. seen has a bit for each word that was there. */
static int take(struct shape_dims *d, const char *word, const char *value, unsigned *seen,
                struct err *err) {
    int i = 0;
    int64_t n;
    if (!strcmp(word, "weight_bits")) {
        if (num_float(value, 0.1, 64, &d->bits) < 0)
            return err_set(err, "weight_bits: expected 0.1 to 64, found %s", value);
        d->quant = "";
        d->matrix_bits = d->expert_bits = 0;    /* of a known model: all weights alike */
        return 0;
    }
    while (i < WORDS && strcmp(words[i].word, word))
        i++;
    if (i == WORDS)
        return unknown(word, err);
    if (*seen & 1u << i)
        return err_set(err, "%s: given twice", word);
    *seen |= 1u << i;
    if (num_int(value, 0, INT32_MAX, &n) < 0)
        return err_set(err, "%s: expected a whole number, found %s", word, value);
    *(int *)(void *)((char *)d + words[i].at) = (int)n;
    return 0;
}

struct shape *shape_from_numbers(const char *text, struct err *err) {
    struct shape_dims d = {.name = "numbers"};
    unsigned seen = 0;
    char part[128];
    for (const char *p = text, *end; *p; p = *end ? end + 1 : end) {
        end = strchrnul(p, ',');
        if (end - p >= (ptrdiff_t)sizeof part) {
            err_set(err, "%s: expected words with numbers, found one of %td characters", text,
                    end - p);
            return NULL;
        }
        snprintf(part, sizeof part, "%.*s", (int)(end - p), p);
        char *equals = strchr(part, '=');
        const struct shape_dims *known = p == text && !equals ? shape_table_find(part) : NULL;
        if (known) {            /* a known model, but for what follows */
            d = *known;
            continue;
        }
        if (!equals) {
            err_set(err, "%s: expected WORD=NUMBER, found \"%s\"", text, part);
            return NULL;
        }
        *equals = '\0';
        if (take(&d, part, equals + 1, &seen, err) < 0)
            return NULL;
    }
    if (d.d_expert == 0)
        d.d_expert = d.d_ff;
    struct shape *s = shape_build(&d, err);
    if (!s || !shape_weigh(s, &d, err))
        return s;
    shape_free(s);
    return NULL;
}
