/* quant_imatrix.c - llm-quant imatrix: what the columns of each weight are multiplied by
 *
 * Runs a text through the model, chunk by chunk as llama-imatrix does, and sums the squares of what
 * every matrix multiplies (lib/quant/gather.h); adds what older files hold (--in). No logits are
 * computed. The result goes to a file of llama.cpp's (-o), a table (--show), or both.
 */
#include "cmd/quant.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/progress.h"
#include "cmd/quant_imatrix.h"
#include "lib/quant/gather.h"

/* Rows of a pass: enough for every expert to have some. */
#define BATCH 1024
#define DEFAULT_TOKENS 512

enum { OPT_IN = OPT_VERB, OPT_SHOW, OPT_HEAD, OPT_SENSITIVITY };

/* Chunks that --sensitivity runs for every matrix. */
#define SENSITIVITY_CHUNKS 8

static const char *const usage[] = {
    "usage: llm-quant imatrix -m MODEL -f TEXT -o FILE [OPTION]...\n"
    "       llm-quant imatrix --in FILE... [-o FILE] [--show]\n"
    "Collects the importance of weights from a text: mean squares of what they multiply.\n\n"
    "Input\n"
    "  -m, --model MODEL      GGUF file or address, best not quantized\n"
    "  -f, --file FILE        calibration text (- is stdin)\n"
    QUANT_TEXT_USAGE
    "      --in FILE          adds what FILE holds, of either form; repeat for more\n"
    "Output\n"
    "  -o, --output FILE      the importance matrix (- is stdout)\n"
    "      --format FORMAT    of FILE: gguf (default) or legacy, llama.cpp's older form; of the\n"
    "                         table: table, tsv, csv, jsonl, md or sql (default: a table on a\n"
    "                         terminal, tsv in a pipe)\n"
    "      --process-output   the head (output.weight), too, as in llama-imatrix\n"
    "      --sensitivity[=N]  measures, too, what an error in each matrix does to predictions,\n"
    "                         over N chunks (default 8) spread over the text, half a pass for\n"
    "                         each matrix: what convert --target goes by\n"
    "      --show             a table of what the matrix holds, a row for each tensor\n"
    "      --json             JSON Lines in place of a table\n"
    "  -v, --verbose          every column in a table too\n"
    "General\n"
    "  -t, --threads N        (default: one per core)\n"
    "      --cpu VARIANT      kernels: ref, avx2, avx512 (default: the best)\n"
    "  -q, --quiet            no progress bar, no words on experts that saw nothing\n"
    "  -h, --help             -V, --version\n\n"
    "Examples\n"
    "  llm-quant imatrix -m in.gguf -f calib.txt -o i.gguf\n"
    "  llm-quant imatrix -m in.gguf -f more.txt --in i.gguf -o both.gguf\n"
    "  llm-quant imatrix --in i.gguf --show\n",
    NULL};

struct options {
    struct common common;
    struct quant_text text;
    const char *model, *output;
    const char **in;
    int ins;
    int legacy, head, show;
    int sensitivity;            /* chunks; 0: not measured */
};

/* ---- options ---------------------------------------------------------------------------- */

/* One word for two things that never share one: the file's form, or the table's. */
static void take_format(struct options *o, const char *arg) {
    if (!strcmp(arg, "gguf") || !strcmp(arg, "legacy"))
        o->legacy = arg[0] == 'l';
    else
        fields_option(OPT_FORMAT, arg, &o->common);
}

static void take_in(struct options *o, const char *arg) {
    common_take_stdin(arg);
    o->in = mem_grow(o->in, (size_t)o->ins + 1, sizeof *o->in);
    o->in[o->ins++] = arg;
}

