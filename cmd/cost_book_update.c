/* cost_book_update.c - llm-cost book update: prices off the net in place of a file
 *
 * The file stays as it is until the new book has come whole, has loaded, and was written beside it;
 * then it is replaced in one step.
 */
#include "cmd/cost_book.h"
#include "cmd/cost_book_import.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fetch.h"
#include "lib/base/outfile.h"

static const char *const usage[] = {
    "usage: llm-cost book update [OPTION]... URL\n"
    "Fetches a price book, or another's catalogue as of book import, and puts it in place of FILE\n"
    "once it has come whole and loads; shows what it changes, as book diff does. A fetch that was\n"
    "cut goes on where it was, and what the server has not changed is not sent again.\n\n",
    CATALOGUE_USAGE,
    "Book\n"
    "      --name NAME        of a book made of a catalogue (default: the format's)\n"
    "      --observed DATE    when the catalogue's prices were read (default: the date in\n"
    "                         it, else today)\n"
    "  -o, --output FILE      the book to replace (default: the book goes to stdout, and\n"
    "                         nothing is compared)\n"
    "      --check            exit 3 when something differs from FILE\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "  llm-cost book update --from litellm --provider openai,anthropic -o litellm.book \\\n"
    "      https://raw.githubusercontent.com/BerriAI/litellm/main/"
    "model_prices_and_context_window.json\n",
    NULL};

enum { OPT_CHECK = OPT_CATALOGUE_END };

/* The text of the new book: its own, or one made of a catalogue. */
static void new_book(struct catalogue *cat, const char *url, struct buf *book) {
    struct buf text = {0};
    catalogue_read(cat, url, &text);
    if (cat->how.from || import_is_json(text.data, text.len)) {
        catalogue_convert(cat, url, &text, book);
        buf_free(&text);
    } else {
        if (cat->how.name || cat->providers || cat->models ||
            cat->how.observed_ns != IMPORT_NO_DATE)
            die("%s: --name, --observed, --provider and --model are for catalogues, found a book",
                url);
        *book = text;
    }
}

static struct book *load(const char *path, const struct buf *text) {
    struct err e = {{0}};
    struct book *b = book_parse(path, text->data, text->len, &e);
    if (!b)
        die_err(&e);
    if (!b->models)
        die("%s: expected a book with models, found none", path);
    return b;
}

/* The book that is there; NULL: none, or one that does not load, which is no reason to keep it. */
static struct book *old_book(const char *path, int quiet) {
    struct err e = {{0}};
    struct stat st;
    if (!path || stat(path, &st) || !S_ISREG(st.st_mode))
        return NULL;
    char *file = strchr(path, '/') ? mem_strdup(path) : mem_printf("./%s", path);
    struct book *b = book_find(file, &e);
    if (!b && !quiet)
        warn("%s: nothing to compare with", e.text);
    free(file);
    return b;
}

static void write_book(const char *path, const struct buf *text) {
    struct err e = {{0}};
    struct outfile *f = outfile_open(path, &e);
    if (!f)
        die_err(&e);
    fwrite(text->data, 1, text->len, outfile_stream(f));
    if (outfile_close(f, &e))
        die_err(&e);
}

static int update(struct catalogue *cat, const char *url, const struct common *common) {
    struct buf text = {0};
    int differences = 0;
    new_book(cat, url, &text);
    struct book *new = load(url, &text);
    struct book *old = old_book(cat->output, cat->quiet);
    write_book(cat->output ? cat->output : "-", &text);
    if (old)
        differences = cost_book_changes(old, new, USAGE_NO_TIME, common);
    if (cat->output && !common->quiet)
        warn("%s: %d models, %d rows, %d differences%s", cat->output, new->models, new->rows,
             differences, old ? "" : "; there was no book before");
    book_free(old);
    book_free(new);
    buf_free(&text);
    return differences;
}

int cost_book_update(int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, FIELDS_LONG, CATALOGUE_LONG,
                                          {"check", no_argument, NULL, OPT_CHECK},
                                          {NULL, 0, NULL, 0}};
    struct common common = {0};
    struct catalogue cat = CATALOGUE;
    int check = 0;
    int c;
    while ((c = getopt_long(argc, argv, "o:" COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &common, usage) && !fields_option(c, optarg, &common) &&
            !catalogue_option(c, optarg, &cat))
            check |= c == OPT_CHECK;
    if (argc - optind != 1 || !fetch_is_url(argv[optind]))
        usage_die("expected one address, http:// or https://; a file is for book import");
    cat.quiet = common.quiet;
    int differences = update(&cat, argv[optind], &common);
    catalogue_free(&cat);
    return check && differences ? EXIT_CHECK : EXIT_DONE;
}
