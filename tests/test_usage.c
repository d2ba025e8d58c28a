/* test_usage.c - usage out of every format: fixtures in the words of their sources
 *
 * A record is compared as a line of text: amounts in the order in which they come, then what else
 * it says. Fixtures follow the public documentation of each API, and for session logs what ccusage
 * does with them.
 */
#include "tests/check.h"

#include <unistd.h>

#include "lib/base/date.h"
#include "lib/cost/usage.h"
#include "lib/format/zio.h"
#include "tests/random.h"
#include "tests/scratch.h"

static struct usage_options opt;

static void add_text(struct buf *b, const char *name, const struct reqs_text *t) {
    if (t->data)
        buf_printf(b, " %s=%.*s", name, (int)t->len, t->data);
}

static void add_amount(struct buf *b, const struct usage_amount *a) {
    buf_printf(b, "%s%s", b->len && b->data[b->len - 1] != '\n' ? " " : "",
               usage_kind_names()[a->kind]);
    if (a->modality)
        buf_printf(b, ".%s", usage_modality_names()[a->modality]);
    if (a->ttl_ns)
        buf_printf(b, ".%dm", (int)(a->ttl_ns / 60000000000));
    buf_printf(b, " %lld", (long long)a->quantity);
}

/* A record as a line; the request, which each has, is left out. */
static void show(struct buf *b, const struct usage *u) {
    char date[DATE_TEXT];
    for (int i = 0; i < u->n; i++)
        if (u->amount[i].kind != USAGE_REQUEST)
            add_amount(b, &u->amount[i]);
    CHECK_INT(usage_sum(u, USAGE_REQUEST), 1);
    add_text(b, "id", &u->id);
    add_text(b, "model", &u->model);
    add_text(b, "session", &u->session);
    add_text(b, "service", &u->service);
    add_text(b, "region", &u->region);
    add_text(b, "speed", &u->speed);
    if (u->time_ns != USAGE_NO_TIME)
        buf_printf(b, " %s", date_text(u->time_ns, date));
    if (u->offset_ns != USAGE_NO_TIME)
        buf_printf(b, " +%lld", (long long)u->offset_ns);
    buf_addc(b, '\n');
}

static struct usage_totals totals;

/* All records of the files, a line each; an error is the last line. */
static char *read_files(char *const *path, int n) {
    struct buf out = {0};
    struct err e = {{0}};
    struct usage u;
    int rc = -1;
    struct usages *in = usage_open_files(path, n, &opt, &e);
    while (in && (rc = usage_next(in, &u, &e)) == 1)
        show(&out, &u);
    totals = in ? *usage_totals(in) : (struct usage_totals){0};
    if (rc < 0) {
        char *base = strrchr(e.text, '/');
        buf_printf(&out, "%s\n", base ? base + 1 : e.text);
    }
    usage_close(in);
    return out.data ? out.data : mem_strdup("");
}

static void write_file(const char *path, const char *text, size_t len) {
    struct zio *z = zio_open_write(path, NULL);
    zio_write(z, text, len, NULL);
    CHECK_INT(zio_close(z, NULL), 0);
}

static void expect_bytes(const char *text, size_t len, const char *want) {
    char *path = scratch_path("in");
    write_file(path, text, len);
    char *got = read_files(&path, 1);
    CHECK_STR(got, want);
    free(got);
    free(path);
}

static void expect(const char *text, const char *want) {
    expect_bytes(text, strlen(text), want);
}

/* ---- request records ----------------------------------------------------------------- */

