/* cost_book_import.c - llm-cost book import: another's price catalogue becomes a book */
#include "cmd/cost_book_import.h"

#include <stdio.h>

#include "lib/base/outfile.h"

static const char *const usage[] = {
    "usage: llm-cost book import [OPTION]... [FILE|URL]\n"
    "Writes another's price catalogue as a price book, llm-book(5); says on stderr what a book\n"
    "cannot hold. Prices are taken from the decimals of the text, exactly.\n\n",
    CATALOGUE_USAGE,
    "Book\n"
    "      --name NAME        of the book (default: the format's)\n"
    "      --url URL          where the catalogue is from (default: the address that it was\n"
    "                         fetched from, else where it is published)\n"
    "      --observed DATE    when its prices were read (default: the date in it, else the\n"
    "                         file's, else today)\n"
    "  -o, --output FILE      write there in place of stdout\n"
    "General\n"
    "  -q, --quiet            fewer words on stderr\n"
    "  -h, --help             -V, --version\n\n"
    "  llm-cost book import --from litellm prices.json > litellm.book\n"
    "  llm-cost book import --provider openai,anthropic https://models.dev/api.json -o mine.book\n",
    NULL};

static void write_book(const char *path, const struct buf *book) {
    struct err e = {{0}};
    struct outfile *f = outfile_open(path, &e);
    if (!f)
        die_err(&e);
    fwrite(book->data, 1, book->len, outfile_stream(f));
    if (outfile_close(f, &e))
        die_err(&e);
}

int cost_book_import(int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, CATALOGUE_LONG,
                                          {"url", required_argument, NULL, OPT_URL},
                                          {NULL, 0, NULL, 0}};
    struct common common = {0};
    struct catalogue cat = CATALOGUE;
    struct buf text = {0};
    struct buf book = {0};
    int c;
    int n;
    while ((c = getopt_long(argc, argv, "o:" COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &common, usage))
            catalogue_option(c, optarg, &cat);
    char **path = common_inputs(argc, argv, usage, 0, &n);
    if (n != 1)
        usage_die("expected one catalogue, found %d", n);
    cat.quiet = common.quiet;
    catalogue_read(&cat, *path, &text);
    catalogue_convert(&cat, *path, &text, &book);
    write_book(cat.output ? cat.output : "-", &book);
    buf_free(&text);
    buf_free(&book);
    catalogue_free(&cat);
    return EXIT_DONE;
}
