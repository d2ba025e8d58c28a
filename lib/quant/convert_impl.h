/* convert_impl.h - the pipe between a source and a file, shared by convert.c and convert_pipe.c
 *
 *     struct pipe *p = pipe_new(c, writer, importance, total);
 *     pipe_run(p, order, tensors, &err);
 *     pipe_free(p);
 */
#ifndef CONVERT_IMPL_H
#define CONVERT_IMPL_H

#include "lib/format/gguf.h"
#include "lib/quant/convert.h"

struct pipe;

/* importance[tensors], entries NULL where there is none; total: bytes to write, for progress. */
struct pipe *pipe_new(const struct convert *c, struct gguf_writer *w,
                      const struct imatrix_entry *const *importance, int64_t total);
void pipe_free(struct pipe *p);
/* Writes the tensors order[0] to order[n - 1], by all threads. */
int pipe_run(struct pipe *p, const uint64_t *order, uint64_t n, struct err *err);
/* Writes bytes as they are. */
int pipe_put(struct pipe *p, const void *data, size_t len, struct err *err);

#endif
