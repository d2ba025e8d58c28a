/* test_logits.c - the engine against llama.cpp and a float64 forward pass
 *
 * Tiny random models of every architecture and type (tests/tiny_model.h) and the embedded model.
 * tests/reference/README.md says where the numbers come from. Checked are:
 * - F32 weights and cache: logits within 1e-3, 64 greedy tokens identical, the same bits for all
 *   thread counts and passes, instruction sets within 1e-4 of each other;
 * - other types: the divergence from the model with the dequantized weights is at most 1.1 times
 *   llama.cpp's, and the likeliest token is the same wherever it leads by more than noise.
 *
 *     test_logits [WORD]      only the tests whose name contains WORD
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/infer/session.h"
#include "tests/check.h"
#include "tests/tiny_model.h"

#define REFERENCE "tests/reference/"
#define EMBEDDED "examples/models/tiny-moe-f16.gguf"

enum {
    VARIANTS = 8,
    TEXT = 640,                 /* tokens of the text */
    SCALAR = 65,                /* of which the scalar kernels, which are slow, read so many */
    BITS = 24,                  /* tokens read again and again in other passes, by more threads */
    SCALAR_BITS = 9,
    TYPED = 256,                /* tokens over which divergences are averaged */
    PROMPT = 128,               /* tokens before the greedy continuation */
    GREEDY = 64,
    POSITIONS = 16,             /* whose logits are in f32_logits.npy */
    BASE_POSITIONS = 2,         /* whose logits are in base_logits.npy */
    REFERENCE_ARCHS = 8,        /* all but the one in split files, which equals another */
    EMBEDDED_PROMPTS = 3,
    EMBEDDED_LONGEST = 16,
    EMBEDDED_VOCAB = 4096
};

static const int positions[POSITIONS] = {
    0, 1, 7, 47, 48, 49, 63, 64, 100, 127, 159, 511, 512, 513, 575, 639
};
static const int base_positions[BASE_POSITIONS] = {100, 255};
static const char *const reference_archs[REFERENCE_ARCHS] = {
    "llama", "mixtral", "qwen2", "qwen3", "qwen2moe", "qwen3moe", "olmoe", "gemma3"
};

/* Under the sanitizers, which look at memory and not at numbers, half of it will do. */
#ifdef __SANITIZE_ADDRESS__
enum { THOROUGH = 0 };
#else
enum { THOROUGH = 1 };
#endif

static const double F32_TOLERANCE = 1e-3;       /* to llama.cpp */
static const double ISA_TOLERANCE = 1e-4;       /* between instruction sets */
static const double KL_RATIO = 1.1;             /* to llama.cpp's divergence */

static char path[256];                          /* of the model being tested */
static const struct kern *variant[VARIANTS];    /* best last */
static int variants;
static struct par *one_thread;
static struct par *two_threads;
static int32_t *tokens;                         /* [TEXT] */
static float *f32_logits;                       /* [REFERENCE_ARCHS][POSITIONS][TINY_VOCAB] */
static int32_t *f32_greedy;                     /* [REFERENCE_ARCHS][GREEDY] */
static float *base_logits;      /* [REFERENCE_ARCHS][TINY_TYPES - 1][BASE_POSITIONS][TINY_VOCAB] */

/* ---- reference files ------------------------------------------------------------------------ */

/* The data of an .npy file of 4-byte elements, `n` of them of the kind '<f4' or '<i4'. */
static void *load_npy(const char *name, const char *kind, size_t n) {
    char file[128];
    unsigned char head[10];
    char text[1024] = "";
    void *data = malloc(n * 4);
    size_t len;
    FILE *f;

    snprintf(file, sizeof file, REFERENCE "%s.npy", name);
    f = fopen(file, "rb");
    if (!f || !data || fread(head, 1, 10, f) != 10 || memcmp(head, "\x93NUMPY\x01", 7))
        goto bad;
    len = head[8] + 256u * head[9];
    if (len >= sizeof text || fread(text, 1, len, f) != len || !strstr(text, kind))
        goto bad;
    if (fread(data, 4, n, f) != n || fgetc(f) != EOF)
        goto bad;
    fclose(f);
    return data;
bad:
    printf("not ok %s: no array of %zu elements of %s\n", file, n, kind);
    exit(EXIT_FAILURE);
}

/* Fields of the line of a .tsv file that begins with arch and type (and kv, unless NULL), from
 * the next field on. Empty when there is none. */
