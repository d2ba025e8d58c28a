/* grade.h - is a reply right
 *
 *     struct grader *g = grade_new(NULL, 0, all, &err);
 *     struct buf found = {0};
 *     if (grade_reply(g, q, text, len, &found) == GRADE_RIGHT) ...
 *     grade_free(g);
 *
 * What is graded: the reply without what stands between <think> and </think> (a <think> that never
 * ends leaves nothing), and of that, with a pattern, its last match (its first group where it has
 * one). Then
 *
 *   exact     equal once blanks at the ends are gone, runs of them are one, and a final full stop
 *             of either is left out
 *   numeric   the last number, read with thousands separators, a sign, a decimal point, an exponent
 *   regex     an answer, a Perl-compatible pattern, matches somewhere
 *   choice    a letter of the choices: the reply is it, or begins with it and . ) or : after it;
 *             else the last one after "answer" or "choice" (is, :); else the last in parentheses;
 *             else the last that stands alone; else a choice's text is the whole reply
 */
#ifndef GRADE_H
#define GRADE_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/bench/questions.h"

struct grader;

enum grade_mark {
    GRADE_WRONG,
    GRADE_RIGHT,
    GRADE_UNPARSED              /* no number, letter or match of the pattern in it: wrong too */
};

/* pattern: NULL, or what to take of a reply. all: its questions' regex answers are compiled here;
 * NULL when a pattern is not valid. */
struct grader *grade_new(const char *pattern, int ignore_case, const struct questions *all,
                         struct err *err);
void grade_free(struct grader *g);                      /* NULL is fine */

/* The mark; found (emptied first) gets what was read from the reply. q is one of `all`. */
int grade_reply(const struct grader *g, const struct question *q, const char *text, size_t len,
                struct buf *found);

#endif