static void requests(void) {
    expect("{\"timestamp\":1500,\"input_length\":100,\"output_length\":20,\"hash_ids\":[1,2],"
           "\"cached_tokens\":60,\"cache_write_tokens\":30,\"reasoning_tokens\":5,\"id\":7,"
           "\"session_id\":\"s\",\"model\":\"m\",\"type\":\"request\"}\n",
           "read 60 input 10 write 30 output 15 reasoning 5 id=7 model=m session=s "
           "+1500000000\n");
    expect("{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, "
           "\"hash_ids\": [0, 1, 2]}\r\n"
           "{\"timestamp\":27482,\"input_length\":1,\"output_length\":0}",
           "input 6758 output 500 +0\ninput 1 +27482000000\n");
    expect("{\"type\":\"run\",\"model\":\"m\",\"timestamp\":5}\n"
           "{\"type\":\"step\",\"tokens\":3,\"input_length\":9}\n"
           "{\"id\":1,\"text\":\"a\",\"input_length\":3,\"output_length\":2,\"stop\":\"eos\","
           "\"cached_tokens\":0,\"model\":\"tiny\",\"timestamp\":3,"
           "\"time\":\"2026-11-24T17:12:28.123Z\",\"total_ms\":1.5}\n"
           "{\"id\":2,\"error\":\"too long\"}\n",
           "input 3 output 2 id=1 model=tiny 2026-11-24T17:12:28Z\n");
    CHECK_INT(totals.other, 3);
    expect("{\"input_toks\":3,\"output_toks\":2,\"arrival_time_ns\":46926808,"
           "\"input_tok_ids\":[5,6,7,8]}\n{\"prompt_token_ids\":[1,2],\"output_token_ids\":[3]}\n",
           "input 4 output 2 +46926808\ninput 2 output 1\n");
    expect("{\"chat_id\":1,\"parent_chat_id\":-1,\"timestamp\":61.5,\"type\":\"text\","
           "\"input_length\":5,\"output_length\":1}\n", "input 5 output 1 +61500000000\n");
    expect("{\"timestamp\":1767225600000,\"input_length\":5,\"output_length\":1,"
           "\"service\":\"batch\",\"region\":\"eu\",\"speed\":\"fast\"}\n",
           "input 5 output 1 service=batch region=eu speed=fast 2026-01-01\n");
}

static void start_of_a_trace(void) {
    CHECK_INT(date_parse("2026-01-15", 10, &opt.start_ns), 0);
    expect("{\"timestamp\":3600000,\"input_length\":5,\"output_length\":1}\n",
           "input 5 output 1 2026-01-15T01:00:00Z +3600000000000\n");
    expect("TIMESTAMP,ContextTokens,GeneratedTokens\n10.5,3,4\n20.5,5,6\n",
           "input 3 output 4 2026-01-15 +0\ninput 5 output 6 2026-01-15T00:00:10Z +10000000000\n");
    opt.start_ns = 0;
}

static void tables(void) {
    expect("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n"
           "2023-11-16 18:17:04.0319600,3180,8\r\n",
           "input 4808 output 10 2023-11-16T18:17:03Z\ninput 3180 output 8 2023-11-16T18:17:04Z\n");
    expect("\xEF\xBB\xBFid;model;session;prompt_tokens;cached_tokens;completion_tokens\n"
           "a;m;s;10;4;2\n", "read 4 input 6 output 2 id=a model=m session=s\n");
    expect("prompt_tokens,cached_tokens,output_tokens\n10,11,2\n",
           "in:2: 11 cached tokens of 10 input tokens: expected no more than that\n");
    expect("12\n13\n", "in:1: block ids alone: expected lengths of requests\n");
    expect("hello\n", "in:1:1: expected JSON Lines, block ids, or CSV whose header names one "
                      "column of input tokens, found 'hello'\n");
}

/* ---- providers ----------------------------------------------------------------------- */

