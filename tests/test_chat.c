/* test_chat.c - chat templates against what llama.cpp writes (tests/reference/chat.jsonl), the
 * joining of a conversation that grows turn by turn, and recognising templates */
#include "lib/model/chat.h"

#include <cjson/cJSON.h>

#include "tests/check.h"
#include "tests/scratch.h"

static const char *string(const cJSON *array, int i) {
    return cJSON_GetArrayItem(array, i)->valuestring;
}

static void write_conversation(const struct chat *c, const cJSON *messages, struct buf *out) {
    struct chat_state st = {0};
    const cJSON *m;
    cJSON_ArrayForEach(m, messages)
        chat_turn(c, &st, string(m, 0), string(m, 1), out);
    chat_open_reply(c, &st, out);
    buf_free(&st.pending);
}

/* Templates add what opens a reply even when the conversation gives no cause for it. */
static void matches_reference(void) {
    FILE *f = fopen("tests/reference/chat.jsonl", "r");
    CHECK(f != NULL);
    if (!f)
        return;
    char *line = NULL;
    size_t cap = 0;
    int n = 0;
    while (getline(&line, &cap, f) > 0) {
        cJSON *j = cJSON_Parse(line);
        const char *family = cJSON_GetObjectItem(j, "family")->valuestring;
        const struct chat *c = chat_by_name(family);
        CHECK(c != NULL);
        if (c) {
            struct buf out = {0};
            write_conversation(c, cJSON_GetObjectItem(j, "messages"), &out);
            int before = check_bad;
            CHECK_STR(out.data ? out.data : "", cJSON_GetObjectItem(j, "text")->valuestring);
            if (check_bad > before)
                printf("# family %s\n", family);
            buf_free(&out);
        }
        cJSON_Delete(j);
        n++;
    }
    free(line);
    fclose(f);
    CHECK(n >= 250);
}

/* In these the text of a reply that is being written is not that of one that was given: they
 * open it with a word that the given one has not, or say who speaks twice. */
static int opens_otherwise(const char *family) {
    return !strcmp(family, "bailing-think") || !strcmp(family, "yandex") ||
           !strcmp(family, "hunyuan-dense");
}

static void check_grows(const struct chat *c, int ended) {
    struct chat_state whole = {0};
    struct chat_state grown = {0};
    struct buf want = {0};
    struct buf got = {0};
    chat_turn(c, &whole, "system", "S", &want);
    chat_turn(c, &whole, "user", "U", &want);
    chat_turn(c, &grown, "system", "S", &got);
    chat_turn(c, &grown, "user", "U", &got);
    chat_open_reply(c, &grown, &got);
    size_t open = got.len;
    chat_turn(c, &whole, "assistant", "REPLY", &want);
    CHECK(!strncmp(want.data, got.data, open));
    /* What the model writes: the rest of the given reply, up to its end or beyond its last token. */
    const char *end = strstr(want.data + open, "REPLY") + 5;
    struct buf close = {0};
    struct chat_state copy = grown;
    chat_close_reply(c, &copy, 0, &close);
    if (ended) {
        struct buf tail = {0};
        copy = grown;
        chat_close_reply(c, &copy, 1, &tail);
        CHECK(tail.len <= close.len);
        end += close.len - tail.len;
        buf_free(&tail);
    }
    buf_free(&close);
    buf_add(&got, want.data + open, (size_t)(end - want.data) - open);
    chat_close_reply(c, &grown, ended, &got);
    chat_turn(c, &whole, "user", "V", &want);
    chat_turn(c, &grown, "user", "V", &got);
    CHECK_STR(got.data, want.data);
    buf_free(&whole.pending);
    buf_free(&grown.pending);
    buf_free(&want);
    buf_free(&got);
}

static void grows_to_the_whole(void) {
    int n = 0;
    for (const char *const *name = chat_names(); *name; name++, n++) {
        const struct chat *c = chat_by_name(*name);
        CHECK_STR(chat_name(c), *name);
        if (opens_otherwise(*name))
            continue;
        int before = check_bad;
        check_grows(c, 0);
        check_grows(c, 1);
        if (check_bad > before)
            printf("# family %s\n", *name);
    }
    CHECK(n > 50);
    CHECK(chat_by_name("nobody's") == NULL);
}

/* The family of a file with this template and EOS token; "" for none. */
static const char *detected(const char *template, const char *eos) {
    struct err err;
    struct gguf_string tokens[] = {{"a", 1}, {eos, strlen(eos)}};
    struct gguf_writer *w = gguf_writer_new(3, 32);
    char *path = scratch_path("chat.gguf");
    if (template)
        gguf_put_str(w, "tokenizer.chat_template", template);
    gguf_put_strs(w, "tokenizer.ggml.tokens", tokens, 2);
    gguf_put_int(w, "tokenizer.ggml.eos_token_id", GGUF_U32, 1);
    CHECK(gguf_writer_begin(w, path, &err) == 0 && gguf_writer_finish(w, &err) == 0);
    gguf_writer_free(w);
    struct gguf *g = gguf_open(path, &err);
    const struct chat *c = g ? chat_detect(g) : NULL;
    gguf_close(g);
    free(path);
    return c ? chat_name(c) : "";
}

static void recognises_templates(void) {
    CHECK_STR(detected(NULL, "</s>"), "");
    CHECK_STR(detected("", "</s>"), "");
    CHECK_STR(detected("{{ messages }}", "</s>"), "");
    CHECK_STR(detected("gemma", "</s>"), "gemma");
    CHECK_STR(detected("..<|im_start|>..", "</s>"), "chatml");
    CHECK_STR(detected("..<|im_start|>..<|im_sep|>", "</s>"), "phi4");
    CHECK_STR(detected("[INST] <<SYS>>", "</s>"), "llama2-sys");
    CHECK_STR(detected("[INST]..[AVAILABLE_TOOLS]", "</s>"), "mistral-v3");
    CHECK_STR(detected(" [INST]..[AVAILABLE_TOOLS]", "</s>"), "mistral-v1");
    CHECK_STR(detected("[SYSTEM_PROMPT] [INST]", "</s>"), "mistral-v7");
    CHECK_STR(detected("<|start_header_id|>..<|end_header_id|>", "x"), "llama3");
    CHECK_STR(detected("<|user|>..<|assistant|>..<|end|>", "x"), "phi3");
    CHECK_STR(detected("<start_of_turn>", "x"), "gemma");
    CHECK_STR(detected("<｜User｜><｜Assistant｜><｜end▁of▁sentence｜>", "x"), "deepseek3");
    const char *tulu = "{{ '<|user|>\n' + message['content'] + '\n' }}{{ '<|assistant|>\n'  + "
                       "message['content'] + eos_token }}";
    CHECK_STR(detected(tulu, "<|endoftext|>"), "olmo");
    CHECK_STR(detected(tulu, "|||IP_ADDRESS|||"), "olmoe");
    const char *zephyr = "{{ '<|user|>\n' + message['content'] + eos_token }}<|assistant|>";
    CHECK_STR(detected(zephyr, "</s>"), "zephyr-beta");
}

int main(void) {
    RUN(matches_reference);
    RUN(grows_to_the_whole);
    RUN(recognises_templates);
    scratch_remove();
    return check_done();
}
