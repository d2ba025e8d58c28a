/* series_json.c - measurements in JSON: rows, records, and what other programs write
 *
 * What an object is, its members tell, wherever it stands: in a line of its own, in an array, or
 * over many lines. Members are noted first and read when all of them are known, as their order is
 * nobody's promise.
 */
#include "lib/bench/series_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int is(const struct reqs_text *text, const char *word) {
    size_t n = strlen(word);
    return text->len == n && !memcmp(text->data, word, n);
}

/* ---- members ------------------------------------------------------------------------------ */

/* Notes the members of the object at j and passes it. */
static int note_members(struct series_builder *b, struct json *j) {
    int first = 1;
    int rc;
    b->members = 0;
    j->at++;
    for (;;) {
        struct series_member m;
        rc = json_member(j, &first, &m.key);
        if (rc != 1)
            return rc;
        json_peek(j);
        m.value = j->at;
        if (json_skip(j))
            return -1;
        if (b->members == b->room) {
            b->room = b->room ? 2 * b->room : 32;
            b->member = mem_grow(b->member, b->room, sizeof *b->member);
        }
        b->member[b->members++] = m;
    }
}

/* Where the value of a member stands, or NULL; a null is no value. */
static char *find(const struct series_builder *b, const char *key) {
    for (size_t i = 0; i < b->members; i++)
        if (is(&b->member[i].key, key))
            return *b->member[i].value == 'n' ? NULL : b->member[i].value;
    return NULL;
}

static int is_number(const char *value) {
    return value && (*value == '-' || (*value >= '0' && *value <= '9'));
}

/* The number at value, known to be of JSON's grammar. NAN where it has no finite double. */
static double number_at(const char *value) {
    double v = strtod(value, NULL);
    return isfinite(v) ? v : NAN;
}

/* A member's number; NAN where there is none. */
static double number_of(const struct series_builder *b, const char *key) {
    const char *value = find(b, key);
    return is_number(value) ? number_at(value) : NAN;
}

/* Undoes the escapes in place, so a string is read once only. -1: neither a string nor a number. */
static int text_at(char *value, struct reqs_text *out) {
    struct json j = {value, NULL};
    return value ? json_text(&j, out) : -1;
}

static int text_of(const struct series_builder *b, const char *key, struct reqs_text *out) {
    return text_at(find(b, key), out);
}

static const char *set(struct buf *out, const struct reqs_text *text) {
    out->len = 0;
    series_add_clean(out, text->data, text->len);
    return out->data;
}

int series_json_numbers(struct series_builder *b, struct json *j, size_t index) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "an array of numbers");
    while ((rc = json_element(j, &first)) == 1) {
        json_peek(j);
        const char *value = j->at;
        if (json_null(j))
            continue;
        if (!is_number(value))
            return json_fail(j, "a number");
        double v = number_at(value);
        if (isnan(v))
            return json_fail(j, "a number that a double can hold");
        if (json_skip(j))
            return -1;
        series_put(b, index, v);
    }
    return rc;
}

static void scale_from(struct series *s, size_t from, double scale) {
    for (size_t i = from; i < s->n; i++)
        s->x[i] *= scale;
}

/* The samples at value; without one, or when that is empty, the single number `alone`. */
static int put_samples(struct series_builder *b, struct json *j, char *value, size_t index,
                       double alone) {
    size_t before = b->all->s[index].n;
    if (value) {
        struct json inner = {value, NULL};
        if (series_json_numbers(b, &inner, index)) {
            *j = inner;
            return -1;
        }
    }
    if (b->all->s[index].n == before && !isnan(alone))
        series_put(b, index, alone);
    return 0;
}

static void add_origin_of(struct series_builder *b, const char *member, const char *key) {
    struct reqs_text text;
    if (!text_of(b, member, &text))
        series_add_origin(b, key, text.data, text.len);
}

/* ---- rows of llm-bench, and of github-action-benchmark, which are like them ---------------- */

