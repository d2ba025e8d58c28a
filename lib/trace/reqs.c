/* reqs.c - requests from any trace: what the input is, the loop over its lines, the totals
 *
 * A format is a function that makes a draft of a line; what all have in common (times that must
 * not go back, sessions as numbers, broken lines, the block size) is done here.
 */
#include "lib/trace/reqs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "lib/trace/reqs_impl.h"

#define EXCERPT 40                      /* bytes of a line that an error shows */
#define CALENDAR_NS ((int64_t)100000000 * 1000000000)  /* three years: no trace begins so late */

const char *reqs_format_name(enum reqs_format f) {
    static const char *const names[] = {"jsonl", "tokens", "lengths", "events", "stream"};
    return names[f];
}

/* ---- errors ----------------------------------------------------------------------------- */

/* "FILE:LINE:COLUMN: expected WANT, found 'EXCERPT'". */
static int line_error(const struct reqs *r, const char *line, const struct json *j,
                      struct err *err) {
    size_t len = strcspn(j->at, "\n");
    if (len && j->at[len - 1] == '\r')
        len--;
    long long column = j->at - line + 1;
    if (!len)
        return err_set(err, "%s:%lld:%lld: expected %s, found %s", r->name,
                       (long long)r->in.number, column, j->want,
                       *j->at ? "the end of the line" : "a NUL byte");
    return err_set(err, "%s:%lld:%lld: expected %s, found '%.*s%s'", r->name,
                   (long long)r->in.number, column, j->want,
                   (int)(len < EXCERPT ? len : EXCERPT), j->at, len > EXCERPT ? "..." : "");
}

/* ---- streams of ids --------------------------------------------------------------------- */

static size_t word_length(const char *s) {
    size_t n = 0;
    while (isgraph((unsigned char)s[n]))
        n++;
    return n;
}

/* A number of 64 bits, hexadecimal digits behind 0x, or 16 and more of them that are not all
 * decimal (a digest). */
static int is_id(const char *s, size_t len) {
    static const char hex[] = "0123456789abcdefABCDEF";
    uint64_t id;
    if (json_id_of_number(s, len, &id) == 0)
        return 1;
    if (len > 2 && s[0] == '0' && (s[1] | 0x20) == 'x')
        return strspn(s + 2, hex) == len - 2;
    return len >= 16 && strspn(s, hex) == len && strspn(s, "0123456789") < len;
}

int reqs_stream_read(struct reqs *r, struct json *j, struct reqs_draft *d) {
    json_peek(j);
    char *word = j->at;
    size_t len = word_length(word);
    if (!is_id(word, len))
        return json_fail(j, "a block id: an integer of 64 bits, or 16 and more hex digits");
    j->at += len;
    if (json_end(j))
        return -1;
    r->ids.n = 0;
    json_u64s_add(&r->ids, json_id_of_text(word, len));
    d->q->block = r->ids.v;
    d->q->blocks = 1;
    d->format = REQS_STREAM;
    return 1;
}

/* ---- open ------------------------------------------------------------------------------- */

static int is_blank(const char *line) {
    while (*line == ' ' || *line == '\t' || *line == '\r')
        line++;
    return *line == '\n';
}

static int open_csv(struct reqs *r, char *line, struct err *err) {
    struct json j = {line, NULL};
    r->csv = reqs_csv_open(&j);
    if (!r->csv)
        return line_error(r, line, &j, err);
    r->read = reqs_csv_read;
    r->totals.format = REQS_LENGTHS;
    return 0;
}

