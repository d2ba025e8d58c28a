/* series_impl.h - what the readers of series.h share: series.c (text) and series_json.c (JSON) */
#ifndef SERIES_IMPL_H
#define SERIES_IMPL_H

#include <stdint.h>

#include "lib/base/mem.h"
#include "lib/bench/series.h"
#include "lib/trace/reqs_json.h"

/* Between a llama-bench test's name and the settings it ran with, and between these; taken out or
 * spelt out when all rows are known (series_finish). No file's text holds them. */
#define SERIES_SETTINGS '\1'
#define SERIES_SETTING '\2'

struct series_member {
    struct reqs_text key;
    char *value;                /* where it stands, not yet read */
};

struct series_builder {
    const char *name;           /* of the file, for messages */
    int64_t line;               /* that is being read, 1 for the first */
    struct serieses *all;
    uint32_t *slot;             /* names to index + 1, open addressing; 0: free */
    size_t slots;
    struct buf origin;          /* of the record that is being read */
    struct buf run_origin;      /* of a run's first record: that of all after it */
    struct buf text, unit;      /* scratch: a name, a unit */
    struct series_member *member;
    size_t members, room;
};

/* Index of the series with this name and unit, made when it is new. better: of a new one, and of
 * one where it was not known. The record's origin becomes its own, or is found to differ. */
size_t series_place(struct series_builder *b, const char *name, const char *unit, int better);
void series_put(struct series_builder *b, size_t index, double x);
/* Unit and direction that a field's name tells, as in ttft_ms; how many characters of the name are
 * left without them, or SIZE_MAX when it tells none. */
size_t series_unit_of(const char *key, size_t len, const char **unit, int *better);
int series_better_of_unit(const char *unit);
/* Appends text, even when it is empty a string, without control characters. */
void series_add_clean(struct buf *out, const char *text, size_t len);
/* "key: text" becomes a line of the record's origin. */
void series_add_origin(struct series_builder *b, const char *key, const char *text, size_t len);

/* One JSON value and what follows it up to the newline that ends it. -1: j says what was wrong. */
int series_json(struct series_builder *b, struct json *j);
/* An array of numbers, null where there is none, into series `index`; -1: what j says. */
int series_json_numbers(struct series_builder *b, struct json *j, size_t index);

#endif
