/* run.h - the pieces of llm-run
 *
 *   run_options.c   the command line
 *   run_engine.c    model, vocabulary, session, traces; one pass through the model
 *   run_prompt.c    where prompts come from and how they become tokens
 *   run_reply.c     text that grows: stop strings, whole characters
 *   run_generate.c  the scheduler: many requests, one pass at a time
 *   run_text.c      one prompt, its text to stdout
 *   run_jsonl.c     many prompts in, one result a line out
 *   run_result.c    a request as JSON, as words, as a trace record
 *   run_chat.c      a conversation
 *   run_tokens.c    --tokenize, --detokenize
 *   run_logits.c    --logits
 *   run_embed.c     --embed
 *   run_ppl.c       --perplexity
 *   run_info.c      --info
 *
 * Everything here may end the program with die().
 */
#ifndef RUN_H
#define RUN_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "cmd/common.h"
#include "cmd/lines.h"
#include "kernels/kern.h"
#include "lib/base/outfile.h"
#include "lib/base/par.h"
#include "lib/infer/sample.h"
#include "lib/infer/session.h"
#include "lib/model/chat.h"
#include "lib/model/model.h"
#include "lib/model/vocab.h"
#include "lib/trace/trace.h"

/* ---- the command line ------------------------------------------------------------------- */

enum run_job {
    JOB_TEXT, JOB_JSONL, JOB_CHAT, JOB_TOKENIZE, JOB_DETOKENIZE, JOB_PERPLEXITY, JOB_EMBED,
    JOB_LOGITS, JOB_INFO
};

enum run_pool { POOL_MEAN, POOL_LAST, POOL_NONE };

struct options {
    struct common common;
    enum run_job job;

    const char *model;          /* path or URL */
    const char *sha256;
    const char *prompt;         /* -p, or NULL */
    const char *file;           /* -f, or NULL; "-" is stdin */
    const char *output;         /* -o; "-" is stdout */
    const char *trace, *routes; /* NULL: none */
    int jsonl;

    int tokens;                 /* -n; -1: to the end of text or context */
    int tokens_given;
    struct sample_options sample;
    const char **stop;
    int n_stop;
    int ignore_eos, echo, special;
    int logprobs;               /* -1: none; else how many alternatives */

    int chat;                   /* prompts are messages of a user */
    const char *system, *chat_template;

    const char *corpus;         /* --perplexity FILE */
    int chunks;                 /* -1: all */
    const char *logits;         /* --logits FILE */
    enum run_pool pool;

    int context;                /* 0: chosen from model and prompt */
    int batch, parallel;
    int kv_type;                /* enum kern_type */
    int no_pack;
};

/* Fills *opt from the command line; ends the program on --help and on anything wrong. */
void run_options(struct options *opt, int argc, char **argv);
extern const char *const run_usage[];
const char *run_kv_name(int kv_type);

/* ---- the engine ------------------------------------------------------------------------- */

struct engine {
    const struct options *opt;
    struct par *par;
    const struct kern *kern;
    struct model *model;
    struct vocab *vocab;
    struct ids ends;            /* with --ignore-eos: the tokens that end a text */
    const struct chat *chat;    /* NULL without --chat */
    struct session *session;
    struct trace *trace;
    struct routes *routes;
    int64_t born_ns;            /* times in the trace count from here */
    int64_t first_pass_ns;      /* -1 before it */
    struct energy *energy;      /* of the traces; NULL: nothing counts joules */
    double joules;              /* when they were last read */
    int64_t joules_ns;          /* then */
    uint64_t passes;
    uint32_t requests;          /* numbers given out */

    /* The pass that is being put together: n of at most batch rows. */
    int batch, n;
    struct session_row *row;
    uint32_t *request;          /* of each row */
    uint8_t *phase;             /* enum trace_phase of each row */
    struct trace_step_row *group;       /* scratch for the trace */
    int32_t *position, *token;          /* the same for the routes */
    struct session_pass pass;   /* what the last pass gave */
};

/* Loads model and vocabulary. */
void engine_open(struct engine *e, const struct options *opt);
/* Makes the session: `sequences` timelines of `context` tokens (0: what suits a prompt of `tokens`
 * tokens), and starts the traces. */
void engine_start(struct engine *e, int context, int sequences, size_t tokens);
/* Ends the traces; frees all. */
void engine_close(struct engine *e);

/* Adds a row to the pass; 0 when it is full. */
int engine_add(struct engine *e, struct session_row row, uint32_t request, enum trace_phase phase);
/* Runs the rows, writes trace and routes, and empties the pass. e->pass stays readable; the rows
 * too, until the next engine_add. */
void engine_pass(struct engine *e);

/* ---- prompts ---------------------------------------------------------------------------- */

/* The text of -p, -f or stdin; a file's last newline is not part of it unless `exact`. Prints the
 * usage and ends the program when there is neither and stdin is a terminal. */