static int read_row(struct series_builder *b, struct json *j) {
    struct reqs_text name, unit, better = {NULL, 0};
    struct json at = {find(b, "name"), NULL};
    if (json_string(&at, &name)) {
        *j = at;
        return -1;
    }
    if (text_of(b, "unit", &unit))
        unit = (struct reqs_text){NULL, 0};
    set(&b->text, &name);
    set(&b->unit, &unit);
    text_of(b, "better", &better);
    int direction = better.len && is(&better, "higher") ? SERIES_HIGHER
                    : better.len && is(&better, "lower") ? SERIES_LOWER
                    : series_better_of_unit(b->unit.data);
    add_origin_of(b, "host", "host");
    add_origin_of(b, "host_cpu", "cpu");
    add_origin_of(b, "program", "program");
    add_origin_of(b, "args", "command");
    add_origin_of(b, "files", "files");
    size_t index = series_place(b, b->text.data, b->unit.data, direction);
    return put_samples(b, j, find(b, "samples"), index, number_of(b, "value"));
}

/* ---- llama-bench -------------------------------------------------------------------------- */

/* The settings that tell two tests of one name in a file apart. */
static const char *const settings[] = {
    "model_filename", "model_type", "backends", "n_threads", "n_gpu_layers", "n_batch", "n_ubatch",
    "type_k", "type_v", "flash_attn", "no_kv_offload", "split_mode", "main_gpu", "tensor_split",
    "use_mmap", "embeddings", "cpu_mask", "n_cpu_moe", "use_direct_io", "no_op_offload"};
#define SETTINGS (sizeof settings / sizeof *settings)

static void name_llama_test(struct series_builder *b) {
    double prompt = number_of(b, "n_prompt");
    double gen = number_of(b, "n_gen");
    double depth = number_of(b, "n_depth");
    b->text.len = 0;
    if (prompt > 0)
        buf_printf(&b->text, "prefill%.15g", prompt);
    if (gen > 0 || !(prompt > 0))
        buf_printf(&b->text, "%sdecode%.15g", prompt > 0 ? "+" : "", gen > 0 ? gen : 0);
    if (depth > 0)
        buf_printf(&b->text, "@%.15g", depth);
}

static void add_settings(struct series_builder *b) {
    char separator = SERIES_SETTINGS;
    for (size_t i = 0; i < SETTINGS; i++) {
        struct reqs_text value;
        buf_addc(&b->text, separator);
        separator = SERIES_SETTING;
        char *at = find(b, settings[i]);
        if (at && (*at == 't' || *at == 'f'))
            value = (struct reqs_text){at, *at == 't' ? 4 : 5};
        else if (text_at(at, &value))
            continue;
        buf_printf(&b->text, "%s=", settings[i]);
        series_add_clean(&b->text, value.data, value.len);
    }
}

static int read_llama(struct series_builder *b, struct json *j) {
    name_llama_test(b);
    add_origin_of(b, "cpu_info", "cpu");
    add_origin_of(b, "gpu_info", "gpu");
    add_origin_of(b, "build_commit", "program");
    add_settings(b);
    size_t index = series_place(b, b->text.data, "tok/s", SERIES_HIGHER);
    return put_samples(b, j, find(b, "samples_ts"), index, number_of(b, "avg_ts"));
}

/* ---- hyperfine ---------------------------------------------------------------------------- */

