/* cache_provider.c - llm-cache provider: prompt caches as they are sold
 *
 * A row is a rule: a preset, or the defaults, with every option that was given laid over it; times
 * to live and placements that are lists multiply the rows.
 */
#include "cmd/cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/fields.h"
#include "cmd/prices.h"
#include "cmd/progress.h"
#include "lib/cache/provider.h"

#define USAGE_PRESETS 3         /* where their lines go, which the table of presets gives */

static const char *usage[] = {
    "usage: llm-cache provider [OPTION]... [TRACE]\n"
    "What a trace costs with a prompt cache as it is sold, against none, in units of the price of\n"
    "a fresh input token.\n\n"
    "Prices\n"
    "      --preset LIST      rules of providers, see below; options change them\n"
    "      --read X           price of a token that is hit (default 0.1)\n"
    "      --write X          price of a token that is written (default 1.25)\n"
    "      --storage X        price of a token stored for an hour (default 0)\n"
    "      --output-price X   price of an output token, on both sides (default 0)\n"
    "      --price MODEL      all of them from a price book, llm-book(5): MODEL of the book\n"
    "                         starter, or BOOK:MODEL\n"
    "Cache\n"
    "      --ttl LIST         times to live: 5m,1h, or inf (default 5m)\n"
    "      --renew yes|no     a hit renews the time to live (default yes)\n"
    "      --min N            tokens of the shortest prefix that is cached (default 0)\n"
    "      --step N           cached prefixes are multiples of N tokens (default 1)\n"
    "      --breakpoints N    prefix ends of a request, at most 64; 0: every block (default 0)\n"
    "      --place LIST       where they are: turns, spread, double (default turns)\n"
    "      --head N           the first one is behind N tokens (a system prompt)\n"
    "      --lookback N       blocks before a breakpoint in which an end is hit (default: all)\n"
    "Report\n"
    "      --by session       a row for each session\n"
    "      --json             JSON Lines in place of a table\n"
    "  -v, --verbose          every column on a terminal too\n",
    CACHE_TRACE_USAGE,
    "General\n"
    "  -q, --quiet            no progress bar, fewer warnings\n"
    "  -h, --help             -V, --version\n\n"
    "Presets (a convenience: prices change, check yours)\n",
    [USAGE_PRESETS] = NULL,
    NULL};

enum {
    OPT_PRESET = OPT_VERB, OPT_READ, OPT_WRITE, OPT_STORAGE, OPT_OUTPUT_PRICE, OPT_PRICE, OPT_TTL,
    OPT_RENEW, OPT_MIN, OPT_STEP, OPT_BREAKPOINTS, OPT_PLACE, OPT_HEAD, OPT_LOOKBACK, OPT_BY,
    OPT_END
};

struct options {
    struct common common;
    struct cache_trace in;
    const char *given[OPT_END - OPT_VERB];      /* arguments; NULL: not given */
    struct prices prices;       /* with --price */
};

static const char *given(const struct options *o, int option) {
    return o->given[option - OPT_VERB];
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, CACHE_TRACE_LONG,
        {"preset", required_argument, NULL, OPT_PRESET},
        {"read", required_argument, NULL, OPT_READ},
        {"write", required_argument, NULL, OPT_WRITE},
        {"storage", required_argument, NULL, OPT_STORAGE},
        {"output-price", required_argument, NULL, OPT_OUTPUT_PRICE},
        {"price", required_argument, NULL, OPT_PRICE},
        {"ttl", required_argument, NULL, OPT_TTL},
        {"renew", required_argument, NULL, OPT_RENEW},
        {"min", required_argument, NULL, OPT_MIN},
        {"step", required_argument, NULL, OPT_STEP},
        {"breakpoints", required_argument, NULL, OPT_BREAKPOINTS},
        {"place", required_argument, NULL, OPT_PLACE},
        {"head", required_argument, NULL, OPT_HEAD},
        {"lookback", required_argument, NULL, OPT_LOOKBACK},
        {"by", required_argument, NULL, OPT_BY},
        {NULL, 0, NULL, 0}};
    static const char *const parts[] = {"session", NULL};
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage) && !cache_trace_option(c, optarg, &o->in))
            o->given[c - OPT_VERB] = optarg;
    if (given(o, OPT_BY))
        arg_choice("--by", given(o, OPT_BY), parts);
    if (given(o, OPT_PRICE))
        prices_parse("--price", given(o, OPT_PRICE), &o->prices);
    if (o->prices.book && isnan(prices_relative(&o->prices, USAGE_INPUT, 0)))
        usage_die("--price: '%s': input is free, and a cache saves nothing", given(o, OPT_PRICE));
    cache_trace_operand(argc, argv, usage, &o->in);
}