static void take_option(struct options *o, int c, const char *arg) {
    switch (c) {
    case 'm': o->model = arg; break;
    case 'f': o->text.path = arg; break;
    case 'o': o->output = arg; break;
    case OPT_FORMAT: take_format(o, arg); break;
    case OPT_IN: take_in(o, arg); break;
    case OPT_SHOW: o->show = 1; break;
    case OPT_HEAD: o->head = 1; break;
    case OPT_SENSITIVITY:
        o->sensitivity = arg ? (int)arg_int("--sensitivity", arg, 1, 1 << 20) : SENSITIVITY_CHUNKS;
        break;
    default: quant_text_option(c, arg, &o->text);
    }
}

static void check(const struct options *o) {
    if (!o->model != !o->text.path)
        usage_die("%s without %s: a model reads a text", o->model ? "--model" : "--file",
                  o->model ? "--file" : "--model");
    if (!o->model && !o->ins)
        usage_die("nothing to do: give -m and -f, or --in");
    if (!o->output && !o->show)
        usage_die("nowhere to go: give -o FILE, or --show");
    if (o->sensitivity && !o->model)
        usage_die("--sensitivity: needs a model (-m) and a text (-f)");
    if (o->sensitivity && o->legacy)
        usage_die("--sensitivity: the legacy form has no place for it");
    if (o->output && !strcmp(o->output, "-")) {
        if (o->show)
            usage_die("-o - and --show both write to stdout");
        if (isatty(STDOUT_FILENO))
            usage_die("-o -: the matrix is no text for a terminal");
    }
    if (o->text.path)
        common_take_stdin(o->text.path);
}

static void parse(struct options *o, int argc, char **argv) {
    static const struct option longs[] = {
        COMMON_LONG, QUANT_TEXT_LONG, FIELDS_LONG,
        {"model", required_argument, NULL, 'm'}, {"file", required_argument, NULL, 'f'},
        {"output", required_argument, NULL, 'o'}, {"in", required_argument, NULL, OPT_IN},
        {"show", no_argument, NULL, OPT_SHOW},
        {"process-output", no_argument, NULL, OPT_HEAD},
        {"sensitivity", optional_argument, NULL, OPT_SENSITIVITY}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "m:f:o:" QUANT_TEXT_SHORT COMMON_SHORT, longs, NULL)) != -1)
        if (!common_option(c, optarg, &o->common, usage))
            take_option(o, c, optarg);
    if (optind < argc)
        usage_die("'%s': expected no operands", argv[optind]);
    check(o);
}

/* ---- collecting ------------------------------------------------------------------------- */

struct collect {
    const struct options *o;
    const struct quant_engine *engine;
    const struct quant_chunks *chunks;
    struct gather *gather;
    struct session *session;
    int together;               /* chunks of a pass, side by side */
    int batch, n;
    struct session_row *row;    /* [batch], n of them waiting */
};

static void open_session(struct collect *c) {
    const struct options *o = c->o;
    const struct quant_engine *e = c->engine;
    struct err err;
    int tokens = c->chunks->tokens;
    c->together = tokens < BATCH ? BATCH / tokens : 1;
    c->together = c->together < c->chunks->chunks ? c->together : c->chunks->chunks;
    c->batch = c->together * tokens < BATCH ? c->together * tokens : BATCH;
    c->row = mem_array((size_t)c->batch, sizeof *c->row);
    c->gather = gather_new(e->model, e->par, o->head);
    struct session_options how = {.context = tokens, .sequences = c->together, .batch = c->batch,
                                  .kv_type = KERN_F16, .hidden = o->head,
                                  .tap = gather_tap(c->gather)};
    c->session = session_new(e->model, e->kern, e->par, &how, &err);
    if (!c->session)
        die_err(&err);
}

static void run_rows(struct collect *c) {
    struct session_pass pass = {0};
    struct err err;
    if (session_pass(c->session, c->row, c->n, &pass, &err))
        die("%s: %s", c->o->model, err.text);
    if (c->o->head)
        gather_head(c->gather, pass.hidden, c->n);
    if (gather_check(c->gather, &err))
        die_err(&err);
    c->n = 0;
}