/* The names that llm-bench stat --cmd gives the same things. */
static const char *metric_name(const char *theirs) {
    static const char *const names[][2] = {
        {"time_wall_clock", "wall"}, {"time_user", "user"}, {"time_system", "system"},
        {"time_cpu", "cpu"}, {"memory_peak_resident", "peak"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(theirs, names[i][0]))
            return names[i][1];
    return theirs;
}

/* And the units: milliseconds, MiB. */
static const char *metric_unit(const char *theirs, double *scale) {
    int seconds = !strcmp(theirs, "second");
    int bytes = !strcmp(theirs, "byte");
    *scale = seconds ? 1e3 : bytes ? 0x1p-20 : 1;
    return seconds ? "ms" : bytes ? "MiB" : theirs;
}

/* The name of a result's series: the command's before it where the file has several. */
static size_t place_metric(struct series_builder *b, const struct buf *command, const char *metric,
                           const char *unit) {
    b->text.len = 0;
    if (command->len)
        buf_printf(&b->text, "%s ", command->data);
    buf_adds(&b->text, metric);
    return series_place(b, b->text.data, unit, series_better_of_unit(unit));
}

/* A member of a measurement: {"value": 1.0, "unit": "second"}, which others are not. */
static void put_metric(struct series_builder *b, const struct buf *command,
                       const struct series_member *m) {
    struct json j = {m->value, NULL};
    struct buf name = {0};
    struct reqs_text unit;
    if (*m->value != '{' || note_members(b, &j))
        return;
    double v = number_of(b, "value");
    if (!isnan(v) && !text_of(b, "unit", &unit)) {
        double scale;
        series_add_clean(&name, m->key.data, m->key.len);
        set(&b->unit, &unit);
        const char *ours = metric_unit(b->unit.data, &scale);
        size_t index = place_metric(b, command, metric_name(name.data), ours);
        series_put(b, index, v * scale);
    }
    buf_free(&name);
}

/* hyperfine 2: an object for each run. */
static int read_measurements(struct series_builder *b, struct json *j, const struct buf *command) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_fail(j, "an array of measurements");
    while ((rc = json_element(j, &first)) == 1) {
        if (json_peek(j) != '{')
            return json_fail(j, "a measurement: an object");
        if (note_members(b, j))
            return -1;
        size_t n = b->members;
        struct series_member *copy = mem_array(n + 1, sizeof *copy);
        if (n)
            memcpy(copy, b->member, n * sizeof *copy);
        for (size_t i = 0; i < n; i++)
            put_metric(b, command, &copy[i]);
        free(copy);
    }
    return rc;
}

/* hyperfine 1: lists of seconds and of bytes. */
static int read_lists(struct series_builder *b, struct json *j, const struct buf *command,
                      char *times, char *memory, double mean) {
    size_t wall = place_metric(b, command, "wall", "ms");
    size_t before = b->all->s[wall].n;
    if (put_samples(b, j, times, wall, mean))
        return -1;
    scale_from(&b->all->s[wall], before, 1e3);
    if (!memory)
        return 0;
    size_t peak = place_metric(b, command, "peak", "MiB");
    before = b->all->s[peak].n;
    if (put_samples(b, j, memory, peak, NAN))
        return -1;
    scale_from(&b->all->s[peak], before, 0x1p-20);
    return 0;
}

static int read_result(struct series_builder *b, struct json *j, int alone) {
    struct reqs_text text;
    struct buf command = {0};
    if (json_peek(j) != '{')
        return json_fail(j, "a result: an object");
    if (note_members(b, j))
        return -1;
    b->origin.len = 0;
    if (!text_of(b, "command", &text)) {
        series_add_origin(b, "command", text.data, text.len);
        if (!alone)
            series_add_clean(&command, text.data, text.len);
    }
    struct json inner = {find(b, "measurements"), NULL};
    int rc;
    if (!inner.at) {
        rc = read_lists(b, j, &command, find(b, "times"), find(b, "memory_usage_byte"),
                        number_of(b, "mean"));
    } else if ((rc = read_measurements(b, &inner, &command)) != 0) {
        *j = inner;
    }
    buf_free(&command);
    return rc;
}

static int count_elements(char *at) {
    struct json j = {at, NULL};
    int first = 1;
    int n = 0;
    j.at++;
    while (json_element(&j, &first) == 1 && !json_skip(&j))
        n++;
    return n;
}

static int read_hyperfine(struct series_builder *b, struct json *j, char *results) {
    struct json inner = {results, NULL};
    int alone = count_elements(results) == 1;
    int first = 1;
    int rc;
    inner.at++;
    while ((rc = json_element(&inner, &first)) == 1)
        if ((rc = read_result(b, &inner, alone)) != 0)
            break;
    if (rc)
        *j = inner;
    return rc;
}

/* ---- requests, steps, and whatever else has units in its names ----------------------------- */

