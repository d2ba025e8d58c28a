/* ahead.h - the requests of a trace, parsed ahead by a thread
 *
 *     struct ahead *a = ahead_open(path, &(struct reqs_options){0}, 1, &err);
 *     while ((rc = ahead_next(a, &q, &err)) == 1)
 *         use(&q);
 *     size = reqs_block_tokens(ahead_reqs(a));
 *     ahead_close(a);
 *
 * For verbs that take requests one by one and have as much to do as the reader. What comes is what
 * reqs_next gives, in its order, less the texts (id, model); blocks are borrowed until the next
 * call.
 */
#ifndef AHEAD_H
#define AHEAD_H

#include "lib/trace/reqs.h"

struct ahead;

/* thread 0: the caller reads, when it asks. */
struct ahead *ahead_open(const char *path, const struct reqs_options *opt, int thread,
                         struct err *err);
int ahead_next(struct ahead *a, struct req *out, struct err *err);      /* as reqs_next */
int64_t ahead_bytes(const struct ahead *a);     /* read of the file, for what was handed out */
/* For its totals and names, once ahead_next has said the end or an error. */
const struct reqs *ahead_reqs(const struct ahead *a);
/* Not before the end or an error was seen: the thread may wait for a pipe. */
void ahead_close(struct ahead *a);

#endif
