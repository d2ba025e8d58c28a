/* bill.h - from usage to money under a price book, every rule named
 *
 *     struct biller *p = biller_new(book, &(struct bill_options){.at_ns = now});
 *     if (bill_price(p, &usage, 0, &bill) == BILL_PRICED)
 *         total += bill.usd;
 *     else
 *         unpriced(bill.why);
 *     biller_free(p);
 *
 * The rules, in the order in which they are taken (book.h says what rows are):
 *
 *   model     the record's name as book_model finds it; a name that the book lacks is unpriced
 *   time      bill_options.at_ns, else the record's own, else now_ns
 *   service   what is not said is "standard". A service or speed other than that, which no row of
 *             the model mentions at that time, is unpriced; a region that none mentions is none
 *   rows      of an amount: those of its kind that hold. Modality other than text, and a said cache
 *             life other than the model's default, must be mentioned by the row itself or by a
 *             factor that holds; if there are none, the amount is unpriced. A life that is not said
 *             is the default; with neither, only rows without ttl hold. A request as such costs
 *             nothing where no row holds for requests
 *   fallback  behind the rows of the kind stand those of the kind that it falls back to: read and
 *             write to input, reasoning to output. Writes fall back only where the model has no row
 *             for writes at that time, whatever the life. It costs what the other kind does with
 *             that one's factors, and its own on top
 *   tier      a row with a tier is passed over where its threshold is not passed (below)
 *   best      of the rows left, those of the model before those of "*", then the one with most
 *             selectors, then the highest threshold, then the first in the text
 *   factors   those that hold multiply, one of each set of selectors, tier and kind: of the model
 *             before "*", then the highest threshold. A factor without a kind is one of tokens. A
 *             rate after each factor is a whole number of yocto-dollars, half to even
 *   charge    quantity x rate, each line whole yocto-dollars (times are divided, half to even)
 *   sum       exact; rounded once, half to even, to the pico-dollar
 *
 * Tiers. Tokens are numbered from 1 in the order read, written, fresh, reasoning, other output;
 * within a kind by modality, then life. A whole tier compares the measure (prompt, class, total)
 * with the threshold, for all tokens at once; a marginal one compares each token's own number:
 *   of=prompt  numbers within the prompt; what is made, and what is no token, stands at its end
 *   of=class   numbers within the class: read, written, fresh, or made (reasoning and other output)
 *   of=total   numbers within all of it
 * so that cmp=ge is one token earlier than cmp=gt in either mode.
 *
 * What was resolved for a model, service, region, speed and time is kept, so that a million
 * requests a second are priced; bill_explain resolves the same and says each step.
 */
#ifndef BILL_H
#define BILL_H

#include <stdint.h>

#include "lib/base/err.h"
#include "lib/cost/book.h"
#include "lib/cost/money.h"
#include "lib/cost/usage.h"

/* Changes to how the book's context tiers are read, to see what they are worth. -1: the book's. */
struct bill_tiers {
    int cmp, mode, of;
    int ignore;                 /* 1: no tiers at all */
};

struct bill_options {
    int64_t at_ns;              /* prices of this time, whatever the record's; USAGE_NO_TIME: the
                                 * record's own, then now_ns */
    int64_t now_ns;             /* of records without a time */
    const char *model;          /* of records without one, NULL: they are unpriced */
    int force_model;            /* 1: of all records */
    const char *service;        /* of all records, NULL: their own */
    const struct bill_tiers *tiers;     /* NULL: the book's */
    int without_row;            /* 1 + index into book->row: as if it were not there; 0: all are */
};

enum bill_result { BILL_PRICED = 1, BILL_UNPRICED = 0 };

#define BILL_FACTORS 8

struct bill_line {              /* one charge */
    struct usage_amount amount; /* quantity: what this line charges (a marginal tier splits it) */
    int row;                    /* index into book->row */
    int fallback;               /* kind whose row it is, when not its own: else -1 */
    int factors;
    int factor[BILL_FACTORS];   /* indices into book->row */
    money_rate rate;            /* after factors: of the row's unit */
    money_rate charge;          /* yocto-dollars */
    int tiered;                 /* the row is of a context tier */
};

#define BILL_LINES 64

struct bill {
    int model;                  /* index into book->model; -1 */
    int64_t at_ns;              /* the time that prices are of */
    money usd;                  /* the sum, rounded once; 0 when unpriced */
    money_rate yocto;           /* before rounding */
    int n;
    int cut;                    /* lines for which there was no room: the sum has them */
    struct bill_line line[BILL_LINES];
    char why[256];              /* of BILL_UNPRICED: the model and what has no price */
};

struct biller;
/* The book is borrowed, and so are the texts of the options. */
struct biller *biller_new(const struct book *b, const struct bill_options *opt);
void biller_free(struct biller *p);             /* NULL is fine */
/* BILL_PRICED, BILL_UNPRICED. Lines are filled where lines is 1, the sum always. A record of no
 * amounts costs 0; a bill that cannot be counted in 128 bits is unpriced. */
int bill_price(struct biller *p, const struct usage *u, int lines, struct bill *out);

/* One step of an explanation, in the order in which they were taken. */
struct bill_step {
    /* "model", "time", "service", "region", "speed", of each amount "passed" (a row that does not
     * count, and why), "fallback", "row", "tier", "factor", "charge"; "free" a request that no row
     * charges; "more" charges than a bill has lines; "rounding", "total", or "unpriced" */
    const char *rule;
    int line;                   /* of the book; 0: a rule that needs no row */
    int row;                    /* index into book->row, -1: none */
    char *text;                 /* words */
    struct usage_amount amount; /* of a charge: what is charged */
    money_rate rate;            /* of a row, a factor and a charge: after it, of the row's unit */
    money_rate charge;          /* of a charge: yocto-dollars */
    money usd;                  /* of the total */
};
struct bill_steps {             /* {0} is empty */
    struct bill_step *step;
    int n;
};
/* As bill_price with lines, and every rule that fired. A tier is said with its comparison. Steps
 * are added; the caller frees them. */
int bill_explain(struct biller *p, const struct usage *u, struct bill *out,
                 struct bill_steps *steps);
void bill_steps_free(struct bill_steps *steps); /* becomes {0} */

/* The models with the names nearest to one that the book lacks, the nearest first: indices into
 * book->model, how many. */
int bill_near(const struct book *b, const char *name, size_t len, int *model, int most);

#endif