/* Chooses the reader by the first line that is not blank. */
static int sniff(struct reqs *r, struct err *err) {
    char *line;
    int rc;
    do
        rc = reqs_lines_next(&r->in, &line, err);
    while (rc == 1 && is_blank(line));
    if (rc <= 0)
        return rc;                      /* nothing at all is a trace without requests */
    struct json j = {line, NULL};
    char c = json_peek(&j);
    if (is_id(j.at, word_length(j.at))) {
        r->read = reqs_stream_read;
        r->totals.format = REQS_STREAM;
        json_u64s_add(&r->ids, 0);      /* room for one */
    } else if (c != '{' && c != '[') {
        return open_csv(r, line, err);
    } else if (reqs_events_sniff(line)) {
        r->read = reqs_events_read;
        r->events = reqs_events_new();
        r->totals.format = REQS_EVENTS;
    }
    reqs_lines_back(&r->in, line);
    return 0;
}

static int skip_bom(struct reqs *r, struct err *err) {
    char *line;
    int rc = reqs_lines_next(&r->in, &line, err);
    if (rc == 1)
        reqs_lines_back(&r->in, line + (strncmp(line, "\xEF\xBB\xBF", 3) ? 0 : 3));
    return rc < 0 ? -1 : 0;
}

struct reqs *reqs_open(const char *path, const struct reqs_options *opt, struct err *err) {
    struct reqs_lines in;
    struct zio *z = zio_open_read(path, err);
    if (!z)
        return NULL;
    reqs_lines_init(&in, z);
    return reqs_open_lines(&in, opt, err);
}

struct reqs *reqs_open_lines(struct reqs_lines *in, const struct reqs_options *opt,
                             struct err *err) {
    struct reqs *r = mem_alloc(sizeof *r);
    r->in = *in;
    r->name = mem_strdup(zio_name(in->z));
    r->opt = *opt;
    r->read = reqs_record_read;
    r->sessions = reqs_names_new();
    memset(r->order, 0xFF, sizeof r->order);
    reqs_infer_init(&r->infer);
    if (skip_bom(r, err) || sniff(r, err)) {
        reqs_close(r);
        return NULL;
    }
    return r;
}

void reqs_close(struct reqs *r) {
    if (!r)
        return;
    reqs_lines_free(&r->in);
    reqs_csv_free(r->csv);
    reqs_events_free(r->events);
    reqs_names_free(r->sessions);
    reqs_names_free(r->chats);
    free(r->chat_root);
    free(r->ids.v);
    free(r->tokens.v);
    free(r->made.v);
    free(r->name);
    free(r);
}

/* ---- records ---------------------------------------------------------------------------- */

/* The time since the trace's start, raised to that of the record before. */
static int64_t settle_time(struct reqs *r, const struct reqs_draft *d) {
    int64_t *base = &r->base_ns[d->clock];
    int64_t t;
    if (d->clock == REQS_NO_TIME)
        return r->last_ns;
    if (!r->based[d->clock]) {
        r->based[d->clock] = 1;
        *base = d->clock == REQS_ABSOLUTE || d->clock_ns >= CALENDAR_NS ? d->clock_ns : 0;
    }
    r->totals.timed = 1;
    if (__builtin_sub_overflow(d->clock_ns, *base, &t))
        t = d->clock_ns < 0 ? INT64_MIN : INT64_MAX;
    if (t < r->last_ns)
        r->totals.backwards++;
    else
        r->last_ns = t;
    return r->last_ns;
}

/* A trace is what its records say most about it: block ids over tokens over lengths. */
static void settle_format(struct reqs *r, enum reqs_format f) {
    if (!r->totals.records || f < r->totals.format)
        r->totals.format = f;
}

static void settle(struct reqs *r, struct reqs_draft *d) {
    settle_format(r, d->format);
    d->q->time_ns = settle_time(r, d);
    if (d->clock != REQS_NO_TIME && d->clock_ns >= CALENDAR_NS)
        d->q->calendar_ns = d->clock_ns;
    if (d->session.data) {
        d->q->session = reqs_names_add(r->sessions, d->session.data, d->session.len);
        r->totals.sessions = reqs_names_count(r->sessions);
    }
    if (d->format == REQS_JSONL && d->q->input_tokens >= 0)
        reqs_infer_add(&r->infer, d->q->input_tokens, d->q->blocks);
    r->totals.records++;
}