static const char *find_line(const char *file, const char *arch, const char *type,
                             const char *kv) {
    static char line[256];
    char want[96];
    FILE *f = fopen(file, "r");

    snprintf(want, sizeof want, kv ? "%s\t%s\t%s\t" : "%s\t%s\t", arch, type, kv);
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, want, strlen(want))) {
            fclose(f);
            return line + strlen(want);
        }
    if (f)
        fclose(f);
    printf("# %s: no line %s %s %s\n", file, arch, type, kv ? kv : "");
    check_bad++;
    return "";
}

struct llamacpp {
    double kl;                  /* mean divergence from the base */
    double noise;               /* largest error of a difference to the likeliest token */
};

static struct llamacpp llamacpp_of(const char *arch, const char *type, const char *kv) {
    struct llamacpp l = {0};
    const char *s = find_line(REFERENCE "llamacpp.tsv", arch, type, kv);
    char *end;

    l.kl = strtod(s, &end);
    l.noise = strtod(end, NULL);
    CHECK(l.kl > 0 && l.noise > 0);
    return l;
}

/* ---- running -------------------------------------------------------------------------------- */

/* Writes a tiny model, checks that it is the one the references were made with, and opens it. */
static struct model *tiny_open(const char *arch, int type, int dequantized) {
    struct tiny_model t = {.arch = tiny_arch(arch), .type = type, .dequantized = dequantized};
    struct model_options opt = {.par = one_thread};
    const char *name = kern_type_info(type)->name;
    struct model *m;
    struct err err;

    if (tiny_write(&t, path, &err)) {
        printf("# %s\n", err.text);
        check_bad++;
        return NULL;
    }
    if (!dequantized)
        CHECK(strtoull(find_line(REFERENCE "hashes.tsv", arch, name, NULL), NULL, 16) == t.hash);
    m = model_open(path, &opt, &err);
    if (!m) {
        printf("# %s %s: %s\n", arch, name, err.text);
        check_bad++;
    }
    return m;
}

static int is_scalar(const struct kern *k) {
    return !strcmp(k->name, "ref");
}

struct setup {
    const struct kern *k;
    struct par *par;
    int kv;                     /* element type of the cache */
    int step;                   /* rows of a pass */
};

static struct session *open_session(const struct model *m, const struct setup *how) {
    struct session_options opt = {.context = TINY_CONTEXT, .sequences = 1, .batch = how->step,
                                  .kv_type = how->kv};
    struct err err;
    struct session *s = session_new(m, how->k, how->par, &opt, &err);

    if (!s) {
        printf("# %s\n", err.text);
        check_bad++;
    }
    return s;
}

/* One pass over token[n] from position `at`; logits of all rows, or of the last one only. */
static const float *pass_over(struct session *s, const int32_t *token, int at, int n, int all) {
    static struct session_row rows[TEXT];
    struct session_pass pass = {0};
    struct err err;

    for (int i = 0; i < n; i++)
        rows[i] = (struct session_row){.pos = at + i, .token = token[i],
                                       .want_logits = all || i == n - 1};
    if (!session_pass(s, rows, n, &pass, &err))
        return pass.logits;
    printf("# %s\n", err.text);
    check_bad++;
    return NULL;
}

/* Logits [n][vocab] after each token of a text (caller frees); NULL after a failed check. */
static float *read_text(const struct model *m, const struct setup *how, const int32_t *text,
                        int n) {
    size_t vocab = (size_t)m->shape->vocab;
    float *out = malloc((size_t)n * vocab * sizeof *out);
    struct session *s = open_session(m, how);
    int at = 0;

    while (s && out && at < n) {
        int rows = n - at < how->step ? n - at : how->step;
        const float *logits = pass_over(s, text + at, at, rows, 1);

        if (!logits)
            break;
        memcpy(out + (size_t)at * vocab, logits, (size_t)rows * vocab * sizeof *out);
        at += rows;
    }
    session_free(s);
    if (s && at == n)
        return out;
    free(out);
    return NULL;
}

