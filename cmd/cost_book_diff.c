/* cost_book_diff.c - llm-cost book diff: what changed between two price books, see cost_book.h
 *
 * Rows are the same when model, kind and all that is behind the price are; a row whose validity
 * ended is another one. Sources do not count: the same price seen later is no change.
 */
#include "cmd/cost_book.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OPT_CHECK = OPT_VERB };

static const char *const usage[] = {
    "usage: llm-cost book diff [OPTION]... OLD NEW\n"
    "Prices, factors, plans, provisioned units and GPU time that were added, removed or\n"
    "changed.\n\n"
    "Report\n"
    "      --at DATE          what is valid then (UTC) in the one and the other, whatever else\n"
    "                         their rows say of validity\n"
    "      --check            exit 3 when something differs\n",
    FIELDS_USAGE,
    "General\n"
    "  -h, --help             -V, --version\n\n"
    "Example\n"
    "  llm-cost book at 2026-01-15 starter >january.book\n"
    "  llm-cost book diff january.book starter\n",
    NULL};

static const struct field fields[] = {
    {"change", FIELD_TEXT, 0}, {"what", FIELD_TEXT, 0}, {"model", FIELD_TEXT, 0},
    {"kind", FIELD_TEXT, 0}, {"when", FIELD_TEXT, 0}, {"old", FIELD_TEXT, 0},
    {"new", FIELD_TEXT, 0}, {"change_percent", 2, 0}, {"old_line", FIELD_WHOLE, 1},
    {"new_line", FIELD_WHOLE, 1}};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Something of a book that has a price: what it is beside what it costs. */
struct item {
    const char *what, *name, *kind;
    char *when;                 /* all that makes it what it is */
    char *price;                /* as text; NULL: it has none */
    double value;               /* NAN: not a number to compare */
    int line;
};

struct items {
    struct item *item;
    size_t n, room;
};

static void add(struct items *all, const struct item *x) {
    if (all->n == all->room) {
        all->room = 2 * all->room + 64;
        all->item = mem_grow(all->item, all->room, sizeof *all->item);
    }
    all->item[all->n++] = *x;
}

/* ---- a book as items ------------------------------------------------------------------------ */

/* Not valid at a time that was asked for. What is, loses its validity: all rows are of then. */
static int leave_out(int64_t at_ns, int64_t *from_ns, int64_t *to_ns) {
    if (at_ns == USAGE_NO_TIME)
        return 0;
    if (at_ns < *from_ns || at_ns >= *to_ns)
        return 1;
    *from_ns = BOOK_ALWAYS;
    *to_ns = BOOK_NEVER;
    return 0;
}

static void add_rows(struct items *all, const struct book *b, int64_t at_ns) {
    for (int i = 0; i < b->rows; i++) {
        struct book_row row = b->row[i];
        const struct book_row *r = &row;
        if (leave_out(at_ns, &row.when.from_ns, &row.when.to_ns))
            continue;
        char price[COST_ROW_PRICE];
        char *when = cost_row_when(b, r);
        struct item x = {.what = r->factor ? "factor" : "price",
                         .name = r->model < 0 ? "*" : b->model[r->model].name,
                         .kind = r->kind < 0 ? "tokens" : usage_kind_names()[r->kind],
                         .when = mem_printf("%s%s%s", cost_row_per(r), *when ? " " : "", when),
                         .price = mem_strdup(cost_row_price(r, price)),
                         .value = r->factor ? (double)r->times : (double)r->rate, .line = r->line};
        free(when);
        add(all, &x);
    }
}

/* A statement's words behind the price, which is its text: whatever differs is a change. */
static void add_text(struct items *all, const char *what, const char *name, const char *kind,
                     char *text, int line) {
    struct item x = {.what = what, .name = name, .kind = kind, .when = mem_strdup(""),
                     .price = text, .value = NAN, .line = line};
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ';';
    add(all, &x);
}

