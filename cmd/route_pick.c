/* route_pick.c - llm-route requests pick: sends each request of a stream to one of two models
 *
 * Line by line: read (lib/route/ask.h), score and price (route_pick_router.c), decide within the
 * limits (lib/route/pace.h), write. Nothing waits for a later line.
 */
#include "cmd/route_pick.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/num.h"
#include "lib/route/nearest.h"
#include "lib/trace/reqs_line.h"

enum {
    OPT_BY = OPT_FIRST_FREE, OPT_CALIBRATE, OPT_EMBEDDINGS, OPT_NEIGHBOURS, OPT_SEED, OPT_WEAK,
    OPT_STRONG, OPT_PRICE_WEAK, OPT_PRICE_STRONG, OPT_OUTPUT_TOKENS, OPT_CHARS_PER_TOKEN, OPT_SHARE,
    OPT_BUDGET, OPT_QUALITY, OPT_THRESHOLD, OPT_OVER, OPT_BAD
};

enum over { OVER_STOP, OVER_WEAK, OVER_DROP };
enum bad { BAD_STOP, BAD_PASS, BAD_DROP };

static const char *const usage[] = {
    "usage: llm-route requests pick [OPTION]... [REQUESTS]\n"
    "Sends each request of a stream (JSON Lines) to the weak or the strong model, within limits\n"
    "that hold at every moment. Each line goes through as soon as it is read, with route (the\n"
    "model), route_score and route_cost_usd (an estimate) added.\n\n"
    "Router\n"
    "      --by WHAT          what sends a request to the strong model: length (of prompt or\n"
    "                         messages, the longest first; default), knn (mean gain of the most\n"
    "                         similar requests of the calibration), random, or a field of numbers\n"
    "                         (the highest first); -WHAT: the lowest first\n"
    "      --calibrate FILE   scores of both models on past requests, llm-scores(5): what scores\n"
    "                         are like, how long answers are, what a threshold gives\n"
    "      --embeddings FILE  .npy, a row for each request of it (default: its field embedding)\n"
    "      --neighbours N     of knn (default 10)\n"
    "      --seed N           of random, and of lots between equal scores (default 1)\n"
    "Models\n"
    "      --weak NAME, --strong NAME\n"
    "                         (default: the calibration's two by mean score, else those of the\n"
    "                         prices, else weak and strong)\n"
    "      --price-weak PRICE, --price-strong PRICE\n"
    "                         IN,OUT[,CACHED] dollars per million tokens; or MODEL of the price\n"
    "                         book starter, or BOOK:MODEL (default: the calibration's mean costs)\n"
    "      --output-tokens N  of an answer, where the request does not say (default: the mean of\n"
    "                         the model's in the calibration, else 256; at most max_tokens)\n"
    "      --chars-per-token N  where input tokens are not said (default 4)\n",
    "Limits (at least one)\n"
    "      --share P          of the requests so far that may be strong (also --strong-share)\n"
    "      --budget USD[/PERIOD]\n"
    "                         dollars to spend, in each period: requests (5/1000) or time (5/h,\n"
    "                         5/30m, 5/d), by timestamp or time of the requests, else by the\n"
    "                         clock; without a period for the whole stream, as long as it lasts\n"
    "      --quality Q        the highest threshold that gave this mean score in the calibration\n"
    "      --threshold N      strong from this score on; with --by -WHAT up to it\n"
    "      --over WHAT        when the budget does not pay the weak model: stop (exit 3, the\n"
    "                         default), weak (ask it all the same; exit 3 at the end), drop\n"
    "                         (route is null)\n"
    "      --bad WHAT         a line that is no request: stop (exit 1, the default), pass\n"
    "                         (unchanged), drop\n"
    "General\n"
    "  -q, --quiet            fewer words on stderr\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-route requests pick --share 30% requests.jsonl\n"
    "  llm-route requests pick --calibrate scores.csv --quality 0.8 --price-weak 0.2,0.6 \\\n"
    "      --price-strong 3,15,0.3 --budget 5/1000 requests.jsonl\n",
    NULL};

/* ---- options ------------------------------------------------------------------------------ */

static void take_by(struct pick_options *o, const char *arg) {
    static const char *const known[] = {"length", "random", "knn", NULL};
    int i = 0;
    o->lowest = *arg == '-';
    arg += o->lowest;
    if (!*arg)
        usage_die("--by: expected length, knn, random or the name of a field");
    while (known[i] && strcmp(arg, known[i]))
        i++;
    o->by = (enum pick_by)i;    /* past the last: a field */
    o->column = arg;
}

