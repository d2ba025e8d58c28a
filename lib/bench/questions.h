/* questions.h - questions whose answers can be graded, from JSON Lines
 *
 *     struct questions *all = questions_read("sums.jsonl", GRADE_AUTO, &err);
 *     grade_reply(g, &all->q[0], text, len, &found);
 *
 * A line is an object: "question" (or "prompt"), "answer" (a text, a number, or an array of those
 * that are right), and optionally "id", "topic", "choices" (texts; the answer is then a letter, a
 * number from 0, or one of the texts), "grade" (exact, numeric, regex or choice), "tolerance" (of
 * numeric, relative). Files of GSM8K ("... #### 72") and of MMLU's form are read as they are.
 * Other fields are passed over.
 */
#ifndef QUESTIONS_H
#define QUESTIONS_H

#include <stddef.h>

#include "lib/base/err.h"

enum grade_kind { GRADE_AUTO, GRADE_EXACT, GRADE_NUMERIC, GRADE_REGEX, GRADE_CHOICE };

struct question {
    char *id;                   /* the file's, else its line's number */
    char *text;
    char *topic;                /* NULL: none */
    int grade;                  /* never GRADE_AUTO */
    char **answer;              /* [answers] right ones; of a choice: one, a letter from A */
    int answers;
    char **choice;              /* [choices] */
    int choices;
    double tolerance;           /* relative; 0: equal but for rounding in the last digits */
};

struct questions {
    struct question *q;         /* [n] */
    size_t n;
};

/* Of questions that do not say how they are graded: kind, or with GRADE_AUTO choice where there are
 * choices, numeric where the answer is a number, else exact. "-" is stdin; zstd or plain. NULL: err
 * names file, line, what was expected and found. */
struct questions *questions_read(const char *path, int kind, struct err *err);
struct questions *questions_parse(const char *name, const char *text, size_t len, int kind,
                                  struct err *err);
void questions_free(struct questions *all);             /* NULL is fine */
/* "exact", "numeric", ...; of all kinds but GRADE_AUTO. */
const char *grade_name(int kind);

#endif
