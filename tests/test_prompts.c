/* test_prompts.c - are prompts as long as they say, and do they share what they should? */
#include "lib/bench/prompts.h"

#include <cjson/cJSON.h>
#include <unistd.h>

#include "lib/bench/words.h"
#include "lib/format/gguf.h"
#include "lib/model/vocab.h"
#include "tests/check.h"
#include "tests/scratch.h"

static struct prompts *make(const struct prompts_options *o) {
    struct err e = {{0}};
    struct prompts *p = prompts_new(o, &e);
    if (!p)
        printf("# %s\n", e.text);
    CHECK(p != NULL);
    return p;
}

/* The prompt's text in a body; the caller frees. */
static char *text_of(const struct prompts_body *b) {
    cJSON *o = cJSON_ParseWithLength(b->json.data, b->json.len);
    const cJSON *messages = cJSON_GetObjectItemCaseSensitive(o, "messages");
    const cJSON *text = messages
        ? cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(messages, 0), "content")
        : cJSON_GetObjectItemCaseSensitive(o, "prompt");
    char *copy = mem_strdup(cJSON_IsString(text) ? text->valuestring : "(no text)");
    cJSON_Delete(o);
    return copy;
}

static int64_t words_in(const char *text) {
    int64_t n = 0;
    for (; *text; text++)
        n += *text == ' ';
    return n;
}

/* Bytes that two texts begin with, as whole words. */
static int64_t common_words(const char *a, const char *b) {
    int64_t n = 0;
    size_t i = 0;
    for (; a[i] && a[i] == b[i]; i++)
        n += a[i] == ' ';
    return a[i] || b[i] ? n - 1 : n;
}

static void words_are_plain_and_sorted(void) {
    for (int i = 0; i < WORDS_COUNT; i++) {
        CHECK(strlen(words_list[i]) >= 2);
        CHECK(strspn(words_list[i], "abcdefghijklmnopqrstuvwxyz") == strlen(words_list[i]));
        CHECK(!i || strcmp(words_list[i - 1], words_list[i]) < 0);
    }
}

static void a_body_is_what_the_api_wants(void) {
    struct prompts_body b = {0};
    struct prompts *p = make(&(struct prompts_options){
        .model = "a \"model\"", .prompt_tokens = 10, .output_tokens = 7, .seed = 1,
        .extra = "{\"temperature\":0,\"stop\":null}"});
    prompts_next(p, &b);
    cJSON *o = cJSON_ParseWithLength(b.json.data, b.json.len);
    CHECK_STR(cJSON_GetStringValue(cJSON_GetObjectItem(o, "model")), "a \"model\"");
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(o, "stream")));
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(o, "stream_options"),
                                           "include_usage")));
    CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(o, "max_tokens")), 7);
    CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(o, "min_tokens")), 7);
    CHECK(cJSON_IsTrue(cJSON_GetObjectItem(o, "ignore_eos")));
    CHECK_INT(cJSON_GetNumberValue(cJSON_GetObjectItem(o, "temperature")), 0);
    CHECK(cJSON_IsNull(cJSON_GetObjectItem(o, "stop")));
    CHECK_INT(b.input_tokens, 10);
    CHECK_INT(b.output_tokens, 7);
    cJSON_Delete(o);
    prompts_free(p);
    buf_free(&b.json);
}

static void lengths_need_not_be_forced(void) {
    struct prompts_body b = {0};
    struct prompts *p = make(&(struct prompts_options){
        .api = PROMPTS_COMPLETIONS, .prompt_tokens = 3, .output_tokens = 5, .no_force = 1});
    prompts_next(p, &b);
    cJSON *o = cJSON_ParseWithLength(b.json.data, b.json.len);
    CHECK(!cJSON_GetObjectItem(o, "model"));
    CHECK(!cJSON_GetObjectItem(o, "min_tokens") && !cJSON_GetObjectItem(o, "ignore_eos"));
    CHECK(cJSON_IsString(cJSON_GetObjectItem(o, "prompt")));
    CHECK(!cJSON_GetObjectItem(o, "messages"));
    cJSON_Delete(o);
    prompts_free(p);
    buf_free(&b.json);
}

