/* reqs_impl.h - what the files of the request reader share
 *
 *   reqs.c           open, sniff, the loop over lines, times, sessions, totals
 *   reqs_line.c      lines of the input
 *   reqs_json.c      values of a JSON line
 *   reqs_record.c    JSON Lines: requests with block ids, token ids or lengths
 *   reqs_csv.c       CSV of lengths
 *   reqs_events.c    logs of KV cache events
 *   reqs_time.c      decimal times
 *   reqs_hash.c      token ids and texts to 64 bits, names to dense numbers
 *   reqs_infer.c     the block size that lengths and block counts allow
 */
#ifndef REQS_IMPL_H
#define REQS_IMPL_H

#include "lib/base/mem.h"
#include "lib/format/zio.h"
#include "lib/trace/reqs.h"
#include "lib/trace/reqs_json.h"
#include "lib/trace/reqs_line.h"

/* ---- texts and numbers ------------------------------------------------------------------ */

/* Constant of splitmix64 (Steele, Lea, Flood 2014), 2^64 over the golden ratio. */
#define REQS_GOLDEN 0x9E3779B97F4A7C15u

/* The state of a chain of tokens after one more; it starts with 0. splitmix64's output function
 * (Stafford's variant 13) is a bijection of 64 bits: two states that differ stay different over
 * equal tokens, and two that are equal differ after unequal tokens; any other collision has the
 * chance of a random one. */
static inline uint64_t reqs_hash_token(uint64_t state, uint64_t token) {
    uint64_t z = (state ^ token) + REQS_GOLDEN;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* The same chain over eight bytes at a time (the first is the lowest), then over the length. */
uint64_t reqs_hash_bytes(const char *s, size_t len);

/* Decimal number times scale in whole units, cut toward zero: 0, or -1 beyond 64 bits. The text
 * is a valid JSON number. */
int reqs_time_scaled(const char *s, size_t len, int64_t scale, int64_t *out);

/* Names to dense numbers in the order in which they are added, and back. */
struct reqs_names;
struct reqs_names *reqs_names_new(void);
void reqs_names_free(struct reqs_names *n);             /* NULL is fine */
uint32_t reqs_names_add(struct reqs_names *n, const char *s, size_t len);
uint32_t reqs_names_count(const struct reqs_names *n);
const char *reqs_names_get(const struct reqs_names *n, uint32_t i);     /* NULL: no such number */

/* ---- block size (reqs_infer.c) ---------------------------------------------------------- */

struct reqs_sizes {             /* from..to; empty when from > to */
    int64_t from, to;
};

struct reqs_infer {
    struct reqs_sizes up, down; /* sizes that explain every record, counts rounded up or down */
};

void reqs_infer_init(struct reqs_infer *f);
void reqs_infer_add(struct reqs_infer *f, int64_t tokens, int64_t blocks);
int reqs_infer_result(const struct reqs_infer *f);      /* 0: none, or several */

/* ---- formats ---------------------------------------------------------------------------- */

/* How a record says its time. */
enum reqs_clock {
    REQS_NO_TIME,
    REQS_SINCE_START,           /* counted from the trace's start: taken as it is */
    REQS_ABSOLUTE               /* counted from elsewhere: the first record's becomes 0 */
};

/* What a format's reader makes of a line; session and time are made of it once all is read. */
struct reqs_draft {
    struct req *q;
    struct reqs_text session;
    enum reqs_clock clock;
    int64_t clock_ns;
    enum reqs_format format;    /* what the record alone looks like */
};

struct reqs {
    char *name;                 /* of the input, for messages */
    struct reqs_options opt;
    struct reqs_lines in;
    /* Reads a line: 1 a record, 0 none, -1 broken (j says where and why). */
    int (*read)(struct reqs *r, struct json *j, struct reqs_draft *d);
    struct reqs_totals totals;
    struct reqs_names *sessions;
    struct reqs_infer infer;
    int said_block_tokens;      /* the trace says so; 0: it does not */
    int64_t base_ns[3];         /* what each clock showed at the trace's start, once based */
    int based[3];
    int64_t last_ns;            /* of the record before */
    struct json_u64s ids;       /* block ids of the record */
    struct json_u64s tokens, made;      /* token ids of the record: prompt and output */
    unsigned char order[32];    /* reqs_record.c: which key came at which place of a record */
    struct reqs_names *chats;   /* reqs_record.c: chats, NULL without any */
    uint32_t *chat_root;        /* [chat_cap] the first chat of the session of each */
    uint32_t chat_cap;
    struct reqs_csv *csv;       /* reqs_csv.c: columns */
    struct reqs_events *events; /* reqs_events.c: chains */
};

int reqs_record_read(struct reqs *r, struct json *j, struct reqs_draft *d);
int reqs_stream_read(struct reqs *r, struct json *j, struct reqs_draft *d);
int reqs_csv_read(struct reqs *r, struct json *j, struct reqs_draft *d);
/* The header line; NULL with j->want when it names no length. */
struct reqs_csv *reqs_csv_open(struct json *j);
void reqs_csv_free(struct reqs_csv *c);

int reqs_events_sniff(const char *line);                /* looks like an event or a batch: 1 */
struct reqs_events *reqs_events_new(void);
void reqs_events_free(struct reqs_events *e);
/* Takes in a line; always 0 or -1, since requests end long after they begin. */
int reqs_events_read(struct reqs *r, struct json *j, struct reqs_draft *d);
/* The oldest request, if it is complete (all are once the log ended): 1 or 0. */
int reqs_events_take(struct reqs *r, int ended, struct reqs_draft *d);

#endif