/* ---- rules ------------------------------------------------------------------------------ */

struct named_rule {
    const char *name;
    struct provider_rule rule;
};

struct rules {
    struct named_rule *rule;
    int n;
};

#define MOST_PRICE 1e9
#define MOST_TOKENS ((int64_t)1 << 40)

static void set_price(const struct options *o, int option, const char *name, double *price) {
    if (given(o, option))
        *price = arg_float(name, given(o, option), 0, MOST_PRICE);
}

static void set_tokens(const struct options *o, int option, const char *name, int64_t least,
                       int64_t *tokens) {
    if (given(o, option))
        *tokens = arg_size(name, given(o, option), least, MOST_TOKENS);
}

/* All but what may be a list. */
static struct provider_rule change_rule(const struct options *o, struct provider_rule r) {
    static const char *const renews[] = {"no", "yes", NULL};
    set_price(o, OPT_READ, "--read", &r.read);
    set_price(o, OPT_WRITE, "--write", &r.write);
    set_price(o, OPT_STORAGE, "--storage", &r.storage);
    set_price(o, OPT_OUTPUT_PRICE, "--output-price", &r.output);
    set_tokens(o, OPT_MIN, "--min", 0, &r.min_tokens);
    set_tokens(o, OPT_STEP, "--step", 1, &r.step_tokens);
    set_tokens(o, OPT_HEAD, "--head", 1, &r.head_tokens);
    set_tokens(o, OPT_LOOKBACK, "--lookback", 1, &r.lookback);
    if (given(o, OPT_RENEW))
        r.renew = arg_choice("--renew", given(o, OPT_RENEW), renews);
    if (given(o, OPT_BREAKPOINTS))
        r.breakpoints = (int)arg_int("--breakpoints", given(o, OPT_BREAKPOINTS), 0,
                                     PROVIDER_MOST_BREAKPOINTS);
    if (!r.breakpoints && (r.head_tokens || r.lookback || given(o, OPT_PLACE)))
        usage_die("--place, --head and --lookback need --breakpoints");
    return r;
}

static void add_rule(struct rules *l, const char *name, struct provider_rule rule) {
    if (rule.storage > 0 && rule.ttl_ns == PROVIDER_FOREVER)
        usage_die("--ttl: 'inf': what is stored for ever costs without end (--storage)");
    l->rule = mem_grow(l->rule, (size_t)l->n + 1, sizeof *l->rule);
    l->rule[l->n++] = (struct named_rule){name, rule};
}

/* The rule with each placement. */
static void add_places(struct rules *l, const struct options *o, const char *name,
                       struct provider_rule rule) {
    char *text = mem_strdup(given(o, OPT_PLACE) ? given(o, OPT_PLACE) : "turns");
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        rule.place = (enum provider_place)arg_choice("--place", part[i], provider_place_names());
        add_rule(l, name, rule);
    }
    free(part);
    free(text);
}

static void book_price(const struct options *o, int option, enum usage_kind kind, int64_t ttl_ns,
                       double *price) {
    double x = given(o, option) ? NAN : prices_relative(&o->prices, kind, ttl_ns);
    if (!isnan(x))
        *price = x;
}

/* What the book says of the rule and its time to live; options go before it. */
static struct provider_rule book_rule(const struct options *o, struct provider_rule r) {
    int64_t ttl = r.ttl_ns == PROVIDER_FOREVER ? 0 : r.ttl_ns;
    if (!given(o, OPT_WRITE) && isnan(prices_relative(&o->prices, USAGE_WRITE, ttl)))
        die("--price: the price book '%s' has no price for what '%s' keeps for %g s",
            o->prices.book->name, o->prices.model, (double)ttl / 1e9);
    book_price(o, OPT_READ, USAGE_READ, 0, &r.read);
    book_price(o, OPT_WRITE, USAGE_WRITE, ttl, &r.write);
    book_price(o, OPT_STORAGE, USAGE_STORAGE, 0, &r.storage);
    book_price(o, OPT_OUTPUT_PRICE, USAGE_OUTPUT, 0, &r.output);
    return r;
}

