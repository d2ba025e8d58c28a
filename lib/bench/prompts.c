/* prompts.c - the bodies of requests, see prompts.h
 *
 * A block's words are drawn from a generator that its id seeds: nothing is remembered of a block,
 * and a trace of millions of blocks takes no memory. Words need no escaping in JSON.
 */
#include "lib/bench/prompts.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"
#include "lib/bench/words.h"
#include "lib/format/jsonw.h"
#include "lib/format/zio.h"

/* Prefixes and requests without blocks are texts like blocks; the high bits keep their seeds apart
 * from those of ids. */
#define PREFIX_TEXT 0x5052454649580000u
#define OWN_TEXT 0x4F574E2054455854u

struct record {                 /* a line of the file */
    char *json;                 /* value of "messages" or "prompt", as JSON */
    int64_t output_tokens;      /* 0: not said */
};

struct prompts {
    struct prompts_options opt;
    char *model, *extra;        /* extra: its members, without the braces; NULL: none */
    struct record *record;      /* [records] */
    int64_t records;
    int64_t made;               /* bodies so far */
    struct rng choice;          /* of a prefix */
};

/* ---- text ------------------------------------------------------------------------------- */

/* Neighbouring seeds and ids give unrelated generators. */
static struct rng text_rng(uint64_t seed, uint64_t id) {
    struct rng r = {seed};
    r.state = rng_next(&r) ^ id;
    r.state = rng_next(&r);
    return r;
}

static void add_words(struct rng *r, int64_t n, struct buf *out) {
    for (int64_t i = 0; i < n; i++) {
        buf_addc(out, ' ');
        buf_adds(out, words_list[rng_below(r, WORDS_COUNT)]);
    }
}

void prompts_block(uint64_t seed, uint64_t id, int64_t n, struct buf *out) {
    struct rng r = text_rng(seed, id);
    add_words(&r, n, out);
}

static void add_own(const struct prompts *p, int64_t n, struct buf *out) {
    struct rng r = text_rng(p->opt.seed ^ OWN_TEXT, (uint64_t)p->made);
    add_words(&r, n, out);
}

/* ---- bodies ----------------------------------------------------------------------------- */

static void begin(const struct prompts *p, struct prompts_body *b, int64_t output) {
    struct buf *j = &b->json;
    j->len = 0;
    b->output_tokens = output;
    jsonw_open(j, '{');
    if (p->model)
        jsonw_str(j, "model", p->model);
    jsonw_bool(j, "stream", 1);
    jsonw_raw(j, "stream_options", "{\"include_usage\":true}");
    jsonw_int(j, "max_tokens", output);
    if (!p->opt.no_force) {
        jsonw_int(j, "min_tokens", output);
        jsonw_bool(j, "ignore_eos", 1);
    }
    if (p->extra) {
        buf_addc(j, ',');
        buf_adds(j, p->extra);
    }
}

static int is_chat(const struct prompts *p) {
    return p->opt.api == PROMPTS_CHAT;
}

/* The prompt stands at the end of the body, so that all before it is a few hundred bytes. */
static void open_text(const struct prompts *p, struct buf *j) {
    buf_adds(j, is_chat(p) ? ",\"messages\":[{\"role\":\"user\",\"content\":\"" : ",\"prompt\":\"");
}

static void close_text(const struct prompts *p, struct buf *j) {
    buf_adds(j, is_chat(p) ? "\"}]}" : "\"}");
}

static void next_synthetic(struct prompts *p, struct prompts_body *out) {
    int64_t n = p->opt.prompt_tokens;
    int64_t shared = p->opt.shared_prefix < n ? p->opt.shared_prefix : n;
    begin(p, out, p->opt.output_tokens);
    open_text(p, &out->json);
    if (shared > 0) {
        uint64_t which = rng_below(&p->choice, (uint64_t)p->opt.prefixes);
        prompts_block(p->opt.seed ^ PREFIX_TEXT, which, shared, &out->json);
    }
    add_own(p, n - shared, &out->json);
    close_text(p, &out->json);
    out->input_tokens = n;
}

static void next_record(struct prompts *p, struct prompts_body *out) {
    const struct record *r = &p->record[p->made % p->records];
    begin(p, out, r->output_tokens ? r->output_tokens : p->opt.output_tokens);
    jsonw_raw(&out->json, is_chat(p) ? "messages" : "prompt", r->json);
    jsonw_close(&out->json, '}');
    out->input_tokens = -1;
}

void prompts_next(struct prompts *p, struct prompts_body *out) {
    if (p->records)
        next_record(p, out);
    else
        next_synthetic(p, out);
    p->made++;
}

