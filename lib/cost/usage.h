/* usage.h - what a request used: the quantities that a bill is made of, out of any log of the field
 *
 *     struct usages *u = usage_open(path, &(struct usage_options){0}, &err);
 *     while ((rc = usage_next(u, &q, &err)) == 1)
 *         bill(&q);
 *     usage_close(u);
 *
 * A usage is a list of amounts, each of one kind, one modality, one cache life. Fresh input, cache
 * reads and cache writes together are the prompt, and never overlap here, whatever the source calls
 * input: readers take apart what overlaps there. Likewise output and reasoning are disjoint.
 *
 * Formats, sniffed line by line (plain or zstd, file or pipe; "-" is stdin):
 *   requests     our records and Mooncake's, CSV of Azure and the like (lib/trace/reqs.h): lengths,
 *                cached_tokens and cache_write_tokens as parts of input_length
 *   openai       usage of chat completions and responses, alone, in the response that holds it, in
 *                a line of a batch's output
 *   anthropic    usage of messages: input_tokens is what was neither read nor written
 *   gemini       usageMetadata; of an array, the last of each response
 *   claude-code  session logs (~/.claude/projects): a message counts once, however often it is
 *                logged, in whichever of the files; that with the most tokens is meant
 *   codex        session logs (~/.codex/sessions): token_count events, totals taken apart
 * A JSON document may also span lines, and be an array of records.
 *
 * Every pointer of a record is borrowed until the next call. Memory does not grow with the input,
 * but for session logs, whose records come at the end of all files, once it is known which count.
 */
#ifndef USAGE_H
#define USAGE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/trace/reqs.h"

enum usage_kind {
    USAGE_INPUT,                /* tokens of the prompt, neither read from nor written to a cache */
    USAGE_READ,                 /* tokens of the prompt that a cache had */
    USAGE_WRITE,                /* tokens of the prompt that were written to a cache */
    USAGE_OUTPUT,               /* tokens made, but for reasoning */
    USAGE_REASONING,            /* tokens made that the user does not see */
    USAGE_STORAGE,              /* token-milliseconds of a cache that is paid by time */
    USAGE_REQUEST,              /* requests: 1 */
    USAGE_SECOND,               /* nanoseconds of compute or of sound */
    USAGE_SEARCH,               /* web searches and other calls of a provider's tool */
    USAGE_KINDS
};
const char *const *usage_kind_names(void);      /* "input", "read", ...; NULL-terminated */

enum usage_modality { USAGE_TEXT, USAGE_AUDIO, USAGE_IMAGE, USAGE_VIDEO, USAGE_MODALITIES };
const char *const *usage_modality_names(void);

struct usage_amount {
    uint8_t kind, modality;
    int64_t ttl_ns;             /* of a WRITE: how long the cache keeps it; 0: not said */
    int64_t quantity;           /* 0 or more, in the unit of the kind */
};

#define USAGE_AMOUNTS 16
#define USAGE_NO_TIME INT64_MIN
#define USAGE_MOST ((int64_t)1 << 40)           /* no quantity of tokens is above */

struct usage {
    int file;                   /* index of the path */
    int64_t line;               /* of the file, 1 for the first */
    int64_t time_ns;            /* when it began, since 1970 UTC, or USAGE_NO_TIME */
    int64_t offset_ns;          /* since the trace's start, where the calendar is not known; else
                                 * USAGE_NO_TIME */
    int n;
    struct usage_amount amount[USAGE_AMOUNTS];  /* none is zero; each (kind, modality, ttl) once */
    struct reqs_text id, model, session;        /* data NULL: not said */
    /* What the price may depend on besides; data NULL: not said, "standard" then. */
    struct reqs_text service;   /* "batch", "flex", "priority" */
    struct reqs_text region, speed;
};

struct usages;

struct usage_options {
    int skip_bad;               /* a broken line is counted and passed, not an error */
    int64_t start_ns;           /* where the trace's clock is not a calendar: its zero, since 1970;
                                 * 0: not known */
};

struct usages *usage_open(const char *path, const struct usage_options *opt, struct err *err);
/* Several, one after another, as one input; paths are borrowed until usage_close. */
struct usages *usage_open_files(char *const *path, int n, const struct usage_options *opt,
                                struct err *err);
/* 1 a record, 0 the end, -1 an error that names file, line, what was expected and found. Negative
 * counts, and parts larger than their whole, are errors. */
int usage_next(struct usages *u, struct usage *out, struct err *err);
/* 1: usage_next may have to wait for input: a caller's output had better be out by then. */
int usage_wait(const struct usages *u);
void usage_close(struct usages *u);             /* NULL is fine */

struct usage_totals {
    int64_t records, bad;
    int64_t other;              /* lines without usage: prompts, events, steps */
    int64_t repeated;           /* records of a message or turn that is counted once */
    int64_t bytes;              /* read so far, decompressed */
};
const struct usage_totals *usage_totals(const struct usages *u);

/* Adds quantity to the amount of this kind, modality and life, which is made when it is new; 0 adds
 * nothing. -1 when there is no room, or more than USAGE_MOST. */
int usage_add(struct usage *u, int kind, int modality, int64_t ttl_ns, int64_t quantity);
/* Sum of the amounts of one kind, over modalities and lives. */
int64_t usage_sum(const struct usage *u, int kind);
/* Input, read and written tokens together: what context tiers look at. */
int64_t usage_prompt(const struct usage *u);

#endif
