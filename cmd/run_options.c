/* run_options.c - the command line of llm-run */
#include "cmd/run.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/fetch.h"

/* In pieces: C11 promises strings of 4095 characters only. */
const char *const run_usage[] = {
    "usage: llm-run -m MODEL [-p TEXT | -f FILE | --jsonl] [options]\n"
    "\n"
    "Runs a GGUF model on the CPU and can trace every pass through it. The prompt comes from\n"
    "-p, -f or standard input; the text goes to standard output, words to standard error.\n"
    "\n"
    "Model\n"
    "  -m, --model FILE        GGUF file (the first one of a split) or https:// address, which\n"
    "                          is fetched into the cache folder\n"
    "      --sha256 HEX        what a fetched file must hash to\n"
    "      --no-pack           use the file's own layout: slower, for files larger than memory\n"
    "\n"
    "Prompt\n"
    "  -p, --prompt TEXT       the prompt\n"
    "  -f, --file FILE         read the prompt (or the lines of --jsonl) from FILE; - is stdin\n"
    "      --jsonl             many prompts, one JSON object {\"id\":..,\"prompt\":..} a line;\n"
    "                          one result object a line, in the same order\n"
    "      --parallel N        run N prompts of --jsonl in one pass (default 1)\n"
    "      --chat              prompts are messages to an assistant; without -p, -f and --jsonl\n"
    "                          a conversation with one message a line\n"
    "      --system TEXT       system message of the conversation\n"
    "      --chat-template T   family of the template (default: recognised from the model)\n"
    "      --special           <|names|> of control tokens in a prompt are tokens, and control\n"
    "                          tokens are written out in the text\n"
    "\n"
    "Generation\n"
    "  -n, --tokens N          tokens to make; 0 runs the prompt only (default: to the end of\n"
    "                          the text or of the context)\n"
    "      --temp T            temperature; 0 takes the most likely token (default 0.8)\n"
    "      --top-k K           keep the K most likely tokens; 0 keeps all (default 40)\n"
    "      --top-p P           keep the most likely ones that have P together (default 0.95)\n"
    "      --min-p P           keep those at least P times as likely as the best (default 0.05)\n"
    "      --repeat-penalty X  make tokens seen lately less likely; 1 is off (default 1)\n"
    "      --repeat-last N     how many tokens lately is (default 64)\n"
    "      --seed N            random seed (default: another one each time)\n"
    "      --stop TEXT         end before TEXT; may be given more than once\n"
    "      --ignore-eos        never choose a token that ends the text\n"
    "      --echo              write the prompt before the text\n"
    "\n",
    "Instead of generating\n"
    "      --tokenize          write the token ids of the prompt on one line (no BOS)\n"
    "      --detokenize        write the text of token ids\n"
    "      --perplexity FILE   how well the model predicts a text: columns tokens, chunks, ppl,\n"
    "                          ppl_stderr; chunks of -c tokens (default 512)\n"
    "      --chunks N          only the first N chunks\n"
    "      --embed[=FILE]      hidden states as .npy, one row a prompt\n"
    "      --pool HOW          mean, last or none: a row a token (default mean)\n"
    "      --logits FILE       logits of every prompt token as .npy [tokens, vocabulary]\n"
    "      --info              what the model is: parameters, bits, bytes per token\n"
    "\n"
    "Output\n"
    "  -o, --output FILE       results go to FILE instead of standard output\n"
    "      --json              one result object instead of text; tables as JSON\n"
    "      --logprobs[=N]      with --json or --jsonl: log-probability of each token, and of the\n"
    "                          N most likely ones (default 0)\n"
    "      --trace FILE        run trace, JSON Lines: what each pass cost; see llm-trace(5)\n"
    "      --routes FILE       experts chosen for each token, .npy arrays\n"
    "                          - is stdout (results then go nowhere); .zst compresses\n"
    "  -q, --quiet             no words on standard error but errors\n"
    "  -v, --verbose           more words: model, kernels, memory, seed\n"
    "\n"
    "Engine\n"
    "  -c, --context N         tokens a sequence may hold (default: at most 4096, or what the\n"
    "                          prompt and -n need)\n"
    "  -b, --batch N           most tokens in one pass (default 512)\n"
    "  -t, --threads N         threads (default: one per core)\n"
    "      --kv-type TYPE      type of the KV cache: f16, f32 or q8_0 (default f16)\n"
    "      --cpu NAME          kernels: ref, avx2 or avx512 (default: LLM_CPU or the best)\n"
    "      --backend cpu       where to compute\n"
    "\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n"
    "\n"
    "Exit status: 0 done, 1 failed while running, 2 bad command line.\n",
    NULL
};