static void openai(void) {
    expect("{\"prompt_tokens\":2006,\"completion_tokens\":300,\"total_tokens\":2306,"
           "\"prompt_tokens_details\":{\"cached_tokens\":1920,\"audio_tokens\":0},"
           "\"completion_tokens_details\":{\"reasoning_tokens\":200,\"audio_tokens\":0,"
           "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}\n",
           "read 1920 input 86 output 100 reasoning 200\n");
    expect("{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1767225600,"
           "\"model\":\"gpt-4o-audio-preview\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
           "\"assistant\",\"content\":\"{\\\"usage\\\":1}\"}}],\"usage\":{\"prompt_tokens\":50,"
           "\"completion_tokens\":40,\"prompt_tokens_details\":{\"audio_tokens\":30,"
           "\"cached_tokens\":10},\"completion_tokens_details\":{\"audio_tokens\":25,"
           "\"reasoning_tokens\":0}},\"service_tier\":\"default\"}\n",
           "read 10 input 10 input.audio 30 output 15 output.audio 25 id=chatcmpl-1 "
           "model=gpt-4o-audio-preview 2026-01-01\n");
    expect("{\"id\":\"resp_1\",\"created_at\":1767225601.0,\"model\":\"gpt-5.4\",\"output\":[],"
           "\"service_tier\":\"flex\",\"usage\":{\"input_tokens\":100,\"input_tokens_details\":"
           "{\"cached_tokens\":40},\"output_tokens\":30,\"output_tokens_details\":"
           "{\"reasoning_tokens\":10},\"total_tokens\":130}}\n",
           "read 40 input 60 output 20 reasoning 10 id=resp_1 model=gpt-5.4 service=flex "
           "2026-01-01T00:00:01Z\n");
    expect("{\"id\":\"batch_req_1\",\"custom_id\":\"q1\",\"response\":{\"status_code\":200,"
           "\"request_id\":\"x\",\"body\":{\"id\":\"chatcmpl-2\",\"model\":\"gpt-5.4\",\"usage\":"
           "{\"prompt_tokens\":9,\"completion_tokens\":1}}},\"error\":null}\n"
           "{\"id\":\"batch_req_2\",\"custom_id\":\"q2\",\"response\":null,\"error\":{\"code\":"
           "\"x\"}}\n",
           "input 9 output 1 id=q1 model=gpt-5.4 service=batch\n");
    CHECK_INT(totals.other, 1);
    /* Realtime: modalities of cached tokens are told. Transcription: seconds. */
    expect("{\"type\":\"response.done\",\"response\":{\"id\":\"r\",\"usage\":{\"total_tokens\":253,"
           "\"input_tokens\":132,\"output_tokens\":121,\"input_token_details\":"
           "{\"text_tokens\":119,\"audio_tokens\":13,\"image_tokens\":0,\"cached_tokens\":64,"
           "\"cached_tokens_details\":{\"text_tokens\":60,\"audio_tokens\":4,\"image_tokens\":0}},"
           "\"output_token_details\":{\"text_tokens\":30,\"audio_tokens\":91}}}}\n"
           "{\"text\":\"hi\",\"usage\":{\"type\":\"duration\",\"seconds\":27.5}}\n",
           "read 60 read.audio 4 input 59 input.audio 9 output 30 output.audio 91 id=r\n"
           "second.audio 27500000000\n");
}

static void compatible(void) {
    /* DeepSeek names its hits; xAI reasons beside the output, as its total says. */
    expect("{\"prompt_tokens\":100,\"completion_tokens\":10,\"prompt_cache_hit_tokens\":64,"
           "\"prompt_cache_miss_tokens\":36,\"total_tokens\":110}\n",
           "read 64 input 36 output 10\n");
    expect("{\"usage\":{\"prompt_tokens\":32,\"completion_tokens\":9,\"total_tokens\":135,"
           "\"completion_tokens_details\":{\"reasoning_tokens\":94}}}\n",
           "input 32 output 9 reasoning 94\n");
    /* LiteLLM: Anthropic's words, but prompt_tokens holds them. */
    expect("{\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":9,"
           "\"cache_creation_input_tokens\":20,\"cache_read_input_tokens\":70}}\n",
           "read 70 input 10 write 20 output 9\n");
    expect("{\"usage\":null,\"id\":\"chunk\"}\n", "");
}

static void anthropic(void) {
    expect("{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
           "\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"text\",\"text\":\"\\u00e9\"}],"
           "\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":100,"
           "\"cache_read_input_tokens\":1000,\"cache_creation\":{\"ephemeral_5m_input_tokens\":60,"
           "\"ephemeral_1h_input_tokens\":40},\"output_tokens\":7,\"service_tier\":\"priority\","
           "\"server_tool_use\":{\"web_search_requests\":3,\"web_fetch_requests\":1},"
           "\"inference_geo\":\"us\",\"speed\":\"fast\"}}\n",
           "input 10 read 1000 write.5m 60 write.60m 40 output 7 search 3 id=msg_1 "
           "model=claude-sonnet-4-5-20250929 service=priority region=us speed=fast\n");
    expect("{\"input_tokens\":10,\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":0,"
           "\"output_tokens\":7,\"service_tier\":\"standard\",\"inference_geo\":\"global\"}\n",
           "input 10 write 100 output 7\n");
    expect("{\"custom_id\":\"a\",\"result\":{\"type\":\"succeeded\",\"message\":{\"id\":\"msg_2\","
           "\"model\":\"claude-x\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}}\n",
           "input 1 output 2 id=a model=claude-x service=batch\n");
    expect("{\"input_tokens\":10,\"cache_creation_input_tokens\":50,\"cache_read_input_tokens\":0,"
           "\"cache_creation\":{\"ephemeral_5m_input_tokens\":60},\"output_tokens\":7}\n",
           "in:1: 60 tokens by the cache's life of 50 written tokens: expected no more than "
           "that\n");
}