/* "5", "5/1000", "5/h", "2.50/30m" */
static void take_budget(struct pick_options *o, const char *arg) {
    char *text = mem_strdup(arg);
    char *slash = strchr(text, '/');
    const char *period = slash ? slash + 1 : NULL;
    if (slash)
        *slash = '\0';
    o->usd = arg_float("--budget", text, 0, 1e12);
    o->period_requests = o->period_ns = 0;
    if (period && !num_size(period, 1, INT64_C(1) << 53, &o->period_requests)) {
        free(text);
        return;
    }
    if (period && !*period)
        usage_die("--budget: '%s': expected a period behind the slash, as in 5/1000 or 5/h", arg);
    if (period) {               /* "h" is one hour */
        char *one = mem_printf("%s%s", strchr("smhd", *period) ? "1" : "", period);
        o->period_requests = 0;
        o->period_ns = arg_duration("--budget", one);
        free(one);
    }
    free(text);
}

static void take_option(struct pick_options *o, int c, const char *arg) {
    static const char *const over[] = {"stop", "weak", "drop", NULL};
    static const char *const bad[] = {"stop", "pass", "drop", NULL};
    switch (c) {
    case OPT_BY: take_by(o, arg); break;
    case OPT_CALIBRATE: o->calibrate = arg; break;
    case OPT_EMBEDDINGS: o->embeddings = arg; break;
    case OPT_NEIGHBOURS: o->neighbours = (int)arg_int("--neighbours", arg, 1, NEAREST_MOST); break;
    case OPT_SEED: o->seed = arg_seed(arg); break;
    case OPT_WEAK: o->model[PICK_WEAK] = arg; break;
    case OPT_STRONG: o->model[PICK_STRONG] = arg; break;
    case OPT_PRICE_WEAK: prices_parse("--price-weak", arg, &o->price[PICK_WEAK]); break;
    case OPT_PRICE_STRONG: prices_parse("--price-strong", arg, &o->price[PICK_STRONG]); break;
    case OPT_OUTPUT_TOKENS:
        o->output_tokens = (double)arg_size("--output-tokens", arg, 0, 1000000000);
        break;
    case OPT_CHARS_PER_TOKEN:
        o->chars_per_token = arg_float("--chars-per-token", arg, 0.1, 100);
        break;
    case OPT_SHARE: o->share = arg_share("--share", arg, 0, 1); break;
    case OPT_BUDGET: take_budget(o, arg); break;
    case OPT_QUALITY: o->quality = arg_float("--quality", arg, -1e300, 1e300); break;
    case OPT_THRESHOLD: o->threshold = arg_float("--threshold", arg, -1e300, 1e300); break;
    case OPT_OVER: o->over = arg_choice("--over", arg, over); break;
    case OPT_BAD: o->bad = arg_choice("--bad", arg, bad); break;
    default: break;
    }
}

static void check(const struct pick_options *o) {
    if (isnan(o->share) && isnan(o->usd) && isnan(o->quality) && isnan(o->threshold))
        usage_die("no limit: --share 30%%, --budget 5/1000, --quality or --threshold");
    if (!isnan(o->quality) && !isnan(o->threshold))
        usage_die("either --quality or --threshold");
    if (!isnan(o->quality) && !o->calibrate)
        usage_die("--quality needs --calibrate, which says what thresholds give");
    if (!isnan(o->quality) && o->by == PICK_RANDOM)
        usage_die("--quality: a threshold of --by random says nothing; --share does");
    if (o->by == PICK_KNN && !o->calibrate)
        usage_die("--by knn needs --calibrate, among whose requests neighbours are");
    if (o->embeddings && !o->calibrate)
        usage_die("--embeddings needs --calibrate, whose requests they are of");
    if (!o->price[PICK_WEAK].book != !o->price[PICK_STRONG].book)
        usage_die("--price-weak and --price-strong go together");
    if (o->model[PICK_WEAK] && o->model[PICK_STRONG] &&
        !strcmp(o->model[PICK_WEAK], o->model[PICK_STRONG]))
        usage_die("--weak, --strong: '%s': expected two models", o->model[PICK_WEAK]);
}

