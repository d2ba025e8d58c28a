/* route_replay_jobs.c - lists of policies, prefetches and budgets become jobs
 *
 * A policy or prefetch is NAME[:KEY=VALUE]...; a budget is bytes, a share of all experts, "inf", or
 * a range FROM..TO/N of them in equal steps.
 */
#include "cmd/route_replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/num.h"

#define BUDGETS_MOST 100000
#define JOBS_MOST 1000000
#define LAYER "layer-"
#define ALL "lru,lfu,lfu-decay,s3-fifo,layer-lru,layer-lfu,layer-lfu-decay,hot,hot-oracle,belady,"\
            "random"

/* Cuts ":KEY=VALUE" off the front of *rest; 0 when there is none. Dies when it is none. */
static int next_key(const char *option, const char *word, char **rest, char **key, char **value) {
    if (!*rest)
        return 0;
    *key = *rest;
    *rest = strchr(*key, ':');
    if (*rest)
        *(*rest)++ = '\0';
    *value = strchr(*key, '=');
    if (!*value || *value == *key)
        usage_die("%s: '%s': expected NAME:KEY=VALUE", option, word);
    *(*value)++ = '\0';
    return 1;
}

/* Ends the name; what follows its colon, or NULL. */
static char *cut_name(char *name) {
    char *rest = strchr(name, ':');
    if (rest)
        *rest++ = '\0';
    return rest;
}

/* ---- policies ----------------------------------------------------------------------------- */

static void unknown_policy(const char *word) {
    struct buf names = {0};
    for (const struct offload_policy *p = offload_policies(); p->name; p++)
        buf_printf(&names, "%s, ", p->name);
    usage_die("--policy: '%s': expected all, %sor one of them with layer- before it", word,
              names.data);
}

static void set_param(struct replay_policy *p, const char *word, const char *key, char *value) {
    const struct offload_policy *o = p->policy;
    int percent = arg_take_off(value, "%");
    if (!o->param || strcmp(o->param, key))
        usage_die("--policy: '%s': %s has no parameter %s%s%s", word, o->name, key,
                  o->param ? "; it has " : "", o->param ? o->param : "");
    double unit = percent ? 100 : 1;
    if ((percent && o->most > 1) || num_float(value, o->least * unit, o->most * unit, &p->param))
        usage_die("--policy: '%s': expected %s from %g to %g", word, key, o->least, o->most);
    p->param /= unit;
}

static void parse_policy(struct replay_policy *p, const char *word) {
    char *text = mem_strdup(word);
    char *name = text;
    char *rest = cut_name(text);
    char *key;
    char *value;
    if (!strncmp(name, LAYER, strlen(LAYER))) {
        p->per_layer = 1;
        name += strlen(LAYER);
    }
    p->name = mem_strdup(word);
    p->policy = offload_policy(name);
    if (!p->policy)
        unknown_policy(word);
    while (next_key("--policy", word, &rest, &key, &value))
        set_param(p, word, key, value);
    free(text);
}

void replay_policies(struct replay_jobs *j, const char *list) {
    char *text = mem_strdup(strcmp(list, "all") ? list : ALL);
    char **part = arg_list(text, &j->policies);
    j->policy = mem_array((size_t)j->policies, sizeof *j->policy);
    for (int i = 0; i < j->policies; i++)
        parse_policy(&j->policy[i], part[i]);
    free(part);
    free(text);
}

/* ---- prefetches --------------------------------------------------------------------------- */

static void parse_prefetch(struct replay_prefetch *p, const char *word) {
    static const char *const names[] = {"previous", "static", "follow", "perfect", "none", NULL};
    static const enum offload_guesser how[] = {OFFLOAD_PREVIOUS, OFFLOAD_STATIC, OFFLOAD_FOLLOW,
                                               OFFLOAD_PERFECT};
    char *text = mem_strdup(word);
    char *rest = cut_name(text);
    char *key;
    char *value;
    int name = arg_choice("--prefetch", text, names);
    p->name = mem_strdup(word);
    p->none = !strcmp(names[name], "none");
    if (!p->none)
        p->opt.how = how[name];
    while (next_key("--prefetch", word, &rest, &key, &value)) {
        int64_t n;
        int width = !strcmp(key, "width");
        if (p->none || (!width && strcmp(key, "ahead")) ||
            (width && p->opt.how == OFFLOAD_PERFECT))
            usage_die("--prefetch: '%s': %s has no parameter %s", word, text, key);
        if (num_int(value, 1, ROUTED_EXPERTS_MOST, &n))
            usage_die("--prefetch: '%s': expected %s from 1 to %d", word, key,
                      ROUTED_EXPERTS_MOST);
        *(width ? &p->opt.width : &p->opt.ahead) = (int)n;
    }
    free(text);
}

