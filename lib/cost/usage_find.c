/* usage_find.c - what a JSON object says about usage, whoever wrote it
 *
 * One walk over the object. Names of keys hardly clash between providers, so that a table of names
 * with the places where each is meant does for all of them; what is not in it is skipped, texts and
 * block ids at the speed of json_skip. What the numbers mean together is decided when all are known
 * (usage_settle.c).
 */
#include <string.h>

#include "lib/base/date.h"
#include "lib/cost/usage_impl.h"

#define CALENDAR_NS ((int64_t)100000000 * 1000000000)  /* three years: no trace begins so late */
#define SLOTS 512
#define DEEPEST 16                      /* no provider nests usage deeper */

/* Places where a key may stand. */
enum place {
    TOP = 1,
    INNER = 2,                  /* an object that holds the usage, or its message */
    USAGE = 4,
    IN = 8, CACHED = 16, OUT = 32, TOOL = 64,           /* details of these tokens */
    CREATION = 128, SERVER = 256, ENTRY = 512,
    PAYLOAD = 1024,             /* of Codex */
    ORIGIN = 2048,
    RESULT = 4096,              /* of Anthropic's batches, and other results */
    HOLDER = TOP | INNER | RESULT,
    RECORD = HOLDER | PAYLOAD,
    DETAILS = IN | CACHED | OUT | TOOL
};

enum what {
    COUNT,                      /* arg: enum count */
    PART,                       /* arg: a modality of the place's tokens */
    TEXT,                       /* arg: enum found_text */
    GO,                         /* arg: the place inside */
    INPUT_INSIDE,               /* C_INPUT of a provider whose cached tokens are part of it */
    TIMESTAMP, CALENDAR, EPOCH, NANOS, SECONDS, IDS, MADE_IDS, CUSTOM_ID, SIDECHAIN, SPAWNED,
    CHAT, PARENT_CHAT, MESSAGE, METADATA, LAST, TOTAL, MODALITY, TOKENS
};

struct key {
    const char *name;
    int places;
    int what;
    int arg;
};

/* Bare numbers stand at the top of our records and of usage objects without a response around. */
#define ANY_USAGE (TOP | USAGE)

