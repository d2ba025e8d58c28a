/* bench_score.c - llm-bench score: what right answers cost in tokens, seconds, joules and money
 *
 * The same questions may be asked in several ways (at once, with the working written out); each
 * way is asked as a whole, so that time and energy are its own, then its answers are marked. The
 * marking takes no model: a reply is right when lib/bench/grade.h says so.
 */
#include "cmd/bench_score.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/model_path.h"
#include "lib/base/outfile.h"
#include "lib/format/jsonw.h"

#define DEFAULT_KEY "OPENAI_API_KEY"

static const char *const usage[] = {
    "usage: llm-bench score (-m MODEL | --url URL) [OPTION]... QUESTIONS\n"
    "Asks graded questions and says what right answers cost.\n"
    "\n"
    "QUESTIONS is JSON Lines: {\"question\": ..., \"answer\": ...}, with \"choices\", \"grade\",\n"
    "\"topic\" where there are any; files of GSM8K and MMLU's form are read as they are.\n"
    "\n"
    "Who answers\n"
    "  -m, --model MODEL      GGUF file or address, run by llm-run; with --url: the name that the\n"
    "                         server has for it\n"
    "      --url URL          OpenAI-compatible server, as in http://127.0.0.1:8080/v1\n"
    "      --key-env NAME     environment variable with the server's key (default\n"
    "                         OPENAI_API_KEY)\n"
    "      --chat             with -m: the question is a message, through the model's template;\n"
    "                         a server is asked so unless --completions\n"
    "      --completions      ask a server for completions of the text\n"
    "      --parallel N       answers under way at once (default 1)\n"
    "\n"
    "Asking\n"
    "      --way NAME=TEXT    a way to ask: TEXT with {question} and {choices} in it; may be\n"
    "                         given more than once (default: plain={question}, choices below)\n"
    "      --limit N          only the first N questions\n"
    "      --answers N        answers to each question (default 1)\n"
    "  -n, --tokens N         most tokens of an answer (default 512)\n"
    "      --temp T           temperature (default 0)\n"
    "      --seed N           random seed of the first answer (default 1)\n"
    "      --stop TEXT        an answer ends before TEXT; may be given more than once\n"
    "\n"
    "Grading\n"
    "      --grade KIND       exact, numeric, regex or choice, where a question does not say\n"
    "      --extract PATTERN  grade the last match of this in a reply, its first group if any\n"
    "      --ignore-case      upper and lower case are the same\n"
    "\n"
    "Cost\n"
    PRICES_USAGE
    "      --shape SHAPE      the model's shape for FLOPs (default: that of the GGUF file)\n"
    "\n"
    FIELDS_USAGE
    "      --by topic         a row for each topic too\n"
    "      --save FILE        every answer with its mark, JSON Lines; .zst compresses\n"
    "  -t, --threads N        of llm-run (default: one per core)\n"
    "      --cpu NAME         its kernels: ref, avx2 or avx512\n"
    "  -h, --help             this text\n"
    "  -V, --version          the version\n"
    "\n"
    "Exit status: 0 done, 1 failed or some answers did, 2 bad command line, 4 no answer at all.\n",
    NULL
};

enum {
    OPT_URL = OPT_FIRST_FREE, OPT_KEY_ENV, OPT_CHAT, OPT_COMPLETIONS, OPT_PARALLEL, OPT_WAY,
    OPT_LIMIT, OPT_ANSWERS, OPT_TEMP, OPT_SEED, OPT_STOP, OPT_GRADE, OPT_EXTRACT, OPT_IGNORE_CASE,
    OPT_PRICE, OPT_SHAPE, OPT_BY, OPT_SAVE
};

