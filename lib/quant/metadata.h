/* metadata.h - the keys of a model's metadata as text, and whether two values are the same
 *
 *     struct metadata *m = metadata_of(source, &err);
 *     for (uint64_t i = 0; i < gguf_key_count(metadata_view(m)); i++)
 *         ...
 *     metadata_free(m);
 */
#ifndef METADATA_H
#define METADATA_H

#include "lib/base/mem.h"
#include "lib/format/gguf.h"
#include "lib/quant/source.h"

struct metadata;

/* Of a GGUF file its own, of a folder those of the file that it becomes. The source may be closed
 * before. NULL on error. */
struct metadata *metadata_of(struct source *s, struct err *err);
void metadata_free(struct metadata *m);
/* Borrowed; without tensors. */
const struct gguf *metadata_view(const struct metadata *m);

const char *metadata_type_name(enum gguf_type type);    /* "u32", "str" */
/* out = the value as JSON without blanks; of an array that has more than `most` elements (0: all
 * are shown) so many and their number: [1,2,3,...(151936)]. With `first` above 0 those from there
 * on, and where that is: 700:[8,9,...(151936)]. */
void metadata_text(const struct gguf_value *v, uint64_t first, uint64_t most, struct buf *out);
/* Index of the first element of two arrays of a type that is not the same; that behind the shorter
 * one where there is none. */
uint64_t metadata_apart(const struct gguf_value *a, const struct gguf_value *b);
/* Cuts what is longer than `most` bytes, between two characters, and tells how long it was:
 * "{% for m in...(5120) */
void metadata_cut(struct buf *text, size_t most);
/* 1: the same type, length and bytes. */
int metadata_same(const struct gguf_value *a, const struct gguf_value *b);

#endif
