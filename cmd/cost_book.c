/* cost_book.c - llm-cost book: price books as such; list and at are here, see cost_book.h */
#include "cmd/cost_book.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/verbs.h"
#include "lib/base/date.h"

struct book *cost_book_load(const char *spec) {
    struct err e = {{0}};
    struct book *b = book_find(spec, &e);
    if (!b)
        die_err(&e);
    return b;
}

int cost_book_find_model(const struct book *b, const char *name) {
    int m = book_model(b, name, strlen(name));
    if (m < 0)
        die("%s: expected a model of this book, found '%s'", b->path, name);
    return m;
}

/* ---- list ---------------------------------------------------------------------------------- */

static const char *const list_usage[] = {
    "usage: llm-cost book list [OPTION]... [BOOK]...\n"
    "The price books that come with the program, and those named.\n\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "Example\n"
    "  llm-cost book list\n",
    NULL};

static const struct field list_fields[] = {
    {"book", FIELD_TEXT, 0}, {"title", FIELD_TEXT, 0}, {"models", FIELD_COUNT, 0},
    {"rows", FIELD_COUNT, 0}, {"plans", FIELD_COUNT, 1}, {"capacities", FIELD_COUNT, 1},
    {"gpus", FIELD_COUNT, 1}, {"sources", FIELD_COUNT, 1}, {"observed", FIELD_TEXT, 0},
    {"counterfactual", FIELD_TEXT, 0}, {"sha256", FIELD_TEXT, 1}};
enum { LIST_FIELDS = sizeof list_fields / sizeof *list_fields };

static void list_one(struct fields *f, const char *spec) {
    struct book *b = cost_book_load(spec);
    char day[DATE_TEXT];
    const struct value row[LIST_FIELDS] = {
        {.text = spec}, {.text = b->title}, {.count = b->models}, {.count = b->rows},
        {.count = b->plans}, {.count = b->capacities}, {.count = b->gpus}, {.count = b->sources},
        {.text = b->observed_ns == BOOK_ALWAYS ? NULL : date_day(b->observed_ns, day)},
        {.text = b->counterfactual ? "yes" : "no"}, {.text = b->sha256}};
    fields_row(f, row);
    book_free(b);
}

static int book_list(int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, FIELDS_LONG, {NULL, 0, NULL, 0}};
    struct common common = {0};
    struct fields f;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &common, list_usage))
            fields_option(c, optarg, &common);
    fields_open(&f, list_fields, LIST_FIELDS, &common);
    for (const char *const *name = book_names(); *name; name++)
        list_one(&f, *name);
    for (int i = optind; i < argc; i++)
        list_one(&f, argv[i]);
    fields_close(&f);
    return EXIT_DONE;
}

/* ---- at ------------------------------------------------------------------------------------ */

static const char *const at_usage[] = {
    "usage: llm-cost book at [OPTION]... DATE BOOK\n"
    "The book as of a day or time (UTC): a book whose rows are those that are valid then, without\n"
    "validity. Hours and days of the week stay.\n\n"
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "Example\n"
    "  llm-cost book at 2026-01-15 starter >january.book\n",
    NULL};

static int book_at(int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, {NULL, 0, NULL, 0}};
    struct common common = {0};
    struct buf out = {0};
    char text[DATE_TEXT];
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        common_option(c, optarg, &common, at_usage);
    if (argc - optind != 2)
        usage_die("expected DATE BOOK, found %d words", argc - optind);
    int64_t at_ns = arg_date("DATE", argv[optind]);
    struct book *b = cost_book_load(argv[optind + 1]);
    printf("# %s as of %s; sha256 of the book %s\n", b->name, date_text(at_ns, text), b->sha256);
    book_write(b, at_ns, &out);
    fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    book_free(b);
    return EXIT_DONE;
}

/* ---- all ----------------------------------------------------------------------------------- */

static const struct verb verbs[] = {
    {"list", book_list, "the books that come with the program"},
    {"show", cost_book_show, "the prices of a book, or of one of its models"},
    {"lint", cost_book_lint, "invariants that do not hold, and what looks like a mistake"},
    {"diff", cost_book_diff, "what changed between two books"},
    {"at", book_at, "a book as of a day"},
    {"import", cost_book_import, "another's price catalogue as a book"},
    {"update", cost_book_update, "a book or catalogue off the net, in place of a file"},
    {0},
};

static const char head[] =
    "usage: llm-cost book VERB [OPTION]... [BOOK]...\n"
    "Price books: shipped ones by name, others as files, llm-book(5).\n\n";
static const char tail[] = "\n'llm-cost book VERB --help' lists the options of a verb.\n";

int cost_book(int argc, char **argv) {
    const struct verbs all = {.program = "llm-cost book", .head = head, .tail = tail,
                              .verb = verbs};
    /* stdout is closed by then, which the caller would do again */
    exit(verbs_main(&all, argc, argv));
}
