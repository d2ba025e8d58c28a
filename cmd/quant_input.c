/* quant_input.c - a model to quantize, see quant_input.h */
#include "cmd/quant_input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/model_path.h"
#include "cmd/progress.h"
#include "lib/quant/convert.h"

/* A descriptor of a new file in the folder of `beside`, whose name is already gone. */
static int nameless(const char *beside) {
    size_t len = strlen(beside);
    while (len > 1 && beside[len - 1] == '/')
        len--;
    char *name = mem_printf("%.*s.XXXXXX.tmp", (int)len, beside);
    int fd = mkstemps(name, (int)strlen(".tmp"));
    if (fd < 0)
        die("%s: no file can be made beside it: %s", beside, strerror(errno));
    unlink(name);
    free(name);
    return fd;
}

/* The folder as a GGUF file: its path, which lives as long as this process. */
static char *write_gguf(struct source *s, const struct common *common, const char *beside) {
    char *path = mem_printf("/dev/fd/%d", nameless(beside));
    int *type = mem_array((size_t)source_count(s), sizeof *type);
    struct progress bar;
    struct err err;
    for (uint64_t i = 0; i < source_count(s); i++)
        type[i] = s->tensor[i].type;
    struct convert c = {.source = s, .type = type, .file_type = -1,
                        .kern = quant_kernels(common), .par = par_new(common->threads),
                        .progress = progress_show, .arg = &bar};
    progress_start(&bar, "converting", PROGRESS_BYTES, common->quiet);
    int rc = convert_run(&c, path, &err);
    progress_end(&bar);
    if (rc)
        die_err(&err);
    par_free(c.par);
    free(type);
    return path;
}

struct source *quant_source_open(const char *path, int quiet) {
    struct err err;
    char *file = model_path(path, NULL, quiet);
    struct source *s = source_open(file, &err);
    if (!s)
        die_err(&err);
    free(file);
    return s;
}

void quant_input_open(struct quant_input *in, const struct common *common, const char *path,
                      const char *beside) {
    struct stat st;
    in->folder = !stat(path, &st) && S_ISDIR(st.st_mode);
    in->source = quant_source_open(path, common->quiet);
    char *made = in->folder ? write_gguf(in->source, common, beside) : NULL;
    quant_engine_open(&in->engine, common, made ? made : in->source->path, 0);
    free(made);
}

void quant_input_close(struct quant_input *in) {
    quant_engine_close(&in->engine);
    source_close(in->source);
}