enum {
    OPT_SHA256 = OPT_FIRST_FREE, OPT_NO_PACK, OPT_JSONL, OPT_PARALLEL, OPT_CHAT, OPT_SYSTEM,
    OPT_TEMPLATE, OPT_SPECIAL, OPT_TEMP, OPT_TOP_K, OPT_TOP_P, OPT_MIN_P, OPT_PENALTY,
    OPT_REPEAT_LAST, OPT_SEED, OPT_STOP, OPT_IGNORE_EOS, OPT_ECHO, OPT_TOKENIZE, OPT_DETOKENIZE,
    OPT_PERPLEXITY, OPT_CHUNKS, OPT_EMBED, OPT_POOL, OPT_LOGITS, OPT_INFO, OPT_LOGPROBS,
    OPT_TRACE, OPT_ROUTES, OPT_KV_TYPE, OPT_BACKEND
};

static const struct option long_options[] = {
    {"model", required_argument, NULL, 'm'},
    {"sha256", required_argument, NULL, OPT_SHA256},
    {"no-pack", no_argument, NULL, OPT_NO_PACK},
    {"prompt", required_argument, NULL, 'p'},
    {"file", required_argument, NULL, 'f'},
    {"jsonl", no_argument, NULL, OPT_JSONL},
    {"parallel", required_argument, NULL, OPT_PARALLEL},
    {"chat", no_argument, NULL, OPT_CHAT},
    {"system", required_argument, NULL, OPT_SYSTEM},
    {"chat-template", required_argument, NULL, OPT_TEMPLATE},
    {"special", no_argument, NULL, OPT_SPECIAL},
    {"tokens", required_argument, NULL, 'n'},
    {"temp", required_argument, NULL, OPT_TEMP},
    {"top-k", required_argument, NULL, OPT_TOP_K},
    {"top-p", required_argument, NULL, OPT_TOP_P},
    {"min-p", required_argument, NULL, OPT_MIN_P},
    {"repeat-penalty", required_argument, NULL, OPT_PENALTY},
    {"repeat-last", required_argument, NULL, OPT_REPEAT_LAST},
    {"seed", required_argument, NULL, OPT_SEED},
    {"stop", required_argument, NULL, OPT_STOP},
    {"ignore-eos", no_argument, NULL, OPT_IGNORE_EOS},
    {"echo", no_argument, NULL, OPT_ECHO},
    {"tokenize", no_argument, NULL, OPT_TOKENIZE},
    {"detokenize", no_argument, NULL, OPT_DETOKENIZE},
    {"perplexity", required_argument, NULL, OPT_PERPLEXITY},
    {"chunks", required_argument, NULL, OPT_CHUNKS},
    {"embed", optional_argument, NULL, OPT_EMBED},
    {"pool", required_argument, NULL, OPT_POOL},
    {"logits", required_argument, NULL, OPT_LOGITS},
    {"info", no_argument, NULL, OPT_INFO},
    {"output", required_argument, NULL, 'o'},
    {"logprobs", optional_argument, NULL, OPT_LOGPROBS},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"routes", required_argument, NULL, OPT_ROUTES},
    {"context", required_argument, NULL, 'c'},
    {"batch", required_argument, NULL, 'b'},
    {"kv-type", required_argument, NULL, OPT_KV_TYPE},
    {"backend", required_argument, NULL, OPT_BACKEND},
    COMMON_LONG,
    {NULL, 0, NULL, 0}
};

static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};
static const int kv_types[] = {KERN_F16, KERN_F32, KERN_Q8_0};
static const char *const pool_names[] = {"mean", "last", "none", NULL};
static const char *const backend_names[] = {"cpu", NULL};

const char *run_kv_name(int kv_type) {
    int i = 0;
    while (kv_types[i] != kv_type)
        i++;
    return kv_names[i];
}

/* What may be given once only, because a second one would be forgotten. */
static void set_once(const char **where, const char *option, const char *value) {
    if (*where)
        usage_die("%s is given twice", option);
    *where = value;
}

/* The options that name a job; 0 for job means that none was named yet. */
static void set_job(struct options *opt, enum run_job job) {
    static const char *const names[] = {
        [JOB_TOKENIZE] = "--tokenize", [JOB_DETOKENIZE] = "--detokenize",
        [JOB_PERPLEXITY] = "--perplexity", [JOB_EMBED] = "--embed", [JOB_LOGITS] = "--logits",
        [JOB_INFO] = "--info"};
    if (opt->job != JOB_TEXT && opt->job != job)
        usage_die("%s and %s exclude each other", names[opt->job], names[job]);
    opt->job = job;
}