void replay_prefetches(struct replay_jobs *j, const char *list) {
    char *text = mem_strdup(list);
    char **part = arg_list(text, &j->prefetches);
    j->prefetch = mem_array((size_t)j->prefetches, sizeof *j->prefetch);
    for (int i = 0; i < j->prefetches; i++)
        parse_prefetch(&j->prefetch[i], part[i]);
    free(part);
    free(text);
}

/* ---- budgets ------------------------------------------------------------------------------ */

/* Bytes of "2G", "500MiB", "25%" of all; NAN: none of these. */
static double one_budget(const char *word, double all) {
    char *text = mem_strdup(word);
    double bytes = NAN;
    double share;
    int64_t n;
    if (!strcmp(text, "inf")) {
        bytes = INFINITY;
    } else if (arg_take_off(text, "%")) {
        if (!num_float(text, 0, 100, &share) && share > 0)
            bytes = fmax(floor(share * all / 100), 1);
    } else {
        arg_take_off(text, "B");
        if (!num_size(text, 1, INT64_MAX, &n))
            bytes = (double)n;
    }
    free(text);
    return bytes;
}

static void add_budget(struct replay_jobs *j, double bytes) {
    if (j->budgets == BUDGETS_MOST)
        usage_die("--budget: at most %d budgets", BUDGETS_MOST);
    j->budget = mem_grow(j->budget, (size_t)j->budgets + 1, sizeof *j->budget);
    j->budget[j->budgets++] = bytes;
}

static void add_range(struct replay_jobs *j, const char *word, double all) {
    char *text = mem_strdup(word);
    char *to = strstr(text, "..");
    char *steps = strchr(text, '/');
    int64_t n = 0;
    *to = '\0';
    to += 2;
    if (steps > to)
        *steps++ = '\0';
    double from = one_budget(text, all);
    double last = one_budget(to, all);
    if (steps <= to || num_int(steps, 2, BUDGETS_MOST, &n) || !(from < last) || isinf(last) ||
        !strchr(text, '%') != !strchr(to, '%'))
        usage_die("--budget: '%s': expected FROM..TO/N: N budgets, 2 or more, in equal steps from "
                  "bytes to bytes or from %% to %%", word);
    for (int64_t i = 0; i < n; i++)
        add_budget(j, floor(from + (last - from) * (double)i / (double)(n - 1)));
    free(text);
}

static void parse_budgets(struct replay_jobs *j, const char *list, double all) {
    char *text = mem_strdup(list);
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        double bytes = one_budget(part[i], all);
        if (strstr(part[i], ".."))
            add_range(j, part[i], all);
        else if (bytes > 0)
            add_budget(j, bytes);
        else
            usage_die("--budget: '%s': expected bytes (2G, 500Mi), a share of all experts (25%%), "
                      "inf, or a range of them (500Mi..8Gi/16)", part[i]);
    }
    free(part);
    free(text);
}

void replay_budgets_check(const char *list) {
    struct replay_jobs j = {0};
    parse_budgets(&j, list, 1e18);
    free(j.budget);
}

/* ---- jobs --------------------------------------------------------------------------------- */

static void make_guesses(struct replay_jobs *j, const struct offload *o, const double *count) {
    for (int i = 0; i < j->prefetches; i++) {
        struct replay_prefetch *p = &j->prefetch[i];
        struct err e = {{0}};
        if (p->none)
            continue;
        p->opt.count = count;
        p->guess = offload_guess(o, &p->opt, &e);
        if (!p->guess)
            die("--prefetch: %s: %s", p->name, e.text);
    }
}

void replay_make_jobs(struct replay_jobs *j, const char *budgets, const struct offload *o,
                      const double *count) {
    parse_budgets(j, budgets, (double)o->all_bytes);
    make_guesses(j, o, count);
    if ((double)j->policies * j->prefetches * j->budgets > JOBS_MOST)
        usage_die("%d policies, %d prefetches and %d budgets are more than %d rows", j->policies,
                  j->prefetches, j->budgets, JOBS_MOST);
    j->n = j->policies * j->prefetches * j->budgets;
    j->job = mem_array((size_t)j->n, sizeof *j->job);
    j->result = mem_array((size_t)j->n, sizeof *j->result);
    for (int i = 0; i < j->n; i++) {
        const struct replay_policy *p = &j->policy[i / j->budgets / j->prefetches];
        j->job[i] = (struct offload_job){
            .policy = p->policy, .param = p->param, .per_layer = p->per_layer,
            .budget = j->budget[i % j->budgets],
            .guess = j->prefetch[i / j->budgets % j->prefetches].guess};
    }
}

void replay_free_jobs(struct replay_jobs *j) {
    for (int i = 0; i < j->policies; i++)
        free(j->policy[i].name);
    for (int i = 0; i < j->prefetches; i++) {
        free(j->prefetch[i].name);
        offload_guess_free(j->prefetch[i].guess);
    }
    free(j->policy);
    free(j->prefetch);
    free(j->budget);
    free(j->job);
    free(j->result);
}
