/* run_jsonl.c - many prompts, one JSON object a line; one result object a line, in the same order
 *
 * A line is {"prompt": TEXT or [ids], "id": anything} and may set max_tokens, temperature,
 * top_k, top_p, min_p, repeat_penalty, repeat_last, seed and stop for itself. A line that cannot
 * be run becomes {"id":.., "error":..}; the others go on, and the exit status is 1 at the end.
 *
 * Results wait for those before them, at most WINDOW of them: then no new prompt is started until
 * the oldest is done, so memory does not grow with the input.
 */
#include "cmd/run.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>


#define WINDOW 1024

struct jsonl {
    struct engine *e;
    struct lines *lines;
    int ended;
    struct request *oldest, *newest;    /* requests not handed over yet, in order */
    int waiting;
    void (*emit)(void *arg, struct request *r);
    void (*rows)(void *arg, struct request *r, int first, int n);
    void *arg;
};

/* ---- reading a line --------------------------------------------------------------------- */

/* cJSON takes every control character for space; so must what follows. */
static const char *skip_space(const char *s) {
    while (*s && (unsigned char)*s <= ' ')
        s++;
    return s;
}

/* Behind the string that begins at s. */
static const char *skip_string(const char *s) {
    for (s++; *s && *s != '"'; s++)
        s += *s == '\\' && s[1];
    return *s ? s + 1 : s;
}

/* Behind the JSON value that begins at s. cJSON has parsed it: only nesting and strings matter. */
static const char *skip_value(const char *s) {
    if (*s == '"')
        return skip_string(s);
    if (*s != '[' && *s != '{')
        return s + strcspn(s, ",]} \t\r\n");
    int depth = 0;
    while (*s) {
        if (*s == '"') {
            s = skip_string(s);
            continue;
        }
        depth += (*s == '[' || *s == '{') - (*s == ']' || *s == '}');
        s++;
        if (depth == 0)
            break;
    }
    return s;
}

/* The value of `key` in the object s just as it is written there (1e3 stays 1e3); NULL when there
 * is none. */
static char *raw_member(const char *s, const char *key) {
    size_t len = strlen(key);
    s = skip_space(s);
    s = skip_space(*s ? s + 1 : s);
    while (*s == '"') {
        const char *name = s + 1;
        s = skip_string(s);
        int found = (size_t)(s - name - 1) == len && !memcmp(name, key, len);
        s = skip_space(s);                      /* at the colon */
        s = skip_space(*s ? s + 1 : s);
        const char *end = skip_value(s);
        if (found)
            return mem_strndup(s, (size_t)(end - s));
        s = skip_space(end);
        if (*s == ',')
            s = skip_space(s + 1);
    }
    return NULL;
}

static int read_number(const cJSON *json, const char *key, double min, double max, double *out,
                       struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!v || cJSON_IsNull(v))
        return 0;
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= min && v->valuedouble <= max))
        return err_set(err, "%s: expected a number from %g to %g", key, min, max);
    *out = v->valuedouble;
    return 0;
}

static int read_int(const cJSON *json, const char *key, double min, double max, int *out,
                    struct err *err) {
    double x = *out;
    if (read_number(json, key, min, max, &x, err))
        return -1;
    if (x != (double)(int)x)
        return err_set(err, "%s: expected a whole number, found %g", key, x);
    *out = (int)x;
    return 0;
}

static int read_float(const cJSON *json, const char *key, double min, double max, float *out,
                      struct err *err) {
    double x = (double)*out;
    if (read_number(json, key, min, max, &x, err))
        return -1;
    *out = (float)x;
    return 0;
}

/* A text or a list of texts. */
static int read_stops(const cJSON *json, struct request *r, struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, "stop");
    if (!v || cJSON_IsNull(v))
        return 0;
    int n = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 1;
    const cJSON *item = cJSON_IsArray(v) ? v->child : v;
    r->own_stop = mem_array((size_t)n + 1, sizeof(*r->own_stop));
    for (int i = 0; i < n; i++, item = item->next) {
        if (!cJSON_IsString(item) || !*item->valuestring)
            return err_set(err, "stop: expected a text or a list of texts, none of them empty");
        r->own_stop[i] = mem_strdup(item->valuestring);
    }
    r->reply.stop = (const char *const *)r->own_stop;
    r->reply.n_stop = n;
    return 0;
}

static int read_settings(const struct engine *e, const cJSON *json, struct request *r,
                         struct err *err) {
    struct sample_options *s = &r->sample;
    double seed = -1;
    if (read_int(json, "max_tokens", -1, INT32_MAX, &r->max_tokens, err)
        || read_float(json, "temperature", 0, 100, &s->temperature, err)
        || read_int(json, "top_k", 0, INT32_MAX, &s->top_k, err)
        || read_float(json, "top_p", 0, 1, &s->top_p, err)
        || read_float(json, "min_p", 0, 1, &s->min_p, err)
        || read_float(json, "repeat_penalty", 0.01, 100, &s->repeat_penalty, err)
        || read_int(json, "repeat_last", 0, 1 << 20, &s->repeat_last, err)
        || read_number(json, "seed", 0, 0x1p53, &seed, err))
        return -1;
    if (seed >= 0)
        s->seed = (uint64_t)seed;
    if (e->opt->job == JOB_EMBED)
        r->max_tokens = 0;
    return read_stops(json, r, err);
}

