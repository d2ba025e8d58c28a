/* model_path.c - a model named on a command line, as a file, see model_path.h
 *
 * A split file is fetched whole: the address of its first part, NAME-00001-of-00003.gguf, gives
 * those of the others.
 */
#include "cmd/model_path.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/common.h"
#include "cmd/progress.h"
#include "lib/base/fetch.h"

#define MAX_PARTS 1000

static int show_fetching(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

static char *fetch_one(const char *url, const char *sha256, int quiet) {
    struct progress bar;
    struct err err;
    char *path = NULL;
    progress_start(&bar, "fetching", PROGRESS_BYTES, quiet);
    struct fetch_options how = {.sha256 = sha256, .progress = show_fetching, .arg = &bar};
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

char *model_path(const char *model, const char *sha256, int quiet) {
    if (!fetch_is_url(model))
        return mem_strdup(model);
    int parts = 1;
    const char *suffix = split_suffix(model, &parts);
    if (!suffix)
        return fetch_one(model, sha256, quiet);
    if (sha256)
        usage_die("--sha256 is for one file: this model has %d", parts);
    if (parts < 1 || parts > MAX_PARTS)
        die("%s: expected 1 to %d parts, found %d", model, MAX_PARTS, parts);
    char *first = NULL;
    for (int i = 1; i <= parts; i++) {
        char *url = mem_printf("%.*s%05d-of-%05d.gguf", (int)(suffix - model), model, i,
                               parts);
        char *path = fetch_one(url, NULL, quiet);
        if (i == 1)
            first = path;
        else
            free(path);
        free(url);
    }
    return first;
}
