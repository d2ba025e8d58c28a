/* reqs_record.c - a request from a JSON line: block ids, token ids, or lengths alone
 *
 * Keys may come in any order, unknown ones are skipped. A program writes its records alike, so the
 * key that stood at the same place in the record before is tried first.
 */
#include <string.h>

#include "lib/base/date.h"
#include "lib/trace/reqs_impl.h"

#define DEFAULT_BLOCK_TOKENS 16     /* of token ids; what vLLM uses by default */

enum field {
    UNKNOWN, TIMESTAMP, TIME, ARRIVAL_NS, INPUT, OUTPUT, HASH_IDS, CACHED, CACHE_WRITE, REASONING,
    ID, SESSION, MODEL, TYPE, INPUT_IDS, OUTPUT_IDS, BLOCK_TOKENS, ERROR, CHAT, PARENT_CHAT
};

static const struct key {
    const char *name;
    unsigned char len;
    unsigned char field;
} keys[] = {
#define KEY(name, field) {name, sizeof name - 1, field}
    KEY("timestamp", TIMESTAMP), KEY("input_length", INPUT), KEY("output_length", OUTPUT),
    KEY("hash_ids", HASH_IDS), KEY("id", ID), KEY("session_id", SESSION), KEY("model", MODEL),
    KEY("type", TYPE), KEY("time", TIME), KEY("cached_tokens", CACHED),
    KEY("cache_write_tokens", CACHE_WRITE), KEY("reasoning_tokens", REASONING),
    KEY("block_tokens", BLOCK_TOKENS), KEY("error", ERROR),
    KEY("arrival_time_ns", ARRIVAL_NS), KEY("input_toks", INPUT), KEY("output_toks", OUTPUT),
    KEY("input_tok_ids", INPUT_IDS), KEY("output_tok_ids", OUTPUT_IDS),
    KEY("input_tokens", INPUT), KEY("output_tokens", OUTPUT), KEY("prompt_tokens", INPUT),
    KEY("completion_tokens", OUTPUT), KEY("token_ids", INPUT_IDS),
    KEY("input_token_ids", INPUT_IDS), KEY("prompt_token_ids", INPUT_IDS),
    KEY("output_token_ids", OUTPUT_IDS), KEY("chat_id", CHAT),
    KEY("parent_chat_id", PARENT_CHAT),
#undef KEY
};
#define N_KEYS (sizeof keys / sizeof *keys)

static int is_key(const struct key *k, const struct reqs_text *text) {
    return k->len == text->len && !memcmp(k->name, text->data, k->len);
}

/* place: how many keys came before it in its record. */
static enum field find_field(struct reqs *r, unsigned place, const struct reqs_text *text) {
    unsigned char *guess = &r->order[place % sizeof r->order];
    if (*guess < N_KEYS && is_key(&keys[*guess], text))
        return keys[*guess].field;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (is_key(&keys[i], text)) {
            *guess = (unsigned char)i;
            return keys[i].field;
        }
    }
    return UNKNOWN;
}

/* ---- values ----------------------------------------------------------------------------- */

static int take_calendar(struct json *j, struct reqs_draft *d) {
    struct reqs_text text;
    char *start = j->at;
    if (json_string(j, &text))
        return json_fail(j, "a time as in 2026-11-24T17:12:28Z");
    if (date_parse(text.data, text.len, &d->clock_ns) < 0) {
        j->at = start;
        return json_fail(j, "a time as in 2026-11-24T17:12:28Z");
    }
    d->clock = REQS_ABSOLUTE;
    return 0;
}

/* timestamp: milliseconds since the trace's start, wins over the calendar. */
static int take_timestamp(struct json *j, struct reqs_draft *d) {
    if (json_peek(j) == '"')
        return take_calendar(j, d);
    d->clock = REQS_SINCE_START;
    return json_scaled(j, 1000000, &d->clock_ns);
}

static int take_time(struct json *j, struct reqs_draft *d) {
    json_peek(j);
    return d->clock == REQS_NO_TIME ? take_calendar(j, d) : json_skip(j);
}

