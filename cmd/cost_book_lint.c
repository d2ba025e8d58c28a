/* cost_book_lint.c - llm-cost book lint: what no vendor would mean, see lib/cost/book_lint.h */
#include "cmd/cost_book.h"

#include <stdlib.h>
#include <time.h>

#include "lib/cost/book_lint.h"

enum { OPT_STRICT = OPT_VERB, OPT_NOW };

static const char *const usage[] = {
    "usage: llm-cost book lint [OPTION]... BOOK...\n"
    "Checks price books: a row for each finding. Invariants that do not hold are errors:\n"
    "exit 3.\n\n"
    "Rules\n"
    "      --strict           warnings are errors\n"
    "      --now DATE         what lies behind it is yet to come (default: now)\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "Example\n"
    "  llm-cost book lint starter\n",
    NULL};

static const struct field fields[] = {
    {"book", FIELD_TEXT, 0}, {"line", FIELD_COUNT, 0}, {"rule", FIELD_TEXT, 0},
    {"severity", FIELD_TEXT, 0}, {"words", FIELD_TEXT, 0}};

struct options {
    struct common common;
    int strict;
    int64_t now_ns;
};

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, FIELDS_LONG,
        {"strict", no_argument, NULL, OPT_STRICT}, {"now", required_argument, NULL, OPT_NOW},
        {NULL, 0, NULL, 0}};
    int c;
    o->now_ns = (int64_t)time(NULL) * 1000000000;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !fields_option(c, optarg, &o->common)) {
            if (c == OPT_STRICT)
                o->strict = 1;
            else if (c == OPT_NOW)
                o->now_ns = arg_date("--now", optarg);
        }
    if (optind == argc)
        usage_die("expected a book, found none");
}

/* Adds the findings of a book to the table. */
static void lint_one(const struct options *o, const struct book *b, struct fields *f, int *errors,
                     int *warnings) {
    int n;
    struct book_finding *found = book_lint(b, o->now_ns, &n);
    for (int i = 0; i < n; i++) {
        int error = found[i].error || o->strict;
        *errors += error;
        *warnings += !error;
        fields_row(f, (struct value[]){
            {.text = b->path}, {.count = found[i].line}, {.text = found[i].rule},
            {.text = error ? "error" : "warning"}, {.text = found[i].words}});
    }
    free(found);
}

int cost_book_lint(int argc, char **argv) {
    struct options o = {.strict = 0};
    struct fields f;
    int errors = 0;
    int warnings = 0;
    parse(&o, argc, argv);
    int n = argc - optind;
    struct book **book = mem_array((size_t)n, sizeof *book);
    for (int i = 0; i < n; i++)         /* nothing is written before all can be read */
        book[i] = cost_book_load(argv[optind + i]);
    fields_open(&f, fields, 5, &o.common);
    for (int i = 0; i < n; i++) {
        lint_one(&o, book[i], &f, &errors, &warnings);
        book_free(book[i]);
    }
    fields_close(&f);
    free(book);
    if (!o.common.quiet)
        warn("%d errors, %d warnings", errors, warnings);
    return errors ? EXIT_CHECK : EXIT_DONE;
}
