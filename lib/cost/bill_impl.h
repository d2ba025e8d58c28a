/* bill_impl.h - what the files of lib/cost/bill share: what was resolved, and how tokens count
 *
 *   bill.c          the biller, a record's sum
 *   bill_tariff.c   what holds for a model, service, region, speed at a time, kept
 *   bill_slot.c     the rows and factors of a kind, modality and life, the best first
 *   bill_tier.c     the numbers of tokens, thresholds, and where an amount is split
 *   bill_explain.c  the same, step by step
 *   bill_words.c    what the steps say
 *   bill_near.c     names that may have been meant
 */
#ifndef BILL_IMPL_H
#define BILL_IMPL_H

#include "lib/cost/bill.h"

#define BILL_NO_WORD (-2)       /* of a request: a word that no row of the book has */

/* What tokens on one side of every threshold cost. */
struct bill_choice {
    int row;                    /* index into book->row; -1: none is left */
    int factors;
    int factor[BILL_FACTORS];
    money_rate rate;
    int64_t per;                /* the rate is for so many of the amount's unit */
    const char *why;            /* NULL: priced */
};

/* A kind, a modality, a cache life. */
struct bill_slot {
    uint8_t kind, modality;
    int64_t ttl_ns;
    const char *why;            /* NULL: rows may be left */
    int *price;                 /* rows that hold but for their tiers, the best first */
    int prices;
    int *factor;                /* the same; those of one set stand together */
    int factors;
    int tiered, marginal;       /* some row or factor is */
    struct bill_choice *choice;
    int choices;
};

/* Which rows hold at a time, and what follows from that. */
struct bill_state {
    unsigned char *holds;       /* [rows of the model] */
    const char *why;            /* NULL: service and speed are known */
    struct bill_slot *slot;
    int slots;
};

struct bill_tariff {
    char *key;                  /* model, service, region, speed, each ended by NUL */
    size_t len;
    uint64_t hash;
    int model;                  /* -1: unknown */
    int service, region, speed; /* words of the book, or BILL_NO_WORD */
    int64_t from_ns, to_ns;     /* where `now` holds: [from, to) */
    int now;                    /* index into state */
    struct bill_state *state;
    int states;
    struct bill_tariff *next;   /* of the same bucket */
};

struct biller {
    const struct book *b;
    struct bill_options opt;
    int modality[USAGE_MODALITIES];     /* words of the book, BILL_NO_WORD */
    struct bill_tariff **bucket, *last;
    size_t tariffs;
};

/* ---- bill.c ------------------------------------------------------------------------------- */

/* The time that prices are of. */
int64_t bill_time(const struct biller *p, const struct usage *u);
/* The charge of so many of the amount's unit; -1: 128 bits do not hold it. */
int bill_charge(const struct book_row *r, const struct bill_choice *c, int64_t quantity,
                money_rate *out);

/* ---- bill_tariff.c ------------------------------------------------------------------------ */

/* The tariff of a record at a time, its `now` set. */
struct bill_tariff *bill_tariff_of(struct biller *p, const struct usage *u, int64_t at_ns);
struct bill_slot *bill_slot_of(struct biller *p, struct bill_tariff *t,
                               const struct usage_amount *a);
void bill_tariffs_drop(struct biller *p);
/* The text that counts: the option's before the record's; data may be NULL. */
struct reqs_text bill_model_text(const struct biller *p, const struct usage *u);
struct reqs_text bill_service_text(const struct biller *p, const struct usage *u);

/* ---- bill_slot.c -------------------------------------------------------------------------- */

void bill_slot_fill(struct biller *p, const struct bill_tariff *t, const unsigned char *holds,
                    struct bill_slot *s);
void bill_slot_free(struct bill_slot *s);
/* The kind that a kind falls back to, or -1. */
int bill_fallback(int kind);
int bill_is_token(int kind);
/* Bits that tell a factor's set: selectors, tier, kind. */
unsigned bill_factor_set(const struct book_row *r);
/* Whether a factor counts for a charge of this kind under a row of that one: of either, or of all
 * tokens. What falls back costs what the other kind does, its factors included. */
int bill_factor_counts(const struct book_row *factor, int kind, int row_kind);
/* Whether the row's selectors but for tier, time, modality and life equal the tariff's. */
int bill_row_fits(const struct bill_tariff *t, const struct book_row *r);

/* ---- bill_tier.c -------------------------------------------------------------------------- */

/* What is counted of a record, for thresholds. */
struct bill_numbers {
    int64_t prompt, total;
    int64_t class_sum;          /* of the amount's class */
    int64_t in_prompt, in_class, in_total;      /* tokens before the amount; -1: it stands at the
                                                 * end, and all of it has the measure's number */
};
void bill_number(const struct usage *u, int i, struct bill_numbers *n);
/* The tier as the options have it. */
void bill_tier(const struct biller *p, const struct book_row *r, int *cmp, int *mode, int *of);
/* What a whole tier compares. */
int64_t bill_measure(const struct bill_numbers *n, int of);
/* Whether the tier of a row holds for the token behind `offset` tokens of the amount. */
int bill_beyond(const struct biller *p, const struct book_row *r, const struct bill_numbers *n,
                int64_t offset);
/* The first offset above `offset` at which that changes, at most `quantity`. */
int64_t bill_turn(const struct biller *p, const struct book_row *r, const struct bill_numbers *n,
                  int64_t offset, int64_t quantity);
/* What the token behind `offset` costs: an index into s->choice. n NULL: nothing is tiered. */
int bill_choose(struct biller *p, const struct bill_tariff *t, struct bill_slot *s,
                const struct bill_numbers *n, int64_t offset);

/* ---- bill_words.c ------------------------------------------------------------------------- */

/* Each returns a text that the caller frees. */
char *bill_words_model(const struct book *b, int model, struct reqs_text name);
char *bill_words_time(const struct biller *p, const struct usage *u, int64_t at_ns);
/* "prompt 250000 > 200000"; of a marginal tier the numbers of tokens [from, to) of the amount. */
char *bill_words_tier(const struct biller *p, const struct book_row *r,
                      const struct bill_numbers *n, int64_t from, int64_t to);
/* Why a row does not count for an amount; `best` is the row that does, or -1. */
char *bill_words_passed(const struct biller *p, const struct bill_tariff *t,
                        const struct usage *u, int i, int row, int best);
/* "read at $0.3 a million tokens" */
char *bill_words_row(const struct book_row *r);
/* "200000 read tokens x $0.3 a million tokens = $0.06" */
char *bill_words_charge(const struct book_row *r, const struct bill_line *l);

#endif
