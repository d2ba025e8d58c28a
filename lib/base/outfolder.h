/* outfolder.h - output folders that are whole or not there
 *
 *     struct outfolder *f = outfolder_open("model-awq", &err);
 *     ... write files, whole ones too, into outfolder_path(f) ...
 *     outfolder_close(f, &err);
 *
 * The folder is made as path.XXXXXX.tmp and renamed by outfolder_close; outfolder_abort (or a
 * signal, through outfile_cleanup) removes it with the files in it. One at a time.
 */
#ifndef OUTFOLDER_H
#define OUTFOLDER_H

#include "lib/base/err.h"

struct outfolder;

/* NULL when path is there already, but for an empty folder. */
struct outfolder *outfolder_open(const char *path, struct err *err);
const char *outfolder_path(const struct outfolder *f);
int outfolder_close(struct outfolder *f, struct err *err);      /* frees f always */
void outfolder_abort(struct outfolder *f);                      /* NULL is fine */
/* What outfile_cleanup calls: async-signal-safe. */
void outfolder_cleanup(void);

#endif