/* And with each time to live. */
static void add_lives(struct rules *l, const struct options *o, const char *name,
                      struct provider_rule rule) {
    char *text = given(o, OPT_TTL) ? mem_strdup(given(o, OPT_TTL)) : NULL;
    int n = 0;
    char **part = text ? arg_list(text, &n) : NULL;
    for (int i = 0; i < n; i++) {
        rule.ttl_ns = strcmp(part[i], "inf") ? arg_duration("--ttl", part[i]) : PROVIDER_FOREVER;
        add_places(l, o, name, o->prices.book ? book_rule(o, rule) : rule);
    }
    if (!text)
        add_places(l, o, name, o->prices.book ? book_rule(o, rule) : rule);
    free(part);
    free(text);
}

#define MOST_PRESETS 16

static const struct provider_preset *find_preset(const char *name) {
    const struct provider_preset *p = provider_presets();
    const char *names[MOST_PRESETS + 1] = {NULL};
    for (int i = 0; i < MOST_PRESETS && p[i].name; i++)
        names[i] = p[i].name;
    return &p[arg_choice("--preset", name, names)];
}

static struct rules find_rules(const struct options *o) {
    struct rules l = {0};
    struct provider_rule rule = {.read = 0.1, .write = 1.25, .ttl_ns = (int64_t)300 * 1000000000,
                                 .renew = 1, .step_tokens = 1};
    if (!given(o, OPT_PRESET)) {
        add_lives(&l, o, o->prices.book ? o->prices.model : "custom", change_rule(o, rule));
        return l;
    }
    char *text = mem_strdup(given(o, OPT_PRESET));
    int n;
    char **part = arg_list(text, &n);
    for (int i = 0; i < n; i++) {
        const struct provider_preset *p = find_preset(part[i]);
        add_lives(&l, o, p->name, change_rule(o, p->rule));
    }
    free(part);
    free(text);
    return l;
}

/* Lines of the help, from the table that the rules come from. */
static char *describe_presets(void) {
    struct buf b = {0};
    for (const struct provider_preset *p = provider_presets(); p->name; p++) {
        const struct provider_rule *r = &p->rule;
        buf_printf(&b, "  %-16s read %g, write %g", p->name, r->read, r->write);
        if (r->storage > 0)
            buf_printf(&b, ", storage %g", r->storage);
        buf_printf(&b, ", ttl %gs%s, min %lld", (double)r->ttl_ns / 1e9,
                   r->renew ? "" : " not renewed", (long long)r->min_tokens);
        if (r->step_tokens > 1)
            buf_printf(&b, ", step %lld", (long long)r->step_tokens);
        if (r->breakpoints)
            buf_printf(&b, ", breakpoints %d", r->breakpoints);
        buf_printf(&b, "\n                   %s\n", p->words);
    }
    return b.data;
}

/* ---- rows ------------------------------------------------------------------------------- */

/* The first is left out where rows are no sessions. */
static const struct field fields[] = {
    {"session", FIELD_TEXT, 0}, {"rule", FIELD_TEXT, 0}, {"place", FIELD_TEXT, 0},
    {"breakpoints", FIELD_WHOLE, 1}, {"ttl_s", 0, 0}, {"requests", FIELD_WHOLE, 0},
    {"hit_requests", FIELD_WHOLE, 1}, {"input_tokens", FIELD_WHOLE, 1},
    {"hit_tokens", FIELD_WHOLE, 0}, {"token_hit_ratio", 4, 0}, {"written_tokens", FIELD_WHOLE, 0},
    {"fresh_tokens", FIELD_WHOLE, 1}, {"expired_tokens", FIELD_WHOLE, 0},
    {"stored_token_hours", 1, 1}, {"cost_tokens", 1, 1}, {"uncached_cost_tokens", 1, 1},
    {"cost_ratio", 4, 0}, {"saved_ratio", 4, 0}, {"reads_per_write", 4, 0},
    {"breakeven_reads_per_write", 4, 0}, {"breakeven_hit_ratio", 4, 0},
    {"breakeven_interval_s", 1, 1}, {"breakeven_ttl_s", 0, 0}};

