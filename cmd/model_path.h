/* model_path.h - a model named on a command line, as a file
 *
 * A path is itself. An http(s) address is fetched into the cache folder (lib/base/fetch.h) with a
 * progress bar; of a split model all parts. Ends the program when that fails.
 */
#ifndef MODEL_PATH_H
#define MODEL_PATH_H

/* The caller frees. sha256: 64 hex digits that a fetched file must have, or NULL. */
char *model_path(const char *model, const char *sha256, int quiet);

#endif