int prompts_from_trace(struct prompts *p, const struct req *q, int block_tokens,
                       struct prompts_body *out) {
    int64_t left = q->input_tokens;
    if (left < 0)
        return -1;
    begin(p, out, q->output_tokens > 0 ? q->output_tokens : p->opt.output_tokens);
    open_text(p, &out->json);
    for (int64_t i = 0; i < q->blocks && left > 0 && block_tokens > 0; i++) {
        int64_t n = left < block_tokens ? left : block_tokens;
        prompts_block(p->opt.seed, q->block[i], n, &out->json);
        left -= n;
    }
    add_own(p, left, &out->json);
    close_text(p, &out->json);
    out->input_tokens = q->input_tokens;
    p->made++;
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------- */

static char *print_json(const cJSON *item) {
    char *made = cJSON_PrintUnformatted(item);
    char *copy = mem_strdup(made);
    cJSON_free(made);
    return copy;
}

/* A prompt becomes the user's message in the chat API; messages have no other form. */
static char *record_json(const struct prompts *p, const cJSON *o) {
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(o, "messages");
    const cJSON *prompt = cJSON_GetObjectItemCaseSensitive(o, "prompt");
    if (is_chat(p) && cJSON_IsArray(messages) && cJSON_GetArraySize(messages))
        return print_json(messages);
    if (!cJSON_IsString(prompt))
        return NULL;
    char *text = print_json(prompt);
    if (!is_chat(p))
        return text;
    char *all = mem_printf("[{\"role\":\"user\",\"content\":%s}]", text);
    free(text);
    return all;
}

static int64_t record_output(const cJSON *o) {
    static const char *const names[] = {"output_length", "output_tokens", "max_tokens"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, names[i]);
        if (cJSON_IsNumber(n) && n->valuedouble >= 1 && n->valuedouble < 1e9)
            return (int64_t)n->valuedouble;
    }
    return 0;
}

static int add_record(struct prompts *p, const char *line, size_t len, int64_t number,
                      struct err *err) {
    if (!line[strspn(line, " \t\r")])
        return 0;
    cJSON *o = cJSON_ParseWithLength(line, len);
    char *json = cJSON_IsObject(o) ? record_json(p, o) : NULL;
    if (json) {
        p->record = mem_grow(p->record, (size_t)p->records + 1, sizeof *p->record);
        p->record[p->records++] = (struct record){json, record_output(o)};
    } else {
        err_set(err, "%s:%lld: expected an object with %s, found %.60s", p->opt.file,
                (long long)number, is_chat(p) ? "\"prompt\" (text) or \"messages\" (an array)"
                                              : "\"prompt\" (text)", line);
    }
    cJSON_Delete(o);
    return json ? 0 : -1;
}

static int read_file(struct prompts *p, struct err *err) {
    struct zio *z = zio_open_read(p->opt.file, err);
    char *line = NULL;
    size_t len;
    int64_t number = 0;
    int rc = -1;
    if (!z)
        return -1;
    while ((rc = zio_line(z, &line, &len, err)) == 1)
        if (add_record(p, line, len, ++number, err)) {
            rc = -1;
            break;
        }
    zio_close(z, NULL);
    if (!rc && !p->records)
        return err_set(err, "%s: no prompts in it", p->opt.file);
    return rc;
}

static int read_extra(struct prompts *p, const char *text, struct err *err) {
    cJSON *o = cJSON_Parse(text);
    int bad = !cJSON_IsObject(o);
    if (!bad && cJSON_GetArraySize(o)) {
        char *json = print_json(o);
        p->extra = mem_strndup(json + 1, strlen(json) - 2);
        free(json);
    }
    cJSON_Delete(o);
    return bad ? err_set(err, "expected a JSON object, found %.60s", text) : 0;
}

struct prompts *prompts_new(const struct prompts_options *opt, struct err *err) {
    struct prompts *p = mem_alloc(sizeof *p);
    p->opt = *opt;
    p->choice = text_rng(opt->seed, PREFIX_TEXT);
    p->model = opt->model ? mem_strdup(opt->model) : NULL;
    if ((opt->extra && read_extra(p, opt->extra, err)) || (opt->file && read_file(p, err))) {
        prompts_free(p);
        return NULL;
    }
    return p;
}

void prompts_free(struct prompts *p) {
    if (!p)
        return;
    for (int64_t i = 0; i < p->records; i++)
        free(p->record[i].json);
    free(p->record);
    free(p->model);
    free(p->extra);
    free(p);
}

int64_t prompts_records(const struct prompts *p) {
    return p->records;
}
