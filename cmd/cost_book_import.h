/* cost_book_import.h - prices out of a file or off the net: what book import and book update share
 *
 *     struct catalogue c = CATALOGUE;
 *     ... catalogue_option(c, optarg, &c) ...
 *     catalogue_read(&c, "prices.json", &text);
 *     catalogue_convert(&c, &text, &book);         // text of llm-book(5)
 *
 * Everything here ends the program when it cannot go on.
 */
#ifndef COST_BOOK_IMPORT_H
#define COST_BOOK_IMPORT_H

#include "cmd/cost.h"
#include "lib/cost/import.h"

enum {
    OPT_FROM = OPT_VERB, OPT_PROVIDER, OPT_MODEL_GLOB, OPT_NAME, OPT_OBSERVED, OPT_URL, OPT_SHA256,
    OPT_STRICT,
    OPT_CATALOGUE_END
};

#define CATALOGUE_LONG \
    {"from", required_argument, NULL, OPT_FROM}, \
    {"provider", required_argument, NULL, OPT_PROVIDER}, \
    {"model", required_argument, NULL, OPT_MODEL_GLOB}, \
    {"name", required_argument, NULL, OPT_NAME}, \
    {"observed", required_argument, NULL, OPT_OBSERVED}, \
    {"sha256", required_argument, NULL, OPT_SHA256}, \
    {"strict", no_argument, NULL, OPT_STRICT}, {"output", required_argument, NULL, 'o'}
#define CATALOGUE_USAGE \
    "Catalogue\n" \
    "      --from FORMAT      litellm, models.dev, llm-prices or genai-prices (default: by what\n" \
    "                         it looks like)\n" \
    "      --provider LIST    only these providers' models, as in openai,vertex_ai*; the first\n" \
    "                         gets a name that several of them have (default: all)\n" \
    "      --model LIST       only models of these names, as in gpt-5*,claude-* (default: all)\n" \
    "      --sha256 HEX       what it must be: 64 hexadecimal digits\n" \
    "      --strict           fail where it has prices that a book cannot hold\n"

struct catalogue {
    struct import_options how;
    const char *sha256;         /* NULL: anything */
    const char *output;         /* NULL: stdout */
    int strict, quiet;
    int refresh;                /* ask the server though the file is in the cache */
    const char **providers, **models;
};
#define CATALOGUE {.how = {.observed_ns = IMPORT_NO_DATE}, .refresh = 1}

int catalogue_option(int c, const char *arg, struct catalogue *cat);
/* The bytes of a file, a URL or stdin ("-"), with their date and address. */
void catalogue_read(struct catalogue *cat, const char *spec, struct buf *text);
/* A catalogue's text as a book's, with words about what is not in it. */
void catalogue_convert(struct catalogue *cat, const char *path, const struct buf *text,
                       struct buf *book);
void catalogue_free(struct catalogue *cat);

#endif
