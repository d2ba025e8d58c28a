/* reqs.h - requests from any trace of the field, one record at a time
 *
 *     struct reqs *r = reqs_open(path, &(struct reqs_options){0}, &err);
 *     while ((rc = reqs_next(r, &q, &err)) == 1)
 *         use(q.block, q.blocks, q.input_tokens);
 *     if (rc < 0)
 *         ...
 *     reqs_close(r);
 *
 * The input is plain or zstd, a file or a pipe ("-" is stdin); what it holds is sniffed:
 *
 *   jsonl    Mooncake's records and ours: timestamp (ms), input_length, output_length, hash_ids,
 *            and the fields of llm-requests(5); records of another "type" than request are passed
 *   tokens   JSON Lines with the token ids of each input, which are hashed into prefix blocks
 *   lengths  JSON Lines without ids, CSV of Azure, BurstGPT and the like
 *   events   KV cache event logs of vLLM and SGLang (blocks stored, removed, all cleared), out of
 *            which requests are put together: their cached_tokens are known, their lengths are not
 *   stream   one block id a line; each line is a request of one block
 *
 * The formats to the last detail, and what cannot be seen in an event log: llm-requests(5).
 *
 * Every pointer of a record is borrowed until the next call. Memory grows with the longest line,
 * with names of sessions, and with the blocks of an event log; not with the trace.
 */
#ifndef REQS_H
#define REQS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct reqs;
struct reqs_lines;

enum reqs_format { REQS_JSONL, REQS_TOKENS, REQS_LENGTHS, REQS_EVENTS, REQS_STREAM };

struct reqs_options {
    int block_tokens;           /* tokens of a block; 0: what the trace says or lets infer */
    int skip_bad;               /* a broken line is counted and passed, not an error */
};

#define REQS_UNKNOWN (-1)       /* of a number that the record does not say */
#define REQS_NO_SESSION UINT32_MAX

struct reqs_text {
    const char *data;           /* not NUL-terminated; NULL: not said */
    size_t len;
};

struct req {
    int64_t line;               /* of the input, 1 for the first */
    int64_t time_ns;            /* since the trace's start, never less than the record before */
    int64_t calendar_ns;        /* since 1970 UTC, as the record says it; REQS_UNKNOWN: its time is
                                 * not by the calendar */
    int64_t input_tokens, output_tokens;
    int64_t cached_tokens, cache_write_tokens, reasoning_tokens;
    const uint64_t *block;      /* [blocks] prefix block ids, any 64 bits */
    int64_t blocks;             /* REQS_UNKNOWN: the record has lengths only */
    uint32_t session;           /* dense, in order of first appearance; or REQS_NO_SESSION */
    struct reqs_text id, model; /* as text: quotes and escapes undone */
};

/* Reads as far as the first line that is not blank, to see what it is. NULL when it cannot be read
 * or is none of the formats. */
struct reqs *reqs_open(const char *path, const struct reqs_options *opt, struct err *err);
/* The same of an input that was begun to be read: from the line that comes next in *in, which is
 * taken over (also when it fails). */
struct reqs *reqs_open_lines(struct reqs_lines *in, const struct reqs_options *opt,
                             struct err *err);
/* 1 a record, 0 the end, -1 an error that names file, line, what was expected and found; *out is
 * only filled when it is 1. Damage of the input itself (a zstd stream that is cut off, a line of
 * more than 1 GiB) is an error with skip_bad too. */
int reqs_next(struct reqs *r, struct req *out, struct err *err);
/* 1: reqs_next may have to wait for input: a caller's output had better be out by then. */
int reqs_wait(const struct reqs *r);
void reqs_close(struct reqs *r);                        /* NULL is fine */

/* ---- what is known of the whole; final after the end ------------------------------------- */

struct reqs_totals {
    enum reqs_format format;
    int64_t records;            /* handed out */
    int64_t bad;                /* broken lines passed (skip_bad) */
    int64_t other;              /* records of other types passed: runs, steps */
    int64_t backwards;          /* timestamps that went back and were raised to the one before */
    int64_t bytes;              /* read of the file, decompressed */
    int64_t removed, cleared;   /* events: blocks removed, times that all were */
    uint32_t sessions;
    int timed;                  /* some record had a time */
};
const struct reqs_totals *reqs_totals(const struct reqs *r);
const char *reqs_format_name(enum reqs_format f);
/* NUL-terminated name of a session, borrowed until reqs_close; NULL when there is none such. */
const char *reqs_session(const struct reqs *r, uint32_t session);

/* Tokens of a block: the option, what the trace says, or what lengths and block counts of the
 * records so far allow (rounded up or down); tokens have 16 without an option. 0: lengths allow
 * several sizes, or none. Of several the only power of two is meant. */
int reqs_block_tokens(const struct reqs *r);

#endif