static void prompts_share_their_prefix_only(void) {
    struct prompts_body b = {0};
    char *text[40];
    int shared = 0;
    struct prompts *p = make(&(struct prompts_options){
        .prompt_tokens = 50, .output_tokens = 1, .shared_prefix = 30, .prefixes = 4, .seed = 5});
    for (int i = 0; i < 40; i++) {
        prompts_next(p, &b);
        text[i] = text_of(&b);
        CHECK_INT(words_in(text[i]), 50);
    }
    for (int i = 1; i < 40; i++) {
        int64_t n = common_words(text[0], text[i]);
        CHECK(n < 5 || (n >= 30 && n < 35));
        shared += n >= 30;
    }
    CHECK(shared > 0 && shared < 39);
    for (int i = 0; i < 40; i++)
        free(text[i]);
    prompts_free(p);
    buf_free(&b.json);
}

static char *trace_text(struct prompts *p, const uint64_t *id, int64_t n, int64_t tokens) {
    struct prompts_body b = {0};
    struct req q = {.input_tokens = tokens, .output_tokens = 9, .block = id, .blocks = n};
    CHECK_INT(prompts_from_trace(p, &q, 16, &b), 0);
    CHECK_INT(b.input_tokens, tokens);
    CHECK_INT(b.output_tokens, 9);
    char *text = text_of(&b);
    CHECK_INT(words_in(text), tokens);
    buf_free(&b.json);
    return text;
}

static void blocks_are_always_the_same_text(void) {
    struct prompts *p = make(&(struct prompts_options){.seed = 1, .output_tokens = 1});
    char *a = trace_text(p, (uint64_t[]){7, 8, 9}, 3, 48);
    char *b = trace_text(p, (uint64_t[]){7, 8, UINT64_MAX}, 3, 48);
    char *c = trace_text(p, (uint64_t[]){7, 8, 9}, 3, 40);      /* the last block is cut off */
    char *d = trace_text(p, (uint64_t[]){7, 8}, 2, 40);         /* 8 tokens without a block */
    char *e = trace_text(p, (uint64_t[]){7, 8}, 2, 40);
    char *f = trace_text(p, (uint64_t[]){8, 7}, 2, 32);
    CHECK(common_words(a, b) >= 32 && common_words(a, b) < 36);
    CHECK_INT(common_words(a, c), 39);
    CHECK(!strncmp(a, c, strlen(c)));
    CHECK(common_words(d, e) >= 32 && common_words(d, e) < 36);
    CHECK(common_words(a, f) < 4);
    struct buf block = {0};
    prompts_block(1, 8, 16, &block);
    CHECK(!strncmp(f, block.data, block.len));
    buf_free(&block);
    char *all[] = {a, b, c, d, e, f};
    for (int i = 0; i < 6; i++)
        free(all[i]);
    prompts_free(p);
}

static void lengths_alone_share_nothing(void) {
    struct prompts *p = make(&(struct prompts_options){.seed = 1, .output_tokens = 1});
    char *a = trace_text(p, NULL, REQS_UNKNOWN, 100);
    char *b = trace_text(p, NULL, REQS_UNKNOWN, 100);
    struct prompts_body none = {0};
    struct req q = {.input_tokens = REQS_UNKNOWN};
    CHECK(common_words(a, b) < 4);
    CHECK_INT(prompts_from_trace(p, &q, 16, &none), -1);
    free(a);
    free(b);
    prompts_free(p);
}

static void seeds_decide(void) {
    struct prompts_options o = {.prompt_tokens = 20, .output_tokens = 1, .shared_prefix = 8,
                                .prefixes = 3, .seed = 4};
    struct prompts *a = make(&o);
    struct prompts *b = make(&o);
    o.seed = 5;
    struct prompts *c = make(&o);
    struct prompts_body x = {0}, y = {0}, z = {0};
    for (int i = 0; i < 10; i++) {
        prompts_next(a, &x);
        prompts_next(b, &y);
        prompts_next(c, &z);
        CHECK(x.json.len == y.json.len && !memcmp(x.json.data, y.json.data, x.json.len));
        CHECK(x.json.len != z.json.len || memcmp(x.json.data, z.json.data, x.json.len) != 0);
    }
    prompts_free(a);
    prompts_free(b);
    prompts_free(c);
    buf_free(&x.json);
    buf_free(&y.json);
    buf_free(&z.json);
}