/* Options of the sampler: 1 when c is one of them. */
static int sample_option(struct options *opt, int c, const char *arg) {
    struct sample_options *s = &opt->sample;
    switch (c) {
    case OPT_TEMP: s->temperature = (float)arg_float("--temp", arg, 0, 100); return 1;
    case OPT_TOP_K: s->top_k = (int)arg_int("--top-k", arg, 0, INT32_MAX); return 1;
    case OPT_TOP_P: s->top_p = (float)arg_float("--top-p", arg, 0, 1); return 1;
    case OPT_MIN_P: s->min_p = (float)arg_float("--min-p", arg, 0, 1); return 1;
    case OPT_PENALTY:
        s->repeat_penalty = (float)arg_float("--repeat-penalty", arg, 0.01, 100);
        return 1;
    case OPT_REPEAT_LAST: s->repeat_last = (int)arg_int("--repeat-last", arg, 0, 1 << 20); return 1;
    case OPT_SEED:
        s->seed = arg_seed(arg);
        return 1;
    default: return 0;
    }
}

/* Options of the engine and of traces. */
static int engine_option(struct options *opt, int c, const char *arg) {
    switch (c) {
    case 'c': opt->context = (int)arg_size("--context", arg, 1, 1 << 24); return 1;
    case 'b': opt->batch = (int)arg_size("--batch", arg, 1, 1 << 16); return 1;
    case OPT_PARALLEL: opt->parallel = (int)arg_int("--parallel", arg, 1, 4096); return 1;
    case OPT_KV_TYPE: opt->kv_type = kv_types[arg_choice("--kv-type", arg, kv_names)]; return 1;
    case OPT_BACKEND: arg_choice("--backend", arg, backend_names); return 1;
    case OPT_NO_PACK: opt->no_pack = 1; return 1;
    case OPT_TRACE: set_once(&opt->trace, "--trace", arg); return 1;
    case OPT_ROUTES: set_once(&opt->routes, "--routes", arg); return 1;
    default: return 0;
    }
}

/* Options that choose a job. */
static int job_option(struct options *opt, int c, const char *arg) {
    switch (c) {
    case OPT_TOKENIZE: set_job(opt, JOB_TOKENIZE); return 1;
    case OPT_DETOKENIZE: set_job(opt, JOB_DETOKENIZE); return 1;
    case OPT_INFO: set_job(opt, JOB_INFO); return 1;
    case OPT_PERPLEXITY:
        set_job(opt, JOB_PERPLEXITY);
        set_once(&opt->corpus, "--perplexity", arg);
        return 1;
    case OPT_LOGITS:
        set_job(opt, JOB_LOGITS);
        set_once(&opt->logits, "--logits", arg);
        return 1;
    case OPT_EMBED:
        set_job(opt, JOB_EMBED);
        if (arg)
            set_once(&opt->output, "--embed=FILE (or -o)", arg);
        return 1;
    case OPT_CHUNKS: opt->chunks = (int)arg_int("--chunks", arg, 1, INT32_MAX); return 1;
    case OPT_POOL: opt->pool = (enum run_pool)arg_choice("--pool", arg, pool_names); return 1;
    default: return 0;
    }
}

/* What remains: model, prompt, text. */
static void text_option(struct options *opt, int c, const char *arg) {
    switch (c) {
    case 'm': set_once(&opt->model, "--model", arg); break;
    case 'p': set_once(&opt->prompt, "--prompt", arg); break;
    case 'f': set_once(&opt->file, "--file", arg); break;
    case 'o': set_once(&opt->output, "--output", arg); break;
    case 'n':
        opt->tokens = (int)arg_int("--tokens", arg, -1, INT32_MAX);
        opt->tokens_given = 1;
        break;
    case OPT_SHA256: set_once(&opt->sha256, "--sha256", arg); break;
    case OPT_JSONL: opt->jsonl = 1; break;
    case OPT_CHAT: opt->chat = 1; break;
    case OPT_SYSTEM: set_once(&opt->system, "--system", arg); break;
    case OPT_TEMPLATE: set_once(&opt->chat_template, "--chat-template", arg); break;
    case OPT_SPECIAL: opt->special = 1; break;
    case OPT_STOP:
        if (!*arg)
            usage_die("--stop: expected a text, found an empty one");
        opt->stop = mem_grow(opt->stop, (size_t)opt->n_stop + 1, sizeof(*opt->stop));
        opt->stop[opt->n_stop++] = arg;
        break;
    case OPT_IGNORE_EOS: opt->ignore_eos = 1; break;
    case OPT_ECHO: opt->echo = 1; break;
    case OPT_LOGPROBS: opt->logprobs = arg ? (int)arg_int("--logprobs", arg, 0, 1000) : 0; break;
    default: break;
    }
}

static int is_stdout(const char *path) {
    return path && !strcmp(path, "-");
}

/* At most one stream may have stdout. Where a trace has it, results go nowhere; an array asked
 * for by name must not. */