static int read_prompt(const struct engine *e, const cJSON *json, struct ids *out,
                       struct err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, "prompt");
    if (cJSON_IsString(v))
        return prompt_encode(e, v->valuestring, strlen(v->valuestring), out, err);
    if (!cJSON_IsArray(v))
        return err_set(err, "prompt: expected a text or a list of token ids, found %s",
                       v ? "something else" : "none");
    int vocab = e->model->shape->vocab;
    for (const cJSON *id = v->child; id; id = id->next) {
        double x = cJSON_IsNumber(id) ? id->valuedouble : -1;
        if (!(x >= 0 && x < vocab) || x != (double)(int32_t)x)
            return err_set(err, "prompt: expected token ids from 0 to %d", vocab - 1);
        ids_add(out, (int32_t)x);
    }
    return 0;
}

/* The line as a request, or what is wrong with it in err. The id is kept wherever there is one. */
static int read_request(struct engine *e, const struct line *line, struct request *r,
                        struct err *err) {
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(line->text, line->len, &end, 0);
    int rc = -1;
    if (!json)
        err_set(err, "line %lld: no JSON object (byte %zu)", (long long)line->number,
                end ? (size_t)(end - line->text) + 1 : 1);
    else if (*skip_space(end) || skip_space(end) != line->text + line->len)
        err_set(err, "line %lld: something follows the JSON object (byte %zu)",
                (long long)line->number, (size_t)(skip_space(end) - line->text) + 1);
    else if (!cJSON_IsObject(json))
        err_set(err, "line %lld: expected a JSON object", (long long)line->number);
    else
        rc = 0;
    if (rc == 0) {
        r->id = raw_member(line->text, "id");
        rc = read_prompt(e, json, &r->prompt, err) || read_settings(e, json, r, err) ? -1 : 0;
        if (rc)
            err_prefix(err, "line %lld", (long long)line->number);
    }
    if (!r->id || !strcmp(r->id, "null")) {
        free(r->id);
        r->id = mem_printf("%lld", (long long)line->number);
    }
    cJSON_Delete(json);
    return rc;
}

/* ---- the queue -------------------------------------------------------------------------- */

/* Hands over what is finished, up to the first that is not. */
static void emit_results(struct jsonl *job) {
    while (job->oldest && job->oldest->finished) {
        struct request *r = job->oldest;
        job->emit(job->arg, r);
        job->oldest = r->next;
        job->waiting--;
        request_free(r);
    }
    if (!job->oldest)
        job->newest = NULL;
}

static void append_request(struct jsonl *job, struct request *r) {
    if (job->newest)
        job->newest->next = r;
    else
        job->oldest = r;
    job->newest = r;
    job->waiting++;
}

static int is_blank(const struct line *line) {
    for (size_t i = 0; i < line->len; i++) {
        if (!isspace((unsigned char)line->text[i]))
            return 0;
    }
    return 1;
}

static struct request *next_request(void *arg, int wait) {
    struct jsonl *job = arg;
    struct err err;
    while (!job->ended && (wait || job->waiting < WINDOW)) {
        struct line line;
        int rc = lines_next(job->lines, wait, &line, &err);
        if (rc == LINES_ERROR)
            die_err(&err);
        if (rc == LINES_NOT_YET)
            return NULL;
        if (rc == LINES_END) {
            job->ended = 1;
            return NULL;
        }
        struct request *r = NULL;
        if (!is_blank(&line)) {
            r = request_new(job->e);
            append_request(job, r);
            if (read_request(job->e, &line, r, &err)) {
                r->error = mem_strdup(err.text);
                r->finished = 1;
            }
        }
        free(line.text);
        if (r && !r->error)
            return r;
        emit_results(job);
    }
    return NULL;
}

static void finish_request(void *arg, struct request *r) {
    r->finished = 1;
    emit_results(arg);
}

static void pass_rows(void *arg, struct request *r, int first, int n) {
    struct jsonl *job = arg;
    job->rows(job->arg, r, first, n);
}

struct lines *jsonl_open(const struct options *opt) {
    struct err err;
    if (!opt->file)
        prompt_need_stdin();
    struct lines *lines = lines_open(opt->file ? opt->file : "-", &err);
    if (!lines)
        die_err(&err);
    return lines;
}

void jsonl_run(struct engine *e, struct lines *lines,
               void (*rows)(void *arg, struct request *r, int first, int n),
               void (*emit)(void *arg, struct request *r), void *arg) {
    struct jsonl job = {.e = e, .lines = lines, .emit = emit, .rows = rows, .arg = arg};
    struct feed feed = {.next = next_request, .rows = rows ? pass_rows : NULL,
                        .done = finish_request, .arg = &job};
    generate(e, &feed);
    lines_close(lines);
}

/* ---- results as JSON Lines -------------------------------------------------------------- */

struct results {
    struct engine *e;
    FILE *out;
    int failed;
    struct totals totals;
};

static void write_result(void *arg, struct request *r) {
    struct results *results = arg;
    struct buf line = {0};
    result_json(results->e, r, &line);
    buf_addc(&line, '\n');
    fwrite(line.data, 1, line.len, results->out);
    check_stream(results->out, results->e->opt->output);
    buf_free(&line);
    if (r->error)
        results->failed = 1;
    else
        result_count(&results->totals, r);
}

int run_jsonl(const struct options *opt) {
    struct engine e;
    struct lines *lines = jsonl_open(opt);
    struct outfile *out = run_output(opt);
    struct results results = {.e = &e, .out = outfile_stream(out)};
    engine_open(&e, opt);
    engine_start(&e, opt->context, opt->parallel, 0);
    jsonl_run(&e, lines, NULL, write_result, &results);
    run_output_close(out);
    result_words(&e, &results.totals);
    engine_close(&e);
    return results.failed ? EXIT_FAILED : EXIT_DONE;
}
