/* run_model.c - the model's file: a path as it is, or an address that is fetched into the cache
 *
 * A split file is fetched whole: the address of its first part, NAME-00001-of-00003.gguf, gives
 * those of the others.
 */
#include "cmd/run.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/progress.h"
#include "lib/base/fetch.h"

#define MAX_PARTS 1000

static int show_fetching(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

static char *fetch_one(const struct options *opt, const char *url) {
    struct progress bar;
    struct err err;
    char *path = NULL;
    progress_start(&bar, "fetching", PROGRESS_BYTES, opt->common.quiet);
    struct fetch_options how = {.sha256 = opt->sha256, .progress = show_fetching, .arg = &bar};
    int rc = fetch_url(url, &how, &path, &err);
    progress_end(&bar);
    if (rc)
        die_err(&err);
    return path;
}

/* Where "00001-of-00003.gguf" begins in the address of a first part, and how many parts there
 * are; NULL for any other address. */
static const char *split_suffix(const char *url, int *parts) {
    static const char pattern[] = "00001-of-NNNNN.gguf";
    size_t len = strlen(url);
    size_t tail = sizeof(pattern) - 1;
    if (len <= tail)
        return NULL;
    const char *at = url + len - tail;
    for (size_t i = 0; i < tail; i++) {
        int digit = at[i] >= '0' && at[i] <= '9';
        if (pattern[i] == 'N' ? !digit : at[i] != pattern[i])
            return NULL;
    }
    *parts = atoi(at + strlen("00001-of-"));
    return at;
}

char *run_model_path(const struct options *opt) {
    if (!fetch_is_url(opt->model))
        return mem_strdup(opt->model);
    int parts = 1;
    const char *suffix = split_suffix(opt->model, &parts);
    if (!suffix)
        return fetch_one(opt, opt->model);
    if (opt->sha256)
        usage_die("--sha256 is for one file: this model has %d", parts);
    if (parts < 1 || parts > MAX_PARTS)
        die("%s: expected 1 to %d parts, found %d", opt->model, MAX_PARTS, parts);
    char *first = NULL;
    for (int i = 1; i <= parts; i++) {
        char *url = mem_printf("%.*s%05d-of-%05d.gguf", (int)(suffix - opt->model), opt->model, i,
                               parts);
        char *path = fetch_one(opt, url);
        if (i == 1)
            first = path;
        else
            free(path);
        free(url);
    }
    return first;
}
