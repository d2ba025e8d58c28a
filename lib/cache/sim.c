/* sim.c - the table of policies, a row each, and their parameters; see sim.h */
#include "lib/cache/sim.h"

#include <string.h>

#include "lib/base/num.h"
#include "lib/cache/policy.h"

/* In the order of the help; belady last, as everything is measured against it. */
#define PLAIN(row) \
    row(lru) row(lrutail) row(fifo) row(lfu) row(slru) row(twoq) row(arc) row(s3fifo) row(sieve) \
    row(wtinylfu) row(gdsf) row(ttl) row(belady)

#define VLLM(row) row(vllm_lru)
#define SGLANG(row) \
    row(sglang_lru) row(sglang_lfu) row(sglang_fifo) row(sglang_mru) row(sglang_filo) \
    row(sglang_slru)

#define DECLARE(name) extern const struct sim_ops policy_##name;
#define POINTER(name) &policy_##name,
PLAIN(DECLARE)
VLLM(DECLARE)
SGLANG(DECLARE)

static const struct sim_ops *const plain[] = {PLAIN(POINTER) NULL};
static const struct sim_ops *const vllm[] = {VLLM(POINTER) NULL};
static const struct sim_ops *const sglang[] = {SGLANG(POINTER) NULL};

static const struct sim_ops *const *const lists[] = {
    [SIM_PLAIN] = plain, [SIM_VLLM] = vllm, [SIM_SGLANG] = sglang};

const struct sim_ops *const *sim_list(enum sim_semantics semantics) {
    return lists[semantics];
}

const char *const *sim_semantics_names(void) {
    static const char *const names[] = {"plain", "vllm", "sglang", NULL};
    return names;
}

const struct sim_ops *sim_find(enum sim_semantics semantics, const char *name, size_t len) {
    for (const struct sim_ops *const *o = lists[semantics]; *o; o++)
        if (strlen((*o)->name) == len && !memcmp((*o)->name, name, len))
            return *o;
    return NULL;
}

/* ---- parameters: "small=0.1:ghost=0.9" --------------------------------------------------- */

/* The text after "key=", its length in *len; NULL when the key is not there. */
static const char *find_param(const char *params, const char *key, size_t *len) {
    size_t k = strlen(key);
    for (const char *p = params; p && *p; p += strcspn(p, ":"), p += *p == ':') {
        size_t part = strcspn(p, ":");
        if (part <= k || memcmp(p, key, k) || p[k] != '=')
            continue;
        *len = part - k - 1;
        return p + k + 1;
    }
    return NULL;
}

double policy_param(const struct sim_setup *s, const char *key, double def, double min,
                    double max, struct err *err) {
    size_t len;
    double value = def;
    const char *text = find_param(s->params, key, &len);
    if (!text)
        return def;
    char *copy = mem_strndup(text, len);
    if (num_float(copy, min, max, &value)) {
        err_set(err, "%s=%s: expected a number from %g to %g", key, copy, min, max);
        value = def;
    }
    free(copy);
    return value;
}

int policy_params_known(const struct sim_setup *s, const char *const *keys, struct err *err) {
    for (const char *p = s->params; p && *p; p += strcspn(p, ":"), p += *p == ':') {
        size_t part = strcspn(p, ":");
        size_t name = strcspn(p, "=:");
        int known = 0;
        for (const char *const *k = keys; k && *k; k++)
            known |= strlen(*k) == name && !memcmp(*k, p, name) && name < part;
        if (!known)
            return err_set(err, "'%.*s' is no parameter of this policy", (int)part, p);
    }
    return 0;
}