/* n chunks from `first` on, each in a sequence of its own. */
static void run_chunks(struct collect *c, int first, int n) {
    int tokens = c->chunks->tokens;
    for (int seq = 0; seq < n; seq++) {
        const int32_t *token = c->chunks->token + (int64_t)(first + seq) * tokens;
        session_truncate(c->session, seq, 0);
        for (int pos = 0; pos < tokens; pos++) {
            c->row[c->n++] = (struct session_row){.seq = seq, .pos = pos, .token = token[pos]};
            if (c->n == c->batch)
                run_rows(c);
        }
    }
    if (c->n)
        run_rows(c);
}

static struct imatrix *collect(const struct options *o, const struct quant_engine *engine,
                               const struct quant_chunks *chunks) {
    struct collect c = {.o = o, .engine = engine, .chunks = chunks};
    struct err err;
    struct progress bar;
    open_session(&c);
    progress_start(&bar, "collecting", PROGRESS_COUNT, o->common.quiet);
    for (int i = 0; i < chunks->chunks; i += c.together) {
        int n = chunks->chunks - i < c.together ? chunks->chunks - i : c.together;
        run_chunks(&c, i, n);
        progress_update(&bar, i + n, chunks->chunks);
    }
    progress_end(&bar);
    struct imatrix *m = imatrix_new();
    m->chunk_tokens = chunks->tokens;
    if (gather_finish(c.gather, m, &err))
        die_err(&err);
    imatrix_add_dataset(m, input_name(o->text.path));
    session_free(c.session);
    gather_free(c.gather);
    free(c.row);
    return m;
}

/* ---- all together ----------------------------------------------------------------------- */

static void merge(struct imatrix *to, struct imatrix *from, const char *path) {
    struct err err;
    if (imatrix_merge(to, from, &err))
        die("%s: %s", input_name(path), err.text);
    imatrix_free(from);
}

/* Adds what the text says. It is read once: it may come from a pipe. */
static void run_text(const struct options *o, struct imatrix *sum) {
    struct quant_engine engine;
    struct quant_chunks chunks;
    quant_engine_open(&engine, &o->common, o->model, 1);
    quant_chunks_read(&o->text, engine.vocab, &chunks);
    merge(sum, collect(o, &engine, &chunks), o->text.path);
    if (o->sensitivity)
        imatrix_measure(sum, &o->common, &engine, &chunks, o->sensitivity);
    free(chunks.token);
    quant_engine_close(&engine);
}

/* Files first, in order, then the text. The chunks of the sum are those of -c, else of the first
 * file that has some. */
static struct imatrix *gather_all(const struct options *o) {
    struct imatrix *sum = imatrix_new();
    struct imatrix **in = mem_array((size_t)o->ins, sizeof(struct imatrix *));
    sum->chunk_tokens = o->text.tokens;
    for (int i = 0; i < o->ins; i++) {
        struct err err;
        in[i] = imatrix_read(o->in[i], &err);
        if (!in[i])
            die_err(&err);
        if (!sum->chunk_tokens && !o->model)
            sum->chunk_tokens = in[i]->chunk_tokens;
    }
    if (!sum->chunk_tokens)
        sum->chunk_tokens = DEFAULT_TOKENS;
    for (int i = 0; i < o->ins; i++)
        merge(sum, in[i], o->in[i]);
    if (o->model)
        run_text(o, sum);
    free(in);
    return sum;
}

int quant_imatrix(int argc, char **argv) {
    struct options o = {0};
    struct err err;
    parse(&o, argc, argv);
    struct imatrix *m = gather_all(&o);
    if (o.output && imatrix_write(m, o.output, o.legacy, &err))
        die_err(&err);
    if (!o.common.quiet)
        imatrix_say_unseen(m);
    if (o.show)
        imatrix_show(m, &o.common);
    imatrix_free(m);
    free(o.in);
    return EXIT_DONE;
}