static const struct option longs[] = {
    COMMON_LONG, FIELDS_LONG,
    {"model", required_argument, NULL, 'm'},
    {"url", required_argument, NULL, OPT_URL},
    {"key-env", required_argument, NULL, OPT_KEY_ENV},
    {"chat", no_argument, NULL, OPT_CHAT},
    {"completions", no_argument, NULL, OPT_COMPLETIONS},
    {"parallel", required_argument, NULL, OPT_PARALLEL},
    {"way", required_argument, NULL, OPT_WAY},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"answers", required_argument, NULL, OPT_ANSWERS},
    {"tokens", required_argument, NULL, 'n'},
    {"temp", required_argument, NULL, OPT_TEMP},
    {"seed", required_argument, NULL, OPT_SEED},
    {"stop", required_argument, NULL, OPT_STOP},
    {"grade", required_argument, NULL, OPT_GRADE},
    {"extract", required_argument, NULL, OPT_EXTRACT},
    {"ignore-case", no_argument, NULL, OPT_IGNORE_CASE},
    {"price", required_argument, NULL, OPT_PRICE},
    {"shape", required_argument, NULL, OPT_SHAPE},
    {"by", required_argument, NULL, OPT_BY},
    {"save", required_argument, NULL, OPT_SAVE},
    {NULL, 0, NULL, 0}};

/* ---- the command line --------------------------------------------------------------------- */

static void add_way(struct score_options *o, char *name, const char *template) {
    for (int i = 0; i < o->ways; i++)
        if (!strcmp(o->way[i].name, name))
            usage_die("--way: '%s' is there twice", name);
    o->way = mem_grow(o->way, (size_t)o->ways + 1, sizeof *o->way);
    o->way[o->ways++] = (struct way){name, template};
}

static void take_way(struct score_options *o, const char *arg) {
    const char *equals = strchr(arg, '=');
    if (!equals || equals == arg)
        usage_die("--way: '%s': expected NAME=TEXT", arg);
    if (!strstr(equals, "{question}"))
        usage_die("--way: '%s': TEXT must have {question} in it", arg);
    add_way(o, mem_strndup(arg, (size_t)(equals - arg)), equals + 1);
}

static void add_stop(struct score_options *o, const char *arg) {
    if (!*arg)
        usage_die("--stop: an empty text would end every answer");
    o->stop = mem_grow(o->stop, (size_t)o->stops + 1, sizeof *o->stop);
    o->stop[o->stops++] = arg;
}

static void take_option(struct score_options *o, int c, const char *arg, const char **key_env) {
    static const char *const kinds[] = {"exact", "numeric", "regex", "choice", NULL};
    static const char *const groups[] = {"topic", NULL};
    switch (c) {
    case 'm': o->model = arg; break;
    case OPT_URL: o->url = arg; break;
    case OPT_KEY_ENV: *key_env = arg; break;
    case OPT_CHAT: o->chat = 1; break;
    case OPT_COMPLETIONS: o->chat = 0; break;
    case OPT_PARALLEL: o->parallel = (int)arg_int("--parallel", arg, 1, 4096); break;
    case OPT_WAY: take_way(o, arg); break;
    case OPT_LIMIT: o->limit = arg_int("--limit", arg, 1, INT64_MAX); break;
    case OPT_ANSWERS: o->answers = (int)arg_int("--answers", arg, 1, 100000); break;
    case 'n': o->tokens = (int)arg_int("--tokens", arg, 1, 1 << 24); break;
    case OPT_TEMP: o->temperature = arg_float("--temp", arg, 0, 100); break;
    case OPT_SEED: o->seed = arg_int("--seed", arg, 0, (int64_t)1 << 52); break;
    case OPT_STOP: add_stop(o, arg); break;
    case OPT_GRADE: o->kind = GRADE_EXACT + arg_choice("--grade", arg, kinds); break;
    case OPT_EXTRACT: o->extract = arg; break;
    case OPT_IGNORE_CASE: o->ignore_case = 1; break;
    case OPT_PRICE: prices_parse("--price", arg, &o->price); break;
    case OPT_SHAPE: o->shape = arg; break;
    case OPT_BY: arg_choice("--by", arg, groups); o->by_topic = 1; break;
    case OPT_SAVE: o->save = arg; break;
    }
}

