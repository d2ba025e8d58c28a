/* chat_table.h - the families of chat templates as data; private to lib/model */
#ifndef CHAT_TABLE_H
#define CHAT_TABLE_H

#include <stddef.h>

enum {
    CHAT_SYSTEM_TURN,       /* a message like the others */
    CHAT_SYSTEM_FIRST,      /* only at the start; later ones are dropped */
    CHAT_SYSTEM_MERGED,     /* goes in front of the next user message */
    CHAT_SYSTEM_NONE        /* dropped */
};

struct chat_message {
    const char *before;
    const char *after;      /* of the assistant: the token that ends the reply */
    const char *tail;       /* what stands behind that */
    int trim;               /* whitespace around the text goes */
};

/* Strings may be NULL for empty. */
struct chat {
    const char *name;
    const char *head;                   /* at the start of a conversation */
    const char *head_without_system;    /* behind it when no system message comes first */
    const char *open_first;             /* before the first message */
    const char *open_next;              /* before a message that follows a reply */
    const char *between;                /* before every message but the first */
    int system_rule;
    struct chat_message system, user, assistant;
    const char *reply;                  /* before a reply that is to be generated */
};
extern const struct chat chat_table[];
extern const size_t chat_families;

/* A template that has all the markers is of the family; the first such rule counts. */
enum { CHAT_MARKERS = 4 };
struct chat_rule {
    const char *name;
    const char *marker[CHAT_MARKERS];
    const char *eos;                    /* and the file's EOS token is this one */
};
extern const struct chat_rule chat_rule_table[];
extern const size_t chat_rules;

#endif
