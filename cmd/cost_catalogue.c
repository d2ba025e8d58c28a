/* cost_catalogue.c - prices out of a file or off the net, see cost_book_import.h */
#include "cmd/cost_book_import.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd/progress.h"
#include "lib/base/fetch.h"
#include "lib/base/sha256.h"
#include "lib/format/zio.h"

/* "a,b" as patterns ended by NULL. */
static const char **patterns(const char *option, const char *arg) {
    int n;
    char **part = arg_list(mem_strdup(arg), &n);
    const char **list = mem_array((size_t)n + 1, sizeof *list);
    for (int i = 0; i < n; i++) {
        if (!*part[i])
            usage_die("%s: '%s': expected names with commas between", option, arg);
        list[i] = part[i];
    }
    free(part);
    return list;
}

static void set_patterns(const char *option, const char *arg, const char ***list) {
    if (*list)
        usage_die("%s is there twice: give one list with commas", option);
    *list = patterns(option, arg);
}

int catalogue_option(int c, const char *arg, struct catalogue *cat) {
    switch (c) {
    case OPT_FROM:
        cat->how.from = import_formats()[arg_choice("--from", arg, import_formats())];
        return 1;
    case OPT_PROVIDER: set_patterns("--provider", arg, &cat->providers); break;
    case OPT_MODEL_GLOB: set_patterns("--model", arg, &cat->models); break;
    case OPT_NAME: cat->how.name = arg; break;
    case OPT_OBSERVED: cat->how.observed_ns = arg_date("--observed", arg); break;
    case OPT_URL: cat->how.url = arg; break;
    case OPT_SHA256:
        if (strlen(arg) != 64 || strspn(arg, "0123456789abcdefABCDEF") != 64)
            usage_die("--sha256: '%s': expected 64 hexadecimal digits", arg);
        cat->sha256 = arg;
        break;
    case OPT_STRICT: cat->strict = 1; break;
    case 'o': cat->output = arg; break;
    default: return 0;
    }
    cat->how.providers = cat->providers;
    cat->how.models = cat->models;
    return 1;
}

/* ---- reading -------------------------------------------------------------------------------- */

static int show_fetching(void *arg, int64_t done, int64_t total) {
    progress_update(arg, done, total);
    return 0;
}

static char *fetch(const struct catalogue *cat, const char *url) {
    struct progress bar;
    struct err e = {{0}};
    char *path = NULL;
    progress_start(&bar, "fetching", PROGRESS_BYTES, cat->quiet);
    struct fetch_options how = {.sha256 = cat->sha256, .refresh = cat->refresh,
                                .progress = show_fetching, .arg = &bar};
    int rc = fetch_url(url, &how, &path, &e);
    progress_end(&bar);
    if (rc)
        die_err(&e);
    return path;
}

static void check_sha256(const struct catalogue *cat, const char *path) {
    struct err e = {{0}};
    char found[SHA256_HEX];
    if (!cat->sha256)
        return;
    if (!strcmp(path, "-"))
        usage_die("--sha256: expected a file or an address, found stdin");
    if (sha256_file(path, found, &e))
        die_err(&e);
    if (strcasecmp(found, cat->sha256))
        die("%s: expected SHA-256 %s, found %s", path, cat->sha256, found);
}

void catalogue_read(struct catalogue *cat, const char *spec, struct buf *text) {
    struct err e = {{0}};
    struct stat st;
    int remote = fetch_is_url(spec);
    char *path = remote ? fetch(cat, spec) : mem_strdup(spec);
    cat->how.fallback_ns = (int64_t)time(NULL) * 1000000000;
    if (remote && !cat->how.url)
        cat->how.url = spec;
    if (!remote)
        check_sha256(cat, spec);
    if (!remote && !stat(spec, &st) && S_ISREG(st.st_mode))
        cat->how.fallback_ns = (int64_t)st.st_mtim.tv_sec * 1000000000;
    if (zio_read_all(path, text, &e))
        die_err(&e);
    free(path);
}

/* ---- converting ----------------------------------------------------------------------------- */

static void say(const struct catalogue *cat, const char *path, const struct import_report *rep) {
    int64_t lost = import_lost(rep);
    if (!cat->quiet)
        warn("%s: %s: %" PRId64 " of %" PRId64 " models, %" PRId64 " rows; %" PRId64
             " left out by --provider and --model, %" PRId64 " without a price", path, rep->from,
             rep->models, rep->entries, rep->rows, rep->passed, rep->unpriced);
    for (int i = 0; i < rep->notes && !cat->quiet; i++) {
        const struct import_note *n = &rep->note[i];
        warn("%s: %s%" PRId64 " x %s%s%s%s", path, n->lost ? "not in the book: " : "", n->count,
             n->what, n->example ? " (as of " : "", n->example ? n->example : "",
             n->example ? ")" : "");
    }
    if (lost && cat->quiet)
        warn("%s: %" PRId64 " prices are not in the book: without -q they are listed", path, lost);
}

/* What is written loads, or it is our fault and not the catalogue's. */
static void check_book(const char *path, const struct buf *text) {
    struct err e = {{0}};
    char *name = mem_printf("%s, imported", path);
    struct book *b = book_parse(name, text->data, text->len, &e);
    if (!b)
        die_err(&e);
    book_free(b);
    free(name);
}

void catalogue_convert(struct catalogue *cat, const char *path, const struct buf *text,
                       struct buf *book) {
    struct err e = {{0}};
    struct import_report rep;
    path = input_name(path);
    if (import_book(path, text->data, text->len, &cat->how, book, &rep, &e))
        die_err(&e);
    say(cat, path, &rep);
    if (cat->strict && import_lost(&rep))
        die("%s: --strict: %" PRId64 " prices cannot be said in a book", path, import_lost(&rep));
    import_report_free(&rep);
    check_book(path, book);
}

static void free_patterns(const char **list) {
    free(list);
}

void catalogue_free(struct catalogue *cat) {
    free_patterns(cat->providers);
    free_patterns(cat->models);
}