static const struct key names[] = {
    /* our records, Mooncake's and their like: llm-requests(5) */
    {"input_length", TOP, INPUT_INSIDE, 0}, {"output_length", TOP, COUNT, C_OUTPUT},
    {"input_toks", TOP, INPUT_INSIDE, 0}, {"output_toks", TOP, COUNT, C_OUTPUT},
    {"cached_tokens", ANY_USAGE | IN, COUNT, C_CACHED},
    {"cache_write_tokens", ANY_USAGE | IN, COUNT, C_WRITTEN},
    {"reasoning_tokens", ANY_USAGE | OUT, COUNT, C_REASONING},
    {"timestamp", RECORD, TIMESTAMP, 0}, {"time", TOP, CALENDAR, 0},
    {"arrival_time_ns", TOP, NANOS, 0}, {"session_id", TOP, TEXT, T_SESSION},
    {"input_tok_ids", TOP, IDS, 0}, {"input_token_ids", TOP, IDS, 0},
    {"prompt_token_ids", TOP, IDS, 0}, {"token_ids", TOP, IDS, 0},
    {"output_tok_ids", TOP, MADE_IDS, 0}, {"output_token_ids", TOP, MADE_IDS, 0},
    {"chat_id", TOP, CHAT, 0}, {"parent_chat_id", TOP, PARENT_CHAT, 0},
    {"id", RECORD, TEXT, T_ID}, {"model", RECORD, TEXT, T_MODEL}, {"type", TOP, TEXT, T_TYPE},
    {"service", TOP, TEXT, T_SERVICE}, {"region", TOP, TEXT, T_REGION},
    {"model_name", RECORD, TEXT, T_MODEL},
    /* around a usage */
    {"usage", HOLDER, GO, USAGE}, {"response", TOP, GO, INNER}, {"body", INNER, GO, INNER},
    {"result", TOP, GO, RESULT}, {"data", TOP, GO, INNER},
    {"message", TOP | RESULT, MESSAGE, INNER},
    {"custom_id", TOP, CUSTOM_ID, 0}, {"service_tier", HOLDER | USAGE, TEXT, T_SERVICE},
    {"created", HOLDER, EPOCH, 0}, {"created_at", HOLDER, EPOCH, 0},
    {"createdAt", HOLDER, EPOCH, 0},
    /* OpenAI and what is compatible with it */
    {"prompt_tokens", ANY_USAGE, INPUT_INSIDE, 0},
    {"completion_tokens", ANY_USAGE, COUNT, C_OUTPUT},
    {"input_tokens", ANY_USAGE, COUNT, C_INPUT}, {"output_tokens", ANY_USAGE, COUNT, C_OUTPUT},
    {"total_tokens", ANY_USAGE, COUNT, C_TOTAL},
    {"prompt_tokens_details", ANY_USAGE, GO, IN}, {"input_tokens_details", ANY_USAGE, GO, IN},
    {"input_token_details", ANY_USAGE, GO, IN}, {"cached_tokens_details", IN, GO, CACHED},
    {"completion_tokens_details", ANY_USAGE, GO, OUT},
    {"output_tokens_details", ANY_USAGE, GO, OUT}, {"output_token_details", ANY_USAGE, GO, OUT},
    {"text_tokens", DETAILS, PART, USAGE_TEXT}, {"audio_tokens", DETAILS, PART, USAGE_AUDIO},
    {"image_tokens", DETAILS, PART, USAGE_IMAGE}, {"video_tokens", DETAILS, PART, USAGE_VIDEO},
    {"prompt_cache_hit_tokens", ANY_USAGE, COUNT, C_CACHED}, {"seconds", USAGE, SECONDS, 0},
    /* Anthropic */
    {"cache_read_input_tokens", ANY_USAGE, COUNT, C_READ_BESIDE},
    {"cache_creation_input_tokens", ANY_USAGE, COUNT, C_WRITTEN_BESIDE},
    {"cache_creation", ANY_USAGE, GO, CREATION},
    {"ephemeral_5m_input_tokens", CREATION, COUNT, C_WRITTEN_5M},
    {"ephemeral_1h_input_tokens", CREATION, COUNT, C_WRITTEN_1H},
    {"server_tool_use", ANY_USAGE, GO, SERVER}, {"web_search_requests", SERVER, COUNT, C_SEARCHES},
    {"speed", ANY_USAGE, TEXT, T_SPEED}, {"inference_geo", ANY_USAGE, TEXT, T_REGION},
    /* Gemini, over HTTP and from Python */
    {"usageMetadata", HOLDER, METADATA, USAGE}, {"usage_metadata", HOLDER, METADATA, USAGE},
    {"modelVersion", HOLDER, TEXT, T_MODEL}, {"model_version", HOLDER, TEXT, T_MODEL},
    {"responseId", HOLDER, TEXT, T_ID}, {"response_id", HOLDER, TEXT, T_ID},
    {"createTime", HOLDER, CALENDAR, 0}, {"create_time", HOLDER, CALENDAR, 0},
    {"promptTokenCount", ANY_USAGE, INPUT_INSIDE, 0},
    {"prompt_token_count", ANY_USAGE, INPUT_INSIDE, 0},
    {"cachedContentTokenCount", ANY_USAGE, COUNT, C_CACHED},
    {"cached_content_token_count", ANY_USAGE, COUNT, C_CACHED},
    {"candidatesTokenCount", ANY_USAGE, COUNT, C_OUTPUT},
    {"candidates_token_count", ANY_USAGE, COUNT, C_OUTPUT},
    {"thoughtsTokenCount", ANY_USAGE, COUNT, C_THOUGHTS},
    {"thoughts_token_count", ANY_USAGE, COUNT, C_THOUGHTS},
    {"toolUsePromptTokenCount", ANY_USAGE, COUNT, C_TOOL},
    {"tool_use_prompt_token_count", ANY_USAGE, COUNT, C_TOOL},
    {"totalTokenCount", ANY_USAGE, COUNT, C_TOTAL},
    {"total_token_count", ANY_USAGE, COUNT, C_TOTAL},
    {"promptTokensDetails", ANY_USAGE, GO, IN}, {"cacheTokensDetails", ANY_USAGE, GO, CACHED},
    {"cache_tokens_details", ANY_USAGE, GO, CACHED},
    {"candidatesTokensDetails", ANY_USAGE, GO, OUT},
    {"candidates_tokens_details", ANY_USAGE, GO, OUT},
    {"toolUsePromptTokensDetails", ANY_USAGE, GO, TOOL},
    {"tool_use_prompt_tokens_details", ANY_USAGE, GO, TOOL},
    {"modality", ENTRY, MODALITY, 0}, {"tokenCount", ENTRY, TOKENS, 0},
    {"token_count", ENTRY, TOKENS, 0},
    /* Claude Code */
    {"sessionId", TOP, TEXT, T_SESSION}, {"requestId", TOP, TEXT, T_REQUEST},
    {"isSidechain", TOP, SIDECHAIN, 0},
    /* Codex */
    {"payload", TOP, GO, PAYLOAD}, {"type", PAYLOAD, TEXT, T_PAYLOAD_TYPE},
    {"info", PAYLOAD, GO, PAYLOAD}, {"metadata", PAYLOAD, GO, INNER},
    {"last_token_usage", PAYLOAD, LAST, USAGE}, {"total_token_usage", PAYLOAD, TOTAL, USAGE},
    {"source", PAYLOAD, GO, ORIGIN}, {"subagent", ORIGIN, GO, ORIGIN},
    {"thread_spawn", ORIGIN, SPAWNED, 0},
    {"cached_input_tokens", ANY_USAGE, COUNT, C_CACHED},
    {"cache_write_input_tokens", ANY_USAGE, COUNT, C_WRITTEN},
    {"reasoning_output_tokens", ANY_USAGE, COUNT, C_REASONING},
};
#define NAMES (sizeof names / sizeof *names)

