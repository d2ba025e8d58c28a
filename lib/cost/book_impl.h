/* book_impl.h - what the files of lib/cost/book share: the reader's state, its words, the index
 *
 *   book.c          the text, line by line; books by name or file
 *   book_line.c     a line taken apart into words and KEY=VALUE
 *   book_state.c    statements that declare: book, source, model
 *   book_row.c      statements that price: price, factor, and their selectors
 *   book_plan.c     statements of capacity: plan, window, capacity, gpu
 *   book_overlap.c  rows that would hold side by side
 *   book_index.c    names to numbers; the rows of a model
 *   book_time.c     when a row holds
 *   book_format.c   statements as text
 *   book_write.c    the whole book as text, as of a day too
 *   book_shipped.c  the books that are part of the programs
 */
#ifndef BOOK_IMPL_H
#define BOOK_IMPL_H

#include "lib/cost/book.h"

/* ---- names to numbers ------------------------------------------------------------------------ */

struct book_names {             /* {0} is empty; names are borrowed, letters' case does not count */
    struct book_slot {
        const char *name;
        size_t len;
        int value;
    } *slot;
    size_t size, used;          /* size 0 or a power of two */
};
int book_names_get(const struct book_names *t, const char *name, size_t len);  /* -1: none */
void book_names_put(struct book_names *t, const char *name, int value);     /* is new */

struct book_index {
    struct book_names models, words, sources, plans;
    int *rows;                  /* of model i: [first[i], first[i + 1]) */
    size_t *first;
};
void book_index_rows(struct book *b);

/* ---- reading --------------------------------------------------------------------------------- */

#define BOOK_WORDS 64           /* of a line */
#define BOOK_LINE 65536         /* bytes of a line */
#define BOOK_STARS 64           /* rows for all models */
#define BOOK_GROUP 1024         /* rows of one model and kind, */
#define BOOK_GROUP_WINDOWS 64   /* and those of them that have hours or days */

struct book_field {             /* a word, or KEY=VALUE */
    char *key;                  /* NULL: a word */
    char *text;
    int used;
};

struct book_reader {
    struct book *b;
    struct err *err;
    int line;
    const char *statement;
    struct book_field field[BOOK_WORDS];
    int fields, words;          /* the words come first */
    int left;                   /* keys that nobody took */
    char *scratch;              /* the line, words ended by NUL */
    size_t scratch_size;
    size_t row_room, model_room, source_room;
    int stars;
};

/* Sets the error behind "FILE:LINE: "; -1. */
int book_bad(struct book_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes a line apart. Words that follow a KEY=VALUE are errors, and a key twice. */
int book_split(struct book_reader *r, const char *line, size_t len);
/* The value of a key, which is then taken; NULL: it is not there. */
const char *book_take(struct book_reader *r, const char *key);
/* An error when a key is left: `keys` are those of the statement, for the message. */
int book_leftover(struct book_reader *r, const char *keys);

/* Values of keys; *out stays when the key is not there. -1 when it is none. */
int book_take_date(struct book_reader *r, const char *key, int64_t *out);
int book_take_whole(struct book_reader *r, const char *key, int64_t least, int64_t most,
                    int64_t *out);
int book_take_number(struct book_reader *r, const char *key, double most, double *out);
int book_take_money(struct book_reader *r, const char *key, money most, money *out);
int book_take_factor(struct book_reader *r, const char *key, int64_t *out);
int book_take_duration(struct book_reader *r, const char *key, int64_t *out);
int book_take_choice(struct book_reader *r, const char *key, const char *const *names, int *out);
int book_take_text(struct book_reader *r, const char *key, char **out);
int book_take_source(struct book_reader *r, int *out);
/* from= and to= */
int book_take_validity(struct book_reader *r, int64_t *from, int64_t *to);
/* The model that a word names, not an alias of it. */
int book_find_model(struct book_reader *r, const char *name, int *out);

int book_read_head(struct book_reader *r);
int book_read_source(struct book_reader *r);
int book_read_model(struct book_reader *r);
int book_read_price(struct book_reader *r);
int book_read_factor(struct book_reader *r);
int book_read_plan(struct book_reader *r);
int book_read_window(struct book_reader *r);
int book_read_capacity(struct book_reader *r);
int book_read_gpu(struct book_reader *r);

/* Adds a word of selectors, or finds it. */
int book_add_word(struct book *b, const char *word);
/* Refuses rows that hold side by side, and rates that reach too far with their factors. */
int book_check_rows(struct book *b, struct err *err);

/* Whether two rows' windows of days and hours have a time in common. */
int book_windows_meet(const struct book_select *a, const struct book_select *b);

extern const char *const book_cmp_names[];      /* NULL-terminated, in the order of the enum */
extern const char *const book_mode_names[];
extern const char *const book_of_names[];
extern const char *const book_day_names[];

#endif
