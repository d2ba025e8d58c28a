/* usage_impl.h - what the files of the usage reader share
 *
 *   usage.c          open, files, lines, the loop
 *   usage_document.c JSON documents of several lines; errors
 *   usage_find.c     what a JSON object says about usage, whoever wrote it
 *   usage_settle.c   that as disjoint amounts
 *   usage_codex.c    session logs of Codex: totals, models, replays
 *   usage_held.c     records of session logs until it is known which of them count
 *   usage_amount.c   amounts; usage_names.c their names
 */
#ifndef USAGE_IMPL_H
#define USAGE_IMPL_H

#include "lib/cost/usage.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"

/* ---- what an object says (usage_find.c) ---------------------------------------------- */

/* Counts as the source gives them; UNSAID where it does not. */
#define UNSAID (-1)

enum count {
    C_INPUT,                    /* of the prompt; without the two below */
    C_READ_BESIDE, C_WRITTEN_BESIDE,        /* of the prompt, not in C_INPUT (but see inside) */
    C_WRITTEN_5M, C_WRITTEN_1H, /* parts of C_WRITTEN_BESIDE */
    C_CACHED, C_WRITTEN,        /* parts of C_INPUT */
    C_TOOL,                     /* of the prompt, not in C_INPUT: results of a provider's tools */
    C_OUTPUT,
    C_REASONING,                /* part of C_OUTPUT */
    C_THOUGHTS,                 /* not in C_OUTPUT */
    C_TOTAL,
    C_SEARCHES,
    C_IN_BY,                    /* C_INPUT by modality, as far as it is said */
    C_CACHED_BY = C_IN_BY + USAGE_MODALITIES,
    C_OUT_BY = C_CACHED_BY + USAGE_MODALITIES,
    C_TOOL_BY = C_OUT_BY + USAGE_MODALITIES,
    COUNTS = C_TOOL_BY + USAGE_MODALITIES
};

struct counts {
    int64_t n[COUNTS];
    int64_t seconds_ns;         /* of sound; UNSAID */
    int said;                   /* 1: there was an input or an output */
    int inside;                 /* 1: the cache's tokens are parts of C_INPUT by whatever name */
};

enum found_text {
    T_ID, T_REQUEST, T_MODEL, T_SESSION, T_SERVICE, T_REGION, T_SPEED, T_TYPE, T_PAYLOAD_TYPE,
    TEXTS
};

struct found {
    struct reqs_text text[TEXTS];           /* data NULL: not said */
    struct reqs_text chat, parent_chat;     /* of Qwen-Bailian's traces */
    unsigned char level[TEXTS];             /* how deep a text stood: the deepest is meant */
    int64_t calendar_ns, offset_ns;         /* USAGE_NO_TIME: not said */
    int batch;                  /* the line of a batch's output */
    int message;                /* the usage is of a message in a record */
    int metadata;               /* the usage is Gemini's */
    int nested;                 /* the usage is in an object of its own */
    int wrong_usage;            /* wrong is a number of tokens */
    int sidechain;              /* of Claude Code: perhaps a copy */
    int replays;                /* of Codex: a thread that begins with a copy of another's */
    struct counts main, last, total;
    struct json wrong;          /* the first value that is not what its key holds; at NULL: none */
};

/* Names of keys to what they mean, for usage_find. */
struct keys;
struct keys *usage_keys_new(void);
/* Takes the object at j in. 0, or -1 when it is not JSON; what else is wrong is in f->wrong. */
int usage_find(const struct keys *k, struct json *j, struct found *f, struct json_u64s *ids);

/* ---- amounts (usage_settle.c) -------------------------------------------------------- */

/* Sets amounts. NULL, or what is wrong: words in `why`. */
const char *usage_settle(const struct counts *c, struct usage *out, char why[256]);

/* ---- session logs -------------------------------------------------------------------- */

struct held;
struct held *usage_held_new(void);
void usage_held_free(struct held *h);                   /* NULL is fine */
/* Keeps a record, unless one of its message is kept that says more; the count of those that do not
 * count any more goes up in *repeated. sidechain, request: of Claude Code. */
void usage_held_message(struct held *h, const struct usage *u, const struct reqs_text *request,
                        int sidechain, int64_t *repeated);
/* Keeps a record that counts for itself, unless an equal one is kept: its index, or -1. */
int64_t usage_held_turn(struct held *h, const struct usage *u, int64_t *repeated);
void usage_held_drop(struct held *h, int64_t index);
/* The next of those kept, in the order in which their messages first came; 1 or 0. */
int usage_held_take(struct held *h, struct usage *out);

struct codex {
    char *session, *model;      /* NULL: not known yet */
    struct counts total;        /* of the event before */
    int totalled;
    int replays;                /* the log says that it begins with a copy; it may still be in it */
    int64_t events;             /* while replays */
    int64_t second;             /* of the first of them */
    int64_t first;              /* its index in held, -1: not there */
};

void usage_codex_start(struct codex *c);                /* a new file */
void usage_codex_free(struct codex *c);
/* A line of such a log? What it changes is taken in. 1: its counts, model and session are in *f and
 * it is to be kept; 0: it is none, or nothing to count. */
int usage_codex_is(const struct found *f);
int usage_codex_take(struct codex *c, struct held *h, struct found *f, int64_t *repeated);

/* ---- the reader -------------------------------------------------------------------------- */

struct usages {
    char *const *path;
    char *only[1];              /* of usage_open */
    int files, at;              /* at: the file that is open, or comes next */
    struct usage_options opt;
    struct usage_totals totals;
    struct keys *keys;
    struct found found;
    struct json_u64s ids;
    struct held *held;
    struct codex codex;
    int messages;               /* the file has messages of a session */
    /* the open file */
    int open;
    int64_t bytes;              /* of the files before */
    struct reqs_lines in;
    struct reqs *reqs;          /* a table: in is reqs' then */
    char *line;
    int64_t number;             /* of the line, the first of several that were joined */
    struct json_u64s joint;     /* where newlines stood in it */
    struct json j;              /* in an array: before its next element */
    int in_array, first;
};

/* ---- lines and documents (usage_document.c) ----------------------------------------------- */

char usage_first_char(const char *line);                /* but for blanks */
/* Makes a whole document of the line: 0 and j at its begin; 1 broken, said in err; -1. */
int usage_document(struct usages *u, struct json *j, struct err *err);
/* Line and column of a place in the line, which may have been several. */
void usage_locate(const struct usages *u, const char *at, long long *line, long long *column);
/* "FILE:LINE:COLUMN: expected WANT, found 'EXCERPT'"; -1. */
int usage_json_error(const struct usages *u, const struct json *j, struct err *err);

#endif