static const char *parse(struct pick_options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG,
        {"by", required_argument, NULL, OPT_BY},
        {"calibrate", required_argument, NULL, OPT_CALIBRATE},
        {"embeddings", required_argument, NULL, OPT_EMBEDDINGS},
        {"neighbours", required_argument, NULL, OPT_NEIGHBOURS},
        {"seed", required_argument, NULL, OPT_SEED},
        {"weak", required_argument, NULL, OPT_WEAK},
        {"strong", required_argument, NULL, OPT_STRONG},
        {"price-weak", required_argument, NULL, OPT_PRICE_WEAK},
        {"price-strong", required_argument, NULL, OPT_PRICE_STRONG},
        {"output-tokens", required_argument, NULL, OPT_OUTPUT_TOKENS},
        {"chars-per-token", required_argument, NULL, OPT_CHARS_PER_TOKEN},
        {"share", required_argument, NULL, OPT_SHARE},
        {"strong-share", required_argument, NULL, OPT_SHARE},
        {"budget", required_argument, NULL, OPT_BUDGET},
        {"quality", required_argument, NULL, OPT_QUALITY},
        {"threshold", required_argument, NULL, OPT_THRESHOLD},
        {"over", required_argument, NULL, OPT_OVER},
        {"bad", required_argument, NULL, OPT_BAD},
        {NULL, 0, NULL, 0}};
    int n;
    int c;
    while ((c = getopt_long(argc, argv, COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage))
            take_option(o, c, optarg);
    check(o);
    const char *path = common_inputs(argc, argv, usage, 1, &n)[0];
    int stdins = !strcmp(path, "-") + (o->calibrate && !strcmp(o->calibrate, "-")) +
                 (o->embeddings && !strcmp(o->embeddings, "-"));
    if (stdins > 1)
        usage_die("stdin can be read only once");
    return path;
}

/* ---- the stream --------------------------------------------------------------------------- */

struct pick {
    const struct pick_options *o;
    const char *name;           /* of the input */
    struct pick_router *router;
    struct pace *pace;
    struct ask line;
    struct buf out;
    int64_t bad, overspent;
    struct pick_sessions *sessions;
    int stopped;
    int timed;                  /* some line had a time of its own */
};

static int64_t clock_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A line without a time among others that have one is as late as the one before. */
static int64_t time_of(struct pick *p) {
    p->timed |= p->line.has_time;
    return p->line.has_time ? p->line.at_ns : p->timed ? INT64_MIN : clock_now();
}

/* The model, -1: none. */
static int decide(struct pick *p, const struct pace_request *q) {
    switch (pace_choose(p->pace, q)) {
    case PACE_STRONG: return PICK_STRONG;
    case PACE_WEAK: return PICK_WEAK;
    default: break;
    }
    if (p->o->over != OVER_WEAK)
        return -1;
    pace_overspend(p->pace, q);
    p->overspent++;
    return PICK_WEAK;
}

/* -1: the line is no request, and err says why. */
static int route_line(struct pick *p, char *line, struct err *err) {
    const struct ask_names *names = pick_router_names(p->router);
    struct pace_request q = {.score = 0};
    double cached[PICK_MODELS];
    double usd[PICK_MODELS];
    if (ask_read(&p->line, line, names, err) ||
        pick_router_score(p->router, &p->line, &q.score, err))
        return -1;
    int64_t session = pick_session(p->sessions, &p->line);
    pick_session_cached(p->sessions, session, &p->line, cached);
    if (pick_router_cost(p->router, &p->line, cached, usd, err))
        return -1;
    q.weak_usd = usd[PICK_WEAK];
    q.strong_usd = usd[PICK_STRONG];
    if (p->o->period_ns)
        q.at_ns = time_of(p);
    int model = decide(p, &q);
    if (model < 0 && p->o->over == OVER_STOP) {
        p->stopped = 1;
        return 0;
    }
    pick_session_sent(p->sessions, session, model);
    double cost = model < 0 ? 0 : pick_router_priced(p->router) ? usd[model] : NAN;
    ask_write(&p->out, &p->line, model < 0 ? NULL : names->model[model],
              pick_router_shown(p->router, q.score), cost);
    return 0;
}

static int is_blank(const char *line) {
    return line[strspn(line, " \t\r")] == '\n';
}

static void take_bad(struct pick *p, int64_t number, const struct err *err) {
    if (p->o->bad == BAD_STOP) {
        fflush(stdout);
        die("%s: line %lld: %s", p->name, (long long)number, err->text);
    }
    if (p->bad++ == 0 && !p->o->common.quiet)
        warn("%s: line %lld: %s; such lines are %s", p->name, (long long)number, err->text,
             p->o->bad == BAD_PASS ? "passed on" : "left out");
    if (p->o->bad == BAD_PASS) {
        buf_add(&p->out, p->line.text.data, p->line.text.len);
        buf_addc(&p->out, '\n');
    }
}

