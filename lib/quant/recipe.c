/* recipe.c - types of tensors by name, see recipe.h */
#include "lib/quant/recipe.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/format/zio.h"

#define MAX_RULES 100000        /* more than any model has tensors that one would name */

struct recipe *recipe_new(void) {
    return mem_alloc(sizeof(struct recipe));
}

void recipe_free(struct recipe *r) {
    if (!r)
        return;
    for (size_t i = 0; i < r->rules; i++) {
        free(r->rule[i].glob);
        free(r->rule[i].place);
    }
    free(r->rule);
    free(r);
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Takes the blanks off both ends, in place. */
static char *trim(char *s) {
    while (isspace((unsigned char)*s))
        s++;
    for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

/* "a, b, c": what a type may be. */
static char *known_types(void) {
    struct buf b = {0};
    for (int t = 0; t < KERN_TYPES; t++)
        if (kern_type_info(t))
            buf_printf(&b, "%s, ", kern_type_info(t)->name);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (char)tolower((unsigned char)b.data[i]);
    buf_adds(&b, "keep, or a mix such as q4_k_m");
    return b.data;
}

static int parse_type(struct recipe_rule *rule, const char *name, struct err *err) {
    rule->type = ftype_type(name);
    if (rule->type >= 0)
        return 0;
    rule->type = RECIPE_KEEP;
    if (!strcasecmp(name, "keep"))
        return 0;
    rule->type = RECIPE_MIX;
    rule->mix = ftype_find(name);
    if (rule->mix)
        return 0;
    char *known = known_types();
    err_set(err, "%s: '%s' is no type: expected %s", rule->place, name, known);
    free(known);
    return -1;
}

/* Adds "GLOB = TYPE", which it cuts into pieces. */
static int add(struct recipe *r, char *text, const char *place, struct err *err) {
    char *equals = strchr(text, '=');
    if (!equals)
        return err_set(err, "%s: '%s': expected GLOB = TYPE", place, text);
    *equals = '\0';
    char *glob = trim(text), *type = trim(equals + 1);
    if (!*glob || !*type)
        return err_set(err, "%s: '%s = %s': expected GLOB = TYPE", place, glob, type);
    if (r->rules == MAX_RULES)
        return err_set(err, "%s: more than %d rules", place, MAX_RULES);
    r->rule = mem_grow(r->rule, r->rules + 1, sizeof *r->rule);
    struct recipe_rule *rule = &r->rule[r->rules++];
    *rule = (struct recipe_rule){.glob = mem_strdup(glob), .place = mem_strdup(place)};
    return parse_type(rule, type, err);
}

int recipe_add(struct recipe *r, const char *text, struct err *err) {
    char *copy = mem_strdup(text);
    int rc = add(r, copy, "--tensor", err);
    free(copy);
    return rc;
}

static int read_line(struct recipe *r, char *line, size_t len, const char *place,
                     struct err *err) {
    if (strlen(line) != len)
        return err_set(err, "%s: a zero byte: expected text", place);
    char *comment = strchr(line, '#');
    if (comment)
        *comment = '\0';
    line = trim(line);
    return *line ? add(r, line, place, err) : 0;
}

/* Closes z. */
static int read_all(struct recipe *r, struct zio *z, struct err *err) {
    char *line;
    size_t len;
    int rc;
    for (int n = 1; (rc = zio_line(z, &line, &len, err)) > 0; n++) {
        char *place = mem_printf("%s:%d", zio_name(z), n);
        rc = read_line(r, line, len, place, err);
        free(place);
        if (rc)
            break;
    }
    zio_abort(z);
    return rc;
}

int recipe_read(struct recipe *r, const char *path, struct err *err) {
    struct zio *z = zio_open_read(path, err);
    return z ? read_all(r, z, err) : -1;
}

int recipe_parse(struct recipe *r, const char *name, const char *text, size_t len,
                 struct err *err) {
    struct buf copy = {0};
    buf_add(&copy, text, len);
    return read_all(r, zio_open_memory(name, &copy), err);
}

/* ---- applying --------------------------------------------------------------------------- */

/* What each mix among the rules gives each tensor: [rules], NULL where it is no mix. */
static struct ftype_choice **choose_mixes(const struct recipe *r, const struct source *s,
                                          int imatrix) {
    struct ftype_choice **of = mem_array(r->rules, sizeof *of);
    for (size_t i = 0; i < r->rules; i++) {
        const struct ftype_options o = {.mix = r->rule[i].mix, .imatrix = imatrix, .output = -1,
                                        .embedding = -1};
        if (r->rule[i].type != RECIPE_MIX)
            continue;
        of[i] = mem_array((size_t)s->tensors, sizeof *of[i]);
        ftype_choose(&o, s, of[i]);
    }
    return of;
}

/* What rule i makes of tensor t; -1 where it may not. */
static int apply_rule(const struct recipe_rule *rule, const struct ftype_choice *mix,
                      const struct source *s, uint64_t t, struct ftype_choice *out,
                      struct err *err) {
    const struct source_tensor *tensor = &s->tensor[t];
    int type = rule->type == RECIPE_KEEP ? tensor->type : rule->type;
    const char *stays = ftype_stays(s, tensor);
    if (rule->type == RECIPE_MIX) {
        *out = mix[t];
        out->why = rule->place;
        return 0;
    }
    if (stays && type != tensor->type && kern_type_info(type)->block > 1)
        return err_set(err, "%s: \"%s\" is never quantized (%s): f32, f16, bf16 or keep",
                       rule->place, tensor->name, stays);
    *out = (struct ftype_choice){.wanted = type, .why = rule->place};
    out->type = type == tensor->type ? type : ftype_fallback(type, tensor->ne[0]);
    return 0;
}

/* Whether a rule speaks of this tensor. Norms and their kin are meant only when named in full. */
static int matches(const struct recipe_rule *rule, const struct source *s, uint64_t t) {
    const struct source_tensor *tensor = &s->tensor[t];
    return !strcmp(rule->glob, tensor->name) ||
           (!fnmatch(rule->glob, tensor->name, 0) && ftype_quantizes(s, tensor));
}

static int check_matched(const struct recipe *r, const struct source *s, struct err *err) {
    for (size_t i = 0; i < r->rules; i++) {
        const struct recipe_rule *rule = &r->rule[i];
        int any = 0, stays = 0;
        for (uint64_t t = 0; t < s->tensors && !any; t++) {
            any = matches(rule, s, t);
            stays |= !any && !fnmatch(rule->glob, s->tensor[t].name, 0);
        }
        if (!any)
            return err_set(err, "%s: '%s' matches no tensor of %s%s", rule->place, rule->glob,
                           s->path, stays ? " but those that are never quantized: these take a"
                                            " full name" : "");
    }
    return 0;
}

int recipe_apply(const struct recipe *r, const struct source *s, int imatrix,
                 struct ftype_choice *choice, struct err *err) {
    if (check_matched(r, s, err))
        return -1;
    struct ftype_choice **mix = choose_mixes(r, s, imatrix);
    int rc = 0;
    for (uint64_t t = 0; t < s->tensors && !rc; t++)
        for (size_t i = 0; i < r->rules && !rc; i++)
            if (matches(&r->rule[i], s, t)) {
                rc = apply_rule(&r->rule[i], mix[i], s, t, &choice[t], err);
                break;
            }
    for (size_t i = 0; i < r->rules; i++)
        free(mix[i]);
    free(mix);
    return rc;
}
