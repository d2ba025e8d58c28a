/* kvcache.h - where the keys and values of a session live
 *
 * Per layer, storage for every sequence in blocks of KERN_KV_BLOCK positions, reached through
 * block tables. Layers with full attention keep the whole context; layers with a sliding window
 * keep a ring of blocks: enough for the window, one pass, and a margin by which a sequence may
 * be cut back. Layers that keep the same number of blocks share a table.
 */
#ifndef KVCACHE_H
#define KVCACHE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/kern.h"
#include "lib/base/err.h"
#include "lib/shape/shape.h"

struct kvcache;

/* Storage for `sequences` timelines of `context` tokens, passes of at most `batch` rows. NULL
 * when there is no memory, or a head's width does not fit the type (Q8_0: multiples of 32). */
struct kvcache *kvcache_new(const struct shape *s, int type, int sequences, int context, int batch,
                            struct err *err);
void kvcache_free(struct kvcache *c);

/* Layer i's storage, and the block tables [sequences] to go with it. */
const struct kern_kv *kvcache_layer(const struct kvcache *c, int i);
const int32_t *const *kvcache_tables(const struct kvcache *c, int i);

int kvcache_length(const struct kvcache *c, int seq);
/* Sequence seq now holds length tokens (after a pass; growing only). */
void kvcache_extend(struct kvcache *c, int seq, int length);
/* Cuts it back. -1 when a ring has lost what the next position would look at. */
int kvcache_truncate(struct kvcache *c, int seq, int length);

/* Bytes reserved (the system gives them as they are touched). */
size_t kvcache_bytes(const struct kvcache *c);
/* Bits of one element of type: 16, 32 or 8.5. */
double kvcache_bits(int type);

#endif