static struct score_options parse(int argc, char **argv) {
    struct score_options o = {.limit = -1, .answers = 1, .tokens = 512, .parallel = 1, .seed = 1,
                              .chat = -1};
    const char *key_env = DEFAULT_KEY;
    for (int c; (c = getopt_long(argc, argv, COMMON_SHORT "m:n:", longs, NULL)) != -1;)
        if (!common_option(c, optarg, &o.common, usage) && !fields_option(c, optarg, &o.common))
            take_option(&o, c, optarg, &key_env);
    if (argc - optind != 1) {
        if (argc == 1)
            print_usage(stderr, usage);
        usage_die(argc == optind ? "expected a file of questions"
                                 : "expected one file of questions");
    }
    o.questions = argv[optind];
    if (!o.model && !o.url)
        usage_die("expected -m MODEL or --url URL");
    if (o.url) {
        o.key = getenv(key_env);
        o.key = o.key && *o.key ? o.key : NULL;
        o.chat = o.chat < 0 ? 1 : o.chat;
    }
    o.chat = o.chat > 0;
    if (o.answers > 1 && o.temperature == 0)
        usage_die("--answers %d: at --temp 0 every answer to a question is the same", o.answers);
    if (!o.ways)
        add_way(&o, mem_strdup("plain"), NULL);
    return o;
}

static void free_options(struct score_options *o) {
    for (int i = 0; i < o->ways; i++)
        free(o->way[i].name);
    free(o->way);
    free(o->stop);
}

/* ---- prompts ------------------------------------------------------------------------------ */

static void add_choices(struct buf *out, const struct question *q) {
    for (int i = 0; i < q->choices; i++)
        buf_printf(out, "%s%c. %s", i ? "\n" : "", 'A' + i, q->choice[i]);
}

char *score_prompt(const struct question *q, const struct way *w) {
    struct buf out = {0};
    if (!w->template) {
        buf_adds(&out, q->text);
        if (q->choices) {
            buf_adds(&out, "\n\n");
            add_choices(&out, q);
            buf_adds(&out, "\n\nAnswer:");
        }
        return out.data;
    }
    buf_adds(&out, "");
    for (const char *p = w->template; *p;) {
        if (!strncmp(p, "{question}", 10)) {
            buf_adds(&out, q->text);
            p += 10;
        } else if (!strncmp(p, "{choices}", 9)) {
            add_choices(&out, q);
            p += 9;
        } else {
            buf_addc(&out, *p++);
        }
    }
    return out.data;
}

/* ---- marks and prices --------------------------------------------------------------------- */

/* FLOPs of an answer: the prompt's tokens that were not cached and all made ones but the last run
 * through the model, and each made one took a row of the head. */
static double flops_of(const struct shape *s, const struct answer *a) {
    struct shape_flops row = {0};
    if (!s || !a->text)
        return NAN;
    shape_add_row_flops(s, 0, 1, &row);
    return shape_prefill_flops(s, a->cached, a->input + a->output - 1) +
           row.head * (double)a->output;
}

static void mark(const struct score_options *o, const struct grader *g, const struct shape *s,
                 struct asked *asked) {
    struct buf found = {0};
    for (size_t i = 0; i < asked->n; i++) {
        struct answer *a = &asked->answer[i];
        if (!a->text)
            continue;
        a->mark = grade_reply(g, a->question, a->text, strlen(a->text), &found);
        a->found = mem_strdup(found.data);
        a->usd = prices_usd(&o->price, a->input, a->cached, a->output);
        a->flops = flops_of(s, a);
    }
    buf_free(&found);
}

