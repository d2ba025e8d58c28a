/* load_model.c - kernels and weights for a program's command line, see load_model.h */
#include "cmd/load_model.h"

#include <stdlib.h>

#include "cmd/progress.h"

const struct kern *load_kernels(const struct common *common) {
    const char *why = NULL;
    const struct kern *k = kern_select(common->cpu, &why);
    if (!k)
        usage_die("%s '%s': %s", common->cpu ? "--cpu" : "LLM_CPU",
                  common->cpu ? common->cpu : getenv("LLM_CPU"), why);
    return k;
}

struct model *load_model(const struct common *common, const char *path, struct par *par,
                         int no_pack) {
    struct progress bar;
    struct err err;
    progress_start(&bar, "loading", PROGRESS_BYTES, common->quiet);
    struct model_options how = {.par = par, .no_pack = no_pack, .progress = progress_show,
                                .arg = &bar};
    struct model *m = model_open(path, &how, &err);
    progress_end(&bar);
    if (!m)
        die_err(&err);
    return m;
}