#define FIELDS ((int)(sizeof fields / sizeof *fields))

struct report {
    struct fields fields;
    int by_session;
};

static void print_tally(struct report *p, const struct named_rule *n, const char *session,
                        const struct provider_tally *t, double breakeven_ttl) {
    const struct provider_rule *r = &n->rule;
    double cost = provider_cost(r, t);
    double uncached = provider_uncached(r, t);
    struct value v[] = {
        {.text = session}, {.text = n->name},
        {.text = r->breakpoints ? provider_place_names()[r->place] : "every"},
        {.number = r->breakpoints ? (double)r->breakpoints : NAN},
        {.number = r->ttl_ns == PROVIDER_FOREVER ? NAN : (double)r->ttl_ns / 1e9},
        {.number = (double)t->requests}, {.number = (double)t->hit_requests},
        {.number = (double)t->input_tokens}, {.number = (double)t->hit_tokens},
        {.number = cache_ratio((double)t->hit_tokens, (double)t->input_tokens)},
        {.number = (double)t->written_tokens}, {.number = (double)t->fresh_tokens},
        {.number = (double)t->expired_tokens}, {.number = t->stored_hours}, {.number = cost},
        {.number = uncached}, {.number = cache_ratio(cost, uncached)},
        {.number = cache_ratio(uncached - cost, uncached)},
        {.number = cache_ratio((double)t->hit_tokens, (double)t->written_tokens)},
        {.number = provider_breakeven_reads(r, t)}, {.number = provider_breakeven_hits(r, t)},
        {.number = provider_breakeven_interval(r)}, {.number = breakeven_ttl}};
    _Static_assert(sizeof v / sizeof *v == sizeof fields / sizeof *fields, "a value a field");
    fields_row(&p->fields, v + !p->by_session);
}

static void print_sessions(struct report *p, const struct named_rule *n, const struct blocks *b,
                           const struct provider_tally *session) {
    for (uint32_t s = 0; s <= b->sessions; s++)
        if (session[s].requests)
            print_tally(p, n, s < b->sessions ? b->session_name[s] : NULL, &session[s], NAN);
}

static void run_rules(const struct options *o, const struct blocks *b, const struct rules *l) {
    struct report p = {.by_session = given(o, OPT_BY) != NULL};
    struct progress bar;
    struct err err = {{0}};
    struct provider_tally all;
    struct provider_tally *session = NULL;
    if (p.by_session)
        session = mem_array((size_t)b->sessions + 1, sizeof *session);
    fields_open(&p.fields, fields + !p.by_session, FIELDS - !p.by_session, &o->common);
    progress_start(&bar, "rules", PROGRESS_COUNT, o->common.quiet);
    for (int i = 0; i < l->n; i++) {
        if (provider_run(b, &l->rule[i].rule, &all, session, &err))
            die("%s: %s", input_name(o->in.path), err.text);
        if (session)
            print_sessions(&p, &l->rule[i], b, session);
        else
            print_tally(&p, &l->rule[i], NULL, &all, provider_breakeven_ttl(b, &l->rule[i].rule));
        progress_update(&bar, i + 1, l->n);
    }
    progress_end(&bar);
    fields_close(&p.fields);
    free(session);
}

int cache_provider(int argc, char **argv) {
    struct options o = {.in = {.path = "-"}};
    char *presets = describe_presets();
    usage[USAGE_PRESETS] = presets;
    parse(&o, argc, argv);
    struct rules l = find_rules(&o);
    struct blocks *b = cache_load(&o.in, &o.common);
    int nothing = cache_nothing(&o.in, b, 0);
    if (!nothing) {
        cache_need_times(&o.in, b, "a time to live");
        if (given(&o, OPT_BY))
            cache_need_sessions(&o.in, b);
        run_rules(&o, b, &l);
    }
    blocks_free(b);
    free(l.rule);
    free(presets);
    return nothing ? EXIT_NOTHING : EXIT_DONE;
}