struct keys {
    unsigned char len[NAMES];
    unsigned char slot[SLOTS];  /* 1 + index into names; 0: free */
};

static unsigned slot_of(const char *s, size_t len) {
    unsigned h = (unsigned)len * 37;
    if (len)
        h += (unsigned char)s[0] * 5u + (unsigned char)s[len - 1] * 11u +
             (unsigned char)s[len / 2] * 3u + (unsigned char)s[len / 4] * 17u;
    return h % SLOTS;
}

struct keys *usage_keys_new(void) {
    struct keys *k = mem_alloc(sizeof *k);
    for (size_t i = 0; i < NAMES; i++) {
        size_t len = strlen(names[i].name);
        unsigned at = slot_of(names[i].name, len);
        while (k->slot[at])
            at = (at + 1) % SLOTS;
        k->slot[at] = (unsigned char)(i + 1);
        k->len[i] = (unsigned char)len;
    }
    return k;
}

/* "type" is in the table twice, for two places. */
static const struct key *key_of(const struct keys *k, const struct reqs_text *t, int place) {
    unsigned char i;
    for (unsigned at = slot_of(t->data, t->len); (i = k->slot[at]) != 0; at = (at + 1) % SLOTS)
        if (k->len[i - 1] == t->len && !memcmp(names[i - 1].name, t->data, t->len) &&
            names[i - 1].places & place)
            return &names[i - 1];
    return NULL;
}

/* ---- the walk ------------------------------------------------------------------------ */

struct walk {
    const struct keys *keys;
    struct json *j;
    struct found *f;
    struct json_u64s *ids;
    struct counts *c;           /* where counts go */
    struct reqs_text modality;  /* of the entry at hand */
    int64_t tokens;
};

static int object(struct walk *w, int place, int level);

static void clear(struct counts *c) {
    memset(c->n, 0xFF, sizeof c->n);        /* UNSAID */
    c->seconds_ns = UNSAID;
    c->said = c->inside = 0;
}

/* Every value is taken by a function that returns -1 when it is not what its key holds. */