static void gemini(void) {
    expect("{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":1000,"
           "\"cachedContentTokenCount\":600,\"candidatesTokenCount\":50,\"thoughtsTokenCount\":25,"
           "\"toolUsePromptTokenCount\":7,\"totalTokenCount\":1082,\"promptTokensDetails\":["
           "{\"modality\":\"TEXT\",\"tokenCount\":700},{\"modality\":\"IMAGE\",\"tokenCount\":258},"
           "{\"modality\":\"AUDIO\",\"tokenCount\":42}],\"cacheTokensDetails\":[{\"modality\":"
           "\"TEXT\",\"tokenCount\":342},{\"modality\":\"IMAGE\",\"tokenCount\":258}]},"
           "\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"r1\",\"createTime\":"
           "\"2026-02-03T04:05:06.789Z\"}\n",
           "input 365 read 342 read.image 258 input.audio 42 output 50 reasoning 25 id=r1 "
           "model=gemini-2.5-flash 2026-02-03T04:05:06Z\n");
    expect("{\"usage_metadata\":{\"prompt_token_count\":8,\"candidates_token_count\":5,"
           "\"prompt_tokens_details\":[{\"modality\":\"DOCUMENT\",\"token_count\":8}]},"
           "\"model_version\":\"gemini-3-pro\"}\n",
           "input 8 output 5 model=gemini-3-pro\n");
}

/* Streamed, an answer is an array of pieces, each with the counts so far. */
static void gemini_stream(void) {
    expect("[{\"usageMetadata\":{\"promptTokenCount\":8,\"totalTokenCount\":8},"
           "\"responseId\":\"r\"}\n,\r\n"
           "{\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":3},"
           "\"responseId\":\"r\"}\n,\n{\"usageMetadata\":{\"promptTokenCount\":8,"
           "\"candidatesTokenCount\":5},\"responseId\":\"r\",\"modelVersion\":\"g\"}\n]\n"
           "[{\"usageMetadata\":{\"promptTokenCount\":2},\"responseId\":\"s\"}]",
           "input 8 output 5 id=r model=g\ninput 2 id=s\n");
}

/* ---- session logs -------------------------------------------------------------------- */

#define CLAUDE(id, request, more, in, out) \
    "{\"type\":\"assistant\",\"timestamp\":\"2026-01-09T10:00:00.000Z\",\"sessionId\":\"s1\"," \
    "\"message\":{\"role\":\"assistant\",\"id\":\"" id "\",\"model\":\"claude-x\",\"content\":[]," \
    "\"usage\":{\"input_tokens\":" in ",\"output_tokens\":" out "}},\"requestId\":\"" request "\"" \
    more ",\"costUSD\":0.12}\n"
#define CLAUDE_TAIL " model=claude-x session=s1 2026-01-09T10:00:00Z\n"

static void claude_code(void) {
    /* A message is logged once for each block; the most tokens are meant. Others stand between. */
    expect("{\"type\":\"summary\",\"summary\":\"x\"}\n"
           "{\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":\"hi\"},"
           "\"timestamp\":\"2026-01-09T09:59:00.000Z\",\"toolUseResult\":{\"usage\":"
           "{\"input_tokens\":5,\"output_tokens\":5}}}\n"
           "{\"type\":\"progress\",\"data\":{\"message\":{\"message\":{\"usage\":"
           "{\"input_tokens\":5,\"output_tokens\":5}}}}}\n"
           CLAUDE("m1", "r1", "", "3", "1") CLAUDE("m2", "r2", "", "4", "4")
           CLAUDE("m1", "r1", "", "3", "9") CLAUDE("m1", "r1", "", "3", "8"),
           "input 3 output 9 id=m1" CLAUDE_TAIL "input 4 output 4 id=m2" CLAUDE_TAIL);
    CHECK_INT(totals.repeated, 2);
    CHECK_INT(totals.other, 3);
    /* Of one id, requests tell messages apart, but not from the copy of a side chain, which yields
     * however much it says. */
    expect(CLAUDE("m1", "r1", "", "3", "1") CLAUDE("m1", "r2", "", "4", "1")
           CLAUDE("m1", "r3", ",\"isSidechain\":true", "90", "1"),
           "input 3 output 1 id=m1" CLAUDE_TAIL "input 4 output 1 id=m1" CLAUDE_TAIL);
    expect(CLAUDE("m1", "r3", ",\"isSidechain\":true", "90", "1")
           CLAUDE("m1", "r1", ",\"isSidechain\":false", "3", "1")
           CLAUDE("m2", "r4", ",\"isSidechain\":true", "7", "7"),
           "input 3 output 1 id=m1" CLAUDE_TAIL "input 7 output 7 id=m2" CLAUDE_TAIL);
    /* What the program itself said was no request. */
    expect("{\"type\":\"assistant\",\"timestamp\":\"2026-01-09T10:00:00.000Z\",\"message\":"
           "{\"id\":\"x\",\"model\":\"<synthetic>\",\"usage\":{\"input_tokens\":0,"
           "\"output_tokens\":0}}}\n", "");
}

