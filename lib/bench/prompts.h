/* prompts.h - the bodies of requests: prompts of known length that share real prefixes
 *
 *     struct prompts *p = prompts_new(&(struct prompts_options){.model = "m", .seed = 1}, &err);
 *     prompts_from_trace(p, &req, block_tokens, &body);    // or prompts_next(p, &body)
 *     send(body.data, body.len);
 *
 * Synthetic prompts are English words, a token each (words.h). A block id stands for the same
 * words in every request, so requests that share leading blocks share that text to the byte, and a
 * server's prefix cache sees what the trace's server saw. What no block covers is the request's
 * own. The chat template and the begin token come on top; a server's usage says how many they are.
 *
 * Bodies follow OpenAI's API, streamed, with usage at the end (stream_options.include_usage). The
 * length of the answer is forced by max_tokens, min_tokens and ignore_eos, the last two being
 * extensions that vLLM, SGLang, llama.cpp and TensorRT-LLM know.
 */
#ifndef PROMPTS_H
#define PROMPTS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/trace/reqs.h"

enum prompts_api { PROMPTS_CHAT, PROMPTS_COMPLETIONS };

struct prompts_options {
    enum prompts_api api;
    const char *model;          /* copied, as are the other strings */
    uint64_t seed;              /* what unshared and shared text is made from */
    int64_t prompt_tokens;      /* of prompts_next */
    int64_t shared_prefix;      /* of those: how many are one of `prefixes` common beginnings */
    int64_t prefixes;           /* at least 1 where shared_prefix is above 0 */
    int64_t output_tokens;      /* asked for where nothing else says how many */
    int no_force;               /* only max_tokens: the answer may end earlier */
    const char *extra;          /* JSON object whose members are added to each body; NULL */
    const char *file;           /* JSON Lines with "prompt" or "messages"; NULL: synthetic */
};

struct prompts_body {
    struct buf json;            /* cleared, not freed, by the functions below */
    int64_t input_tokens;       /* of the text; -1 where it came from a file */
    int64_t output_tokens;      /* asked for */
};

struct prompts;

/* Reads the file of prompts whole. NULL: it cannot be read, a line is no such object, extra is no
 * object; err names file and line. */
struct prompts *prompts_new(const struct prompts_options *opt, struct err *err);
void prompts_free(struct prompts *p);                   /* NULL is fine */
int64_t prompts_records(const struct prompts *p);       /* of the file; 0: synthetic */

/* The next prompt: of the file, round and round, or synthetic. */
void prompts_next(struct prompts *p, struct prompts_body *out);
/* The prompt of a trace's request: its blocks of block_tokens each (the last may be cut off by the
 * length; block_tokens 0: no blocks), then words of its own. -1: the record has no length. */
int prompts_from_trace(struct prompts *p, const struct req *q, int block_tokens,
                       struct prompts_body *out);
/* Appends the first n words of a block, each after a space. */
void prompts_block(uint64_t seed, uint64_t id, int64_t n, struct buf *out);

#endif
