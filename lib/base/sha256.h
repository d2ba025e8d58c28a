/* sha256.h - SHA-256 (FIPS 180-4) of bytes and of files
 *
 *     struct sha256 s;
 *     sha256_init(&s);
 *     sha256_add(&s, data, len);
 *     sha256_hex(&s, hex);                 // 64 lower-case digits; s is used up
 */
#ifndef SHA256_H
#define SHA256_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

#define SHA256_HEX 65               /* 64 digits and the NUL */

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;                 /* added so far */
    unsigned char block[64];        /* the last bytes % 64 of them */
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_hex(struct sha256 *s, char hex[SHA256_HEX]);
/* Of a whole file. 0, or -1 when it cannot be read. */
int sha256_file(const char *path, char hex[SHA256_HEX], struct err *err);

#endif
