/* chat.h - chat templates of the common families, recognised from the file's own template
 *
 * A model file carries a Jinja template (tokenizer.chat_template). We do not run Jinja: the
 * family is recognised by the markers in it and its turns are written by a small table
 * (chatml, llama2, llama3, mistral v1/v3/v7, gemma, zephyr, phi3, olmoe, deepseek, command-r,
 * granite ...). The text agrees with what the family's template gives for system, user and
 * assistant turns without tools.
 *
 *     const struct chat *c = chat_detect(gguf);           // NULL: none, or not recognised
 *     chat_turn(c, &state, "user", "hi", &text);          // then encode with VOCAB_SPECIAL
 *     chat_open_reply(c, &state, &text);
 */
#ifndef CHAT_H
#define CHAT_H

#include "lib/base/mem.h"
#include "lib/format/gguf.h"

struct chat;

const struct chat *chat_detect(const struct gguf *g);
const struct chat *chat_by_name(const char *name);
const char *chat_name(const struct chat *c);
/* All names, NULL-terminated. */
const char *const *chat_names(void);

/* State of one conversation: {0} at its start, buf_free(&pending) at its end. */
struct chat_state {
    int turns;                  /* messages so far */
    int inside;                 /* a user's turn is open: no reply closed it yet */
    struct buf pending;         /* a system text that the family merges into the first user turn */
};
/* Appends the text of one message (role "system", "user", "assistant") to out. The conversation's
 * texts, one after another, equal the template's text for the whole conversation. */
void chat_turn(const struct chat *c, struct chat_state *st, const char *role, const char *text,
               struct buf *out);
/* Appends what stands before the assistant's reply. */
void chat_open_reply(const struct chat *c, struct chat_state *st, struct buf *out);
/* Appends what closes a reply whose end-of-turn token was produced or not: the text that must be
 * in the cache after the reply's own tokens, before the next user turn. */
void chat_close_reply(const struct chat *c, struct chat_state *st, int ended, struct buf *out);

#endif