void prompt_read(const struct options *opt, int exact, struct buf *text);
/* Ends the program with the usage when nobody can be asked. */
void prompt_need_stdin(void);
/* Appends the tokens of a prompt; with --chat, of a conversation's first message. */
int prompt_encode(const struct engine *e, const char *text, size_t len, struct ids *out,
                  struct err *err);

/* ---- replies ---------------------------------------------------------------------------- */

struct reply {
    struct buf text;
    size_t shown;               /* bytes that left already; kept by who shows them */
    const char *const *stop;
    int n_stop;
};

/* To be called when `added` bytes were put at the end of the text. 1: a stop string is
 * complete, and the text now ends before it. */
int reply_check_stop(struct reply *r, size_t added);
/* How many bytes after `shown` may leave: whole characters that cannot be the start of a stop
 * string. When final, all of them. */
size_t reply_ready(const struct reply *r, int final);

/* ---- requests --------------------------------------------------------------------------- */

struct request {
    uint32_t number;            /* in the trace */
    char *id;                   /* JSON text, or NULL */
    struct ids prompt;
    int max_tokens;             /* -1: no limit */
    struct sample_options sample;
    struct sampler *sampler;    /* made by the scheduler when NULL */

    int seq;                    /* its sequence in the session */
    int cached;                 /* tokens in the sequence before this request */
    size_t fed;                 /* prompt tokens that have been run */
    struct ids made;
    struct reply reply;
    struct buf logprobs;        /* elements of a JSON array */
    double *hidden_sum;         /* --embed: [d_model] the sum of hidden states, or NULL */
    struct buf hidden;          /* --embed: the rows to keep, as floats */

    int64_t arrived_ns, first_ns, done_ns;      /* first_ns 0: no token was made */
    char time[40];              /* RFC 3339, of the arrival */
    const char *stop;           /* why it ended; NULL while it runs */
    char *error;                /* why it could not run, or NULL */

    char **own_stop;            /* stop strings of the request's own, to be freed */
    struct request *next;       /* these two are the owner's, for a queue */
    int finished;
};

/* A request with the options of the command line; seed is that of the options plus number. */
struct request *request_new(struct engine *e);
void request_free(struct request *r);

/* What the scheduler asks of its caller. */
struct feed {
    /* The next request to run, or NULL: no more now (wait 0) or at all (wait 1). */
    struct request *(*next)(void *arg, int wait);
    struct request *one;        /* the only request, where next is NULL */
    void (*rows)(void *arg, struct request *r, int first, int n);   /* rows of a pass; or NULL */
    void (*text)(void *arg, struct request *r);     /* reply has grown; or NULL */
    void (*done)(void *arg, struct request *r);     /* ended, or refused with r->error */
    void *arg;
    volatile sig_atomic_t *interrupted;             /* ends all requests when set; or NULL */
    int keep;                   /* requests go on where their sequence ends (chat) */
};
void generate(struct engine *e, const struct feed *feed);

/* Many prompts from JSON Lines: opens -f or stdin; runs them all, calling emit for each in the
 * order of the lines (with r->error set where a line cannot be run), and closes. rows may be
 * NULL. */
struct lines *jsonl_open(const struct options *opt);
void jsonl_run(struct engine *e, struct lines *lines,
               void (*rows)(void *arg, struct request *r, int first, int n),
               void (*emit)(void *arg, struct request *r), void *arg);

/* Sums over the requests of a run, for the last line on stderr. */
struct totals {
    int64_t requests, input, cached, output;
    int64_t prefill_ns, decode_ns, decode_tokens;
};

/* One JSON object, without a newline. */
void result_json(const struct engine *e, const struct request *r, struct buf *out);
/* Writes what of the reply may leave now (see reply_ready). */
void result_show(const struct engine *e, struct request *r, FILE *out);
/* The end of a text: with --json the whole result, then a newline. */
void result_end(const struct engine *e, const struct request *r, FILE *out);
void result_trace(struct engine *e, const struct request *r);
void result_count(struct totals *t, const struct request *r);
/* Speeds in words on stderr, unless --quiet. */
void result_words(const struct engine *e, const struct totals *t);

/* ---- jobs: each returns the exit status ------------------------------------------------- */

int run_text(const struct options *opt);
int run_jsonl(const struct options *opt);
int run_chat(const struct options *opt);
int run_tokenize(const struct options *opt);
int run_detokenize(const struct options *opt);
int run_perplexity(const struct options *opt);
int run_embed(const struct options *opt);
int run_logits(const struct options *opt);
int run_info(const struct options *opt);

/* Where results go: -o, or stdout, or nowhere when a trace has stdout. */
struct outfile *run_output(const struct options *opt);
void run_output_close(struct outfile *f);

#endif