static int take_arrival_ns(struct json *j, struct reqs_draft *d) {
    d->clock = REQS_ABSOLUTE;
    return json_scaled(j, 1, &d->clock_ns);
}

/* What a record has beside its draft. */
struct found {
    int hash_ids, input_ids, output_ids, error, other_type;
    int64_t block_tokens;               /* 0: not said */
    struct reqs_text chat, parent_chat; /* both: a chat of Qwen-Bailian's */
};

static int is_chat(const struct found *f) {
    return f->chat.data && f->parent_chat.data;
}

static int take_type(struct json *j, struct found *f) {
    struct reqs_text text;
    if (json_text(j, &text))
        return -1;
    f->other_type = text.len != 7 || memcmp(text.data, "request", 7) != 0;
    return 0;
}

static int take_block_tokens(struct json *j, struct found *f) {
    json_peek(j);
    char *start = j->at;
    if (json_count(j, &f->block_tokens))
        return -1;
    if (f->block_tokens >= 1 && f->block_tokens <= INT32_MAX)
        return 0;
    j->at = start;
    return json_fail(j, "a block size from 1 to 2^31-1");
}

static int take_ids(struct json *j, struct json_u64s *ids, int *found) {
    *found = 1;
    return json_ids(j, ids);
}

static int take_value(struct reqs *r, struct json *j, enum field field, struct reqs_draft *d,
                      struct found *f) {
    if (json_null(j))
        return 0;
    switch (field) {
    case TIMESTAMP: return take_timestamp(j, d);
    case TIME: return take_time(j, d);
    case ARRIVAL_NS: return take_arrival_ns(j, d);
    case INPUT: return json_count(j, &d->q->input_tokens);
    case OUTPUT: return json_count(j, &d->q->output_tokens);
    case CACHED: return json_count(j, &d->q->cached_tokens);
    case CACHE_WRITE: return json_count(j, &d->q->cache_write_tokens);
    case REASONING: return json_count(j, &d->q->reasoning_tokens);
    case HASH_IDS: return take_ids(j, &r->ids, &f->hash_ids);
    case INPUT_IDS: return take_ids(j, &r->tokens, &f->input_ids);
    case OUTPUT_IDS: return take_ids(j, &r->made, &f->output_ids);
    case ID: return json_text(j, &d->q->id);
    case SESSION: return json_text(j, &d->session);
    case MODEL: return json_text(j, &d->q->model);
    case TYPE: return take_type(j, f);
    case BLOCK_TOKENS: return take_block_tokens(j, f);
    case ERROR: f->error = 1; return json_skip(j);
    case CHAT: return json_text(j, &f->chat);
    case PARENT_CHAT: return json_text(j, &f->parent_chat);
    case UNKNOWN: break;
    }
    return json_skip(j);
}

/* ---- tokens to blocks ------------------------------------------------------------------- */

/* In place: token i is not needed any more when the id of its block is written. A last block that
 * is not full has an id of its own. */
static size_t hash_blocks(uint64_t *v, size_t n, size_t block) {
    uint64_t state = 0;
    size_t blocks = 0;
    for (size_t i = 0; i < n; i++) {
        state = reqs_hash_token(state, v[i]);
        if ((i + 1) % block == 0 || i + 1 == n)
            v[blocks++] = state;
    }
    return blocks;
}

/* All records have blocks of one size. */
static int settle_block_tokens(struct reqs *r, struct json *j, const struct found *f) {
    if (!f->block_tokens)
        return 0;
    if (r->said_block_tokens && r->said_block_tokens != f->block_tokens)
        return json_fail(j, "the block_tokens of the records before");
    r->said_block_tokens = (int)f->block_tokens;
    return 0;
}

static void fill_from_tokens(struct reqs *r, struct reqs_draft *d) {
    if (!r->said_block_tokens)
        r->said_block_tokens = DEFAULT_BLOCK_TOKENS;
    size_t block = (size_t)(r->opt.block_tokens ? r->opt.block_tokens : r->said_block_tokens);
    d->q->input_tokens = (int64_t)r->tokens.n;
    d->q->blocks = (int64_t)hash_blocks(r->tokens.v, r->tokens.n, block);
    d->q->block = r->tokens.v;
    d->format = REQS_TOKENS;
}

