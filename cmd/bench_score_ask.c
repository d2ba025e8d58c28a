/* bench_score_ask.c - puts questions to llm-run or to a server, and says what that took
 *
 * llm-run gets all prompts at once as JSON Lines and returns a result for each; loading the model
 * is no part of an answer's time or energy. A server gets as many requests at a time as
 * --parallel says. Where answers overlap, the time in which the machine was busy with them is
 * dealt out in proportion to how long each took; energy, which is counted for the whole machine,
 * likewise.
 */
#include "cmd/bench_score.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/progress.h"
#include "cmd/spawn.h"
#include "lib/base/clock.h"
#include "lib/bench/client.h"
#include "lib/format/jsonw.h"

static void fail(struct answer *a, const char *why) {
    free(a->failure);
    a->failure = mem_strdup(why);
}

/* ---- llm-run ------------------------------------------------------------------------------ */

static struct buf prompt_lines(const struct score_options *o, const struct way *w,
                               const struct asked *a) {
    struct buf lines = {0};
    for (size_t i = 0; i < a->n; i++) {
        char *prompt = score_prompt(a->answer[i].question, w);
        jsonw_open(&lines, '{');
        jsonw_int(&lines, "id", (int64_t)i);
        jsonw_str(&lines, "prompt", prompt);
        jsonw_int(&lines, "seed", o->seed + (int64_t)i);
        jsonw_close(&lines, '}');
        buf_addc(&lines, '\n');
        free(prompt);
    }
    return lines;
}


/* The command line of llm-run; numbers are allocated, all else is borrowed. */
static char **run_words(const struct score_options *o, char *program) {
    char **word = mem_array(32 + 2 * (size_t)o->stops, sizeof *word);
    int n = 0;
    word[n++] = program;
    word[n++] = mem_strdup("--jsonl");
    word[n++] = mem_strdup("-q");
    word[n++] = mem_printf("--model=%s", o->model);
    word[n++] = mem_printf("--tokens=%d", o->tokens);
    word[n++] = mem_printf("--temp=%.17g", o->temperature);
    word[n++] = mem_printf("--parallel=%d", o->parallel);
    if (o->chat)
        word[n++] = mem_strdup("--chat");
    if (o->common.threads)
        word[n++] = mem_printf("--threads=%d", o->common.threads);
    if (o->common.cpu)
        word[n++] = mem_printf("--cpu=%s", o->common.cpu);
    for (int i = 0; i < o->stops; i++)
        word[n++] = mem_printf("--stop=%s", o->stop[i]);
    return word;
}

static double number(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

/* A result line of llm-run; *first_ms and *last_ms widen to when it ran. */
static void take_result(struct answer *a, const cJSON *o, double *first_ms, double *last_ms) {
    const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "error"));
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "text"));
    const char *stop = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "stop"));
    double start = number(o, "timestamp");
    double total = number(o, "total_ms");
    if (error || !text || isnan(total) || isnan(number(o, "output_length"))) {
        fail(a, error ? error : "llm-run: a result without text or lengths");
        return;
    }
    a->text = mem_strdup(text);
    a->truncated = stop && (!strcmp(stop, "length") || !strcmp(stop, "context"));
    a->input = (int64_t)number(o, "input_length");
    a->output = (int64_t)number(o, "output_length");
    a->cached = (int64_t)fmax(0, number(o, "cached_tokens"));
    a->seconds = total / 1e3;
    *first_ms = fmin(*first_ms, start);
    *last_ms = fmax(*last_ms, start + total);
}

static void take_results(struct asked *asked, const struct buf *out, double *busy_s) {
    double first_ms = INFINITY;
    double last_ms = -INFINITY;
    size_t i = 0;
    for (const char *p = out->data; p && *p && i < asked->n; i++) {
        const char *end = strchr(p, '\n');
        cJSON *o = cJSON_ParseWithLength(p, end ? (size_t)(end - p) : strlen(p));
        take_result(&asked->answer[i], o, &first_ms, &last_ms);
        cJSON_Delete(o);
        p = end ? end + 1 : NULL;
    }
    for (; i < asked->n; i++)
        fail(&asked->answer[i], "llm-run ended before it");
    *busy_s = last_ms > first_ms ? (last_ms - first_ms) / 1e3 : 0;
}

static void ask_model(const struct score_options *o, const struct way *w, struct energy *energy,
                      struct asked *asked) {
    char *program = getenv("LLM_RUN") ? mem_strdup(getenv("LLM_RUN")) : spawn_sibling("llm-run");
    struct buf lines = prompt_lines(o, w, asked);
    char **word = run_words(o, program);
    struct spawned s;
    double before = energy_joules(energy);
    double busy_s;
    spawn_program(word, &lines, SPAWN_KEEP, &s);
    double joules = energy_joules(energy) - before;
    if (s.status == 127)
        die("%s: not found (LLM_RUN in the environment names another)", program);
    take_results(asked, &s.out, &busy_s);
    if (s.status && !asked->answer[0].text)
        die("llm-run failed with exit status %d", s.status);
    /* One answer at a time: what each took by its own clock, to the microsecond. */
    if (o->parallel == 1) {
        busy_s = 0;
        for (size_t i = 0; i < asked->n; i++)
            busy_s += asked->answer[i].seconds;
    }
    asked->seconds = busy_s;
    asked->joules = joules * fmin(1, busy_s * 1e9 / (double)s.wall_ns);
    spawned_free(&s);
    buf_free(&lines);
    for (char **p = word; *p; p++)
        free(*p);
    free(word);
}

