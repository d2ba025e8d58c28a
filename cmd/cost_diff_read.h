/* cost_diff_read.h - what the readers of one side share; the rest of llm-cost diff needs none of it
 *
 *   cost_diff_read.c       the side: who reads what, and records put together
 *   cost_diff_lines.c      ids, fields, steps and times, line by line
 *   cost_diff_prefix.c     how much of a prompt other prompts began with
 */
#ifndef COST_DIFF_READ_H
#define COST_DIFF_READ_H

#include "cmd/cost_diff.h"

enum { LINE_OTHER, LINE_ROW, LINE_STEP, LINE_RUN };

struct line_told {              /* what a line says beside its usage */
    char *id;
    int is_void, is_warmup;
    int kind;                   /* LINE_ROW, ... */
    int64_t time_ns;
    double flops, kv_bytes, weight_bytes;
    double *field;              /* [fields of the diff] NAN: none; NULL: no field at all */
};

struct reader {
    struct diff *d;
    struct diff_side *side;
    struct line_told *line;     /* [lines] the first is line 1 */
    size_t lines;
    int blocks;                 /* some record has block ids or token ids */
    int records;                /* JSON objects that may be requests, broken ones among them */
    int json;                   /* the text is JSON Lines */
};

void diff_read_lines(struct reader *r, const struct buf *text);
/* Fills in cacheable of every record. */
void diff_read_prefixes(struct reader *r);
/* The record of a line; NULL: none. */
struct diff_record *diff_find_record(struct diff_side *s, int64_t line);
/* Dies of an error in the side's file, under the name that the user knows. */
void diff_die_of(const struct diff_side *s, const struct err *e) __attribute__((noreturn));

#endif
