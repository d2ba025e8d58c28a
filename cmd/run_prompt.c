/* run_prompt.c - where prompts come from and how they become tokens
 *
 * A plain prompt gets the BOS that the file asks for, and its control tokens are text unless
 * --special is given. A chat message is written by the template; there control tokens count.
 */
#include "cmd/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/format/zio.h"

void prompt_need_stdin(void) {
    if (!isatty(STDIN_FILENO))
        return;
    print_usage(stderr, run_usage);
    exit(EXIT_USAGE);
}

void prompt_read(const struct options *opt, int exact, struct buf *text) {
    if (opt->prompt) {
        buf_adds(text, opt->prompt);
        return;
    }
    if (!opt->file)
        prompt_need_stdin();
    struct err err;
    if (zio_read_all(opt->file ? opt->file : "-", text, &err))
        die_err(&err);
    /* Editors and echo end a text with a newline that nobody means as part of the prompt. */
    if (!exact && text->len > 0 && text->data[text->len - 1] == '\n')
        text->len--;
}

/* The template's text of a conversation with one message, up to where the reply begins. */
static void first_message(const struct engine *e, const char *text, size_t len,
                          struct buf *out) {
    struct chat_state state = {0};
    char *message = mem_strndup(text, len);
    if (e->opt->system)
        chat_turn(e->chat, &state, "system", e->opt->system, out);
    chat_turn(e->chat, &state, "user", message, out);
    chat_open_reply(e->chat, &state, out);
    buf_free(&state.pending);
    free(message);
}

int prompt_encode(const struct engine *e, const char *text, size_t len, struct ids *out,
                  struct err *err) {
    int flags = VOCAB_BOS | (e->opt->special ? VOCAB_SPECIAL : 0);
    if (!e->chat)
        return vocab_encode(e->vocab, len ? text : "", len, flags, out, err);
    struct buf message = {0};
    first_message(e, text, len, &message);
    int rc = vocab_encode(e->vocab, message.data, message.len, VOCAB_BOS | VOCAB_SPECIAL, out,
                          err);
    buf_free(&message);
    return rc;
}
