/* growth_record.c - a line of JSON or a row of a table as the few fields that matter, see growth.h
 *
 * Nothing is kept but numbers, and words where they stand in the line: a million steps are read in
 * about a second.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bench/growth_impl.h"

#define NAME(text) {text, sizeof text - 1}

static const struct {
    const char *text;
    size_t len;
} names[] = {
    NAME("tokens"), NAME("position"), NAME("ns"), NAME("flops_attention"), NAME("flops_dense"),
    NAME("flops_experts"), NAME("flops_head"), NAME("dense_read_bytes"), NAME("experts_read_bytes"),
    NAME("kv_read_bytes"), NAME("kv_write_bytes"), NAME("joules"), NAME("request"),
    NAME("requests"), NAME("input_length"), NAME("output_length"), NAME("cached_tokens"),
    NAME("ttft_ns"), NAME("total_ns"), NAME("ttft_ms"), NAME("ttft_sent_ms"), NAME("tpot_ms"),
    NAME("depth"), NAME("parallel"), NAME("flops_per_token"), NAME("weight_bytes_per_token"),
    NAME("kv_read_bytes_per_token"), NAME("kv_write_bytes_per_token"), NAME("joules_per_token"),
    NAME("value"), NAME("n_prompt"), NAME("n_gen"), NAME("n_depth"), NAME("avg_ns"), NAME("type"),
    NAME("phase"), NAME("end"), NAME("name"), NAME("unit"), NAME("samples"), NAME("warmup"),
    NAME("rows"), NAME("samples_ns")};

#define NAMES (sizeof names / sizeof *names)

_Static_assert(NAMES == GROWTH_ROWS + 2, "a name for each field");

int growth_record_field(const char *name, size_t len) {
    for (size_t i = 0; i < NAMES; i++)
        if (len == names[i].len && !memcmp(name, names[i].text, len))
            return i > GROWTH_ROWS ? GROWTH_SAMPLES : (int)i;
    return -1;
}

void growth_record_clear(struct growth_record *r) {
    for (int i = 0; i < R_NUMBERS; i++)
        r->number[i] = NAN;
    memset(r->word, 0, sizeof r->word);
    r->samples = r->prefills = 0;
    r->warmup = 0;
}

void growth_record_free(struct growth_record *r) {
    free(r->sample);
    free(r->prefill);
    memset(r, 0, sizeof *r);
}

static void add_sample(struct growth_record *r, double x) {
    if (r->samples == r->sample_room) {
        r->sample_room = r->sample_room ? 2 * r->sample_room : 16;
        r->sample = mem_grow(r->sample, r->sample_room, sizeof *r->sample);
    }
    r->sample[r->samples++] = x;
}

static void add_prefill(struct growth_record *r, double request) {
    if (!(request >= 0 && request <= UINT32_MAX))
        return;
    if (r->prefills == r->prefill_room) {
        r->prefill_room = r->prefill_room ? 2 * r->prefill_room : 16;
        r->prefill = mem_grow(r->prefill, r->prefill_room, sizeof *r->prefill);
    }
    r->prefill[r->prefills++] = (uint32_t)request;
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* Takes any value; NAN unless it is a number. An integer beyond 2^53 stands in a string. */
static int take_number(struct json *j, double *out) {
    *out = NAN;
    char *at = json_peek(j) == '"' ? j->at + 1 : j->at;
    int number = *at == '-' || (*at >= '0' && *at <= '9');
    if (json_skip(j))
        return -1;
    if (number)
        *out = strtod(at, NULL);
    return 0;
}

static int take_word(struct json *j, struct reqs_text *out) {
    return json_peek(j) == '"' ? json_string(j, out) : json_skip(j);
}

static int take_samples(struct growth_record *r, struct json *j) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_skip(j);
    while ((rc = json_element(j, &first)) == 1) {
        double x;
        if (take_number(j, &x))
            return -1;
        add_sample(r, x);
    }
    return rc;
}

/* The entries of a step that several requests share: which prompts it is a part of. */
static int take_row(struct growth_record *r, struct json *j) {
    struct reqs_text key;
    struct reqs_text phase = {0};
    double request = NAN;
    int first = 1;
    int rc;
    if (!json_take(j, '{'))
        return json_skip(j);
    while ((rc = json_member(j, &first, &key)) == 1) {
        int field = growth_record_field(key.data, key.len);
        if (field == R_REQUEST ? take_number(j, &request)
            : field == R_NUMBERS + R_PHASE ? take_word(j, &phase) : json_skip(j))
            return -1;
    }
    if (!rc && phase.len == 7 && !memcmp(phase.data, "prefill", 7))
        add_prefill(r, request);
    return rc;
}

static int take_rows(struct growth_record *r, struct json *j) {
    int first = 1;
    int rc;
    if (!json_take(j, '['))
        return json_skip(j);
    while ((rc = json_element(j, &first)) == 1)
        if (take_row(r, j))
            return -1;
    return rc;
}

static int take_value(struct growth_record *r, struct json *j, int field) {
    if (field < 0)
        return json_skip(j);
    if (field < R_NUMBERS)
        return take_number(j, &r->number[field]);
    if (field < GROWTH_SAMPLES)
        return take_word(j, &r->word[field - R_NUMBERS]);
    if (field == GROWTH_SAMPLES)
        return take_samples(r, j);
    if (field == GROWTH_ROWS)
        return take_rows(r, j);
    r->warmup = json_peek(j) == 't';
    return json_skip(j);
}

int growth_record_json(struct growth_record *r, struct json *j) {
    struct reqs_text key;
    int first = 1;
    int rc;
    growth_record_clear(r);
    if (!json_take(j, '{'))
        return json_fail(j, "an object");
    while ((rc = json_member(j, &first, &key)) == 1)
        if (take_value(r, j, growth_record_field(key.data, key.len)))
            return -1;
    return rc ? rc : json_end(j);
}

/* ---- tables ------------------------------------------------------------------------------- */

static double number_of(const char *text, char **end) {
    double x = strtod(text, end);
    return *end == text ? NAN : x;
}

void growth_record_cell(struct growth_record *r, int field, char *text) {
    char *end;
    if (field >= 0 && field < R_NUMBERS) {
        double x = number_of(text, &end);
        r->number[field] = *end ? NAN : x;
    } else if (field >= R_NUMBERS && field < GROWTH_SAMPLES) {
        r->word[field - R_NUMBERS] = (struct reqs_text){text, strlen(text)};
    } else if (field == GROWTH_SAMPLES) {
        for (double x = number_of(text, &end); !isnan(x); x = number_of(text, &end)) {
            add_sample(r, x);
            if (*end != ',')
                break;
            text = end + 1;
        }
    }
}
