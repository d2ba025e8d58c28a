/* book_shipped.c - the price books that are part of the programs: books/NAME.book as they are
 *
 * The assembler reads the files, from the folder that the compiler runs in; the Makefile knows that
 * this file depends on them.
 */
#include "lib/cost/book.h"

#include <string.h>

#define SHIPPED(id, file) \
    __asm__(".pushsection .rodata\n" \
            ".globl book_shipped_" #id "\n" \
            ".globl book_shipped_" #id "_end\n" \
            "book_shipped_" #id ":\n" \
            ".incbin \"books/" file ".book\"\n" \
            "book_shipped_" #id "_end:\n" \
            ".byte 0\n" \
            ".popsection\n"); \
    extern const char book_shipped_##id[]; \
    extern const char book_shipped_##id##_end[]
#define ROW(id, file) {file, book_shipped_##id, book_shipped_##id##_end}

SHIPPED(starter, "starter");
SHIPPED(active, "active");
SHIPPED(reasoning_unit, "reasoning-unit");
SHIPPED(as_litellm, "as-litellm");
SHIPPED(as_ccusage, "as-ccusage");
SHIPPED(as_models_dev, "as-models-dev");

static const struct {
    const char *name, *text, *end;
} books[] = {
    ROW(starter, "starter"), ROW(active, "active"), ROW(reasoning_unit, "reasoning-unit"),
    ROW(as_litellm, "as-litellm"), ROW(as_ccusage, "as-ccusage"),
    ROW(as_models_dev, "as-models-dev"),
};
enum { BOOKS = sizeof books / sizeof *books };

const char *const *book_names(void) {
    static const char *names[BOOKS + 1];
    for (int i = 0; i < BOOKS; i++)
        names[i] = books[i].name;
    return names;
}

const char *book_text(const char *name, size_t *len) {
    for (int i = 0; i < BOOKS; i++)
        if (!strcmp(books[i].name, name)) {
            *len = (size_t)(books[i].end - books[i].text);
            return books[i].text;
        }
    return NULL;
}
