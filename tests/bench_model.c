/* bench_model.c - speed of one model: prefill of a prompt, and decode token by token
 *
 *     bench_model -m MODEL [-p 512] [-n 64] [-t THREADS] [-r 3] [-k f16|f32|q8_0]
 *
 * Prints a tab-separated line a repetition: test, repetition, tokens, ns, tps (tokens a second),
 * and, as the session counts them, flops and bytes.
 *
 * Inside the clock: passes through the model and nothing else, tokens drawn beforehand, logits of
 * the prompt's last row or of every decoded row included, sampling excluded. Each test starts from
 * an empty context and was warmed up: the prompt once as a whole, decode with one token. These
 * are the rules of llama-bench, so that the numbers stand beside its own.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/num.h"
#include "lib/infer/session.h"

#define BATCH 512       /* most rows of a pass, llama-bench's n_ubatch */

struct options {
    const char *model;
    int64_t prompt, decode, threads, repeat;
    int kv_type;
};

struct total {
    int64_t ns;
    double flops, bytes;
};

static void usage(void) {
    fputs("usage: bench_model -m MODEL [-p 512] [-n 64] [-t THREADS] [-r 3] [-k f16|f32|q8_0]\n",
          stderr);
    exit(2);
}

static int parse_kv(const char *s) {
    static const int types[] = {KERN_F16, KERN_F32, KERN_Q8_0};
    static const char *const names[] = {"f16", "f32", "q8_0"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(s, names[i]))
            return types[i];
    usage();
    return -1;
}

static struct options parse(int argc, char **argv) {
    struct options o = {.prompt = 512, .decode = 64, .repeat = 3, .kv_type = KERN_F16};
    int bad = 0;
    for (int c; (c = getopt(argc, argv, "m:p:n:t:r:k:")) != -1;) {
        switch (c) {
        case 'm': o.model = optarg; break;
        case 'p': bad |= num_int(optarg, 0, 1 << 20, &o.prompt); break;
        case 'n': bad |= num_int(optarg, 0, 1 << 20, &o.decode); break;
        case 't': bad |= num_int(optarg, 0, 1024, &o.threads); break;
        case 'r': bad |= num_int(optarg, 1, 1000, &o.repeat); break;
        case 'k': o.kv_type = parse_kv(optarg); break;
        default: usage();
        }
    }
    if (bad || !o.model || optind != argc)
        usage();
    return o;
}

static void die(const struct err *err) {
    fprintf(stderr, "bench_model: %s\n", err->text);
    exit(1);
}

/* Rows for positions 0.. of tokens drawn by a small generator (Numerical Recipes' constants). */
static struct session_row *draw_rows(int n, int vocab) {
    struct session_row *rows = mem_array((size_t)n, sizeof *rows);
    uint32_t x = 1;
    for (int i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        rows[i] = (struct session_row){.pos = i, .token = (int32_t)((x >> 8) % (uint32_t)vocab)};
    }
    return rows;
}

/* Runs n rows from an empty context, `step` a pass; the logits of each pass's last row are
 * computed, or only of the very last one in a prefill. */
static struct total run(struct session *s, struct session_row *rows, int n, int step) {
    struct err err;
    struct total sum = {0};
    session_truncate(s, 0, 0);
    for (int i = 0; i < n; i++)
        rows[i].want_logits = step == 1 || i == n - 1;
    int64_t start = clock_ns();
    for (int i = 0; i < n; i += step) {
        struct session_pass pass = {0};
        if (session_pass(s, rows + i, n - i < step ? n - i : step, &pass, &err))
            die(&err);
        const struct shape_flops *f = &pass.flops;
        const struct shape_bytes *b = &pass.bytes;
        sum.flops += f->attention + f->dense + f->experts + f->head;
        sum.bytes += b->dense + b->experts + b->kv_read + b->kv_write;
    }
    sum.ns = clock_ns() - start;
    return sum;
}

static void bench(struct session *s, const char *name, struct session_row *rows, int n, int step,
                  int repeat) {
    run(s, rows, step == 1 ? 1 : n, step);
    for (int r = 0; r < repeat; r++) {
        struct total t = run(s, rows, n, step);
        printf("%s%d\t%d\t%d\t%lld\t%.2f\t%.6g\t%.6g\n", name, n, r, n, (long long)t.ns,
               (double)n * 1e9 / (double)t.ns, t.flops, t.bytes);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    struct options o = parse(argc, argv);
    struct err err;
    const char *why = NULL;
    const struct kern *kern = kern_select(NULL, &why);
    if (!kern) {
        fprintf(stderr, "bench_model: %s\n", why);
        return 1;
    }
    struct par *par = par_new((int)o.threads);
    struct model *model = model_open(o.model, &(struct model_options){.par = par}, &err);
    if (!model)
        die(&err);
    int longest = (int)(o.prompt > o.decode ? o.prompt : o.decode);
    struct session_options so = {.context = longest, .sequences = 1, .batch = BATCH,
                                 .kv_type = o.kv_type};
    struct session *session = session_new(model, kern, par, &so, &err);
    if (!session)
        die(&err);
    struct session_row *rows = draw_rows(longest, model->shape->vocab);

    printf("# %s, %s, %d threads, loaded in %.3f s\n", model->shape->name, kern->describe,
           par_threads(par), (double)model->load_ns / 1e9);
    printf("test\trepetition\ttokens\tns\ttps\tflops\tbytes\n");
    if (o.prompt)
        bench(session, "prefill", rows, (int)o.prompt, BATCH, (int)o.repeat);
    if (o.decode)
        bench(session, "decode", rows, (int)o.decode, 1, (int)o.repeat);

    free(rows);
    session_free(session);
    model_close(model);
    par_free(par);
    return 0;
}
