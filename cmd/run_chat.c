/* run_chat.c - a conversation: a line is a message, the KV cache is kept between turns
 *
 * The cache holds what was said so far, so that a turn costs only its own tokens. Ctrl-C ends
 * the reply that is being written, and the program when none is.
 */
#include "cmd/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chat_job {
    struct engine *e;
    FILE *out;
    int terminal;               /* a person types */
    struct chat_state state;
    struct sampler *sampler;    /* one for the conversation */
    struct ids carry;           /* tokens of the last reply that the cache lacks */
    int ended;                  /* the last reply wrote its end token */
    int failed;
    volatile sig_atomic_t interrupted;
    struct totals totals;
};

static const char chat_help[] =
    "/exit or Ctrl-D ends, /clear forgets the conversation, Ctrl-C ends a reply";

static void show_text(void *arg, struct request *r) {
    struct chat_job *job = arg;
    result_show(job->e, r, job->out);
}

/* What the cache lacks is where the next turn begins: the last token was drawn but never run, and
 * after Ctrl-C even a part of the prompt may be missing. */
static void end_turn(void *arg, struct request *r) {
    struct chat_job *job = arg;
    job->sampler = r->sampler;
    r->sampler = NULL;
    if (r->error) {
        warn("%s: /clear starts again", r->error);
        job->failed = 1;
        request_free(r);
        return;
    }
    result_end(job->e, r, job->out);
    job->carry.n = 0;
    for (size_t i = r->fed; i < r->prompt.n; i++)
        ids_add(&job->carry, r->prompt.id[i]);
    if (r->made.n > 0)
        ids_add(&job->carry, r->made.id[r->made.n - 1]);
    job->ended = !strcmp(r->stop, "eos");
    result_count(&job->totals, r);
    request_free(r);
}

/* The tokens of a turn: what closes the last reply, the message, and what opens the next one. */
static void encode_turn(struct chat_job *job, const char *message, struct request *r) {
    const struct engine *e = job->e;
    struct buf text = {0};
    struct err err;
    int first = job->state.turns == 0;
    for (size_t i = 0; i < job->carry.n; i++)
        ids_add(&r->prompt, job->carry.id[i]);
    if (first && e->opt->system)
        chat_turn(e->chat, &job->state, "system", e->opt->system, &text);
    else if (!first)
        chat_close_reply(e->chat, &job->state, job->ended, &text);
    chat_turn(e->chat, &job->state, "user", message, &text);
    chat_open_reply(e->chat, &job->state, &text);
    int flags = VOCAB_SPECIAL | (first ? VOCAB_BOS : 0);
    if (vocab_encode(e->vocab, text.data, text.len, flags, &r->prompt, &err))
        die_err(&err);
    buf_free(&text);
}

static void clear(struct chat_job *job) {
    session_truncate(job->e->session, 0, 0);
    job->state.turns = 0;
    job->state.pending.len = 0;
    job->carry.n = 0;
}

static void take_turn(struct chat_job *job, const char *message) {
    struct chat_state before = job->state;
    struct request *r = request_new(job->e);
    r->sampler = job->sampler;
    encode_turn(job, message, r);
    job->failed = 0;
    job->interrupted = 0;
    common_catch_interrupt(&job->interrupted);
    struct feed feed = {.one = r, .done = end_turn, .arg = job, .keep = 1,
                        .text = job->e->opt->common.json ? NULL : show_text,
                        .interrupted = &job->interrupted};
    generate(job->e, &feed);
    common_catch_interrupt(NULL);
    if (job->failed)
        job->state.turns = before.turns;    /* it was never said */
}

/* A message, or NULL at the end. Commands are taken here. */
static char *read_message(struct chat_job *job, char **line, size_t *cap) {
    for (;;) {
        if (job->terminal)
            fputs("> ", stderr);
        ssize_t len = getline(line, cap, stdin);
        if (len < 0) {
            if (ferror(stdin))
                die("stdin: %s", strerror(errno));
            return NULL;
        }
        if (len > 0 && (*line)[len - 1] == '\n')
            (*line)[--len] = 0;
        if (!strcmp(*line, "/exit"))
            return NULL;
        if (!strcmp(*line, "/clear"))
            clear(job);
        else if (!strcmp(*line, "/help"))
            warn("%s", chat_help);
        else if (len > 0)
            return *line;
    }
}

int run_chat(const struct options *opt) {
    struct engine e;
    char *line = NULL;
    size_t cap = 0;
    int failed = 0;
    struct outfile *out = run_output(opt);
    engine_open(&e, opt);
    engine_start(&e, opt->context, 1, 0);
    struct chat_job job = {.e = &e, .out = outfile_stream(out),
                           .terminal = isatty(STDIN_FILENO)};
    if (job.terminal && !opt->common.quiet)
        warn("template %s; %s", chat_name(e.chat), chat_help);
    for (char *message; (message = read_message(&job, &line, &cap)) != NULL;) {
        take_turn(&job, message);
        /* A person can answer; a pipe cannot. */
        if (job.failed && !job.terminal) {
            failed = 1;
            break;
        }
    }
    if (job.terminal)
        fputc('\n', stderr);

    run_output_close(out);
    result_words(&e, &job.totals);
    sampler_free(job.sampler);
    buf_free(&job.state.pending);
    free(job.carry.id);
    free(line);
    engine_close(&e);
    return failed ? EXIT_FAILED : EXIT_DONE;
}
