/* ask.h - a request in a stream of JSON Lines, on its way to one of two models
 *
 *     struct ask a = {0};
 *     const struct ask_names names = {.model = {"small", "large"}};
 *     while (reqs_lines_next(&in, &line, &err) == 1)
 *         if (!ask_read(&a, line, &names, &err))
 *             ask_write(&out, &a, "large", 0.7, 0.002);
 *     ask_free(&a);
 *
 * A line is a JSON object. It goes through as it came, byte by byte, with route, route_score and
 * route_cost_usd added before its last brace. Only one that has these members from an earlier time
 * is put together anew, from its other members as they stand.
 *
 * Read are prompt or messages (of chat completions: content, also in parts with text), input_tokens
 * or input_length, cached_tokens (of these), output_tokens or output_length (a number, or one for
 * each model by name), max_tokens or max_completion_tokens, timestamp (milliseconds) or time (RFC
 * 3339), session_id, embedding, and any one field of numbers. null is not said.
 */
#ifndef ASK_H
#define ASK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

#define ASK_MODELS 2

struct ask_names {              /* borrowed */
    const char *model[ASK_MODELS];
    const char *column;         /* a field of numbers; NULL: none is wanted */
    int embedding;              /* 1: it is wanted */
};

/* {0} before the first line; then of the line read last. NAN: not said. */
struct ask {
    struct buf text;            /* as it came, without the newline */
    size_t close;               /* where its last brace is */
    int marked;                 /* 1: it has members of an earlier time */

    double chars;               /* code points of prompt or messages */
    double input_tokens, cached_tokens;
    double output_tokens[ASK_MODELS];
    double most_output;         /* tokens */
    double column;
    int has_time;
    int64_t at_ns;              /* since 1970, or since what timestamp counts from */
    int has_session;
    uint64_t session;           /* the id, or a hash of it */
    float *embedding;           /* [dim] */
    size_t dim, embedding_room;
};

/* Reads a line that ends in '\n' with JSON_PAD bytes behind it (reqs_lines_next), which it changes.
 * -1: it is none, err says what was expected at which character, from 1; a->text holds the line all
 * the same. */
int ask_read(struct ask *a, char *line, const struct ask_names *names, struct err *err);
/* Appends the line with what was decided, and a newline. model NULL: null, as is a NAN. */
void ask_write(struct buf *out, const struct ask *a, const char *model, double score, double usd);
void ask_free(struct ask *a);

#endif
