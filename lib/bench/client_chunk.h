/* client_chunk.h - what an event of a chat or text completion says (OpenAI API), read in place
 *
 *     struct chunk k;
 *     if (chunk_scan(data, len, &text, &k))
 *         ...                      // not such JSON: k.want was expected at k.at
 *
 * One pass over the JSON, no tree: it picks out the text, why it ended, the usage and an error,
 * and passes over all else. It reads a chunk of a stream (choices[].delta, choices[].text), an
 * answer in one piece (choices[].message) and the body of an error alike.
 *
 * Strict as RFC 8259, but bytes from 0x80 on are not checked to be UTF-8, and half a surrogate pair
 * becomes U+FFFD. Of a key that comes twice in an object, the last counts for numbers and both
 * for text.
 */
#ifndef CLIENT_CHUNK_H
#define CLIENT_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/mem.h"

#define CHUNK_DEPTH 512             /* JSON that nests deeper is refused */
#define CHUNK_COUNT_MAX ((int64_t)1 << 40)  /* no request has so many tokens */

struct chunk_text {                 /* a JSON string as it stands, without its quotes */
    const char *data;               /* NULL: none */
    size_t len;
};

struct chunk {
    /* Bytes of text in UTF-8, of all choices: content (a string or parts), text, refusal,
     * reasoning, and name and arguments of calls of tools. */
    int64_t bytes;
    struct chunk_text finish;       /* the last finish_reason that is a string */
    int failed;                     /* it is an error object, or carries one */
    struct chunk_text error;        /* its message */
    /* usage; -1: not there, or no integer from 0 to CHUNK_COUNT_MAX */
    int64_t input_tokens, cached_tokens, output_tokens, reasoning_tokens;
    const char *want;               /* after a failure */
    size_t at;
};

/* s[len] as one JSON object. text not NULL: what choice 0 has of content (or text) is added.
 * 0; -1 with out->want and out->at: then text may have got a part. */
int chunk_scan(const char *s, size_t len, struct buf *text, struct chunk *out);
/* Adds the string with its escapes undone. */
void chunk_unescape(const struct chunk_text *t, struct buf *out);

#endif