static void check_stdout(struct options *opt) {
    int arrays = opt->job == JOB_LOGITS ? is_stdout(opt->logits)
                 : opt->job == JOB_EMBED && (!opt->output || is_stdout(opt->output));
    int users = is_stdout(opt->trace) + is_stdout(opt->routes) + arrays;
    if (opt->job != JOB_EMBED)
        users += is_stdout(opt->output);
    if (users > 1)
        usage_die("standard output can take one of trace, routes and results: give the others "
                  "a file");
    if (!opt->output)
        opt->output = is_stdout(opt->trace) || is_stdout(opt->routes) ? "/dev/null" : "-";
}

/* Combinations that mean nothing are refused, not ignored. */
static void check_combinations(const struct options *opt) {
    int runs = opt->job != JOB_TOKENIZE && opt->job != JOB_DETOKENIZE && opt->job != JOB_INFO;
    if (!opt->model)
        usage_die("no model: -m FILE is needed");
    if (opt->sha256 && !fetch_is_url(opt->model))
        usage_die("--sha256 is for a model that is fetched: %s is a file", opt->model);
    if (opt->prompt && opt->file)
        usage_die("-p and -f exclude each other");
    if ((opt->prompt || opt->file) && (opt->job == JOB_INFO || opt->job == JOB_PERPLEXITY))
        usage_die("%s takes no prompt", opt->job == JOB_INFO ? "--info" : "--perplexity");
    if (opt->jsonl && opt->prompt)
        usage_die("--jsonl reads its prompts from stdin or -f, not from -p");
    if (opt->jsonl && opt->job != JOB_TEXT && opt->job != JOB_EMBED)
        usage_die("--jsonl is for generating and for --embed");
    if (opt->chat && opt->job != JOB_TEXT && opt->job != JOB_EMBED && opt->job != JOB_LOGITS)
        usage_die("--chat is for prompts that the model runs");
    if ((opt->system || opt->chat_template) && !opt->chat)
        usage_die("--system and --chat-template belong to --chat");
    if (opt->parallel > 1 && !opt->jsonl)
        usage_die("--parallel runs prompts of --jsonl");
    if (opt->echo && (opt->jsonl || opt->chat || opt->common.json || opt->job != JOB_TEXT))
        usage_die("--echo is for the text of a plain prompt");
    if (opt->logprobs >= 0 && (opt->job != JOB_TEXT || !(opt->jsonl || opt->common.json)))
        usage_die("--logprobs needs --json or --jsonl to put them in");
    if (opt->chunks >= 0 && opt->job != JOB_PERPLEXITY)
        usage_die("--chunks belongs to --perplexity");
    if (opt->pool != POOL_MEAN && opt->job != JOB_EMBED)
        usage_die("--pool belongs to --embed");
    if (opt->tokens_given && opt->tokens != 0 && opt->job != JOB_TEXT)
        usage_die("-n %d: only generating makes tokens", opt->tokens);
    if (opt->job == JOB_PERPLEXITY && opt->context > 0 && opt->context < 4)
        usage_die("--context: '%d': --perplexity needs at least 4", opt->context);
    if ((opt->trace || opt->routes) && !runs)
        usage_die("--trace and --routes need a run of the model");
    if (opt->common.json && (opt->job == JOB_DETOKENIZE || opt->job == JOB_EMBED
                             || opt->job == JOB_LOGITS))
        usage_die("--json does not go with this job");
}

void run_options(struct options *opt, int argc, char **argv) {
    *opt = (struct options){
        .tokens = -1, .logprobs = -1, .chunks = -1, .batch = 512, .parallel = 1,
        .kv_type = KERN_F16,
        .sample = {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f,
                   .repeat_penalty = 1, .repeat_last = 64, .seed = random_seed()},
    };
    if (argc == 1) {
        print_usage(stderr, run_usage);
        exit(EXIT_USAGE);
    }
    int c;
    while ((c = getopt_long(argc, argv, "m:p:f:o:n:c:b:" COMMON_SHORT, long_options, NULL))
           != -1) {
        if (!common_option(c, optarg, &opt->common, run_usage) && !sample_option(opt, c, optarg)
            && !engine_option(opt, c, optarg) && !job_option(opt, c, optarg))
            text_option(opt, c, optarg);
    }
    if (optind < argc)
        usage_die("unexpected argument '%s'", argv[optind]);
    check_combinations(opt);
    check_stdout(opt);
    if (opt->job != JOB_TEXT)
        opt->tokens = 0;
    if (opt->job == JOB_TEXT && opt->jsonl)
        opt->job = JOB_JSONL;
    if (opt->job == JOB_TEXT && opt->chat && !opt->prompt && !opt->file)
        opt->job = JOB_CHAT;
}
