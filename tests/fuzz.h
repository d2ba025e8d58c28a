/* fuzz.h - the frame of a fuzzer: random numbers, running an input, how to see a finding again
 *
 *     fuzz_NAME SECONDS SEED               mutate for so long, or until something breaks
 *     fuzz_NAME SECONDS SEED ITERATION     only that one, to see it again
 *     fuzz_NAME -w FOLDER                  write the inputs it starts from
 *     fuzz_NAME -f FILE                    one file, as it is
 *
 * Build it with -fsanitize=address,undefined. Under clang the same file serves libFuzzer:
 * -fsanitize=fuzzer,address,undefined -DLIBFUZZER, with the files of -w as its corpus.
 *
 * A fuzzer defines LLVMFuzzerTestOneInput, which sets fuzz_outcome, and a struct fuzz, and its
 * main returns fuzz_main. Each input is a function of seed and iteration.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/base/rng.h"
#include "tests/scratch.h"

#define FUZZ_OUTCOMES 8

static int fuzz_outcome;                /* bits: what became of the last input */
static struct err fuzz_last;            /* why the last input was refused, if it was */

/* What must hold whatever the input is: the run ends where it does not. */
#define NEED(x) \
    do { \
        if (!(x)) { \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #x); \
            fflush(stdout); \
            abort(); \
        } \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#ifndef LIBFUZZER

struct fuzz {
    const char *name;                           /* of the program */
    const char *suffix;                         /* of the files that -w writes */
    const char *outcome[FUZZ_OUTCOMES + 1];     /* words for the bits, ended by NULL */
    int starts;
    const char *const *texts;                   /* [starts] to start from; or, of bytes: */
    struct buf (*start)(int i);                 /* an input to start from, borrowed */
    size_t (*cut)(int i, size_t k);             /* k-th length to cut start i at; SIZE_MAX: none.
                                                 * Texts are cut at every length */
    const int *expected;                        /* [starts] outcomes: others make it worthless */
    void (*make)(struct buf *b, int i);         /* an input from start i, with fuzz_next */
};

/* ---- random numbers --------------------------------------------------------------------- */

static uint64_t fuzz_state;

static inline uint64_t fuzz_next(void) {
    struct rng r = {fuzz_state};
    uint64_t value = rng_next(&r);
    fuzz_state = r.state;
    return value;
}

static inline size_t fuzz_below(size_t n) {
    return n ? (size_t)(fuzz_next() % n) : 0;
}

/* Takes bytes [from, to) out. */
static inline void fuzz_drop(struct buf *b, size_t from, size_t to) {
    if (from >= to || to > b->len)
        return;
    memmove(b->data + from, b->data + to, b->len - to);
    b->len -= to - from;
}

/* Puts n bytes in at `at`. They may be b's own. */
static inline void fuzz_insert(struct buf *b, size_t at, const char *data, size_t n) {
    if (at > b->len)
        return;
    char *copy = mem_strndup(data, n);
    buf_reserve(b, n);
    memmove(b->data + at + n, b->data + at, b->len - at);
    memcpy(b->data + at, copy, n);
    b->len += n;
    free(copy);
}

/* Puts a copy of [from, to) in at `at`. */
static inline void fuzz_copy(struct buf *b, size_t from, size_t to, size_t at) {
    if (from < to && to <= b->len && to - from <= 4096)
        fuzz_insert(b, at, b->data + from, to - from);
}

/* ---- inputs that are texts --------------------------------------------------------------- */

/* A text to start from, borrowed: nobody writes to it. */
static inline struct buf fuzz_text(const char *text) {
    union {
        const char *from;
        char *to;
    } same = {text};
    return (struct buf){.data = same.to, .len = strlen(text)};
}

/* One change: a byte, a piece that goes or comes twice, or this word put in. b is not empty. */
static inline void fuzz_change_text(struct buf *b, const char *word) {
    size_t at = fuzz_below(b->len);
    switch (fuzz_below(4)) {
    case 0: b->data[at] = (char)fuzz_next(); break;
    case 1: fuzz_drop(b, at, at + 1 + fuzz_below(9)); break;
    case 2: fuzz_copy(b, at, at + 1 + fuzz_below(60), fuzz_below(b->len)); break;
    default: fuzz_insert(b, at, word, strlen(word));
    }
}

/* ---- running ---------------------------------------------------------------------------- */

static const struct fuzz *fuzz_this;
static uint64_t fuzz_seed;
static uint64_t fuzz_iteration;

/* What a finding leaves behind: how to see it again. Called from signal handlers. */
static inline void fuzz_say_where(void) {
    char text[192];
    int n = snprintf(text, sizeof text, "\nnot ok %s: again with: %s 1 %" PRIu64 " %" PRIu64 "\n",
                     fuzz_this->name, fuzz_this->name, fuzz_seed, fuzz_iteration);
    if (write(STDOUT_FILENO, text, (size_t)n) != n)
        _exit(1);
}

static inline void fuzz_on_signal(int sig) {
    fuzz_say_where();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* Of the sanitizers' runtime, where there is one. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static inline void fuzz_watch(void) {
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(fuzz_say_where);
    signal(SIGABRT, fuzz_on_signal);
    signal(SIGVTALRM, fuzz_on_signal);
    if (!__sanitizer_set_death_callback)
        signal(SIGSEGV, fuzz_on_signal);
}

/* Each input stands in an allocation of its own size, so that a read past its end is seen. One
 * that takes ten seconds of the processor is a finding too. */
static inline void fuzz_run(const struct buf *b) {
    const struct itimerval limit = {.it_value.tv_sec = 10};
    const struct itimerval off = {.it_value.tv_sec = 0};
    uint8_t *copy = malloc(b->len ? b->len : 1);
    if (b->len)
        memcpy(copy, b->data, b->len);
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    LLVMFuzzerTestOneInput(copy, b->len);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    free(copy);
}

static inline struct buf fuzz_start(const struct fuzz *f, int i) {
    return f->texts ? fuzz_text(f->texts[i]) : f->start(i);
}

static inline size_t fuzz_cut(const struct fuzz *f, int i, size_t k) {
    if (!f->texts)
        return f->cut(i, k);
    return k < strlen(f->texts[i]) ? k : SIZE_MAX;
}

/* The starts themselves, and each of them cut. A start that is refused would make the rest of the
 * work worthless. */
static inline int fuzz_run_starts(const struct fuzz *f) {
    for (int i = 0; i < f->starts; i++) {
        struct buf cut = fuzz_start(f, i);
        size_t whole = cut.len;
        fuzz_run(&cut);
        if (fuzz_outcome != f->expected[i]) {
            printf("not ok %s: start %d gives %d, expected %d: %s\n", f->name, i, fuzz_outcome,
                   f->expected[i], fuzz_last.text);
            return -1;
        }
        for (size_t k = 0; (cut.len = fuzz_cut(f, i, k)) != SIZE_MAX; k++)
            if (cut.len < whole)
                fuzz_run(&cut);
    }
    return 0;
}

static inline int fuzz_for(const struct fuzz *f, int64_t seconds, int one) {
    struct buf b = {0};
    uint64_t count[FUZZ_OUTCOMES] = {0};
    int64_t end = clock_ns() + seconds * 1000000000;
    uint64_t first = fuzz_iteration;
    if (fuzz_run_starts(f))
        return 1;
    do {
        fuzz_state = fuzz_seed * 0x9E3779B97F4A7C15u ^ (fuzz_iteration + 1) * 0xD1B54A32D192ED03u;
        f->make(&b, (int)fuzz_below((size_t)f->starts));
        fuzz_run(&b);
        for (int i = 0; f->outcome[i]; i++)
            count[i] += fuzz_outcome >> i & 1;
        fuzz_iteration++;
    } while (!one && clock_ns() < end);
    printf("# %" PRIu64 " inputs from seed %" PRIu64 ":", fuzz_iteration - first, fuzz_seed);
    for (int i = 0; f->outcome[i]; i++)
        printf("%s %" PRIu64 " %s", i ? "," : "", count[i], f->outcome[i]);
    printf("\nok %s\n", f->name);
    buf_free(&b);
    return 0;
}

static inline int fuzz_write_starts(const struct fuzz *f, const char *folder) {
    for (int i = 0; i < f->starts; i++) {
        struct buf b = fuzz_start(f, i);
        char *path = mem_printf("%s/start%d%s", folder, i, f->suffix);
        scratch_write(path, b.data, b.len);
        free(path);
    }
    return 0;
}

static inline int fuzz_file(const struct fuzz *f, const char *path) {
    struct buf b = scratch_read(path);
    if (!b.data)
        scratch_die(path);
    fuzz_run(&b);
    printf("%s:%s", path, fuzz_outcome ? "" : " refused");
    for (int i = 0; f->outcome[i]; i++)
        if (fuzz_outcome >> i & 1)
            printf(" %s", f->outcome[i]);
    printf("\n");
    buf_free(&b);
    return 0;
}

static inline int fuzz_main(const struct fuzz *f, int argc, char **argv) {
    fuzz_this = f;
    fuzz_watch();
    if (argc == 3 && !strcmp(argv[1], "-w"))
        return fuzz_write_starts(f, argv[2]);
    if (argc == 3 && !strcmp(argv[1], "-f"))
        return fuzz_file(f, argv[2]);
    if (argc == 3 || argc == 4) {
        fuzz_seed = strtoull(argv[2], NULL, 10);
        fuzz_iteration = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
        return fuzz_for(f, strtoll(argv[1], NULL, 10), argc == 4);
    }
    fprintf(stderr, "usage: %s SECONDS SEED [ITERATION] | -w FOLDER | -f FILE\n", f->name);
    return 2;
}

#endif
#endif