static void claude_code_files(void) {
    char *path[] = {scratch_path("a.jsonl"), scratch_path("b.jsonl.zst")};
    const char *a = CLAUDE("m1", "r1", "", "3", "1") CLAUDE("m2", "r2", "", "4", "1");
    const char *b = CLAUDE("m2", "r2", "", "4", "1") CLAUDE("m1", "r1", "", "3", "2")
                    CLAUDE("m3", "r3", "", "5", "1");
    write_file(path[0], a, strlen(a));
    write_file(path[1], b, strlen(b));
    char *got = read_files(path, 2);
    CHECK_STR(got, "input 3 output 2 id=m1" CLAUDE_TAIL "input 4 output 1 id=m2" CLAUDE_TAIL
                   "input 5 output 1 id=m3" CLAUDE_TAIL);
    CHECK_INT(totals.repeated, 2);
    CHECK_INT(totals.records, 3);
    free(got);
    free(path[0]);
    free(path[1]);
}

#define USED(in, cached, out, reasoning) \
    "{\"input_tokens\":" in ",\"cached_input_tokens\":" cached ",\"output_tokens\":" out "," \
    "\"reasoning_output_tokens\":" reasoning ",\"total_tokens\":1}"
#define WROTE(in, cached, written) \
    "{\"input_tokens\":" in ",\"cached_input_tokens\":" cached "," \
    "\"cache_write_input_tokens\":" written ",\"output_tokens\":9}"
#define CODEX(time, info) \
    "{\"timestamp\":\"2026-05-13T09:" time ".000Z\",\"type\":\"event_msg\",\"payload\":" \
    "{\"type\":\"token_count\",\"info\":{" info "},\"rate_limits\":{}}}\n"
#define TURN "{\"timestamp\":\"2026-05-13T09:00:00.000Z\",\"type\":\"turn_context\"," \
             "\"payload\":{\"model\":\"gpt-5.2-codex\"}}\n"
#define CODEX_TAIL(time) " model=gpt-5.2-codex session=u1 2026-05-13T09:" time "Z\n"
#define META "{\"timestamp\":\"2026-05-13T09:00:00.000Z\",\"type\":\"session_meta\"," \
             "\"payload\":{\"id\":\"u1\",\"cwd\":\"/\"}}\n"