/* What follows it was made by this run. */
static void read_run(struct series_builder *b) {
    static const char *const told[][2] = {
        {"host", "host"}, {"host_cpu", "cpu"}, {"cpu", "kernels"}, {"threads", "threads"},
        {"version", "program"}, {"program", "program"}, {"file", "model"}, {"kv_type", "kv_type"},
        {"load", "load"}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        add_origin_of(b, told[i][0], told[i][1]);
    if (!find(b, "file"))
        add_origin_of(b, "model", "model");
    b->run_origin.len = 0;
    buf_add(&b->run_origin, b->origin.data, b->origin.len);
}

/* When something happened is no measurement of it. */
static int is_moment(const struct reqs_text *key) {
    static const char *const words[] = {"start_", "timestamp", "scheduled_", "sent_", "arrival_"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (key->len >= n && !memcmp(key->data, words[i], n))
            return 1;
    }
    return 0;
}

/* What ended in an error has no times that mean anything, and a warm-up is to be left out. */
static int is_void(const struct series_builder *b) {
    struct reqs_text end;
    const char *error = find(b, "error");
    const char *warmup = find(b, "warmup");
    if ((error && *error == '"' && error[1] != '"') || (warmup && *warmup == 't'))
        return 1;
    return !text_of(b, "end", &end) && !is(&end, "ok");
}

/* Each number with a unit in its name; of a step, with its phase before it. */
static void read_record(struct series_builder *b) {
    struct reqs_text phase = {NULL, 0};
    if (is_void(b))
        return;
    text_of(b, "phase", &phase);
    for (size_t i = 0; i < b->members; i++) {
        const struct series_member *m = &b->member[i];
        const char *unit;
        int better;
        if (!is_number(m->value) || is_moment(&m->key))
            continue;
        size_t n = series_unit_of(m->key.data, m->key.len, &unit, &better);
        double v = n == SIZE_MAX ? NAN : number_at(m->value);
        if (isnan(v))
            continue;
        b->text.len = 0;
        if (phase.len) {
            series_add_clean(&b->text, phase.data, phase.len);
            buf_addc(&b->text, '.');
        }
        series_add_clean(&b->text, n ? m->key.data : "step", n ? n : 4);
        series_put(b, series_place(b, b->text.data, unit, better), v);
    }
}

/* ---- any value ---------------------------------------------------------------------------- */

static int read_object(struct series_builder *b, struct json *j) {
    struct reqs_text type = {NULL, 0};
    if (note_members(b, j))
        return -1;
    b->origin.len = 0;
    char *results = find(b, "results");
    if (results && *results == '[')
        return read_hyperfine(b, j, results);
    if (find(b, "samples_ts") || (find(b, "avg_ts") && find(b, "n_prompt")))
        return read_llama(b, j);
    if (find(b, "name") && (find(b, "samples") || is_number(find(b, "value"))))
        return read_row(b, j);
    text_of(b, "type", &type);
    if (type.len && is(&type, "run")) {
        read_run(b);
        return 0;
    }
    if (b->run_origin.len)
        buf_add(&b->origin, b->run_origin.data, b->run_origin.len);
    read_record(b);
    return 0;
}

/* Objects, or plain numbers. */
static int read_array(struct series_builder *b, struct json *j) {
    int first = 1;
    int rc;
    j->at++;
    while ((rc = json_element(j, &first)) == 1) {
        char c = json_peek(j);
        if (c == '{') {
            if (read_object(b, j))
                return -1;
            continue;
        }
        if (!is_number(j->at))
            return json_fail(j, "an object or a number");
        double v = number_at(j->at);
        if (json_skip(j))
            return -1;
        if (!isnan(v))
            series_put(b, series_place(b, "value", "", SERIES_UNKNOWN), v);
    }
    return rc;
}

int series_json(struct series_builder *b, struct json *j) {
    char c = json_peek(j);
    if (c != '{' && c != '[')
        return json_fail(j, "an object or an array");
    return c == '{' ? read_object(b, j) : read_array(b, j);
}
