/* fetch.h - one file over http(s) into a cache folder, whole or not at all (libcurl)
 *
 * The body goes to NAME.part; a part that is there is resumed with a Range request guarded by
 * If-Range (its ETag or date is kept in NAME.part.meta), and started again when the server says
 * that the file changed or cannot resume. Only when every byte has come (Content-Length met,
 * SHA-256 equal when one is asked for) is it renamed to NAME. Two processes fetching the same
 * file take turns (flock on NAME.lock). Where a server states no length at all, a cut cannot be
 * seen but by the SHA-256.
 *
 * A file that changes in place under its URL (a price list) is fetched with `refresh`: the ETag and
 * date of the one that is here, kept in NAME.meta, go with the request (If-None-Match,
 * If-Modified-Since), and it is sent anew only when the server has another. What is here is never
 * taken for it without asking; when the server cannot be asked, that is an error.
 *
 * NAME is CACHE/FOLDER/BASE: FOLDER a hash of the URL but for its last component, BASE that
 * component. Files of one URL folder (the parts of a split model) thus lie side by side under
 * their own names; files of different URLs never meet.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdint.h>

#include "lib/base/err.h"

struct fetch_options {
    const char *dir;        /* cache folder; NULL: $LLMUTILS_CACHE, $XDG_CACHE_HOME/llmutils or
                             * ~/.cache/llmutils */
    const char *sha256;     /* 64 hex digits that the file must have, or NULL */
    int refresh;            /* 1: ask the server whether the file in the cache is still its own.
                             * Nothing is asked where sha256 says which file is wanted and it is
                             * here */
    int stall_s;            /* seconds without a byte after which it gives up; 0: 60 */
    /* Called often, also while another process fetches the file: bytes so far and in all (-1
     * unknown). A non-zero return cancels. May be NULL. */
    int (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

/* Fetches url unless it is in the cache already; *path (caller frees) names the file. 0 or -1.
 * opt NULL: all defaults. With sha256, a cached file is verified too, and fetched anew when it
 * does not match. After a failure that a second try can mend, the part stays for it. */
int fetch_url(const char *url, const struct fetch_options *opt, char **path, struct err *err);
/* 1 when s begins with http:// or https://. */
int fetch_is_url(const char *s);

#endif