static void a_file_goes_round(void) {
    static const char lines[] =
        "{\"prompt\":\"one \\\"quoted\\\" \\u00e9\",\"output_length\":3}\n\n"
        "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":"
        "\"u\"}]}\n";
    char *path = scratch_path("prompts.jsonl");
    struct prompts_body b = {0};
    scratch_write(path, lines, sizeof lines - 1);
    struct prompts *p = make(&(struct prompts_options){.file = path, .output_tokens = 9});
    CHECK_INT(prompts_records(p), 2);
    prompts_next(p, &b);
    char *text = text_of(&b);
    CHECK_STR(text, "one \"quoted\" \303\251");
    CHECK_INT(b.output_tokens, 3);
    CHECK_INT(b.input_tokens, -1);
    free(text);
    prompts_next(p, &b);
    CHECK(strstr(b.json.data, "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},") != NULL);
    CHECK_INT(b.output_tokens, 9);
    prompts_next(p, &b);
    CHECK_INT(b.output_tokens, 3);
    prompts_free(p);
    buf_free(&b.json);
    free(path);
}

static void refuses(const char *lines, enum prompts_api api, const char *why) {
    char *path = scratch_path("bad.jsonl");
    struct err e = {{0}};
    scratch_write(path, lines, strlen(lines));
    CHECK(!prompts_new(&(struct prompts_options){.file = path, .api = api}, &e));
    if (!strstr(e.text, why))
        printf("# '%s' does not say '%s'\n", e.text, why);
    CHECK(strstr(e.text, why) != NULL);
    free(path);
}

static void bad_files_are_refused(void) {
    struct err e = {{0}};
    refuses("{\"prompt\":\"a\"}\nnonsense\n", PROMPTS_CHAT, "bad.jsonl:2: expected an object");
    refuses("{\"prompt\":3}\n", PROMPTS_CHAT, "bad.jsonl:1: expected");
    refuses("[]\n", PROMPTS_CHAT, "bad.jsonl:1: expected");
    refuses("\n\n", PROMPTS_CHAT, "no prompts");
    refuses("{\"messages\":[{\"role\":\"user\",\"content\":\"u\"}]}\n", PROMPTS_COMPLETIONS,
            "\"prompt\" (text)");
    CHECK(!prompts_new(&(struct prompts_options){.file = "/nonexistent/x"}, &e));
    CHECK(strstr(e.text, "/nonexistent/x") != NULL);
    CHECK(!prompts_new(&(struct prompts_options){.extra = "[1]"}, &e));
    CHECK(strstr(e.text, "JSON object") != NULL);
}

/* A word may lose its one token only at the front, where a vocabulary may or may not add a space
 * before the text. */
static void a_word_is_a_token(const char *path) {
    struct err e = {{0}};
    struct buf text = {0};
    struct ids ids = {0};
    struct gguf *g = access(path, R_OK) ? NULL : gguf_open(path, &e);
    if (!g)
        SKIP("the vocabulary is not there");
    struct vocab *v = vocab_open(g, &e);
    CHECK(v != NULL);
    for (uint64_t id = 0; id < 20 && v; id++) {
        text.len = 0;
        ids.n = 0;
        prompts_block(1, id, 512, &text);
        CHECK_INT(vocab_encode(v, text.data, text.len, 0, &ids, &e), 0);
        CHECK(ids.n == 512 || ids.n == 513);
    }
    vocab_free(v);
    gguf_close(g);
    buf_free(&text);
    free(ids.id);
}

int main(void) {
    RUN(words_are_plain_and_sorted);
    RUN(a_body_is_what_the_api_wants);
    RUN(lengths_need_not_be_forced);
    RUN(prompts_share_their_prefix_only);
    RUN(blocks_are_always_the_same_text);
    RUN(lengths_alone_share_nothing);
    RUN(seeds_decide);
    RUN(a_file_goes_round);
    RUN(bad_files_are_refused);
    RUN_NAMED("a_word_is_a_token_tiny-moe",
              a_word_is_a_token("examples/models/tiny-moe-f16.gguf"));
    static const char *const vocab[] = {"gpt-2", "llama-spm", "phi-3", "deepseek-coder"};
    for (int i = 0; i < 4; i++) {
        char *path = mem_printf("../shared/data/vocab/ggml-vocab-%s.gguf", vocab[i]);
        char *name = mem_printf("a_word_is_a_token_%s", vocab[i]);
        RUN_NAMED(name, a_word_is_a_token(path));
        free(path);
        free(name);
    }
    scratch_remove();
    return check_done();
}