static int take_count(struct walk *w, enum count i, int place) {
    if (json_count(w->j, &w->c->n[i]))
        return -1;
    if (i == C_INPUT || i == C_OUTPUT) {
        w->c->said = 1;
        w->f->nested |= place == USAGE;
    }
    return 0;
}

static int parts_of(int place) {
    return place == IN ? C_IN_BY : place == CACHED ? C_CACHED_BY : place == OUT ? C_OUT_BY
                                                                               : C_TOOL_BY;
}

static int take_part(struct walk *w, int place, int modality) {
    return json_count(w->j, &w->c->n[parts_of(place) + modality]);
}

/* Values of other types than text say nothing. */
static int take_text(struct walk *w, enum found_text i, int level) {
    char c = json_peek(w->j);
    struct reqs_text text;
    if (c == '{' || c == '[' || c == 't' || c == 'f')
        return json_skip(w->j);
    if (json_text(w->j, &text))
        return -1;
    if (text.len && level >= w->f->level[i]) {
        w->f->text[i] = text;
        w->f->level[i] = (unsigned char)level;
    }
    return 0;
}

static int take_date(struct walk *w) {
    struct reqs_text text;
    char *start = w->j->at;
    if (json_string(w->j, &text) || date_parse(text.data, text.len, &w->f->calendar_ns)) {
        w->j->at = start;
        return json_fail(w->j, "a time as in 2026-11-24T17:12:28Z");
    }
    return 0;
}

/* Milliseconds since the trace began, or since 1970. */
static int take_timestamp(struct walk *w) {
    int64_t ns;
    if (json_peek(w->j) == '"')
        return take_date(w);
    if (json_scaled(w->j, 1000000, &ns))
        return -1;
    *(ns >= CALENDAR_NS ? &w->f->calendar_ns : &w->f->offset_ns) = ns;
    return 0;
}

/* Seconds since 1970, where nothing better is known. */
static int take_epoch(struct walk *w) {
    int64_t ns;
    if (w->f->calendar_ns != USAGE_NO_TIME)
        return json_skip(w->j);
    if (json_peek(w->j) == '"')
        return take_date(w);
    if (json_scaled(w->j, 1000000000, &ns))
        return -1;
    if (ns >= CALENDAR_NS)
        w->f->calendar_ns = ns;
    return 0;
}

static int take_nanos(struct walk *w) {
    int64_t ns;
    if (json_scaled(w->j, 1, &ns))
        return -1;
    *(ns >= CALENDAR_NS ? &w->f->calendar_ns : &w->f->offset_ns) = ns;
    return 0;
}

static int take_seconds(struct walk *w) {
    if (json_scaled(w->j, 1000000000, &w->c->seconds_ns) == 0 && w->c->seconds_ns >= 0) {
        w->c->said = 1;
        return 0;
    }
    return json_fail(w->j, "seconds, 0 or more");
}

/* How many token ids there are, which goes before any other number of them for a prompt only. */
static int take_ids(struct walk *w, enum count i) {
    if (json_ids(w->j, w->ids))
        return -1;
    if (i == C_INPUT || w->c->n[i] == UNSAID)
        w->c->n[i] = (int64_t)w->ids->n;
    w->c->said = 1;
    return 0;
}

/* Counts of one modality, as Gemini lists them. Documents are read as text. */
static int entry(struct walk *w, int place) {
    static const char *const known[] = {"TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT"};
    w->modality = (struct reqs_text){NULL, 0};
    w->tokens = 0;
    if (object(w, ENTRY, 0))
        return -1;
    for (int m = 0; m < 5 && w->modality.data; m++)
        if (strlen(known[m]) == w->modality.len &&
            !memcmp(known[m], w->modality.data, w->modality.len)) {
            int64_t *n = &w->c->n[parts_of(place) + (m == 4 ? USAGE_TEXT : m)];
            *n = (*n == UNSAID ? 0 : *n) + w->tokens;
        }
    return 0;
}

static int take_modalities(struct walk *w, int place) {
    int first = 1;
    int rc;
    w->j->at++;
    while ((rc = json_element(w->j, &first)) == 1)
        if (json_peek(w->j) == '{' ? entry(w, place) : json_skip(w->j))
            return -1;
    return rc;
}

