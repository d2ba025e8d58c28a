/* recipe.h - types of tensors by name: lines "glob = type", llm-recipe(5)
 *
 *     struct recipe *r = recipe_new();
 *     recipe_add(r, "*.attn_v.weight=q8_0", &err);        // from the command line
 *     recipe_read(r, "small.recipe", &err);
 *     recipe_apply(r, source, imatrix, choice, &err);
 *
 * The first rule whose pattern matches a tensor's whole name decides. Patterns are those of the
 * shell (fnmatch): *, ? and [...]. A type is one of ftype_type, "keep" (as it is stored), or a mix
 * of ftype_find: then what that mix gives the tensor. A name that is both is the type.
 * Tensors that llama.cpp never quantizes (norms, routers) are matched by their full name alone, and
 * may become floats only.
 */
#ifndef RECIPE_H
#define RECIPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/quant/ftype.h"
#include "lib/quant/source.h"

enum { RECIPE_KEEP = -1, RECIPE_MIX = -2 };

struct recipe_rule {
    char *glob;
    char *place;                /* "small.recipe:3", or "--tensor" */
    int type;                   /* enum kern_type, RECIPE_KEEP or RECIPE_MIX */
    const struct ftype *mix;    /* of RECIPE_MIX */
};

struct recipe {
    struct recipe_rule *rule;
    size_t rules;
};

struct recipe *recipe_new(void);
void recipe_free(struct recipe *r);
/* One rule more, "GLOB=TYPE", named "--tensor" in messages. */
int recipe_add(struct recipe *r, const char *text, struct err *err);
/* All rules of a file ("-" is stdin; zstd or plain), after those that are there. */
int recipe_read(struct recipe *r, const char *path, struct err *err);
/* The same of a text in memory. */
int recipe_parse(struct recipe *r, const char *name, const char *text, size_t len,
                 struct err *err);
/* Replaces what the rules name in choice[tensors]; choice[].why then is the rule's place, borrowed
 * from r. imatrix: as in ftype_options. Fails on a rule that matches no tensor, and on one that
 * would quantize what must not be. */
int recipe_apply(const struct recipe *r, const struct source *s, int imatrix,
                 struct ftype_choice *choice, struct err *err);

#endif