static void codex(void) {
    expect(META TURN
           CODEX("01:00", "\"last_token_usage\":" USED("1000", "250", "125", "75") ","
                          "\"total_token_usage\":" USED("1000", "250", "125", "75"))
           /* Only rate limits changed. */
           CODEX("01:05", "\"last_token_usage\":" USED("1000", "250", "125", "75") ","
                          "\"total_token_usage\":" USED("1000", "250", "125", "75"))
           CODEX("02:00", "\"total_token_usage\":" USED("3000", "1250", "325", "175"))
           "{\"timestamp\":\"2026-05-13T09:03:00Z\",\"type\":\"event_msg\",\"payload\":"
           "{\"type\":\"token_count\",\"info\":null}}\n"
           "{\"timestamp\":\"2026-05-13T09:03:00Z\",\"type\":\"response_item\",\"payload\":"
           "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n",
           "read 250 input 750 output 50 reasoning 75" CODEX_TAIL("01:00")
           "read 1000 input 1000 output 100 reasoning 100" CODEX_TAIL("02:00"));
    CHECK_INT(totals.repeated, 1);
    CHECK_INT(totals.other, 5);
    /* More cached than there was input: as ccusage, all of it was cached. */
    expect(META TURN CODEX("01:00", "\"last_token_usage\":" USED("10", "25", "1", "0")),
           "read 10 output 1" CODEX_TAIL("01:00"));
    expect(TURN CODEX("01:00", "\"last_token_usage\":" USED("10", "0", "1", "0")),
           "input 10 output 1 model=gpt-5.2-codex session=in 2026-05-13T09:01:00Z\n");
    /* A thread's log begins with a copy of the one that spawned it. */
    expect("{\"type\":\"session_meta\",\"payload\":{\"id\":\"u1\",\"source\":{\"subagent\":"
           "{\"thread_spawn\":{\"parent_thread_id\":\"u0\"}}}}}\n" TURN
           CODEX("01:00", "\"total_token_usage\":" USED("100", "0", "1", "0"))
           CODEX("01:00", "\"total_token_usage\":" USED("200", "0", "2", "0"))
           CODEX("01:07", "\"total_token_usage\":" USED("250", "0", "5", "0")),
           "input 50 output 3" CODEX_TAIL("01:07"));
    /* What is written to the cache is part of the input: as it is since GPT-5.6 and Codex 0.145. */
    expect(META TURN CODEX("01:00", "\"last_token_usage\":" WROTE("100", "40", "30") ","
                           "\"total_token_usage\":" WROTE("100", "40", "30"))
           CODEX("02:00", "\"total_token_usage\":" WROTE("300", "60", "200"))
           CODEX("03:00", "\"last_token_usage\":" WROTE("10", "4", "8")),
           "read 40 input 30 write 30 output 9" CODEX_TAIL("01:00")
           "read 20 input 10 write 170" CODEX_TAIL("02:00")
           "read 4 write 6 output 9" CODEX_TAIL("03:00"));
}

static void codex_files(void) {
    char *path[] = {scratch_path("a.jsonl"), scratch_path("b.jsonl")};
    const char *a = META TURN CODEX("01:00", "\"total_token_usage\":" USED("100", "10", "20", "2"));
    const char *b = META TURN CODEX("01:00", "\"total_token_usage\":" USED("100", "10", "20", "2"))
                    CODEX("02:00", "\"total_token_usage\":" USED("160", "30", "45", "4"));
    write_file(path[0], a, strlen(a));
    write_file(path[1], b, strlen(b));
    char *got = read_files(path, 2);
    CHECK_STR(got, "read 10 input 90 output 18 reasoning 2" CODEX_TAIL("01:00")
                   "read 20 input 40 output 23 reasoning 2" CODEX_TAIL("02:00"));
    free(got);
    free(path[0]);
    free(path[1]);
    /* codex exec --json: the model is said, or was said before. */
    expect("{\"type\":\"turn.completed\",\"timestamp\":\"2026-01-02T03:04:05.000Z\",\"model\":"
           "\"gpt-5.2-codex\",\"usage\":{\"input_tokens\":120,\"cached_input_tokens\":20,"
           "\"output_tokens\":30,\"total_tokens\":150}}\n"
           "{\"type\":\"result\",\"data\":{\"timestamp\":\"2026-01-02T03:05:05.000Z\","
           "\"model_name\":\"gpt-5.2-codex\",\"usage\":{\"prompt_tokens\":50,\"cached_tokens\":5,"
           "\"completion_tokens\":12}}}\n",
           "read 20 input 100 output 30 model=gpt-5.2-codex 2026-01-02T03:04:05Z\n"
           "read 5 input 45 output 12 model=gpt-5.2-codex 2026-01-02T03:05:05Z\n");
}

/* ---- documents and bad days ---------------------------------------------------------- */