/* Every field is named: the compiler then stores them one by one, which is several times faster
 * than the clearing of a whole struct that it makes of absent ones. */
static void clear_draft(const struct reqs *r, struct reqs_draft *d) {
    *d->q = (struct req){
        .line = r->in.number, .time_ns = 0, .calendar_ns = REQS_UNKNOWN,
        .input_tokens = REQS_UNKNOWN, .output_tokens = REQS_UNKNOWN, .cached_tokens = REQS_UNKNOWN,
        .cache_write_tokens = REQS_UNKNOWN, .reasoning_tokens = REQS_UNKNOWN, .block = NULL,
        .blocks = REQS_UNKNOWN, .session = REQS_NO_SESSION, .id = {NULL, 0}, .model = {NULL, 0}};
    d->session = (struct reqs_text){NULL, 0};
    d->clock = REQS_NO_TIME;
    d->clock_ns = 0;
    d->format = REQS_JSONL;
}

/* Reads lines until one makes a record: 1, 0 at the end, -1. */
static int read_lines(struct reqs *r, struct reqs_draft *d, struct err *err) {
    char *line;
    int rc;
    while ((rc = reqs_lines_next(&r->in, &line, err)) == 1) {
        if (is_blank(line))
            continue;
        struct json j = {line, NULL};
        clear_draft(r, d);
        rc = r->read(r, &j, d);
        if (rc == 0 && r->events)
            rc = reqs_events_take(r, 0, d);
        if (rc > 0)
            return 1;
        if (rc < 0 && !r->opt.skip_bad)
            return line_error(r, line, &j, err);
        r->totals.bad += rc < 0;
    }
    return rc;
}

/* A line of events may complete several requests, and the end completes all. */
static int read_events(struct reqs *r, struct reqs_draft *d, struct err *err) {
    clear_draft(r, d);
    int rc = reqs_events_take(r, 0, d);
    if (rc == 0)
        rc = read_lines(r, d, err);
    if (rc == 0) {
        clear_draft(r, d);
        rc = reqs_events_take(r, 1, d);
    }
    return rc;
}

/* The usual line of a stream, a number and no more, without the way over all formats. 0: the next
 * line is another, or is not whole in the buffer yet. */
static int next_number(struct reqs *r, struct req *out) {
    struct reqs_lines *in = &r->in;
    uint64_t id;
    unsigned n = json_digits(in->data + in->at, &id);
    if (!n || in->end - in->at <= n || in->data[in->at + n] != '\n')
        return 0;
    struct reqs_draft d;
    d.q = out;
    in->at += n + 1;
    in->number++;
    clear_draft(r, &d);
    r->ids.v[0] = id;
    out->block = r->ids.v;
    out->blocks = 1;
    out->time_ns = r->last_ns;
    r->totals.records++;
    r->totals.bytes = in->bytes;
    return 1;
}

int reqs_next(struct reqs *r, struct req *out, struct err *err) {
    struct reqs_draft d;
    d.q = out;
    if (r->totals.format == REQS_STREAM && next_number(r, out))
        return 1;
    int rc = r->events ? read_events(r, &d, err) : read_lines(r, &d, err);
    r->totals.bytes = r->in.bytes;
    if (rc == 1)
        settle(r, &d);
    return rc;
}

int reqs_wait(const struct reqs *r) {
    return reqs_lines_wait(&r->in);
}

const struct reqs_totals *reqs_totals(const struct reqs *r) {
    return &r->totals;
}

const char *reqs_session(const struct reqs *r, uint32_t session) {
    return reqs_names_get(r->sessions, session);
}

int reqs_block_tokens(const struct reqs *r) {
    if (r->opt.block_tokens)
        return r->opt.block_tokens;
    return r->said_block_tokens ? r->said_block_tokens : reqs_infer_result(&r->infer);
}
