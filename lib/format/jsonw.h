/* jsonw.h - writes JSON values into a buffer: no tree, keys in the order given
 *
 *     struct buf b = {0};
 *     jsonw_open(&b, '{');
 *     jsonw_str(&b, "type", "step"); jsonw_int(&b, "tokens", 3);
 *     jsonw_close(&b, '}');
 *
 * key NULL: an element of an array. Integers above 2^53 are written as strings (readers that
 * keep numbers as doubles would change them). Invalid UTF-8 becomes U+FFFD. NaN and
 * infinities become null.
 */
#ifndef JSONW_H
#define JSONW_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

void jsonw_open(struct buf *b, char bracket);                           /* '{' or '[', value */
void jsonw_open_key(struct buf *b, const char *key, char bracket);
void jsonw_close(struct buf *b, char bracket);
void jsonw_str(struct buf *b, const char *key, const char *s);          /* s NULL: null */
void jsonw_strn(struct buf *b, const char *key, const char *s, size_t len);
void jsonw_int(struct buf *b, const char *key, int64_t v);
void jsonw_float(struct buf *b, const char *key, double v);     /* shortest that reads back */
void jsonw_float_digits(struct buf *b, const char *key, double v, int digits);  /* %.{digits}g */
void jsonw_bool(struct buf *b, const char *key, int v);
void jsonw_raw(struct buf *b, const char *key, const char *json);

#endif