static void documents(void) {
    expect("{\n  \"id\": \"a\",\n  \"usage\": {\n    \"prompt_tokens\": 3,\r\n"
           "    \"completion_tokens\": 4\n  }\n}\n{\"prompt_tokens\":1,\"completion_tokens\":1}\n"
           "{\n\"prompt_tokens\":2,\n\"completion_tokens\":2}",
           "input 3 output 4 id=a\ninput 1 output 1\ninput 2 output 2\n");
    expect("[{\"prompt_tokens\":1,\"completion_tokens\":1}, 5,\n {\"x\":1},\n"
           "{\"prompt_tokens\":2,\n\"completion_tokens\":2}]\n{\"prompt_tokens\":3}\n[]\n",
           "input 1 output 1\ninput 2 output 2\ninput 3\n");
    CHECK_INT(totals.other, 2);
    expect("{\n\n  \"prompt_tokens\": 3,\n \"completion_tokens\": -4\n}\n",
           "in:4:23: expected a number of tokens: an integer from 0 to 2^40, found '-4 }'\n");
    expect("[\n{\"prompt_tokens\": 3},\n{\"prompt_tokens\":3,\"cached_tokens\":4}]\n",
           "input 3\nin:3: 4 cached tokens of 3 input tokens: expected no more than that\n");
    expect("{\"prompt_tokens\": 3,\n\"completion_tokens\" 4}\n",
           "in:2:21: expected ':', found '4}'\n");
    expect("{\"prompt_tokens\": 3,\n\"completion_tokens\":4\n",
           "in:2:22: expected ',' or '}', found the end of the line\n");
    expect("{\"prompt_tokens\":3} x\n", "in:1:21: expected the end of the line, found 'x'\n");
}

