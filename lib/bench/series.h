/* series.h - measurements from files: ours, and those of other programs
 *
 *     struct serieses *all = series_read("head.jsonl", &err);
 *     for (size_t i = 0; i < all->n; i++)
 *         use(&all->s[i]);
 *     series_free(all);
 *
 * A series is what one measurement gave: a name, a unit, which way is better, samples in the order
 * in which they were taken. What the text is, is sniffed, plain or zstd: rows of llm-bench (JSON
 * Lines, or tab-separated), request and step records (each number with a unit in its name is a
 * series), llama-bench's JSON and JSON Lines, hyperfine's JSON, or plain numbers, one a line.
 *
 * Names: a row's own; a record's field without its unit, after a step's phase ("ttft",
 * "decode.step"); "prefill512", "decode64", "prefill512+decode64", "decode64@4096" of llama-bench's
 * tests (rows of one name that ran with other settings have these in the name too); "wall" and
 * "peak" of hyperfine's, after the command where there are several; "value" of plain numbers.
 */
#ifndef SERIES_H
#define SERIES_H

#include <stddef.h>

#include "lib/base/err.h"

enum series_better { SERIES_UNKNOWN, SERIES_HIGHER, SERIES_LOWER };

struct series {
    char *name;                 /* "decode64", "ttft" */
    char *unit;                 /* "tok/s", "ms"; "" when not known */
    int better;                 /* enum series_better */
    double *x;                  /* [n] finite */
    size_t n;
    char *origin;               /* where they were taken: lines "host: ...", "cpu: ...", "program:
                                 * ...", "command: ...", "files: ..."; those that are known */
};

struct serieses {
    struct series *s;
    size_t n;
};

/* Rows of one name and unit join into one series, in the file's order. NULL on error: err names
 * file, line, what was expected and found. "-" is stdin. */
struct serieses *series_read(const char *path, struct err *err);
/* The same from text, such as a program has printed; name is for messages. */
struct serieses *series_parse(const char *name, const char *text, size_t len, struct err *err);
/* Puts n samples behind those of the series with this name and unit, which is made when it is new.
 * Borrowed until the next call, as it may move. */
struct series *series_append(struct serieses *all, const char *name, const char *unit, int better,
                             const double *x, size_t n);
const struct series *series_find(const struct serieses *all, const char *name, const char *unit);
void series_free(struct serieses *all);                 /* NULL is fine */

#endif