static void run(struct pick *p, const char *path) {
    struct err e = {{0}};
    struct zio *z = zio_open_read(path, &e);
    struct reqs_lines in;
    char *line;
    int rc = 0;
    if (!z)
        die_err(&e);
    reqs_lines_init(&in, z);
    while (!p->stopped && (rc = reqs_lines_next(&in, &line, &e)) == 1) {
        p->out.len = 0;
        if (is_blank(line))
            continue;
        if (route_line(p, line, &e))
            take_bad(p, in.number, &e);
        if (p->stopped)
            warn("%s: line %lld: the budget of $%g does not pay for it: stopped after $%.6g",
                 p->name, (long long)in.number, p->o->usd, pace_totals(p->pace)->usd);
        if (p->out.len)
            fwrite(p->out.data, 1, p->out.len, stdout);
        if (reqs_lines_wait(&in) || ferror(stdout))
            check_stream(stdout, "-");
    }
    if (!p->stopped && rc < 0) {
        fflush(stdout);
        die_err(&e);
    }
    reqs_lines_free(&in);
}

/* ---- the end ------------------------------------------------------------------------------ */

static void say(const struct pick *p) {
    const struct pace_totals *t = pace_totals(p->pace);
    const struct ask_names *names = pick_router_names(p->router);
    struct buf text = {0};
    buf_printf(&text, "%lld request%s, %lld (%.1f %%) to %s", (long long)t->requests,
               t->requests == 1 ? "" : "s", (long long)t->strong,
               100 * (double)t->strong / (double)t->requests, names->model[PICK_STRONG]);
    if (pick_router_priced(p->router))
        buf_printf(&text, ", about $%.6g", t->usd);
    if (!isnan(p->o->usd))
        buf_printf(&text, " of $%g%s", p->o->usd * (double)t->periods,
                   t->periods > 1 ? " in all periods" : "");
    if (t->kept[PACE_BUDGET])
        buf_printf(&text, "; %lld kept from it by the budget", (long long)t->kept[PACE_BUDGET]);
    warn("%s", text.data);
    if (p->overspent)
        warn("requests beyond the budget: %lld", (long long)p->overspent);
    else if (t->over && !p->stopped)
        warn("requests sent nowhere, as the budget did not pay for them: %lld",
             (long long)t->over);
    buf_free(&text);
}

static int finish(const struct pick *p) {
    int64_t requests = pace_totals(p->pace)->requests;
    if (p->bad && !p->o->common.quiet)
        warn("%s: lines that were no requests: %lld", p->name, (long long)p->bad);
    if (!requests) {
        warn("%s: no requests", p->name);
        return EXIT_NOTHING;
    }
    if (!p->o->common.quiet)
        say(p);
    return p->stopped || p->overspent ? EXIT_CHECK : EXIT_DONE;
}

/* Models are called as their prices are, where nothing else names them. */
static void name_models(struct pick_options *o) {
    for (int m = 0; m < PICK_MODELS && !o->calibrate; m++)
        if (!o->model[m] && o->price[m].book && strcmp(o->price[m].model, o->price[m].book->name))
            o->model[m] = o->price[m].model;        /* flat prices are of a book of their name */
}

int route_requests_pick(int argc, char **argv) {
    /* static: its prices live until the program ends */
    static struct pick_options o = {.neighbours = 10, .seed = 1, .output_tokens = NAN,
                                    .chars_per_token = 4, .share = NAN, .usd = NAN,
                                    .quality = NAN, .threshold = NAN};
    const char *path = parse(&o, argc, argv);
    name_models(&o);
    struct pick p = {.o = &o, .name = input_name(path)};
    p.router = pick_router_new(&o);
    if (!isnan(o.usd) && !pick_router_priced(p.router))
        usage_die("--budget needs --price-weak and --price-strong, or costs in the calibration");
    p.pace = pace_new(&(struct pace_options){
        .share = o.share, .usd = o.usd, .requests = o.period_requests, .period_ns = o.period_ns,
        .threshold = pick_router_threshold(p.router), .seed = o.seed});
    pick_router_teach(p.router, p.pace);
    p.sessions = pick_sessions_new();
    run(&p, path);
    int status = finish(&p);
    pick_sessions_free(p.sessions);
    buf_free(&p.out);
    ask_free(&p.line);
    pace_free(p.pace);
    pick_router_free(p.router);
    return status;
}