static void wrong_numbers(void) {
    static const struct { const char *text, *error; } cases[] = {
        {"{\"input_length\":-5,\"output_length\":1}",
         "in:1:17: expected a number of tokens: an integer from 0 to 2^40, found "
         "'-5,\"output_length\":1}'\n"},
        {"{\"input_length\":5,\"output_length\":1.5}",
         "in:1:35: expected a number of tokens: an integer from 0 to 2^40, found '1.5}'\n"},
        {"{\"input_length\":5,\"output_length\":1,\"cached_tokens\":6}",
         "in:1: 6 cached tokens of 5 input tokens: expected no more than that\n"},
        {"{\"input_length\":5,\"cached_tokens\":3,\"cache_write_tokens\":3}",
         "in:1: 3 written tokens of 2 input tokens not cached: expected no more than that\n"},
        {"{\"input_length\":5,\"output_length\":1,\"reasoning_tokens\":2}",
         "in:1: 2 reasoning tokens of 1 output tokens: expected no more than that\n"},
        {"{\"usage\":{\"prompt_tokens\":5,\"prompt_tokens_details\":{\"audio_tokens\":6}}}",
         "in:1: 6 audio, image and video tokens of 5 input tokens: expected no more than that\n"},
        {"{\"input_length\":5,\"timestamp\":\"noon\"}",
         "in:1:31: expected a time as in 2026-11-24T17:12:28Z, found '\"noon\"}'\n"},
        {"{\"input_length\":1099511627777}",
         "in:1:17: expected a number of tokens: an integer from 0 to 2^40, found "
         "'1099511627777}'\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].text, cases[i].error);
    /* A number that nobody counts breaks nothing. */
    expect("{\"type\":\"step\",\"input_length\":-5}\n{\"time\":\"noon\"}\n", "");
}

static void skipped(void) {
    opt.skip_bad = 1;
    expect("{\"input_length\":5,\"output_len\n{\"input_length\":6}\n\n{\"input_length\":-1}\nx\n"
           "[{\"input_length\":7},{\"input_length\":-1},{\"input_length\":8}]\n{\n"
           "\"input_length\"\n{\"input_length\":9}\n", "input 6\ninput 7\ninput 8\ninput 9\n");
    CHECK_INT(totals.bad, 6);
    expect("input_tokens,output_tokens\n1,2\n-1,2\n3,4\n", "input 1 output 2\ninput 3 output 4\n");
    CHECK_INT(totals.bad, 1);
    opt.skip_bad = 0;
}

static void nothing(void) {
    expect("", "");
    expect("\n \n\r\n", "");
    expect("\xEF\xBB\xBF{\"input_length\":5}\n", "input 5\n");
    expect_bytes("{\"input_length\":5}\0\n", 20,
                 "in:1:19: expected the end of the line, found a NUL byte\n");
    char *path[] = {scratch_path("absent")};
    char *got = read_files(path, 1);
    CHECK_STR(got, "absent: No such file or directory\n");
    free(got);
    free(path[0]);
}

static void long_lines(void) {
    struct buf b = {0};
    struct buf nest = {0};
    buf_adds(&b, "{\"text\":\"");
    for (int i = 0; i < 10000000; i++)
        buf_addc(&b, (char)('a' + i % 26));
    buf_adds(&b, "\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n");
    expect_bytes(b.data, b.len, "input 3 output 4\n");
    buf_free(&b);
    /* Objects that could nest for ever end at the depth that JSON may have here. */
    for (int i = 0; i < 1000; i++)
        buf_adds(&nest, "{\"response\":");
    buf_adds(&nest, "1");
    for (int i = 0; i < 1000; i++)
        buf_addc(&nest, '}');
    expect_bytes(nest.data, nest.len, "");
    buf_free(&nest);
}

/* ---- amounts ------------------------------------------------------------------------- */

static void amounts(void) {
    struct usage u = {.n = 0};
    CHECK_INT(usage_add(&u, USAGE_INPUT, 0, 0, 5), 0);
    CHECK_INT(usage_add(&u, USAGE_INPUT, 0, 0, 7), 0);
    CHECK_INT(usage_add(&u, USAGE_INPUT, USAGE_AUDIO, 0, 1), 0);
    CHECK_INT(usage_add(&u, USAGE_WRITE, 0, 60, 2), 0);
    CHECK_INT(usage_add(&u, USAGE_WRITE, 0, 0, 3), 0);
    CHECK_INT(usage_add(&u, USAGE_OUTPUT, 0, 0, 0), 0);
    CHECK_INT(u.n, 4);
    CHECK_INT(usage_sum(&u, USAGE_INPUT), 13);
    CHECK_INT(usage_prompt(&u), 18);
    CHECK_INT(usage_add(&u, USAGE_INPUT, 0, 0, USAGE_MOST), -1);
    CHECK_INT(usage_add(&u, USAGE_INPUT, 0, 0, -13), -1);
    for (int i = 0; i < USAGE_AMOUNTS - 4; i++)
        CHECK_INT(usage_add(&u, USAGE_WRITE, 1, i, 1), 0);
    CHECK_INT(usage_add(&u, USAGE_WRITE, 2, 0, 1), -1);
    CHECK_INT(usage_sum(&u, USAGE_INPUT), 13);
}

/* One request in the words of three providers is one and the same usage. */
static void one_request(void) {
    state = 1;
    for (int i = 0; i < 200; i++) {
        int fresh = below(1000);
        int read = below(1000);
        int written = below(1000);
        int out = 1 + below(1000);
        char *text = mem_printf(
            "{\"input_length\":%d,\"cached_tokens\":%d,\"cache_write_tokens\":%d,"
            "\"output_length\":%d}\n{\"usage\":{\"input_tokens\":%d,\"cache_read_input_tokens\":%d,"
            "\"cache_creation_input_tokens\":%d,\"output_tokens\":%d}}\n{\"usage\":{"
            "\"prompt_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":%d,"
            "\"cache_write_tokens\":%d},\"completion_tokens\":%d}}\n",
            fresh + read + written, read, written, out, fresh, read, written, out,
            fresh + read + written, read, written, out);
        char *path = scratch_path("in");
        struct usage u;
        struct err e = {{0}};
        write_file(path, text, strlen(text));
        struct usages *in = usage_open(path, &opt, &e);
        for (int k = 0; k < 3; k++) {
            CHECK_INT(usage_next(in, &u, &e), 1);
            CHECK_INT(usage_sum(&u, USAGE_INPUT), fresh);
            CHECK_INT(usage_sum(&u, USAGE_READ), read);
            CHECK_INT(usage_sum(&u, USAGE_WRITE), written);
            CHECK_INT(usage_sum(&u, USAGE_OUTPUT), out);
        }
        CHECK_INT(usage_next(in, &u, &e), 0);
        usage_close(in);
        free(text);
        free(path);
    }
}

int main(void) {
    RUN(requests);
    RUN(start_of_a_trace);
    RUN(tables);
    RUN(openai);
    RUN(compatible);
    RUN(anthropic);
    RUN(gemini);
    RUN(gemini_stream);
    RUN(claude_code);
    RUN(claude_code_files);
    RUN(codex);
    RUN(codex_files);
    RUN(documents);
    RUN(wrong_numbers);
    RUN(skipped);
    RUN(nothing);
    RUN(long_lines);
    RUN(amounts);
    RUN(one_request);
    scratch_remove();
    return check_done();
}
