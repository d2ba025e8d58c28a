/* idmap.h - 64-bit block ids, any of them, to dense numbers in the order of first appearance
 *
 *     struct idmap *m = idmap_new();
 *     idmap_add(m, ids, n, dense);        // a request's ids at once: their lookups overlap
 *     idmap_free(m);
 *
 * 8 bytes for the key and 5.3 to 10.7 for its place in the table per unique id; when the array of
 * keys is full, they are there twice for a moment. Ids are hashed, so that dense, strided and
 * random ones are as fast.
 */
#ifndef IDMAP_H
#define IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap;

#define IDMAP_MAX UINT32_MAX    /* unique ids at most, less one: the last number means none */

struct idmap *idmap_new(void);
void idmap_free(struct idmap *m);                       /* NULL is fine */
/* dense[i] becomes the number of id[i]. Returns 0, or -1 when there is no number left. */
int idmap_add(struct idmap *m, const uint64_t *id, size_t n, uint32_t *dense);
uint32_t idmap_count(const struct idmap *m);
/* The id that has this number. */
uint64_t idmap_id(const struct idmap *m, uint32_t dense);

#endif