static int fill_blocks(struct reqs *r, struct json *j, struct reqs_draft *d,
                       const struct found *f) {
    if (f->output_ids && d->q->output_tokens == REQS_UNKNOWN)
        d->q->output_tokens = (int64_t)r->made.n;
    d->format = REQS_LENGTHS;
    if (f->hash_ids) {
        d->q->blocks = (int64_t)r->ids.n;
        d->q->block = r->ids.v;
        d->format = REQS_JSONL;
    } else if (f->input_ids) {
        fill_from_tokens(r, d);
    } else if (d->q->input_tokens == REQS_UNKNOWN) {
        if (!f->error)
            return json_fail(j, "hash_ids, token ids or input_length before");
        r->totals.other++;              /* a request that llm-run refused */
        return 0;
    }
    return 1;
}

/* ---- chats ------------------------------------------------------------------------------ */

/* Number of a chat, whose first chat is `root`; REQS_NO_SESSION: itself. */
static uint32_t add_chat(struct reqs *r, const struct reqs_text *name, uint32_t root) {
    if (!r->chats)
        r->chats = reqs_names_new();
    uint32_t before = reqs_names_count(r->chats);
    uint32_t chat = reqs_names_add(r->chats, name->data, name->len);
    if (chat == r->chat_cap) {
        r->chat_cap = r->chat_cap ? r->chat_cap * 2 : 256;
        r->chat_root = mem_grow(r->chat_root, r->chat_cap, sizeof *r->chat_root);
    }
    if (chat == before)
        r->chat_root[chat] = root == REQS_NO_SESSION ? chat : root;
    return chat;
}

/* Qwen-Bailian's traces: every turn is a chat of its own that names the one before (-1: none). A
 * session is named after its first chat. Their timestamps are seconds. */
static int fill_chat(struct reqs *r, struct json *j, struct reqs_draft *d,
                     const struct found *f) {
    uint32_t root = REQS_NO_SESSION;
    if (d->clock == REQS_SINCE_START && __builtin_mul_overflow(d->clock_ns, 1000, &d->clock_ns))
        return json_fail(j, "a time within 292 years before");
    if (f->parent_chat.len != 2 || memcmp(f->parent_chat.data, "-1", 2)) {
        uint32_t parent = add_chat(r, &f->parent_chat, REQS_NO_SESSION);
        root = r->chat_root[parent];
    }
    uint32_t chat = add_chat(r, &f->chat, root);
    const char *name = reqs_names_get(r->chats, r->chat_root[chat]);
    d->session = (struct reqs_text){name, strlen(name)};
    return 1;
}

/* ---- the record ------------------------------------------------------------------------- */

/* A value that its key does not allow breaks the line, but only of a request; of what type the
 * record is may stand behind it. Hence such a value is passed over until the end is seen. A chat is
 * a request whatever its type says (text, search, image). */
int reqs_record_read(struct reqs *r, struct json *j, struct reqs_draft *d) {
    struct found f = {0};
    struct json wrong = {NULL, NULL};
    struct reqs_text key;
    int said = r->said_block_tokens;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "a JSON object");
    for (unsigned place = 0; (rc = json_member(j, &first, &key)) == 1; place++) {
        enum field field = find_field(r, place, &key);
        struct json before = *j;
        if (take_value(r, j, field, d, &f) < 0) {
            if (!wrong.want)
                wrong = *j;
            *j = before;
            if (json_skip(j) < 0)
                break;
        }
    }
    int is_other = f.other_type && !is_chat(&f);
    if (wrong.want && (rc || !is_other)) {
        *j = wrong;
        return -1;
    }
    if (rc || json_end(j) || settle_block_tokens(r, j, &f))
        return -1;
    if (is_other) {
        r->totals.other++;
        return 0;
    }
    rc = fill_blocks(r, j, d, &f);
    if (rc == 1 && is_chat(&f))
        rc = fill_chat(r, j, d, &f);
    if (rc < 0)                         /* nothing of a broken line counts */
        r->said_block_tokens = said;
    return rc;
}