static void save_answer(FILE *f, const struct way *w, const struct answer *a, size_t sample) {
    struct buf b = {0};
    const struct question *q = a->question;
    jsonw_open(&b, '{');
    jsonw_str(&b, "type", "request");
    jsonw_str(&b, "id", q->id);
    jsonw_str(&b, "way", w->name);
    jsonw_int(&b, "sample", (int64_t)sample);
    if (q->topic)
        jsonw_str(&b, "topic", q->topic);
    if (a->text) {
        jsonw_bool(&b, "right", a->mark == GRADE_RIGHT);
        jsonw_str(&b, "found", a->mark == GRADE_UNPARSED ? NULL : a->found);
        jsonw_str(&b, "answer", q->answer[0]);
        jsonw_str(&b, "text", a->text);
        jsonw_int(&b, "input_length", a->input);
        jsonw_int(&b, "output_length", a->output);
        jsonw_int(&b, "cached_tokens", a->cached);
        jsonw_bool(&b, "truncated", a->truncated);
        jsonw_float_digits(&b, "cost_ms", a->seconds * 1e3, 6);
        if (!isnan(a->joules))
            jsonw_float_digits(&b, "joules", a->joules, 6);
        if (!isnan(a->usd))
            jsonw_float_digits(&b, "cost_usd", a->usd, 12);
        if (!isnan(a->flops))
            jsonw_float(&b, "flops", a->flops);
    } else {
        jsonw_str(&b, "error", a->failure);
    }
    jsonw_close(&b, '}');
    buf_addc(&b, '\n');
    fwrite(b.data, 1, b.len, f);
    buf_free(&b);
}

static void save(const struct score_options *o, const struct asked *asked, size_t questions) {
    struct err err;
    struct outfile *f = outfile_open(o->save, &err);
    if (!f)
        die_err(&err);
    for (int w = 0; w < o->ways; w++)
        for (size_t i = 0; i < asked[w].n; i++)
            save_answer(outfile_stream(f), &o->way[w], &asked[w].answer[i], i / questions);
    if (outfile_close(f, &err))
        die_err(&err);
}

/* ---- the verb ----------------------------------------------------------------------------- */

static void free_answers(struct asked *a) {
    for (size_t i = 0; i < a->n; i++) {
        free(a->answer[i].text);
        free(a->answer[i].found);
        free(a->answer[i].failure);
    }
    free(a->answer);
}

static struct shape *find_shape(const struct score_options *o, const char *model) {
    struct err err;
    const char *spec = o->shape ? o->shape : o->url ? NULL : model;
    if (model && access(model, R_OK))
        die("%s: %s", model, strerror(errno));
    struct shape *s = spec ? shape_find(spec, &err) : NULL;
    if (spec && !s)
        die("%s", err.text);
    return s;
}

int bench_score(int argc, char **argv) {
    struct score_options o = parse(argc, argv);
    struct err err;
    struct questions *all = questions_read(o.questions, o.kind, &err);
    if (!all)
        die_err(&err);
    struct grader *g = grade_new(o.extract, o.ignore_case, all, &err);
    if (!g)
        usage_die("%s", err.text);
    char *model = o.url ? NULL : model_path(o.model, NULL, o.common.quiet);
    struct shape *shape = find_shape(&o, model);
    if (model)
        o.model = model;
    size_t n = o.limit >= 0 && (size_t)o.limit < all->n ? (size_t)o.limit : all->n;

    struct energy *energy = energy_open(NULL);
    struct asked *asked = mem_array((size_t)o.ways, sizeof *asked);
    for (int w = 0; w < o.ways; w++) {
        asked[w].n = n * (size_t)o.answers;
        asked[w].answer = mem_array(asked[w].n, sizeof *asked[w].answer);
        for (size_t i = 0; i < asked[w].n; i++)
            asked[w].answer[i] = (struct answer){.question = &all->q[i % n]};
        score_ask(&o, &o.way[w], energy, &asked[w]);
        mark(&o, g, shape, &asked[w]);
    }
    energy_close(energy);
    if (o.save)
        save(&o, asked, n);

    int status = score_rows(&o, asked, argc, argv);
    for (int w = 0; w < o.ways; w++)
        free_answers(&asked[w]);
    free(asked);
    shape_free(shape);
    free(model);
    grade_free(g);
    questions_free(all);
    free_options(&o);
    return status;
}