/* ---- a server ----------------------------------------------------------------------------- */

struct server {
    const struct score_options *o;
    struct asked *asked;
    const char *path, *model;
    char **body;                /* [n] made beforehand */
    size_t next, under_way, done;
    int64_t first_ns, last_ns;
    struct progress bar;
};

static char *make_body(const struct server *s, const char *prompt, int64_t seed) {
    const struct score_options *o = s->o;
    struct buf b = {0};
    jsonw_open(&b, '{');
    jsonw_str(&b, "model", s->model);
    if (o->chat) {
        jsonw_open_key(&b, "messages", '[');
        jsonw_open(&b, '{');
        jsonw_str(&b, "role", "user");
        jsonw_str(&b, "content", prompt);
        jsonw_close(&b, '}');
        jsonw_close(&b, ']');
    } else {
        jsonw_str(&b, "prompt", prompt);
    }
    jsonw_int(&b, "max_tokens", o->tokens);
    jsonw_float(&b, "temperature", o->temperature);
    jsonw_int(&b, "seed", seed);
    if (o->stops) {
        jsonw_open_key(&b, "stop", '[');
        for (int i = 0; i < o->stops; i++)
            jsonw_str(&b, NULL, o->stop[i]);
        jsonw_close(&b, ']');
    }
    jsonw_bool(&b, "stream", 1);
    jsonw_raw(&b, "stream_options", "{\"include_usage\":true}");
    jsonw_close(&b, '}');
    return b.data;
}

static int next_call(void *arg, int64_t now_ns, struct client_call *out, int64_t *wake_ns) {
    struct server *s = arg;
    if (s->next == s->asked->n)
        return -1;
    *wake_ns = INT64_MAX;
    if (s->under_way == (size_t)s->o->parallel)
        return 0;
    size_t i = s->next++;
    s->under_way++;
    *out = (struct client_call){.path = s->path, .body = s->body[i], .len = strlen(s->body[i]),
                                .scheduled_ns = now_ns, .keep_text = 1, .stream = 1,
                                .user = &s->asked->answer[i]};
    return 1;
}

static void take_reply(void *arg, const struct client_call *call, const struct client_result *r) {
    struct server *s = arg;
    struct answer *a = call->user;
    s->under_way--;
    progress_update(&s->bar, (int64_t)++s->done, (int64_t)s->asked->n);
    if (r->end != CLIENT_OK && r->end != CLIENT_EMPTY) {
        char *why = mem_printf("%s%s%s", client_end_name(r->end), *r->detail ? ": " : "",
                               r->detail);
        fail(a, why);
        free(why);
        return;
    }
    if (!s->first_ns || r->sent_ns < s->first_ns)
        s->first_ns = r->sent_ns;
    s->last_ns = r->done_ns;
    a->text = mem_strdup(r->text.data ? r->text.data : "");
    a->truncated = r->finish && !strcmp(r->finish, "length");
    a->input = r->input_tokens > 0 ? r->input_tokens : 0;
    a->cached = r->cached_tokens > 0 ? r->cached_tokens : 0;
    a->output = r->output_tokens >= 0 ? r->output_tokens : r->pieces;
    a->seconds = (double)(r->done_ns - r->sent_ns) / 1e9;
}

static void ask_server(const struct score_options *o, const struct way *w, struct energy *energy,
                       struct asked *asked) {
    struct server s = {.o = o, .asked = asked, .model = o->model ? o->model : "default",
                       .path = o->chat ? "chat/completions" : "completions"};
    struct client_options co = {.url = o->url, .key = o->key};
    struct client_source source = {.next = next_call, .done = take_reply, .arg = &s};
    struct err err;
    s.body = mem_array(asked->n, sizeof *s.body);
    for (size_t i = 0; i < asked->n; i++) {
        char *prompt = score_prompt(asked->answer[i].question, w);
        s.body[i] = make_body(&s, prompt, o->seed + (int64_t)i);
        free(prompt);
    }
    struct client *c = client_new(&co, &err);
    if (!c)
        die("%s", err.text);
    double before = energy_joules(energy);
    progress_start(&s.bar, w->name, PROGRESS_COUNT, o->common.quiet);
    if (client_run(c, &source, &err))
        die("%s", err.text);
    progress_end(&s.bar);
    asked->joules = energy_joules(energy) - before;
    asked->seconds = (double)(s.last_ns - s.first_ns) / 1e9;
    client_free(c);
    for (size_t i = 0; i < asked->n; i++)
        free(s.body[i]);
    free(s.body);
}

/* ---- both --------------------------------------------------------------------------------- */

/* Deals out the time and the energy of the whole. */
static void deal_out(struct asked *asked) {
    double sum = 0;
    for (size_t i = 0; i < asked->n; i++)
        sum += asked->answer[i].seconds;
    for (size_t i = 0; i < asked->n; i++) {
        struct answer *a = &asked->answer[i];
        double share = sum > 0 ? a->seconds / sum : 0;
        a->seconds = share * asked->seconds;
        a->joules = share * asked->joules;
    }
}

void score_ask(const struct score_options *o, const struct way *w, struct energy *energy,
               struct asked *a) {
    if (o->url)
        ask_server(o, w, energy, a);
    else
        ask_model(o, w, energy, a);
    deal_out(a);
}