static void add_rest(struct items *all, const struct book *b, int64_t at_ns) {
    for (int i = 0; i < b->models; i++) {
        struct book_model m = b->model[i];
        m.source = BOOK_ANY;
        add_text(all, "model", m.name, "", book_model_text(b, &m), m.line);
    }
    for (int i = 0; i < b->plans; i++) {
        struct book_plan p = b->plan[i];
        p.source = BOOK_ANY;
        if (leave_out(at_ns, &p.from_ns, &p.to_ns))
            continue;
        add_text(all, "plan", p.name, "", book_plan_text(b, &p), p.line);
    }
    for (int i = 0; i < b->capacities; i++) {
        struct book_capacity c = b->capacity[i];
        c.source = BOOK_ANY;
        if (leave_out(at_ns, &c.from_ns, &c.to_ns))
            continue;
        add_text(all, "capacity", b->model[c.model].name, c.name, book_capacity_text(b, &c),
                 c.line);
    }
    for (int i = 0; i < b->gpus; i++) {
        struct book_gpu g = b->gpu[i];
        g.source = BOOK_ANY;
        if (leave_out(at_ns, &g.from_ns, &g.to_ns))
            continue;
        add_text(all, "gpu", g.device, g.provider ? g.provider : "", book_gpu_text(b, &g), g.line);
    }
}

static int same_thing(const struct item *a, const struct item *b) {
    int c = strcmp(a->name, b->name);
    c = c ? c : strcmp(a->what, b->what);
    c = c ? c : strcmp(a->kind, b->kind);
    return c ? c : strcmp(a->when, b->when);
}

static int by_thing(const void *a, const void *b) {
    const struct item *x = a;
    const struct item *y = b;
    int c = same_thing(x, y);
    return c ? c : (x->line > y->line) - (x->line < y->line);
}

static struct items items_of(const struct book *b, int64_t at_ns) {
    struct items all = {0};
    add_rows(&all, b, at_ns);
    add_rest(&all, b, at_ns);
    if (all.n)
        qsort(all.item, all.n, sizeof *all.item, by_thing);
    return all;
}

static void free_items(struct items *all) {
    for (size_t i = 0; i < all->n; i++) {
        free(all->item[i].when);
        free(all->item[i].price);
    }
    free(all->item);
}

/* ---- beside each other ---------------------------------------------------------------------- */

static void put(struct fields *f, const char *change, const struct item *a, const struct item *b) {
    const struct item *x = a ? a : b;
    double percent = a && b ? (b->value / a->value - 1) * 100 : NAN;
    const struct value row[FIELDS] = {
        {.text = change}, {.text = x->what}, {.text = x->name},
        {.text = *x->kind ? x->kind : NULL}, {.text = *x->when ? x->when : NULL},
        {.text = a ? a->price : NULL}, {.text = b ? b->price : NULL},
        {.number = isfinite(percent) ? percent : NAN}, {.number = a ? (double)a->line : NAN},
        {.number = b ? (double)b->line : NAN}};
    fields_row(f, row);
}

static int compare(struct fields *f, const struct items *a, const struct items *b) {
    size_t i = 0;
    size_t k = 0;
    int differences = 0;
    while (i < a->n || k < b->n) {
        const struct item *x = i < a->n ? &a->item[i] : NULL;
        const struct item *y = k < b->n ? &b->item[k] : NULL;
        int c = !x ? 1 : !y ? -1 : same_thing(x, y);
        if (c < 0)
            put(f, "removed", x, NULL);
        else if (c > 0)
            put(f, "added", NULL, y);
        else if (strcmp(x->price, y->price))
            put(f, "changed", x, y);
        differences += c || strcmp(x->price, y->price);
        i += c <= 0;
        k += c >= 0;
    }
    return differences;
}

int cost_book_changes(const struct book *old, const struct book *new, int64_t at_ns,
                      const struct common *common) {
    struct items a = items_of(old, at_ns);
    struct items b = items_of(new, at_ns);
    struct fields f;
    fields_open(&f, fields, FIELDS, common);
    int differences = compare(&f, &a, &b);
    fields_close(&f);
    free_items(&a);
    free_items(&b);
    return differences;
}

int cost_book_diff(int argc, char **argv) {
    static const struct option longs[] = {COMMON_LONG, FIELDS_LONG,
        {"at", required_argument, NULL, OPT_AT}, {"check", no_argument, NULL, OPT_CHECK},
        {NULL, 0, NULL, 0}};
    struct common common = {0};
    int64_t at_ns = USAGE_NO_TIME;
    int check = 0;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &common, usage) && !fields_option(c, optarg, &common)) {
            check |= c == OPT_CHECK;
            if (c == OPT_AT)
                at_ns = arg_date("--at", optarg);
        }
    if (argc - optind != 2)
        usage_die("expected OLD NEW, found %d words", argc - optind);
    struct book *old = cost_book_load(argv[optind]);
    struct book *new = cost_book_load(argv[optind + 1]);
    int differences = cost_book_changes(old, new, at_ns, &common);
    book_free(old);
    book_free(new);
    return check && differences ? EXIT_CHECK : EXIT_DONE;
}
