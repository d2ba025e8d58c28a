/* book.h - price books: what a token, a second, a unit of capacity costs, when, and who says so
 *
 *     struct book *b = book_find("starter", &err);            // or a file; see llm-book(5)
 *     const struct book_model *m = book_model(b, "claude-sonnet-4-5", 17);
 *     book_free(b);
 *
 * A book is text, a statement a line, in any order that names things before they are used:
 *
 *     book    starter observed=2026-11-24 currency=USD
 *     source  anthropic url=https://... observed=2026-11-24 confidence=listed
 *     model   claude-sonnet-4-5 provider=anthropic alias=claude-4-5-sonnet source=anthropic
 *     price   claude-sonnet-4-5 input 3
 *     price   claude-sonnet-4-5 input 6 above=200000 cmp=gt mode=whole of=prompt to=2026-03-13
 *     price   claude-sonnet-4-5 write 6 ttl=1h
 *     price   claude-sonnet-4-5 write 3.75
 *     factor  claude-sonnet-4-5 0.5 service=batch
 *     plan    cursor-pro fee=20 period=month included=20
 *     window  PLAN limit=12 period=5h
 *     capacity gpt-5.4 name=ptu rate=1 per=hour min=15 step=5 input_tpm=2400 output_weight=8
 *     gpu     h100-sxm provider=runpod rate=2.69
 *
 * Selectors are service, region, speed, modality, ttl, and the window of hours and days. They are
 * orthogonal: a row holds for a charge when each selector that it has equals the request's (a
 * request that says none is "standard", its modality "text"), the time is in [from, to) and the
 * tier is reached. Of the price rows that hold
 *   1. those of the model itself go before those of "*",
 *   2. those with most selectors before others (book_selectors; validity and tier are none),
 *   3. the tier with the highest threshold before lower ones and the row without.
 * A marginal tier is asked so for each token. Rows that this leaves side by side for some charge
 * overlap: the book is refused, unless a row with more selectors holds wherever they meet.
 * Factors that hold multiply; of those with one and the same set of selectors (kind and tier are
 * parts of it) one holds: of the model before "*", the highest threshold.
 *
 * A row without modality is one of text, a row of writes without ttl one of the model's default
 * life, unless a factor mentions another: a factor of 1 says that it costs the same.
 *
 * Rules that need no row:
 *   read, write without a row cost input; reasoning costs output; a request costs nothing; nothing
 *   else falls back
 *   a service, speed, modality or cache life that the model has no row or factor for is unpriced; a
 *   region that it does not mention costs what others do
 *   a kind without a row for the service, where the model has others for it, takes its row without
 */
#ifndef BOOK_H
#define BOOK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/cost/money.h"
#include "lib/cost/usage.h"

#define BOOK_ALWAYS INT64_MIN           /* from: since ever */
#define BOOK_NEVER INT64_MAX            /* to: for ever */
#define BOOK_ANY (-1)                   /* of a word: the row does not say */

enum book_cmp { BOOK_GT, BOOK_GE };
enum book_mode {
    BOOK_WHOLE,                 /* above the threshold all tokens cost the tier's price */
    BOOK_MARGINAL               /* only those beyond it */
};
enum book_of {
    BOOK_OF_PROMPT,             /* the prompt is measured; marginal: cached tokens come first, then
                                 * written, then fresh ones; output tokens lie beyond it all */
    BOOK_OF_CLASS,              /* the tokens of the row's own kind */
    BOOK_OF_TOTAL               /* prompt and output */
};

/* Limits of what a book may say, so that no bill overflows: a token costs at most $1 (with every
 * factor of its model), a request or search $1000, an hour $1e6. Then a charge of USAGE_MOST
 * tokens, 2^31 requests or INT64_MAX nanoseconds stays below 2^121 yocto-dollars, and 48 of them
 * below 2^127. */
#define BOOK_TOKEN_MOST (MONEY_USD * MONEY_YOCTO)
#define BOOK_REQUEST_MOST (1000 * MONEY_USD * MONEY_YOCTO)
#define BOOK_HOUR_MOST (1000000 * MONEY_USD * MONEY_YOCTO)
#define BOOK_FACTOR_MOST (1000 * (int64_t)MONEY_FACTOR)

#define BOOK_HOURS 4                    /* windows of a day */
#define BOOK_WINDOWS 4                  /* of a plan */
#define BOOK_PLANS 2048                 /* capacities, and gpus, of a book */

/* When and for what a row holds. Words are numbers of book_word. */
struct book_select {
    int service, region, speed, modality;       /* BOOK_ANY */
    int64_t ttl_ns;                     /* of a write; 0: any */
    int64_t above;                      /* context tier; -1: none */
    uint8_t cmp, mode, of;              /* of the tier */
    int64_t from_ns, to_ns;             /* valid [from, to) */
    uint8_t days;                       /* bit 0 Monday; 0: every day */
    int hours;                          /* windows of the day; 0: all of it */
    struct { int from_s, to_s; } hour[BOOK_HOURS];      /* [from, to), seconds of a day in zone */
    int zone_s;                         /* seconds east of UTC */
};

enum book_per {
    BOOK_PER_MTOK,              /* rate: yocto-dollars a token */
    BOOK_PER_REQUEST,           /* a request, a search */
    BOOK_PER_HOUR,              /* rate for an hour of USAGE_SECOND, or a token kept an hour */
    BOOK_PER_ACTIVE,            /* a token for each 1e9 parameters that it activates */
    BOOK_PER_UNIT               /* a started unit of unit_tokens tokens */
};