static int likeliest(const float *logits, int vocab) {
    int best = 0;

    for (int i = 1; i < vocab; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Checks that the greedy continuation of a prompt is `expect`. */
static void check_greedy(const struct model *m, const struct setup *how, const int32_t *prompt,
                         int n, const int32_t *expect) {
    struct session *s = open_session(m, how);
    const float *logits = s ? pass_over(s, prompt, 0, n, 0) : NULL;
    int same = 0;

    while (logits && likeliest(logits, m->shape->vocab) == expect[same] && ++same < GREEDY)
        logits = pass_over(s, expect + same - 1, n + same - 1, 1, 0);
    CHECK_INT(same, GREEDY);
    session_free(s);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static double largest_difference(const float *a, const float *b, size_t n) {
    double worst = 0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);

        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

/* log(sum(exp(x))). */
static double log_sum_exp(const float *x, int n) {
    double max = x[likeliest(x, n)];
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += exp(x[i] - max);
    return max + log(sum);
}

/* Kullback-Leibler divergence of softmax(other) from softmax(base). */
static double divergence(const float *base, const float *other, int n) {
    double a = log_sum_exp(base, n);
    double b = log_sum_exp(other, n);
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += exp(base[i] - a) * (((double)base[i] - a) - ((double)other[i] - b));
    return sum;
}

/* Lead of the likeliest token over the next. */
static double margin(const float *logits, int n) {
    int best = likeliest(logits, n);
    double lead = INFINITY;

    for (int i = 0; i < n; i++)
        if (i != best && (double)logits[best] - logits[i] < lead)
            lead = (double)logits[best] - logits[i];
    return lead;
}

/* The demands on rows [n][vocab] of a model that is not F32 throughout. */
static void check_divergence(const float *base, const float *ours, int n, int vocab,
                             const struct llamacpp *theirs) {
    double sum = 0;
    int wrong = 0;

    for (int i = 0; i < n; i++) {
        const float *a = base + (size_t)i * (size_t)vocab;
        const float *b = ours + (size_t)i * (size_t)vocab;

        sum += divergence(a, b, vocab);
        wrong += margin(a, vocab) > theirs->noise && likeliest(a, vocab) != likeliest(b, vocab);
    }
    if (!(sum / n <= KL_RATIO * theirs->kl)) {
        printf("# divergence %.4e, llama.cpp's is %.4e (ratio %.3f)\n", sum / n, theirs->kl,
               sum / n / theirs->kl);
        check_bad++;
    }
    CHECK_INT(wrong, 0);
}

/* ---- F32 ------------------------------------------------------------------------------------ */

/* Logits at the reference's positions below n. */
static void check_positions(const float *logits, int n, int arch) {
    for (int p = 0; p < POSITIONS && positions[p] < n; p++) {
        const float *want = f32_logits + ((size_t)arch * POSITIONS + (size_t)p) * TINY_VOCAB;
        const float *got = logits + (size_t)positions[p] * TINY_VOCAB;

        CHECK_NEAR(largest_difference(got, want, TINY_VOCAB), 0, F32_TOLERANCE);
    }
}

/* The same bits whatever the threads and the passes. */
static void check_bits(const struct model *m, const struct kern *k, int kv, const float *want) {
    static const int steps[] = {1, 7, TEXT};
    int n = is_scalar(k) ? SCALAR_BITS : BITS;
    size_t bytes = (size_t)n * (size_t)m->shape->vocab * sizeof *want;

    for (int i = 0; i < 6; i++) {
        struct setup how = {k, i % 2 ? two_threads : one_thread, kv, steps[i / 2]};
        float *got = read_text(m, &how, tokens, n);

        if (got && memcmp(got, want, bytes)) {
            printf("# %s, %d threads, %d rows a pass: other bits\n", k->name, i % 2 + 1,
                   how.step);
            check_bad++;
        }
        free(got);
    }
}

static void f32_model(int arch) {
    struct model *m = tiny_open(reference_archs[arch], KERN_F32, 0);
    float *best = NULL;

    for (int v = variants - 1; m && v >= 0; v--) {
        int scalar = is_scalar(variant[v]);
        int n = scalar ? SCALAR : TEXT;
        struct setup how = {variant[v], scalar ? two_threads : one_thread, KERN_F32, TEXT};
        float *got = scalar && !THOROUGH ? NULL : read_text(m, &how, tokens, n);

        if (!got)
            break;
        check_positions(got, n, arch);
        check_greedy(m, &how, tokens, PROMPT, f32_greedy + arch * GREEDY);
        check_bits(m, variant[v], KERN_F32, got);
        if (best)
            CHECK_NEAR(largest_difference(got, best, (size_t)n * TINY_VOCAB), 0, ISA_TOLERANCE);
        if (!best)
            best = got;
        else
            free(got);
    }
    free(best);
    model_close(m);
}

/* ---- other types ---------------------------------------------------------------------------- */

/* The text through the best kernels; NULL after a failed check. */
static float *read_best(const struct model *m, int kv, int n) {
    struct setup how = {variant[variants - 1], one_thread, kv, TEXT};

    return m ? read_text(m, &how, tokens, n) : NULL;
}

/* Logits of the model with the dequantized weights, checked against the float64 ones. */
static float *typed_base(int arch, int t) {
    struct model *m = tiny_open(reference_archs[arch], tiny_types[t], 1);
    float *base = read_best(m, KERN_F32, TYPED);

    for (int p = 0; base && p < BASE_POSITIONS; p++) {
        size_t row = ((size_t)arch * (TINY_TYPES - 1) + (size_t)t - 1) * BASE_POSITIONS + (size_t)p;

        CHECK_NEAR(largest_difference(base + (size_t)base_positions[p] * TINY_VOCAB,
                                      base_logits + row * TINY_VOCAB, TINY_VOCAB),
                   0, F32_TOLERANCE);
    }
    model_close(m);
    return base;
}

static void typed_model(int arch, int t) {
    const char *name = kern_type_info(tiny_types[t])->name;
    struct llamacpp theirs = llamacpp_of(reference_archs[arch], name, "f32");
    float *base = typed_base(arch, t);
    struct model *m = tiny_open(reference_archs[arch], tiny_types[t], 0);

    for (int v = variants - 1; base && m && v >= 0; v--) {
        /* The scalar kernels are slow: the other architectures add nothing that they would see. */
        int scalar = is_scalar(variant[v]);
        int n = scalar ? BITS : TYPED;
        struct setup how = {variant[v], one_thread, KERN_F32, TEXT};
        float *ours = scalar && arch > 1 ? NULL : read_text(m, &how, tokens, n);

        if (ours && !scalar)
            check_divergence(base, ours, n, TINY_VOCAB, &theirs);
        if (ours && arch < 2)
            check_bits(m, variant[v], KERN_F32, ours);
        free(ours);
    }
    model_close(m);
    free(base);
}

/* Files of 2023 have a tensor for each expert: the same bits come out. */
static void split_experts(int type) {
    struct model *m = tiny_open("mixtral", type, 0);
    float *merged = read_best(m, KERN_F32, PROMPT);
    float *split;

    model_close(m);
    m = tiny_open("mixtral-split", type, 0);
    split = read_best(m, KERN_F32, PROMPT);
    CHECK(merged && split && !memcmp(merged, split, PROMPT * TINY_VOCAB * sizeof *split));
    model_close(m);
    free(split);
    free(merged);
}

static void cache_type(int arch, int kv, const char *kv_name) {
    struct llamacpp theirs = llamacpp_of(reference_archs[arch], "F32", kv_name);
    struct model *m = tiny_open(reference_archs[arch], KERN_F32, 0);
    float *base = read_best(m, KERN_F32, TYPED);

    for (int v = variants - 1; base && v >= 0; v--) {
        int scalar = is_scalar(variant[v]);
        struct setup how = {variant[v], one_thread, kv, TEXT};
        float *ours = read_text(m, &how, tokens, scalar ? BITS : TYPED);

        if (ours && !scalar)
            check_divergence(base, ours, TYPED, TINY_VOCAB, &theirs);
        if (ours)
            check_bits(m, variant[v], kv, ours);
        free(ours);
    }
    model_close(m);
    free(base);
}

/* ---- the embedded model --------------------------------------------------------------------- */

/* Logits after the prompt and in the middle of the text that follows, into out[2][vocab]. */
static void embedded_rows(const struct model *m, const struct setup *how, const int32_t *prompt,
                          int n, const int32_t *text, float *out) {
    int32_t whole[EMBEDDED_LONGEST + GREEDY];
    float *logits;

    memcpy(whole, prompt, (size_t)n * sizeof *whole);
    memcpy(whole + n, text, GREEDY * sizeof *whole);
    logits = read_text(m, how, whole, n + GREEDY);
    for (int i = 0; logits && i < 2; i++)
        memcpy(out + i * EMBEDDED_VOCAB,
               logits + (size_t)(i ? n + GREEDY / 2 : n - 1) * EMBEDDED_VOCAB,
               EMBEDDED_VOCAB * sizeof *out);
    free(logits);
}

static void embedded(void) {
    enum { ROWS = 2 * EMBEDDED_PROMPTS };
    struct llamacpp theirs = llamacpp_of("embedded", "F16", "f32");
    int32_t *prompt = load_npy("embedded_prompts", "<i4", EMBEDDED_PROMPTS * EMBEDDED_LONGEST);
    int32_t *text = load_npy("embedded_greedy", "<i4", EMBEDDED_PROMPTS * GREEDY);
    float *base = load_npy("embedded_logits", "<f4", (size_t)ROWS * EMBEDDED_VOCAB);
    float *ours = calloc((size_t)ROWS * EMBEDDED_VOCAB, sizeof *ours);
    struct err err = {""};
    struct model *m = model_open(EMBEDDED, &(struct model_options){.par = one_thread}, &err);

    CHECK_STR(err.text, "");
    for (int v = variants - 1; m && ours && v >= 0; v--) {
        int scalar = is_scalar(variant[v]);
        struct setup how = {variant[v], scalar ? two_threads : one_thread, KERN_F32, TEXT};

        int few = scalar && v < variants - 1;

        /* After better ones the scalar kernels read one prompt; the other rows stay. */
        for (int i = 0; i < (few ? 1 : EMBEDDED_PROMPTS); i++) {
            const int32_t *p = prompt + i * EMBEDDED_LONGEST;
            int n = 0;

            while (n < EMBEDDED_LONGEST && p[n] >= 0)
                n++;
            embedded_rows(m, &how, p, n, text + i * GREEDY, ours + 2 * i * EMBEDDED_VOCAB);
            check_greedy(m, &how, p, n, text + i * GREEDY);
        }
        check_divergence(base, ours, ROWS, EMBEDDED_VOCAB, &theirs);
    }
    model_close(m);
    free(ours);
    free(base);
    free(text);
    free(prompt);
}

/* ---- all of it ------------------------------------------------------------------------------ */

#define RUN_CHOSEN(name, call) \
    do { \
        if (strstr(name, word)) \
            RUN_NAMED(name, call); \
    } while (0)

static void run_all(const char *word) {
    char name[64];

    for (int a = 0; a < REFERENCE_ARCHS; a++)
        for (int t = 0; t < (THOROUGH || a < 2 ? TINY_TYPES : 1); t++) {
            snprintf(name, sizeof name, "%s %s", reference_archs[a],
                     kern_type_info(tiny_types[t])->name);
            if (t)
                RUN_CHOSEN(name, typed_model(a, t));
            else
                RUN_CHOSEN(name, f32_model(a));
        }
    RUN_CHOSEN("experts in tensors of their own, F32", split_experts(KERN_F32));
    RUN_CHOSEN("experts in tensors of their own, Q4_K", split_experts(KERN_Q4_K));
    RUN_CHOSEN("llama, F16 cache", cache_type(0, KERN_F16, "f16"));
    RUN_CHOSEN("llama, Q8_0 cache", cache_type(0, KERN_Q8_0, "q8_0"));
    RUN_CHOSEN("gemma3, F16 cache", cache_type(7, KERN_F16, "f16"));
    RUN_CHOSEN("gemma3, Q8_0 cache", cache_type(7, KERN_Q8_0, "q8_0"));
    RUN_CHOSEN("embedded model", embedded());
}

int main(int argc, char **argv) {
    const char *tmp = getenv("TMPDIR");
    char folder[200];

    snprintf(folder, sizeof folder, "%s/test_logits.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) {
        printf("not ok %s: no temporary folder\n", folder);
        return EXIT_FAILURE;
    }
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    variants = kern_variants(variant, VARIANTS);
    one_thread = par_new(1);
    two_threads = par_new(2);
    tokens = load_npy("tokens", "<i4", TEXT);
    f32_logits = load_npy("f32_logits", "<f4", (size_t)REFERENCE_ARCHS * POSITIONS * TINY_VOCAB);
    f32_greedy = load_npy("f32_greedy", "<i4", (size_t)REFERENCE_ARCHS * GREEDY);
    base_logits = load_npy("base_logits", "<f4", (size_t)REFERENCE_ARCHS * (TINY_TYPES - 1) *
                                                     BASE_POSITIONS * TINY_VOCAB);
    run_all(argc > 1 ? argv[1] : "");
    free(base_logits);
    free(f32_greedy);
    free(f32_logits);
    free(tokens);
    par_free(two_threads);
    par_free(one_thread);
    unlink(path);
    rmdir(folder);
    return check_done();
}