static int go(struct walk *w, int place, int level) {
    char c = json_peek(w->j);
    if (c == '[' && place & DETAILS)
        return take_modalities(w, place);
    return c == '{' && level < DEEPEST ? object(w, place, level + 1) : json_skip(w->j);
}

/* Usage that is kept apart from the record's own. */
static int go_aside(struct walk *w, struct counts *c, int place, int level) {
    struct counts *before = w->c;
    clear(c);
    w->c = c;
    int rc = go(w, place, level);
    w->c = before;
    return rc;
}

static int take_flag(struct walk *w, int *flag) {
    *flag |= json_peek(w->j) == 't';
    return json_skip(w->j);
}

static int take_custom_id(struct walk *w) {
    w->f->batch = 1;
    return take_text(w, T_ID, 255);
}

static int take_message(struct walk *w, int place, int level) {
    struct counts *c = w->c;
    int before = c->said;
    int rc = go(w, place, level);
    if (c->said && !before && level == 0)
        w->f->message = 1;
    return rc;
}

static int take(struct walk *w, const struct key *k, int place, int level) {
    switch ((enum what)k->what) {
    case INPUT_INSIDE: w->c->inside = 1; return take_count(w, C_INPUT, place);
    case COUNT: return take_count(w, (enum count)k->arg, place);
    case PART: return take_part(w, place, k->arg);
    case TEXT: return take_text(w, (enum found_text)k->arg, level);
    case GO: return go(w, k->arg, level);
    case MESSAGE: return take_message(w, k->arg, level);
    case METADATA: w->f->metadata = 1; return go(w, k->arg, level);
    case LAST: return go_aside(w, &w->f->last, k->arg, level);
    case TOTAL: return go_aside(w, &w->f->total, k->arg, level);
    case TIMESTAMP: return take_timestamp(w);
    case CALENDAR: return take_date(w);
    case EPOCH: return take_epoch(w);
    case NANOS: return take_nanos(w);
    case SECONDS: return take_seconds(w);
    case IDS: w->c->inside = 1; return take_ids(w, C_INPUT);
    case MADE_IDS: return take_ids(w, C_OUTPUT);
    case CUSTOM_ID: return take_custom_id(w);
    case SIDECHAIN: return take_flag(w, &w->f->sidechain);
    case SPAWNED: w->f->replays = 1; return json_skip(w->j);
    case CHAT: return json_text(w->j, &w->f->chat);
    case PARENT_CHAT: return json_text(w->j, &w->f->parent_chat);
    case MODALITY: return json_string(w->j, &w->modality);
    case TOKENS: return json_count(w->j, &w->tokens);
    }
    return json_skip(w->j);
}

/* A value that its key does not allow breaks only what has usage, which may be seen later: it is
 * remembered and passed. What is no JSON is found again by json_skip. */
static int object(struct walk *w, int place, int level) {
    struct json *j = w->j;
    struct reqs_text key;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_fail(j, "a JSON object");
    while ((rc = json_member(j, &first, &key)) == 1) {
        const struct key *k = key_of(w->keys, &key, place);
        if (k && json_null(j))
            continue;
        struct json before = *j;
        if (k && take(w, k, place, level) == 0)
            continue;
        if (k && !w->f->wrong.at) {
            w->f->wrong = *j;
            w->f->wrong_usage = k->what == COUNT || k->what == INPUT_INSIDE;
            w->f->nested |= place == USAGE;
        }
        *j = before;
        if (json_skip(j))
            return -1;
    }
    return rc;
}

int usage_find(const struct keys *k, struct json *j, struct found *f, struct json_u64s *ids) {
    struct walk w = {.keys = k, .j = j, .f = f, .ids = ids, .c = &f->main};
    memset(f, 0, offsetof(struct found, main));
    f->calendar_ns = f->offset_ns = USAGE_NO_TIME;
    f->wrong = (struct json){NULL, NULL};
    clear(&f->main);
    f->last.said = f->total.said = 0;
    return object(&w, TOP, 0);
}