struct book_row {
    int line;                   /* of the book's text */
    int model;                  /* index into model; BOOK_ANY: all of them */
    int kind;                   /* enum usage_kind; BOOK_ANY: every kind of token (factors) */
    int factor;                 /* 1: `times` counts, 0: `rate` */
    money_rate rate;
    int per;                    /* enum book_per */
    int64_t unit_tokens;
    int64_t times;              /* MONEY_FACTOR is 1 */
    struct book_select when;
    int source;                 /* index into source; BOOK_ANY: its model's */
};

struct book_source {
    char *name, *url, *title;           /* NULL: not said */
    char *confidence;                   /* NULL: not said; listed, mirrored, derived,
                                         * assumed, counterfactual */
    int64_t observed_ns;
    int line;
};

struct book_model {
    char *name, *provider;              /* provider NULL: not said */
    int64_t default_ttl_ns;             /* of writes whose life is not said; 0: none */
    int64_t context;                    /* tokens; 0: not said */
    double params, active;              /* whole numbers below 2^53; 0: not said */
    char *shape;                        /* of lib/shape's known models; NULL */
    char **alias;
    int aliases;
    int source, line;
};

struct book_plan {
    char *name;
    money fee;                          /* a period */
    int64_t period_ns;                  /* months count as 30 days of 24 hours */
    money included;                     /* worth of usage at the book's prices */
    money credit;                       /* dollars of one credit; 0: credits are not used */
    int64_t overage;                    /* factor on what goes beyond; -1: it is refused */
    int windows;
    struct { money limit; int64_t period_ns; } window[BOOK_WINDOWS];    /* all hold at
                                                                         * once */
    int64_t from_ns, to_ns;
    int source, line;
};

struct book_capacity {                  /* provisioned units */
    char *name;
    int model;
    money rate;                         /* of a unit for an hour */
    int64_t min, step;                  /* units that can be had: min, min + step, ... */
    double input_tpm, output_weight;    /* tokens a minute of a unit; an output token counts so many
                                         * input tokens */
    double output_tpm;                  /* 0: output goes into input_tpm by its weight */
    int spill;                          /* 1: what does not fit is charged per token, 0: refused */
    int64_t from_ns, to_ns;
    int source, line;
};

struct book_gpu {
    char *device, *provider;            /* device: a name of device_names where there is one */
    money rate;                         /* of one for an hour */
    int64_t granule_ns;                 /* time is charged in steps of it */
    int64_t from_ns, to_ns;
    int source, line;
};

struct book {
    char *path, *name;
    char *title;                        /* NULL: not said */
    char sha256[65];                    /* of its text */
    int64_t observed_ns;
    int counterfactual;                 /* declared: nobody bills so */
    char **word;                        /* of selectors: "batch", "eu"; word 0 is "standard" */
    int words;
    struct book_source *source;
    int sources;
    struct book_model *model;
    int models;
    struct book_row *row;               /* in the order of the text */
    int rows;
    struct book_plan *plan;
    int plans;
    struct book_capacity *capacity;
    int capacities;
    struct book_gpu *gpu;
    int gpus;
    void *index;                        /* of book.c */
};

/* A shipped book's name (book_names), or a file, plain or zstd; "-" is stdin. A name goes before a
 * file of that name ("./NAME"). NULL on error: err names file, line, what was expected and found.
 * Overlapping rows are an error. */
struct book *book_find(const char *spec, struct err *err);
struct book *book_parse(const char *path, const char *text, size_t len, struct err *err);
void book_free(struct book *b);                         /* NULL is fine */
const char *const *book_names(void);                    /* NULL-terminated */
/* Text of a shipped book; NULL: there is none of this name. */
const char *book_text(const char *name, size_t *len);

/* By name or alias, upper or lower case; then without a provider in front ("anthropic/NAME"), then
 * without a date or version behind ("-20250929", "@20250929", "-2025-09-29", "-latest", "-v1:0",
 * "[1m]"). -1: the book has no price for it. */
int book_model(const struct book *b, const char *name, size_t len);
/* Number of a selector's word; BOOK_ANY: no row has it. */
int book_word(const struct book *b, const char *word, size_t len);
/* Bits of the selectors that a row has. */
enum {
    BOOK_SERVICE = 1, BOOK_REGION = 2, BOOK_SPEED = 4, BOOK_MODALITY = 8, BOOK_TTL = 16,
    BOOK_WINDOW = 32
};
unsigned book_selectors(const struct book_select *when);
/* 1 when a row of this validity holds at this time, hours and days included; tiers not asked. */
int book_holds(const struct book_select *when, int64_t time_ns);
/* The next time after `time_ns` at which that may change; BOOK_NEVER. */
int64_t book_changes(const struct book_select *when, int64_t time_ns);
/* Indices of the rows of a model, those for all models among them, in the order of the text. */
const int *book_rows_of(const struct book *b, int model, int *n);
/* Statements as lines of llm-book(5), without the last newline (a plan has a line for each of its
 * windows); the caller frees. Dates are to the second. */
char *book_row_text(const struct book *b, const struct book_row *row);
char *book_head_text(const struct book *b);
char *book_source_text(const struct book_source *s);
char *book_model_text(const struct book *b, const struct book_model *m);
char *book_plan_text(const struct book *b, const struct book_plan *p);
char *book_capacity_text(const struct book *b, const struct book_capacity *c);
char *book_gpu_text(const struct book *b, const struct book_gpu *g);
/* The book as text that reads back as it is; with a time other than USAGE_NO_TIME as of then: what
 * is valid, without its validity. Adds to out. */
void book_write(const struct book *b, int64_t at_ns, struct buf *out);

#endif
